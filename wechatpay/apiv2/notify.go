package apiv2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
)

// Notification is one of the two messages that WeChat Pay sends. Exactly one of its fields is not nil.
type Notification struct {
	Transaction *Transaction // a payment: verified
	RefundHint  *RefundHint  // a refund: not proven, see there
}

// RefundHint is what a refund notification (退款结果通知) claims. Such notifications are not signed, and their encryption
// does not keep anybody who holds two of them from putting a third together: so it is a reason to ask, by QueryRefund,
// and never a reason to act. All times are in UTC.
type RefundHint struct {
	AppID               string
	MerchantID          string // who pays: the merchant, or the sub merchant of a service provider
	ProviderID          string // the service provider that acts for MerchantID; "" where there is none
	TransactionID       string
	OutTradeNo          string
	RefundID            string
	OutRefundNo         string
	State               RefundState
	SuccessTime         time.Time
	UserReceivedAccount string
	FundsAccount        string
	RequestSource       string // API or VENDOR_PLATFORM: who asked for the refund
	Amount              RefundAmount
}

// ParseNotification reads a notification of either kind. body is the request's body as received. Calling it again for
// the same message gives the same result.
//
// See ParsePayment for its errors. A notification is about a refund where it has an encrypted part, whatever else it is.
func (c *Client) ParseNotification(body []byte) (*Notification, error) {
	f, err := decodeNotification(body)
	if err != nil {
		return nil, err
	}
	if f.find("req_info") != "" {
		hint, err := c.readRefundHint(f)
		if err != nil {
			return nil, err
		}
		return &Notification{RefundHint: hint}, nil
	}
	t, err := c.readPayment(f, body)
	if err != nil {
		return nil, err
	}
	return &Notification{Transaction: t}, nil
}

// ParsePayment verifies a payment notification (支付结果通知) and reads it. The same one may come again, also at the same
// moment, and years later from somebody who kept it: what it causes must be keyed by the order that it names.
//
// The error tells how to answer. [ErrBadSignature]: FAIL, WeChat Pay did not send this, or it was signed otherwise than
// SignType says. [ErrBadMessage]: FAIL, it did, but the message lacks what it must have. [*Error]: SUCCESS, it did, and
// says that a payment failed, which changes nothing: the order can still be paid.
//
// A genuine signature says who sent it, not whose order it is: compare app, number and amount with your order.
//
// Source: v2 manual, "支付结果通知" (chapter 9_7).
func (c *Client) ParsePayment(body []byte) (*Transaction, error) {
	f, err := decodeNotification(body)
	if err != nil {
		return nil, err
	}
	return c.readPayment(f, body)
}

// ParseRefundHint decrypts a refund notification (退款结果通知) and reads it. What it returns is a hint: see [RefundHint].
//
// The error is [ErrBadSignature] where the encrypted part was not made with the API key, and [ErrBadMessage] where it
// was and lacks what it must have. Answer FAIL in both cases.
//
// Source: v2 manual, "退款结果通知" (chapter 9_16).
func (c *Client) ParseRefundHint(body []byte) (*RefundHint, error) {
	f, err := decodeNotification(body)
	if err != nil {
		return nil, err
	}
	return c.readRefundHint(f)
}

// decodeNotification reads what anybody may have sent.
func decodeNotification(body []byte) (Fields, error) {
	if len(body) > maxNotification {
		return nil, &SignatureError{phrase.Text{EN: "it is longer than any notification", ZH: "超过通知的最大长度"}}
	}
	f, err := decode(body, "xml")
	if err != nil {
		return nil, &SignatureError{phrase.Text{EN: "it is not the XML of a notification: " + err.Error(), ZH: "不是通知的 XML：" + err.Error()}}
	}
	return f, nil
}

func (c *Client) readPayment(f Fields, body []byte) (*Transaction, error) {
	if err := verify(f, c.notifyTypes, c.notifyKeys); err != nil {
		return nil, err
	}
	if err := unambiguous(f); err != nil {
		return nil, err
	}
	bad := func(err error) error { return fmt.Errorf("%w: %w", ErrBadMessage, err) }
	if f.find("mch_id") != c.credentials.MerchantID {
		return nil, bad(errors.New("it is for another merchant"))
	}
	if f.find("return_code") != "SUCCESS" {
		return nil, bad(errors.New("its return_code is not SUCCESS"))
	}
	switch f.find("result_code") {
	case "SUCCESS":
	case "FAIL":
		return nil, businessError(f)
	default:
		return nil, bad(errors.New("its result_code is neither SUCCESS nor FAIL"))
	}
	state := TradeState(f.find("trade_state"))
	if state == "" {
		state = TradeSuccess // which is what a notification is about
	}
	t, err := readTransaction(f, body, state)
	if err != nil {
		return nil, bad(err)
	}
	return t, nil
}

// unambiguous refuses a message whose signed text could be taken apart into other fields. The text joins raw values with
// & and =, so that attach=x&total_fee=1 may be one field or two, under one and the same signature: whoever can choose an
// attach and see the notification could make another notification of it.
func unambiguous(f Fields) error {
	for i := range f {
		if name := joinedField(f[i].Value); name != "" {
			return &SignatureError{phrase.Text{
				EN: "the value of " + phrase.Clip(f[i].Name, 40) + " holds &" + name + "=, so that the signature fits other fields as well",
				ZH: phrase.Clip(f[i].Name, 40) + " 的值中含有 &" + name + "=，同一签名可对应不同字段",
			}}
		}
	}
	return nil
}

// joinedField returns the first name of a field of notifications that s holds in the form &name=, or "".
func joinedField(s string) string {
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			return ""
		}
		s = s[i+1:]
		if name, _, ok := strings.Cut(s, "="); ok && slices.Contains(notificationFields, name) {
			return name
		}
	}
}

// notificationFields are those that are read from a payment notification, and those that each has.
var notificationFields = []string{
	"appid", "attach", "bank_type", "cash_fee", "cash_fee_type", "coupon_count", "coupon_fee", "device_info", "err_code",
	"fee_type", "mch_id", "nonce_str", "openid", "out_trade_no", "promotion_detail", "result_code", "return_code",
	"settlement_total_fee", "sign_type", "sub_appid", "sub_mch_id", "sub_openid", "time_end", "total_fee", "trade_state",
	"trade_state_desc", "trade_type", "transaction_id",
}

func (c *Client) readRefundHint(f Fields) (*RefundHint, error) {
	// One error for whatever is wrong with the encrypted part: it is no oracle for whoever tries.
	refused := &SignatureError{phrase.Text{
		EN: "its req_info was not encrypted with the API key of this merchant", ZH: "req_info 不是用该商户的 API 密钥加密的",
	}}
	if f.find("return_code") != "SUCCESS" || f.find("req_info") == "" {
		return nil, &SignatureError{phrase.Text{EN: "it has no req_info", ZH: "缺少 req_info"}}
	}
	var inner Fields
	err := error(refused)
	for _, k := range c.notifyKeys {
		if inner, err = k.openRefund(f.find("req_info")); err == nil {
			break
		}
	}
	if err != nil {
		return nil, refused
	}
	r := reader{f: inner}
	hint := &RefundHint{
		AppID:               f.find("appid"),
		TransactionID:       r.required("transaction_id"),
		OutTradeNo:          r.required("out_trade_no"),
		RefundID:            r.required("refund_id"),
		OutRefundNo:         r.required("out_refund_no"),
		State:               RefundState(r.required("refund_status")),
		SuccessTime:         r.time("success_time", time.DateTime),
		UserReceivedAccount: inner.find("refund_recv_accout"), // spelled so
		FundsAccount:        inner.find("refund_account"),
		RequestSource:       inner.find("refund_request_source"),
		Amount: RefundAmount{
			Total:            r.fen("total_fee"),
			SettlementTotal:  r.fen("settlement_total_fee"),
			Refund:           r.fen("refund_fee"),
			SettlementRefund: r.fen("settlement_refund_fee"),
			PayerRefund:      r.fen("cash_refund_fee"),
			Currency:         money.CNY,
		},
	}
	r.required("total_fee")
	r.required("refund_fee")
	hint.MerchantID, hint.ProviderID = f.merchant()
	if f.find("mch_id") != c.credentials.MerchantID {
		r.fail("mch_id", errors.New("it is for another merchant"))
	}
	if len(r.problems) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrBadMessage, errors.Join(r.problems...))
	}
	return hint, nil
}

// NotificationHandler answers WeChat Pay's notifications of both kinds: SUCCESS once handle has returned nil, FAIL
// otherwise, so that WeChat Pay sends it again.
//
// handle returns nil only when what it did is durable, and does so within 5 seconds; its context ends after 4. It is
// called again for the same event, also concurrently. Errors are logged by the client's logger. A genuine notification
// that a payment failed is logged and answered with SUCCESS: there is nothing to do.
func (c *Client) NotificationHandler(handle func(context.Context, *Notification) error) http.Handler {
	return handler(c, c.ParseNotification, handle)
}

// PaymentHandler is a NotificationHandler for payments alone. Other messages are answered with FAIL.
func (c *Client) PaymentHandler(handle func(context.Context, *Transaction) error) http.Handler {
	return handler(c, c.ParsePayment, handle)
}

// RefundHintHandler is a NotificationHandler for refunds alone. Other messages are answered with FAIL.
func (c *Client) RefundHintHandler(handle func(context.Context, *RefundHint) error) http.Handler {
	return handler(c, c.ParseRefundHint, handle)
}

func handler[T any](c *Client, parse func(body []byte) (T, error), handle func(context.Context, T) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			reply(w, http.StatusMethodNotAllowed, "FAIL", "POST it")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 4*time.Second)
		defer cancel()
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNotification))
		if err != nil {
			reply(w, http.StatusBadRequest, "FAIL", "the body can't be read")
			return
		}
		message, err := parse(body)
		var failed *Error
		switch {
		case errors.As(err, &failed):
			c.log.InfoContext(ctx, "a payment failed, says a notification", "error", err)
			reply(w, http.StatusOK, "SUCCESS", "OK")
			return
		case errors.Is(err, ErrBadSignature):
			c.log.InfoContext(ctx, "a notification was refused", "error", err)
			reply(w, http.StatusUnauthorized, "FAIL", "the signature is not accepted")
			return
		case err == nil:
			err = handle(ctx, message)
		}
		if err != nil {
			c.log.ErrorContext(ctx, "a notification was not handled", "error", err)
			reply(w, http.StatusInternalServerError, "FAIL", "not handled")
			return
		}
		reply(w, http.StatusOK, "SUCCESS", "OK")
	})
}

// reply answers in the form that WeChat Pay asks for. It reads return_code; the status is for proxies and monitoring.
func reply(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<xml><return_code><![CDATA["+code+"]]></return_code>"+ // the caller may be gone
		"<return_msg><![CDATA["+message+"]]></return_msg></xml>")
}
