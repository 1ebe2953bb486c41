package miniprogram

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// AccessToken is what calls to WeChat are made with (接口调用凭证, access_token): whoever holds it acts for the app. It has up to
// 512 characters and prints as [secret]; string(t) is its text.
type AccessToken string

// Format prints [secret], whatever the verb.
func (AccessToken) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") } // fmt keeps the error

// LogValue prints [secret].
func (AccessToken) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText prints [secret]: a token is never written into JSON by accident. A TokenCache that writes to a database or
// the like does so with string(t).
func (AccessToken) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Token is an access token with the time until which it is used, which is five minutes before WeChat ends it. The zero
// value is no token.
type Token struct {
	Value AccessToken
	Until time.Time // UTC
}

// TokenCache keeps one token per app, for one process or for several. It is safe for concurrent use.
//
// A cache that fails stops nothing: an error of Get counts as no token and one of Put as nothing kept, since WeChat hands
// out the same token again. So a cache must log its own failures.
type TokenCache interface {
	// Get returns the token that Put was last called with, or the zero Token.
	Get(ctx context.Context, appID string) (Token, error)
	// Put replaces the token. The zero Token takes it away.
	Put(ctx context.Context, appID string, t Token) error
}

// WithTokenCache shares access tokens through cache. The default is one in the memory of this client.
func WithTokenCache(cache TokenCache) Option {
	return func(c *Client) error {
		if cache == nil {
			return errors.New("WithTokenCache: it is nil")
		}
		c.tokens.cache = cache
		return nil
	}
}

// memoryCache is the TokenCache of one client, and so of one app.
type memoryCache struct {
	mu    sync.Mutex
	token Token
}

func (m *memoryCache) Get(context.Context, string) (Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.token, nil
}

func (m *memoryCache) Put(_ context.Context, _ string, t Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.token = t
	return nil
}

// tokenReserve is how long before its end a token is replaced. WeChat keeps old and new valid for that long.
const tokenReserve = 300 * time.Second

// tokens is the one source of access tokens. It has at most one request for one under way.
type tokens struct {
	client *Client
	cache  TokenCache

	mu     sync.Mutex
	flight *flight
}

// flight is a request for a token and, once done is closed, what came of it.
type flight struct {
	forced    bool
	done      chan struct{}
	token     AccessToken
	err       error
	abandoned bool // the context of who made it ended, which says nothing about the token
}

// AccessToken returns a token that is valid for five minutes at least, for APIs that this package doesn't know. Don't keep
// it: ask again each time.
func (c *Client) AccessToken(ctx context.Context) (AccessToken, error) {
	return c.tokens.get(ctx, "")
}

// ForceRefreshAccessToken makes WeChat issue a new token and end the present one at once. It is for a token that leaked,
// and for nothing else: requests of other processes fail until they learn of it, and WeChat allows it 20 times a day, at
// least 30 seconds apart; sooner than that it changes nothing.
//
// Source: WeChat's manual for mini programs, "获取稳定版接口调用凭据" (getStableAccessToken).
func (c *Client) ForceRefreshAccessToken(ctx context.Context) error {
	_, err := c.tokens.share(ctx, true, "", func() (AccessToken, error) { return c.tokens.fetch(ctx, true) })
	return err
}

// get returns the token. refused, where it isn't empty, is one that WeChat does not accept any more: that one is dropped
// from the cache, unless somebody else has replaced it already.
func (s *tokens) get(ctx context.Context, refused AccessToken) (AccessToken, error) {
	if t, ok := s.cached(ctx, refused); ok {
		return t, nil
	}
	return s.share(ctx, false, refused, func() (AccessToken, error) {
		if t, ok := s.cached(ctx, refused); ok { // put there between the look above and this flight
			return t, nil
		}
		if refused != "" {
			_ = s.cache.Put(ctx, s.client.appID, Token{}) // see TokenCache
		}
		return s.fetch(ctx, false)
	})
}

// cached returns the token of the cache if it can be used and is not the one that was refused.
func (s *tokens) cached(ctx context.Context, refused AccessToken) (AccessToken, bool) {
	t, err := s.cache.Get(ctx, s.client.appID)
	if err != nil || t.Value == "" || !s.client.now().Before(t.Until) {
		return "", false
	}
	return t.Value, !same(t.Value, refused)
}

func same(a, b AccessToken) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// share runs f, or where somebody else does waits for what comes of that, which will do unless it is the refused token.
func (s *tokens) share(
	ctx context.Context, forced bool, refused AccessToken, f func() (AccessToken, error),
) (AccessToken, error) {
	for {
		s.mu.Lock()
		other := s.flight
		if other == nil {
			break
		}
		s.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return "", fmt.Errorf("fetch an access token: %w: %w", ErrNoAnswer, ctx.Err())
		}
		if !other.abandoned && (other.forced || !forced) && (other.err != nil || !same(other.token, refused)) {
			return other.token, other.err
		}
	}
	mine := &flight{forced: forced, done: make(chan struct{}), abandoned: true} // until f has returned, if it does
	s.flight = mine
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.flight = nil
		s.mu.Unlock()
		close(mine.done)
	}()
	mine.token, mine.err = f()
	mine.abandoned = mine.err != nil && ctx.Err() != nil
	return mine.token, mine.err
}

// fetch asks WeChat for a token and keeps it.
func (s *tokens) fetch(ctx context.Context, force bool) (AccessToken, error) {
	c := s.client
	asked := c.now()
	var v struct {
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in"`
	}
	err := c.send(ctx, request{method: http.MethodPost, path: "/cgi-bin/stable_token", body: struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}{"client_credential", c.appID, string(*c.secret), force}}, &v)
	if err == nil && (v.Token == "" || len(v.Token) > 4096 || v.ExpiresIn <= 0 || v.ExpiresIn > 30*24*3600) {
		err = fmt.Errorf("%w: the answer holds no token", ErrNoAnswer)
	}
	if err != nil {
		return "", fmt.Errorf("fetch an access token: %w", err)
	}
	t := Token{Value: AccessToken(v.Token), Until: asked.Add(time.Duration(v.ExpiresIn)*time.Second - tokenReserve).UTC()}
	_ = s.cache.Put(ctx, c.appID, t) // see TokenCache
	return t.Value, nil
}
