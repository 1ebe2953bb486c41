package sandbox

import (
	"cmp"
	"crypto/tls"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Every code that the manual of v2 lists for a call can be had from it: by breaking a rule, or where no rule of a sandbox
// leads there, by a fault.
func TestEveryCodeV2(t *testing.T) {
	t.Parallel()
	type breaks = func(w *world) replyV2 // what breaks a rule; nil is a fault
	// failures are the codes whose name no answer says, with the text that stands for them.
	failures := map[string]string{
		"SIGNERROR": "签名错误", "XML_FORMAT_ERROR": "XML格式错误", "POST_DATA_EMPTY": "post数据为空", "NOT_UTF8": "编码格式错误",
		"REQUIRE_POST_METHOD": "请使用post方法", "LACK_PARAMS": "缺少参数", "APPID_NOT_EXIST": "appid不存在", "MCHID_NOT_EXIST": "mch_id不存在",
		"RATELIMIT_EXCEEDED": "频率限制",
	}
	type api struct {
		on    string
		path  string
		right func(w *world) params
		codes map[string]breaks
	}
	changed := func(a *api, changes params) breaks {
		return func(w *world) replyV2 { return w.callV2(a.path, a.right(w).with(changes)) }
	}
	raw := func(a *api, body string) breaks { return func(w *world) replyV2 { return w.postV2(a.path, body) } }
	get := func(a *api) breaks {
		return func(w *world) replyV2 {
			r := w.do(httptest.NewRequest("GET", w.url+a.path, nil))
			return replyV2{r, readV2(r.body)}
		}
	}
	unsigned := func(a *api) breaks { return func(w *world) replyV2 { return w.postV2(a.path, a.right(w).xml()) } }
	limited := func(a *api, name string) breaks {
		return func(w *world) replyV2 {
			w.set(map[string]any{"rate_limits": map[string]int{name: 1}})
			w.callV2(a.path, a.right(w).with(params{"nonce_str": "first"}))
			return w.callV2(a.path, a.right(w))
		}
	}
	byNumber := func(number string) func(w *world) params {
		return func(w *world) params { return w.common("").with(params{"out_trade_no": number}) }
	}
	scanned := func(number string) func(w *world) params {
		return func(w *world) params { return w.microOrder(number, w.paymentCode("bob", "")) }
	}

	order := &api{on: "v2.prepay", path: "/pay/unifiedorder", right: func(w *world) params { return w.orderV2("order-new", "") }}
	order.codes = map[string]breaks{
		"INVALID_REQUEST":       changed(order, params{"out_trade_no": "order-unpaid", "attach": "x"}),
		"NOAUTH":                nil,
		"NOTENOUGH":             nil,
		"ORDERPAID":             changed(order, params{"out_trade_no": "order-paid"}),
		"ORDERCLOSED":           changed(order, params{"out_trade_no": "order-closed"}),
		"SYSTEMERROR":           nil,
		"APPID_NOT_EXIST":       changed(order, params{"appid": "wx0"}),
		"MCHID_NOT_EXIST":       changed(order, params{"mch_id": "1999999999"}),
		"APPID_MCHID_NOT_MATCH": changed(order, params{"appid": "wx0123456789abcdef"}),
		"LACK_PARAMS":           nil,
		"XML_FORMAT_ERROR":      raw(order, "{}"),
		"POST_DATA_EMPTY":       raw(order, ""),
		"NOT_UTF8":              raw(order, "\xff"),
		"REQUIRE_POST_METHOD":   get(order),
		"PARAM_ERROR":           changed(order, params{"openid": "oNobody"}),
		"OUT_TRADE_NO_USED":     changed(order, params{"out_trade_no": "order-scanned"}),
		"SIGNERROR":             unsigned(order),
		"RATELIMIT_EXCEEDED":    limited(order, "v2.prepay"),
	}
	query := &api{on: "v2.query", path: "/pay/orderquery", right: byNumber("order-paid")}
	query.codes = map[string]breaks{"ORDERNOTEXIST": changed(query, params{"out_trade_no": "order-never"}), "SYSTEMERROR": nil,
		"RATELIMIT_EXCEEDED": limited(query, "v2.query")}
	closing := &api{on: "v2.close", path: "/pay/closeorder", right: byNumber("order-unpaid")}
	closing.codes = map[string]breaks{
		"ORDERPAID":           changed(closing, params{"out_trade_no": "order-paid"}),
		"ORDERCLOSED":         changed(closing, params{"out_trade_no": "order-closed"}),
		"ORDERNOTEXIST":       changed(closing, params{"out_trade_no": "order-never"}),
		"SYSTEMERROR":         nil,
		"SIGNERROR":           unsigned(closing),
		"REQUIRE_POST_METHOD": get(closing),
		"XML_FORMAT_ERROR":    raw(closing, "<xml>"),
		"TRADE_STATE_ERROR":   changed(closing, params{"out_trade_no": "order-asking"}),
		"FREQUENCY_LIMITED": func(w *world) replyV2 {
			w.set(map[string]any{"busy_close": "1m"})
			p := w.paymentV2(w.placeV2(w.orderV2("order-busy", ""))["prepay_id"], "MD5")
			p.Action = "cancel"
			if _, err := w.RequestPayment(p); err != nil {
				w.t.Error(err)
			}
			return w.callV2("/pay/closeorder", byNumber("order-busy")(w))
		},
	}
	refund := &api{on: "v2.refund", path: refundPath, right: func(w *world) params { return w.refundOrderV2("order-paid", "refund-new", "1") }}
	refund.codes = map[string]breaks{
		"SYSTEMERROR":       nil,
		"BIZERR_NEED_RETRY": nil,
		"TRADE_OVERDUE": func(w *world) replyV2 {
			w.Advance(366 * 24 * time.Hour)
			return w.callV2(refundPath, w.refundOrderV2("order-paid", "refund-new", "1"))
		},
		"ERROR": func(w *world) replyV2 {
			for i := range 49 {
				w.refundV2Of(w.refundOrderV2("order-paid", "refund-"+strings.Repeat("x", i+1), "1"))
			}
			return w.callV2(refundPath, w.refundOrderV2("order-paid", "refund-new", "1"))
		},
		"USER_ACCOUNT_ABNORMAL": nil,
		"INVALID_REQ_TOO_MUCH": func(w *world) replyV2 {
			w.set(map[string]any{"rate_limits": map[string]int{"v2.refund.failing": 1}})
			w.callV2(refundPath, w.refundOrderV2("order-never", "refund-new", "1"))
			return w.callV2(refundPath, w.refundOrderV2("order-paid", "refund-new", "1"))
		},
		"NOTENOUGH": func(w *world) replyV2 {
			if err := w.SetBalance(w.merchant.ID, 0); err != nil {
				w.t.Error(err)
			}
			return w.callV2(refundPath, w.refundOrderV2("order-paid", "refund-new", "1"))
		},
		"INVALID_TRANSACTIONID": changed(refund, params{"transaction_id": "4200"}),
		"PARAM_ERROR":           changed(refund, params{"total_fee": "999"}),
		"INVALID_REQUEST":       changed(refund, params{"refund_fee": "998"}),
		"REFUND_FEE_MISMATCH":   changed(refund, params{"out_refund_no": "refund-1", "refund_fee": "2"}),
		"APPID_NOT_EXIST":       changed(refund, params{"appid": "wx0"}),
		"MCHID_NOT_EXIST":       changed(refund, params{"mch_id": "1999999999"}),
		"ORDERNOTEXIST":         changed(refund, params{"out_trade_no": "order-unpaid"}),
		"ORDER_NOT_READY":       nil,
		"CERT_ERROR": func(w *world) replyV2 {
			p := w.refundOrderV2("order-paid", "refund-new", "1")
			p["sign"] = p.signature(w.merchant.APIv2Key, "")
			r := httptest.NewRequest("POST", "https://api.mch.weixin.qq.com"+refundPath, strings.NewReader(p.xml()))
			platform, err := certificateOf(w.merchant.PlatformCertificates[0].Certificate)
			if err != nil {
				w.t.Fatal(err)
			}
			r.TLS = &tls.ConnectionState{}
			r.TLS.PeerCertificates = append(r.TLS.PeerCertificates, platform)
			recorder := httptest.NewRecorder()
			w.ServeHTTP(recorder, r)
			return replyV2{reply{status: recorder.Code, body: recorder.Body.Bytes()}, readV2(recorder.Body.Bytes())}
		},
		"FREQUENCY_LIMITED": func(w *world) replyV2 {
			w.set(map[string]any{"refund_gap": "48h"})
			return w.callV2(refundPath, w.refundOrderV2("order-paid", "refund-new", "1"))
		},
		"REQUIRE_POST_METHOD": get(refund),
		"SIGNERROR":           unsigned(refund),
		"XML_FORMAT_ERROR":    raw(refund, "<xml><a></xml>"),
		"RATELIMIT_EXCEEDED":  limited(refund, "v2.refund"),
	}
	refundQuery := &api{on: "v2.refund_query", path: "/pay/refundquery", right: byNumber("order-paid")}
	refundQuery.codes = map[string]breaks{
		"SYSTEMERROR":           nil,
		"REFUNDNOTEXIST":        changed(refundQuery, params{"out_refund_no": "refund-never"}),
		"INVALID_TRANSACTIONID": changed(refundQuery, params{"transaction_id": "4200"}),
		"PARAM_ERROR":           changed(refundQuery, params{"offset": "1"}),
		"APPID_NOT_EXIST":       changed(refundQuery, params{"appid": "wx0"}),
		"MCHID_NOT_EXIST":       changed(refundQuery, params{"mch_id": "1999999999"}),
		"REQUIRE_POST_METHOD":   get(refundQuery),
		"SIGNERROR":             unsigned(refundQuery),
		"XML_FORMAT_ERROR":      raw(refundQuery, "{}"),
	}
	micro := &api{on: "v2.micropay", path: "/pay/micropay", right: scanned("order-new")}
	micro.codes = map[string]breaks{
		"SYSTEMERROR": nil,
		"BANKERROR":   nil,
		"USERPAYING": func(w *world) replyV2 {
			return w.callV2(micro.path, w.microOrder("order-new", w.paymentCode("bob", "password")))
		},
		"AUTHCODEEXPIRE":    func(w *world) replyV2 { p := micro.right(w); w.Advance(time.Minute); return w.callV2(micro.path, p) },
		"AUTH_CODE_ERROR":   changed(micro, params{"auth_code": "130000000000000000"}),
		"AUTH_CODE_INVALID": changed(micro, params{"auth_code": "1"}),
		"NOTENOUGH": func(w *world) replyV2 {
			return w.callV2(micro.path, w.microOrder("order-new", w.paymentCode("bob", "fail")))
		},
		"NOTSUPORTCARD": nil,
		"ORDERPAID":     changed(micro, params{"out_trade_no": "order-scanned"}),
		"ORDERCLOSED":   changed(micro, params{"out_trade_no": "order-closed"}),
		"ORDERREVERSED": func(w *world) replyV2 {
			w.reverse("order-scanned")
			return w.callV2(micro.path, scanned("order-scanned")(w))
		},
		"BUYER_MISMATCH":      nil,
		"OUT_TRADE_NO_USED":   changed(micro, params{"out_trade_no": "order-asking"}),
		"TRADE_ERROR":         nil,
		"INVALID_REQUEST":     changed(micro, params{"time_expire": "20200101000000"}),
		"LACK_PARAMS":         nil,
		"SIGNERROR":           unsigned(micro),
		"XML_FORMAT_ERROR":    raw(micro, "{}"),
		"REQUIRE_POST_METHOD": get(micro),
		"POST_DATA_EMPTY":     raw(micro, ""),
		"NOT_UTF8":            raw(micro, "\xff"),
		"NOAUTH":              nil,
		"PARAM_ERROR":         nil,
		"RATELIMIT_EXCEEDED":  limited(micro, "v2.micropay"),
	}
	reversing := &api{on: "v2.reverse", path: "/secapi/pay/reverse", right: byNumber("order-scanned")}
	reversing.codes = map[string]breaks{
		"SYSTEMERROR":           nil,
		"INVALID_TRANSACTIONID": changed(reversing, params{"transaction_id": "4200"}),
		"PARAM_ERROR":           nil,
		"REQUIRE_POST_METHOD":   get(reversing),
		"SIGNERROR":             unsigned(reversing),
		"REVERSE_EXPIRE":        func(w *world) replyV2 { w.Advance(8 * 24 * time.Hour); return w.reverse("order-scanned") },
		"INVALID_REQUEST":       changed(reversing, params{"out_trade_no": "order-paid"}),
		"TRADE_ERROR": func(w *world) replyV2 {
			w.refundV2Of(w.refundOrderV2("order-scanned", "refund-new", "998"))
			return w.reverse("order-scanned")
		},
	}
	for _, a := range []*api{order, query, closing, refund, refundQuery, micro, reversing} {
		a.codes[""] = changed(a, nil)
		for code, provoke := range a.codes {
			t.Run(a.on+"/"+cmp.Or(code, "right"), func(t *testing.T) {
				t.Parallel()
				other := oneMerchant()
				other.ID, other.Apps, other.PublicKeyID, other.Certificate = "1900000777", []App{{ID: "wx0123456789abcdef", Secret: "s"}}, "PUB_KEY_ID_7", ""
				w := newWorld(t, Options{Merchants: []Merchant{oneMerchant(), other}, Clock: func() time.Time { return noon }})
				w.shop.acceptV2()
				w.buyV2("order-paid", "")
				w.placeV2(w.orderV2("order-unpaid", ""))
				w.placeV2(w.orderV2("order-closed", ""))
				w.closeOrder("order-closed")
				w.callV2("/pay/micropay", w.microOrder("order-scanned", w.paymentCode("bob", "")))
				w.callV2("/pay/micropay", w.microOrder("order-asking", w.paymentCode("bob", "password")))
				w.refundV2Of(w.refundOrderV2("order-paid", "refund-1", "1"))
				if provoke == nil {
					w.fault(Fault{On: a.on, Kind: "error", Code: code})
					provoke = changed(a, nil)
				}
				r := provoke(w)
				switch text, failure := failures[code]; {
				case code == "":
					if r.params["result_code"] != "SUCCESS" || !w.genuineV2(r.params, "") {
						t.Errorf("%d %s", r.status, r.body)
					}
				case failure:
					w.failsV2(code, r, text)
				default:
					w.refusesV2(code, r, "", code)
					if r.params["err_code_des"] == "业务错误" && code != "ERROR" {
						t.Errorf("%s has no text of its own", code)
					}
				}
			})
		}
	}
}

// One seed and the same acts are one outcome, in v2 too.
func TestSeedV2(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		w := newWorld(t, Options{Seed: seed, Clock: func() time.Time { return noon }})
		w.shop.url = "https://pay.example.com/notify"
		w.fault(Fault{On: "notify.payment", Kind: "drop"}) // what is composed below is then the first attempt
		order := w.orderV2("order-000001", "").with(params{"nonce_str": "1"})
		p := w.paymentV2(w.placeV2(order)["prepay_id"], "MD5")
		w.payV2(p)
		native := w.placeV2(w.orderV2("order-000002", "").with(params{"trade_type": "NATIVE", "product_id": "1", "openid": ""}))
		paid, _ := w.Payment("order-000001")
		d, err := w.compose(w.Sandbox.notifications.all[0], 0)
		if err != nil {
			t.Fatal(err)
		}
		refunded := w.refundV2Of(w.refundOrderV2("order-000001", "refund-1", "1"))
		return p.Package + native["code_url"] + paid.TransactionID + d.Body + refunded["refund_id"] + w.paymentCode("bob", "")
	}
	a, b, c := run(1), run(1), run(2)
	if a != b {
		t.Errorf("one seed, two outcomes:\n%s\n%s", a, b)
	}
	if a == c {
		t.Error("two seeds, one outcome")
	}
}
