package miniprogram_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/miniprogram"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: start} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// inMemory is a transport to a handler in this process.
type inMemory struct{ http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// fakeWeChat is the part of api.weixin.qq.com that this package speaks to, with WeChat's rules as the manual has them.
type fakeWeChat struct {
	t     testing.TB
	clock *clock

	mu       sync.Mutex
	hook     func(r *http.Request) // called before each request, not under mu
	requests []string              // paths, in order
	bodies   []string              // of the POSTs to other than stable_token
	fetches  []bool                // of tokens; whether force_refresh
	issued   int
	tokens   map[string]time.Time // valid until
	current  string

	sessions map[string]string // openid to session key
	phones   map[string]string // code to openid; taken out by its exchange
	payments map[string]*fakePayment
}

type fakePayment struct {
	transaction, merchant, outTradeNo, openID string
	paidAt, knownAt                           time.Time
	state                                     int
	content                                   string // what was uploaded last, without its time
	uploaded                                  time.Time
	finishes                                  int
	reminded                                  bool
	shipping                                  map[string]any
}

func newFake(t testing.TB) *fakeWeChat {
	return &fakeWeChat{
		t: t, clock: newClock(), tokens: map[string]time.Time{}, sessions: map[string]string{}, phones: map[string]string{},
		payments: map[string]*fakePayment{},
	}
}

// client is a client of the fake.
func (f *fakeWeChat) client(opts ...miniprogram.Option) *miniprogram.Client {
	f.t.Helper()
	opts = append([]miniprogram.Option{
		miniprogram.WithBaseURL("http://wechat.invalid"), miniprogram.WithClock(f.clock.now),
		miniprogram.WithHTTPClient(&http.Client{Transport: inMemory{f}}),
	}, opts...)
	c, err := miniprogram.NewClient(miniprogram.Config{AppID: appID, Secret: secret}, opts...)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// count returns how many requests went to path.
func (f *fakeWeChat) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, p := range f.requests {
		if p == path {
			n++
		}
	}
	return n
}

func (f *fakeWeChat) lastBody() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bodies[len(f.bodies)-1]
}

// invalidate ends all tokens, as a forced refresh by somebody else does.
func (f *fakeWeChat) invalidate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.tokens)
	f.current = ""
}

func (f *fakeWeChat) forced() []bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.fetches)
}

func (f *fakeWeChat) pay(p *fakePayment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.state = 1
	p.paidAt = f.clock.now()
	f.payments[p.transaction] = p
}

// refusal is an errcode.
type refusal int

func (f *fakeWeChat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.URL.Path)
	hook := f.hook
	f.mu.Unlock()
	if hook != nil {
		hook(r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	w.Header().Set("Content-Type", "text/plain")
	v := f.answer(r, body)
	if code, ok := v.(refusal); ok {
		v = map[string]any{"errcode": int(code), "errmsg": fmt.Sprintf("refused, rid: %s", rid)}
	}
	if err := json.NewEncoder(w).Encode(v); err != nil {
		f.t.Error(err)
	}
}

var ok = map[string]any{"errcode": 0, "errmsg": "ok"}

// answer is what WeChat says to a request, under mu.
func (f *fakeWeChat) answer(r *http.Request, body []byte) any {
	if r.URL.Path == "/cgi-bin/stable_token" {
		return f.stableToken(r, body)
	}
	query := r.URL.Query()
	token := query.Get("access_token")
	if token == "" {
		return refusal(41001)
	}
	until, known := f.tokens[token]
	if !known {
		return refusal(40001)
	}
	if !f.clock.now().Before(until) {
		return refusal(42001)
	}
	get := map[string]func() any{
		"/wxa/checksession":        func() any { return f.session(query.Get, false) },
		"/wxa/resetusersessionkey": func() any { return f.session(query.Get, true) },
		"/wxa/getpaidunionid":      func() any { return f.unionID(query.Get) },
	}
	if h, ok := get[r.URL.Path]; ok {
		if r.Method != http.MethodGet || len(body) > 0 {
			return refusal(40066)
		}
		return h()
	}
	if r.Method != http.MethodPost {
		return refusal(43002)
	}
	if len(body) == 0 {
		return refusal(44002)
	}
	f.bodies = append(f.bodies, string(body))
	var in map[string]any
	nothing := regexp.MustCompile(`null|:\s*(\{\s*\}|\[\s*\])`)
	if json.Unmarshal(body, &in) != nil || nothing.Match(body) {
		return refusal(47001)
	}
	post := map[string]func(map[string]any) any{
		"/wxa/business/getuserphonenumber":             f.phone,
		"/wxa/sec/order/upload_shipping_info":          f.upload,
		"/wxa/sec/order/upload_combined_shipping_info": f.uploadCombined,
		"/wxa/sec/order/get_order":                     f.getOrder,
		"/wxa/sec/order/get_order_list":                f.getOrderList,
		"/wxa/sec/order/notify_confirm_receive":        f.remind,
		"/wxa/sec/order/is_trade_managed": func(in map[string]any) any {
			if in["appid"] != appID {
				return refusal(40097)
			}
			return map[string]any{"errcode": 0, "is_trade_managed": true}
		},
		"/wxa/sec/order/is_trade_management_confirmation_completed": func(in map[string]any) any {
			if in["appid"] != appID {
				return refusal(40097)
			}
			return map[string]any{"errcode": 0, "completed": false}
		},
	}
	if h, ok := post[r.URL.Path]; ok {
		return h(in)
	}
	return refusal(40066)
}

// stableToken gives the same token until five minutes before its end, and then leaves it valid for these.
func (f *fakeWeChat) stableToken(r *http.Request, body []byte) any {
	var in struct {
		GrantType string `json:"grant_type"`
		AppID     string `json:"appid"`
		Secret    string `json:"secret"`
		Force     bool   `json:"force_refresh"`
	}
	if r.Method != http.MethodPost || r.URL.RawQuery != "" || json.Unmarshal(body, &in) != nil {
		return refusal(47001)
	}
	f.fetches = append(f.fetches, in.Force)
	switch {
	case in.GrantType != "client_credential" || in.AppID != appID:
		return refusal(40013)
	case in.Secret != secret:
		return refusal(40125)
	}
	now := f.clock.now()
	if in.Force {
		clear(f.tokens)
		f.current = ""
	}
	if f.current == "" || f.tokens[f.current].Sub(now) <= 5*time.Minute {
		f.issued++
		f.current = fmt.Sprintf("%d_accessTokenOfTheFake_%s", f.issued, strings.Repeat("x", 100))
		f.tokens[f.current] = now.Add(2 * time.Hour)
	}
	return map[string]any{"access_token": f.current, "expires_in": int(f.tokens[f.current].Sub(now) / time.Second)}
}

func (f *fakeWeChat) session(get func(string) string, reset bool) any {
	key := f.sessions[get("openid")]
	mac := hmac.New(sha256.New, []byte(key))
	switch {
	case get("sig_method") != "hmac_sha256":
		return refusal(87008)
	case key == "":
		return refusal(40003)
	case get("signature") != hex.EncodeToString(mac.Sum(nil)):
		return refusal(87009)
	case !reset:
		return ok
	}
	f.sessions[get("openid")] = "cmVzZXQga2V5IDE2IGJ5dA=="
	return map[string]any{"errcode": 0, "errmsg": "ok", "openid": get("openid"), "session_key": f.sessions[get("openid")]}
}

func (f *fakeWeChat) unionID(get func(string) string) any {
	for _, p := range f.payments {
		if p.openID == get("openid") && (p.transaction == get("transaction_id") || get("transaction_id") == "" && p.merchant == get("mch_id") && p.outTradeNo == get("out_trade_no")) &&
			f.clock.now().Sub(p.paidAt) <= 5*time.Minute {
			return map[string]any{"errcode": 0, "unionid": "oTmHYjg-tElZ68xxxxxxxxhy1Rgk"}
		}
	}
	return refusal(89300)
}

func (f *fakeWeChat) phone(in map[string]any) any {
	code, _ := in["code"].(string)
	openID, known := f.phones[code]
	if !known || in["openid"] != nil && in["openid"] != openID {
		return refusal(40029)
	}
	delete(f.phones, code)
	return map[string]any{"errcode": 0, "errmsg": "ok", "phone_info": map[string]any{
		"phoneNumber": "13580006666", "purePhoneNumber": "13580006666", "countryCode": 86,
		"watermark": map[string]any{"timestamp": f.clock.now().Unix(), "appid": appID},
	}}
}

// find returns the payment that an order_key or a query names, or nil.
func (f *fakeWeChat) find(key map[string]any, merchant, outTradeNo string) *fakePayment {
	for _, p := range f.payments {
		if key["transaction_id"] == p.transaction || key["transaction_id"] == nil && key[merchant] == p.merchant && key[outTradeNo] == p.outTradeNo {
			if !f.clock.now().Before(p.knownAt) {
				return p
			}
		}
	}
	return nil
}

func (f *fakeWeChat) upload(in map[string]any) any {
	key, _ := in["order_key"].(map[string]any)
	if key["order_number_type"] != 1.0 && key["order_number_type"] != 2.0 || (key["order_number_type"] == 2.0) != (key["transaction_id"] != nil) {
		return refusal(268485194)
	}
	p := f.find(key, "mchid", "out_trade_no")
	if p == nil {
		return refusal(10060001)
	}
	if payer, _ := in["payer"].(map[string]any); payer["openid"] != p.openID {
		return refusal(10060031)
	}
	text, _ := in["upload_time"].(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return refusal(268485216)
	}
	return f.ship(p, in, at)
}

// ship applies the part that payments and sub-orders have in common.
func (f *fakeWeChat) ship(p *fakePayment, in map[string]any, at time.Time) any {
	same := maps.Clone(in)
	delete(same, "upload_time")
	b, err := json.Marshal(same)
	if err != nil {
		f.t.Error(err)
	}
	all := in["delivery_mode"] == 1.0 || in["is_all_delivered"] == true
	switch {
	case in["delivery_mode"] == 2.0 && in["is_all_delivered"] == nil:
		return refusal(10060007)
	case p.state > 2:
		return refusal(10060004)
	case p.content == string(b):
		return refusal(10060023)
	case p.finishes == 2:
		return refusal(10060003)
	case !at.After(p.uploaded):
		return refusal(10060014)
	}
	p.content, p.uploaded = string(b), at
	if all || p.finishes > 0 {
		p.finishes++
		p.state = 2
	}
	var list []any
	items, _ := in["shipping_list"].([]any)
	for _, x := range items {
		item, _ := x.(map[string]any)
		list = append(list, map[string]any{
			"tracking_no": item["tracking_no"], "express_company": item["express_company"], "goods_desc": item["item_desc"], "upload_time": at.Unix(),
			"contact": item["contact"],
		})
	}
	p.shipping = map[string]any{
		"delivery_mode": in["delivery_mode"], "logistics_type": in["logistics_type"], "finish_shipping": p.finishes > 0,
		"finish_shipping_count": p.finishes, "goods_desc": "", "shipping_list": list,
	}
	return ok
}

func (f *fakeWeChat) uploadCombined(in map[string]any) any {
	text, _ := in["upload_time"].(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return refusal(268485216)
	}
	subs, _ := in["sub_orders"].([]any)
	for _, x := range subs {
		sub, _ := x.(map[string]any)
		key, _ := sub["order_key"].(map[string]any)
		p := f.find(key, "mchid", "out_trade_no")
		if p == nil {
			return refusal(10060001)
		}
		if v := f.ship(p, sub, at); !isOK(v) {
			return v
		}
	}
	return ok
}

func isOK(v any) bool {
	m, is := v.(map[string]any)
	return is && m["errcode"] == 0
}

func (p *fakePayment) json() map[string]any {
	shipping := p.shipping
	if shipping == nil {
		shipping = map[string]any{} // as WeChat does
	}
	return map[string]any{
		"transaction_id": p.transaction, "merchant_id": p.merchant, "sub_merchant_id": "", "merchant_trade_no": p.outTradeNo, "description": "月卡",
		"paid_amount": 998, "openid": p.openID, "trade_create_time": 0, "pay_time": p.paidAt.Unix(), "order_state": p.state, "in_complaint": false,
		"shipping": shipping, "upload_scene": 1,
	}
}

func (f *fakeWeChat) getOrder(in map[string]any) any {
	if in["mchid"] != nil || in["out_trade_no"] != nil {
		return refusal(47001)
	}
	p := f.find(in, "merchant_id", "merchant_trade_no")
	if p == nil {
		return refusal(10060001)
	}
	return map[string]any{"errcode": 0, "errmsg": "ok", "order": p.json()}
}

// getOrderList yields the payments by number. last_index is the number of the last.
func (f *fakeWeChat) getOrderList(in map[string]any) any {
	last, _ := in["last_index"].(string)
	size := 100
	if n, ok := in["page_size"].(float64); ok {
		size = int(n)
	}
	if _, known := f.payments[last]; last != "" && !known {
		return refusal(10060011)
	}
	var list []any
	more := false
	for _, id := range slices.Sorted(maps.Keys(f.payments)) {
		p := f.payments[id]
		if id <= last || in["order_state"] != nil && in["order_state"] != float64(p.state) || in["openid"] != nil && in["openid"] != p.openID {
			continue
		}
		if len(list) == size {
			more = true
			break
		}
		list, last = append(list, p.json()), id
	}
	return map[string]any{"errcode": 0, "errmsg": "ok", "order_list": list, "last_index": last, "has_more": more}
}

func (f *fakeWeChat) remind(in map[string]any) any {
	p := f.find(in, "merchant_id", "merchant_trade_no")
	received, _ := in["received_time"].(float64)
	switch {
	case p == nil:
		return refusal(10060001)
	case p.state != 2:
		return refusal(10060028)
	case p.shipping["logistics_type"] != 1.0:
		return refusal(10060032)
	case int64(received) < p.uploaded.Unix():
		return refusal(10060029)
	case p.reminded:
		return refusal(10060030)
	}
	p.reminded = true
	return ok
}
