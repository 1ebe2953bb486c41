package sandbox

import (
	"cmp"
	"slices"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// State is the trade_state of an order, in WeChat Pay's words.
type State string

const (
	// StateNotPay is an order that can still be paid, unless its time is over. It goes to StateSuccess by the buyer and
	// to StateClosed by the merchant or, after seven days, by itself.
	StateNotPay State = "NOTPAY"
	// StateSuccess is a paid order. It never goes back to StateNotPay or to StateClosed.
	StateSuccess State = "SUCCESS"
	// StateClosed is an order that can't be paid any more. It is final, and its number is burnt.
	StateClosed State = "CLOSED"
)

// How long things live. Source: vendor manual, "JSAPI下单" and "小程序调起支付".
const (
	prepayLife  = 2 * time.Hour
	orderLife   = 7 * 24 * time.Hour  // where no time_expire was given
	longestLife = 15 * 24 * time.Hour // the latest time_expire
)

// order is an order of a merchant, whichever API placed it: one number in one merchant's books.
type order struct {
	MerchantID  string    `json:"merchant_id"`
	OutTradeNo  string    `json:"out_trade_no"`
	API         string    `json:"api"`                  // v2 or v3: which of them placed it
	TradeType   string    `json:"trade_type,omitempty"` // JSAPI where there is none
	SignType    string    `json:"sign_type,omitempty"`  // of v2: MD5 or HMAC-SHA256
	AppID       string    `json:"app_id"`
	OpenID      string    `json:"openid"`
	Description string    `json:"description"`
	Attach      string    `json:"attach,omitempty"`
	DeviceID    string    `json:"device_id,omitempty"`
	NotifyURL   string    `json:"notify_url"`
	Amount      money.Fen `json:"amount"`
	Terms       string    `json:"terms"` // all that was ordered: who repeats a call must say the same
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"` // time_expire; zero where none was given
	Prepays     []prepay  `json:"prepays"`

	State         State     `json:"state"`
	TransactionID string    `json:"transaction_id,omitempty"`
	PaidAt        time.Time `json:"paid_at,omitzero"`
	ClosedAt      time.Time `json:"closed_at,omitzero"`
}

// prepay is one prepay_id of an order. Each repeat of the order call gives another, and all that are young enough work
// until the order is paid or closed.
type prepay struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

// ends is when WeChat closes an unpaid order by itself. time_expire ends what the cashier accepts, not the order: until
// WeChat gets to it the order stays NOTPAY, and whoever needs it closed closes it.
func (o *order) ends() time.Time {
	ends := o.CreatedAt.Add(orderLife)
	if o.ExpiresAt.After(ends) {
		return o.ExpiresAt
	}
	return ends
}

// at is the order as it stands at the instant.
func (o order) at(now time.Time) order {
	if o.State == StateNotPay && !now.Before(o.ends()) {
		o.State, o.ClosedAt = StateClosed, o.ends()
	}
	return o
}

// tradeType is how the order is paid: JSAPI, NATIVE, MWEB or APP.
func (o order) tradeType() string { return cmp.Or(o.TradeType, "JSAPI") }

// prepay is the prepay of that id, which the order has.
func (o order) prepay(id string) prepay {
	i := slices.IndexFunc(o.Prepays, func(p prepay) bool { return p.ID == id })
	return o.Prepays[i]
}

// refusal is a rule of the books that a call or a buyer broke. Each API has its own words for it.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	refusedUnknown refusal = "there is no such order"
	refusedForeign refusal = "the order is another merchant's"
	refusedDiffers refusal = "the number was ordered with other parameters"
	refusedPaid    refusal = "the order is paid"
	refusedClosed  refusal = "the order is closed"
	refusedOverdue refusal = "the order's time is over"
	refusedStale   refusal = "the prepay_id is older than two hours"
)

// books are all orders. The steps take the time and ids as arguments and do no I/O.
type books struct {
	orders   []*order // as placed
	numbers  map[orderKey]*order
	prepays  map[string]*order
	payments map[string]*order // by transaction id
}

// orderKey is what makes an order: a number is unique for one merchant only.
type orderKey struct{ merchantID, outTradeNo string }

func newBooks() books {
	return books{numbers: map[orderKey]*order{}, prepays: map[string]*order{}, payments: map[string]*order{}}
}

// put takes an order in, or puts it in the place of the one of its number.
func (b *books) put(o order) {
	key := orderKey{o.MerchantID, o.OutTradeNo}
	at := b.numbers[key]
	if at == nil {
		at = new(order)
		b.orders = append(b.orders, at)
		b.numbers[key] = at
	}
	*at = o
	for _, p := range o.Prepays {
		b.prepays[p.ID] = at
	}
	if o.TransactionID != "" {
		b.payments[o.TransactionID] = at
	}
}

// place orders: it takes a new number in, or gives an unpaid one with the same terms another prepay id.
func (b *books) place(o order, prepayID string, now time.Time) (order, error) {
	if old, ok := b.numbers[orderKey{o.MerchantID, o.OutTradeNo}]; ok {
		was := old.at(now)
		switch {
		case was.State == StateSuccess:
			return was, refusedPaid
		case was.State == StateClosed:
			return was, refusedClosed
		case was.Terms != o.Terms:
			return was, refusedDiffers
		case !was.ExpiresAt.IsZero() && !now.Before(was.ExpiresAt):
			return was, refusedOverdue
		}
		o = was
		o.Prepays = slices.Clip(o.Prepays)
	} else {
		o.State, o.CreatedAt = StateNotPay, now
	}
	o.Prepays = append(o.Prepays, prepay{prepayID, now})
	b.put(o)
	return o, nil
}

// find is the order of that number as it stands at the instant.
func (b *books) find(merchantID, outTradeNo string, now time.Time) (order, error) {
	o, ok := b.numbers[orderKey{merchantID, outTradeNo}]
	if !ok {
		return order{}, refusedUnknown
	}
	return o.at(now), nil
}

// findPaid is the order that the transaction paid.
func (b *books) findPaid(merchantID, transactionID string, now time.Time) (order, error) {
	o, ok := b.payments[transactionID]
	switch {
	case !ok:
		return order{}, refusedUnknown
	case o.MerchantID != merchantID:
		return order{}, refusedForeign
	}
	return o.at(now), nil
}

// payable is the order that the prepay id pays, or why it can't.
func (b *books) payable(prepayID string, now time.Time) (order, error) {
	at, ok := b.prepays[prepayID]
	if !ok {
		return order{}, refusedUnknown
	}
	o := at.at(now)
	switch {
	case o.State == StateSuccess:
		return o, refusedPaid
	case o.State == StateClosed:
		return o, refusedClosed
	case !o.ExpiresAt.IsZero() && !now.Before(o.ExpiresAt):
		return o, refusedOverdue
	case now.Sub(o.prepay(prepayID).At) >= prepayLife:
		return o, refusedStale
	}
	return o, nil
}

// pay moves the buyer's money: the only way to StateSuccess.
func (b *books) pay(prepayID, transactionID string, now time.Time) (order, error) {
	o, err := b.payable(prepayID, now)
	if err != nil {
		return o, err
	}
	o.State, o.TransactionID, o.PaidAt = StateSuccess, transactionID, now
	b.put(o)
	return o, nil
}

// close ends an unpaid order. Closing a closed one changes nothing.
func (b *books) close(merchantID, outTradeNo string, now time.Time) (o order, changed bool, err error) {
	if o, err = b.find(merchantID, outTradeNo, now); err != nil {
		return o, false, err
	}
	switch o.State {
	case StateSuccess:
		return o, false, refusedPaid
	case StateClosed:
		return o, false, nil
	}
	o.State, o.ClosedAt = StateClosed, now
	b.put(o)
	return o, true, nil
}

// Payment is an order in the sandbox's books, paid or not.
type Payment struct {
	OutTradeNo    string     `json:"out_trade_no"`
	PrepayID      string     `json:"prepay_id"`      // the newest
	TransactionID string     `json:"transaction_id"` // "" until paid
	MerchantID    string     `json:"merchant_id"`
	AppID         string     `json:"app_id"`
	OpenID        string     `json:"openid"`
	API           string     `json:"api"` // v2 or v3
	TradeType     string     `json:"trade_type"`
	Amount        money.Fen  `json:"amount"`
	State         State      `json:"state"`
	PaidAt        *time.Time `json:"paid_at"` // nil until paid
	Refunds       []Refund   `json:"refunds"` // never nil
	Description   string     `json:"description"`
	Attach        string     `json:"attach"`
	NotifyURL     string     `json:"notify_url"`
	CreatedAt     time.Time  `json:"created_at"`
	ExpiresAt     *time.Time `json:"expires_at"` // time_expire; nil where none was given
	ClosedAt      *time.Time `json:"closed_at"`
}

// Refund is a refund of a payment.
type Refund struct {
	OutRefundNo string    `json:"out_refund_no"`
	RefundID    string    `json:"refund_id"`
	Amount      money.Fen `json:"amount"`
	Status      string    `json:"status"`
}

// payment is o as it is shown.
func (o order) payment() Payment {
	known := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	return Payment{
		OutTradeNo: o.OutTradeNo, PrepayID: o.Prepays[len(o.Prepays)-1].ID, TransactionID: o.TransactionID,
		MerchantID: o.MerchantID, AppID: o.AppID, OpenID: o.OpenID, API: o.API, TradeType: o.tradeType(), Amount: o.Amount, State: o.State,
		PaidAt: known(o.PaidAt), Refunds: []Refund{}, Description: o.Description, Attach: o.Attach,
		NotifyURL: o.NotifyURL, CreatedAt: o.CreatedAt, ExpiresAt: known(o.ExpiresAt), ClosedAt: known(o.ClosedAt),
	}
}

// Payments are all orders, as placed.
func (s *Sandbox) Payments() []Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	all := make([]Payment, len(s.books.orders))
	for i, o := range s.books.orders {
		all[i] = o.at(now).payment()
	}
	return all
}

// Payment is the order of that number; the newest one where several merchants use the number.
func (s *Sandbox) Payment(outTradeNo string) (Payment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found *order
	for _, m := range s.merchants {
		o, ok := s.books.numbers[orderKey{m.ID, outTradeNo}]
		if ok && (found == nil || o.CreatedAt.After(found.CreatedAt)) {
			found = o
		}
	}
	if found == nil {
		return Payment{}, false
	}
	return found.at(s.now()).payment(), true
}

// Account is what one merchant took and gave back.
type Account struct {
	MerchantID string    `json:"merchant_id"`
	Paid       Sum       `json:"paid"`
	Refunded   Sum       `json:"refunded"`
	Fee        money.Fen `json:"fee"` // 0.6 % of each payment, rounded half up to the fen
}

// Sum is how many and how much.
type Sum struct {
	Count  int64     `json:"count"`
	Amount money.Fen `json:"amount"`
}

// Books are the merchants' accounts: what truly was paid, whatever the service under test believes.
func (s *Sandbox) Books() []Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Account, len(s.merchants))
	of := map[string]*Account{}
	for i, m := range s.merchants {
		all[i].MerchantID = m.ID
		of[m.ID] = &all[i]
	}
	for _, o := range s.books.orders {
		if o.State != StateSuccess {
			continue
		}
		a := of[o.MerchantID]
		a.Paid.Count++
		a.Paid.Amount += o.Amount // far from overflow: an amount has at most ten digits
		a.Fee += fee(o.Amount)
	}
	return all
}

// fee is what WeChat Pay keeps of a payment at its standard rate.
func fee(amount money.Fen) money.Fen { return (amount*6 + 500) / 1000 }
