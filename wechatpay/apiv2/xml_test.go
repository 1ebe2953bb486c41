package apiv2_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// Documents that WeChat Pay might write, and what they say.
var goodXML = map[string]string{
	`<xml></xml>`:                                                                 "",
	`<xml><a>1</a></xml>`:                                                         "a=1",
	`<xml><a>01</a><b>0</b></xml>`:                                                "a=01&b=0",
	`<xml><b>1</b><a>2</a></xml>`:                                                 "a=2&b=1",
	`<xml><B>1</B><a>2</a></xml>`:                                                 "B=1&a=2",
	`<xml><a_b>1</a_b><aB>2</aB></xml>`:                                           "aB=2&a_b=1",
	`<xml><a><![CDATA[1]]></a></xml>`:                                             "a=1",
	`<xml><a><![CDATA[]]></a><b></b><c/><d /></xml>`:                              "a=&b=&c=&d=",
	`<xml><a><![CDATA[ b  ]]></a></xml>`:                                          "a= b  ",
	`<xml><a> b </a></xml>`:                                                       "a= b ",
	`<xml><a><![CDATA[<b>&amp;</b>]]></a></xml>`:                                  "a=<b>&amp;</b>",
	`<xml><a>&lt;&gt;&amp;&quot;&apos;</a></xml>`:                                 `a=<>&"'`,
	`<xml><a>&#65;&#x41;&#x4e2d;&#13;</a></xml>`:                                  "a=AA中\r",
	`<xml><a><![CDATA[]]]]><![CDATA[>]]></a></xml>`:                               "a=]]>",
	`<xml><a>x<![CDATA[y]]>z<![CDATA[w]]></a></xml>`:                              "a=xyzw",
	"<xml>\r\n\t<a>1</a>\r\n</xml>\r\n":                                           "a=1",
	"<xml><a>1\r\n2\r3\n4</a></xml>":                                              "a=1\n2\n3\n4",
	"<xml><a><![CDATA[1\r\n2\r3\n4]]></a></xml>":                                  "a=1\n2\n3\n4",
	"<xml><a>1\r&#10;</a></xml>":                                                  "a=1\n\n",
	"<xml><a\n>1</a\t></xml >":                                                    "a=1",
	"\n<xml><a>1</a></xml>":                                                       "a=1",
	`<?xml version="1.0"?><xml><a>1</a></xml>`:                                    "a=1",
	`<?xml version='1.0' encoding='utf-8' ?>` + "\n<xml></xml>":                   "",
	`<?xml version="1.0" encoding="UTF-8" standalone="yes"?><xml><a>中文</a></xml>`: "a=中文",
	`<xml><a>]]</a><b>]]&gt;</b></xml>`:                                           "a=]]&b=]]>",
	"<xml><a>\x7f\u0085\U0001F600\ufffd</a></xml>":                                "a=\x7f\u0085\U0001F600\ufffd",
}

// What no message of WeChat Pay's is: attacks that have been tried on others, and oddities that readers disagree about.
var badXML = []string{
	"", " ", "x", "<", "<xml", "<xml>", "<xml/>", "<xml><a>1</a>", "<xml><a>1</a></xm", "<xml><a>1", "<xml><a", "<xml><a>1</a",
	"{}", `{"a":1}`, "\x1f\x8b\x08", "交易时间",
	"\ufeff<xml></xml>",
	`<root><a>1</a></root>`, `<XML></XML>`, `<xmlx></xmlx>`, `<xml></root>`, `<x:xml></x:xml>`,
	// document types and entities
	`<!DOCTYPE xml><xml><a>1</a></xml>`,
	`<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml><a>&x;</a></xml>`,
	`<!DOCTYPE xml [<!ENTITY x SYSTEM "http://127.0.0.1/">]><xml><a>&x;</a></xml>`,
	`<!DOCTYPE xml [<!ENTITY % x SYSTEM "http://127.0.0.1/">%x;]><xml><a>1</a></xml>`,
	`<!DOCTYPE xml SYSTEM "http://127.0.0.1/x.dtd"><xml><a>1</a></xml>`,
	`<!DOCTYPE xml PUBLIC "x" "http://127.0.0.1/x.dtd"><xml><a>1</a></xml>`,
	`<?xml version="1.0"?><!DOCTYPE xml [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><xml><a>&b;</a></xml>`,
	`<xml><!DOCTYPE a><a>1</a></xml>`, `<xml><a><!DOCTYPE a>1</a></xml>`, `<xml><!ENTITY x "1"><a>1</a></xml>`, `<xml><a>1</a></xml><!DOCTYPE xml>`,
	`<xml><a>&x;</a></xml>`, `<xml><a>&nbsp;</a></xml>`, `<xml><a>&;</a></xml>`, `<xml><a>&</a></xml>`, `<xml><a>a&b</a></xml>`, `<xml><a>&lt</a></xml>`,
	`<xml><a>&LT;</a></xml>`, `<xml><a>&#;</a></xml>`, `<xml><a>&#x;</a></xml>`, `<xml><a>&#X41;</a></xml>`, `<xml><a>&#0;</a></xml>`, `<xml><a>&#x8;</a></xml>`,
	`<xml><a>&#xD800;</a></xml>`, `<xml><a>&#xFFFE;</a></xml>`, `<xml><a>&#x110000;</a></xml>`, `<xml><a>&#99999999999999999999;</a></xml>`, `<xml><a>&#+65;</a></xml>`,
	`<xml><a>&#-65;</a></xml>`, `<xml><a>&#6_5;</a></xml>`, `<xml><a>&#x4_1;</a></xml>`, `<xml><a>&x41;</a></xml>`, `<xml><a>&65;</a></xml>`,
	// processing instructions
	`<?xml version="1.1"?><xml><a>1</a></xml>`, `<?xml version="1.0" encoding="GBK"?><xml><a>1</a></xml>`, `<?xml version="1.0" encoding="utf-16"?><xml></xml>`,
	`<?xml version="1.0"?><?xml version="1.0"?><xml></xml>`, ` <?xml version="1.0"?><xml></xml>`, `<?xml-stylesheet href="x"?><xml></xml>`, `<?xml?><xml></xml>`,
	`<?php x ?><xml></xml>`, `<xml><?x y?><a>1</a></xml>`, `<xml><a><?x y?>1</a></xml>`, `<xml><a>1<?x y?></a></xml>`, `<xml><a>1</a></xml><?x y?>`,
	`<?xml encoding="utf-8" version="1.0"?><xml></xml>`, `<?xml version="1.0" version="1.0"?><xml></xml>`, `<?xml version="1.0`, `<?`,
	// comments
	`<!-- x --><xml><a>1</a></xml>`, `<xml><!-- x --><a>1</a></xml>`, `<xml><a>1<!-- x -->2</a></xml>`, `<xml><a><!--<b>2</b>-->1</a></xml>`,
	`<xml><a>1</a><!-- </xml> --></xml>`, `<xml><a>1</a></xml><!-- x -->`, `<xml><a><![CDATA[1]]><!-- x --></a></xml>`,
	// attributes and namespaces
	`<xml x="1"><a>1</a></xml>`, `<xml xmlns="x"><a>1</a></xml>`, `<xml><a x="1">1</a></xml>`, `<xml><a xmlns:b="c">1</a></xml>`, `<xml><b:a>1</b:a></xml>`,
	`<xml><a x>1</a></xml>`, `<xml><a x="1"/></xml>`, `<xml><a>1</a x="1"></xml>`,
	// nested, twice, unfitting, trailing
	`<xml><a><b>1</b></a></xml>`, `<xml><a>1<b>2</b></a></xml>`, `<xml><a><![CDATA[1]]><b/></a></xml>`, `<xml><xml><a>1</a></xml></xml>`,
	`<xml><a>1</a><a>1</a></xml>`, `<xml><a>1</a><b>1</b><a>2</a></xml>`, `<xml><a/><a>1</a></xml>`, `<xml><a>1</b></xml>`, `<xml><a>1</A></xml>`, `<xml><a>1</ab></xml>`,
	`<xml><ab>1</a></xml>`, `<xml><a>1</a></a></xml>`, `<xml></a></xml>`, `<xml><a>1</xml>`, `<xml><a>1</a></xml><b>2</b>`, `<xml><a>1</a></xml><xml></xml>`,
	`<xml><a>1</a></xml>x`, "<xml><a>1</a></xml>\x00", `<xml>x<a>1</a></xml>`, `<xml><a>1</a>x</xml>`, `<xml><![CDATA[x]]><a>1</a></xml>`, `x<xml></xml>`, `<xml>&#32;</xml>`,
	strings.Repeat("<xml>", 100000), "<xml>" + strings.Repeat("<a>", 100000),
	// names
	`<xml>< a>1</a></xml>`, `<xml><>1</></xml>`, `<xml><1>1</1></xml>`, `<xml><-a>1</-a></xml>`, `<xml><.>1</.></xml>`, `<xml><中>1</中></xml>`, `<xml><a&b>1</a&b></xml>`,
	`<xml></></xml>`, `<xml><a>1< /a></xml>`, `<xml><a>1</ a></xml>`, `<xml><a / ></a></xml>`, `<xml><a/ ></xml>`, `< xml></xml>`,
	// characters
	"<xml><a>\x00</a></xml>", "<xml><a>\x08</a></xml>", "<xml><a><![CDATA[\x1b]]></a></xml>", "<xml><a>\xff</a></xml>", "<xml><a>\xc0\x80</a></xml>", "<xml><a>\xe4\xb8</a></xml>",
	"<xml><a>\xed\xa0\x80</a></xml>", "<xml><a>\ufffe</a></xml>", "<xml><a>\uffff</a></xml>", "<xml\x00></xml>", "<xml>\v</xml>", "<xml>\u00a0</xml>",
	"\xff\xfe<\x00x\x00m\x00l\x00>\x00", "\x00<\x00x", "+ADw-xml+AD4-",
	// CDATA
	`<xml><a>]]></a></xml>`, `<xml><a>x]]>y</a></xml>`, `<xml><a><![CDATA[x]]</a></xml>`, `<xml><a><![cdata[x]]></a></xml>`, `<xml><a><![CDATA [x]]></a></xml>`,
	`<xml><a><![CDATA[x]]>]]></a></xml>`, `<xml><a><![INCLUDE[x]]></a></xml>`, `<xml><a><![CDATA[<![CDATA[x]]>]]></a></xml>`, `<xml><a><![CDATA[`, `<![CDATA[<xml></xml>]]>`,
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for s, want := range goodXML {
		f, err := apiv2.Decode([]byte(s), "xml")
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		var pairs []string
		for _, x := range f {
			pairs = append(pairs, x.Name+"="+x.Value)
		}
		if got := strings.Join(pairs, "&"); got != want {
			t.Errorf("%q reads as %q, want %q", s, got, want)
		}
		if err := sameAsStandard(s, f); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range badXML {
		if f, err := apiv2.Decode([]byte(s), "xml"); err == nil {
			t.Errorf("%.200q reads as %q", s, f)
		} else if f != nil || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%.200q: %q with %q", s, err, f)
		}
	}
	if f, err := apiv2.Decode([]byte("<root><a>1</a></root>"), "root"); err != nil || f.Get("a") != "1" {
		t.Errorf("%v, %v", f, err)
	}
}

// sameAsStandard compares with what encoding/xml reads.
func sameAsStandard(s string, f apiv2.Fields) error {
	d := xml.NewDecoder(strings.NewReader(s))
	want := map[string]string{}
	depth, name, value := 0, "", ""
	for {
		token, err := d.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("encoding/xml refuses it: %w", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth++; depth > 2 || token.Name.Space != "" || len(token.Attr) > 0 {
				return errors.New("encoding/xml sees nested elements, namespaces or attributes")
			}
			name, value = token.Name.Local, ""
		case xml.CharData:
			value += string(token)
		case xml.EndElement:
			if depth == 2 {
				if _, twice := want[name]; twice || token.Name.Local != name {
					return fmt.Errorf("encoding/xml sees %s twice, or not ended", name)
				}
				want[name] = value
			}
			depth--
		case xml.Comment, xml.Directive:
			return fmt.Errorf("encoding/xml sees %T", token)
		}
	}
	if len(want) != len(f) {
		return fmt.Errorf("encoding/xml reads %q", want)
	}
	for i, x := range f {
		if v, ok := want[x.Name]; !ok || v != x.Value {
			return fmt.Errorf("encoding/xml reads %s as %q", x.Name, v)
		}
		if i > 0 && f[i-1].Name >= x.Name {
			return errors.New("the fields are not sorted")
		}
	}
	return nil
}

func TestEncode(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"":                      "<xml><a></a></xml>",
		"1999":                  "<xml><a>1999</a></xml>",
		"wx201410272009395522":  "<xml><a>wx201410272009395522</a></xml>",
		"https://example.com/a": "<xml><a>https://example.com/a</a></xml>",
		" ":                     "<xml><a><![CDATA[ ]]></a></xml>",
		"a&b<c>":                "<xml><a><![CDATA[a&b<c>]]></a></xml>",
		"中文":                    "<xml><a><![CDATA[中文]]></a></xml>",
		`{"x":"]]>"}`:           `<xml><a><![CDATA[{"x":"]]]]><![CDATA[>"}]]></a></xml>`,
		"]]>]]>":                "<xml><a><![CDATA[]]]]><![CDATA[>]]]]><![CDATA[>]]></a></xml>",
		"\r\n&<>":               "<xml><a>&#13;\n&amp;&lt;&gt;</a></xml>",
	} {
		f := apiv2.Fields{{Name: "a", Value: value}}
		got := string(apiv2.Encode(f))
		if got != want {
			t.Errorf("%q is written as %s, want %s", value, got, want)
		}
		if back, err := apiv2.Decode([]byte(got), "xml"); err != nil || back.Get("a") != value {
			t.Errorf("%s reads as %q, %v", got, back.Get("a"), err)
		}
		if err := sameAsStandard(got, f); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
	for name, f := range map[string]apiv2.Fields{
		"control character": {{Name: "a", Value: "\x00"}}, "not UTF-8": {{Name: "a", Value: "\xff"}}, "no character": {{Name: "a", Value: "\ufffe"}},
		"twice": {{Name: "a", Value: "1"}, {Name: "b", Value: "1"}, {Name: "a", Value: "2"}}, "a tag": {{Name: "a><b", Value: "1"}}, "no name": {{Name: "", Value: "1"}},
	} {
		var e *apiv2.RequestError
		if err := apiv2.CheckFields(f); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The decoder is there because encoding/xml is the dearest step of API v2.
func BenchmarkDecode(b *testing.B) {
	body := []byte(paid().signed("HMAC-SHA256").xml())
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := apiv2.Decode(body, "xml"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out := map[string]string{}
			d := xml.NewDecoder(bytes.NewReader(body))
			name, depth := "", 0
			var value []byte
			for {
				token, err := d.RawToken()
				if err == io.EOF {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
				switch token := token.(type) {
				case xml.StartElement:
					depth++
					name, value = token.Name.Local, value[:0]
				case xml.CharData:
					value = append(value, token...)
				case xml.EndElement:
					if depth == 2 {
						out[name] = string(value)
					}
					depth--
				}
			}
		}
	})
}
