package apiv2

import (
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// openRefund decrypts and reads the req_info of a refund notification.
//
// Source: v2 manual, "退款结果通知" (chapter 9_16), "解密方式".
func (k Key) openRefund(reqInfo string) (Fields, error) {
	plain, err := openECB(refundKey(string(k.b[:])), reqInfo)
	if err != nil {
		return nil, err
	}
	return decode(plain, "root")
}

// refundKey returns the AES key that an API key stands for: the 32 characters of its MD5 in lower-case hexadecimal.
func refundKey(apiKey string) []byte {
	sum := md5.Sum([]byte(apiKey))
	return hex.AppendEncode(nil, sum[:])
}

var errNotEncrypted = errors.New("it was not encrypted with this key")

// openECB decrypts Base64 of AES-256-ECB with PKCS#7 padding, of which each byte is checked. Every failure is the same
// error. ECB keeps nothing whole: blocks can be exchanged between messages.
func openECB(key []byte, ciphertext string) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if len(key) != 32 {
		return nil, errors.New("the key of AES-256 has 32 bytes")
	}
	// DecodeString passes over line breaks, which then have no part in what was decrypted.
	data, err := base64.StdEncoding.Strict().DecodeString(ciphertext)
	if err != nil || strings.ContainsAny(ciphertext, "\r\n") || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, errNotEncrypted
	}
	for b := data; len(b) > 0; b = b[aes.BlockSize:] {
		block.Decrypt(b[:aes.BlockSize], b[:aes.BlockSize])
	}
	n := int(data[len(data)-1])
	if n == 0 || n > aes.BlockSize {
		return nil, errNotEncrypted
	}
	for _, b := range data[len(data)-n:] {
		if int(b) != n {
			return nil, errNotEncrypted
		}
	}
	return data[:len(data)-n], nil
}
