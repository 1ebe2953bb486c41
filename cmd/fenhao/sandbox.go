package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/sandbox"
)

// SandboxCmd is `fenhao sandbox`.
type SandboxCmd struct {
	Listen  string `help:"${listen}" default:"127.0.0.1:8090" placeholder:"HOST:PORT"`
	TLS     string `help:"${tls}" name:"tls" placeholder:"HOST:PORT"`
	Proxy   string `help:"${proxy}" placeholder:"HOST:PORT"`
	Export  string `help:"${export}" placeholder:"DIR"`
	Data    string `help:"${sandbox_data}" placeholder:"DIR"`
	Seed    uint64 `help:"${seed}" placeholder:"N"`
	Service string `help:"${service}" placeholder:"URL"`
	JSON    bool   `help:"${json_ready}" name:"json"`
}

// sandboxReady is the line that `fenhao sandbox --json` prints: of the last three, those whose flags were given.
type sandboxReady struct {
	ready
	TLS    string `json:"tls,omitempty"`
	Proxy  string `json:"proxy,omitempty"`
	Export string `json:"export,omitempty"` // absolute; ca.pem is in it
}

// Validate refuses values that can't be meant, before anything starts.
func (c *SandboxCmd) Validate() error {
	for _, f := range []struct{ flag, value, example string }{
		{"--listen", c.Listen, "127.0.0.1:8090"}, {"--tls", c.TLS, "127.0.0.1:8443"}, {"--proxy", c.Proxy, "127.0.0.1:8091"},
	} {
		if f.value == "" && f.flag != "--listen" {
			continue
		}
		_, port, err := net.SplitHostPort(f.value)
		if _, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil {
			return failure("%[1]s %[2]q 不是 HOST:PORT：写成 %[1]s %[3]s（端口 0 自动选空闲端口）",
				"%[1]s %[2]q is no HOST:PORT: write it like %[1]s %[3]s (port 0 picks a free one)", f.flag, f.value, f.example)
		}
	}
	u, err := url.Parse(c.Service)
	if c.Service != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return failure("--service %q 不是网址：写成 --service http://127.0.0.1:8080",
			"--service %q is no address of a service: write it like --service http://127.0.0.1:8080", c.Service)
	}
	return nil
}

// Run serves the emulator until the context ends. All addresses are taken and all files written before the line that
// says so is printed.
func (c *SandboxCmd) Run(e *env) error {
	log := e.logger(c.JSON)
	main, err := listen(c.Listen, "--listen")
	if err != nil {
		return err
	}
	defer main.Close()
	at, open := addresses{Sandbox: urlOf(main)}, map[string]net.Listener{}
	for _, flag := range []struct{ name, address string }{{"--tls", c.TLS}, {"--proxy", c.Proxy}} {
		if flag.address == "" {
			continue
		}
		l, err := listen(flag.address, flag.name)
		if err != nil {
			return err
		}
		defer l.Close()
		open[flag.name] = l
	}
	if c.Export != "" {
		if err := canExport(c.Export); err != nil {
			return err
		}
	}

	wx, err := sandbox.New(sandbox.Options{Seed: c.Seed, Data: c.Data, Service: c.Service, Logger: log, Hosts: namesIn(c.Listen, c.TLS)})
	if err != nil && c.Data != "" {
		return failure("不能使用数据目录 %s（%v）：停掉正在使用它的沙箱，或用 --data 换一个目录",
			"can't use the data folder %s (%v): stop the sandbox that has it, or choose another with --data", c.Data, err)
	}
	if err != nil {
		return err
	}
	defer wx.Close()
	wx.SetBaseURL(at.Sandbox)
	sites := []site{{main, wx}}

	var ca *authority
	if c.Data == "" {
		ca, err = newAuthority(time.Now)
	} else {
		ca, err = keepAuthority(filepath.Join(c.Data, "tls_ca.pem"), time.Now, log)
	}
	if err != nil {
		return err
	}
	if l := open["--tls"]; l != nil {
		at.TLS = "https" + strings.TrimPrefix(urlOf(l), "http")
		sites = append(sites, site{ca.wrap(l), wx})
	}
	if l := open["--proxy"]; l != nil {
		at.Proxy = urlOf(l)
		tunnels := newHandover(l.Addr())
		defer tunnels.Close()
		sites = append(sites, site{l, &proxy{tunnels, log}}, site{ca.wrap(tunnels), wx})
	}

	folder := ""
	if c.Export != "" {
		if folder, err = filepath.Abs(c.Export); err != nil {
			return err
		}
		if err := export(folder, wx.Merchants(), ca.pem(), at); err != nil {
			return err
		}
	} else if len(open) > 0 {
		fmt.Fprintln(e.stderr, "fenhao: "+e.text("客户端必须信任沙箱的 CA：加上 --export DIR，就会写出 ca.pem",
			"clients must trust the sandbox's CA: add --export DIR, which writes its ca.pem"))
	}
	m := wx.Merchants()[0]
	r := sandboxReady{ready{Sandbox: at.Sandbox, Phone: at.Sandbox + "/phone", AppID: m.Apps[0].ID, MerchantID: m.ID}, at.TLS, at.Proxy, folder}
	if c.JSON {
		err = json.NewEncoder(e.stdout).Encode(r)
	} else {
		err = c.welcome(e, r)
	}
	if err != nil {
		return err
	}
	err = serveUntil(e.ctx, log, sites...)
	return errors.Join(err, wx.Close())
}

// welcome prints where everything is.
func (c *SandboxCmd) welcome(e *env, r sandboxReady) error {
	var b strings.Builder
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s %s\n", label, value)
		}
	}
	line(e.text("微信模拟器：", "WeChat emulator:"), r.Sandbox)
	line(e.text("以微信的域名（HTTPS）：", "under WeChat's host names (HTTPS):"), r.TLS)
	line(e.text("通往它的代理（HTTPS_PROXY）：", "proxy that leads there (HTTPS_PROXY):"), r.Proxy)
	line(e.text("手机：", "phone:"), r.Phone)
	line(e.text("商户号：", "merchant:"), r.MerchantID)
	line(e.text("小程序：", "mini program:"), r.AppID)
	line(e.text("ca.pem 与商户的密钥文件：", "ca.pem and the merchants' files:"), r.Export)
	line(e.text("商户的全部密钥：", "all keys of the merchants:"), "GET "+r.Sandbox+"/sandbox/v1/merchants")
	_, err := fmt.Fprint(e.stdout, b.String())
	return err
}

// namesIn are the host names in addresses to listen on. Whoever makes the sandbox listen on a name, such as a container's,
// wants to call it by that name.
func namesIn(addresses ...string) []string {
	var names []string
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address)
		if _, isAddress := netip.ParseAddr(host); err == nil && host != "" && isAddress != nil {
			names = append(names, strings.ToLower(host))
		}
	}
	return names
}
