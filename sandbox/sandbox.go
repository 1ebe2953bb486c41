// Package sandbox is WeChat's side of a payment, for development and tests: an emulator of WeChat Pay API v3
// and v2 (api.mch.weixin.qq.com) and of the mini-program login (api.weixin.qq.com), as an [http.Handler].
//
//	wx, err := sandbox.New(sandbox.Options{})
//	server := httptest.NewServer(wx)
//	merchant := wx.Merchants()[0] // all that an SDK needs: keys, serials, app secrets
//	code, err := wx.Login(merchant.Apps[0].ID, "alice")
//	// … the service under test logs in with the code, orders, and hands the pay parameters to the phone …
//	result, err := wx.RequestPayment(sandbox.PaymentRequest{AppID: …, User: "alice", Package: "prepay_id=…", …})
//
// It is as strict as the real servers: it checks headers, signatures, clocks, every field of every body, and refuses
// what they refuse with their status, code and text. It keeps its own books, from which a test learns what truly was
// paid and refunded ([Sandbox.Books]), makes the bills out of them, and sends real notifications: encrypted, signed,
// repeated on WeChat's schedule. It misbehaves on purpose where a test asks for it ([Sandbox.AddFault]) and behaves
// otherwise.
//
// # Two times
//
// Signatures live in real time, business lives on the sandbox's clock. The timestamps of Authorization and
// Wechatpay-Timestamp follow [Options.Clock], so that any SDK keeps working after the sandbox's clock was advanced.
// Everything that a merchant would call a date follows [Sandbox.Now]: expiry of orders, prepay ids and login codes, when
// a payment was made, how long a refund takes, when a day's bill is there, when a notification is repeated.
//
// # What it is not
//
// It holds no real money and no real secrets, and must not be reachable from a network that isn't trusted: its control
// API hands out private keys. Where it knowingly differs from WeChat, docs/sandbox-differences.md says so. It shares no
// code with this module's SDK: they are two witnesses to one protocol, held together by the vendor's published examples.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options are the settings of a [Sandbox]. The zero value is a working sandbox in memory.
type Options struct {
	// Clock tells the real time; nil is time.Now. Whoever moves it by hand calls Advance(0) afterwards, so that
	// notifications that became due are sent.
	Clock func() time.Time

	// Seed makes all that is random repeatable: numbers, nonces, whether a fault of some probability strikes. The same
	// seed and the same acts in the same order give the same numbers. 0 draws a seed. Keys never come from it.
	Seed uint64

	// Data is the folder in which the sandbox keeps its state; "" keeps it in memory. What was answered is on disk
	// before the answer leaves. One process at a time may use a folder.
	Data string

	// Service is the base URL of the shop's service that the phone page talks to.
	Service string

	// Client sends the notifications; nil is a client of the sandbox's own. Redirects are never followed and an attempt
	// ends after 5 seconds whatever the client's own settings.
	Client *http.Client

	// Logger gets the sandbox's own troubles and one line for each payment; nil is no log.
	Logger *slog.Logger

	// Merchants are given merchants; of each, any field may be left out and is generated. None at all is one generated
	// merchant 1900000001 with one app. With Data, merchants that are kept there are used as kept.
	Merchants []Merchant

	// SignErrors signs 4xx and 5xx answers of v3 too. WeChat's documentation says that they are signed, observation
	// says that they aren't; the default is the observed one.
	SignErrors bool

	// Hosts are further host names under which the control API and the phone answer, beside loopback names, IP
	// addresses and the name in the base URL. Other names are refused, because a foreign web page could make its own
	// name point here (DNS rebinding).
	Hosts []string
}

// Sandbox is one WeChat. It serves WeChat's paths (/v3/…, /pay/…, /secapi/…, /sns/…), its control API (/sandbox/v1/…) and the phone
// (/phone). All methods may be called from many goroutines.
type Sandbox struct {
	clock      func() time.Time
	log        *slog.Logger
	client     *http.Client
	ownClient  bool
	signErrors bool
	hosts      []string
	seed       [32]byte
	random     *random
	journal    *journal
	authority  func() (*authority, error)
	control    http.Handler
	phone      http.Handler
	disk       *disk // nil: memory only

	ending context.Context // ends with Close
	end    context.CancelFunc
	wake   chan struct{} // tells the delivery loop that something changed
	slots  chan struct{} // one for each delivery under way
	work   sync.WaitGroup
	loop   sync.Once
	closer sync.Once
	closed error

	// mu guards what follows. It is never held over RSA, the network or the disk.
	mu            sync.Mutex
	offset        time.Duration // of the sandbox's clock
	generation    int           // how often it was started or reset on this seed
	merchants     []*merchant
	people        people
	books         books
	notifications notifications
	faults        faults
	settings      Settings
	links         billLinks
	spent         spent
	baseURL       string
	serviceURL    string
}

// New starts a sandbox. Missing keys are generated, which takes a few hundred milliseconds; with given merchants, such as
// those of another sandbox's [Sandbox.Merchants], it takes none.
//
// Errors are of settings that can't be used, or of a data folder that can't be read, is in use, or is damaged.
func New(o Options) (*Sandbox, error) {
	s := &Sandbox{
		clock:      o.Clock,
		log:        o.Logger,
		client:     o.Client,
		signErrors: o.SignErrors,
		hosts:      o.Hosts,
		journal:    newJournal(),
		wake:       make(chan struct{}, 1),
		slots:      make(chan struct{}, maxDeliveries),
		people:     newPeople(),
		books:      newBooks(),
		settings:   calm(),
		serviceURL: strings.TrimRight(o.Service, "/"),
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.client == nil {
		s.client, s.ownClient = newDeliveryClient(), true
	}
	s.notifications.calm = sync.NewCond(&s.mu)
	s.notifications.clear()
	s.seed = newSeed(o.Seed)
	s.random = newRandom(s.seed, 0)
	s.authority = sync.OnceValues(func() (*authority, error) { return newAuthority(s.clock()) })
	s.ending, s.end = context.WithCancel(context.Background())
	s.control = s.newControl()
	s.phone = newPhone(s)

	if o.Data != "" {
		if err := s.restore(o.Data); err != nil {
			s.end()
			return nil, err
		}
	}
	if err := s.addGiven(o.Merchants); err != nil {
		_ = s.Close() // the first error is the one to tell
		return nil, err
	}
	if err := s.settled(); err != nil {
		_ = s.Close()
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, due := s.nextDue(); due {
		s.startDelivery()
	}
	return s, nil
}

// Close stops deliveries, writes what is left to the disk and frees the data folder. A notification under way is cut off
// and is sent again by the next sandbox on the same folder. Calling it again does nothing and returns the same error.
func (s *Sandbox) Close() error {
	s.closer.Do(func() {
		s.mu.Lock()
		s.end()
		s.notifications.calm.Broadcast()
		s.mu.Unlock()
		s.work.Wait()
		if s.ownClient {
			s.client.CloseIdleConnections()
		}
		if s.disk != nil {
			s.closed = errors.Join(s.settled(), s.disk.close())
		}
	})
	return s.closed
}

// Now is the time on the sandbox's own clock: the real time and all that was advanced.
func (s *Sandbox) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

// now is Now for those who hold mu.
func (s *Sandbox) now() time.Time { return s.clock().Add(s.offset) }

// Advance moves the sandbox's clock forward by d. Refunds whose time thereby comes end, each at its own time, and repeats of
// notifications that become due are sent at once, one after the other until one is accepted. The clock never goes back: a negative d is taken as 0.
func (s *Sandbox) Advance(d time.Duration) {
	if d > 0 {
		s.mu.Lock()
		s.offset += d
		s.save(kindClock, clockRecord{Offset: s.offset})
		s.mu.Unlock()
		s.record(Entry{Kind: "clock", Name: "clock.advanced", Summary: "clock advanced by " + d.String()})
	}
	s.rouse()
}

// Reset forgets all orders, payments, refunds, balances, notifications, login codes, faults, settings and the journal, and
// sets the clock back to the real time. Merchants with their keys and people with their openids stay, since services have them in their
// configuration and databases.
func (s *Sandbox) Reset() error {
	s.mu.Lock()
	s.generation++
	s.forget()
	s.save(kindReset, resetRecord{Generation: s.generation})
	s.mu.Unlock()
	s.journal.clear()
	s.record(Entry{Kind: "clock", Name: "sandbox.reset", Summary: "everything forgotten but merchants and people"})
	s.rouse()
	return s.settled()
}

// forget empties the books and begins the numbers of the current generation. mu is held.
func (s *Sandbox) forget() {
	s.offset = 0
	s.random.begin(s.seed, s.generation)
	s.books = newBooks()
	s.people.codes, s.people.issued = map[string]*loginCode{}, nil
	s.notifications.clear()
	s.faults = faults{}
	s.settings = calm()
	s.links = billLinks{}
}

// SetBaseURL tells the sandbox under which URL it is reached, which is known only after listening. Its host name is then
// allowed for the control API and the phone.
func (s *Sandbox) SetBaseURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.baseURL = strings.TrimRight(url, "/")
}

// SetService tells the base URL of the shop's service that the phone page talks to.
func (s *Sandbox) SetService(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serviceURL = strings.TrimRight(url, "/")
}

// BaseURL is what SetBaseURL was told, without a slash at the end; "" before.
func (s *Sandbox) BaseURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.baseURL
}

// Service is the base URL of the shop's service, without a slash at the end; "" when none is known.
func (s *Sandbox) Service() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serviceURL
}

// ServeHTTP answers for WeChat, for the control API and for the phone, by path.
//
// Faults that cut a connection end in panic(http.ErrAbortHandler), as net/http wants it; whoever calls ServeHTTP
// without a server recovers from it.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.ending.Err() != nil {
		http.Error(w, "the sandbox is closed", http.StatusServiceUnavailable)
		return
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/v3/"):
		s.serveV3(w, r)
	case strings.HasPrefix(path, "/pay/"), strings.HasPrefix(path, "/secapi/"):
		s.serveV2(w, r)
	case strings.HasPrefix(path, "/sns/"):
		s.serveMiniProgram(w, r)
	case strings.HasPrefix(path, controlPath):
		if s.guard(w, r, true) {
			s.control.ServeHTTP(w, r)
		}
	case path == "/phone" || strings.HasPrefix(path, "/phone/"):
		// A link from elsewhere may open the phone; only its own pages may make it do something.
		reading := r.Method == http.MethodGet || r.Method == http.MethodHead
		if s.guard(w, r, !reading) {
			s.phone.ServeHTTP(w, r)
		}
	case path == "/" && r.Method == http.MethodGet:
		http.Redirect(w, r, "/phone", http.StatusFound)
	default:
		s.bare(w, http.StatusNotFound)
	}
}

// settled waits until all that happened so far is on disk. Every answer that shows state waits here first, even if it
// only read: what another call did an instant ago must not be seen and then lost.
func (s *Sandbox) settled() error {
	if s.disk == nil {
		return nil
	}
	if err := s.disk.wait(); err != nil {
		s.log.Error("the sandbox can't write its state", "error", err)
		return fmt.Errorf("write the sandbox's state: %w", err)
	}
	return nil
}

// pause waits d of real time and tells whether it passed in full: false is that the caller went away or the sandbox
// closed.
func (s *Sandbox) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-s.ending.Done():
	}
	return false
}

// hostOf is the host name or address in a URL, lower case and without port; "" when there is none.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

var beijing = time.FixedZone("CST", 8*60*60)

// stamp is an instant as v3 writes it: RFC 3339 in Beijing time, to the second.
func stamp(t time.Time) string { return t.In(beijing).Format("2006-01-02T15:04:05-07:00") }
