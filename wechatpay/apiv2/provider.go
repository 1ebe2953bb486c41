package apiv2

import "cmp"

// SubMerchant is a merchant that a service provider (服务商) takes payments for (特约商户).
type SubMerchant struct {
	ID    string // sub_mch_id
	AppID string // sub_appid, of the sub merchant's own app; "" where it pays in the provider's app
}

// For returns a client that acts for a sub merchant; c is the service provider's. It has the same methods, signs with
// the same key and shares everything with c, so it costs nothing to make one for each request.
//
// AppID of a request is then the provider's; the buyer is OpenID, known to that app, or SubOpenID, known to the sub
// merchant's. [Transaction.MerchantID] of an answer is the sub merchant and [Transaction.ProviderID] the provider, and
// so it is in notifications, which any client of the provider takes.
//
// Order numbers are unique over all sub merchants of a provider.
func (c *Client) For(m SubMerchant) *Client {
	other := *c
	other.sub = m
	return &other
}

// ForApp returns a client for another app of the same merchant, in the place of [Config.AppID]. It shares everything else
// with c.
func (c *Client) ForApp(appID string) *Client {
	other := *c
	other.appID = appID
	return &other
}

// check checks the sub merchant, which For does not.
func (m SubMerchant) check() error {
	return cmp.Or(checkMerchantID("sub_mch_id", m.ID), checkToken("sub_appid", m.AppID, 0, 32))
}

// merchant returns the merchant whose money it is, and the provider that acts for it or "".
func (f Fields) merchant() (merchant, provider string) {
	if sub := f.find("sub_mch_id"); sub != "" {
		return sub, f.find("mch_id")
	}
	return f.find("mch_id"), ""
}
