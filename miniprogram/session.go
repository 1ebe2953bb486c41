package miniprogram

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
)

// CheckSession asks whether key is still the session key of a user. It is where the error is nil; it is not, and the phone
// must call wx.login again, where errors.Is(err, CodeInvalidSessionSignature). Any other error tells nothing about the key.
// It may be repeated.
//
// Source: WeChat's manual for mini programs, "检验登录态" (checkSessionKey).
func (c *Client) CheckSession(ctx context.Context, openID string, key SessionKey) error {
	r, err := sessionRequest("/wxa/checksession", openID, key)
	if err == nil {
		err = c.call(ctx, r, nil)
	}
	if err != nil {
		return fmt.Errorf("check a session key: %w", err)
	}
	return nil
}

// ResetSession replaces the session key of a user by the one that it returns, which lives no longer than the old one would
// have. WeChat refuses it where it is asked too often for one user.
//
// Errors to tell apart: CodeInvalidSessionSignature and CodeSessionKeyGone (the phone calls wx.login again). After
// ErrNoAnswer the key may have been replaced by one that nobody knows: CheckSession tells.
//
// Source: WeChat's manual for mini programs, "重置登录态" (ResetUserSessionKey).
func (c *Client) ResetSession(ctx context.Context, openID string, key SessionKey) (SessionKey, error) {
	var v struct {
		OpenID     string `json:"openid"`
		SessionKey string `json:"session_key"`
	}
	r, err := sessionRequest("/wxa/resetusersessionkey", openID, key)
	if err == nil {
		err = c.call(ctx, r, &v)
	}
	switch {
	case err != nil:
	case v.OpenID != openID:
		err = fmt.Errorf("%w: the answer is not about this user", ErrNoAnswer)
	case v.SessionKey == "":
		err = fmt.Errorf("%w: the answer holds no session key", ErrNoAnswer)
	default:
		return SessionKey(v.SessionKey), nil
	}
	return "", fmt.Errorf("reset a session key: %w", err)
}

// sessionRequest asks about a session key without showing it.
func sessionRequest(path, openID string, key SessionKey) (request, error) {
	if err := checkOpenID("openid", openID); err != nil {
		return request{}, err
	}
	if key == "" || len(key) > 128 {
		return request{}, mistake("session_key", "it is what Code2Session returned", "应为 code2Session 返回的值", 0)
	}
	signature := sessionSignature(key, nil)
	return request{
		method: http.MethodGet, path: path,
		query: url.Values{"openid": {openID}, "signature": {signature}, "sig_method": {"hmac_sha256"}},
		hide:  []string{"openid", openID, "session_key", string(key), "signature", signature},
	}, nil
}

// sessionSignature signs the body of a request, none for a GET. The key is the text of the session key as it was given and
// not what it decodes to: the example of the manual, "用户登录态签名", is only right that way.
func sessionSignature(key SessionKey, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func checkOpenID(field, openID string) error {
	if openID == "" || len(openID) > 128 || !isWord(openID) {
		return mistake(field, "it is what Code2Session returned under this appid",
			"应为同一 appid 下 code2Session 返回的 openid", CodeInvalidOpenID)
	}
	return nil
}
