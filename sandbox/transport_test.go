package sandbox

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Each wrong request is answered with WeChat's status, code and text, and nothing wrong hides behind something worse.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.place("order-000001", nil)
	query := "/v3/pay/transactions/out-trade-no/order-000001?mchid=" + w.merchant.ID
	const (
		malformedOrder = "签名信息错误，验签失败"
		malformedCerts = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
		wrongScheme    = "HTTP头Authorization认证类型不正确"
		late           = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
		wrongSerial    = "商户证书序列号有误。请使用签名私钥匹配的证书序列号"
	)
	replace := func(old, new string) func(*signed) {
		return func(q *signed) {
			q.authorization = func(a string) string { return strings.ReplaceAll(a, old, new) }
		}
	}
	set := func(a string) func(*signed) {
		return func(q *signed) { q.authorization = func(string) string { return a } }
	}
	for _, c := range []struct {
		name, target string
		wrong        func(*signed)
		status       int
		code, text   string
	}{
		{"right", query, func(*signed) {}, 200, "", ""},
		{"no header", query, set(""), 401, "SIGN_ERROR", malformedOrder},
		{"no header on certificates", "/v3/certificates", set(""), 401, "SIGN_ERROR", malformedCerts},
		{"another scheme", query, replace("WECHATPAY2-SHA256-RSA2048", "Bearer"), 401, "SIGN_ERROR", wrongScheme},
		{"scheme of the SM variant", query, replace("WECHATPAY2-SHA256-RSA2048", "WECHATPAY2-SM2-WITH-SM3"), 401, "SIGN_ERROR", wrongScheme},
		{"scheme alone", query, set("WECHATPAY2-SHA256-RSA2048"), 401, "SIGN_ERROR", malformedOrder},
		{"no quotes", query, replace(`"`, ""), 401, "SIGN_ERROR", malformedOrder},
		{"value missing", query, func(q *signed) { q.nonce = "" }, 401, "SIGN_ERROR", malformedOrder},
		{"value twice", query, replace("serial_no=", `mchid="1",serial_no=`), 401, "SIGN_ERROR", malformedOrder},
		{"value misnamed", query, replace("nonce_str", "nonce"), 401, "SIGN_ERROR", malformedOrder},
		{"timestamp no number", query, replace(`timestamp="`, `timestamp="x`), 401, "SIGN_ERROR", malformedOrder},
		{"five minutes ago", query, func(q *signed) { q.at = q.at.Add(-299 * time.Second) }, 200, "", ""},
		{"more than five minutes ago", query, func(q *signed) { q.at = q.at.Add(-302 * time.Second) }, 401, "SIGN_ERROR", late},
		{"more than five minutes ahead", query, func(q *signed) { q.at = q.at.Add(302 * time.Second) }, 401, "SIGN_ERROR", late},
		{"timestamp before signature", query, func(q *signed) { q.at, q.serial = q.at.Add(time.Hour), "AB" }, 401, "SIGN_ERROR", late},
		{"milliseconds", query, replace(`timestamp="`, `timestamp="1000`), 401, "SIGN_ERROR", late},
		{"unknown merchant", query, func(q *signed) { q.mchid = "1900000999" }, 401, "SIGN_ERROR", "商户未申请过证书"},
		{"another serial", query, func(q *signed) { q.serial = strings.Repeat("A", 40) }, 401, "SIGN_ERROR", wrongSerial},
		{"serial in lower case", query, func(q *signed) { q.serial = strings.ToLower(q.serial) }, 401, "SIGN_ERROR", wrongSerial},
		{"serial of the platform", query, func(q *signed) { q.serial = w.merchant.PlatformCertificates[0].Serial }, 401, "SIGN_ERROR", wrongSerial},
		{"another nonce", query, replace(`nonce_str="`, `nonce_str="x`), 401, "SIGN_ERROR", "签名错误"},
		{"another target", query + "&x=1", func(q *signed) {}, 400, "PARAM_ERROR", "请求中含有未在API文档中定义的参数"},
		{"no mchid", "/v3/pay/transactions/out-trade-no/order-000001", func(q *signed) {}, 400, "PARAM_ERROR", "输入源“/query/mchid”映射到字段“直连商户号”必填性规则校验失败，此字段为必填项"},
		{"mchid twice", query + "&mchid=" + w.merchant.ID, func(q *signed) {}, 400, "PARAM_ERROR", "字段“/query/mchid”重复"},
		{"another mchid", query[:len(query)-1] + "2", func(q *signed) {}, 400, "PARAM_ERROR", "http header中的mchid与post payload中的mchid不匹配"},
		{"public key of nobody", query, func(q *signed) { q.header.Set("Wechatpay-Serial", "PUB_KEY_ID_1") }, 400, "PARAM_ERROR", "平台证书序列号Wechatpay-Serial错误"},
		{"no accept on certificates", "/v3/certificates", func(q *signed) { q.header.Del("Accept") }, 400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent"},
		{"wrong accept on certificates", "/v3/certificates", func(q *signed) { q.header.Set("Accept", "text/html") }, 400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent"},
		{"no agent on certificates", "/v3/certificates", func(q *signed) { q.header.Set("User-Agent", "") }, 400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent"},
		{"no accept on orders", query, func(q *signed) { q.header.Del("Accept") }, 200, "", ""},
		{"no algorithm", "/v3/certificates?algorithm_type=DSA", func(q *signed) {}, 400, "PARAM_ERROR", "输入源“/query/algorithm_type”映射到值字段“算法类型”字符串规则校验失败，字符串必须匹配正则表达式“^(RSA|SM2|ALL)$”"},
		{"unknown number", strings.Replace(query, "000001", "000002", 1), func(q *signed) {}, 404, "ORDER_NOT_EXIST", "订单不存在"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q := w.request("GET", c.target, "")
			c.wrong(q)
			r := q.send(w)
			if r.status != c.status || r.code() != c.code || r.message() != c.text {
				t.Errorf("answers %d %s\nwant %d %s %s", r.status, r.body, c.status, c.code, c.text)
			}
			if signed := r.header.Get("Wechatpay-Signature") != ""; signed != (c.status == 200) {
				t.Errorf("signed: %v", signed)
			}
		})
	}
}

// A wrong signature is explained: what was signed here, and how long it is.
func TestSignatureDiagnosis(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	body := w.orderBody("order-000001", nil)
	q := w.request("POST", "/v3/pay/transactions/jsapi", body)
	q.nonce = "signed"
	q.authorization = func(a string) string { return strings.Replace(a, `"signed"`, `"sent"`, 1) }
	r := q.send(w)
	var e struct {
		Detail struct {
			Detail      struct{ Issue string }
			Field       string
			Location    string
			Information struct {
				Method, URL string
				Length      int    `json:"sign_message_length"`
				Message     string `json:"truncated_sign_message"`
			} `json:"sign_information"`
		}
	}
	if err := json.Unmarshal(r.body, &e); err != nil {
		t.Fatal(err)
	}
	d := e.Detail
	begin := lines("POST", "/v3/pay/transactions/jsapi", unix(q.at), "sent")
	if r.status != 401 || d.Detail.Issue != "sign not match" || d.Field != "signature" || d.Location != "authorization" ||
		d.Information.Method != "POST" || d.Information.URL != "/v3/pay/transactions/jsapi" || d.Information.Length != len(begin)+len(body)+1 ||
		!strings.HasPrefix(d.Information.Message, begin+body[:10]) || len(d.Information.Message) >= len(begin)+len(body) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r.header.Get("Request-Id") != "" {
		t.Error("a 401 of orders has a Request-ID; it was seen without")
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, c := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/v3/nothing", 404},
		{"GET", "/v3/pay/transactions/out-trade-no/", 404},
		{"GET", "/v3/pay/transactions/out-trade-no/a/b", 404},
		{"GET", "/v3/pay/transactions/jsapi", 405},
		{"DELETE", "/v3/certificates", 405},
		{"PUT", "/v3/pay/transactions/out-trade-no/order-000001/close", 405},
		{"GET", "/v3", 404},
		{"POST", "/pay/nothing", 404},
		{"POST", "/secapi/pay", 404},
		{"POST", "/pay", 404},
	} {
		r := w.call(c.method, c.target, "")
		if r.status != c.status || len(r.body) != 0 || r.header.Get("Content-Type") != "" {
			t.Errorf("%s %s answers %d %q, want %d and nothing", c.method, c.target, r.status, r.body, c.status)
		}
	}
}

// The headers of answers are the ones that were observed.
func TestAnswerHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	r := w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("order-000001", nil))
	names := []string{"Server", "Date", "Content-Type", "Content-Length", "Connection", "Keep-Alive", "Cache-Control",
		"X-Content-Type-Options", "Request-Id", "Content-Language", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature",
		"Wechatpay-Serial", "Wechatpay-Signature-Type"}
	for _, name := range names {
		if r.header.Get(name) == "" {
			t.Errorf("%s is missing", name)
		}
	}
	for name := range r.header {
		if !slices.Contains(names, name) {
			t.Errorf("%s was never observed", name)
		}
	}
	if !regexp.MustCompile(`^08[0-9A-F]{38}-0$`).MatchString(r.header.Get("Request-Id")) || len(r.header.Get("Wechatpay-Nonce")) != 32 ||
		r.header.Get("Server") != "nginx" || r.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%v", r.header)
	}
	if !regexp.MustCompile(`^\{"prepay_id":"wx[0-9]{14}[0-9a-f]{16}0000"\}$`).Match(r.body) {
		t.Errorf("body %s", r.body)
	}
	closed := w.call("POST", "/v3/pay/transactions/out-trade-no/order-000001/close", `{"mchid":"`+w.merchant.ID+`"}`)
	if closed.status != 204 || len(closed.body) != 0 || !w.genuine(closed.header, nil) {
		t.Errorf("close answers %d %q", closed.status, closed.body)
	}
	for want, r := range map[string]reply{
		"-268512771": w.call("GET", "/v3/pay/transactions/out-trade-no/nothing?mchid="+w.merchant.ID, ""),
		"-270924358": w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("order-000002", map[string]any{"color": "red"})),
		"-268435461": w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("short", nil)),
	} {
		if !strings.HasSuffix(r.header.Get("Request-Id"), want) {
			t.Errorf("Request-ID %s, want it to end in %s: %s", r.header.Get("Request-Id"), want, r.body)
		}
	}
}

// Errors are in the language asked for, and signed only where the sandbox is told to.
func TestErrorsInEnglishAndSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{SignErrors: true})
	q := w.request("GET", "/v3/pay/transactions/out-trade-no/nothing?mchid="+w.merchant.ID, "")
	q.header.Set("Accept-Language", "en")
	r := q.send(w)
	if r.message() != "The order doesn't exist" || r.header.Get("Content-Language") != "en" {
		t.Errorf("%v %s", r.header, r.body)
	}
	if !w.genuine(r.header, r.body) {
		t.Error("the error isn't signed")
	}
	q = w.request("GET", "/v3/pay/transactions/out-trade-no/nothing?mchid="+w.merchant.ID, "")
	q.header.Set("Accept-Language", "zh-HK,en")
	if r := q.send(w); r.message() != "订单不存在" || r.header.Get("Content-Language") != "zh-CN" {
		t.Errorf("%v %s", r.header, r.body)
	}
}

// Signatures follow the real time, business the sandbox's clock: after a month passed on it, every SDK still works.
func TestTwoTimes(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_790_000_000, 0)
	w := newWorld(t, Options{Clock: func() time.Time { return at }})
	w.Advance(30 * 24 * time.Hour)
	w.pay("order-000001")
	r := w.call("GET", "/v3/pay/transactions/out-trade-no/order-000001?mchid="+w.merchant.ID, "")
	var out struct {
		SuccessTime time.Time `json:"success_time"`
	}
	if err := json.Unmarshal(r.body, &out); err != nil {
		t.Fatal(err)
	}
	if !out.SuccessTime.Equal(at.AddDate(0, 0, 30)) || r.header.Get("Wechatpay-Timestamp") != unix(at) || r.header.Get("Date") != at.UTC().Format(http.TimeFormat) {
		t.Errorf("%s, %v", r.body, r.header)
	}
	if !strings.Contains(string(r.body), `+08:00"`) {
		t.Errorf("success_time isn't in Beijing time: %s", r.body)
	}
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
