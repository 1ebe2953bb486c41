package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// This file is code payments (付款码支付) under API v2: the merchant scans the code that the buyer's phone shows. Source: v2
// manual, "提交付款码支付", "撤销订单".

// tradeMicropay is the trade type of a code payment.
const tradeMicropay = "MICROPAY"

const (
	// StateUserPaying is a code payment that waits for the buyer's password. It goes to StateSuccess or StatePayError by
	// the buyer ([Sandbox.EnterPassword]), and to StateRevoked by the merchant.
	StateUserPaying State = "USERPAYING"
	// StatePayError is a code payment that failed. It goes to StateRevoked by the merchant; its number is burnt.
	StatePayError State = "PAYERROR"
	// StateRevoked is a code payment that the merchant reversed: what was paid went back. It is final.
	StateRevoked State = "REVOKED"
)

const (
	// paymentCodeLife is how long a phone shows one code.
	paymentCodeLife = time.Minute
	// reverseWindow is how long after the payment it can be reversed.
	reverseWindow = 7 * 24 * time.Hour
	// byReversal is the API of a refund that a reversal made.
	byReversal = "reverse"
)

var microPayFields = func() []field {
	kept := slices.DeleteFunc(slices.Clone(unifiedOrderFields), func(f field) bool {
		return slices.Contains([]string{"notify_url", "trade_type", "product_id", "openid"}, f.name)
	})
	return append(kept, field{name: "auth_code", title: "付款码", kind: text, max: 128})
}()

// isPaymentCode tells whether a text may be a code at all.
var isPaymentCode = regexp.MustCompile(`^1[0-5][0-9]{16}$`).MatchString

// paymentCode is what a phone shows to a merchant's scanner.
type paymentCode struct {
	Code   string    `json:"code"`
	User   string    `json:"user"`
	Action string    `json:"action"`
	At     time.Time `json:"at"`
	Used   bool      `json:"used,omitempty"`
}

// ShowPaymentCode is the user's phone showing its payment code: 18 digits that are good for one payment within a minute.
// The action is what comes of it: "pay" (also "") is paid at once, "password" asks the user for the password first
// (USERPAYING) until [Sandbox.EnterPassword], "fail" is a balance that is too low (NOTENOUGH).
func (s *Sandbox) ShowPaymentCode(user, action string) (string, error) {
	action = cmp.Or(action, "pay")
	switch {
	case user == "":
		return "", errNoUser
	case !slices.Contains([]string{"pay", "password", "fail"}, action):
		return "", fmt.Errorf("action %q is unknown: a payment code can pay, ask for a password or fail", action)
	}
	s.mu.Lock()
	c := paymentCode{User: user, Action: action, At: s.now()}
	for c.Code == "" || s.books.codes[c.Code].Code != "" {
		c.Code = "13" + s.random.text("payment code", digits, 16)
	}
	s.books.codes[c.Code] = c
	s.save(kindPaymentCode, c)
	s.mu.Unlock()
	s.record(Entry{Kind: "user", Name: "payment-code", Summary: user + " shows a payment code: " + action})
	return c.Code, s.settled()
}

// EnterPassword is the user answering the phone's question for the password of a code payment: "pay" (also "") or "cancel".
// Errors are of an order that isn't waiting for one.
func (s *Sandbox) EnterPassword(outTradeNo, action string) (Payment, error) {
	action = cmp.Or(action, "pay")
	if action != "pay" && action != "cancel" {
		return Payment{}, badRequest(fmt.Errorf("action %q is unknown: a user can pay or cancel", action))
	}
	s.mu.Lock()
	at := s.newestOrder(outTradeNo)
	if at == nil || at.State != StateUserPaying {
		s.mu.Unlock()
		return Payment{}, notFound("no code payment %q waits for a password", outTradeNo)
	}
	o := *at
	if action == "pay" {
		o = s.settleCode(o)
	} else {
		o.State = StatePayError
		s.books.put(o)
		s.save(kindOrder, o)
		s.recordHeld(Entry{Kind: "state", Name: "order.failed", OutTradeNo: o.OutTradeNo, Summary: "USERPAYING → PAYERROR"})
	}
	shown := s.books.payment(o)
	s.mu.Unlock()
	return shown, s.settled()
}

// settleCode moves the money of a code payment. Nothing is notified: the answer says it, or a query. mu is held.
func (s *Sandbox) settleCode(o order) order {
	now, was := s.now(), cmp.Or(o.State, StateNotPay)
	o.State, o.PaidAt, o.TransactionID = StateSuccess, now, s.newTransactionID(now)
	s.books.put(o)
	s.save(kindOrder, o)
	s.recordHeld(Entry{Kind: "state", Name: "order.paid", OutTradeNo: o.OutTradeNo,
		Summary: fmt.Sprintf("%s → SUCCESS %s", was, o.TransactionID)})
	return o
}

// microPay is POST /pay/micropay.
func (s *Sandbox) microPay(c *callV2) answerV2 {
	o := c.ordered()
	o.TradeType, o.OpenID, o.NotifyURL = tradeMicropay, "", ""
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if old, ok := s.books.numbers[orderKey{o.MerchantID, o.OutTradeNo}]; ok {
		return usedBy(old.at(now), o)
	}
	var a answerV2
	if o.ExpiresAt, a = c.expiry(now, false); !a.ok() {
		return a
	}
	code := s.books.codes[c.body.string("auth_code")]
	switch {
	case !isPaymentCode(c.body.string("auth_code")):
		return refuses("AUTH_CODE_INVALID")
	case code.Code == "":
		return refuses("AUTH_CODE_ERROR")
	case code.Used, now.Sub(code.At) >= paymentCodeLife:
		return refuses("AUTHCODEEXPIRE")
	}
	openID, err := s.know(o.AppID, code.User)
	if err != nil {
		return refuses("SYSTEMERROR") // the app was looked up before: this can't be
	}
	code.Used = true
	s.books.codes[code.Code] = code
	s.save(kindPaymentCode, code)
	o.OpenID, o.CreatedAt, o.Prepays = openID, now, []prepay{s.newPrepay(tradeMicropay, now)}
	switch code.Action {
	case "password":
		o.State = StateUserPaying
	case "fail":
		o.State = StatePayError
	default:
		o = s.settleCode(o)
		if f := s.strikeHeld(c.op.name, o.OutTradeNo, "wrong_amount"); f != nil {
			o = s.lie(f.Kind, o)
		}
		return answerV2{fields: append(flat{{"out_trade_no", o.OutTradeNo}, {"attach", o.Attach}}, o.paidV2()...)}
	}
	s.books.put(o)
	s.save(kindOrder, o)
	s.recordHeld(Entry{Kind: "state", Name: "order.created", OutTradeNo: o.OutTradeNo,
		Summary: string(o.State) + " " + o.Amount.String()})
	if o.State == StateUserPaying {
		return refuses("USERPAYING")
	}
	return refuses("NOTENOUGH")
}

// usedBy answers that the number of a code payment was used before.
func usedBy(old, o order) answerV2 {
	switch {
	case old.State == StateRevoked:
		return refuses("ORDERREVERSED")
	case old.paid():
		return refuses("ORDERPAID")
	case old.State == StateClosed:
		return refuses("ORDERCLOSED")
	case old.Terms != o.Terms || old.TradeType != o.TradeType:
		return refuses("OUT_TRADE_NO_USED")
	case old.State == StateUserPaying:
		return refuses("USERPAYING")
	}
	return refuses("TRADE_ERROR")
}

// reverse is POST /secapi/pay/reverse: whatever became of a code payment, nothing of it remains.
func (s *Sandbox) reverse(c *callV2) answerV2 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endRefunds()
	now := s.now()
	o, a := s.sought(c)
	done := answerV2{fields: flat{{"recall", "N"}}}
	switch {
	case !a.ok() && a.code != "" && c.body.string("transaction_id") != "":
		return refuses("INVALID_TRANSACTIONID")
	case !a.ok():
		return a
	case o.TradeType != tradeMicropay:
		return answerV2{code: "INVALID_REQUEST", text: "该订单不是付款码支付，不支持撤销"}
	case o.State == StateRevoked:
		return done
	case !o.paid():
		was := o.State
		o.State, o.ClosedAt = StateRevoked, now
		s.books.put(o)
		s.save(kindOrder, o)
		s.recordHeld(Entry{Kind: "state", Name: "order.reversed", OutTradeNo: o.OutTradeNo, Summary: string(was) + " → REVOKED"})
		return done
	case now.Sub(o.PaidAt) > reverseWindow:
		return refuses("REVERSE_EXPIRE")
	}
	gone, _ := s.books.refunded(&o)
	if gone == o.Amount {
		return refuses("TRADE_ERROR")
	}
	r, o, _, err := s.books.accept(refund{
		MerchantID: o.MerchantID, OutTradeNo: o.OutTradeNo, API: byReversal, Amount: o.Amount - gone, Total: o.Amount,
		Reason: "撤销", OutRefundNo: s.random.text("refund", digits, 28), RefundID: s.newRefundID(now),
	}, 0, now)
	if errors.Is(err, refusedNotEnough) {
		return answerV2{code: "SYSTEMERROR", text: saysNotEnough.zh, fields: flat{{"recall", "Y"}}}
	}
	if err != nil {
		return c.unrefunded(err)
	}
	s.save(kindRefund, r)
	s.turnRefund(r, RefundSuccess, now)
	o.State, o.ClosedAt = StateRevoked, now
	s.books.put(o)
	s.save(kindOrder, o)
	s.recordHeld(Entry{Kind: "state", Name: "order.reversed", OutTradeNo: o.OutTradeNo, Summary: "SUCCESS → REVOKED"})
	return done
}
