// Package phrase holds what is said to people: a sentence in Chinese and in English, and text from outside made fit to
// stand in one. It knows nothing of what is said, and decides nothing about the language.
//
//	t := phrase.Say("有 %d 个字节，太长", "it has %d bytes, which is too long", n)
//	t.In("zh")
package phrase

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Text is one sentence in both languages. The zero Text says nothing. It is an error too, for what is told as it is.
type Text struct {
	ZH, EN string
}

// In returns the sentence in Chinese where lang begins with "zh", whatever its case, and in English otherwise.
func (t Text) In(lang string) string {
	if len(lang) >= 2 && strings.EqualFold(lang[:2], "zh") {
		return t.ZH
	}
	return t.EN
}

// Error is the sentence in English.
func (t Text) Error() string { return t.EN }

// Say makes a Text of two formats that take the same arguments. An argument that is a Text itself appears in the
// language of each. Without arguments both are taken as they are, signs of percent too.
func Say(zh, en string, args ...any) Text {
	if len(args) == 0 {
		return Text{zh, en}
	}
	in := func(lang string) []any {
		spoken := slices.Clone(args)
		for i, arg := range spoken {
			if t, ok := arg.(Text); ok {
				spoken[i] = t.In(lang)
			}
		}
		return spoken
	}
	return Text{fmt.Sprintf(zh, in("zh")...), fmt.Sprintf(en, in("en")...)}
}

// Clip cuts s to n bytes at a boundary of characters and makes blanks of control characters, so that what came from
// outside can be shown on a line.
func Clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// Redact hides what looks like an openid: every run of 28 characters or more that begins with an o.
func Redact(s string) string {
	isWord := func(c byte) bool {
		return c == '_' || c == '-' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && isWord(s[j]) {
			j++
		}
		switch {
		case j == i:
			b.WriteByte(s[i])
			j++
		case j-i >= 28 && s[i] == 'o':
			b.WriteString("[openid]")
		default:
			b.WriteString(s[i:j])
		}
		i = j
	}
	return b.String()
}
