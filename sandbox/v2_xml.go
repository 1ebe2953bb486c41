package sandbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// flat is a message of API v2: parameters without nesting. Each name comes once.
type flat []parameter

type parameter struct{ name, value string }

// get is the value of that name; "" also where there is none, since v2 makes no difference.
func (f flat) get(name string) string {
	i := slices.IndexFunc(f, func(p parameter) bool { return p.name == name })
	if i < 0 {
		return ""
	}
	return f[i].value
}

// maxParameters is how many parameters a message may have: no call of this API comes close.
const maxParameters = 200

var (
	errNotUTF8 = errors.New("the message is no UTF-8")
	errNotFlat = errors.New("the message is no flat XML")
)

// parseXML reads a message of v2: a document <xml> whose elements have text, as it stands or in CDATA, and nothing else.
// Blanks between the elements don't matter; those inside of a value belong to it. Attributes, comments, name spaces,
// entities beyond XML's own five, document types, elements inside of elements and names that come twice are no such
// message: errNotFlat. What is no UTF-8 is errNotUTF8.
//
// Source: v2 manual, "协议规则", "支付接口XXE漏洞修复指引".
func parseXML(b []byte) (flat, error) {
	if !utf8.Valid(b) {
		return nil, errNotUTF8
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	var f flat
	var value strings.Builder
	depth, closed := 0, false
	for first := true; ; first = false {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && closed {
			return f, nil
		}
		if err != nil {
			return nil, errNotFlat
		}
		switch t := token.(type) {
		case xml.ProcInst:
			if !first || t.Target != "xml" {
				return nil, errNotFlat
			}
		case xml.CharData:
			switch {
			case depth == 2:
				value.Write(t)
			case len(bytes.Trim(t, " \t\r\n")) > 0:
				return nil, errNotFlat
			}
		case xml.StartElement:
			depth++
			plain := t.Name.Space == "" && len(t.Attr) == 0
			root := depth == 1 && t.Name.Local == "xml" && !closed
			leaf := depth == 2 && len(f) < maxParameters &&
				!slices.ContainsFunc(f, func(p parameter) bool { return p.name == t.Name.Local })
			if !plain || !root && !leaf {
				return nil, errNotFlat
			}
			if leaf {
				value.Reset()
				f = append(f, parameter{name: t.Name.Local})
			}
		case xml.EndElement:
			if depth == 2 {
				f[len(f)-1].value = value.String()
			}
			depth--
			closed = depth == 0
		default: // comments and directives
			return nil, errNotFlat
		}
	}
}

// xml writes the message under the root, as WeChat Pay does: texts in CDATA, and numbers bare where the root is xml.
func (f flat) xml(root string) []byte {
	var b bytes.Buffer
	b.WriteString("<" + root + ">\n")
	for _, p := range f {
		b.WriteString("<" + p.name + ">")
		if root == "xml" && isNumber(p.name) {
			b.WriteString(p.value)
		} else {
			b.WriteString("<![CDATA[" + strings.ReplaceAll(p.value, "]]>", "]]]]><![CDATA[>") + "]]>")
		}
		b.WriteString("</" + p.name + ">\n")
	}
	b.WriteString("</" + root + ">")
	return b.Bytes()
}

// isNumber tells whether a parameter of an answer is a number: amounts and counts.
func isNumber(name string) bool {
	name = strings.TrimRight(name, "_0123456789")
	return strings.HasSuffix(name, "_fee") || strings.HasSuffix(name, "_count")
}

// shuffled is f in a random order: nobody may rely on the order.
func (f flat) shuffled(r *random) flat {
	f = slices.Clone(f)
	r.shuffle("order", len(f), func(i, j int) { f[i], f[j] = f[j], f[i] })
	return f
}

// The algorithms of sign_type.
const (
	signMD5  = "MD5" // where no sign_type is given
	signHMAC = "HMAC-SHA256"
)

// message is the text whose hash is the signature, up to the key: all parameters but sign that have a value, by name in
// the order of bytes, with their values as they are, without any escapes.
//
// Source: v2 manual, "安全规范".
func (f flat) message() string {
	f = slices.DeleteFunc(slices.Clone(f), func(p parameter) bool { return p.name == "sign" || p.value == "" })
	slices.SortFunc(f, func(a, b parameter) int { return strings.Compare(a.name, b.name) })
	pairs := make([]string, len(f))
	for i, p := range f {
		pairs[i] = p.name + "=" + p.value
	}
	return strings.Join(pairs, "&") + "&key="
}

// sign is the signature of the message: upper-case hexadecimal.
func (f flat) sign(key, algorithm string) string {
	text := []byte(f.message() + key)
	if algorithm == signHMAC {
		h := hmac.New(sha256.New, []byte(key))
		h.Write(text)
		return strings.ToUpper(hex.EncodeToString(h.Sum(nil)))
	}
	sum := md5.Sum(text)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// signed tells whether the text is the signature of the message.
func (f flat) signed(key, algorithm, signature string) bool {
	return subtle.ConstantTimeCompare([]byte(f.sign(key, algorithm)), []byte(signature)) == 1
}

// mangledHex makes a wrong signature of a right one: of the same length and alphabet, or, as a probe, with the probe's
// beginning.
func mangledHex(signature string, probe bool) string {
	if probe {
		return signTest + signature[len(signTest):]
	}
	return strings.Map(func(r rune) rune { return rune("FEDCBA9876543210"[strings.IndexRune("0123456789ABCDEF", r)]) }, signature)
}
