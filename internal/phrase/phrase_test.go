package phrase_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

func TestIn(t *testing.T) {
	t.Parallel()
	text := phrase.Text{ZH: "分", EN: "fen"}
	for lang, want := range map[string]string{
		"zh": "分", "zh-CN": "分", "ZH_hans": "分", "zho": "分",
		"en": "fen", "": "fen", "z": "fen", "fr-zh": "fen",
	} {
		if got := text.In(lang); got != want {
			t.Errorf("In(%q) = %q, want %q", lang, got, want)
		}
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("read: %w", phrase.Say("太长", "too long"))
	var text phrase.Text
	if err.Error() != "read: too long" || !errors.As(err, &text) || text.In("zh") != "太长" {
		t.Errorf("%q, %+v", err, text)
	}
}

func TestSay(t *testing.T) {
	t.Parallel()
	if got, want := phrase.Say("占 100%d", "100%d of it"), (phrase.Text{ZH: "占 100%d", EN: "100%d of it"}); got != want {
		t.Errorf("without arguments: %+v, want %+v", got, want)
	}
	args := []any{phrase.Text{ZH: "文件", EN: "the file"}, 3}
	if got, want := phrase.Say("%s有 %d 行", "%s has %d lines", args...),
		(phrase.Text{ZH: "文件有 3 行", EN: "the file has 3 lines"}); got != want {
		t.Errorf("with a Text: %+v, want %+v", got, want)
	}
	if _, still := args[0].(phrase.Text); !still {
		t.Error("the arguments of the caller were changed")
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{
		{"分毫", 6, "分毫"},
		{"分毫", 5, "分…"},
		{"分毫", 3, "分…"},
		{"分毫", 2, "…"},
		{"a\r\nb\x00\x7f\xffc", 20, "a  b   c"},
		{"", 0, ""},
	} {
		if got := phrase.Clip(c.s, c.n); got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", c.s, c.n, got, c.want)
		}
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	openID := "o" + strings.Repeat("Ab_-9z0", 4)[:27]
	for s, want := range map[string]string{
		openID:                      "[openid]",
		"user " + openID + ", gone": "user [openid], gone",
		openID[:27]:                 openID[:27], // too short
		"x" + openID:                "x" + openID,
		"分" + openID + "分":          "分[openid]分",
		"ord_0123456789":            "ord_0123456789",
	} {
		if got := phrase.Redact(s); got != want {
			t.Errorf("Redact(%q) = %q, want %q", s, got, want)
		}
	}
}
