package sandbox

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// What is taken is JSON in UTF-8, says the same as encoding/json reads, and writing it down in order is stable.
func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"b":[true,null,"x",-0,1.5e3]}`, `{"a":{"a":{}}}`, `{"a":1,"a":2}`, `"\ud83d\ude00"`, `"\ud83d"`,
		`[[[[]]]]`, `{"total":9223372036854775808}`, "\xff", `{"a":1}x`, ``, ` 1 `, `{"\u0061":1,"a":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseJSON(b)
		if err != nil {
			return
		}
		if !json.Valid(b) || !utf8.Valid(b) {
			t.Fatalf("took %q", b)
		}
		canonical := v.canonical()
		again, err := parseJSON(canonical)
		if err != nil || string(again.canonical()) != string(canonical) {
			t.Fatalf("%q is %q, which is %q, %v", b, canonical, again.canonical(), err)
		}
		if v.kind == object && len(v.raw) > len(b) {
			t.Fatalf("%q was written as %q", b, v.raw)
		}
	})
}

func TestRawValues(t *testing.T) {
	t.Parallel()
	v, err := parseJSON([]byte(` { "a" : { "b" : [ 1 , "x" ] } , "c":"\u0061", "d" : 1.50, "e":null } `))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, raw string }{{"a", `{ "b" : [ 1 , "x" ] }`}, {"c", `"a"`}, {"d", "1.50"}, {"e", "null"}} {
		if got := string(v.member(c.name).raw); got != c.raw {
			t.Errorf("%s was written as %s, want %s", c.name, got, c.raw)
		}
	}
	if got := v.string("a", "b"); got != "" || v.at("a", "nothing", "b") != nil || v.string("nothing") != "" {
		t.Errorf("%q", got)
	}
	if _, err := parseJSON([]byte(strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1))); err != errNotJSON {
		t.Errorf("too deep: %v", err)
	}
}
