package wechatpay_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
	"github.com/fenhao-pay/fenhao/wechatpay/bill"
)

// tradeBill has n payments of 0.29 yuan.
func tradeBill(n int) string {
	var b strings.Builder
	b.WriteString("\ufeff交易时间,商户号,微信订单号,商户订单号,交易状态,商品名称,手续费,费率,订单金额\r\n")
	for i := range n {
		fmt.Fprintf(&b, "`2026-11-19 10:00:00,`1900007291,`42%026d,`ORDER-%06d,`SUCCESS,`拿铁, 大杯,`0.00000,`0.60%%,`0.29\r\n", i, i)
	}
	fmt.Fprintf(&b, "总交易单数,手续费总金额,订单总金额\r\n`%d.0,`0.0,`%d.%02d\r\n", n, n*29/100, n*29%100)
	return b.String()
}

const fundBill = "\ufeff记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号\r\n" +
	"`2026-11-19 04:21:23,`50000305742018020103387128253,`1900009231201802015884652186,`退款,`退款,`支出,`0.02,`0.17,`system,`缺货,`REF42\r\n" +
	"资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\r\n`1.0,`0.0,`0.0,`1.0,`0.02\r\n"

func zip(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.String()
}

func sha1Hex(text string) string { return fmt.Sprintf("%x", sha1.Sum([]byte(text))) }

const (
	tradePath = "GET /v3/bill/tradebill"
	fundPath  = "GET /v3/bill/fundflowbill"
	filePath  = "GET /v3/billdownload/file"
)

// ready is the answer that a bill is ready. The blank before the address is the manual's.
func ready(f *fake, hash string) string {
	return fmt.Sprintf(`{"hash_type":"SHA1","hash_value":%q,"download_url":" %s/v3/billdownload/file?token=a%%2Bb|c&tartype=gzip"}`, hash, f.URL)
}

func collectBill[Row any](rows iter.Seq2[Row, error]) (all []Row, err error) {
	for row, e := range rows {
		if e != nil {
			err = e
		} else {
			all = append(all, row)
		}
	}
	return all, err
}

func TestTradeBill(t *testing.T) {
	t.Parallel()
	text := tradeBill(1000)
	for name, file := range map[string]string{"gzip": zip(text), "plain": text} {
		for _, hash := range []string{sha1Hex(text), sha1Hex(file), strings.ToUpper(sha1Hex(text))} {
			f := startFake(t, newClock())
			s := play(f, map[string]string{tradePath: ready(f, hash), filePath: file})
			client := newClient(t, f, config())
			b, err := client.TradeBill(t.Context(), wechatpay.TradeBillRequest{Date: "2026-11-19"})
			if err != nil {
				t.Fatal(err)
			}
			if b.Summary().Count != 0 {
				t.Error("a summary before the rows")
			}
			for what, rows := range map[string]iter.Seq2[bill.TradeRow, error]{"Rows": b.Rows(t.Context()), "Stream": b.Stream(t.Context())} {
				all, err := collectBill(rows)
				if err != nil || len(all) != 1000 || all[999].OutTradeNo != "ORDER-000999" || all[0].Total != 29 || b.Summary().Total != 29000 {
					t.Errorf("%s, %s: %d rows, %+v, %v", name, what, len(all), b.Summary(), err)
				}
			}
			var out bytes.Buffer
			if n, err := b.Download(t.Context(), &out); err != nil || n != int64(len(text)) || out.String() != text {
				t.Errorf("%s: Download wrote %d bytes, %v", name, n, err)
			}
			const again = filePath + "?token=a%2Bb|c&tartype=gzip"
			s.expect(t, tradePath+"?bill_date=2026-11-19&bill_type=ALL&tar_type=GZIP", again, again, again)
		}
	}
}

func TestBillRequests(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	s := play(f, map[string]string{tradePath: ready(f, sha1Hex("")), fundPath: ready(f, sha1Hex(fundBill)), filePath: zip(fundBill)})
	client := newClient(t, f, config())
	if _, err := client.For(subMerchant).TradeBill(t.Context(), wechatpay.TradeBillRequest{Date: "2026-11-19", Type: wechatpay.BillRefund}); err != nil {
		t.Error(err)
	}
	b, err := client.FundFlowBill(t.Context(), wechatpay.FundFlowBillRequest{Date: "2026-11-19", Account: wechatpay.AccountFees})
	if err != nil {
		t.Fatal(err)
	}
	s.expect(t, tradePath+"?bill_date=2026-11-19&bill_type=REFUND&sub_mchid=1900000109&tar_type=GZIP",
		fundPath+"?account_type=FEES&bill_date=2026-11-19&tar_type=GZIP")
	rows, err := collectBill(b.Rows(t.Context()))
	if err != nil || len(rows) != 1 || rows[0].Change() != -2 || b.Summary().Expense != 2 {
		t.Errorf("%+v, %v", rows, err)
	}
	_, err = client.For(subMerchant).FundFlowBill(t.Context(), wechatpay.FundFlowBillRequest{Date: "2026-11-19"})
	refused(t, "a sub merchant's fund flow", err, "sub_mchid")
	for _, date := range []string{"", "20261119", "2026-11-31", "2026-11-19 "} {
		_, err := client.TradeBill(t.Context(), wechatpay.TradeBillRequest{Date: date})
		refused(t, date, err, "bill_date")
	}
	for answer, code := range map[string]wechatpay.Code{"400 NO_STATEMENT_EXIST": wechatpay.CodeNoStatementExist, "400 STATEMENT_CREATING": wechatpay.CodeStatementCreating} {
		s.set(tradePath, answer)
		if b, err := client.TradeBill(t.Context(), wechatpay.TradeBillRequest{Date: "2026-11-19"}); !errors.Is(err, code) || b != nil {
			t.Errorf("%s: %v", answer, err)
		}
	}
	for name, answer := range map[string]string{
		"another hash":       strings.Replace(ready(f, sha1Hex("")), "SHA1", "SM3", 1),
		"half a hash":        ready(f, "abcd"),
		"no hash":            ready(f, ""),
		"elsewhere":          strings.Replace(ready(f, sha1Hex("")), f.URL, "https://evil.example.com", 1),
		"a user":             strings.Replace(ready(f, sha1Hex("")), "http://", "http://a@", 1),
		"WeChat's, but http": strings.Replace(ready(f, sha1Hex("")), f.URL, "http://api.mch.weixin.qq.com", 1),
		"like WeChat's":      strings.Replace(ready(f, sha1Hex("")), f.URL, "https://api.mch.weixin.qq.com.example.com", 1),
		"another port":       strings.Replace(ready(f, sha1Hex("")), f.URL, "https://api.mch.weixin.qq.com:444", 1),
		"another path":       strings.Replace(ready(f, sha1Hex("")), "/v3/", "/v2/", 1),
		"no address":         `{"hash_type":"SHA1","hash_value":"` + sha1Hex("") + `"}`,
	} {
		s.set(tradePath, answer)
		if b, err := client.TradeBill(t.Context(), wechatpay.TradeBillRequest{Date: "2026-11-19"}); !errors.Is(err, wechatpay.ErrUncertain) || b != nil {
			t.Errorf("%s: %v, want ErrUncertain", name, err)
		}
	}
	// WeChat Pay's own address is taken for this client's server: an emulator may print it.
	s.set(tradePath, strings.Replace(ready(f, sha1Hex(tradeBill(1))), f.URL, "https://api.mch.weixin.qq.com", 1))
	s.set(filePath, zip(tradeBill(1)))
	own, err := client.TradeBill(t.Context(), wechatpay.TradeBillRequest{Date: "2026-11-19"})
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := collectBill(own.Rows(t.Context())); err != nil || len(rows) != 1 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// Whatever is wrong with the file, Rows yields none of it, and Stream ends in an error.
func TestBadBills(t *testing.T) {
	t.Parallel()
	text := tradeBill(300)
	wrong := strings.Replace(text, "`0.29\r\n", "`0.30\r\n", 1)
	cut := zip(text)[:len(zip(text))/2]
	flipped := []byte(zip(text))
	flipped[len(flipped)/2] ^= 1
	bomb := zip(text + strings.Repeat("\r\n", 1<<20))
	f := startFake(t, newClock())
	client := newClient(t, f, config())
	for name, c := range map[string]struct {
		file, hash string
		limits     wechatpay.BillLimits
		want       error
	}{
		"another bill":        {file: zip(tradeBill(299)), hash: sha1Hex(text), want: wechatpay.ErrBadBill},
		"one fen more":        {file: zip(wrong), hash: sha1Hex(text), want: wechatpay.ErrBadBill},
		"totals that are off": {file: zip(wrong), hash: sha1Hex(wrong), want: bill.ErrTotals},
		"cut off":             {file: cut, hash: sha1Hex(text), want: wechatpay.ErrBadBill},
		"cut off, plain":      {file: text[:len(text)/2], hash: sha1Hex(text), want: wechatpay.ErrBadBill},
		"a flipped bit":       {file: string(flipped), hash: sha1Hex(text), want: wechatpay.ErrBadBill},
		"no gzip behind it":   {file: "\x1f\x8b no", hash: sha1Hex(text), want: wechatpay.ErrBadBill},
		"something after it":  {file: zip(text) + "x", hash: sha1Hex(text), want: wechatpay.ErrBadBill},
		"gzip in gzip":        {file: zip(zip(text)), hash: sha1Hex(zip(text)), want: bill.ErrFormat},
		"too long":            {file: bomb, hash: sha1Hex(text + strings.Repeat("\r\n", 1<<20)), limits: wechatpay.BillLimits{MaxBytes: 1 << 20}, want: wechatpay.ErrBadBill},
		"too many rows":       {file: zip(text), hash: sha1Hex(text), limits: wechatpay.BillLimits{MaxRows: 299}, want: bill.ErrTooLarge},
		"JSON":                {file: `{"code":"PARAM_ERROR"}`, hash: sha1Hex(`{"code":"PARAM_ERROR"}`), want: bill.ErrFormat},
		"nothing":             {file: " ", hash: sha1Hex(text), want: wechatpay.ErrBadBill},
		"a refusal":           {file: "400 INVALID_REQUEST", hash: sha1Hex(text), want: wechatpay.CodeInvalidRequest},
		"trouble":             {file: "500 SYSTEM_ERROR", hash: sha1Hex(text), want: wechatpay.ErrUncertain},
		"a redirection":       {file: "302 FOUND", hash: sha1Hex(text), want: wechatpay.ErrUncertain},
	} {
		play(f, map[string]string{tradePath: ready(f, c.hash), filePath: c.file})
		b, err := client.TradeBill(t.Context(), wechatpay.TradeBillRequest{Date: "2026-11-19", BillLimits: c.limits})
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := collectBill(b.Rows(t.Context())); !errors.Is(err, c.want) || len(rows) != 0 || b.Summary().Count != 0 {
			t.Errorf("%s: Rows gave %d rows, %v, want %v", name, len(rows), err, c.want)
		}
		// Streaming, a reader may find the fault before the hash does.
		if _, err := collectBill(b.Stream(t.Context())); err == nil || b.Summary().Count != 0 {
			t.Errorf("%s: Stream ended without an error, or with a summary", name)
		}
		_, err = b.Download(t.Context(), io.Discard)
		if proven := errors.Is(c.want, bill.ErrTotals) || errors.Is(c.want, bill.ErrTooLarge) || errors.Is(c.want, bill.ErrFormat); proven != (err == nil) {
			t.Errorf("%s: Download: %v", name, err)
		}
	}
}

func TestRowsLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	f := startFake(t, newClock())
	play(f, map[string]string{tradePath: ready(f, sha1Hex(tradeBill(10))), filePath: zip(tradeBill(10))})
	b, err := newClient(t, f, config()).TradeBill(t.Context(), wechatpay.TradeBillRequest{Date: "2026-11-19"})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for range b.Rows(t.Context()) {
		if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
			t.Errorf("%v, %v", files, err)
		}
		seen++
		break
	}
	for range b.Stream(t.Context()) {
		seen++
		break
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 || seen != 2 || b.Summary().Count != 0 {
		t.Errorf("left behind: %v, %v; %d rows", files, err, seen)
	}
	t.Setenv("TMPDIR", dir+"/none")
	if rows, err := collectBill(b.Rows(t.Context())); err == nil || len(rows) != 0 {
		t.Errorf("without a place for it: %d rows, %v", len(rows), err)
	}
}

// trickle is a body that gives a piece each time that it is told to.
type trickle struct {
	pieces chan string
	ctx    context.Context
	rest   string
}

func (b *trickle) Read(p []byte) (int, error) {
	for b.rest == "" {
		select {
		case piece, ok := <-b.pieces:
			if !ok {
				return 0, io.EOF
			}
			b.rest = piece
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *trickle) Close() error { return nil }

// roundTrip is a transport without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A download takes as long as bytes arrive, past the timeout of a request; half a minute of silence ends it.
func TestDownloadsMayBeSlowButNotSilent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pause time.Duration
		want  error
	}{"slow": {25 * time.Second, nil}, "silent": {31 * time.Second, wechatpay.ErrUncertain}} {
		synctest.Test(t, func(t *testing.T) {
			text := tradeBill(3)
			pieces := make(chan string)
			transport := roundTrip(func(r *http.Request) (*http.Response, error) {
				w := httptest.NewRecorder()
				if !isFile(r) {
					body := fmt.Sprintf(`{"hash_type":"SHA1","hash_value":%q,"download_url":"https://api.mch.weixin.qq.com/v3/billdownload/file?token=1"}`, sha1Hex(text))
					for k, v := range signerPublic().header(time.Now(), body) {
						w.Header()[k] = v
					}
					_, _ = io.WriteString(w, body)
					return w.Result(), nil
				}
				resp := w.Result()
				resp.Body = &trickle{pieces: pieces, ctx: r.Context()}
				return resp, nil
			})
			client, err := wechatpay.NewClient(publicKeyConfig(), wechatpay.WithHTTPClient(&http.Client{Transport: transport, Timeout: 15 * time.Second}))
			if err != nil {
				t.Fatal(err)
			}
			b, err := client.TradeBill(t.Context(), wechatpay.TradeBillRequest{Date: "2026-11-19"})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				defer close(pieces)
				for i := range 4 {
					pause := time.NewTimer(c.pause)
					select {
					case <-pause.C:
					case <-ctx.Done():
						return
					}
					select {
					case pieces <- text[i*len(text)/4 : (i+1)*len(text)/4]:
					case <-ctx.Done():
						return
					}
				}
			}()
			begun := time.Now()
			rows, err := collectBill(b.Rows(ctx))
			cancel()
			if !errors.Is(err, c.want) || (c.want == nil && (err != nil || len(rows) != 3 || time.Since(begun) != 4*c.pause)) ||
				(c.want != nil && (len(rows) != 0 || time.Since(begun) != 30*time.Second || !strings.Contains(err.Error(), "nothing came for 30s"))) {
				t.Errorf("%s: %d rows after %v, %v", name, len(rows), time.Since(begun), err)
			}
		})
	}
}

// down is an address where nobody listens.
func down(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestBackupHost(t *testing.T) {
	t.Parallel()
	c := newClock()
	backup := startFake(t, c)
	s := play(backup, map[string]string{
		"GET /v3/pay/transactions/out-trade-no/ORDER-000001": paidJSON, "POST /v3/pay/transactions/jsapi": `{"prepay_id":"wx1"}`,
		tradePath: ready(backup, sha1Hex(tradeBill(1))), filePath: zip(tradeBill(1)),
	})
	client := newClient(t, backup, config(), wechatpay.WithBaseURL(down(t)), wechatpay.WithBackupURL(backup.URL))

	// Nothing reached the first server, so anything may go to the second.
	if id, err := client.Prepay(t.Context(), order()); err != nil || id != "wx1" {
		t.Errorf("Prepay = %q, %v", id, err)
	}
	if _, err := client.QueryOrder(t.Context(), "ORDER-000001"); err != nil {
		t.Error(err)
	}
	b, err := client.TradeBill(t.Context(), wechatpay.TradeBillRequest{Date: "2026-11-19"})
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := collectBill(b.Rows(t.Context())); err != nil || len(rows) != 1 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	h := client.Hosts()
	if len(h) != 2 || h[0].Requests != 1 || h[0].Failures != 1 || !h[0].LastFailure.Equal(start) || h[1].URL != backup.URL || h[1].Requests != 5 || h[1].Failures != 0 {
		t.Errorf("within a minute of the failure: %+v", h) // the first request was for certificates
	}
	c.Advance(time.Minute)
	if _, err := client.QueryOrder(t.Context(), "ORDER-000001"); err != nil {
		t.Error(err)
	}
	if h := client.Hosts(); h[0].Requests != 2 || h[0].Failures != 2 || h[1].Requests != 6 {
		t.Errorf("a minute later: %+v", h)
	}
	if len(s.sent) != 5 {
		t.Errorf("sent %q", s.sent)
	}

	// With nobody at either, the request was not sent.
	nobody := newClient(t, backup, publicKeyConfig(), wechatpay.WithBaseURL(down(t)), wechatpay.WithBackupURL(down(t)))
	if _, err := nobody.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrNotSent) || errors.Is(err, wechatpay.ErrUncertain) {
		t.Errorf("nobody: %v", err)
	}
	if h := nobody.Hosts(); h[0].Failures != 1 || h[1].Failures != 1 {
		t.Errorf("%+v", h)
	}
	if _, err := wechatpay.NewClient(config(), wechatpay.WithBackupURL("api2.mch.weixin.qq.com")); err == nil {
		t.Error("a backup without a scheme was taken")
	}
	if h := listening(t, c).Hosts(); len(h) != 1 || h[0].URL != wechatpay.BaseURL {
		t.Errorf("%+v", h)
	}
}

// What may have been received is never sent to another server, unless it only reads.
func TestBackupHostNeverRepeatsWhatMayHaveArrived(t *testing.T) {
	t.Parallel()
	c := newClock()
	for name, trouble := range map[string]http.HandlerFunc{
		"breaks off": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		},
		"503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
	} {
		first, backup := startFake(t, c), startFake(t, c)
		first.raw, first.signWith, backup.signWith = trouble, signerPublic(), signerPublic()
		s := play(backup, map[string]string{"GET /v3/pay/transactions/out-trade-no/ORDER-000001": paidJSON})
		client := newClient(t, first, publicKeyConfig(), wechatpay.WithBackupURL(backup.URL))
		if _, err := client.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrUncertain) || errors.Is(err, wechatpay.ErrNotSent) || len(s.sent) != 0 {
			t.Errorf("%s: %v, and the backup was sent %q", name, err, s.sent)
		}
		if h := client.Hosts(); h[0].Failures != 1 || h[1].Requests != 0 {
			t.Errorf("%s: %+v", name, h)
		}
		c.Advance(time.Minute) // the first one again
		if tr, err := client.QueryOrder(t.Context(), "ORDER-000001"); err != nil || tr.OutTradeNo != "ORDER-000001" {
			t.Errorf("%s: a query: %+v, %v", name, tr, err)
		}
		// Where the backup fails too, the first answer stands.
		c.Advance(time.Minute)
		backup.set(func(f *fake) { f.raw = trouble })
		if _, err := client.QueryOrder(t.Context(), "ORDER-000001"); !errors.Is(err, wechatpay.ErrUncertain) {
			t.Errorf("%s: both fail: %v", name, err)
		}
		// Both failed within the minute: the first one is as good as the other.
		before := client.Hosts()
		if _, err := client.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrUncertain) || client.Hosts()[0].Requests != before[0].Requests+1 {
			t.Errorf("%s: %v, %+v", name, err, client.Hosts())
		}
		// A refusal is an answer: the host is well.
		backup.set(func(f *fake) { f.raw = nil })
		first.set(func(f *fake) {
			f.raw = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(404)
				_, _ = io.WriteString(w, `{"code":"ORDER_NOT_EXIST"}`)
			}
		})
		c.Advance(time.Minute)
		before = client.Hosts()
		if _, err := client.QueryOrder(t.Context(), "ORDER-000001"); !errors.Is(err, wechatpay.CodeOrderNotExist) || client.Hosts()[0].Failures != before[0].Failures {
			t.Errorf("%s: %v, %+v", name, err, client.Hosts())
		}
	}
}

// A server that lets deadlines pass is avoided; the request whose time is up is not sent elsewhere.
func TestBackupHostAfterADeadline(t *testing.T) {
	t.Parallel()
	first, backup := startFake(t, newClock()), startFake(t, newClock())
	first.raw = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	backup.signWith = signerPublic()
	play(backup, map[string]string{"GET /v3/pay/transactions/out-trade-no/ORDER-000001": paidJSON})
	client := newClient(t, first, publicKeyConfig(), wechatpay.WithBackupURL(backup.URL))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.QueryOrder(ctx, "ORDER-000001"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, wechatpay.ErrUncertain) {
		t.Error(err)
	}
	if h := client.Hosts(); h[0].Failures != 1 || h[1].Requests != 0 {
		t.Errorf("%+v", h)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := client.QueryOrder(ctx, "ORDER-000001"); err != nil || client.Hosts()[0].Requests != 1 {
		t.Errorf("%v, %+v", err, client.Hosts())
	}
}

// A caller that gives up is neither a reason to ask elsewhere nor the server's failure.
func TestBackupHostHonoursTheContext(t *testing.T) {
	t.Parallel()
	c := newClock()
	first, backup := startFake(t, c), startFake(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	first.raw = func(_ http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		cancel()
		<-r.Context().Done()
	}
	client := newClient(t, first, publicKeyConfig(), wechatpay.WithBackupURL(backup.URL))
	_, err := client.QueryOrder(ctx, "ORDER-000001")
	if h := client.Hosts(); !errors.Is(err, context.Canceled) || calls.Load() != 1 || backup.count("") != 0 || h[0].Failures != 0 || h[0].Requests != 1 {
		t.Errorf("%v, %+v", err, h)
	}
}
