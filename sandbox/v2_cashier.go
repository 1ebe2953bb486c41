package sandbox

import "fmt"

// This file is how orders of API v2 are paid on a phone.

// misSignedV2 tells why the parameters of wx.requestPayment aren't signed as an order of v2 wants it; "" is that they are.
//
// Source: v2 manual, "小程序调起支付".
func (o order) misSignedV2(m *merchant, appID string, p map[string]string) string {
	switch {
	case p["signType"] == "RSA":
		return `an order of API v2 is signed with signType "` + o.SignType + `", not "RSA", which goes with API v3`
	case p["signType"] != o.SignType:
		return `the order was placed with sign_type "` + o.SignType + `": signType must be the same, not "` + p["signType"] + `"`
	}
	f := flat{{"appId", appID}, {"nonceStr", p["nonceStr"]}, {"package", p["package"]},
		{"signType", p["signType"]}, {"timeStamp", p["timeStamp"]}}
	if !f.signed(m.APIv2Key, o.SignType, p["paySign"]) {
		return fmt.Sprintf("paySign isn't the %s of %q with the merchant's API key at the end", o.SignType, f.message())
	}
	return ""
}

// misSignedV2 tells why an app's parameters aren't signed as an order of v2 wants it; "" is that they are. They don't say
// by which algorithm: it is that of the order.
//
// Source: v2 manual, "APP调起支付".
func (p AppPayment) misSignedV2(o order, m *merchant) string {
	f := flat{{"appid", p.AppID}, {"noncestr", p.NonceStr}, {"package", p.Package}, {"partnerid", p.PartnerID},
		{"prepayid", p.PrepayID}, {"timestamp", p.TimeStamp}}
	if !f.signed(m.APIv2Key, o.SignType, p.Sign) {
		return fmt.Sprintf("sign isn't the %s of %q with the merchant's API key at the end", o.SignType, f.message())
	}
	return ""
}
