package wechatpay

import (
	"cmp"
	"net/url"
)

// SubMerchant is a merchant that a service provider (服务商) takes payments for (特约商户).
type SubMerchant struct {
	ID    string // sub_mchid
	AppID string // sub_appid, of the sub merchant's own app; "" where it pays in the provider's app
}

// For returns a client that acts for a sub merchant; c is the service provider's. It has the same methods, signs with
// the same key and shares everything with c, so it costs nothing to make one for each request.
//
// AppID of a request is then the provider's (sp_appid); the buyer is OpenID, known to that app, or SubOpenID, known to
// the sub merchant's. [Transaction.MerchantID] of an answer is the sub merchant and [Transaction.ProviderID] the
// provider, and so it is in notifications, which any client of the provider takes.
//
// Order numbers are unique over all sub merchants of a provider.
func (c *Client) For(m SubMerchant) *Client {
	sub := *c
	sub.sub = &m
	return &sub
}

// provides reports whether c acts for a sub merchant.
func (c *Client) provides() bool { return c.sub != nil }

// merchant returns the merchant whose money it is, and the provider that acts for it or "".
func (c *Client) merchant() (merchant, provider string) {
	if c.provides() {
		return c.sub.ID, c.credentials.MerchantID
	}
	return c.credentials.MerchantID, ""
}

// checkSub checks the sub merchant, which For does not.
func (c *Client) checkSub() error {
	if !c.provides() {
		return nil
	}
	return cmp.Or(
		checkMerchantID("sub_mchid", c.sub.ID),
		checkToken("sub_appid", c.sub.AppID, 0, 32),
	)
}

// partiesJSON says whose order it is: two of its fields for a direct merchant, the others for a service provider.
type partiesJSON struct {
	AppID         string `json:"appid,omitempty"`
	MerchantID    string `json:"mchid,omitempty"`
	ProviderAppID string `json:"sp_appid,omitempty"`
	ProviderID    string `json:"sp_mchid,omitempty"`
	SubAppID      string `json:"sub_appid,omitempty"`
	SubMerchantID string `json:"sub_mchid,omitempty"`
}

// parties fills in a request's. appID is "" where only the merchants are named.
func (c *Client) parties(appID string) partiesJSON {
	switch {
	case !c.provides():
		return partiesJSON{AppID: appID, MerchantID: c.credentials.MerchantID}
	case appID == "":
		return partiesJSON{ProviderID: c.credentials.MerchantID, SubMerchantID: c.sub.ID}
	}
	return partiesJSON{ProviderAppID: appID, ProviderID: c.credentials.MerchantID, SubAppID: c.sub.AppID, SubMerchantID: c.sub.ID}
}

// merchant returns the merchant whose money it is, and the provider that acts for it or "". Both are "" where a message
// names neither role in full, or both.
func (p partiesJSON) merchant() (merchant, provider string) {
	switch {
	case p.MerchantID != "" && p.ProviderID+p.SubMerchantID == "":
		return p.MerchantID, ""
	case p.MerchantID == "" && p.ProviderID != "" && p.SubMerchantID != "":
		return p.SubMerchantID, p.ProviderID
	}
	return "", ""
}

// transactions is the path of orders.
func (c *Client) transactions() string {
	if c.provides() {
		return "/v3/pay/partner/transactions/"
	}
	return "/v3/pay/transactions/"
}

// partiesQuery names the merchants in a query string.
func (c *Client) partiesQuery() url.Values {
	if c.provides() {
		return url.Values{"sp_mchid": {c.credentials.MerchantID}, "sub_mchid": {c.sub.ID}}
	}
	return url.Values{"mchid": {c.credentials.MerchantID}}
}

// subQuery adds the sub merchant, if there is one, to a query that is the same in both roles otherwise.
func (c *Client) subQuery(q url.Values) url.Values {
	if c.provides() {
		if q == nil {
			q = url.Values{}
		}
		q.Set("sub_mchid", c.sub.ID)
	}
	return q
}
