package bill

import (
	"errors"
	"io"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// Direction says whether money came or went (收支类型).
type Direction string

// The values of FundRow.Direction. There are no others; a bill that has one is refused, as its totals can't be proven.
const (
	Income  Direction = "收入"
	Expense Direction = "支出"
)

// FundRow is one movement of money in a fund flow bill. A payment makes two: the payment comes, its fee goes.
type FundRow struct {
	Line int // in the bill, counted from 1

	Time          time.Time // 记账时间, UTC
	TransactionID string    // 微信支付业务单号: of the payment, the refund or the transfer
	FlowID        string    // 资金流水单号: of this movement
	Business      string    // 业务名称: 交易, 退款, 充值/提现, 企业付款, 分账, …
	Kind          string    // 业务类型: 交易, 扣除交易手续费, 退款, 退款关闭, 退还交易手续费, …
	Direction     Direction // 收支类型
	Amount        money.Fen // 收支金额, without a sign
	Balance       money.Fen // 账户结余, after the movement
	Submitter     string    // 资金变更提交申请人
	Note          string    // 备注, perhaps with WeChat Pay's escapes
	VoucherID     string    // 业务凭证号, such as a refund number

	Other map[string]string // columns that this package does not know, by name; nil where there are none
}

// Change returns the amount with its sign: positive for income, negative for expense.
func (r FundRow) Change() money.Fen {
	if r.Direction == Expense {
		return -r.Amount
	}
	return r.Amount
}

// FundSummary is the totals of a fund flow bill.
type FundSummary struct {
	Count        int64     // 资金流水总笔数
	IncomeCount  int64     // 收入笔数
	Income       money.Fen // 收入金额
	ExpenseCount int64     // 支出笔数
	Expense      money.Fen // 支出金额

	Other map[string]string // totals that this package does not know, by name; they are not compared with the rows
}

// FundFlow reads a fund flow bill (资金账单) of any account. in is the plain text, after gzip.
//
// Source: vendor manual, "资金账单详细说明".
func FundFlow(in io.Reader, o Options) *Reader[FundRow, FundSummary] {
	return newReader(&fundFormat, in, o)
}

var fundFormat = format[FundRow, FundSummary]{
	name:  "fund flow bill",
	frame: func(r *FundRow, line int) *map[string]string { r.Line = line; return &r.Other },
	other: func(s *FundSummary) *map[string]string { return &s.Other },
	columns: []column[FundRow]{
		{[]string{"记账时间"}, true, true, timeColumn(false, func(r *FundRow) *time.Time { return &r.Time })},
		{[]string{"微信支付业务单号"}, true, false, textColumn(func(r *FundRow) *string { return &r.TransactionID })},
		{[]string{"资金流水单号"}, true, false, textColumn(func(r *FundRow) *string { return &r.FlowID })},
		{[]string{"业务名称"}, false, false, textColumn(func(r *FundRow) *string { return &r.Business })},
		{[]string{"业务类型"}, true, false, textColumn(func(r *FundRow) *string { return &r.Kind })},
		{[]string{"收支类型"}, true, true, func(r *FundRow, v string) error {
			r.Direction = Direction(v)
			if r.Direction != Income && r.Direction != Expense {
				return errors.New("it is neither 收入 nor 支出")
			}
			return nil
		}},
		{[]string{"收支金额(元)", "收支金额（元）", "收支金额"}, true, true, fenColumn(func(r *FundRow) *money.Fen { return &r.Amount })},
		{[]string{"账户结余(元)", "账户结余（元）", "账户结余"}, false, true, fenColumn(func(r *FundRow) *money.Fen { return &r.Balance })},
		{[]string{"资金变更提交申请人"}, false, false, textColumn(func(r *FundRow) *string { return &r.Submitter })},
		{[]string{"备注"}, false, false, textColumn(func(r *FundRow) *string { return &r.Note })},
		{[]string{"业务凭证号"}, false, false, textColumn(func(r *FundRow) *string { return &r.VoucherID })},
	},
	totals: []total[FundSummary]{
		{[]string{"资金流水总笔数"}, true, 0,
			func(s *FundSummary, n int64) { s.Count = n }, func(s *FundSummary) int64 { return s.Count }},
		{[]string{"收入笔数"}, false, 0,
			func(s *FundSummary, n int64) { s.IncomeCount = n }, func(s *FundSummary) int64 { return s.IncomeCount }},
		{[]string{"收入金额"}, false, 2,
			func(s *FundSummary, n int64) { s.Income = money.Fen(n) }, func(s *FundSummary) int64 { return int64(s.Income) }},
		{[]string{"支出笔数"}, false, 0,
			func(s *FundSummary, n int64) { s.ExpenseCount = n }, func(s *FundSummary) int64 { return s.ExpenseCount }},
		{[]string{"支出金额"}, false, 2,
			func(s *FundSummary, n int64) { s.Expense = money.Fen(n) }, func(s *FundSummary) int64 { return int64(s.Expense) }},
	},
	add: func(s *FundSummary, r *FundRow) (err error) {
		s.Count++
		if r.Direction == Income {
			s.IncomeCount++
			s.Income, err = s.Income.Plus(r.Amount)
		} else {
			s.ExpenseCount++
			s.Expense, err = s.Expense.Plus(r.Amount)
		}
		return err
	},
}
