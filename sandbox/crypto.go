package sandbox

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// signTest begins a signature with which WeChat Pay probes whether a merchant verifies at all (签名探测).
const signTest = "WECHATPAY/SIGNTEST/"

// lines joins the lines of a text to sign: each is ended by one LF, the last too.
func lines(parts ...string) string { return strings.Join(parts, "\n") + "\n" }

// sign signs with RSASSA-PKCS1-v1_5 and SHA-256; the result is standard Base64.
func sign(key *rsa.PrivateKey, message string) (string, error) {
	digest := sha256.Sum256([]byte(message))
	b, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

// verified tells whether the signature is one of the key's owner over the message. A signature that isn't strict
// standard Base64 isn't.
func verified(key *rsa.PublicKey, message, signature string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(signature)
	if err != nil || strings.ContainsAny(signature, "\r\n") {
		return false
	}
	digest := sha256.Sum256([]byte(message))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], b) == nil
}

// seal encrypts with AEAD_AES_256_GCM as v3 does: the key's and nonce's characters as they stand, the tag at the end,
// all in standard Base64.
func seal(key, nonce, associated string, plain []byte) (string, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return "", err
	}
	if len(nonce) != gcm.NonceSize() {
		return "", fmt.Errorf("a nonce of AES-GCM has %d bytes, this one %d", gcm.NonceSize(), len(nonce))
	}
	return base64.StdEncoding.EncodeToString(gcm.Seal(nil, []byte(nonce), plain, []byte(associated))), nil
}

// open undoes seal.
func open(key, nonce, associated, sealed string) ([]byte, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, fmt.Errorf("decode the ciphertext: %w", err)
	}
	if len(nonce) != gcm.NonceSize() {
		return nil, errors.New("the nonce has the wrong length") // GCM would panic
	}
	return gcm.Open(nil, []byte(nonce), b, []byte(associated))
}

func newGCM(key string) (cipher.AEAD, error) {
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// mangled makes a wrong signature of a right one: of the same length and alphabet, or, as a probe, with the probe's
// beginning and no valid Base64 as a whole.
func mangled(signature string, probe bool) string {
	if probe && len(signature) > len(signTest)+3 {
		return signTest + signature[len(signTest):len(signature)-3]
	}
	b, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || len(b) == 0 {
		return "AAAA"
	}
	for i := range b {
		b[i] ^= 0x55
	}
	return base64.StdEncoding.EncodeToString(b)
}
