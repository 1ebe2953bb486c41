package sandbox

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// RefundStatus is the status of a refund, in WeChat Pay's words.
type RefundStatus string

const (
	// RefundProcessing is an accepted refund: the money has left the merchant. WeChat Pay moves it to one of the others.
	RefundProcessing RefundStatus = "PROCESSING"
	// RefundSuccess is a refund that the buyer has. It is final.
	RefundSuccess RefundStatus = "SUCCESS"
	// RefundAbnormal is a refund that the buyer's bank sent back: the money is at neither side. The merchant moves it on,
	// by API or on the platform.
	RefundAbnormal RefundStatus = "ABNORMAL"
	// RefundClosed is a refund that was given up: the merchant has the money again. It is final.
	RefundClosed RefundStatus = "CLOSED"
)

// Limits of refunds. Source: vendor manual, "申请退款".
const (
	refundWindow = 365 * 24 * time.Hour // after the payment
	mostRefunds  = 50                   // of one order
)

// refund is a refund of a payment, whichever way it was asked for.
type refund struct {
	MerchantID    string    `json:"merchant_id"`
	OutRefundNo   string    `json:"out_refund_no"`
	RefundID      string    `json:"refund_id"`
	OutTradeNo    string    `json:"out_trade_no"`
	TransactionID string    `json:"transaction_id"`
	API           string    `json:"api"` // v2, v3, or platform for one that was made by hand
	Amount        money.Fen `json:"amount"`
	Total         money.Fen `json:"total"` // of the payment
	Fee           money.Fen `json:"fee"`   // of the payment's fee, what the merchant gets back
	Reason        string    `json:"reason,omitempty"`
	NotifyURL     string    `json:"notify_url,omitempty"`
	FundsAccount  string    `json:"funds_account,omitempty"`
	From          []source  `json:"from,omitempty"`
	Terms         string    `json:"terms,omitempty"` // all that was asked for: who repeats a call must say the same

	Steps  []refundStep `json:"steps"` // the first is that it was accepted
	Ending RefundStatus `json:"ending,omitempty"`
	EndsAt time.Time    `json:"ends_at,omitzero"` // when it becomes Ending; zero: not by itself
}

// source is a part of a refund's money.
type source struct {
	Account string    `json:"account"`
	Amount  money.Fen `json:"amount"`
}

// refundStep is when a refund came to a status, and where its money went then.
type refundStep struct {
	Status  RefundStatus `json:"status"`
	At      time.Time    `json:"at"`
	Channel string       `json:"channel"`
	Account string       `json:"account"` // the same in words
}

// transfer is money that a merchant paid in (above 0) or took out.
type transfer struct {
	ID         string    `json:"id"`
	MerchantID string    `json:"merchant_id"`
	Amount     money.Fen `json:"amount"`
	At         time.Time `json:"at"`
}

// refundKey is what makes a refund: a number is unique for one merchant only.
type refundKey struct{ merchantID, outRefundNo string }

// now is the step that the refund is at.
func (r *refund) now() refundStep { return r.Steps[len(r.Steps)-1] }

func (r *refund) status() RefundStatus { return r.now().Status }

func (r *refund) acceptedAt() time.Time { return r.Steps[0].At }

// stepAt is the step that the refund was at at the instant, which is after it was accepted.
func (r *refund) stepAt(t time.Time) refundStep {
	step := r.Steps[0]
	for _, s := range r.Steps {
		if !s.At.After(t) {
			step = s
		}
	}
	return step
}

// net is what the refund took from the merchant's balance.
func (r *refund) net() money.Fen {
	if len(r.Steps) == 0 || r.status() == RefundClosed {
		return 0
	}
	return r.Amount - r.Fee
}

// What forbids a refund.
const (
	refusedUnpaid     refusal = "the order isn't paid"
	refusedTotal      refusal = "the total isn't the order's"
	refusedExcess     refusal = "it is more than what is left of the payment"
	refusedTooMany    refusal = "the order has fifty refunds"
	refusedTooOld     refusal = "the payment is more than a year old"
	refusedTooSoon    refusal = "the order's last refund was just now"
	refusedNotEnough  refusal = "the merchant's balance is too low"
	refusedFinal      refusal = "the refund has ended"
	refusedNoSuch     refusal = "there is no such refund"
	refusedNoAbnormal refusal = "the refund isn't ABNORMAL"
)

// putRefund takes a refund in, or puts it in the place of the one of its number.
func (b *books) putRefund(r refund) {
	key := refundKey{r.MerchantID, r.OutRefundNo}
	at := b.refundNumbers[key]
	if at == nil {
		at = new(refund)
		b.refunds = append(b.refunds, at)
		b.refundNumbers[key] = at
		b.refundIDs[r.RefundID] = at
		of := orderKey{r.MerchantID, r.OutTradeNo}
		b.refundsOf[of] = append(b.refundsOf[of], at)
	}
	b.balances[r.MerchantID] += at.net() - r.net()
	if !at.EndsAt.IsZero() {
		b.ending = slices.DeleteFunc(b.ending, func(other *refund) bool { return other == at })
	}
	*at = r
	if !r.EndsAt.IsZero() {
		// Behind those of the same instant, so that they end in the order in which they were put.
		i, _ := slices.BinarySearchFunc(b.ending, r.EndsAt, func(other *refund, t time.Time) int {
			return cmp.Or(other.EndsAt.Compare(t), -1)
		})
		b.ending = slices.Insert(b.ending, i, at)
	}
}

// putTransfer takes a transfer in.
func (b *books) putTransfer(t transfer) {
	b.transfers = append(b.transfers, t)
	b.balances[t.MerchantID] += t.Amount
}

// refunded is what of an order went back or is on its way, and what of its fee came back with it.
func (b *books) refunded(o *order) (amount, fee money.Fen) {
	for _, r := range b.refundsOf[orderKey{o.MerchantID, o.OutTradeNo}] {
		if r.status() != RefundClosed {
			amount += r.Amount
			fee += r.Fee
		}
	}
	return amount, fee
}

// payment to refund: by transaction_id where r has one, else by out_trade_no.
func (b *books) refundable(r refund, now time.Time) (o order, err error) {
	if r.TransactionID != "" {
		o, err = b.findPaid(r.MerchantID, r.TransactionID, now)
	} else {
		o, err = b.find(r.MerchantID, r.OutTradeNo, now)
	}
	switch {
	case err != nil:
		return o, err
	case !o.paid():
		return o, refusedUnpaid
	}
	return o, nil
}

// accept accepts a refund, of which r says what was asked for and has the refund_id that it will have. Asked for again, in
// the same terms, it is the refund as it stands, and fresh is false. The order becomes StateRefund.
//
// gap is the time that must be between two refunds of one order.
func (b *books) accept(r refund, gap time.Duration, now time.Time) (accepted refund, o order, fresh bool, err error) {
	if old, ok := b.refundNumbers[refundKey{r.MerchantID, r.OutRefundNo}]; ok {
		o = *b.numbers[orderKey{old.MerchantID, old.OutTradeNo}]
		if old.Terms != r.Terms || old.API != r.API {
			return *old, o, false, refusedDiffers
		}
		return *old, o, false, nil
	}
	if o, err = b.refundable(r, now); err != nil {
		return r, o, false, err
	}
	before := b.refundsOf[orderKey{o.MerchantID, o.OutTradeNo}]
	gone, feeBack := b.refunded(&o)
	left := o.Amount - gone
	// What the merchant keeps of the fee is that of what is left. Numbers are rounded, so this can't be said of one refund
	// alone; the last one brings the rest of the fee back.
	r.Fee = max(0, fee(o.Amount)-feeBack-fee(left-r.Amount))
	switch {
	case r.Total != o.Amount:
		return r, o, false, refusedTotal
	case r.Amount > left:
		return r, o, false, refusedExcess
	case now.Sub(o.PaidAt) > refundWindow:
		return r, o, false, refusedTooOld
	case len(before) >= mostRefunds:
		return r, o, false, refusedTooMany
	case len(before) > 0 && now.Sub(before[len(before)-1].acceptedAt()) < gap:
		return r, o, false, refusedTooSoon
	case b.balances[r.MerchantID] < r.Amount-r.Fee:
		return r, o, false, refusedNotEnough
	}
	r.OutTradeNo, r.TransactionID = o.OutTradeNo, o.TransactionID
	r.Steps = []refundStep{{RefundProcessing, now, "ORIGINAL", "支付用户零钱"}}
	b.putRefund(r)
	o.State = StateRefund
	b.put(o)
	return r, o, true, nil
}

// findRefund is the refund of that number.
func (b *books) findRefund(merchantID, outRefundNo string) (refund, error) {
	r, ok := b.refundNumbers[refundKey{merchantID, outRefundNo}]
	if !ok {
		return refund{}, refusedNoSuch
	}
	return *r, nil
}

// plan says what a refund becomes by itself, and when; the zero time is never.
func (b *books) plan(r refund, ending RefundStatus, at time.Time) refund {
	r.Ending, r.EndsAt = ending, at
	if at.IsZero() {
		r.Ending = ""
	}
	b.putRefund(r)
	return r
}

// turn moves a refund to another step, after which nothing more happens to it by itself.
func (b *books) turn(r refund, to refundStep) (refund, error) {
	if s := r.status(); s == RefundSuccess || s == RefundClosed {
		return r, refusedFinal
	}
	r.Steps = append(slices.Clip(r.Steps), to)
	r.Ending, r.EndsAt = "", time.Time{}
	b.putRefund(r)
	return r, nil
}

// Refund is a refund in the sandbox's books.
type Refund struct {
	OutRefundNo string       `json:"out_refund_no"`
	RefundID    string       `json:"refund_id"`
	Amount      money.Fen    `json:"amount"`
	Status      RefundStatus `json:"status"`
	MerchantID  string       `json:"merchant_id"`
	OutTradeNo  string       `json:"out_trade_no"`
	API         string       `json:"api"` // v2, v3 or platform
	Fee         money.Fen    `json:"fee"` // of the payment's fee, what the merchant got back
	Reason      string       `json:"reason"`
	NotifyURL   string       `json:"notify_url"`
	CreatedAt   time.Time    `json:"created_at"`
	EndedAt     *time.Time   `json:"ended_at"` // when it came to its status; nil while PROCESSING
	Ending      RefundStatus `json:"ending"`   // what it becomes by itself; "" is that it stays
	EndsAt      *time.Time   `json:"ends_at"`
}

// view is r as it is shown.
func (r *refund) view() Refund {
	v := Refund{
		OutRefundNo: r.OutRefundNo, RefundID: r.RefundID, Amount: r.Amount, Status: r.status(), MerchantID: r.MerchantID,
		OutTradeNo: r.OutTradeNo, API: r.API, Fee: r.Fee, Reason: r.Reason, NotifyURL: r.NotifyURL,
		CreatedAt: r.acceptedAt(), Ending: r.Ending, EndsAt: known(r.EndsAt),
	}
	if v.Status != RefundProcessing {
		v.EndedAt = known(r.now().At)
	}
	return v
}

// Refunds are all refunds, as accepted.
func (s *Sandbox) Refunds() []Refund {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endRefunds()
	all := make([]Refund, len(s.books.refunds))
	for i, r := range s.books.refunds {
		all[i] = r.view()
	}
	return all
}

// Refund is the refund of that number; the newest one where several merchants use the number.
func (s *Sandbox) Refund(outRefundNo string) (Refund, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endRefunds()
	r := s.newestRefund(outRefundNo)
	if r == nil {
		return Refund{}, false
	}
	return r.view(), true
}

// newestRefund is the refund of that number, or nil. mu is held.
func (s *Sandbox) newestRefund(outRefundNo string) (found *refund) {
	for _, m := range s.merchants {
		r, ok := s.books.refundNumbers[refundKey{m.ID, outRefundNo}]
		if ok && (found == nil || r.acceptedAt().After(found.acceptedAt())) {
			found = r
		}
	}
	return found
}

// refundEndings are the kinds of faults that choose how a refund ends, and what it is then.
var refundEndings = map[string]RefundStatus{
	"abnormal": RefundAbnormal, "closed": RefundClosed, "processing": RefundProcessing,
}

// acceptRefund accepts a refund for the call named by the operation, or finds it again. Where a fault of notify.refund asks
// for it, the refund ends at once, and its notification is sent and answered, before acceptRefund returns; what it returns
// is the refund as it was accepted nevertheless.
func (s *Sandbox) acceptRefund(ctx context.Context, operation string, r refund) (refund, error) {
	s.mu.Lock()
	s.endRefunds()
	now := s.now()
	r.RefundID = s.newRefundID(now)
	r, o, fresh, err := s.books.accept(r, s.settings.RefundGap, now)
	if err != nil || !fresh {
		s.mu.Unlock()
		return r, err
	}
	ending, at := RefundSuccess, now.Add(s.settings.RefundAfter)
	if f := s.strikeHeld(operation, r.OutTradeNo, "abnormal", "closed", "processing"); f != nil {
		ending, at = s.ends(refundEndings[f.Kind], f.Delay)
	}
	r = s.books.plan(r, ending, at)
	s.save(kindRefund, r)
	s.save(kindOrder, o)
	s.recordHeld(Entry{Kind: "state", Name: "refund.accepted", OutTradeNo: r.OutTradeNo,
		Summary: fmt.Sprintf("PROCESSING %s of %s: %s", r.Amount, r.Total, r.OutRefundNo)})
	var early *Fault
	if r.NotifyURL != "" && r.Ending != "" {
		early = s.strikeHeld("notify.refund", r.OutTradeNo, "reorder")
	}
	if early == nil {
		s.startDelivery()
		s.mu.Unlock()
		return r, nil
	}
	n := s.turnRefund(r, r.Ending, now)
	s.mu.Unlock()
	s.awaitAttempt(ctx, n)
	s.pause(ctx, early.Delay)
	return r, nil
}

// ends is when a refund that is to end so does: after a time, or else after the usual one. One that is to stay PROCESSING
// does so for ever, or else for the time given. mu is held.
func (s *Sandbox) ends(as RefundStatus, after time.Duration) (RefundStatus, time.Time) {
	switch {
	case as == RefundProcessing && after == 0:
		return "", time.Time{}
	case as == RefundProcessing:
		return RefundSuccess, s.now().Add(after)
	}
	return as, s.now().Add(cmp.Or(after, s.settings.RefundAfter))
}

// endRefunds moves the refunds on whose time has come. Whoever reads or changes refunds calls it first. mu is held.
func (s *Sandbox) endRefunds() {
	for now := s.now(); len(s.books.ending) > 0 && !s.books.ending[0].EndsAt.After(now); {
		r := *s.books.ending[0]
		s.turnRefund(r, r.Ending, r.EndsAt)
	}
}

// turnRefund moves a refund, which hasn't ended, to another status and makes the notification of it, if there is one. mu is
// held.
func (s *Sandbox) turnRefund(r refund, to RefundStatus, at time.Time) *notification {
	return s.stepRefund(r, refundStep{to, at, r.now().Channel, r.now().Account})
}

// stepRefund is turnRefund with money that may go elsewhere from now on.
func (s *Sandbox) stepRefund(r refund, step refundStep) *notification {
	from, to := r.status(), step.Status
	r, err := s.books.turn(r, step)
	if err != nil {
		return nil // it has ended: there is nothing to tell
	}
	s.save(kindRefund, r)
	s.recordHeld(Entry{Kind: "state", Name: "refund." + refundEntries[to], OutTradeNo: r.OutTradeNo,
		Summary: fmt.Sprintf("%s → %s %s: %s", from, to, r.Amount, r.OutRefundNo)})
	return s.announceRefund(r)
}

// refundEntries are the names of the steps in the journal.
var refundEntries = map[RefundStatus]string{
	RefundProcessing: "processing", RefundSuccess: "succeeded", RefundAbnormal: "abnormal", RefundClosed: "closed",
}

// toCard is the channel of money that goes elsewhere than to where it came from.
const toCard = "OTHER_BANKCARD"

// divertRefund sends the money of an ABNORMAL refund to a card, after which the refund is PROCESSING again. Asked again for
// the same card, it changes nothing.
func (s *Sandbox) divertRefund(merchantID, refundID, outRefundNo, card string) (refund, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endRefunds()
	r, err := s.books.findRefund(merchantID, outRefundNo)
	switch {
	case err != nil:
		return r, err
	case r.RefundID != refundID:
		return refund{}, refusedNoSuch
	case r.status() != RefundAbnormal && r.now().Channel == toCard && r.now().Account == card:
		return r, nil
	case r.status() != RefundAbnormal:
		return r, refusedNoAbnormal
	}
	s.stepRefund(r, refundStep{RefundProcessing, s.now(), toCard, card})
	ending, at := s.ends(RefundSuccess, 0)
	if r, err = s.books.findRefund(merchantID, outRefundNo); err != nil { // as it is now
		return r, err
	}
	r = s.books.plan(r, ending, at)
	s.save(kindRefund, r)
	s.startDelivery()
	return r, nil
}

// SetRefund moves a refund that hasn't ended to a status: at once where after is 0, else after that time on the sandbox's
// clock, by itself. RefundProcessing keeps it as long; 0 is for ever.
//
// Errors are of an unknown number, an unknown status, and a refund that has ended.
func (s *Sandbox) SetRefund(outRefundNo string, status RefundStatus, after time.Duration) (Refund, error) {
	if _, known := refundEntries[status]; !known {
		return Refund{}, badRequest(fmt.Errorf("status %q is unknown: use SUCCESS, CLOSED, ABNORMAL or PROCESSING", status))
	}
	if after < 0 {
		return Refund{}, badRequest(fmt.Errorf("after %s is negative", after))
	}
	s.mu.Lock()
	s.endRefunds()
	at := s.newestRefund(outRefundNo)
	if at == nil {
		s.mu.Unlock()
		return Refund{}, notFound("there is no refund %q: GET /sandbox/v1/refunds lists them", outRefundNo)
	}
	r := *at
	if from := r.status(); from == RefundSuccess || from == RefundClosed {
		s.mu.Unlock()
		return Refund{}, badRequest(fmt.Errorf("the refund %s is %s, which is final", outRefundNo, from))
	}
	if after == 0 && status != RefundProcessing {
		s.turnRefund(r, status, s.now())
	} else {
		if status == RefundProcessing && r.status() != RefundProcessing {
			s.turnRefund(r, status, s.now())
			r = *at
		}
		ending, when := s.ends(status, after)
		s.save(kindRefund, s.books.plan(r, ending, when))
		s.startDelivery()
	}
	view := at.view()
	s.mu.Unlock()
	return view, s.settled()
}

// RefundByHand makes a refund as the merchant does on WeChat Pay's platform: without a call of the API, and with a number
// that the platform chooses. It is not notified, for want of a notify_url. An amount of 0 is all that is left.
func (s *Sandbox) RefundByHand(outTradeNo string, amount money.Fen, reason string) (Refund, error) {
	s.mu.Lock()
	s.endRefunds()
	o := s.newestOrder(outTradeNo)
	if o == nil {
		s.mu.Unlock()
		return Refund{}, notFound("there is no order %q: GET /sandbox/v1/payments lists them", outTradeNo)
	}
	if gone, _ := s.books.refunded(o); amount == 0 {
		amount = o.Amount - gone
	}
	r := refund{MerchantID: o.MerchantID, OutTradeNo: o.OutTradeNo, API: "platform", Amount: amount, Total: o.Amount,
		Reason: reason, OutRefundNo: s.random.text("refund", digits, 28)}
	s.mu.Unlock()
	if amount <= 0 {
		return Refund{}, badRequest(fmt.Errorf("amount %d can't be refunded: nothing is left, or it isn't positive", amount))
	}
	r, err := s.acceptRefund(s.ending, "", r)
	if err != nil {
		return Refund{}, badRequest(fmt.Errorf("the order %s can't be refunded: %w", outTradeNo, err))
	}
	return r.view(), s.settled()
}

// SetBalance makes the merchant's balance the amount, as if the difference had been paid in or taken out. Payments and
// refunds go on from there. A refund for which the balance is too low is refused (NOT_ENOUGH).
func (s *Sandbox) SetBalance(merchantID string, amount money.Fen) error {
	s.mu.Lock()
	switch {
	case s.merchantOf(merchantID) == nil:
		s.mu.Unlock()
		return notFound("there is no merchant %q: GET /sandbox/v1/merchants lists them", merchantID)
	case amount < 0:
		s.mu.Unlock()
		return badRequest(fmt.Errorf("amount %d is negative: a balance is 0 or more", amount))
	}
	s.endRefunds()
	t := transfer{MerchantID: merchantID, Amount: amount - s.books.balances[merchantID], At: s.now(),
		ID: s.random.text("transfer", digits, 28)}
	if t.Amount != 0 {
		s.books.putTransfer(t)
		s.save(kindTransfer, t)
	}
	s.recordHeld(Entry{Kind: "state", Name: "balance.set", Summary: merchantID + " has " + amount.String()})
	s.mu.Unlock()
	return s.settled()
}

// newRefundID is 29 digits: ten that begin with 5030, the day in Beijing and eleven more. mu is held.
func (s *Sandbox) newRefundID(now time.Time) string {
	for {
		draw := func(n int) string { return s.random.text("refund", digits, n) }
		id := "5030" + draw(6) + now.In(beijing).Format("20060102") + draw(11)
		if s.books.refundIDs[id] == nil {
			return id
		}
	}
}
