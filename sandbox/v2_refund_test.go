package sandbox

import (
	"crypto/aes"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// openedV2 decrypts a req_info as the manual says, without any code of the package; "" is that it can't.
func openedV2(key, sealed string) string {
	block, err := aes.NewCipher(key32(key))
	if err != nil {
		return ""
	}
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(b) == 0 || len(b)%16 != 0 {
		return ""
	}
	for at := 0; at < len(b); at += 16 {
		block.Decrypt(b[at:at+16], b[at:at+16])
	}
	n := int(b[len(b)-1])
	if n < 1 || n > 16 || strings.Trim(string(b[len(b)-n:]), string(rune(n))) != "" {
		return ""
	}
	return string(b[:len(b)-n])
}

func key32(apiKey string) []byte { return fmt.Appendf(nil, "%x", md5.Sum([]byte(apiKey))) }

func TestPublishedReqInfo(t *testing.T) {
	t.Parallel()
	v := vectors[struct {
		Vectors []struct {
			Name, Ciphertext, Plaintext string
			APIKey                      string `json:"api_key"`
			AESKey                      string `json:"aes_key"`
		}
	}](t, "v2-req-info.json").Vectors
	if len(v) < 3 {
		t.Errorf("%d vectors: some are missing", len(v))
	}
	for _, e := range v {
		if e.APIKey != "" {
			if got := string(keyV2(e.APIKey)); got != e.AESKey {
				t.Errorf("%s: key %s, want %s", e.Name, got, e.AESKey)
			}
			if got, err := sealV2(e.APIKey, []byte(e.Plaintext)); err != nil || got != e.Ciphertext || openedV2(e.APIKey, got) != e.Plaintext {
				t.Errorf("%s: sealed %.40s…, %v", e.Name, got, err)
			}
		}
		if got, err := sealECB([]byte(e.AESKey), []byte(e.Plaintext)); err != nil || got != e.Ciphertext {
			t.Errorf("%s: sealed %.40s…, %v", e.Name, got, err)
		}
	}
}

// refundOrderV2 is a right refund of an order over 9.98.
func (w *world) refundOrderV2(number, refundNumber, amount string) params {
	return w.common("").with(params{"out_trade_no": number, "out_refund_no": refundNumber, "total_fee": "998", "refund_fee": amount,
		"refund_desc": "不想要了", "notify_url": strings.TrimSuffix(w.shop.url, "/notify") + "/refunds"})
}

const refundPath = "/secapi/pay/refund"

// refundV2Of asks for a refund that is accepted.
func (w *world) refundV2Of(p params) params {
	w.t.Helper()
	r := w.callV2(refundPath, p)
	if r.params["result_code"] != "SUCCESS" || !w.genuineV2(r.params, p["sign_type"]) {
		w.t.Fatalf("refund: %d %s %v", r.status, r.body, r.err)
	}
	return r.params
}

// A refund by v2: accepted, asked for, told of in an encrypted notification that isn't signed.
func TestRefundV2(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.acceptV2()
		w.buyV2("order-000001", "HMAC-SHA256")
		paid, _ := w.Payment("order-000001")
		begin := time.Now()
		first := w.refundV2Of(w.refundOrderV2("order-000001", "refund-1", "300"))
		want := params{"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "appid": w.app.ID, "mch_id": w.merchant.ID,
			"nonce_str": first["nonce_str"], "sign": first["sign"], "transaction_id": paid.TransactionID, "out_trade_no": "order-000001",
			"out_refund_no": "refund-1", "refund_id": first["refund_id"], "refund_fee": "300", "settlement_refund_fee": "300", "total_fee": "998",
			"settlement_total_fee": "998", "fee_type": "CNY", "cash_fee": "998", "cash_refund_fee": "300", "coupon_refund_fee": "0",
			"coupon_refund_count": "0", "refund_channel": ""}
		if !maps.Equal(first, want) || len(first["refund_id"]) != 29 {
			w.t.Errorf("%v\nwant %v", first, want)
		}
		query := func(by params) params {
			r := w.callV2("/pay/refundquery", w.common("HMAC-SHA256").with(by))
			if !w.genuineV2(r.params, "HMAC-SHA256") {
				w.t.Errorf("%s isn't signed", r.body)
			}
			return r.params
		}
		asked := query(params{"out_refund_no": "refund-1"})
		if asked["refund_status_0"] != "PROCESSING" || asked["refund_fee_0"] != "300" || asked["refund_count"] != "1" || asked["total_refund_count"] != "1" ||
			asked["refund_success_time_0"] != "" || asked["refund_recv_accout_0"] != "支付用户零钱" || asked["refund_account_0"] != "REFUND_SOURCE_UNSETTLED_FUNDS" ||
			asked["refund_channel_0"] != "ORIGINAL" || asked["refund_id_0"] != first["refund_id"] || asked["total_fee"] != "998" {
			w.t.Errorf("%v", asked)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		done := begin.Add(5 * time.Second).In(beijing).Format("2006-01-02 15:04:05")
		for _, by := range []params{{"refund_id": first["refund_id"], "out_refund_no": "refund-other"}, {"out_refund_no": "refund-1", "transaction_id": "1"},
			{"transaction_id": paid.TransactionID, "out_trade_no": "order-other"}, {"out_trade_no": "order-000001"}} {
			if p := query(by); p["refund_status_0"] != "SUCCESS" || p["refund_success_time_0"] != done || p["out_refund_no_0"] != "refund-1" {
				w.t.Errorf("by %v: %v", by, p)
			}
		}
		all := w.shop.all()
		if len(all) != 2 {
			w.t.Fatalf("%d notifications", len(all))
		}
		outer := readV2(all[1].body)
		inner := readV2([]byte(openedV2(w.merchant.APIv2Key, outer["req_info"])))
		if want := (params{"return_code": "SUCCESS", "appid": w.app.ID, "mch_id": w.merchant.ID, "nonce_str": outer["nonce_str"], "req_info": outer["req_info"]}); !maps.Equal(outer, want) {
			w.t.Errorf("%v", outer)
		}
		want = params{"transaction_id": paid.TransactionID, "out_trade_no": "order-000001", "refund_id": first["refund_id"], "out_refund_no": "refund-1",
			"total_fee": "998", "settlement_total_fee": "998", "refund_fee": "300", "settlement_refund_fee": "300", "cash_refund_fee": "300", "refund_status": "SUCCESS",
			"success_time": done, "refund_recv_accout": "支付用户零钱", "refund_account": "REFUND_SOURCE_UNSETTLED_FUNDS", "refund_request_source": "API"}
		if !maps.Equal(inner, want) {
			w.t.Errorf("%v\nwant %v", inner, want)
		}
		if n := w.Notifications()[1]; n.EventType != "REFUND.SUCCESS" || n.OutRefundNo != "refund-1" || n.Status != NotificationAccepted {
			w.t.Errorf("%+v", n)
		}
		if p := w.callV2("/pay/orderquery", w.common("").with(params{"out_trade_no": "order-000001"})).params; p["trade_state"] != "REFUND" || p["total_fee"] != "998" {
			w.t.Errorf("the order: %v", p)
		}
		if b := w.Books()[0]; b.Paid != (Sum{1, 998}) || b.Refunded != (Sum{1, 300}) {
			w.t.Errorf("%+v", b)
		}
	})
}

// One book of refunds: what one generation asked for, the other can see, and the notification is in the form of the one
// that asked.
func TestRefundsOfBothGenerations(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.acceptV2()
		w.buyV2("order-v2", "")
		w.pay("order-v3")
		w.refund("order-v2", "refund-by-v3", 998, nil)
		w.refundV2Of(w.refundOrderV2("order-v3", "refund-by-v2", "998").with(params{"refund_account": "REFUND_SOURCE_RECHARGE_FUNDS"}))
		time.Sleep(time.Minute)
		if v := w.queryRefund("refund-by-v2"); v.Status != "SUCCESS" || v.Amount.Refund != 998 {
			w.t.Errorf("v3 says of the refund of v2: %+v", v)
		}
		p := w.callV2("/pay/refundquery", w.common("").with(params{"out_refund_no": "refund-by-v3"})).params
		if p["refund_status_0"] != "SUCCESS" || p["refund_fee_0"] != "998" {
			w.t.Errorf("v2 says of the refund of v3: %v", p)
		}
		if p := w.callV2("/pay/refundquery", w.common("").with(params{"out_refund_no": "refund-by-v2"})).params; p["refund_account_0"] != "REFUND_SOURCE_RECHARGE_FUNDS" {
			w.t.Errorf("%v", p)
		}
		forms := map[string]int{}
		for _, n := range w.shop.all()[2:] {
			if p := readV2(n.body); p != nil && openedV2(w.merchant.APIv2Key, p["req_info"]) != "" {
				forms["v2"]++
			} else if w.genuine(n.header, n.body) {
				forms["v3"]++
			}
		}
		if want := map[string]int{"v2": 1, "v3": 1}; !maps.Equal(forms, want) {
			w.t.Errorf("%v", forms)
		}
		w.refusesV2("a number of v3", w.callV2(refundPath, w.refundOrderV2("order-v2", "refund-by-v3", "998")), "", "REFUND_FEE_MISMATCH")
		if r := w.askRefund("order-v3", "refund-by-v2", 998, nil); r.code() != "INVALID_REQUEST" {
			w.t.Errorf("a number of v2: %s", r.body)
		}
	})
}

func TestRefundRulesV2(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorld(t, Options{Clock: func() time.Time { return now }})
	w.shop.acceptV2()
	w.buyV2("order-000001", "")
	w.placeV2(w.orderV2("order-unpaid", ""))
	right := w.refundOrderV2("order-000001", "refund-1", "300")
	first := w.refundV2Of(right)
	if again := w.refundV2Of(right.with(params{"nonce_str": "another", "sign_type": "HMAC-SHA256"})); again["refund_id"] != first["refund_id"] {
		t.Errorf("again: %v", again)
	}
	for _, c := range []struct {
		name    string
		changes params
		code    string
	}{
		{"another amount", params{"refund_fee": "301"}, "REFUND_FEE_MISMATCH"},
		{"another reason", params{"refund_desc": "x"}, "REFUND_FEE_MISMATCH"},
		{"another total", params{"out_refund_no": "refund-2", "total_fee": "999"}, "PARAM_ERROR"},
		{"a fen too much", params{"out_refund_no": "refund-2", "refund_fee": "699"}, "INVALID_REQUEST"},
		{"unpaid", params{"out_refund_no": "refund-2", "out_trade_no": "order-unpaid"}, "ORDERNOTEXIST"},
		{"unknown", params{"out_refund_no": "refund-2", "out_trade_no": "order-never"}, "ORDERNOTEXIST"},
		{"unknown transaction", params{"out_refund_no": "refund-2", "transaction_id": "4200"}, "INVALID_TRANSACTIONID"},
	} {
		w.refusesV2(c.name, w.callV2(refundPath, right.with(c.changes)), "", c.code)
	}
	for name, c := range map[string]struct {
		changes params
		text    string
	}{
		"neither number":  {params{"out_trade_no": ""}, "缺少参数transaction_id或out_trade_no"},
		"nothing to give": {params{"refund_fee": "0"}, "输入源“/body/xml/refund_fee”映射到数值字段“退款金额”规则校验失败，值低于最小值 1"},
		"no number":       {params{"out_refund_no": ""}, "输入源“/body/xml/out_refund_no”映射到字段“商户退款单号”必填性规则校验失败，此字段为必填项"},
		"a long number":   {params{"out_refund_no": strings.Repeat("a", 65)}, "输入源“/body/xml/out_refund_no”映射到值字段“商户退款单号”字符串规则校验失败，字节数 65，大于最大值 64"},
		"a long reason":   {params{"refund_desc": strings.Repeat("汉", 27)}, "输入源“/body/xml/refund_desc”映射到值字段“退款原因”字符串规则校验失败，字节数 81，大于最大值 80"},
		"another source": {params{"refund_account": "AVAILABLE"},
			"输入源“/body/xml/refund_account”映射到值字段“退款资金来源”字符串规则校验失败，字符串必须匹配正则表达式“^(REFUND_SOURCE_UNSETTLED_FUNDS|REFUND_SOURCE_RECHARGE_FUNDS)$”"},
		"dollars": {params{"refund_fee_type": "USD"}, "货币类型不合法"},
	} {
		w.failsV2(name, w.callV2(refundPath, right.with(c.changes)), c.text)
	}
	if err := w.SetSettings(Settings{RefundGap: time.Minute}); err != nil {
		t.Fatal(err)
	}
	w.refusesV2("too soon", w.callV2(refundPath, right.with(params{"out_refund_no": "refund-2"})), "", "FREQUENCY_LIMITED")
	if err := w.SetSettings(Settings{}); err != nil {
		t.Fatal(err)
	}
	if err := w.SetBalance(w.merchant.ID, 0); err != nil {
		t.Fatal(err)
	}
	w.refusesV2("no balance", w.callV2(refundPath, right.with(params{"out_refund_no": "refund-2"})), "", "NOTENOUGH")
	if err := w.SetBalance(w.merchant.ID, 100_000); err != nil {
		t.Fatal(err)
	}
	for i := range 49 {
		w.refundV2Of(right.with(params{"out_refund_no": fmt.Sprint("more-", i), "refund_fee": "1"}))
	}
	w.refusesV2("the 51st", w.callV2(refundPath, right.with(params{"out_refund_no": "refund-51", "refund_fee": "1"})), "", "ERROR")

	// Pages of ten.
	page := func(offset string) params {
		return w.callV2("/pay/refundquery", w.common("").with(params{"out_trade_no": "order-000001", "offset": offset})).params
	}
	for offset, want := range map[string][3]string{"": {"10", "refund-1", "more-8"}, "0": {"10", "refund-1", "more-8"}, "24": {"10", "more-23", "more-32"}, "45": {"5", "more-44", "more-48"}} {
		p := page(offset)
		last := map[string]string{"10": "9", "5": "4"}[p["refund_count"]]
		if p["total_refund_count"] != "50" || [3]string{p["refund_count"], p["out_refund_no_0"], p["out_refund_no_"+last]} != want || p["out_refund_no_10"] != "" {
			t.Errorf("from %q: %v", offset, p)
		}
	}
	w.refusesV2("offset beyond", w.callV2("/pay/refundquery", w.common("").with(params{"out_trade_no": "order-000001", "offset": "50"})), "", "PARAM_ERROR")
	for name, by := range map[string]params{"refund_id": {"refund_id": "5030"}, "out_refund_no": {"out_refund_no": "never"}, "out_trade_no": {"out_trade_no": "order-never"},
		"an order without refunds": {"out_trade_no": "order-unpaid"}} {
		w.refusesV2(name, w.callV2("/pay/refundquery", w.common("").with(by)), "", "REFUNDNOTEXIST")
	}
	w.refusesV2("transaction_id", w.callV2("/pay/refundquery", w.common("").with(params{"transaction_id": "4200"})), "", "INVALID_TRANSACTIONID")
	w.failsV2("no number", w.callV2("/pay/refundquery", w.common("")), "缺少参数transaction_id或out_trade_no")

	w.buyV2("order-old", "")
	w.Advance(365*24*time.Hour + time.Second)
	w.refusesV2("after a year", w.callV2(refundPath, w.refundOrderV2("order-old", "old-1", "1")), "", "TRADE_OVERDUE")
}

// A refund of v2 ends as the faults say, under the names of v2.
func TestRefundEndingsV2(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.acceptV2()
		w.buyV2("order-000001", "")
		for _, c := range []struct{ kind, status string }{{"abnormal", "CHANGE"}, {"closed", "REFUNDCLOSE"}, {"processing", "PROCESSING"}} {
			w.fault(Fault{On: "v2.refund", Kind: c.kind, Count: 1})
			before := len(w.shop.all())
			if c.kind == "abnormal" {
				before = 1
			}
			w.refundV2Of(w.refundOrderV2("order-000001", c.kind, "1"))
			time.Sleep(time.Minute)
			synctest.Wait()
			p := w.callV2("/pay/refundquery", w.common("").with(params{"out_refund_no": c.kind})).params
			if p["refund_status_0"] != c.status || p["refund_success_time_0"] != "" {
				w.t.Errorf("%s: %v", c.kind, p)
			}
			told := w.shop.all()[before:]
			if c.kind == "processing" {
				if len(told) != 0 {
					w.t.Errorf("%s: told of %d", c.kind, len(told))
				}
				continue
			}
			if len(told) != 1 {
				w.t.Fatalf("%s: told of %d", c.kind, len(told))
			}
			inner := readV2([]byte(openedV2(w.merchant.APIv2Key, readV2(told[0].body)["req_info"])))
			if _, ended := inner["success_time"]; inner["refund_status"] != c.status || ended {
				w.t.Errorf("%s: %v", c.kind, inner)
			}
		}
		w.fault(Fault{On: "v2.refund", Kind: "wrong_amount", Count: 1})
		if p := w.refundV2Of(w.refundOrderV2("order-000001", "lied", "1")); p["refund_fee"] != "2" {
			w.t.Errorf("%v", p)
		}
		w.fault(Fault{On: "v2.refund_query", Kind: "wrong_amount", Count: 1})
		if p := w.callV2("/pay/refundquery", w.common("").with(params{"out_refund_no": "lied"})).params; p["refund_fee_0"] != "2" {
			w.t.Errorf("%v", p)
		}
	})
}

// Faults on a notification of a refund spoil one attempt: it can't be read, or says more than is true.
func TestFaultsOnRefundNotificationsV2(t *testing.T) {
	t.Parallel()
	for kind, check := range map[string]func(w *world, inner params, body []byte) bool{
		"bad_signature": func(_ *world, inner params, body []byte) bool { return inner == nil && readV2(body)["req_info"] != "" },
		"signtest":      func(_ *world, inner params, body []byte) bool { return inner == nil && readV2(body)["req_info"] != "" },
		"truncate":      func(_ *world, inner params, body []byte) bool { return readV2(body) == nil && len(body) > 0 },
		"wrong_amount":  func(_ *world, inner params, body []byte) bool { return inner["refund_fee"] == "301" },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			newBubble(t, Options{}, func(w *world) {
				w.shop.answer = func(n int) int { return 500 }
				w.buyV2("order-000001", "")
				w.fault(Fault{On: "notify.refund", Kind: kind, Count: 1})
				w.refundV2Of(w.refundOrderV2("order-000001", "refund-1", "300"))
				time.Sleep(24 * time.Hour)
				var told []params
				for i, r := range w.shop.all() {
					p := readV2(r.body)
					if p["req_info"] == "" && p != nil {
						continue // of the payment
					}
					inner := readV2([]byte(openedV2(w.merchant.APIv2Key, p["req_info"])))
					if len(told) == 0 && !check(w, inner, r.body) {
						w.t.Errorf("%d: %v %s", i, inner, r.body)
					}
					told = append(told, inner)
				}
				if len(told) < 2 || told[1]["refund_fee"] != "300" {
					w.t.Errorf("%v", told)
				}
			})
		})
	}
}

// What moves money back wants the merchant's certificate: over TLS always, over plain HTTP where the settings say so.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	other := oneMerchant()
	other.ID, other.PublicKeyID, other.Certificate = "1900000777", "PUB_KEY_ID_7", ""
	other.CertificateSerial = "1234567890ABCDEF1234567890ABCDEF12345678"
	w := newWorld(t, Options{Merchants: []Merchant{oneMerchant(), other}})
	w.shop.acceptV2()
	w.buyV2("order-000001", "")
	server := httptest.NewUnstartedServer(w.Sandbox)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	over := func(m *Merchant) *world {
		c := &tls.Config{RootCAs: roots}
		if m != nil {
			pair, err := tls.X509KeyPair([]byte(m.Certificate), []byte(m.PrivateKey))
			if err != nil {
				t.Fatal(err)
			}
			c.Certificates = []tls.Certificate{pair}
		}
		secure := *w
		transport := &http.Transport{TLSClientConfig: c}
		t.Cleanup(transport.CloseIdleConnections)
		secure.url, secure.wire = server.URL, transport
		return &secure
	}
	ask := func(w *world) replyV2 { return w.callV2(refundPath, w.refundOrderV2("order-000001", "refund-1", "1")) }
	all := w.Merchants()
	w.failsV2("none", ask(over(nil)), "证书验证失败")
	w.refusesV2("another's", ask(over(&all[1])), "", "CERT_ERROR")
	if r := ask(over(&all[0])); r.params["result_code"] != "SUCCESS" {
		t.Errorf("its own: %s", r.body)
	}
	if p := over(nil).callV2("/pay/refundquery", w.common("").with(params{"out_refund_no": "refund-1"})).params; p["result_code"] != "SUCCESS" {
		t.Errorf("a query needs none: %v", p)
	}
	forged := over(nil).postV2(refundPath, w.refundOrderV2("order-000001", "refund-1", "1").xml())
	w.failsV2("the signature comes first", forged, "签名错误")

	if r := ask(w); r.params["result_code"] != "SUCCESS" {
		t.Errorf("plain HTTP: %s", r.body)
	}
	if err := w.SetSettings(Settings{ClientCertificates: true}); err != nil {
		t.Fatal(err)
	}
	w.failsV2("plain HTTP, strict", ask(w), "证书验证失败")
}
