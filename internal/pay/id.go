package pay

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"sync"
	"time"
)

// Ids are made once, by us, and mean nothing but themselves. A prefix tells a human what one is.
type (
	OrderID    string // ord_…
	UserID     string // usr_…
	ProductID  string // prd_…
	EventID    string // evt_…
	IncidentID string // inc_…
	APIKeyID   string // key_…
)

// idDigits are Crockford's, in lower case: no i, l, o, u to misread, and nothing that depends on case.
const idDigits = "0123456789abcdefghjkmnpqrstvwxyz"

// idSource makes ids. The zero value is ready; it may be used by many goroutines.
type idSource struct {
	mu     sync.Mutex
	hi, lo uint64 // the last number
}

// id returns prefix and 26 characters: 48 bits of milliseconds, so that ids sort by time, and 80 random bits, so that
// nobody guesses one and two installations that share a merchant number never meet. Within a millisecond the ids of one
// source still sort in the order in which they were made: what happened in one step is listed in its order.
//
// An order's id is 30 bytes of [0-9a-z_] and thereby a valid WeChat out_trade_no (6 to 32 bytes) as it stands.
func (s *idSource) id(prefix string, now time.Time) string {
	hi, lo := s.next(uint64(now.UnixMilli()))
	id := make([]byte, 0, len(prefix)+26)
	id = append(id, prefix...)
	for i := range 26 {
		shift := 125 - 5*i
		var v uint64
		switch {
		case shift >= 64:
			v = hi >> (shift - 64)
		case shift > 59:
			v = hi<<(64-shift) | lo>>shift
		default:
			v = lo >> shift
		}
		id = append(id, idDigits[v&31])
	}
	return string(id)
}

// next returns a number of 128 bits that grows while the time does not go back.
func (s *idSource) next(ms uint64) (hi, lo uint64) {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand.Read ends the program instead
	hi, lo = ms<<16|uint64(b[0])<<8|uint64(b[1]), binary.BigEndian.Uint64(b[8:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hi>>16 == ms { // a step further from the last one, by 1 to 2³²
		var carry uint64
		lo, carry = bits.Add64(s.lo, uint64(binary.BigEndian.Uint32(b[2:]))+1, 0)
		hi = s.hi + carry
	}
	s.hi, s.lo = hi, lo
	return hi, lo
}

// name gives effects their ids.
func (s *idSource) name(effects []Effect) []Effect {
	for i, e := range effects {
		switch e := e.(type) {
		case Event:
			e.ID = EventID(s.id("evt_", e.CreatedAt))
			effects[i] = e
		case Incident:
			e.ID = IncidentID(s.id("inc_", e.CreatedAt))
			effects[i] = e
		}
	}
	return effects
}

// newToken returns prefix and 256 random bits, for what must not be guessed: sessions and API keys.
func newToken(prefix string) string { return prefix + rand.Text() + rand.Text() }
