package miniprogram_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/miniprogram"
)

// What users of other SDKs fall into, as far as the tests of each file don't show it: docs/traps.md has the list.

// signedQuery is that of a push of the plain mode, or of the secure one over encrypted.
func signedQuery(token miniprogram.Secret, encrypted string) url.Values {
	at, nonce := strconv.FormatInt(start.Unix(), 10), "1514711492"
	q := url.Values{"timestamp": {at}, "nonce": {nonce}, "signature": {miniprogram.Sign(token, at, nonce)}}
	if encrypted != "" {
		q.Set("encrypt_type", "aes")
		q.Set("msg_signature", miniprogram.Sign(token, at, nonce, encrypted))
	}
	return q
}

// XML declares no types and no entities: nothing is fetched and nothing grows.
func TestPushesDeclareNothing(t *testing.T) {
	t.Parallel()
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(s.Close)
	c := miniprogram.ReceiverConfig{AppID: appID, Token: "AAAAA", Clock: func() time.Time { return start }}
	plain := newReceiver(t, c, nil)
	c.EncodingAESKey = miniprogram.Secret(strings.Repeat("A", 43))
	secure := newReceiver(t, c, nil)
	push := func(before, inside string) string {
		return before + "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1795161600</CreateTime><MsgType>event</MsgType><Event>x</Event>" +
			"<msg>" + inside + "</msg></xml>"
	}
	parse := map[string]func(string) (*miniprogram.Push, error){
		"plain": func(text string) (*miniprogram.Push, error) {
			return plain.Parse(signedQuery("AAAAA", ""), []byte(text))
		},
		"secure": func(text string) (*miniprogram.Push, error) {
			e := secure.Seal([]byte(text), []byte("0123456789abcdef"))
			return secure.Parse(signedQuery("AAAAA", e), []byte("<xml><Encrypt>"+e+"</Encrypt></xml>"))
		},
	}
	for mode, parse := range parse {
		if p, err := parse(push("", "a &amp; b")); err != nil || p.Fields["msg"] != "a & b" {
			t.Errorf("%s: %v", mode, err)
		}
		for name, text := range map[string]string{
			"a file":                 push(`<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]>`, "&x;"),
			"an address":             push(`<!DOCTYPE xml [<!ENTITY x SYSTEM "`+s.URL+`">]>`, "&x;"),
			"a parameter entity":     push(`<!DOCTYPE xml [<!ENTITY % x SYSTEM "`+s.URL+`">%x;]>`, "a"),
			"a foreign type":         push(`<!DOCTYPE xml SYSTEM "`+s.URL+`/x.dtd">`, "a"),
			"an expansion":           push(`<!DOCTYPE xml [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>`, "&b;"),
			"an unknown entity":      push("", "&x;"),
			"a declaration inside":   push("", "<!DOCTYPE a>a"),
			"a style sheet":          push(`<?xml-stylesheet href="`+s.URL+`"?>`, "a"),
			"elements in depth":      push("", strings.Repeat("<a>", 10_000)),
			"a name that comes back": push("", "a</msg><msg>b"),
		} {
			if p, err := parse(text); !errors.Is(err, miniprogram.ErrBadMessage) || p != nil {
				t.Errorf("%s, %s: %+v, %v, want ErrBadMessage", mode, name, p, err)
			}
		}
	}
	if asked != 0 {
		t.Errorf("%d requests were made", asked)
	}
}

// Where the secure mode is configured, a right signature of the plain one opens nothing, wherever it seems to come from.
func TestPushesAreNotDowngraded(t *testing.T) {
	t.Parallel()
	handled := 0
	r := newReceiver(t, miniprogram.ReceiverConfig{AppID: appID, Token: "AAAAA", EncodingAESKey: miniprogram.Secret(strings.Repeat("A", 43)),
		Clock: func() time.Time { return start }}, func(context.Context, *miniprogram.Push) error { handled++; return nil })
	const message = `{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":1795161600,"MsgType":"event","Event":"trade_manage_order_settlement"}`
	sealed := r.Seal([]byte(message), []byte("0123456789abcdef"))
	stolen := signedQuery("AAAAA", sealed)
	for name, c := range map[string]struct {
		query  url.Values
		body   string
		status int
	}{
		"plain":                    {signedQuery("AAAAA", ""), message, 403},
		"plain beside a signature": {stolen, message, 403},
		"without msg_signature":    {signedQuery("AAAAA", ""), `{"Encrypt":"` + sealed + `"}`, 403},
		"another ciphertext":       {stolen, `{"Encrypt":"` + r.Seal([]byte(message), []byte("fedcba9876543210")) + `"}`, 403},
		"without anything":         {url.Values{}, message, 403},
		"genuine":                  {stolen, `{"Encrypt":"` + sealed + `"}`, 200},
	} {
		handled = 0
		req := httptest.NewRequest(http.MethodPost, "/push?"+c.query.Encode(), strings.NewReader(c.body))
		req.Host, req.RemoteAddr = "localhost", "127.0.0.1:1"
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code != c.status || handled != map[bool]int{true: 1}[c.status == 200] {
			t.Errorf("%s: status %d, handled %d times, want %d", name, w.Code, handled, c.status)
		}
	}
}

// What was made for another mini program is refused, although its session key fits.
func TestDataOfAnotherApp(t *testing.T) {
	t.Parallel()
	var v openDataVectors
	readVectors(t, "miniprogram_opendata.json", &v)
	for _, x := range v.EncryptedData {
		for id, ok := range map[string]bool{x.AppID: true, appID: false, "wx" + strings.ToUpper(x.AppID[2:]): false} {
			c, err := miniprogram.NewClient(miniprogram.Config{AppID: id, Secret: secret}, miniprogram.WithClock(func() time.Time { return time.Unix(x.Timestamp, 0) }))
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.DecryptData(x.SessionKey, miniprogram.EncryptedData{Data: x.EncryptedData, IV: x.IV})
			if (err == nil) != ok || err != nil && (!errors.Is(err, miniprogram.ErrBadData) || len(got.JSON) != 0) {
				t.Errorf("%s: %s, %v", id, got.JSON, err)
			}
		}
	}
}
