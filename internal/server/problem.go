package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/internal/spell"
)

// sentence is what a code of ours becomes over HTTP: title says what, detail says what to do.
type sentence struct {
	status        int
	title, detail phrase.Text
}

// Codes of this package; those of the rules are in pay.
const (
	codeInternal      pay.Code = "internal_error"
	codeNotFound      pay.Code = "not_found"
	codeMethod        pay.Code = "method_not_allowed"
	codeTooLarge      pay.Code = "body_too_large"
	codeMediaType     pay.Code = "unsupported_media_type"
	codeMalformed     pay.Code = "malformed_request"
	codeAuthorization pay.Code = "authorization_missing"
)

// sentences is the one table from codes to HTTP. docs/errors.md lists it; a test holds the two together.
var sentences = map[pay.Code]sentence{
	pay.CodeOrderNotFound: {404, phrase.Say("没有这个订单", "No such order"),
		phrase.Say("请检查订单号；只能看到自己的订单。", "Check the order's id; you only see orders of your own.")},
	pay.CodeOrderPaid: {409, phrase.Say("订单已支付", "The order has been paid"),
		phrase.Say("不能再次支付或关闭。查询订单可得支付结果；如需再次收款请新下一单。", "It can't be paid again or closed. Read the order for the result; place a new one to be paid again.")},
	pay.CodeOrderClosed: {409, phrase.Say("订单已关闭", "The order is closed"),
		phrase.Say("请新下一单。", "Place a new order.")},
	pay.CodeOrderExpired: {409, phrase.Say("订单已过支付时间", "The time to pay this order is over"),
		phrase.Say("请新下一单；这一单稍后自动关闭，若其间已付款则会变为已支付。", "Place a new order. This one closes by itself, or turns paid if the money was on its way.")},
	pay.CodeOrderFrozen: {409, phrase.Say("订单金额核对中", "The order is being checked"),
		phrase.Say("微信支付的通知与订单不符，已暂停支付，请联系商家处理。", "WeChat Pay's word differs from the order, so paying is suspended. Ask the merchant.")},
	pay.CodeOrderBeingPaid: {409, phrase.Say("订单可能正在支付", "The order may be being paid"),
		phrase.Say("微信支付暂时不能关单，请稍后重试；订单状态不变。", "WeChat Pay can't close it right now. Try again later; nothing has changed.")},
	pay.CodeOutTradeNoTaken: {409, phrase.Say("商户订单号已用过", "The out_trade_no has been used"),
		phrase.Say("同一商户号下每个商户订单号只能用一次，换一个或不填。", "A number is used once per merchant, for ever. Choose another or leave it out.")},
	pay.CodeProductNotFound: {404, phrase.Say("没有这个商品", "No such product"),
		phrase.Say("商品 {product_id} 不存在，请刷新商品列表。", "There is no product {product_id}; reload the list of products.")},
	pay.CodeProductInactive: {409, phrase.Say("商品已下架", "The product is not for sale"),
		phrase.Say("商品 {product_id} 已下架，请从订单中移除。", "Product {product_id} is no longer sold; take it out of the order.")},
	pay.CodeInvalid: {422, phrase.Say("请求内容有误", "The request is invalid"),
		phrase.Say("{why_zh}。", "{why_en}.")},
	pay.CodeAmountTooLarge: {422, phrase.Say("金额过大", "The amount is too large"),
		phrase.Say("单笔订单最多 9999999999 分，请拆成几单。", "One order is at most 9999999999 fen; split it.")},
	pay.CodeIdempotencyKeyReused: {422, phrase.Say("Idempotency-Key 已用于另一个请求", "The Idempotency-Key belongs to another request"),
		phrase.Say("换一个键，或原样重发当初的请求。", "Use a new key, or repeat the first request unchanged.")},
	pay.CodeAppUnknown: {422, phrase.Say("未知的小程序", "Unknown app"),
		phrase.Say("{app_id} 不在本服务的配置里，请检查 app_id，或在 merchants › apps 里加上它。", "{app_id} is not in this service's settings. Check app_id, or add it under merchants › apps.")},
	pay.CodeUserUnknown: {404, phrase.Say("没有这个用户", "No such user"),
		phrase.Say("请检查 user_id 和 app_id 是否对应。", "Check that user_id belongs to app_id.")},
	pay.CodeLoginCode: {400, phrase.Say("登录码无效", "The login code is not valid"),
		phrase.Say("登录码五分钟内有效且只能用一次。请重新调用 wx.login 取得新码。", "A login code lives five minutes and works once. Call wx.login again for a new one.")},
	pay.CodeLoginBlocked: {403, phrase.Say("暂时无法登录", "Login is not possible"),
		phrase.Say("微信拒绝了这次登录，请稍后再试。", "WeChat refused this login; try again later.")},
	pay.CodeSessionInvalid: {401, phrase.Say("登录已失效", "The session has ended"),
		phrase.Say("请重新调用 wx.login，再用 POST /mp/v1/login 登录。", "Call wx.login again, then POST /mp/v1/login.")},
	pay.CodeAPIKeyInvalid: {401, phrase.Say("API 密钥无效", "The API key is not valid"),
		phrase.Say("请检查 Authorization: Bearer fk_… 是否完整、是否属于这个服务。", "Check that Authorization: Bearer fk_… is complete and belongs to this service.")},
	pay.CodeEventNotFound: {404, phrase.Say("没有这个事件", "No such event"),
		phrase.Say("请检查事件号。", "Check the event's id.")},
	pay.CodeWeChatRefused: {502, phrase.Say("微信支付拒绝了请求", "WeChat Pay refused the request"),
		phrase.Say("微信返回 {code}（请求号 {request_id}）。{hint_zh}", "WeChat answered {code} (request id {request_id}). {hint_en}")},
	pay.CodeWeChatUncertain: {504, phrase.Say("微信支付没有给出可信的回答", "WeChat Pay gave no answer that can be trusted"),
		phrase.Say("结果未知，没有丢失：请用同一个 Idempotency-Key 重试，或稍后查询订单。", "The outcome is unknown and nothing is lost: repeat with the same Idempotency-Key, or read the order later.")},
	pay.CodeWeChatBusy: {503, phrase.Say("微信支付要求稍候", "WeChat Pay asks to wait"),
		phrase.Say("请几秒后用同一个 Idempotency-Key 重试。", "Repeat in a few seconds with the same Idempotency-Key.")},
	codeInternal: {500, phrase.Say("内部错误", "Internal error"),
		phrase.Say("请求号 {request_id}；日志里有详情。可以用同一个 Idempotency-Key 安全重试。", "Request {request_id}; the log says more. It is safe to repeat with the same Idempotency-Key.")},
	codeNotFound: {404, phrase.Say("没有这个地址", "No such address"),
		phrase.Say("请检查路径；所有接口见 /openapi.json。", "Check the path; /openapi.json lists all there is.")},
	codeMethod: {405, phrase.Say("不支持这个方法", "Method not allowed"),
		phrase.Say("请检查请求方法；所有接口见 /openapi.json。", "Check the method; /openapi.json lists all there is.")},
	codeTooLarge: {413, phrase.Say("请求体过大", "The body is too large"),
		phrase.Say("请求体最大 {limit} 字节。", "A body has at most {limit} bytes.")},
	codeMediaType: {415, phrase.Say("不支持的内容类型", "Unsupported content type"),
		phrase.Say("请用 Content-Type: application/json，不要压缩。", "Send Content-Type: application/json, not compressed.")},
	codeMalformed: {400, phrase.Say("请求无法解析", "The request can't be read"),
		phrase.Say("{why}", "{why}")},
	codeAuthorization: {401, phrase.Say("缺少凭证", "No credentials"),
		phrase.Say("请带上请求头 Authorization: Bearer …", "Send the header Authorization: Bearer …")},
}

// problem is an error as RFC 9457 wants it told.
type problem struct {
	Type      string         `json:"type" doc:"a page about this code"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail" doc:"what to do, in the language of Accept-Language"`
	Code      pay.Code       `json:"code" doc:"stable, English"`
	RequestID string         `json:"request_id"`
	Errors    []problemField `json:"errors,omitempty"`
	WeChat    *wechatSaid    `json:"wechat,omitempty" doc:"what WeChat answered"`
}

type problemField struct {
	Pointer string `json:"pointer" doc:"JSON pointer, or the name of a parameter"`
	Detail  string `json:"detail"`
}

type wechatSaid struct {
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
}

func (p *problem) Error() string             { return p.Title + ": " + p.Detail }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) ContentType(string) string { return "application/problem+json" }

// problemOf says in the language of ctx what err means to a caller. What the caller can't use goes to the log alone.
func (s *Server) problemOf(ctx context.Context, err error) *problem {
	about := aboutOf(ctx)
	var ours *pay.Error
	if !errors.As(err, &ours) {
		s.log.ErrorContext(ctx, "internal error", "request", about.id, "err", err)
		ours = &pay.Error{Code: codeInternal}
	}
	p := newProblem(about, ours.Code, ours.Args)
	if field := ours.Args["field"]; field != "" {
		p.Errors = []problemField{{Pointer: pointer(field), Detail: p.Detail}}
	}
	if ours.Code == pay.CodeWeChatRefused {
		p.WeChat = &wechatSaid{Code: ours.Args["code"], RequestID: ours.Args["request_id"]}
	}
	if p.Status >= 500 && ours.Cause != nil {
		s.log.WarnContext(ctx, "a request failed", "request", about.id, "code", ours.Code, "err", ours.Cause)
	}
	return p
}

// newProblem fills the sentence of a code. A code without one is a mistake that a test finds.
func newProblem(about about, code pay.Code, args map[string]string) *problem {
	t, ok := sentences[code]
	if !ok {
		t = sentences[codeInternal]
	}
	words := []string{"{request_id}", about.id}
	for _, k := range slices.Sorted(maps.Keys(args)) {
		words = append([]string{"{" + k + "}", args[k]}, words...)
	}
	fill := func(s phrase.Text) string {
		return strings.TrimSpace(strings.NewReplacer(words...).Replace(s.In(about.lang)))
	}
	return &problem{Type: "https://github.com/fenhao-pay/fenhao/blob/main/docs/errors.md#" + string(code), Title: fill(t.title),
		Status: t.status, Detail: fill(t.detail), Code: code, RequestID: about.id}
}

// pointer makes a JSON pointer of a dotted path, "" for the whole body; the name of a header or parameter stays as it is.
func pointer(field string) string {
	if field == "Idempotency-Key" || field == "wait" || field == "" {
		return field
	}
	return "/" + strings.ReplaceAll(field, ".", "/")
}

// The framework finds mistakes of shape by itself and asks here how to say them.
func init() {
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return shapeProblem(ctx, status, msg, errs)
	}
	huma.ValidateStrictCasing = true // "AMOUNT" is not "amount"
}

// shapeProblem says what the framework found. ctx is nil when it only wants to know the shape, for the specification.
func shapeProblem(ctx huma.Context, status int, msg string, errs []error) huma.StatusError {
	var about about
	if ctx != nil {
		about = aboutOf(ctx.Context())
	}
	code, args := codeMalformed, map[string]string{"why": msg}
	switch status {
	case http.StatusUnprocessableEntity:
		code = pay.CodeInvalid
	case http.StatusRequestEntityTooLarge:
		code, args = codeTooLarge, map[string]string{"limit": fmt.Sprint(maxBody)}
	case http.StatusUnsupportedMediaType:
		code = codeMediaType
	case http.StatusNotFound:
		code = codeNotFound
	case http.StatusInternalServerError:
		code = codeInternal
	}
	var fields []problemField
	for _, err := range errs {
		var d *huma.ErrorDetail
		if !errors.As(err, &d) {
			args["why"] = err.Error()
			continue
		}
		fields = append(fields, fieldProblem(ctx, about.lang, d))
	}
	if len(fields) > 0 {
		why := fields[0].Detail
		if fields[0].Pointer != "" {
			why = fields[0].Pointer + ": " + why
		}
		args["why_zh"], args["why_en"], args["why"] = why, why, why
	} else {
		args["why_zh"], args["why_en"] = args["why"], args["why"]
	}
	p := newProblem(about, code, args)
	p.Errors = fields
	return p
}

// fieldProblem says one finding of the framework in the caller's language.
func fieldProblem(ctx huma.Context, lang string, d *huma.ErrorDetail) problemField {
	path, _ := strings.CutPrefix(d.Location, "body")
	path, _ = strings.CutPrefix(path, ".")
	f := problemField{Pointer: pointer(strings.NewReplacer("[", ".", "]", "").Replace(path)), Detail: d.Message}
	for _, in := range []string{"header.", "query.", "path."} {
		if rest, ok := strings.CutPrefix(d.Location, in); ok {
			f.Pointer = rest
		}
	}
	if d.Message == "unexpected property" {
		name := path[strings.LastIndexByte(path, '.')+1:]
		f.Detail = phrase.Say("未知字段 \""+name+"\"", "unknown field \""+name+"\"").In(lang)
		if near := spell.Nearest(name, propertiesOf(ctx)); near != "" {
			f.Detail += phrase.Say("，你是想写 \""+near+"\" 吗", ", did you mean \""+near+"\"").In(lang)
		}
		return f
	}
	if name, ok := strings.CutPrefix(d.Message, "expected required property "); ok {
		name = strings.TrimSuffix(name, " to be present")
		f.Detail = phrase.Say("缺少字段 "+name, "the field "+name+" is missing").In(lang)
		return f
	}
	if lang == "en" {
		return f
	}
	for _, shape := range shapes {
		if rest, ok := strings.CutPrefix(d.Message, shape.EN); ok {
			f.Detail = shape.ZH + rest
			break
		}
	}
	return f
}

// shapes translates the beginnings of what the framework says; the first that fits does.
var shapes = []phrase.Text{
	{ZH: "应为以下之一：", EN: "expected value to be one of"},
	{ZH: "项数不能超过 ", EN: "expected array length <= "},
	{ZH: "项数不能少于 ", EN: "expected array length >= "},
	{ZH: "长度不能超过 ", EN: "expected length <= "},
	{ZH: "长度不能少于 ", EN: "expected length >= "},
	{ZH: "不能大于 ", EN: "expected number <= "},
	{ZH: "不能小于 ", EN: "expected number >= "},
	{ZH: "应为字符串", EN: "expected string"},
	{ZH: "应为整数", EN: "expected integer"},
	{ZH: "应为整数", EN: "expected number"},
	{ZH: "应为对象", EN: "expected object"},
	{ZH: "应为数组", EN: "expected array"},
	{ZH: "应为布尔值", EN: "expected boolean"},
	{ZH: "缺少请求体", EN: "request body is required"},
}

// propertiesOf returns the names that a request's body may have, at any depth.
func propertiesOf(ctx huma.Context) []string {
	if ctx == nil || ctx.Operation() == nil || ctx.Operation().RequestBody == nil {
		return nil
	}
	registry, _ := ctx.Operation().Metadata["registry"].(huma.Registry)
	content := ctx.Operation().RequestBody.Content["application/json"]
	if registry == nil || content == nil {
		return nil
	}
	var names []string
	var walk func(s *huma.Schema, depth int)
	walk = func(s *huma.Schema, depth int) {
		if s == nil || depth > 5 {
			return
		}
		if s.Ref != "" {
			s = registry.SchemaFromRef(s.Ref)
		}
		if s == nil {
			return
		}
		for name, p := range s.Properties {
			names = append(names, name)
			walk(p, depth+1)
		}
		walk(s.Items, depth+1)
	}
	walk(content.Schema, 0)
	slices.Sort(names)
	return names
}
