package apiv2

import (
	"errors"
	"net/netip"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/rules"
)

// What WeChat Pay refuses is refused here first, by name and with the remedy.

// refuse makes an error of what a rule says about a field, or nil where it says nothing.
func refuse(field string, problem phrase.Text) error {
	if problem == (phrase.Text{}) {
		return nil
	}
	return &RequestError{field, problem}
}

// checkText checks a text that people read, on one line.
func checkText(field, s string, least, most int) error {
	return refuse(field, rules.Line(s, least, most))
}

// checkToken checks an identifier: printable ASCII without blanks.
func checkToken(field, s string, least, most int) error {
	return refuse(field, rules.Token(s, least, most))
}

// checkAmong is checkToken for a number that is made of letters, digits and the characters in more.
func checkAmong(field, s, more string, least, most int) error {
	if !rules.Only(s, more) {
		if more == "" {
			return &RequestError{field, phrase.Text{EN: "it has digits and letters alone", ZH: "只能包含数字和字母"}}
		}
		return &RequestError{field, phrase.Text{
			EN: "only 0-9 A-Z a-z and " + more + " are allowed",
			ZH: "只能包含 0-9 A-Z a-z 和 " + more,
		}}
	}
	return checkToken(field, s, least, most)
}

func checkAppID(field, s string) error { return checkAmong(field, s, "_-", 1, 32) }

func checkPrepayID(field, s string) error { return refuse(field, rules.PrepayID(s)) }

func checkMerchantID(field, s string) error {
	if !rules.IsMerchantNumber(s) {
		return &RequestError{field, phrase.Text{EN: "it is a merchant number, digits alone", ZH: "应为商户号，只含数字"}}
	}
	return nil
}

// checkNewOutTradeNo checks the number of an order that is to be placed.
func checkNewOutTradeNo(s string) error { return checkAmong("out_trade_no", s, "_-|*", 6, 32) }

// checkOutTradeNo checks the number of an order that may have been placed long ago: the rules were laxer.
func checkOutTradeNo(s string) error { return checkAmong("out_trade_no", s, "_-|*@", 1, 32) }

func checkOutRefundNo(s string) error { return checkAmong("out_refund_no", s, "_-|*@", 1, 64) }

func checkTransactionID(s string) error { return refuse("transaction_id", rules.TransactionID(s)) }

// checkOrderNumbers checks the one number, of two, that names an order.
func checkOrderNumbers(outTradeNo, transactionID string) error {
	switch {
	case outTradeNo != "" && transactionID != "":
		return &RequestError{"transaction_id", phrase.Text{
			EN: "give one number alone, this or out_trade_no", ZH: "transaction_id 与 out_trade_no 只能填一个",
		}}
	case transactionID != "":
		return checkTransactionID(transactionID)
	}
	return checkOutTradeNo(outTradeNo)
}

func checkFen(field string, f money.Fen) error { return refuse(field, rules.Amount(f)) }

func checkCurrency(field, s string) error {
	if s != "" && s != money.CNY {
		return &RequestError{field, phrase.Text{EN: "it is CNY", ZH: "只能是 CNY"}}
	}
	return nil
}

func checkIP(field, s string) error {
	if a, err := netip.ParseAddr(s); err != nil || a.Zone() != "" {
		return &RequestError{field, phrase.Text{
			EN: "it is the buyer's IPv4 or IPv6 address, without a port", ZH: "应为用户端 IPv4 或 IPv6 地址，不带端口",
		}}
	}
	return nil
}

// checkAttach also refuses what would read as fields of a notification: see unambiguous.
func checkAttach(s string) error {
	if name := joinedField(s); name != "" {
		return &RequestError{"attach", phrase.Text{
			EN: "it holds &" + name + "=, which is a field of WeChat Pay's own: a notification with it would be refused; use another name",
			ZH: "含有 &" + name + "=，与微信支付自身字段同名，带有它的通知将被拒绝：请换一个名称",
		}}
	}
	return checkText("attach", s, 0, 127)
}

func checkNotifyURL(s string, least int) error {
	if s == "" && least == 0 {
		return nil
	}
	return refuse("notify_url", rules.NotifyURL(s, phrase.Text{
		EN: "use https:// (http:// goes for loopback addresses, with a sandbox)",
		ZH: "请使用 https://（仅本机沙箱可用 http:// 回环地址）",
	}))
}

// maxExpiry is the longest time that an order may stay open. Source: v2 manual, "统一下单": 15 days (7 for Native).
const maxExpiry = 15 * 24 * time.Hour

func checkExpiry(t, now time.Time) error {
	switch {
	case t.IsZero():
		return nil
	case !t.After(now):
		return &RequestError{"time_expire", phrase.Text{EN: "it is in the past: " + formatTime(t), ZH: "已过期：" + formatTime(t)}}
	case t.Sub(now) > maxExpiry:
		return &RequestError{"time_expire", phrase.Text{EN: "it is more than 15 days away: " + formatTime(t), ZH: "超过 15 天：" + formatTime(t)}}
	}
	return nil
}

// check looks at fields that are to be sent: that XML can carry them and each is there once. They are sorted.
func (f Fields) check() error {
	for i := range f {
		if !isName(f[i].Name) {
			return &RequestError{phrase.Clip(f[i].Name, 40), phrase.Text{EN: "it is not a name of a field", ZH: "不是合法的字段名"}}
		}
		if !isText(f[i].Value) {
			return &RequestError{f[i].Name, phrase.Text{
				EN: "it is not UTF-8 or holds a character that XML does not have", ZH: "不是合法的 UTF-8，或含有 XML 不允许的字符",
			}}
		}
		if i > 0 && f[i].Name == f[i-1].Name {
			return &RequestError{f[i].Name, phrase.Text{EN: "it is given twice", ZH: "重复"}}
		}
	}
	return nil
}

// timeLayout is how API v2 spells times: Beijing time, yyyyMMddHHmmss.
const timeLayout = "20060102150405"

func formatTime(t time.Time) string { return t.In(rules.Beijing).Format(timeLayout) }

// parseTime reads a time of Beijing. Absent is zero.
func parseTime(s, layout string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(layout, s, rules.Beijing)
	if err != nil || len(s) != len(layout) { // time.Parse would take fractions of a second
		return time.Time{}, errors.New("it is not a time like " + layout)
	}
	return t.UTC(), nil
}

// parseCount reads a number of fen or of things: digits alone, no leading zero, at most 15.
func parseCount(s string) (int64, error) {
	if s == "" || len(s) > 15 || s[0] == '0' && len(s) > 1 {
		return 0, errors.New("it is not a number of at most 15 digits")
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, errors.New("it is not a number of at most 15 digits")
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, nil
}
