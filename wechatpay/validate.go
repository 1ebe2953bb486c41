package wechatpay

import (
	"cmp"
	"strings"
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

// checkText checks a text that people read.
func checkText(field, s string, least, most int) error {
	return refuse(field, rules.Text(s, least, most))
}

// checkToken checks an identifier: printable ASCII without blanks.
func checkToken(field, s string, least, most int) error {
	return refuse(field, rules.Token(s, least, most))
}

func checkAppID(field, s string) error { return checkToken(field, s, 1, 32) }

func checkPrepayID(field, s string) error { return refuse(field, rules.PrepayID(s)) }

func checkOutTradeNo(s string) error { return checkNumber("out_trade_no", s, "_-|*", 6, 32) }

// checkNumber checks a number that the merchant makes: letters, digits and the given marks.
func checkNumber(field, s, marks string, least, most int) error {
	if !rules.Only(s, marks) {
		allowed := strings.TrimRight("0-9 A-Z a-z "+strings.Join(strings.Split(marks, ""), " "), " ")
		return &RequestError{field, phrase.Text{EN: "only " + allowed + " are allowed", ZH: "只能包含 " + allowed}}
	}
	return checkToken(field, s, least, most)
}

// checkMerchantID checks the number of a merchant other than the client's own.
func checkMerchantID(field, s string) error {
	if strings.Trim(s, "0123456789") != "" {
		return &RequestError{field, phrase.Text{EN: "it is a merchant number (商户号), digits alone", ZH: "应为商户号，只含数字"}}
	}
	return checkToken(field, s, 1, 32)
}

// checkAmount checks an amount that moves.
func checkAmount(field string, f money.Fen) error { return refuse(field, rules.Amount(f)) }

// checkDate checks a day as WeChat Pay spells it.
func checkDate(field, s string) error { return refuse(field, rules.Day(s)) }

// checkGoods checks what names the goods of one line.
func checkGoods(field, merchantID, wechatpayID, name string) error {
	return cmp.Or(
		checkToken(field+"merchant_goods_id", merchantID, 1, 32),
		checkToken(field+"wechatpay_goods_id", wechatpayID, 0, 32),
		checkText(field+"goods_name", name, 0, 256),
	)
}

// checkUnset refuses what a product or a role does not have: WeChat Pay refuses fields that it does not know.
func checkUnset(field string, unset bool, en, zh string) error {
	if unset {
		return nil
	}
	return &RequestError{field, phrase.Text{EN: "leave it out: " + en, ZH: "请勿填写：" + zh}}
}

func checkTransactionID(s string) error { return refuse("transaction_id", rules.TransactionID(s)) }

func checkNotifyURL(s string) error {
	return refuse("notify_url", rules.NotifyURL(s, phrase.Text{
		EN: "WeChat Pay calls https:// alone (http:// goes for loopback addresses, with a sandbox)",
		ZH: "必须是 https://（仅本机沙箱可用 http:// 回环地址）",
	}))
}

// checkExpiry refuses the past. How far away t may be, WeChat Pay judges: its manual says 15 days for some products and 7
// for others, and not everywhere the same.
func checkExpiry(t, now time.Time) error {
	if !t.IsZero() && !t.After(now) {
		return &RequestError{"time_expire", phrase.Text{EN: "it is in the past: " + formatTime(t), ZH: "已过期：" + formatTime(t)}}
	}
	return nil
}

// formatTime spells t as WeChat Pay's own examples do: Beijing time, whole seconds.
func formatTime(t time.Time) string { return t.In(rules.Beijing).Format("2006-01-02T15:04:05-07:00") }
