package pay

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// unknownDeliveries is how many deliveries of a payment of an unknown order are answered with "again, please": our own
// order may still be on its way into the store of another replica. After that the incident is all there is to do.
const unknownDeliveries = 3

// Hear takes a verified notification. A nil error means that what it says is durable, in the order or as an incident,
// and WeChat may be told so; ErrUnknownOrder means that it should come again.
func (c *Cashier) Hear(ctx context.Context, n Notice) error {
	now := c.now()
	i := Incident{ID: IncidentID(c.ids.id("inc_", now)), MerchantID: n.MerchantID, Evidence: n.Evidence, CreatedAt: now}
	if n.Transaction == nil {
		i.Kind, i.Got = UnknownNotice, n.EventType
		_, err := c.store.Observe(ctx, i)
		return err
	}
	t := *n.Transaction
	id, err := c.store.OrderOf(ctx, n.MerchantID, t.OutTradeNo)
	switch {
	case errors.Is(err, CodeOrderNotFound):
		i.Kind, i.OutTradeNo, i.TransactionID, i.Got = UnknownOrder, t.OutTradeNo, t.TransactionID, t.Total.String()+" "+t.Currency
		seen, err := c.store.Observe(ctx, i)
		if err != nil {
			return err
		}
		c.log.ErrorContext(ctx, "a payment of an order that is not ours", "merchant", n.MerchantID, "out_trade_no", t.OutTradeNo, "seen", seen)
		if seen <= unknownDeliveries {
			return ErrUnknownOrder
		}
		return nil
	case err != nil:
		return err
	case t.State != TradePaid:
		// WeChat notifies of nothing but payments; whatever this is, a query tells the truth.
		_, err := c.update(ctx, id, func(o Order) (Order, []Effect, error) { return o.Hasten(c.now()) })
		return err
	}
	_, err = c.confirm(ctx, id, t)
	return err
}

// confirm is where notification and query meet.
func (c *Cashier) confirm(ctx context.Context, id OrderID, t Transaction) (Order, error) {
	o, err := c.update(ctx, id, func(o Order) (Order, []Effect, error) { return o.Confirm(t, c.now()) })
	if errors.Is(err, ErrTransactionTaken) {
		return c.update(ctx, id, func(o Order) (Order, []Effect, error) { return o.Taken(t, c.now()) })
	}
	return o, err
}

// Order returns an order, or CodeOrderNotFound.
func (c *Cashier) Order(ctx context.Context, id OrderID) (Order, error) {
	return c.store.Order(ctx, id)
}

// Orders lists orders, newest first.
func (c *Cashier) Orders(ctx context.Context, f OrderFilter) ([]Order, string, error) {
	return c.store.Orders(ctx, f)
}

// Follow asks WeChat about every attempt of the order that may still turn paid, and closes at WeChat what has expired.
// It returns the order as it is then. Any number of workers may follow the same order: what they hear is WeChat's word,
// and each step takes it for what it is.
func (c *Cashier) Follow(ctx context.Context, id OrderID) (Order, error) {
	o, err := c.store.Order(ctx, id)
	if err != nil {
		return Order{}, err
	}
	unsettled := o.Unsettled()
	if len(unsettled) == 0 && !o.Due.IsZero() { // only a claim is left of what was due
		return c.update(ctx, id, func(o Order) (Order, []Effect, error) { return o.closeWhenVoid(c.now()) })
	}
	for _, a := range unsettled {
		if o, err = c.followAttempt(ctx, o, a, false); err != nil {
			return o, err
		}
	}
	return o, nil
}

// followAttempt asks for WeChat's word about one attempt and takes the step that it calls for. An attempt that can be
// paid is closed at WeChat when the order has expired or is paid otherwise, or when toClose says so.
func (c *Cashier) followAttempt(ctx context.Context, o Order, a Attempt, toClose bool) (Order, error) {
	t, err := c.gateway.Query(ctx, o, a)
	switch {
	case errors.Is(err, ErrNotExist):
		return c.update(ctx, o.ID, func(o Order) (Order, []Effect, error) { return o.Absent(a.OutTradeNo, c.now()) })
	case err != nil:
		return c.missed(ctx, o.ID, fmt.Errorf("query order %s: %w", a.OutTradeNo, err))
	case t.State == TradePaid:
		return c.confirm(ctx, o.ID, t)
	case t.State == TradeClosed:
		return c.update(ctx, o.ID, func(o Order) (Order, []Effect, error) { return o.Void(a.OutTradeNo, c.now()) })
	}
	if !toClose && o.Status == Pending && !o.Expired(c.now()) {
		return c.update(ctx, o.ID, func(o Order) (Order, []Effect, error) { return o.Unpaid(a.OutTradeNo, c.now()) })
	}
	if err := c.gateway.Close(ctx, o, a); err != nil {
		// Whatever it says, the buyer may be paying this very moment: only the next query decides.
		return c.missed(ctx, o.ID, fmt.Errorf("close order %s: %w", a.OutTradeNo, err))
	}
	return c.update(ctx, o.ID, func(o Order) (Order, []Effect, error) { return o.Void(a.OutTradeNo, c.now()) })
}

// missed postpones the next look and passes the reason on.
func (c *Cashier) missed(ctx context.Context, id OrderID, reason error) (Order, error) {
	o, err := c.update(ctx, id, func(o Order) (Order, []Effect, error) { return o.Missed(c.now()) })
	return o, errors.Join(reason, err)
}

// Sync asks WeChat about the order now, whatever is due, and returns it as it is then. Repeating it is safe.
func (c *Cashier) Sync(ctx context.Context, id OrderID) (Order, error) {
	o, err := c.Follow(ctx, id)
	if err != nil {
		return o, c.answer(err)
	}
	return o, nil
}

// Close makes an order unpayable, at WeChat first. It returns the order, which is paid if the buyer was quicker: then
// the error has CodeOrderPaid. Closing a closed order changes nothing. CodeOrderBeingPaid and CodeWeChatUncertain mean
// that it is still open: ask again.
func (c *Cashier) Close(ctx context.Context, id OrderID) (Order, error) {
	o, err := c.store.Order(ctx, id)
	if err != nil {
		return o, err
	}
	for _, a := range o.Unsettled() {
		if a.Status == AttemptUnknown && !o.Expired(c.now()) {
			// WeChat may be told of it any moment; once it is, it can be closed.
			if a, err = c.tell(ctx, o, a); err != nil {
				return o, err
			}
		}
		o, err = c.followAttempt(ctx, o, a, true)
		if errors.Is(err, ErrSettled) { // paid or closed since it was asked
			o, err = c.followAttempt(ctx, o, a, false)
		}
		if errors.Is(err, ErrBusy) {
			return o, refuse(CodeOrderBeingPaid, err)
		}
		if err != nil {
			return o, c.answer(err)
		}
	}
	switch o.Status {
	case Paid:
		return o, refuse(CodeOrderPaid, nil)
	case Pending:
		return o, refuse(CodeWeChatUncertain, nil)
	}
	return o, nil
}

// tell makes WeChat know an attempt whose Prepay has an unknown outcome, so that it can be closed for certain.
func (c *Cashier) tell(ctx context.Context, o Order, a Attempt) (Attempt, error) {
	prepayID, _, err := c.prepay(ctx, o, a)
	if err != nil {
		return a, c.answer(err)
	}
	o, err = c.update(ctx, o.ID, func(o Order) (Order, []Effect, error) { return o.Prepaid(a.OutTradeNo, prepayID, c.now()) })
	if err != nil {
		return a, err
	}
	a, _ = o.Attempt(a.OutTradeNo)
	return a, nil
}

const (
	// MaxWait is the longest that Wait waits; longer requests are cut to it.
	MaxWait  = 30 * time.Second
	waitLook = 2 * time.Second // how often a waiting client makes us ask WeChat
)

// Wait returns the order as soon as it leaves Pending, or as it is after d. While somebody waits, WeChat is asked every
// two seconds: a buyer who has paid should not look at a spinner because a notification is late.
func (c *Cashier) Wait(ctx context.Context, id OrderID, d time.Duration) (Order, error) {
	woken, leave := c.hub.subscribe(id)
	defer leave()
	end := time.NewTimer(min(d, MaxWait))
	defer end.Stop()
	look := time.NewTimer(0)
	defer look.Stop()
	for first := true; ; first = false {
		o, err := c.store.Order(ctx, id)
		if err != nil || o.Status != Pending || d <= 0 {
			return o, err
		}
		select {
		case <-ctx.Done():
			return o, nil
		case <-end.C:
			return o, nil
		case <-woken:
		case <-look.C:
			// The first look leaves the notification its chance: it is usually on its way.
			if !first || c.now().Sub(later(o.IssuedAt, o.CreatedAt)) > firstLook {
				if o, err = c.Follow(ctx, id); err != nil {
					c.log.WarnContext(ctx, "could not ask WeChat for a waiting client", "order", id, "err", err)
				} else if o.Status != Pending {
					return o, nil
				}
			}
			look.Reset(waitLook)
		}
	}
}

// ClaimDue takes up to n orders whose next look is due, for as long as lease: no other worker gets them before.
func (c *Cashier) ClaimDue(ctx context.Context, n int, lease time.Duration) ([]OrderID, error) {
	now := c.now()
	return c.store.ClaimDue(ctx, now, now.Add(lease), n)
}
