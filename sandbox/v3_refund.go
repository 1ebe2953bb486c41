package sandbox

import (
	"crypto/rsa"
	"crypto/sha1" // WeChat Pay's OAEP is defined with SHA-1
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/fenhao-pay/fenhao/money"
)

// This file is the calls of API v3 for refunds. Source of the tables: vendor manual, "申请退款", "查询单笔退款", "发起异常退款".

var (
	outRefundNoField = field{name: "out_refund_no", title: "商户退款单号", kind: text, max: 64, rule: refundNumber}
	refundIDField    = field{name: "refund_id", title: "微信支付退款单号", kind: text, max: 32}
	refundNumber     = pattern(`^[0-9a-zA-Z_\-\|\*@]{1,}$`)
)

var refundFields = []field{
	{name: "transaction_id", title: "微信支付订单号", kind: text, optional: true, max: 32},
	{name: "out_trade_no", title: "商户订单号", kind: text, optional: true, min: 6, max: 32, rule: orderNumber},
	outRefundNoField,
	{name: "reason", title: "退款原因", kind: text, optional: true, max: 80},
	{name: "notify_url", title: "退款结果回调url", kind: text, optional: true, min: 8, max: 256, rule: notifyURL},
	{name: "funds_account", title: "退款资金来源", kind: text, optional: true, max: 32, rule: pattern("^(AVAILABLE|UNSETTLED)$")},
	{name: "amount", title: "金额信息", kind: object, fields: []field{
		{name: "refund", title: "退款金额", kind: integer, min: 1, max: 9_999_999_999},
		{name: "from", title: "退款出资账户及金额", kind: list, optional: true, fields: []field{
			{name: "account", title: "出资账户类型", kind: text, max: 32, rule: pattern("^(AVAILABLE|UNAVAILABLE)$")},
			{name: "amount", title: "出资金额", kind: integer, min: 1, max: 9_999_999_999},
		}},
		{name: "total", title: "原订单金额", kind: integer, min: 1, max: 9_999_999_999},
		{name: "currency", title: "退款币种", kind: text, max: 16, rule: currency},
	}},
	{name: "goods_detail", title: "退款商品", kind: list, optional: true, fields: []field{
		{name: "merchant_goods_id", title: "商户侧商品编码", kind: text, max: 32},
		{name: "wechatpay_goods_id", title: "微信支付商品编码", kind: text, optional: true, max: 32},
		{name: "goods_name", title: "商品名称", kind: text, optional: true, max: 256},
		{name: "unit_price", title: "商品单价", kind: integer},
		{name: "refund_amount", title: "商品退款金额", kind: integer},
		{name: "refund_quantity", title: "商品退货数量", kind: integer, min: 1},
	}},
}

var abnormalFields = []field{
	outRefundNoField,
	{name: "type", title: "异常退款处理方式", kind: text, max: 32, rule: pattern("^(USER_BANK_CARD|MERCHANT_BANK_CARD)$")},
	{name: "bank_type", title: "开户银行", kind: text, optional: true, max: 16, rule: pattern("^[A-Z0-9]+_DEBIT$")},
	{name: "bank_account", title: "收款银行卡号", kind: text, optional: true, max: 1024},
	{name: "real_name", title: "收款用户姓名", kind: text, optional: true, max: 1024},
}

// refund is POST /v3/refund/domestic/refunds.
func (s *Sandbox) refund(c *call) answer {
	b := &c.body
	r := refund{
		MerchantID: c.merchant.ID, OutRefundNo: b.string("out_refund_no"), TransactionID: b.string("transaction_id"),
		OutTradeNo: b.string("out_trade_no"), API: "v3", Amount: money.Fen(b.int("amount", "refund")),
		Total: money.Fen(b.int("amount", "total")), Reason: b.string("reason"), NotifyURL: b.string("notify_url"),
		FundsAccount: b.string("funds_account"), Terms: string(b.canonical()),
	}
	if r.TransactionID == "" && r.OutTradeNo == "" {
		return c.malformed(outTradeNoField.check(nil, "body", "/body/out_trade_no"))
	}
	if from := b.at("amount", "from"); from != nil {
		var sum money.Fen
		for i := range from.items {
			one := source{from.items[i].string("account"), money.Fen(from.items[i].int("amount"))}
			r.From = append(r.From, one)
			sum += one.Amount // a body has no room for an overflow
		}
		if sum != r.Amount {
			return c.refuse(http.StatusBadRequest, "INVALID_REQUEST", numberIllegal, saysFromDiffers, nil)
		}
	}
	r, err := s.acceptRefund(c.request.Context(), c.op.name, r)
	if err != nil {
		return c.unrefunded(err)
	}
	c.order = r.OutTradeNo
	return s.refundAnswer(c, r)
}

// unrefunded answers why there is no refund.
func (c *call) unrefunded(err error) answer {
	invalid := func(number int64, says phrase) answer {
		return c.refuse(http.StatusBadRequest, "INVALID_REQUEST", number, says, nil)
	}
	switch err {
	case refusedForeign:
		return c.lost(err)
	case refusedNoSuch:
		return c.refuse(http.StatusNotFound, "RESOURCE_NOT_EXISTS", numberIllegal, saysNoRefund, nil)
	case refusedDiffers:
		return invalid(numberOrderDiffers, saysRefundDiffers)
	case refusedTotal:
		return invalid(numberIllegal, saysTotalDiffers)
	case refusedExcess:
		return invalid(numberIllegal, saysExcess)
	case refusedTooMany:
		return invalid(numberIllegal, saysTooMany)
	case refusedNoAbnormal:
		return invalid(numberIllegal, saysNotAbnormal)
	case refusedTooOld:
		return c.refuse(http.StatusForbidden, "TRADE_OVERDUE", numberIllegal, saysTooOld, nil)
	case refusedTooSoon:
		return c.refuse(http.StatusTooManyRequests, "FREQUENCY_LIMITED", numberFrequency, saysTooSoon, nil)
	case refusedNotEnough:
		return c.refuse(http.StatusForbidden, "NOT_ENOUGH", numberIllegal, saysNotEnough, nil)
	default: // unknown or unpaid
		return c.refuse(http.StatusNotFound, "RESOURCE_NOT_EXISTS", numberOrderMissing, saysNoRefundableOrder, nil)
	}
}

// refundAnswer answers what is known of a refund, with the lies that faults ask for.
func (s *Sandbox) refundAnswer(c *call, r refund) answer {
	if f := s.strike(c.op.name, "wrong_amount"); f != nil {
		r.Amount++
	}
	return ok(r.document())
}

// queryRefund is GET /v3/refund/domestic/refunds/{out_refund_no}.
func (s *Sandbox) queryRefund(c *call) answer {
	s.mu.Lock()
	s.endRefunds()
	r, err := s.books.findRefund(c.merchant.ID, c.path.string("out_refund_no"))
	s.mu.Unlock()
	if err != nil {
		return c.unrefunded(err)
	}
	c.order = r.OutTradeNo
	return s.refundAnswer(c, r)
}

// applyAbnormal is POST /v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund: an ABNORMAL refund goes to a bank
// card instead, of the buyer or of the merchant.
func (s *Sandbox) applyAbnormal(c *call) answer {
	b := &c.body
	account := "商户结算银行卡"
	if b.string("type") == "USER_BANK_CARD" {
		for _, f := range abnormalFields[2:] {
			f.optional = false
			if i := f.check(b.member(f.name), "body", "/body/"+f.name); i != nil {
				return c.malformed(i)
			}
		}
		card, a := c.unsealed("bank_account")
		if a.status != 0 {
			return a
		}
		if _, a := c.unsealed("real_name"); a.status != 0 {
			return a
		}
		bank, _, _ := strings.Cut(b.string("bank_type"), "_")
		account = bank + "借记卡" + card[max(0, len(card)-4):]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endRefunds()
	r, err := s.books.findRefund(c.merchant.ID, b.string("out_refund_no"))
	switch {
	case err != nil:
	case r.RefundID != c.path.string("refund_id"):
		err = refusedNoSuch
	case r.status() != RefundAbnormal:
		c.order, err = r.OutTradeNo, refusedNoAbnormal
	}
	if err != nil {
		return c.unrefunded(err)
	}
	c.order = r.OutTradeNo
	s.stepRefund(r, refundStep{RefundProcessing, s.now(), "OTHER_BANKCARD", account})
	ending, at := s.ends(RefundSuccess, 0)
	r, _ = s.books.findRefund(c.merchant.ID, r.OutRefundNo) // as it is now
	r = s.books.plan(r, ending, at)
	s.save(kindRefund, r)
	s.startDelivery()
	if f := s.strikeHeld(c.op.name, r.OutTradeNo, "wrong_amount"); f != nil {
		r.Amount++
	}
	return ok(r.document())
}

// unsealed decrypts a field that the merchant encrypted with the key that the header Wechatpay-Serial names: RSA-OAEP with
// SHA-1. Source: vendor manual, "如何加解密敏感信息".
func (c *call) unsealed(name string) (string, answer) {
	key := c.merchant.opener(c.request.Header.Get("Wechatpay-Serial"))
	if key == nil {
		return "", c.refuse(http.StatusBadRequest, "PARAM_ERROR", numberIllegal, saysNoSealer, nil)
	}
	sealed, err := base64.StdEncoding.DecodeString(c.body.string(name))
	if err == nil {
		var plain []byte
		if plain, err = rsa.DecryptOAEP(sha1.New(), nil, key, sealed, nil); err == nil && len(plain) > 0 {
			return string(plain), answer{}
		}
	}
	return "", c.refuse(http.StatusBadRequest, "PARAM_ERROR", numberIllegal, saysUnreadable,
		map[string]any{"location": "body", "value": "/body/" + name})
}

// opener is WeChat Pay's private key of that name, or nil.
func (m *merchant) opener(serial string) *rsa.PrivateKey {
	if serial == m.PublicKeyID {
		return m.public
	}
	for _, p := range m.platforms {
		if p.serial == serial {
			return p.key
		}
	}
	return nil
}

// document is what the calls answer about a refund.
func (r *refund) document() document {
	from := []document{}
	for _, one := range r.From {
		from = append(from, document{{"account", one.Account}, {"amount", one.Amount}})
	}
	funds := "UNSETTLED"
	if r.FundsAccount != "" {
		funds = r.FundsAccount
	}
	d := document{
		{"refund_id", r.RefundID},
		{"out_refund_no", r.OutRefundNo},
		{"transaction_id", r.TransactionID},
		{"out_trade_no", r.OutTradeNo},
		{"channel", r.now().Channel},
		{"user_received_account", r.now().Account},
	}
	if r.status() == RefundSuccess {
		d = append(d, pair{"success_time", stamp(r.now().At)})
	}
	return append(d,
		pair{"create_time", stamp(r.acceptedAt())},
		pair{"status", r.status()},
		pair{"funds_account", funds},
		pair{"amount", document{
			{"total", r.Total}, {"refund", r.Amount}, {"from", from}, {"payer_total", r.Total}, {"payer_refund", r.Amount},
			{"settlement_refund", r.Amount}, {"settlement_total", r.Total}, {"discount_refund", 0},
			{"currency", money.CNY}, {"refund_fee", r.Fee},
		}},
		pair{"promotion_detail", []document{}},
	)
}

// notice is what a notification of the refund has encrypted.
func (r *refund) notice() document {
	d := document{
		{"mchid", r.MerchantID},
		{"transaction_id", r.TransactionID},
		{"out_trade_no", r.OutTradeNo},
		{"refund_id", r.RefundID},
		{"out_refund_no", r.OutRefundNo},
		{"refund_status", r.status()},
	}
	if r.status() == RefundSuccess {
		d = append(d, pair{"success_time", stamp(r.now().At)})
	}
	return append(d,
		pair{"user_received_account", r.now().Account},
		pair{"amount", document{
			{"total", r.Total}, {"refund", r.Amount}, {"payer_total", r.Total}, {"payer_refund", r.Amount}}},
	)
}
