package wechatpay_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

const list = "GET /v3/certificates"

// notified is a genuine notification, signed by s.
func notified(s signer, at time.Time) (http.Header, []byte) {
	body := notification("TRANSACTION.SUCCESS", "transaction", paidJSON)
	return s.header(at, body), []byte(body)
}

func TestCertificatesAreDownloadedOnceAndRenewed(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	f.answer = prepaid
	client := newClient(t, f, config())
	if keys := client.PlatformKeys(); len(keys) != 0 || f.count("") != 0 {
		t.Fatalf("NewClient used the network: %v, %q", keys, f.requests)
	}
	prepay := func() {
		t.Helper()
		if _, err := client.Prepay(t.Context(), order()); err != nil {
			t.Fatal(err)
		}
	}
	prepay()
	prepay()
	if f.requests[0] != list || f.count(list) != 1 {
		t.Errorf("requests %q, want one download before the orders", f.requests)
	}
	c.Advance(11*time.Hour - time.Second)
	prepay()
	if f.count(list) != 1 {
		t.Error("the list was renewed within 11 hours")
	}
	c.Advance(time.Hour + time.Second)
	prepay()
	prepay()
	if f.count(list) != 2 {
		t.Errorf("%d downloads after 12 hours, want 2", f.count(list))
	}
	keys := client.PlatformKeys()
	if len(keys) != 1 || keys[0].Serial != serialA || keys[0].PublicKey || !keys[0].NotAfter.Equal(start.AddDate(0, 0, 10)) {
		t.Errorf("PlatformKeys = %+v", keys)
	}

	// Where renewing fails, the old certificates go on, and the next try waits a minute.
	f.set(func(f *fake) { f.listKey = strings.Repeat("x", 32) })
	c.Advance(12 * time.Hour)
	prepay()
	prepay()
	if f.count(list) != 3 {
		t.Errorf("%d downloads, want 3", f.count(list))
	}
	c.Advance(time.Minute)
	prepay()
	if f.count(list) != 4 {
		t.Errorf("%d downloads a minute later, want 4", f.count(list))
	}
	// But not beyond their end.
	c.Advance(10 * 24 * time.Hour)
	if _, err := client.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrNotSent) {
		t.Errorf("with an expired certificate: %v, want ErrNotSent", err)
	}
}

// Old and new certificates interleave during a rotation; each message is verified with the one that it names.
func TestRotationLosesNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	f.answer = prepaid
	client := newClient(t, f, config())
	if _, err := client.Prepay(t.Context(), order()); err != nil {
		t.Fatal(err)
	}
	f.set(func(f *fake) { f.listed = []signer{signerB(), signerA()} })
	c.Advance(time.Minute)
	for i := range 200 {
		s := []signer{signerA(), signerB()}[i%2]
		f.set(func(f *fake) { f.signWith = s })
		if _, err := client.Prepay(t.Context(), order()); err != nil {
			t.Fatalf("order %d, signed with %s: %v", i, s.serial, err)
		}
		header, body := notified(s, c.Now())
		if n, err := client.ParseNotification(t.Context(), header, body); err != nil || n.Serial != s.serial {
			t.Fatalf("notification %d, signed with %s: %+v, %v", i, s.serial, n, err)
		}
	}
	if f.count(list) != 2 {
		t.Errorf("%d downloads, want 2", f.count(list))
	}
	// A list without the old one does not take it away before it expires.
	f.set(func(f *fake) { f.listed = []signer{signerB()} })
	c.Advance(12 * time.Hour)
	if _, err := client.Prepay(t.Context(), order()); err != nil || f.count(list) != 3 {
		t.Fatal(f.count(list), err)
	}
	header, body := notified(signerA(), c.Now())
	if _, err := client.ParseNotification(t.Context(), header, body); err != nil || len(client.PlatformKeys()) != 2 {
		t.Errorf("the old certificate is gone: %v, %v", client.PlatformKeys(), err)
	}
	c.Advance(10 * 24 * time.Hour)
	header, body = notified(signerA(), c.Now())
	if _, err := client.ParseNotification(t.Context(), header, body); !errors.Is(err, wechatpay.ErrBadSignature) {
		t.Errorf("an expired certificate: %v, want ErrBadSignature", err)
	}
	if keys := client.PlatformKeys(); len(keys) != 1 || keys[0].Serial != serialB {
		t.Errorf("PlatformKeys = %+v", keys)
	}
}

// A serial with leading zeros is the same with and without them.
func TestSerialsWithLeadingZeros(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	f.listed = []signer{signerB()}
	short := signerB()
	short.serial = strings.TrimPrefix(serialB, "0")
	client := newClient(t, f, config())
	for _, s := range []signer{signerB(), short} {
		header, body := notified(s, c.Now())
		f.set(func(f *fake) { f.signWith = signerB() })
		if _, err := client.ParseNotification(t.Context(), header, body); err != nil {
			t.Errorf("serial %s: %v", s.serial, err)
		}
	}
}

func TestTheListOfCertificatesIsNotBelieved(t *testing.T) {
	t.Parallel()
	expired := signer{serialA, platformKeyA(), certificate(platformKeyA(), serialA, start.AddDate(-2, 0, 0), start.AddDate(0, 0, -1))}
	future := signer{serialA, platformKeyA(), certificate(platformKeyA(), serialA, start.AddDate(0, 0, 1), start.AddDate(1, 0, 0))}
	renamed := signerA()
	renamed.serial = serialB
	stranger := signer{serialA, strangerKey(), certificate(strangerKey(), serialA, start.AddDate(-2, 0, 0), start.AddDate(1, 0, 0))}
	for name, change := range map[string]func(*fake){
		"another APIv3 key": func(f *fake) { f.listKey = strings.Repeat("k", 32) },
		"no certificates": func(f *fake) {
			f.listed = []signer{}
			f.answer = func(*http.Request, string) (int, string) { return 200, `{"data":[]}` }
		},
		"an expired certificate":       func(f *fake) { f.listed = []signer{expired} },
		"a certificate of tomorrow":    func(f *fake) { f.listed = []signer{future} },
		"another serial":               func(f *fake) { f.listed = []signer{renamed}; f.signWith = renamed },
		"signed by one not in it":      func(f *fake) { f.signWith = signerB() },
		"signed by another key":        func(f *fake) { f.signWith = signer{serialA, strangerKey(), nil} },
		"one of two is another's":      func(f *fake) { f.listed = []signer{signerA(), renamed} },
		"merchant's own serial":        func(f *fake) { f.signWith = signer{merchantSerial, merchantKey(), nil} },
		"genuine list, stranger signs": func(f *fake) { f.signWith = stranger },
		"refused": func(f *fake) {
			f.listed = nil
			f.answer = func(*http.Request, string) (int, string) {
				return 401, `{"code":"SIGN_ERROR","message":"签名错误"}`
			}
		},
		"broken": func(f *fake) {
			f.listed = nil
			f.answer = func(*http.Request, string) (int, string) { return 500, `` }
		},
	} {
		c := newClock()
		f := startFake(t, c)
		f.answer = prepaid
		change(f)
		client := newClient(t, f, config())
		if _, err := client.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrNotSent) || errors.Is(err, wechatpay.ErrUncertain) || len(client.PlatformKeys()) != 0 {
			t.Errorf("%s: %v, keys %v, want ErrNotSent and none", name, err, client.PlatformKeys())
		}
		if f.count("POST") != 0 || f.count(list) != 1 {
			t.Errorf("%s: requests %q", name, f.requests)
		}
		header, body := notified(signerA(), c.Now())
		if _, err := client.ParseNotification(t.Context(), header, body); !errors.Is(err, wechatpay.ErrBadSignature) {
			t.Errorf("%s: notification: %v, want ErrBadSignature", name, err)
		}
	}
}

// How the download ended says nothing about the request whose answer needed it: that one was sent.
func TestAnAnswerWhoseKeyCantBeHadIsUncertain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 500} {
		c := newClock()
		f := startFake(t, c)
		f.answer = prepaid
		client := newClient(t, f, config())
		if _, err := client.Prepay(t.Context(), order()); err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Minute)
		f.set(func(f *fake) {
			f.signWith, f.listed = signerB(), nil
			f.answer = func(r *http.Request, body string) (int, string) {
				if r.URL.Path == "/v3/certificates" {
					return status, ""
				}
				return prepaid(r, body)
			}
		})
		_, err := client.Prepay(t.Context(), order())
		if !errors.Is(err, wechatpay.ErrUncertain) || errors.Is(err, wechatpay.ErrNotSent) || !errors.Is(err, wechatpay.ErrBadSignature) {
			t.Errorf("download answered %d: %v, want ErrUncertain alone", status, err)
		}
		header, body := notified(signerB(), c.Now())
		if _, err := client.ParseNotification(t.Context(), header, body); !errors.Is(err, wechatpay.ErrBadSignature) ||
			errors.Is(err, wechatpay.ErrUncertain) || errors.Is(err, wechatpay.ErrNotSent) {
			t.Errorf("download answered %d: notification: %v", status, err)
		}
	}
	// The same where the download can't even connect.
	c := newClock()
	lost := &sometimes{fail: false}
	f := startFake(t, c)
	f.answer = prepaid
	client := newClient(t, f, config(), wechatpay.WithHTTPClient(&http.Client{Transport: lost}))
	if _, err := client.Prepay(t.Context(), order()); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Minute)
	lost.fail = true
	f.set(func(f *fake) { f.signWith = signerB() })
	if _, err := client.Prepay(t.Context(), order()); !errors.Is(err, wechatpay.ErrUncertain) || errors.Is(err, wechatpay.ErrNotSent) {
		t.Errorf("download without a connection: %v, want ErrUncertain alone", err)
	}
}

// sometimes is a transport that can't reach the certificates.
type sometimes struct{ fail bool }

func (s *sometimes) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.fail && r.URL.Path == "/v3/certificates" {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// A serial stands for one key: a later list can't put another in its place.
func TestAKeyIsNotReplacedUnderItsSerial(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	f.answer = prepaid
	client := newClient(t, f, config())
	if _, err := client.Prepay(t.Context(), order()); err != nil {
		t.Fatal(err)
	}
	other := signer{serialA, strangerKey(), certificate(strangerKey(), serialA, start.AddDate(-1, 0, 0), start.AddDate(1, 0, 0))}
	for _, signedBy := range []signer{signerA(), other} {
		c.Advance(12 * time.Hour)
		f.set(func(f *fake) { f.listed, f.signWith = []signer{other}, signedBy })
		header, body := notified(signerB(), c.Now())
		if _, err := client.ParseNotification(t.Context(), header, body); !errors.Is(err, wechatpay.ErrBadSignature) {
			t.Error(err)
		}
		header, body = notified(other, c.Now())
		if _, err := client.ParseNotification(t.Context(), header, body); !errors.Is(err, wechatpay.ErrBadSignature) {
			t.Errorf("the key was replaced: %v", err)
		}
		header, body = notified(signerA(), c.Now())
		if _, err := client.ParseNotification(t.Context(), header, body); err != nil {
			t.Errorf("the key was lost: %v", err)
		}
	}
}

func TestAMerchantWithoutCertificatesIsTold(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	f.listed = nil
	f.answer = func(*http.Request, string) (int, string) {
		return 404, `{"code":"RESOURCE_NOT_EXISTS","message":"无可用的平台证书"}`
	}
	client := newClient(t, f, config())
	for range 3 {
		_, err := client.Prepay(t.Context(), order())
		if !errors.Is(err, wechatpay.ErrNotSent) || !errors.Is(err, wechatpay.CodeResourceNotExists) || !strings.Contains(err.Error(), "PublicKeyID") {
			t.Errorf("%v, want an error that names PublicKeyID", err)
		}
	}
	if f.count(list) != 1 {
		t.Errorf("%d downloads, want 1: the refusal stands for a minute", f.count(list))
	}
	header, body := notified(signerPublic(), c.Now())
	_, err := client.ParseNotification(t.Context(), header, body)
	var s *wechatpay.SignatureError
	if !errors.As(err, &s) || s.Serial != publicKeyID || !strings.Contains(s.Hint("zh"), publicKeyID) || f.count(list) != 1 {
		t.Errorf("a notification in public-key mode: %v after %d downloads", err, f.count(list))
	}
	c.Advance(time.Minute)
	f.set(func(f *fake) { f.listed = []signer{signerA()}; f.answer = prepaid })
	if _, err := client.Prepay(t.Context(), order()); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// While a merchant switches from certificates to the public key, both arrive, and back again.
func TestSwitchToThePublicKey(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	f.answer = prepaid
	f.signWith = signerPublic()
	client := newClient(t, f, publicKeyConfig())
	for i := range 100 {
		s := signerA()
		if i%100 < 50 {
			s = signerPublic()
		}
		header, body := notified(s, c.Now())
		n, err := client.ParseNotification(t.Context(), header, body)
		if err != nil || n.Serial != s.serial {
			t.Fatalf("notification %d, signed with %s: %v", i, s.serial, err)
		}
		if _, err := client.Prepay(t.Context(), order()); err != nil {
			t.Fatal(err)
		}
	}
	if f.count(list) != 1 {
		t.Errorf("%d downloads, want 1", f.count(list))
	}
	keys := client.PlatformKeys()
	if len(keys) != 2 || keys[0].Serial != serialA || !keys[1].PublicKey || keys[1].Serial != publicKeyID || !keys[1].NotAfter.IsZero() {
		t.Errorf("PlatformKeys = %+v", keys)
	}
	other := signer{strings.Replace(publicKeyID, "0114", "0115", 1), platformKeyB(), nil}
	header, body := notified(other, c.Now())
	if _, err := client.ParseNotification(t.Context(), header, body); !errors.Is(err, wechatpay.ErrBadSignature) || f.count(list) != 1 {
		t.Errorf("another public key id: %v after %d downloads", err, f.count(list))
	}
}

func TestInventedSerialsCauseOneDownloadAMinute(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	client := newClient(t, f, config())
	header, body := notified(signerA(), c.Now())
	flood := func(n int) {
		for i := range n {
			header.Set("Wechatpay-Serial", fmt.Sprintf("%040X", i+1))
			if _, err := client.ParseNotification(t.Context(), header, body); !errors.Is(err, wechatpay.ErrBadSignature) {
				t.Fatalf("serial %d: %v", i, err)
			}
		}
	}
	flood(10_000)
	if n := f.count(""); n != 1 || len(client.PlatformKeys()) != 1 {
		t.Errorf("%d downloads and %d keys, want 1 and 1", n, len(client.PlatformKeys()))
	}
	c.Advance(time.Minute - time.Second)
	flood(100)
	if n := f.count(""); n != 1 {
		t.Errorf("%d downloads within a minute, want 1", n)
	}
	c.Advance(time.Second)
	flood(100)
	if n := f.count(""); n != 2 {
		t.Errorf("%d downloads after a minute, want 2", n)
	}
	for _, s := range []string{strings.Repeat("A", 65), "A B", "分", "../x", "\x00"} {
		c.Advance(time.Minute)
		header, body := notified(signerA(), c.Now())
		header.Set("Wechatpay-Serial", s)
		if _, err := client.ParseNotification(t.Context(), header, body); !errors.Is(err, wechatpay.ErrBadSignature) || f.count("") != 2 {
			t.Errorf("serial %q: %v after %d downloads", s, err, f.count(""))
		}
	}
}

func TestConcurrentCallersShareOneDownload(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	f.answer = prepaid
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	f.onList = func() { arrived <- struct{}{}; <-release }
	client := newClient(t, f, config())

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Prepay(gone, order()); !errors.Is(err, context.Canceled) || f.count("") != 0 {
		t.Errorf("a caller that was gone before: %v after %d requests", err, f.count(""))
	}
	var wg sync.WaitGroup
	failures := make(chan error, 100)
	for i := range 50 {
		wg.Go(func() {
			if i%2 == 0 {
				_, err := client.Prepay(t.Context(), order())
				failures <- err
				return
			}
			header, body := notified(signerA(), c.Now())
			_, err := client.ParseNotification(t.Context(), header, body)
			failures <- err
		})
	}
	<-arrived
	// A caller that gives up gets its own error at once and does not stop the others.
	if _, err := client.Prepay(gone, order()); !errors.Is(err, context.Canceled) || !errors.Is(err, wechatpay.ErrNotSent) {
		t.Errorf("a caller that gave up: %v", err)
	}
	close(release)
	wg.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			t.Error(err)
		}
	}
	if f.count(list) != 1 {
		t.Errorf("%d downloads, want 1", f.count(list))
	}
}

// Whoever sends an invented serial and hangs up must not keep others from the certificates.
func TestADownloadOutlivesItsFirstCaller(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	f.onList = func() { arrived <- struct{}{}; <-release }
	client := newClient(t, f, config())

	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		header, body := notified(signerA(), c.Now())
		header.Set("Wechatpay-Serial", "00FF")
		_, err := client.ParseNotification(ctx, header, body)
		first <- err
	}()
	<-arrived
	cancel()
	if err := <-first; !errors.Is(err, wechatpay.ErrBadSignature) || !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that hung up: %v", err)
	}
	close(release)
	header, body := notified(signerA(), c.Now())
	if _, err := client.ParseNotification(t.Context(), header, body); err != nil || f.count(list) != 1 {
		t.Errorf("the next caller: %v after %d downloads", err, f.count(list))
	}
}

func TestPresetCertificates(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	f.answer = prepaid
	expired := certificate(platformKeyB(), serialB, start.AddDate(-2, 0, 0), start.AddDate(0, 0, -1))
	client := newClient(t, f, config(), wechatpay.WithPlatformCertificates(signerA().cert, expired))
	if _, err := client.Prepay(t.Context(), order()); err != nil || f.count(list) != 0 {
		t.Errorf("%v after %d downloads, want none", err, f.count(list))
	}
	if keys := client.PlatformKeys(); len(keys) != 1 || keys[0].Serial != serialA {
		t.Errorf("PlatformKeys = %+v", keys)
	}
	c.Advance(12 * time.Hour)
	if _, err := client.Prepay(t.Context(), order()); err != nil || f.count(list) != 1 {
		t.Errorf("%v after %d downloads, want 1", err, f.count(list))
	}
}

// After the APIv3 key was replaced, what was encrypted under the old one still opens.
func TestOldAPIv3Keys(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	header, body := notified(signerA(), c.Now())
	changed := config()
	newKey, err := wechatpay.NewAPIv3Key(strings.Repeat("n", 32))
	if err != nil {
		t.Fatal(err)
	}
	changed.OldAPIv3Keys, changed.APIv3Key = []wechatpay.APIv3Key{changed.APIv3Key}, newKey
	if n, err := newClient(t, f, changed).ParseNotification(t.Context(), header, body); err != nil || n.Transaction.Amount.Total != 1999 {
		t.Errorf("%+v, %v", n, err)
	}
	changed.OldAPIv3Keys = nil
	f.set(func(f *fake) { f.listKey = strings.Repeat("n", 32) })
	if _, err := newClient(t, f, changed).ParseNotification(t.Context(), header, body); !errors.Is(err, wechatpay.ErrBadMessage) {
		t.Errorf("without the old key: %v, want ErrBadMessage", err)
	}
}
