package sandbox

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"slices"
	"time"
)

// This file is bills under API v2. Source: v2 manual, "下载交易账单", "下载资金账单".

var (
	billDateFieldV2 = field{name: "bill_date", title: "对账单日期", kind: text, max: 8, rule: &rule{
		is: func(t string) bool { _, err := time.Parse(billDayV2, t); return err == nil },
		zh: "字符串必须是 yyyyMMdd 格式的日期",
	}}
	tradeBillFieldsV2 = []field{billDateFieldV2, tarTypeField,
		{name: "bill_type", title: "账单类型", kind: text, optional: true, max: 16, rule: oneOf("ALL", "SUCCESS", "REFUND", rechargeRefund)}}
	fundFlowFieldsV2 = []field{billDateFieldV2, tarTypeField,
		{name: "account_type", title: "资金账户类型", kind: text, max: 32, rule: oneOf("Basic", "Operation", "Fees")}}
)

const (
	billDayV2 = "20060102"
	// rechargeRefund are the refunds of recharge coupons, of which there are none.
	rechargeRefund = "RECHARGE_REFUND"
)

// downloadBillV2 is POST /pay/downloadbill: the file itself, or why there is none in the words that bills alone have.
func (s *Sandbox) downloadBillV2(c *callV2) answerV2 {
	l := billLink{Kind: tradeBill, Type: cmp.Or(c.body.string("bill_type"), "ALL")}
	lies := slices.Concat(billFaults, tradeBillFault)
	lies = slices.DeleteFunc(lies, func(kind string) bool { return kind == "wrong_hash" }) // no hash comes with it
	file, trouble := s.billV2(c, l, lies)
	if trouble != "" {
		return c.noBill(trouble)
	}
	return answerV2{file: file}
}

// downloadFundFlow is POST /pay/downloadfundflow.
func (s *Sandbox) downloadFundFlow(c *callV2) answerV2 {
	accounts := map[string]string{"Basic": "BASIC", "Operation": "OPERATION", "Fees": "FEES"}
	file, trouble := s.billV2(c, billLink{Kind: fundFlowBill, Type: accounts[c.body.string("account_type")]}, billFaults)
	if trouble != "" {
		return refuses(trouble)
	}
	return answerV2{file: file}
}

// billV2 is the bill of a day that is over, once that day's bills are made; else trouble is the code that says why not.
func (s *Sandbox) billV2(c *callV2, l billLink, faults []string) (file *fileV2, trouble string) {
	l.MerchantID, l.Gzip = c.merchant.ID, c.body.string("tar_type") == "GZIP"
	l.Day, _ = time.ParseInLocation(billDayV2, c.body.string("bill_date"), beijing) // the table looked at its form

	s.mu.Lock()
	s.endRefunds()
	switch billTrouble(l.Day, s.now()) {
	case refusedDayOpen, refusedDayOld:
		trouble = "PARAM_ERROR"
	case refusedUnmade:
		trouble = "BILL_CREATING"
	}
	var bill sheet
	if l.Type != rechargeRefund {
		bill = s.books.sheetOf(l)
	}
	if trouble == "" && bill.empty() {
		trouble = "NO_BILL_EXIST"
	}
	if trouble != "" {
		s.mu.Unlock()
		return nil, trouble
	}
	if f := s.strikeHeld("bill", "", faults...); f != nil {
		l.Fault = f.Kind
	}
	l.Token = s.random.text("token", alnums, 72) // chooses the row that the fault is about
	s.mu.Unlock()

	body := bill.write(l)
	h := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	if l.Kind == fundFlowBill {
		sum := sha1.Sum(body)
		if l.Fault == "wrong_hash" {
			sum[0] ^= 0xff
		}
		h.Set("Digest", "SHA="+hex.EncodeToString(sum[:]))
	}
	if l.Gzip {
		body = pack(body)
		h.Set("Content-Type", "application/x-gzip")
	}
	if l.Fault == "truncate" {
		body = body[:len(body)/2]
	}
	return &fileV2{body, h}, ""
}

// noBill answers return_code FAIL in the words of downloadbill, with a number that goes with them.
func (c *callV2) noBill(code string) answerV2 {
	text, known := noBillTexts[code]
	number := "20001"
	switch {
	case code == "NO_BILL_EXIST":
		number = "20002"
	case !known:
		text = code
	}
	return answerV2{failure: text, number: number}
}

// noBillTexts are the texts of downloadbill, for reasons that other calls name otherwise.
var noBillTexts = map[string]string{
	"NO_BILL_EXIST":    "No Bill Exist",
	"BILL_CREATING":    "Bill Creating",
	"PARAM_ERROR":      "data format error",
	"LACK_PARAMS":      "missing parameter",
	"SIGNERROR":        "SIGN ERROR",
	"XML_FORMAT_ERROR": "data format error",
	"NOT_UTF8":         "data format error",
}

// misbill answers what is wrong with a field of downloadbill.
func (c *callV2) misbill() answerV2 {
	switch {
	case c.body.string("bill_date") == "", c.body.string("appid") == "", c.body.string("nonce_str") == "":
		return c.noBill("LACK_PARAMS")
	case tradeBillFieldsV2[2].check(c.body.member("bill_type"), "body", "/body/xml/bill_type") != nil:
		return answerV2{failure: "invalid bill_type", number: "20001"}
	}
	return c.noBill("PARAM_ERROR")
}
