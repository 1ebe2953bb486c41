package libcrypto

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
)

func newKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Whoever signs, the bytes are the same, from many goroutines at once.
func TestSignsAsGoDoes(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{2048, 3072} {
		key := newKey(t, bits)
		signer, name := Signer(key)
		t.Logf("%d bits: %s signs", bits, name)
		if !key.PublicKey.Equal(signer.Public()) {
			t.Error("it has another public key")
		}
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for i := range 10 {
					digest := sha256.Sum256([]byte{byte(g), byte(i)})
					want, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
					if err != nil {
						t.Error(err)
					}
					got, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s signs %x, %v, Go signs %x", name, got, err, want)
					}
				}
			})
		}
		all.Wait()
	}
}

// What isn't signed with PKCS #1 v1.5 over SHA-256 is Go's to do, and so is the refusal of what makes no sense.
func TestTheRestIsGo(t *testing.T) {
	t.Parallel()
	key := newKey(t, 2048)
	signer, _ := Signer(key)
	digest := sha256.Sum256([]byte("x"))
	pss := &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: rsa.PSSSaltLengthEqualsHash}
	signature, err := signer.Sign(rand.Reader, digest[:], pss)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, digest[:], signature, pss); err != nil {
		t.Errorf("PSS: %v", err)
	}
	long := bytes.Repeat([]byte{1}, crypto.SHA512.Size())
	if signature, err = signer.Sign(rand.Reader, long, crypto.SHA512); err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA512, long, signature); err != nil {
		t.Errorf("SHA-512: %v", err)
	}
	if _, err := signer.Sign(rand.Reader, digest[:31], crypto.SHA256); err == nil {
		t.Error("it signs a digest that is cut off")
	}
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := signer.(crypto.Decrypter).Decrypt(rand.Reader, sealed, &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err != nil || string(plain) != "secret" {
		t.Errorf("decrypted %q, %v", plain, err)
	}
}

// A signer that signs otherwise than Go must not be used.
func TestCompare(t *testing.T) {
	t.Parallel()
	key := newKey(t, 2048)
	if err := compare(key, key); err != nil {
		t.Error(err)
	}
	if err := compare(newKey(t, 2048), key); err == nil || !strings.Contains(err.Error(), "otherwise") {
		t.Errorf("another key: %v", err)
	}
	if err := compare(broken{key}, key); !errors.Is(err, errBroken) {
		t.Errorf("a broken one: %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{ *rsa.PrivateKey }

func (broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errBroken }

func BenchmarkSign(b *testing.B) {
	key := newKey(b, 2048)
	digest := sha256.Sum256([]byte("x"))
	fast, name := Signer(key)
	for _, s := range []struct {
		name   string
		signer crypto.Signer
	}{{"Go", key}, {"Signer is " + name, fast}} {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
