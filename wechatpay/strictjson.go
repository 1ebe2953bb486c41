package wechatpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// strictUnmarshal reads one JSON object into the struct that v points to. Fields that the struct does not have are
// ignored, since WeChat Pay adds fields at any time. Fields that it has must be spelled exactly and be there once:
// encoding/json takes "Trade_State" for "trade_state" and the last of two, so two readers of one message could
// otherwise see two messages. Nothing may follow the object, and all of it is UTF-8.
//
// What it takes, it reads as encoding/json does; a fuzz test holds the two together. It reads in one pass, where checking
// the names first and reading then takes three. After an error v may hold a part of the object.
func strictUnmarshal(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("it is not UTF-8")
	}
	d := strictDecoder{data: data}
	if d.space(); d.peek() != '{' {
		return errors.New("it is not a JSON object")
	}
	into := reflect.ValueOf(v).Elem()
	if err := d.value(into, shapeOf(into.Type()), 0); err != nil {
		return err
	}
	if d.space(); d.i < len(d.data) {
		return errNotJSON
	}
	return nil
}

var errNotJSON = errors.New("it is not one JSON document")

// wrongType is a value of another type than its field. It names no value.
type wrongType struct {
	field string // dotted path
	is    string // such as "string"
	want  reflect.Type
}

func (e *wrongType) Error() string {
	return fmt.Sprintf("field %q is a %s, not a %s", e.field, e.is, e.want)
}

// shape is how a type is read: made once for each type.
type shape struct {
	how    reading
	typ    reflect.Type
	fields []fieldShape // of a struct
	items  *shape       // of a slice
}

type reading int

const (
	asJSON    reading = iota // encoding/json reads it
	asItself                 // it has UnmarshalJSON
	asPointer                // to items
	asStruct
	asSlice
	asString
	asInteger
	asBool
)

type fieldShape struct {
	name  string
	index []int // for reflect.Value.FieldByIndex
	shape *shape
}

// maxFields is how many fields a struct may have that is read strictly.
const maxFields = 64

var (
	shapes sync.Map // from reflect.Type to *shape

	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
)

// shapeOf returns the shape of a type of this package, in whose structs each field has a tag or is embedded.
func shapeOf(t reflect.Type) *shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape)
	}
	s := &shape{typ: t}
	switch kind := t.Kind(); {
	case kind == reflect.Pointer:
		s.how, s.items = asPointer, shapeOf(t.Elem())
	case reflect.PointerTo(t).Implements(unmarshaler):
		s.how = asItself
	case kind == reflect.Struct:
		if s.how, s.fields = asStruct, fieldsOf(t); len(s.fields) > maxFields {
			panic(fmt.Sprintf("%v has more than %d fields", t, maxFields))
		}
	case kind == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		s.how, s.items = asSlice, shapeOf(t.Elem())
	case kind == reflect.String:
		s.how = asString
	case reflect.Int <= kind && kind <= reflect.Int64:
		s.how = asInteger
	case kind == reflect.Bool:
		s.how = asBool
	}
	shapes.Store(t, s)
	return s
}

// fieldsOf returns the JSON names of a struct, and of those embedded in it.
func fieldsOf(t reflect.Type) []fieldShape {
	var fields []fieldShape
	for f := range t.Fields() {
		if f.Anonymous {
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{f.Index[0]}, inner.index...)
				fields = append(fields, inner)
			}
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if strings.Contains(options, "string") {
			panic(fmt.Sprintf("%v.%s: numbers in strings are not read", t, f.Name))
		}
		if name != "" && name != "-" {
			fields = append(fields, fieldShape{name, f.Index, shapeOf(f.Type)})
		}
	}
	return fields
}

// find returns the index of the field called key, or -1. A key that encoding/json would take for a field is an error.
func (s *shape) find(key []byte) (int, error) {
	for i := range s.fields {
		if string(key) == s.fields[i].name {
			return i, nil
		}
	}
	for i := range s.fields {
		if name := s.fields[i].name; strings.EqualFold(name, string(key)) {
			return -1, fmt.Errorf("a field is spelled %q instead of %q", phrase.Clip(string(key), 64), name)
		}
	}
	return -1, nil
}

// maxDepth is how deep a document may be nested. WeChat Pay's go five deep.
const maxDepth = 100

// strictDecoder reads a document that is UTF-8.
type strictDecoder struct {
	data []byte
	i    int // up to where it is read
}

// peek returns the next byte, or 0 at the end.
func (d *strictDecoder) peek() byte {
	if d.i < len(d.data) {
		return d.data[d.i]
	}
	return 0
}

func (d *strictDecoder) space() {
	for c := d.peek(); c == ' ' || c == '\n' || c == '\t' || c == '\r'; c = d.peek() {
		d.i++
	}
}

// value reads one value into a place of a shape.
func (d *strictDecoder) value(into reflect.Value, s *shape, depth int) error {
	d.space()
	null := d.peek() == 'n'
	for ; s.how == asPointer; s = s.items {
		if null {
			into.SetZero()
			return d.skip(depth)
		}
		if into.IsNil() {
			into.Set(reflect.New(s.typ.Elem()))
		}
		into = into.Elem()
	}
	if s.how == asItself || s.how == asJSON {
		start := d.i
		if err := d.skip(depth); err != nil {
			return err
		}
		if s.how == asItself {
			return into.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(d.data[start:d.i])
		}
		if err := json.Unmarshal(d.data[start:d.i], into.Addr().Interface()); err != nil {
			return &wrongType{is: "value", want: s.typ} // err may quote the value
		}
		return nil
	}
	if null { // which changes nothing but slices
		if s.how == asSlice {
			into.SetZero()
		}
		return d.skip(depth)
	}
	is := kindOf(d.peek())
	switch {
	case is == "object" && s.how == asStruct:
		return d.object(into, s, depth)
	case is == "array" && s.how == asSlice:
		return d.array(into, s, depth)
	}
	start := d.i
	if err := d.skip(depth); err != nil {
		return err
	}
	raw := d.data[start:d.i]
	switch {
	case is == "string" && s.how == asString:
		said, err := unquote(raw)
		into.SetString(string(said))
		return err
	case is == "number" && s.how == asInteger:
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil && !into.OverflowInt(n) {
			into.SetInt(n)
			return nil
		}
	case is == "bool" && s.how == asBool:
		into.SetBool(raw[0] == 't')
		return nil
	}
	return &wrongType{is: is, want: s.typ}
}

// kindOf names the kind of value that begins with c.
func kindOf(c byte) string {
	switch c {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "bool"
	}
	return "number"
}

func (d *strictDecoder) object(into reflect.Value, s *shape, depth int) error {
	var seen [maxFields]bool
	for more, err := d.open('}', depth); more || err != nil; more, err = d.next('}') {
		if err != nil {
			return err
		}
		key, err := d.key()
		if err != nil {
			return err
		}
		i, err := s.find(key)
		switch {
		case err != nil:
		case i < 0:
			err = d.skip(depth + 1)
		case seen[i]:
			err = fmt.Errorf("field %q is there twice", s.fields[i].name)
		default:
			seen[i] = true
			f := &s.fields[i]
			err = d.value(into.FieldByIndex(f.index), f.shape, depth+1)
			if e, ok := err.(*wrongType); ok {
				e.field = strings.TrimSuffix(f.name+"."+e.field, ".")
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *strictDecoder) array(into reflect.Value, s *shape, depth int) error {
	list := reflect.MakeSlice(s.typ, 0, 0)
	for more, err := d.open(']', depth); more || err != nil; more, err = d.next(']') {
		if err != nil {
			return err
		}
		list = reflect.Append(list, reflect.Zero(s.typ.Elem()))
		if err := d.value(list.Index(list.Len()-1), s.items, depth+1); err != nil {
			return err
		}
	}
	into.Set(list)
	return nil
}

// open goes past a bracket and reports whether there is anything before end, the one that closes it.
func (d *strictDecoder) open(end byte, depth int) (more bool, err error) {
	if depth > maxDepth {
		return false, fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	d.i++
	d.space()
	if d.peek() != end {
		return true, nil
	}
	d.i++
	return false, nil
}

// next goes past a comma or end, and reports which.
func (d *strictDecoder) next(end byte) (more bool, err error) {
	d.space()
	c := d.peek()
	d.i++
	switch c {
	case ',':
		d.space()
		return true, nil
	case end:
		return false, nil
	}
	return false, errNotJSON
}

// key reads a name and the colon after it.
func (d *strictDecoder) key() ([]byte, error) {
	raw, err := d.quoted()
	if err != nil {
		return nil, err
	}
	if d.space(); d.peek() != ':' {
		return nil, errNotJSON
	}
	d.i++
	return unquote(raw)
}

// skip goes past one value, which must be valid.
func (d *strictDecoder) skip(depth int) error {
	d.space()
	switch c := d.peek(); {
	case c == '{':
		for more, err := d.open('}', depth); more || err != nil; more, err = d.next('}') {
			if err == nil {
				_, err = d.key()
			}
			if err == nil {
				err = d.skip(depth + 1)
			}
			if err != nil {
				return err
			}
		}
		return nil
	case c == '[':
		for more, err := d.open(']', depth); more || err != nil; more, err = d.next(']') {
			if err == nil {
				err = d.skip(depth + 1)
			}
			if err != nil {
				return err
			}
		}
		return nil
	case c == '"':
		_, err := d.quoted()
		return err
	case c == '-' || '0' <= c && c <= '9':
		return d.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(d.data[d.i:], []byte(word)) {
			d.i += len(word)
			return nil
		}
	}
	return errNotJSON
}

// number goes past a number: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
func (d *strictDecoder) number() error {
	digits := func() bool {
		start := d.i
		for c := d.peek(); '0' <= c && c <= '9'; c = d.peek() {
			d.i++
		}
		return d.i > start
	}
	if d.peek() == '-' {
		d.i++
	}
	if d.peek() == '0' {
		d.i++
	} else if !digits() {
		return errNotJSON
	}
	if d.peek() == '.' {
		if d.i++; !digits() {
			return errNotJSON
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.i++
		if c := d.peek(); c == '+' || c == '-' {
			d.i++
		}
		if !digits() {
			return errNotJSON
		}
	}
	return nil
}

// quoted goes past a string and returns it as it is written, quotes included.
func (d *strictDecoder) quoted() ([]byte, error) {
	if d.peek() != '"' {
		return nil, errNotJSON
	}
	start, escapes := d.i, false
	for d.i++; d.i < len(d.data); d.i++ {
		switch c := d.data[d.i]; {
		case c == '"':
			d.i++
			raw := d.data[start:d.i]
			if escapes && !json.Valid(raw) {
				return nil, errNotJSON
			}
			return raw, nil
		case c == '\\':
			escapes = true
			d.i++
		case c < ' ':
			return nil, errNotJSON
		}
	}
	return nil, errNotJSON
}

// unquote returns what a valid string says.
func unquote(raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	var said string
	err := json.Unmarshal(raw, &said)
	return []byte(said), err
}
