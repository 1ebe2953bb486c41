package apiv2_test

import (
	"crypto/md5"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// What users of other SDKs fall into, as far as the tests of each file don't show it: docs/traps.md has the list.

// "" and what is absent are not signed, however they are written. "0" is neither, and " " isn't.
func TestEmptyIsNotZero(t *testing.T) {
	t.Parallel()
	client := listening(t, config())
	good := paid().with(m{"zero": "0", "blank": " "}).signed("HMAC-SHA256")
	if !strings.Contains(good.text(), "&zero=0") || !strings.Contains(good.text(), "&blank= &") {
		t.Fatalf("the stand-in signs %s", good.text())
	}
	for _, empty := range []string{"", "<none><![CDATA[]]></none>", "<none></none>", "<none/>", "<none><![CDATA[]]><![CDATA[]]></none>"} {
		text := strings.Replace(good.xml(), "</xml>", empty+"</xml>", 1)
		if got, err := client.ParsePayment([]byte(text)); err != nil || got.Fields.Get("zero") != "0" || got.Fields.Get("blank") != " " {
			t.Errorf("with %q: %v", empty, err)
		}
	}
	for name, other := range map[string]m{"zero dropped": {"zero": ""}, "blank dropped": {"blank": ""}} {
		if _, err := client.ParsePayment([]byte(good.with(other).xml())); !errors.Is(err, apiv2.ErrBadSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, signType := range []apiv2.SignType{apiv2.MD5, apiv2.HMACSHA256} {
		c := apiv2.Credentials{Key: mustKey(keyText), SignType: signType}
		sign := func(f ...apiv2.Field) string {
			s, err := c.Sign(f)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		a, zero := apiv2.Field{Name: "a", Value: "1"}, apiv2.Field{Name: "b", Value: "0"}
		if sign(a) != sign(a, apiv2.Field{Name: "b"}) || sign(a) == sign(a, zero) || sign(a, zero) != signText(string(signType), keyText, "a=1&b=0") {
			t.Errorf("%s: empty and zero are mixed up", signType)
		}
	}
}

// Values are texts from end to end: no number loses its zeros, no text its blanks.
func TestValuesAreTexts(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	for _, number := range []string{"00000042", "1e000001", "0x000001", "1234567890123456789012345678901"} {
		for _, attach := range []string{" body ", "0", "007", "a  b", "1.0"} {
			message := paid().with(m{"out_trade_no": number, "attach": attach})
			got, err := client.ParsePayment([]byte(message.signed("HMAC-SHA256").xml()))
			if err != nil || got.OutTradeNo != number || got.Attach != attach {
				t.Errorf("%q with %q reads as %+v, %v", number, attach, got, err)
			}
			f.set(prepaid)
			o := order()
			o.OutTradeNo, o.Attach, o.Description = number, attach, attach+"x"
			if _, err := client.UnifiedOrder(t.Context(), o); err != nil {
				t.Error(err)
			}
			if sent := f.last().fields; sent["out_trade_no"] != number || sent["attach"] != attach || sent["body"] != attach+"x" {
				t.Errorf("%q with %q arrives as %v", number, attach, sent)
			}
		}
	}
}

// The AES key of refund notifications is 32 characters whatever they begin with, and in lower case.
func TestRefundKeysKeepTheirZeros(t *testing.T) {
	t.Parallel()
	found := 0
	for i := 0; found < 3; i++ {
		text := fmt.Sprintf("%032d", i)
		want := fmt.Sprintf("%x", md5.Sum([]byte(text)))
		if !strings.HasPrefix(want, "0") || want == strings.ToUpper(want) {
			continue
		}
		found++
		if got := string(apiv2.RefundKey(text)); got != want {
			t.Errorf("the key of %s is %s, want %s", text, got, want)
		}
		c := config()
		c.Key = mustKey(text)
		n, err := listening(t, c).ParseRefundHint([]byte(refundNotification(text, refunded().root()).xml()))
		if err != nil || n.OutRefundNo != "REFUND-000001" {
			t.Errorf("under %s: %v", text, err)
		}
	}
}

// What an answer is signed with never reaches the phone: paySign is made of other fields, here.
func TestTheSignOfAnAnswerIsNotPaySign(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	var sign string
	f.set(func(r request) m {
		a := prepaid(r).signed("HMAC-SHA256")
		sign = a["sign"]
		return a
	})
	placed, err := client.UnifiedOrder(t.Context(), order())
	if err != nil || sign == "" {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprintf("%+v", *placed), sign) {
		t.Errorf("the order holds the sign of the answer: %+v", placed)
	}
	if _, there := reflect.TypeFor[apiv2.PlacedOrder]().FieldByName("Sign"); there {
		t.Error("PlacedOrder has a Sign to be mistaken for paySign")
	}
	p, err := client.PayParameters("", placed.PrepayID)
	want := m{"appId": appID, "nonceStr": p.NonceStr, "package": "prepay_id=" + placed.PrepayID, "signType": "HMAC-SHA256", "timeStamp": p.TimeStamp}
	if err != nil || p.PaySign == sign || p.PaySign != signText("HMAC-SHA256", keyText, want.text()) {
		t.Errorf("%+v, %v", p, err)
	}
}

// "prepay_id=" is put before the id once, here, and not at all for an app.
func TestPrepayIDsComeBare(t *testing.T) {
	t.Parallel()
	client := listening(t, config())
	for _, id := range []string{"prepay_id=" + prepayID, "prepay_id="} {
		var wrong *apiv2.RequestError
		if p, err := client.PayParameters("", id); !errors.As(err, &wrong) || wrong.Field != "prepay_id" || p != (apiv2.PayParameters{}) {
			t.Errorf("%s: %+v, %v", id, p, err)
		}
		if a, err := client.AppParameters("", id); !errors.As(err, &wrong) || wrong.Field != "prepayid" || a != (apiv2.AppParameters{}) {
			t.Errorf("%s: %+v, %v", id, a, err)
		}
	}
}

// An expiry is a moment: the zone that it is held in changes nothing, and Beijing's is sent.
func TestExpiryInAnyZone(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config())
	f.set(prepaid)
	at := start.Add(9 * time.Hour) // the next day in Beijing
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 8*3600), time.FixedZone("", -11*3600), time.FixedZone("", 5*3600+1800)} {
		o := order()
		o.ExpiresAt = at.In(zone).Add(999 * time.Millisecond)
		if _, err := client.UnifiedOrder(t.Context(), o); err != nil || f.last().fields["time_expire"] != "20261121010000" {
			t.Errorf("%s: %v, sent %s", o.ExpiresAt, err, f.last().fields["time_expire"])
		}
	}
}
