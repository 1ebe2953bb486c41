// Package libcrypto signs with the system's OpenSSL, which takes a third of the time that Go does. An order of API v3
// needs two RSA signatures and little else, so this is what its throughput hangs on.
//
// It is a seam: the SDK signs through crypto.Signer and knows nothing of it, and who builds without the tag libcrypto
// gets none of it, as it makes a static binary a dynamic one.
//
//	go build -tags libcrypto ./cmd/fenhao
//
// With the tag, on Linux (amd64, arm64), [Signer] finds OpenSSL 3 at run time. Where it isn't there, or signs otherwise
// than Go, Go signs. There is no C at build time, and no setting at run time. RSASSA-PKCS1-v1_5 leaves nothing to chance:
// both make the same bytes, so nothing but a clock can tell who signed.
package libcrypto

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
)

// Signer returns a signer for key, the fastest there is: key itself, or OpenSSL with a copy of it. The second value
// names it for a log, such as "OpenSSL 3.0.19 27 Jan 2026" or "Go". What it does not sign by OpenSSL, key signs:
// everything but PKCS #1 v1.5 over SHA-256. It is safe for concurrent use.
func Signer(key *rsa.PrivateKey) (crypto.Signer, string) {
	fast, name, err := open(key)
	if err == nil {
		err = compare(fast, key)
	}
	if err != nil {
		return key, "Go"
	}
	return fast, name
}

// compare tells whether two signers sign alike.
func compare(a, b crypto.Signer) error {
	for _, message := range []string{"", "self-test"} {
		digest := sha256.Sum256([]byte(message))
		x, err := a.Sign(nil, digest[:], crypto.SHA256)
		if err != nil {
			return err
		}
		y, err := b.Sign(nil, digest[:], crypto.SHA256)
		if err != nil {
			return err
		}
		if !bytes.Equal(x, y) {
			return errors.New("it signs otherwise than Go")
		}
	}
	return nil
}
