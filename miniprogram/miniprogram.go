// Package miniprogram speaks to the server API of WeChat mini programs (小程序服务端接口): it turns the code that wx.login
// yields on the phone into the openid of whoever holds it. It needs the standard library alone.
//
//	client, err := miniprogram.NewClient(miniprogram.Config{AppID: "wx8888888888888888", Secret: "…"})
//	session, err := client.Code2Session(ctx, code) // the code that the phone sent, nothing else of what it sent
//
// The openid then goes into the payment order, under the same AppID. The phone gets neither it nor the session key, but a
// random token of your own, which your server keeps together with the openid. An openid that a client names proves
// nothing.
//
// A code is valid for five minutes and for one exchange. Asking again with the same code gives [CodeUsed], so exchange it
// once and let the phone call wx.login again where that fails; [Error.Hint] says so in Chinese and English.
//
// The client repeats nothing by itself, starts nothing in the background and writes neither the app secret nor a code
// into an error or a log.
package miniprogram

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// BaseURL is WeChat's own address, the default of [WithBaseURL].
const BaseURL = "https://api.weixin.qq.com"

// maxAnswer is the largest answer that is read. WeChat's have a few hundred bytes.
const maxAnswer = 1 << 20

// ErrNoAnswer is matched by the error of a request that got no answer that could be read: no connection, a deadline, a
// server error, something that is not WeChat's JSON. The code may be used up.
var ErrNoAnswer = errors.New("no answer from WeChat")

// Secret is the app secret (AppSecret). It prints as [secret]; string(s) is its text.
type Secret string

// Format prints [secret], whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") } // fmt keeps the error

// LogValue prints [secret].
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText prints [secret]: a secret is never written into JSON by accident.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// SessionKey decrypts and signs what the phone and the server say about the user (session_key), Base64 of 16 bytes. It
// never leaves the server. It prints as [secret]; string(k) is its text. Where you need it not, drop it.
type SessionKey string

// Format prints [secret], whatever the verb.
func (SessionKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") } // fmt keeps the error

// LogValue prints [secret].
func (SessionKey) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText prints [secret]: a key is never written into JSON by accident.
func (SessionKey) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Config names one mini program. Both come from 小程序后台 › 开发管理 › 开发设置.
type Config struct {
	AppID  string // wx…
	Secret Secret // 32 characters
}

// Option changes something other than credentials.
type Option func(*Client) error

// WithBaseURL sends all requests to another server, such as a sandbox: scheme, host and port alone.
func WithBaseURL(address string) Option {
	return func(c *Client) error {
		u, err := url.Parse(address)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil ||
			strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("WithBaseURL: it is http:// or https:// with a host and perhaps a port, and nothing after that")
		}
		c.base = u.Scheme + "://" + u.Host
		return nil
	}
}

// WithHTTPClient sends requests through a copy of h. Redirects are never followed and cookies never kept, whatever h
// says. The default gives a request 10 seconds and speaks TLS 1.2 or later.
//
// The address of a request holds the app secret: a transport that logs addresses would log it.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) error {
		if h == nil {
			return errors.New("WithHTTPClient: it is nil")
		}
		c.http = h
		return nil
	}
}

// WithClock reads the time from now instead of the machine. It is what [Session.At] comes from.
func WithClock(now func() time.Time) Option {
	return func(c *Client) error {
		if now == nil {
			return errors.New("WithClock: it is nil")
		}
		c.now = now
		return nil
	}
}

// Client speaks for one mini program. It is safe for concurrent use and needs no closing. Make it once and keep it.
type Client struct {
	appID  string
	secret *Secret // behind a pointer, so that printing a Client shows an address and not the secret
	base   string
	http   *http.Client
	now    func() time.Time
}

// NewClient checks c and makes a client. It does not touch the network. The error joins all mistakes.
func NewClient(c Config, opts ...Option) (*Client, error) {
	client := &Client{appID: c.AppID, secret: &c.Secret, base: BaseURL, now: time.Now}
	var problems []error
	if !strings.HasPrefix(c.AppID, "wx") || len(c.AppID) > 32 || !isWord(c.AppID) {
		problems = append(problems, errors.New("AppID: it begins with wx, letters and digits alone: "+
			"小程序后台 › 开发管理 › 开发设置 shows it"))
	}
	if c.Secret == "" || len(c.Secret) > 128 || !isWord(string(c.Secret)) {
		problems = append(problems, errors.New("Secret: it is the AppSecret, letters and digits alone: "+
			"小程序后台 › 开发管理 › 开发设置 shows it once"))
	}
	for _, o := range opts {
		if err := o(client); err != nil {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	var h http.Client
	if client.http == nil {
		h = http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: 5 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     30 * time.Second,
		}}
	} else {
		h = *client.http
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.Jar = nil
	client.http = &h
	return client, nil
}

func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// Session is what WeChat says about the holder of a code.
type Session struct {
	OpenID     string     // of this person in this mini program; case-sensitive, at most 128 bytes
	UnionID    string     // of this person in all apps of one Open Platform account, or ""
	SessionKey SessionKey // stays on the server
	At         time.Time  // when WeChat said so, UTC
}

// Code2Session exchanges the code that wx.login yields on the phone. A code can be exchanged once and within five
// minutes, so after any error but a Temporary one the phone must call wx.login again.
//
// Errors to tell apart: CodeInvalidCode and CodeUsed (the phone logs in again), CodeBlocked (a risky user: no more than a
// neutral word), CodeInvalidSecret and the like (a mistake of configuration), those whose Temporary is true, ErrNoAnswer.
//
// Source: WeChat's manual for mini programs, "小程序登录" (auth.code2Session).
func (c *Client) Code2Session(ctx context.Context, code string) (Session, error) {
	if code == "" || len(code) > 512 {
		// WeChat would say the same; a request less.
		return Session{}, fmt.Errorf("exchange a login code: %w", &Error{Code: CodeMissingCode, Message: "the code is empty or too long"})
	}
	var v struct {
		OpenID     string `json:"openid"`
		UnionID    string `json:"unionid"`
		SessionKey string `json:"session_key"`
	}
	err := c.get(ctx, "/sns/jscode2session", url.Values{
		"appid":      {c.appID},
		"secret":     {string(*c.secret)},
		"js_code":    {code},
		"grant_type": {"authorization_code"},
	}, &v)
	if err == nil && v.OpenID == "" {
		err = fmt.Errorf("%w: the answer holds no openid", ErrNoAnswer)
	}
	if err != nil {
		return Session{}, fmt.Errorf("exchange a login code: %w", err)
	}
	return Session{OpenID: v.OpenID, UnionID: v.UnionID, SessionKey: SessionKey(v.SessionKey), At: c.now().UTC()}, nil
}

// hiding replaces the values of a query that nobody may read, plain and escaped.
func hiding(query url.Values) *strings.Replacer {
	var pairs []string
	for _, name := range []string{"secret", "js_code"} {
		if v := query.Get(name); v != "" {
			pairs = append(pairs, v, "["+name+"]", url.QueryEscape(v), "["+name+"]")
		}
	}
	return strings.NewReplacer(pairs...)
}

// get sends one request and reads the answer into v, or returns WeChat's error. The address holds secrets, so no error
// of net/http is passed on with it.
func (c *Client) get(ctx context.Context, path string, query url.Values, v any) error {
	hide := hiding(query)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("%w: the request can't be made", ErrNoAnswer)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // url.Error prints the address, and the secret in it
		}
		if text := err.Error(); hide.Replace(text) != text {
			err = errors.New("the transport's error repeats the address, so it is not shown")
		}
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("%w: read the answer (status %d): %w", ErrNoAnswer, resp.StatusCode, err)
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("%w: the answer is longer than %d bytes", ErrNoAnswer, maxAnswer)
	}
	// Nearly all failures come with status 200; one that has an errcode is WeChat's word whatever the status.
	if e := parseError(body, hide); e != nil {
		return e
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: status %d", ErrNoAnswer, resp.StatusCode)
	}
	if err := json.Unmarshal(body, v); err != nil { // the type is historically text/plain, so it is not asked for
		return fmt.Errorf("%w: the answer is not the JSON that was expected", ErrNoAnswer)
	}
	return nil
}
