package sandbox

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

const refunds = "/v3/refund/domestic/refunds"

// refundBody is a right refund of an order over 9.98, with changes: a nil takes a field out.
func (w *world) refundBody(number, refundNumber string, amount int, changes map[string]any) string {
	w.t.Helper()
	fields := map[string]any{"out_trade_no": number, "out_refund_no": refundNumber, "reason": "不想要了",
		"notify_url": strings.TrimSuffix(w.shop.url, "/notify") + "/refunds",
		"amount":     map[string]any{"refund": amount, "total": 998, "currency": "CNY"}}
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

func (w *world) askRefund(number, refundNumber string, amount int, changes map[string]any) reply {
	w.t.Helper()
	return w.call("POST", refunds, w.refundBody(number, refundNumber, amount, changes))
}

// refunded is a refund as an answer tells it.
type refunded struct {
	ID          string `json:"refund_id"`
	Number      string `json:"out_refund_no"`
	Transaction string `json:"transaction_id"`
	OutTradeNo  string `json:"out_trade_no"`
	Channel     string
	Account     string `json:"user_received_account"`
	Succeeded   string `json:"success_time"`
	Created     string `json:"create_time"`
	Status      string
	Amount      struct{ Total, Refund int }
}

func (w *world) readRefund(r reply) refunded {
	w.t.Helper()
	var v refunded
	if err := json.Unmarshal(r.body, &v); r.status != 200 || err != nil || !w.genuine(r.header, r.body) {
		w.t.Fatalf("%d %s %v", r.status, r.body, r.err)
	}
	return v
}

// refund asks for a refund that is accepted.
func (w *world) refund(number, refundNumber string, amount int, changes map[string]any) refunded {
	w.t.Helper()
	return w.readRefund(w.askRefund(number, refundNumber, amount, changes))
}

func (w *world) queryRefund(refundNumber string) refunded {
	w.t.Helper()
	return w.readRefund(w.call("GET", refunds+"/"+refundNumber, ""))
}

// A refund is PROCESSING, then SUCCESS; the order is REFUND from the first one on; each is told to its notify_url.
func TestRefund(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.url = "https://shop.example.com/notify"
		w.pay("order-000001")
		begin := time.Now()
		first := w.refund("order-000001", "refund-1", 300, nil)
		paid, _ := w.Payment("order-000001")
		if first.Status != "PROCESSING" || first.Transaction != paid.TransactionID || first.OutTradeNo != "order-000001" || first.Succeeded != "" ||
			first.Amount.Total != 998 || first.Amount.Refund != 300 || first.Channel != "ORIGINAL" || len(first.ID) != 29 || first.Created != stamp(begin) {
			w.t.Errorf("%+v", first)
		}
		if s := w.state("order-000001"); s != "REFUND" {
			w.t.Errorf("the order is %s", s)
		}
		time.Sleep(5*time.Second - 1)
		if v := w.queryRefund("refund-1"); v.Status != "PROCESSING" {
			w.t.Errorf("just before: %+v", v)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if v := w.queryRefund("refund-1"); v.Status != "SUCCESS" || v.Succeeded != stamp(begin.Add(5*time.Second)) {
			w.t.Errorf("after 5 s: %+v", v)
		}
		// The rest, by transaction_id, which wins over the number.
		rest := w.refund("order-000001", "refund@2", 698, map[string]any{"transaction_id": paid.TransactionID, "out_trade_no": "order-other"})
		if rest.OutTradeNo != "order-000001" {
			w.t.Errorf("%+v", rest)
		}
		time.Sleep(time.Minute)
		if p, _ := w.Payment("order-000001"); p.State != StateRefund || len(p.Refunds) != 2 || p.Refunds[1].Status != RefundSuccess || p.Refunds[0].Amount != 300 {
			w.t.Errorf("%+v", p)
		}
		all := w.shop.all()
		if len(all) != 3 {
			w.t.Fatalf("%d notifications", len(all))
		}
		var e struct {
			Type     string `json:"event_type"`
			Summary  string
			Resource struct {
				Original   string `json:"original_type"`
				Associated string `json:"associated_data"`
			}
		}
		if err := json.Unmarshal(all[1].body, &e); err != nil || e.Type != "REFUND.SUCCESS" || e.Summary != "退款成功" || e.Resource.Original != "refund" || e.Resource.Associated != "refund" {
			w.t.Errorf("%s", all[1].body)
		}
		want := fmt.Sprintf(`{"mchid":"%s","transaction_id":"%s","out_trade_no":"order-000001","refund_id":"%s","out_refund_no":"refund-1","refund_status":"SUCCESS","success_time":"%s","user_received_account":"支付用户零钱","amount":{"total":998,"refund":300,"payer_total":998,"payer_refund":300}}`,
			w.merchant.ID, paid.TransactionID, first.ID, stamp(begin.Add(5*time.Second)))
		if got := w.plain(all[1]); !sameJSON(w.t, got, []byte(want)) || !w.genuine(all[1].header, all[1].body) {
			w.t.Errorf("%s\nwant %s", got, want)
		}
		if n := w.Notifications()[1]; n.OutRefundNo != "refund-1" || n.OutTradeNo != "order-000001" || n.EventType != "REFUND.SUCCESS" || !strings.HasSuffix(n.URL, "/refunds") ||
			!n.CreatedAt.Equal(begin.Add(5*time.Second)) || n.Status != NotificationAccepted {
			w.t.Errorf("%+v", n)
		}
		if b := w.Books()[0]; b.Paid != (Sum{1, 998}) || b.Refunded != (Sum{2, 998}) || b.Refunding != (Sum{}) || b.Fee != 0 || b.Balance != 0 {
			w.t.Errorf("%+v", b)
		}
	})
}

// Asked for again in the same terms a refund is the same refund; in others it is refused; and no more goes back than came.
func TestRefundRules(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorld(t, Options{Clock: func() time.Time { return now }})
	w.pay("order-000001")
	w.place("order-unpaid", nil)
	first := w.refund("order-000001", "refund-1", 300, nil)
	if again := w.refund("order-000001", "refund-1", 300, nil); again != first {
		t.Errorf("%+v\nwant %+v", again, first)
	}
	for _, c := range []struct {
		name                 string
		number, refundNumber string
		amount               int
		changes              map[string]any
		status               int
		code                 string
	}{
		{"another amount", "order-000001", "refund-1", 301, nil, 400, "INVALID_REQUEST"},
		{"another reason", "order-000001", "refund-1", 300, map[string]any{"reason": "x"}, 400, "INVALID_REQUEST"},
		{"another notify_url", "order-000001", "refund-1", 300, map[string]any{"notify_url": nil}, 400, "INVALID_REQUEST"},
		{"another order", "order-unpaid", "refund-1", 300, nil, 400, "INVALID_REQUEST"},
		{"another total", "order-000001", "refund-2", 1, map[string]any{"amount": map[string]any{"refund": 1, "total": 999, "currency": "CNY"}}, 400, "INVALID_REQUEST"},
		{"a fen too much", "order-000001", "refund-2", 699, nil, 400, "INVALID_REQUEST"},
		{"unpaid", "order-unpaid", "refund-2", 1, nil, 404, "RESOURCE_NOT_EXISTS"},
		{"unknown", "order-never", "refund-2", 1, nil, 404, "RESOURCE_NOT_EXISTS"},
		{"unknown transaction", "order-000001", "refund-2", 1, map[string]any{"transaction_id": "4200"}, 404, "RESOURCE_NOT_EXISTS"},
		{"neither number", "order-000001", "refund-2", 1, map[string]any{"out_trade_no": nil}, 400, "PARAM_ERROR"},
		{"accounts that don't add up", "order-000001", "refund-2", 10, map[string]any{"amount": map[string]any{"refund": 10, "total": 998, "currency": "CNY",
			"from": []any{map[string]any{"account": "AVAILABLE", "amount": 9}}}}, 400, "INVALID_REQUEST"},
	} {
		if r := w.askRefund(c.number, c.refundNumber, c.amount, c.changes); r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.name, r.status, r.body, c.status, c.code)
		}
	}
	if r := w.call("GET", refunds+"/refund-2", ""); r.status != 404 || r.code() != "RESOURCE_NOT_EXISTS" {
		t.Errorf("an unknown refund: %d %s", r.status, r.body)
	}
	if b := w.Books()[0]; b.Refunded != (Sum{1, 300}) || b.Refunding != (Sum{1, 300}) {
		t.Errorf("%+v", b)
	}

	// Fifty refunds and no more.
	w.pay("order-often")
	for i := range 50 {
		w.refund("order-often", fmt.Sprint("often-", i), 1, nil)
	}
	if r := w.askRefund("order-often", "often-50", 1, nil); r.status != 400 || r.code() != "INVALID_REQUEST" || r.message() != "订单部分退款次数超过50次" {
		t.Errorf("the 51st: %d %s", r.status, r.body)
	}

	// A year and no longer.
	w.pay("order-old")
	w.Advance(365 * 24 * time.Hour)
	w.refund("order-old", "old-1", 1, nil)
	w.Advance(time.Second)
	if r := w.askRefund("order-old", "old-2", 1, nil); r.status != 403 || r.code() != "TRADE_OVERDUE" {
		t.Errorf("after a year: %d %s", r.status, r.body)
	}
	w.refund("order-old", "old-1", 1, nil) // which was accepted in time
}

// Of many refunds at once exactly as many are accepted as there is money for.
func TestRefundRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.pay("order-000001")
	accepted := make(chan bool, 20)
	var asking sync.WaitGroup
	for i := range 20 {
		asking.Go(func() { accepted <- w.askRefund("order-000001", fmt.Sprint("refund-", i), 300, nil).status == 200 })
	}
	asking.Wait()
	n := 0
	for range 20 {
		if <-accepted {
			n++
		}
	}
	if b := w.Books()[0]; n != 3 || b.Refunded != (Sum{3, 900}) {
		t.Errorf("%d accepted, %+v", n, b)
	}
}

// A refund ends as a fault or the control API says, and what is CLOSED may be refunded again under another number.
func TestRefundEndings(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.pay("order-000001")
		w.fault(Fault{On: "v3.refund", Kind: "closed", Count: 1})
		w.refund("order-000001", "refund-closed", 900, nil)
		w.fault(Fault{On: "v3.refund", Kind: "abnormal", Delay: time.Hour, Count: 1})
		w.refund("order-000001", "refund-abnormal", 50, nil)
		w.fault(Fault{On: "v3.refund", Kind: "processing", Count: 1})
		w.refund("order-000001", "refund-stuck", 40, nil)
		if r := w.askRefund("order-000001", "refund-more", 900, nil); r.code() != "INVALID_REQUEST" {
			w.t.Errorf("before the first is closed: %d %s", r.status, r.body)
		}
		time.Sleep(6 * time.Second)
		if v := w.queryRefund("refund-closed"); v.Status != "CLOSED" || v.Succeeded != "" {
			w.t.Errorf("%+v", v)
		}
		if again := w.refund("order-000001", "refund-closed", 900, nil); again.Status != "CLOSED" {
			w.t.Errorf("asked again: %+v", again)
		}
		w.fault(Fault{On: "v3.refund", Kind: "processing", Delay: 240 * time.Hour, Count: 1})
		w.refund("order-000001", "refund-slow", 900, nil)
		time.Sleep(time.Hour)
		if v := w.queryRefund("refund-abnormal"); v.Status != "ABNORMAL" {
			w.t.Errorf("%+v", v)
		}
		if b := w.Books()[0]; b.Refunded != (Sum{3, 990}) || b.Refunding != (Sum{3, 990}) {
			w.t.Errorf("%+v", b)
		}
		time.Sleep(240*time.Hour - time.Hour)
		if a, b := w.queryRefund("refund-slow"), w.queryRefund("refund-stuck"); a.Status != "SUCCESS" || b.Status != "PROCESSING" {
			w.t.Errorf("%+v, %+v", a, b)
		}
		for _, step := range []struct {
			number string
			status RefundStatus
			after  string
			code   int
			is     RefundStatus
		}{
			{"refund-stuck", RefundSuccess, "", 200, RefundSuccess},
			{"refund-stuck", RefundClosed, "", 400, ""},
			{"refund-closed", RefundSuccess, "", 400, ""},
			{"refund-abnormal", RefundProcessing, "", 200, RefundProcessing},
			{"refund-abnormal", RefundAbnormal, "", 200, RefundAbnormal},
			{"refund-abnormal", RefundClosed, "1m", 200, RefundAbnormal},
			{"refund-abnormal", "GONE", "", 400, ""},
			{"refund-abnormal", RefundClosed, "soon", 400, ""},
			{"refund-never", RefundClosed, "", 404, ""},
		} {
			var one Refund
			in := map[string]any{"status": step.status, "after": step.after}
			if code := w.control("POST", "refunds/"+step.number, in, &one); code != step.code || one.Status != step.is {
				w.t.Errorf("%+v: %d %+v", step, code, one)
			}
		}
		time.Sleep(time.Minute)
		if v := w.queryRefund("refund-abnormal"); v.Status != "CLOSED" {
			w.t.Errorf("%+v", v)
		}
		synctest.Wait()
		var told []string
		for _, n := range w.Notifications()[1:] {
			told = append(told, n.EventType+" "+n.OutRefundNo)
		}
		want := "[REFUND.CLOSED refund-closed REFUND.ABNORMAL refund-abnormal REFUND.SUCCESS refund-slow REFUND.SUCCESS refund-stuck REFUND.ABNORMAL refund-abnormal REFUND.CLOSED refund-abnormal]"
		if fmt.Sprint(told) != want || len(w.shop.all()) != 7 {
			w.t.Errorf("told %v\nwant %v", told, want)
		}
		if b := w.Books()[0]; b.Refunded != (Sum{2, 940}) || b.Refunding != (Sum{}) {
			w.t.Errorf("%+v", b)
		}
	})
}

// The notice of a refund may come, and be answered, before the call that asked for the refund is.
func TestRefundNoticeComesFirst(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.pay("order-000001")
		synctest.Wait()
		w.fault(Fault{On: "notify.refund", Kind: "reorder", Delay: 5 * time.Second, Count: 1})
		w.refund("order-000001", "refund-quiet", 1, map[string]any{"notify_url": nil}) // has no notice, so nothing strikes
		begin := time.Now()
		v := w.refund("order-000001", "refund-1", 300, nil)
		all := w.shop.all()
		if v.Status != "PROCESSING" || time.Since(begin) != 5*time.Second || len(all) != 2 || all[1].at != begin {
			w.t.Errorf("%+v after %s, %d notifications", v, time.Since(begin), len(all))
		}
		if v := w.queryRefund("refund-1"); v.Status != "SUCCESS" || v.Succeeded != stamp(begin) {
			w.t.Errorf("%+v", v)
		}
		// A shop that doesn't answer holds the call up for as long as an attempt lasts.
		w.fault(Fault{On: "notify.refund", Kind: "reorder", Count: 1})
		w.shop.answer = func(int) int { return 0 }
		begin = time.Now()
		if v := w.refund("order-000001", "refund-2", 300, nil); v.Status != "PROCESSING" || time.Since(begin) != 5*time.Second {
			w.t.Errorf("%+v after %s", v, time.Since(begin))
		}
		// One that is never sent holds up nothing.
		w.fault(Fault{On: "notify.refund", Kind: "reorder", Count: 1})
		w.fault(Fault{On: "notify.refund", Kind: "drop", Count: 1})
		begin = time.Now()
		if v := w.refund("order-000001", "refund-3", 300, nil); v.Status != "PROCESSING" || time.Since(begin) != 0 {
			w.t.Errorf("%+v after %s", v, time.Since(begin))
		}
	})
}

// The notice of a refund is repeated like that of a payment, and spoiled like it.
func TestRefundNoticeRepeats(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.answer = func(n int) int { return map[bool]int{true: 200, false: 500}[n == 0] }
		w.pay("order-000001")
		synctest.Wait()
		w.fault(Fault{On: "notify.refund", Kind: "wrong_amount", Count: 1})
		begin := time.Now().Add(5 * time.Second)
		w.refund("order-000001", "refund-1", 300, nil)
		time.Sleep(48 * time.Hour)
		var got []time.Duration
		for _, r := range w.shop.all()[1:] {
			got = append(got, r.at.Sub(begin))
		}
		if want := instants(w.t); fmt.Sprint(got) != fmt.Sprint(want) {
			w.t.Errorf("came at %v\nwant %v", got, want)
		}
		for i, want := range []int{301, 300} {
			var v struct{ Amount struct{ Refund int } }
			if err := json.Unmarshal(w.plain(w.shop.all()[1+i]), &v); err != nil || v.Amount.Refund != want {
				w.t.Errorf("attempt %d: %+v, %v", i, v, err)
			}
		}
	})
}

// A merchant gives back no more than it has; what it has is what came in, less fees, and what it pays in or takes out.
func TestBalance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	balance := func(want int64) {
		t.Helper()
		if got := w.Books()[0].Balance; got != money.Fen(want) {
			t.Errorf("the balance is %d, want %d", got, want)
		}
	}
	balance(0)
	w.pay("order-000001")
	balance(992) // the fee of 998 is 6
	var a Account
	if status := w.control("POST", "merchants/"+w.merchant.ID+"/balance", map[string]any{"amount": 100}, &a); status != 200 || a.Balance != 100 {
		t.Errorf("%d %+v", status, a)
	}
	if r := w.askRefund("order-000001", "refund-1", 300, nil); r.status != 403 || r.code() != "NOT_ENOUGH" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if s := w.state("order-000001"); s != "SUCCESS" {
		t.Errorf("a refused refund makes the order %s", s)
	}
	balance(100)
	if err := w.SetBalance(w.merchant.ID, 298); err != nil {
		t.Fatal(err)
	}
	w.refund("order-000001", "refund-1", 300, nil) // 2 of the fee come back: that of 698 is 4
	balance(0)
	if _, err := w.SetRefund("refund-1", RefundClosed, 0); err != nil {
		t.Fatal(err)
	}
	balance(298)
	for _, c := range []struct {
		id   string
		in   any
		want int
	}{{"1", map[string]any{"amount": 1}, 404}, {w.merchant.ID, map[string]any{"amount": -1}, 400}, {w.merchant.ID, map[string]any{}, 400}} {
		var e problem
		if status := w.control("POST", "merchants/"+c.id+"/balance", c.in, &e); status != c.want {
			t.Errorf("%v: %d %+v", c, status, e)
		}
	}
}

// However a payment is refunded, in parts of any size, closed ones included, its fee comes back whole and the balance is
// never below nothing.
func TestFeesComeBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := newRandom(newSeed(seed+1), 0)
		draw := func(n int) int { b := random.bytes("draw", 2); return (int(b[0])<<8 | int(b[1])) % n }
		b := newBooks()
		now := time.Now()
		total := money.Fen(1 + draw(3000))
		if _, err := b.place(order{MerchantID: "m", OutTradeNo: "o", Amount: total}, prepay{ID: "p", At: now}, now); err != nil {
			t.Fatal(err)
		}
		if _, err := b.pay("p", "u", "t", now); err != nil {
			t.Fatal(err)
		}
		for i := range 45 {
			o := *b.orders[0]
			gone, _ := b.refunded(&o)
			if gone == total {
				break
			}
			amount := min(money.Fen(1+draw(400)), total-gone)
			r, _, _, err := b.accept(refund{MerchantID: "m", OutTradeNo: "o", OutRefundNo: fmt.Sprint(i), RefundID: fmt.Sprint(i), Amount: amount, Total: total}, 0, now)
			if err != nil {
				t.Fatalf("seed %d: %d of %d: %v", seed, amount, total-gone, err)
			}
			if draw(3) == 0 {
				if _, err := b.turn(r, refundStep{Status: RefundClosed, At: now}); err != nil {
					t.Fatal(err)
				}
			}
			if b.balances["m"] < 0 {
				t.Fatalf("seed %d: the balance is %d", seed, b.balances["m"])
			}
		}
		o := *b.orders[0]
		gone, _ := b.refunded(&o)
		if gone < total {
			if _, _, _, err := b.accept(refund{MerchantID: "m", OutTradeNo: "o", OutRefundNo: "last", RefundID: "last", Amount: total - gone, Total: total}, 0, now); err != nil {
				t.Fatalf("seed %d: the rest: %v", seed, err)
			}
		}
		if _, back := b.refunded(&o); back != fee(total) || b.balances["m"] != 0 {
			t.Errorf("seed %d: %d of the fee %d came back, the balance is %d", seed, back, fee(total), b.balances["m"])
		}
	}
}

// A refund that was made on the platform counts like any other, and nobody is told.
func TestRefundByHand(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.pay("order-000001")
		var made Refund
		if status := w.control("POST", "payments/order-000001/refunds", map[string]any{"amount": 300, "reason": "电话"}, &made); status != 201 || made.API != "platform" || made.Status != RefundProcessing {
			w.t.Errorf("%d %+v", status, made)
		}
		if s := w.state("order-000001"); s != "REFUND" {
			w.t.Errorf("the order is %s", s)
		}
		if r := w.askRefund("order-000001", "refund-1", 998, nil); r.code() != "INVALID_REQUEST" {
			w.t.Errorf("the whole: %d %s", r.status, r.body)
		}
		time.Sleep(time.Minute)
		if v := w.queryRefund(made.OutRefundNo); v.Status != "SUCCESS" || v.Amount.Refund != 300 {
			w.t.Errorf("%+v", v)
		}
		if status := w.control("POST", "payments/order-000001/refunds", nil, &made); status != 201 || made.Amount != 698 {
			w.t.Errorf("the rest: %d %+v", status, made)
		}
		var e problem
		for path, want := range map[string]int{"payments/order-000001/refunds": 400, "payments/nothing/refunds": 404} {
			if status := w.control("POST", path, nil, &e); status != want {
				w.t.Errorf("%s: %d %+v", path, status, e)
			}
		}
		time.Sleep(time.Minute)
		if n := len(w.Notifications()); n != 1 {
			w.t.Errorf("%d notifications", n)
		}
		var list struct{ Data []Refund }
		if status := w.control("GET", "refunds", nil, &list); status != 200 || len(list.Data) != 2 || list.Data[0].EndedAt == nil {
			w.t.Errorf("%d %+v", status, list)
		}
		var one Refund
		if status := w.control("GET", "refunds/"+made.OutRefundNo, nil, &one); status != 200 || one.Amount != 698 {
			w.t.Errorf("%d %+v", status, one)
		}
		if status := w.control("GET", "refunds/nothing", nil, &e); status != 404 {
			w.t.Errorf("%d", status)
		}
	})
}

// sealed encrypts as a merchant does, with the key that it knows by the serial.
func (w *world) sealed(serial, text string) string {
	w.t.Helper()
	b, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, w.wechatKey(serial), []byte(text), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// An ABNORMAL refund goes to a bank card instead, and then succeeds.
func TestAbnormalRefund(t *testing.T) {
	t.Parallel()
	at := time.Now()
	w := newWorld(t, Options{Clock: func() time.Time { return at }})
	w.pay("order-000001")
	w.fault(Fault{On: "v3.refund", Kind: "abnormal", Count: 2})
	first := w.refund("order-000001", "refund-1", 1, nil)
	second := w.refund("order-000001", "refund-2", 1, nil)
	platform, public := w.merchant.PlatformCertificates[0].Serial, w.merchant.PublicKeyID
	apply := func(id, serial string, fields map[string]any) reply {
		q := w.request("POST", refunds+"/"+id+"/apply-abnormal-refund", string(encode(fields)))
		if serial != "" {
			q.header.Set("Wechatpay-Serial", serial)
		}
		return q.send(w)
	}
	card := func(serial string) map[string]any {
		return map[string]any{"out_refund_no": "refund-1", "type": "USER_BANK_CARD", "bank_type": "ICBC_DEBIT",
			"bank_account": w.sealed(serial, "6222021234567890"), "real_name": w.sealed(serial, "张三")}
	}
	change := func(m map[string]any, name string, v any) map[string]any {
		if m[name] = v; v == nil {
			delete(m, name)
		}
		return m
	}
	if r := apply(first.ID, platform, card(platform)); r.status != 400 || r.code() != "INVALID_REQUEST" {
		t.Errorf("while PROCESSING: %d %s", r.status, r.body)
	}
	w.Advance(5 * time.Second)
	for _, c := range []struct {
		name, id, serial string
		fields           map[string]any
		status           int
		code             string
	}{
		{"no serial", first.ID, "", card(platform), 400, "PARAM_ERROR"},
		{"the merchant's serial", first.ID, w.merchant.CertificateSerial, card(platform), 400, "PARAM_ERROR"},
		{"another key's serial", first.ID, public, card(platform), 400, "PARAM_ERROR"},
		{"not encrypted", first.ID, platform, change(card(platform), "bank_account", "6222021234567890"), 400, "PARAM_ERROR"},
		{"no name", first.ID, platform, change(card(platform), "real_name", nil), 400, "PARAM_ERROR"},
		{"no bank", first.ID, platform, change(card(platform), "bank_type", nil), 400, "PARAM_ERROR"},
		{"a credit card", first.ID, platform, change(card(platform), "bank_type", "ICBC_CREDIT"), 400, "PARAM_ERROR"},
		{"another refund's id", second.ID, platform, card(platform), 404, "RESOURCE_NOT_EXISTS"},
		{"unknown", first.ID, platform, change(card(platform), "out_refund_no", "refund-9"), 404, "RESOURCE_NOT_EXISTS"},
	} {
		if r := apply(c.id, c.serial, c.fields); r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.name, r.status, r.body, c.status, c.code)
		}
	}
	v := w.readRefund(apply(first.ID, public, card(public)))
	if v.Status != "PROCESSING" || v.Channel != "OTHER_BANKCARD" || v.Account != "ICBC借记卡7890" {
		t.Errorf("%+v", v)
	}
	if v := w.readRefund(apply(second.ID, "", map[string]any{"out_refund_no": "refund-2", "type": "MERCHANT_BANK_CARD"})); v.Account != "商户结算银行卡" {
		t.Errorf("%+v", v)
	}
	w.Advance(5 * time.Second)
	if v := w.queryRefund("refund-1"); v.Status != "SUCCESS" || v.Channel != "OTHER_BANKCARD" || v.Succeeded != stamp(w.Now()) {
		t.Errorf("%+v", v)
	}
	w.idle()
	if all := w.Notifications(); len(all) != 5 || all[1].EventType != "REFUND.ABNORMAL" || all[3].EventType != "REFUND.SUCCESS" {
		t.Errorf("%+v", all)
	}
}

// What faults do to the calls of refunds.
func TestFaultsOnRefunds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.pay("order-000001")
	for i, f := range []Fault{
		{Kind: "lose_request"}, {Kind: "lose_response"}, {Kind: "error"}, {Kind: "error", Executed: true}, {Kind: "truncate"}, {Kind: "bad_signature"}, {Kind: "signtest"},
	} {
		number := fmt.Sprint("refund-", i)
		f.On, f.Count = "v3.refund", 1
		w.fault(f)
		r := w.askRefund("order-000001", number, 1, nil)
		if r.err == nil && r.status == 200 && w.genuine(r.header, r.body) {
			t.Errorf("%s: nothing is wrong", f.Kind)
		}
		_, executed := w.Refund(number)
		if want := f.Kind != "lose_request" && (f.Kind != "error" || f.Executed); executed != want {
			t.Errorf("%s: executed %v, want %v", f.Kind, executed, want)
		}
		w.refund("order-000001", number, 1, nil) // once more, in the same terms
	}
	if b := w.Books()[0]; b.Refunded != (Sum{7, 7}) {
		t.Errorf("%+v", b)
	}
	w.fault(Fault{On: "v3.refund", Kind: "wrong_amount", Count: 1})
	if v := w.refund("order-000001", "refund-0", 1, nil); v.Amount.Refund != 2 {
		t.Errorf("%+v", v)
	}
	w.fault(Fault{On: "v3.refund_query", Kind: "wrong_amount", Count: 1})
	if v, next := w.queryRefund("refund-0"), w.queryRefund("refund-0"); v.Amount.Refund != 2 || next.Amount.Refund != 1 {
		t.Errorf("%+v, %+v", v, next)
	}
	for _, wrong := range []func(*signed){func(q *signed) { q.header.Del("Accept") }, func(q *signed) { q.header.Set("User-Agent", "") }} {
		q := w.request("GET", refunds+"/refund-0", "")
		wrong(q)
		if r := q.send(w); r.status != 400 || r.code() != "INVALID_REQUEST" {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}

// The number of a refund is one merchant's, and so is its order.
func TestRefundsApart(t *testing.T) {
	t.Parallel()
	other := oneMerchant()
	other.ID, other.Apps, other.PublicKeyID, other.Certificate = "1900000777", []App{{ID: "wx0123456789abcdef", Secret: "s"}}, "PUB_KEY_ID_7", ""
	w := newWorld(t, Options{Merchants: []Merchant{oneMerchant(), other}})
	second := *w
	second.merchant, second.app = w.Merchants()[1], w.Merchants()[1].Apps[0]
	w.pay("order-000001")
	w.refund("order-000001", "refund-1", 1, nil)
	paid, _ := w.Payment("order-000001")
	if r := second.call("GET", refunds+"/refund-1", ""); r.status != 404 {
		t.Errorf("another's refund: %d %s", r.status, r.body)
	}
	if r := second.askRefund("order-000001", "refund-2", 1, nil); r.status != 404 || r.code() != "RESOURCE_NOT_EXISTS" {
		t.Errorf("another's order: %d %s", r.status, r.body)
	}
	second.refuses(second.askRefund("order-000001", "refund-2", 1, map[string]any{"transaction_id": paid.TransactionID}), 400, "INVALID_REQUEST", "268447843")
	if r := second.call("POST", "/v3/pay/transactions/jsapi", second.orderBody("order-000001", nil)); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if b := w.Books(); b[0].Refunded != (Sum{1, 1}) || b[1] != (Account{MerchantID: "1900000777"}) {
		t.Errorf("%+v", b)
	}
}

// The same seed and the same acts give the same numbers, of refunds and links too.
func TestRefundsFromSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		w := newWorld(t, Options{Seed: seed, Clock: func() time.Time { return noon }})
		code, link := w.order("native", "order-native", nil), w.order("h5", "order-h5", nil)
		w.pay("order-000001")
		w.fault(Fault{On: "v3.refund", Kind: "closed", Probability: 0.5})
		var endings []RefundStatus
		var ids string
		for i := range 20 {
			ids = w.refund("order-000001", fmt.Sprint("refund-", i), 1, nil).ID
			r, _ := w.Refund(fmt.Sprint("refund-", i))
			endings = append(endings, r.Ending)
		}
		byHand, err := w.RefundByHand("order-000001", 1, "")
		if err != nil {
			t.Fatal(err)
		}
		w.Advance(24 * time.Hour)
		bill := w.applyBill("/v3/bill/tradebill?bill_date=2026-11-19")
		_, token, _ := strings.Cut(bill.URL, "token=")
		return fmt.Sprint(code, link, ids, endings, byHand.OutRefundNo, token)
	}
	first, again, other := run(3), run(3), run(4)
	if first != again || first == other || !strings.Contains(first, "CLOSED") || !strings.Contains(first, "SUCCESS") {
		t.Errorf("%s\n%s\n%s", first, again, other)
	}
}

// Refunds, their ends, balances, settings and links survive a kill, and a refund whose process ended before its
// notification was written down is announced by the next one.
func TestRefundsAfterKill(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var killed, untold string
	var want string
	var at time.Time
	newBubble(t, Options{Data: folder}, func(w *world) {
		w.pay("order-000001")
		w.order("native", "order-native", nil)
		w.set(map[string]any{"refund_after": "10s", "rate_limits": map[string]int{"v3.query": 100}})
		w.refund("order-000001", "refund-1", 1, nil)
		w.Advance(10 * time.Second)
		synctest.Wait()
		if err := w.SetBalance(w.merchant.ID, 12345); err != nil {
			w.t.Fatal(err)
		}
		w.refund("order-000001", "refund-2", 2, nil)
		w.fault(Fault{On: "v3.refund", Kind: "processing", Count: 1})
		w.refund("order-000001", "refund-3", 3, nil)
		want, at = w.kept(), w.Now()
		killed = snapshot(t, folder)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if err := w.settled(); err != nil {
			w.t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(folder, "state.jsonl"))
		if err != nil {
			w.t.Fatal(err)
		}
		untold = t.TempDir()
		cut := strings.LastIndex(string(b), `{"kind":"notification"`) // that of being accepted
		cut = strings.LastIndex(string(b[:cut]), `{"kind":"notification"`)
		if err := os.WriteFile(filepath.Join(untold, "state.jsonl"), b[:cut], 0o600); err != nil {
			w.t.Fatal(err)
		}
	})
	newBubble(t, Options{Data: killed}, func(w *world) {
		w.Advance(at.Sub(w.Now())) // bubbles begin at the same time
		if got := w.kept(); got != want {
			w.t.Errorf("after a kill\n%s\nwant\n%s", got, want)
		}
		time.Sleep(time.Minute)
		all := w.shop.all()
		if len(all) != 1 || !strings.Contains(string(w.plain(all[0])), `"out_refund_no":"refund-2"`) {
			w.t.Errorf("%d came", len(all))
		}
		if v := w.queryRefund("refund-2"); v.Status != "SUCCESS" || v.Succeeded != stamp(at.Add(10*time.Second)) {
			w.t.Errorf("%+v", v)
		}
		if r := w.refund("order-000001", "refund-1", 1, nil); r.Status != "SUCCESS" {
			w.t.Errorf("%+v", r)
		}
		if err := w.Reset(); err != nil {
			w.t.Fatal(err)
		}
		if len(w.Refunds()) != 0 || w.Books()[0].Balance != 0 {
			w.t.Errorf("after a reset: %+v, %+v", w.Refunds(), w.Books())
		}
	})
	newBubble(t, Options{Data: untold}, func(w *world) {
		w.Advance(time.Minute)
		synctest.Wait()
		all := w.shop.all()
		if len(all) != 1 || !strings.Contains(string(w.plain(all[0])), `"out_refund_no":"refund-2"`) {
			w.t.Errorf("untold: %d came", len(all))
		}
	})
}

// kept is what a sandbox knows that has to do with refunds.
func (w *world) kept() string {
	return string(encode(map[string]any{"payments": w.Payments(), "refunds": w.Refunds(), "books": w.Books(), "settings": w.Settings(), "notifications": w.Notifications()}))
}

// Two refunds that are due at once end in the order in which they were accepted, those of before first.
func TestRefundsEndInOrder(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.pay("order-000001")
		for _, d := range []time.Duration{3, 1, 2, 1, 3} {
			w.fault(Fault{On: "v3.refund", Kind: "closed", Delay: d * time.Hour, Count: 1})
			w.refund("order-000001", fmt.Sprintf("refund-%d-%d", d, len(w.Refunds())), 1, nil)
		}
		w.Advance(24 * time.Hour)
		synctest.Wait()
		var got []string
		for _, n := range w.Notifications()[1:] {
			got = append(got, n.OutRefundNo)
		}
		if want := "[refund-1-1 refund-1-3 refund-2-2 refund-3-0 refund-3-4]"; fmt.Sprint(got) != want {
			w.t.Errorf("%v, want %s", got, want)
		}
	})
}
