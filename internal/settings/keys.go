package settings

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// minBits is the least size of an RSA key: what WeChat Pay issues.
const minBits = 2048

// Where the operator finds each thing, in the words of the merchant platform's and the mini program's own menus.
var (
	certificatePage = phrase.Say("商户平台 › 账户中心 › API 安全 › 商户API证书",
		"商户平台 › 账户中心 › API 安全 › 商户API证书 (merchant platform › account › API security › merchant certificate)")
	apiv3KeyPage = phrase.Say("商户平台 › 账户中心 › API 安全 › 设置 APIv3 密钥",
		"商户平台 › 账户中心 › API 安全 › 设置 APIv3 密钥 (merchant platform › account › API security › APIv3 key)")
	publicKeyPage = phrase.Say("商户平台 › 账户中心 › API 安全 › 微信支付公钥",
		"商户平台 › 账户中心 › API 安全 › 微信支付公钥 (merchant platform › account › API security › WeChat Pay public key)")
	merchantPage = phrase.Say("商户平台 › 账户中心 › 商户信息",
		"商户平台 › 账户中心 › 商户信息 (merchant platform › account › merchant)")
	appPage = phrase.Say("小程序后台 › 开发管理 › 开发设置",
		"小程序后台 › 开发管理 › 开发设置 (mini program's console › development › settings)")
)

// readPEM returns the first block of the PEM file that the setting at path names. It reports false when there is no
// such block; the problem is told.
func (r *reader) readPEM(at, file string) (*pem.Block, bool) {
	name, nr := r.where(at)
	data, err := os.ReadFile(file)
	if err != nil {
		r.wrong(name, nr, unreadable(file, err))
		return nil, false
	}
	block, _ := pem.Decode(data)
	if block == nil && bytes.Contains(data, []byte(`\n`)) { // written by a script that escaped the line ends
		block, _ = pem.Decode(bytes.ReplaceAll(data, []byte(`\n`), []byte("\n")))
	}
	switch {
	case block != nil:
		return block, true
	case len(data) > 0 && data[0] == 0x30: // an ASN.1 sequence: DER or PKCS#12
		r.wrong(name, nr, phrase.Say("%[1]s 是二进制文件（如 apiclient_cert.p12）。改用同一压缩包里的 .pem 文件",
			"%[1]s is binary (like apiclient_cert.p12). Use the .pem file of the same archive", file))
	default:
		r.wrong(name, nr, phrase.Say("%[1]s 不是 PEM 文件，应以“-----BEGIN”开头且保留换行。原样复制下载的文件",
			"%[1]s is not PEM: it should begin with -----BEGIN and keep its line ends. Copy the file as downloaded", file))
	}
	return nil, false
}

// readPrivateKey returns the merchant's RSA key, or nil when the problem is told.
func (r *reader) readPrivateKey(at, file string) *rsa.PrivateKey {
	block, ok := r.readPEM(at, file)
	if !ok {
		return nil
	}
	name, nr := r.where(at)
	r.warnOfMode(file, name, nr)
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return r.encrypted(name, nr, file)
		}
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return r.encrypted(name, nr, file)
	case "CERTIFICATE":
		r.wrong(name, nr, phrase.Say("%[1]s 是证书，不是私钥。私钥是同一压缩包里的 apiclient_key.pem",
			"%[1]s is a certificate, not a private key. The key is apiclient_key.pem of the same archive", file))
		return nil
	default:
		r.wrong(name, nr, phrase.Say("%[1]s 里是 %[2]s，不是 RSA 私钥。这里要 apiclient_key.pem",
			"%[1]s holds a %[2]s, not an RSA private key. This wants apiclient_key.pem", file, block.Type))
		return nil
	}
	if err != nil {
		r.wrong(name, nr, damaged(file))
		return nil
	}
	k, ok := key.(*rsa.PrivateKey)
	if !ok {
		r.wrong(name, nr, phrase.Say("%[1]s 里是 %[2]s 私钥，微信支付只用 RSA。这里要 apiclient_key.pem",
			"%[1]s holds a private key of %[2]s, WeChat Pay uses RSA. This wants apiclient_key.pem", file, algorithm(key)))
		return nil
	}
	if k.N.BitLen() < minBits {
		r.wrong(name, nr, tooShort(file, k.N.BitLen()))
		return nil
	}
	return k
}

// readPublicKey returns WeChat Pay's public key, or nil when the problem is told.
func (r *reader) readPublicKey(at, file string) *rsa.PublicKey {
	block, ok := r.readPEM(at, file)
	if !ok {
		return nil
	}
	name, nr := r.where(at)
	var key any
	var err error
	switch {
	case block.Type == "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		r.wrong(name, nr, phrase.Say("%[1]s 是私钥。这里要微信支付公钥 pub_key.pem，从 %[2]s 下载",
			"%[1]s is a private key. This wants WeChat Pay's public key pub_key.pem, from %[2]s",
			file, publicKeyPage))
		return nil
	default:
		r.wrong(name, nr, phrase.Say("%[1]s 里是 %[2]s，不是公钥。这里要微信支付公钥 pub_key.pem，从 %[3]s 下载",
			"%[1]s holds a %[2]s, not a public key. This wants WeChat Pay's public key pub_key.pem, from %[3]s", file, block.Type, publicKeyPage))
		return nil
	}
	if err != nil {
		r.wrong(name, nr, damaged(file))
		return nil
	}
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		r.wrong(name, nr, phrase.Say("%[1]s 里是 %[2]s 公钥，微信支付用 RSA。从 %[3]s 重新下载",
			"%[1]s holds a public key of %[2]s, WeChat Pay uses RSA. Download it again from %[3]s", file, algorithm(key), publicKeyPage))
		return nil
	}
	if k.N.BitLen() < minBits {
		r.wrong(name, nr, tooShort(file, k.N.BitLen()))
		return nil
	}
	return k
}

// readCertificate returns the merchant's certificate, or nil when the problem is told.
func (r *reader) readCertificate(at, file string) *x509.Certificate {
	block, ok := r.readPEM(at, file)
	if !ok {
		return nil
	}
	name, nr := r.where(at)
	if block.Type != "CERTIFICATE" {
		r.wrong(name, nr, phrase.Say("%[1]s 里是 %[2]s，不是证书。证书是同一压缩包里的 apiclient_cert.pem",
			"%[1]s holds a %[2]s, not a certificate. The certificate is apiclient_cert.pem of the same archive", file, block.Type))
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		r.wrong(name, nr, damaged(file))
		return nil
	}
	return c
}

// checkCertificate checks m's certificate against its key and serial number, and supplies the serial where it is left
// out.
func (r *reader) checkCertificate(m *Merchant, at string, now time.Time) {
	if m.ClientCertificateFile == "" {
		return
	}
	c := r.readCertificate(at+".client_certificate_file", m.ClientCertificateFile)
	if c == nil {
		return
	}
	name, nr := r.where(at + ".client_certificate_file")
	if k, ok := c.PublicKey.(*rsa.PublicKey); m.PrivateKey != nil && (!ok || !k.Equal(m.PrivateKey.Public())) {
		r.wrong(name, nr, phrase.Say("%[1]s 是另一个私钥的证书，与 private_key_file 不是一对。两个文件要出自同一个压缩包",
			"%[1]s is the certificate of another key, not that of private_key_file. Take both files from one archive", m.ClientCertificateFile))
	}
	serial := fmt.Sprintf("%040X", c.SerialNumber)
	switch {
	case r.given[at+".certificate_serial"].text == "":
		m.CertificateSerial = serial
	case m.CertificateSerial != serial && isSerial(m.CertificateSerial):
		name, nr := r.where(at + ".certificate_serial")
		r.wrong(name, nr, phrase.Say("与证书不符：%[1]s 的序列号是 %[2]s。改成它，或删去这一行",
			"not that of the certificate: %[1]s has %[2]s. Set that, or remove this line", m.ClientCertificateFile, serial))
	}
	const day = "2006-01-02"
	beijing := time.FixedZone("CST", 8*60*60)
	switch until := c.NotAfter.In(beijing).Format(day); {
	case now.After(c.NotAfter):
		r.wrong(name, nr, phrase.Say("证书已于 %[1]s 过期。到 %[2]s 更换",
			"the certificate expired on %[1]s. Renew it at %[2]s", until, certificatePage))
	case now.Before(c.NotBefore):
		r.wrong(name, nr, phrase.Say("证书从 %[1]s 起才有效。检查本机时钟",
			"the certificate is valid from %[1]s on. Check this machine's clock",
			c.NotBefore.In(beijing).Format(day)))
	case c.NotAfter.Sub(now) < 30*24*time.Hour:
		r.warn(name, nr, phrase.Say("证书将于 %[1]s 过期。到 %[2]s 更换",
			"the certificate expires on %[1]s. Renew it at %[2]s", until, certificatePage))
	}
}

func (r *reader) encrypted(name string, nr int, file string) *rsa.PrivateKey {
	r.wrong(name, nr, phrase.Say("%[1]s 有密码保护。去掉密码：openssl rsa -in %[1]s -out apiclient_key.pem",
		"%[1]s is protected by a password. Take it off: openssl rsa -in %[1]s -out apiclient_key.pem", file))
	return nil
}

func damaged(file string) phrase.Text {
	return phrase.Say("%[1]s 已损坏。原样复制下载的文件，不要经过编辑器或聊天软件",
		"%[1]s is damaged. Copy the file as downloaded, not through an editor or a chat", file)
}

func tooShort(file string, bits int) phrase.Text {
	return phrase.Say("%[1]s 是 %[2]d 位 RSA 密钥，至少要 %[3]d 位。原样使用微信支付给的密钥",
		"%[1]s is an RSA key of %[2]d bits, %[3]d at least are needed. Use the key that WeChat Pay gave", file, bits, minBits)
}

// algorithm names the kind of a key that is no RSA key.
func algorithm(key any) string {
	switch key.(type) {
	case *ecdsa.PrivateKey, *ecdsa.PublicKey:
		return "ECDSA"
	}
	return "Ed25519/ECDH"
}
