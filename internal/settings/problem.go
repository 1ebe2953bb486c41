package settings

import (
	"cmp"
	"slices"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// Problem is one thing that is wrong, or doubtful, about one setting. Its text says what is wrong and what to do, and
// never holds a secret.
type Problem struct {
	Key  string      // as the operator wrote it: merchants[0].apiv3_key_file, or the environment variable; "" for the whole file
	Line int         // in the file, from 1; 0 where the file doesn't have it
	Text phrase.Text // where it is, what is wrong, what to do
}

// In returns the whole sentence in lang ("zh" or "en").
func (p Problem) In(lang string) string { return p.Text.In(lang) }

// place names key and line at the head of a sentence.
func place(key string, line int) phrase.Text {
	switch {
	case key == "" && line == 0:
		return phrase.Text{}
	case key == "":
		return phrase.Say("第 %d 行：", "line %d: ", line)
	case line == 0:
		return phrase.Say("%s：", "%s: ", key)
	}
	return phrase.Say("%s（第 %d 行）：", "%s (line %d): ", key, line)
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
	file := phrase.Say(e.File, e.File)
	if e.File == "" {
		file = phrase.Say("环境变量 FENHAO_*", "FENHAO_* variables")
	}
	problems := "problems"
	if len(e.Problems) == 1 {
		problems = "problem"
	}
	head := phrase.Say("%[1]s 有 %[2]d 处问题，没有启动：",
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
