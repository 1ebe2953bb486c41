package apiv2

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
)

// What WeChat Pay refuses is refused here first, by name and with the remedy. Limits count bytes of UTF-8: a Chinese
// character is three.
//
// Source: v2 manual, "统一下单", and the texts of the errors that WeChat Pay answers.

// checkText checks a text that people read.
func checkText(field, s string, least, most int) error {
	switch {
	case !utf8.ValidString(s):
		return &RequestError{field, phrase.Text{EN: "it is not UTF-8: was it cut in the middle of a character?", ZH: "不是合法的 UTF-8：是否从字符中间截断？"}}
	case len(s) < least:
		return &RequestError{field, phrase.Text{EN: "it is missing", ZH: "不能为空"}}
	case len(s) > most:
		return tooLong(field, s, most)
	}
	for _, r := range s {
		if r > 0xFFFF {
			return &RequestError{field, phrase.Text{
				EN: "it holds a character of 4 bytes, such as an emoji, which WeChat Pay refuses: take it out",
				ZH: "含有 4 字节字符（如表情符号），微信支付不接受：请去掉",
			}}
		}
		if r < ' ' || r == 0x7f || r == 0xFFFE || r == 0xFFFF {
			return &RequestError{field, phrase.Text{
				EN: "it holds a control character, such as a line break: take it out",
				ZH: "含有控制字符（如换行）：请去掉",
			}}
		}
	}
	return nil
}

func tooLong(field, s string, most int) error {
	return &RequestError{field, phrase.Text{
		EN: fmt.Sprintf("it has %d bytes, at most %d are allowed (a Chinese character is 3): shorten it at a character", len(s), most),
		ZH: fmt.Sprintf("有 %d 字节，最多 %d 字节（一个汉字占 3 字节）：请按字符截短", len(s), most),
	}}
}

// checkToken checks an identifier: printable ASCII without blanks.
func checkToken(field, s string, least, most int) error {
	if s == "" && least > 0 {
		return &RequestError{field, phrase.Text{EN: "it is missing", ZH: "不能为空"}}
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return &RequestError{field, phrase.Text{EN: "it holds a blank or a character that is not ASCII", ZH: "含有空白或非 ASCII 字符"}}
		}
	}
	if len(s) < least || len(s) > most {
		return &RequestError{field, phrase.Text{
			EN: fmt.Sprintf("it has %d characters, %d to %d are allowed", len(s), least, most),
			ZH: fmt.Sprintf("长度为 %d，允许 %d 到 %d", len(s), least, most),
		}}
	}
	return nil
}

// checkAmong is checkToken for a number that is made of letters, digits and the characters in more.
func checkAmong(field, s, more string, least, most int) error {
	for i := range len(s) {
		c := s[i]
		if !strings.ContainsRune(more, rune(c)) && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			if more == "" {
				return &RequestError{field, phrase.Text{EN: "it has digits and letters alone", ZH: "只能包含数字和字母"}}
			}
			return &RequestError{field, phrase.Text{
				EN: "only 0-9 A-Z a-z and " + more + " are allowed",
				ZH: "只能包含 0-9 A-Z a-z 和 " + more,
			}}
		}
	}
	return checkToken(field, s, least, most)
}

func checkAppID(field, s string) error { return checkAmong(field, s, "_-", 1, 32) }

// checkPrepayID refuses what is package already: with the prefix twice, the phone would say no more than that it failed.
func checkPrepayID(field, s string) error {
	if strings.HasPrefix(s, "prepay_id=") {
		return &RequestError{field, phrase.Text{EN: "it is the bare id, without prepay_id=", ZH: "应为不带 prepay_id= 前缀的预支付交易会话标识"}}
	}
	return checkToken(field, s, 1, 64)
}

func checkMerchantID(field, s string) error {
	if s == "" || len(s) > 32 || strings.Trim(s, "0123456789") != "" {
		return &RequestError{field, phrase.Text{EN: "it is a merchant number, digits alone", ZH: "应为商户号，只含数字"}}
	}
	return nil
}

// checkNewOutTradeNo checks the number of an order that is to be placed.
func checkNewOutTradeNo(s string) error { return checkAmong("out_trade_no", s, "_-|*", 6, 32) }

// checkOutTradeNo checks the number of an order that may have been placed long ago: the rules were laxer.
func checkOutTradeNo(s string) error { return checkAmong("out_trade_no", s, "_-|*@", 1, 32) }

func checkOutRefundNo(s string) error { return checkAmong("out_refund_no", s, "_-|*@", 1, 64) }

func checkTransactionID(s string) error { return checkAmong("transaction_id", s, "", 1, 32) }

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

func checkFen(field string, f money.Fen) error {
	if f < 1 || f > 9_999_999_999 {
		return &RequestError{field, phrase.Text{
			EN: fmt.Sprintf("%d fen is not an amount to pay: it is 1 fen or more, and has at most 10 digits", int64(f)),
			ZH: fmt.Sprintf("%d 分不是有效的金额：至少 1 分，最多 10 位数字", int64(f)),
		}}
	}
	return nil
}

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
	bad := func(en, zh string) error { return &RequestError{"notify_url", phrase.Text{EN: en, ZH: zh}} }
	if s == "" && least == 0 {
		return nil
	}
	if err := checkToken("notify_url", s, 1, 256); err != nil {
		return err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return bad("it is not an absolute URL, such as https://pay.example.com/notify", "不是完整网址，例如 https://pay.example.com/notify")
	case strings.ContainsAny(s, "?#"):
		return bad("WeChat Pay allows no query and no fragment: put what you need into the path", "不能带查询参数和片段：请把参数放进路径")
	case u.User != nil:
		return bad("it may not hold a user name", "不能带用户名")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil // a sandbox on this machine
	}
	return bad("use https:// (http:// goes for loopback addresses, with a sandbox)",
		"请使用 https://（仅本机沙箱可用 http:// 回环地址）")
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
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

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// beijing is the time zone of all of WeChat Pay. It has no summer time since 1992.
var beijing = time.FixedZone("UTC+8", 8*60*60)

// timeLayout is how API v2 spells times: Beijing time, yyyyMMddHHmmss.
const timeLayout = "20060102150405"

func formatTime(t time.Time) string { return t.In(beijing).Format(timeLayout) }

// parseTime reads a time of Beijing. Absent is zero.
func parseTime(s, layout string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(layout, s, beijing)
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
