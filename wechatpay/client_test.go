package wechatpay_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

func prepaid(*http.Request, string) (int, string) {
	return 200, `{"prepay_id":"wx201410272009395522657a690389285100"}`
}

// An answer of success that is not proven to be WeChat Pay's leaves the order in doubt, whatever is wrong with it.
func TestUnprovenAnswersAreUncertain(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	f.answer = prepaid
	client := newClient(t, f, config())
	for name, alter := range map[string]func(h http.Header, body *string){
		"no headers": func(h http.Header, _ *string) {
			for k := range h {
				if strings.HasPrefix(k, "Wechatpay-") {
					h.Del(k)
				}
			}
		},
		"no timestamp":    func(h http.Header, _ *string) { h.Del("Wechatpay-Timestamp") },
		"no nonce":        func(h http.Header, _ *string) { h.Del("Wechatpay-Nonce") },
		"no serial":       func(h http.Header, _ *string) { h.Del("Wechatpay-Serial") },
		"no signature":    func(h http.Header, _ *string) { h.Del("Wechatpay-Signature") },
		"empty signature": func(h http.Header, _ *string) { h.Set("Wechatpay-Signature", "") },
		"two timestamps":  func(h http.Header, _ *string) { h.Add("Wechatpay-Timestamp", h.Get("Wechatpay-Timestamp")) },
		"two nonces":      func(h http.Header, _ *string) { h.Add("Wechatpay-Nonce", h.Get("Wechatpay-Nonce")) },
		"two serials":     func(h http.Header, _ *string) { h.Add("Wechatpay-Serial", h.Get("Wechatpay-Serial")) },
		"two signatures":  func(h http.Header, _ *string) { h.Add("Wechatpay-Signature", h.Get("Wechatpay-Signature")) },
		"two types":       func(h http.Header, _ *string) { h.Add("Wechatpay-Signature-Type", wechatpay.Scheme) },
		"folded nonce":    func(h http.Header, _ *string) { h.Set("Wechatpay-Nonce", h.Get("Wechatpay-Nonce")+", x") },
		"SM signature":    func(h http.Header, _ *string) { h.Set("Wechatpay-Signature-Type", "WECHATPAY2-SM2-WITH-SM3") },
		"unknown serial":  func(h http.Header, _ *string) { h.Set("Wechatpay-Serial", "00") },
		"merchant serial": func(h http.Header, _ *string) { h.Set("Wechatpay-Serial", merchantSerial) },
		"lower case":      func(h http.Header, _ *string) { h.Set("Wechatpay-Serial", strings.ToLower(serialA)) },
		"public key":      func(h http.Header, _ *string) { h.Set("Wechatpay-Serial", publicKeyID) },
		"stranger's key":  func(h http.Header, b *string) { replaceHeader(h, signer{serialA, strangerKey(), nil}, c.Now(), *b) },
		"merchant's key":  func(h http.Header, b *string) { replaceHeader(h, signer{serialA, merchantKey(), nil}, c.Now(), *b) },
		"probe": func(h http.Header, _ *string) {
			h.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+h.Get("Wechatpay-Signature"))
		},
		"cut Base64":  func(h http.Header, _ *string) { h.Set("Wechatpay-Signature", h.Get("Wechatpay-Signature")[:341]) },
		"other body":  func(_ http.Header, b *string) { *b += " " },
		"no body":     func(_ http.Header, b *string) { *b = "" },
		"300 s old":   func(h http.Header, b *string) { replaceHeader(h, signerA(), c.Now().Add(-300*time.Second), *b) },
		"300 s ahead": func(h http.Header, b *string) { replaceHeader(h, signerA(), c.Now().Add(300*time.Second), *b) },
		"a year old":  func(h http.Header, b *string) { replaceHeader(h, signerA(), c.Now().AddDate(-1, 0, 0), *b) },
		"year 1":      func(h http.Header, b *string) { replaceHeader(h, signerA(), time.Time{}, *b) },
		"time of 13 digits": func(h http.Header, b *string) {
			replaceHeader(h, signerA(), time.Unix(c.Now().UnixMilli(), 0), *b)
		},
		"signed +": func(h http.Header, _ *string) { h.Set("Wechatpay-Timestamp", "+"+h.Get("Wechatpay-Timestamp")) },
		"no prepay id": func(h http.Header, b *string) {
			*b = `{"prepay_id":""}`
			replaceHeader(h, signerA(), c.Now(), *b)
		},
		"signed HTML": func(h http.Header, b *string) {
			*b = `<html>`
			replaceHeader(h, signerA(), c.Now(), *b)
		},
	} {
		f.set(func(f *fake) { f.alter = alter })
		id, err := client.Prepay(t.Context(), order())
		if !errors.Is(err, wechatpay.ErrUncertain) || errors.Is(err, wechatpay.ErrNotSent) || id != "" {
			t.Errorf("%s: %q, %v, want ErrUncertain", name, id, err)
		}
		var s *wechatpay.SignatureError
		if errors.As(err, &s) != errors.Is(err, wechatpay.ErrBadSignature) {
			t.Errorf("%s: %v", name, err)
		} else if s != nil && s.Probe != (name == "probe") {
			t.Errorf("%s: Probe is %t", name, s.Probe)
		}
	}
	for name, alter := range map[string]func(h http.Header, body *string){
		"no type":      func(h http.Header, _ *string) { h.Del("Wechatpay-Signature-Type") },
		"299 s old":    func(h http.Header, b *string) { replaceHeader(h, signerA(), c.Now().Add(-299*time.Second), *b) },
		"299 s ahead":  func(h http.Header, b *string) { replaceHeader(h, signerA(), c.Now().Add(299*time.Second), *b) },
		"other header": func(h http.Header, _ *string) { h.Set("X-Forwarded-For", "1.2.3.4") },
	} {
		f.set(func(f *fake) { f.alter = alter })
		if id, err := client.Prepay(t.Context(), order()); err != nil || id == "" {
			t.Errorf("%s: %q, %v", name, id, err)
		}
	}
}

func replaceHeader(h http.Header, s signer, at time.Time, body string) {
	for k, v := range s.header(at, body) {
		h[k] = v
	}
}

func TestRefusalsAreTyped(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	client := newClient(t, f, config())
	for _, c := range []struct {
		status    int
		body      string
		code      wechatpay.Code
		uncertain bool
	}{
		{400, `{"code":"PARAM_ERROR","message":"m","detail":{"location":"body","value":203}}`, wechatpay.CodeParamError, false},
		{400, `{"code":"APPID_MCHID_NOT_MATCH","message":"m"}`, wechatpay.CodeAppIDMchIDNotMatch, false},
		{401, `{"code":"SIGN_ERROR","message":"签名错误"}`, wechatpay.CodeSignError, false},
		{403, `{"code":"OUT_TRADE_NO_USED","message":"m"}`, wechatpay.CodeOutTradeNoUsed, false},
		{404, `{"code":"ORDERNOTEXIST","message":"m"}`, wechatpay.CodeOrderNotExist, false},
		{404, ``, "HTTP_404", false},
		{405, ``, "HTTP_405", false},
		{403, `<html>forbidden</html>`, "HTTP_403", false},
		{400, `{"code":17,"message":["x"]}`, "HTTP_400", false},
		{400, `{"code":"a b","message":null,"detail":null}`, "HTTP_400", false},
		{400, `{"code":"` + strings.Repeat("A", 65) + `"}`, "HTTP_400", false},
		{429, `{"code":"FREQUENCY_LIMIT_EXCEED","message":"m"}`, wechatpay.CodeFrequencyLimited, false},
		{429, ``, "HTTP_429", false},
		{408, ``, "HTTP_408", true},
		{500, `{"code":"SYSTEMERROR","message":"m"}`, wechatpay.CodeSystemError, true},
		{500, `{"code":"OPENID_MISMATCH","message":"m"}`, wechatpay.CodeOpenIDMismatch, true},
		{502, `<html>bad gateway</html>`, "HTTP_502", true},
		{503, `{"code":"SERVICE_UNAVAILABLE","message":"m"}`, wechatpay.CodeServiceUnavailable, true},
		{202, `{"code":"USERPAYING","message":"m"}`, wechatpay.CodeUserPaying, true},
		{302, ``, "HTTP_302", true},
	} {
		f.set(func(f *fake) {
			f.answer = func(*http.Request, string) (int, string) { return c.status, c.body }
			f.alter = func(h http.Header, _ *string) { h.Set("Location", f.URL+"/elsewhere") }
		})
		_, err := client.Prepay(t.Context(), order())
		var e *wechatpay.Error
		if !errors.As(err, &e) || e.Status != c.status || e.Code != c.code || !errors.Is(err, c.code) ||
			errors.Is(err, wechatpay.ErrUncertain) != c.uncertain || errors.Is(err, wechatpay.ErrNotSent) {
			t.Errorf("%d %s: %v, want %s, uncertain %t", c.status, c.body, err, c.code, c.uncertain)
			continue
		}
		if e.RequestID != "08F79CCBA90610C9021887B6D2D401-0" || e.Hint("zh") == "" || e.Hint("en") == "" || e.Hint("zh") == e.Hint("en") {
			t.Errorf("%d %s: request id %q, hints %q and %q", c.status, c.body, e.RequestID, e.Hint("zh"), e.Hint("en"))
		}
	}
	if f.count("GET /elsewhere") != 0 || f.count("POST /elsewhere") != 0 {
		t.Error("a redirect was followed")
	}
}

func TestNothingIsSentWithoutAConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") }))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)

	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	t.Cleanup(old.Close)
	trusting := wechatpay.NewTransport()
	trusting.TLSClientConfig.RootCAs = x509.NewCertPool()
	trusting.TLSClientConfig.RootCAs.AddCert(old.Certificate())

	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name, url string
		ctx       context.Context
		client    *http.Client
	}{
		{"nobody listens", "http://" + closed, t.Context(), &http.Client{Transport: wechatpay.NewTransport()}},
		{"nobody listens, wrapped transport", "http://" + closed, t.Context(), &http.Client{Transport: wrapped{wechatpay.NewTransport()}}},
		{"no such name", "http://pay.invalid", t.Context(), &http.Client{Transport: wechatpay.NewTransport()}},
		{"unknown authority", secure.URL, t.Context(), &http.Client{Transport: wechatpay.NewTransport()}},
		{"TLS 1.1", old.URL, t.Context(), &http.Client{Transport: trusting}},
		{"context done", secure.URL, done, secure.Client()},
	} {
		client, err := wechatpay.NewClient(publicKeyConfig(), wechatpay.WithBaseURL(c.url), wechatpay.WithHTTPClient(c.client))
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Prepay(c.ctx, order())
		if !errors.Is(err, wechatpay.ErrNotSent) || errors.Is(err, wechatpay.ErrUncertain) {
			t.Errorf("%s: %v, want ErrNotSent", c.name, err)
		}
		if c.ctx == done && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v does not wrap the context's error", c.name, err)
		}
	}
	// In certificate mode, an order is not sent while there is no key to verify its answer with.
	client, err := wechatpay.NewClient(config(), wechatpay.WithBaseURL("http://"+closed))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrNotSent) {
		t.Errorf("no certificates: %v, want ErrNotSent", err)
	}
}

type wrapped struct{ http.RoundTripper }

// mute is a transport that loses every answer and hides its connections.
type mute struct{}

func (mute) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("lost")
}

// Where the request may have left, the outcome is open: however the answer fails to come.
func TestLostAnswersAreUncertain(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	client := newClient(t, f, publicKeyConfig())
	hijack := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(conn, answer) // the client may be gone
			_ = conn.Close()
		}
	}
	for name, raw := range map[string]http.HandlerFunc{
		"connection closed":   hijack(""),
		"garbage":             hijack("SSH-2.0-OpenSSH\r\n\r\n"),
		"half a header":       hijack("HTTP/1.1 200 OK\r\nContent-Le"),
		"half a body":         hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
		"half a refusal":      hijack("HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n{"),
		"broken chunks":       hijack("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
		"two content lengths": hijack("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}"),
		"unsigned HTML":       hijack("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"),
		"10 MB":               func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 10<<20)) },
		"10 MB of a refusal":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400); _, _ = w.Write(make([]byte, 10<<20)) },
		"10 MB of zeros in gzip": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			g := gzip.NewWriter(w)
			_, _ = g.Write(make([]byte, 10<<20))
			_ = g.Close()
		},
		"broken gzip": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("not gzip"))
		},
	} {
		f.set(func(f *fake) { f.raw = raw })
		if _, err := client.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrUncertain) || errors.Is(err, wechatpay.ErrNotSent) {
			t.Errorf("%s: %v, want ErrUncertain", name, err)
		} else if strings.Contains(err.Error(), f.URL) {
			t.Errorf("%s: the error holds the address: %v", name, err)
		}
	}

	// The caller's deadline ends a request that hangs.
	arrived := make(chan struct{})
	f.set(func(f *fake) {
		f.raw = func(_ http.ResponseWriter, r *http.Request) { close(arrived); <-r.Context().Done() }
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if _, err := client.Prepay(ctx, order()); !errors.Is(err, wechatpay.ErrUncertain) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled on the way: %v", err)
	}

	// A transport of the caller's own that says nothing about connections proves nothing.
	other, err := wechatpay.NewClient(publicKeyConfig(), wechatpay.WithHTTPClient(&http.Client{Transport: mute{}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrUncertain) || errors.Is(err, wechatpay.ErrNotSent) {
		t.Errorf("an unknown transport: %v, want ErrUncertain", err)
	}
}

func TestCompressedAnswersAreVerifiedUncompressed(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	const body = `{"prepay_id":"wx1"}`
	f.raw = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("Accept-Encoding is %q", r.Header.Get("Accept-Encoding"))
		}
		replaceHeader(w.Header(), signerPublic(), c.Now(), body)
		w.Header().Set("Content-Encoding", "gzip")
		g := gzip.NewWriter(w)
		_, _ = io.WriteString(g, body)
		_ = g.Close()
	}
	client := newClient(t, f, publicKeyConfig())
	if id, err := client.Prepay(t.Context(), order()); err != nil || id != "wx1" {
		t.Errorf("%q, %v", id, err)
	}
}

func TestPublicKeyModeAsksForItsKey(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	f.signWith = signerPublic()
	var asked string
	f.answer = func(r *http.Request, _ string) (int, string) {
		asked = r.Header.Get("Wechatpay-Serial")
		return prepaid(r, "")
	}
	client := newClient(t, f, publicKeyConfig())
	if _, err := client.Prepay(t.Context(), order()); err != nil {
		t.Fatal(err)
	}
	if asked != publicKeyID || f.count("GET /v3/certificates") != 0 {
		t.Errorf("Wechatpay-Serial %q, requests %q", asked, f.requests)
	}
	// In certificate mode it asks for nothing.
	f.set(func(f *fake) { f.signWith = signerA() })
	if _, err := newClient(t, f, config()).Prepay(t.Context(), order()); err != nil || asked != "" {
		t.Errorf("Wechatpay-Serial %q, %v", asked, err)
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	f.answer = func(r *http.Request, body string) (int, string) {
		return 200, `{"target":"` + r.RequestURI + `","body":` + body + `}`
	}
	client := newClient(t, f, config())
	got, err := client.Do(t.Context(), http.MethodPost, "/v3/x/%E5%88%86", url.Values{"b": {"分 &"}, "a": {"1"}}, []byte(`{"k": 1}`))
	want := `{"target":"/v3/x/%E5%88%86?a=1&b=%E5%88%86+%26","body":{"k": 1}}`
	if err != nil || string(got.Body) != want || got.Status != 200 || got.Serial != serialA || got.RequestID == "" {
		t.Errorf("Do = %+v, %v, want body %s", got, err, want)
	}
	for _, path := range []string{"", "v3/x", "/v3/x?y=1", "/v3/x#y", "/v3/%zz"} {
		if _, err := client.Do(t.Context(), http.MethodGet, path, nil, nil); !errors.Is(err, wechatpay.ErrNotSent) {
			t.Errorf("Do(%q): %v, want ErrNotSent", path, err)
		}
	}
	if _, err := client.Do(t.Context(), "GET /", "/v3/x", nil, nil); !errors.Is(err, wechatpay.ErrNotSent) {
		t.Errorf("a broken method: %v, want ErrNotSent", err)
	}
}

func TestNewClientNamesEveryMistake(t *testing.T) {
	t.Parallel()
	good, err := wechatpay.NewClient(config())
	if err != nil || good == nil {
		t.Fatal(err)
	}
	cert := certificate(merchantKey(), merchantSerial, start.AddDate(-1, 0, 0), start.AddDate(1, 0, 0))
	cert.Subject.CommonName = merchantID
	for _, c := range []struct {
		name, field string
		change      func(*wechatpay.Config)
	}{
		{"no merchant", "MerchantID", func(c *wechatpay.Config) { c.MerchantID = "" }},
		{"merchant with quotes", "MerchantID", func(c *wechatpay.Config) { c.MerchantID = `1900",x="` }},
		{"no serial", "CertificateSerial", func(c *wechatpay.Config) { c.CertificateSerial = "" }},
		{"colons", "CertificateSerial", func(c *wechatpay.Config) { c.CertificateSerial = "40:8B:07" }},
		{"decimal", "CertificateSerial", func(c *wechatpay.Config) { c.CertificateSerial = "368503859430850349803498503498530948530" }},
		{"public key id as serial", "CertificateSerial", func(c *wechatpay.Config) { c.CertificateSerial = publicKeyID }},
		{"short serial", "CertificateSerial", func(c *wechatpay.Config) { c.CertificateSerial = "408B" }},
		{"no key", "PrivateKey", func(c *wechatpay.Config) { c.PrivateKey = nil }},
		{"elliptic key", "PrivateKey", func(c *wechatpay.Config) { c.PrivateKey = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }},
		{"key that fails", "PrivateKey", func(c *wechatpay.Config) { c.PrivateKey = brokenSigner{merchantKey(), nil} }},
		{"key that signs as another", "PrivateKey", func(c *wechatpay.Config) { c.PrivateKey = brokenSigner{merchantKey(), strangerKey()} }},
		{"no APIv3 key", "APIv3Key", func(c *wechatpay.Config) { c.APIv3Key = wechatpay.APIv3Key{} }},
		{"empty old key", "OldAPIv3Keys", func(c *wechatpay.Config) { c.OldAPIv3Keys = make([]wechatpay.APIv3Key, 1) }},
		{"id without key", "PublicKey", func(c *wechatpay.Config) { c.PublicKeyID = publicKeyID }},
		{"key without id", "PublicKeyID", func(c *wechatpay.Config) { c.PublicKey = &platformKeyB().PublicKey }},
		{"id without prefix", "PublicKeyID", func(c *wechatpay.Config) {
			c.PublicKeyID, c.PublicKey = "0114232134912410000000000000", &platformKeyB().PublicKey
		}},
		{"own key", "PublicKey", func(c *wechatpay.Config) { c.PublicKeyID, c.PublicKey = publicKeyID, &merchantKey().PublicKey }},
		{"certificate of another key", "Certificate", func(c *wechatpay.Config) { c.Certificate, c.PrivateKey = cert, strangerKey() }},
		{"certificate of another merchant", "Certificate", func(c *wechatpay.Config) { c.Certificate, c.MerchantID = cert, "1900000001" }},
		{"certificate of another serial", "CertificateSerial", func(c *wechatpay.Config) { c.Certificate, c.CertificateSerial = cert, serialA }},
	} {
		bad := config()
		c.change(&bad)
		_, err := wechatpay.NewClient(bad, wechatpay.WithClock(newClock().Now))
		var e *wechatpay.ConfigError
		if !errors.As(err, &e) || e.Field != c.field || e.Hint("zh") == e.Hint("en") {
			t.Errorf("%s: %v, want an error about %s", c.name, err, c.field)
		}
	}
	if _, err := wechatpay.NewClient(wechatpay.Config{}); err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("an empty Config: %v, want one line for each mistake", err)
	}
	expired := config()
	expired.Certificate = cert
	if _, err := wechatpay.NewClient(expired, wechatpay.WithClock(func() time.Time { return start.AddDate(2, 0, 0) })); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired certificate: %v", err)
	}
	derived := config()
	derived.Certificate, derived.CertificateSerial = cert, ""
	if _, err := wechatpay.NewClient(derived, wechatpay.WithClock(newClock().Now)); err != nil {
		t.Errorf("the serial was not taken from the certificate: %v", err)
	}
	lower := config()
	lower.CertificateSerial = strings.ToLower(merchantSerial)
	if _, err := wechatpay.NewClient(lower); err != nil {
		t.Errorf("a serial in lower case: %v", err)
	}
	for _, o := range []wechatpay.Option{
		wechatpay.WithBaseURL(""), wechatpay.WithBaseURL("api.mch.weixin.qq.com"), wechatpay.WithBaseURL("ftp://x"), wechatpay.WithBaseURL("https://x/v3"),
		wechatpay.WithBaseURL("https://x?y"), wechatpay.WithBaseURL("https://u@x"), wechatpay.WithHTTPClient(nil), wechatpay.WithClock(nil),
		wechatpay.WithLogger(nil), wechatpay.WithPlatformCertificates(nil),
	} {
		var e *wechatpay.ConfigError
		if _, err := wechatpay.NewClient(config(), o); !errors.As(err, &e) {
			t.Errorf("a broken option: %v", err)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// brokenSigner shows one key and signs with another, or with none.
type brokenSigner struct{ shown, used *rsa.PrivateKey }

func (b brokenSigner) Public() crypto.PublicKey { return b.shown.Public() }

func (b brokenSigner) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if b.used == nil {
		return nil, errors.New("module not ready")
	}
	return b.used.Sign(r, digest, o)
}

func TestNothingSecretIsPrintedOrLogged(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	f.answer = func(*http.Request, string) (int, string) {
		return 400, `{"code":"INVALID_REQUEST","message":"openid oUpF8uMuAJO_M2pxb1Q9zNjWeS6o\r\nno","detail":{"value":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}`
	}
	var log bytes.Buffer
	c := config()
	client := newClient(t, f, c, wechatpay.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	_, err := client.Prepay(t.Context(), order())
	out := []string{log.String(), err.Error(), fmt.Sprintf("%v %+v %#v %s", c, c, c.APIv3Key, c.APIv3Key), fmt.Sprintf("%v %+v %#v", client, client, client),
		fmt.Sprintf("%q %x %d", c.APIv3Key, c.APIv3Key, c.APIv3Key)}
	logged := slog.New(slog.NewJSONHandler(&log, nil))
	logged.Info("x", "key", c.APIv3Key, "config", struct{ K wechatpay.APIv3Key }{c.APIv3Key})
	out = append(out, log.String())
	for _, s := range out {
		for _, secret := range []string{apiv3Text, fmt.Sprintf("%x", apiv3Text), "97 55 99 100 101", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", merchantKey().D.String()} {
			if strings.Contains(s, secret) {
				t.Errorf("%s is printed in %.200s", secret, s)
			}
		}
	}
	if !strings.Contains(out[1], "openid [openid]  no") {
		t.Errorf("the message lost more than the openid: %s", out[1])
	}
	if !strings.Contains(log.String(), "08F79CCBA90610C9021887B6D2D401-0") || !strings.Contains(out[2], "[secret]") {
		t.Errorf("log %s, config %s", log.String(), out[2])
	}
}

// A request whose answer is lost is not sent again, by the transport either.
func TestARequestIsSentOnce(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	received := make(chan string, 10)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				close(received)
				return
			}
			req, err := http.ReadRequest(bufio.NewReader(conn))
			if err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
				received <- req.Method + " " + req.RequestURI
			}
			_ = conn.Close()
		}
	}()
	client, err := wechatpay.NewClient(publicKeyConfig(), wechatpay.WithBaseURL("http://"+listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrUncertain) {
		t.Errorf("%v, want ErrUncertain", err)
	}
	_ = listener.Close()
	var all []string
	for r := range received {
		all = append(all, r)
	}
	if len(all) != 1 {
		t.Errorf("requests %q, want one", all)
	}
}
