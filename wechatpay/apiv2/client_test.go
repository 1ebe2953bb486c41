package apiv2_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

const prepayID = "wx201411101639507cbf6ffd8b0779950874"

func prepaid(request) m { return answered(m{"prepay_id": prepayID, "trade_type": "JSAPI"}) }

// An answer of success that is not proven to be WeChat Pay's, or not to the question, leaves the order in doubt.
func TestUnprovenAnswersAreUncertain(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	good := prepaid(request{})
	for name, c := range map[string]struct {
		answer m
		badSig bool
	}{
		"no sign":              {good.with(m{"sign": "-"}), true},
		"wrong sign":           {good.with(m{"sign": strings.Repeat("0", 64)}), true},
		"short sign":           {good.with(m{"sign": "0"}), true},
		"MD5":                  {good.signed("MD5"), true},
		"MD5, and says so":     {good.with(m{"sign_type": "MD5"}).signed("MD5"), true},
		"HMAC, says MD5":       {good.with(m{"sign_type": "MD5"}), true},
		"another key":          {good.with(m{"sign": signText("HMAC-SHA256", oldKeyText, good.text())}), true},
		"a field more":         {good.signed("HMAC-SHA256").with(m{"zzz": "1"}), true},
		"a field changed":      {good.signed("HMAC-SHA256").with(m{"prepay_id": "wx1"}), true},
		"a field less":         {good.signed("HMAC-SHA256").with(m{"return_msg": ""}), true},
		"refused without sign": {good.with(m{"result_code": "FAIL", "err_code": "ORDERPAID", "sign": "-"}), true},
		"refused, wrong sign":  {good.with(m{"result_code": "FAIL", "err_code": "SYSTEMERROR", "sign": strings.Repeat("0", 64)}), true},
		"another merchant":     {good.with(m{"mch_id": "1900000002"}), false},
		"no merchant":          {good.with(m{"mch_id": ""}), false},
		"another app":          {good.with(m{"appid": "wx0000000000000000"}), false},
		"no result_code":       {good.with(m{"result_code": ""}), false},
		"odd result_code":      {good.with(m{"result_code": "success"}), false},
		"no return_code":       {good.with(m{"return_code": ""}), false},
		"odd return_code":      {good.with(m{"return_code": "OK"}), false},
		"no prepay_id":         {good.with(m{"prepay_id": ""}), false},
		"another trade_type":   {good.with(m{"trade_type": "NATIVE"}), false},
	} {
		f.set(func(request) m { return c.answer })
		placed, err := client.UnifiedOrder(t.Context(), order())
		if !errors.Is(err, apiv2.ErrUncertain) || errors.Is(err, apiv2.ErrNotSent) || errors.Is(err, apiv2.ErrBadSignature) != c.badSig || placed != nil {
			t.Errorf("%s: %v, %v, want ErrUncertain, bad signature %t", name, placed, err, c.badSig)
		}
		var e *apiv2.Error
		if errors.As(err, &e) {
			t.Errorf("%s: %v is believed", name, e)
		}
	}
	for name, body := range map[string]string{
		"nothing": "", "HTML": "<html><body>x</body></html>", "JSON": "{}", "doctype": "<!DOCTYPE xml>" + good.signed("HMAC-SHA256").xml(),
		"cut off": good.signed("HMAC-SHA256").xml()[:100], "twice": strings.Replace(good.signed("HMAC-SHA256").xml(), "</xml>", "<prepay_id>wx1</prepay_id></xml>", 1),
		"too long": good.signed("HMAC-SHA256").xml() + strings.Repeat(" ", apiv2.MaxAnswer),
	} {
		f.mu.Lock()
		f.raw = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
		f.mu.Unlock()
		if _, err := client.UnifiedOrder(t.Context(), order()); !errors.Is(err, apiv2.ErrUncertain) || errors.Is(err, apiv2.ErrNotSent) {
			t.Errorf("%s: %v, want ErrUncertain", name, err)
		}
	}
	f.set(func(request) m { return good.signed("MD5") })
	changing := config()
	changing.AcceptMD5 = true // of notifications, whose orders are older than the change
	if _, err := newClient(t, f, changing).UnifiedOrder(t.Context(), order()); !errors.Is(err, apiv2.ErrBadSignature) {
		t.Errorf("an answer in MD5: %v", err)
	}
	f.set(prepaid)
	for _, signType := range []apiv2.SignType{apiv2.MD5, apiv2.HMACSHA256} {
		c := config()
		c.SignType = signType
		if placed, err := newClient(t, f, c).UnifiedOrder(t.Context(), order()); err != nil || placed.PrepayID != prepayID {
			t.Errorf("%s: %v, %v", signType, placed, err)
		}
		if got := f.last().fields["sign_type"]; got != string(signType) {
			t.Errorf("sign_type is %s, want %s", got, signType)
		}
	}
}

func TestRefusalsAreTyped(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	for _, c := range []struct {
		answer    m
		level     apiv2.Level
		code      apiv2.Code
		uncertain bool
	}{
		{m{"return_code": "FAIL", "return_msg": "签名错误"}, apiv2.LevelTransport, apiv2.CodeSignError, false},
		{m{"return_code": "FAIL", "return_msg": "签名错误，请检查后再试"}, apiv2.LevelTransport, apiv2.CodeSignError, false},
		{m{"return_code": "FAIL", "return_msg": "频率限制"}, apiv2.LevelTransport, apiv2.CodeFrequencyLimited, false},
		{m{"return_code": "FAIL", "return_msg": "XML格式错误"}, apiv2.LevelTransport, apiv2.CodeXMLFormatError, false},
		{m{"return_code": "FAIL", "return_msg": "参数格式校验错误"}, apiv2.LevelTransport, apiv2.CodeParamError, false},
		{m{"return_code": "FAIL", "return_msg": "请求中含有未在API文档中定义的参数"}, apiv2.LevelTransport, apiv2.CodeParamError, false},
		{m{"return_code": "FAIL", "return_msg": "appid不存在"}, apiv2.LevelTransport, apiv2.CodeAppIDNotExist, false},
		{m{"return_code": "FAIL", "return_msg": "证书验证失败"}, apiv2.LevelTransport, apiv2.CodeCertError, false},
		{m{"return_code": "FAIL", "return_msg": "something new"}, apiv2.LevelTransport, apiv2.CodeReturnFail, false},
		{m{"return_code": "FAIL", "return_msg": "XML_FORMAT_ERROR"}, apiv2.LevelTransport, apiv2.CodeXMLFormatError, false},
		{m{"return_code": "FAIL", "return_msg": "ORDERPAID"}, apiv2.LevelTransport, apiv2.CodeReturnFail, false}, // says nobody
		{m{"return_code": "FAIL", "result_code": "FAIL", "err_code": "REFUNDNOTEXIST"}, apiv2.LevelTransport, apiv2.CodeReturnFail, false},
		{m{"return_code": "FAIL", "return_msg": "FAIL"}, apiv2.LevelTransport, apiv2.CodeReturnFail, false},
		{m{"return_code": "FAIL"}, apiv2.LevelTransport, apiv2.CodeReturnFail, false},
		{m{"return_code": "FAIL", "return_msg": "系统繁忙，请稍后再试"}, apiv2.LevelTransport, apiv2.CodeSystemError, true},
		{m{"return_code": "FAIL", "return_msg": "SYSTEMERROR"}, apiv2.LevelTransport, apiv2.CodeSystemError, true},
		{answered(m{"result_code": "FAIL", "err_code": "ORDERPAID", "err_code_des": "该订单已支付"}), apiv2.LevelBusiness, apiv2.CodeOrderPaid, false},
		{answered(m{"result_code": "FAIL", "err_code": "ORDER_PAID"}), apiv2.LevelBusiness, apiv2.CodeOrderPaid, false},
		{answered(m{"result_code": "FAIL", "err_code": "SOMETHING_NEW"}), apiv2.LevelBusiness, "SOMETHING_NEW", false},
		{answered(m{"result_code": "FAIL", "err_code": "a b"}), apiv2.LevelBusiness, apiv2.CodeReturnFail, false},
		{answered(m{"result_code": "FAIL"}), apiv2.LevelBusiness, apiv2.CodeReturnFail, false},
		{answered(m{"result_code": "FAIL", "err_code": "SYSTEMERROR"}), apiv2.LevelBusiness, apiv2.CodeSystemError, true},
		{answered(m{"result_code": "FAIL", "err_code": "SYSTEM_ERROR"}), apiv2.LevelBusiness, apiv2.CodeSystemError, true},
		{answered(m{"result_code": "FAIL", "err_code": "BANKERROR"}), apiv2.LevelBusiness, apiv2.CodeBankError, true},
		{answered(m{"result_code": "FAIL", "err_code": "USERPAYING"}), apiv2.LevelBusiness, apiv2.CodeUserPaying, true},
		// In trouble, WeChat Pay forgets to sign.
		{m{"return_code": "SUCCESS", "result_code": "FAIL", "err_code": "SYSTEMERROR", "sign": "-"}, apiv2.LevelBusiness, apiv2.CodeSystemError, true},
	} {
		if c.answer["return_code"] == "FAIL" {
			c.answer["sign"] = "-"
		}
		f.set(func(request) m { return c.answer })
		_, err := client.UnifiedOrder(t.Context(), order())
		var e *apiv2.Error
		if !errors.As(err, &e) || e.Level != c.level || e.Code != c.code || e.Status != 200 || !errors.Is(err, c.code) ||
			errors.Is(err, apiv2.ErrUncertain) != c.uncertain || errors.Is(err, apiv2.ErrNotSent) {
			t.Errorf("%v: %v, want %s %s, uncertain %t", c.answer, err, c.level, c.code, c.uncertain)
			continue
		}
		if e.Hint("zh") == "" || e.Hint("en") == "" || e.Hint("zh") == e.Hint("en") {
			t.Errorf("%v: hints %q and %q", c.answer, e.Hint("zh"), e.Hint("en"))
		}
	}
	for _, c := range []struct {
		status int
		body   string
		code   apiv2.Code
	}{
		{500, "", "HTTP_500"}, {502, "<html>bad gateway</html>", "HTTP_502"}, {404, "", "HTTP_404"}, {302, "", "HTTP_302"}, {204, "", "HTTP_204"},
		{201, prepaid(request{}).signed("HMAC-SHA256").xml(), "HTTP_201"},
		{400, "<html><center>No required SSL certificate was sent</center></html>", apiv2.CodeCertError},
	} {
		f.mu.Lock()
		f.raw = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", f.URL+"/elsewhere")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}
		f.mu.Unlock()
		_, err := client.UnifiedOrder(t.Context(), order())
		var e *apiv2.Error
		if !errors.As(err, &e) || e.Level != apiv2.LevelHTTP || e.Status != c.status || e.Code != c.code || !errors.Is(err, apiv2.ErrUncertain) ||
			e.Hint("zh") == "" || e.Error() != "WeChat Pay answered "+string(c.code) {
			t.Errorf("%d: %v, want %s", c.status, err, c.code)
		}
		if f.last().path == "/elsewhere" {
			t.Error("a redirect was followed")
		}
	}
}

func TestNothingIsSentWithoutAConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") }))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	t.Cleanup(old.Close)
	trusting := apiv2.NewTransport()
	trusting.TLSClientConfig.RootCAs = x509.NewCertPool()
	trusting.TLSClientConfig.RootCAs.AddCert(old.Certificate())
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name, url string
		ctx       context.Context
		http      *http.Client
	}{
		{"nobody listens", "http://" + closed, t.Context(), nil},
		{"unknown authority", secure.URL, t.Context(), nil},
		{"TLS 1.1", old.URL, t.Context(), &http.Client{Transport: trusting}},
		{"context done", secure.URL, done, secure.Client()},
	} {
		opts := []apiv2.Option{apiv2.WithBaseURL(c.url), apiv2.WithClock(func() time.Time { return start })}
		if c.http != nil {
			opts = append(opts, apiv2.WithHTTPClient(c.http))
		}
		client, err := apiv2.NewClient(config(), opts...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.UnifiedOrder(c.ctx, order()); !errors.Is(err, apiv2.ErrNotSent) || errors.Is(err, apiv2.ErrUncertain) || strings.Contains(err.Error(), "http") {
			t.Errorf("%s: %v, want ErrNotSent", c.name, err)
		}
	}
}

func TestBrokenConnectionsAreUncertain(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, raw := range map[string]http.HandlerFunc{
		"reset": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "<xml>")
		},
		"context ends": func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() },
	} {
		f.mu.Lock()
		f.raw = raw
		f.mu.Unlock()
		uses := t.Context()
		if name == "context ends" {
			uses = ctx
		}
		if _, err := newClient(t, f, config()).UnifiedOrder(uses, order()); !errors.Is(err, apiv2.ErrUncertain) || errors.Is(err, apiv2.ErrNotSent) {
			t.Errorf("%s: %v, want ErrUncertain", name, err)
		}
	}
}

// The endpoints that ask for a certificate get it, and nothing else does.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	f := newFake()
	pool := x509.NewCertPool()
	pool.AddCert(newAuthority().cert)
	f.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool, Time: func() time.Time { return start }}
	f.StartTLS()
	f.closeAfter(t)
	f.set(func(r request) m {
		switch r.path {
		case "/secapi/pay/refund":
			if r.certName != merchantID {
				return m{"return_code": "FAIL", "return_msg": "证书验证失败", "sign": "-"}
			}
			return answered(refundAnswer())
		case "/secapi/pay/reverse":
			return answered(m{"recall": "N", "x": r.certName})
		}
		return prepaid(r)
	})
	c := config()
	c.Certificate = merchantCertificate(merchantID, start.AddDate(1, 0, 0))
	client := newClient(t, f, c)
	if _, err := client.Refund(t.Context(), refundRequest()); err != nil {
		t.Errorf("refund: %v", err)
	}
	if r := f.last(); r.path != "/secapi/pay/refund" || r.certName != merchantID {
		t.Errorf("refund: %+v", r)
	}
	if _, err := client.Reverse(t.Context(), "ORDER-000001", ""); err != nil || f.last().certName != merchantID {
		t.Errorf("reverse: %v with certificate of %q", err, f.last().certName)
	}
	if _, err := client.UnifiedOrder(t.Context(), order()); err != nil || f.last().certName != "" {
		t.Errorf("order: %v with certificate of %q", err, f.last().certName)
	}
	if used := f.Client().Transport.(*http.Transport).TLSClientConfig; len(used.Certificates) > 0 {
		t.Error("the transport of the caller was changed")
	}

	// Without one, the request stays here, and the error says what is missing.
	before := f.count()
	bare := newClient(t, f, config())
	for name, call := range map[string]func() error{
		"refund":  func() error { _, err := bare.Refund(t.Context(), refundRequest()); return err },
		"reverse": func() error { _, err := bare.Reverse(t.Context(), "ORDER-000001", ""); return err },
		"fund flow": func() error {
			_, err := bare.DownloadFundFlow(t.Context(), apiv2.FundFlowBillRequest{Date: "2026-11-19"})
			return err
		},
		"any": func() error { _, err := bare.Do(t.Context(), "/secapi/pay/other", nil); return err },
	} {
		var wrong *apiv2.ConfigError
		if err := call(); !errors.Is(err, apiv2.ErrNotSent) || !errors.As(err, &wrong) || wrong.Field != "Certificate" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.count() != before {
		t.Error("something was sent")
	}
	// A transport of the caller's own presents what it likes; here, nothing.
	own := newClient(t, f, config(), apiv2.WithHTTPClient(&http.Client{Transport: roundTripper(f.Client().Transport.RoundTrip)}))
	if _, err := own.Refund(t.Context(), refundRequest()); !errors.Is(err, apiv2.CodeCertError) {
		t.Errorf("own transport: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestConfig(t *testing.T) {
	t.Parallel()
	other := merchantCertificate(merchantID, start.AddDate(1, 0, 0))
	for _, c := range []struct {
		field  string
		change func(*apiv2.Config)
	}{
		{"MerchantID", func(c *apiv2.Config) { c.MerchantID = "" }},
		{"MerchantID", func(c *apiv2.Config) { c.MerchantID = "wx1" }},
		{"AppID", func(c *apiv2.Config) { c.AppID = "wx 1" }},
		{"Key", func(c *apiv2.Config) { c.Key = apiv2.Key{} }},
		{"OldKeys", func(c *apiv2.Config) { c.OldKeys = []apiv2.Key{{}} }},
		{"SignType", func(c *apiv2.Config) { c.SignType = "RSA" }},
		{"SubMerchantID", func(c *apiv2.Config) { c.SubMerchantID = "x" }},
		{"SubAppID", func(c *apiv2.Config) { c.SubAppID = "wx1" }},
		{"PartnerID", func(c *apiv2.Config) { c.PartnerID = "x" }},
		{"Certificate", func(c *apiv2.Config) { c.Certificate = merchantCertificate("1900000002", start.AddDate(1, 0, 0)) }},
		{"Certificate", func(c *apiv2.Config) { c.Certificate = merchantCertificate(merchantID, start.Add(-time.Second)) }},
		{"Certificate", func(c *apiv2.Config) { c.Certificate = tls.Certificate{PrivateKey: other.PrivateKey} }},
		{"Certificate", func(c *apiv2.Config) { c.Certificate = tls.Certificate{Certificate: other.Certificate} }},
		{"Certificate", func(c *apiv2.Config) {
			c.Certificate = tls.Certificate{Certificate: other.Certificate, PrivateKey: newECKey()}
		}},
		{"Certificate", func(c *apiv2.Config) {
			c.Certificate = tls.Certificate{Certificate: [][]byte{{1}}, PrivateKey: other.PrivateKey}
		}},
	} {
		cfg := config()
		c.change(&cfg)
		_, err := apiv2.NewClient(cfg, apiv2.WithClock(func() time.Time { return start }))
		var wrong *apiv2.ConfigError
		if !errors.As(err, &wrong) || wrong.Field != c.field || !strings.HasPrefix(err.Error(), c.field+": ") || wrong.Hint("zh") == wrong.Hint("en") {
			t.Errorf("%s: %v", c.field, err)
		}
	}
	_, err := apiv2.NewClient(apiv2.Config{}, apiv2.WithBaseURL("ftp://x"), apiv2.WithHTTPClient(nil), apiv2.WithClock(nil), apiv2.WithLogger(nil))
	for _, field := range []string{"MerchantID", "Key", "WithBaseURL", "WithHTTPClient", "WithClock", "WithLogger"} {
		if err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	for _, address := range []string{"", "x", "https://", "https://a/b", "https://a?b", "https://u@a", "https://a#b", "://"} {
		if _, err := apiv2.NewClient(config(), apiv2.WithBaseURL(address)); err == nil {
			t.Errorf("%q is taken for a base URL", address)
		}
	}
	for _, s := range []string{"", "x", keyText[:31], keyText + "0", " " + keyText, keyText + "\n", keyText[:31] + " ", keyText[:29] + "中", keyText[:31] + "\x00"} {
		if k, err := apiv2.NewKey(s); err == nil || !k.IsZero() || len(s) > 5 && strings.Contains(err.Error(), s) {
			t.Errorf("%q is taken for a key: %v", s, err)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := startFake(t)
	f.set(prepaid)
	client := newClient(t, f, config(), apiv2.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	if _, err := client.UnifiedOrder(t.Context(), order()); err != nil {
		t.Fatal(err)
	}
	k := mustKey(keyText)
	asJSON, err := json.Marshal(map[string]any{"key": k})
	if err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", k, "config", config())
	printed := fmt.Sprintf("%v %+v %#v %s %q %x %d %v %+v %#v %v %s", k, k, k, k, k, k, k, config(), client, config(), &k, asJSON) + log.String()
	if strings.Contains(printed, keyText) || strings.Contains(printed, keyText[:8]) || !strings.Contains(printed, "[secret]") || strings.Contains(printed, openID) {
		t.Errorf("printed %s", printed)
	}
	if !strings.Contains(log.String(), `"path":"/pay/unifiedorder","status":200`) {
		t.Errorf("the log is %s", log.String())
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	c := config()
	c.SubMerchantID, c.SubAppID = "1900000002", "wx0000000000000002"
	client := newClient(t, f, c)
	f.set(func(r request) m {
		return answered(m{"appid": r.fields["appid"], "result": r.fields["long_url"], "sub_mch_id": r.fields["sub_mch_id"]})
	})
	resp, err := client.Do(t.Context(), "/tools/shorturl", apiv2.Fields{{Name: "long_url", Value: "weixin：//a&b"}, {Name: "empty"}})
	if err != nil || resp.Fields.Get("result") != "weixin：//a&b" || resp.Fields.Get("nothing") != "" || !bytes.HasPrefix(resp.Raw, []byte("<xml>")) {
		t.Errorf("%+v, %v", resp, err)
	}
	if got := f.last().fields; got["sub_mch_id"] != "1900000002" || got["sub_appid"] != "wx0000000000000002" || got["appid"] != appID || len(got) != 8 {
		t.Errorf("sent %v", got)
	}
	_, err = client.Do(t.Context(), "/tools/shorturl", apiv2.Fields{{Name: "appid", Value: "wx1"}, {Name: "sub_mch_id", Value: "3"}, {Name: "sub_appid", Value: "wx3"}})
	if got := f.last().fields; err != nil || got["sub_mch_id"] != "3" || got["sub_appid"] != "wx3" || got["appid"] != "wx1" {
		t.Errorf("sent %v, %v", got, err)
	}
	other := client.For(apiv2.SubMerchant{ID: "1900000003"})
	if _, err = other.Do(t.Context(), "/x", nil); err != nil || f.last().fields["sub_mch_id"] != "1900000003" || f.last().fields["sub_appid"] != "" {
		t.Errorf("sent %v, %v", f.last().fields, err)
	}
	app := client.ForApp("wx0000000000000009")
	if _, err = app.Do(t.Context(), "/x", nil); err != nil || f.last().fields["appid"] != "wx0000000000000009" {
		t.Errorf("sent %v, %v", f.last().fields, err)
	}
	f.set(func(r request) m { return answered(m{"sub_mch_id": "1900000009"}) })
	if _, err = client.Do(t.Context(), "/x", nil); !errors.Is(err, apiv2.ErrUncertain) {
		t.Errorf("an answer about another sub merchant: %v", err)
	}

	before := f.count()
	for name, call := range map[string]func() error{
		"sign given": func() error {
			_, err := client.Do(t.Context(), "/x", apiv2.Fields{{Name: "sign", Value: "1"}})
			return err
		},
		"merchant given": func() error {
			_, err := client.Do(t.Context(), "/x", apiv2.Fields{{Name: "mch_id", Value: "1"}})
			return err
		},
		"field twice": func() error {
			_, err := client.Do(t.Context(), "/x", apiv2.Fields{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}})
			return err
		},
		"no name": func() error { _, err := client.Do(t.Context(), "/x", apiv2.Fields{{Value: "1"}}); return err },
		"a control": func() error {
			_, err := client.Do(t.Context(), "/x", apiv2.Fields{{Name: "a", Value: "\x00"}})
			return err
		},
		"relative path": func() error { _, err := client.Do(t.Context(), "x", nil); return err },
		"query in path": func() error { _, err := client.Do(t.Context(), "/x?y", nil); return err },
		"no app": func() error {
			_, err := newClient(t, f, apiv2.Config{MerchantID: merchantID, Key: mustKey(keyText)}).Do(t.Context(), "/x", nil)
			return err
		},
		"no sub merchant": func() error { _, err := client.For(apiv2.SubMerchant{ID: "x"}).Do(t.Context(), "/x", nil); return err },
		"odd sub app": func() error {
			_, err := client.For(apiv2.SubMerchant{ID: "1", AppID: "a b"}).Do(t.Context(), "/x", nil)
			return err
		},
		"odd app": func() error { _, err := client.ForApp("").Do(t.Context(), "/x", nil); return err },
	} {
		var wrong *apiv2.RequestError
		if err := call(); !errors.Is(err, apiv2.ErrNotSent) || !errors.As(err, &wrong) || wrong.Hint("zh") == wrong.Hint("en") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.count() != before {
		t.Error("something was sent")
	}
}
