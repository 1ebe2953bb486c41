package main

import (
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// InitCmd is `fenhao init`.
type InitCmd struct {
	Config string `help:"${init_config}" default:"fenhao.yaml" placeholder:"FILE"`
}

//go:embed fenhao.yaml
var sample string

// secretKeyPlace stands in the sample where the secret key goes.
const secretKeyPlace = "SECRET_KEY"

// Run writes the file and says what to do next. A file that exists is never touched.
func (c *InitCmd) Run(e *env) error {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails; the program ends where the system has no randomness
	text := strings.Replace(sample, secretKeyPlace, base64.RawURLEncoding.EncodeToString(key), 1)

	err := writeNew(c.Config, text)
	switch {
	case errors.Is(err, fs.ErrExist):
		return failure("%[1]s 已存在，没有改动它。换一个文件名：fenhao init --config FILE",
			"%[1]s exists and was left as it is. Take another name: fenhao init --config FILE", c.Config)
	case errors.Is(err, fs.ErrNotExist):
		return failure("%[1]s 所在的目录不存在。先建立目录：mkdir -p",
			"the directory of %[1]s does not exist. Make it first: mkdir -p", c.Config)
	case err != nil:
		return failure("写不了 %[1]s：%[2]v", "can't write %[1]s: %[2]v", c.Config, err)
	}
	_, err = fmt.Fprintf(e.stdout, e.text(nextStepsZH, nextStepsEN), c.Config)
	return err
}

const nextStepsZH = `已写入 %[1]s（权限 0600，含新的 secret_key；请备份，不要提交到 Git）

接下来：
  1. 从 商户平台 › 账户中心 › API 安全 下载商户 API 证书，把 apiclient_key.pem 和 apiclient_cert.pem 放在它旁边，
     chmod 600 apiclient_key.pem
  2. 在 %[1]s 里填五个值：public_url，商户号 id，apiv3_key，小程序的 id 和 secret
     商户使用微信支付公钥时，再填 public_key_id 和 public_key_file
  3. 启动：fenhao serve --config %[1]s
     写错的地方会一次全部列出，每处都带改法

还没有商户号？先在本机试：fenhao dev
`

const nextStepsEN = `Wrote %[1]s (mode 0600, with a fresh secret_key: back it up, keep it out of Git)

Next:
  1. Download the merchant API certificate (商户平台 › 账户中心 › API 安全) and put apiclient_key.pem and
     apiclient_cert.pem beside the file; chmod 600 apiclient_key.pem
  2. Fill five values into %[1]s: public_url, the merchant's id and apiv3_key, the mini program's id and secret.
     A merchant with a WeChat Pay public key (微信支付公钥) fills public_key_id and public_key_file too
  3. Start: fenhao serve --config %[1]s
     Whatever is wrong is listed at once, each with its remedy

No merchant number yet? Try it on this machine: fenhao dev
`

// writeNew makes the file, readable by its owner alone, or leaves nothing behind. Where one exists the error is
// fs.ErrExist.
func writeNew(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(name) // the first error is the one to tell
	}
	return err
}
