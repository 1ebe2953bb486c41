package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file is the transport of API v2: what WeChat Pay checks before it looks at a call, in its order, and how it
// answers. Source: v2 manual, "协议规则", "参数规定", "安全规范", "接口规则".

// operationV2 is one call of v2: a POST of flat XML.
type operationV2 struct {
	name      string // in faults and in the journal
	path      string
	fields    []field // beside those that every call has
	certified bool    // the client shows the merchant's certificate
	hmac      bool    // sign_type is HMAC-SHA256
	file      bool    // answers a file; what it answers is never signed
	limitName string  // the operation's name in rate limits, where it isn't name
	do        func(*Sandbox, *callV2) answerV2
}

var operationsV2 = []*operationV2{
	{name: "v2.prepay", path: "/pay/unifiedorder", fields: unifiedOrderFields, do: (*Sandbox).unifiedOrder},
	{name: "v2.query", path: "/pay/orderquery", fields: orderQueryFields, do: (*Sandbox).orderQuery},
	{name: "v2.close", path: "/pay/closeorder", fields: []field{outTradeNoField}, do: (*Sandbox).closeOrder},
	{name: "v2.refund", path: "/secapi/pay/refund", fields: refundFieldsV2, certified: true, do: (*Sandbox).refundV2},
	{name: "v2.refund_query", path: "/pay/refundquery", fields: refundQueryFields, do: (*Sandbox).refundQuery},
	{name: "v2.micropay", path: "/pay/micropay", fields: microPayFields, do: (*Sandbox).microPay},
	{name: "v2.reverse", path: "/secapi/pay/reverse", fields: orderQueryFields, certified: true, do: (*Sandbox).reverse},
	{name: "bill", path: downloadBillPath, fields: tradeBillFieldsV2, file: true, limitName: "bill.tradebill",
		do: (*Sandbox).downloadBillV2},
	{name: "bill", path: "/pay/downloadfundflow", fields: fundFlowFieldsV2, certified: true, hmac: true, file: true,
		limitName: "bill.fundflowbill", do: (*Sandbox).downloadFundFlow},
}

const downloadBillPath = "/pay/downloadbill"

// commonFields are those that every call of v2 has.
var commonFields = []field{
	{name: "appid", title: "公众账号ID", kind: text, max: 32},
	{name: "mch_id", title: "商户号", kind: text, max: 32},
	{name: "nonce_str", title: "随机字符串", kind: text, max: 32},
	{name: "sign", title: "签名", kind: text, max: 64},
	{name: "sign_type", title: "签名类型", kind: text, optional: true, max: 32},
}

// callV2 is one request on its way through.
type callV2 struct {
	op       *operationV2
	request  *http.Request
	raw      []byte // the body as sent
	given    flat
	body     value     // what was given, held against the tables
	merchant *merchant // once the signature is verified
	signType string    // of the answer too
	order    string    // number of the order that it is about, for the journal
}

// answerV2 is what a call is answered. The zero value is success without any parameters.
type answerV2 struct {
	page    int    // HTTP status of an answer that isn't WeChat Pay's but its web server's; 0: none such
	failure string // return_msg with return_code FAIL: nothing of the call was looked at
	number  string // error_code beside failure, of bills
	code    string // err_code with result_code FAIL: the call was refused
	text    string // err_code_des
	fields  flat   // what the call has to say beyond that
	file    *fileV2
}

// fileV2 is an answer that is a file.
type fileV2 struct {
	body   []byte
	header http.Header
}

// fails answers return_code FAIL.
func fails(text string) answerV2 { return answerV2{failure: text} }

// refuses answers result_code FAIL with the code and its usual text.
func refuses(code string) answerV2 {
	return answerV2{code: code, text: cmp.Or(textsV2[code], "业务错误")}
}

// ok tells whether the call succeeded.
func (a answerV2) ok() bool { return a.page == 0 && a.failure == "" && a.code == "" }

// outcome is the answer in a few words.
func (a answerV2) outcome() string {
	switch {
	case a.page != 0:
		return strconv.Itoa(a.page)
	case a.failure != "":
		return "FAIL " + a.failure
	case a.code != "":
		return "FAIL " + a.code + " " + a.text
	}
	return "SUCCESS"
}

// serveV2 answers one request of /pay/ or /secapi/.
func (s *Sandbox) serveV2(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the client broke off: there is nobody to answer
	}
	e := Entry{Kind: "call", Method: r.Method, Path: r.URL.EscapedPath(), Request: requestText(r, target(r), body)}
	i := slices.IndexFunc(operationsV2, func(o *operationV2) bool { return o.path == r.URL.EscapedPath() })
	if i < 0 {
		e.Name, e.Status, e.Summary = "v2.unknown", http.StatusNotFound, "no such call: "+r.Method+" "+r.URL.Path
		s.record(e)
		s.bare(w, http.StatusNotFound)
		return
	}
	c := &callV2{op: operationsV2[i], request: r, raw: body}
	e.Name = c.op.name

	a, settled := s.authenticateV2(c), true
	e.OutTradeNo = c.order
	if a.ok() {
		a = s.spendV2(c)
	}
	if a.ok() {
		if f := s.strike(c.op.name, "delay"); f != nil && !s.pause(r.Context(), f.Delay) {
			e.Summary = "the caller left during a delay"
			s.record(e)
			panic(http.ErrAbortHandler)
		}
		f := s.strike(c.op.name, "error", "hang", "lose_request", "lose_response")
		s.interrupt(r, &e, f, began)
		if f == nil || f.Kind == "lose_response" || f.Executed {
			if a = s.parseV2(c); a.ok() {
				a = c.op.do(s, c)
			}
			if c.op.name == "v2.refund" && !a.ok() {
				s.mu.Lock()
				s.count(failingRefundsV2, c.merchant.ID)
				s.mu.Unlock()
			}
		}
		e.OutTradeNo = c.order
		settled = s.settled() == nil
		if f != nil && f.Kind == "lose_response" {
			e.Code, e.Ms = a.code, time.Since(began).Milliseconds()
			e.Summary = fmt.Sprintf("executed (%s); the answer is lost", a.outcome())
			s.record(e)
			panic(http.ErrAbortHandler)
		}
		if f != nil && f.Kind == "error" {
			a = c.errs(f)
		}
	}
	if !settled {
		a = c.refuse("SYSTEMERROR")
	}
	status, out, cut := s.dressV2(w.Header(), c, a)
	e.Status, e.Code, e.Ms = status, a.code, time.Since(began).Milliseconds()
	e.Summary = c.op.name + " → " + a.outcome()
	e.Response = fmt.Sprintf("HTTP/1.1 %d\n%s\n%s", status, headerText(w.Header()), strings.ToValidUTF8(string(out), "�"))
	s.record(e)
	w.WriteHeader(status)
	send(w, out, cut)
}

// spendV2 counts a call. A success is that it isn't beyond the limits of the settings.
func (s *Sandbox) spendV2(c *callV2) answerV2 {
	s.mu.Lock()
	defer s.mu.Unlock()
	most, limited := s.settings.RateLimits[failingRefundsV2]
	switch {
	case c.op.name == "v2.refund" && limited && s.spentIn()[[2]string{failingRefundsV2, c.merchant.ID}] >= most:
		return refuses("INVALID_REQ_TOO_MUCH")
	case s.count(c.op.limit(), c.merchant.ID):
		return c.failed("RATELIMIT_EXCEEDED")
	}
	return answerV2{}
}

// failingRefundsV2 is the limit of refused refunds.
const failingRefundsV2 = "v2.refund.failing"

// limit is the operation's name in [Settings.RateLimits].
func (o *operationV2) limit() string { return cmp.Or(o.limitName, o.name) }

// errs is the answer that a fault of the kind error wants.
func (c *callV2) errs(struck *Fault) answerV2 {
	f := *struck
	f.spellV2() // a rule may be one for v3 too
	switch _, transport := failuresV2[f.Code]; {
	case f.Status != http.StatusOK:
		return answerV2{page: f.Status}
	case transport:
		return c.failed(f.Code)
	}
	return c.refuse(f.Code)
}

// refuse is refuses, for calls that refuse in a way of their own too.
func (c *callV2) refuse(code string) answerV2 {
	if c.op.path == downloadBillPath {
		return c.noBill(code)
	}
	return refuses(code)
}

// failed is the answer with return_code FAIL for a reason that failuresV2 knows.
func (c *callV2) failed(code string) answerV2 {
	if c.op.path == downloadBillPath && noBillTexts[code] != "" {
		return c.noBill(code)
	}
	return fails(failuresV2[code])
}

// authenticateV2 finds out who calls. A success is that c.merchant is the caller.
func (s *Sandbox) authenticateV2(c *callV2) answerV2 {
	switch {
	case c.request.Method != http.MethodPost:
		return c.failed("REQUIRE_POST_METHOD")
	case len(c.raw) == 0:
		return c.failed("POST_DATA_EMPTY")
	case len(c.raw) > maxBody:
		return fails(saysTooLarge.zh)
	}
	var err error
	switch c.given, err = parseXML(c.raw); {
	case errors.Is(err, errNotUTF8):
		return c.failed("NOT_UTF8")
	case err != nil:
		return c.failed("XML_FORMAT_ERROR")
	}
	c.order = c.given.get("out_trade_no")
	m := s.merchant(c.given.get("mch_id"))
	if m == nil {
		return c.failed("MCHID_NOT_EXIST")
	}
	c.signType = cmp.Or(c.given.get("sign_type"), signMD5)
	if c.signType != signMD5 && c.signType != signHMAC || c.op.hmac && c.signType != signHMAC {
		return fails(saysSignType)
	}
	if !c.given.signed(m.APIv2Key, c.signType, c.given.get("sign")) {
		return c.failed("SIGNERROR")
	}
	c.merchant = m
	return answerV2{}
}

// parseV2 holds the request against the operation's table and looks at what all calls have in common. A parameter without
// a value is as good as none.
func (s *Sandbox) parseV2(c *callV2) answerV2 {
	if a := s.certify(c); !a.ok() {
		return a
	}
	fields := slices.Concat(commonFields, c.op.fields)
	c.body = value{kind: object}
	for _, p := range c.given {
		if p.value == "" {
			continue
		}
		v := value{kind: text, text: p.value}
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == p.name })
		if i >= 0 && fields[i].kind == integer {
			if v.kind = integer; !isInteger(p.value) {
				v.kind = fraction
			}
		}
		c.body.members = append(c.body.members, member{p.name, v})
	}
	if i := checkObject(fields, &c.body, "body", "/body/xml"); i != nil {
		if c.op.path == downloadBillPath && !i.undefined {
			return c.misbill()
		}
		return fails(strings.Replace(i.zh, "无法将 JSON 输入源", "无法将输入源", 1)) // a text of v3, but for the format
	}
	appID := c.body.string("appid")
	s.mu.Lock()
	_, exists := s.appOf(appID)
	s.mu.Unlock()
	if !exists {
		return c.failed("APPID_NOT_EXIST")
	}
	if _, bound := c.merchant.app(appID); !bound {
		return c.refuse("APPID_MCHID_NOT_MATCH")
	}
	return answerV2{}
}

// isInteger tells whether the text is an integer of 64 bits, in decimal digits.
func isInteger(t string) bool {
	_, err := strconv.ParseInt(t, 10, 64)
	return err == nil && !strings.HasPrefix(t, "+")
}

// certify looks at the certificate that the client has shown, whose private key TLS has proved it to have.
func (s *Sandbox) certify(c *callV2) answerV2 {
	if !c.op.certified || c.request.TLS == nil && !s.Settings().ClientCertificates {
		return answerV2{}
	}
	if c.request.TLS == nil || len(c.request.TLS.PeerCertificates) == 0 {
		return fails(saysNoCertificateV2)
	}
	own, err := certificateOf(c.merchant.Certificate)
	if err != nil || !own.Equal(c.request.TLS.PeerCertificates[0]) {
		return refuses("CERT_ERROR")
	}
	return answerV2{}
}

// dressV2 makes the answer as it goes out: status, headers and body, signed where WeChat Pay signs. cut tells that a fault
// ends the connection in the middle of the body.
func (s *Sandbox) dressV2(h http.Header, c *callV2, a answerV2) (status int, body []byte, cut bool) {
	s.plain(h)
	h.Set("Cache-Control", "no-cache, must-revalidate")
	h.Set("Content-Type", "text/plain")
	defer func() { h.Set("Content-Length", strconv.Itoa(len(body))) }()
	if a.page != 0 {
		h.Set("Content-Type", "text/html")
		title := strconv.Itoa(a.page) + " " + http.StatusText(a.page)
		return a.page, fmt.Appendf(nil, "<html>\r\n<head><title>%[1]s</title></head>\r\n<body>\r\n"+
			"<center><h1>%[1]s</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", title), false
	}
	var spoil *Fault
	if a.ok() && a.file == nil {
		spoil = s.strike(c.op.name, "bad_signature", "truncate")
	}
	cut = spoil != nil && spoil.Kind == "truncate"
	switch {
	case a.file != nil:
		for name, values := range a.file.header {
			h[name] = values
		}
		return http.StatusOK, a.file.body, false
	case a.failure != "":
		f := flat{{"return_code", "FAIL"}, {"return_msg", a.failure}}
		if a.number != "" {
			f = append(f, parameter{"error_code", a.number})
		}
		return http.StatusOK, f.xml("xml"), cut
	}
	if c.op.file {
		return http.StatusOK, flat{{"return_code", "SUCCESS"}, {"return_msg", "OK"}, {"result_code", "FAIL"},
			{"err_code", a.code}, {"err_code_des", a.text}}.xml("xml"), false
	}
	f := flat{{"return_code", "SUCCESS"}, {"return_msg", "OK"}, {"appid", c.body.string("appid")},
		{"mch_id", c.merchant.ID}, {"nonce_str", s.random.text("nonce", alnums, 32)}}
	if a.code != "" {
		f = append(f, flat{{"result_code", "FAIL"}, {"err_code", a.code}, {"err_code_des", a.text}}...)
	} else {
		f = append(f, parameter{"result_code", "SUCCESS"})
	}
	f = append(f, a.fields...)
	signature := f.sign(c.merchant.APIv2Key, c.signType)
	if spoil != nil && !cut {
		signature = mangledHex(signature, false)
	}
	return http.StatusOK, append(f, parameter{"sign", signature}).xml("xml"), cut
}
