package apiv2_test

import (
	"bytes"
	"crypto/aes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// A stand-in for WeChat Pay. It signs, verifies, reads and writes XML with code of its own: encoding/xml, maps and fmt,
// so that a mistake of the package can't agree with itself.

const (
	merchantID = "1900007291"
	appID      = "wx8888888888888888"
	openID     = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
	keyText    = "192006250b4c09247ec02edce69f6a2d"
	oldKeyText = "8934e7d15453e97507ef794cf7b0519d"
)

// start is the time of all tests: 2026-11-20 16:00:00 in Beijing.
var start = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

func readVector(name string, into any) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "vectors", name))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		panic(err)
	}
}

func mustKey(s string) apiv2.Key {
	k, err := apiv2.NewKey(s)
	if err != nil {
		panic(err)
	}
	return k
}

func config() apiv2.Config {
	return apiv2.Config{MerchantID: merchantID, AppID: appID, Key: mustKey(keyText)}
}

// m is a message.
type m map[string]string

// with is m with other fields; "" leaves one out.
func (a m) with(b m) m {
	c := maps.Clone(a)
	for k, v := range b {
		if c[k] = v; v == "" {
			delete(c, k)
		}
	}
	return c
}

// text is what is signed, up to the key.
func (a m) text() string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if a[k] != "" && k != "sign" {
			parts = append(parts, k+"="+a[k])
		}
	}
	return strings.Join(parts, "&")
}

func signText(signType, key, text string) string {
	text += "&key=" + key
	if signType == "MD5" {
		return fmt.Sprintf("%X", md5.Sum([]byte(text)))
	}
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return fmt.Sprintf("%X", h.Sum(nil))
}

// signed is a with its sign.
func (a m) signed(signType string) m {
	return a.with(m{"sign": signText(signType, keyText, a.text())})
}

// xml is a as WeChat Pay writes it, fields in any order.
func (a m) xml() string {
	var b strings.Builder
	b.WriteString("<xml>\n")
	for k, v := range a {
		if strings.Contains(v, "]]>") {
			panic("the stand-in does not split CDATA")
		}
		fmt.Fprintf(&b, "<%s><![CDATA[%s]]></%s>\n", k, v, k)
	}
	b.WriteString("</xml>")
	return b.String()
}

// readXML reads a flat document with encoding/xml.
func readXML(s string) (m, error) {
	d := xml.NewDecoder(strings.NewReader(s))
	out := m{}
	var path []string
	value := ""
	for {
		t, err := d.Token()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			value = ""
		case xml.CharData:
			value += string(t)
		case xml.EndElement:
			if len(path) == 2 {
				out[path[1]] = value
			}
			path = path[:len(path)-1]
		}
	}
}

// paid is a payment notification, or the answer to a query of a paid order.
func paid() m {
	return m{
		"return_code": "SUCCESS", "return_msg": "OK", "appid": appID, "mch_id": merchantID, "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
		"result_code": "SUCCESS", "openid": openID, "is_subscribe": "N", "trade_type": "JSAPI", "bank_type": "OTHERS", "total_fee": "1999",
		"cash_fee": "1899", "coupon_fee": "100", "coupon_count": "1", "coupon_id_0": "109519", "coupon_type_0": "NO_CASH", "coupon_fee_0": "100",
		"fee_type": "CNY", "transaction_id": "4200000001202611200000000001", "out_trade_no": "ORDER-000001", "attach": "a=1&b=<2> ]",
		"time_end": "20261120160000", "a_new_field": "0",
	}
}

// answered is an answer of success to any request.
func answered(more m) m {
	return m{
		"return_code": "SUCCESS", "return_msg": "OK", "appid": appID, "mch_id": merchantID, "nonce_str": "IITRi8Iabbblz1Jc", "result_code": "SUCCESS",
	}.with(more)
}

// request is what arrived.
type request struct {
	path     string
	fields   m
	certName string // of the client certificate
	problem  string
}

// fake is the server. Tests say what it answers; it signs what they have not signed.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	key      string
	answer   func(r request) m // signed as the request was, unless it has a sign, "-" for none
	raw      http.HandlerFunc  // takes the place of answer
	requests []request
}

func newFake() *fake {
	f := &fake{key: keyText}
	f.Server = httptest.NewUnstartedServer(f)
	f.Server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	return f
}

// startFake starts a server that fails the test where a request was not signed as WeChat Pay asks.
func startFake(t *testing.T) *fake {
	t.Helper()
	f := newFake()
	f.Start()
	f.closeAfter(t)
	return f
}

func (f *fake) closeAfter(t *testing.T) {
	t.Cleanup(func() {
		f.Close()
		for _, r := range f.requests {
			if r.problem != "" {
				t.Errorf("request to %s: %s", r.path, r.problem)
			}
		}
	})
}

func (f *fake) set(answer func(request) m) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer, f.raw = answer, nil
}

// last returns the request that came last.
func (f *fake) last() request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[len(f.requests)-1]
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.requests)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	in := request{path: r.URL.Path}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		in.certName = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	in.fields, err = readXML(string(body))
	want := signText(in.fields["sign_type"], f.key, in.fields.text())
	switch {
	case err != nil:
		in.problem = err.Error()
	case in.fields["sign"] != want:
		in.problem = "the sign does not fit what arrived"
	case r.Method != http.MethodPost || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "text/xml; charset=utf-8":
		in.problem = "it is no POST of XML"
	case !strings.HasPrefix(r.Header.Get("User-Agent"), "fenhao/"):
		in.problem = "User-Agent is " + r.Header.Get("User-Agent")
	case in.fields["mch_id"] != merchantID || in.fields["appid"] == "" || len(in.fields["nonce_str"]) < 16 || len(in.fields["nonce_str"]) > 32:
		in.problem = "a common field is wrong"
	}
	for k, v := range in.fields {
		if v == "" {
			in.problem = k + " was sent empty"
		}
	}
	f.mu.Lock()
	f.requests = append(f.requests, in)
	answer, raw := f.answer, f.raw
	f.mu.Unlock()
	if raw != nil {
		raw(w, r)
		return
	}
	out := answer(in)
	switch out["sign"] {
	case "":
		out = out.with(m{"sign": signText(in.fields["sign_type"], f.key, out.text())})
	case "-":
		out = out.with(m{"sign": ""})
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, out.xml()) // the client may be gone on purpose
}

func newClient(t testing.TB, f *fake, c apiv2.Config, opts ...apiv2.Option) *apiv2.Client {
	t.Helper()
	opts = append([]apiv2.Option{apiv2.WithBaseURL(f.URL), apiv2.WithHTTPClient(f.Client()), apiv2.WithClock(func() time.Time { return start })}, opts...)
	client, err := apiv2.NewClient(c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// listening is a client that gets notifications and sends nothing.
func listening(t testing.TB, c apiv2.Config, opts ...apiv2.Option) *apiv2.Client {
	t.Helper()
	client, err := apiv2.NewClient(c, append(opts, apiv2.WithClock(func() time.Time { return start }))...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func order() apiv2.OrderRequest {
	return apiv2.OrderRequest{
		TradeType:     apiv2.TradeJSAPI,
		OpenID:        openID,
		OutTradeNo:    "ORDER-000001",
		Description:   "咖啡 & <tea> ]]> ",
		Total:         1999,
		PayerClientIP: "203.0.113.7",
		NotifyURL:     "https://pay.example.com/notify/wechat/1900007291/v2",
	}
}

// authority signs client certificates, as WeChat Pay's own does.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var newAuthority = sync.OnceValue(func() authority {
	key := newECKey()
	cert := issue(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: start.AddDate(-10, 0, 0), NotAfter: start.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}, nil, key, key)
	return authority{cert, key}
})

func newECKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func issue(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

// merchantCertificate is the certificate of a merchant, good until the given time.
func merchantCertificate(name string, until time.Time) tls.Certificate {
	a, key := newAuthority(), newECKey()
	cert := issue(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: start.AddDate(-5, 0, 0), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// sealRefund encrypts a refund notification's inner part as WeChat Pay does.
func sealRefund(key, plain string) string {
	block, err := aes.NewCipher([]byte(hex.EncodeToString(func() []byte { s := md5.Sum([]byte(key)); return s[:] }())))
	if err != nil {
		panic(err)
	}
	n := 16 - len(plain)%16
	data := append([]byte(plain), bytes.Repeat([]byte{byte(n)}, n)...)
	for i := 0; i < len(data); i += 16 {
		block.Encrypt(data[i:], data[i:])
	}
	return base64.StdEncoding.EncodeToString(data)
}

// refunded is the inner part of a refund notification.
func refunded() m {
	return m{
		"transaction_id": "4200000001202611200000000001", "out_trade_no": "ORDER-000001", "refund_id": "50300000012026112000000000001",
		"out_refund_no": "REFUND-000001", "total_fee": "1999", "refund_fee": "999", "settlement_refund_fee": "999", "settlement_total_fee": "1999",
		"refund_status": "SUCCESS", "success_time": "2026-11-20 16:00:00", "refund_recv_accout": "招商银行信用卡8915",
		"refund_account": "REFUND_SOURCE_RECHARGE_FUNDS", "refund_request_source": "API",
	}
}

func (a m) root() string {
	return strings.NewReplacer("<xml>", "<root>", "</xml>", "</root>").Replace(a.xml())
}

// refundNotification is a whole refund notification.
func refundNotification(key, inner string) m {
	return m{"return_code": "SUCCESS", "appid": appID, "mch_id": merchantID, "nonce_str": "TeqClE3i0mvn3DrK", "req_info": sealRefund(key, inner)}
}
