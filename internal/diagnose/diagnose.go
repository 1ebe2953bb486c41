// Package diagnose finds out why a signature of WeChat Pay's does not verify, and says it in Chinese and English.
//
//	report := diagnose.Message{Header: header, Body: body, Keys: keys, At: time.Now()}.Diagnose()
//
// It works backwards. An RSA signature, opened with the public key, yields the digest of the text that was signed; so it
// is certain whether this key made it, and any guess at that text can be checked at the price of one hash. The package
// then makes of the text at hand the texts that frameworks, proxies and editors make of it (a line feed more, JSON
// encoded anew, a query left out, …), alone and together, until one has that digest. What it names is therefore proven:
// a [Cause] is a change that makes the signature verify. Where nothing fits, it names nothing. API v2 is treated alike,
// with the API key.
//
// [Message] is an answer or a notification of WeChat Pay's, [Request] a merchant's request, [Form] anything of API v2.
// [Answer] is what WeChat Pay says of a request that it refused; [OpenResource] and [OpenRefund] decrypt and say which
// of key, nonce, Base64 and text is wrong.
//
// The package computes and does nothing else: time is an argument, no key or secret is part of a report. It is not
// public, so that causes and sentences may change with every release; programs verify with wechatpay and wechatpay/apiv2.
package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// State is what came of a check.
type State string

const (
	Right   State = "right"   // it is as it must be
	Wrong   State = "wrong"   // it keeps the signature from being accepted
	Unknown State = "unknown" // it could not be judged
)

// Check is one line of a report.
type Check struct {
	Name  string      // stable, such as "timestamp"
	Title phrase.Text // the name for people
	State State
	Text  phrase.Text
}

// Cause is a mistake that was found.
type Cause struct {
	Code   Code
	Text   phrase.Text // what differs
	Remedy phrase.Text // what to do
}

// Difference is the first place where the text at hand and the one that was signed part.
type Difference struct {
	Offset int         // bytes from the beginning of the whole text, from 0
	Line   phrase.Text // the part of the text that it falls into
	Here   string      // the text at hand around it, quoted as in Go
	Signed string      // the signed text around it, likewise
}

// Report is what was found out about one signature.
type Report struct {
	Verified   bool        // WeChat Pay, or an SDK, would accept the message as it is
	Checks     []Check     // in the order in which a verifier makes them
	Causes     []Cause     // none where Verified, or where the mistake is none of those known
	Message    string      // the text that the signature ought to be of; for API v2 without the key
	Difference *Difference // nil where the signed text is the one at hand, or is not known
}

// check adds a line.
func (r *Report) check(name string, state State, text phrase.Text) {
	r.Checks = append(r.Checks, Check{name, titles[name], state, text})
}

// cause adds a mistake, once.
func (r *Report) cause(code Code, text phrase.Text) {
	if !slices.ContainsFunc(r.Causes, func(c Cause) bool { return c.Code == code }) {
		r.Causes = append(r.Causes, Cause{code, text, remedies[code]})
	}
}

// clean reports whether nothing was found to be wrong.
func (r *Report) clean() bool {
	return len(r.Causes) == 0 && !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.State == Wrong })
}

// titles are the checks' names for people.
var titles = map[string]phrase.Text{
	"authorization": {ZH: "Authorization", EN: "Authorization"},
	"headers":       {ZH: "请求头", EN: "headers"},
	"timestamp":     {ZH: "时间戳", EN: "timestamp"},
	"serial":        {ZH: "序列号", EN: "serial"},
	"nonce":         {ZH: "随机串", EN: "nonce"},
	"type":          {ZH: "签名类型", EN: "signature type"},
	"signature":     {ZH: "签名值", EN: "signature"},
	"key":           {ZH: "密钥", EN: "key"},
	"mchid":         {ZH: "商户号", EN: "mchid"},
	"method":        {ZH: "方法", EN: "method"},
	"url":           {ZH: "URL", EN: "URL"},
	"body":          {ZH: "正文", EN: "body"},
	"lines":         {ZH: "拼接", EN: "lines"},
	"fields":        {ZH: "参数", EN: "fields"},
}

// compare returns where here and signed part first, or nil. part names what lies at an offset of here.
func compare(here, signed string, part func(offset int) phrase.Text) *Difference {
	n := 0
	for n < len(here) && n < len(signed) && here[n] == signed[n] {
		n++
	}
	if n == len(here) && n == len(signed) {
		return nil
	}
	return &Difference{Offset: n, Line: part(n), Here: around(here, n), Signed: around(signed, n)}
}

// around quotes what stands at offset n of s, with a little before and after it.
func around(s string, n int) string {
	const before, after = 16, 24
	from, to := max(0, n-before), min(len(s), n+after)
	for from > 0 && from > n-before-4 && s[from]&0xC0 == 0x80 { // not inside of a character
		from--
	}
	for to < len(s) && to < n+after+4 && s[to]&0xC0 == 0x80 {
		to++
	}
	q := quote(s[from:to])
	if from > 0 {
		q = "…" + q
	}
	if to < len(s) {
		q += "…"
	}
	return q
}

// quote shows line ends and control characters as escapes and keeps quotation marks and slashes as they are.
func quote(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		q := fmt.Sprintf("%+q", s[:1])
		r, size := decodeRune(s)
		switch {
		case size == 1 && (s[0] < ' ' || s[0] >= 0x7f):
			b.WriteString(q[1 : len(q)-1])
		case r == '\ufeff':
			b.WriteString(`\ufeff`)
		default:
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// Visible shows a signed text as a person must see it: each line feed as \n and a line break, each carriage return as
// \r, other control characters and a byte order mark as escapes.
func Visible(s string) string {
	var b strings.Builder
	for {
		line, rest, found := strings.Cut(s, "\n")
		b.WriteString(quote(line))
		if !found {
			return b.String()
		}
		b.WriteString(`\n`)
		if rest != "" {
			b.WriteString("\n")
		}
		s = rest
	}
}
