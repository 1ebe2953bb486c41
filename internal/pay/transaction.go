package pay

import (
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// TradeState is what WeChat says about one of its orders (trade_state), reduced to what matters to ours. A value that
// this version does not know becomes TradeOpen: not final, ask again.
type TradeState string

const (
	TradePaid   TradeState = "paid"   // SUCCESS, and REFUND: the money came, whatever was sent back since
	TradeOpen   TradeState = "open"   // NOTPAY, USERPAYING, ACCEPT and what is new: can still be paid
	TradeClosed TradeState = "closed" // CLOSED, REVOKED, PAYERROR: can't be paid any more
)

// Evidence says why a fact is believed: which verified message said so.
type Evidence struct {
	Source string    `json:"source"` // "notification" or "query"
	Serial string    `json:"serial"` // the key of WeChat that signed it
	Digest string    `json:"digest"` // SHA-256 of the raw bytes, in hex
	At     time.Time `json:"at"`
}

// Transaction is WeChat Pay's verified word about one of its orders. Only package wechat makes one, and only from a
// message whose signature it has verified.
type Transaction struct {
	MerchantID    string
	AppID         string
	OutTradeNo    string
	TransactionID string
	State         TradeState
	Total         money.Fen // amount.total: the order's price, before the buyer's coupons
	Currency      string
	OpenID        string // the payer, under AppID
	PaidAt        time.Time
	Receipt       Receipt
	Evidence      Evidence
}

// Receipt is how the buyer paid, for the merchant's people: nothing is decided by it.
type Receipt struct {
	TradeType  string    `json:"trade_type"`  // JSAPI
	BankType   string    `json:"bank_type"`   // a bank code, mostly OTHERS
	PayerTotal money.Fen `json:"payer_total"` // what the buyer gave, after coupons: at most the total
}

// Notice is a verified notification that WeChat sent to the address of one merchant.
type Notice struct {
	MerchantID  string       // whose address it came to, and whose keys verified it
	EventType   string       // such as TRANSACTION.SUCCESS
	Transaction *Transaction // of payments; nil for other kinds
	Evidence    Evidence
}
