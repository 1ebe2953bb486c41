package sandbox

import (
	"bytes"
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"strconv"

	"github.com/fenhao-pay/fenhao/money"
)

// This file is refunds under API v2. Source: v2 manual, "申请退款", "查询退款", "退款结果通知".

var refundFieldsV2 = []field{
	{name: "transaction_id", title: "微信支付订单号", kind: text, optional: true, max: 32},
	optional(outTradeNoField),
	outRefundNoField,
	{name: "total_fee", title: "订单金额", kind: integer, min: 1, max: 9_999_999_999},
	{name: "refund_fee", title: "退款金额", kind: integer, min: 1, max: 9_999_999_999},
	{name: "refund_fee_type", title: "退款货币种类", kind: text, optional: true, max: 8, rule: currency},
	{name: "refund_desc", title: "退款原因", kind: text, optional: true, max: 80},
	{name: "refund_account", title: "退款资金来源", kind: text, optional: true, max: 30,
		rule: oneOf(fundsV2["UNSETTLED"], fundsV2["AVAILABLE"])},
	{name: "notify_url", title: "退款结果通知url", kind: text, optional: true, max: 256, rule: notifyURL},
	{name: "op_user_id", title: "操作员", kind: text, optional: true, max: 32}, // of old clients; it has no effect
}

var refundQueryFields = []field{
	{name: "refund_id", title: "微信退款单号", kind: text, optional: true, max: 32},
	optional(outRefundNoField),
	{name: "transaction_id", title: "微信订单号", kind: text, optional: true, max: 32},
	optional(outTradeNoField),
	{name: "offset", title: "偏移量", kind: integer, optional: true, max: 1 << 31},
}

// pageV2 is how many refunds an answer about an order has at most.
const pageV2 = 10

// fundsV2 are the names of refund_account by those that v3 has for them.
var fundsV2 = map[string]string{
	"UNSETTLED": "REFUND_SOURCE_UNSETTLED_FUNDS",
	"AVAILABLE": "REFUND_SOURCE_RECHARGE_FUNDS",
}

// statusesV2 are the statuses of refunds as v2 calls them.
var statusesV2 = map[RefundStatus]string{
	RefundProcessing: "PROCESSING", RefundSuccess: "SUCCESS", RefundAbnormal: "CHANGE", RefundClosed: "REFUNDCLOSE",
}

// refundV2 is POST /secapi/pay/refund.
func (s *Sandbox) refundV2(c *callV2) answerV2 {
	b := &c.body
	r := refund{
		MerchantID: c.merchant.ID, OutRefundNo: b.string("out_refund_no"), TransactionID: b.string("transaction_id"),
		OutTradeNo: b.string("out_trade_no"), API: "v2", Amount: money.Fen(b.int("refund_fee")),
		Total: money.Fen(b.int("total_fee")), Reason: b.string("refund_desc"), NotifyURL: b.string("notify_url"),
		Terms: c.terms(),
	}
	if r.TransactionID == "" && r.OutTradeNo == "" {
		return fails(saysNoNumberV2)
	}
	for v3, v2 := range fundsV2 {
		if v2 == b.string("refund_account") {
			r.FundsAccount = v3
		}
	}
	r, err := s.acceptRefund(c.request.Context(), c.op.name, r)
	if err != nil {
		return c.unrefunded(err)
	}
	c.order = r.OutTradeNo
	if f := s.strike(c.op.name, "wrong_amount"); f != nil {
		r.Amount++
	}
	f := flat{{"transaction_id", r.TransactionID}, {"out_trade_no", r.OutTradeNo}, {"out_refund_no", r.OutRefundNo},
		{"refund_id", r.RefundID}, {"refund_channel", ""}}
	return answerV2{fields: append(append(f, r.totalV2()...), r.amountV2("")...)}
}

// totalV2 are the amounts of the payment.
func (r *refund) totalV2() flat {
	total := fenText(r.Total)
	return flat{{"total_fee", total}, {"settlement_total_fee", total}, {"fee_type", money.CNY}, {"cash_fee", total}}
}

// amountV2 are the amounts of the refund, under names that end so.
func (r *refund) amountV2(suffix string) flat {
	amount := fenText(r.Amount)
	f := flat{{"refund_fee" + suffix, amount}, {"settlement_refund_fee" + suffix, amount},
		{"coupon_refund_fee" + suffix, "0"}, {"coupon_refund_count" + suffix, "0"}}
	if suffix == "" {
		f = append(f, parameter{"cash_refund_fee", amount})
	}
	return f
}

// fenText is an amount as v2 writes it.
func fenText(f money.Fen) string { return strconv.FormatInt(int64(f), 10) }

// unrefunded answers why there is no refund.
func (c *callV2) unrefunded(err error) answerV2 {
	says := func(code string, p phrase) answerV2 { return answerV2{code: code, text: p.zh} }
	switch err {
	case refusedDiffers:
		return says("REFUND_FEE_MISMATCH", saysRefundDiffers)
	case refusedTotal:
		return says("PARAM_ERROR", saysTotalDiffers)
	case refusedExcess:
		return says("INVALID_REQUEST", saysExcess)
	case refusedTooMany:
		return says("ERROR", saysTooMany)
	case refusedTooOld:
		return says("TRADE_OVERDUE", saysTooOld)
	case refusedTooSoon:
		return refuses("FREQUENCY_LIMITED")
	case refusedNotEnough:
		return says("NOTENOUGH", saysNotEnough)
	case refusedUnpaid:
		return says("ORDERNOTEXIST", saysNoRefundableOrder)
	}
	if c.body.string("transaction_id") != "" { // unknown, or another merchant's
		return refuses("INVALID_TRANSACTIONID")
	}
	return refuses("ORDERNOTEXIST")
}

// refundQuery is POST /pay/refundquery.
func (s *Sandbox) refundQuery(c *callV2) answerV2 {
	s.mu.Lock()
	s.endRefunds()
	all, first, a := s.soughtRefunds(c)
	s.mu.Unlock()
	if !a.ok() {
		return a
	}
	page := all[first:min(len(all), first+pageV2)]
	one := page[0]
	c.order = one.OutTradeNo
	lie := s.strike(c.op.name, "wrong_amount")
	f := flat{{"transaction_id", one.TransactionID}, {"out_trade_no", one.OutTradeNo},
		{"total_refund_count", strconv.Itoa(len(all))}, {"refund_count", strconv.Itoa(len(page))}}
	f = append(f, one.totalV2()...)
	for i, r := range page {
		if lie != nil {
			r.Amount++
		}
		n := "_" + strconv.Itoa(i)
		f = append(f, flat{{"out_refund_no" + n, r.OutRefundNo}, {"refund_id" + n, r.RefundID},
			{"refund_channel" + n, r.now().Channel}, {"refund_status" + n, statusesV2[r.status()]},
			{"refund_account" + n, r.fundsV2()}, {"refund_recv_accout" + n, r.now().Account}}...) // sic
		f = append(f, r.amountV2(n)...)
		if r.status() == RefundSuccess {
			f = append(f, parameter{"refund_success_time" + n, r.endedV2()})
		}
	}
	return answerV2{fields: f}
}

// soughtRefunds are the refunds that the call asks about, and which of them the answer begins with: one by a number of a
// refund, or those of an order in the order in which they were accepted. mu is held.
func (s *Sandbox) soughtRefunds(c *callV2) (all []refund, first int, a answerV2) {
	b := &c.body
	var one *refund
	switch id, number := b.string("refund_id"), b.string("out_refund_no"); {
	case id != "":
		if one = s.books.refundIDs[id]; one != nil && one.MerchantID != c.merchant.ID {
			one = nil
		}
	case number != "":
		one = s.books.refundNumbers[refundKey{c.merchant.ID, number}]
	default:
		return s.refundsOfSought(c)
	}
	if one == nil {
		return nil, 0, refuses("REFUNDNOTEXIST")
	}
	return []refund{*one}, 0, answerV2{}
}

func (s *Sandbox) refundsOfSought(c *callV2) (all []refund, first int, a answerV2) {
	o, a := s.sought(c)
	switch {
	case a.ok():
	case a.failure != "":
		return nil, 0, fails(saysNoNumberV2)
	case c.body.string("transaction_id") != "":
		return nil, 0, refuses("INVALID_TRANSACTIONID")
	default:
		return nil, 0, refuses("REFUNDNOTEXIST")
	}
	for _, r := range s.books.refundsOf[orderKey{o.MerchantID, o.OutTradeNo}] {
		all = append(all, *r)
	}
	first = int(c.body.int("offset"))
	switch {
	case len(all) == 0:
		return nil, 0, refuses("REFUNDNOTEXIST")
	case first >= len(all):
		return nil, 0, answerV2{code: "PARAM_ERROR", text: "offset超过了退款单总数"}
	}
	return all, first, answerV2{}
}

// fundsV2 is where the refund's money comes from.
func (r *refund) fundsV2() string {
	if name, ok := fundsV2[r.FundsAccount]; ok {
		return name
	}
	return fundsV2["UNSETTLED"]
}

// endedV2 is when the refund came to its status, in the form that refunds of v2 alone have.
func (r *refund) endedV2() string { return r.now().At.In(beijing).Format("2006-01-02 15:04:05") }

// composeRefundV2 makes the request of one attempt to tell of a refund: XML that isn't signed, in which all that matters is
// encrypted.
func (s *Sandbox) composeRefundV2(r refund, m *merchant, random *random, lie, spoil *Fault, d *delivery) (*delivery, error) {
	s.mu.Lock()
	appID := s.books.numbers[orderKey{r.MerchantID, r.OutTradeNo}].appID()
	s.mu.Unlock()
	if lie != nil {
		r.Amount++
	}
	amount := fenText(r.Amount)
	plain := flat{
		{"transaction_id", r.TransactionID}, {"out_trade_no", r.OutTradeNo}, {"refund_id", r.RefundID},
		{"out_refund_no", r.OutRefundNo}, {"total_fee", fenText(r.Total)}, {"settlement_total_fee", fenText(r.Total)},
		{"refund_fee", amount}, {"settlement_refund_fee", amount}, {"cash_refund_fee", amount},
		{"refund_status", statusesV2[r.status()]}, {"refund_recv_accout", r.now().Account}, // sic
		{"refund_account", r.fundsV2()}, {"refund_request_source", "API"},
	}
	if r.status() == RefundSuccess {
		plain = append(plain, parameter{"success_time", r.endedV2()})
	}
	key := m.APIv2Key
	if spoil != nil && spoil.Kind != "truncate" { // what isn't signed can only be unreadable
		key = random.text("spoil", alnums, len(key))
	}
	sealed, err := sealV2(key, plain.shuffled(random).xml("root"))
	if err != nil {
		return nil, err
	}
	body := flat{{"return_code", "SUCCESS"}, {"appid", appID}, {"mch_id", r.MerchantID},
		{"nonce_str", random.text("nonce", alnums, 32)}, {"req_info", sealed}}.shuffled(random).xml("xml")
	if spoil != nil && spoil.Kind == "truncate" {
		body = body[:len(body)/2]
	}
	d.Body, d.Header = string(body), headerV2()
	return d, nil
}

// appID is the order's app; none of an order that a reset has made away with.
func (o *order) appID() string {
	if o == nil {
		return ""
	}
	return o.AppID
}

// keyV2 is the key of AES with which v2 encrypts: the 32 characters of the MD5 of the API key in lower-case hexadecimal.
func keyV2(apiKey string) []byte {
	sum := md5.Sum([]byte(apiKey))
	return []byte(hex.EncodeToString(sum[:]))
}

// sealV2 encrypts for the merchant of that API key; the result is standard Base64.
func sealV2(apiKey string, plain []byte) (string, error) { return sealECB(keyV2(apiKey), plain) }

// sealECB encrypts with AES-ECB and padding as in PKCS #7.
func sealECB(key, plain []byte) (string, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	size := block.BlockSize()
	padding := size - len(plain)%size
	sealed := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(padding)}, padding)...)
	for at := 0; at < len(sealed); at += size {
		block.Encrypt(sealed[at:], sealed[at:])
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}
