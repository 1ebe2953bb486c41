package settings

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// now is when the tests happen.
var now = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)

const (
	secretKey = "a-secret-key-that-is-long-enough-for-anything"
	apiv3Key  = "0123456789abcdef0123456789ABCDEF"
	appSecret = "an-app-secret-nobody-may-see"
	serialOf  = "00000000000000000000000000000000001A2B3C" // that of every certificate made here
)

var (
	merchantKey = sync.OnceValue(newKey)
	wechatKey   = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

// valid is a file without a mistake; the line numbers below are those of its lines.
const valid = `listen: 127.0.0.1:8080
public_url: https://pay.example.com
database: sqlite:fenhao.db
secret_key: a-secret-key-that-is-long-enough-for-anything
wechat:
  pay_url: https://api.mch.weixin.qq.com
  api_url: https://api.weixin.qq.com
merchants:
  - id: "1900000001"
    api: v3
    certificate_serial: 00000000000000000000000000000000001A2B3C
    private_key_file: apiclient_key.pem
    apiv3_key: 0123456789abcdef0123456789ABCDEF
    public_key_id: PUB_KEY_ID_0119000000012026112000000000000000
    public_key_file: pub_key.pem
    client_certificate_file: apiclient_cert.pem
    apps:
      - id: wx0123456789abcdef
        secret: an-app-secret-nobody-may-see
`

// folder makes a folder with the key files that valid names, and more that tests name.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	pkcs8 := func(k crypto.PrivateKey) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	pkix := func(k crypto.PublicKey) []byte {
		der, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "apiclient_key.pem", block("PRIVATE KEY", pkcs8(merchantKey())))
	write(t, dir, "pkcs1.pem", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(merchantKey())))
	write(t, dir, "escaped.pem", strings.ReplaceAll(block("PRIVATE KEY", pkcs8(merchantKey())), "\n", `\n`))
	write(t, dir, "encrypted.pem", block("ENCRYPTED PRIVATE KEY", []byte("anything")))
	write(t, dir, "damaged.pem", block("PRIVATE KEY", pkcs8(merchantKey())[:900]))
	write(t, dir, "one_line.pem", strings.ReplaceAll(block("PRIVATE KEY", pkcs8(merchantKey())), "\n", ""))
	write(t, dir, "ec.pem", block("PRIVATE KEY", pkcs8(ec)))
	write(t, dir, "der.p12", string(pkcs8(merchantKey())))
	write(t, dir, "pub_key.pem", block("PUBLIC KEY", pkix(wechatKey().Public())))
	write(t, dir, "own_pub.pem", block("PUBLIC KEY", pkix(merchantKey().Public())))
	write(t, dir, "ec_pub.pem", block("PUBLIC KEY", pkix(ec.Public())))
	write(t, dir, "apiclient_cert.pem", certificate(t, merchantKey(), now.AddDate(5, 0, 0)))
	write(t, dir, "expired.pem", certificate(t, merchantKey(), now.AddDate(0, 0, -1)))
	write(t, dir, "expiring.pem", certificate(t, merchantKey(), now.AddDate(0, 0, 29)))
	write(t, dir, "other_cert.pem", certificate(t, wechatKey(), now.AddDate(5, 0, 0)))
	write(t, dir, "apiv3.txt", apiv3Key+"\r\n")
	write(t, dir, "empty.txt", "\n")
	return dir
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func certificate(t *testing.T, k *rsa.PrivateKey, until time.Time) string {
	t.Helper()
	template := x509.Certificate{
		SerialNumber: big.NewInt(0x1A2B3C), Subject: pkix.Name{CommonName: "1900000001"},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der)
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// edit replaces the only place of old in valid.
func edit(t *testing.T, old, new string) string {
	t.Helper()
	if strings.Count(valid, old) != 1 {
		t.Fatalf("%q stands %d times in the valid file", old, strings.Count(valid, old))
	}
	return strings.Replace(valid, old, new, 1)
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s, err := load(write(t, dir, "fenhao.yaml", valid), nil, now)
	if err != nil {
		t.Fatal(err)
	}
	m := s.Merchants[0]
	if !m.PrivateKey.Equal(merchantKey()) || !m.PublicKey.Equal(wechatKey().Public()) {
		t.Error("the keys are not those of the files")
	}
	if m.APIv3Key.Reveal() != apiv3Key || m.Apps[0].Secret.Reveal() != appSecret || s.SecretKey.Reveal() != secretKey {
		t.Error("the secrets are not those of the file")
	}
	if len(s.Warnings) > 0 {
		t.Errorf("warnings about a file without a mistake: %v", s.Warnings)
	}
	got := fmt.Sprintf("%v %v %v %v %v", s.Listen, s.PublicURL, s.Database, s.WeChat, []string{m.ID, m.API, m.CertificateSerial, m.PublicKeyID, m.Apps[0].ID})
	want := "127.0.0.1:8080 https://pay.example.com sqlite:" + filepath.Join(dir, "fenhao.db") +
		" {https://api.mch.weixin.qq.com https://api.weixin.qq.com} [1900000001 v3 " + serialOf +
		" PUB_KEY_ID_0119000000012026112000000000000000 wx0123456789abcdef]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What may be left out or written otherwise, with the same result.
func TestLoadAccepts(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	remove := func(lines ...string) string {
		text := valid
		for _, l := range lines {
			if !strings.Contains(text, l) {
				t.Fatalf("%q is not in the valid file", l)
			}
			text = strings.Replace(text, l, "", 1)
		}
		return text
	}
	full, err := load(write(t, dir, "full.yaml", valid), nil, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"defaults": remove("listen: 127.0.0.1:8080\n", "database: sqlite:fenhao.db\n", "    api: v3\n",
			"wechat:\n  pay_url: https://api.mch.weixin.qq.com\n  api_url: https://api.weixin.qq.com\n"),
		"a section all of comments":   strings.NewReplacer("  pay_url", "  # pay_url", "  api_url", "  # api_url").Replace(valid),
		"serial of the certificate":   remove("    certificate_serial: " + serialOf + "\n"),
		"serial as openssl prints it": edit(t, serialOf, `"`+strings.ToLower(regexp.MustCompile(`(..)\B`).ReplaceAllString(serialOf, "$1:"))+`"`),
		"no certificate":              remove("    client_certificate_file: apiclient_cert.pem\n"),
		"PKCS#1":                      edit(t, "apiclient_key.pem", "pkcs1.pem"),
		"escaped line ends":           edit(t, "apiclient_key.pem", "escaped.pem"),
		"number without quotes":       edit(t, `"1900000001"`, "1900000001"),
		"secret in a file":            edit(t, "apiv3_key: "+apiv3Key, "apiv3_key_file: apiv3.txt"),
		"absolute path":               edit(t, "apiclient_key.pem", filepath.Join(dir, "apiclient_key.pem")),
		"slash at the end":            edit(t, "https://pay.example.com", "https://pay.example.com/"),
		"byte order mark":             "\ufeff" + valid,
		"Windows line ends":           strings.ReplaceAll(valid, "\n", "\r\n"),
		"JSON is YAML":                toJSON(t, valid),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := load(write(t, dir, strings.ReplaceAll(name, " ", "_")+".yaml", text), nil, now)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := reveal(s), reveal(full); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func toJSON(t *testing.T, text string) string {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// reveal prints all of s, secrets included, except for the names of the key files.
func reveal(s Settings) string {
	text := s.SecretKey.Reveal()
	s.Merchants = slices.Clone(s.Merchants)
	for i := range s.Merchants {
		m := &s.Merchants[i]
		text += " " + m.PrivateKey.D.String() + " " + m.PublicKey.N.String() + " " + m.APIv3Key.Reveal() + " " + m.APIv2Key.Reveal()
		for _, a := range m.Apps {
			text += " " + a.Secret.Reveal()
		}
		m.PrivateKey, m.PublicKey, m.PrivateKeyFile, m.ClientCertificateFile = nil, nil, "", ""
	}
	return fmt.Sprintf("%+v ", s) + text
}

// wrongSettings are files with one mistake each, and what the operator is told.
var wrongSettings = []struct {
	name     string
	old, new string // the edit of the valid file
	line     int
	zh, en   string // the whole sentence, with DIR for the folder
}{
	{"unknown key", "merchants:", "merchnts:", 8,
		`未知设置 "merchnts"（第 8 行），你是想写 "merchants" 吗？`,
		`unknown setting "merchnts" (line 8). Did you mean "merchants"?`},
	{"unknown key of a merchant", "    apiv3_key:", "    apiv3key:", 13,
		`未知设置 "apiv3key"（第 13 行），你是想写 "apiv3_key" 吗？`,
		`unknown setting "apiv3key" (line 13). Did you mean "apiv3_key"?`},
	{"unknown key like nothing", "    api: v3", "    colour: blue", 10,
		`未知设置 "colour"（第 10 行）。这里可用：id, api, certificate_serial, private_key_file, apiv3_key, apiv3_key_file, public_key_id, public_key_file, apiv2_key, apiv2_key_file, client_certificate_file, apps`,
		`unknown setting "colour" (line 10). Here there are: id, api, certificate_serial, private_key_file, apiv3_key, apiv3_key_file, public_key_id, public_key_file, apiv2_key, apiv2_key_file, client_certificate_file, apps`},
	{"key in the wrong place", "listen: 127.0.0.1:8080", "private_key_file: apiclient_key.pem", 1,
		`设置 "private_key_file"（第 1 行）的位置不对，应写在 merchants[] 之下`,
		`setting "private_key_file" (line 1) is in the wrong place: it belongs under merchants[]`},
	{"top-level key in a merchant", "    api: v3", "    database: sqlite:x.db", 10,
		`设置 "database"（第 10 行）的位置不对，应写在最外层`,
		`setting "database" (line 10) is in the wrong place: it belongs at the top level`},
	{"key twice", "database: sqlite:fenhao.db", "listen: 127.0.0.1:9090", 3,
		`设置 "listen" 写了两次（第 1 行和第 3 行），删去其中一个`,
		`"listen" is set twice (lines 1 and 3); remove one`},
	{"secret twice over", "    api: v3", "    apiv3_key_file: apiv3.txt", 13,
		`merchants[0].apiv3_key（第 13 行）：已经有 merchants[0].apiv3_key_file 了，两者只留一个`,
		`merchants[0].apiv3_key (line 13): merchants[0].apiv3_key_file is given too; keep one of the two`},
	{"no value", "public_url: https://pay.example.com", "public_url:", 2,
		`public_url（第 2 行）：没有值。填上，或者删去这一行`,
		`public_url (line 2): no value. Fill it in, or remove the line`},
	{"empty value", "https://pay.example.com", `""`, 2,
		`public_url（第 2 行）：缺少。写入微信能访问到的 https 地址，例如 https://pay.example.com`,
		`public_url (line 2): missing. Give the https address at which WeChat reaches this service, for example https://pay.example.com`},
	{"list for a text", "https://pay.example.com", "[a, b]", 2,
		`public_url（第 2 行）：这里要写一个文本值，写在引号里`,
		`public_url (line 2): a text belongs here; put it in quotes`},
	{"truth for a text", "127.0.0.1:8080", "true", 1,
		`listen（第 1 行）：这里要写一个文本值，写在引号里`,
		`listen (line 1): a text belongs here; put it in quotes`},
	{"text for a list", "    apps:\n      - id: wx0123456789abcdef\n        secret: an-app-secret-nobody-may-see\n", "    apps: wx0123456789abcdef\n", 17,
		`merchants[0].apps（第 17 行）：这里要写列表：每一项另起一行，以“- ”开头`,
		`merchants[0].apps (line 17): a list belongs here: each entry on its own line, beginning with "- "`},
	{"text for a section", "wechat:\n  pay_url: https://api.mch.weixin.qq.com\n  api_url: https://api.weixin.qq.com\n", "wechat: https://api.weixin.qq.com\n", 5,
		`wechat（第 5 行）：这里要写下级设置，每行一个“名称: 值”。可用的名称：pay_url, api_url`,
		`wechat (line 5): settings belong here, one "name: value" a line. The names: pay_url, api_url`},
	{"alias", "127.0.0.1:8080", "*here", 1,
		`listen（第 1 行）：值要直接写出来，不能用 YAML 的 &、* 或 !`,
		`listen (line 1): write the value itself, without YAML's &, * or !`},
	{"merge key", "    api: v3", "    <<: v3", 10,
		`merchants[0].<<（第 10 行）：名称要直接写出来，不能用 YAML 的 ?、<< 或别名`,
		`merchants[0].<< (line 10): write the name itself, without YAML's ?, << or aliases`},
	{"tab", "  pay_url", "\tpay_url", 6,
		`第 6 行：YAML 写法不对（found character '\t' that cannot start any token）。用空格缩进，不用 Tab；含有 : # @ 等符号的值要加引号`,
		`line 6: not valid YAML (found character '\t' that cannot start any token). Indent with spaces, not tabs; quote values that contain : # @ and the like`},

	{"listen without port", "127.0.0.1:8080", "127.0.0.1", 1,
		`listen（第 1 行）："127.0.0.1" 不是 主机:端口，例如 127.0.0.1:8080`,
		`listen (line 1): "127.0.0.1" is not HOST:PORT, for example 127.0.0.1:8080`},
	{"listen to an address", "127.0.0.1:8080", "http://127.0.0.1:8080", 1,
		`listen（第 1 行）："http://127.0.0.1:8080" 不是 主机:端口，例如 127.0.0.1:8080`,
		`listen (line 1): "http://127.0.0.1:8080" is not HOST:PORT, for example 127.0.0.1:8080`},
	{"listen beyond the ports", "127.0.0.1:8080", "127.0.0.1:65536", 1,
		`listen（第 1 行）："127.0.0.1:65536" 不是 主机:端口，例如 127.0.0.1:8080`,
		`listen (line 1): "127.0.0.1:65536" is not HOST:PORT, for example 127.0.0.1:8080`},
	{"public address without scheme", "https://pay.example.com", "pay.example.com", 2,
		`public_url（第 2 行）："pay.example.com" 不是完整的网址，例如 https://pay.example.com`,
		`public_url (line 2): "pay.example.com" is not a whole address, for example https://pay.example.com`},
	{"public address in the clear", "https://pay.example.com", "http://pay.example.com", 2,
		`public_url（第 2 行）："http://pay.example.com" 必须是 https，微信只向 https 地址发通知（本机回环地址除外）`,
		`public_url (line 2): "http://pay.example.com" has to be https: WeChat notifies https addresses only (this machine's loopback aside)`},
	{"public address with a path", "https://pay.example.com", "https://pay.example.com/pay?x=1", 2,
		`public_url（第 2 行）：只写协议、主机和端口，去掉后面的路径和参数：https://pay.example.com`,
		`public_url (line 2): give scheme, host and port alone, without path and query: https://pay.example.com`},
	{"PostgreSQL", "sqlite:fenhao.db", "postgres://pay@db/fenhao", 3,
		`database（第 3 行）：这个版本只支持 SQLite，还不支持 PostgreSQL。写成 sqlite:文件名，例如 sqlite:fenhao.db`,
		`database (line 3): this version supports SQLite alone, not PostgreSQL. Write sqlite:FILE, for example sqlite:fenhao.db`},
	{"other database", "sqlite:fenhao.db", "fenhao.db", 3,
		`database（第 3 行）：应写成 sqlite:文件名，例如 sqlite:fenhao.db`,
		`database (line 3): should be sqlite:FILE, for example sqlite:fenhao.db`},
	{"database in memory", "sqlite:fenhao.db", `"sqlite::memory:"`, 3,
		`database（第 3 行）：要写一个文件，只存在内存里的账目重启就没有了。例如 sqlite:fenhao.db`,
		`database (line 3): a file is needed: books in memory are gone after a restart. For example sqlite:fenhao.db`},
	{"database with parameters", "sqlite:fenhao.db", "sqlite:fenhao.db?mode=ro", 3,
		`database（第 3 行）：sqlite: 之后只写文件名，不带 ? 或 # 参数`,
		`database (line 3): after sqlite: there is only a file, without ? or # parameters`},
	{"short secret key", secretKey, "too-short", 4,
		`secret_key（第 4 行）：现在是 9 字节，至少要 32 字节。生成一个：openssl rand -base64 32`,
		`secret_key (line 4): 9 bytes, 32 at least are needed. Make one: openssl rand -base64 32`},
	{"no secret key", "secret_key: " + secretKey + "\n", "", 0,
		`secret_key：缺少。写入至少 32 个随机字节：openssl rand -base64 32`,
		`secret_key: missing. Give 32 random bytes or more: openssl rand -base64 32`},
	{"pay address", "https://api.mch.weixin.qq.com", "api.mch.weixin.qq.com", 6,
		`wechat.pay_url（第 6 行）："api.mch.weixin.qq.com" 不是完整的网址，例如 https://api.mch.weixin.qq.com 或沙箱的 http://127.0.0.1:8090`,
		`wechat.pay_url (line 6): "api.mch.weixin.qq.com" is not a whole address, for example https://api.mch.weixin.qq.com, or http://127.0.0.1:8090 of a sandbox`},

	{"no merchant", valid[strings.Index(valid, "merchants:"):], "merchants: []\n", 0,
		`merchants：至少要有一个商户。用 fenhao init 生成的文件里有样例`,
		`merchants: there has to be one merchant at least. The file that fenhao init writes shows one`},
	{"merchant number", "1900000001\"", "19000\"", 9,
		`merchants[0].id（第 9 行）："19000" 不是商户号，应为 8 到 10 位数字。见 商户平台 › 账户中心 › 商户信息`,
		`merchants[0].id (line 9): "19000" is not a merchant number, which has 8 to 10 digits. See 商户平台 › 账户中心 › 商户信息 (merchant platform › account › merchant)`},
	{"merchant number twice", "merchants:\n", `merchants:
  - {id: "1900000001", private_key_file: apiclient_key.pem, client_certificate_file: apiclient_cert.pem, apiv3_key: ` + apiv3Key + `, apps: [{id: wx1111111111111111, secret: x}]}
`, 10,
		`merchants[1].id（第 10 行）：商户号 1900000001 与 merchants[0] 重复。把两处的 apps 合到一处`,
		`merchants[1].id (line 10): merchant 1900000001 is in merchants[0] already. Put the apps of both into one`},
	{"no merchant number", "  - id: \"1900000001\"\n    api: v3\n", "  - api: v3\n", 9,
		`merchants[0].id（第 9 行）：缺少。写入商户号：商户平台 › 账户中心 › 商户信息`,
		`merchants[0].id (line 9): missing. Give the merchant number: 商户平台 › 账户中心 › 商户信息 (merchant platform › account › merchant)`},
	{"v2", "api: v3", "api: v2", 10,
		`merchants[0].api（第 10 行）：这个版本不支持用 v2 下单。改成 v3；同一商户号可以直接改用 v3`,
		`merchants[0].api (line 10): this version can't place orders with v2. Set v3; the same merchant number can use it at once`},
	{"v4", "api: v3", "api: v4", 10, `merchants[0].api（第 10 行）："v4" 不对，应为 v3`, `merchants[0].api (line 10): "v4" is wrong, it should be v3`},
	{"short serial", serialOf, "1A2B3C", 11,
		`merchants[0].certificate_serial（第 11 行）：应为 40 位十六进制，现在是 6 个字符。见 商户平台 › 账户中心 › API 安全 › 商户API证书，或运行 openssl x509 -noout -serial -in apiclient_cert.pem`,
		`merchants[0].certificate_serial (line 11): 40 hex digits, this has 6 characters. See 商户平台 › 账户中心 › API 安全 › 商户API证书 (merchant platform › account › API security › merchant certificate), or run openssl x509 -noout -serial -in apiclient_cert.pem`},
	{"another serial", serialOf, strings.Repeat("5F", 20), 11,
		`merchants[0].certificate_serial（第 11 行）：与证书不符：DIR/apiclient_cert.pem 的序列号是 ` + serialOf + `。改成它，或删去这一行`,
		`merchants[0].certificate_serial (line 11): not that of the certificate: DIR/apiclient_cert.pem has ` + serialOf + `. Set that, or remove this line`},
	{"no serial at all", "    certificate_serial: " + serialOf + "\n    private_key_file: apiclient_key.pem\n    apiv3_key: " + apiv3Key +
		"\n    public_key_id: PUB_KEY_ID_0119000000012026112000000000000000\n    public_key_file: pub_key.pem\n    client_certificate_file: apiclient_cert.pem\n",
		"    private_key_file: apiclient_key.pem\n    apiv3_key: " + apiv3Key + "\n", 9,
		`merchants[0].certificate_serial（第 9 行）：缺少。写入证书序列号，或者用 client_certificate_file 给出证书文件。见 商户平台 › 账户中心 › API 安全 › 商户API证书`,
		`merchants[0].certificate_serial (line 9): missing. Give the certificate's serial number, or the certificate itself as client_certificate_file. See 商户平台 › 账户中心 › API 安全 › 商户API证书 (merchant platform › account › API security › merchant certificate)`},
	{"no private key", "    private_key_file: apiclient_key.pem\n", "", 9,
		`merchants[0].private_key_file（第 9 行）：缺少。写入商户私钥文件 apiclient_key.pem 的路径，从 商户平台 › 账户中心 › API 安全 › 商户API证书 下载`,
		`merchants[0].private_key_file (line 9): missing. Give the path of the merchant's private key, apiclient_key.pem, from 商户平台 › 账户中心 › API 安全 › 商户API证书 (merchant platform › account › API security › merchant certificate)`},
	{"no such key file", "apiclient_key.pem", "nowhere.pem", 12,
		`merchants[0].private_key_file（第 12 行）：没有文件 DIR/nowhere.pem。检查路径；相对路径从配置文件所在目录算起`,
		`merchants[0].private_key_file (line 12): there is no file DIR/nowhere.pem. Check the path; relative ones start at the folder of the configuration file`},
	{"folder for a key file", "apiclient_key.pem", ".", 12,
		`merchants[0].private_key_file（第 12 行）：读不出 DIR（is a directory）。它必须是一个普通文件`,
		`merchants[0].private_key_file (line 12): can't read DIR (is a directory). It has to be a regular file`},
	{"certificate for key", "apiclient_key.pem", "expired.pem", 12,
		`merchants[0].private_key_file（第 12 行）：DIR/expired.pem 是证书，不是私钥。私钥是同一压缩包里的 apiclient_key.pem`,
		`merchants[0].private_key_file (line 12): DIR/expired.pem is a certificate, not a private key. The key is apiclient_key.pem of the same archive`},
	{"public key for key", "apiclient_key.pem", "own_pub.pem", 12,
		`merchants[0].private_key_file（第 12 行）：DIR/own_pub.pem 里是 PUBLIC KEY，不是 RSA 私钥。这里要 apiclient_key.pem`,
		`merchants[0].private_key_file (line 12): DIR/own_pub.pem holds a PUBLIC KEY, not an RSA private key. This wants apiclient_key.pem`},
	{"encrypted key", "apiclient_key.pem", "encrypted.pem", 12,
		`merchants[0].private_key_file（第 12 行）：DIR/encrypted.pem 有密码保护。去掉密码：openssl rsa -in DIR/encrypted.pem -out apiclient_key.pem`,
		`merchants[0].private_key_file (line 12): DIR/encrypted.pem is protected by a password. Take it off: openssl rsa -in DIR/encrypted.pem -out apiclient_key.pem`},
	{"damaged key", "apiclient_key.pem", "damaged.pem", 12,
		`merchants[0].private_key_file（第 12 行）：DIR/damaged.pem 已损坏。原样复制下载的文件，不要经过编辑器或聊天软件`,
		`merchants[0].private_key_file (line 12): DIR/damaged.pem is damaged. Copy the file as downloaded, not through an editor or a chat`},
	{"key on one line", "apiclient_key.pem", "one_line.pem", 12,
		`merchants[0].private_key_file（第 12 行）：DIR/one_line.pem 不是 PEM 文件，应以“-----BEGIN”开头且保留换行。原样复制下载的文件`,
		`merchants[0].private_key_file (line 12): DIR/one_line.pem is not PEM: it should begin with -----BEGIN and keep its line ends. Copy the file as downloaded`},
	{"PKCS#12", "apiclient_key.pem", "der.p12", 12,
		`merchants[0].private_key_file（第 12 行）：DIR/der.p12 是二进制文件（如 apiclient_cert.p12）。改用同一压缩包里的 .pem 文件`,
		`merchants[0].private_key_file (line 12): DIR/der.p12 is binary (like apiclient_cert.p12). Use the .pem file of the same archive`},
	{"ECDSA", "apiclient_key.pem", "ec.pem", 12,
		`merchants[0].private_key_file（第 12 行）：DIR/ec.pem 里是 ECDSA 私钥，微信支付只用 RSA。这里要 apiclient_key.pem`,
		`merchants[0].private_key_file (line 12): DIR/ec.pem holds a private key of ECDSA, WeChat Pay uses RSA. This wants apiclient_key.pem`},
	{"small key", "apiclient_key.pem", "small.pem", 12,
		`merchants[0].private_key_file（第 12 行）：DIR/small.pem 是 1024 位 RSA 密钥，至少要 2048 位。原样使用微信支付给的密钥`,
		`merchants[0].private_key_file (line 12): DIR/small.pem is an RSA key of 1024 bits, 2048 at least are needed. Use the key that WeChat Pay gave`},

	{"short APIv3 key", apiv3Key, apiv3Key[1:], 13,
		`merchants[0].apiv3_key（第 13 行）：现在是 31 字节，应为 32 字节。到 商户平台 › 账户中心 › API 安全 › 设置 APIv3 密钥 核对；注意复制时多或少一个字符`,
		`merchants[0].apiv3_key (line 13): 31 bytes, it has to be 32. Compare with 商户平台 › 账户中心 › API 安全 › 设置 APIv3 密钥 (merchant platform › account › API security › APIv3 key); mind a letter more or less when copying`},
	{"APIv3 key with a blank", apiv3Key, `"` + apiv3Key + ` "`, 13,
		`merchants[0].apiv3_key（第 13 行）：现在是 33 字节，应为 32 字节。到 商户平台 › 账户中心 › API 安全 › 设置 APIv3 密钥 核对；其中有空白字符，多半是复制时带上的`,
		`merchants[0].apiv3_key (line 13): 33 bytes, it has to be 32. Compare with 商户平台 › 账户中心 › API 安全 › 设置 APIv3 密钥 (merchant platform › account › API security › APIv3 key); there is white space in it, most likely copied along`},
	{"empty APIv3 key file", "apiv3_key: " + apiv3Key, "apiv3_key_file: empty.txt", 13,
		`merchants[0].apiv3_key_file（第 13 行）：文件 DIR/empty.txt 是空的`,
		`merchants[0].apiv3_key_file (line 13): the file DIR/empty.txt is empty`},
	{"no APIv3 key file", "apiv3_key: " + apiv3Key, "apiv3_key_file: nowhere.txt", 13,
		`merchants[0].apiv3_key_file（第 13 行）：没有文件 DIR/nowhere.txt。检查路径；相对路径从配置文件所在目录算起`,
		`merchants[0].apiv3_key_file (line 13): there is no file DIR/nowhere.txt. Check the path; relative ones start at the folder of the configuration file`},
	{"public key id", "PUB_KEY_ID_0119000000012026112000000000000000", "0119000000012026112000000000000000", 14,
		`merchants[0].public_key_id（第 14 行）："0119000000012026112000000000000000" 不是公钥 ID，应以 PUB_KEY_ID_ 开头，整个照抄。见 商户平台 › 账户中心 › API 安全 › 微信支付公钥`,
		`merchants[0].public_key_id (line 14): "0119000000012026112000000000000000" is not the id of a public key: it begins with PUB_KEY_ID_, all of which belongs to it. See 商户平台 › 账户中心 › API 安全 › 微信支付公钥 (merchant platform › account › API security › WeChat Pay public key)`},
	{"public key without id", "    public_key_id: PUB_KEY_ID_0119000000012026112000000000000000\n", "", 9,
		`merchants[0].public_key_id（第 9 行）：缺少。给了 public_key_file 就要有公钥 ID（PUB_KEY_ID_ 开头），见 商户平台 › 账户中心 › API 安全 › 微信支付公钥`,
		`merchants[0].public_key_id (line 9): missing. public_key_file goes with the id of the key (PUB_KEY_ID_…): 商户平台 › 账户中心 › API 安全 › 微信支付公钥 (merchant platform › account › API security › WeChat Pay public key)`},
	{"public key id without key", "    public_key_file: pub_key.pem\n", "", 9,
		`merchants[0].public_key_file（第 9 行）：缺少。给了 public_key_id 就要有公钥文件 pub_key.pem，从 商户平台 › 账户中心 › API 安全 › 微信支付公钥 下载`,
		`merchants[0].public_key_file (line 9): missing. public_key_id goes with the file of the key, pub_key.pem, from 商户平台 › 账户中心 › API 安全 › 微信支付公钥 (merchant platform › account › API security › WeChat Pay public key)`},
	{"own public key", "pub_key.pem", "own_pub.pem", 15,
		`merchants[0].public_key_file（第 15 行）：这是商户自己的公钥，不是微信支付的。从 商户平台 › 账户中心 › API 安全 › 微信支付公钥 下载 pub_key.pem`,
		`merchants[0].public_key_file (line 15): this is the merchant's own public key, not WeChat Pay's. Download pub_key.pem from 商户平台 › 账户中心 › API 安全 › 微信支付公钥 (merchant platform › account › API security › WeChat Pay public key)`},
	{"private key for public", "pub_key.pem", "pkcs1.pem", 15,
		`merchants[0].public_key_file（第 15 行）：DIR/pkcs1.pem 是私钥。这里要微信支付公钥 pub_key.pem，从 商户平台 › 账户中心 › API 安全 › 微信支付公钥 下载`,
		`merchants[0].public_key_file (line 15): DIR/pkcs1.pem is a private key. This wants WeChat Pay's public key pub_key.pem, from 商户平台 › 账户中心 › API 安全 › 微信支付公钥 (merchant platform › account › API security › WeChat Pay public key)`},
	{"certificate for public key", "pub_key.pem", "other_cert.pem", 15,
		`merchants[0].public_key_file（第 15 行）：DIR/other_cert.pem 里是 CERTIFICATE，不是公钥。这里要微信支付公钥 pub_key.pem，从 商户平台 › 账户中心 › API 安全 › 微信支付公钥 下载`,
		`merchants[0].public_key_file (line 15): DIR/other_cert.pem holds a CERTIFICATE, not a public key. This wants WeChat Pay's public key pub_key.pem, from 商户平台 › 账户中心 › API 安全 › 微信支付公钥 (merchant platform › account › API security › WeChat Pay public key)`},
	{"ECDSA public key", "pub_key.pem", "ec_pub.pem", 15,
		`merchants[0].public_key_file（第 15 行）：DIR/ec_pub.pem 里是 ECDSA 公钥，微信支付用 RSA。从 商户平台 › 账户中心 › API 安全 › 微信支付公钥 重新下载`,
		`merchants[0].public_key_file (line 15): DIR/ec_pub.pem holds a public key of ECDSA, WeChat Pay uses RSA. Download it again from 商户平台 › 账户中心 › API 安全 › 微信支付公钥 (merchant platform › account › API security › WeChat Pay public key)`},

	{"certificate of another key", "apiclient_cert.pem", "other_cert.pem", 16,
		`merchants[0].client_certificate_file（第 16 行）：DIR/other_cert.pem 是另一个私钥的证书，与 private_key_file 不是一对。两个文件要出自同一个压缩包`,
		`merchants[0].client_certificate_file (line 16): DIR/other_cert.pem is the certificate of another key, not that of private_key_file. Take both files from one archive`},
	{"expired certificate", "apiclient_cert.pem", "expired.pem", 16,
		`merchants[0].client_certificate_file（第 16 行）：证书已于 2026-11-19 过期。到 商户平台 › 账户中心 › API 安全 › 商户API证书 更换`,
		`merchants[0].client_certificate_file (line 16): the certificate expired on 2026-11-19. Renew it at 商户平台 › 账户中心 › API 安全 › 商户API证书 (merchant platform › account › API security › merchant certificate)`},
	{"certificate not yet valid", "apiclient_cert.pem", "future.pem", 16,
		`merchants[0].client_certificate_file（第 16 行）：证书从 2027-11-20 起才有效。检查本机时钟`,
		`merchants[0].client_certificate_file (line 16): the certificate is valid from 2027-11-20 on. Check this machine's clock`},
	{"no certificate file", "apiclient_cert.pem", "nowhere.pem", 16,
		`merchants[0].client_certificate_file（第 16 行）：没有文件 DIR/nowhere.pem。检查路径；相对路径从配置文件所在目录算起`,
		`merchants[0].client_certificate_file (line 16): there is no file DIR/nowhere.pem. Check the path; relative ones start at the folder of the configuration file`},
	{"key for certificate", "apiclient_cert.pem", "pkcs1.pem", 16,
		`merchants[0].client_certificate_file（第 16 行）：DIR/pkcs1.pem 里是 RSA PRIVATE KEY，不是证书。证书是同一压缩包里的 apiclient_cert.pem`,
		`merchants[0].client_certificate_file (line 16): DIR/pkcs1.pem holds a RSA PRIVATE KEY, not a certificate. The certificate is apiclient_cert.pem of the same archive`},

	{"no app", "      - id: wx0123456789abcdef\n        secret: an-app-secret-nobody-may-see\n", "", 9,
		`merchants[0].apps（第 9 行）：至少要有一个小程序：id 和 secret，见 小程序后台 › 开发管理 › 开发设置`,
		`merchants[0].apps (line 9): there has to be one mini program at least, with id and secret: 小程序后台 › 开发管理 › 开发设置 (mini program's console › development › settings)`},
	{"no app id", "      - id: wx0123456789abcdef\n        secret:", "      - secret:", 18,
		`merchants[0].apps[0].id（第 18 行）：缺少。写入小程序的 AppID：小程序后台 › 开发管理 › 开发设置`,
		`merchants[0].apps[0].id (line 18): missing. Give the AppID of the mini program: 小程序后台 › 开发管理 › 开发设置 (mini program's console › development › settings)`},
	{"no app secret", "        secret: an-app-secret-nobody-may-see\n", "", 18,
		`merchants[0].apps[0].secret（第 18 行）：缺少。写入小程序的 AppSecret：小程序后台 › 开发管理 › 开发设置`,
		`merchants[0].apps[0].secret (line 18): missing. Give the AppSecret of the mini program: 小程序后台 › 开发管理 › 开发设置 (mini program's console › development › settings)`},
	{"app twice", "        secret: an-app-secret-nobody-may-see\n", "        secret: an-app-secret-nobody-may-see\n      - id: wx0123456789abcdef\n        secret: x\n", 20,
		`merchants[0].apps[1].id（第 20 行）：wx0123456789abcdef 与 merchants[0].apps[0] 重复。下单只给出小程序，所以一个小程序只能属于一个商户`,
		`merchants[0].apps[1].id (line 20): wx0123456789abcdef is in merchants[0].apps[0] already. Orders name the app alone, so an app belongs to one merchant`},
}

func TestWrongSettings(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	small, err := os.ReadFile("testdata/rsa1024.pem") // opens nothing
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "small.pem", string(small))
	template := x509.Certificate{SerialNumber: big.NewInt(0x1A2B3C), NotBefore: now.AddDate(1, 0, 0), NotAfter: now.AddDate(2, 0, 0)}
	future, err := x509.CreateCertificate(rand.Reader, &template, &template, merchantKey().Public(), merchantKey())
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "future.pem", block("CERTIFICATE", future))

	for i, c := range wrongSettings {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(write(t, dir, fmt.Sprintf("wrong%d.yaml", i), edit(t, c.old, c.new)), nil, now)
			all := problemsOf(t, err)
			p := all[0]
			if len(all) != 1 {
				t.Errorf("%d problems for one mistake:\n%v", len(all), err)
			}
			if p.Line != c.line {
				t.Errorf("line %d, want %d", p.Line, c.line)
			}
			if got, want := p.In("zh"), strings.ReplaceAll(c.zh, "DIR", dir); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if got, want := p.In("en"), strings.ReplaceAll(c.en, "DIR", dir); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func problemsOf(t *testing.T, err error) []Problem {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || len(e.Problems) == 0 {
		t.Fatalf("got %v, want an error with problems", err)
	}
	return e.Problems
}

// Everything that is wrong is told at once: in the order of the file, then what the file doesn't have.
func TestReport(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	text := edit(t, "database: sqlite:fenhao.db\n", "databse: sqlite:fenhao.db\n")
	text = strings.Replace(text, "secret_key: "+secretKey+"\n", "", 1)
	text = strings.Replace(text, "127.0.0.1:8080", "here", 1)
	file := write(t, dir, "fenhao.yaml", text)
	_, err := load(file, []string{"FENHAO_LISTN=:80", "FENHAO_MERCHANTS_0_APIV3_KEY=short"}, now)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	want := file + ` 有 5 处问题，没有启动：
  listen（第 1 行）："here" 不是 主机:端口，例如 127.0.0.1:8080
  未知设置 "databse"（第 3 行），你是想写 "database" 吗？
  未知环境变量 FENHAO_LISTN，你是想写 FENHAO_LISTEN 吗？
  secret_key：缺少。写入至少 32 个随机字节：openssl rand -base64 32
  FENHAO_MERCHANTS_0_APIV3_KEY：现在是 5 字节，应为 32 字节。到 商户平台 › 账户中心 › API 安全 › 设置 APIv3 密钥 核对；注意复制时多或少一个字符`
	if got := e.In("zh"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := strings.SplitN(err.Error(), "\n", 2)[0], file+": 5 problems, nothing was started:"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnreadableFile(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for name, c := range map[string]struct{ file, want string }{
		"none":      {filepath.Join(dir, "none.yaml"), "there is no such file. Make one: fenhao init --config " + filepath.Join(dir, "none.yaml")},
		"folder":    {dir, "is a directory"},
		"UTF-16":    {write(t, dir, "utf16.yaml", "\xff\xfel\x00i\x00"), "not UTF-8"},
		"two":       {write(t, dir, "two.yaml", valid+"---\n"+valid), "line 21: one file holds one set of settings"},
		"open text": {write(t, dir, "open.yaml", "secret_key: '"+secretKey+"\n"), "line 1: not valid YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(c.file, nil, now)
			problems := problemsOf(t, err)
			if len(problems) != 1 || !strings.Contains(problems[0].In("en"), c.want) {
				t.Errorf("got %v\nwant %q", err, c.want)
			}
			if strings.Contains(err.Error(), secretKey) {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	file := write(t, dir, "fenhao.yaml", valid)
	other := strings.Repeat("k", 32)
	write(t, dir, "other.txt", other+"\n")

	s, err := load(file, []string{
		"HOME=/root", "FENHAO_LANG=zh", "FENHAO_DATABASE=", // not settings, or not set
		"FENHAO_LISTEN=0.0.0.0:1", "FENHAO_LISTEN=0.0.0.0:80", // as for os.Getenv, the last one counts
		"FENHAO_WECHAT_PAY_URL=http://127.0.0.1:8090/",
		"FENHAO_SECRET_KEY=" + other,
		"FENHAO_MERCHANTS_0_APIV3_KEY_FILE=other.txt",
		"FENHAO_MERCHANTS_0_APPS_0_SECRET=s0",
		"FENHAO_MERCHANTS_0_APPS_1_ID=wx1111111111111111",
		"FENHAO_MERCHANTS_0_APPS_1_SECRET=s1",
		"FENHAO_SERVICE_HOST=10.0.0.1", "FENHAO_SERVICE_PORT_HTTP=80", "FENHAO_PORT=tcp://10.0.0.1:80", // a Service of Kubernetes
		"FENHAO_PORT_80_TCP_ADDR=10.0.0.1", "FENHAO_CONSOLE_PORT_80_TCP=tcp://10.0.0.1:80",
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	m := s.Merchants[0]
	got := fmt.Sprint(s.Listen, s.WeChat.PayURL, s.SecretKey.Reveal(), m.APIv3Key.Reveal(), m.ID, len(m.Apps), m.Apps[0].Secret.Reveal(), m.Apps[1].ID, m.Apps[1].Secret.Reveal(), filepath.Base(s.Database))
	want := fmt.Sprint("0.0.0.0:80", "http://127.0.0.1:8090", other, other, "1900000001", 2, "s0", "wx1111111111111111", "s1", "fenhao.db")
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A container may have no file at all.
func TestEnvironmentAlone(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	environ := []string{
		"FENHAO_PUBLIC_URL=https://pay.example.com", "FENHAO_SECRET_KEY=" + secretKey,
		"FENHAO_MERCHANTS_0_ID=1900000001", "FENHAO_MERCHANTS_0_APIV3_KEY=" + apiv3Key,
		"FENHAO_MERCHANTS_0_PRIVATE_KEY_FILE=" + filepath.Join(dir, "apiclient_key.pem"),
		"FENHAO_MERCHANTS_0_CLIENT_CERTIFICATE_FILE=" + filepath.Join(dir, "apiclient_cert.pem"),
	}
	for i := range 12 { // 10 and 11 come after 2, however they sort as text
		environ = append(environ, fmt.Sprintf("FENHAO_MERCHANTS_0_APPS_%d_ID=wx%016x", i, i), fmt.Sprintf("FENHAO_MERCHANTS_0_APPS_%d_SECRET=s", i))
	}
	s, err := load("", environ, now)
	if err != nil {
		t.Fatal(err)
	}
	if m := s.Merchants[0]; m.CertificateSerial != serialOf || len(m.Apps) != 12 || m.Apps[11].ID != "wx000000000000000b" {
		t.Errorf("got serial %s and apps %v", m.CertificateSerial, m.Apps)
	}
	if _, err = load("", nil, now); !strings.Contains(fmt.Sprint(err), "FENHAO_* variables: 3 problems") {
		t.Errorf("got %v", err)
	}
}

func TestWrongVariables(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	file := write(t, dir, "fenhao.yaml", valid)
	for variable, want := range map[string]string{
		"FENHAO_LISTN=:80":                           "unknown variable FENHAO_LISTN. Did you mean FENHAO_LISTEN?",
		"FENHAO_MERCHANTS_0_APPS_1_SECRT=x":          "unknown variable FENHAO_MERCHANTS_0_APPS_1_SECRT. Did you mean FENHAO_MERCHANTS_0_APPS_1_SECRET?",
		"FENHAO_COMPLETELY_DIFFERENT=x":              "unknown variable FENHAO_COMPLETELY_DIFFERENT. What begins with FENHAO_ must be a setting; correct it, or unset it",
		"FENHAO_MERCHANTS_2_ID=1900000002":           "FENHAO_MERCHANTS_2_ID: merchants[1] is missing before it: entries are counted from 0 without gaps",
		"FENHAO_PORT=8080":                           "unknown variable FENHAO_PORT. What begins with FENHAO_ must be a setting; correct it, or unset it",
		"FENHAO_MERCHANTS_0_PRIVATE_KEY_FILE=no.pem": "FENHAO_MERCHANTS_0_PRIVATE_KEY_FILE: there is no file " + filepath.Join(dir, "no.pem"),
		"FENHAO_MERCHANTS_00_ID=1900000002":          "unknown variable FENHAO_MERCHANTS_00_ID",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			_, err := load(file, []string{variable}, now)
			if problems := problemsOf(t, err); len(problems) != 1 || !strings.HasPrefix(problems[0].In("en"), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
	_, err := load(file, []string{"FENHAO_SECRET_KEY=" + secretKey, "FENHAO_SECRET_KEY_FILE=other.txt"}, now)
	if want := "FENHAO_SECRET_KEY_FILE: FENHAO_SECRET_KEY is given too; keep one of the two"; !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	dir := folder(t)
	for name, c := range map[string]struct {
		old, new string
		want     string
	}{
		"app id":         {"wx0123456789abcdef", "wxABC", `merchants[0].apps[0].id (line 18): "wxABC" doesn't look like an AppID`},
		"certificate":    {"apiclient_cert.pem", "expiring.pem", "merchants[0].client_certificate_file (line 16): the certificate expires on 2026-12-19"},
		"loopback":       {"https://pay.example.com", "http://127.0.0.1:8080", "public_url (line 2): WeChat's servers can't reach http://127.0.0.1:8080"},
		"v2 key":         {"api: v3", "apiv2_key: " + apiv3Key, "merchants[0].apiv2_key (line 10): this version doesn't speak v2"},
		"key file":       {"apiclient_key.pem", "open_key.pem", "merchants[0].private_key_file (line 12): DIR/open_key.pem has mode 0644"},
		"file of secret": {"apiv3_key: " + apiv3Key, "apiv3_key_file: open.txt", "merchants[0].apiv3_key_file (line 13): DIR/open.txt has mode 0640"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			key, err := os.ReadFile(filepath.Join(dir, "apiclient_key.pem"))
			if err != nil {
				t.Fatal(err)
			}
			mode(t, write(t, dir, "open_key.pem", string(key)), 0o644)
			mode(t, write(t, dir, "open.txt", apiv3Key), 0o640)
			s, err := load(write(t, dir, "fenhao.yaml", edit(t, c.old, c.new)), nil, now)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Warnings) != 1 || !strings.HasPrefix(strings.ReplaceAll(s.Warnings[0].In("en"), dir, "DIR"), c.want) {
				t.Errorf("got  %v\nwant %s", s.Warnings, c.want)
			}
		})
	}
	file := write(t, dir, "open.yaml", valid)
	mode(t, file, 0o644)
	s, err := load(file, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if want := file + " has mode 0644, so others may read its secrets. Run: chmod 600 " + file; len(s.Warnings) != 1 || s.Warnings[0].In("en") != want {
		t.Errorf("got  %v\nwant %s", s.Warnings, want)
	}
}

func mode(t *testing.T, file string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

// No way of printing or encoding shows a secret or a private key.
func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s, err := load(write(t, dir, "fenhao.yaml", valid), nil, now)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", s.SecretKey)
		fmt.Fprintf(&out, verb+"\n", &s.SecretKey)
	}
	for _, v := range []any{s, s.Merchants[0], s.SecretKey} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		y, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(j)
		out.Write(y)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("settings", "s", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("settings", "s", v)
	}
	for _, hidden := range []string{secretKey, fmt.Sprintf("%x", secretKey), apiv3Key, appSecret, merchantKey().D.String(), merchantKey().Primes[0].String()} {
		if strings.Contains(out.String(), hidden) {
			t.Errorf("%q is shown in\n%s", hidden, out.String())
		}
	}
	if !strings.Contains(out.String(), "[secret]") {
		t.Error("nothing was shown at all")
	}
	if reflect.TypeFor[Secret]().Comparable() {
		t.Error("secrets compare with ==")
	}
	if !s.SecretKey.Equal(NewSecret(secretKey)) || s.SecretKey.Equal(NewSecret(secretKey+"x")) || s.SecretKey.IsZero() || !(Secret{}).IsZero() {
		t.Error("Equal or IsZero is wrong")
	}
}
