package settings

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// where returns how the operator wrote the setting at path, and its line. What is not given is called by its path and
// placed at the entry or section that lacks it.
func (r *reader) where(at string) (name string, nr int) {
	if g, ok := r.given[at]; ok {
		return g.name, g.line
	}
	parent := at[:max(strings.LastIndexByte(at, '.'), 0)]
	return at, r.lines[parent]
}

// bad records what is wrong with the setting at path.
func (r *reader) bad(at string, t phrase.Text) {
	name, nr := r.where(at)
	r.wrong(name, nr, t)
}

// doubtful records a warning about the setting at path.
func (r *reader) doubtful(at string, t phrase.Text) {
	name, nr := r.where(at)
	r.warn(name, nr, t)
}

// told reports whether something is wrong with the setting at path already, its name included.
func (r *reader) told(at string) bool {
	if r.meant[at] {
		return true
	}
	name, _ := r.where(at)
	for _, p := range r.problems {
		if p.Key == name {
			return true
		}
	}
	return false
}

// has reports whether the setting at path has a value; where it has none and nobody has said why, that is a problem,
// with t as the remedy.
func (r *reader) has(at string, missing bool, t phrase.Text) bool {
	if missing && !r.told(at) {
		r.bad(at, phrase.Say("缺少。"+t.ZH, "missing. "+t.EN))
	}
	return !missing
}

// check finds what is wrong with s, completes it, and puts its addresses into their plain form.
func (r *reader) check(s *Settings, now time.Time) {
	r.checkListen(s.Listen)
	public := r.checkPublicURL(s)
	r.checkDatabase(s)
	if r.has("secret_key", s.SecretKey.IsZero(), phrase.Say("写入至少 32 个随机字节：openssl rand -base64 32",
		"Give 32 random bytes or more: openssl rand -base64 32")) {
		if n := len(s.SecretKey.Reveal()); n < 32 {
			r.bad("secret_key", phrase.Say("现在是 %d 字节，至少要 32 字节。生成一个：openssl rand -base64 32",
				"%d bytes, 32 at least are needed. Make one: openssl rand -base64 32", n))
		}
	}
	s.WeChat.PayURL = r.checkServer("wechat.pay_url", s.WeChat.PayURL)
	s.WeChat.APIURL = r.checkServer("wechat.api_url", s.WeChat.APIURL)
	pay, ok := absoluteURL(s.WeChat.PayURL)
	if ok && public != nil && isLoopback(public.Hostname()) && !isLoopback(pay.Hostname()) {
		r.doubtful("public_url", phrase.Say("微信的服务器访问不到 %[1]s，支付通知送不到。改成公网 https 地址",
			"WeChat's servers can't reach %[1]s, so no notification will arrive. Set the public https address", s.PublicURL))
	}

	if len(s.Merchants) == 0 && !r.told("merchants") {
		r.bad("merchants", phrase.Say("至少要有一个商户。用 fenhao init 生成的文件里有样例",
			"there has to be one merchant at least. The file that fenhao init writes shows one"))
	}
	ids, apps := map[string]string{}, map[string]string{}
	for i := range s.Merchants {
		r.checkMerchant(&s.Merchants[i], "merchants["+strconv.Itoa(i)+"]", now, ids, apps)
	}
}

func (r *reader) checkListen(listen string) {
	host, port, err := net.SplitHostPort(listen)
	_, bad := strconv.ParseUint(port, 10, 16) // 0 picks a free one
	if err != nil || bad != nil || strings.ContainsFunc(host, func(c rune) bool { return unicode.IsSpace(c) || c == '/' }) {
		r.bad("listen", phrase.Say("%q 不是 主机:端口，例如 127.0.0.1:8080",
			"%q is not HOST:PORT, for example 127.0.0.1:8080", shorten(listen)))
	}
}

// checkPublicURL returns the parsed address, or nil when the problem is told.
func (r *reader) checkPublicURL(s *Settings) *url.URL {
	if !r.has("public_url", s.PublicURL == "", phrase.Say("写入微信能访问到的 https 地址，例如 https://pay.example.com",
		"Give the https address at which WeChat reaches this service, for example https://pay.example.com")) {
		return nil
	}
	u, ok := absoluteURL(s.PublicURL)
	switch {
	case !ok:
		r.bad("public_url", phrase.Say("%q 不是完整的网址，例如 https://pay.example.com",
			"%q is not a whole address, for example https://pay.example.com", shorten(s.PublicURL)))
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		r.bad("public_url", phrase.Say("%q 必须是 https，微信只向 https 地址发通知（本机回环地址除外）",
			"%q has to be https: WeChat notifies https addresses only (this machine's loopback aside)", shorten(s.PublicURL)))
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil:
		r.bad("public_url", phrase.Say("只写协议、主机和端口，去掉后面的路径和参数：%[1]s",
			"give scheme, host and port alone, without path and query: %[1]s", u.Scheme+"://"+u.Host))
	default:
		s.PublicURL = u.Scheme + "://" + u.Host
		return u
	}
	return nil
}

// checkServer checks the address of one of WeChat's servers and returns it without a slash at the end.
func (r *reader) checkServer(at, address string) string {
	u, ok := absoluteURL(address)
	if !ok || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil {
		r.bad(at, phrase.Say("%q 不是完整的网址，例如 https://api.mch.weixin.qq.com 或沙箱的 http://127.0.0.1:8090",
			"%q is not a whole address, for example https://api.mch.weixin.qq.com, or http://127.0.0.1:8090 of a sandbox", shorten(address)))
		return address
	}
	return strings.TrimRight(address, "/")
}

func absoluteURL(address string) (*url.URL, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return nil, false
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, false
		}
	}
	return u, true
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (r *reader) checkDatabase(s *Settings) {
	file, ok := strings.CutPrefix(s.Database, "sqlite:")
	switch {
	case strings.HasPrefix(s.Database, "postgres:") || strings.HasPrefix(s.Database, "postgresql:"):
		r.bad("database", phrase.Say("这个版本只支持 SQLite，还不支持 PostgreSQL。写成 sqlite:文件名，例如 sqlite:fenhao.db",
			"this version supports SQLite alone, not PostgreSQL. Write sqlite:FILE, for example sqlite:fenhao.db"))
	case !ok:
		r.bad("database", phrase.Say("应写成 sqlite:文件名，例如 sqlite:fenhao.db",
			"should be sqlite:FILE, for example sqlite:fenhao.db"))
	case file == "" || file == ":memory:":
		r.bad("database", phrase.Say("要写一个文件，只存在内存里的账目重启就没有了。例如 sqlite:fenhao.db",
			"a file is needed: books in memory are gone after a restart. For example sqlite:fenhao.db"))
	case strings.ContainsAny(file, "?#"):
		r.bad("database", phrase.Say("sqlite: 之后只写文件名，不带 ? 或 # 参数",
			"after sqlite: there is only a file, without ? or # parameters"))
	default:
		s.Database = "sqlite:" + r.absolute(file)
	}
}

var (
	merchantID = regexp.MustCompile(`^[0-9]{8,10}$`)
	serial     = regexp.MustCompile(`^[0-9A-F]{40}$`)
	appID      = regexp.MustCompile(`^wx[0-9a-f]{16}$`)
)

func isSerial(s string) bool { return serial.MatchString(s) }

// checkMerchant checks and completes the merchant at path. ids and apps say where each merchant and app was met before.
func (r *reader) checkMerchant(m *Merchant, at string, now time.Time, ids, apps map[string]string) {
	if r.has(at+".id", m.ID == "", phrase.Say("写入商户号：%s", "Give the merchant number: %s", merchantPage)) {
		switch first, again := ids[m.ID]; {
		case !merchantID.MatchString(m.ID):
			r.bad(at+".id", phrase.Say("%[1]q 不是商户号，应为 8 到 10 位数字。见 %[2]s",
				"%[1]q is not a merchant number, which has 8 to 10 digits. See %[2]s", shorten(m.ID), merchantPage))
		case again:
			r.bad(at+".id", phrase.Say("商户号 %[1]s 与 %[2]s 重复。把两处的 apps 合到一处",
				"merchant %[1]s is in %[2]s already. Put the apps of both into one", m.ID, first))
		default:
			ids[m.ID] = at
		}
	}
	switch m.API {
	case "v3":
	case "v2":
		r.bad(at+".api", phrase.Say("这个版本不支持用 v2 下单。改成 v3；同一商户号可以直接改用 v3",
			"this version can't place orders with v2. Set v3; the same merchant number can use it at once"))
	default:
		r.bad(at+".api", phrase.Say("%q 不对，应为 v3", "%q is wrong, it should be v3", shorten(m.API)))
	}

	if r.has(at+".private_key_file", m.PrivateKeyFile == "", phrase.Say("写入商户私钥文件 apiclient_key.pem 的路径，从 %s 下载",
		"Give the path of the merchant's private key, apiclient_key.pem, from %s", certificatePage)) {
		m.PrivateKey = r.readPrivateKey(at+".private_key_file", m.PrivateKeyFile)
	}
	m.CertificateSerial = strings.ToUpper(strings.ReplaceAll(m.CertificateSerial, ":", "")) // as openssl prints it
	r.checkCertificate(m, at, now)
	switch {
	case m.CertificateSerial != "":
		if !isSerial(m.CertificateSerial) {
			r.bad(at+".certificate_serial", phrase.Say(
				"应为 40 位十六进制，现在是 %[1]d 个字符。见 %[2]s，或运行 openssl x509 -noout -serial -in apiclient_cert.pem",
				"40 hex digits, this has %[1]d characters. See %[2]s, or run openssl x509 -noout -serial -in apiclient_cert.pem",
				len([]rune(m.CertificateSerial)), certificatePage))
		}
	case m.ClientCertificateFile == "":
		r.has(at+".certificate_serial", true, phrase.Say("写入证书序列号，或者用 client_certificate_file 给出证书文件。见 %s",
			"Give the certificate's serial number, or the certificate itself as client_certificate_file. See %s", certificatePage))
	}

	r.checkKeyText(at+".apiv3_key", m.APIv3Key, true, apiv3KeyPage)
	r.checkKeyText(at+".apiv2_key", m.APIv2Key, false, phrase.Say("商户平台 › 账户中心 › API 安全 › 设置 APIv2 密钥",
		"商户平台 › 账户中心 › API 安全 › 设置 APIv2 密钥 (merchant platform › account › API security › APIv2 key)"))
	if !m.APIv2Key.IsZero() {
		r.doubtful(at+".apiv2_key", phrase.Say("这个版本不使用 v2，此密钥不起作用",
			"this version doesn't speak v2, so the key has no effect"))
	}
	r.checkPublicKey(m, at)

	if len(m.Apps) == 0 && !r.told(at+".apps") {
		r.bad(at+".apps", phrase.Say("至少要有一个小程序：id 和 secret，见 %s",
			"there has to be one mini program at least, with id and secret: %s", appPage))
	}
	for i := range m.Apps {
		r.checkApp(m.Apps[i], at+".apps["+strconv.Itoa(i)+"]", apps)
	}
}

// checkKeyText checks a symmetric key: 32 bytes, as typed into the merchant platform.
func (r *reader) checkKeyText(at string, key Secret, required bool, page phrase.Text) {
	if key.IsZero() {
		if required {
			r.has(at, true, phrase.Say("到 %s 设置", "Set it at %s", page))
		}
		return
	}
	text := key.Reveal()
	if len(text) == 32 {
		return
	}
	hint := phrase.Say("注意复制时多或少一个字符", "mind a letter more or less when copying")
	if strings.ContainsFunc(text, unicode.IsSpace) {
		hint = phrase.Say("其中有空白字符，多半是复制时带上的", "there is white space in it, most likely copied along")
	}
	r.bad(at, phrase.Say("现在是 %[1]d 字节，应为 32 字节。到 %[2]s 核对；%[3]s",
		"%[1]d bytes, it has to be 32. Compare with %[2]s; %[3]s", len(text), page, hint))
}

// checkPublicKey checks WeChat Pay's public key and its id, which go together or are both left out.
func (r *reader) checkPublicKey(m *Merchant, at string) {
	const idAt, fileAt = ".public_key_id", ".public_key_file"
	if m.PublicKeyID != "" && !strings.HasPrefix(m.PublicKeyID, "PUB_KEY_ID_") {
		r.bad(at+idAt, phrase.Say("%[1]q 不是公钥 ID，应以 PUB_KEY_ID_ 开头，整个照抄。见 %[2]s",
			"%[1]q is not the id of a public key: it begins with PUB_KEY_ID_, all of which belongs to it. See %[2]s",
			shorten(m.PublicKeyID), publicKeyPage))
	}
	switch {
	case m.PublicKeyID != "" && m.PublicKeyFile == "":
		r.has(at+fileAt, true, phrase.Say("给了 public_key_id 就要有公钥文件 pub_key.pem，从 %s 下载",
			"public_key_id goes with the file of the key, pub_key.pem, from %s", publicKeyPage))
	case m.PublicKeyID == "" && m.PublicKeyFile != "":
		r.has(at+idAt, true, phrase.Say("给了 public_key_file 就要有公钥 ID（PUB_KEY_ID_ 开头），见 %s",
			"public_key_file goes with the id of the key (PUB_KEY_ID_…): %s", publicKeyPage))
	}
	if m.PublicKeyFile == "" {
		return
	}
	m.PublicKey = r.readPublicKey(at+fileAt, m.PublicKeyFile)
	if m.PublicKey != nil && m.PrivateKey != nil && m.PublicKey.Equal(m.PrivateKey.Public()) {
		r.bad(at+fileAt, phrase.Say("这是商户自己的公钥，不是微信支付的。从 %s 下载 pub_key.pem",
			"this is the merchant's own public key, not WeChat Pay's. Download pub_key.pem from %s", publicKeyPage))
	}
}

func (r *reader) checkApp(a App, at string, apps map[string]string) {
	if r.has(at+".id", a.ID == "", phrase.Say("写入小程序的 AppID：%s", "Give the AppID of the mini program: %s", appPage)) {
		if first, again := apps[a.ID]; again {
			r.bad(at+".id", phrase.Say("%[1]s 与 %[2]s 重复。下单只给出小程序，所以一个小程序只能属于一个商户",
				"%[1]s is in %[2]s already. Orders name the app alone, so an app belongs to one merchant", shorten(a.ID), first))
		}
		apps[a.ID] = at
		if !appID.MatchString(a.ID) {
			r.doubtful(at+".id", phrase.Say("%[1]q 不像 AppID，通常是 wx 加 16 位十六进制。见 %[2]s",
				"%[1]q doesn't look like an AppID, which is wx and 16 hex digits. See %[2]s", shorten(a.ID), appPage))
		}
	}
	r.has(at+".secret", a.Secret.IsZero(), phrase.Say("写入小程序的 AppSecret：%s",
		"Give the AppSecret of the mini program: %s", appPage))
}
