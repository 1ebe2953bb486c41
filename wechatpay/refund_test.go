package wechatpay_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/money"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

const refundJSON = `{"refund_id":"50300103182020010413419046597","out_refund_no":"REFUND-1","transaction_id":"4200000001202611200000000001","out_trade_no":"ORDER-000001",` +
	`"channel":"ORIGINAL","user_received_account":"支付用户零钱","create_time":"2026-11-20T16:00:00+08:00","status":"PROCESSING","funds_account":"UNSETTLED",` +
	`"amount":{"total":1999,"refund":500,"from":[{"account":"AVAILABLE","amount":500}],"payer_total":1899,"payer_refund":475,"settlement_refund":500,"settlement_total":1999,` +
	`"discount_refund":25,"currency":"CNY","refund_fee":3},"promotion_detail":[{"promotion_id":"109519","scope":"SINGLE","type":"DISCOUNT","amount":100,"refund_amount":25,` +
	`"goods_detail":[{"merchant_goods_id":"g1","unit_price":500,"refund_amount":500,"refund_quantity":1}]}],"new_field":1}`

func refundRequest() wechatpay.RefundRequest {
	return wechatpay.RefundRequest{OutTradeNo: "ORDER-000001", OutRefundNo: "REFUND-1", Amount: 500, Total: 1999}
}

func TestRefund(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	done := strings.Replace(strings.Replace(refundJSON, "PROCESSING", "SUCCESS", 1), `"status"`, `"success_time":"2026-11-20T16:05:00.5+08:00","status"`, 1)
	s := play(f, map[string]string{"POST /v3/refund/domestic/refunds": refundJSON, "GET /v3/refund/domestic/refunds/REFUND-1": done})
	client := newClient(t, f, config())
	large := wechatpay.RefundRequest{TransactionID: "4200000001202611200000000001", OutRefundNo: "REFUND-1", Amount: 500, Total: 1999, Currency: "CNY", Reason: "商品已售完",
		NotifyURL: "https://pay.example.com/refunded", FundsAccount: "AVAILABLE", From: []wechatpay.RefundSource{{Account: "AVAILABLE", Amount: 400}, {Account: "UNAVAILABLE", Amount: 100}},
		Goods: []wechatpay.RefundGoods{{MerchantGoodsID: "g1", Name: "杯", UnitPrice: 500, RefundAmount: 500, RefundQuantity: 1}}}
	for _, r := range []wechatpay.RefundRequest{refundRequest(), refundRequest(), large} {
		got, err := client.Refund(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != wechatpay.RefundProcessing || got.State.Final() || got.RefundID != "50300103182020010413419046597" || got.MerchantID != merchantID || got.ProviderID != "" ||
			!got.CreateTime.Equal(start) || !got.SuccessTime.IsZero() || got.Amount.PayerRefund != 475 || got.Amount.RefundFee != 3 || got.Amount.DiscountRefund != 25 ||
			got.Amount.From[0].Amount != 500 || got.Promotions[0].Goods[0].RefundQuantity != 1 || got.Serial != serialA || string(got.Raw) != refundJSON || got.FundsAccount != "UNSETTLED" {
			t.Errorf("%+v", got)
		}
	}
	const small = `POST /v3/refund/domestic/refunds {"out_trade_no":"ORDER-000001","out_refund_no":"REFUND-1","amount":{"refund":500,"total":1999,"currency":"CNY"}}`
	s.expect(t, small, small, `POST /v3/refund/domestic/refunds {"transaction_id":"4200000001202611200000000001","out_refund_no":"REFUND-1","reason":"商品已售完",`+
		`"notify_url":"https://pay.example.com/refunded","funds_account":"AVAILABLE","amount":{"refund":500,"from":[{"account":"AVAILABLE","amount":400},{"account":"UNAVAILABLE","amount":100}],`+
		`"total":1999,"currency":"CNY"},"goods_detail":[{"merchant_goods_id":"g1","goods_name":"杯","unit_price":500,"refund_amount":500,"refund_quantity":1}]}`)

	got, err := client.QueryRefund(t.Context(), "REFUND-1")
	if err != nil || got.State != wechatpay.RefundSuccess || !got.State.Final() || !got.SuccessTime.Equal(start.Add(5*time.Minute+time.Second/2)) {
		t.Errorf("%+v, %v", got, err)
	}
	s.expect(t, "GET /v3/refund/domestic/refunds/REFUND-1")
	if wechatpay.RefundAbnormal.Final() || !wechatpay.RefundClosed.Final() || wechatpay.RefundState("NEW").Final() {
		t.Error("the wrong states are final")
	}
	// Marks of refund numbers are escaped and signed as sent.
	s.set("GET /v3/refund/domestic/refunds/a|b*@_-", strings.Replace(refundJSON, "REFUND-1", "a|b*@_-", 1))
	if _, err := client.QueryRefund(t.Context(), "a|b*@_-"); err != nil {
		t.Error(err)
	}
}

func TestRefundsThatAreNotSent(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	client := newClient(t, f, config())
	for name, c := range map[string]struct {
		field  string
		change func(*wechatpay.RefundRequest)
	}{
		"no payment":          {"transaction_id", func(r *wechatpay.RefundRequest) { r.OutTradeNo = "" }},
		"two payments":        {"transaction_id", func(r *wechatpay.RefundRequest) { r.TransactionID = "42" }},
		"strange payment":     {"transaction_id", func(r *wechatpay.RefundRequest) { r.OutTradeNo, r.TransactionID = "", "4/2" }},
		"strange order":       {"out_trade_no", func(r *wechatpay.RefundRequest) { r.OutTradeNo = "4/2345" }},
		"no number":           {"out_refund_no", func(r *wechatpay.RefundRequest) { r.OutRefundNo = "" }},
		"long number":         {"out_refund_no", func(r *wechatpay.RefundRequest) { r.OutRefundNo = strings.Repeat("1", 65) }},
		"number with a slash": {"out_refund_no", func(r *wechatpay.RefundRequest) { r.OutRefundNo = "a/b" }},
		"nothing":             {"amount.refund", func(r *wechatpay.RefundRequest) { r.Amount = 0 }},
		"negative":            {"amount.refund", func(r *wechatpay.RefundRequest) { r.Amount = -1 }},
		"more than all":       {"amount.refund", func(r *wechatpay.RefundRequest) { r.Amount = 2000 }},
		"no total":            {"amount.total", func(r *wechatpay.RefundRequest) { r.Total = 0 }},
		"dollars":             {"amount.currency", func(r *wechatpay.RefundRequest) { r.Currency = "USD" }},
		"long reason":         {"reason", func(r *wechatpay.RefundRequest) { r.Reason = strings.Repeat("分", 27) }},
		"account":             {"funds_account", func(r *wechatpay.RefundRequest) { r.FundsAccount = "BASIC" }},
		"URL with a query":    {"notify_url", func(r *wechatpay.RefundRequest) { r.NotifyURL = "https://a.example.com/?a" }},
		"source":              {"amount.from[0].account", func(r *wechatpay.RefundRequest) { r.From = []wechatpay.RefundSource{{Account: "x", Amount: 500}} }},
		"source of nothing":   {"amount.from[0].amount", func(r *wechatpay.RefundRequest) { r.From = []wechatpay.RefundSource{{Account: "AVAILABLE"}} }},
		"sources of another sum": {"amount.from", func(r *wechatpay.RefundRequest) {
			r.From = []wechatpay.RefundSource{{Account: "AVAILABLE", Amount: 499}}
		}},
		"goods without a quantity": {"goods_detail[0].refund_quantity", func(r *wechatpay.RefundRequest) { r.Goods = []wechatpay.RefundGoods{{MerchantGoodsID: "g"}} }},
		"goods of negative price": {"goods_detail[0].refund_amount", func(r *wechatpay.RefundRequest) {
			r.Goods = []wechatpay.RefundGoods{{MerchantGoodsID: "g", RefundQuantity: 1, UnitPrice: -1}}
		}},
		"goods without an id": {"goods_detail[0].merchant_goods_id", func(r *wechatpay.RefundRequest) { r.Goods = []wechatpay.RefundGoods{{RefundQuantity: 1}} }},
	} {
		r := refundRequest()
		c.change(&r)
		_, err := client.Refund(t.Context(), r)
		refused(t, name, err, c.field)
	}
	_, err := client.QueryRefund(t.Context(), "../x")
	refused(t, "query", err, "out_refund_no")
	if n := f.count(""); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// An answer of 200 that is not about this refund decides nothing.
func TestRefundTellsOneRefundFromAnother(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	s := play(f, map[string]string{})
	client := newClient(t, f, config())
	for name, pair := range map[string][2]string{
		"another refund":          {"REFUND-1", "REFUND-2"},
		"another order":           {"ORDER-000001", "ORDER-000002"},
		"another amount":          {`"refund":500`, `"refund":501`},
		"another total":           {`"total":1999`, `"total":2000`},
		"no amount":               {`"refund":500`, `"x":500`},
		"no refund id":            {`"refund_id"`, `"x"`},
		"no state":                {`"status"`, `"x"`},
		"a notification":          {`"status"`, `"refund_status"`},
		"no transaction":          {`"transaction_id"`, `"x"`},
		"success without a time":  {"PROCESSING", "SUCCESS"},
		"an amount in yuan":       {`"refund":500`, `"refund":5.00`},
		"two states":              {`"status"`, `"status":"SUCCESS","status"`},
		"a sub merchant's refund": {`{"refund_id"`, `{"sub_mchid":"1900000109","refund_id"`},
	} {
		s.set("POST /v3/refund/domestic/refunds", strings.Replace(refundJSON, pair[0], pair[1], 1))
		if got, err := client.Refund(t.Context(), refundRequest()); !errors.Is(err, wechatpay.ErrUncertain) || got != nil {
			t.Errorf("%s: %+v, %v, want ErrUncertain", name, got, err)
		}
	}
	s.set("GET /v3/refund/domestic/refunds/REFUND-2", refundJSON)
	if got, err := client.QueryRefund(t.Context(), "REFUND-2"); !errors.Is(err, wechatpay.ErrUncertain) || got != nil {
		t.Errorf("a query: %+v, %v", got, err)
	}
	for answer, code := range map[string]wechatpay.Code{
		"403 NOTENOUGH": wechatpay.CodeNotEnough, "404 RESOURCE_NOT_EXISTS": wechatpay.CodeResourceNotExists, "429 FREQUENCY_LIMITED": wechatpay.CodeFrequencyLimited,
		"500 BIZ_ERR_NEED_RETRY": wechatpay.CodeBizErrNeedRetry,
	} {
		s.set("POST /v3/refund/domestic/refunds", answer)
		if _, err := client.Refund(t.Context(), refundRequest()); !errors.Is(err, code) || errors.Is(err, wechatpay.ErrUncertain) != (answer[0] == '5') {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

func TestAbnormalRefund(t *testing.T) {
	t.Parallel()
	for _, mode := range []struct {
		name   string
		config wechatpay.Config
		with   signer
	}{{"certificate", config(), signerA()}, {"public key", publicKeyConfig(), signerPublic()}} {
		f := startFake(t, newClock())
		f.signWith = mode.with
		const path = "POST /v3/refund/domestic/refunds/50300103182020010413419046597/apply-abnormal-refund"
		s := play(f, map[string]string{path: refundJSON})
		client := newClient(t, f, mode.config)
		r := wechatpay.AbnormalRefundRequest{RefundID: "50300103182020010413419046597", OutRefundNo: "REFUND-1", Type: wechatpay.AbnormalToUser,
			BankType: "ICBC_DEBIT", BankAccount: "6222020200012345678", RealName: "张三"}
		if got, err := client.ApplyAbnormalRefund(t.Context(), r); err != nil || got.State != wechatpay.RefundProcessing {
			t.Fatalf("%s: %+v, %v", mode.name, got, err)
		}
		fields := unsealed(t, mode.with, s.sent[0], "bank_account", "real_name")
		if fields[0] != r.BankAccount || fields[1] != r.RealName || s.serials[0] != mode.with.serial {
			t.Errorf("%s: sent %q under %s", mode.name, fields, s.serials[0])
		}
		if strings.Contains(s.sent[0], "张三") || strings.Contains(s.sent[0], "6222") || strings.Contains(s.sent[0], "sub_mchid") {
			t.Errorf("%s: sent %s", mode.name, s.sent[0])
		}
		s.expect(t, s.sent...)
		toMerchant := wechatpay.AbnormalRefundRequest{RefundID: r.RefundID, OutRefundNo: r.OutRefundNo, Type: wechatpay.AbnormalToMerchant}
		if _, err := client.ApplyAbnormalRefund(t.Context(), toMerchant); err != nil {
			t.Error(err)
		}
		s.expect(t, path+` {"out_refund_no":"REFUND-1","type":"MERCHANT_BANK_CARD"}`)
		if _, err := client.For(subMerchant).ApplyAbnormalRefund(t.Context(), toMerchant); err != nil {
			t.Error(err)
		}
		s.expect(t, path+` {"sub_mchid":"1900000109","out_refund_no":"REFUND-1","type":"MERCHANT_BANK_CARD"}`)

		toMerchant.RealName = "张三"
		_, err := client.ApplyAbnormalRefund(t.Context(), toMerchant)
		refused(t, "a name for the merchant's card", err, "bank_account")
		for field, change := range map[string]func(*wechatpay.AbnormalRefundRequest){
			"refund_id": func(r *wechatpay.AbnormalRefundRequest) { r.RefundID = "../1" }, "out_refund_no": func(r *wechatpay.AbnormalRefundRequest) { r.OutRefundNo = "" },
			"type": func(r *wechatpay.AbnormalRefundRequest) { r.Type = "" }, "bank_type": func(r *wechatpay.AbnormalRefundRequest) { r.BankType = "" },
			"bank_account": func(r *wechatpay.AbnormalRefundRequest) { r.BankAccount = "" }, "real_name": func(r *wechatpay.AbnormalRefundRequest) { r.RealName = "" },
		} {
			bad := r
			change(&bad)
			_, err := client.ApplyAbnormalRefund(t.Context(), bad)
			refused(t, field, err, field)
		}
		s.set(path, strings.Replace(refundJSON, "50300103182020010413419046597", "1", 1))
		if _, err := client.ApplyAbnormalRefund(t.Context(), r); !errors.Is(err, wechatpay.ErrUncertain) {
			t.Errorf("another refund: %v", err)
		}
	}
}

const refundNoticeJSON = `{"mchid":"1900007291","transaction_id":"4200000001202611200000000001","out_trade_no":"ORDER-000001","refund_id":"50300103182020010413419046597",` +
	`"out_refund_no":"REFUND-1","refund_status":"SUCCESS","success_time":"2026-11-20T16:00:00+08:00","user_received_account":"招商银行信用卡0403",` +
	`"amount":{"total":1999,"refund":500,"payer_total":1899,"payer_refund":475}}`

func TestRefundNotification(t *testing.T) {
	t.Parallel()
	c := newClock()
	client := listening(t, c)
	parse := func(event, plain string) (*wechatpay.Notification, error) {
		text := notification(event, "refund", plain)
		return client.ParseNotification(t.Context(), signerA().header(c.Now(), text), []byte(text))
	}
	for state, time := range map[wechatpay.RefundState]bool{wechatpay.RefundSuccess: true, wechatpay.RefundAbnormal: false, wechatpay.RefundClosed: false} {
		plain := strings.Replace(refundNoticeJSON, `"SUCCESS"`, `"`+string(state)+`"`, 1)
		if !time {
			plain = strings.Replace(plain, `"success_time":"2026-11-20T16:00:00+08:00",`, "", 1)
		}
		n, err := parse("REFUND."+string(state), plain)
		if err != nil || n.Transaction != nil || n.Refund == nil {
			t.Errorf("%s: %+v, %v", state, n, err)
			continue
		}
		if r := n.Refund; r.State != state || r.MerchantID != merchantID || r.ProviderID != "" || r.OutRefundNo != "REFUND-1" || r.Amount.Refund != money.Fen(500) ||
			r.SuccessTime.IsZero() == time || r.Serial != serialA || string(r.Raw) != plain {
			t.Errorf("%s: %+v", state, r)
		}
	}
	partner := strings.Replace(refundNoticeJSON, `"mchid":"1900007291"`, `"sp_mchid":"1900007291","sub_mchid":"1900000109"`, 1)
	if n, err := parse("REFUND.SUCCESS", partner); err != nil || n.Refund.MerchantID != "1900000109" || n.Refund.ProviderID != merchantID {
		t.Errorf("a provider's: %+v, %v", n, err)
	}
	for name, plain := range map[string]string{
		"another event":         strings.Replace(refundNoticeJSON, `"SUCCESS"`, `"CLOSED"`, 1),
		"the state of a query":  strings.Replace(refundNoticeJSON, `"refund_status"`, `"status"`, 1),
		"no merchant":           strings.Replace(refundNoticeJSON, `"mchid"`, `"x"`, 1),
		"half a provider":       strings.Replace(refundNoticeJSON, `"mchid"`, `"sp_mchid"`, 1),
		"both roles":            strings.Replace(partner, `{`, `{"mchid":"1900007291",`, 1),
		"no amount":             strings.Replace(refundNoticeJSON, `"refund":500,`, ``, 1),
		"no time":               strings.Replace(refundNoticeJSON, `"success_time"`, `"x"`, 1),
		"a payment":             paidJSON,
		"two numbers":           strings.Replace(refundNoticeJSON, `"out_refund_no"`, `"out_refund_no":"REFUND-2","out_refund_no"`, 1),
		"not JSON":              "x",
		"no out_refund_no":      strings.Replace(refundNoticeJSON, `"out_refund_no"`, `"x"`, 1),
		"refund as a text":      strings.Replace(refundNoticeJSON, `"refund":500`, `"refund":"500"`, 1),
		"a state in lower case": strings.Replace(refundNoticeJSON, `"SUCCESS"`, `"success"`, 1),
	} {
		if n, err := parse("REFUND.SUCCESS", plain); !errors.Is(err, wechatpay.ErrBadMessage) || n != nil {
			t.Errorf("%s: %+v, %v, want ErrBadMessage", name, n, err)
		}
	}
	text := notification("REFUND.SUCCESS", "transaction", refundNoticeJSON)
	if _, err := client.ParseNotification(t.Context(), signerA().header(c.Now(), text), []byte(text)); !errors.Is(err, wechatpay.ErrBadMessage) {
		t.Errorf("a refund that calls itself a transaction: %v", err)
	}
}
