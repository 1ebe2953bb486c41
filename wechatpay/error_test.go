package wechatpay_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

func TestOldSpellings(t *testing.T) {
	t.Parallel()
	for old, want := range map[string]wechatpay.Code{
		"ORDERNOTEXIST":          wechatpay.CodeOrderNotExist,
		"SYSTEMERROR":            wechatpay.CodeSystemError,
		"FREQUENCY_LIMIT_EXCEED": wechatpay.CodeFrequencyLimited,
		"RATELIMIT_EXCEEDED":     wechatpay.CodeFrequencyLimited,
		"FREQUENCY_LIMITED":      wechatpay.CodeFrequencyLimited,
		"NOAUTH":                 wechatpay.CodeNoAuth,
		"ORDERCLOSED":            wechatpay.CodeOrderClosed,
		"ORDERPAID":              wechatpay.CodeOrderPaid,
		"ORDERREVERSED":          wechatpay.CodeOrderReversed,
		"RULELIMIT":              wechatpay.CodeRuleLimit,
		"ACCOUNT_ERROR":          wechatpay.CodeUserAccountAbnormal,
		"NOTENOUGH":              wechatpay.CodeNotEnough,
		"USERPAYING":             wechatpay.CodeUserPaying,
		"SOMETHING_NEW":          "SOMETHING_NEW",
	} {
		if got := wechatpay.NormalCode(old); got != want {
			t.Errorf("%s is %s, want %s", old, got, want)
		}
	}
	for _, c := range wechatpay.Codes() {
		if got := wechatpay.NormalCode(string(c)); got != c {
			t.Errorf("%s becomes %s", c, got)
		}
	}
}

// constants reads the values of the constants of one type out of the source, so that none can be added without a hint.
func constants(t *testing.T, file, typeName string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == typeName {
				text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				m[v.Names[0].Name] = text
			}
		}
	}
	return m
}

func TestEveryCodeHasAHintInBothLanguages(t *testing.T) {
	t.Parallel()
	declared := constants(t, "error.go", "Code")
	if len(declared) != len(wechatpay.Codes()) || len(declared) < 30 {
		t.Errorf("%d constants and %d hints", len(declared), len(wechatpay.Codes()))
	}
	fallback := (&wechatpay.Error{Status: 400, Code: "SOMETHING_NEW"}).Hint("en")
	for name, code := range declared {
		e := &wechatpay.Error{Status: 400, Code: wechatpay.Code(code)}
		zh, en := e.Hint("zh-CN"), e.Hint("en-GB")
		if en == fallback || strings.IndexFunc(zh, func(r rune) bool { return unicode.Is(unicode.Han, r) }) < 0 || zh == en {
			t.Errorf("%s: hints %q and %q", name, zh, en)
		}
		if e.Hint("ZH") != zh || e.Hint("") != en || e.Hint("fr") != en || e.Hint("z") != en {
			t.Errorf("%s: the language is not told", name)
		}
	}
}

func TestHintsOfUnknownCodesFollowTheStatus(t *testing.T) {
	t.Parallel()
	for status, like := range map[int]wechatpay.Code{
		500: wechatpay.CodeSystemError, 502: wechatpay.CodeSystemError, 429: wechatpay.CodeFrequencyLimited, 401: wechatpay.CodeSignError, 302: wechatpay.CodeSystemError,
	} {
		got := (&wechatpay.Error{Status: status, Code: "X"}).Hint("zh")
		if want := (&wechatpay.Error{Status: status, Code: like}).Hint("zh"); got != want {
			t.Errorf("status %d: %q, want %q", status, got, want)
		}
	}
}

func TestErrorsAreTold(t *testing.T) {
	t.Parallel()
	e := wechatpay.ParseErrorAnswer(404, http.Header{"Request-Id": {"R-1"}}, []byte(`{"code":"ORDER_NOT_EXIST","message":"查询单据不存在","detail":{"x":1}}`))
	wrapped := fmt.Errorf("wrapped: %w", e)
	if !errors.Is(wrapped, wechatpay.CodeOrderNotExist) || errors.Is(wrapped, wechatpay.CodeOrderPaid) || errors.Is(wrapped, wechatpay.ErrUncertain) {
		t.Error("errors.Is does not find the code")
	}
	if string(e.Detail) != `{"x":1}` {
		t.Errorf("Detail = %s", e.Detail)
	}
	if want := "WeChat Pay answered 404 ORDER_NOT_EXIST: 查询单据不存在 (request id R-1)"; e.Error() != want {
		t.Errorf("%s, want %s", e, want)
	}
	long := wechatpay.ParseErrorAnswer(400, nil, []byte(`{"code":"X","message":"`+strings.Repeat("长", 1000)+`"}`))
	if len(long.Error()) > 500 || !strings.HasSuffix(long.Error(), "…") {
		t.Errorf("a long message is told in %d bytes", len(long.Error()))
	}
}
