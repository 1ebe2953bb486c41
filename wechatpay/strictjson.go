package wechatpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// strictUnmarshal reads one JSON object into the struct that v points to. Fields that the struct does not have are
// ignored, since WeChat Pay adds fields at any time. Fields that it has must be spelled exactly and be there once:
// encoding/json takes "Trade_State" for "trade_state" and the last of two, so two readers of one message could
// otherwise see two messages. Nothing may follow the object, and all of it is UTF-8.
func strictUnmarshal(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if t := bytes.TrimLeft(data, " \t\r\n"); len(t) == 0 || t[0] != '{' {
		return errors.New("it is not a JSON object")
	}
	if !json.Valid(data) { // also bounds the nesting, and refuses what follows the object
		return errors.New("it is not one JSON document")
	}
	if err := checkKeys(d, reflect.TypeOf(v)); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON document")
	}
	if err := json.Unmarshal(data, v); err != nil {
		return withoutValues(err)
	}
	return nil
}

// withoutValues keeps an error of encoding/json to the name of the field and its type, since it may quote the value.
func withoutValues(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return fmt.Errorf("field %q is a %s, not a %s", wrongType.Field, kindOf(wrongType.Value), wrongType.Type)
	}
	return err
}

func kindOf(value string) string {
	kind, _, _ := strings.Cut(value, " ") // "number 1.5" becomes "number"
	return kind
}

// checkKeys reads one value that is meant for type t. A nil t means that the value is not looked at.
func checkKeys(d *json.Decoder, t reflect.Type) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		fields := fieldsOf(t)
		seen := map[string]bool{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return err
			}
			key := k.(string) // the decoder lets nothing else be a key
			var inner reflect.Type
			for name, ft := range fields {
				if !strings.EqualFold(name, key) {
					continue
				}
				if name != key {
					return fmt.Errorf("a field is spelled %q instead of %q", clip(key, 64), name)
				}
				if seen[name] {
					return fmt.Errorf("field %q is there twice", name)
				}
				seen[name], inner = true, ft
			}
			if err := checkKeys(d, inner); err != nil {
				return err
			}
		}
		_, err = d.Token()
	case json.Delim('['):
		var inner reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			inner = t.Elem()
		}
		for d.More() {
			if err := checkKeys(d, inner); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}

// fieldsOf returns the JSON names of a struct of this package, each of which has a tag, and of those embedded in it.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	m := make(map[string]reflect.Type, t.NumField())
	for f := range t.Fields() {
		if f.Anonymous {
			maps.Copy(m, fieldsOf(f.Type))
		}
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			m[name] = f.Type
		}
	}
	return m
}
