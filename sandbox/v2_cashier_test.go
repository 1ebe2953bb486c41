package sandbox

import (
	"strings"
	"testing"
)

// The phone refuses pay parameters that aren't signed as the order was placed.
func TestRequestPaymentV2(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.shop.acceptV2()
	const wrong = "requestPayment:fail Unable to verify signature"
	md5 := w.placeV2(w.orderV2("order-md5", "MD5"))
	hmac := w.placeV2(w.orderV2("order-hmac", "HMAC-SHA256"))
	v3 := w.place("order-v3", nil)
	native := w.placeV2(w.orderV2("order-native", "").with(params{"trade_type": "NATIVE", "product_id": "1", "openid": ""}))

	another := w.paymentV2(md5["prepay_id"], "MD5")
	another.PaySign = md5["sign"] // of the answer, as some take it
	lower := w.paymentV2(md5["prepay_id"], "MD5")
	lower.PaySign = strings.ToLower(lower.PaySign)
	renamed := w.paymentV2(md5["prepay_id"], "MD5")
	renamed.PaySign = params{"appid": renamed.AppID, "timeStamp": renamed.TimeStamp, "nonceStr": renamed.NonceStr, "package": renamed.Package,
		"signType": "MD5"}.signature(w.merchant.APIv2Key, "MD5")
	rsa := w.payment(md5["prepay_id"])
	unnamed := w.paymentV2(md5["prepay_id"], "MD5")
	unnamed.SignType = ""
	unnamedHMAC := w.paymentV2(hmac["prepay_id"], "HMAC-SHA256")
	unnamedHMAC.SignType = ""
	later := w.paymentV2(md5["prepay_id"], "MD5")
	later.TimeStamp += "0"
	for _, c := range []struct {
		name   string
		p      PaymentRequest
		want   string
		reason string
	}{
		{"HMAC-SHA256 for an order by MD5", w.paymentV2(md5["prepay_id"], "HMAC-SHA256"), wrong, `the order was placed with sign_type "MD5"`},
		{"MD5 for an order by HMAC-SHA256", w.paymentV2(hmac["prepay_id"], "MD5"), wrong, `the order was placed with sign_type "HMAC-SHA256"`},
		{"no signType for an order by HMAC-SHA256", unnamedHMAC, wrong, `the order was placed with sign_type "HMAC-SHA256"`},
		{"RSA for an order of v2", rsa, wrong, `an order of API v2 is signed with signType "MD5", not "RSA"`},
		{"MD5 for an order of v3", w.paymentV2(v3, "MD5"), wrong, `an order of API v3 is signed with signType "RSA", not "MD5"`},
		{"SHA1", w.paymentV2(md5["prepay_id"], "SHA1"), wrong, `the order was placed with sign_type "MD5"`},
		{"the sign of unifiedorder", another, wrong, "paySign isn't the MD5 of"},
		{"lower case", lower, wrong, "paySign isn't the MD5 of"},
		{"appid instead of appId", renamed, wrong, "paySign isn't the MD5 of"},
		{"another time than signed", later, wrong, "paySign isn't the MD5 of"},
		{"an order that isn't JSAPI", w.paymentV2(native["prepay_id"], "MD5"), "requestPayment:fail prepay_id is invalid", "the prepay_id is of a NATIVE order"},
		{"no signType is MD5", unnamed, "requestPayment:ok", ""},
		{"HMAC-SHA256", w.paymentV2(hmac["prepay_id"], "HMAC-SHA256"), "requestPayment:ok", ""},
	} {
		r, err := w.RequestPayment(c.p)
		if err != nil || r.ErrMsg != c.want || !strings.HasPrefix(r.Reason, c.reason) || (c.reason == "") != (r.Reason == "") {
			t.Errorf("%s: %+v, %v\nwant %s: %s", c.name, r, err, c.want, c.reason)
		}
		if strings.Contains(r.Reason, w.merchant.APIv2Key) {
			t.Errorf("%s: the reason tells the merchant's key", c.name)
		}
	}
	if b := w.Books()[0]; b.Paid.Count != 2 {
		t.Errorf("paid %d times", b.Paid.Count)
	}
}
