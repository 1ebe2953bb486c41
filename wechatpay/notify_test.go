package wechatpay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

// listening is a client that has its certificate and never needs the network.
func listening(t testing.TB, c *clock) *wechatpay.Client {
	t.Helper()
	client, err := wechatpay.NewClient(config(), wechatpay.WithClock(c.Now), wechatpay.WithPlatformCertificates(signerA().cert),
		wechatpay.WithHTTPClient(&http.Client{Transport: offline{}}))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

type offline struct{}

func (offline) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("offline") }

func TestParseNotification(t *testing.T) {
	t.Parallel()
	c := newClock()
	client := listening(t, c)
	header, body := notified(signerA(), c.Now())
	lower := http.Header{}
	for k, v := range header {
		lower[strings.ToLower(k)] = v // as some frameworks hand headers over
	}
	lower["x-forwarded-for"] = []string{"127.0.0.1"}
	lower["host"] = []string{"localhost"}
	for _, h := range []http.Header{header, lower} {
		n, err := client.ParseNotification(t.Context(), h, body)
		if err != nil {
			t.Fatal(err)
		}
		if n.ID != "3119dfba-e649-5eec-ab1e-3412bc4d2e17" || n.EventType != wechatpay.EventTransactionSuccess || n.Summary != "支付成功" ||
			!n.CreateTime.Equal(start) || n.Serial != serialA || n.Resource.OriginalType != "transaction" || string(n.Resource.Plaintext) != paidJSON {
			t.Errorf("%+v", n)
		}
		if tr := n.Transaction; tr == nil || tr.OutTradeNo != "ORDER-000001" || tr.Amount.Total != 1999 || tr.TradeState != wechatpay.TradeSuccess {
			t.Errorf("%+v", tr)
		}
	}

	// An event of the future is no error.
	text := notification("PAYSCORE.USER_PAID", "payscore", `{"refund_status":"SUCCESS"}`)
	n, err := client.ParseNotification(t.Context(), signerA().header(c.Now(), text), []byte(text))
	if err != nil || n.Transaction != nil || string(n.Resource.Plaintext) != `{"refund_status":"SUCCESS"}` {
		t.Errorf("%+v, %v", n, err)
	}
}

// Every byte of what is signed matters, and every byte of the headers that say so.
func TestTamperedNotificationsFail(t *testing.T) {
	t.Parallel()
	c := newClock()
	client := listening(t, c)
	header, body := notified(signerA(), c.Now())
	refused := func(what string, i int, h http.Header, b []byte) {
		if n, err := client.ParseNotification(context.Background(), h, b); !errors.Is(err, wechatpay.ErrBadSignature) || n != nil {
			t.Errorf("%s, byte %d altered: %+v, %v, want ErrBadSignature", what, i, n, err)
		}
	}
	for i := range body {
		for _, bit := range []byte{0x01, 0x20, 0x80} {
			altered := append([]byte(nil), body...)
			altered[i] ^= bit
			refused("body", i, header, altered)
		}
	}
	for name := range header {
		for i := range len(header.Get(name)) {
			for _, bit := range []byte{0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80} {
				altered := header.Clone()
				value := []byte(header.Get(name))
				value[i] ^= bit
				altered[name] = []string{string(value)}
				refused(name, i, altered, body)
			}
		}
		for _, value := range []string{"", " " + header.Get(name), header.Get(name) + " ", header.Get(name) + "\n", header.Get(name) + "="} {
			if name == "Wechatpay-Signature-Type" && value == "" {
				continue // no type means RSA
			}
			altered := header.Clone()
			altered[name] = []string{value}
			refused(name+" as "+fmt.Sprintf("%q", value), -1, altered, body)
		}
	}
	var pretty map[string]any
	if err := json.Unmarshal(body, &pretty); err != nil {
		t.Fatal(err)
	}
	indented, err := json.MarshalIndent(pretty, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for name, altered := range map[string][]byte{
		"indented":     indented,
		"cut":          body[:len(body)-1],
		"line break":   append(append([]byte(nil), body...), '\n'),
		"BOM":          append([]byte("\xef\xbb\xbf"), body...),
		"empty":        {},
		"twice":        append(append([]byte(nil), body...), body...),
		"re-encoded /": []byte(strings.ReplaceAll(string(body), "/", `\/`)),
	} {
		refused(name, -1, header, altered)
	}
	if _, err := client.ParseNotification(context.Background(), nil, body); !errors.Is(err, wechatpay.ErrBadSignature) {
		t.Errorf("no header at all: %v", err)
	}
	if _, err := client.ParseNotification(context.Background(), header, body); err != nil {
		t.Errorf("the untouched message: %v", err)
	}
}

func TestNotificationsAreFreshForFiveMinutes(t *testing.T) {
	t.Parallel()
	for after, fresh := range map[time.Duration]bool{
		0: true, time.Second: true, 299 * time.Second: true, 300*time.Second - 1: true,
		300 * time.Second: false, 301 * time.Second: false, 24 * time.Hour: false, 365 * 24 * time.Hour: false,
		-299 * time.Second: true, -300 * time.Second: false, -301 * time.Second: false,
	} {
		c := newClock()
		client := listening(t, c)
		header, body := notified(signerA(), c.Now())
		c.Advance(after)
		_, err := client.ParseNotification(t.Context(), header, body)
		if fresh && err != nil || !fresh && !errors.Is(err, wechatpay.ErrBadSignature) {
			t.Errorf("after %v: %v, want fresh %t", after, err, fresh)
		}
	}
}

// A nonce of any length but 12 makes Go's GCM panic, and it comes from outside.
func TestNonceLengths(t *testing.T) {
	t.Parallel()
	c := newClock()
	client := listening(t, c)
	for n := range 65 {
		nonce := strings.Repeat("n", n)
		body := fmt.Sprintf(`{"id":"1","create_time":"2026-11-20T16:00:00+08:00","resource_type":"encrypt-resource","event_type":"TRANSACTION.SUCCESS","summary":"s",`+
			`"resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM","ciphertext":%q,"associated_data":"transaction","nonce":%q}}`,
			seal(apiv3Text, nonce, "transaction", paidJSON), nonce)
		_, err := client.ParseNotification(t.Context(), signerA().header(c.Now(), body), []byte(body))
		if n == 12 && err != nil || n != 12 && !errors.Is(err, wechatpay.ErrBadMessage) {
			t.Errorf("nonce of %d bytes: %v", n, err)
		}
	}
}

// What WeChat Pay signed and we can't read is told from what it did not sign.
func TestGenuineButUnreadable(t *testing.T) {
	t.Parallel()
	c := newClock()
	client := listening(t, c)
	good := notification("TRANSACTION.SUCCESS", "transaction", paidJSON)
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the notification has no %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	about := func(plain string) string { return notification("TRANSACTION.SUCCESS", "transaction", plain) }
	for name, body := range map[string]string{
		"empty":                 "",
		"no JSON":               "<xml></xml>",
		"a list":                "[" + good + "]",
		"null":                  "null",
		"two documents":         good + good,
		"garbage after":         good + "x",
		"not UTF-8":             replace("支付成功", "\xff"),
		"BOM":                   "\xef\xbb\xbf" + good,
		"no id":                 replace(`"id"`, `"x"`),
		"no event type":         replace(`"event_type"`, `"x"`),
		"no create time":        replace(`"create_time"`, `"x"`),
		"time without zone":     replace("16:00:00+08:00", "16:00:00"),
		"no resource":           replace(`"resource"`, `"x"`),
		"resource null":         `{"id":"1","create_time":"2026-11-20T16:00:00+08:00","resource_type":"encrypt-resource","event_type":"TRANSACTION.SUCCESS","summary":"s","resource":null}`,
		"no original type":      replace(`"original_type"`, `"x"`),
		"no algorithm":          replace(`"algorithm"`, `"x"`),
		"SM algorithm":          replace("AEAD_AES_256_GCM", "AEAD_SM4_GCM"),
		"other resource type":   replace("encrypt-resource", "resource"),
		"no ciphertext":         replace(`"ciphertext"`, `"x"`),
		"other associated data": replace(`"associated_data":"transaction"`, `"associated_data":"refund"`),
		"other nonce":           replace("Kj7QIyUiYx1q", "Kj7QIyUiYx1r"),
		"id as a number":        replace(`"id":"3119dfba-e649-5eec-ab1e-3412bc4d2e17"`, `"id":3119`),
		"event type twice":      replace(`"event_type"`, `"event_type":"REFUND.SUCCESS","event_type"`),
		"event type in capital": replace(`"event_type"`, `"Event_Type":"REFUND.SUCCESS","event_type"`),
		"event type spelled so": replace(`"event_type"`, `"eventType":"x","Event_Type"`),
		"state spelled so":      about(strings.Replace(paidJSON, `"trade_state_desc"`, `"Trade_State_Desc"`, 1)),
		"resource twice":        replace(`"resource":`, `"resource":{},"resource":`),
		"nonce twice":           replace(`"nonce"`, `"nonce":"x","nonce"`),
		"a Kelvin sign for k":   about(strings.Replace(paidJSON, `"bank_type"`, `"ban\u212a_type":"x","bank_type"`, 1)),
		"refund as transaction": notification("TRANSACTION.SUCCESS", "refund", paidJSON),
		"plaintext empty":       about(""),
		"plaintext a list":      about("[]"),
		"plaintext of a refund": about(`{"mchid":"1900007291","refund_status":"SUCCESS"}`),
		"combined order":        about(`{"combine_appid":"wx1","combine_out_trade_no":"ORDER-000001","sub_orders":[]}`),
		"provider's order":      about(strings.Replace(paidJSON, `"mchid"`, `"sp_mchid"`, 1)),
		"total as text":         about(strings.Replace(paidJSON, `1999`, `"1999"`, 1)),
		"total beyond int64":    about(strings.Replace(paidJSON, `1999`, `9223372036854775808`, 1)),
		"total as 1e2":          about(strings.Replace(paidJSON, `1999`, `1e2`, 1)),
		"amount null":           about(strings.Replace(paidJSON, `{"total":1999,"payer_total":1899,"currency":"CNY","payer_currency":"CNY"}`, `null`, 1)),
		"state twice":           about(strings.Replace(paidJSON, `"trade_state"`, `"trade_state":"NOTPAY","trade_state"`, 1)),
		"plaintext twice":       about(paidJSON + paidJSON),
	} {
		n, err := client.ParseNotification(t.Context(), signerA().header(c.Now(), body), []byte(body))
		if !errors.Is(err, wechatpay.ErrBadMessage) || errors.Is(err, wechatpay.ErrBadSignature) || n != nil {
			t.Errorf("%s: %+v, %v, want ErrBadMessage", name, n, err)
		} else if strings.Contains(err.Error(), "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o") || strings.Contains(err.Error(), apiv3Text) {
			t.Errorf("%s: the error tells too much: %v", name, err)
		}
	}
	for name, body := range map[string]string{
		"more fields":   replace(`"id"`, `"new":{"id":1,"ID":2,"id":3},"id"`),
		"no summary":    replace(`"summary":"支付成功",`, ``),
		"blanks around": " \r\n" + good + "\t\n",
	} {
		if _, err := client.ParseNotification(t.Context(), signerA().header(c.Now(), body), []byte(body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNotificationHandlerAnswersWhatWeChatPayExpects(t *testing.T) {
	t.Parallel()
	c := newClock()
	client := listening(t, c)
	good := notification("TRANSACTION.SUCCESS", "transaction", paidJSON)
	unreadable := notification("TRANSACTION.SUCCESS", "transaction", "{}")
	var handled []string
	var failure error
	handler := client.NotificationHandler(func(ctx context.Context, n *wechatpay.Notification) error {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("the handler's context has no end")
		}
		handled = append(handled, n.Transaction.OutTradeNo)
		return failure
	})
	for _, tc := range []struct {
		name    string
		method  string
		body    string
		header  http.Header
		failure error
		status  int
		handled bool
	}{
		{"genuine", "POST", good, signerA().header(c.Now(), good), nil, 204, true},
		{"not handled", "POST", good, signerA().header(c.Now(), good), errors.New("database down"), 500, true},
		{"a bad signature met while handling", "POST", good, signerA().header(c.Now(), good), fmt.Errorf("query: %w", wechatpay.ErrBadSignature), 500, true},
		{"forged", "POST", good, signer{serialA, strangerKey(), nil}.header(c.Now(), good), nil, 401, false},
		{"unsigned", "POST", good, nil, nil, 401, false},
		{"unknown serial", "POST", good, signerB().header(c.Now(), good), nil, 401, false},
		{"unreadable", "POST", unreadable, signerA().header(c.Now(), unreadable), nil, 500, false},
		{"GET", "GET", good, signerA().header(c.Now(), good), nil, 405, false},
		{"3 MB", "POST", strings.Repeat("x", 3<<20), nil, nil, 400, false},
	} {
		handled, failure = nil, tc.failure
		r := httptest.NewRequest(tc.method, "/notify", strings.NewReader(tc.body))
		r.Host = "localhost"
		for k, v := range tc.header {
			r.Header[k] = v
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != tc.status || (len(handled) > 0) != tc.handled {
			t.Errorf("%s: status %d, handled %q, want %d and %t", tc.name, w.Code, handled, tc.status, tc.handled)
		}
		if tc.status == 204 && w.Body.Len() != 0 {
			t.Errorf("%s: body %s", tc.name, w.Body)
		}
		var answer struct{ Code, Message string }
		if tc.status != 204 && (json.Unmarshal(w.Body.Bytes(), &answer) != nil || answer.Code != "FAIL" || answer.Message == "" || len(answer.Message) > 64) {
			t.Errorf("%s: body %s", tc.name, w.Body)
		}
		if strings.Contains(w.Body.String(), "database") {
			t.Errorf("%s: the answer tells why: %s", tc.name, w.Body)
		}
	}
}
