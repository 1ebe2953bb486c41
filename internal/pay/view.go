package pay

import (
	"encoding/json"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// OrderView is an order as the world sees it: in the API's answers and in events. Amounts are in fen.
type OrderView struct {
	ID            OrderID           `json:"id" doc:"ord_…" example:"ord_01k8h3v6r2n5x7c9q4w1e0t8ya"`
	OutTradeNo    string            `json:"out_trade_no" doc:"商户订单号: the number at WeChat of the newest attempt"`
	Status        Status            `json:"status" enum:"pending,paid,closed"`
	AppID         string            `json:"app_id"`
	MerchantID    string            `json:"merchant_id"`
	UserID        *UserID           `json:"user_id"`
	OpenID        string            `json:"openid"`
	Channel       Channel           `json:"channel" enum:"wechat_v3"`
	Method        Method            `json:"method" enum:"mini_program,jsapi"`
	Amount        Amount            `json:"amount"`
	Refunded      money.Fen         `json:"refunded" doc:"fen sent back"`
	Refunding     money.Fen         `json:"refunding" doc:"fen on the way back"`
	Description   string            `json:"description"`
	Items         []Item            `json:"items"`
	Reference     string            `json:"reference"`
	Attach        string            `json:"attach"`
	Metadata      map[string]string `json:"metadata"`
	TransactionID *string           `json:"transaction_id" doc:"微信支付订单号"`
	PaidAt        *time.Time        `json:"paid_at"`
	ClosedAt      *time.Time        `json:"closed_at"`
	ExpiresAt     time.Time         `json:"expires_at"`
	CreatedAt     time.Time         `json:"created_at"`
	Late          bool              `json:"late" doc:"paid after it had been closed"`
	Flagged       bool              `json:"flagged" doc:"needs a human"`
	Attempts      []AttemptView     `json:"attempts"`
}

// Amount is a price: total fen of currency.
type Amount struct {
	Total    money.Fen `json:"total" doc:"fen 分"`
	Currency string    `json:"currency" enum:"CNY"`
}

// AttemptView is one WeChat order of an order.
type AttemptView struct {
	OutTradeNo    string        `json:"out_trade_no"`
	Method        Method        `json:"method"`
	Channel       Channel       `json:"channel"`
	Status        AttemptStatus `json:"status" enum:"open,paid,closed,unknown"`
	TransactionID *string       `json:"transaction_id"`
	CreatedAt     time.Time     `json:"created_at"`
}

// ProductView is a product as the world sees it.
type ProductView struct {
	ID          ProductID `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Price       Amount    `json:"price"`
	ImageURL    *string   `json:"image_url"`
	Active      bool      `json:"active"`
}

// EventView is an event as the world sees it.
type EventView struct {
	ID        EventID         `json:"id"`
	Type      EventType       `json:"type" enum:"order.created,order.paid,order.closed,order.flagged"`
	CreatedAt time.Time       `json:"created_at"`
	Data      json.RawMessage `json:"data" doc:"the object as it was then"`
}

// beijing is the zone of every time that we show.
var beijing = time.FixedZone("", 8*60*60)

func shown(t time.Time) time.Time { return t.In(beijing).Truncate(time.Millisecond) }

func maybe[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func maybeTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = shown(t)
	return &t
}

// View returns o as the world sees it.
func (o Order) View() OrderView {
	v := OrderView{
		ID: o.ID, OutTradeNo: o.Current().OutTradeNo, Status: o.Status, AppID: o.AppID, MerchantID: o.MerchantID,
		UserID: maybe(o.UserID), OpenID: o.OpenID, Channel: o.Channel, Method: o.Method,
		Amount: Amount{o.Total, o.Currency}, Description: o.Description, Items: o.Items, Reference: o.Reference,
		Attach: o.Attach, Metadata: o.Metadata, TransactionID: maybe(o.TransactionID), PaidAt: maybeTime(o.PaidAt),
		ClosedAt: maybeTime(o.ClosedAt), ExpiresAt: shown(o.ExpiresAt), CreatedAt: shown(o.CreatedAt),
		Late: o.Late, Flagged: o.Flagged,
	}
	if v.Items == nil {
		v.Items = []Item{}
	}
	if v.Metadata == nil {
		v.Metadata = map[string]string{}
	}
	for _, a := range o.Attempts {
		v.Attempts = append(v.Attempts, AttemptView{OutTradeNo: a.OutTradeNo, Method: o.Method, Channel: o.Channel,
			Status: a.Status, TransactionID: maybe(a.TransactionID), CreatedAt: shown(a.CreatedAt)})
	}
	return v
}

// View returns p as the world sees it.
func (p Product) View() ProductView {
	return ProductView{ID: p.ID, Name: p.Name, Description: p.Description, Price: Amount{p.Price, money.CNY},
		ImageURL: maybe(p.ImageURL), Active: p.Active}
}

// View returns e as the world sees it.
func (e Event) View() EventView {
	return EventView{ID: e.ID, Type: e.Type, CreatedAt: shown(e.CreatedAt), Data: e.Data}
}

// event makes the event of a change that has just been made to o.
func (o Order) event(t EventType, now time.Time) Event {
	data, err := json.Marshal(o.View())
	if err != nil { // can't be: the view holds nothing that JSON lacks
		panic(err)
	}
	return Event{Type: t, OrderID: o.ID, CreatedAt: now, Data: data}
}
