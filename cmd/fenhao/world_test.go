package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/sandbox"
)

// A world is a whole installation inside of one synctest bubble: the real service on a real database, the sandbox as
// WeChat, and an in-process network between them. Time is the bubble's, so that days pass in milliseconds and the same
// test takes the same steps each time.
type world struct {
	t       *testing.T
	wx      *sandbox.Sandbox
	network *network
	parts   parts
	*service
	stop   func()
	apiKey string
}

const (
	serviceURL = "http://127.0.0.1:1"
	sandboxURL = "http://127.0.0.1:2"
)

// keys are made once for all worlds: RSA keys are slow to make. Certificates are valid from the moment at which the time
// of every bubble begins.
var keys = sync.OnceValues(func() ([]sandbox.Merchant, error) {
	wx, err := sandbox.New(sandbox.Options{Clock: func() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }})
	if err != nil {
		return nil, err
	}
	defer wx.Close()
	if _, err := wx.AddMerchant(sandbox.Merchant{ID: "1900000002"}); err != nil {
		return nil, err
	}
	return wx.Merchants(), nil
})

// inWorld runs a test in a world of its own.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	merchants, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, network: &network{hosts: map[string]http.Handler{}}}
		w.wx, err = sandbox.New(sandbox.Options{Seed: 1, Client: &http.Client{Transport: w.network}, Merchants: merchants})
		if err != nil {
			t.Fatal(err)
		}
		defer w.wx.Close()
		w.wx.SetBaseURL(sandboxURL)
		w.network.serve(sandboxURL, w.wx)
		w.parts, err = devParts(t.TempDir(), w.wx, serviceURL, sandboxURL, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		w.parts.transport = w.network
		w.start()
		defer func() { w.stop() }()
		w.apiKey, err = devSeed(t.Context(), w.cashier, filepath.Dir(strings.TrimPrefix(w.parts.database, "sqlite:")))
		if err != nil {
			t.Fatal(err)
		}
		test(t, w)
	})
}

// start runs the service; the world's stop ends it. Both may be repeated: the data stay.
func (w *world) start() {
	w.t.Helper()
	after(time.Millisecond) // no process starts within the millisecond in which another one ended
	ctx, cancel := context.WithCancel(context.Background())
	s, err := assemble(ctx, w.parts)
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	w.service = s
	w.network.serve(serviceURL, s.handler)
	worked := s.work(ctx)
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			w.network.serve(serviceURL, nil)
			cancel()
			<-worked
			if err := s.Close(); err != nil {
				w.t.Error(err)
			}
		})
	}
}

// network carries requests between the hosts of a world.
type network struct {
	mu    sync.Mutex
	hosts map[string]http.Handler
	seen  []exchange
	spy   func(host string, r *http.Request, body []byte) // sees each request before its host does
}

// exchange is a request that went over the network.
type exchange struct {
	host, method, target string
	header               http.Header
	body                 []byte
	status               int
}

func (n *network) serve(address string, h http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[strings.TrimPrefix(address, "http://")] = h
}

// requests returns what was sent so far whose target contains part.
func (n *network) requests(part string) []exchange {
	n.mu.Lock()
	defer n.mu.Unlock()
	var some []exchange
	for _, e := range n.seen {
		if strings.Contains(e.target, part) {
			some = append(some, e)
		}
	}
	return some
}

// RoundTrip implements http.RoundTripper. A handler that aborts is a connection that breaks.
func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	n.mu.Lock()
	h, spy := n.hosts[r.URL.Host], n.spy
	n.mu.Unlock()
	if spy != nil {
		spy(r.URL.Host, r, body)
	}
	if h == nil {
		return nil, fmt.Errorf("dial %s: connection refused", r.URL.Host)
	}
	in := httptest.NewRequest(r.Method, r.URL.RequestURI(), bytes.NewReader(body)).WithContext(r.Context())
	in.Header, in.Host, in.RemoteAddr = r.Header.Clone(), r.URL.Host, "127.0.0.1:9"
	out, broken := httptest.NewRecorder(), make(chan any, 1)
	go func() {
		defer func() { broken <- recover() }()
		h.ServeHTTP(out, in)
	}()
	select {
	case p := <-broken:
		if p != nil {
			return nil, fmt.Errorf("the connection broke: %w (%v)", io.ErrUnexpectedEOF, p)
		}
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen = append(n.seen, exchange{r.URL.Host, r.Method, r.URL.RequestURI(), r.Header, body, out.Code})
	return out.Result(), nil
}

// call sends a request to the service, as a client or a backend would, and reads the answer into v.
func (w *world) call(method, path, token string, body, v any, header ...string) int {
	w.t.Helper()
	var text []byte
	switch b := body.(type) {
	case nil:
	case string:
		text = []byte(b)
	default:
		var err error
		if text, err = json.Marshal(b); err != nil {
			w.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, serviceURL+path, bytes.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	if text != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Accept-Language", "en")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := w.network.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if v != nil {
		if err := json.Unmarshal(answer, v); err != nil {
			w.t.Fatalf("%s %s answered %d %s: %v", method, path, resp.StatusCode, answer, err)
		}
	}
	return resp.StatusCode
}

// buyer is a person with a phone, logged in.
type buyer struct {
	*world
	name  string
	token string
	app   string
}

func (w *world) buyer(name string) *buyer {
	w.t.Helper()
	app := w.parts.merchants[0].appIDs()[0]
	code, err := w.wx.Login(app, name)
	if err != nil {
		w.t.Fatal(err)
	}
	var s struct {
		Token string
		User  struct{ ID string }
	}
	if status := w.call("POST", "/mp/v1/login", "", map[string]string{"app_id": app, "code": code}, &s); status != 200 || s.Token == "" || s.User.ID == "" {
		w.t.Fatalf("login: %d %+v", status, s)
	}
	return &buyer{w, name, s.Token, app}
}

// placed is what ordering answers.
type placed struct {
	Order   pay.OrderView
	Payment map[string]string
}

// product returns the first product of the shop.
func (b *buyer) product() pay.ProductView {
	b.t.Helper()
	var list struct{ Data []pay.ProductView }
	if status := b.call("GET", "/mp/v1/products", b.token, nil, &list); status != 200 || len(list.Data) != len(goods) {
		b.t.Fatalf("products: %d %+v", status, list)
	}
	return list.Data[0]
}

// order buys n of the first product.
func (b *buyer) order(n int) placed {
	b.t.Helper()
	p, status := b.try(n, rand.Text())
	if status != 201 {
		b.t.Fatalf("order: %d", status)
	}
	return p
}

// try orders n of the first product with an idempotency key, and returns what came of it.
func (b *buyer) try(n int, key string) (placed, int) {
	b.t.Helper()
	var p placed
	after(time.Millisecond) // what happens later has a later id
	status := b.call("POST", "/mp/v1/orders", b.token, map[string]any{"items": []map[string]any{{"product_id": b.product().ID, "quantity": n}}}, &p, "Idempotency-Key", key)
	return p, status
}

// act does on the phone what a user does with the cashier: pay, cancel or fail.
func (b *buyer) act(payment map[string]string, action string) sandbox.PaymentResult {
	b.t.Helper()
	r, err := b.wx.RequestPayment(sandbox.PaymentRequest{AppID: b.app, User: b.name, TimeStamp: payment["timeStamp"], NonceStr: payment["nonceStr"],
		Package: payment["package"], SignType: payment["signType"], PaySign: payment["paySign"], Action: action})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// pays pays, and it must work.
func (b *buyer) pays(p placed) {
	b.t.Helper()
	after(time.Millisecond)
	if r := b.act(p.Payment, "pay"); !r.OK() {
		b.t.Fatalf("the phone says %s (%s)", r.ErrMsg, r.Reason)
	}
}

// look returns the order as its buyer sees it; wait is empty or such as "20s".
func (b *buyer) look(id pay.OrderID, wait string) pay.OrderView {
	b.t.Helper()
	var o pay.OrderView
	path := "/mp/v1/orders/" + string(id)
	if wait != "" {
		path += "?wait=" + wait
	}
	if status := b.call("GET", path, b.token, nil, &o); status != 200 {
		b.t.Fatalf("GET %s: %d", path, status)
	}
	return o
}

// events returns the types of the order's events, oldest first.
func (w *world) events(id pay.OrderID) []string {
	w.t.Helper()
	var list struct{ Data []pay.EventView }
	if status := w.call("GET", "/v1/events?limit=100&order_id="+string(id), w.apiKey, nil, &list); status != 200 {
		w.t.Fatalf("events: %d", status)
	}
	var types []string
	for _, e := range list.Data {
		types = append([]string{string(e.Type)}, types...)
	}
	return types
}

// fault makes the sandbox misbehave.
func (w *world) fault(f sandbox.Fault) {
	w.t.Helper()
	if _, err := w.wx.AddFault(f); err != nil {
		w.t.Fatal(err)
	}
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d) // virtual: every world is a synctest bubble
	synctest.Wait()
}
