package miniprogram

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/money"
)

// OrderKey names a payment: by TransactionID, or where that is empty by MerchantID and OutTradeNo.
type OrderKey struct {
	TransactionID string // WeChat's number, 4200…
	MerchantID    string // the merchant that took the order, digits
	// SubMerchantID is the sub-merchant that took the order where MerchantID is a service provider's, else "".
	SubMerchantID string
	OutTradeNo    string // the merchant's number, at most 32 characters
}

// check finds what is wrong with k. The fields are what the API calls them, below prefix.
func (k OrderKey) check(merchant, outTradeNo, prefix string) error {
	digits := func(s string) bool { return s != "" && len(s) <= 32 && strings.Trim(s, "0123456789") == "" }
	switch {
	case k.TransactionID != "":
		if len(k.TransactionID) > 32 || !isWord(k.TransactionID) {
			return mistake(prefix+"transaction_id", "it is WeChat's number of the payment",
				"应为微信支付单号", CodeInvalidTransactionID)
		}
	case k.MerchantID == "" && k.OutTradeNo == "":
		return mistake(prefix+"transaction_id", "name the payment: by this, or by merchant id and out_trade_no",
			"请用微信支付单号，或商户号加商户订单号指明支付单", CodeInvalidTransactionID)
	case !digits(k.MerchantID):
		return mistake(prefix+merchant, "it is the merchant's number, digits alone", "应为纯数字的商户号", CodeInvalidMerchantID)
	case k.SubMerchantID != "" && !digits(k.SubMerchantID):
		return mistake(prefix+"sub_"+merchant, "it is the sub-merchant's number, digits alone",
			"应为纯数字的子商户号", CodeInvalidMerchantID)
	case k.OutTradeNo == "" || len(k.OutTradeNo) > 32 || !isWord(strings.NewReplacer("|", "", "*", "").Replace(k.OutTradeNo)):
		return mistake(prefix+outTradeNo, "it has 1 to 32 of 0-9 A-Z a-z _ - | *",
			"应为 1–32 位数字、字母或 _-|*", CodeInvalidOutTradeNo)
	}
	return nil
}

// LogisticsType is how goods reach the buyer.
type LogisticsType int

const (
	LogisticsExpress  LogisticsType = 1 // 实体物流: by a carrier, with a tracking number
	LogisticsSameCity LogisticsType = 2 // 同城配送
	LogisticsVirtual  LogisticsType = 3 // 虚拟商品: there is nothing to send
	LogisticsPickUp   LogisticsType = 4 // 用户自提
)

// DeliveryMode is in how many parcels.
type DeliveryMode int

const (
	DeliveryUnified DeliveryMode = 1 // 统一发货: exactly one item
	DeliverySplit   DeliveryMode = 2 // 分拆发货: 1 to 15 parcels, by express only
)

// ShippingItem is a parcel, or what is shipped without one.
type ShippingItem struct {
	// Description is what the buyer reads: 1 to 120 characters.
	Description string
	// TrackingNo and Company are mandatory for express: the carrier's number of the parcel, at most 128 bytes, and the
	// carrier's code in WeChat's list, such as SF, YTO, ZTO.
	TrackingNo string
	Company    string
	// ConsignorContact and ReceiverContact are phone numbers as MaskPhone makes them. SF (顺丰) needs one of them.
	ConsignorContact string
	ReceiverContact  string
}

// ShippingInfo is what became of the goods of one payment.
type ShippingInfo struct {
	Order        OrderKey
	Logistics    LogisticsType
	Delivery     DeliveryMode // the default is DeliveryUnified
	AllDelivered bool         // with DeliverySplit: these are the last parcels, and the buyer is told
	Items        []ShippingItem
	OpenID       string // the payer's under this app
	// UploadTime must be later than that of the last upload for the same payment. The default is now. Whoever sends the
	// same again keeps it.
	UploadTime time.Time
}

// CombinedShippingInfo is what became of the goods of a combined payment (合单).
type CombinedShippingInfo struct {
	Order      OrderKey // of the combined order
	SubOrders  []SubOrder
	OpenID     string    // the payer's under this app
	UploadTime time.Time // see ShippingInfo
}

// SubOrder is one of the orders that were paid together. Its Order is named in the same way as that of the combined order.
type SubOrder struct {
	Order        OrderKey
	Logistics    LogisticsType
	Delivery     DeliveryMode // the default is DeliveryUnified
	AllDelivered bool         // with DeliverySplit
	Items        []ShippingItem
}

type orderKeyJSON struct {
	Type          int    `json:"order_number_type"`
	TransactionID string `json:"transaction_id,omitempty"`
	MerchantID    string `json:"mchid,omitempty"`
	OutTradeNo    string `json:"out_trade_no,omitempty"`
}

type contactJSON struct {
	Consignor string `json:"consignor_contact,omitempty"`
	Receiver  string `json:"receiver_contact,omitempty"`
}

type itemJSON struct {
	TrackingNo  string      `json:"tracking_no,omitempty"`
	Company     string      `json:"express_company,omitempty"`
	Description string      `json:"item_desc"`
	Contact     contactJSON `json:"contact,omitzero"`
}

// shippingJSON is the part that a payment and a sub-order have in common. WeChat refuses nulls and empty objects (47001), so
// what is absent is left out.
type shippingJSON struct {
	Order        orderKeyJSON  `json:"order_key"`
	Logistics    LogisticsType `json:"logistics_type"`
	Delivery     DeliveryMode  `json:"delivery_mode"`
	AllDelivered *bool         `json:"is_all_delivered,omitempty"`
	Items        []itemJSON    `json:"shipping_list"`
}

type payerJSON struct {
	OpenID string `json:"openid"`
}

// json checks the key and spells it. The merchant is the one that took the order.
func (k OrderKey) json(prefix string) (orderKeyJSON, error) {
	prefix += "order_key."
	if err := k.check("mchid", "out_trade_no", prefix); err != nil {
		return orderKeyJSON{}, err
	}
	if k.TransactionID != "" {
		return orderKeyJSON{Type: 2, TransactionID: k.TransactionID}, nil
	}
	merchant := k.MerchantID
	if k.SubMerchantID != "" {
		merchant = k.SubMerchantID
	}
	return orderKeyJSON{Type: 1, MerchantID: merchant, OutTradeNo: k.OutTradeNo}, nil
}

// json checks s and spells it. Its fields are named below prefix.
func (s SubOrder) json(prefix string) (shippingJSON, error) {
	var none shippingJSON
	key, err := s.Order.json(prefix)
	if err != nil {
		return none, err
	}
	if s.Delivery == 0 {
		s.Delivery = DeliveryUnified
	}
	problem := func(field, en, zh string, c ErrCode) (shippingJSON, error) {
		return none, mistake(prefix+field, en, zh, c)
	}
	switch {
	case s.Logistics < LogisticsExpress || s.Logistics > LogisticsPickUp:
		return problem("logistics_type", "it is 1 (express), 2 (same city), 3 (virtual) or 4 (pick-up)",
			"应为 1 快递、2 同城、3 虚拟或 4 自提", CodeInvalidLogistics)
	case s.Delivery != DeliveryUnified && s.Delivery != DeliverySplit:
		return problem("delivery_mode", "it is 1 (unified) or 2 (split)", "应为 1 统一发货或 2 分拆发货", CodeInvalidDeliveryMode)
	case s.Delivery == DeliverySplit && s.Logistics != LogisticsExpress:
		return problem("delivery_mode", "only express can be split", "仅快递可以分拆发货", CodeSplitNotExpress)
	case s.Delivery == DeliveryUnified && len(s.Items) != 1:
		return problem("shipping_list", "the unified mode has exactly one item", "统一发货须恰好 1 项", CodeUnifiedNeedsOneItem)
	case len(s.Items) == 0:
		return problem("shipping_list", "it is empty", "不能为空", CodeInvalidShippingParameter)
	case len(s.Items) > 15:
		return problem("shipping_list", "it has at most 15 parcels", "最多 15 项", CodeShippingListTooLong)
	}
	v := shippingJSON{Order: key, Logistics: s.Logistics, Delivery: s.Delivery}
	if s.Delivery == DeliverySplit {
		v.AllDelivered = &s.AllDelivered
	}
	for i, item := range s.Items {
		if err := item.check(s.Logistics, fmt.Sprintf("%sshipping_list[%d].", prefix, i)); err != nil {
			return none, err
		}
		v.Items = append(v.Items, itemJSON{
			TrackingNo: item.TrackingNo, Company: item.Company, Description: item.Description,
			Contact: contactJSON{Consignor: item.ConsignorContact, Receiver: item.ReceiverContact},
		})
	}
	return v, nil
}

// companySF is the carrier that asks for a contact.
const companySF = "SF"

func (i ShippingItem) check(logistics LogisticsType, prefix string) error {
	problem := func(field, en, zh string, c ErrCode) error {
		return mistake(prefix+field, en, zh, c)
	}
	switch {
	case logistics == LogisticsExpress && i.TrackingNo == "":
		return problem("tracking_no", "express has a tracking number", "快递须填物流单号", CodeTrackingNoMissing)
	case len(i.TrackingNo) > 128 || !isLine(i.TrackingNo):
		return problem("tracking_no", "it has at most 128 bytes, on one line", "最长 128 字节，不含控制字符", CodeTrackingNoTooLong)
	case logistics == LogisticsExpress && i.Company == "":
		return problem("express_company", "express has a carrier, such as SF",
			"快递须填物流公司编码，如 SF", CodeExpressCompanyMissing)
	case len(i.Company) > 128 || !isLine(i.Company):
		return problem("express_company", "it is a carrier's code of at most 128 bytes",
			"应为物流公司编码，最长 128 字节", CodeExpressCompanyTooLong)
	case strings.TrimSpace(i.Description) == "":
		return problem("item_desc", "it says what is shipped", "请填写商品描述", CodeItemDescriptionEmpty)
	case utf8.RuneCountInString(i.Description) > 120:
		return problem("item_desc", "it has at most 120 characters", "最长 120 个字", CodeItemDescriptionTooLong)
	case !utf8.ValidString(i.Description):
		return problem("item_desc", "it is not UTF-8", "不是 UTF-8 文本", CodeDataFormat)
	case i.Company == companySF && i.ConsignorContact == "" && i.ReceiverContact == "":
		return problem("contact", "SF needs the masked phone number of sender or receiver",
			"顺丰须填寄件人或收件人的掩码手机号", CodeInvalidShippingParameter)
	}
	for _, c := range []struct{ field, value string }{
		{"contact.consignor_contact", i.ConsignorContact}, {"contact.receiver_contact", i.ReceiverContact},
	} {
		if c.value != "" && !isMasked(c.value) {
			return problem(c.field, "it is masked but for the last 4 digits, such as 189****1234",
				"须为掩码且最后 4 位可见，如 189****1234", CodeInvalidShippingParameter)
		}
	}
	return nil
}

// isLine reports whether s is UTF-8 without control characters.
func isLine(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// isMasked reports whether s is a phone number with at least one digit hidden and the last four not.
func isMasked(s string) bool {
	return len(s) >= 5 && len(s) <= 64 && strings.Contains(s, "*") &&
		strings.Trim(s, "0123456789+-*") == "" && strings.Trim(s[len(s)-4:], "0123456789") == ""
}

// MaskPhone hides the four digits before the last four: "18912341234" becomes "189****1234" and "+86-17712341234" becomes
// "+86-177****1234". What has fewer than eight digits at its end is not a phone number and becomes "".
func MaskPhone(number string) string {
	const digits = "0123456789"
	if len(number) < 8 || strings.Trim(number[len(number)-8:], digits) != "" || strings.Trim(number, digits+"+-") != "" {
		return ""
	}
	return number[:len(number)-8] + "****" + number[len(number)-4:]
}

// beijing is the zone in which WeChat writes its times.
var beijing = time.FixedZone("CST", 8*3600)

// uploadTime spells at, or now.
func (c *Client) uploadTime(at time.Time) (string, error) {
	if at.IsZero() {
		at = c.now()
	}
	at = at.In(beijing)
	if at.Year() < 2000 || at.Year() > 9999 {
		return "", mistake("upload_time", "it is the time of shipping", "应为发货时间", CodeInvalidUploadTime)
	}
	return at.Format("2006-01-02T15:04:05.000Z07:00"), nil
}

// UploadShippingInfo tells WeChat what became of the goods of a payment. WeChat learns of payments some seconds late, so
// ask ten seconds after the payment was heard of and go by [ReactionTo] from there.
//
// The same may be sent again, with the same UploadTime: CodeShippingUnchanged then says that it is done. Other content for
// a payment whose goods were all shipped uses up the one chance to ship again (重新发货), so remember what was sent.
//
// Errors to tell apart: CodeShippingOrderNotFound (wait), CodeShippingUnchanged and CodeShippingFinished (done),
// CodeReshipUsed (never again), CodeNotShippable (see GetOrder), CodeUnauthorized (the service is not on for this app).
// A RequestError was found before anything was sent.
//
// Source: WeChat's manual for mini programs, "发货信息录入接口" (upload_shipping_info).
func (c *Client) UploadShippingInfo(ctx context.Context, s ShippingInfo) error {
	err := func() error {
		v, err := SubOrder{s.Order, s.Logistics, s.Delivery, s.AllDelivered, s.Items}.json("")
		if err != nil {
			return err
		}
		if err := checkOpenID("payer.openid", s.OpenID); err != nil {
			return err
		}
		at, err := c.uploadTime(s.UploadTime)
		if err != nil {
			return err
		}
		return c.post(ctx, "/wxa/sec/order/upload_shipping_info", struct {
			shippingJSON
			UploadTime string    `json:"upload_time"`
			Payer      payerJSON `json:"payer"`
		}{v, at, payerJSON{s.OpenID}}, nil, "openid", s.OpenID)
	}()
	if err != nil {
		return fmt.Errorf("upload shipping info: %w", err)
	}
	return nil
}

// UploadCombinedShippingInfo is UploadShippingInfo for orders that were paid together.
//
// Source: WeChat's manual for mini programs, "发货信息合单录入接口" (upload_combined_shipping_info).
func (c *Client) UploadCombinedShippingInfo(ctx context.Context, s CombinedShippingInfo) error {
	err := func() error {
		key, err := s.Order.json("")
		if err != nil {
			return err
		}
		if len(s.SubOrders) == 0 {
			return mistake("sub_orders", "it is empty", "不能为空", CodeInvalidShippingParameter)
		}
		var subs []shippingJSON
		for i, sub := range s.SubOrders {
			prefix := fmt.Sprintf("sub_orders[%d].", i)
			v, err := sub.json(prefix)
			if err != nil {
				return err
			}
			if v.Order.Type != key.Type {
				return mistake(prefix+"order_key.order_number_type", "it is that of the combined order",
					"须与合单的类型一致", CodeInvalidOrderNumberType)
			}
			subs = append(subs, v)
		}
		if err := checkOpenID("payer.openid", s.OpenID); err != nil {
			return err
		}
		at, err := c.uploadTime(s.UploadTime)
		if err != nil {
			return err
		}
		return c.post(ctx, "/wxa/sec/order/upload_combined_shipping_info", struct {
			Order      orderKeyJSON   `json:"order_key"`
			SubOrders  []shippingJSON `json:"sub_orders"`
			UploadTime string         `json:"upload_time"`
			Payer      payerJSON      `json:"payer"`
		}{key, subs, at, payerJSON{s.OpenID}}, nil, "openid", s.OpenID)
	}()
	if err != nil {
		return fmt.Errorf("upload combined shipping info: %w", err)
	}
	return nil
}

// OrderState is where WeChat sees an order.
type OrderState int

const (
	OrderToShip    OrderState = 1 // 待发货
	OrderShipped   OrderState = 2 // 已发货
	OrderReceived  OrderState = 3 // 确认收货
	OrderFinished  OrderState = 4 // 交易完成
	OrderRefunded  OrderState = 5 // 已退款
	OrderUnsettled OrderState = 6 // 资金待结算
)

// ShippingOrder is what WeChat knows about the goods of a payment.
type ShippingOrder struct {
	TransactionID string
	MerchantID    string
	SubMerchantID string
	OutTradeNo    string
	Description   string
	Paid          money.Fen
	OpenID        string
	CreatedAt     time.Time // of the order, UTC; WeChat may leave it out
	PaidAt        time.Time // UTC
	State         OrderState
	InComplaint   bool
	Shipping      ShippedGoods // zero where nothing was sent
}

// ShippedGoods is what was uploaded.
type ShippedGoods struct {
	Logistics   LogisticsType
	Delivery    DeliveryMode
	Finished    bool // all was shipped
	Finishes    int  // 0, 1, or 2 where the chance to ship again was used
	Description string
	Parcels     []Parcel
}

// Parcel is one item of what was uploaded.
type Parcel struct {
	TrackingNo       string
	Company          string
	Description      string
	UploadedAt       time.Time // UTC
	ConsignorContact string    // masked
	ReceiverContact  string    // masked
}

type shippingOrderJSON struct {
	TransactionID string     `json:"transaction_id"`
	MerchantID    string     `json:"merchant_id"`
	SubMerchantID string     `json:"sub_merchant_id"`
	OutTradeNo    string     `json:"merchant_trade_no"`
	Description   string     `json:"description"`
	Paid          *money.Fen `json:"paid_amount"`
	OpenID        string     `json:"openid"`
	CreatedAt     loose      `json:"trade_create_time"`
	PaidAt        loose      `json:"pay_time"`
	State         OrderState `json:"order_state"`
	InComplaint   bool       `json:"in_complaint"`
	Shipping      struct {
		Delivery    DeliveryMode  `json:"delivery_mode"`
		Logistics   LogisticsType `json:"logistics_type"`
		Finished    bool          `json:"finish_shipping"`
		Finishes    int           `json:"finish_shipping_count"`
		Description string        `json:"goods_desc"`
		Parcels     []struct {
			TrackingNo  string      `json:"tracking_no"`
			Company     string      `json:"express_company"`
			Description string      `json:"goods_desc"`
			UploadedAt  loose       `json:"upload_time"`
			Contact     contactJSON `json:"contact"`
		} `json:"shipping_list"`
	} `json:"shipping"`
}

func (j shippingOrderJSON) order() (ShippingOrder, error) {
	if j.TransactionID == "" || j.State == 0 || j.Paid == nil || *j.Paid < 0 {
		return ShippingOrder{}, fmt.Errorf("%w: the answer is not a whole order", ErrNoAnswer)
	}
	o := ShippingOrder{
		TransactionID: j.TransactionID, MerchantID: j.MerchantID, SubMerchantID: j.SubMerchantID, OutTradeNo: j.OutTradeNo,
		Description: j.Description, Paid: *j.Paid, OpenID: j.OpenID, State: j.State, InComplaint: j.InComplaint,
		Shipping: ShippedGoods{
			Logistics: j.Shipping.Logistics, Delivery: j.Shipping.Delivery, Finished: j.Shipping.Finished,
			Finishes: j.Shipping.Finishes, Description: j.Shipping.Description,
		},
	}
	var err error
	at := func(l loose) time.Time {
		t, wrong := l.time()
		if wrong != nil {
			err = fmt.Errorf("%w: a time of the order: %w", ErrNoAnswer, wrong)
		}
		return t
	}
	o.CreatedAt, o.PaidAt = at(j.CreatedAt), at(j.PaidAt)
	for _, p := range j.Shipping.Parcels {
		o.Shipping.Parcels = append(o.Shipping.Parcels, Parcel{
			TrackingNo: p.TrackingNo, Company: p.Company, Description: p.Description, UploadedAt: at(p.UploadedAt),
			ConsignorContact: p.Contact.Consignor, ReceiverContact: p.Contact.Receiver,
		})
	}
	if err != nil {
		return ShippingOrder{}, err
	}
	return o, nil
}

// orderQuery is the OrderKey of the APIs that only look, which have other names for the same things.
type orderQuery struct {
	TransactionID string `json:"transaction_id,omitempty"`
	MerchantID    string `json:"merchant_id,omitempty"`
	SubMerchantID string `json:"sub_merchant_id,omitempty"`
	OutTradeNo    string `json:"merchant_trade_no,omitempty"`
}

func (k OrderKey) query() (orderQuery, error) {
	if err := k.check("merchant_id", "merchant_trade_no", ""); err != nil {
		return orderQuery{}, err
	}
	if k.TransactionID != "" {
		return orderQuery{TransactionID: k.TransactionID}, nil
	}
	return orderQuery{MerchantID: k.MerchantID, SubMerchantID: k.SubMerchantID, OutTradeNo: k.OutTradeNo}, nil
}

// GetOrder asks where WeChat sees an order. It may be repeated.
//
// Errors to tell apart: CodeShippingOrderNotFound (wait), CodeUnauthorized (the service is not on for this app).
//
// Source: WeChat's manual for mini programs, "查询订单发货状态" (get_order).
func (c *Client) GetOrder(ctx context.Context, key OrderKey) (ShippingOrder, error) {
	o, err := c.getOrder(ctx, key)
	if err != nil {
		return ShippingOrder{}, fmt.Errorf("ask for the shipping of an order: %w", err)
	}
	return o, nil
}

func (c *Client) getOrder(ctx context.Context, key OrderKey) (ShippingOrder, error) {
	q, err := key.query()
	if err != nil {
		return ShippingOrder{}, err
	}
	var v struct {
		Order shippingOrderJSON `json:"order"`
	}
	if err := c.post(ctx, "/wxa/sec/order/get_order", q, &v); err != nil {
		return ShippingOrder{}, err
	}
	if key.TransactionID != "" && v.Order.TransactionID != key.TransactionID ||
		key.TransactionID == "" && v.Order.OutTradeNo != key.OutTradeNo {
		return ShippingOrder{}, fmt.Errorf("%w: the answer is about another order", ErrNoAnswer)
	}
	return v.Order.order()
}

// OrderFilter says which orders GetOrderList yields. The zero value says all.
type OrderFilter struct {
	PaidFrom, PaidTo time.Time // the zero times: whenever
	State            OrderState
	OpenID           string
	PageSize         int // orders per request, at most 100; the default is WeChat's
}

// GetOrderList yields the orders that f says, asking for a page when it is needed. An error ends it: the list then begins
// anew.
//
// Source: WeChat's manual for mini programs, "查询订单列表" (get_order_list).
func (c *Client) GetOrderList(ctx context.Context, f OrderFilter) iter.Seq2[ShippingOrder, error] {
	return func(yield func(ShippingOrder, error) bool) {
		index := ""
		for {
			page, err := c.orderPage(ctx, f, index)
			if err != nil {
				yield(ShippingOrder{}, fmt.Errorf("list orders: %w", err))
				return
			}
			for _, o := range page.orders {
				if !yield(o, nil) {
					return
				}
			}
			if !page.more {
				return
			}
			index = page.last
		}
	}
}

type orderPage struct {
	orders []ShippingOrder
	last   string
	more   bool
}

type payTimeRange struct {
	Begin int64 `json:"begin_time,omitempty"`
	End   int64 `json:"end_time,omitempty"`
}

// orderPage asks for what comes after index, which is "" for the first page.
func (c *Client) orderPage(ctx context.Context, f OrderFilter, index string) (orderPage, error) {
	seconds := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.Unix()
	}
	paid := payTimeRange{seconds(f.PaidFrom), seconds(f.PaidTo)}
	switch {
	case f.PageSize < 0 || f.PageSize > 100:
		return orderPage{}, mistake("page_size", "it is from 1 to 100", "应为 1–100", CodeInvalidShippingParameter)
	case paid.Begin < 0 || paid.End < 0 || paid.Begin != 0 && paid.End != 0 && paid.Begin > paid.End:
		return orderPage{}, mistake("pay_time_range", "it begins before it ends",
			"开始时间应早于结束时间", CodeInvalidShippingParameter)
	case f.State < 0:
		return orderPage{}, mistake("order_state", "it is one of the states", "应为订单状态之一", CodeInvalidShippingParameter)
	}
	if f.OpenID != "" {
		if err := checkOpenID("openid", f.OpenID); err != nil {
			return orderPage{}, err
		}
	}
	var v struct {
		done
		Orders []shippingOrderJSON `json:"order_list"`
		Last   string              `json:"last_index"`
		More   bool                `json:"has_more"`
	}
	err := c.post(ctx, "/wxa/sec/order/get_order_list", struct {
		Paid     payTimeRange `json:"pay_time_range,omitzero"`
		State    OrderState   `json:"order_state,omitempty"`
		OpenID   string       `json:"openid,omitempty"`
		Index    string       `json:"last_index,omitempty"`
		PageSize int          `json:"page_size,omitempty"`
	}{paid, f.State, f.OpenID, index, f.PageSize}, &v, "openid", f.OpenID)
	if err != nil {
		return orderPage{}, err
	}
	if v.Orders == nil && !v.said() {
		return orderPage{}, fmt.Errorf("%w: the answer is no list", ErrNoAnswer)
	}
	if v.More && (v.Last == "" || v.Last == index) {
		return orderPage{}, fmt.Errorf("%w: the list does not go on", ErrNoAnswer) // and would be asked for without end
	}
	page := orderPage{last: v.Last, more: v.More}
	for _, j := range v.Orders {
		o, err := j.order()
		if err != nil {
			return orderPage{}, err
		}
		page.orders = append(page.orders, o)
	}
	return page, nil
}

// NotifyConfirmReceive has WeChat remind the buyer to confirm that the goods arrived, which was at receivedAt. It is for
// express, once per order: CodeConfirmReminderUsed after ErrNoAnswer says that it was done.
//
// Source: WeChat's manual for mini programs, "确认收货提醒接口" (notify_confirm_receive).
func (c *Client) NotifyConfirmReceive(ctx context.Context, key OrderKey, receivedAt time.Time) error {
	q, err := key.query()
	if err == nil && receivedAt.Unix() <= 0 {
		err = mistake("received_time", "it is when the goods arrived", "应为签收时间", CodeInvalidReceivedTime)
	}
	if err == nil {
		err = c.post(ctx, "/wxa/sec/order/notify_confirm_receive", struct {
			orderQuery
			ReceivedTime int64 `json:"received_time"`
		}{q, receivedAt.Unix()}, nil)
	}
	if err != nil {
		return fmt.Errorf("remind a buyer to confirm the receipt: %w", err)
	}
	return nil
}

// SetMsgJumpPath sets the page of the mini program that WeChat's messages about shipping lead to, such as
// "pages/order/order". It may be repeated.
//
// Source: WeChat's manual for mini programs, "消息跳转路径设置接口" (set_msg_jump_path).
func (c *Client) SetMsgJumpPath(ctx context.Context, path string) error {
	return c.setPath(ctx, "/wxa/sec/order/set_msg_jump_path", path, "set the page of shipping messages")
}

// orderNumber stands in a path for the number of the order, and is replaced by WeChat.
const orderNumber = "${商品订单号}"

// UpdateOrderDetailPath sets the page of the mini program that shows an order (小程序购物订单), such as
// "pages/order/order?no=${商品订单号}". WeChat puts the out_trade_no in the place of ${商品订单号}. It may be repeated.
//
// Source: WeChat's manual for mini programs, "小程序购物订单" (update_order_detail_path).
func (c *Client) UpdateOrderDetailPath(ctx context.Context, path string) error {
	if !strings.Contains(path, orderNumber) {
		return fmt.Errorf("set the page of orders: %w",
			mistake("path", "it holds "+orderNumber+", which WeChat replaces", "须包含 "+orderNumber, CodeInvalidPath))
	}
	return c.setPath(ctx, "/wxa/sec/order/update_order_detail_path", path, "set the page of orders")
}

func (c *Client) setPath(ctx context.Context, api, path, doing string) error {
	var err error
	u, wrong := url.Parse(path)
	if wrong != nil || path == "" || len(path) > 1024 || !isLine(path) || u.Scheme != "" || u.Host != "" {
		err = mistake("path", "it is a page of the mini program, such as pages/order/order",
			"应为小程序页面路径，如 pages/order/order", CodeInvalidPath)
	} else {
		err = c.post(ctx, api, struct {
			Path string `json:"path"`
		}{path}, nil)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// IsTradeManaged asks whether WeChat manages the trades of this app (发货信息管理服务), so that shipping info must be uploaded. It
// may be repeated.
//
// Source: WeChat's manual for mini programs, "查询小程序是否已开通发货信息管理服务" (is_trade_managed).
func (c *Client) IsTradeManaged(ctx context.Context) (bool, error) {
	return c.ask(ctx, "/wxa/sec/order/is_trade_managed", "is_trade_managed")
}

// IsTradeManagementConfirmationCompleted asks whether all merchants bound to this app are authorised for the management of
// its trades, or unbound. It may be repeated.
//
// Source: WeChat's manual for mini programs, "查询小程序是否已完成交易结算管理确认" (is_trade_management_confirmation_completed).
func (c *Client) IsTradeManagementConfirmationCompleted(ctx context.Context) (bool, error) {
	return c.ask(ctx, "/wxa/sec/order/is_trade_management_confirmation_completed", "completed")
}

// ask asks something about the app that is answered by one field.
func (c *Client) ask(ctx context.Context, api, field string) (bool, error) {
	var v map[string]json.RawMessage
	err := c.post(ctx, api, struct {
		AppID string `json:"appid"`
	}{c.appID}, &v)
	if err == nil {
		switch string(v[field]) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		err = fmt.Errorf("%w: the answer has no %s", ErrNoAnswer, field)
	}
	return false, fmt.Errorf("ask how trades are managed: %w", err)
}

// SpecialOrderType is why an order is not shipped like others.
type SpecialOrderType int

const (
	SpecialOrderPreSale SpecialOrderType = 1 // 预售: shipped more than 15 days after the payment
	SpecialOrderTest    SpecialOrderType = 2 // 测试: never shipped
)

// SpecialOrder reports an order that is not shipped like others.
type SpecialOrder struct {
	OrderID string // the transaction id or the out_trade_no
	Type    SpecialOrderType
	DelayTo time.Time // with SpecialOrderPreSale: when it is shipped, from 15 to 330 days after the payment
}

// ReportSpecialOrder tells WeChat that an order is shipped late, or is a test. It may be repeated.
//
// Source: WeChat's manual for mini programs, "特殊发货报备" (opspecialorder).
func (c *Client) ReportSpecialOrder(ctx context.Context, s SpecialOrder) error {
	delay, err := int64(0), error(nil)
	switch {
	case s.OrderID == "" || len(s.OrderID) > 64 || !isLine(s.OrderID):
		err = mistake("order_id", "it is the number of the order", "应为订单号", CodeSpecialOrderNotFound)
	case s.Type == SpecialOrderTest:
	case s.Type != SpecialOrderPreSale:
		err = mistake("type", "it is 1 (pre-sale) or 2 (test)", "应为 1 预售或 2 测试", CodeInvalidSpecialOrderType)
	case !s.DelayTo.After(c.now()) || s.DelayTo.After(c.now().AddDate(0, 0, 330)):
		err = mistake("delay_to", "it is in the next 330 days", "应在未来 330 天内", CodeInvalidSpecialOrderDelay)
	default:
		delay = s.DelayTo.Unix()
	}
	if err == nil {
		err = c.post(ctx, "/wxa/sec/order/opspecialorder", struct {
			OrderID string           `json:"order_id"`
			Type    SpecialOrderType `json:"type"`
			DelayTo int64            `json:"delay_to,omitempty"`
		}{s.OrderID, s.Type, delay}, nil)
	}
	if err != nil {
		return fmt.Errorf("report a special order: %w", err)
	}
	return nil
}
