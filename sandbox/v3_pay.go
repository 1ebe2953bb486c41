package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// This file is the calls of API v3 for orders. Source of the tables: vendor manual, "JSAPI下单", "Native下单", "H5下单",
// "APP下单", "查询订单", "关闭订单", "下载平台证书".

var (
	mchidField         = field{name: "mchid", title: "直连商户号", kind: text, max: 32}
	outTradeNoField    = field{name: "out_trade_no", title: "商户订单号", kind: text, min: 6, max: 32, rule: orderNumber}
	algorithmField     = field{name: "algorithm_type", title: "算法类型", kind: text, optional: true, max: 8, rule: pattern("^(RSA|SM2|ALL)$")}
	transactionIDField = field{name: "transaction_id", title: "微信支付订单号", kind: text, max: 32}
)

// prepayFields is the table of an order of the trade type.
func prepayFields(tradeType string) []field {
	fields := slices.Clone(orderFields)
	at := func(name string) int { return slices.IndexFunc(fields, func(f field) bool { return f.name == name }) }
	if tradeType != tradeJSAPI {
		fields = slices.Delete(fields, at("payer"), at("payer")+1)
	}
	if tradeType == tradeH5 {
		scene := &fields[at("scene_info")]
		scene.optional = false
		scene.fields = append(slices.Clip(scene.fields), field{name: "h5_info", title: "H5场景信息", kind: object, fields: []field{
			{name: "type", title: "场景类型", kind: text, max: 32, rule: pattern("^(Wap|iOS|Android)$")},
			{name: "app_name", title: "应用名称", kind: text, optional: true, max: 64},
			{name: "app_url", title: "网站URL", kind: text, optional: true, max: 128},
			{name: "bundle_id", title: "iOS平台BundleID", kind: text, optional: true, max: 128},
			{name: "package_name", title: "Android平台PackageName", kind: text, optional: true, max: 128},
		}})
	}
	return fields
}

var orderFields = []field{
	{name: "appid", title: "公众号ID", kind: text, max: 32},
	mchidField,
	{name: "description", title: "商品描述", kind: text, max: 127},
	outTradeNoField,
	{name: "time_expire", title: "交易结束时间", kind: text, optional: true, max: 64, rule: instant},
	{name: "attach", title: "附加数据", kind: text, optional: true, max: 128},
	{name: "notify_url", title: "通知地址", kind: text, max: 256, rule: notifyURL},
	{name: "goods_tag", title: "订单优惠标记", kind: text, optional: true, max: 32},
	{name: "support_fapiao", title: "电子发票入口开放标识", kind: boolean, optional: true},
	{name: "amount", title: "订单金额", kind: object, fields: []field{
		{name: "total", title: "总金额", kind: integer, min: 1, max: 9_999_999_999},
		{name: "currency", title: "货币类型", kind: text, optional: true, max: 16, rule: currency},
	}},
	{name: "payer", title: "支付者", kind: object, fields: []field{
		{name: "openid", title: "用户标识", kind: text, max: 128},
	}},
	{name: "detail", title: "优惠功能", kind: object, optional: true, maxRaw: 6144, fields: []field{
		{name: "cost_price", title: "订单原价", kind: integer, optional: true},
		{name: "invoice_id", title: "商品小票ID", kind: text, optional: true, max: 32},
		{name: "goods_detail", title: "单品列表", kind: list, optional: true, fields: []field{
			{name: "merchant_goods_id", title: "商户侧商品编码", kind: text, max: 32},
			{name: "wechatpay_goods_id", title: "微信支付商品编码", kind: text, optional: true, max: 32},
			{name: "goods_name", title: "商品名称", kind: text, optional: true, max: 256},
			{name: "quantity", title: "商品数量", kind: integer, min: 1},
			{name: "unit_price", title: "商品单价", kind: integer},
		}},
	}},
	{name: "scene_info", title: "场景信息", kind: object, optional: true, fields: []field{
		{name: "payer_client_ip", title: "用户终端IP", kind: text, max: 45, rule: address},
		{name: "device_id", title: "商户端设备号", kind: text, optional: true, max: 32},
		{name: "store_info", title: "商户门店信息", kind: object, optional: true, fields: []field{
			{name: "id", title: "门店编号", kind: text, max: 32},
			{name: "name", title: "门店名称", kind: text, optional: true, max: 256},
			{name: "area_code", title: "地区编码", kind: text, optional: true, max: 32},
			{name: "address", title: "详细地址", kind: text, optional: true, max: 512},
		}},
	}},
	{name: "settle_info", title: "结算信息", kind: object, optional: true, fields: []field{
		{name: "profit_sharing", title: "是否指定分账", kind: boolean, optional: true},
	}},
}

// orderAs is POST /v3/pay/transactions/{jsapi,native,h5,app}.
func orderAs(tradeType string) func(*Sandbox, *call) answer {
	return func(s *Sandbox, c *call) answer { return s.prepay(c, tradeType) }
}

func (s *Sandbox) prepay(c *call, tradeType string) answer {
	b := &c.body
	invalid := func(number int64, says phrase) answer {
		return c.refuse(http.StatusBadRequest, "INVALID_REQUEST", number, says, nil)
	}
	o := order{
		MerchantID: c.merchant.ID, OutTradeNo: b.string("out_trade_no"), API: "v3", AppID: b.string("appid"),
		TradeType: tradeType, OpenID: b.string("payer", "openid"), Description: b.string("description"), Attach: b.string("attach"),
		DeviceID: b.string("scene_info", "device_id"), NotifyURL: b.string("notify_url"),
		Amount: money.Fen(b.int("amount", "total")), Terms: string(b.canonical()),
	}
	if _, bound := c.merchant.app(o.AppID); !bound {
		return c.refuse(http.StatusBadRequest, "APPID_MCHID_NOT_MATCH", numberAppUnbound,
			saysUnbound, nil)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	p, known := s.people.byOpenID[o.OpenID]
	switch {
	case tradeType != tradeJSAPI: // who pays is known when it is paid
	case !known:
		return c.refuse(http.StatusBadRequest, "PARAM_ERROR", numberIllegal, saysNoOpenID,
			document{{"field", "/payer/openid"}, {"value", o.OpenID}, {"issue", saysNoOpenID.en}, {"location", "body"}})
	case p.AppID != o.AppID:
		return invalid(numberIllegal, saysOtherOpenID)
	}
	if t := b.string("time_expire"); t != "" {
		at, _ := time.Parse(time.RFC3339Nano, t) // the table looked at its form
		longest, tooFar := longestLife, saysTooFar
		if tradeType == tradeNative {
			longest, tooFar = nativeLife, saysTooFarNative
		}
		_, repeated := s.books.numbers[orderKey{o.MerchantID, o.OutTradeNo}]
		switch {
		case repeated: // it was checked when the order was placed
		case !at.After(now):
			return invalid(numberOrderOverdue, saysPast)
		case at.After(now.Add(longest)):
			return invalid(numberIllegal, tooFar)
		case at.Before(now.Add(time.Minute)):
			at = now.Add(time.Minute) // lifted, as WeChat Pay does
		}
		o.ExpiresAt = at.UTC()
	}

	placed, err := s.books.place(o, s.newPrepay(tradeType, now), now)
	switch err {
	case refusedPaid:
		return c.refuse(http.StatusForbidden, "OUT_TRADE_NO_USED", numberOrderPaid, saysPaid, nil)
	case refusedClosed:
		if tradeType == tradeNative {
			return c.refuse(http.StatusBadRequest, "ORDER_CLOSED", numberOrderIsClosed, saysClosed, nil)
		}
		return c.refuse(http.StatusForbidden, "OUT_TRADE_NO_USED", numberOrderIsClosed, saysClosed, nil)
	case refusedDiffers:
		return invalid(numberOrderDiffers, saysDiffers)
	case refusedOverdue:
		return invalid(numberOrderOverdue, saysOverdue)
	}
	s.save(kindOrder, placed)
	newest := placed.Prepays[len(placed.Prepays)-1]
	if len(placed.Prepays) == 1 {
		s.recordHeld(Entry{Kind: "state", Name: "order.created", OutTradeNo: o.OutTradeNo,
			Summary: "NOTPAY " + o.Amount.String()})
	}
	switch tradeType {
	case tradeNative:
		return ok(document{{"code_url", newest.Link}})
	case tradeH5:
		return ok(document{{"h5_url", newest.Link}})
	}
	return ok(document{{"prepay_id", newest.ID}})
}

// newPrepay is a prepay for an order of the trade type, with its link. mu is held.
func (s *Sandbox) newPrepay(tradeType string, now time.Time) prepay {
	p := prepay{ID: s.newPrepayID(now), At: now}
	switch tradeType {
	case tradeNative:
		for p.Link == "" || s.books.links[p.Link] != "" {
			p.Link = codeURL + s.random.text("link", alnums, 9)
		}
	case tradeH5:
		p.Link = h5URL + p.ID + "&package=" + s.random.text("link", digits, 10)
	}
	return p
}

// How links begin. Source: vendor manual, "Native下单" and "H5下单".
const (
	codeURL = "weixin://wxpay/bizpayurl?pr="
	h5URL   = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id="
)

// newPrepayID is 36 characters: wx, day and time in Beijing, 6 digits, 16 hex digits and 0000. mu is held.
func (s *Sandbox) newPrepayID(now time.Time) string {
	for {
		tail := s.random.text("prepay", digits, 6) + s.random.text("prepay", hexes, 16) + "0000"
		id := "wx" + now.In(beijing).Format("02150405") + tail
		if s.books.prepays[id] == nil {
			return id
		}
	}
}

// newTransactionID is 28 digits: ten that begin with 4200, the day in Beijing and ten more. mu is held.
func (s *Sandbox) newTransactionID(now time.Time) string {
	for {
		draw := func(n int) string { return s.random.text("transaction", digits, n) }
		id := "420000" + draw(4) + now.In(beijing).Format("20060102") + draw(10)
		if s.books.payments[id] == nil {
			return id
		}
	}
}

// query is GET /v3/pay/transactions/out-trade-no/{out_trade_no} and …/id/{transaction_id}.
func (s *Sandbox) query(c *call) answer {
	s.mu.Lock()
	var o order
	var err error
	if id := c.path.string("transaction_id"); id != "" {
		o, err = s.books.findPaid(c.merchant.ID, id, s.now())
	} else {
		o, err = s.books.find(c.merchant.ID, c.path.string("out_trade_no"), s.now())
	}
	s.mu.Unlock()
	if err != nil {
		return c.lost(err)
	}
	c.order = o.OutTradeNo
	if f := s.strike("v3.query", "wrong_amount", "wrong_app"); f != nil {
		o = s.lie(f.Kind, o)
	}
	return ok(o.transaction())
}

// lost answers that the order can't be found.
func (c *call) lost(err error) answer {
	if err == refusedForeign {
		return c.refuse(http.StatusBadRequest, "INVALID_REQUEST", numberOrderForeign, saysForeign, nil)
	}
	return c.refuse(http.StatusNotFound, "ORDER_NOT_EXIST", numberOrderMissing, saysNoOrder, nil)
}

// close is POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close.
func (s *Sandbox) close(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, changed, err := s.books.close(c.merchant.ID, c.order, s.settings.BusyClose, s.now())
	switch err {
	case nil:
	case refusedToClose:
		return c.refuse(http.StatusForbidden, "TRADE_ERROR", numberCloseForbidden, saysReverse, nil)
	case refusedBusy:
		return c.refuse(http.StatusTooManyRequests, "FREQUENCY_LIMITED", numberFrequency, saysPaying, nil)
	case refusedPaid:
		return c.refuse(http.StatusBadRequest, "ORDER_PAID", numberOrderPaid, saysPaid, nil)
	default:
		return c.lost(err)
	}
	if changed {
		s.save(kindOrder, o)
		s.recordHeld(Entry{Kind: "state", Name: "order.closed", OutTradeNo: o.OutTradeNo,
			Summary: "NOTPAY → CLOSED"})
	}
	return answer{status: http.StatusNoContent}
}

// certificates is GET /v3/certificates.
func (s *Sandbox) certificates(c *call) answer {
	m := s.merchant(c.merchant.ID)
	if m == nil || m.Mode == ModePublicKey || c.query.string("algorithm_type") == "SM2" {
		return c.refuse(http.StatusNotFound, "RESOURCE_NOT_EXISTS", numberIllegal, saysNoCertificate, nil)
	}
	data := []document{}
	for i, p := range slices.Backward(m.platforms) {
		if !s.clock().Before(p.cert.NotAfter) {
			continue
		}
		nonce := s.random.text("nonce", hexes, 12)
		plain := strings.TrimSpace(m.PlatformCertificates[i].Certificate) // the real ones end without a line end
		sealed, err := seal(m.APIv3Key, nonce, "certificate", []byte(plain))
		if err != nil {
			return c.refuse(http.StatusInternalServerError, "SYSTEM_ERROR", numberSystem, saysSystem, nil)
		}
		data = append(data, document{
			{"serial_no", p.serial},
			{"effective_time", stamp(p.cert.NotBefore)},
			{"expire_time", stamp(p.cert.NotAfter)},
			{"encrypt_certificate", document{
				{"algorithm", "AEAD_AES_256_GCM"},
				{"nonce", nonce},
				{"associated_data", "certificate"},
				{"ciphertext", sealed},
			}},
		})
	}
	return ok(document{{"data", data}})
}

// tradeStates are the texts of trade_state_desc.
var tradeStates = map[State]string{
	StateNotPay: "订单未支付", StateSuccess: "支付成功", StateClosed: "订单已关闭",
	StateUserPaying: "用户支付中，需要输入密码", StatePayError: "支付失败", StateRevoked: "订单已撤销",
	StateRefund: "订单发生过退款，退款详情请查询退款单",
}

// transaction is what a query answers about an order and what a notification has encrypted.
func (o order) transaction() document {
	d := document{
		{"appid", o.AppID},
		{"mchid", o.MerchantID},
		{"out_trade_no", o.OutTradeNo},
		{"trade_state", o.State},
		{"trade_state_desc", tradeStates[o.State]},
	}
	if o.Attach != "" {
		d = append(d, pair{"attach", o.Attach})
	}
	if !o.paid() {
		return append(d, pair{"amount", document{{"total", o.Amount}, {"currency", money.CNY}}})
	}
	d = append(d,
		pair{"transaction_id", o.TransactionID},
		pair{"trade_type", o.tradeType()},
		pair{"bank_type", "OTHERS"},
		pair{"success_time", stamp(o.PaidAt)},
		pair{"payer", document{{"openid", o.OpenID}}},
		pair{"amount", document{
			{"total", o.Amount}, {"payer_total", o.Amount}, {"currency", money.CNY}, {"payer_currency", money.CNY}}},
	)
	if o.DeviceID != "" {
		d = append(d, pair{"scene_info", document{{"device_id", o.DeviceID}}})
	}
	return d
}

// lie is the order as a fault tells it.
func (s *Sandbox) lie(kind string, o order) order {
	switch kind {
	case "wrong_amount":
		o.Amount++
	case "wrong_app":
		o.AppID = "wx" + s.random.text("lie", hexes, 16)
	}
	return o
}
