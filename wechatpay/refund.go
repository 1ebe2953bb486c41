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

// RefundState is the state of a refund at WeChat Pay. Values that are not listed here are kept as they came; treat them
// as not final, and query on.
//
// Source: vendor manual, "查询单笔退款", status.
type RefundState string

const (
	// RefundProcessing means accepted and on its way. It becomes any of the others.
	RefundProcessing RefundState = "PROCESSING"
	// RefundSuccess means that the buyer has the money. Final.
	RefundSuccess RefundState = "SUCCESS"
	// RefundClosed means that WeChat Pay gave up, such as after a week without balance. Final: to refund still, take a
	// new number.
	RefundClosed RefundState = "CLOSED"
	// RefundAbnormal means that the buyer's card can't take the money. The money has left the payment, so a new refund
	// would be a second one: mend this one with ApplyAbnormalRefund or on the merchant platform. It becomes
	// RefundSuccess or RefundClosed.
	RefundAbnormal RefundState = "ABNORMAL"
)

// Final reports whether the state never changes any more.
func (s RefundState) Final() bool { return s == RefundSuccess || s == RefundClosed }

// RefundRequest is a refund of all or part of a payment. What is left empty is not sent.
type RefundRequest struct {
	TransactionID string // WeChat Pay's number of the payment; this
	OutTradeNo    string // or the merchant's number of it, one of the two
	OutRefundNo   string // the merchant's number of this refund: 1 to 64 of 0-9 A-Z a-z _ - | * @; see Client.Refund

	Amount   money.Fen // to refund: at least 1 fen, all refunds together at most Total
	Total    money.Fen // of the order, as it was placed
	Currency string    // "" means CNY; there is no other

	Reason    string // the buyer sees it; at most 80 bytes
	NotifyURL string // https, at most 256 bytes, no query; "": that of the merchant platform, in the format of API v2

	FundsAccount string         // AVAILABLE takes the available balance, UNSETTLED the day's takings; old merchants alone
	From         []RefundSource // to divide Amount between accounts; by application
	Goods        []RefundGoods  // for coupons of single goods
}

// RefundSource is a part of a refund's money.
type RefundSource struct {
	Account string    `json:"account"` // AVAILABLE or UNAVAILABLE
	Amount  money.Fen `json:"amount"`
}

// RefundGoods is one line of an order that is refunded.
type RefundGoods struct {
	MerchantGoodsID  string    `json:"merchant_goods_id"`            // required, at most 32 characters
	WechatpayGoodsID string    `json:"wechatpay_goods_id,omitempty"` // at most 32 characters
	Name             string    `json:"goods_name,omitempty"`         // at most 256 bytes
	UnitPrice        money.Fen `json:"unit_price"`
	RefundAmount     money.Fen `json:"refund_amount"`
	RefundQuantity   int64     `json:"refund_quantity"` // at least 1
}

// Refund is what WeChat Pay says about a refund, in a verified answer or notification. Texts that are absent are "",
// times that are absent are zero, and all times are in UTC.
type Refund struct {
	MerchantID    string // whose payment it was: the merchant, or the sub merchant of a service provider
	ProviderID    string // the service provider that acted for MerchantID; "" where there is none
	RefundID      string // WeChat Pay's number
	OutRefundNo   string
	TransactionID string
	OutTradeNo    string

	State               RefundState
	Channel             string    // ORIGINAL, BALANCE, OTHER_BALANCE or OTHER_BANKCARD; "" in a notification
	UserReceivedAccount string    // such as 支付用户零钱: to be shown, not to be decided by
	CreateTime          time.Time // when it was accepted; zero in a notification
	SuccessTime         time.Time // with RefundSuccess
	FundsAccount        string    // where the money came from
	Amount              RefundAmount
	Promotions          []RefundPromotion // coupons that went back

	Raw    []byte // the verified JSON that it was read from, to be kept as evidence
	Serial string // of the key that verified it
}

// RefundAmount is what was refunded. Take these figures and not your own arithmetic: WeChat Pay rounds the buyer's part.
type RefundAmount struct {
	Total            money.Fen // of the order
	Refund           money.Fen // of this refund
	PayerTotal       money.Fen // what the buyer paid, after coupons
	PayerRefund      money.Fen // what the buyer gets of it
	SettlementTotal  money.Fen // what the merchant was paid
	SettlementRefund money.Fen // what the merchant gives
	DiscountRefund   money.Fen // what goes back in coupons
	RefundFee        money.Fen // of the handling fee
	Currency         string    // "" in a notification
	From             []RefundSource
}

// RefundPromotion is a coupon that went back. Older merchants see the types COUPON and DISCOUNT, newer ones CASH and
// NOCASH.
type RefundPromotion struct {
	PromotionID  string        `json:"promotion_id"`
	Scope        string        `json:"scope"`
	Type         string        `json:"type"`
	Amount       money.Fen     `json:"amount"`
	RefundAmount money.Fen     `json:"refund_amount"`
	Goods        []RefundGoods `json:"goods_detail"`
}

// refundRequestJSON is a RefundRequest as it is sent.
type refundRequestJSON struct {
	SubMerchantID string            `json:"sub_mchid,omitempty"`
	TransactionID string            `json:"transaction_id,omitempty"`
	OutTradeNo    string            `json:"out_trade_no,omitempty"`
	OutRefundNo   string            `json:"out_refund_no"`
	Reason        string            `json:"reason,omitempty"`
	NotifyURL     string            `json:"notify_url,omitempty"`
	FundsAccount  string            `json:"funds_account,omitempty"`
	Amount        refundAmountsJSON `json:"amount"`
	Goods         []RefundGoods     `json:"goods_detail,omitempty"`
}

type refundAmountsJSON struct {
	Refund   money.Fen      `json:"refund"`
	From     []RefundSource `json:"from,omitempty"`
	Total    money.Fen      `json:"total"`
	Currency string         `json:"currency"`
}

const refundsPath = "/v3/refund/domestic/refunds"

// Refund asks WeChat Pay to send money back to the buyer.
//
// Amount is in fen, from 1 up to what is left of Total. OutRefundNo is the merchant's: choose it once, keep it with the
// refund before asking, and use it for ever. Asking again with the same number and content is the same refund, so after
// ErrUncertain simply ask again, or query first; a new number would be a second refund. A nil error means accepted, not
// sent; State is then usually [RefundProcessing]. Query after a minute, every minute, and less often from the fifth on.
//
// Refunds are possible for a year after the payment, at most 50 of one order, and a minute apart.
//
// Errors to tell apart: *RequestError (nothing was sent: mend the field), CodeNotEnough (the merchant's balance is short:
// later again, with the same number), CodeResourceNotExists (no such payment), CodeInvalidRequest (the number was used
// for another refund, or more is asked than is left), CodeFrequencyLimited and CodeBizErrNeedRetry (after a minute again,
// the same), CodeUserAccountAbnormal (refund by other means), CodeTradeOverdue, ErrNotSent, ErrUncertain.
//
// Source: vendor manual, "申请退款".
func (c *Client) Refund(ctx context.Context, r RefundRequest) (*Refund, error) {
	if err := cmp.Or(r.check(), c.checkSub()); err != nil {
		return nil, fmt.Errorf("refund: %w", err)
	}
	w := refundRequestJSON{
		TransactionID: r.TransactionID,
		OutTradeNo:    r.OutTradeNo,
		OutRefundNo:   r.OutRefundNo,
		Reason:        r.Reason,
		NotifyURL:     r.NotifyURL,
		FundsAccount:  r.FundsAccount,
		Amount:        refundAmountsJSON{r.Amount, r.From, r.Total, cmp.Or(r.Currency, money.CNY)},
		Goods:         r.Goods,
	}
	if c.provides() {
		w.SubMerchantID = c.sub.ID
	}
	resp, err := c.exchange(ctx, http.MethodPost, refundsPath, nil, FieldKey{}, w, nil)
	if err != nil {
		return nil, fmt.Errorf("refund %s: %w", r.OutRefundNo, err)
	}
	f, err := c.readRefund(resp)
	if err == nil {
		switch {
		case f.OutRefundNo != r.OutRefundNo:
			err = errors.New("the answer is about another refund")
		case r.TransactionID != "" && f.TransactionID != r.TransactionID, r.OutTradeNo != "" && f.OutTradeNo != r.OutTradeNo:
			err = errors.New("the answer is about another payment")
		case f.Amount.Refund != r.Amount || f.Amount.Total != r.Total:
			err = fmt.Errorf("the answer is about %s of %s yuan", f.Amount.Refund, f.Amount.Total)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("refund %s: %w", r.OutRefundNo, unreadable(err))
	}
	return f, nil
}

func (r RefundRequest) check() error {
	if (r.TransactionID == "") == (r.OutTradeNo == "") {
		return &RequestError{"transaction_id", phrase.Text{
			EN: "name the payment by it or by out_trade_no, and not by both",
			ZH: "请在 transaction_id 与 out_trade_no 中二选一",
		}}
	}
	err := cmp.Or(checkOutRefundNo(r.OutRefundNo), checkAmount("amount.refund", r.Amount), checkAmount("amount.total", r.Total),
		checkText("reason", r.Reason, 0, 80))
	switch {
	case err != nil:
		return err
	case r.Amount > r.Total:
		return &RequestError{"amount.refund", phrase.Text{
			EN: fmt.Sprintf("%s yuan is more than the order's total of %s", r.Amount, r.Total),
			ZH: fmt.Sprintf("退款 %s 元超过订单总金额 %s 元", r.Amount, r.Total),
		}}
	case r.Currency != "" && r.Currency != money.CNY:
		return &RequestError{"amount.currency", phrase.Text{EN: "it is CNY", ZH: "只能是 CNY"}}
	case r.FundsAccount != "" && r.FundsAccount != "AVAILABLE" && r.FundsAccount != "UNSETTLED":
		return &RequestError{"funds_account", phrase.Text{EN: "it is AVAILABLE or UNSETTLED", ZH: "取值 AVAILABLE 或 UNSETTLED"}}
	case r.TransactionID != "":
		err = checkTransactionID(r.TransactionID)
	default:
		err = checkOutTradeNo(r.OutTradeNo)
	}
	if err == nil && r.NotifyURL != "" {
		err = checkNotifyURL(r.NotifyURL)
	}
	return cmp.Or(err, r.checkParts())
}

// checkParts checks the lists.
func (r RefundRequest) checkParts() error {
	sum := money.Fen(0)
	for i, s := range r.From {
		field := fmt.Sprintf("amount.from[%d].", i)
		if s.Account != "AVAILABLE" && s.Account != "UNAVAILABLE" {
			return &RequestError{field + "account", phrase.Text{EN: "it is AVAILABLE or UNAVAILABLE", ZH: "取值 AVAILABLE 或 UNAVAILABLE"}}
		}
		if err := checkAmount(field+"amount", s.Amount); err != nil {
			return err
		}
		sum += s.Amount
	}
	if len(r.From) > 0 && sum != r.Amount {
		return &RequestError{"amount.from", phrase.Text{
			EN: fmt.Sprintf("its parts make %s yuan, the refund is %s", sum, r.Amount),
			ZH: fmt.Sprintf("各部分合计 %s 元，与退款金额 %s 元不一致", sum, r.Amount),
		}}
	}
	for i, g := range r.Goods {
		field := fmt.Sprintf("goods_detail[%d].", i)
		if g.RefundQuantity < 1 {
			return &RequestError{field + "refund_quantity", phrase.Text{EN: "it is at least 1", ZH: "至少为 1"}}
		}
		if g.UnitPrice < 0 || g.RefundAmount < 0 {
			return &RequestError{field + "refund_amount", phrase.Text{EN: "neither it nor the price is negative", ZH: "金额与单价不能为负数"}}
		}
		if err := checkGoods(field, g.MerchantGoodsID, g.WechatpayGoodsID, g.Name); err != nil {
			return err
		}
	}
	return nil
}

func checkOutRefundNo(s string) error { return checkNumber("out_refund_no", s, "_-|*@", 1, 64) }

// QueryRefund asks for a refund by the merchant's number.
//
// Errors to tell apart: CodeResourceNotExists and CodeRefundNotExists (WeChat Pay has not accepted it; a minute after an
// uncertain request, send the same request again, with the same number), CodeFrequencyLimited, ErrNotSent and
// ErrUncertain (no verified answer: ask again).
//
// Source: vendor manual, "查询单笔退款（通过商户退款单号）".
func (c *Client) QueryRefund(ctx context.Context, outRefundNo string) (*Refund, error) {
	if err := cmp.Or(checkOutRefundNo(outRefundNo), c.checkSub()); err != nil {
		return nil, fmt.Errorf("query a refund: %w", err)
	}
	resp, err := c.exchange(ctx, http.MethodGet, refundsPath+"/"+url.PathEscape(outRefundNo), c.subQuery(nil), FieldKey{}, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("query refund %s: %w", outRefundNo, err)
	}
	f, err := c.readRefund(resp)
	if err == nil && f.OutRefundNo != outRefundNo {
		err = errors.New("the answer is about another refund")
	}
	if err != nil {
		return nil, fmt.Errorf("query refund %s: %w", outRefundNo, unreadable(err))
	}
	return f, nil
}

// The values of AbnormalRefundRequest.Type.
const (
	AbnormalToUser     = "USER_BANK_CARD"     // to another bank card of the buyer's
	AbnormalToMerchant = "MERCHANT_BANK_CARD" // to the merchant, who pays the buyer by other means
)

// AbnormalRefundRequest says where the money of a refund in [RefundAbnormal] goes instead.
type AbnormalRefundRequest struct {
	RefundID    string // WeChat Pay's number of the refund
	OutRefundNo string // the merchant's number of it
	Type        string // AbnormalToUser or AbnormalToMerchant

	// With AbnormalToUser alone, which needs them: a debit card of one of the banks that the manual lists.
	BankType    string // such as ICBC_DEBIT
	BankAccount string // in plain text; it is encrypted here
	RealName    string // in plain text; it is encrypted here
}

// ApplyAbnormalRefund sends the money of a refund in [RefundAbnormal] elsewhere. It may be repeated with the same
// request. A nil error means accepted: query the refund as before.
//
// Errors to tell apart: CodeResourceNotExists (no such refund), CodeFrequencyLimited, ErrNotSent, ErrUncertain.
//
// Source: vendor manual, "发起异常退款".
func (c *Client) ApplyAbnormalRefund(ctx context.Context, r AbnormalRefundRequest) (*Refund, error) {
	if err := cmp.Or(r.check(), c.checkSub()); err != nil {
		return nil, fmt.Errorf("abnormal refund: %w", err)
	}
	w := struct {
		SubMerchantID string `json:"sub_mchid,omitempty"`
		OutRefundNo   string `json:"out_refund_no"`
		Type          string `json:"type"`
		BankType      string `json:"bank_type,omitempty"`
		BankAccount   string `json:"bank_account,omitempty"`
		RealName      string `json:"real_name,omitempty"`
	}{"", r.OutRefundNo, r.Type, r.BankType, r.BankAccount, r.RealName}
	if c.provides() {
		w.SubMerchantID = c.sub.ID
	}
	key, err := c.encryptAll(ctx, &w.BankAccount, &w.RealName)
	if err != nil {
		return nil, fmt.Errorf("abnormal refund %s: %w", r.OutRefundNo, err)
	}
	resp, err := c.exchange(ctx, http.MethodPost, refundsPath+"/"+r.RefundID+"/apply-abnormal-refund", nil, key, w, nil)
	if err != nil {
		return nil, fmt.Errorf("abnormal refund %s: %w", r.OutRefundNo, err)
	}
	f, err := c.readRefund(resp)
	if err == nil && (f.OutRefundNo != r.OutRefundNo || f.RefundID != r.RefundID) {
		err = errors.New("the answer is about another refund")
	}
	if err != nil {
		return nil, fmt.Errorf("abnormal refund %s: %w", r.OutRefundNo, unreadable(err))
	}
	return f, nil
}

func (r AbnormalRefundRequest) check() error {
	id := checkTransactionID(r.RefundID)
	if id != nil {
		id = &RequestError{"refund_id", phrase.Text{EN: "it is WeChat Pay's number, digits and letters alone", ZH: "应为微信支付退款单号"}}
	}
	if err := cmp.Or(id, checkOutRefundNo(r.OutRefundNo)); err != nil {
		return err
	}
	switch r.Type {
	case AbnormalToUser:
		return cmp.Or(
			checkToken("bank_type", r.BankType, 1, 16),
			checkToken("bank_account", r.BankAccount, 1, 64),
			checkText("real_name", r.RealName, 1, 214),
		)
	case AbnormalToMerchant:
		return checkUnset("bank_account", r.BankType+r.BankAccount+r.RealName == "",
			"the card goes with "+AbnormalToUser, "银行卡信息仅用于 "+AbnormalToUser)
	}
	return &RequestError{"type", phrase.Text{EN: "it is " + AbnormalToUser + " or " + AbnormalToMerchant, ZH: "取值 " + AbnormalToUser + " 或 " + AbnormalToMerchant}}
}

// refundJSON is a Refund as WeChat Pay spells it, in answers and in notifications.
type refundJSON struct {
	partiesJSON
	RefundID            string            `json:"refund_id"`
	OutRefundNo         string            `json:"out_refund_no"`
	TransactionID       string            `json:"transaction_id"`
	OutTradeNo          string            `json:"out_trade_no"`
	Channel             string            `json:"channel"`
	UserReceivedAccount string            `json:"user_received_account"`
	SuccessTime         time.Time         `json:"success_time"`
	CreateTime          time.Time         `json:"create_time"`
	Status              string            `json:"status"`
	RefundStatus        string            `json:"refund_status"` // instead of status, in notifications
	FundsAccount        string            `json:"funds_account"`
	Amount              *refundedJSON     `json:"amount"`
	Promotions          []RefundPromotion `json:"promotion_detail"`
}

type refundedJSON struct {
	Total            *money.Fen     `json:"total"`
	Refund           *money.Fen     `json:"refund"`
	PayerTotal       money.Fen      `json:"payer_total"`
	PayerRefund      money.Fen      `json:"payer_refund"`
	SettlementTotal  money.Fen      `json:"settlement_total"`
	SettlementRefund money.Fen      `json:"settlement_refund"`
	DiscountRefund   money.Fen      `json:"discount_refund"`
	RefundFee        money.Fen      `json:"refund_fee"`
	Currency         string         `json:"currency"`
	From             []RefundSource `json:"from"`
}

// readRefund reads an answer, which need not say whose refund it is.
func (c *Client) readRefund(resp *Response) (*Refund, error) {
	f, w, err := parseRefund(resp.Body)
	if err != nil {
		return nil, err
	}
	f.State, f.Serial = RefundState(w.Status), resp.Serial
	f.MerchantID, f.ProviderID = c.merchant()
	switch {
	case f.State == "":
		return nil, errors.New("it has no status")
	case c.provides() && w.SubMerchantID != "" && w.SubMerchantID != c.sub.ID, !c.provides() && w.SubMerchantID != "":
		return nil, errors.New("the answer is about another merchant")
	}
	return f, f.checkState()
}

// parseRefundNotification reads the plaintext of a notification of the given event type.
func parseRefundNotification(data []byte, eventType string) (*Refund, error) {
	f, w, err := parseRefund(data)
	if err != nil {
		return nil, err
	}
	f.State = RefundState(w.RefundStatus)
	f.MerchantID, f.ProviderID = w.merchant()
	switch {
	case f.MerchantID == "":
		return nil, errors.New("it has no mchid alone, nor sp_mchid with sub_mchid")
	case f.State == "":
		return nil, errors.New("it has no refund_status")
	case eventType != "REFUND."+string(f.State):
		return nil, fmt.Errorf("event %s says %s", phrase.Clip(eventType, 40), phrase.Clip(string(f.State), 40))
	}
	return f, f.checkState()
}

func (f *Refund) checkState() error {
	if f.State == RefundSuccess && f.SuccessTime.IsZero() {
		return errors.New("it has no success_time")
	}
	return nil
}

// parseRefund reads what answers and notifications have in common. What they must have and do not have is an error.
func parseRefund(data []byte) (*Refund, *refundJSON, error) {
	var w refundJSON
	if err := strictUnmarshal(data, &w); err != nil {
		return nil, nil, err
	}
	var problems []error
	for _, r := range []struct {
		field   string
		missing bool
	}{
		{"refund_id", w.RefundID == ""},
		{"out_refund_no", w.OutRefundNo == ""},
		{"transaction_id", w.TransactionID == ""},
		{"out_trade_no", w.OutTradeNo == ""},
		{"amount.total", w.Amount == nil || w.Amount.Total == nil},
		{"amount.refund", w.Amount == nil || w.Amount.Refund == nil},
	} {
		if r.missing {
			problems = append(problems, fmt.Errorf("it has no %s", r.field))
		}
	}
	if len(problems) > 0 {
		return nil, nil, errors.Join(problems...)
	}
	a := w.Amount
	return &Refund{
		RefundID:            w.RefundID,
		OutRefundNo:         w.OutRefundNo,
		TransactionID:       w.TransactionID,
		OutTradeNo:          w.OutTradeNo,
		Channel:             w.Channel,
		UserReceivedAccount: w.UserReceivedAccount,
		CreateTime:          w.CreateTime.UTC(),
		SuccessTime:         w.SuccessTime.UTC(),
		FundsAccount:        w.FundsAccount,
		Amount: RefundAmount{*a.Total, *a.Refund, a.PayerTotal, a.PayerRefund, a.SettlementTotal, a.SettlementRefund,
			a.DiscountRefund, a.RefundFee, a.Currency, a.From},
		Promotions: w.Promotions,
		Raw:        data,
	}, &w, nil
}
