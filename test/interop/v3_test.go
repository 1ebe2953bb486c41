package interop

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

// shop is a merchant's server, written with one SDK.
type shop interface {
	// order places an order of the mini program and returns what the phone is given.
	order(ctx context.Context, o order) (phone, error)
	// query asks for an order. Where WeChat has none, the error is errNoOrder.
	query(ctx context.Context, number string) (payment, error)
	// close closes an order. Where it is paid, the error is errPaid.
	close(ctx context.Context, number string) error
	// notification reads a notification of a payment.
	notification(r *http.Request) (payment, error)
	// certificates downloads WeChat Pay's certificates and returns their serials, sorted.
	certificates(ctx context.Context) ([]string, error)
}

var (
	errNoOrder = errors.New("there is no such order")
	errPaid    = errors.New("the order is paid")
)

// order is what a shop sells.
type order struct {
	appID, openID, number, description, attach, notifyURL string
	total                                                 int64
}

// payment is what all SDKs tell of an order, in the same words, so that they can be compared.
type payment struct {
	appID, merchantID, number, transactionID, tradeType, state, bank, attach, openID, currency string
	total, payerTotal                                                                          int64
	at                                                                                         time.Time
}

// peers are the shops to test: their makers, by name. Each is unmodified but for the address. In public-key mode the
// SDK knows WeChat Pay's public key, else it downloads certificates.
var peers = map[string]func(t *testing.T, s *sandbox, m merchant, publicKey bool) shop{
	"wechatpay-go by proxy": func(t *testing.T, s *sandbox, m merchant, publicKey bool) shop {
		return newOfficial(t, s.throughProxy(t), m, publicKey)
	},
	"gopay by address": func(t *testing.T, s *sandbox, m merchant, publicKey bool) shop {
		return newGopay(t, s.Address, nil, m, publicKey)
	},
	"gopay by proxy": func(t *testing.T, s *sandbox, m merchant, publicKey bool) shop {
		return newGopay(t, "", s.throughProxy(t).Transport, m, publicKey)
	},
	"fenhao by address": func(t *testing.T, s *sandbox, m merchant, publicKey bool) shop {
		return newOurs(t, m, publicKey, wechatpay.WithBaseURL(s.Address))
	},
	"fenhao by proxy": func(t *testing.T, s *sandbox, m merchant, publicKey bool) shop {
		return newOurs(t, m, publicKey, wechatpay.WithHTTPClient(s.throughProxy(t)))
	},
}

// TestPurchase lets every SDK sell something at our sandbox, in both key modes: they order, the phone pays with the
// parameters that they signed, the notification comes, they query and close. All SDKs must read the same payment out of
// the same messages.
func TestPurchase(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	m := s.merchant(t)
	for _, mode := range []string{"certificates", "public key"} {
		shops := map[string]shop{}
		if mode == "public key" {
			s.control(t, http.MethodPost, "certificates/rotate", map[string]string{"mode": "public_key"}, nil)
		}
		for name, open := range peers {
			shops[name] = open(t, s, m, mode == "public key")
		}
		t.Run(mode, func(t *testing.T) {
			for name, shop := range shops {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					buy(t, s, m, shop, shops)
				})
			}
		})
	}
}

// buy is a purchase at shop. witnesses read the same messages.
func buy(t *testing.T, s *sandbox, m merchant, shop shop, witnesses map[string]shop) {
	const user = "小明"
	box := newMailbox(t)
	o := order{
		appID: m.Apps[0].ID, openID: s.openID(t, m, user), number: orderNumber(), total: 1999,
		description: `咖啡 "大杯" & <冰> \ 100%`, attach: "桌号=7&加糖=否", notifyURL: box.URL,
	}
	ctx := t.Context()
	if _, err := shop.query(ctx, o.number); !errors.Is(err, errNoOrder) {
		t.Errorf("query of an order that isn't there: %v, want %v", err, errNoOrder)
	}
	params, err := shop.order(ctx, o)
	if err != nil {
		t.Fatalf("order: %v", err)
	}
	open, err := shop.query(ctx, o.number)
	if err != nil || open.state != "NOTPAY" || open.number != o.number || open.transactionID != "" {
		t.Errorf("query before the payment: %+v, %v", open, err)
	}

	params.User = user
	s.pay(t, params)
	got := box.next(t)
	want := payment{
		appID: o.appID, merchantID: m.ID, number: o.number, tradeType: "JSAPI", state: "SUCCESS", attach: o.attach,
		openID: o.openID, currency: "CNY", total: o.total, payerTotal: o.total,
	}
	told, err := shop.notification(got.request())
	if err != nil {
		t.Fatalf("notification: %v", err)
	}
	if told.transactionID == "" || told.at.IsZero() || told.bank == "" {
		t.Errorf("the notification lacks something: %+v", told)
	}
	want.transactionID, want.at, want.bank = told.transactionID, told.at, told.bank
	if told != want {
		t.Errorf("notification\n got %+v\nwant %+v", told, want)
	}
	for name, witness := range witnesses {
		if heard, err := witness.notification(got.request()); err != nil || heard != want {
			t.Errorf("%s reads another notification (%v)\n got %+v\nwant %+v", name, err, heard, want)
		}
		if asked, err := witness.query(ctx, o.number); err != nil || asked != want {
			t.Errorf("%s reads another answer (%v)\n got %+v\nwant %+v", name, err, asked, want)
		}
		altered := delivery{got.header, slices.Concat(got.body[:len(got.body)-1], []byte(" }"))}
		if _, err := witness.notification(altered.request()); err == nil {
			t.Errorf("%s takes a notification that was altered on the way", name)
		}
	}
	if err := shop.close(ctx, o.number); !errors.Is(err, errPaid) {
		t.Errorf("close of a paid order: %v, want %v", err, errPaid)
	}

	o.number = orderNumber()
	if _, err := shop.order(ctx, o); err != nil {
		t.Fatalf("a second order: %v", err)
	}
	for range 2 { // closing again is allowed
		if err := shop.close(ctx, o.number); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if closed, err := shop.query(ctx, o.number); err != nil || closed.state != "CLOSED" {
		t.Errorf("query after closing: %+v, %v", closed, err)
	}
}

// TestCertificates lets every SDK download the platform certificates, before and after a rotation. Those that renew by
// themselves go on ordering although they know the old certificate alone.
func TestCertificates(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	m := s.merchant(t)
	shops := map[string]shop{}
	for name, open := range peers {
		shops[name] = open(t, s, m, false)
	}
	before := s.certificates(t, m)
	compare := func(want map[string]string) {
		t.Helper()
		for name, shop := range shops {
			got, err := shop.certificates(t.Context())
			if err != nil || !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
				t.Errorf("%s downloads certificates %q (%v), want %q", name, got, err, slices.Sorted(maps.Keys(want)))
			}
		}
	}
	compare(before)
	s.control(t, http.MethodPost, "certificates/rotate", nil, nil)
	after := s.certificates(t, m)
	if len(after) != len(before)+1 {
		t.Fatalf("a rotation led from %d certificates to %d", len(before), len(after))
	}
	orders := func(name string, shop shop) error {
		_, err := shop.order(t.Context(), order{appID: m.Apps[0].ID, openID: s.openID(t, m, name), number: orderNumber(), total: 1,
			description: "x", notifyURL: "https://shop.example.com/n"})
		return err
	}
	for name, shop := range shops {
		switch shop := shop.(type) {
		case *official:
			// It counts on the days in which WeChat Pay lists a new certificate and doesn't sign with it yet, while the
			// sandbox signs with it at once: it has to download the list first, which compare below has it do.
			if err := orders(name, shop); err == nil {
				t.Errorf("%s trusts a certificate that it has not downloaded", name)
			}
			continue
		case *ours:
			shop.clock.advance(2 * time.Minute) // it asks for a new list once a minute at most
		}
		if err := orders(name, shop); err != nil {
			t.Errorf("%s, which has the old certificate, orders after a rotation: %v", name, err)
		}
	}
	compare(after)
	for name, shop := range shops {
		if err := orders(name, shop); err != nil {
			t.Errorf("%s, which has both certificates, orders: %v", name, err)
		}
	}
}

// TestBadSignature lets the sandbox sign wrongly: every SDK must notice, or the fault would be no test of anything.
func TestBadSignature(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	m := s.merchant(t)
	for name, open := range peers {
		shop := open(t, s, m, false)
		o := order{appID: m.Apps[0].ID, openID: s.openID(t, m, name), number: orderNumber(), total: 1, description: "x",
			notifyURL: "https://shop.example.com/n"}
		for _, kind := range []string{"bad_signature", "signtest"} {
			s.control(t, http.MethodPost, "faults", map[string]any{"on": "v3.prepay", "kind": kind, "count": 1}, nil)
			if p, err := shop.order(t.Context(), o); err == nil {
				t.Errorf("%s takes an answer with a wrong signature (%s): %+v", name, kind, p)
			} else if strings.Contains(err.Error(), "PARAM_ERROR") {
				t.Errorf("%s was refused for another reason: %v", name, err)
			}
		}
		if _, err := shop.order(t.Context(), o); err != nil {
			t.Errorf("%s: once the faults are used up: %v", name, err)
		}
	}
}
