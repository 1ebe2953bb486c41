package apiv2

import (
	"cmp"
	"crypto/hmac"
	"crypto/md5" // WeChat Pay's choice; HMAC-SHA256 is ours
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// SignType is an algorithm of signatures, as WeChat Pay spells it.
type SignType string

const (
	// HMACSHA256 is the better one.
	HMACSHA256 SignType = "HMAC-SHA256"
	// MD5 is what WeChat Pay takes where a request names none.
	MD5 SignType = "MD5"
)

// length is that of a signature in hexadecimal digits.
func (t SignType) length() int {
	if t == MD5 {
		return 2 * md5.Size
	}
	return 2 * sha256.Size
}

// Message returns the text that a signature is made of, up to the key: name=value joined with &, sorted by name, without
// empty values and without sign itself. Values are as they are, without any escape. "&key=" and the key follow it.
//
// Source: v2 manual, "安全规范" (chapter 4_3).
func Message(fields Fields) string {
	fields = slices.Clone(fields)
	fields.sort()
	return string(fields.appendMessage(nil))
}

// appendMessage appends the text that is signed. The fields are sorted.
func (f Fields) appendMessage(b []byte) []byte {
	begin := len(b)
	for i := range f {
		if f[i].Value == "" || f[i].Name == "sign" { // "0" is not empty
			continue
		}
		if len(b) > begin {
			b = append(b, '&')
		}
		b = append(b, f[i].Name...)
		b = append(b, '=')
		b = append(b, f[i].Value...)
	}
	return b
}

// signature of sorted fields, in upper-case hexadecimal.
func signature(t SignType, key string, sorted Fields) string {
	b := make([]byte, 0, sorted.size()+len("&key=")+len(key))
	b = sorted.appendMessage(b)
	b = append(b, "&key="...)
	b = append(b, key...)
	if t == MD5 {
		sum := md5.Sum(b)
		return upperHex(sum[:])
	}
	h := hmac.New(sha256.New, []byte(key))
	h.Write(b)
	return upperHex(h.Sum(b[:0]))
}

func upperHex(sum []byte) string {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, 2*sha256.Size)
	for _, c := range sum {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return string(b)
}

// verify checks the signature of sorted fields: over all of them, known or not. types are those that are expected; what
// the message says of its type is only compared. With several keys, any of them will do.
func verify(sorted Fields, types []SignType, keys []Key) error {
	given := sorted.find("sign")
	if given == "" {
		return &SignatureError{problem: phrase.Text{EN: "it has no sign", ZH: "缺少 sign"}}
	}
	i := slices.IndexFunc(types, func(t SignType) bool { return t.length() == len(given) })
	if i < 0 {
		return &SignatureError{problem: phrase.Text{
			EN: "the sign is not one of " + string(types[0]) + ": was it made with another sign_type?",
			ZH: "签名不是 " + string(types[0]) + "：是否使用了其他 sign_type？",
		}}
	}
	if named := sorted.find("sign_type"); named != "" && named != string(types[i]) {
		return &SignatureError{problem: phrase.Text{
			EN: "its sign_type does not fit its sign", ZH: "sign_type 与 sign 不符",
		}}
	}
	for _, k := range keys {
		want := signature(types[i], string(k.b[:]), sorted)
		if subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToUpper(given))) == 1 {
			return nil
		}
	}
	return &SignatureError{problem: phrase.Text{
		EN: "the sign is wrong: is the API key the one of this merchant (32 characters, not the APIv3 key)?",
		ZH: "签名错误：API 密钥是否属于该商户（32 位，不是 APIv3 密钥）？",
	}}
}

// Credentials are what a merchant signs with. A [Client] holds its own; they are exported so that tools and tests can
// compute a signature of a given moment and nonce.
type Credentials struct {
	MerchantID string
	Key        Key
	SignType   SignType
}

// Sign returns the signature of a message: 32 or 64 upper-case hexadecimal digits. A field called sign is left out.
func (c Credentials) Sign(fields Fields) (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	fields = slices.Clone(fields)
	if twice := fields.sort(); twice != "" {
		return "", fmt.Errorf("sign: the field %s is there twice", phrase.Clip(twice, 40))
	}
	return signature(c.SignType, string(c.Key.b[:]), fields), nil
}

// PayParameters are the arguments of wx.requestPayment and WeixinJSBridge, each of them a string as the phone wants
// them. (appId is not an argument in a mini program, but is part of what is signed.)
type PayParameters struct {
	AppID     string `json:"appId"`
	TimeStamp string `json:"timeStamp"` // Unix seconds
	NonceStr  string `json:"nonceStr"`
	Package   string `json:"package"`  // prepay_id=…
	SignType  string `json:"signType"` // that of the order
	PaySign   string `json:"paySign"`
}

// PayParameters signs the payment of prepayID on the phone. The same arguments give the same value. appID is the one
// that the order was made with; a service provider gives that of the app that pays, the sub_appid where there is one.
//
// Source: v2 manual, "小程序调起支付" (chapter 7_7).
func (c Credentials) PayParameters(appID, prepayID string, at time.Time, nonce string) (PayParameters, error) {
	if err := cmp.Or(c.check(), checkAppID("appId", appID), checkPrepayID("prepay_id", prepayID)); err != nil {
		return PayParameters{}, err
	}
	p := PayParameters{
		AppID:     appID,
		TimeStamp: strconv.FormatInt(at.Unix(), 10),
		NonceStr:  nonce,
		Package:   "prepay_id=" + prepayID,
		SignType:  string(c.SignType),
	}
	p.PaySign = signature(c.SignType, string(c.Key.b[:]), Fields{
		{"appId", p.AppID}, {"nonceStr", p.NonceStr}, {"package", p.Package}, {"signType", p.SignType}, {"timeStamp", p.TimeStamp},
	})
	return p, nil
}

// AppParameters are what an app gives to the OpenSDK (PayReq).
type AppParameters struct {
	AppID     string `json:"appid"`
	PartnerID string `json:"partnerid"` // the merchant id
	PrepayID  string `json:"prepayid"`
	Package   string `json:"package"` // Sign=WXPay; the field is called packageValue on Android
	NonceStr  string `json:"noncestr"`
	TimeStamp string `json:"timestamp"` // Unix seconds
	Sign      string `json:"sign"`
}

// AppParameters signs the payment of prepayID in an app. The same arguments give the same value. partnerID is the
// merchant id; of a service provider, the published examples disagree on whether it is its own or the sub merchant's.
//
// Source: v2 manual, "APP调起支付" (chapter 9_12).
func (c Credentials) AppParameters(appID, partnerID, prepayID string, at time.Time, nonce string) (AppParameters, error) {
	if err := cmp.Or(c.check(), checkAppID("appid", appID), checkMerchantID("partnerid", partnerID),
		checkPrepayID("prepayid", prepayID)); err != nil {
		return AppParameters{}, err
	}
	p := AppParameters{
		AppID:     appID,
		PartnerID: partnerID,
		PrepayID:  prepayID,
		Package:   "Sign=WXPay",
		NonceStr:  nonce,
		TimeStamp: strconv.FormatInt(at.Unix(), 10),
	}
	p.Sign = signature(c.SignType, string(c.Key.b[:]), Fields{
		{"appid", p.AppID}, {"noncestr", p.NonceStr}, {"package", p.Package}, {"partnerid", p.PartnerID},
		{"prepayid", p.PrepayID}, {"timestamp", p.TimeStamp},
	})
	return p, nil
}

func (c Credentials) check() error {
	if c.Key.IsZero() {
		return notSent(&ConfigError{"Key", phrase.Text{EN: "it is missing", ZH: "缺少 API 密钥"}})
	}
	if c.SignType != MD5 && c.SignType != HMACSHA256 {
		return notSent(&ConfigError{"SignType", phrase.Text{EN: "it is MD5 or HMACSHA256", ZH: "应为 MD5 或 HMACSHA256"}})
	}
	return nil
}
