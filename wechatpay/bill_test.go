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
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
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
