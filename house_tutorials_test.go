package fenhao_test

import (
	"fmt"
	"go/ast"
	"os"
	"regexp"
	"slices"
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

// Every item of the tutorials stands in docs/tutorials.md once, and the tests that it names exist.
func TestTutorialsAreAnswered(t *testing.T) {
	t.Parallel()
	text := tutorials(t)
	rows := map[string][]string{}
	var order []string
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if id := strings.TrimSpace(cells[0]); regexp.MustCompile(`^[SX][0-9]+\.[0-9]+$`).MatchString(id) && strings.HasPrefix(line, "|") {
			if rows[id] != nil {
				t.Errorf("%s stands twice", id)
			}
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows[id], order = cells, append(order, id)
		}
	}
	var want []string
	for n, items := range tutorialItems {
		for i := range items.S {
			want = append(want, fmt.Sprintf("S%d.%d", n, i+1))
		}
		for i := range items.X {
			want = append(want, fmt.Sprintf("X%d.%d", n, i+1))
		}
	}
	if len(want) != 161 || !slices.Equal(order, want) {
		for _, id := range want {
			if rows[id] == nil {
				t.Errorf("%s is missing", id)
			}
		}
		for _, id := range order {
			if !slices.Contains(want, id) {
				t.Errorf("%s is in none of the tutorials", id)
			}
		}
		if !t.Failed() {
			t.Error("the items are out of order")
		}
	}
	tests := testFunctions(t)
	for _, id := range order {
		cells := rows[id]
		if len(cells) != 4 || slices.Contains(cells, "") {
			t.Errorf("%s has not four filled cells: %q", id, cells)
			continue
		}
		named := namedTest.FindAllString(cells[3], -1)
		if reason := noTestYet[id]; reason != "" {
			if cells[3] != reason || !strings.HasPrefix(cells[2], reason) {
				t.Errorf("%s is said to have no test because it %s; the table says %q", id, reason, cells[3])
			}
			continue
		}
		if len(named) == 0 || strings.Join(named, ", ") != cells[3] {
			t.Errorf("%s: %q is not a list of `package:Test`", id, cells[3])
		}
	}
	all := namedTest.FindAllStringSubmatch(text, -1)
	if len(all) < 161-len(noTestYet) {
		t.Errorf("only %d tests are named", len(all))
	}
	for _, m := range all {
		if !tests[m[1]+":"+m[2]] {
			t.Errorf("there is no test %s in package %s", m[2], m[1])
		}
	}
	for id := range noTestYet {
		if rows[id] == nil {
			t.Errorf("%s is in the list of those without a test, and in no tutorial", id)
		}
	}
}

// testFunctions returns "package:Test" for every test, fuzz target and example of the module, the package by its path.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, p := range packages(t) {
		for _, f := range p.files {
			if !f.test {
				continue
			}
			for _, decl := range f.Decls {
				if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && regexp.MustCompile(`^(Test|Fuzz|Example)`).MatchString(d.Name.Name) {
					found[p.path+":"+d.Name.Name] = true
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
