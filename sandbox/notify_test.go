package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// schedule is when a notification that is never accepted comes, from the payment on. It is written down apart from the
// table that it checks: 15 repeats, 24 h 4 min.
var schedule = []string{"0s", "15s", "30s", "1m", "4m", "14m", "34m", "1h4m", "1h34m", "2h4m", "3h4m", "6h4m", "9h4m", "12h4m", "18h4m", "24h4m"}

func instants(t *testing.T) []time.Duration {
	t.Helper()
	all := make([]time.Duration, len(schedule))
	for i, text := range schedule {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = d
	}
	return all
}

func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.answer = func(int) int { return 500 }
		begin := time.Now()
		w.pay("order-000001")
		time.Sleep(48 * time.Hour)
		var got []time.Duration
		for _, r := range w.shop.all() {
			got = append(got, r.at.Sub(begin))
		}
		if want := instants(w.t); !slices.Equal(got, want) {
			w.t.Errorf("came at %v\nwant %v", got, want)
		}
		n := w.Notifications()[0]
		if n.Status != NotificationGivenUp || n.NextAttemptAt != nil || len(n.Attempts) != 16 || n.Attempts[15].Status != 500 {
			w.t.Errorf("%+v", n)
		}
		for i, a := range n.Attempts {
			if a.At.Sub(begin) != got[i] {
				w.t.Errorf("attempt %d is written down at %s", i, a.At)
			}
		}
	})
}

// The schedule stops with the first acceptance, and the same event keeps its id, encrypted and signed afresh.
func TestRepeatsAreTheSameEvent(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.answer = func(n int) int { return []int{500, 302, 404, 201, 200}[n] }
		w.pay("order-000001")
		time.Sleep(48 * time.Hour)
		all := w.shop.all()
		if len(all) != 5 {
			w.t.Fatalf("came %d times, want 5", len(all))
		}
		ids, bodies := map[string]bool{}, map[string]bool{}
		for _, r := range all {
			var e struct {
				ID       string
				Resource struct {
					Nonce, Ciphertext string
					AssociatedData    string `json:"associated_data"`
				}
			}
			if err := json.Unmarshal(r.body, &e); err != nil {
				w.t.Fatal(err)
			}
			if _, err := open(w.merchant.APIv3Key, e.Resource.Nonce, e.Resource.AssociatedData, e.Resource.Ciphertext); err != nil {
				w.t.Error(err)
			}
			if !w.genuine(r.header, r.body) || r.header.Get("Wechatpay-Timestamp") != unix(r.at) {
				w.t.Errorf("at %s: %v", r.at, r.header)
			}
			ids[e.ID], bodies[string(r.body)] = true, true
		}
		if len(ids) != 1 || len(bodies) != 5 {
			w.t.Errorf("%d ids, %d bodies", len(ids), len(bodies))
		}
		if n := w.Notifications()[0]; n.Status != NotificationAccepted || n.NextAttemptAt != nil {
			w.t.Errorf("%+v", n)
		}
	})
}

// Advance sends what became due on the way, one after the other, until one is accepted.
func TestAdvance(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.answer = func(n int) int { return map[bool]int{true: 204, false: 503}[n == 5] }
		w.pay("order-000001")
		synctest.Wait()
		next := w.Notifications()[0].NextAttemptAt
		if next == nil || !next.Equal(w.Now().Add(15*time.Second)) {
			w.t.Errorf("next attempt at %v", next)
		}
		w.Advance(15 * time.Second)
		synctest.Wait()
		if n := len(w.shop.all()); n != 2 {
			w.t.Errorf("after 15 s: %d attempts", n)
		}
		w.Advance(24 * time.Hour)
		synctest.Wait()
		if n := len(w.shop.all()); n != 6 {
			w.t.Errorf("after a day: %d attempts, want 6", n)
		}
		if d := time.Until(w.Now()); d != 24*time.Hour+15*time.Second {
			w.t.Errorf("the clock is %s ahead", d)
		}
		w.Advance(-time.Hour)
		if d := time.Until(w.Now()); d != 24*time.Hour+15*time.Second {
			w.t.Errorf("the clock went back to %s ahead", d)
		}
	})
}

// An answer after five seconds is none; the next attempt comes on time.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.answer = func(n int) int { return map[bool]int{true: 0, false: 200}[n == 0] }
		begin := time.Now()
		w.pay("order-000001")
		w.idle()
		if d := time.Since(begin); d != 5*time.Second {
			w.t.Errorf("waited %s", d)
		}
		time.Sleep(time.Minute)
		all := w.shop.all()
		a := w.Notifications()[0].Attempts
		if len(all) != 2 || all[1].at.Sub(begin) != 15*time.Second || a[0].Status != 0 || a[0].Error != "no answer within 5 seconds" || a[1].Status != 200 {
			w.t.Errorf("%+v", a)
		}
	})
}

// A service that takes connections and says nothing holds up nobody else's notifications.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.answer = func(n int) int { return map[bool]int{true: 0, false: 200}[n < 20 && n%2 == 0] }
		for i := range 20 {
			w.pay("order-0000" + string(rune('a'+i)))
		}
		synctest.Wait()
		if n := len(w.shop.all()); n != 20 {
			w.t.Errorf("%d of 20 were sent at once", n)
		}
		time.Sleep(time.Minute)
		for _, n := range w.Notifications() {
			if n.Status != NotificationAccepted {
				w.t.Errorf("%+v", n)
			}
		}
	})
}

func TestNotificationRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	var uri string
	var redirected bool
	moved := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { redirected = true }))
	defer moved.Close()
	target := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		uri = r.Method + " " + r.RequestURI
		w.shop.received = append(w.shop.received, &received{header: r.Header})
		rw.Header().Set("Location", moved.URL)
		rw.WriteHeader(http.StatusTemporaryRedirect)
		_, _ = rw.Write([]byte(strings.Repeat("汉", 1000)))
	}))
	defer target.Close()
	w.payWith(w.place("order-000001", map[string]any{"notify_url": target.URL + "/a/b"}))
	w.idle()
	if redirected || uri != "POST /a/b" {
		t.Errorf("%s, redirected: %v", uri, redirected)
	}
	h := w.shop.received[0].header
	for name, want := range map[string]string{"Content-Type": "application/json", "User-Agent": "Mozilla/4.0", "Accept": "*/*",
		"Cache-Control": "no-cache", "Pragma": "no-cache", "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048"} {
		if h.Get(name) != want {
			t.Errorf("%s: %s, want %s", name, h.Get(name), want)
		}
	}
	if h.Get("Request-Id") != "" {
		t.Error("it has a Request-ID; it was seen without")
	}
	if a := w.Notifications()[0].Attempts[0]; a.Status != 307 || len(a.Body) > maxExcerpt+3 || !utf8.ValidString(a.Body) || !strings.HasPrefix(a.Body, "汉汉") {
		t.Errorf("attempt: %d, %d bytes, %q", a.Status, len(a.Body), a.Error)
	}
	target.Close()
	if n, err := w.Resend(w.Notifications()[0].ID); err != nil || len(n.Attempts) != 2 || n.Attempts[1].Status != 0 || n.Attempts[1].Error == "" {
		t.Errorf("to nobody: %+v, %v", n, err)
	}
}

// Resend sends beside the schedule; accepted, it ends it.
func TestResend(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.answer = func(n int) int { return []int{500, 500, 200, 200}[n] }
		begin := time.Now()
		w.pay("order-000001")
		synctest.Wait()
		time.Sleep(10 * time.Second)
		id := w.Notifications()[0].ID
		if n, err := w.Resend(id); err != nil || len(n.Attempts) != 2 || !n.NextAttemptAt.Equal(begin.Add(15*time.Second)) {
			w.t.Errorf("refused: %+v, %v", n, err)
		}
		if n, err := w.Resend(id); err != nil || n.Status != NotificationAccepted || n.NextAttemptAt != nil {
			w.t.Errorf("accepted: %+v, %v", n, err)
		}
		time.Sleep(time.Hour)
		if n := len(w.shop.all()); n != 3 {
			w.t.Errorf("%d attempts, want 3", n)
		}
		if n, err := w.Resend(id); err != nil || len(n.Attempts) != 4 {
			w.t.Errorf("once more: %+v, %v", n, err)
		}
		if _, err := w.Resend("nothing"); err == nil {
			w.t.Error("resent what doesn't exist")
		}
	})
}

// Close cuts off what is under way and waits for nobody.
func TestCloseWhileDelivering(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.answer = func(int) int { return 0 }
		w.pay("order-000001")
		synctest.Wait()
		begin := time.Now()
		if err := w.Close(); err != nil {
			w.t.Error(err)
		}
		if d := time.Since(begin); d != 0 {
			w.t.Errorf("took %s", d)
		}
		if a := w.Notifications()[0].Attempts; len(a) != 0 {
			w.t.Errorf("wrote down %+v", a)
		}
		r, err := http.NewRequest("GET", "http://127.0.0.1/v3/certificates", nil)
		if err != nil {
			w.t.Fatal(err)
		}
		if answer := w.do(r); answer.status != 503 {
			w.t.Errorf("a closed sandbox answers %d", answer.status)
		}
	})
}
