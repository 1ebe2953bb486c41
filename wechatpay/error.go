package wechatpay

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/rules"
)

var (
	// ErrUncertain is matched by the error of a request whose outcome is unknown: it may have been executed. Repeat it
	// unchanged, or query. The cause is wrapped: a deadline, a broken connection, an [*Error] of 500 and above, a
	// [*SignatureError].
	ErrUncertain = errors.New("the outcome is unknown: the request may have been executed")

	// ErrNotSent is matched by the error of a request that provably never reached WeChat Pay: it was refused here, its
	// keys were missing or no connection came about.
	ErrNotSent = errors.New("the request was not sent")

	// ErrBadSignature is matched by the error of a message that is not proven to come from WeChat Pay. Answer such a
	// notification with 4xx: a genuine one comes again.
	ErrBadSignature = errors.New("the message is not proven to come from WeChat Pay")

	// ErrBadMessage is matched by the error of a notification that is signed by WeChat Pay but can't be decrypted or
	// read. Answer with 5xx, so that WeChat Pay sends it again when the configuration or the program has been mended.
	ErrBadMessage = errors.New("the notification is genuine but can't be read")
)

// Code is the error code of an answer, in its newer spelling. Codes are errors, so that callers can ask
// errors.Is(err, CodeOrderNotExist). Codes that are not listed here are kept as they came.
type Code string

// Error returns the code itself.
func (c Code) Error() string { return string(c) }

// The codes of the basic payment APIs. Each has a hint in two languages.
//
// Source: vendor manual, the error tables of the order, query, close, refund and bill pages.
const (
	CodeParamError            Code = "PARAM_ERROR"
	CodeInvalidRequest        Code = "INVALID_REQUEST" // also: this order number was used with other content
	CodeSignError             Code = "SIGN_ERROR"
	CodeSystemError           Code = "SYSTEM_ERROR"
	CodeServiceUnavailable    Code = "SERVICE_UNAVAILABLE"
	CodeAppIDMchIDNotMatch    Code = "APPID_MCHID_NOT_MATCH"
	CodeMchNotExists          Code = "MCH_NOT_EXISTS"
	CodeNoAuth                Code = "NO_AUTH"
	CodeOutTradeNoUsed        Code = "OUT_TRADE_NO_USED"
	CodeOrderClosed           Code = "ORDER_CLOSED"
	CodeOrderPaid             Code = "ORDER_PAID"
	CodeOrderReversed         Code = "ORDER_REVERSED"
	CodeRuleLimit             Code = "RULE_LIMIT"
	CodeTradeError            Code = "TRADE_ERROR"
	CodeOrderNotExist         Code = "ORDER_NOT_EXIST"
	CodeUserAccountAbnormal   Code = "USER_ACCOUNT_ABNORMAL"
	CodeNotEnough             Code = "NOT_ENOUGH"
	CodeResourceNotExists     Code = "RESOURCE_NOT_EXISTS"
	CodeRefundNotExists       Code = "REFUND_NOT_EXISTS"
	CodeFrequencyLimited      Code = "FREQUENCY_LIMITED" // close: also while the buyer is paying
	CodeRequestBlocked        Code = "REQUEST_BLOCKED"
	CodeBizErrNeedRetry       Code = "BIZ_ERR_NEED_RETRY"
	CodeOpenIDMismatch        Code = "OPENID_MISMATCH"
	CodeInvalidTransactionID  Code = "INVALID_TRANSACTIONID"
	CodeBankError             Code = "BANK_ERROR"
	CodeUserPaying            Code = "USERPAYING"
	CodeAuthCodeExpire        Code = "AUTH_CODE_EXPIRE"
	CodeAuthCodeInvalid       Code = "AUTH_CODE_INVALID"
	CodeUserNotExist          Code = "USER_NOT_EXIST"
	CodeNoStatementExist      Code = "NO_STATEMENT_EXIST"
	CodeStatementCreating     Code = "STATEMENT_CREATING"
	CodeAlreadyExists         Code = "ALREADY_EXISTS"
	CodeResourceAlreadyExists Code = "RESOURCE_ALREADY_EXISTS"
	CodeNotFound              Code = "NOT_FOUND"
	CodeTradeOverdue          Code = "TRADE_OVERDUE"
	CodeRefundFeeMismatch     Code = "REFUND_FEE_MISMATCH"
)

// Error is an answer from WeChat Pay that was not 2xx. Below 500 the request was refused; the answer is not signed, so
// it is a hint and no proof of the state of a payment. From 500 on, the outcome is unknown: it matches [ErrUncertain].
type Error struct {
	Status    int             // HTTP status
	Code      Code            // never empty: "HTTP_503" when the body held none
	Message   string          // WeChat's text, for the log, not for the buyer
	RequestID string          // header Request-ID: quote it to WeChat's support
	Detail    json.RawMessage // as it came, or nil; may hold what was sent, so keep it out of logs
}

// Error names code, status and request id, and WeChat's text without anything that looks like an openid.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "WeChat Pay answered %d %s", e.Status, e.Code)
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", phrase.Clip(phrase.Redact(e.Message), 300))
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request id %s)", phrase.Clip(e.RequestID, 80))
	}
	return b.String()
}

// Unwrap returns the code, for errors.Is.
func (e *Error) Unwrap() error { return e.Code }

// Is reports whether target is ErrUncertain and the answer leaves the outcome open.
func (e *Error) Is(target error) bool { return target == ErrUncertain && e.uncertain() }

func (e *Error) uncertain() bool {
	// A 3xx is no answer of WeChat Pay, 408 and 499 come from what lies between.
	return e.Status >= 500 || e.Status < 400 || e.Status == http.StatusRequestTimeout || e.Status == 499
}

// Hint says what to do about the error, in Chinese where lang begins with "zh" and in English otherwise.
func (e *Error) Hint(lang string) string {
	if h, ok := hints[e.Code]; ok {
		return h.In(lang)
	}
	switch {
	case e.uncertain():
		return hints[CodeSystemError].In(lang)
	case e.Status == http.StatusTooManyRequests:
		return hints[CodeFrequencyLimited].In(lang)
	case e.Status == http.StatusUnauthorized:
		return hints[CodeSignError].In(lang)
	}
	return phrase.Text{
		EN: "WeChat Pay refused the request: read its message, mend the cause, and don't repeat the request as it is.",
		ZH: "微信支付拒绝了该请求：请查看返回的 message，排除原因后再试，不要原样重试。",
	}.In(lang)
}

// parseError reads the answer of an error status. Whatever the body holds, there is a code.
func parseError(status int, header http.Header, body []byte) *Error {
	e := &Error{Status: status, Code: Code(fmt.Sprintf("HTTP_%d", status)), RequestID: phrase.Clip(header.Get("Request-Id"), 128)}
	var v struct {
		Code    json.RawMessage `json:"code"`
		Message json.RawMessage `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &v) != nil {
		return e
	}
	var code, message string
	if json.Unmarshal(v.Code, &code) == nil && rules.IsCode(code) {
		e.Code = normalCode(code)
	}
	if json.Unmarshal(v.Message, &message) == nil {
		e.Message = phrase.Clip(message, 1024)
	}
	if string(v.Detail) != "null" {
		e.Detail = v.Detail
	}
	return e
}

// normalCode maps the older spellings of a code to the one listed above.
func normalCode(s string) Code {
	if c, ok := spellings[strings.ToUpper(strings.ReplaceAll(s, "_", ""))]; ok {
		return c
	}
	return Code(s)
}

// spellings leads from a code without its underscores, as older APIs write it, to the code.
var spellings = func() map[string]Code {
	m := map[string]Code{
		"FREQUENCYLIMITEXCEED": CodeFrequencyLimited,
		"FREQUENCYLIMIT":       CodeFrequencyLimited,
		"RATELIMITEXCEEDED":    CodeFrequencyLimited,
		"RATELIMITEXCEED":      CodeFrequencyLimited,
		"ACCOUNTERROR":         CodeUserAccountAbnormal,
	}
	for c := range hints {
		m[strings.ReplaceAll(string(c), "_", "")] = c
	}
	return m
}()

// RequestError is a request that was not sent because a field of it is wrong. It matches [ErrNotSent].
type RequestError struct {
	Field   string // as WeChat Pay spells it, such as "amount.total"
	problem phrase.Text
}

// Error names the field and the remedy.
func (e *RequestError) Error() string { return e.Field + ": " + e.problem.EN }

// Hint is the remedy, in Chinese where lang begins with "zh" and in English otherwise.
func (e *RequestError) Hint(lang string) string { return e.Field + ": " + e.problem.In(lang) }

// Is reports whether target is ErrNotSent.
func (e *RequestError) Is(target error) bool { return target == ErrNotSent }

// ConfigError is a mistake in a [Config]. [NewClient] reports all of them at once, joined.
type ConfigError struct {
	Field   string // of Config
	problem phrase.Text
}

// Error names the field and the remedy. It quotes no secret.
func (e *ConfigError) Error() string { return e.Field + ": " + e.problem.EN }

// Hint is the remedy, in Chinese where lang begins with "zh" and in English otherwise.
func (e *ConfigError) Hint(lang string) string { return e.Field + ": " + e.problem.In(lang) }

// SignatureError says why a message is not proven to come from WeChat Pay. It matches [ErrBadSignature].
type SignatureError struct {
	Serial  string // Wechatpay-Serial of the message, where it had one that can be shown
	Probe   bool   // a deliberately wrong signature of WeChat Pay's (签名探测): no reason for an alarm
	problem phrase.Text
	cause   error
}

// Error names the reason.
func (e *SignatureError) Error() string {
	s := ErrBadSignature.Error() + ": " + e.problem.EN
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Hint is the reason and the remedy, in Chinese where lang begins with "zh" and in English otherwise.
func (e *SignatureError) Hint(lang string) string { return e.problem.In(lang) }

// Is reports whether target is ErrBadSignature.
func (e *SignatureError) Is(target error) bool { return target == ErrBadSignature }

// Unwrap returns what kept the key from being found, or nil.
func (e *SignatureError) Unwrap() error { return e.cause }

// Codes returns every code that this package has a constant and a hint for, sorted.
func Codes() []Code { return slices.Sorted(maps.Keys(hints)) }
