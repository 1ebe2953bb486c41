package wechatpay

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/url"
)

// FieldKey is the key under which the sensitive fields (敏感信息) of one request are encrypted. The typed methods that
// have such fields take them in plain text and encrypt them by themselves; FieldKey is for [Client.DoEncrypted].
type FieldKey struct {
	serial string
	key    *rsa.PublicKey
}

// FieldKey returns the key to encrypt with now: the configured public key, or that of the newest platform certificate.
// Its error matches ErrNotSent.
//
// Source: vendor manual, "敏感信息加解密".
func (c *Client) FieldKey(ctx context.Context) (FieldKey, error) {
	err := c.keys.ready(ctx)
	if err == nil {
		if k := c.keys.newest(); k != nil {
			return FieldKey{k.Serial, k.key}, nil
		}
		err = errors.New("every platform certificate at hand has expired")
	}
	return FieldKey{}, notSent(fmt.Errorf("there is no key to encrypt with: %w", err))
}

// Serial is that of the certificate, or the id of the public key. It goes into the header Wechatpay-Serial.
func (k FieldKey) Serial() string { return k.serial }

// Encrypt encrypts one field, of at most 214 bytes. Each call gives another result.
func (k FieldKey) Encrypt(plain string) (string, error) {
	if k.key == nil {
		return "", notSent(errors.New("there is no key to encrypt with: ask Client.FieldKey for one"))
	}
	sealed, err := EncryptField(k.key, plain)
	if err != nil {
		return "", notSent(err)
	}
	return sealed, nil
}

// encryptAll encrypts in place what is not empty. All fields of a request are encrypted under one key.
func (c *Client) encryptAll(ctx context.Context, fields ...*string) (FieldKey, error) {
	var key FieldKey
	for _, f := range fields {
		if *f == "" {
			continue
		}
		var err error
		if key.key == nil {
			if key, err = c.FieldKey(ctx); err != nil {
				return key, err
			}
		}
		if *f, err = key.Encrypt(*f); err != nil {
			return key, err
		}
	}
	return key, nil
}

// DoEncrypted is Do for a body with fields that were encrypted under key: it names the key to WeChat Pay.
func (c *Client) DoEncrypted(ctx context.Context, key FieldKey, method, path string, query url.Values, body []byte) (*Response, error) {
	return c.verified(ctx, call{method: method, path: path, query: query.Encode(), body: body, serial: key.serial})
}

// DecryptField decrypts a sensitive field of an answer, which WeChat Pay encrypted for the merchant API certificate. The
// PrivateKey of the Config must be able to decrypt, as *rsa.PrivateKey is.
func (c *Client) DecryptField(ciphertext string) (string, error) {
	key, ok := c.credentials.PrivateKey.(crypto.Decrypter)
	if !ok {
		return "", fmt.Errorf("decrypt a sensitive field: the private key, a %T, can only sign", c.credentials.PrivateKey)
	}
	return DecryptField(key, ciphertext)
}
