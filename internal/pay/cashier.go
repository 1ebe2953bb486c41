package pay

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Merchant is one merchant number and the apps that take payments with it.
type Merchant struct {
	ID        string
	Channel   Channel // of new orders
	NotifyURL string  // where WeChat sends its notifications
	Apps      []string
}

// Config is what a Cashier works with. All fields but Log are needed.
type Config struct {
	Store     Store
	Gateway   Gateway
	Now       func() time.Time // business time; nil means time.Now
	Log       *slog.Logger     // nil means slog.Default
	Secret    []byte           // keys the digests of session tokens; a new one ends all sessions
	Merchants []Merchant
}

// Cashier carries out the use cases. It is safe for concurrent use, and any number of them may share one Store.
type Cashier struct {
	store   Store
	gateway Gateway
	now     func() time.Time
	log     *slog.Logger
	secret  []byte
	byApp   map[string]Merchant
	ids     idSource
	hub     hub
}

// NewCashier checks c and returns a Cashier. It starts nothing.
func NewCashier(c Config) (*Cashier, error) {
	switch {
	case c.Store == nil || c.Gateway == nil:
		return nil, errors.New("a cashier needs a store and a gateway")
	case len(c.Secret) < 32:
		return nil, fmt.Errorf("a cashier's secret has at least 32 bytes, not %d", len(c.Secret))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	// What is kept and compared has the precision of the store.
	now := func() time.Time { return c.Now().UTC().Truncate(time.Millisecond) }
	k := &Cashier{store: c.Store, gateway: c.Gateway, now: now, log: c.Log, secret: c.Secret, byApp: map[string]Merchant{}}
	if k.log == nil {
		k.log = slog.Default()
	}
	for _, m := range c.Merchants {
		for _, app := range m.Apps {
			if other, ok := k.byApp[app]; ok {
				return nil, fmt.Errorf("app %s belongs to merchant %s and to merchant %s", app, other.ID, m.ID)
			}
			k.byApp[app] = m
		}
	}
	return k, nil
}

// update runs a step and wakes those who wait for the order.
func (c *Cashier) update(ctx context.Context, id OrderID, step Step) (Order, error) {
	flagged := false
	o, err := c.store.UpdateOrder(ctx, id, func(before Order) (Order, []Effect, error) {
		o, effects, err := step(before)
		flagged = o.Flagged && !before.Flagged
		return o, c.ids.name(effects), err
	})
	if err != nil {
		return Order{}, err
	}
	if flagged {
		c.log.ErrorContext(ctx, "an order needs a human: see its incidents", "order", id)
	}
	if o.Status != Pending {
		c.hub.publish(id)
	}
	return o, nil
}

func (c *Cashier) digest(token string) []byte {
	m := hmac.New(sha256.New, c.secret)
	m.Write([]byte(token))
	return m.Sum(nil)
}

// hub wakes the goroutines of this process that wait for an order. It only saves time: what is waited for is in the
// store, and other replicas find it there.
type hub struct {
	mu      sync.Mutex
	waiting map[OrderID]map[chan struct{}]bool
}

// subscribe returns a channel that gets a value when id leaves Pending, and what ends the subscription.
func (h *hub) subscribe(id OrderID) (woken <-chan struct{}, leave func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = map[OrderID]map[chan struct{}]bool{}
	}
	if h.waiting[id] == nil {
		h.waiting[id] = map[chan struct{}]bool{}
	}
	h.waiting[id][ch] = true
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.waiting[id], ch)
		if len(h.waiting[id]) == 0 {
			delete(h.waiting, id)
		}
	}
}

func (h *hub) publish(id OrderID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.waiting[id] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
