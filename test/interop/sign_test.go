package interop

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-pay/crypto/aes"
	gopayv3 "github.com/go-pay/gopay/wechat/v3"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/credentials"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/signers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/validators"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/jsapi"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

// This file holds the SDKs to each other without any server: the same keys, the same messages.

const (
	testMerchant = "1900000001"
	testSerial   = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
	testAPIv3Key = "0123456789abcdef0123456789ABCDEF"
	testPublicID = "PUB_KEY_ID_0119000000012024101500000001"
	testApp      = "wx8888888888888888"
)

// newKey makes an RSA key once for all tests.
func newKey() func() *rsa.PrivateKey {
	return sync.OnceValue(func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k
	})
}

var merchantKey, platformKey = newKey(), newKey()

func privatePEM(k *rsa.PrivateKey) string {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func publicPEM(k *rsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// testShop is the merchant of these tests.
func testShop() merchant {
	m := merchant{ID: testMerchant, Serial: testSerial, PrivateKey: privatePEM(merchantKey()), APIv3Key: testAPIv3Key,
		PublicKeyID: testPublicID, PublicKey: publicPEM(&platformKey().PublicKey)}
	return m
}

// requests are those whose signing SDKs have got wrong: queries, escapes, empty bodies, texts that aren't ASCII.
var requests = []struct{ method, target, body string }{
	{"GET", "/v3/certificates", ""},
	{"GET", "/v3/pay/transactions/out-trade-no/A-B_C|D*E%25?mchid=1900000001", ""},
	{"GET", "/v3/bill/tradebill?bill_date=2026-11-20&bill_type=ALL&tar_type=GZIP", ""},
	{"GET", "/v3/x?q=%E5%92%96%E5%95%A1+a%2Bb%26c", ""},
	{"POST", "/v3/pay/transactions/jsapi", `{"description":"咖啡 & <tea> \"大杯\" 😀","amount":{"total":1999}}`},
	{"POST", "/v3/pay/transactions/out-trade-no/1/close", "{\"mchid\":\"1900000001\"}\n"},
	{"POST", "/v3/y", " \t\r\n{}\r\n"},
}

var authorization = regexp.MustCompile(`^(\S+) mchid="([^"]*)",nonce_str="([^"]*)",(?:signature="(?P<a>[^"]*)",)?timestamp="([^"]*)",serial_no="([^"]*)"(?:,signature="(?P<b>[^"]*)")?$`)

// signed is an Authorization header, taken apart.
type signed struct{ scheme, merchant, nonce, timestamp, serial, signature string }

func readAuthorization(t *testing.T, header string) signed {
	t.Helper()
	m := authorization.FindStringSubmatch(header)
	if m == nil {
		t.Fatalf("Authorization has no form that is known: %q", header)
	}
	return signed{m[1], m[2], m[3], m[5], m[6], m[4] + m[7]}
}

// verifyOurs checks a signed request with this module.
func (s signed) verifyOurs(method, target string, body []byte) error {
	seconds, err := strconv.ParseInt(s.timestamp, 10, 64)
	if err != nil {
		return err
	}
	if s.scheme != wechatpay.Scheme || s.merchant != testMerchant || s.serial != testSerial {
		return fmt.Errorf("it is signed by somebody else: %+v", s)
	}
	message := wechatpay.RequestMessage(method, target, body, time.Unix(seconds, 0), s.nonce)
	return wechatpay.VerifyMessage(&merchantKey().PublicKey, message, s.signature)
}

// verifyOfficial checks it with wechatpay-go: its text, its verifier.
func (s signed) verifyOfficial(method, target string, body []byte) error {
	seconds, err := strconv.ParseInt(s.timestamp, 10, 64)
	if err != nil {
		return err
	}
	return verifyOfficial(&merchantKey().PublicKey, fmt.Sprintf(consts.SignatureMessageFormat, method, target, seconds, s.nonce, body), s.signature)
}

func verifyOfficial(key *rsa.PublicKey, message, signature string) error {
	return verifiers.NewSHA256WithRSAPubkeyVerifier(testSerial, *key).Verify(context.Background(), testSerial, message, signature)
}

// TestRequestSignatures signs the same requests with both SDKs and lets each verify the other.
func TestRequestSignatures(t *testing.T) {
	t.Parallel()
	mine := wechatpay.Credentials{MerchantID: testMerchant, CertificateSerial: testSerial, PrivateKey: merchantKey()}
	theirs := credentials.WechatPayCredentials{Signer: &signers.SHA256WithRSASigner{
		MchID: testMerchant, CertificateSerialNo: testSerial, PrivateKey: merchantKey()}}
	for _, r := range requests {
		at := time.Unix(1795161600, 0)
		const nonce = "593BEC0C930BF1AFEB40B4A08C8FB242"
		ours, err := mine.Authorization(r.method, r.target, []byte(r.body), at, nonce)
		if err != nil {
			t.Fatal(err)
		}
		if err := readAuthorization(t, ours).verifyOfficial(r.method, r.target, []byte(r.body)); err != nil {
			t.Errorf("wechatpay-go refuses our signature of %s %s: %v", r.method, r.target, err)
		}
		same, err := utils.SignSHA256WithRSA(fmt.Sprintf(consts.SignatureMessageFormat, r.method, r.target, at.Unix(), nonce, r.body), merchantKey())
		if err != nil || same != readAuthorization(t, ours).signature {
			t.Errorf("wechatpay-go signs %s %s otherwise (%v)", r.method, r.target, err)
		}
		header, err := theirs.GenerateAuthorizationHeader(t.Context(), r.method, r.target, r.body)
		if err != nil {
			t.Fatal(err)
		}
		s := readAuthorization(t, header)
		if err := s.verifyOurs(r.method, r.target, []byte(r.body)); err != nil {
			t.Errorf("we refuse wechatpay-go's signature of %s %s: %v", r.method, r.target, err)
		}
		for what, err := range map[string]error{
			"method": s.verifyOurs("PUT", r.target, []byte(r.body)),
			"target": s.verifyOurs(r.method, r.target+"&", []byte(r.body)),
			"body":   s.verifyOurs(r.method, r.target, []byte(r.body+"\n")),
		} {
			if err == nil {
				t.Errorf("we take a signature for another %s than that of %s %s", what, r.method, r.target)
			}
		}
	}
}

// wire keeps the request that an SDK sends and answers as WeChat Pay, with a signature of wechatpay-go's making.
type wire struct {
	answer  string
	alter   func(h http.Header)
	method  string
	target  string
	body    []byte
	headers http.Header
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.method, w.target, w.headers, w.body = r.Method, r.URL.RequestURI(), r.Header, nil
	if r.Body != nil {
		var err error
		if w.body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	h, err := answerHeader([]byte(w.answer))
	if err != nil {
		return nil, err
	}
	if w.alter != nil {
		w.alter(h)
	}
	return &http.Response{StatusCode: 200, Status: "200 OK", ProtoMajor: 1, ProtoMinor: 1, Header: h,
		Body: io.NopCloser(strings.NewReader(w.answer)), ContentLength: int64(len(w.answer)), Request: r}, nil
}

// answerHeader is the header of an answer or notification that wechatpay-go's signer signed with the platform's key.
func answerHeader(body []byte) (http.Header, error) {
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()
	signature, err := utils.SignSHA256WithRSA(timestamp+"\n"+nonce+"\n"+string(body)+"\n", platformKey())
	h := http.Header{}
	h.Set(consts.WechatPayTimestamp, timestamp)
	h.Set(consts.WechatPayNonce, nonce)
	h.Set(consts.WechatPaySignature, signature)
	h.Set(consts.WechatPaySerial, testPublicID)
	h.Set(consts.RequestID, "08F79CCBA90610C9021887B6D2D401-0")
	h.Set("Content-Type", "application/json")
	return h, err
}

// TestRequestsAsSent takes the order that each SDK really sends, and verifies it with the others' rules. The answer is
// verified by the SDK; a wrong one must be refused.
func TestRequestsAsSent(t *testing.T) {
	t.Parallel()
	m := testShop()
	for name, open := range map[string]func(*wire) shop{
		"wechatpay-go": func(w *wire) shop { return newOfficial(t, &http.Client{Transport: w}, m, true) },
		"gopay":        func(w *wire) shop { return newGopay(t, "", w, m, true) },
		"fenhao": func(w *wire) shop {
			return newOurs(t, m, true, wechatpay.WithHTTPClient(&http.Client{Transport: w}))
		},
	} {
		w := &wire{answer: `{"prepay_id":"wx201410272009395522657a690389285100"}`}
		shop := open(w)
		o := order{appID: testApp, openID: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", number: "ORDER-000001",
			description: `咖啡 "大杯" & <冰>`, attach: `a&b=c`, notifyURL: "https://shop.example.com/notify", total: 1999}
		p, err := shop.order(t.Context(), o)
		if err != nil {
			t.Errorf("%s refuses an answer that wechatpay-go signed: %v", name, err)
			continue
		}
		s := readAuthorization(t, w.headers.Get("Authorization"))
		if err := s.verifyOurs(w.method, w.target, w.body); err != nil {
			t.Errorf("we refuse the request of %s: %v", name, err)
		}
		if err := s.verifyOfficial(w.method, w.target, w.body); err != nil {
			t.Errorf("wechatpay-go's rules refuse the request of %s: %v", name, err)
		}
		if got := w.headers.Get("Wechatpay-Serial"); got != testPublicID {
			t.Errorf("%s asks for an answer signed by %q, want %q", name, got, testPublicID)
		}
		// The text differs between SDKs, what it says must not.
		var sent, want any
		if err := json.Unmarshal(w.body, &sent); err != nil {
			t.Errorf("%s: %v in %s", name, err, w.body)
		}
		if err := json.Unmarshal([]byte(`{"appid":"wx8888888888888888","mchid":"1900000001","description":"咖啡 \"大杯\" & <冰>",
			"out_trade_no":"ORDER-000001","attach":"a&b=c","notify_url":"https://shop.example.com/notify",
			"amount":{"total":1999},"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}`), &want); err != nil {
			t.Fatal(err)
		}
		if amount, ok := sent.(map[string]any)["amount"].(map[string]any); ok && amount["currency"] == "CNY" {
			delete(amount, "currency") // it is WeChat Pay's default
		}
		if got, want := fmt.Sprint(sent), fmt.Sprint(want); got != want {
			t.Errorf("%s sends\n%s, want\n%s", name, got, want)
		}
		verifyPay(t, name, p)

		for what, alter := range map[string]func(http.Header){
			"a signature of another answer": func(h http.Header) {
				other, err := answerHeader([]byte("{}"))
				if err != nil {
					t.Error(err)
				}
				h.Set("Wechatpay-Signature", other.Get("Wechatpay-Signature"))
			},
			"another nonce": func(h http.Header) { h.Set("Wechatpay-Nonce", rand.Text()) },
			"no signature":  func(h http.Header) { h.Del("Wechatpay-Signature") },
			"another key":   func(h http.Header) { h.Set("Wechatpay-Serial", testSerial) },
		} {
			w.alter = alter
			if _, err := shop.order(t.Context(), o); err == nil {
				t.Errorf("%s takes an answer with %s", name, what)
			}
		}
	}
}

// verifyPay checks the parameters of wx.requestPayment with both rules.
func verifyPay(t *testing.T, name string, p phone) {
	t.Helper()
	seconds, err := strconv.ParseInt(p.TimeStamp, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if p.SignType != "RSA" || p.AppID != testApp || p.Package != "prepay_id=wx201410272009395522657a690389285100" {
		t.Errorf("%s has pay parameters %+v", name, p)
	}
	ours := wechatpay.PayMessage(p.AppID, time.Unix(seconds, 0), p.NonceStr, p.Package)
	if err := wechatpay.VerifyMessage(&merchantKey().PublicKey, ours, p.PaySign); err != nil {
		t.Errorf("we refuse the pay parameters of %s: %v", name, err)
	}
	message := fmt.Sprintf("%s\n%s\n%s\n%s\n", p.AppID, p.TimeStamp, p.NonceStr, p.Package)
	if err := verifyOfficial(&merchantKey().PublicKey, message, p.PaySign); err != nil {
		t.Errorf("wechatpay-go refuses the pay parameters of %s: %v", name, err)
	}
}

// TestAnswerSignatures lets wechatpay-go and gopay verify answers that we sign as WeChat Pay does.
func TestAnswerSignatures(t *testing.T) {
	t.Parallel()
	validator := validators.NewWechatPayResponseValidator(verifiers.NewSHA256WithRSAPubkeyVerifier(testPublicID, platformKey().PublicKey))
	for _, body := range []string{"", `{"a":"咖啡 & <tea>"}`, "{}\n", "not JSON \x00 \xff"} {
		timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()
		signature, err := wechatpay.SignMessage(platformKey(), wechatpay.ResponseMessage(timestamp, nonce, []byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		check := func(body string) (official, gopay error) {
			h := http.Header{}
			h.Set("Wechatpay-Timestamp", timestamp)
			h.Set("Wechatpay-Nonce", nonce)
			h.Set("Wechatpay-Signature", signature)
			h.Set("Wechatpay-Serial", testPublicID)
			h.Set("Request-Id", "1")
			official = validator.Validate(t.Context(), &http.Response{Header: h, Body: io.NopCloser(strings.NewReader(body))})
			return official, gopayv3.V3VerifySignByPK(timestamp, nonce, body, signature, &platformKey().PublicKey)
		}
		if official, gopay := check(body); official != nil || gopay != nil {
			t.Errorf("our signature of %q: wechatpay-go says %v, gopay %v", body, official, gopay)
		}
		if official, gopay := check(body + " "); official == nil || gopay == nil {
			t.Errorf("our signature of %q passes for another answer: wechatpay-go says %v, gopay %v", body, official, gopay)
		}
	}
}

// TestCiphers opens with one SDK what another sealed: resources of notifications (AES-GCM) and sensitive fields (OAEP).
func TestCiphers(t *testing.T) {
	t.Parallel()
	apiv3, err := wechatpay.NewAPIv3Key(testAPIv3Key)
	if err != nil {
		t.Fatal(err)
	}
	gopay, err := gopayv3.NewClientV3(testMerchant, testSerial, testAPIv3Key, privatePEM(merchantKey()))
	if err != nil {
		t.Fatal(err)
	}
	if err := gopay.SetPlatformCert([]byte(publicPEM(&merchantKey().PublicKey)), testPublicID); err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"a", `{"out_trade_no":"咖啡"}`, strings.Repeat("长", 70), strings.Repeat("x", 214)} {
		const nonce = "fdasflkja484"
		sealed, err := aes.GCMEncrypt([]byte(plain), []byte(nonce), []byte("transaction"), []byte(testAPIv3Key))
		if err != nil {
			t.Fatal(err)
		}
		cipherText := base64.StdEncoding.EncodeToString(sealed)
		ours, err := apiv3.Decrypt(nonce, "transaction", cipherText)
		if err != nil || string(ours) != plain {
			t.Errorf("we open what gopay sealed as %q, %v", ours, err)
		}
		official, err := utils.DecryptAES256GCM(testAPIv3Key, "transaction", nonce, cipherText)
		if err != nil || official != plain {
			t.Errorf("wechatpay-go opens what gopay sealed as %q, %v", official, err)
		}
		if _, err := apiv3.Decrypt(nonce, "refund", cipherText); err == nil {
			t.Error("we open what was sealed for something else")
		}

		seals := map[string]func() (string, error){
			"ours":         func() (string, error) { return wechatpay.EncryptField(&merchantKey().PublicKey, plain) },
			"wechatpay-go": func() (string, error) { return utils.EncryptOAEPWithPublicKey(plain, &merchantKey().PublicKey) },
			"gopay":        func() (string, error) { return gopay.V3EncryptText(plain) },
		}
		opens := map[string]func(string) (string, error){
			"ours":         func(s string) (string, error) { return wechatpay.DecryptField(merchantKey(), s) },
			"wechatpay-go": func(s string) (string, error) { return utils.DecryptOAEP(s, merchantKey()) },
			"gopay":        gopay.V3DecryptText,
		}
		for sealer, seal := range seals {
			sealed, err := seal()
			if err != nil {
				t.Errorf("%s can't seal %q: %v", sealer, plain, err)
				continue
			}
			for opener, open := range opens {
				if got, err := open(sealed); err != nil || got != plain {
					t.Errorf("%s opens what %s sealed as %q (%v), want %q", opener, sealer, got, err, plain)
				}
			}
		}
	}
}

// TestNotificationOfTheirs builds a notification from other SDKs' parts, sealed by gopay and signed by wechatpay-go; all
// three must read the same payment.
func TestNotificationOfTheirs(t *testing.T) {
	t.Parallel()
	const plain = `{"appid":"wx8888888888888888","mchid":"1900000001","out_trade_no":"ORDER-000001","transaction_id":"4200000001202611200000000001",
		"trade_type":"JSAPI","trade_state":"SUCCESS","trade_state_desc":"支付成功","bank_type":"CMB_DEBIT","attach":"桌号=7","success_time":"2026-11-20T16:00:00+08:00",
		"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},"amount":{"total":1999,"payer_total":1899,"currency":"CNY","payer_currency":"CNY"},"new_field":[{"x":1}]}`
	const nonce = "fdasflkja484"
	sealed, err := aes.GCMEncrypt([]byte(plain), []byte(nonce), []byte("transaction"), []byte(testAPIv3Key))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{
		"id": "EV-2018022511223320873", "create_time": "2026-11-20T16:00:01+08:00", "event_type": "TRANSACTION.SUCCESS",
		"resource_type": "encrypt-resource", "summary": "支付成功", "resource": map[string]string{
			"algorithm": "AEAD_AES_256_GCM", "original_type": "transaction", "associated_data": "transaction",
			"nonce": nonce, "ciphertext": base64.StdEncoding.EncodeToString(sealed),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	header, err := answerHeader(body)
	if err != nil {
		t.Fatal(err)
	}
	m := testShop()
	want := payment{appID: testApp, merchantID: testMerchant, number: "ORDER-000001", transactionID: "4200000001202611200000000001",
		tradeType: "JSAPI", state: "SUCCESS", bank: "CMB_DEBIT", attach: "桌号=7", openID: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
		currency: "CNY", total: 1999, payerTotal: 1899, at: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)}
	for name, shop := range map[string]shop{
		"fenhao":       newOurs(t, m, true),
		"wechatpay-go": newOfficial(t, http.DefaultClient, m, true),
		"gopay":        newGopay(t, "", nil, m, true),
	} {
		if got, err := shop.notification(delivery{header, body}.request()); err != nil || got != want {
			t.Errorf("%s (%v)\n got %+v\nwant %+v", name, err, got, want)
		}
		other := delivery{header, bytes.Replace(body, []byte("EV-2018"), []byte("EV-2019"), 1)}
		if _, err := shop.notification(other.request()); err == nil {
			t.Errorf("%s takes a notification with another body than was signed", name)
		}
	}
}

// TestOneSigner signs through a crypto.Signer that is no *rsa.PrivateKey, such as a hardware module's: the request must
// be the one that wechatpay-go signs with the bare key.
func TestOneSigner(t *testing.T) {
	t.Parallel()
	c := wechatpay.Credentials{MerchantID: testMerchant, CertificateSerial: testSerial, PrivateKey: opaque{merchantKey()}}
	p, err := c.PayParameters(testApp, "wx201410272009395522657a690389285100", time.Unix(1795161600, 0), "593BEC0C930BF1AFEB40B4A08C8FB242")
	if err != nil {
		t.Fatal(err)
	}
	client, err := core.NewClient(t.Context(), option.WithMerchantCredential(testMerchant, testSerial, merchantKey()), option.WithoutValidator())
	if err != nil {
		t.Fatal(err)
	}
	api := jsapi.JsapiApiService{Client: client}
	s, err := api.Client.Sign(t.Context(), fmt.Sprintf("%s\n%s\n%s\n%s\n", p.AppID, p.TimeStamp, p.NonceStr, p.Package))
	if err != nil || s.Signature != p.PaySign {
		t.Errorf("wechatpay-go signs %v, %v; we %s", s, err, p.PaySign)
	}
}

// opaque hides a key behind the interface.
type opaque struct{ key crypto.Signer }

func (o opaque) Public() crypto.PublicKey { return o.key.Public() }
func (o opaque) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return o.key.Sign(r, digest, opts)
}
