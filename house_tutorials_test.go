package fenhao_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tutorialItems says how many behaviours (S) and errors (X) each of the five tutorials has: S0.1 … S0.13, X0.1 … X0.15,
// S1.1 … and so on.
var tutorialItems = [5]struct{ S, X int }{{13, 15}, {13, 15}, {16, 20}, {24, 21}, {10, 14}}

// noTestYet are the items that no test shows, each with the reason that the table gives. An item leaves this list with
// its test, and none joins it.
var noTestYet = map[string]string{
	"S0.6": "comes with API v2", "S0.9": "comes with API v2", "X0.12": "comes with API v2", "S1.10": "comes with API v2", "S1.11": "comes with API v2",
	"X1.11": "comes with API v2", "S2.16": "comes with API v2", "X2.1": "comes with API v2", "X2.5": "comes with API v2", "X4.5": "comes with API v2",
	"S3.23": "comes with refunds",
}

func tutorials(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("docs/tutorials.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// namedTest finds package:Test, with or without a subtest.
var namedTest = regexp.MustCompile("`([a-z0-9/]+|\\.):((?:Test|Fuzz|Example)\\w*)((?:/[^`]*)?)`")

// tableRows returns the cells of each row of text's tables whose first cell has the form of an id, and the ids in order.
func tableRows(t *testing.T, text string, id *regexp.Regexp) (rows map[string][]string, order []string) {
	t.Helper()
	rows = map[string][]string{}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if !strings.HasPrefix(line, "|") || !id.MatchString(cells[0]) {
			continue
		}
		if rows[cells[0]] != nil {
			t.Errorf("%s stands twice", cells[0])
		}
		rows[cells[0]], order = cells, append(order, cells[0])
	}
	return rows, order
}

// checkRows compares the rows with the ids that are wanted, in order, and each with its four cells.
func checkRows(t *testing.T, rows map[string][]string, order, want []string) {
	t.Helper()
	if !slices.Equal(order, want) {
		for _, id := range want {
			if rows[id] == nil {
				t.Errorf("%s is missing", id)
			}
		}
		for _, id := range order {
			if !slices.Contains(want, id) {
				t.Errorf("there is no such item as %s", id)
			}
		}
		if !t.Failed() {
			t.Error("the items are out of order")
		}
	}
	for _, id := range order {
		if cells := rows[id]; len(cells) != 4 || slices.Contains(cells, "") {
			t.Fatalf("%s has not four filled cells: %q", id, cells)
		}
	}
}

// isTestList reports whether a cell names tests and nothing else.
func isTestList(cell string) bool {
	named := namedTest.FindAllString(cell, -1)
	return len(named) > 0 && strings.Join(named, ", ") == cell
}

// checkNamedTests looks for every test that text names, and for a subtest among the texts of its test. It returns how
// many there are.
func checkNamedTests(t *testing.T, text string) int {
	t.Helper()
	tests := testFunctions(t)
	all := namedTest.FindAllStringSubmatch(text, -1)
	for _, m := range all {
		test := tests[m[1]+":"+m[2]]
		if test == nil {
			t.Errorf("there is no test %s in package %s", m[2], m[1])
			continue
		}
		for _, part := range strings.Split(m[3], "/")[1:] {
			found := false
			ast.Inspect(test, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					name, err := strconv.Unquote(l.Value)
					found = found || err == nil && strings.ReplaceAll(name, " ", "_") == part
				}
				return !found
			})
			if !found {
				t.Errorf("%s of package %s has no subtest %s", m[2], m[1], part)
			}
		}
	}
	return len(all)
}

// Every item of the tutorials stands in docs/tutorials.md once, and the tests that it names exist.
func TestTutorialsAreAnswered(t *testing.T) {
	t.Parallel()
	text := tutorials(t)
	rows, order := tableRows(t, text, regexp.MustCompile(`^[SX][0-9]+\.[0-9]+$`))
	var want []string
	for n, items := range tutorialItems {
		for i := range items.S {
			want = append(want, fmt.Sprintf("S%d.%d", n, i+1))
		}
		for i := range items.X {
			want = append(want, fmt.Sprintf("X%d.%d", n, i+1))
		}
	}
	if len(want) != 161 {
		t.Errorf("%d items are wanted, the tutorials have 161", len(want))
	}
	checkRows(t, rows, order, want)
	for _, id := range order {
		cells := rows[id]
		if reason := noTestYet[id]; reason != "" {
			if cells[3] != reason || !strings.HasPrefix(cells[2], reason) {
				t.Errorf("%s is said to have no test because it %s; the table says %q", id, reason, cells[3])
			}
		} else if !isTestList(cells[3]) {
			t.Errorf("%s: %q is not a list of `package:Test`", id, cells[3])
		}
	}
	if n := checkNamedTests(t, text); n < 161-len(noTestYet) {
		t.Errorf("only %d tests are named", n)
	}
	for id := range noTestYet {
		if rows[id] == nil {
			t.Errorf("%s is in the list of those without a test, and in no tutorial", id)
		}
	}
}

// testFunctions returns every test, fuzz target and example of the module as "package:Test", the package by its path.
func testFunctions(t *testing.T) map[string]*ast.FuncDecl {
	t.Helper()
	found := map[string]*ast.FuncDecl{}
	for _, p := range packages(t) {
		for _, f := range p.files {
			if !f.test {
				continue
			}
			for _, decl := range f.Decls {
				if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && regexp.MustCompile(`^(Test|Fuzz|Example)`).MatchString(d.Name.Name) {
					found[p.path+":"+d.Name.Name] = d
				}
			}
		}
	}
	if len(found) < 100 {
		t.Fatalf("only %d tests found", len(found))
	}
	return found
}

// What has to be opened, certified and bought before the first order is told, in the words that WeChat's pages use.
func TestPreparationIsTold(t *testing.T) {
	t.Parallel()
	_, rest, found := strings.Cut(tutorials(t), "\n## Before you begin 开通条件\n")
	text, _, ended := strings.Cut(rest, "\n## ")
	if !found || !ended {
		t.Fatal("there is no such part")
	}
	for _, word := range []string{"企业", "个体工商户", "政府", "个人", "since 2026 private persons", "虚拟支付", "已认证", "商户号", "同一主体", "关联", "商户API证书", "APIv3 密钥",
		"备案", "HTTPS", "PayJS", "PaysApi", "PayBob", "xorpay", "frp", "vhost_https_port 443", "https2http", "`fenhao init`", "`fenhao dev`"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), word) {
			t.Errorf("it does not speak of %s", word)
		}
	}
}
