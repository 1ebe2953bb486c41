package apiv2_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

func TestUnifiedOrder(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	full := apiv2.OrderRequest{
		TradeType: apiv2.TradeJSAPI, AppID: "wx0000000000000001", OpenID: openID, SubOpenID: "oSub", OutTradeNo: "A-1_|*", Description: "咖啡", Total: 1999, Currency: "CNY",
		NotifyURL: "https://pay.example.com/n", PayerClientIP: "2001:db8::1", ExpiresAt: start.Add(30 * time.Minute), Attach: "a=1&b=2", ProductID: "P1",
		GoodsTag: "TAG", DeviceInfo: "WEB", NoCredit: true, SupportFapiao: true, ProfitSharing: true,
		Detail: apiv2.OrderDetail{CostPrice: 2000, ReceiptID: "R1", Goods: []apiv2.Goods{
			{MerchantGoodsID: "g1", WechatpayGoodsID: "w1", Name: "拿铁 & <大杯> ]]>", Quantity: 1, UnitPrice: 1999}}},
		SceneInfo: apiv2.SceneInfo{Store: apiv2.StoreInfo{ID: "S1", Name: "一号店", AreaCode: "440305", Address: "科技园"}},
	}
	common := m{"appid": appID, "mch_id": merchantID, "sign_type": "HMAC-SHA256"}
	base := common.with(m{"body": "咖啡 & <tea> ]]> ", "out_trade_no": "ORDER-000001", "total_fee": "1999", "spbill_create_ip": "203.0.113.7",
		"notify_url": "https://pay.example.com/notify/wechat/1900007291/v2"})
	kind := func(change func(*apiv2.OrderRequest)) apiv2.OrderRequest {
		o := order()
		o.OpenID = ""
		change(&o)
		return o
	}
	for _, c := range []struct {
		order  apiv2.OrderRequest
		sent   m
		answer m
		want   apiv2.PlacedOrder
	}{
		{order(), base.with(m{"trade_type": "JSAPI", "openid": openID}), m{}, apiv2.PlacedOrder{TradeType: "JSAPI", PrepayID: prepayID}},
		{kind(func(o *apiv2.OrderRequest) { o.TradeType, o.ProductID = apiv2.TradeNative, "P1" }), base.with(m{"trade_type": "NATIVE", "product_id": "P1"}),
			m{"code_url": "weixin://wxpay/bizpayurl?pr=1"}, apiv2.PlacedOrder{TradeType: "NATIVE", PrepayID: prepayID, CodeURL: "weixin://wxpay/bizpayurl?pr=1"}},
		{kind(func(o *apiv2.OrderRequest) { o.TradeType = apiv2.TradeApp }), base.with(m{"trade_type": "APP"}), m{}, apiv2.PlacedOrder{TradeType: "APP", PrepayID: prepayID}},
		{kind(func(o *apiv2.OrderRequest) {
			o.TradeType, o.SceneInfo.H5 = apiv2.TradeMWeb, apiv2.H5Info{Type: "Wap", WapURL: "https://shop.example.com", WapName: "店"}
		}), base.with(m{"trade_type": "MWEB", "scene_info": `{"h5_info":{"type":"Wap","wap_url":"https://shop.example.com","wap_name":"店"}}`}),
			m{"mweb_url": "https://wx.tenpay.com/x?prepay_id=1&package=2"},
			apiv2.PlacedOrder{TradeType: "MWEB", PrepayID: prepayID, MWebURL: "https://wx.tenpay.com/x?prepay_id=1&package=2"}},
		{full, common.with(m{"appid": "wx0000000000000001", "trade_type": "JSAPI", "openid": openID, "sub_openid": "oSub",
			"out_trade_no": "A-1_|*", "body": "咖啡", "total_fee": "1999",
			"fee_type": "CNY", "notify_url": "https://pay.example.com/n", "spbill_create_ip": "2001:db8::1", "time_expire": "20261120163000", "attach": "a=1&b=2", "product_id": "P1",
			"goods_tag": "TAG", "device_info": "WEB", "limit_pay": "no_credit", "receipt": "Y", "profit_sharing": "Y", "version": "1.0",
			"detail":     `{"cost_price":2000,"receipt_id":"R1","goods_detail":[{"goods_id":"g1","wxpay_goods_id":"w1","goods_name":"拿铁 & <大杯> ]]>","quantity":1,"price":1999}]}`,
			"scene_info": `{"store_info":{"id":"S1","name":"一号店","area_code":"440305","address":"科技园"}}`,
		}), m{}, apiv2.PlacedOrder{TradeType: "JSAPI", PrepayID: prepayID}},
	} {
		f.set(func(r request) m {
			return answered(m{"appid": r.fields["appid"], "prepay_id": prepayID, "trade_type": r.fields["trade_type"]}.with(c.answer))
		})
		got, err := client.UnifiedOrder(t.Context(), c.order)
		if err != nil || *got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.order.TradeType, got, err, c.want)
		}
		r := f.last()
		sent := r.fields.with(m{"sign": "", "nonce_str": ""})
		if r.path != "/pay/unifiedorder" || sent.text() != c.sent.text() {
			t.Errorf("%s: sent %s\n%s, want\n%s", c.order.TradeType, r.path, sent.text(), c.sent.text())
		}
		for name := range c.answer {
			f.set(func(r request) m {
				return answered(m{"appid": r.fields["appid"], "prepay_id": prepayID, "trade_type": r.fields["trade_type"]})
			})
			if _, err := client.UnifiedOrder(t.Context(), c.order); !errors.Is(err, apiv2.ErrUncertain) {
				t.Errorf("%s without %s: %v", c.order.TradeType, name, err)
			}
		}
	}
}

func TestOrdersAreCheckedHere(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		field  string
		change func(o *apiv2.OrderRequest)
	}{
		{"trade_type", func(o *apiv2.OrderRequest) { o.TradeType = "" }},
		{"trade_type", func(o *apiv2.OrderRequest) { o.TradeType = apiv2.TradeMicropay }},
		{"openid", func(o *apiv2.OrderRequest) { o.OpenID = "" }},
		{"openid", func(o *apiv2.OrderRequest) { o.OpenID = "o 1" }},
		{"openid", func(o *apiv2.OrderRequest) { o.OpenID = long(129) }},
		{"sub_openid", func(o *apiv2.OrderRequest) { o.SubOpenID = long(129) }},
		{"product_id", func(o *apiv2.OrderRequest) { o.TradeType = apiv2.TradeNative }},
		{"product_id", func(o *apiv2.OrderRequest) { o.ProductID = long(33) }},
		{"scene_info", func(o *apiv2.OrderRequest) { o.TradeType = apiv2.TradeMWeb }},
		{"appid", func(o *apiv2.OrderRequest) { o.AppID = "wx 1" }},
		{"total_fee", func(o *apiv2.OrderRequest) { o.Total = 0 }},
		{"total_fee", func(o *apiv2.OrderRequest) { o.Total = -1 }},
		{"total_fee", func(o *apiv2.OrderRequest) { o.Total = 10_000_000_000 }},
		{"fee_type", func(o *apiv2.OrderRequest) { o.Currency = "USD" }},
		{"body", func(o *apiv2.OrderRequest) { o.Description = "" }},
		{"body", func(o *apiv2.OrderRequest) { o.Description = long(128) }},
		{"body", func(o *apiv2.OrderRequest) { o.Description = strings.Repeat("中", 43) }},
		{"body", func(o *apiv2.OrderRequest) { o.Description = "x😀" }},
		{"body", func(o *apiv2.OrderRequest) { o.Description = "中"[:2] }},
		{"body", func(o *apiv2.OrderRequest) { o.Description = "a\nb" }},
		{"out_trade_no", func(o *apiv2.OrderRequest) { o.OutTradeNo = "" }},
		{"out_trade_no", func(o *apiv2.OrderRequest) { o.OutTradeNo = "12345" }},
		{"out_trade_no", func(o *apiv2.OrderRequest) { o.OutTradeNo = long(33) }},
		{"out_trade_no", func(o *apiv2.OrderRequest) { o.OutTradeNo = "123456@" }},
		{"out_trade_no", func(o *apiv2.OrderRequest) { o.OutTradeNo = "订单123456" }},
		{"spbill_create_ip", func(o *apiv2.OrderRequest) { o.PayerClientIP = "" }},
		{"spbill_create_ip", func(o *apiv2.OrderRequest) { o.PayerClientIP = "203.0.113.7:80" }},
		{"spbill_create_ip", func(o *apiv2.OrderRequest) { o.PayerClientIP = "fe80::1%eth0" }},
		{"spbill_create_ip", func(o *apiv2.OrderRequest) { o.PayerClientIP = "203.0.113.7, 10.0.0.1" }},
		{"time_expire", func(o *apiv2.OrderRequest) { o.ExpiresAt = start }},
		{"time_expire", func(o *apiv2.OrderRequest) { o.ExpiresAt = start.Add(15*24*time.Hour + time.Second) }},
		{"attach", func(o *apiv2.OrderRequest) { o.Attach = long(128) }},
		{"attach", func(o *apiv2.OrderRequest) { o.Attach = "😀" }},
		{"attach", func(o *apiv2.OrderRequest) { o.Attach = "a&out_trade_no=1" }},
		{"notify_url", func(o *apiv2.OrderRequest) { o.NotifyURL = "" }},
		{"notify_url", func(o *apiv2.OrderRequest) { o.NotifyURL = "/notify" }},
		{"notify_url", func(o *apiv2.OrderRequest) { o.NotifyURL = "https://pay.example.com/n?a=1" }},
		{"notify_url", func(o *apiv2.OrderRequest) { o.NotifyURL = "https://pay.example.com/n#a" }},
		{"notify_url", func(o *apiv2.OrderRequest) { o.NotifyURL = " https://pay.example.com/n" }},
		{"notify_url", func(o *apiv2.OrderRequest) { o.NotifyURL = "http://pay.example.com/n" }},
		{"notify_url", func(o *apiv2.OrderRequest) { o.NotifyURL = "ftp://pay.example.com/n" }},
		{"notify_url", func(o *apiv2.OrderRequest) { o.NotifyURL = "https://u:p@pay.example.com/n" }},
		{"notify_url", func(o *apiv2.OrderRequest) { o.NotifyURL = "https://pay.example.com/" + long(240) }},
		{"goods_tag", func(o *apiv2.OrderRequest) { o.GoodsTag = long(33) }},
		{"device_info", func(o *apiv2.OrderRequest) { o.DeviceInfo = long(33) }},
		{"detail.goods_detail", func(o *apiv2.OrderRequest) { o.Detail.CostPrice = 1 }},
		{"detail.cost_price", func(o *apiv2.OrderRequest) { o.Detail.CostPrice = -1 }},
		{"detail.receipt_id", func(o *apiv2.OrderRequest) { o.Detail.ReceiptID = long(33) }},
		{"detail.goods_detail[0].quantity", func(o *apiv2.OrderRequest) { o.Detail.Goods = []apiv2.Goods{{MerchantGoodsID: "g"}} }},
		{"detail.goods_detail[0].price", func(o *apiv2.OrderRequest) {
			o.Detail.Goods = []apiv2.Goods{{MerchantGoodsID: "g", Quantity: 1, UnitPrice: -1}}
		}},
		{"detail.goods_detail[1].goods_id", func(o *apiv2.OrderRequest) {
			o.Detail.Goods = []apiv2.Goods{{MerchantGoodsID: "g", Quantity: 1}, {Quantity: 1}}
		}},
		{"detail.goods_detail[0].goods_name", func(o *apiv2.OrderRequest) {
			o.Detail.Goods = []apiv2.Goods{{MerchantGoodsID: "g", Quantity: 1, Name: long(257)}}
		}},
		{"detail", func(o *apiv2.OrderRequest) {
			for range 30 {
				o.Detail.Goods = append(o.Detail.Goods, apiv2.Goods{MerchantGoodsID: "g", Quantity: 1, Name: long(200)})
			}
		}},
		{"scene_info.h5_info.type", func(o *apiv2.OrderRequest) { o.SceneInfo.H5.WapURL = "x" }},
		{"scene_info.store_info.id", func(o *apiv2.OrderRequest) { o.SceneInfo.Store.Name = "x" }},
		{"scene_info", func(o *apiv2.OrderRequest) { o.SceneInfo.Store = apiv2.StoreInfo{ID: "1", Name: long(250)} }},
	} {
		o := order()
		c.change(&o)
		_, err := client.UnifiedOrder(t.Context(), o)
		var wrong *apiv2.RequestError
		if !errors.As(err, &wrong) || wrong.Field != c.field || !errors.Is(err, apiv2.ErrNotSent) || errors.Is(err, apiv2.ErrUncertain) {
			t.Errorf("%s: %v", c.field, err)
		} else if wrong.Hint("zh") == wrong.Hint("en") || !strings.HasPrefix(wrong.Hint("zh"), c.field+": ") {
			t.Errorf("%s: hints %q and %q", c.field, wrong.Hint("zh"), wrong.Hint("en"))
		}
	}
	if f.count() != 0 {
		t.Error("something was sent")
	}
	f.set(prepaid)
	for name, change := range map[string]func(o *apiv2.OrderRequest){
		"longest": func(o *apiv2.OrderRequest) {
			o.Description, o.Attach, o.OutTradeNo = long(127), strings.Repeat("中", 42), long(32)
		},
		"shortest":    func(o *apiv2.OrderRequest) { o.Description, o.OutTradeNo, o.Total = "x", "123456", 1 },
		"most money":  func(o *apiv2.OrderRequest) { o.Total = 9_999_999_999 },
		"latest":      func(o *apiv2.OrderRequest) { o.ExpiresAt = start.Add(15 * 24 * time.Hour) },
		"sandbox":     func(o *apiv2.OrderRequest) { o.NotifyURL = "http://127.0.0.1:8080/n" },
		"sandbox too": func(o *apiv2.OrderRequest) { o.NotifyURL = "http://shop.localhost/n" },
		"provider":    func(o *apiv2.OrderRequest) { o.OpenID, o.SubOpenID = "", openID },
		"own attach":  func(o *apiv2.OrderRequest) { o.Attach = "a=1&b=2&total=3" },
	} {
		o := order()
		change(&o)
		if _, err := client.UnifiedOrder(t.Context(), o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPayParameters(t *testing.T) {
	t.Parallel()
	for _, signType := range []apiv2.SignType{apiv2.MD5, apiv2.HMACSHA256} {
		c := config()
		c.SignType = signType
		client := listening(t, c)
		p, err := client.PayParameters("", prepayID)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(p)
		var asMap m
		if err == nil {
			err = json.Unmarshal(data, &asMap)
		}
		if err != nil {
			t.Fatal(err)
		}
		paySign := asMap["paySign"]
		delete(asMap, "paySign")
		if want := signText(string(signType), keyText, asMap.text()); paySign != want || p.AppID != appID || p.TimeStamp != "1795161600" ||
			p.Package != "prepay_id="+prepayID || p.SignType != string(signType) || len(p.NonceStr) < 16 || len(asMap) != 5 {
			t.Errorf("%s, want paySign %s", data, want)
		}
		again, err := client.PayParameters(appID, prepayID)
		if err != nil || again.NonceStr == p.NonceStr {
			t.Errorf("the nonce is %s twice, %v", again.NonceStr, err)
		}

		a, err := client.AppParameters("", prepayID)
		if err != nil {
			t.Fatal(err)
		}
		if data, err = json.Marshal(a); err == nil {
			asMap = nil
			err = json.Unmarshal(data, &asMap)
		}
		if want := signText(string(signType), keyText, asMap.text()); err != nil || a.Sign != want || a.AppID != appID || a.PartnerID != merchantID || a.PrepayID != prepayID ||
			a.Package != "Sign=WXPay" || a.TimeStamp != "1795161600" || len(asMap) != 7 {
			t.Errorf("%s, %v, want sign %s", data, err, want)
		}
	}
	provider := config()
	provider.SubMerchantID, provider.SubAppID, provider.PartnerID = "1900000002", "wx0000000000000002", "1900000002"
	client := listening(t, provider)
	if p, err := client.PayParameters("", prepayID); err != nil || p.AppID != "wx0000000000000002" {
		t.Errorf("the app is %s, %v", p.AppID, err)
	}
	if a, err := client.AppParameters("wx1", prepayID); err != nil || a.AppID != "wx1" || a.PartnerID != "1900000002" {
		t.Errorf("%+v, %v", a, err)
	}
	for _, c := range []struct{ field, appID, prepayID string }{
		{"appId", "wx 1", prepayID}, {"prepay_id", appID, ""}, {"prepay_id", appID, "a b"}, {"prepay_id", appID, strings.Repeat("x", 65)},
	} {
		var wrong *apiv2.RequestError
		if p, err := client.PayParameters(c.appID, c.prepayID); !errors.As(err, &wrong) || wrong.Field != c.field || p != (apiv2.PayParameters{}) {
			t.Errorf("%+v: %v", c, err)
		}
		if a, err := client.AppParameters(c.appID, c.prepayID); !errors.As(err, &wrong) || a != (apiv2.AppParameters{}) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []apiv2.Credentials{{}, {Key: mustKey(keyText)}, {Key: mustKey(keyText), SignType: "RSA"}, {SignType: apiv2.MD5}} {
		if s, err := c.Sign(nil); err == nil || s != "" {
			t.Errorf("%+v signs", c)
		}
	}
	twice := apiv2.Credentials{Key: mustKey(keyText), SignType: apiv2.MD5}
	if _, err := twice.Sign(apiv2.Fields{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}}); err == nil {
		t.Error("a field that is there twice was signed")
	}
}

func TestQueryOrder(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	f.set(func(request) m {
		return paid().with(m{"trade_state": "SUCCESS", "trade_state_desc": "支付成功", "attach": ""})
	})
	got, err := client.QueryOrder(t.Context(), "ORDER-000001")
	if err != nil || got.TradeState != apiv2.TradeSuccess || got.Amount.Total != 1999 || got.TradeStateDesc != "支付成功" || !strings.HasPrefix(string(got.Raw), "<xml>") {
		t.Errorf("%+v, %v", got, err)
	}
	if r := f.last(); r.path != "/pay/orderquery" || r.fields["out_trade_no"] != "ORDER-000001" || len(r.fields) != 6 {
		t.Errorf("sent %+v", r)
	}
	got, err = client.QueryTransaction(t.Context(), "4200000001202611200000000001")
	if r := f.last(); err != nil || got.OutTradeNo != "ORDER-000001" || r.fields["transaction_id"] != got.TransactionID || len(r.fields) != 6 {
		t.Errorf("%+v, %v; sent %+v", got, err, r)
	}
	f.set(func(request) m {
		return answered(m{"out_trade_no": "ORDER-000001", "trade_state": "NOTPAY", "trade_state_desc": "订单未支付", "attach": ""})
	})
	if got, err = client.QueryOrder(t.Context(), "ORDER-000001"); err != nil || got.TradeState != apiv2.TradeNotPay || got.TradeState.Paid() || got.Amount.Total != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for name, change := range map[string]m{
		"another order": {"out_trade_no": "ORDER-000002"}, "no order": {"out_trade_no": ""}, "no state": {"trade_state": ""},
		"no total": {"total_fee": ""}, "no time": {"time_end": ""},
		"no transaction": {"transaction_id": ""}, "no app": {"appid": ""}, "odd total": {"total_fee": "1,999"}, "refunded, no total": {"trade_state": "REFUND", "total_fee": ""},
	} {
		f.set(func(request) m { return paid().with(m{"trade_state": "SUCCESS"}).with(change) })
		if got, err := client.QueryOrder(t.Context(), "ORDER-000001"); !errors.Is(err, apiv2.ErrUncertain) || got != nil {
			t.Errorf("%s: %+v, %v, want ErrUncertain", name, got, err)
		}
	}
	f.set(func(request) m { return paid().with(m{"trade_state": "SUCCESS", "transaction_id": "42"}) })
	if got, err := client.QueryTransaction(t.Context(), "43"); !errors.Is(err, apiv2.ErrUncertain) || got != nil {
		t.Errorf("another transaction: %+v, %v", got, err)
	}
	f.set(func(request) m {
		return answered(m{"result_code": "FAIL", "err_code": "ORDERNOTEXIST", "err_code_des": "此交易订单号不存在"})
	})
	if _, err := client.QueryOrder(t.Context(), "1"); !errors.Is(err, apiv2.CodeOrderNotExist) || errors.Is(err, apiv2.ErrUncertain) {
		t.Errorf("%v, want ORDERNOTEXIST", err)
	}
	before := f.count()
	for _, number := range []string{"", "a b", strings.Repeat("1", 33), "中"} {
		_, err1 := client.QueryOrder(t.Context(), number)
		_, err2 := client.QueryTransaction(t.Context(), number)
		err3 := client.CloseOrder(t.Context(), number)
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, apiv2.ErrNotSent) {
				t.Errorf("%q: %v, want ErrNotSent", number, err)
			}
		}
	}
	if f.count() != before {
		t.Error("something was sent")
	}
}

func TestCloseOrder(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	f.set(func(request) m { return answered(m{"result_msg": "OK"}) })
	if err := client.CloseOrder(t.Context(), "ORDER-000001"); err != nil {
		t.Error(err)
	}
	if r := f.last(); r.path != "/pay/closeorder" || r.fields["out_trade_no"] != "ORDER-000001" || len(r.fields) != 6 {
		t.Errorf("sent %+v", r)
	}
	for code, want := range map[string]apiv2.Code{"ORDERPAID": apiv2.CodeOrderPaid, "ORDERCLOSED": apiv2.CodeOrderClosed, "FREQUENCY_LIMITED": apiv2.CodeFrequencyLimited} {
		f.set(func(request) m { return answered(m{"result_code": "FAIL", "err_code": code}) })
		if err := client.CloseOrder(t.Context(), "ORDER-000001"); !errors.Is(err, want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
