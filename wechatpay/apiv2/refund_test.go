package apiv2_test

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

func refundRequest() apiv2.RefundRequest {
	return apiv2.RefundRequest{OutTradeNo: "ORDER-000001", OutRefundNo: "REFUND-000001", Total: 1999, Amount: 999}
}

func refundAnswer() m {
	return m{"transaction_id": "4200000001202611200000000001", "out_trade_no": "ORDER-000001", "out_refund_no": "REFUND-000001", "refund_id": "50300000012026112000000000001",
		"refund_fee": "999", "total_fee": "1999", "cash_fee": "1899", "cash_refund_fee": "899", "coupon_refund_fee": "100", "coupon_refund_count": "1",
		"coupon_refund_id_0": "109519", "coupon_type_0": "CASH", "coupon_refund_fee_0": "100", "refund_channel": ""}
}

func TestRefund(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config()) // by http, to a sandbox: there is no certificate to present
	f.set(func(request) m { return answered(refundAnswer()) })
	r := refundRequest()
	r.Currency, r.Reason, r.NotifyURL, r.FundsAccount = "CNY", "不要了 & <x>", "https://pay.example.com/r", apiv2.RechargeFunds
	got, err := client.Refund(t.Context(), r)
	want := &apiv2.Refund{
		RefundID: "50300000012026112000000000001", OutRefundNo: "REFUND-000001", TransactionID: "4200000001202611200000000001", OutTradeNo: "ORDER-000001", State: apiv2.RefundProcessing,
		Amount:  apiv2.RefundAmount{Total: 1999, Refund: 999, PayerTotal: 1899, PayerRefund: 899, CouponRefund: 100, Currency: "CNY"},
		Coupons: []apiv2.Coupon{{ID: "109519", Type: "CASH", Amount: 100}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	sent := f.last()
	wantSent := m{"appid": appID, "mch_id": merchantID, "sign_type": "HMAC-SHA256", "out_trade_no": "ORDER-000001",
		"out_refund_no": "REFUND-000001", "total_fee": "1999", "refund_fee": "999",
		"refund_fee_type": "CNY", "refund_desc": "不要了 & <x>", "notify_url": "https://pay.example.com/r", "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS"}
	if got := sent.fields.with(m{"sign": "", "nonce_str": ""}); sent.path != "/secapi/pay/refund" || got.text() != wantSent.text() {
		t.Errorf("sent %s %s, want %s", sent.path, got.text(), wantSent.text())
	}
	byTransaction := refundRequest()
	byTransaction.OutTradeNo, byTransaction.TransactionID = "", "4200000001202611200000000001"
	if _, err := client.Refund(t.Context(), byTransaction); err != nil || f.last().fields["out_trade_no"] != "" {
		t.Errorf("%v, sent %v", err, f.last())
	}
	for name, change := range map[string]m{
		"another refund": {"out_refund_no": "REFUND-000002"}, "another order": {"out_trade_no": "ORDER-000002"},
		"another amount": {"refund_fee": "1"}, "another total": {"total_fee": "1"},
		"no refund_id": {"refund_id": ""}, "no amount": {"refund_fee": ""}, "odd amount": {"cash_fee": "x"}, "no transaction": {"transaction_id": ""},
	} {
		f.set(func(request) m { return answered(refundAnswer().with(change)) })
		if got, err := client.Refund(t.Context(), refundRequest()); !errors.Is(err, apiv2.ErrUncertain) || got != nil {
			t.Errorf("%s: %v, want ErrUncertain", name, err)
		}
	}
	f.set(func(request) m { return answered(refundAnswer().with(m{"transaction_id": "42"})) })
	if _, err := client.Refund(t.Context(), byTransaction); !errors.Is(err, apiv2.ErrUncertain) {
		t.Errorf("another transaction: %v, want ErrUncertain", err)
	}

	before := f.count()
	for _, c := range []struct {
		field  string
		change func(r *apiv2.RefundRequest)
	}{
		{"out_trade_no", func(r *apiv2.RefundRequest) { r.OutTradeNo = "" }},
		{"transaction_id", func(r *apiv2.RefundRequest) { r.TransactionID = "42" }},
		{"transaction_id", func(r *apiv2.RefundRequest) { r.OutTradeNo, r.TransactionID = "", "4_2" }},
		{"out_refund_no", func(r *apiv2.RefundRequest) { r.OutRefundNo = "" }},
		{"out_refund_no", func(r *apiv2.RefundRequest) { r.OutRefundNo = strings.Repeat("x", 65) }},
		{"out_refund_no", func(r *apiv2.RefundRequest) { r.OutRefundNo = "a/b" }},
		{"total_fee", func(r *apiv2.RefundRequest) { r.Total = 0 }},
		{"refund_fee", func(r *apiv2.RefundRequest) { r.Amount = 0 }},
		{"refund_fee", func(r *apiv2.RefundRequest) { r.Amount = -1 }},
		{"refund_fee", func(r *apiv2.RefundRequest) { r.Amount = 2000 }},
		{"refund_fee_type", func(r *apiv2.RefundRequest) { r.Currency = "USD" }},
		{"refund_desc", func(r *apiv2.RefundRequest) { r.Reason = strings.Repeat("中", 27) }},
		{"refund_desc", func(r *apiv2.RefundRequest) { r.Reason = "😀" }},
		{"notify_url", func(r *apiv2.RefundRequest) { r.NotifyURL = "https://a?b" }},
		{"refund_account", func(r *apiv2.RefundRequest) { r.FundsAccount = "AVAILABLE" }},
	} {
		r := refundRequest()
		c.change(&r)
		_, err := client.Refund(t.Context(), r)
		var wrong *apiv2.RequestError
		if !errors.As(err, &wrong) || wrong.Field != c.field || wrong.Hint("zh") == wrong.Hint("en") {
			t.Errorf("%s: %v", c.field, err)
		}
	}
	if f.count() != before {
		t.Error("something was sent")
	}
}

// refundBook answers queries of refunds as WeChat Pay does, for an order with so many refunds.
type refundBook struct {
	n       int
	silent  bool // says no total
	perPage int
	shift   int // refunds that were made before the second page was asked for
	change  func(page m)
}

func (b refundBook) answer(r request) m {
	offset, shift := 0, 0
	if s := r.fields["offset"]; s != "" && s != "0" {
		var err error
		if offset, err = strconv.Atoi(s); err != nil {
			panic(err)
		}
		shift = b.shift
	}
	if offset >= b.n {
		return answered(m{"result_code": "FAIL", "err_code": "PARAM_ERROR"})
	}
	count := min(b.perPage, b.n-offset)
	page := answered(m{"transaction_id": "42", "out_trade_no": "ORDER-000001", "total_fee": "1999", "cash_fee": "1899",
		"settlement_total_fee": "1990", "refund_count": strconv.Itoa(count)})
	if !b.silent {
		page["total_refund_count"] = strconv.Itoa(b.n)
	}
	for n := range count {
		i := "_" + strconv.Itoa(n)
		id := strconv.Itoa(offset + n - shift)
		for k, v := range (m{"out_refund_no": "R" + id, "refund_id": "503" + id, "refund_fee": "10", "refund_status": "SUCCESS", "refund_channel": "ORIGINAL",
			"settlement_refund_fee": "9", "coupon_refund_fee": "3", "coupon_refund_count": "2", "refund_account": apiv2.UnsettledFunds, "refund_recv_accout": "支付用户零钱",
			"refund_success_time": "2026-11-20 16:00:00"}) {
			page[k+i] = v
		}
		for c := range 2 {
			j := i + "_" + strconv.Itoa(c)
			page["coupon_refund_id"+j], page["coupon_type"+j], page["coupon_refund_fee"+j] = "c"+strconv.Itoa(c), "CASH", strconv.Itoa(c+1)
		}
	}
	if b.change != nil {
		b.change(page)
	}
	return page
}

func TestQueryRefund(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	f.set(refundBook{n: 12, perPage: 10}.answer)
	got, err := client.QueryRefund(t.Context(), "R9")
	want := &apiv2.Refund{
		RefundID: "5039", OutRefundNo: "R9", TransactionID: "42", OutTradeNo: "ORDER-000001", State: apiv2.RefundSuccess, Channel: "ORIGINAL", UserReceivedAccount: "支付用户零钱",
		FundsAccount: apiv2.UnsettledFunds, SuccessTime: start,
		Amount:  apiv2.RefundAmount{Total: 1999, SettlementTotal: 1990, Refund: 10, SettlementRefund: 9, PayerTotal: 1899, CouponRefund: 3, Currency: "CNY"},
		Coupons: []apiv2.Coupon{{ID: "c0", Type: "CASH", Amount: 1}, {ID: "c1", Type: "CASH", Amount: 2}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if r := f.last(); r.path != "/pay/refundquery" || r.fields["out_refund_no"] != "R9" || len(r.fields) != 6 {
		t.Errorf("sent %+v", r)
	}
	if got, err := client.QueryRefund(t.Context(), "OTHER"); !errors.Is(err, apiv2.ErrUncertain) || got != nil {
		t.Errorf("another refund: %v, %v", got, err)
	}
	if _, err := client.QueryRefund(t.Context(), ""); !errors.Is(err, apiv2.ErrNotSent) {
		t.Errorf("no number: %v", err)
	}
	for name, change := range map[string]m{
		"no count": {"refund_count": ""}, "odd count": {"refund_count": "x"}, "huge count": {"refund_count": "1001"}, "more than there are": {"refund_count": "13"},
		"no number": {"out_refund_no_3": ""}, "no id": {"refund_id_3": ""}, "no amount": {"refund_fee_3": ""}, "no status": {"refund_status_3": ""},
		"odd amount": {"refund_fee_3": "1.00"}, "odd time": {"refund_success_time_3": "20261120160000"},
		"odd coupon": {"coupon_refund_fee_3_1": "x"}, "no order": {"out_trade_no": ""},
	} {
		f.set(refundBook{n: 12, perPage: 10, change: func(page m) {
			for k, v := range change {
				page[k] = v
			}
		}}.answer)
		if got, err := client.QueryRefund(t.Context(), "R9"); !errors.Is(err, apiv2.ErrUncertain) || got != nil {
			t.Errorf("%s: %v, want ErrUncertain", name, err)
		}
	}
	f.set(func(request) m { return answered(m{"result_code": "FAIL", "err_code": "REFUNDNOTEXIST"}) })
	if _, err := client.QueryRefund(t.Context(), "R9"); !errors.Is(err, apiv2.CodeRefundNotExist) {
		t.Errorf("%v, want REFUNDNOTEXIST", err)
	}
}

func TestOrderRefunds(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	collect := func(outTradeNo, transactionID string) (numbers []string, err error) {
		for r, e := range client.OrderRefunds(t.Context(), outTradeNo, transactionID) {
			if (r == nil) == (e == nil) {
				t.Error("both or neither")
			}
			if err = e; err == nil {
				numbers = append(numbers, r.OutRefundNo)
			}
		}
		return numbers, err
	}
	all := func(n int) string {
		var s []string
		for i := range n {
			s = append(s, fmt.Sprint("R", i))
		}
		return strings.Join(s, " ")
	}
	for _, c := range []struct {
		book     refundBook
		requests int
	}{
		{refundBook{n: 1, perPage: 10}, 1}, {refundBook{n: 10, perPage: 10}, 1}, {refundBook{n: 11, perPage: 10}, 2},
		{refundBook{n: 36, perPage: 10}, 4}, {refundBook{n: 50, perPage: 10}, 5},
		{refundBook{n: 36, perPage: 11}, 4}, {refundBook{n: 7, perPage: 3}, 3}, // the number on a page is not agreed upon
		{refundBook{n: 7, perPage: 10, silent: true}, 1}, {refundBook{n: 10, perPage: 10, silent: true}, 2}, {refundBook{n: 13, perPage: 10, silent: true}, 2},
	} {
		f.set(c.book.answer)
		before := f.count()
		numbers, err := collect("ORDER-000001", "")
		if got := strings.Join(numbers, " "); err != nil || got != all(c.book.n) || f.count()-before != c.requests {
			t.Errorf("%+v: %s, %v in %d requests, want %d", c.book, got, err, f.count()-before, c.requests)
		}
	}
	f.set(refundBook{n: 12, perPage: 10}.answer)
	numbers, err := collect("", "42")
	if err != nil || len(numbers) != 12 || f.last().fields["transaction_id"] != "42" || f.last().fields["offset"] != "10" {
		t.Errorf("%v, %v, sent %v", numbers, err, f.last())
	}
	// A refund that is made between two pages moves the rest by one.
	f.set(refundBook{n: 13, perPage: 10, shift: 1}.answer)
	if numbers, err = collect("ORDER-000001", ""); err != nil || strings.Join(numbers, " ") != all(12) {
		t.Errorf("%v, %v", numbers, err)
	}
	// The loop may be left at any time.
	f.set(refundBook{n: 36, perPage: 10}.answer)
	before := f.count()
	for r, err := range client.OrderRefunds(t.Context(), "ORDER-000001", "") {
		if err != nil || r.OutRefundNo != "R0" {
			t.Errorf("%v, %v", r, err)
		}
		break
	}
	if f.count() != before+1 {
		t.Error("pages were asked for that nobody wanted")
	}
	// An error in between ends it, and what is missing is not taken for the end.
	for name, c := range map[string]struct {
		answer func(request) m
		want   error
	}{
		"trouble": {func(r request) m {
			if r.fields["offset"] == "10" {
				return answered(m{"result_code": "FAIL", "err_code": "SYSTEMERROR"})
			}
			return refundBook{n: 36, perPage: 10}.answer(r)
		}, apiv2.ErrUncertain},
		"an end too early": {func(r request) m {
			if r.fields["offset"] == "10" {
				return answered(m{"result_code": "FAIL", "err_code": "PARAM_ERROR"})
			}
			return refundBook{n: 36, perPage: 10}.answer(r)
		}, apiv2.CodeParamError},
		"an empty page": {func(r request) m {
			page := refundBook{n: 36, perPage: 10}.answer(r)
			if r.fields["offset"] == "10" {
				page["refund_count"] = "0"
			}
			return page
		}, apiv2.ErrUncertain},
		"another order": {func(r request) m {
			page := refundBook{n: 36, perPage: 10}.answer(r)
			if r.fields["offset"] == "10" {
				page["out_trade_no"] = "ORDER-000002"
			}
			return page
		}, apiv2.ErrUncertain},
	} {
		f.set(c.answer)
		if numbers, err := collect("ORDER-000001", ""); !errors.Is(err, c.want) || len(numbers) != 10 {
			t.Errorf("%s: %v, %v", name, numbers, err)
		}
	}
	f.set(func(request) m { return answered(m{"result_code": "FAIL", "err_code": "PARAM_ERROR"}) })
	if numbers, err := collect("ORDER-000001", ""); !errors.Is(err, apiv2.CodeParamError) || len(numbers) != 0 {
		t.Errorf("%v, %v, want PARAM_ERROR", numbers, err)
	}
	before = f.count()
	for _, c := range [][2]string{{"", ""}, {"a", "b"}, {"a b", ""}, {"", "a_b"}} {
		if _, err := collect(c[0], c[1]); !errors.Is(err, apiv2.ErrNotSent) {
			t.Errorf("%q: %v, want ErrNotSent", c, err)
		}
	}
	if f.count() != before {
		t.Error("something was sent")
	}
}

func TestMicropay(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	charge := apiv2.MicropayRequest{OutTradeNo: "ORDER-000001", Description: "咖啡", Total: 1999, AuthCode: "134523452345234523", PayerClientIP: "203.0.113.7"}
	f.set(func(request) m { return paid().with(m{"trade_type": "MICROPAY"}) })
	got, err := client.Micropay(t.Context(), charge)
	if err != nil || got.TradeState != apiv2.TradeSuccess || got.TradeType != apiv2.TradeMicropay || got.Amount.Total != 1999 {
		t.Errorf("%+v, %v", got, err)
	}
	full := charge
	full.AppID, full.Currency, full.Attach, full.GoodsTag, full.DeviceInfo, full.NoCredit, full.SupportFapiao, full.ProfitSharing = appID, "CNY", "a", "T", "D1", true, true, true
	full.Detail.Goods = []apiv2.Goods{{MerchantGoodsID: "g", Quantity: 1, UnitPrice: 1}}
	full.SceneInfo.Store.ID = "S1"
	if _, err := client.Micropay(t.Context(), full); err != nil {
		t.Error(err)
	}
	want := m{"appid": appID, "mch_id": merchantID, "sign_type": "HMAC-SHA256", "body": "咖啡", "out_trade_no": "ORDER-000001",
		"total_fee": "1999", "auth_code": "134523452345234523",
		"spbill_create_ip": "203.0.113.7", "fee_type": "CNY", "attach": "a", "goods_tag": "T", "device_info": "D1", "limit_pay": "no_credit", "receipt": "Y", "profit_sharing": "Y",
		"version": "1.0", "detail": `{"goods_detail":[{"goods_id":"g","quantity":1,"price":1}]}`, "scene_info": `{"store_info":{"id":"S1"}}`}
	if r := f.last(); r.path != "/pay/micropay" || r.fields.with(m{"sign": "", "nonce_str": ""}).text() != want.text() {
		t.Errorf("sent %+v", r)
	}
	for code, uncertain := range map[apiv2.Code]bool{
		apiv2.CodeUserPaying: true, apiv2.CodeSystemError: true, apiv2.CodeBankError: true, apiv2.CodeAuthCodeExpire: false,
		apiv2.CodeNotEnough: false, apiv2.CodeNotSupportCard: false,
	} {
		f.set(func(request) m { return answered(m{"result_code": "FAIL", "err_code": string(code)}) })
		if _, err := client.Micropay(t.Context(), charge); !errors.Is(err, code) || errors.Is(err, apiv2.ErrUncertain) != uncertain {
			t.Errorf("%s: %v, uncertain should be %t", code, err, uncertain)
		}
	}
	for name, change := range map[string]m{"another order": {"out_trade_no": "ORDER-000002"}, "another amount": {"total_fee": "1"}, "no time": {"time_end": ""}} {
		f.set(func(request) m { return paid().with(change) })
		if got, err := client.Micropay(t.Context(), charge); !errors.Is(err, apiv2.ErrUncertain) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := f.count()
	for field, change := range map[string]func(r *apiv2.MicropayRequest){
		"auth_code": func(r *apiv2.MicropayRequest) { r.AuthCode = "" }, "body": func(r *apiv2.MicropayRequest) { r.Description = "" },
		"out_trade_no": func(r *apiv2.MicropayRequest) { r.OutTradeNo = "1" }, "total_fee": func(r *apiv2.MicropayRequest) { r.Total = 0 },
		"detail.cost_price": func(r *apiv2.MicropayRequest) { r.Detail.CostPrice = -1 }, "scene_info.store_info.id": func(r *apiv2.MicropayRequest) { r.SceneInfo.Store.Name = "x" },
	} {
		r := charge
		change(&r)
		_, err := client.Micropay(t.Context(), r)
		var wrong *apiv2.RequestError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if f.count() != before {
		t.Error("something was sent")
	}
}

func TestReverseAndAuthCode(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	for recall, want := range map[string]bool{"Y": true, "N": false} {
		f.set(func(request) m { return answered(m{"recall": recall}) })
		if again, err := client.Reverse(t.Context(), "", "42"); err != nil || again != want || f.last().fields["transaction_id"] != "42" || f.last().path != "/secapi/pay/reverse" {
			t.Errorf("%s: %t, %v, sent %v", recall, again, err, f.last())
		}
	}
	f.set(func(request) m { return answered(m{"recall": "n"}) })
	if _, err := client.Reverse(t.Context(), "ORDER-000001", ""); !errors.Is(err, apiv2.ErrUncertain) {
		t.Errorf("odd recall: %v", err)
	}
	if _, err := client.Reverse(t.Context(), "", ""); !errors.Is(err, apiv2.ErrNotSent) {
		t.Errorf("no number: %v", err)
	}
	f.set(func(request) m { return answered(m{"openid": openID, "sub_openid": "oSub"}) })
	if p, err := client.AuthCodeToOpenID(t.Context(), "134523452345234523"); err != nil || p.OpenID != openID || p.SubOpenID != "oSub" || f.last().path != "/tools/authcodetoopenid" {
		t.Errorf("%+v, %v, sent %v", p, err, f.last())
	}
	f.set(func(request) m { return answered(m{"result_code": "FAIL", "err_code": "AUTH_CODE_INVALID"}) })
	if _, err := client.AuthCodeToOpenID(t.Context(), "1"); !errors.Is(err, apiv2.CodeAuthCodeInvalid) {
		t.Errorf("%v", err)
	}
	f.set(func(request) m { return answered(nil) })
	if _, err := client.AuthCodeToOpenID(t.Context(), "1"); !errors.Is(err, apiv2.ErrUncertain) {
		t.Errorf("no openid: %v", err)
	}
	if _, err := client.AuthCodeToOpenID(t.Context(), ""); !errors.Is(err, apiv2.ErrNotSent) {
		t.Errorf("no code: %v", err)
	}
}
