package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
)

// A whole purchase: log in, order, pay, hear of it, ask.
func TestPurchase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})

	code, err := w.Login(w.app.ID, "alice")
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Get(w.url + "/sns/jscode2session?" + url.Values{"appid": {w.app.ID}, "secret": {w.app.Secret}, "js_code": {code}, "grant_type": {"authorization_code"}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	var session struct {
		OpenID     string `json:"openid"`
		SessionKey []byte `json:"session_key"`
	}
	if err := json.NewDecoder(r.Body).Decode(&session); err != nil {
		t.Fatal(err)
	}
	if known, _ := w.OpenID(w.app.ID, "alice"); session.OpenID != known || len(session.OpenID) != 28 || len(session.SessionKey) != 16 {
		t.Errorf("session %+v, want openid %s and a key of 16 bytes", session, known)
	}

	prepayID := w.place("order-000001", map[string]any{"attach": "附加"})
	w.payWith(prepayID)
	w.idle()

	got := w.shop.all()
	if len(got) != 1 {
		t.Fatalf("%d notifications, want 1", len(got))
	}
	n := got[0]
	if !w.genuine(n.header, n.body) {
		t.Error("the notification's signature isn't WeChat Pay's")
	}
	var envelope struct {
		ID, EventType string
		Resource      struct {
			Ciphertext, Nonce       string
			AssociatedData          string `json:"associated_data"`
			OriginalType, Algorithm string
		}
	}
	if err := json.Unmarshal(n.body, &envelope); err != nil {
		t.Fatal(err)
	}
	plain, err := open(w.merchant.APIv3Key, envelope.Resource.Nonce, envelope.Resource.AssociatedData, envelope.Resource.Ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	answer := w.call("GET", "/v3/pay/transactions/out-trade-no/order-000001?mchid="+w.merchant.ID, "")
	if answer.status != 200 || !w.genuine(answer.header, answer.body) {
		t.Fatalf("query: %d %s", answer.status, answer.body)
	}
	if !sameJSON(t, plain, answer.body) {
		t.Errorf("the notification says %s, the query %s", plain, answer.body)
	}
	var transaction struct {
		TransactionID string `json:"transaction_id"`
		TradeState    string `json:"trade_state"`
		Amount        struct{ Total int64 }
	}
	if err := json.Unmarshal(plain, &transaction); err != nil {
		t.Fatal(err)
	}
	if transaction.TradeState != "SUCCESS" || transaction.Amount.Total != 998 || len(transaction.TransactionID) != 28 {
		t.Errorf("transaction %+v", transaction)
	}
	if r := w.call("GET", "/v3/pay/transactions/id/"+transaction.TransactionID+"?mchid="+w.merchant.ID, ""); !sameJSON(t, r.body, plain) {
		t.Errorf("the query by id says %s", r.body)
	}
	if b := w.Books()[0]; b.Paid != (Sum{1, 998}) || b.Fee != 6 || b.Refunded != (Sum{}) {
		t.Errorf("books %+v", b)
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	x, err := parseJSON(a)
	y, err2 := parseJSON(b)
	if err != nil || err2 != nil {
		t.Errorf("%s: %v; %s: %v", a, err, b, err2)
		return false
	}
	return string(x.canonical()) == string(y.canonical())
}
