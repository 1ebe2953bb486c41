package miniprogram

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"
)

// ErrBadData is matched by the error for encrypted data that can't be believed: another session key, another app, too old,
// or tampered with. It does not say which: whoever sends the data is not told more. The usual reason is a session key that
// a newer wx.login has replaced: the phone must send its code first and then ask for the data.
var ErrBadData = errors.New("the encrypted data can't be decrypted, or is not of this app and recent")

// EncryptedData is what the phone hands over as encryptedData and iv.
type EncryptedData struct {
	Data string // Base64, as the phone sent it
	IV   string // Base64 of 16 bytes

	// MaxAge is how old the data may be by its watermark. The default is 10 minutes.
	MaxAge time.Duration
}

// OpenData is decrypted data.
type OpenData struct {
	JSON []byte    // a JSON object, such as {"openId":"…","watermark":{…}}
	At   time.Time // when WeChat made it, UTC
}

// maxOpenData is the longest Base64 text of data that is decrypted. WeChat's has a few hundred bytes.
const maxOpenData = 1 << 20

// futureData is how far WeChat's clock may be ahead of this machine's.
const futureData = 5 * time.Minute

// DecryptData decrypts what the phone was given about its user, and checks that it was made for this app and lately. It
// asks nobody. The error matches [ErrBadData].
//
// Source: WeChat's manual for mini programs, "开放数据校验与解密": AES-128-CBC, PKCS#7, watermark.
func (c *Client) DecryptData(key SessionKey, d EncryptedData) (OpenData, error) {
	maxAge := d.MaxAge
	if maxAge <= 0 {
		maxAge = 10 * time.Minute
	}
	if len(d.Data) > maxOpenData {
		return OpenData{}, ErrBadData
	}
	rawKey, err1 := base64.StdEncoding.DecodeString(string(key))
	iv, err2 := base64.StdEncoding.DecodeString(d.IV)
	data, err3 := base64.StdEncoding.DecodeString(d.Data)
	if errors.Join(err1, err2, err3) != nil || len(rawKey) != 16 {
		return OpenData{}, ErrBadData
	}
	plain, ok := decryptCBC(rawKey, iv, data, aes.BlockSize)
	if !ok {
		return OpenData{}, ErrBadData
	}
	var v struct {
		Watermark watermark `json:"watermark"`
	}
	if json.Unmarshal(plain, &v) != nil || v.Watermark.AppID != c.appID {
		return OpenData{}, ErrBadData
	}
	at, err := v.Watermark.at()
	if age := c.now().Sub(at); err != nil || age > maxAge || age < -futureData {
		return OpenData{}, ErrBadData
	}
	return OpenData{JSON: plain, At: at}, nil
}

// decryptCBC decrypts data and takes the padding off, which has 1 to block bytes (PKCS#7). All of the padding is looked at,
// in the same time whatever it is.
func decryptCBC(key, iv, data []byte, block int) ([]byte, bool) {
	c, err := aes.NewCipher(key)
	if err != nil || len(iv) != aes.BlockSize || len(data) == 0 || len(data)%block != 0 { // CryptBlocks would panic
		return nil, false
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(c, iv).CryptBlocks(plain, data)
	n := int(plain[len(plain)-1])
	good := subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, block)
	for i := 1; i <= block; i++ { // there are that many bytes: the length is a multiple of block
		inside := subtle.ConstantTimeLessOrEq(i, n)
		right := subtle.ConstantTimeByteEq(plain[len(plain)-i], byte(n))
		good &= subtle.ConstantTimeSelect(inside, right, 1)
	}
	if good != 1 {
		return nil, false
	}
	return plain[:len(plain)-n], true
}

// CheckSignature reports whether WeChat signed rawData under the session key: signature is what the phone got beside it, 40
// hexadecimal digits in lower case. The comparison takes the same time whatever signature is.
//
// Source: WeChat's manual for mini programs, "开放数据校验与解密": sha1(rawData + session_key).
func CheckSignature(rawData string, key SessionKey, signature string) bool {
	if key == "" {
		return false // anybody can sign with no key
	}
	sum := sha1.Sum([]byte(rawData + string(key)))
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(signature)) == 1
}
