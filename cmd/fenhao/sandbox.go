package main

import (
	"fmt"

	"github.com/fenhao-pay/fenhao/sandbox"
)

// Run serves the emulator until the context ends.
func (c *SandboxCmd) Run(e *env) error {
	log := e.logger(c.JSON)
	l, err := listen(c.Listen, "--listen")
	if err != nil {
		return err
	}
	defer l.Close()
	wx, err := sandbox.New(sandbox.Options{Seed: c.Seed, Data: c.Data, Service: c.Service, Logger: log})
	if err != nil {
		return err
	}
	defer wx.Close()
	wx.SetBaseURL(urlOf(l))
	m := wx.Merchants()[0]
	r := ready{Sandbox: urlOf(l), Phone: urlOf(l) + "/phone", AppID: m.Apps[0].ID, MerchantID: m.ID}
	if c.JSON {
		err = r.print(e.stdout)
	} else {
		_, err = fmt.Fprintf(e.stdout, "%s %s\n%s %s\n%s %s\n%s %s\n%s\n",
			e.text("微信模拟器：", "WeChat emulator:"), r.Sandbox,
			e.text("手机：", "phone:"), r.Phone,
			e.text("商户号：", "merchant:"), r.MerchantID,
			e.text("小程序：", "mini program:"), r.AppID,
			e.text("商户的全部密钥：GET ", "all keys of the merchant: GET ")+r.Sandbox+"/sandbox/v1/merchants")
	}
	if err != nil {
		return err
	}
	return serveUntil(e.ctx, log, site{l, wx})
}
