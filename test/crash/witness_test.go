package crash

import (
	"fmt"
	"slices"
	"sync"
)

// witness remembers what clients were told, and notices when they are told something else later. It is what an
// acknowledgement is worth: nothing that it heard may ever be taken back, by any crash.
type witness struct {
	mu     sync.Mutex
	orders map[string]order  // by id: the last word about each that was answered for
	ids    []string          // of orders, as they came
	keys   map[string]string // idempotency key → id of the order that it made
	phone  map[string]bool   // out_trade_no for which the phone said requestPayment:ok
	paid   []string          // ids of those, as they came
	wrong  []string          // what must not be
	counts map[string]int
}

func newWitness() *witness {
	return &witness{orders: map[string]order{}, keys: map[string]string{}, phone: map[string]bool{}, counts: map[string]int{}}
}

// maxWrong keeps a flood of complaints readable.
const maxWrong = 20

// complain writes down what must not be.
func (w *witness) complain(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.complainHeld(format, args...)
}

func (w *witness) complainHeld(format string, args ...any) {
	if len(w.wrong) < maxWrong {
		w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
	}
}

func (w *witness) complaints() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.wrong)
}

// count counts what happened, so that a run that tested nothing does not pass.
func (w *witness) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

func (w *witness) counted(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[what]
}

// placed hears the 201 of an order.
func (w *witness) placed(key string, o order) {
	w.mu.Lock()
	if first, ok := w.keys[key]; ok && first != o.ID {
		w.complainHeld("idempotency key %s made %s and then %s", key, first, o.ID)
	}
	w.keys[key] = o.ID
	w.mu.Unlock()
	w.saw(o)
}

// paidOn hears requestPayment:ok for an order.
func (w *witness) paidOn(o order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phone[o.OutTradeNo] = true
	w.paid = append(w.paid, o.ID)
}

// saw hears any later word about an order: what never changes is the same. Answers to several clients overtake each other
// on their way here, so an older status after a newer one proves nothing; see recheck.
func (w *witness) saw(o order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was, known := w.orders[o.ID]
	if !known {
		w.orders[o.ID] = o
		w.ids = append(w.ids, o.ID)
		return
	}
	if o.OutTradeNo != was.OutTradeNo || o.Amount != was.Amount || o.MerchantID != was.MerchantID || o.OpenID != was.OpenID {
		w.complainHeld("order %s changed what never changes: from %+v to %+v", o.ID, was, o)
	}
	if was.TransactionID != "" && o.TransactionID != "" && was.TransactionID != o.TransactionID {
		w.complainHeld("order %s was paid by %s, now by %s", o.ID, was.TransactionID, o.TransactionID)
	}
	if rank(o) > rank(was) {
		w.orders[o.ID] = o
	}
}

// rank orders states as they may follow each other.
func rank(o order) int {
	return map[string]int{"pending": 0, "closed": 1, "paid": 2}[o.Status]
}

// known returns the last word about the order.
func (w *witness) known(id string) order {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.orders[id]
}

// recheck compares an answer with what had been known before its request left: here nothing overtakes.
func (w *witness) recheck(before, o order) {
	w.saw(o)
	if rank(o) < rank(before) || before.Status == "closed" && o.Status == "paid" && !o.Late {
		w.complain("order %s was acknowledged as %s and is %s now (late: %t)", o.ID, before.Status, o.Status, o.Late)
	}
}

// last returns the last n of list.
func (w *witness) last(list func(*witness) []string, n int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := list(w)
	return slices.Clone(l[max(0, len(l)-n):])
}
