package diagnose

import (
	"bytes"
	"crypto"
	_ "crypto/md5" // digests that a signer may have taken by mistake, so that it can be told
	"crypto/rsa"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/hex"
	"math/big"
	"net/url"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// digest is what a signature says was signed.
type digest struct {
	hash crypto.Hash
	sum  []byte
}

// of reports whether d is the digest of text.
func (d digest) of(text []byte) bool {
	h := d.hash.New()
	h.Write(text) // never fails
	return bytes.Equal(h.Sum(nil), d.sum)
}

// digestInfo are the DER headers that PKCS #1 v1.5 puts before a digest (RFC 8017, 9.2, note 1).
var digestInfo = map[crypto.Hash]string{
	crypto.SHA256: "3031300d060960864801650304020105000420",
	crypto.SHA1:   "3021300906052b0e03021a05000414",
	crypto.MD5:    "3020300c06082a864886f70d020505000410",
	crypto.SHA384: "3041300d060960864801650304020205000430",
	crypto.SHA512: "3051300d060960864801650304020305000440",
}

// open undoes an RSASSA-PKCS1-v1_5 signature with the public key. It reports false where this key did not make it: the
// padding of 200 bytes and more can't come about by chance. Nothing in it is secret.
func open(key *rsa.PublicKey, signature []byte) (digest, bool) {
	size := key.Size()
	if len(signature) != size {
		return digest{}, false
	}
	m := new(big.Int).Exp(new(big.Int).SetBytes(signature), big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, size))
	for h, header := range digestInfo {
		prefix, _ := hex.DecodeString(header) // a constant
		tail := len(prefix) + h.Size()
		if size < tail+11 {
			continue
		}
		want := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, size-tail-3)...)
		want = append(append(want, 0), prefix...)
		if bytes.HasPrefix(m, want) {
			return digest{h, m[size-h.Size():]}, true
		}
	}
	return digest{}, false
}

// signatureValue is one reading of a signature as written.
type signatureValue struct {
	raw   []byte
	edits []edit
}

// readings returns the bytes that text may stand for: first as it is, where it is Base64, then with each of the repairs
// that give Base64 of size bytes.
func readings(text string, size int) []signatureValue {
	var all []signatureValue
	if raw, err := decodeBase64(text); err == nil {
		all = append(all, signatureValue{raw: raw})
	}
	type repair struct {
		edit
		mend func(string) string
	}
	repairs := []repair{
		{edit{Base64Escaped, "signature", phrase.Say(`签名值被转义过（%2B 或 \/）`,
			`the signature was escaped (%2B or \/)`)}, func(s string) string {
			s = strings.ReplaceAll(s, `\/`, "/")
			if u, err := url.PathUnescape(s); err == nil {
				s = u
			}
			return s
		}},
		{edit{Base64Breaks, "signature", phrase.Say("签名值里有换行", "the signature has line breaks in it")}, func(s string) string {
			return strings.NewReplacer("\r", "", "\n", "", "\t", "", `\n`, "").Replace(s)
		}},
		{edit{PlusInSignature, "signature", phrase.Say("签名值里的 + 变成了空格",
			"each + of the signature became a blank")}, func(s string) string {
			return strings.ReplaceAll(s, " ", "+")
		}},
		{edit{Base64Alphabet, "signature", phrase.Say("签名值用了 URL 安全的 Base64 字母表（- 和 _）",
			"the signature is in the URL-safe alphabet of Base64 (- and _)")}, func(s string) string {
			return strings.NewReplacer("-", "+", "_", "/").Replace(s)
		}},
		{edit{Base64Padding, "signature", phrase.Say("签名值末尾缺少 =",
			"the signature lacks the = at its end")}, func(s string) string {
			if n := len(s) % 4; n > 1 {
				s += "=="[:4-n]
			}
			return s
		}},
	}
	// Folded lines: a header that was wrapped has a blank where Base64 had nothing, the opposite of the blank for a plus.
	folded := repair{edit{Base64Breaks, "signature", phrase.Say("签名值里有换行或空格",
		"the signature has line breaks or blanks in it")}, func(s string) string {
		return strings.Join(strings.Fields(s), "")
	}}
	for _, list := range [][]repair{repairs, {folded, repairs[0], repairs[3], repairs[4]}} {
		s := text
		var edits []edit
		for _, r := range list {
			if mended := r.mend(s); mended != s {
				s, edits = mended, append(edits, r.edit)
			}
		}
		if raw, err := decodeBase64(s); err == nil && len(raw) == size && len(edits) > 0 {
			all = append(all, signatureValue{raw, edits})
		}
	}
	return all
}
