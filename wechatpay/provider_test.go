package wechatpay_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

const partnerPaidJSON = `{"sp_appid":"wx8888888888888888","sp_mchid":"1900007291","sub_appid":"wx9999999999999999","sub_mchid":"1900000109",` +
	`"out_trade_no":"ORDER-000001","transaction_id":"4200000001202611200000000001","trade_type":"JSAPI","trade_state":"SUCCESS","trade_state_desc":"支付成功",` +
	`"success_time":"2026-11-20T16:00:00+08:00","payer":{"sp_openid":"oSP","sub_openid":"oSUB"},"amount":{"total":1999,"payer_total":1999,"currency":"CNY","payer_currency":"CNY"}}`

var subMerchant = wechatpay.SubMerchant{ID: "1900000109", AppID: "wx9999999999999999"}

func TestServiceProvider(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	const base = "/v3/pay/partner/transactions/"
	s := play(f, map[string]string{
		"POST " + base + "jsapi":                              `{"prepay_id":"wx1"}`,
		"POST " + base + "native":                             `{"code_url":"weixin://wxpay/bizpayurl?pr=1"}`,
		"GET " + base + "out-trade-no/ORDER-000001":           partnerPaidJSON,
		"GET " + base + "id/4200000001202611200000000001":     partnerPaidJSON,
		"POST " + base + "out-trade-no/ORDER-000001/close":    "",
		"GET /v3/pay/transactions/out-trade-no/ORDER-000001":  partnerPaidJSON,
		"POST /v3/refund/domestic/refunds":                    refundJSON,
		"GET /v3/refund/domestic/refunds/REFUND-1":            strings.Replace(refundJSON, `{`, `{"sub_mchid":"1900000109",`, 1),
		"GET /v3/profitsharing/return-orders/R1":              returnJSON,
		"POST /v3/profitsharing/orders":                       sharingJSON,
		"GET /v3/merchant-service/complaints-v2":              `{"data":[],"total_count":0}`,
		"POST /v3/merchant-service/complaints-v2/42/complete": "",
	})
	provider := newClient(t, f, config())
	client := provider.For(subMerchant)

	r := order()
	if _, err := client.Prepay(t.Context(), r); err != nil {
		t.Error(err)
	}
	r.OpenID, r.SubOpenID = "", "oSUB"
	if _, err := client.Prepay(t.Context(), r); err != nil {
		t.Error(err)
	}
	if _, err := client.PrepayNative(t.Context(), scanned()); err != nil {
		t.Error(err)
	}
	const head = `{"sp_appid":"wx8888888888888888","sp_mchid":"1900007291","sub_appid":"wx9999999999999999","sub_mchid":"1900000109",` +
		`"description":"咖啡 & <tea>","out_trade_no":"ORDER-000001","notify_url":"https://pay.example.com/notify/wechat/1900007291/v3","amount":{"total":1999,"currency":"CNY"}`
	s.expect(t, "POST "+base+"jsapi "+head+`,"payer":{"sp_openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}`,
		"POST "+base+"jsapi "+head+`,"payer":{"sub_openid":"oSUB"}}`, "POST "+base+"native "+head+"}")

	for range 2 {
		tr, err := client.QueryOrder(t.Context(), "ORDER-000001")
		if err != nil || tr.MerchantID != "1900000109" || tr.ProviderID != merchantID || tr.AppID != "wx8888888888888888" || tr.SubAppID != "wx9999999999999999" ||
			tr.PayerOpenID != "oSP" || tr.PayerSubOpenID != "oSUB" {
			t.Errorf("%+v, %v", tr, err)
		}
	}
	if _, err := client.QueryTransaction(t.Context(), "4200000001202611200000000001"); err != nil {
		t.Error(err)
	}
	if err := client.CloseOrder(t.Context(), "ORDER-000001"); err != nil {
		t.Error(err)
	}
	if got, err := client.Refund(t.Context(), refundRequest()); err != nil || got.MerchantID != "1900000109" || got.ProviderID != merchantID {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := client.QueryRefund(t.Context(), "REFUND-1"); err != nil {
		t.Error(err)
	}
	if _, err := client.QueryProfitReturn(t.Context(), "R1", "P1"); err != nil {
		t.Error(err)
	}
	share := wechatpay.ProfitSharingRequest{AppID: "wx8888888888888888", TransactionID: "4200000001202611200000000001", OutOrderNo: "P1", UnfreezeUnsplit: true}
	if _, err := client.ShareProfit(t.Context(), share); err != nil {
		t.Error(err)
	}
	if _, _, err := client.Complaints(t.Context(), wechatpay.ComplaintsRequest{BeginDate: "2026-11-01", EndDate: "2026-11-19"}); err != nil {
		t.Error(err)
	}
	if err := client.CompleteComplaint(t.Context(), "42"); err != nil {
		t.Error(err)
	}
	const query = "?sp_mchid=1900007291&sub_mchid=1900000109"
	s.expect(t, "GET "+base+"out-trade-no/ORDER-000001"+query, "GET "+base+"out-trade-no/ORDER-000001"+query, "GET "+base+"id/4200000001202611200000000001"+query,
		"POST "+base+`out-trade-no/ORDER-000001/close {"sp_mchid":"1900007291","sub_mchid":"1900000109"}`,
		`POST /v3/refund/domestic/refunds {"sub_mchid":"1900000109","out_trade_no":"ORDER-000001","out_refund_no":"REFUND-1","amount":{"refund":500,"total":1999,"currency":"CNY"}}`,
		"GET /v3/refund/domestic/refunds/REFUND-1?sub_mchid=1900000109",
		"GET /v3/profitsharing/return-orders/R1?out_order_no=P1&sub_mchid=1900000109",
		`POST /v3/profitsharing/orders {"sub_mchid":"1900000109","appid":"wx8888888888888888","sub_appid":"wx9999999999999999","transaction_id":"4200000001202611200000000001","out_order_no":"P1","unfreeze_unsplit":true}`,
		"GET /v3/merchant-service/complaints-v2?begin_date=2026-11-01&complainted_mchid=1900000109&end_date=2026-11-19&limit=50&offset=0",
		`POST /v3/merchant-service/complaints-v2/42/complete {"complainted_mchid":"1900000109"}`)

	// A direct merchant's order is not a sub merchant's, and one sub merchant's not another's.
	if tr, err := provider.QueryOrder(t.Context(), "ORDER-000001"); !errors.Is(err, wechatpay.ErrUncertain) || tr != nil {
		t.Errorf("a sub merchant's order passed for the provider's: %+v, %v", tr, err)
	}
	for _, bad := range []string{
		strings.Replace(partnerPaidJSON, "1900000109", "1900000110", 1), strings.Replace(partnerPaidJSON, `"1900007291"`, `"1900007292"`, 1),
		strings.Replace(partnerPaidJSON, `"sub_mchid"`, `"x"`, 1), strings.Replace(partnerPaidJSON, `{`, `{"mchid":"1900007291",`, 1), paidJSON,
	} {
		s.set("GET "+base+"out-trade-no/ORDER-000001", bad)
		if tr, err := client.QueryOrder(t.Context(), "ORDER-000001"); !errors.Is(err, wechatpay.ErrUncertain) || tr != nil {
			t.Errorf("%s passed: %v", bad, err)
		}
	}
	s.set("GET /v3/refund/domestic/refunds/REFUND-1", strings.Replace(refundJSON, `{`, `{"sub_mchid":"1900000110",`, 1))
	for _, cl := range []*wechatpay.Client{client, provider} {
		if _, err := cl.QueryRefund(t.Context(), "REFUND-1"); !errors.Is(err, wechatpay.ErrUncertain) {
			t.Errorf("another sub merchant's refund: %v", err)
		}
	}

	// Who is not named is not guessed.
	nobody := provider.For(wechatpay.SubMerchant{})
	_, err := nobody.Prepay(t.Context(), order())
	refused(t, "no sub merchant", err, "sub_mchid")
	refused(t, "close for nobody", nobody.CloseOrder(t.Context(), "ORDER-000001"), "sub_mchid")
	_, err = nobody.QueryOrder(t.Context(), "ORDER-000001")
	refused(t, "query for nobody", err, "sub_mchid")
	_, err = provider.For(wechatpay.SubMerchant{ID: "x1"}).Refund(t.Context(), refundRequest())
	refused(t, "refund for x1", err, "sub_mchid")
	_, err = provider.For(wechatpay.SubMerchant{ID: "1900000109"}).Prepay(t.Context(), r)
	refused(t, "sub_openid without an app", err, "payer.sub_openid")
	r.OpenID = "o1"
	_, err = client.Prepay(t.Context(), r)
	refused(t, "two buyers", err, "payer.sub_openid")
	_, err = client.Transfer(t.Context(), transferRequest())
	refused(t, "transfer of a sub merchant", err, "sub_mchid")

	// Notifications come to any client of the provider.
	text := notification("TRANSACTION.SUCCESS", "transaction", partnerPaidJSON)
	n, err := provider.ParseNotification(t.Context(), signerA().header(c.Now(), text), []byte(text))
	if err != nil || n.Transaction.MerchantID != "1900000109" || n.Transaction.ProviderID != merchantID || n.Transaction.Serial != serialA {
		t.Errorf("%+v, %v", n, err)
	}
}
