package apiv2

import (
	"cmp"
	"context"
	"crypto/sha1" // WeChat Pay's choice; it guards against accidents alone
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/rules"
	"github.com/fenhao-pay/fenhao/wechatpay/internal/transport"
)

// ErrBadBill is matched by the error of a bill whose bytes are not those that WeChat Pay announced, are no gzip, or exceed
// a limit. Ask for the bill again, nothing of it may be believed.
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
	Date     string // of Beijing time, 2026-11-19: yesterday at the latest, three months back at most
	Type     string // BillAll, which is the default, BillSuccess, BillRefund or BillRechargeRefund
	MaxBytes int64  // of the plain text; 0 means 1 GiB
}

// The accounts of fund flow bills.
const (
	AccountBasic     = "Basic"     // 基本账户
	AccountOperation = "Operation" // 运营账户
	AccountFees      = "Fees"      // 手续费账户
)

// FundFlowBillRequest asks for the fund flow bill (资金账单) of a day.
type FundFlowBillRequest struct {
	Date     string // of Beijing time, 2026-11-19: yesterday at the latest
	Account  string // AccountBasic, which is the default, AccountOperation or AccountFees
	MaxBytes int64  // of the plain text; 0 means 1 GiB
}

// DownloadBill downloads the trade bill of a day: every payment and refund of the merchant, or of the sub merchant of
// [Client.For]; a service provider's own client gets those of all its sub merchants. It reads, and can be repeated.
//
// What comes is plain text, decompressed as it is read, and meant for package wechatpay/bill:
//
//	text, err := client.DownloadBill(ctx, apiv2.TradeBillRequest{Date: "2026-11-19"})
//	if errors.Is(err, apiv2.CodeNoBillExist) {
//		return nil // nothing was traded
//	}
//	…
//	defer text.Close()
//	for row, err := range bill.Trades(text, bill.Options{}).Rows() { … }
//
// The bill is whole only when a read has returned io.EOF; an error that matches ErrUncertain (the download broke) or
// ErrBadBill ends it otherwise. The context ends the reading too. WeChat Pay does not sign bills of API v2: they are as
// genuine as the TLS connection.
//
// Bills are made from 9:00 on the day after; ask after 10:00. Errors to tell apart: CodeNoBillExist (nothing was traded),
// CodeBillCreating (in half an hour again), ErrNotSent, ErrUncertain.
//
// Source: v2 manual, "下载交易账单" (chapter 9_6).
func (c *Client) DownloadBill(ctx context.Context, r TradeBillRequest) (io.ReadCloser, error) {
	kind := cmp.Or(r.Type, BillAll)
	switch kind {
	case BillAll, BillSuccess, BillRefund, BillRechargeRefund:
	default:
		return nil, fmt.Errorf("trade bill: %w", &RequestError{"bill_type", phrase.Text{
			EN: "it is ALL, SUCCESS, REFUND or RECHARGE_REFUND", ZH: "应为 ALL、SUCCESS、REFUND 或 RECHARGE_REFUND",
		}})
	}
	body, err := c.bill(ctx, "/pay/downloadbill", r.Date, Field{"bill_type", kind}, c.credentials.SignType, r.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("trade bill of %s: %w", phrase.Clip(r.Date, 20), err)
	}
	return body, nil
}

// DownloadFundFlow downloads the fund flow bill of a day: every movement on an account of the merchant. It presents the
// client certificate, and is signed with HMAC-SHA256 whatever the SignType of the client. Where WeChat Pay sends a digest,
// it is compared at the end. See DownloadBill; the rows are read by bill.FundFlow.
//
// Source: v2 manual, "下载资金账单" (chapter 9_18).
func (c *Client) DownloadFundFlow(ctx context.Context, r FundFlowBillRequest) (io.ReadCloser, error) {
	account := cmp.Or(r.Account, AccountBasic)
	switch account {
	case AccountBasic, AccountOperation, AccountFees:
	default:
		return nil, fmt.Errorf("fund flow bill: %w", &RequestError{"account_type", phrase.Text{
			EN: "it is Basic, Operation or Fees", ZH: "应为 Basic、Operation 或 Fees",
		}})
	}
	body, err := c.bill(ctx, fundFlowPath, r.Date, Field{"account_type", account}, HMACSHA256, r.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("fund flow bill of %s: %w", phrase.Clip(r.Date, 20), err)
	}
	return body, nil
}

func (c *Client) bill(ctx context.Context, path, date string, what Field, t SignType, most int64) (io.ReadCloser, error) {
	if err := refuse("bill_date", rules.Day(date)); err != nil {
		return nil, err
	}
	if date >= c.now().In(rules.Beijing).Format(time.DateOnly) {
		return nil, &RequestError{"bill_date", phrase.Text{
			EN: "the day is not over in Beijing: its bill is made on the next one, after 9:00",
			ZH: "该日尚未结束（北京时间）：账单在次日 9:00 后生成",
		}}
	}
	request, err := c.seal("", Fields{{"bill_date", strings.ReplaceAll(date, "-", "")}, {"tar_type", "GZIP"}, what}, t)
	if err != nil {
		return nil, err
	}
	h, err := c.clientFor(path)
	if err != nil {
		return nil, err
	}
	patient := *h
	patient.Timeout = 0 // it would end a download that is under way; instead, a pause does
	ctx, watch := transport.NewWatch(ctx)
	resp, err := c.send(ctx, &patient, path, request.body)
	if err == nil {
		body := watch.Body(resp.Body, uncertain)
		var bill io.ReadCloser
		if bill, err = readBill(resp, body, cmp.Or(most, transport.MaxBill)); err == nil {
			return bill, nil
		}
		_ = body.Close() // what it held has been read
	}
	if watch.Stalled() {
		err = uncertain(transport.ErrStalled)
	}
	watch.Stop()
	return nil, err
}

// readBill tells a bill from a refusal by its first bytes: refusals are XML, whatever was asked for.
func readBill(resp *http.Response, body io.ReadCloser, most int64) (io.ReadCloser, error) {
	if resp.StatusCode != http.StatusOK {
		page, _ := io.ReadAll(io.LimitReader(body, 4096)) // a page of somebody's: what there is of it will do
		return nil, httpError(resp.StatusCode, page)
	}
	b := transport.NewBill(body, digestOf(resp.Header), most, badBill)
	magic, err := b.Raw().Peek(2)
	switch {
	case len(magic) == 0:
		if err == io.EOF {
			err = uncertain(errors.New("it is empty"))
		}
		return nil, fmt.Errorf("read the bill: %w", err)
	case magic[0] == '<':
		return nil, readBillRefusal(b.Raw())
	}
	if err := b.Unpack(); err != nil {
		return nil, fmt.Errorf("read the bill: %w", err)
	}
	return b, nil
}

// badBill tells a download that broke off from bytes that are not the bill.
func badBill(err error) error {
	if errors.Is(err, ErrUncertain) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrBadBill, err)
}

// readBillRefusal reads what came instead of a bill. It is not signed.
func readBillRefusal(in io.Reader) error {
	body, err := io.ReadAll(io.LimitReader(in, maxNotification))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	f, err := decode(body, "xml")
	switch {
	case err != nil:
		return uncertain(fmt.Errorf("read the answer: %w", err))
	case f.find("return_code") == "FAIL":
		return transportError(f)
	case f.find("return_code") == "SUCCESS" && f.find("result_code") == "FAIL":
		return businessError(f)
	}
	return uncertain(errors.New("read the answer: it is neither a bill nor a refusal"))
}

// digestOf returns the SHA-1 that a header Digest: SHA=… names, in hexadecimal or Base64, or nil where there is none.
//
// Source: other SDKs, RFC 3230; the manual does not mention the header.
func digestOf(h http.Header) []byte {
	algorithm, digest, _ := strings.Cut(h.Get("Digest"), "=")
	if !strings.EqualFold(algorithm, "SHA") {
		return nil
	}
	raw, err := hex.DecodeString(digest)
	if err != nil {
		raw, err = base64.StdEncoding.DecodeString(digest)
	}
	if err != nil || len(raw) != sha1.Size {
		return nil
	}
	return raw
}
