package apiv2

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// TradeState is the state of an order at WeChat Pay. Values that are not listed here are kept as they came; treat them
// as neither paid nor final, and query on.
//
// Source: v2 manual, "查询订单" (chapter 9_2), trade_state.
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
	TradeType       TradeType
	TradeState      TradeState
	TradeStateDesc  string
	BankType        string
	Attach          string
	SuccessTime     time.Time // once paid
	PayerOpenID     string    // under AppID
	PayerSubOpenID  string    // under SubAppID
	Amount          Amount
	Coupons         []Coupon
	DeviceInfo      string
	PromotionDetail string // JSON, of coupons of single goods

	Fields Fields // all of them, sorted, known to this package or not
	Raw    []byte // the verified XML that it was read from, to be kept as evidence
}

// Amount is what an order costs and what the buyer gave.
type Amount struct {
	Total           money.Fen // what the order costs (total_fee)
	SettlementTotal money.Fen // Total less coupons that the merchant is not paid for; 0 where WeChat Pay says nothing
	PayerTotal      money.Fen // what the buyer gave (cash_fee); 0 while unpaid
	Coupon          money.Fen // what coupons gave
	Currency        string    // CNY where WeChat Pay says nothing
	PayerCurrency   string    // likewise
}

// Coupon is a coupon that was used. Type is CASH, bought by the buyer, or NO_CASH; "" where WeChat Pay says nothing.
type Coupon struct {
	ID     string
	Type   string
	Amount money.Fen
}

// QueryOrder asks for an order by the merchant's number. The answer is verified, and is about this order and merchant;
// compare app, total and currency with your order before you call it paid.
//
// Errors to tell apart: CodeOrderNotExist (not placed, or not yet: after an uncertain order it proves nothing for ten
// minutes), ErrNotSent and ErrUncertain (no verified answer: ask again).
//
// Source: v2 manual, "查询订单" (chapter 9_2).
func (c *Client) QueryOrder(ctx context.Context, outTradeNo string) (*Transaction, error) {
	if err := checkOutTradeNo(outTradeNo); err != nil {
		return nil, fmt.Errorf("query an order: %w", err)
	}
	t, err := c.query(ctx, Field{"out_trade_no", outTradeNo})
	if err != nil {
		return nil, fmt.Errorf("query order %s: %w", outTradeNo, err)
	}
	return t, nil
}

// QueryTransaction asks for an order by WeChat Pay's number. See QueryOrder.
//
// Source: v2 manual, "查询订单" (chapter 9_2).
func (c *Client) QueryTransaction(ctx context.Context, transactionID string) (*Transaction, error) {
	if err := checkTransactionID(transactionID); err != nil {
		return nil, fmt.Errorf("query a transaction: %w", err)
	}
	t, err := c.query(ctx, Field{"transaction_id", transactionID})
	if err != nil {
		return nil, fmt.Errorf("query transaction %s: %w", transactionID, err)
	}
	return t, nil
}

func (c *Client) query(ctx context.Context, number Field) (*Transaction, error) {
	resp, err := c.do(ctx, "/pay/orderquery", "", Fields{number})
	if err != nil {
		return nil, err
	}
	t, err := c.readAnswered(resp, TradeState(resp.Fields.find("trade_state")))
	// An answer carries no trace of its question: a signed answer about another order, sent again by someone in
	// between, must not pass for this one.
	if err == nil && resp.Fields.find(number.Name) != number.Value {
		err = errors.New("it is about another order")
	}
	if err != nil {
		return nil, uncertain(fmt.Errorf("read the answer: %w", err))
	}
	return t, nil
}

// readAnswered reads the transaction of an answer, which is one of the sub merchant's if there is one.
func (c *Client) readAnswered(resp *Response, state TradeState) (*Transaction, error) {
	t, err := readTransaction(resp.Fields, resp.Raw, state)
	if err == nil && c.sub.ID != "" && t.MerchantID != c.sub.ID {
		err = errors.New("it is about another merchant")
	}
	return t, err
}

// readTransaction reads the fields of a query, a code payment or a notification, whose signature is right. What a paid
// order must have and does not have is an error, so that nothing missing can pass for zero or empty.
func readTransaction(f Fields, raw []byte, state TradeState) (*Transaction, error) {
	r := reader{f: f}
	t := &Transaction{
		AppID:           f.find("appid"),
		SubAppID:        f.find("sub_appid"),
		OutTradeNo:      r.required("out_trade_no"),
		TransactionID:   f.find("transaction_id"),
		TradeType:       TradeType(f.find("trade_type")),
		TradeState:      state,
		TradeStateDesc:  f.find("trade_state_desc"),
		BankType:        f.find("bank_type"),
		Attach:          f.find("attach"),
		SuccessTime:     r.time("time_end", timeLayout),
		PayerOpenID:     f.find("openid"),
		PayerSubOpenID:  f.find("sub_openid"),
		DeviceInfo:      f.find("device_info"),
		PromotionDetail: f.find("promotion_detail"),
		Amount: Amount{
			Total:           r.fen("total_fee"),
			SettlementTotal: r.fen("settlement_total_fee"),
			PayerTotal:      r.fen("cash_fee"),
			Coupon:          r.fen("coupon_fee"),
			Currency:        r.currency("fee_type"),
			PayerCurrency:   r.currency("cash_fee_type"),
		},
		Fields: f,
		Raw:    raw,
	}
	t.MerchantID, t.ProviderID = f.merchant()
	r.required("mch_id")
	if state == "" {
		r.fail("trade_state", errMissing)
	}
	if state.Paid() {
		for _, name := range []string{"appid", "transaction_id", "total_fee", "time_end"} {
			r.required(name)
		}
	}
	for n := range r.count("coupon_count") {
		i := strconv.FormatInt(n, 10)
		t.Coupons = append(t.Coupons, Coupon{
			ID:     f.find("coupon_id_" + i),
			Type:   f.find("coupon_type_" + i),
			Amount: r.fen("coupon_fee_" + i),
		})
	}
	return t, errors.Join(r.problems...)
}

var errMissing = errors.New("it is missing")

// reader reads typed values out of fields and collects what is wrong with them.
type reader struct {
	f        Fields
	problems []error
}

func (r *reader) fail(name string, err error) {
	r.problems = append(r.problems, fmt.Errorf("%s: %w", name, err))
}

// required is a text that must be there.
func (r *reader) required(name string) string {
	v := r.f.find(name)
	if v == "" {
		r.fail(name, errMissing)
	}
	return v
}

// fen is an amount; 0 where it is absent.
func (r *reader) fen(name string) money.Fen {
	v := r.f.find(name)
	if v == "" {
		return 0
	}
	n, err := parseCount(v)
	if err != nil {
		r.fail(name, err)
	}
	return money.Fen(n)
}

// count is a number of things; 0 where it is absent. There are never many of them.
func (r *reader) count(name string) int64 {
	n := int64(r.fen(name))
	if n > 1000 {
		r.fail(name, errors.New("it is more than 1000"))
		return 0
	}
	return n
}

func (r *reader) currency(name string) string {
	if v := r.f.find(name); v != "" {
		return v
	}
	return money.CNY
}

// time is a time of Beijing; zero where it is absent.
func (r *reader) time(name, layout string) time.Time {
	t, err := parseTime(r.f.find(name), layout)
	if err != nil {
		r.fail(name, err)
	}
	return t
}
