package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/sandbox"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// Run starts the service and the emulator in one process and serves until the context ends. Both keep their state in
// the data folder, so that the next run goes on where this one stopped, however it stopped.
func (c *DevCmd) Run(e *env) error {
	log := e.logger(c.JSON)
	known := fileExists(filepath.Join(c.Data, "fenhao.db"))
	front, err := listen(c.Listen, "--listen")
	if err != nil {
		return err
	}
	defer front.Close()
	back, err := listen(c.SandboxListen, "--sandbox-listen")
	if err != nil {
		return err
	}
	defer back.Close()
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return failure("不能建立数据目录 %s（%v）：用 --data 换一个目录", "can't make the data folder %s (%v): choose another with --data", c.Data, err)
	}
	wx, err := sandbox.New(sandbox.Options{Data: filepath.Join(c.Data, "sandbox"), Service: urlOf(front), Logger: log})
	if err != nil {
		return err
	}
	defer wx.Close()
	wx.SetBaseURL(urlOf(back))
	p, err := devParts(c.Data, wx, urlOf(front), urlOf(back), log)
	if err != nil {
		return err
	}
	service, err := assemble(e.ctx, p)
	if err != nil {
		return err
	}
	defer service.Close()
	key, err := devSeed(e.ctx, service.cashier, c.Data)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(e.ctx)
	defer stop()
	m := p.merchants[0]
	r := ready{Service: urlOf(front), Sandbox: urlOf(back), Console: urlOf(front) + "/console/", Phone: urlOf(back) + "/phone",
		AppID: m.appIDs()[0], MerchantID: m.id, APIKey: key}
	worked := service.work(ctx)
	if c.JSON {
		err = r.print(e.stdout)
	} else {
		err = c.welcome(e, r, known)
	}
	if err != nil {
		return err
	}
	err = serveUntil(ctx, log, site{front, service.handler}, site{back, wx})
	stop()
	<-worked
	if !c.JSON {
		fmt.Fprintf(e.stderr, "\n%s %s\n", e.text("已停止，数据保存在", "stopped; everything is kept in"), c.Data)
	}
	return err
}

// welcome prints where everything is.
func (c *DevCmd) welcome(e *env, r ready, known bool) error {
	state := e.text("新建", "new")
	if known {
		state = e.text("继续使用", "going on")
	}
	_, err := fmt.Fprint(e.stdout,
		"\nfenhao dev   ", e.text("沙箱模式：不连接微信，不会产生真实扣款", "sandbox mode: nothing leaves this machine, no real money moves"), "\n\n",
		"  ", e.text("数据          ", "data            "), c.Data, " (", state, ", SQLite)\n",
		"  ", e.text("沙箱商户      ", "merchant        "), r.MerchantID, "  ", r.AppID, "\n",
		"  ", e.text("服务 API      ", "service API     "), r.Service, "  (/openapi.json)\n",
		"  ", e.text("API 密钥      ", "API key         "), r.APIKey, "\n",
		"  ", e.text("微信模拟器    ", "WeChat emulator "), r.Sandbox, "\n\n",
		"  ", e.text("▶ 打开手机，买点东西：", "▶ open the phone and buy something: "), r.Phone, "\n\n")
	return err
}

// devParts takes what a service is made of from the emulator, so that both match from the start. Business time is the
// emulator's: when its clock is advanced, orders expire here as they do there.
func devParts(data string, wx *sandbox.Sandbox, publicURL, wechatURL string, log *slog.Logger) (parts, error) {
	secret, err := keep(filepath.Join(data, "secret_key"), rand.Text()+rand.Text())
	if err != nil {
		return parts{}, err
	}
	path, err := filepath.Abs(filepath.Join(data, "fenhao.db"))
	if err != nil {
		return parts{}, err
	}
	p := parts{database: "sqlite:" + path, secret: secret, publicURL: publicURL, payURL: wechatURL, apiURL: wechatURL, now: wx.Now, log: log}
	for _, m := range wx.Merchants() {
		key, err := wechatpay.ParsePrivateKey([]byte(m.PrivateKey))
		if err != nil {
			return parts{}, fmt.Errorf("merchant %s of the sandbox: %w", m.ID, err)
		}
		apps := map[string]string{}
		for _, a := range m.Apps {
			apps[a.ID] = a.Secret
		}
		p.merchants = append(p.merchants, merchantParts{id: m.ID, serial: m.CertificateSerial, privateKey: key, apiv3Key: m.APIv3Key, apps: apps})
	}
	return p, nil
}

// goods are what the sample shop sells.
var goods = []pay.Product{
	{Name: "桂花拿铁 Osmanthus Latte", Description: "现磨咖啡，桂花糖浆，热/冰。Freshly ground, osmanthus syrup.", Price: 1980},
	{Name: "手冲瑰夏 Geisha Pour-over", Description: "巴拿马瑰夏，茉莉花香。Panama Geisha with a note of jasmine.", Price: 4800},
	{Name: "海盐芝士贝果 Sea-salt Bagel", Description: "每日现烤。Baked this morning.", Price: 1250},
	{Name: "分毫笔记本 Fenhao Notebook", Description: "A5，点阵内页。A5, dotted.", Price: 3690},
	{Name: "一分钱体验 One-fen Trial", Description: "只要一分钱，分毫不差。One fen, to the fen.", Price: 1},
}

// devSeed fills the catalogue and makes the API key that is printed, the same one at each start.
func devSeed(ctx context.Context, c *pay.Cashier, data string) (apiKey string, err error) {
	products, _, err := c.Products(ctx, pay.ProductFilter{Page: pay.Page{Limit: len(goods)}})
	if err != nil {
		return "", err
	}
	// Lists begin with the newest, so the last of goods comes first. Products are never removed: fewer than goods means
	// that a crash came in between, and what is there is their end.
	for _, p := range slices.Backward(goods[:len(goods)-len(products)]) {
		p.Active = true
		if _, err := c.AddProduct(ctx, p); err != nil {
			return "", fmt.Errorf("seed %s: %w", p.Name, err)
		}
	}
	key, err := keep(filepath.Join(data, "api_key"), "fk_"+rand.Text()+rand.Text())
	if err != nil {
		return "", err
	}
	_, err = c.AdoptAPIKey(ctx, "fenhao dev", key)
	return key, err
}

// keep returns what the file holds, or writes fresh into it for the next time.
func keep(path, fresh string) (string, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		b, err := os.ReadFile(path)
		if text := strings.TrimSpace(string(b)); err != nil || text != "" {
			return text, err
		}
		// A crash came between making and writing it.
		return fresh, os.WriteFile(path, []byte(fresh), 0o600)
	}
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(fresh)
	return fresh, errors.Join(err, f.Sync(), f.Close())
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
