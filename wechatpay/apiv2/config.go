package apiv2

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/rules"
)

// Config holds a merchant's credentials. See the package comment for where they come from.
type Config struct {
	// MerchantID is the merchant number (商户号, mch_id); of a service provider, its own.
	MerchantID string

	// AppID is the app of requests that name none, and need not be given where each names its own. An API key serves
	// all apps that are bound to the merchant.
	AppID string

	// Key signs requests and verifies what comes back (API密钥).
	Key Key

	// OldKeys are tried after Key with notifications. While a key is being replaced, WeChat Pay may repeat some that
	// it signed under the old one. Usually empty.
	OldKeys []Key

	// SignType is the algorithm of requests, and the only one that is accepted of answers and notifications. The
	// default is HMACSHA256.
	SignType SignType

	// AcceptMD5 takes notifications that are signed with MD5 although SignType is HMACSHA256: for as long as orders can
	// be paid that were placed with MD5, before a change of SignType.
	AcceptMD5 bool

	// Certificate is the merchant API certificate with its key (apiclient_cert.pem and apiclient_key.pem, see
	// [tls.LoadX509KeyPair]). It is presented to refunds, reversals and the fund flow bill, which fail without it, and
	// to nothing else. NewClient checks that it belongs to MerchantID and has not expired.
	Certificate tls.Certificate

	// SubMerchantID and SubAppID are the merchant that a service provider (服务商) acts for, where it is always the same
	// one; else see [Client.For].
	SubMerchantID string
	SubAppID      string

	// PartnerID is the partnerid of [Client.AppParameters]. The default is MerchantID.
	PartnerID string
}

// Key is the key of API v2 (API密钥): 32 ASCII bytes. It prints as [secret] in every format. The zero value is no key.
type Key struct {
	b *[32]byte // behind a pointer, so that printing a struct that hides a Key shows an address and not the key
}

// NewKey takes the key as it was set on the merchant platform. Blanks around it are a mistake of copying and are an
// error like any other length but 32: whoever cuts them off silently hides which of two keys is configured.
func NewKey(s string) (Key, error) {
	if trimmed := strings.TrimSpace(s); trimmed != s && len(trimmed) == 32 {
		return Key{}, errors.New("the API key has blanks or line breaks around it: remove them")
	}
	if len(s) != 32 {
		return Key{}, fmt.Errorf("an API key has 32 characters, this one has %d: "+
			"set one at 商户平台 › 账户中心 › API安全 › APIv2密钥", len(s))
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return Key{}, errors.New("an API key has letters and digits alone: this one holds a blank, " +
				"a control character or a character that is not ASCII")
		}
	}
	return Key{(*[32]byte)([]byte(s))}, nil
}

// Format prints [secret], whatever the verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") } // fmt keeps the error

// LogValue prints [secret].
func (Key) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText prints [secret]: a key is never written into JSON by accident.
func (Key) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// IsZero reports whether k holds no key.
func (k Key) IsZero() bool { return k.b == nil }

// check looks for every mistake that shows without a network.
func (c Config) check(now time.Time) error {
	var problems []error
	bad := func(field, en, zh string) {
		problems = append(problems, &ConfigError{field, phrase.Text{EN: en, ZH: zh}})
	}

	if !rules.IsMerchantNumber(c.MerchantID) {
		bad("MerchantID", "it is the merchant number (商户号), digits alone", "应为商户号，只含数字")
	}
	if c.AppID != "" && checkAppID("", c.AppID) != nil {
		bad("AppID", "it is the id of an app, such as wx8888888888888888", "应为 APPID，例如 wx8888888888888888")
	}
	if c.Key.IsZero() {
		bad("Key", "it is missing: set the API key at 商户平台 › 账户中心 › API安全 › APIv2密钥 and give it to NewKey",
			"缺少 API 密钥：在「商户平台 › 账户中心 › API安全 › APIv2密钥」设置，并用 NewKey 传入")
	}
	for _, k := range c.OldKeys {
		if k.IsZero() {
			bad("OldKeys", "one of them is empty", "其中有空密钥")
		}
	}
	if c.SignType != "" && c.SignType != MD5 && c.SignType != HMACSHA256 {
		bad("SignType", "it is MD5 or HMACSHA256", "应为 MD5 或 HMACSHA256")
	}
	if c.SubMerchantID != "" && !rules.IsMerchantNumber(c.SubMerchantID) {
		bad("SubMerchantID", "it is the number of the sub merchant (特约商户号), digits alone", "应为特约商户号，只含数字")
	}
	if c.SubAppID != "" && (checkAppID("", c.SubAppID) != nil || c.SubMerchantID == "") {
		bad("SubAppID", "it is the id of an app of SubMerchantID", "应为特约商户的 APPID，须同时填写 SubMerchantID")
	}
	if c.PartnerID != "" && !rules.IsMerchantNumber(c.PartnerID) {
		bad("PartnerID", "it is a merchant number, digits alone", "应为商户号，只含数字")
	}
	c.checkCertificate(now, bad)
	return errors.Join(problems...)
}

// hasCertificate reports whether c holds a client certificate, good or bad.
func (c Config) hasCertificate() bool {
	return len(c.Certificate.Certificate) > 0 || c.Certificate.PrivateKey != nil
}

func (c Config) checkCertificate(now time.Time, bad func(field, en, zh string)) {
	const field = "Certificate"
	if !c.hasCertificate() {
		return
	}
	signer, ok := c.Certificate.PrivateKey.(crypto.Signer)
	if !ok || len(c.Certificate.Certificate) == 0 {
		bad(field, "the certificate or its private key is missing: load both with tls.LoadX509KeyPair",
			"缺少证书或私钥：请用 tls.LoadX509KeyPair 同时加载")
		return
	}
	cert, err := x509.ParseCertificate(c.Certificate.Certificate[0])
	if err != nil {
		bad(field, "it can't be read: "+err.Error(), "证书无法解析："+err.Error())
		return
	}
	if k, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(signer.Public()) {
		bad(field, "it does not belong to its private key: use apiclient_cert.pem and apiclient_key.pem of one download",
			"证书与私钥不匹配：请使用同一次下载的 apiclient_cert.pem 与 apiclient_key.pem")
	}
	if name := cert.Subject.CommonName; name != c.MerchantID {
		bad(field, fmt.Sprintf("it is of merchant %q, not of MerchantID", phrase.Clip(name, 40)),
			fmt.Sprintf("证书属于商户号 %q，与 MerchantID 不一致", phrase.Clip(name, 40)))
	}
	if day := cert.NotAfter.In(rules.Beijing).Format(time.DateOnly); now.After(cert.NotAfter) {
		bad(field, "it expired on "+day+": make a new one at 商户平台 › 账户中心 › API安全",
			"证书已于 "+day+" 过期：请在「商户平台 › 账户中心 › API安全」更换")
	}
}
