package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/internal/diagnose"
	"github.com/fenhao-pay/fenhao/sandbox"
)

// verdict is what verify --json prints.
type verdict struct {
	Verified bool
	Checks   []struct{ Name, State string }
	Causes   []struct{ Code string }
	Answer   *struct {
		Same       bool
		Difference *struct{ Offset int }
	}
}

func (v verdict) codes() []string {
	var all []string
	for _, c := range v.Causes {
		all = append(all, c.Code)
	}
	return all
}

// verdictOf runs verify --json.
func verdictOf(t *testing.T, args ...string) verdict {
	t.Helper()
	code, out, stderr := runIt(t, append([]string{"verify", "--json"}, args...)...)
	var v verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("verify %q: exit %d, %v: %s%s", args, code, err, out, stderr)
	}
	if v.Verified != (code == exitDone) {
		t.Errorf("verify %q: verified %t, exit %d", args, v.Verified, code)
	}
	return v
}

// What fenhao sign prints is what the emulator of WeChat Pay accepts, what it answers is what fenhao verify accepts; and
// of a request that was changed on its way, its answer and fenhao verify --answer tell the same story.
func TestSignAndVerifyAgainstTheSandbox(t *testing.T) {
	t.Parallel()
	wx, err := sandbox.New(sandbox.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer wx.Close()
	server := httptest.NewServer(wx)
	defer server.Close()
	m := wx.Merchants()[0]

	openID, err := wx.OpenID(m.Apps[0].ID, "ming")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	key, cert := file("apiclient_key.pem", m.PrivateKey), file("apiclient_cert.pem", m.Certificate)
	platform := file("wechatpay.pem", m.PlatformCertificates[0].Certificate)
	body := file("body.json", fmt.Sprintf(`{"appid":%q,"mchid":%q,"description":"Coffee","out_trade_no":"order-000001",`+
		`"notify_url":"https://pay.example.com/notify","amount":{"total":998,"currency":"CNY"},"payer":{"openid":%q}}`, m.Apps[0].ID, m.ID, openID))
	const target = "/v3/pay/transactions/jsapi"

	sign := func() (authorization string) {
		code, out, stderr := runIt(t, "sign", "--url", target, "--body", body, "--key", key, "--serial", m.CertificateSerial, "--mchid", m.ID, "--json")
		var s struct{ Authorization string }
		if err := json.Unmarshal([]byte(out), &s); err != nil || code != exitDone {
			t.Fatalf("sign: exit %d, %v: %s", code, err, stderr)
		}
		return s.Authorization
	}
	send := func(authorization string, body []byte) (status int, header, answer string) {
		q, err := http.NewRequest("POST", server.URL+target, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", authorization)
		q.Header.Set("Accept", "application/json")
		q.Header.Set("Content-Type", "application/json")
		r, err := server.Client().Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		var h bytes.Buffer
		if err := r.Header.Write(&h); err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, h.String(), string(text)
	}
	sent, err := os.ReadFile(body)
	if err != nil {
		t.Fatal(err)
	}

	authorization := sign()
	if v := verdictOf(t, "--request", "--authorization", authorization, "--url", target, "--body", body, "--key", cert); !v.Verified {
		t.Errorf("our own request does not verify: %+v", v)
	}
	status, header, answer := send(authorization, sent)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	headers := file("headers.txt", header)
	if v := verdictOf(t, "--headers", headers, "--body", file("answer.json", answer), "--key", platform); !v.Verified {
		t.Errorf("the answer does not verify: %+v", v)
	}
	if v := verdictOf(t, "--headers", headers, "--body", file("answer.json", answer), "--key", cert); !slices.Equal(v.codes(), []string{"merchant_key_used"}) {
		t.Errorf("with the merchant's certificate: %+v", v)
	}

	// A proxy changes the body: WeChat Pay's answer has the text that it checked.
	changed := bytes.Replace(sent, []byte("https://"), []byte(`https:\/\/`), 1)
	authorization = sign()
	status, _, answer = send(authorization, changed)
	if status != http.StatusUnauthorized {
		t.Fatalf("%d %s", status, answer)
	}
	refusal := file("refusal.json", answer)
	v := verdictOf(t, "--request", "--authorization", authorization, "--url", target, "--body", body, "--key", cert, "--answer", refusal)
	if !v.Verified || v.Answer == nil || v.Answer.Same {
		t.Errorf("what we believe to have sent: %+v", v)
	}
	v = verdictOf(t, "--request", "--authorization", authorization, "--url", target, "--body", file("sent.json", string(changed)), "--key", cert, "--answer", refusal)
	if v.Verified || !slices.Equal(v.codes(), []string{"json_slash"}) || v.Answer == nil || !v.Answer.Same {
		t.Errorf("what was sent: %+v", v)
	}
}

// Where the signature is right but the clock was wrong, time alone is named.
func TestVerifyAt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeKeys(t, dir)
	key, cert := filepath.Join(dir, "apiclient_key.pem"), filepath.Join(dir, "apiclient_cert.pem")
	code, out, stderr := runIt(t, "sign", "--url", "/v3/certificates", "--key", key, "--serial", "07", "--mchid", "1900000001", "--timestamp", "1554208460", "--json")
	var s struct{ Authorization string }
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != exitDone {
		t.Fatalf("exit %d, %v: %s", code, err, stderr)
	}
	for at, want := range map[string][]string{
		"1554208460":                nil,
		"1554208759":                nil,
		"1554208161":                nil,
		"1554208760":                {"clock_skew"},
		"1554208160":                {"clock_skew"},
		"2019-04-02T20:34:20+08:00": nil,
		time.Unix(1554208460, 0).Add(time.Hour).Format(time.RFC3339): {"clock_skew"},
	} {
		v := verdictOf(t, "--request", "--authorization", s.Authorization, "--url", "/v3/certificates", "--key", cert, "--at", at)
		if !slices.Equal(v.codes(), want) {
			t.Errorf("at %s: %+v, want %v", at, v, want)
		}
	}
}

// docs/signatures.md explains every mistake that can be named, in both languages, and no other.
func TestSignaturesAreDocumented(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"signatures.md", "signatures.zh-CN.md"} {
		text, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		documented := map[string]bool{}
		for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| [^|]+ \\|").FindAllStringSubmatch(string(text), -1) {
			if documented[m[1]] {
				t.Errorf("%s explains %s twice", name, m[1])
			}
			documented[m[1]] = true
		}
		for _, c := range diagnose.Codes() {
			if !documented[string(c)] {
				t.Errorf("%s does not explain %s", name, c)
			}
			delete(documented, string(c))
		}
		for c := range documented {
			t.Errorf("%s explains %s, which the program does not name", name, c)
		}
		for _, flag := range regexp.MustCompile(`(?:^|\s)(--[a-z0-9-]+)`).FindAllStringSubmatch(string(text), -1) {
			help := ""
			for _, command := range []string{"sign", "verify", "decrypt"} {
				_, out, _ := runIt(t, command, "--help")
				help += out
			}
			if !strings.Contains(help, "  "+flag[1]+" ") {
				t.Errorf("%s names %s, which no command has", name, flag[1])
			}
		}
	}
}
