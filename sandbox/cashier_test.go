package sandbox

import (
	"encoding/json"
	"strings"
	"testing"
)

// The phone refuses what WeChat's refuses, in its words.
func TestRequestPayment(t *testing.T) {
	t.Parallel()
	m := oneMerchant()
	m.Apps = append(m.Apps, App{ID: "wx0123456789abcdef"})
	w := newWorld(t, Options{Merchants: []Merchant{m}})
	w.app = m.Apps[0]
	id := w.place("order-000001", nil)
	right := w.payment(id)
	for _, c := range []struct {
		name   string
		change map[string]any // a nil takes a parameter out
		want   string
	}{
		{"number", map[string]any{"timeStamp": 1790000000}, "requestPayment:fail parameter error: parameter.timeStamp should be String instead of Number;"},
		{"missing", map[string]any{"nonceStr": nil}, "requestPayment:fail parameter error: parameter.nonceStr should be String instead of Undefined;"},
		{"two wrong", map[string]any{"timeStamp": 1.5, "package": true}, "requestPayment:fail parameter error: parameter.timeStamp should be String instead of Number;parameter.package should be String instead of Boolean;"},
		{"null", map[string]any{"paySign": json.RawMessage("null")}, "requestPayment:fail parameter error: parameter.paySign should be String instead of Null;"},
		{"object", map[string]any{"package": map[string]any{}}, "requestPayment:fail parameter error: parameter.package should be String instead of Object;"},
		{"list", map[string]any{"signType": []any{}}, "requestPayment:fail parameter error: parameter.signType should be String instead of Array;"},
		{"long nonce", map[string]any{"nonceStr": strings.Repeat("a", 33)}, "requestPayment:fail parameter error: parameter.nonceStr is longer than 32 characters;"},
		{"no prefix", map[string]any{"package": id}, "requestPayment:fail parameter error: parameter.package is invalid"},
		{"unknown prepay id", map[string]any{"package": "prepay_id=wx1"}, "requestPayment:fail prepay_id is invalid"},
		{"another app", map[string]any{"app_id": "wx0123456789abcdef"}, "requestPayment:fail appid does not match the prepay_id"},
		{"another user", map[string]any{"user": "bob"}, "requestPayment:fail openid does not match the prepay_id"},
		{"no sign type, so MD5", map[string]any{"signType": nil}, "requestPayment:fail Unable to verify signature"},
		{"another time than signed", map[string]any{"timeStamp": "1"}, "requestPayment:fail Unable to verify signature"},
		{"another nonce than signed", map[string]any{"nonceStr": "a"}, "requestPayment:fail Unable to verify signature"},
		{"wrong signature", map[string]any{"paySign": "AAAA"}, "requestPayment:fail Unable to verify signature"},
		{"plus became blank", map[string]any{"paySign": strings.ReplaceAll(right.PaySign+"+", "+", " ")}, "requestPayment:fail Unable to verify signature"},
		{"empty signature", map[string]any{"paySign": ""}, "requestPayment:fail Unable to verify signature"},
		{"failed", map[string]any{"action": "fail"}, "requestPayment:fail payment failed"},
		{"failed so", map[string]any{"action": "fail", "detail": "余额不足"}, "requestPayment:fail 余额不足"},
		{"cancelled", map[string]any{"action": "cancel"}, "requestPayment:fail cancel"},
		{"paid", map[string]any{"appId": w.app.ID}, "requestPayment:ok"},
		{"paid again", nil, "requestPayment:fail Invalid payment situation: the order has been paid"},
		{"cancelled after", map[string]any{"action": "cancel"}, "requestPayment:fail Invalid payment situation: the order has been paid"},
	} {
		in := map[string]any{"app_id": right.AppID, "user": right.User, "timeStamp": right.TimeStamp, "nonceStr": right.NonceStr,
			"package": right.Package, "signType": right.SignType, "paySign": right.PaySign, "action": "pay"}
		for name, v := range c.change {
			if v == nil {
				delete(in, name)
			} else {
				in[name] = v
			}
		}
		before := w.Books()[0].Paid.Count
		var out PaymentResult
		if status := w.control("POST", "request-payment", in, &out); status != 200 || out.ErrMsg != c.want {
			t.Errorf("%s: %d %+v, want %s", c.name, status, out, c.want)
		}
		if paid := w.Books()[0].Paid.Count - before; paid == 1 != out.OK() {
			t.Errorf("%s: %d payments", c.name, paid)
		}
	}
	closed := w.place("order-000002", nil)
	w.closeOrder("order-000002")
	if r, err := w.RequestPayment(w.payment(closed)); err != nil || r.ErrMsg != "requestPayment:fail Invalid payment situation: the order has been closed" {
		t.Errorf("closed: %+v, %v", r, err)
	}
	for _, in := range []map[string]any{
		{"app_id": w.app.ID, "user": "alice", "action": "steal"},
		{"app_id": w.app.ID, "user": ""},
		{"app_id": "wxnothing", "user": "alice"},
		{"app_id": 1, "user": "alice"},
		{"app_id": w.app.ID, "user": "alice", "timestamp": "1"},
	} {
		var e problem
		if status := w.control("POST", "request-payment", in, &e); status != 400 || e.Code != "bad_request" || e.Message == "" {
			t.Errorf("%v: %d %+v", in, status, e)
		}
	}
}

// Whoever pays one order at the same time, one pays.
func TestPaymentRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ids := []string{w.place("order-000001", nil), w.place("order-000001", nil)}
	results := make(chan PaymentResult)
	closed := make(chan int)
	for i := range 10 {
		p := w.payment(ids[i%2])
		go func() {
			r, err := w.RequestPayment(p)
			if err != nil {
				t.Error(err)
			}
			results <- r
		}()
	}
	go func() { closed <- w.closeOrder("order-000001").status }()
	ok := 0
	for range 10 {
		if r := <-results; r.OK() {
			ok++
		}
	}
	status := <-closed
	if b := w.Books()[0]; int64(ok) != b.Paid.Count || ok > 1 || (ok == 0) != (status == 204) || (ok == 1) != (w.state("order-000001") == "SUCCESS") {
		t.Errorf("%d paid, close answers %d, books %+v", ok, status, b)
	}
	w.idle()
	if n := len(w.shop.all()); n != ok {
		t.Errorf("%d notifications", n)
	}
}
