package sandbox

import (
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
)

const (
	digits = "0123456789"
	hexes  = "0123456789abcdef"
	alnums = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// random makes everything that is random but the keys. Each name is a stream of its own, so that what one part draws
// never shifts what another part gets: nonces of answers, drawn by many goroutines in any order, leave the order
// numbers as they were.
type random struct {
	mu      sync.Mutex
	root    [32]byte
	streams map[string]*rand.Rand
}

// newSeed is the root of all randomness: from n, or from the system where n is 0.
func newSeed(n uint64) (seed [32]byte) {
	if n == 0 {
		_, _ = cryptorand.Read(seed[:]) // never fails, says its documentation
		return seed
	}
	return hash([]byte("fenhao sandbox"), binary.BigEndian.AppendUint64(nil, n))
}

// newRandom is the randomness of the given generation. Each start on kept state and each reset begins a generation, so
// that numbers never come twice on one seed.
func newRandom(seed [32]byte, generation int) *random {
	r := &random{}
	r.begin(seed, generation)
	return r
}

// begin begins a generation.
func (r *random) begin(seed [32]byte, generation int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.root = hash(seed[:], binary.BigEndian.AppendUint64(nil, uint64(generation)))
	r.streams = map[string]*rand.Rand{}
}

// fork is a randomness of its own for one thing, such as one attempt of one notification.
func (r *random) fork(of ...string) *random {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &random{root: hash(r.root[:], []byte(strings.Join(of, "\x00"))), streams: map[string]*rand.Rand{}}
}

// stream is the named stream. mu is held.
func (r *random) stream(name string) *rand.Rand {
	if s := r.streams[name]; s != nil {
		return s
	}
	s := rand.New(rand.NewChaCha8(hash(r.root[:], []byte("stream "+name))))
	r.streams[name] = s
	return s
}

// text draws n characters of the alphabet from the named stream.
func (r *random) text(name, alphabet string, n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stream(name)
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[s.IntN(len(alphabet))]
	}
	return string(b)
}

// bytes draws n bytes from the named stream.
func (r *random) bytes(name string, n int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stream(name)
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.Uint32())
	}
	return b
}

// strikes tells whether something of probability p happens.
func (r *random) strikes(name string, p float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stream(name).Float64() < p
}

// shuffle puts n things in a random order.
func (r *random) shuffle(name string, n int, swap func(i, j int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stream(name).Shuffle(n, swap)
}

// uuid draws 36 characters in the form of a UUID.
func (r *random) uuid(name string) string {
	b := r.bytes(name, 16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func hash(parts ...[]byte) [32]byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
		h.Write([]byte{0})
	}
	return [32]byte(h.Sum(nil))
}
