package sandbox

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The published examples hold the sandbox to the protocol, not to this module's SDK, which reads the same files.

func vectors[T any](t *testing.T, name string) T {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func privateKey(t *testing.T, text string) *rsa.PrivateKey {
	t.Helper()
	key, _, err := keyOf(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestPublishedSignatures(t *testing.T) {
	t.Parallel()
	v := vectors[struct {
		Timestamp  int64
		Nonce      string
		PrivateKey string `json:"private_key"`
		Requests   []struct{ Name, Method, Target, Body, Signature string }
		Client     []struct {
			Name, Signature string
			AppID           string `json:"app_id"`
			LastLine        string `json:"last_line"`
		}
	}](t, "v3-sign.json")
	key := privateKey(t, v.PrivateKey)
	check := func(name, message, signature string) {
		if !verified(&key.PublicKey, message, signature) {
			t.Errorf("%s doesn't verify", name)
		}
		if verified(&key.PublicKey, message+"\n", signature) {
			t.Errorf("%s verifies with a line more", name)
		}
		if got, err := sign(key, message); err != nil || got != signature {
			t.Errorf("%s: signed %q, %v", name, got, err)
		}
	}
	at := fmt.Sprint(v.Timestamp)
	for _, r := range v.Requests {
		check(r.Name, lines(r.Method, r.Target, at, v.Nonce, r.Body), r.Signature)
	}
	for _, c := range v.Client {
		check(c.Name, lines(c.AppID, at, v.Nonce, c.LastLine), c.Signature)
	}
	if len(v.Requests) < 5 || len(v.Client) < 2 {
		t.Errorf("%d requests and %d client signatures: some are missing", len(v.Requests), len(v.Client))
	}
}

func TestPublishedAnswers(t *testing.T) {
	t.Parallel()
	v := vectors[struct {
		Vectors []struct {
			Name, Timestamp, Nonce, Body, Signature, Certificate string
			PublicKey                                            string `json:"public_key"`
			WrongBody                                            string `json:"wrong_body"`
		}
	}](t, "v3-verify.json").Vectors
	for _, r := range v {
		var key any
		var err error
		if r.Certificate != "" {
			cert, e := certificateOf(r.Certificate)
			if e != nil {
				t.Fatal(e)
			}
			key = cert.PublicKey
		} else {
			block, _ := pem.Decode([]byte(r.PublicKey))
			if key, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
				t.Fatal(err)
			}
		}
		if !verified(key.(*rsa.PublicKey), lines(r.Timestamp, r.Nonce, r.Body), r.Signature) {
			t.Errorf("%s doesn't verify", r.Name)
		}
		if r.WrongBody != "" && verified(key.(*rsa.PublicKey), lines(r.Timestamp, r.Nonce, r.WrongBody), r.Signature) {
			t.Errorf("%s verifies with another body", r.Name)
		}
	}
	if len(v) < 2 {
		t.Errorf("%d answers: some are missing", len(v))
	}
}

func TestPublishedCiphertexts(t *testing.T) {
	t.Parallel()
	type sealed struct {
		Name, Key, Nonce, Plaintext, Ciphertext string
		AssociatedData                          string `json:"associated_data"`
	}
	v := vectors[struct{ Vectors []sealed }](t, "v3-aes-gcm.json").Vectors
	for _, a := range v {
		got, err := seal(a.Key, a.Nonce, a.AssociatedData, []byte(a.Plaintext))
		if err != nil || got != a.Ciphertext {
			t.Errorf("%s: sealed %.20s…, %v", a.Name, got, err)
		}
		plain, err := open(a.Key, a.Nonce, a.AssociatedData, a.Ciphertext)
		if err != nil || string(plain) != a.Plaintext {
			t.Errorf("%s: opened %.20s…, %v", a.Name, plain, err)
		}
		if _, err := open(a.Key, a.Nonce, a.AssociatedData+"x", a.Ciphertext); err == nil {
			t.Errorf("%s opens with other associated data", a.Name)
		}
		for n := range 14 {
			if n == 12 {
				continue
			}
			if _, err := open(a.Key, "0123456789abcd"[:n], a.AssociatedData, a.Ciphertext); err == nil {
				t.Errorf("%s opens with a nonce of %d bytes", a.Name, n)
			}
			if _, err := seal(a.Key, "0123456789abcd"[:n], a.AssociatedData, nil); err == nil {
				t.Errorf("seals with a nonce of %d bytes", n)
			}
		}
	}
	if len(v) < 3 {
		t.Errorf("%d ciphertexts: some are missing", len(v))
	}
}

// The request that the manual prints, header and all, is let in by a merchant with the manual's key and number, at the
// time at which it was signed.
func TestPublishedRequestIsLetIn(t *testing.T) {
	t.Parallel()
	v := vectors[struct {
		MerchantID        string `json:"merchant_id"`
		CertificateSerial string `json:"certificate_serial"`
		Timestamp         int64
		Nonce             string
		PrivateKey        string `json:"private_key"`
		Requests          []struct{ Name, Method, Target, Body, Signature string }
	}](t, "v3-sign.json")
	m := oneMerchant()
	m.ID, m.CertificateSerial, m.PrivateKey, m.Certificate = v.MerchantID, v.CertificateSerial, v.PrivateKey, ""
	m.Apps = []App{{ID: "wxd678efh567hg6787"}}
	w := newWorld(t, Options{Merchants: []Merchant{m}, Clock: func() time.Time { return time.Unix(v.Timestamp+17, 0) }})
	q := w.request("POST", v.Requests[0].Target, v.Requests[0].Body)
	q.authorization = func(string) string {
		return fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="%s",nonce_str="%s",signature="%s",timestamp="%d",serial_no="%s"`,
			v.MerchantID, v.Nonce, v.Requests[0].Signature, v.Timestamp, v.CertificateSerial)
	}
	// It gets as far as the buyer, whom this sandbox has never seen.
	if r := q.send(w); r.status != 400 || r.message() != "无效的openid" {
		t.Errorf("answers %d %s", r.status, r.body)
	}
}
