package rules_test

import (
	"strings"
	"testing"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/rules"
)

func TestRules(t *testing.T) {
	t.Parallel()
	plain := phrase.Say("请使用 https", "use https")
	notify := func(s string) phrase.Text { return rules.NotifyURL(s, plain) }
	text := func(s string) phrase.Text { return rules.Text(s, 1, 6) }
	line := func(s string) phrase.Text { return rules.Line(s, 0, 6) }
	server := func(s string) phrase.Text { _, problem := rules.Server(s); return problem }
	for _, c := range []struct {
		name string
		rule func(string) phrase.Text
		s    string
		want string // a part of the English sentence; "" where nothing is wrong
	}{
		{"text at its limit", text, "分毫", ""},
		{"text over its limit", text, "分毫!", "it has 7 bytes, at most 6"},
		{"text missing", text, "", "it is missing"},
		{"text with line break", text, "a\nb", ""},
		{"text cut in a character", text, "分"[:2], "not UTF-8"},
		{"text with emoji", text, "🍵", "4 bytes"},
		{"line", line, "分毫", ""},
		{"line missing", line, "", ""},
		{"line with line break", line, "a\nb", "control character"},
		{"line with DEL", line, "a\x7f", "control character"},
		{"line with both: the first counts", line, "\t🍵", "control character"},
		{"line with emoji", line, "🍵", "4 bytes"},
		{"token with blank", rules.TransactionID, "4200 1", "digits and letters alone"},
		{"transaction id", rules.TransactionID, "4200001234202611190123456789", ""},
		{"transaction id too long", rules.TransactionID, strings.Repeat("4", 33), "it has 33 characters, 1 to 32"},
		{"prepay id", rules.PrepayID, "wx19", ""},
		{"prepay id as package", rules.PrepayID, "prepay_id=wx19", "bare id"},
		{"day", rules.Day, "2026-11-19", ""},
		{"day that is none", rules.Day, "2026-02-30", "a day of Beijing time"},
		{"day of API v2", rules.Day, "20261119", "a day of Beijing time"},
		{"notify https", notify, "https://pay.example.com/n", ""},
		{"notify http", notify, "http://pay.example.com/n", "use https"},
		{"notify a sandbox", notify, "http://127.0.0.1:8080/n", ""},
		{"notify a sandbox on IPv6", notify, "http://[::1]:8080/n", ""},
		{"notify a sandbox by name", notify, "http://shop.localhost/n", ""},
		{"notify a name that only begins like it", notify, "http://localhost.example.com/n", "use https"},
		{"notify with query", notify, "https://pay.example.com/n?a=1", "no query"},
		{"notify with user", notify, "https://u@pay.example.com/n", "user name"},
		{"notify a path", notify, "/n", "absolute"},
		{"notify with blank", notify, "https://pay.example.com/ n", "blank"},
		{"server", server, "https://api.mch.weixin.qq.com", ""},
		{"server with slash", server, "http://127.0.0.1:8090/", ""},
		{"server with path", server, "http://127.0.0.1:8090/v3", "nothing after that"},
		{"server without scheme", server, "127.0.0.1:8090", "nothing after that"},
	} {
		got := c.rule(c.s)
		if c.want == "" && got != (phrase.Text{}) || c.want != "" && !strings.Contains(got.EN, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got.EN, c.want)
		}
		if (got.EN == "") != (got.ZH == "") {
			t.Errorf("%s: not said in both languages: %+v", c.name, got)
		}
	}
}

func TestAmount(t *testing.T) {
	t.Parallel()
	for f, wrong := range map[int64]bool{-1: true, 0: true, 1: false, 9_999_999_999: false, 10_000_000_000: true} {
		if got := rules.Amount(money.Fen(f)); (got != phrase.Text{}) != wrong {
			t.Errorf("Amount(%d) = %q, want wrong: %t", f, got.EN, wrong)
		}
	}
}

func TestCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		got  bool
		want bool
	}{
		{"letters and digits", rules.Only("aZ09", ""), true},
		{"a mark that is not given", rules.Only("a-b", "_"), false},
		{"a mark that is given", rules.Only("a-b|*", "_-|*"), true},
		{"Chinese", rules.Only("分", "_"), false},
		{"nothing", rules.Only("", ""), true},
		{"code", rules.IsCode("PARAM_ERROR"), true},
		{"no code", rules.IsCode(""), false},
		{"code too long", rules.IsCode(strings.Repeat("A", 65)), false},
		{"merchant", rules.IsMerchantNumber("1900000001"), true},
		{"no merchant", rules.IsMerchantNumber(""), false},
		{"merchant with letter", rules.IsMerchantNumber("19000x0001"), false},
		{"merchant too long", rules.IsMerchantNumber(strings.Repeat("1", 33)), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %t, want %t", c.name, c.got, c.want)
		}
	}
}
