package pay

import (
	"context"
	"time"
)

// Gateway speaks to WeChat. Its errors are ErrUncertain, ErrNotExist, ErrBusy, ErrSettled and *Refusal; anything else
// counts as ErrUncertain. Each call is bounded by its context and may be repeated with the same numbers.
type Gateway interface {
	// Login exchanges a code of wx.login, once, for who it was made for. A code that WeChat refuses is an *Error with
	// CodeLoginCode or CodeLoginBlocked.
	Login(ctx context.Context, appID, code string) (Identity, error)
	// Prepay tells WeChat of the attempt. Its parameters come from o and a alone, so a repeat is byte-identical.
	Prepay(ctx context.Context, o Order, a Attempt) (prepayID string, err error)
	// Query asks for WeChat's word about an attempt.
	Query(ctx context.Context, o Order, a Attempt) (Transaction, error)
	// Close makes an attempt unpayable. A nil error means that it is; any error means: query.
	Close(ctx context.Context, o Order, a Attempt) error
	// PayParameters signs what wx.requestPayment takes, with a fresh time and nonce. It does not use the network.
	PayParameters(o Order, a Attempt) (Payment, error)
}

// Identity is who a login code was made for.
type Identity struct {
	OpenID  string
	UnionID string // empty unless the app is bound to an Open Platform account
}

// Payment is exactly what wx.requestPayment takes, plus appId. Every value is a string, the time too.
type Payment struct {
	AppID     string `json:"appId"`
	TimeStamp string `json:"timeStamp" doc:"seconds, as a string"`
	NonceStr  string `json:"nonceStr"`
	Package   string `json:"package" doc:"prepay_id=…"`
	SignType  string `json:"signType" enum:"RSA,MD5,HMAC-SHA256"`
	PaySign   string `json:"paySign"`
}

// Step computes what becomes of an order. It may run more than once, so it only computes.
type Step func(Order) (Order, []Effect, error)

// Idempotency ties a request to what it made: the same Scope and Key with the same Digest is the same request.
type Idempotency struct {
	Scope  string // who asks
	Key    string // the caller's; empty: none
	Digest string // of what was asked
}

// Store keeps what must outlive the process. A nil error means durable. What it promises is tested in internal/store.
type Store interface {
	// CreateOrder keeps a new order and its effects in one transaction. When the key has been used for the same request
	// it returns the order made then, and false; for another request, an *Error with CodeIdempotencyKeyReused. A number
	// that the merchant has used before is CodeOutTradeNoTaken.
	CreateOrder(ctx context.Context, o Order, effects []Effect, key Idempotency) (Order, bool, error)
	// Made returns the order that the key has made, and false where it has made none; for another request, an *Error
	// with CodeIdempotencyKeyReused.
	Made(ctx context.Context, key Idempotency) (Order, bool, error)
	// UpdateOrder loads the order, gives it to step and saves what step returns, effects included, in one transaction.
	// When step changes nothing, nothing is written. Without such an order the error has CodeOrderNotFound; a payment
	// by a transaction that has paid another order is ErrTransactionTaken.
	UpdateOrder(ctx context.Context, id OrderID, step Step) (Order, error)
	Order(ctx context.Context, id OrderID) (Order, error)
	// OrderOf finds the order that has an attempt of that number; CodeOrderNotFound without one.
	OrderOf(ctx context.Context, merchantID, outTradeNo string) (OrderID, error)
	// Orders lists newest first; next is empty at the end.
	Orders(ctx context.Context, f OrderFilter) (orders []Order, next string, err error)
	// ClaimDue returns up to n orders that are due at now, the longest overdue first, and makes each due again at
	// until: a worker that dies loses its claim then, and no other worker gets it before.
	ClaimDue(ctx context.Context, now, until time.Time, n int) ([]OrderID, error)
	// Observe keeps an incident that belongs to no order, once, and counts how often it was seen.
	Observe(ctx context.Context, i Incident) (seen int, err error)

	SaveProduct(ctx context.Context, p Product) error
	Product(ctx context.Context, id ProductID) (Product, error)
	Products(ctx context.Context, f ProductFilter) (products []Product, next string, err error)

	Event(ctx context.Context, id EventID) (Event, error)
	Events(ctx context.Context, f EventFilter) (events []Event, next string, err error)

	// SaveUser keeps a user, or returns the one who has that openid under that app already.
	SaveUser(ctx context.Context, u User) (User, error)
	User(ctx context.Context, id UserID) (User, error)
	UserOf(ctx context.Context, appID, openID string) (User, error)
	// Sessions and API keys are kept by the digest of their token.
	SaveSession(ctx context.Context, digest []byte, u UserID, expires time.Time) error
	Session(ctx context.Context, digest []byte) (u User, expires time.Time, err error)
	SaveAPIKey(ctx context.Context, digest []byte, k APIKey) error
	APIKey(ctx context.Context, digest []byte) (APIKey, error)
}

// Page says which part of a list is wanted.
type Page struct {
	Limit  int    // 1 to 100
	Cursor string // what next was; empty: from the start
}

// OrderFilter narrows a list of orders; a zero field does not.
type OrderFilter struct {
	Page
	UserID     UserID
	Status     Status
	OutTradeNo string
	Reference  string
}

// ProductFilter narrows a list of products.
type ProductFilter struct {
	Page
	ActiveOnly bool
}

// EventFilter narrows a list of events; a zero field does not.
type EventFilter struct {
	Page
	Type    EventType
	OrderID OrderID
}
