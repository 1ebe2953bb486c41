package apiv2

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/rules"
)

// TradeType is the way in which an order is paid.
type TradeType string

const (
	TradeJSAPI    TradeType = "JSAPI"    // in a mini program or an official account; needs OpenID
	TradeNative   TradeType = "NATIVE"   // the buyer scans a code; needs ProductID
	TradeMWeb     TradeType = "MWEB"     // in a browser outside WeChat (H5); needs SceneInfo.H5
	TradeApp      TradeType = "APP"      // in an app, by the OpenSDK
	TradeMicropay TradeType = "MICROPAY" // the shop scans the buyer's code: see [Client.Micropay]
)

// OrderRequest is an order. What is left empty is not sent.
type OrderRequest struct {
	TradeType     TradeType
	AppID         string    // bound to the merchant; "" means that of the client
	OpenID        string    // of the buyer, under AppID; required for TradeJSAPI unless SubOpenID is given
	SubOpenID     string    // of the buyer, under the client's SubAppID, for service providers
	OutTradeNo    string    // the merchant's number: 6 to 32 of 0-9 A-Z a-z _ - | *, never used before for another order
	Description   string    // the buyer sees it (body); at most 127 bytes, a Chinese character is 3, no emoji
	Total         money.Fen // at least 1 fen
	Currency      string    // "" means CNY; there is no other
	NotifyURL     string    // https, at most 256 bytes, no query
	PayerClientIP string    // the buyer's address, IPv4 or IPv6; for TradeMWeb it must be the real one
	ExpiresAt     time.Time // until when it can be paid, at most 15 days away; WeChat Pay's default is 7 days
	Attach        string    // comes back in queries, notifications and bills; at most 127 bytes
	ProductID     string    // the merchant's id of the goods; required for TradeNative; at most 32 characters

	GoodsTag      string // of a coupon campaign
	DeviceInfo    string // of the till, at most 32 characters; online shops say WEB
	NoCredit      bool   // refuses credit cards
	SupportFapiao bool   // offers an electronic invoice
	ProfitSharing bool   // keeps the money frozen for profit sharing (分账)
	Detail        OrderDetail
	SceneInfo     SceneInfo
}

// OrderDetail names the goods, for coupons of single goods. At most 6000 bytes of JSON in all.
type OrderDetail struct {
	CostPrice money.Fen `json:"cost_price,omitzero"` // before discounts, where the order is split
	ReceiptID string    `json:"receipt_id,omitzero"` // of the shop's receipt
	Goods     []Goods   `json:"goods_detail,omitempty"`
}

// Goods is one line of an order.
type Goods struct {
	MerchantGoodsID  string    `json:"goods_id"`                 // required, at most 32 characters
	WechatpayGoodsID string    `json:"wxpay_goods_id,omitempty"` // at most 32 characters
	Name             string    `json:"goods_name,omitempty"`     // at most 256 bytes
	Quantity         int64     `json:"quantity"`                 // at least 1
	UnitPrice        money.Fen `json:"price"`                    // before discounts
}

// SceneInfo says where the payment happens. At most 256 bytes of JSON.
type SceneInfo struct {
	H5    H5Info    `json:"h5_info,omitzero"`
	Store StoreInfo `json:"store_info,omitzero"`
}

// H5Info is the page or app that opens the payment. Type is Wap, IOS or Android, and says which of the others count.
type H5Info struct {
	Type        string `json:"type"`
	WapURL      string `json:"wap_url,omitempty"`
	WapName     string `json:"wap_name,omitempty"`
	AppName     string `json:"app_name,omitempty"`
	BundleID    string `json:"bundle_id,omitempty"`
	PackageName string `json:"package_name,omitempty"`
}

// StoreInfo is the shop of a payment.
type StoreInfo struct {
	ID       string `json:"id"` // required where anything of this is given; at most 32 characters
	Name     string `json:"name,omitempty"`
	AreaCode string `json:"area_code,omitempty"`
	Address  string `json:"address,omitempty"`
}

// PlacedOrder is what opens the payment.
type PlacedOrder struct {
	TradeType TradeType
	PrepayID  string // for [Client.PayParameters] or [Client.AppParameters]; good for two hours
	CodeURL   string // TradeNative: show it as a QR code; good for two hours
	MWebURL   string // TradeMWeb: lead the browser there; good for five minutes
}

// UnifiedOrder places an order (统一下单). Mini programs and official accounts use TradeJSAPI and then PayParameters.
//
// It may be repeated with exactly the same request, and after ErrUncertain it should be: WeChat Pay then answers for the
// order that it already has, with a fresh PrepayID. Another amount, description or expiry needs another number, after
// the old order is closed.
//
// Errors to tell apart: *RequestError (nothing was sent: mend the field), CodeOutTradeNoUsed and CodeInvalidRequest (the
// number was used otherwise), CodeOrderPaid, CodeAppIDMchIDNotMatch, CodeFrequencyLimited, ErrNotSent, ErrUncertain.
//
// Source: v2 manual, "统一下单" (chapter 9_1).
func (c *Client) UnifiedOrder(ctx context.Context, r OrderRequest) (*PlacedOrder, error) {
	fields, err := r.fields(c.now())
	if err != nil {
		return nil, fmt.Errorf("place the order: %w", err)
	}
	resp, err := c.do(ctx, "/pay/unifiedorder", r.AppID, fields)
	if err != nil {
		return nil, fmt.Errorf("place order %s: %w", r.OutTradeNo, err)
	}
	placed, err := readPlaced(resp.Fields, r.TradeType)
	if err != nil {
		return nil, fmt.Errorf("place order %s: %w", r.OutTradeNo, uncertain(fmt.Errorf("read the answer: %w", err)))
	}
	return placed, nil
}

func readPlaced(f Fields, wanted TradeType) (*PlacedOrder, error) {
	p := &PlacedOrder{
		TradeType: TradeType(f.find("trade_type")),
		PrepayID:  f.find("prepay_id"),
		CodeURL:   f.find("code_url"),
		MWebURL:   f.find("mweb_url"),
	}
	switch {
	case p.TradeType != wanted:
		return nil, errors.New("it is about another trade_type")
	case p.PrepayID == "":
		return nil, errors.New("it has no prepay_id")
	case wanted == TradeNative && p.CodeURL == "":
		return nil, errors.New("it has no code_url")
	case wanted == TradeMWeb && p.MWebURL == "":
		return nil, errors.New("it has no mweb_url")
	}
	return p, nil
}

// fields checks r and spells it for WeChat Pay.
func (r OrderRequest) fields(now time.Time) (Fields, error) {
	if err := r.check(now); err != nil {
		return nil, err
	}
	f := make(Fields, 0, 32)
	f = f.add("attach", r.Attach)
	f = f.add("body", r.Description)
	detail, err := r.Detail.encode()
	if err != nil {
		return nil, err
	}
	if detail != "" {
		f = f.add("detail", detail)
		f = f.add("version", "1.0")
	}
	f = f.add("device_info", r.DeviceInfo)
	f = f.add("fee_type", r.Currency)
	f = f.add("goods_tag", r.GoodsTag)
	if r.NoCredit {
		f = f.add("limit_pay", "no_credit")
	}
	f = f.add("notify_url", r.NotifyURL)
	f = f.add("openid", r.OpenID)
	f = f.add("out_trade_no", r.OutTradeNo)
	f = f.add("product_id", r.ProductID)
	if r.ProfitSharing {
		f = f.add("profit_sharing", "Y")
	}
	if r.SupportFapiao {
		f = f.add("receipt", "Y")
	}
	scene, err := r.SceneInfo.encode()
	if err != nil {
		return nil, err
	}
	f = f.add("scene_info", scene)
	f = f.add("spbill_create_ip", r.PayerClientIP)
	f = f.add("sub_openid", r.SubOpenID)
	if !r.ExpiresAt.IsZero() {
		f = f.add("time_expire", formatTime(r.ExpiresAt))
	}
	f = f.add("total_fee", strconv.FormatInt(int64(r.Total), 10))
	f = f.add("trade_type", string(r.TradeType))
	return f, nil
}

// add appends a field that is not empty.
func (f Fields) add(name, value string) Fields {
	if value == "" {
		return f
	}
	return append(f, Field{name, value})
}

func (r OrderRequest) check(now time.Time) error {
	switch r.TradeType {
	case TradeJSAPI:
		if r.OpenID == "" && r.SubOpenID == "" {
			return &RequestError{"openid", phrase.Text{
				EN: "JSAPI needs the buyer's openid under the appid of the order", ZH: "JSAPI 下单需要用户在该 APPID 下的 openid",
			}}
		}
	case TradeNative:
		if r.ProductID == "" {
			return &RequestError{"product_id", phrase.Text{EN: "NATIVE needs the id of the goods", ZH: "NATIVE 下单需要商品ID"}}
		}
	case TradeMWeb:
		if r.SceneInfo.H5.Type == "" {
			return &RequestError{"scene_info", phrase.Text{
				EN: "MWEB needs H5, with its Type: Wap, IOS or Android", ZH: "MWEB 下单需要 H5 场景信息及其类型 Wap、IOS 或 Android",
			}}
		}
	case TradeApp:
	default:
		return &RequestError{"trade_type", phrase.Text{EN: "it is JSAPI, NATIVE, MWEB or APP", ZH: "应为 JSAPI、NATIVE、MWEB 或 APP"}}
	}
	return cmp.Or(
		checkFen("total_fee", r.Total),
		checkCurrency("fee_type", r.Currency),
		checkText("body", r.Description, 1, 127),
		checkNewOutTradeNo(r.OutTradeNo),
		checkIP("spbill_create_ip", r.PayerClientIP),
		checkExpiry(r.ExpiresAt, now),
		checkAttach(r.Attach),
		checkNotifyURL(r.NotifyURL, 1),
		checkText("goods_tag", r.GoodsTag, 0, 32),
		checkText("device_info", r.DeviceInfo, 0, 32),
		checkToken("product_id", r.ProductID, 0, 32),
		checkToken("openid", r.OpenID, 0, 128),
		checkToken("sub_openid", r.SubOpenID, 0, 128),
	)
}

// encode checks d and returns its JSON, or "" where there is none.
func (d OrderDetail) encode() (string, error) {
	if d.CostPrice == 0 && d.ReceiptID == "" && len(d.Goods) == 0 {
		return "", nil
	}
	if d.CostPrice < 0 {
		return "", &RequestError{"detail.cost_price", phrase.Text{EN: "it is negative", ZH: "不能为负数"}}
	}
	if err := checkToken("detail.receipt_id", d.ReceiptID, 0, 32); err != nil {
		return "", err
	}
	if len(d.Goods) == 0 {
		return "", &RequestError{"detail.goods_detail", phrase.Text{EN: "it names no goods", ZH: "缺少商品"}}
	}
	for i, g := range d.Goods {
		field := fmt.Sprintf("detail.goods_detail[%d].", i)
		if g.Quantity < 1 {
			return "", &RequestError{field + "quantity", phrase.Text{EN: "it is at least 1", ZH: "至少为 1"}}
		}
		if g.UnitPrice < 0 {
			return "", &RequestError{field + "price", phrase.Text{EN: "it is negative", ZH: "不能为负数"}}
		}
		if err := cmp.Or(
			checkToken(field+"goods_id", g.MerchantGoodsID, 1, 32),
			checkToken(field+"wxpay_goods_id", g.WechatpayGoodsID, 0, 32),
			checkText(field+"goods_name", g.Name, 0, 256),
		); err != nil {
			return "", err
		}
	}
	return encodeJSON("detail", d, 6000)
}

// encode checks s and returns its JSON, or "" where there is none.
func (s SceneInfo) encode() (string, error) {
	if s == (SceneInfo{}) {
		return "", nil
	}
	if s.H5 != (H5Info{}) {
		if err := cmp.Or(
			checkToken("scene_info.h5_info.type", s.H5.Type, 1, 32),
			checkToken("scene_info.h5_info.wap_url", s.H5.WapURL, 0, 256),
			checkText("scene_info.h5_info.wap_name", s.H5.WapName, 0, 256),
			checkText("scene_info.h5_info.app_name", s.H5.AppName, 0, 256),
			checkToken("scene_info.h5_info.bundle_id", s.H5.BundleID, 0, 256),
			checkToken("scene_info.h5_info.package_name", s.H5.PackageName, 0, 256),
		); err != nil {
			return "", err
		}
	}
	if s.Store != (StoreInfo{}) {
		if err := cmp.Or(
			checkText("scene_info.store_info.id", s.Store.ID, 1, 32),
			checkText("scene_info.store_info.name", s.Store.Name, 0, 256),
			checkText("scene_info.store_info.area_code", s.Store.AreaCode, 0, 32),
			checkText("scene_info.store_info.address", s.Store.Address, 0, 256),
		); err != nil {
			return "", err
		}
	}
	return encodeJSON("scene_info", s, 256)
}

// encodeJSON writes JSON with Chinese, & and < as they are.
func encodeJSON(field string, v any, most int) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", notSent(err)
	}
	s := string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	if len(s) > most {
		return "", refuse(field, rules.TooLong(s, most))
	}
	return s, nil
}

// PayParameters signs what the phone gives to wx.requestPayment or WeixinJSBridge, with a fresh time and nonce. Call it
// each time that the buyer taps Pay; appID is the one that the order was placed with, and "" means that of the client.
// It sends nothing. The sign of an answer is not the paySign.
//
// Source: v2 manual, "小程序调起支付" (chapter 7_7).
func (c *Client) PayParameters(appID, prepayID string) (PayParameters, error) {
	return c.credentials.PayParameters(c.payingApp(appID), prepayID, c.now(), rand.Text())
}

// AppParameters signs what an app gives to the OpenSDK, with a fresh time and nonce. See PayParameters.
//
// Source: v2 manual, "APP调起支付" (chapter 9_12).
func (c *Client) AppParameters(appID, prepayID string) (AppParameters, error) {
	return c.credentials.AppParameters(c.payingApp(appID), c.partnerID, prepayID, c.now(), rand.Text())
}

// payingApp is the app on the phone: of a service provider, the sub merchant's where it has one.
func (c *Client) payingApp(appID string) string {
	switch {
	case appID != "":
		return appID
	case c.sub.AppID != "":
		return c.sub.AppID
	}
	return c.appID
}

// CloseOrder closes an order that is not paid. A nil error means that it can't be paid any more. Closing again is
// allowed. WeChat Pay asks to wait five minutes after the order was placed.
//
// After any error, query before telling anybody anything: a payment may have come first (CodeOrderPaid) or be under way
// (CodeFrequencyLimited); CodeOrderClosed means that it is closed already; ErrNotSent, ErrUncertain.
//
// Source: v2 manual, "关闭订单" (chapter 9_3).
func (c *Client) CloseOrder(ctx context.Context, outTradeNo string) error {
	if err := checkOutTradeNo(outTradeNo); err != nil {
		return fmt.Errorf("close an order: %w", err)
	}
	if _, err := c.do(ctx, "/pay/closeorder", "", Fields{{"out_trade_no", outTradeNo}}); err != nil {
		return fmt.Errorf("close order %s: %w", outTradeNo, err)
	}
	return nil
}
