package main

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenhao-pay/fenhao/internal/pay"
)

// dump is everything that the database holds, but the counters of what was seen again.
func (w *world) dump() string {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(w.parts.database, "sqlite:")+"?mode=ro")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	column := func(query string) []string {
		rows, err := db.Query(query)
		if err != nil {
			w.t.Fatal(query, err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			w.t.Fatal(err)
		}
		var all []string
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				w.t.Fatal(err)
			}
			var row strings.Builder
			for i, v := range values {
				fmt.Fprintf(&row, "%s=%v ", columns[i], *v.(*any))
			}
			all = append(all, row.String())
		}
		slices.Sort(all)
		return all
	}
	var b strings.Builder
	tables := column(`SELECT name FROM sqlite_master WHERE type = 'table'`)
	if len(tables) < 8 {
		w.t.Fatalf("only %d tables", len(tables))
	}
	for _, table := range tables {
		name := strings.TrimSpace(strings.TrimPrefix(table, "name="))
		fmt.Fprintln(&b, name)
		for _, row := range column(`SELECT * FROM "` + name + `"`) {
			fmt.Fprintln(&b, " ", row)
		}
	}
	return b.String()
}

// message is a notification as it goes over the wire.
type message struct {
	header http.Header
	body   []byte
}

func (m message) with(change func(*message)) message {
	m = message{m.header.Clone(), slices.Clone(m.body)}
	change(&m)
	return m
}

// deliver sends a notification to the address of a merchant and returns the service's answer.
func (w *world) deliver(merchant string, m message) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), "POST", serviceURL+"/notify/wechat/"+merchant+"/v3", bytes.NewReader(m.body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header = m.header
	resp, err := w.network.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode
}

// intercept lets the buyer pay and keeps the sandbox's genuine notification from arriving.
func (b *buyer) intercept(p placed) message {
	b.t.Helper()
	var mu sync.Mutex
	var caught message
	b.network.serve(serviceURL, http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		mu.Lock()
		defer mu.Unlock()
		caught = message{r.Header.Clone(), body.Bytes()}
		out.WriteHeader(500)
	}))
	defer b.network.serve(serviceURL, b.handler)
	b.pays(p)
	synctest.Wait()
	mu.Lock()
	defer mu.Unlock()
	if caught.body == nil {
		b.t.Fatal("no notification was sent")
	}
	return caught
}

// What is not WeChat's, or not for here, changes nothing at all: the whole database is the same before and after. Then
// the genuine message does what it should, once.
func TestForgedNotificationsChangeNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p, q := ming.order(1), ming.order(2)
		genuine, other := ming.intercept(p), ming.intercept(q)
		mine, theirs := w.parts.merchants[0].id, w.parts.merchants[1].id

		header := func(name, value string) func(*message) { return func(m *message) { m.header.Set(name, value) } }
		cases := map[string]func(*message){
			"body: empty":          func(m *message) { m.body = nil },
			"body: {}":             func(m *message) { m.body = []byte("{}") },
			"body: XML":            func(m *message) { m.body = []byte("<xml><out_trade_no>1</out_trade_no></xml>") },
			"body: of another":     func(m *message) { m.body = other.body },
			"body: with a BOM":     func(m *message) { m.body = append([]byte("\xef\xbb\xbf"), m.body...) },
			"body: with a newline": func(m *message) { m.body = append(m.body, '\n') },
			"body: re-indented":    func(m *message) { b := new(bytes.Buffer); _ = json.Indent(b, m.body, "", " "); m.body = b.Bytes() },
			"body: re-serialised": func(m *message) {
				var v map[string]any
				_ = json.Unmarshal(m.body, &v)
				m.body, _ = json.Marshal(v)
				m.body = append([]byte(" "), m.body...)
			},
			"body: truncated":         func(m *message) { m.body = m.body[:len(m.body)-1] },
			"body: cut in half":       func(m *message) { m.body = m.body[:len(m.body)/2] },
			"signature: missing":      func(m *message) { m.header.Del("Wechatpay-Signature") },
			"signature: empty":        header("Wechatpay-Signature", ""),
			"signature: garbage":      header("Wechatpay-Signature", "garbage"),
			"signature: zeros":        header("Wechatpay-Signature", base64.StdEncoding.EncodeToString(make([]byte, 256))),
			"signature: of another":   header("Wechatpay-Signature", other.header.Get("Wechatpay-Signature")),
			"signature: cut":          header("Wechatpay-Signature", genuine.header.Get("Wechatpay-Signature")[:300]),
			"signature: probe":        header("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+genuine.header.Get("Wechatpay-Signature")[19:]),
			"signature: twice":        func(m *message) { m.header.Add("Wechatpay-Signature", m.header.Get("Wechatpay-Signature")) },
			"timestamp: missing":      func(m *message) { m.header.Del("Wechatpay-Timestamp") },
			"timestamp: words":        header("Wechatpay-Timestamp", "now"),
			"timestamp: milliseconds": header("Wechatpay-Timestamp", genuine.header.Get("Wechatpay-Timestamp")+"000"),
			"timestamp: other":        header("Wechatpay-Timestamp", strconv.FormatInt(time.Now().Unix()-1, 10)),
			"timestamp: twice":        func(m *message) { m.header.Add("Wechatpay-Timestamp", m.header.Get("Wechatpay-Timestamp")) },
			"nonce: missing":          func(m *message) { m.header.Del("Wechatpay-Nonce") },
			"nonce: other":            header("Wechatpay-Nonce", "0123456789abcdef0123456789abcdef"),
			"nonce: twice":            func(m *message) { m.header.Add("Wechatpay-Nonce", "x") },
			"serial: missing":         func(m *message) { m.header.Del("Wechatpay-Serial") },
			"serial: unknown":         header("Wechatpay-Serial", strings.Repeat("AB", 20)),
			"serial: the merchant's":  header("Wechatpay-Serial", w.parts.merchants[0].serial),
			"serial: a public key's":  header("Wechatpay-Serial", "PUB_KEY_ID_0000000000000000000000000001"),
			"serial: twice":           func(m *message) { m.header.Add("Wechatpay-Serial", m.header.Get("Wechatpay-Serial")) },
			"type: SM":                header("Wechatpay-Signature-Type", "WECHATPAY2-SM2-WITH-SM3"),
			"no header at all":        func(m *message) { m.header = http.Header{"Content-Type": {"application/json"}} },
			"local, they say": func(m *message) {
				m.header.Del("Wechatpay-Signature")
				m.header.Set("X-Forwarded-For", "127.0.0.1")
				m.header.Set("X-Forwarded-Host", "localhost")
				m.header.Set("X-HTTP-Method-Override", "GET")
			},
		}
		for i := range 20 { // a byte here and there
			at := i * (len(genuine.body) - 1) / 19
			cases[fmt.Sprintf("body: byte %d flipped", at)] = func(m *message) { m.body[at] ^= 1 }
		}
		before := w.dump()
		check := func(name string, got int, want ...int) {
			t.Helper()
			if !slices.Contains(want, got) {
				t.Errorf("%s: answered %d, want %v", name, got, want)
			}
			if after := w.dump(); after != before {
				t.Fatalf("%s changed the database:\n%s\nwas\n%s", name, after, before)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			check(name, w.deliver(mine, genuine.with(cases[name])), 401)
		}
		check("body: too large", w.deliver(mine, genuine.with(func(m *message) { m.body = append(m.body, bytes.Repeat([]byte(" "), 64<<10)...) })), 413)
		check("compressed", w.deliver(mine, genuine.with(header("Content-Encoding", "gzip"))), 415)
		check("to the other merchant", w.deliver(theirs, genuine), 401, 500)
		check("to no merchant", w.deliver("1999999999", genuine), 404)
		check("by GET", w.call("GET", "/notify/wechat/"+mine+"/v3", "", nil, nil), 405)
		check("to v2", w.call("POST", "/notify/wechat/"+mine+"/v2", "", string(genuine.body), nil), 404)

		if got := w.deliver(mine, genuine); got != 204 {
			t.Errorf("the genuine one: %d", got)
		}
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid {
			t.Errorf("the order is %s", o.Status)
		}
		before = w.dump()
		for i := range 3 {
			check(fmt.Sprintf("replay %d within the window", i), w.deliver(mine, genuine), 204)
		}
		time.Sleep(299 * time.Second) // virtual
		if got := w.deliver(mine, other); got != 204 {
			t.Errorf("299 s old: %d", got)
		}
		before = w.dump()
		time.Sleep(2 * time.Second) // virtual
		check("replay after 301 s", w.deliver(mine, genuine), 401)
	})
}

// A copy of one notification comes fifty times at once: one change of state.
func TestNotificationsAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p := ming.order(1)
		m := ming.intercept(p)
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				if got := w.deliver(w.parts.merchants[0].id, m); got != 204 {
					t.Errorf("answered %d", got)
				}
			})
		}
		wait.Wait()
		if got := w.events(p.Order.ID); !slices.Equal(got, []string{"order.created", "order.paid"}) {
			t.Errorf("events %v", got)
		}
	})
}

// impostor signs and encrypts as WeChat does, with a key that the service is told to be WeChat's: what comes from it is
// genuine, and says whatever a test wants.
type impostor struct {
	*world
	key      *rsa.PrivateKey
	merchant merchantParts
}

const impostorID = "PUB_KEY_ID_0100000000012026112000000000000001"

func (w *world) impostor() *impostor {
	w.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		w.t.Fatal(err)
	}
	w.stop()
	w.parts.merchants[0].publicKeyID, w.parts.merchants[0].publicKey = impostorID, &key.PublicKey
	w.start()
	return &impostor{w, key, w.parts.merchants[0]}
}

// envelope encrypts a plaintext; change may alter the envelope before it is signed.
func (i *impostor) envelope(plain []byte, change func(envelope map[string]any)) message {
	i.t.Helper()
	block, err := aes.NewCipher([]byte(i.merchant.apiv3Key))
	if err != nil {
		i.t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		i.t.Fatal(err)
	}
	nonce := rand.Text()[:12]
	e := map[string]any{"id": "EV-1", "create_time": time.Now().Format(time.RFC3339), "resource_type": "encrypt-resource",
		"event_type": "TRANSACTION.SUCCESS", "summary": "支付成功", "resource": map[string]any{"original_type": "transaction", "algorithm": "AEAD_AES_256_GCM",
			"ciphertext": base64.StdEncoding.EncodeToString(gcm.Seal(nil, []byte(nonce), plain, []byte("transaction"))), "associated_data": "transaction", "nonce": nonce}}
	if change != nil {
		change(e)
	}
	body, err := json.Marshal(e)
	if err != nil {
		i.t.Fatal(err)
	}
	return i.sign(body)
}

func (i *impostor) sign(body []byte) message {
	i.t.Helper()
	at, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()
	sum := sha256.Sum256([]byte(at + "\n" + nonce + "\n" + string(body) + "\n"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		i.t.Fatal(err)
	}
	return message{http.Header{"Content-Type": {"application/json"}, "Wechatpay-Timestamp": {at}, "Wechatpay-Nonce": {nonce}, "Wechatpay-Serial": {impostorID},
		"Wechatpay-Signature": {base64.StdEncoding.EncodeToString(signature)}, "Wechatpay-Signature-Type": {"WECHATPAY2-SHA256-RSA2048"}}, body}
}

// payment is the plaintext of a payment of o.
func payment(o pay.OrderView) map[string]any {
	return map[string]any{"appid": o.AppID, "mchid": o.MerchantID, "out_trade_no": o.OutTradeNo, "transaction_id": "4200000000202611200000000001",
		"trade_type": "JSAPI", "trade_state": "SUCCESS", "trade_state_desc": "支付成功", "bank_type": "OTHERS", "attach": "", "success_time": "2000-01-01T08:00:01+08:00",
		"payer": map[string]any{"openid": o.OpenID}, "amount": map[string]any{"total": int64(o.Amount.Total), "payer_total": int64(o.Amount.Total), "currency": "CNY", "payer_currency": "CNY"}}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Genuine messages that contradict the order are answered and kept as incidents; they are never applied, and the order
// takes no payment until WeChat's word agrees. Genuine messages that make no sense are not answered with 2xx.
func TestGenuineNotificationsThatDoNotFit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		// orders are placed while the sandbox is WeChat; the impostor speaks later
		orders := map[string]placed{}
		type c struct {
			status   int    // of the answer
			incident string // kept, and the order flagged; "": nothing is changed
			change   func(p map[string]any)
		}
		amount := func(v any) func(map[string]any) {
			return func(p map[string]any) { p["amount"].(map[string]any)["total"] = v }
		}
		cases := map[string]c{
			"amount: one fen less":   {204, "wrong_amount", amount(1979)},
			"amount: one fen":        {204, "wrong_amount", amount(1)},
			"amount: one fen more":   {204, "wrong_amount", amount(1981)},
			"amount: zero":           {204, "wrong_amount", amount(0)},
			"amount: negative":       {204, "wrong_amount", amount(-1980)},
			"amount: of currency":    {204, "wrong_amount", func(p map[string]any) { p["amount"].(map[string]any)["currency"] = "HKD" }},
			"app: another":           {204, "wrong_app", func(p map[string]any) { p["appid"] = "wxffffffffffffffff" }},
			"merchant: another":      {204, "wrong_merchant", func(p map[string]any) { p["mchid"] = "1900000002" }},
			"amount: a text":         {500, "", amount("1980")},
			"amount: a fraction":     {500, "", amount(json.Number("1980.0"))},
			"amount: an exponent":    {500, "", amount(json.Number("198e1"))},
			"amount: null":           {500, "", amount(nil)},
			"amount: 2^63":           {500, "", amount(json.Number("9223372036854775808"))},
			"amount: missing":        {500, "", func(p map[string]any) { delete(p, "amount") }},
			"amount: total missing":  {500, "", func(p map[string]any) { delete(p["amount"].(map[string]any), "total") }},
			"amount: also AMOUNT":    {500, "", func(p map[string]any) { p["AMOUNT"] = p["amount"] }},
			"transaction id missing": {500, "", func(p map[string]any) { delete(p, "transaction_id") }},
			"number missing":         {500, "", func(p map[string]any) { delete(p, "out_trade_no") }},
			"number: an integer":     {500, "", func(p map[string]any) { p["out_trade_no"] = 1 }},
			"time: nonsense":         {500, "", func(p map[string]any) { p["success_time"] = "yesterday" }},
			"state: missing":         {500, "", func(p map[string]any) { delete(p, "trade_state") }},
			"state: NOTPAY":          {204, "", func(p map[string]any) { p["trade_state"] = "NOTPAY" }},
			"state: CLOSED":          {204, "", func(p map[string]any) { p["trade_state"] = "CLOSED" }},
			"state: PAYERROR":        {204, "", func(p map[string]any) { p["trade_state"] = "PAYERROR" }},
			"state: of the future":   {204, "", func(p map[string]any) { p["trade_state"] = "SHINY" }},
		}
		for name := range cases {
			orders[name] = ming.order(1)
			if orders[name].Order.Amount.Total != 1980 {
				t.Fatal("the first product no longer costs 19.80")
			}
		}
		wx := w.impostor()
		mine := wx.merchant.id
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			c, o := cases[name], orders[name].Order
			plain := payment(o)
			c.change(plain)
			before := w.dump()
			if got := w.deliver(mine, wx.envelope(encode(t, plain), nil)); got != c.status {
				t.Errorf("%s: answered %d, want %d", name, got, c.status)
			}
			now, dump := ming.look(o.ID, ""), w.dump()
			if now.Status != pay.Pending || now.TransactionID != nil || now.Flagged != (c.incident != "") {
				t.Errorf("%s: the order is %s, flagged %v", name, now.Status, now.Flagged)
			}
			switch {
			case c.incident == "":
				// A state other than paid makes the order be looked at now, which is all that it may change.
				if c.status == 500 && dump != before {
					t.Errorf("%s changed the database", name)
				}
				if strings.Count(dump, "kind=") != strings.Count(before, "kind=") {
					t.Errorf("%s left an incident", name)
				}
			case strings.Count(dump, "kind="+c.incident+" ") != strings.Count(before, "kind="+c.incident+" ")+1:
				t.Errorf("%s: no incident %s", name, c.incident)
			default:
				var problem struct{ Code string }
				if status := w.call("POST", "/mp/v1/orders/"+string(o.ID)+"/payment", ming.token, nil, &problem); status != 409 || problem.Code != "order_frozen" {
					t.Errorf("%s: payable: %d %s", name, status, problem.Code)
				}
				if got := w.events(o.ID); !slices.Equal(got, []string{"order.created", "order.flagged"}) {
					t.Errorf("%s: events %v", name, got)
				}
				// Again: counted, not kept again. The truth after all: paid.
				w.deliver(mine, wx.envelope(encode(t, plain), nil))
				if again := w.dump(); strings.Count(again, "kind=") != strings.Count(dump, "kind=") {
					t.Errorf("%s: a repetition was kept again", name)
				}
				right := payment(o)
				right["transaction_id"] = "42" + hex.EncodeToString([]byte(o.ID[20:]))
				if got := w.deliver(mine, wx.envelope(encode(t, right), nil)); got != 204 {
					t.Errorf("%s: the truth: %d", name, got)
				}
				if now := ming.look(o.ID, ""); now.Status != pay.Paid {
					t.Errorf("%s: after the truth the order is %s", name, now.Status)
				}
			}
		}
	})
}

func TestGenuineEnvelopesThatDoNotFit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p := ming.order(1)
		wx := w.impostor()
		good := encode(t, payment(p.Order))
		resource := func(field string, v any) func(map[string]any) {
			return func(e map[string]any) { e["resource"].(map[string]any)[field] = v }
		}
		before := w.dump()
		messages := map[string]message{
			"not JSON":                  wx.sign([]byte("hello")),
			"two documents":             wx.sign(append(wx.envelope(good, nil).body, "{}"...)),
			"nothing in it":             wx.sign([]byte("{}")),
			"null":                      wx.sign([]byte("null")),
			"plaintext is not JSON":     wx.envelope([]byte("hello"), nil),
			"plaintext is empty":        wx.envelope(nil, nil),
			"original_type of a refund": wx.envelope(good, resource("original_type", "refund")),
			"another algorithm":         wx.envelope(good, resource("algorithm", "AEAD_SM4_GCM")),
			"another associated_data":   wx.envelope(good, resource("associated_data", "refund")),
			"no ciphertext":             wx.envelope(good, resource("ciphertext", "")),
			"a tag and nothing else":    wx.envelope(good, resource("ciphertext", base64.StdEncoding.EncodeToString(make([]byte, 16)))),
			"less than a tag":           wx.envelope(good, resource("ciphertext", base64.StdEncoding.EncodeToString(make([]byte, 15)))),
			"URL-safe Base64":           wx.envelope(good, resource("ciphertext", "-_-_")),
			"not encrypted":             wx.envelope(good, func(e map[string]any) { e["resource_type"] = "plain" }),
		}
		for n := range 65 {
			if n != 12 {
				messages[fmt.Sprintf("a nonce of %d bytes", n)] = wx.envelope(good, resource("nonce", strings.Repeat("n", n)))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(messages)) {
			if got := w.deliver(wx.merchant.id, messages[name]); got != 500 {
				t.Errorf("%s: answered %d", name, got)
			}
			if w.dump() != before {
				t.Fatalf("%s changed the database", name)
			}
		}
		// A kind that this version does nothing with is kept, and WeChat stops sending it.
		unknown := wx.envelope([]byte(`{"mchid":"1900000001","state":"DONE"}`), func(e map[string]any) {
			e["event_type"] = "PAYSCORE.USER_PAID"
			e["resource"].(map[string]any)["original_type"] = "payscore"
		})
		if got := w.deliver(wx.merchant.id, unknown); got != 204 || !strings.Contains(w.dump(), "kind=unknown_notice") {
			t.Errorf("a kind of the future: %d", got)
		}
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Pending || o.Flagged {
			t.Errorf("the order is %s, flagged %v", o.Status, o.Flagged)
		}
		// Key order and unknown fields are WeChat's to choose.
		more := payment(p.Order)
		more["new_field"] = map[string]any{"a": []int{1}}
		if got := w.deliver(wx.merchant.id, wx.envelope(encode(t, more), func(e map[string]any) { e["another"] = nil })); got != 204 {
			t.Errorf("with unknown fields: %d", got)
		}
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid {
			t.Errorf("the order is %s", o.Status)
		}
	})
}

// A payment of an order that is not ours is asked to come again three times, because our own order may be on its way into
// the database; then it is on record, and WeChat may stop.
func TestPaymentOfAnUnknownOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p, q := ming.order(1), ming.order(1)
		wx := w.impostor()
		stray := p.Order
		stray.OutTradeNo = "somebody_elses_order"
		for i, want := range []int{500, 500, 500, 204, 204} {
			if got := w.deliver(wx.merchant.id, wx.envelope(encode(t, payment(stray)), nil)); got != want {
				t.Errorf("delivery %d: %d, want %d", i+1, got, want)
			}
		}
		if n := strings.Count(w.dump(), "kind=unknown_order"); n != 1 {
			t.Errorf("%d incidents", n)
		}
		// One order is paid by two transactions: the first stays, the second is on record.
		first, second := payment(p.Order), payment(p.Order)
		second["transaction_id"] = "4200000000202611200000000002"
		for _, m := range []map[string]any{first, second, second, first} {
			if got := w.deliver(wx.merchant.id, wx.envelope(encode(t, m), nil)); got != 204 {
				t.Errorf("answered %d", got)
			}
		}
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid || *o.TransactionID != first["transaction_id"] || !o.Flagged {
			t.Errorf("%+v", o)
		}
		if got := w.events(p.Order.ID); !slices.Equal(got, []string{"order.created", "order.paid", "order.flagged"}) {
			t.Errorf("events %v", got)
		}
		if !strings.Contains(w.dump(), "kind=second_payment") {
			t.Error("the second payment is not on record")
		}
		// And one transaction can't pay two orders.
		again := payment(q.Order)
		again["transaction_id"] = first["transaction_id"]
		for range 2 {
			if got := w.deliver(wx.merchant.id, wx.envelope(encode(t, again), nil)); got != 204 {
				t.Errorf("answered %d", got)
			}
		}
		if o := ming.look(q.Order.ID, ""); o.Status != pay.Pending || !o.Flagged || strings.Count(w.dump(), "kind=second_order") != 1 {
			t.Errorf("%+v", o)
		}
	})
}

// WeChat is told nothing before the database has it: when it can't be written, the answer is 5xx and the copy counts.
func TestNoAnswerBeforeTheCommit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ming := w.buyer("ming")
		p := ming.order(1)
		m := ming.intercept(p)
		path := filepath.Dir(strings.TrimPrefix(w.parts.database, "sqlite:"))
		db, err := sql.Open("sqlite", "file:"+filepath.Join(path, "fenhao.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(`CREATE TRIGGER full BEFORE UPDATE ON orders BEGIN SELECT raise(ABORT, 'disk full'); END`); err != nil {
			t.Fatal(err)
		}
		if got := w.deliver(w.parts.merchants[0].id, m); got != 500 {
			t.Errorf("with a database that can't be written: %d", got)
		}
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Pending {
			t.Errorf("the order is %s", o.Status)
		}
		if _, err := db.Exec(`DROP TRIGGER full`); err != nil {
			t.Fatal(err)
		}
		if got := w.deliver(w.parts.merchants[0].id, m); got != 204 {
			t.Errorf("the copy: %d", got)
		}
		if o := ming.look(p.Order.ID, ""); o.Status != pay.Paid {
			t.Errorf("the order is %s", o.Status)
		}
	})
}
