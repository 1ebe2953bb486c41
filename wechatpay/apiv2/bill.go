package apiv2

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1" // WeChat Pay's choice; it guards against accidents alone
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"
)

// BillType is a selection of trades.
type BillType string

const (
	BillAll            BillType = "ALL"             // payments and refunds
	BillSuccess        BillType = "SUCCESS"         // payments
	BillRefund         BillType = "REFUND"          // refunds
	BillRechargeRefund BillType = "RECHARGE_REFUND" // refunds of prepaid money
)

// AccountType is one of a merchant's accounts.
type AccountType string

const (
	AccountBasic     AccountType = "Basic"     // 基本账户
	AccountOperation AccountType = "Operation" // 运营账户
	AccountFees      AccountType = "Fees"      // 手续费账户
)

// DownloadBill downloads the trade bill (交易账单) of the Beijing day that day falls on. The bill is ready after 10:00 of the
// next day and kept for three months; it covers the whole merchant, and with a service provider the sub merchant or, where
// the client has none, all of them. kind may be "" for BillAll.
//
// What is returned is the text, decompressed as it is read, for package wechatpay/bill. It comes in pieces: the bill is
// whole only when a read has returned io.EOF. Close it. The default HTTP client gives the download 10 minutes; ctx may
// end it earlier, also while it is being read. It reads, and can be repeated.
//
// Errors to tell apart: CodeNoBillExist (nothing was traded), CodeBillCreating (not yet: in half an hour), ErrNotSent,
// ErrUncertain (ask again). WeChat Pay does not sign bills: they are as genuine as the TLS connection.
//
// Source: v2 manual, "下载交易账单" (chapter 9_6).
func (c *Client) DownloadBill(ctx context.Context, day time.Time, kind BillType) (io.ReadCloser, error) {
	switch kind {
	case "":
		kind = BillAll
	case BillAll, BillSuccess, BillRefund, BillRechargeRefund:
	default:
		return nil, &RequestError{"bill_type", text{
			"it is ALL, SUCCESS, REFUND or RECHARGE_REFUND", "应为 ALL、SUCCESS、REFUND 或 RECHARGE_REFUND",
		}}
	}
	return c.download(ctx, "/pay/downloadbill", day, Field{"bill_type", string(kind)}, c.credentials.SignType)
}

// DownloadFundFlow downloads the fund flow bill (资金账单) of one account: see DownloadBill. It presents the client
// certificate, and is signed with HMAC-SHA256 whatever the SignType of the client. account may be "" for AccountBasic.
//
// Where WeChat Pay sends a digest of the bill, a bill that differs ends in an error that matches ErrBadMessage instead of
// io.EOF.
//
// Source: v2 manual, "下载资金账单" (chapter 9_18).
func (c *Client) DownloadFundFlow(ctx context.Context, day time.Time, account AccountType) (io.ReadCloser, error) {
	switch account {
	case "":
		account = AccountBasic
	case AccountBasic, AccountOperation, AccountFees:
	default:
		return nil, &RequestError{"account_type", text{"it is Basic, Operation or Fees", "应为 Basic、Operation 或 Fees"}}
	}
	return c.download(ctx, fundFlowPath, day, Field{"account_type", string(account)}, HMACSHA256)
}

func (c *Client) download(ctx context.Context, path string, day time.Time, what Field, t SignType) (io.ReadCloser, error) {
	date := day.In(beijing).Format("20060102")
	if today := c.now().In(beijing).Format("20060102"); day.IsZero() || date >= today {
		return nil, fmt.Errorf("download a bill: %w", &RequestError{"bill_date", text{
			date + " is not over in Beijing: a bill is made on the next day, after 10:00",
			date + " 尚未结束（北京时间）：账单在次日 10:00 后生成",
		}})
	}
	body, err := c.openBill(ctx, path, Fields{{"bill_date", date}, {"tar_type", "GZIP"}, what}, t)
	if err != nil {
		return nil, fmt.Errorf("download bill %s of %s: %w", what.Value, date, err)
	}
	return body, nil
}

func (c *Client) openBill(ctx context.Context, path string, fields Fields, t SignType) (io.ReadCloser, error) {
	request, err := c.seal("", fields, t)
	if err != nil {
		return nil, err
	}
	h, err := c.clientFor(path)
	if err != nil {
		return nil, err
	}
	patient := *h
	patient.Timeout = c.billTimeout
	resp, err := c.send(ctx, &patient, path, request.body)
	if err != nil {
		return nil, err
	}
	bill, err := readBill(resp)
	if err != nil {
		_ = resp.Body.Close() // what it held has been read
		return nil, err
	}
	return bill, nil
}

// readBill tells a bill from a refusal by its first bytes: refusals are XML, whatever was asked for.
func readBill(resp *http.Response) (io.ReadCloser, error) {
	if resp.StatusCode != http.StatusOK {
		body, _ := readAll(resp, 64<<10) // a page of somebody's: what there is of it will do
		return nil, httpError(resp.StatusCode, body)
	}
	b := &billReader{resp: resp.Body, digest: digestOf(resp.Header), raw: sha1.New(), plain: sha1.New()}
	in := bufio.NewReaderSize(io.TeeReader(resp.Body, b.raw), 16<<10)
	begin, err := in.Peek(5)
	switch {
	case len(begin) == 0:
		if err == io.EOF {
			err = errors.New("it is empty")
		}
		return nil, uncertain(fmt.Errorf("read the bill: %w", err))
	case bytes.HasPrefix(begin, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, uncertain(fmt.Errorf("read the bill: %w", err))
		}
		b.text = z
		return b, nil
	case begin[0] == '<':
		return nil, readBillError(in)
	}
	b.text = in
	return b, nil
}

// readBillError reads what came instead of a bill. It is not signed.
func readBillError(in io.Reader) error {
	body, err := io.ReadAll(io.LimitReader(in, maxNotification))
	if err != nil {
		return uncertain(fmt.Errorf("read the answer: %w", err))
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

// billReader reads the text of a bill and compares its digest at the end.
type billReader struct {
	resp       io.Closer
	text       io.Reader
	digest     []byte // expected, or nil
	raw, plain hash.Hash
	end        error // what Read returned last, once it has ended
}

func (b *billReader) Read(p []byte) (int, error) {
	if b.end != nil {
		return 0, b.end
	}
	n, err := b.text.Read(p)
	b.plain.Write(p[:n])
	if err == io.EOF && !b.matches() {
		err = fmt.Errorf("read the bill: %w: its SHA-1 is not the one that was announced", ErrBadMessage)
	} else if err != nil && err != io.EOF {
		err = uncertain(fmt.Errorf("read the bill: %w", err))
	}
	b.end = err
	return n, err
}

// matches compares with the digest of the text, and of the file as it was sent: it is not documented which is meant.
func (b *billReader) matches() bool {
	if b.digest == nil {
		return true
	}
	for _, h := range []hash.Hash{b.plain, b.raw} {
		if bytes.Equal(h.Sum(nil), b.digest) {
			return true
		}
	}
	return false
}

func (b *billReader) Close() error { return b.resp.Close() }
