package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// sources parses the Go files of the rooms that make errors of ours, tests aside, by folder.
func sources(t *testing.T) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, dir := range []string{".", "../pay", "../store", "../wechat"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(names) < 1 {
			t.Fatalf("no Go files in %s (%v)", dir, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
	}
	return files
}

// named returns the last name of x: Code of Code and of pay.Code.
func named(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.UnaryExpr:
		return named(x.X)
	}
	return ""
}

// text returns the value of a string literal.
func text(x ast.Expr) (string, bool) {
	lit, ok := x.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// constants returns the constants of type pay.Code, by name.
func constants(t *testing.T, files []*ast.File) map[string]pay.Code {
	t.Helper()
	found := map[string]pay.Code{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, name := range spec.Names {
				if i >= len(spec.Values) {
					continue
				}
				value := spec.Values[i]
				isCode := named(spec.Type) == "Code"
				if call, ok := value.(*ast.CallExpr); ok && named(call.Fun) == "Code" && len(call.Args) == 1 { // Code("…")
					value, isCode = call.Args[0], true
				}
				if s, ok := text(value); ok && isCode {
					found[name.Name] = pay.Code(s)
				}
			}
			return true
		})
	}
	if len(found) < 20 || found["CodeOrderNotFound"] != pay.CodeOrderNotFound || found["codeInternal"] != codeInternal {
		t.Fatalf("only these constants were found: %v", found)
	}
	return found
}

func TestEveryCodeHasASentence(t *testing.T) {
	t.Parallel()
	codes := map[pay.Code]string{}
	for name, code := range constants(t, sources(t)) {
		if other, ok := codes[code]; ok {
			t.Errorf("%s and %s are both %q", name, other, code)
		}
		codes[code] = name
		if _, ok := sentences[code]; !ok {
			t.Errorf("%s (%s) has no sentence", name, code)
		}
	}
	shape := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`) // also its anchor in docs/errors.md
	for code, s := range sentences {
		if codes[code] == "" {
			t.Errorf("the sentence of %q belongs to no constant", code)
		}
		if !shape.MatchString(string(code)) {
			t.Errorf("%q is not of the form order_not_found", code)
		}
		if s.status < 400 || s.status > 599 {
			t.Errorf("%s has status %d", code, s.status)
		}
		for _, said := range []phrase.Text{s.title, s.detail} {
			zh := strings.TrimSpace(placeholder.ReplaceAllString(said.ZH, ""))
			if strings.TrimSpace(said.ZH) == "" || strings.TrimSpace(said.EN) == "" {
				t.Errorf("%s is not said in both languages: %+v", code, said)
			}
			if strings.ContainsFunc(zh, unicode.IsLetter) && !strings.ContainsFunc(zh, isHan) {
				t.Errorf("%s: %q is not Chinese", code, said.ZH)
			}
			if strings.ContainsFunc(said.EN, isHan) {
				t.Errorf("%s: %q is not English", code, said.EN)
			}
		}
		if !strings.ContainsFunc(s.title.ZH, isHan) || !strings.ContainsFunc(s.title.EN, unicode.IsLetter) {
			t.Errorf("%s has the title %+v", code, s.title)
		}
	}
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

// Whoever makes an error with a code gives what the sentence of that code names.
func TestPlaceholdersAreGiven(t *testing.T) {
	t.Parallel()
	files := sources(t)
	codes := constants(t, files)
	made := map[pay.Code]int{}
	check := func(f *ast.File, fn *ast.FuncDecl, constant string, given []string) {
		code, ok := codes[constant]
		if !ok {
			return // a variable: whoever set it is checked there
		}
		made[code]++
		s := sentences[code]
		for _, said := range []string{s.title.ZH, s.title.EN, s.detail.ZH, s.detail.EN} {
			for _, m := range placeholder.FindAllStringSubmatch(said, -1) {
				if m[1] != "request_id" && !slices.Contains(given, m[1]) {
					t.Errorf("%s.%s makes an error of %s without {%s}, which the sentence %q names: it gives %q",
						f.Name.Name, fn.Name.Name, constant, m[1], said, given)
				}
			}
		}
	}
	for _, f := range files {
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			var later []string // e.Args["name"] = …, after the error was made
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if a, ok := n.(*ast.AssignStmt); ok {
					for _, left := range a.Lhs {
						if i, ok := left.(*ast.IndexExpr); ok && named(i.X) == "Args" {
							if name, ok := text(i.Index); ok {
								later = append(later, name)
							}
						}
					}
				}
				return true
			})
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr: // refuse(code, cause, "name", value, …)
					if named(n.Fun) == "refuse" && len(n.Args) >= 2 {
						given := slices.Clone(later)
						for i := 2; i < len(n.Args); i += 2 {
							if name, ok := text(n.Args[i]); ok {
								given = append(given, name)
							}
						}
						check(f, fn, named(n.Args[0]), given)
					}
				case *ast.CompositeLit: // pay.Error{Code: code, Args: map[string]string{"name": value}}
					if named(n.Type) != "Error" {
						return true
					}
					constant, given := "", slices.Clone(later)
					for _, e := range n.Elts {
						kv, ok := e.(*ast.KeyValueExpr)
						if !ok {
							continue
						}
						switch named(kv.Key) {
						case "Code":
							constant = named(kv.Value)
						case "Args":
							args, ok := kv.Value.(*ast.CompositeLit)
							if !ok {
								t.Errorf("%s.%s: Args of %s is no literal, which this test can't read", f.Name.Name, fn.Name.Name, constant)
								continue
							}
							for _, e := range args.Elts {
								if name, ok := text(e.(*ast.KeyValueExpr).Key); ok {
									given = append(given, name)
								}
							}
						}
					}
					check(f, fn, constant, given)
				}
				return true
			})
		}
	}
	if made[pay.CodeWeChatRefused] == 0 || made[pay.CodeProductNotFound] < 3 || made[codeAuthorization] == 0 || made[pay.CodeInvalid] < 2 {
		t.Errorf("not every place that makes an error was found: %v", made)
	}
}

// What the framework finds is said without a word missing too, and so is what the server finds outside of it.
func TestShapeProblemsAreFilled(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]pay.Code{400: codeMalformed, 404: codeNotFound, 413: codeTooLarge, 415: codeMediaType,
		422: pay.CodeInvalid, 500: codeInternal} {
		p, ok := shapeProblem(nil, status, "what is wrong", nil).(*problem)
		if !ok || p.Code != want || p.Status != status || placeholder.MatchString(p.Title+p.Detail) || p.Detail == "" {
			t.Errorf("%d is told as %+v, want %s", status, p, want)
		}
	}
	for _, lang := range []string{"zh", "en"} {
		for _, code := range []pay.Code{codeInternal, codeNotFound, codeMethod, codeMediaType, codeAuthorization} {
			if p := newProblem(about{"req_1", lang}, code, nil); p.Code != code || placeholder.MatchString(p.Title+p.Detail) {
				t.Errorf("%s is told as %+v", code, p)
			}
		}
	}
}

// docs/errors.md has a part for each code, under an anchor that equals the code, with the status and the sentences of
// the program, and no other part.
func TestErrorsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := map[pay.Code]string{}
	for _, part := range strings.Split("\n"+string(page), "\n### ")[1:] {
		part, _, _ = strings.Cut(part, "\n## ")
		code, rest, _ := strings.Cut(part, "\n")
		if _, again := parts[pay.Code(code)]; again {
			t.Errorf("docs/errors.md describes %s twice", code)
		}
		parts[pay.Code(code)] = rest
	}
	for code, s := range sentences {
		part, ok := parts[code]
		if !ok {
			t.Errorf("docs/errors.md lacks ### %s", code)
			continue
		}
		head := "**" + strconv.Itoa(s.status) + "** · " + s.title.EN + " · " + s.title.ZH
		said := "> " + s.detail.EN + "\\\n> " + s.detail.ZH + "\n"
		for _, want := range []string{head, said} {
			if !strings.Contains(part, want) {
				t.Errorf("docs/errors.md#%s lacks:\n%s", code, want)
			}
		}
		// Beyond the sentences it says more, in both languages.
		more := strings.ReplaceAll(strings.ReplaceAll(part, head, ""), said, "")
		if !strings.ContainsFunc(more, isHan) || !regexp.MustCompile(`[A-Za-z]{2} [a-z]`).MatchString(more) {
			t.Errorf("docs/errors.md#%s does not say more than the program, in both languages: %q", code, more)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(parts)) {
		if _, ok := sentences[code]; !ok {
			t.Errorf("docs/errors.md describes %s, which the program never says", code)
		}
	}
	if p := newProblem(about{}, pay.CodeOrderExpired, nil); !strings.HasSuffix(p.Type, "/docs/errors.md#order_expired") {
		t.Errorf("a problem's type is %s", p.Type)
	}
	// The example at the top of the page is what the program says.
	s := sentences[pay.CodeOrderExpired]
	for _, want := range []string{s.title.EN, s.detail.EN, newProblem(about{}, pay.CodeOrderExpired, nil).Type} {
		if top, _, _ := strings.Cut(string(page), "\n## "); !strings.Contains(top, strconv.Quote(want)) {
			t.Errorf("the example of docs/errors.md lacks %q", want)
		}
	}
}
