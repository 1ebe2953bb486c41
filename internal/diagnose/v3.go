package diagnose

import (
	"crypto"
	"encoding/json"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// window is how far a timestamp may be away from the clock of whoever verifies it.
//
// Source: vendor manual, "如何验证签名"; WeChat Pay applies it to requests before it looks at the signature.
const window = 5 * time.Minute

// Message is an answer or a notification of WeChat Pay's API v3.
type Message struct {
	Header http.Header
	Body   []byte // raw bytes
	Keys   []Key  // WeChat Pay's; the one that Wechatpay-Serial names is taken, else the first. Never empty
	At     time.Time
}

// Diagnose verifies m as an SDK does at m.At, and finds out why it doesn't verify.
func (m Message) Diagnose() Report {
	var r Report
	get := func(name string) string { return m.Header.Get("Wechatpay-" + name) }
	timestamp, nonce, serial, value := get("Timestamp"), get("Nonce"), get("Serial"), get("Signature")
	r.Message = string(wechatpay.ResponseMessage(timestamp, nonce, m.Body))

	var missing []string
	for _, name := range []string{"Timestamp", "Nonce", "Serial", "Signature"} {
		switch n := len(m.Header.Values("Wechatpay-" + name)); {
		case n == 0 || get(name) == "":
			missing = append(missing, "Wechatpay-"+name)
		case n > 1:
			r.check("headers", Wrong, phrase.Say("Wechatpay-%s 出现了 %d 次", "Wechatpay-%s is there %d times", name, n))
		}
	}
	if len(missing) > 0 {
		r.check("headers", Wrong, phrase.Say("缺少 %s", "%s missing", strings.Join(missing, "、")))
		r.cause(SignatureMissing, phrase.Say("缺少 %s", "%s missing", strings.Join(missing, ", ")))
		return r
	}

	r.timestamp(timestamp, m.At)
	key := m.Keys[0]
	for _, k := range m.Keys {
		if same, _ := k.is(serial); same {
			key = k
			break
		}
	}
	named, _ := key.is(serial)
	switch {
	case named:
		r.check("serial", Right, phrase.Say("%s", "%s", serial))
	case key.ID == "":
		r.check("serial", Unknown, phrase.Say("%s；%s 没有注明自己的 ID（用 --key-id 给出可比较）",
			"%s; %s doesn't say its own id (give it with --key-id to compare)", serial, key.Name))
	default:
		r.check("serial", Wrong, phrase.Say("消息由 %s 签名，手上是 %s", "the message names %s, the key at hand is %s", serial, key.ID))
	}
	r.check("nonce", Right, phrase.Say("%d 个字符", "%d characters", len(nonce)))
	if t := get("Signature-Type"); t != "" && t != wechatpay.Scheme {
		r.check("type", Wrong, phrase.Say("%s，只支持 %s", "%s; only %s is supported", t, wechatpay.Scheme))
		return r
	}
	if strings.HasPrefix(value, "WECHATPAY/SIGNTEST/") {
		r.check("signature", Wrong, phrase.Say("以 WECHATPAY/SIGNTEST/ 开头", "it begins with WECHATPAY/SIGNTEST/"))
		r.cause(Probe, phrase.Say("微信支付的签名探测", "a probe of WeChat Pay's (签名探测)"))
		return r
	}

	opened, ok := r.open(value, key, m.Keys)
	switch {
	case ok:
	case key.owner == merchant:
		r.check("key", Wrong, phrase.Say("%s 不是微信支付的密钥", "%s is not a key of WeChat Pay's", key.title()))
		r.cause(MerchantKeyUsed, phrase.Say("用商户的密钥（%s）验证微信支付的签名",
			"WeChat Pay's signature was checked with the merchant's key (%s)", key.Name))
	case !named && (key.ID != "" || !strings.HasPrefix(serial, publicKeyPrefix)):
		r.check("key", Wrong, phrase.Say("签名不是 %s 产生的", "the signature was not made with %s", key.title()))
		r.cause(WrongSerial, phrase.Say("消息由 %s 签名，%s 是另一个密钥",
			"the message is signed with key %s; %s is another one", serial, key.Name))
	}
	if !ok {
		if len(r.Causes) == 0 {
			r.stranger(key)
		}
		r.check("body", Unknown, unjudged)
		return r
	}
	if !named && key.ID != "" {
		r.cause(WrongSerial, phrase.Say("签名出自 %s，Wechatpay-Serial 却是 %s",
			"%s made the signature, but Wechatpay-Serial says %s", key.title(), serial))
	}
	parts := []part{
		{"timestamp", titles["timestamp"], timestamps(get("Timestamp"))},
		{"nonce", titles["nonce"], cases(nonce, NonceDiffers, "nonce", phrase.Say("随机串的大小写变了",
			"the nonce is in another case"))},
		{"body", titles["body"], []variant{{text: string(m.Body)}}},
	}
	found := search(opened, parts, 2, []frame{{lines, nil}}, nil) // WeChat Pay puts its lines together rightly
	r.explain(opened, found, parts)
	return r.conclude(found, key, value)
}

var unjudged = phrase.Say("密钥不符，无法判断", "can't be judged without the right key")

// timestamp checks that s is a moment near at.
func (r *Report) timestamp(s string, at time.Time) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strings.HasPrefix(s, "+") {
		r.check("timestamp", Wrong, phrase.Say("%q 不是 Unix 秒数", "%q is not a number of Unix seconds", s))
		r.cause(ClockSkew, phrase.Say("时间戳 %q 不是 Unix 秒数", "the timestamp %q is not a number of Unix seconds", s))
		return
	}
	if len(s) == 13 {
		r.check("timestamp", Wrong, phrase.Say("%s 是毫秒", "%s is in milliseconds", s))
		r.cause(Milliseconds, phrase.Say("时间戳 %s 是毫秒，应为 %d",
			"the timestamp %s is in milliseconds; it ought to be %d", s, n/1000))
		return
	}
	off := at.Truncate(time.Second).Sub(time.Unix(n, 0))
	text := phrase.Say("%s，与收到时相差 %s（允许 ±%ds）",
		"%s, %s away from its arrival (±%ds are allowed)", s, shortly(off), int(window.Seconds()))
	if off.Abs() >= window {
		r.check("timestamp", Wrong, text)
		r.cause(ClockSkew, phrase.Say("时间戳与时钟相差 %s，超过 5 分钟",
			"the timestamp is %s away from the clock, more than 5 minutes", shortly(off)))
		return
	}
	r.check("timestamp", Right, text)
}

// shortly writes a distance of time: +12s, -3m5s, +49h0m0s.
func shortly(d time.Duration) string {
	if d >= 0 {
		return "+" + d.String()
	}
	return d.String()
}

// open finds out what the signature value says, with key or, where it is written wrongly, after repairs. It tells about
// the value and the key. Where another one of keys made it, that is the cause.
func (r *Report) open(value string, key Key, keys []Key) (digest, bool) {
	size := key.public.Size()
	all := readings(value, size)
	if len(all) == 0 {
		r.check("signature", Wrong, phrase.Say("不是 %d 字节的 Base64（%d 个字符）",
			"it is not Base64 of %d bytes (it has %d characters)", size, len(value)))
		return digest{}, false
	}
	told := false
	for _, s := range all {
		d, ok := open(key.public, s.raw)
		if !ok {
			continue
		}
		if len(s.edits) == 0 {
			r.check("signature", Right, phrase.Say("Base64，%d 字节", "Base64, %d bytes", len(s.raw)))
		}
		for _, e := range s.edits {
			if !told {
				r.check("signature", Wrong, e.text)
			}
			told = true
			r.cause(e.code, e.text)
		}
		r.check("key", Right, phrase.Say("签名确由 %s 产生", "the signature was made with %s", key.title()))
		return d, true
	}
	switch raw := all[0].raw; {
	case len(all[0].edits) > 0:
		r.check("signature", Wrong, all[0].edits[0].text)
	case len(raw) != size:
		r.check("signature", Wrong, phrase.Say("有 %d 字节，该密钥的签名是 %d 字节：被截断，或属于别的密钥",
			"it has %d bytes, one of this key's has %d: it is cut off, or of another key", len(raw), size))
	default:
		r.check("signature", Right, phrase.Say("Base64，%d 字节", "Base64, %d bytes", len(raw)))
	}
	for _, other := range keys {
		for _, s := range readings(value, other.public.Size()) {
			if _, ok := open(other.public, s.raw); ok {
				r.check("key", Wrong, phrase.Say("签名由 %s 产生，不是 %s",
					"the signature was made with %s, not with %s", other.title(), key.title()))
				r.cause(OtherKey, phrase.Say("签名由 %s 产生", "the signature was made with %s", other.title()))
				return digest{}, false
			}
		}
	}
	return digest{}, false
}

// stranger says that nobody known made the signature.
func (r *Report) stranger(key Key) {
	r.check("key", Wrong, phrase.Say("签名不是 %s 产生的，或签名值已损坏",
		"the signature was not made with %s, or its value is damaged", key.title()))
}

// timestamps returns what may have been signed in place of a timestamp.
func timestamps(s string) []variant {
	v := variant{text: s}
	all := []variant{v}
	if len(s) == 13 {
		all = append(all, v.with(s[:10], edit{Milliseconds, "timestamp", phrase.Say("时间戳 %s 是毫秒，签名时是秒",
			"the timestamp %s is in milliseconds, seconds were signed", s)}))
	}
	if len(s) == 10 {
		all = append(all, v.with(s+"000", edit{Milliseconds, "timestamp", phrase.Say("签名时时间戳是毫秒（%s000）",
			"the signed timestamp was in milliseconds (%s000)", s)}))
	}
	return all
}

// cases returns s and s in upper and in lower case.
func cases(s string, code Code, name string, text phrase.Text) []variant {
	v := variant{text: s}
	all := []variant{v}
	for _, other := range []string{strings.ToUpper(s), strings.ToLower(s)} {
		if other != s {
			all = append(all, v.with(other, edit{code, name, text}))
		}
	}
	return all
}

// frames returns the ways of putting parts together, right and wrong. Timestamp and nonce follow each other in every
// text of API v3.
func frames(parts []part) []frame {
	at := slices.IndexFunc(parts, func(p part) bool { return p.name == "timestamp" })
	swapped := func(p []string) string {
		p = slices.Clone(p)
		p[at], p[at+1] = p[at+1], p[at]
		return lines(p)
	}
	wrong := func(code Code, zh, en string, build func([]string) string) frame {
		return frame{build, []edit{{code, "lines", phrase.Say(zh, en)}}}
	}
	return []frame{
		{lines, nil},
		wrong(FinalNewline, "签名串末尾少一个换行",
			"the signed text lacked the line feed at its end", func(p []string) string { return strings.Join(p, "\n") }),
		wrong(FinalNewline, "签名串末尾多一个换行",
			"the signed text had a line feed too much at its end", func(p []string) string { return lines(p) + "\n" }),
		wrong(MessageCRLF, "签名串的各行以 CRLF 结束",
			"the lines of the signed text ended in CRLF", func(p []string) string { return strings.Join(p, "\r\n") + "\r\n" }),
		wrong(LiteralNewline, `签名串里是反斜杠加 n，不是换行`,
			`the signed text had a backslash and an n in place of line ends`, func(p []string) string { return strings.Join(p, `\n`) + `\n` }),
		wrong(FinalNewline, "签名串没有换行，各部分直接相连",
			"the signed text had no line ends at all", func(p []string) string { return strings.Join(p, "") }),
		wrong(LinesSwapped, "签名串里时间戳和随机串的次序反了", "timestamp and nonce changed places in the signed text", swapped),
	}
}

// explain turns the end of a search into checks and causes.
func (r *Report) explain(d digest, found searched, parts []part) {
	if d.hash != crypto.SHA256 {
		text := phrase.Say("摘要算法是 %v，应为 SHA-256", "the digest is %v, it ought to be SHA-256", d.hash)
		r.check("lines", Wrong, text)
		r.cause(DigestAlgorithm, text)
	}
	if !found.found {
		text := phrase.Say("签名串与手上的不同，已知的改动都对不上",
			"another text was signed than the one at hand, and no known change leads to it")
		if found.manyKey {
			text = phrase.Say("签名串与手上的不同，已知的改动都对不上；JSON 的键太多，无法试遍所有顺序",
				"another text was signed than the one at hand, and no known change leads to it; the JSON has too many keys to try all their orders")
		}
		r.check(parts[len(parts)-1].name, Unknown, text)
		return
	}
	size := phrase.Text{}
	bodyHere := parts[len(parts)-1].variants[0].text
	for _, p := range parts {
		if p.name == "timestamp" || p.name == "nonce" {
			for _, e := range found.edits {
				if e.part == p.name {
					r.mark(p.name, e.text)
				}
			}
			continue
		}
		state, text := Right, phrase.Say("%d 字节", "%d bytes", len(p.variants[0].text))
		if p.name != "body" {
			text = phrase.Say("%s", "%s", p.variants[0].text)
		}
		for _, e := range found.edits {
			if e.part == p.name {
				state, text = Wrong, e.text
			}
		}
		r.check(p.name, state, text)
	}
	for _, e := range found.edits {
		if e.part == "lines" {
			r.check("lines", Wrong, e.text)
		}
		size = phrase.Text{}
		if here, signed := len(r.Message), len(found.text); e.part == "body" && here != signed {
			rest := here - len(bodyHere)
			size = phrase.Say("（%d→%d 字节）", " (%d→%d bytes)", signed-rest, len(bodyHere))
		}
		r.cause(e.code, phrase.Say("%s%s", "%s%s", e.text, size))
	}
	r.Difference = compare(r.Message, found.text, lineAt(parts))
}

// conclude decides whether the message would be accepted: nothing is wrong, and the SDK's own verifier says so too.
func (r *Report) conclude(found searched, key Key, value string) Report {
	r.Verified = found.found && len(found.edits) == 0 && r.clean() &&
		wechatpay.VerifyMessage(key.public, []byte(r.Message), value) == nil
	return *r
}

// mark turns a check that was right into a wrong one.
func (r *Report) mark(name string, text phrase.Text) {
	for i := range r.Checks {
		if r.Checks[i].Name == name {
			r.Checks[i].State, r.Checks[i].Text = Wrong, text
			return
		}
	}
	r.check(name, Wrong, text)
}

// lineAt names the part of a text of lines that an offset falls into.
func lineAt(parts []part) func(int) phrase.Text {
	return func(offset int) phrase.Text {
		for _, p := range parts {
			if offset -= len(p.variants[0].text) + 1; offset < 0 {
				return p.title
			}
		}
		return phrase.Say("末尾", "end")
	}
}

// Request is a merchant's request to API v3, as it was sent.
type Request struct {
	Method        string
	Target        string // path and query, as sent
	Authorization string // value of the header
	ContentType   string // of the body; only an upload's matters
	Body          []byte
	Keys          []Key // the merchant's, the one meant first. Never empty
	At            time.Time
}

var pair = regexp.MustCompile(`^\s*([a-z_]+)\s*=\s*"([^"]*)"\s*$`)

// authorized is the Authorization header taken apart.
type authorized struct {
	mchid, nonce, signature, timestamp, serial string
}

// authorization reads the header. It reports false where too little of it can be read to go on.
func (r *Report) authorization(value string) (a authorized, ok bool) {
	wrong := func(text phrase.Text) {
		r.check("authorization", Wrong, text)
		r.cause(AuthorizationFormat, text)
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if scheme != wechatpay.Scheme {
		wrong(phrase.Say("认证类型是 %q，应为 %s", "its type is %q, it ought to be %s", scheme, wechatpay.Scheme))
		if rest == "" {
			return a, false
		}
	}
	fields := map[string]*string{"mchid": &a.mchid, "nonce_str": &a.nonce, "signature": &a.signature, "timestamp": &a.timestamp, "serial_no": &a.serial}
	for _, p := range strings.Split(rest, ",") {
		m := pair.FindStringSubmatch(p)
		if m == nil {
			if strings.TrimSpace(p) != "" {
				wrong(phrase.Say("读不懂 %q：值要用双引号括起来", "%q can't be read: values stand in double quotes", shorten(p)))
			}
			continue
		}
		to := fields[m[1]]
		switch {
		case to == nil:
			wrong(phrase.Say("多了 %s", "there is no %s in it", m[1]))
		case *to != "":
			wrong(phrase.Say("%s 出现了两次", "%s is there twice", m[1]))
		default:
			*to = m[2]
		}
	}
	for _, name := range []string{"mchid", "nonce_str", "signature", "timestamp", "serial_no"} {
		if *fields[name] == "" {
			wrong(phrase.Say("缺少 %s", "%s is missing", name))
		}
	}
	if len(r.Causes) == 0 {
		r.check("authorization", Right, phrase.Say("%s", "%s", scheme))
	}
	return a, a.nonce != "" && a.signature != "" && a.timestamp != ""
}

func shorten(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// Diagnose checks q as WeChat Pay does at q.At, and finds out why it would be refused.
func (q Request) Diagnose() Report {
	var r Report
	a, ok := r.authorization(q.Authorization)
	body := string(q.Body)
	meta, isUpload := metaOf(q.ContentType, body)
	if isUpload {
		body = meta
	}
	r.Message = lines([]string{q.Method, q.Target, a.timestamp, a.nonce, body})
	if !ok {
		return r
	}
	key := q.Keys[0]
	r.timestamp(a.timestamp, q.At)
	r.merchant(a, key, q)
	r.serial(a.serial, key, q.Keys)
	r.check("nonce", Right, phrase.Say("%d 个字符", "%d characters", len(a.nonce)))

	opened, ok := r.open(a.signature, key, q.Keys)
	if !ok {
		switch {
		case slices.ContainsFunc(r.Causes, func(c Cause) bool { return c.Code == OtherKey }):
		case key.owner == platform:
			r.check("key", Wrong, phrase.Say("%s 是微信支付的密钥", "%s is WeChat Pay's", key.title()))
			r.cause(PlatformKeyUsed, phrase.Say("用微信支付的密钥（%s）检查商户的签名",
				"the merchant's signature was checked with WeChat Pay's key (%s)", key.Name))
		default:
			r.stranger(key)
		}
		r.check("body", Unknown, unjudged)
		return r
	}
	parts := []part{
		{"method", titles["method"], methods(q.Method)},
		{"url", titles["url"], targets(q.Target)},
		{"timestamp", titles["timestamp"], timestamps(a.timestamp)},
		{"nonce", titles["nonce"], cases(a.nonce, NonceDiffers, "nonce", phrase.Say("随机串的大小写变了",
			"the nonce is in another case"))},
		{"body", titles["body"], []variant{{text: body}}},
	}
	found := search(opened, parts, 4, frames(parts), func(try func([]string, edit) bool) bool {
		if isUpload && try([]string{q.Method, q.Target, a.timestamp, a.nonce, string(q.Body)},
			edit{MultipartBody, "body", phrase.Say("对整个 multipart 正文签了名", "the whole multipart body was signed")}) {
			return true
		}
		n, err := strconv.ParseInt(a.timestamp, 10, 64)
		if err != nil || len(a.timestamp) != 10 {
			return false
		}
		at := func(s string, e edit) bool { return try([]string{q.Method, q.Target, s, a.nonce, body}, e) }
		for off := int64(1); off <= 600; off++ {
			for _, t := range []int64{n - off, n + off} {
				if at(strconv.FormatInt(t, 10), edit{TimestampDiffers, "timestamp",
					phrase.Say("签名时的时间戳是 %d，Authorization 里是 %d", "%d was signed, Authorization has %d", t, n)}) {
					return true
				}
			}
		}
		for ms := n*1000 + 1; ms < n*1000+1000; ms++ {
			if at(strconv.FormatInt(ms, 10), edit{Milliseconds, "timestamp", phrase.Say("签名时时间戳是毫秒（%d）",
				"the signed timestamp was in milliseconds (%d)", ms)}) {
				return true
			}
		}
		return false
	})
	if q.Method != strings.ToUpper(q.Method) {
		r.cause(MethodDiffers, phrase.Say("方法 %q 不是大写", "the method %q is not in upper case", q.Method))
	}
	r.explain(opened, found, parts)
	return r.conclude(found, key, a.signature)
}

// merchant checks that header, certificate and body speak of one merchant.
func (r *Report) merchant(a authorized, key Key, q Request) {
	differs := func(where phrase.Text, other string) {
		r.check("mchid", Wrong, phrase.Say("Authorization 里是 %s，%s是 %s", "Authorization has %s, %s %s", a.mchid, where, other))
		r.cause(MchIDDiffers, phrase.Say("Authorization 的 mchid 是 %s，%s是 %s",
			"the mchid of Authorization is %s, %s %s", a.mchid, where, other))
	}
	if key.mchid != "" && key.mchid != a.mchid {
		differs(phrase.Say("证书", "the certificate's"), key.mchid)
		return
	}
	var named struct {
		MchID   any `json:"mchid"`
		SpMchID any `json:"sp_mchid"`
	}
	_ = json.Unmarshal(q.Body, &named) // a body without merchants names none
	_, query, _ := strings.Cut(q.Target, "?")
	values, _ := url.ParseQuery(query) // likewise
	for _, of := range []struct {
		name  string
		value any
	}{{"sp_mchid", named.SpMchID}, {"mchid", named.MchID}, {"sp_mchid", values.Get("sp_mchid")}, {"mchid", values.Get("mchid")}} {
		if id, ok := of.value.(string); ok && id != "" {
			if id != a.mchid {
				differs(phrase.Say("请求里的 %s ", "the request's %s", of.name), id)
				return
			}
			break
		}
	}
	r.check("mchid", Right, phrase.Say("%s", "%s", a.mchid))
}

// serial checks that serial_no names the merchant's certificate.
func (r *Report) serial(serial string, key Key, keys []Key) {
	same, spelled := key.is(serial)
	wrong := func(code Code, text phrase.Text) {
		r.check("serial", Wrong, text)
		r.cause(code, text)
	}
	switch {
	case spelled:
		r.check("serial", Right, phrase.Say("%s", "%s", serial))
	case same:
		wrong(SerialFormat, phrase.Say("%s 的写法不对，应为 %s", "%s is spelled wrongly, it ought to be %s", serial, key.ID))
	case strings.HasPrefix(serial, publicKeyPrefix):
		wrong(PlatformSerial, phrase.Say("%s 是微信支付公钥的 ID", "%s is the id of WeChat Pay's public key", serial))
	case slices.ContainsFunc(keys, func(k Key) bool { same, _ := k.is(serial); return same && k.owner == platform }):
		wrong(PlatformSerial, phrase.Say("%s 是平台证书的序列号", "%s is the serial of a platform certificate", serial))
	case key.ID == "":
		r.check("serial", Unknown, phrase.Say("%s；%s 不含序列号，无法比较（改用 apiclient_cert.pem）",
			"%s; %s holds no serial to compare it with (give apiclient_cert.pem)", serial, key.Name))
	default:
		wrong(WrongSerial, phrase.Say("%s 不是 %s 的序列号（%s）", "%s is not the serial of %s (%s)", serial, key.Name, key.ID))
	}
}

// methods returns what may have been signed in place of a method.
func methods(sent string) []variant {
	v := variant{text: sent}
	all := cases(sent, MethodDiffers, "method", phrase.Say("签名时方法的大小写不同", "the method was signed in another case"))
	for _, other := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if other != strings.ToUpper(sent) {
			all = append(all, v.with(other, edit{MethodDiffers, "method", phrase.Say("签名时方法是 %s，发送的是 %s",
				"%s was signed, %s was sent", other, sent)}))
		}
	}
	return all
}

// targets returns what may have been signed in place of path and query.
func targets(sent string) []variant {
	v := variant{text: sent}
	all := []variant{v}
	add := func(code Code, text, zh, en string) {
		if text != sent && !slices.ContainsFunc(all, func(v variant) bool { return v.text == text }) {
			all = append(all, v.with(text, edit{code, "url", phrase.Say(zh, en)}))
		}
	}
	path, query, has := strings.Cut(sent, "?")
	if has {
		add(QueryLeftOut, path, "签名时 URL 没有包含查询串", "the query was left out of the signed URL")
		add(QueryLeftOut, path+"?", "签名时 URL 没有包含查询串，只有 ?", "the query was left out of the signed URL, but for its ?")
	} else {
		add(QueryLeftOut, sent+"?", "签名时 URL 末尾多一个 ?", "the signed URL had a ? at its end")
	}
	for _, decode := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
		if text, err := decode(sent); err == nil {
			add(URLDecoded, text, "签名时用了解码后的 URL", "the decoded URL was signed")
		}
		if text, err := decode(query); err == nil && has {
			add(URLDecoded, path+"?"+text, "签名时用了解码后的查询串", "the decoded query was signed")
		}
		if text, err := decode(path); err == nil {
			add(URLDecoded, strings.TrimSuffix(text+"?"+query, "?"), "签名时用了解码后的路径", "the decoded path was signed")
		}
	}
	const encoding, encodingEN = "签名时 URL 的编码方式不同", "the signed URL was encoded in another way"
	if u, err := url.ParseRequestURI(sent); err == nil {
		add(URLEncoding, u.EscapedPath()+strings.TrimSuffix("?"+u.Query().Encode(), "?"), encoding, encodingEN)
		add(URLEncoding, path+"?"+u.Query().Encode(), encoding, encodingEN)
		u.RawPath = ""
		add(URLEncoding, u.RequestURI(), encoding, encodingEN)
	}
	add(URLEncoding, strings.ReplaceAll(sent, "%20", "+"), encoding, encodingEN)
	add(URLEncoding, strings.ReplaceAll(sent, "+", "%20"), encoding, encodingEN)
	add(URLEncoding, strings.ReplaceAll(sent, "|", "%7C"), encoding, encodingEN)
	add(URLEncoding, strings.ReplaceAll(sent, "%7C", "|"), encoding, encodingEN)
	add(URLEncoding, hexCase(sent, strings.ToLower), encoding, encodingEN)
	add(URLEncoding, hexCase(sent, strings.ToUpper), encoding, encodingEN)
	add(URLEncoding, url.PathEscape(sent), encoding, encodingEN)
	add(URLEncoding, strings.TrimSuffix(path, "/")+strings.TrimPrefix(sent, path), "签名时路径末尾没有 /",
		"the signed path had no / at its end")
	add(URLEncoding, path+"/"+strings.TrimPrefix(sent, path), "签名时路径末尾多一个 /", "the signed path had a / at its end")
	for _, host := range []string{"https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com", "http://api.mch.weixin.qq.com", "api.mch.weixin.qq.com"} {
		add(HostInURL, host+sent, "签名时 URL 包含了域名", "the signed URL had the host in it")
		add(HostInURL, host+path, "签名时 URL 包含了域名，且没有查询串", "the signed URL had the host in it, and no query")
		add(HostInURL, strings.TrimPrefix(sent, host), "发送的 URL 包含了域名", "the URL at hand has the host in it")
	}
	add(HostInURL, strings.TrimPrefix(sent, "/"), "签名时 URL 少了开头的 /", "the signed URL lacked the / at its beginning")
	add(PathCase, strings.ToLower(sent), "签名时 URL 被转成了小写", "the signed URL was in lower case")
	add(PathCase, strings.ToLower(path)+strings.TrimPrefix(sent, path), "签名时路径被转成了小写",
		"the signed path was in lower case")
	return all
}

var percent = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

func hexCase(s string, to func(string) string) string { return percent.ReplaceAllStringFunc(s, to) }

// metaOf returns the part called meta of an upload, which is all that its signature covers.
//
// Source: vendor manual, "图片上传".
func metaOf(contentType, body string) (string, bool) {
	kind, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	if first, _, found := strings.Cut(body, "\n"); err != nil && contentType == "" && found && strings.HasPrefix(first, "--") {
		kind, boundary = "multipart/form-data", strings.TrimRight(first[2:], "\r")
	}
	if kind != "multipart/form-data" || boundary == "" {
		return "", false
	}
	reader := multipart.NewReader(strings.NewReader(body), boundary)
	for {
		p, err := reader.NextPart()
		if err != nil {
			return "", false
		}
		if p.FormName() == "meta" {
			var b strings.Builder
			buffer := make([]byte, 4096)
			for {
				n, err := p.Read(buffer)
				b.Write(buffer[:n])
				if err != nil {
					return b.String(), true
				}
			}
		}
	}
}
