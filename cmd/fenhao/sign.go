package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/diagnose"
	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/internal/settings"
	"github.com/fenhao-pay/fenhao/wechatpay"
	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// SignCmd is `fenhao sign`.
type SignCmd struct {
	V3     bool   `help:"${v3}" name:"v3"`
	V2     bool   `help:"${v2}" name:"v2"`
	Pay    bool   `help:"${pay}"`
	Method string `help:"${method}" placeholder:"METHOD"`
	URL    string `help:"${url}" name:"url" placeholder:"/v3/…"`
	Body   string `help:"${body}" placeholder:"FILE"`

	AppID    string `help:"${pay_app}" name:"app-id" placeholder:"wx…"`
	PrepayID string `help:"${prepay}" name:"prepay-id" placeholder:"wx…"`

	Params   string `help:"${params}" placeholder:"FILE"`
	SignType string `help:"${sign_sort}" placeholder:"TYPE"`

	Timestamp int64  `help:"${stamp}" placeholder:"SECONDS"`
	Nonce     string `help:"${nonce}" placeholder:"TEXT"`

	Config       string `help:"${keys_of}" placeholder:"FILE"`
	Merchant     string `help:"${merchant}" placeholder:"ID"`
	Key          string `help:"${sign_key}" placeholder:"FILE"`
	Serial       string `help:"${serial}" placeholder:"HEX"`
	MchID        string `help:"${mchid}" name:"mchid" placeholder:"ID"`
	APIv2KeyFile string `help:"${v2_key}" name:"apiv2-key-file" placeholder:"FILE"`

	JSON bool `help:"${json}" name:"json"`
}

// Validate finds flags that don't go together.
func (c *SignCmd) Validate() error {
	switch {
	case c.V2 && c.V3:
		return bothVersions
	case c.SignType != "" && !knownSignType(c.SignType):
		return unknownSignType(c.SignType)
	case c.Timestamp < 0 || c.Timestamp > 99_999_999_999:
		return failure("--timestamp %d 不是 Unix 秒（毫秒要除以 1000）",
			"--timestamp %d is not in Unix seconds (divide milliseconds by 1000)", c.Timestamp)
	case c.Pay && (c.AppID == "" || c.PrepayID == ""):
		return failure("--pay 需要 --app-id 和 --prepay-id", "--pay takes --app-id and --prepay-id")
	case c.Pay:
	case c.V2 && c.Params == "":
		return failure("--v2 需要 --params FILE（或 --pay）", "--v2 takes --params FILE (or --pay)")
	case c.V2:
	case c.URL == "":
		return failure("缺少 --url：路径和查询串，如 /v3/pay/transactions/jsapi",
			"--url is missing: path and query, such as /v3/pay/transactions/jsapi")
	}
	if c.Key != "" && !c.V2 && !c.Pay && (c.Serial == "" || c.MchID == "") {
		return failure("--key 要和 --serial、--mchid 一起给（或用 --config）",
			"--key goes with --serial and --mchid (or use --config)")
	}
	return nil
}

var bothVersions = failure("--v2 和 --v3 只能给一个", "give either --v2 or --v3")

func knownSignType(t string) bool { return t == string(apiv2.MD5) || t == string(apiv2.HMACSHA256) }

func unknownSignType(t string) error {
	return failure("--sign-type 只能是 MD5 或 HMAC-SHA256，不是 %q", "--sign-type is MD5 or HMAC-SHA256, not %q", t)
}

// signed is what the command prints.
type signed struct {
	Message    string            `json:"message"`        // for v2 with the key as [key]
	Length     int               `json:"message_length"` // bytes, with the key itself
	Signature  string            `json:"signature"`
	SignType   string            `json:"sign_type"`
	Header     string            `json:"authorization,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
	OpenSSL    string            `json:"openssl,omitempty"`
}

// Run signs and prints. It reads files only.
func (c *SignCmd) Run(e *env) error {
	at, nonce := time.Now(), c.Nonce
	if c.Timestamp != 0 {
		at = time.Unix(c.Timestamp, 0)
	}
	if nonce == "" {
		nonce = (rand.Text() + rand.Text())[:32]
	}
	var s signed
	var err error
	switch {
	case c.V2:
		s, err = c.signV2(e, at, nonce)
	case c.Pay:
		s, err = c.signPay(e, at, nonce)
	default:
		s, err = c.signRequest(e, at, nonce)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, s)
	}
	return s.print(e)
}

func (s signed) print(e *env) error {
	fmt.Fprintf(e.stdout, e.text("签名串（%d 字节；\\n 是一个换行字节 0x0A）：\n%s\n",
		"Signed text (%d bytes; \\n is one line feed, 0x0A):\n%s\n"),
		s.Length, diagnose.Visible(s.Message))
	fmt.Fprintf(e.stdout, e.text("\n签名（%s）：\n%s\n", "\nSignature (%s):\n%s\n"), s.SignType, s.Signature)
	if s.Header != "" {
		fmt.Fprintf(e.stdout, "\nAuthorization: %s\n", s.Header)
	}
	if s.Parameters != nil {
		fmt.Fprintln(e.stdout, "\nwx.requestPayment:")
		if err := printJSON(e.stdout, s.Parameters); err != nil {
			return err
		}
	}
	if s.OpenSSL != "" {
		fmt.Fprintf(e.stdout, e.text("\n用 openssl 得到同样的签名：\n%s\n", "\nThe same with openssl:\n%s\n"), s.OpenSSL)
	}
	return nil
}

func (c *SignCmd) signRequest(e *env, at time.Time, nonce string) (signed, error) {
	var body []byte
	var err error
	if c.Body != "" {
		if body, err = e.readFile(c.Body); err != nil {
			return signed{}, err
		}
	}
	method := c.Method
	if method == "" {
		if method = "GET"; c.Body != "" {
			method = "POST"
		}
	}
	if upper := strings.ToUpper(method); upper != method {
		e.note("方法要大写，按 %s 签名", "the method is signed in upper case, as %s", upper)
		method = upper
	}
	target, err := e.target(c.URL)
	if err != nil {
		return signed{}, err
	}
	if method == "GET" && len(body) > 0 {
		e.note("GET 通常没有正文：签名的正文必须就是发送的正文", "a GET usually has no body: what is signed must be what is sent")
	}
	k, err := c.credentials(e)
	if err != nil {
		return signed{}, err
	}
	header, err := k.Authorization(method, target, body, at, nonce)
	if err != nil {
		return signed{}, err
	}
	message := wechatpay.RequestMessage(method, target, body, at, nonce)
	signature, err := wechatpay.SignMessage(k.PrivateKey, message)
	if err != nil {
		return signed{}, err
	}
	head := []string{method, target, strconv.FormatInt(at.Unix(), 10), nonce}
	return signed{Message: string(message), Length: len(message), Signature: signature, SignType: wechatpay.Scheme, Header: header,
		OpenSSL: openssl(head, c.Body, body, k.file)}, nil
}

// openssl returns the shell line that makes the same signature: the lines of head, each ended, then the body and its
// line feed.
func openssl(head []string, file string, body []byte, key string) string {
	var quoted []string
	for _, line := range head {
		quoted = append(quoted, shellQuote(line))
	}
	add := ""
	switch {
	case file == "-":
		add = "printf %s " + shellQuote(string(body)) + "; "
	case file != "":
		add = "cat " + shellQuote(file) + "; "
	}
	return fmt.Sprintf(`{ printf '%%s\n' %s; %secho; } | openssl dgst -sha256 -sign %s | openssl base64 -A`,
		strings.Join(quoted, " "), add, shellQuote(key))
}

// shellQuote makes one word of s for a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (c *SignCmd) signPay(e *env, at time.Time, nonce string) (signed, error) {
	k, err := c.credentials(e)
	if err != nil {
		return signed{}, err
	}
	p, err := k.PayParameters(c.AppID, prepayID(c.PrepayID), at, nonce)
	if err != nil {
		return signed{}, err
	}
	message := wechatpay.PayMessage(p.AppID, at, nonce, p.Package)
	line := fmt.Sprintf(`printf '%%s\n' %s %s %s %s | openssl dgst -sha256 -sign %s | openssl base64 -A`,
		shellQuote(p.AppID), shellQuote(p.TimeStamp), shellQuote(nonce), shellQuote(p.Package), shellQuote(k.file))
	return signed{Message: string(message), Length: len(message), Signature: p.PaySign, SignType: p.SignType, OpenSSL: line,
		Parameters: map[string]string{"timeStamp": p.TimeStamp, "nonceStr": p.NonceStr, "package": p.Package, "signType": p.SignType, "paySign": p.PaySign}}, nil
}

// prepayID takes the id alone: package has the name in front of it, which is easily copied along.
func prepayID(s string) string { return strings.TrimPrefix(s, "prepay_id=") }

func (c *SignCmd) signV2(e *env, at time.Time, nonce string) (signed, error) {
	secret, err := apiv2Key(e, c.APIv2KeyFile, c.Config, c.Merchant)
	if err != nil {
		return signed{}, err
	}
	key, err := apiv2.NewKey(secret.Reveal())
	if err != nil {
		return signed{}, err
	}
	k := apiv2.Credentials{MerchantID: c.MchID, Key: key, SignType: apiv2.SignType(c.SignType)}
	if c.Pay {
		if k.SignType == "" {
			k.SignType = apiv2.MD5
		}
		p, err := k.PayParameters(c.AppID, prepayID(c.PrepayID), at, nonce)
		if err != nil {
			return signed{}, err
		}
		fields := apiv2.Fields{
			{Name: "appId", Value: p.AppID}, {Name: "timeStamp", Value: p.TimeStamp}, {Name: "nonceStr", Value: p.NonceStr},
			{Name: "package", Value: p.Package}, {Name: "signType", Value: p.SignType},
		}
		parameters := map[string]string{"paySign": p.PaySign}
		for _, f := range fields[1:] { // appId is signed, but no argument
			parameters[f.Name] = f.Value
		}
		return signedV2(fields, p.PaySign, k.SignType, parameters), nil
	}
	data, err := e.readFile(c.Params)
	if err != nil {
		return signed{}, err
	}
	fields, err := diagnose.ParseFields(data)
	if err != nil {
		return signed{}, about(c.Params, err)
	}
	if k.SignType, err = chooseType(e, fields, k.SignType); err != nil {
		return signed{}, err
	}
	signature, err := k.Sign(fields)
	if err != nil {
		return signed{}, err
	}
	return signedV2(fields, signature, k.SignType, nil), nil
}

// signedV2 shows the signed text with [key] in the place of the key, which has 32 bytes.
func signedV2(fields apiv2.Fields, signature string, t apiv2.SignType, parameters map[string]string) signed {
	message := apiv2.Message(fields) + "&key="
	return signed{Message: message + "[key]", Length: len(message) + 32, Signature: signature, SignType: string(t), Parameters: parameters}
}

// chooseType takes the sign type from the flag, else from the parameters, else MD5 as WeChat Pay does, and says so where
// they disagree.
func chooseType(e *env, fields apiv2.Fields, flag apiv2.SignType) (apiv2.SignType, error) {
	named := apiv2.SignType(cmp.Or(fields.Get("sign_type"), fields.Get("signType")))
	switch {
	case flag == "" && named == "":
		return apiv2.MD5, nil
	case flag == "":
		if !knownSignType(string(named)) {
			return "", failure("参数里的 sign_type 是 %q：只有 MD5 和 HMAC-SHA256",
				"the parameters have sign_type %q: there are only MD5 and HMAC-SHA256", named)
		}
		return named, nil
	case named == "" && flag == apiv2.HMACSHA256:
		e.note("参数里没有 sign_type：微信支付会按 MD5 验签。加上 sign_type=HMAC-SHA256 再签名",
			"the parameters have no sign_type, so WeChat Pay takes MD5: add sign_type=HMAC-SHA256 and sign again")
	case named != "" && named != flag:
		e.note("参数里的 sign_type 是 %s，与 --sign-type %s 不一致",
			"the parameters have sign_type %s, which is not --sign-type %s", named, flag)
	}
	return flag, nil
}

// signer is what a merchant signs with, and where its key lies.
type signer struct {
	wechatpay.Credentials
	file string
}

func (c *SignCmd) credentials(e *env) (signer, error) {
	if c.Key == "" {
		m, err := merchantOf(e, c.Config, c.Merchant)
		if err != nil {
			return signer{}, err
		}
		return signer{wechatpay.Credentials{MerchantID: m.ID, CertificateSerial: m.CertificateSerial, PrivateKey: m.PrivateKey}, m.PrivateKeyFile}, nil
	}
	data, err := e.readFile(c.Key)
	if err != nil {
		return signer{}, err
	}
	key, err := wechatpay.ParsePrivateKey(data)
	if err != nil {
		return signer{}, about(c.Key, err)
	}
	return signer{wechatpay.Credentials{MerchantID: c.MchID, CertificateSerial: c.Serial, PrivateKey: key}, c.Key}, nil
}

// merchantOf reads the configuration and returns its merchant of that id, or its first.
func merchantOf(e *env, config, id string) (settings.Merchant, error) {
	if config == "" {
		config = "fenhao.yaml"
	}
	s, err := settings.Load(config, e.environ)
	if err != nil {
		return settings.Merchant{}, err
	}
	for _, m := range s.Merchants {
		if id == "" || m.ID == id {
			return m, nil
		}
	}
	var ids []string
	for _, m := range s.Merchants {
		ids = append(ids, m.ID)
	}
	return settings.Merchant{}, failure("%[1]s 里没有商户 %[2]s，有：%[3]s",
		"%[1]s has no merchant %[2]s. It has: %[3]s", config, id, strings.Join(ids, ", "))
}

// apiv2Key reads the APIv2 key from the file, else from the configuration.
func apiv2Key(e *env, file, config, merchant string) (settings.Secret, error) {
	if file != "" {
		return e.secretFile(file)
	}
	m, err := merchantOf(e, config, merchant)
	if err != nil {
		return settings.Secret{}, err
	}
	if m.APIv2Key.IsZero() {
		return settings.Secret{}, failure("配置里的商户 %s 没有 apiv2_key",
			"merchant %s of the configuration has no apiv2_key", m.ID)
	}
	return m.APIv2Key, nil
}

// secretFile reads a secret, without the line end that editors put behind it, as the settings do.
func (e *env) secretFile(name string) (settings.Secret, error) {
	data, err := e.readFile(name)
	if err != nil {
		return settings.Secret{}, err
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return settings.Secret{}, failure("%s 是空的", "%s is empty", name)
	}
	return settings.NewSecret(text), nil
}

// maxInput is the largest file read: WeChat Pay's messages have at most 1 MiB, uploads at most a few.
const maxInput = 16 << 20

// readFile reads a file, or standard input where it is called -.
func (e *env) readFile(name string) ([]byte, error) {
	from := e.stdin
	if name != "-" {
		f, err := os.Open(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, failure("没有文件 %s", "there is no file %s", name)
		case err != nil:
			return nil, failure("读不了 %s：%v", "can't read %s: %v", name, err)
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, maxInput+1))
	switch {
	case err != nil:
		return nil, failure("读不了 %s：%v", "can't read %s: %v", name, err)
	case len(data) > maxInput:
		return nil, failure("%s 超过 16 MiB", "%s has more than 16 MiB", name)
	}
	return data, nil
}

// target returns path and query of a URL as given, which may have scheme and host before them.
func (e *env) target(given string) (string, error) {
	if strings.HasPrefix(given, "/") {
		return given, nil
	}
	u, err := url.Parse(given)
	if err != nil || u.Host == "" {
		return "", failure("URL %q 要以 / 开头：路径和查询串", "the URL %q ought to begin with /: path and query", given)
	}
	_, rest, _ := strings.Cut(given, "://"+u.Host)
	rest, _, _ = strings.Cut(rest, "#")
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	e.note("签名不含协议和域名，按 %s 处理", "scheme and host are not signed; %s is taken", rest)
	return rest, nil
}

// note tells the user something on the way.
func (e *env) note(zh, en string, args ...any) {
	fmt.Fprintln(e.stderr, "fenhao: "+phrase.Say(zh, en, args...).In(e.lang))
}

// printJSON writes v on one line and leaves & < > as they are, so that it can be copied.
func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	if err := j.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// about says which file an error is about.
func about(file string, err error) error {
	return failure(file+"："+inLanguage(err, "zh"), file+": "+inLanguage(err, "en"))
}

// stdinTwice refuses names of which more than one is -, since standard input can be read once.
func stdinTwice(names ...string) error {
	if i := slices.Index(names, "-"); i >= 0 && slices.Contains(names[i+1:], "-") {
		return failure("只能有一个文件是 -（标准输入）", "only one file can be - (standard input)")
	}
	return nil
}
