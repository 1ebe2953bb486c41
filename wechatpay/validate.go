package wechatpay

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// What WeChat Pay refuses is refused here first, by name and with the remedy. Limits count bytes of UTF-8: a Chinese
// character is three.
//
// Source: vendor manual, "JSAPI下单", and the texts of the errors that WeChat Pay answers.

// checkText checks a text that people read.
func checkText(field, s string, least, most int) error {
	switch {
	case !utf8.ValidString(s):
		return &RequestError{field, text{"it is not UTF-8: was it cut in the middle of a character?", "不是合法的 UTF-8：是否从字符中间截断？"}}
	case len(s) < least:
		return &RequestError{field, text{"it is missing", "不能为空"}}
	case len(s) > most:
		return &RequestError{field, text{
			fmt.Sprintf("it has %d bytes, at most %d are allowed (a Chinese character is 3): shorten it at a character", len(s), most),
			fmt.Sprintf("有 %d 字节，最多 %d 字节（一个汉字占 3 字节）：请按字符截短", len(s), most),
		}}
	}
	for _, r := range s {
		if r > 0xFFFF {
			return &RequestError{field, text{
				"it holds a character of 4 bytes, such as an emoji, which WeChat Pay refuses: take it out",
				"含有 4 字节字符（如表情符号），微信支付不接受：请去掉",
			}}
		}
	}
	return nil
}

// checkToken checks an identifier: printable ASCII without blanks.
func checkToken(field, s string, least, most int) error {
	if s == "" && least > 0 {
		return &RequestError{field, text{"it is missing", "不能为空"}}
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return &RequestError{field, text{"it holds a blank or a character that is not ASCII", "含有空白或非 ASCII 字符"}}
		}
	}
	if len(s) < least || len(s) > most {
		return &RequestError{field, text{
			fmt.Sprintf("it has %d characters, %d to %d are allowed", len(s), least, most),
			fmt.Sprintf("长度为 %d，允许 %d 到 %d", len(s), least, most),
		}}
	}
	return nil
}

func checkAppID(field, s string) error { return checkToken(field, s, 1, 32) }

func checkOutTradeNo(s string) error {
	const field = "out_trade_no"
	for i := range len(s) {
		c := s[i]
		if !strings.ContainsRune("_-|*", rune(c)) && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return &RequestError{field, text{"only 0-9 A-Z a-z _ - | * are allowed", "只能包含 0-9 A-Z a-z _ - | *"}}
		}
	}
	return checkToken(field, s, 6, 32)
}

func checkTransactionID(s string) error {
	if strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
		return &RequestError{"transaction_id", text{"it has digits and letters alone", "只能包含数字和字母"}}
	}
	return checkToken("transaction_id", s, 1, 32)
}

func checkNotifyURL(s string) error {
	bad := func(en, zh string) error { return &RequestError{"notify_url", text{en, zh}} }
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

// maxExpiry is the longest time that an order may stay open. Source: vendor manual, "JSAPI下单": 15 days (7 for Native).
const maxExpiry = 15 * 24 * time.Hour

func checkExpiry(t, now time.Time) error {
	switch {
	case t.IsZero():
		return nil
	case !t.After(now):
		return &RequestError{"time_expire", text{"it is in the past: " + formatTime(t), "已过期：" + formatTime(t)}}
	case t.Sub(now) > maxExpiry:
		return &RequestError{"time_expire", text{"it is more than 15 days away: " + formatTime(t), "超过 15 天：" + formatTime(t)}}
	}
	return nil
}

// beijing is the time zone of all of WeChat Pay. It has no summer time since 1992.
var beijing = time.FixedZone("UTC+8", 8*60*60)

// formatTime spells t as WeChat Pay's own examples do: Beijing time, whole seconds.
func formatTime(t time.Time) string { return t.In(beijing).Format("2006-01-02T15:04:05-07:00") }
