package sandbox

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// link is what applying for a bill gives.
type link struct {
	Type string `json:"hash_type"`
	Hash string `json:"hash_value"`
	URL  string `json:"download_url"`
}

func (w *world) applyBill(target string) link {
	w.t.Helper()
	r := w.call("GET", target, "")
	var l link
	if err := json.Unmarshal(r.body, &l); r.status != 200 || err != nil || !w.genuine(r.header, r.body) {
		w.t.Fatalf("%s: %d %s %v", target, r.status, r.body, r.err)
	}
	return l
}

// download fetches what a link leads to, as a merchant does: path and query as given, signed.
func (w *world) download(l link) reply {
	w.t.Helper()
	target, ok := strings.CutPrefix(l.URL, w.url)
	if !ok {
		w.t.Fatalf("%s leads elsewhere than to %s", l.URL, w.url)
	}
	return w.call("GET", target, "")
}

// file is the bill behind a link, with its hash checked.
func (w *world) file(target string) string {
	w.t.Helper()
	l := w.applyBill(target)
	r := w.download(l)
	sum := sha1.Sum(r.body)
	if r.status != 200 || l.Type != "SHA1" || l.Hash != hex.EncodeToString(sum[:]) {
		w.t.Fatalf("%s: %d %s, hash %s", target, r.status, r.body, l.Hash)
	}
	return string(r.body)
}

// noon is 2026-11-19 12:00 in Beijing.
var noon = time.Date(2026, 11, 19, 4, 0, 0, 0, time.UTC)

func billWorld(t *testing.T) *world {
	return newWorld(t, Options{Clock: func() time.Time { return noon }})
}

// The bills are these bytes: byte order mark, CR LF, backticks, the columns of each type, two kinds of numbers.
func TestBills(t *testing.T) {
	t.Parallel()
	w := billWorld(t)
	w.payWith(w.place("order-000001", map[string]any{"attach": "a,b\r\n`c`,`d\x01", "description": "咖啡, 大杯", "scene_info": map[string]any{"payer_client_ip": "::1", "device_id": "POS 1"}}))
	w.Advance(time.Minute)
	w.payWith(w.place("order-000002", map[string]any{"amount": map[string]any{"total": 10000, "currency": "CNY"}}))
	w.Advance(time.Minute)
	whole := map[string]any{"total": 10000, "currency": "CNY"}
	part := func(amount int) map[string]any {
		return map[string]any{"amount": map[string]any{"refund": amount, "total": whole["total"], "currency": "CNY"}}
	}
	first := w.refund("order-000001", "refund-1", 300, map[string]any{"reason": "缺货\r\n"})
	w.Advance(time.Minute)
	w.fault(Fault{On: "v3.refund", Kind: "closed", Delay: time.Hour, Count: 1})
	second := w.refund("order-000002", "refund-2", 0, part(1000))
	w.fault(Fault{On: "v3.refund", Kind: "abnormal", Count: 1})
	third := w.refund("order-000002", "refund-3", 0, part(2000))
	w.fault(Fault{On: "v3.refund", Kind: "processing", Count: 1})
	w.refund("order-000002", "refund-4", 0, part(9))
	w.place("order-unpaid", nil)
	w.Advance(24 * time.Hour) // it is the day after, 12:03
	if _, err := w.SetRefund("refund-3", RefundSuccess, 0); err != nil {
		t.Fatal(err) // too late for the bill, which is of 9:00
	}

	one, _ := w.Payment("order-000001")
	two, _ := w.Payment("order-000002")
	four, _ := w.Refund("refund-4")
	m, app, user := w.merchant.ID, w.app.ID, one.OpenID
	row := func(fields ...string) string { return "`" + strings.Join(fields, ",`") + "\r\n" }
	attach := "a,b\\r\\n`c`\\ `d "
	refundOf := func(at string, r refunded, p Payment, amount, fee, status, succeeded, device, goods, data string, times bool) string {
		f := []string{"2026-11-19 " + at, app, m, "0", device, p.TransactionID, p.OutTradeNo, user, "JSAPI", "REFUND", "OTHERS", "CNY", "0.00", "0.00"}
		if times {
			f = append(f, "2026-11-19 "+at, succeeded)
		}
		return row(append(f, r.ID, r.Number, amount, "0.00", "ORIGINAL", status, goods, data, fee, "0.60%", "0.00", amount, "")...)
	}
	refundRows := func(times bool) string {
		return refundOf("12:03:00", refunded{ID: four.RefundID, Number: "refund-4"}, two, "0.09", "0.00000", "PROCESSING", "", "", "一杯咖啡", "", times) +
			refundOf("12:03:00", third, two, "20.00", "-0.12000", "CHANGE", "", "", "一杯咖啡", "", times) +
			refundOf("12:03:00", second, two, "10.00", "-0.06000", "FAIL", "", "", "一杯咖啡", "", times) +
			refundOf("12:02:00", first, one, "3.00", "-0.02000", "SUCCESS", "2026-11-19 12:02:05", "POS 1", "咖啡, 大杯", attach, times)
	}
	head := "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,"
	both := "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n"
	pay := func(at string, p Payment, device, amount, goods, data, fee string, middle ...string) string {
		f := []string{"2026-11-19 " + at, app, m, "0", device, p.TransactionID, p.OutTradeNo, user, "JSAPI", "SUCCESS", "OTHERS", "CNY", amount, "0.00"}
		f = append(append(f, middle...), goods, data, fee, "0.60%", amount)
		if middle != nil {
			f = append(f, "0.00")
		}
		return row(append(f, "")...)
	}
	none := []string{"0", "0", "0.00", "0.00", "", ""}
	flowNumber := func(kind, number string) string {
		all := w.books.flows(m, w.Now())
		for _, f := range all {
			if f.kind == kind && f.number == number {
				return f.own
			}
		}
		t.Fatalf("no %s of %s", kind, number)
		return ""
	}
	flowRow := func(at, number, business, kind, direction, amount, balance, remark, voucher string) string {
		return row("2026-11-19 "+at, number, flowNumber(kind, number), business, kind, direction, amount, balance, "system", remark, voucher)
	}
	for target, want := range map[string]string{
		"/v3/bill/tradebill?bill_date=2026-11-19": head + "微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n" +
			refundRows(false) +
			pay("12:01:00", two, "", "100.00", "一杯咖啡", "", "0.60000", none...) +
			pay("12:00:00", one, "POS 1", "9.98", "咖啡, 大杯", attach, "0.06000", none...) +
			both + row("6.0", "109.98", "33.09", "0.0", "0.46", "109.98", "33.09"),
		"/v3/bill/tradebill?bill_date=2026-11-19&bill_type=SUCCESS": head + "商品名称,商户数据包,手续费,费率,订单金额,费率备注\r\n" +
			pay("12:01:00", two, "", "100.00", "一杯咖啡", "", "0.60000") + pay("12:00:00", one, "POS 1", "9.98", "咖啡, 大杯", attach, "0.06000") +
			"总交易单数,应结订单总金额,手续费总金额,订单总金额\r\n" + row("2.0", "109.98", "0.66", "109.98"),
		"/v3/bill/tradebill?bill_date=2026-11-19&bill_type=REFUND": head + "退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n" +
			refundRows(true) + both + row("4.0", "0.0", "33.09", "0.0", "-0.2", "0.0", "33.09"),
		"/v3/bill/fundflowbill?bill_date=2026-11-19&account_type=BASIC": "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号\r\n" +
			flowRow("12:00:00", one.TransactionID, "交易", "交易", "收入", "9.98", "9.98", "", one.TransactionID) +
			flowRow("12:00:00", one.TransactionID, "交易", "扣除交易手续费", "支出", "0.06", "9.92", "", one.TransactionID) +
			flowRow("12:01:00", two.TransactionID, "交易", "交易", "收入", "100.00", "109.92", "", two.TransactionID) +
			flowRow("12:01:00", two.TransactionID, "交易", "扣除交易手续费", "支出", "0.60", "109.32", "", two.TransactionID) +
			flowRow("12:02:00", first.ID, "退款", "退款", "支出", "3.00", "106.32", "缺货\\r\\n", "REF"+one.TransactionID) +
			flowRow("12:02:00", first.ID, "退款", "退还交易手续费", "收入", "0.02", "106.34", "缺货\\r\\n", "REF"+one.TransactionID) +
			flowRow("12:03:00", second.ID, "退款", "退款", "支出", "10.00", "96.34", "不想要了", "REF"+two.TransactionID) +
			flowRow("12:03:00", second.ID, "退款", "退还交易手续费", "收入", "0.06", "96.40", "不想要了", "REF"+two.TransactionID) +
			flowRow("12:03:00", third.ID, "退款", "退款", "支出", "20.00", "76.40", "不想要了", "REF"+two.TransactionID) +
			flowRow("12:03:00", third.ID, "退款", "退还交易手续费", "收入", "0.12", "76.52", "不想要了", "REF"+two.TransactionID) +
			flowRow("12:03:00", four.RefundID, "退款", "退款", "支出", "0.09", "76.43", "不想要了", "REF"+two.TransactionID) +
			flowRow("13:03:00", second.ID, "退款", "退款关闭", "收入", "10.00", "86.43", "不想要了", "REF"+two.TransactionID) +
			flowRow("13:03:00", second.ID, "退款", "扣除交易手续费", "支出", "0.06", "86.37", "不想要了", "REF"+two.TransactionID) +
			"资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\r\n" + row("13.0", "6.0", "120.18", "7.0", "33.81"),
	} {
		if got := w.file(target); got != "\xef\xbb\xbf"+want {
			t.Errorf("%s\n%s\nwant\n%s", target, got, want)
		}
	}
	if b := w.Books()[0]; b.Balance != 8637 {
		t.Errorf("the balance is %s, the bill's last is 86.37", b.Balance)
	}

	// The same in gzip, whose hash is the plain file's.
	l := w.applyBill("/v3/bill/tradebill?bill_date=2026-11-19&bill_type=ALL&tar_type=GZIP")
	r := w.download(l)
	z, err := gzip.NewReader(bytes.NewReader(r.body))
	if err != nil {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	plain, err := io.ReadAll(z)
	sum := sha1.Sum(plain)
	if err != nil || hex.EncodeToString(sum[:]) != l.Hash || string(plain) != w.file("/v3/bill/tradebill?bill_date=2026-11-19") || !strings.HasSuffix(l.URL, "&tartype=gzip") {
		t.Errorf("%d bytes, hash %x, %v, %s", len(plain), sum, err, l.URL)
	}
	if r.header.Get("Wechatpay-Signature") != "" || r.header.Get("Content-Encoding") != "" || strings.Contains(r.header.Get("Content-Type"), "json") {
		t.Errorf("headers of the file: %v", r.header)
	}
	// A refund of a later day is in that day's bill, with its payment's numbers.
	w.refund("order-000001", "refund-5", 1, nil)
	w.Advance(24 * time.Hour)
	if got := w.file("/v3/bill/tradebill?bill_date=2026-11-20"); !strings.Contains(got, ",`refund-5,`0.01,`") || strings.Count(got, "\r\n") != 4 {
		t.Errorf("%s", got)
	}
}

// A bill is there from 10:00 of the next day on, for three months, and for no day without a trade.
func TestBillDays(t *testing.T) {
	t.Parallel()
	w := billWorld(t)
	w.pay("order-000001") // 2026-11-19 12:00
	ask := func(date, more string) string {
		r := w.call("GET", "/v3/bill/tradebill?bill_date="+date+more, "")
		if r.status == 200 {
			return "200"
		}
		if r.status != 400 || r.header.Get("Wechatpay-Signature") != "" {
			t.Errorf("%s: %d %s", date, r.status, r.body)
		}
		return r.code()
	}
	expect := func(date, more, want string) {
		t.Helper()
		if got := ask(date, more); got != want {
			t.Errorf("%s, asked at %s: %s, want %s", date+more, billTime(w.Now()), got, want)
		}
	}
	expect("2026-11-19", "", "PARAM_ERROR") // today
	expect("2026-11-20", "", "PARAM_ERROR")
	expect("2026-11-18", "", "NO_STATEMENT_EXIST")
	expect("2026-08-19", "", "NO_STATEMENT_EXIST")
	expect("2026-08-18", "", "INVALID_REQUEST")
	for _, wrong := range []string{"20261119", "2026-11-31", "2026-1-1", "yesterday"} {
		expect(wrong, "", "PARAM_ERROR")
	}
	expect("2026-11-18", "&bill_type=SOME", "PARAM_ERROR")
	expect("2026-11-18", "&tar_type=ZIP", "PARAM_ERROR")
	w.Advance(12*time.Hour - time.Second)
	expect("2026-11-19", "", "PARAM_ERROR") // still today, in Beijing
	w.Advance(time.Second)
	expect("2026-11-19", "", "STATEMENT_CREATING")
	w.pay("order-000002") // 00:00:00 of the next day
	w.Advance(10*time.Hour - time.Second)
	expect("2026-11-19", "", "STATEMENT_CREATING")
	expect("2026-11-18", "", "NO_STATEMENT_EXIST")
	w.Advance(time.Second)
	expect("2026-11-19", "", "200")
	expect("2026-11-19", "&bill_type=REFUND", "NO_STATEMENT_EXIST")
	for account, want := range map[string]int{"BASIC": 200, "OPERATION": 400, "FEES": 400} {
		if r := w.call("GET", "/v3/bill/fundflowbill?bill_date=2026-11-19&account_type="+account, ""); r.status != want || want == 400 && r.code() != "NO_STATEMENT_EXIST" {
			t.Errorf("%s: %d %s", account, r.status, r.body)
		}
	}
	if got := w.file("/v3/bill/tradebill?bill_date=2026-11-19"); strings.Contains(got, "order-000002") || !strings.Contains(got, "order-000001") {
		t.Errorf("%s", got)
	}
	w.Advance(92 * 24 * time.Hour)
	expect("2026-11-20", "", "200") // three months ago, to the day
	expect("2026-11-19", "", "INVALID_REQUEST")
}

// A link is one merchant's, for five minutes, as it was given.
func TestBillLinks(t *testing.T) {
	t.Parallel()
	w := billWorld(t)
	w.pay("order-000001")
	w.Advance(24 * time.Hour)
	l := w.applyBill("/v3/bill/tradebill?bill_date=2026-11-19&tar_type=GZIP")
	for name, u := range map[string]string{
		"tartype dropped": strings.TrimSuffix(l.URL, "&tartype=gzip"),
		"another token":   strings.Replace(l.URL, "token=", "token=x", 1),
		"no token":        w.url + "/v3/billdownload/file",
	} {
		if r := w.download(link{URL: u}); r.status != 400 || r.code() == "" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	q := w.request("GET", strings.TrimPrefix(l.URL, w.url), "")
	q.authorization = func(string) string { return "" }
	if r := q.send(w); r.status != 401 || r.code() != "SIGN_ERROR" {
		t.Errorf("unsigned: %d %s", r.status, r.body)
	}
	other := oneMerchant()
	other.ID, other.Apps, other.PublicKeyID, other.Certificate = "1900000777", []App{{ID: "wx0123456789abcdef", Secret: "s"}}, "PUB_KEY_ID_7", ""
	if _, err := w.AddMerchant(other); err != nil {
		t.Fatal(err)
	}
	second := *w
	second.merchant = w.Merchants()[1]
	if r := second.download(l); r.status != 400 || r.code() != "INVALID_REQUEST" {
		t.Errorf("another merchant: %d %s", r.status, r.body)
	}
	w.Advance(5*time.Minute - time.Second)
	if r := w.download(l); r.status != 200 {
		t.Errorf("just in time: %d %s", r.status, r.body)
	}
	w.Advance(time.Second)
	if r := w.download(l); r.status != 400 || r.code() != "INVALID_REQUEST" {
		t.Errorf("too late: %d %s", r.status, r.body)
	}
	// What has expired is forgotten when another link is given.
	w.applyBill("/v3/bill/tradebill?bill_date=2026-11-19")
	if n := len(w.links.byToken); n != 1 || len(w.links.issued) != 1 {
		t.Errorf("%d links are kept", n)
	}
	// Under WeChat's names the link has WeChat's name.
	q = w.request("GET", "/v3/bill/tradebill?bill_date=2026-11-19", "")
	q.host = "api.mch.weixin.qq.com"
	if r := q.send(w); !strings.Contains(string(r.body), `"download_url":"https://api.mch.weixin.qq.com/v3/billdownload/file?token=`) {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// Each kind changes the bill in the way it says, and nothing else; the next bill is right again.
func TestFaultsOnBills(t *testing.T) {
	t.Parallel()
	w := billWorld(t)
	for i := range 5 {
		w.pay(fmt.Sprint("order-00000", i))
	}
	w.refund("order-000000", "refund-1", 300, nil)
	w.Advance(24 * time.Hour)
	const target = "/v3/bill/tradebill?bill_date=2026-11-19"
	const flows = "/v3/bill/fundflowbill?bill_date=2026-11-19"
	right := map[string]string{target: w.file(target), flows: w.file(flows)}
	changed := func(target, kind string) (lines int, sum string) {
		t.Helper()
		w.fault(Fault{On: "bill", Kind: kind, Count: 1})
		l := w.applyBill(target)
		first, again := w.download(l), w.download(l)
		got := string(first.body)
		hashed := sha1.Sum(first.body)
		fits := l.Hash == hex.EncodeToString(hashed[:])
		if got != string(again.body) || (got == right[target]) != (kind == "wrong_hash") || fits != (kind != "wrong_hash" && kind != "truncate") {
			t.Errorf("%s of %s: fits %v\n%s", kind, target, fits, got)
		}
		if now := w.file(target); now != right[target] {
			t.Errorf("after %s\n%s", kind, now)
		}
		all := strings.Split(got, "\r\n")
		return len(all), all[len(all)-2]
	}
	for kind, want := range map[string]struct {
		lines int // of 10: header, 6 rows, 2 of the sum, the end
		sum   string
	}{
		"wrong_hash": {10, "`6.0,`49.9,`3.0,`0.0,`0.28,`49.9,`3.0"},
		"wrong_fee":  {10, "`6.0,`49.9,`3.0,`0.0,`0.29,`49.9,`3.0"},
		"wrong_app":  {10, "`6.0,`49.9,`3.0,`0.0,`0.28,`49.9,`3.0"},
		"drop_row":   {9, "`5.0,"},
		"duplicate":  {11, "`7.0,"},
		"extra_row":  {11, "`7.0,`59.88,`3.0,`0.0,`0.34,"},
	} {
		if lines, sum := changed(target, kind); lines != want.lines || !strings.HasPrefix(sum, want.sum) {
			t.Errorf("%s: %d lines, %s; want %+v", kind, lines, sum, want)
		}
	}
	if lines, sum := changed(target, "wrong_amount"); lines != 10 || !strings.Contains(sum, "49.91") && !strings.Contains(sum, "3.01") {
		t.Errorf("wrong_amount: %d lines, %s", lines, sum)
	}
	if lines, _ := changed(target, "truncate"); lines >= 9 {
		t.Errorf("truncate: %d lines", lines)
	}
	for kind, want := range map[string]int{"drop_row": 15, "duplicate": 17, "wrong_amount": 16, "truncate": 0, "wrong_hash": 16} {
		if lines, sum := changed(flows, kind); want != 0 && (lines != want || strings.HasPrefix(sum, "`12.0") != (want == 16)) {
			t.Errorf("%s: %d lines, %s", kind, lines, sum)
		}
	}
	// The download has troubles of its own.
	w.fault(Fault{On: "bill_download", Kind: "truncate", Count: 1})
	if r := w.download(w.applyBill(target)); r.err == nil || len(r.body) == 0 {
		t.Errorf("cut: %d bytes, %v", len(r.body), r.err)
	}
	w.fault(Fault{On: "bill_download", Kind: "error", Count: 1})
	if r := w.download(w.applyBill(target)); r.status != 500 || r.code() != "SYSTEM_ERROR" {
		t.Errorf("%d %s", r.status, r.body)
	}
	w.fault(Fault{On: "bill", Kind: "bad_signature", Count: 1})
	if r := w.call("GET", target, ""); r.status != 200 || w.genuine(r.header, r.body) {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, e := range w.Journal(0, "", 0) {
		if strings.Contains(e.Response, "\x1f\x8b") {
			t.Errorf("the journal has a file in gzip: %q", e.Response)
		}
	}
}

// The bills of a day don't change when what is in them goes on.
func TestBillsStay(t *testing.T) {
	t.Parallel()
	w := billWorld(t)
	w.pay("order-000001")
	w.fault(Fault{On: "v3.refund", Kind: "abnormal", Count: 1})
	r := w.refund("order-000001", "refund-1", 300, nil)
	w.Advance(24 * time.Hour)
	const target = "/v3/bill/tradebill?bill_date=2026-11-19"
	before, flows := w.file(target), w.file("/v3/bill/fundflowbill?bill_date=2026-11-19")
	body := `{"out_refund_no":"refund-1","type":"MERCHANT_BANK_CARD"}`
	if a := w.call("POST", refunds+"/"+r.ID+"/apply-abnormal-refund", body); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.Advance(time.Minute)
	w.pay("order-000002")
	w.refund("order-000001", "refund-2", 100, nil)
	if after := w.file(target); after != before {
		t.Errorf("%s\nwas\n%s", after, before)
	}
	if after := w.file("/v3/bill/fundflowbill?bill_date=2026-11-19"); after != flows {
		t.Errorf("%s\nwas\n%s", after, flows)
	}
}
