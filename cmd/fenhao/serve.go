package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/fenhao-pay/fenhao/internal/settings"
)

// ready is the one line that a command prints with --json when it serves. Scripts rely on its names.
type ready struct {
	Service    string `json:"service,omitempty"`
	Sandbox    string `json:"sandbox,omitempty"`
	Console    string `json:"console,omitempty"`
	Phone      string `json:"phone,omitempty"`
	AppID      string `json:"app_id"`
	MerchantID string `json:"merchant_id"`
	APIKey     string `json:"api_key,omitempty"`
}

func (r ready) print(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// logger logs to standard error: JSON where the reader is a program, text where it is a person.
func (e *env) logger(asJSON bool) *slog.Logger {
	if asJSON {
		return slog.New(slog.NewJSONHandler(e.stderr, nil))
	}
	return slog.New(slog.NewTextHandler(e.stderr, nil))
}

// Run serves until the context ends. Everything is checked before anything starts.
func (c *ServeCmd) Run(e *env) error {
	s, err := settings.Load(c.Config, e.environ)
	if err != nil {
		return err
	}
	for _, w := range s.Warnings {
		fmt.Fprintln(e.stderr, "fenhao: "+w.In(e.lang))
	}
	log := e.logger(c.JSON)
	l, err := listen(s.Listen, "listen")
	if err != nil {
		return err
	}
	defer l.Close()
	service, err := assemble(e.ctx, partsOf(s, log))
	if err != nil {
		return err
	}
	defer service.Close()
	ctx, stop := context.WithCancel(e.ctx)
	defer stop()
	worked := service.work(ctx)
	m := s.Merchants[0]
	r := ready{Service: urlOf(l), Console: urlOf(l) + "/console/", AppID: m.Apps[0].ID, MerchantID: m.ID}
	if c.JSON {
		err = r.print(e.stdout)
	} else {
		_, err = fmt.Fprintf(e.stdout, "%s %s\n%s %s\n", e.text("服务已就绪：", "serving:"), r.Service,
			e.text("微信支付的通知地址：", "WeChat Pay notifies:"), s.PublicURL+"/notify/wechat/"+m.ID+"/v3")
	}
	if err != nil {
		return err
	}
	err = serveUntil(ctx, log, site{l, service.handler})
	stop()
	<-worked
	return err
}

// partsOf takes from the settings what a service is made of.
func partsOf(s settings.Settings, log *slog.Logger) parts {
	p := parts{database: s.Database, secret: s.SecretKey.Reveal(), publicURL: s.PublicURL, payURL: s.WeChat.PayURL, apiURL: s.WeChat.APIURL, log: log}
	for _, m := range s.Merchants {
		apps := map[string]string{}
		for _, a := range m.Apps {
			apps[a.ID] = a.Secret.Reveal()
		}
		p.merchants = append(p.merchants, merchantParts{id: m.ID, serial: m.CertificateSerial, privateKey: m.PrivateKey, apiv3Key: m.APIv3Key.Reveal(),
			publicKeyID: m.PublicKeyID, publicKey: m.PublicKey, apps: apps})
	}
	return p
}

// appsOf are the ids of a merchant's apps, sorted.
func (m merchantParts) appIDs() []string { return slices.Sorted(maps.Keys(m.apps)) }
