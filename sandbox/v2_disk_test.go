package sandbox

import (
	"path/filepath"
	"testing"
	"time"
)

// Orders, payments, refunds and payment codes of v2 are there after a kill -9, and go on as they were placed.
func TestKilledV2(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "folder")
	w := newWorld(t, Options{Data: folder})
	open := w.placeV2(w.orderV2("order-open", "HMAC-SHA256"))
	native := w.placeV2(w.orderV2("order-native", "").with(params{"trade_type": "NATIVE", "product_id": "1", "openid": ""}))
	w.shop.answer = func(int) int { return 500 }
	w.buyV2("order-paid", "HMAC-SHA256")
	w.refundV2Of(w.refundOrderV2("order-paid", "refund-1", "300"))
	code, used := w.paymentCode("bob", ""), w.paymentCode("bob", "password")
	w.callV2("/pay/micropay", w.microOrder("order-asking", used))
	w.callV2("/pay/micropay", w.microOrder("order-scanned", w.paymentCode("bob", "")))
	w.idle()
	w.set(map[string]any{"omit_sign_type": true, "client_certificates": true})
	if err := w.settled(); err != nil {
		t.Fatal(err)
	}
	want := w.all()

	killed := snapshot(t, folder)
	s, got := reopen(t, killed)
	if got != want {
		t.Errorf("after the restart\n%s\nwant\n%s", got, want)
	}
	if now := s.Settings(); !now.OmitSignType || !now.ClientCertificates {
		t.Errorf("%+v", now)
	}
	again := *w
	again.Sandbox, again.wire, again.url = s, wireTo{s}, "http://127.0.0.1"
	again.payV2(again.paymentV2(open["prepay_id"], "HMAC-SHA256"))
	if r, err := again.Scan("bob", native["code_url"], ""); err != nil || r.Outcome != "paid" {
		t.Errorf("%+v, %v", r, err)
	}
	again.refusesV2("the used code", again.callV2("/pay/micropay", again.microOrder("order-new", used)), "", "AUTHCODEEXPIRE")
	if p := again.callV2("/pay/micropay", again.microOrder("order-new", code)).params; p["result_code"] != "SUCCESS" {
		t.Errorf("the open code: %v", p)
	}
	if p, err := again.EnterPassword("order-asking", ""); err != nil || p.State != StateSuccess {
		t.Errorf("%+v, %v", p, err)
	}
	again.shop.acceptV2()
	before := len(again.shop.all())
	again.Advance(time.Minute)
	again.idle()
	forms := map[string]int{}
	for _, n := range again.shop.all()[before:] {
		switch p := readV2(n.body); {
		case p["req_info"] != "" && openedV2(w.merchant.APIv2Key, p["req_info"]) != "":
			forms["refund"]++
		case p["out_trade_no"] == "order-paid" && w.genuineV2(p, "HMAC-SHA256"):
			forms["payment"]++
		}
	}
	if forms["refund"] != 1 || forms["payment"] != 1 {
		t.Errorf("told again of %v", forms)
	}
	for _, n := range s.Notifications() { // a code payment is never told of, not even after a restart
		if n.OutTradeNo == "order-scanned" || n.OutTradeNo == "order-asking" {
			t.Errorf("%+v", n)
		}
	}
}
