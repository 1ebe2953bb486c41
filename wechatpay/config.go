package wechatpay

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/rules"
)

// publicKeyPrefix begins the id of every WeChat Pay public key. Ids are compared as a whole, prefix included.
const publicKeyPrefix = "PUB_KEY_ID_"

// check looks for every mistake that shows without a network, and returns the serial in WeChat Pay's spelling.
func (c Config) check(now time.Time) (serial string, err error) {
	var problems []error
	bad := func(field, en, zh string) {
		problems = append(problems, &ConfigError{field, phrase.Text{EN: en, ZH: zh}})
	}

	if !rules.IsMerchantNumber(c.MerchantID) {
		bad("MerchantID", "it is the merchant number (商户号), digits alone", "应为商户号，只含数字")
	}

	key := checkPrivateKey(c, bad)

	serial = strings.ToUpper(c.CertificateSerial)
	if c.Certificate != nil && serial == "" {
		serial = CertificateSerial(c.Certificate)
	}
	checkMerchantSerial(serial, bad)
	if cert := c.Certificate; cert != nil {
		if canonicalSerial(serial) != canonicalSerial(CertificateSerial(cert)) {
			bad("CertificateSerial", "it is not the serial of Certificate, which is "+CertificateSerial(cert),
				"与 Certificate 的序列号不一致，证书的序列号是 "+CertificateSerial(cert))
		}
		if key && !rsaPublicKey(c.PrivateKey).Equal(cert.PublicKey) {
			bad("Certificate", "it does not belong to PrivateKey: use apiclient_cert.pem and apiclient_key.pem of one download",
				"与私钥不匹配：请使用同一次下载的 apiclient_cert.pem 与 apiclient_key.pem")
		}
		if name := cert.Subject.CommonName; name != c.MerchantID {
			bad("Certificate", fmt.Sprintf("it is of merchant %q, not of MerchantID", phrase.Clip(name, 40)),
				fmt.Sprintf("证书属于商户号 %q，与 MerchantID 不一致", phrase.Clip(name, 40)))
		}
		if now.After(cert.NotAfter) {
			bad("Certificate", "it expired on "+cert.NotAfter.Format(time.DateOnly)+": apply for a new one on the merchant platform",
				"证书已于 "+cert.NotAfter.Format(time.DateOnly)+" 过期：请在商户平台更换")
		}
	}

	if c.APIv3Key.IsZero() {
		bad("APIv3Key", "it is missing: set one at 商户平台 › 账户中心 › API安全 and give it to NewAPIv3Key",
			"缺少 APIv3 密钥：在「商户平台 › 账户中心 › API安全」设置，并用 NewAPIv3Key 传入")
	}
	for _, k := range c.OldAPIv3Keys {
		if k.IsZero() {
			bad("OldAPIv3Keys", "one of them is empty", "其中有空密钥")
		}
	}

	switch {
	case c.PublicKeyID == "" && c.PublicKey == nil:
	case c.PublicKeyID == "":
		bad("PublicKeyID", "it is missing: the merchant platform shows the id, PUB_KEY_ID_…, beside the public key",
			"缺少公钥ID：商户平台在公钥旁显示，形如 PUB_KEY_ID_…")
	case c.PublicKey == nil:
		bad("PublicKey", "it is missing: download pub_key.pem beside the id on the merchant platform",
			"缺少微信支付公钥：在商户平台公钥ID旁下载 pub_key.pem")
	default:
		if !strings.HasPrefix(c.PublicKeyID, publicKeyPrefix) || !rules.IsCode(c.PublicKeyID) || len(c.PublicKeyID) == len(publicKeyPrefix) {
			bad("PublicKeyID", "it begins with PUB_KEY_ID_, and the prefix is part of it; a serial of a certificate does not belong here",
				"须以 PUB_KEY_ID_ 开头且保留前缀；这里不能填证书序列号")
		}
		if err := checkKeySize("the public key", c.PublicKey); err != nil {
			bad("PublicKey", err.Error(), "公钥长度不足 2048 位")
		}
		if key && rsaPublicKey(c.PrivateKey).Equal(c.PublicKey) {
			bad("PublicKey", "it is the merchant's own public key: WeChat Pay's is downloaded from the merchant platform",
				"这是商户自己的公钥：请在商户平台下载微信支付公钥")
		}
	}
	return serial, errors.Join(problems...)
}

// checkPrivateKey reports whether the key can be used. It signs once, since a key in a module of its own may fail to.
func checkPrivateKey(c Config, bad func(field, en, zh string)) bool {
	if c.PrivateKey == nil {
		bad("PrivateKey", "it is missing: give apiclient_key.pem to ParsePrivateKey", "缺少商户私钥：用 ParsePrivateKey 读取 apiclient_key.pem")
		return false
	}
	pub := rsaPublicKey(c.PrivateKey)
	if pub == nil {
		bad("PrivateKey", "WeChat Pay uses RSA keys", "微信支付使用 RSA 密钥")
		return false
	}
	if err := checkKeySize("the private key", pub); err != nil {
		bad("PrivateKey", err.Error(), "私钥长度不足 2048 位")
		return false
	}
	message := []byte("self-test")
	signature, err := SignMessage(c.PrivateKey, message)
	if err == nil {
		err = VerifyMessage(pub, message, signature)
	}
	if err != nil {
		bad("PrivateKey", "it fails to sign and verify: "+err.Error(), "私钥自检（签名并验签）失败："+err.Error())
		return false
	}
	return true
}

func checkMerchantSerial(serial string, bad func(field, en, zh string)) {
	const field = "CertificateSerial"
	switch {
	case serial == "":
		bad(field, "it is missing: openssl x509 -in apiclient_cert.pem -noout -serial prints it",
			"缺少商户API证书序列号：openssl x509 -in apiclient_cert.pem -noout -serial 可查看")
	case strings.HasPrefix(serial, publicKeyPrefix):
		bad(field, "this is the id of the WeChat Pay public key: the serial of the merchant API certificate is needed",
			"这是微信支付公钥ID：此处应填商户API证书序列号")
	case strings.Contains(serial, ":"):
		bad(field, "take the colons out", "请去掉冒号")
	case len(serial) != 40 && strings.Trim(serial, "0123456789") == "":
		bad(field, "this looks like the decimal form: use the hexadecimal one, 40 digits", "看起来是十进制：请使用 40 位十六进制序列号")
	case len(serial) != 40 || strings.Trim(serial, "0123456789ABCDEF") != "":
		bad(field, "it has 40 hexadecimal digits", "应为 40 位十六进制数字")
	}
}
