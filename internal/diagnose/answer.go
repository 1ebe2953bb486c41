package diagnose

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// Answer is what WeChat Pay says of the text that it checked the signature of, in the detail of SIGN_ERROR.
type Answer struct {
	Method string
	URL    string
	Length int    // bytes of the whole text
	Text   string // its beginning
}

// ParseAnswer reads the JSON of an answer, or the whole answer as curl -i prints it.
//
// Source: observed answers of 401 SIGN_ERROR with detail.sign_information.
func ParseAnswer(data []byte) (Answer, error) {
	if _, body, err := ParseHead(data); err == nil && len(body) > 0 {
		data = body
	}
	var v struct {
		Detail json.RawMessage `json:"detail"`
	}
	data = bytes.TrimPrefix(bytes.TrimSpace(data), []byte(bom))
	if err := json.Unmarshal(data, &v); err != nil {
		return Answer{}, phrase.Say("应答不是 JSON（%v）", "the answer is not JSON (%v)", err)
	}
	if v.Detail == nil {
		v.Detail = data // the detail alone
	}
	var detail struct {
		Information *struct {
			Method string `json:"method"`
			URL    string `json:"url"`
			Length int    `json:"sign_message_length"`
			Text   string `json:"truncated_sign_message"`
		} `json:"sign_information"`
	}
	if err := json.Unmarshal(v.Detail, &detail); err != nil || detail.Information == nil {
		return Answer{}, phrase.Say("应答里没有 detail.sign_information：只有签名错误（SIGN_ERROR，sign not match）才带有它",
			"the answer has no detail.sign_information: only a wrong signature (SIGN_ERROR, sign not match) comes with it")
	}
	i := detail.Information
	return Answer{i.Method, i.URL, i.Length, i.Text}, nil
}

// Comparison is how the text that WeChat Pay checked differs from ours.
type Comparison struct {
	Same         bool // as far as WeChat Pay shows it
	OurLength    int
	TheirLength  int
	Difference   *Difference // Here is ours, Signed theirs; nil where what is shown agrees
	Text, Remedy phrase.Text
}

// Compare holds WeChat Pay's text against message, the one that we believe to have been sent.
func (a Answer) Compare(message string) Comparison {
	c := Comparison{OurLength: len(message), TheirLength: a.Length}
	shown := a.Text
	if len(shown) != a.Length { // cut off: an ellipsis or a line end was put where the rest was
		shown = strings.TrimRight(strings.TrimSuffix(strings.TrimRight(shown, "\n"), "..."), "…")
	}
	agree := len(shown) <= len(message) && message[:min(len(shown), len(message))] == shown
	names := []phrase.Text{titles["method"], titles["url"], titles["timestamp"], titles["nonce"]}
	if !agree {
		c.Difference = compare(message, shown, func(offset int) phrase.Text {
			if line := strings.Count(message[:offset], "\n"); line < len(names) {
				return names[line]
			}
			return titles["body"]
		})
	}
	switch {
	case agree && c.OurLength == c.TheirLength:
		c.Same = true
		c.Text = phrase.Say("微信支付验签用的签名串与这里一致（%d 字节%s）", "WeChat Pay checked the same text as this one (%d bytes%s)", a.Length,
			partly(len(shown) < a.Length))
		c.Remedy = phrase.Say("文本没问题，问题在签名值或密钥：核对 serial_no 与签名私钥是否配对",
			"the text is right, so look at the signature and its key: does serial_no belong to the key that signs?")
	case agree:
		c.Text = phrase.Say("开头 %d 字节一致，但微信支付的签名串是 %d 字节，这里是 %d 字节（差 %+d）：不同之处在正文后部",
			"the first %d bytes agree, but WeChat Pay's text has %d bytes and this one %d (%+d): they part later in the body",
			len(shown), a.Length, len(message), len(message)-a.Length)
		c.Remedy = phrase.Say("确认发送的正文与签名的正文是同一段字节：末尾换行、重新编码、截断都会改变长度",
			"make sure that the body sent is the very bytes signed: a line feed at the end, encoding anew or cutting changes the length")
	default:
		c.Text = phrase.Say("从第 %d 字节起不同（在%s中）；微信支付的签名串 %d 字节，这里 %d 字节",
			"they part at byte %d (in the %s); WeChat Pay's text has %d bytes, this one %d", c.Difference.Offset, c.Difference.Line, a.Length, len(message))
		c.Remedy = phrase.Say("微信支付看到的就是实际收到的请求：两者不同，说明发送前、或途中的代理改动了它",
			"WeChat Pay shows the request as it arrived: where it differs, something changed it before or on the way, such as a proxy")
	}
	return c
}

func partly(cut bool) phrase.Text {
	if cut {
		return phrase.Say("，应答只显示了开头部分", ", of which the answer shows the beginning")
	}
	return phrase.Text{}
}
