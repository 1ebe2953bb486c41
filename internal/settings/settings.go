// Package settings reads fenhao.yaml and the FENHAO_* environment variables, and checks all that can be checked without
// the network before anything starts.
//
//	s, err := settings.Load("fenhao.yaml", os.Environ())
//
// The fields of [Settings] are the one table of settings: their tags give the key, the default and what kind of value it
// is. From that table come the keys of the file, the names of the variables (merchants[0].apiv3_key is
// FENHAO_MERCHANTS_0_APIV3_KEY), the _file form of every secret, and what is said about a key that isn't there.
// A variable wins over the file; an empty variable counts as not set. Relative paths start at the folder of the file.
//
// Every mistake is reported at once, as an [*Error] that speaks Chinese and English: a line a problem, with the key, its
// line and the remedy. What may be right but looks wrong is in Settings.Warnings.
//
// The package does not know what the settings are for: it opens no database and asks nobody on the network whether a
// key is accepted.
package settings

import (
	"crypto/rsa"
	"path/filepath"
	"strings"
	"time"
)

// Settings is what the service is told. Load returns it complete and checked.
type Settings struct {
	Listen    string     `key:"listen" default:"127.0.0.1:8080"`     // HOST:PORT; without host: every interface
	PublicURL string     `key:"public_url"`                          // https://pay.example.com, without a slash at the end
	Database  string     `key:"database" default:"sqlite:fenhao.db"` // sqlite: and an absolute path
	SecretKey Secret     `key:"secret_key"`                          // 32 bytes or more
	WeChat    WeChat     `key:"wechat"`                              // where WeChat's servers are
	Merchants []Merchant `key:"merchants"`                           // one or more

	// Warnings is what the operator should look at, though the service can start.
	Warnings []Problem `json:"-"`
}

// WeChat says where WeChat's servers are. Both addresses have no slash at the end.
type WeChat struct {
	PayURL string `key:"pay_url" default:"https://api.mch.weixin.qq.com"`
	APIURL string `key:"api_url" default:"https://api.weixin.qq.com"`
}

// Merchant is one merchant number with its keys and the mini programs that it collects for.
type Merchant struct {
	ID                    string `key:"id"`                           // 8 to 10 digits
	API                   string `key:"api" default:"v3"`             // which API new orders use
	CertificateSerial     string `key:"certificate_serial"`           // 40 upper-case hex digits; from the certificate where left out
	PrivateKeyFile        string `key:"private_key_file,path"`        // PEM
	APIv3Key              Secret `key:"apiv3_key"`                    // 32 bytes
	PublicKeyID           string `key:"public_key_id"`                // PUB_KEY_ID_…; "" where WeChat signs with platform certificates
	PublicKeyFile         string `key:"public_key_file,path"`         // PEM; goes with PublicKeyID
	APIv2Key              Secret `key:"apiv2_key"`                    // 32 bytes
	ClientCertificateFile string `key:"client_certificate_file,path"` // PEM
	Apps                  []App  `key:"apps"`                         // one or more

	// PrivateKey is what PrivateKeyFile holds, never nil.
	PrivateKey *rsa.PrivateKey `json:"-" yaml:"-"`
	// PublicKey is what PublicKeyFile holds: the key that verifies WeChat Pay's signatures. Nil without that file.
	PublicKey *rsa.PublicKey `json:"-" yaml:"-"`
}

// App is a mini program. An app belongs to one merchant: orders name the app alone.
type App struct {
	ID     string `key:"id"`     // wx and 16 hex digits
	Secret Secret `key:"secret"` // AppSecret of the mini program
}

// Load reads the file at path and the FENHAO_* variables of environ (NAME=value, as os.Environ), variables winning, and
// checks the result. With path "" there is no file and the variables say all. It only reads, so it may be repeated.
//
// An error is always an [*Error], with every problem that was found.
func Load(path string, environ []string) (Settings, error) {
	return load(path, environ, time.Now())
}

// load is Load at the given time, which decides whether a certificate has expired.
func load(path string, environ []string, now time.Time) (Settings, error) {
	r := reader{
		file: path, dir: filepath.Dir(path),
		given: map[string]given{}, counts: map[string]int{}, lines: map[string]int{}, meant: map[string]bool{},
	}
	if path != "" && !r.readFile() {
		return Settings{}, r.failure() // what is missing can't be told from what was not read
	}
	r.readEnvironment(environ)
	var s Settings
	r.fill(&s)
	r.check(&s, now)
	sortProblems(r.warnings)
	s.Warnings = r.warnings
	if len(r.problems) > 0 {
		return Settings{}, r.failure()
	}
	return s, nil
}

func (r *reader) failure() error {
	sortProblems(r.problems)
	return &Error{File: r.file, Problems: r.problems}
}

// absolute returns path as seen from the folder of the file.
func (r *reader) absolute(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	joined := filepath.Join(r.dir, path)
	if abs, err := filepath.Abs(joined); err == nil {
		return abs
	}
	return joined // no working directory: the path stays relative to it
}

// shorten cuts a value that is told back to the operator.
func shorten(value string) string {
	value = strings.ToValidUTF8(value, "?")
	if runes := []rune(value); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return value
}
