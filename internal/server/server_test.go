package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/internal/server"
	"github.com/fenhao-pay/fenhao/internal/store"
)

const (
	app      = "wx0123456789abcdef"
	otherApp = "wxfedcba9876543210"
	merchant = "1900000001"
)

// shop is a server on a real database with a WeChat that says yes to everything.
type shop struct {
	t       *testing.T
	server  *server.Server
	cashier *pay.Cashier
	store   *shelf
	wechat  *wechat
	key     string

	mu  sync.Mutex
	now time.Time
}

func open(t *testing.T) *shop {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "t.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &shop{t: t, store: &shelf{Store: db}, wechat: &wechat{}, now: time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)}
	s.cashier, err = pay.NewCashier(pay.Config{Store: s.store, Gateway: s.wechat, Now: s.clock, Log: slog.New(slog.DiscardHandler), Secret: []byte(strings.Repeat("s", 32)),
		Merchants: []pay.Merchant{{ID: merchant, Channel: pay.WeChatV3, NotifyURL: "https://pay.example.com/notify/wechat/" + merchant + "/v3", Apps: []string{app, otherApp}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, s.key, err = s.cashier.CreateAPIKey(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	s.server = server.New(server.Config{Cashier: s.cashier, Notifications: s.wechat, Ready: db.Ping, Log: slog.New(slog.DiscardHandler), Version: "test"})
	return s
}

func (s *shop) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *shop) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// shelf is the database, with a lid.
type shelf struct {
	*store.Store
	update func(ctx context.Context, id pay.OrderID, step pay.Step) (pay.Order, error) // nil: the database's own
}

func (s *shelf) UpdateOrder(ctx context.Context, id pay.OrderID, step pay.Step) (pay.Order, error) {
	if s.update != nil {
		return s.update(ctx, id, step)
	}
	return s.Store.UpdateOrder(ctx, id, step)
}

// wechat knows everybody by the code that they log in with, and verifies what its test says.
type wechat struct {
	mu      sync.Mutex
	prepaid []pay.Order
	notice  func(merchantID string) (pay.Notice, error)
}

func (w *wechat) Login(_ context.Context, _, code string) (pay.Identity, error) {
	if code == "spent" {
		return pay.Identity{}, &pay.Error{Code: pay.CodeLoginCode}
	}
	return pay.Identity{OpenID: "openid-of-" + code}, nil
}

func (w *wechat) Prepay(_ context.Context, o pay.Order, a pay.Attempt) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prepaid = append(w.prepaid, o)
	return "prepay-of-" + a.OutTradeNo, nil
}

func (w *wechat) Query(_ context.Context, o pay.Order, a pay.Attempt) (pay.Transaction, error) {
	return pay.Transaction{MerchantID: o.MerchantID, AppID: o.AppID, OutTradeNo: a.OutTradeNo, State: pay.TradeOpen, Total: o.Total, Currency: o.Currency}, nil
}

func (w *wechat) Close(context.Context, pay.Order, pay.Attempt) error { return nil }

func (w *wechat) PayParameters(o pay.Order, a pay.Attempt) (pay.Payment, error) {
	return pay.Payment{AppID: o.AppID, TimeStamp: "1795147200", NonceStr: "n", Package: "prepay_id=" + a.PrepayID, SignType: "RSA", PaySign: "s"}, nil
}

func (w *wechat) ParseNotification(_ context.Context, merchantID string, _ http.Header, _ []byte) (pay.Notice, error) {
	return w.notice(merchantID)
}

func (w *wechat) prepays() []pay.Order {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.prepaid)
}

// reply is an answer of the server.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// send sends a request; header are pairs of name and value. A body comes with the content type of JSON unless header has another.
func (s *shop) send(method, path, token, body string, header ...string) reply {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Accept-Language", "en")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header[http.CanonicalHeaderKey(header[i])] = []string{header[i+1]}
	}
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, r)
	return reply{s.t, w.Code, w.Header(), w.Body.Bytes()}
}

func (r reply) into(v any) {
	r.t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		r.t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
}

// problem is an error as the API tells it.
type problem struct {
	Type, Title, Detail, Code string
	Status                    int
	RequestID                 string `json:"request_id"`
	Errors                    []struct{ Pointer, Detail string }
}

func (r reply) problem() problem {
	r.t.Helper()
	var p problem
	r.into(&p)
	return p
}

// login returns the token of a session of the user of that name.
func (s *shop) login(name string) string {
	s.t.Helper()
	var v struct{ Token string }
	s.send("POST", "/mp/v1/login", "", `{"app_id":"`+app+`","code":"`+name+`"}`).into(&v)
	if v.Token == "" {
		s.t.Fatal("no token")
	}
	return v.Token
}

// product puts a product on the shelf.
func (s *shop) product(name string, price int) pay.ProductView {
	s.t.Helper()
	var p pay.ProductView
	if r := s.send("POST", "/v1/products", s.key, fmt.Sprintf(`{"name":%q,"price":{"total":%d,"currency":"CNY"}}`, name, price)); r.status != 201 {
		s.t.Fatalf("%d %s", r.status, r.body)
	} else {
		r.into(&p)
	}
	return p
}

// buy orders one of a product.
func (s *shop) buy(token string, p pay.ProductID, key string) reply {
	s.t.Helper()
	return s.send("POST", "/mp/v1/orders", token, fmt.Sprintf(`{"items":[{"product_id":%q,"quantity":1}]}`, p), "Idempotency-Key", key)
}

// order orders, and it must work.
func (s *shop) order(token string, p pay.ProductID, key string) pay.OrderView {
	s.t.Helper()
	r := s.buy(token, p, key)
	var v struct{ Order pay.OrderView }
	if r.into(&v); r.status != 201 || v.Order.Status != pay.Pending {
		s.t.Fatalf("%d %s", r.status, r.body)
	}
	return v.Order
}

func (s *shop) look(id pay.OrderID) pay.OrderView {
	s.t.Helper()
	var o pay.OrderView
	s.send("GET", "/v1/orders/"+string(id), s.key, "").into(&o)
	return o
}

// What is no JSON document with each known name at most once and integers for amounts is refused whole: two readers of
// one request never see two amounts.
func TestStrictJSON(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, latte := s.login("ming"), s.product("latte", 1980)
	good := fmt.Sprintf(`{"items":[{"product_id":%q,"quantity":2}],"metadata":{"table":"7"}}`, latte.ID)
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the good body has no %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"right":                 {good, 201},
		"blanks around":         {" \r\n" + good + "\n\t", 201},
		"empty":                 {"", 400},
		"no JSON":               {"items=1", 400},
		"null":                  {"null", 422},
		"a list":                {"[" + good + "]", 422},
		"cut":                   {good[:len(good)-1], 400},
		"two documents":         {good + good, 400},
		"garbage after":         {good + "x", 400},
		"comment":               {"/**/" + good, 400},
		"BOM":                   {"\xef\xbb\xbf" + good, 400},
		"not UTF-8":             {replace(`"7"`, "\"\xff\""), 400},
		"NaN":                   {replace(`:2`, `:NaN`), 400},
		"leading zero":          {replace(`:2`, `:02`), 400},
		"key twice":             {replace(`"items"`, `"items":[],"items"`), 400},
		"key twice inside":      {replace(`"quantity"`, `"quantity":1,"quantity"`), 400},
		"key twice, escaped":    {replace(`"quantity"`, `"quantit\u0079":1,"quantity"`), 400},
		"key twice in metadata": {replace(`"table"`, `"table":"6","table"`), 400},
		"another case":          {replace(`"quantity"`, `"Quantity"`), 422},
		"both cases":            {replace(`"quantity"`, `"QUANTITY":1,"quantity"`), 422},
		"long s for s":          {replace(`"items"`, `"item\u017f":[],"items"`), 422},
		"unknown field":         {replace(`"items"`, `"note":"x","items"`), 422},
		"unknown field inside":  {replace(`"quantity"`, `"price":1,"quantity"`), 422},
		"prototype":             {replace(`"items"`, `"__proto__":{},"items"`), 422},
		"deep":                  {strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), 400},
		"no items":              {`{}`, 422},
		"items null":            {`{"items":null}`, 422},
		"item null":             {`{"items":[null]}`, 422},
		"no item":               {`{"items":[]}`, 422},
		"51 items":              {`{"items":[` + strings.Repeat(fmt.Sprintf(`{"product_id":%q,"quantity":1},`, latte.ID), 50) + fmt.Sprintf(`{"product_id":%q,"quantity":1}]}`, latte.ID), 422},
		"quantity null":         {replace(`:2`, `:null`), 422},
		"quantity 0":            {replace(`:2`, `:0`), 422},
		"quantity negative":     {replace(`:2`, `:-2`), 422},
		"quantity 1000":         {replace(`:2`, `:1000`), 422},
		"quantity half":         {replace(`:2`, `:1.5`), 422},
		"quantity 2.0":          {replace(`:2`, `:2.0`), 422},
		"quantity 2e0":          {replace(`:2`, `:2e0`), 422},
		"quantity as text":      {replace(`:2`, `:"2"`), 422},
		"quantity beyond int64": {replace(`:2`, `:18446744073709551618`), 422},
		"metadata a list":       {replace(`{"table":"7"}`, `[]`), 422},
		"metadata of numbers":   {replace(`"7"`, `7`), 422},
		"metadata of null":      {replace(`"7"`, `null`), 422},
	} {
		r := s.send("POST", "/mp/v1/orders", ming, c.body, "Idempotency-Key", name)
		if r.status != c.status {
			t.Errorf("%s: %d %s, want %d", name, r.status, r.body, c.status)
			continue
		}
		if c.status == 201 {
			continue
		}
		if p := r.problem(); p.Status != c.status || !slices.Contains([]string{"malformed_request", "invalid_request"}, p.Code) || p.Detail == "" {
			t.Errorf("%s: %s", name, r.body)
		}
	}
	if n := len(s.wechat.prepays()); n != 2 {
		t.Errorf("WeChat was told of %d orders, want 2", n)
	}
	for total, status := range map[string]int{"998": 201, "1": 201, "0": 422, "-1": 422, "9.98": 422, "998.0": 422, "1e2": 422, `"998"`: 422, "null": 422, "true": 422,
		"9999999999": 201, "10000000000": 422, "9223372036854775808": 422, "9007199254740993": 422} {
		body := `{"app_id":"` + app + `","openid":"o","amount":{"total":` + total + `,"currency":"CNY"},"description":"latte"}`
		if r := s.send("POST", "/v1/orders", s.key, body, "Idempotency-Key", "total "+total); r.status != status {
			t.Errorf("total %s: %d %s, want %d", total, r.status, r.body, status)
		}
	}
}

// A misspelt field is named, with the one that was probably meant, in the caller's language.
func TestUnknownFieldsAreNamed(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming := s.login("ming")
	for _, c := range []struct{ body, lang, pointer, say string }{
		{`{"itmes":[]}`, "en", "/itmes", `unknown field "itmes", did you mean "items"`},
		{`{"itmes":[]}`, "zh-CN", "/itmes", `未知字段 "itmes"，你是想写 "items" 吗`},
		{`{"items":[{"product_id":"p","quantity":1,"qantity":1}]}`, "en", "/items/0/qantity", `did you mean "quantity"`},
		{`{"items":[{"product_id":"p","quantity":1,"Quantity":1}]}`, "en", "/items/0/Quantity", `did you mean "quantity"`},
		{`{"items":[{"product_id":"p","quantity":1}],"openid":"o"}`, "en", "/openid", `unknown field "openid"`},
		{`{"items":[{"product_id":"p"}]}`, "zh", "/items/0", `缺少字段 quantity`},
	} {
		p := s.send("POST", "/mp/v1/orders", ming, c.body, "Idempotency-Key", "k", "Accept-Language", c.lang).problem()
		i := slices.IndexFunc(p.Errors, func(e struct{ Pointer, Detail string }) bool {
			return e.Pointer == c.pointer && strings.Contains(e.Detail, c.say)
		})
		if p.Status != 422 || p.Code != "invalid_request" || i < 0 {
			t.Errorf("%s in %s: %+v, want %s at %s", c.body, c.lang, p, c.say, c.pointer)
		}
	}
}

// A client of a mini program can't name an amount, a payer, a state or an address, whatever it calls them.
func TestClientsNameNoAmount(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, latte := s.login("ming"), s.product("latte", 1980)
	for _, field := range []string{`"amount":{"total":1,"currency":"CNY"}`, `"total":1`, `"total_fee":1`, `"price":1`, `"money":0.01`, `"currency":"CNY"`, `"openid":"o-hong"`,
		`"user_id":"usr_1"`, `"userId":"usr_1"`, `"app_id":"` + otherApp + `"`, `"status":"paid"`, `"description":"cheap"`, `"body":"cheap"`, `"out_trade_no":"A-000001"`,
		`"notify_url":"https://evil.example/"`, `"spbill_create_ip":"8.8.8.8"`, `"attach":"status=paid"`, `"expires_at":"2030-01-01T00:00:00Z"`, `"transaction_id":"42"`} {
		for where, body := range map[string]string{
			"top":  fmt.Sprintf(`{"items":[{"product_id":%q,"quantity":1}],%s}`, latte.ID, field),
			"item": fmt.Sprintf(`{"items":[{"product_id":%q,"quantity":1,%s}]}`, latte.ID, field),
		} {
			if r := s.send("POST", "/mp/v1/orders", ming, body, "Idempotency-Key", where+field); r.status != 422 {
				t.Errorf("%s, %s: %d %s", field, where, r.status, r.body)
			}
		}
		name, _, _ := strings.Cut(strings.Trim(field, `"`), `"`)
		if r := s.send("POST", "/mp/v1/orders?"+name+"=1", ming, fmt.Sprintf(`{"items":[{"product_id":%q,"quantity":1}]}`, latte.ID), "Idempotency-Key", "q"+name); r.status != 422 {
			t.Errorf("%s as a parameter: %d %s", name, r.status, r.body)
		}
	}
	if n := len(s.wechat.prepays()); n != 0 {
		t.Errorf("WeChat was told of %d orders", n)
	}
	if o := s.order(ming, latte.ID, "k"); o.Amount.Total != 1980 || o.OpenID != "openid-of-ming" || o.AppID != app {
		t.Errorf("%+v", o)
	}
}

// Who somebody is says the session alone. Gateways of WeChat's cloud put the openid into headers; from the open
// network anybody can.
func TestHeadersNameNobody(t *testing.T) {
	t.Parallel()
	s := open(t)
	latte := s.product("latte", 1980)
	headers := []string{"X-WX-OPENID", "o-hong", "X-WX-FROM-OPENID", "o-hong", "X-WX-APPID", otherApp, "X-WX-UNIONID", "u", "X-User-Id", "usr_1",
		"X-Forwarded-For", "127.0.0.1", "X-Real-Ip", "127.0.0.1", "Cookie", "openid=o-hong"}
	if r := s.send("GET", "/mp/v1/session", "", "", headers...); r.status != 401 {
		t.Errorf("headers without a session: %d %s", r.status, r.body)
	}
	var login struct {
		Token string
		User  struct{ ID pay.UserID }
	}
	s.send("POST", "/mp/v1/login", "", `{"app_id":"`+app+`","code":"ming"}`, headers...).into(&login)
	var v struct{ Order pay.OrderView }
	s.send("POST", "/mp/v1/orders", login.Token, fmt.Sprintf(`{"items":[{"product_id":%q,"quantity":1}]}`, latte.ID), append(headers, "Idempotency-Key", "k")...).into(&v)
	if v.Order.OpenID != "openid-of-ming" || v.Order.AppID != app || v.Order.UserID == nil || *v.Order.UserID != login.User.ID {
		t.Errorf("%+v", v.Order)
	}
	if all := s.wechat.prepays(); len(all) != 1 || all[0].OpenID != "openid-of-ming" {
		t.Errorf("WeChat was told %+v", all)
	}
}

func TestWrongBodies(t *testing.T) {
	t.Parallel()
	s := open(t)
	good := `{"app_id":"` + app + `","code":"ming"}`
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
		code   string
	}{
		"right":           {good, nil, 200, ""},
		"charset":         {good, []string{"Content-Type", "application/json; charset=utf-8"}, 200, ""},
		"a form":          {"app_id=" + app + "&code=ming", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"},
		"JSON as a form":  {good, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"},
		"JSON as text":    {good, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type"},
		"XML":             {"<xml/>", []string{"Content-Type", "text/xml"}, 415, "unsupported_media_type"},
		"compressed":      {good, []string{"Content-Encoding", "gzip"}, 415, "unsupported_media_type"},
		"identity":        {good, []string{"Content-Encoding", "identity"}, 415, "unsupported_media_type"},
		"256 KiB":         {good + strings.Repeat(" ", 256<<10-len(good)), nil, 200, ""},
		"256 KiB and one": {good + strings.Repeat(" ", 256<<10-len(good)+1), nil, 413, "body_too_large"},
	} {
		r := s.send("POST", "/mp/v1/login", "", c.body, c.header...)
		if r.status != c.status || c.code != "" && r.problem().Code != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, r.status, r.body, c.status, c.code)
		}
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, latte := s.login("ming"), s.product("latte", 1980)
	o := s.order(ming, latte.ID, "k")
	session, key := []string{"GET /mp/v1/session", "GET /mp/v1/products", "GET /mp/v1/products/" + string(latte.ID), "GET /mp/v1/orders", "GET /mp/v1/orders/" + string(o.ID),
		"POST /mp/v1/orders", "POST /mp/v1/orders/" + string(o.ID) + "/payment", "POST /mp/v1/orders/" + string(o.ID) + "/close"},
		[]string{"GET /v1/orders", "POST /v1/orders", "GET /v1/orders/" + string(o.ID), "POST /v1/orders/" + string(o.ID) + "/close", "POST /v1/orders/" + string(o.ID) + "/sync",
			"GET /v1/products", "POST /v1/products", "GET /v1/products/" + string(latte.ID), "PATCH /v1/products/" + string(latte.ID), "GET /v1/events", "GET /v1/events/evt_1"}
	check := func(target, what, authorization, code string) {
		t.Helper()
		method, path, _ := strings.Cut(target, " ")
		r := s.send(method, path, "", "", "Authorization", authorization)
		if p := r.problem(); r.status != 401 || p.Code != code || r.header.Get("WWW-Authenticate") != "Bearer" || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s with %s: %d %s %v, want 401 %s", target, what, r.status, r.body, r.header, code)
		}
	}
	made := "fs_" + strings.Repeat("A", len(ming)-3)
	for _, target := range session {
		check(target, "nothing", "", "authorization_missing")
		check(target, "another scheme", "Basic "+ming, "authorization_missing")
		check(target, "no scheme", ming, "authorization_missing")
		check(target, "no token", "Bearer ", "authorization_missing")
		check(target, "a made-up token", "Bearer "+made, "session_invalid")
		check(target, "half a token", "Bearer "+ming[:len(ming)-1], "session_invalid")
		check(target, "another case", "Bearer "+strings.ToLower(ming), "session_invalid")
		check(target, "an API key", "Bearer "+s.key, "session_invalid")
	}
	for _, target := range key {
		check(target, "nothing", "", "authorization_missing")
		check(target, "a session", "Bearer "+ming, "api_key_invalid")
		check(target, "a made-up key", "Bearer fk_"+strings.Repeat("A", len(s.key)-3), "api_key_invalid")
		check(target, "half a key", "Bearer "+s.key[:len(s.key)-1], "api_key_invalid")
	}
	if r := s.send("GET", "/mp/v1/session", "", "", "Authorization", "bearer  "+ming); r.status != 200 {
		t.Errorf("the scheme in lower case: %d", r.status)
	}
	s.advance(pay.SessionLife)
	for _, target := range session {
		check(target, "an expired token", "Bearer "+ming, "session_invalid")
	}
	if got := s.look(o.ID); got.Status != pay.Pending {
		t.Errorf("the order is %s", got.Status)
	}
}

// Another user's order looks exactly like one that does not exist.
func TestAnotherUsersOrderLooksLikeNone(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, hong, latte := s.login("ming"), s.login("hong"), s.product("latte", 1980)
	o := s.order(ming, latte.ID, "k")
	ghost := pay.OrderID(string(o.ID[:len(o.ID)-4]) + "zzzz")
	id := regexp.MustCompile(`req_[a-z0-9]+`)
	for _, call := range []string{"GET /mp/v1/orders/%s", "GET /mp/v1/orders/%s?wait=20s", "POST /mp/v1/orders/%s/payment", "POST /mp/v1/orders/%s/close"} {
		method, path, _ := strings.Cut(call, " ")
		theirs, none := s.send(method, fmt.Sprintf(path, o.ID), hong, ""), s.send(method, fmt.Sprintf(path, ghost), hong, "")
		if theirs.status != 404 || theirs.problem().Code != "order_not_found" || id.ReplaceAllString(string(theirs.body), "") != id.ReplaceAllString(string(none.body), "") {
			t.Errorf("%s: %d %s and %d %s", call, theirs.status, theirs.body, none.status, none.body)
		}
	}
	var list struct{ Data []pay.OrderView }
	if s.send("GET", "/mp/v1/orders", hong, "").into(&list); len(list.Data) != 0 {
		t.Errorf("hong sees %+v", list.Data)
	}
	if got := s.look(o.ID); got.Status != pay.Pending {
		t.Errorf("the order is %s", got.Status)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming := s.login("ming")
	seen := map[string]bool{}
	for _, c := range []struct {
		method, path, token, body, lang string
		status                          int
		code, detail                    string
	}{
		{"GET", "/nothing", "", "", "en", 404, "not_found", "Check the path"},
		{"GET", "/nothing", "", "", "zh-CN,zh;q=0.9,en;q=0.8", 404, "not_found", "请检查路径"},
		{"GET", "/nothing", "", "", "fr-FR, en-GB;q=0.7", 404, "not_found", "Check the path"},
		{"GET", "/nothing", "", "", "", 404, "not_found", "请检查路径"},
		{"GET", "/mp/v1/orders/ord_x", ming, "", "zh", 404, "order_not_found", "请检查订单号"},
		{"GET", "/v1/events/evt_x", s.key, "", "en", 404, "event_not_found", "event's id"},
		{"GET", "/mp/v1/session", "", "", "zh", 401, "authorization_missing", "Authorization"},
		{"POST", "/mp/v1/login", "", `{"app_id":"` + app + `","code":"spent"}`, "zh", 400, "login_code_invalid", "wx.login"},
		{"POST", "/mp/v1/login", "", `{"app_id":"wxffffffffffffffff","code":"c"}`, "en", 422, "app_unknown", "wxffffffffffffffff is not in"},
		{"POST", "/mp/v1/login", "", `{"app_id":"` + app + `"}`, "zh", 422, "invalid_request", "缺少字段 code"},
		{"GET", "/v1/orders?limit=0", s.key, "", "en", 422, "invalid_request", ""},
		{"GET", "/v1/orders?limit=101", s.key, "", "en", 422, "invalid_request", ""},
		{"GET", "/v1/orders?limit=x", s.key, "", "en", 422, "invalid_request", ""},
		{"GET", "/v1/orders?status=free", s.key, "", "en", 422, "invalid_request", ""},
		{"GET", "/v1/orders?stauts=paid", s.key, "", "en", 422, "invalid_request", ""},
		{"GET", "/v1/orders?cursor=" + strings.Repeat("x", 65), s.key, "", "en", 422, "invalid_request", ""},
	} {
		r := s.send(c.method, c.path, c.token, c.body, "Accept-Language", c.lang)
		p := r.problem()
		if r.status != c.status || p.Status != c.status || p.Code != c.code || !strings.Contains(p.Detail, c.detail) || p.Title == "" ||
			!strings.HasSuffix(p.Type, "docs/errors.md#"+c.code) || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s in %q: %d %s %s, want %d %s with %q", c.method, c.path, c.lang, r.status, r.header.Get("Content-Type"), r.body, c.status, c.code, c.detail)
		}
		request := r.header.Get("Request-Id")
		if !strings.HasPrefix(request, "req_") || p.RequestID != request || seen[request] || r.header.Get("Cache-Control") != "no-store" ||
			r.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: request id %q in the header, %q in the body; %v", c.method, c.path, request, p.RequestID, r.header)
		}
		seen[request] = true
	}
	for name, query := range map[string]string{"limit": "limit=0", "stauts": "stauts=paid", "status": "status=free"} {
		if p := s.send("GET", "/v1/orders?"+query, s.key, "").problem(); len(p.Errors) != 1 || p.Errors[0].Pointer != name {
			t.Errorf("%s: %+v", query, p.Errors)
		}
	}
	if r := s.send("GET", "/mp/v1/session", ming, "", "Request-Id", "req_mine", "X-Request-Id", "req_mine"); r.header.Get("Request-Id") == "req_mine" || r.status != 200 {
		t.Errorf("the caller names the request: %v", r.header)
	}
}

func TestMethodNotAllowed(t *testing.T) {
	t.Parallel()
	s := open(t)
	for target, allow := range map[string][]string{
		"DELETE /mp/v1/orders":           {"GET", "POST"},
		"PUT /v1/products/prd_x":         {"GET", "PATCH"},
		"GET /mp/v1/login":               {"POST"},
		"GET /notify/wechat/19/v3":       {"POST"},
		"POST /healthz":                  {"GET"},
		"PATCH /mp/v1/orders/o/payment":  {"POST"},
		"POST /mp/v1/orders/o":           {"GET"},
		"GET /mp/v1/orders/o/payment":    {"POST"},
		"PROPFIND /mp/v1/orders/o/close": {"POST"},
	} {
		method, path, _ := strings.Cut(target, " ")
		r := s.send(method, path, "", "")
		if got := slices.Sorted(slices.Values(r.header.Values("Allow"))); r.status != 405 || r.problem().Code != "method_not_allowed" || !slices.Equal(got, allow) {
			t.Errorf("%s: %d, Allow %q, want %q", target, r.status, got, allow)
		}
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, hong, latte, bagel := s.login("ming"), s.login("hong"), s.product("latte", 1980), s.product("bagel", 1250)
	for _, key := range []string{"", `""`, strings.Repeat("k", 256)} {
		r := s.buy(ming, latte.ID, key)
		if p := r.problem(); r.status != 422 || p.Code != "invalid_request" || len(p.Errors) != 1 || p.Errors[0].Pointer != "Idempotency-Key" {
			t.Errorf("key %.10q: %d %s", key, r.status, r.body)
		}
	}
	if r := s.send("POST", "/mp/v1/orders", ming, fmt.Sprintf(`{"items":[{"product_id":%q,"quantity":1}]}`, latte.ID)); r.status != 422 {
		t.Errorf("no key: %d %s", r.status, r.body)
	}
	if r := s.buy(ming, latte.ID, strings.Repeat("k", 255)); r.status != 201 {
		t.Errorf("255 bytes: %d %s", r.status, r.body)
	}
	first := s.buy(ming, latte.ID, `"k"`)
	var a, b struct {
		Order   pay.OrderView
		Payment map[string]string
	}
	if first.into(&a); first.status != 201 || first.header.Get("Idempotent-Replayed") != "" {
		t.Fatalf("first: %d %v", first.status, first.header)
	}
	again := s.buy(ming, latte.ID, "k") // with or without quotes it is the same key
	if again.into(&b); again.status != 201 || again.header.Get("Idempotent-Replayed") != "true" || b.Order.ID != a.Order.ID || b.Payment["package"] != a.Payment["package"] {
		t.Errorf("again: %d %v %s", again.status, again.header, again.body)
	}
	if r := s.buy(ming, bagel.ID, "k"); r.status != 422 || r.problem().Code != "idempotency_key_reused" {
		t.Errorf("the key for another purchase: %d %s", r.status, r.body)
	}
	if r := s.buy(hong, latte.ID, "k"); r.status != 201 || r.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("the same key of another user: %d %s", r.status, r.body)
	}
	charge := `{"app_id":"` + app + `","openid":"o","amount":{"total":998,"currency":"CNY"},"description":"latte","out_trade_no":"A-000001"}`
	if r := s.send("POST", "/v1/orders", s.key, charge, "Idempotency-Key", "k"); r.status != 201 {
		t.Errorf("the same key of a merchant: %d %s", r.status, r.body)
	}
	if r := s.send("POST", "/v1/orders", s.key, strings.Replace(charge, "998", "1", 1), "Idempotency-Key", "k"); r.status != 422 || r.problem().Code != "idempotency_key_reused" {
		t.Errorf("another amount: %d %s", r.status, r.body)
	}
	if r := s.send("POST", "/v1/orders", s.key, charge, "Idempotency-Key", "k2"); r.status != 409 || r.problem().Code != "out_trade_no_taken" {
		t.Errorf("the number again: %d %s", r.status, r.body)
	}
	if n := len(s.wechat.prepays()); n != 4 {
		t.Errorf("WeChat was told of %d orders, want 4", n)
	}
}

// What the first call made is found again, whatever has changed meanwhile: the client that lost the answer would
// otherwise take its order for refused.
func TestARepeatFindsItsOrder(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, latte := s.login("ming"), s.product("latte", 1980)
	o := s.order(ming, latte.ID, "k")
	charge := `{"app_id":"` + app + `","openid":"o","amount":{"total":998,"currency":"CNY"},"description":"latte","expires_at":"` + s.clock().Add(2*time.Minute).Format(time.RFC3339) + `"}`
	if r := s.send("POST", "/v1/orders", s.key, charge, "Idempotency-Key", "k"); r.status != 201 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	s.advance(time.Second)
	if r := s.send("PATCH", "/v1/products/"+string(latte.ID), s.key, `{"active":false,"price":{"total":1,"currency":"CNY"}}`); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	var v struct{ Order pay.OrderView }
	r := s.buy(ming, latte.ID, "k")
	if r.into(&v); r.status != 201 || r.header.Get("Idempotent-Replayed") != "true" || v.Order.ID != o.ID || v.Order.Amount.Total != 1980 {
		t.Errorf("the product is off the shelf: %d %s", r.status, r.body)
	}
	if r := s.send("POST", "/v1/orders", s.key, charge, "Idempotency-Key", "k"); r.status != 201 || r.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("less than two minutes are left: %d %s", r.status, r.body)
	}
	if r := s.buy(ming, latte.ID, "k2"); r.status != 409 || r.problem().Code != "product_inactive" {
		t.Errorf("a new purchase: %d %s", r.status, r.body)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, latte := s.login("ming"), s.product("latte", 1980)
	var want []pay.OrderID
	for i := range 5 {
		s.advance(time.Second)
		want = append([]pay.OrderID{s.order(ming, latte.ID, fmt.Sprint(i)).ID}, want...)
	}
	s.order(s.login("hong"), latte.ID, "k")
	for _, limit := range []int{1, 2, 5, 100} {
		var got []pay.OrderID
		for cursor, pages := "", 0; ; pages++ {
			var list struct {
				Data       []pay.OrderView
				NextCursor *string `json:"next_cursor"`
			}
			r := s.send("GET", fmt.Sprintf("/mp/v1/orders?limit=%d&cursor=%s", limit, cursor), ming, "")
			if r.into(&list); r.status != 200 || len(list.Data) > limit || pages > 5 {
				t.Fatalf("limit %d: %d %s", limit, r.status, r.body)
			}
			for _, o := range list.Data {
				got = append(got, o.ID)
			}
			if list.NextCursor == nil {
				if !strings.Contains(string(r.body), `"next_cursor":null`) {
					t.Errorf("the end: %s", r.body)
				}
				break
			}
			cursor = *list.NextCursor
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %v, want %v", limit, got, want)
		}
	}
	if r := s.send("GET", "/mp/v1/orders?status=paid", ming, ""); strings.TrimSpace(string(r.body)) != `{"data":[],"next_cursor":null}` {
		t.Errorf("an empty list: %s", r.body)
	}
	if r := s.send("GET", "/v1/orders?out_trade_no="+string(want[2]), s.key, ""); strings.Count(string(r.body), `"id":"ord_`) != 1 || !strings.Contains(string(r.body), string(want[2])) {
		t.Errorf("by number: %s", r.body)
	}
}

func TestMetadataIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, latte := s.login("ming"), s.product("latte", 1980)
	many := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint(i)] = "x"
		}
		return m
	}
	i := 0
	for name, c := range map[string]struct {
		metadata map[string]string
		status   int
	}{
		"20 entries":         {many(20), 201},
		"21 entries":         {many(21), 422},
		"key of 40 bytes":    {map[string]string{strings.Repeat("k", 40): "v"}, 201},
		"key of 41 bytes":    {map[string]string{strings.Repeat("k", 41): "v"}, 422},
		"14 Chinese in key":  {map[string]string{strings.Repeat("桌", 14): "v"}, 422},
		"empty key":          {map[string]string{"": "v"}, 422},
		"value of 500 bytes": {map[string]string{"k": strings.Repeat("v", 500)}, 201},
		"value of 501 bytes": {map[string]string{"k": strings.Repeat("v", 501)}, 422},
		"like our own words": {map[string]string{"status": "paid", "total": "1", "__proto__": "x", "a": "1&b=2"}, 201},
	} {
		i++
		metadata, err := json.Marshal(c.metadata)
		if err != nil {
			t.Fatal(err)
		}
		r := s.send("POST", "/mp/v1/orders", ming, fmt.Sprintf(`{"items":[{"product_id":%q,"quantity":1}],"metadata":%s}`, latte.ID, metadata), "Idempotency-Key", fmt.Sprint(i))
		if r.status != c.status {
			t.Errorf("%s: %d %s", name, r.status, r.body)
			continue
		}
		var v struct{ Order pay.OrderView }
		if r.into(&v); c.status == 201 && (!maps.Equal(v.Order.Metadata, c.metadata) || v.Order.Status != pay.Pending || v.Order.Amount.Total != 1980) {
			t.Errorf("%s: %+v", name, v.Order)
		}
	}
}

// An order keeps the name and the price that it was placed with.
func TestPricesAreFixedWhenPlaced(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, latte := s.login("ming"), s.product("latte", 1980)
	o := s.order(ming, latte.ID, "1")
	if r := s.send("PATCH", "/v1/products/"+string(latte.ID), s.key, `{"name":"flat white","price":{"total":2580,"currency":"CNY"}}`); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if got := s.look(o.ID); got.Amount.Total != 1980 || got.Items[0].Name != "latte" || got.Items[0].Price != 1980 || got.Description != o.Description {
		t.Errorf("placed before: %+v", got)
	}
	if r := s.send("POST", "/mp/v1/orders/"+string(o.ID)+"/payment", ming, ""); r.status != 200 {
		t.Errorf("payment: %d %s", r.status, r.body)
	}
	if got := s.order(ming, latte.ID, "2"); got.Amount.Total != 2580 || got.Items[0].Name != "flat white" {
		t.Errorf("placed after: %+v", got)
	}
	totals := []int64{}
	for _, p := range s.wechat.prepays() {
		totals = append(totals, int64(p.Total))
	}
	if !slices.Equal(totals, []int64{1980, 2580}) {
		t.Errorf("WeChat was told %v", totals)
	}
}

// Each thing that is missing has an error of its own.
func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, latte := s.login("ming"), s.product("latte", 1980)
	gone := s.product("gone", 1)
	s.send("PATCH", "/v1/products/"+string(gone.ID), s.key, `{"active":false}`)
	var session struct{ User struct{ ID string } }
	s.send("GET", "/mp/v1/session", ming, "").into(&session)
	charge := func(more string) string {
		return `{"amount":{"total":998,"currency":"CNY"},"description":"latte",` + more + `}`
	}
	for name, c := range map[string]struct {
		path, token, body string
		status            int
		code              string
	}{
		"no such product":      {"/mp/v1/orders", ming, `{"items":[{"product_id":"prd_x","quantity":1}]}`, 404, "product_not_found"},
		"one of two":           {"/mp/v1/orders", ming, fmt.Sprintf(`{"items":[{"product_id":%q,"quantity":1},{"product_id":"prd_x","quantity":1}]}`, latte.ID), 404, "product_not_found"},
		"off the shelf":        {"/mp/v1/orders", ming, fmt.Sprintf(`{"items":[{"product_id":%q,"quantity":1}]}`, gone.ID), 409, "product_inactive"},
		"no such app":          {"/v1/orders", s.key, charge(`"app_id":"wxffffffffffffffff","openid":"o"`), 422, "app_unknown"},
		"no such user":         {"/v1/orders", s.key, charge(`"app_id":"` + app + `","user_id":"usr_x"`), 404, "user_unknown"},
		"user of another app":  {"/v1/orders", s.key, charge(`"app_id":"` + otherApp + `","user_id":"` + session.User.ID + `"`), 404, "user_unknown"},
		"nobody":               {"/v1/orders", s.key, charge(`"app_id":"` + app + `"`), 422, "invalid_request"},
		"two payers":           {"/v1/orders", s.key, charge(`"app_id":"` + app + `","openid":"o","user_id":"` + session.User.ID + `"`), 422, "invalid_request"},
		"too soon over":        {"/v1/orders", s.key, charge(`"app_id":"` + app + `","openid":"o","expires_at":"2026-11-20T04:01:59Z"`), 422, "invalid_request"},
		"over too late":        {"/v1/orders", s.key, charge(`"app_id":"` + app + `","openid":"o","expires_at":"2026-11-20T14:00:01+08:00"`), 422, "invalid_request"},
		"a time without zone":  {"/v1/orders", s.key, charge(`"app_id":"` + app + `","openid":"o","expires_at":"2026-11-20T05:00:00"`), 422, "invalid_request"},
		"slash in the number":  {"/v1/orders", s.key, charge(`"app_id":"` + app + `","openid":"o","out_trade_no":"2026/0001"`), 422, "invalid_request"},
		"33 characters":        {"/v1/orders", s.key, charge(`"app_id":"` + app + `","openid":"o","out_trade_no":"` + strings.Repeat("1", 33) + `"`), 422, "invalid_request"},
		"an address to notify": {"/v1/orders", s.key, charge(`"app_id":"` + app + `","openid":"o","notify_url":"https://evil.example/"`), 422, "invalid_request"},
		"a description too long": {"/v1/orders", s.key, `{"amount":{"total":998,"currency":"CNY"},"app_id":"` + app + `","openid":"o","description":"` + strings.Repeat("咖", 43) + `"}`,
			422, "invalid_request"},
	} {
		if r := s.send("POST", c.path, c.token, c.body, "Idempotency-Key", name); r.status != c.status || r.problem().Code != c.code || r.problem().Detail == "" {
			t.Errorf("%s: %d %s, want %d %s", name, r.status, r.body, c.status, c.code)
		}
	}
	if n := len(s.wechat.prepays()); n != 0 {
		t.Errorf("WeChat was told of %d orders", n)
	}
}

func TestWaitIsADuration(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, latte := s.login("ming"), s.product("latte", 1980)
	o := s.order(ming, latte.ID, "k")
	for wait, status := range map[string]int{"20": 422, "-1s": 422, "soon": 422, "1e9s": 422, "20s20": 422, "0s": 200, "1ms": 200, "": 200} {
		r := s.send("GET", "/mp/v1/orders/"+string(o.ID)+"?wait="+wait, ming, "")
		if r.status != status {
			t.Errorf("wait %q: %d %s", wait, r.status, r.body)
		}
		if status == 200 {
			continue
		}
		if p := r.problem(); p.Code != "invalid_request" || len(p.Errors) != 1 || p.Errors[0].Pointer != "wait" || !strings.Contains(p.Detail, "20s") {
			t.Errorf("wait %q: %s", wait, r.body)
		}
	}
	// A caller who goes away ends the wait.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest("GET", "/mp/v1/orders/"+string(o.ID)+"?wait=30s", nil).WithContext(ctx)
	r.Header.Set("Authorization", "Bearer "+ming)
	began := time.Now()
	s.server.ServeHTTP(httptest.NewRecorder(), r)
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it waited %s for nobody", d)
	}
}

// paidNotice is WeChat's word that o is paid.
func paidNotice(o pay.OrderView) pay.Notice {
	e := pay.Evidence{Source: "notification", Serial: "S", Digest: "D", At: o.CreatedAt.UTC()}
	return pay.Notice{MerchantID: merchant, EventType: "TRANSACTION.SUCCESS", Evidence: e, Transaction: &pay.Transaction{MerchantID: o.MerchantID, AppID: o.AppID,
		OutTradeNo: o.OutTradeNo, TransactionID: "4200000001", State: pay.TradePaid, Total: o.Amount.Total, Currency: "CNY", OpenID: o.OpenID, PaidAt: o.CreatedAt.UTC(), Evidence: e}}
}

// What WeChat is told follows from what was verified and what was kept, and from nothing else.
func TestAnswersToWeChat(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, latte := s.login("ming"), s.product("latte", 1980)
	o := s.order(ming, latte.ID, "k")
	good := paidNotice(o)
	change := func(f func(*pay.Transaction)) pay.Notice {
		n, tr := good, *good.Transaction
		f(&tr)
		n.Transaction = &tr
		return n
	}
	for _, c := range []struct {
		name   string
		notice pay.Notice
		err    error
		status int
		after  pay.Status
	}{
		{"of an unknown merchant", pay.Notice{}, pay.ErrUnknownMerchant, 404, pay.Pending},
		{"not verified", good, fmt.Errorf("x: %w", pay.ErrUnverified), 401, pay.Pending},
		{"unreadable", good, errors.New("a wrong key"), 500, pay.Pending},
		{"of another kind", pay.Notice{MerchantID: merchant, EventType: "SOMETHING.NEW", Evidence: good.Evidence}, nil, 204, pay.Pending},
		{"of a payment that failed", change(func(t *pay.Transaction) { t.State = pay.TradeClosed }), nil, 204, pay.Pending},
		{"of a payment under way", change(func(t *pay.Transaction) { t.State = pay.TradeOpen }), nil, 204, pay.Pending},
		{"of an order of nobody", change(func(t *pay.Transaction) { t.OutTradeNo = "X-000001" }), nil, 500, pay.Pending},
		{"of another amount", change(func(t *pay.Transaction) { t.Total = 1 }), nil, 204, pay.Pending},
		{"right", good, nil, 204, pay.Paid},
		{"again", good, nil, 204, pay.Paid},
	} {
		s.wechat.notice = func(string) (pay.Notice, error) { return c.notice, c.err }
		r := s.send("POST", "/notify/wechat/"+merchant+"/v3", "", `{}`)
		if got := s.look(o.ID); r.status != c.status || got.Status != c.after {
			t.Errorf("%s: %d %s, the order is %s; want %d and %s", c.name, r.status, r.body, got.Status, c.status, c.after)
		}
		var answer struct{ Code, Message string }
		if c.status == 204 && len(r.body) != 0 {
			t.Errorf("%s: body %s", c.name, r.body)
		} else if c.status != 204 {
			if r.into(&answer); answer.Code != "FAIL" || answer.Message == "" || r.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %s %s", c.name, r.header.Get("Content-Type"), r.body)
			}
		}
	}
	if r := s.send("POST", "/notify/wechat/"+merchant+"/v3", "", strings.Repeat("x", 64<<10+1)); r.status != 413 {
		t.Errorf("too large: %d", r.status)
	}
	if got := s.look(o.ID); got.Amount.Total != 1980 || got.TransactionID == nil || *got.TransactionID != "4200000001" || !got.Flagged {
		t.Errorf("%+v", got)
	}
}

// WeChat hears "received" when the payment is durable, and not a moment before.
func TestNoAnswerBeforeTheCommit(t *testing.T) {
	t.Parallel()
	s := open(t)
	ming, latte := s.login("ming"), s.product("latte", 1980)
	o := s.order(ming, latte.ID, "k")
	s.wechat.notice = func(string) (pay.Notice, error) { return paidNotice(o), nil }

	s.store.update = func(context.Context, pay.OrderID, pay.Step) (pay.Order, error) {
		return pay.Order{}, errors.New("the disk is full")
	}
	if r := s.send("POST", "/notify/wechat/"+merchant+"/v3", "", `{}`); r.status != 500 || strings.Contains(string(r.body), "disk") {
		t.Errorf("the commit failed: %d %s", r.status, r.body)
	}

	reached, release, answered := make(chan struct{}), make(chan struct{}), make(chan int)
	s.store.update = func(ctx context.Context, id pay.OrderID, step pay.Step) (pay.Order, error) {
		close(reached)
		<-release
		return s.store.Store.UpdateOrder(ctx, id, step)
	}
	w := &early{ResponseRecorder: httptest.NewRecorder(), wrote: make(chan struct{})}
	go func() {
		s.server.ServeHTTP(w, httptest.NewRequest("POST", "/notify/wechat/"+merchant+"/v3", strings.NewReader(`{}`)))
		answered <- w.Code
	}()
	<-reached
	select {
	case <-w.wrote:
		t.Error("answered before the commit")
	default:
	}
	close(release)
	if status := <-answered; status != 204 {
		t.Errorf("after the commit: %d", status)
	}
	s.store.update = nil
	if got := s.look(o.ID); got.Status != pay.Paid {
		t.Errorf("the order is %s", got.Status)
	}
}

// early tells when an answer begins.
type early struct {
	*httptest.ResponseRecorder
	wrote chan struct{}
	once  sync.Once
}

func (e *early) WriteHeader(status int) {
	e.once.Do(func() { close(e.wrote) })
	e.ResponseRecorder.WriteHeader(status)
}

func (e *early) Write(b []byte) (int, error) {
	e.once.Do(func() { close(e.wrote) })
	return e.ResponseRecorder.Write(b)
}

// A mistake of ours in one request is an answer to it and not the end of the process; what went wrong stays in the log.
func TestAPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	s := open(t)
	var log strings.Builder
	s.server = server.New(server.Config{Cashier: s.cashier, Notifications: s.wechat, Ready: s.store.Ping, Log: slog.New(slog.NewTextHandler(&log, nil))})
	s.wechat.notice = func(string) (pay.Notice, error) { panic("a nil pointer") }
	r := s.send("POST", "/notify/wechat/"+merchant+"/v3", "", `{}`)
	if p := r.problem(); r.status != 500 || p.Code != "internal_error" || strings.Contains(string(r.body), "nil pointer") || !strings.Contains(log.String(), "a nil pointer") ||
		!strings.Contains(log.String(), p.RequestID) {
		t.Errorf("%d %s\n%s", r.status, r.body, log.String())
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, path := range []string{"/livez", "/healthz", "/readyz"} {
		if r := s.send("GET", path, "", ""); r.status != 200 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	s.server = server.New(server.Config{Cashier: s.cashier, Notifications: s.wechat, Ready: func(context.Context) error { return io.ErrUnexpectedEOF }, Log: slog.New(slog.DiscardHandler)})
	if r := s.send("GET", "/readyz", "", ""); r.status != 503 || strings.Contains(string(r.body), "EOF") {
		t.Errorf("a database that does not answer: %d %s", r.status, r.body)
	}
	if r := s.send("GET", "/livez", "", ""); r.status != 200 {
		t.Errorf("the process lives: %d", r.status)
	}
}
