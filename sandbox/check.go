package sandbox

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// field is one line of the tables that say what a request must look like. Names, limits and Chinese titles are those of
// the vendor's manual for each call.
type field struct {
	name, title string
	kind        kind
	optional    bool
	// min and max bound the bytes of a text (not its characters) or the value of an integer. Where max is 0 there is
	// no bound. A text is never empty: what has no value is left out.
	min, max int64
	rule     *rule   // of a text
	fields   []field // of an object, or of each item of a list
	maxRaw   int     // bytes that an object may have as written; 0 is no bound
}

// rule is what a text must be beyond its length.
type rule struct {
	is     func(string) bool
	zh, en string // goes on after "…字符串规则校验失败，"; nothing where detail says it
	issue  string // the manual's own error for such a field, with a pointer, where it prints one
}

// phrase is a sentence in both languages.
type phrase struct{ zh, en string }

// issue is a broken rule: the answer's message, and its detail.
type issue struct {
	phrase
	detail    map[string]any
	undefined bool // what broke it is a field that isn't in the table
}

func pattern(expression string) *rule {
	return &rule{
		is: regexp.MustCompile(expression).MatchString,
		zh: "字符串必须匹配正则表达式“" + expression + "”",
		en: "the string must match the regular expression “" + expression + "”",
	}
}

var (
	isRFC3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$`).MatchString

	orderNumber = pattern(`^[0-9a-zA-Z_\-\|\*]{1,}$`)
	instant     = &rule{
		is: func(t string) bool { _, err := time.Parse(time.RFC3339Nano, t); return err == nil && isRFC3339(t) },
		zh: "字符串必须是符合 RFC3339 日期时间格式",
		en: "the string must be a date and time as in RFC 3339",
	}
	address = &rule{
		is: func(t string) bool { _, err := netip.ParseAddr(t); return err == nil && !strings.Contains(t, "%") },
		zh: "字符串必须是合法的 IP 地址",
		en: "the string must be an IP address",
	}
	notifyURL = &rule{
		is: notifiable,
		zh: "字符串必须是不带查询参数的 https 绝对地址",
		en: "the string must be an absolute https URL without a query",
	}
	currency = &rule{
		is: func(t string) bool { return t == "CNY" },
		zh: "货币类型不合法",
		en: "Currency code is invalid", issue: "Currency code is invalid",
	}
)

// notifiable tells whether WeChat would send notifications to the URL: absolute, https, without user, query and
// fragment. Plain http goes to where it can't cross the internet, so that a laptop and a container need no certificate.
func notifiable(t string) bool {
	u, err := url.Parse(t)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(t, "?# \t") {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && local(u.Hostname())
}

// local tells whether a host can't be on the internet: loopback, a private address, or a name that only a local network
// knows.
func local(host string) bool {
	host = strings.ToLower(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback() || ip.IsPrivate()
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") ||
		strings.HasSuffix(host, ".internal") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".test")
}

// checkObject holds an object against its table. location is body, query or uri_template; path is where the object
// stands, such as /body.
func checkObject(fields []field, v *value, location, path string) *issue {
	for _, f := range fields {
		if i := f.check(v.member(f.name), location, path+"/"+f.name); i != nil {
			return i
		}
	}
	for _, m := range v.members {
		known := false
		for _, f := range fields {
			known = known || f.name == m.name
		}
		if !known {
			return unknownField(location, path+"/"+m.name)
		}
	}
	return nil
}

func unknownField(location, path string) *issue {
	return &issue{phrase{"请求中含有未在API文档中定义的参数", "The request has a parameter that the API documentation doesn't define"},
		map[string]any{"location": location, "value": path}, true}
}

func (f field) check(v *value, location, path string) *issue {
	broken := func(shown any, zh, en string) *issue {
		return &issue{phrase{zh, en}, map[string]any{"location": location, "value": shown}, false}
	}
	if v == nil {
		if f.optional {
			return nil
		}
		return broken(nil, fmt.Sprintf("输入源“%s”映射到字段“%s”必填性规则校验失败，此字段为必填项", path, f.title),
			fmt.Sprintf("Input source “%s” mapped to field “%s” is missing: this field is required", path, f.title))
	}
	if v.kind != f.kind {
		return broken(json.RawMessage(v.raw),
			fmt.Sprintf("无法将 JSON 输入源“%s”映射到目标字段“%s”中，此字段需要一个合法的%s",
				path, f.title, kindTexts[f.kind].zh),
			fmt.Sprintf("Can't map JSON input source “%s” to target field “%s”: this field needs a valid %s",
				path, f.title, kindTexts[f.kind].en))
	}
	switch f.kind {
	case text:
		return f.checkText(v, location, path, broken)
	case integer:
		n, _ := strconv.ParseInt(v.text, 10, 64) // the kind says that it is one
		zh := fmt.Sprintf("输入源“%s”映射到数值字段“%s”规则校验失败，", path, f.title)
		en := fmt.Sprintf("Input source “%s” mapped to number field “%s” breaks a rule: ", path, f.title)
		if n < f.min {
			return broken(n, zh+fmt.Sprintf("值低于最小值 %d", f.min), en+fmt.Sprintf("below the minimum %d", f.min))
		}
		if f.max > 0 && n > f.max {
			return broken(n, zh+fmt.Sprintf("值高于最大值 %d", f.max), en+fmt.Sprintf("above the maximum %d", f.max))
		}
	case object:
		if f.maxRaw > 0 && len(v.raw) > f.maxRaw {
			says := tooLong(path, f.title, len(v.raw), int64(f.maxRaw))
			return broken(len(v.raw), says.zh, says.en)
		}
		return checkObject(f.fields, v, location, path)
	case list:
		for i := range v.items {
			each := field{title: f.title, kind: object, fields: f.fields}
			if broken := each.check(&v.items[i], location, path+"/"+strconv.Itoa(i)); broken != nil {
				return broken
			}
		}
	}
	return nil
}

func (f field) checkText(v *value, location, path string, broken func(any, string, string) *issue) *issue {
	zh := fmt.Sprintf("输入源“%s”映射到值字段“%s”字符串规则校验失败，", path, f.title)
	en := fmt.Sprintf("Input source “%s” mapped to value field “%s” breaks a string rule: ", path, f.title)
	n := int64(len(v.text))
	switch low := max(f.min, 1); {
	case n < low:
		return broken(n, zh+fmt.Sprintf("字节数 %d，小于最小值 %d", n, low),
			en+fmt.Sprintf("%d bytes, less than the minimum %d", n, low))
	case f.max > 0 && n > f.max:
		t := tooLong(path, f.title, int(n), f.max)
		return broken(n, t.zh, t.en)
	case strings.ContainsFunc(v.text, func(r rune) bool { return r > 0xFFFF }):
		return broken(v.text, zh+"字符串不能包含 4 字节的 UTF-8 字符", en+"the string has a character of 4 bytes in UTF-8")
	case f.rule != nil && !f.rule.is(v.text) && f.rule.issue != "":
		return &issue{phrase: phrase{f.rule.zh, f.rule.en}, detail: map[string]any{
			"field": strings.TrimPrefix(path, "/"+location), "value": v.text,
			"issue": f.rule.issue, "location": location}}
	case f.rule != nil && !f.rule.is(v.text):
		return broken(v.text, zh+f.rule.zh, en+f.rule.en)
	}
	return nil
}

func tooLong(path, title string, n int, most int64) phrase {
	return phrase{
		fmt.Sprintf("输入源“%s”映射到值字段“%s”字符串规则校验失败，字节数 %d，大于最大值 %d", path, title, n, most),
		fmt.Sprintf("Input source “%s” mapped to value field “%s” breaks a string rule: %d bytes, more than the maximum %d",
			path, title, n, most),
	}
}

var kindTexts = map[kind]phrase{
	text:    {"字符串", "string"},
	integer: {" 64 位有符号整数", "signed integer of 64 bits"},
	boolean: {"布尔值", "boolean"},
	object:  {"对象", "object"},
	list:    {"数组", "array"},
}
