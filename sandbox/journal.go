package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	journalSize  = 2000    // entries; the oldest make room
	maxEntryText = 4 << 10 // bytes of a request or answer that are kept
	heartbeat    = 15 * time.Second
)

// Entry is one act that the sandbox saw or did. App secrets and session keys are never in it.
type Entry struct {
	Seq        int64     `json:"seq"` // grows by one with each entry
	At         time.Time `json:"at"`  // on the sandbox's clock
	Kind       string    `json:"kind"`
	Name       string    `json:"name"` // which of its kind: v3.prepay, order.paid, notify.payment, fault.delay, …
	OutTradeNo string    `json:"out_trade_no"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Status     int       `json:"status"`
	Code       string    `json:"code"`
	Ms         int64     `json:"ms"`
	Summary    string    `json:"summary"`
	Request    string    `json:"request"`
	Response   string    `json:"response"`
}

// Kinds of entries: call (of WeChat's APIs), user (on the phone), state (of an order or of keys), notification, fault,
// clock, shop (what the phone's page asked of the service).

// journal keeps the last entries in memory.
type journal struct {
	mu      sync.Mutex
	entries []Entry // oldest first
	seq     int64
	news    chan struct{} // closed with the next entry
}

func newJournal() *journal { return &journal{news: make(chan struct{})} }

// record writes an act down. It must not be called while mu is held.
func (s *Sandbox) record(e Entry) {
	e.At = s.Now()
	s.journal.add(e)
}

// recordHeld is record for those who hold mu.
func (s *Sandbox) recordHeld(e Entry) {
	e.At = s.now()
	s.journal.add(e)
}

func (j *journal) add(e Entry) {
	e.Request, e.Response = clip(e.Request), clip(e.Response)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	e.Seq = j.seq
	if len(j.entries) >= 2*journalSize { // moving half of twice the size costs less than moving all each time
		j.entries = slices.Clone(j.entries[journalSize:])
	}
	j.entries = append(j.entries, e)
	close(j.news)
	j.news = make(chan struct{})
}

// clear forgets all entries. Numbers go on, so that whoever follows misses nothing.
func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = nil
}

// since are the first entries, up to limit, after the number, of one order where outTradeNo isn't ""; last is up to
// where was looked, and news closes when there is more. A number from the future, of a sandbox before this one, is taken
// as 0.
func (j *journal) since(after int64, outTradeNo string, limit int) (found []Entry, last int64, news <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if after > j.seq {
		after = 0
	}
	kept := j.entries[max(0, len(j.entries)-journalSize):]
	begin, _ := slices.BinarySearchFunc(kept, after+1, func(e Entry, seq int64) int { return int(e.Seq - seq) })
	found, last = []Entry{}, after
	for _, e := range kept[begin:] {
		if len(found) == limit {
			break
		}
		last = e.Seq
		if outTradeNo == "" || e.OutTradeNo == outTradeNo {
			found = append(found, e)
		}
	}
	return found, last, j.news
}

// Journal are the entries after the number, at most limit of them (0: all that are kept), of one order where outTradeNo
// isn't "".
func (s *Sandbox) Journal(after int64, outTradeNo string, limit int) []Entry {
	if limit <= 0 {
		limit = journalSize
	}
	found, _, _ := s.journal.since(after, outTradeNo, limit)
	return found
}

// stream sends entries as server-sent events until the client leaves or the sandbox closes.
func (s *Sandbox) stream(w http.ResponseWriter, r *http.Request, after int64, outTradeNo string) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	flush := http.NewResponseController(w)
	_ = flush.SetWriteDeadline(time.Time{}) // whose server can't do so has to live with its timeout
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		entries, last, news := s.journal.since(after, outTradeNo, 100)
		var b strings.Builder
		for _, e := range entries {
			fmt.Fprintf(&b, "id: %d\ndata: %s\n\n", e.Seq, encode(e))
		}
		if _, err := w.Write([]byte(b.String())); err != nil {
			return
		}
		if err := flush.Flush(); err != nil {
			return
		}
		if last > after && len(entries) == 100 {
			after = last
			continue
		}
		after = last
		select {
		case <-news:
		case <-beat.C:
			if _, err := w.Write([]byte(": still here\n\n")); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-s.ending.Done():
			return
		}
	}
}

// clip cuts a text to what is kept.
func clip(t string) string {
	if len(t) <= maxEntryText {
		return t
	}
	n := maxEntryText - len("…")
	for n > 0 && !utf8.RuneStart(t[n]) {
		n--
	}
	return t[:n] + "…"
}

// requestText is a request as it came, with another target where the true one has a secret.
func requestText(r *http.Request, target string, body []byte) string {
	return r.Method + " " + target + " " + r.Proto + "\n" + headerText(r.Header) + "\n" + string(body)
}

// headerText are headers in alphabetical order, without cookies.
func headerText(h http.Header) string {
	names := make([]string, 0, len(h))
	for name := range h {
		if name != "Cookie" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		for _, v := range h[name] {
			b.WriteString(name + ": " + v + "\n")
		}
	}
	return b.String()
}
