//go:build libcrypto && linux && (amd64 || arm64)

package libcrypto

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"runtime"
	"strings"
	"testing"
)

// With the tag and the library there, it is OpenSSL that signs: otherwise the other tests would compare Go with itself.
func TestOpenSSLSigns(t *testing.T) {
	t.Parallel()
	if _, err := load(); err != nil {
		t.Fatalf("there is no OpenSSL 3 on this machine, so nothing is tested: install libssl3 (%v)", err)
	}
	key := newKey(t, 2048)
	got, name := Signer(key)
	s, ok := got.(*signer)
	if !ok || !strings.HasPrefix(name, "OpenSSL 3.") {
		t.Fatalf("%s signs, by a %T", name, got)
	}
	digest := sha256.Sum256([]byte("x"))
	signature := s.fast(digest[:])
	if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
		t.Errorf("OpenSSL signs %x: %v", signature, err)
	}
}

// Where OpenSSL fails, Go signs.
func TestGoSignsInstead(t *testing.T) {
	t.Parallel()
	f, err := load()
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, 2048)
	digest := sha256.Sum256([]byte("x"))
	s := &signer{f, 0, key} // a key that OpenSSL does not have
	if s.fast(digest[:]) != nil {
		t.Error("OpenSSL signs without a key")
	}
	signature, err := s.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
		t.Error(err)
	}
}

// Keys come and go; those that went are freed, and those that stay sign on.
func TestKeysAreFreed(t *testing.T) {
	t.Parallel()
	key := newKey(t, 2048)
	stays, _ := Signer(key)
	digest := sha256.Sum256([]byte("x"))
	want, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if _, _, err := open(key); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
	}
	got, err := stays.Sign(nil, digest[:], crypto.SHA256)
	if err != nil || string(got) != string(want) {
		t.Errorf("after others were freed it signs %x, %v, want %x", got, err, want)
	}
}
