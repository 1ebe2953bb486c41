package sandbox

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// repeats are the waits before the repeats of a notification that wasn't accepted: 15 of them, 24 h 4 min in all. Each
// is counted from the instant at which the attempt before it was due.
//
// Source: vendor manual, "支付成功回调通知".
var repeats = []time.Duration{
	15 * time.Second, 15 * time.Second, 30 * time.Second, 3 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	30 * time.Minute, 30 * time.Minute, 30 * time.Minute, 60 * time.Minute,
	3 * time.Hour, 3 * time.Hour, 3 * time.Hour, 6 * time.Hour, 6 * time.Hour,
}

const (
	patience      = 5 * time.Second // an answer that takes longer is none
	maxDeliveries = 64              // at the same time
	maxExcerpt    = 1 << 10         // bytes of an answer that are kept
	reorderLimit  = time.Minute     // how long a notification waits for the next one
)

// NotificationStatus is how far a notification is.
type NotificationStatus string

const (
	NotificationPending  NotificationStatus = "pending"  // an attempt is due or under way
	NotificationAccepted NotificationStatus = "accepted" // answered 200 or 204 in time, in v2 SUCCESS
	NotificationGivenUp  NotificationStatus = "given_up" // not accepted in 16 attempts
	NotificationDropped  NotificationStatus = "dropped"  // a fault kept it from being sent
)

// Notification is a message to a merchant's notify_url, with what became of it.
type Notification struct {
	ID            string             `json:"id"`
	EventType     string             `json:"event_type"` // TRANSACTION.SUCCESS, REFUND.SUCCESS, …
	MerchantID    string             `json:"merchant_id"`
	OutTradeNo    string             `json:"out_trade_no"`
	OutRefundNo   string             `json:"out_refund_no,omitempty"` // of a refund
	URL           string             `json:"url"`
	Status        NotificationStatus `json:"status"`
	CreatedAt     time.Time          `json:"created_at"`
	Attempts      []Attempt          `json:"attempts"`        // never nil
	NextAttemptAt *time.Time         `json:"next_attempt_at"` // nil where none is due
}

// Attempt is one delivery and the answer that it got.
type Attempt struct {
	At     time.Time `json:"at"`              // on the sandbox's clock
	Status int       `json:"status"`          // 0: no answer
	Body   string    `json:"body"`            // its first 1 KiB
	Error  string    `json:"error"`           // why it counts as failed, beyond the status
	Fault  string    `json:"fault,omitempty"` // what the sandbox did to it on purpose
}

func (a Attempt) accepted() bool {
	return a.Error == "" && (a.Status == http.StatusOK || a.Status == http.StatusNoContent)
}

// notification is a Notification and what is needed to go on with it.
type notification struct {
	Notification
	Order    order         `json:"order,omitzero"`    // as it stood, of a payment
	Refund   *refund       `json:"refund,omitempty"`  // as it stood, of a refund
	Tries    int           `json:"tries"`             // of the schedule
	Next     time.Time     `json:"next,omitzero"`     // when the next one is; zero: none
	Copies   int           `json:"copies,omitempty"`  // of the first try
	Held     bool          `json:"held,omitempty"`    // until another one has passed
	Replay   time.Duration `json:"replay,omitempty"`  // how long after being accepted the request comes again
	Replays  bool          `json:"replays,omitempty"` // it does
	Captured *delivery     `json:"captured,omitempty"`
	ReplayAt time.Time     `json:"replay_at,omitzero"`
}

// delivery is a request as it goes out.
type delivery struct {
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
	fault  string
	lost   string // lose_request or lose_response
}

// notifications are all notifications and a heap of what is due.
type notifications struct {
	all       []*notification
	byID      map[string]*notification
	due       agenda
	held      []*notification     // until another one has passed
	announced map[occurrence]bool // what has one
	flying    int
	calm      *sync.Cond // something landed
}

// occurrence is what a notification tells of.
type occurrence struct{ eventType, merchantID, outTradeNo, outRefundNo string }

func (n *Notification) occurrence() occurrence {
	return occurrence{n.EventType, n.MerchantID, n.OutTradeNo, n.OutRefundNo}
}

// operation is the notification's name in faults and in the journal.
func (n *Notification) operation() string {
	if n.OutRefundNo != "" {
		return "notify.refund"
	}
	return "notify.payment"
}

// clear forgets all notifications; what flies still lands.
func (n *notifications) clear() {
	*n = notifications{
		byID: map[string]*notification{}, announced: map[occurrence]bool{}, flying: n.flying, calm: n.calm,
	}
	n.calm.Broadcast()
}

func (n *notifications) add(one *notification) {
	n.all = append(n.all, one)
	n.byID[one.ID] = one
	n.announced[one.occurrence()] = true
	if one.Held {
		n.held = append(n.held, one)
	}
	n.schedule(one)
}

// restore takes in a notification that was kept, or puts it in the place of what was kept of it before.
func (n *notifications) restore(one *notification) {
	old, ok := n.byID[one.ID]
	if !ok {
		n.add(one)
		return
	}
	*old = *one
	n.schedule(old)
}

// schedule puts what one has due on the agenda. What was there for it before is skipped when its turn comes.
func (n *notifications) schedule(one *notification) {
	if !one.Next.IsZero() {
		heap.Push(&n.due, appointment{one.Next, one, false})
	}
	if !one.ReplayAt.IsZero() {
		heap.Push(&n.due, appointment{one.ReplayAt, one, true})
	}
}

// next is the earliest appointment that still stands.
func (n *notifications) next() (appointment, bool) {
	for n.due.Len() > 0 {
		a := n.due[0]
		if n.byID[a.n.ID] == a.n && (a.replay && a.at.Equal(a.n.ReplayAt) || !a.replay && a.at.Equal(a.n.Next)) {
			return a, true
		}
		heap.Pop(&n.due)
	}
	return appointment{}, false
}

// take removes and returns the next appointment that is due.
func (n *notifications) take(now time.Time) (appointment, bool) {
	a, ok := n.next()
	if !ok || a.at.After(now) {
		return a, false
	}
	heap.Pop(&n.due)
	// Nothing is saved here: should the process end before the attempt does, the attempt is made again.
	if a.replay {
		a.n.ReplayAt = time.Time{}
	} else {
		a.n.Next = time.Time{}
	}
	return a, true
}

type appointment struct {
	at     time.Time
	n      *notification
	replay bool
}

// agenda is a heap of appointments, earliest first.
type agenda []appointment

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(appointment)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// view is n as it is shown.
func (n *notification) view() Notification {
	v := n.Notification
	v.Attempts = append([]Attempt{}, n.Attempts...)
	if !n.Next.IsZero() {
		next := n.Next
		v.NextAttemptAt = &next
	}
	return v
}

// Notifications are all notifications, oldest first.
func (s *Sandbox) Notifications() []Notification {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Notification, len(s.notifications.all))
	for i, n := range s.notifications.all {
		all[i] = n.view()
	}
	return all
}

// Notification is the notification of that id.
func (s *Sandbox) Notification(id string) (Notification, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.notifications.byID[id]
	if !ok {
		return Notification{}, false
	}
	return n.view(), true
}

// announce makes the notification of a payment. mu is held.
func (s *Sandbox) announce(o order) {
	o.Terms, o.Prepays, o.State = "", nil, StateSuccess // it tells of the payment, also where a refund came since
	s.notify(&notification{Order: o, Notification: Notification{EventType: "TRANSACTION.SUCCESS", MerchantID: o.MerchantID,
		OutTradeNo: o.OutTradeNo, URL: o.NotifyURL}}, s.now())
}

// announceRefund makes the notification of a refund that came to its status, if there is one: WeChat Pay tells of none that
// is PROCESSING, and nothing where no notify_url was given. mu is held.
func (s *Sandbox) announceRefund(r refund) *notification {
	event, ok := refundEvents[r.status()]
	if !ok || r.NotifyURL == "" {
		return nil
	}
	r.Terms = ""
	n := &notification{Refund: &r, Notification: Notification{EventType: event.name, MerchantID: r.MerchantID,
		OutTradeNo: r.OutTradeNo, OutRefundNo: r.OutRefundNo, URL: r.NotifyURL}}
	s.notify(n, r.now().At)
	return n
}

// refundEvents are the event types of refunds and their summaries.
var refundEvents = map[RefundStatus]struct{ name, summary string }{
	RefundSuccess:  {"REFUND.SUCCESS", "退款成功"},
	RefundAbnormal: {"REFUND.ABNORMAL", "退款异常"},
	RefundClosed:   {"REFUND.CLOSED", "退款关闭"},
}

// notify takes a new notification in, of what happened at the instant, and lets the faults at it. mu is held.
func (s *Sandbox) notify(n *notification, at time.Time) {
	n.ID, n.Status, n.CreatedAt = s.random.uuid("notification"), NotificationPending, at
	n.Next, n.Copies = at, 1
	strike := func(kind string) *Fault { return s.strikeHeld(n.operation(), n.OutTradeNo, kind) }
	if f := strike("drop"); f != nil {
		n.Status, n.Next = NotificationDropped, time.Time{}
	} else {
		if f := strike("delay"); f != nil {
			n.Next = at.Add(f.Delay)
		}
		if n.Refund == nil { // that of a refund comes before the answer of its call: see acceptRefund
			if f := strike("reorder"); f != nil {
				n.Held, n.Next = true, at.Add(cmp.Or(f.Delay, reorderLimit))
			}
		}
		if f := strike("duplicate"); f != nil {
			n.Copies = 2
		}
		if f := strike("replay"); f != nil {
			n.Replays, n.Replay = true, f.Delay
		}
	}
	s.notifications.add(n)
	s.save(kindNotification, n)
	s.startDelivery()
}

// startDelivery starts the delivery loop where it doesn't run yet, and tells it that something changed. mu is held.
func (s *Sandbox) startDelivery() {
	s.loop.Do(func() { s.start(s.deliverDue) })
	s.rouse()
}

// start runs f until it ends or the sandbox does. mu is held, so that none starts while Close waits.
func (s *Sandbox) start(f func()) {
	if s.ending.Err() == nil {
		s.work.Go(f)
	}
}

// rouse makes the delivery loop look again.
func (s *Sandbox) rouse() {
	select {
	case s.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// deliverDue is the delivery loop: it ends refunds and starts deliveries that are due, and sleeps until the next instant at
// which something is, or until it is roused.
func (s *Sandbox) deliverDue() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.mu.Lock()
		s.endRefunds()
		now := s.now()
		for {
			a, ok := s.notifications.take(now)
			if !ok {
				break
			}
			s.notifications.flying++
			s.start(func() { s.keep(a) })
		}
		var alarm <-chan time.Time
		if at, ok := s.nextDue(); ok {
			// On a clock that is moved by hand the wait is a guess. The floor keeps a clock that stands from making a
			// busy loop.
			timer.Reset(max(at.Sub(now), time.Millisecond))
			alarm = timer.C
		}
		s.mu.Unlock()
		select {
		case <-s.ending.Done():
			return
		case <-s.wake:
		case <-alarm:
		}
	}
}

// nextDue is the next instant at which something is to be done. mu is held.
func (s *Sandbox) nextDue() (time.Time, bool) {
	a, ok := s.notifications.next()
	if len(s.books.ending) > 0 && (!ok || s.books.ending[0].EndsAt.Before(a.at)) {
		return s.books.ending[0].EndsAt, true
	}
	return a.at, ok
}

// keep keeps an appointment: one try of the schedule, in its copies, or a replay.
func (s *Sandbox) keep(a appointment) {
	defer func() {
		s.mu.Lock()
		s.notifications.flying--
		s.notifications.calm.Broadcast()
		s.mu.Unlock()
	}()
	s.mu.Lock()
	copies := 1
	if a.n.Tries == 0 && !a.replay {
		copies = max(a.n.Copies, 1)
	}
	deliveries := make([]*delivery, 0, copies)
	if a.replay {
		again := *a.n.Captured
		again.fault = "replay"
		deliveries = append(deliveries, &again)
	}
	s.mu.Unlock()
	for len(deliveries) < copies {
		d, err := s.compose(a.n, len(deliveries))
		if err != nil {
			s.log.Error("can't compose a notification", "id", a.n.ID, "error", err)
			return
		}
		if copies > 1 {
			d.fault = strings.TrimPrefix(d.fault+" duplicate", " ")
		}
		deliveries = append(deliveries, d)
	}
	attempts := s.sendAll(a.n, deliveries)
	if s.ending.Err() != nil {
		return // cut off by Close: the next sandbox on the folder makes the attempt
	}
	s.mu.Lock()
	if s.notifications.byID[a.n.ID] == a.n { // else a reset came between
		if !a.replay {
			a.n.Tries++
		}
		s.judge(a.n, a.at, deliveries, attempts, a.replay)
	}
	s.mu.Unlock()
}

// judge writes the attempts down and decides what comes next. mu is held.
func (s *Sandbox) judge(n *notification, due time.Time, deliveries []*delivery, attempts []Attempt, aside bool) {
	n.Attempts = append(n.Attempts, attempts...)
	n.Held = false
	i := slices.IndexFunc(attempts, Attempt.accepted)
	switch {
	case i >= 0 && n.Status != NotificationAccepted:
		n.Status, n.Next = NotificationAccepted, time.Time{}
		if n.Replays {
			n.Replays, n.Captured = false, deliveries[i]
			n.ReplayAt = s.now().Add(n.Replay)
		}
	case aside || n.Status != NotificationPending:
	case n.Tries > len(repeats):
		n.Status = NotificationGivenUp
	default:
		n.Next = due.Add(repeats[n.Tries-1])
	}
	s.notifications.schedule(n)
	s.save(kindNotification, n)
	s.notifications.held = slices.DeleteFunc(s.notifications.held, func(other *notification) bool {
		switch {
		case !other.Held || other.Next.IsZero():
			return true // its own time came first
		case other == n || other.MerchantID != n.MerchantID:
			return false
		}
		other.Held, other.Next = false, s.now()
		s.notifications.schedule(other)
		s.save(kindNotification, other)
		return true
	})
	s.rouse()
}

// Resend sends the notification once more, at once and beside the schedule, whatever became of it before, and returns
// when it was answered or its 5 seconds are over. When it is accepted, repeats that were due are given up.
func (s *Sandbox) Resend(id string) (Notification, error) {
	s.mu.Lock()
	n, ok := s.notifications.byID[id]
	s.mu.Unlock()
	if !ok {
		return Notification{}, fmt.Errorf("there is no notification %q: GET /sandbox/v1/notifications lists them", id)
	}
	d, err := s.compose(n, 0)
	if err != nil {
		return Notification{}, err
	}
	attempts := s.sendAll(n, []*delivery{d})
	s.mu.Lock()
	if s.notifications.byID[id] == n {
		s.judge(n, s.now(), []*delivery{d}, attempts, true)
	}
	view := n.view()
	s.mu.Unlock()
	return view, s.settled()
}

// Idle waits until no notification is due or under way, or until the context ends; then the error is its. Repeats that
// are due later don't count.
func (s *Sandbox) Idle(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notifications.calm.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endRefunds()
	for ctx.Err() == nil && s.ending.Err() == nil {
		a, ok := s.notifications.next()
		if s.notifications.flying == 0 && (!ok || a.at.After(s.now())) {
			return nil
		}
		s.notifications.calm.Wait()
	}
	return ctx.Err()
}

// awaitAttempt waits until an attempt of the notification, which may be nil, was answered, or until none is to be expected.
func (s *Sandbox) awaitAttempt(ctx context.Context, n *notification) {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notifications.calm.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for n != nil && s.notifications.byID[n.ID] == n && n.Status == NotificationPending && len(n.Attempts) == 0 &&
		!n.Next.After(s.now()) && ctx.Err() == nil && s.ending.Err() == nil {
		s.notifications.calm.Wait()
	}
}

// compose makes the request of one attempt: the same event with the same id, encrypted and signed afresh, its names in
// another order.
func (s *Sandbox) compose(n *notification, copy int) (*delivery, error) {
	s.mu.Lock()
	strike := func(kinds ...string) *Fault { return s.strikeHeld(n.operation(), n.OutTradeNo, kinds...) }
	lie := strike("wrong_amount", "wrong_app")
	spoil := strike("bad_signature", "signtest", "truncate")
	lose := strike("lose_request", "lose_response")
	m := s.merchantOf(n.MerchantID)
	random := s.random.fork("notification", n.ID, strconv.Itoa(len(n.Attempts)+copy))
	s.mu.Unlock()

	d := &delivery{}
	for _, f := range []*Fault{lie, spoil, lose} {
		if f != nil {
			d.fault = strings.TrimPrefix(d.fault+" "+f.Kind, " ")
		}
	}
	if lose != nil {
		d.lost = lose.Kind
	}
	switch {
	case n.inV2() && n.Refund != nil:
		return s.composeRefundV2(*n.Refund, m, random, lie, spoil, d)
	case n.inV2():
		return s.composeV2(n.Order, m, random, lie, spoil, d), nil
	}
	kind, summary := "transaction", "支付成功"
	var resource document
	switch {
	case n.Refund != nil:
		r := *n.Refund
		if lie != nil {
			r.Amount++
		}
		kind, summary, resource = "refund", refundEvents[r.status()].summary, r.notice()
	case lie != nil:
		resource = s.lie(lie.Kind, n.Order).transaction()
	default:
		resource = n.Order.transaction()
	}
	plain := encode(resource.shuffled(random))
	nonce := random.text("nonce", alnums, 12)
	sealed, err := seal(m.APIv3Key, nonce, kind, plain)
	if err != nil {
		return nil, err
	}
	body := encode(document{
		{"id", n.ID},
		{"create_time", stamp(n.CreatedAt)},
		{"resource_type", "encrypt-resource"},
		{"event_type", n.EventType},
		{"summary", summary},
		{"resource", document{
			{"original_type", kind},
			{"algorithm", "AEAD_AES_256_GCM"},
			{"ciphertext", sealed},
			{"associated_data", kind},
			{"nonce", nonce},
		}.shuffled(random)},
	}.shuffled(random))

	at, signNonce := strconv.FormatInt(s.clock().Unix(), 10), random.text("nonce", alnums, 32)
	serial, key := m.signer("")
	signature, err := sign(key, lines(at, signNonce, string(body)))
	if err != nil {
		return nil, err
	}
	if spoil != nil {
		switch spoil.Kind {
		case "truncate":
			body = body[:len(body)/2]
		default:
			signature = mangled(signature, spoil.Kind == "signtest")
		}
	}
	d.Body = string(body)
	d.Header = http.Header{
		"Content-Type":             {"application/json"},
		"User-Agent":               {"Mozilla/4.0"},
		"Accept":                   {"*/*"},
		"Cache-Control":            {"no-cache"},
		"Pragma":                   {"no-cache"},
		"Wechatpay-Serial":         {serial},
		"Wechatpay-Timestamp":      {at},
		"Wechatpay-Nonce":          {signNonce},
		"Wechatpay-Signature":      {signature},
		"Wechatpay-Signature-Type": {"WECHATPAY2-SHA256-RSA2048"},
	}
	return d, nil
}

// sendAll sends the deliveries at the same time.
func (s *Sandbox) sendAll(n *notification, deliveries []*delivery) []Attempt {
	attempts := make([]Attempt, len(deliveries))
	var copies sync.WaitGroup
	for i, d := range deliveries {
		copies.Go(func() {
			select {
			case s.slots <- struct{}{}:
				defer func() { <-s.slots }()
			case <-s.ending.Done():
				return
			}
			attempts[i] = s.send(n, d)
		})
	}
	copies.Wait()
	return attempts
}

// send sends one delivery and tells what became of it.
func (s *Sandbox) send(n *notification, d *delivery) Attempt {
	began := time.Now()
	a := Attempt{At: s.Now(), Fault: d.fault}
	if err := s.settled(); err != nil {
		a.Error = err.Error()
		return a
	}
	switch {
	case d.lost == "lose_request":
		a.Error = "lost on the way, on purpose"
	default:
		s.post(n.URL, d, &a)
		if n.inV2() && a.Error == "" {
			a.Error = refusedV2(a)
		}
		if d.lost == "lose_response" {
			a.Error = fmt.Sprintf("delivered; its answer (%d %s) was lost on purpose", a.Status, a.Error)
			a.Status, a.Body = 0, ""
		}
	}
	if s.ending.Err() != nil {
		return a
	}
	summary := fmt.Sprintf("%s → %d", n.EventType, a.Status)
	if a.Error != "" {
		summary = n.EventType + ": " + a.Error
	}
	s.record(Entry{Kind: "notification", Name: n.operation(), OutTradeNo: n.OutTradeNo, Method: http.MethodPost,
		Path: n.URL, Status: a.Status, Ms: time.Since(began).Milliseconds(), Summary: summary,
		Request: "POST " + n.URL + "\n" + headerText(d.Header) + "\n" + d.Body, Response: a.Body})
	return a
}

func (s *Sandbox) post(url string, d *delivery, a *Attempt) {
	ctx, cancel := context.WithTimeoutCause(s.ending, patience, errLate)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(d.Body)))
	if err != nil {
		a.Error = err.Error()
		return
	}
	r.Header = d.Header.Clone()
	client := *s.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Do(r)
	if err == nil {
		defer func() { _ = answer.Body.Close() }() // read to the end or not wanted
		var excerpt []byte
		excerpt, err = io.ReadAll(io.LimitReader(answer.Body, maxExcerpt))
		a.Status, a.Body = answer.StatusCode, strings.ToValidUTF8(string(excerpt), "�")
	}
	switch {
	case err == nil:
	case errors.Is(context.Cause(ctx), errLate):
		a.Error = errLate.Error()
	default:
		a.Error = err.Error()
	}
}

var errLate = errors.New("no answer within 5 seconds")

// newDeliveryClient is the client that sends notifications where the options name none.
func newDeliveryClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = maxDeliveries
	transport.Proxy = nil // HTTPS_PROXY may well name this very sandbox
	return &http.Client{Transport: transport}
}
