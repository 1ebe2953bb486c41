package miniprogram

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// ErrCode is the errcode of an answer. Codes are errors, so that callers can ask errors.Is(err, CodeInvalidCode). Codes
// that are not listed here are kept as they came.
type ErrCode int

// Error names the number.
func (c ErrCode) Error() string { return fmt.Sprintf("errcode %d", int(c)) }

// The errcodes of login and of the conventions that all server APIs share. Each has a hint in two languages.
//
// Source: WeChat's manual for mini programs, "小程序登录" and "全局返回码"; those that the manual leaves out (40163) as seen in the field.
const (
	CodeSystemBusy          ErrCode = -1
	CodeInvalidCredential   ErrCode = 40001 // access token, or the secret
	CodeInvalidAppID        ErrCode = 40013
	CodeInvalidToken        ErrCode = 40014
	CodeInvalidCode         ErrCode = 40029 // wrong, expired, or of another app
	CodeInvalidURL          ErrCode = 40066
	CodeInvalidArguments    ErrCode = 40097
	CodeInvalidSecret       ErrCode = 40125
	CodeUsed                ErrCode = 40163 // exchanged before
	CodeIPNotAllowed        ErrCode = 40164
	CodeBlocked             ErrCode = 40226 // a user of high risk
	CodeMissingToken        ErrCode = 41001
	CodeMissingAppID        ErrCode = 41002
	CodeMissingSecret       ErrCode = 41004
	CodeMissingCode         ErrCode = 41008
	CodeTokenExpired        ErrCode = 42001
	CodePostRequired        ErrCode = 43002
	CodeEmptyBody           ErrCode = 44002
	CodeFrequencyLimit      ErrCode = 44990
	CodeDailyLimit          ErrCode = 45009
	CodeMinuteLimit         ErrCode = 45011
	CodeDataFormat          ErrCode = 47001
	CodeUnauthorized        ErrCode = 48001
	CodeRestricted          ErrCode = 50002
	CodeNotAuthorized       ErrCode = 61003
	CodeIPNotRegistered     ErrCode = 61004
	CodeInvalidComponent    ErrCode = 61011
	CodeIPNeedsConfirmation ErrCode = 89503
	CodeIPRefusedDay        ErrCode = 89506
	CodeIPRefusedHour       ErrCode = 89507
)

// The errcodes of sessions and users.
//
// Source: WeChat's manual for mini programs, "小程序登录" and "用户信息".
const (
	CodeEncryptedDataUnknown    ErrCode = 1     // older than three days, or not made by WeChat
	CodeInvalidOpenID           ErrCode = 40003 // or of another app
	CodeSessionKeyGone          ErrCode = 87007 // missing, or expired
	CodeInvalidSignatureMethod  ErrCode = 87008
	CodeInvalidSessionSignature ErrCode = 87009 // the session key is not valid any more
	CodeNoOpenPlatform          ErrCode = 89002 // the app is bound to no Open Platform account
	CodeInvalidTrade            ErrCode = 89300 // not paid, paid longer than 5 minutes ago, or somebody else's
)

// The errcodes of order shipping. [ErrCode.Reaction] says what each one calls for.
//
// Source: WeChat's manual for mini programs, "小程序发货信息管理服务".
const (
	CodeShippingOrderNotFound    ErrCode = 10060001 // WeChat does not know of the payment, perhaps not yet
	CodeShippingFinished         ErrCode = 10060002 // all was shipped before
	CodeReshipUsed               ErrCode = 10060003 // the one chance to ship again is used up
	CodeNotShippable             ErrCode = 10060004 // refunded, finished or settled
	CodeInvalidLogistics         ErrCode = 10060005
	CodeSplitNotExpress          ErrCode = 10060006
	CodeAllDeliveredMissing      ErrCode = 10060007
	CodeItemDescriptionEmpty     ErrCode = 10060008
	CodeItemDescriptionTooLong   ErrCode = 10060009
	CodeInvalidLastIndex         ErrCode = 10060011
	CodeShippingBusy             ErrCode = 10060012
	CodeInvalidShippingParameter ErrCode = 10060014
	CodeShippingSystemBusy       ErrCode = 10060019
	CodeNoDescription            ErrCode = 10060020 // of no item at all
	CodeShippingUnchanged        ErrCode = 10060023 // what was sent is what WeChat has
	CodeShippingListTooLong      ErrCode = 10060024
	CodeExpressCompanyTooLong    ErrCode = 10060025
	CodeTrackingNoTooLong        ErrCode = 10060026
	CodeConfirmNotShipped        ErrCode = 10060028
	CodeInvalidReceivedTime      ErrCode = 10060029
	CodeConfirmReminderUsed      ErrCode = 10060030
	CodeOrderOfAnotherUser       ErrCode = 10060031 // the openid is not the payer's
	CodeConfirmExpressOnly       ErrCode = 10060032
	CodeInvalidPath              ErrCode = 10060035
	CodeInvalidOrderNumberType   ErrCode = 268485194
	CodeInvalidTransactionID     ErrCode = 268485195
	CodeInvalidMerchantID        ErrCode = 268485196
	CodeInvalidOutTradeNo        ErrCode = 268485197
	CodeInvalidUploadTime        ErrCode = 268485216
	CodeInvalidDeliveryMode      ErrCode = 268485224
	CodeTrackingNoMissing        ErrCode = 268485226
	CodeExpressCompanyMissing    ErrCode = 268485227
	CodeUnifiedNeedsOneItem      ErrCode = 268485228
	CodeTradeTypeApplied         ErrCode = 268486048
	CodeInvalidSpecialOrderType  ErrCode = 268546000
	CodeInvalidSpecialOrderDelay ErrCode = 268546001
	CodeSpecialOrderNotFound     ErrCode = 268546002
)

// Reaction is what an error calls for.
type Reaction string

const (
	// ReactionNone is the reaction to a nil error.
	ReactionNone Reaction = "none"
	// ReactionRetry: the same request, later. See [Error.Temporary].
	ReactionRetry Reaction = "retry"
	// ReactionWait: WeChat may not know of the payment yet. The same request with growing pauses until ten minutes after
	// the payment; then tell a human: the app may be another one, the merchant not authorised, the order paid in DevTools.
	ReactionWait Reaction = "wait"
	// ReactionDone: what was asked for is so already. It is a success.
	ReactionDone Reaction = "done"
	// ReactionQuery: the order is not as it was taken to be. Stop, GetOrder and decide anew.
	ReactionQuery Reaction = "query"
	// ReactionTerminal: no. Stop, and never send it again.
	ReactionTerminal Reaction = "terminal"
	// ReactionAlert: what is known here contradicts what WeChat knows. Stop and tell a human.
	ReactionAlert Reaction = "alert"
	// ReactionConfigure: the app or the account is not set up for it. Stop all such requests and tell the operator.
	ReactionConfigure Reaction = "configure"
	// ReactionBug: the program, or who typed the data, made a mistake. The request must change.
	ReactionBug Reaction = "bug"
)

// ReactionTo returns what err calls for: that of its code; ReactionBug for a [RequestError]; ReactionRetry where there was
// no answer ([ErrNoAnswer]), since nothing that an outcome is unknown of does harm when it is sent again unchanged; and
// ReactionTerminal for errors that this package did not make.
func ReactionTo(err error) Reaction {
	var c ErrCode
	var r *RequestError
	switch {
	case err == nil:
		return ReactionNone
	case errors.As(err, &r):
		return ReactionBug
	case errors.As(err, &c):
		return c.Reaction()
	case errors.Is(err, ErrNoAnswer):
		return ReactionRetry
	}
	return ReactionTerminal
}

// Reaction returns what the code calls for. A code that is not known calls for ReactionTerminal: repeating what WeChat
// refused for an unknown reason helps nobody.
func (c ErrCode) Reaction() Reaction {
	switch c {
	case CodeSystemBusy, CodeFrequencyLimit, CodeDailyLimit, CodeMinuteLimit, CodeShippingBusy, CodeShippingSystemBusy:
		return ReactionRetry
	case CodeShippingOrderNotFound:
		return ReactionWait
	case CodeShippingFinished, CodeShippingUnchanged:
		return ReactionDone
	case CodeNotShippable:
		return ReactionQuery
	case CodeOrderOfAnotherUser:
		return ReactionAlert
	case CodeInvalidCredential, CodeInvalidAppID, CodeInvalidToken, CodeInvalidSecret, CodeIPNotAllowed, CodeTokenExpired, CodeUnauthorized,
		CodeNotAuthorized, CodeIPNotRegistered, CodeInvalidComponent, CodeIPNeedsConfirmation, CodeIPRefusedDay, CodeIPRefusedHour,
		CodeNoOpenPlatform, CodeInvalidPath:
		return ReactionConfigure
	case CodeInvalidURL, CodeInvalidArguments, CodeMissingToken, CodeMissingAppID, CodeMissingSecret, CodeMissingCode, CodePostRequired,
		CodeEmptyBody, CodeDataFormat, CodeInvalidOpenID, CodeInvalidSignatureMethod, CodeInvalidLogistics, CodeSplitNotExpress,
		CodeAllDeliveredMissing, CodeItemDescriptionEmpty, CodeItemDescriptionTooLong, CodeInvalidLastIndex,
		CodeInvalidShippingParameter, CodeNoDescription, CodeShippingListTooLong, CodeExpressCompanyTooLong, CodeTrackingNoTooLong,
		CodeInvalidOrderNumberType, CodeInvalidTransactionID, CodeInvalidMerchantID, CodeInvalidOutTradeNo, CodeInvalidUploadTime,
		CodeInvalidDeliveryMode, CodeTrackingNoMissing, CodeExpressCompanyMissing, CodeUnifiedNeedsOneItem,
		CodeInvalidSpecialOrderType, CodeInvalidSpecialOrderDelay, CodeSpecialOrderNotFound:
		return ReactionBug
	}
	return ReactionTerminal
}

// RequestError is a mistake that was found before anything was sent. It matches the errcode that WeChat would have
// answered, where there is one: errors.Is(err, CodeTrackingNoMissing).
type RequestError struct {
	Field   string // as WeChat spells it, such as "shipping_list[0].tracking_no"
	problem phrase.Text
	code    ErrCode
}

// mistake is a RequestError. c is 0 where WeChat has no code for it.
func mistake(field, en, zh string, c ErrCode) error {
	return &RequestError{field, phrase.Text{EN: en, ZH: zh}, c}
}

// Error names the field and the remedy.
func (e *RequestError) Error() string { return e.Field + ": " + e.problem.EN }

// Hint is the remedy, in Chinese where lang begins with "zh" and in English otherwise.
func (e *RequestError) Hint(lang string) string { return e.Field + ": " + e.problem.In(lang) }

// Is reports whether target is the code that WeChat would have answered.
func (e *RequestError) Is(target error) bool { return e.code != 0 && target == error(e.code) }

// Error is an answer with an errcode other than 0.
type Error struct {
	Code    ErrCode
	Message string // errmsg without the request id, for the log
	RID     string // request id: quote it to WeChat's support, or ask /cgi-bin/openapi/rid/get about it
}

// Error names code, text and request id.
func (e *Error) Error() string {
	s := "WeChat answered " + e.Code.Error()
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.RID != "" {
		s += " (rid " + e.RID + ")"
	}
	return s
}

// Unwrap returns the code, for errors.Is.
func (e *Error) Unwrap() error { return e.Code }

// Temporary reports whether the same request may succeed later: after a second for CodeSystemBusy, a minute for
// CodeMinuteLimit and CodeFrequencyLimit, a day for CodeDailyLimit. These are the codes whose Reaction is ReactionRetry.
func (e *Error) Temporary() bool { return e.Code.Reaction() == ReactionRetry }

// Hint says what to do about the error, in Chinese where lang begins with "zh" and in English otherwise.
func (e *Error) Hint(lang string) string {
	h, ok := hints[e.Code]
	if !ok {
		h = phrase.Text{EN: "WeChat refused the request: look the errcode up in its manual, and don't repeat the request as it is.",
			ZH: "微信拒绝了该请求：请按 errcode 查阅官方文档，不要原样重试。"}
	}
	return h.In(lang)
}

// Codes returns every code that this package has a constant and a hint for, sorted.
func Codes() []ErrCode {
	var codes []ErrCode
	for c := range hints {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	return codes
}

// parseError returns the error that an answer holds, or nil where it holds none or is not an answer of WeChat's at all.
// Its texts go through hide, in case that they repeat what was sent.
func parseError(body []byte, hide *strings.Replacer) *Error {
	var v struct {
		Code    int             `json:"errcode"`
		Message json.RawMessage `json:"errmsg"`
	}
	if json.Unmarshal(body, &v) != nil || v.Code == 0 {
		return nil
	}
	var message string
	_ = json.Unmarshal(v.Message, &message) // an error without a text is still an error
	e := &Error{Code: ErrCode(v.Code)}
	e.Message, e.RID = splitRID(hide.Replace(message))
	return e
}

// splitRID takes the request id off the end of an errmsg: "invalid code, rid: 6166f719-…", or "… hints: [ req_id: … ]".
func splitRID(s string) (message, rid string) {
	message = s
	for _, mark := range []string{"rid: ", "hints: [ req_id: "} {
		if i := strings.LastIndex(s, mark); i >= 0 {
			rid, _, _ = strings.Cut(s[i+len(mark):], " ")
			message = strings.TrimRight(s[:i], " ,")
			break
		}
	}
	return phrase.Clip(message, 200), phrase.Clip(rid, 64)
}

// hints say what to do about each code. A code without a hint is not listed.
var hints = map[ErrCode]phrase.Text{
	CodeSystemBusy: {EN: "WeChat is busy: try again in a second; the same code still holds once or twice.",
		ZH: "微信系统繁忙：请 1 秒后重试，同一 code 可再用一两次。"},
	CodeInvalidCredential: {EN: "The access token is not valid, or the app secret is wrong: fetch a new token once; if that fails, check the secret.",
		ZH: "access_token 无效或 AppSecret 错误：重新获取一次 token，仍失败请检查 AppSecret。"},
	CodeInvalidAppID: {EN: "WeChat does not know this appid: check it at 小程序后台 › 开发管理 › 开发设置.",
		ZH: "appid 无效：请在「小程序后台 › 开发管理 › 开发设置」核对。"},
	CodeInvalidToken: {EN: "The access token is not valid: fetch a new one once.",
		ZH: "access_token 无效：请重新获取一次。"},
	CodeInvalidCode: {EN: "The code is wrong, older than 5 minutes or of another app: the phone must call wx.login again, or the user tap the phone-number button again. Check that this is the secret and appid of the mini program that runs.",
		ZH: "code 无效、超过 5 分钟或属于其他小程序：请前端重新调用 wx.login（手机号则请用户重新点击按钮），并核对 appid 与运行的小程序一致。"},
	CodeInvalidURL: {EN: "WeChat has nothing at this path or method: check the base URL.",
		ZH: "接口地址或请求方法错误：请检查接口地址配置。"},
	CodeInvalidArguments: {EN: "An argument is wrong: errmsg names it.",
		ZH: "参数错误：请按 errmsg 修改。"},
	CodeInvalidSecret: {EN: "The app secret is wrong, perhaps reset since: get a new one at 小程序后台 › 开发管理 › 开发设置.",
		ZH: "AppSecret 错误，可能已被重置：请在「小程序后台 › 开发管理 › 开发设置」获取新的 AppSecret。"},
	CodeUsed: {EN: "The code was exchanged before: the phone must call wx.login again. Send each code once, and don't repeat the login request.",
		ZH: "code 已被使用：请前端重新调用 wx.login；每个 code 只能提交一次，不要重复提交登录请求。"},
	CodeIPNotAllowed: {EN: "This server's address is not on the app's list: add the address that errmsg names at 小程序后台 › 开发管理 › IP白名单.",
		ZH: "服务器 IP 不在白名单：请把 errmsg 中的 IP 加入「小程序后台 › 开发管理 › IP白名单」。"},
	CodeBlocked: {EN: "WeChat blocks this user as a risk: show a neutral message, and don't repeat.",
		ZH: "该用户被微信判定为高风险并拦截：请给出中性提示，不要重试。"},
	CodeMissingToken: {EN: "The access token is missing: the request must carry it.",
		ZH: "缺少 access_token：请在请求中带上。"},
	CodeMissingAppID: {EN: "The appid is missing: a proxy may have changed the request.",
		ZH: "缺少 appid：请检查代理是否改写了请求。"},
	CodeMissingSecret: {EN: "The secret is missing: a proxy may have changed the request.",
		ZH: "缺少 secret：请检查代理是否改写了请求。"},
	CodeMissingCode: {EN: "The code is missing: the phone must send what wx.login yields.",
		ZH: "缺少 code：请前端提交 wx.login 返回的 code。"},
	CodeTokenExpired: {EN: "The access token has expired: fetch a new one once.",
		ZH: "access_token 已过期：请重新获取一次。"},
	CodePostRequired: {EN: "This API takes POST: check the base URL and proxies.",
		ZH: "该接口须用 POST：请检查接口地址与代理。"},
	CodeEmptyBody: {EN: "The request had no body: a proxy may have taken it out.",
		ZH: "请求体为空：请检查代理是否丢弃了请求体。"},
	CodeFrequencyLimit: {EN: "Too many requests at once: wait a minute, then try again.",
		ZH: "调用过于频繁：请 1 分钟后重试。"},
	CodeDailyLimit: {EN: "The quota of the day is used up: try again tomorrow, or reset it with clear_quota.",
		ZH: "当日调用额度已用完：请次日重试，或用 clear_quota 重置。"},
	CodeMinuteLimit: {EN: "Too many requests within a minute: wait a minute; a login then takes a new code, for which the phone calls wx.login again.",
		ZH: "一分钟内调用过多：请 1 分钟后重试；登录须由前端重新调用 wx.login 取得新 code。"},
	CodeDataFormat: {EN: "The data of the request is not in WeChat's form: errmsg says where.",
		ZH: "请求数据格式错误：请按 errmsg 修改。"},
	CodeUnauthorized: {EN: "This mini program may not use this API: apply for it in the mini program's console.",
		ZH: "小程序无此接口权限：请在小程序后台开通。"},
	CodeRestricted: {EN: "The user or the account is restricted: look at the messages of the mini program's console.",
		ZH: "用户或账号受限：请查看小程序后台站内信。"},
	CodeNotAuthorized: {EN: "The third-party platform is not authorised by this mini program: authorise it again.",
		ZH: "第三方平台未获该小程序授权：请重新授权。"},
	CodeIPNotRegistered: {EN: "This server's address is not registered with the third-party platform: add it there.",
		ZH: "服务器 IP 未在第三方平台登记：请添加。"},
	CodeInvalidComponent: {EN: "The third-party platform is not known: check its appid.",
		ZH: "第三方平台无效：请检查其 appid。"},
	CodeIPNeedsConfirmation: {EN: "An administrator of the mini program must confirm this server's address: WeChat has sent a message.",
		ZH: "服务器 IP 存在风险，需管理员确认：请管理员在微信中确认。"},
	CodeIPRefusedDay: {EN: "An administrator refused this server's address: it is blocked for 24 hours.",
		ZH: "管理员已拒绝该 IP：24 小时内不可调用。"},
	CodeIPRefusedHour: {EN: "An administrator refused this server's address: it is blocked for an hour.",
		ZH: "管理员已拒绝该 IP：1 小时内不可调用。"},
	CodeEncryptedDataUnknown: {EN: "WeChat did not make this data, or made it more than three days ago: have the phone fetch it again.",
		ZH: "该加密数据不是微信生成，或已超过 3 天：请前端重新获取。"},
	CodeInvalidOpenID: {EN: "WeChat does not know this openid under this appid: take the openid that the login under the same appid gave.",
		ZH: "openid 无效：请使用同一 appid 下登录得到的 openid。"},
	CodeSessionKeyGone: {EN: "The session key is gone: the phone must call wx.login again.",
		ZH: "session_key 不存在或已过期：请前端重新调用 wx.login。"},
	CodeInvalidSignatureMethod: {EN: "The method of the signature is not known: WeChat takes hmac_sha256.",
		ZH: "sig_method 错误：仅支持 hmac_sha256。"},
	CodeInvalidSessionSignature: {EN: "The session key is not valid any more, replaced perhaps by a later login: the phone must call wx.login again.",
		ZH: "session_key 已失效（可能已被新的登录替换）：请前端重新调用 wx.login。"},
	CodeNoOpenPlatform: {EN: "The mini program is bound to no Open Platform account, so there is no union id: bind it at open.weixin.qq.com.",
		ZH: "小程序未绑定微信开放平台账号，没有 unionid：请在 open.weixin.qq.com 绑定。"},
	CodeInvalidTrade: {EN: "The order is not this user's, not paid, or was paid more than five minutes ago: ask right after the payment.",
		ZH: "订单无效：不属于该用户、未支付或支付已超过 5 分钟，请在支付后立即查询。"},
	CodeShippingOrderNotFound: {EN: "WeChat does not know of the payment yet: try again with growing pauses for ten minutes; after that check the appid, that the merchant id is authorised, and that it was not paid in DevTools.",
		ZH: "支付单不存在：刚支付的订单请在 10 分钟内逐步拉长间隔重试；之后请检查 appid、商户号是否已授权、是否在开发者工具中支付。"},
	CodeShippingFinished: {EN: "All of it was shipped before: count it as done, and compare with get_order.",
		ZH: "支付单已完成发货：视为成功，可用 get_order 核对。"},
	CodeReshipUsed: {EN: "The one chance to ship again is used up: stop, nothing can be changed any more.",
		ZH: "支付单已使用过重新发货机会：停止，无法再修改。"},
	CodeNotShippable: {EN: "The order can't be shipped: refunded, finished or settled. Ask get_order, then decide.",
		ZH: "支付单处于不可发货状态（已退款、已完成或已结算）：请先 get_order 再决定。"},
	CodeInvalidLogistics: {EN: "logistics_type is 1 (express), 2 (same city), 3 (virtual) or 4 (pick-up).",
		ZH: "物流类型有误：只能为 1 快递、2 同城、3 虚拟、4 自提。"},
	CodeSplitNotExpress: {EN: "Only express can be sent in several parcels: use the unified mode.",
		ZH: "非快递发货不允许分拆发货：请使用统一发货模式。"},
	CodeAllDeliveredMissing: {EN: "is_all_delivered must be there in the split mode.",
		ZH: "分拆发货模式下必须填写 is_all_delivered。"},
	CodeItemDescriptionEmpty: {EN: "item_desc says what is shipped: it must not be empty.",
		ZH: "商品描述 item_desc 不能为空。"},
	CodeItemDescriptionTooLong: {EN: "item_desc has 120 characters at most.",
		ZH: "商品描述 item_desc 最长 120 个字。"},
	CodeInvalidLastIndex: {EN: "last_index is not one that WeChat gave: begin the list anew.",
		ZH: "last_index 有误：请从头重新拉取列表。"},
	CodeShippingBusy: {EN: "WeChat is busy: try again in a few seconds.",
		ZH: "微信系统繁忙：请几秒后重试。"},
	CodeInvalidShippingParameter: {EN: "A parameter is wrong: errmsg says which.",
		ZH: "参数错误：请按 errmsg 修改。"},
	CodeShippingSystemBusy: {EN: "WeChat is busy: try again in a few seconds.",
		ZH: "微信系统繁忙：请几秒后重试。"},
	CodeNoDescription: {EN: "No item has a description: fill in item_desc.",
		ZH: "没有任何商品描述：请填写 item_desc。"},
	CodeShippingUnchanged: {EN: "WeChat has exactly this already: count it as done.",
		ZH: "发货信息未更新：与已有信息相同，视为成功。"},
	CodeShippingListTooLong: {EN: "shipping_list has 15 parcels at most.",
		ZH: "物流信息列表最多 15 个。"},
	CodeExpressCompanyTooLong: {EN: "express_company has 128 bytes at most: it is a code such as SF or YTO, not a name.",
		ZH: "物流公司编码过长（最长 128 字节）：请填写 SF、YTO 等编码而非名称。"},
	CodeTrackingNoTooLong: {EN: "tracking_no has 128 bytes at most.",
		ZH: "物流单号过长（最长 128 字节）。"},
	CodeConfirmNotShipped: {EN: "The order is not shipped yet, so nobody can be asked to confirm its receipt.",
		ZH: "订单尚未发货，不能提醒确认收货。"},
	CodeInvalidReceivedTime: {EN: "received_time is in seconds and after the time of shipping.",
		ZH: "received_time 有误：单位为秒，且须晚于发货时间。"},
	CodeConfirmReminderUsed: {EN: "The buyer was reminded before: that is possible once for each order.",
		ZH: "该订单已提醒过确认收货：每单仅一次。"},
	CodeOrderOfAnotherUser: {EN: "The order was not paid by this openid: somebody must look, openids may be mixed up.",
		ZH: "支付单不属于该 openid：请人工排查是否混用了 openid。"},
	CodeConfirmExpressOnly: {EN: "Only orders sent by express can be reminded of.",
		ZH: "仅快递发货的订单可以提醒确认收货。"},
	CodeInvalidPath: {EN: "The path is not one of a page of this mini program; the one of the order page holds ${商品订单号}.",
		ZH: "页面路径无效：须为本小程序页面，订单详情路径须包含 ${商品订单号}。"},
	CodeInvalidOrderNumberType: {EN: "order_number_type is 1 (merchant id and out_trade_no) or 2 (transaction id).",
		ZH: "order_number_type 只能为 1（商户号+商户订单号）或 2（微信支付单号）。"},
	CodeInvalidTransactionID: {EN: "transaction_id is missing or is none of WeChat's.",
		ZH: "微信支付单号 transaction_id 缺失或不合法。"},
	CodeInvalidMerchantID: {EN: "mchid is missing or wrong: it is the merchant that took the order, the sub-merchant where there is one.",
		ZH: "商户号 mchid 缺失或不合法：须为下单的商户号，服务商模式为子商户号。"},
	CodeInvalidOutTradeNo: {EN: "out_trade_no is missing or is not one.",
		ZH: "商户订单号 out_trade_no 缺失或不合法。"},
	CodeInvalidUploadTime: {EN: "upload_time is in RFC 3339 with a zone, such as 2022-12-15T13:29:35.120+08:00.",
		ZH: "upload_time 须为带时区的 RFC 3339 格式，如 2022-12-15T13:29:35.120+08:00。"},
	CodeInvalidDeliveryMode: {EN: "delivery_mode is 1 (unified) or 2 (split).",
		ZH: "delivery_mode 只能为 1 统一发货或 2 分拆发货。"},
	CodeTrackingNoMissing: {EN: "What is sent by express has a tracking number.",
		ZH: "快递发货必须填写物流单号 tracking_no。"},
	CodeExpressCompanyMissing: {EN: "What is sent by express has a carrier: a code such as SF or YTO.",
		ZH: "快递发货必须填写物流公司编码 express_company，如 SF、YTO。"},
	CodeUnifiedNeedsOneItem: {EN: "The unified mode has exactly one parcel: put all of it into one description, or use the split mode.",
		ZH: "统一发货模式下 shipping_list 必须恰好 1 项：请合并描述，或使用分拆发货。"},
	CodeTradeTypeApplied: {EN: "The trade type was applied for before: that is possible once for each account.",
		ZH: "已申请过变更交易类型：每个账号仅一次。"},
	CodeInvalidSpecialOrderType: {EN: "The type of a special order is 1 (pre-sale) or 2 (test).",
		ZH: "特殊订单类型只能为 1 预售或 2 测试。"},
	CodeInvalidSpecialOrderDelay: {EN: "delay_to is in seconds and no more than 330 days ahead.",
		ZH: "delay_to 单位为秒，最长 330 天。"},
	CodeSpecialOrderNotFound: {EN: "WeChat does not know this order.",
		ZH: "订单不存在。"},
}
