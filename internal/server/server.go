// Package server is Fenhao over HTTP: the mini-program API (/mp/v1), the merchant API (/v1), WeChat's notifications, and
// the health of the process. It sees the use cases of package pay and nothing behind them.
//
// The APIs are described by the code that serves them: /openapi.json. Errors are RFC 9457 problems with a stable code
// and a sentence, in Chinese or English, that says what to do. [New] makes an http.Handler; what listens, and the time
// limits of connections, are its caller's.
package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// maxBody bounds the body of a request to our APIs, in bytes.
const maxBody = 256 << 10

// Notifications verifies what WeChat sends.
type Notifications interface {
	// ParseNotification verifies, decrypts and reads a notification that came to the address of one merchant, from its
	// headers and its raw body. Its errors: pay.ErrUnknownMerchant; pay.ErrUnverified; anything else means that it is
	// WeChat's but can't be read now (a wrong APIv3 key, say), and should come again.
	ParseNotification(ctx context.Context, merchantID string, header http.Header, body []byte) (pay.Notice, error)
}

// Config is what a Server works with. All fields but Log are needed.
type Config struct {
	Cashier       *pay.Cashier
	Notifications Notifications
	Ready         func(context.Context) error // nil error: able to serve
	Log           *slog.Logger                // nil means slog.Default
	Version       string
}

// Server is the service's http.Handler.
type Server struct {
	cashier       *pay.Cashier
	notifications Notifications
	ready         func(context.Context) error
	log           *slog.Logger
	mux           *http.ServeMux
}

// New returns a Server. It starts nothing.
func New(c Config) *Server {
	s := &Server{cashier: c.Cashier, notifications: c.Notifications, ready: c.Ready, log: c.Log, mux: http.NewServeMux()}
	if s.log == nil {
		s.log = slog.Default()
	}
	api := humago.New(s.mux, apiConfig(c.Version))
	s.miniProgram(api)
	s.merchant(api)
	s.mux.HandleFunc("POST /notify/wechat/{merchant_id}/v3", s.notifyV3)
	s.mux.HandleFunc("GET /livez", s.live)
	s.mux.HandleFunc("GET /healthz", s.live)
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.HandleFunc("GET /console/", s.console)
	s.mux.HandleFunc("/", s.notFound)
	return s
}

func apiConfig(version string) huma.Config {
	c := huma.DefaultConfig("Fenhao 分毫", version)
	c.Info.Description = "WeChat Pay for mini programs, safely. 小程序微信支付服务。Amounts are integer fen 金额是以分为单位的整数; times are RFC 3339."
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	c.DocsPath, c.SchemasPath = "", ""
	c.CreateHooks = nil // no $schema in answers: they are what the contract says and nothing more
	c.RejectUnknownQueryParameters = true
	c.Formats = map[string]huma.Format{"application/json": {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}, "json": {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "http", Scheme: "bearer", Description: "a session token from POST /mp/v1/login 登录后得到的会话令牌"},
		"apiKey":  {Type: "http", Scheme: "bearer", Description: "an API key, fk_… 商户 API 密钥"},
	}
	return c
}

// register adds an operation with what all of them share.
func register[I, O any](api huma.API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.MaxBodyBytes = maxBody + 1 // the framework refuses a body that reaches its limit; ours may
	op.Metadata = map[string]any{"registry": api.OpenAPI().Components.Schemas}
	huma.Register(api, op, handler)
}

// about is what is known of every request.
type about struct {
	id   string // req_…
	lang string // zh or en
}

type aboutKey struct{}

func aboutOf(ctx context.Context) about {
	a, _ := ctx.Value(aboutKey{}).(about)
	return a
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	a := about{id: "req_" + strings.ToLower(rand.Text()), lang: language(r.Header.Get("Accept-Language"))}
	r = r.WithContext(context.WithValue(r.Context(), aboutKey{}, a))
	w.Header().Set("Request-Id", a.id)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	seen := &watched{ResponseWriter: w}
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.log.ErrorContext(r.Context(), "panic", "request", a.id, "panic", p, "stack", string(debug.Stack()))
			if seen.status == 0 {
				s.write(seen, newProblem(a, codeInternal, nil))
			}
		}
		s.log.InfoContext(r.Context(), "request", "method", r.Method, "route", r.Pattern, "status", seen.status, "ms", time.Since(began).Milliseconds(), "request", a.id)
	}()
	if r.Header.Get("Content-Encoding") != "" { // a few bytes may unfold to gigabytes, and nobody needs to
		s.write(seen, newProblem(a, codeMediaType, nil))
		return
	}
	s.mux.ServeHTTP(seen, r)
}

// watched remembers the status for the log.
type watched struct {
	http.ResponseWriter
	status int
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// language picks zh or en from Accept-Language: the first of the two that stands there. Without either it is Chinese.
func language(accept string) string {
	for part := range strings.SplitSeq(strings.ToLower(accept), ",") {
		switch tag := strings.TrimSpace(part); {
		case strings.HasPrefix(tag, "zh"):
			return "zh"
		case strings.HasPrefix(tag, "en"):
			return "en"
		}
	}
	return "zh"
}

// write answers with a problem outside of the framework.
func (s *Server) write(w http.ResponseWriter, p *problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller is gone; nothing to tell
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	code := codeNotFound
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := s.mux.Handler(other); pattern != "/" && pattern != "" {
			w.Header().Add("Allow", method)
			code = codeMethod
		}
	}
	s.write(w, newProblem(aboutOf(r.Context()), code, nil))
}

func (s *Server) live(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		s.log.ErrorContext(ctx, "not ready", "err", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "[-]database")
		return
	}
	fmt.Fprintln(w, "[+]database ok")
}

// console tells where to look until there are pages: the address is part of what `fenhao dev` prints.
func (s *Server) console(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintln(w, phrase.Say(
		"这个版本还没有管理后台。同样的内容可用商户 API 查看：GET /v1/orders、GET /v1/events（Authorization: Bearer fk_…），见 /openapi.json。",
		"This version has no console yet. The merchant API shows the same: GET /v1/orders, GET /v1/events (Authorization: Bearer fk_…), see /openapi.json.",
	).In(aboutOf(r.Context()).lang))
}
