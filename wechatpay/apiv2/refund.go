package apiv2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
)

// RefundState is the state of a refund at WeChat Pay. Values that are not listed here are kept as they came; treat them
// as not final, and query on.
//
// Source: v2 manual, "查询退款" (chapter 9_5), refund_status.
type RefundState string

const (
	// RefundProcessing means accepted and on its way. It becomes one of the others.
	RefundProcessing RefundState = "PROCESSING"
	// RefundSuccess means that the buyer has the money. Final.
	RefundSuccess RefundState = "SUCCESS"
	// RefundClosed means that it failed and the money is back at the merchant's. Final for this refund number.
	RefundClosed RefundState = "REFUNDCLOSE"
	// RefundAbnormal means that the buyer's account could not take the money, and that the merchant must act, on the
	// merchant platform. API v3 calls it ABNORMAL.
	RefundAbnormal RefundState = "CHANGE"
)

// Accounts that a refund can be paid from. Merchants on the newer fund flow have one account, and no choice.
const (
	UnsettledFunds = "REFUND_SOURCE_UNSETTLED_FUNDS" // the takings that are not settled yet; WeChat Pay's default
	RechargeFunds  = "REFUND_SOURCE_RECHARGE_FUNDS"  // the available balance
)

// RefundRequest is a refund of all or part of a payment. What is left empty is not sent.
type RefundRequest struct {
	TransactionID string // WeChat Pay's number of the payment; this
	OutTradeNo    string // or the merchant's number of it, one of the two
	OutRefundNo   string // the merchant's number of this refund: 1 to 64 of 0-9 A-Z a-z _ - | * @; see Client.Refund

	Amount   money.Fen // to refund: at least 1 fen, all refunds together at most Total
	Total    money.Fen // of the order, as it was placed
	Currency string    // "" means CNY; there is no other

	Reason       string // the buyer sees it; at most 80 bytes
	NotifyURL    string // "" means that of the merchant platform, or none
	FundsAccount string // "" means WeChat Pay's default; else UnsettledFunds or RechargeFunds
}

// Refund is what WeChat Pay says about one refund, in a verified answer. Texts that are absent are "", times that are
// absent are zero and in UTC otherwise, amounts that are absent are 0.
type Refund struct {
	RefundID            string // WeChat Pay's number
	OutRefundNo         string
	TransactionID       string
	OutTradeNo          string
	State               RefundState
	Channel             string // ORIGINAL, BALANCE, OTHER_BALANCE or OTHER_BANKCARD
	UserReceivedAccount string // where the money went: a bank's name and the last digits of a card, or 支付用户零钱
	FundsAccount        string // see RefundRequest
	SuccessTime         time.Time
	Amount              RefundAmount
	Coupons             []Coupon // what went back to coupons
}

// RefundAmount is the money of a refund.
type RefundAmount struct {
	Total            money.Fen // of the order
	SettlementTotal  money.Fen // of the order, less coupons that the merchant is not paid for
	Refund           money.Fen // what was asked for
	SettlementRefund money.Fen // Refund less what goes back to such coupons
	PayerTotal       money.Fen // what the buyer gave for the order (cash_fee)
	PayerRefund      money.Fen // what goes back to the buyer's purse; only in the answer to Refund
	CouponRefund     money.Fen // what goes back to coupons
	Currency         string    // CNY where WeChat Pay says nothing
}

// Refund asks WeChat Pay to send money back to the buyer. It presents the client certificate.
//
// Asking again with the same OutRefundNo and amounts is the same refund, so after ErrUncertain simply ask again; a new
// number while the first result is unknown is a second refund. A nil error means accepted, not sent: State is then
// RefundProcessing, and QueryRefund says what became of it. An order can be refunded within a year, in at most 50 parts,
// at least a minute apart.
//
// Errors to tell apart: *RequestError (nothing was sent: mend the field), CodeNotEnough (the merchant's balance is short:
// the same again later), CodeBizErrNeedRetry, CodeFrequencyLimited and CodeOrderNotReady (the same again in a minute),
// CodeTradeOverdue, CodeUserAccountAbnormal (pay back in another way), CodeCertError, ErrNotSent, ErrUncertain.
//
// Source: v2 manual, "申请退款" (chapter 9_4).
func (c *Client) Refund(ctx context.Context, r RefundRequest) (*Refund, error) {
	fields, err := r.fields()
	if err != nil {
		return nil, fmt.Errorf("refund: %w", err)
	}
	resp, err := c.do(ctx, "/secapi/pay/refund", "", fields)
	if err != nil {
		return nil, fmt.Errorf("refund %s: %w", r.OutRefundNo, err)
	}
	refund, err := readRefund(resp.Fields)
	if err == nil && (refund.OutRefundNo != r.OutRefundNo || refund.Amount.Refund != r.Amount || refund.Amount.Total != r.Total ||
		r.OutTradeNo != "" && refund.OutTradeNo != r.OutTradeNo || r.TransactionID != "" && refund.TransactionID != r.TransactionID) {
		err = errors.New("it is about another refund or another amount")
	}
	if err != nil {
		return nil, fmt.Errorf("refund %s: %w", r.OutRefundNo, uncertain(fmt.Errorf("read the answer: %w", err)))
	}
	return refund, nil
}

// fields checks r and spells it for WeChat Pay.
func (r RefundRequest) fields() (Fields, error) {
	if err := cmp.Or(
		checkOrderNumbers(r.OutTradeNo, r.TransactionID),
		checkOutRefundNo(r.OutRefundNo),
		checkFen("total_fee", r.Total),
		checkFen("refund_fee", r.Amount),
		checkCurrency("refund_fee_type", r.Currency),
		checkText("refund_desc", r.Reason, 0, 80),
		checkNotifyURL(r.NotifyURL, 0),
	); err != nil {
		return nil, err
	}
	if r.Amount > r.Total {
		return nil, &RequestError{"refund_fee", phrase.Text{
			EN: fmt.Sprintf("a refund of %s is more than the order's %s", r.Amount, r.Total),
			ZH: fmt.Sprintf("退款 %s 元超过订单金额 %s 元", r.Amount, r.Total),
		}}
	}
	if r.FundsAccount != "" && r.FundsAccount != UnsettledFunds && r.FundsAccount != RechargeFunds {
		return nil, &RequestError{"refund_account", phrase.Text{
			EN: "it is UnsettledFunds or RechargeFunds", ZH: "应为 UnsettledFunds 或 RechargeFunds",
		}}
	}
	f := make(Fields, 0, 16)
	f = f.add("notify_url", r.NotifyURL)
	f = f.add("out_refund_no", r.OutRefundNo)
	f = f.add("out_trade_no", r.OutTradeNo)
	f = f.add("refund_account", r.FundsAccount)
	f = f.add("refund_desc", r.Reason)
	f = f.add("refund_fee", strconv.FormatInt(int64(r.Amount), 10))
	f = f.add("refund_fee_type", r.Currency)
	f = f.add("total_fee", strconv.FormatInt(int64(r.Total), 10))
	f = f.add("transaction_id", r.TransactionID)
	return f, nil
}

// readRefund reads the answer to a request for a refund, which has no status.
func readRefund(f Fields) (*Refund, error) {
	r := reader{f: f}
	refund := &Refund{
		RefundID:      r.required("refund_id"),
		OutRefundNo:   r.required("out_refund_no"),
		TransactionID: r.required("transaction_id"),
		OutTradeNo:    r.required("out_trade_no"),
		State:         RefundProcessing,
		Channel:       f.find("refund_channel"),
		Amount: RefundAmount{
			Total:            r.fen("total_fee"),
			SettlementTotal:  r.fen("settlement_total_fee"),
			Refund:           r.fen("refund_fee"),
			SettlementRefund: r.fen("settlement_refund_fee"),
			PayerTotal:       r.fen("cash_fee"),
			PayerRefund:      r.fen("cash_refund_fee"),
			CouponRefund:     r.fen("coupon_refund_fee"),
			Currency:         r.currency("fee_type"),
		},
		Coupons: r.refundedCoupons("coupon_refund_count", "_"),
	}
	r.required("total_fee")
	r.required("refund_fee")
	return refund, errors.Join(r.problems...)
}

// refundedCoupons reads the coupons whose fields end in the given way and a number.
func (r *reader) refundedCoupons(count, end string) []Coupon {
	var coupons []Coupon
	for m := range r.count(count) {
		i := end + strconv.FormatInt(m, 10)
		coupons = append(coupons, Coupon{
			ID:     r.f.find("coupon_refund_id" + i),
			Type:   r.f.find("coupon_type" + i),
			Amount: r.fen("coupon_refund_fee" + i),
		})
	}
	return coupons
}

// QueryRefund asks for one refund by the merchant's number. The answer is verified and is about this refund.
//
// Errors to tell apart: CodeRefundNotExist (it was not accepted; after an uncertain request wait a minute, then repeat
// the request), ErrNotSent and ErrUncertain (no verified answer: ask again).
//
// Source: v2 manual, "查询退款" (chapter 9_5).
func (c *Client) QueryRefund(ctx context.Context, outRefundNo string) (*Refund, error) {
	if err := checkOutRefundNo(outRefundNo); err != nil {
		return nil, fmt.Errorf("query a refund: %w", err)
	}
	page, err := c.refundPage(ctx, Field{"out_refund_no", outRefundNo}, -1)
	if err == nil {
		for _, refund := range page.refunds {
			if refund.OutRefundNo == outRefundNo {
				return refund, nil
			}
		}
		err = uncertain(errors.New("read the answer: it is about another refund"))
	}
	return nil, fmt.Errorf("query refund %s: %w", outRefundNo, err)
}

// OrderRefunds asks for all refunds of an order, which is named by one of its two numbers, and yields each of them once.
// They come in pages of ten, fetched as the loop goes on. An error comes with a nil refund and ends the loop: what was
// yielded before is true, and there may be more. An order without a refund gives CodeRefundNotExist.
//
// Payments of more than 18 months ago are found by transactionID alone.
//
// Source: v2 manual, "查询退款" (chapter 9_5).
func (c *Client) OrderRefunds(ctx context.Context, outTradeNo, transactionID string) iter.Seq2[*Refund, error] {
	return func(yield func(*Refund, error) bool) {
		number := Field{"out_trade_no", outTradeNo}
		if transactionID != "" {
			number = Field{"transaction_id", transactionID}
		}
		if err := checkOrderNumbers(outTradeNo, transactionID); err != nil {
			yield(nil, fmt.Errorf("query refunds: %w", err))
			return
		}
		seen := map[string]bool{} // a refund that is made meanwhile moves the others to the next page
		total := int64(-1)        // -1 where no answer has said it
		for offset := int64(0); ; {
			page, err := c.refundPage(ctx, number, offset)
			if err == nil && len(page.refunds) == 0 {
				err = uncertain(errors.New("read the answer: it has no refunds"))
			}
			if errors.Is(err, CodeParamError) && offset > 0 && total < 0 {
				return // beyond the end, of which nothing was said
			}
			if err != nil {
				yield(nil, fmt.Errorf("query refunds of %s: %w", number.Value, err))
				return
			}
			for _, refund := range page.refunds {
				if seen[refund.RefundID] {
					continue
				}
				seen[refund.RefundID] = true
				if !yield(refund, nil) {
					return
				}
			}
			offset += int64(len(page.refunds))
			total = max(total, page.total)
			if total >= 0 && offset >= total || total < 0 && len(page.refunds) < refundsOnPage {
				return
			}
		}
	}
}

// refundsOnPage is the number of refunds in an answer that is not the last.
const refundsOnPage = 10

// refundPage is one answer to a query of refunds.
type refundPage struct {
	refunds []*Refund
	total   int64 // of the order; -1 where the answer does not say
}

// refundPage asks for one page. An offset of -1 is not sent.
func (c *Client) refundPage(ctx context.Context, number Field, offset int64) (refundPage, error) {
	none := refundPage{total: -1}
	fields := Fields{number}
	if offset >= 0 {
		fields = append(fields, Field{"offset", strconv.FormatInt(offset, 10)})
	}
	resp, err := c.do(ctx, "/pay/refundquery", "", fields)
	if err != nil {
		return none, err
	}
	page, err := readRefundPage(resp.Fields)
	if echo := resp.Fields.find(number.Name); err == nil && echo != "" && echo != number.Value {
		err = errors.New("it is about another order")
	}
	if err != nil {
		return none, uncertain(fmt.Errorf("read the answer: %w", err))
	}
	return page, nil
}

func readRefundPage(f Fields) (refundPage, error) {
	r := reader{f: f}
	page := refundPage{total: -1}
	if f.find("total_refund_count") != "" {
		page.total = r.count("total_refund_count")
	}
	order := Refund{
		TransactionID: r.required("transaction_id"),
		OutTradeNo:    r.required("out_trade_no"),
		Amount: RefundAmount{
			Total:           r.fen("total_fee"),
			SettlementTotal: r.fen("settlement_total_fee"),
			PayerTotal:      r.fen("cash_fee"),
			Currency:        r.currency("fee_type"),
		},
	}
	r.required("total_fee")
	r.required("refund_count")
	for n := range r.count("refund_count") {
		i := "_" + strconv.FormatInt(n, 10)
		refund := order
		refund.RefundID = r.required("refund_id" + i)
		refund.OutRefundNo = r.required("out_refund_no" + i)
		refund.State = RefundState(r.required("refund_status" + i))
		refund.Channel = f.find("refund_channel" + i)
		refund.UserReceivedAccount = f.find("refund_recv_accout" + i) // spelled so
		refund.FundsAccount = f.find("refund_account" + i)
		refund.SuccessTime = r.time("refund_success_time"+i, time.DateTime)
		r.required("refund_fee" + i)
		refund.Amount.Refund = r.fen("refund_fee" + i)
		refund.Amount.SettlementRefund = r.fen("settlement_refund_fee" + i)
		refund.Amount.CouponRefund = r.fen("coupon_refund_fee" + i)
		refund.Coupons = r.refundedCoupons("coupon_refund_count"+i, i+"_")
		page.refunds = append(page.refunds, &refund)
	}
	return page, errors.Join(r.problems...)
}
