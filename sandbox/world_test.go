package sandbox

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// oneMerchant is a complete merchant that all tests share, since keys are slow to make.
var oneMerchant = sync.OnceValue(func() Merchant {
	s, err := New(Options{Seed: 1})
	if err != nil {
		panic(err)
	}
	defer func() { _ = s.Close() }()
	return s.Merchants()[0]
})

// world is a sandbox on a loopback listener with a merchant's program and a place for its notifications.
type world struct {
	*Sandbox
	t        *testing.T
	url      string
	merchant Merchant
	app      App
	shop     *shop
	wire     http.RoundTripper // to the sandbox
}

// newWorld starts one. Options without merchants get the shared one.
func newWorld(t *testing.T, o Options) *world {
	t.Helper()
	if o.Merchants == nil {
		o.Merchants = []Merchant{oneMerchant()}
	}
	if o.Seed == 0 {
		o.Seed = 7
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	m := s.Merchants()[0]
	return &world{Sandbox: s, t: t, url: server.URL, merchant: m, app: m.Apps[0], shop: newShop(t), wire: http.DefaultTransport}
}

// newBubble is newWorld without sockets, for the fake time of synctest. It ends with the sandbox closed.
func newBubble(t *testing.T, o Options, in func(w *world)) {
	t.Helper()
	o.Merchants, o.Seed = []Merchant{oneMerchant()}, 7 // made outside the bubble
	synctest.Test(t, func(t *testing.T) {
		shop := &shop{url: "https://shop.example.com/notify", arrived: make(chan struct{}, 1000)}
		o.Client = &http.Client{Transport: wireTo{shop}}
		s, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		m := s.Merchants()[0]
		in(&world{Sandbox: s, t: t, url: "http://127.0.0.1", merchant: m, app: m.Apps[0], shop: shop, wire: wireTo{s}})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// wireTo is a connection to a handler without a socket.
type wireTo struct{ handler http.Handler }

var errCut = errors.New("the connection was cut")

func (w wireTo) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	type outcome struct {
		answer *http.Response
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		recorder := httptest.NewRecorder()
		defer func() {
			if cut := recover(); cut != nil {
				done <- outcome{nil, errCut}
			}
		}()
		in := r.Clone(r.Context())
		if in.Body == nil {
			in.Body = http.NoBody
		}
		in.RequestURI = r.URL.RequestURI()
		in.Host = r.URL.Host
		w.handler.ServeHTTP(recorder, in)
		done <- outcome{recorder.Result(), nil}
	}()
	select {
	case o := <-done:
		return o.answer, o.err
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// shop receives notifications.
type shop struct {
	url string

	mu       sync.Mutex
	answer   func(n int) int // status of the n-th notification, from 0; nil is 204, 0 is silence
	reply    string          // body of every answer
	received []*received
	arrived  chan struct{}
}

type received struct {
	at     time.Time
	header http.Header
	body   []byte
}

func newShop(t *testing.T) *shop {
	s := &shop{arrived: make(chan struct{}, 1000)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL + "/notify"
	return s
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	n := len(s.received)
	s.received = append(s.received, &received{time.Now(), r.Header, body})
	status := http.StatusNoContent
	if s.answer != nil {
		status = s.answer(n)
	}
	reply := s.reply
	s.mu.Unlock()
	s.arrived <- struct{}{}
	if status == 0 {
		<-r.Context().Done()
		return
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, reply) // a sandbox that gave up doesn't matter
}

func (s *shop) all() []*received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*received(nil), s.received...)
}

// signed is a request to v3 before it is sent: a test changes what it wants to see refused.
type signed struct {
	method, target string
	body           string
	header         http.Header
	key            *rsa.PrivateKey
	mchid, serial  string
	at             time.Time
	nonce          string
	authorization  func(string) string // changes the finished header
	host           string              // under which the sandbox is called; "" is its own
}

// request makes one as the manual says, without any code of the package.
func (w *world) request(method, target, body string) *signed {
	block, _ := pem.Decode([]byte(w.merchant.PrivateKey))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	h := http.Header{"Accept": {"application/json"}, "User-Agent": {"test"}}
	if method == "POST" {
		h.Set("Content-Type", "application/json")
	}
	return &signed{method: method, target: target, body: body, header: h, key: key.(*rsa.PrivateKey), mchid: w.merchant.ID,
		serial: w.merchant.CertificateSerial, at: w.clock(), nonce: rand.Text()}
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func (q *signed) send(w *world) reply {
	w.t.Helper()
	message := fmt.Sprintf("%s\n%s\n%d\n%s\n%s\n", q.method, q.target, q.at.Unix(), q.nonce, q.body)
	sum := sha256.Sum256([]byte(message))
	signature, err := rsa.SignPKCS1v15(nil, q.key, crypto.SHA256, sum[:])
	if err != nil {
		w.t.Fatal(err)
	}
	authorization := fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="%s",nonce_str="%s",signature="%s",timestamp="%d",serial_no="%s"`,
		q.mchid, q.nonce, base64.StdEncoding.EncodeToString(signature), q.at.Unix(), q.serial)
	if q.authorization != nil {
		authorization = q.authorization(authorization)
	}
	r, err := http.NewRequest(q.method, w.url+q.target, strings.NewReader(q.body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header, r.Host = q.header, q.host
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return w.do(r)
}

func (w *world) do(r *http.Request) reply {
	answer, err := w.wire.RoundTrip(r)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header, body, err}
}

// call sends a rightly signed request.
func (w *world) call(method, target, body string) reply {
	w.t.Helper()
	return w.request(method, target, body).send(w)
}

// wechatKey is the public key of that serial, as the merchant has it.
func (w *world) wechatKey(serial string) *rsa.PublicKey {
	m := w.Merchants()[0]
	for _, p := range m.PlatformCertificates {
		if p.Serial == serial {
			block, _ := pem.Decode([]byte(p.Certificate))
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				w.t.Fatal(err)
			}
			return cert.PublicKey.(*rsa.PublicKey)
		}
	}
	if serial == m.PublicKeyID {
		block, _ := pem.Decode([]byte(m.PublicKey))
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			w.t.Fatal(err)
		}
		return key.(*rsa.PublicKey)
	}
	return nil
}

// genuine tells whether WeChat Pay signed this.
func (w *world) genuine(h http.Header, body []byte) bool {
	key := w.wechatKey(h.Get("Wechatpay-Serial"))
	if key == nil {
		return false
	}
	signature, err := base64.StdEncoding.DecodeString(h.Get("Wechatpay-Signature"))
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(h.Get("Wechatpay-Timestamp") + "\n" + h.Get("Wechatpay-Nonce") + "\n" + string(body) + "\n"))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
}

// orderBody is a right order, with changes: a nil takes a field out.
func (w *world) orderBody(number string, changes map[string]any) string {
	w.t.Helper()
	openID, err := w.OpenID(w.app.ID, "alice")
	if err != nil {
		w.t.Fatal(err)
	}
	fields := map[string]any{
		"appid": w.app.ID, "mchid": w.merchant.ID, "description": "一杯咖啡", "out_trade_no": number,
		"notify_url": w.shop.url, "amount": map[string]any{"total": 998, "currency": "CNY"}, "payer": map[string]any{"openid": openID},
	}
	for name, v := range changes {
		if v == nil {
			delete(fields, name)
		} else {
			fields[name] = v
		}
	}
	b, err := json.Marshal(fields)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// place orders and returns the prepay_id.
func (w *world) place(number string, changes map[string]any) string {
	w.t.Helper()
	r := w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody(number, changes))
	if r.status != 200 || !w.genuine(r.header, r.body) {
		w.t.Fatalf("prepay: %d %s %v, genuine: %v", r.status, r.body, r.err, w.genuine(r.header, r.body))
	}
	var out struct {
		PrepayID string `json:"prepay_id"`
	}
	if err := json.Unmarshal(r.body, &out); err != nil {
		w.t.Fatal(err)
	}
	return out.PrepayID
}

// payment is what a mini program passes to wx.requestPayment for alice.
func (w *world) payment(prepayID string) PaymentRequest {
	p := PaymentRequest{AppID: w.app.ID, User: "alice", TimeStamp: fmt.Sprint(w.clock().Unix()), NonceStr: rand.Text(),
		Package: "prepay_id=" + prepayID, SignType: "RSA"}
	sum := sha256.Sum256([]byte(p.AppID + "\n" + p.TimeStamp + "\n" + p.NonceStr + "\n" + p.Package + "\n"))
	signature, err := rsa.SignPKCS1v15(nil, w.request("GET", "/", "").key, crypto.SHA256, sum[:])
	if err != nil {
		w.t.Fatal(err)
	}
	p.PaySign = base64.StdEncoding.EncodeToString(signature)
	return p
}

// pay orders and lets alice pay.
func (w *world) pay(number string) {
	w.t.Helper()
	w.payWith(w.place(number, nil))
}

func (w *world) payWith(prepayID string) {
	w.t.Helper()
	result, err := w.RequestPayment(w.payment(prepayID))
	if err != nil || !result.OK() {
		w.t.Fatalf("pay: %+v, %v", result, err)
	}
}

// idle waits until the notifications that are due have been sent.
func (w *world) idle() {
	w.t.Helper()
	if err := w.Idle(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// control calls the control API and reads the answer into out.
func (w *world) control(method, path string, in, out any) int {
	w.t.Helper()
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			w.t.Fatal(err)
		}
	}
	r, err := http.NewRequest(method, w.url+"/sandbox/v1/"+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	answer := w.do(r)
	if answer.err != nil {
		w.t.Fatal(answer.err)
	}
	if out != nil {
		if err := json.Unmarshal(answer.body, out); err != nil {
			w.t.Fatalf("%s %s answers %d %s: %v", method, path, answer.status, answer.body, err)
		}
	}
	return answer.status
}

// code is the error code in an answer.
func (r reply) code() string {
	var e struct{ Code string }
	_ = json.Unmarshal(r.body, &e) // no JSON is no code
	return e.Code
}

// message is the error text in an answer.
func (r reply) message() string {
	var e struct{ Message string }
	_ = json.Unmarshal(r.body, &e) // no JSON is no message
	return e.Message
}

// httpRequest is a request with nothing but the headers of an order.
func (w *world) httpRequest() *http.Request {
	r := httptest.NewRequest("POST", "/v3/pay/transactions/jsapi", nil)
	r.Header.Set("Content-Type", "application/json")
	return r
}

// exchangeRequest is a right exchange of a code.
func (w *world) exchangeRequest(code string) *http.Request {
	return httptest.NewRequest("GET", "/sns/jscode2session?appid="+w.app.ID+"&secret="+w.app.Secret+"&js_code="+code+"&grant_type=authorization_code", nil)
}
