package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// One answer accepts a notification of v2; after any other it is repeated on the schedule of v3.
func TestAcceptanceV2(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		status   int
		body     string
		accepted bool
	}{
		{"as the manual has it", 200, "<xml>\n  <return_code><![CDATA[SUCCESS]]></return_code>\n  <return_msg><![CDATA[OK]]></return_msg>\n</xml>", true},
		{"without CDATA", 200, "<xml><return_code>SUCCESS</return_code></xml>", true},
		{"FAIL", 200, "<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[库存不足]]></return_msg></xml>", false},
		{"nothing", 200, "", false},
		{"no content", 204, "", false},
		{"success by another status", 500, "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>", false},
		{"created", 201, "<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>", false},
		{"as v3 wants it", 200, `{"code":"SUCCESS","message":"成功"}`, false},
		{"a bare word", 200, "success", false},
		{"lower case", 200, "<xml><return_code>success</return_code></xml>", false},
		{"blanks", 200, "<xml><return_code> SUCCESS </return_code></xml>", false},
		{"no code", 200, "<xml><return_msg>OK</return_msg></xml>", false},
		{"more than that", 200, "<xml><return_code>SUCCESS</return_code><return_msg>OK</return_msg><result_code>FAIL</result_code></xml>", false},
		{"another root", 200, "<root><return_code>SUCCESS</return_code></root>", false},
		{"a page", 200, "<!DOCTYPE html><html><body>SUCCESS</body></html>", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			newBubble(t, Options{}, func(w *world) {
				w.shop.answer, w.shop.reply = func(int) int { return c.status }, c.body
				begin := time.Now()
				w.buyV2("order-000001", "")
				time.Sleep(48 * time.Hour)
				var got []time.Duration
				for _, r := range w.shop.all() {
					got = append(got, r.at.Sub(begin))
				}
				want, status := instants(w.t), NotificationGivenUp
				if c.accepted {
					want, status = want[:1], NotificationAccepted
				}
				if n := w.Notifications()[0]; !slices.Equal(got, want) || n.Status != status || n.EventType != "TRANSACTION.SUCCESS" {
					w.t.Errorf("came at %v, %s\nwant %v, %s", got, n.Status, want, status)
				}
			})
		})
	}
}

// Repeats are the same payment, signed afresh, in any order of the names.
func TestRepeatsV2(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.answer = func(int) int { return 500 }
		w.buyV2("order-000001", "HMAC-SHA256")
		time.Sleep(48 * time.Hour)
		nonces, orders := map[string]bool{}, map[string]bool{}
		var first params
		for _, r := range w.shop.all() {
			p := readV2(r.body)
			if !w.genuineV2(p, "HMAC-SHA256") || r.header.Get("Content-Type") != "text/xml" {
				w.t.Errorf("%v %s", r.header, r.body)
			}
			nonces[p["nonce_str"]], orders[string(r.body[:40])] = true, true
			p = p.with(params{"nonce_str": "", "sign": ""})
			if first == nil {
				first = p
			}
			if len(p) != len(first) || p["transaction_id"] != first["transaction_id"] || p["time_end"] != first["time_end"] {
				w.t.Errorf("%v\nfirst %v", p, first)
			}
		}
		if len(nonces) != 16 || len(orders) < 2 {
			w.t.Errorf("%d nonces, %d beginnings", len(nonces), len(orders))
		}
	})
}

// Each kind of fault does to a notification of v2 what it says, and the repeat is right again.
func TestFaultsOnNotificationsV2(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind    string
		came    int // after ten seconds
		later   int // after a day
		deliver func(w *world, r *received) bool
	}{
		{"bad_signature", 1, 1, func(w *world, r *received) bool {
			p := readV2(r.body)
			return !w.genuineV2(p, "MD5") && len(p["sign"]) == 32 && p["total_fee"] == "998"
		}},
		{"signtest", 1, 1, func(w *world, r *received) bool {
			return strings.HasPrefix(readV2(r.body)["sign"], "WECHATPAY/SIGNTEST/")
		}},
		{"truncate", 1, 1, func(w *world, r *received) bool { return len(r.body) > 0 && readV2(r.body) == nil }},
		{"wrong_amount", 1, 1, func(w *world, r *received) bool {
			p := readV2(r.body)
			return w.genuineV2(p, "MD5") && p["total_fee"] == "999"
		}},
		{"wrong_app", 1, 1, func(w *world, r *received) bool {
			p := readV2(r.body)
			return w.genuineV2(p, "MD5") && p["appid"] != w.app.ID && len(p["appid"]) == 18
		}},
		{"duplicate", 2, 2, func(w *world, r *received) bool { return w.genuineV2(readV2(r.body), "MD5") }},
		{"replay", 2, 2, func(w *world, r *received) bool { return w.genuineV2(readV2(r.body), "MD5") }},
		{"lose_request", 0, 1, nil},
		{"lose_response", 1, 2, func(w *world, r *received) bool { return w.genuineV2(readV2(r.body), "MD5") }},
		{"drop", 0, 0, nil},
		{"delay", 0, 1, nil},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			newBubble(t, Options{}, func(w *world) {
				w.shop.acceptV2()
				f := Fault{On: "notify.payment", Kind: c.kind, Count: 1}
				if c.kind == "delay" {
					f.Delay = time.Minute
				}
				w.fault(f)
				w.buyV2("order-000001", "")
				time.Sleep(10 * time.Second)
				all := w.shop.all()
				if len(all) != c.came || c.deliver != nil && !c.deliver(w, all[0]) {
					w.t.Errorf("came %d times: %+v", len(all), all)
				}
				time.Sleep(24 * time.Hour)
				if n := len(w.shop.all()); n != c.later {
					w.t.Errorf("after a day it has come %d times, want %d", n, c.later)
				}
			})
		})
	}
}

// A shop that refuses what it can't verify gets the true notification on the next attempt.
func TestForgedNotificationIsRepeatedV2(t *testing.T) {
	t.Parallel()
	newBubble(t, Options{}, func(w *world) {
		w.shop.answer = func(int) int { return 200 }
		w.shop.reply = "<xml><return_code>FAIL</return_code><return_msg>sign</return_msg></xml>"
		w.fault(Fault{On: "notify.payment", Kind: "wrong_amount", Count: 1})
		w.buyV2("order-000001", "")
		synctest.Wait()
		w.shop.acceptV2()
		time.Sleep(time.Hour)
		all := w.shop.all()
		if len(all) != 2 || readV2(all[0].body)["total_fee"] != "999" || readV2(all[1].body)["total_fee"] != "998" {
			w.t.Errorf("%d notifications", len(all))
		}
	})
}

// The notification of an order may come without sign_type, and is signed by the order's algorithm all the same.
func TestNotificationWithoutSignType(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	if status := w.control("POST", "settings", map[string]any{"omit_sign_type": true}, nil); status != 200 || !w.Settings().OmitSignType {
		t.Errorf("settings answer %d", status)
	}
	w.shop.acceptV2()
	w.buyV2("order-000001", "HMAC-SHA256")
	w.idle()
	p := readV2(w.shop.all()[0].body)
	if _, ok := p["sign_type"]; ok || !w.genuineV2(p, "HMAC-SHA256") || len(p["sign"]) != 64 {
		t.Errorf("%v", p)
	}
	if a := w.Notifications()[0].Attempts[0]; a.Status != http.StatusOK || a.Error != "" {
		t.Errorf("%+v", a)
	}
}
