package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/fenhao-pay/fenhao/sandbox"
)

// addresses are where the sandbox is reached: base addresses, "" where it isn't.
type addresses struct {
	Sandbox string `json:"sandbox"`
	TLS     string `json:"tls,omitempty"`
	Proxy   string `json:"proxy,omitempty"`
}

// exported is the content of merchant.json: the merchant as the control API shows it, and where its WeChat is.
type exported struct {
	sandbox.Merchant
	addresses
}

// export writes into dir what an SDK in another process needs: ca.pem, and for each merchant a folder named by its
// number with the files that a merchant gets from WeChat Pay, under the names that WeChat Pay gives them.
//
//	<mchid>/apiclient_key.pem        the merchant's private key
//	<mchid>/apiclient_cert.pem       its certificate
//	<mchid>/wechatpay_<serial>.pem   each platform certificate
//	<mchid>/pub_key.pem              the WeChat Pay public key
//	<mchid>/merchant.json            all of it, with ids, serials, secrets and addresses
//
// Files of these names are replaced, each at once or not at all. Platform certificates that an earlier merchant.json
// names and that the merchant has no more are removed, because SDKs load whatever matches wechatpay_*.pem. Nothing else
// is touched.
func export(dir string, merchants []sandbox.Merchant, ca []byte, at addresses) error {
	err := replaceFile(filepath.Join(dir, "ca.pem"), ca, 0o644)
	for _, m := range merchants {
		if err == nil {
			err = exportMerchant(filepath.Join(dir, m.ID), m, at)
		}
	}
	return notExported(dir, err)
}

// canExport makes dir and tells whether files can be made in it.
func canExport(dir string) error {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, temporaryName); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	return notExported(dir, err)
}

func notExported(dir string, err error) error {
	if err == nil {
		return nil
	}
	return failure("不能写入目录 %s（%v）：检查权限，或用 --export 换一个目录",
		"can't write into the folder %s (%v): check its permissions, or choose another with --export", dir, err)
}

func exportMerchant(dir string, m sandbox.Merchant, at addresses) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	outdated := exportedSerials(filepath.Join(dir, "merchant.json"))

	// WeChat Pay's own private keys stay with WeChat Pay.
	m.PublicKeyPrivateKey, m.PlatformCertificates = "", slices.Clone(m.PlatformCertificates)
	type file struct {
		name, text string
		mode       os.FileMode
	}
	files := []file{
		{"apiclient_key.pem", m.PrivateKey, 0o600},
		{"apiclient_cert.pem", m.Certificate, 0o644},
		{"pub_key.pem", m.PublicKey, 0o644},
	}
	for i := range m.PlatformCertificates {
		p := &m.PlatformCertificates[i]
		p.PrivateKey = ""
		files = append(files, file{platformFile(p.Serial), p.Certificate, 0o644})
		outdated = slices.DeleteFunc(outdated, func(serial string) bool { return serial == p.Serial })
	}
	text, err := json.MarshalIndent(exported{m, at}, "", "  ")
	if err != nil {
		return err
	}
	files = append(files, file{"merchant.json", string(text) + "\n", 0o600}) // last: who reads it finds the rest
	for _, f := range files {
		if err := replaceFile(filepath.Join(dir, f.name), []byte(f.text), f.mode); err != nil {
			return err
		}
	}
	for _, serial := range outdated {
		if err := os.Remove(filepath.Join(dir, platformFile(serial))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func platformFile(serial string) string { return "wechatpay_" + serial + ".pem" }

var isSerial = regexp.MustCompile(`^[0-9A-F]{1,40}$`).MatchString

// exportedSerials are the platform certificates of an earlier export; none where there was none.
func exportedSerials(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var m sandbox.Merchant
	if json.Unmarshal(text, &m) != nil {
		return nil // not ours: it is replaced, and what it says is nothing to go by
	}
	var serials []string
	for _, p := range m.PlatformCertificates {
		if isSerial(p.Serial) { // it becomes part of a file name
			serials = append(serials, p.Serial)
		}
	}
	return serials
}

// temporaryName is the pattern of files that are about to take another name.
const temporaryName = ".fenhao-*"

// replaceFile makes the file, or puts it in the place of the one that is there, at once or not at all.
func replaceFile(path string, text []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), temporaryName)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error is the one to tell
	}
	return err
}
