package wechatpay

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
)

// gcmNonceSize is the only nonce length of AEAD_AES_256_GCM.
const gcmNonceSize = 12

// newGCM takes a key of 16 or 32 bytes. WeChat Pay's keys have 32, which APIv3Key enforces; the examples that its SDKs
// publish also have 16.
func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// openGCM decrypts AES-GCM.
func openGCM(key cipher.AEAD, nonce, associatedData, ciphertext string) ([]byte, error) {
	// The nonce comes from outside, and GCM panics on any other length.
	if len(nonce) != gcmNonceSize {
		return nil, fmt.Errorf("the nonce has %d bytes, not %d", len(nonce), gcmNonceSize)
	}
	sealed, err := decodeBase64(ciphertext)
	if err != nil {
		return nil, fmt.Errorf("the ciphertext is not Base64")
	}
	plain, err := key.Open(sealed[:0], []byte(nonce), sealed, []byte(associatedData))
	if err != nil {
		return nil, errors.New("it was not encrypted with this APIv3 key: check that the configured key is the one set " +
			"at 商户平台 › 账户中心 › API安全")
	}
	return plain, nil
}

// decodeBase64 is strict: one text for each value, so that no altered text passes for the one that was signed.
func decodeBase64(s string) ([]byte, error) {
	for i := range len(s) {
		if s[i] == '\r' || s[i] == '\n' { // encoding/base64 skips them
			return nil, base64.CorruptInputError(i)
		}
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

// EncryptField encrypts a sensitive field (敏感信息) of a request, such as a name, for the holder of key: the WeChat Pay
// public key or the key of a platform certificate. The request must name that key in the header Wechatpay-Serial. The
// result is Base64; each call gives another one. With a key of 2048 bits, plain has at most 214 bytes.
//
// The padding is OAEP with SHA-1, as in all of WeChat Pay's SDKs.
func EncryptField(key *rsa.PublicKey, plain string) (string, error) {
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, []byte(plain), nil)
	if err != nil {
		return "", fmt.Errorf("encrypt a sensitive field of %d bytes: %w", len(plain), err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// DecryptField decrypts a sensitive field of an answer. key is the merchant's private key; it must be a
// crypto.Decrypter, as *rsa.PrivateKey is.
func DecryptField(key crypto.Decrypter, ciphertext string) (string, error) {
	sealed, err := decodeBase64(ciphertext)
	if err != nil {
		return "", errors.New("decrypt a sensitive field: it is not Base64")
	}
	plain, err := key.Decrypt(rand.Reader, sealed, &rsa.OAEPOptions{Hash: crypto.SHA1})
	if err != nil {
		return "", errors.New("decrypt a sensitive field: it was not encrypted for this merchant certificate")
	}
	return string(plain), nil
}
