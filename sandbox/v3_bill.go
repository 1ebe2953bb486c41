package sandbox

import (
	"crypto/sha1"
	"encoding/hex"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// This file is the calls of API v3 for bills. Source of the tables: vendor manual, "申请交易账单", "申请资金账单", "下载账单".

// billLinkLife is how long a download link lives.
const billLinkLife = 5 * time.Minute

var (
	billDateField = field{name: "bill_date", title: "账单日期", kind: text, max: 10, rule: &rule{
		is: func(t string) bool { _, err := time.Parse(time.DateOnly, t); return err == nil },
		zh: "字符串必须是 yyyy-MM-dd 格式的日期",
		en: "the string must be a date as in yyyy-MM-dd",
	}}
	tarTypeField    = field{name: "tar_type", title: "压缩类型", kind: text, optional: true, max: 32, rule: pattern("^GZIP$")}
	tradeBillFields = []field{billDateField, tarTypeField,
		{name: "bill_type", title: "账单类型", kind: text, optional: true, max: 32, rule: pattern("^(ALL|SUCCESS|REFUND)$")}}
	fundFlowFields = []field{billDateField, tarTypeField,
		{name: "account_type", title: "资金账户类型", kind: text, optional: true, max: 32, rule: pattern("^(BASIC|OPERATION|FEES)$")}}
	downloadFields = []field{
		{name: "token", title: "下载凭证", kind: text, max: 1024},
		{name: "tartype", title: "压缩类型", kind: text, optional: true, max: 32, rule: pattern("^gzip$")},
	}
)

// applyTradeBill is GET /v3/bill/tradebill.
func (s *Sandbox) applyTradeBill(c *call) answer {
	return s.applyBill(c, billLink{Kind: tradeBill, Type: c.query.string("bill_type")}, "ALL",
		slices.Concat(billFaults, tradeBillFault))
}

// applyFundFlowBill is GET /v3/bill/fundflowbill.
func (s *Sandbox) applyFundFlowBill(c *call) answer {
	return s.applyBill(c, billLink{Kind: fundFlowBill, Type: c.query.string("account_type")}, "BASIC", billFaults)
}

// applyBill gives the link to a bill of a day that is over, once that day's bills are made.
func (s *Sandbox) applyBill(c *call, l billLink, usual string, faults []string) answer {
	if l.Type == "" {
		l.Type = usual
	}
	refused := func(code string, says phrase) answer {
		return c.refuse(http.StatusBadRequest, code, numberIllegal, says, nil)
	}
	l.MerchantID, l.Gzip = c.merchant.ID, c.query.string("tar_type") == "GZIP"
	l.Day, _ = time.ParseInLocation(time.DateOnly, c.query.string("bill_date"), beijing) // the table looked at its form

	s.mu.Lock()
	s.endRefunds()
	now := s.now()
	var a answer
	switch billTrouble(l.Day, now) {
	case refusedDayOpen:
		a = refused("PARAM_ERROR", saysDayNotOver)
	case refusedDayOld:
		a = refused("INVALID_REQUEST", saysDayTooOld)
	case refusedUnmade:
		a = refused("STATEMENT_CREATING", saysCreating)
	}
	if a.status != 0 {
		s.mu.Unlock()
		return a
	}
	bill := s.books.sheetOf(l)
	if bill.empty() {
		s.mu.Unlock()
		return refused("NO_STATEMENT_EXIST", saysNoStatement)
	}
	if f := s.strikeHeld("bill", "", faults...); f != nil {
		l.Fault = f.Kind
	}
	l.Token, l.ExpiresAt = s.random.text("token", alnums, 72), now.Add(billLinkLife)
	s.links.add(l, now)
	s.save(kindLink, l)
	s.mu.Unlock()

	sum := sha1.Sum(bill.write(l))
	if l.Fault == "wrong_hash" {
		sum[0] ^= 0xff
	}
	to := billBase(c.request) + "/v3/billdownload/file?token=" + l.Token
	if l.Gzip {
		to += "&tartype=gzip"
	}
	return ok(document{{"hash_type", "SHA1"}, {"hash_value", hex.EncodeToString(sum[:])}, {"download_url", to}})
}

// billBase is the address under which the caller reached the sandbox. Under WeChat's names that is always TLS.
func billBase(r *http.Request) string {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); r.TLS != nil || strings.HasSuffix(host, ".weixin.qq.com") ||
		err == nil && strings.HasSuffix(name, ".weixin.qq.com") {
		return (&url.URL{Scheme: "https", Host: host}).String()
	}
	return (&url.URL{Scheme: "http", Host: host}).String()
}

// downloadBill is GET /v3/billdownload/file: the file itself, unsigned.
func (s *Sandbox) downloadBill(c *call) answer {
	s.mu.Lock()
	l, known := s.links.byToken[c.query.string("token")]
	if !known || l.MerchantID != c.merchant.ID || !s.now().Before(l.ExpiresAt) ||
		l.Gzip != (c.query.string("tartype") != "") {
		s.mu.Unlock()
		return c.refuse(http.StatusBadRequest, "INVALID_REQUEST", numberIllegal, saysNoLink, nil)
	}
	bill := s.books.sheetOf(l)
	s.mu.Unlock()
	file, media := bill.write(l), "text/plain; charset=utf-8"
	if l.Gzip {
		file, media = pack(file), "application/x-gzip"
	}
	if l.Fault == "truncate" {
		file = file[:len(file)/2]
	}
	return answer{status: http.StatusOK, body: file, media: media}
}

// billLinks are the links that haven't expired.
type billLinks struct {
	byToken map[string]billLink
	issued  []string // tokens, oldest first
}

// add takes a link in and forgets those that have expired.
func (b *billLinks) add(l billLink, now time.Time) {
	if b.byToken == nil {
		b.byToken = map[string]billLink{}
	}
	for len(b.issued) > 0 && !now.Before(b.byToken[b.issued[0]].ExpiresAt) {
		delete(b.byToken, b.issued[0])
		b.issued = b.issued[1:]
	}
	if _, known := b.byToken[l.Token]; !known {
		b.issued = append(b.issued, l.Token)
	}
	b.byToken[l.Token] = l
}
