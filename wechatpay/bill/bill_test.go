package bill_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/fenhao-pay/fenhao/money"
	"github.com/fenhao-pay/fenhao/wechatpay/bill"
)

const (
	headerAll = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额," +
		"微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
	headerSuccess = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额," +
		"商品名称,商户数据包,手续费,费率,订单金额,费率备注"
	headerRefund = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额," +
		"退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
	headerOld = "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,总金额,代金券或立减优惠金额," +
		"微信退款单号,商户退款单号,退款金额,代金券或立减优惠退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率"
	headerFund = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号"

	totalsAll     = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
	totalsSuccess = "总交易单数,应结订单总金额,手续费总金额,订单总金额"
	totalsOld     = "总交易单数,总交易额,总退款金额,总代金券或立减优惠退款金额,手续费总金额"
	totalsFund    = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
)

// line writes values as bills do, with the line end of Windows.
func line(values ...string) string { return "`" + strings.Join(values, ",`") + "\r\n" }

func payment(no int, total, settled, fee, description string) string {
	return line("2026-11-19 10:00:00", "wx8888888888888888", "1900007291", "0", "", fmt.Sprintf("4200000001%018d", no), fmt.Sprintf("ORDER-%06d", no),
		"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "JSAPI", "SUCCESS", "OTHERS", "CNY", settled, "0.00", "0", "0", "0.00", "0.00", "", "", description, "a,b",
		fee, "0.60%", total, "0.00", "")
}

func refund(no int, amount, fee string) string {
	return line("2026-11-19 23:59:59", "wx8888888888888888", "1900007291", "0", "", fmt.Sprintf("4200000001%018d", no), fmt.Sprintf("ORDER-%06d", no),
		"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "JSAPI", "REFUND", "OTHERS", "CNY", "0.00", "0.00", fmt.Sprintf("5030000001%019d", no), fmt.Sprintf("REFUND-%d", no),
		amount, "0.00", "ORIGINAL", "SUCCESS", "咖啡", "", fee, "0.60%", "0.00", amount, "")
}

// day is a bill of 45 rows with refunds first, its totals printed as WeChat Pay does. Line 1 is the header.
func day() string {
	var b strings.Builder
	b.WriteString("\ufeff" + headerAll + "\r\n")
	for i := range 12 {
		b.WriteString(refund(i, "0.29", "-0.01000"))
	}
	for i := range 31 {
		b.WriteString(payment(i, "0.29", "0.27", "0.01000", "咖啡, 大杯,拿铁"))
	}
	b.WriteString(payment(31, "1.10", "1.10", "0.01000", ""))
	b.WriteString(payment(32, "100000.00", "100000.00", "600.00000", "金条"))
	// 31 × 0.29 + 1.10 + 100000.00 = 100010.09; 31 × 0.27 + 100001.10 = 100009.47; 12 × 0.29 = 3.48; 0.31 + 0.01 + 600 - 0.12 = 600.20
	b.WriteString(totalsAll + "\r\n" + line("45.0", "100009.47", "3.48", "0.0", "600.2", "100010.09", "3.48"))
	return b.String()
}

func collect[Row, Summary any](r *bill.Reader[Row, Summary]) (rows []Row, err error) {
	for row, e := range r.Rows() {
		if e != nil {
			return rows, e
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func TestDay(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]io.Reader{
		"as it is":        strings.NewReader(day()),
		"byte by byte":    iotest.OneByteReader(strings.NewReader(day())),
		"without BOM":     strings.NewReader(strings.TrimPrefix(day(), "\ufeff")),
		"with LF alone":   strings.NewReader(strings.ReplaceAll(day(), "\r\n", "\n")),
		"no last newline": strings.NewReader(strings.TrimSuffix(day(), "\r\n")),
		"a last blank":    strings.NewReader(day() + "\r\n"),
	} {
		r := bill.Trades(in, bill.Options{MaxRows: 45})
		if s := r.Summary(); s.Count != 0 {
			t.Errorf("%s: a summary before the end: %+v", name, s)
		}
		rows, err := collect(r)
		if err != nil || len(rows) != 45 {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
			continue
		}
		if s := r.Summary(); s.Count != 45 || s.Total != 10001009 || s.Settled != 10000947 || s.Refund != 348 || s.RequestedRefund != 348 ||
			s.CouponRefund != 0 || s.Fee != 60020*bill.FeePerFen || s.Other != nil {
			t.Errorf("%s: summary %+v", name, s)
		}
		again, err := collect(r)
		if err != nil || again != nil {
			t.Errorf("%s: after the end there are %d rows, %v", name, len(again), err)
		}
		first, last := rows[0], rows[44]
		if !first.IsRefund() || first.Line != 2 || first.Refund != 29 || first.Fee != -bill.FeePerFen || first.OutRefundNo != "REFUND-0" || first.RefundType != "ORIGINAL" ||
			!first.Time.Equal(time.Date(2026, 11, 19, 15, 59, 59, 0, time.UTC)) || first.Time.Location() != time.UTC || first.Total != 0 {
			t.Errorf("%s: refund %+v", name, first)
		}
		if last.IsRefund() || last.Total != 10_000_000 || last.RefundID != "" || last.OutRefundNo != "" || last.SubMerchantID != "" || last.Rate != 6000 ||
			last.OutTradeNo != "ORDER-000032" || last.Attach != "a,b" || last.Description != "金条" || last.Line != 46 {
			t.Errorf("%s: payment %+v", name, last)
		}
		if p := rows[12]; p.Description != "咖啡, 大杯,拿铁" || p.Total != 29 || p.Settled != 27 || rows[43].Total != 110 {
			t.Errorf("%s: payment %+v", name, p)
		}
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	success := headerSuccess + "\r\n" +
		line("2026-11-19 10:00:00", "wx1", "1900007291", "1900007292", "d", "42", "ORDER-000001", "o1", "NATIVE", "SUCCESS", "CMB_DEBIT", "CNY", "0.29", "0.81",
			"茶", "x", "0.01000", "0.60%", "1.10", "优惠费率") +
		totalsSuccess + "\r\n" + line("1.0", "0.29", "0.01", "1.1")
	refunds := strings.Replace(headerRefund, ",费率备注", ",费率备注,返还手续费,新列", 1) + "\r\n" +
		line("2026-11-19 10:00:00", "wx1", "1900007291", "0", "", "42", "ORDER-000001", "o1", "JSAPI", "REFUND", "OTHERS", "CNY", "0.00", "0.00",
			"2026-11-19 10:00:00", "", "50", "R1", "1.10", "0.10", "BALANCE", "PROCESSING", "茶", "", "-0.02000", "1%", "0.00", "1.20", "", "0.02000", "新") +
		line("2026-11-19 10:00:00", "wx1", "1900007291", "0", "", "42", "ORDER-000001", "o1", "JSAPI", "REVOKED", "OTHERS", "CNY", "0.00", "0.00",
			"2026-11-19 10:00:00", "2026-11-19 10:05:00", "51", "R2", "100000.00", "0.00", "ORIGINAL", "SUCCESS", "茶", "", "0.00000", "", "0.00", "100000.00", "", "0.00000", "") +
		totalsAll + ",返还手续费总金额\r\n" + line("2", "0.0", "100001.10", "0.1", "-0.02000", "0.0", "100001.2", "0.02")
	old := headerOld + "\n" +
		strings.ReplaceAll(line("2014-11-10 16:33:45", "wx1", "10000100", "0", "1000", "1001690740201411100005734289", "1415640626", "o1", "MICROPAY", "SUCCESS", "OTHERS",
			"CNY", "0.01", "0.0", "0", "0", "0", "0", "", "", "被扫支付测试", "订单额外描述", "0", "0.60%"), "\r\n", "\n") +
		totalsOld + "\n`1,`0.01,`0.0,`0.0,`0"
	read := func(text string) (bill.TradeRow, bill.TradeRow, bill.TradeSummary) {
		r := bill.Trades(strings.NewReader(text), bill.Options{})
		rows, err := collect(r)
		if err != nil {
			t.Fatal(err)
		}
		return rows[0], rows[len(rows)-1], r.Summary()
	}
	if row, _, s := read(success); row.Settled != 29 || row.Coupon != 81 || row.Total != 110 || row.RateNote != "优惠费率" || row.SubMerchantID != "1900007292" || s.Total != 110 {
		t.Errorf("SUCCESS: %+v, %+v", row, s)
	}
	row, revoked, s := read(refunds)
	if row.Refund != 110 || row.CouponRefund != 10 || row.RequestedRefund != 120 || !row.RefundedAt.IsZero() || row.RefundAppliedAt.IsZero() || row.ReturnedFee != 2000 ||
		row.Fee != -2000 || row.Rate != 10000 || row.Other["新列"] != "新" || len(row.Other) != 1 || s.Other["返还手续费总金额"] != "0.02" || s.Fee != -2000 {
		t.Errorf("REFUND: %+v, %+v", row, s)
	}
	if !revoked.IsRefund() || revoked.RefundedAt.Sub(revoked.RefundAppliedAt) != 5*time.Minute || revoked.Rate != 0 {
		t.Errorf("REVOKED: %+v", revoked)
	}
	if row, _, s := read(old); row.Total != 1 || row.Fee != 0 || row.TradeType != "MICROPAY" || row.RefundID != "" || row.Settled != 0 || s.Total != 1 || s.Count != 1 {
		t.Errorf("old: %+v, %+v", row, s)
	}
	older := strings.NewReplacer("代金券或立减优惠金额", "企业红包金额", "代金券或立减优惠退款金额", "企业红包退款金额").Replace(old)
	if row, _, _ := read(older); row.Total != 1 {
		t.Errorf("older: %+v", row)
	}
}

func fund() string {
	return "\ufeff" + headerFund + "\r\n" +
		line("2018-02-01 04:21:23", "50000305742018020103387128253", "1900009231201802015884652186", "退款", "退款", "支出", "0.02", "0.17", "system", "缺货", "REF42") +
		line("2018-02-01 05:00:00", "4200000068", "19", "交易", "交易", "收入", "100000.00", "100000.17", "system", `a\r\nb`, "") +
		line("2018-02-01 05:00:00", "4200000068", "20", "交易", "扣除交易手续费", "支出", "600.00", "99400.17", "system", "", "") +
		totalsFund + "\r\n" + line("3.0", "1.0", "100000.0", "2.0", "600.02")
}

func TestFundFlow(t *testing.T) {
	t.Parallel()
	r := bill.FundFlow(strings.NewReader(fund()), bill.Options{})
	rows, err := collect(r)
	if err != nil || len(rows) != 3 {
		t.Fatal(rows, err)
	}
	if f := rows[0]; f.Change() != -2 || f.Balance != 17 || f.Note != "缺货" || f.VoucherID != "REF42" || f.TransactionID != "50000305742018020103387128253" ||
		!f.Time.Equal(time.Date(2018, 1, 31, 20, 21, 23, 0, time.UTC)) || f.Direction != bill.Expense {
		t.Errorf("%+v", f)
	}
	if f := rows[1]; f.Change() != 10_000_000 || f.Note != `a\r\nb` {
		t.Errorf("%+v", f)
	}
	if s := r.Summary(); s.Count != 3 || s.IncomeCount != 1 || s.Income != 10_000_000 || s.ExpenseCount != 2 || s.Expense != 60002 {
		t.Errorf("%+v", s)
	}
	_, err = collect(bill.FundFlow(strings.NewReader(strings.Replace(fund(), "支出", "冻结", 1)), bill.Options{}))
	expect(t, "a direction", err, bill.ErrFormat, 2, "收支类型")
}

// expect checks the kind, the place and that what the error quotes is harmless.
func expect(t *testing.T, name string, err, kind error, line int, column string) {
	t.Helper()
	var e *bill.Error
	if !errors.As(err, &e) || !errors.Is(err, kind) || e.Line != line || e.Column != column {
		t.Errorf("%s: %v, want %q at line %d, column %q", name, err, kind, line, column)
		return
	}
	if strings.Contains(err.Error(), "oUpF8") || strings.Contains(err.Error(), "拿铁") {
		t.Errorf("%s: the error quotes what belongs to the buyer: %v", name, err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	lines := strings.SplitAfter(day(), "\r\n")
	at := func(i int, old, replacement string) string {
		altered := slices.Clone(lines)
		if !strings.Contains(altered[i-1], old) {
			t.Fatalf("line %d has no %q: %q", i, old, altered[i-1])
		}
		altered[i-1] = strings.Replace(altered[i-1], old, replacement, 1)
		return strings.Join(altered, "")
	}
	for _, c := range []struct {
		name, text string
		kind       error
		line       int
		column     string
	}{
		{"nothing", "", bill.ErrTruncated, 1, ""},
		{"a header", headerAll, bill.ErrTruncated, 2, ""},
		{"no totals", strings.Join(lines[:46], ""), bill.ErrTruncated, 47, ""},
		{"half of the totals", strings.Join(lines[:47], ""), bill.ErrTruncated, 48, ""},
		{"a row less", strings.Join(append(slices.Clone(lines[:45]), lines[46:]...), ""), bill.ErrTotals, 47, "总交易单数"},
		{"a row twice", strings.Join(append(slices.Clone(lines[:46]), lines[45:]...), ""), bill.ErrTotals, 49, "总交易单数"},
		{"something after the totals", day() + lines[45], bill.ErrFormat, 49, ""},
		{"two bills", day() + day(), bill.ErrFormat, 49, ""},
		{"gzip", "\x1f\x8b\x08" + strings.Repeat("\x00", 100_000), bill.ErrFormat, 1, ""},
		{"XML", "<xml><return_code>FAIL</return_code></xml>", bill.ErrFormat, 1, ""},
		{"JSON", `{"code":"NO_STATEMENT_EXIST"}`, bill.ErrFormat, 1, ""},
		{"GBK", "\xbd\xbb\xd2\xd7\xca\xb1\xbc\xe4,x\r\n", bill.ErrFormat, 1, ""},
		{"no header", lines[1], bill.ErrFormat, 1, ""},
		{"another bill", fund(), bill.ErrFormat, 1, ""},
		{"a column twice", at(1, "费率备注", "费率"), bill.ErrFormat, 1, "费率"},
		{"a column under two names", at(1, "费率备注", "总金额"), bill.ErrFormat, 1, "订单金额"},
		{"a value less", at(13, "`OTHERS,", ""), bill.ErrFormat, 13, ""},
		{"a value more", at(13, "`OTHERS,", "`OTHERS,`,"), bill.ErrFormat, 13, ""},
		{"a row without backtick", at(13, "`2026", "2026"), bill.ErrFormat, 13, ""},
		{"three decimals", at(14, "`0.29,`0.00,`\r\n", "`0.291,`0.00,`\r\n"), bill.ErrFormat, 14, "订单金额"},
		{"a fen more", at(14, "`0.29,`0.00,`\r\n", "`0.30,`0.00,`\r\n"), bill.ErrTotals, 48, "订单总金额"},
		{"no amount", at(14, "`0.29,`0.00,`\r\n", "`,`0.00,`\r\n"), bill.ErrFormat, 14, "订单金额"},
		{"an exponent", at(14, "`0.29,`0.00,`\r\n", "`29e-2,`0.00,`\r\n"), bill.ErrFormat, 14, "订单金额"},
		{"a blank before an amount", at(14, "`0.29,`0.00,`\r\n", "` 0.29,`0.00,`\r\n"), bill.ErrFormat, 14, "订单金额"},
		{"a plus", at(14, "`0.29,`0.00,`\r\n", "`+0.29,`0.00,`\r\n"), bill.ErrFormat, 14, "订单金额"},
		{"an amount of 20 digits", at(14, "`0.29,`0.00,`\r\n", "`99999999999999999999.00,`0.00,`\r\n"), bill.ErrFormat, 14, "订单金额"},
		{"a sum of 20 digits", at(14, "`0.29,`0.00,`\r\n", "`92233720368547758.07,`0.00,`\r\n"), bill.ErrFormat, 15, ""},
		{"a fee of six decimals", at(14, "0.01000", "0.010001"), bill.ErrFormat, 14, "手续费"},
		{"a fee less", at(14, "0.01000", "0.00999"), bill.ErrTotals, 48, "手续费总金额"},
		{"a rate without percent", at(14, "0.60%", "0.60"), bill.ErrFormat, 14, "费率"},
		{"a day that is none", at(14, "2026-11-19", "2026-11-31"), bill.ErrFormat, 14, "交易时间"},
		{"a short time", at(14, "10:00:00", "10:00"), bill.ErrFormat, 14, "交易时间"},
		{"a fraction of a second", at(14, "10:00:00", "10:00:00.5"), bill.ErrFormat, 14, "交易时间"},
		{"no number of rows", at(48, "`45.0", "`"), bill.ErrFormat, 48, "总交易单数"},
		{"half a row", at(48, "`45.0", "`45.5"), bill.ErrFormat, 48, "总交易单数"},
		{"a total twice", at(47, "退款总金额", "总交易单数"), bill.ErrFormat, 47, "总交易单数"},
		{"a total under two names", at(47, "申请退款总金额", "总交易额"), bill.ErrFormat, 47, "订单总金额"},
		{"a total less", at(48, "`3.48", "`3.47"), bill.ErrTotals, 48, "退款总金额"},
		{"too few totals", at(48, ",`3.48\r\n", "\r\n"), bill.ErrFormat, 48, ""},
		{"totals without backtick", at(48, "`45.0", "45.0"), bill.ErrFormat, 48, ""},
		{"an endless line", at(14, "OTHERS", strings.Repeat("x", 100_000)), bill.ErrTooLarge, 14, ""},
	} {
		r := bill.Trades(strings.NewReader(c.text), bill.Options{})
		_, err := collect(r)
		expect(t, c.name, err, c.kind, c.line, c.column)
		if s := r.Summary(); s.Count != 0 {
			t.Errorf("%s: there is a summary: %+v", c.name, s)
		}
		if rows, again := collect(r); again != err || rows != nil {
			t.Errorf("%s: asked again, %d rows, %v", c.name, len(rows), again)
		}
	}
	_, err := collect(bill.Trades(strings.NewReader(day()), bill.Options{MaxRows: 44}))
	expect(t, "row 45 of 44", err, bill.ErrTooLarge, 46, "")
	broken := errors.New("broken pipe")
	_, err = collect(bill.Trades(io.MultiReader(strings.NewReader(day()), iotest.ErrReader(broken)), bill.Options{}))
	expect(t, "a reader that fails after the last byte", err, broken, 49, "")
}

// Cut anywhere before its totals are complete, a bill is refused.
func TestCut(t *testing.T) {
	t.Parallel()
	whole := day()
	for n := 0; n < len(whole)-len("8\r\n"); n++ {
		if n < len(whole)-400 {
			n += 60
		}
		if _, err := collect(bill.Trades(strings.NewReader(whole[:n]), bill.Options{})); err == nil {
			t.Fatalf("cut after %d of %d bytes, it was believed: …%q", n, len(whole), whole[max(0, n-40):n])
		}
	}
}

// Where lines end with CR LF, a bare LF belongs to a value.
func TestLineFeedInAValue(t *testing.T) {
	t.Parallel()
	text := strings.Replace(day(), "咖啡, 大杯", "咖啡\n大杯\n\xff", 1)
	r := bill.Trades(strings.NewReader(text), bill.Options{})
	rows, err := collect(r)
	if err != nil || rows[12].Description != "咖啡\n大杯\n\ufffd,拿铁" || rows[12].Line != 16 || rows[13].Line != 17 {
		t.Errorf("%+v, %v", rows[12:14], err)
	}
}

func TestBreakAndGoOn(t *testing.T) {
	t.Parallel()
	r := bill.Trades(strings.NewReader(day()), bill.Options{})
	n := 0
	for range r.Rows() {
		if n++; n == 10 {
			break
		}
	}
	if r.Summary().Count != 0 {
		t.Error("a summary in the middle")
	}
	rows, err := collect(r)
	if err != nil || len(rows) != 35 || rows[0].Line != 12 {
		t.Errorf("%d more rows, %v", len(rows), err)
	}
}

// endless is a bill of n rows that is never in memory as a whole.
type endless struct {
	n    int
	rest []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.n == 0 {
			return 0, io.EOF
		}
		e.n--
		e.rest = []byte(payment(e.n, "0.29", "0.29", "0.00000", "咖啡"))
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func TestMemoryIsBounded(t *testing.T) {
	const n = 10_000 // 3 MB
	in := io.MultiReader(strings.NewReader(headerAll+"\r\n"), &endless{n: n}, strings.NewReader(totalsAll+"\r\n"+
		line("10000.0", "2900.0", "0.0", "0.0", "0.0", "2900.0", "0.0")))
	r := bill.Trades(in, bill.Options{})
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rows := 0
	for _, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		if rows++; rows == n-1 {
			runtime.GC()
			runtime.ReadMemStats(&now)
		}
	}
	if grown := int64(now.HeapAlloc) - int64(before.HeapAlloc); grown > 256<<10 {
		t.Errorf("after %d rows the heap has grown by %d bytes", n, grown)
	}
	if r.Summary().Total != 290_000 {
		t.Errorf("%+v", r.Summary())
	}
}

// Whatever amounts a bill has, they come out as they went in, and so do their totals.
func TestAmountsAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amounts := rapid.SliceOfN(rapid.Int64Range(0, 99_999_999_99), 0, 20).Draw(t, "fen")
		fees := rapid.SliceOfN(rapid.Int64Range(-99_999_999, 99_999_999), len(amounts), len(amounts)).Draw(t, "fees")
		text, total, fee := headerAll+"\r\n", money.Fen(0), bill.Fee(0)
		for i, a := range amounts {
			text += payment(i, money.Fen(a).String(), "0", bill.Fee(fees[i]).String(), "x")
			total += money.Fen(a)
			fee += bill.Fee(fees[i])
		}
		text += totalsAll + "\r\n" + line(fmt.Sprintf("%d.0", len(amounts)), "0", "0", "0", fee.String(), total.String(), "0")
		r := bill.Trades(strings.NewReader(text), bill.Options{})
		rows, err := collect(r)
		if err != nil || len(rows) != len(amounts) || r.Summary().Total != total || r.Summary().Fee != fee {
			t.Fatalf("%v, %+v", err, r.Summary())
		}
		for i, row := range rows {
			if row.Total != money.Fen(amounts[i]) || row.Fee != bill.Fee(fees[i]) {
				t.Fatalf("row %d: %+v", i, row)
			}
		}
	})
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for fee, want := range map[bill.Fee]string{0: "0.00000", 1000: "0.01000", -2000: "-0.02000", 1: "0.00001", 60020000: "600.20000", -1 << 63: "-92233720368547.75808"} {
		if fee.String() != want {
			t.Errorf("Fee(%d) is %s, want %s", int64(fee), fee, want)
		}
	}
	if fen, exact := bill.Fee(-2000).Fen(); fen != -2 || !exact {
		t.Errorf("%s, %t", fen, exact)
	}
	if _, exact := bill.Fee(1001).Fen(); exact {
		t.Error("1001 is no number of fen")
	}
	for rate, want := range map[bill.Rate]string{0: "0.00%", 6000: "0.60%", 390000: "39.00%", 6050: "0.605%", 6055: "0.6055%"} {
		if rate.String() != want {
			t.Errorf("Rate(%d) is %s, want %s", int64(rate), rate, want)
		}
	}
}

func FuzzTrades(f *testing.F) {
	f.Add([]byte(day()))
	f.Add([]byte(headerOld + "\n" + totalsOld + "\n`0,`0,`0,`0,`0"))
	f.Add([]byte(headerSuccess + "\r\n" + totalsSuccess + "\r\n`0.0,`0.0,`0.0,`0.0\r\n"))
	f.Add([]byte("交易时间,商户号,微信订单号,商户订单号,交易状态,订单金额\n`2026-11-19 10:00:00,`1,`2,`3,`SUCCESS,`-0.5\n总交易单数,订单总金额\n`1,`-0.5"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bill.Trades(bytes.NewReader(data), bill.Options{MaxRows: 1000})
		checkFuzzed(t, r.Rows(), func(n int) error {
			if s := r.Summary(); s.Count != int64(n) {
				return fmt.Errorf("%d rows, but the summary is %+v", n, s)
			}
			return nil
		})
	})
}

func FuzzFundFlow(f *testing.F) {
	f.Add([]byte(fund()))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bill.FundFlow(bytes.NewReader(data), bill.Options{MaxRows: 1000})
		checkFuzzed(t, r.Rows(), func(n int) error {
			if s := r.Summary(); s.Count != int64(n) || s.IncomeCount > s.Count {
				return fmt.Errorf("%d rows, but the summary is %+v", n, s)
			}
			return nil
		})
	})
}

func checkFuzzed[Row any](t *testing.T, rows iter.Seq2[Row, error], summary func(int) error) {
	n := 0
	for _, err := range rows {
		if err == nil {
			n++
			continue
		}
		var e *bill.Error
		if !errors.As(err, &e) || e.Line < 1 || len(err.Error()) > 1000 {
			t.Fatalf("%v", err)
		}
		return
	}
	if err := summary(n); err != nil {
		t.Fatal(err)
	}
}
