package wechatpay

import (
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
// Source: vendor manual, "JSAPI下单", and the texts of the errors that WeChat Pay answers.

// checkText checks a text that people read.
func checkText(field, s string, least, most int) error {
	switch {
	case !utf8.ValidString(s):
		return &RequestError{field, phrase.Text{EN: "it is not UTF-8: was it cut in the middle of a character?", ZH: "不是合法的 UTF-8：是否从字符中间截断？"}}
	case len(s) < least:
		return &RequestError{field, phrase.Text{EN: "it is missing", ZH: "不能为空"}}
	case len(s) > most:
		return &RequestError{field, phrase.Text{
			EN: fmt.Sprintf("it has %d bytes, at most %d are allowed (a Chinese character is 3): shorten it at a character", len(s), most),
			ZH: fmt.Sprintf("有 %d 字节，最多 %d 字节（一个汉字占 3 字节）：请按字符截短", len(s), most),
		}}
	}
	for _, r := range s {
		if r > 0xFFFF {
			return &RequestError{field, phrase.Text{
				EN: "it holds a character of 4 bytes, such as an emoji, which WeChat Pay refuses: take it out",
				ZH: "含有 4 字节字符（如表情符号），微信支付不接受：请去掉",
			}}
		}
	}
	return nil
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

func checkAppID(field, s string) error { return checkToken(field, s, 1, 32) }

// checkPrepayID refuses what is package already: with the prefix twice, the phone would say no more than that it failed.
func checkPrepayID(field, s string) error {
	if strings.HasPrefix(s, "prepay_id=") {
		return &RequestError{field, phrase.Text{EN: "it is the bare id, without prepay_id=", ZH: "应为不带 prepay_id= 前缀的预支付交易会话标识"}}
	}
	return checkToken(field, s, 1, 64)
}

func checkOutTradeNo(s string) error { return checkNumber("out_trade_no", s, "_-|*", 6, 32) }

// checkNumber checks a number that the merchant makes: letters, digits and the given marks.
func checkNumber(field, s, marks string, least, most int) error {
	for i := range len(s) {
		c := s[i]
		if !strings.ContainsRune(marks, rune(c)) && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			allowed := strings.TrimRight("0-9 A-Z a-z "+strings.Join(strings.Split(marks, ""), " "), " ")
			return &RequestError{field, phrase.Text{EN: "only " + allowed + " are allowed", ZH: "只能包含 " + allowed}}
		}
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
func checkAmount(field string, f money.Fen) error {
	if f < 1 || f > 9_999_999_999 {
		return &RequestError{field, phrase.Text{
			EN: fmt.Sprintf("%d fen is not an amount to pay: it is 1 fen or more, and has at most 10 digits", int64(f)),
			ZH: fmt.Sprintf("%d 分不是有效的金额：至少 1 分，最多 10 位数字", int64(f)),
		}}
	}
	return nil
}

// checkDate checks a day as WeChat Pay spells it.
func checkDate(field, s string) error {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return &RequestError{field, phrase.Text{EN: "it is a day of Beijing time such as 2026-11-19", ZH: "应为北京时间的日期，例如 2026-11-19"}}
	}
	return nil
}

// checkUnset refuses what a product or a role does not have: WeChat Pay refuses fields that it does not know.
func checkUnset(field string, unset bool, en, zh string) error {
	if unset {
		return nil
	}
	return &RequestError{field, phrase.Text{EN: "leave it out: " + en, ZH: "请勿填写：" + zh}}
}

func checkTransactionID(s string) error {
	if strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
		return &RequestError{"transaction_id", phrase.Text{EN: "it has digits and letters alone", ZH: "只能包含数字和字母"}}
	}
	return checkToken("transaction_id", s, 1, 32)
}

func checkNotifyURL(s string) error {
	bad := func(en, zh string) error { return &RequestError{"notify_url", phrase.Text{EN: en, ZH: zh}} }
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
	return bad("WeChat Pay calls https:// alone (http:// goes for loopback addresses, with a sandbox)",
		"必须是 https://（仅本机沙箱可用 http:// 回环地址）")
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// checkExpiry refuses the past. How far away t may be, WeChat Pay judges: its manual says 15 days for some products and 7
// for others, and not everywhere the same.
func checkExpiry(t, now time.Time) error {
	if !t.IsZero() && !t.After(now) {
		return &RequestError{"time_expire", phrase.Text{EN: "it is in the past: " + formatTime(t), ZH: "已过期：" + formatTime(t)}}
	}
	return nil
}

// beijing is the time zone of all of WeChat Pay. It has no summer time since 1992.
var beijing = time.FixedZone("UTC+8", 8*60*60)

// formatTime spells t as WeChat Pay's own examples do: Beijing time, whole seconds.
func formatTime(t time.Time) string { return t.In(beijing).Format("2006-01-02T15:04:05-07:00") }
