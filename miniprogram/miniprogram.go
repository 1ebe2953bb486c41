// Package miniprogram speaks to the server API of WeChat mini programs (小程序服务端接口) and listens to what WeChat pushes. It
// needs the standard library alone.
//
// # Log in
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
// Where the session key is needed, [Client.CheckSession] and [Client.ResetSession] ask WeChat about it,
// [Client.DecryptData] and [CheckSignature] read what the phone was given under it. [Client.PhoneNumber] exchanges the code
// of the phone-number button; [Client.PaidUnionID] names the person behind a payment.
//
// # The access token
//
// All calls but the login carry an access token (接口调用凭证). The client fetches it when it is first needed, keeps it until
// five minutes before its end, and when WeChat says that it is not valid any more fetches another one, once, and asks once
// again. Processes that share an app share the token through a [TokenCache].
//
// # Ship
//
// Where WeChat manages an app's trades (小程序发货信息管理服务), the merchant gets its money only after telling what became of
// the goods:
//
//	err := client.UploadShippingInfo(ctx, miniprogram.ShippingInfo{
//		Order: miniprogram.OrderKey{TransactionID: "4200001234202611200000000001"}, OpenID: openID,
//		Logistics: miniprogram.LogisticsVirtual, Items: []miniprogram.ShippingItem{{Description: "月卡 × 1"}},
//	})
//	switch miniprogram.ReactionTo(err) { // what to do next, for each code: wait, stop, look, tell a human
//	case miniprogram.ReactionNone, miniprogram.ReactionDone: // WeChat knows
//	…
//
// # Listen
//
// A [Receiver] is the http.Handler behind the address of the message push (消息推送):
//
//	http.Handle("/push", receiver) // made by NewReceiver with a function that stores what came
//
// # What it promises
//
// Nothing goes on in the background, and nothing is repeated but a call whose token was refused. No error and no log holds
// the app secret, an access token, a session key, a code or an openid. No answer is never taken for a yes: see
// [ErrNoAnswer].
package miniprogram

import (
	"context"
	"crypto/tls"
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

// maxAnswer is the largest answer that is read. Most of WeChat's have a few hundred bytes, a page of orders up to 100 of
// them.
const maxAnswer = 1 << 20

// ErrNoAnswer is matched by the error of a request that got no answer that could be read: no connection, a deadline, a
// server error, something that is not WeChat's JSON. The code may be used up.
var ErrNoAnswer = errors.New("no answer from WeChat")

// Secret is the app secret (AppSecret), or the token or the key of the message push. It prints as [secret]; string(s) is
// its text.
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

// WithClock reads the time from now instead of the machine: for [Session.At], the end of a token, the age of data.
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
	tokens *tokens
}

// NewClient checks c and makes a client. It does not touch the network. The error joins all mistakes.
func NewClient(c Config, opts ...Option) (*Client, error) {
	client := &Client{appID: c.AppID, secret: &c.Secret, base: BaseURL, now: time.Now}
	client.tokens = &tokens{client: client, cache: &memoryCache{}}
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
	err := c.send(ctx, request{
		method: http.MethodGet, path: "/sns/jscode2session",
		query: url.Values{
			"appid":      {c.appID},
			"secret":     {string(*c.secret)},
			"js_code":    {code},
			"grant_type": {"authorization_code"},
		},
		hide: []string{"js_code", code},
	}, &v)
	if err == nil && v.OpenID == "" {
		err = fmt.Errorf("%w: the answer holds no openid", ErrNoAnswer)
	}
	if err != nil {
		return Session{}, fmt.Errorf("exchange a login code: %w", err)
	}
	return Session{OpenID: v.OpenID, UnionID: v.UnionID, SessionKey: SessionKey(v.SessionKey), At: c.now().UTC()}, nil
}
