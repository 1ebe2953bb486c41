package wechatpay_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

// A stand-in for WeChat Pay, so that the examples run.
func exampleServer(answer string) (*wechatpay.Client, func()) {
	c := newClock()
	f := newFake(c)
	f.answer = func(r *http.Request, _ string) (int, string) {
		if isFile(r) {
			return http.StatusOK, zip(tradeBill(2))
		}
		answer := strings.ReplaceAll(answer, "SERVER", f.URL)
		if strings.Contains(answer, `"code"`) {
			return http.StatusNotFound, answer
		}
		return http.StatusOK, answer
	}
	client, err := wechatpay.NewClient(config(), wechatpay.WithBaseURL(f.URL), wechatpay.WithClock(c.Now))
	if err != nil {
		panic(err)
	}
	return client, f.Close
}

func ExampleNewClient() {
	// Files and values come from 商户平台 › 账户中心 › API安全.
	_, err := wechatpay.NewClient(wechatpay.Config{
		MerchantID:        "1900000001",
		CertificateSerial: "40:8B:07:E7",
		PrivateKey:        merchantKey(),
		APIv3Key:          config().APIv3Key,
	})
	fmt.Println(err)
	// Output: CertificateSerial: take the colons out
}

func ExampleParsePrivateKey() {
	_, err := wechatpay.ParsePrivateKey([]byte("-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n"))
	fmt.Println(err)
	// Output: this is a certificate, not a private key: the private key is apiclient_key.pem, not apiclient_cert.pem
}

func ExampleClient_Prepay() {
	client, stop := exampleServer(`{"prepay_id":"wx201410272009395522657a690389285100"}`)
	defer stop()
	ctx := context.Background()

	prepayID, err := client.Prepay(ctx, wechatpay.PrepayRequest{
		AppID:       "wx8888888888888888",
		OpenID:      "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", // from the server's own session, never from the phone
		OutTradeNo:  "20261120000001",
		Description: "分毫咖啡 - 拿铁",
		Total:       1999, // fen
		NotifyURL:   "https://pay.example.com/notify",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := client.PayParameters("wx8888888888888888", prepayID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Package, p.SignType, len(p.PaySign))
	// Output: prepay_id=wx201410272009395522657a690389285100 RSA 344
}

func ExampleClient_Prepay_refused() {
	client, stop := exampleServer("")
	defer stop()
	_, err := client.Prepay(context.Background(), wechatpay.PrepayRequest{
		AppID: "wx8888888888888888", OpenID: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", OutTradeNo: "20261120000001",
		Description: "分毫咖啡 - 拿铁", Total: 1999, NotifyURL: "https://pay.example.com/notify?shop=1",
	})
	var mistake *wechatpay.RequestError
	if errors.As(err, &mistake) {
		fmt.Println(mistake.Field)
		fmt.Println(mistake.Hint("en"))
	}
	// Output:
	// notify_url
	// notify_url: WeChat Pay allows no query and no fragment: put what you need into the path
}

func ExampleClient_QueryOrder() {
	client, stop := exampleServer(paidJSON)
	defer stop()
	t, err := client.QueryOrder(context.Background(), "ORDER-000001")
	switch {
	case errors.Is(err, wechatpay.CodeOrderNotExist):
		fmt.Println("not placed, or not yet")
	case err != nil: // ErrUncertain, ErrNotSent, another refusal: nothing is known; ask again
		fmt.Println(err)
	case t.TradeState == wechatpay.TradeSuccess:
		fmt.Println(t.OutTradeNo, t.Amount.Total, t.Amount.Currency)
	}
	// Output: ORDER-000001 19.99 CNY
}

func ExampleError() {
	client, stop := exampleServer(`{"code":"ORDERNOTEXIST","message":"查询单据不存在"}`)
	defer stop()
	_, err := client.QueryOrder(context.Background(), "ORDER-000009")
	var refusal *wechatpay.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Code, refusal.Status, refusal.RequestID)
		fmt.Println(refusal.Hint("zh"))
	}
	fmt.Println(errors.Is(err, wechatpay.CodeOrderNotExist), errors.Is(err, wechatpay.ErrUncertain))
	// Output:
	// ORDER_NOT_EXIST 404 08F79CCBA90610C9021887B6D2D401-0
	// 订单不存在：尚未下单，或商户号不对。若下单结果未知，请在 10 分钟内继续查询，再作结论。
	// true false
}

func ExampleClient_NotificationHandler() {
	client, stop := exampleServer("")
	defer stop()
	handler := client.NotificationHandler(func(_ context.Context, n *wechatpay.Notification) error {
		if n.Transaction == nil {
			return nil // of another kind: nothing to do
		}
		// In one transaction: compare merchant, app and total with the order, record the payment once, commit.
		fmt.Println(n.EventType, n.Transaction.OutTradeNo, n.Transaction.Amount.Total)
		return nil
	})

	genuine := notification("TRANSACTION.SUCCESS", "transaction", paidJSON)
	forged := strings.Replace(genuine, "支付成功", "支付失败", 1)
	header := signerA().header(start, genuine)
	for _, body := range []string{genuine, forged} {
		r := httptest.NewRequest(http.MethodPost, "/notify", strings.NewReader(body))
		r.Header = header
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// TRANSACTION.SUCCESS ORDER-000001 19.99
	// 204
	// 401
}

func ExampleCredentials_Authorization() {
	// What tools and tests need: the signature of a given moment.
	message := wechatpay.RequestMessage("GET", "/v3/certificates", nil, start, "593BEC0C930BF1AFEB40B4A08C8FB242")
	fmt.Printf("%q\n", message)
	// Output: "GET\n/v3/certificates\n1795161600\n593BEC0C930BF1AFEB40B4A08C8FB242\n\n"
}

func ExampleClient_PrepayNative() {
	client, stop := exampleServer(`{"code_url":"weixin://wxpay/bizpayurl?pr=NwY5Mz9"}`)
	defer stop()
	code, err := client.PrepayNative(context.Background(), wechatpay.PrepayRequest{
		AppID: "wx8888888888888888", OutTradeNo: "20261120000001", Description: "分毫咖啡 - 拿铁", Total: 1999, // fen
		NotifyURL: "https://pay.example.com/notify",
	})
	fmt.Println(code, err) // show it as a QR code
	// Output: weixin://wxpay/bizpayurl?pr=NwY5Mz9 <nil>
}

func ExampleClient_Refund() {
	client, stop := exampleServer(refundJSON)
	defer stop()
	// Both numbers were stored before this is called, and stay what they are however often it is.
	refund, err := client.Refund(context.Background(), wechatpay.RefundRequest{
		OutTradeNo: "ORDER-000001", OutRefundNo: "REFUND-1", Amount: 500, Total: 1999, Reason: "少了一杯",
	})
	switch {
	case errors.Is(err, wechatpay.ErrUncertain), errors.Is(err, wechatpay.ErrNotSent), errors.Is(err, wechatpay.CodeNotEnough):
		fmt.Println("later again, with the same numbers")
	case err != nil:
		fmt.Println("refused:", err)
	default:
		fmt.Println(refund.State, refund.Amount.Refund, refund.Amount.PayerRefund) // accepted, not yet sent
	}
	// Output: PROCESSING 5.00 4.75
}

func ExampleClient_TradeBill() {
	client, stop := exampleServer(`{"hash_type":"SHA1","hash_value":"` + sha1Hex(tradeBill(2)) + `","download_url":"SERVER/v3/billdownload/file?token=1"}`)
	defer stop()
	ctx := context.Background()
	b, err := client.TradeBill(ctx, wechatpay.TradeBillRequest{Date: "2026-11-19"})
	if errors.Is(err, wechatpay.CodeNoStatementExist) {
		fmt.Println("nothing was traded")
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	for row, err := range b.Rows(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(row.OutTradeNo, row.TradeState, row.Total)
	}
	fmt.Println(b.Summary().Count, b.Summary().Total)
	// Output:
	// ORDER-000000 SUCCESS 0.29
	// ORDER-000001 SUCCESS 0.29
	// 2 0.58
}

func ExampleClient_For() {
	provider, stop := exampleServer(partnerPaidJSON)
	defer stop()
	client := provider.For(wechatpay.SubMerchant{ID: "1900000109", AppID: "wx9999999999999999"})
	t, err := client.QueryOrder(context.Background(), "ORDER-000001")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.TradeState, t.MerchantID, "through", t.ProviderID)
	// Output: SUCCESS 1900000109 through 1900007291
}

func ExampleClient_PrepayCombined() {
	client, stop := exampleServer(`{"prepay_id":"wx201410272009395522657a690389285100"}`)
	defer stop()
	prepayID, err := client.PrepayCombined(context.Background(), wechatpay.CombinedRequest{
		AppID: "wx8888888888888888", OpenID: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", OutTradeNo: "20261120000010",
		NotifyURL: "https://pay.example.com/notify",
		Orders: []wechatpay.SubOrder{
			{OutTradeNo: "20261120000011", Description: "分毫咖啡 - 拿铁", Attach: "1 号店", Total: 1999},
			{OutTradeNo: "20261120000012", Description: "分毫花店 - 玫瑰", Attach: "2 号店", Total: 9900},
		},
	})
	fmt.Println(prepayID, err) // PayParameters opens the payment
	// Output: wx201410272009395522657a690389285100 <nil>
}

func ExampleClient_Transfer() {
	client, stop := exampleServer(transferJSON)
	defer stop()
	t, err := client.Transfer(context.Background(), wechatpay.TransferRequest{
		AppID: "wx8888888888888888", OpenID: "o1", OutBillNo: "T1", SceneID: "1000", Amount: 400000, Remark: "报销", UserName: "张三",
		Reports: []wechatpay.TransferReport{{Type: "活动名称", Content: "新会员有礼"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if t.State == wechatpay.TransferWaitUserConfirm {
		fmt.Println(client.TransferParameters("wx8888888888888888", t).Package) // for wx.requestMerchantTransfer
	}
	// Output: affffddafdfafddffda==
}

func ExampleClient_ShareProfit() {
	client, stop := exampleServer(strings.Replace(sharingJSON, `"sub_mchid":"1900000109",`, "", 1))
	defer stop()
	s, err := client.ShareProfit(context.Background(), wechatpay.ProfitSharingRequest{
		AppID: "wx8888888888888888", TransactionID: "4200000001202611200000000001", OutOrderNo: "P1", UnfreezeUnsplit: true,
		Receivers: []wechatpay.Receiver{{Type: wechatpay.ReceiverMerchant, Account: "1900000110", Amount: 100, Description: "分给门店"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range s.Receivers {
		fmt.Println(s.State, r.Account, r.Amount, r.Result, r.FailReason)
	}
	// Output: FINISHED 1900000110 1.00 CLOSED NO_RELATION
}

func ExampleClient_DoEncrypted() {
	client, stop := exampleServer(`{"applyment_id":2000002124775691}`)
	defer stop()
	ctx := context.Background()
	key, err := client.FieldKey(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	name, err := key.Encrypt("张三")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.DoEncrypted(ctx, key, http.MethodPost, "/v3/applyment4sub/applyment/", nil, []byte(`{"contact_name":"`+name+`"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Status, string(resp.Body))
	// Output: 200 {"applyment_id":2000002124775691}
}

func ExampleClient_Complaints() {
	client, stop := exampleServer(`{"data":[` + complaintJSON + `],"limit":50,"offset":0,"total_count":1}`)
	defer stop()
	page, total, err := client.Complaints(context.Background(), wechatpay.ComplaintsRequest{BeginDate: "2026-11-01", EndDate: "2026-11-20"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(total, page[0].State, page[0].Detail, page[0].Orders[0].OutTradeNo)
	// Output: 1 PENDING 重复扣费 ORDER-000001
}

func ExampleClient_UploadMedia() {
	client, stop := exampleServer(`{"media_id":"6uqyGjGrCf2GtyXP8bxrbuH9-aAoTjH-rKeSl3Lf4_So6kdkQu4w8BYVP3bzLtvR38lxt4PjtCDXsQpzqge_hQ"}`)
	defer stop()
	id, err := client.UploadMedia(context.Background(), wechatpay.MediaComplaintImage, "receipt.png", []byte("\x89PNG\r\n\x1a\n"))
	fmt.Println(len(id), err)
	// Output: 86 <nil>
}

func ExampleWithBackupURL() {
	client, err := wechatpay.NewClient(config(), wechatpay.WithBackupURL(wechatpay.BackupURL))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, h := range client.Hosts() {
		fmt.Println(h.URL, h.Requests, h.Failures)
	}
	// Output:
	// https://api.mch.weixin.qq.com 0 0
	// https://api2.mch.weixin.qq.com 0 0
}
