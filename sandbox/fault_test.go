package sandbox

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func (w *world) fault(f Fault) Fault {
	w.t.Helper()
	added, err := w.AddFault(f)
	if err != nil {
		w.t.Fatal(err)
	}
	return added
}

// amount is the total that an answer or a decrypted notification names.
func amount(t *testing.T, b []byte) int64 {
	t.Helper()
	var v struct{ Amount struct{ Total int64 } }
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v.Amount.Total
}

// plain is what a notification has encrypted.
func (w *world) plain(r *received) []byte {
	w.t.Helper()
	var e struct {
		Resource struct {
			Nonce, Ciphertext string
			AssociatedData    string `json:"associated_data"`
		}
	}
	if err := json.Unmarshal(r.body, &e); err != nil {
		w.t.Fatal(err)
	}
	b, err := open(w.merchant.APIv3Key, e.Resource.Nonce, e.Resource.AssociatedData, e.Resource.Ciphertext)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// Each kind does to a call what it says, once where once is asked for, and the call works then.
func TestFaultsOnCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		fault    Fault
		executed bool
		check    func(w *world, r reply) bool
	}{
		{"error", Fault{Kind: "error"}, false, func(w *world, r reply) bool {
			return r.status == 500 && r.code() == "SYSTEM_ERROR" && r.header.Get("Wechatpay-Signature") == ""
		}},
		{"429", Fault{Kind: "error", Status: 429}, false, func(w *world, r reply) bool { return r.status == 429 && r.code() == "FREQUENCY_LIMITED" }},
		{"code", Fault{Kind: "error", Code: "NO_AUTH"}, false, func(w *world, r reply) bool { return r.status == 403 && r.code() == "NO_AUTH" }},
		{"error, executed", Fault{Kind: "error", Status: 502, Code: "BANK_ERROR", Executed: true}, true, func(w *world, r reply) bool { return r.status == 502 && r.code() == "BANK_ERROR" }},
		{"lose_request", Fault{Kind: "lose_request"}, false, func(w *world, r reply) bool { return r.err != nil && r.status == 0 }},
		{"lose_response", Fault{Kind: "lose_response"}, true, func(w *world, r reply) bool { return r.err != nil && r.status == 0 }},
		{"bad_signature", Fault{Kind: "bad_signature"}, true, func(w *world, r reply) bool {
			return r.status == 200 && !w.genuine(r.header, r.body) && len(r.header.Get("Wechatpay-Signature")) == 344
		}},
		{"signtest", Fault{Kind: "signtest"}, true, func(w *world, r reply) bool {
			return r.status == 200 && !w.genuine(r.header, r.body) && strings.HasPrefix(r.header.Get("Wechatpay-Signature"), "WECHATPAY/SIGNTEST/")
		}},
		{"truncate", Fault{Kind: "truncate"}, true, func(w *world, r reply) bool { return r.status == 200 && r.err != nil && len(r.body) > 0 }},
		{"*", Fault{On: "*", Kind: "error"}, false, func(w *world, r reply) bool { return r.status == 500 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			if c.fault.On == "" {
				c.fault.On = "v3.prepay"
			}
			c.fault.Count = 1
			w.fault(c.fault)
			r := w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("order-000001", nil))
			if !c.check(w, r) {
				t.Errorf("%d %s %v %v", r.status, r.body, r.header, r.err)
			}
			if p, ok := w.Payment("order-000001"); ok != c.executed {
				t.Errorf("the order is there: %v, %+v", ok, p)
			}
			if f := w.Faults(); len(f) != 0 {
				t.Errorf("left: %v", f)
			}
			w.place("order-000001", nil)
		})
	}
}

func TestFaultsOfTime(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.fault(Fault{On: "v3.prepay", Kind: "delay", Delay: 7 * time.Second, Count: 1})
		begin := time.Now()
		w.place("order-000001", nil)
		if d := time.Since(begin); d != 7*time.Second {
			w.t.Errorf("took %s", d)
		}
		w.fault(Fault{On: "v3.query", Kind: "hang"})
		done := make(chan reply, 1)
		go func() {
			done <- w.call("GET", "/v3/pay/transactions/out-trade-no/order-000001?mchid="+w.merchant.ID, "")
		}()
		time.Sleep(time.Hour)
		select {
		case r := <-done:
			w.t.Errorf("answered %d", r.status)
		default:
		}
		if err := w.Close(); err != nil {
			w.t.Error(err)
		}
		if r := <-done; r.err == nil {
			w.t.Errorf("answered %d", r.status)
		}
	})
}

// A query may name another amount or app, under a right signature.
func TestFaultsThatLie(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.pay("order-000001")
	w.fault(Fault{On: "v3.query", Kind: "wrong_amount", Count: 1})
	target := "/v3/pay/transactions/out-trade-no/order-000001?mchid=" + w.merchant.ID
	if r := w.call("GET", target, ""); amount(t, r.body) != 999 || !w.genuine(r.header, r.body) {
		t.Errorf("%d %s", r.status, r.body)
	}
	w.fault(Fault{On: "v3.query", Kind: "wrong_app", Count: 1})
	if r := w.call("GET", target, ""); strings.Contains(string(r.body), w.app.ID) || !w.genuine(r.header, r.body) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := w.call("GET", target, ""); amount(t, r.body) != 998 || !strings.Contains(string(r.body), w.app.ID) {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// Each kind does to a notification what it says, and the repeats heal it.
func TestFaultsOnNotifications(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fault  Fault
		status int // of the shop
		times  []time.Duration
		check  func(w *world, all []*received) bool
	}{
		{"drop", Fault{Kind: "drop"}, 200, nil, func(w *world, _ []*received) bool {
			return w.Notifications()[0].Status == NotificationDropped
		}},
		{"delay", Fault{Kind: "delay", Delay: 26 * time.Hour}, 200, []time.Duration{26 * time.Hour}, nil},
		{"duplicate", Fault{Kind: "duplicate"}, 200, []time.Duration{0, 0}, func(w *world, all []*received) bool {
			return string(all[0].body) != string(all[1].body) && w.genuine(all[0].header, all[0].body) && w.genuine(all[1].header, all[1].body) &&
				len(w.Notifications()[0].Attempts) == 2
		}},
		{"replay", Fault{Kind: "replay", Delay: 301 * time.Second}, 200, []time.Duration{0, 301 * time.Second}, func(w *world, all []*received) bool {
			return string(all[0].body) == string(all[1].body) && all[0].header.Get("Wechatpay-Signature") == all[1].header.Get("Wechatpay-Signature") &&
				w.Notifications()[0].Attempts[1].Fault == "replay"
		}},
		{"replay at once", Fault{Kind: "replay"}, 200, []time.Duration{0, 0}, nil},
		{"lose_request", Fault{Kind: "lose_request"}, 200, []time.Duration{15 * time.Second}, func(w *world, _ []*received) bool {
			a := w.Notifications()[0].Attempts
			return len(a) == 2 && a[0].Status == 0 && a[0].Fault == "lose_request" && a[1].Status == 200
		}},
		{"lose_response", Fault{Kind: "lose_response"}, 200, []time.Duration{0, 15 * time.Second}, func(w *world, _ []*received) bool {
			return w.Notifications()[0].Attempts[0].Status == 0
		}},
		{"bad_signature", Fault{Kind: "bad_signature"}, 401, []time.Duration{0, 15 * time.Second}, func(w *world, all []*received) bool {
			return !w.genuine(all[0].header, all[0].body) && w.genuine(all[1].header, all[1].body)
		}},
		{"signtest", Fault{Kind: "signtest"}, 401, []time.Duration{0, 15 * time.Second}, func(w *world, all []*received) bool {
			return strings.HasPrefix(all[0].header.Get("Wechatpay-Signature"), "WECHATPAY/SIGNTEST/") && w.genuine(all[1].header, all[1].body)
		}},
		{"truncate", Fault{Kind: "truncate"}, 401, []time.Duration{0, 15 * time.Second}, func(w *world, all []*received) bool {
			return !json.Valid(all[0].body) && !w.genuine(all[0].header, all[0].body) && json.Valid(all[1].body)
		}},
		{"wrong_amount", Fault{Kind: "wrong_amount"}, 401, []time.Duration{0, 15 * time.Second}, func(w *world, all []*received) bool {
			return w.genuine(all[0].header, all[0].body) && amount(w.t, w.plain(all[0])) == 999 && amount(w.t, w.plain(all[1])) == 998
		}},
		{"wrong_app", Fault{Kind: "wrong_app"}, 401, []time.Duration{0, 15 * time.Second}, func(w *world, all []*received) bool {
			return w.genuine(all[0].header, all[0].body) && !strings.Contains(string(w.plain(all[0])), w.app.ID) && strings.Contains(string(w.plain(all[1])), w.app.ID)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			newBubble(t, Options{}, func(w *world) {
				w.shop.answer = func(n int) int {
					if n == 0 {
						return c.status
					}
					return 200
				}
				c.fault.On, c.fault.Count = "notify.payment", 1
				w.fault(c.fault)
				begin := time.Now()
				w.pay("order-000001")
				time.Sleep(72 * time.Hour)
				all := w.shop.all()
				var got []time.Duration
				for _, r := range all {
					got = append(got, r.at.Sub(begin))
				}
				if !slices.Equal(got, c.times) {
					w.t.Fatalf("came at %v, want %v", got, c.times)
				}
				if c.check != nil && !c.check(w, all) {
					w.t.Errorf("%+v", w.Notifications()[0])
				}
			})
		})
	}
}

// A reordered notification comes after the merchant's next one, or a minute late.
func TestReorder(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.fault(Fault{On: "notify.payment", Kind: "reorder", Count: 1})
		w.pay("order-first")
		time.Sleep(20 * time.Second)
		if n := len(w.shop.all()); n != 0 {
			w.t.Errorf("%d came", n)
		}
		w.pay("order-second")
		synctest.Wait()
		all := w.shop.all()
		if len(all) != 2 || !strings.Contains(string(w.plain(all[0])), "order-second") || !strings.Contains(string(w.plain(all[1])), "order-first") {
			w.t.Errorf("%d came", len(all))
		}
		w.fault(Fault{On: "notify.payment", Kind: "reorder", Count: 1})
		begin := time.Now()
		w.pay("order-third")
		time.Sleep(time.Hour)
		if all = w.shop.all(); len(all) != 3 || all[2].at.Sub(begin) != time.Minute {
			w.t.Errorf("%d came", len(all))
		}
	})
}

func TestFaultProbability(t *testing.T) {
	t.Parallel()
	strikes := func(seed uint64) int {
		s, err := New(Options{Seed: seed, Merchants: []Merchant{oneMerchant()}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if _, err := s.AddFault(Fault{On: "v3.query", Kind: "error", Probability: 0.3}); err != nil {
			t.Fatal(err)
		}
		n := 0
		for range 1000 {
			if s.strike("v3.query", "error") != nil {
				n++
			}
			if s.strike("v3.close", "error") != nil || s.strike("v3.query", "delay") != nil {
				t.Error("strikes elsewhere")
			}
		}
		return n
	}
	if a, b, c := strikes(3), strikes(3), strikes(4); a != b || a == c || a < 250 || a > 350 {
		t.Errorf("strikes %d, %d and %d times of 1000", a, b, c)
	}
}

// Rules that make no sense are refused, with what would.
func TestFaultsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, c := range []struct {
		fault Fault
		says  string
	}{
		{Fault{On: "v3.pay", Kind: "error"}, `on "v3.pay" is no operation: use one of bill, bill_download, login, notify.payment, notify.refund, v2.close, v2.micropay, v2.prepay, v2.query, v2.refund, v2.refund_query, v2.reverse, v3.abnormal_refund, v3.certificates, v3.close, v3.prepay, v3.query, v3.refund, v3.refund_query, or *`},
		{Fault{Kind: "error"}, `on "" is no operation`},
		{Fault{On: "v3.prepay", Kind: "explode"}, `kind "explode" makes no sense on v3.prepay: use one of bad_signature, delay, error, hang, lose_request, lose_response, signtest, truncate`},
		{Fault{On: "v3.prepay", Kind: "wrong_amount"}, `kind "wrong_amount" makes no sense on v3.prepay`},
		{Fault{On: "v3.close", Kind: "truncate"}, `kind "truncate" makes no sense on v3.close`},
		{Fault{On: "login", Kind: "bad_signature"}, `kind "bad_signature" makes no sense on login`},
		{Fault{On: "notify.payment", Kind: "error"}, `kind "error" makes no sense on notify.payment`},
		{Fault{On: "*", Kind: "explode"}, `kind "explode" makes no sense on *`},
		{Fault{On: "v3.query", Kind: "delay"}, `kind "delay" needs a delay`},
		{Fault{On: "v3.query", Kind: "hang", Delay: time.Second}, `delay goes with the kinds abnormal, closed, delay, processing, reorder, replay, not with hang`},
		{Fault{On: "v3.query", Kind: "delay", Delay: -time.Second}, `delay -1s is negative`},
		{Fault{On: "v3.query", Kind: "hang", Status: 500}, `status, code and executed go with the kind error`},
		{Fault{On: "v3.query", Kind: "error", Status: 200}, `give both status and code`},
		{Fault{On: "v3.query", Kind: "error", Status: 200, Code: "SYSTEM_ERROR"}, `status 200 is no error`},
		{Fault{On: "v3.query", Kind: "error", Code: "oops"}, `code "oops" is none of WeChat Pay's`},
		{Fault{On: "login", Kind: "error", Code: "SYSTEM_ERROR"}, `code "SYSTEM_ERROR" is no error number`},
		{Fault{On: "v3.query", Kind: "error", Count: -1}, `count -1 is negative`},
		{Fault{On: "v3.query", Kind: "error", Probability: 1.5}, `probability 1.5 is not between 0 and 1`},
	} {
		if _, err := w.AddFault(c.fault); err == nil || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %s", c.fault, err, c.says)
		}
	}
	// And every pair that makes sense is taken.
	for on, kinds := range senses {
		for _, kind := range kinds {
			f := Fault{On: on, Kind: kind}
			if kind == "delay" {
				f.Delay = time.Second
			}
			w.fault(f)
		}
	}
	if err := w.ClearFaults(); err != nil || len(w.Faults()) != 0 {
		t.Errorf("left: %v, %v", w.Faults(), err)
	}
	if operations := slices.Sorted(maps.Keys(senses)); len(operations) != 19 {
		t.Errorf("operations %v", operations)
	}
}
