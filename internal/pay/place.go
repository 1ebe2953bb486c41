package pay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/money"
)

const (
	// DefaultLife is how long an order may be paid when nobody says otherwise.
	DefaultLife = 30 * time.Minute
	minLife     = 2 * time.Minute // WeChat lifts a shorter time to 1 minute; the rest is for the way there
	maxLife     = 2 * time.Hour   // WeChat's documents disagree beyond it
)

// Purchase is what a user of a mini program wants to buy. It names no amount: the catalogue does.
type Purchase struct {
	Lines          []Line
	Metadata       map[string]string
	IdempotencyKey string // required: a repeated tap must not become a second order
}

// Charge is what a merchant's backend wants to be paid.
type Charge struct {
	AppID          string
	UserID         UserID // or OpenID
	OpenID         string
	Method         Method
	Total          money.Fen
	Currency       string
	Description    string
	OutTradeNo     string // empty: ours
	Reference      string
	Attach         string
	ExpiresAt      time.Time // zero: in DefaultLife
	Metadata       map[string]string
	IdempotencyKey string // required
}

// Placed is an order and how to pay it.
type Placed struct {
	Order    Order
	Payment  Payment
	Replayed bool // the idempotency key had been used for the same request: this is the order made then
}

// Buy places an order of user u at the catalogue's prices. Repeating it with the same key is safe at any time and goes
// on where the first call stopped, whatever stopped it.
//
// Errors to tell apart: CodeProductNotFound, CodeProductInactive, CodeInvalid, CodeIdempotencyKeyReused,
// CodeWeChatUncertain and CodeWeChatBusy (repeat with the same key), CodeWeChatRefused (the order is closed).
func (c *Cashier) Buy(ctx context.Context, u User, p Purchase) (Placed, error) {
	m, ok := c.byApp[u.AppID]
	if !ok {
		return Placed{}, refuse(CodeAppUnknown, nil, "app_id", u.AppID)
	}
	if err := checkMetadata(p.Metadata); err != nil {
		return Placed{}, err
	}
	key, err := idempotency("user:"+string(u.ID), p.IdempotencyKey, p.Lines, p.Metadata)
	if err != nil {
		return Placed{}, err
	}
	if placed, made, err := c.resume(ctx, key); made || err != nil {
		return placed, err
	}
	products := map[ProductID]Product{}
	for _, l := range p.Lines[:min(len(p.Lines), maxLines)] {
		if _, ok := products[l.ProductID]; ok {
			continue
		}
		product, err := c.store.Product(ctx, l.ProductID)
		if err != nil {
			return Placed{}, err
		}
		products[l.ProductID] = product
	}
	items, total, err := price(p.Lines, products)
	if err != nil {
		return Placed{}, err
	}
	now := c.now()
	o, effects := newOrder(Order{
		ID: OrderID(c.ids.id("ord_", now)), MerchantID: m.ID, AppID: u.AppID, UserID: u.ID, OpenID: u.OpenID, Channel: m.Channel, Method: MiniProgram, Total: total,
		Description: describe(items), Items: items, Metadata: p.Metadata, ExpiresAt: wholeSecond(now.Add(DefaultLife)),
	}, "", m.NotifyURL, now)
	return c.place(ctx, o, effects, key)
}

// Charge places an order at the price that the holder of an API key names.
func (c *Cashier) Charge(ctx context.Context, by APIKey, ch Charge) (Placed, error) {
	m, ok := c.byApp[ch.AppID]
	if !ok {
		return Placed{}, refuse(CodeAppUnknown, nil, "app_id", ch.AppID)
	}
	key, err := idempotency("key:"+string(by.ID), ch.IdempotencyKey, ch)
	if err != nil {
		return Placed{}, err
	}
	if placed, made, err := c.resume(ctx, key); made || err != nil {
		return placed, err
	}
	now := c.now()
	if ch.ExpiresAt.IsZero() {
		ch.ExpiresAt = now.Add(DefaultLife)
	}
	if ch.Method == "" {
		ch.Method = MiniProgram
	}
	if err := ch.check(now); err != nil {
		return Placed{}, err
	}
	u, err := c.payer(ctx, ch)
	if err != nil {
		return Placed{}, err
	}
	o, effects := newOrder(Order{
		ID: OrderID(c.ids.id("ord_", now)), MerchantID: m.ID, AppID: ch.AppID, UserID: u.ID, OpenID: u.OpenID, Channel: m.Channel, Method: ch.Method, Total: ch.Total,
		Description: ch.Description, Reference: ch.Reference, Attach: ch.Attach, Metadata: ch.Metadata,
		ExpiresAt: wholeSecond(ch.ExpiresAt),
	}, ch.OutTradeNo, m.NotifyURL, now)
	return c.place(ctx, o, effects, key)
}

// outTradeNoShape is narrower than WeChat's by '|' and '*', which need encoding in a path.
var outTradeNoShape = regexp.MustCompile(`^[0-9A-Za-z_-]{6,32}$`)

func (ch Charge) check(now time.Time) error {
	switch {
	case ch.Method != MiniProgram && ch.Method != JSAPI:
		return invalid("method", "这个版本支持 mini_program 和 jsapi", "this version takes mini_program and jsapi")
	case ch.Total < 1 || ch.Total > MaxTotal:
		return invalid("amount.total", "金额是以分为单位的整数，从 1 到 9999999999", "an amount is an integer number of fen from 1 to 9999999999")
	case ch.Currency != money.CNY:
		return invalid("amount.currency", "币种只能是 CNY", "the currency is CNY")
	case ch.Description == "" || len(ch.Description) > 127 || !plainText(ch.Description):
		return invalid("description", "描述是 1 到 127 字节（一个汉字 3 字节），不含表情等四字节字符",
			"a description has 1 to 127 bytes (a Chinese character has 3) and no emoji or other 4-byte character")
	case ch.OutTradeNo != "" && !outTradeNoShape.MatchString(ch.OutTradeNo):
		return invalid("out_trade_no", "商户订单号是 6 到 32 位的字母、数字、_ 或 -", "an out_trade_no has 6 to 32 letters, digits, _ or -")
	case len(ch.Attach) > 128 || !plainText(ch.Attach):
		return invalid("attach", "附加数据最长 128 字节，不含四字节字符", "attach has at most 128 bytes and no 4-byte character")
	case utf8.RuneCountInString(ch.Reference) > 100:
		return invalid("reference", "reference 最长 100 个字符", "a reference has at most 100 characters")
	case ch.ExpiresAt.Before(now.Add(minLife)) || ch.ExpiresAt.After(now.Add(maxLife)):
		return invalid("expires_at", "支付截止时间要在 2 分钟到 2 小时之后", "expires_at lies 2 minutes to 2 hours ahead")
	case (ch.UserID == "") == (ch.OpenID == ""):
		return invalid("openid", "user_id 和 openid 要给且只给一个", "give either user_id or openid")
	case len(ch.OpenID) > 128:
		return invalid("openid", "openid 最长 128 字节", "an openid has at most 128 bytes")
	}
	return checkMetadata(ch.Metadata)
}

func (c *Cashier) payer(ctx context.Context, ch Charge) (User, error) {
	if ch.UserID == "" {
		u, err := c.store.UserOf(ctx, ch.AppID, ch.OpenID)
		if errors.Is(err, CodeUserUnknown) { // never logged in here: the merchant's backend knows the openid from elsewhere
			return User{AppID: ch.AppID, OpenID: ch.OpenID}, nil
		}
		return u, err
	}
	u, err := c.store.User(ctx, ch.UserID)
	if err == nil && u.AppID != ch.AppID {
		return User{}, refuse(CodeUserUnknown, nil, "user_id", string(ch.UserID))
	}
	return u, err
}

func checkMetadata(m map[string]string) error {
	if len(m) > 20 {
		return invalid("metadata", "metadata 最多 20 项", "metadata has at most 20 entries")
	}
	for k, v := range m {
		if k == "" || len(k) > 40 || len(v) > 500 || !utf8.ValidString(k) || !utf8.ValidString(v) {
			return invalid("metadata", "metadata 的键最长 40 字节，值最长 500 字节，均为 UTF-8",
				"a metadata key has at most 40 bytes and a value at most 500, in UTF-8")
		}
	}
	return nil
}

// idempotency ties key to what is asked. The parts are plain values, whose JSON is the same each time.
func idempotency(scope, key string, asked ...any) (Idempotency, error) {
	if key == "" || len(key) > 255 {
		return Idempotency{}, invalid("Idempotency-Key",
			"请求头 Idempotency-Key 是必需的：每次下单用一个新的随机值（最长 255 字节），重试时用同一个值",
			"the header Idempotency-Key is required: a new random value (at most 255 bytes) for each purchase, the same one when you repeat it")
	}
	text, err := json.Marshal(asked)
	if err != nil {
		return Idempotency{}, fmt.Errorf("digest of a request: %w", err)
	}
	sum := sha256.Sum256(text)
	return Idempotency{Scope: scope, Key: key, Digest: hex.EncodeToString(sum[:])}, nil
}

// wholeSecond drops what WeChat's times do not carry, so that time_expire and our expiry are the same moment.
func wholeSecond(t time.Time) time.Time { return t.Truncate(time.Second) }

// resume goes on with the order that the key has made. What was asked then is not judged again: since then a product may
// have gone and a time may have passed.
func (c *Cashier) resume(ctx context.Context, key Idempotency) (p Placed, made bool, err error) {
	o, made, err := c.store.Made(ctx, key)
	if !made || err != nil {
		return Placed{}, made, err
	}
	o, payment, err := c.parameters(ctx, o, false)
	return Placed{Order: o, Payment: payment, Replayed: true}, true, err
}

// place makes the intent durable and then tells WeChat.
func (c *Cashier) place(ctx context.Context, o Order, effects []Effect, key Idempotency) (Placed, error) {
	o, created, err := c.store.CreateOrder(ctx, o, c.ids.name(effects), key)
	if err != nil {
		return Placed{}, err
	}
	o, p, err := c.parameters(ctx, o, created)
	if err != nil {
		return Placed{}, err
	}
	return Placed{Order: o, Payment: p, Replayed: !created}, nil
}

// Payment signs afresh what the user needs to pay an order. It may be called at any time and any number of times: it is
// the same WeChat order, with a new prepay_id when the old one has expired.
func (c *Cashier) Payment(ctx context.Context, id OrderID) (Payment, error) {
	o, err := c.store.Order(ctx, id)
	if err != nil {
		return Payment{}, err
	}
	_, p, err := c.parameters(ctx, o, false)
	return p, err
}

// parameters returns signed payment parameters for o, asking WeChat for a prepay_id where there is none that lives. With
// first, the intent of this very attempt was made durable a moment ago and no other call for it has ever left.
func (c *Cashier) parameters(ctx context.Context, o Order, first bool) (Order, Payment, error) {
	if err := o.Payable(c.now()); err != nil {
		return o, Payment{}, err
	}
	// A caller who hangs up must not turn a good call into one with an unknown outcome.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), placeTimeout)
	defer cancel()
	a := o.Current()
	fresh := a.PrepayID == "" || c.now().After(a.PrepaidAt.Add(PrepayLife))
	if fresh {
		if !first {
			var err error
			if o, err = c.update(ctx, o.ID, func(o Order) (Order, []Effect, error) { return o.Intend(a.OutTradeNo, c.now()) }); err != nil {
				return o, Payment{}, err
			}
		}
		id, tries, err := c.prepay(ctx, o, a)
		if err != nil {
			return o, Payment{}, c.prepayFailed(ctx, o, a, first && tries == 1, err)
		}
		a.PrepayID = id
	}
	p, err := c.gateway.PayParameters(o, a)
	if err != nil {
		return o, Payment{}, fmt.Errorf("sign payment parameters of %s: %w", o.ID, err)
	}
	now := c.now()
	o, err = c.update(ctx, o.ID, func(o Order) (Order, []Effect, error) {
		var err error
		if fresh {
			if o, _, err = o.Prepaid(a.OutTradeNo, a.PrepayID, now); err != nil {
				return o, nil, err
			}
		}
		return o.Issue(now)
	})
	return o, p, err
}

// prepayPauses are the waits between the tries of one Prepay whose outcome is unknown; the caller is waiting too.
var prepayPauses = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond}

// placeTimeout bounds all calls to WeChat that one request of ours makes.
const placeTimeout = 20 * time.Second

// prepay asks WeChat for a prepay_id. An uncertain outcome is asked again with the same bytes, which WeChat answers
// with a prepay_id of the same order, however often it did execute the request. It also tells how often it asked.
func (c *Cashier) prepay(ctx context.Context, o Order, a Attempt) (id string, tries int, err error) {
	for i := 0; ; i++ {
		id, err := c.gateway.Prepay(ctx, o, a)
		if err == nil || !isUncertain(err) || i == len(prepayPauses) || ctx.Err() != nil {
			return id, i + 1, err
		}
		c.log.WarnContext(ctx, "prepay has an unknown outcome; asking again with the same parameters", "order", o.ID, "try", i+1, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(prepayPauses[i]):
		}
	}
}

// prepayFailed records what a failed Prepay means and returns what the caller is told. With only, it was the one call
// that ever left for the attempt, so that a refusal proves that WeChat holds no such order.
func (c *Cashier) prepayFailed(ctx context.Context, o Order, a Attempt, only bool, err error) error {
	var refusal *Refusal
	var ours *Error
	switch {
	case errors.Is(err, ErrSettled):
		if _, ferr := c.Follow(ctx, o.ID); ferr != nil {
			return c.answer(ErrUncertain)
		}
		if now, oerr := c.store.Order(ctx, o.ID); oerr == nil {
			if perr := now.Payable(c.now()); perr != nil {
				return perr
			}
		}
		return c.answer(ErrUncertain)
	case only && (errors.As(err, &refusal) || errors.As(err, &ours)): // ours: it was not even sent
		c.log.ErrorContext(ctx, "an order was refused", "order", o.ID, "err", err)
		if _, uerr := c.update(ctx, o.ID, func(o Order) (Order, []Effect, error) { return o.Refused(a.OutTradeNo, c.now()) }); uerr != nil {
			return uerr
		}
	}
	return c.answer(err)
}

// isUncertain tells whether err leaves open whether WeChat carried the request out.
func isUncertain(err error) bool {
	var refusal *Refusal
	var ours *Error
	return err != nil && !errors.Is(err, ErrNotExist) && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrSettled) &&
		!errors.As(err, &refusal) && !errors.As(err, &ours)
}

// answer turns an error of the gateway into what a caller of ours is told.
func (c *Cashier) answer(err error) error {
	var refusal *Refusal
	var ours *Error
	switch {
	case err == nil || errors.As(err, &ours):
		return err
	case errors.Is(err, ErrBusy):
		return refuse(CodeWeChatBusy, err)
	case errors.As(err, &refusal):
		e := refuse(CodeWeChatRefused, err, "code", refusal.Code, "status", strconv.Itoa(refusal.Status), "request_id", refusal.RequestID)
		if refusal.Hint != nil {
			e.Args["hint_zh"], e.Args["hint_en"] = refusal.Hint("zh"), refusal.Hint("en")
		}
		return e
	}
	return refuse(CodeWeChatUncertain, err)
}
