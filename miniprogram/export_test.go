package miniprogram

import (
	"context"
	"strconv"
	"time"
)

// What tests outside of the package compare with published examples.

var (
	SessionSignature = sessionSignature
	DataHash         = dataHash
	Sign             = sign
)

// MaxSeen is how many pushes a receiver remembers.
const MaxSeen = maxSeen

// ReplyTo is the encrypted reply with everything given that is otherwise random or the present.
func (r *Receiver) ReplyTo(message, random []byte, at time.Time, nonce string, asJSON bool) ([]byte, error) {
	return replyTo(r.keys[0], *r.token, r.appID, message, random, at, nonce, asJSON)
}

// Seal encrypts a message as WeChat does.
func (r *Receiver) Seal(message, random []byte) string {
	return seal(r.keys[0], r.appID, message, random)
}

// SealBytes encrypts any plaintext, padding included, under the present key.
func (r *Receiver) SealBytes(padded []byte) string { return sealBytes(r.keys[0], padded) }

// Open decrypts a message.
func (r *Receiver) Open(encrypted string) ([]byte, error) { return r.open(encrypted) }

// Seen is how many pushes r remembers.
func (r *Receiver) Seen() int {
	r.seen.mu.Lock()
	defer r.seen.mu.Unlock()
	return len(r.seen.queue)
}

// Handle makes r remember n more pushes of one time.
func (r *Receiver) Handle(n int, at time.Time) error {
	for i := range n {
		release, _, err := r.seen.claim(context.Background(), strconv.Itoa(i), at, at)
		if err != nil {
			return err
		}
		release(true)
	}
	return nil
}
