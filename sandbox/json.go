package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"
)

// encode writes JSON as WeChat does: no escaping of <, > and &, no line end. What goes in is made of our own types,
// which all can be written.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// kind is what a JSON value is, or what a field must be.
type kind int

const (
	null kind = iota
	text
	integer  // 64 bits, signed
	fraction // any other number: it exists in what comes in, never in what is asked for
	boolean
	object
	list
)

// value is a JSON value that remembers how it was written. encoding/json alone would take the last of two equal names,
// null for nothing, and unknown names without a word, all of which WeChat refuses.
type value struct {
	kind    kind
	text    string // of a text, decoded; of a number, as written
	raw     []byte // as written
	members []member
	items   []value
}

type member struct {
	name  string
	value value
}

// member is the member of that name, or nil.
func (v *value) member(name string) *value {
	if v == nil {
		return nil
	}
	for i := range v.members {
		if v.members[i].name == name {
			return &v.members[i].value
		}
	}
	return nil
}

// at follows names into the value; nil where one is missing.
func (v *value) at(names ...string) *value {
	for _, n := range names {
		v = v.member(n)
	}
	return v
}

// string is the text at the names, "" where there is none.
func (v *value) string(names ...string) string {
	if at := v.at(names...); at != nil {
		return at.text
	}
	return ""
}

// int is the integer at the names, 0 where there is none.
func (v *value) int(names ...string) int64 {
	n, _ := strconv.ParseInt(v.string(names...), 10, 64)
	return n
}

var errNotJSON = errors.New("not a JSON value")

// duplicate is the error of an object that has a name twice.
type duplicate struct{ name string }

func (d duplicate) Error() string { return "the name " + strconv.Quote(d.name) + " comes twice" }

// maxDepth is how deep a value may nest: no body of this API comes close.
const maxDepth = 32

// parseJSON reads exactly one value. Errors are errNotJSON, also for bytes that are no UTF-8, and duplicate.
func parseJSON(b []byte) (value, error) {
	if !utf8.Valid(b) {
		return value{}, errNotJSON
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := readValue(d, b, maxDepth)
	if err != nil {
		return value{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return value{}, errNotJSON
	}
	return v, nil
}

func readValue(d *json.Decoder, b []byte, depth int) (v value, err error) {
	if depth == 0 {
		return v, errNotJSON
	}
	token, err := d.Token()
	if err != nil {
		return v, errNotJSON
	}
	end := int(d.InputOffset())
	switch t := token.(type) {
	case nil:
		v.kind = null
	case string:
		v.kind, v.text = text, t
	case bool:
		v.kind, v.text = boolean, strconv.FormatBool(t)
	case json.Number:
		v.kind, v.text = fraction, t.String()
		if _, err := strconv.ParseInt(v.text, 10, 64); err == nil {
			v.kind = integer
		}
	case json.Delim:
		begin := end - 1
		if v.kind = object; t == '[' {
			v.kind = list
		}
		if err := readInside(d, b, depth, &v); err != nil {
			return v, err
		}
		v.raw = b[begin:d.InputOffset()]
		return v, nil
	}
	v.raw = rawScalar(b[:end], v)
	return v, nil
}

// readInside reads members or items up to the closing bracket.
func readInside(d *json.Decoder, b []byte, depth int, v *value) error {
	seen := map[string]bool{}
	for d.More() {
		var name string
		if v.kind == object {
			token, err := d.Token()
			if err != nil {
				return errNotJSON
			}
			name, _ = token.(string) // the decoder lets nothing else be a name
			if seen[name] {
				return duplicate{name}
			}
			seen[name] = true
		}
		inner, err := readValue(d, b, depth-1)
		if err != nil {
			return err
		}
		if v.kind == object {
			v.members = append(v.members, member{name, inner})
		} else {
			v.items = append(v.items, inner)
		}
	}
	if _, err := d.Token(); err != nil {
		return errNotJSON
	}
	return nil
}

// rawScalar is the scalar with which b ends. A text is written anew, which says the same.
func rawScalar(b []byte, v value) []byte {
	switch v.kind {
	case text:
		return encode(v.text)
	case null:
		return []byte("null")
	}
	return []byte(v.text)
}

// canonical is v with names in order and texts in one spelling: two bodies that say the same have the same.
func (v value) canonical() []byte {
	var any any
	d := json.NewDecoder(bytes.NewReader(v.raw))
	d.UseNumber()
	_ = d.Decode(&any) // v was parsed before
	return encode(any)
}
