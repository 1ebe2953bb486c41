package work

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenhao-pay/fenhao/internal/pay"
)

// shop is a cashier whose orders are due once, unless following them fails; then they are due again in two seconds.
type shop struct {
	mu       sync.Mutex
	due      map[pay.OrderID]time.Time
	follow   func(ctx context.Context, id pay.OrderID) error
	busy     int
	most     int
	followed map[pay.OrderID]int
	leases   []time.Duration
}

func newShop(n int, follow func(context.Context, pay.OrderID) error) *shop {
	s := &shop{due: map[pay.OrderID]time.Time{}, follow: follow, followed: map[pay.OrderID]int{}}
	for i := range n {
		s.due[pay.OrderID(fmt.Sprint("ord_", i))] = time.Now()
	}
	return s
}

func (s *shop) ClaimDue(_ context.Context, n int, lease time.Duration) ([]pay.OrderID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases = append(s.leases, lease)
	var ids []pay.OrderID
	for id, at := range s.due {
		if len(ids) < n && !at.After(time.Now()) {
			ids = append(ids, id)
			s.due[id] = time.Now().Add(lease)
		}
	}
	return ids, nil
}

func (s *shop) Follow(ctx context.Context, id pay.OrderID) (pay.Order, error) {
	s.mu.Lock()
	s.followed[id]++
	s.busy++
	s.most = max(s.most, s.busy)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy--
	}()
	err := s.follow(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.due, id); err != nil {
		s.due[id] = time.Now().Add(2 * time.Second)
	}
	return pay.Order{}, err
}

func TestRunFollowsWhatIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(100, func(context.Context, pay.OrderID) error {
			time.Sleep(100 * time.Millisecond) // virtual: WeChat takes its time
			return nil
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		began := time.Now()
		go func() { Run(ctx, s, slog.New(slog.DiscardHandler)); close(done) }()
		for len(s.remaining()) > 0 {
			time.Sleep(10 * time.Millisecond) // virtual
		}
		// 100 orders by 8 workers, 100 ms each, without a pause between them.
		if took := time.Since(began); took > 1400*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		if s.most > workers || s.most < workers {
			t.Errorf("%d at once, want %d", s.most, workers)
		}
		for id, n := range s.followed {
			if n != 1 {
				t.Errorf("%s was followed %d times", id, n)
			}
		}
		for _, l := range s.leases {
			if l <= timeout {
				t.Fatalf("a lease of %s ends before the work that it is for, %s", l, timeout)
			}
		}
		stop()
		<-done
	})
}

func (s *shop) remaining() map[pay.OrderID]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[pay.OrderID]time.Time{}
	for id, at := range s.due {
		all[id] = at
	}
	return all
}

// One order that panics each time, and one that never ends, stop no other.
func TestPoisonedOrdersStopNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(50, func(ctx context.Context, id pay.OrderID) error {
			switch id {
			case "ord_7":
				panic("poison")
			case "ord_8":
				<-ctx.Done()
				return ctx.Err()
			case "ord_9":
				return errors.New("WeChat is away")
			}
			return nil
		})
		var log strings.Builder
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { Run(ctx, s, slog.New(slog.NewTextHandler(&log, nil))); close(done) }()
		time.Sleep(3 * time.Minute) // virtual
		stop()
		<-done
		if left := s.remaining(); len(left) != 3 {
			t.Errorf("%d are left: %v", len(left), left)
		}
		// Each of the three is tried again, when its lease or its own pause is over.
		if s.followed["ord_7"] < 3 || s.followed["ord_8"] < 3 || s.followed["ord_9"] < 30 {
			t.Errorf("followed %v", s.followed)
		}
		if !strings.Contains(log.String(), "poison") || !strings.Contains(log.String(), "WeChat is away") {
			t.Error("the log does not say why")
		}
	})
}

// What was begun when the process is told to stop is ended, and nothing new is begun.
func TestRunDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int64
		s := newShop(20, func(ctx context.Context, _ pay.OrderID) error {
			time.Sleep(5 * time.Second) // virtual
			if ctx.Err() == nil {
				ended.Add(1)
			}
			return ctx.Err()
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { Run(ctx, s, slog.New(slog.DiscardHandler)); close(done) }()
		time.Sleep(time.Second) // virtual
		stop()
		<-done
		if ended.Load() != workers || len(s.followed) != workers {
			t.Errorf("%d begun, %d ended", len(s.followed), ended.Load())
		}
	})
}
