package diagnose

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// Resource is something that WeChat Pay encrypted with the APIv3 key.
type Resource struct {
	Serial         string `json:"-"` // of the platform certificate that it is; else ""
	Algorithm      string `json:"algorithm"`
	Nonce          string `json:"nonce"`
	AssociatedData string `json:"associated_data"`
	Ciphertext     string `json:"ciphertext"`
}

// ParseResources finds the encrypted parts of a notification, of a resource alone or of the answer of GET
// /v3/certificates; also behind HTTP headers.
func ParseResources(data []byte) ([]Resource, error) {
	if _, body, err := ParseHead(data); err == nil && len(body) > 0 {
		data = body
	}
	data = bytes.TrimPrefix(bytes.TrimSpace(data), []byte(bom))
	var v struct {
		Resource
		Inner *Resource `json:"resource"`
		Data  []struct {
			Serial      string   `json:"serial_no"`
			Certificate Resource `json:"encrypt_certificate"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, phrase.Say("输入不是 JSON（%v）", "the input is not JSON (%v)", err)
	}
	var all []Resource
	switch {
	case v.Inner != nil:
		all = []Resource{*v.Inner}
	case v.Ciphertext != "":
		all = []Resource{v.Resource}
	}
	for _, d := range v.Data {
		d.Certificate.Serial = d.Serial
		all = append(all, d.Certificate)
	}
	if len(all) == 0 {
		return nil, phrase.Say("没有找到密文：需要通知的 JSON（含 resource），或 GET /v3/certificates 的应答",
			"there is nothing encrypted: give the JSON of a notification (with resource) or the answer of GET /v3/certificates")
	}
	return all, nil
}

// gcmNonce is the only length of nonces of AEAD_AES_256_GCM.
const gcmNonce = 12

// OpenResource decrypts r with the APIv3 key. Its error says which of key, nonce, Base64 and text is wrong.
func OpenResource(r Resource, key Secret) ([]byte, error) {
	if r.Algorithm != "" && r.Algorithm != "AEAD_AES_256_GCM" {
		return nil, phrase.Say("算法是 %q，只支持 AEAD_AES_256_GCM",
			"the algorithm is %q, only AEAD_AES_256_GCM is supported", shorten(r.Algorithm))
	}
	secret := key.Reveal()
	k, err := wechatpay.NewAPIv3Key(secret)
	switch {
	case len(secret) != 32:
		return nil, phrase.Say("APIv3 密钥有 %d 个字符，应为 32 个：到 商户平台 › 账户中心 › API 安全 核对",
			"the APIv3 key has %d characters, it ought to have 32: see 商户平台 › 账户中心 › API 安全", len(secret))
	case err != nil:
		return nil, phrase.Say("APIv3 密钥含有空白、控制字符或非 ASCII 字符", err.Error())
	case len(r.Nonce) != gcmNonce:
		return nil, phrase.Say("nonce 有 %d 个字符，应为 %d 个：它被截断或改动了",
			"the nonce has %d characters, it ought to have %d: it was cut off or changed", len(r.Nonce), gcmNonce)
	}
	sealed, err := decodeBase64(r.Ciphertext)
	if err != nil {
		return nil, notBase64(r.Ciphertext, func(mended string) bool {
			_, err := k.Decrypt(r.Nonce, r.AssociatedData, mended)
			return err == nil
		})
	}
	plain, err := k.Decrypt(r.Nonce, r.AssociatedData, r.Ciphertext)
	if err == nil {
		return plain, nil
	}
	if len(sealed) < 16 {
		return nil, phrase.Say("密文只有 %d 字节，连 16 字节的校验码都不够：它被截断了",
			"the ciphertext has %d bytes, less than its tag of 16: it is cut off", len(sealed))
	}
	if looksDecrypted([]byte(secret), r.Nonce, sealed) {
		if _, err := k.Decrypt(r.Nonce, "", r.Ciphertext); err == nil {
			return nil, phrase.Say("校验码（tag）不符：密钥是对的，但 associated_data 应为空，这里多了内容",
				"the tag is wrong: the key is right, but associated_data was empty when this was encrypted")
		}
		for _, usual := range []string{"transaction", "refund", "certificate"} {
			if _, err := k.Decrypt(r.Nonce, usual, r.Ciphertext); err == nil {
				return nil, phrase.Say("校验码（tag）不符：密钥是对的，但 associated_data 应为 %q，这里是 %q",
					"the tag is wrong: the key is right, but associated_data was %q when this was encrypted, here it is %q", usual, shorten(r.AssociatedData))
			}
		}
		return nil, phrase.Say("校验码（tag）不符：密钥和 nonce 是对的，但密文或 associated_data 被改动过。用收到的原始 JSON 重试",
			"the tag is wrong: key and nonce are right, but ciphertext or associated_data was changed. Take the JSON as it was received")
	}
	return nil, phrase.Say("校验码（tag）不符：APIv3 密钥不是加密时的那一个，或 nonce、密文被改动过。核对 商户平台 › 账户中心 › API 安全 › APIv3 密钥（不是 APIv2 密钥），以及它属于这个商户号",
		"the tag is wrong: this was encrypted with another APIv3 key, or nonce or ciphertext was changed. Compare the key with 商户平台 › 账户中心 › API 安全 › APIv3 密钥 (not the APIv2 key), and see that it belongs to this merchant")
}

// looksDecrypted reports whether sealed, opened with the key but without its tag, is the beginning of what WeChat Pay
// encrypts: then the key is right although something was changed. Nothing of it is shown, since it is not proven.
func looksDecrypted(key []byte, nonce string, sealed []byte) bool {
	block, err := aes.NewCipher(key)
	if err != nil {
		return false
	}
	counter := append([]byte(nonce), 0, 0, 0, 2) // GCM's first block of text (NIST SP 800-38D, 7.1)
	plain := make([]byte, min(len(sealed)-16, 64))
	cipher.NewCTR(block, counter).XORKeyStream(plain, sealed[:len(plain)])
	return bytes.HasPrefix(plain, []byte(`{"`)) || bytes.HasPrefix(plain, []byte("-----BEGIN"))
}

// decodeBase64 is strict: encoding/base64 passes over line ends, which the SDKs refuse.
func decodeBase64(s string) ([]byte, error) {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return nil, base64.CorruptInputError(i)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

// notBase64 says what is wrong about a ciphertext as written. opens reports whether a repaired one can be decrypted.
func notBase64(text string, opens func(string) bool) error {
	for _, repair := range []struct {
		mend func(string) string
		text phrase.Text
	}{
		{func(s string) string { return strings.ReplaceAll(s, " ", "+") },
			phrase.Say("密文不是合法的 Base64：+ 变成了空格（经过了表单或 URL 解码）。换回 + 即可解密；请用收到的原始 JSON",
				"the ciphertext is not Base64: each + became a blank (it went through a form or a URL). With + it decrypts; take the JSON as it was received")},
		{func(s string) string { return strings.NewReplacer("\r", "", "\n", "", " ", "").Replace(s) },
			phrase.Say("密文不是合法的 Base64：中间有换行或空格。去掉即可解密",
				"the ciphertext is not Base64: there are line breaks or blanks in it. Without them it decrypts")},
		{func(s string) string { return strings.NewReplacer("-", "+", "_", "/").Replace(s) },
			phrase.Say("密文用了 URL 安全的 Base64 字母表（- 和 _）。换回 + 和 / 即可解密",
				"the ciphertext is in the URL-safe alphabet of Base64. With + and / it decrypts")},
	} {
		if mended := repair.mend(text); mended != text && opens(mended) {
			return repair.text
		}
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
	at := strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune(alphabet, r) })
	if at >= 0 {
		return phrase.Say("密文不是合法的 Base64：第 %d 个字符是 %s",
			"the ciphertext is not Base64: character %d is %s", at, quote(text[at:at+1]))
	}
	return phrase.Say("密文不是合法的 Base64：有 %d 个字符，被截断了",
		"the ciphertext is not Base64: it has %d characters and is cut off", len(text))
}

// OpenRefund decrypts the req_info of a refund notification of API v2. ECB has no tag, so success shows in the padding
// and the text alone.
//
// Source: v2 manual, "退款结果通知" (chapter 9_16).
func OpenRefund(reqInfo string, key Secret) ([]byte, error) {
	secret := key.Reveal()
	if len(secret) != 32 {
		return nil, phrase.Say("APIv2 密钥有 %d 个字符，应为 32 个：到 商户平台 › 账户中心 › API 安全 核对",
			"the APIv2 key has %d characters, it ought to have 32: see 商户平台 › 账户中心 › API 安全", len(secret))
	}
	digest := md5.Sum([]byte(secret))
	block, err := aes.NewCipher([]byte(hex.EncodeToString(digest[:])))
	if err != nil {
		return nil, err
	}
	reqInfo = strings.TrimSpace(reqInfo) // XML is often indented
	sealed, err := decodeBase64(reqInfo)
	if err != nil {
		return nil, notBase64(reqInfo, func(mended string) bool {
			sealed, err := decodeBase64(mended)
			return err == nil && openECB(block, sealed) != nil
		})
	}
	if len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return nil, phrase.Say("req_info 有 %d 字节，不是 16 的倍数：它被截断了",
			"req_info has %d bytes, not a multiple of 16: it is cut off", len(sealed))
	}
	plain := openECB(block, sealed)
	if plain == nil {
		return nil, phrase.Say("解密结果不是文本：加密用的是另一个 APIv2 密钥，或 req_info 被改动过。核对 商户平台 › 账户中心 › API 安全 › APIv2 密钥（不是 APIv3 密钥）",
			"what comes out is no text: it was encrypted with another APIv2 key, or req_info was changed. Compare the key with 商户平台 › 账户中心 › API 安全 › APIv2 密钥 (not the APIv3 key)")
	}
	return plain, nil
}

// openECB returns the text, or nil where padding or text show that the key is another one.
func openECB(block cipher.Block, sealed []byte) []byte {
	if len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return nil
	}
	plain := make([]byte, len(sealed))
	for i := 0; i < len(sealed); i += aes.BlockSize {
		block.Decrypt(plain[i:i+aes.BlockSize], sealed[i:i+aes.BlockSize])
	}
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil
	}
	if plain = plain[:len(plain)-pad]; !utf8.Valid(plain) {
		return nil
	}
	return plain
}
