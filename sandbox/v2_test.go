package sandbox

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// A whole purchase by API v2, with either algorithm: order, pay, hear of it, ask.
func TestPurchaseV2(t *testing.T) {
	t.Parallel()
	for _, signType := range []string{"", "MD5", "HMAC-SHA256"} {
		t.Run("sign_type "+signType, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			w.shop.acceptV2()
			placed := w.placeV2(w.orderV2("order-000001", signType).with(params{"attach": "a&b<c>]]>", "device_info": "013467007045764"}))
			for name, want := range map[string]string{"return_code": "SUCCESS", "return_msg": "OK", "appid": w.app.ID, "mch_id": w.merchant.ID,
				"trade_type": "JSAPI", "device_info": "013467007045764"} {
				if placed[name] != want {
					t.Errorf("%s is %q, want %q", name, placed[name], want)
				}
			}
			if id := placed["prepay_id"]; len(id) != 36 || !strings.HasPrefix(id, "wx") {
				t.Errorf("prepay_id %q", id)
			}
			phone := signType
			if phone == "" {
				phone = "MD5"
			}
			w.payV2(w.paymentV2(placed["prepay_id"], phone))
			w.idle()

			got := w.shop.all()
			if len(got) != 1 {
				t.Fatalf("%d notifications, want 1", len(got))
			}
			told := readV2(got[0].body)
			if !w.genuineV2(told, phone) {
				t.Errorf("the notification %s isn't signed by %s", got[0].body, phone)
			}
			paid, _ := w.Payment("order-000001")
			want := params{
				"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": w.app.ID, "mch_id": w.merchant.ID, "sign_type": phone,
				"out_trade_no": "order-000001", "transaction_id": paid.TransactionID, "openid": paid.OpenID, "is_subscribe": "N",
				"trade_type": "JSAPI", "bank_type": "OTHERS", "total_fee": "998", "cash_fee": "998", "fee_type": "CNY", "cash_fee_type": "CNY",
				"attach": "a&b<c>]]>", "device_info": "013467007045764", "time_end": paid.PaidAt.In(beijing).Format("20060102150405"),
				"nonce_str": told["nonce_str"], "sign": told["sign"],
			}
			if !maps.Equal(told, want) {
				t.Errorf("the notification is %v\nwant %v", told, want)
			}
			asked := w.callV2("/pay/orderquery", w.common(signType).with(params{"out_trade_no": "order-000001"})).params
			if !w.genuineV2(asked, phone) {
				t.Errorf("the query's answer %v isn't signed by %s", asked, phone)
			}
			want = want.with(params{"sign_type": "", "nonce_str": asked["nonce_str"], "sign": asked["sign"], "return_msg": "OK", "trade_state": "SUCCESS",
				"trade_state_desc": "支付成功"})
			if !maps.Equal(asked, want) {
				t.Errorf("the query says %v\nwant %v", asked, want)
			}
			byID := w.callV2("/pay/orderquery", w.common(signType).with(params{"transaction_id": paid.TransactionID, "out_trade_no": "order-other"})).params
			if byID["out_trade_no"] != "order-000001" {
				t.Errorf("the query by transaction_id says %v", byID)
			}
			if paid.API != "v2" || paid.TradeType != "JSAPI" || w.Books()[0].Paid != (Sum{1, 998}) {
				t.Errorf("payment %+v, books %+v", paid, w.Books())
			}
		})
	}
}

// One book of orders: what either generation placed, the other queries and closes; the notification is in the form of the
// one that placed it.
func TestOneBookForBothGenerations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.shop.acceptV2()

	w.buyV2("order-v2", "HMAC-SHA256")
	w.pay("order-v3")
	w.idle()
	if s := w.state("order-v2"); s != "SUCCESS" {
		t.Errorf("v3 says of the order of v2: %s", s)
	}
	asked := w.callV2("/pay/orderquery", w.common("").with(params{"out_trade_no": "order-v3"})).params
	if asked["trade_state"] != "SUCCESS" || asked["total_fee"] != "998" || !w.genuineV2(asked, "MD5") {
		t.Errorf("v2 says of the order of v3: %v", asked)
	}
	for _, n := range w.shop.all() {
		p := readV2(n.body)
		switch {
		case p != nil && p["out_trade_no"] == "order-v2" && n.header.Get("Wechatpay-Signature") == "":
		case p == nil && w.genuine(n.header, n.body):
		default:
			t.Errorf("a notification of neither kind: %v %s", n.header, n.body)
		}
	}

	w.placeV2(w.orderV2("order-a", ""))
	w.place("order-b", nil)
	if r := w.closeOrder("order-a"); r.status != 204 {
		t.Errorf("v3 closes the order of v2: %d %s", r.status, r.body)
	}
	if r := w.callV2("/pay/closeorder", w.common("").with(params{"out_trade_no": "order-b"})).params; r["result_code"] != "SUCCESS" || r["result_msg"] != "OK" || !w.genuineV2(r, "MD5") {
		t.Errorf("v2 closes the order of v3: %v", r)
	}
	for _, number := range []string{"order-a", "order-b"} {
		if s := w.state(number); s != "CLOSED" {
			t.Errorf("%s is %s", number, s)
		}
		w.refusesV2("a burnt number", w.callV2("/pay/unifiedorder", w.orderV2(number, "")), "", "ORDERCLOSED")
		w.refuses(w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody(number, nil)), 403, "OUT_TRADE_NO_USED", "268498689")
	}
	w.place("order-open", nil)
	w.refusesV2("a number of v3", w.callV2("/pay/unifiedorder", w.orderV2("order-open", "")), "", "INVALID_REQUEST")
}

// The same number with the same parameters is the same order, with another prepay id.
func TestOrderIsRepeatableV2(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.shop.acceptV2()
	order := w.orderV2("order-000001", "")
	first, second := w.placeV2(order)["prepay_id"], w.placeV2(order.with(params{"nonce_str": "another"}))["prepay_id"]
	if first == second {
		t.Error("the repeat gave the same prepay id")
	}
	for _, changed := range []params{{"total_fee": "999"}, {"body": "茶"}, {"attach": "x"}, {"notify_url": "https://pay.example.com/other"}, {"sign_type": "HMAC-SHA256"},
		{"spbill_create_ip": "203.0.113.8"}} {
		r := w.callV2("/pay/unifiedorder", order.with(changed))
		w.refusesV2(fmt.Sprint(changed), r, changed["sign_type"], "INVALID_REQUEST")
		if r.params["err_code_des"] != "201 商户订单号重复" {
			t.Errorf("err_code_des %q", r.params["err_code_des"])
		}
	}
	w.payV2(w.paymentV2(first, "MD5"))
	w.refusesV2("a paid number", w.callV2("/pay/unifiedorder", order), "", "ORDERPAID")
	w.refusesV2("close of a paid order", w.callV2("/pay/closeorder", w.common("").with(params{"out_trade_no": "order-000001"})), "", "ORDERPAID")
	if r, err := w.RequestPayment(w.paymentV2(second, "MD5")); err != nil || r.ErrMsg != "requestPayment:fail Invalid payment situation: the order has been paid" {
		t.Errorf("the second prepay id: %+v, %v", r, err)
	}
}

// Of an order that isn't paid a query tells the state, and the empty attach that has to stay out of the signature.
func TestUnpaidQueryV2(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.placeV2(w.orderV2("order-000001", ""))
	r := w.callV2("/pay/orderquery", w.common("").with(params{"out_trade_no": "order-000001"}))
	want := params{"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "appid": w.app.ID, "mch_id": w.merchant.ID, "out_trade_no": "order-000001",
		"trade_state": "NOTPAY", "trade_state_desc": "订单未支付", "attach": "", "nonce_str": r.params["nonce_str"], "sign": r.params["sign"]}
	if !maps.Equal(r.params, want) || !w.genuineV2(r.params, "MD5") {
		t.Errorf("the query says %s", r.body)
	}
}
