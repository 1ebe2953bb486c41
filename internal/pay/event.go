package pay

import (
	"encoding/json"
	"time"
)

// EventType names what happened to an object. The names are part of the API.
type EventType string

const (
	OrderCreated EventType = "order.created"
	OrderPaid    EventType = "order.paid"
	OrderClosed  EventType = "order.closed"
	OrderFlagged EventType = "order.flagged" // something about the order's money needs a human: see the incidents
)

// Event tells the merchant's systems that an object changed state. Each change of state makes exactly one, in the same
// transaction; Data is the object as it was then.
type Event struct {
	ID        EventID
	Type      EventType
	OrderID   OrderID
	CreatedAt time.Time
	Data      json.RawMessage
}

// IncidentKind says what was wrong with a verified message of WeChat.
type IncidentKind string

const (
	WrongAmount     IncidentKind = "wrong_amount"      // total or currency differ from the order's
	WrongApp        IncidentKind = "wrong_app"         // paid through another app
	WrongMerchant   IncidentKind = "wrong_merchant"    // a payment to another merchant number
	WrongPayer      IncidentKind = "wrong_payer"       // paid by another openid; the payment itself is good
	SecondPayment   IncidentKind = "second_payment"    // the order was paid by two transactions
	SecondOrder     IncidentKind = "second_order"      // the transaction has paid another order
	UnknownOrder    IncidentKind = "unknown_order"     // a payment of an order that this installation does not hold
	MissingAtWeChat IncidentKind = "missing_at_wechat" // WeChat gave out a prepay_id and later knows no such order
	UnknownNotice   IncidentKind = "unknown_notice"    // a notification of a kind that this version does nothing with
)

// Incident is a verified fact that does not fit the books. It is kept with its evidence, never applied. The same fact
// heard again is counted, not kept again.
type Incident struct {
	ID            IncidentID
	Kind          IncidentKind
	MerchantID    string
	OutTradeNo    string
	TransactionID string
	OrderID       OrderID // empty: none of ours
	Expected      string  // what the order says, in words
	Got           string  // what WeChat says, in words
	Evidence      Evidence
	CreatedAt     time.Time
}

// Effect is what a step makes happen beside the order's new state: an [Event] or an [Incident]. Its id is given by the
// cashier, because a step only computes; the store makes it durable together with the order.
type Effect interface{ effect() }

func (Event) effect()    {}
func (Incident) effect() {}
