package sandbox

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed phone
var phoneFiles embed.FS

// phonePolicy lets the page load from its own origin alone, and no inline script or style. What the shop's service
// answers goes through the page's origin, so as a document of its own it may do nothing at all.
const (
	phonePolicy   = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
	servicePolicy = "default-src 'none'; frame-ancestors 'none'; sandbox"
)

// maxPhoneBody bounds what the phone sends to the service and what it takes from it.
const maxPhoneBody = 1 << 20

const servicePrefix = "/phone/service"

// phone is the page with the phone, and its way to the shop's service.
type phone struct {
	sandbox *Sandbox
	proxy   *httputil.ReverseProxy

	mu     sync.Mutex
	orders map[string]string // the service's order id → the out_trade_no under which WeChat knows it
}

// newPhone is the page with the phone, under /phone: a small shop as a buyer sees it, and beside it all that happens to
// the payment. The page talks to the control API, and through /phone/service/mp/v1/ to the service of [Sandbox.Service].
func newPhone(s *Sandbox) http.Handler {
	p := &phone{sandbox: s, orders: map[string]string{}}
	p.proxy = &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		ModifyResponse: p.answered,
		ErrorHandler:   p.unreachable,
		// Long polls hold a connection each; a proxy of the environment has no business between two local programs.
		Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /phone", p.page)
	mux.Handle("GET /phone/{$}", http.RedirectHandler("/phone", http.StatusMovedPermanently))
	mux.HandleFunc("GET /phone/assets/{version}/{file}", servePhoneAsset)
	mux.HandleFunc(servicePrefix+"/", p.serve)
	return mux
}

// The page

type phoneAsset struct {
	kind   string // media type
	body   []byte
	packed []byte // gzip
}

type phoneBuild struct {
	version string // of all assets together: it is in their addresses, so that they may be kept for ever
	assets  map[string]phoneAsset
	modules []string // to be fetched at once, instead of one import after the other
	page    *template.Template
}

// phoneAssets reads what is embedded, once. The files are part of the program: an error is a broken build.
var phoneAssets = sync.OnceValue(func() phoneBuild {
	b := phoneBuild{assets: map[string]phoneAsset{}}
	sum := sha256.New()
	entries, err := fs.ReadDir(phoneFiles, "phone")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		name := e.Name()
		body, err := phoneFiles.ReadFile("phone/" + name)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(body))
		sum.Write(body)
		if name == "index.html" {
			b.page = template.Must(template.New(name).Parse(string(body)))
			continue
		}
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is valid
		if _, err := z.Write(body); err != nil {
			panic(err)
		}
		if err := z.Close(); err != nil {
			panic(err)
		}
		b.assets[name] = phoneAsset{kind: phoneTypes[path.Ext(name)], body: body, packed: packed.Bytes()}
		if strings.HasSuffix(name, ".js") && name != "app.js" {
			b.modules = append(b.modules, name)
		}
	}
	b.version = hex.EncodeToString(sum.Sum(nil))[:12]
	return b
})

// phoneTypes are spelled out, because the system's own table may lack or change them.
var phoneTypes = map[string]string{
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".json": "application/json; charset=utf-8",
	".svg":  "image/svg+xml",
}

func (p *phone) page(w http.ResponseWriter, r *http.Request) {
	lang := phoneLanguage(r)
	view := struct {
		Lang, Theme, Title, Assets, Catalog, Service string
		Modules                                      []string
	}{
		Lang: "zh-CN", Title: "分毫 · 模拟器", Catalog: lang + ".json", Service: p.sandbox.Service(),
		Assets: "/phone/assets/" + phoneAssets().version, Modules: phoneAssets().modules,
	}
	if lang == "en" {
		view.Lang, view.Title = "en", "Fenhao · Emulator"
	}
	if c, err := r.Cookie("fenhao_theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		view.Theme = c.Value
	}
	var page bytes.Buffer
	if err := phoneAssets().page.Execute(&page, view); err != nil {
		p.sandbox.log.Error("the phone's page can't be made", "error", err)
		http.Error(w, "the page can't be made", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", phonePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Language, Cookie")
	_, _ = w.Write(page.Bytes()) // the reader is gone
}

// phoneLanguage is zh or en: as chosen on the page before, else as the browser prefers, else zh.
func phoneLanguage(r *http.Request) string {
	if c, err := r.Cookie("fenhao_lang"); err == nil && (c.Value == "zh" || c.Value == "en") {
		return c.Value
	}
	best, weight := "zh", 0
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		lang, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if lang != "zh" && lang != "en" {
			continue
		}
		q := 1000 // thousandths: a weight has at most three decimals (RFC 9110, 12.4.2)
		if v, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
			whole, decimals, _ := strings.Cut(v, ".")
			var err error
			if q, err = strconv.Atoi(whole + (decimals + "000")[:3]); err != nil {
				continue
			}
		}
		if q > weight {
			best, weight = lang, q
		}
	}
	return best
}

func servePhoneAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := phoneAssets().assets[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", phonePolicy)
	h.Set("Vary", "Accept-Encoding")
	// A page that was open while the program was replaced still asks by its own version; what it gets is newer.
	if r.PathValue("version") == phoneAssets().version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-store")
	}
	body := a.body
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.packed
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the reader is gone
}

// The way to the service

// shopCall is one request of the phone to the service, while it is under way.
type shopCall struct {
	target *url.URL
	path   string // as the service sees it, with its query
	body   []byte
	token  string // never to be shown
	began  time.Time
}

type shopCallKey struct{}

// serve passes a request of the mini program on to the service. Only /mp/v1/ is the mini program's; everything else of
// the service stays out of the page's reach.
func (p *phone) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", servicePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	to := strings.TrimPrefix(r.URL.Path, servicePrefix)
	// A path with escapes or dots in it might be another one to the service.
	if !strings.HasPrefix(to, "/mp/v1/") || path.Clean(to) != to || r.URL.RawPath != "" || r.URL.EscapedPath() != r.URL.Path {
		phoneProblem(w, http.StatusNotFound, "not_found", "only /mp/v1/ of the service is reachable from the phone", "")
		return
	}
	service := p.sandbox.Service()
	if service == "" {
		phoneProblem(w, http.StatusBadGateway, "service_missing",
			"the sandbox does not know the shop's service: start it with --service http://127.0.0.1:8080", "")
		return
	}
	target, err := url.Parse(service)
	if err != nil || target.Host == "" {
		phoneProblem(w, http.StatusBadGateway, "service_unreachable", "the service's address "+strconv.Quote(service)+" is no URL", service)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPhoneBody))
	if err != nil {
		phoneProblem(w, http.StatusRequestEntityTooLarge, "body_too_large", "a mini program's request has at most 1 MiB", "")
		return
	}
	call := &shopCall{target: target, path: to, body: body, began: time.Now()}
	if r.URL.RawQuery != "" {
		call.path += "?" + r.URL.RawQuery
	}
	_, call.token, _ = strings.Cut(r.Header.Get("Authorization"), " ")
	r = r.WithContext(context.WithValue(r.Context(), shopCallKey{}, call))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	p.proxy.ServeHTTP(w, r)
}

// shopHeaders are what wx.request sends that means something to a service. Cookies stay behind: the page shares its host
// name with other local programs, and so their cookies.
var shopHeaders = []string{"Accept", "Accept-Language", "Authorization", "Content-Type", "Idempotency-Key"}

func (p *phone) rewrite(r *httputil.ProxyRequest) {
	call := r.In.Context().Value(shopCallKey{}).(*shopCall)
	r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, servicePrefix)
	r.SetURL(call.target)
	header := http.Header{}
	for _, name := range shopHeaders {
		if v := r.In.Header.Values(name); len(v) > 0 {
			header[name] = v
		}
	}
	header.Set("User-Agent", "fenhao-sandbox-phone")
	r.Out.Header = header
}

// answered reads the service's answer whole, writes it into the journal, and keeps from it what a page of another origin
// must not set.
func (p *phone) answered(res *http.Response) error {
	call := res.Request.Context().Value(shopCallKey{}).(*shopCall)
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPhoneBody+1))
	_ = res.Body.Close() // read to the end, or given up
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxPhoneBody {
		return errors.New("the answer is longer than 1 MiB")
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	header := http.Header{"Content-Length": {strconv.Itoa(len(body))}}
	for _, name := range []string{"Content-Type", "Idempotent-Replayed", "Request-Id", "Retry-After", "X-Request-Id"} {
		if v := res.Header.Values(name); len(v) > 0 {
			header[http.CanonicalHeaderKey(name)] = v
		}
	}
	p.recordCall(res.Request, call, res.StatusCode, "", fmt.Sprintf("HTTP %d\n%s\n%s", res.StatusCode, headerText(header), call.hide(body)), body)
	res.Header = header
	return nil
}

// unreachable answers for a service that doesn't.
func (p *phone) unreachable(w http.ResponseWriter, r *http.Request, err error) {
	call := r.Context().Value(shopCallKey{}).(*shopCall)
	if r.Context().Err() != nil { // the page was closed or did not want to wait
		p.recordCall(r, call, 0, "gone", "", nil)
		return
	}
	p.recordCall(r, call, http.StatusBadGateway, "service_unreachable", err.Error(), nil)
	phoneProblem(w, http.StatusBadGateway, "service_unreachable", err.Error(), p.sandbox.Service())
}

func phoneProblem(w http.ResponseWriter, status int, code, message, service string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	answer := map[string]string{"code": code, "message": message}
	if service != "" {
		answer["service"] = service
	}
	_ = json.NewEncoder(w).Encode(answer) // the reader is gone
}

func (p *phone) recordCall(r *http.Request, call *shopCall, status int, code, response string, body []byte) {
	header := http.Header{}
	for _, name := range shopHeaders {
		if v := r.Header.Values(name); len(v) > 0 {
			header[name] = v
		}
	}
	if header.Get("Authorization") != "" {
		header.Set("Authorization", "Bearer [token]")
	}
	if status != 0 && code == "" && status >= 400 {
		var problem struct {
			Code string `json:"code"`
		}
		_ = json.Unmarshal(body, &problem) // no JSON, no code
		code = problem.Code
	}
	p.sandbox.record(Entry{
		Kind: "shop", OutTradeNo: p.outTradeNo(call.path, body), Method: r.Method, Path: call.path, Status: status, Code: code,
		Ms:      time.Since(call.began).Milliseconds(),
		Request: r.Method + " " + call.path + "\n" + headerText(header) + "\n" + call.hide(call.body), Response: response,
	})
}

// hide is a body as the journal may show it: without session tokens, the one that the phone sent and the one that a
// login answers with.
func (c *shopCall) hide(body []byte) string {
	text := strings.ToValidUTF8(string(body), "�")
	var answer struct {
		Token string `json:"token"`
	}
	_ = json.Unmarshal(body, &answer) // no JSON, no token
	for _, secret := range []string{c.token, answer.Token} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[token]")
		}
	}
	return text
}

// outTradeNo is the number under which WeChat knows the order that a call is about; "" where it is about none, or about
// one that the service has said nothing of yet.
func (p *phone) outTradeNo(target string, body []byte) string {
	type orderBody struct {
		ID         string `json:"id"`
		OutTradeNo string `json:"out_trade_no"`
	}
	var answer struct {
		orderBody
		Order   orderBody   `json:"order"`
		Data    []orderBody `json:"data"`
		Payment struct {
			Package string `json:"package"`
		} `json:"payment"`
	}
	_ = json.Unmarshal(body, &answer) // no JSON, no order

	p.mu.Lock()
	for _, o := range append(answer.Data, answer.Order, answer.orderBody) {
		if o.ID != "" && o.OutTradeNo != "" {
			if len(p.orders) >= 10_000 {
				clear(p.orders) // what is still of interest is asked for again
			}
			p.orders[o.ID] = o.OutTradeNo
		}
	}
	rest, _, _ := strings.Cut(strings.TrimPrefix(target, "/mp/v1/orders/"), "?")
	id, _, _ := strings.Cut(rest, "/")
	known := p.orders[id]
	p.mu.Unlock()

	for _, o := range []orderBody{answer.Order, answer.orderBody} {
		if o.OutTradeNo != "" {
			return o.OutTradeNo
		}
	}
	if prepay, ok := strings.CutPrefix(answer.Payment.Package, "prepay_id="); ok {
		if number := p.sandbox.outTradeNoOf(prepay); number != "" {
			return number
		}
	}
	return known
}

// outTradeNoOf is the order of a prepay_id; "" when there is none.
func (s *Sandbox) outTradeNoOf(prepayID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.books.prepays[prepayID]; ok {
		return o.OutTradeNo
	}
	return ""
}
