package sandbox

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPhonePageLoadsOnlyFromItself(t *testing.T) {
	t.Parallel()
	server := servePhone(t, "http://127.0.0.1:8080")
	page, header := getPhone(t, server.URL+"/phone", nil)
	if got := header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("page has type %q", got)
	}
	policy := header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'self'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("policy %q", policy)
	}
	if strings.Contains(page, "<style") || regexp.MustCompile(`<script(\s[^>]*)?>[^<]`).MatchString(page) || regexp.MustCompile(`\son\w+=|\sstyle=`).MatchString(page) {
		t.Errorf("the page has inline script or style:\n%s", page)
	}
	if !strings.Contains(page, `data-service="http://127.0.0.1:8080"`) {
		t.Errorf("the page does not know the service:\n%s", page)
	}

	addresses := regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(addresses) < 5 {
		t.Fatalf("only %d addresses in the page:\n%s", len(addresses), page)
	}
	types := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
		".svg": "image/svg+xml", ".json": "application/json; charset=utf-8"}
	for _, a := range addresses {
		if !strings.HasPrefix(a[1], "/phone/assets/") {
			t.Errorf("the page loads %s", a[1])
			continue
		}
		body, header := getPhone(t, server.URL+a[1], nil)
		if got, want := header.Get("Content-Type"), types[path.Ext(a[1])]; got != want || want == "" {
			t.Errorf("%s has type %q, want %q", a[1], got, want)
		}
		if !strings.Contains(header.Get("Cache-Control"), "immutable") || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s has headers %v", a[1], header)
		}
		packed, header := getPhone(t, server.URL+a[1], http.Header{"Accept-Encoding": {"gzip"}})
		if header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is not compressed", a[1])
			continue
		}
		z, err := gzip.NewReader(strings.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := io.ReadAll(z); err != nil || string(plain) != body {
			t.Errorf("%s is another file when compressed (%v)", a[1], err)
		}
	}
}

func TestPhoneImportsOnlyWhatItHas(t *testing.T) {
	t.Parallel()
	imports := regexp.MustCompile(`(?m)^(?:import|export) [^;]*? from '([^']*)'|^\} from '([^']*)'|import\(`)
	outside := regexp.MustCompile(`(?:https?:)?//[a-z0-9-]+\.[a-z]`)
	for name, a := range phoneAssets().assets {
		for _, m := range imports.FindAllStringSubmatch(string(a.body), -1) {
			file := strings.TrimPrefix(m[1]+m[2], "./")
			if _, ok := phoneAssets().assets[file]; !ok {
				t.Errorf("%s imports %q", name, m[0])
			}
		}
		for line := range strings.Lines(string(a.body)) {
			if outside.MatchString(strings.ReplaceAll(line, "http://www.w3.org/", "")) {
				t.Errorf("%s speaks of another origin: %s", name, line)
			}
		}
	}
}

func TestPhoneStaysSmall(t *testing.T) {
	t.Parallel()
	budgets := map[string]int{".js": 40 << 10, ".css": 12 << 10, ".json": 10 << 10}
	sizes := map[string]int{}
	for name, a := range phoneAssets().assets {
		sizes[path.Ext(name)] += len(a.packed)
	}
	for kind, budget := range budgets {
		if got := sizes[kind]; got == 0 || got > budget {
			t.Errorf("all %s files together are %d bytes compressed, want 1 to %d", kind, got, budget)
		}
	}
}

// Chrome 109 is the last one for Windows 7 and 8.1. Source: MDN's browser compatibility data.
func TestPhoneRunsInOldBrowsers(t *testing.T) {
	t.Parallel()
	css := string(phoneAssets().assets["phone.css"].body)
	for _, banned := range []string{"light-dark(", "color-mix(", ":has(", "@starting-style", "anchor-name", "position-anchor", "field-sizing",
		"popover", "@scope", "text-wrap", "&"} {
		if strings.Contains(css, banned) {
			t.Errorf("phone.css uses %s, which browsers of 2023 lack", banned)
		}
	}
	for name, a := range phoneAssets().assets {
		if !strings.HasSuffix(name, ".js") {
			continue
		}
		for _, banned := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "new Function", "Promise.withResolvers",
			"toSorted", "toSpliced", "Object.groupBy", "AbortSignal.any", "showPopover", "document.write", "setAttribute('style'"} {
			if bytes.Contains(a.body, []byte(banned)) {
				t.Errorf("%s uses %s", name, banned)
			}
		}
	}
}

func TestPhoneWordsInBothLanguages(t *testing.T) {
	t.Parallel()
	words := map[string]map[string]string{}
	for _, lang := range []string{"zh", "en"} {
		catalog := map[string]string{}
		if err := json.Unmarshal(phoneAssets().assets[lang+".json"].body, &catalog); err != nil {
			t.Fatal(err)
		}
		words[lang] = catalog
	}
	holes := regexp.MustCompile(`\{\w+\}`)
	for key, zh := range words["zh"] {
		en, ok := words["en"][key]
		if !ok {
			t.Errorf("en.json lacks %s", key)
			continue
		}
		a, b := holes.FindAllString(zh, -1), holes.FindAllString(en, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
			t.Errorf("%s fills in %v in zh, %v in en", key, a, b)
		}
		if strings.TrimSpace(zh) == "" || strings.TrimSpace(en) == "" {
			t.Errorf("%s is empty", key)
		}
	}
	for key := range words["en"] {
		if _, ok := words["zh"][key]; !ok {
			t.Errorf("zh.json lacks %s", key)
		}
	}

	var code strings.Builder
	for name, a := range phoneAssets().assets {
		if strings.HasSuffix(name, ".js") {
			code.Write(a.body)
		}
	}
	// Names that are given whole, in a call of t or in a table, and the beginnings of those put together.
	for _, m := range regexp.MustCompile(`\bt\('([a-z_.]+)'\s*[,)]|'((?:shop|call)\.[a-z_]+)'`).FindAllStringSubmatch(code.String(), -1) {
		if key := m[1] + m[2]; words["zh"][key] == "" {
			t.Errorf("the page says %s, which no catalog has", key)
		}
	}
	var prefixes []string
	for _, m := range regexp.MustCompile(`'([a-z_]+\.)' \+`).FindAllStringSubmatch(code.String(), -1) {
		prefixes = append(prefixes, m[1])
	}
	for key := range words["zh"] {
		made := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
		if !made && !strings.Contains(code.String(), "'"+key+"'") {
			t.Errorf("nothing says %s", key)
		}
	}
	for _, prefix := range prefixes {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(words["zh"])), func(k string) bool { return strings.HasPrefix(k, prefix) }) {
			t.Errorf("the page says %s…, of which no catalog has any", prefix)
		}
	}
}

func TestPhoneSpeaksTheReadersLanguage(t *testing.T) {
	t.Parallel()
	server := servePhone(t, "")
	for name, c := range map[string]struct{ accept, cookie, want string }{
		"nothing known":       {"", "", "zh-CN"},
		"Chinese":             {"zh-CN,zh;q=0.9,en;q=0.8", "", "zh-CN"},
		"English":             {"en-GB,en;q=0.9", "", "en"},
		"English preferred":   {"zh;q=0.4,en;q=0.7", "", "en"},
		"neither":             {"fr-FR,de;q=0.5", "", "zh-CN"},
		"second choice":       {"fr-FR,en;q=0.5", "", "en"},
		"equal, in order":     {"en;q=0.8,zh;q=0.80", "", "en"},
		"fine weights":        {"zh;q=0.799,en;q=0.8", "", "en"},
		"a broken weight":     {"en;q=high,zh;q=0.1", "", "zh-CN"},
		"ruled out":           {"en;q=0", "", "zh-CN"},
		"chosen on the page":  {"zh-CN", "fenhao_lang=en", "en"},
		"a cookie of no kind": {"en", "fenhao_lang=xx", "en"},
	} {
		page, _ := getPhone(t, server.URL+"/phone", http.Header{"Accept-Language": {c.accept}, "Cookie": {c.cookie}})
		if !strings.Contains(page, `<html lang="`+c.want+`"`) {
			t.Errorf("%s: got %.80s, want %s", name, page, c.want)
		}
	}
	page, _ := getPhone(t, server.URL+"/phone", http.Header{"Cookie": {"fenhao_theme=dark"}})
	if !strings.Contains(page, `data-theme="dark"`) {
		t.Errorf("the chosen appearance is not kept: %.120s", page)
	}
	page, _ = getPhone(t, server.URL+"/phone", http.Header{"Cookie": {`fenhao_theme=x"onload=y`}})
	if strings.Contains(page, "data-theme") || strings.Contains(page, "onload") {
		t.Errorf("a cookie writes into the page: %.120s", page)
	}
}

// shopService plays the shop's service and keeps what reached it.
type shopService struct {
	*httptest.Server
	got chan *http.Request
}

const shopToken = "mps_secret_session_token"

func newShopService(t *testing.T) *shopService {
	s := &shopService{got: make(chan *http.Request, 100)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.got <- r
		http.SetCookie(w, &http.Cookie{Name: "service", Value: "1"})
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Security-Policy", "default-src *")
		switch r.URL.Path {
		case "/base/mp/v1/login":
			_, _ = io.WriteString(w, `{"token":"`+shopToken+`","user":{"id":"usr_1"}}`)
		case "/base/mp/v1/orders":
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"order":{"id":"ord_1","out_trade_no":"T0001"},"payment":{"package":"prepay_id=unknown"},"echo":"`+r.Header.Get("Authorization")+`"}`)
		case "/base/mp/v1/orders/ord_1/payment":
			_, _ = io.WriteString(w, `{"payment":{"package":"prepay_id=unknown"}}`)
		case "/base/mp/v1/orders/ord_2":
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"code":"order_not_found","detail":"no such order"}`)
		default:
			_, _ = io.WriteString(w, `{"data":[]}`)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestPhoneReachesOnlyTheMiniProgramAPI(t *testing.T) {
	t.Parallel()
	service := newShopService(t)
	server := servePhone(t, service.URL+"/base")
	for _, p := range []string{
		"/v1/orders", "/", "/mp/v1", "/mp/v2/orders", "/console/", "/metrics", "/mp/v1/../../v1/orders", "/mp/v1/%2e%2e/%2e%2e/v1/orders",
		"/mp/v1/..%2f..%2fv1/orders", "/mp/v1//orders", "/mp/v1/./orders", "/mp/v1/orders%3fx", "/notify/wechat/1900000001/v3", "/mp/v1/a%5c..%5c",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			status, body, _ := callPhone(t, server, method, "/phone/service"+p, "", nil)
			if status/100 == 2 || strings.Contains(body, "data") {
				t.Errorf("%s %s: got %d %s", method, p, status, body)
			}
		}
	}
	if n := len(service.got); n != 0 {
		t.Fatalf("%d requests reached the service, the first for %s", n, (<-service.got).URL)
	}

	status, body, _ := callPhone(t, server, http.MethodGet, "/phone/service/mp/v1/products?limit=50", "", nil)
	if status != http.StatusOK || body != `{"data":[]}` {
		t.Fatalf("products: got %d %s", status, body)
	}
	if got := (<-service.got).URL.String(); got != "/base/mp/v1/products?limit=50" {
		t.Errorf("the service was asked for %s", got)
	}
}

func TestPhonePassesOnWhatAMiniProgramSends(t *testing.T) {
	t.Parallel()
	service := newShopService(t)
	server := servePhone(t, service.URL+"/base/")
	sent := http.Header{
		"Authorization": {"Bearer " + shopToken}, "Idempotency-Key": {"k1"}, "Content-Type": {"application/json"}, "Accept-Language": {"en"},
		"Cookie": {"console=secret"}, "Referer": {"http://elsewhere/"}, "X-Forwarded-For": {"10.0.0.1"}, "X-Wx-Openid": {"o1"},
	}
	_, _, header := callPhone(t, server, http.MethodPost, "/phone/service/mp/v1/orders", `{"items":[]}`, sent)
	got := <-service.got
	for _, name := range []string{"Authorization", "Idempotency-Key", "Content-Type", "Accept-Language"} {
		if got.Header.Get(name) != sent.Get(name) {
			t.Errorf("%s: the service got %q, want %q", name, got.Header.Get(name), sent.Get(name))
		}
	}
	for _, name := range []string{"Cookie", "Referer", "X-Forwarded-For", "X-Wx-Openid"} {
		if v := got.Header.Get(name); v != "" {
			t.Errorf("the service got %s: %s", name, v)
		}
	}
	if header.Get("Set-Cookie") != "" {
		t.Error("the service could set a cookie")
	}
	if got := header.Get("Content-Security-Policy"); !strings.Contains(got, "sandbox") || strings.Contains(got, "*") {
		t.Errorf("an answer of the service has the policy %q", got)
	}
}

func TestPhoneCallsAreInTheJournalWithoutTokens(t *testing.T) {
	t.Parallel()
	service := newShopService(t)
	server := servePhone(t, service.URL+"/base")
	bearer := http.Header{"Authorization": {"Bearer " + shopToken}}
	callPhone(t, server, http.MethodPost, "/phone/service/mp/v1/login", `{"app_id":"wx1","code":"c"}`, nil)
	callPhone(t, server, http.MethodPost, "/phone/service/mp/v1/orders", `{"items":[],"note":"`+shopToken+`"}`, bearer)
	callPhone(t, server, http.MethodPost, "/phone/service/mp/v1/orders/ord_1/payment", "", bearer)
	callPhone(t, server, http.MethodGet, "/phone/service/mp/v1/orders/ord_2", "", bearer)

	calls := phoneJournal(t, server)
	if len(calls) != 4 {
		t.Fatalf("%d calls in the journal, want 4: %+v", len(calls), calls)
	}
	all, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(all), shopToken) {
		t.Errorf("the journal holds the token: %s", all)
	}
	if got := strings.Count(string(all), "[token]"); got < 5 {
		t.Errorf("the journal marks %d tokens as hidden: %s", got, all)
	}
	for i, want := range []phoneEntry{
		{Method: "POST", Path: "/mp/v1/login", Status: 200},
		{Method: "POST", Path: "/mp/v1/orders", Status: 201, OutTradeNo: "T0001"},
		{Method: "POST", Path: "/mp/v1/orders/ord_1/payment", Status: 200, OutTradeNo: "T0001"},
		{Method: "GET", Path: "/mp/v1/orders/ord_2", Status: 404, Code: "order_not_found"},
	} {
		got := calls[i]
		if got.Method != want.Method || got.Path != want.Path || got.Status != want.Status || got.OutTradeNo != want.OutTradeNo || got.Code != want.Code {
			t.Errorf("call %d: got %+v, want %+v", i, got, want)
		}
	}
	if !strings.Contains(calls[1].Request, `{"items":[]`) || !strings.Contains(calls[1].Response, `"out_trade_no":"T0001"`) {
		t.Errorf("the journal lacks what was said: %+v", calls[1])
	}
}

func TestPhoneSaysThatTheServiceIsMissing(t *testing.T) {
	t.Parallel()
	const address = "http://127.0.0.1:1" // a port that nobody takes; one just freed might be taken again
	for name, c := range map[string]struct{ service, code string }{
		"no address":    {"", "service_missing"},
		"nobody there":  {address, "service_unreachable"},
		"not a URL":     {"127.0.0.1", "service_unreachable"},
		"a broken URL":  {"http://[::1", "service_unreachable"},
		"another world": {"gopher://127.0.0.1:1", "service_unreachable"},
	} {
		server := servePhone(t, c.service)
		status, body, header := callPhone(t, server, http.MethodGet, "/phone/service/mp/v1/products", "", nil)
		var answer struct{ Code, Message, Service string }
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Errorf("%s: %v in %s", name, err, body)
		}
		if status != http.StatusBadGateway || answer.Code != c.code || answer.Message == "" || answer.Service != c.service {
			t.Errorf("%s: got %d %s", name, status, body)
		}
		if got := header.Get("Content-Type"); got != "application/json; charset=utf-8" {
			t.Errorf("%s: type %s", name, got)
		}
	}
}

func TestPhoneRefusesLongBodies(t *testing.T) {
	t.Parallel()
	service := newShopService(t)
	server := servePhone(t, service.URL+"/base")
	status, body, _ := callPhone(t, server, http.MethodPost, "/phone/service/mp/v1/orders", strings.Repeat("x", maxPhoneBody+1), nil)
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d %s", status, body)
	}
	if len(service.got) != 0 {
		t.Error("the service got it")
	}
}

// servePhone starts a sandbox whose phone talks to service.
func servePhone(t *testing.T, service string) *httptest.Server {
	t.Helper()
	s, err := New(Options{Service: service, Seed: 1, Merchants: []Merchant{oneMerchant()}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

type phoneEntry struct {
	Kind       string `json:"kind"`
	OutTradeNo string `json:"out_trade_no"`
	Method     string `json:"method"`
	Path       string `json:"path"`
	Status     int    `json:"status"`
	Code       string `json:"code"`
	Request    string `json:"request"`
	Response   string `json:"response"`
}

// phoneJournal is what the control API says of the phone's calls.
func phoneJournal(t *testing.T, server *httptest.Server) []phoneEntry {
	t.Helper()
	var list struct{ Data []phoneEntry }
	body, _ := getPhone(t, server.URL+"/sandbox/v1/journal?after=0", nil)
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list.Data, func(e phoneEntry) bool { return e.Kind != "shop" })
}

func getPhone(t *testing.T, address string, header http.Header) (string, http.Header) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{URL: u.Scheme + "://" + u.Host}
	status, body, answered := callPhone(t, server, http.MethodGet, u.RequestURI(), "", header)
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", address, status, body)
	}
	return body, answered
}

// callPhone sends target as it stands, dots and escapes included.
func callPhone(t *testing.T, server *httptest.Server, method, target, body string, header http.Header) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	p, query, _ := strings.Cut(target, "?")
	r.URL.Opaque, r.URL.RawQuery = p, query
	for name, values := range header {
		if len(values) > 0 && values[0] != "" {
			r.Header[name] = values
		}
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}
