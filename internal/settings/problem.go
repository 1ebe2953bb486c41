package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Text is one sentence for the operator, in Chinese and in English.
type Text struct {
	ZH, EN string
}

// In returns the sentence in lang: Chinese for "zh", else English.
func (t Text) In(lang string) string {
	if lang == "zh" {
		return t.ZH
	}
	return t.EN
}

// say makes a Text of two formats that take the same arguments. An argument that is a Text itself appears in the
// language of each.
func say(zh, en string, args ...any) Text {
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

// Problem is one thing that is wrong, or doubtful, about one setting. Its text says what is wrong and what to do, and
// never holds a secret.
type Problem struct {
	Key  string // as the operator wrote it: merchants[0].apiv3_key_file, or the environment variable; "" for the whole file
	Line int    // in the file, from 1; 0 where the file doesn't have it
	Text Text   // where it is, what is wrong, what to do
}

// In returns the whole sentence in lang ("zh" or "en").
func (p Problem) In(lang string) string { return p.Text.In(lang) }

// place names key and line at the head of a sentence.
func place(key string, line int) Text {
	switch {
	case key == "" && line == 0:
		return Text{}
	case key == "":
		return say("第 %d 行：", "line %d: ", line)
	case line == 0:
		return say("%s：", "%s: ", key)
	}
	return say("%s（第 %d 行）：", "%s (line %d): ", key, line)
}

// Error is all that is wrong with the settings, so that the operator mends it in one go.
type Error struct {
	File     string // as given to Load; "" for none
	Problems []Problem
}

// Error returns the report in English.
func (e *Error) Error() string { return e.In("en") }

// In returns the report in lang ("zh" or "en"): a sentence that names the file and counts, then a line a problem.
func (e *Error) In(lang string) string {
	file := Text{e.File, e.File}
	if e.File == "" {
		file = Text{"环境变量 FENHAO_*", "FENHAO_* variables"}
	}
	problems := "problems"
	if len(e.Problems) == 1 {
		problems = "problem"
	}
	head := say("%[1]s 有 %[2]d 处问题，没有启动：",
		"%[1]s: %[2]d %[3]s, nothing was started:", file, len(e.Problems), problems)
	var b strings.Builder
	b.WriteString(head.In(lang))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.In(lang))
	}
	return b.String()
}

// sortProblems orders by line; what the file doesn't have comes last, in the order in which it was found.
func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Compare(a.Line, b.Line)
	})
}
