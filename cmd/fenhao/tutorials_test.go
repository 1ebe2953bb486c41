package main

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // the zones of TestTheZoneOfTheHostIsIrrelevant, on any machine

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/sandbox"
)

// What published tutorials on mini-program payment get wrong, as whole purchases: docs/tutorials.md has the list.

// watch makes f see each request to WeChat before WeChat does.
func (w *world) watch(f func(r *http.Request, body []byte)) {
	w.network.mu.Lock()
	defer w.network.mu.Unlock()
	w.network.spy = func(host string, r *http.Request, body []byte) {
		if "http://"+host == sandboxURL {
			f(r, body)
		}
	}
}

// told are the orders that WeChat was told of, as they were sent.
func (w *world) told() []map[string]any {
	w.t.Helper()
	var all []map[string]any
	for _, e := range w.network.requests("/v3/pay/transactions/jsapi") {
		var body map[string]any
		if err := json.Unmarshal(e.body, &body); err != nil {
			w.t.Fatalf("%s: %v", e.body, err)
		}
		all = append(all, body)
	}
	return all
}

// signedBy tells whether signature is key's over lines, each with its line break, as the vendor's manual spells it.
// It owes nothing to the SDK.
func signedBy(key *rsa.PrivateKey, signature string, lines ...string) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(signature)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n") + "\n"))
	return err == nil && rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], raw) == nil
}

// Whoever asks last or first, each order is its own user's: nothing about a person is kept but in the session and the order.
func TestEachOrderHasItsOwnPayer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming, hong := w.buyer("ming"), w.buyer("hong")
		orders := map[*buyer][]placed{}
		for range 3 {
			for _, b := range []*buyer{ming, hong} {
				orders[b] = append(orders[b], b.order(1))
			}
			w.buyer("lan") // who only logs in
		}
		payer := map[string]string{}
		for _, body := range w.told() {
			payer[body["out_trade_no"].(string)] = body["payer"].(map[string]any)["openid"].(string)
		}
		if len(payer) != 6 || orders[ming][0].Order.OpenID == orders[hong][0].Order.OpenID {
			t.Fatalf("payers %v", payer)
		}
		for b, all := range orders {
			for _, p := range all {
				if got := payer[p.Order.OutTradeNo]; got != all[0].Order.OpenID || p.Order.OpenID != got {
					t.Errorf("an order of %s's is to be paid by %s", b.name, got)
				}
				other := hong
				if b == hong {
					other = ming
				}
				var problem struct{ Code, Detail string }
				if status := w.call("POST", "/mp/v1/orders/"+string(p.Order.ID)+"/payment", other.token, nil, &problem); status != 404 || problem.Code != "order_not_found" || problem.Detail == "" {
					t.Errorf("%s may pay an order of %s's: %d %+v", other.name, b.name, status, problem)
				}
				b.pays(p)
				synctest.Wait()
				if o := b.look(p.Order.ID, ""); o.Status != pay.Paid || o.Flagged {
					t.Errorf("%+v", o)
				}
			}
		}
	})
}

// The parameters of wx.requestPayment are made when they are issued: the buyer may have looked at the page for minutes.
func TestPaymentParametersAreFresh(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p := ming.order(1)
		key := w.parts.merchants[0].privateKey
		alphabet := regexp.MustCompile(`^[0-9A-Za-z]{16,32}$`)
		nonces := map[string]bool{}
		check := func(m map[string]string) {
			t.Helper()
			if names := slices.Sorted(maps.Keys(m)); !slices.Equal(names, []string{"appId", "nonceStr", "package", "paySign", "signType", "timeStamp"}) {
				t.Fatalf("the parameters are %v", names)
			}
			if m["timeStamp"] != strconv.FormatInt(time.Now().Unix(), 10) || len(m["timeStamp"]) > 32 {
				t.Errorf("timeStamp %s at %d", m["timeStamp"], time.Now().Unix())
			}
			if n := m["nonceStr"]; !alphabet.MatchString(n) || nonces[n] || strings.Contains(n, "undefined") {
				t.Errorf("nonceStr %q after %d others", n, len(nonces))
			}
			nonces[m["nonceStr"]] = true
			if m["signType"] != "RSA" || len(m["package"]) > 128 || !strings.HasPrefix(m["package"], "prepay_id=wx") || len(m["paySign"]) > 512 {
				t.Errorf("%v", m)
			}
			if !signedBy(key, m["paySign"], m["appId"], m["timeStamp"], m["nonceStr"], m["package"]) {
				t.Errorf("the signature is not over what the phone sends: %v", m)
			}
		}
		check(p.Payment)
		const issues = 60
		var last struct{ Payment map[string]string }
		for range issues {
			after(25 * time.Second)
			if status := w.call("POST", "/mp/v1/orders/"+string(p.Order.ID)+"/payment", ming.token, nil, &last); status != 200 || last.Payment["package"] != p.Payment["package"] {
				t.Fatalf("%d %v", status, last)
			}
			check(last.Payment)
		}
		if len(nonces) != issues+1 {
			t.Errorf("%d nonces", len(nonces))
		}
		for _, e := range w.network.requests("/v3/") {
			if nonce := quoted(e.header.Get("Authorization"), "nonce_str"); nonces[nonce] {
				t.Errorf("%s was used for a request, too", nonce)
			}
		}
		after(4 * time.Minute) // and the buyer is slow
		ming.pays(placed{Payment: last.Payment})
	})
}

// quoted is the value of name in an Authorization header.
func quoted(authorization, name string) string {
	_, rest, _ := strings.Cut(authorization, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// What is signed is what is sent, byte for byte, for every kind of request.
func TestRequestsAreSignedAsTheyAreSent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		form := regexp.MustCompile(`^WECHATPAY2-SHA256-RSA2048 mchid="([0-9]+)",nonce_str="([0-9A-Za-z]{16,32})",signature="([0-9A-Za-z+/]+=*)",timestamp="([0-9]{9,10})",serial_no="([0-9A-F]{40})"$`)
		var mu sync.Mutex
		nonces, kinds := map[string]bool{}, map[string]int{}
		w.watch(func(r *http.Request, body []byte) {
			if !strings.HasPrefix(r.URL.Path, "/v3/") {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			all := r.Header.Values("Authorization")
			m := form.FindStringSubmatch(strings.Join(all, "|"))
			if m == nil {
				t.Errorf("%s %s: Authorization %q", r.Method, r.URL, all)
				return
			}
			i := slices.IndexFunc(w.parts.merchants, func(p merchantParts) bool { return p.id == m[1] && p.serial == m[5] })
			if i < 0 || !signedBy(w.parts.merchants[i].privateKey, m[3], r.Method, r.URL.RequestURI(), m[4], m[2], string(body)) {
				t.Errorf("%s %s: the signature is not over %q", r.Method, r.URL.RequestURI(), body)
			}
			if m[4] != strconv.FormatInt(time.Now().Unix(), 10) || nonces[m[2]] {
				t.Errorf("%s %s: timestamp %s at %d, nonce %s", r.Method, r.URL, m[4], time.Now().Unix(), m[2])
			}
			nonces[m[2]] = true
			if r.Header.Get("Accept") != "application/json" || !strings.HasPrefix(r.Header.Get("User-Agent"), "fenhao/") ||
				len(body) > 0 && r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: %v", r.Method, r.URL, r.Header)
			}
			kind := r.Method + " " + r.URL.Path
			for _, part := range []string{"/jsapi", "/close", "/out-trade-no/", "/certificates"} {
				if strings.Contains(r.URL.Path, part) {
					kind = r.Method + " " + part
					break
				}
			}
			kinds[kind]++
		})
		ming := w.buyer("ming")
		var v placed // a text that any other encoding of it would change
		const text = `咖啡 <大杯> & "热" 100% \u0041 +/=é`
		if status := w.call("POST", "/v1/orders", w.apiKey, map[string]any{"app_id": ming.app, "openid": ming.order(1).Order.OpenID, "description": text, "attach": "a=1&b=%3D<x>",
			"amount": map[string]any{"total": 998, "currency": "CNY"}, "out_trade_no": "A-_b0001"}, &v, "Idempotency-Key", "1"); status != 201 {
			t.Fatal(status)
		}
		after(10 * time.Second)
		if status := w.call("POST", "/v1/orders/"+string(v.Order.ID)+"/sync", w.apiKey, nil, nil); status != 200 {
			t.Error(status)
		}
		if status := w.call("POST", "/v1/orders/"+string(v.Order.ID)+"/close", w.apiKey, nil, nil); status != 200 {
			t.Error(status)
		}
		for _, kind := range []string{"POST /jsapi", "POST /close", "GET /out-trade-no/", "GET /certificates"} {
			if kinds[kind] == 0 {
				t.Errorf("no request %s among %v", kind, kinds)
			}
		}
		if body := w.told()[1]; body["description"] != text || body["attach"] != "a=1&b=%3D<x>" {
			t.Errorf("WeChat was told %v", body)
		}
	})
}

// When WeChat hears of an order it is durable here, whatever then becomes of the call.
func TestTheOrderComesBeforeTheCall(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		calls := 0
		w.watch(func(r *http.Request, body []byte) {
			if r.URL.Path != "/v3/pay/transactions/jsapi" {
				return
			}
			calls++
			var v struct {
				MerchantID string `json:"mchid"`
				OutTradeNo string `json:"out_trade_no"`
				Amount     struct{ Total int64 }
				Payer      struct{ OpenID string }
			}
			if err := json.Unmarshal(body, &v); err != nil {
				t.Error(err)
				return
			}
			id, err := w.store.OrderOf(t.Context(), v.MerchantID, v.OutTradeNo)
			if err != nil {
				t.Errorf("WeChat is told of %s, which is not kept: %v", v.OutTradeNo, err)
				return
			}
			if o, err := w.store.Order(t.Context(), id); err != nil || int64(o.Total) != v.Amount.Total || o.OpenID != v.Payer.OpenID || o.Due.IsZero() {
				t.Errorf("WeChat is told %s, and kept is %+v, %v", body, o, err)
			}
		})
		ming := w.buyer("ming")
		ming.order(1)
		w.fault(sandbox.Fault{On: "v3.prepay", Kind: "lose_request"})
		if _, status := ming.try(1, "2"); status != 504 {
			t.Errorf("status %d", status)
		}
		if calls != 4 {
			t.Errorf("%d calls", calls)
		}
	})
}

// A tap that comes twice, or sixteen times at once, is one purchase.
func TestDoubleTapIsOneOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		items := map[string]any{"items": []map[string]any{{"product_id": ming.product().ID, "quantity": 1}}}
		var wait sync.WaitGroup
		got := make([]placed, 16)
		for i := range got {
			wait.Go(func() {
				if status := w.call("POST", "/mp/v1/orders", ming.token, items, &got[i], "Idempotency-Key", "tap"); status != 201 {
					t.Errorf("tap %d: %d", i, status)
				}
			})
		}
		wait.Wait()
		for i, p := range got {
			if p.Order.ID != got[0].Order.ID || p.Order.OutTradeNo != got[0].Order.OutTradeNo {
				t.Errorf("tap %d made %s, the first %s", i, p.Order.ID, got[0].Order.ID)
			}
			// However often WeChat was asked, each set of parameters pays the one order, once.
			if r := ming.act(p.Payment, "pay"); r.OK() != (i == 0) {
				t.Errorf("tap %d: the phone says %s", i, r.ErrMsg)
			}
		}
		synctest.Wait()
		if n := len(w.wx.Payments()); n != 1 {
			t.Errorf("WeChat holds %d orders", n)
		}
		if events := w.events(got[0].Order.ID); !slices.Equal(events, []string{"order.created", "order.paid"}) {
			t.Errorf("events %v", events)
		}
	})
}

// What a merchant attaches comes back to it as it is, and is never read: not by name, not by form.
func TestAttachIsOpaque(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		const attach = "status=paid&total_fee=1&openid=o-hong&__proto__=1&a=b=c&d=%20%"
		var v placed
		if status := w.call("POST", "/v1/orders", w.apiKey, map[string]any{"app_id": ming.app, "openid": ming.order(1).Order.OpenID, "description": "latte", "attach": attach,
			"metadata": map[string]string{"status": "paid"}, "amount": map[string]any{"total": 998, "currency": "CNY"}}, &v, "Idempotency-Key", "1"); status != 201 {
			t.Fatal(status)
		}
		if body := w.told()[1]; body["attach"] != attach {
			t.Errorf("WeChat was told %v", body)
		}
		same := func(o pay.OrderView, status pay.Status) {
			t.Helper()
			if o.Status != status || o.Attach != attach || o.Amount.Total != 998 || o.OpenID != v.Order.OpenID || o.Flagged {
				t.Errorf("%+v", o)
			}
		}
		same(v.Order, pay.Pending)
		i := w.impostor() // and WeChat's word, too, is only carried
		said := payment(v.Order)
		said["attach"] = "status=closed&total=1&out_trade_no=" + v.Order.OutTradeNo
		if got := w.deliver(w.parts.merchants[0].id, i.envelope(encode(t, said), nil)); got != 204 {
			t.Errorf("answered %d", got)
		}
		same(ming.look(v.Order.ID, ""), pay.Paid)
	})
}

// Where WeChat's notifications go is made from the one setting, and leads here.
func TestNotifyURLIsOurs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for n, m := range w.parts.merchants {
			app := m.appIDs()[0]
			code, err := w.wx.Login(app, "ming")
			if err != nil {
				t.Fatal(err)
			}
			var session struct{ Token string }
			w.call("POST", "/mp/v1/login", "", map[string]string{"app_id": app, "code": code}, &session)
			var list struct{ Data []pay.ProductView }
			w.call("GET", "/mp/v1/products", session.Token, nil, &list)
			items := map[string]any{"items": []map[string]any{{"product_id": list.Data[0].ID, "quantity": 1}}}
			if status := w.call("POST", "/mp/v1/orders", session.Token, items, nil, "Idempotency-Key", strconv.Itoa(n), "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https",
				"Forwarded", "host=evil.example", "X-Forwarded-For", "203.0.113.7", "Origin", "https://evil.example", "Referer", "https://evil.example/"); status != 201 {
				t.Fatalf("merchant %s: %d", m.id, status)
			}
			body := w.told()[n]
			if want := w.parts.publicURL + "/notify/wechat/" + m.id + "/v3"; body["notify_url"] != want {
				t.Errorf("notify_url %v, want %s", body["notify_url"], want)
			}
			var answer struct{ Code string }
			target := strings.TrimPrefix(body["notify_url"].(string), w.parts.publicURL)
			if status := w.call("POST", target, "", "{}", &answer); status != 401 || answer.Code != "FAIL" {
				t.Errorf("%s leads to %d %+v", target, status, answer)
			}
			// And nothing of what a header claims about the caller goes to WeChat.
			if text := fmt.Sprint(body); strings.Contains(text, "203.0.113.7") || strings.Contains(text, "evil") {
				t.Errorf("WeChat was told %s", text)
			}
		}
	})
}

// A name of any length becomes a description that WeChat takes, cut between characters.
func TestLongNamesAreCut(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		for n, name := range []string{strings.Repeat("咖", 100), "a" + strings.Repeat("啡", 60), strings.Repeat("x", 100), "商家名称-销售商品类目"} {
			var product pay.ProductView
			if status := w.call("POST", "/v1/products", w.apiKey, map[string]any{"name": name, "price": map[string]any{"total": 1, "currency": "CNY"}}, &product); status != 201 {
				t.Fatal(status)
			}
			for lines := 1; lines <= 2; lines++ {
				items := slices.Repeat([]map[string]any{{"product_id": product.ID, "quantity": 1}}, lines)
				if status := w.call("POST", "/mp/v1/orders", ming.token, map[string]any{"items": items}, nil, "Idempotency-Key", fmt.Sprint(n, lines)); status != 201 {
					t.Errorf("%d lines of %s: %d", lines, name, status)
					continue
				}
				all := w.told()
				got := all[len(all)-1]["description"].(string)
				if begin := strings.TrimSuffix(got, " 等"); len(got) > 127 || !strings.HasPrefix(name, begin) || len(begin) < min(len(name), 120) {
					t.Errorf("%d lines of %s are described as %q (%d bytes)", lines, name, got, len(got))
				}
			}
		}
	})
}

// WeChat takes the call and never answers: each caller is told so within half a minute, and nothing is lost.
func TestEveryCallEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p := ming.order(1)
		fresh, err := w.wx.Login(ming.app, "ming")
		if err != nil {
			t.Fatal(err)
		}
		for _, on := range []string{"login", "v3.prepay", "v3.query", "v3.close"} {
			w.fault(sandbox.Fault{On: on, Kind: "hang"})
		}
		items := map[string]any{"items": []map[string]any{{"product_id": ming.product().ID, "quantity": 1}}}
		for _, c := range []struct {
			path, token string
			body        any
		}{
			{"/mp/v1/login", "", map[string]string{"app_id": ming.app, "code": fresh}},
			{"/mp/v1/orders", ming.token, items},
			{"/v1/orders/" + string(p.Order.ID) + "/sync", w.apiKey, nil},
			{"/mp/v1/orders/" + string(p.Order.ID) + "/close", ming.token, nil},
		} {
			began := time.Now()
			var problem struct{ Code, Detail string }
			status := w.call("POST", c.path, c.token, c.body, &problem, "Idempotency-Key", "k")
			if took := time.Since(began); status != 504 || problem.Code != "wechat_uncertain" || problem.Detail == "" || took > 30*time.Second {
				t.Errorf("%s: %d %+v after %s", c.path, status, problem, took)
			}
		}
		w.wx.ClearFaults()
		if _, status := ming.try(1, "k"); status != 201 {
			t.Errorf("the order again: %d", status)
		}
		ming.pays(p)
		synctest.Wait()
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid {
			t.Errorf("the order is %s", o.Status)
		}
	})
}

// recorder keeps what the service is answered, too.
type recorder struct {
	next http.RoundTripper
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.Write(body)
	return resp, nil
}

// journal is a log that many write to.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

// Purchases of every fate are told in the log by their numbers, and no secret and no person is: at no level.
func TestSecretsStayOutOfTheLog(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		log, wire := &journal{}, &recorder{next: w.network}
		w.stop()
		w.parts.log, w.parts.transport = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), wire
		w.start()

		secrets := map[string]string{"API key": w.apiKey, "secret_key": w.parts.secret}
		for _, m := range w.parts.merchants {
			der, err := x509.MarshalPKCS8PrivateKey(m.privateKey)
			if err != nil {
				t.Fatal(err)
			}
			secrets["APIv3 key of "+m.id], secrets["private key of "+m.id], secrets["private exponent of "+m.id] = m.apiv3Key, base64.StdEncoding.EncodeToString(der)[100:160], m.privateKey.D.String()[:40]
			for app, secret := range m.apps {
				secrets["secret of "+app] = secret
			}
		}
		ming, hong := w.buyer("ming"), w.buyer("hong")
		secrets["session of ming"], secrets["session of hong"] = ming.token, hong.token
		code, err := w.wx.Login(ming.app, "ming")
		if err != nil {
			t.Fatal(err)
		}
		secrets["login code"] = code
		for range 2 { // the second time it is used
			w.call("POST", "/mp/v1/login", "", map[string]string{"app_id": ming.app, "code": code}, nil)
		}
		for _, f := range []sandbox.Fault{
			{}, {On: "v3.prepay", Kind: "lose_response", Count: 1}, {On: "v3.prepay", Kind: "bad_signature", Count: 1}, {On: "v3.prepay", Kind: "error", Status: 500, Count: 1},
			{On: "v3.prepay", Kind: "error", Status: 403, Code: "NO_AUTH", Count: 1}, {On: "v3.prepay", Kind: "error", Status: 400, Code: "PARAM_ERROR", Count: 1},
			{On: "v3.prepay", Kind: "hang", Count: 3}, {On: "v3.query", Kind: "truncate", Count: 2}, {On: "notify.payment", Kind: "bad_signature", Count: 1},
			{On: "notify.payment", Kind: "wrong_amount", Count: 1}, {On: "notify.payment", Kind: "wrong_app", Count: 1}, {On: "login", Kind: "error", Code: "40226", Count: 1},
			{On: "login", Kind: "hang", Count: 1}, {On: "login", Kind: "truncate", Count: 1},
		} {
			if f.Kind != "" {
				w.fault(f)
			}
			if f.On == "login" {
				fresh, err := w.wx.Login(ming.app, "ming")
				if err != nil {
					t.Fatal(err)
				}
				secrets["login code met by "+f.Kind] = fresh
				w.call("POST", "/mp/v1/login", "", map[string]string{"app_id": ming.app, "code": fresh}, nil)
				continue
			}
			p, status := ming.try(1, "k"+f.On+f.Kind+f.Code)
			if status == 201 {
				secrets["openid of ming"] = p.Order.OpenID
				ming.act(p.Payment, "pay")
			}
			after(time.Minute)
			w.wx.ClearFaults()
		}
		secrets["openid of hong"] = hong.order(1).Order.OpenID
		w.call("POST", "/v1/orders", w.apiKey, map[string]any{"app_id": ming.app, "openid": "o-of-nobody-known-here", "description": "latte",
			"amount": map[string]any{"total": 1, "currency": "CNY"}}, nil, "Idempotency-Key", "1")
		secrets["openid of a charge"] = "o-of-nobody-known-here"
		m := ming.intercept(ming.order(1))
		w.deliver(w.parts.merchants[0].id, m.with(func(m *message) { m.body[len(m.body)/2] ^= 1 }))
		w.deliver(w.parts.merchants[1].id, m)
		w.call("GET", "/mp/v1/session", ming.token+"x", nil, nil)
		w.call("GET", "/v1/orders", w.apiKey+"x", nil, nil)
		after(time.Hour)
		w.stop()

		for n, s := range regexp.MustCompile(`"session_key":"([^"]+)"`).FindAllStringSubmatch(wire.text.String(), -1) {
			secrets[fmt.Sprint("session_key ", n)] = strings.ReplaceAll(s[1], `\/`, "/")
		}
		text := log.text.String()
		if secrets["session_key 2"] == "" || secrets["openid of ming"] == "" || strings.Count(text, "\n") < 100 {
			t.Fatalf("%d secrets, %d lines of log", len(secrets), strings.Count(text, "\n"))
		}
		for name, secret := range secrets {
			if len(secret) < 8 {
				t.Fatalf("%s is %q", name, secret)
			}
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("the %s is in the log: %s", name, text[max(0, i-300):min(len(text), i+100)])
			}
		}
		for _, level := range []string{"DEBUG", "INFO", "WARN", "ERROR"} {
			if !strings.Contains(text, `"level":"`+level+`"`) {
				t.Errorf("nothing of level %s was logged", level)
			}
		}
		if !strings.Contains(text, `"order":"ord_`) || !strings.Contains(text, `"request_id":"08`) || !strings.Contains(text, `"request":"req_`) {
			t.Error("the log names no order, no request of WeChat's or none of ours")
		}
	})
}

// No answer of the service tells what is the server's alone, to anybody.
func TestSecretsStayOutOfAnswers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		wire := &recorder{next: w.network}
		w.stop()
		w.parts.transport = wire
		w.start()
		ming, answers := w.buyer("ming"), new(bytes.Buffer)
		p := ming.order(1)
		ming.pays(p)
		synctest.Wait()
		for _, path := range []string{"/mp/v1/session", "/mp/v1/products", "/mp/v1/orders", "/mp/v1/orders/" + string(p.Order.ID), "/mp/v1/orders/x", "/v1/orders", "/v1/orders/" + string(p.Order.ID),
			"/v1/events", "/v1/products", "/openapi.json", "/openapi.yaml", "/healthz", "/livez", "/readyz", "/console/", "/", "/fenhao.yaml", "/.env", "/debug/pprof/", "/metrics"} {
			for _, token := range []string{"", ming.token, w.apiKey} {
				r, err := http.NewRequestWithContext(t.Context(), "GET", serviceURL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+token)
				resp, err := w.network.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := answers.ReadFrom(resp.Body); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintln(answers, resp.Header)
			}
		}
		fmt.Fprintln(answers, p)
		secrets := []string{w.parts.secret, w.apiKey, ming.token}
		for _, m := range w.parts.merchants {
			secrets = append(secrets, m.apiv3Key)
			secrets = slices.AppendSeq(secrets, maps.Values(m.apps))
		}
		keys := regexp.MustCompile(`"session_key":"([^"]+)"`).FindAllStringSubmatch(wire.text.String(), -1)
		for _, s := range keys {
			secrets = append(secrets, strings.ReplaceAll(s[1], `\/`, "/"))
		}
		if len(keys) == 0 || answers.Len() < 10_000 {
			t.Fatalf("%d session keys, %d bytes of answers", len(keys), answers.Len())
		}
		for _, secret := range secrets {
			if i := strings.Index(answers.String(), secret); i >= 0 {
				t.Errorf("an answer holds a secret: %s", answers.String()[max(0, i-200):i+10])
			}
		}
		for _, name := range []string{"session_key", "private_key", "apiv3", "prepay_secret", "PRIVATE KEY"} {
			if strings.Contains(answers.String(), name) {
				t.Errorf("an answer speaks of %s", name)
			}
		}
	})
}

// The zone of the machine changes nothing: the same purchase at the same moment has the same times everywhere, and those
// that are shown or sent are Beijing's.
func TestTheZoneOfTheHostIsIrrelevant(t *testing.T) {
	const told = "the times of a purchase: "
	if os.Getenv("FENHAO_TEST_TELL_TIMES") != "" {
		inWorld(t, func(t *testing.T, w *world) {
			ming := w.buyer("ming")
			p := ming.order(1)
			ming.pays(p)
			synctest.Wait()
			o := ming.look(p.Order.ID, "")
			var raw json.RawMessage
			w.call("GET", "/v1/orders/"+string(o.ID), w.apiKey, nil, &raw)
			var shown struct {
				ExpiresAt string `json:"expires_at"`
				PaidAt    string `json:"paid_at"`
				CreatedAt string `json:"created_at"`
			}
			if err := json.Unmarshal(raw, &shown); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("%s%s | %v %v %s\n", told, time.Unix(946684800, 0).Format("-0700"), w.told()[0]["time_expire"], shown, p.Payment["timeStamp"])
		})
		return
	}
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for zone, offset := range map[string]string{"America/New_York": "-0500", "Asia/Kolkata": "+0530"} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			c := exec.CommandContext(t.Context(), program, "-test.run=^TestTheZoneOfTheHostIsIrrelevant$", "-test.count=1")
			c.Env = append(os.Environ(), "FENHAO_TEST_TELL_TIMES=1", "TZ="+zone, "GORACE=atexit_sleep_ms=0")
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			_, line, _ := strings.Cut(string(out), told)
			line, _, _ = strings.Cut(line, "\n")
			here, times, _ := strings.Cut(line, " | ")
			if here != offset {
				t.Fatalf("the other process is at %q: %s", here, out)
			}
			// A bubble's time begins on 1 January 2000 at midnight UTC; the order was placed 2 ms later and paid 1 ms after that.
			want := "2000-01-01T08:30:00+08:00 {2000-01-01T08:30:00+08:00 2000-01-01T08:00:00+08:00 2000-01-01T08:00:00.002+08:00} 946684800"
			if times != want {
				t.Errorf("%s\nwant %s", times, want)
			}
		})
	}
}

// Who sets a merchant up is told where each value is found, in the words of WeChat's own pages.
func TestInitTellsWhereEachValueIsFound(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "fenhao.yaml")
	if code, _, stderr := runIt(t, "init", "--config", file); code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for value, place := range map[string]string{
		`- id: ""`: "商户平台 › 账户中心 › 商户信息", "private_key_file:": "商户平台 › 账户中心 › API 安全 › 商户API证书", "apiv3_key:": "商户平台 › 账户中心 › API 安全 › 设置 APIv3 密钥",
		"public_key_id:": "商户平台 › 账户中心 › API 安全 › 微信支付公钥", "secret: ": "小程序后台 › 开发管理 › 开发设置", "public_url:": "https",
	} {
		at := strings.Index(string(text), value)
		if at < 0 {
			t.Errorf("there is no place for %s", value)
			continue
		}
		begin := max(0, at-600)
		if !strings.Contains(string(text[begin:at]), place) {
			t.Errorf("above %s it does not say %s:\n%s", value, place, text[begin:at])
		}
	}
}
