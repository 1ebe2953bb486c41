// Package work does what happens by itself: it asks pay which orders are due and follows each of them. What is due, and
// when, is data in the store; a worker only claims it under a lease, so that any number of processes may work at once
// and one that dies loses nothing but the time of its lease.
package work

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/fenhao-pay/fenhao/internal/pay"
)

// Cashier is what a worker needs of pay.Cashier.
type Cashier interface {
	ClaimDue(ctx context.Context, n int, lease time.Duration) ([]pay.OrderID, error)
	Follow(ctx context.Context, id pay.OrderID) (pay.Order, error)
}

const (
	every   = 500 * time.Millisecond // between looks at what is due
	workers = 8                      // orders followed at once; nearly all of the time each waits for WeChat
	timeout = 15 * time.Second       // of following one order
	lease   = 2 * timeout            // a claim outlives what it was made for
)

// Run follows due orders until ctx is done, and returns when the last one under way has ended.
func Run(ctx context.Context, c Cashier, log *slog.Logger) {
	var busy sync.WaitGroup
	defer busy.Wait()
	free := make(chan struct{}, workers) // holds a token for each worker under way
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		// A full house claims nothing: what it can't follow now, another process can.
		if n := workers - len(free); n > 0 {
			ids, err := c.ClaimDue(ctx, n, lease)
			if err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, "could not look up what is due", "err", err)
			}
			for _, id := range ids {
				free <- struct{}{}
				busy.Go(func() {
					defer func() { <-free }()
					follow(ctx, c, id, log)
				})
			}
			if len(ids) == n && ctx.Err() == nil { // there may be more
				select {
				case free <- struct{}{}: // as soon as one worker is free
					<-free
					continue
				case <-ctx.Done():
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// follow follows one order. What was begun is ended even when the process is told to stop: an answer of WeChat's that is
// on its way should not be asked for again. One order that panics does not stop the others.
func follow(ctx context.Context, c Cashier, id pay.OrderID, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		_, err = c.Follow(ctx, id)
		return err
	}()
	if err != nil {
		log.WarnContext(ctx, "could not follow an order; it stays due", "order", id, "err", err)
	}
}
