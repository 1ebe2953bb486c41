package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fenhao-pay/fenhao/internal/settings"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"fenhao": main})
}

// The program as its users meet it: testdata/script, over the real main.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"FENHAO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
				e.Setenv(name, "") // whoever runs the tests
			}
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else each run under -race waits a second at its end
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"wrong": func(ts *testscript.TestScript, neg bool, args []string) { // wrong COMMAND…: it exits with 2, silent on stdout
				err := ts.Exec(args[0], args[1:]...)
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != exitUsage {
					ts.Fatalf("got %v, want exit code %d", err, exitUsage)
				}
				if ts.ReadFile("stdout") != "" {
					ts.Fatalf("wrong usage belongs on stderr alone")
				}
			},
			"exits": func(ts *testscript.TestScript, neg bool, args []string) { // exits CODE COMMAND…
				err := ts.Exec(args[1], args[2:]...)
				code := 0
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					code = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if strconv.Itoa(code) != args[0] {
					ts.Fatalf("exit code %d, want %s", code, args[0])
				}
			},
			"vector": func(ts *testscript.TestScript, neg bool, args []string) { // vector OUT FILE KEY…: what a published example holds there
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(publishedExample(ts, args[1], args[2:])), 0o600))
			},
			"fill": func(ts *testscript.TestScript, neg bool, args []string) { // fill OUT TEMPLATE WORD FILE: the file's text for the word
				text := strings.ReplaceAll(ts.ReadFile(args[1]), args[2], ts.ReadFile(args[3]))
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
			},
			"shell": func(ts *testscript.TestScript, neg bool, args []string) { // shell OUT IN JSONKEY: runs the line that IN has there
				data := map[string]any{}
				ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &data))
				line, _ := data[args[2]].(string)
				ts.Check(ts.Exec("sh", "-c", line))
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(ts.ReadFile("stdout")), 0o600))
			},
			"field": func(ts *testscript.TestScript, neg bool, args []string) { // field OUT IN JSONKEY
				data := map[string]any{}
				ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &data))
				text, ok := data[args[2]].(string)
				if !ok {
					ts.Fatalf("%s has no text %s", args[1], args[2])
				}
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
			},
			"mode": func(ts *testscript.TestScript, neg bool, args []string) { // mode FILE BITS
				info, err := os.Stat(ts.MkAbs(args[0]))
				ts.Check(err)
				if got := info.Mode().String(); runtime.GOOS != "windows" && (got == args[1]) == neg {
					ts.Fatalf("%s has mode %s", args[0], got)
				}
			},
		},
	})
}

// publishedExample returns the text that keys lead to in a file of testdata/vectors, where a number picks from a list.
func publishedExample(ts *testscript.TestScript, file string, keys []string) string {
	text, err := os.ReadFile("../../testdata/vectors/" + file)
	ts.Check(err)
	var v any
	ts.Check(json.Unmarshal(text, &v))
	for _, key := range keys {
		switch at := v.(type) {
		case map[string]any:
			v = at[key]
		case []any:
			i, err := strconv.Atoi(key)
			ts.Check(err)
			v = at[i]
		}
	}
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "TESTING KEY", "PRIVATE KEY")
	case map[string]any:
		text, err := json.Marshal(v)
		ts.Check(err)
		return string(text)
	}
	ts.Fatalf("%s has no text at %q", file, keys)
	return ""
}

// runIt runs the program on args in English and returns what it says.
func runIt(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	code = run(context.Background(), args, nil, &out, &talk)
	return code, out.String(), talk.String()
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		args    []string
		environ map[string]string
		want    string
	}{
		{"nothing", nil, nil, "en"},
		{"flag", []string{"dev", "--lang", "zh"}, nil, "zh"},
		{"flag over variable", []string{"--lang=en"}, map[string]string{"FENHAO_LANG": "zh", "LANG": "zh_CN.UTF-8"}, "en"},
		{"own variable over locale", nil, map[string]string{"FENHAO_LANG": "en", "LC_ALL": "zh_CN.UTF-8"}, "en"},
		{"LC_ALL over LANG", nil, map[string]string{"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"},
		{"LC_MESSAGES over LANG", nil, map[string]string{"LC_MESSAGES": "zh_TW.UTF-8", "LANG": "de_DE.UTF-8"}, "zh"},
		{"LANG", nil, map[string]string{"LANG": "zh_CN.UTF-8"}, "zh"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := language(c.args, func(name string) string { return c.environ[name] })
			if got != c.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

// Every text of the help is there in both languages, for every command and flag.
func TestHelpIsComplete(t *testing.T) {
	t.Parallel()
	for name, text := range helps {
		if text.ZH == "" || text.EN == "" {
			t.Errorf("the help text %q lacks a language", name)
		}
	}
	for _, lang := range []string{"zh", "en"} {
		_, out, _ := runIt(t, "--lang", lang)
		for _, command := range []string{"dev", "serve", "sandbox", "init", "apikey", "sign", "verify", "decrypt", "version"} {
			if !strings.Contains(out, "\n  "+command+" ") {
				t.Errorf("%s is not in the help:\n%s", command, out)
			}
			code, out, stderr := runIt(t, command, "--help", "--lang", lang)
			if code != exitDone || stderr != "" || strings.Contains(out, "${") || !strings.Contains(out, "fenhao "+command) {
				t.Errorf("%s --help: exit %d, %q\n%s", command, code, stderr, out)
			}
		}
	}
}

// The help and settings.Load promise that an empty --config means no file.
func TestNoConfigFile(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{"--config=": "", "--config=x.yaml": "x.yaml", "--json": "fenhao.yaml"} {
		var g grammar
		parser, err := kong.New(&g, kong.NoDefaultHelp(), helpVars("en"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse([]string{"serve", arg}); err != nil || g.Serve.Config != want {
			t.Errorf("serve %s: %v, %q, want %q", arg, err, g.Serve.Config, want)
		}
	}
}

func TestGetenv(t *testing.T) {
	t.Parallel()
	e := env{environ: []string{"A=1", "AB=2", "A=3=4", "C="}}
	for name, want := range map[string]string{"A": "3=4", "AB": "2", "C": "", "D": ""} {
		if got := e.getenv(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestBuildOf(t *testing.T) {
	t.Parallel()
	recorded := &debug.BuildInfo{
		Main:     debug.Module{Version: "v0.2.0"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	}
	for _, c := range []struct {
		name            string
		info            *debug.BuildInfo
		version, commit string
		want            build
	}{
		{"release", recorded, "0.3.0", "def", build{"0.3.0", "def", runtime.Version()}},
		{"working copy", recorded, "", "", build{"v0.2.0", "abc+dirty", runtime.Version()}},
		{"nothing known", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "", "", build{"devel", "unknown", runtime.Version()}},
	} {
		if got := buildOf(c.info, c.version, c.commit); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestVersionJSON(t *testing.T) {
	t.Parallel()
	code, out, stderr := runIt(t, "version", "--json")
	var got map[string]string
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitDone || stderr != "" {
		t.Fatalf("exit %d, %v, %q", code, err, stderr)
	}
	if strings.Count(out, "\n") != 1 || got["go"] != runtime.Version() || got["version"] == "" || got["commit"] == "" || len(got) != 3 {
		t.Errorf("got %s", out)
	}
}

// What init writes is what serve reads, once its five values are filled in.
func TestInitThenLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "fenhao.yaml")
	if code, _, stderr := runIt(t, "init", "--config", file); code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeKeys(t, dir)

	_, err = settings.Load(file, nil)
	if report := inLanguage(err, "en"); !strings.Contains(report, "5 problems") || strings.Count(report, ": missing. ") != 5 {
		t.Errorf("as written, the five values should be missing:\n%s", report)
	}

	filled := string(text)
	for _, value := range []string{
		`public_url: "https://pay.example.com"`, `- id: "1900000001"`, `apiv3_key: "0123456789abcdef0123456789abcdef"`,
		`- id: "wx0123456789abcdef"`, `secret: "s"`,
	} {
		empty := value[:strings.Index(value, `"`)] + `""`
		if !strings.Contains(filled, empty) {
			t.Fatalf("there is no place for %s", value)
		}
		filled = strings.Replace(filled, empty, value, 1)
	}
	if err := os.WriteFile(file, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settings.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Warnings) > 0 {
		t.Errorf("warnings: %v", s.Warnings)
	}
	if key := s.SecretKey.Reveal(); len(key) != 43 || !strings.Contains(filled, "secret_key: "+key+"\n") {
		t.Error("the secret key is not 32 bytes in base64url")
	}

	other := filepath.Join(dir, "other.yaml")
	if code, _, stderr := runIt(t, "init", "--config", other); code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if again, err := os.ReadFile(other); err != nil || bytes.Equal(again, text) {
		t.Error("two files have the same secret key")
	}
}

// writeKeys puts a merchant's key and certificate into dir, as the merchant platform's archive holds them.
func writeKeys(t *testing.T, dir string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(5, 0, 0)}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"apiclient_key.pem":  {Type: "PRIVATE KEY", Bytes: der},
		"apiclient_cert.pem": {Type: "CERTIFICATE", Bytes: certificate},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
