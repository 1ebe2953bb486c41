package apiv2

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/rules"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/transport"
)

// BaseURL is WeChat Pay's own address, the default of [WithBaseURL].
const BaseURL = "https://api.mch.weixin.qq.com"

const (
	// maxAnswer is the largest answer that is read, bills aside. WeChat Pay's are a few kilobytes.
	maxAnswer = 1 << 20

	// maxNotification is the largest notification that is read. WeChat Pay's have about a kilobyte, and some 6 more
	// where the buyer used coupons of single goods.
	maxNotification = 64 << 10
)

// Option changes something other than credentials.
type Option func(*Client) error

// WithBaseURL sends all requests to another server, such as a sandbox: scheme, host and port alone.
func WithBaseURL(address string) Option {
	return func(c *Client) error {
		u, problem := rules.Server(address)
		if u == nil {
			return &ConfigError{"WithBaseURL", problem}
		}
		c.base = u.Scheme + "://" + u.Host
		return nil
	}
}

// WithHTTPClient sends requests through a copy of h: for a proxy, tracing, other timeouts. Redirects are never followed
// and cookies never kept, whatever h says. The default gives a request 15 seconds and speaks TLS 1.2 or later. Downloads
// of bills have no timeout but that of a pause.
//
// Where h has an [http.Transport], or none, the client certificate is added to a copy of it. A transport of another type
// has to present the certificate itself.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) error {
		if h == nil {
			return &ConfigError{"WithHTTPClient", phrase.Text{EN: "it is nil", ZH: "不能为 nil"}}
		}
		c.http = h
		return nil
	}
}

// WithClock reads the time from now instead of the machine.
func WithClock(now func() time.Time) Option {
	return func(c *Client) error {
		if now == nil {
			return &ConfigError{"WithClock", phrase.Text{EN: "it is nil", ZH: "不能为 nil"}}
		}
		c.now = now
		return nil
	}
}

// WithLogger logs each request (at debug level), and notifications that are refused or not handled. Keys, openids and
// bodies are never logged. The default logs nothing.
func WithLogger(l *slog.Logger) Option {
	return func(c *Client) error {
		if l == nil {
			return &ConfigError{"WithLogger", phrase.Text{EN: "it is nil", ZH: "不能为 nil"}}
		}
		c.log = l
		return nil
	}
}

// Client speaks to WeChat Pay for one merchant. It is safe for concurrent use, starts nothing in the background and
// needs no closing. Make it once and keep it: it holds the connections.
type Client struct {
	credentials Credentials
	appID       string
	sub         SubMerchant // zero for direct merchants
	partnerID   string
	notifyKeys  []Key      // those that a notification may be signed with
	notifyTypes []SignType // likewise

	base      string
	http      *http.Client
	certified *http.Client // presents the certificate; nil where there is none
	now       func() time.Time
	log       *slog.Logger
}

// NewClient checks c and makes a client. It does not touch the network. The error joins a [*ConfigError] for each
// mistake.
func NewClient(c Config, opts ...Option) (*Client, error) {
	client := &Client{base: BaseURL, now: time.Now, log: slog.New(slog.DiscardHandler)}
	var problems []error
	for _, o := range opts {
		if err := o(client); err != nil {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(append(problems, c.check(client.now()))...); err != nil {
		return nil, err
	}
	if c.SignType == "" {
		c.SignType = HMACSHA256
	}
	if c.PartnerID == "" {
		c.PartnerID = c.MerchantID
	}
	client.credentials = Credentials{c.MerchantID, c.Key, c.SignType}
	client.appID, client.partnerID = c.AppID, c.PartnerID
	client.sub = SubMerchant{c.SubMerchantID, c.SubAppID}
	client.notifyKeys = append([]Key{c.Key}, c.OldKeys...)
	client.notifyTypes = []SignType{c.SignType}
	if c.AcceptMD5 && c.SignType != MD5 {
		client.notifyTypes = append(client.notifyTypes, MD5)
	}
	client.connect(c)
	return client, nil
}

// connect makes the two HTTP clients, with and without the certificate.
func (c *Client) connect(config Config) {
	c.http = transport.Client(c.http)

	certified := *c.http
	t, standard := certified.Transport.(*http.Transport)
	switch {
	case !config.hasCertificate():
		if !standard && certified.Transport != nil || strings.HasPrefix(c.base, "http:") {
			c.certified = &certified // which presents its own, or can't present any
		}
		return
	case certified.Transport == nil:
		t = http.DefaultTransport.(*http.Transport)
		fallthrough
	case standard:
		t = t.Clone()
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{config.Certificate}
		certified.Transport = t
	}
	c.certified = &certified
}

// Response is a verified answer of success.
type Response struct {
	Fields Fields // all of them, sorted; each was covered by the signature, sign itself aside
	Raw    []byte // the XML that was verified, to be kept as evidence
}

// Do sends one request to any path of API v2 whose answers are signed, such as "/pay/orderquery", and verifies the
// answer. It adds mch_id, nonce_str, sign_type and sign, and where fields does not have them, appid, sub_mch_id and
// sub_appid. Empty fields are left out. The client certificate is presented to paths that begin with "/secapi/".
//
// Errors to tell apart: *Error, ErrNotSent, ErrUncertain. For a request that only reads, ErrUncertain means that there
// is no verified answer: ask again.
func (c *Client) Do(ctx context.Context, path string, fields Fields) (*Response, error) {
	given := slices.DeleteFunc(slices.Clone(fields), func(f Field) bool { return f.Value == "" })
	return c.do(ctx, path, given.Get("appid"), given)
}

// do is Do for fields of our own. appID is "" where it is that of the client.
func (c *Client) do(ctx context.Context, path, appID string, fields Fields) (*Response, error) {
	request, err := c.seal(appID, fields, c.credentials.SignType)
	if err != nil {
		return nil, err
	}
	h, err := c.clientFor(path)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, h, path, request.body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := transport.ReadAll(resp, maxAnswer)
	if err != nil {
		return nil, uncertain(fmt.Errorf("read the answer (status %d): %w", resp.StatusCode, err))
	}
	answer, err := c.readAnswer(resp.StatusCode, body, request)
	if err != nil {
		return nil, err
	}
	return &Response{answer, body}, nil
}

// sealed is a request that was signed, and what its answer must agree with.
type sealed struct {
	body          []byte
	appID         string
	subMerchantID string
	signType      SignType
}

// seal adds the common fields, signs and encodes. It takes over fields.
func (c *Client) seal(appID string, fields Fields, t SignType) (sealed, error) {
	s := sealed{appID: appID, signType: t}
	if appID == "" {
		s.appID = c.appID
		fields = append(fields, Field{"appid", s.appID})
	} else if fields.Get("appid") == "" {
		fields = append(fields, Field{"appid", appID})
	}
	if err := checkAppID("appid", s.appID); err != nil {
		return s, err
	}
	s.subMerchantID = fields.Get("sub_mch_id")
	if s.subMerchantID == "" && c.sub.ID != "" {
		if err := c.sub.check(); err != nil {
			return s, err
		}
		s.subMerchantID = c.sub.ID
		fields = append(fields, Field{"sub_mch_id", c.sub.ID})
		if c.sub.AppID != "" && fields.Get("sub_appid") == "" {
			fields = append(fields, Field{"sub_appid", c.sub.AppID})
		}
	}
	fields = append(fields,
		Field{"mch_id", c.credentials.MerchantID},
		Field{"nonce_str", rand.Text()},
		Field{"sign_type", string(t)},
	)
	fields.sort() // check finds what is there twice
	if err := fields.check(); err != nil {
		return s, err
	}
	if fields.find("sign") != "" {
		return s, &RequestError{"sign", phrase.Text{EN: "it is made here: leave it out", ZH: "由客户端生成，请勿填写"}}
	}
	fields = append(fields, Field{"sign", signature(t, string(c.credentials.Key.b[:]), fields)})
	s.body = fields.appendXML(make([]byte, 0, fields.size()))
	return s, nil
}

// readAnswer reads an answer that is signed unless it is a refusal, and returns its fields if it is a success.
func (c *Client) readAnswer(status int, body []byte, request sealed) (Fields, error) {
	if status != http.StatusOK {
		return nil, httpError(status, body)
	}
	f, err := decode(body, "xml")
	if err != nil {
		return nil, uncertain(fmt.Errorf("read the answer: %w", err))
	}
	switch f.find("return_code") {
	case "SUCCESS":
	case "FAIL":
		return nil, transportError(f)
	default:
		return nil, uncertain(errors.New("read the answer: its return_code is neither SUCCESS nor FAIL"))
	}
	refused := f.find("result_code") == "FAIL"
	if err := verify(f, []SignType{request.signType}, []Key{c.credentials.Key}); err != nil {
		// WeChat Pay in trouble answers SYSTEMERROR without a signature. It says no more than that nothing is known.
		if e := businessError(f); refused && f.find("sign") == "" && e.uncertain() {
			return nil, e
		}
		return nil, uncertain(err)
	}
	if err := c.checkAddressee(f, request); err != nil {
		return nil, uncertain(err)
	}
	switch {
	case refused:
		return nil, businessError(f)
	case f.find("result_code") != "SUCCESS":
		return nil, uncertain(errors.New("read the answer: its result_code is neither SUCCESS nor FAIL"))
	}
	return f, nil
}

// checkAddressee checks that an answer is for the merchant that asked. The same key signs for all of its apps, and of a
// service provider for all of its sub merchants.
func (c *Client) checkAddressee(f Fields, request sealed) error {
	switch {
	case f.find("mch_id") != c.credentials.MerchantID:
		return errors.New("the answer is about another merchant")
	case f.find("appid") != "" && f.find("appid") != request.appID:
		return errors.New("the answer is about another app")
	case f.find("sub_mch_id") != "" && request.subMerchantID != "" && f.find("sub_mch_id") != request.subMerchantID:
		return errors.New("the answer is about another sub merchant")
	}
	return nil
}

const fundFlowPath = "/pay/downloadfundflow"

// clientFor returns the HTTP client for a path: the one with the certificate for those that ask for it.
func (c *Client) clientFor(path string) (*http.Client, error) {
	if !strings.HasPrefix(path, "/secapi/") && path != fundFlowPath {
		return c.http, nil
	}
	if c.certified == nil {
		return nil, notSent(&ConfigError{"Certificate", phrase.Text{
			EN: path + " asks for the merchant API certificate: load apiclient_cert.pem and apiclient_key.pem with tls.LoadX509KeyPair",
			ZH: path + " 需要商户API证书：用 tls.LoadX509KeyPair 加载 apiclient_cert.pem 与 apiclient_key.pem",
		}})
	}
	return c.certified, nil
}

// send sends one request. Its errors match ErrNotSent or ErrUncertain. The caller closes the body of the answer.
func (c *Client) send(ctx context.Context, h *http.Client, path string, body []byte) (*http.Response, error) {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") {
		return nil, &RequestError{"path", phrase.Text{EN: "it begins with / and holds no query", ZH: "须以 / 开头且不含查询串"}}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, notSent(fmt.Errorf("POST request: %w", transport.WithoutURL(err)))
	}
	req.Header["Content-Type"] = contentType
	req.Header["User-Agent"] = transport.UserAgent()
	if err := ctx.Err(); err != nil {
		return nil, notSent(err)
	}

	start := time.Now()
	resp, unsent, err := transport.Do(h, req)
	if c.log.Enabled(ctx, slog.LevelDebug) {
		status := 0
		if err == nil {
			status = resp.StatusCode
		}
		c.log.DebugContext(ctx, "wechat pay request", "path", path, "status", status, "error", err, "took", time.Since(start))
	}
	if err != nil {
		if unsent {
			return nil, notSent(err)
		}
		return nil, uncertain(err)
	}
	return resp, nil
}

var contentType = []string{"text/xml; charset=utf-8"}
