package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// buyer is a phone with a mini program that goes on whatever happens: an answer that does not come is asked for again,
// with the same idempotency key.
type buyer struct {
	name     string
	random   *rand.Rand
	site     *site
	witness  *witness
	goods    []product
	token    string
	id       string      // usr_…
	open     []*purchase // orders whose answer was lost
	done     []*purchase // orders that were answered for, the newest last
	sequence int
}

// purchase is what a mini program remembers of one tap on "buy".
type purchase struct {
	key      string
	goods    product
	quantity int64
	number   string    // where the merchant's backend places the order: its own out_trade_no, or "" for ours
	backend  bool      // it does, at its own price
	sent     int       // how often it was asked for
	again    time.Time // when it is asked for again at the earliest
	order    order     // zero until acknowledged
	settled  bool      // somebody tried to pay or close it: a phone may be refused
}

// live buys until ctx ends.
func (b *buyer) live(ctx context.Context) {
	for b.rest(ctx, 10, 50) {
		if b.token == "" && !b.login(ctx) {
			continue
		}
		p := b.choose()
		if payment, ok := b.place(ctx, p); ok {
			b.act(ctx, p, payment)
		}
	}
}

// rest waits between from and to milliseconds.
func (b *buyer) rest(ctx context.Context, from, to int) bool {
	return pause(ctx, time.Duration(from+b.random.IntN(to-from))*time.Millisecond)
}

func (b *buyer) login(ctx context.Context) bool {
	var code struct {
		Code string `json:"code"`
	}
	if a, err := call(ctx, "POST", b.site.wechat()+"/sandbox/v1/login", "", map[string]string{"app_id": b.site.appID, "user": b.name}, &code); err != nil || a.status != 200 {
		return false
	}
	var session struct {
		Token string `json:"token"`
		User  struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	a, err := call(ctx, "POST", b.site.service()+"/mp/v1/login", "", map[string]string{"app_id": b.site.appID, "code": code.Code}, &session)
	switch {
	case err != nil:
		b.witness.count("answers lost")
	case a.status == 200:
		b.token, b.id = session.Token, session.User.ID
		b.witness.count("logins")
	case a.code == "login_code_invalid" || a.code == "wechat_uncertain" || a.code == "wechat_busy":
		// The code was used up by an exchange whose answer was lost, or WeChat is away: wx.login gives another.
	default:
		b.witness.complain("login of %s: %s", b.name, a)
	}
	return b.token != ""
}

// choose says what to buy: mostly what an answer is missing for, now and then what was answered for long ago, else
// something new.
func (b *buyer) choose() *purchase {
	now := time.Now()
	i := slices.IndexFunc(b.open, func(p *purchase) bool { return p.again.Before(now) })
	if i >= 0 && b.random.IntN(10) < 8 {
		p := b.open[i]
		b.open = slices.Delete(b.open, i, i+1)
		return p
	}
	if len(b.done) > 0 && b.random.IntN(20) == 0 {
		return b.done[len(b.done)-1-b.random.IntN(min(len(b.done), 20))]
	}
	b.sequence++
	p := &purchase{key: fmt.Sprintf("%s-%d-%016x", b.name, b.sequence, b.random.Uint64()),
		goods: b.goods[b.random.IntN(len(b.goods))], quantity: 1 + b.random.Int64N(3), backend: b.random.IntN(4) == 0}
	if p.backend && b.random.IntN(2) == 0 {
		p.number = fmt.Sprintf("crash_%016x", b.random.Uint64())
	}
	return p
}

// total is what p costs, in fen.
func (p *purchase) total() int64 { return p.goods.Price.Total * p.quantity }

// request is how p is asked for: by the mini program, or by the merchant's backend with its API key.
func (b *buyer) request(p *purchase) (path, token string, body map[string]any) {
	metadata := map[string]string{"key": p.key} // by which an auditor finds what the key made
	if !p.backend {
		return "/mp/v1/orders", b.token, map[string]any{"metadata": metadata,
			"items": []map[string]any{{"product_id": p.goods.ID, "quantity": p.quantity}}}
	}
	body = map[string]any{"metadata": metadata, "app_id": b.site.appID, "user_id": b.id, "description": "crash test",
		"amount": amount{p.total(), "CNY"}}
	if p.number != "" {
		body["out_trade_no"] = p.number
	}
	return "/v1/orders", b.site.apiKey, body
}

// place asks for the order, and returns how to pay it where that was answered.
func (b *buyer) place(ctx context.Context, p *purchase) (payment map[string]string, ok bool) {
	path, token, body := b.request(p)
	var placed struct {
		Order   order             `json:"order"`
		Payment map[string]string `json:"payment"`
	}
	acknowledged := p.order.ID != ""
	if p.sent++; p.sent > 1 {
		b.witness.count("keys repeated")
	}
	a, err := call(ctx, "POST", b.site.service()+path, token, body, &placed, "Idempotency-Key", p.key)
	switch {
	case err != nil:
		b.witness.count("answers lost")
	case a.status == 201:
		if o := placed.Order; o.Amount != (amount{p.total(), "CNY"}) || p.number != "" && o.OutTradeNo != p.number {
			b.witness.complain("%d × %d fen with the number %q became %+v", p.quantity, p.goods.Price.Total, p.number, o)
		}
		b.witness.placed(p.key, placed.Order)
		p.order = placed.Order
		if !acknowledged {
			b.done = append(b.done, p)
		}
		return placed.Payment, true
	case a.code == "wechat_uncertain" || a.code == "wechat_busy":
		b.witness.count("orders uncertain")
	case acknowledged && (a.code == "order_already_paid" || a.code == "order_closed"):
		return nil, false
	default: // nobody can have paid or closed an order that was never answered for, and sessions outlive crashes
		b.witness.complain("order with key %s, asked for %d times, acknowledged %t: %s", p.key, p.sent, acknowledged, a)
		return nil, false
	}
	if acknowledged {
		return nil, false
	}
	switch b.random.IntN(10) {
	case 0: // gives up for ever
		return nil, false
	case 1, 2: // comes back when the service has asked WeChat about an order that WeChat may never have heard of
		p.again = time.Now().Add(4 * time.Second)
	}
	b.open = append(b.open, p)
	return nil, false
}

// act does what a buyer may do with an order.
func (b *buyer) act(ctx context.Context, p *purchase, payment map[string]string) {
	switch dice := b.random.IntN(100); {
	case dice < 65:
		b.pay(ctx, p, payment)
	case dice < 75: // thinks better of it
		b.phone(ctx, payment, "cancel")
		var again struct {
			Payment map[string]string `json:"payment"`
		}
		if a, err := call(ctx, "POST", b.order(p)+"/payment", b.token, nil, &again); err != nil || a.status != 200 {
			return
		}
		b.pay(ctx, p, again.Payment)
	case dice < 87: // walks away
		b.phone(ctx, payment, "cancel")
		return
	case dice < 94:
		p.settled = true
		b.close(ctx, p)
	default: // both at once: one of them wins, at WeChat
		p.settled = true
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			b.close(ctx, p)
		}()
		b.pay(ctx, p, payment)
		<-closed
	}
	b.look(ctx, p)
}

func (b *buyer) order(p *purchase) string { return b.site.service() + "/mp/v1/orders/" + p.order.ID }

// phone does action with wx.requestPayment.
func (b *buyer) phone(ctx context.Context, payment map[string]string, action string) (message string, answered bool) {
	in := map[string]string{"app_id": b.site.appID, "user": b.name, "action": action}
	for _, name := range []string{"timeStamp", "nonceStr", "package", "signType", "paySign"} {
		in[name] = payment[name]
	}
	var result struct {
		Message string `json:"errMsg"`
	}
	a, err := call(ctx, "POST", b.site.wechat()+"/sandbox/v1/request-payment", "", in, &result)
	if err != nil {
		return "", false
	}
	if a.status != 200 {
		b.witness.complain("request-payment of %s: %s", b.name, a)
		return "", false
	}
	return result.Message, true
}

func (b *buyer) pay(ctx context.Context, p *purchase, payment map[string]string) {
	refusable := p.settled
	p.settled = true
	message, answered := b.phone(ctx, payment, "pay")
	switch {
	case !answered:
		b.witness.count("payments unanswered")
	case message == "requestPayment:ok":
		b.witness.paidOn(p.order)
	case refusable && strings.HasPrefix(message, "requestPayment:fail Invalid payment situation"):
	default: // WeChat gave this very prepay_id; a crash is no reason to forget it
		b.witness.complain("the phone of %s can't pay %s, which was just placed: %s", b.name, p.order.ID, message)
	}
}

func (b *buyer) close(ctx context.Context, p *purchase) {
	before := b.witness.known(p.order.ID)
	var o order
	a, err := call(ctx, "POST", b.order(p)+"/close", b.token, nil, &o)
	switch {
	case err != nil:
		b.witness.count("answers lost")
	case a.status == 200:
		if o.Status != "closed" {
			b.witness.complain("closing %s was answered with 200 and %q", p.order.ID, o.Status)
		}
		b.witness.recheck(before, o)
	case a.code != "order_already_paid" && a.code != "order_being_paid" && a.code != "wechat_uncertain" && a.code != "wechat_busy":
		b.witness.complain("close %s: %s", p.order.ID, a)
	}
}

// look waits a moment for the order to be settled, as a mini program does after wx.requestPayment.
func (b *buyer) look(ctx context.Context, p *purchase) {
	before := b.witness.known(p.order.ID)
	var o order
	a, err := call(ctx, "GET", b.order(p)+"?wait=1s", b.token, nil, &o)
	switch {
	case err != nil:
		b.witness.count("answers lost")
	case a.status == 200:
		b.witness.recheck(before, o)
	default:
		b.witness.complain("look at %s: %s", p.order.ID, a)
	}
}
