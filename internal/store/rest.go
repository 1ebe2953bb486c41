package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/fenhao-pay/fenhao/internal/pay"
)

const productColumns = `id, name, description, price, image_url, active, created_at`

// SaveProduct implements pay.Store.
func (s *Store) SaveProduct(ctx context.Context, p pay.Product) error {
	return s.writer.do(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO products (`+productColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (id) DO UPDATE SET name = $2, description = $3, price = $4, image_url = $5, active = $6`,
			string(p.ID), p.Name, p.Description, int64(p.Price), p.ImageURL, bit(p.Active), ms(p.CreatedAt))
	})
}

func scanProduct(row interface{ Scan(...any) error }) (pay.Product, error) {
	var p pay.Product
	var created int64
	err := row.Scan(&p.ID, &p.Name, &p.Description, &p.Price, &p.ImageURL, &p.Active, &created)
	p.CreatedAt = at(created)
	return p, err
}

// Product implements pay.Store.
func (s *Store) Product(ctx context.Context, id pay.ProductID) (pay.Product, error) {
	p, err := scanProduct(s.read(ctx).row(`SELECT `+productColumns+` FROM products WHERE id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return pay.Product{}, &pay.Error{Code: pay.CodeProductNotFound, Args: map[string]string{"product_id": string(id)}}
	}
	return p, err
}

// Products implements pay.Store.
func (s *Store) Products(ctx context.Context, f pay.ProductFilter) ([]pay.Product, string, error) {
	var w where
	if f.ActiveOnly {
		w.and("active =", 1)
	}
	return list(s.read(ctx), `SELECT `+productColumns+` FROM products`, w, f.Page, scanProduct, func(p pay.Product) string { return string(p.ID) })
}

const eventColumns = `id, type, order_id, data, created_at`

func scanEvent(row interface{ Scan(...any) error }) (pay.Event, error) {
	var e pay.Event
	var data string
	var created int64
	err := row.Scan(&e.ID, &e.Type, &e.OrderID, &data, &created)
	e.Data, e.CreatedAt = json.RawMessage(data), at(created)
	return e, err
}

// Event implements pay.Store.
func (s *Store) Event(ctx context.Context, id pay.EventID) (pay.Event, error) {
	e, err := scanEvent(s.read(ctx).row(`SELECT `+eventColumns+` FROM events WHERE id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return pay.Event{}, &pay.Error{Code: pay.CodeEventNotFound}
	}
	return e, err
}

// Events implements pay.Store.
func (s *Store) Events(ctx context.Context, f pay.EventFilter) ([]pay.Event, string, error) {
	var w where
	if f.Type != "" {
		w.and("type =", string(f.Type))
	}
	if f.OrderID != "" {
		w.and("order_id =", string(f.OrderID))
	}
	return list(s.read(ctx), `SELECT `+eventColumns+` FROM events`, w, f.Page, scanEvent, func(e pay.Event) string { return string(e.ID) })
}

const userColumns = `users.id, users.app_id, users.open_id, users.union_id, users.created_at`

// SaveUser implements pay.Store.
func (s *Store) SaveUser(ctx context.Context, u pay.User) (pay.User, error) {
	err := s.writer.do(ctx, func(t *tx) error {
		// A unionid appears when the app is bound to an Open Platform account later on; it is never taken away again.
		var created int64
		err := t.row(`INSERT INTO users (id, app_id, open_id, union_id, created_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (app_id, open_id) DO UPDATE SET union_id = CASE WHEN $4 = '' THEN users.union_id ELSE $4 END
			RETURNING id, union_id, created_at`, string(u.ID), u.AppID, u.OpenID, u.UnionID, ms(u.CreatedAt)).Scan(&u.ID, &u.UnionID, &created)
		u.CreatedAt = at(created)
		return err
	})
	return u, err
}

func (s *Store) user(row *sql.Row, more ...any) (pay.User, error) {
	var u pay.User
	var created int64
	err := row.Scan(append([]any{&u.ID, &u.AppID, &u.OpenID, &u.UnionID, &created}, more...)...)
	u.CreatedAt = at(created)
	return u, err
}

// User implements pay.Store.
func (s *Store) User(ctx context.Context, id pay.UserID) (pay.User, error) {
	u, err := s.user(s.read(ctx).row(`SELECT `+userColumns+` FROM users WHERE id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return pay.User{}, &pay.Error{Code: pay.CodeUserUnknown, Args: map[string]string{"user_id": string(id)}}
	}
	return u, err
}

// UserOf implements pay.Store.
func (s *Store) UserOf(ctx context.Context, appID, openID string) (pay.User, error) {
	u, err := s.user(s.read(ctx).row(`SELECT `+userColumns+` FROM users WHERE app_id = $1 AND open_id = $2`, appID, openID))
	if errors.Is(err, sql.ErrNoRows) {
		return pay.User{}, &pay.Error{Code: pay.CodeUserUnknown}
	}
	return u, err
}

// SaveSession implements pay.Store. Sessions that have expired make way.
func (s *Store) SaveSession(ctx context.Context, digest []byte, u pay.UserID, expires time.Time) error {
	return s.writer.do(ctx, func(t *tx) error {
		err := t.exec(`DELETE FROM sessions WHERE digest IN (SELECT digest FROM sessions WHERE expires_at < $1 LIMIT 10)`,
			ms(expires.Add(-pay.SessionLife)))
		if err != nil {
			return err
		}
		return t.exec(`INSERT INTO sessions (digest, user_id, expires_at) VALUES ($1, $2, $3)`, digest, string(u), ms(expires))
	})
}

// Session implements pay.Store.
func (s *Store) Session(ctx context.Context, digest []byte) (pay.User, time.Time, error) {
	var expires int64
	u, err := s.user(s.read(ctx).row(`SELECT `+userColumns+`, sessions.expires_at FROM sessions JOIN users ON users.id = sessions.user_id
		WHERE sessions.digest = $1`, digest), &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return pay.User{}, time.Time{}, &pay.Error{Code: pay.CodeSessionInvalid}
	}
	return u, at(expires), err
}

// SaveAPIKey implements pay.Store.
func (s *Store) SaveAPIKey(ctx context.Context, digest []byte, k pay.APIKey) error {
	return s.writer.do(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO api_keys (id, digest, name, created_at) VALUES ($1, $2, $3, $4)`, string(k.ID), digest, k.Name, ms(k.CreatedAt))
	})
}

// APIKey implements pay.Store.
func (s *Store) APIKey(ctx context.Context, digest []byte) (pay.APIKey, error) {
	var k pay.APIKey
	var created int64
	err := s.read(ctx).row(`SELECT id, name, created_at FROM api_keys WHERE digest = $1`, digest).Scan(&k.ID, &k.Name, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return pay.APIKey{}, &pay.Error{Code: pay.CodeAPIKeyInvalid}
	}
	k.CreatedAt = at(created)
	return k, err
}
