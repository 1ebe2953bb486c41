package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// This file keeps the state in a folder. The file state.jsonl has one JSON line for each thing that changed, whole as it
// then was; reading it from the beginning gives the state. It is rewritten without what is outdated at each start.

// Kinds of lines.
const (
	kindMerchant     = "merchant"
	kindPerson       = "person"
	kindCode         = "code"
	kindOrder        = "order"
	kindPaymentCode  = "payment_code"
	kindRefund       = "refund"
	kindTransfer     = "transfer"
	kindNotification = "notification"
	kindSettings     = "settings"
	kindLink         = "link"
	kindFault        = "fault"
	kindClock        = "clock"
	kindReset        = "reset"
)

type line struct {
	Kind  string          `json:"kind"`
	Erase string          `json:"erase,omitempty"` // id of what is gone
	Value json.RawMessage `json:"value,omitempty"`
}

type clockRecord struct {
	Offset time.Duration `json:"offset"`
}

type resetRecord struct {
	Generation int `json:"generation"`
}

// disk appends lines to the file. Lines are handed over in the order of what happened, under the sandbox's mu, and
// written by whoever waits first: one write and one fsync serve all who wait meanwhile.
type disk struct {
	file *os.File
	lock io.Closer

	mu       sync.Mutex
	turn     sync.Cond
	pending  []byte
	appended int64 // lines handed over
	durable  int64 // lines that survive anything
	writing  bool
	failed   error // the first failure: after it, nothing is known about the file
}

func (d *disk) append(l line) {
	b := append(encode(l), '\n')
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending = append(d.pending, b...)
	d.appended++
}

// wait returns when all lines that were handed over before are on disk.
func (d *disk) wait() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for upTo := d.appended; d.durable < upTo && d.failed == nil; {
		if d.writing {
			d.turn.Wait()
			continue
		}
		b, all := d.pending, d.appended
		d.pending, d.writing = nil, true
		d.mu.Unlock()
		_, err := d.file.Write(b)
		if err == nil {
			err = d.file.Sync()
		}
		d.mu.Lock()
		d.writing = false
		if d.durable = all; err != nil {
			d.failed = err
		}
		d.turn.Broadcast()
	}
	return d.failed
}

func (d *disk) close() error {
	err := d.file.Close()
	return errors.Join(err, d.lock.Close())
}

// save keeps a thing as it is now. mu is held.
func (s *Sandbox) save(kind string, v any) {
	if s.disk != nil {
		s.disk.append(line{Kind: kind, Value: encode(v)})
	}
}

// erase forgets a thing. mu is held.
func (s *Sandbox) erase(kind, id string) {
	if s.disk != nil {
		s.disk.append(line{Kind: kind, Erase: id})
	}
}

// restore takes the folder, reads its state, and begins a fresh file with it.
func (s *Sandbox) restore(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	lock, err := lockFolder(filepath.Join(folder, "lock"))
	if err != nil {
		return fmt.Errorf("the data folder %s can't be used: %w", folder, err)
	}
	path := filepath.Join(folder, "state.jsonl")
	file, err := s.reread(path)
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	s.disk = &disk{file: file, lock: lock}
	s.disk.turn.L = &s.disk.mu
	return nil
}

func (s *Sandbox) reread(path string) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("open the sandbox's state: %w", err)
	default:
		err := s.readLines(old)
		if err = errors.Join(err, old.Close()); err != nil {
			return nil, fmt.Errorf("%s is damaged: %w; move it away to begin anew", path, err)
		}
		s.generation++ // numbers of before must not come again
		s.random.begin(s.seed, s.generation)
	}
	// A process that ended between a payment and its notification leaves a payment that nobody would hear of.
	for _, o := range s.books.orders {
		if o.paid() && o.NotifyURL != "" && !s.notifications.announced[occurrence{"TRANSACTION.SUCCESS", o.MerchantID, o.OutTradeNo, ""}] {
			s.announce(*o)
		}
	}
	for _, r := range s.books.refunds {
		// Likewise a refund and its order.
		if o := s.books.numbers[orderKey{r.MerchantID, r.OutTradeNo}]; o.State == StateSuccess {
			o.State = StateRefund
		}
		event := refundEvents[r.status()].name
		if !s.notifications.announced[occurrence{event, r.MerchantID, r.OutTradeNo, r.OutRefundNo}] {
			s.announceRefund(*r)
		}
	}
	for _, n := range s.notifications.all {
		if n.Status == NotificationPending && n.Next.IsZero() { // it was under way
			n.Next = s.now()
			s.notifications.schedule(n)
		}
	}
	file, err := s.rewrite(path)
	if err != nil {
		return nil, fmt.Errorf("rewrite the sandbox's state: %w", err)
	}
	return file, nil
}

// readLines takes in all lines. A last line that is torn, as a crash leaves it, was never answered for and is ignored.
func (s *Sandbox) readLines(r io.Reader) error {
	in := bufio.NewReader(r)
	for number := 1; ; number++ {
		b, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var l line
		if err := json.Unmarshal(b, &l); err != nil {
			if _, more := in.Peek(1); errors.Is(more, io.EOF) {
				return nil
			}
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := s.take(l); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
}

// take does what a line says.
func (s *Sandbox) take(l line) error {
	if l.Erase != "" {
		s.removeFault(l.Erase) // nothing else is ever erased
		return nil
	}
	switch l.Kind {
	case kindMerchant:
		var m Merchant
		if err := json.Unmarshal(l.Value, &m); err != nil {
			return err
		}
		full, err := s.equip(m, "", "")
		if err != nil {
			return err
		}
		for i, old := range s.merchants {
			if old.ID == m.ID {
				s.merchants[i] = full
				return nil
			}
		}
		s.merchants = append(s.merchants, full)
	case kindPerson:
		return into(l, func(p person) { s.people.add(p) })
	case kindCode:
		return into(l, func(c loginCode) {
			if known, ok := s.people.codes[c.Code]; ok {
				*known = c
				return
			}
			s.people.keep(&c)
		})
	case kindPaymentCode:
		return into(l, func(c paymentCode) { s.books.codes[c.Code] = c })
	case kindOrder:
		return into(l, s.books.put)
	case kindRefund:
		return into(l, s.books.putRefund)
	case kindTransfer:
		return into(l, s.books.putTransfer)
	case kindLink:
		return into(l, func(one billLink) { s.links.add(one, s.now()) })
	case kindSettings:
		return into(l, func(to Settings) { s.settings = to })
	case kindNotification:
		return into(l, func(n notification) { s.notifications.restore(&n) })
	case kindFault:
		return into(l, s.faults.restore)
	case kindClock:
		return into(l, func(c clockRecord) { s.offset = c.Offset })
	case kindReset:
		return into(l, func(r resetRecord) {
			s.generation = r.Generation
			s.forget()
		})
	default:
		return fmt.Errorf("kind %q is unknown: was it written by a newer version?", l.Kind)
	}
	return nil
}

// into reads a line's value and hands it over.
func into[T any](l line, take func(T)) error {
	var v T
	if err := json.Unmarshal(l.Value, &v); err != nil {
		return fmt.Errorf("%s: %w", l.Kind, err)
	}
	take(v)
	return nil
}

// rewrite writes the state as it is into a fresh file, which takes the old one's place at once or not at all.
func (s *Sandbox) rewrite(path string) (*os.File, error) {
	var b bytes.Buffer
	put := func(kind string, v any) {
		b.Write(encode(line{Kind: kind, Value: encode(v)}))
		b.WriteByte('\n')
	}
	put(kindReset, resetRecord{s.generation})
	put(kindClock, clockRecord{s.offset})
	for _, m := range s.merchants {
		put(kindMerchant, m.Merchant)
	}
	for _, p := range s.people.byOpenID {
		put(kindPerson, p)
	}
	for _, c := range s.people.issued {
		put(kindCode, c)
	}
	for _, o := range s.books.orders {
		put(kindOrder, o)
	}
	for _, code := range slices.Sorted(maps.Keys(s.books.codes)) {
		if c := s.books.codes[code]; s.now().Sub(c.At) < codeMemory {
			put(kindPaymentCode, c)
		}
	}
	for _, r := range s.books.refunds {
		put(kindRefund, r)
	}
	for _, t := range s.books.transfers {
		put(kindTransfer, t)
	}
	for _, n := range s.notifications.all {
		put(kindNotification, n)
	}
	for _, token := range s.links.issued {
		put(kindLink, s.links.byToken[token])
	}
	put(kindSettings, s.settings)
	for _, f := range s.faults.rules {
		put(kindFault, f)
	}

	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = file.Write(b.Bytes()); err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
