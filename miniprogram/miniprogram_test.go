package miniprogram_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/fenhao-pay/fenhao/miniprogram"
)

const (
	appID  = "wx8888888888888888"
	secret = "0123456789abcdef0123456789abcdef"
	code   = "0e3YzP0w3RfH1x2abcdEFGH3w30YzP0w"
	openID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
	rid    = "6166f719-3a1b2c3d-4e5f6a7b"
)

var start = time.Date(2026, 11, 20, 16, 0, 0, 0, time.FixedZone("", 8*3600))

func newClient(t *testing.T, url string, opts ...miniprogram.Option) *miniprogram.Client {
	t.Helper()
	opts = append([]miniprogram.Option{miniprogram.WithBaseURL(url), miniprogram.WithClock(func() time.Time { return start })}, opts...)
	c, err := miniprogram.NewClient(miniprogram.Config{AppID: appID, Secret: secret}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answering is a server that answers any request with one text.
func answering(t *testing.T, status int, body string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain") // as WeChat does
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestCode2Session(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Method != http.MethodGet || r.URL.Path != "/sns/jscode2session" || len(q) != 4 || q.Get("appid") != appID ||
			q.Get("secret") != secret || q.Get("js_code") != code || q.Get("grant_type") != "authorization_code" {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		_, _ = io.WriteString(w, `{"openid":"`+openID+`","session_key":"tiihtNczf5v6AKRyjwEUhQ==","unionid":"o6_bmasdasdsad6_2sgVt7hMZOPfL","expires_in":7200}`)
	}))
	t.Cleanup(s.Close)
	got, err := newClient(t, s.URL).Code2Session(t.Context(), code)
	want := miniprogram.Session{OpenID: openID, UnionID: "o6_bmasdasdsad6_2sgVt7hMZOPfL", SessionKey: "tiihtNczf5v6AKRyjwEUhQ==", At: start.UTC()}
	if err != nil || got != want {
		t.Errorf("Code2Session = %+v, %v", got, err)
	}
	// The errcode of success is 0 or absent, and the union id often is.
	zero := answering(t, 200, `{"errcode":0,"errmsg":"ok","openid":"`+openID+`","session_key":"k"}`)
	if got, err := newClient(t, zero.URL).Code2Session(t.Context(), code); err != nil || got.OpenID != openID || got.UnionID != "" {
		t.Errorf("Code2Session = %+v, %v", got, err)
	}
}

func TestErrcodesAreTyped(t *testing.T) {
	t.Parallel()
	temporary := map[miniprogram.ErrCode]bool{-1: true, 44990: true, 45009: true, 45011: true, 10060012: true, 10060019: true}
	for _, want := range append(miniprogram.Codes(), 99999) {
		for _, status := range []int{200, 412} {
			s := answering(t, status, fmt.Sprintf(`{"errcode":%d,"errmsg":"some text, rid: %s"}`, int(want), rid))
			got, err := newClient(t, s.URL).Code2Session(t.Context(), code)
			var e *miniprogram.Error
			if !errors.As(err, &e) || !errors.Is(err, want) || e.Code != want || e.Message != "some text" || e.RID != rid || got != (miniprogram.Session{}) ||
				e.Temporary() != temporary[want] || errors.Is(err, miniprogram.ErrNoAnswer) {
				t.Errorf("%d: %+v, %v", want, got, err)
			}
		}
	}
	// An errcode counts even where there is an openid.
	s := answering(t, 200, `{"errcode":40029,"openid":"`+openID+`"}`)
	if got, err := newClient(t, s.URL).Code2Session(t.Context(), code); !errors.Is(err, miniprogram.CodeInvalidCode) || got.OpenID != "" {
		t.Errorf("%+v, %v", got, err)
	}
	old := answering(t, 200, `{"errcode":40029,"errmsg":"invalid code, hints: [ req_id: abc ]"}`)
	var e *miniprogram.Error
	if _, err := newClient(t, old.URL).Code2Session(t.Context(), code); !errors.As(err, &e) || e.RID != "abc" || e.Message != "invalid code" {
		t.Errorf("%+v", e)
	}
}

func TestWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"nothing":        {200, ``},
		"HTML":           {200, `<html>`},
		"half":           {200, `{"openid":"o`},
		"no openid":      {200, `{"session_key":"k"}`},
		"empty openid":   {200, `{"openid":"","session_key":"k"}`},
		"openid number":  {200, `{"openid":1}`},
		"list":           {200, `[{"openid":"o"}]`},
		"null":           {200, `null`},
		"500":            {500, `{"openid":"` + openID + `","session_key":"k"}`},
		"502":            {502, `<html>`},
		"redirect":       {302, ``},
		"errcode a text": {200, `{"errcode":"40029"}`},
		"long":           {200, `{"openid":"` + openID + `"}` + strings.Repeat(" ", 1<<20)},
		"10 MB":          {200, strings.Repeat("x", 10<<20)},
	} {
		s := answering(t, c.status, c.body)
		if got, err := newClient(t, s.URL).Code2Session(t.Context(), code); !errors.Is(err, miniprogram.ErrNoAnswer) || got != (miniprogram.Session{}) {
			t.Errorf("%s: %+v, %v, want ErrNoAnswer", name, got, err)
		}
	}
}

// The address of the request holds the secret and the code: no error may hold the address.
func TestErrorsKeepTheSecret(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	hangUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(hangUp.Close)
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"errcode":40029,"errmsg":"invalid %s of %s, rid: %s"}`, r.URL.Query().Get("js_code"), r.URL.Query().Get("secret"), r.URL.Query().Get("secret"))
	}))
	t.Cleanup(echo.Close)
	// A transport that puts the address into its own error.
	talks := newClient(t, hangUp.URL, miniprogram.WithHTTPClient(&http.Client{Transport: talkative{}}))
	if _, err := talks.Code2Session(t.Context(), code); !errors.Is(err, miniprogram.ErrNoAnswer) || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), code) {
		t.Errorf("a talkative transport: %v", err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		url string
		ctx context.Context
	}{
		"nobody listens": {"http://" + closed.Addr().String(), t.Context()},
		"hung up":        {hangUp.URL, t.Context()},
		"cancelled":      {hangUp.URL, done},
		"no such name":   {"http://pay.invalid", t.Context()},
		"not TLS":        {strings.Replace(hangUp.URL, "http:", "https:", 1), t.Context()},
		"echo":           {echo.URL, t.Context()},
	} {
		_, err := newClient(t, c.url).Code2Session(c.ctx, code)
		if err == nil || name != "echo" && !errors.Is(err, miniprogram.ErrNoAnswer) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.ctx == done && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v does not wrap the context's error", name, err)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, secret) || strings.Contains(text, code) {
				t.Errorf("%s: the error tells a secret: %s", name, text)
			}
		}
	}
}

func TestSecretsPrintAsSecret(t *testing.T) {
	t.Parallel()
	config := miniprogram.Config{AppID: appID, Secret: secret}
	session := miniprogram.Session{OpenID: openID, SessionKey: "tiihtNczf5v6AKRyjwEUhQ=="}
	client := newClient(t, "http://127.0.0.1:1")
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("x", "secret", config.Secret, "key", session.SessionKey, "config", config, "session", session)
	asJSON, err := json.Marshal([]any{config, session})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		fmt.Sprintf("%v %+v %#v %s", config, config, config, config.Secret), fmt.Sprintf("%v %+v %#v %q %x", session, session, session, session.SessionKey, session.SessionKey),
		fmt.Sprintf("%v %+v %#v", client, client, client), fmt.Sprintf("%v %+v", *client, *client), log.String(), string(asJSON),
	} {
		for _, bad := range []string{secret, "tiihtNczf5v6AKRyjwEUhQ", fmt.Sprintf("%x", secret), fmt.Sprintf("%x", "tiihtNczf5v6AKRyjwEUhQ==")} {
			if strings.Contains(s, bad) {
				t.Errorf("%s is printed in %s", bad, s)
			}
		}
	}
	if !strings.Contains(log.String(), "[secret]") || string(config.Secret) != secret {
		t.Errorf("log %s", log.String())
	}
}

func TestMistakesAreFoundBeforeARequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]miniprogram.Config{
		"no app id":         {Secret: secret},
		"original id":       {AppID: "gh_0123456789ab", Secret: secret},
		"blank in app id":   {AppID: "wx 88", Secret: secret},
		"no secret":         {AppID: appID},
		"blank in secret":   {AppID: appID, Secret: secret + "\n"},
		"unexpanded secret": {AppID: appID, Secret: "${SECRET}"},
	} {
		if _, err := miniprogram.NewClient(c); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, o := range []miniprogram.Option{miniprogram.WithBaseURL("x"), miniprogram.WithBaseURL("https://x/y"), miniprogram.WithBaseURL("https://x?secret=1"),
		miniprogram.WithHTTPClient(nil), miniprogram.WithClock(nil)} {
		if _, err := miniprogram.NewClient(miniprogram.Config{AppID: appID, Secret: secret}, o); err == nil {
			t.Error("a broken option is accepted")
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") }))
	t.Cleanup(s.Close)
	for _, bad := range []string{"", strings.Repeat("x", 513)} {
		if _, err := newClient(t, s.URL).Code2Session(t.Context(), bad); !errors.Is(err, miniprogram.CodeMissingCode) {
			t.Errorf("a code of %d bytes: %v", len(bad), err)
		}
	}
}

func TestCodesAreEscaped(t *testing.T) {
	t.Parallel()
	const strange = "a&secret=x#?/ 分\x00"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("js_code") != strange || len(r.URL.Query()["secret"]) != 1 {
			t.Errorf("query %s", r.URL.RawQuery)
		}
		_, _ = io.WriteString(w, `{"openid":"o"}`)
	}))
	t.Cleanup(s.Close)
	if _, err := newClient(t, s.URL).Code2Session(t.Context(), strange); err != nil {
		t.Error(err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			t.Error("the secret was sent elsewhere")
		}
		http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusFound)
	}))
	t.Cleanup(s.Close)
	following := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	if _, err := newClient(t, s.URL, miniprogram.WithHTTPClient(following)).Code2Session(t.Context(), code); !errors.Is(err, miniprogram.ErrNoAnswer) {
		t.Error(err)
	}
}

func TestEveryCodeHasAHintInBothLanguages(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(f, func(n ast.Node) bool {
		d, ok := n.(*ast.GenDecl)
		if !ok || d.Tok != token.CONST {
			return true
		}
		for _, spec := range d.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok && v.Type != nil {
				if id, ok := v.Type.(*ast.Ident); ok && id.Name == "ErrCode" {
					declared += len(v.Names)
				}
			}
		}
		return true
	})
	if declared != len(miniprogram.Codes()) || declared < 74 {
		t.Errorf("%d constants and %d hints", declared, len(miniprogram.Codes()))
	}
	fallback := (&miniprogram.Error{Code: 99999}).Hint("en")
	for _, c := range miniprogram.Codes() {
		e := &miniprogram.Error{Code: c}
		zh, en := e.Hint("zh-CN"), e.Hint("en")
		if en == fallback || zh == en || strings.IndexFunc(zh, func(r rune) bool { return unicode.Is(unicode.Han, r) }) < 0 {
			t.Errorf("%d: hints %q and %q", c, zh, en)
		}
		if !strings.Contains(e.Error(), strconv.Itoa(int(c))) {
			t.Errorf("%d: %s", c, e)
		}
	}
}

// Whatever the answer is, there is an openid or an error, and the error is one line without a secret.
func FuzzCode2Session(f *testing.F) {
	for _, s := range []string{`{"openid":"o","session_key":"k"}`, `{"errcode":40029,"errmsg":"invalid code, rid: x"}`, `{"errcode":-1}`, ``, `null`, `{"errcode":1e3}`,
		`{"errcode":40029,"errmsg":"` + secret + `\r\nrid: ` + code + `"}`, `{"OPENID":"o"}`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := newClient(t, "http://wechat.invalid", miniprogram.WithHTTPClient(&http.Client{Transport: canned(body)}))
		s, err := c.Code2Session(t.Context(), code)
		if (err == nil) != (s.OpenID != "") {
			t.Errorf("%+v, %v", s, err)
		}
		if err != nil && (strings.ContainsAny(err.Error(), "\r\n") || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), code)) {
			t.Errorf("%q", err)
		}
	})
}

type talkative struct{}

func (talkative) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("GET %s failed", r.URL)
}

type canned []byte

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(c)), Request: r}, nil
}

func ExampleClient_Code2Session() {
	// A stand-in for WeChat, whose answer is that of a second exchange.
	wechat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"errcode":40163,"errmsg":"code been used, rid: 6166f719-3a1b2c3d-4e5f6a7b"}`)
	}))
	defer wechat.Close()

	client, err := miniprogram.NewClient(miniprogram.Config{AppID: "wx8888888888888888", Secret: "0123456789abcdef0123456789abcdef"},
		miniprogram.WithBaseURL(wechat.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := client.Code2Session(context.Background(), "0e3YzP0w3RfH1x2abcdEFGH3w30YzP0w")
	var refusal *miniprogram.Error
	switch {
	case err == nil:
		fmt.Println(session.OpenID)
	case errors.Is(err, miniprogram.CodeInvalidCode), errors.Is(err, miniprogram.CodeUsed):
		fmt.Println("the phone calls wx.login again")
	case errors.As(err, &refusal):
		fmt.Println(refusal.Hint("zh"), refusal.Temporary())
	}
	// Output: the phone calls wx.login again
}
