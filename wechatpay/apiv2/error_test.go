package apiv2_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// The error tables of the manual: order, query and close, refund, query of refunds, bills, code payment.
const manualCodes = `INVALID_REQUEST NOAUTH NOTENOUGH ORDERPAID ORDERCLOSED SYSTEMERROR APPID_NOT_EXIST MCHID_NOT_EXIST APPID_MCHID_NOT_MATCH
	LACK_PARAMS XML_FORMAT_ERROR POST_DATA_EMPTY NOT_UTF8 REQUIRE_POST_METHOD PARAM_ERROR OUT_TRADE_NO_USED SIGNERROR
	ORDERNOTEXIST TRADE_STATE_ERROR FREQUENCY_LIMITED
	BIZERR_NEED_RETRY TRADE_OVERDUE ERROR USER_ACCOUNT_ABNORMAL INVALID_REQ_TOO_MUCH INVALID_TRANSACTIONID REFUND_FEE_MISMATCH ORDER_NOT_READY CERT_ERROR
	REFUNDNOTEXIST
	NO_BILL_EXIST BILL_CREATING
	BANKERROR USERPAYING AUTHCODEEXPIRE AUTH_CODE_ERROR AUTH_CODE_INVALID NOTSUPORTCARD ORDERREVERSED BUYER_MISMATCH TRADE_ERROR`

// constants reads the values of the constants of one type out of the source, so that none can be added without a hint.
func constants(t *testing.T, file, typeName string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
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
				found[text] = v.Names[0].Name
			}
		}
	}
	return found
}

func TestEveryCodeHasAHintInBothLanguages(t *testing.T) {
	t.Parallel()
	declared := constants(t, "error.go", "Code")
	if len(declared) != len(apiv2.Codes()) {
		t.Errorf("%d constants and %d hints", len(declared), len(apiv2.Codes()))
	}
	for _, code := range strings.Fields(manualCodes) {
		if declared[code] == "" {
			t.Errorf("%s has no constant", code)
		}
	}
	fallback := (&apiv2.Error{Level: apiv2.LevelBusiness, Code: "SOMETHING_NEW"}).Hint("en")
	for code, name := range declared {
		e := &apiv2.Error{Level: apiv2.LevelBusiness, Code: apiv2.Code(code)}
		zh, en := e.Hint("zh-CN"), e.Hint("en-GB")
		if en == fallback || strings.IndexFunc(zh, func(r rune) bool { return unicode.Is(unicode.Han, r) }) < 0 || zh == en {
			t.Errorf("%s: hints %q and %q", name, zh, en)
		}
		if e.Hint("ZH") != zh || e.Hint("") != en || e.Hint("fr") != en || e.Hint("z") != en {
			t.Errorf("%s: the language is not told", name)
		}
		if got := apiv2.NormalCode(code); string(got) != code {
			t.Errorf("%s becomes %s", code, got)
		}
	}
	if got := (&apiv2.Error{Level: apiv2.LevelHTTP, Code: "HTTP_502"}).Hint("zh"); got != (&apiv2.Error{Code: apiv2.CodeSystemError}).Hint("zh") {
		t.Errorf("the hint of HTTP_502 is %s", got)
	}
}

func TestSpellingsOfCodes(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]apiv2.Code{
		"ORDER_NOT_EXIST": apiv2.CodeOrderNotExist, "ORDERNOTEXIST": apiv2.CodeOrderNotExist, "SYSTEM_ERROR": apiv2.CodeSystemError, "ordernotexist": apiv2.CodeOrderNotExist,
		"BIZ_ERR_NEED_RETRY": apiv2.CodeBizErrNeedRetry, "FREQUENCY_LIMIT_EXCEED": apiv2.CodeFrequencyLimited, "NOTSUPPORTCARD": apiv2.CodeNotSupportCard,
		"USER_PAYING": apiv2.CodeUserPaying, "SOMETHING_NEW": "SOMETHING_NEW",
	} {
		if got := apiv2.NormalCode(s); got != want {
			t.Errorf("%s is %s, want %s", s, got, want)
		}
	}
}

func TestErrorsAreTold(t *testing.T) {
	t.Parallel()
	client := listening(t, config())
	_, err := client.ReadAnswer(200, []byte(answered(m{"result_code": "FAIL", "err_code": "ORDERNOTEXIST", "err_code_des": "订单" + openID + "不存在\n"}).signed("HMAC-SHA256").xml()))
	wrapped := fmt.Errorf("wrapped: %w", err)
	if !errors.Is(wrapped, apiv2.CodeOrderNotExist) || errors.Is(wrapped, apiv2.CodeOrderPaid) || errors.Is(wrapped, apiv2.ErrUncertain) {
		t.Error("errors.Is does not find the code")
	}
	if want := "WeChat Pay answered result_code FAIL, ORDERNOTEXIST: 订单[openid]不存在 "; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	_, err = client.ReadAnswer(200, []byte(m{"return_code": "FAIL", "return_msg": strings.Repeat("长", 1000), "error_code": "20001"}.xml()))
	if s := err.Error(); len(s) > 500 || !strings.HasSuffix(s, "…") || !strings.HasPrefix(s, "WeChat Pay answered return_code FAIL, RETURN_FAIL 20001: 长") {
		t.Errorf("a long message is told as %s", s)
	}
}
