package sandbox

import (
	"regexp"
	"testing"
	"time"
)

// The same seed and the same acts give the same numbers; another seed gives others.
func TestSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
		m := oneMerchant()
		m.Apps = []App{{ID: "wx0123456789abcdef", Secret: "s"}}
		w := newWorld(t, Options{Seed: seed, Merchants: []Merchant{m}, Clock: func() time.Time { return at }})
		w.fault(Fault{On: "v3.close", Kind: "error", Probability: 0.5})
		text := ""
		for _, number := range []string{"order-000001", "order-000002"} {
			text += w.code() + w.place(number, nil)
			p, _ := w.Payment(number)
			text += p.OpenID
			r := w.closeOrder("order-999999")
			text += r.code()
			w.payWith(p.PrepayID)
			p, _ = w.Payment(number)
			text += p.TransactionID
			for _, n := range w.Notifications() {
				text += n.ID
			}
		}
		return text
	}
	a, b, c := run(1), run(1), run(2)
	if a != b {
		t.Errorf("one seed, two outcomes:\n%s\n%s", a, b)
	}
	if a == c {
		t.Error("two seeds, one outcome")
	}
}

// Numbers look like WeChat's.
func TestShapesOfNumbers(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 20, 30, 40, 0, time.UTC) // in Beijing it is the next day
	w := newWorld(t, Options{Clock: func() time.Time { return at }})
	w.pay("order-000001")
	p, _ := w.Payment("order-000001")
	for shape, text := range map[string]string{
		`^wx21043040[0-9]{6}[0-9a-f]{16}0000$`:                                  p.PrepayID,
		`^4200[0-9]{6}20261121[0-9]{10}$`:                                       p.TransactionID,
		`^o[0-9A-Za-z_-]{27}$`:                                                  p.OpenID,
		`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`: w.Notifications()[0].ID,
		`^[1-7][0-9A-F]{39}$`:                                                   w.merchant.CertificateSerial,
		`^wx[0-9a-f]{16}$`:                                                      w.app.ID,
		`^[0-9a-f]{32}$`:                                                        w.app.Secret,
		`^PUB_KEY_ID_[0-9]{28}$`:                                                w.merchant.PublicKeyID,
	} {
		if !regexp.MustCompile(shape).MatchString(text) {
			t.Errorf("%s doesn't look like %s", text, shape)
		}
	}
}
