package apiv2

import (
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
	// unchanged, or query. The cause is wrapped: a deadline, a broken connection, an [*Error] such as SYSTEMERROR, a
	// [*SignatureError].
	ErrUncertain = errors.New("the outcome is unknown: the request may have been executed")

	// ErrNotSent is matched by the error of a request that provably never reached WeChat Pay: it was refused here, its
	// certificate was missing or no connection came about.
	ErrNotSent = errors.New("the request was not sent")

	// ErrBadSignature is matched by the error of a message that is not proven to come from WeChat Pay. Answer such a
	// notification with FAIL: a genuine one comes again.
	ErrBadSignature = errors.New("the message is not proven to come from WeChat Pay")

	// ErrBadMessage is matched by the error of a notification that is signed by WeChat Pay but lacks what it must have,
	// or is meant for another merchant. Answer with FAIL, so that WeChat Pay sends it again when the configuration or the
	// program has been mended.
	ErrBadMessage = errors.New("the notification is genuine but can't be used")
)

// Code is the err_code of an answer. Codes are errors, so that callers can ask errors.Is(err, CodeOrderNotExist). Codes
// that are not listed here are kept as they came.
type Code string

// Error returns the code itself.
func (c Code) Error() string { return string(c) }

// The codes of the APIs of this package. Each has a hint in two languages.
//
// Source: v2 manual, the error tables of the order, query, close, refund, bill and code payment pages.
const (
	CodeSystemError          Code = "SYSTEMERROR"
	CodeBankError            Code = "BANKERROR"
	CodeUserPaying           Code = "USERPAYING"
	CodeParamError           Code = "PARAM_ERROR"
	CodeInvalidRequest       Code = "INVALID_REQUEST" // also: this order number was used with other content
	CodeLackParams           Code = "LACK_PARAMS"
	CodeXMLFormatError       Code = "XML_FORMAT_ERROR"
	CodePostDataEmpty        Code = "POST_DATA_EMPTY"
	CodeNotUTF8              Code = "NOT_UTF8"
	CodeRequirePostMethod    Code = "REQUIRE_POST_METHOD"
	CodeSignError            Code = "SIGNERROR"
	CodeCertError            Code = "CERT_ERROR"
	CodeAppIDNotExist        Code = "APPID_NOT_EXIST"
	CodeMchIDNotExist        Code = "MCHID_NOT_EXIST"
	CodeAppIDMchIDNotMatch   Code = "APPID_MCHID_NOT_MATCH"
	CodeNoAuth               Code = "NOAUTH"
	CodeOutTradeNoUsed       Code = "OUT_TRADE_NO_USED"
	CodeOrderPaid            Code = "ORDERPAID"
	CodeOrderClosed          Code = "ORDERCLOSED"
	CodeOrderReversed        Code = "ORDERREVERSED"
	CodeOrderNotExist        Code = "ORDERNOTEXIST"
	CodeOrderNotReady        Code = "ORDER_NOT_READY"
	CodeTradeError           Code = "TRADE_ERROR"
	CodeTradeStateError      Code = "TRADE_STATE_ERROR"
	CodeTradeOverdue         Code = "TRADE_OVERDUE"
	CodeNotEnough            Code = "NOTENOUGH" // of the buyer; with a refund, of the merchant
	CodeInvalidTransactionID Code = "INVALID_TRANSACTIONID"
	CodeRefundNotExist       Code = "REFUNDNOTEXIST"
	CodeRefundFeeMismatch    Code = "REFUND_FEE_MISMATCH"
	CodeBizErrNeedRetry      Code = "BIZERR_NEED_RETRY"
	CodeUserAccountAbnormal  Code = "USER_ACCOUNT_ABNORMAL"
	CodeInvalidReqTooMuch    Code = "INVALID_REQ_TOO_MUCH"
	CodeFrequencyLimited     Code = "FREQUENCY_LIMITED" // close: also while the buyer is paying
	CodeGeneralError         Code = "ERROR"
	CodeAuthCodeExpire       Code = "AUTHCODEEXPIRE"
	CodeAuthCodeError        Code = "AUTH_CODE_ERROR"
	CodeAuthCodeInvalid      Code = "AUTH_CODE_INVALID"
	CodeNotSupportCard       Code = "NOTSUPORTCARD" // spelled so
	CodeBuyerMismatch        Code = "BUYER_MISMATCH"
	CodeNoBillExist          Code = "NO_BILL_EXIST"
	CodeBillCreating         Code = "BILL_CREATING"
	CodeGzipError            Code = "COMPRESSGZIP_ERROR"
	CodeUngzipError          Code = "UNCOMPRESSGZIP_ERROR"

	// CodeReturnFail stands for a refusal that has a text of its own and no code: read Error.Message.
	CodeReturnFail Code = "RETURN_FAIL"
)

// Level is the part of an answer that says no. An answer is a success only if it passes all three.
type Level string

const (
	// LevelHTTP is a status other than 200: something in between answered. The outcome is unknown.
	LevelHTTP Level = "http"
	// LevelTransport is return_code FAIL: the request was not taken, for its signature, form or frequency. WeChat Pay
	// does not sign such an answer, so it is a hint and no proof of the state of a payment.
	LevelTransport Level = "return_code"
	// LevelBusiness is result_code FAIL, with a code. It is signed.
	LevelBusiness Level = "result_code"
)

// Error is an answer from WeChat Pay that is not a success. Where it leaves the outcome open it matches [ErrUncertain]:
// SYSTEMERROR, BANKERROR, USERPAYING, and every HTTP status but 200.
type Error struct {
	Level   Level
	Status  int    // HTTP status
	Code    Code   // never empty: with LevelHTTP "HTTP_502", with LevelTransport what its text is known to mean
	Message string // return_msg or err_code_des: WeChat's text, for the log, not for the buyer
	Number  string // error_code of a bill that was refused, such as "20001", else ""
}

// Error names level and code, and WeChat's text without anything that looks like an openid.
func (e *Error) Error() string {
	var b strings.Builder
	switch e.Level {
	case LevelHTTP:
		fmt.Fprintf(&b, "WeChat Pay answered %s", e.Code)
	default:
		fmt.Fprintf(&b, "WeChat Pay answered %s FAIL, %s", e.Level, e.Code)
	}
	if e.Number != "" {
		fmt.Fprintf(&b, " %s", e.Number)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", phrase.Clip(phrase.Redact(e.Message), 300))
	}
	return b.String()
}

// Unwrap returns the code, for errors.Is.
func (e *Error) Unwrap() error { return e.Code }

// Is reports whether target is ErrUncertain and the answer leaves the outcome open.
func (e *Error) Is(target error) bool { return target == ErrUncertain && e.uncertain() }

func (e *Error) uncertain() bool {
	return e.Level == LevelHTTP || e.Code == CodeSystemError || e.Code == CodeBankError || e.Code == CodeUserPaying
}

// Hint says what to do about the error, in Chinese where lang begins with "zh" and in English otherwise.
func (e *Error) Hint(lang string) string {
	if h, ok := hints[e.Code]; ok {
		return h.In(lang)
	}
	if e.uncertain() {
		return hints[CodeSystemError].In(lang)
	}
	return phrase.Text{
		EN: "WeChat Pay refused the request: read its message, mend the cause, and don't repeat the request as it is.",
		ZH: "微信支付拒绝了该请求：请查看返回的错误描述，排除原因后再试，不要原样重试。",
	}.In(lang)
}

// httpError is the error of a status other than 200.
func httpError(status int, body []byte) *Error {
	e := &Error{Level: LevelHTTP, Status: status, Code: Code(fmt.Sprintf("HTTP_%d", status))}
	// What stands before the servers says so in a page of HTML.
	if strings.Contains(string(body[:min(len(body), 4096)]), "SSL certificate") {
		e.Code = CodeCertError
	}
	return e
}

// transportError is the error of return_code FAIL.
func transportError(f Fields) *Error {
	message := phrase.Clip(f.find("return_msg"), 1024)
	return &Error{Level: LevelTransport, Status: http.StatusOK, Code: codeOfText(message), Message: message,
		Number: phrase.Clip(f.find("error_code"), 32)}
}

// businessError is the error of result_code FAIL.
func businessError(f Fields) *Error {
	e := &Error{Level: LevelBusiness, Status: http.StatusOK, Code: CodeReturnFail, Message: phrase.Clip(f.find("err_code_des"), 1024)}
	if code := f.find("err_code"); rules.IsCode(code) {
		e.Code = normalCode(code)
	}
	return e
}

// codeOfText finds the code for a return_msg, which has none. Nobody signs it, so it never becomes a code that says what
// state an order or a refund is in, whatever it holds.
//
// Source: observed texts; v2 manual, "下载对账单".
func codeOfText(s string) Code {
	for _, known := range returnTexts {
		if strings.Contains(strings.ToLower(s), known.part) {
			return known.code
		}
	}
	return CodeReturnFail
}

// returnTexts are parts of texts, in lower case. The first that fits counts.
var returnTexts = []struct {
	part string
	code Code
}{
	{"no bill exist", CodeNoBillExist},
	{"bill creating", CodeBillCreating},
	{"uncompressgzip error", CodeUngzipError},
	{"compressgzip error", CodeGzipError},
	{"invalid bill_type", CodeParamError},
	{"data format error", CodeParamError},
	{"missing parameter", CodeLackParams},
	{"sign error", CodeSignError},
	{"签名错误", CodeSignError},
	{"频率限制", CodeFrequencyLimited},
	{"频率过高", CodeFrequencyLimited},
	{"xml格式错误", CodeXMLFormatError},
	{"参数格式校验错误", CodeParamError},
	{"未在api文档中定义的参数", CodeParamError},
	{"证书验证失败", CodeCertError},
	{"appid不存在", CodeAppIDNotExist},
	{"signerror", CodeSignError}, // some answers hold a code where a text belongs
	{"param_error", CodeParamError},
	{"lack_params", CodeLackParams},
	{"xml_format_error", CodeXMLFormatError},
	{"cert_error", CodeCertError},
	{"appid_not_exist", CodeAppIDNotExist},
	{"mchid_not_exist", CodeMchIDNotExist},
	{"系统错误", CodeSystemError},
	{"系统异常", CodeSystemError},
	{"系统繁忙", CodeSystemError},
	{"system error", CodeSystemError},
	{"system busy", CodeSystemError},
	{"systemerror", CodeSystemError},
}

// normalCode maps the spellings of a code that differ in case and underscores to the one listed above.
func normalCode(s string) Code {
	if c, ok := spellings[strings.ToUpper(strings.ReplaceAll(s, "_", ""))]; ok {
		return c
	}
	return Code(s)
}

// spellings leads from a code without its underscores to the code.
var spellings = func() map[string]Code {
	m := map[string]Code{
		"FREQUENCYLIMIT":       CodeFrequencyLimited,
		"FREQUENCYLIMITEXCEED": CodeFrequencyLimited,
		"MCHNOTEXISTS":         CodeMchIDNotExist,
		"NOTSUPPORTCARD":       CodeNotSupportCard,
	}
	for c := range hints {
		m[strings.ReplaceAll(string(c), "_", "")] = c
	}
	return m
}()

// Codes returns every code that this package has a constant and a hint for, sorted.
func Codes() []Code { return slices.Sorted(maps.Keys(hints)) }

// RequestError is a request that was not sent because a field of it is wrong. It matches [ErrNotSent].
type RequestError struct {
	Field   string // as WeChat Pay spells it, such as "total_fee"
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
	problem phrase.Text
}

// Error names the reason.
func (e *SignatureError) Error() string { return ErrBadSignature.Error() + ": " + e.problem.EN }

// Hint is the reason and the remedy, in Chinese where lang begins with "zh" and in English otherwise.
func (e *SignatureError) Hint(lang string) string { return e.problem.In(lang) }

// Is reports whether target is ErrBadSignature.
func (e *SignatureError) Is(target error) bool { return target == ErrBadSignature }

func notSent(cause error) error { return &outcomeError{ErrNotSent, cause} }

// uncertain marks an error as leaving the outcome open.
func uncertain(cause error) error { return &outcomeError{ErrUncertain, cause} }

type outcomeError struct{ kind, cause error }

func (e *outcomeError) Error() string   { return e.kind.Error() + ": " + e.cause.Error() }
func (e *outcomeError) Unwrap() []error { return []error{e.kind, e.cause} }
