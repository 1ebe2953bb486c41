package diagnose

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// Secret is a key as text, revealed only to compute with it.
type Secret interface{ Reveal() string }

// Form is a message of API v2, or the parameters of wx.requestPayment, with its signature in the field sign or paySign.
type Form struct {
	Fields   apiv2.Fields // in the order of the document
	Key      Secret
	SignType apiv2.SignType // that is expected; "" for what the form says, else for what the signature's length says
}

// ParseFields reads parameters: XML of one level, a JSON object, lines of name=value, or a=1&b=2 as it is signed. Values
// stay as they are, blanks included. A parameter called key is left out of name=value text: it is the API key of a
// signed text.
func ParseFields(data []byte) (apiv2.Fields, error) {
	data = bytes.TrimPrefix(data, []byte(bom))
	var fields apiv2.Fields
	var err error
	switch text := bytes.TrimSpace(data); {
	case len(text) == 0:
		return nil, phrase.Say("没有参数", "there are no parameters")
	case text[0] == '<':
		fields, err = fieldsOfXML(text)
	case text[0] == '{':
		fields, err = fieldsOfJSON(text)
	default:
		separator := "\n"
		if !bytes.Contains(text, []byte("\n")) {
			separator = "&"
		}
		for _, line := range strings.Split(string(text), separator) {
			name, value, found := strings.Cut(strings.TrimRight(line, "\r"), "=")
			if !found && strings.TrimSpace(line) != "" {
				return nil, phrase.Say("读不懂参数 %q：应为 名称=值",
					"the parameter %q can't be read: it ought to be name=value", shorten(line))
			}
			if found && name != "key" {
				fields = append(fields, apiv2.Field{Name: name, Value: value})
			}
		}
	}
	seen := map[string]bool{}
	for _, f := range fields {
		if seen[f.Name] {
			return nil, phrase.Say("参数 %s 出现了两次", "the parameter %s is there twice", f.Name)
		}
		seen[f.Name] = true
	}
	return fields, err
}

// fieldsOfXML reads the children of the root. Nothing outside of the document is ever looked at: a DOCTYPE is refused.
//
// Source: vendor notice "关于XML解析存在的安全问题指引" of 2018.
func fieldsOfXML(data []byte) (apiv2.Fields, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var fields apiv2.Fields
	depth := 0
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) && depth == 0 && len(fields) > 0 {
			return fields, nil
		}
		if err != nil {
			return nil, phrase.Say("不是合法的 XML（%v）", "it is not XML (%v)", err)
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, phrase.Say("XML 里有 DOCTYPE：拒绝读取，微信支付的消息没有它",
				"the XML has a DOCTYPE and is not read: WeChat Pay's messages have none")
		case xml.StartElement:
			if depth++; depth == 2 {
				fields = append(fields, apiv2.Field{Name: t.Name.Local})
			}
			if depth > 2 {
				return nil, phrase.Say("%s 里还有元素：v2 的 XML 只有一层",
					"there are elements inside of %s: API v2 has one level", fields[len(fields)-1].Name)
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 2 {
				fields[len(fields)-1].Value += string(t)
			}
		}
	}
}

func fieldsOfJSON(data []byte) (apiv2.Fields, error) {
	if !json.Valid(data) {
		return nil, phrase.Say("不是合法的 JSON", "it is not JSON")
	}
	n := grow(lex(string(data)))
	var fields apiv2.Fields
	for i, item := range n.items {
		var name string
		_ = json.Unmarshal([]byte(n.keys[i]), &name) // a key of valid JSON
		value := item.raw                            // a number stays as it is written
		switch {
		case item.open != 0:
			var b bytes.Buffer
			item.write(&b)
			value = b.String()
		case strings.HasPrefix(value, `"`):
			_ = json.Unmarshal([]byte(item.raw), &value) // likewise
		case value == "null":
			value = ""
		}
		fields = append(fields, apiv2.Field{Name: name, Value: value})
	}
	return fields, nil
}

// get returns the value of the field called name, or "".
func (f Form) get(name string) string {
	for _, x := range f.Fields {
		if x.Name == name {
			return x.Value
		}
	}
	return ""
}

// signedFields returns the fields without the signature, which has another name on the phone than elsewhere.
func (f Form) signedFields() apiv2.Fields {
	return slices.DeleteFunc(slices.Clone(f.Fields), func(x apiv2.Field) bool { return x.Name == "paySign" })
}

// given returns the signature that f carries.
func (f Form) given() string { return f.get("sign") + f.get("paySign") }

// hash computes the signature of text with key behind it, also where both are wrong, which apiv2 refuses. Without a sign
// type it is plain SHA-256.
func hash(signType apiv2.SignType, text, key string) string {
	text += key
	switch signType {
	case apiv2.MD5:
		s := md5.Sum([]byte(text))
		return strings.ToUpper(hex.EncodeToString(s[:]))
	case apiv2.HMACSHA256:
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(text)) // never fails
		return strings.ToUpper(hex.EncodeToString(h.Sum(nil)))
	}
	s := sha256.Sum256([]byte(text))
	return strings.ToUpper(hex.EncodeToString(s[:]))
}

func byName(fields apiv2.Fields) {
	slices.SortStableFunc(fields, func(a, b apiv2.Field) int { return strings.Compare(a.Name, b.Name) })
}

func joinFields(fields apiv2.Fields, sort func(apiv2.Fields), empties bool) string {
	fields = slices.Clone(fields)
	sort(fields)
	var pairs []string
	for _, f := range fields {
		if f.Name != "sign" && f.Name != "paySign" && (f.Value != "" || empties) {
			pairs = append(pairs, f.Name+"="+f.Value)
		}
	}
	return strings.Join(pairs, "&")
}

// Diagnose verifies f and finds out why it doesn't verify.
//
// A keyed hash, other than an RSA signature, does not tell whether the key or the text is wrong. What is named is proven
// all the same, since only that text with that key gives the signature.
func (f Form) Diagnose() Report {
	r := Report{Message: apiv2.Message(f.signedFields())}
	key, given := f.Key.Reveal(), strings.ToUpper(f.given())
	n := 0
	for _, x := range f.Fields {
		if x.Value != "" && x.Name != "sign" && x.Name != "paySign" {
			n++
		}
	}
	r.check("fields", Right, phrase.Say("%d 个参数，其中 %d 个参与签名", "%d parameters, %d of them signed", len(f.Fields), n))
	if given == "" {
		r.unsigned(f)
		return r
	}
	named := apiv2.SignType(f.get("sign_type") + f.get("signType"))
	expected := f.SignType
	if expected == "" {
		expected = named
	}
	byLength := map[int]apiv2.SignType{32: apiv2.MD5, 64: apiv2.HMACSHA256}[len(given)]
	if expected == "" {
		expected = byLength
	}
	if _, err := hex.DecodeString(given); err != nil || byLength == "" {
		r.check("signature", Wrong, phrase.Say("%d 个字符：apiv2.MD5 是 32 位、HMAC-SHA256 是 64 位十六进制",
			"it has %d characters: apiv2.MD5 has 32 hexadecimal digits, HMAC-SHA256 has 64", len(given)))
		r.check("key", Unknown, unjudged)
		return r
	}
	r.check("signature", Right, phrase.Say("%d 位十六进制", "%d hexadecimal digits", len(given)))
	switch {
	case expected == byLength && (named == "" || named == expected):
		r.check("type", Right, phrase.Say("%s", "%s", expected))
	default:
		if named == "" || named == expected {
			r.check("type", Wrong, phrase.Say("应为 %s，签名值却是 %s 的长度",
				"%s is expected, the signature has the length of %s", expected, byLength))
		} else {
			r.check("type", Wrong, phrase.Say("sign_type 是 %s，应为 %s", "sign_type says %s, %s is expected", named, expected))
		}
	}
	if len(key) != 32 {
		r.check("key", Wrong, phrase.Say("%d 个字符，APIv2 密钥是 32 个", "it has %d characters, an APIv2 key has 32", len(key)))
	}
	found, edits := f.search(given, byLength)
	switch {
	case found == nil:
		r.check("lines", Unknown, phrase.Say("算出的签名不同：密钥不对，或参数与签名时不同（已知的改动都对不上）",
			"the signature comes out otherwise: the key is another one, or the parameters are not those signed, and no known change leads to them"))
		return r
	case len(key) == 32:
		r.check("key", Right, phrase.Say("签名由此密钥产生", "the signature was made with this key"))
	}
	if slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Name == "type" && c.State == Wrong }) {
		r.cause(SignTypeMixed, phrase.Say("签名用的是 %s，期望的是 %s", "the signature is %s, expected is %s", byLength, other(byLength)))
	}
	for _, e := range edits {
		r.check(e.part, Wrong, e.text)
		r.cause(e.code, e.text)
	}
	if len(edits) == 0 {
		r.check("lines", Right, phrase.Say("%d 字节（不含密钥）", "%d bytes (without the key)", len(r.Message)))
	}
	r.Difference = compare(r.Message, *found, func(offset int) phrase.Text {
		start := strings.LastIndexByte(r.Message[:offset], '&') + 1
		name, _, _ := strings.Cut(r.Message[start:], "=")
		return phrase.Say(name, name)
	})
	r.Verified = len(edits) == 0 && r.clean()
	return r
}

func other(signType apiv2.SignType) apiv2.SignType {
	if signType == apiv2.MD5 {
		return apiv2.HMACSHA256
	}
	return apiv2.MD5
}

// unsigned tells about a form without a signature.
func (r *Report) unsigned(f Form) {
	switch {
	case f.get("req_info") != "":
		r.check("signature", Wrong, phrase.Say("没有 sign：这是退款通知，内容在加密的 req_info 里",
			"there is no sign: this is a refund notification, its content is the encrypted req_info"))
		r.cause(UnsignedByKind, phrase.Say("退款通知没有签名", "refund notifications are not signed"))
	case f.get("return_code") == "FAIL":
		r.check("signature", Wrong, phrase.Say("没有 sign：return_code 是 FAIL", "there is no sign: return_code is FAIL"))
		r.cause(UnsignedByKind, phrase.Say("return_code 为 FAIL 的应答没有签名", "answers with return_code FAIL are not signed"))
	default:
		r.check("signature", Wrong, phrase.Say("没有 sign：不能相信这条消息", "there is no sign: the message is not to be trusted"))
		r.cause(SignatureMissing, phrase.Say("没有 sign", "there is no sign"))
	}
}

// formVariant is a text that may have been signed.
type formVariant struct {
	fields apiv2.Fields
	sort   func(apiv2.Fields)
	empty  bool
	edits  []edit
}

// search finds the text and key that give the signature, with the fewest changes up to two. It returns nil where none
// does.
func (f Form) search(given string, byLength apiv2.SignType) (*string, []edit) {
	key := f.Key.Reveal()
	type way struct {
		sign  func(text string) string
		edits []edit
	}
	of := func(code Code, zh, en string) []edit { return []edit{{code, "key", phrase.Say(zh, en)}} }
	with := func(k string) func(string) string {
		return func(text string) string { return hash(byLength, text+"&key=", k) }
	}
	ways := []way{{with(key), nil}}
	for _, k := range []string{strings.ToUpper(key), strings.ToLower(key)} {
		if k != key {
			ways = append(ways, way{with(k), of(KeyCase, "签名时 API 密钥的大小写不同", "the API key was used in another case")})
		}
	}
	for _, k := range []string{strings.TrimSpace(key), key + "\n", key + " ", " " + key, key + "\r\n"} {
		if k != key {
			ways = append(ways, way{with(k), of(KeyBlanks, "签名时 API 密钥前后的空白或换行不同",
				"the API key was used with other blanks or line ends around it")})
		}
	}
	leftOut := of(KeyLeftOut, "签名时没有拼接 &key=API密钥", "&key= and the API key were not appended")
	if byLength == apiv2.MD5 {
		ways = append(ways, way{func(text string) string { return hash(apiv2.MD5, text, "") }, leftOut},
			way{func(text string) string { return hash(apiv2.MD5, text, key) }, of(KeyLeftOut, "签名时密钥前没有 &key=",
				"&key= is missing before the API key")})
	} else {
		ways = append(ways, way{func(text string) string {
			h := hmac.New(sha256.New, []byte(key))
			h.Write([]byte(text)) // never fails
			return strings.ToUpper(hex.EncodeToString(h.Sum(nil)))
		}, leftOut}, way{func(text string) string { return hash("", text+"&key=", key) },
			[]edit{{PlainSHA256, "type", phrase.Say("用了普通的 SHA-256，不是 HMAC", "plain SHA-256 was used, not HMAC")}}})
	}
	plain := formVariant{fields: f.Fields, sort: byName}
	singles := plain.changes()
	try := func(v formVariant, w way) (*string, []edit) {
		text := joinFields(v.fields, v.sort, v.empty)
		if hmac.Equal([]byte(w.sign(text)), []byte(given)) {
			return &text, slices.Concat(v.edits, w.edits)
		}
		return nil, nil
	}
	for changes := range 3 {
		for _, w := range ways {
			var vs []formVariant
			switch changes - len(w.edits) {
			case 0:
				vs = []formVariant{plain}
			case 1:
				vs = singles
			case 2:
				for _, v := range singles {
					vs = append(vs, v.changes()...)
				}
			}
			for _, v := range vs {
				if text, edits := try(v, w); text != nil {
					return text, edits
				}
			}
		}
	}
	return nil, nil
}

var (
	number       = regexp.MustCompile(`^[0-9]+$`)
	lowerPercent = func(s string) string { return hexCase(s, strings.ToLower) }
	clientNames  = map[string]string{ // as wx.requestPayment has them, by those of the server API
		"appid": "appId", "timestamp": "timeStamp", "noncestr": "nonceStr", "nonce_str": "nonceStr",
		"signtype": "signType", "sign_type": "signType",
	}
)

// xmlEscape writes what XML would be broken by as references.
var xmlEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// changes returns what one change makes of v.
func (v formVariant) changes() []formVariant {
	var all []formVariant
	add := func(changed formVariant, code Code, part string, text phrase.Text) {
		if changed.sort == nil {
			changed.sort = v.sort
		}
		if joinFields(changed.fields, changed.sort, changed.empty) != joinFields(v.fields, v.sort, v.empty) {
			changed.edits = append(v.edits[:len(v.edits):len(v.edits)], edit{code, part, text})
			all = append(all, changed)
		}
	}
	mapped := func(f func(apiv2.Field) (apiv2.Field, bool)) formVariant {
		changed := formVariant{sort: v.sort, empty: v.empty}
		for _, x := range v.fields {
			if x, keep := f(x); keep {
				changed.fields = append(changed.fields, x)
			}
		}
		return changed
	}
	values := func(code Code, zh, en string, f func(string) string) {
		add(mapped(func(x apiv2.Field) (apiv2.Field, bool) { return apiv2.Field{Name: x.Name, Value: f(x.Value)}, true }), code, "fields", phrase.Say(zh, en))
	}
	without := func(code Code, text phrase.Text, drop func(apiv2.Field) bool) {
		add(mapped(func(x apiv2.Field) (apiv2.Field, bool) { return x, !drop(x) }), code, "fields", text)
	}

	if !v.empty {
		add(formVariant{fields: v.fields, empty: true}, EmptyValues, "fields", phrase.Say("签名时包含了值为空的参数",
			"parameters with an empty value were signed"))
		for _, x := range v.fields { // some of them
			if x.Value == "" {
				add(formVariant{fields: slices.DeleteFunc(slices.Clone(v.fields), func(y apiv2.Field) bool { return y.Value == "" && y != x }), empty: true},
					EmptyValues, "fields", phrase.Say("签名时包含了值为空的参数 %s", "the parameter %s was signed, which is empty", x.Name))
			}
		}
	}
	without(SignTypeRemoved, phrase.Say("签名时去掉了 sign_type",
		"sign_type was left out when signing"), func(x apiv2.Field) bool { return x.Name == "sign_type" || x.Name == "signType" })
	if !slices.ContainsFunc(v.fields, func(x apiv2.Field) bool { return x.Name == "sign_type" || x.Name == "signType" }) {
		for _, t := range []apiv2.SignType{apiv2.MD5, apiv2.HMACSHA256} {
			add(formVariant{fields: append(slices.Clone(v.fields), apiv2.Field{Name: "sign_type", Value: string(t)}), empty: v.empty}, SignTypeRemoved, "fields",
				phrase.Say("签名时有 sign_type=%s，这里没有", "sign_type=%s was signed, which is not here", t))
		}
	}
	without(ZeroDropped, phrase.Say(`签名时去掉了值为 0 的参数`,
		`parameters with the value 0 were left out when signing`), func(x apiv2.Field) bool { return x.Value == "0" })
	values(LeadingZeros, "签名时数字开头的 0 被去掉了", "zeros in front of numbers were dropped when signing", stripZeros)
	for i, x := range v.fields {
		if !number.MatchString(x.Value) || x.Name == "sign" {
			continue
		}
		for zeros := 1; zeros < 10; zeros++ {
			fields := slices.Clone(v.fields)
			fields[i].Value = strings.Repeat("0", zeros) + x.Value
			add(formVariant{fields: fields, empty: v.empty}, LeadingZeros, "fields",
				phrase.Say("%s 开头少了 %d 个 0（签名时是 %s）",
					"%s lacks %d zeros in front (%s was signed)", x.Name, zeros, fields[i].Value))
		}
		fields := slices.Clone(v.fields)
		fields[i].Value = stripZeros(x.Value)
		add(formVariant{fields: fields, empty: v.empty}, LeadingZeros, "fields",
			phrase.Say("签名时 %s 开头的 0 被去掉了（%s）", "zeros in front of %s were dropped when signing (%s)", x.Name, fields[i].Value))
	}
	const encoded, encodedEN = "签名时值被 URL 编码了", "the values were URL-encoded when signing"
	values(URLEncodedValue, encoded, encodedEN, url.QueryEscape)
	values(URLEncodedValue, encoded, encodedEN, func(s string) string { return lowerPercent(url.QueryEscape(s)) })
	values(URLEncodedValue, encoded, encodedEN, func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") })
	values(URLEncodedValue, encoded, encodedEN, func(s string) string { return lowerPercent(strings.ReplaceAll(url.QueryEscape(s), "+", "%20")) })
	values(URLEncodedValue, encoded, encodedEN, url.PathEscape)
	values(URLEncodedValue, "这里的值被 URL 编码了，签名时没有",
		"the values here are URL-encoded, those signed were not", func(s string) string {
			if d, err := url.QueryUnescape(s); err == nil && strings.Contains(s, "%") {
				return d
			}
			return s
		})
	const escaped, escapedEN = "签名时值里的 & < > 被 XML 转义了", "& < > in the values were escaped for XML when signing"
	values(XMLEscapedValue, escaped, escapedEN, xmlEscape.Replace)
	values(XMLEscapedValue, escaped, escapedEN, html.EscapeString)
	values(XMLEscapedValue, escaped, escapedEN, func(s string) string {
		return strings.NewReplacer("&#34;", "&quot;", "&#39;", "&apos;").Replace(html.EscapeString(s))
	})
	values(XMLEscapedValue, "这里的值被转义了两次", "the values here were escaped twice", html.UnescapeString)
	values(XMLEscapedValue, "签名时值里带着 CDATA 标记", "the CDATA marks were signed with the values", func(s string) string {
		if s == "" || number.MatchString(s) {
			return s
		}
		return "<![CDATA[" + s + "]]>"
	})
	values(ValueBlanks, "签名时值首尾的空白被去掉了", "blanks around values were dropped when signing", strings.TrimSpace)
	without(FieldsLeftOut, phrase.Say("签名时没有包含 return_code 和 return_msg",
		"return_code and return_msg were left out when signing"),
		func(x apiv2.Field) bool { return x.Name == "return_code" || x.Name == "return_msg" })
	without(FieldsLeftOut, phrase.Say("签名时没有包含代金券参数（coupon_…）",
		"the parameters of coupons (coupon_…) were left out when signing"),
		func(x apiv2.Field) bool { return strings.HasPrefix(x.Name, "coupon_") })
	for _, gone := range v.fields {
		without(FieldsLeftOut, phrase.Say("签名时没有包含 %s",
			"%s was left out when signing", gone.Name), func(x apiv2.Field) bool { return x.Name == gone.Name })
	}
	names := func(f func(string) string) {
		text := phrase.Say("签名时参数名的大小写或写法不同", "names were spelled otherwise when signing")
		add(mapped(func(x apiv2.Field) (apiv2.Field, bool) { return apiv2.Field{Name: f(x.Name), Value: x.Value}, true }), NameCase, "fields", text)
		for _, one := range v.fields {
			add(mapped(func(x apiv2.Field) (apiv2.Field, bool) {
				if x.Name == one.Name {
					x.Name = f(x.Name)
				}
				return x, true
			}), NameCase, "fields", phrase.Say("签名时参数 %s 写作 %s", "%s was spelled %s when signing", one.Name, f(one.Name)))
		}
	}
	names(strings.ToLower)
	names(func(s string) string { return cmp.Or(clientNames[strings.ToLower(s)], s) })
	order := func(sort func(apiv2.Fields), zh, en string) {
		add(formVariant{fields: v.fields, sort: sort, empty: v.empty}, Unsorted, "lines", phrase.Say(zh, en))
	}
	order(func(apiv2.Fields) {}, "签名时参数没有排序", "the parameters were not sorted when signing")
	order(func(f apiv2.Fields) {
		slices.SortStableFunc(f, func(a, b apiv2.Field) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	}, "签名时排序没有区分大小写", "the parameters were sorted without regard to case when signing")
	return all
}

func stripZeros(s string) string {
	if number.MatchString(s) {
		if t := strings.TrimLeft(s, "0"); t != "" {
			return t
		}
		return "0"
	}
	return s
}
