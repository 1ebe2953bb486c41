package pay

import (
	"fmt"
	"slices"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// Status is the state of an order. It only moves forward; docs/states.md draws it.
type Status string

const (
	// Pending: placed, and may be paid. Left by Confirm (to Paid) or, when WeChat confirms that it can't be paid any
	// more, by Closed, Absent or Refused (to Closed).
	Pending Status = "pending"
	// Paid: WeChat holds the money for it. Final.
	Paid Status = "paid"
	// Closed: can't be paid any more. Left only by Confirm, to Paid with Late set: money that came after all.
	Closed Status = "closed"
)

// AttemptStatus is the state of one WeChat order.
type AttemptStatus string

const (
	AttemptUnknown AttemptStatus = "unknown" // intended; WeChat may or may not have been told of it
	AttemptOpen    AttemptStatus = "open"    // WeChat knows it and it may be paid
	AttemptPaid    AttemptStatus = "paid"
	AttemptClosed  AttemptStatus = "closed" // WeChat confirms that it can't be paid, or was never told of it for certain
)

// Channel is the generation of WeChat's API that an order was placed with.
type Channel string

// WeChatV3 is API v3.
const WeChatV3 Channel = "wechat_v3"

// Method is how the buyer pays.
type Method string

const (
	MiniProgram Method = "mini_program" // wx.requestPayment in a mini program
	JSAPI       Method = "jsapi"        // the same order in WeChat's browser
)

// Attempt is one WeChat order, made to get one order of ours paid.
type Attempt struct {
	OutTradeNo    string
	Status        AttemptStatus
	NotifyURL     string    // part of the request's parameters, which must stay the same when it is repeated
	PrepayID      string    // empty until WeChat gave one
	PrepaidAt     time.Time // when it did: a prepay_id lives 2 hours
	AskedAt       time.Time // when a Prepay last left, whatever became of it
	TransactionID string
	Receipt       Receipt
	Evidence      Evidence // of the payment
	CreatedAt     time.Time
}

// Order is what a buyer owes for. Its amount, payer, app and merchant never change. It is a value: steps return a
// changed copy, and nothing outside of it is touched.
type Order struct {
	ID          OrderID
	MerchantID  string // mchid
	AppID       string
	UserID      UserID
	OpenID      string // who pays, under AppID
	Channel     Channel
	Method      Method
	Status      Status
	Total       money.Fen // in fen
	Currency    string    // CNY
	Description string    // what the buyer's bill says, at most 127 bytes
	Items       []Item
	Reference   string            // the merchant's own number, opaque
	Attach      string            // given back by WeChat as it is, at most 128 bytes
	Metadata    map[string]string // the caller's, opaque

	TransactionID string // WeChat's number of the payment
	PaidAt        time.Time
	ClosedAt      time.Time
	ExpiresAt     time.Time // from then on it can't be paid, and is closed at WeChat
	CreatedAt     time.Time
	Late          bool // paid after it had been closed
	Flagged       bool // its incidents need a human
	Frozen        bool // WeChat's word contradicts the order: nothing more is asked of the buyer until it agrees

	Attempts []Attempt
	IssuedAt time.Time // when payment parameters were last handed out
	Due      time.Time // when to look at it again; zero when nothing is left to do
	Misses   int       // how often in a row WeChat could not be asked
}

// Grace is how long after the last Prepay left an ErrNotExist is not believed: a request can be slow, and WeChat's own
// books lag.
const Grace = 10 * time.Minute

// PrepayLife is how long a prepay_id is handed out again. WeChat keeps it for 2 hours; the rest is the buyer's, to type
// the password.
const PrepayLife = 2*time.Hour - 5*time.Minute

// newOrder returns o, which has an id, as a pending order with the one attempt that is about to be asked of WeChat. Its
// number at WeChat is the order's id, unless the merchant gave one.
func newOrder(o Order, outTradeNo, notifyURL string, now time.Time) (Order, []Effect) {
	if outTradeNo == "" {
		outTradeNo = string(o.ID)
	}
	o.Status, o.Currency, o.CreatedAt = Pending, money.CNY, now
	o.Attempts = []Attempt{{OutTradeNo: outTradeNo, Status: AttemptUnknown, NotifyURL: notifyURL, AskedAt: now, CreatedAt: now}}
	o.Due = now.Add(firstLook)
	return o, []Effect{o.event(OrderCreated, now)}
}

// Attempt returns the attempt of that number.
func (o Order) Attempt(outTradeNo string) (Attempt, bool) {
	i := slices.IndexFunc(o.Attempts, func(a Attempt) bool { return a.OutTradeNo == outTradeNo })
	if i < 0 {
		return Attempt{}, false
	}
	return o.Attempts[i], true
}

// Current is the attempt by which the order is to be paid: the newest.
func (o Order) Current() Attempt { return o.Attempts[len(o.Attempts)-1] }

// Unsettled returns the attempts that may still turn paid, oldest first.
func (o Order) Unsettled() []Attempt {
	return slices.DeleteFunc(slices.Clone(o.Attempts), func(a Attempt) bool {
		return a.Status == AttemptPaid || a.Status == AttemptClosed
	})
}

// Expired tells whether the time to pay o is over at now.
func (o Order) Expired(now time.Time) bool { return !now.Before(o.ExpiresAt) }

// Payable tells why no payment parameters may be handed out for o at now, or nil.
func (o Order) Payable(now time.Time) error {
	switch {
	case o.Status == Paid:
		return refuse(CodeOrderPaid, nil)
	case o.Status == Closed:
		return refuse(CodeOrderClosed, nil)
	case o.Frozen:
		return refuse(CodeOrderFrozen, nil)
	case o.Expired(now):
		return refuse(CodeOrderExpired, nil)
	}
	return nil
}

// with returns o with f applied to its own copy of the attempt of that number. It reports false where there is none.
func (o Order) with(outTradeNo string, f func(*Attempt)) (Order, bool) {
	i := slices.IndexFunc(o.Attempts, func(a Attempt) bool { return a.OutTradeNo == outTradeNo })
	if i < 0 {
		return o, false
	}
	o.Attempts = slices.Clone(o.Attempts)
	f(&o.Attempts[i])
	return o, true
}

// Intend records that a Prepay for the attempt is about to leave. It comes before every call, so that a crash in the
// middle leaves a trace, and [Grace] counts from the last one.
func (o Order) Intend(outTradeNo string, now time.Time) (Order, []Effect, error) {
	if err := o.Payable(now); err != nil {
		return o, nil, err
	}
	// Each call shows, even two within a millisecond: see Refused.
	o, _ = o.with(outTradeNo, func(a *Attempt) { a.AskedAt = later(now, a.AskedAt.Add(time.Millisecond)) })
	o.Due = sooner(o.Due, now.Add(firstLook))
	return o, nil, nil
}

// Prepaid records the prepay_id that WeChat gave for the attempt. If the order was settled meanwhile it changes nothing.
func (o Order) Prepaid(outTradeNo, prepayID string, now time.Time) (Order, []Effect, error) {
	if a, ok := o.Attempt(outTradeNo); !ok || a.Status == AttemptPaid || a.Status == AttemptClosed {
		return o, nil, nil
	}
	o, _ = o.with(outTradeNo, func(a *Attempt) {
		a.Status, a.PrepayID, a.PrepaidAt = AttemptOpen, prepayID, now
	})
	return o, nil, nil
}

// Issue records that payment parameters are handed out at now: from here on a payment may come at any moment, and
// silence is broken by a query within seconds.
func (o Order) Issue(now time.Time) (Order, []Effect, error) {
	if err := o.Payable(now); err != nil {
		return o, nil, err
	}
	o.IssuedAt, o.Misses = now, 0
	o.Due = now.Add(firstLook)
	return o, nil, nil
}

// Confirm records WeChat's verified word that it holds the money for o. It is the only way into Paid: the notification
// and the query both come through here. Hearing it twice changes nothing.
//
// A word that contradicts the order (another merchant, app, amount or currency) is never applied: it becomes an
// incident, and the order is flagged and frozen until WeChat's word agrees. A payment by another transaction of an
// order that is already paid becomes an incident too. A payment of a closed order is money all the same: paid, and Late.
func (o Order) Confirm(t Transaction, now time.Time) (Order, []Effect, error) {
	a, ok := o.Attempt(t.OutTradeNo)
	if !ok {
		return o, nil, fmt.Errorf("order %s has no attempt %s", o.ID, t.OutTradeNo)
	}
	if t.State != TradePaid {
		return o, nil, fmt.Errorf("order %s: trade state %q is no payment", o.ID, t.State)
	}
	if a.Status == AttemptPaid && a.TransactionID == t.TransactionID {
		return o, nil, nil
	}
	incident := func(kind IncidentKind, expected, got string) Incident { return o.incident(t, kind, expected, got, now) }
	switch {
	case t.MerchantID != o.MerchantID:
		return o.contradicted(incident(WrongMerchant, o.MerchantID, t.MerchantID), now)
	case t.AppID != o.AppID:
		return o.contradicted(incident(WrongApp, o.AppID, t.AppID), now)
	case t.Total != o.Total || t.Currency != o.Currency:
		return o.contradicted(incident(WrongAmount, o.Total.String()+" "+o.Currency, t.Total.String()+" "+t.Currency), now)
	case t.TransactionID == "":
		return o, nil, fmt.Errorf("order %s: a payment without a transaction id", o.ID)
	case a.Status == AttemptPaid:
		return o.flag(incident(SecondPayment, a.TransactionID, t.TransactionID), now)
	}
	o, _ = o.with(t.OutTradeNo, func(a *Attempt) {
		a.Status, a.TransactionID, a.Receipt, a.Evidence = AttemptPaid, t.TransactionID, t.Receipt, t.Evidence
	})
	if o.Status == Paid { // by another attempt
		return o.flag(incident(SecondPayment, o.TransactionID, t.TransactionID), now)
	}
	o.Late = o.Status == Closed
	o.Status, o.TransactionID, o.PaidAt, o.Frozen = Paid, t.TransactionID, t.PaidAt, false
	o.Due, o.Misses = time.Time{}, 0
	if len(o.Unsettled()) > 0 { // another attempt could still be paid: it has to be closed
		o.Due = now
	}
	effects := []Effect{o.event(OrderPaid, now)}
	if t.OpenID != o.OpenID {
		// WeChat lets the same person pay through another app; the money is the order's all the same.
		var more []Effect
		o, more, _ = o.flag(incident(WrongPayer, "the openid that placed it", "another openid"), now)
		effects = append(effects, more...)
	}
	return o, effects, nil
}

// Taken records that the transaction which WeChat says has paid o has paid another order already.
func (o Order) Taken(t Transaction, now time.Time) (Order, []Effect, error) {
	return o.contradicted(o.incident(t, SecondOrder, "a transaction of its own", t.TransactionID, now), now)
}

func (o Order) incident(t Transaction, kind IncidentKind, expected, got string, now time.Time) Incident {
	return Incident{Kind: kind, MerchantID: o.MerchantID, OutTradeNo: t.OutTradeNo, TransactionID: t.TransactionID, OrderID: o.ID,
		Expected: expected, Got: got, Evidence: t.Evidence, CreatedAt: now}
}

// contradicted freezes the order: WeChat holds money under its number that is not the order's.
func (o Order) contradicted(i Incident, now time.Time) (Order, []Effect, error) {
	if o.Status == Pending {
		// A query comes soon, because it may tell better; when it says the same, it is a human's turn.
		o.Due = now.Add(firstLook)
		if o.Frozen {
			o.Due = now.Add(frozenLook)
		}
		o.Frozen = true
	}
	return o.flag(i, now)
}

// flag keeps the incident and, the first time, tells the merchant.
func (o Order) flag(i Incident, now time.Time) (Order, []Effect, error) {
	effects := []Effect{i}
	if !o.Flagged {
		o.Flagged = true
		effects = append(effects, o.event(OrderFlagged, now))
	}
	return o, effects, nil
}

// Unpaid records WeChat's verified word that the attempt may still be paid.
func (o Order) Unpaid(outTradeNo string, now time.Time) (Order, []Effect, error) {
	if o.Status != Pending {
		return o, nil, nil
	}
	o, _ = o.with(outTradeNo, func(a *Attempt) {
		if a.Status == AttemptUnknown {
			a.Status = AttemptOpen
		}
	})
	o.Misses = 0
	o.Due = o.nextLook(now)
	return o, nil, nil
}

// Void records WeChat's verified word that the attempt can't be paid any more. The order closes with its last attempt.
func (o Order) Void(outTradeNo string, now time.Time) (Order, []Effect, error) {
	if a, ok := o.Attempt(outTradeNo); !ok || a.Status == AttemptPaid {
		return o, nil, nil
	}
	o, _ = o.with(outTradeNo, func(a *Attempt) { a.Status = AttemptClosed })
	return o.closeWhenVoid(now)
}

// Absent records WeChat's word that it holds no order of that number. That word is not signed. For an attempt of which
// WeChat never gave a prepay_id it is believed when the order has expired and the last Prepay left longer than [Grace]
// ago: nobody can have been handed what is needed to pay it. For one that WeChat has acknowledged it contradicts a signed
// answer: it closes nothing, a human is told, and WeChat is asked on.
func (o Order) Absent(outTradeNo string, now time.Time) (Order, []Effect, error) {
	a, ok := o.Attempt(outTradeNo)
	if !ok || o.Status == Paid || a.Status == AttemptPaid || a.Status == AttemptClosed {
		return o, nil, nil
	}
	settled := later(o.ExpiresAt, a.AskedAt.Add(Grace))
	switch {
	case now.Before(settled):
		o.Due = sooner(o.nextLook(now), settled)
		return o, nil, nil
	case a.Status == AttemptUnknown:
		return o.Void(outTradeNo, now)
	}
	o.Due = o.nextLook(now)
	return o.flag(Incident{Kind: MissingAtWeChat, MerchantID: o.MerchantID, OutTradeNo: outTradeNo,
		OrderID: o.ID, Expected: "an order", Got: "none", CreatedAt: now}, now)
}

// Refused records that WeChat refused the very first Prepay of the attempt: it was never told of it, for certain. It
// changes nothing when another call has left meanwhile, because that one may have been taken.
func (o Order) Refused(outTradeNo string, now time.Time) (Order, []Effect, error) {
	if a, ok := o.Attempt(outTradeNo); !ok || a.Status != AttemptUnknown || a.AskedAt.After(a.CreatedAt) {
		return o, nil, nil
	}
	return o.Void(outTradeNo, now)
}

func (o Order) closeWhenVoid(now time.Time) (Order, []Effect, error) {
	if len(o.Unsettled()) > 0 {
		return o, nil, nil
	}
	o.Due, o.Misses = time.Time{}, 0
	if o.Status != Pending {
		return o, nil, nil
	}
	o.Status, o.ClosedAt, o.Frozen = Closed, now, false
	return o, []Effect{o.event(OrderClosed, now)}, nil
}

// Missed records that WeChat could not be asked, or that its answer can't be trusted: nothing is known, ask again.
func (o Order) Missed(now time.Time) (Order, []Effect, error) {
	if o.Due.IsZero() {
		return o, nil, nil
	}
	o.Misses++
	o.Due = now.Add(backOff(o.Misses))
	return o, nil, nil
}

// Hasten brings the next look forward to now: the buyer asks.
func (o Order) Hasten(now time.Time) (Order, []Effect, error) {
	if !o.Due.IsZero() {
		o.Due = sooner(o.Due, now)
	}
	return o, nil, nil
}
