package sandbox

import (
	"maps"
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

// Orders of the other trade types are paid by their own ways; who paid is known then, and told.
func TestOtherTradeTypesV2(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.shop.acceptV2()
	bob, err := w.OpenID(w.app.ID, "bob")
	if err != nil {
		t.Fatal(err)
	}
	order := func(number, signType string, more params) params {
		return w.placeV2(w.orderV2(number, signType).with(params{"openid": ""}).with(more))
	}

	native := order("order-native", "", params{"trade_type": "NATIVE", "product_id": "1"})
	if !strings.HasPrefix(native["code_url"], "weixin://wxpay/bizpayurl?pr=") || len(native["code_url"]) > 64 || native["prepay_id"] == "" {
		t.Errorf("%v", native)
	}
	if r, err := w.Scan("bob", native["code_url"], ""); err != nil || r.Outcome != "paid" {
		t.Errorf("%+v, %v", r, err)
	}

	h5 := order("order-h5", "HMAC-SHA256", params{"trade_type": "MWEB",
		"scene_info": `{"h5_info":{"type":"Wap","wap_url":"https://pay.example.com","wap_name":"分毫"}}`})
	if !strings.Contains(h5["mweb_url"], "prepay_id="+h5["prepay_id"]+"&package=") {
		t.Errorf("%v", h5)
	}
	if r, err := w.OpenH5("bob", h5["mweb_url"]+"&redirect_url=https%3A%2F%2Fpay.example.com%2F", ""); err != nil || r.Outcome != "paid" || r.RedirectURL == "" {
		t.Errorf("%+v, %v", r, err)
	}

	for _, signType := range []string{"MD5", "HMAC-SHA256"} {
		app := order("order-app-"+signType[:3], signType, params{"trade_type": "APP"})
		p := AppPayment{User: "bob", AppID: w.app.ID, PartnerID: w.merchant.ID, PrepayID: app["prepay_id"], Package: "Sign=WXPay", NonceStr: "5K8264ILTKCH16CQ",
			TimeStamp: "1412000000"}
		signed := params{"appid": p.AppID, "partnerid": p.PartnerID, "prepayid": p.PrepayID, "package": p.Package, "noncestr": p.NonceStr, "timestamp": p.TimeStamp}
		p.Sign = app["sign"]
		if r, err := w.PayInApp(p); err != nil || r.ErrCode != -1 || !strings.HasPrefix(r.Reason, "sign isn't the "+signType) || strings.Contains(r.Reason, w.merchant.APIv2Key) {
			t.Errorf("the answer's own sign: %+v, %v", r, err)
		}
		p.Sign = signed.signature(w.merchant.APIv2Key, signType)
		if r, err := w.PayInApp(p); err != nil || r.ErrCode != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	w.idle()
	types := map[string]string{}
	for _, n := range w.shop.all() {
		p := readV2(n.body)
		if p["openid"] != bob {
			t.Errorf("%v", p)
		}
		types[p["out_trade_no"]] = p["trade_type"]
	}
	if want := map[string]string{"order-native": "NATIVE", "order-h5": "MWEB", "order-app-MD5": "APP", "order-app-HMA": "APP"}; !maps.Equal(types, want) {
		t.Errorf("told of %v", types)
	}
}
