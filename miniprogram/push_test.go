package miniprogram_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenhao-pay/fenhao/miniprogram"
)

const (
	pushToken = "AnyTokenOfThirtyTwoCharacters123"
	aesKey    = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	oldAESKey = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	random16  = "0123456789abcdef"
)

func newReceiver(t testing.TB, c miniprogram.ReceiverConfig, handle func(context.Context, *miniprogram.Push) error) *miniprogram.Receiver {
	t.Helper()
	if handle == nil {
		handle = func(context.Context, *miniprogram.Push) error { return nil }
	}
	r, err := miniprogram.NewReceiver(c, handle)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pushMode is how the console is set.
type pushMode string

const (
	plain      pushMode = "plain"
	compatible pushMode = "compatible"
	secure     pushMode = "secure"
)

func config(m pushMode, now func() time.Time) miniprogram.ReceiverConfig {
	c := miniprogram.ReceiverConfig{AppID: appID, Token: pushToken, Clock: now}
	if m != plain {
		c.EncodingAESKey = aesKey
	}
	return c
}

// pusher sends as WeChat does.
type pusher struct {
	t      testing.TB
	mode   pushMode
	xml    bool
	key    miniprogram.Secret
	appID  string
	at     time.Time
	nonces int
}

func newPusher(t testing.TB, m pushMode, asXML bool) *pusher {
	return &pusher{t: t, mode: m, xml: asXML, key: aesKey, appID: appID, at: start}
}

// push makes a request out of the fields of a message.
func (p *pusher) push(message string) (url.Values, []byte) {
	p.t.Helper()
	p.nonces++
	timestamp, nonce := strconv.FormatInt(p.at.Unix(), 10), strconv.Itoa(415670741+p.nonces)
	query := url.Values{"signature": {miniprogram.Sign(pushToken, timestamp, nonce)}, "timestamp": {timestamp}, "nonce": {nonce}}
	if p.mode == plain {
		return query, []byte(message)
	}
	encrypted := newReceiver(p.t, miniprogram.ReceiverConfig{AppID: p.appID, Token: pushToken, EncodingAESKey: p.key}, nil).Seal([]byte(message), []byte(random16))
	query["openid"], query["encrypt_type"] = []string{"o"}, []string{"aes"}
	query.Set("msg_signature", miniprogram.Sign(pushToken, timestamp, nonce, encrypted))
	switch {
	case p.mode == secure && p.xml:
		return query, []byte("<xml>\n<ToUserName><![CDATA[gh_1]]></ToUserName>\n<Encrypt><![CDATA[" + encrypted + "]]></Encrypt>\n</xml>")
	case p.mode == secure:
		return query, []byte(`{"ToUserName":"gh_1","Encrypt":"` + encrypted + `"}`)
	case p.xml:
		return query, []byte(strings.Replace(message, "</xml>", "<Encrypt>"+encrypted+"</Encrypt></xml>", 1))
	}
	return query, []byte(strings.Replace(message, "{", `{"Encrypt":"`+encrypted+`",`, 1))
}

// settlement is a push of the last kind, as JSON and as XML.
func settlement(asXML bool) string {
	if asXML {
		return `<?xml version="1.0"?><xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oSystem]]></FromUserName><CreateTime>1671110975</CreateTime>` +
			`<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[trade_manage_order_settlement]]></Event><transaction_id><![CDATA[4200000001]]></transaction_id>` +
			`<merchant_id><![CDATA[1900000001]]></merchant_id><sub_merchant_id></sub_merchant_id><merchant_trade_no>a&amp;b</merchant_trade_no><pay_time>1671110900</pay_time>` +
			`<shipped_time>1671110950</shipped_time><estimated_settlement_time>0</estimated_settlement_time><confirm_receive_method>2</confirm_receive_method>` +
			`<confirm_receive_time>1671110960</confirm_receive_time><settlement_time>1671110970</settlement_time><more><a>1</a></more></xml>`
	}
	return `{"ToUserName":"gh_1","FromUserName":"oSystem","CreateTime":1671110975,"MsgType":"event","Event":"trade_manage_order_settlement",` +
		`"transaction_id":"4200000001","merchant_id":"1900000001","sub_merchant_id":"","merchant_trade_no":"a&b","pay_time":1671110900,"shipped_time":1671110950,` +
		`"estimated_settlement_time":0,"confirm_receive_method":2,"confirm_receive_time":1671110960,"settlement_time":1671110970,"more":{"a":1}}`
}

func TestPushesInEveryModeAndForm(t *testing.T) {
	t.Parallel()
	for _, mode := range []pushMode{plain, compatible, secure} {
		for _, asXML := range []bool{false, true} {
			query, body := newPusher(t, mode, asXML).push(settlement(asXML))
			p, err := newReceiver(t, config(mode, newClock().now), nil).Parse(query, body)
			if err != nil {
				t.Errorf("%s, XML %t: %v", mode, asXML, err)
				continue
			}
			at := func(n int64) time.Time { return time.Unix(1671110900+n, 0).UTC() }
			want := miniprogram.OrderSettlement{
				Order:  miniprogram.OrderKey{TransactionID: "4200000001", MerchantID: "1900000001", OutTradeNo: "a&b"},
				PaidAt: at(0), ShippedAt: at(50), ConfirmedAt: at(60), SettledAt: at(70),
			}
			if p.Event != want || p.EventName != "trade_manage_order_settlement" || p.MsgType != "event" || p.ToUserName != "gh_1" || p.FromUserName != "oSystem" ||
				!p.CreatedAt.Equal(at(75)) || string(p.Raw) != settlement(asXML) && mode != plain || p.Fields["confirm_receive_method"] != "2" || p.Fields["more"] != "" {
				t.Errorf("%s, XML %t: %+v", mode, asXML, p)
			}
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	order := miniprogram.OrderKey{TransactionID: "42", MerchantID: "19", SubMerchantID: "18", OutTradeNo: "no"}
	const key = `"transaction_id":"42","merchant_id":"19","sub_merchant_id":"18","merchant_trade_no":"no"`
	for fields, want := range map[string]any{
		`"MsgType":"event","Event":"trade_manage_remind_access_api","msg":"请接入"`:                                  miniprogram.RemindAccess{Message: "请接入"},
		`"MsgType":"event","Event":"trade_manage_remind_shipping","msg":"m","pay_time":"1671110900",` + key:       miniprogram.RemindShipping{Order: order, PaidAt: time.Unix(1671110900, 0).UTC(), Message: "m"},
		`"MsgType":"event","Event":"trade_manage_order_settlement","estimated_settlement_time":1671110900,` + key: miniprogram.OrderSettlement{Order: order, EstimatedAt: time.Unix(1671110900, 0).UTC()},
		`"MsgType":"event","Event":"wxa_trade_controlled","msg":"m"`:                                              miniprogram.TradeControlled{Message: "m"},
		`"MsgType":"event","Event":"something_else"`:                                                              nil,
		`"MsgType":"text","Content":"hi","Event":"wxa_trade_controlled"`:                                          nil,
	} {
		query, body := newPusher(t, plain, false).push(`{"ToUserName":"gh_1","CreateTime":1,` + fields + `}`)
		p, err := newReceiver(t, config(plain, newClock().now), nil).Parse(query, body)
		if err != nil || p.Event != want {
			t.Errorf("%s: %+v, %v", fields, p, err)
		}
	}
}

func TestPushesThatAreNotWeChats(t *testing.T) {
	t.Parallel()
	message := settlement(false)
	for _, x := range []struct {
		name   string
		mode   pushMode
		change func(q url.Values, b []byte) []byte
	}{
		{"no signature", plain, func(q url.Values, b []byte) []byte { q.Del("signature"); return b }},
		{"wrong signature", plain, func(q url.Values, b []byte) []byte { q.Set("signature", strings.Repeat("0", 40)); return b }},
		{"upper case", plain, func(q url.Values, b []byte) []byte {
			q.Set("signature", strings.ToUpper(q.Get("signature")))
			return b
		}},
		{"two signatures", plain, func(q url.Values, b []byte) []byte { q.Add("signature", "x"); return b }},
		{"another nonce", plain, func(q url.Values, b []byte) []byte { q.Set("nonce", "1"); return b }},
		{"no nonce", plain, func(q url.Values, b []byte) []byte { q.Del("nonce"); return b }},
		{"another time", plain, func(q url.Values, b []byte) []byte { q.Set("timestamp", "1"); return b }},
		{"only the plain signature", secure, func(q url.Values, b []byte) []byte { q.Del("msg_signature"); return b }},
		{"the plain signature as the other", secure, func(q url.Values, b []byte) []byte {
			q.Set("msg_signature", q.Get("signature"))
			return b
		}},
		{"a plain message", secure, func(_ url.Values, _ []byte) []byte { return []byte(message) }},
		{"a plain message, plainly signed", secure, func(q url.Values, _ []byte) []byte { q.Del("msg_signature"); return []byte(message) }},
		{"an empty Encrypt", secure, func(q url.Values, _ []byte) []byte {
			q.Set("msg_signature", q.Get("signature"))
			return []byte(`{"Encrypt":""}`)
		}},
		{"a changed Encrypt", secure, func(_ url.Values, b []byte) []byte { return bytes.Replace(b, []byte(`pt":"`), []byte(`pt":"A`), 1) }},
		{"two Encrypts", secure, func(_ url.Values, b []byte) []byte {
			return bytes.Replace(b, []byte("{"), []byte(`{"Encrypt":"x",`), 1)
		}},
		{"no body", secure, func(url.Values, []byte) []byte { return nil }},
	} {
		query, body := newPusher(t, x.mode, false).push(message)
		r := newReceiver(t, config(x.mode, newClock().now), func(context.Context, *miniprogram.Push) error { t.Errorf("%s: it is handled", x.name); return nil })
		body = x.change(query, body)
		if p, err := r.Parse(query, body); !errors.Is(err, miniprogram.ErrBadSignature) || p != nil {
			t.Errorf("%s: %+v, %v", x.name, p, err)
		}
		if w := post(r, query, body); w.Code != http.StatusForbidden {
			t.Errorf("%s: answered %d %s", x.name, w.Code, w.Body)
		}
	}
	// Signed with another token.
	query, body := newPusher(t, secure, false).push(message)
	c := config(secure, newClock().now)
	c.Token = "another"
	if _, err := newReceiver(t, c, nil).Parse(query, body); !errors.Is(err, miniprogram.ErrBadSignature) {
		t.Errorf("another token: %v", err)
	}
}

func post(h http.Handler, query url.Values, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/push?"+query.Encode(), bytes.NewReader(body)))
	return w
}

func TestPushesAreRecent(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		age  time.Duration
		good bool
	}{{0, true}, {10 * time.Minute, true}, {10*time.Minute + time.Second, false}, {-10 * time.Minute, true}, {-10*time.Minute - time.Second, false}, {1000 * time.Hour, false}} {
		for _, mode := range []pushMode{plain, secure} {
			p := newPusher(t, mode, false)
			p.at = start.Add(-x.age)
			query, body := p.push(settlement(false))
			r := newReceiver(t, config(mode, newClock().now), nil)
			if _, err := r.Parse(query, body); (err == nil) != x.good || err != nil && !errors.Is(err, miniprogram.ErrBadSignature) {
				t.Errorf("%s, %s old: %v", mode, x.age, err)
			}
			if w := post(r, query, body); (w.Code == 200) != x.good {
				t.Errorf("%s, %s old: answered %d", mode, x.age, w.Code)
			}
		}
	}
}

func TestURLCheck(t *testing.T) {
	t.Parallel()
	for _, mode := range []pushMode{plain, secure} {
		r := newReceiver(t, config(mode, newClock().now), func(context.Context, *miniprogram.Push) error { t.Error("a check is handled"); return nil })
		query, _ := newPusher(t, plain, false).push("")
		get := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/push?"+query.Encode(), nil))
			return w
		}
		if w := get(); w.Code != http.StatusForbidden {
			t.Errorf("%s: without echostr %d", mode, w.Code)
		}
		const echo = `<script>"4375120948345356249"</script>`
		query.Set("echostr", echo)
		for range 2 { // it may come again
			if w := get(); w.Code != 200 || w.Body.String() != echo || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %d %s %v", mode, w.Code, w.Body, w.Header())
			}
		}
		query.Set("signature", strings.Repeat("a", 40))
		if w := get(); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "4375") {
			t.Errorf("%s: a wrong signature is answered %d %s", mode, w.Code, w.Body)
		}
	}
}

func TestKeysOfPushesChange(t *testing.T) {
	t.Parallel()
	now := newClock().now
	both := config(secure, now)
	both.PreviousEncodingAESKey = oldAESKey
	for _, x := range []struct {
		name string
		c    miniprogram.ReceiverConfig
		key  miniprogram.Secret
		good bool
	}{
		{"the present key", both, aesKey, true}, {"the one before", both, oldAESKey, true}, {"the one before, forgotten", config(secure, now), oldAESKey, false},
		{"a third one", both, miniprogram.Secret(strings.Repeat("A", 43)), false},
	} {
		p := newPusher(t, secure, false)
		p.key = x.key
		query, body := p.push(settlement(false))
		r := newReceiver(t, x.c, nil)
		if _, err := r.Parse(query, body); (err == nil) != x.good || err != nil && !errors.Is(err, miniprogram.ErrBadMessage) {
			t.Errorf("%s: %v", x.name, err)
		}
		if w := post(r, query, body); (w.Code == 200) != x.good || !x.good && w.Code != 400 {
			t.Errorf("%s: answered %d", x.name, w.Code)
		}
	}
	p := newPusher(t, secure, false)
	p.appID = "wx1"
	query, body := p.push(settlement(false))
	if _, err := newReceiver(t, both, nil).Parse(query, body); !errors.Is(err, miniprogram.ErrBadMessage) {
		t.Errorf("another app: %v", err)
	}
}

// wrapped is the plaintext of a message, with any length and number of padding bytes.
func wrapped(message, app string, length uint32, padding int) []byte {
	b := append([]byte(random16), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[16:], length)
	b = append(append(b, message...), app...)
	return append(b, bytes.Repeat([]byte{byte(padding)}, padding)...)
}

func TestDecryptionHasBounds(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, config(secure, newClock().now), nil)
	// 16 + 4 + n + 18 bytes and the padding are a multiple of 32.
	for n := range 70 {
		message := strings.Repeat("m", n)
		padding := 32 - (20+n+len(appID))%32
		if got, err := r.Open(r.SealBytes(wrapped(message, appID, uint32(n), padding))); err != nil || string(got) != message {
			t.Errorf("%d bytes: %s, %v", n, got, err)
		}
		for i := 2; i <= padding; i++ {
			wrong := wrapped(message, appID, uint32(n), padding)
			wrong[len(wrong)-i] ^= 0x40
			if _, err := r.Open(r.SealBytes(wrong)); err != miniprogram.ErrBadMessage {
				t.Errorf("%d bytes, byte %d of the padding wrong: %v", n, i, err)
			}
		}
		for _, length := range []uint32{uint32(n) + 1, uint32(n) - 1, uint32(n + len(appID)), 1 << 31, 1<<32 - 1, 1<<32 - 20} {
			if got, err := r.Open(r.SealBytes(wrapped(message, appID, length, padding))); err != miniprogram.ErrBadMessage {
				t.Errorf("%d bytes said to be %d: %q, %v", n, length, got, err)
			}
		}
	}
	for name, bad := range map[string]string{
		"nothing": "", "no Base64": "!", "a byte": "AA==", "a block of 16": base64.StdEncoding.EncodeToString(make([]byte, 16)),
		"padding of 0":    r.SealBytes(append(wrapped("mmmmmmmmmmmmmmmmmmmmmmmmm", appID, 25, 0), 0)),
		"padding of 33":   r.SealBytes(wrapped(strings.Repeat("m", 25), appID, 25, 33)),
		"only padding":    r.SealBytes(bytes.Repeat([]byte{32}, 32)),
		"too short":       r.SealBytes(append(make([]byte, 13), bytes.Repeat([]byte{19}, 19)...)),
		"padding of 255":  r.SealBytes(bytes.Repeat([]byte{255}, 32)),
		"another app":     r.SealBytes(wrapped("m", "wx9999999999999999", 1, 25)),
		"a longer appid":  r.SealBytes(wrapped("m", appID+"x", 1, 24)),
		"a shorter appid": r.SealBytes(wrapped("m", appID[:17], 1, 26)),
	} {
		if got, err := r.Open(bad); err != miniprogram.ErrBadMessage || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestMessagesThatCantBeRead(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20)
	for _, body := range []string{
		``, ` `, `x`, `[]`, `{}`, `{"MsgType":""}`, `{"MsgType":"event"`, `{"MsgType":"event"} x`, `{"MsgType":"event","MsgType":"text"}`, `{"MsgType":"event","a":{},"a":1}`,
		`{"MsgType":"event","CreateTime":"x"}`, `{"MsgType":"event","CreateTime":-1}`, `{"MsgType":"event","CreateTime":1e9}`, "{\"MsgType\":\"\xff\"}",
		`{"MsgType":"event","Event":"trade_manage_order_settlement","settlement_time":"soon"}`,
		`<xml></xml>`, `<xml><MsgType>event</MsgType>`, `<xml><MsgType>event</MsgType></xml><xml/>`, `<xml><MsgType>event</MsgType><MsgType>text</MsgType></xml>`,
		`<!DOCTYPE xml [<!ENTITY a "b">]><xml><MsgType>event</MsgType></xml>`, `<!DOCTYPE xml><xml><MsgType>event</MsgType></xml>`,
		`<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml><MsgType>event</MsgType></xml>`, `<xml><MsgType>&a;</MsgType></xml>`,
		`<xml><MsgType>event</MsgType><?php x?></xml>`, `<xml>text<MsgType>event</MsgType></xml>`, `<xml><MsgType>event</MsgType></xml>text`,
		`<?xml version="1.0" encoding="GBK"?><xml><MsgType>event</MsgType></xml>`, `<xml><MsgType><a>event</a></MsgType></xml>`, `<xml><MsgType>event</MsgType>` + deep + `</xml>`,
	} {
		query, _ := newPusher(t, plain, false).push("")
		r := newReceiver(t, config(plain, newClock().now), func(context.Context, *miniprogram.Push) error { t.Errorf("%s: it is handled", body); return nil })
		if p, err := r.Parse(query, []byte(body)); !errors.Is(err, miniprogram.ErrBadMessage) || p != nil {
			t.Errorf("%s: %+v, %v", body, p, err)
		}
		if w := post(r, query, []byte(body)); w.Code != http.StatusBadRequest {
			t.Errorf("%s: answered %d", body, w.Code)
		}
	}
}

func TestSuccessIsSaidAfterTheHandler(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := config(secure, newClock().now)
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	fail, calls := true, 0
	r := newReceiver(t, c, func(context.Context, *miniprogram.Push) error {
		if calls++; fail {
			return errors.New("the disk is full")
		}
		return nil
	})
	query, body := newPusher(t, secure, false).push(settlement(false))
	if w := post(r, query, body); w.Code != 500 || strings.Contains(w.Body.String(), "success") || strings.Contains(w.Body.String(), "disk") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("log %s", log.String())
	}
	fail = false
	for range 3 { // the same again: handled once it can be, and then answered alone
		if w := post(r, query, body); w.Code != 200 || w.Body.String() != "success" {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	}
	if calls != 2 {
		t.Errorf("%d calls, want 2", calls)
	}
	// Signed anew, it is another message.
	p := newPusher(t, secure, false)
	p.nonces = 7
	if w := post(r, first(p.push(settlement(false))), second(p.push(settlement(true)))); w.Code != http.StatusForbidden {
		t.Errorf("a signature of another message is answered %d", w.Code)
	}
	query, body = p.push(settlement(false))
	if w := post(r, query, body); w.Code != 200 || calls != 3 {
		t.Errorf("answered %d, %d calls", w.Code, calls)
	}
}

func first(q url.Values, _ []byte) url.Values { return q }
func second(_ url.Values, b []byte) []byte    { return b }

// In the plain mode, the signature covers no body: another body under it is not handled.
func TestReplayWithAnotherBody(t *testing.T) {
	t.Parallel()
	var got []string
	r := newReceiver(t, config(plain, newClock().now), func(_ context.Context, p *miniprogram.Push) error {
		got = append(got, p.Fields["transaction_id"])
		return nil
	})
	query, body := newPusher(t, plain, false).push(settlement(false))
	post(r, query, body)
	post(r, query, bytes.Replace(body, []byte("4200000001"), []byte("4299999999"), 1))
	if fmt.Sprint(got) != "[4200000001]" {
		t.Errorf("handled %v", got)
	}
}

func TestTheSamePushAtTheSameTime(t *testing.T) {
	t.Parallel()
	for _, works := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			calls, most, now := 0, 0, 0
			release := make(chan struct{})
			c := config(secure, nil)
			r := newReceiver(t, c, func(ctx context.Context, _ *miniprogram.Push) error {
				mu.Lock()
				calls++
				now++
				most = max(most, now)
				mu.Unlock()
				<-release
				mu.Lock()
				defer mu.Unlock()
				if now--; !works {
					return errors.New("no")
				}
				return ctx.Err()
			})
			p := newPusher(t, secure, false)
			p.at = time.Now()
			query, body := p.push(settlement(false))
			codes := map[int]int{}
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					w := post(r, query, body)
					mu.Lock()
					defer mu.Unlock()
					codes[w.Code]++
				})
			}
			synctest.Wait()
			close(release)
			all.Wait()
			want, wantCalls := map[int]int{200: 10}, 1
			if !works {
				want, wantCalls = map[int]int{500: 10}, 10
			}
			if fmt.Sprint(codes) != fmt.Sprint(want) || calls != wantCalls || most != 1 {
				t.Errorf("works %t: answers %v, %d calls, %d at once", works, codes, calls, most)
			}
		})
	}
}

func TestHandlerHasLessThanFiveSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t, config(secure, nil), func(ctx context.Context, _ *miniprogram.Push) error {
			<-ctx.Done()
			return ctx.Err()
		})
		p := newPusher(t, secure, false)
		p.at = time.Now()
		query, body := p.push(settlement(false))
		began := time.Now()
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if w := post(r, query, body); w.Code < 500 {
					t.Errorf("answered %d", w.Code)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took < 4*time.Second || took >= 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestHandlerThatPanics(t *testing.T) {
	t.Parallel()
	calls := 0
	r := newReceiver(t, config(secure, newClock().now), func(context.Context, *miniprogram.Push) error {
		if calls++; calls == 1 {
			panic("at the disco")
		}
		return nil
	})
	query, body := newPusher(t, secure, false).push(settlement(false))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		post(r, query, body)
	}()
	if w := post(r, query, body); w.Code != 200 || calls != 2 {
		t.Errorf("the next one is answered %d after %d calls", w.Code, calls)
	}
}

func TestRepliesAreEncrypted(t *testing.T) {
	t.Parallel()
	for _, mode := range []pushMode{plain, compatible, secure} {
		for _, asXML := range []bool{false, true} {
			reply := `{"demo_resp":"good luck"}`
			if asXML {
				reply = `<xml><Content>good luck</Content></xml>`
			}
			r := newReceiver(t, config(mode, newClock().now), func(_ context.Context, p *miniprogram.Push) error {
				p.Reply = []byte(reply)
				return nil
			})
			query, body := newPusher(t, mode, asXML).push(settlement(asXML))
			w := post(r, query, body)
			kind := map[bool]string{false: "application/json; charset=utf-8", true: "application/xml; charset=utf-8"}[asXML]
			if w.Code != 200 || w.Header().Get("Content-Type") != kind {
				t.Errorf("%s, XML %t: answered %d %s", mode, asXML, w.Code, w.Header())
			}
			if mode == plain {
				if w.Body.String() != reply {
					t.Errorf("%s, XML %t: %s", mode, asXML, w.Body)
				}
				continue
			}
			var v struct {
				Encrypt, MsgSignature, Nonce string
				TimeStamp                    int64
			}
			err := json.Unmarshal(w.Body.Bytes(), &v)
			if asXML {
				err = xml.Unmarshal(w.Body.Bytes(), &v)
			}
			if err != nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			if got, err := r.Open(v.Encrypt); err != nil || string(got) != reply {
				t.Errorf("%s, XML %t: %s, %v", mode, asXML, got, err)
			}
			if v.MsgSignature != miniprogram.Sign(pushToken, strconv.FormatInt(v.TimeStamp, 10), v.Nonce, v.Encrypt) || v.TimeStamp != start.Unix() || len(v.Nonce) < 5 {
				t.Errorf("%s, XML %t: %s", mode, asXML, w.Body)
			}
			again := post(r, first(newPusher(t, mode, asXML).push(settlement(asXML))), body)
			if again.Body.String() == w.Body.String() {
				t.Errorf("%s: two replies are the same", mode)
			}
		}
	}
}

// What is remembered has a bound, in time and in number.
func TestWhatIsSeenIsForgotten(t *testing.T) {
	t.Parallel()
	k := newClock()
	calls := 0
	r := newReceiver(t, config(plain, k.now), func(context.Context, *miniprogram.Push) error { calls++; return nil })
	p := newPusher(t, plain, false)
	send := func() {
		p.at = k.now()
		query, body := p.push(`{"MsgType":"event"}`)
		if w := post(r, query, body); w.Code != 200 {
			t.Fatal(w.Code)
		}
	}
	for range 100 {
		send()
	}
	if r.Seen() != 100 {
		t.Errorf("%d are remembered, want 100", r.Seen())
	}
	k.advance(10 * time.Minute)
	send()
	if r.Seen() != 101 { // those before are still accepted, and so remembered
		t.Errorf("%d are remembered, want 101", r.Seen())
	}
	k.advance(5 * time.Second)
	send()
	if r.Seen() != 2 {
		t.Errorf("%d are remembered, want 2", r.Seen())
	}
	if err := r.Handle(miniprogram.MaxSeen+10, k.now()); err != nil {
		t.Fatal(err)
	}
	if r.Seen() != miniprogram.MaxSeen {
		t.Errorf("%d are remembered, want %d", r.Seen(), miniprogram.MaxSeen)
	}
	send()
	if r.Seen() != miniprogram.MaxSeen || calls != 103 {
		t.Errorf("%d are remembered, %d calls", r.Seen(), calls)
	}
}

func TestOtherRequestsToAReceiver(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, config(plain, newClock().now), nil)
	query, _ := newPusher(t, plain, false).push("")
	for _, x := range []struct {
		method, query string
		body          io.Reader
		want          int
	}{
		{http.MethodPut, query.Encode(), nil, 405}, {http.MethodHead, query.Encode(), nil, 405}, {http.MethodGet, "%zz", nil, 400}, {http.MethodPost, "a=%", nil, 400},
		{http.MethodPost, query.Encode(), strings.NewReader(`{"MsgType":"event"}` + strings.Repeat(" ", 1<<20)), 400},
	} {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(x.method, "/push", x.body)
		req.URL.RawQuery = x.query
		r.ServeHTTP(w, req)
		if w.Code != x.want || (x.want == 405) != (w.Header().Get("Allow") == "GET, POST") {
			t.Errorf("%s %s: %d %v, want %d", x.method, x.query, w.Code, w.Header(), x.want)
		}
	}
}

func TestReceiverMistakes(t *testing.T) {
	t.Parallel()
	handle := func(context.Context, *miniprogram.Push) error { return nil }
	good := config(secure, nil)
	if _, err := miniprogram.NewReceiver(good, nil); err == nil {
		t.Error("no handler is accepted")
	}
	for name, change := range map[string]func(*miniprogram.ReceiverConfig){
		"AppID":                    func(c *miniprogram.ReceiverConfig) { c.AppID = "gh_1" },
		"Token":                    func(c *miniprogram.ReceiverConfig) { c.Token = "" },
		"Token:":                   func(c *miniprogram.ReceiverConfig) { c.Token = "CanaryToken of more than 32 letters" },
		"EncodingAESKey":           func(c *miniprogram.ReceiverConfig) { c.EncodingAESKey = "CanaryKey" },
		"EncodingAESKey:":          func(c *miniprogram.ReceiverConfig) { c.EncodingAESKey = miniprogram.Secret(strings.Repeat("!", 43)) },
		"EncodingAESKey: ":         func(c *miniprogram.ReceiverConfig) { c.EncodingAESKey = aesKey + "=" },
		"PreviousEncodingAESKey":   func(c *miniprogram.ReceiverConfig) { c.PreviousEncodingAESKey = miniprogram.Secret(aesKey[1:]) },
		"PreviousEncodingAESKey: ": func(c *miniprogram.ReceiverConfig) { c.EncodingAESKey, c.PreviousEncodingAESKey = "", oldAESKey },
	} {
		c := good
		change(&c)
		if _, err := miniprogram.NewReceiver(c, handle); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(name)) || strings.Contains(err.Error(), "Canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := miniprogram.NewReceiver(miniprogram.ReceiverConfig{}, nil)
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("all mistakes at once: %v", err)
	}
}

func TestReceiversPrintNoSecret(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := config(secure, newClock().now)
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	r := newReceiver(t, c, func(context.Context, *miniprogram.Push) error { return errors.New("no") })
	query, body := newPusher(t, secure, false).push(settlement(false))
	post(r, query, body)
	query.Set("msg_signature", "x")
	post(r, query, body)
	key, err := base64.StdEncoding.DecodeString(aesKey + "=")
	if err != nil {
		t.Fatal(err)
	}
	c.Logger = nil
	printed := fmt.Sprintf("%v %+v %#v %v %+v", c, c, c, r, r) + log.String()
	if !strings.Contains(log.String(), "no") || !strings.Contains(printed, "[secret]") {
		t.Errorf("printed %s", printed)
	}
	for _, bad := range []string{pushToken, aesKey, string(key), fmt.Sprint(key)[1:40], "4200000001", "oSystem"} {
		if strings.Contains(printed, bad) {
			t.Errorf("%q is printed in %s", bad, printed)
		}
	}
}

// Whatever is sealed opens again, and nothing makes open panic.
func FuzzOpen(f *testing.F) {
	var v pushVectors
	readVectors(f, "miniprogram_push.json", &v)
	for _, x := range append(v.Secure, v.Reply...) {
		f.Add(x.Encrypt, []byte(x.Message))
	}
	f.Add("", []byte(nil))
	f.Add("AAAA", []byte("x"))
	f.Fuzz(func(t *testing.T, encrypted string, message []byte) {
		r := newReceiver(t, config(secure, newClock().now), nil)
		if got, err := r.Open(encrypted); err == nil && r.Seal(got, []byte(random16)) == "" || err != nil && (err != miniprogram.ErrBadMessage || got != nil) {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := r.Open(r.Seal(message, []byte(random16))); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%q opens as %q, %v", message, got, err)
		}
	})
}

// A push is refused, or has a type; JSON and XML are read without a panic.
func FuzzPushBody(f *testing.F) {
	for _, asXML := range []bool{false, true} {
		for _, mode := range []pushMode{plain, compatible, secure} {
			_, body := newPusher(f, mode, asXML).push(settlement(asXML))
			f.Add(body)
		}
	}
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><xml><MsgType>&b;</MsgType></xml>`))
	f.Add([]byte(`{"MsgType":"event","a":[{"b":null}],"CreateTime":1e999}`))
	query, _ := newPusher(f, plain, false).push("")
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := newReceiver(t, config(plain, newClock().now), nil).Parse(query, body)
		if err != nil && !errors.Is(err, miniprogram.ErrBadMessage) || err == nil && (p.MsgType == "" || !bytes.Equal(p.Raw, body)) || (err == nil) != (p != nil) {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := newReceiver(t, config(secure, newClock().now), nil).Parse(query, body); !errors.Is(err, miniprogram.ErrBadSignature) {
			t.Errorf("in the secure mode: %v", err)
		}
	})
}
