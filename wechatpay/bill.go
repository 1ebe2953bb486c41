package wechatpay

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay/bill"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/transport"
)

// ErrBadBill is matched by the error of a bill whose bytes are not those that WeChat Pay announced, or exceed a limit.
// Ask for the bill again, nothing of it may be believed.
var ErrBadBill = errors.New("the bill is not what WeChat Pay announced")

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
	b.limits.MaxBytes = cmp.Or(b.limits.MaxBytes, transport.MaxBill)
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
	plain := transport.NewBill(body, b.sha1, b.limits.MaxBytes, badBill)
	if err := plain.Unpack(); err != nil {
		body.Close()
		return nil, fmt.Errorf("download the bill: %w", err)
	}
	return plain, nil
}

// badBill tells a download that broke off from bytes that are not the bill.
func badBill(err error) error {
	if errors.Is(err, ErrUncertain) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrBadBill, err)
}

// openFile begins the download of a file. A refusal is an *Error.
func (c *Client) openFile(ctx context.Context, r call) (io.ReadCloser, error) {
	ctx, watch := transport.NewWatch(ctx)
	h := *c.http
	h.Timeout = 0 // it would end a download that is under way; instead, a pause does
	resp, err := c.open(ctx, &h, r)
	if err == nil {
		a := &answer{status: resp.StatusCode}
		if err = a.refusal(); err == nil {
			return watch.Body(resp.Body, uncertain), nil
		}
		if a, err = readAnswer(resp); err == nil {
			err = a.refusal()
		}
		resp.Body.Close()
	}
	if watch.Stalled() {
		err = uncertain(transport.ErrStalled)
	}
	watch.Stop()
	return nil, err
}
