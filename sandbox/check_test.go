package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// fullOrder is a right order in which every optional object is there, so that each path has a place.
func (w *world) fullOrder() string {
	w.t.Helper()
	return w.orderBody("order-000001", map[string]any{
		"detail":      map[string]any{"goods_detail": []any{map[string]any{"merchant_goods_id": "A", "quantity": 1, "unit_price": 998}}},
		"scene_info":  map[string]any{"payer_client_ip": "10.0.0.1", "store_info": map[string]any{"id": "1"}},
		"settle_info": map[string]any{},
	})
}

// with is a right order with one value put at a path such as "amount/total"; remove takes it out.
func (w *world) with(path string, v any, remove bool) string {
	w.t.Helper()
	return altered(w.t, w.fullOrder(), path, v, remove)
}

// altered is a body with one value put at a path, inside of lists in their first item; remove takes it out.
func altered(t *testing.T, full, path string, v any, remove bool) string {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(full), &body); err != nil {
		t.Fatal(err)
	}
	at := body
	names := strings.Split(path, "/")
	for _, name := range names[:len(names)-1] {
		if list, ok := at[name].([]any); ok {
			at = list[0].(map[string]any)
			continue
		}
		at = at[name].(map[string]any)
	}
	last := names[len(names)-1]
	if at[last] = v; remove {
		delete(at, last)
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// refused tells why the sandbox's tables refuse the order of a mini program; "" is that they don't.
func (w *world) refused(body string) string { return w.refusedBy("/v3/pay/transactions/jsapi", body) }

// refusedBy is refused for the call of that template.
func (w *world) refusedBy(template, body string) string {
	i := slices.IndexFunc(operations, func(o *operation) bool { return o.template == template })
	op := *operations[i]
	op.path = nil
	c := &call{op: &op, request: w.httpRequest(), raw: []byte(body), merchant: w.Sandbox.merchant(w.merchant.ID)}
	a := c.parse()
	if a.status == 0 {
		return ""
	}
	return reply{body: a.body}.message()
}

// fieldRow is what the manual says of a field: whether it must be there, its Chinese name, and its longest text in bytes.
type fieldRow struct {
	path, title string
	required    bool
	most        int // bytes of a text; 0: no text
	good        any
	wrong       any // of another type
}

// What the manual says of each field of an order, written down apart from the tables that it checks.
func TestOrderFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.checkFields(t, "/v3/pay/transactions/jsapi", w.fullOrder(), []fieldRow{
		{"appid", "公众号ID", true, 32, w.app.ID, 1},
		{"mchid", "直连商户号", true, 32, w.merchant.ID, 1900000001},
		{"description", "商品描述", true, 127, "一杯咖啡", 1},
		{"out_trade_no", "商户订单号", true, 32, "order-000001", 1},
		{"time_expire", "交易结束时间", false, 0, "2099-01-01T00:00:00+08:00", 1},
		{"attach", "附加数据", false, 128, "附加", true},
		{"notify_url", "通知地址", true, 0, "https://pay.example.com/notify", 1},
		{"goods_tag", "订单优惠标记", false, 32, "WXG", 1},
		{"support_fapiao", "电子发票入口开放标识", false, 0, true, "true"},
		{"amount", "订单金额", true, 0, map[string]any{"total": 1}, 1},
		{"amount/total", "总金额", true, 0, 1, "1"},
		{"amount/currency", "货币类型", false, 0, "CNY", 1},
		{"payer", "支付者", true, 0, map[string]any{"openid": "o"}, "o"},
		{"payer/openid", "用户标识", true, 128, "o", 1},
		{"detail", "优惠功能", false, 0, map[string]any{"cost_price": 1}, []any{}},
		{"detail/cost_price", "订单原价", false, 0, 1, "1"},
		{"detail/invoice_id", "商品小票ID", false, 32, "1", 1},
		{"detail/goods_detail", "单品列表", false, 0, []any{}, map[string]any{}},
		{"detail/goods_detail/merchant_goods_id", "商户侧商品编码", true, 32, "1", 1},
		{"detail/goods_detail/wechatpay_goods_id", "微信支付商品编码", false, 32, "1", 1},
		{"detail/goods_detail/goods_name", "商品名称", false, 256, "1", 1},
		{"detail/goods_detail/quantity", "商品数量", true, 0, 1, "1"},
		{"detail/goods_detail/unit_price", "商品单价", true, 0, 1, 0.5},
		{"scene_info", "场景信息", false, 0, map[string]any{"payer_client_ip": "::1"}, 1},
		{"scene_info/payer_client_ip", "用户终端IP", true, 0, "2001:db8::1", 1},
		{"scene_info/device_id", "商户端设备号", false, 32, "1", 1},
		{"scene_info/store_info/id", "门店编号", true, 32, "1", 1},
		{"scene_info/store_info/name", "门店名称", false, 256, "1", 1},
		{"scene_info/store_info/area_code", "地区编码", false, 32, "1", 1},
		{"scene_info/store_info/address", "详细地址", false, 512, "1", 1},
		{"settle_info/profit_sharing", "是否指定分账", false, 0, false, 0},
	})
}

// The orders of the other products have the same fields, but for the payer, and H5 has more.
func TestFieldsOfProducts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	full := altered(t, w.fullOrder(), "payer", nil, true)
	inH5 := altered(t, full, "scene_info/h5_info", map[string]any{"type": "Wap"}, false)
	const path = "/v3/pay/transactions/"
	for template, right := range map[string]string{path + "native": full, path + "app": full, path + "h5": inH5} {
		if got := w.refusedBy(template, right); got != "" {
			t.Errorf("%s: %s", template, got)
		}
		payer := altered(t, right, "payer", map[string]any{"openid": "o"}, false)
		if got := w.refusedBy(template, payer); got != "请求中含有未在API文档中定义的参数" {
			t.Errorf("%s with a payer: %s", template, got)
		}
		if got := w.refusedBy(template, altered(t, right, "amount/total", "1", false)); !strings.HasPrefix(got, "无法将 JSON 输入源“/body/amount/total”") {
			t.Errorf("%s: %s", template, got)
		}
		if got := w.refusedBy(template, inH5); (got == "") != (template == path+"h5") {
			t.Errorf("%s with h5_info: %s", template, got)
		}
	}
	w.checkFields(t, path+"h5", inH5, []fieldRow{
		{"scene_info", "场景信息", true, 0, map[string]any{"payer_client_ip": "::1", "h5_info": map[string]any{"type": "iOS"}}, 1},
		{"scene_info/h5_info", "H5场景信息", true, 0, map[string]any{"type": "Android"}, "Wap"},
		{"scene_info/h5_info/type", "场景类型", true, 0, "Wap", 1},
		{"scene_info/h5_info/app_name", "应用名称", false, 64, "王者荣耀", 1},
		{"scene_info/h5_info/app_url", "网站URL", false, 128, "https://pay.qq.com", 1},
		{"scene_info/h5_info/bundle_id", "iOS平台BundleID", false, 128, "com.tencent.wzryiOS", 1},
		{"scene_info/h5_info/package_name", "Android平台PackageName", false, 128, "com.tencent.tmgp.sgame", 1},
	})
	if got := w.refusedBy(path+"h5", altered(t, inH5, "scene_info/h5_info/type", "wap", false)); !strings.HasSuffix(got, "字符串必须匹配正则表达式“^(Wap|iOS|Android)$”") {
		t.Errorf("an unknown type: %s", got)
	}
}

// What the manual says of each field of a refund.
func TestRefundFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	goods := map[string]any{"merchant_goods_id": "A", "unit_price": 1, "refund_amount": 1, "refund_quantity": 1}
	full := w.refundBody("order-000001", "refund-1", 1, map[string]any{"goods_detail": []any{goods},
		"amount": map[string]any{"refund": 1, "total": 998, "currency": "CNY", "from": []any{map[string]any{"account": "AVAILABLE", "amount": 1}}}})
	w.checkFields(t, refunds, full, []fieldRow{
		{"transaction_id", "微信支付订单号", false, 32, "4200", 4200},
		{"out_trade_no", "商户订单号", false, 32, "order-000001", 1},
		{"out_refund_no", "商户退款单号", true, 64, "a", 1},
		{"reason", "退款原因", false, 80, "不想要了", 1},
		{"notify_url", "退款结果回调url", false, 0, "https://pay.example.com/refunds", 1},
		{"funds_account", "退款资金来源", false, 0, "AVAILABLE", 1},
		{"amount", "金额信息", true, 0, map[string]any{"refund": 1, "total": 1, "currency": "CNY"}, 1},
		{"amount/refund", "退款金额", true, 0, 1, "1"},
		{"amount/total", "原订单金额", true, 0, 1, 0.5},
		{"amount/currency", "退款币种", true, 0, "CNY", 1},
		{"amount/from", "退款出资账户及金额", false, 0, []any{}, map[string]any{}},
		{"amount/from/account", "出资账户类型", true, 0, "UNAVAILABLE", 1},
		{"amount/from/amount", "出资金额", true, 0, 1, "1"},
		{"goods_detail", "退款商品", false, 0, []any{}, map[string]any{}},
		{"goods_detail/merchant_goods_id", "商户侧商品编码", true, 32, "1", 1},
		{"goods_detail/wechatpay_goods_id", "微信支付商品编码", false, 32, "1", 1},
		{"goods_detail/goods_name", "商品名称", false, 256, "1", 1},
		{"goods_detail/unit_price", "商品单价", true, 0, 1, "1"},
		{"goods_detail/refund_amount", "商品退款金额", true, 0, 1, "1"},
		{"goods_detail/refund_quantity", "商品退货数量", true, 0, 1, "1"},
	})
	w.checkFields(t, refunds+"/{refund_id}/apply-abnormal-refund", `{"out_refund_no":"r","type":"MERCHANT_BANK_CARD"}`, []fieldRow{
		{"out_refund_no", "商户退款单号", true, 64, "a", 1},
		{"type", "异常退款处理方式", true, 0, "USER_BANK_CARD", 1},
		{"bank_type", "开户银行", false, 0, "ICBC_DEBIT", 1},
		{"bank_account", "收款银行卡号", false, 1024, "x", 1},
		{"real_name", "收款用户姓名", false, 1024, "x", 1},
	})
	for path, c := range map[string]struct {
		value any
		want  string
	}{
		"out_refund_no":       {"refund 1", `字符串必须匹配正则表达式“^[0-9a-zA-Z_\-\|\*@]{1,}$”`},
		"funds_account":       {"ALL", "字符串必须匹配正则表达式“^(AVAILABLE|UNSETTLED)$”"},
		"notify_url":          {"http://a", ""},
		"amount/refund":       {0, "值低于最小值 1"},
		"amount/currency":     {"USD", "货币类型不合法"},
		"amount/from/account": {"ALL", "字符串必须匹配正则表达式“^(AVAILABLE|UNAVAILABLE)$”"},
		"mchid":               {w.merchant.ID, "请求中含有未在API文档中定义的参数"},
		"sub_mchid":           {w.merchant.ID, "请求中含有未在API文档中定义的参数"},
		"attach":              {"x", "请求中含有未在API文档中定义的参数"},
		"reason":              {strings.Repeat("退", 27), "字节数 81，大于最大值 80"},
	} {
		if got := w.refusedBy(refunds, altered(t, full, path, c.value, false)); !strings.HasSuffix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %s, want …%s", path, got, c.want)
		}
	}
	for _, u := range []string{"http://", "https://pay.example.com/?a=1"} {
		if got := w.refusedBy(refunds, altered(t, full, "notify_url", u, false)); got == "" {
			t.Errorf("%s is taken", u)
		}
	}
}

// checkFields holds a call's table against rows, with a body in which each path has a place.
func (w *world) checkFields(t *testing.T, template, full string, rows []fieldRow) {
	t.Helper()
	for _, f := range rows {
		t.Run(strings.ReplaceAll(f.path, "/", "."), func(t *testing.T) {
			t.Parallel()
			with := func(v any, remove bool) string { return w.refusedBy(template, altered(t, full, f.path, v, remove)) }
			check := func(what, got, want string) {
				t.Helper()
				if got != want {
					t.Errorf("%s: %q\nwant %q", what, got, want)
				}
			}
			path := strings.NewReplacer("goods_detail/", "goods_detail/0/", "from/", "from/0/").Replace("/body/" + f.path)
			check("good", with(f.good, false), "")
			missing := ""
			if f.required {
				missing = fmt.Sprintf("输入源“%s”映射到字段“%s”必填性规则校验失败，此字段为必填项", path, f.title)
			}
			check("missing", with(nil, true), missing)
			begin := fmt.Sprintf("无法将 JSON 输入源“%s”映射到目标字段“%s”中，此字段需要一个合法的", path, f.title)
			for what, v := range map[string]any{"null": nil, "of another type": f.wrong} {
				if got := with(v, false); !strings.HasPrefix(got, begin) {
					t.Errorf("%s: %q\nwant %q…", what, got, begin)
				}
			}
			if f.most == 0 {
				return
			}
			text := fmt.Sprintf("输入源“%s”映射到值字段“%s”字符串规则校验失败，", path, f.title)
			check("empty", with("", false), text+map[bool]string{true: "字节数 0，小于最小值 6", false: "字节数 0，小于最小值 1"}[f.path == "out_trade_no"])
			check("one byte too long", with(strings.Repeat("a", f.most+1), false), text+fmt.Sprintf("字节数 %d，大于最大值 %d", f.most+1, f.most))
			if f.path != "mchid" { // which then is another's
				check("as long as may be", with(strings.Repeat("a", f.most), false), "")
			}
			if f.path != "out_trade_no" {
				wide := strings.Repeat("汉", f.most/3+1)
				check("bytes, not characters", with(wide, false), text+fmt.Sprintf("字节数 %d，大于最大值 %d", len(wide), f.most))
				check("of 4 bytes", with("😀", false), text+"字符串不能包含 4 字节的 UTF-8 字符")
			}
		})
	}
}

// The texts are WeChat Pay's where they are known, letter for letter, and so are the details.
func TestFieldTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, c := range []struct {
		name, body, code, text, detail string
	}{
		{"attach too long", w.with("attach", strings.Repeat("a", 203), false), "PARAM_ERROR",
			"输入源“/body/attach”映射到值字段“附加数据”字符串规则校验失败，字节数 203，大于最大值 128", `{"location":"body","value":203}`},
		{"number too short", w.with("out_trade_no", "abc", false), "PARAM_ERROR",
			"输入源“/body/out_trade_no”映射到值字段“商户订单号”字符串规则校验失败，字节数 3，小于最小值 6", `{"location":"body","value":3}`},
		{"number of bad characters", w.with("out_trade_no", "order 000001", false), "PARAM_ERROR",
			`输入源“/body/out_trade_no”映射到值字段“商户订单号”字符串规则校验失败，字符串必须匹配正则表达式“^[0-9a-zA-Z_\-\|\*]{1,}$”`, `{"location":"body","value":"order 000001"}`},
		{"time", w.with("time_expire", "2026-11-20 12:00:00", false), "PARAM_ERROR",
			"输入源“/body/time_expire”映射到值字段“交易结束时间”字符串规则校验失败，字符串必须是符合 RFC3339 日期时间格式", `{"location":"body","value":"2026-11-20 12:00:00"}`},
		{"nothing to pay", w.with("amount/total", 0, false), "PARAM_ERROR",
			"输入源“/body/amount/total”映射到数值字段“总金额”规则校验失败，值低于最小值 1", `{"location":"body","value":0}`},
		{"yuan", w.with("amount/total", 0.01, false), "PARAM_ERROR",
			"无法将 JSON 输入源“/body/amount/total”映射到目标字段“总金额”中，此字段需要一个合法的 64 位有符号整数", `{"location":"body","value":0.01}`},
		{"dollars", w.with("amount/currency", "XYZ", false), "PARAM_ERROR",
			"货币类型不合法", `{"field":"/amount/currency","value":"XYZ","issue":"Currency code is invalid","location":"body"}`},
		{"unknown", w.with("color", "red", false), "PARAM_ERROR", "请求中含有未在API文档中定义的参数", `{"location":"body","value":"/body/color"}`},
		{"unknown inside", w.with("payer/name", "red", false), "PARAM_ERROR", "请求中含有未在API文档中定义的参数", `{"location":"body","value":"/body/payer/name"}`},
		{"unknown in a list", w.with("detail/goods_detail/color", "red", false), "PARAM_ERROR", "请求中含有未在API文档中定义的参数",
			`{"location":"body","value":"/body/detail/goods_detail/0/color"}`},
		{"detail too long", w.with("detail/goods_detail", goods(104), false), "PARAM_ERROR",
			"输入源“/body/detail”映射到值字段“优惠功能”字符串规则校验失败，字节数 6258，大于最大值 6144", `{"location":"body","value":6258}`},
	} {
		r := w.call("POST", "/v3/pay/transactions/jsapi", c.body)
		var e struct{ Detail json.RawMessage }
		if err := json.Unmarshal(r.body, &e); err != nil {
			t.Fatalf("%s: %d %s: %v", c.name, r.status, r.body, err)
		}
		if r.status != 400 || r.code() != c.code || r.message() != c.text || !sameJSON(t, e.Detail, []byte(c.detail)) {
			t.Errorf("%s: %d %s\nwant %s %s", c.name, r.status, r.body, c.text, c.detail)
		}
	}
	long := strings.Repeat("a", 35)
	r := w.call("GET", "/v3/pay/transactions/out-trade-no/"+long+"?mchid="+w.merchant.ID, "")
	if want := "输入源“/uri_template/out_trade_no”映射到值字段“商户订单号”字符串规则校验失败，字节数 35，大于最大值 32"; r.message() != want {
		t.Errorf("%s, want %s", r.body, want)
	}
}

func goods(n int) []any {
	all := make([]any, n)
	for i := range all {
		all[i] = map[string]any{"merchant_goods_id": "1234567", "quantity": 1, "unit_price": 1}
	}
	return all
}

// What is no JSON object with each name once is refused before any field is looked at.
func TestBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	right := w.orderBody("order-000001", nil)
	const noObject = "请求报文不是合法的JSON对象"
	for _, c := range []struct{ name, body, want string }{
		{"right", right, ""},
		{"spaces", " \n" + right + "\n", ""},
		{"empty", "", noObject},
		{"list", "[" + right + "]", noObject},
		{"null", "null", noObject},
		{"two", right + right, noObject},
		{"cut", right[:len(right)-1], noObject},
		{"comma", right[:len(right)-1] + ",}", noObject},
		{"GBK", strings.Replace(right, "一杯咖啡", "\xd2\xbb\xb1\xad", 1), noObject},
		{"deep", strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50), noObject},
		{"name twice", `{"mchid":"` + w.merchant.ID + `",` + right[1:], "字段“mchid”重复"},
		{"name twice inside", strings.Replace(right, `"total":998`, `"total":1,"total":998`, 1), "字段“total”重复"},
		{"half a pair of surrogates", strings.Replace(right, "一杯咖啡", `\ud83d\ude00`, 1),
			"输入源“/body/description”映射到值字段“商品描述”字符串规则校验失败，字符串不能包含 4 字节的 UTF-8 字符"},
		{"larger than 64 bits", strings.Replace(right, "998", "9223372036854775808", 1),
			"无法将 JSON 输入源“/body/amount/total”映射到目标字段“总金额”中，此字段需要一个合法的 64 位有符号整数"},
		{"more than ten digits", strings.Replace(right, "998", "10000000000", 1), "输入源“/body/amount/total”映射到数值字段“总金额”规则校验失败，值高于最大值 9999999999"},
		{"ten digits", strings.Replace(right, "998", "9999999999", 1), ""},
		{"negative", strings.Replace(right, "998", "-1", 1), "输入源“/body/amount/total”映射到数值字段“总金额”规则校验失败，值低于最小值 1"},
		{"exponent", strings.Replace(right, "998", "1e2", 1), "无法将 JSON 输入源“/body/amount/total”映射到目标字段“总金额”中，此字段需要一个合法的 64 位有符号整数"},
	} {
		if got := w.refused(c.body); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	q := w.request("POST", "/v3/pay/transactions/jsapi", right)
	q.header.Set("Content-Type", "application/x-www-form-urlencoded")
	if r := q.send(w); r.status != 400 || r.code() != "INVALID_REQUEST" {
		t.Errorf("a form: %d %s", r.status, r.body)
	}
	q = w.request("POST", "/v3/pay/transactions/jsapi", right)
	q.header.Set("Content-Type", "application/json; charset=utf-8")
	if r := q.send(w); r.status != 200 {
		t.Errorf("with a charset: %d %s", r.status, r.body)
	}
}

func TestNotifyURLs(t *testing.T) {
	t.Parallel()
	for u, fine := range map[string]bool{
		"https://pay.example.com/notify":       true,
		"https://pay.example.com:8443/notify/": true,
		"http://127.0.0.1:8080/notify":         true,
		"http://[::1]:8080/notify":             true,
		"http://localhost/notify":              true,
		"http://service:8080/notify":           true,
		"http://10.1.2.3/notify":               true,
		"http://pay.example.com/notify":        false,
		"http://8.8.8.8/notify":                false,
		"https://pay.example.com/notify?a=1":   false,
		"https://pay.example.com/notify?":      false,
		"https://pay.example.com/notify#a":     false,
		"https://a:b@pay.example.com/notify":   false,
		"ftp://pay.example.com/notify":         false,
		"/notify":                              false,
		"https:///notify":                      false,
		" https://pay.example.com/notify":      false,
		"pay.example.com/notify":               false,
	} {
		if got := notifiable(u); got != fine {
			t.Errorf("%q: %v, want %v", u, got, fine)
		}
	}
}

func TestTimeExpire(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, Options{Clock: func() time.Time { return now }})
	for i, c := range []struct {
		given  time.Duration
		status int
		kept   time.Duration
	}{
		{-time.Second, 400, 0},
		{0, 400, 0},
		{time.Second, 200, time.Minute}, // lifted
		{time.Minute, 200, time.Minute},
		{2 * time.Hour, 200, 2 * time.Hour},
		{15 * 24 * time.Hour, 200, 15 * 24 * time.Hour},
		{15*24*time.Hour + time.Second, 400, 0},
	} {
		number := fmt.Sprintf("order-%06d", i)
		r := w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody(number, map[string]any{"time_expire": stamp(now.Add(c.given))}))
		if r.status != c.status || c.status == 400 && r.code() != "INVALID_REQUEST" {
			t.Errorf("%s: %d %s", c.given, r.status, r.body)
		}
		if p, ok := w.Payment(number); ok && !p.ExpiresAt.Equal(now.Add(c.kept)) {
			t.Errorf("%s: expires at %s", c.given, p.ExpiresAt)
		}
	}
	for _, bad := range []string{"2026-11-20T12:00:00", "2026-11-20T12:00:00+0800", "20261120120000", "2026-02-30T12:00:00Z", "2026-11-20T12:00:00,5Z", "2026-11-20T12:00:00z"} {
		if got := w.refused(w.with("time_expire", bad, false)); !strings.HasSuffix(got, "字符串必须是符合 RFC3339 日期时间格式") {
			t.Errorf("%s: %q", bad, got)
		}
	}
}
