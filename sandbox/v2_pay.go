package sandbox

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// This file is the calls of API v2 for orders. Source of the tables: v2 manual, "统一下单", "查询订单", "关闭订单".

// stampV2 is how v2 writes an instant: in Beijing time.
const stampV2 = "20060102150405"

// parseStampV2 reads an instant of v2. time.Parse alone would take fractions of a second and the 14 digits of a day that
// doesn't exist is for it to refuse.
func parseStampV2(t string) (time.Time, error) {
	if len(t) != len(stampV2) {
		return time.Time{}, strconv.ErrSyntax
	}
	return time.ParseInLocation(stampV2, t, beijing)
}

// oneOf is a rule for a text that is one of a few.
func oneOf(values ...string) *rule {
	for i, v := range values {
		values[i] = regexp.QuoteMeta(v)
	}
	return pattern("^(" + strings.Join(values, "|") + ")$")
}

var (
	instantV2 = &rule{
		is: func(t string) bool { _, err := parseStampV2(t); return err == nil },
		zh: "字符串必须是符合 yyyyMMddHHmmss 日期时间格式",
	}
	jsonObject = &rule{
		is: func(t string) bool { v, err := parseJSON([]byte(t)); return err == nil && v.kind == object },
		zh: "字符串必须是合法的 JSON 对象",
	}
)

var unifiedOrderFields = []field{
	{name: "device_info", title: "设备号", kind: text, optional: true, max: 32},
	{name: "body", title: "商品描述", kind: text, max: 128},
	{name: "detail", title: "商品详情", kind: text, optional: true, max: 6000},
	{name: "attach", title: "附加数据", kind: text, optional: true, max: 127},
	outTradeNoField,
	{name: "fee_type", title: "标价币种", kind: text, optional: true, max: 16, rule: currency},
	{name: "total_fee", title: "标价金额", kind: integer, min: 1, max: 9_999_999_999},
	{name: "spbill_create_ip", title: "终端IP", kind: text, max: 64, rule: address},
	{name: "time_start", title: "交易起始时间", kind: text, optional: true, max: 14, rule: instantV2},
	{name: "time_expire", title: "交易结束时间", kind: text, optional: true, max: 14, rule: instantV2},
	{name: "goods_tag", title: "订单优惠标记", kind: text, optional: true, max: 32},
	{name: "notify_url", title: "通知地址", kind: text, max: 256, rule: notifyURL},
	{name: "trade_type", title: "交易类型", kind: text, max: 16, rule: oneOf(tradeJSAPI, tradeNative, tradeApp, tradeH5)},
	{name: "product_id", title: "商品ID", kind: text, optional: true, max: 32},
	{name: "limit_pay", title: "指定支付方式", kind: text, optional: true, max: 32, rule: oneOf("no_credit")},
	{name: "openid", title: "用户标识", kind: text, optional: true, max: 128},
	{name: "receipt", title: "电子发票入口开放标识", kind: text, optional: true, max: 8, rule: oneOf("Y")},
	{name: "profit_sharing", title: "是否需要分账", kind: text, optional: true, max: 16, rule: oneOf("Y", "N")},
	{name: "scene_info", title: "场景信息", kind: text, optional: true, max: 256, rule: jsonObject},
	{name: "version", title: "接口版本号", kind: text, optional: true, max: 32, rule: oneOf("1.0")},
}

// ordered is what the parameters order, as far as it can be told without the books.
func (c *callV2) ordered() order {
	b := &c.body
	o := order{
		MerchantID: c.merchant.ID, OutTradeNo: b.string("out_trade_no"), API: "v2", AppID: b.string("appid"),
		OpenID: b.string("openid"), Description: b.string("body"), Attach: b.string("attach"),
		DeviceID: b.string("device_info"), NotifyURL: b.string("notify_url"), Amount: money.Fen(b.int("total_fee")),
		TradeType: b.string("trade_type"), SignType: c.signType,
	}
	o.Terms = c.signType + " " + c.terms() // by which the phone's parameters and the notification are signed
	return o
}

// terms is all that was asked for: who repeats a call must say the same, signed anew with another nonce.
func (c *callV2) terms() string {
	kept := slices.DeleteFunc(slices.Clone(c.given), func(p parameter) bool {
		return p.name == "nonce_str" || p.name == "sign_type"
	})
	return strings.TrimSuffix(kept.message(), "&key=")
}

// unifiedOrder is POST /pay/unifiedorder.
func (s *Sandbox) unifiedOrder(c *callV2) answerV2 {
	b, o := &c.body, c.ordered()
	if a := c.checkTradeType(); !a.ok() {
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if o.TradeType == tradeJSAPI {
		p, known := s.people.byOpenID[o.OpenID]
		switch {
		case !known:
			return answerV2{code: "PARAM_ERROR", text: saysNoOpenID.zh}
		case p.AppID != o.AppID:
			return answerV2{code: "INVALID_REQUEST", text: saysOtherOpenID.zh}
		}
	} else {
		o.OpenID = "" // who pays is known once somebody has paid
	}
	_, repeated := s.books.numbers[orderKey{o.MerchantID, o.OutTradeNo}]
	var a answerV2
	if o.ExpiresAt, a = c.expiry(now, repeated); !a.ok() {
		return a
	}
	placed, err := s.books.place(o, s.newPrepay(o.TradeType, now), now)
	if err != nil && placed.TradeType == tradeMicropay {
		return refuses("OUT_TRADE_NO_USED")
	}
	switch err {
	case refusedPaid:
		return refuses("ORDERPAID")
	case refusedClosed:
		return refuses("ORDERCLOSED")
	case refusedDiffers:
		return answerV2{code: "INVALID_REQUEST", text: "201 商户订单号重复"}
	case refusedOverdue:
		return answerV2{code: "INVALID_REQUEST", text: saysOverdue.zh}
	}
	s.save(kindOrder, placed)
	newest := placed.Prepays[len(placed.Prepays)-1]
	if len(placed.Prepays) == 1 {
		s.recordHeld(Entry{Kind: "state", Name: "order.created", OutTradeNo: o.OutTradeNo,
			Summary: "NOTPAY " + o.Amount.String()})
	}
	f := flat{{"trade_type", o.TradeType}, {"prepay_id", newest.ID}}
	if device := b.string("device_info"); device != "" {
		f = append(f, parameter{"device_info", device})
	}
	switch o.TradeType {
	case tradeNative:
		f = append(f, parameter{"code_url", newest.Link})
	case tradeH5:
		f = append(f, parameter{"mweb_url", newest.Link})
	}
	return answerV2{fields: f}
}

// checkTradeType looks at the fields that one trade_type needs and another doesn't.
func (c *callV2) checkTradeType() answerV2 {
	b := &c.body
	switch t := b.string("trade_type"); {
	case t == tradeJSAPI && b.string("openid") == "":
		return fails("JSAPI支付必须传openid")
	case t == tradeNative && b.string("product_id") == "":
		return fails("NATIVE支付必须传product_id")
	case t == tradeH5 && b.string("scene_info") == "":
		return fails("MWEB支付必须传scene_info")
	case b.string("version") != "" && !jsonObject.is(b.string("detail")):
		return fails("输入源“/body/xml/detail”映射到值字段“商品详情”字符串规则校验失败，" + jsonObject.zh)
	case t == tradeH5:
		scene, _ := parseJSON([]byte(b.string("scene_info"))) // the table looked at its form
		if scene.string("h5_info", "type") == "" {
			return fails("MWEB支付scene_info必须包含h5_info")
		}
	}
	return answerV2{}
}

// expiry is when the order's time is over; zero where no time_expire was given. What was right when the order was placed
// is right when the call is repeated.
func (c *callV2) expiry(now time.Time, repeated bool) (time.Time, answerV2) {
	t := c.body.string("time_expire")
	if t == "" {
		return time.Time{}, answerV2{}
	}
	at, _ := parseStampV2(t) // the table looked at its form
	switch start, err := parseStampV2(c.body.string("time_start")); {
	case repeated:
	case !at.After(now), err == nil && !at.After(start):
		return at, answerV2{code: "INVALID_REQUEST", text: "交易有效截止时间非法"}
	case at.Before(now.Add(time.Minute)):
		return at, answerV2{code: "INVALID_REQUEST", text: "time_expire时间过短"}
	case at.After(now.Add(longestLife)):
		return at, answerV2{code: "INVALID_REQUEST", text: saysTooFar.zh}
	case c.body.string("trade_type") == tradeNative && at.After(now.Add(nativeLife)):
		return at, answerV2{code: "INVALID_REQUEST", text: saysTooFarNative.zh}
	}
	return at.UTC(), answerV2{}
}

var orderQueryFields = []field{
	{name: "transaction_id", title: "微信订单号", kind: text, optional: true, max: 32},
	optional(outTradeNoField),
}

// optional is f as a field that may be left out.
func optional(f field) field {
	f.optional = true
	return f
}

// sought is the order that the call names; transaction_id wins over out_trade_no. mu is held.
func (s *Sandbox) sought(c *callV2) (order, answerV2) {
	var o order
	var err error
	switch id, number := c.body.string("transaction_id"), c.body.string("out_trade_no"); {
	case id != "":
		o, err = s.books.findPaid(c.merchant.ID, id, s.now())
	case number != "":
		o, err = s.books.find(c.merchant.ID, number, s.now())
	default:
		return o, fails(saysNoNumberV2)
	}
	if err != nil {
		return o, refuses("ORDERNOTEXIST")
	}
	c.order = o.OutTradeNo
	return o, answerV2{}
}

// orderQuery is POST /pay/orderquery.
func (s *Sandbox) orderQuery(c *callV2) answerV2 {
	s.mu.Lock()
	o, a := s.sought(c)
	s.mu.Unlock()
	if !a.ok() {
		return a
	}
	if f := s.strike("v2.query", "wrong_amount", "wrong_app"); f != nil {
		o = s.lie(f.Kind, o)
		c.body.member("appid").text = o.AppID
	}
	f := flat{{"out_trade_no", o.OutTradeNo}, {"attach", o.Attach}, {"trade_state", string(o.State)},
		{"trade_state_desc", tradeStates[o.State]}}
	return answerV2{fields: append(f, o.paidV2()...)}
}

// paidV2 is what v2 tells about a payment beside the numbers of order and merchant; nothing of an order that isn't paid.
func (o order) paidV2() flat {
	if !o.paid() {
		return nil
	}
	amount := fenText(o.Amount)
	f := flat{
		{"openid", o.OpenID}, {"is_subscribe", "N"}, {"trade_type", o.tradeType()}, {"bank_type", "OTHERS"},
		{"total_fee", amount}, {"fee_type", money.CNY}, {"cash_fee", amount}, {"cash_fee_type", money.CNY},
		{"transaction_id", o.TransactionID}, {"time_end", o.PaidAt.In(beijing).Format(stampV2)},
	}
	if o.DeviceID != "" {
		f = append(f, parameter{"device_info", o.DeviceID})
	}
	return f
}

// closeOrder is POST /pay/closeorder.
func (s *Sandbox) closeOrder(c *callV2) answerV2 {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, changed, err := s.books.close(c.merchant.ID, c.order, s.settings.BusyClose, s.now())
	switch {
	case err == refusedBusy:
		return refuses("FREQUENCY_LIMITED")
	case err == refusedToClose:
		return refuses("TRADE_STATE_ERROR")
	case err == refusedPaid:
		return refuses("ORDERPAID")
	case err != nil:
		return refuses("ORDERNOTEXIST")
	case !changed:
		return refuses("ORDERCLOSED")
	}
	s.save(kindOrder, o)
	s.recordHeld(Entry{Kind: "state", Name: "order.closed", OutTradeNo: o.OutTradeNo, Summary: "NOTPAY → CLOSED"})
	return answerV2{fields: flat{{"result_msg", "OK"}}}
}
