package sandbox

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func (w *world) set(settings map[string]any) {
	w.t.Helper()
	var e problem
	if status := w.control("POST", "settings", settings, &e); status != 200 {
		w.t.Fatalf("%d %+v", status, e)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	var got map[string]any
	if w.control("GET", "settings", nil, &got); fmt.Sprint(got) != "map[busy_close:0s client_certificates:false omit_sign_type:false rate_limits:map[] refund_after:5s refund_gap:0s]" {
		t.Errorf("at first: %v", got)
	}
	w.set(map[string]any{"refund_after": "72h", "rate_limits": PublishedRateLimits()})
	w.set(map[string]any{"busy_close": "30s"}) // the others stay
	if now := w.Settings(); now.RefundAfter != 72*time.Hour || now.BusyClose != 30*time.Second || now.RefundGap != 0 || now.RateLimits["v3.refund"] != 150 {
		t.Errorf("%+v", now)
	}
	for _, c := range []struct {
		in   map[string]any
		says string
	}{
		{map[string]any{"refund_after": "soon"}, `the body isn't what this call takes: refund_after "soon" is no duration`},
		{map[string]any{"refund_gap": "-1s"}, "refund_after, refund_gap and busy_close are 0 or more"},
		{map[string]any{"rate_limits": map[string]int{"v3.pay": 1}}, `rate_limits: "v3.pay" is no operation: use bill.fundflowbill, `},
		{map[string]any{"rate_limits": map[string]int{"v3.query": 0}}, "rate_limits: v3.query: 0 is no limit"},
		{map[string]any{"color": "red"}, "the body isn't what this call takes"},
	} {
		var e problem
		if status := w.control("POST", "settings", c.in, &e); status != 400 || !strings.HasPrefix(e.Message, c.says) {
			t.Errorf("%v: %d %+v", c.in, status, e)
		}
	}
	if err := w.Reset(); err != nil {
		t.Fatal(err)
	}
	w.set(map[string]any{"client_certificates": true})
	w.set(map[string]any{"omit_sign_type": true})
	if now := w.Settings(); !now.ClientCertificates || !now.OmitSignType {
		t.Errorf("%+v", now)
	}
	if err := w.Reset(); err != nil {
		t.Fatal(err)
	}
	if now := w.Settings(); now.ClientCertificates || now.OmitSignType || now.RefundAfter != 5*time.Second || now.BusyClose != 0 || len(now.RateLimits) != 0 {
		t.Errorf("after a reset: %+v", now)
	}
}

// Calls beyond a limit wait for the next second; other merchants and other calls don't.
func TestRateLimits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, Options{Clock: func() time.Time { return now }})
	w.set(map[string]any{"rate_limits": map[string]int{"v3.query": 3, "v3.refund": 4, "v3.refund.failing": 2, "bill.fundflowbill": 1}})
	other := oneMerchant()
	other.ID, other.Apps, other.PublicKeyID, other.Certificate = "1900000777", []App{{ID: "wx0123456789abcdef", Secret: "s"}}, "PUB_KEY_ID_7", ""
	if _, err := w.AddMerchant(other); err != nil {
		t.Fatal(err)
	}
	second := *w
	second.merchant = w.Merchants()[1]
	w.pay("order-000001")
	query := func(w *world) int {
		return w.call("GET", "/v3/pay/transactions/out-trade-no/order-000001?mchid="+w.merchant.ID, "").status
	}
	for i, want := range []int{200, 200, 200, 429, 429} {
		if got := query(w); got != want {
			t.Errorf("query %d: %d, want %d", i, got, want)
		}
	}
	w.refuses(w.call("GET", "/v3/pay/transactions/out-trade-no/order-000001?mchid="+w.merchant.ID, ""), 429, "FREQUENCY_LIMITED", "268447840")
	if got := query(&second); got != 404 {
		t.Errorf("another merchant: %d", got)
	}
	w.place("order-000002", nil)
	now = now.Add(time.Second)
	if got := query(w); got != 200 {
		t.Errorf("a second later: %d", got)
	}
	// Refused refunds use up a limit of their own, and then right ones are refused as well.
	for i, c := range []struct{ amount, want int }{{9999, 400}, {1, 200}, {9999, 400}, {1, 429}} {
		if r := w.askRefund("order-000001", fmt.Sprint("refund-", i), c.amount, nil); r.status != c.want {
			t.Errorf("refund %d: %d %s, want %d", i, r.status, r.body, c.want)
		}
	}
	now = now.Add(time.Second)
	for i, want := range []int{200, 200, 200, 200, 429} {
		if r := w.askRefund("order-000001", fmt.Sprint("again-", i), 1, nil); r.status != want {
			t.Errorf("refund %d: %d %s, want %d", i, r.status, r.body, want)
		}
	}
	if got := len(w.Refunds()); got != 5 {
		t.Errorf("%d refunds", got)
	}
	for i, want := range []int{400, 429} {
		if r := w.call("GET", "/v3/bill/fundflowbill?bill_date=2026-11-19", ""); r.status != want {
			t.Errorf("bill %d: %d %s", i, r.status, r.body)
		}
	}
	if r := w.call("GET", "/v3/bill/tradebill?bill_date=2026-11-19", ""); r.status != 400 {
		t.Errorf("the other bill: %d %s", r.status, r.body)
	}
}

// With refund_gap the refunds of one order keep their distance.
func TestRefundGap(t *testing.T) {
	t.Parallel()
	at := time.Now()
	w := newWorld(t, Options{Clock: func() time.Time { return at }})
	w.set(map[string]any{"refund_gap": "1m", "refund_after": "0s"})
	w.pay("order-000001")
	w.pay("order-000002")
	w.refund("order-000001", "refund-1", 1, nil)
	w.refund("order-000002", "refund-2", 1, nil)
	w.Advance(time.Minute - time.Second)
	if r := w.askRefund("order-000001", "refund-3", 1, nil); r.status != 429 || r.code() != "FREQUENCY_LIMITED" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if again := w.refund("order-000001", "refund-1", 1, nil); again.Status != "SUCCESS" {
		t.Errorf("a repeat: %+v", again)
	}
	w.Advance(time.Second)
	w.refund("order-000001", "refund-3", 1, nil)
}

// With busy_close an order can't be closed while its buyer is at the cashier.
func TestBusyClose(t *testing.T) {
	t.Parallel()
	at := time.Now()
	w := newWorld(t, Options{Clock: func() time.Time { return at }})
	id := w.place("order-000001", nil)
	cancel := w.payment(id)
	cancel.Action = "cancel"
	if _, err := w.RequestPayment(cancel); err != nil {
		t.Fatal(err)
	}
	w.set(map[string]any{"busy_close": "30s"})
	w.refuses(w.closeOrder("order-000001"), 429, "FREQUENCY_LIMITED", "268447840")
	w.Advance(30*time.Second - 1)
	w.refuses(w.closeOrder("order-000001"), 429, "FREQUENCY_LIMITED", "268447840")
	w.Advance(1)
	if r := w.closeOrder("order-000001"); r.status != 204 {
		t.Errorf("%d %s", r.status, r.body)
	}
	w.place("order-000002", nil)
	if r := w.closeOrder("order-000002"); r.status != 204 { // nobody was there
		t.Errorf("%d %s", r.status, r.body)
	}
	w.pay("order-000003")
	w.refuses(w.closeOrder("order-000003"), 400, "ORDER_PAID", "268449538")
}
