package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// started is a command that runs in this process, over real listeners.
type started struct {
	ready  map[string]string
	stop   context.CancelFunc
	exit   chan int
	stderr *lockedBuffer
}

// start runs a command until it has printed the line that says that it is ready.
func start(t *testing.T, args ...string) *started {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	s := &started{stop: stop, exit: make(chan int, 1), stderr: &lockedBuffer{}}
	go func() {
		code := run(ctx, args, []string{"LANG=en_US.UTF-8"}, in, s.stderr)
		_ = in.Close()
		s.exit <- code
	}()
	t.Cleanup(stop)
	d := json.NewDecoder(out)
	if err := d.Decode(&s.ready); err != nil {
		t.Fatalf("fenhao %v is not ready: %v\n%s", args, err, s.stderr)
	}
	go func() { // the line is one, and nothing follows it
		if rest, err := io.ReadAll(io.MultiReader(d.Buffered(), out)); err != nil || strings.TrimSpace(string(rest)) != "" {
			t.Errorf("after the ready line: %q, %v", rest, err)
		}
	}()
	return s
}

// end tells the command to stop, as SIGTERM does, and returns its exit code.
func (s *started) end() int {
	s.stop()
	return <-s.exit
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func answerOf(t *testing.T, url, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestDevKeepsItsPromises(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"dev", "--json", "--data", dir, "--listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0"}
	dev := start(t, args...)
	want := []string{"api_key", "app_id", "console", "merchant_id", "phone", "sandbox", "service"}
	if got := slices.Sorted(maps.Keys(dev.ready)); !slices.Equal(got, want) {
		t.Errorf("the ready line has %v, want %v", got, want)
	}
	for url, status := range map[string]int{dev.ready["service"] + "/readyz": 200, dev.ready["service"] + "/openapi.json": 200, dev.ready["phone"]: 200,
		dev.ready["sandbox"] + "/sandbox/v1/merchants": 200, dev.ready["sandbox"] + "/v3/certificates": 400, dev.ready["service"] + "/v1/orders": 401} {
		if got, _ := answerOf(t, url, ""); got != status {
			t.Errorf("GET %s: %d, want %d", url, got, status)
		}
	}
	_, before := answerOf(t, dev.ready["service"]+"/v1/products", dev.ready["api_key"])
	if n := strings.Count(before, `"id":"prd_`); n != len(goods) {
		t.Errorf("the catalogue has %d products: %s", n, before)
	}
	// A second one on the same folder is told so, and leaves the first alone.
	var out, talk bytes.Buffer
	if code := run(t.Context(), args, []string{"LANG=en_US.UTF-8"}, &out, &talk); code != 1 || out.Len() > 0 || !strings.Contains(talk.String(), dir) {
		t.Errorf("a second one: exit %d\n%s%s", code, &out, &talk)
	}
	if code := dev.end(); code != 0 {
		t.Errorf("exit %d\n%s", code, dev.stderr)
	}

	again := start(t, args...)
	for _, same := range []string{"app_id", "merchant_id", "api_key"} {
		if again.ready[same] != dev.ready[same] {
			t.Errorf("%s was %s and is %s", same, dev.ready[same], again.ready[same])
		}
	}
	if _, after := answerOf(t, again.ready["service"]+"/v1/products", again.ready["api_key"]); after != before {
		t.Errorf("the catalogue was\n%s\nand is\n%s", before, after)
	}
	again.end()
	// Nobody else reads what is kept.
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if i, ierr := d.Info(); err == nil && ierr == nil && i.Mode().Perm()&0o077 != 0 && path != dir {
			t.Errorf("%s has the mode %v", path, i.Mode())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestBusyPorts(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, args := range [][]string{
		{"dev", "--listen", busy.Addr().String(), "--sandbox-listen", "127.0.0.1:0"},
		{"dev", "--listen", "127.0.0.1:0", "--sandbox-listen", busy.Addr().String()},
		{"sandbox", "--listen", busy.Addr().String()},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		var out, talk bytes.Buffer
		code := run(t.Context(), append(args, "--json", "--data", dir), []string{"LANG=zh_CN.UTF-8"}, &out, &talk)
		if code != 1 || out.Len() > 0 || !strings.Contains(talk.String(), busy.Addr().String()+" 已被占用") || strings.Count(talk.String(), "\n") != 1 {
			t.Errorf("%v: exit %d %q %q", args, code, &out, &talk)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%v: something was started in %s", args, dir)
		}
	}
}

// The first start after an interrupted one: an empty secret or key file is no secret.
func TestKeepMendsAnEmptyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := keep(path, "fresh"); err != nil || got != "fresh" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got, err := keep(path, "another"); err != nil || got != "fresh" {
		t.Errorf("%q, %v", got, err)
	}
}
