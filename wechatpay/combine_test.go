package wechatpay_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

const combinedJSON = `{"combine_appid":"wx8888888888888888","combine_mchid":"1900007291","combine_out_trade_no":"WHOLE-0001","scene_info":{"device_id":"d"},"combine_payer_info":{"openid":"o1"},` +
	`"sub_orders":[{"mchid":"1900007291","trade_type":"JSAPI","trade_state":"SUCCESS","bank_type":"OTHERS","attach":"a","success_time":"2026-11-20T16:00:00.120+08:00",` +
	`"transaction_id":"4200000001202611200000000001","out_trade_no":"PART-0001","amount":{"total_amount":1000,"payer_amount":900,"currency":"CNY","payer_currency":"CNY","settlement_rate":92253400}},` +
	`{"mchid":"1900007291","sub_mchid":"1900000109","sub_appid":"wx9999999999999999","sub_openid":"oSUB","trade_state":"SUCCESS","attach":"b","success_time":"2026-11-20T16:00:00+08:00",` +
	`"transaction_id":"4200000001202611200000000002","out_trade_no":"PART-0002","amount":{"total_amount":999,"currency":"CNY"}}]}`

func combinedRequest() wechatpay.CombinedRequest {
	return wechatpay.CombinedRequest{AppID: "wx8888888888888888", OutTradeNo: "WHOLE-0001", OpenID: "o1", NotifyURL: "https://pay.example.com/n", ExpiresAt: start.Add(time.Hour),
		SceneInfo: wechatpay.SceneInfo{PayerClientIP: "14.23.150.211"},
		Orders: []wechatpay.SubOrder{
			{OutTradeNo: "PART-0001", Description: "咖啡", Attach: "a", Total: 1000},
			{MerchantID: "1900000110", OutTradeNo: "PART-0002", Description: "茶", Attach: "b", Total: 999, Detail: "d", GoodsTag: "g", SettleInfo: wechatpay.SettleInfo{ProfitSharing: true}},
		}}
}

func TestCombinedOrders(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	const path = "/v3/combine-transactions/"
	s := play(f, map[string]string{
		"POST " + path + "jsapi": `{"prepay_id":"wx1"}`, "POST " + path + "app": `{"prepay_id":"wx2"}`, "POST " + path + "native": `{"code_url":"weixin://1"}`,
		"POST " + path + "h5": `{"h5_url":"https://wx.tenpay.com/1"}`, "GET " + path + "out-trade-no/WHOLE-0001": combinedJSON, "POST " + path + "out-trade-no/WHOLE-0001/close": "",
	})
	client := newClient(t, f, config())
	ctx := t.Context()
	if got, err := client.PrepayCombined(ctx, combinedRequest()); err != nil || got != "wx1" {
		t.Errorf("%q, %v", got, err)
	}
	anyone := combinedRequest()
	anyone.OpenID, anyone.ExpiresAt = "", time.Time{}
	if got, err := client.PrepayCombinedNative(ctx, anyone); err != nil || got != "weixin://1" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := client.PrepayCombinedApp(ctx, anyone); err != nil || got != "wx2" {
		t.Errorf("%q, %v", got, err)
	}
	h5 := anyone
	h5.SceneInfo.H5.Type = "Wap"
	if got, err := client.PrepayCombinedH5(ctx, h5); err != nil || got != "https://wx.tenpay.com/1" {
		t.Errorf("%q, %v", got, err)
	}
	const head = `{"combine_appid":"wx8888888888888888","combine_mchid":"1900007291","combine_out_trade_no":"WHOLE-0001","scene_info":{"payer_client_ip":"14.23.150.211"`
	const orders = `},"sub_orders":[{"mchid":"1900007291","attach":"a","amount":{"total_amount":1000,"currency":"CNY"},"out_trade_no":"PART-0001","description":"咖啡"},` +
		`{"mchid":"1900000110","attach":"b","amount":{"total_amount":999,"currency":"CNY"},"out_trade_no":"PART-0002","description":"茶","detail":"d","goods_tag":"g","settle_info":{"profit_sharing":true}}],`
	const tail = `"notify_url":"https://pay.example.com/n"}`
	s.expect(t, "POST "+path+"jsapi "+head+orders+`"combine_payer_info":{"openid":"o1"},"time_expire":"2026-11-20T17:00:00+08:00",`+tail,
		"POST "+path+"native "+head+orders+tail, "POST "+path+"app "+head+orders+tail, "POST "+path+"h5 "+head+`,"h5_info":{"type":"Wap"}`+orders+tail)

	// Of sub merchants, one order is enough.
	one := combinedRequest()
	one.Orders, one.OpenID, one.SubOpenID = one.Orders[:1], "", "oSUB"
	if _, err := client.For(subMerchant).PrepayCombined(ctx, one); err != nil {
		t.Error(err)
	}
	one.Orders[0].SubMerchantID = "1900000111"
	if err := client.CloseCombined(ctx, one); err != nil {
		t.Error(err)
	}
	if err := client.CloseCombined(ctx, combinedRequest()); err != nil {
		t.Error(err)
	}
	s.expect(t, "POST "+path+"jsapi "+head+`},"sub_orders":[{"mchid":"1900007291","attach":"a","amount":{"total_amount":1000,"currency":"CNY"},"out_trade_no":"PART-0001",`+
		`"sub_mchid":"1900000109","sub_appid":"wx9999999999999999","description":"咖啡"}],"combine_payer_info":{"sub_openid":"oSUB"},"time_expire":"2026-11-20T17:00:00+08:00",`+tail,
		"POST "+path+`out-trade-no/WHOLE-0001/close {"combine_appid":"wx8888888888888888","sub_orders":[{"mchid":"1900007291","out_trade_no":"PART-0001","sub_mchid":"1900000111"}]}`,
		"POST "+path+`out-trade-no/WHOLE-0001/close {"combine_appid":"wx8888888888888888","sub_orders":[{"mchid":"1900007291","out_trade_no":"PART-0001"},{"mchid":"1900000110","out_trade_no":"PART-0002"}]}`)

	check := func(tr *wechatpay.CombinedTransaction, err error) {
		t.Helper()
		if err != nil || !tr.Paid() || tr.OutTradeNo != "WHOLE-0001" || tr.MerchantID != merchantID || tr.PayerOpenID != "o1" || tr.DeviceID != "d" || len(tr.Orders) != 2 || tr.Serial != serialA {
			t.Fatalf("%+v, %v", tr, err)
		}
		a, b := tr.Orders[0], tr.Orders[1]
		if a.MerchantID != merchantID || a.ProviderID != "" || a.Amount.Total != 1000 || a.Amount.PayerTotal != 900 || a.OutTradeNo != "PART-0001" || !a.SuccessTime.Equal(start.Add(120*time.Millisecond)) ||
			b.MerchantID != "1900000109" || b.ProviderID != merchantID || b.PayerSubOpenID != "oSUB" || b.Amount.Total != 999 || b.TransactionID != "4200000001202611200000000002" {
			t.Errorf("%+v", tr.Orders)
		}
	}
	check(client.QueryCombined(ctx, "WHOLE-0001"))
	parse := func(plain string) (*wechatpay.Notification, error) {
		text := notification("TRANSACTION.SUCCESS", "transaction", plain)
		return client.ParseNotification(ctx, signerA().header(c.Now(), text), []byte(text))
	}
	n, err := parse(combinedJSON)
	if err != nil || n.Transaction != nil {
		t.Fatalf("%+v, %v", n, err)
	}
	check(n.Combined, err)

	for name, pair := range map[string][2]string{
		"another order": {"WHOLE-0001", "WHOLE-0002"}, "another merchant": {`"combine_mchid":"1900007291"`, `"combine_mchid":"1900007292"`},
	} {
		s.set("GET "+path+"out-trade-no/WHOLE-0001", strings.Replace(combinedJSON, pair[0], pair[1], 1))
		if tr, err := client.QueryCombined(ctx, "WHOLE-0001"); !errors.Is(err, wechatpay.ErrUncertain) || tr != nil {
			t.Errorf("%s: %+v, %v", name, tr, err)
		}
	}
	for name, pair := range map[string][2]string{
		"no app": {`"combine_appid"`, `"x"`}, "no number": {`"combine_out_trade_no"`, `"x"`}, "no orders": {`"sub_orders"`, `"x"`}, "an order without a number": {`"out_trade_no":"PART-0002"`, `"x":1`},
		"an order without a total": {`"total_amount":999,`, ``}, "an order without a state": {`"trade_state"`, `"x"`}, "an order without a time": {`"success_time"`, `"x"`},
		"an order of nobody": {`"mchid":"1900007291","trade_type"`, `"trade_type"`}, "an order of no transaction": {`"transaction_id"`, `"x"`}, "two totals": {`"total_amount":999`, `"total_amount":1,"total_amount":999`},
	} {
		if n, err := parse(strings.Replace(combinedJSON, pair[0], pair[1], 1)); !errors.Is(err, wechatpay.ErrBadMessage) || n != nil {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
	half := strings.Replace(combinedJSON, `"trade_state":"SUCCESS"`, `"trade_state":"NOTPAY"`, 1)
	if n, err := parse(half); err != nil || n.Combined.Paid() {
		t.Errorf("half of it: %+v, %v", n, err)
	}
	if (&wechatpay.CombinedTransaction{}).Paid() {
		t.Error("an order of nothing is paid")
	}
}

func TestCombinedOrdersThatAreNotSent(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	client := newClient(t, f, config())
	for field, change := range map[string]func(*wechatpay.CombinedRequest){
		"combine_appid":                     func(r *wechatpay.CombinedRequest) { r.AppID = "" },
		"combine_out_trade_no":              func(r *wechatpay.CombinedRequest) { r.OutTradeNo = "1" },
		"notify_url":                        func(r *wechatpay.CombinedRequest) { r.NotifyURL = "" },
		"time_expire":                       func(r *wechatpay.CombinedRequest) { r.ExpiresAt = start },
		"combine_payer_info.openid":         func(r *wechatpay.CombinedRequest) { r.OpenID = "" },
		"scene_info.payer_client_ip":        func(r *wechatpay.CombinedRequest) { r.SceneInfo = wechatpay.SceneInfo{DeviceID: "d"} },
		"scene_info.store_info":             func(r *wechatpay.CombinedRequest) { r.SceneInfo.Store.ID = "s" },
		"scene_info.h5_info":                func(r *wechatpay.CombinedRequest) { r.SceneInfo.H5.Type = "Wap" },
		"sub_orders":                        func(r *wechatpay.CombinedRequest) { r.Orders = r.Orders[:1] },
		"sub_orders[1].mchid":               func(r *wechatpay.CombinedRequest) { r.Orders[1].MerchantID = "x" },
		"sub_orders[1].sub_mchid":           func(r *wechatpay.CombinedRequest) { r.Orders[1].SubMerchantID = "x" },
		"sub_orders[1].attach":              func(r *wechatpay.CombinedRequest) { r.Orders[1].Attach = "" },
		"sub_orders[1].description":         func(r *wechatpay.CombinedRequest) { r.Orders[1].Description = "" },
		"sub_orders[1].out_trade_no":        func(r *wechatpay.CombinedRequest) { r.Orders[1].OutTradeNo = "" },
		"sub_orders[1].amount.total_amount": func(r *wechatpay.CombinedRequest) { r.Orders[1].Total = 0 },
		"sub_orders[1].detail":              func(r *wechatpay.CombinedRequest) { r.Orders[1].Detail = strings.Repeat("x", 6001) },
		"sub_orders[1].goods_tag":           func(r *wechatpay.CombinedRequest) { r.Orders[1].GoodsTag = strings.Repeat("x", 33) },
		"combine_payer_info.sub_openid":     func(r *wechatpay.CombinedRequest) { r.SubOpenID = "o 1" },
	} {
		r := combinedRequest()
		change(&r)
		_, err := client.PrepayCombined(t.Context(), r)
		refused(t, field, err, field)
	}
	_, err := client.PrepayCombinedNative(t.Context(), combinedRequest())
	refused(t, "a buyer", err, "combine_payer_info")
	_, err = client.QueryCombined(t.Context(), "")
	refused(t, "query", err, "combine_out_trade_no")
	refused(t, "close nothing", client.CloseCombined(t.Context(), wechatpay.CombinedRequest{AppID: "wx1", OutTradeNo: "WHOLE-0001"}), "sub_orders")
	bad := combinedRequest()
	bad.Orders[0].OutTradeNo = ""
	refused(t, "close an order without a number", client.CloseCombined(t.Context(), bad), "sub_orders[0].out_trade_no")
	if n := f.count(""); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
