package sandbox

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// This file makes bills out of the books, byte for byte as WeChat Pay writes them. Source: vendor manual, "交易账单详细说明",
// "资金账单详细说明", and the published example of a trade bill.

// When a day's bill is there, on the day after in Beijing.
const (
	billMade  = 9 * time.Hour  // what it says of refunds is as of then
	billReady = 10 * time.Hour // it can be asked for
)

// What forbids a bill.
const (
	refusedDayOpen refusal = "the day isn't over"
	refusedDayOld  refusal = "the day is more than three months ago"
	refusedUnmade  refusal = "the day's bills aren't made yet"
)

// billTrouble tells why there can't be a bill of the day that begins so; nil is that there can.
func billTrouble(day, now time.Time) error {
	now = now.In(beijing)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, beijing)
	switch {
	case !day.Before(today):
		return refusedDayOpen
	case day.Before(today.AddDate(0, -3, 0)):
		return refusedDayOld
	case now.Before(day.AddDate(0, 0, 1).Add(billReady)):
		return refusedUnmade
	}
	return nil
}

// Kinds of bills.
const (
	tradeBill    = "trade"
	fundFlowBill = "fundflow"
)

// billLink is a bill that can be downloaded for a while.
type billLink struct {
	Token      string    `json:"token"`
	MerchantID string    `json:"merchant_id"`
	Kind       string    `json:"kind"` // trade or fundflow
	Type       string    `json:"type"` // bill_type of a trade bill, account_type of the other one
	Day        time.Time `json:"day"`  // its beginning
	Gzip       bool      `json:"gzip,omitempty"`
	Fault      string    `json:"fault,omitempty"` // what is wrong with it, on purpose
	ExpiresAt  time.Time `json:"expires_at"`
}

// billRow is a payment or a refund in a trade bill, or a movement in a fund flow bill, by column.
type billRow map[string]string

// sheet is a bill before it is written down.
type sheet struct {
	columns []string
	rows    []tradeRow
	flows   []flow
}

// Columns of trade bills.
var (
	paymentColumns = strings.Split("交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额", ",")
	refundColumns  = strings.Split("微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态", ",")
	refundTimes    = strings.Split("退款申请时间,退款成功时间", ",")
	goodsColumns   = strings.Split("商品名称,商户数据包,手续费,费率,订单金额", ",")
	askedColumn    = "申请退款金额"
	remarkColumn   = "费率备注"

	billColumns = map[string][]string{
		"ALL":     slices.Concat(paymentColumns, refundColumns, goodsColumns, []string{askedColumn, remarkColumn}),
		"SUCCESS": slices.Concat(paymentColumns, goodsColumns, []string{remarkColumn}),
		"REFUND":  slices.Concat(paymentColumns, refundTimes, refundColumns, goodsColumns, []string{askedColumn, remarkColumn}),
	}
	flowColumns = strings.Split("记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号", ",")
)

// tradeRow is a row of a trade bill.
type tradeRow struct {
	order  order
	refund *refund // nil: it is the payment
	made   time.Time
}

// fee is what the merchant paid, or got back (below 0).
func (r tradeRow) fee() money.Fen {
	if r.refund != nil {
		return -r.refund.Fee
	}
	return fee(r.order.Amount)
}

// bookedAt is the time by which the row belongs to a day: that of the payment, or of the acceptance of the refund.
func (r tradeRow) bookedAt() time.Time {
	if r.refund != nil {
		return r.refund.acceptedAt()
	}
	return r.order.PaidAt
}

// paid and refunded are the amounts of the row.
func (r tradeRow) paid() money.Fen {
	if r.refund != nil {
		return 0
	}
	return r.order.Amount
}

func (r tradeRow) refunded() money.Fen {
	if r.refund == nil {
		return 0
	}
	return r.refund.Amount
}

// refundRowStatus is what a trade bill says of a refund.
var refundRowStatus = map[RefundStatus]string{
	RefundSuccess: "SUCCESS", RefundProcessing: "PROCESSING", RefundAbnormal: "CHANGE", RefundClosed: "FAIL",
}

// cells are the row's fields by column.
func (r tradeRow) cells(extraFee money.Fen) billRow {
	o := r.order
	row := billRow{
		"交易时间": billTime(r.bookedAt()), "公众账号ID": o.AppID, "商户号": o.MerchantID, "特约商户号": "0", "设备号": o.DeviceID,
		"微信订单号": o.TransactionID, "商户订单号": o.OutTradeNo, "用户标识": o.OpenID, "交易类型": o.tradeType(), "交易状态": "SUCCESS",
		"付款银行": "OTHERS", "货币种类": money.CNY, "应结订单金额": r.paid().String(), "代金券金额": "0.00", "微信退款单号": "0",
		"商户退款单号": "0", "退款金额": r.refunded().String(), "充值券退款金额": "0.00", "商品名称": o.Description,
		"商户数据包": o.Attach, "手续费": (r.fee() + extraFee).String() + "000", "费率": "0.60%", "订单金额": r.paid().String(),
		"申请退款金额": r.refunded().String(),
	}
	if r.refund != nil {
		then := r.refund.stepAt(r.made)
		row["交易状态"] = "REFUND"
		if r.refund.API == byReversal {
			row["交易状态"] = "REVOKED"
		}
		row["微信退款单号"], row["商户退款单号"] = r.refund.RefundID, r.refund.OutRefundNo
		row["退款类型"], row["退款状态"] = then.Channel, refundRowStatus[then.Status]
		row["退款申请时间"] = billTime(r.refund.acceptedAt())
		if then.Status == RefundSuccess {
			row["退款成功时间"] = billTime(then.At)
		}
	}
	return row
}

// flow is a movement of a merchant's money.
type flow struct {
	at                   time.Time
	number               string // of the payment, the refund or the transfer
	business, kind       string
	amount               money.Fen // below 0: it went out
	balance              money.Fen // after it
	remark, voucher, own string    // own is the movement's own number
}

// tradeRows are the rows of a trade bill: refunds before payments, each newest first, so that nobody relies on an order.
func (b *books) tradeRows(l billLink) (rows []tradeRow) {
	end, made := l.Day.AddDate(0, 0, 1), l.Day.AddDate(0, 0, 1).Add(billMade)
	of := func(merchantID string, t time.Time) bool {
		return merchantID == l.MerchantID && !t.Before(l.Day) && t.Before(end)
	}
	if l.Type != "SUCCESS" {
		for _, r := range slices.Backward(b.refunds) {
			if of(r.MerchantID, r.acceptedAt()) {
				one := *r
				rows = append(rows, tradeRow{*b.numbers[orderKey{r.MerchantID, r.OutTradeNo}], &one, made})
			}
		}
	}
	begin := len(rows)
	if l.Type != "REFUND" {
		for _, o := range b.orders {
			if o.paid() && of(o.MerchantID, o.PaidAt) {
				rows = append(rows, tradeRow{*o, nil, made})
			}
		}
		slices.SortStableFunc(rows[begin:], func(x, y tradeRow) int { return y.order.PaidAt.Compare(x.order.PaidAt) })
	}
	return rows
}

// flows are the movements of a merchant's money up to an instant, oldest first.
func (b *books) flows(merchantID string, end time.Time) (all []flow) {
	add := func(f flow) {
		if f.amount != 0 && f.at.Before(end) {
			all = append(all, f)
		}
	}
	for _, o := range b.orders {
		if o.MerchantID == merchantID && o.paid() {
			f := flow{at: o.PaidAt, number: o.TransactionID, business: "交易", kind: "交易", amount: o.Amount, voucher: o.TransactionID}
			add(f)
			f.kind, f.amount = "扣除交易手续费", -fee(o.Amount)
			add(f)
		}
	}
	for _, r := range b.refunds {
		if r.MerchantID != merchantID {
			continue
		}
		f := flow{at: r.acceptedAt(), number: r.RefundID, business: "退款", kind: "退款", amount: -r.Amount, remark: r.Reason,
			voucher: "REF" + r.TransactionID}
		add(f)
		f.kind, f.amount = "退还交易手续费", r.Fee
		add(f)
		if r.status() == RefundClosed {
			f.at, f.kind, f.amount = r.now().At, "退款关闭", r.Amount
			add(f)
			f.kind, f.amount = "扣除交易手续费", -r.Fee
			add(f)
		}
	}
	for _, t := range b.transfers {
		if t.MerchantID == merchantID {
			kind := "充值"
			if t.Amount < 0 {
				kind = "提现"
			}
			add(flow{at: t.At, number: t.ID, business: "充值/提现", kind: kind, amount: t.Amount, voucher: t.ID})
		}
	}
	slices.SortStableFunc(all, func(x, y flow) int { return x.at.Compare(y.at) })
	balance := money.Fen(0)
	for i := range all {
		f := &all[i]
		balance += f.amount
		f.balance = balance
		sum := hash([]byte(merchantID), []byte(f.number), []byte(f.kind))
		f.own = merchantID + f.at.In(beijing).Format("20060102") + tenDigits(sum)
	}
	return all
}

// tenDigits are ten digits that follow from a hash.
func tenDigits(sum [32]byte) string {
	return strconv.FormatUint(1_000_000_000+binary.BigEndian.Uint64(sum[:8])%9_000_000_000, 10)
}

// sheetOf is the bill that a link leads to. The books aren't needed any more then.
func (b *books) sheetOf(l billLink) sheet {
	if l.Kind == fundFlowBill {
		s := sheet{columns: flowColumns}
		if l.Type == "BASIC" { // nothing moves on the other accounts
			all := b.flows(l.MerchantID, l.Day.AddDate(0, 0, 1))
			s.flows = slices.DeleteFunc(all, func(f flow) bool { return f.at.Before(l.Day) })
		}
		return s
	}
	return sheet{columns: billColumns[l.Type], rows: b.tradeRows(l)}
}

func (s *sheet) empty() bool { return len(s.rows)+len(s.flows) == 0 }

// Faults that change what a bill says.
var (
	billFaults     = []string{"truncate", "wrong_hash", "drop_row", "duplicate", "wrong_amount"}
	tradeBillFault = []string{"wrong_fee", "wrong_app", "extra_row"}
)

// write writes a link's bill down, with the lie of the link's fault about one row. The sums agree with the rows.
func (s *sheet) write(l billLink) []byte {
	sum := hash([]byte(l.Token))
	if l.Kind == fundFlowBill {
		flows := slices.Clone(s.flows)
		i := pick(sum, len(flows))
		switch l.Fault {
		case "drop_row":
			flows = slices.Delete(flows, i, i+1)
		case "duplicate":
			flows = slices.Insert(flows, i, flows[i])
		case "wrong_amount":
			flows[i].amount++
		}
		return writeFlows(s.columns, flows)
	}
	rows, extraFee := slices.Clone(s.rows), map[int]money.Fen{}
	i := pick(sum, len(rows))
	switch l.Fault {
	case "drop_row":
		rows = slices.Delete(rows, i, i+1)
	case "duplicate":
		rows = slices.Insert(rows, i, rows[i])
	case "wrong_amount":
		if r := rows[i].refund; r != nil {
			more := *r
			more.Amount++
			rows[i].refund = &more
		} else {
			rows[i].order.Amount++
		}
	case "wrong_fee":
		extraFee[i] = 1
	case "wrong_app":
		rows[i].order.AppID = "wx" + hex.EncodeToString(sum[8:16])
	case "extra_row":
		o := rows[i].order
		o.OutTradeNo, o.TransactionID = "EXTRA"+tenDigits(sum), "4200000000"+l.Day.Format("20060102")+tenDigits(sum)
		o.PaidAt, o.Description, o.Attach = l.Day.Add(12*time.Hour), "extra", ""
		rows = append(rows, tradeRow{o, nil, rows[i].made})
	}
	return writeTrades(s.columns, rows, extraFee)
}

// pick is one of n, as the hash has it.
func pick(sum [32]byte, n int) int { return int(binary.BigEndian.Uint64(sum[:8]) % uint64(max(n, 1))) }

func writeTrades(columns []string, rows []tradeRow, extraFee map[int]money.Fen) []byte {
	w := newBillWriter(columns)
	var paid, refunded, fees money.Fen
	for i, r := range rows {
		paid, refunded, fees = paid+r.paid(), refunded+r.refunded(), fees+r.fee()+extraFee[i]
		cells := r.cells(extraFee[i])
		fields := make([]string, len(columns))
		for j, c := range columns {
			fields[j] = cells[c]
		}
		w.row(fields)
	}
	if !slices.Contains(columns, askedColumn) {
		w.header([]string{"总交易单数", "应结订单总金额", "手续费总金额", "订单总金额"})
		w.row([]string{billCount(len(rows)), billSum(paid), billSum(fees), billSum(paid)})
		return w.Bytes()
	}
	w.header([]string{"总交易单数", "应结订单总金额", "退款总金额", "充值券退款总金额", "手续费总金额", "订单总金额", "申请退款总金额"})
	w.row([]string{billCount(len(rows)), billSum(paid), billSum(refunded), billSum(0), billSum(fees), billSum(paid), billSum(refunded)})
	return w.Bytes()
}

func writeFlows(columns []string, flows []flow) []byte {
	w := newBillWriter(columns)
	var in, out Sum
	for _, f := range flows {
		direction, amount := "收入", f.amount
		if amount < 0 {
			direction, amount = "支出", -amount
			out.add(amount)
		} else {
			in.add(amount)
		}
		w.row([]string{billTime(f.at), f.number, f.own, f.business, f.kind, direction, amount.String(), f.balance.String(), "system",
			f.remark, f.voucher})
	}
	w.header([]string{"资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额"})
	w.row([]string{billCount(len(flows)), billCount(int(in.Count)), billSum(in.Amount), billCount(int(out.Count)), billSum(out.Amount)})
	return w.Bytes()
}

// billWriter writes lines that end with CR LF behind a byte order mark. A field begins with a backtick, a name doesn't.
type billWriter struct{ bytes.Buffer }

func newBillWriter(columns []string) *billWriter {
	w := &billWriter{}
	w.WriteString("\ufeff")
	w.header(columns)
	return w
}

func (w *billWriter) header(names []string) { w.WriteString(strings.Join(names, ",") + "\r\n") }

func (w *billWriter) row(fields []string) {
	for i, f := range fields {
		if i > 0 {
			w.WriteByte(',')
		}
		w.WriteByte('`')
		_, _ = billText.WriteString(w, f) // to memory
	}
	w.WriteString("\r\n")
}

// billText escapes what would break a line or a field: line ends become two characters each, U+0001 a blank, and a comma
// that stands before a backtick a backslash and a blank. Other commas stay.
var billText = strings.NewReplacer("\r", `\r`, "\n", `\n`, "\x01", " ", ",`", "\\ `")

func billTime(t time.Time) string { return t.In(beijing).Format(time.DateTime) }

// billCount and billSum are numbers as the last line has them: with a point, and without zeros at the end but one.
func billCount(n int) string { return strconv.Itoa(n) + ".0" }

func billSum(f money.Fen) string {
	return strings.TrimSuffix(f.String(), "0")
}

// pack is a file in gzip.
func pack(plain []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(plain) // to memory
	_ = z.Close()
	return b.Bytes()
}
