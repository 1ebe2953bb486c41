package sandbox

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// order places an order of a product (native, h5, app) and returns what the call gives.
func (w *world) order(product, number string, changes map[string]any) string {
	w.t.Helper()
	all := map[string]any{"payer": nil}
	if product == "h5" {
		all["scene_info"] = map[string]any{"payer_client_ip": "::1", "h5_info": map[string]any{"type": "Wap"}}
	}
	for name, v := range changes {
		all[name] = v
	}
	r := w.call("POST", "/v3/pay/transactions/"+product, w.orderBody(number, all))
	if r.status != 200 || !w.genuine(r.header, r.body) {
		w.t.Fatalf("%s: %d %s %v", product, r.status, r.body, r.err)
	}
	var out map[string]string
	if err := json.Unmarshal(r.body, &out); err != nil || len(out) != 1 {
		w.t.Fatalf("%s: %s, %v", product, r.body, err)
	}
	return out[map[string]string{"native": "code_url", "h5": "h5_url", "app": "prepay_id"}[product]]
}

// appPayment is what an app passes to WeChat for alice.
func (w *world) appPayment(prepayID string) AppPayment {
	p := AppPayment{User: "alice", AppID: w.app.ID, PartnerID: w.merchant.ID, PrepayID: prepayID, Package: "Sign=WXPay",
		NonceStr: rand.Text(), TimeStamp: fmt.Sprint(w.clock().Unix())}
	sum := sha256.Sum256([]byte(p.AppID + "\n" + p.TimeStamp + "\n" + p.NonceStr + "\n" + p.PrepayID + "\n"))
	signature, err := rsa.SignPKCS1v15(nil, w.request("GET", "/", "").key, crypto.SHA256, sum[:])
	if err != nil {
		w.t.Fatal(err)
	}
	p.Sign = base64.StdEncoding.EncodeToString(signature)
	return p
}

// Each product has its own way to the cashier, and a trade type that queries, notifications and the books tell.
func TestProducts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	code, link, prepayID := w.order("native", "order-native", nil), w.order("h5", "order-h5", nil), w.order("app", "order-app", nil)
	if !regexp.MustCompile(`^weixin://wxpay/bizpayurl\?pr=[0-9A-Za-z]{9}$`).MatchString(code) ||
		!regexp.MustCompile(`^https://wx\.tenpay\.com/cgi-bin/mmpayweb-bin/checkmweb\?prepay_id=wx[0-9a-f]{34}&package=[0-9]{10}$`).MatchString(link) || len(prepayID) != 36 {
		t.Errorf("%s\n%s\n%s", code, link, prepayID)
	}
	var result CheckoutResult
	if status := w.control("POST", "scan", map[string]any{"user": "bob", "code_url": code}, &result); status != 200 || result != (CheckoutResult{Outcome: "paid", OutTradeNo: "order-native"}) {
		t.Errorf("scan: %d %+v", status, result)
	}
	back := "https://shop.example.com/done?order=1&x=2"
	result = CheckoutResult{}
	if status := w.control("POST", "open-h5", map[string]any{"user": "bob", "h5_url": link + "&redirect_url=" + url.QueryEscape(back), "action": "pay"}, &result); status != 200 ||
		result != (CheckoutResult{Outcome: "paid", OutTradeNo: "order-h5", RedirectURL: back}) {
		t.Errorf("open-h5: %d %+v", status, result)
	}
	var app AppResult
	p := w.appPayment(prepayID)
	if status := w.control("POST", "app-payment", p, &app); status != 200 || app.ErrCode != 0 || app.Reason != "" {
		t.Errorf("app-payment: %d %+v", status, app)
	}
	w.pay("order-jsapi")
	w.idle()
	bob, err := w.OpenID(w.app.ID, "bob")
	if err != nil {
		t.Fatal(err)
	}
	alice, err := w.OpenID(w.app.ID, "alice")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, n := range w.shop.all() {
		plain := w.plain(n)
		var v struct {
			Number string `json:"out_trade_no"`
		}
		if err := json.Unmarshal(plain, &v); err != nil {
			t.Fatal(err)
		}
		told[v.Number] = string(plain)
	}
	for number, want := range map[string][2]string{"order-native": {"NATIVE", bob}, "order-h5": {"MWEB", bob}, "order-app": {"APP", alice}, "order-jsapi": {"JSAPI", alice}} {
		r := w.call("GET", "/v3/pay/transactions/out-trade-no/"+number+"?mchid="+w.merchant.ID, "")
		for what, text := range map[string]string{"query": string(r.body), "notification": told[number]} {
			if !strings.Contains(text, `"trade_type":"`+want[0]+`"`) || !strings.Contains(text, `"payer":{"openid":"`+want[1]+`"}`) || !strings.Contains(text, `"trade_state":"SUCCESS"`) {
				t.Errorf("%s of %s: %s", what, number, text)
			}
		}
		if p, _ := w.Payment(number); p.TradeType != want[0] || p.OpenID != want[1] {
			t.Errorf("%s: %+v", number, p)
		}
	}
	if p, _ := w.Payment("order-h5"); p.Link != link {
		t.Errorf("%+v", p)
	}
	if b := w.Books()[0]; b.Paid.Count != 4 {
		t.Errorf("%+v", b)
	}
}

// A cashier opens only for what WeChat Pay gave out, while it is young enough, in the product that it is of.
func TestCheckoutRefuses(t *testing.T) {
	t.Parallel()
	at := time.Now()
	w := newWorld(t, Options{Clock: func() time.Time { return at }})
	scan := func(code, action, want string) {
		t.Helper()
		if r, err := w.Scan("bob", code, action); err != nil || r.Outcome != want {
			t.Errorf("%s: %+v, %v, want %s", action, r, err, want)
		}
	}
	open := func(link, action, want string) {
		t.Helper()
		if r, err := w.OpenH5("bob", link, action); err != nil || r.Outcome != want || want == "refused" && (r.Reason == "" || r.RedirectURL != "") {
			t.Errorf("%s: %+v, %v, want %s", action, r, err, want)
		}
	}
	first := w.order("native", "order-native", nil)
	scan(first, "cancel", "cancelled")
	second := w.order("native", "order-native", nil)
	scan(first, "pay", "refused") // the newer one replaced it
	scan(second, "fail", "failed")
	scan(second+"x", "pay", "refused")
	scan("https://example.com/", "pay", "refused")
	link := w.order("h5", "order-h5", nil)
	scan(link, "pay", "refused")
	open(second, "pay", "refused")
	open(link+"&redirect_url=https://shop.example.com/", "pay", "refused") // not escaped
	open(link+"&redirect_url=done", "pay", "refused")
	open(link+"&color=red", "pay", "refused")
	open(strings.Replace(link, "package=", "package=1", 1), "pay", "refused")
	open(link+"&redirect_url=https%3A%2F%2Fshop.example.com%2F", "cancel", "cancelled")
	w.Advance(5*time.Minute - time.Second)
	open(link, "fail", "failed")
	w.Advance(time.Second)
	open(link, "pay", "refused")
	open(w.order("h5", "order-h5", nil), "pay", "paid")
	w.Advance(2*time.Hour - 5*time.Minute - time.Second)
	scan(second, "cancel", "cancelled")
	w.Advance(time.Second)
	scan(second, "pay", "refused")
	scan(w.order("native", "order-native", nil), "pay", "paid")

	prepayID := w.order("app", "order-app", nil)
	right := w.appPayment(prepayID)
	for name, c := range map[string]struct {
		change func(*AppPayment)
		code   int
	}{
		"another prepay id":   {func(p *AppPayment) { p.PrepayID = "wx1" }, -1},
		"with its prefix":     {func(p *AppPayment) { p.PrepayID = "prepay_id=" + prepayID }, -1},
		"another merchant":    {func(p *AppPayment) { p.PartnerID = "1900000009" }, -1},
		"another package":     {func(p *AppPayment) { p.Package = "prepay_id=" + prepayID }, -1},
		"no nonce":            {func(p *AppPayment) { p.NonceStr = "" }, -1},
		"another time":        {func(p *AppPayment) { p.TimeStamp = "1" }, -1},
		"no signature":        {func(p *AppPayment) { p.Sign = "" }, -1},
		"cancelled":           {func(p *AppPayment) { p.Action = "cancel" }, -2},
		"failed":              {func(p *AppPayment) { p.Action = "fail" }, -1},
		"signed for JSAPI":    {func(p *AppPayment) { p.Sign = w.payment(prepayID).PaySign }, -1},
		"of a mini program":   {func(p *AppPayment) { *p = w.appPayment(w.place("order-jsapi", nil)) }, -1},
		"paid by another one": {func(p *AppPayment) { p.PrepayID = w.order("app", "order-app", nil) }, -1},
	} {
		p := right
		c.change(&p)
		if r, err := w.PayInApp(p); err != nil || r.ErrCode != c.code || c.code == -1 && r.Reason == "" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if r, err := w.RequestPayment(w.payment(prepayID)); err != nil || r.ErrMsg != "requestPayment:fail prepay_id is invalid" {
		t.Errorf("in a mini program: %+v, %v", r, err)
	}
	if b := w.Books()[0]; b.Paid.Count != 2 {
		t.Errorf("%+v", b)
	}
	for _, c := range []struct {
		path string
		in   map[string]any
		says string
	}{
		{"scan", map[string]any{"user": "", "code_url": second}, "user is missing"},
		{"scan", map[string]any{"code_url": "weixin://nothing"}, "user is missing"},
		{"scan", map[string]any{"user": "bob", "code_url": second, "action": "steal"}, `action "steal" is unknown`},
		{"open-h5", map[string]any{"user": "bob", "url": link}, "the body isn't what this call takes"},
		{"app-payment", map[string]any{"user": "bob", "appid": "wxnothing"}, `there is no app "wxnothing"`},
		{"app-payment", map[string]any{"user": "bob", "appid": w.app.ID, "action": "steal"}, `action "steal" is unknown`},
	} {
		var e problem
		if status := w.control("POST", c.path, c.in, &e); status != 400 || !strings.HasPrefix(e.Message, c.says) {
			t.Errorf("%s %v: %d %+v", c.path, c.in, status, e)
		}
	}
}

// A number is one product's, and a Native order has rules of its own.
func TestProductsApart(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorld(t, Options{Clock: func() time.Time { return now }})
	body := w.orderBody("order-000001", map[string]any{"payer": nil})
	if r := w.call("POST", "/v3/pay/transactions/native", body); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	w.refuses(w.call("POST", "/v3/pay/transactions/app", body), 400, "INVALID_REQUEST", "268498688")
	w.closeOrder("order-000001")
	w.refuses(w.call("POST", "/v3/pay/transactions/native", body), 400, "ORDER_CLOSED", "268498689")
	w.refuses(w.call("POST", "/v3/pay/transactions/app", body), 403, "OUT_TRADE_NO_USED", "268498689")
	for product, longest := range map[string]time.Duration{"native": 7 * 24 * time.Hour, "app": 15 * 24 * time.Hour} {
		for extra, status := range map[time.Duration]int{0: 200, time.Second: 400} {
			changes := map[string]any{"payer": nil, "time_expire": stamp(now.Add(longest + extra))}
			if r := w.call("POST", "/v3/pay/transactions/"+product, w.orderBody(fmt.Sprint(product, "-until-", status), changes)); r.status != status {
				t.Errorf("%s until %s: %d %s", product, longest+extra, r.status, r.body)
			}
		}
	}
}
