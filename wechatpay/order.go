package wechatpay

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
)

// PrepayRequest is an order. What is left empty is not sent.
type PrepayRequest struct {
	AppID       string    // of the mini program, official account or app; bound to the merchant
	OpenID      string    // of the buyer, under the same AppID; with Prepay alone
	SubOpenID   string    // of the buyer, under the AppID of [SubMerchant], instead of OpenID; with Prepay alone
	OutTradeNo  string    // the merchant's number: 6 to 32 of 0-9 A-Z a-z _ - | *, never used before for another order
	Description string    // the buyer sees it; at most 127 bytes, a Chinese character is 3, no emoji
	Total       money.Fen // at least 1 fen
	Currency    string    // "" means CNY; there is no other
	NotifyURL   string    // https, at most 256 bytes, no query
	ExpiresAt   time.Time // until when it can be paid, some days away at most; WeChat Pay's default is 7 days
	Attach      string    // comes back in queries, notifications and bills; at most 128 bytes

	GoodsTag      string // of a coupon campaign
	SupportFapiao bool   // offers an electronic invoice
	Detail        OrderDetail
	SceneInfo     SceneInfo
	SettleInfo    SettleInfo
}

// OrderDetail names the goods, for coupons of single goods. At most 6144 bytes of JSON in all.
type OrderDetail struct {
	CostPrice money.Fen `json:"cost_price,omitzero"` // before discounts, where the order is split
	InvoiceID string    `json:"invoice_id,omitzero"` // of the shop's receipt
	Goods     []Goods   `json:"goods_detail,omitempty"`
}

// Goods is one line of an order.
type Goods struct {
	MerchantGoodsID  string    `json:"merchant_goods_id"`            // required, at most 32 characters
	WechatpayGoodsID string    `json:"wechatpay_goods_id,omitempty"` // at most 32 characters
	Name             string    `json:"goods_name,omitempty"`         // at most 256 bytes
	Quantity         int64     `json:"quantity"`                     // at least 1
	UnitPrice        money.Fen `json:"unit_price"`                   // before discounts
}

// SceneInfo says where the payment happens.
type SceneInfo struct {
	PayerClientIP string    `json:"payer_client_ip"`     // required where anything of this is given; IPv4 or IPv6
	DeviceID      string    `json:"device_id,omitempty"` // at most 32 characters
	Store         StoreInfo `json:"store_info,omitzero"`
	H5            H5Info    `json:"h5_info,omitzero"` // required by PrepayH5, and for it alone
}

// H5Info says which page or app an H5 payment begins in.
type H5Info struct {
	Type        string `json:"type"`                   // required: Wap, iOS or Android
	AppName     string `json:"app_name,omitempty"`     // at most 64 bytes
	AppURL      string `json:"app_url,omitempty"`      // at most 128 characters
	BundleID    string `json:"bundle_id,omitempty"`    // of iOS, at most 128 characters
	PackageName string `json:"package_name,omitempty"` // of Android, at most 128 characters
}

// StoreInfo is the shop of a payment.
type StoreInfo struct {
	ID       string `json:"id"` // required where anything of this is given; at most 32 characters
	Name     string `json:"name,omitempty"`
	AreaCode string `json:"area_code,omitempty"`
	Address  string `json:"address,omitempty"`
}

// SettleInfo says how the money is settled.
type SettleInfo struct {
	ProfitSharing bool `json:"profit_sharing,omitzero"` // keeps the money frozen for profit sharing (分账)
}

// prepayJSON is a PrepayRequest as it is sent.
type prepayJSON struct {
	partiesJSON
	Description   string      `json:"description"`
	OutTradeNo    string      `json:"out_trade_no"`
	TimeExpire    string      `json:"time_expire,omitempty"`
	Attach        string      `json:"attach,omitempty"`
	NotifyURL     string      `json:"notify_url"`
	GoodsTag      string      `json:"goods_tag,omitempty"`
	SupportFapiao bool        `json:"support_fapiao,omitempty"`
	Amount        amountJSON  `json:"amount"`
	Payer         payerJSON   `json:"payer,omitzero"`
	Detail        OrderDetail `json:"detail,omitzero"`
	SceneInfo     SceneInfo   `json:"scene_info,omitzero"`
	SettleInfo    SettleInfo  `json:"settle_info,omitzero"`
}

type amountJSON struct {
	Total    money.Fen `json:"total"`
	Currency string    `json:"currency"`
}

type payerJSON struct {
	OpenID         string `json:"openid,omitempty"`
	ProviderOpenID string `json:"sp_openid,omitempty"`
	SubOpenID      string `json:"sub_openid,omitempty"`
}

// The products, as the paths of orders name them.
const (
	productJSAPI  = "jsapi"
	productNative = "native"
	productH5     = "h5"
	productApp    = "app"
)

// Prepay places an order of a mini program or an official account (JSAPI) and returns its prepay id, with which
// PayParameters opens the payment on the phone. The prepay id is valid for two hours; placing the same order again while
// it is unpaid gives a fresh one.
//
// It may be repeated with exactly the same request, and after ErrUncertain it should be: WeChat Pay then answers for the
// order that it already has. Equal requests are sent as equal bytes. Another amount, description or expiry needs another
// number, after the old order is closed.
//
// Errors to tell apart: *RequestError (nothing was sent: mend the field), CodeOutTradeNoUsed and CodeInvalidRequest (the
// number was used otherwise), CodeOrderPaid, CodeAppIDMchIDNotMatch, CodeFrequencyLimited, ErrNotSent, ErrUncertain.
//
// Source: vendor manual, "JSAPI下单".
func (c *Client) Prepay(ctx context.Context, r PrepayRequest) (prepayID string, err error) {
	return c.place(ctx, productJSAPI, r, "prepay_id")
}

// PrepayNative places an order (Native) and returns what to show as a QR code: "weixin://wxpay/bizpayurl?…", valid for
// two hours. The buyer scans it; a picture of it that is pressed or taken from the album is refused. As with Prepay, the
// same order may be placed again, and the older code then stops working; so do the errors. CodeOrderClosed: take a new
// number.
//
// Source: vendor manual, "Native下单".
func (c *Client) PrepayNative(ctx context.Context, r PrepayRequest) (codeURL string, err error) {
	return c.place(ctx, productNative, r, "code_url")
}

// PrepayH5 places an order for a browser outside of WeChat (H5) and returns the address to send the phone to, valid for
// five minutes. The page that leads there is on the domain registered with WeChat Pay. The address may be changed in one
// way: "&redirect_url=" and an escaped address behind it bring the buyer back, with no word on whether it was paid.
//
// SceneInfo needs PayerClientIP and H5. What was said of Prepay holds. CodeRuleLimit: a rule or the risk control of
// WeChat Pay stops it.
//
// Source: vendor manual, "H5下单".
func (c *Client) PrepayH5(ctx context.Context, r PrepayRequest) (h5URL string, err error) {
	return c.place(ctx, productH5, r, "h5_url")
}

// PrepayApp places an order for an app (App) and returns its prepay id, with which AppParameters opens the payment. What
// was said of Prepay holds.
//
// Source: vendor manual, "APP下单".
func (c *Client) PrepayApp(ctx context.Context, r PrepayRequest) (prepayID string, err error) {
	return c.place(ctx, productApp, r, "prepay_id")
}

// place places an order and returns the one field of the answer that counts.
func (c *Client) place(ctx context.Context, product string, r PrepayRequest, field string) (string, error) {
	body, err := c.encodeOrder(product, r)
	if err != nil {
		return "", fmt.Errorf("place the order: %w", err)
	}
	value, err := c.placed(ctx, c.transactions()+product, body, field)
	if err != nil {
		return "", fmt.Errorf("place order %s: %w", r.OutTradeNo, err)
	}
	return value, nil
}

func (c *Client) placed(ctx context.Context, path string, body []byte, field string) (string, error) {
	resp, err := c.Do(ctx, http.MethodPost, path, nil, body)
	if err != nil {
		return "", err
	}
	var v struct {
		PrepayID string `json:"prepay_id"`
		CodeURL  string `json:"code_url"`
		H5URL    string `json:"h5_url"`
	}
	if err := strictUnmarshal(resp.Body, &v); err != nil {
		return "", unreadable(err)
	}
	value := map[string]string{"prepay_id": v.PrepayID, "code_url": v.CodeURL, "h5_url": v.H5URL}[field]
	if value == "" {
		return "", unreadable(fmt.Errorf("it holds no %s", field))
	}
	return value, nil
}

// encodeOrder checks r and spells it for WeChat Pay.
func (c *Client) encodeOrder(product string, r PrepayRequest) ([]byte, error) {
	if r.Currency == "" {
		r.Currency = money.CNY
	}
	if len(r.Detail.Goods) == 0 {
		r.Detail.Goods = nil // an empty list is not the same as none
	}
	err := cmp.Or(r.check(c.now()), c.checkSub(), c.checkPayer(product, r.OpenID, r.SubOpenID), r.SceneInfo.checkH5(product))
	if err != nil {
		return nil, err
	}
	w := prepayJSON{
		partiesJSON:   c.parties(r.AppID),
		Description:   r.Description,
		OutTradeNo:    r.OutTradeNo,
		Attach:        r.Attach,
		NotifyURL:     r.NotifyURL,
		GoodsTag:      r.GoodsTag,
		SupportFapiao: r.SupportFapiao,
		Amount:        amountJSON{r.Total, r.Currency},
		Payer:         payerJSON{OpenID: r.OpenID, SubOpenID: r.SubOpenID},
		Detail:        r.Detail,
		SceneInfo:     r.SceneInfo,
		SettleInfo:    r.SettleInfo,
	}
	if c.provides() {
		w.Payer.OpenID, w.Payer.ProviderOpenID = "", r.OpenID
	}
	if !r.ExpiresAt.IsZero() {
		w.TimeExpire = formatTime(r.ExpiresAt)
	}
	return marshal(w)
}

// checkPayer checks who pays: known in advance with JSAPI alone, and under one app.
func (c *Client) checkPayer(product, openID, subOpenID string) error {
	switch {
	case product != productJSAPI:
		return cmp.Or(
			checkUnset("payer.openid", openID == "", "whoever pays is known afterwards", "该产品下单时不指定付款人"),
			checkUnset("payer.sub_openid", subOpenID == "", "whoever pays is known afterwards", "该产品下单时不指定付款人"),
		)
	case subOpenID == "":
		return checkToken("payer.openid", openID, 1, 128)
	}
	return cmp.Or(
		checkUnset("payer.sub_openid", c.provides() && c.sub.AppID != "",
			"it goes with a SubMerchant that has an AppID, see Client.For", "仅用于带 AppID 的子商户，见 Client.For"),
		checkUnset("payer.sub_openid", openID == "", "OpenID names the buyer already", "已用 OpenID 指定付款人"),
		checkToken("payer.sub_openid", subOpenID, 1, 128),
	)
}

// marshal writes JSON with Chinese, & and < as they are. What it returns is what is signed and sent.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, notSent(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (r PrepayRequest) check(now time.Time) error {
	if err := checkAmount("amount.total", r.Total); err != nil {
		return err
	}
	if r.Currency != money.CNY {
		return &RequestError{"amount.currency", phrase.Text{EN: "it is CNY", ZH: "只能是 CNY"}}
	}
	return cmp.Or(
		checkAppID("appid", r.AppID),
		checkText("description", r.Description, 1, 127),
		checkOutTradeNo(r.OutTradeNo),
		checkExpiry(r.ExpiresAt, now),
		checkText("attach", r.Attach, 0, 128),
		checkNotifyURL(r.NotifyURL),
		checkText("goods_tag", r.GoodsTag, 0, 32),
		r.Detail.check(),
		r.SceneInfo.check(),
	)
}

func (d OrderDetail) check() error {
	if d.CostPrice < 0 {
		return &RequestError{"detail.cost_price", phrase.Text{EN: "it is negative", ZH: "不能为负数"}}
	}
	if err := checkToken("detail.invoice_id", d.InvoiceID, 0, 32); err != nil {
		return err
	}
	for i, g := range d.Goods {
		field := fmt.Sprintf("detail.goods_detail[%d].", i)
		if g.Quantity < 1 {
			return &RequestError{field + "quantity", phrase.Text{EN: "it is at least 1", ZH: "至少为 1"}}
		}
		if g.UnitPrice < 0 {
			return &RequestError{field + "unit_price", phrase.Text{EN: "it is negative", ZH: "不能为负数"}}
		}
		if err := checkGoods(field, g.MerchantGoodsID, g.WechatpayGoodsID, g.Name); err != nil {
			return err
		}
	}
	encoded, err := marshal(d)
	if err != nil {
		return err
	}
	if len(encoded) > 6144 {
		return &RequestError{"detail", phrase.Text{
			EN: fmt.Sprintf("it has %d bytes of JSON, at most 6144 are allowed: name fewer goods", len(encoded)),
			ZH: fmt.Sprintf("JSON 共 %d 字节，最多 6144 字节：请减少商品", len(encoded)),
		}}
	}
	return nil
}

func (s SceneInfo) check() error {
	if s == (SceneInfo{}) {
		return nil
	}
	if a, err := netip.ParseAddr(s.PayerClientIP); err != nil || a.Zone() != "" {
		return &RequestError{"scene_info.payer_client_ip", phrase.Text{EN: "it is an IPv4 or IPv6 address", ZH: "应为 IPv4 或 IPv6 地址"}}
	}
	if err := checkText("scene_info.device_id", s.DeviceID, 0, 32); err != nil || s.Store == (StoreInfo{}) {
		return err
	}
	return cmp.Or(
		checkText("scene_info.store_info.id", s.Store.ID, 1, 32),
		checkText("scene_info.store_info.name", s.Store.Name, 0, 256),
		checkText("scene_info.store_info.area_code", s.Store.AreaCode, 0, 32),
		checkText("scene_info.store_info.address", s.Store.Address, 0, 512),
	)
}

// checkH5 checks what the product H5 needs and the others don't have.
func (s SceneInfo) checkH5(product string) error {
	const field = "scene_info.h5_info"
	if product != productH5 {
		return checkUnset(field, s.H5 == (H5Info{}), "it goes with an H5 order alone", "仅用于 H5 下单")
	}
	if s.H5.Type != "Wap" && s.H5.Type != "iOS" && s.H5.Type != "Android" {
		return &RequestError{field + ".type", phrase.Text{EN: "it is Wap, iOS or Android, and an H5 order needs it", ZH: "H5 下单必填，取值 Wap、iOS 或 Android"}}
	}
	return cmp.Or(
		checkText(field+".app_name", s.H5.AppName, 0, 64),
		checkToken(field+".app_url", s.H5.AppURL, 0, 128),
		checkToken(field+".bundle_id", s.H5.BundleID, 0, 128),
		checkToken(field+".package_name", s.H5.PackageName, 0, 128),
	)
}

// PayParameters signs what the phone gives to wx.requestPayment or WeixinJSBridge, with a fresh time and nonce. Call it
// each time that the buyer taps Pay; appID is the one that the order was placed with, or that of the sub merchant's app
// where the payment is opened in it. It sends nothing.
//
// Source: vendor manual, "小程序调起支付".
func (c *Client) PayParameters(appID, prepayID string) (PayParameters, error) {
	return c.credentials.PayParameters(appID, prepayID, c.now(), rand.Text())
}

// AppParameters signs what an app gives to WeChat's OpenSDK (PayReq), with a fresh time and nonce. appID is the one that
// the order was placed with. It sends nothing.
//
// Source: vendor manual, "APP调起支付".
func (c *Client) AppParameters(appID, prepayID string) (AppParameters, error) {
	return c.credentials.AppParameters(appID, prepayID, c.now(), rand.Text())
}

// QueryOrder asks for an order by the merchant's number. The answer is verified, and is about this order and merchant;
// compare app, total and currency with your order before you call it paid.
//
// Errors to tell apart: CodeOrderNotExist (not placed, or not yet: after an uncertain order it proves nothing for ten
// minutes), CodeFrequencyLimited, ErrNotSent and ErrUncertain (no verified answer: ask again).
//
// Source: vendor manual, "商户订单号查询订单".
func (c *Client) QueryOrder(ctx context.Context, outTradeNo string) (*Transaction, error) {
	if err := checkOutTradeNo(outTradeNo); err != nil {
		return nil, fmt.Errorf("query an order: %w", err)
	}
	t, err := c.query(ctx, "out-trade-no/"+url.PathEscape(outTradeNo))
	// An answer carries no trace of its question: a signed answer about another order, sent again by someone in
	// between, must not pass for this one.
	if err == nil && t.OutTradeNo != outTradeNo {
		err = uncertain(errors.New("the answer is about another order"))
	}
	if err != nil {
		return nil, fmt.Errorf("query order %s: %w", outTradeNo, err)
	}
	return t, nil
}

// QueryTransaction asks for an order by WeChat Pay's number. See QueryOrder.
//
// Source: vendor manual, "微信支付订单号查询订单".
func (c *Client) QueryTransaction(ctx context.Context, transactionID string) (*Transaction, error) {
	if err := checkTransactionID(transactionID); err != nil {
		return nil, fmt.Errorf("query a transaction: %w", err)
	}
	t, err := c.query(ctx, "id/"+transactionID)
	if err == nil && t.TransactionID != transactionID {
		err = uncertain(errors.New("the answer is about another transaction"))
	}
	if err != nil {
		return nil, fmt.Errorf("query transaction %s: %w", transactionID, err)
	}
	return t, nil
}

func (c *Client) query(ctx context.Context, what string) (*Transaction, error) {
	if err := c.checkSub(); err != nil {
		return nil, err
	}
	resp, err := c.Do(ctx, http.MethodGet, c.transactions()+what, c.partiesQuery(), nil)
	if err != nil {
		return nil, err
	}
	t, err := parseTransaction(resp.Body)
	if err == nil {
		if merchant, provider := c.merchant(); t.MerchantID != merchant || t.ProviderID != provider {
			err = errors.New("the answer is about another merchant")
		}
	}
	if err != nil {
		return nil, unreadable(err)
	}
	t.Serial = resp.Serial
	return t, nil
}

// CloseOrder closes an order that is not paid. A nil error means that it can't be paid any more. Closing again is
// allowed.
//
// After any error, query before telling anybody anything: a payment may have come first (CodeOrderPaid, CodeTradeError
// or CodeInvalidRequest) or be under way (CodeFrequencyLimited); ErrNotSent, ErrUncertain.
//
// Source: vendor manual, "关闭订单".
func (c *Client) CloseOrder(ctx context.Context, outTradeNo string) error {
	if err := checkOutTradeNo(outTradeNo); err != nil {
		return fmt.Errorf("close an order: %w", err)
	}
	err := c.checkSub()
	if err == nil {
		path := c.transactions() + "out-trade-no/" + url.PathEscape(outTradeNo) + "/close"
		_, err = c.exchange(ctx, http.MethodPost, path, nil, FieldKey{}, c.parties(""), nil)
	}
	if err != nil {
		return fmt.Errorf("close order %s: %w", outTradeNo, err)
	}
	return nil
}
