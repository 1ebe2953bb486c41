package wechatpay_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

func pemOf(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func pkcs8() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(merchantKey())
	if err != nil {
		panic(err)
	}
	return der
}

func spki() []byte {
	der, err := x509.MarshalPKIXPublicKey(&merchantKey().PublicKey)
	if err != nil {
		panic(err)
	}
	return der
}

// What environment variables, editors and copying do to a PEM file, and that it reads the same.
func mangled(good string) map[string]string {
	return map[string]string{
		"as it is":           good,
		"no last line break": strings.TrimSpace(good),
		"CRLF":               strings.ReplaceAll(good, "\n", "\r\n"),
		"literal \\n":        strings.ReplaceAll(good, "\n", `\n`),
		"literal \\r\\n":     strings.ReplaceAll(good, "\n", `\r\n`),
		"quoted":             `"` + strings.ReplaceAll(good, "\n", `\n`) + `"`,
		"blanks for breaks":  strings.ReplaceAll(good, "\n", " "),
		"one line":           strings.ReplaceAll(good, "\n", ""),
		"BOM":                "\xef\xbb\xbf" + good,
		"indented":           "    " + strings.ReplaceAll(good, "\n", "\n    "),
		"trailing blanks":    strings.ReplaceAll(good, "\n", "  \n") + "\n\n ",
		"text before":        "Bag Attributes\n    localKeyID: 01\n" + good,
	}
}

func TestParsePrivateKeyRepairs(t *testing.T) {
	t.Parallel()
	pkcs1 := x509.MarshalPKCS1PrivateKey(merchantKey())
	cases := map[string]string{"bare Base64": base64.StdEncoding.EncodeToString(pkcs8()), "bare Base64 of PKCS#1": base64.StdEncoding.EncodeToString(pkcs1)}
	for name, text := range mangled(pemOf("PRIVATE KEY", pkcs8())) {
		cases["PKCS#8, "+name] = text
	}
	for name, text := range mangled(pemOf("RSA PRIVATE KEY", pkcs1)) {
		cases["PKCS#1, "+name] = text
	}
	for name, text := range cases {
		if k, err := wechatpay.ParsePrivateKey([]byte(text)); err != nil || !k.Equal(merchantKey()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParsePublicKeyRepairs(t *testing.T) {
	t.Parallel()
	cases := map[string]string{"PKCS#1": pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&merchantKey().PublicKey)), "bare Base64": base64.StdEncoding.EncodeToString(spki())}
	for name, text := range mangled(pemOf("PUBLIC KEY", spki())) {
		cases[name] = text
	}
	for name, text := range cases {
		if k, err := wechatpay.ParsePublicKey([]byte(text)); err != nil || !k.Equal(&merchantKey().PublicKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range mangled(certificatePEM(signerA().cert)) {
		if c, err := wechatpay.ParseCertificate([]byte(text)); err != nil || wechatpay.CertificateSerial(c) != serialA {
			t.Errorf("certificate, %s: %v", name, err)
		}
	}
}

func TestKeyFilesOfAnotherKindAreNamed(t *testing.T) {
	t.Parallel()
	private, public, cert := pemOf("PRIVATE KEY", pkcs8()), pemOf("PUBLIC KEY", spki()), certificatePEM(signerA().cert)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	ecPublic, err := x509.MarshalPKIXPublicKey(curve.Public())
	if err != nil {
		t.Fatal(err)
	}
	parsePrivate := func(s string) error { _, err := wechatpay.ParsePrivateKey([]byte(s)); return err }
	parsePublic := func(s string) error { _, err := wechatpay.ParsePublicKey([]byte(s)); return err }
	parseCertificate := func(s string) error { _, err := wechatpay.ParseCertificate([]byte(s)); return err }
	for _, c := range []struct {
		name  string
		parse func(string) error
		text  string
		want  string
	}{
		{"certificate as key", parsePrivate, cert, "this is a certificate, not a private key"},
		{"certificate without BEGIN as key", parsePrivate, base64.StdEncoding.EncodeToString(signerA().cert.Raw), "this is a certificate, not a private key"},
		{"public key as key", parsePrivate, public, "this is a public key, not a private key"},
		{"encrypted key", parsePrivate, pemOf("ENCRYPTED PRIVATE KEY", []byte("x")), "encrypted with a password"},
		{"old encrypted key", parsePrivate, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----", "encrypted with a password"},
		{"EC key", parsePrivate, pemOf("EC PRIVATE KEY", []byte("x")), "elliptic curve"},
		{"EC key in PKCS#8", parsePrivate, pemOf("PRIVATE KEY", ec), "WeChat Pay uses RSA"},
		{"other PEM", parsePrivate, pemOf("TESTING KEY", pkcs8()), `"TESTING KEY"`},
		{"p12", parsePrivate, "\x30\x82\x0a\x00rest", ".p12"},
		{"empty", parsePrivate, " \n", "empty"},
		{"empty body", parsePrivate, "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "empty"},
		{"a path", parsePrivate, "./apiclient_key.pem", "not PEM"},
		{"cut", parsePrivate, private[:len(private)/2], "END"},
		{"cut in BEGIN", parsePrivate, "-----BEGIN PRIV", "BEGIN line is cut off"},
		{"cut inside", parsePrivate, private[:100] + "\n-----END PRIVATE KEY-----", "cut off or was altered"},
		{"not Base64", parsePrivate, "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----", "not Base64"},
		{"huge", parsePrivate, strings.Repeat("A", 1<<17), "larger than any key"},
		{"private key as public key", parsePublic, private, "this is a private key, not a public key"},
		{"certificate as public key", parsePublic, cert, "this is a certificate, not a public key"},
		{"EC public key", parsePublic, pemOf("PUBLIC KEY", ecPublic), "RSA key is expected"},
		{"broken public key", parsePublic, pemOf("PUBLIC KEY", []byte("x")), "cut off or was altered"},
		{"key as certificate", parseCertificate, private, "not a certificate"},
	} {
		err := c.parse(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		} else if strings.Contains(err.Error(), "MII") {
			t.Errorf("%s: the error quotes the file: %v", c.name, err)
		}
	}
}

func TestShortKeysAreRefused(t *testing.T) {
	t.Parallel()
	short := merchantKey().PublicKey
	short.N = new(big.Int).Rsh(short.N, 1024)
	short.N.SetBit(short.N, 0, 1)
	der, err := x509.MarshalPKIXPublicKey(&short)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wechatpay.ParsePublicKey([]byte(pemOf("PUBLIC KEY", der))); err == nil || !strings.Contains(err.Error(), "1024 bits") {
		t.Errorf("a key of 1024 bits: %v", err)
	}
	c := config()
	c.PublicKeyID, c.PublicKey = publicKeyID, &short
	if _, err := wechatpay.NewClient(c); err == nil || !strings.Contains(err.Error(), "1024 bits") {
		t.Errorf("a client with a key of 1024 bits: %v", err)
	}
}

func TestNewAPIv3Key(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "testAPIv3Key0000", strings.Repeat("k", 31), strings.Repeat("k", 33), strings.Repeat("k", 32) + "\n", " " + strings.Repeat("k", 32),
		strings.Repeat("k", 31) + " ", strings.Repeat("密", 11)[:32], strings.Repeat("k", 31) + "\x00"} {
		if k, err := wechatpay.NewAPIv3Key(s); err == nil || !k.IsZero() {
			t.Errorf("NewAPIv3Key of %d bytes: %v", len(s), err)
		} else if s != "" && strings.Contains(err.Error(), s) {
			t.Errorf("the error quotes the key: %v", err)
		}
	}
	if k, err := wechatpay.NewAPIv3Key(apiv3Text); err != nil || k.IsZero() {
		t.Error(err)
	}
	if _, err := (wechatpay.APIv3Key{}).Decrypt("Kj7QIyUiYx1q", "", "AAAA"); err == nil {
		t.Error("the zero key decrypts")
	}
}

// Ciphertexts that are too short, not Base64 or altered are errors, and never text.
func TestDecryptRefuses(t *testing.T) {
	t.Parallel()
	key, err := wechatpay.NewAPIv3Key(apiv3Text)
	if err != nil {
		t.Fatal(err)
	}
	good := seal(apiv3Text, "Kj7QIyUiYx1q", "transaction", "text")
	raw, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		altered := append([]byte(nil), raw...)
		altered[i] ^= 1
		if got, err := key.Decrypt("Kj7QIyUiYx1q", "transaction", base64.StdEncoding.EncodeToString(altered)); err == nil || got != nil {
			t.Errorf("byte %d altered: %q", i, got)
		}
	}
	for name, c := range map[string][3]string{
		"empty":         {"Kj7QIyUiYx1q", "transaction", ""},
		"tag cut":       {"Kj7QIyUiYx1q", "transaction", base64.StdEncoding.EncodeToString(raw[:15])},
		"tag alone":     {"Kj7QIyUiYx1q", "transaction", base64.StdEncoding.EncodeToString(raw[4:])},
		"not Base64":    {"Kj7QIyUiYx1q", "transaction", "***"},
		"line break":    {"Kj7QIyUiYx1q", "transaction", good + "\n"},
		"URL alphabet":  {"Kj7QIyUiYx1q", "transaction", "-_-_"},
		"other context": {"Kj7QIyUiYx1q", "", good},
		"huge context":  {"Kj7QIyUiYx1q", strings.Repeat("x", 1<<20), good},
	} {
		if got, err := key.Decrypt(c[0], c[1], c[2]); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}
