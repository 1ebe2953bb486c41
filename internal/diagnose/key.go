package diagnose

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"regexp"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// owner is whose key it is, as far as the file shows.
type owner int

const (
	anybody owner = iota
	merchant
	platform
)

// Key is a key that a signature may have been made with: its public half.
type Key struct {
	Name   string // of its file, to speak of it
	ID     string // serial of its certificate, or PUB_KEY_ID_…; "" where not known
	public *rsa.PublicKey
	owner  owner
	mchid  string // of a merchant's certificate
	number *big.Int
}

var digits = regexp.MustCompile(`^[0-9]{8,10}$`)

const publicKeyPrefix = "PUB_KEY_ID_"

// ParseKey reads a certificate or a public key in PEM, or the public half of a merchant's private key. id is the key's
// id where the file does not say it.
func ParseKey(name string, text []byte, id string) (Key, error) {
	k := Key{Name: name, ID: id}
	if strings.HasPrefix(id, publicKeyPrefix) {
		k.owner = platform
	}
	switch {
	case bytes.Contains(text, []byte("PRIVATE KEY")):
		private, err := wechatpay.ParsePrivateKey(text)
		if err != nil {
			return k, err
		}
		k.public, k.owner = &private.PublicKey, merchant // nobody has WeChat Pay's
		return k, nil
	case bytes.Contains(text, []byte("PUBLIC KEY")):
		public, err := wechatpay.ParsePublicKey(text)
		k.public = public
		return k, err
	}
	cert, err := wechatpay.ParseCertificate(text)
	if err != nil {
		return k, err
	}
	return k.of(cert)
}

func (k Key) of(cert *x509.Certificate) (Key, error) {
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return k, phrase.Say("%s 不是 RSA 证书", "%s is not a certificate of an RSA key", k.Name)
	}
	k.public, k.ID, k.number = public, wechatpay.CertificateSerial(cert), cert.SerialNumber
	switch name := cert.Subject.CommonName; {
	case digits.MatchString(name):
		k.owner, k.mchid = merchant, name
	case strings.HasPrefix(name, "Tenpay.com"):
		k.owner = platform
	}
	return k, nil
}

// MerchantKey makes a Key of the key pair of merchant mchid, whose certificate has the given serial ("" where not known).
func MerchantKey(name string, public *rsa.PublicKey, serial, mchid string) Key {
	number, _ := new(big.Int).SetString(serial, 16) // nil where it is none
	return Key{Name: name, ID: serial, public: public, owner: merchant, mchid: mchid, number: number}
}

// PlatformKey makes a Key of a public key of WeChat Pay's.
func PlatformKey(name string, public *rsa.PublicKey, id string) Key {
	return Key{Name: name, ID: id, public: public, owner: platform}
}

// is reports whether serial names k, however it is spelled, and whether it is spelled as WeChat Pay does.
func (k Key) is(serial string) (same, spelled bool) {
	if serial == k.ID {
		return true, true
	}
	if strings.HasPrefix(k.ID, publicKeyPrefix) || k.ID == "" {
		return false, false
	}
	if plainSerial(serial) == plainSerial(k.ID) {
		return true, false
	}
	n, ok := new(big.Int).SetString(serial, 10)
	return ok && k.number != nil && n.Cmp(k.number) == 0, false
}

// plainSerial leaves out what tools add to a serial: colons, blanks, 0x, zeros in front, the case of letters.
func plainSerial(s string) string {
	s = strings.NewReplacer(":", "", " ", "").Replace(strings.ToUpper(s))
	return strings.TrimLeft(strings.TrimPrefix(s, "0X"), "0")
}

// title names k for people.
func (k Key) title() phrase.Text {
	id := ""
	if k.ID != "" {
		id = " " + k.ID
	}
	switch k.owner {
	case merchant:
		return phrase.Say("商户密钥 %s%s", "the merchant's key %s%s", k.Name, id)
	case platform:
		return phrase.Say("微信支付密钥 %s%s", "WeChat Pay's key %s%s", k.Name, id)
	}
	return phrase.Say("%s%s", "%s%s", k.Name, id)
}
