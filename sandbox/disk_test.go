package sandbox

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// snapshot is what a process that is killed now leaves behind.
func snapshot(t *testing.T, folder string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "state.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	if err := os.WriteFile(filepath.Join(to, "state.jsonl"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// reopen starts a sandbox on the folder and tells all that it knows. Merchants come from the folder.
func reopen(t *testing.T, folder string) (*Sandbox, string) {
	t.Helper()
	s, err := New(Options{Data: folder, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, s.all()
}

// all is what the sandbox knows, but for its time and the numbers of its journal.
func (s *Sandbox) all() string {
	merchants := s.Merchants()
	keys := fmt.Sprintf("%x", sha256.Sum256(encode(merchants)))
	return string(encode(map[string]any{"merchants": keys, "payments": s.Payments(), "notifications": s.Notifications(),
		"faults": s.Faults(), "books": s.Books(), "people": s.people.openIDs[[2]string{merchants[0].Apps[0].ID, "alice"}]}))
}

// Whatever was answered is there after a kill -9.
func TestKilled(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "new", "folder")
	w := newWorld(t, Options{Data: folder})
	code, used := w.code(), w.code()
	w.exchange(used, nil)
	open := map[string]any{"time_expire": stamp(w.Now().Add(time.Hour)), "attach": "x"}
	w.place("order-open", open)
	prepayID := w.place("order-open", open)
	w.place("order-closed", nil)
	w.closeOrder("order-closed")
	w.shop.answer = func(int) int { return 500 }
	w.pay("order-paid")
	w.idle()
	w.fault(Fault{On: "v3.query", Kind: "delay", Delay: time.Hour, Count: 3, Probability: 0.5})
	w.fault(Fault{On: "v3.close", Kind: "hang"})
	w.RemoveFault("flt_2")
	w.Advance(time.Minute)
	w.idle()
	if err := w.RotateCertificates("", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddMerchant(func() Merchant {
		m := oneMerchant()
		m.ID = "1900000888"
		m.Certificate = ""
		m.PublicKeyID = "PUB_KEY_ID_8"
		return m
	}()); err != nil {
		t.Fatal(err)
	}
	if err := w.settled(); err != nil {
		t.Fatal(err)
	}
	want := w.all()
	for _, path := range []string{folder, filepath.Join(folder, "state.jsonl")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}

	killed := snapshot(t, folder)
	// The notification is due only later, so nothing of it changes meanwhile.
	s, got := reopen(t, killed)
	if got != want {
		t.Errorf("after a kill\n%s\nwant\n%s", got, want)
	}
	if d := time.Until(s.Now()); d < 59*time.Second || d > time.Minute {
		t.Errorf("the clock is %s ahead", d)
	}
	again := *w
	again.Sandbox, again.wire, again.url = s, wireTo{s}, "http://127.0.0.1"
	if r := again.code2Session(again.exchangeRequest(code)); !strings.Contains(string(r), "openid") {
		t.Errorf("the open code: %s", r)
	}
	if r := again.code2Session(again.exchangeRequest(used)); !strings.Contains(string(r), "40163") {
		t.Errorf("the used code: %s", r)
	}
	again.payWith(prepayID)
	again.idle()
	// Once more, from the file that was written at the start: nothing was lost in the rewriting.
	want = s.all()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got = reopen(t, killed); got != want {
		t.Errorf("after another start\n%s\nwant\n%s", got, want)
	}
}

// Ids never come again, though the seed is the same.
func TestRestartDrawsAnew(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	seen := map[string]bool{}
	for i := range 3 {
		s, err := New(Options{Data: folder, Seed: 7, Merchants: []Merchant{oneMerchant()}})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{Sandbox: s, t: t, url: "http://127.0.0.1", merchant: oneMerchant(), app: oneMerchant().Apps[0], shop: &shop{url: "https://localhost/"}, wire: wireTo{s}}
		for _, id := range []string{w.place(fmt.Sprintf("order-%d", i), nil), w.code()} {
			if seen[id] {
				t.Errorf("%s came again", id)
			}
			seen[id] = true
		}
		if i == 1 {
			if err := s.Reset(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A line that a crash tore was never answered for; a damaged line in the middle is not passed over.
func TestTornFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s, err := New(Options{Data: folder, Seed: 7, Merchants: []Merchant{oneMerchant()}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenID(oneMerchant().Apps[0].ID, "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenID(oneMerchant().Apps[0].ID, "bob"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "state.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := strings.LastIndex(strings.TrimSuffix(string(whole), "\n"), "\n") + 1
	for cut := last; cut < len(whole); cut++ {
		if cut != last && cut != last+1 && cut < len(whole)-2 && cut%29 != 0 {
			continue // each start costs a parsing of keys
		}
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := New(Options{Data: folder, Seed: 7})
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
		if len(s.people.byOpenID) != 1 {
			t.Errorf("cut at %d: %d people, want 1", cut, len(s.people.byOpenID))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	damaged := strings.Replace(string(whole), `"kind":"clock"`, `"kind":"clock`, 1)
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Data: folder}); err == nil || !strings.Contains(err.Error(), "state.jsonl is damaged: line 2: ") {
		t.Errorf("damaged: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"kind":"future","value":1}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Data: folder}); err == nil || !strings.Contains(err.Error(), `kind "future" is unknown`) {
		t.Errorf("of a newer version: %v", err)
	}
}

func TestFolderInUse(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	w := newWorld(t, Options{Data: folder})
	if _, err := New(Options{Data: folder}); err == nil || !strings.Contains(err.Error(), "another sandbox uses it: stop that one, or choose another folder") {
		t.Errorf("a second one: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	reopen(t, folder)
}

// A payment whose process ended before its notification was written down is announced by the next one.
func TestPaymentWithoutNotification(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	w := newWorld(t, Options{Data: folder})
	w.pay("order-000001")
	w.idle()
	b, err := os.ReadFile(filepath.Join(folder, "state.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	cut := strings.Index(string(b), `{"kind":"notification"`)
	to := t.TempDir()
	if err := os.WriteFile(filepath.Join(to, "state.jsonl"), b[:cut], 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := reopen(t, to)
	if err := s.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.Notifications(); len(n) != 1 || n[0].OutTradeNo != "order-000001" || n[0].Status != NotificationAccepted {
		t.Errorf("%+v", n)
	}
	if len(w.shop.all()) != 2 {
		t.Errorf("the shop heard %d times", len(w.shop.all()))
	}
}

// Many writers share few syncs, and each returns only when its own line is there.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	w := newWorld(t, Options{Data: folder})
	var writers sync.WaitGroup
	for i := range 50 {
		writers.Go(func() {
			id, err := w.OpenID(w.app.ID, fmt.Sprint("user", i))
			if err != nil {
				t.Error(err)
				return
			}
			b, err := os.ReadFile(filepath.Join(folder, "state.jsonl"))
			if err != nil || !strings.Contains(string(b), id) {
				t.Errorf("%s isn't on disk: %v", id, err)
			}
		})
	}
	writers.Wait()
}

// Repeats go on after a restart, on time, also for an attempt that was under way.
func TestRepeatsAfterRestart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var killed string
	var begin time.Time
	newBubble(t, Options{Data: folder}, func(w *world) {
		w.shop.answer = func(n int) int { return []int{500, 0}[n] }
		begin = w.Now()
		w.pay("order-000001")
		time.Sleep(16 * time.Second)
		if n := len(w.shop.all()); n != 2 {
			w.t.Errorf("%d attempts", n)
		}
		killed = snapshot(t, folder)
	})
	newBubble(t, Options{Data: killed}, func(w *world) {
		synctest.Wait()
		time.Sleep(time.Hour)
		all := w.shop.all()
		n := w.Notifications()[0]
		if len(all) != 1 || n.Status != NotificationAccepted || len(n.Attempts) != 2 || n.Attempts[1].At.Sub(begin) != 15*time.Second {
			w.t.Errorf("%d came, %+v", len(all), n)
		}
	})
}

// What can't be written isn't answered for: the outcome is unknown, says the answer.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	s, err := New(Options{Data: t.TempDir(), Merchants: w.Sandbox.Merchants(), Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	w.Sandbox, w.wire, w.url = s, wireTo{s}, "http://127.0.0.1"
	w.place("order-000001", nil)
	body := w.orderBody("order-000002", nil)
	if err := s.disk.file.Close(); err != nil {
		t.Fatal(err)
	}
	if r := w.call("POST", "/v3/pay/transactions/jsapi", body); r.status != 500 || r.code() != "SYSTEM_ERROR" || r.header.Get("Wechatpay-Signature") != "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	// And from then on nothing is, since nobody knows what the file holds.
	var e problem
	if status := w.control("GET", "payments", nil, &e); status != 500 || e.Code != "internal" || !strings.Contains(e.Message, "write the sandbox's state") {
		t.Errorf("%d %+v", status, e)
	}
	if _, err := s.Login(w.app.ID, "alice"); err == nil {
		t.Error("logged in")
	}
	if err := s.Close(); err == nil {
		t.Error("closed without a word")
	}
}
