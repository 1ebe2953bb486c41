package wechatpay_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

// unsealed decrypts fields of a request that was sent, as WeChat Pay does.
func unsealed(t *testing.T, with signer, sent string, fields ...string) (plain []string) {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(sent[strings.Index(sent, "{"):]), &v); err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		text, _ := v[f].(string)
		plain = append(plain, unseal(t, with, text))
	}
	return plain
}

func unseal(t *testing.T, with signer, text string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, with.key, b, nil)
	if err != nil {
		t.Fatalf("a field is not encrypted under %s: %v", with.serial, err)
	}
	return string(plain)
}

func TestFieldKeyIsTheNewest(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	f.listed = []signer{signerB(), signerA()}
	s := play(f, map[string]string{"POST /v3/applyment4sub/applyment/": `{"applyment_id":1}`})
	client := newClient(t, f, config())
	key, err := client.FieldKey(t.Context())
	if err != nil || key.Serial() != serialB { // B began later, whatever the order of the list
		t.Fatalf("%s, %v", key.Serial(), err)
	}
	one, err := key.Encrypt("张三")
	if err != nil {
		t.Fatal(err)
	}
	two, err := key.Encrypt("张三")
	if err != nil || one == two || unseal(t, signerB(), one) != "张三" || unseal(t, signerB(), two) != "张三" {
		t.Errorf("%q, %q, %v", one, two, err)
	}
	if _, err := client.DoEncrypted(t.Context(), key, "POST", "/v3/applyment4sub/applyment/", nil, []byte(`{"name":"`+one+`"}`)); err != nil || s.serials[0] != serialB {
		t.Errorf("%q, %v", s.serials, err)
	}
	if _, err := key.Encrypt(strings.Repeat("x", 215)); !errors.Is(err, wechatpay.ErrNotSent) {
		t.Errorf("215 bytes: %v", err)
	}
	if _, err := (wechatpay.FieldKey{}).Encrypt("x"); !errors.Is(err, wechatpay.ErrNotSent) {
		t.Errorf("without a key: %v", err)
	}

	broken := startFake(t, c)
	broken.listed = nil
	play(broken, map[string]string{"GET /v3/certificates": "404 RESOURCE_NOT_EXISTS"})
	if _, err := newClient(t, broken, config()).FieldKey(t.Context()); !errors.Is(err, wechatpay.ErrNotSent) || errors.Is(err, wechatpay.ErrUncertain) {
		t.Errorf("without certificates: %v", err)
	}
}

// signOnly is a key that can't decrypt.
type signOnly struct{ crypto.Signer }

func (s signOnly) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.Signer.Sign(r, digest, opts)
}

func TestDecryptField(t *testing.T) {
	t.Parallel()
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &merchantKey().PublicKey, []byte("13800000000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(sealed)
	client := listening(t, newClock())
	if got, err := client.DecryptField(text); err != nil || got != "13800000000" {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", "x", text[4:], text + "\n"} {
		if got, err := client.DecryptField(bad); err == nil {
			t.Errorf("DecryptField(%q) = %q", bad, got)
		}
	}
	c := config()
	c.PrivateKey = signOnly{merchantKey()}
	other, err := wechatpay.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := other.DecryptField(text); err == nil {
		t.Errorf("a key that can only sign: %q", got)
	}
}
