package wechatpay

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// TradeState is the state of an order at WeChat Pay. Values that are not listed here are kept as they came; treat them
// as neither paid nor final, and query on.
//
// Source: vendor manual, "查询订单", trade_state.
type TradeState string

const (
	// TradeSuccess means paid. It becomes TradeRefund.
	TradeSuccess TradeState = "SUCCESS"
	// TradeRefund means that it was paid and at least one refund, perhaps a partial one, was accepted. Final.
	TradeRefund TradeState = "REFUND"
	// TradeNotPay means placed and not paid, also after a failed try. It becomes TradeSuccess or TradeClosed.
	TradeNotPay TradeState = "NOTPAY"
	// TradeClosed means that it can't be paid any more. Final.
	TradeClosed TradeState = "CLOSED"
	// TradeRevoked means reversed; code payments alone. Final.
	TradeRevoked TradeState = "REVOKED"
	// TradeUserPaying means that the buyer is entering the password; code payments alone.
	TradeUserPaying TradeState = "USERPAYING"
	// TradePayError means failed; code payments alone. It may become TradeRevoked.
	TradePayError TradeState = "PAYERROR"
	// TradeAccept means accepted and not debited yet; deposits and contracts alone.
	TradeAccept TradeState = "ACCEPT"
)

// Paid reports whether the merchant received the money, be it refunded since or not.
func (s TradeState) Paid() bool { return s == TradeSuccess || s == TradeRefund }

// Dead reports whether the order can never be paid any more and was not paid.
func (s TradeState) Dead() bool { return s == TradeClosed || s == TradeRevoked }

// Transaction is what WeChat Pay says about an order, in a verified answer or notification. Texts that are absent are
// "", times that are absent are zero, and all times are in UTC.
//
// Before you take an order for paid, compare MerchantID, AppID, OutTradeNo, Amount.Total and Amount.Currency with it, and
// TradeState with [TradeSuccess]. Amount.PayerTotal is less than Total where the buyer used a coupon.
type Transaction struct {
	AppID           string // that it was ordered with; a service provider's own
	MerchantID      string // who gets the money: the merchant, or the sub merchant of a service provider
	ProviderID      string // the service provider that acted for MerchantID; "" where there is none
	SubAppID        string // of the sub merchant
	OutTradeNo      string
	TransactionID   string // once paid
	TradeType       string // JSAPI, NATIVE, APP, MWEB, …; "" while unpaid
	TradeState      TradeState
	TradeStateDesc  string
	BankType        string
	Attach          string
	SuccessTime     time.Time // once paid
	PayerOpenID     string    // under AppID
	PayerSubOpenID  string    // under SubAppID
	Amount          Amount
	DeviceID        string
	PromotionDetail []Promotion

	Raw    []byte // the verified JSON that it was read from, to be kept as evidence
	Serial string // of the key that verified it
}

// Amount is what an order costs and what the buyer gave.
type Amount struct {
	Total         money.Fen `json:"total"`
	PayerTotal    money.Fen `json:"payer_total"` // after coupons; 0 while unpaid
	Currency      string    `json:"currency"`
	PayerCurrency string    `json:"payer_currency"`
}

// Promotion is a coupon that was used. Scope is GLOBAL or SINGLE; Type is CASH, paid in full to the merchant, or NOCASH,
// which lessens what the merchant gets.
type Promotion struct {
	CouponID            string           `json:"coupon_id"`
	Name                string           `json:"name"`
	Scope               string           `json:"scope"`
	Type                string           `json:"type"`
	Amount              money.Fen        `json:"amount"`
	StockID             string           `json:"stock_id"`
	WechatpayContribute money.Fen        `json:"wechatpay_contribute"`
	MerchantContribute  money.Fen        `json:"merchant_contribute"`
	OtherContribute     money.Fen        `json:"other_contribute"`
	Currency            string           `json:"currency"`
	Goods               []PromotionGoods `json:"goods_detail"`
}

// PromotionGoods is one line that a coupon of single goods applied to.
type PromotionGoods struct {
	GoodsID        string    `json:"goods_id"`
	Quantity       int64     `json:"quantity"`
	UnitPrice      money.Fen `json:"unit_price"`
	DiscountAmount money.Fen `json:"discount_amount"`
	Remark         string    `json:"goods_remark"`
}

// transactionJSON is a Transaction as WeChat Pay spells it.
type transactionJSON struct {
	partiesJSON
	OutTradeNo     string               `json:"out_trade_no"`
	TransactionID  string               `json:"transaction_id"`
	TradeType      string               `json:"trade_type"`
	TradeState     string               `json:"trade_state"`
	TradeStateDesc string               `json:"trade_state_desc"`
	BankType       string               `json:"bank_type"`
	Attach         string               `json:"attach"`
	SuccessTime    time.Time            `json:"success_time"`
	Payer          payerJSON            `json:"payer"`
	Amount         *amountOfTransaction `json:"amount"`
	SceneInfo      struct {
		DeviceID string `json:"device_id"`
	} `json:"scene_info"`
	PromotionDetail []Promotion `json:"promotion_detail"`
}

// amountOfTransaction tells an absent total from one of zero.
type amountOfTransaction struct {
	Total         *money.Fen `json:"total"`
	PayerTotal    money.Fen  `json:"payer_total"`
	Currency      string     `json:"currency"`
	PayerCurrency string     `json:"payer_currency"`
}

// parseTransaction reads the answer of a query or the plaintext of a payment notification. What a paid order must have
// and does not have is an error, so that nothing missing can pass for zero or empty.
func parseTransaction(data []byte) (*Transaction, error) {
	var w transactionJSON
	if err := strictUnmarshal(data, &w); err != nil {
		return nil, err
	}
	t := &Transaction{
		Raw:             data,
		AppID:           cmp.Or(w.AppID, w.ProviderAppID),
		SubAppID:        w.SubAppID,
		OutTradeNo:      w.OutTradeNo,
		TransactionID:   w.TransactionID,
		TradeType:       w.TradeType,
		TradeState:      TradeState(w.TradeState),
		TradeStateDesc:  w.TradeStateDesc,
		BankType:        w.BankType,
		Attach:          w.Attach,
		SuccessTime:     w.SuccessTime.UTC(),
		PayerOpenID:     cmp.Or(w.Payer.OpenID, w.Payer.ProviderOpenID),
		PayerSubOpenID:  w.Payer.SubOpenID,
		DeviceID:        w.SceneInfo.DeviceID,
		PromotionDetail: w.PromotionDetail,
	}
	t.MerchantID, t.ProviderID = w.merchant()
	if w.Amount != nil {
		t.Amount = Amount{PayerTotal: w.Amount.PayerTotal, Currency: w.Amount.Currency, PayerCurrency: w.Amount.PayerCurrency}
		if w.Amount.Total != nil {
			t.Amount.Total = *w.Amount.Total
		}
	}
	required := []struct {
		field   string
		missing bool
	}{
		{"mchid alone, nor sp_mchid with sub_mchid", t.MerchantID == ""},
		{"out_trade_no", w.OutTradeNo == ""},
		{"trade_state", w.TradeState == ""},
	}
	if t.TradeState.Paid() {
		required = append(required, []struct {
			field   string
			missing bool
		}{
			{"appid", t.AppID == ""},
			{"transaction_id", w.TransactionID == ""},
			{"amount.total", w.Amount == nil || w.Amount.Total == nil},
			{"success_time", w.SuccessTime.IsZero()},
		}...)
	}
	var problems []error
	for _, r := range required {
		if r.missing {
			problems = append(problems, fmt.Errorf("it has no %s", r.field))
		}
	}
	return t, errors.Join(problems...)
}
