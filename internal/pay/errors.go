package pay

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ErrUncertain is the outcome of a call whose answer never came or can't be trusted: the request may have been carried
// out. Ask again with the same numbers, or query; never record a failure.
var ErrUncertain = errors.New("outcome unknown")

// ErrNotExist is WeChat's verified word that it holds no order of that number. Right after an uncertain Prepay it is
// not final: see [Order.Absent].
var ErrNotExist = errors.New("WeChat holds no such order")

// ErrBusy means that WeChat asked for patience (rate limit, or a payment in progress). Nothing was done; the same
// request may be sent again later.
var ErrBusy = errors.New("WeChat asks to wait")

// ErrSettled means that WeChat refused because of the state that the order has reached there: paid or closed. Which one
// only a query tells.
var ErrSettled = errors.New("the order has already been paid or closed at WeChat")

// ErrTransactionTaken is what the store says to a payment whose transaction has paid another order.
var ErrTransactionTaken = errors.New("the transaction has paid another order")

// ErrUnknownOrder is a verified payment of an order that this installation does not hold (yet).
var ErrUnknownOrder = errors.New("a payment of an order that is not ours")

// ErrUnknownMerchant means that a merchant number is not (or no longer) in the settings.
var ErrUnknownMerchant = errors.New("no such merchant")

// ErrUnverified is a message that claims to come from WeChat and can't be shown to: no signature, a wrong or a stale one,
// or one by an unknown key. Nothing of it is believed or kept.
var ErrUnverified = errors.New("not verified to come from WeChat")

// Refusal is a definite no from WeChat: the request was understood and not carried out.
type Refusal struct {
	Status    int    // HTTP status
	Code      string // WeChat's code, such as APPID_MCHID_NOT_MATCH
	Message   string // WeChat's text, for the log
	RequestID string // quote it to WeChat's support
	Hint      func(lang string) string
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("WeChat refused: %s (HTTP %d, request id %s): %s", r.Code, r.Status, r.RequestID, r.Message)
}

// Code names a refusal of ours. It is stable, English and part of the API; the sentences that go with it, in Chinese and
// English, are in the table of internal/server.
type Code string

func (c Code) Error() string { return string(c) }

const (
	CodeOrderNotFound        Code = "order_not_found"
	CodeOrderPaid            Code = "order_already_paid"
	CodeOrderClosed          Code = "order_closed"
	CodeOrderExpired         Code = "order_expired"
	CodeOrderFrozen          Code = "order_frozen" // a mismatch is being looked into
	CodeOrderBeingPaid       Code = "order_being_paid"
	CodeOutTradeNoTaken      Code = "out_trade_no_taken"
	CodeProductNotFound      Code = "product_not_found"
	CodeProductInactive      Code = "product_inactive"
	CodeInvalid              Code = "invalid_request" // Args: field, why_zh, why_en
	CodeAmountTooLarge       Code = "amount_too_large"
	CodeIdempotencyKeyReused Code = "idempotency_key_reused"
	CodeAppUnknown           Code = "app_unknown"
	CodeUserUnknown          Code = "user_unknown"
	CodeLoginCode            Code = "login_code_invalid"
	CodeLoginBlocked         Code = "login_blocked"
	CodeSessionInvalid       Code = "session_invalid"
	CodeAPIKeyInvalid        Code = "api_key_invalid"
	CodeEventNotFound        Code = "event_not_found"
	CodeWeChatRefused        Code = "wechat_refused" // Args: code, hint_zh, hint_en
	CodeWeChatUncertain      Code = "wechat_uncertain"
	CodeWeChatBusy           Code = "wechat_busy"
)

// Error is a refusal of ours that the caller can act on. errors.Is finds its Code and its cause.
type Error struct {
	Code  Code
	Args  map[string]string // what the sentence names
	Cause error             // for the log; may be nil
}

// refuse makes an Error; args are pairs of name and value.
func refuse(code Code, cause error, args ...string) *Error {
	e := &Error{Code: code, Cause: cause}
	for i := 0; i+1 < len(args); i += 2 {
		if e.Args == nil {
			e.Args = map[string]string{}
		}
		e.Args[args[i]] = args[i+1]
	}
	return e
}

// invalid refuses one field of a request; why is said in both languages, with the remedy.
func invalid(field, zh, en string) *Error {
	return refuse(CodeInvalid, nil, "field", field, "why_zh", zh, "why_en", en)
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	for _, k := range slices.Sorted(maps.Keys(e.Args)) {
		if !strings.HasSuffix(k, "_zh") {
			fmt.Fprintf(&b, " %s=%q", k, e.Args[k])
		}
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	return b.String()
}

// Unwrap lets errors.Is see the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Cause}
}
