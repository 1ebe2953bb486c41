package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/pay"
)

const orderColumns = `id, merchant_id, app_id, user_id, open_id, channel, method, total, currency, description, items,
	reference, attach, metadata, expires_at, created_at, status, transaction_id, paid_at, closed_at, late, flagged, frozen,
	issued_at, due_at, misses`

// CreateOrder implements pay.Store.
func (s *Store) CreateOrder(ctx context.Context, o pay.Order, effects []pay.Effect, key pay.Idempotency) (pay.Order, bool, error) {
	created := true
	err := s.writer.do(ctx, func(t *tx) error {
		if key.Key != "" {
			n, err := t.affected(`INSERT INTO idempotency_keys (scope, key, digest, order_id, created_at)
				VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, key.Scope, key.Key, key.Digest, string(o.ID), ms(o.CreatedAt))
			if err != nil {
				return err
			}
			if n == 0 {
				created = false
				o, _, err = made(t, key)
				return err
			}
		}
		if err := t.insertOrder(o); err != nil {
			if isDup(err) {
				return &pay.Error{Code: pay.CodeOutTradeNoTaken, Cause: err}
			}
			return err
		}
		return t.keep(effects)
	})
	return o, created, err
}

// Made implements pay.Store.
func (s *Store) Made(ctx context.Context, key pay.Idempotency) (pay.Order, bool, error) {
	return made(s.read(ctx), key)
}

func made(q asker, key pay.Idempotency) (pay.Order, bool, error) {
	var digest, id string
	err := q.row(`SELECT digest, order_id FROM idempotency_keys WHERE scope = $1 AND key = $2`, key.Scope, key.Key).Scan(&digest, &id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return pay.Order{}, false, nil
	case err != nil:
		return pay.Order{}, false, err
	case digest != key.Digest:
		return pay.Order{}, false, &pay.Error{Code: pay.CodeIdempotencyKeyReused}
	}
	o, err := order(q, pay.OrderID(id))
	return o, err == nil, err
}

func (t *tx) insertOrder(o pay.Order) error {
	items, err := json.Marshal(o.Items)
	if err != nil {
		return err
	}
	metadata, err := json.Marshal(o.Metadata)
	if err != nil {
		return err
	}
	err = t.exec(`INSERT INTO orders (`+orderColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
		$13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)`,
		string(o.ID), o.MerchantID, o.AppID, string(o.UserID), o.OpenID, string(o.Channel), string(o.Method), int64(o.Total), o.Currency,
		o.Description, string(items), o.Reference, o.Attach, string(metadata), ms(o.ExpiresAt), ms(o.CreatedAt), string(o.Status),
		text(o.TransactionID), ms(o.PaidAt), ms(o.ClosedAt), bit(o.Late), bit(o.Flagged), bit(o.Frozen), ms(o.IssuedAt), ms(o.Due), o.Misses)
	if err != nil {
		return err
	}
	for i, a := range o.Attempts {
		if err := t.insertAttempt(o, i, a); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) insertAttempt(o pay.Order, position int, a pay.Attempt) error {
	return t.exec(`INSERT INTO attempts (merchant_id, out_trade_no, order_id, position, status, notify_url, prepay_id, prepaid_at,
		asked_at, transaction_id, receipt, evidence, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		o.MerchantID, a.OutTradeNo, string(o.ID), position, string(a.Status), a.NotifyURL, a.PrepayID, ms(a.PrepaidAt), ms(a.AskedAt),
		text(a.TransactionID), document(a.Receipt), document(a.Evidence), ms(a.CreatedAt))
}

// UpdateOrder implements pay.Store.
func (s *Store) UpdateOrder(ctx context.Context, id pay.OrderID, step pay.Step) (pay.Order, error) {
	var after pay.Order
	err := s.writer.do(ctx, func(t *tx) error {
		before, err := order(t, id)
		if err != nil {
			return err
		}
		var effects []pay.Effect
		if after, effects, err = step(before); err != nil {
			return err
		}
		if len(effects) == 0 && reflect.DeepEqual(before, after) {
			return nil
		}
		if err := t.saveOrder(before, after); err != nil {
			return err
		}
		return t.keep(effects)
	})
	return after, err
}

// saveOrder writes what a step changed. What never changes is not written, so that it can't.
func (t *tx) saveOrder(before, after pay.Order) error {
	err := t.exec(`UPDATE orders SET status = $2, transaction_id = $3, paid_at = $4, closed_at = $5, late = $6, flagged = $7,
		frozen = $8, issued_at = $9, due_at = $10, misses = $11 WHERE id = $1`,
		string(after.ID), string(after.Status), text(after.TransactionID), ms(after.PaidAt), ms(after.ClosedAt), bit(after.Late),
		bit(after.Flagged), bit(after.Frozen), ms(after.IssuedAt), ms(after.Due), after.Misses)
	if err != nil {
		return err
	}
	for i, a := range after.Attempts {
		if i >= len(before.Attempts) {
			if err := t.insertAttempt(after, i, a); err != nil {
				return err
			}
			continue
		}
		if a == before.Attempts[i] {
			continue
		}
		err := t.exec(`UPDATE attempts SET status = $3, prepay_id = $4, prepaid_at = $5, asked_at = $6, transaction_id = $7, receipt = $8, evidence = $9
			WHERE merchant_id = $1 AND out_trade_no = $2`, after.MerchantID, a.OutTradeNo, string(a.Status), a.PrepayID, ms(a.PrepaidAt),
			ms(a.AskedAt), text(a.TransactionID), document(a.Receipt), document(a.Evidence))
		if isDup(err) { // the only thing of an attempt that is unique and changes
			return fmt.Errorf("%w: %w", pay.ErrTransactionTaken, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keep makes effects durable in the transaction of the step that caused them.
func (t *tx) keep(effects []pay.Effect) error {
	for _, e := range effects {
		var err error
		switch e := e.(type) {
		case pay.Event:
			err = t.exec(`INSERT INTO events (id, type, order_id, data, created_at) VALUES ($1, $2, $3, $4, $5)`,
				string(e.ID), string(e.Type), string(e.OrderID), string(e.Data), ms(e.CreatedAt))
		case pay.Incident:
			_, err = t.observe(e)
		default:
			err = fmt.Errorf("an effect of type %T can't be kept", e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) observe(i pay.Incident) (seen int, err error) {
	proof, err := json.Marshal(i.Evidence)
	if err != nil {
		return 0, err
	}
	err = t.row(`INSERT INTO incidents (id, kind, merchant_id, out_trade_no, transaction_id, order_id, expected, got, evidence, seen, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10)
		ON CONFLICT (merchant_id, out_trade_no, kind, transaction_id, got) DO UPDATE SET seen = incidents.seen + 1 RETURNING seen`,
		string(i.ID), string(i.Kind), i.MerchantID, i.OutTradeNo, i.TransactionID, string(i.OrderID), i.Expected, i.Got, string(proof),
		ms(i.CreatedAt)).Scan(&seen)
	return seen, err
}

// Observe implements pay.Store.
func (s *Store) Observe(ctx context.Context, i pay.Incident) (seen int, err error) {
	err = s.writer.do(ctx, func(t *tx) error {
		seen, err = t.observe(i)
		return err
	})
	return seen, err
}

// Order implements pay.Store.
func (s *Store) Order(ctx context.Context, id pay.OrderID) (pay.Order, error) {
	return order(s.read(ctx), id)
}

func order(q asker, id pay.OrderID) (pay.Order, error) {
	o, err := scanOrder(q.row(`SELECT `+orderColumns+` FROM orders WHERE id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return pay.Order{}, &pay.Error{Code: pay.CodeOrderNotFound}
	}
	if err != nil {
		return pay.Order{}, err
	}
	return o, addAttempts(q, &o)
}

// scanOrder reads orderColumns. Its error is sql.ErrNoRows where there is no row.
func scanOrder(row interface{ Scan(...any) error }) (pay.Order, error) {
	var o pay.Order
	var items, metadata string
	var transaction sql.NullString
	var expires, created int64
	var paid, closed, issued, due sql.NullInt64
	err := row.Scan(&o.ID, &o.MerchantID, &o.AppID, &o.UserID, &o.OpenID, &o.Channel, &o.Method, &o.Total, &o.Currency, &o.Description,
		&items, &o.Reference, &o.Attach, &metadata, &expires, &created, &o.Status, &transaction, &paid, &closed, &o.Late, &o.Flagged,
		&o.Frozen, &issued, &due, &o.Misses)
	if err != nil {
		return pay.Order{}, err
	}
	o.TransactionID = transaction.String
	o.ExpiresAt, o.CreatedAt = at(expires), at(created)
	o.PaidAt, o.ClosedAt, o.IssuedAt, o.Due = maybeAt(paid), maybeAt(closed), maybeAt(issued), maybeAt(due)
	return o, errors.Join(json.Unmarshal([]byte(items), &o.Items), json.Unmarshal([]byte(metadata), &o.Metadata))
}

func addAttempts(q asker, o *pay.Order) error {
	rows, err := q.rows(`SELECT out_trade_no, status, notify_url, prepay_id, prepaid_at, asked_at, transaction_id, receipt, evidence, created_at
		FROM attempts WHERE order_id = $1 ORDER BY position`, string(o.ID))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var a pay.Attempt
		var prepaid sql.NullInt64
		var asked, created int64
		var transaction, receipt, proof sql.NullString
		if err := rows.Scan(&a.OutTradeNo, &a.Status, &a.NotifyURL, &a.PrepayID, &prepaid, &asked, &transaction, &receipt, &proof, &created); err != nil {
			return err
		}
		a.PrepaidAt, a.AskedAt, a.CreatedAt, a.TransactionID = maybeAt(prepaid), at(asked), at(created), transaction.String
		if receipt.Valid {
			if err := json.Unmarshal([]byte(receipt.String), &a.Receipt); err != nil {
				return err
			}
		}
		if proof.Valid {
			if err := json.Unmarshal([]byte(proof.String), &a.Evidence); err != nil {
				return err
			}
			a.Evidence.At = a.Evidence.At.UTC()
		}
		o.Attempts = append(o.Attempts, a)
	}
	return rows.Err()
}

// OrderOf implements pay.Store.
func (s *Store) OrderOf(ctx context.Context, merchantID, outTradeNo string) (pay.OrderID, error) {
	var id pay.OrderID
	err := s.read(ctx).row(`SELECT order_id FROM attempts WHERE merchant_id = $1 AND out_trade_no = $2`, merchantID, outTradeNo).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", &pay.Error{Code: pay.CodeOrderNotFound}
	}
	return id, err
}

// Orders implements pay.Store.
func (s *Store) Orders(ctx context.Context, f pay.OrderFilter) ([]pay.Order, string, error) {
	var w where
	if f.UserID != "" {
		w.and("user_id =", string(f.UserID))
	}
	if f.Status != "" {
		w.and("status =", string(f.Status))
	}
	if f.Reference != "" {
		w.and("reference =", f.Reference)
	}
	if f.OutTradeNo != "" {
		w.in("id IN (SELECT order_id FROM attempts WHERE out_trade_no =", f.OutTradeNo)
	}
	q := s.read(ctx)
	orders, next, err := list(q, `SELECT `+orderColumns+` FROM orders`, w, f.Page, scanOrder, func(o pay.Order) string { return string(o.ID) })
	for i := range orders {
		err = errors.Join(err, addAttempts(q, &orders[i]))
	}
	return orders, next, err
}

// ClaimDue implements pay.Store.
func (s *Store) ClaimDue(ctx context.Context, now, until time.Time, n int) ([]pay.OrderID, error) {
	// Most of the time nothing is due, and a look costs the writer nothing.
	var due int64
	if err := s.read(ctx).row(`SELECT count(*) FROM (SELECT 1 FROM orders WHERE due_at <= $1 LIMIT 1) AS due`, ms(now)).Scan(&due); err != nil || due == 0 {
		return nil, err
	}
	var ids []pay.OrderID
	err := s.writer.do(ctx, func(t *tx) error {
		ids = ids[:0]
		rows, err := t.rows(`UPDATE orders SET due_at = $2 WHERE id IN (SELECT id FROM orders WHERE due_at <= $1 ORDER BY due_at LIMIT $3)
			RETURNING id`, ms(now), ms(until), n)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id pay.OrderID
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	return ids, err
}

// where builds the conditions of a list: its texts are ours, what callers say is an argument.
type where struct {
	texts []string
	args  []any
}

func (w *where) and(text string, arg any) {
	w.args = append(w.args, arg)
	w.texts = append(w.texts, fmt.Sprintf("%s $%d", text, len(w.args)))
}

func (w *where) in(text string, arg any) {
	w.and(text, arg)
	w.texts[len(w.texts)-1] += ")"
}

// list reads one page of a table whose ids sort by time, newest first.
func list[T any](q asker, query string, w where, p pay.Page, scan func(interface{ Scan(...any) error }) (T, error), id func(T) string) ([]T, string, error) {
	if p.Cursor != "" {
		w.and("id <", p.Cursor)
	}
	if len(w.texts) > 0 {
		query += " WHERE " + strings.Join(w.texts, " AND ")
	}
	limit := min(max(p.Limit, 1), 100)
	w.args = append(w.args, limit+1)
	query += fmt.Sprintf(" ORDER BY id DESC LIMIT $%d", len(w.args))
	rows, err := q.rows(query, w.args...)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, "", err
		}
		all = append(all, v)
	}
	if len(all) <= limit {
		return all, "", rows.Err()
	}
	return all[:limit], id(all[limit-1]), rows.Err()
}

// The shapes of values in columns.

func ms(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func maybeAt(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return at(ms.Int64)
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// document is v as JSON, or NULL where v is nothing.
func document[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil { // can't be: texts, a number and a time
		panic(err)
	}
	return string(b)
}
