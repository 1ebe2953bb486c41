package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// names are the names in a JSON object, sorted.
func names(t *testing.T, b json.RawMessage) string {
	t.Helper()
	var v map[string]json.RawMessage
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	all := make([]string, 0, len(v))
	for name := range v {
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

type rawList struct{ Data []json.RawMessage }

// The control API has the shapes that are promised to other programs. Fields may be added, so each has a reason here.
func TestControlShapes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.pay("order-000001")
	w.place("order-000002", nil)
	w.idle()
	list := func(path string) []json.RawMessage {
		var v rawList
		if status := w.control("GET", path, nil, &v); status != 200 || len(v.Data) == 0 {
			t.Fatalf("%s: %d, %d items", path, status, len(v.Data))
		}
		return v.Data
	}
	has := func(what string, b json.RawMessage, want string) {
		t.Helper()
		have := strings.Fields(names(t, b))
		for _, name := range strings.Fields(want) {
			if !slices.Contains(have, name) {
				t.Errorf("%s lacks %s: %v", what, name, have)
			}
		}
	}
	merchant := list("merchants")[0]
	if got := names(t, merchant); got != "apiv2_key apiv3_key apps certificate certificate_serial id mode platform_certificates private_key public_key public_key_id" {
		t.Errorf("a merchant has %s", got)
	}
	var m Merchant
	if err := json.Unmarshal(merchant, &m); err != nil || m.PrivateKey != w.merchant.PrivateKey || m.PlatformCertificates[0].PrivateKey != "" || m.PublicKeyPrivateKey != "" {
		t.Errorf("a merchant shows what only WeChat Pay has: %s", merchant)
	}
	payments := list("payments")
	has("a payment", payments[0], "out_trade_no prepay_id transaction_id merchant_id app_id openid api amount state paid_at refunds")
	var p struct {
		State   string
		Amount  int64
		Refunds []any
		PaidAt  *time.Time `json:"paid_at"`
	}
	if err := json.Unmarshal(payments[0], &p); err != nil || p.State != "SUCCESS" || p.Amount != 998 || p.Refunds == nil || p.PaidAt == nil {
		t.Errorf("%s", payments[0])
	}
	if err := json.Unmarshal(payments[1], &p); err != nil || p.State != "NOTPAY" || p.PaidAt != nil {
		t.Errorf("%s", payments[1])
	}
	has("a notification", list("notifications?out_trade_no=order-000001")[0], "id event_type out_trade_no url attempts next_attempt_at")
	var n Notification
	if err := json.Unmarshal(list("notifications")[0], &n); err != nil || n.EventType != "TRANSACTION.SUCCESS" || len(n.Attempts) != 1 || n.Attempts[0].Status != 204 || n.NextAttemptAt != nil {
		t.Errorf("%+v, %v", n, err)
	}
	if got := names(t, list("books")[0]); got != "balance fee merchant_id paid refunded refunding" {
		t.Errorf("books have %s", got)
	}
	has("an entry", list("journal")[0], "seq at kind out_trade_no method path status code ms summary request response")

	var one Payment
	if status := w.control("GET", "payments/order-000001", nil, &one); status != 200 || one.TransactionID == "" {
		t.Errorf("%d %+v", status, one)
	}
	if status := w.control("POST", "notifications/"+n.ID+"/resend", nil, &n); status != 200 || len(n.Attempts) != 2 {
		t.Errorf("resend: %d %+v", status, n)
	}
	var login struct{ Code string }
	if status := w.control("POST", "login", map[string]string{"app_id": w.app.ID, "user": "alice"}, &login); status != 200 || w.exchange(login.Code, nil).Number != 0 {
		t.Errorf("login: %d %+v", status, login)
	}
	var clock, later struct{ Now time.Time }
	w.control("GET", "clock", nil, &clock)
	if status := w.control("POST", "clock", map[string]string{"advance": "2h"}, &later); status != 200 || later.Now.Sub(clock.Now) < 2*time.Hour {
		t.Errorf("clock: %d %s after %s", status, later.Now, clock.Now)
	}
	var f map[string]any
	if status := w.control("POST", "faults", map[string]any{"on": "v3.query", "kind": "error", "status": 500, "count": 2, "delay": ""}, &f); status != 201 || f["id"] != "flt_1" || f["probability"] != 1.0 || f["code"] != "SYSTEM_ERROR" {
		t.Errorf("fault: %d %v", status, f)
	}
	if status := w.control("POST", "faults", map[string]any{"on": "notify.payment", "kind": "delay", "delay": "2h"}, &f); status != 201 || f["delay"] != "2h0m0s" {
		t.Errorf("fault: %d %v", status, f)
	}
	if status := w.control("DELETE", "faults/flt_1", nil, nil); status != 204 || len(w.Faults()) != 1 {
		t.Errorf("delete: %d, left %v", status, w.Faults())
	}
	if status := w.control("DELETE", "faults", nil, nil); status != 204 || len(w.Faults()) != 0 {
		t.Errorf("delete all: %d, left %v", status, w.Faults())
	}
	if status := w.control("POST", "reset", nil, nil); status != 204 || len(w.Payments())+len(w.Notifications()) != 0 || w.Now().After(time.Now().Add(time.Minute)) {
		t.Errorf("reset: %d, %d payments at %s", status, len(w.Payments()), w.Now())
	}
	if b := w.Books(); len(b) != 1 || b[0].Paid != (Sum{}) {
		t.Errorf("books after a reset: %+v", b)
	}
	w.pay("order-000001") // its people and keys stay
}

func TestControlErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, c := range []struct {
		method, path string
		in           any
		status       int
		code, says   string
	}{
		{"GET", "nothing", nil, 404, "not_found", "there is no GET /sandbox/v1/nothing in the control API"},
		{"PUT", "clock", nil, 404, "not_found", "there is no PUT /sandbox/v1/clock in the control API"},
		{"GET", "payments/nothing", nil, 404, "not_found", `there is no order "nothing": GET /sandbox/v1/payments lists them`},
		{"POST", "notifications/nothing/resend", nil, 404, "not_found", `there is no notification "nothing"`},
		{"DELETE", "faults/nothing", nil, 404, "not_found", `there is no fault "nothing"`},
		{"POST", "clock", map[string]any{"advance": "tomorrow"}, 400, "bad_request", `advance "tomorrow" is no duration forward`},
		{"POST", "clock", map[string]any{"advance": "-1h"}, 400, "bad_request", `advance "-1h" is no duration forward`},
		{"POST", "clock", map[string]any{"forward": "1h"}, 400, "bad_request", `the body isn't what this call takes: json: unknown field "forward"`},
		{"POST", "login", map[string]any{"app_id": "wxnothing", "user": "alice"}, 400, "bad_request", `there is no app "wxnothing"`},
		{"POST", "faults", map[string]any{"on": "v3.query", "kind": "delay", "delay": "soon"}, 400, "bad_request", `the body isn't what this call takes: delay "soon" is no duration`},
		{"POST", "faults", map[string]any{"on": "v3.query", "kind": "nothing"}, 400, "bad_request", `kind "nothing" makes no sense on v3.query`},
		{"POST", "faults", map[string]any{"on": "v3.query", "color": "red"}, 400, "bad_request", `the body isn't what this call takes: json: unknown field "color"`},
		{"POST", "certificates/rotate", map[string]any{"mode": "magic"}, 400, "bad_request", `mode "magic" is unknown`},
		{"POST", "certificates/rotate", map[string]any{"merchant_id": "1"}, 400, "bad_request", `there is no merchant 1`},
		{"POST", "merchants", map[string]any{"id": "abc"}, 400, "bad_request", `merchant abc: id must be 8 to 10 digits`},
		{"GET", "journal?after=x", nil, 400, "bad_request", `after "x" is no number of an entry`},
		{"GET", "journal?limit=0", nil, 400, "bad_request", `limit "0" is no positive number`},
		{"GET", "journal/stream?after=x", nil, 400, "bad_request", `after "x" is no number of an entry`},
	} {
		var e problem
		if status := w.control(c.method, c.path, c.in, &e); status != c.status || e.Code != c.code || !strings.HasPrefix(e.Message, c.says) {
			t.Errorf("%s %s: %d %+v, want %d %s", c.method, c.path, status, e, c.status, c.says)
		}
	}
}

// Pages from elsewhere get neither keys nor their way, under whatever name they call.
func TestGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Hosts: []string{"Sandbox.test"}, Service: "http://shop.localhost:8080/"})
	w.SetBaseURL("http://wx:8090")
	for _, c := range []struct {
		name, method, path, host string
		header                   http.Header
		status                   int
	}{
		{"a program", "GET", "/sandbox/v1/clock", "127.0.0.1:8090", nil, 200},
		{"by name", "GET", "/sandbox/v1/clock", "localhost:8090", nil, 200},
		{"IPv6", "GET", "/sandbox/v1/clock", "[::1]:8090", nil, 200},
		{"by an address of the network", "GET", "/sandbox/v1/clock", "192.168.1.2:8090", nil, 200},
		{"by the base URL's name", "GET", "/sandbox/v1/clock", "wx:8090", nil, 200},
		{"by a name that is allowed", "GET", "/sandbox/v1/clock", "sandbox.test", nil, 200},
		{"rebinding", "GET", "/sandbox/v1/merchants", "evil.example.com:8090", nil, 403},
		{"rebinding, much alike", "GET", "/sandbox/v1/merchants", "localhost.example.com", nil, 403},
		{"no host", "GET", "/sandbox/v1/merchants", "", nil, 403},
		{"own page", "POST", "/sandbox/v1/reset", "127.0.0.1:8090", http.Header{"Origin": {"http://127.0.0.1:8090"}, "Sec-Fetch-Site": {"same-origin"}}, 204},
		{"page of the shop", "POST", "/sandbox/v1/reset", "127.0.0.1:8090", http.Header{"Origin": {"http://shop.localhost:8080"}, "Sec-Fetch-Site": {"cross-site"}}, 204},
		{"foreign page", "POST", "/sandbox/v1/reset", "127.0.0.1:8090", http.Header{"Origin": {"https://evil.example.com"}}, 403},
		{"foreign page on this machine", "POST", "/sandbox/v1/reset", "127.0.0.1:8090", http.Header{"Origin": {"http://127.0.0.1:9999"}}, 403},
		{"file", "POST", "/sandbox/v1/reset", "127.0.0.1:8090", http.Header{"Origin": {"null"}}, 403},
		{"picture in a foreign page", "GET", "/sandbox/v1/clock", "127.0.0.1:8090", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"foreign page on the phone", "POST", "/phone/", "127.0.0.1:8090", http.Header{"Origin": {"https://evil.example.com"}}, 403},
		{"rebinding on the phone", "GET", "/phone", "evil.example.com", nil, 403},
		{"WeChat's paths take any name", "GET", "/v3/nothing", "api.mch.weixin.qq.com", nil, 404},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = c.host
		for name, v := range c.header {
			r.Header[name] = v
		}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if rec.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, rec.Code, rec.Body, c.status)
		}
		if rec.Code == 403 && !strings.HasPrefix(rec.Body.String(), `{"code":"foreign_`) {
			t.Errorf("%s: %s", c.name, rec.Body)
		}
	}
}

func TestMerchants(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	var added Merchant
	if status := w.control("POST", "merchants", map[string]any{"apps": []any{map[string]any{"id": "wxabcdefabcdefabcd"}, map[string]any{}}, "apiv3_key": strings.Repeat("k", 32)}, &added); status != 201 {
		t.Fatalf("%d %+v", status, added)
	}
	if added.ID != "1900000002" || len(added.Apps) != 2 || added.Apps[0].ID != "wxabcdefabcdefabcd" || len(added.Apps[0].Secret) != 32 ||
		len(added.Apps[1].ID) != 18 || added.APIv3Key != strings.Repeat("k", 32) || len(added.APIv2Key) != 32 || len(added.CertificateSerial) != 40 ||
		!strings.HasPrefix(added.PublicKeyID, "PUB_KEY_ID_01") || added.Mode != "certificate" {
		t.Errorf("id %s, apps %v", added.ID, added.Apps)
	}
	own, err := certificateOf(added.Certificate)
	if err != nil || own.Subject.CommonName != added.ID || serialText(own.SerialNumber) != added.CertificateSerial {
		t.Errorf("its certificate: %v, %v", own.Subject, err)
	}
	of, err := certificateOf(added.PlatformCertificates[0].Certificate)
	if err != nil || of.Subject.CommonName != "Tenpay.com sign" || of.Issuer.CommonName != "Tenpay.com Root CA" || of.NotAfter != of.NotBefore.AddDate(5, 0, 0) ||
		serialText(of.SerialNumber) != added.PlatformCertificates[0].Serial {
		t.Errorf("WeChat Pay's certificate: %v, %v", of.Subject, err)
	}
	second := *w
	second.merchant, second.app = added, added.Apps[1]
	q := second.request("POST", "/v3/pay/transactions/jsapi", second.orderBody("order-000001", nil))
	if r := q.send(&second); r.status != 200 {
		t.Errorf("the added merchant orders: %d %s", r.status, r.body)
	}

	// What another sandbox's merchants are is taken as it is.
	again, err := New(Options{Merchants: w.Merchants()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if string(encode(again.Merchants())) != string(encode(w.Merchants())) {
		t.Error("the merchants of one sandbox are others in another")
	}
	if text := fmt.Sprintf("%v %+v %#v %s %v", added, added, added, added.Apps[0], added.Apps); strings.Contains(text, added.APIv3Key) || strings.Contains(text, added.Apps[0].Secret) || strings.Contains(text, "PRIVATE") {
		t.Errorf("a merchant prints %s", text)
	}

	short := oneMerchant()
	short.ID, short.PublicKeyID, short.Certificate, short.CertificateSerial = "19000001", "", "", ""
	if short, err = w.AddMerchant(short); err != nil || !strings.HasPrefix(short.PublicKeyID, "PUB_KEY_ID_010019000001") {
		t.Errorf("of eight digits: %s, %v", short.PublicKeyID, err)
	}

	for name, m := range map[string]Merchant{
		"exists":                               {ID: w.merchant.ID, PrivateKey: w.merchant.PrivateKey},
		"must be 32 bytes long":                {APIv3Key: "short"},
		"is no PEM text":                       {PrivateKey: "key"},
		"isn't the certificate's":              {PrivateKey: w.merchant.PrivateKey, Certificate: w.merchant.Certificate, CertificateSerial: "AB"},
		"doesn't belong to private_key":        {PrivateKey: added.PrivateKey, Certificate: w.merchant.Certificate},
		"comes without its private_key":        {Certificate: w.merchant.Certificate},
		"come without private_key":             {PlatformCertificates: []PlatformCertificate{{Serial: "AB", Certificate: w.merchant.Certificate}}},
		"comes without public_key_private_key": {PublicKey: w.merchant.PublicKey},
		"must be 8 to 10 digits":               {ID: "12345678901"},
		"exists with another secret":           {Apps: []App{{ID: w.app.ID, Secret: "another"}}, PrivateKey: added.PrivateKey},
	} {
		full := oneMerchant()
		if m.ID == "" {
			m.ID = "1900000555"
		}
		// Only what is wrong is given; the rest need not be made anew.
		if m.PlatformCertificates == nil {
			m.PlatformCertificates = full.PlatformCertificates
		}
		if m.PublicKey == "" {
			m.PublicKeyPrivateKey = full.PublicKeyPrivateKey
		}
		if m.PrivateKey == "" && m.Certificate == "" {
			m.PrivateKey = full.PrivateKey
		}
		if _, err := w.AddMerchant(m); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(w.Merchants()); n != 3 {
		t.Errorf("%d merchants", n)
	}
}

// The certificates decrypt with the APIv3 key, and the one that signs this very answer is among them.
func TestCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	get := func() (map[string]string, reply) {
		r := w.call("GET", "/v3/certificates", "")
		var v struct {
			Data []struct {
				Serial    string    `json:"serial_no"`
				Effective time.Time `json:"effective_time"`
				Expire    time.Time `json:"expire_time"`
				Sealed    struct {
					Algorithm, Nonce, Ciphertext string
					AssociatedData               string `json:"associated_data"`
				} `json:"encrypt_certificate"`
			}
		}
		if err := json.Unmarshal(r.body, &v); err != nil {
			t.Fatalf("%d %s", r.status, r.body)
		}
		found := map[string]string{}
		for _, c := range v.Data {
			plain, err := open(w.merchant.APIv3Key, c.Sealed.Nonce, c.Sealed.AssociatedData, c.Sealed.Ciphertext)
			if err != nil || c.Sealed.Algorithm != "AEAD_AES_256_GCM" || c.Sealed.AssociatedData != "certificate" || !c.Expire.Equal(c.Effective.AddDate(5, 0, 0)) ||
				strings.HasSuffix(string(plain), "\n") {
				t.Errorf("%+v, %v", c, err)
			}
			found[c.Serial] = string(plain)
		}
		if r.status == 200 && !w.genuine(r.header, r.body) {
			t.Error("not genuine")
		}
		return found, r
	}
	before, _ := get()
	old := w.merchant.PlatformCertificates[0].Serial
	if len(before) != 1 || before[old]+"\n" != w.merchant.PlatformCertificates[0].Certificate {
		t.Errorf("%v", before)
	}

	if status := w.control("POST", "certificates/rotate", map[string]any{}, nil); status != 200 {
		t.Errorf("rotate: %d", status)
	}
	after, r := get()
	if len(after) != 2 || after[old] == "" || r.header.Get("Wechatpay-Serial") != old {
		t.Errorf("after a rotation %d, signed by %s", len(after), r.header.Get("Wechatpay-Serial"))
	}
	// The list is signed by the certificate that a running client knows, everything else by the new one.
	if serial := w.call("POST", "/v3/pay/transactions/jsapi", w.orderBody("rotated_1", nil)).header.Get("Wechatpay-Serial"); serial == old || after[serial] == "" {
		t.Errorf("an order is answered under %s", serial)
	}

	// In the middle of the change to the public key, the request says which.
	q := w.request("GET", "/v3/certificates", "")
	q.header.Set("Wechatpay-Serial", w.merchant.PublicKeyID)
	if r := q.send(w); r.status != 200 || r.header.Get("Wechatpay-Serial") != w.merchant.PublicKeyID || !w.genuine(r.header, r.body) {
		t.Errorf("asked for the public key: %d, %s", r.status, r.header.Get("Wechatpay-Serial"))
	}
	w.control("POST", "certificates/rotate", map[string]any{"mode": "public_key"}, nil)
	if r := w.call("GET", "/v3/certificates", ""); r.status != 404 || r.code() != "RESOURCE_NOT_EXISTS" || !strings.HasPrefix(r.message(), "无可用的平台证书") {
		t.Errorf("in public-key mode: %d %s", r.status, r.body)
	}
	w.pay("order-000001")
	w.idle()
	if n := w.shop.all()[0]; n.header.Get("Wechatpay-Serial") != w.merchant.PublicKeyID || !w.genuine(n.header, n.body) {
		t.Errorf("a notification in public-key mode: %v", n.header)
	}
	w.control("POST", "certificates/rotate", map[string]any{"mode": "certificate", "merchant_id": w.merchant.ID}, nil)
	if after, _ := get(); len(after) != 2 {
		t.Errorf("back again: %d", len(after))
	}
}

// Each act of a purchase is in the journal, in order and under its order's number.
func TestJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.pay("order-000001")
	w.idle()
	w.place("order-000002", nil)
	w.Advance(time.Hour)
	w.fault(Fault{On: "v3.query", Kind: "error", Count: 1})
	w.state("order-000001")
	var got []string
	for _, e := range w.Journal(0, "order-000001", 0) {
		got = append(got, e.Kind+" "+e.Name)
	}
	// Whether the phone or the notification is written down first is a race, as in life.
	slices.Sort(got[3:5])
	want := []string{"state order.created", "call v3.prepay", "state order.paid", "notification notify.payment", "user requestPayment", "call v3.query"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	all := w.Journal(0, "", 0)
	for i, e := range all {
		if e.Seq != all[0].Seq+int64(i) || e.At.IsZero() {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	call := w.Journal(0, "order-000001", 2)[1]
	if call.Method != "POST" || call.Path != "/v3/pay/transactions/jsapi" || call.Status != 200 || !strings.HasPrefix(call.Request, "POST /v3/pay/transactions/jsapi HTTP/1.1\n") ||
		!strings.Contains(call.Request, "\nAuthorization: WECHATPAY2-SHA256-RSA2048 mchid=") || !strings.Contains(call.Request, `"out_trade_no":"order-000001"`) ||
		!strings.Contains(call.Response, "\nWechatpay-Signature: ") || !strings.Contains(call.Response, `{"prepay_id":"`) {
		t.Errorf("%+v", call)
	}
	last := all[len(all)-1]
	if last.Status != 500 || last.Code != "SYSTEM_ERROR" {
		t.Errorf("%+v", last)
	}
	if since := w.Journal(last.Seq-1, "", 0); len(since) != 1 {
		t.Errorf("%d entries since the last", len(since))
	}
	if future := w.Journal(last.Seq+1000, "", 0); len(future) != len(all) {
		t.Errorf("from the future: %d of %d", len(future), len(all))
	}
}

func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for i := range 3*journalSize + 17 {
		w.record(Entry{Kind: "shop", Summary: fmt.Sprint(i), Request: strings.Repeat("汉", maxEntryText)})
	}
	all := w.Journal(0, "", 0)
	if len(all) != journalSize || all[0].Summary != fmt.Sprint(2*journalSize+17) || all[len(all)-1].Summary != fmt.Sprint(3*journalSize+16) {
		t.Errorf("%d entries from %s on", len(all), all[0].Summary)
	}
	if n := len(w.journal.entries); n > 2*journalSize {
		t.Errorf("%d entries are kept", n)
	}
	if n := len(all[0].Request); n > maxEntryText || n < maxEntryText-8 || !strings.HasSuffix(all[0].Request, "汉…") {
		t.Errorf("%d bytes", n)
	}
}

func TestJournalStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for i := range 250 {
		w.record(Entry{Kind: "shop", Summary: fmt.Sprint(i)})
	}
	read := func(last string, after string) *bufio.Reader {
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		r, err := http.NewRequestWithContext(ctx, "GET", w.url+"/sandbox/v1/journal/stream?after="+after, nil)
		if err != nil {
			t.Fatal(err)
		}
		if last != "" {
			r.Header.Set("Last-Event-ID", last)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = answer.Body.Close() })
		if answer.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
			t.Errorf("%v", answer.Header)
		}
		return bufio.NewReader(answer.Body)
	}
	next := func(in *bufio.Reader) (string, Entry) {
		t.Helper()
		var id string
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := strings.CutPrefix(line, "id: "); ok {
				id = strings.TrimSpace(v)
			}
			if v, ok := strings.CutPrefix(line, "data: "); ok {
				var e Entry
				if err := json.Unmarshal([]byte(v), &e); err != nil {
					t.Fatal(err)
				}
				return id, e
			}
		}
	}
	in := read("", "10")
	for i := 10; i < 250; i++ {
		if id, e := next(in); id != fmt.Sprint(i+1) || e.Summary != fmt.Sprint(i) {
			t.Fatalf("id %s, %+v", id, e)
		}
	}
	w.record(Entry{Kind: "shop", Summary: "live"})
	if _, e := next(in); e.Summary != "live" {
		t.Errorf("%+v", e)
	}
	again := read("250", "0")
	if id, e := next(again); id != "251" || e.Summary != "live" {
		t.Errorf("id %s, %+v", id, e)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(in); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		r := httptest.NewRequest("GET", "/sandbox/v1/journal/stream", nil)
		r.Host = "127.0.0.1"
		rec := httptest.NewRecorder()
		ctx, cancel := context.WithCancel(r.Context())
		done := make(chan struct{})
		go func() { w.ServeHTTP(rec, r.WithContext(ctx)); close(done) }()
		time.Sleep(46 * time.Second)
		synctest.Wait()
		cancel()
		<-done
		if n := strings.Count(rec.Body.String(), ": still here\n\n"); n != 3 {
			w.t.Errorf("%d heartbeats in 46 s", n)
		}
	})
}
