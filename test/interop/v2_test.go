package interop

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-pay/crypto/aes"
	"github.com/go-pay/gopay"
	gopayv2 "github.com/go-pay/gopay/wechat"

	"github.com/fenhao-pay/fenhao/money"
	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

const testAPIv2Key = "192006250b4c09247ec02edce69f6a2d"

var signTypes = []apiv2.SignType{apiv2.MD5, apiv2.HMACSHA256}

func credentialsV2(t *testing.T, signType apiv2.SignType) apiv2.Credentials {
	t.Helper()
	key, err := apiv2.NewKey(testAPIv2Key)
	if err != nil {
		t.Fatal(err)
	}
	return apiv2.Credentials{MerchantID: testMerchant, Key: key, SignType: signType}
}

func newOursV2(t *testing.T, signType apiv2.SignType, w http.RoundTripper) *apiv2.Client {
	t.Helper()
	c := credentialsV2(t, signType)
	client, err := apiv2.NewClient(apiv2.Config{MerchantID: c.MerchantID, AppID: testApp, Key: c.Key, SignType: signType},
		apiv2.WithHTTPClient(&http.Client{Transport: w}))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// wireV2 keeps the body of the last request and answers with XML.
type wireV2 struct {
	answer string
	sent   string
}

func (w *wireV2) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	w.sent = string(body)
	return &http.Response{StatusCode: 200, Status: "200 OK", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"text/xml"}},
		Body: io.NopCloser(strings.NewReader(w.answer)), ContentLength: int64(len(w.answer)), Request: r}, err
}

// hard are values that signing or XML has gone wrong with.
var hard = map[string]string{
	"attach":     `桌号=7&加糖=否`,
	"detail":     `{"goods_detail":[{"goods_name":"咖啡 <大杯> \"冰\" & 'x'"}]}`,
	"body":       "  blanks  around ",
	"cdata":      "a]]>b<![CDATA[c]]>",
	"device":     "line\nfeed\tand tab",
	"emoji":      "😀",
	"entity":     "&amp;lt; &#65;",
	"fee":        "0",
	"number":     "007",
	"a":          "=",
	"A":          "upper case sorts first",
	"zz_last":    "%E5%92%96+",
	"scene_info": "=&=&",
}

// theirs is m as gopay has it.
func theirs(m map[string]string) gopay.BodyMap {
	bm := gopay.BodyMap{}
	for k, v := range m {
		bm.Set(k, v)
	}
	return bm
}

// readGopay reads XML with gopay.
func readGopay(t *testing.T, body string) gopay.BodyMap {
	t.Helper()
	bm, err := gopayv2.ParseNotifyToBodyMap(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
	if err != nil {
		t.Fatalf("gopay can't read %s: %v", body, err)
	}
	return bm
}

// TestV2Signatures compares signatures of the same fields.
func TestV2Signatures(t *testing.T) {
	t.Parallel()
	for _, signType := range signTypes {
		var fields apiv2.Fields
		for k, v := range hard {
			fields = append(fields, apiv2.Field{Name: k, Value: v})
		}
		fields = append(fields, apiv2.Field{Name: "empty", Value: ""})
		bm := theirs(hard)
		bm.Set("empty", "")
		ours, err := credentialsV2(t, signType).Sign(fields)
		if err != nil {
			t.Fatal(err)
		}
		if want := gopayv2.GetReleaseSign(testAPIv2Key, string(signType), bm); ours != want {
			t.Errorf("%s: we sign %s, gopay %s", signType, ours, want)
		}
		bm.Set("sign", ours)
		if ok, err := gopayv2.VerifySign(testAPIv2Key, string(signType), bm); !ok || err != nil {
			t.Errorf("%s: gopay refuses our signature: %v", signType, err)
		}
		bm.Set("sign", ours).Set("fee", "1")
		if ok, _ := gopayv2.VerifySign(testAPIv2Key, string(signType), bm); ok {
			t.Errorf("%s: gopay takes our signature for other fields", signType)
		}
	}
}

// TestV2Requests lets gopay read and verify what our client sends.
func TestV2Requests(t *testing.T) {
	t.Parallel()
	for _, signType := range signTypes {
		w := &wireV2{}
		var fields apiv2.Fields
		for k, v := range hard {
			fields = append(fields, apiv2.Field{Name: k, Value: v})
		}
		if _, err := newOursV2(t, signType, w).Do(t.Context(), "/pay/orderquery", fields); !errors.Is(err, apiv2.ErrUncertain) {
			t.Fatalf("an answer that is empty: %v", err)
		}
		bm := readGopay(t, w.sent)
		for k, v := range hard {
			if got := bm.GetString(k); got != v {
				t.Errorf("%s: gopay reads %q in our XML, want %q", k, got, v)
			}
		}
		for k, v := range map[string]string{"appid": testApp, "mch_id": testMerchant, "sign_type": string(signType)} {
			if bm.GetString(k) != v {
				t.Errorf("our request has %s %q, want %q", k, bm.GetString(k), v)
			}
		}
		if ok, err := gopayv2.VerifySign(testAPIv2Key, string(signType), bm); !ok || err != nil {
			t.Errorf("%s: gopay refuses our request (%v): %s", signType, err, w.sent)
		}
	}
}

// TestV2TheirRequest verifies with our rules what gopay's client sends.
func TestV2TheirRequest(t *testing.T) {
	t.Parallel()
	for _, signType := range signTypes {
		w := &wireV2{answer: gopayv2.GenerateXml(theirs(map[string]string{"return_code": "FAIL", "return_msg": "x"}))}
		client := gopayv2.NewClient(testApp, testMerchant, testAPIv2Key, true)
		client.GetHttpClient().SetTransport(w)
		bm := theirs(hard)
		bm.Set("nonce_str", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS").Set("sign_type", string(signType)).Set("out_trade_no", "1").Set("total_fee", 1999).
			Set("spbill_create_ip", "14.23.150.211").Set("notify_url", "https://shop.example.com/n").Set("trade_type", "JSAPI").Set("openid", "o")
		if _, err := client.UnifiedOrder(t.Context(), bm); err != nil {
			t.Fatal(err)
		}
		sent := readGopay(t, w.sent)
		var fields apiv2.Fields
		for k := range sent {
			fields = append(fields, apiv2.Field{Name: k, Value: sent.GetString(k)})
		}
		if ours, err := credentialsV2(t, signType).Sign(fields); err != nil || ours != sent.GetString("sign") {
			t.Errorf("%s: gopay signs its order %s, we would %s (%v)", signType, sent.GetString("sign"), ours, err)
		}
	}
}

// TestV2Answers lets our client read and verify answers of gopay's making.
func TestV2Answers(t *testing.T) {
	t.Parallel()
	for _, signType := range signTypes {
		answer := theirs(hard)
		answer.Set("return_code", "SUCCESS").Set("result_code", "SUCCESS").Set("appid", testApp).Set("mch_id", testMerchant).Set("nonce_str", "x")
		answer.Set("sign", gopayv2.GetReleaseSign(testAPIv2Key, string(signType), answer))
		w := &wireV2{answer: gopayv2.GenerateXml(answer)}
		r, err := newOursV2(t, signType, w).Do(t.Context(), "/pay/orderquery", nil)
		if err != nil {
			t.Fatalf("%s: we refuse gopay's answer: %v\n%s", signType, err, w.answer)
		}
		if len(r.Fields) != len(answer) {
			t.Errorf("we read %d fields, want %d", len(r.Fields), len(answer))
		}
		for k := range answer {
			if got, want := r.Fields.Get(k), answer.GetString(k); got != want {
				t.Errorf("%s: we read %q in gopay's XML, want %q", k, got, want)
			}
		}
		w.answer = strings.Replace(w.answer, "007", "008", 1)
		if _, err := newOursV2(t, signType, w).Do(t.Context(), "/pay/orderquery", nil); !errors.Is(err, apiv2.ErrBadSignature) {
			t.Errorf("%s: an answer that was altered: %v", signType, err)
		}
	}
}

// TestV2Notification reads a notification of gopay's making with both.
func TestV2Notification(t *testing.T) {
	t.Parallel()
	for _, signType := range signTypes {
		n := theirs(map[string]string{"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": testApp, "mch_id": testMerchant,
			"nonce_str": "5d2b6c2a8db53831f7eda20af46e531c", "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "out_trade_no": "ORDER-000001", "attach": hard["attach"],
			"transaction_id": "4200000001202611200000000001", "trade_type": "JSAPI", "bank_type": "CMB_DEBIT", "total_fee": "1999", "cash_fee": "1899",
			"fee_type": "CNY", "time_end": "20261120160000", "is_subscribe": "N"})
		n.Set("sign", gopayv2.GetReleaseSign(testAPIv2Key, string(signType), n))
		body := gopayv2.GenerateXml(n)
		ours, err := newOursV2(t, signType, nil).ParsePayment([]byte(body))
		if err != nil {
			t.Fatalf("%s: we refuse gopay's notification: %v", signType, err)
		}
		theirs := readGopay(t, body)
		if ok, err := gopayv2.VerifySign(testAPIv2Key, string(signType), theirs); !ok || err != nil {
			t.Errorf("gopay refuses its own: %v", err)
		}
		got := fmt.Sprint(ours.OutTradeNo, ours.TransactionID, int64(ours.Amount.Total), int64(ours.Amount.PayerTotal), ours.Attach, ours.PayerOpenID, ours.BankType)
		want := fmt.Sprint(theirs.GetString("out_trade_no"), theirs.GetString("transaction_id"), theirs.GetString("total_fee"), theirs.GetString("cash_fee"),
			theirs.GetString("attach"), theirs.GetString("openid"), theirs.GetString("bank_type"))
		if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") || !ours.SuccessTime.Equal(time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)) {
			t.Errorf("we read %s at %v, gopay %s", got, ours.SuccessTime, want)
		}
		if _, err := newOursV2(t, signType, nil).ParsePayment([]byte(strings.Replace(body, "1999", "1998", 1))); !errors.Is(err, apiv2.ErrBadSignature) {
			t.Errorf("%s: a notification that was altered: %v", signType, err)
		}
	}
}

// TestV2RefundNotification decrypts with both what gopay's cipher sealed.
func TestV2RefundNotification(t *testing.T) {
	t.Parallel()
	plain := gopayv2.GenerateXml(theirs(map[string]string{"transaction_id": "4200000001202611200000000001", "out_trade_no": "ORDER-000001", "refund_id": "50000000001",
		"out_refund_no": "REFUND-1", "total_fee": "1999", "settlement_total_fee": "1999", "refund_fee": "500", "settlement_refund_fee": "500", "refund_status": "SUCCESS",
		"success_time": "2026-11-20 16:00:00", "refund_recv_accout": "支付用户零钱", "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS", "refund_request_source": "API"}))
	plain = strings.ReplaceAll(plain, "xml>", "root>") // WeChat Pay's is called root
	sum := md5.Sum([]byte(testAPIv2Key))
	sealed, err := aes.ECBEncrypt([]byte(plain), []byte(hex.EncodeToString(sum[:])))
	if err != nil {
		t.Fatal(err)
	}
	info := base64.StdEncoding.EncodeToString(sealed)
	body := gopayv2.GenerateXml(theirs(map[string]string{"return_code": "SUCCESS", "appid": testApp, "mch_id": testMerchant, "nonce_str": "x", "req_info": info}))
	theirs, err := gopayv2.DecryptRefundNotifyReqInfo(info, testAPIv2Key)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := newOursV2(t, apiv2.MD5, nil).ParseRefundHint([]byte(body))
	if err != nil {
		t.Fatalf("we refuse gopay's refund notification: %v", err)
	}
	fee, err := strconv.ParseInt(theirs.RefundFee, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if ours.OutRefundNo != theirs.OutRefundNo || ours.RefundID != theirs.RefundId || ours.Amount.Refund != money.Fen(fee) || ours.UserReceivedAccount != theirs.RefundRecvAccout {
		t.Errorf("we read %+v, gopay %+v", ours, theirs)
	}
}

// TestV2PayParameters compares what the phone is given.
func TestV2PayParameters(t *testing.T) {
	t.Parallel()
	const prepayID, nonce = "wx201410272009395522657a690389285100", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
	for _, signType := range signTypes {
		c := credentialsV2(t, signType)
		at := time.Unix(1795161600, 0)
		p, err := c.PayParameters(testApp, prepayID, at, nonce)
		if err != nil {
			t.Fatal(err)
		}
		if want := gopayv2.GetMiniPaySign(testApp, nonce, "prepay_id="+prepayID, string(signType), p.TimeStamp, testAPIv2Key); p.PaySign != want {
			t.Errorf("%s: our paySign is %s, gopay's %s", signType, p.PaySign, want)
		}
		if want := gopayv2.GetJsapiPaySign(testApp, nonce, "prepay_id="+prepayID, string(signType), p.TimeStamp, testAPIv2Key); p.PaySign != want {
			t.Errorf("%s: our paySign is %s, gopay's for official accounts %s", signType, p.PaySign, want)
		}
		a, err := c.AppParameters(testApp, testMerchant, prepayID, at, nonce)
		if err != nil {
			t.Fatal(err)
		}
		if want := gopayv2.GetAppPaySign(testApp, testMerchant, nonce, prepayID, string(signType), a.TimeStamp, testAPIv2Key); a.Sign != want {
			t.Errorf("%s: our sign for apps is %s, gopay's %s", signType, a.Sign, want)
		}
	}
}
