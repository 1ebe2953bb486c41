package wechatpay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
)

// CombinedRequest is an order of several orders (合单), perhaps of several merchants, that the buyer pays at once or not at
// all. What is left empty is not sent.
type CombinedRequest struct {
	AppID      string // of the merchant that combines, which is the client's
	OutTradeNo string // the number of the whole: 6 to 32 of 0-9 A-Z a-z _ - | *, never used before
	OpenID     string // of the buyer, under AppID; with PrepayCombined alone
	SubOpenID  string // of the buyer, under a sub merchant's app; with PrepayCombined alone
	NotifyURL  string // https, at most 256 bytes, no query
	ExpiresAt  time.Time
	SceneInfo  SceneInfo  // without Store
	Orders     []SubOrder // 2 to 10, of sub merchants 1 to 50
}

// SubOrder is one order of a combined one.
type SubOrder struct {
	MerchantID    string // "" means the client's own
	SubMerchantID string // in service provider mode; "" means that of [Client.For]
	SubAppID      string // in service provider mode
	OutTradeNo    string // 6 to 32 of 0-9 A-Z a-z _ - | *, never used before by this merchant
	Description   string // at most 127 bytes
	Attach        string // required; at most 128 bytes
	Total         money.Fen
	Detail        string // at most 6000 bytes
	GoodsTag      string // at most 32 bytes
	SettleInfo    SettleInfo
}

// combinedJSON is a CombinedRequest as it is sent.
type combinedJSON struct {
	AppID      string            `json:"combine_appid"`
	MerchantID string            `json:"combine_mchid"`
	OutTradeNo string            `json:"combine_out_trade_no"`
	SceneInfo  SceneInfo         `json:"scene_info,omitzero"`
	Orders     []subOrderJSON    `json:"sub_orders"`
	Payer      combinedPayerJSON `json:"combine_payer_info,omitzero"`
	TimeExpire string            `json:"time_expire,omitempty"`
	NotifyURL  string            `json:"notify_url"`
}

type combinedPayerJSON struct {
	OpenID    string `json:"openid,omitempty"`
	SubOpenID string `json:"sub_openid,omitempty"`
}

type subOrderJSON struct {
	MerchantID    string       `json:"mchid"`
	Attach        string       `json:"attach"`
	Amount        subTotalJSON `json:"amount"`
	OutTradeNo    string       `json:"out_trade_no"`
	SubMerchantID string       `json:"sub_mchid,omitempty"`
	SubAppID      string       `json:"sub_appid,omitempty"`
	Description   string       `json:"description"`
	Detail        string       `json:"detail,omitempty"`
	GoodsTag      string       `json:"goods_tag,omitempty"`
	SettleInfo    SettleInfo   `json:"settle_info,omitzero"`
}

type subTotalJSON struct {
	Total    money.Fen `json:"total_amount"`
	Currency string    `json:"currency"`
}

const combinedPath = "/v3/combine-transactions/"

// PrepayCombined is Prepay for a combined order: the same may be repeated, the errors are the same, and PayParameters
// opens the payment. CodeOpenIDMismatch: the openid is not of AppID. Each order is refunded on its own, with
// [Client.Refund] of its merchant.
//
// Source: vendor manual, "合单JSAPI下单".
func (c *Client) PrepayCombined(ctx context.Context, r CombinedRequest) (prepayID string, err error) {
	return c.placeCombined(ctx, productJSAPI, r, "prepay_id")
}

// PrepayCombinedNative is PrepayNative for a combined order. See PrepayCombined.
func (c *Client) PrepayCombinedNative(ctx context.Context, r CombinedRequest) (codeURL string, err error) {
	return c.placeCombined(ctx, productNative, r, "code_url")
}

// PrepayCombinedH5 is PrepayH5 for a combined order. See PrepayCombined.
func (c *Client) PrepayCombinedH5(ctx context.Context, r CombinedRequest) (h5URL string, err error) {
	return c.placeCombined(ctx, productH5, r, "h5_url")
}

// PrepayCombinedApp is PrepayApp for a combined order. See PrepayCombined.
func (c *Client) PrepayCombinedApp(ctx context.Context, r CombinedRequest) (prepayID string, err error) {
	return c.placeCombined(ctx, productApp, r, "prepay_id")
}

func (c *Client) placeCombined(ctx context.Context, product string, r CombinedRequest, field string) (string, error) {
	w, err := c.combined(product, r)
	if err != nil {
		return "", fmt.Errorf("place the combined order: %w", err)
	}
	body, err := marshal(w)
	if err != nil {
		return "", fmt.Errorf("place the combined order: %w", err)
	}
	value, err := c.placed(ctx, combinedPath+product, body, field)
	if err != nil {
		return "", fmt.Errorf("place combined order %s: %w", r.OutTradeNo, err)
	}
	return value, nil
}

// combined checks r and spells it for WeChat Pay.
func (c *Client) combined(product string, r CombinedRequest) (*combinedJSON, error) {
	if err := cmp.Or(
		checkAppID("combine_appid", r.AppID),
		checkNumber("combine_out_trade_no", r.OutTradeNo, "_-|*", 6, 32),
		checkExpiry(r.ExpiresAt, c.now()),
		checkNotifyURL(r.NotifyURL),
		c.checkSub(),
		c.checkCombinedPayer(product, r),
		r.SceneInfo.check(),
		r.SceneInfo.checkH5(product),
		checkUnset("scene_info.store_info", r.SceneInfo.Store == (StoreInfo{}), "combined orders have no shop", "合单没有门店信息"),
	); err != nil {
		return nil, err
	}
	w := &combinedJSON{
		AppID: r.AppID, MerchantID: c.credentials.MerchantID, OutTradeNo: r.OutTradeNo, SceneInfo: r.SceneInfo,
		Payer: combinedPayerJSON{r.OpenID, r.SubOpenID}, NotifyURL: r.NotifyURL,
	}
	if !r.ExpiresAt.IsZero() {
		w.TimeExpire = formatTime(r.ExpiresAt)
	}
	least, most := 2, 10
	for i, o := range r.Orders {
		merchant, sub := c.ofSubOrder(o.MerchantID, o.SubMerchantID)
		if sub.ID != "" {
			least, most = 1, 50
		}
		s := subOrderJSON{
			MerchantID: merchant, Attach: o.Attach, Amount: subTotalJSON{o.Total, money.CNY}, OutTradeNo: o.OutTradeNo,
			SubMerchantID: sub.ID, SubAppID: cmp.Or(o.SubAppID, sub.AppID), Description: o.Description, Detail: o.Detail,
			GoodsTag: o.GoodsTag, SettleInfo: o.SettleInfo,
		}
		if err := s.check(fmt.Sprintf("sub_orders[%d].", i)); err != nil {
			return nil, err
		}
		w.Orders = append(w.Orders, s)
	}
	return w, checkCount("sub_orders", len(w.Orders), least, most)
}

// ofSubOrder fills in whose a sub order is.
func (c *Client) ofSubOrder(merchant, sub string) (string, SubMerchant) {
	m := SubMerchant{ID: sub}
	if c.provides() && (sub == "" || sub == c.sub.ID) {
		m = *c.sub
	}
	return cmp.Or(merchant, c.credentials.MerchantID), m
}

func (c *Client) checkCombinedPayer(product string, r CombinedRequest) error {
	if product != productJSAPI {
		return checkUnset("combine_payer_info", r.OpenID+r.SubOpenID == "", "whoever pays is known afterwards", "该产品下单时不指定付款人")
	}
	if r.SubOpenID != "" {
		return cmp.Or(
			checkToken("combine_payer_info.sub_openid", r.SubOpenID, 1, 128),
			checkToken("combine_payer_info.openid", r.OpenID, 0, 128),
		)
	}
	return checkToken("combine_payer_info.openid", r.OpenID, 1, 128)
}

func (s subOrderJSON) check(field string) error {
	err := s.checkNames(field)
	return cmp.Or(
		err,
		checkAmount(field+"amount.total_amount", s.Amount.Total),
		checkText(field+"attach", s.Attach, 1, 128),
		checkText(field+"description", s.Description, 1, 127),
		checkText(field+"detail", s.Detail, 0, 6000),
		checkText(field+"goods_tag", s.GoodsTag, 0, 32),
	)
}

func (s subOrderJSON) checkNames(field string) error {
	err := cmp.Or(
		checkMerchantID(field+"mchid", s.MerchantID),
		checkNumber(field+"out_trade_no", s.OutTradeNo, "_-|*", 6, 32),
		checkToken(field+"sub_appid", s.SubAppID, 0, 32),
	)
	if err == nil && s.SubMerchantID != "" {
		err = checkMerchantID(field+"sub_mchid", s.SubMerchantID)
	}
	return err
}

func checkCount(field string, n, least, most int) error {
	if n >= least && n <= most {
		return nil
	}
	return &RequestError{field, phrase.Text{
		EN: fmt.Sprintf("there are %d, %d to %d are allowed", n, least, most),
		ZH: fmt.Sprintf("有 %d 个，允许 %d 到 %d 个", n, least, most),
	}}
}

// CombinedTransaction is what WeChat Pay says about a combined order, in a verified answer or notification.
//
// Before you take it for paid, compare MerchantID, AppID and OutTradeNo with your order, and each of Orders with its own:
// there must be as many, and each is compared like a [Transaction].
type CombinedTransaction struct {
	AppID          string
	MerchantID     string // that combined the orders
	OutTradeNo     string // of the whole
	DeviceID       string
	PayerOpenID    string
	PayerSubOpenID string
	Orders         []SubTransaction

	Raw    []byte // the verified JSON that it was read from, to be kept as evidence
	Serial string // of the key that verified it
}

// SubTransaction is one order of a combined one.
type SubTransaction struct {
	MerchantID      string // who gets the money: the merchant, or the sub merchant of a service provider
	ProviderID      string // the service provider that acted for MerchantID; "" where there is none
	SubAppID        string
	PayerSubOpenID  string
	OutTradeNo      string
	TransactionID   string // once paid
	TradeType       string
	TradeState      TradeState
	BankType        string
	Attach          string
	SuccessTime     time.Time // once paid; UTC
	Amount          Amount
	PromotionDetail []Promotion
}

// Paid reports whether every order of it is paid. WeChat Pay takes the money for all or for none; refunds come one by one.
func (t *CombinedTransaction) Paid() bool {
	for _, o := range t.Orders {
		if !o.TradeState.Paid() {
			return false
		}
	}
	return len(t.Orders) > 0
}

// QueryCombined asks for a combined order by the number of the whole. Errors are those of QueryOrder.
//
// Source: vendor manual, "合单查询订单".
func (c *Client) QueryCombined(ctx context.Context, outTradeNo string) (*CombinedTransaction, error) {
	if err := checkNumber("combine_out_trade_no", outTradeNo, "_-|*", 6, 32); err != nil {
		return nil, fmt.Errorf("query a combined order: %w", err)
	}
	resp, err := c.exchange(ctx, http.MethodGet, combinedPath+"out-trade-no/"+url.PathEscape(outTradeNo), nil, FieldKey{}, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("query combined order %s: %w", outTradeNo, err)
	}
	t, err := parseCombined(resp.Body)
	switch {
	case err != nil:
	case t.OutTradeNo != outTradeNo:
		err = errors.New("the answer is about another order")
	case t.MerchantID != c.credentials.MerchantID:
		err = errors.New("the answer is about another merchant")
	}
	if err != nil {
		return nil, fmt.Errorf("query combined order %s: %w", outTradeNo, unreadable(err))
	}
	t.Serial = resp.Serial
	return t, nil
}

// CloseCombined closes a combined order that is not paid. r is the request that placed it: WeChat Pay wants the complete
// list of orders. A nil error means that it can't be paid any more; what was said of CloseOrder holds.
//
// Source: vendor manual, "合单关闭订单".
func (c *Client) CloseCombined(ctx context.Context, r CombinedRequest) error {
	err := cmp.Or(
		checkNumber("combine_out_trade_no", r.OutTradeNo, "_-|*", 6, 32),
		checkAppID("combine_appid", r.AppID),
		c.checkSub(),
		checkCount("sub_orders", len(r.Orders), 1, 50),
	)
	if err != nil {
		return fmt.Errorf("close a combined order: %w", err)
	}
	type closed struct {
		MerchantID    string `json:"mchid"`
		OutTradeNo    string `json:"out_trade_no"`
		SubMerchantID string `json:"sub_mchid,omitempty"`
		SubAppID      string `json:"sub_appid,omitempty"`
	}
	w := struct {
		AppID  string   `json:"combine_appid"`
		Orders []closed `json:"sub_orders"`
	}{AppID: r.AppID}
	for i, o := range r.Orders {
		merchant, sub := c.ofSubOrder(o.MerchantID, o.SubMerchantID)
		s := subOrderJSON{MerchantID: merchant, OutTradeNo: o.OutTradeNo, SubMerchantID: sub.ID, SubAppID: cmp.Or(o.SubAppID, sub.AppID)}
		if err := s.checkNames(fmt.Sprintf("sub_orders[%d].", i)); err != nil {
			return fmt.Errorf("close a combined order: %w", err)
		}
		w.Orders = append(w.Orders, closed{s.MerchantID, s.OutTradeNo, s.SubMerchantID, s.SubAppID})
	}
	path := combinedPath + "out-trade-no/" + url.PathEscape(r.OutTradeNo) + "/close"
	if _, err := c.exchange(ctx, http.MethodPost, path, nil, FieldKey{}, w, nil); err != nil {
		return fmt.Errorf("close combined order %s: %w", r.OutTradeNo, err)
	}
	return nil
}

// combinedAnswerJSON is a CombinedTransaction as WeChat Pay spells it.
type combinedAnswerJSON struct {
	AppID      string `json:"combine_appid"`
	MerchantID string `json:"combine_mchid"`
	OutTradeNo string `json:"combine_out_trade_no"`
	SceneInfo  struct {
		DeviceID string `json:"device_id"`
	} `json:"scene_info"`
	Payer  combinedPayerJSON `json:"combine_payer_info"`
	Orders []struct {
		MerchantID    string    `json:"mchid"`
		SubMerchantID string    `json:"sub_mchid"`
		SubAppID      string    `json:"sub_appid"`
		SubOpenID     string    `json:"sub_openid"`
		TradeType     string    `json:"trade_type"`
		TradeState    string    `json:"trade_state"`
		BankType      string    `json:"bank_type"`
		Attach        string    `json:"attach"`
		SuccessTime   time.Time `json:"success_time"`
		TransactionID string    `json:"transaction_id"`
		OutTradeNo    string    `json:"out_trade_no"`
		Amount        *struct {
			Total         *money.Fen `json:"total_amount"`
			PayerTotal    money.Fen  `json:"payer_amount"`
			Currency      string     `json:"currency"`
			PayerCurrency string     `json:"payer_currency"`
		} `json:"amount"`
		PromotionDetail []Promotion `json:"promotion_detail"`
	} `json:"sub_orders"`
}

// isCombined tells the plaintext of a combined payment from that of a single one.
func isCombined(data []byte) (bool, error) {
	var w struct {
		MerchantID string `json:"combine_mchid"`
		OutTradeNo string `json:"combine_out_trade_no"`
	}
	err := strictUnmarshal(data, &w)
	return w.MerchantID+w.OutTradeNo != "", err
}

// parseCombined reads the answer of a query or the plaintext of a notification, as strictly as parseTransaction.
func parseCombined(data []byte) (*CombinedTransaction, error) {
	var w combinedAnswerJSON
	if err := strictUnmarshal(data, &w); err != nil {
		return nil, err
	}
	t := &CombinedTransaction{
		AppID: w.AppID, MerchantID: w.MerchantID, OutTradeNo: w.OutTradeNo, DeviceID: w.SceneInfo.DeviceID,
		PayerOpenID: w.Payer.OpenID, PayerSubOpenID: w.Payer.SubOpenID, Raw: data,
	}
	var problems []error
	need := func(field string, there bool) {
		if !there {
			problems = append(problems, fmt.Errorf("it has no %s", field))
		}
	}
	need("combine_appid", w.AppID != "")
	need("combine_mchid", w.MerchantID != "")
	need("combine_out_trade_no", w.OutTradeNo != "")
	need("sub_orders", len(w.Orders) > 0)
	for i, o := range w.Orders {
		s := SubTransaction{
			MerchantID: o.MerchantID, SubAppID: o.SubAppID, PayerSubOpenID: o.SubOpenID, OutTradeNo: o.OutTradeNo,
			TransactionID: o.TransactionID, TradeType: o.TradeType, TradeState: TradeState(o.TradeState), BankType: o.BankType,
			Attach: o.Attach, SuccessTime: o.SuccessTime.UTC(), PromotionDetail: o.PromotionDetail,
		}
		if o.SubMerchantID != "" {
			s.MerchantID, s.ProviderID = o.SubMerchantID, o.MerchantID
		}
		if a := o.Amount; a != nil {
			s.Amount = Amount{PayerTotal: a.PayerTotal, Currency: a.Currency, PayerCurrency: a.PayerCurrency}
			if a.Total != nil {
				s.Amount.Total = *a.Total
			}
		}
		field := fmt.Sprintf("sub_orders[%d].", i)
		need(field+"mchid", o.MerchantID != "")
		need(field+"out_trade_no", o.OutTradeNo != "")
		need(field+"trade_state", o.TradeState != "")
		if s.TradeState.Paid() {
			need(field+"transaction_id", o.TransactionID != "")
			need(field+"amount.total_amount", o.Amount != nil && o.Amount.Total != nil)
			need(field+"success_time", !o.SuccessTime.IsZero())
		}
		t.Orders = append(t.Orders, s)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return t, nil
}
