package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPublishedSignaturesV2(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, v := range vectors[struct {
		Vectors []struct {
			Name, Key, Sign string
			Parameters      map[string]string
			SignType        string `json:"sign_type"`
			WrongSign       string `json:"wrong_sign"`
		}
	}](t, "v2-sign.json").Vectors {
		if v.Parameters == nil {
			continue // a bare hash
		}
		var f flat
		for name, value := range v.Parameters {
			f = append(f, parameter{name, value})
		}
		if v.Sign != "" {
			checked++
			if got := f.sign(v.Key, v.SignType); got != v.Sign || !f.signed(v.Key, v.SignType, v.Sign) {
				t.Errorf("%s: signed %s, want %s", v.Name, got, v.Sign)
			}
			if f.signed(v.Key+"x", v.SignType, v.Sign) || f.signed(v.Key, v.SignType, strings.ToLower(v.Sign)) || f.signed(v.Key, v.SignType, "") {
				t.Errorf("%s: verifies with another key, in lower case or without a signature", v.Name)
			}
		}
		if v.WrongSign != "" && f.signed(v.Key, v.SignType, v.WrongSign) {
			t.Errorf("%s verifies", v.Name)
		}
	}
	if checked < 7 {
		t.Errorf("%d signatures: some are missing", checked)
	}
}

// A message is flat XML and nothing else.
func TestParseXML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     flat
		err      error
	}{
		{"plain", "<xml><a>1</a><b>x y</b></xml>", flat{{"a", "1"}, {"b", "x y"}}, nil},
		{"none", "<xml></xml>", nil, nil},
		{"declared and laid out", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<xml>\n  <a>1</a>\n\t<b/>\n</xml>\n", flat{{"a", "1"}, {"b", ""}}, nil},
		{"blanks belong to the value", "<xml><a> 1\n</a></xml>", flat{{"a", " 1\n"}}, nil},
		{"CDATA", "<xml><a><![CDATA[<b>&amp;]]></a></xml>", flat{{"a", "<b>&amp;"}}, nil},
		{"split CDATA", "<xml><a><![CDATA[]]]]><![CDATA[>]]></a></xml>", flat{{"a", "]]>"}}, nil},
		{"CDATA beside text", "<xml><a>1<![CDATA[2]]>3</a></xml>", flat{{"a", "123"}}, nil},
		{"escapes", "<xml><a>&lt;&gt;&amp;&quot;&apos;&#33;&#x4e2d;</a></xml>", flat{{"a", `<>&"'!中`}}, nil},
		{"names by case", "<xml><a>1</a><A>2</A></xml>", flat{{"a", "1"}, {"A", "2"}}, nil},
		{"no UTF-8", "<xml><a>\xd6\xd0</a></xml>", nil, errNotUTF8},
		{"GBK", "<?xml version=\"1.0\" encoding=\"GBK\"?><xml><a>1</a></xml>", nil, errNotFlat},
		{"nothing", "  \n", nil, errNotFlat},
		{"JSON", `{"a":"1"}`, nil, errNotFlat},
		{"a form", "a=1&b=2", nil, errNotFlat},
		{"another root", "<root><a>1</a></root>", nil, errNotFlat},
		{"root in upper case", "<XML><a>1</a></XML>", nil, errNotFlat},
		{"two roots", "<xml><a>1</a></xml><xml></xml>", nil, errNotFlat},
		{"something behind", "<xml><a>1</a></xml>x", nil, errNotFlat},
		{"something before", "x<xml><a>1</a></xml>", nil, errNotFlat},
		{"byte order mark", "\ufeff<xml><a>1</a></xml>", nil, errNotFlat},
		{"text between", "<xml>x<a>1</a></xml>", nil, errNotFlat},
		{"twice", "<xml><a>1</a><a>1</a></xml>", nil, errNotFlat},
		{"twice, once empty", "<xml><a></a><a>1</a></xml>", nil, errNotFlat},
		{"nested", "<xml><a><b>1</b></a></xml>", nil, errNotFlat},
		{"attribute", `<xml><a t="1">1</a></xml>`, nil, errNotFlat},
		{"attribute of the root", `<xml v="1"><a>1</a></xml>`, nil, errNotFlat},
		{"name space", `<xml xmlns="http://example.com/"><a>1</a></xml>`, nil, errNotFlat},
		{"prefix", `<xml><x:a>1</x:a></xml>`, nil, errNotFlat},
		{"comment", "<xml><!-- c --><a>1</a></xml>", nil, errNotFlat},
		{"comment in a value", "<xml><a>1<!-- c -->2</a></xml>", nil, errNotFlat},
		{"instruction", "<xml><?php x?><a>1</a></xml>", nil, errNotFlat},
		{"document type", "<!DOCTYPE xml><xml><a>1</a></xml>", nil, errNotFlat},
		{"entity", `<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/hostname">]><xml><a>&e;</a></xml>`, nil, errNotFlat},
		{"unknown entity", "<xml><a>&nbsp;</a></xml>", nil, errNotFlat},
		{"unescaped", "<xml><a>1 & 2</a></xml>", nil, errNotFlat},
		{"open", "<xml><a>1</a>", nil, errNotFlat},
		{"crossed", "<xml><a>1</xml></a>", nil, errNotFlat},
		{"cut", "<xml><a>1</a></x", nil, errNotFlat},
		{"control character", "<xml><a>\x01</a></xml>", nil, errNotFlat},
		{"crowd", "<xml>" + crowd(maxParameters+1) + "</xml>", nil, errNotFlat},
	} {
		got, err := parseXML([]byte(c.in))
		if err != c.err || err == nil && !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v, %v", c.name, got, err, c.want, c.err)
		}
	}
	if f, err := parseXML([]byte("<xml>" + crowd(maxParameters) + "</xml>")); err != nil || len(f) != maxParameters {
		t.Errorf("%d parameters: %v", len(f), err)
	}
}

// crowd is n parameters.
func crowd(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<p%d>1</p%d>", i, i)
	}
	return b.String()
}

// What is written reads back the same.
func FuzzXML(f *testing.F) {
	f.Add("a]]>b&<c>\n", "998")
	f.Fuzz(func(t *testing.T, text, number string) {
		in := flat{{"body", text}, {"attach", number}}
		out, err := parseXML(in.xml("xml"))
		clean := func(r rune) bool {
			return r == '\t' || r == '\n' || r >= 0x20 && r != 0xFFFD && r != 0xFFFE && r != 0xFFFF
		}
		for _, r := range text + "|" + number {
			if !clean(r) {
				return // XML can't carry it, or reads it as another
			}
		}
		if err != nil || !slices.Equal(out, in) {
			t.Errorf("%q became %q, %v", in, out, err)
		}
	})
}

// What is wrong before any field is looked at is answered with return_code FAIL, unsigned, by status 200, the signature
// ahead of the fields.
func TestTransportV2(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	order := w.orderV2("order-000001", "")
	signed := func(p params) string {
		p = maps.Clone(p)
		p["sign"] = p.signature(w.merchant.APIv2Key, p["sign_type"])
		return p.xml()
	}
	for name, c := range map[string]struct{ body, text string }{
		"empty":                     {"", "post数据为空"},
		"JSON":                      {"{}", "XML格式错误"},
		"not UTF-8":                 {"<xml><body>\xd6\xd0</body></xml>", "编码格式错误"},
		"document type":             {"<!DOCTYPE xml>" + signed(order), "XML格式错误"},
		"a name twice":              {strings.Replace(signed(order), "<xml>", "<xml><body>x</body>", 1), "XML格式错误"},
		"no mch_id":                 {signed(order.with(params{"mch_id": ""})), "mch_id不存在"},
		"unknown mch_id":            {signed(order.with(params{"mch_id": "1999999999"})), "mch_id不存在"},
		"no sign":                   {order.xml(), "签名错误"},
		"empty sign":                {order.with(params{"sign": ""}).xml() + "", "签名错误"},
		"another key":               {order.with(params{"sign": order.signature("0123456789abcdef0123456789abcdef", "")}).xml(), "签名错误"},
		"lower case":                {order.with(params{"sign": strings.ToLower(order.signature(w.merchant.APIv2Key, ""))}).xml(), "签名错误"},
		"a value changed":           {strings.Replace(signed(order), "998", "1", 1), "签名错误"},
		"escaped values signed":     {order.with(params{"sign": order.with(params{"body": "一杯&lt;咖啡&gt;&amp;蛋糕"}).signature(w.merchant.APIv2Key, "")}).xml(), "签名错误"},
		"MD5 said to be HMAC":       {order.with(params{"sign_type": "HMAC-SHA256", "sign": order.signature(w.merchant.APIv2Key, "")}).xml(), "签名错误"},
		"HMAC without a sign_type":  {order.with(params{"sign": order.signature(w.merchant.APIv2Key, "HMAC-SHA256")}).xml(), "签名错误"},
		"unsigned sign_type":        {order.with(params{"sign": order.signature(w.merchant.APIv2Key, ""), "sign_type": "MD5"}).xml(), "签名错误"},
		"unknown sign_type":         {signed(order.with(params{"sign_type": "SHA1"})), "sign_type参数错误"},
		"RSA":                       {signed(order.with(params{"sign_type": "RSA"})), "sign_type参数错误"},
		"sign ahead of the fields":  {strings.Replace(signed(order.with(params{"color": "red"})), "red", "blue", 1), "签名错误"},
		"sign ahead of the appid":   {strings.Replace(signed(order), w.app.ID, "wx1", 1), "签名错误"},
		"an unknown field":          {signed(order.with(params{"color": "red"})), "请求中含有未在API文档中定义的参数"},
		"a sub merchant":            {signed(order.with(params{"sub_mch_id": "1900000109"})), "请求中含有未在API文档中定义的参数"},
		"an unknown appid":          {signed(order.with(params{"appid": "wx0000000000000000"})), "appid不存在"},
		"too large":                 {"<xml><body>" + strings.Repeat("x", 1<<20) + "</body></xml>", "请求报文过大"},
		"JSAPI without openid":      {signed(order.with(params{"openid": ""})), "JSAPI支付必须传openid"},
		"NATIVE without product_id": {signed(order.with(params{"trade_type": "NATIVE"})), "NATIVE支付必须传product_id"},
		"MWEB without scene_info":   {signed(order.with(params{"trade_type": "MWEB"})), "MWEB支付必须传scene_info"},
		"MWEB without h5_info":      {signed(order.with(params{"trade_type": "MWEB", "scene_info": `{"store_info":{"id":"1"}}`})), "MWEB支付scene_info必须包含h5_info"},
		"version without detail":    {signed(order.with(params{"version": "1.0", "detail": "咖啡"})), "输入源“/body/xml/detail”映射到值字段“商品详情”字符串规则校验失败，字符串必须是合法的 JSON 对象"},
	} {
		w.failsV2(name, w.postV2("/pay/unifiedorder", c.body), c.text)
	}
	// Parameters without a value are as good as none, and stay out of the signature.
	r := w.callV2("/pay/unifiedorder", order.with(params{"goods_tag": " "}))
	if r.params["result_code"] != "SUCCESS" { // a blank is a value
		t.Errorf("a blank goods_tag: %s", r.body)
	}
	empty := maps.Clone(w.orderV2("order-000002", ""))
	empty["attach"], empty["detail"], empty["sub_mch_id"] = "", "", ""
	w.placeV2(empty)

	get, err := http.NewRequest("GET", w.url+"/pay/orderquery", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := w.do(get)
	w.failsV2("GET", replyV2{got, readV2(got.body)}, "请使用post方法")
	if ct := got.header.Get("Content-Type"); ct != "text/plain" {
		t.Errorf("Content-Type %q", ct)
	}
	w.failsV2("a query for nothing", w.callV2("/pay/orderquery", w.common("")), "缺少参数transaction_id或out_trade_no")
	w.failsV2("a query with more", w.callV2("/pay/orderquery", w.common("").with(params{"out_trade_no": "order-000001", "body": "x"})), "请求中含有未在API文档中定义的参数")
}

// refusedV2 tells why the sandbox's tables refuse the order; "" is that they don't.
func (w *world) refusedOrderV2(p params) string {
	var f flat
	for name, v := range p {
		f = append(f, parameter{name, v})
	}
	c := &callV2{op: operationsV2[0], given: f, merchant: w.Sandbox.merchant(w.merchant.ID)}
	return w.parseV2(c).failure
}

// What the manual says of each field of an order: whether it must be there, its Chinese name, and its longest text in
// bytes. It is written down apart from the tables that it checks.
func TestOrderFieldsV2(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	// As long as may be, and then one more: what a text of that length is made of.
	times := func(unit string) func(int) string {
		return func(n int) string { return strings.Repeat(unit, n) }
	}
	for _, f := range []struct {
		name, title string
		required    bool
		most        int // bytes
		of          func(int) string
		good, bad   string
		breaks      string // what the bad one breaks
	}{
		{"nonce_str", "随机字符串", true, 32, times("a"), "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", "", ""},
		{"device_info", "设备号", false, 32, times("a"), "WEB", "😀", "字符串不能包含 4 字节的 UTF-8 字符"},
		{"body", "商品描述", true, 128, times("a"), "分毫-咖啡", "😀", "字符串不能包含 4 字节的 UTF-8 字符"},
		{"detail", "商品详情", false, 6000, times("a"), `{"cost_price":1}`, "", ""},
		{"attach", "附加数据", false, 127, times("a"), "附加", "😀", "字符串不能包含 4 字节的 UTF-8 字符"},
		{"out_trade_no", "商户订单号", true, 32, times("a"), "order_1-|*", "order 000001", `字符串必须匹配正则表达式“^[0-9a-zA-Z_\-\|\*]{1,}$”`},
		{"fee_type", "标价币种", false, 0, nil, "CNY", "", ""},
		{"spbill_create_ip", "终端IP", true, 0, nil, "2001:db8::1", "localhost", "字符串必须是合法的 IP 地址"},
		{"time_start", "交易起始时间", false, 0, nil, "20991225091010", "2099122509101", "字符串必须是符合 yyyyMMddHHmmss 日期时间格式"},
		{"time_expire", "交易结束时间", false, 0, nil, "20991227091010", "20990230000000", "字符串必须是符合 yyyyMMddHHmmss 日期时间格式"},
		{"goods_tag", "订单优惠标记", false, 32, times("a"), "WXG", "", ""},
		{"notify_url", "通知地址", true, 256, func(n int) string { return "https://a.cn/" + strings.Repeat("a", n-13) }, "https://pay.example.com/n",
			"https://pay.example.com/n?a=1", "字符串必须是不带查询参数的 https 绝对地址"},
		{"trade_type", "交易类型", true, 0, nil, "APP", "FACEPAY", "字符串必须匹配正则表达式“^(JSAPI|NATIVE|APP|MWEB)$”"},
		{"product_id", "商品ID", false, 32, times("a"), "1", "", ""},
		{"limit_pay", "指定支付方式", false, 0, nil, "no_credit", "no_debit", "字符串必须匹配正则表达式“^(no_credit)$”"},
		{"openid", "用户标识", false, 128, times("o"), "o", "", ""},
		{"receipt", "电子发票入口开放标识", false, 0, nil, "Y", "N", "字符串必须匹配正则表达式“^(Y)$”"},
		{"profit_sharing", "是否需要分账", false, 0, nil, "N", "yes", "字符串必须匹配正则表达式“^(Y|N)$”"},
		{"scene_info", "场景信息", false, 256, func(n int) string { return `{"a":"` + strings.Repeat("a", n-8) + `"}` }, "{}", "[]", "字符串必须是合法的 JSON 对象"},
		{"version", "接口版本号", false, 0, nil, "1.0", "1x0", `字符串必须匹配正则表达式“^(1\.0)$”`},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			check := func(what, value, want string) {
				t.Helper()
				p := w.orderV2("order-000001", "").with(params{f.name: value, "sign": "x"})
				if got := w.refusedOrderV2(p); got != want {
					t.Errorf("%s: %q\nwant %q", what, got, want)
				}
			}
			path := "输入源“/body/xml/" + f.name + "”映射到"
			missing := ""
			if f.required {
				missing = path + "字段“" + f.title + "”必填性规则校验失败，此字段为必填项"
			}
			check("missing", "", missing)
			check("good", f.good, "")
			broken := path + "值字段“" + f.title + "”字符串规则校验失败，"
			if f.bad != "" {
				check("bad", f.bad, broken+f.breaks)
			}
			if f.most > 0 {
				check("as long as may be", f.of(f.most), "")
				check("one byte too long", f.of(f.most+1), broken+fmt.Sprintf("字节数 %d，大于最大值 %d", f.most+1, f.most))
			}
		})
	}
	for name, c := range map[string]struct{ name, value, want string }{
		"the manual's sample": {"body", strings.Repeat("a", 200), "输入源“/body/xml/body”映射到值字段“商品描述”字符串规则校验失败，字节数 200，大于最大值 128"},
		"bytes":               {"body", strings.Repeat("汉", 43), "输入源“/body/xml/body”映射到值字段“商品描述”字符串规则校验失败，字节数 129，大于最大值 128"},
		"short number":        {"out_trade_no", "12345", "输入源“/body/xml/out_trade_no”映射到值字段“商户订单号”字符串规则校验失败，字节数 5，小于最小值 6"},
		"yuan":                {"total_fee", "9.98", "无法将输入源“/body/xml/total_fee”映射到目标字段“标价金额”中，此字段需要一个合法的 64 位有符号整数"},
		"a sign":              {"total_fee", "+998", "无法将输入源“/body/xml/total_fee”映射到目标字段“标价金额”中，此字段需要一个合法的 64 位有符号整数"},
		"a blank":             {"total_fee", " 998", "无法将输入源“/body/xml/total_fee”映射到目标字段“标价金额”中，此字段需要一个合法的 64 位有符号整数"},
		"nothing to pay":      {"total_fee", "0", "输入源“/body/xml/total_fee”映射到数值字段“标价金额”规则校验失败，值低于最小值 1"},
		"less":                {"total_fee", "-1", "输入源“/body/xml/total_fee”映射到数值字段“标价金额”规则校验失败，值低于最小值 1"},
		"eleven digits":       {"total_fee", "10000000000", "输入源“/body/xml/total_fee”映射到数值字段“标价金额”规则校验失败，值高于最大值 9999999999"},
		"ten digits":          {"total_fee", "9999999999", ""},
		"dollars":             {"fee_type", "USD", "货币类型不合法"},
	} {
		if got := w.refusedOrderV2(w.orderV2("order-000001", "").with(params{"sign": "x", c.name: c.value})); got != c.want {
			t.Errorf("%s: %q\nwant %q", name, got, c.want)
		}
	}
}

// time_expire is Beijing's, and not before a minute from now nor beyond 15 days.
func TestTimeExpireV2(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, Options{Clock: func() time.Time { return now }})
	in := func(d time.Duration) string { return now.Add(d).In(beijing).Format("20060102150405") }
	for i, c := range []struct{ start, end, text string }{
		{"", in(time.Minute), ""},
		{in(0), in(15 * 24 * time.Hour), ""},
		{"", in(59 * time.Second), "time_expire时间过短"},
		{"", in(0), "交易有效截止时间非法"},
		{"", now.Add(time.Hour).Format("20060102150405"), "交易有效截止时间非法"}, // written in UTC
		{in(2 * time.Hour), in(time.Hour), "交易有效截止时间非法"},
		{"", in(15*24*time.Hour + time.Second), "time_expire距下单时间不能超过15天"},
	} {
		number := fmt.Sprintf("order-00000%d", i)
		r := w.callV2("/pay/unifiedorder", w.orderV2(number, "").with(params{"time_start": c.start, "time_expire": c.end}))
		if c.text != "" {
			w.refusesV2(c.end, r, "", "INVALID_REQUEST")
		}
		if r.params["err_code_des"] != c.text {
			t.Errorf("%s to %s: %s, want %q", c.start, c.end, r.body, c.text)
		}
		if p, ok := w.Payment(number); ok != (c.text == "") || ok && p.ExpiresAt.In(beijing).Format("20060102150405") != c.end {
			t.Errorf("%s: expires at %v", c.end, p.ExpiresAt)
		}
	}
	order := w.orderV2("order-000009", "").with(params{"time_expire": in(time.Hour)})
	w.placeV2(order)
	w.Advance(time.Hour)
	r := w.callV2("/pay/unifiedorder", order)
	w.refusesV2("repeated too late", r, "", "INVALID_REQUEST")
	if r.params["err_code_des"] != "订单已过期" {
		t.Errorf("repeated too late: %s", r.body)
	}
}
