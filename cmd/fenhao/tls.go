package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// This file lets the sandbox answer under WeChat's own host names, for SDKs that have them built in: certificates of a
// CA of its own, and a proxy that leads those names here.

// wechatHosts are the names of WeChat's servers that SDKs call: WeChat Pay, its second access point, the one for servers
// outside of the mainland, and the mini program's.
//
// Source: vendor manual, "跨城冗灾方案"; mini-program manual, "服务端接口".
var wechatHosts = []string{"api.mch.weixin.qq.com", "api2.mch.weixin.qq.com", "apihk.mch.weixin.qq.com", "api.weixin.qq.com"}

// loopbackNames and loopbackAddresses are what this machine is called by those who need no proxy.
var (
	loopbackNames     = []string{"localhost"}
	loopbackAddresses = []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
)

const (
	authorityLife = 2 * 365 * 24 * time.Hour
	authorityRest = 60 * 24 * time.Hour // with less than this left at the start, another CA is made
	leafLife      = 30 * 24 * time.Hour
	leafRest      = 10 * 24 * time.Hour // with less than this left, another leaf is issued
	backdated     = time.Hour           // for clients whose clocks are slow
)

// authority is the CA of the sandbox's TLS. It can only vouch for WeChat's names and for this machine: a client that
// trusts it trusts it for nothing else. Its leaves are issued as they are needed and kept nowhere.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  func() time.Time

	mu   sync.Mutex
	last *tls.Certificate // the newest leaf
}

// newAuthority makes a CA.
func newAuthority(now func() time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	from := now().Add(-backdated)
	template := &x509.Certificate{
		SerialNumber: serialNumber(),
		// A name of its own each, or a client that trusts two of them might try the wrong one only.
		Subject:   pkix.Name{CommonName: "Fenhao sandbox CA " + rand.Text()[:8], Organization: []string{"Fenhao sandbox"}},
		NotBefore: from, NotAfter: from.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: slices.Concat(wechatHosts, loopbackNames),
	}
	for _, ip := range loopbackAddresses {
		whole := net.CIDRMask(8*len(ip), 8*len(ip))
		template.PermittedIPRanges = append(template.PermittedIPRanges, &net.IPNet{IP: ip, Mask: whole})
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the CA of the sandbox: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make the CA of the sandbox: %w", err)
	}
	return &authority{cert: cert, key: key, now: now}, nil
}

// keepAuthority returns the CA that the file holds, so that clients that trust it go on trusting it. Where there is no
// file, or its CA is about to expire, it makes a new CA and writes the file.
func keepAuthority(path string, now func() time.Time, log *slog.Logger) (*authority, error) {
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		kept, err := parseAuthority(text, now)
		if err != nil {
			return nil, failure("%[1]s 已损坏（%[2]v）：删除它就会生成新的 CA，客户端随后要信任新的 ca.pem",
				"%[1]s is damaged (%[2]v): remove it and a new CA is made, whose ca.pem clients must then trust", path, err)
		}
		if kept.cert.NotAfter.Sub(now()) >= authorityRest {
			return kept, nil
		}
		log.Warn("the sandbox's CA was about to expire: clients must trust the new ca.pem", "expired", kept.cert.NotAfter)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, failure("读不了 %s（%v）：检查权限", "can't read %s (%v): check its permissions", path, err)
	}
	made, err := newAuthority(now)
	if err != nil {
		return nil, err
	}
	if text, err = made.text(); err != nil {
		return nil, err
	}
	return made, replaceFile(path, text, 0o600)
}

// parseAuthority reads what text wrote.
func parseAuthority(text []byte, now func() time.Time) (*authority, error) {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("it holds no CA of the sandbox")
	}
	return &authority{cert: pair.Leaf, key: key, now: now}, nil
}

// text is the CA with its private key, as PEM.
func (a *authority) text() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	return append(a.pem(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...), nil
}

// pem is what clients are to trust: the certificate, as PEM.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// leaf is a certificate for all the names, valid for some days yet.
func (a *authority) leaf() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last != nil && a.last.Leaf.NotAfter.Sub(a.now()) >= leafRest {
		return a.last, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	from := a.now().Add(-backdated)
	template := &x509.Certificate{
		SerialNumber: serialNumber(), Subject: pkix.Name{CommonName: "Fenhao sandbox", Organization: []string{"Fenhao sandbox"}},
		NotBefore: from, NotAfter: from.Add(leafLife), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: slices.Concat(wechatHosts, loopbackNames), IPAddresses: loopbackAddresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate of the sandbox: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate of the sandbox: %w", err)
	}
	a.last = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}
	return a.last, nil
}

// wrap speaks TLS on what l accepts. Clients are asked for a certificate, since merchants show theirs to WeChat Pay where API
// v2 moves money back; which one may come, if any, is for the sandbox to judge.
func (a *authority) wrap(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, ClientAuth: tls.RequestClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.leaf() },
	})
}

// serialNumber draws the serial number of a certificate: positive, 127 bits at most.
func serialNumber() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails; the program ends where the system has no randomness
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

// proxy is an HTTP CONNECT proxy that leads WeChat's host names, port 443, to the sandbox, and refuses everything else:
// nothing that runs behind it reaches the real WeChat, or anything, by mistake.
//
// A tunnel has no far end to dial. The connection is handed to the HTTP server behind tunnels, whose time limits and
// draining then apply to it.
type proxy struct {
	tunnels *handover
	log     *slog.Logger
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(r.URL.Host)
	if r.Method != http.MethodConnect || err != nil || port != "443" || !slices.Contains(wechatHosts, strings.ToLower(host)) {
		p.refuse(w, r)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	// A client may begin with TLS before it has the answer; what was read of that comes first.
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(5 * time.Second))
	}
	if err == nil {
		_, err = io.WriteString(conn, "HTTP/1.1 200 Connection Established\r\n\r\n")
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err == nil {
		err = p.tunnels.hand(&begun{Conn: conn, begin: bytes.NewReader(bytes.Clone(early))})
	}
	if err != nil {
		_ = conn.Close() // the client went away, or the sandbox is ending
	}
}

// refuse answers 403, and says in both languages where the proxy leads: it can't know who reads.
func (p *proxy) refuse(w http.ResponseWriter, r *http.Request) {
	asked := r.Method + " " + r.Host // no path: it may hold an app's secret
	if len(asked) > 200 {
		asked = asked[:200] + "…"
	}
	p.log.Warn("the proxy leads to WeChat's hosts alone", "refused", asked)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusForbidden)
	hosts := strings.Join(wechatHosts, ", ")
	_, _ = fmt.Fprintf(w, "分毫沙箱的代理只通往微信的主机（CONNECT，端口 443）：%[1]s。拒绝：%[2]q。其他主机请写进 NO_PROXY，直接连接。\n"+
		"The proxy of the Fenhao sandbox leads to WeChat's hosts alone (CONNECT, port 443): %[1]s. Refused: %[2]q. "+
		"Put other hosts into NO_PROXY, so that they are called directly.\n", hosts, asked) // a client that left doesn't matter
}

// handover is a listener whose connections were accepted elsewhere.
type handover struct {
	address net.Addr
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newHandover(address net.Addr) *handover {
	return &handover{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// hand gives the connection to whoever accepts. Once the listener is closed the error is net.ErrClosed, and the
// connection is still the caller's.
func (h *handover) hand(conn net.Conn) error {
	select {
	case h.conns <- conn:
		return nil
	case <-h.closed:
		return net.ErrClosed
	}
}

// Accept waits for the next connection.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and hand. It may be called again.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr is where the connections were accepted.
func (h *handover) Addr() net.Addr { return h.address }

// begun is a connection of which the beginning was read already.
type begun struct {
	net.Conn
	begin *bytes.Reader
}

func (b *begun) Read(p []byte) (int, error) {
	if b.begin.Len() > 0 {
		return b.begin.Read(p)
	}
	return b.Conn.Read(p)
}
