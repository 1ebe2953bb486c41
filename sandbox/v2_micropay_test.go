package sandbox

import (
	"strings"
	"testing"
	"time"
)

// microOrder is a right code payment.
func (w *world) microOrder(number, code string) params {
	return w.common("").with(params{"body": "一杯咖啡", "out_trade_no": number, "total_fee": "998", "spbill_create_ip": "203.0.113.7",
		"auth_code": code})
}

// code is what the user's phone shows.
func (w *world) paymentCode(user, action string) string {
	w.t.Helper()
	var out struct {
		Code string `json:"auth_code"`
	}
	if status := w.control("POST", "payment-code", map[string]string{"user": user, "action": action}, &out); status != 200 {
		w.t.Fatalf("payment-code answers %d", status)
	}
	return out.Code
}

func (w *world) reverse(number string) replyV2 {
	w.t.Helper()
	return w.callV2("/secapi/pay/reverse", w.common("").with(params{"out_trade_no": number}))
}

func (w *world) stateV2(number string) string {
	w.t.Helper()
	return w.callV2("/pay/orderquery", w.common("").with(params{"out_trade_no": number})).params["trade_state"]
}

// A code pays once, at once, and nothing is notified.
func TestMicroPay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	bob, err := w.OpenID(w.app.ID, "bob")
	if err != nil {
		t.Fatal(err)
	}
	code := w.paymentCode("bob", "")
	p := w.callV2("/pay/micropay", w.microOrder("order-000001", code).with(params{"attach": "x"})).params
	paid, _ := w.Payment("order-000001")
	if p["result_code"] != "SUCCESS" || p["trade_type"] != "MICROPAY" || p["openid"] != bob || p["total_fee"] != "998" || p["attach"] != "x" ||
		p["transaction_id"] != paid.TransactionID || len(paid.TransactionID) != 28 || p["out_trade_no"] != "order-000001" || !w.genuineV2(p, "MD5") {
		t.Errorf("%v", p)
	}
	for name, c := range map[string]struct{ number, code, want string }{
		"a used code":        {"order-000002", code, "AUTHCODEEXPIRE"},
		"an unknown code":    {"order-000002", "130000000000000000", "AUTH_CODE_ERROR"},
		"no code at all":     {"order-000002", "weixin://wxpay", "AUTH_CODE_INVALID"},
		"another purse's":    {"order-000002", "281234567890123456", "AUTH_CODE_INVALID"},
		"a paid number":      {"order-000001", w.paymentCode("bob", ""), "ORDERPAID"},
		"not enough":         {"order-000003", w.paymentCode("bob", "fail"), "NOTENOUGH"},
		"asked for password": {"order-000004", w.paymentCode("bob", "password"), "USERPAYING"},
	} {
		w.refusesV2(name, w.callV2("/pay/micropay", w.microOrder(c.number, c.code)), "", c.want)
	}
	if a, b := w.stateV2("order-000003"), w.stateV2("order-000004"); a != "PAYERROR" || b != "USERPAYING" {
		t.Errorf("states %s, %s", a, b)
	}
	late := w.paymentCode("bob", "")
	w.Advance(time.Minute)
	w.refusesV2("an old code", w.callV2("/pay/micropay", w.microOrder("order-000005", late)), "", "AUTHCODEEXPIRE")
	w.failsV2("a notify_url", w.callV2("/pay/micropay", w.microOrder("order-000005", late).with(params{"notify_url": w.shop.url})), "请求中含有未在API文档中定义的参数")
	w.idle()
	if n := w.Notifications(); len(n) != 0 {
		t.Errorf("%d notifications", len(n))
	}
	if b := w.Books()[0]; b.Paid != (Sum{1, 998}) {
		t.Errorf("%+v", b)
	}
	w.fault(Fault{On: "v2.micropay", Kind: "wrong_amount", Count: 1})
	if p := w.callV2("/pay/micropay", w.microOrder("order-000006", w.paymentCode("bob", ""))).params; p["total_fee"] != "999" {
		t.Errorf("%v", p)
	}
}

// While the phone asks for the password the result is open; the same call says so again.
func TestMicroPayPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	pay := func(number string) params {
		order := w.microOrder(number, w.paymentCode("bob", "password"))
		w.refusesV2(number, w.callV2("/pay/micropay", order), "", "USERPAYING")
		return order
	}
	order := pay("order-000001")
	w.refusesV2("again", w.callV2("/pay/micropay", order), "", "USERPAYING")
	w.refusesV2("by another code", w.callV2("/pay/micropay", order.with(params{"auth_code": w.paymentCode("bob", "")})), "", "OUT_TRADE_NO_USED")
	w.refusesV2("the number elsewhere", w.callV2("/pay/unifiedorder", w.orderV2("order-000001", "")), "", "OUT_TRADE_NO_USED")
	w.refusesV2("closed instead of reversed", w.callV2("/pay/closeorder", w.common("").with(params{"out_trade_no": "order-000001"})), "", "TRADE_STATE_ERROR")
	w.refuses(w.closeOrder("order-000001"), 403, "TRADE_ERROR", "268449641")
	var shown Payment
	if status := w.control("POST", "payments/order-000001/password", map[string]string{}, &shown); status != 200 || shown.State != StateSuccess {
		t.Errorf("%d %+v", status, shown)
	}
	if s := w.state("order-000001"); s != "SUCCESS" {
		t.Errorf("v3 says %s", s)
	}
	w.refusesV2("after it was paid", w.callV2("/pay/micropay", order), "", "ORDERPAID")

	order = pay("order-000002")
	if p, err := w.EnterPassword("order-000002", "cancel"); err != nil || p.State != StatePayError {
		t.Errorf("%+v, %v", p, err)
	}
	w.refusesV2("after the user refused", w.callV2("/pay/micropay", order), "", "TRADE_ERROR")
	for _, in := range []struct{ number, action string }{{"order-000002", "pay"}, {"order-never", "pay"}, {"order-000001", ""}, {"order-000001", "steal"}} {
		if status := w.control("POST", "payments/"+in.number+"/password", map[string]string{"action": in.action}, nil); status != 404 && in.action != "steal" || status == 200 {
			t.Errorf("%v: %d", in, status)
		}
	}
	if status := w.control("POST", "payment-code", map[string]string{"user": ""}, nil); status != 400 {
		t.Errorf("nobody's code: %d", status)
	}
	if status := w.control("POST", "payment-code", map[string]string{"user": "bob", "action": "steal"}, nil); status != 400 {
		t.Errorf("an unknown action: %d", status)
	}
}

// A reversal leaves nothing of a code payment, paid or not, and can be asked for again.
func TestReverse(t *testing.T) {
	t.Parallel()
	w := billWorld(t)
	w.shop.acceptV2()
	w.callV2("/pay/micropay", w.microOrder("order-paid", w.paymentCode("bob", "")))
	w.callV2("/pay/micropay", w.microOrder("order-paying", w.paymentCode("bob", "password")))
	w.callV2("/pay/micropay", w.microOrder("order-failed", w.paymentCode("bob", "fail")))
	for _, number := range []string{"order-paid", "order-paying", "order-failed"} {
		for range 2 {
			if r := w.reverse(number); r.params["result_code"] != "SUCCESS" || r.params["recall"] != "N" || !w.genuineV2(r.params, "MD5") {
				t.Errorf("%s: %s", number, r.body)
			}
		}
		if s := w.stateV2(number); s != "REVOKED" {
			t.Errorf("%s is %s", number, s)
		}
	}
	w.refusesV2("a reversed number", w.callV2("/pay/micropay", w.microOrder("order-paid", w.paymentCode("bob", ""))), "", "ORDERREVERSED")
	if _, err := w.EnterPassword("order-paying", "pay"); err == nil {
		t.Error("a reversed payment was paid")
	}
	if b := w.Books()[0]; b.Paid != (Sum{1, 998}) || b.Refunded != (Sum{1, 998}) || b.Refunding != (Sum{}) || b.Fee != 0 || b.Balance != 0 {
		t.Errorf("%+v", b)
	}
	w.refusesV2("refunded after", w.callV2(refundPath, w.refundOrderV2("order-paid", "refund-1", "1")), "", "INVALID_REQUEST")
	w.refusesV2("unknown", w.reverse("order-never"), "", "ORDERNOTEXIST")
	w.refusesV2("unknown transaction", w.callV2("/secapi/pay/reverse", w.common("").with(params{"transaction_id": "4200"})), "", "INVALID_TRANSACTIONID")
	w.failsV2("nothing", w.callV2("/secapi/pay/reverse", w.common("")), "缺少参数transaction_id或out_trade_no")
	w.buyV2("order-jsapi", "")
	w.refusesV2("of another kind", w.reverse("order-jsapi"), "", "INVALID_REQUEST")

	w.callV2("/pay/micropay", w.microOrder("order-poor", w.paymentCode("bob", "")))
	if err := w.SetBalance(w.merchant.ID, 0); err != nil {
		t.Fatal(err)
	}
	poor := w.reverse("order-poor")
	w.refusesV2("without balance", poor, "", "SYSTEMERROR")
	if poor.params["recall"] != "Y" || w.stateV2("order-poor") != "SUCCESS" {
		t.Errorf("%s", poor.body)
	}
	if err := w.SetBalance(w.merchant.ID, 100_000); err != nil {
		t.Fatal(err)
	}
	w.refundV2Of(w.refundOrderV2("order-poor", "refund-all", "998"))
	w.refusesV2("all of it refunded", w.reverse("order-poor"), "", "TRADE_ERROR")
	w.callV2("/pay/micropay", w.microOrder("order-old", w.paymentCode("bob", "")))
	w.Advance(24 * time.Hour)
	bill := string(w.callV2("/pay/downloadbill", w.common("").with(params{"bill_date": "20261119"})).body)
	if strings.Count(bill, "`REVOKED,") != 1 || strings.Count(bill, "`MICROPAY,") != 5 {
		t.Errorf("the bill is %s", bill)
	}
	w.Advance(6*24*time.Hour + time.Second)
	w.refusesV2("after seven days", w.reverse("order-old"), "", "REVERSE_EXPIRE")
	if err := w.SetSettings(Settings{ClientCertificates: true}); err != nil {
		t.Fatal(err)
	}
	w.failsV2("without certificate", w.reverse("order-old"), "证书验证失败")
}
