package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// This file is the ways to the cashier outside of a mini program: a QR code, a link in a phone's browser, an app.

// CheckoutResult is what came of a buyer's visit to the cashier, and, for the developer alone, why. No server and no page
// of the merchant hears of it this way.
type CheckoutResult struct {
	Outcome    string `json:"outcome"` // paid, cancelled, failed, or refused: the cashier didn't open
	Reason     string `json:"reason,omitempty"`
	OutTradeNo string `json:"out_trade_no"`
	// RedirectURL is where the browser goes then: the redirect_url that was appended to an h5_url.
	RedirectURL string `json:"redirect_url,omitempty"`
}

// Scan is a user who scans the QR code of a code_url with WeChat and then pays ("pay", also ""), cancels ("cancel") or can't
// pay ("fail"). Of an order's code_urls only the newest one works.
//
// The error is of the call to the sandbox itself: no user, an unknown action.
func (s *Sandbox) Scan(user, codeURL, action string) (CheckoutResult, error) {
	return s.checkout("scan", user, codeURL, codeURL, tradeNative, action)
}

// OpenH5 is a user who opens an h5_url in the browser of a phone, to which the merchant may have appended
// "&redirect_url=" and an escaped URL; action and error are as of [Sandbox.Scan].
func (s *Sandbox) OpenH5(user, h5URL, action string) (CheckoutResult, error) {
	link, escaped, redirected := strings.Cut(h5URL, "&redirect_url=")
	back := ""
	if redirected {
		var err error
		back, err = url.QueryUnescape(escaped)
		if u, parse := url.Parse(back); err != nil || parse != nil || u.Host == "" || strings.ContainsAny(escaped, "&?:/") {
			return CheckoutResult{Outcome: "refused", Reason: "redirect_url must be an absolute URL, escaped as a value of a query"}, nil
		}
	}
	result, err := s.checkout("open-h5", user, h5URL, link, tradeH5, action)
	if result.Outcome != "refused" {
		result.RedirectURL = back
	}
	return result, err
}

func (s *Sandbox) checkout(name, user, shown, link, tradeType, action string) (CheckoutResult, error) {
	action = cmp.Or(action, "pay")
	outcome, ok := outcomes[action]
	if !ok {
		return CheckoutResult{}, fmt.Errorf("action %q is unknown: a user can pay, cancel or fail", action)
	}
	s.mu.Lock()
	result := CheckoutResult{Outcome: "refused", Reason: "WeChat Pay gave no such " + linkNames[tradeType]}
	prepayID := s.books.links[link]
	o, known := s.books.prepays[prepayID]
	var err error
	if known && o.tradeType() == tradeType {
		result.OutTradeNo = o.OutTradeNo
		var openID string
		if openID, err = s.know(o.AppID, user); err == nil {
			refused := s.visit(prepayID, openID, action)
			if result.Outcome, result.Reason = outcome, ""; refused != nil {
				result.Outcome, result.Reason = "refused", refused.Error()
			}
		}
	} else if user == "" {
		err = errNoUser
	}
	s.mu.Unlock()
	if err != nil {
		return CheckoutResult{}, err
	}
	s.record(Entry{Kind: "user", Name: name, OutTradeNo: result.OutTradeNo, Request: shown, Response: string(encode(result)),
		Summary: user + ": " + result.Outcome})
	return result, s.settled()
}

var errNoUser = errors.New("user is missing: any name will do")

// outcomes are what comes of the actions where nothing is refused.
var outcomes = map[string]string{"pay": "paid", "cancel": "cancelled", "fail": "failed"}

var linkNames = map[string]string{tradeNative: "code_url", tradeH5: "h5_url"}

// AppPayment is an app's call of WeChat's OpenSDK (PayReq) on the phone of a user. The seven parameters are passed as the
// service made them.
type AppPayment struct {
	User      string `json:"user"`
	AppID     string `json:"appid"`
	PartnerID string `json:"partnerid"`
	PrepayID  string `json:"prepayid"`
	Package   string `json:"package"`
	NonceStr  string `json:"noncestr"`
	TimeStamp string `json:"timestamp"`
	Sign      string `json:"sign"`
	Action    string `json:"action"` // what the user does: "pay" (also ""), "cancel" or "fail"
}

// AppResult is what WeChat tells the app (PayResp), and, for the developer alone, why.
type AppResult struct {
	ErrCode int    `json:"errCode"` // 0 paid, -1 failed, -2 cancelled
	Reason  string `json:"reason,omitempty"`
}

// PayInApp is an app that calls WeChat to pay. The result is what the app sees; an error is of the call to the sandbox
// itself: no user, an unknown app or action.
//
// Source: vendor manual, "APP调起支付".
func (s *Sandbox) PayInApp(p AppPayment) (AppResult, error) {
	action := cmp.Or(p.Action, "pay")
	if _, ok := outcomes[action]; !ok {
		return AppResult{}, fmt.Errorf("action %q is unknown: a user can pay, cancel or fail", action)
	}
	s.mu.Lock()
	openID, err := s.know(p.AppID, p.User)
	var o order
	if at, ok := s.books.prepays[p.PrepayID]; ok {
		o = *at
	}
	m := s.merchantOf(o.MerchantID)
	s.mu.Unlock()
	if err != nil {
		return AppResult{}, err
	}
	result := AppResult{-1, ""}
	switch {
	case m == nil:
		result.Reason = "no order has the prepayid " + p.PrepayID
	case o.tradeType() != tradeApp:
		result.Reason = "the prepayid is of a " + o.tradeType() + " order, which an app can't pay"
	case o.AppID != p.AppID:
		result.Reason = "the order is for the app " + o.AppID
	case p.PartnerID != o.MerchantID:
		result.Reason = "the order is of the partnerid " + o.MerchantID
	case p.Package != "Sign=WXPay":
		result.Reason = `package is "Sign=WXPay"`
	case p.NonceStr == "" || len(p.NonceStr) > 32 || p.TimeStamp == "":
		result.Reason = "noncestr has 1 to 32 bytes, timestamp isn't empty"
	case p.misSigned(o, m) != "":
		result.Reason = p.misSigned(o, m)
	default:
		s.mu.Lock()
		refused := s.visit(p.PrepayID, openID, action)
		s.mu.Unlock()
		switch {
		case refused != nil:
			result.Reason = refused.Error()
		case action == "cancel":
			result.ErrCode = -2
		case action == "fail":
			result.Reason = "the user's payment failed; the order stays unpaid"
		default:
			result.ErrCode = 0
		}
	}
	s.record(Entry{Kind: "user", Name: "app-payment", OutTradeNo: o.OutTradeNo, Request: string(encode(p)),
		Response: string(encode(result)), Summary: fmt.Sprintf("%s: errCode %d", p.User, result.ErrCode)})
	return result, s.settled()
}

// misSigned tells why the parameters aren't signed as the order wants it; "" is that they are.
func (p AppPayment) misSigned(o order, m *merchant) string {
	if o.API == "v2" {
		return p.misSignedV2(o, m)
	}
	message := lines(p.AppID, p.TimeStamp, p.NonceStr, p.PrepayID)
	if !verified(m.key, message, p.Sign) {
		return fmt.Sprintf("sign is no signature of the merchant's API key over %q", message)
	}
	return ""
}
