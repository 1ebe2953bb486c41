package pay

import (
	"crypto/rand"
	"encoding/binary"
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

// newID returns prefix and 26 characters: 48 bits of milliseconds, so that ids sort by time, and 80 random bits, so that
// nobody guesses one and two installations that share a merchant number never meet. An order's id is 30 bytes of
// [0-9a-z_] and thereby a valid WeChat out_trade_no (6 to 32 bytes) as it stands.
func newID(prefix string, now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	_, _ = rand.Read(b[6:]) // never fails: crypto/rand.Read ends the program instead
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
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

// newToken returns prefix and 256 random bits, for what must not be guessed: sessions and API keys.
func newToken(prefix string) string { return prefix + rand.Text() + rand.Text() }
