package apiv2_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// What is accepted, encoding/xml reads alike.
func FuzzDecode(f *testing.F) {
	for _, s := range slices.Sorted(maps.Keys(goodXML)) {
		f.Add([]byte(s))
	}
	for _, s := range badXML {
		if len(s) < 1000 {
			f.Add([]byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fields, err := apiv2.Decode(data, "xml")
		if err != nil {
			if fields != nil {
				t.Error("both fields and an error")
			}
			return
		}
		if err := sameAsStandard(string(data), fields); err != nil {
			t.Errorf("%q: %v", data, err)
		}
		if strings.Contains(string(data), "<!DOCTYPE") && !strings.Contains(string(data), "<![CDATA[") {
			t.Errorf("accepted %q", data)
		}
	})
}

// What is written reads the same, with our reader and with encoding/xml.
func FuzzRoundTrip(f *testing.F) {
	for _, v := range []string{"", "1999", "中 & <b> ]]> \"'", "\r\n\r", "]]>]]]]>>", "&#13;", "\x00", "\xff", "\ufffe", "\U0001F600", " \t"} {
		f.Add("body", v, "attach", v+v)
	}
	f.Add("a", "", "a", "")
	f.Add("a><b", "1", "-", "2")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		fields := apiv2.Fields{{Name: name1, Value: value1}, {Name: name2, Value: value2}}
		if apiv2.CheckFields(fields) != nil {
			return
		}
		document := apiv2.Encode(fields)
		got, err := apiv2.Decode(document, "xml")
		if err != nil || !slices.Equal(got, fields) {
			t.Errorf("%q is written as %s and reads as %q, %v", fields, document, got, err)
		}
		if err := sameAsStandard(string(document), fields); err != nil {
			t.Errorf("%s: %v", document, err)
		}
	})
}

// Whatever arrives, a transaction is made of fields that the signature covers, and has what a paid order needs.
func FuzzPayment(f *testing.F) {
	genuine := paid().signed("HMAC-SHA256")
	failed := paid().with(m{"result_code": "FAIL"}).signed("HMAC-SHA256")
	for _, message := range []m{genuine, failed, paid(), paid().signed("MD5"), genuine.with(m{"sign_type": "MD5"}), refundNotification(keyText, refunded().root()),
		paid().with(m{"attach": "x&total_fee=1"}).signed("HMAC-SHA256")} {
		f.Add([]byte(message.xml()))
	}
	client := listening(f, config())
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := client.ParsePayment(body)
		if (got == nil) != (err != nil) {
			t.Errorf("%v, %v", got, err)
		}
		if err != nil {
			var e *apiv2.Error
			if !errors.Is(err, apiv2.ErrBadSignature) && !errors.Is(err, apiv2.ErrBadMessage) && !errors.As(err, &e) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		// Nobody but the key's holder can have made it: so it is the one that was, field by field.
		seen, err := readXML(string(body))
		if err != nil || signText("HMAC-SHA256", keyText, seen.text()) != strings.ToUpper(seen["sign"]) {
			t.Fatalf("%q passes: %v", body, err)
		}
		if got.OutTradeNo != seen["out_trade_no"] || got.TransactionID != seen["transaction_id"] || got.MerchantID != merchantID || got.AppID != seen["appid"] ||
			seen["total_fee"] != "1999" || got.Amount.Total != 1999 || got.SuccessTime.IsZero() || len(got.Fields) != len(seen) {
			t.Errorf("%q reads as %+v", body, got)
		}
		for _, x := range got.Fields {
			if seen[x.Name] != x.Value {
				t.Errorf("%s is %q and reads as %q", x.Name, seen[x.Name], x.Value)
			}
		}
	})
}

// Signed messages of any content: reading them yields a transaction, or an error that says that it is not one. Anything
// that is read was signed, and no other message has the same signature.
func FuzzSignedPayment(f *testing.F) {
	f.Add("1999", "20261120160000", "a=1&b=2", "1", "SUCCESS", "SUCCESS", "zzz", "1")
	f.Add("-1", "x", "x&total_fee=1", "-", "FAIL", "", "sign_type", "MD5")
	f.Add("0", "", "", "99999", "SUCCESS", "SUCCESS", "trade_state", "CLOSED")
	f.Add("00", "20261120160000", "]", "1001", "SUCCESS", "FAIL", "coupon_fee_0", "x")
	client := listening(f, config())
	f.Fuzz(func(t *testing.T, total, time, attach, coupons, returnCode, resultCode, name, value string) {
		message := paid().with(m{"total_fee": total, "time_end": time, "attach": attach, "coupon_count": coupons, "return_code": returnCode, "result_code": resultCode})
		if message[name] == "" {
			message[name] = value
		}
		fields := fieldsOf(message)
		if apiv2.CheckFields(fields) != nil || name == "sign" {
			return
		}
		fields = append(fields, apiv2.Field{Name: "sign", Value: signText("HMAC-SHA256", keyText, message.text())})
		got, err := client.ParsePayment(apiv2.Encode(fields))
		if (got == nil) != (err != nil) {
			t.Errorf("%v, %v", got, err)
		}
		if err != nil {
			return
		}
		if returnCode != "SUCCESS" || resultCode != "SUCCESS" || got.Amount.Total < 0 || got.Attach != attach || got.Amount.Total.String() == "" || got.SuccessTime.IsZero() {
			t.Errorf("%q reads as %+v", message, got)
		}
		if len(attach) > 0 && strings.Contains(attach, "&total_fee=") {
			t.Errorf("an attach of %q passes", attach)
		}
	})
}

// Whatever arrives, a hint is one that was encrypted with the key, and its required fields are there.
func FuzzRefundHint(f *testing.F) {
	good := refundNotification(keyText, refunded().root())
	for _, message := range []m{good, good.with(m{"req_info": "AAAAAAAAAAAAAAAAAAAAAA=="}), good.with(m{"req_info": ""}), refundNotification(oldKeyText, refunded().root())} {
		f.Add(message["req_info"], "")
	}
	f.Add("", refunded().root())
	f.Add("", refunded().with(m{"refund_fee": "1.0"}).root())
	f.Add("", "<root><refund_id/></root>")
	client := listening(f, config())
	f.Fuzz(func(t *testing.T, reqInfo, inner string) {
		if inner != "" {
			reqInfo = sealRefund(keyText, inner)
		}
		if strings.ContainsAny(reqInfo, "]<&\x00") {
			return
		}
		hint, err := client.ParseRefundHint([]byte(good.with(m{"req_info": reqInfo}).xml()))
		switch {
		case (hint == nil) != (err != nil):
			t.Errorf("%v, %v", hint, err)
		case err != nil && !errors.Is(err, apiv2.ErrBadSignature) && !errors.Is(err, apiv2.ErrBadMessage):
			t.Errorf("an error of no kind: %v", err)
		case err == nil && (hint.OutRefundNo == "" || hint.RefundID == "" || hint.OutTradeNo == "" || hint.State == "" || hint.MerchantID != merchantID):
			t.Errorf("%+v", hint)
		}
	})
}

// Every answer is a success that was signed, or an error with a kind that can be printed on a line.
func FuzzAnswer(f *testing.F) {
	for _, message := range []m{answered(nil).signed("HMAC-SHA256"), answered(nil), answered(m{"result_code": "FAIL", "err_code": "SYSTEMERROR"}),
		{"return_code": "FAIL", "return_msg": "签名错误"}, {"return_code": "FAIL", "return_msg": "\n"}} {
		f.Add(200, []byte(message.xml()))
		f.Add(500, []byte(message.xml()))
	}
	client := listening(f, config())
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		fields, err := client.ReadAnswer(status, body)
		if err == nil {
			seen, err := readXML(string(body))
			if err != nil || status != 200 || signText("HMAC-SHA256", keyText, seen.text()) != strings.ToUpper(seen["sign"]) || fields.Get("result_code") != "SUCCESS" {
				t.Errorf("%q passes", body)
			}
			return
		}
		var e *apiv2.Error
		if !errors.As(err, &e) && !errors.Is(err, apiv2.ErrUncertain) || strings.ContainsAny(err.Error(), "\n\r\x00") || len(err.Error()) > 2000 {
			t.Errorf("%q reads as %q", body, err)
		}
		if e != nil && (e.Code == "" || e.Hint("zh") == "" || !errors.Is(err, e.Code)) {
			t.Errorf("%q reads as %+v", body, e)
		}
	})
}
