package sandbox

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Merchant is a merchant with all that an SDK needs to act for it. Keys and certificates are PEM text.
//
// As an option or in POST /sandbox/v1/merchants any field may be left out and is generated. What
// [Sandbox.Merchants] returns is complete, private keys of WeChat Pay included, and can be given to another sandbox
// as it is; the control API leaves WeChat Pay's private keys out.
type Merchant struct {
	ID                   string                `json:"id"`                 // mchid, 8 to 10 digits
	CertificateSerial    string                `json:"certificate_serial"` // 40 upper-case hex digits
	Certificate          string                `json:"certificate"`        // of the merchant API (apiclient_cert.pem)
	PrivateKey           string                `json:"private_key"`        // PKCS#8 (apiclient_key.pem); PKCS#1 is taken too
	APIv3Key             string                `json:"apiv3_key"`          // 32 bytes
	APIv2Key             string                `json:"apiv2_key"`          // 32 bytes
	Apps                 []App                 `json:"apps"`
	PlatformCertificates []PlatformCertificate `json:"platform_certificates"` // oldest first; the last one signs
	PublicKeyID          string                `json:"public_key_id"`         // PUB_KEY_ID_ and digits
	PublicKey            string                `json:"public_key"`

	// PublicKeyPrivateKey is the private half of PublicKey. It is WeChat Pay's secret, which is why only Go code sees it.
	PublicKeyPrivateKey string `json:"public_key_private_key,omitempty"`

	// Mode says with what WeChat Pay signs for this merchant: "certificate", the default, or "public_key".
	Mode string `json:"mode"`
}

// App is a mini program that is bound to a merchant.
type App struct {
	ID     string `json:"id"` // wx and 16 hex digits
	Secret string `json:"secret"`
}

// PlatformCertificate is a certificate with which WeChat Pay signs for one merchant.
type PlatformCertificate struct {
	Serial      string `json:"serial"`
	Certificate string `json:"certificate"`
	PrivateKey  string `json:"private_key,omitempty"` // WeChat Pay's secret, see Merchant.PublicKeyPrivateKey
}

// How WeChat Pay signs for a merchant.
const (
	ModeCertificate = "certificate" // by the newest platform certificate (平台证书)
	ModePublicKey   = "public_key"  // by the key that the merchant knows as the WeChat Pay public key (微信支付公钥)
)

// Format prints the merchant's number and nothing secret.
func (m Merchant) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "merchant %s [secret]", m.ID) }

// LogValue is the merchant's number and nothing secret.
func (m Merchant) LogValue() slog.Value { return slog.StringValue("merchant " + m.ID + " [secret]") }

// Format prints the app's id and not its secret.
func (a App) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "app %s [secret]", a.ID) }

// shown is m as the control API shows it: without the keys that only WeChat Pay has.
func (m Merchant) shown() Merchant {
	m.PublicKeyPrivateKey = ""
	m.PlatformCertificates = slices.Clone(m.PlatformCertificates)
	for i := range m.PlatformCertificates {
		m.PlatformCertificates[i].PrivateKey = ""
	}
	return m
}

// app is the merchant's app of that id.
func (m Merchant) app(id string) (App, bool) {
	i := slices.IndexFunc(m.Apps, func(a App) bool { return a.ID == id })
	if i < 0 {
		return App{}, false
	}
	return m.Apps[i], true
}

// merchant is a complete Merchant with its keys parsed. It never changes; a rotation puts another one in its place.
type merchant struct {
	Merchant
	key       *rsa.PublicKey // verifies the merchant's requests
	platforms []platform     // as PlatformCertificates
	public    *rsa.PrivateKey
}

type platform struct {
	serial string
	cert   *x509.Certificate
	key    *rsa.PrivateKey
}

// signer is the key that signs what WeChat Pay says to m, and its name. asked is the header Wechatpay-Serial of the
// request, with which a merchant in the middle of a change asks for the public key.
func (m *merchant) signer(asked string) (serial string, key *rsa.PrivateKey) {
	if m.Mode == ModePublicKey || asked == m.PublicKeyID {
		return m.PublicKeyID, m.public
	}
	p := m.platforms[len(m.platforms)-1]
	return p.serial, p.key
}

// listSigner is the key that signs the list of certificates: the oldest that is still in it. A client that is running
// knows it, and can so verify the list that brings the new one; a client that knows none finds it in the list.
func (m *merchant) listSigner(asked string) (serial string, key *rsa.PrivateKey) {
	if m.Mode == ModePublicKey || asked == m.PublicKeyID {
		return m.PublicKeyID, m.public
	}
	return m.platforms[0].serial, m.platforms[0].key
}

// Merchants are the merchants in the order in which they came.
func (s *Sandbox) Merchants() []Merchant {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Merchant, len(s.merchants))
	for i, m := range s.merchants {
		all[i] = m.Merchant
		all[i].Apps = slices.Clone(m.Apps)
		all[i].PlatformCertificates = slices.Clone(m.PlatformCertificates)
	}
	return all
}

// AddMerchant adds a merchant; what m leaves out is generated. Errors are of fields that can't be used, and of a number
// or an app that exists.
func (s *Sandbox) AddMerchant(m Merchant) (Merchant, error) {
	added, err := s.complete([]Merchant{m})
	if err != nil {
		return Merchant{}, err
	}
	s.mu.Lock()
	err = s.enrol(added[0])
	s.mu.Unlock()
	if err != nil {
		return Merchant{}, err
	}
	return added[0].Merchant, s.settled()
}

// addGiven adds the merchants of the options, without those that the data folder knows, and one generated merchant where
// there would be none.
func (s *Sandbox) addGiven(given []Merchant) error {
	given = slices.DeleteFunc(slices.Clone(given), func(m Merchant) bool { return m.ID != "" && s.merchant(m.ID) != nil })
	if len(given) == 0 && len(s.merchants) == 0 {
		given = []Merchant{{}}
	}
	added, err := s.complete(given)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range added {
		if err := s.enrol(m); err != nil {
			return err
		}
	}
	return nil
}

// enrol takes a complete merchant into the books. mu is held.
func (s *Sandbox) enrol(m *merchant) error {
	for _, other := range s.merchants {
		if other.ID == m.ID {
			return fmt.Errorf("merchant %s exists: leave its id out, or take another", m.ID)
		}
		for _, a := range m.Apps {
			if b, ok := other.app(a.ID); ok && subtle.ConstantTimeCompare([]byte(a.Secret), []byte(b.Secret)) != 1 {
				return fmt.Errorf("app %s exists with another secret: give the same secret, or another app", a.ID)
			}
		}
	}
	s.merchants = append(s.merchants, m)
	s.save(kindMerchant, m.Merchant)
	return nil
}

// merchant is the merchant of that number, or nil.
func (s *Sandbox) merchant(id string) *merchant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.merchantOf(id)
}

// merchantOf is merchant for those who hold mu.
func (s *Sandbox) merchantOf(id string) *merchant {
	for _, m := range s.merchants {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// appOf is the app of that id, of whichever merchant. mu is held.
func (s *Sandbox) appOf(id string) (App, bool) {
	for _, m := range s.merchants {
		if a, ok := m.app(id); ok {
			return a, true
		}
	}
	return App{}, false
}

// RotateCertificates changes how WeChat Pay signs for a merchant, or for all where merchantID is "". With mode "" it
// issues a new platform certificate, which signs from now on while the old ones stay valid; ModePublicKey and
// ModeCertificate switch between the two ways.
func (s *Sandbox) RotateCertificates(merchantID, mode string) error {
	if mode != "" && mode != ModePublicKey && mode != ModeCertificate {
		return fmt.Errorf("mode %q is unknown: use %q, %q, or leave it out for a new platform certificate",
			mode, ModePublicKey, ModeCertificate)
	}
	if merchantID != "" && s.merchant(merchantID) == nil {
		return fmt.Errorf("there is no merchant %s", merchantID)
	}
	for _, m := range s.Merchants() {
		if merchantID != "" && m.ID != merchantID {
			continue
		}
		var fresh *issued
		if mode == "" {
			var err error
			if fresh, err = s.issuePlatform(s.random.serial(), nil); err != nil {
				return err
			}
		}
		s.mu.Lock()
		for i, old := range s.merchants {
			if old.ID != m.ID {
				continue
			}
			changed := *old
			if fresh != nil {
				changed.PlatformCertificates = append(slices.Clip(changed.PlatformCertificates), fresh.shown)
				changed.platforms = append(slices.Clip(changed.platforms), fresh.platform)
			} else {
				changed.Mode = mode
			}
			s.merchants[i] = &changed
			s.save(kindMerchant, changed.Merchant)
		}
		s.mu.Unlock()
	}
	what := "new platform certificate"
	if mode != "" {
		what = "signing by " + mode
	}
	s.record(Entry{Kind: "state", Name: "certificates.rotated", Summary: what})
	return s.settled()
}

var (
	isMerchantID  = regexp.MustCompile(`^[0-9]{8,10}$`).MatchString
	isSerial      = regexp.MustCompile(`^[0-9A-F]{1,40}$`).MatchString
	isPublicKeyID = regexp.MustCompile(`^PUB_KEY_ID_[0-9]{1,64}$`).MatchString
)

// complete fills in what the given merchants leave out. All numbers are drawn first, in order, and all keys made then,
// in parallel: keys are slow and don't come from the seed.
func (s *Sandbox) complete(given []Merchant) ([]*merchant, error) {
	done := make([]*merchant, len(given))
	errs := make([]error, len(given))
	var taken []string
	for _, m := range given {
		taken = append(taken, m.ID)
	}
	var work sync.WaitGroup
	for i, m := range given {
		m.Apps = slices.Clone(m.Apps)
		m.PlatformCertificates = slices.Clone(m.PlatformCertificates)
		if m.ID == "" {
			m.ID = s.freeMerchantID(taken)
			taken = append(taken, m.ID)
		}
		if len(m.Apps) == 0 {
			m.Apps = []App{{}}
		}
		for j := range m.Apps {
			a := &m.Apps[j]
			a.ID = cmp.Or(a.ID, "wx"+s.random.text("app", hexes, 16))
			a.Secret = cmp.Or(a.Secret, s.random.text("secret", hexes, 32))
		}
		m.APIv3Key = cmp.Or(m.APIv3Key, s.random.text("secret", alnums, 32))
		m.APIv2Key = cmp.Or(m.APIv2Key, s.random.text("secret", alnums, 32))
		m.PublicKeyID = cmp.Or(m.PublicKeyID, "PUB_KEY_ID_01"+strings.Repeat("0", max(0, 10-len(m.ID)))+m.ID+s.random.text("serial", digits, 16))
		m.Mode = cmp.Or(m.Mode, ModeCertificate)
		ownSerial, platformSerial := s.random.serial(), s.random.serial()
		work.Go(func() { done[i], errs[i] = s.equip(m, ownSerial, platformSerial) })
	}
	work.Wait()
	return done, errors.Join(errs...)
}

// freeMerchantID is the first number from 1900000001 on that nobody has.
func (s *Sandbox) freeMerchantID(taken []string) string {
	for n := 1900000001; ; n++ {
		id := strconv.Itoa(n)
		if !slices.Contains(taken, id) && s.merchant(id) == nil {
			return id
		}
	}
}

// equip checks m and gives it the keys and certificates that it lacks.
func (s *Sandbox) equip(m Merchant, ownSerial, platformSerial string) (*merchant, error) {
	wrong := func(field, why string) error { return fmt.Errorf("merchant %s: %s %s", m.ID, field, why) }
	switch {
	case !isMerchantID(m.ID):
		return nil, wrong("id", "must be 8 to 10 digits")
	case len(m.APIv3Key) != 32:
		return nil, wrong("apiv3_key", "must be 32 bytes long")
	case len(m.APIv2Key) != 32:
		return nil, wrong("apiv2_key", "must be 32 bytes long")
	case m.Mode != ModeCertificate && m.Mode != ModePublicKey:
		return nil, wrong("mode", `must be "certificate" or "public_key"`)
	case !isPublicKeyID(m.PublicKeyID):
		return nil, wrong("public_key_id", "must be PUB_KEY_ID_ and digits")
	case m.CertificateSerial != "" && !isSerial(m.CertificateSerial):
		return nil, wrong("certificate_serial", "must be upper-case hexadecimal")
	case m.Certificate != "" && m.PrivateKey == "":
		return nil, wrong("certificate", "comes without its private_key: give both or neither")
	case m.PublicKey != "" && m.PublicKeyPrivateKey == "":
		return nil, wrong("public_key",
			"comes without public_key_private_key, with which the sandbox would sign: give both or neither")
	}
	for _, a := range m.Apps {
		if len(a.ID) > 32 || a.ID == "" {
			return nil, wrong("apps", "have ids of 1 to 32 bytes")
		}
	}

	full := &merchant{Merchant: m}
	var work sync.WaitGroup
	var ownErr, platformErr, publicErr error
	work.Go(func() { ownErr = s.equipOwn(full, ownSerial) })
	work.Go(func() {
		if len(m.PlatformCertificates) > 0 {
			full.platforms, platformErr = parsePlatforms(m.PlatformCertificates)
			return
		}
		fresh, err := s.issuePlatform(platformSerial, nil)
		if err != nil {
			platformErr = err
			return
		}
		full.PlatformCertificates = []PlatformCertificate{fresh.shown}
		full.platforms = []platform{fresh.platform}
	})
	work.Go(func() {
		key, text, err := keyOf(m.PublicKeyPrivateKey)
		if err != nil {
			publicErr = wrong("public_key_private_key", err.Error())
			return
		}
		shown, err := publicPEM(&key.PublicKey)
		if err == nil && m.PublicKey != "" && !samePEM(shown, m.PublicKey) {
			err = wrong("public_key", "doesn't belong to public_key_private_key")
		}
		full.public, full.PublicKeyPrivateKey, full.PublicKey, publicErr = key, text, cmp.Or(m.PublicKey, shown), err
	})
	work.Wait()
	if platformErr != nil {
		platformErr = wrong("platform_certificates", platformErr.Error())
	}
	return full, errors.Join(ownErr, platformErr, publicErr)
}

// equipOwn gives the merchant its API key and certificate.
func (s *Sandbox) equipOwn(m *merchant, serial string) error {
	wrong := func(field, why string) error { return fmt.Errorf("merchant %s: %s %s", m.ID, field, why) }
	key, text, err := keyOf(m.PrivateKey)
	if err != nil {
		return wrong("private_key", err.Error())
	}
	m.key, m.PrivateKey = &key.PublicKey, cmp.Or(m.PrivateKey, text)
	if m.Certificate != "" {
		cert, err := certificateOf(m.Certificate)
		if err != nil {
			return wrong("certificate", err.Error())
		}
		if !key.PublicKey.Equal(cert.PublicKey) {
			return wrong("certificate", "doesn't belong to private_key")
		}
		actual := serialText(cert.SerialNumber)
		if m.CertificateSerial != "" && m.CertificateSerial != actual {
			return wrong("certificate_serial", "isn't the certificate's "+actual)
		}
		m.CertificateSerial = actual
		return nil
	}
	m.CertificateSerial = cmp.Or(m.CertificateSerial, serial)
	ca, err := s.authority()
	if err != nil {
		return err
	}
	subject := pkix.Name{CommonName: m.ID, Organization: []string{"微信商户系统"},
		OrganizationalUnit: []string{"Fenhao Sandbox"}, Country: []string{"CN"}, Locality: []string{"ShenZhen"}}
	m.Certificate, _, err = ca.issue(subject, m.CertificateSerial, &key.PublicKey, s.clock())
	return err
}

// issued is a new platform certificate in both forms.
type issued struct {
	shown    PlatformCertificate
	platform platform
}

// issuePlatform makes a platform certificate, for the key or for a new one.
func (s *Sandbox) issuePlatform(serial string, key *rsa.PrivateKey) (*issued, error) {
	if key == nil {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, err
		}
	}
	ca, err := s.authority()
	if err != nil {
		return nil, err
	}
	subject := pkix.Name{CommonName: "Tenpay.com sign", Organization: []string{"Tenpay.com"},
		OrganizationalUnit: []string{"Tenpay.com CA Center"}, Country: []string{"CN"}, Locality: []string{"ShenZhen"}}
	text, cert, err := ca.issue(subject, serial, &key.PublicKey, s.clock())
	if err != nil {
		return nil, err
	}
	private, err := privatePEM(key)
	if err != nil {
		return nil, err
	}
	return &issued{PlatformCertificate{serial, text, private}, platform{serial, cert, key}}, nil
}

func parsePlatforms(given []PlatformCertificate) ([]platform, error) {
	var all []platform
	for _, p := range given {
		if p.PrivateKey == "" {
			return nil, errors.New(
				"come without private_key, with which the sandbox would sign: leave them out, and new ones are made")
		}
		cert, err := certificateOf(p.Certificate)
		if err != nil {
			return nil, err
		}
		key, _, err := keyOf(p.PrivateKey)
		if err != nil {
			return nil, err
		}
		if !key.PublicKey.Equal(cert.PublicKey) || p.Serial != serialText(cert.SerialNumber) {
			return nil, fmt.Errorf("%s: serial, certificate and private_key don't belong together", p.Serial)
		}
		all = append(all, platform{p.Serial, cert, key})
	}
	return all, nil
}

// authority is the certification authority that issues the merchants' and WeChat Pay's certificates. It is made when the
// first certificate is, and not kept: like the real one's, its root certificate is in nobody's hands.
type authority struct {
	cert *x509.Certificate
	key  *rsa.PrivateKey
}

func newAuthority(now time.Time) (*authority, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject: pkix.Name{CommonName: "Tenpay.com Root CA", Organization: []string{"Tenpay.com"},
			OrganizationalUnit: []string{"Tenpay.com CA Center"}, Country: []string{"CN"}},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return &authority{cert, key}, nil
}

// issue makes a certificate that is valid for five years from now.
func (a *authority) issue(
	subject pkix.Name, serial string, key *rsa.PublicKey, now time.Time,
) (string, *x509.Certificate, error) {
	number, ok := new(big.Int).SetString(serial, 16)
	if !ok || number.Sign() <= 0 {
		return "", nil, fmt.Errorf("the serial %s is no positive hexadecimal number", serial)
	}
	cert := &x509.Certificate{
		SerialNumber: number, Subject: subject,
		NotBefore: now.Truncate(time.Second), NotAfter: now.Truncate(time.Second).AddDate(5, 0, 0),
		BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment |
			x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key, a.key)
	if err != nil {
		return "", nil, fmt.Errorf("issue a certificate: %w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return "", nil, fmt.Errorf("issue a certificate: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), parsed, nil
}

// serial draws a certificate's serial number: 40 upper-case hex digits, as WeChat's have.
func (r *random) serial() string {
	b := r.bytes("serial", 20)
	b[0] = b[0]&0x3f | 0x10 // positive in ASN.1, and no leading zero
	return strings.ToUpper(hex.EncodeToString(b))
}

// serialText is a serial number as WeChat Pay writes it.
func serialText(n *big.Int) string { return fmt.Sprintf("%X", n.Bytes()) }

// keyOf parses a private key, or makes one where the text is empty.
func keyOf(text string) (*rsa.PrivateKey, string, error) {
	if text == "" {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, "", err
		}
		text, err = privatePEM(key)
		return key, text, err
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, "", errors.New("is no PEM text")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, text, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, "", errors.New("is no private key in PKCS#8 or PKCS#1")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok || key.N.BitLen() != 2048 {
		return nil, "", errors.New("is no RSA key of 2048 bits")
	}
	return key, text, nil
}

func privatePEM(key *rsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}

func publicPEM(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

func samePEM(a, b string) bool {
	x, _ := pem.Decode([]byte(a))
	y, _ := pem.Decode([]byte(b))
	return x != nil && y != nil && bytes.Equal(x.Bytes, y.Bytes)
}

func certificateOf(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("is no PEM text")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("can't be parsed: %w", err)
	}
	return cert, nil
}
