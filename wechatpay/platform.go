package wechatpay

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/rules"
)

const (
	// window is how far the timestamp of a message may be from our clock. Source: vendor manual, "如何验证签名".
	window = 5 * time.Minute

	// certificatesFor is how long a downloaded list is taken for fresh. WeChat Pay asks for less than 12 hours; up to an
	// hour of it is taken off at random, so that replicas started together don't ask together.
	certificatesFor = 12 * time.Hour
	certificatesOff = time.Hour

	// downloadPause is the least time between two downloads that an unknown serial or a stale list asks for. A serial is
	// anybody's to invent.
	downloadPause = time.Minute

	// downloadTime bounds one download.
	downloadTime = 10 * time.Second
)

// PlatformKey is a key of WeChat Pay's that messages are verified with.
type PlatformKey struct {
	Serial    string    // of the certificate, or the id PUB_KEY_ID_…
	PublicKey bool      // a WeChat Pay public key, which has no dates
	NotBefore time.Time // of the certificate
	NotAfter  time.Time // of the certificate; it is not used any longer than this
}

// PlatformKeys returns the keys at hand, sorted by serial: for a health check, and to see a certificate's end coming.
// In certificate mode there is none before the first request.
func (c *Client) PlatformKeys() []PlatformKey {
	k := c.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []PlatformKey
	for _, p := range k.held {
		list = append(list, p.PlatformKey)
	}
	slices.SortFunc(list, func(a, b PlatformKey) int { return strings.Compare(a.Serial, b.Serial) })
	return list
}

type heldKey struct {
	PlatformKey
	key *rsa.PublicKey
}

// newest returns the key to encrypt with: the configured public key, or the valid certificate that begins last.
func (k *platformKeys) newest() *heldKey {
	now := k.client.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.publicID != "" {
		return k.held[k.publicID]
	}
	var newest *heldKey
	for _, p := range k.held {
		if p.valid(now) && (newest == nil || p.NotBefore.After(newest.NotBefore)) {
			newest = p
		}
	}
	return newest
}

// valid reports whether messages may be verified with k at now.
func (k *heldKey) valid(now time.Time) bool {
	return k.PublicKey || (!now.Before(k.NotBefore.Add(-window)) && now.Before(k.NotAfter))
}

// platformKeys holds WeChat Pay's keys of both kinds and finds the one that a message names. It is the one place where
// messages are verified.
type platformKeys struct {
	client   *Client
	secrets  []APIv3Key
	publicID string // the configured public key, or ""
	fresh    time.Duration

	mu      sync.Mutex
	held    map[string]*heldKey // by canonical serial
	loaded  time.Time           // of the last list that was accepted
	tried   time.Time           // of the last download, however it ended
	failure error               // of the last download
	running *download
}

// download is one request for the list, shared by all who wait for it.
type download struct {
	done chan struct{}
	err  error
}

func newPlatformKeys(client *Client, c Config) *platformKeys {
	k := &platformKeys{
		client:   client,
		secrets:  append([]APIv3Key{c.APIv3Key}, c.OldAPIv3Keys...),
		publicID: c.PublicKeyID,
		fresh:    certificatesFor - rand.N(certificatesOff),
		held:     map[string]*heldKey{},
	}
	if c.PublicKey != nil {
		k.held[c.PublicKeyID] = &heldKey{PlatformKey{Serial: c.PublicKeyID, PublicKey: true}, c.PublicKey}
	}
	return k
}

// preset takes certificates that the caller kept.
func (k *platformKeys) preset(certs []*x509.Certificate) error {
	now := k.client.now()
	for _, cert := range certs {
		if cert == nil {
			return &ConfigError{"WithPlatformCertificates", phrase.Text{EN: "one of them is nil", ZH: "其中有 nil"}}
		}
		p, err := newHeldKey(cert)
		if err != nil {
			return &ConfigError{"WithPlatformCertificates", phrase.Text{EN: err.Error(), ZH: "平台证书无效：" + err.Error()}}
		}
		if rsaPublicKey(k.client.credentials.PrivateKey).Equal(p.key) {
			return &ConfigError{"WithPlatformCertificates", phrase.Text{
				EN: "it is the merchant's own certificate: WeChat Pay signs with one of its own, and this client downloads it",
				ZH: "这是商户自己的证书：微信支付使用平台证书签名，本客户端会自动下载",
			}}
		}
		if p.valid(now) {
			k.held[canonicalSerial(p.Serial)] = p
			k.loaded = now
		}
	}
	return nil
}

// canonicalSerial is the serial without leading zeros, which some tools print and others don't. Ids of public keys stay
// as they are.
func canonicalSerial(s string) string {
	if strings.HasPrefix(s, publicKeyPrefix) {
		return s
	}
	return strings.TrimLeft(s, "0")
}

// ready sees to it that there is a key before a request is sent: an answer that can't be verified leaves an order in
// doubt. It renews a stale list as well, but goes on with the old one where that fails.
func (k *platformKeys) ready(ctx context.Context) error {
	if k.publicID != "" {
		return nil
	}
	now := k.client.now()
	k.mu.Lock()
	any := false
	for _, p := range k.held {
		any = any || p.valid(now)
	}
	stale := since(k.loaded, now) >= k.fresh
	busy := k.running != nil
	refused := k.failure
	recent := since(k.tried, now) < downloadPause
	k.mu.Unlock()

	switch {
	case !any:
		// After a failure to connect the next request tries again at once. A refusal would only be repeated.
		var e *Error
		if recent && errors.As(refused, &e) && !e.uncertain() {
			return refused
		}
		return k.download(ctx, true)
	case stale && !busy && !recent:
		if err := k.download(ctx, false); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			k.client.log.WarnContext(ctx, "the platform certificates could not be renewed; the old ones stay in use", "error", err)
		}
	}
	return nil
}

// since is the distance of two times, so that a clock that was set back does not stop downloads for long.
func since(t, now time.Time) time.Duration { return now.Sub(t).Abs() }

// verify checks that header and body are a message of WeChat Pay's and returns the serial of its key. Its error is a
// *SignatureError.
//
// Source of the order of checks: vendor manual, "如何验证签名".
func (k *platformKeys) verify(ctx context.Context, header http.Header, body []byte) (string, error) {
	m, err := readSignature(header, k.client.now())
	if err != nil {
		return "", err
	}
	key, err := k.find(ctx, m.serial)
	if err != nil {
		return "", err
	}
	return m.serial, m.verify(key, body)
}

// signature is what the Wechatpay-* headers of a message say.
type signature struct {
	timestamp, nonce, value, serial, scheme string
}

// readSignature takes the signature headers, each of which must be there once, and compares the timestamp with now.
func readSignature(header http.Header, now time.Time) (signature, error) {
	var s signature
	for _, f := range []struct {
		name string
		to   *string
	}{
		{"Wechatpay-Timestamp", &s.timestamp},
		{"Wechatpay-Nonce", &s.nonce},
		{"Wechatpay-Signature", &s.value},
		{"Wechatpay-Serial", &s.serial},
		{"Wechatpay-Signature-Type", &s.scheme},
	} {
		values := headerValues(header, f.name)
		switch {
		case len(values) > 1:
			return s, &SignatureError{problem: phrase.Text{
				EN: "header " + f.name + " is there more than once",
				ZH: "请求头 " + f.name + " 出现多次",
			}}
		case len(values) == 1 && values[0] != "":
			*f.to = values[0]
		case f.to != &s.scheme: // a missing type means RSA
			return s, &SignatureError{problem: phrase.Text{
				EN: "header " + f.name + " is missing: a message of WeChat Pay's always has it; see whether a proxy takes it out",
				ZH: "缺少请求头 " + f.name + "：微信支付的消息一定带有它；请检查代理或 WAF 是否将其丢弃",
			}}
		}
	}
	if !isShownSerial(s.serial) {
		return s, &SignatureError{problem: phrase.Text{EN: "header Wechatpay-Serial holds no serial", ZH: "请求头 Wechatpay-Serial 不是合法的序列号"}}
	}
	seconds, err := strconv.ParseInt(s.timestamp, 10, 64)
	if err != nil || strings.Trim(s.timestamp, "0123456789") != "" || len(s.timestamp) > 12 {
		return s, s.fail("header Wechatpay-Timestamp is not a number of seconds", "请求头 Wechatpay-Timestamp 不是秒数")
	}
	if off := now.Sub(time.Unix(seconds, 0)); off.Abs() >= window {
		return s, s.fail(
			fmt.Sprintf("its timestamp is %v away from this machine's clock, more than 5 minutes: a repeated message, a wrong clock or a proxy that holds messages back", off.Round(time.Second)),
			fmt.Sprintf("时间戳与本机时钟相差 %v，超过 5 分钟：消息被重放、本机时钟不准，或代理缓存了消息", off.Round(time.Second)))
	}
	return s, nil
}

// headerValues returns all values of a header, also where a framework keeps names in another case.
func headerValues(header http.Header, name string) []string {
	var values []string
	for k, v := range header {
		if strings.EqualFold(k, name) {
			values = append(values, v...)
		}
	}
	return values
}

// isShownSerial reports whether s is shaped like a serial or an id, so that it may be looked up and shown.
func isShownSerial(s string) bool { return rules.IsCode(s) }

func (s signature) fail(en, zh string) error {
	return &SignatureError{Serial: s.serial, problem: phrase.Text{EN: en, ZH: zh}}
}

func (s signature) verify(key *rsa.PublicKey, body []byte) error {
	if s.scheme != "" && s.scheme != Scheme {
		return s.fail("signature type "+phrase.Clip(s.scheme, 40)+" is not supported, only "+Scheme,
			"不支持签名类型 "+phrase.Clip(s.scheme, 40)+"，只支持 "+Scheme)
	}
	if err := VerifyMessage(key, ResponseMessage(s.timestamp, s.nonce, body), s.value); err != nil {
		e := &SignatureError{
			Serial: s.serial,
			// WeChat Pay sends such signatures now and then to see who does not verify. They are treated as wrong.
			Probe: strings.HasPrefix(s.value, "WECHATPAY/SIGNTEST/"),
			problem: phrase.Text{
				EN: err.Error() + ": the body must be the raw bytes as received, and the key WeChat Pay's",
				ZH: "验签失败：须用收到的原始字节验签，且使用微信支付的公钥或平台证书",
			},
		}
		if e.Probe {
			e.problem = phrase.Text{EN: "this is a probe of WeChat Pay's (签名探测); the genuine message comes again",
				ZH: "这是微信支付的签名探测，真实消息会再次发送"}
		}
		return e
	}
	return nil
}

// lookup returns the key of serial that is valid now, or nil.
func (k *platformKeys) lookup(serial string) *rsa.PublicKey {
	now := k.client.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.held[canonicalSerial(serial)]; p != nil && p.valid(now) {
		return p.key
	}
	return nil
}

// find returns the key of serial, after one download where it is not known yet.
func (k *platformKeys) find(ctx context.Context, serial string) (*rsa.PublicKey, error) {
	if key := k.lookup(serial); key != nil {
		return key, nil
	}
	if strings.HasPrefix(serial, publicKeyPrefix) {
		return nil, &SignatureError{Serial: serial, problem: phrase.Text{
			EN: "it is signed with public key " + serial + ", which is not configured: the merchant switched to public-key mode; " +
				"download this key and configure PublicKeyID and PublicKey",
			ZH: "消息由公钥 " + serial + " 签名，但未配置：商户已切换到公钥模式，请下载该公钥并配置 PublicKeyID 与 PublicKey",
		}}
	}
	err := k.download(ctx, false)
	if key := k.lookup(serial); key != nil {
		return key, nil
	}
	return nil, &SignatureError{Serial: serial, cause: err, problem: phrase.Text{
		EN: "no valid platform certificate with serial " + serial + " is known",
		ZH: "没有序列号为 " + serial + " 的有效平台证书",
	}}
}

// download fetches the list of certificates, once for all who ask at the same time. Unless now is set, it does nothing
// within a minute of the last time and returns how that one ended. A download outlives a caller that gives up, for at
// most downloadTime: otherwise whoever sends an invented serial and hangs up could keep all others from a new key.
func (k *platformKeys) download(ctx context.Context, atOnce bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k.mu.Lock()
	d := k.running
	if d == nil {
		now := k.client.now()
		if !atOnce && !k.tried.IsZero() && since(k.tried, now) < downloadPause {
			defer k.mu.Unlock()
			return k.failure
		}
		d = &download{done: make(chan struct{})}
		k.running, k.tried = d, now
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), downloadTime)
			defer cancel()
			keys, err := k.client.certificates(ctx)
			if err != nil {
				err = downloadError{err}
			}
			k.finish(d, keys, err)
		}()
	}
	k.mu.Unlock()
	select {
	case <-d.done:
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// downloadError is why there are no certificates. It hides whether the download was sent and executed, since callers ask
// that about a request of their own: one whose answer can't be verified for want of a key was sent.
type downloadError struct{ cause error }

func (e downloadError) Error() string { return e.cause.Error() }

func (e downloadError) Is(target error) bool {
	return target != ErrNotSent && target != ErrUncertain && errors.Is(e.cause, target)
}

func (e downloadError) As(target any) bool { return errors.As(e.cause, target) }

// finish adds what was downloaded. Keys at hand stay until they expire, whether or not the new list has them.
func (k *platformKeys) finish(d *download, keys []*heldKey, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.client.now()
	if err == nil {
		for serial, p := range k.held {
			if !p.valid(now) {
				delete(k.held, serial)
			}
		}
		for _, p := range keys {
			k.held[canonicalSerial(p.Serial)] = p
		}
		k.loaded = now
	}
	k.failure, d.err, k.running = err, err, nil
	close(d.done)
}

// certificates downloads the platform certificates and verifies the very answer that brought them: with a key at hand,
// or with one of the certificates in it. These are trusted because only WeChat Pay and the merchant know the APIv3 key
// under which they are encrypted.
//
// Source: vendor manual, "平台证书".
func (c *Client) certificates(ctx context.Context) ([]*heldKey, error) {
	a, err := c.send(ctx, call{method: http.MethodGet, path: "/v3/certificates"})
	if err != nil {
		return nil, fmt.Errorf("download the platform certificates: %w", err)
	}
	if err := a.refusal(); err != nil {
		if errors.Is(err, CodeResourceNotExists) {
			return nil, fmt.Errorf("this merchant has no platform certificates: configure PublicKeyID and PublicKey, "+
				"the WeChat Pay public key of 商户平台 › 账户中心 › API安全: %w", err)
		}
		return nil, fmt.Errorf("download the platform certificates: %w", err)
	}
	now := c.now()
	s, err := readSignature(a.header, now)
	if err != nil {
		return nil, fmt.Errorf("download the platform certificates: %w", err)
	}
	keys, err := openCertificates(a.body, c.keys.secrets, now)
	if err != nil {
		return nil, fmt.Errorf("download the platform certificates: %w", err)
	}
	key := c.keys.lookup(s.serial)
	for _, p := range keys {
		if old := c.keys.lookup(p.Serial); old != nil && !old.Equal(p.key) {
			return nil, fmt.Errorf("download the platform certificates: the list has another key for serial %s", p.Serial)
		}
		if key == nil && canonicalSerial(p.Serial) == canonicalSerial(s.serial) {
			key = p.key
		}
	}
	if key == nil {
		return nil, fmt.Errorf("download the platform certificates: %w",
			s.fail("the list is signed with "+s.serial+", which is not in it", "证书列表由 "+s.serial+" 签名，但其中没有该证书"))
	}
	if err := s.verify(key, a.body); err != nil {
		return nil, fmt.Errorf("download the platform certificates: %w", err)
	}
	return keys, nil
}

// openCertificates decrypts a list of certificates and returns those that are valid at now. One that can't be opened
// or is not what the list says spoils the list: it is not WeChat Pay's.
func openCertificates(body []byte, secrets []APIv3Key, now time.Time) ([]*heldKey, error) {
	var list struct {
		Data []struct {
			Serial    string `json:"serial_no"`
			Encrypted struct {
				Algorithm      string `json:"algorithm"`
				Nonce          string `json:"nonce"`
				AssociatedData string `json:"associated_data"`
				Ciphertext     string `json:"ciphertext"`
			} `json:"encrypt_certificate"`
		} `json:"data"`
	}
	if err := strictUnmarshal(body, &list); err != nil {
		return nil, err
	}
	var keys []*heldKey
	for _, d := range list.Data {
		if d.Encrypted.Algorithm != algorithmGCM {
			continue // of the SM variant
		}
		plain, err := decryptWithAny(secrets, d.Encrypted.Nonce, d.Encrypted.AssociatedData, d.Encrypted.Ciphertext)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", phrase.Clip(d.Serial, 64), err)
		}
		cert, err := ParseCertificate(plain)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", phrase.Clip(d.Serial, 64), err)
		}
		p, err := newHeldKey(cert)
		if err != nil {
			return nil, err
		}
		if canonicalSerial(strings.ToUpper(d.Serial)) != canonicalSerial(p.Serial) {
			return nil, fmt.Errorf("the list calls certificate %s by the serial %s", p.Serial, phrase.Clip(d.Serial, 64))
		}
		if p.valid(now) {
			keys = append(keys, p)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the list holds no valid certificate")
	}
	return keys, nil
}

func newHeldKey(cert *x509.Certificate) (*heldKey, error) {
	serial := CertificateSerial(cert)
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("platform certificate %s holds %T, not an RSA key", serial, cert.PublicKey)
	}
	if err := checkKeySize("platform certificate "+serial, key); err != nil {
		return nil, err
	}
	return &heldKey{PlatformKey{Serial: serial, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter}, key}, nil
}

// decryptWithAny tries each APIv3 key. Its error is of the first, the current one.
func decryptWithAny(secrets []APIv3Key, nonce, associatedData, ciphertext string) ([]byte, error) {
	var first error
	for _, s := range secrets {
		plain, err := s.Decrypt(nonce, associatedData, ciphertext)
		if err == nil {
			return plain, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}
