package wechatpay_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

// down is an address where nobody listens.
func down(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestBackupHost(t *testing.T) {
	t.Parallel()
	c := newClock()
	backup := startFake(t, c)
	s := play(backup, map[string]string{
		"GET /v3/pay/transactions/out-trade-no/ORDER-000001": paidJSON, "POST /v3/pay/transactions/jsapi": `{"prepay_id":"wx1"}`,
		tradePath: ready(backup, sha1Hex(tradeBill(1))), filePath: zip(tradeBill(1)),
	})
	client := newClient(t, backup, config(), wechatpay.WithBaseURL(down(t)), wechatpay.WithBackupURL(backup.URL))

	// Nothing reached the first server, so anything may go to the second.
	if id, err := client.Prepay(t.Context(), order()); err != nil || id != "wx1" {
		t.Errorf("Prepay = %q, %v", id, err)
	}
	if _, err := client.QueryOrder(t.Context(), "ORDER-000001"); err != nil {
		t.Error(err)
	}
	b, err := client.TradeBill(t.Context(), wechatpay.TradeBillRequest{Date: "2026-11-19"})
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := collectBill(b.Rows(t.Context())); err != nil || len(rows) != 1 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	h := client.Hosts()
	if len(h) != 2 || h[0].Requests != 1 || h[0].Failures != 1 || !h[0].LastFailure.Equal(start) || h[1].URL != backup.URL || h[1].Requests != 5 || h[1].Failures != 0 {
		t.Errorf("within a minute of the failure: %+v", h) // the first request was for certificates
	}
	c.Advance(time.Minute)
	if _, err := client.QueryOrder(t.Context(), "ORDER-000001"); err != nil {
		t.Error(err)
	}
	if h := client.Hosts(); h[0].Requests != 2 || h[0].Failures != 2 || h[1].Requests != 6 {
		t.Errorf("a minute later: %+v", h)
	}
	if len(s.sent) != 5 {
		t.Errorf("sent %q", s.sent)
	}

	// With nobody at either, the request was not sent.
	nobody := newClient(t, backup, publicKeyConfig(), wechatpay.WithBaseURL(down(t)), wechatpay.WithBackupURL(down(t)))
	if _, err := nobody.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrNotSent) || errors.Is(err, wechatpay.ErrUncertain) {
		t.Errorf("nobody: %v", err)
	}
	if h := nobody.Hosts(); h[0].Failures != 1 || h[1].Failures != 1 {
		t.Errorf("%+v", h)
	}
	if _, err := wechatpay.NewClient(config(), wechatpay.WithBackupURL("api2.mch.weixin.qq.com")); err == nil {
		t.Error("a backup without a scheme was taken")
	}
	if h := listening(t, c).Hosts(); len(h) != 1 || h[0].URL != wechatpay.BaseURL {
		t.Errorf("%+v", h)
	}
}

// What may have been received is never sent to another server, unless it only reads.
func TestBackupHostNeverRepeatsWhatMayHaveArrived(t *testing.T) {
	t.Parallel()
	c := newClock()
	for name, trouble := range map[string]http.HandlerFunc{
		"breaks off": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		},
		"503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
	} {
		first, backup := startFake(t, c), startFake(t, c)
		first.raw, first.signWith, backup.signWith = trouble, signerPublic(), signerPublic()
		s := play(backup, map[string]string{"GET /v3/pay/transactions/out-trade-no/ORDER-000001": paidJSON})
		client := newClient(t, first, publicKeyConfig(), wechatpay.WithBackupURL(backup.URL))
		if _, err := client.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrUncertain) || errors.Is(err, wechatpay.ErrNotSent) || len(s.sent) != 0 {
			t.Errorf("%s: %v, and the backup was sent %q", name, err, s.sent)
		}
		if h := client.Hosts(); h[0].Failures != 1 || h[1].Requests != 0 {
			t.Errorf("%s: %+v", name, h)
		}
		c.Advance(time.Minute) // the first one again
		if tr, err := client.QueryOrder(t.Context(), "ORDER-000001"); err != nil || tr.OutTradeNo != "ORDER-000001" {
			t.Errorf("%s: a query: %+v, %v", name, tr, err)
		}
		// Where the backup fails too, the first answer stands.
		c.Advance(time.Minute)
		backup.set(func(f *fake) { f.raw = trouble })
		if _, err := client.QueryOrder(t.Context(), "ORDER-000001"); !errors.Is(err, wechatpay.ErrUncertain) {
			t.Errorf("%s: both fail: %v", name, err)
		}
		// Both failed within the minute: the first one is as good as the other.
		before := client.Hosts()
		if _, err := client.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrUncertain) || client.Hosts()[0].Requests != before[0].Requests+1 {
			t.Errorf("%s: %v, %+v", name, err, client.Hosts())
		}
		// A refusal is an answer: the host is well.
		backup.set(func(f *fake) { f.raw = nil })
		first.set(func(f *fake) {
			f.raw = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(404)
				_, _ = io.WriteString(w, `{"code":"ORDER_NOT_EXIST"}`)
			}
		})
		c.Advance(time.Minute)
		before = client.Hosts()
		if _, err := client.QueryOrder(t.Context(), "ORDER-000001"); !errors.Is(err, wechatpay.CodeOrderNotExist) || client.Hosts()[0].Failures != before[0].Failures {
			t.Errorf("%s: %v, %+v", name, err, client.Hosts())
		}
	}
}

// A server that lets deadlines pass is avoided; the request whose time is up is not sent elsewhere.
func TestBackupHostAfterADeadline(t *testing.T) {
	t.Parallel()
	first, backup := startFake(t, newClock()), startFake(t, newClock())
	first.raw = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	backup.signWith = signerPublic()
	play(backup, map[string]string{"GET /v3/pay/transactions/out-trade-no/ORDER-000001": paidJSON})
	client := newClient(t, first, publicKeyConfig(), wechatpay.WithBackupURL(backup.URL))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.QueryOrder(ctx, "ORDER-000001"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, wechatpay.ErrUncertain) {
		t.Error(err)
	}
	if h := client.Hosts(); h[0].Failures != 1 || h[1].Requests != 0 {
		t.Errorf("%+v", h)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := client.QueryOrder(ctx, "ORDER-000001"); err != nil || client.Hosts()[0].Requests != 1 {
		t.Errorf("%v, %+v", err, client.Hosts())
	}
}

// A caller that gives up is neither a reason to ask elsewhere nor the server's failure.
func TestBackupHostHonoursTheContext(t *testing.T) {
	t.Parallel()
	c := newClock()
	first, backup := startFake(t, c), startFake(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	first.raw = func(_ http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		cancel()
		<-r.Context().Done()
	}
	client := newClient(t, first, publicKeyConfig(), wechatpay.WithBackupURL(backup.URL))
	_, err := client.QueryOrder(ctx, "ORDER-000001")
	if h := client.Hosts(); !errors.Is(err, context.Canceled) || calls.Load() != 1 || backup.count("") != 0 || h[0].Failures != 0 || h[0].Requests != 1 {
		t.Errorf("%v, %+v", err, h)
	}
}
