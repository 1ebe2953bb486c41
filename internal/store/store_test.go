package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/internal/pay"
)

var noon = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)

func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "t.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var serial atomic.Int64

// sample is an order with every field set, so that a column that is forgotten shows.
func sample() pay.Order {
	n := serial.Add(1)
	id := fmt.Sprintf("ord_%026d", n)
	return pay.Order{ID: pay.OrderID(id), MerchantID: "1900000001", AppID: "wx0123456789abcdef", UserID: "usr_1", OpenID: "o-ming",
		Channel: pay.WeChatV3, Method: pay.MiniProgram, Status: pay.Pending, Total: 1980, Currency: "CNY", Description: "桂花拿铁",
		Items:     []pay.Item{{ProductID: "prd_1", Name: "桂花拿铁", Price: 990, Quantity: 2}},
		Reference: "R-1", Attach: "a=1&b=<2>", Metadata: map[string]string{"store": "7"}, ExpiresAt: noon.Add(time.Hour), CreatedAt: noon,
		IssuedAt: noon.Add(time.Second), Due: noon.Add(3 * time.Second), Misses: 2,
		Attempts: []pay.Attempt{{OutTradeNo: id, Status: pay.AttemptOpen, NotifyURL: "https://shop.example/notify", PrepayID: "wx-1",
			PrepaidAt: noon.Add(time.Second), AskedAt: noon, CreatedAt: noon}}}
}

func create(t testing.TB, s *Store, o pay.Order, effects ...pay.Effect) pay.Order {
	t.Helper()
	o, created, err := s.CreateOrder(t.Context(), o, effects, pay.Idempotency{})
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	return o
}

func paidStep(transaction string) pay.Step {
	return func(o pay.Order) (pay.Order, []pay.Effect, error) {
		return o.Confirm(pay.Transaction{MerchantID: o.MerchantID, AppID: o.AppID, OutTradeNo: o.Current().OutTradeNo, TransactionID: transaction,
			State: pay.TradePaid, Total: o.Total, Currency: o.Currency, OpenID: o.OpenID, PaidAt: noon.Add(time.Minute), Receipt: pay.Receipt{TradeType: "JSAPI", BankType: "OTHERS", PayerTotal: 1880},
			Evidence: pay.Evidence{Source: "query", Serial: "S", Digest: "D", At: noon.Add(time.Minute)}}, noon.Add(time.Minute))
	}
}

func TestAnOrderComesBackAsItWas(t *testing.T) {
	t.Parallel()
	s := open(t)
	want := create(t, s, sample())
	check := func(want pay.Order) {
		t.Helper()
		got, err := s.Order(t.Context(), want.ID)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v\n%v", got, want, err)
		}
	}
	check(want)
	paid, err := s.UpdateOrder(t.Context(), want.ID, paidStep("4200000001"))
	if err != nil || paid.Status != pay.Paid {
		t.Fatal(err)
	}
	check(paid)
	id, err := s.OrderOf(t.Context(), want.MerchantID, want.Current().OutTradeNo)
	if err != nil || id != want.ID {
		t.Errorf("%s, %v", id, err)
	}
	if _, err := s.OrderOf(t.Context(), "1900000002", want.Current().OutTradeNo); !errors.Is(err, pay.CodeOrderNotFound) {
		t.Errorf("another merchant's number: %v", err)
	}
	if _, err := s.Order(t.Context(), "ord_none"); !errors.Is(err, pay.CodeOrderNotFound) {
		t.Errorf("no order: %v", err)
	}
}

func TestAStepThatFailsWritesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	o := create(t, s, sample())
	broken := errors.New("broken")
	for name, step := range map[string]pay.Step{
		"error": func(o pay.Order) (pay.Order, []pay.Effect, error) {
			o.Flagged = true
			return o, nil, broken
		},
		"panic": func(pay.Order) (pay.Order, []pay.Effect, error) { panic(broken) },
		"effect that can't be kept": func(o pay.Order) (pay.Order, []pay.Effect, error) {
			o.Flagged = true
			return o, []pay.Effect{pay.Event{ID: "evt_1", Type: pay.OrderFlagged, OrderID: "ord_none", CreatedAt: noon}}, nil
		},
		"open and not due": func(o pay.Order) (pay.Order, []pay.Effect, error) {
			o.Due = time.Time{}
			return o, nil, nil
		},
	} {
		if _, err := s.UpdateOrder(t.Context(), o.ID, step); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got, err := s.Order(t.Context(), o.ID); err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("%s: the order is %+v, %v", name, got, err)
		}
	}
	if events, _, err := s.Events(t.Context(), pay.EventFilter{Page: pay.Page{Limit: 10}}); err != nil || len(events) != 0 {
		t.Errorf("%d events, %v", len(events), err)
	}
	if _, err := s.UpdateOrder(t.Context(), "ord_none", paidStep("1")); !errors.Is(err, pay.CodeOrderNotFound) {
		t.Errorf("no order: %v", err)
	}
}

// A hundred goroutines confirm one order; one wins, one event.
func TestConfirmationsRace(t *testing.T) {
	t.Parallel()
	s := open(t)
	o := create(t, s, sample())
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			if got, err := s.UpdateOrder(t.Context(), o.ID, paidStep("4200000001")); err != nil || got.Status != pay.Paid {
				t.Errorf("%s, %v", got.Status, err)
			}
		})
	}
	wait.Wait()
	events, _, err := s.Events(t.Context(), pay.EventFilter{Page: pay.Page{Limit: 100}, OrderID: o.ID})
	if err != nil || len(events) != 1 || events[0].Type != pay.OrderPaid {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func TestNumbersAreUsedOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	a, b := sample(), sample()
	create(t, s, a)
	b.Attempts[0].OutTradeNo = a.Attempts[0].OutTradeNo
	if _, _, err := s.CreateOrder(t.Context(), b, nil, pay.Idempotency{}); !errors.Is(err, pay.CodeOutTradeNoTaken) {
		t.Errorf("the same number twice: %v", err)
	}
	if _, err := s.Order(t.Context(), b.ID); !errors.Is(err, pay.CodeOrderNotFound) {
		t.Errorf("half an order stayed: %v", err)
	}
	b.MerchantID = "1900000002"
	create(t, s, b) // another merchant has its own numbers
	// One payment belongs to one order.
	c := create(t, s, sample())
	if _, err := s.UpdateOrder(t.Context(), a.ID, paidStep("4200000001")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateOrder(t.Context(), c.ID, paidStep("4200000001")); !errors.Is(err, pay.ErrTransactionTaken) {
		t.Errorf("the same transaction twice: %v", err)
	}
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	s := open(t)
	key := pay.Idempotency{Scope: "user:usr_1", Key: "k", Digest: "d"}
	first := sample()
	var made atomic.Int64
	var wait sync.WaitGroup
	for i := range 64 {
		wait.Go(func() {
			o := first
			if i > 0 {
				o = sample()
			}
			got, created, err := s.CreateOrder(t.Context(), o, nil, key)
			if err != nil {
				t.Error(err)
			}
			if created {
				made.Add(1)
			} else if got.ID == o.ID {
				t.Error("a replay returned an order that was not made")
			}
		})
	}
	wait.Wait()
	if made.Load() != 1 {
		t.Errorf("%d orders of one key", made.Load())
	}
	if o, ok, err := s.Made(t.Context(), key); err != nil || !ok || o.ID == "" {
		t.Errorf("what it made: %v, %v", ok, err)
	}
	other := key
	other.Digest = "e"
	if _, _, err := s.Made(t.Context(), other); !errors.Is(err, pay.CodeIdempotencyKeyReused) {
		t.Errorf("what another request made: %v", err)
	}
	if _, _, err := s.CreateOrder(t.Context(), sample(), nil, other); !errors.Is(err, pay.CodeIdempotencyKeyReused) {
		t.Errorf("another request: %v", err)
	}
	other.Scope = "user:usr_2"
	if _, created, err := s.CreateOrder(t.Context(), sample(), nil, other); err != nil || !created {
		t.Errorf("another user's key: %v, %v", created, err)
	}
}

func TestClaimDue(t *testing.T) {
	t.Parallel()
	s := open(t)
	var ids []pay.OrderID
	for i := range 10 {
		o := sample()
		o.Due = noon.Add(time.Duration(10-i) * time.Second)
		ids = append(ids, create(t, s, o).ID)
	}
	if got, err := s.ClaimDue(t.Context(), noon, noon.Add(time.Minute), 5); err != nil || len(got) != 0 {
		t.Errorf("early: %v, %v", got, err)
	}
	var mu sync.Mutex
	claimed := map[pay.OrderID]int{}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			got, err := s.ClaimDue(t.Context(), noon.Add(8*time.Second), noon.Add(time.Minute), 3)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, id := range got {
				claimed[id]++
			}
		})
	}
	wait.Wait()
	for i, id := range ids {
		want := 0
		if i >= 2 { // due at 8 s or before
			want = 1
		}
		if claimed[id] != want {
			t.Errorf("order %d was claimed %d times", i, claimed[id])
		}
	}
	// A worker that died loses its claim when the lease ends.
	if got, _ := s.ClaimDue(t.Context(), noon.Add(time.Minute), noon.Add(2*time.Minute), 100); len(got) != 10 {
		t.Errorf("after the lease: %d", len(got))
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	s := open(t)
	var want []pay.OrderID
	for i := range 7 {
		o := sample()
		if i%2 == 0 {
			o.UserID, o.Reference = "usr_2", "R-2"
		}
		want = append([]pay.OrderID{create(t, s, o).ID}, want...)
	}
	var got []pay.OrderID
	for cursor, pages := "", 0; ; pages++ {
		orders, next, err := s.Orders(t.Context(), pay.OrderFilter{Page: pay.Page{Limit: 3, Cursor: cursor}})
		if err != nil || pages > 3 {
			t.Fatal(pages, err)
		}
		for _, o := range orders {
			got = append(got, o.ID)
			if len(o.Attempts) != 1 {
				t.Errorf("order %s has %d attempts", o.ID, len(o.Attempts))
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for name, c := range map[string]struct {
		f    pay.OrderFilter
		want int
	}{
		"user":        {pay.OrderFilter{UserID: "usr_2"}, 4},
		"status":      {pay.OrderFilter{Status: pay.Paid}, 0},
		"reference":   {pay.OrderFilter{Reference: "R-2"}, 4},
		"number":      {pay.OrderFilter{OutTradeNo: string(want[0])}, 1},
		"all of them": {pay.OrderFilter{UserID: "usr_2", Status: pay.Pending, Reference: "R-2", OutTradeNo: string(want[0])}, 1},
		"quote in it": {pay.OrderFilter{Reference: "' OR 1=1 --"}, 0},
		"wildcard":    {pay.OrderFilter{Reference: "%"}, 0},
	} {
		c.f.Limit = 50
		if orders, _, err := s.Orders(t.Context(), c.f); err != nil || len(orders) != c.want {
			t.Errorf("%s: %d orders, %v", name, len(orders), err)
		}
	}
}

func TestIncidentsAreKeptOnceAndCounted(t *testing.T) {
	t.Parallel()
	s := open(t)
	i := pay.Incident{ID: "inc_1", Kind: pay.UnknownOrder, MerchantID: "1900000001", OutTradeNo: "x", TransactionID: "42", Got: "1.00 CNY", CreatedAt: noon}
	for want := 1; want <= 4; want++ {
		i.ID = pay.IncidentID(fmt.Sprint("inc_", want))
		if seen, err := s.Observe(t.Context(), i); err != nil || seen != want {
			t.Errorf("seen %d, want %d, %v", seen, want, err)
		}
	}
}

func TestPeople(t *testing.T) {
	t.Parallel()
	s, ctx := open(t), t.Context()
	u, err := s.SaveUser(ctx, pay.User{ID: "usr_1", AppID: "wx1", OpenID: "o", CreatedAt: noon})
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.SaveUser(ctx, pay.User{ID: "usr_9", AppID: "wx1", OpenID: "o", UnionID: "un", CreatedAt: noon.Add(time.Hour)})
	if err != nil || again.ID != "usr_1" || again.UnionID != "un" || !again.CreatedAt.Equal(noon) {
		t.Errorf("%+v, %v", again, err)
	}
	if kept, err := s.SaveUser(ctx, pay.User{ID: "usr_9", AppID: "wx1", OpenID: "o", CreatedAt: noon}); err != nil || kept.UnionID != "un" {
		t.Errorf("the unionid was taken away: %+v, %v", kept, err)
	}
	if other, err := s.SaveUser(ctx, pay.User{ID: "usr_2", AppID: "wx2", OpenID: "o", CreatedAt: noon}); err != nil || other.ID != "usr_2" {
		t.Errorf("the same openid under another app: %+v, %v", other, err)
	}
	if err := s.SaveSession(ctx, []byte("digest"), u.ID, noon.Add(pay.SessionLife)); err != nil {
		t.Fatal(err)
	}
	if got, expires, err := s.Session(ctx, []byte("digest")); err != nil || got.ID != "usr_1" || !expires.Equal(noon.Add(pay.SessionLife)) {
		t.Errorf("%+v %s %v", got, expires, err)
	}
	if _, _, err := s.Session(ctx, []byte("other")); !errors.Is(err, pay.CodeSessionInvalid) {
		t.Error(err)
	}
	// A later login clears away what has expired.
	if err := s.SaveSession(ctx, []byte("later"), u.ID, noon.Add(3*pay.SessionLife)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Session(ctx, []byte("digest")); !errors.Is(err, pay.CodeSessionInvalid) {
		t.Errorf("an expired session stayed: %v", err)
	}
	if err := s.SaveAPIKey(ctx, []byte("key"), pay.APIKey{ID: "key_1", Name: "shop", CreatedAt: noon}); err != nil {
		t.Fatal(err)
	}
	if k, err := s.APIKey(ctx, []byte("key")); err != nil || k.Name != "shop" {
		t.Errorf("%+v %v", k, err)
	}
	if _, err := s.APIKey(ctx, []byte("kez")); !errors.Is(err, pay.CodeAPIKeyInvalid) {
		t.Error(err)
	}
}

// Nobody is told of a success before the commit, and one bad step takes no other along: steps of a batch that fail leave
// no trace between those that succeed.
func TestStepsOfABatchStandAlone(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.writer.do(t.Context(), func(x *tx) error { return x.exec(`CREATE TABLE n (v INTEGER NOT NULL)`) }); err != nil {
		t.Fatal(err)
	}
	started, release := make(chan struct{}), make(chan struct{})
	go s.writer.do(t.Context(), func(*tx) error { close(started); <-release; return nil })
	<-started // from here on all that comes queues up for the next batch
	var wait sync.WaitGroup
	gone, cancel := context.WithCancel(t.Context())
	for i := range 90 {
		wait.Go(func() {
			ctx := t.Context()
			if i%3 == 2 {
				ctx = gone
			}
			err := s.writer.do(ctx, func(x *tx) error {
				if err := x.exec(`INSERT INTO n (v) VALUES ($1)`, i); err != nil {
					return err
				}
				if i%3 == 1 {
					return errors.New("on purpose")
				}
				return nil
			})
			if (err == nil) != (i%3 == 0) {
				t.Errorf("step %d: %v", i, err)
			}
		})
	}
	for len(s.writer.jobs) < 90 {
		runtime.Gosched()
	}
	cancel()
	close(release)
	wait.Wait()
	var n, bad int
	if err := s.read(t.Context()).row(`SELECT count(*), coalesce(sum(v % 3), 0) FROM n`).Scan(&n, &bad); err != nil || n != 30 || bad != 0 {
		t.Errorf("%d rows, %d of them wrong, %v", n, bad, err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	s, err := Open(t.Context(), "sqlite:"+path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), "sqlite:"+path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another fenhao") {
		t.Errorf("a second one: %v", err)
	}
	o := create(t, s, sample())
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateOrder(t.Context(), o.ID, paidStep("1")); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
	s, err = Open(t.Context(), "sqlite:"+path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Order(t.Context(), o.ID); err != nil {
		t.Error(err)
	}
	for _, name := range []string{path, path + ".lock"} {
		if i, err := os.Stat(name); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, i.Mode(), err)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text.db"), []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"postgres://shop:hunter2@db/shop": "write sqlite:FILE",
		"sqlite:":                         "write sqlite:FILE",
		"sqlite:" + filepath.Join(dir, "none", "t.db"): "no such file or directory",
		"sqlite:" + filepath.Join(dir, "text.db"):      "not a database",
		"sqlite:" + dir: "is a directory",
	} {
		_, err := Open(t.Context(), address, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

// Durability is read back, not hoped for.
func TestCommitsAreDurable(t *testing.T) {
	t.Parallel()
	s := open(t)
	var sync int
	var journal string
	if err := errors.Join(s.writer.conn.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&sync),
		s.writer.conn.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&journal)); err != nil || sync != 2 || journal != "wal" {
		t.Errorf("synchronous %d, journal_mode %s, %v", sync, journal, err)
	}
	if _, err := s.reader.ExecContext(t.Context(), "DELETE FROM orders"); err == nil {
		t.Error("the readers can write")
	}
	var none sql.NullString
	if err := s.reader.QueryRowContext(t.Context(), "SELECT NULL").Scan(&none); err != nil {
		t.Error(err)
	}
}
