package apiv2_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
	"github.com/fenhao-pay/fenhao/wechatpay/bill"
)

const tradeBill = "\ufeff交易时间,商户号,微信订单号,商户订单号,交易状态,商品名称,手续费,费率,订单金额\r\n" +
	"`2026-11-19 10:00:00,`1900007291,`4200000002202611190000000001,`ORDER-000002,`SUCCESS,`拿铁, 大杯,`0.01000,`0.60%,`1.10\r\n" +
	"总交易单数,手续费总金额,订单总金额\r\n`1.0,`0.01,`1.1\r\n"

func zipped(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, s)
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

// serve answers with bytes.
func (f *fake) serve(header http.Header, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.raw = func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range header {
			w.Header()[k] = v
		}
		_, _ = w.Write(body) // the client may be gone on purpose
	}
}

func TestDownloadBill(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	for name, body := range map[string][]byte{"gzip": zipped(tradeBill), "plain": []byte(tradeBill)} {
		f.serve(nil, body)
		text, err := client.DownloadBill(t.Context(), apiv2.TradeBillRequest{Date: "2026-11-19"})
		if err != nil {
			t.Fatal(err)
		}
		trades := bill.Trades(text, bill.Options{})
		var numbers []string
		for row, err := range trades.Rows() {
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, row.OutTradeNo)
		}
		if len(numbers) != 1 || numbers[0] != "ORDER-000002" || trades.Summary().Total != 110 {
			t.Errorf("%s: %v, %+v", name, numbers, trades.Summary())
		}
		if err := text.Close(); err != nil {
			t.Error(err)
		}
	}
	r := f.last()
	if want := (m{"appid": appID, "mch_id": merchantID, "sign_type": "HMAC-SHA256", "bill_date": "20261119", "bill_type": "ALL",
		"tar_type": "GZIP"}); r.path != "/pay/downloadbill" ||
		r.fields.with(m{"sign": "", "nonce_str": ""}).text() != want.text() {
		t.Errorf("sent %+v", r)
	}
	c := config()
	c.SignType = apiv2.MD5
	text, err := newClient(t, f, c).DownloadBill(t.Context(), apiv2.TradeBillRequest{Date: "2026-11-19", Type: apiv2.BillRefund})
	if err != nil || f.last().fields["sign_type"] != "MD5" || f.last().fields["bill_type"] != "REFUND" {
		t.Errorf("%v, sent %v", err, f.last())
	}
	_ = text.Close()
}

func TestBillRefusals(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	for _, c := range []struct {
		body      string
		code      apiv2.Code
		level     apiv2.Level
		number    string
		uncertain bool
	}{
		{"<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[No Bill Exist]]></return_msg><error_code><![CDATA[20002]]></error_code></xml>", apiv2.CodeNoBillExist, apiv2.LevelTransport, "20002", false},
		{m{"return_code": "FAIL", "return_msg": "NO Bill Exist"}.xml(), apiv2.CodeNoBillExist, apiv2.LevelTransport, "", false},
		{m{"return_code": "FAIL", "return_msg": "Bill Creating"}.xml(), apiv2.CodeBillCreating, apiv2.LevelTransport, "", false},
		{m{"return_code": "FAIL", "return_msg": "CompressGZip Error"}.xml(), apiv2.CodeGzipError, apiv2.LevelTransport, "", false},
		{m{"return_code": "FAIL", "return_msg": "UnCompressGZip Error"}.xml(), apiv2.CodeUngzipError, apiv2.LevelTransport, "", false},
		{m{"return_code": "FAIL", "return_msg": "invalid bill_type", "error_code": "20001"}.xml(), apiv2.CodeParamError, apiv2.LevelTransport, "20001", false},
		{m{"return_code": "FAIL", "return_msg": "data format error"}.xml(), apiv2.CodeParamError, apiv2.LevelTransport, "", false},
		{m{"return_code": "FAIL", "return_msg": "missing parameter"}.xml(), apiv2.CodeLackParams, apiv2.LevelTransport, "", false},
		{m{"return_code": "FAIL", "return_msg": "SIGN ERROR"}.xml(), apiv2.CodeSignError, apiv2.LevelTransport, "", false},
		{m{"return_code": "FAIL", "return_msg": "SYSTEMERROR"}.xml(), apiv2.CodeSystemError, apiv2.LevelTransport, "", true},
		{m{"return_code": "SUCCESS", "result_code": "FAIL", "err_code": "NO_BILL_EXIST"}.xml(), apiv2.CodeNoBillExist, apiv2.LevelBusiness, "", false},
		{m{"return_code": "SUCCESS", "result_code": "FAIL", "err_code": "BILL_CREATING"}.xml(), apiv2.CodeBillCreating, apiv2.LevelBusiness, "", false},
		{m{"return_code": "SUCCESS", "result_code": "FAIL", "err_code": "SYSTEMERROR"}.xml(), apiv2.CodeSystemError, apiv2.LevelBusiness, "", true},
	} {
		f.serve(nil, []byte(c.body))
		text, err := client.DownloadBill(t.Context(), apiv2.TradeBillRequest{Date: "2026-11-19"})
		var e *apiv2.Error
		if !errors.As(err, &e) || e.Code != c.code || e.Level != c.level || e.Number != c.number || errors.Is(err, apiv2.ErrUncertain) != c.uncertain || text != nil {
			t.Errorf("%s: %v, want %s", c.body, err, c.code)
		}
	}
	for name, body := range map[string]string{
		"empty": "", "success and no bill": m{"return_code": "SUCCESS", "result_code": "SUCCESS"}.xml(), "HTML": "<html></html>", "doctype": "<!DOCTYPE xml><xml></xml>",
		"XML cut off": "<xml><return_code>FAIL", "long XML": "<xml>" + strings.Repeat(" ", 1<<17) + "</xml>",
	} {
		f.serve(nil, []byte(body))
		if text, err := client.DownloadBill(t.Context(), apiv2.TradeBillRequest{Date: "2026-11-19"}); !errors.Is(err, apiv2.ErrUncertain) || text != nil {
			t.Errorf("%s: %v, want ErrUncertain", name, err)
		}
	}
	f.mu.Lock()
	f.raw = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	f.mu.Unlock()
	if _, err := client.DownloadBill(t.Context(), apiv2.TradeBillRequest{Date: "2026-11-19"}); !errors.Is(err, apiv2.Code("HTTP_502")) || !errors.Is(err, apiv2.ErrUncertain) {
		t.Errorf("%v, want HTTP_502", err)
	}
	before := f.count()
	for _, r := range []apiv2.TradeBillRequest{
		{}, {Date: "20261119"}, {Date: "2026-11-31"}, {Date: "2026-11-19T00:00:00Z"}, {Date: "2026-11-20"}, {Date: "2027-01-01"}, {Date: "2026-11-19", Type: "all"},
	} {
		if _, err := client.DownloadBill(t.Context(), r); !errors.Is(err, apiv2.ErrNotSent) {
			t.Errorf("%+v: %v, want ErrNotSent", r, err)
		}
	}
	for _, r := range []apiv2.FundFlowBillRequest{{}, {Date: "2026-11-20"}, {Date: "2026-11-19", Account: "BASIC"}} {
		if _, err := client.DownloadFundFlow(t.Context(), r); !errors.Is(err, apiv2.ErrNotSent) {
			t.Errorf("%+v: %v, want ErrNotSent", r, err)
		}
	}
	if f.count() != before {
		t.Error("something was sent")
	}
	// In Beijing the day is over eight hours earlier.
	f.serve(nil, []byte(tradeBill))
	early := newClient(t, f, config(), apiv2.WithClock(func() time.Time { return time.Date(2026, 11, 19, 16, 0, 0, 0, time.UTC) }))
	text, err := early.DownloadBill(t.Context(), apiv2.TradeBillRequest{Date: "2026-11-19"})
	if err != nil {
		t.Fatal(err)
	}
	_ = text.Close()
}

func TestDownloadFundFlow(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	c := config()
	c.SignType = apiv2.MD5
	client := newClient(t, f, c)
	sum := func(b []byte) []byte { s := sha1.Sum(b); return s[:] }
	z := zipped(tradeBill)
	for name, c := range map[string]struct {
		digest string
		ok     bool
	}{
		"none":              {"", true},
		"of the text":       {"SHA=" + hex.EncodeToString(sum([]byte(tradeBill))), true},
		"in capitals":       {"sha=" + strings.ToUpper(hex.EncodeToString(sum([]byte(tradeBill)))), true},
		"in Base64":         {"SHA=" + base64.StdEncoding.EncodeToString(sum([]byte(tradeBill))), true},
		"of the file":       {"SHA=" + hex.EncodeToString(sum(z)), true},
		"another algorithm": {"MD5=" + hex.EncodeToString(sum(nil)), true},
		"of something":      {"SHA=" + hex.EncodeToString(sum(nil)), false},
		"of something else": {"SHA=" + base64.StdEncoding.EncodeToString(sum([]byte("x"))), false},
	} {
		header := http.Header{}
		if c.digest != "" {
			header.Set("Digest", c.digest)
		}
		f.serve(header, z)
		text, err := client.DownloadFundFlow(t.Context(), apiv2.FundFlowBillRequest{Date: "2026-11-19"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(text)
		if string(got) != tradeBill || (err == nil) != c.ok || !c.ok && !errors.Is(err, apiv2.ErrBadBill) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if _, again := text.Read(make([]byte, 1)); !c.ok && !errors.Is(again, apiv2.ErrBadBill) || c.ok && again != io.EOF {
			t.Errorf("%s: read again: %v", name, again)
		}
		_ = text.Close()
	}
	r := f.last()
	if want := (m{"appid": appID, "mch_id": merchantID, "sign_type": "HMAC-SHA256", "bill_date": "20261119", "account_type": "Basic",
		"tar_type": "GZIP"}); r.path != "/pay/downloadfundflow" ||
		r.fields.with(m{"sign": "", "nonce_str": ""}).text() != want.text() {
		t.Errorf("sent %+v", r)
	}
}

func TestBrokenBills(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	z := zipped(tradeBill)
	read := func(r apiv2.TradeBillRequest) error {
		text, err := client.DownloadBill(t.Context(), r)
		if err != nil {
			return err
		}
		defer text.Close()
		_, err = io.Copy(io.Discard, text)
		return err
	}
	yesterday := apiv2.TradeBillRequest{Date: "2026-11-19"}
	for name, body := range map[string][]byte{"gzip cut off": z[:len(z)-4],
		"gzip damaged": append(bytes.Clone(z[:len(z)-8]), make([]byte, 8)...), "gzip head alone": z[:5], "gzip and more": append(bytes.Clone(z), 'x')} {
		f.serve(nil, body)
		if err := read(yesterday); !errors.Is(err, apiv2.ErrBadBill) {
			t.Errorf("%s: %v, want ErrBadBill", name, err)
		}
	}
	f.serve(nil, zipped(strings.Repeat("0", 1<<20)))
	if err := read(apiv2.TradeBillRequest{Date: "2026-11-19", MaxBytes: 1<<20 - 1}); !errors.Is(err, apiv2.ErrBadBill) {
		t.Errorf("too long: %v, want ErrBadBill", err)
	}
	if err := read(apiv2.TradeBillRequest{Date: "2026-11-19", MaxBytes: 1 << 20}); err != nil {
		t.Errorf("just long enough: %v", err)
	}
	for name, n := range map[string]int{"connection cut early": 1, "connection cut": len(z) - 1} {
		f.serve(http.Header{"Content-Length": {"100000"}}, z[:n])
		if err := read(yesterday); !errors.Is(err, apiv2.ErrUncertain) || errors.Is(err, apiv2.ErrBadBill) {
			t.Errorf("%s: %v, want ErrUncertain", name, err)
		}
	}
}

// A download that pauses ends; one that goes on slowly does not, nor does one whose reader takes its time.
func TestStalledBills(t *testing.T) {
	t.Parallel()
	const half = 29 * time.Second
	for name, c := range map[string]struct {
		header, body time.Duration // how long each takes to come
		reader       time.Duration // how long the reader takes
		ok           bool
	}{
		"slow":        {half, half, 0, true},
		"no header":   {31 * time.Second, 0, 0, false},
		"no body":     {0, 31 * time.Second, 0, false},
		"slow reader": {0, 0, time.Hour, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			var serving sync.WaitGroup
			defer serving.Wait()
			dial := func(context.Context, string, string) (net.Conn, error) {
				client, server := net.Pipe()
				serving.Go(func() {
					defer server.Close()
					req, err := http.ReadRequest(bufio.NewReader(server))
					if err == nil {
						_, err = io.Copy(io.Discard, req.Body)
					}
					pieces := []struct {
						after time.Duration
						text  string
					}{{c.header, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab"}, {c.body, "cd"}, {c.body, "ef"}}
					for _, p := range pieces {
						if err != nil {
							return
						}
						time.Sleep(p.after) // on fake time
						_, err = io.WriteString(server, p.text)
					}
				})
				return client, nil
			}
			client, err := apiv2.NewClient(config(), apiv2.WithBaseURL("http://wechat.test"), apiv2.WithClock(func() time.Time { return start }),
				apiv2.WithHTTPClient(&http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DialContext: dial}}))
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			text, err := client.DownloadBill(t.Context(), apiv2.TradeBillRequest{Date: "2026-11-19"})
			for err == nil {
				time.Sleep(c.reader)
				var b [2]byte
				var n int
				n, err = text.Read(b[:])
				got = append(got, b[:n]...)
			}
			if c.ok != (err == io.EOF) || c.ok && string(got) != "abcdef" || !c.ok && !errors.Is(err, apiv2.ErrUncertain) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			if text != nil {
				_ = text.Close()
			}
		})
	}
}
