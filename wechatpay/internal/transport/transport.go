// Package transport carries requests to WeChat Pay and answers and bills back, for API v3 and v2 alike. It knows what
// the two have in common: how a connection is made, when a failure proves that nothing was sent, how long a download may
// pause, and that a bill is the one that was announced. It signs, verifies and believes nothing, and repeats nothing.
package transport

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Client returns a copy of h, or of the default where h is nil, that follows no redirects and keeps no cookies. The
// default gives a request 15 seconds.
func Client(h *http.Client) *http.Client {
	c := &http.Client{Timeout: 15 * time.Second, Transport: New()}
	if h != nil {
		*c = *h
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar = nil
	return c
}

// New returns the default transport. It speaks TLS 1.2 or later.
func New() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 12 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   64,
		// WeChat Pay closes idle connections after 8 s. A POST on a connection that dies under it has an unknown
		// outcome, so ours are closed first.
		IdleConnTimeout: 7 * time.Second,
	}
}

// Do sends req. After an error, unsent reports whether it proves that nothing was sent. The error doesn't hold the
// address.
func Do(h *http.Client, req *http.Request) (resp *http.Response, unsent bool, err error) {
	// The trace tells whether a connection was there to write to: without one, nothing was sent.
	var connected atomic.Bool
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	resp, err = h.Do(req.WithContext(ctx))
	if err != nil {
		err = WithoutURL(err)
		return nil, !connected.Load() && neverConnected(h.Transport, err), err
	}
	return resp, false, nil
}

// neverConnected reports whether err proves that no connection came about, given that the trace saw none. A transport
// of the caller's own may hide connections from the trace, so there the error itself must be one of dialling.
func neverConnected(t http.RoundTripper, err error) bool {
	if _, ours := t.(*http.Transport); ours || t == nil {
		return true
	}
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// WithoutURL takes the address out of an error of net/http.
func WithoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// ReadAll reads an answer of at most most bytes.
func ReadAll(resp *http.Response, most int64) ([]byte, error) {
	var b bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= most {
		b.Grow(int(n) + bytes.MinRead) // with room to find the end
	}
	n, err := b.ReadFrom(io.LimitReader(resp.Body, most+1))
	if err == nil && n > most {
		err = fmt.Errorf("the answer is longer than %d bytes", most)
	}
	return b.Bytes(), err
}

// UserAgent is the value of the header, which API v3 requires. It names the version of this module that the program was
// built with.
var UserAgent = sync.OnceValue(func() []string {
	const module = "github.com/fenhao-pay/fenhao"
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == module && m.Version != "" && m.Version != "(devel)" {
				version = m.Version
			}
		}
	}
	return []string{fmt.Sprintf("fenhao/%s (%s; %s) %s", version, runtime.GOOS, runtime.GOARCH, runtime.Version())}
})
