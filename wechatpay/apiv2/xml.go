package apiv2

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// Field is one element of a message: <name>value</name>.
type Field struct{ Name, Value string }

// Fields are the elements of a message. Those of an answer or a notification are sorted by name, byte by byte, and each
// name is there once.
type Fields []Field

// Get returns the value of the field called name, or "".
func (f Fields) Get(name string) string {
	for i := range f {
		if f[i].Name == name {
			return f[i].Value
		}
	}
	return ""
}

// find is Get for sorted fields.
func (f Fields) find(name string) string {
	if i, ok := slices.BinarySearchFunc(f, name, func(x Field, name string) int { return strings.Compare(x.Name, name) }); ok {
		return f[i].Value
	}
	return ""
}

// sort orders f by name and reports the name that is there twice, or "".
func (f Fields) sort() (twice string) {
	slices.SortFunc(f, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(f); i++ {
		if f[i].Name == f[i-1].Name {
			return f[i].Name
		}
	}
	return ""
}

// size is about the length of f as XML.
func (f Fields) size() int {
	n := 16
	for i := range f {
		n += 2*len(f[i].Name) + len(f[i].Value) + 5 + len(cdataBegin) + len(cdataEnd)
	}
	return n
}

const cdataBegin, cdataEnd = "<![CDATA[", "]]>"

// appendXML appends the document <xml>…</xml>. Names and values have been checked.
func (f Fields) appendXML(b []byte) []byte {
	b = append(b, "<xml>"...)
	for i := range f {
		b = append(b, '<')
		b = append(b, f[i].Name...)
		b = append(b, '>')
		b = appendValue(b, f[i].Value)
		b = append(b, "</"...)
		b = append(b, f[i].Name...)
		b = append(b, '>')
	}
	return append(b, "</xml>"...)
}

// appendValue writes numbers and identifiers as they are and everything else in CDATA, where no reader trims blanks.
func appendValue(b []byte, v string) []byte {
	if isPlain(v) {
		return append(b, v...)
	}
	if strings.Contains(v, "\r") { // which readers turn into a line feed, in CDATA too, unless it is a reference
		for i := range len(v) {
			switch c := v[i]; c {
			case '\r':
				b = append(b, "&#13;"...)
			case '<':
				b = append(b, "&lt;"...)
			case '>':
				b = append(b, "&gt;"...)
			case '&':
				b = append(b, "&amp;"...)
			default:
				b = append(b, c)
			}
		}
		return b
	}
	b = append(b, cdataBegin...)
	for {
		before, after, found := strings.Cut(v, cdataEnd)
		b = append(b, before...)
		if !found {
			return append(b, cdataEnd...)
		}
		b = append(b, "]]"+cdataEnd+cdataBegin+">"...) // the end mark, in two sections
		v = after
	}
}

func isPlain(v string) bool {
	for i := range len(v) {
		if !isNameByte(v[i]) && !strings.ContainsRune(":/|*@+,=", rune(v[i])) {
			return false
		}
	}
	return true
}

// isNameByte reports whether c may stand in a name, other than at its beginning.
func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || c == '-' || c == '.'
}

func isName(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i]) {
			return false
		}
	}
	return s != "" && s[0] > '9' // which leaves out digits, - and .
}

// isText reports whether XML can carry s.
func isText(s string) bool {
	_, err := checkChars(s)
	return err == nil && utf8.ValidString(s)
}

// decode reads a document of one level, the root of which has the given name, and sorts its fields.
//
// It knows the little XML that WeChat Pay writes, and refuses the rest instead of reading it in some way: whoever checks
// a signature must see in a message what everybody else sees in it. There are no document types, entities, processing
// instructions, comments, attributes, namespaces or nested elements, no name twice, no text between the elements and
// nothing after them. Blanks inside values are kept; line ends become line feeds, as XML has it. What it accepts,
// encoding/xml reads alike; a fuzz test holds them together. The caller has bounded the length of data.
//
// Source: vendor notice "关于XML解析存在的安全问题指引" of 2018; CVE-2018-13439.
func decode(data []byte, root string) (Fields, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	d := decoder{s: string(data)} // the values are parts of this copy
	if strings.HasPrefix(d.s, "<?") {
		if d.i = len(declaration.FindString(d.s)); d.i == 0 {
			return nil, errors.New("it begins with a processing instruction that is no XML declaration of UTF-8")
		}
	}
	d.space()
	if !d.skip("<") || !d.skip(root) || !d.end() {
		return nil, fmt.Errorf("it does not begin with <%s>", root)
	}
	fields := make(Fields, 0, 24)
	for {
		d.space()
		if d.skip("</") {
			break
		}
		f, err := d.element()
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	if !d.skip(root) || !d.end() {
		return nil, fmt.Errorf("it does not end with </%s>", root)
	}
	if d.space(); d.i < len(d.s) {
		return nil, fmt.Errorf("something follows </%s>", root)
	}
	if twice := fields.sort(); twice != "" {
		return nil, fmt.Errorf("the element %s is there twice", phrase.Clip(twice, 40))
	}
	return fields, nil
}

var declaration = regexp.MustCompile(`^<\?xml[ \t\r\n]+version=(?:"1\.0"|'1\.0')` +
	`(?:[ \t\r\n]+encoding=(?:"(?i:utf-8)"|'(?i:utf-8)'))?(?:[ \t\r\n]+standalone=(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>`)

type decoder struct {
	s string
	i int // up to where it is read
}

func (d *decoder) space() {
	for d.i < len(d.s) && (d.s[d.i] == ' ' || d.s[d.i] == '\n' || d.s[d.i] == '\t' || d.s[d.i] == '\r') {
		d.i++
	}
}

func (d *decoder) skip(s string) bool {
	if !strings.HasPrefix(d.s[d.i:], s) {
		return false
	}
	d.i += len(s)
	return true
}

// end skips the end of a tag.
func (d *decoder) end() bool {
	d.space()
	return d.skip(">")
}

func (d *decoder) element() (f Field, err error) {
	if !d.skip("<") {
		if d.i == len(d.s) {
			return f, errors.New("it is cut off")
		}
		return f, errors.New("there is text between the elements")
	}
	start := d.i
	for d.i < len(d.s) && isNameByte(d.s[d.i]) {
		d.i++
	}
	f.Name = d.s[start:d.i]
	if !isName(f.Name) {
		return f, errors.New("something is not an element of a plain name: a comment, a declaration, a namespace")
	}
	d.space()
	if d.skip("/>") {
		return f, nil
	}
	if !d.skip(">") {
		return f, fmt.Errorf("the tag <%s> has attributes, a namespace or no end", phrase.Clip(f.Name, 40))
	}
	if f.Value, err = d.value(); err != nil {
		return f, fmt.Errorf("the element %s: %w", phrase.Clip(f.Name, 40), err)
	}
	if !d.skip("</") || !d.skip(f.Name) || !d.end() {
		return f, fmt.Errorf("the element %s is not ended, or holds more than text", phrase.Clip(f.Name, 40))
	}
	return f, nil
}

// value reads text and CDATA up to a tag. Almost always there is one piece, and the value is a part of the document.
func (d *decoder) value() (string, error) {
	var first string
	var all strings.Builder
	for pieces := 0; ; pieces++ {
		piece, found, err := d.piece()
		switch {
		case err != nil:
			return "", err
		case !found && pieces > 1:
			return all.String(), nil
		case !found:
			return first, nil
		case pieces == 0:
			first = piece
		case pieces == 1:
			all.WriteString(first)
			fallthrough
		default:
			all.WriteString(piece)
		}
	}
}

// piece reads one CDATA section, or text up to the next "<".
func (d *decoder) piece() (piece string, found bool, err error) {
	cdata := d.skip(cdataBegin)
	rest := d.s[d.i:]
	n := strings.IndexByte(rest, '<')
	if cdata {
		n = strings.Index(rest, cdataEnd)
	}
	switch {
	case n < 0:
		return "", false, errors.New("it is cut off")
	case n == 0 && !cdata:
		return "", false, nil
	}
	piece = rest[:n]
	d.i += n
	if cdata {
		d.i += len(cdataEnd)
	} else if strings.Contains(piece, cdataEnd) {
		return "", false, errors.New("]]> outside CDATA")
	}
	special, err := checkChars(piece)
	if err != nil || !special {
		return piece, true, err
	}
	piece, err = normalise(piece, !cdata)
	return piece, true, err
}

// checkChars refuses characters that XML does not have. special reports whether there are line ends or references to
// care for.
func checkChars(s string) (special bool, err error) {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '&' || c == '\r':
			special = true
		case c < ' ' && c != '\n' && c != '\t':
			return false, fmt.Errorf("it holds the control character %#02x", c)
		case c == 0xEF && i+2 < len(s) && s[i+1] == 0xBF && s[i+2] >= 0xBE:
			return false, errors.New("it holds a character that XML does not have")
		}
	}
	return special, nil
}

// normalise makes line feeds of line ends and, in text, characters of references.
func normalise(s string, text bool) (string, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\r':
			if i+1 == len(s) || s[i+1] != '\n' {
				b = append(b, '\n')
			}
		case c == '&' && text:
			end := strings.IndexByte(s[i:], ';')
			if end < 0 {
				return "", errors.New("it holds & without a reference")
			}
			r, ok := reference(s[i+1 : i+end])
			if !ok {
				return "", errors.New("it refers to an entity other than lt, gt, amp, quot, apos")
			}
			b = utf8.AppendRune(b, r)
			i += end
		default:
			b = append(b, c)
		}
	}
	return string(b), nil
}

// reference returns the character that &name; stands for.
func reference(name string) (rune, bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	number, numeric := strings.CutPrefix(name, "#")
	base := 10
	if hex, ok := strings.CutPrefix(number, "x"); ok {
		number, base = hex, 16
	}
	n, err := strconv.ParseUint(number, base, 32)
	if !numeric || err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return 0, false
	}
	// Of the control characters, XML lets a reference make the three that may stand in text.
	if r := rune(n); r >= ' ' && r != 0xFFFE && r != 0xFFFF || r == '\t' || r == '\n' || r == '\r' {
		return r, true
	}
	return 0, false
}
