package sandbox

import (
	"bytes"
	"cmp"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// This file is the transport of API v3: what WeChat Pay checks before it looks at a call, in its order, and how it
// answers. Source: vendor manual, "APIv3 基本规则", "如何构造接口请求签名", "HTTP状态码与错误码".

const (
	scheme       = "WECHATPAY2-SHA256-RSA2048"
	signWindow   = 5 * time.Minute // between a request's timestamp and the real time
	maxBody      = 1 << 20
	excerptBytes = 16 // of a body in the diagnosis of a wrong signature
)

// operation is one call of v3.
type operation struct {
	name     string // in faults and in the journal
	method   string
	template string
	path     []field // of {names} in the template
	query    []field
	body     []field // nil: there is none
	// watchful calls look at Accept and User-Agent and say precisely what is wrong with Authorization; the others were
	// seen to do neither.
	watchful bool
	// limitName is the operation's name in rate limits, where it isn't name.
	limitName string
	do        func(*Sandbox, *call) answer
}

var operations = []*operation{
	{name: "v3.prepay", method: "POST", template: "/v3/pay/transactions/jsapi", body: prepayFields(tradeJSAPI),
		do: orderAs(tradeJSAPI)},
	{name: "v3.prepay", method: "POST", template: "/v3/pay/transactions/native", body: prepayFields(tradeNative),
		do: orderAs(tradeNative)},
	{name: "v3.prepay", method: "POST", template: "/v3/pay/transactions/h5", body: prepayFields(tradeH5),
		do: orderAs(tradeH5)},
	{name: "v3.prepay", method: "POST", template: "/v3/pay/transactions/app", body: prepayFields(tradeApp),
		do: orderAs(tradeApp)},
	{name: "v3.query", method: "GET", template: "/v3/pay/transactions/out-trade-no/{out_trade_no}",
		path: []field{outTradeNoField}, query: []field{mchidField}, do: (*Sandbox).query},
	{name: "v3.query", method: "GET", template: "/v3/pay/transactions/id/{transaction_id}",
		path: []field{transactionIDField}, query: []field{mchidField}, do: (*Sandbox).query},
	{name: "v3.close", method: "POST", template: "/v3/pay/transactions/out-trade-no/{out_trade_no}/close",
		path: []field{outTradeNoField}, body: []field{mchidField}, do: (*Sandbox).close},
	{name: "v3.refund", method: "POST", template: "/v3/refund/domestic/refunds", body: refundFields,
		do: (*Sandbox).refund, watchful: true},
	{name: "v3.refund_query", method: "GET", template: "/v3/refund/domestic/refunds/{out_refund_no}",
		path: []field{outRefundNoField}, do: (*Sandbox).queryRefund, watchful: true},
	{name: "v3.abnormal_refund", method: "POST",
		template: "/v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund",
		path:     []field{refundIDField}, body: abnormalFields, do: (*Sandbox).applyAbnormal, watchful: true},
	{name: "bill", method: "GET", template: "/v3/bill/tradebill", query: tradeBillFields,
		do: (*Sandbox).applyTradeBill, watchful: true, limitName: "bill.tradebill"},
	{name: "bill", method: "GET", template: "/v3/bill/fundflowbill", query: fundFlowFields,
		do: (*Sandbox).applyFundFlowBill, watchful: true, limitName: "bill.fundflowbill"},
	{name: "bill_download", method: "GET", template: "/v3/billdownload/file", query: downloadFields,
		do: (*Sandbox).downloadBill},
	{name: "v3.certificates", method: "GET", template: "/v3/certificates",
		query: []field{algorithmField}, do: (*Sandbox).certificates, watchful: true},
}

// route finds the operation; without one, status is what the answer has.
func route(method, path string) (op *operation, names map[string]string, status int) {
	status = http.StatusNotFound
	for _, o := range operations {
		n, ok := match(o.template, path)
		switch {
		case !ok:
		case o.method == method:
			return o, n, http.StatusOK
		default:
			status = http.StatusMethodNotAllowed
		}
	}
	return nil, nil, status
}

// match holds an escaped path against a template.
func match(template, path string) (map[string]string, bool) {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	names := map[string]string{}
	for i := range want {
		if name, ok := strings.CutPrefix(want[i], "{"); ok {
			plain, err := url.PathUnescape(have[i])
			if err != nil || plain == "" {
				return nil, false
			}
			names[strings.TrimSuffix(name, "}")] = plain
		} else if want[i] != have[i] {
			return nil, false
		}
	}
	return names, true
}

// call is one request on its way through.
type call struct {
	op       *operation
	request  *http.Request
	target   string // path and query as sent
	raw      []byte // the body as sent
	path     value
	query    value
	body     value
	merchant *merchant // once the signature is verified
	english  bool
	order    string // number of the order that it is about, for the journal
}

// answer is what a call is answered.
type answer struct {
	status int
	code   string // of a refusal
	number int64  // behind the dash of Request-ID
	body   []byte // nil with 204
	media  string // of a file; "" is a document
}

// shown is the body as the journal has it.
func (a answer) shown() string {
	if !utf8.Valid(a.body) {
		return fmt.Sprintf("[file of %d bytes]", len(a.body))
	}
	return string(a.body)
}

// ok answers 200 with a document.
func ok(d any) answer { return answer{status: http.StatusOK, body: encode(d)} }

// refuse answers with an error in the language asked for.
func (c *call) refuse(status int, code string, number int64, p phrase, detail any) answer {
	message := p.zh
	if c.english && p.en != "" {
		message = p.en
	}
	d := document{{"code", code}, {"message", message}}
	if detail != nil {
		d = append(d, pair{"detail", detail})
	}
	return answer{status: status, code: code, number: number, body: encode(d)}
}

// malformed answers that a field breaks its rule.
func (c *call) malformed(i *issue) answer {
	number := int64(numberIllegal)
	if i.undefined {
		number = numberUndefined
	}
	return c.refuse(http.StatusBadRequest, "PARAM_ERROR", number, i.phrase, i.detail)
}

func (c *call) unauthorized(p phrase, detail any) answer {
	return c.refuse(http.StatusUnauthorized, "SIGN_ERROR", numberSignature, p, detail)
}

// serveV3 answers one request of /v3/.
func (s *Sandbox) serveV3(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	op, names, status := route(r.Method, r.URL.EscapedPath())
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the client broke off: there is nobody to answer
	}
	e := Entry{Kind: "call", Method: r.Method, Path: r.URL.EscapedPath(), Request: requestText(r, target(r), body)}
	if op == nil {
		e.Name, e.Status, e.Summary = "v3.unknown", status, fmt.Sprintf("no such call: %s %s", r.Method, r.URL.Path)
		s.record(e)
		s.bare(w, status)
		return
	}
	c := &call{op: op, request: r, target: target(r), raw: body, english: english(r)}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c.path.members = append(c.path.members, member{name, value{kind: text, text: names[name]}})
	}
	c.order = c.path.string("out_trade_no")
	e.Name = op.name

	a, settled := c.unwell(), true
	if a.status == 0 {
		a = s.authenticate(c)
	}
	e.OutTradeNo = c.order
	if a.status == 0 && s.spend(c) {
		a = c.refuse(http.StatusTooManyRequests, "FREQUENCY_LIMITED", numberFrequency, saysTooFrequent, nil)
	}
	if a.status == 0 {
		if f := s.strike(op.name, "delay"); f != nil && !s.pause(r.Context(), f.Delay) {
			e.Summary = "the caller left during a delay"
			s.record(e)
			panic(http.ErrAbortHandler)
		}
		f := s.strike(op.name, "error", "hang", "lose_request", "lose_response")
		s.interrupt(r, &e, f, began)
		if f == nil || f.Kind == "lose_response" || f.Executed {
			if a = c.parse(); a.status == 0 {
				a = op.do(s, c)
			}
			if op.name == "v3.refund" && a.status >= 400 {
				s.mu.Lock()
				s.count(failingRefunds, c.merchant.ID)
				s.mu.Unlock()
			}
		}
		e.OutTradeNo = c.order
		settled = s.settled() == nil
		if f != nil && f.Kind == "lose_response" {
			e.Code, e.Ms, e.Response = a.code, time.Since(began).Milliseconds(), a.shown()
			e.Summary = fmt.Sprintf("executed (%d); the answer is lost", a.status)
			s.record(e)
			panic(http.ErrAbortHandler)
		}
		if f != nil && f.Kind == "error" {
			a = c.refuse(f.Status, f.Code, numberSystem, saysSystem, nil)
		}
	}
	if !settled {
		a = c.refuse(http.StatusInternalServerError, "SYSTEM_ERROR", numberSystem, saysSystem, nil)
	}
	cut, err := s.dress(w, c, a)
	if err != nil {
		s.log.Error("can't sign an answer", "error", err)
		panic(http.ErrAbortHandler)
	}
	e.Status, e.Code, e.Ms = a.status, a.code, time.Since(began).Milliseconds()
	e.Summary = strings.TrimSpace(fmt.Sprintf("%s → %d %s", op.name, a.status, a.code))
	e.Response = fmt.Sprintf("HTTP/1.1 %d\n%s\n%s", a.status, headerText(w.Header()), a.shown())
	s.record(e)
	w.WriteHeader(a.status)
	send(w, a.body, cut)
}

// unwell looks at what needs no key: the headers that proxies and naive clients lose.
func (c *call) unwell() answer {
	h := c.request.Header
	switch {
	case len(c.raw) > maxBody:
		return c.refuse(http.StatusBadRequest, "PARAM_ERROR", numberIllegal, saysTooLarge, nil)
	case !c.op.watchful:
		return answer{}
	case h.Get("User-Agent") == "", !acceptsJSON(h.Get("Accept")):
		return c.refuse(http.StatusBadRequest, "INVALID_REQUEST", numberIllegal, saysNoAgent, nil)
	}
	return answer{}
}

func acceptsJSON(accept string) bool {
	return slices.ContainsFunc([]string{"application/json", "application/*", "*/*"}, func(media string) bool {
		return strings.Contains(accept, media)
	})
}

var authorizationPair = regexp.MustCompile(`^\s*(mchid|nonce_str|signature|timestamp|serial_no)="([^"]+)"\s*$`)

// parseAuthorization takes the five values out of the part after the scheme: each once, in any order.
func parseAuthorization(t string) (map[string]string, bool) {
	values := map[string]string{}
	for _, p := range strings.Split(t, ",") {
		m := authorizationPair.FindStringSubmatch(p)
		if m == nil || values[m[1]] != "" {
			return nil, false
		}
		values[m[1]] = m[2]
	}
	return values, len(values) == 5
}

// authenticate finds out who calls. The zero answer is that c.merchant is the caller.
func (s *Sandbox) authenticate(c *call) answer {
	malformed := saysMalformedSignature
	if c.op.watchful {
		malformed = saysMalformedAuthorization
	}
	given := c.request.Header.Values("Authorization")
	if len(given) != 1 || given[0] == "" {
		return c.unauthorized(malformed, nil)
	}
	name, rest, _ := strings.Cut(given[0], " ")
	if name != scheme {
		return c.unauthorized(saysWrongScheme, nil)
	}
	values, fine := parseAuthorization(rest)
	if !fine {
		return c.unauthorized(malformed, nil)
	}
	at, err := strconv.ParseInt(values["timestamp"], 10, 64)
	if err != nil || at < 0 {
		return c.unauthorized(malformed, nil)
	}
	if d := s.clock().Unix() - at; d > int64(signWindow.Seconds()) || -d > int64(signWindow.Seconds()) {
		return c.unauthorized(saysLate, nil)
	}
	m := s.merchant(values["mchid"])
	if m == nil {
		return c.unauthorized(saysNoMerchant, nil)
	}
	if values["serial_no"] != m.CertificateSerial {
		return c.unauthorized(saysWrongSerial, nil)
	}
	message := lines(c.request.Method, c.target, values["timestamp"], values["nonce_str"], string(c.raw))
	if !verified(m.key, message, values["signature"]) {
		return c.unauthorized(saysWrongSignature, document{
			{"detail", document{{"issue", "sign not match"}}},
			{"field", "signature"},
			{"location", "authorization"},
			{"sign_information", document{
				{"method", c.request.Method},
				{"sign_message_length", len(message)},
				{"truncated_sign_message", strings.TrimSuffix(message, string(c.raw)+"\n") + excerpt(c.raw)},
				{"url", c.target},
			}},
		})
	}
	asked := c.request.Header.Get("Wechatpay-Serial")
	if strings.HasPrefix(asked, "PUB_KEY_ID_") && asked != m.PublicKeyID {
		return c.refuse(http.StatusBadRequest, "PARAM_ERROR", numberIllegal, saysNoSuchKey, nil)
	}
	c.merchant = m
	return answer{}
}

// excerpt is the beginning of a body for the diagnosis of a signature.
func excerpt(body []byte) string {
	if len(body) <= excerptBytes {
		return string(body) + "\n"
	}
	n := excerptBytes
	for n > 0 && !utf8.RuneStart(body[n]) {
		n--
	}
	return string(body[:n]) + "..."
}

// parse holds path, query and body against the operation's tables. The zero answer is that all is well.
func (c *call) parse() answer {
	if i := checkObject(c.op.path, &c.path, "uri_template", "/uri_template"); i != nil {
		return c.malformed(i)
	}
	query, err := url.ParseQuery(c.request.URL.RawQuery)
	if err != nil {
		return c.malformed(&issue{phrase: saysNoQuery})
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if len(query[name]) > 1 {
			return c.malformed(&issue{phrase: saysTwice("/query/" + name)})
		}
		c.query.members = append(c.query.members, member{name, value{kind: text, text: query[name][0]}})
	}
	if i := checkObject(c.op.query, &c.query, "query", "/query"); i != nil {
		return c.malformed(i)
	}
	if c.op.body != nil {
		if a := c.parseBody(); a.status != 0 {
			return a
		}
	}
	for _, v := range []*value{&c.query, &c.body} {
		if v.member("mchid") != nil && v.string("mchid") != c.merchant.ID {
			return c.refuse(http.StatusBadRequest, "PARAM_ERROR", numberIllegal, saysOtherMerchant, nil)
		}
	}
	return answer{}
}

func (c *call) parseBody() answer {
	media, _, _ := strings.Cut(c.request.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(media), "application/json") {
		return c.refuse(http.StatusBadRequest, "INVALID_REQUEST", numberIllegal, saysNotJSON, nil)
	}
	v, err := parseJSON(c.raw)
	var twice duplicate
	switch {
	case errors.As(err, &twice):
		return c.malformed(&issue{phrase: saysTwice(twice.name), detail: map[string]any{"location": "body", "value": twice.name}})
	case err != nil || v.kind != object:
		return c.malformed(&issue{phrase: saysNoObject, detail: map[string]any{"location": "body"}})
	}
	c.body = v
	if n := v.string("out_trade_no"); n != "" && c.order == "" {
		c.order = n
	}
	if i := checkObject(c.op.body, &v, "body", "/body"); i != nil {
		return c.malformed(i)
	}
	return answer{}
}

// dress sets the answer's headers as they were observed and signs what WeChat Pay signs. cut tells that a fault ends the
// connection in the middle of the body.
func (s *Sandbox) dress(w http.ResponseWriter, c *call, a answer) (cut bool, err error) {
	h := w.Header()
	s.plain(h)
	if c.request.ProtoMajor == 1 {
		h.Set("Connection", "keep-alive")
		h.Set("Keep-Alive", "timeout=8")
	}
	h.Set("Cache-Control", "no-cache, must-revalidate")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Language", "zh-CN")
	if c.english {
		h.Set("Content-Language", "en")
	}
	if len(a.body) > 0 {
		h.Set("Content-Type", cmp.Or(a.media, "application/json; charset=utf-8"))
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	id := "08" + strings.ToUpper(s.random.text("request", hexes, 38))
	if a.status != http.StatusUnauthorized || c.op.watchful { // the others were seen without
		h.Set("Request-Id", id+"-"+strconv.FormatInt(a.number, 10))
	}
	fine := a.status < 300
	if a.media != "" { // files are never signed
		return s.strike(c.op.name, "truncate") != nil, nil
	}
	if c.merchant == nil || !fine && !s.signErrors {
		return false, nil
	}
	signer := c.merchant.signer
	if c.op.name == "v3.certificates" {
		signer = c.merchant.listSigner
	}
	serial, key := signer(c.request.Header.Get("Wechatpay-Serial"))
	signature, err := s.signAnswer(h, serial, key, a.body)
	if err != nil || !fine {
		return false, err
	}
	spoilers := []string{"bad_signature", "signtest", "truncate"}
	if c.op.name == "bill" {
		spoilers = spoilers[:2] // it is the bill that is truncated
	}
	if f := s.strike(c.op.name, spoilers...); f != nil {
		if f.Kind == "truncate" {
			return true, nil
		}
		h.Set("Wechatpay-Signature", mangled(signature, f.Kind == "signtest"))
	}
	return false, nil
}

func (s *Sandbox) signAnswer(h http.Header, serial string, key *rsa.PrivateKey, body []byte) (string, error) {
	at, nonce := strconv.FormatInt(s.clock().Unix(), 10), s.random.text("nonce", hexes, 32)
	signature, err := sign(key, lines(at, nonce, string(body)))
	h.Set("Wechatpay-Timestamp", at)
	h.Set("Wechatpay-Nonce", nonce)
	h.Set("Wechatpay-Serial", serial)
	h.Set("Wechatpay-Signature", signature)
	h.Set("Wechatpay-Signature-Type", scheme)
	return signature, err
}

// plain sets the headers of every answer of the payment servers.
func (s *Sandbox) plain(h http.Header) {
	h.Set("Server", "nginx")
	h.Set("Date", s.clock().UTC().Format(http.TimeFormat))
}

// bare answers a status without a body, as WeChat Pay does where there is no such call.
func (s *Sandbox) bare(w http.ResponseWriter, status int) {
	s.plain(w.Header())
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

// send writes the body, or half of it before the connection is cut.
func send(w http.ResponseWriter, body []byte, cut bool) {
	if cut {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush() // whoever can't flush cuts earlier
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body) // a client that left doesn't matter: what happened stays
}

// target is the path and query as they came over the wire.
func target(r *http.Request) string {
	t := r.RequestURI
	if t == "" || !strings.HasPrefix(t, "/") { // called without a server, or by a proxy's client
		t = r.URL.RequestURI()
	}
	return t
}

// english tells whether the caller prefers English to Chinese.
func english(r *http.Request) bool {
	for _, tag := range strings.Split(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(tag)), ";")
		switch {
		case tag == "en", strings.HasPrefix(tag, "en-"):
			return true
		case strings.HasPrefix(tag, "zh"):
			return false
		}
	}
	return false
}

// document is a JSON object whose names keep their order.
type document []pair

type pair struct {
	name  string
	value any
}

// MarshalJSON writes the pairs in their order.
func (d document) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range d {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(encode(p.name))
		b.WriteByte(':')
		b.Write(encode(p.value))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// shuffled is d in a random order, documents inside too: nobody may rely on the order.
func (d document) shuffled(r *random) document {
	d = slices.Clone(d)
	r.shuffle("order", len(d), func(i, j int) { d[i], d[j] = d[j], d[i] })
	return d
}

// decodeStrictly reads one JSON value into v and refuses names that v doesn't have.
func decodeStrictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the JSON value")
	}
	return nil
}
