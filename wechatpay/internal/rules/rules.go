// Package rules says what WeChat Pay refuses in the fields of a request, in API v3 and v2 alike, so that it is refused
// here first, with the remedy. Each rule returns what is wrong, or the zero Text where nothing is; which field that is
// and what kind of error it becomes is for the caller to say. Where the two APIs differ, the rule stays with each.
//
// Limits count bytes of UTF-8: a Chinese character is three.
//
// Source: vendor manual, "JSAPI下单"; v2 manual, "统一下单"; and the texts of the errors that WeChat Pay answers.
package rules

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
)

// Beijing is the time zone of all of WeChat Pay. It has no summer time since 1992.
var Beijing = time.FixedZone("UTC+8", 8*60*60)

var missing = phrase.Text{ZH: "不能为空", EN: "it is missing"}

// Text is for what people read.
func Text(s string, least, most int) phrase.Text {
	return readable(s, least, most, func(rune) bool { return false })
}

// Line is Text without control characters, line breaks among them.
func Line(s string, least, most int) phrase.Text {
	return readable(s, least, most, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xFFFE || r == 0xFFFF })
}

func readable(s string, least, most int, control func(rune) bool) phrase.Text {
	switch {
	case !utf8.ValidString(s):
		return phrase.Say("不是合法的 UTF-8：是否从字符中间截断？", "it is not UTF-8: was it cut in the middle of a character?")
	case len(s) < least:
		return missing
	case len(s) > most:
		return TooLong(s, most)
	}
	for _, r := range s {
		switch {
		case r > 0xFFFF:
			return phrase.Say("含有 4 字节字符（如表情符号），微信支付不接受：请去掉",
				"it holds a character of 4 bytes, such as an emoji, which WeChat Pay refuses: take it out")
		case control(r):
			return phrase.Say("含有控制字符（如换行）：请去掉", "it holds a control character, such as a line break: take it out")
		}
	}
	return phrase.Text{}
}

// TooLong says that s has more than most bytes.
func TooLong(s string, most int) phrase.Text {
	return phrase.Say("有 %d 字节，最多 %d 字节（一个汉字占 3 字节）：请按字符截短",
		"it has %d bytes, at most %d are allowed (a Chinese character is 3): shorten it at a character", len(s), most)
}

// Token is for identifiers: printable ASCII without blanks.
func Token(s string, least, most int) phrase.Text {
	if s == "" && least > 0 {
		return missing
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return phrase.Say("含有空白或非 ASCII 字符", "it holds a blank or a character that is not ASCII")
		}
	}
	if len(s) < least || len(s) > most {
		return phrase.Say("长度为 %d，允许 %d 到 %d", "it has %d characters, %d to %d are allowed", len(s), least, most)
	}
	return phrase.Text{}
}

// Only reports whether s has letters, digits and the given ASCII marks alone.
func Only(s, marks string) bool {
	for i := range len(s) {
		c := s[i]
		if strings.IndexByte(marks, c) < 0 && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// IsCode reports whether s may be the code of an error.
func IsCode(s string) bool { return s != "" && len(s) <= 64 && Only(s, "_") }

// IsMerchantNumber reports whether s may be the number of a merchant.
func IsMerchantNumber(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "0123456789") == ""
}

// TransactionID is for WeChat Pay's own number of a payment.
func TransactionID(s string) phrase.Text {
	if !Only(s, "") {
		return phrase.Say("只能包含数字和字母", "it has digits and letters alone")
	}
	return Token(s, 1, 32)
}

// PrepayID refuses what is package already: with the prefix twice, the phone would say no more than that it failed.
func PrepayID(s string) phrase.Text {
	if strings.HasPrefix(s, "prepay_id=") {
		return phrase.Say("应为不带 prepay_id= 前缀的预支付交易会话标识", "it is the bare id, without prepay_id=")
	}
	return Token(s, 1, 64)
}

// Amount is for an amount that moves.
func Amount(f money.Fen) phrase.Text {
	if f < 1 || f > 9_999_999_999 {
		return phrase.Say("%d 分不是有效的金额：至少 1 分，最多 10 位数字",
			"%d fen is not an amount to pay: it is 1 fen or more, and has at most 10 digits", int64(f))
	}
	return phrase.Text{}
}

// Day is for a day as 2026-11-19.
func Day(s string) phrase.Text {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return phrase.Say("应为北京时间的日期，例如 2026-11-19", "it is a day of Beijing time such as 2026-11-19")
	}
	return phrase.Text{}
}

// NotifyURL is for an address that WeChat Pay calls. plain is what to say of http://, which is only for a sandbox on
// this machine.
func NotifyURL(s string, plain phrase.Text) phrase.Text {
	if problem := Token(s, 1, 256); problem != (phrase.Text{}) {
		return problem
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return phrase.Say("不是完整网址，例如 https://pay.example.com/notify",
			"it is not an absolute URL, such as https://pay.example.com/notify")
	case strings.ContainsAny(s, "?#"):
		return phrase.Say("不能带查询参数和片段：请把参数放进路径",
			"WeChat Pay allows no query and no fragment: put what you need into the path")
	case u.User != nil:
		return phrase.Say("不能带用户名", "it may not hold a user name")
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
		return phrase.Text{}
	}
	return plain
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// Server reads the address of a server to send requests to: scheme, host and port alone.
func Server(address string) (*url.URL, phrase.Text) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, phrase.Say("应为 http:// 或 https:// 加主机名（可带端口），其后不能有路径",
			"it is http:// or https:// with a host and perhaps a port, and nothing after that")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, phrase.Text{}
}
