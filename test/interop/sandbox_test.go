package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// program is the real binary: FENHAO_BIN, or built from the module around this one.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("FENHAO_BIN"); path != "" {
		return path, nil
	}
	path := filepath.Join(scratch, "fenhao")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build := exec.Command("go", "build", "-o", path, "./cmd/fenhao")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// scratch is a folder for the whole run.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "fenhao-interop-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(scratch); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// sandbox is one `fenhao sandbox` and what it said when it was ready.
type sandbox struct {
	Address    string `json:"sandbox"`
	TLS        string `json:"tls"`
	Proxy      string `json:"proxy"`
	Export     string `json:"export"`
	MerchantID string `json:"merchant_id"`
}

// startLimit is when a start counts as failed; far above what one takes, so that a busy machine is no failure.
const startLimit = 60 * time.Second

// startSandbox runs the program until the end of the test.
func startSandbox(t *testing.T) *sandbox {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	const any = "127.0.0.1:0"
	cmd := exec.Command(bin, "sandbox", "--json", "--listen", any, "--tls", any, "--proxy", any, "--export", t.TempDir())
	for _, v := range os.Environ() { // what the machine's user has set must not change what is tested
		if !strings.HasPrefix(v, "FENHAO_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	overdue := time.AfterFunc(startLimit, func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	overdue.Stop()
	s := &sandbox{}
	if err == nil {
		err = json.Unmarshal(line, s)
	}
	t.Cleanup(func() {
		err := cmd.Process.Signal(os.Interrupt)
		if err != nil { // Windows knows no such signal
			err = cmd.Process.Kill()
		}
		if err = errors.Join(err, cmd.Wait()); err != nil && runtime.GOOS != "windows" {
			t.Errorf("the sandbox ended: %v\n%s", err, log.String())
		}
	})
	if err != nil {
		_ = cmd.Process.Kill()
		t.Fatalf("the sandbox was not ready within %v: %v\n%s", startLimit, err, log.String())
	}
	return s
}

// control calls the sandbox's control API; in and out may be nil.
func (s *sandbox) control(t *testing.T, method, path string, in, out any) {
	t.Helper()
	var body io.Reader = http.NoBody
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.Address+"/sandbox/v1/"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, b, err)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
}

// merchant is all that an SDK needs, as the sandbox hands it out.
type merchant struct {
	ID         string `json:"id"`
	Serial     string `json:"certificate_serial"`
	PrivateKey string `json:"private_key"`
	APIv3Key   string `json:"apiv3_key"`
	APIv2Key   string `json:"apiv2_key"`
	Apps       []struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	} `json:"apps"`
	Platform []struct {
		Serial      string `json:"serial"`
		Certificate string `json:"certificate"`
	} `json:"platform_certificates"`
	PublicKeyID string `json:"public_key_id"`
	PublicKey   string `json:"public_key"`
}

// merchant reads the sandbox's first merchant from the files that --export wrote.
func (s *sandbox) merchant(t *testing.T) merchant {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Export, s.MerchantID, "merchant.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m merchant
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// certificates are the serials of the platform certificates that the sandbox holds for m now.
func (s *sandbox) certificates(t *testing.T, m merchant) map[string]string {
	t.Helper()
	var all struct {
		Data []merchant `json:"data"`
	}
	s.control(t, http.MethodGet, "merchants", nil, &all)
	certs := map[string]string{}
	for _, n := range all.Data {
		for _, c := range n.Platform {
			if n.ID == m.ID {
				certs[c.Serial] = c.Certificate
			}
		}
	}
	if len(certs) == 0 {
		t.Fatalf("the sandbox has no certificates for merchant %s", m.ID)
	}
	return certs
}

// throughProxy is a client that is led to the sandbox where it asks for WeChat's host names, and nowhere else.
func (s *sandbox) throughProxy(t *testing.T) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(s.Export, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("ca.pem holds no certificate:\n%s", ca)
	}
	proxy, err := url.Parse(s.Proxy)
	if err != nil || proxy.Host == "" {
		t.Fatalf("the sandbox has no proxy: %q, %v", s.Proxy, err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// openID logs a user in at the mini program, as a shop's server does, and returns who it is.
func (s *sandbox) openID(t *testing.T, m merchant, user string) string {
	t.Helper()
	var login struct {
		Code string `json:"code"`
	}
	s.control(t, http.MethodPost, "login", map[string]string{"app_id": m.Apps[0].ID, "user": user}, &login)
	resp, err := http.Get(s.Address + "/sns/jscode2session?" + url.Values{"appid": {m.Apps[0].ID}, "secret": {m.Apps[0].Secret},
		"js_code": {login.Code}, "grant_type": {"authorization_code"}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var session struct {
		OpenID string `json:"openid"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&session); err != nil || session.OpenID == "" {
		t.Fatalf("login of %s: %v, openid %q", user, err, session.OpenID)
	}
	return session.OpenID
}

// phone is what wx.requestPayment is given.
type phone struct {
	AppID     string `json:"app_id"`
	User      string `json:"user"`
	TimeStamp string `json:"timeStamp"`
	NonceStr  string `json:"nonceStr"`
	Package   string `json:"package"`
	SignType  string `json:"signType"`
	PaySign   string `json:"paySign"`
	Action    string `json:"action"`
}

// pay lets the user of p pay, and fails the test where WeChat does not accept the parameters.
func (s *sandbox) pay(t *testing.T, p phone) {
	t.Helper()
	p.Action = "pay"
	var result struct {
		Message string `json:"errMsg"`
		Reason  string `json:"reason"`
	}
	s.control(t, http.MethodPost, "request-payment", p, &result)
	if result.Message != "requestPayment:ok" {
		t.Fatalf("wx.requestPayment: %s (%s)", result.Message, result.Reason)
	}
}

// delivery is a notification as it arrived.
type delivery struct {
	header http.Header
	body   []byte
}

// request is the notification as a server sees it, afresh each time, since SDKs read the body.
func (d delivery) request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/notify", bytes.NewReader(d.body))
	r.Header = d.header.Clone()
	return r
}

// mailbox is a merchant's server that keeps what arrives.
type mailbox struct {
	URL     string
	arrived chan delivery
}

// newMailbox serves until the end of the test and answers every notification with success.
func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	m := &mailbox{arrived: make(chan delivery, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sandbox sends it again
		}
		m.arrived <- delivery{r.Header.Clone(), body}
		if bytes.HasPrefix(body, []byte("<")) { // API v2
			_, _ = io.WriteString(w, "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>")
			return // whether it arrived is the sandbox's to see
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	m.URL = server.URL + "/notify"
	return m
}

// next waits for the next notification.
func (m *mailbox) next(t *testing.T) delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	select {
	case d := <-m.arrived:
		return d
	case <-ctx.Done():
		t.Fatal("no notification came")
		return delivery{}
	}
}

var numbers atomic.Int64

// orderNumber is one that no other test uses.
func orderNumber() string { return fmt.Sprintf("INTEROP-%06d", numbers.Add(1)) }
