package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/miniprogram"
	"github.com/fenhao-pay/fenhao/sandbox"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// oldState is the state of a sandbox with one merchant. RSA keys are slow to make, so most sandboxes here begin with it.
var oldState = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "fenhao-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	wx, err := sandbox.New(sandbox.Options{Data: dir})
	if err != nil {
		return nil, err
	}
	if err := wx.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "state.jsonl"))
})

// dataFolder is a data folder with oldState.
func dataFolder(t *testing.T) string {
	t.Helper()
	state, err := oldState()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state.jsonl"), state, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// running is a `fenhao sandbox --json`.
type running struct {
	sandboxReady
	line   string
	signal func() // as SIGTERM does
	stop   func() // signals, and returns when it has exited, with 0
}

// startSandbox runs `fenhao sandbox --json` with free ports until the test ends.
func startSandbox(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, w := io.Pipe()
	var talk bytes.Buffer
	code := make(chan int, 1)
	go func() {
		exit := run(ctx, append([]string{"sandbox", "--json", "--listen", "127.0.0.1:0"}, args...), nil, w, &talk)
		_ = w.Close()
		code <- exit
	}()
	s := &running{signal: cancel}
	s.stop = sync.OnceFunc(func() {
		cancel()
		if exit := <-code; exit != exitDone {
			t.Errorf("the sandbox exited with %d: %s", exit, talk.String())
		}
	})
	t.Cleanup(s.stop)
	lines := bufio.NewReader(out)
	var err error
	if s.line, err = lines.ReadString('\n'); err != nil {
		s.stop()
		t.Fatalf("%v\n%s", err, talk.String())
	}
	go io.Copy(io.Discard, lines)
	if err := json.Unmarshal([]byte(s.line), &s.sandboxReady); err != nil {
		t.Fatal(err)
	}
	return s
}

// pool trusts what ca.pem of the export holds, and nothing else.
func (s *running) pool(t *testing.T) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(readFile(t, filepath.Join(s.Export, "ca.pem"))) {
		t.Fatal("ca.pem holds no certificate")
	}
	return pool
}

// throughProxy is a client that was told what the variables HTTPS_PROXY and SSL_CERT_FILE tell one.
func (s *running) throughProxy(t *testing.T) *http.Client {
	t.Helper()
	proxy, err := url.Parse(s.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: s.pool(t)}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// merchant is the only merchant, as the control API shows it.
func (s *running) merchant(t *testing.T) sandbox.Merchant {
	t.Helper()
	var list struct{ Data []sandbox.Merchant }
	if s.control(t, "GET", "merchants", "", &list); len(list.Data) != 1 {
		t.Fatalf("%d merchants", len(list.Data))
	}
	return list.Data[0]
}

func get(t *testing.T, client *http.Client, address string) (*http.Response, []byte) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Accept", "application/json") // WeChat Pay insists
	r, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	return r, bodyOf(t, r)
}

// control calls the control API, which has to answer 2xx.
func (s *running) control(t *testing.T, method, path, body string, v any) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, s.Sandbox+"/sandbox/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	answer := bodyOf(t, r)
	if err := json.Unmarshal(answer, v); err != nil || r.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s %s, %v", method, path, r.Status, answer, err)
	}
}

// answerOn reads one answer off a connection.
func answerOn(t *testing.T, from *bufio.Reader) (*http.Response, []byte) {
	t.Helper()
	r, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r, bodyOf(t, r)
}

func bodyOf(t *testing.T, r *http.Response) []byte {
	t.Helper()
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// isWeChats401 fails the test unless the answer is WeChat Pay's to a request without a signature.
func isWeChats401(t *testing.T, r *http.Response, body []byte) {
	t.Helper()
	var refusal struct{ Code string }
	if err := json.Unmarshal(body, &refusal); err != nil || r.StatusCode != http.StatusUnauthorized || refusal.Code != "SIGN_ERROR" {
		t.Errorf("got %s %s, want WeChat Pay's 401", r.Status, body)
	}
}

// An SDK with WeChat's addresses built in buys through the proxy: login, order, query.
func TestSandboxThroughProxy(t *testing.T) {
	t.Parallel()
	s := startSandbox(t, "--data", dataFolder(t), "--export", t.TempDir(), "--proxy", "127.0.0.1:0")
	if strings.Contains(s.line, `"tls"`) || s.Proxy == "" {
		t.Errorf("ready: %s", s.line)
	}
	client := s.throughProxy(t)
	for _, host := range wechatHosts {
		r, body := get(t, client, "https://"+host+"/v3/certificates")
		isWeChats401(t, r, body)
	}
	r, body := get(t, client, "https://API.mch.Weixin.QQ.com/v3/certificates")
	isWeChats401(t, r, body)

	m, ctx := s.merchant(t), t.Context()
	dir := filepath.Join(s.Export, m.ID)
	key, err := wechatpay.ParsePrivateKey(readFile(t, filepath.Join(dir, "apiclient_key.pem")))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := wechatpay.ParseCertificate(readFile(t, filepath.Join(dir, "apiclient_cert.pem")))
	if err != nil {
		t.Fatal(err)
	}
	v3, err := wechatpay.NewAPIv3Key(m.APIv3Key)
	if err != nil {
		t.Fatal(err)
	}
	pay, err := wechatpay.NewClient(wechatpay.Config{MerchantID: m.ID, Certificate: certificate, PrivateKey: key, APIv3Key: v3},
		wechatpay.WithHTTPClient(client))
	if err != nil {
		t.Fatal(err)
	}
	app, err := miniprogram.NewClient(miniprogram.Config{AppID: m.Apps[0].ID, Secret: miniprogram.Secret(m.Apps[0].Secret)},
		miniprogram.WithHTTPClient(client))
	if err != nil {
		t.Fatal(err)
	}
	var login struct{ Code string }
	s.control(t, "POST", "login", `{"app_id":"`+m.Apps[0].ID+`","user":"alice"}`, &login)
	session, err := app.Code2Session(ctx, login.Code)
	if err != nil {
		t.Fatal(err)
	}
	prepayID, err := pay.Prepay(ctx, wechatpay.PrepayRequest{AppID: m.Apps[0].ID, OpenID: session.OpenID, OutTradeNo: "order-0001",
		Description: "Coffee", Total: 1999, NotifyURL: "https://pay.example.com/notify"})
	if err != nil || prepayID == "" {
		t.Fatalf("prepay %q: %v", prepayID, err)
	}
	order, err := pay.QueryOrder(ctx, "order-0001")
	if err != nil || order.TradeState != wechatpay.TradeNotPay || order.OutTradeNo != "order-0001" || order.MerchantID != m.ID {
		t.Fatalf("query: %+v, %v", order, err)
	}
	var booked struct {
		PrepayID string `json:"prepay_id"`
		Amount   int64
	}
	if s.control(t, "GET", "payments/order-0001", "", &booked); booked.PrepayID != prepayID || booked.Amount != 1999 {
		t.Errorf("the sandbox's books have %+v", booked)
	}
}

// Refunds of API v2 want the certificate that --export writes, also under WeChat's names.
func TestSandboxClientCertificate(t *testing.T) {
	t.Parallel()
	s := startSandbox(t, "--data", dataFolder(t), "--export", t.TempDir(), "--tls", "127.0.0.1:0")
	m := s.merchant(t)
	dir := filepath.Join(s.Export, m.ID)
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "apiclient_cert.pem"), filepath.Join(dir, "apiclient_key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	body, text := "<xml>", ""
	for _, p := range [][2]string{{"appid", m.Apps[0].ID}, {"mch_id", m.ID}, {"nonce_str", "1"}, {"out_refund_no", "refund-0001"},
		{"out_trade_no", "order-0001"}, {"refund_fee", "1"}, {"total_fee", "1"}} { // in alphabetical order
		body += "<" + p[0] + ">" + p[1] + "</" + p[0] + ">"
		text += p[0] + "=" + p[1] + "&"
	}
	body += fmt.Sprintf("<sign>%X</sign></xml>", md5.Sum([]byte(text+"key="+m.APIv2Key)))
	for name, c := range map[string]struct {
		shown []tls.Certificate
		h2    bool
		want  string
	}{
		"none":           {nil, true, "证书验证失败"},
		"its own":        {[]tls.Certificate{own}, true, "ORDERNOTEXIST"},
		"by HTTP/1.1":    {[]tls.Certificate{own}, false, "ORDERNOTEXIST"},
		"another's":      {[]tls.Certificate{foreignCertificate(t)}, true, "CERT_ERROR"},
		"none, by 1.1":   {nil, false, "证书验证失败"},
		"another's, 1.1": {[]tls.Certificate{foreignCertificate(t)}, false, "CERT_ERROR"},
	} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pool(t), Certificates: c.shown}, ForceAttemptHTTP2: c.h2,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(s.TLS, "https://"))
			}}
		t.Cleanup(transport.CloseIdleConnections)
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.mch.weixin.qq.com/secapi/pay/refund", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r, err := (&http.Client{Transport: transport}).Do(q)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if answer := bodyOf(t, r); r.StatusCode != http.StatusOK || !strings.Contains(string(answer), c.want) {
			t.Errorf("%s: %s %s, want %s", name, r.Status, answer, c.want)
		}
	}
}

// foreignCertificate is one that no merchant of the sandbox has.
func foreignCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// The proxy leads nowhere else: a program that was told to use it can't reach the real world by mistake.
func TestSandboxProxyRefuses(t *testing.T) {
	t.Parallel()
	s := startSandbox(t, "--data", dataFolder(t), "--export", t.TempDir(), "--proxy", "127.0.0.1:0", "--tls", "127.0.0.1:0")
	address := strings.TrimPrefix(s.Proxy, "http://")
	for _, request := range []string{
		"CONNECT example.com:443", "CONNECT api.mch.weixin.qq.com:80", "CONNECT api.mch.weixin.qq.com", "CONNECT weixin.qq.com:443",
		"CONNECT x.api.mch.weixin.qq.com:443", "CONNECT api.mch.weixin.qq.com.example.com:443", "CONNECT api.mch.weixin.qq.com.:443",
		"CONNECT localhost:443", "CONNECT " + strings.TrimPrefix(s.TLS, "https://"), "CONNECT /v3/certificates",
		"GET http://api.mch.weixin.qq.com/v3/certificates", "GET http://api.mch.weixin.qq.com:443/v3/certificates",
		"GET https://api.mch.weixin.qq.com:443/v3/certificates", "GET " + s.Sandbox + "/sandbox/v1/merchants", "GET /sandbox/v1/merchants",
		"GET http://api.weixin.qq.com/sns/jscode2session?secret=5ecre7",
	} {
		t.Run(request, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, request+" HTTP/1.1\r\nHost: api.mch.weixin.qq.com:443\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			r, body := answerOn(t, bufio.NewReader(conn))
			if r.StatusCode != http.StatusForbidden {
				t.Fatalf("got %s", r.Status)
			}
			for _, part := range []string{"只通往微信的主机", "WeChat's hosts alone", "NO_PROXY", "apihk.mch.weixin.qq.com"} {
				if !strings.Contains(string(body), part) {
					t.Errorf("%q is not in %s", part, body)
				}
			}
			if strings.Contains(string(body), "5ecre7") {
				t.Errorf("a secret is in %s", body)
			}
		})
	}
}

// A client may send the beginning of TLS along with CONNECT, without waiting for the answer.
func TestSandboxProxyEarlyTLS(t *testing.T) {
	t.Parallel()
	s := startSandbox(t, "--data", dataFolder(t), "--export", t.TempDir(), "--proxy", "127.0.0.1:0")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.Proxy, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	secure := tls.Client(&impatient{Conn: conn}, &tls.Config{ServerName: "api.mch.weixin.qq.com", RootCAs: s.pool(t)})
	if _, err := io.WriteString(secure, "GET /v3/certificates HTTP/1.1\r\n"+
		"Host: api.mch.weixin.qq.com\r\nUser-Agent: test\r\nAccept: */*\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r, body := answerOn(t, bufio.NewReader(secure))
	isWeChats401(t, r, body)
}

// impatient sends CONNECT and what is written first as one packet, and takes the answer off what is read first.
type impatient struct {
	net.Conn
	asked, answered bool
}

func (c *impatient) Write(p []byte) (int, error) {
	if c.asked {
		return c.Conn.Write(p)
	}
	c.asked = true
	connect := "CONNECT api.mch.weixin.qq.com:443 HTTP/1.1\r\nHost: api.mch.weixin.qq.com:443\r\n\r\n"
	n, err := c.Conn.Write(append([]byte(connect), p...))
	return max(n-len(connect), 0), err
}

func (c *impatient) Read(p []byte) (int, error) {
	if !c.answered {
		c.answered = true
		answer := make([]byte, len("HTTP/1.1 200 Connection Established\r\n\r\n"))
		if _, err := io.ReadFull(c.Conn, answer); err != nil {
			return 0, err
		}
		if !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
			return 0, fmt.Errorf("answered %q", answer)
		}
	}
	return c.Conn.Read(p)
}

// A client that resolves WeChat's names to the sandbox finds WeChat there, and only WeChat.
func TestSandboxTLS(t *testing.T) {
	t.Parallel()
	s := startSandbox(t, "--data", dataFolder(t), "--export", t.TempDir(), "--tls", "127.0.0.1:0")
	if strings.Contains(s.line, `"proxy"`) || !strings.HasPrefix(s.TLS, "https://127.0.0.1:") {
		t.Fatalf("ready: %s", s.line)
	}
	address := strings.TrimPrefix(s.TLS, "https://")
	client := func(t *testing.T, config *tls.Config, h2 bool) *http.Client {
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: h2,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			}}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	for _, major := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", major), func(t *testing.T) {
			t.Parallel()
			c := client(t, &tls.Config{RootCAs: s.pool(t)}, major == 2)
			for _, host := range slices.Concat(wechatHosts, []string{"localhost", "127.0.0.1", "[::1]"}) {
				r, body := get(t, c, "https://"+host+"/v3/certificates")
				isWeChats401(t, r, body)
				if r.ProtoMajor != major || r.TLS.Version < tls.VersionTLS12 {
					t.Errorf("%s over TLS %x", r.Proto, r.TLS.Version)
				}
			}
		})
	}
	t.Run("control API", func(t *testing.T) {
		t.Parallel()
		c := client(t, &tls.Config{RootCAs: s.pool(t)}, true)
		for _, host := range wechatHosts {
			if r, body := get(t, c, "https://"+host+"/sandbox/v1/merchants"); r.StatusCode != http.StatusForbidden || strings.Contains(string(body), "PRIVATE") {
				t.Errorf("%s hands out keys: %s", host, r.Status)
			}
		}
		if r, _ := get(t, c, "https://localhost/sandbox/v1/merchants"); r.StatusCode != http.StatusOK {
			t.Errorf("localhost: %s", r.Status)
		}
	})
	t.Run("old TLS", func(t *testing.T) {
		t.Parallel()
		c := client(t, &tls.Config{RootCAs: s.pool(t), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false)
		if _, err := c.Get("https://api.mch.weixin.qq.com/v3/certificates"); err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("TLS 1.1: %v", err)
		}
	})
	t.Run("another name", func(t *testing.T) {
		t.Parallel()
		var wrong x509.HostnameError
		if _, err := client(t, &tls.Config{RootCAs: s.pool(t)}, true).Get("https://pay.weixin.qq.com/"); !errors.As(err, &wrong) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("without ca.pem", func(t *testing.T) {
		t.Parallel()
		var unknown *tls.CertificateVerificationError
		if _, err := client(t, &tls.Config{RootCAs: x509.NewCertPool()}, true).Get("https://api.mch.weixin.qq.com/"); !errors.As(err, &unknown) {
			t.Errorf("got %v", err)
		}
	})
}

// What is exported can be parsed, is what the control API shows, and is for its owner alone.
func TestSandboxExport(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := startSandbox(t, "--data", dataFolder(t), "--export", dir, "--tls", "127.0.0.1:0", "--proxy", "127.0.0.1:0")
	var list struct{ Data []map[string]any }
	if s.control(t, "GET", "merchants", "", &list); len(list.Data) != 1 {
		t.Fatalf("%d merchants", len(list.Data))
	}
	shown := list.Data[0]
	own := filepath.Join(dir, s.MerchantID)
	var got map[string]any
	if err := json.Unmarshal(readFile(t, filepath.Join(own, "merchant.json")), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"sandbox": s.Sandbox, "tls": s.TLS, "proxy": s.Proxy} {
		if got[name] != want || want == "" {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
		delete(got, name)
	}
	if a, b := fmt.Sprint(got), fmt.Sprint(shown); a != b {
		t.Errorf("merchant.json is\n%s\nand the control API shows\n%s", a, b)
	}

	m := s.merchant(t)
	platform := m.PlatformCertificates[0]
	for name, want := range map[string]string{
		"apiclient_key.pem": m.PrivateKey, "apiclient_cert.pem": m.Certificate, "pub_key.pem": m.PublicKey,
		"wechatpay_" + platform.Serial + ".pem": platform.Certificate,
	} {
		if text := string(readFile(t, filepath.Join(own, name))); text != want || text == "" {
			t.Errorf("%s isn't what the control API shows", name)
		}
	}
	key, err := wechatpay.ParsePrivateKey([]byte(m.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := wechatpay.ParseCertificate([]byte(m.Certificate))
	if err != nil || !key.PublicKey.Equal(certificate.PublicKey) || wechatpay.CertificateSerial(certificate) != m.CertificateSerial {
		t.Errorf("apiclient_cert.pem: %v", err)
	}
	if c, err := wechatpay.ParseCertificate([]byte(platform.Certificate)); err != nil || wechatpay.CertificateSerial(c) != platform.Serial {
		t.Errorf("platform certificate: %v", err)
	}
	if _, err := wechatpay.ParsePublicKey([]byte(m.PublicKey)); err != nil {
		t.Error(err)
	}
	block, rest := pem.Decode(readFile(t, filepath.Join(dir, "ca.pem")))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
		t.Error("ca.pem holds more or less than one certificate")
	}

	if runtime.GOOS == "windows" {
		return // modes are not Windows'
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o644)
		switch name := entry.Name(); {
		case entry.IsDir():
			want = fs.ModeDir | 0o700
		case name == "apiclient_key.pem" || name == "merchant.json":
			want = 0o600
		case strings.HasPrefix(name, "."):
			t.Errorf("%s was left", path)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A second export replaces what the first wrote, also what is no more, and leaves alone what others wrote.
func TestSandboxExportAgain(t *testing.T) {
	t.Parallel()
	dir, data := t.TempDir(), dataFolder(t)
	first := startSandbox(t, "--data", data, "--export", dir)
	m := first.merchant(t)
	first.stop()
	own := filepath.Join(dir, m.ID)
	platform := "wechatpay_" + m.PlatformCertificates[0].Serial + ".pem"
	startSandbox(t, "--data", data, "--export", dir).stop()
	if got := string(readFile(t, filepath.Join(own, platform))); got != m.PlatformCertificates[0].Certificate {
		t.Error("the same merchant's platform certificate isn't the same")
	}
	foreign := map[string]string{
		filepath.Join(dir, "notes.txt"): "mine", filepath.Join(own, "notes.txt"): "mine",
		filepath.Join(own, "wechatpay_7132D72A03E93CDDF8C03BBD1F37EEDF00000000.pem"): "mine",
	}
	for name, text := range foreign {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	// Another sandbox has the same merchant under other keys: its own, and a merchant.json that names files elsewhere
	// must not lead there.
	outside := filepath.Join(dir, "outside.pem")
	if err := os.WriteFile(outside, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	foreign[outside] = ""
	if err := os.MkdirAll(filepath.Join(own, "wechatpay_x"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(readFile(t, filepath.Join(own, "merchant.json"))), `"platform_certificates": [`,
		`"platform_certificates": [{"serial":"x/../../outside","certificate":""},`, 1)
	if !strings.Contains(text, "x/../../outside") {
		t.Fatal("merchant.json has changed its form")
	}
	if err := os.WriteFile(filepath.Join(own, "merchant.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	second := startSandbox(t, "--export", dir)
	now := second.merchant(t)
	if now.ID != m.ID || now.PrivateKey == m.PrivateKey {
		t.Fatal("the second sandbox should have the same merchant under other keys")
	}
	for name, want := range foreign {
		if got := string(readFile(t, name)); got != want {
			t.Errorf("%s was changed to %q", name, got)
		}
	}
	if _, err := os.Stat(filepath.Join(own, platform)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is of a certificate that is no more: %v", platform, err)
	}
	if string(readFile(t, filepath.Join(own, "apiclient_key.pem"))) != now.PrivateKey ||
		string(readFile(t, filepath.Join(own, "wechatpay_"+now.PlatformCertificates[0].Serial+".pem"))) != now.PlatformCertificates[0].Certificate {
		t.Error("the old keys are still there")
	}
}

// With a data folder, the next sandbox has the same CA and the same merchants: nobody has to be told anything anew.
func TestSandboxRestart(t *testing.T) {
	t.Parallel()
	data := dataFolder(t)
	var before *running
	var pool *x509.CertPool
	var shown string
	for range 2 {
		s := startSandbox(t, "--data", data, "--export", t.TempDir(), "--proxy", "127.0.0.1:0")
		_, merchants := get(t, http.DefaultClient, s.Sandbox+"/sandbox/v1/merchants")
		if before == nil {
			pool, shown = s.pool(t), string(merchants)
		} else {
			if !pool.Equal(s.pool(t)) || shown != string(merchants) {
				t.Error("CA or merchants have changed")
			}
			r, body := get(t, s.throughProxy(t), "https://api.mch.weixin.qq.com/v3/certificates")
			isWeChats401(t, r, body)
		}
		s.stop()
		before = s
	}
	if info, err := os.Stat(filepath.Join(data, "tls_ca.pem")); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("the CA's key: %v %v", info.Mode(), err)
	}
}

// Told to stop, the sandbox closes tunnels that nobody uses and answers what was asked through them.
func TestSandboxStopsTunnels(t *testing.T) {
	t.Parallel()
	s := startSandbox(t, "--data", dataFolder(t), "--export", t.TempDir(), "--proxy", "127.0.0.1:0")
	tunnel := func() (io.Writer, *bufio.Reader) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.Proxy, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		secure := tls.Client(&impatient{Conn: conn}, &tls.Config{ServerName: "localhost", RootCAs: s.pool(t)})
		return secure, bufio.NewReader(secure)
	}
	say := func(to io.Writer, text string) {
		t.Helper()
		if _, err := io.WriteString(to, text); err != nil {
			t.Fatal(err)
		}
	}
	idle, idleAnswers := tunnel()
	say(idle, "GET /v3/certificates HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	r, body := answerOn(t, idleAnswers)
	isWeChats401(t, r, body)

	login := `{"app_id":"` + s.AppID + `","user":"alice"}`
	busy, busyAnswers := tunnel()
	say(busy, fmt.Sprintf("POST /sandbox/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(login)))
	if r, _ := answerOn(t, busyAnswers); r.StatusCode != http.StatusContinue { // the sandbox is at work on it now
		t.Fatalf("got %s", r.Status)
	}

	s.signal()
	if b, err := idleAnswers.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the idle tunnel: got %q, %v, want its end", b, err)
	}
	say(busy, login)
	if r, body := answerOn(t, busyAnswers); r.StatusCode != http.StatusOK || !strings.Contains(string(body), `"code"`) {
		t.Errorf("the busy tunnel: got %s %s", r.Status, body)
	}
	if b, err := busyAnswers.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the busy tunnel: got %q, %v, want its end", b, err)
	}
	s.stop()
	if conn, err := net.Dial("tcp", strings.TrimPrefix(s.Proxy, "http://")); err == nil {
		_ = conn.Close()
		t.Error("the proxy still listens")
	}
}

// What keeps the sandbox from starting is said in one sentence with the remedy, in the user's language, and whatever was
// opened before is free again.
func TestSandboxCannotStart(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() })
	taken := busy.Addr().String()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("not a CA"), 0o600); err != nil {
		t.Fatal(err)
	}
	folderForFile := t.TempDir()
	damaged := dataFolder(t)
	if err := os.WriteFile(filepath.Join(damaged, "tls_ca.pem"), []byte("not a CA"), 0o600); err != nil {
		t.Fatal(err)
	}
	inUse := dataFolder(t)
	startSandbox(t, "--data", inUse)
	for i, c := range []struct {
		name   string
		args   []string
		zh, en []string
	}{
		{"busy --listen", []string{"--listen", taken}, []string{taken, "已被占用", "--listen"}, []string{taken, "is in use", "--listen"}},
		{"busy --tls", []string{"--tls", taken}, []string{taken, "已被占用", "--tls"}, []string{taken, "is in use", "--tls"}},
		{"busy --proxy", []string{"--proxy", taken}, []string{taken, "已被占用", "--proxy"}, []string{taken, "is in use", "--proxy"}},
		{"not an address of ours", []string{"--tls", "192.0.2.1:0"}, []string{"不能监听 192.0.2.1:0", "--tls"}, []string{"can't listen on 192.0.2.1:0", "--tls"}},
		{"export into a file", []string{"--export", file}, []string{"不能写入目录 " + file, "--export"}, []string{"can't write into the folder " + file, "--export"}},
		{"export below a file", []string{"--export", filepath.Join(file, "x")}, []string{"不能写入", "--export"}, []string{"can't write", "--export"}},
		{"export where a file is in the way", []string{"--data", dataFolder(t), "--export", folderForFile}, []string{"不能写入", "--export"}, []string{"can't write", "--export"}},
		{"data in a file", []string{"--data", file}, []string{"不能使用数据目录 " + file, "--data"}, []string{"can't use the data folder " + file, "--data"}},
		{"data in use", []string{"--data", inUse}, []string{"不能使用数据目录", "停掉"}, []string{"can't use the data folder", "stop the sandbox"}},
		{"damaged CA", []string{"--data", damaged}, []string{"tls_ca.pem 已损坏", "删除"}, []string{"tls_ca.pem is damaged", "remove it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.name == "export where a file is in the way" {
				if err := os.WriteFile(filepath.Join(folderForFile, "1900000001"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for lang, parts := range map[string][]string{"zh": c.zh, "en": c.en} {
				addresses := []string{unused(t, i+1), unused(t, i+1)}
				args := append([]string{"sandbox", "--lang", lang, "--listen", addresses[0], "--tls", addresses[1]}, c.args...)
				var out, talk bytes.Buffer
				if code := run(t.Context(), args, nil, &out, &talk); code != exitFailed || out.Len() > 0 {
					t.Errorf("%s: exit %d, %q", lang, code, out.String())
				}
				for _, part := range parts {
					if !strings.Contains(talk.String(), part) {
						t.Errorf("%s: %q is not in %s", lang, part, talk.String())
					}
				}
				if n := strings.Count(strings.TrimSpace(talk.String()), "\n"); n != 0 {
					t.Errorf("%s: one sentence is enough:\n%s", lang, talk.String())
				}
				for _, address := range addresses {
					l, err := net.Listen("tcp", address)
					if err != nil {
						t.Fatalf("%s: %s is still taken: %v", lang, address, err)
					}
					_ = l.Close()
				}
			}
		})
	}
}

// unused is an address that nobody listens on and that no other test takes meanwhile, where the system has more than one
// address for loopback; n is the test's.
func unused(t *testing.T, n int) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.77.0.%d:0", n))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A person is told where everything is; without --export, also what clients lack.
func TestSandboxWelcome(t *testing.T) {
	t.Parallel()
	for lang, want := range map[string][2]string{"zh": {"通往它的代理", "加上 --export DIR"}, "en": {"proxy that leads there", "add --export DIR"}} {
		ctx, cancel := context.WithCancel(t.Context())
		out, w := io.Pipe()
		var talk bytes.Buffer
		code := make(chan int, 1)
		go func() {
			exit := run(ctx, []string{"sandbox", "--lang", lang, "--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0", "--data", dataFolder(t)}, nil, w, &talk)
			_ = w.Close()
			code <- exit
		}()
		lines := bufio.NewReader(out)
		var told strings.Builder
		for !strings.Contains(told.String(), "/sandbox/v1/merchants") {
			line, err := lines.ReadString('\n')
			if told.WriteString(line); err != nil {
				t.Fatal(err, told.String())
			}
		}
		cancel()
		if exit := <-code; exit != exitDone {
			t.Errorf("%s: exit %d: %s", lang, exit, talk.String())
		}
		if !strings.Contains(told.String(), want[0]) || !strings.Contains(talk.String(), want[1]) || !strings.Contains(told.String(), "1900000001") {
			t.Errorf("%s: printed\n%s\nand\n%s", lang, told.String(), talk.String())
		}
	}
}

// The CA vouches for WeChat's names and this machine, for nothing else, and its leaves are renewed in time.
func TestSandboxAuthority(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	a, err := newAuthority(clock)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	verify := func(name string) error {
		leaf, err := a.leaf()
		if err != nil {
			t.Fatal(err)
		}
		_, err = leaf.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: pool, CurrentTime: now})
		return err
	}
	for _, name := range slices.Concat(wechatHosts, []string{"localhost", "127.0.0.1", "::1"}) {
		if err := verify(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	first, _ := a.leaf()
	if life := first.Leaf.NotAfter.Sub(now); life > leafLife || first.Leaf.IsCA {
		t.Errorf("a leaf lives %v", life)
	}
	now = now.Add(leafLife - leafRest - backdated)
	if same, _ := a.leaf(); same != first {
		t.Error("renewed too early")
	}
	now = now.Add(time.Second)
	if err := verify("api.mch.weixin.qq.com"); err != nil {
		t.Error(err)
	}
	if renewed, _ := a.leaf(); renewed == first || !renewed.Leaf.NotAfter.After(now.Add(leafRest)) {
		t.Error("not renewed in time")
	}

	// Whoever gets hold of the CA's key can't pretend to be anybody else.
	for _, name := range []string{"example.com", "pay.weixin.qq.com", "qq.com"} {
		template := &x509.Certificate{SerialNumber: serialNumber(), DNSNames: []string{name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.key.Public(), a.key)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		var invalid x509.CertificateInvalidError
		_, err = forged.Verify(x509.VerifyOptions{DNSName: name, Roots: pool, CurrentTime: now})
		if !errors.As(err, &invalid) || invalid.Reason != x509.CANotAuthorizedForThisName {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A kept CA is used until shortly before its end.
func TestSandboxKeepsAuthority(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "tls_ca.pem")
	var log bytes.Buffer
	keep := func() *authority {
		t.Helper()
		a, err := keepAuthority(path, func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := keep()
	now = now.Add(authorityLife - authorityRest - backdated)
	if again := keep(); !again.cert.Equal(first.cert) || log.Len() > 0 {
		t.Errorf("another CA: %s", log.String())
	}
	now = now.Add(time.Second)
	next := keep()
	if next.cert.Equal(first.cert) || !strings.Contains(log.String(), "clients must trust the new ca.pem") {
		t.Errorf("a CA that ends soon is kept, or replaced in silence: %s", log.String())
	}
	if again := keep(); !again.cert.Equal(next.cert) {
		t.Error("the new CA wasn't kept")
	}
}

func TestNamesIn(t *testing.T) {
	t.Parallel()
	got := namesIn("Sandbox:8090", "127.0.0.1:0", "[::1]:0", ":443", "", "localhost:1")
	if want := []string{"sandbox", "localhost"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The tables of faults in docs/sandbox.md and its translation name what the sandbox takes, no more and no less.
func TestSandboxFaultsAreDocumented(t *testing.T) {
	t.Parallel()
	state := dataFolder(t)
	wx, err := sandbox.New(sandbox.Options{Data: state})
	if err != nil {
		t.Fatal(err)
	}
	defer wx.Close()
	allowed := func(f sandbox.Fault) []string { // as the refusal tells them
		_, err := wx.AddFault(f)
		if err == nil {
			t.Fatalf("%s on %s was taken", f.Kind, f.On)
		}
		_, list, ok := strings.Cut(err.Error(), "use one of ")
		if !ok {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(list, ", or *"), ", ")
	}
	operations := allowed(sandbox.Fault{On: "nothing", Kind: "error"})
	want := []string{}
	for _, operation := range operations {
		want = append(want, fmt.Sprintf("| `%s` | `%s` |", operation, strings.Join(allowed(sandbox.Fault{On: operation, Kind: "nothing"}), "` `")))
	}
	kinds := allowed(sandbox.Fault{On: "*", Kind: "nothing"})
	for _, name := range []string{"sandbox.md", "sandbox.zh-CN.md"} {
		lines := strings.Split(string(readFile(t, filepath.Join("..", "..", "docs", name))), "\n")
		begin := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "| on |") })
		if begin < 0 {
			t.Fatalf("%s has no table of operations", name)
		}
		rows := lines[begin+2:]
		rows = rows[:slices.Index(rows, "")]
		if !slices.Equal(rows, want) {
			t.Errorf("%s: the operations are\n%s\nwant\n%s", name, strings.Join(rows, "\n"), strings.Join(want, "\n"))
		}
		begin = slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "| kind |") })
		if begin < 0 {
			t.Fatalf("%s has no table of kinds", name)
		}
		rows = lines[begin+2:]
		var got []string
		for _, row := range rows[:slices.Index(rows, "")] {
			got = append(got, strings.Split(row, "`")[1])
		}
		slices.Sort(got)
		if !slices.Equal(got, kinds) {
			t.Errorf("%s: the kinds are %q, want %q", name, got, kinds)
		}
	}
}
