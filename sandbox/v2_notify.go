package sandbox

import (
	"net/http"
	"slices"
)

// This file is the notifications of API v2, which go to the notify_url of orders that v2 placed.

// headerV2 are the headers of a notification of v2.
func headerV2() http.Header {
	return http.Header{
		"Content-Type":  {"text/xml"},
		"User-Agent":    {"Mozilla/4.0"},
		"Accept":        {"*/*"},
		"Cache-Control": {"no-cache"},
		"Pragma":        {"no-cache"},
	}
}

// inV2 tells whether the notification has the form of v2: whoever set the notify_url gets its own.
func (n *notification) inV2() bool {
	if n.Refund != nil {
		return n.Refund.API == "v2"
	}
	return n.Order.API == "v2"
}

// composeV2 makes the request of one attempt to tell of a payment: plain XML, signed with the algorithm of the order.
//
// Source: v2 manual, "支付结果通知".
func (s *Sandbox) composeV2(o order, m *merchant, random *random, lie, spoil *Fault, d *delivery) *delivery {
	if lie != nil {
		o = s.lie(lie.Kind, o)
	}
	f := flat{{"return_code", "SUCCESS"}, {"result_code", "SUCCESS"}, {"appid", o.AppID}, {"mch_id", o.MerchantID},
		{"nonce_str", random.text("nonce", alnums, 32)}, {"out_trade_no", o.OutTradeNo}}
	if o.Attach != "" {
		f = append(f, parameter{"attach", o.Attach})
	}
	if !s.Settings().OmitSignType {
		f = append(f, parameter{"sign_type", o.SignType})
	}
	f = append(f, o.paidV2()...)
	signature := f.sign(m.APIv2Key, o.SignType)
	if spoil != nil && spoil.Kind != "truncate" {
		signature = mangledHex(signature, spoil.Kind == "signtest")
	}
	body := append(f, parameter{"sign", signature}).shuffled(random).xml("xml")
	if spoil != nil && spoil.Kind == "truncate" {
		body = body[:len(body)/2]
	}
	d.Body, d.Header = string(body), headerV2()
	return d
}

// acceptanceV2 is the one answer that accepts a notification of v2; blanks between the elements don't matter, nor
// whether the texts are in CDATA.
const acceptanceV2 = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"

// refusedV2 tells why an answer that came isn't acceptanceV2; "" is that it is, or that the status says enough.
func refusedV2(a Attempt) string {
	f, err := parseXML([]byte(a.Body))
	extra := slices.ContainsFunc(f, func(p parameter) bool { return p.name != "return_code" && p.name != "return_msg" })
	switch {
	case a.Status != http.StatusOK && a.Status != http.StatusNoContent:
		return ""
	case a.Status != http.StatusOK, err != nil, extra, f.get("return_code") != "SUCCESS":
		return "a notification of API v2 is accepted by " + acceptanceV2
	}
	return ""
}
