package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

type session struct {
	OpenID     string `json:"openid"`
	SessionKey string `json:"session_key"`
	Number     int    `json:"errcode"`
	Text       string `json:"errmsg"`
}

// exchange is jscode2session, with changes: a nil takes a parameter out.
func (w *world) exchange(code string, changes map[string]any) session {
	w.t.Helper()
	q := url.Values{"appid": {w.app.ID}, "secret": {w.app.Secret}, "js_code": {code}, "grant_type": {"authorization_code"}}
	for name, v := range changes {
		if q.Del(name); v != nil {
			q.Set(name, v.(string))
		}
	}
	r, err := http.Get(w.url + "/sns/jscode2session?" + q.Encode())
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/plain" {
		w.t.Errorf("%d %v %v", r.StatusCode, r.Header, err)
	}
	var s session
	if err := json.Unmarshal(b, &s); err != nil {
		w.t.Fatalf("%s: %v", b, err)
	}
	if s.Number == 0 && strings.Contains(string(b), "errcode") {
		w.t.Errorf("a success with errcode: %s", b)
	}
	if s.Number != 0 && !regexp.MustCompile(`, rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$`).MatchString(s.Text) {
		w.t.Errorf("errmsg %q", s.Text)
	}
	return s
}

func (w *world) code() string {
	w.t.Helper()
	code, err := w.Login(w.app.ID, "alice")
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

func TestLoginErrors(t *testing.T) {
	t.Parallel()
	m := oneMerchant()
	m.Apps = append(m.Apps, App{ID: "wx0123456789abcdef", Secret: "second"})
	w := newWorld(t, Options{Merchants: []Merchant{m}})
	for _, c := range []struct {
		name    string
		changes map[string]any
		number  int
	}{
		{"right", nil, 0},
		{"no appid", map[string]any{"appid": nil}, 41002},
		{"no secret", map[string]any{"secret": nil}, 41004},
		{"no code", map[string]any{"js_code": nil}, 41008},
		{"empty code", map[string]any{"js_code": ""}, 41008},
		{"no grant", map[string]any{"grant_type": nil}, 40002},
		{"another grant", map[string]any{"grant_type": "client_credential"}, 40002},
		{"unknown app", map[string]any{"appid": "wx9999999999999999"}, 40013},
		{"wrong secret", map[string]any{"secret": "wrong"}, 40125},
		{"unknown code", map[string]any{"js_code": "unknown"}, 40029},
		{"code of another app", map[string]any{"appid": "wx0123456789abcdef", "secret": "second"}, 40029},
	} {
		if s := w.exchange(w.code(), c.changes); s.Number != c.number {
			t.Errorf("%s: %+v, want %d", c.name, s, c.number)
		}
	}
	r, err := http.PostForm(w.url+"/sns/jscode2session", url.Values{"appid": {w.app.ID}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	if b, _ := io.ReadAll(r.Body); !strings.HasPrefix(string(b), `{"errcode":41002,"errmsg":"appid missing, rid: `) {
		t.Errorf("as a form: %s", b)
	}
	r, err = http.Get(w.url + "/sns/nothing")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	if b, _ := io.ReadAll(r.Body); r.StatusCode != 200 || !strings.HasPrefix(string(b), `{"errcode":40066,`) {
		t.Errorf("another path: %d %s", r.StatusCode, b)
	}
}

// A code is good once, for five minutes, and a failed exchange doesn't use it up.
func TestCodes(t *testing.T) {
	t.Parallel()
	at := time.Now()
	w := newWorld(t, Options{Clock: func() time.Time { return at }})
	code := w.code()
	if s := w.exchange(code, map[string]any{"secret": "wrong"}); s.Number != 40125 {
		t.Errorf("%+v", s)
	}
	first := w.exchange(code, nil)
	if first.Number != 0 || len(first.OpenID) != 28 || !strings.HasPrefix(first.OpenID, "o") || len(first.SessionKey) != 24 {
		t.Errorf("%+v", first)
	}
	if s := w.exchange(code, nil); s.Number != 40163 {
		t.Errorf("a second time: %+v", s)
	}
	late, early := w.code(), w.code()
	w.Advance(5*time.Minute - time.Second)
	if s := w.exchange(early, nil); s.Number != 0 || s.OpenID != first.OpenID || s.SessionKey == first.SessionKey {
		t.Errorf("just in time: %+v", s)
	}
	w.Advance(time.Second)
	if s := w.exchange(late, nil); s.Number != 40029 {
		t.Errorf("too late: %+v", s)
	}
	if s := w.exchange(code, nil); s.Number != 40163 {
		t.Errorf("a second time, later: %+v", s)
	}
}

// One name is one person, with one openid for each app.
func TestPeople(t *testing.T) {
	t.Parallel()
	m := oneMerchant()
	m.Apps = append(m.Apps, App{ID: "wx0123456789abcdef"})
	w := newWorld(t, Options{Merchants: []Merchant{m}})
	ids := map[string]bool{}
	for _, app := range m.Apps {
		for _, user := range []string{"alice", "bob", "小明"} {
			one, err := w.OpenID(app.ID, user)
			again, _ := w.OpenID(app.ID, user)
			if err != nil || one != again {
				t.Errorf("%s %s %v", one, again, err)
			}
			ids[one] = true
		}
	}
	if len(ids) != 6 {
		t.Errorf("%d openids, want 6", len(ids))
	}
	for _, c := range [][2]string{{"wxnothing", "alice"}, {w.app.ID, ""}, {w.app.ID, strings.Repeat("a", 129)}} {
		if _, err := w.Login(c[0], c[1]); err == nil {
			t.Errorf("%q logged in", c)
		}
	}
}

func TestLoginFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, c := range []struct {
		fault Fault
		want  int
	}{
		{Fault{Kind: "error"}, -1},
		{Fault{Kind: "error", Code: "45011"}, 45011},
		{Fault{Kind: "error", Code: "40226"}, 40226},
		{Fault{On: "*", Kind: "error", Status: 429}, -1},
	} {
		if c.fault.On == "" {
			c.fault.On = "login"
		}
		c.fault.Count = 1
		w.fault(c.fault)
		code := w.code()
		if s := w.exchange(code, nil); s.Number != c.want {
			t.Errorf("%v: %+v", c.fault, s)
		}
		if s := w.exchange(code, nil); s.Number != 0 {
			t.Errorf("after %v: %+v", c.fault, s)
		}
	}
	// On a connection that was used before, Go's client repeats a GET that was cut off, unasked.
	fresh := &http.Transport{DisableKeepAlives: true}
	w.wire = fresh
	get := func(code string) reply {
		r, err := http.NewRequest("GET", w.url+"/sns/jscode2session?"+url.Values{"appid": {w.app.ID}, "secret": {w.app.Secret}, "js_code": {code}, "grant_type": {"authorization_code"}}.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.do(r)
	}
	// The code is used up exactly where the exchange was executed.
	for kind, number := range map[string]int{"lose_request": 0, "lose_response": 40163, "truncate": 40163} {
		w.fault(Fault{On: "login", Kind: kind, Count: 1})
		code := w.code()
		if r := get(code); r.err == nil {
			t.Errorf("%s: %d %s", kind, r.status, r.body)
		}
		if s := w.exchange(code, nil); s.Number != number {
			t.Errorf("after %s: %+v, want %d", kind, s, number)
		}
	}
}

// Neither the app's secret nor a session key is ever written down.
func TestNoSecretsInJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	s := w.exchange(w.code(), nil)
	w.pay("order-000001")
	w.idle()
	text := string(encode(w.Journal(0, "", 0)))
	for name, secret := range map[string]string{"app secret": w.app.Secret, "session key": s.SessionKey, "APIv3 key": w.merchant.APIv3Key, "APIv2 key": w.merchant.APIv2Key} {
		if strings.Contains(text, secret) {
			t.Errorf("the journal has the %s", name)
		}
	}
	if !strings.Contains(text, "secret=[secret]") || !strings.Contains(text, s.OpenID) {
		t.Errorf("the journal lacks the exchange: %s", text)
	}
}
