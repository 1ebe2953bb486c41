package wechatpay

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// avoidFor is how long a host that failed is asked only where the other one fails.
const avoidFor = time.Minute

// hosts are the servers that requests go to.
type hosts struct {
	mu     sync.Mutex
	base   host
	backup *host // or nil
}

type host struct {
	url      *url.URL
	requests int64
	failures int64
	last     time.Time // the last failure
	avoid    time.Time // until when the other host is asked first
}

// HostStats counts what became of the requests to one server.
type HostStats struct {
	URL         string
	Requests    int64
	Failures    int64     // no connection, no answer, or 502, 503 or 504
	LastFailure time.Time // zero where there was none
}

// Hosts returns the counts of the server and its backup, if there is one, since the client was made.
func (c *Client) Hosts() []HostStats {
	c.hosts.mu.Lock()
	defer c.hosts.mu.Unlock()
	list := []HostStats{c.hosts.base.stats()}
	if c.hosts.backup != nil {
		list = append(list, c.hosts.backup.stats())
	}
	return list
}

func (h *host) stats() HostStats { return HostStats{h.url.String(), h.requests, h.failures, h.last} }

// order returns the host to ask at now, and the one to ask after it or nil.
func (h *hosts) order(now time.Time) (first, second *host) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.backup != nil && now.Before(h.base.avoid) && !now.Before(h.backup.avoid) {
		return h.backup, &h.base
	}
	return &h.base, h.backup
}

// record counts a request and reports whether the host is to blame for its end. It is for a deadline that passes, but not
// for a caller that hangs up.
func (h *hosts) record(ctx context.Context, at *host, now time.Time, resp *http.Response, err error) (down bool) {
	var outcome *outcomeError
	switch {
	case err != nil:
		down = errors.As(err, &outcome) && outcome.network && !errors.Is(ctx.Err(), context.Canceled)
	default:
		down = resp.StatusCode >= http.StatusBadGateway && resp.StatusCode <= http.StatusGatewayTimeout
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	at.requests++
	switch {
	case down:
		at.failures++
		at.last, at.avoid = now, now.Add(avoidFor)
	case err == nil:
		at.avoid = time.Time{}
	}
	return down
}

// known reports whether u is at one of the hosts, or at one of WeChat Pay's.
func (h *hosts) known(u *url.URL) bool {
	at := func(x *host) bool { return x != nil && u.Scheme == x.url.Scheme && u.Host == x.url.Host }
	if at(&h.base) || at(h.backup) {
		return true
	}
	switch u.Host {
	case "api.mch.weixin.qq.com", "api2.mch.weixin.qq.com", "apihk.mch.weixin.qq.com":
		return u.Scheme == "https"
	}
	return false
}
