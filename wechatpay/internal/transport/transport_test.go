package transport_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay/internal/transport"
)

var errBad = errors.New("bad bill")

func bad(err error) error { return errors.Join(errBad, err) }

func zip(t *testing.T, plain string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBill(t *testing.T) {
	t.Parallel()
	const text = "`a,`b\r\n"
	sum := func(s string) []byte { b := sha1.Sum([]byte(s)); return b[:] }
	zipped := zip(t, text)
	for _, c := range []struct {
		name string
		body string
		want []byte
		most int64
		ok   bool
	}{
		{"plain", text, sum(text), 100, true},
		{"gzip, hash of the text", zipped, sum(text), 100, true},
		{"gzip, hash of the file", zipped, sum(zipped), 100, true},
		{"no hash", zipped, nil, 100, true},
		{"exactly the limit", zipped, sum(text), int64(len(text)), true},
		{"a byte over the limit", zipped, sum(text), int64(len(text)) - 1, false},
		{"another hash", zipped, sum("x"), 100, false},
		{"another hash of plain text", text, sum("x"), 100, false},
		{"gzip that breaks off", zipped[:len(zipped)-6], nil, 100, false},
		{"gzip that is none", "\x1f\x8bnothing of the kind", nil, 100, false},
		{"one byte", "`", sum("`"), 100, true},
	} {
		b := transport.NewBill(io.NopCloser(strings.NewReader(c.body)), c.want, c.most, bad)
		err := b.Unpack()
		if err == nil {
			var got []byte
			if got, err = io.ReadAll(iotest.OneByteReader(b)); err == nil && string(got) != text && c.name != "one byte" {
				t.Errorf("%s: read %q", c.name, got)
			}
			if n, again := b.Read(make([]byte, 8)); n != 0 || again == nil || err != nil && again.Error() != err.Error() {
				t.Errorf("%s: read on after the end: %d, %v", c.name, n, again)
			}
		}
		if (err == nil) != c.ok || !c.ok && !errors.Is(err, errBad) {
			t.Errorf("%s: %v, want success: %t", c.name, err, c.ok)
		}
	}
}

// A body that fails once and then goes on has failed.
func TestBillEnds(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string]int{"at once": 1, "later": 2} { // bytes a read: the second read fails
		body := iotest.TimeoutReader(&steady{strings.NewReader("abcd"), steps})
		b := transport.NewBill(io.NopCloser(body), nil, 100, bad)
		if err := b.Unpack(); err != nil {
			t.Fatal(err)
		}
		_, err := io.ReadAll(b)
		if !errors.Is(err, iotest.ErrTimeout) || !errors.Is(err, errBad) {
			t.Errorf("%s: %v, want a timeout", name, err)
		}
		if n, again := b.Read(make([]byte, 8)); n != 0 || again == nil || again == io.EOF {
			t.Errorf("%s: it went on: %d, %v", name, n, again)
		}
	}
}

// steady gives n bytes a read.
type steady struct {
	r io.Reader
	n int
}

func (s *steady) Read(p []byte) (int, error) { return s.r.Read(p[:min(s.n, len(p))]) }

// A pause ends a download; a slow reader does not.
func TestWatch(t *testing.T) {
	t.Parallel()
	errBroke := errors.New("broke")
	broke := func(err error) error { return errors.Join(errBroke, err) }
	synctest.Test(t, func(t *testing.T) {
		ctx, watch := transport.NewWatch(t.Context())
		in, out := io.Pipe()
		context.AfterFunc(ctx, func() { out.CloseWithError(context.Cause(ctx)) })
		body := watch.Body(in, broke)
		go func() {
			for range 3 {
				time.Sleep(29 * time.Second) // of the bubble
				if _, err := out.Write([]byte("x")); err != nil {
					return
				}
			}
		}()
		one := make([]byte, 1)
		for range 3 {
			if _, err := body.Read(one); err != nil {
				t.Fatalf("bytes that keep coming: %v", err)
			}
			time.Sleep(time.Hour) // of the bubble: what the reader does with it
		}
		if watch.Stalled() {
			t.Error("a slow reader counts as a pause")
		}
		began := time.Now()
		_, err := body.Read(one)
		if took := time.Since(began); took != 30*time.Second || !watch.Stalled() ||
			!errors.Is(err, errBroke) || !errors.Is(err, transport.ErrStalled) {
			t.Errorf("a pause: %v after %v", err, took)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, watch := transport.NewWatch(t.Context())
		watch.Stop()
		if time.Sleep(time.Minute); ctx.Err() == nil || watch.Stalled() { // of the bubble
			t.Error("what was stopped goes on, or counts as a pause")
		}
	})
}

func TestDo(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hang-up":
			panic(http.ErrAbortHandler)
		case "/elsewhere":
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
			http.Redirect(w, r, "/", http.StatusFound)
		}
	}))
	t.Cleanup(s.Close)
	h := transport.Client(nil)
	for _, c := range []struct {
		name, address string
		unsent, fails bool
	}{
		{"an answer", s.URL, false, false},
		{"nobody listens", nobody + "/?secret", true, true},
		{"hung up upon", s.URL + "/hang-up?secret", false, true},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.address, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp, unsent, err := transport.Do(h, req)
		if unsent != c.unsent || (err != nil) != c.fails || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: unsent %t, %v", c.name, unsent, err)
		}
		if err == nil {
			resp.Body.Close()
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/elsewhere", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, _, err := transport.Do(h, req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusFound || h.Jar != nil {
		t.Errorf("a redirect was followed, or a cookie kept: %d", resp.StatusCode)
	}
}

func TestReadAll(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{-1, 5} {
		for most, fits := range map[int64]bool{4: false, 5: true, 6: true} {
			resp := &http.Response{ContentLength: length, Body: io.NopCloser(strings.NewReader("12345"))}
			if b, err := transport.ReadAll(resp, most); (err == nil) != fits || fits && string(b) != "12345" {
				t.Errorf("5 bytes, announced as %d, at most %d: %q, %v", length, most, b, err)
			}
		}
	}
}
