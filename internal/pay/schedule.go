package pay

import "time"

const (
	firstLook  = 3 * time.Second  // after parameters were handed out, or a Prepay left
	frozenLook = 10 * time.Minute // WeChat's word contradicts ours: a human's turn, but the truth may still come
)

// looks says how often WeChat is asked about an order that may be paid at any moment, by the age of the payment
// parameters. Most buyers pay within a minute or not at all; a notification usually comes first and ends the asking.
// The bound that matters: a payment within the first three minutes is known at most 8 seconds later without any
// notification, and a client that waits hastens it.
var looks = []struct{ until, every time.Duration }{
	{time.Minute, 5 * time.Second},
	{3 * time.Minute, 8 * time.Second},
	{10 * time.Minute, 30 * time.Second},
	{30 * time.Minute, time.Minute},
}

// slowLook is the interval after the last row of looks.
const slowLook = 5 * time.Minute

// nextLook says when WeChat is asked next about o, which is unpaid at now: by the table, and at its expiry at the latest.
func (o Order) nextLook(now time.Time) time.Time {
	age, every := now.Sub(later(o.IssuedAt, o.CreatedAt)), slowLook
	for _, l := range looks {
		if age < l.until {
			every = l.every
			break
		}
	}
	if o.Frozen {
		every = frozenLook
	}
	next := now.Add(every)
	if now.Before(o.ExpiresAt) {
		next = sooner(next, o.ExpiresAt)
	}
	return next
}

// backOff is the wait after the n-th time in a row that WeChat could not be asked: 2 s, 4 s, … and at most a minute, so
// that an outage of WeChat's is over for us a minute after it is over for WeChat.
func backOff(n int) time.Duration {
	return min(time.Second<<min(n, 6), time.Minute)
}

func sooner(a, b time.Time) time.Time {
	if b.IsZero() || (!a.IsZero() && a.Before(b)) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
