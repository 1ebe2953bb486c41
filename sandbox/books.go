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
	// StateSuccess is a paid order. It never goes back to StateNotPay or to StateClosed, and goes to StateRefund with the
	// first refund that is accepted.
	StateSuccess State = "SUCCESS"
	// StateRefund is a paid order of which a refund was accepted, in part or in whole, whatever became of the refund. It
	// is final.
	StateRefund State = "REFUND"
	// StateClosed is an order that can't be paid any more. It is final, and its number is burnt.
	StateClosed State = "CLOSED"
)

// Trade types, in WeChat Pay's words: how the buyer gets to pay.
const (
	tradeJSAPI  = "JSAPI"  // in a mini program or a page inside WeChat
	tradeNative = "NATIVE" // by scanning a code_url
	tradeH5     = "MWEB"   // in a phone's browser, by an h5_url
	tradeApp    = "APP"    // in an app of the merchant
)

// How long things live. Source: vendor manual, "JSAPI下单", "Native下单", "H5下单" and "小程序调起支付".
const (
	prepayLife  = 2 * time.Hour
	h5Life      = 5 * time.Minute     // of an h5_url
	orderLife   = 7 * 24 * time.Hour  // where no time_expire was given
	longestLife = 15 * 24 * time.Hour // the latest time_expire
	nativeLife  = 7 * 24 * time.Hour  // the latest time_expire of a Native order
)

// order is an order of a merchant, whichever API placed it: one number in one merchant's books.
type order struct {
	MerchantID  string    `json:"merchant_id"`
	OutTradeNo  string    `json:"out_trade_no"`
	API         string    `json:"api"` // v2 or v3: which of them placed it
	TradeType   string    `json:"trade_type"`
	SignType    string    `json:"sign_type,omitempty"` // of v2: MD5 or HMAC-SHA256
	AppID       string    `json:"app_id"`
	OpenID      string    `json:"openid"` // whoever paid; of JSAPI who is to pay
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
	CashierAt     time.Time `json:"cashier_at,omitzero"` // when a buyer was last seen at the cashier
}

// prepay is one prepay_id of an order, and the link that leads to it. Each repeat of the order call gives another, and all
// that are young enough work until the order is paid or closed; of code_urls only the newest one does.
type prepay struct {
	ID   string    `json:"id"`
	At   time.Time `json:"at"`
	Link string    `json:"link,omitempty"` // code_url or h5_url
}

// paid tells whether the buyer's money came, whatever went back since.
func (o *order) paid() bool {
	return o.State == StateSuccess || o.State == StateRefund || o.State == StateRevoked && o.TransactionID != ""
}

// tradeType is how the buyer pays; orders that were kept before there was a choice are of a mini program.
func (o *order) tradeType() string { return cmp.Or(o.TradeType, tradeJSAPI) }

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
	refusedStale   refusal = "the prepay_id, code_url or h5_url is too old"
	refusedToClose refusal = "a code payment is reversed, not closed"
	refusedBusy    refusal = "a buyer is at the cashier"
)

// books are all orders, refunds and what else moved a merchant's balance. The steps take the time and ids as arguments
// and do no I/O.
type books struct {
	orders   []*order // as placed
	numbers  map[orderKey]*order
	prepays  map[string]*order
	links    map[string]string // prepay id of each code_url and h5_url
	payments map[string]*order // by transaction id

	refunds       []*refund // as accepted
	refundNumbers map[refundKey]*refund
	refundIDs     map[string]*refund
	refundsOf     map[orderKey][]*refund // as accepted
	ending        []*refund              // those that WeChat Pay will move on, the next one first

	codes     map[string]paymentCode
	transfers []transfer           // as made
	balances  map[string]money.Fen // by merchant
}

// orderKey is what makes an order: a number is unique for one merchant only.
type orderKey struct{ merchantID, outTradeNo string }

func newBooks() books {
	return books{
		numbers: map[orderKey]*order{}, prepays: map[string]*order{}, links: map[string]string{},
		payments: map[string]*order{}, refundNumbers: map[refundKey]*refund{}, refundIDs: map[string]*refund{},
		refundsOf: map[orderKey][]*refund{}, balances: map[string]money.Fen{}, codes: map[string]paymentCode{},
	}
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
	b.balances[o.MerchantID] += o.net() - at.net()
	*at = o
	for _, p := range o.Prepays {
		b.prepays[p.ID] = at
		if p.Link != "" {
			b.links[p.Link] = p.ID
		}
	}
	if o.TransactionID != "" {
		b.payments[o.TransactionID] = at
	}
}

// net is what the payment of the order added to the merchant's balance.
func (o *order) net() money.Fen {
	if !o.paid() {
		return 0
	}
	return o.Amount - fee(o.Amount)
}

// place orders: it takes a new number in, or gives an unpaid one with the same terms another prepay.
func (b *books) place(o order, p prepay, now time.Time) (order, error) {
	if old, ok := b.numbers[orderKey{o.MerchantID, o.OutTradeNo}]; ok {
		was := old.at(now)
		switch {
		case was.paid():
			return was, refusedPaid
		case was.State == StateClosed:
			return was, refusedClosed
		case was.Terms != o.Terms || was.tradeType() != o.tradeType():
			return was, refusedDiffers
		case !was.ExpiresAt.IsZero() && !now.Before(was.ExpiresAt):
			return was, refusedOverdue
		}
		o = was
		o.Prepays = slices.Clip(o.Prepays)
	} else {
		o.State, o.CreatedAt = StateNotPay, now
	}
	o.Prepays = append(o.Prepays, p)
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
	life := prepayLife
	if o.tradeType() == tradeH5 {
		life = h5Life
	}
	switch {
	case o.paid():
		return o, refusedPaid
	case o.State == StateClosed:
		return o, refusedClosed
	case !o.ExpiresAt.IsZero() && !now.Before(o.ExpiresAt):
		return o, refusedOverdue
	case now.Sub(o.prepay(prepayID).At) >= life,
		o.tradeType() == tradeNative && o.Prepays[len(o.Prepays)-1].ID != prepayID:
		return o, refusedStale
	}
	return o, nil
}

// pay moves the money of the buyer with that openid: the only way to StateSuccess.
func (b *books) pay(prepayID, openID, transactionID string, now time.Time) (order, error) {
	o, err := b.payable(prepayID, now)
	if err != nil {
		return o, err
	}
	o.State, o.OpenID, o.TransactionID, o.PaidAt, o.CashierAt = StateSuccess, openID, transactionID, now, now
	b.put(o)
	return o, nil
}

// close ends an unpaid order. Closing a closed one changes nothing. An order whose buyer was seen at the cashier less than
// busy ago is being paid.
func (b *books) close(merchantID, outTradeNo string, busy time.Duration, now time.Time) (o order, changed bool, err error) {
	if o, err = b.find(merchantID, outTradeNo, now); err != nil {
		return o, false, err
	}
	switch {
	case o.State == StateRevoked:
		return o, false, nil
	case o.paid():
		return o, false, refusedPaid
	case o.State == StateClosed:
		return o, false, nil
	case o.TradeType == tradeMicropay:
		return o, false, refusedToClose
	case busy > 0 && !o.CashierAt.IsZero() && now.Sub(o.CashierAt) < busy:
		return o, false, refusedBusy
	}
	o.State, o.ClosedAt = StateClosed, now
	b.put(o)
	return o, true, nil
}

// Payment is an order in the sandbox's books, paid or not.
type Payment struct {
	OutTradeNo    string     `json:"out_trade_no"`
	PrepayID      string     `json:"prepay_id"`      // the newest
	TradeType     string     `json:"trade_type"`     // JSAPI, NATIVE, MWEB, APP or MICROPAY
	Link          string     `json:"link,omitempty"` // the newest code_url or h5_url
	TransactionID string     `json:"transaction_id"` // "" until paid
	MerchantID    string     `json:"merchant_id"`
	AppID         string     `json:"app_id"`
	OpenID        string     `json:"openid"`
	API           string     `json:"api"` // v2 or v3
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

// payment is o as it is shown.
func (b *books) payment(o order) Payment {
	refunds := []Refund{}
	for _, r := range b.refundsOf[orderKey{o.MerchantID, o.OutTradeNo}] {
		refunds = append(refunds, r.view())
	}
	newest := o.Prepays[len(o.Prepays)-1]
	return Payment{
		OutTradeNo: o.OutTradeNo, PrepayID: newest.ID, TradeType: o.tradeType(), Link: newest.Link,
		TransactionID: o.TransactionID, MerchantID: o.MerchantID, AppID: o.AppID, OpenID: o.OpenID, API: o.API,
		Amount: o.Amount, State: o.State, PaidAt: known(o.PaidAt), Refunds: refunds, Description: o.Description,
		Attach: o.Attach, NotifyURL: o.NotifyURL, CreatedAt: o.CreatedAt, ExpiresAt: known(o.ExpiresAt),
		ClosedAt: known(o.ClosedAt),
	}
}

// known is the instant, or nil where there is none.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Payments are all orders, as placed.
func (s *Sandbox) Payments() []Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endRefunds()
	now := s.now()
	all := make([]Payment, len(s.books.orders))
	for i, o := range s.books.orders {
		all[i] = s.books.payment(o.at(now))
	}
	return all
}

// Payment is the order of that number; the newest one where several merchants use the number.
func (s *Sandbox) Payment(outTradeNo string) (Payment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endRefunds()
	o := s.newestOrder(outTradeNo)
	if o == nil {
		return Payment{}, false
	}
	return s.books.payment(o.at(s.now())), true
}

// newestOrder is the order of that number, the newest one where several merchants use it, or nil. mu is held.
func (s *Sandbox) newestOrder(outTradeNo string) (found *order) {
	for _, m := range s.merchants {
		o, ok := s.books.numbers[orderKey{m.ID, outTradeNo}]
		if ok && (found == nil || o.CreatedAt.After(found.CreatedAt)) {
			found = o
		}
	}
	return found
}

// Account is what one merchant took and gave back.
type Account struct {
	MerchantID string    `json:"merchant_id"`
	Paid       Sum       `json:"paid"`
	Refunded   Sum       `json:"refunded"`  // accepted and not closed: this money left the merchant
	Refunding  Sum       `json:"refunding"` // the part of it that hasn't reached the buyer: PROCESSING and ABNORMAL
	Fee        money.Fen `json:"fee"`       // 0.6 % of each payment, half a fen rounded up, less what refunds gave back
	Balance    money.Fen `json:"balance"`   // what the merchant has
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
	s.endRefunds()
	all := make([]Account, len(s.merchants))
	of := map[string]*Account{}
	for i, m := range s.merchants {
		all[i].MerchantID, all[i].Balance = m.ID, s.books.balances[m.ID]
		of[m.ID] = &all[i]
	}
	for _, o := range s.books.orders {
		if o.paid() {
			a := of[o.MerchantID]
			a.Paid.add(o.Amount)
			a.Fee += fee(o.Amount)
		}
	}
	for _, r := range s.books.refunds {
		a, status := of[r.MerchantID], r.status()
		if status == RefundClosed {
			continue
		}
		a.Refunded.add(r.Amount)
		a.Fee -= r.Fee
		if status != RefundSuccess {
			a.Refunding.add(r.Amount)
		}
	}
	return all
}

// add counts one more. Amounts have at most ten digits, which keeps their sum far from overflow.
func (s *Sum) add(amount money.Fen) {
	s.Count++
	s.Amount += amount
}

// fee is what WeChat Pay keeps of a payment at its standard rate.
func fee(amount money.Fen) money.Fen { return (amount*6 + 500) / 1000 }
