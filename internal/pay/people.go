package pay

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// SessionLife is how long a login lasts. A mini program logs in again silently, so it need not be long.
const SessionLife = 7 * 24 * time.Hour

// User is one person under one app.
type User struct {
	ID        UserID
	AppID     string
	OpenID    string
	UnionID   string
	CreatedAt time.Time
}

// Session is a login of ours. The token is told once and kept only as a digest.
type Session struct {
	Token     string
	ExpiresAt time.Time
	User      User
}

// Login exchanges a code of wx.login for a session. A code works once: a client that repeats itself gets CodeLoginCode
// and calls wx.login again. WeChat's session_key is dropped: nothing here needs it.
func (c *Cashier) Login(ctx context.Context, appID, code string) (Session, error) {
	if _, ok := c.byApp[appID]; !ok {
		return Session{}, refuse(CodeAppUnknown, nil, "app_id", appID)
	}
	if code == "" || len(code) > 128 {
		return Session{}, invalid("code", "code 是 wx.login 返回的值，不能为空", "code is what wx.login returned and can't be empty")
	}
	who, err := c.gateway.Login(ctx, appID, code)
	if err != nil {
		return Session{}, c.answer(err)
	}
	now := c.now()
	u, err := c.store.SaveUser(ctx, User{ID: UserID(c.ids.id("usr_", now)), AppID: appID, OpenID: who.OpenID, UnionID: who.UnionID, CreatedAt: now})
	if err != nil {
		return Session{}, err
	}
	s := Session{Token: newToken("fs_"), ExpiresAt: now.Add(SessionLife), User: u}
	return s, c.store.SaveSession(ctx, c.digest(s.Token), u.ID, s.ExpiresAt)
}

// Authenticate returns the user of a session token, or CodeSessionInvalid.
func (c *Cashier) Authenticate(ctx context.Context, token string) (User, error) {
	if !strings.HasPrefix(token, "fs_") {
		return User{}, refuse(CodeSessionInvalid, nil)
	}
	u, expires, err := c.store.Session(ctx, c.digest(token))
	if err != nil {
		return User{}, err
	}
	if !c.now().Before(expires) {
		return User{}, refuse(CodeSessionInvalid, nil)
	}
	return u, nil
}

// APIKey lets a merchant's backend in.
type APIKey struct {
	ID        APIKeyID
	Name      string
	CreatedAt time.Time
}

// CreateAPIKey makes a key and tells it, once.
func (c *Cashier) CreateAPIKey(ctx context.Context, name string) (APIKey, string, error) {
	key := newToken("fk_")
	k, err := c.AdoptAPIKey(ctx, name, key)
	return k, key, err
}

// AdoptAPIKey keeps a key that was made before, such as the one that `fenhao dev` prints. Adopting it again changes
// nothing.
func (c *Cashier) AdoptAPIKey(ctx context.Context, name, key string) (APIKey, error) {
	if name == "" || utf8.RuneCountInString(name) > 100 {
		return APIKey{}, invalid("name", "给密钥起一个 1 到 100 个字符的名字", "give the key a name of 1 to 100 characters")
	}
	if k, err := c.AuthenticateKey(ctx, key); err == nil || !errors.Is(err, CodeAPIKeyInvalid) {
		return k, err
	}
	now := c.now()
	k := APIKey{ID: APIKeyID(c.ids.id("key_", now)), Name: name, CreatedAt: now}
	return k, c.store.SaveAPIKey(ctx, keyDigest(key), k)
}

// AuthenticateKey returns the API key that was given, or CodeAPIKeyInvalid.
func (c *Cashier) AuthenticateKey(ctx context.Context, key string) (APIKey, error) {
	if !strings.HasPrefix(key, "fk_") {
		return APIKey{}, refuse(CodeAPIKeyInvalid, nil)
	}
	return c.store.APIKey(ctx, keyDigest(key))
}

// keyDigest needs no secret: a key is 256 random bits, and should outlive a change of the service's secret.
func keyDigest(key string) []byte {
	d := sha256.Sum256([]byte(key))
	return d[:]
}
