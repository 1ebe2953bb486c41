package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/sandbox"
)

func TestPurchase(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p := ming.order(2)
		if want := 2 * ming.product().Price.Total; p.Order.Amount.Total != want || p.Order.Status != pay.Pending || p.Order.OpenID == "" {
			t.Fatalf("ordered %+v", p.Order)
		}
		// Exactly what wx.requestPayment takes, every value a string; seconds, not milliseconds.
		if len(p.Payment) != 6 || p.Payment["signType"] != "RSA" || p.Payment["timeStamp"] != strconv.FormatInt(time.Now().Unix(), 10) || p.Payment["appId"] != ming.app ||
			!strings.HasPrefix(p.Payment["package"], "prepay_id=") {
			t.Fatalf("payment parameters %v", p.Payment)
		}
		if r := w.buyer("hong").act(p.Payment, "pay"); r.OK() {
			t.Error("another user paid the order")
		}
		ming.pays(p)
		synctest.Wait()
		o := ming.look(p.Order.ID, "")
		if o.Status != pay.Paid || o.TransactionID == nil || o.PaidAt == nil || o.Late || o.Flagged {
			t.Errorf("paid and notified: %+v", o)
		}
		if got := w.events(o.ID); !slices.Equal(got, []string{"order.created", "order.paid"}) {
			t.Errorf("events %v", got)
		}
		payment, ok := w.wx.Payment(o.OutTradeNo)
		if !ok || payment.TransactionID != *o.TransactionID || payment.Amount != o.Amount.Total {
			t.Errorf("WeChat's books say %+v", payment)
		}
	})
}

// While a client waits, the answer comes with the notification, not with the next look.
func TestWaitEndsWithTheNotification(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p := ming.order(1)
		seen := make(chan time.Time)
		go func() {
			if o := ming.look(p.Order.ID, "20s"); o.Status != pay.Paid {
				t.Errorf("waited for %s", o.Status)
			}
			seen <- time.Now()
		}()
		after(time.Second)
		ming.pays(p)
		paid := time.Now()
		if answered := <-seen; !answered.Equal(paid) {
			t.Errorf("the answer came %s after the payment", answered.Sub(paid))
		}
		q := ming.order(1)
		began := time.Now()
		if o := ming.look(q.Order.ID, "7s"); o.Status != pay.Pending || time.Since(began) != 7*time.Second {
			t.Errorf("an unpaid order: %s after %s", o.Status, time.Since(began))
		}
	})
}

func TestLostNotificationsAreAskedFor(t *testing.T) {
	for _, delay := range []time.Duration{0, 7 * time.Second, time.Minute, 170 * time.Second} {
		t.Run(delay.String(), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.fault(sandbox.Fault{On: "notify.payment", Kind: "drop"})
				ming := w.buyer("ming")
				p := ming.order(1)
				after(delay)
				ming.pays(p)
				after(10 * time.Second) // and nobody asks
				if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid {
					t.Errorf("10 s after paying the order is %s", o.Status)
				}
				if got := w.events(p.Order.ID); !slices.Equal(got, []string{"order.created", "order.paid"}) {
					t.Errorf("events %v", got)
				}
				if n := len(w.network.requests("/notify/")); n != 0 {
					t.Errorf("%d notifications arrived", n)
				}
			})
		})
	}
}

func TestDuplicatedNotificationsChangeOnce(t *testing.T) {
	for _, kind := range []string{"duplicate", "replay", "lose_response", "reorder", "delay"} {
		t.Run(kind, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				f := sandbox.Fault{On: "notify.payment", Kind: kind}
				if kind == "replay" || kind == "delay" {
					f.Delay = 20 * time.Second
				}
				if kind == "lose_response" {
					f.Count = 3
				}
				w.fault(f)
				ming := w.buyer("ming")
				p, q := ming.order(1), ming.order(2)
				ming.pays(p)
				ming.pays(q)
				after(30 * time.Minute)
				for _, p := range []placed{p, q} {
					if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid || o.Flagged {
						t.Errorf("%+v", o)
					}
					if got := w.events(p.Order.ID); !slices.Equal(got, []string{"order.created", "order.paid"}) {
						t.Errorf("events %v", got)
					}
				}
				if kind == "duplicate" || kind == "replay" {
					if n := len(w.network.requests("/notify/")); n < 4 {
						t.Errorf("only %d notifications arrived: the fault did not strike", n)
					}
				}
			})
		})
	}
}

// Every way in which the answer to Prepay can be lost or spoilt, once: the buyer notices nothing, and WeChat holds one order.
func TestLostAnswerToPrepay(t *testing.T) {
	for _, f := range []sandbox.Fault{
		{Kind: "lose_response"}, {Kind: "lose_request"}, {Kind: "bad_signature"}, {Kind: "signtest"}, {Kind: "truncate"},
		{Kind: "error", Status: 500, Code: "SYSTEM_ERROR"}, {Kind: "error", Status: 500, Code: "SYSTEM_ERROR", Executed: true},
		{Kind: "error", Status: 503, Code: "SERVICE_UNAVAILABLE"},
	} {
		t.Run(f.Kind+f.Code, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				ming := w.buyer("ming")
				f.On, f.Count = "v3.prepay", 1
				w.fault(f)
				p := ming.order(1)
				if n := len(w.wx.Payments()); n != 1 {
					t.Fatalf("WeChat holds %d orders", n)
				}
				var bodies []string
				for _, e := range w.network.requests("/v3/pay/transactions/jsapi") {
					bodies = append(bodies, string(e.body))
				}
				if len(slices.Compact(bodies)) != 1 {
					t.Errorf("a repeat differed: %v", bodies)
				}
				ming.pays(p)
				synctest.Wait()
				if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid {
					t.Errorf("the order is %s", o.Status)
				}
			})
		})
	}
}

// WeChat stays silent for good: the buyer is told that nothing is known, and repeating the tap goes on with the same order.
func TestUnknownPrepayIsNeitherLostNorDoubled(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		w.fault(sandbox.Fault{On: "v3.prepay", Kind: "lose_response"})
		if _, status := ming.try(1, "tap-1"); status != 504 {
			t.Fatalf("status %d", status)
		}
		w.wx.ClearFaults()
		p, status := ming.try(1, "tap-1")
		if status != 201 || len(w.wx.Payments()) != 1 {
			t.Fatalf("the repeat: %d, %d orders at WeChat", status, len(w.wx.Payments()))
		}
		var list struct{ Data []pay.OrderView }
		if w.call("GET", "/mp/v1/orders", ming.token, nil, &list); len(list.Data) != 1 || list.Data[0].ID != p.Order.ID {
			t.Errorf("%d orders here", len(list.Data))
		}
		ming.pays(p)
		synctest.Wait()
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid {
			t.Errorf("the order is %s", o.Status)
		}
	})
}

// A repeated tap goes on with its order, whatever has become of the shop since.
func TestRepeatOutlivesTheProduct(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		latte := ming.product()
		buy := func() (p placed, status int) {
			status = w.call("POST", "/mp/v1/orders", ming.token, map[string]any{"items": []map[string]any{{"product_id": latte.ID, "quantity": 1}}}, &p, "Idempotency-Key", "tap")
			return p, status
		}
		first, status := buy()
		if status != 201 {
			t.Fatal(status)
		}
		for _, change := range []string{`{"price":{"total":1,"currency":"CNY"}}`, `{"active":false}`} {
			if status := w.call("PATCH", "/v1/products/"+string(latte.ID), w.apiKey, change, nil); status != 200 {
				t.Fatal(status)
			}
			if again, status := buy(); status != 201 || again.Order.ID != first.Order.ID || again.Order.Amount.Total != latte.Price.Total {
				t.Errorf("after %s: %d %+v", change, status, again.Order)
			}
		}
		after(31 * time.Minute)
		if _, status := buy(); status != 409 {
			t.Errorf("after the expiry: %d", status)
		}
	})
}

// An order that WeChat was never told of, because the service died in between, closes by itself when that is certain.
func TestUnknownOrderAtWeChatClosesLate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		w.fault(sandbox.Fault{On: "v3.prepay", Kind: "lose_request"})
		if _, status := ming.try(1, "tap-1"); status != 504 {
			t.Fatalf("status %d", status)
		}
		var list struct{ Data []pay.OrderView }
		w.call("GET", "/mp/v1/orders", ming.token, nil, &list)
		id := list.Data[0].ID
		after(29 * time.Minute)
		if o := ming.look(id, ""); o.Status != pay.Pending {
			t.Fatalf("closed early: %s", o.Status)
		}
		after(15 * time.Minute)
		if o := ming.look(id, ""); o.Status != pay.Closed || o.Flagged {
			t.Errorf("after its expiry: %s, flagged %v", o.Status, o.Flagged)
		}
	})
}

func TestCancelledStaysPendingUntilExpiry(t *testing.T) {
	for _, action := range []string{"cancel", "fail"} {
		t.Run(action, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				ming := w.buyer("ming")
				p := ming.order(1)
				if r := ming.act(p.Payment, action); r.OK() {
					t.Fatal("the phone says ok")
				}
				after(29 * time.Minute)
				if o := ming.look(p.Order.ID, ""); o.Status != pay.Pending {
					t.Errorf("before the expiry: %s", o.Status)
				}
				// The same order can be paid again, under the same number.
				var again struct{ Payment map[string]string }
				if status := w.call("POST", "/mp/v1/orders/"+string(p.Order.ID)+"/payment", ming.token, nil, &again); status != 200 ||
					again.Payment["package"] != p.Payment["package"] || again.Payment["nonceStr"] == p.Payment["nonceStr"] || again.Payment["paySign"] == p.Payment["paySign"] {
					t.Errorf("payment again: %d %v", status, again)
				}
				after(2 * time.Minute)
				if o := ming.look(p.Order.ID, ""); o.Status != pay.Closed || o.ClosedAt == nil {
					t.Errorf("after the expiry: %s", o.Status)
				}
				if at, _ := w.wx.Payment(p.Order.OutTradeNo); at.State != "CLOSED" {
					t.Errorf("at WeChat it is %s", at.State)
				}
				if r := ming.act(again.Payment, "pay"); r.OK() {
					t.Error("a closed order was paid")
				}
				if got := w.events(p.Order.ID); !slices.Equal(got, []string{"order.created", "order.closed"}) {
					t.Errorf("events %v", got)
				}
				if status := w.call("POST", "/mp/v1/orders/"+string(p.Order.ID)+"/payment", ming.token, nil, nil); status != 409 {
					t.Errorf("payment of a closed order: %d", status)
				}
			})
		})
	}
}

// The buyer pays at the last moment, and the notification is lost: whatever close and query are answered, the books agree.
func TestPaymentAtTheLastMoment(t *testing.T) {
	for _, before := range []time.Duration{5 * time.Millisecond, 2 * time.Second} {
		for _, f := range []sandbox.Fault{{}, {On: "v3.query", Kind: "lose_response", Count: 2}, {On: "v3.query", Kind: "error", Status: 500, Count: 1},
			{On: "v3.close", Kind: "lose_response", Count: 1}, {On: "v3.query", Kind: "error", Status: 404, Code: "ORDER_NOT_EXIST", Count: 3}} {
			t.Run(before.String()+" "+f.On+f.Kind+f.Code, func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					w.fault(sandbox.Fault{On: "notify.payment", Kind: "drop"})
					ming := w.buyer("ming")
					p := ming.order(1)
					after(time.Until(p.Order.ExpiresAt) - before)
					if f.On != "" {
						w.fault(f)
					}
					paid := ming.act(p.Payment, "pay").OK()
					after(20 * time.Minute)
					want := pay.Closed
					if paid {
						want = pay.Paid
					}
					// That WeChat denies an order which it has acknowledged is for a human to look at, and closes nothing.
					if o := ming.look(p.Order.ID, ""); o.Status != want || o.Flagged != (f.Code == "ORDER_NOT_EXIST") {
						t.Errorf("the phone says paid=%v, the order is %s, flagged %v", paid, o.Status, o.Flagged)
					}
				})
			})
		}
	}
}

func TestCloseByTheBuyer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		closeIt := func(p placed, v any) int {
			return w.call("POST", "/mp/v1/orders/"+string(p.Order.ID)+"/close", ming.token, nil, v)
		}
		p := ming.order(1)
		var o pay.OrderView
		if status := closeIt(p, &o); status != 200 || o.Status != pay.Closed {
			t.Errorf("close: %d %s", status, o.Status)
		}
		if status := closeIt(p, &o); status != 200 || o.Status != pay.Closed {
			t.Errorf("close again: %d %s", status, o.Status)
		}
		if r := ming.act(p.Payment, "pay"); r.OK() {
			t.Error("a closed order was paid")
		}
		// The buyer was quicker, and we do not know it yet.
		w.fault(sandbox.Fault{On: "notify.payment", Kind: "drop"})
		q := ming.order(1)
		ming.pays(q)
		var problem struct{ Code string }
		if status := closeIt(q, &problem); status != 409 || problem.Code != "order_already_paid" {
			t.Errorf("close of a paid order: %d %s", status, problem.Code)
		}
		if o := ming.look(q.Order.ID, ""); o.Status != pay.Paid {
			t.Errorf("the order is %s", o.Status)
		}
		// The answer to the close is lost: still open for us, and the next query knows.
		r := ming.order(1)
		w.fault(sandbox.Fault{On: "v3.close", Kind: "lose_response", Count: 1})
		if status := closeIt(r, &problem); status != 504 {
			t.Errorf("close without an answer: %d %s", status, problem.Code)
		}
		after(15 * time.Second)
		if o := ming.look(r.Order.ID, ""); o.Status != pay.Closed {
			t.Errorf("the order is %s", o.Status)
		}
	})
}

// A prepay_id lives two hours; an order that may be paid that long gets a new one under the same number.
func TestPrepayIsRenewed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		var p placed
		if status := w.call("POST", "/v1/orders", w.apiKey, map[string]any{"app_id": ming.app, "openid": ming.order(1).Order.OpenID,
			"amount": map[string]any{"total": 998, "currency": "CNY"}, "description": "年费", "expires_at": time.Now().Add(2 * time.Hour)}, &p, "Idempotency-Key", "1"); status != 201 {
			t.Fatal(status)
		}
		after(118 * time.Minute)
		var again struct{ Payment map[string]string }
		if status := w.call("POST", "/mp/v1/orders/"+string(p.Order.ID)+"/payment", ming.token, nil, &again); status != 200 || again.Payment["package"] == p.Payment["package"] {
			t.Fatalf("%d %v", status, again)
		}
		if n := len(w.wx.Payments()); n != 2 {
			t.Errorf("WeChat holds %d orders", n)
		}
		ming.pays(placed{Payment: again.Payment})
		synctest.Wait()
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid || o.Amount.Total != 998 {
			t.Errorf("%+v", o)
		}
	})
}

// WeChat refuses an order outright: nobody waits for it, and the caller learns why and what to do.
func TestRefusedOrderCloses(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		w.fault(sandbox.Fault{On: "v3.prepay", Kind: "error", Status: 403, Code: "NO_AUTH", Count: 1})
		var problem struct {
			Code, Detail string
			WeChat       struct{ Code string }
		}
		status := w.call("POST", "/mp/v1/orders", ming.token, map[string]any{"items": []map[string]any{{"product_id": ming.product().ID, "quantity": 1}}}, &problem, "Idempotency-Key", "1")
		if status != 502 || problem.Code != "wechat_refused" || problem.WeChat.Code != "NO_AUTH" || !strings.Contains(problem.Detail, "NO_AUTH") {
			t.Errorf("%d %+v", status, problem)
		}
		var list struct{ Data []pay.OrderView }
		if w.call("GET", "/mp/v1/orders", ming.token, nil, &list); list.Data[0].Status != pay.Closed {
			t.Errorf("the order is %s", list.Data[0].Status)
		}
		// After an unknown outcome a refusal proves nothing.
		w.fault(sandbox.Fault{On: "v3.prepay", Kind: "lose_response", Count: 1})
		w.fault(sandbox.Fault{On: "v3.prepay", Kind: "error", Status: 403, Code: "NO_AUTH", Count: 1})
		if _, status := ming.try(1, "2"); status != 502 {
			t.Errorf("status %d", status)
		}
		if w.call("GET", "/mp/v1/orders", ming.token, nil, &list); list.Data[0].Status != pay.Pending {
			t.Errorf("the order is %s", list.Data[0].Status)
		}
	})
}

// The service is down for an hour and a half while buyers pay; WeChat's notifications run into a wall.
func TestOutageOfOurs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p, q := ming.order(1), ming.order(1)
		w.stop()
		ming.pays(p)
		after(90 * time.Minute)
		w.start()
		after(15 * time.Second)
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid || o.Late {
			t.Errorf("paid while we were away: %s", o.Status)
		}
		if o := ming.look(q.Order.ID, ""); o.Status != pay.Closed {
			t.Errorf("expired while we were away: %s", o.Status)
		}
	})
}

// WeChat can't be reached for 35 minutes: nothing is guessed, and all is known within two minutes of its return.
func TestOutageOfWeChat(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p, q := ming.order(1), ming.order(1)
		w.fault(sandbox.Fault{On: "notify.payment", Kind: "drop"})
		ming.pays(p)
		for _, on := range []string{"v3.query", "v3.close", "v3.prepay"} {
			w.fault(sandbox.Fault{On: on, Kind: "hang"})
		}
		after(35 * time.Minute)
		for _, p := range []placed{p, q} {
			if o := ming.look(p.Order.ID, ""); o.Status != pay.Pending {
				t.Errorf("guessed %s", o.Status)
			}
		}
		w.wx.ClearFaults()
		after(2 * time.Minute)
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid {
			t.Errorf("the paid one is %s", o.Status)
		}
		if o := ming.look(q.Order.ID, ""); o.Status != pay.Closed {
			t.Errorf("the expired one is %s", o.Status)
		}
	})
}

// Whatever the order of a notification and a close here, money that WeChat holds is never dropped.
func TestLateNotificationOfAClosedOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p := ming.order(1)
		w.fault(sandbox.Fault{On: "notify.payment", Kind: "delay", Delay: 26 * time.Hour})
		ming.pays(p)
		// What closes it here is an answer that no honest WeChat would give.
		if _, err := w.store.UpdateOrder(context.Background(), p.Order.ID, func(o pay.Order) (pay.Order, []pay.Effect, error) {
			o, effects, err := o.Void(o.Current().OutTradeNo, time.Now())
			closed := effects[0].(pay.Event)
			closed.ID = "evt_closed"
			return o, []pay.Effect{closed}, err
		}); err != nil {
			t.Fatal(err)
		}
		after(27 * time.Hour)
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid || !o.Late {
			t.Errorf("%s, late %v", o.Status, o.Late)
		}
		if got := slices.Sorted(slices.Values(w.events(p.Order.ID))); !slices.Equal(got, []string{"order.closed", "order.created", "order.paid"}) {
			t.Errorf("events %v", got)
		}
	})
}

func TestLoginErrors(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		app := w.parts.merchants[0].appIDs()[0]
		code, err := w.wx.Login(app, "ming")
		if err != nil {
			t.Fatal(err)
		}
		other, err := w.wx.Login(w.parts.merchants[1].appIDs()[0], "ming")
		if err != nil {
			t.Fatal(err)
		}
		login := func(app, code string) (int, string) {
			var problem struct{ Code string }
			return w.call("POST", "/mp/v1/login", "", map[string]string{"app_id": app, "code": code}, &problem), problem.Code
		}
		if status, _ := login(app, code); status != 200 {
			t.Fatal(status)
		}
		old, _ := w.wx.Login(app, "ming")
		after(5*time.Minute + time.Second)
		for name, c := range map[string]struct {
			app, code string
			status    int
			want      string
		}{
			"used":           {app, code, 400, "login_code_invalid"},
			"old":            {app, old, 400, "login_code_invalid"},
			"made up":        {app, "0a1b2c", 400, "login_code_invalid"},
			"of another app": {app, other, 400, "login_code_invalid"},
			"unknown app":    {"wxffffffffffffffff", code, 422, "app_unknown"},
			"empty":          {app, "", 422, "invalid_request"},
		} {
			if status, got := login(c.app, c.code); status != c.status || got != c.want {
				t.Errorf("%s: %d %s", name, status, got)
			}
		}
		for number, want := range map[string]string{"45011": "wechat_busy", "40226": "login_blocked", "-1": "wechat_busy", "40125": "wechat_refused"} {
			w.fault(sandbox.Fault{On: "login", Kind: "error", Code: number, Count: 1})
			fresh, _ := w.wx.Login(app, "ming")
			if _, got := login(app, fresh); got != want {
				t.Errorf("errcode %s: %s, want %s", number, got, want)
			}
		}
		// A session ends.
		ming := w.buyer("ming")
		if status := w.call("GET", "/mp/v1/session", ming.token, nil, nil); status != 200 {
			t.Error(status)
		}
		w.stop()                    // seven days of looking what is due would take their time
		time.Sleep(pay.SessionLife) // virtual
		w.start()
		if status := w.call("GET", "/mp/v1/session", ming.token, nil, nil); status != 401 {
			t.Errorf("an expired session: %d", status)
		}
		if status := w.call("GET", "/mp/v1/session", "fs_"+strings.Repeat("A", 52), nil, nil); status != 401 {
			t.Errorf("a made-up session: %d", status)
		}
		if _, err := w.cashier.Authenticate(t.Context(), w.apiKey); !errors.Is(err, pay.CodeSessionInvalid) {
			t.Errorf("an API key as a session: %v", err)
		}
	})
}
