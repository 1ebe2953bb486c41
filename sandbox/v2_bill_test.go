package sandbox

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"fmt"
	"io"
	"maps"
	"testing"
	"time"
)

func unpacked(t *testing.T, b []byte) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// The bills of v2 are those of v3, and have the payments and refunds of both.
func TestBillsV2(t *testing.T) {
	t.Parallel()
	w := billWorld(t)
	w.shop.acceptV2()
	w.pay("order-v3")
	w.buyV2("order-v2", "")
	w.refundV2Of(w.refundOrderV2("order-v3", "refund-by-v2", "300"))
	w.refund("order-v2", "refund-by-v3", 100, nil)
	w.Advance(24 * time.Hour)
	for kind, v3 := range map[string]string{"": "", "ALL": "&bill_type=ALL", "SUCCESS": "&bill_type=SUCCESS", "REFUND": "&bill_type=REFUND"} {
		want := w.file("/v3/bill/tradebill?bill_date=2026-11-19" + v3)
		p := w.common("").with(params{"bill_date": "20261119", "bill_type": kind})
		if r := w.callV2("/pay/downloadbill", p); string(r.body) != want || r.header.Get("Content-Type") != "text/plain; charset=utf-8" || r.status != 200 {
			t.Errorf("%s: %d %s\nwant %s", kind, r.status, r.body, want)
		}
		if r := w.callV2("/pay/downloadbill", p.with(params{"tar_type": "GZIP"})); unpacked(t, r.body) != want {
			t.Errorf("%s: packed %s", kind, r.body)
		}
	}
	for account, v3 := range map[string]string{"Basic": "BASIC"} {
		want := w.file("/v3/bill/fundflowbill?bill_date=2026-11-19&account_type=" + v3)
		p := w.common("HMAC-SHA256").with(params{"bill_date": "20261119", "account_type": account})
		for _, tar := range []string{"", "GZIP"} {
			r := w.callV2("/pay/downloadfundflow", p.with(params{"tar_type": tar}))
			body := string(r.body)
			if tar != "" {
				body = unpacked(t, r.body)
			}
			if digest := fmt.Sprintf("SHA=%x", sha1.Sum([]byte(body))); body != want || r.header.Get("Digest") != digest {
				t.Errorf("%s %s: %v %s\nwant %s", account, tar, r.header, body, want)
			}
		}
	}
}

func TestNoBillV2(t *testing.T) {
	t.Parallel()
	w := billWorld(t)
	w.shop.acceptV2()
	w.buyV2("order-000001", "")
	trade := w.common("").with(params{"bill_date": "20261119"})
	flow := w.common("HMAC-SHA256").with(params{"bill_date": "20261119", "account_type": "Basic"})
	says := func(what string, r replyV2, text, number string) {
		t.Helper()
		if want := (params{"return_code": "FAIL", "return_msg": text, "error_code": number}); r.status != 200 || !maps.Equal(r.params, want) {
			t.Errorf("%s: %s, want %v", what, r.body, want)
		}
	}
	refused := func(what string, r replyV2, code string) {
		t.Helper()
		if r.params["return_code"] != "SUCCESS" || r.params["result_code"] != "FAIL" || r.params["err_code"] != code || r.params["sign"] != "" {
			t.Errorf("%s: %s, want %s", what, r.body, code)
		}
	}
	says("today", w.callV2("/pay/downloadbill", trade), "data format error", "20001")
	refused("today", w.callV2("/pay/downloadfundflow", flow), "PARAM_ERROR")
	w.Advance(21 * time.Hour) // 9:00 on the day after
	says("too early", w.callV2("/pay/downloadbill", trade), "Bill Creating", "20001")
	refused("too early", w.callV2("/pay/downloadfundflow", flow), "BILL_CREATING")
	w.Advance(time.Hour)
	if r := w.callV2("/pay/downloadbill", trade); r.params != nil || len(r.body) == 0 {
		t.Errorf("in time: %s", r.body)
	}
	for name, c := range map[string]struct {
		changes      params
		text, number string
	}{
		"an empty day":       {params{"bill_date": "20261118"}, "No Bill Exist", "20002"},
		"coupons":            {params{"bill_type": "RECHARGE_REFUND"}, "No Bill Exist", "20002"},
		"only refunds":       {params{"bill_type": "REFUND"}, "No Bill Exist", "20002"},
		"long ago":           {params{"bill_date": "20260801"}, "data format error", "20001"},
		"a date as in v3":    {params{"bill_date": "2026-11-19"}, "data format error", "20001"},
		"no such day":        {params{"bill_date": "20261131"}, "data format error", "20001"},
		"no date":            {params{"bill_date": ""}, "missing parameter", "20001"},
		"an unknown type":    {params{"bill_type": "REVOKED"}, "invalid bill_type", "20001"},
		"an unknown package": {params{"tar_type": "ZIP"}, "data format error", "20001"},
	} {
		says(name, w.callV2("/pay/downloadbill", trade.with(c.changes)), c.text, c.number)
	}
	says("unsigned", w.postV2("/pay/downloadbill", trade.xml()), "SIGN ERROR", "20001")
	says("no XML", w.postV2("/pay/downloadbill", "{}"), "data format error", "20001")
	refused("an empty day", w.callV2("/pay/downloadfundflow", flow.with(params{"bill_date": "20261118"})), "NO_BILL_EXIST")
	refused("an account on which nothing moves", w.callV2("/pay/downloadfundflow", flow.with(params{"account_type": "Fees"})), "NO_BILL_EXIST")
	w.failsV2("MD5", w.callV2("/pay/downloadfundflow", flow.with(params{"sign_type": "MD5"})), "sign_type参数错误")
	w.failsV2("no algorithm", w.callV2("/pay/downloadfundflow", flow.with(params{"sign_type": ""})), "sign_type参数错误")
	if err := w.SetSettings(Settings{ClientCertificates: true, RateLimits: map[string]int{"bill.tradebill": 1}}); err != nil {
		t.Fatal(err)
	}
	w.failsV2("no certificate", w.callV2("/pay/downloadfundflow", flow), "证书验证失败")
	w.callV2("/pay/downloadbill", trade)
	w.failsV2("too often", w.callV2("/pay/downloadbill", trade), "频率限制")
}

// Faults on bills are told in the words of v2, and lie in its files too.
func TestBillFaultsV2(t *testing.T) {
	t.Parallel()
	w := billWorld(t)
	w.shop.acceptV2()
	w.buyV2("order-000001", "")
	w.Advance(24 * time.Hour)
	ask := func() replyV2 {
		return w.callV2("/pay/downloadbill", w.common("").with(params{"bill_date": "20261119"}))
	}
	askFlow := func() replyV2 {
		return w.callV2("/pay/downloadfundflow", w.common("HMAC-SHA256").with(params{"bill_date": "20261119", "account_type": "Basic"}))
	}
	right := ask()
	for _, c := range []struct{ code, text, flow string }{{"STATEMENT_CREATING", "Bill Creating", "BILL_CREATING"}, {"", "SYSTEMERROR", "SYSTEMERROR"},
		{"NO_STATEMENT_EXIST", "No Bill Exist", "NO_BILL_EXIST"}} {
		w.fault(Fault{On: "bill", Kind: "error", Code: c.code, Count: 2})
		if r := ask(); r.params["return_code"] != "FAIL" || r.params["return_msg"] != c.text {
			t.Errorf("%s: %s", c.code, r.body)
		}
		if r := askFlow(); r.params["err_code"] != c.flow {
			t.Errorf("%s: %s", c.code, r.body)
		}
	}
	for _, kind := range []string{"truncate", "drop_row", "duplicate", "wrong_amount", "wrong_fee", "wrong_app", "extra_row"} {
		w.fault(Fault{On: "bill", Kind: kind, Count: 1})
		if r := ask(); bytes.Equal(r.body, right.body) || r.params != nil {
			t.Errorf("%s: %s", kind, r.body)
		}
		if len(w.Faults()) != 0 {
			t.Errorf("%s is left", kind)
		}
	}
	w.fault(Fault{On: "bill", Kind: "wrong_hash", Count: 1})
	ask() // which comes without a hash
	if r := askFlow(); r.header.Get("Digest") == fmt.Sprintf("SHA=%x", sha1.Sum(r.body)) || r.header.Get("Digest") == "" {
		t.Errorf("%v", r.header)
	}
	if r := ask(); !bytes.Equal(r.body, right.body) {
		t.Errorf("then: %s", r.body)
	}
}
