// Package apiv2 speaks API v2 of WeChat Pay (微信支付), the older one: flat XML, signed with MD5 or HMAC-SHA256. It is for
// merchants who have orders in it or can't leave it yet; new ones take package wechatpay, which has the same shape. It
// needs the standard library alone.
//
// Every request is signed. Every answer and payment notification is verified over all of its fields; neither can be
// switched off, and what a message says of its own signature is compared and never believed. Money is integer fen,
// [money.Fen].
//
// # Five minutes
//
// From the merchant platform (商户平台 › 账户中心 › API安全) come three things: the merchant id, the API key (APIv2密钥, which
// is not the APIv3 key), and for refunds the merchant API certificate, apiclient_cert.pem and apiclient_key.pem.
//
//	key, err := apiv2.NewKey(os.Getenv("API_KEY"))
//	certificate, err := tls.LoadX509KeyPair("apiclient_cert.pem", "apiclient_key.pem")
//	client, err := apiv2.NewClient(apiv2.Config{
//		MerchantID: "1900000001", AppID: "wx8888888888888888", Key: key, Certificate: certificate,
//	})
//
// A purchase is then three steps. The server orders and signs what the mini program hands to wx.requestPayment:
//
//	order, err := client.UnifiedOrder(ctx, apiv2.OrderRequest{
//		TradeType: apiv2.TradeJSAPI, OpenID: openID, OutTradeNo: "20261127000001", Description: "Coffee", Total: 1999,
//		PayerClientIP: "203.0.113.7", NotifyURL: "https://pay.example.com/notify",
//	})
//	parameters, err := client.PayParameters("", order.PrepayID)
//
// WeChat Pay tells it of the payment, several times and at several replicas at once if need be:
//
//	http.Handle("POST /notify", client.PaymentHandler(func(ctx context.Context, t *apiv2.Transaction) error {
//		return recordOnce(ctx, t) // compare app, order number and total with your order; commit; then nil
//	}))
//
// And where no notification came, it asks:
//
//	t, err := client.QueryOrder(ctx, "20261127000001")
//
// What wx.requestPayment reports on the phone proves nothing. Only these last two do.
//
// # No answer is not "no"
//
// A request to a server that holds money ends in one of four ways, and code must tell them apart:
//
//   - A nil error: return_code and result_code are SUCCESS, and the signature is right.
//   - An [*Error]: WeChat Pay refused. Ask errors.Is(err, CodeOrderNotExist) and the like; [Error.Hint] says what to do,
//     in Chinese and English, and [Error.Level] where the answer said no.
//   - [ErrNotSent]: the request never left. A [*RequestError] names the field to mend.
//   - [ErrUncertain]: the request may have been executed, says an error of the network, a wrong signature, or an [*Error]
//     such as SYSTEMERROR. Repeat it unchanged or query; never record a failure, and never use a new order number before
//     the old one is closed.
//
// The client repeats nothing by itself: whoever holds the order decides, and each method says what may be repeated.
//
// # MD5 or HMAC-SHA256
//
// [Config.SignType] decides, and the default is HMAC-SHA256. WeChat Pay signs answers, and notifications of an order, as
// the request was signed. A message that was signed otherwise is refused, as nobody but an attacker gains from a weaker
// one; while you change from MD5, set [Config.AcceptMD5] until the last order that was placed with it has expired.
//
// # What it is not
//
// Refund notifications are not signed: what comes of them is called a [RefundHint], and QueryRefund says what is true.
// Answers with return_code FAIL are not signed either, and so are a hint and never proof of a payment. Bills are as
// genuine as the TLS connection; package wechatpay/bill reads them. Transfers and red packets are not here, nor is any
// other API whose answers are not signed. [Client.Do] reaches the rest.
package apiv2
