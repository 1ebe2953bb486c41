package wechatpay_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

// This file is WeChat Pay as far as these tests need it. It signs, encrypts and verifies on its own, from the standard
// library and the manual, so that a mistake of the package can't hide behind itself.

const (
	merchantID     = "1900007291"
	merchantSerial = "408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB"
	apiv3Text      = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb"
	publicKeyID    = "PUB_KEY_ID_0114232134912410000000000000"
)

// start is the time at which these tests begin.
var start = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: start} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// readVector reads one file of published examples.
func readVector(name string, v any) {
	b, err := os.ReadFile("../testdata/vectors/" + name)
	if err != nil {
		panic(err) // a missing example must not pass for a test
	}
	if err := json.Unmarshal(b, v); err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
}

// testKey reads a private key of the published examples.
func testKey(file string) func() *rsa.PrivateKey {
	return sync.OnceValue(func() *rsa.PrivateKey {
		var v struct {
			PrivateKey string `json:"private_key"`
		}
		readVector(file, &v)
		b, _ := pem.Decode([]byte(v.PrivateKey))
		k, err := x509.ParsePKCS8PrivateKey(b.Bytes)
		if err != nil {
			panic(err)
		}
		return k.(*rsa.PrivateKey)
	})
}

func generateKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

var (
	merchantKey  = testKey("v3-sign.json")
	platformKeyA = testKey("v3-testkey.json")
	platformKeyB = sync.OnceValue(generateKey)
	strangerKey  = sync.OnceValue(generateKey)
)

// certificate makes a platform certificate.
func certificate(key *rsa.PrivateKey, serial string, from, to time.Time) *x509.Certificate {
	n, ok := new(big.Int).SetString(serial, 16)
	if !ok {
		panic(serial)
	}
	template := &x509.Certificate{SerialNumber: n, Subject: pkix.Name{CommonName: "Tenpay.com sign"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return c
}

func certificatePEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// signer is one key of WeChat Pay's.
type signer struct {
	serial string
	key    *rsa.PrivateKey
	cert   *x509.Certificate // nil in public-key mode
}

const (
	serialA = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
	serialB = "0157F09EFDC096DE15EBE81A47057A7232F1B8E2"
)

var (
	signerA = sync.OnceValue(func() signer {
		return signer{serialA, platformKeyA(), certificate(platformKeyA(), serialA, start.AddDate(-4, 0, 0), start.AddDate(0, 0, 10))}
	})
	signerB = sync.OnceValue(func() signer {
		return signer{serialB, platformKeyB(), certificate(platformKeyB(), serialB, start.AddDate(0, 0, -1), start.AddDate(5, 0, 0))}
	})
	signerPublic = sync.OnceValue(func() signer { return signer{publicKeyID, platformKeyB(), nil} })
)

func (s signer) sign(message string) string {
	digest := sha256.Sum256([]byte(message))
	b, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// header signs a message of WeChat Pay's. The same message has the same header, so that fuzzing can repeat it.
func (s signer) header(at time.Time, body string) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	nonce := fmt.Sprintf("%X", sha256.Sum256([]byte(timestamp+body)))[:32]
	h := http.Header{}
	h.Set("Wechatpay-Timestamp", timestamp)
	h.Set("Wechatpay-Nonce", nonce)
	h.Set("Wechatpay-Serial", s.serial)
	h.Set("Wechatpay-Signature", s.sign(timestamp+"\n"+nonce+"\n"+body+"\n"))
	h.Set("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048")
	return h
}

// seal encrypts as WeChat Pay does, with any length of nonce but 0.
func seal(key, nonce, associatedData, plain string) string {
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		panic(err)
	}
	size := max(len(nonce), 1)
	gcm, err := cipher.NewGCMWithNonceSize(block, size)
	if err != nil {
		panic(err)
	}
	n := make([]byte, size)
	copy(n, nonce)
	return base64.StdEncoding.EncodeToString(gcm.Seal(nil, n, []byte(plain), []byte(associatedData)))
}

// certificateList is the body of GET /v3/certificates.
func certificateList(key string, signers ...signer) string {
	var items []string
	for _, s := range signers {
		items = append(items, fmt.Sprintf(
			`{"serial_no":%q,"effective_time":"2026-01-01T00:00:00+08:00","expire_time":"2031-01-01T00:00:00+08:00",`+
				`"encrypt_certificate":{"algorithm":"AEAD_AES_256_GCM","nonce":"61f9c719728a","associated_data":"certificate","ciphertext":%q}}`,
			s.serial, seal(key, "61f9c719728a", "certificate", certificatePEM(s.cert))))
	}
	return `{"data":[` + strings.Join(items, ",") + `]}`
}

// notification is the body of a notification.
func notification(eventType, originalType, plain string) string {
	return fmt.Sprintf(`{"id":"3119dfba-e649-5eec-ab1e-3412bc4d2e17","create_time":"2026-11-20T16:00:00+08:00","resource_type":"encrypt-resource",`+
		`"event_type":%q,"summary":"支付成功","resource":{"original_type":%q,"algorithm":"AEAD_AES_256_GCM","ciphertext":%q,"associated_data":%q,"nonce":"Kj7QIyUiYx1q"}}`,
		eventType, originalType, seal(apiv3Text, "Kj7QIyUiYx1q", originalType, plain), originalType)
}

const paidJSON = `{"appid":"wx8888888888888888","mchid":"1900007291","out_trade_no":"ORDER-000001","transaction_id":"4200000001202611200000000001",` +
	`"trade_type":"JSAPI","trade_state":"SUCCESS","trade_state_desc":"支付成功","bank_type":"OTHERS","attach":"a&b","success_time":"2026-11-20T16:00:00+08:00",` +
	`"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},"amount":{"total":1999,"payer_total":1899,"currency":"CNY","payer_currency":"CNY"},"new_field":{"x":1}}`

// fake is the server. Its zero fields are calm; tests ask for the weather they want.
type fake struct {
	*httptest.Server
	clock *clock

	mu       sync.Mutex
	signWith signer
	listed   []signer
	listKey  string
	answer   func(r *http.Request, body string) (status int, answer string)
	raw      http.HandlerFunc // takes the place of everything
	alter    func(h http.Header, body *string)
	requests []string // "METHOD target"
	problems []string
	onList   func() // called for each download of certificates
}

func newFake(c *clock) *fake {
	f := &fake{clock: c, signWith: signerA(), listed: []signer{signerA()}, listKey: apiv3Text}
	f.Server = httptest.NewServer(f)
	return f
}

// startFake is newFake for tests: it fails those whose requests were not signed as WeChat Pay asks.
func startFake(t *testing.T, c *clock) *fake {
	t.Helper()
	f := newFake(c)
	t.Cleanup(func() {
		f.Close()
		for _, p := range f.problems {
			t.Errorf("request: %s", p)
		}
	})
	return f
}

func (f *fake) set(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fake) count(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

var authorizationForm = regexp.MustCompile(`^WECHATPAY2-SHA256-RSA2048 mchid="(\d+)",nonce_str="([0-9A-Za-z]{16,32})",signature="([0-9A-Za-z+/=]{344})",timestamp="(\d{10})",serial_no="([0-9A-F]{40})"$`)

func (f *fake) authenticate(r *http.Request, body []byte) string {
	m := authorizationForm.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return "Authorization has another form: " + r.Header.Get("Authorization")
	}
	if m[1] != merchantID || m[5] != merchantSerial {
		return "Authorization names another merchant or certificate"
	}
	if m[4] != strconv.FormatInt(f.clock.Now().Unix(), 10) {
		return "Authorization has another time: " + m[4]
	}
	signature, err := base64.StdEncoding.DecodeString(m[3])
	if err != nil {
		return err.Error()
	}
	signed, wantType := body, "application/json"
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data; boundary=") {
		wantType = r.Header.Get("Content-Type")
		if signed, err = metaOf(r, body); err != nil {
			return err.Error()
		}
	}
	digest := sha256.Sum256([]byte(r.Method + "\n" + r.RequestURI + "\n" + m[4] + "\n" + m[2] + "\n" + string(signed) + "\n"))
	if err := rsa.VerifyPKCS1v15(&merchantKey().PublicKey, crypto.SHA256, digest[:], signature); err != nil {
		return "the signature does not fit what arrived"
	}
	switch {
	case isFile(r) && (r.Header.Get("Accept") != "*/*" || r.Header.Get("Accept-Encoding") != "identity"):
		return "Accept and Accept-Encoding of a file are " + r.Header.Get("Accept") + ", " + r.Header.Get("Accept-Encoding")
	case !isFile(r) && r.Header.Get("Accept") != "application/json":
		return "Accept is " + r.Header.Get("Accept")
	case !strings.HasPrefix(r.Header.Get("User-Agent"), "fenhao/"):
		return "User-Agent is " + r.Header.Get("User-Agent")
	case len(body) > 0 && r.Header.Get("Content-Type") != wantType:
		return "Content-Type is " + r.Header.Get("Content-Type")
	}
	return ""
}

// isFile reports whether a request asks for a file, which is not signed.
func isFile(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/v3/billdownload/") ||
		r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v3/merchant-service/images/")
}

// metaOf returns the first part of an upload, and compares the hash in it with the file in the second.
func metaOf(r *http.Request, body []byte) ([]byte, error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	form, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(1 << 20)
	if err != nil {
		return nil, err
	}
	var meta struct{ Filename, SHA256 string }
	text := form.Value["meta"]
	if len(text) != 1 || json.Unmarshal([]byte(text[0]), &meta) != nil || len(form.File["file"]) != 1 {
		return nil, fmt.Errorf("the upload has another form: %q", body)
	}
	file, err := form.File["file"][0].Open()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	if sum := fmt.Sprintf("%x", sha256.Sum256(data)); err != nil || sum != meta.SHA256 || form.File["file"][0].Filename != meta.Filename {
		return nil, fmt.Errorf("the file is not the one that meta names: %s, %v", text[0], err)
	}
	return []byte(text[0]), nil
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+r.RequestURI)
	if p := f.authenticate(r, body); p != "" {
		f.problems = append(f.problems, r.Method+" "+r.RequestURI+": "+p)
	}
	raw, reply, alter, with, onList := f.raw, f.answer, f.alter, f.signWith, f.onList
	status, text := http.StatusOK, ""
	if r.URL.Path == "/v3/certificates" {
		raw = nil
		if reply != nil && len(f.listed) == 0 {
			status, text = reply(r, "")
		} else {
			text = certificateList(f.listKey, f.listed...)
		}
	}
	f.mu.Unlock()
	if r.URL.Path == "/v3/certificates" && onList != nil {
		onList()
	}
	if raw != nil {
		raw(w, r)
		return
	}
	if r.URL.Path != "/v3/certificates" && reply != nil {
		status, text = reply(r, string(body))
	}
	header := http.Header{}
	if status < 300 && !isFile(r) {
		header = with.header(f.clock.Now(), text)
	}
	header.Set("Request-Id", "08F79CCBA90610C9021887B6D2D401-0")
	if alter != nil && r.URL.Path != "/v3/certificates" {
		alter(header, &text)
	}
	for k, v := range header {
		w.Header()[k] = v
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the client may be gone on purpose
}

// config is that of a merchant with platform certificates.
func config() wechatpay.Config {
	apiv3, err := wechatpay.NewAPIv3Key(apiv3Text)
	if err != nil {
		panic(err)
	}
	return wechatpay.Config{
		MerchantID:        merchantID,
		CertificateSerial: merchantSerial,
		PrivateKey:        merchantKey(),
		APIv3Key:          apiv3,
	}
}

// publicKeyConfig is that of a merchant in public-key mode.
func publicKeyConfig() wechatpay.Config {
	c := config()
	c.PublicKeyID, c.PublicKey = publicKeyID, &platformKeyB().PublicKey
	return c
}

func newClient(t *testing.T, f *fake, c wechatpay.Config, opts ...wechatpay.Option) *wechatpay.Client {
	t.Helper()
	opts = append([]wechatpay.Option{wechatpay.WithBaseURL(f.URL), wechatpay.WithClock(f.clock.Now), wechatpay.WithHTTPClient(f.Client())}, opts...)
	client, err := wechatpay.NewClient(c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func order() wechatpay.PrepayRequest {
	return wechatpay.PrepayRequest{
		AppID:       "wx8888888888888888",
		OpenID:      "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
		OutTradeNo:  "ORDER-000001",
		Description: "咖啡 & <tea>",
		Total:       1999,
		NotifyURL:   "https://pay.example.com/notify/wechat/1900007291/v3",
	}
}
