package wechatpay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

// What users of other SDKs fall into, as far as the tests of each file don't show it: docs/traps.md has the list.

// Where there is no body nothing is sent and nothing is signed: neither {} nor null.
func TestEmptyMeansEmpty(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock()) // which checks the signature over what arrives
	client := newClient(t, f, config())
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		seen := 0
		f.set(func(f *fake) {
			f.answer = func(r *http.Request, body string) (int, string) {
				if seen++; body != "" || r.ContentLength != 0 || len(r.TransferEncoding) != 0 || r.Header["Content-Type"] != nil {
					t.Errorf("%s: body %q of length %d, %v, Content-Type %q", method, body, r.ContentLength, r.TransferEncoding, r.Header["Content-Type"])
				}
				return 204, ""
			}
		})
		if got, err := client.Do(t.Context(), method, "/v3/x", nil, nil); err != nil || len(got.Body) != 0 || seen != 1 {
			t.Errorf("%s: %+v, %v, %d requests", method, got, err, seen)
		}
	}
}

// Each line of a message is ended, the last one too, and what is inside a field stays as it is.
func TestMessagesEndEachLine(t *testing.T) {
	t.Parallel()
	at := time.Unix(1554208460, 0)
	for _, body := range []string{"", "{}", "a\r\nb", "a\n", "\r\n\r\n"} {
		for name, c := range map[string]struct {
			message []byte
			lines   int
		}{
			"request":  {wechatpay.RequestMessage("POST", "/v3/x", []byte(body), at, "N"), 5},
			"response": {wechatpay.ResponseMessage("1554208460", "N", []byte(body)), 3},
			"payment":  {wechatpay.PayMessage("wx1", at, "N", body), 4},
		} {
			s := string(c.message)
			if strings.Count(s, "\n") != c.lines+strings.Count(body, "\n") || strings.Count(s, "\r") != strings.Count(body, "\r") || !strings.HasSuffix(s, "\n"+body+"\n") {
				t.Errorf("%s of %q: %q", name, body, s)
			}
		}
	}
}

// A repeat has a time, a nonce and a signature of its own, also where the client itself asks a second server.
func TestEachTryIsSignedAnew(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c) // which refuses any time but its own
	var sent []string
	f.answer = func(r *http.Request, body string) (int, string) {
		sent = append(sent, r.Header.Get("Authorization"), body)
		return 503, ""
	}
	client := newClient(t, f, publicKeyConfig())
	for range 3 {
		if _, err := client.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrUncertain) {
			t.Error(err)
		}
		c.Advance(6 * time.Minute)
	}
	if len(sent) != 6 || sent[0] == sent[2] || sent[2] == sent[4] || sent[1] != sent[3] || sent[3] != sent[5] {
		t.Errorf("sent %q", sent)
	}

	// Who is refused for a clock that is wrong is told to look at it, and so is who refuses.
	clockless := &wechatpay.Error{Status: 401, Code: wechatpay.CodeSignError}
	header, body := notified(signerA(), c.Now().Add(-time.Hour))
	_, stale := listening(t, c).ParseNotification(t.Context(), header, body)
	var s *wechatpay.SignatureError
	if !errors.As(stale, &s) || !strings.Contains(s.Hint("en"), "clock") || !strings.Contains(s.Hint("zh"), "时钟") ||
		!strings.Contains(clockless.Hint("en"), "clock") || !strings.Contains(clockless.Hint("zh"), "时钟") {
		t.Errorf("%v; %s", stale, clockless.Hint("en"))
	}

	first, second := startFake(t, c), startFake(t, c)
	authorizations := map[string]bool{}
	for _, f := range []*fake{first, second} {
		f.answer = func(r *http.Request, _ string) (int, string) {
			authorizations[r.Header.Get("Authorization")] = true
			return 503, ""
		}
	}
	twice := newClient(t, first, publicKeyConfig(), wechatpay.WithBackupURL(second.URL))
	if _, err := twice.QueryOrder(t.Context(), "ORDER-000001"); err == nil || first.count("GET ") != 1 || second.count("GET ") != 1 || len(authorizations) != 2 {
		t.Errorf("%v, %d and %d requests, %d signatures", err, first.count("GET "), second.count("GET "), len(authorizations))
	}
}

// However the serial was copied, it is sent as WeChat Pay spells it. The fake refuses any other spelling.
func TestSerialsAreSentInCapitals(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	f.answer = prepaid
	lower := config()
	lower.CertificateSerial = strings.ToLower(merchantSerial)
	if _, err := newClient(t, f, lower).Prepay(t.Context(), order()); err != nil {
		t.Error(err)
	}
}

// The most frequent reason of "verify fail": the merchant's own key in the place of WeChat Pay's.
func TestTheMerchantsKeyVerifiesNothing(t *testing.T) {
	t.Parallel()
	own := certificate(merchantKey(), merchantSerial, start.AddDate(-1, 0, 0), start.AddDate(1, 0, 0))
	swapped := config()
	swapped.PublicKeyID, swapped.PublicKey = publicKeyID, &merchantKey().PublicKey
	for field, build := range map[string]func() (*wechatpay.Client, error){
		"PublicKey": func() (*wechatpay.Client, error) { return wechatpay.NewClient(swapped) },
		"WithPlatformCertificates": func() (*wechatpay.Client, error) {
			return wechatpay.NewClient(config(), wechatpay.WithClock(newClock().Now), wechatpay.WithPlatformCertificates(signerA().cert, own))
		},
	} {
		client, err := build()
		var e *wechatpay.ConfigError
		if !errors.As(err, &e) || e.Field != field || client != nil || !strings.Contains(err.Error(), "merchant's own") || e.Hint("zh") == e.Hint("en") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Nothing changes the case of a path, where openids and numbers stand.
func TestPathsKeepTheirCase(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	const path = "/v3/marketing/favor/users/oUpF8uMuAJO_M2pxb1Q9zNjWeS6o/Coupons"
	s := play(f, map[string]string{"GET " + path: `{}`, "GET /v3/pay/transactions/out-trade-no/aBcDeF": strings.Replace(paidJSON, "ORDER-000001", "aBcDeF", 1)})
	client := newClient(t, f, config())
	if _, err := client.Do(t.Context(), http.MethodGet, path, nil, nil); err != nil {
		t.Error(err)
	}
	if _, err := client.QueryOrder(t.Context(), "aBcDeF"); err != nil {
		t.Error(err)
	}
	s.expect(t, "GET "+path, "GET /v3/pay/transactions/out-trade-no/aBcDeF?mchid=1900007291")
}

// answered gives a message to NotificationHandler, wrapped, and returns what came of it.
func answered(t *testing.T, c *clock, header http.Header, body io.Reader, wrap func(http.Handler) http.Handler) (status, handled int, log string) {
	t.Helper()
	var out bytes.Buffer
	client, err := wechatpay.NewClient(config(), wechatpay.WithClock(c.Now), wechatpay.WithPlatformCertificates(signerA().cert),
		wechatpay.WithHTTPClient(&http.Client{Transport: offline{}}), wechatpay.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
	if err != nil {
		t.Fatal(err)
	}
	h := client.NotificationHandler(func(ctx context.Context, n *wechatpay.Notification) error {
		handled++
		return nil
	})
	if wrap != nil {
		h = wrap(h)
	}
	r := httptest.NewRequest(http.MethodPost, "/notify", body)
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, handled, out.String()
}

// A framework or a logger may have read the body before: whole, it must be put back as it was. What it has eaten is
// never believed and never answered as done, so WeChat Pay sends it again.
func TestBodiesThatWereReadBefore(t *testing.T) {
	t.Parallel()
	c := newClock()
	header, body := notified(signerA(), c.Now())
	for name, tc := range map[string]struct {
		leave           func(read []byte) []byte
		status, handled int
	}{
		"put back":   {func(b []byte) []byte { return b }, 204, 1},
		"eaten":      {func([]byte) []byte { return nil }, 401, 0},
		"half eaten": {func(b []byte) []byte { return b[len(b)/2:] }, 401, 0},
		"trimmed and indented": {func(b []byte) []byte {
			var out bytes.Buffer
			if err := json.Indent(&out, b, "", " "); err != nil {
				t.Error(err)
			}
			return out.Bytes()
		}, 401, 0},
	} {
		status, handled, log := answered(t, c, header, bytes.NewReader(body), func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				read, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				r.Body = io.NopCloser(bytes.NewReader(tc.leave(read)))
				next.ServeHTTP(w, r)
			})
		})
		if status != tc.status || handled != tc.handled {
			t.Errorf("%s: status %d, handled %d times, want %d and %d", name, status, handled, tc.status, tc.handled)
		}
		if tc.status != 204 && !strings.Contains(log, "raw bytes") {
			t.Errorf("%s: the log does not say what to look for: %s", name, log)
		}
	}
}

// The id of a public key is one word: not a number with a decoration.
func TestPublicKeyIDsAreWholeWords(t *testing.T) {
	t.Parallel()
	c := newClock()
	client, err := wechatpay.NewClient(publicKeyConfig(), wechatpay.WithClock(c.Now), wechatpay.WithHTTPClient(&http.Client{Transport: offline{}}))
	if err != nil {
		t.Fatal(err)
	}
	bare := strings.TrimPrefix(publicKeyID, "PUB_KEY_ID_")
	for serial, ok := range map[string]bool{
		publicKeyID: true, bare: false, strings.TrimLeft(bare, "0"): false, strings.ToLower(publicKeyID): false, "PUB_KEY_ID_" + strings.TrimLeft(bare, "0"): false,
		"PUB_KEY_ID_" + publicKeyID: false,
	} {
		header, body := notified(signer{serial, platformKeyB(), nil}, c.Now())
		if _, err := client.ParseNotification(t.Context(), header, body); (err == nil) != ok || err != nil && !errors.Is(err, wechatpay.ErrBadSignature) {
			t.Errorf("%s: %v", serial, err)
		}
	}
}

// A probe of WeChat Pay's is refused like any wrong signature, and is no alarm: its log line says what it is.
func TestProbesAreNoAlarm(t *testing.T) {
	t.Parallel()
	c := newClock()
	header, body := notified(signerA(), c.Now())
	header.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+header.Get("Wechatpay-Signature"))
	status, handled, log := answered(t, c, header, bytes.NewReader(body), nil)
	if status != 401 || handled != 0 || strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=INFO") || !strings.Contains(log, "probe=true") {
		t.Errorf("status %d, handled %d times, log %s", status, handled, log)
	}
}

// Proxies drop headers, and tools that repeat a body by hand send none: the error says which one is missing.
func TestMissingHeadersAreNamed(t *testing.T) {
	t.Parallel()
	c := newClock()
	client := listening(t, c)
	for _, name := range []string{"Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial"} {
		header, body := notified(signerA(), c.Now())
		header.Set("HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_")), header.Get(name)) // as CGI spells it
		header.Del(name)
		_, err := client.ParseNotification(t.Context(), header, body)
		var s *wechatpay.SignatureError
		if !errors.As(err, &s) || !strings.Contains(s.Hint("en"), name) || !strings.Contains(s.Hint("en"), "proxy") || !strings.Contains(s.Hint("zh"), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// Some resources have no associated data, which is not the same as any.
func TestEmptyAssociatedData(t *testing.T) {
	t.Parallel()
	c := newClock()
	client := listening(t, c)
	envelope := func(sealedWith, field string) string {
		return fmt.Sprintf(`{"id":"1","create_time":"2026-11-20T16:00:00+08:00","resource_type":"encrypt-resource","event_type":"TRANSACTION.SUCCESS","summary":"s",`+
			`"resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM","ciphertext":%q,%s"nonce":"Kj7QIyUiYx1q"}}`,
			seal(apiv3Text, "Kj7QIyUiYx1q", sealedWith, paidJSON), field)
	}
	for name, tc := range map[string]struct {
		body string
		ok   bool
	}{
		"empty":            {envelope("", `"associated_data":"",`), true},
		"absent":           {envelope("", ``), true},
		"null":             {envelope("", `"associated_data":null,`), true},
		"lost on the way":  {envelope("transaction", `"associated_data":"",`), false},
		"added on the way": {envelope("", `"associated_data":"transaction",`), false},
	} {
		n, err := client.ParseNotification(t.Context(), signerA().header(c.Now(), tc.body), []byte(tc.body))
		if tc.ok && (err != nil || n.Transaction.Amount.Total != 1999) || !tc.ok && !errors.Is(err, wechatpay.ErrBadMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// "prepay_id=" is put before the id once, here, and not at all for an app.
func TestPrepayIDsComeBare(t *testing.T) {
	t.Parallel()
	client := listening(t, newClock())
	for _, id := range []string{"prepay_id=wx20261120", "prepay_id="} {
		p, err := client.PayParameters("wx8888888888888888", id)
		refused(t, id, err, "prepay_id")
		a, err := client.AppParameters("wx8888888888888888", id)
		refused(t, id, err, "prepayid")
		if p != (wechatpay.PayParameters{}) || a != (wechatpay.AppParameters{}) {
			t.Errorf("%s: %+v, %+v", id, p, a)
		}
	}
}

// A refund without an address of its own is told of to that of the merchant platform in the XML of API v2. This package
// neither believes nor answers it as done; package apiv2 reads it.
func TestRefundNotificationsOfV2(t *testing.T) {
	t.Parallel()
	text := "<xml><return_code>SUCCESS</return_code><appid>wx8888888888888888</appid><mch_id>" + merchantID + "</mch_id><nonce_str>TeqClE3i0mvn3DrK</nonce_str><req_info>AAAA</req_info></xml>"
	status, handled, log := answered(t, newClock(), http.Header{"Content-Type": {"text/xml"}}, strings.NewReader(text), nil)
	if status != 401 || handled != 0 || log == "" {
		t.Errorf("status %d, handled %d times, log %s", status, handled, log)
	}
}

// The misspelt name is the real one.
func TestTransferring(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	play(f, map[string]string{"GET /v3/fund-app/mch-transfer/transfer-bills/out-bill-no/T1": strings.Replace(transferJSON, "WAIT_USER_CONFIRM", "TRANSFERING", 1)})
	got, err := newClient(t, f, config()).QueryTransfer(t.Context(), "T1")
	if err != nil || got.State != wechatpay.TransferTransferring || got.State.Final() {
		t.Errorf("%+v, %v", got, err)
	}
}
