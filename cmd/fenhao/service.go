package main

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/fenhao-pay/fenhao/internal/libcrypto"
	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/internal/server"
	"github.com/fenhao-pay/fenhao/internal/store"
	"github.com/fenhao-pay/fenhao/internal/wechat"
	"github.com/fenhao-pay/fenhao/internal/work"
	"github.com/fenhao-pay/fenhao/miniprogram"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// parts is what a service is made of.
type parts struct {
	database  string
	secret    string
	publicURL string // notify URLs are made from it
	payURL    string
	apiURL    string
	merchants []merchantParts
	now       func() time.Time  // business time; nil means time.Now
	transport http.RoundTripper // to WeChat; nil means the SDK's own
	log       *slog.Logger
}

type merchantParts struct {
	id          string
	serial      string
	privateKey  *rsa.PrivateKey
	apiv3Key    string
	publicKeyID string
	publicKey   *rsa.PublicKey
	apps        map[string]string // app id → secret
}

// service is the rooms of the house tied together: the database, the rules, WeChat, and what answers over HTTP.
type service struct {
	store   *store.Store
	cashier *pay.Cashier
	handler http.Handler
	log     *slog.Logger
}

// assemble opens the database and ties the rooms together. Nothing runs yet. Close it when done.
func assemble(ctx context.Context, p parts) (*service, error) {
	gateways := map[string]wechat.Merchant{}
	var merchants []pay.Merchant
	for _, m := range p.merchants {
		key, err := wechatpay.NewAPIv3Key(m.apiv3Key)
		if err != nil {
			return nil, fmt.Errorf("merchant %s: %w", m.id, err)
		}
		payOptions := []wechatpay.Option{wechatpay.WithBaseURL(p.payURL), wechatpay.WithLogger(p.log)}
		apiOptions := []miniprogram.Option{miniprogram.WithBaseURL(p.apiURL)}
		if p.transport != nil {
			h := &http.Client{Transport: p.transport, Timeout: 15 * time.Second}
			payOptions, apiOptions = append(payOptions, wechatpay.WithHTTPClient(h)), append(apiOptions, miniprogram.WithHTTPClient(h))
		}
		signer, by := libcrypto.Signer(m.privateKey)
		p.log.DebugContext(ctx, "requests to WeChat Pay are signed", "merchant", m.id, "by", by)
		client, err := wechatpay.NewClient(wechatpay.Config{MerchantID: m.id, CertificateSerial: m.serial, PrivateKey: signer, APIv3Key: key,
			PublicKeyID: m.publicKeyID, PublicKey: m.publicKey}, payOptions...)
		if err != nil {
			return nil, fmt.Errorf("merchant %s: %w", m.id, err)
		}
		gateway := wechat.Merchant{Client: client, Apps: map[string]*miniprogram.Client{}}
		merchant := pay.Merchant{ID: m.id, Channel: pay.WeChatV3, NotifyURL: p.publicURL + "/notify/wechat/" + m.id + "/v3"}
		for app, secret := range m.apps {
			gateway.Apps[app], err = miniprogram.NewClient(miniprogram.Config{AppID: app, Secret: miniprogram.Secret(secret)}, apiOptions...)
			if err != nil {
				return nil, fmt.Errorf("app %s: %w", app, err)
			}
			merchant.Apps = append(merchant.Apps, app)
		}
		gateways[m.id] = gateway
		merchants = append(merchants, merchant)
	}
	s := &service{log: p.log}
	gateway := wechat.New(gateways, p.now)
	var err error
	if s.store, err = store.Open(ctx, p.database, p.log); err != nil {
		return nil, err
	}
	s.cashier, err = pay.NewCashier(pay.Config{Store: s.store, Gateway: gateway, Now: p.now, Log: p.log, Secret: []byte(p.secret), Merchants: merchants})
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	s.handler = server.New(server.Config{Cashier: s.cashier, Notifications: gateway, Ready: s.store.Ping, Log: p.log, Version: thisBuild().Version})
	return s, nil
}

func (s *service) Close() error { return s.store.Close() }

// work starts what happens by itself. It ends some time after ctx does; wait for the returned channel.
func (s *service) work(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		work.Run(ctx, s.cashier, s.log)
	}()
	return done
}

// listen takes an address, or says in one sentence why it can't be had.
func listen(address, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, failure("%s 已被占用：停掉占用它的程序，或用 %s 换一个端口（端口 0 自动选空闲端口）",
			"%s is in use: stop the program that has it, or choose another port with %s (port 0 picks a free one)", address, flag)
	}
	if err != nil {
		return nil, failure("不能监听 %s（%v）：检查 %s 的主机和端口", "can't listen on %s (%v): check host and port of %s", address, err, flag)
	}
	return l, nil
}

// urlOf is the address that a listener is reached at from this machine. It never names 0.0.0.0, which nobody can open.
func urlOf(l net.Listener) string {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://127.0.0.1:" + port
	}
	return "http://" + l.Addr().String()
}

const (
	// drainTime is what requests under way get to end when the process is told to stop.
	drainTime = 8 * time.Second
	// patience is when those that only wait (for a payment, for something to happen) are told to give up.
	patience = 500 * time.Millisecond
)

// serveUntil serves all of sites until ctx is done, lets the requests under way end, and returns.
func serveUntil(ctx context.Context, log *slog.Logger, sites ...site) error {
	requests, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(patience, giveUp) })()
	failed := make(chan error, len(sites))
	var wait sync.WaitGroup
	for _, site := range sites {
		// A slow or silent peer holds a connection only so long. Answers may wait for pay.MaxWait; a stream of events
		// lifts its own limit.
		server := &http.Server{Handler: site.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
			WriteTimeout: pay.MaxWait + 15*time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), BaseContext: func(net.Listener) context.Context { return requests }}
		wait.Go(func() {
			if err := server.Serve(site.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
		wait.Go(func() {
			<-ctx.Done()
			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
			defer cancel()
			if err := server.Shutdown(drain); err != nil {
				_ = server.Close() // they had their time
			}
		})
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	wait.Wait()
	return nil
}

// site is a handler and where it listens.
type site struct {
	listener net.Listener
	handler  http.Handler
}
