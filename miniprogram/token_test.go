package miniprogram_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenhao-pay/fenhao/miniprogram"
)

const (
	tokenPath   = "/cgi-bin/stable_token"
	managedPath = "/wxa/sec/order/is_trade_managed"
)

// mustAsk makes one call that takes a token.
func mustAsk(t *testing.T, c *miniprogram.Client) {
	t.Helper()
	if managed, err := c.IsTradeManaged(t.Context()); err != nil || !managed {
		t.Fatalf("IsTradeManaged = %t, %v", managed, err)
	}
}

func TestTokenIsKeptUntilFiveMinutesBeforeItsEnd(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.client()
	for _, step := range []struct {
		advance time.Duration
		fetches int
	}{{0, 1}, {0, 1}, {6899 * time.Second, 1}, {time.Second, 2}, {0, 2}, {6899 * time.Second, 2}, {24 * time.Hour, 3}} {
		f.clock.advance(step.advance)
		mustAsk(t, c)
		if got := f.count(tokenPath); got != step.fetches {
			t.Fatalf("%s later there were %d fetches, want %d", step.advance, got, step.fetches)
		}
	}
	if slices.Contains(f.forced(), true) {
		t.Errorf("force_refresh was %v", f.forced())
	}
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	for _, code := range []int{40001, 40014, 42001} {
		for refusals := range 4 {
			f := newFake(t)
			c := f.client()
			mustAsk(t, c)
			asked := f.count(managedPath)
			left := refusals
			refusing := &http.Client{Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == managedPath && left > 0 {
					left--
					f.invalidate()
					_, _ = fmt.Fprintf(w, `{"errcode":%d,"errmsg":"token refused"}`, code)
					return
				}
				f.ServeHTTP(w, r)
			})}}
			c = f.client(miniprogram.WithHTTPClient(refusing), miniprogram.WithTokenCache(&mapCache{}))
			fetched := f.count(tokenPath)
			managed, err := c.IsTradeManaged(t.Context())
			fetched, asked = f.count(tokenPath)-fetched, f.count(managedPath)-asked
			switch {
			case refusals == 0 && (err != nil || !managed || fetched != 1 || asked != 1):
				t.Errorf("%d: %v, %d fetches", code, err, fetched)
			case refusals == 1 && (err != nil || !managed || fetched != 2 || asked != 1):
				t.Errorf("%d once: %v, %d fetches", code, err, fetched)
			case refusals > 1 && (!errors.Is(err, miniprogram.ErrCode(code)) || fetched != 2 || asked != 0 || left != refusals-2):
				t.Errorf("%d %d times: %v, %d fetches, %d refusals left", code, refusals, err, fetched, left)
			}
		}
	}
}

// Other errors have nothing to do with the token, and nothing is repeated.
func TestOtherErrorsKeepTheToken(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.client()
	for range 3 {
		if err := c.CheckSession(t.Context(), openID, "tiihtNczf5v6AKRyjwEUhQ=="); !errors.Is(err, miniprogram.CodeInvalidOpenID) {
			t.Fatal(err)
		}
	}
	if f.count(tokenPath) != 1 || f.count("/wxa/checksession") != 3 {
		t.Errorf("requests %v", f.requests)
	}
}

func TestTokenIsFetchedOnceForManyCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		c := f.client()
		for round := range 2 {
			release := make(chan struct{})
			f.mu.Lock()
			f.hook = func(r *http.Request) {
				if r.URL.Path == tokenPath {
					<-release
				}
			}
			f.mu.Unlock()
			f.invalidate() // in the second round, all of them are refused at once
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() {
					if managed, err := c.IsTradeManaged(t.Context()); err != nil || !managed {
						t.Errorf("IsTradeManaged = %t, %v", managed, err)
					}
				})
			}
			synctest.Wait() // one is fetching, the others wait for it
			if got := f.count(tokenPath); got != round+1 {
				t.Errorf("round %d: %d fetches, want %d", round, got, round+1)
			}
			close(release)
			all.Wait()
			if got := f.count(tokenPath); got != round+1 {
				t.Errorf("round %d: %d fetches in the end, want %d", round, got, round+1)
			}
		}
	})
}

func TestWhoGivesUpFetchingFailsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		c := f.client()
		first := true
		f.hook = func(r *http.Request) {
			if r.URL.Path == tokenPath && first {
				first = false
				<-r.Context().Done()
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := c.IsTradeManaged(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, miniprogram.ErrNoAnswer) {
				t.Errorf("the one who gave up: %v", err)
			}
		})
		synctest.Wait()
		for range 10 {
			all.Go(func() {
				if managed, err := c.IsTradeManaged(t.Context()); err != nil || !managed {
					t.Errorf("another: %t, %v", managed, err)
				}
			})
		}
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		all.Go(func() { // gives up waiting for somebody else
			if _, err := c.IsTradeManaged(short); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, miniprogram.ErrNoAnswer) {
				t.Errorf("the impatient one: %v", err)
			}
		})
		time.Sleep(2 * time.Second)
		cancel()
		all.Wait()
		if got := f.count(tokenPath); got != 2 {
			t.Errorf("%d fetches, want 2", got)
		}
	})
}

// A failure is everybody's who waited for it: no crowd asks again one after the other.
func TestFailureToFetchIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		fetches := 0
		c := newClient(t, "http://wechat.invalid", miniprogram.WithHTTPClient(&http.Client{Transport: inMemory{
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fetches++
				<-release
				_, _ = fmt.Fprint(w, `{"errcode":40164,"errmsg":"invalid ip 10.0.0.1, not in whitelist"}`)
			})}}))
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := c.AccessToken(t.Context()); !errors.Is(err, miniprogram.CodeIPNotAllowed) {
					t.Errorf("AccessToken: %v", err)
				}
			})
		}
		synctest.Wait()
		close(release)
		all.Wait()
		if fetches != 1 {
			t.Errorf("%d fetches, want 1", fetches)
		}
	})
}

func TestForceRefresh(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c, other := f.client(), f.client()
	mustAsk(t, c)
	mustAsk(t, other)
	before, err := c.AccessToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ForceRefreshAccessToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := c.AccessToken(t.Context())
	if err != nil || string(after) == string(before) {
		t.Errorf("the token was not replaced: %v", err)
	}
	mustAsk(t, c)
	mustAsk(t, other) // whose token was ended by this
	if got := fmt.Sprint(f.forced()); got != "[false false true false]" {
		t.Errorf("force_refresh was %s", got)
	}
}

// A forced refresh is not satisfied by a request that asked for no such thing, and two forced ones at once are one.
func TestForceRefreshWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		c := f.client()
		release := make(chan struct{})
		f.hook = func(*http.Request) { <-release }
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := c.AccessToken(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 3 {
			all.Go(func() {
				if err := c.ForceRefreshAccessToken(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		release <- struct{}{} // the first request ends; one of the others sends the second
		synctest.Wait()
		close(release)
		all.Wait()
		if got := fmt.Sprint(f.forced()); got != "[false true]" {
			t.Errorf("force_refresh was %s, want [false true]", got)
		}
	})
}

// A refused token is gone also where no other one can be had.
func TestRefusedTokenIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	down := false
	shared := &mapCache{}
	c := f.client(miniprogram.WithTokenCache(shared), miniprogram.WithHTTPClient(&http.Client{Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down && r.URL.Path == tokenPath {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		f.ServeHTTP(w, r)
	})}}))
	mustAsk(t, c)
	f.invalidate()
	down = true
	asked := f.count(managedPath)
	for range 3 {
		if _, err := c.IsTradeManaged(t.Context()); !errors.Is(err, miniprogram.ErrNoAnswer) {
			t.Errorf("IsTradeManaged: %v", err)
		}
	}
	if got := f.count(managedPath) - asked; got != 1 {
		t.Errorf("%d requests with a token that was refused, want 1", got)
	}
	if got, err := shared.Get(t.Context(), appID); err != nil || got != (miniprogram.Token{}) {
		t.Errorf("the cache holds %v, %v", got, err)
	}
	down = false
	mustAsk(t, c)
}

// mapCache is a TokenCache as one on a database would be: it keeps texts.
type mapCache struct {
	mu     sync.Mutex
	tokens map[string][2]string
	broken bool
	puts   int
}

func (m *mapCache) Get(_ context.Context, appID string) (miniprogram.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return miniprogram.Token{}, errors.New("the cache is down")
	}
	row, ok := m.tokens[appID]
	if !ok || row[0] == "" {
		return miniprogram.Token{}, nil
	}
	until, err := time.Parse(time.RFC3339Nano, row[1])
	return miniprogram.Token{Value: miniprogram.AccessToken(row[0]), Until: until}, err
}

func (m *mapCache) Put(_ context.Context, appID string, t miniprogram.Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.puts++
	if m.broken {
		return errors.New("the cache is down")
	}
	if m.tokens == nil {
		m.tokens = map[string][2]string{}
	}
	m.tokens[appID] = [2]string{string(t.Value), t.Until.Format(time.RFC3339Nano)}
	return nil
}

func TestProcessesShareOneToken(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	shared := &mapCache{}
	a, b := f.client(miniprogram.WithTokenCache(shared)), f.client(miniprogram.WithTokenCache(shared))
	mustAsk(t, a)
	mustAsk(t, b)
	if got := f.count(tokenPath); got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
	f.invalidate()
	mustAsk(t, a) // fetches another one
	mustAsk(t, b) // finds it
	if got := f.count(tokenPath); got != 2 {
		t.Errorf("%d fetches, want 2", got)
	}

	// While b asks with the old token, a replaces it: b finds the new one and fetches none.
	f.invalidate()
	f.mu.Lock()
	f.hook = func(r *http.Request) {
		if r.URL.Path == managedPath {
			f.mu.Lock()
			f.hook = nil
			f.mu.Unlock()
			mustAsk(t, a)
		}
	}
	f.mu.Unlock()
	mustAsk(t, b)
	if got := f.count(tokenPath); got != 3 {
		t.Errorf("%d fetches, want 3", got)
	}
}

func TestBrokenCacheStopsNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	broken := &mapCache{broken: true}
	c := f.client(miniprogram.WithTokenCache(broken))
	mustAsk(t, c)
	mustAsk(t, c)
	if f.count(tokenPath) != 2 || broken.puts != 2 {
		t.Errorf("%d fetches, %d puts, want 2 and 2", f.count(tokenPath), broken.puts)
	}
	if _, err := miniprogram.NewClient(miniprogram.Config{AppID: appID, Secret: secret}, miniprogram.WithTokenCache(nil)); err == nil {
		t.Error("a nil cache is accepted")
	}
}

func TestAnswersWithoutAToken(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `{"access_token":"","expires_in":7200}`, `{"access_token":"x"}`, `{"access_token":"x","expires_in":0}`, `{"access_token":"x","expires_in":-1}`,
		`{"access_token":"x","expires_in":9223372036854775807}`, `{"access_token":"x","expires_in":"7200"}`, `{"access_token":"` + strings.Repeat("x", 5000) + `","expires_in":7200}`, `null`} {
		c := newClient(t, "http://wechat.invalid", miniprogram.WithHTTPClient(&http.Client{Transport: canned(body)}))
		if got, err := c.AccessToken(t.Context()); !errors.Is(err, miniprogram.ErrNoAnswer) || got != "" {
			t.Errorf("%.60s: %v", body, err)
		}
	}
}

func TestTokensPrintAsSecret(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.client()
	got, err := c.AccessToken(t.Context())
	if err != nil || !strings.Contains(string(got), "accessTokenOfTheFake") {
		t.Fatal(err)
	}
	kept := miniprogram.Token{Value: got, Until: start}
	b, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s %q %x", kept, kept, kept, got, got, got), string(b), fmt.Sprintf("%v %+v %#v %v", c, c, c, *c), got.LogValue().String()} {
		if strings.Contains(s, "accessToken") || strings.Contains(s, fmt.Sprintf("%x", "accessToken")) {
			t.Errorf("the token is printed in %s", s)
		}
	}
}

// The package promises that nothing goes on in the background.
func TestNothingIsStarted(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		seen++
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s starts a goroutine", set.Position(g.Pos()))
			}
			return true
		})
	}
	if seen < 8 {
		t.Errorf("only %d files were read", seen)
	}
}
