package wechatpay

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// BaseURL is WeChat Pay's own address, the default of [WithBaseURL].
const BaseURL = "https://api.mch.weixin.qq.com"

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
	return func(c *Client) error {
		u, err := url.Parse(address)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil ||
			strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return &ConfigError{"WithBaseURL", text{
				"it is http:// or https:// with a host and perhaps a port, and nothing after that",
				"应为 http:// 或 https:// 加主机名（可带端口），其后不能有路径",
			}}
		}
		c.base = &url.URL{Scheme: u.Scheme, Host: u.Host}
		return nil
	}
}

// WithHTTPClient sends requests through a copy of h: for a proxy, tracing, other timeouts. Redirects are never followed
// and cookies never kept, whatever h says. The default gives a request 15 seconds and speaks TLS 1.2 or later.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) error {
		if h == nil {
			return &ConfigError{"WithHTTPClient", text{"it is nil", "不能为 nil"}}
		}
		c.http = h
		return nil
	}
}

// WithClock reads the time from now instead of the machine.
func WithClock(now func() time.Time) Option {
	return func(c *Client) error {
		if now == nil {
			return &ConfigError{"WithClock", text{"it is nil", "不能为 nil"}}
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
			return &ConfigError{"WithLogger", text{"it is nil", "不能为 nil"}}
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
	base        *url.URL
	http        *http.Client
	now         func() time.Time
	log         *slog.Logger
	preset      []*x509.Certificate
}

// NewClient checks c and makes a client. It does not touch the network. The error joins a [*ConfigError] for each
// mistake.
func NewClient(c Config, opts ...Option) (*Client, error) {
	client := &Client{
		base: &url.URL{Scheme: "https", Host: strings.TrimPrefix(BaseURL, "https://")},
		now:  time.Now,
		log:  slog.New(slog.DiscardHandler),
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

	var h http.Client
	if client.http == nil {
		h = http.Client{Timeout: 15 * time.Second, Transport: newTransport()}
	} else {
		h = *client.http
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.Jar = nil
	client.http = &h

	client.keys = newPlatformKeys(client, c)
	if err := client.keys.preset(client.preset); err != nil {
		return nil, err
	}
	return client, nil
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 12 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   64,
		// WeChat Pay closes idle connections after 8 s. A POST on a connection that dies under it has an unknown
		// outcome, so ours are closed first.
		IdleConnTimeout: 7 * time.Second,
	}
}

// Response is a verified answer.
type Response struct {
	Status    int    // 200 or 204
	Body      []byte // the raw bytes that were verified; empty with 204
	RequestID string // header Request-ID: quote it to WeChat Pay's support
	Serial    string // of the key that verified it
}

// Do sends one request to any path of API v3 whose answers are signed, and verifies the answer. body is nil or the JSON
// to send, which is signed and sent as it is. path begins with "/v3/" and is escaped already; query may be nil.
//
// Errors to tell apart: *Error, ErrNotSent, ErrUncertain. For a request that only reads, ErrUncertain means that there
// is no verified answer: ask again.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body []byte) (*Response, error) {
	if err := c.keys.ready(ctx); err != nil {
		return nil, notSent(fmt.Errorf("there is no key to verify the answer with: %w", err))
	}
	a, err := c.send(ctx, method, path, query, body)
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
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body []byte) (*answer, error) {
	address := c.base.String() + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") {
		return nil, &RequestError{"path", text{"it begins with / and holds no query", "须以 / 开头且不含查询串"}}
	}
	// The trace tells whether a connection was there to write to: without one, nothing was sent.
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := http.NewRequestWithContext(traced, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, notSent(fmt.Errorf("%s request: %w", method, withoutURL(err)))
	}
	if body == nil {
		req.Body, req.GetBody = http.NoBody, nil
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent())
	if c.keys.publicID != "" {
		req.Header.Set("Wechatpay-Serial", c.keys.publicID)
	}
	authorization, err := c.credentials.Authorization(method, req.URL.RequestURI(), body, c.now(), rand.Text())
	if err != nil {
		return nil, notSent(err)
	}
	req.Header.Set("Authorization", authorization)
	if err := ctx.Err(); err != nil {
		return nil, notSent(err)
	}

	start := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		err = withoutURL(err)
		c.log.DebugContext(ctx, "wechat pay request", "method", method, "path", path, "error", err, "took", time.Since(start))
		if !connected.Load() && neverConnected(c.http.Transport, err) {
			return nil, notSent(err)
		}
		return nil, uncertain(err)
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(a.body) > maxAnswer {
		err = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	c.log.DebugContext(ctx, "wechat pay request", "method", method, "path", path, "status", a.status,
		"request_id", clip(a.header.Get("Request-Id"), 128), "took", time.Since(start))
	if err != nil {
		return nil, uncertain(fmt.Errorf("read the answer (status %d): %w", a.status, err))
	}
	return a, nil
}

// neverConnected reports whether err proves that no connection came about, given that the trace saw none. A transport
// of the caller's own may hide connections from the trace, so there the error itself must be one of dialling.
func neverConnected(t http.RoundTripper, err error) bool {
	if _, ours := t.(*http.Transport); ours || t == nil {
		return true
	}
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// withoutURL takes the address out of an error of net/http.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func notSent(cause error) error { return &outcomeError{ErrNotSent, cause} }

// uncertain marks an error as leaving the outcome open.
func uncertain(cause error) error { return &outcomeError{ErrUncertain, cause} }

type outcomeError struct{ kind, cause error }

func (e *outcomeError) Error() string   { return e.kind.Error() + ": " + e.cause.Error() }
func (e *outcomeError) Unwrap() []error { return []error{e.kind, e.cause} }

// userAgent is required by WeChat Pay. It names the version of this module that the program was built with.
var userAgent = sync.OnceValue(func() string {
	const module = "github.com/fenhao-pay/fenhao"
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == module && m.Version != "" && m.Version != "(devel)" {
				version = m.Version
			}
		}
	}
	return fmt.Sprintf("fenhao/%s (%s; %s) %s", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
})
