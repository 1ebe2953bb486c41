package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
)

// PaymentRequest is a call of wx.requestPayment on the phone of a user. The five parameters are passed as the service
// made them.
type PaymentRequest struct {
	AppID     string // of the mini program that runs on the phone
	User      string
	TimeStamp string
	NonceStr  string
	Package   string
	SignType  string // "" is MD5, as on the phone
	PaySign   string
	Action    string // what the user does: "pay" (also ""), "cancel" or "fail"
	Detail    string // with "fail": what WeChat says after "requestPayment:fail "
}

// PaymentResult is what the phone tells the mini program, and, for the developer alone, why.
type PaymentResult struct {
	ErrMsg string `json:"errMsg"`
	Reason string `json:"reason,omitempty"`
}

// OK tells whether the phone said that the payment was made.
func (r PaymentResult) OK() bool { return r.ErrMsg == "requestPayment:ok" }

// RequestPayment is wx.requestPayment. The result is what a mini program sees; an error is of the call to the sandbox
// itself: no user, an unknown app or action.
//
// Source: mini-program manual, "wx.requestPayment"; vendor manual, "小程序调起支付".
func (s *Sandbox) RequestPayment(p PaymentRequest) (PaymentResult, error) {
	values := [5]string{p.TimeStamp, p.NonceStr, p.Package, p.SignType, p.PaySign}
	given := map[string]json.RawMessage{}
	for i, name := range paymentParameters {
		if values[i] != "" {
			given[name] = encode(values[i])
		}
	}
	return s.requestPayment(p.AppID, p.User, p.Action, p.Detail, given)
}

var paymentParameters = [5]string{"timeStamp", "nonceStr", "package", "signType", "paySign"}

// requestPayment is RequestPayment with the five parameters as they came, of whatever type.
func (s *Sandbox) requestPayment(
	appID, user, action, detail string, given map[string]json.RawMessage,
) (PaymentResult, error) {
	switch action {
	case "":
		action = "pay"
	case "pay", "cancel", "fail":
	default:
		return PaymentResult{}, fmt.Errorf("action %q is unknown: a user can pay, cancel or fail", action)
	}
	s.mu.Lock()
	openID, err := s.know(appID, user)
	s.mu.Unlock()
	if err != nil {
		return PaymentResult{}, err
	}
	e := Entry{Kind: "user", Name: "requestPayment", Request: string(encode(given))}
	result, o := s.cashier(appID, openID, action, detail, given)
	e.OutTradeNo, e.Response, e.Summary = o.OutTradeNo, string(encode(result)), user+": "+result.ErrMsg
	s.record(e)
	return result, s.settled()
}

// cashier checks the parameters in the order in which they say most to a developer, and lets the user act.
func (s *Sandbox) cashier(appID, openID, action, detail string, given map[string]json.RawMessage) (PaymentResult, order) {
	failed := func(text, reason string) PaymentResult {
		return PaymentResult{"requestPayment:fail " + text, reason}
	}
	p, wrong := paymentStrings(given)
	if wrong != "" {
		return failed("parameter error: "+wrong,
			"every parameter of wx.requestPayment is a string, made by the server"), order{}
	}
	prepayID, ok := strings.CutPrefix(p["package"], "prepay_id=")
	if !ok {
		return failed("parameter error: parameter.package is invalid",
			`package is "prepay_id=" and the prepay_id`), order{}
	}

	s.mu.Lock()
	var o order
	at, ok := s.books.prepays[prepayID]
	if ok {
		o = *at
	}
	m := s.merchantOf(o.MerchantID)
	s.mu.Unlock()
	switch {
	case !ok:
		return failed("prepay_id is invalid", "no order has the prepay_id "+prepayID), order{}
	case o.tradeType() != tradeJSAPI:
		return failed("prepay_id is invalid",
			"the prepay_id is of a "+o.tradeType()+" order, which a mini program can't pay"), o
	case o.AppID != appID:
		return failed("appid does not match the prepay_id",
			"the order is for the app "+o.AppID+", the phone runs "+appID), o
	case o.OpenID != openID:
		return failed("openid does not match the prepay_id", "the order was placed for another user of the app"), o
	}
	if why := o.misSigned(m, appID, p); why != "" {
		return failed("Unable to verify signature", why), o
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	switch err := s.visit(prepayID, openID, action); {
	case err != nil:
		return failed(cashierTexts[err], err.Error()), o
	case action == "cancel":
		return PaymentResult{ErrMsg: "requestPayment:fail cancel"}, o
	case action == "fail":
		return failed(cmp.Or(detail, "payment failed"), "the user's payment failed; the order stays unpaid"), o
	}
	return PaymentResult{ErrMsg: "requestPayment:ok"}, o
}

// visit is a buyer at the open cashier, who pays, or does anything else. The error is a refusal: what can't be paid can't be
// cancelled either, since the cashier doesn't open. mu is held.
func (s *Sandbox) visit(prepayID, openID, action string) error {
	now := s.now()
	o, err := s.books.payable(prepayID, now)
	switch {
	case err != nil:
		return err
	case action != "pay":
		o.CashierAt = now
		s.books.put(o)
		s.save(kindOrder, o)
		return nil
	}
	transactionID := s.newTransactionID(now)
	paid, err := s.books.pay(prepayID, openID, transactionID, now)
	if err != nil {
		return err
	}
	s.save(kindOrder, paid)
	s.recordHeld(Entry{Kind: "state", Name: "order.paid", OutTradeNo: paid.OutTradeNo,
		Summary: "NOTPAY → SUCCESS " + transactionID})
	s.announce(paid)
	return nil
}

// misSigned tells why the parameters aren't signed as the order wants it; "" is that they are.
func (o order) misSigned(m *merchant, appID string, p map[string]string) string {
	if o.API == "v2" {
		return o.misSignedV2(m, appID, p)
	}
	if p["signType"] != "RSA" {
		return `an order of API v3 is signed with signType "RSA", not "` + p["signType"] + `"`
	}
	message := lines(appID, p["timeStamp"], p["nonceStr"], p["package"])
	if !verified(m.key, message, p["paySign"]) {
		return fmt.Sprintf("paySign is no signature of the merchant's API key over %q", message)
	}
	return ""
}

// cashierTexts are what the phone says where the books refuse.
var cashierTexts = map[error]string{
	refusedUnknown: "prepay_id is invalid",
	refusedPaid:    "Invalid payment situation: the order has been paid",
	refusedClosed:  "Invalid payment situation: the order has been closed",
	refusedOverdue: "Invalid payment situation: the order has expired",
	refusedStale:   "prepay_id has expired",
}

// paymentStrings are the five parameters as texts, or the phone's complaint about those that aren't.
func paymentStrings(given map[string]json.RawMessage) (map[string]string, string) {
	p := map[string]string{}
	var wrong strings.Builder
	for _, name := range paymentParameters {
		v, err := parseJSON(given[name])
		is := "Undefined"
		switch {
		case err != nil && name == "signType":
			p[name] = "MD5" // the one with a default
			continue
		case err != nil:
		case v.kind == text:
			p[name] = v.text
			continue
		default:
			is = jsTypes[v.kind]
		}
		fmt.Fprintf(&wrong, "parameter.%s should be String instead of %s;", name, is)
	}
	if len(p["nonceStr"]) > 32 && wrong.Len() == 0 {
		return nil, "parameter.nonceStr is longer than 32 characters;"
	}
	return p, wrong.String()
}

var jsTypes = map[kind]string{
	null: "Null", integer: "Number", fraction: "Number", boolean: "Boolean", object: "Object", list: "Array",
}
