package wechatpay_test

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/money"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// everything has a field of each kind that is read strictly.
type everything struct {
	Text    string          `json:"text"`
	Int     int64           `json:"int"`
	Small   int8            `json:"small"`
	Fen     money.Fen       `json:"fen"`
	FenPtr  *money.Fen      `json:"fen_ptr"`
	Flag    bool            `json:"flag"`
	At      time.Time       `json:"at"`
	Raw     json.RawMessage `json:"raw"`
	Texts   []string        `json:"texts"`
	Bytes   []byte          `json:"bytes"`
	Map     map[string]int  `json:"map"`
	Any     any             `json:"any"`
	Nested  inner           `json:"nested"`
	Ptr     *inner          `json:"ptr"`
	List    []inner         `json:"list"`
	PtrList []*inner        `json:"ptr_list"`
	embedded
	Ignored string `json:"-"`
}

type inner struct {
	Text  string  `json:"text"`
	Inner []inner `json:"-"`
	Count *int    `json:"count"`
}

type embedded struct {
	Kelvin string `json:"kelvin"` // K has a Unicode double, the sign of the kelvin
}

// referee decides by encoding/json what a strict reader takes, and how it reads it. It looks at the names token by token.
func referee(data []byte) (v everything, ok bool) {
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	if !utf8.Valid(data) || !json.Valid(data) || trimmed[0] != '{' {
		return v, false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if !strictNames(d, reflect.TypeOf(v)) {
		return v, false
	}
	return v, json.Unmarshal(data, &v) == nil
}

// strictNames reads one value that is meant for type t. A nil t means that its names are not looked at.
func strictNames(d *json.Decoder, t reflect.Type) bool {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	token, err := d.Token()
	switch {
	case err != nil:
		return false
	case token == json.Delim('{'):
		fields := map[string]reflect.Type{}
		if t != nil && t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() {
			for _, f := range reflect.VisibleFields(t) {
				if name := f.Tag.Get("json"); name != "" && name != "-" {
					fields[name] = f.Type
				}
			}
		}
		seen := map[string]bool{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return false
			}
			for name := range fields {
				if strings.EqualFold(name, k.(string)) && (name != k || seen[name]) {
					return false
				}
			}
			seen[k.(string)] = true
			if !strictNames(d, fields[k.(string)]) {
				return false
			}
		}
		_, err = d.Token()
	case token == json.Delim('['):
		var items reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			items = t.Elem()
		}
		for d.More() {
			if !strictNames(d, items) {
				return false
			}
		}
		_, err = d.Token()
	}
	return err == nil || err == io.EOF
}

// FuzzStrictUnmarshal holds the strict reader to encoding/json: it takes the same documents and reads the same values.
func FuzzStrictUnmarshal(f *testing.F) {
	for _, doc := range []string{
		`{}`, ` { } `, ``, `[]`, `null`, `{`, `}`, `{}{}`, `{} x`, `{,}`, `{"a":1,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"text":"a" "int":1}`,
		`{"text":"咖啡","int":-12,"small":127,"fen":1999,"fen_ptr":0,"flag":true,"at":"2026-11-20T16:00:00+08:00","raw":{"x":[1]},"texts":["a","b"]}`,
		`{"bytes":"aGk=","map":{"a":1,"A":2},"any":{"b":[null,1.5]},"nested":{"text":"x","count":3},"ptr":{"text":"y"},"list":[{"text":"z"},{}],"ptr_list":[null,{}],"kelvin":"k"}`,
		`{"text":null,"int":null,"fen":null,"fen_ptr":null,"flag":null,"at":null,"raw":null,"texts":null,"map":null,"nested":null,"ptr":null,"list":null}`,
		`{"text":"a","text":"b"}`, `{"Text":"a"}`, `{"te\u0078t":"a"}`, `{"te\u0078t":"a","text":"b"}`, `{"TE\u0058T":"a"}`, "{\"\u212aelvin\":\"x\"}", `{"\u212aelvin":"x"}`,
		`{"text":"\"\\\/\b\f\n\r\t\u0041\ud83d\ude00"}`, `{"text":"\ud800"}`, `{"text":"\x"}`, `{"text":"\u12"}`, "{\"text\":\"\n\"}", `{"text":"a\"}`, `{"unknown":"\x"}`,
		`{"text":1}`, `{"text":true}`, `{"text":{}}`, `{"text":[]}`, `{"int":"1"}`, `{"int":1.0}`, `{"int":1e2}`, `{"int":9223372036854775807}`, `{"int":9223372036854775808}`,
		`{"small":128}`, `{"int":01}`, `{"int":-}`, `{"int":-0}`, `{"int":1.}`, `{"int":.5}`, `{"int":+1}`, `{"x":1.5e+10,"y":-0.0E-1,"z":0}`, `{"x":1e}`, `{"x":00}`, `{"x":1a}`,
		`{"fen":1.5}`, `{"fen":"1"}`, `{"fen_ptr":-3}`, `{"flag":1}`, `{"flag":tru}`, `{"flag":truefalse}`, `{"at":"yesterday"}`, `{"at":5}`, `{"texts":"a"}`, `{"texts":[1]}`, `{"texts":[null,"a"]}`,
		`{"texts":["a",]}`, `{"texts":[,]}`, `{"texts":["a" "b"]}`, `{"nested":[]}`, `{"nested":{"text":1}}`, `{"nested":{"text":"a","text":"b"}}`, `{"nested":{"Count":1}}`,
		`{"list":[{"text":"a"},{"text":"b","text":"c"}]}`, `{"list":[[]]}`, `{"raw":{"a":1,"a":2}}`, `{"any":{"text":1,"Text":2}}`, `{"map":{"a":"x"}}`, `{"bytes":"%"}`, `{"bytes":[1,2]}`,
		`{"x":{"text":1,"Text":2}}`, `{"x":nul}`, `{"x":nullx}`, "\ufeff{}", "{\"text\":\"\xff\"}", "{\"text\":\"\x7f\"}", "{\"text\":\"a\u2028b\"}", `{"":1,"":2}`, `{"-":"x","Ignored":"y"}`,
		"\t{\r\n\"int\" :\t1 ,\"text\"\n: \"a\" }\n", `{"ptr":{"count":1},"nested":{"count":null}}`, strings.Repeat(`{"x":`, 90) + "1" + strings.Repeat("}", 90),
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > 100 {
			t.Skip("nesting has a limit of its own")
		}
		want, ok := referee(data)
		var got everything
		err := wechatpay.StrictUnmarshal(data, &got)
		if (err == nil) != ok {
			t.Fatalf("%q: %v, encoding/json takes it: %v", data, err, ok)
		}
		if ok && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q\n read as %+v\nwant %+v", data, got, want)
		}
	})
}

func TestStrictUnmarshalDepth(t *testing.T) {
	t.Parallel()
	for _, open := range []string{"[", `{"x":`} {
		doc := `{"unknown":` + strings.Repeat(open, 1_000_000)
		if err := wechatpay.StrictUnmarshal([]byte(doc), &everything{}); err == nil || !strings.Contains(err.Error(), "nested") {
			t.Errorf("a million of %s: %v", open, err)
		}
	}
}

// An error names the field and the types, and never the value, which may be somebody's name.
func TestStrictUnmarshalErrors(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{"text":1234567}`:                      `field "text" is a number, not a string`,
		`{"int":"secret"}`:                      `field "int" is a string, not a int64`,
		`{"int":1234567.5}`:                     `field "int" is a number, not a int64`,
		`{"nested":{"text":["secret"]}}`:        `field "nested.text" is a array, not a string`,
		`{"list":[{"count":{"secret":1}}]}`:     `field "list.count" is a object, not a int`,
		`{"map":{"a":"secret"}}`:                `field "map" is a value, not a map[string]int`,
		`{"texts":"secret"}`:                    `field "texts" is a string, not a []string`,
		`{"text":"a","text":"secret"}`:          `field "text" is there twice`,
		`{"nested":{"TEXT":"secret"}}`:          `a field is spelled "TEXT" instead of "text"`,
		`{"text":"secret`:                       `it is not one JSON document`,
		`{"text":"a"} secret`:                   `it is not one JSON document`,
		`["secret"]`:                            `it is not a JSON object`,
		"{\"text\":\"secret \xff\"}":            `it is not UTF-8`,
		`{"text":"a","kelvin":"a","KELVIN":""}`: `a field is spelled "KELVIN" instead of "kelvin"`,
	} {
		if err := wechatpay.StrictUnmarshal([]byte(doc), &everything{}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", doc, err, want)
		}
	}
}
