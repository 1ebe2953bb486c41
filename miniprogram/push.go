package miniprogram

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

var (
	// ErrBadSignature is matched by the error for a push that WeChat did not sign, or not lately.
	ErrBadSignature = errors.New("the signature is not WeChat's, or is not recent")
	// ErrBadMessage is matched by the error for a push whose signature is right and whose content can't be decrypted or
	// read. It does not say what is wrong with the encryption.
	ErrBadMessage = errors.New("the message can't be decrypted or read")
)

const (
	// pushWindow is how far the time of a push may be from this machine's, and how long pushes are remembered from then.
	pushWindow = 10 * time.Minute
	// maxSeen is how many pushes are remembered at most.
	maxSeen = 1 << 16
	// maxPush is the longest push that is read.
	maxPush = 1 << 20
	// pushBudget is what a handler may take. WeChat waits for 5 seconds, and then tries again, three times in all.
	pushBudget = 4500 * time.Millisecond
	// pushBlock is the block of the padding of pushes, which is not that of AES.
	pushBlock = 32
)

// ReceiverConfig is what 小程序后台 › 开发管理 › 消息推送配置 shows.
type ReceiverConfig struct {
	AppID string // wx…
	Token Secret // Token(令牌), 3 to 32 letters and digits
	// EncodingAESKey (消息加密密钥), 43 characters, is for the secure mode (安全模式) and the compatible one (兼容模式). With it, what is
	// not encrypted is refused. Without it, the mode is plain (明文模式): the signature then covers the time of the request
	// and nothing of its body, and whoever sees one request can send others for ten minutes. Use the secure mode.
	EncodingAESKey Secret
	// PreviousEncodingAESKey is accepted as well, while WeChat changes from it to the other.
	PreviousEncodingAESKey Secret
	// Logger is told of pushes that were refused or not handled. The default is silence.
	Logger *slog.Logger
	// Clock is read instead of the machine's time where it isn't nil.
	Clock func() time.Time
}

// Push is a verified message of WeChat's (消息推送). The same one may come again, and some never come: what it causes must be
// keyed by the order that it names, and be reconciled with [Client.GetOrder].
type Push struct {
	ToUserName   string    // the app's original id, gh_…
	FromUserName string    // the user's openid, or one of WeChat's own
	CreatedAt    time.Time // UTC
	MsgType      string    // "event", "text", …
	EventName    string    // WeChat's Event, with MsgType "event"
	// Event is a RemindAccess, RemindShipping, OrderSettlement or TradeControlled, or nil for other messages.
	Event any
	// Fields are the texts and numbers at the top of the message.
	Fields map[string]string
	// Raw is the message: JSON or XML, decrypted.
	Raw []byte
	// Reply, where a handler sets it, is answered instead of "success": JSON or XML, whichever Raw is. It is encrypted
	// where the push was.
	Reply []byte
}

// RemindAccess (trade_manage_remind_access_api) comes when a merchant is authorised, at the first trade, and daily while
// there are trades and nothing was ever shipped.
type RemindAccess struct {
	Message string
}

// RemindShipping (trade_manage_remind_shipping) says that an order was not shipped within 48 hours.
type RemindShipping struct {
	Order   OrderKey
	PaidAt  time.Time // UTC
	Message string
}

// OrderSettlement (trade_manage_order_settlement) comes twice: when all of an order is shipped, with EstimatedAt, and when
// the money is settled, with SettledAt. Either may be lost or come again. Times are UTC, and zero where WeChat says none.
//
// WeChat's confirm_receive_method is among the Fields of the Push and not here: what it says can't be relied on.
type OrderSettlement struct {
	Order       OrderKey
	PaidAt      time.Time
	ShippedAt   time.Time
	EstimatedAt time.Time // when the money will be settled
	ConfirmedAt time.Time // when the buyer confirmed, or WeChat did
	SettledAt   time.Time
}

// TradeControlled (wxa_trade_controlled) says that WeChat demands the management of trades for this app, and may refuse its
// payments until then.
type TradeControlled struct {
	Message string
}

// Receiver is the http.Handler behind the address of the message push. It is safe for concurrent use.
type Receiver struct {
	appID  string
	token  *Secret     // behind a pointer, as in Client
	keys   []*[32]byte // the present one first; behind pointers likewise
	handle func(context.Context, *Push) error
	log    *slog.Logger
	now    func() time.Time
	seen   seen
}

// NewReceiver checks c and makes a receiver that hands every push to handle. The error joins all mistakes.
//
// handle returns nil only when what it did is durable, and within 4.5 seconds, which is when its context ends: it stores the
// push, and the work is done later. WeChat is answered then, and not before. After an error WeChat sends the push again, at
// most three times in all. A push that comes again within ten minutes with the same signature is answered and not handled
// again; one that WeChat signed anew, or that another process got, is.
func NewReceiver(c ReceiverConfig, handle func(context.Context, *Push) error) (*Receiver, error) {
	r := &Receiver{appID: c.AppID, token: &c.Token, handle: handle, log: c.Logger, now: c.Clock}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.now == nil {
		r.now = time.Now
	}
	var problems []error
	if !strings.HasPrefix(c.AppID, "wx") || len(c.AppID) > 32 || !isWord(c.AppID) {
		problems = append(problems, errors.New("AppID: it begins with wx, letters and digits alone"))
	}
	if len(c.Token) < 3 || len(c.Token) > 32 || !isWord(string(c.Token)) {
		problems = append(problems, errors.New("Token: it has 3 to 32 letters and digits: 小程序后台 › 开发管理 › 消息推送配置 shows it"))
	}
	if c.EncodingAESKey == "" && c.PreviousEncodingAESKey != "" {
		problems = append(problems, errors.New("PreviousEncodingAESKey: there is no EncodingAESKey that it came before"))
	}
	for _, k := range []struct {
		name  string
		value Secret
	}{{"EncodingAESKey", c.EncodingAESKey}, {"PreviousEncodingAESKey", c.PreviousEncodingAESKey}} {
		if k.value == "" {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(string(k.value) + "=") // the last two bits may be anything
		if err != nil || len(key) != 32 || len(k.value) != 43 {
			problems = append(problems, errors.New(k.name+": it has 43 letters and digits: 小程序后台 › 开发管理 › 消息推送配置 shows it"))
			continue
		}
		r.keys = append(r.keys, (*[32]byte)(key))
	}
	if handle == nil {
		problems = append(problems, errors.New("handle: it is nil"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return r, nil
}

// ServeHTTP answers WeChat. A GET with a right signature is the check of the address, and is answered by its echostr. A POST
// is a push: 200 once it was handled, 403 for what WeChat did not send, 400 for what can't be read, 500 for what was not
// handled.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), pushBudget)
	defer cancel()
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		answer(w, http.StatusBadRequest, "the query can't be read")
		return
	}
	switch req.Method {
	case http.MethodGet:
		echo, err := r.CheckURL(query)
		if err != nil {
			r.log.InfoContext(ctx, "a check of the push address was refused", "error", err)
			answer(w, http.StatusForbidden, "the signature is not accepted")
			return
		}
		answer(w, http.StatusOK, echo)
	case http.MethodPost:
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxPush))
		if err != nil {
			answer(w, http.StatusBadRequest, "the body can't be read")
			return
		}
		r.push(ctx, w, query, body)
	default:
		w.Header().Set("Allow", "GET, POST")
		answer(w, http.StatusMethodNotAllowed, "POST it")
	}
}

// answer writes one text. Nothing of it is ever taken for a page.
func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the caller may be gone
}

// push answers one push.
func (r *Receiver) push(ctx context.Context, w http.ResponseWriter, query url.Values, body []byte) {
	now := r.now()
	p, s, err := r.parse(query, body, now)
	switch {
	case errors.Is(err, ErrBadSignature):
		r.log.InfoContext(ctx, "a push was refused", "error", err)
		answer(w, http.StatusForbidden, "the signature is not accepted")
		return
	case err != nil:
		r.log.ErrorContext(ctx, "a push can't be read", "error", err)
		answer(w, http.StatusBadRequest, "the message can't be read")
		return
	}
	release, first, err := r.seen.claim(ctx, s.value, s.at, now)
	if err != nil {
		answer(w, http.StatusServiceUnavailable, "the same message is being handled")
		return
	}
	if !first {
		answer(w, http.StatusOK, "success")
		return
	}
	handled := false
	defer func() { release(handled) }() // also where handle panics
	if err := r.handle(ctx, p); err != nil {
		r.log.ErrorContext(ctx, "a push was not handled", "error", err, "event", p.EventName)
		answer(w, http.StatusInternalServerError, "not handled")
		return
	}
	handled = true
	if len(p.Reply) == 0 {
		answer(w, http.StatusOK, "success")
		return
	}
	reply := p.Reply
	if len(r.keys) > 0 {
		if reply, err = r.sealReply(p.Reply, isJSON(p.Raw)); err != nil {
			// What the push asked for is done. It is not asked for again because of a reply.
			r.log.ErrorContext(ctx, "a reply to a push can't be encrypted", "error", err, "event", p.EventName)
			answer(w, http.StatusOK, "success")
			return
		}
	}
	kind := "application/xml"
	if isJSON(reply) {
		kind = "application/json"
	}
	w.Header().Set("Content-Type", mime.FormatMediaType(kind, map[string]string{"charset": "utf-8"}))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(reply) // the caller may be gone
}

// CheckURL verifies a check of the address (GET) and returns the echostr, which is to be answered as it is and alone. The
// error matches [ErrBadSignature].
//
// Source: WeChat's manual for mini programs, "消息推送".
func (r *Receiver) CheckURL(query url.Values) (string, error) {
	if _, err := r.verify(query, "signature", "", r.now()); err != nil {
		return "", err
	}
	echo, ok := only(query, "echostr")
	if !ok || len(echo) > 256 || !isLine(echo) {
		return "", fmt.Errorf("%w: there is no echostr", ErrBadSignature)
	}
	return echo, nil
}

// Parse verifies a push (POST), decrypts it and reads it. It remembers nothing: within ten minutes, the same push passes
// again. The error matches [ErrBadSignature] or [ErrBadMessage].
//
// Source: WeChat's manual for mini programs, "消息推送" and its page on encryption.
func (r *Receiver) Parse(query url.Values, body []byte) (*Push, error) {
	p, _, err := r.parse(query, body, r.now())
	return p, err
}

func (r *Receiver) parse(query url.Values, body []byte, now time.Time) (*Push, signature, error) {
	if len(r.keys) == 0 {
		s, err := r.verify(query, "signature", "", now)
		if err != nil {
			return nil, s, err
		}
		p, err := readPush(body)
		return p, s, err
	}
	// "signature" is there as well, but does not cover the body.
	fields, err := readFields(body)
	if err != nil || fields["Encrypt"] == "" {
		return nil, signature{}, fmt.Errorf("%w: there is no encrypted message", ErrBadSignature)
	}
	s, err := r.verify(query, "msg_signature", fields["Encrypt"], now)
	if err != nil {
		return nil, s, err
	}
	message, err := r.open(fields["Encrypt"])
	if err != nil {
		return nil, s, err
	}
	p, err := readPush(message)
	return p, s, err
}

// signature is a right signature with its time.
type signature struct {
	value string
	at    time.Time
}

// verify checks the signature that the query holds under name, over token, time, nonce and, where it isn't empty, the
// encrypted message.
func (r *Receiver) verify(query url.Values, name, encrypted string, now time.Time) (signature, error) {
	given, ok1 := only(query, name)
	timestamp, ok2 := only(query, "timestamp")
	nonce, ok3 := only(query, "nonce")
	if !ok1 || !ok2 || !ok3 || len(nonce) > 128 {
		return signature{}, fmt.Errorf("%w: %s, timestamp and nonce are not there once each", ErrBadSignature, name)
	}
	if subtle.ConstantTimeCompare([]byte(sign(*r.token, timestamp, nonce, encrypted)), []byte(given)) != 1 {
		return signature{}, fmt.Errorf("%w: %s differs", ErrBadSignature, name)
	}
	at, err := loose(timestamp).time()
	if age := now.Sub(at); err != nil || age > pushWindow || age < -pushWindow {
		return signature{}, fmt.Errorf("%w: the time is more than %s away", ErrBadSignature, pushWindow)
	}
	return signature{given, at}, nil
}

// only returns the value of a parameter that is there once and isn't empty.
func only(query url.Values, name string) (string, bool) {
	v := query[name]
	if len(v) != 1 || v[0] == "" {
		return "", false
	}
	return v[0], true
}

// sign is the hexadecimal SHA-1 of its arguments, sorted as texts and joined. An empty one changes nothing.
func sign(token Secret, parts ...string) string {
	parts = append(parts, string(token))
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// open decrypts a message with the key or the one before it.
func (r *Receiver) open(encrypted string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(encrypted)
	if err != nil {
		return nil, ErrBadMessage
	}
	for _, key := range r.keys {
		plain, ok := decryptCBC(key[:], key[:aes.BlockSize], data, pushBlock)
		if !ok {
			continue
		}
		if message, ok := unwrap(plain, r.appID); ok {
			return message, nil
		}
	}
	return nil, ErrBadMessage
}

// wrapper is what stands before a message: 16 random bytes and its length.
const wrapper = 16 + 4

// unwrap takes a message out of random bytes, length, message and appid.
func unwrap(plain []byte, appID string) ([]byte, bool) {
	if len(plain) < wrapper {
		return nil, false
	}
	n, rest := binary.BigEndian.Uint32(plain[wrapper-4:wrapper]), plain[wrapper:]
	if uint64(n) > uint64(len(rest)) || subtle.ConstantTimeCompare(rest[n:], []byte(appID)) != 1 {
		return nil, false
	}
	return rest[:n], true
}

// seal encrypts a message as open reads it. random has 16 bytes.
func seal(key *[32]byte, appID string, message, random []byte) string {
	plain := make([]byte, 0, wrapper+len(message)+len(appID)+pushBlock)
	plain = append(plain, random...)
	plain = binary.BigEndian.AppendUint32(plain, uint32(len(message)))
	plain = append(append(plain, message...), appID...)
	n := pushBlock - len(plain)%pushBlock
	return sealBytes(key, append(plain, bytes.Repeat([]byte{byte(n)}, n)...))
}

// sealBytes encrypts what has its padding already.
func sealBytes(key *[32]byte, padded []byte) string {
	c, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // never, with 32 bytes
	}
	encrypted := make([]byte, len(padded))
	cipher.NewCBCEncrypter(c, key[:aes.BlockSize]).CryptBlocks(encrypted, padded)
	return base64.StdEncoding.EncodeToString(encrypted)
}

// sealReply encrypts and signs a reply, with the present key, and writes it as JSON or XML.
func (r *Receiver) sealReply(message []byte, asJSON bool) ([]byte, error) {
	if len(message) > maxPush {
		return nil, errors.New("the reply is too long")
	}
	random := make([]byte, 16+8)
	_, _ = rand.Read(random) // never fails
	nonce := strconv.FormatUint(binary.BigEndian.Uint64(random[16:]), 10)
	return replyTo(r.keys[0], *r.token, r.appID, message, random[:16], r.now(), nonce, asJSON)
}

func replyTo(
	key *[32]byte, token Secret, appID string, message, random []byte, at time.Time, nonce string, asJSON bool,
) ([]byte, error) {
	encrypted := seal(key, appID, message, random)
	v := struct {
		XMLName   xml.Name `json:"-" xml:"xml"`
		Encrypt   string   `xml:"Encrypt"`
		Signature string   `json:"MsgSignature" xml:"MsgSignature"`
		TimeStamp int64    `xml:"TimeStamp"`
		Nonce     string   `xml:"Nonce"`
	}{Encrypt: encrypted, TimeStamp: at.Unix(), Nonce: nonce}
	v.Signature = sign(token, strconv.FormatInt(v.TimeStamp, 10), nonce, encrypted)
	if asJSON {
		return json.Marshal(v)
	}
	return xml.Marshal(v)
}

func isJSON(b []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) }

// readFields reads the texts and numbers at the top of a JSON object or an XML element. What is nested is left out. A name
// that is there twice is an error, since two readers might take different ones.
func readFields(b []byte) (map[string]string, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("it is not UTF-8")
	}
	if isJSON(b) {
		return readJSON(b)
	}
	return readXML(b)
}

func readJSON(b []byte) (map[string]string, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return nil, errors.New("it is not JSON")
	}
	fields := map[string]string{}
	names := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errors.New("it is not JSON")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("it is not JSON")
		}
		key, _ := name.(string) // the names of an object are
		if names[key] {
			return nil, errors.New("a field is there twice")
		}
		names[key] = true
		if len(value) > 0 && (value[0] == '"' || value[0] == '-' || value[0] >= '0' && value[0] <= '9') {
			var l loose
			if err := json.Unmarshal(value, &l); err != nil {
				return nil, errors.New("it is not JSON")
			}
			fields[key] = string(l)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("it is not JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	return fields, nil
}

// maxDepth is how deep the elements of a message may be nested.
const maxDepth = 8

func readXML(b []byte) (map[string]string, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	fields := map[string]string{}
	names := map[string]bool{}
	depth, roots, nested := 0, 0, false
	var text strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF && roots == 1 && depth == 0 {
			return fields, nil
		}
		if err != nil {
			return nil, errors.New("it is not XML")
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, errors.New("it has a DOCTYPE or the like")
		case xml.ProcInst:
			if t.Target != "xml" || roots > 0 {
				return nil, errors.New("it has a processing instruction")
			}
		case xml.StartElement:
			if depth++; depth == 1 {
				roots++
			}
			if depth > maxDepth || roots > 1 {
				return nil, errors.New("it is not one element of moderate depth")
			}
			if depth == 2 {
				if names[t.Name.Local] {
					return nil, errors.New("an element is there twice")
				}
				names[t.Name.Local] = true
				nested = false
				text.Reset()
			}
			nested = nested || depth > 2
		case xml.EndElement:
			if depth == 2 && !nested {
				fields[t.Name.Local] = text.String()
			}
			depth--
		case xml.CharData:
			if depth < 2 && len(bytes.TrimSpace(t)) > 0 {
				return nil, errors.New("it has text outside of its elements")
			}
			text.Write(t)
		}
	}
}

// readPush reads a message that WeChat sent.
func readPush(message []byte) (*Push, error) {
	fields, err := readFields(message)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadMessage, err)
	}
	p := &Push{
		ToUserName: fields["ToUserName"], FromUserName: fields["FromUserName"], MsgType: fields["MsgType"],
		EventName: fields["Event"], Fields: fields, Raw: message,
	}
	if p.MsgType == "" {
		return nil, fmt.Errorf("%w: it has no MsgType", ErrBadMessage)
	}
	at := func(name string) time.Time {
		t, wrong := loose(strings.TrimSpace(fields[name])).time()
		if wrong != nil {
			err = fmt.Errorf("%w: %s: %w", ErrBadMessage, name, wrong)
		}
		return t
	}
	p.CreatedAt = at("CreateTime")
	order := OrderKey{
		TransactionID: fields["transaction_id"], MerchantID: fields["merchant_id"], SubMerchantID: fields["sub_merchant_id"],
		OutTradeNo: fields["merchant_trade_no"],
	}
	if p.MsgType == "event" {
		switch p.EventName {
		case "trade_manage_remind_access_api":
			p.Event = RemindAccess{fields["msg"]}
		case "trade_manage_remind_shipping":
			p.Event = RemindShipping{order, at("pay_time"), fields["msg"]}
		case "trade_manage_order_settlement":
			p.Event = OrderSettlement{
				Order: order, PaidAt: at("pay_time"), ShippedAt: at("shipped_time"),
				EstimatedAt: at("estimated_settlement_time"), ConfirmedAt: at("confirm_receive_time"),
				SettledAt: at("settlement_time"),
			}
		case "wxa_trade_controlled":
			p.Event = TradeControlled{fields["msg"]}
		}
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// seen remembers which pushes were handled, by their signatures, for as long as these are accepted. The oldest are
// forgotten first where there are too many.
type seen struct {
	mu      sync.Mutex
	running map[string]chan struct{} // closed at the end
	handled map[string]bool
	queue   []seenUntil // of what is in handled, as it got there
}

type seenUntil struct {
	signature string
	until     time.Time
}

// claim reports whether signature is seen for the first time. Then release must be called, with whether it was handled.
// Where somebody else is at it, claim waits.
func (s *seen) claim(ctx context.Context, signature string, at, now time.Time) (release func(handled bool), first bool, err error) {
	for {
		s.mu.Lock()
		s.forget(now)
		if s.handled[signature] {
			s.mu.Unlock()
			return nil, false, nil
		}
		other, busy := s.running[signature]
		if !busy {
			break
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	defer s.mu.Unlock()
	done := make(chan struct{})
	if s.running == nil {
		s.running, s.handled = map[string]chan struct{}{}, map[string]bool{}
	}
	s.running[signature] = done
	return func(handled bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, signature)
		if handled {
			s.handled[signature] = true
			// Who came within the window and waited for this one looks when that is past.
			s.queue = append(s.queue, seenUntil{signature, at.Add(pushWindow + pushBudget)})
		}
		close(done)
	}, true, nil
}

// forget drops what is too old to be accepted, and the oldest where there is too much.
func (s *seen) forget(now time.Time) {
	for len(s.queue) > 0 && (len(s.queue) >= maxSeen || now.After(s.queue[0].until)) {
		delete(s.handled, s.queue[0].signature)
		s.queue = s.queue[1:]
	}
}
