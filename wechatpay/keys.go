package wechatpay

import (
	"bytes"
	"crypto"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// minKeyBits is the size of every RSA key that WeChat Pay issues or accepts.
const minKeyBits = 2048

// APIv3Key is the symmetric key (APIv3密钥) under which WeChat Pay encrypts notifications and platform certificates: 32
// ASCII bytes, used as they are. It prints as [secret] in every format. The zero value is no key.
type APIv3Key struct {
	gcm *gcmKey // behind a pointer, so that printing a struct that hides an APIv3Key shows an address and not the key
}

// NewAPIv3Key takes the key as it was set on the merchant platform. Blanks around it are a mistake of copying and are
// an error like any other length but 32: whoever cuts them off silently hides which of two keys is configured.
func NewAPIv3Key(s string) (APIv3Key, error) {
	if trimmed := strings.TrimSpace(s); trimmed != s && len(trimmed) == 32 {
		return APIv3Key{}, errors.New("the APIv3 key has blanks or line breaks around it: remove them")
	}
	if len(s) != 32 {
		return APIv3Key{}, fmt.Errorf("an APIv3 key has 32 characters, this one has %d: "+
			"set one at 商户平台 › 账户中心 › API安全 › APIv3密钥", len(s))
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return APIv3Key{}, errors.New("an APIv3 key has letters and digits alone: this one holds a blank, " +
				"a control character or a character that is not ASCII")
		}
	}
	aead, err := newGCM([]byte(s))
	return APIv3Key{&gcmKey{aead}}, err
}

// gcmKey is a key with what AES makes of it, which takes longer to make than a notification takes to decrypt.
type gcmKey struct{ cipher.AEAD }

// Format prints [secret], whatever the verb.
func (APIv3Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") } // fmt keeps the error

// LogValue prints [secret].
func (APIv3Key) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText prints [secret]: a key is never written into JSON by accident.
func (APIv3Key) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// IsZero reports whether k holds no key.
func (k APIv3Key) IsZero() bool { return k.gcm == nil }

// Decrypt opens what WeChat Pay sealed with AEAD_AES_256_GCM: the resource of a notification or a platform certificate.
// nonce and associatedData are the characters of the message's fields, ciphertext is Base64.
//
// It proves that whoever wrote the message knows the key. It does not replace the signature.
func (k APIv3Key) Decrypt(nonce, associatedData, ciphertext string) ([]byte, error) {
	if k.gcm == nil {
		return nil, errors.New("there is no APIv3 key")
	}
	return openGCM(k.gcm, nonce, associatedData, ciphertext)
}

// ParsePrivateKey reads the merchant's private key (apiclient_key.pem). It takes PKCS#8 and PKCS#1, and repairs what
// environment variables and editors do to PEM: literal \n, lost line breaks, blanks, quotes, a byte order mark, missing
// BEGIN and END lines. The error names the mistake where another file was given; it never quotes the key.
func ParsePrivateKey(text []byte) (*rsa.PrivateKey, error) {
	label, der, err := armour(text)
	if err != nil {
		return nil, fmt.Errorf("merchant private key: %w", err)
	}
	const want = "the private key is apiclient_key.pem"
	switch label {
	case "PRIVATE KEY", "RSA PRIVATE KEY", "":
	case "CERTIFICATE":
		return nil, errors.New("this is a certificate, not a private key: " + want + ", not apiclient_cert.pem")
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return nil, errors.New("this is a public key, not a private key: " + want)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("this private key is encrypted with a password: decrypt it first, openssl pkey -in FILE")
	case "EC PRIVATE KEY":
		return nil, errors.New("this is an elliptic curve key: WeChat Pay uses RSA; " + want)
	default:
		return nil, fmt.Errorf("this is PEM of type %q, not a private key: %s", phrase.Clip(label, 40), want)
	}
	var key any
	if key, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(der); err != nil {
			if label == "" {
				if _, cert := x509.ParseCertificate(der); cert == nil {
					return nil, errors.New("this is a certificate, not a private key: " + want)
				}
			}
			return nil, errors.New("merchant private key: neither PKCS#8 nor PKCS#1: the file is cut off or was altered")
		}
	}
	k, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("merchant private key: WeChat Pay uses RSA keys, this is %T", key)
	}
	return k, checkKeySize("merchant private key", &k.PublicKey)
}

// ParsePublicKey reads the WeChat Pay public key (微信支付公钥, pub_key.pem), with the same repairs as ParsePrivateKey.
func ParsePublicKey(text []byte) (*rsa.PublicKey, error) {
	label, der, err := armour(text)
	if err != nil {
		return nil, fmt.Errorf("WeChat Pay public key: %w", err)
	}
	const want = "download the public key at 商户平台 › 账户中心 › API安全 › 微信支付公钥"
	switch label {
	case "PUBLIC KEY", "RSA PUBLIC KEY", "":
	case "CERTIFICATE":
		return nil, errors.New("this is a certificate, not a public key: " + want)
	case "PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY":
		return nil, errors.New("this is a private key, not a public key: " + want)
	default:
		return nil, fmt.Errorf("this is PEM of type %q, not a public key: %s", phrase.Clip(label, 40), want)
	}
	var key any
	if key, err = x509.ParsePKIXPublicKey(der); err != nil {
		if key, err = x509.ParsePKCS1PublicKey(der); err != nil {
			return nil, errors.New("WeChat Pay public key: the file is cut off or was altered: " + want)
		}
	}
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("WeChat Pay public key: an RSA key is expected, this is %T", key)
	}
	return k, checkKeySize("WeChat Pay public key", k)
}

// ParseCertificate reads one X.509 certificate, of the merchant (apiclient_cert.pem) or of the platform, with the same
// repairs as ParsePrivateKey. It checks neither its dates nor its issuer.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	label, der, err := armour(text)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if label != "CERTIFICATE" && label != "" {
		return nil, fmt.Errorf("this is PEM of type %q, not a certificate", phrase.Clip(label, 40))
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return cert, nil
}

// CertificateSerial returns the serial number of cert as WeChat Pay writes it: upper-case hexadecimal, whole bytes.
func CertificateSerial(cert *x509.Certificate) string { return formatSerial(cert.SerialNumber) }

func formatSerial(n *big.Int) string {
	s := fmt.Sprintf("%X", n)
	if len(s)%2 == 1 {
		s = "0" + s
	}
	return s
}

// armour takes apart the PEM block in text, or bare Base64 (then label is empty), however its white space was treated.
func armour(text []byte) (label string, der []byte, err error) {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	if len(text) > 1<<16 {
		return "", nil, errors.New("the file is larger than any key")
	}
	if len(text) > 3 && text[0] == 0x30 && text[1] >= 0x80 {
		return "", nil, errors.New("this is a binary file (.p12 or DER): use the .pem file beside it")
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	s := strings.NewReplacer(`\r`, "", `\n`, "\n", `"`, "", `'`, "").Replace(string(text))
	body := s
	if _, rest, found := strings.Cut(s, begin); found {
		var closed bool
		if label, rest, closed = strings.Cut(rest, dashes); !closed {
			return "", nil, errors.New("the BEGIN line is cut off")
		}
		if body, _, closed = strings.Cut(rest, end+label+dashes); !closed {
			return "", nil, fmt.Errorf("the line -----END %s----- is missing", phrase.Clip(label, 40))
		}
		if strings.Contains(body, "Proc-Type:") {
			return "", nil, errors.New("the key is encrypted with a password: decrypt it first, openssl pkey -in FILE")
		}
	}
	compact := strings.Join(strings.Fields(body), "")
	if compact == "" {
		return "", nil, errors.New("it is empty")
	}
	der, err = base64.StdEncoding.DecodeString(compact)
	if err != nil {
		if label == "" {
			return "", nil, errors.New("this is not PEM: it has no line -----BEGIN …-----")
		}
		return "", nil, errors.New("the text between BEGIN and END is not Base64: the file is cut off or was altered")
	}
	return label, der, nil
}

func checkKeySize(what string, k *rsa.PublicKey) error {
	if bits := k.N.BitLen(); bits < minKeyBits {
		return fmt.Errorf("%s: it has %d bits, WeChat Pay uses %d", what, bits, minKeyBits)
	}
	return nil
}

// rsaPublicKey returns the public half of a signer, or nil where it is not RSA.
func rsaPublicKey(s crypto.Signer) *rsa.PublicKey {
	k, _ := s.Public().(*rsa.PublicKey)
	return k
}
