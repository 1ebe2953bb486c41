// Package wechatpay speaks API v3 of WeChat Pay (微信支付) for a merchant, or for a service provider that acts for merchants.
// It needs the standard library alone.
//
// Every request is signed and every answer of success is verified; neither can be switched off. Every notification is
// verified, decrypted and typed. Money is integer fen, [money.Fen].
//
// # Five minutes
//
// From the merchant platform (商户平台 › 账户中心 › API安全) come five things: the merchant id, apiclient_key.pem and
// the serial of its certificate, the APIv3 key, and the WeChat Pay public key (微信支付公钥) with its id. Merchants of
// before 2024 may have platform certificates (平台证书) instead of the last: leave PublicKeyID and PublicKey empty, and
// the client downloads and rotates them by itself.
//
//	key, err := wechatpay.ParsePrivateKey(keyPEM)
//	apiv3, err := wechatpay.NewAPIv3Key(os.Getenv("APIV3_KEY"))
//	pub, err := wechatpay.ParsePublicKey(pubPEM)
//	client, err := wechatpay.NewClient(wechatpay.Config{
//		MerchantID: "1900000001", CertificateSerial: "5157F09EFDC096DE15EBE81A47057A7232F1B8E1",
//		PrivateKey: key, APIv3Key: apiv3,
//		PublicKeyID: "PUB_KEY_ID_0119000000012024101500000001", PublicKey: pub,
//	})
//
// A purchase is then three steps. The server orders and signs what the mini program hands to wx.requestPayment:
//
//	prepayID, err := client.Prepay(ctx, wechatpay.PrepayRequest{
//		AppID: "wx8888888888888888", OpenID: openID, OutTradeNo: "20261127000001",
//		Description: "Coffee", Total: 1999, NotifyURL: "https://pay.example.com/notify",
//	})
//	parameters, err := client.PayParameters("wx8888888888888888", prepayID)
//
// WeChat Pay tells it of the payment, several times and at several replicas at once if need be:
//
//	http.Handle("POST /notify", client.NotificationHandler(func(ctx context.Context, n *wechatpay.Notification) error {
//		return recordOnce(ctx, n) // compare merchant, app, order number and total with your order; commit; then nil
//	}))
//
// And where no notification came, it asks:
//
//	t, err := client.QueryOrder(ctx, "20261127000001")
//
// What wx.requestPayment reports on the phone proves nothing. Only these last two do.
//
// # All of it
//
//   - Orders: [Client.Prepay] (mini program, JSAPI), [Client.PrepayNative], [Client.PrepayH5], [Client.PrepayApp], and the
//     same for several orders that are paid at once, [Client.PrepayCombined]; query, close.
//   - Money back: [Client.Refund], [Client.QueryRefund], [Client.ApplyAbnormalRefund].
//   - The day after: [Client.TradeBill], [Client.FundFlowBill], with rows of package bill, proven by hash and totals.
//   - Money onward: [Client.ShareProfit] and its kin (分账), [Client.Transfer] (商家转账).
//   - Complaints: [Client.Complaints] and its kin, [Client.UploadMedia].
//   - Service providers (服务商): [Client.For] gives a client for a sub merchant, with the same methods.
//   - Anything else: [Client.Do], or [Client.DoEncrypted] for bodies with sensitive fields.
//
// All notifications come to [Client.ParseNotification] or [Client.NotificationHandler], typed as far as the list goes.
//
// # No answer is not "no"
//
// A request to a server that holds money ends in one of four ways, and code must tell them apart:
//
//   - A nil error: WeChat Pay answered, and its signature is right.
//   - An [*Error] below 500: WeChat Pay refused. Ask errors.Is(err, CodeOrderNotExist) and the like; [Error.Hint] says
//     what to do, in Chinese and English.
//   - [ErrNotSent]: the request never left. A [*RequestError] names the field to mend.
//   - [ErrUncertain]: the request may have been executed. Repeat it unchanged or query; never record a failure, and
//     never use a new order number before the old one is closed.
//
// The client repeats nothing by itself: whoever holds the order decides, and each method says what may be repeated. With
// [WithBackupURL] it asks a second server where that can do no harm.
//
// # What it is not
//
// It knows RSA keys, not the SM variant (国密), and the domestic APIs. It leaves out code payments (付款码), which v3 does not
// have for certain, and the encrypted fund flow bills of sub merchants. Answers below 500 that are not 2xx are not signed
// by WeChat Pay, and so are a hint and never proof of a payment.
package wechatpay
