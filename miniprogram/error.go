package miniprogram

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
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
// CodeMinuteLimit and CodeFrequencyLimit, a day for CodeDailyLimit.
func (e *Error) Temporary() bool {
	switch e.Code {
	case CodeSystemBusy, CodeFrequencyLimit, CodeDailyLimit, CodeMinuteLimit:
		return true
	}
	return false
}

// Hint says what to do about the error, in Chinese where lang begins with "zh" and in English otherwise.
func (e *Error) Hint(lang string) string {
	h, ok := hints[e.Code]
	if !ok {
		h = text{"WeChat refused the request: look the errcode up in its manual, and don't repeat the request as it is.",
			"微信拒绝了该请求：请按 errcode 查阅官方文档，不要原样重试。"}
	}
	if len(lang) >= 2 && strings.EqualFold(lang[:2], "zh") {
		return h.zh
	}
	return h.en
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
	return clip(message, 200), clip(rid, 64)
}

// clip cuts s to n bytes at a boundary of characters and makes blanks of control characters.
func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

type text struct{ en, zh string }

// hints say what to do about each code. A code without a hint is not listed.
var hints = map[ErrCode]text{
	CodeSystemBusy: {"WeChat is busy: try again in a second; the same code still holds once or twice.",
		"微信系统繁忙：请 1 秒后重试，同一 code 可再用一两次。"},
	CodeInvalidCredential: {"The access token is not valid, or the app secret is wrong: fetch a new token once; if that fails, check the secret.",
		"access_token 无效或 AppSecret 错误：重新获取一次 token，仍失败请检查 AppSecret。"},
	CodeInvalidAppID: {"WeChat does not know this appid: check it at 小程序后台 › 开发管理 › 开发设置.",
		"appid 无效：请在「小程序后台 › 开发管理 › 开发设置」核对。"},
	CodeInvalidToken: {"The access token is not valid: fetch a new one once.",
		"access_token 无效：请重新获取一次。"},
	CodeInvalidCode: {"The code is wrong, older than 5 minutes or of another app: the phone must call wx.login again. Check that this is the secret and appid of the mini program that runs.",
		"code 无效、超过 5 分钟或属于其他小程序：请前端重新调用 wx.login，并核对 appid 与运行的小程序一致。"},
	CodeInvalidURL: {"WeChat has nothing at this path or method: check the base URL.",
		"接口地址或请求方法错误：请检查接口地址配置。"},
	CodeInvalidArguments: {"An argument is wrong: errmsg names it.",
		"参数错误：请按 errmsg 修改。"},
	CodeInvalidSecret: {"The app secret is wrong, perhaps reset since: get a new one at 小程序后台 › 开发管理 › 开发设置.",
		"AppSecret 错误，可能已被重置：请在「小程序后台 › 开发管理 › 开发设置」获取新的 AppSecret。"},
	CodeUsed: {"The code was exchanged before: the phone must call wx.login again. Send each code once, and don't repeat the login request.",
		"code 已被使用：请前端重新调用 wx.login；每个 code 只能提交一次，不要重复提交登录请求。"},
	CodeIPNotAllowed: {"This server's address is not on the app's list: add the address that errmsg names at 小程序后台 › 开发管理 › IP白名单.",
		"服务器 IP 不在白名单：请把 errmsg 中的 IP 加入「小程序后台 › 开发管理 › IP白名单」。"},
	CodeBlocked: {"WeChat blocks this user as a risk: show a neutral message, and don't repeat.",
		"该用户被微信判定为高风险并拦截：请给出中性提示，不要重试。"},
	CodeMissingToken: {"The access token is missing: the request must carry it.",
		"缺少 access_token：请在请求中带上。"},
	CodeMissingAppID: {"The appid is missing: a proxy may have changed the request.",
		"缺少 appid：请检查代理是否改写了请求。"},
	CodeMissingSecret: {"The secret is missing: a proxy may have changed the request.",
		"缺少 secret：请检查代理是否改写了请求。"},
	CodeMissingCode: {"The code is missing: the phone must send what wx.login yields.",
		"缺少 code：请前端提交 wx.login 返回的 code。"},
	CodeTokenExpired: {"The access token has expired: fetch a new one once.",
		"access_token 已过期：请重新获取一次。"},
	CodePostRequired: {"This API takes POST: check the base URL and proxies.",
		"该接口须用 POST：请检查接口地址与代理。"},
	CodeEmptyBody: {"The request had no body: a proxy may have taken it out.",
		"请求体为空：请检查代理是否丢弃了请求体。"},
	CodeFrequencyLimit: {"Too many requests at once: wait a minute, then try again.",
		"调用过于频繁：请 1 分钟后重试。"},
	CodeDailyLimit: {"The quota of the day is used up: try again tomorrow, or reset it with clear_quota.",
		"当日调用额度已用完：请次日重试，或用 clear_quota 重置。"},
	CodeMinuteLimit: {"Too many logins within a minute: wait a minute, then let the phone call wx.login again.",
		"一分钟内调用过多：请 1 分钟后由前端重新调用 wx.login。"},
	CodeDataFormat: {"The data of the request is not in WeChat's form: errmsg says where.",
		"请求数据格式错误：请按 errmsg 修改。"},
	CodeUnauthorized: {"This mini program may not use this API: apply for it in the mini program's console.",
		"小程序无此接口权限：请在小程序后台开通。"},
	CodeRestricted: {"The user or the account is restricted: look at the messages of the mini program's console.",
		"用户或账号受限：请查看小程序后台站内信。"},
	CodeNotAuthorized: {"The third-party platform is not authorised by this mini program: authorise it again.",
		"第三方平台未获该小程序授权：请重新授权。"},
	CodeIPNotRegistered: {"This server's address is not registered with the third-party platform: add it there.",
		"服务器 IP 未在第三方平台登记：请添加。"},
	CodeInvalidComponent: {"The third-party platform is not known: check its appid.",
		"第三方平台无效：请检查其 appid。"},
	CodeIPNeedsConfirmation: {"An administrator of the mini program must confirm this server's address: WeChat has sent a message.",
		"服务器 IP 存在风险，需管理员确认：请管理员在微信中确认。"},
	CodeIPRefusedDay: {"An administrator refused this server's address: it is blocked for 24 hours.",
		"管理员已拒绝该 IP：24 小时内不可调用。"},
	CodeIPRefusedHour: {"An administrator refused this server's address: it is blocked for an hour.",
		"管理员已拒绝该 IP：1 小时内不可调用。"},
}
