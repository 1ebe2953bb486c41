package wechatpay

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay/bill"
)

// ErrBadBill is matched by the error of a bill whose bytes are not those that WeChat Pay announced, or exceed a limit.
// Ask for the bill again, nothing of it may be believed.
var ErrBadBill = errors.New("the bill is not what WeChat Pay announced")

const (
	// maxBill is the default limit of a bill's plain text: some three million rows.
	maxBill = 1 << 30

	// stallTime is how long a download may pause. A download as a whole has no limit but its context.
	stallTime = 30 * time.Second
)

// The types of trade bills.
const (
	BillAll            = "ALL"             // payments and refunds
	BillSuccess        = "SUCCESS"         // payments
	BillRefund         = "REFUND"          // refunds
	BillRechargeRefund = "RECHARGE_REFUND" // refunds to the balance; not offered to every merchant
)

// TradeBillRequest asks for the trade bill (交易账单) of a day.
type TradeBillRequest struct {
	Date string // of Beijing time, 2026-11-19: yesterday at the latest, three months back at most
	Type string // BillAll, which is the default, BillSuccess, BillRefund or BillRechargeRefund
	BillLimits
}

// The accounts of fund flow bills.
const (
	AccountBasic     = "BASIC"     // 基本账户
	AccountOperation = "OPERATION" // 运营账户
	AccountFees      = "FEES"      // 手续费账户
)

// FundFlowBillRequest asks for the fund flow bill (资金账单) of a day.
type FundFlowBillRequest struct {
	Date    string // of Beijing time, 2026-11-19: yesterday at the latest, three months back at most
	Account string // AccountBasic, which is the default, AccountOperation or AccountFees
	BillLimits
}

// BillLimits bound what a download may cost. A bill is read in a few kilobytes of memory, whatever its size.
type BillLimits struct {
	MaxBytes int64 // of the plain text; 0 means 1 GiB
	MaxRows  int   // 0 means no limit
}

// Bill is a bill that WeChat Pay has ready. It can be downloaded for five minutes, as often as one likes; then ask for
// it anew. It is for one goroutine.
type Bill[Row, Summary any] struct {
	client  *Client
	limits  BillLimits
	sha1    []byte // of the plain text
	file    call
	parse   func(io.Reader, bill.Options) *bill.Reader[Row, Summary]
	summary Summary
}

// TradeBill is a bill of payments and refunds.
type TradeBill = Bill[bill.TradeRow, bill.TradeSummary]

// FundFlowBill is a bill of movements of money.
type FundFlowBill = Bill[bill.FundRow, bill.FundSummary]

// TradeBill asks for the trade bill of a day: every payment and refund of the merchant, or of the sub merchant of
// [Client.For]; a service provider's own client gets those of all its sub merchants. It may be repeated.
//
//	b, err := client.TradeBill(ctx, wechatpay.TradeBillRequest{Date: "2026-11-19"})
//	if errors.Is(err, wechatpay.CodeNoStatementExist) {
//		return nil // nothing was traded
//	}
//	for row, err := range b.Rows(ctx) { … }
//
// Bills are made from 9:00 on the day after; ask after 10:00. Errors to tell apart: CodeNoStatementExist (nothing was
// traded), CodeStatementCreating (in half an hour again), CodeInvalidRequest (not yet, or too long ago), CodeNoAuth,
// CodeFrequencyLimited, ErrNotSent, ErrUncertain.
//
// Source: vendor manual, "申请交易账单".
func (c *Client) TradeBill(ctx context.Context, r TradeBillRequest) (*TradeBill, error) {
	q := url.Values{"bill_date": {r.Date}, "bill_type": {cmp.Or(r.Type, BillAll)}, "tar_type": {"GZIP"}}
	b, err := applyBill(ctx, c, "/v3/bill/tradebill", r.Date, c.subQuery(q), r.BillLimits, bill.Trades)
	if err != nil {
		return nil, fmt.Errorf("trade bill of %s: %w", phrase.Clip(r.Date, 20), err)
	}
	return b, nil
}

// FundFlowBill asks for the fund flow bill of a day: every movement on an account of the merchant's own. (Those of sub
// merchants come encrypted, in a form of their own; the client of [Client.For] refuses.) It may be repeated, three times
// a second at most. Errors are those of TradeBill.
//
// Source: vendor manual, "申请资金账单".
func (c *Client) FundFlowBill(ctx context.Context, r FundFlowBillRequest) (*FundFlowBill, error) {
	if err := checkUnset("sub_mchid", !c.provides(), "fund flow bills of sub merchants are not supported", "不支持子商户资金账单"); err != nil {
		return nil, fmt.Errorf("fund flow bill: %w", err)
	}
	q := url.Values{"bill_date": {r.Date}, "account_type": {cmp.Or(r.Account, AccountBasic)}, "tar_type": {"GZIP"}}
	b, err := applyBill(ctx, c, "/v3/bill/fundflowbill", r.Date, q, r.BillLimits, bill.FundFlow)
	if err != nil {
		return nil, fmt.Errorf("fund flow bill of %s: %w", phrase.Clip(r.Date, 20), err)
	}
	return b, nil
}

func applyBill[Row, Summary any](ctx context.Context, c *Client, path, date string, q url.Values, limits BillLimits,
	parse func(io.Reader, bill.Options) *bill.Reader[Row, Summary],
) (*Bill[Row, Summary], error) {
	if err := cmp.Or(checkDate("bill_date", date), c.checkSub()); err != nil {
		return nil, err
	}
	var w struct {
		HashType    string `json:"hash_type"`
		HashValue   string `json:"hash_value"`
		DownloadURL string `json:"download_url"`
	}
	if _, err := c.exchange(ctx, http.MethodGet, path, q, FieldKey{}, nil, &w); err != nil {
		return nil, err
	}
	b := &Bill[Row, Summary]{client: c, limits: limits, parse: parse}
	b.limits.MaxBytes = cmp.Or(b.limits.MaxBytes, maxBill)
	var err error
	if b.sha1, err = hex.DecodeString(w.HashValue); err != nil || len(b.sha1) != sha1.Size || w.HashType != "SHA1" {
		return nil, unreadable(fmt.Errorf("it has no SHA-1, but hash_type %q", phrase.Clip(w.HashType, 20)))
	}
	if b.file, err = c.fileAt(w.DownloadURL); err != nil {
		return nil, unreadable(err)
	}
	return b, nil
}

// fileAt makes a request of the address of a file. It must be this client's server or WeChat Pay's; the request goes to
// this client's, so that a signature never leaves for elsewhere.
func (c *Client) fileAt(address string) (call, error) {
	u, err := url.Parse(strings.TrimSpace(address)) // the manual's own example has a blank in front
	if err != nil || u.Host == "" || u.User != nil || !strings.HasPrefix(u.Path, "/v3/") {
		return call{}, errors.New("the address of the file is not one of API v3")
	}
	if !c.hosts.known(u) {
		return call{}, fmt.Errorf("the address of the file is at %s, not at WeChat Pay", phrase.Clip(u.Host, 80))
	}
	return call{method: http.MethodGet, path: u.EscapedPath(), query: u.RawQuery, file: true}, nil
}

// Rows downloads the bill into a temporary file, compares its hash and its totals, and only then goes over the rows: each
// of them is proven. An error comes with a zero row and is the last step. Leaving the loop early is fine. The file is
// removed at the end.
//
// Errors to tell apart: ErrBadBill and [bill.ErrTotals] (ask for the bill again), [bill.ErrFormat] (a bill of a new kind),
// *Error (refused, such as after five minutes: ask for the bill again), ErrNotSent, ErrUncertain (the download broke).
func (b *Bill[Row, Summary]) Rows(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var zero Row
		f, err := os.CreateTemp("", "wechatpay-bill-*")
		if err != nil {
			yield(zero, fmt.Errorf("store the bill: %w", err))
			return
		}
		defer func() {
			_ = f.Close() // nothing of it is needed any more
			_ = os.Remove(f.Name())
		}()
		if _, err := b.Download(ctx, f); err != nil {
			yield(zero, err)
			return
		}
		var sum Summary
		for _, pass := range []func(Row) bool{func(Row) bool { return true }, func(row Row) bool { return yield(row, nil) }} {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				yield(zero, fmt.Errorf("read the stored bill: %w", err))
				return
			}
			r := b.parse(f, bill.Options{MaxRows: b.limits.MaxRows})
			for row, err := range r.Rows() {
				if err != nil {
					yield(zero, err)
					return
				}
				if !pass(row) {
					return
				}
			}
			sum = r.Summary()
		}
		b.summary = sum
	}
}

// Stream goes over the rows while the bill is downloaded, without a file. The rows are not proven before the loop has
// ended without an error: collect them, or write them where they can be taken back, and act upon none of them earlier.
// Errors are those of Rows.
func (b *Bill[Row, Summary]) Stream(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var zero Row
		in, err := b.open(ctx)
		if err != nil {
			yield(zero, err)
			return
		}
		defer in.Close()
		r := b.parse(in, bill.Options{MaxRows: b.limits.MaxRows})
		for row, err := range r.Rows() {
			if !yield(row, err) {
				return
			}
		}
		b.summary = r.Summary()
	}
}

// Summary returns the totals that end the bill. They are zero until Rows or Stream has ended without an error.
func (b *Bill[Row, Summary]) Summary() Summary { return b.summary }

// Download writes the bill to w, as plain text, and compares its hash. What was written is proven to be WeChat Pay's bill
// if and only if the error is nil; its totals are not compared with its rows. Errors are those of Rows.
func (b *Bill[Row, Summary]) Download(ctx context.Context, w io.Writer) (n int64, err error) {
	in, err := b.open(ctx)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	n, err = io.Copy(w, in)
	if err != nil {
		return n, fmt.Errorf("download the bill: %w", err)
	}
	return n, nil
}

// open begins a download. The reader gives plain text, and ends with io.EOF only where the hash is right.
func (b *Bill[Row, Summary]) open(ctx context.Context) (io.ReadCloser, error) {
	body, err := b.client.openFile(ctx, b.file)
	if err != nil {
		return nil, fmt.Errorf("download the bill: %w", err)
	}
	p := &plainBill{body: body, want: b.sha1, left: b.limits.MaxBytes, sum: sha1.New(), rawSum: sha1.New()}
	p.raw = bufio.NewReader(io.TeeReader(body, p.rawSum))
	p.in = p.raw
	// What was asked for is gzip. Whether it came is to be seen: proxies unpack.
	if magic, err := p.raw.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		if p.in, err = gzip.NewReader(p.raw); err != nil {
			body.Close()
			return nil, fmt.Errorf("download the bill: %w", p.broken(err))
		}
	}
	return p, nil
}

// plainBill is the plain text of a bill that is being downloaded.
type plainBill struct {
	body        io.Closer
	raw         *bufio.Reader // as it came
	in          io.Reader     // without gzip
	sum, rawSum hash.Hash
	want        []byte
	left        int64
}

func (p *plainBill) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	p.sum.Write(b[:n])
	if p.left -= int64(n); p.left < 0 {
		return 0, fmt.Errorf("%w: it is longer than the limit", ErrBadBill)
	}
	switch {
	case err == nil:
		return n, nil
	case err != io.EOF:
		return n, p.broken(err)
	}
	// The manual says that the hash is that of the plain text. One of the compressed bytes proves as much.
	if subtle.ConstantTimeCompare(p.sum.Sum(nil), p.want) == 1 || subtle.ConstantTimeCompare(p.rawSum.Sum(nil), p.want) == 1 {
		return n, io.EOF
	}
	return n, fmt.Errorf("%w: its SHA-1 is another one", ErrBadBill)
}

// broken tells a download that broke off from bytes that are not gzip.
func (p *plainBill) broken(err error) error {
	if errors.Is(err, ErrUncertain) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrBadBill, err)
}

func (p *plainBill) Close() error { return p.body.Close() }

// openFile begins the download of a file. A refusal is an *Error.
func (c *Client) openFile(ctx context.Context, r call) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	h := *c.http
	h.Timeout = 0 // it would end a download that is under way; instead, a pause does
	timer := time.AfterFunc(stallTime, func() { cancel(errStalled) })
	resp, err := c.open(ctx, &h, r)
	if err == nil {
		a := &answer{status: resp.StatusCode}
		if err = a.refusal(); err == nil {
			return &fileBody{resp.Body, ctx, cancel, timer}, nil
		}
		if a, err = readAnswer(resp); err == nil {
			err = a.refusal()
		}
		resp.Body.Close()
	}
	if context.Cause(ctx) == errStalled {
		err = uncertain(errStalled)
	}
	timer.Stop()
	cancel(nil)
	return nil, err
}

var errStalled = fmt.Errorf("nothing came for %v", stallTime)

// fileBody is the body of a download. Its errors match ErrUncertain.
type fileBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (f *fileBody) Read(b []byte) (int, error) {
	f.timer.Reset(stallTime)
	n, err := f.ReadCloser.Read(b)
	f.timer.Stop() // what the reader does with it takes as long as it takes
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case context.Cause(f.ctx) == errStalled:
		return n, uncertain(errStalled)
	}
	return n, uncertain(err)
}

func (f *fileBody) Close() error {
	f.timer.Stop()
	err := f.ReadCloser.Close()
	f.cancel(nil)
	return err
}
