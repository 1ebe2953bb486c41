package sandbox

import (
	"testing"
)

// Each kind does to a call of v2 what it says, once where once is asked for, and the call works then.
func TestFaultsOnCallsV2(t *testing.T) {
	t.Parallel()
	refused := func(code string) func(*world, replyV2) bool {
		return func(w *world, r replyV2) bool {
			return r.status == 200 && r.params["return_code"] == "SUCCESS" && r.params["result_code"] == "FAIL" && r.params["err_code"] == code &&
				w.genuineV2(r.params, "MD5")
		}
	}
	failed := func(text string) func(*world, replyV2) bool {
		return func(w *world, r replyV2) bool {
			return r.status == 200 && len(r.params) == 2 && r.params["return_code"] == "FAIL" && r.params["return_msg"] == text
		}
	}
	page := func(status int) func(*world, replyV2) bool {
		return func(w *world, r replyV2) bool {
			return r.status == status && r.params["return_code"] == "" && r.header.Get("Content-Type") == "text/html"
		}
	}
	cut := func(w *world, r replyV2) bool { return r.err != nil && r.status == 0 }
	for _, c := range []struct {
		name     string
		fault    Fault
		executed bool
		check    func(w *world, r replyV2) bool
	}{
		{"error", Fault{Kind: "error"}, false, refused("SYSTEMERROR")},
		{"a code", Fault{Kind: "error", Code: "NOTENOUGH"}, false, refused("NOTENOUGH")},
		{"a code of v3", Fault{Kind: "error", Status: 500, Code: "SYSTEM_ERROR"}, false, refused("SYSTEMERROR")},
		{"an unknown code", Fault{Kind: "error", Code: "LOTUS"}, false, refused("LOTUS")},
		{"signature", Fault{Kind: "error", Code: "SIGNERROR"}, false, failed("签名错误")},
		{"frequency", Fault{Kind: "error", Code: "RATELIMIT_EXCEEDED"}, false, failed("频率限制")},
		{"502", Fault{Kind: "error", Status: 502}, false, page(502)},
		{"503 with a code", Fault{Kind: "error", Status: 503, Code: "SYSTEMERROR"}, false, page(503)},
		{"500", Fault{Kind: "error", Status: 500}, false, page(500)},
		{"error, executed", Fault{Kind: "error", Executed: true}, true, refused("SYSTEMERROR")},
		{"lose_request", Fault{Kind: "lose_request"}, false, cut},
		{"lose_response", Fault{Kind: "lose_response"}, true, cut},
		{"bad_signature", Fault{Kind: "bad_signature"}, true, func(w *world, r replyV2) bool {
			return r.params["result_code"] == "SUCCESS" && len(r.params["sign"]) == 32 && !w.genuineV2(r.params, "MD5")
		}},
		{"truncate", Fault{Kind: "truncate"}, true, func(w *world, r replyV2) bool {
			return r.status == 200 && r.err != nil && len(r.body) > 0 && r.params == nil
		}},
		{"*", Fault{On: "*", Kind: "error"}, false, refused("SYSTEMERROR")},
		{"* with a code of v3", Fault{On: "*", Kind: "error", Status: 403, Code: "NO_AUTH"}, false, refused("NOAUTH")},
		{"* with a status", Fault{On: "*", Kind: "error", Status: 503}, false, page(503)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			if c.fault.On == "" {
				c.fault.On = "v2.prepay"
			}
			c.fault.Count = 1
			w.fault(c.fault)
			if r := w.callV2("/pay/unifiedorder", w.orderV2("order-000001", "").with(params{"sign_type": "MD5"})); !c.check(w, r) {
				t.Errorf("%d %s %v %v", r.status, r.body, r.header, r.err)
			}
			if p, ok := w.Payment("order-000001"); ok != c.executed {
				t.Errorf("the order is there: %v, %+v", ok, p)
			}
			if f := w.Faults(); len(f) != 0 {
				t.Errorf("left: %v", f)
			}
			w.placeV2(w.orderV2("order-000001", "").with(params{"sign_type": "MD5"}))
		})
	}
}

// The signature of a query may be right and its content a lie.
func TestLiesV2(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.shop.acceptV2()
	w.buyV2("order-000001", "")
	ask := func() params {
		return w.callV2("/pay/orderquery", w.common("").with(params{"out_trade_no": "order-000001"})).params
	}
	w.fault(Fault{On: "v2.query", Kind: "wrong_amount", Count: 1})
	if p := ask(); p["total_fee"] != "999" || !w.genuineV2(p, "MD5") {
		t.Errorf("%v", p)
	}
	w.fault(Fault{On: "v2.query", Kind: "wrong_app", Count: 1})
	if p := ask(); p["appid"] == w.app.ID || p["total_fee"] != "998" || !w.genuineV2(p, "MD5") {
		t.Errorf("%v", p)
	}
	if p := ask(); p["appid"] != w.app.ID || p["total_fee"] != "998" {
		t.Errorf("%v", p)
	}
}
