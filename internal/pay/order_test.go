package pay

import (
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fenhao-pay/fenhao/money"
)

var noon = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)

// pending is an order of 19.80 yuan that WeChat knows and whose parameters were handed out at noon.
func pending(t testing.TB) (Order, string) {
	t.Helper()
	o, effects := newOrder(Order{ID: "ord_1", MerchantID: "1900000001", AppID: "wx0123456789abcdef", UserID: "usr_1", OpenID: "o-ming", Channel: WeChatV3,
		Method: MiniProgram, Total: 1980, Description: "latte", ExpiresAt: noon.Add(30 * time.Minute)}, "", "https://shop.example/notify", noon)
	if got := kinds(effects); !slices.Equal(got, []string{"order.created"}) {
		t.Fatalf("a new order has the effects %v", got)
	}
	no := o.Current().OutTradeNo
	o = must(o.Prepaid(no, "wx-prepay", noon))(t)
	return must(o.Issue(noon))(t), no
}

// must returns the order of a step that has no error.
func must(o Order, _ []Effect, err error) func(testing.TB) Order {
	return func(t testing.TB) Order {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
}

func kinds(effects []Effect) []string {
	var all []string
	for _, e := range effects {
		switch e := e.(type) {
		case Event:
			all = append(all, string(e.Type))
		case Incident:
			all = append(all, string(e.Kind))
		}
	}
	return all
}

// word is WeChat's word that o was paid.
func word(o Order, no string) Transaction {
	return Transaction{MerchantID: o.MerchantID, AppID: o.AppID, OutTradeNo: no, TransactionID: "4200000001", State: TradePaid, Total: o.Total,
		Currency: o.Currency, OpenID: o.OpenID, PaidAt: noon.Add(time.Minute), Receipt: Receipt{"JSAPI", "OTHERS", 1880}, Evidence: Evidence{Source: "notification", Serial: "S", Digest: "D", At: noon}}
}

func TestConfirmPaysOnce(t *testing.T) {
	t.Parallel()
	o, no := pending(t)
	paid, effects, err := o.Confirm(word(o, no), noon.Add(time.Minute))
	if err != nil || paid.Status != Paid || paid.TransactionID != "4200000001" || !paid.Due.IsZero() || paid.Late || paid.Flagged {
		t.Fatalf("confirmed: %+v, %v", paid, err)
	}
	if got := kinds(effects); !slices.Equal(got, []string{"order.paid"}) {
		t.Errorf("effects %v", got)
	}
	if a := paid.Current(); a.Status != AttemptPaid || a.Evidence.Digest != "D" || a.Receipt.PayerTotal != 1880 {
		t.Errorf("the attempt is %+v", a)
	}
	again, effects, err := paid.Confirm(word(o, no), noon.Add(time.Hour))
	if err != nil || len(effects) != 0 || !reflect.DeepEqual(again, paid) {
		t.Errorf("heard twice: %v, %v", kinds(effects), err)
	}
	if o.Status != Pending || o.Current().Status != AttemptOpen {
		t.Error("the step changed the order that it was given")
	}
}

func TestConfirmNeverAppliesWhatContradictsTheOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Transaction)
		want   IncidentKind
	}{
		"amount less":      {func(w *Transaction) { w.Total = 1 }, WrongAmount},
		"amount more":      {func(w *Transaction) { w.Total = 1981 }, WrongAmount},
		"amount zero":      {func(w *Transaction) { w.Total = 0 }, WrongAmount},
		"currency":         {func(w *Transaction) { w.Currency = "USD" }, WrongAmount},
		"currency missing": {func(w *Transaction) { w.Currency = "" }, WrongAmount},
		"app":              {func(w *Transaction) { w.AppID = "wxffffffffffffffff" }, WrongApp},
		"merchant":         {func(w *Transaction) { w.MerchantID = "1900000002" }, WrongMerchant},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, no := pending(t)
			w := word(o, no)
			c.change(&w)
			got, effects, err := o.Confirm(w, noon)
			if err != nil || got.Status != Pending || got.TransactionID != "" || got.Current().Status != AttemptOpen {
				t.Fatalf("applied: %+v, %v", got, err)
			}
			if !got.Flagged || !got.Frozen || got.Due.IsZero() {
				t.Errorf("flagged %v, frozen %v, due %v", got.Flagged, got.Frozen, got.Due)
			}
			if k := kinds(effects); !slices.Equal(k, []string{string(c.want), "order.flagged"}) {
				t.Errorf("effects %v", k)
			}
			if err := got.Payable(noon); !errors.Is(err, CodeOrderFrozen) {
				t.Errorf("still payable: %v", err)
			}
			// The incident comes again with each repetition, the event does not.
			if _, effects, _ := got.Confirm(w, noon); !slices.Equal(kinds(effects), []string{string(c.want)}) {
				t.Errorf("repeated: %v", kinds(effects))
			}
			// When WeChat's word agrees after all, the money is the order's.
			healed, effects, err := got.Confirm(word(o, no), noon)
			if err != nil || healed.Status != Paid || healed.Frozen || !healed.Flagged || !slices.Equal(kinds(effects), []string{"order.paid"}) {
				t.Errorf("healed: %+v %v %v", healed, kinds(effects), err)
			}
		})
	}
}

func TestConfirmWantsAPayment(t *testing.T) {
	t.Parallel()
	o, no := pending(t)
	for name, change := range map[string]func(*Transaction){
		"open":           func(w *Transaction) { w.State = TradeOpen },
		"closed":         func(w *Transaction) { w.State = TradeClosed },
		"unknown":        func(w *Transaction) { w.State = "" },
		"no transaction": func(w *Transaction) { w.TransactionID = "" },
		"other number":   func(w *Transaction) { w.OutTradeNo = "ord_other" },
	} {
		w := word(o, no)
		change(&w)
		if got, effects, err := o.Confirm(w, noon); err == nil || len(effects) != 0 || !reflect.DeepEqual(got, o) {
			t.Errorf("%s: %v, %v", name, kinds(effects), err)
		}
	}
}

func TestLatePaymentIsMoney(t *testing.T) {
	t.Parallel()
	o, no := pending(t)
	closed := must(o.Void(no, noon))(t)
	if closed.Status != Closed || closed.ClosedAt != noon || !closed.Due.IsZero() {
		t.Fatalf("closed: %+v", closed)
	}
	got, effects, err := closed.Confirm(word(o, no), noon.Add(26*time.Hour))
	if err != nil || got.Status != Paid || !got.Late || !slices.Equal(kinds(effects), []string{"order.paid"}) {
		t.Errorf("late: %+v %v %v", got, kinds(effects), err)
	}
}

func TestSecondPaymentIsFlaggedAndNeverOverwrites(t *testing.T) {
	t.Parallel()
	o, no := pending(t)
	paid := must(o.Confirm(word(o, no), noon))(t)
	w := word(o, no)
	w.TransactionID = "4200000002"
	got, effects, err := paid.Confirm(w, noon)
	if err != nil || got.TransactionID != "4200000001" || got.Current().TransactionID != "4200000001" || !got.Flagged {
		t.Errorf("second payment: %+v, %v", got, err)
	}
	if k := kinds(effects); !slices.Equal(k, []string{"second_payment", "order.flagged"}) {
		t.Errorf("effects %v", k)
	}
}

func TestAnotherPayerIsKeptAndFlagged(t *testing.T) {
	t.Parallel()
	o, no := pending(t)
	w := word(o, no)
	w.OpenID = "o-hong"
	got, effects, err := o.Confirm(w, noon)
	if err != nil || got.Status != Paid || !got.Flagged || !slices.Equal(kinds(effects), []string{"order.paid", "wrong_payer", "order.flagged"}) {
		t.Errorf("%+v %v %v", got.Status, kinds(effects), err)
	}
}

// ORDER_NOT_EXIST closes nothing while a Prepay may still be under way or parameters may still be handed out.
func TestAbsentIsBelievedLate(t *testing.T) {
	t.Parallel()
	o, effects := newOrder(Order{ID: "ord_1", MerchantID: "1900000001", AppID: "wx0123456789abcdef", OpenID: "o", Total: 1, ExpiresAt: noon.Add(5 * time.Minute)}, "", "", noon)
	_ = effects
	no := o.Current().OutTradeNo
	for _, c := range []struct {
		at   time.Duration
		want Status
	}{
		{0, Pending}, {5*time.Minute - time.Millisecond, Pending}, {5 * time.Minute, Pending}, {Grace - time.Millisecond, Pending}, {Grace, Closed},
	} {
		got, _, err := o.Absent(no, noon.Add(c.at))
		if err != nil || got.Status != c.want {
			t.Errorf("after %s: %s, %v", c.at, got.Status, err)
		}
		if got.Status == Pending && !got.Due.After(noon.Add(c.at)) {
			t.Errorf("after %s: due %s", c.at, got.Due.Sub(noon))
		}
	}
	// One that had a prepay_id may have been paid: somebody should look at it, and WeChat is asked on.
	open := must(o.Prepaid(no, "wx", noon))(t)
	got, effects, _ := open.Absent(no, noon.Add(time.Hour))
	if got.Status != Pending || !got.Flagged || !got.Due.After(noon.Add(time.Hour)) || !slices.Equal(kinds(effects), []string{"missing_at_wechat", "order.flagged"}) {
		t.Errorf("gone: %+v %v", got.Status, kinds(effects))
	}
}

// Two taps at once: the refusal of one call proves nothing while the other is under way.
func TestRefusedIsBelievedOfTheOnlyCall(t *testing.T) {
	t.Parallel()
	o, _ := newOrder(Order{ID: "ord_1", MerchantID: "1900000001", AppID: "wx0123456789abcdef", OpenID: "o", Total: 1, ExpiresAt: noon.Add(5 * time.Minute)}, "", "", noon)
	no := o.Current().OutTradeNo
	if got := must(o.Refused(no, noon))(t); got.Status != Closed {
		t.Errorf("the only call was refused: %s", got.Status)
	}
	two := must(o.Intend(no, noon))(t) // within the same millisecond
	if got := must(two.Refused(no, noon))(t); got.Status != Pending || got.Due.IsZero() {
		t.Errorf("one of two calls was refused: %s", got.Status)
	}
}

// Whatever happens, a payment within three minutes of handing out parameters is asked for at most 8 seconds later.
func TestSilenceIsShort(t *testing.T) {
	t.Parallel()
	o, no := pending(t)
	last, asked := noon, 0
	for at := o.Due; at.Before(noon.Add(3 * time.Minute)); at = o.Due {
		if gap := at.Sub(last); gap > 8*time.Second || gap <= 0 {
			t.Fatalf("WeChat is asked %s and then %s after the start", last.Sub(noon), at.Sub(noon))
		}
		last, asked = at, asked+1
		o = must(o.Unpaid(no, at))(t)
	}
	if first := firstDue(t).Sub(noon); first != 3*time.Second {
		t.Errorf("the first question comes after %s", first)
	}
	for !o.Expired(o.Due) { // it backs off, and the last question comes at the expiry
		asked++
		o = must(o.Unpaid(no, o.Due))(t)
	}
	if !o.Due.Equal(o.ExpiresAt) || asked > 80 {
		t.Errorf("asked %d times, the last time at %s", asked, o.Due.Sub(noon))
	}
}

func firstDue(t testing.TB) time.Time { o, _ := pending(t); return o.Due }

func TestMissedBacksOff(t *testing.T) {
	t.Parallel()
	o, no := pending(t)
	at := noon
	for i, want := range []time.Duration{2, 4, 8, 16, 32, 60, 60, 60} {
		o = must(o.Missed(at))(t)
		if got := o.Due.Sub(at); got != want*time.Second {
			t.Errorf("miss %d waits %s, want %d s", i+1, got, want)
		}
		at = o.Due
	}
	if o = must(o.Unpaid(no, at))(t); o.Misses != 0 {
		t.Error("an answer does not end the misses")
	}
}

// walk takes any steps in any order and checks what must hold after each.
func TestInvariantsOfAnyWalk(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := noon
		o, effects := newOrder(Order{ID: "ord_1", MerchantID: "1900000001", AppID: "wx0123456789abcdef", OpenID: "o", Total: 100, ExpiresAt: now.Add(10 * time.Minute)}, "", "", now)
		no, transactions := o.Current().OutTradeNo, 0
		counts := map[string]int{}
		for _, k := range kinds(effects) {
			counts[k]++
		}
		t.Repeat(map[string]func(*rapid.T){
			"step": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 600_000).Draw(t, "ms")) * time.Millisecond)
				before := o
				w := word(o, no)
				switch rapid.IntRange(0, 3).Draw(t, "word") {
				case 0:
					w.Total = money.Fen(rapid.Int64Range(0, 200).Draw(t, "total"))
				case 1:
					w.TransactionID = rapid.SampledFrom([]string{"4200000001", "4200000002"}).Draw(t, "transaction")
				}
				var effects []Effect
				var err error
				switch step := rapid.SampledFrom([]string{"confirm", "unpaid", "void", "absent", "refused", "missed", "hasten", "issue", "intend", "prepaid"}).Draw(t, "step"); step {
				case "confirm":
					o, effects, err = o.Confirm(w, now)
					transactions++
				case "unpaid":
					o, effects, err = o.Unpaid(no, now)
				case "void":
					o, effects, err = o.Void(no, now)
				case "absent":
					o, effects, err = o.Absent(no, now)
				case "refused":
					o, effects, err = o.Refused(no, now)
				case "missed":
					o, effects, err = o.Missed(now)
				case "hasten":
					o, effects, err = o.Hasten(now)
				case "issue":
					o, effects, err = o.Issue(now)
				case "intend":
					o, effects, err = o.Intend(no, now)
				case "prepaid":
					o, effects, err = o.Prepaid(no, "wx", now)
				}
				if err != nil && (len(effects) > 0 || !reflect.DeepEqual(before, o)) {
					t.Fatalf("a step with an error changed something: %v", err)
				}
				for _, k := range kinds(effects) {
					counts[k]++
				}
				if before.Status != o.Status && !slices.Contains([][2]Status{{Pending, Paid}, {Pending, Closed}, {Closed, Paid}}, [2]Status{before.Status, o.Status}) {
					t.Fatalf("%s became %s", before.Status, o.Status)
				}
				if before.Status == Paid && (o.TransactionID != before.TransactionID || o.PaidAt != before.PaidAt) {
					t.Fatal("the first payment was overwritten")
				}
			},
			"": func(t *rapid.T) {
				if o.Status == Pending && o.Due.IsZero() {
					t.Fatal("an open order is not due: it would be forgotten")
				}
				if (o.Status == Paid) != (o.Current().Status == AttemptPaid) || (o.Status == Paid) != (o.TransactionID != "") {
					t.Fatalf("order %s, attempt %s, transaction %q", o.Status, o.Current().Status, o.TransactionID)
				}
				if o.Status == Paid && (o.Current().Evidence == (Evidence{}) || transactions == 0) {
					t.Fatal("paid without evidence")
				}
				want := map[string]int{"order.created": 1, "order.paid": b2i(o.Status == Paid), "order.flagged": b2i(o.Flagged),
					"order.closed": b2i(o.Status == Closed || o.Late)}
				for k, n := range want {
					if counts[k] != n {
						t.Fatalf("%d events %s, want %d; the order is %s", counts[k], k, n, o.Status)
					}
				}
				if o.Total != 100 || o.MerchantID != "1900000001" || o.AppID != "wx0123456789abcdef" || o.OpenID != "o" {
					t.Fatal("what never changes has changed")
				}
			},
		})
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// docs/states.md draws each transition of the code as "from --> to: Step"; neither has one more than the other.
func TestStatesAreDrawn(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/states.md")
	if err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for _, m := range regexp.MustCompile(`(?m)^\s*(\[\*\]|\w+) --> (\w+): (\w+)$`).FindAllStringSubmatch(string(text), -1) {
		drawn = append(drawn, strings.Join(m[1:], " "))
	}
	o, no := pending(t)
	unknown, _ := newOrder(o, "", "", noon)
	closed := must(o.Void(no, noon))(t)
	paid := must(o.Confirm(word(o, no), noon))(t)
	steps := map[string]func(Order, string) (Order, []Effect, error){
		"Confirm": func(o Order, no string) (Order, []Effect, error) { return o.Confirm(word(o, no), noon) },
		"Void":    func(o Order, no string) (Order, []Effect, error) { return o.Void(no, noon) },
		"Absent":  func(o Order, no string) (Order, []Effect, error) { return o.Absent(no, noon.Add(time.Hour)) },
		"Refused": func(o Order, no string) (Order, []Effect, error) { return o.Refused(no, noon) },
		"Unpaid":  func(o Order, no string) (Order, []Effect, error) { return o.Unpaid(no, noon) },
		"Prepaid": func(o Order, no string) (Order, []Effect, error) { return o.Prepaid(no, "wx", noon) },
		"Missed":  func(o Order, _ string) (Order, []Effect, error) { return o.Missed(noon) },
		"Hasten":  func(o Order, _ string) (Order, []Effect, error) { return o.Hasten(noon) },
		"Issue":   func(o Order, _ string) (Order, []Effect, error) { return o.Issue(noon) },
		"Intend":  func(o Order, no string) (Order, []Effect, error) { return o.Intend(no, noon) },
	}
	real := []string{"[*] pending newOrder", "[*] unknown newOrder"}
	for name, step := range steps {
		for _, from := range []Order{o, unknown, closed, paid} {
			to, _, err := step(from, from.Current().OutTradeNo)
			if err != nil {
				continue
			}
			if from.Status != to.Status {
				real = append(real, string(from.Status)+" "+string(to.Status)+" "+name)
			}
			if a, b := from.Current().Status, to.Current().Status; a != b {
				real = append(real, string(a)+" "+string(b)+" "+name)
			}
		}
	}
	slices.Sort(drawn)
	slices.Sort(real)
	drawn, real = slices.Compact(drawn), slices.Compact(real)
	for _, r := range real {
		if !slices.Contains(drawn, r) {
			t.Errorf("the code does %q, which docs/states.md does not draw", r)
		}
	}
	for _, d := range drawn {
		if !slices.Contains(real, d) {
			t.Errorf("docs/states.md draws %q, which the code does not do", d)
		}
	}
}

func TestPriceComesFromTheCatalogue(t *testing.T) {
	t.Parallel()
	shop := map[ProductID]Product{"a": {ID: "a", Name: "latte", Price: 1980, Active: true}, "b": {ID: "b", Name: "bagel", Price: 29, Active: true},
		"gone": {ID: "gone", Name: "gone", Price: 1}, "dear": {ID: "dear", Name: "dear", Price: MaxTotal, Active: true}}
	items, total, err := price([]Line{{"a", 2}, {"b", 3}}, shop)
	if err != nil || total != 2*1980+3*29 || len(items) != 2 || items[1] != (Item{"b", "bagel", 29, 3}) {
		t.Errorf("%v %d %v", items, total, err)
	}
	for name, c := range map[string]struct {
		lines []Line
		want  Code
	}{
		"none":         {nil, CodeInvalid},
		"too many":     {slices.Repeat([]Line{{"a", 1}}, 51), CodeInvalid},
		"zero":         {[]Line{{"a", 0}}, CodeInvalid},
		"negative":     {[]Line{{"a", -1}}, CodeInvalid},
		"thousand":     {[]Line{{"a", 1000}}, CodeInvalid},
		"unknown":      {[]Line{{"x", 1}}, CodeProductNotFound},
		"not for sale": {[]Line{{"gone", 1}}, CodeProductInactive},
		"too dear":     {[]Line{{"dear", 1}, {"b", 1}}, CodeAmountTooLarge},
	} {
		if _, _, err := price(c.lines, shop); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestDescriptionFitsWeChat(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("咖", 60)
	if got := describe([]Item{{Name: long}}); len(got) != 126 || !strings.HasPrefix(long, got) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	for s, want := range map[string]bool{"咖啡 a": true, "😀": false, "a\nb": false, "\xff": false, "": true} {
		if plainText(s) != want {
			t.Errorf("plainText(%q) is not %v", s, want)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^[0-9A-Za-z_\-|*]{6,32}$`) // WeChat's out_trade_no
	seen := map[string]bool{}
	last := ""
	var source idSource
	for i := range 100_000 {
		id := source.id("ord_", noon.Add(time.Duration(i/1000)*time.Millisecond))
		if len(id) != 30 || !shape.MatchString(id) || seen[id] || id <= last {
			t.Fatalf("%q after %q", id, last)
		}
		seen[id], last = true, id
	}
}
