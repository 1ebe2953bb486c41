package wechatpay

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/rules"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/transport"
)

// BaseURL is WeChat Pay's own address, the default of [WithBaseURL].
const BaseURL = "https://api.mch.weixin.qq.com"

// BackupURL is WeChat Pay's second address (备域名), which does the same. See [WithBackupURL].
const BackupURL = "https://api2.mch.weixin.qq.com"

// maxAnswer is the largest answer that is read. WeChat Pay's are a few kilobytes.
const maxAnswer = 1 << 20

// Config holds a merchant's credentials. See the package comment for where they come from.
type Config struct {
	// MerchantID is the merchant number (商户号, mchid).
	MerchantID string

	// CertificateSerial is the serial of the merchant API certificate (商户API证书), 40 hexadecimal digits. It may be
	// left out where Certificate is given.
	CertificateSerial string

	// Certificate is the merchant API certificate (apiclient_cert.pem, see [ParseCertificate]). It is optional; given,
	// NewClient checks that it belongs to PrivateKey, MerchantID and CertificateSerial.
	Certificate *x509.Certificate

	// PrivateKey signs. It holds an RSA key: that of [ParsePrivateKey], or one in a hardware module.
	PrivateKey crypto.Signer

	// APIv3Key decrypts notifications and platform certificates.
	APIv3Key APIv3Key

	// OldAPIv3Keys are tried after APIv3Key. While a key is being replaced, WeChat Pay may repeat notifications that
	// it encrypted under the old one. Usually empty.
	OldAPIv3Keys []APIv3Key

	// PublicKeyID and PublicKey are the WeChat Pay public key (微信支付公钥) and its id, "PUB_KEY_ID_…". With them,
	// WeChat Pay is asked to sign with this key; messages signed with a platform certificate are accepted as well,
	// where one can be downloaded, so that a switch from certificates loses nothing. Without them, platform
	// certificates are downloaded before the first request and kept fresh.
	PublicKeyID string
	PublicKey   *rsa.PublicKey
}

// Option changes something other than credentials.
type Option func(*Client) error

// WithBaseURL sends all requests to another server, such as a sandbox: scheme, host and port alone.
func WithBaseURL(address string) Option {
	return func(c *Client) (err error) {
		c.hosts.base.url, err = parseHost("WithBaseURL", address)
		return err
	}
}

// WithBackupURL names a second server for when the first can't be reached, for WeChat Pay [BackupURL]. Without it there
// is none. A request goes there at once where the first server provably did not receive it, or where it only reads (GET)
// and the first server gave no answer, 502, 503 or 504. Any other request that may have been received is never sent a
// second time: that stays with the caller, see [ErrUncertain]. After a failure the backup is asked first for a minute,
// then the first server again; [Client.Hosts] counts. Each try has the client's full time, the context bounds them all.
//
// Source: vendor manual, "跨城冗灾方案".
func WithBackupURL(address string) Option {
	return func(c *Client) error {
		u, err := parseHost("WithBackupURL", address)
		c.hosts.backup = &host{url: u}
		return err
	}
}

// parseHost reads the address of a server: scheme, host and port alone.
func parseHost(option, address string) (*url.URL, error) {
	u, problem := rules.Server(address)
	if u == nil {
		return nil, &ConfigError{option, problem}
	}
	return u, nil
}

// WithHTTPClient sends requests through a copy of h: for a proxy, tracing, other timeouts. Redirects are never followed
// and cookies never kept, whatever h says. The default gives a request 15 seconds and speaks TLS 1.2 or later. Downloads
// take as long as bytes arrive and the context allows, whatever the timeout of h.
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

// WithLogger logs each request (at debug level) and trouble with platform certificates (as warnings). Keys, openids and
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

// WithPlatformCertificates starts with certificates that were downloaded earlier, so that the first request need not
// wait for a download. They are checked like downloaded ones, except that an expired one is passed over.
func WithPlatformCertificates(certs ...*x509.Certificate) Option {
	return func(c *Client) error {
		c.preset = append(c.preset, certs...)
		return nil
	}
}

// Client speaks to WeChat Pay for one merchant. It is safe for concurrent use, starts nothing in the background and
// needs no closing. Make it once and keep it: it holds the platform certificates and the connections.
type Client struct {
	credentials Credentials
	keys        *platformKeys
	hosts       *hosts
	http        *http.Client
	now         func() time.Time
	log         *slog.Logger
	preset      []*x509.Certificate
	sub         *SubMerchant // set by For
}

// NewClient checks c and makes a client. It does not touch the network. The error joins a [*ConfigError] for each
// mistake.
func NewClient(c Config, opts ...Option) (*Client, error) {
	client := &Client{
		hosts: &hosts{base: host{url: &url.URL{Scheme: "https", Host: strings.TrimPrefix(BaseURL, "https://")}}},
		now:   time.Now,
		log:   slog.New(slog.DiscardHandler),
	}
	var problems []error
	for _, o := range opts {
		if err := o(client); err != nil {
			problems = append(problems, err)
		}
	}
	serial, err := c.check(client.now())
	if err = errors.Join(append(problems, err)...); err != nil {
		return nil, err
	}
	client.credentials = Credentials{c.MerchantID, serial, c.PrivateKey}

	client.http = transport.Client(client.http)
	client.keys = newPlatformKeys(client, c)
	if err := client.keys.preset(client.preset); err != nil {
		return nil, err
	}
	return client, nil
}

// Response is a verified answer.
type Response struct {
	Status    int    // 200 or 204
	Body      []byte // the raw bytes that were verified; empty with 204
	RequestID string // header Request-ID: quote it to WeChat Pay's support
	Serial    string // of the key that verified it
}

// Do sends one request to any path of API v3 whose answers are signed, and verifies the answer. body is nil or the JSON
// to send, which is signed and sent as it is. path begins with "/v3/" and is escaped already; query may be nil. For
// bodies with sensitive fields there is [Client.DoEncrypted].
//
// Errors to tell apart: *Error, ErrNotSent, ErrUncertain. For a request that only reads, ErrUncertain means that there
// is no verified answer: ask again.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body []byte) (*Response, error) {
	return c.verified(ctx, call{method: method, path: path, query: query.Encode(), body: body})
}

// call is one request before it has a time, a nonce and a signature.
type call struct {
	method      string
	path, query string // as sent; query without "?"
	body        []byte // nil where there is none
	signed      []byte // what the signature covers instead of body, or nil
	contentType string // of body; "" means JSON
	serial      string // of the key that fields of body are encrypted with, or ""
	file        bool   // the answer is a file: of any type, of any length, not signed
}

// verified sends r and verifies the answer.
func (c *Client) verified(ctx context.Context, r call) (*Response, error) {
	if err := c.keys.ready(ctx); err != nil {
		return nil, notSent(fmt.Errorf("there is no key to verify the answer with: %w", err))
	}
	a, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := a.refusal(); err != nil {
		return nil, err
	}
	serial, err := c.keys.verify(ctx, a.header, a.body)
	if err != nil {
		return nil, uncertain(err)
	}
	return &Response{Status: a.status, Body: a.body, RequestID: a.header.Get("Request-Id"), Serial: serial}, nil
}

// exchange sends in as JSON, or nothing where it is nil, and reads the answer into out, or nowhere where it is nil.
func (c *Client) exchange(ctx context.Context, method, path string, query url.Values, key FieldKey, in, out any) (*Response, error) {
	r := call{method: method, path: path, query: query.Encode(), serial: key.serial}
	if in != nil {
		var err error
		if r.body, err = marshal(in); err != nil {
			return nil, err
		}
	}
	resp, err := c.verified(ctx, r)
	if err != nil || out == nil {
		return resp, err
	}
	if err := strictUnmarshal(resp.Body, out); err != nil {
		return nil, unreadable(err)
	}
	return resp, nil
}

// unreadable is the error of an answer that is verified and does not say what it must.
func unreadable(err error) error { return uncertain(fmt.Errorf("read the answer: %w", err)) }

// answer is what came back, before it is believed.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// refusal is the error of an answer that is not a success, or nil. 202 means that the result is still open.
func (a *answer) refusal() error {
	if a.status >= 200 && a.status < 300 && a.status != http.StatusAccepted {
		return nil
	}
	return parseError(a.status, a.header, a.body)
}

// send signs and sends one request and reads the answer. Its errors match ErrNotSent or ErrUncertain.
func (c *Client) send(ctx context.Context, r call) (*answer, error) {
	resp, err := c.open(ctx, c.http, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readAnswer(resp)
}

func readAnswer(resp *http.Response) (*answer, error) {
	a := &answer{status: resp.StatusCode, header: resp.Header}
	var err error
	a.body, err = transport.ReadAll(resp, maxAnswer)
	if err != nil {
		return nil, uncertain(fmt.Errorf("read the answer (status %d): %w", a.status, err))
	}
	return a, nil
}

// open signs and sends one request, to the backup as well where that is allowed, and returns the answer with its body
// unread. Its errors match ErrNotSent or ErrUncertain.
func (c *Client) open(ctx context.Context, h *http.Client, r call) (*http.Response, error) {
	if !strings.HasPrefix(r.path, "/") || strings.ContainsAny(r.path, "?#") {
		return nil, &RequestError{"path", phrase.Text{EN: "it begins with / and holds no query", ZH: "须以 / 开头且不含查询串"}}
	}
	first, second := c.hosts.order(c.now())
	resp, err := c.openAt(ctx, h, first, r)
	down := c.hosts.record(ctx, first, c.now(), resp, err)
	if !down || second == nil || ctx.Err() != nil || (r.method != http.MethodGet && !errors.Is(err, ErrNotSent)) {
		return resp, err
	}
	again, err2 := c.openAt(ctx, h, second, r)
	c.hosts.record(ctx, second, c.now(), again, err2)
	if err2 != nil && (resp != nil || errors.Is(err2, ErrNotSent)) {
		return resp, err // the first answer, if it is one, says more; and what may have been sent stays so
	}
	if resp != nil {
		resp.Body.Close()
	}
	return again, err2
}

// openAt is open at one host. Errors of the network are *outcomeError with network set.
func (c *Client) openAt(ctx context.Context, h *http.Client, at *host, r call) (*http.Response, error) {
	address := at.url.String() + r.path
	if r.query != "" {
		address += "?" + r.query
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(r.body))
	if err != nil {
		return nil, notSent(fmt.Errorf("%s request: %w", r.method, transport.WithoutURL(err)))
	}
	signed := r.signed
	if signed == nil {
		signed = r.body
	}
	if r.body == nil {
		req.Body, req.GetBody = http.NoBody, nil
	} else {
		req.Header.Set("Content-Type", cmp.Or(r.contentType, "application/json"))
	}
	req.Header.Set("Accept", "application/json")
	if r.file {
		req.Header.Set("Accept", "*/*")
		req.Header.Set("Accept-Encoding", "identity") // gzip is part of the file, not of the transport
	}
	req.Header["User-Agent"] = transport.UserAgent()
	if serial := cmp.Or(r.serial, c.keys.publicID); serial != "" {
		req.Header.Set("Wechatpay-Serial", serial)
	}
	authorization, err := c.credentials.Authorization(r.method, req.URL.RequestURI(), signed, c.now(), rand.Text())
	if err != nil {
		return nil, notSent(err)
	}
	req.Header.Set("Authorization", authorization)
	if err := ctx.Err(); err != nil {
		return nil, notSent(err)
	}

	start := time.Now()
	resp, unsent, err := transport.Do(h, req)
	if err != nil {
		c.log.DebugContext(ctx, "wechat pay request", "method", r.method, "host", at.url.Host, "path", r.path, "error", err, "took", time.Since(start))
		if unsent {
			return nil, &outcomeError{kind: ErrNotSent, cause: err, network: true}
		}
		return nil, &outcomeError{kind: ErrUncertain, cause: err, network: true}
	}
	c.log.DebugContext(ctx, "wechat pay request", "method", r.method, "host", at.url.Host, "path", r.path, "status", resp.StatusCode,
		"request_id", phrase.Clip(resp.Header.Get("Request-Id"), 128), "took", time.Since(start))
	return resp, nil
}

func notSent(cause error) error { return &outcomeError{kind: ErrNotSent, cause: cause} }

// uncertain marks an error as leaving the outcome open.
func uncertain(cause error) error { return &outcomeError{kind: ErrUncertain, cause: cause} }

type outcomeError struct {
	kind, cause error
	network     bool // the host could not be reached or did not answer
}

func (e *outcomeError) Error() string   { return e.kind.Error() + ": " + e.cause.Error() }
func (e *outcomeError) Unwrap() []error { return []error{e.kind, e.cause} }
