package apiv2

import "github.com/fenhao-pay/fenhao/wechatpay/internal/transport"

// For the published examples whose keys have other lengths than an API key, and for tests of what is not reached
// otherwise.
var (
	Signature          = signature
	OpenECB            = openECB
	RefundKey          = refundKey
	Decode             = decode
	NormalCode         = normalCode
	CodeOfText         = codeOfText
	NotificationFields = notificationFields
	MaxAnswer          = maxAnswer
	MaxNotification    = maxNotification
	NewTransport       = transport.New
)

// Encode is the document of fields as it is sent.
func Encode(f Fields) []byte { return f.appendXML(nil) }

// CheckFields sorts fields and checks them as before sending.
func CheckFields(f Fields) error {
	f.sort()
	return f.check()
}

// ReadAnswer reads an answer to a request of the client's own app and signature type.
func (c *Client) ReadAnswer(status int, body []byte) (Fields, error) {
	return c.readAnswer(status, body, sealed{appID: c.appID, subMerchantID: c.sub.ID, signType: c.credentials.SignType})
}
