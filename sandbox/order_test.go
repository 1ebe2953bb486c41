package sandbox

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// state is what a query says.
func (w *world) state(number string) string {
	w.t.Helper()
	r := w.call("GET", "/v3/pay/transactions/out-trade-no/"+number+"?mchid="+w.merchant.ID, "")
	var out struct {
		State string `json:"trade_state"`
	}
	if err := json.Unmarshal(r.body, &out); err != nil {
		w.t.Fatal(err)
	}
	return out.State
}

func (w *world) closeOrder(number string) reply {
	w.t.Helper()
	return w.call("POST", "/v3/pay/transactions/out-trade-no/"+number+"/close", `{"mchid":"`+w.merchant.ID+`"}`)
}

func (w *world) refuses(r reply, status int, code, number string) {
	w.t.Helper()
	if r.status != status || r.code() != code || !strings.HasSuffix(r.header.Get("Request-Id"), "-"+number) {
		w.t.Errorf("answers %d %s (%s), want %d %s -%s", r.status, r.body, r.header.Get("Request-Id"), status, code, number)
	}
}

// The same number with the same parameters is the same order, with another prepay id; all its prepay ids work until one
// was paid.
func TestOrderIsRepeatable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	first := w.place("order-000001", nil)
	second := w.place("order-000001", nil)
	if first == second {
		t.Error("the repeat gave the same prepay id")
	}
	changed := []map[string]any{
		{"amount": map[string]any{"total": 999, "currency": "CNY"}},
		{"amount": map[string]any{"total": 998}},
		{"description": "两杯咖啡"},
		{"notify_url": "https://pay.example.com/other"},
		{"attach": "x"},
	}
	for _, c := range changed {
		w.refuses(w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("order-000001", c)), 400, "INVALID_REQUEST", "268498688")
	}
	// Another order of the names says the same.
	body := w.orderBody("order-000001", nil)
	var v map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	reordered := `{"payer":` + string(v["payer"]) + `,`
	delete(v, "payer")
	rest, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if r := w.call("POST", "/v3/pay/transactions/jsapi", reordered+string(rest[1:])); r.status != 200 {
		t.Errorf("in another order: %d %s", r.status, r.body)
	}
	w.payWith(first)
	if r, err := w.RequestPayment(w.payment(second)); err != nil || r.ErrMsg != "requestPayment:fail Invalid payment situation: the order has been paid" {
		t.Errorf("the second prepay id: %+v, %v", r, err)
	}
	if b := w.Books()[0]; b.Paid.Count != 1 {
		t.Errorf("paid %d times", b.Paid.Count)
	}
}

// Numbers that were paid or closed are burnt.
func TestNumbersBurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.pay("order-paid")
	w.refuses(w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("order-paid", nil)), 403, "OUT_TRADE_NO_USED", "268449538")
	w.place("order-closed", nil)
	for range 2 {
		if r := w.closeOrder("order-closed"); r.status != 204 {
			t.Errorf("close: %d %s", r.status, r.body)
		}
	}
	w.refuses(w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("order-closed", nil)), 403, "OUT_TRADE_NO_USED", "268498689")
	w.refuses(w.closeOrder("order-paid"), 400, "ORDER_PAID", "268449538")
	w.refuses(w.closeOrder("order-never"), 404, "ORDER_NOT_EXIST", "268512771")
	if paid, closed := w.state("order-paid"), w.state("order-closed"); paid != "SUCCESS" || closed != "CLOSED" {
		t.Errorf("paid is %s, closed is %s", paid, closed)
	}
}

func TestUnpaidQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.place("order-000001", map[string]any{"attach": "a&b<c>"})
	r := w.call("GET", "/v3/pay/transactions/out-trade-no/order-000001?mchid="+w.merchant.ID, "")
	want := `{"appid":"` + w.app.ID + `","mchid":"` + w.merchant.ID + `","out_trade_no":"order-000001","trade_state":"NOTPAY","trade_state_desc":"订单未支付","attach":"a&b<c>","amount":{"total":998,"currency":"CNY"}}`
	if string(r.body) != want {
		t.Errorf("%s\nwant %s", r.body, want)
	}
}

// An order that isn't paid within seven days is closed by itself; before that, time_expire only closes the cashier.
func TestOrdersEnd(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second) // time_expire has no fractions here
	w := newWorld(t, Options{Clock: func() time.Time { return now }})
	w.place("order-plain", nil)
	limited := w.place("order-limited", map[string]any{"time_expire": stamp(now.Add(time.Hour))})
	w.place("order-long", map[string]any{"time_expire": stamp(now.AddDate(0, 0, 10))})
	w.Advance(time.Hour)
	if s := w.state("order-limited"); s != "NOTPAY" {
		t.Errorf("after its time_expire the order is %s", s)
	}
	if r, err := w.RequestPayment(w.payment(limited)); err != nil || r.ErrMsg != "requestPayment:fail Invalid payment situation: the order has expired" {
		t.Errorf("the cashier: %+v, %v", r, err)
	}
	w.refuses(w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("order-limited", map[string]any{"time_expire": stamp(now.Add(time.Hour))})),
		400, "INVALID_REQUEST", "268447914")
	w.Advance(7*24*time.Hour - time.Hour)
	if a, b, c := w.state("order-plain"), w.state("order-limited"), w.state("order-long"); a != "CLOSED" || b != "CLOSED" || c != "NOTPAY" {
		t.Errorf("after seven days: %s %s %s", a, b, c)
	}
	w.Advance(3 * 24 * time.Hour)
	if c := w.state("order-long"); c != "CLOSED" {
		t.Errorf("after ten days: %s", c)
	}
}

// A prepay id lives two hours; the order call gives another.
func TestPrepayIDsEnd(t *testing.T) {
	t.Parallel()
	at := time.Now()
	w := newWorld(t, Options{Clock: func() time.Time { return at }})
	id := w.place("order-000001", nil)
	w.Advance(2*time.Hour - time.Second)
	p := w.payment(id)
	p.Action = "cancel"
	if r, err := w.RequestPayment(p); err != nil || r.ErrMsg != "requestPayment:fail cancel" {
		t.Errorf("just in time: %+v, %v", r, err)
	}
	w.Advance(time.Second)
	if r, err := w.RequestPayment(w.payment(id)); err != nil || r.ErrMsg != "requestPayment:fail prepay_id has expired" {
		t.Errorf("too late: %+v, %v", r, err)
	}
	w.payWith(w.place("order-000001", nil))
}

// An order is one merchant's, a number too.
func TestMerchantsApart(t *testing.T) {
	t.Parallel()
	other := oneMerchant()
	other.ID, other.Apps, other.PublicKeyID = "1900000777", []App{{ID: "wx0123456789abcdef", Secret: "s"}}, "PUB_KEY_ID_7"
	other.Certificate = "" // it has the first one's number in it
	w := newWorld(t, Options{Merchants: []Merchant{oneMerchant(), other}})
	w.pay("order-000001")
	paid, _ := w.Payment("order-000001")

	second := *w
	second.merchant, second.app = w.Merchants()[1], w.Merchants()[1].Apps[0]
	second.refuses(second.call("GET", "/v3/pay/transactions/id/"+paid.TransactionID+"?mchid="+other.ID, ""), 400, "INVALID_REQUEST", "268447843")
	second.refuses(second.call("GET", "/v3/pay/transactions/out-trade-no/order-000001?mchid="+other.ID, ""), 404, "ORDER_NOT_EXIST", "268512771")
	second.place("order-000001", nil)
	// Another merchant's app, another app's user, nobody.
	w.refuses(w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("order-000002", map[string]any{"appid": other.Apps[0].ID})), 400, "APPID_MCHID_NOT_MATCH", "268445527")
	foreign, err := w.OpenID(other.Apps[0].ID, "alice")
	if err != nil {
		t.Fatal(err)
	}
	w.refuses(w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("order-000002", map[string]any{"payer": map[string]any{"openid": foreign}})), 400, "INVALID_REQUEST", "268435461")
	w.refuses(w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("order-000002", map[string]any{"payer": map[string]any{"openid": "oNobody"}})), 400, "PARAM_ERROR", "268435461")
	if b := w.Books(); b[0].Paid.Count != 1 || b[1].Paid.Count != 0 {
		t.Errorf("books %+v", b)
	}
}

func TestFee(t *testing.T) {
	t.Parallel()
	for amount, want := range map[int64]int64{1: 0, 83: 0, 84: 1, 100: 1, 10000: 60, 998: 6, 1000: 6, 9_999_999_999: 60_000_000} {
		if got := int64(fee(money.Fen(amount))); got != want {
			t.Errorf("the fee of %d is %d, want %d", amount, got, want)
		}
	}
}

// A reset may come at any moment, also into calls and deliveries that are under way.
func TestResetWhileBusy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	var busy sync.WaitGroup
	for k := range 4 {
		busy.Go(func() {
			for i := range 10 {
				number := fmt.Sprintf("order-%d-%d", k, i)
				p := w.payment(w.place(number, nil))
				if r, err := w.RequestPayment(p); err != nil || !r.OK() && r.ErrMsg != "requestPayment:fail prepay_id is invalid" {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	for range 20 {
		if err := w.Reset(); err != nil {
			t.Error(err)
		}
	}
	busy.Wait()
	w.idle()
	if b, n := w.Books()[0].Paid.Count, int64(len(w.Notifications())); b != n {
		t.Errorf("%d payments, %d notifications", b, n)
	}
}
