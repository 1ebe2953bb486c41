package crash

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver that the store uses
)

// recheck looks, while buyers go on, whether what was acknowledged last before the crash has survived it: that is what
// the crash could have lost.
func (w *world) recheck(ctx context.Context) {
	w.Helper()
	ids := w.witness.last(func(v *witness) []string { return v.ids }, 25)
	for range min(len(ids), 5) { // and some of any age
		older := w.witness.last(func(v *witness) []string { return v.ids }, 1<<30)
		ids = append(ids, older[w.random.IntN(len(older))])
	}
	for _, id := range ids {
		before := w.witness.known(id)
		var o order
		a, err := call(ctx, "GET", w.site.service()+"/v1/orders/"+id, w.site.apiKey, nil, &o)
		switch {
		case err != nil:
			w.Fatalf("order %s: %v", id, err)
		case a.status != 200:
			w.witness.complain("order %s, acknowledged as %s, is gone: %s", id, before.Status, a)
		default:
			w.witness.recheck(before, o)
		}
	}
	for _, id := range w.witness.last(func(v *witness) []string { return v.paid }, 25) {
		number := w.witness.known(id).OutTradeNo
		p, err := get[payment](ctx, w.site.wechat()+"/sandbox/v1/payments/"+number, "")
		if err != nil || p.State != "SUCCESS" {
			w.witness.complain("the phone said that %s was paid, WeChat says %q, %v", number, p.State, err)
		}
		// What WeChat was told is so from that moment on, not when somebody asks again.
		sent, err := listed[notification](ctx, w.site.wechat()+"/sandbox/v1/notifications?out_trade_no="+number)
		if err != nil {
			w.Fatal(err)
		}
		if !slices.ContainsFunc(sent, notification.acknowledged) {
			continue
		}
		w.witness.count("notifications rechecked")
		if o, err := get[order](ctx, w.site.service()+"/v1/orders/"+id, w.site.apiKey); err != nil || o.Status != "paid" {
			w.witness.complain("the notification of %s was answered with success, and the order is %q, %v", number, o.Status, err)
		}
	}
	w.stopIfWrong()
}

// stopIfWrong ends the test with all complaints.
func (w *world) stopIfWrong() {
	w.Helper()
	if wrong := w.witness.complaints(); len(wrong) > 0 {
		w.Fatalf("after %d kills:\n%s", w.kills, strings.Join(wrong, "\n"))
	}
}

const (
	// settleLimit is how long an installation gets to settle once nothing disturbs it.
	settleLimit = 100 * time.Second
	// alone is how long the service is left to find out by itself what was paid. The claim of a worker that was killed
	// lasts a minute; a short run does not wait for it and has the merchant ask.
	alone, aloneShort = 80 * time.Second, 10 * time.Second
)

// settle lets the installation come to rest, with the faults gone: until no order is pending.
func (w *world) settle(ctx context.Context) {
	w.Helper()
	wechat, service := w.site.wechat(), w.site.service()
	if a, err := call(ctx, "DELETE", wechat+"/sandbox/v1/faults", "", nil, nil); err != nil || a.status != 204 {
		w.Fatalf("clear the faults: %s, %v", a, err)
	}
	begin, asked := time.Now(), 0
	for round := 0; ; round++ {
		if w.business && round%40 == 0 {
			// Past every expiry, the grace after it, and every repeat that a failure put off.
			if a, err := call(ctx, "POST", wechat+"/sandbox/v1/clock", "", map[string]string{"advance": "3h"}, nil); err != nil || a.status != 200 {
				w.Fatalf("advance the clock: %s, %v", a, err)
			}
		}
		pending, err := all[order](ctx, service+"/v1/orders", w.site.apiKey, "status=pending")
		if err != nil {
			w.Fatal(err)
		}
		waited := time.Since(begin)
		if len(pending) == 0 {
			w.Logf("settled in %s; the merchant asked about %d orders", waited.Round(time.Millisecond), asked)
			return
		}
		if waited > settleLimit {
			w.Fatalf("%d orders are still pending after %s, such as %+v", len(pending), waited, pending[0])
		}
		for _, o := range pending {
			if w.business {
				break // it closes or turns paid by itself
			}
			p, err := w.payment(ctx, o.OutTradeNo)
			limit := alone
			if !w.long {
				limit = aloneShort
			}
			switch {
			case err != nil:
				w.Fatal(err)
			case p.State != "SUCCESS": // its half hour isn't over: the merchant gives it up
				w.ask(ctx, o.ID, "close")
			case waited < limit:
			case w.long:
				w.Fatalf("%s is paid at WeChat and pending here, and the service did not find out in %s", o.OutTradeNo, waited)
			default:
				asked++
				w.ask(ctx, o.ID, "sync")
			}
		}
		if !pause(ctx, 250*time.Millisecond) {
			w.Fatal(ctx.Err())
		}
	}
}

// payment returns WeChat's order of that number; one without a state where there is none.
func (w *world) payment(ctx context.Context, outTradeNo string) (payment, error) {
	var p payment
	a, err := call(ctx, "GET", w.site.wechat()+"/sandbox/v1/payments/"+outTradeNo, "", nil, &p)
	if err == nil && a.status != 200 && a.status != 404 {
		err = fmt.Errorf("payment %s: %s", outTradeNo, a)
	}
	return p, err
}

// ask closes or syncs an order as its merchant. That it was paid meanwhile is fine; what else is left is asked again.
func (w *world) ask(ctx context.Context, id, what string) {
	w.Helper()
	a, err := call(ctx, "POST", w.site.service()+"/v1/orders/"+id+"/"+what, w.site.apiKey, nil, nil)
	if err != nil || a.status != 200 && !slices.Contains([]string{"order_already_paid", "order_being_paid", "wechat_uncertain", "wechat_busy"}, a.code) {
		w.Fatalf("%s %s: %s, %v", what, id, a, err)
	}
}

// audit compares everything with everything, over the APIs alone.
func (w *world) audit(ctx context.Context) {
	w.Helper()
	orders, err := all[order](ctx, w.site.service()+"/v1/orders", w.site.apiKey, "")
	if err != nil {
		w.Fatal(err)
	}
	events, err := all[event](ctx, w.site.service()+"/v1/events", w.site.apiKey, "")
	if err != nil {
		w.Fatal(err)
	}
	payments, err := listed[payment](ctx, w.site.wechat()+"/sandbox/v1/payments")
	if err != nil {
		w.Fatal(err)
	}
	sent, err := listed[notification](ctx, w.site.wechat()+"/sandbox/v1/notifications")
	if err != nil {
		w.Fatal(err)
	}
	books, err := listed[account](ctx, w.site.wechat()+"/sandbox/v1/books")
	if err != nil {
		w.Fatal(err)
	}
	w.witness.mu.Lock()
	keys, phone := w.witness.keys, w.witness.phone
	w.witness.mu.Unlock()
	for _, wrong := range (ledger{orders, events, payments, sent, books, keys, phone}).differences() {
		w.witness.complain("%s", wrong)
	}
	byID := map[string]order{}
	for _, o := range orders {
		byID[o.ID] = o
	}
	for _, id := range w.witness.last(func(v *witness) []string { return v.ids }, 1<<30) {
		before, o := w.witness.known(id), byID[id]
		if o.ID == "" {
			w.witness.complain("order %s, acknowledged as %s, is gone", id, before.Status)
			continue
		}
		w.witness.recheck(before, o)
	}
	w.stopIfWrong()
}

// account is what one merchant took, by the sandbox's books.
type account struct {
	MerchantID string `json:"merchant_id"`
	Paid       sum    `json:"paid"`
}

type sum struct {
	Count  int64 `json:"count"`
	Amount int64 `json:"amount"`
}

// ledger is all that an auditor sees of an installation at rest.
type ledger struct {
	orders   []order
	events   []event
	payments []payment      // WeChat's orders, paid or not
	sent     []notification // by WeChat
	books    []account
	keys     map[string]string // idempotency key → order that it was answered with
	phone    map[string]bool   // out_trade_no of which a phone said that it is paid
}

// differences are sentences about what must not be.
func (l ledger) differences() (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }

	at := map[string]payment{}
	for _, p := range l.payments {
		key := p.MerchantID + "/" + p.OutTradeNo
		if _, twice := at[key]; twice {
			say("WeChat has two orders %s", key)
		}
		at[key] = p
	}
	happened := map[string][]event{} // by order, oldest first
	for _, e := range slices.Backward(l.events) {
		happened[e.Data.ID] = append(happened[e.Data.ID], e)
	}
	told := func(o order) bool { _, ok := at[o.MerchantID+"/"+o.OutTradeNo]; return ok }
	ours, byID := map[string]order{}, map[string]order{}
	made, transactions, paidHere := map[string]string{}, map[string]string{}, map[string]sum{}
	for _, o := range l.orders {
		byID[o.ID] = o
		if _, twice := ours[o.MerchantID+"/"+o.OutTradeNo]; twice {
			say("two orders have the number %s", o.OutTradeNo)
		}
		ours[o.MerchantID+"/"+o.OutTradeNo] = o
		key := o.Metadata["key"]
		if first, twice := made[key]; twice {
			say("idempotency key %s made %s and %s", key, first, o.ID)
		}
		made[key] = o.ID
		if len(o.Attempts) != 1 || o.Attempts[0].OutTradeNo != o.OutTradeNo || o.Attempts[0].Status != o.Status || o.Attempts[0].TransactionID != o.TransactionID {
			say("order %s is %s, and its attempts are %+v", o.ID, o.Status, o.Attempts)
		}
		if o.Flagged || o.Late {
			say("order %s needs a human (flagged %t, late %t)", o.ID, o.Flagged, o.Late)
		}
		p, known := at[o.MerchantID+"/"+o.OutTradeNo]
		if known && (p.Amount != o.Amount.Total || p.AppID != o.AppID || p.OpenID != o.OpenID || o.Amount.Currency != "CNY") {
			say("order %s is %+v of %s in %s, at WeChat %d of %s in %s", o.ID, o.Amount, o.OpenID, o.AppID, p.Amount, p.OpenID, p.AppID)
		}
		switch o.Status {
		case "paid":
			if p.State != "SUCCESS" || p.TransactionID == "" || p.TransactionID != o.TransactionID {
				say("order %s is paid by %q; at WeChat %s by %q", o.ID, o.TransactionID, p.State, p.TransactionID)
			}
			if first, twice := transactions[o.TransactionID]; twice {
				say("transaction %s pays %s and %s", o.TransactionID, first, o.ID)
			}
			transactions[o.TransactionID] = o.ID
			s := paidHere[o.MerchantID]
			paidHere[o.MerchantID] = sum{s.Count + 1, s.Amount + o.Amount.Total}
		case "closed":
			if known && p.State != "CLOSED" || o.TransactionID != "" {
				say("order %s is closed with transaction %q; at WeChat it is %s", o.ID, o.TransactionID, p.State)
			}
		default:
			say("order %s is %s", o.ID, o.Status)
		}
		var types []string
		for _, e := range happened[o.ID] {
			types = append(types, e.Type)
			status := map[string]string{"order.created": "pending", "order.paid": "paid", "order.closed": "closed"}[e.Type]
			if e.Data.Status != status || e.Data.Amount != o.Amount || e.Data.OutTradeNo != o.OutTradeNo {
				say("event %s (%s) says %+v of an order that is %+v", e.ID, e.Type, e.Data, o)
			}
		}
		if want := []string{"order.created", "order." + o.Status}; !slices.Equal(types, want) {
			say("order %s has the events %v, want %v", o.ID, types, want)
		}
		delete(happened, o.ID)
	}
	for id := range happened {
		say("there are events of %s, and no such order", id)
	}

	// And from WeChat's side.
	for key, p := range at {
		if o, ok := ours[key]; !ok || p.State == "SUCCESS" && o.Status != "paid" {
			say("WeChat has %s as %s; here it is %q", key, p.State, o.Status)
		}
	}
	for key, id := range l.keys {
		if made[key] != id {
			say("idempotency key %s was answered with %s, and the order of that key is %q", key, id, made[key])
			continue
		}
		if o := byID[id]; !told(o) {
			say("order %s was handed out to be paid, and WeChat does not know it", id)
		}
	}
	state := map[string]string{}
	for _, p := range l.payments {
		state[p.OutTradeNo] = p.State
	}
	for number := range l.phone {
		if state[number] != "SUCCESS" {
			say("a phone said that %s is paid; WeChat says %q", number, state[number])
		}
	}
	notified := map[string]bool{}
	for _, n := range l.sent {
		notified[n.OutTradeNo] = true
	}
	for number, s := range state {
		if s == "SUCCESS" && !notified[number] {
			say("WeChat never made a notification of the payment of %s", number)
		}
	}
	for _, a := range l.books {
		if paidHere[a.MerchantID] != a.Paid {
			say("merchant %s took %+v by WeChat's books and %+v by ours", a.MerchantID, a.Paid, paidHere[a.MerchantID])
		}
		delete(paidHere, a.MerchantID)
	}
	for id, s := range paidHere {
		say("merchant %s took %+v here and has no account at WeChat", id, s)
	}
	return wrong
}

// autopsy looks at what the last kill left on the disk: a copy of the database, its write-ahead log included, and the
// logs.
func (w *world) autopsy(ctx context.Context) {
	w.Helper()
	copied := filepath.Join(w.dir, "copy.db")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(w.database + suffix)
		if suffix != "" && os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(copied+suffix, b, 0o600)
		}
		if err != nil {
			w.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", copied)
	if err != nil {
		w.Fatal(err)
	}
	defer db.Close()
	for pragma, want := range map[string][]string{"integrity_check": {"ok"}, "foreign_key_check": nil} {
		got, err := column(ctx, db, "PRAGMA "+pragma)
		if err != nil || !slices.Equal(got, want) {
			w.Errorf("%s says %v, %v", pragma, got, err)
		}
	}
	if orders, err := column(ctx, db, "SELECT id FROM orders WHERE status = 'pending'"); err != nil || len(orders) > 0 {
		w.Errorf("the database on disk has pending orders that the API had settled: %v, %v", orders, err)
	}
	logs := 0
	err = filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".log" {
			return err
		}
		b, err := os.ReadFile(path)
		logs++
		for _, bad := range []string{"panic: ", "goroutine 1 [", "fatal error: "} {
			if i := bytes.Index(b, []byte(bad)); i >= 0 {
				w.Errorf("%s has %q: …%s", path, bad, b[i:min(len(b), i+2000)])
			}
		}
		for i, secret := range w.secrets {
			if bytes.Contains(b, []byte(secret)) && !strings.HasPrefix(secret, "-----BEGIN") {
				w.Errorf("%s holds secret %d", path, i)
			}
		}
		return err
	})
	if err != nil || logs != len(w.parts) {
		w.Errorf("%d logs, %v", logs, err)
	}
}

// column returns the first column of a query's rows, as text.
func column(ctx context.Context, db *sql.DB, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var found []string
	for rows.Next() {
		values := make([]any, len(names))
		var first sql.NullString
		for i := range values {
			values[i] = new(any)
		}
		values[0] = &first
		if err := rows.Scan(values...); err != nil {
			return nil, err
		}
		found = append(found, first.String)
	}
	return found, rows.Err()
}
