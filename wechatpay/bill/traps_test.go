package bill_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay/bill"
)

// What users of other SDKs fall into, as far as the other tests don't show it: docs/traps.md has the list.

// Whatever a name holds, no column moves: either every value stands under its name or the bill is refused.
func TestNamesMoveNoColumn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"拿铁", true}, {"拿铁,大杯", true}, {",", true}, {",,,", true}, {"`", true}, {"a`b", true}, {"`,", true}, {`"a","b"`, true}, {"a\tb", true}, {"'", true}, {"", true},
		{"总交易单数", true}, {"a,`b", false}, {",`", false},
	} {
		text := strings.Replace(day(), ",`金条,", ",`"+c.name+",", 1)
		if text == day() {
			t.Fatal("the bill has no such name")
		}
		rows, err := collect(bill.Trades(strings.NewReader(text), bill.Options{}))
		if !c.ok {
			expect(t, c.name, err, bill.ErrFormat, 46, "")
			continue
		}
		if err != nil || len(rows) != 45 {
			t.Errorf("%q: %d rows, %v", c.name, len(rows), err)
			continue
		}
		if last := rows[44]; last.Description != c.name || last.Attach != "a,b" || last.Total != 10_000_000 || last.Fee != 600*100*bill.FeePerFen || last.Rate != 6000 {
			t.Errorf("%q: %+v", c.name, last)
		}
	}
}

// A day without trades is a bill with totals of nothing, where WeChat Pay makes one at all: it is neither an error nor a
// broken file. A bill whose totals are nothing either is one.
func TestAnEmptyDay(t *testing.T) {
	t.Parallel()
	empty := "\ufeff" + headerAll + "\r\n" + totalsAll + "\r\n"
	r := bill.Trades(strings.NewReader(empty+line("0.0", "0.0", "0.0", "0.0", "0.0", "0.0", "0.0")), bill.Options{})
	if rows, err := collect(r); err != nil || len(rows) != 0 || r.Summary().Total != 0 {
		t.Errorf("%d rows, %v, %+v", len(rows), err, r.Summary())
	}
	_, err := collect(bill.Trades(strings.NewReader(empty), bill.Options{}))
	expect(t, "without totals", err, bill.ErrTruncated, 3, "")
	r = bill.Trades(strings.NewReader(empty+line("0.0", "0.0", "0.0", "0.0", "0.0", "0.01", "0.0")), bill.Options{})
	_, err = collect(r)
	expect(t, "with a fen of nothing", err, bill.ErrTotals, 3, "订单总金额")
}

// A refund stands in the bill of the day on which it was accepted; when it succeeded is another time, perhaps of another
// day, perhaps not known yet. Nothing here guesses one from the other.
func TestARefundHasTwoDays(t *testing.T) {
	t.Parallel()
	row := func(success, state string) string {
		return line("2026-11-19 23:59:30", "wx1", "1900007291", "0", "", "42", "ORDER-000001", "o1", "JSAPI", "REFUND", "OTHERS", "CNY", "0.00", "0.00",
			"2026-11-19 23:59:30", success, "50", "R1", "0.29", "0.00", "ORIGINAL", state, "茶", "", "0.00000", "0.60%", "0.00", "0.29", "")
	}
	text := headerRefund + "\r\n" + row("2026-11-20 00:00:10", "SUCCESS") + row("", "PROCESSING") + totalsAll + "\r\n" + line("2.0", "0.0", "0.58", "0.0", "0.0", "0.0", "0.58")
	rows, err := collect(bill.Trades(strings.NewReader(text), bill.Options{}))
	if err != nil || len(rows) != 2 {
		t.Fatal(rows, err)
	}
	accepted := time.Date(2026, 11, 19, 15, 59, 30, 0, time.UTC)
	if r := rows[0]; !r.Time.Equal(accepted) || !r.RefundAppliedAt.Equal(accepted) || !r.RefundedAt.Equal(accepted.Add(40*time.Second)) || r.Refund != 29 {
		t.Errorf("%+v", r)
	}
	if r := rows[1]; !r.Time.Equal(accepted) || !r.RefundedAt.IsZero() || r.RefundState != "PROCESSING" {
		t.Errorf("%+v", r)
	}
}
