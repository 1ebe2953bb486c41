package wechatpay_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

// script answers requests by "METHOD /path", and keeps what was sent: "METHOD target body".
type script struct {
	mu      sync.Mutex
	answers map[string]string // "" is 204, what begins with a number is an error, like "404 RESOURCE_NOT_EXISTS"
	sent    []string
	serials []string // Wechatpay-Serial of each
}

func play(f *fake, answers map[string]string) *script {
	s := &script{answers: answers}
	f.set(func(f *fake) { f.answer = s.answer })
	return s
}

func (s *script) answer(r *http.Request, body string) (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, strings.TrimRight(r.Method+" "+r.RequestURI+" "+body, " "))
	s.serials = append(s.serials, r.Header.Get("Wechatpay-Serial"))
	a, ok := s.answers[r.Method+" "+r.URL.Path]
	if !ok {
		return 404, `{"code":"NOT_FOUND","message":"no such path in this test"}`
	}
	if a == "" {
		return 204, ""
	}
	if code, is := strings.CutPrefix(a, a[:min(3, len(a))]+" "); is && a[0] != '{' {
		status, _ := strconv.Atoi(a[:3])
		return status, `{"code":"` + code + `","message":"m"}`
	}
	return 200, a
}

func (s *script) set(path, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = answer
}

// expect compares what was sent since the last time, line by line.
func (s *script) expect(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Join(s.sent, "\n") != strings.Join(want, "\n") {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(s.sent, "\n"), strings.Join(want, "\n"))
	}
	s.sent, s.serials = nil, nil
}

// refused checks that nothing was sent because of one field.
func refused(t *testing.T, name string, err error, field string) {
	t.Helper()
	var bad *wechatpay.RequestError
	if !errors.As(err, &bad) || bad.Field != field || !errors.Is(err, wechatpay.ErrNotSent) || errors.Is(err, wechatpay.ErrUncertain) {
		t.Errorf("%s: %v, want an error about %s", name, err, field)
		return
	}
	if zh, en := bad.Hint("zh"), bad.Hint("en"); zh == en || !strings.HasPrefix(zh, field) || !strings.HasPrefix(en, field) {
		t.Errorf("%s: hints %q and %q", name, zh, en)
	}
}

func scanned() wechatpay.PrepayRequest {
	r := order()
	r.OpenID = ""
	return r
}

func TestProducts(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	s := play(f, map[string]string{
		"POST /v3/pay/transactions/native": `{"code_url":"weixin://wxpay/bizpayurl?pr=NwY5Mz9&groupid=00"}`,
		"POST /v3/pay/transactions/h5":     `{"h5_url":"https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx1&package=2"}`,
		"POST /v3/pay/transactions/app":    `{"prepay_id":"wx201410272009395522657a690389285100"}`,
	})
	client := newClient(t, f, config())
	h5 := scanned()
	h5.SceneInfo = wechatpay.SceneInfo{PayerClientIP: "14.23.150.211", H5: wechatpay.H5Info{Type: "iOS", AppName: "分毫", AppURL: "https://fenhao.example.com", BundleID: "com.example", PackageName: "p"}}
	if got, err := client.PrepayNative(t.Context(), scanned()); err != nil || got != "weixin://wxpay/bizpayurl?pr=NwY5Mz9&groupid=00" {
		t.Errorf("PrepayNative = %q, %v", got, err)
	}
	if got, err := client.PrepayH5(t.Context(), h5); err != nil || !strings.HasPrefix(got, "https://wx.tenpay.com/") {
		t.Errorf("PrepayH5 = %q, %v", got, err)
	}
	if got, err := client.PrepayApp(t.Context(), scanned()); err != nil || got != "wx201410272009395522657a690389285100" {
		t.Errorf("PrepayApp = %q, %v", got, err)
	}
	const body = `{"appid":"wx8888888888888888","mchid":"1900007291","description":"咖啡 & <tea>","out_trade_no":"ORDER-000001",` +
		`"notify_url":"https://pay.example.com/notify/wechat/1900007291/v3","amount":{"total":1999,"currency":"CNY"}`
	s.expect(t, "POST /v3/pay/transactions/native "+body+"}",
		"POST /v3/pay/transactions/h5 "+body+`,"scene_info":{"payer_client_ip":"14.23.150.211","h5_info":{"type":"iOS","app_name":"分毫","app_url":"https://fenhao.example.com","bundle_id":"com.example","package_name":"p"}}}`,
		"POST /v3/pay/transactions/app "+body+"}")

	_, err := client.PrepayNative(t.Context(), order())
	refused(t, "Native with an openid", err, "payer.openid")
	_, err = client.PrepayApp(t.Context(), h5)
	refused(t, "App with an H5 page", err, "scene_info.h5_info")
	_, err = client.PrepayH5(t.Context(), scanned())
	refused(t, "H5 without its page", err, "scene_info.h5_info.type")
	h5.SceneInfo.H5.AppName = strings.Repeat("x", 65)
	_, err = client.PrepayH5(t.Context(), h5)
	refused(t, "H5 with a long name", err, "scene_info.h5_info.app_name")
	h5.SceneInfo.H5.AppName, h5.SceneInfo.PayerClientIP = "", ""
	_, err = client.PrepayH5(t.Context(), h5)
	refused(t, "H5 without an address", err, "scene_info.payer_client_ip")

	s.set("POST /v3/pay/transactions/native", `{"prepay_id":"wx1"}`)
	if got, err := client.PrepayNative(t.Context(), scanned()); !errors.Is(err, wechatpay.ErrUncertain) || got != "" {
		t.Errorf("an answer of another product: %q, %v", got, err)
	}
	s.set("POST /v3/pay/transactions/native", "400 ORDERCLOSED")
	if _, err := client.PrepayNative(t.Context(), scanned()); !errors.Is(err, wechatpay.CodeOrderClosed) {
		t.Errorf("a closed order: %v", err)
	}
}

func TestAppParameters(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	client := newClient(t, f, config())
	p, err := client.AppParameters("wx8888888888888888", "WX1217752501201407033233368018")
	if err != nil {
		t.Fatal(err)
	}
	message := "wx8888888888888888\n" + strconv.FormatInt(start.Unix(), 10) + "\n" + p.NonceStr + "\nWX1217752501201407033233368018\n"
	if err := wechatpay.VerifyMessage(&merchantKey().PublicKey, []byte(message), p.Sign); err != nil {
		t.Error(err)
	}
	var m map[string]string
	b, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil || len(m) != 7 || m["appid"] != "wx8888888888888888" || m["partnerid"] != merchantID || m["package"] != "Sign=WXPay" ||
		m["prepayid"] != "WX1217752501201407033233368018" || m["timestamp"] == "" || m["noncestr"] == "" || m["sign"] == "" {
		t.Errorf("%s, %v", b, err)
	}
	for _, bad := range [][2]string{{"", "wx1"}, {"wx8888888888888888", ""}} {
		if p, err := client.AppParameters(bad[0], bad[1]); !errors.Is(err, wechatpay.ErrNotSent) || p.Sign != "" {
			t.Errorf("AppParameters(%q, %q) = %+v, %v", bad[0], bad[1], p, err)
		}
	}
}
