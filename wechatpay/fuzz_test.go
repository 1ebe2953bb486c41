package wechatpay_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/money"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// Whatever the headers and the body are, only what signerA signed at this time passes.
func FuzzSignatureHeaders(f *testing.F) {
	c := newClock()
	client := listening(f, c)
	header, body := notified(signerA(), c.Now())
	get := header.Get
	f.Add(get("Wechatpay-Timestamp"), get("Wechatpay-Nonce"), get("Wechatpay-Signature"), get("Wechatpay-Serial"), wechatpay.Scheme, body)
	f.Add(get("Wechatpay-Timestamp"), get("Wechatpay-Nonce"), "WECHATPAY/SIGNTEST/"+get("Wechatpay-Signature"), get("Wechatpay-Serial"), "", body)
	f.Add("-1", "", "====", "PUB_KEY_ID_", "x", []byte(nil))
	f.Add("99999999999999999999", "\n", "AA==", "0000", "", []byte("\n"))
	f.Fuzz(func(t *testing.T, timestamp, nonce, signature, serial, scheme string, b []byte) {
		h := http.Header{"Wechatpay-Timestamp": {timestamp}, "Wechatpay-Nonce": {nonce}, "Wechatpay-Signature": {signature},
			"Wechatpay-Serial": {serial}, "Wechatpay-Signature-Type": {scheme}}
		_, err := client.ParseNotification(t.Context(), h, b)
		// The message is the three lines: a line break of the body may as well be taken for one of the nonce.
		same := timestamp+"\n"+nonce+"\n"+string(b) == get("Wechatpay-Timestamp")+"\n"+get("Wechatpay-Nonce")+"\n"+string(body) &&
			signature == get("Wechatpay-Signature")
		if !same && !errors.Is(err, wechatpay.ErrBadSignature) {
			t.Errorf("%v, want ErrBadSignature", err)
		}
		_, _ = wechatpay.ReadSignature(h, time.Unix(0, 0)) // must not panic at other times either
	})
}

// Whatever WeChat Pay's key signed, reading it yields a notification or an error, and an accepted transaction has what a
// paid order needs.
func FuzzNotification(f *testing.F) {
	good := notification("TRANSACTION.SUCCESS", "transaction", paidJSON)
	for _, s := range []string{good, notification("REFUND.SUCCESS", "refund", "{}"), notification("REFUND.SUCCESS", "refund", refundNoticeJSON),
		notification("TRANSACTION.SUCCESS", "transaction", combinedJSON), notification("COMPLAINT.CREATE", "", "{}"), "", "{}", "null", "[]", `{"resource":null}`, good + good,
		strings.Replace(good, `"nonce"`, `"Nonce":1,"nonce"`, 1), strings.Repeat(`{"resource":`, 2000)} {
		f.Add([]byte(s))
	}
	secrets := []wechatpay.APIv3Key{config().APIv3Key}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := wechatpay.ReadNotification(body, secrets)
		if err != nil {
			if n != nil {
				t.Error("both a notification and an error")
			}
			return
		}
		if n.ID == "" || n.EventType == "" || n.CreateTime.IsZero() {
			t.Errorf("accepted %s", body)
		}
		paid := n.Transaction != nil || n.Combined != nil || n.ProfitSharing != nil
		if strings.HasPrefix(n.EventType, "TRANSACTION.") && !paid || strings.HasPrefix(n.EventType, "REFUND.") != (n.Refund != nil) {
			t.Errorf("event %s: %+v", n.EventType, n)
		}
	})
}

// An accepted transaction reads the same to a reader that knows nothing of duplicates and spellings.
func FuzzTransaction(f *testing.F) {
	for _, s := range []string{paidJSON, "{}", `{"amount":{"total":1,"Total":2}}`, strings.Replace(paidJSON, "SUCCESS", "NOTPAY", 1),
		strings.Replace(paidJSON, `"total":1999`, `"total":-0`, 1), strings.Replace(paidJSON, `"payer"`, `"payer":null,"x"`, 1)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, err := wechatpay.ParseTransaction(data)
		if err != nil {
			return
		}
		var m map[string]any
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("accepted %q: %v", data, err)
		}
		merchant := m["mchid"]
		if tr.ProviderID != "" {
			merchant = m["sub_mchid"]
		}
		if m["out_trade_no"] != tr.OutTradeNo || merchant != tr.MerchantID || m["trade_state"] != string(tr.TradeState) {
			t.Errorf("%q reads as %+v", data, tr)
		}
		if tr.TradeState.Paid() && (tr.TransactionID == "" || tr.AppID == "" || tr.SuccessTime.IsZero()) {
			t.Errorf("a paid order lacks something: %q", data)
		}
	})
}

// An accepted refund reads the same to a reader that knows nothing of duplicates and spellings, and says what its event says.
func FuzzRefundNotification(f *testing.F) {
	for _, s := range []string{refundNoticeJSON, refundJSON, "{}", strings.Replace(refundNoticeJSON, `"refund":500`, `"refund":-0`, 1),
		strings.Replace(refundNoticeJSON, `"mchid"`, `"sp_mchid":"1","sub_mchid"`, 1)} {
		f.Add([]byte(s), "REFUND.SUCCESS")
	}
	f.Fuzz(func(t *testing.T, data []byte, event string) {
		r, err := wechatpay.ParseRefundNotification(data, event)
		if err != nil {
			return
		}
		var m map[string]any
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("accepted %q: %v", data, err)
		}
		if m["out_refund_no"] != r.OutRefundNo || m["refund_status"] != string(r.State) || event != "REFUND."+string(r.State) || r.MerchantID == "" || r.RefundID == "" ||
			(r.State == wechatpay.RefundSuccess && r.SuccessTime.IsZero()) {
			t.Errorf("%q reads as %+v", data, r)
		}
	})
}

// An accepted combined payment has for each of its orders what a paid order needs.
func FuzzCombined(f *testing.F) {
	f.Add([]byte(combinedJSON))
	f.Add([]byte(strings.Replace(combinedJSON, "SUCCESS", "NOTPAY", 1)))
	f.Add([]byte(`{"sub_orders":[null,{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, err := wechatpay.ParseCombined(data)
		if err != nil {
			return
		}
		if tr.MerchantID == "" || tr.OutTradeNo == "" || len(tr.Orders) == 0 {
			t.Errorf("%q reads as %+v", data, tr)
		}
		for _, o := range tr.Orders {
			if o.MerchantID == "" || o.OutTradeNo == "" || o.TradeState.Paid() && (o.TransactionID == "" || o.SuccessTime.IsZero()) {
				t.Errorf("%q reads as %+v", data, o)
			}
		}
	})
}

// A list of certificates that is accepted holds valid certificates alone.
func FuzzCertificateList(f *testing.F) {
	good := certificateList(apiv3Text, signerA())
	for _, s := range []string{good, certificateList(apiv3Text, signerA(), signerB()), certificateList(strings.Repeat("x", 32), signerA()), `{"data":null}`, `{"data":[null]}`,
		strings.Replace(good, serialA, serialB, 1), strings.Replace(good, "61f9c719728a", "", 1), strings.Replace(good, "AES_256_GCM", "SM4_GCM", 1)} {
		f.Add([]byte(s))
	}
	secrets := []wechatpay.APIv3Key{config().APIv3Key}
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := wechatpay.OpenCertificates(body, secrets, start)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d certificates with error %v", len(keys), err)
		}
		for _, k := range keys {
			if k.Serial != serialA && k.Serial != serialB || !k.NotAfter.After(start) {
				t.Errorf("accepted %+v", k.PlatformKey)
			}
		}
	})
}

// Every error answer has a code and can be printed on a line.
func FuzzErrorAnswer(f *testing.F) {
	for _, s := range []string{`{"code":"PARAM_ERROR","message":"m","detail":{"field":"/amount"}}`, ``, `{`, `{"code":1}`, `{"code":"","message":null}`, `[]`, `"x"`,
		`{"code":"SYSTEMERROR"}`, "\xff\xfe", `{"code":"A","message":"\u0000\u2028\ud800"}`} {
		f.Add(500, []byte(s))
		f.Add(404, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := wechatpay.ParseErrorAnswer(status, http.Header{"Request-Id": {string(body)}}, body)
		text := e.Error()
		if e.Code == "" || e.Status != status || strings.ContainsAny(text, "\n\r\x00") || len(text) > 1000 || e.Hint("zh") == "" || !errors.Is(e, e.Code) {
			t.Errorf("%q reads as %q with code %q", body, text, e.Code)
		}
	})
}

// A text that is taken for a key is a key that signs, and an error does not quote the text.
func FuzzParsePrivateKey(f *testing.F) {
	good := pemOf("PRIVATE KEY", pkcs8())
	for _, s := range mangled(good) {
		f.Add([]byte(s))
	}
	for _, s := range []string{"", certificatePEM(signerA().cert), pemOf("PUBLIC KEY", spki()), good[:300], "-----BEGIN PRIVATE KEY-----", "-----BEGIN -----AAAA-----END -----", "\x30\x82"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if k, err := wechatpay.ParsePrivateKey(text); err == nil && k.N.BitLen() < 2048 {
			t.Errorf("a key of %d bits is accepted", k.N.BitLen())
		}
		if k, err := wechatpay.ParsePublicKey(text); err == nil && k.N.BitLen() < 2048 {
			t.Errorf("a public key of %d bits is accepted", k.N.BitLen())
		}
		if c, err := wechatpay.ParseCertificate(text); err == nil && wechatpay.CertificateSerial(c) == "" {
			t.Error("a certificate without a serial")
		}
	})
}

// A request that is accepted is JSON of the right shape, and holds what was given, to the byte.
func FuzzPrepayRequest(f *testing.F) {
	o := order()
	f.Add(o.AppID, o.OpenID, o.OutTradeNo, o.Description, o.NotifyURL, "attach", int64(o.Total))
	f.Add("wx1", "o", "a|b*c_", "\u2028<&>\"\\", "http://localhost/n", "\x00", int64(1))
	f.Add("", "", "", "\xff", "https://", "🍰", int64(-1))
	client := listening(f, newClock())
	f.Fuzz(func(t *testing.T, appID, openID, number, description, url, attach string, total int64) {
		r := order()
		r.AppID, r.OpenID, r.OutTradeNo, r.Description, r.NotifyURL, r.Attach = appID, openID, number, description, url, attach
		r.Total = money.Fen(total)
		body, err := client.Encode(r)
		if err != nil {
			var bad *wechatpay.RequestError
			if !errors.As(err, &bad) || bad.Field == "" {
				t.Errorf("%v names no field", err)
			}
			return
		}
		var v struct {
			AppID       string `json:"appid"`
			Number      string `json:"out_trade_no"`
			Description string `json:"description"`
			Attach      string `json:"attach"`
			URL         string `json:"notify_url"`
			Amount      struct{ Total int64 }
			Payer       struct{ OpenID string }
		}
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if v.AppID != appID || v.Number != number || v.Description != description || v.Attach != attach || v.URL != url || v.Amount.Total != total || v.Payer.OpenID != openID {
			t.Errorf("%s is not what was given", body)
		}
	})
}
