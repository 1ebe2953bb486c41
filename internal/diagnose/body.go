package diagnose

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// edit is one change from the text at hand to the one that was signed.
type edit struct {
	code Code
	part string      // name of the check that it belongs to
	text phrase.Text // how the text at hand differs from the signed one
}

// variant is a text that may have been signed, with the changes that lead to it.
type variant struct {
	text  string
	edits []edit
}

// with returns the changes of v and one more.
func (v variant) with(text string, e ...edit) variant {
	return variant{text, append(v.edits[:len(v.edits):len(v.edits)], e...)}
}

var bom = "\ufeff"

// bodies returns what may have been signed in place of body, by the number of changes. The first is body itself. most is
// the largest number of changes to combine; long bodies are changed less, to keep memory in bounds.
func bodies(body string, most int) []variant {
	all := []variant{{text: body}}
	seen := map[string]bool{body: true}
	add := func(vs []variant) {
		for _, v := range vs {
			if !seen[v.text] {
				seen[v.text] = true
				all = append(all, v)
			}
		}
	}
	add(plainChanges(all[0]))
	singles := all[1:len(all):len(all)]
	if len(body) > 128<<10 {
		most = 1
	}
	add(jsonChanges(all[0], most))
	if most == 1 || len(body) > 8<<10 {
		return all
	}
	inJSON := all[1+len(singles) : len(all) : len(all)]
	for _, v := range singles {
		add(plainChanges(v))
		add(jsonChanges(v, most-1))
	}
	for _, v := range inJSON {
		add(plainChanges(v))
	}
	return all
}

// plainChanges returns what one change makes of v that doesn't look into JSON.
func plainChanges(v variant) []variant {
	s := v.text
	var all []variant
	add := func(code Code, text string, zh, en string) {
		if text != s {
			all = append(all, v.with(text, edit{code, "body", phrase.Say(zh, en)}))
		}
	}
	if one, cut := strings.CutSuffix(s, "\r\n"); cut {
		add(NewlineAdded, one, "正文末尾多一个换行（CRLF）", "the body has a line end (CRLF) too much at its end")
	} else if one, cut := strings.CutSuffix(s, "\n"); cut {
		add(NewlineAdded, one, "正文末尾多一个换行", "the body has a line feed too much at its end")
	}
	add(NewlineAdded, strings.TrimRight(s, "\r\n"), "正文末尾多了换行", "the body has line ends too much at its end")
	if s != "" {
		add(NewlineRemoved, s+"\n", "正文末尾少一个换行", "the body lacks a line feed at its end")
		add(NewlineRemoved, s+"\r\n", "正文末尾少一个换行（CRLF）", "the body lacks a line end (CRLF) at its end")
	}
	add(LineEnds, strings.ReplaceAll(s, "\r\n", "\n"), "正文的换行是 CRLF，签名时是 LF",
		"the lines of the body end in CRLF, where LF was signed")
	add(LineEnds, strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n"),
		"正文的换行是 LF，签名时是 CRLF", "the lines of the body end in LF, where CRLF was signed")
	add(ByteOrderMark, strings.TrimPrefix(s, bom), "正文开头多了 BOM（EF BB BF）",
		"the body begins with a byte order mark (EF BB BF) that was not signed")
	if s != "" && !strings.HasPrefix(s, bom) {
		add(ByteOrderMark, bom+s, "签名时正文开头有 BOM（EF BB BF）", "the signed body began with a byte order mark (EF BB BF)")
	}
	add(BlanksAround, strings.TrimSpace(s), "正文首尾多了空白", "the body has white space around it that was not signed")
	switch strings.TrimSpace(s) {
	case "":
		for _, stand := range []string{"{}", "null", `""`, "[]"} {
			add(EmptyBody, stand, "正文为空，签名时却是 "+stand, "the body is empty, where "+stand+" was signed")
		}
	case "{}", "null", `""`, "[]":
		add(EmptyBody, "", "正文是 "+strings.TrimSpace(s)+"，签名时为空",
			"the body is "+strings.TrimSpace(s)+", where an empty one was signed")
	default:
		add(BodyLeftOut, "", "签名时没有包含正文", "the body was left out when signing")
		add(BodyLeftOut, "{}", "签名时正文是 {}", "{} was signed in place of the body")
	}
	add(HTMLEntities, html.UnescapeString(s), "正文里的字符被转义成 HTML 实体（如 &amp;）",
		"characters of the body became HTML entities (like &amp;)")
	add(HTMLEntities, html.EscapeString(s), "签名时正文里的字符是 HTML 实体（如 &amp;）",
		"the signed body had HTML entities (like &amp;)")
	if text, ok := latin1(s); ok {
		add(UTF8Twice, text, "正文被按 Latin-1 又编码了一次 UTF-8（乱码）",
			"the body was read as Latin-1 and encoded in UTF-8 once more")
	}
	add(PlusInBody, base64WithBlanks.ReplaceAllStringFunc(s, func(t string) string {
		mended := strings.ReplaceAll(t, " ", "+")
		if _, err := base64.StdEncoding.DecodeString(strings.Trim(mended, `"`)); err != nil {
			return t
		}
		return mended
	}), "正文里 Base64 的 + 变成了空格", "each + in the Base64 of the body became a blank")
	var inner string
	if strings.HasPrefix(strings.TrimSpace(s), `"`) && json.Unmarshal([]byte(s), &inner) == nil {
		add(JSONString, inner, "正文是把 JSON 又编码成了字符串", "the body is JSON that was encoded as a string once more")
	}
	return all
}

var base64WithBlanks = regexp.MustCompile(`"[A-Za-z0-9+/ ]{16,}={0,2}"`)

// latin1 takes back one encoding too many: every character of s becomes a byte.
func latin1(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return "", false
		}
		b = append(b, byte(r))
	}
	return string(b), len(b) < len(s) && utf8.Valid(b)
}

// token is a piece of JSON text.
type token struct {
	kind byte // one of {}[]:, or s for a string, v for another value, blank for white space
	raw  string
}

// lex takes apart text, which is valid JSON.
func lex(text string) []token {
	var tokens []token
	for i := 0; i < len(text); {
		j := i + 1
		kind := text[i]
		switch kind {
		case '{', '}', '[', ']', ':', ',':
		case '"':
			kind = 's'
			for ; text[j] != '"'; j++ {
				if text[j] == '\\' {
					j++
				}
			}
			j++
		case ' ', '\t', '\r', '\n':
			kind = ' '
			for j < len(text) && strings.IndexByte(" \t\r\n", text[j]) >= 0 {
				j++
			}
		default:
			kind = 'v'
			for j < len(text) && strings.IndexByte("{}[]:,\" \t\r\n", text[j]) < 0 {
				j++
			}
		}
		tokens = append(tokens, token{kind, text[i:j]})
		i = j
	}
	return tokens
}

func join(tokens []token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.raw)
	}
	return b.String()
}

// space writes tokens anew with the white space of an encoder: comma and colon follow their signs, and where indent is
// not empty each member has a line.
func space(tokens []token, comma, colon, indent string) []token {
	var out []token
	depth := 0
	line := func() {
		if indent != "" {
			out = append(out, token{' ', "\n" + strings.Repeat(indent, depth)})
		}
	}
	var last byte
	for _, t := range tokens {
		if t.kind == ' ' {
			continue
		}
		switch t.kind {
		case '}', ']':
			depth--
			if last != '{' && last != '[' {
				line()
			}
		default:
			if last == '{' || last == '[' {
				line()
			}
		}
		out = append(out, t)
		switch t.kind {
		case '{', '[':
			depth++
		case ',':
			if comma != "" {
				out = append(out, token{' ', comma})
			}
			line()
		case ':':
			if colon != "" {
				out = append(out, token{' ', colon})
			}
		}
		last = t.kind
	}
	return out
}

// styles are the ways of encoders with white space.
var styles = []struct{ comma, colon, indent string }{
	{},                // Go, JavaScript, PHP, Gson, and WeChat Pay itself
	{" ", " ", ""},    // Python
	{"", " ", "  "},   // indented
	{"", " ", "    "}, //
	{"", " ", "\t"},   //
}

// A dimension is one freedom of JSON encoders. Each of its ways makes other tokens; one that changes nothing is no change.
type dimension struct {
	edit
	ways []func([]token) []token
}

// inStrings applies f to the raw text of every string.
func inStrings(f func(string) string) func([]token) []token {
	return func(tokens []token) []token {
		out := make([]token, len(tokens))
		for i, t := range tokens {
			if t.kind == 's' {
				t.raw = f(t.raw)
			}
			out[i] = t
		}
		return out
	}
}

func inValues(from *regexp.Regexp, to string) func([]token) []token {
	return func(tokens []token) []token {
		out := make([]token, len(tokens))
		for i, t := range tokens {
			if t.kind == 'v' {
				t.raw = from.ReplaceAllString(t.raw, to)
			}
			out[i] = t
		}
		return out
	}
}

func spacing(comma, colon, indent string) func([]token) []token {
	return func(tokens []token) []token { return space(tokens, comma, colon, indent) }
}

// dimensions are all freedoms, in the order in which they are applied: order and spacing last.
var dimensions = []dimension{
	{edit{JSONSlash, "body", phrase.Say(`JSON 被重新编码：/ 的写法不同（/ 与 \/）`,
		`JSON was encoded anew: / is written otherwise (/ or \/)`)},
		[]func([]token) []token{inStrings(unescapeSlash), inStrings(escapeSlash)}},
	{edit{JSONUnicode, "body", phrase.Say(`JSON 被重新编码：非 ASCII 字符的写法不同（中 与 \u4e2d）`,
		`JSON was encoded anew: characters beyond ASCII are written otherwise (中 or \u4e2d)`)},
		[]func([]token) []token{inStrings(unescapeUnicode), inStrings(escapeUnicode("0123456789abcdef")), inStrings(escapeUnicode("0123456789ABCDEF"))}},
	{edit{JSONHTML, "body", phrase.Say(`JSON 被重新编码：& < > 的写法不同（& 与 \u0026）`,
		`JSON was encoded anew: & < > are written otherwise (& or \u0026)`)},
		[]func([]token) []token{inStrings(unescapeHTML), inStrings(goHTML.Replace), inStrings(gsonHTML.Replace)}},
	{edit{JSONNull, "body", phrase.Say(`JSON 被重新编码：空字符串变成了 null`, `JSON was encoded anew: empty strings became null`)},
		[]func([]token) []token{inValues(regexp.MustCompile(`^null$`), `""`)}},
	{edit{JSONNumber, "body", phrase.Say(`JSON 被重新编码：整数变成了小数（1 与 1.0）`,
		`JSON was encoded anew: whole numbers became decimals (1 or 1.0)`)},
		[]func([]token) []token{inValues(regexp.MustCompile(`^(-?\d+)\.0+$`), "$1"), inValues(regexp.MustCompile(`^(-?\d+)$`), "$1.0")}},
	{edit{JSONKeyOrder, "body", phrase.Say(`JSON 被重新编码：键的顺序变了`, `JSON was encoded anew: its keys are in another order`)},
		[]func([]token) []token{sortKeys}},
	{edit{JSONWhitespace, "body", phrase.Say(`JSON 被重新编码：空白（空格、缩进、换行）变了`, `JSON was encoded anew: its white space differs`)},
		[]func([]token) []token{
			spacing("", "", ""), spacing(" ", " ", ""), spacing("", " ", "  "), spacing("", " ", "    "), spacing("", " ", "\t"),
		}},
}

// jsonChanges returns what encoders may have made of v where it is JSON, by the number of freedoms used, up to most.
func jsonChanges(v variant, most int) []variant {
	if !json.Valid([]byte(v.text)) || !strings.ContainsAny(v.text, `{["`) {
		return nil
	}
	byCount := make([][]variant, len(dimensions)+1)
	seen := map[string]bool{v.text: true}
	var walk func(tokens []token, edits []edit, next int)
	walk = func(tokens []token, edits []edit, next int) {
		if next == len(dimensions) {
			if text := join(tokens); len(edits) > 0 && !seen[text] {
				byCount[len(edits)] = append(byCount[len(edits)], v.with(text, edits...))
			}
			return
		}
		walk(tokens, edits, next+1)
		if len(edits) == most {
			return
		}
		before := join(tokens)
		done := map[string]bool{before: true}
		for _, way := range dimensions[next].ways {
			changed := way(tokens)
			if text := join(changed); !done[text] {
				done[text] = true
				walk(changed, append(edits[:len(edits):len(edits)], dimensions[next].edit), next+1)
			}
		}
	}
	walk(lex(v.text), nil, 0)
	var all []variant
	for _, vs := range byCount {
		for _, x := range vs {
			if !seen[x.text] {
				seen[x.text] = true
				all = append(all, x)
			}
		}
	}
	return all
}

// The ways of encoders with strings. All of them keep what the string means.

// escapes calls f for every escape of the raw string s, which it may write otherwise, and keeps the rest.
func escapes(s string, f func(escape string) string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		n := 1
		if s[i] == '\\' {
			if n = 2; s[i+1] == 'u' {
				if n = 6; highSurrogate(s[i:]) && len(s) >= i+12 && s[i+6:i+8] == `\u` {
					n = 12
				}
			}
			b.WriteString(f(s[i : i+n]))
		} else {
			b.WriteByte(s[i])
		}
		i += n
	}
	return b.String()
}

func highSurrogate(escape string) bool {
	c := strings.ToLower(escape[2:4])
	return c >= "d8" && c <= "db"
}

func unescapeSlash(s string) string {
	return escapes(s, func(e string) string {
		if e == `\/` {
			return "/"
		}
		return e
	})
}

func escapeSlash(s string) string { return strings.ReplaceAll(unescapeSlash(s), "/", `\/`) }

func unescapeUnicode(s string) string {
	return escapes(s, func(e string) string {
		var r string
		if e[1] == 'u' && json.Unmarshal([]byte(`"`+e+`"`), &r) == nil && r >= "\u0080" && r != "\ufffd" {
			return r
		}
		return e
	})
}

func escapeUnicode(digits string) func(string) string {
	return func(s string) string {
		s = unescapeUnicode(s)
		var b strings.Builder
		unit := func(u rune) {
			b.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(digits[u>>shift&15])
			}
		}
		for _, r := range s {
			switch {
			case r < utf8.RuneSelf:
				b.WriteByte(byte(r))
			case r > 0xffff:
				unit(0xd800 + (r-0x10000)>>10)
				unit(0xdc00 + (r-0x10000)&0x3ff)
			default:
				unit(r)
			}
		}
		return b.String()
	}
}

var (
	goHTML   = strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`)
	gsonHTML = strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`, "=", `\u003d`, "'", `\u0027`)
)

func unescapeHTML(s string) string {
	return escapes(s, func(e string) string {
		switch strings.ToLower(e) {
		case `\u0026`:
			return "&"
		case `\u003c`:
			return "<"
		case `\u003e`:
			return ">"
		case `\u003d`:
			return "="
		case `\u0027`:
			return "'"
		}
		return e
	})
}

// tree is a JSON value whose members can change places.
type tree struct {
	open, shut byte // of an object or a list; 0 for a plain value
	raw        string
	keys       []string // raw, of an object
	items      []*tree
}

// parse reads one value from tokens without white space and returns what follows.
func parse(tokens []token) (*tree, []token) {
	t := tokens[0]
	tokens = tokens[1:]
	if t.kind != '{' && t.kind != '[' {
		return &tree{raw: t.raw}, tokens
	}
	n := &tree{open: t.kind, shut: t.kind + 2} // in ASCII } and ] follow two after
	for tokens[0].kind != n.shut {
		if tokens[0].kind == ',' {
			tokens = tokens[1:]
		}
		if n.open == '{' {
			n.keys = append(n.keys, tokens[0].raw)
			tokens = tokens[2:]
		}
		var item *tree
		item, tokens = parse(tokens)
		n.items = append(n.items, item)
	}
	return n, tokens[1:]
}

// write appends the compact text of n.
func (n *tree) write(b *bytes.Buffer) {
	if n.open == 0 {
		b.WriteString(n.raw)
		return
	}
	b.WriteByte(n.open)
	for i, item := range n.items {
		if i > 0 {
			b.WriteByte(',')
		}
		if n.open == '{' {
			b.WriteString(n.keys[i])
			b.WriteByte(':')
		}
		item.write(b)
	}
	b.WriteByte(n.shut)
}

func grow(tokens []token) *tree {
	n, _ := parse(space(tokens, "", "", ""))
	return n
}

// sortKeys orders the members of every object by name. White space that is regular stays so, other becomes none.
func sortKeys(tokens []token) []token {
	n := grow(tokens)
	sorted := false
	n.eachObject(func(o *tree) { sorted = o.sort() || sorted })
	if !sorted {
		return tokens
	}
	var b bytes.Buffer
	n.write(&b)
	compact := lex(b.String())
	before := join(tokens)
	for _, s := range styles {
		if join(space(tokens, s.comma, s.colon, s.indent)) == before {
			return space(compact, s.comma, s.colon, s.indent)
		}
	}
	return compact
}

func (n *tree) eachObject(f func(*tree)) {
	if n.open == '{' {
		f(n)
	}
	for _, item := range n.items {
		item.eachObject(f)
	}
}

// sort orders the members of one object and reports whether that changed anything.
func (n *tree) sort() (changed bool) {
	for i := 1; i < len(n.keys); i++ {
		for j := i; j > 0 && n.keys[j] < n.keys[j-1]; j-- {
			n.swap(j, j-1)
			changed = true
		}
	}
	return changed
}

func (n *tree) swap(i, j int) {
	n.keys[i], n.keys[j] = n.keys[j], n.keys[i]
	n.items[i], n.items[j] = n.items[j], n.items[i]
}

// orders calls try with the compact text of tokens in every order of the members of its objects, until it returns true
// or most texts were tried. It reports whether try did, and whether there were more orders than that.
func orders(tokens []token, most int, try func(string) bool) (found, tooMany bool) {
	root := grow(tokens)
	var objects []*tree
	number := 1
	root.eachObject(func(o *tree) {
		objects = append(objects, o)
		for k := 2; k <= len(o.keys) && number <= most; k++ {
			number *= k
		}
	})
	if number > most {
		return false, true
	}
	var b bytes.Buffer
	var permute func(o, k int) bool
	permute = func(o, k int) bool { // the members of objects[o] from k on, and all objects after it
		if o == len(objects) {
			b.Reset()
			root.write(&b)
			return try(b.String())
		}
		n := objects[o]
		if k >= len(n.keys)-1 {
			return permute(o+1, 0)
		}
		for i := k; i < len(n.keys); i++ {
			n.swap(k, i)
			done := permute(o, k+1)
			n.swap(k, i)
			if done {
				return true
			}
		}
		return false
	}
	return permute(0, 0), false
}
