package sandbox

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// codeLife is how long a login code lives. Source: mini-program manual, "wx.login".
const codeLife = 5 * time.Minute

// codeMemory is how long a code is remembered, so that a second use is told apart from a code that never was.
const codeMemory = time.Hour

// people are the users of all apps. One name is one person, who has another openid in each app.
type people struct {
	byOpenID map[string]person    // known openids: those that some login or Go call has shown
	openIDs  map[[2]string]string // by app and user
	codes    map[string]*loginCode
	issued   []*loginCode // oldest first
}

// keep takes a code in and forgets those that are too old to matter.
func (p *people) keep(c *loginCode) {
	old := 0
	for old < len(p.issued) && c.At.Sub(p.issued[old].At) > codeMemory {
		delete(p.codes, p.issued[old].Code)
		old++
	}
	p.issued = append(p.issued[old:], c)
	p.codes[c.Code] = c
}

func (p people) add(one person) {
	p.byOpenID[one.OpenID] = one
	p.openIDs[[2]string{one.AppID, one.User}] = one.OpenID
}

type person struct {
	AppID  string `json:"app_id"`
	User   string `json:"user"`
	OpenID string `json:"openid"`
}

// loginCode is what wx.login yielded on a phone.
type loginCode struct {
	Code   string    `json:"code"`
	AppID  string    `json:"app_id"`
	OpenID string    `json:"openid"`
	At     time.Time `json:"at"`
	Used   bool      `json:"used"`
}

func newPeople() people {
	return people{byOpenID: map[string]person{}, openIDs: map[[2]string]string{}, codes: map[string]*loginCode{}}
}

// openID is the openid of the user in the app: one character and 27 that follow from the sandbox's seed, the first few
// the same for all users of an app, as in WeChat's.
func (s *Sandbox) openID(appID, user string) string {
	app := hash(s.seed[:], []byte("app"), []byte(appID))
	one := hash(s.seed[:], []byte("user"), []byte(appID), []byte(user))
	text := base64.RawURLEncoding.EncodeToString
	return "o" + text(app[:])[:5] + text(one[:])[:22]
}

// know makes the user a known user of the app. mu is held.
func (s *Sandbox) know(appID, user string) (string, error) {
	switch {
	case user == "":
		return "", errNoUser
	case len(user) > 128:
		return "", errors.New("user is longer than 128 bytes")
	}
	if _, ok := s.appOf(appID); !ok {
		return "", fmt.Errorf("there is no app %q: GET /sandbox/v1/merchants lists the apps", appID)
	}
	// A kept openid wins: on a folder that was begun with another seed, people stay who they are.
	if id, ok := s.people.openIDs[[2]string{appID, user}]; ok {
		return id, nil
	}
	p := person{appID, user, s.openID(appID, user)}
	s.people.add(p)
	s.save(kindPerson, p)
	return p.OpenID, nil
}

// OpenID is the openid that the user has in the app. Any name is a user.
func (s *Sandbox) OpenID(appID, user string) (string, error) {
	s.mu.Lock()
	id, err := s.know(appID, user)
	s.mu.Unlock()
	if err != nil {
		return "", err
	}
	return id, s.settled()
}

// Login is wx.login on the user's phone: a code that the app's server may exchange once, within five minutes.
func (s *Sandbox) Login(appID, user string) (string, error) {
	s.mu.Lock()
	openID, err := s.know(appID, user)
	if err != nil {
		s.mu.Unlock()
		return "", err
	}
	c := &loginCode{Code: s.random.text("code", alnums, 32), AppID: appID, OpenID: openID, At: s.now()}
	s.people.keep(c)
	s.save(kindCode, c)
	s.mu.Unlock()
	s.record(Entry{Kind: "user", Name: "login", Summary: "wx.login by " + user})
	return c.Code, s.settled()
}

// serveMiniProgram answers api.weixin.qq.com: status 200 and text/plain whatever happens.
func (s *Sandbox) serveMiniProgram(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	e := Entry{Kind: "call", Name: "login", Method: r.Method, Path: r.URL.Path,
		Request: requestText(r, withoutSecret(r), nil)}
	if delayed := s.strike("login", "delay"); delayed != nil && !s.pause(r.Context(), delayed.Delay) {
		panic(http.ErrAbortHandler)
	}
	outcome := s.strike("login", "error", "hang", "lose_request", "lose_response")
	s.interrupt(r, &e, outcome, began)

	status, body := http.StatusOK, []byte(nil)
	if outcome == nil || outcome.Executed || outcome.Kind == "lose_response" {
		body = s.code2Session(r)
	}
	if outcome != nil && outcome.Kind == "error" {
		number, _ := strconv.Atoi(outcome.Code) // checked when the rule was added
		status, body = outcome.Status, s.loginError(number)
	}
	if err := s.settled(); err != nil {
		status, body = http.StatusOK, s.loginError(-1)
	}
	e.Status, e.Ms, e.Response = status, time.Since(began).Milliseconds(), hideSessionKey(body)
	if outcome != nil && outcome.Kind == "lose_response" {
		e.Summary = "executed; the answer is lost"
		s.record(e)
		panic(http.ErrAbortHandler)
	}
	cut := s.strike("login", "truncate")
	e.Summary = fmt.Sprintf("%s %s → %s", r.Method, r.URL.Path, loginOutcome(body))
	s.record(e)

	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Date", s.clock().UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	send(w, body, cut != nil)
}

// code2Session exchanges a login code: GET /sns/jscode2session. A parameter that isn't in the query is missing, also
// where it came in a body.
//
// Source: mini-program manual, "小程序登录 code2Session".
func (s *Sandbox) code2Session(r *http.Request) []byte {
	if r.URL.Path != "/sns/jscode2session" {
		return s.loginError(40066)
	}
	q := r.URL.Query()
	appID, secret, code := q.Get("appid"), q.Get("secret"), q.Get("js_code")
	switch {
	case appID == "":
		return s.loginError(41002)
	case secret == "":
		return s.loginError(41004)
	case code == "":
		return s.loginError(41008)
	case q.Get("grant_type") != "authorization_code":
		return s.loginError(40002)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	app, ok := s.appOf(appID)
	if !ok {
		return s.loginError(40013)
	}
	if subtle.ConstantTimeCompare([]byte(app.Secret), []byte(secret)) != 1 {
		return s.loginError(40125)
	}
	c := s.people.codes[code]
	switch {
	case c == nil || c.AppID != appID:
		return s.loginError(40029)
	case c.Used:
		return s.loginError(40163)
	case s.now().Sub(c.At) >= codeLife:
		return s.loginError(40029)
	}
	c.Used = true
	s.save(kindCode, c)
	return encode(struct {
		SessionKey string `json:"session_key"`
		OpenID     string `json:"openid"`
	}{base64.StdEncoding.EncodeToString(s.random.bytes("session", 16)), c.OpenID})
}

// loginErrors are the texts of the error numbers that the sandbox uses or lets a fault use.
var loginErrors = map[int]string{
	-1:    "system error",
	40002: "invalid grant_type",
	40013: "invalid appid",
	40029: "invalid code",
	40066: "invalid url",
	40125: "invalid appsecret",
	40163: "code been used",
	40226: "code blocked",
	41002: "appid missing",
	41004: "appsecret missing",
	41008: "missing code",
	45009: "reach max api daily quota limit",
	45011: "api minute-quota reach limit",
}

func (s *Sandbox) loginError(number int) []byte {
	text, ok := loginErrors[number]
	if !ok {
		text = "error"
	}
	id := s.random.text("rid", hexes, 24)
	return encode(struct {
		Number int    `json:"errcode"`
		Text   string `json:"errmsg"`
	}{number, fmt.Sprintf("%s, rid: %s-%s-%s", text, id[:8], id[8:16], id[16:])})
}

// withoutSecret is the request's target with the app's secret hidden, for the journal.
func withoutSecret(r *http.Request) string {
	q := r.URL.Query()
	if !q.Has("secret") {
		return target(r)
	}
	q.Set("secret", "[secret]")
	return r.URL.EscapedPath() + "?" + strings.ReplaceAll(q.Encode(), "%5Bsecret%5D", "[secret]")
}

// hideSessionKey is the answer with the session key hidden, for the journal.
func hideSessionKey(body []byte) string {
	const field = `"session_key":"`
	text := string(body)
	before, after, ok := strings.Cut(text, field)
	if !ok {
		return text
	}
	_, rest, _ := strings.Cut(after, `"`)
	return before + field + `[secret]"` + rest
}

func loginOutcome(body []byte) string {
	if strings.HasPrefix(string(body), `{"errcode"`) {
		return string(body)
	}
	return "openid"
}

// interrupt carries out a fault that keeps a call from being executed: the caller waits in vain, or the connection is
// cut. It returns where there is none.
func (s *Sandbox) interrupt(r *http.Request, e *Entry, f *Fault, began time.Time) {
	if f == nil || (f.Kind != "hang" && f.Kind != "lose_request") {
		return
	}
	e.Summary = "never executed: " + f.Kind
	if f.Kind == "hang" {
		ctx, stop := context.WithCancel(r.Context())
		defer stop()
		select {
		case <-ctx.Done():
		case <-s.ending.Done():
		}
	}
	e.Ms = time.Since(began).Milliseconds()
	s.record(*e)
	panic(http.ErrAbortHandler)
}
