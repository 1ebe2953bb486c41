package main

import (
	"bytes"
	"fmt"

	"github.com/fenhao-pay/fenhao/internal/diagnose"
	"github.com/fenhao-pay/fenhao/internal/settings"
)

// DecryptCmd is `fenhao decrypt`.
type DecryptCmd struct {
	File         string `arg:"" optional:"" default:"-" help:"${decrypt_file}"`
	APIv3KeyFile string `help:"${v3_key}" name:"apiv3-key-file" placeholder:"FILE"`
	APIv2KeyFile string `help:"${v2_key}" name:"apiv2-key-file" placeholder:"FILE"`
	Config       string `help:"${keys_of}" placeholder:"FILE"`
	Merchant     string `help:"${merchant}" placeholder:"ID"`
	JSON         bool   `help:"${json}" name:"json"`
}

// Validate finds flags that don't go together.
func (c *DecryptCmd) Validate() error {
	if c.APIv2KeyFile != "" && c.APIv3KeyFile != "" {
		return failure("--apiv3-key-file 和 --apiv2-key-file 只能给一个", "give either --apiv3-key-file or --apiv2-key-file")
	}
	return stdinTwice(c.File, c.APIv3KeyFile, c.APIv2KeyFile)
}

// Run prints the plaintext. Of several platform certificates it prints each. With --json, XML and certificates become
// JSON; the resource of a notification is JSON anyway.
func (c *DecryptCmd) Run(e *env) error {
	data, err := e.readFile(c.File)
	if err != nil {
		return err
	}
	isXML := bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff"))), []byte("<"))
	switch {
	case isXML && c.APIv3KeyFile != "":
		return failure("输入是 XML，即 v2 的退款通知：用 --apiv2-key-file",
			"the input is XML, a refund notification of v2: use --apiv2-key-file")
	case !isXML && c.APIv2KeyFile != "":
		return failure("输入不是 XML：v3 的通知用 --apiv3-key-file",
			"the input is not XML: a notification of v3 takes --apiv3-key-file")
	case isXML:
		return c.refund(e, data)
	}
	return c.resources(e, data)
}

func (c *DecryptCmd) resources(e *env, data []byte) error {
	all, err := diagnose.ParseResources(data)
	if err != nil {
		return about(c.File, err)
	}
	var key settings.Secret
	if c.APIv3KeyFile != "" {
		key, err = e.secretFile(c.APIv3KeyFile)
	} else {
		var m settings.Merchant
		m, err = merchantOf(e, c.Config, c.Merchant)
		key = m.APIv3Key
	}
	if err != nil {
		return err
	}
	type certificate struct {
		Serial      string `json:"serial_no"`
		Certificate string `json:"certificate"`
	}
	var certificates []certificate
	for _, r := range all {
		plain, err := diagnose.OpenResource(r, key)
		if err != nil {
			return err
		}
		if c.JSON && r.Serial != "" {
			certificates = append(certificates, certificate{r.Serial, string(plain)})
			continue
		}
		if err := e.printText(plain); err != nil {
			return err
		}
	}
	if certificates != nil {
		return printJSON(e.stdout, map[string]any{"data": certificates})
	}
	return nil
}

func (c *DecryptCmd) refund(e *env, data []byte) error {
	fields, err := diagnose.ParseFields(data)
	if err != nil {
		return about(c.File, err)
	}
	info := ""
	for _, f := range fields {
		if f.Name == "req_info" {
			info = f.Value
		}
	}
	if info == "" {
		return failure("XML 里没有 req_info：只有 v2 的退款通知是加密的",
			"the XML has no req_info: of v2, refund notifications alone are encrypted")
	}
	key, err := apiv2Key(e, c.APIv2KeyFile, c.Config, c.Merchant)
	if err != nil {
		return err
	}
	plain, err := diagnose.OpenRefund(info, key)
	if err != nil {
		return err
	}
	if !c.JSON {
		return e.printText(plain)
	}
	inner, err := diagnose.ParseFields(plain)
	if err != nil {
		return err
	}
	values := map[string]string{}
	for _, f := range inner {
		values[f.Name] = f.Value
	}
	return printJSON(e.stdout, values)
}

// printText writes what was decrypted, as it is, with a line end behind it.
func (e *env) printText(plain []byte) error {
	end := "\n"
	if bytes.HasSuffix(plain, []byte("\n")) {
		end = ""
	}
	_, err := fmt.Fprintf(e.stdout, "%s%s", plain, end)
	return err
}
