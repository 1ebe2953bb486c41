package bill

import (
	"io"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// TradeRow is a payment or a refund in a trade bill. A payment that was refunded on the same day has two rows or more.
// What the bill has no column for is zero: a bill of payments alone says nothing of refunds, and a bill in the format of
// before 2018 has neither Settled nor RequestedRefund.
type TradeRow struct {
	Line int // in the bill, counted from 1

	Time          time.Time // 交易时间, UTC: when the payment succeeded, or when the refund was accepted
	AppID         string    // 公众账号ID
	MerchantID    string    // 商户号; in service provider mode the provider
	SubMerchantID string    // 特约商户号, in old bills 子商户号; "" for direct merchants
	DeviceID      string    // 设备号
	TransactionID string    // 微信订单号
	OutTradeNo    string    // 商户订单号
	OpenID        string    // 用户标识
	TradeType     string    // 交易类型: JSAPI, NATIVE, APP, MWEB, MICROPAY, …
	TradeState    string    // 交易状态: see TradeSuccess, TradeRefund and TradeRevoked
	BankType      string    // 付款银行
	Currency      string    // 货币种类

	Total   money.Fen // 订单金额, in old bills 总金额: what the order cost; 0 in the row of a refund
	Settled money.Fen // 应结订单金额: Total without coupons that the merchant is not paid for
	Coupon  money.Fen // 代金券金额, in old bills 代金券或立减优惠金额 or 企业红包金额

	RefundID        string    // 微信退款单号; "" in the row of a payment
	OutRefundNo     string    // 商户退款单号; "" in the row of a payment
	RefundAppliedAt time.Time // 退款申请时间, UTC; in bills of refunds alone
	RefundedAt      time.Time // 退款成功时间, UTC; in bills of refunds alone, zero while it is under way
	Refund          money.Fen // 退款金额
	CouponRefund    money.Fen // 充值券退款金额, in old bills 代金券或立减优惠退款金额 or 企业红包退款金额
	RequestedRefund money.Fen // 申请退款金额: what the merchant asked to refund
	RefundType      string    // 退款类型: ORIGINAL, BALANCE, OTHER_BANKCARD, …
	RefundState     string    // 退款状态 when the bill was made, never corrected later: SUCCESS, PROCESSING, FAIL, CHANGE

	Description string // 商品名称, perhaps with WeChat Pay's escapes
	Attach      string // 商户数据包, perhaps with WeChat Pay's escapes
	Fee         Fee    // 手续费: positive for a payment, zero or negative for a refund
	Rate        Rate   // 费率; 0 where the bill has none
	RateNote    string // 费率备注
	ReturnedFee Fee    // 返还手续费; in bills of refunds to the balance alone

	Other map[string]string // columns that this package does not know, by name; nil where there are none
}

// The values of TradeRow.TradeState.
const (
	TradeSuccess = "SUCCESS" // a payment
	TradeRefund  = "REFUND"  // a refund
	TradeRevoked = "REVOKED" // a code payment that was reversed, so the money went back
)

// IsRefund reports whether the money of the row went back to the buyer.
func (r TradeRow) IsRefund() bool { return r.TradeState == TradeRefund || r.TradeState == TradeRevoked }

// TradeSummary is the totals of a trade bill. Those that the bill does not state are zero.
type TradeSummary struct {
	Count           int64     // 总交易单数: of all rows, payments and refunds
	Total           money.Fen // 订单总金额, in old bills 总交易额
	Settled         money.Fen // 应结订单总金额
	Refund          money.Fen // 退款总金额, in old bills 总退款金额
	CouponRefund    money.Fen // 充值券退款总金额, in old bills 总代金券或立减优惠退款金额
	RequestedRefund money.Fen // 申请退款总金额
	Fee             Fee       // 手续费总金额

	Other map[string]string // totals that this package does not know, by name; they are not compared with the rows
}

// Trades reads a trade bill (交易账单) of any type: ALL, SUCCESS, REFUND, RECHARGE_REFUND, and the format of before 2018.
// in is the plain text, after gzip.
//
// Source: vendor manual, "交易账单详细说明".
func Trades(in io.Reader, o Options) *Reader[TradeRow, TradeSummary] {
	return newReader(&tradeFormat, in, o)
}

var tradeFormat = format[TradeRow, TradeSummary]{
	name:  "trade bill",
	frame: func(r *TradeRow, line int) *map[string]string { r.Line = line; return &r.Other },
	other: func(s *TradeSummary) *map[string]string { return &s.Other },
	columns: []column[TradeRow]{
		{[]string{"交易时间"}, true, true, timeColumn(false, func(r *TradeRow) *time.Time { return &r.Time })},
		{[]string{"公众账号ID"}, false, false, textColumn(func(r *TradeRow) *string { return &r.AppID })},
		{[]string{"商户号"}, true, false, textColumn(func(r *TradeRow) *string { return &r.MerchantID })},
		{[]string{"特约商户号", "子商户号"}, false, false, idColumn(func(r *TradeRow) *string { return &r.SubMerchantID })},
		{[]string{"设备号"}, false, false, textColumn(func(r *TradeRow) *string { return &r.DeviceID })},
		{[]string{"微信订单号"}, true, false, textColumn(func(r *TradeRow) *string { return &r.TransactionID })},
		{[]string{"商户订单号"}, true, false, textColumn(func(r *TradeRow) *string { return &r.OutTradeNo })},
		{[]string{"用户标识"}, false, false, textColumn(func(r *TradeRow) *string { return &r.OpenID })},
		{[]string{"交易类型"}, false, false, textColumn(func(r *TradeRow) *string { return &r.TradeType })},
		{[]string{"交易状态"}, true, false, textColumn(func(r *TradeRow) *string { return &r.TradeState })},
		{[]string{"付款银行"}, false, false, textColumn(func(r *TradeRow) *string { return &r.BankType })},
		{[]string{"货币种类"}, false, false, textColumn(func(r *TradeRow) *string { return &r.Currency })},
		{[]string{"订单金额", "总金额"}, true, true, fenColumn(func(r *TradeRow) *money.Fen { return &r.Total })},
		{[]string{"应结订单金额"}, false, true, fenColumn(func(r *TradeRow) *money.Fen { return &r.Settled })},
		{[]string{"代金券金额", "代金券或立减优惠金额", "企业红包金额"}, false, true, fenColumn(func(r *TradeRow) *money.Fen { return &r.Coupon })},
		{[]string{"微信退款单号"}, false, false, idColumn(func(r *TradeRow) *string { return &r.RefundID })},
		{[]string{"商户退款单号"}, false, false, idColumn(func(r *TradeRow) *string { return &r.OutRefundNo })},
		{[]string{"退款申请时间"}, false, true, timeColumn(true, func(r *TradeRow) *time.Time { return &r.RefundAppliedAt })},
		{[]string{"退款成功时间"}, false, true, timeColumn(true, func(r *TradeRow) *time.Time { return &r.RefundedAt })},
		{[]string{"退款金额"}, false, true, fenColumn(func(r *TradeRow) *money.Fen { return &r.Refund })},
		{[]string{"充值券退款金额", "代金券或立减优惠退款金额", "企业红包退款金额"}, false, true, fenColumn(func(r *TradeRow) *money.Fen { return &r.CouponRefund })},
		{[]string{"申请退款金额"}, false, true, fenColumn(func(r *TradeRow) *money.Fen { return &r.RequestedRefund })},
		{[]string{"退款类型"}, false, false, textColumn(func(r *TradeRow) *string { return &r.RefundType })},
		{[]string{"退款状态"}, false, false, textColumn(func(r *TradeRow) *string { return &r.RefundState })},
		{[]string{"商品名称"}, false, false, textColumn(func(r *TradeRow) *string { return &r.Description })},
		{[]string{"商户数据包"}, false, false, textColumn(func(r *TradeRow) *string { return &r.Attach })},
		{[]string{"手续费"}, false, true, feeColumn(func(r *TradeRow) *Fee { return &r.Fee })},
		{[]string{"费率"}, false, true, func(r *TradeRow, v string) (err error) {
			if v != "" {
				r.Rate, err = parseRate(v)
			}
			return err
		}},
		{[]string{"费率备注"}, false, false, textColumn(func(r *TradeRow) *string { return &r.RateNote })},
		{[]string{"返还手续费"}, false, true, feeColumn(func(r *TradeRow) *Fee { return &r.ReturnedFee })},
	},
	totals: []total[TradeSummary]{
		{[]string{"总交易单数"}, true, 0,
			func(s *TradeSummary, n int64) { s.Count = n }, func(s *TradeSummary) int64 { return s.Count }},
		{[]string{"订单总金额", "总交易额"}, false, 2,
			func(s *TradeSummary, n int64) { s.Total = money.Fen(n) }, func(s *TradeSummary) int64 { return int64(s.Total) }},
		{[]string{"应结订单总金额"}, false, 2,
			func(s *TradeSummary, n int64) { s.Settled = money.Fen(n) }, func(s *TradeSummary) int64 { return int64(s.Settled) }},
		{[]string{"退款总金额", "总退款金额"}, false, 2,
			func(s *TradeSummary, n int64) { s.Refund = money.Fen(n) }, func(s *TradeSummary) int64 { return int64(s.Refund) }},
		{[]string{"充值券退款总金额", "总代金券或立减优惠退款金额", "总企业红包退款金额"}, false, 2,
			func(s *TradeSummary, n int64) { s.CouponRefund = money.Fen(n) }, func(s *TradeSummary) int64 { return int64(s.CouponRefund) }},
		{[]string{"申请退款总金额"}, false, 2,
			func(s *TradeSummary, n int64) { s.RequestedRefund = money.Fen(n) }, func(s *TradeSummary) int64 { return int64(s.RequestedRefund) }},
		{[]string{"手续费总金额"}, false, 5,
			func(s *TradeSummary, n int64) { s.Fee = Fee(n) }, func(s *TradeSummary) int64 { return int64(s.Fee) }},
	},
	add: func(s *TradeSummary, r *TradeRow) (err error) {
		s.Count++
		for _, pair := range []struct {
			sum *money.Fen
			add money.Fen
		}{
			{&s.Total, r.Total}, {&s.Settled, r.Settled}, {&s.Refund, r.Refund},
			{&s.CouponRefund, r.CouponRefund}, {&s.RequestedRefund, r.RequestedRefund},
		} {
			if *pair.sum, err = pair.sum.Plus(pair.add); err != nil {
				return err
			}
		}
		s.Fee, err = addFee(s.Fee, r.Fee)
		return err
	},
}
