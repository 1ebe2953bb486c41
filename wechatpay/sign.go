package wechatpay

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Scheme is the signature type of API v3 with RSA keys, in the Authorization header and in Wechatpay-Signature-Type.
const Scheme = "WECHATPAY2-SHA256-RSA2048"

// RequestMessage returns the text that the Authorization header of a request signs: five lines, the last one ended too.
// target is the path and query exactly as sent, such as "/v3/pay/transactions/id/42?mchid=1900000001".
//
// Source: vendor manual, "如何构造接口请求签名" (4012365336).
func RequestMessage(method, target string, body []byte, at time.Time, nonce string) []byte {
	return line(lines(len(body)+1, method, target, strconv.FormatInt(at.Unix(), 10), nonce), body)
}

// ResponseMessage returns the text that WeChat Pay signs of an answer or a notification: timestamp and nonce are the
// values of its headers, body the raw bytes as received.
//
// Source: vendor manual, "如何验证签名".
func ResponseMessage(timestamp, nonce string, body []byte) []byte {
	return line(lines(len(body)+1, timestamp, nonce), body)
}

// PayMessage returns the text that paySign signs; pkg is "prepay_id=…", or the bare prepay id in an app.
//
// Source: vendor manual, "小程序调起支付" (4012365341).
func PayMessage(appID string, at time.Time, nonce, pkg string) []byte {
	return lines(0, appID, strconv.FormatInt(at.Unix(), 10), nonce, pkg)
}

// lines ends each part with a line feed, and leaves room for more.
func lines(room int, parts ...string) []byte {
	for _, p := range parts {
		room += len(p) + 1
	}
	text := make([]byte, 0, room)
	for _, p := range parts {
		text = line(text, p)
	}
	return text
}

func line[T string | []byte](text []byte, part T) []byte { return append(append(text, part...), '\n') }

// SignMessage signs message with RSASSA-PKCS1-v1_5 and SHA-256, in Base64. key holds an RSA key.
func SignMessage(key crypto.Signer, message []byte) (string, error) {
	digest := sha256.Sum256(message)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}

// VerifyMessage checks a signature that SignMessage or WeChat Pay made of message.
func VerifyMessage(key *rsa.PublicKey, message []byte, signature string) error {
	raw, err := decodeBase64(signature)
	if err != nil {
		// A probe ends here: the text after "WECHATPAY/SIGNTEST/" is seldom Base64 as a whole.
		return errors.New("the signature is not Base64")
	}
	digest := sha256.Sum256(message)
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], raw); err != nil {
		return errors.New("the signature is wrong")
	}
	return nil
}

// Credentials are what a merchant signs with. A [Client] holds its own; they are exported so that tools and tests can
// compute a signature of a given moment and nonce.
type Credentials struct {
	MerchantID        string
	CertificateSerial string // of the merchant API certificate, never of a platform certificate
	PrivateKey        crypto.Signer
}

// Authorization returns the value of the Authorization header of one request. The same arguments give the same value.
// body is nil where there is none.
func (c Credentials) Authorization(method, target string, body []byte, at time.Time, nonce string) (string, error) {
	signature, err := SignMessage(c.PrivateKey, RequestMessage(method, target, body, at, nonce))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`%s mchid="%s",nonce_str="%s",signature="%s",timestamp="%d",serial_no="%s"`,
		Scheme, c.MerchantID, nonce, signature, at.Unix(), c.CertificateSerial), nil
}

// PayParameters are the arguments of wx.requestPayment, each of them a string as the phone wants them. (appId is not an
// argument in a mini program, but is part of what is signed; WeixinJSBridge takes it.)
type PayParameters struct {
	AppID     string `json:"appId"`
	TimeStamp string `json:"timeStamp"` // Unix seconds
	NonceStr  string `json:"nonceStr"`
	Package   string `json:"package"`  // prepay_id=…
	SignType  string `json:"signType"` // RSA
	PaySign   string `json:"paySign"`
}

// PayParameters signs the payment of prepayID on the phone. The same arguments give the same value. appID is the one
// that the order was made with.
func (c Credentials) PayParameters(appID, prepayID string, at time.Time, nonce string) (PayParameters, error) {
	if err := checkAppID("appId", appID); err != nil {
		return PayParameters{}, err
	}
	if err := checkPrepayID("prepay_id", prepayID); err != nil {
		return PayParameters{}, err
	}
	p := PayParameters{
		AppID:     appID,
		TimeStamp: strconv.FormatInt(at.Unix(), 10),
		NonceStr:  nonce,
		Package:   "prepay_id=" + prepayID,
		SignType:  "RSA",
	}
	var err error
	p.PaySign, err = SignMessage(c.PrivateKey, PayMessage(p.AppID, at, p.NonceStr, p.Package))
	return p, err
}

// AppParameters are what an app fills into PayReq of WeChat's OpenSDK, each of them a string. The JSON names are those of
// the usual payload; Android calls Package packageValue.
type AppParameters struct {
	AppID     string `json:"appid"`
	PartnerID string `json:"partnerid"` // the merchant; not signed
	PrepayID  string `json:"prepayid"`
	Package   string `json:"package"` // Sign=WXPay; not signed
	NonceStr  string `json:"noncestr"`
	TimeStamp string `json:"timestamp"` // Unix seconds
	Sign      string `json:"sign"`
}

// AppParameters signs the payment of prepayID in an app. The same arguments give the same value. PartnerID is the
// merchant that signs; a service provider whose app wants the sub merchant there may set it, as it is not signed.
func (c Credentials) AppParameters(appID, prepayID string, at time.Time, nonce string) (AppParameters, error) {
	if err := checkAppID("appid", appID); err != nil {
		return AppParameters{}, err
	}
	if err := checkPrepayID("prepayid", prepayID); err != nil {
		return AppParameters{}, err
	}
	p := AppParameters{
		AppID:     appID,
		PartnerID: c.MerchantID,
		PrepayID:  prepayID,
		Package:   "Sign=WXPay",
		NonceStr:  nonce,
		TimeStamp: strconv.FormatInt(at.Unix(), 10),
	}
	var err error
	p.Sign, err = SignMessage(c.PrivateKey, PayMessage(appID, at, nonce, prepayID))
	return p, err
}
