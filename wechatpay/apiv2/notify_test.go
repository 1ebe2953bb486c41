package apiv2_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

func TestParsePayment(t *testing.T) {
	t.Parallel()
	for _, signType := range []apiv2.SignType{apiv2.MD5, apiv2.HMACSHA256} {
		c := config()
		c.SignType = signType
		client := listening(t, c)
		for name, message := range map[string]m{
			"without sign_type": paid(),
			"with sign_type":    paid().with(m{"sign_type": string(signType)}),
			"with empty fields": paid().with(m{"sub_appid": "", "err_code": ""}),
		} {
			signed := message.signed(string(signType))
			body := []byte(signed.xml())
			got, err := client.ParsePayment(body)
			if err != nil {
				t.Errorf("%s %s: %v", signType, name, err)
				continue
			}
			want := apiv2.Transaction{
				AppID: appID, MerchantID: merchantID, OutTradeNo: "ORDER-000001", TransactionID: "4200000001202611200000000001", TradeType: apiv2.TradeJSAPI,
				TradeState: apiv2.TradeSuccess, BankType: "OTHERS", Attach: "a=1&b=<2> ]", SuccessTime: start, PayerOpenID: openID,
				Amount:  apiv2.Amount{Total: 1999, PayerTotal: 1899, Coupon: 100, Currency: "CNY", PayerCurrency: "CNY"},
				Coupons: []apiv2.Coupon{{ID: "109519", Type: "NO_CASH", Amount: 100}},
				Fields:  got.Fields, Raw: body,
			}
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("%s %s: reads as %+v, want %+v", signType, name, *got, want)
			}
			if got.Fields.Get("a_new_field") != "0" || len(got.Fields) != len(signed) {
				t.Errorf("%s %s: Fields are %q", signType, name, got.Fields)
			}
			lower := signed.with(m{"sign": strings.ToLower(signed["sign"])})
			if _, err := client.ParsePayment([]byte(lower.xml())); err != nil {
				t.Errorf("%s %s, sign in lower case: %v", signType, name, err)
			}
		}
	}
}

// Ten fields are left out in every combination: whoever forges leaves out what is looked at. With the old signature,
// nothing but the whole message passes; signed anew, nothing but what has all that a paid order needs.
func TestLeavingOutFields(t *testing.T) {
	t.Parallel()
	client := listening(t, config())
	fields := []string{"return_code", "result_code", "sign", "appid", "mch_id", "out_trade_no", "total_fee", "transaction_id", "time_end", "fee_type"}
	needed := len(fields) - 1 // fee_type is CNY where it is absent
	whole := paid().signed("HMAC-SHA256")
	if len(fields) != 10 {
		t.Fatal("not ten")
	}
	for _, empty := range []bool{false, true} {
		for set := range 1 << len(fields) {
			message := whole.with(nil)
			omitted := ""
			for i, name := range fields {
				if set&(1<<i) == 0 {
					continue
				}
				omitted += " " + name
				if delete(message, name); empty {
					message[name] = ""
				}
			}
			if got, err := client.ParsePayment([]byte(message.xml())); set == 0 && err != nil || set != 0 && !errors.Is(err, apiv2.ErrBadSignature) || set != 0 && got != nil {
				t.Fatalf("without%s, signed before (empty: %t): %v, %v", omitted, empty, got, err)
			}
			if _, ok := message["sign"]; ok && message["sign"] != "" {
				message["sign"] = signText("HMAC-SHA256", keyText, message.text())
			}
			got, err := client.ParsePayment([]byte(message.xml()))
			switch noSign, lacking := set&(1<<2) != 0, set&(1<<needed-1) != 0; {
			case noSign && !errors.Is(err, apiv2.ErrBadSignature),
				!noSign && lacking && !errors.Is(err, apiv2.ErrBadMessage),
				!noSign && !lacking && (err != nil || got.Amount.Currency != "CNY"),
				err != nil && got != nil:
				t.Fatalf("without%s, signed again (empty: %t): %v, %v", omitted, empty, got, err)
			}
		}
	}
}

func TestForgedPayments(t *testing.T) {
	t.Parallel()
	hmac := listening(t, config())
	whole := paid().signed("HMAC-SHA256")
	for name, message := range map[string]m{
		"no sign":                whole.with(m{"sign": ""}),
		"sign of zeros":          whole.with(m{"sign": strings.Repeat("0", 64)}),
		"sign of one character":  whole.with(m{"sign": "0"}),
		"sign cut off":           whole.with(m{"sign": whole["sign"][:63]}),
		"sign of 63 and a blank": whole.with(m{"sign": whole["sign"][:63] + " "}),
		"sign longer":            whole.with(m{"sign": whole["sign"] + "0"}),
		"sign half":              whole.with(m{"sign": whole["sign"][:32]}),
		"MD5":                    paid().signed("MD5"),
		"MD5, and says so":       paid().with(m{"sign_type": "MD5"}).signed("MD5"),
		"MD5, says HMAC-SHA256":  paid().with(m{"sign_type": "HMAC-SHA256"}).signed("MD5"),
		"HMAC, says MD5":         paid().with(m{"sign_type": "MD5"}).signed("HMAC-SHA256"),
		"unknown type":           paid().with(m{"sign_type": "SHA1"}).signed("HMAC-SHA256"),
		"lower-case type":        paid().with(m{"sign_type": "hmac-sha256"}).signed("HMAC-SHA256"),
		"RSA":                    paid().with(m{"sign_type": "RSA"}).signed("HMAC-SHA256"),
		"another key":            paid().with(m{"sign": signText("HMAC-SHA256", oldKeyText, paid().text())}),
		"no key":                 paid().with(m{"sign": signText("HMAC-SHA256", "", paid().text())}),
		"zero key":               paid().with(m{"sign": signText("HMAC-SHA256", strings.Repeat("\x00", 32), paid().text())}),
		"more money":             whole.with(m{"total_fee": "199900"}),
		"another order":          whole.with(m{"out_trade_no": "ORDER-000002"}),
		"another coupon":         whole.with(m{"coupon_id_0": "1"}),
		"an unknown field":       whole.with(m{"zzz": "1"}),
		"a field less":           whole.with(m{"a_new_field": ""}),
		"sign_type added":        whole.with(m{"sign_type": "HMAC-SHA256"}),
		"refund on top":          whole.with(m{"req_info": "AAAA"}),
	} {
		for kind, parse := range map[string]func([]byte) error{
			"ParsePayment":      func(b []byte) error { _, err := hmac.ParsePayment(b); return err },
			"ParseNotification": func(b []byte) error { _, err := hmac.ParseNotification(b); return err },
		} {
			err := parse([]byte(message.xml()))
			var e *apiv2.SignatureError
			if !errors.Is(err, apiv2.ErrBadSignature) || errors.Is(err, apiv2.ErrBadMessage) || !errors.As(err, &e) || e.Hint("zh") == e.Hint("en") {
				t.Errorf("%s: %s: %v, want ErrBadSignature", name, kind, err)
			}
			if strings.HasSuffix(fmt.Sprint(err), "has no sign") != (name == "no sign") {
				t.Errorf("%s: %s says %v", name, kind, err)
			}
		}
	}
	for _, body := range append(slices.Clone(badXML), whole.xml()+strings.Repeat(" ", apiv2.MaxNotification)) {
		if _, err := hmac.ParseNotification([]byte(body)); !errors.Is(err, apiv2.ErrBadSignature) {
			t.Errorf("%.100q: %v, want ErrBadSignature", body, err)
		}
	}
	// Each byte of the message counts, but for white space between the elements.
	text := whole.xml()
	for i := range len(text) {
		changed := text[:i] + string(text[i]^1) + text[i+1:]
		if _, err := hmac.ParsePayment([]byte(changed)); err != nil {
			continue
		}
		if f, err := readXML(changed); err != nil || f.text() != whole.text() || f["sign"] != whole["sign"] {
			t.Errorf("%.80q passes", changed[max(0, i-40):])
		}
	}
}

// A merchant of MD5 gets MD5 alone; one who changes gets both, for as long as wanted.
func TestTheTypeIsConfigured(t *testing.T) {
	t.Parallel()
	md5, changing := config(), config()
	md5.SignType = apiv2.MD5
	changing.AcceptMD5 = true
	rolled := config()
	rolled.Key, rolled.OldKeys = mustKey(oldKeyText), []apiv2.Key{mustKey(keyText)}
	for _, c := range []struct {
		name   string
		config apiv2.Config
		sign   string
		ok     bool
	}{
		{"MD5 merchant", md5, "MD5", true},
		{"MD5 merchant", md5, "HMAC-SHA256", false},
		{"HMAC merchant", config(), "MD5", false},
		{"HMAC merchant", config(), "HMAC-SHA256", true},
		{"changing merchant", changing, "MD5", true},
		{"changing merchant", changing, "HMAC-SHA256", true},
		{"merchant with a new key", rolled, "HMAC-SHA256", true},
		{"merchant with a new key", rolled, "MD5", false},
	} {
		client := listening(t, c.config)
		for _, message := range []m{paid(), paid().with(m{"sign_type": c.sign})} {
			if _, err := client.ParsePayment([]byte(message.signed(c.sign).xml())); (err == nil) != c.ok || err != nil && !errors.Is(err, apiv2.ErrBadSignature) {
				t.Errorf("%s, %s: %v", c.name, c.sign, err)
			}
		}
	}
}

// The signed text of one message can be the signed text of another one, where values hold & and =. Whoever pays one fen
// for an order whose attach they chose, and gets hold of the notification, must not be able to make another of it.
func TestOneSignatureOneMessage(t *testing.T) {
	t.Parallel()
	client := listening(t, config())
	cheap := paid().with(m{"total_fee": "1", "out_trade_no": "ORDER-CHEAP",
		"attach": "x&bank_type=CFT&cash_fee=99900&fee_type=CNY&mch_id=" + merchantID + "&out_trade_no=ORDER-DEAR" +
			"&result_code=SUCCESS&return_code=SUCCESS&time_end=20261120160000&total_fee=99900&trade_state_desc=x"}).signed("HMAC-SHA256")
	forged := m{
		"a_new_field": "0", "appid": appID, "attach": "x", "bank_type": "CFT", "cash_fee": "99900", "fee_type": "CNY", "mch_id": merchantID, "out_trade_no": "ORDER-DEAR",
		"result_code": "SUCCESS", "return_code": "SUCCESS", "time_end": "20261120160000", "total_fee": "99900", "sign": cheap["sign"],
		"transaction_id": "4200000001202611200000000001",
	}
	_, rest, _ := strings.Cut(cheap.text(), "&trade_state_desc=x")
	hidden, _, _ := strings.Cut(rest, "&transaction_id=")
	forged["trade_state_desc"] = "x" + hidden
	if forged.text() != cheap.text() {
		t.Fatalf("the attack is not one:\n%s\n%s", forged.text(), cheap.text())
	}
	// And the other way round: what was a field becomes a part of attach.
	swallowed := paid().with(m{"attach": paid()["attach"] + "&bank_type=OTHERS&cash_fee=1899", "bank_type": "", "cash_fee": "",
		"coupon_count": "", "coupon_fee": "", "coupon_id_0": "", "coupon_fee_0": "", "coupon_type_0": ""})
	for name, message := range map[string]m{"forged": forged, "genuine, but such an attach": cheap, "swallowed": swallowed.signed("HMAC-SHA256")} {
		if got, err := client.ParsePayment([]byte(message.xml())); !errors.Is(err, apiv2.ErrBadSignature) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// Orders with such an attach are not placed.
	fake := startFake(t)
	o := order()
	o.Attach = "x&total_fee=1"
	_, err := newClient(t, fake, config()).UnifiedOrder(t.Context(), o)
	var wrong *apiv2.RequestError
	if !errors.As(err, &wrong) || wrong.Field != "attach" || fake.count() != 0 {
		t.Errorf("%v, want a RequestError about attach", err)
	}
	if !slices.IsSorted(apiv2.NotificationFields) {
		t.Error("the fields of notifications are not sorted")
	}
}

func TestGenuineButUnusablePayments(t *testing.T) {
	t.Parallel()
	client := listening(t, config())
	for name, change := range map[string]m{
		"another merchant":               {"mch_id": "1900000002"},
		"no appid":                       {"appid": ""},
		"return FAIL":                    {"return_code": "FAIL"},
		"return odd":                     {"return_code": "success"},
		"result odd":                     {"result_code": "OK"},
		"return FAIL and result SUCCESS": {"return_code": "FAIL", "result_code": "SUCCESS"},
		"both FAIL":                      {"return_code": "FAIL", "result_code": "FAIL"},
		"negative":                       {"total_fee": "-1"},
		"plus":                           {"total_fee": "+1"},
		"exponent":                       {"total_fee": "1e2"},
		"yuan":                           {"total_fee": "19.99"},
		"blank":                          {"total_fee": " 1999"},
		"leading zero":                   {"total_fee": "01999"},
		"other digits":                   {"total_fee": "１９９９"},
		"too much":                       {"total_fee": "9999999999999999"},
		"overflow":                       {"total_fee": "18446744073709551617"},
		"text":                           {"cash_fee": "x"},
		"short time":                     {"time_end": "2026112016000"},
		"long time":                      {"time_end": "20261120160000.5"},
		"no such time":                   {"time_end": "20261320160000"},
		"time of v3":                     {"time_end": "2026-11-20T16:00:00+08:00"},
		"many coupons":                   {"coupon_count": "1001"},
		"odd coupon":                     {"coupon_fee_0": "x"},
	} {
		got, err := client.ParsePayment([]byte(paid().with(change).signed("HMAC-SHA256").xml()))
		if !errors.Is(err, apiv2.ErrBadMessage) || errors.Is(err, apiv2.ErrBadSignature) || got != nil {
			t.Errorf("%s: %v, %v, want ErrBadMessage", name, got, err)
		}
	}
	// Every state that WeChat Pay knows, should it ever be in a notification: one of them means paid.
	for _, state := range []string{"SUCCESS", "REFUND", "NOTPAY", "CLOSED", "REVOKED", "USERPAYING", "PAYERROR", "ACCEPT", "SOMETHING"} {
		got, err := client.ParsePayment([]byte(paid().with(m{"trade_state": state}).signed("HMAC-SHA256").xml()))
		if err != nil || string(got.TradeState) != state || got.TradeState.Paid() != (state == "SUCCESS" || state == "REFUND") ||
			got.TradeState.Dead() != (state == "CLOSED" || state == "REVOKED") {
			t.Errorf("%s: %+v, %v", state, got, err)
		}
	}
	// A failure is an error of its own, and only a signed one.
	failed := paid().with(m{"result_code": "FAIL", "err_code": "SYSTEMERROR", "err_code_des": "系统错误"})
	_, err := client.ParsePayment([]byte(failed.signed("HMAC-SHA256").xml()))
	var e *apiv2.Error
	if !errors.As(err, &e) || e.Level != apiv2.LevelBusiness || e.Code != apiv2.CodeSystemError || errors.Is(err, apiv2.ErrBadSignature) {
		t.Errorf("FAIL: %v", err)
	}
	if _, err := client.ParsePayment([]byte(failed.xml())); !errors.Is(err, apiv2.ErrBadSignature) {
		t.Errorf("FAIL, unsigned: %v", err)
	}
}

func TestParseRefundHint(t *testing.T) {
	t.Parallel()
	rolled := config()
	rolled.Key, rolled.OldKeys = mustKey(oldKeyText), []apiv2.Key{mustKey(keyText)}
	for name, c := range map[string]apiv2.Config{"key": config(), "old key": rolled} {
		client := listening(t, c)
		n, err := client.ParseNotification([]byte(refundNotification(keyText, refunded().root()).xml()))
		if err != nil {
			t.Fatal(err)
		}
		want := apiv2.RefundHint{
			AppID: appID, MerchantID: merchantID, TransactionID: "4200000001202611200000000001", OutTradeNo: "ORDER-000001",
			RefundID: "50300000012026112000000000001", OutRefundNo: "REFUND-000001", State: apiv2.RefundSuccess, SuccessTime: start,
			UserReceivedAccount: "招商银行信用卡8915", FundsAccount: apiv2.RechargeFunds, RequestSource: "API",
			Amount: apiv2.RefundAmount{Total: 1999, SettlementTotal: 1999, Refund: 999, SettlementRefund: 999, Currency: "CNY"},
		}
		if n.Transaction != nil || n.RefundHint == nil || *n.RefundHint != want {
			t.Errorf("%s: %+v, want %+v", name, n.RefundHint, want)
		}
	}

	client := listening(t, config())
	good := refundNotification(keyText, refunded().root())
	sealed, err := base64.StdEncoding.DecodeString(good["req_info"])
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	flip := func(i int) string {
		b := bytes.Clone(sealed)
		b[i] ^= 1
		return encode(b)
	}
	// Nobody without the key, and all of that with one and the same error.
	refusals := map[string]bool{}
	for name, reqInfo := range map[string]string{
		"another key": sealRefund(oldKeyText, refunded().root()), "not Base64": "*", "URL alphabet": strings.NewReplacer("+", "-", "/", "_").Replace(good["req_info"]) + "-_",
		"line breaks": good["req_info"][:76] + "\n" + good["req_info"][76:], "cut off": encode(sealed[:len(sealed)-16]), "half a block": encode(sealed[:len(sealed)-8]),
		"first block changed": flip(0), "last block changed": flip(len(sealed) - 1),
		"blocks more": encode(append(bytes.Clone(sealed), sealed[:16]...)), "one block": encode(sealed[:16]),
		"other document": sealRefund(keyText, refunded().xml()), "empty document": sealRefund(keyText, ""), "doctype": sealRefund(keyText, `<!DOCTYPE root>`+refunded().root()),
		"twice": sealRefund(keyText, strings.Replace(refunded().root(), "</root>", "<total_fee>1</total_fee></root>", 1)),
	} {
		_, err := client.ParseRefundHint([]byte(good.with(m{"req_info": reqInfo}).xml()))
		if !errors.Is(err, apiv2.ErrBadSignature) {
			t.Errorf("%s: %v, want ErrBadSignature", name, err)
		} else {
			refusals[err.Error()] = true
		}
	}
	if len(refusals) != 1 {
		t.Errorf("an oracle: %v", refusals)
	}
	for name, message := range map[string]m{"no req_info": good.with(m{"req_info": ""}), "FAIL": good.with(m{"return_code": "FAIL"}),
		"no return_code": good.with(m{"return_code": ""})} {
		if _, err := client.ParseRefundHint([]byte(message.xml())); !errors.Is(err, apiv2.ErrBadSignature) {
			t.Errorf("%s: %v, want ErrBadSignature", name, err)
		}
	}
	for name, message := range map[string]m{
		"another merchant": good.with(m{"mch_id": "1900000002"}), "no merchant": good.with(m{"mch_id": ""}),
		"no refund_id":     refundNotification(keyText, refunded().with(m{"refund_id": ""}).root()),
		"no out_refund_no": refundNotification(keyText, refunded().with(m{"out_refund_no": ""}).root()),
		"no refund_fee":    refundNotification(keyText, refunded().with(m{"refund_fee": ""}).root()),
		"odd refund_fee":   refundNotification(keyText, refunded().with(m{"refund_fee": "1.0"}).root()),
		"no refund_status": refundNotification(keyText, refunded().with(m{"refund_status": ""}).root()),
		"odd time":         refundNotification(keyText, refunded().with(m{"success_time": "20261120160000"}).root()),
	} {
		if hint, err := client.ParseRefundHint([]byte(message.xml())); !errors.Is(err, apiv2.ErrBadMessage) || hint != nil {
			t.Errorf("%s: %v, want ErrBadMessage", name, err)
		}
	}
	// Not a payment, even if it has the signature of one.
	if _, err := client.ParsePayment([]byte(good.xml())); !errors.Is(err, apiv2.ErrBadSignature) {
		t.Errorf("as a payment: %v", err)
	}
}

// The padding is checked byte by byte, and the Base64 has one spelling.
func TestECBIsStrict(t *testing.T) {
	t.Parallel()
	key := []byte(keyText)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	seal := func(plain string) string {
		b := []byte(plain)
		block.Encrypt(b, b)
		return base64.StdEncoding.EncodeToString(b)
	}
	for plain, want := range map[string]string{
		"123456789012\x04\x04\x04\x04": "123456789012", "123456789012345\x01": "123456789012345", strings.Repeat("\x10", 16): "",
	} {
		if got, err := apiv2.OpenECB(key, seal(plain)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", plain, got, err)
		}
	}
	good := seal("123456789012\x04\x04\x04\x04")
	if !strings.HasSuffix(good, "==") {
		t.Fatal(good)
	}
	last := good[len(good)-3]
	for name, ciphertext := range map[string]string{
		"one byte of the padding": seal("123456789012\x04\x05\x04\x04"), "its first byte": seal("123456789012\x05\x04\x04\x04"), "none": seal("123456789012345\x00"),
		"longer than a block": seal("123456789012345\x11"), "another spelling": good[:len(good)-3] + string(last+1) + "==",
		"no end": good[:len(good)-2], "a line break": good + "\n", "nothing": "",
	} {
		if got, err := apiv2.OpenECB(key, ciphertext); err == nil || got != nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, err := apiv2.OpenECB(key[:16], good); err == nil {
		t.Error("a key of 16 bytes is taken")
	}
	if _, err := apiv2.OpenECB(key[:5], good); err == nil {
		t.Error("a key of 5 bytes is taken")
	}
}

// ECB keeps no order of blocks: from two genuine notifications comes a third that nobody sent. This is why a refund
// notification is a hint. If it ever fails to parse, that is luck and no protection.
func TestARefundHintCanBeSpliced(t *testing.T) {
	t.Parallel()
	client := listening(t, config())
	inner := func(number, status string) string { // values begin at boundaries of 16 bytes
		pad := func(s string) string { return s + strings.Repeat(" ", (16-len(s)%16)%16) }
		return pad("<root>") + pad("<transaction_id>4200000001</transaction_id><out_trade_no>ORDER-000001</out_trade_no><refund_id>5030</refund_id>"+
			"<total_fee>1999</total_fee><refund_fee>999</refund_fee>") + pad("<out_refund_no>"+number+"</out_refund_no>") +
			pad("<refund_status>"+status+"</refund_status>") + "</root>"
	}
	one, two := sealRefund(keyText, inner("REFUND-1", "SUCCESS")), sealRefund(keyText, inner("REFUND-2", "CHANGE!"))
	a, err1 := base64.StdEncoding.DecodeString(one)
	b, err2 := base64.StdEncoding.DecodeString(two)
	if err1 != nil || err2 != nil || len(a) != len(b) {
		t.Fatal("the two differ in length")
	}
	at := len(a) - 16 - 48
	spliced := append(bytes.Clone(b[:at]), a[at:]...)
	hint, err := client.ParseRefundHint([]byte(m{"return_code": "SUCCESS", "mch_id": merchantID, "req_info": base64.StdEncoding.EncodeToString(spliced)}.xml()))
	if err != nil || hint.OutRefundNo != "REFUND-2" || hint.State != apiv2.RefundSuccess {
		t.Errorf("%+v, %v", hint, err)
	}
}

func TestHandlers(t *testing.T) {
	t.Parallel()
	const accepted = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
	var log bytes.Buffer
	client := listening(t, config(), apiv2.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	trouble := errors.New("the database is away")
	payment, refund := paid().signed("HMAC-SHA256").xml(), refundNotification(keyText, refunded().root()).xml()
	failed := paid().with(m{"result_code": "FAIL", "err_code": "ERROR"}).signed("HMAC-SHA256").xml()

	var handled []string
	var fails error
	both := client.NotificationHandler(func(ctx context.Context, n *apiv2.Notification) error {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 4*time.Second {
			t.Error("the context has no end")
		}
		switch {
		case n.Transaction != nil && n.RefundHint == nil:
			handled = append(handled, "payment "+n.Transaction.OutTradeNo)
		case n.RefundHint != nil && n.Transaction == nil:
			handled = append(handled, "refund "+n.RefundHint.OutRefundNo)
		default:
			t.Errorf("%+v", n)
		}
		return fails
	})
	payments := client.PaymentHandler(func(_ context.Context, p *apiv2.Transaction) error {
		handled = append(handled, "payment "+p.OutTradeNo)
		return fails
	})
	refunds := client.RefundHintHandler(func(_ context.Context, r *apiv2.RefundHint) error {
		handled = append(handled, "refund "+r.OutRefundNo)
		return fails
	})
	for _, c := range []struct {
		name    string
		handler http.Handler
		method  string
		body    io.Reader
		fails   error
		status  int
		handled string
	}{
		{"payment", both, "POST", strings.NewReader(payment), nil, 200, "payment ORDER-000001"},
		{"refund", both, "POST", strings.NewReader(refund), nil, 200, "refund REFUND-000001"},
		{"payment to payments", payments, "POST", strings.NewReader(payment), nil, 200, "payment ORDER-000001"},
		{"refund to refunds", refunds, "POST", strings.NewReader(refund), nil, 200, "refund REFUND-000001"},
		{"refund to payments", payments, "POST", strings.NewReader(refund), nil, 401, ""},
		{"payment to refunds", refunds, "POST", strings.NewReader(payment), nil, 401, ""},
		{"failed payment", both, "POST", strings.NewReader(failed), nil, 200, ""},
		{"not handled", both, "POST", strings.NewReader(payment), trouble, 500, "payment ORDER-000001"},
		{"not handled for a query", both, "POST", strings.NewReader(payment), fmt.Errorf("query: %w", &apiv2.Error{Level: apiv2.LevelBusiness, Code: "ERROR"}), 500, "payment ORDER-000001"},
		{"not handled for a forgery", both, "POST", strings.NewReader(payment), fmt.Errorf("query: %w", apiv2.ErrBadSignature), 500, "payment ORDER-000001"},
		{"forged", both, "POST", strings.NewReader(strings.Replace(payment, "1999", "2999", 1)), nil, 401, ""},
		{"another merchant's", both, "POST", strings.NewReader(paid().with(m{"mch_id": "1"}).signed("HMAC-SHA256").xml()), nil, 500, ""},
		{"empty", both, "POST", strings.NewReader(""), nil, 401, ""},
		{"too long", both, "POST", strings.NewReader(payment + strings.Repeat(" ", apiv2.MaxNotification)), nil, 400, ""},
		{"GET", both, "GET", nil, nil, 405, ""},
	} {
		handled, fails = nil, c.fails
		w := httptest.NewRecorder()
		c.handler.ServeHTTP(w, httptest.NewRequest(c.method, "/notify", c.body))
		answer := w.Body.String()
		if w.Code != c.status || strings.Join(handled, ",") != c.handled {
			t.Errorf("%s: status %d, handled %q, want %d and %q", c.name, w.Code, handled, c.status, c.handled)
		}
		f, err := readXML(answer)
		if (answer == accepted) != (c.status == 200) || err != nil || c.status != 200 && (f["return_code"] != "FAIL" || f["return_msg"] == "") {
			t.Errorf("%s: answered %s", c.name, answer)
		}
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/xml") || strings.Contains(answer, "database") {
			t.Errorf("%s: answered %v %s", c.name, w.Header(), answer)
		}
	}
	if s := log.String(); !strings.Contains(s, "the database is away") || strings.Contains(s, openID) || strings.Contains(s, keyText) {
		t.Errorf("the log is %s", s)
	}
}
