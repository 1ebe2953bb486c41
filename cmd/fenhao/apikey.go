package main

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/fenhao-pay/fenhao/internal/settings"
)

// APIKeyCmd is `fenhao apikey`.
type APIKeyCmd struct {
	Create APIKeyCreateCmd `cmd:"" help:"${apikey_create}"`
}

// APIKeyCreateCmd is `fenhao apikey create`.
type APIKeyCreateCmd struct {
	Name   string `help:"${apikey_name}" required:"" placeholder:"N"`
	Config string `help:"${config}" default:"fenhao.yaml" placeholder:"FILE"`
	JSON   bool   `help:"${json}" name:"json"`
}

// Run makes a key and prints it: only its digest is kept, so it can't be shown again.
func (c *APIKeyCreateCmd) Run(e *env) error {
	s, err := settings.Load(c.Config, e.environ)
	if err != nil {
		return err
	}
	service, err := assemble(e.ctx, partsOf(s, slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	defer service.Close()
	key, text, err := service.cashier.CreateAPIKey(e.ctx, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]string{"id": string(key.ID), "name": key.Name, "api_key": text})
	}
	fmt.Fprintln(e.stderr, e.text("API 密钥（只显示这一次，请妥善保存）：", "API key (shown this once; keep it safe):"))
	_, err = fmt.Fprintln(e.stdout, text)
	return err
}
