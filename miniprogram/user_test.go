package miniprogram_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/miniprogram"
)

const (
	sessionKey = "tiihtNczf5v6AKRyjwEUhQ=="
	phoneCode  = "e31968a7f94cc5ee25fafc2aef2773f0bb8c3937b22520eb8ee345274d00c144"
)

func TestSessionKeys(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.sessions[openID] = sessionKey
	c := f.client()
	if err := c.CheckSession(t.Context(), openID, sessionKey); err != nil {
		t.Error(err)
	}
	if err := c.CheckSession(t.Context(), openID, "HyVFkGl5F5OQWJZZaNzBBg=="); !errors.Is(err, miniprogram.CodeInvalidSessionSignature) {
		t.Errorf("another key: %v", err)
	}
	fresh, err := c.ResetSession(t.Context(), openID, sessionKey)
	if err != nil || string(fresh) != f.sessions[openID] || string(fresh) == sessionKey {
		t.Errorf("ResetSession: %v", err)
	}
	if err := c.CheckSession(t.Context(), openID, sessionKey); !errors.Is(err, miniprogram.CodeInvalidSessionSignature) {
		t.Errorf("the old key: %v", err)
	}
	if err := c.CheckSession(t.Context(), openID, fresh); err != nil {
		t.Errorf("the new key: %v", err)
	}
	for name, body := range map[string]string{
		"another user": `{"openid":"o","session_key":"k"}`, "no key": `{"openid":"` + openID + `"}`, "nobody": `{"session_key":"k"}`,
	} {
		if got, err := answeringAPI(t, body).ResetSession(t.Context(), openID, sessionKey); !errors.Is(err, miniprogram.ErrNoAnswer) || got != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// answeringAPI is a client of a server that hands out a token and answers anything else with one text.
func answeringAPI(t testing.TB, body string) *miniprogram.Client {
	t.Helper()
	c, err := miniprogram.NewClient(miniprogram.Config{AppID: appID, Secret: secret}, miniprogram.WithBaseURL("http://wechat.invalid"),
		miniprogram.WithClock(func() time.Time { return start }),
		miniprogram.WithHTTPClient(&http.Client{Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == tokenPath {
				body := `{"access_token":"` + accessToken + `","expires_in":7200}`
				_, _ = io.WriteString(w, body)
				return
			}
			_, _ = io.WriteString(w, body)
		})}}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const accessToken = "74_Qg4aPchViTheAccessTokenThatNobodySees"

func TestPhoneNumber(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.client()
	want := miniprogram.PhoneNumber{Number: "13580006666", PureNumber: "13580006666", CountryCode: "86", At: start.UTC()}
	for _, holder := range []string{"", openID} {
		f.phones[phoneCode] = openID
		if got, err := c.PhoneNumber(t.Context(), phoneCode, holder); err != nil || got != want {
			t.Errorf("PhoneNumber = %+v, %v", got, err)
		}
	}
	if body, want := f.lastBody(), `{"code":"`+phoneCode+`","openid":"`+openID+`"}`; body != want {
		t.Errorf("the request is %s, want %s", body, want)
	}
	if _, err := c.PhoneNumber(t.Context(), phoneCode, ""); !errors.Is(err, miniprogram.CodeInvalidCode) {
		t.Errorf("a second exchange: %v", err)
	}
	f.phones[phoneCode] = "oSomebodyElse"
	if _, err := c.PhoneNumber(t.Context(), phoneCode, openID); !errors.Is(err, miniprogram.CodeInvalidCode) {
		t.Errorf("somebody else's code: %v", err)
	}
	const answer = `{"errcode":0,"phone_info":{"phoneNumber":%s,"purePhoneNumber":"13580006666","countryCode":%s,"watermark":{"timestamp":%s,"appid":%q}}}`
	for _, country := range []string{`"86"`, `86`} {
		if got, err := answeringAPI(t, fmt.Sprintf(answer, `"13580006666"`, country, "1637744274", appID)).PhoneNumber(t.Context(), phoneCode, ""); err != nil ||
			got.CountryCode != "86" || got.At.Unix() != 1637744274 {
			t.Errorf("country code %s: %+v, %v", country, got, err)
		}
	}
	for name, body := range map[string]string{
		"another app":     fmt.Sprintf(answer, `"1"`, `86`, "1637744274", "wx1"),
		"no time":         fmt.Sprintf(answer, `"1"`, `86`, `0`, appID),
		"time no number":  fmt.Sprintf(answer, `"1"`, `86`, `"x"`, appID),
		"no number":       fmt.Sprintf(answer, `""`, `86`, "1637744274", appID),
		"country a list":  fmt.Sprintf(answer, `"1"`, `[86]`, "1637744274", appID),
		"no phone at all": `{"errcode":0}`,
	} {
		if got, err := answeringAPI(t, body).PhoneNumber(t.Context(), phoneCode, ""); !errors.Is(err, miniprogram.ErrNoAnswer) || got != (miniprogram.PhoneNumber{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestPaidUnionID(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.pay(&fakePayment{transaction: "4200000001", merchant: "1900000001", outTradeNo: "no-1", openID: openID})
	c := f.client()
	for _, key := range []miniprogram.OrderKey{{TransactionID: "4200000001"}, {MerchantID: "1900000001", OutTradeNo: "no-1"}} {
		if got, err := c.PaidUnionID(t.Context(), openID, key); err != nil || got != "oTmHYjg-tElZ68xxxxxxxxhy1Rgk" {
			t.Errorf("%+v: %q, %v", key, got, err)
		}
	}
	f.clock.advance(5*time.Minute + time.Second)
	if _, err := c.PaidUnionID(t.Context(), openID, miniprogram.OrderKey{TransactionID: "4200000001"}); !errors.Is(err, miniprogram.CodeInvalidTrade) {
		t.Errorf("later: %v", err)
	}
}

func TestCheckEncryptedData(t *testing.T) {
	t.Parallel()
	if got, err := answeringAPI(t, `{"errcode":0,"errmsg":"ok","vaild":true,"create_time":1629121902}`).CheckEncryptedData(t.Context(), "x"); err != nil || got.Unix() != 1629121902 {
		t.Errorf("%v, %v", got, err)
	}
	for body, want := range map[string]error{
		`{"errcode":0,"errmsg":"ok","vaild":false}`: miniprogram.CodeEncryptedDataUnknown, `{"errcode":1,"errmsg":"x"}`: miniprogram.CodeEncryptedDataUnknown,
		`{"errcode":0,"vaild":true,"create_time":-1}`: miniprogram.ErrNoAnswer,
	} {
		if got, err := answeringAPI(t, body).CheckEncryptedData(t.Context(), "x"); !errors.Is(err, want) || !got.IsZero() {
			t.Errorf("%s: %v, %v", body, got, err)
		}
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	c := answeringAPI(t, `{"errcode":0,"errmsg":"ok","quota":{"daily_limit":500000,"used":3,"remain":499997}}`)
	if got, err := c.Quota(t.Context(), "/wxa/checksession"); err != nil || got != (miniprogram.Quota{DailyLimit: 500000, Used: 3, Remaining: 499997}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.Quota(t.Context(), "wxa"); !errors.Is(err, miniprogram.CodeInvalidURL) {
		t.Error(err)
	}
}

// everyCall makes one call of each method that takes a token.
func everyCall(ctx context.Context, c *miniprogram.Client) map[string]error {
	key := miniprogram.OrderKey{TransactionID: "4200000001"}
	item := []miniprogram.ShippingItem{{Description: "月卡"}}
	errs := map[string]error{}
	errs["CheckSession"] = c.CheckSession(ctx, openID, sessionKey)
	_, errs["ResetSession"] = c.ResetSession(ctx, openID, sessionKey)
	_, errs["PhoneNumber"] = c.PhoneNumber(ctx, phoneCode, openID)
	_, errs["PaidUnionID"] = c.PaidUnionID(ctx, openID, key)
	_, errs["CheckEncryptedData"] = c.CheckEncryptedData(ctx, "x")
	_, errs["Quota"] = c.Quota(ctx, "/wxa/checksession")
	errs["UploadShippingInfo"] = c.UploadShippingInfo(ctx, miniprogram.ShippingInfo{Order: key, Logistics: miniprogram.LogisticsVirtual, Items: item, OpenID: openID})
	errs["UploadCombinedShippingInfo"] = c.UploadCombinedShippingInfo(ctx, miniprogram.CombinedShippingInfo{
		Order: key, OpenID: openID, SubOrders: []miniprogram.SubOrder{{Order: key, Logistics: miniprogram.LogisticsVirtual, Items: item}},
	})
	_, errs["GetOrder"] = c.GetOrder(ctx, key)
	errs["GetOrderList"] = nil
	for _, err := range c.GetOrderList(ctx, miniprogram.OrderFilter{OpenID: openID}) {
		errs["GetOrderList"] = err
	}
	errs["NotifyConfirmReceive"] = c.NotifyConfirmReceive(ctx, key, start)
	errs["SetMsgJumpPath"] = c.SetMsgJumpPath(ctx, "pages/order/order")
	errs["UpdateOrderDetailPath"] = c.UpdateOrderDetailPath(ctx, "pages/order/order?no=${商品订单号}")
	_, errs["IsTradeManaged"] = c.IsTradeManaged(ctx)
	_, errs["IsTradeManagementConfirmationCompleted"] = c.IsTradeManagementConfirmationCompleted(ctx)
	errs["ReportSpecialOrder"] = c.ReportSpecialOrder(ctx, miniprogram.SpecialOrder{OrderID: "4200000001", Type: miniprogram.SpecialOrderTest})
	return errs
}

// Whatever is not WeChat's word is no answer, and never a yes.
func TestNoCallTakesNoAnswerForYes(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{`, `{}`, `null`, `[]`, `<html>`, `"ok"`, `{"errcode":"0"}`, `{"errcode":"40029"}`, `{"errmsg":"no"}`, `{"errcode":null}`, `{"errcode":0.5}`} {
		for name, err := range everyCall(t.Context(), answeringAPI(t, body)) {
			if !errors.Is(err, miniprogram.ErrNoAnswer) || miniprogram.ReactionTo(err) != miniprogram.ReactionRetry {
				t.Errorf("%s: %s: %v", body, name, err)
			}
		}
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	errs := everyCall(done, answeringAPI(t, `{"errcode":0}`))
	if len(errs) != 16 {
		t.Errorf("%d methods", len(errs))
	}
	for name, err := range errs {
		if !errors.Is(err, context.Canceled) || !errors.Is(err, miniprogram.ErrNoAnswer) {
			t.Errorf("cancelled: %s: %v", name, err)
		}
	}
}

// A server that repeats all that it was told makes no error tell a secret, and neither does a transport.
func TestNoCallTellsASecret(t *testing.T) {
	t.Parallel()
	signature := miniprogram.SessionSignature(sessionKey, nil)
	canaries := []string{accessToken, secret, sessionKey, strings.TrimRight(sessionKey, "="), phoneCode, openID, signature}
	check := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			text := fmt.Sprintf("%v %+v %#v", e, e, e)
			for _, bad := range canaries {
				if strings.Contains(text, bad) || strings.Contains(text, url.QueryEscape(bad)) {
					t.Errorf("%s: the error tells %q: %s", what, bad, text)
				}
			}
		}
	}
	repeat := func(status int, tokenToo bool) *miniprogram.Client {
		return newClient(t, "http://wechat.invalid", miniprogram.WithHTTPClient(&http.Client{Transport: inMemory{
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				if r.URL.Path == tokenPath && !tokenToo {
					_, _ = io.WriteString(w, `{"access_token":"`+accessToken+`","expires_in":7200}`)
					return
				}
				w.WriteHeader(status)
				query, err := url.QueryUnescape(r.URL.RawQuery)
				if err != nil {
					t.Error(err)
				}
				_, _ = fmt.Fprintf(w, `{"errcode":40097,"errmsg":%q}`, r.URL.RawQuery+" "+query+" "+strings.ReplaceAll(string(body), `"`, "'")+" rid: "+r.URL.Query().Get("access_token"))
			})}}))
	}
	for _, status := range []int{200, 500} {
		for name, err := range everyCall(t.Context(), repeat(status, false)) {
			check(name, err)
		}
	}
	for name, err := range everyCall(t.Context(), repeat(200, true)) {
		check("token for "+name, err)
	}
	talks := newClient(t, "http://wechat.invalid", miniprogram.WithHTTPClient(&http.Client{Transport: talkativeButToken{}}))
	for name, err := range everyCall(t.Context(), talks) {
		check("talkative "+name, err)
	}
}

// talkativeButToken puts the address into its errors, and into the body of what it answers with another form.
type talkativeButToken struct{}

func (talkativeButToken) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == tokenPath {
		return canned(`{"access_token":"` + accessToken + `","expires_in":7200}`).RoundTrip(r)
	}
	return talkative{}.RoundTrip(r)
}

// K12: a peer that can't prove who it is gets nothing.
func TestPeersAreVerified(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	selfSigned := newClient(t, s.URL)
	wrongHost := newClient(t, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), miniprogram.WithHTTPClient(s.Client()))
	for name, c := range map[string]*miniprogram.Client{"self-signed": selfSigned, "another host's": wrongHost} {
		if _, err := c.AccessToken(t.Context()); !errors.Is(err, miniprogram.ErrNoAnswer) {
			t.Errorf("%s certificate: %v", name, err)
		}
		if _, err := c.Code2Session(t.Context(), code); !errors.Is(err, miniprogram.ErrNoAnswer) {
			t.Errorf("%s certificate: %v", name, err)
		}
	}
}

func TestUserMistakesAreFoundBeforeARequest(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.client()
	key := miniprogram.OrderKey{TransactionID: "4200000001"}
	second := func(_ any, err error) error { return err }
	for field, err := range map[string]error{
		"openid":             c.CheckSession(t.Context(), "", sessionKey),
		"openid ":            second(c.ResetSession(t.Context(), "o b", sessionKey)),
		"session_key":        c.CheckSession(t.Context(), openID, ""),
		"code":               second(c.PhoneNumber(t.Context(), "", "")),
		"openid  ":           second(c.PhoneNumber(t.Context(), phoneCode, strings.Repeat("o", 129))),
		"openid   ":          second(c.PaidUnionID(t.Context(), "", key)),
		"transaction_id":     second(c.PaidUnionID(t.Context(), openID, miniprogram.OrderKey{})),
		"mch_id":             second(c.PaidUnionID(t.Context(), openID, miniprogram.OrderKey{MerchantID: "x", OutTradeNo: "1"})),
		"out_trade_no":       second(c.PaidUnionID(t.Context(), openID, miniprogram.OrderKey{MerchantID: "1"})),
		"encrypted_msg_hash": second(c.CheckEncryptedData(t.Context(), "")),
	} {
		var mistake *miniprogram.RequestError
		if !errors.As(err, &mistake) || mistake.Field != strings.TrimSpace(field) || miniprogram.ReactionTo(err) != miniprogram.ReactionBug ||
			mistake.Hint("zh") == mistake.Hint("en") {
			t.Errorf("%s: %v", field, err)
		}
	}
	if len(f.requests) > 0 {
		t.Errorf("requests %v", f.requests)
	}
}

// sealData encrypts data as the phone gets it. padded holds its padding.
func sealData(t testing.TB, padded []byte) miniprogram.EncryptedData {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(sessionKey)
	if err != nil {
		t.Fatal(err)
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	iv := []byte("0123456789abcdef")
	sealed := make([]byte, len(padded))
	cipher.NewCBCEncrypter(b, iv).CryptBlocks(sealed, padded)
	return miniprogram.EncryptedData{Data: base64.StdEncoding.EncodeToString(sealed), IV: base64.StdEncoding.EncodeToString(iv)}
}

func pad(b []byte, block int) []byte {
	n := block - len(b)%block
	return append(bytes.Clone(b), bytes.Repeat([]byte{byte(n)}, n)...)
}

func openData(app string, at time.Time) []byte {
	return fmt.Appendf(nil, `{"openId":"o","watermark":{"timestamp":%d,"appid":%q}}`, at.Unix(), app)
}

func TestDecryptData(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1")
	for _, x := range []struct {
		name   string
		at     time.Time
		maxAge time.Duration
		good   bool
	}{
		{"now", start, 0, true}, {"ten minutes old", start.Add(-10 * time.Minute), 0, true}, {"older", start.Add(-10*time.Minute - time.Second), 0, false},
		{"an hour old and asked for", start.Add(-time.Hour), time.Hour, true}, {"five minutes ahead", start.Add(5 * time.Minute), 0, true},
		{"more ahead", start.Add(5*time.Minute + time.Second), time.Hour, false}, {"no time", time.Unix(0, 0), 1 << 62, false},
	} {
		d := sealData(t, pad(openData(appID, x.at), 16))
		d.MaxAge = x.maxAge
		got, err := c.DecryptData(sessionKey, d)
		if x.good && (err != nil || string(got.JSON) != string(openData(appID, x.at)) || !got.At.Equal(x.at)) || !x.good && (err != miniprogram.ErrBadData || got.JSON != nil) {
			t.Errorf("%s: %s, %v", x.name, got.JSON, err)
		}
	}
	good := pad(openData(appID, start), 16)
	sealed := sealData(t, good)
	for name, x := range map[string]struct {
		key miniprogram.SessionKey
		d   miniprogram.EncryptedData
	}{
		"another app":       {sessionKey, sealData(t, pad(openData("wx1", start), 16))},
		"no watermark":      {sessionKey, sealData(t, pad([]byte(`{"openId":"o"}`), 16))},
		"no JSON":           {sessionKey, sealData(t, pad([]byte("x"), 16))},
		"nothing":           {sessionKey, sealData(t, pad(nil, 16))},
		"another key":       {"HyVFkGl5F5OQWJZZaNzBBg==", sealed},
		"no key":            {"", sealed},
		"a key of 32 bytes": {miniprogram.SessionKey(base64.StdEncoding.EncodeToString(make([]byte, 32))), sealed},
		"no data":           {sessionKey, miniprogram.EncryptedData{IV: sealed.IV}},
		"no iv":             {sessionKey, miniprogram.EncryptedData{Data: sealed.Data}},
		"a short iv":        {sessionKey, miniprogram.EncryptedData{Data: sealed.Data, IV: "AAAA"}},
		"half a block":      {sessionKey, miniprogram.EncryptedData{Data: "AAAAAAAAAAA=", IV: sealed.IV}},
		"no Base64":         {sessionKey, miniprogram.EncryptedData{Data: "*", IV: sealed.IV}},
		"very long":         {sessionKey, miniprogram.EncryptedData{Data: strings.Repeat("A", 1<<21), IV: sealed.IV}},
	} {
		if got, err := c.DecryptData(x.key, x.d); err != miniprogram.ErrBadData || got.JSON != nil {
			t.Errorf("%s: %s, %v", name, got.JSON, err)
		}
	}
}

// All of the padding counts: each of its bytes, and the number.
func TestPaddingIsCheckedWhole(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1")
	text := openData(appID, start)
	for n := range 18 {
		body := append(bytes.Repeat([]byte{' '}, (32-(len(text)+n)%16)%16), text...)
		padded := append(bytes.Clone(body), bytes.Repeat([]byte{byte(n)}, n)...)
		if len(padded)%16 != 0 {
			t.Fatal(len(padded))
		}
		_, err := c.DecryptData(sessionKey, sealData(t, padded))
		if good := n >= 1 && n <= 16; good != (err == nil) {
			t.Errorf("%d bytes of padding: %v", n, err)
		}
		for i := 2; i <= min(n, 16); i++ { // not the last byte, which would be another number
			wrong := bytes.Clone(padded)
			wrong[len(wrong)-i] ^= 1
			if _, err := c.DecryptData(sessionKey, sealData(t, wrong)); err != miniprogram.ErrBadData {
				t.Errorf("%d bytes of padding, byte %d wrong: %v", n, i, err)
			}
		}
	}
}

// Nothing makes DecryptData panic, and what passes is of this app.
func FuzzDecryptData(f *testing.F) {
	sealed := sealData(f, pad(openData(appID, start), 16))
	f.Add(sessionKey, sealed.Data, sealed.IV)
	f.Add(sessionKey, "", sealed.IV)
	f.Add("", sealed.Data[:24], "AAAA")
	f.Fuzz(func(t *testing.T, key, data, iv string) {
		c := newClient(t, "http://127.0.0.1:1")
		got, err := c.DecryptData(miniprogram.SessionKey(key), miniprogram.EncryptedData{Data: data, IV: iv})
		if err != nil && (err != miniprogram.ErrBadData || got.JSON != nil) || err == nil && !bytes.Contains(got.JSON, []byte("watermark")) {
			t.Errorf("%s, %v", got.JSON, err)
		}
	})
}
