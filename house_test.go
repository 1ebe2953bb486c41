package fenhao_test

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The house rules: what no compiler asks, and what a reviewer would have to remember.

const module = "github.com/fenhao-pay/fenhao"

// may lists what each package may import of ours, tests aside. A new entry is a design decision: make it in review, not
// to get a build through.
var may = map[string]string{
	// floor 1
	"money":              "", // the ground
	"internal/phrase":    "", // sentences
	"internal/spell":     "", // words
	"internal/libcrypto": "", // a faster crypto.Signer
	// floor 2
	"wechatpay":                    "money wechatpay/bill wechatpay/internal/rules wechatpay/internal/transport internal/phrase",
	"wechatpay/apiv2":              "money wechatpay/bill wechatpay/internal/rules wechatpay/internal/transport internal/phrase",
	"wechatpay/internal/rules":     "money internal/phrase", // what both APIs refuse
	"wechatpay/internal/transport": "",                      // how both go over the wire
	"wechatpay/bill":               "money",
	"miniprogram":                  "money internal/phrase",
	"webhook":                      "money",
	"sandbox":                      "money", // never wechatpay: two witnesses
	"internal/pay":                 "money", // the rules: no database, no network, no WeChat
	// floor 3
	"internal/store":    "internal/pay money", // it stores, it doesn't decide
	"internal/wechat":   "internal/pay wechatpay wechatpay/apiv2 wechatpay/bill miniprogram money",
	"internal/work":     "internal/pay webhook money",                                // it asks pay what is due
	"internal/server":   "internal/pay webhook internal/phrase internal/spell money", // it sees use cases only
	"console":           "internal/pay webhook money",                                // likewise
	"internal/settings": "internal/phrase internal/spell",                            // it knows nothing of what the settings are for
	"internal/diagnose": "wechatpay wechatpay/apiv2 internal/phrase",                 // what is wrong about a signature, from bytes alone
	// floor 4
	"cmd/fenhao": "money wechatpay wechatpay/apiv2 wechatpay/bill miniprogram webhook sandbox internal/pay internal/store internal/wechat " +
		"internal/work internal/server console internal/settings internal/diagnose internal/phrase internal/spell " +
		"internal/libcrypto",
}

// mayNot lists what packages may not import from outside, tests aside: paths, with all below them.
var mayNot = map[string]string{
	"internal/pay":  "database/sql net/http",
	"internal/work": "database/sql",
}

// alone are the packages that others import into their own programs, and what those share: they bring no third-party
// module along.
var alone = []string{
	"money", "wechatpay", "wechatpay/apiv2", "wechatpay/bill", "miniprogram", "webhook", "sandbox",
	"internal/phrase", "wechatpay/internal/rules", "wechatpay/internal/transport",
}

// inMoney are the packages where amounts are reckoned: no floating point.
var inMoney = []string{
	"money", "wechatpay", "wechatpay/apiv2", "wechatpay/bill", "wechatpay/internal/rules", "wechatpay/internal/transport",
	"webhook", "sandbox", "internal/pay", "internal/store", "internal/wechat",
}

// floats are the exceptions: the package and the function or field, with the reason.
var floats = map[string]string{
	"sandbox Probability": "a chance between 0 and 1, not an amount",
	"sandbox strikes":     "likewise",
}

// A pkg is one folder of Go files.
type pkg struct {
	path  string // from the root of the module: internal/pay
	files []file
}

type file struct {
	name string // from the root of the module
	test bool
	*ast.File
}

var fset = token.NewFileSet()

// house parses every Go file of the module, once. Modules nested in it have their own rules.
var house = sync.OnceValues(func() ([]pkg, error) {
	found := map[string]*pkg{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			_, nested := os.Stat(filepath.Join(name, "go.mod"))
			base := path.Base(name)
			foreign := nested == nil || base == "node_modules" || base == "testdata" || base[0] == '.' || base[0] == '_'
			if name != "." && foreign {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if found[dir] == nil {
			found[dir] = &pkg{path: dir}
		}
		found[dir].files = append(found[dir].files, file{name, strings.HasSuffix(name, "_test.go"), parsed})
		return nil
	})
	var all []pkg
	for _, p := range found {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b pkg) int { return cmp.Compare(a.path, b.path) })
	if err == nil && len(all) < 5 {
		err = fmt.Errorf("only %d packages found", len(all))
	}
	return all, err
})

func packages(t *testing.T) []pkg {
	t.Helper()
	all, err := house()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// onlyTests reports whether p has no code but tests: the root, and what is under test/.
func (p pkg) onlyTests() bool {
	return !slices.ContainsFunc(p.files, func(f file) bool { return !f.test })
}

// imports returns the paths that f imports.
func (f file) imports() []string {
	var paths []string
	for _, spec := range f.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

// ours returns the path of one of our packages from the root of the module.
func ours(imported string) (string, bool) {
	return strings.CutPrefix(imported, module+"/")
}

// thirdParty reports whether a path is neither the standard library's nor ours.
func thirdParty(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return strings.Contains(first, ".") && imported != module && !strings.HasPrefix(imported, module+"/")
}

func below(imported, parent string) bool {
	return imported == parent || strings.HasPrefix(imported, parent+"/")
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, allowed := range may {
		for _, p := range strings.Fields(allowed) {
			if _, ok := may[p]; !ok {
				t.Errorf("the table allows %s, which it doesn't know", p)
			}
		}
	}
	for _, p := range packages(t) {
		allowed, known := may[p.path]
		if !known && !p.onlyTests() {
			t.Errorf("%s is not in the table of who may import whom", p.path)
			continue
		}
		for _, f := range p.files {
			for _, imported := range f.imports() {
				for _, wrong := range wrongImport(p.path, f.test, allowed, imported) {
					t.Errorf("%s imports %s: %s", f.name, imported, wrong)
				}
			}
		}
	}
}

// wrongImport says what is wrong about a file of package p that imports a path.
func wrongImport(p string, test bool, allowed, imported string) (wrong []string) {
	name, isOurs := ours(imported)
	if p == "sandbox" && isOurs && (below(name, "wechatpay") || below(name, "miniprogram")) {
		return []string{"the sandbox is a witness of its own, in its tests too"}
	}
	if below(name, "cmd") && isOurs {
		wrong = append(wrong, "a command is not imported")
	}
	if test {
		return wrong
	}
	if isOurs && !slices.Contains(strings.Fields(allowed), name) {
		wrong = append(wrong, "not in the table of who may import whom")
	}
	if slices.Contains(alone, p) && thirdParty(imported) {
		wrong = append(wrong, "whoever imports this package gets no third-party module along")
	}
	for _, banned := range strings.Fields(mayNot[p]) {
		if below(imported, banned) {
			wrong = append(wrong, "the package does without "+banned)
		}
	}
	if below(imported, "testing") {
		wrong = append(wrong, "testing belongs into tests")
	}
	return wrong
}

// The rules bite: each of these is refused.
func TestWrongImports(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p        string
		test     bool
		imported string
		refused  bool
	}{
		{"sandbox", true, module + "/wechatpay", true},
		{"sandbox", false, module + "/money", false},
		{"sandbox", false, "modernc.org/sqlite", true},
		{"wechatpay", false, "golang.org/x/time/rate", true},
		{"wechatpay", true, "pgregory.net/rapid", false},
		{"internal/pay", false, "net/http", true},
		{"internal/pay", false, "database/sql/driver", true},
		{"internal/pay", false, "net/url", false},
		{"internal/server", false, module + "/internal/store", true},
		{"internal/server", true, module + "/sandbox", false},
		{"internal/server", false, module + "/sandbox", true},
		{"internal/store", false, "testing", true},
		{"internal/store", false, "testing/synctest", true},
		{"cmd/fenhao", false, module + "/sandbox", false},
		{"internal/work", true, module + "/cmd/fenhao", true},
	} {
		if wrong := wrongImport(c.p, c.test, may[c.p], c.imported); (len(wrong) > 0) != c.refused {
			t.Errorf("%s importing %s (test: %t): %q, want refused: %t", c.p, c.imported, c.test, wrong, c.refused)
		}
	}
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if p.onlyTests() {
			continue
		}
		var comments []string
		name := ""
		for _, f := range p.files {
			if !f.test {
				name = f.Name.Name
				if f.Doc != nil {
					comments = append(comments, f.Doc.Text())
				}
			}
		}
		begin := "Package " + name + " "
		if name == "main" {
			begin = "Command " + path.Base(p.path) + " "
		}
		if len(comments) != 1 || !strings.HasPrefix(comments[0], begin) || strings.Count(comments[0], "\n") < 2 {
			t.Errorf("%s has %d package comments, want one that begins with %q and tells a newcomer more than a line",
				p.path, len(comments), begin)
		}
	}
}

// inspect calls visit for every node of f with the name of the function or field that it stands in.
func (f file) inspect(visit func(n ast.Node, in string)) {
	for _, decl := range f.Decls {
		in := ""
		if d, ok := decl.(*ast.FuncDecl); ok {
			in = d.Name.Name
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if field, ok := n.(*ast.Field); ok && in == "" && len(field.Names) > 0 {
				ast.Inspect(field, func(n ast.Node) bool {
					if n != nil {
						visit(n, field.Names[0].Name)
					}
					return true
				})
				return false
			}
			if n != nil {
				visit(n, in)
			}
			return true
		})
	}
}

func TestNoFloatsInMoney(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	floating := []string{"float32", "float64", "complex64", "complex128", "ParseFloat", "FormatFloat", "AppendFloat", "Float"}
	here := map[string]bool{}
	for _, p := range packages(t) {
		here[p.path] = true
		if !slices.Contains(inMoney, p.path) {
			continue
		}
		for _, f := range p.files {
			if f.test {
				continue
			}
			f.inspect(func(n ast.Node, in string) {
				text := ""
				switch n := n.(type) {
				case *ast.Ident:
					if slices.Contains(floating, n.Name) {
						text = n.Name
					}
				case *ast.BasicLit:
					if n.Kind == token.FLOAT || n.Kind == token.IMAG {
						text = n.Value
					}
				}
				if text == "" {
					return
				}
				if _, ok := floats[p.path+" "+in]; ok {
					used[p.path+" "+in] = true
					return
				}
				t.Errorf("%s: %s in %s: money is counted in integer fen", fset.Position(n.Pos()), text, cmp.Or(in, "a declaration"))
			})
		}
	}
	for exception := range floats {
		if p, _, _ := strings.Cut(exception, " "); here[p] && !used[exception] {
			t.Errorf("the exception for %q is not needed any more", exception)
		}
	}
}

func TestForbiddenNames(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, f := range p.files {
			fakeTime := slices.Contains(f.imports(), "testing/synctest") // where sleeping takes no time
			f.inspect(func(n ast.Node, _ string) {
				switch n := n.(type) {
				case *ast.Ident:
					if n.Name == "InsecureSkipVerify" {
						t.Errorf("%s: a TLS peer is verified; a test trusts its own CA", fset.Position(n.Pos()))
					}
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && n.Sel.Name == "Sleep" && f.test && !fakeTime {
						t.Errorf("%s: tests don't sleep: wait for a channel, or run on the fake time of testing/synctest",
							fset.Position(n.Pos()))
					}
				}
			})
		}
	}
}

// Secrets are compared in constant time, never with == or a switch. A secret is a type that prints as [secret].
func TestSecretsAreNotCompared(t *testing.T) {
	t.Parallel()
	all := packages(t)
	checked := typeCheck(all)
	secrets := map[types.Type]string{}
	for _, p := range all {
		for _, f := range p.files {
			for _, decl := range f.Decls {
				if name, ok := secretType(checked.info, decl); ok {
					secrets[name.Type()] = p.path + "." + name.Name()
				}
			}
		}
	}
	if !slices.Contains(slices.Collect(values(secrets)), "internal/settings.Secret") {
		t.Fatalf("settings.Secret is not among the secrets found: %v", secrets)
	}
	for _, p := range all {
		for _, f := range p.files {
			if f.test {
				continue // which compare with what they expect
			}
			ast.Inspect(f.File, func(n ast.Node) bool {
				var compared []ast.Expr
				switch n := n.(type) {
				case *ast.BinaryExpr:
					if n.Op == token.EQL || n.Op == token.NEQ {
						compared = []ast.Expr{n.X, n.Y}
					}
				case *ast.SwitchStmt:
					if n.Tag != nil {
						compared = []ast.Expr{n.Tag}
					}
				}
				if slices.ContainsFunc(compared, checked.isEmpty) {
					return true // whether there is one is no secret
				}
				for _, x := range compared {
					if name := checked.secretIn(x, secrets); name != "" {
						t.Errorf("%s: a %s is compared with ==; use crypto/subtle", fset.Position(n.Pos()), name)
					}
				}
				return true
			})
		}
	}
}

func values[K comparable, V any](m map[K]V) func(func(V) bool) {
	return func(yield func(V) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// checker knows the types of our own code. Other modules and the standard library are left unknown, which keeps it fast
// and is enough: secrets are our types.
type checker struct {
	info *types.Info
	done map[string]*types.Package
	all  []pkg
}

func typeCheck(all []pkg) *checker {
	c := &checker{
		info: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{},
			Defs:  map[*ast.Ident]types.Object{},
			Uses:  map[*ast.Ident]types.Object{},
		},
		done: map[string]*types.Package{}, all: all,
	}
	for _, p := range all {
		_, _ = c.Import(module + "/" + p.path) // never fails, see there
	}
	return c
}

// Import checks one of our packages, once. Whatever is unknown in it stays unknown.
func (c *checker) Import(imported string) (*types.Package, error) {
	if p, ok := c.done[imported]; ok {
		return p, nil
	}
	name, isOurs := ours(imported)
	i := slices.IndexFunc(c.all, func(p pkg) bool { return p.path == name })
	if !isOurs || i < 0 {
		return nil, errors.New("not ours")
	}
	var files []*ast.File
	for _, f := range c.all[i].files {
		if !f.test {
			files = append(files, f.File)
		}
	}
	config := types.Config{Importer: c, Error: func(error) {}, FakeImportC: true}
	p, _ := config.Check(imported, fset, files, c.info) // its errors are the unknown; the compiler finds real ones
	c.done[imported] = p
	return p, nil
}

// secretType returns the type that decl is a method of, where that method says [secret].
func secretType(info *types.Info, decl ast.Decl) (*types.TypeName, bool) {
	d, ok := decl.(*ast.FuncDecl)
	printers := []string{"LogValue", "String", "Format", "MarshalText"}
	if !ok || d.Recv == nil || d.Body == nil || !slices.Contains(printers, d.Name.Name) {
		return nil, false
	}
	says := false
	ast.Inspect(d.Body, func(n ast.Node) bool {
		if x, ok := n.(ast.Expr); ok {
			if v := info.Types[x].Value; v != nil && v.Kind() == constant.String && constant.StringVal(v) == "[secret]" {
				says = true
			}
		}
		return true
	})
	base := d.Recv.List[0].Type
	if star, ok := base.(*ast.StarExpr); ok {
		base = star.X
	}
	name, ok := base.(*ast.Ident)
	if !says || !ok {
		return nil, false
	}
	object, ok := info.Uses[name].(*types.TypeName)
	return object, ok
}

// isEmpty reports whether x is "" or nil.
func (c *checker) isEmpty(x ast.Expr) bool {
	tv := c.info.Types[x]
	return tv.IsNil() || tv.Value != nil && tv.Value.Kind() == constant.String && constant.StringVal(tv.Value) == ""
}

// secretIn returns the name of the secret that x is, holds, converts or reveals, or "".
func (c *checker) secretIn(x ast.Expr, secrets map[types.Type]string) string {
	if name := held(c.info.TypeOf(x), secrets); name != "" {
		return name
	}
	call, ok := ast.Unparen(x).(*ast.CallExpr)
	if !ok {
		return ""
	}
	if c.info.Types[call.Fun].IsType() && len(call.Args) == 1 { // string(secret)
		return c.secretIn(call.Args[0], secrets)
	}
	if method, ok := call.Fun.(*ast.SelectorExpr); ok && len(call.Args) == 0 { // secret.Reveal()
		if basic, ok := c.info.TypeOf(x).(*types.Basic); ok && basic.Info()&types.IsString != 0 {
			return c.secretIn(method.X, secrets)
		}
	}
	return ""
}

// held returns the name of the secret that a value of type t is or holds.
func held(t types.Type, secrets map[types.Type]string) string {
	if t == nil || secrets[t] != "" {
		return secrets[t]
	}
	switch t := t.Underlying().(type) {
	case *types.Struct:
		for field := range t.Fields() {
			if name := held(field.Type(), secrets); name != "" {
				return name
			}
		}
	case *types.Array:
		return held(t.Elem(), secrets)
	}
	return ""
}

// The two READMEs are one text in two languages: each begins with the way to the other, and they have the same parts.
func TestReadmesAgree(t *testing.T) {
	t.Parallel()
	heading := regexp.MustCompile(`(?m)^(#+) `)
	code := regexp.MustCompile("(?ms)^```.*?^```")
	shape := func(name, other string) []string {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			return nil
		}
		first, _, _ := strings.Cut(string(data), "\n\n")
		if !strings.Contains(first, "("+other+")") {
			t.Errorf("%s does not begin with a link to %s", name, other)
		}
		var levels []string
		for _, m := range heading.FindAllStringSubmatch(code.ReplaceAllString(string(data), ""), -1) {
			levels = append(levels, m[1])
		}
		return levels
	}
	en, zh := shape("README.md", "README.zh-CN.md"), shape("README.zh-CN.md", "README.md")
	if len(en) == 0 || !slices.Equal(en, zh) {
		t.Errorf("the headings differ:\nREADME.md       %q\nREADME.zh-CN.md %q", en, zh)
	}
}
