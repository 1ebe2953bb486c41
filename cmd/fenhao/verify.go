package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/fenhao-pay/fenhao/internal/diagnose"
	"github.com/fenhao-pay/fenhao/internal/settings"
	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// VerifyCmd is `fenhao verify`.
type VerifyCmd struct {
	V3      bool     `help:"${v3}" name:"v3"`
	V2      bool     `help:"${v2}" name:"v2"`
	Headers string   `help:"${headers}" placeholder:"FILE"`
	Body    string   `help:"${body}" placeholder:"FILE"`
	Key     []string `help:"${verify_key}" placeholder:"FILE" sep:"none"`
	KeyID   string   `help:"${key_id}" name:"key-id" placeholder:"ID"`
	At      string   `help:"${at}" placeholder:"TIME"`

	Request       bool   `help:"${request}"`
	Method        string `help:"${method}" placeholder:"METHOD"`
	URL           string `help:"${url}" name:"url" placeholder:"/v3/…"`
	Authorization string `help:"${auth}" placeholder:"VALUE"`
	Answer        string `help:"${answer}" placeholder:"FILE"`

	XML          string `help:"${xml}" name:"xml" placeholder:"FILE"`
	APIv2KeyFile string `help:"${v2_key}" name:"apiv2-key-file" placeholder:"FILE"`
	SignType     string `help:"${verify_sort}" placeholder:"TYPE"`

	Config   string `help:"${keys_of}" placeholder:"FILE"`
	Merchant string `help:"${merchant}" placeholder:"ID"`
	JSON     bool   `help:"${json}" name:"json"`
}

// Validate finds flags that don't go together.
func (c *VerifyCmd) Validate() error {
	switch {
	case c.V2 && c.V3:
		return bothVersions
	case c.V2 && c.XML == "":
		return failure("--v2 需要 --xml FILE", "--v2 takes --xml FILE")
	case c.V2 && c.Request:
		return failure("--v2 不需要 --request：请求、应答和通知的签名方法相同",
			"--v2 goes without --request: requests, answers and notifications are signed alike")
	case c.SignType != "" && !knownSignType(c.SignType):
		return unknownSignType(c.SignType)
	case !c.V2 && c.XML != "":
		return failure("--xml 用于 --v2", "--xml goes with --v2")
	case c.Answer != "" && !c.Request:
		return failure("--answer 用于 --request", "--answer goes with --request")
	case !c.V2 && !c.Request && c.Headers == "":
		return failure("缺少 --headers FILE：含 Wechatpay-* 的 HTTP 头",
			"--headers FILE is missing: the HTTP headers with Wechatpay-*")
	case c.Request && c.Headers == "" && c.Authorization == "":
		return failure("--request 需要 --authorization 或 --headers", "--request takes --authorization or --headers")
	}
	if _, err := c.at(); err != nil {
		return err
	}
	return stdinTwice(append([]string{c.Headers, c.Body, c.XML, c.APIv2KeyFile, c.Answer}, c.Key...)...)
}

// at returns when the message arrived.
func (c *VerifyCmd) at() (time.Time, error) {
	if c.At == "" {
		return time.Now(), nil
	}
	if n, err := strconv.ParseInt(c.At, 10, 64); err == nil && len(c.At) <= 11 {
		return time.Unix(n, 0), nil
	}
	t, err := time.Parse(time.RFC3339, c.At)
	if err != nil {
		return t, failure("--at %q 不是时间：用 RFC 3339（2026-11-20T08:00:00+08:00）或 Unix 秒",
			"--at %q is no time: use RFC 3339 (2026-11-20T08:00:00+08:00) or Unix seconds", c.At)
	}
	return t, nil
}

// errNotVerified ends the command with exit code 1, after its report.
var errNotVerified = failure("验签未通过", "the signature does not verify")

// Run verifies and prints the report.
func (c *VerifyCmd) Run(e *env) error {
	var report diagnose.Report
	var compared *diagnose.Comparison
	var err error
	switch {
	case c.V2:
		report, err = c.verifyV2(e)
	case c.Request:
		report, compared, err = c.verifyRequest(e)
	default:
		report, err = c.verifyMessage(e)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(e.stdout, reportJSON(e, report, compared))
	} else {
		err = printReport(e, report, compared)
	}
	if err == nil && !report.Verified {
		err = errNotVerified
	}
	return err
}

func (c *VerifyCmd) verifyMessage(e *env) (diagnose.Report, error) {
	head, body, err := c.read(e)
	if err != nil {
		return diagnose.Report{}, err
	}
	keys, err := c.keys(e, func(m settings.Merchant) ([]diagnose.Key, error) {
		if m.PublicKey == nil {
			return nil, failure("配置里的商户 %s 没有 public_key_file：用 --key 给出平台证书",
				"merchant %s of the configuration has no public_key_file: give the platform certificate with --key", m.ID)
		}
		return []diagnose.Key{
			diagnose.PlatformKey(m.PublicKeyFile, m.PublicKey, m.PublicKeyID),
			diagnose.MerchantKey(m.PrivateKeyFile, &m.PrivateKey.PublicKey, m.CertificateSerial, m.ID),
		}, nil
	})
	if err != nil {
		return diagnose.Report{}, err
	}
	at, _ := c.at() // Validate has seen it
	return diagnose.Message{Header: head.Header, Body: body, Keys: keys, At: at}.Diagnose(), nil
}

func (c *VerifyCmd) verifyRequest(e *env) (diagnose.Report, *diagnose.Comparison, error) {
	none := diagnose.Report{}
	head, body, err := c.read(e)
	if err != nil {
		return none, nil, err
	}
	keys, err := c.keys(e, func(m settings.Merchant) ([]diagnose.Key, error) {
		return []diagnose.Key{diagnose.MerchantKey(m.PrivateKeyFile, &m.PrivateKey.PublicKey, m.CertificateSerial, m.ID)}, nil
	})
	if err != nil {
		return none, nil, err
	}
	at, _ := c.at() // Validate has seen it
	q := diagnose.Request{
		Method: cmp.Or(c.Method, head.Method), Target: cmp.Or(c.URL, head.Target), Body: body, Keys: keys, At: at,
		Authorization: cmp.Or(c.Authorization, head.Header.Get("Authorization")), ContentType: head.Header.Get("Content-Type"),
	}
	q.Authorization = strings.TrimSpace(strings.TrimPrefix(q.Authorization, "Authorization:"))
	if q.Method == "" {
		if q.Method = "GET"; len(body) > 0 {
			q.Method = "POST"
		}
	}
	if q.Target == "" {
		return none, nil, failure("缺少 --url：实际发送的路径和查询串", "--url is missing: path and query as sent")
	}
	if q.Target, err = e.target(q.Target); err != nil {
		return none, nil, err
	}
	report := q.Diagnose()
	if c.Answer == "" {
		return report, nil, nil
	}
	data, err := e.readFile(c.Answer)
	if err != nil {
		return none, nil, err
	}
	answer, err := diagnose.ParseAnswer(data)
	if err != nil {
		return none, nil, err
	}
	compared := answer.Compare(report.Message)
	return report, &compared, nil
}

// read returns the headers, and the body of its own file or of what follows the headers.
func (c *VerifyCmd) read(e *env) (head diagnose.Head, body []byte, err error) {
	head.Header = http.Header{}
	followed := false
	if c.Headers != "" {
		data, err := e.readFile(c.Headers)
		if err != nil {
			return head, nil, err
		}
		if head, body, err = diagnose.ParseHead(data); err != nil {
			return head, nil, about(c.Headers, err)
		}
		followed = body != nil
	}
	if c.Body != "" {
		body, err = e.readFile(c.Body)
	} else if !followed && !c.Request {
		e.note("没有 --body：按空正文处理", "there is no --body: it is taken as empty")
	}
	return head, body, err
}

// keys reads the files of --key, else takes the keys of the configured merchant.
func (c *VerifyCmd) keys(e *env, configured func(settings.Merchant) ([]diagnose.Key, error)) ([]diagnose.Key, error) {
	if len(c.Key) == 0 {
		m, err := merchantOf(e, c.Config, c.Merchant)
		if err != nil {
			return nil, err
		}
		return configured(m)
	}
	var keys []diagnose.Key
	for _, file := range c.Key {
		data, err := e.readFile(file)
		if err != nil {
			return nil, err
		}
		k, err := diagnose.ParseKey(file, data, c.KeyID)
		if err != nil {
			return nil, about(file, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func (c *VerifyCmd) verifyV2(e *env) (diagnose.Report, error) {
	data, err := e.readFile(c.XML)
	if err != nil {
		return diagnose.Report{}, err
	}
	fields, err := diagnose.ParseFields(data)
	if err != nil {
		return diagnose.Report{}, about(c.XML, err)
	}
	key, err := apiv2Key(e, c.APIv2KeyFile, c.Config, c.Merchant)
	if err != nil {
		return diagnose.Report{}, err
	}
	return diagnose.Form{Fields: fields, Key: key, SignType: apiv2.SignType(c.SignType)}.Diagnose(), nil
}

var marks = map[diagnose.State]string{diagnose.Right: "✔", diagnose.Wrong: "✖", diagnose.Unknown: "–"}

// printReport prints a line a check, then each mistake with its remedy.
func printReport(e *env, r diagnose.Report, compared *diagnose.Comparison) error {
	var b strings.Builder
	switch {
	case r.Verified:
		b.WriteString(e.text("✔ 验签通过\n", "✔ The signature verifies\n"))
	case len(r.Causes) > 0:
		b.WriteString(e.text("✖ 验签不通过。排查结果：\n", "✖ The signature does not verify. What was found:\n"))
	default:
		b.WriteString(e.text("✖ 验签不通过，不属于已知的错误。排查结果：\n",
			"✖ The signature does not verify, by none of the known mistakes. What was found:\n"))
	}
	wide := 0
	for _, c := range r.Checks {
		wide = max(wide, columns(c.Title.In(e.lang)))
	}
	for _, c := range r.Checks {
		title := c.Title.In(e.lang)
		fmt.Fprintf(&b, "   %s %s%s  %s\n", marks[c.State], title, strings.Repeat(" ", wide-columns(title)), c.Text.In(e.lang))
	}
	for _, cause := range r.Causes {
		fmt.Fprintf(&b, "\n✖ %s  [%s]\n   → %s\n", cause.Text.In(e.lang), cause.Code, cause.Remedy.In(e.lang))
	}
	if d := r.Difference; d != nil {
		fmt.Fprintf(&b, e.text("\n第一处不同：签名串第 %d 字节（%s）\n   手上的  %s\n   签名的  %s\n",
			"\nFirst difference: byte %d of the signed text (%s)\n   here    %s\n   signed  %s\n"),
			d.Offset, d.Line.In(e.lang), d.Here, d.Signed)
	}
	if !r.Verified && r.Message != "" {
		fmt.Fprintf(&b, e.text("\n按手上的数据，签名串应为（%d 字节）：\n%s\n",
			"\nFrom what is at hand, the signed text ought to be (%d bytes):\n%s\n"),
			len(r.Message), diagnose.Visible(r.Message))
	}
	if c := compared; c != nil {
		mark := "✖"
		if c.Same {
			mark = "✔"
		}
		fmt.Fprintf(&b, e.text("\n与微信支付的应答比较：\n%s %s\n",
			"\nCompared with WeChat Pay's answer:\n%s %s\n"), mark, c.Text.In(e.lang))
		if d := c.Difference; d != nil {
			fmt.Fprintf(&b, e.text("   这里      %s\n   微信支付  %s\n",
				"   here        %s\n   WeChat Pay  %s\n"), d.Here, d.Signed)
		}
		fmt.Fprintf(&b, "   → %s\n", c.Remedy.In(e.lang))
	}
	_, err := io.WriteString(e.stdout, b.String())
	return err
}

// columns is how wide s is on a terminal, where Chinese characters take two.
func columns(s string) int {
	n := 0
	for _, r := range s {
		if n++; unicode.Is(unicode.Han, r) {
			n++
		}
	}
	return n
}

// The JSON of a report. Names and codes are stable, texts are in the user's language.
type (
	checkJSON struct {
		Name  string `json:"name"`
		State string `json:"state"`
		Text  string `json:"text"`
	}
	causeJSON struct {
		Code   string `json:"code"`
		Text   string `json:"text"`
		Remedy string `json:"remedy"`
	}
	differenceJSON struct {
		Offset int    `json:"offset"`
		Here   string `json:"here"`
		Signed string `json:"signed"`
	}
	answerJSON struct {
		Same        bool            `json:"same"`
		Length      int             `json:"message_length"`
		TheirLength int             `json:"sign_message_length"`
		Difference  *differenceJSON `json:"difference"`
		Text        string          `json:"text"`
		Remedy      string          `json:"remedy"`
	}
	verifiedJSON struct {
		Verified   bool            `json:"verified"`
		Checks     []checkJSON     `json:"checks"`
		Causes     []causeJSON     `json:"causes"`
		Message    string          `json:"message"`
		Length     int             `json:"message_length"`
		Difference *differenceJSON `json:"difference"`
		Answer     *answerJSON     `json:"answer,omitempty"`
	}
)

func reportJSON(e *env, r diagnose.Report, compared *diagnose.Comparison) verifiedJSON {
	v := verifiedJSON{Verified: r.Verified, Checks: []checkJSON{}, Causes: []causeJSON{}, Message: r.Message, Length: len(r.Message)}
	for _, c := range r.Checks {
		v.Checks = append(v.Checks, checkJSON{c.Name, string(c.State), c.Text.In(e.lang)})
	}
	for _, c := range r.Causes {
		v.Causes = append(v.Causes, causeJSON{string(c.Code), c.Text.In(e.lang), c.Remedy.In(e.lang)})
	}
	difference := func(d *diagnose.Difference) *differenceJSON {
		if d == nil {
			return nil
		}
		return &differenceJSON{d.Offset, d.Here, d.Signed}
	}
	v.Difference = difference(r.Difference)
	if c := compared; c != nil {
		v.Answer = &answerJSON{Same: c.Same, Length: c.OurLength, TheirLength: c.TheirLength, Difference: difference(c.Difference),
			Text: c.Text.In(e.lang), Remedy: c.Remedy.In(e.lang)}
	}
	return v
}
