//go:build !libcrypto || !linux || !(amd64 || arm64)

package libcrypto

import (
	"crypto"
	"crypto/rsa"
	"errors"
)

// open finds nothing: this was built without it.
func open(*rsa.PrivateKey) (crypto.Signer, string, error) {
	return nil, "", errors.New("built without libcrypto")
}
