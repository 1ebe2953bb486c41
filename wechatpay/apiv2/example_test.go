package apiv2_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
	"github.com/fenhao-pay/fenhao/wechatpay/bill"
)

// A stand-in for WeChat Pay, so that the examples run.
func exampleServer(answer func(request) m) (*apiv2.Client, func()) {
	f := newFake()
	f.Start()
	f.answer = answer
	client, err := apiv2.NewClient(config(), apiv2.WithBaseURL(f.URL), apiv2.WithClock(func() time.Time { return start }))
	if err != nil {
		panic(err)
	}
	return client, f.Close
}

func ExampleNewClient() {
	// The values come from 商户平台 › 账户中心 › API安全.
	_, err := apiv2.NewKey("the-APIv3-key-is-another-one")
	fmt.Println(err)
	_, err = apiv2.NewClient(apiv2.Config{MerchantID: "1900000001", AppID: "wx8888888888888888"})
	fmt.Println(err)
	// Output:
	// an API key has 32 characters, this one has 28: set one at 商户平台 › 账户中心 › API安全 › APIv2密钥
	// Key: it is missing: set the API key at 商户平台 › 账户中心 › API安全 › APIv2密钥 and give it to NewKey
}

func ExampleClient_UnifiedOrder() {
	client, stop := exampleServer(prepaid)
	defer stop()

	placed, err := client.UnifiedOrder(context.Background(), apiv2.OrderRequest{
		TradeType:     apiv2.TradeJSAPI,               // in a mini program
		OpenID:        "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", // from the server's own session, never from the phone
		OutTradeNo:    "20261120000001",
		Description:   "分毫咖啡 - 拿铁",
		Total:         1999, // fen
		PayerClientIP: "203.0.113.7",
		NotifyURL:     "https://pay.example.com/notify",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := client.PayParameters("", placed.PrepayID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Package, p.SignType, len(p.PaySign))
	// Output: prepay_id=wx201411101639507cbf6ffd8b0779950874 HMAC-SHA256 64
}

func ExampleClient_UnifiedOrder_refused() {
	client, stop := exampleServer(prepaid)
	defer stop()
	_, err := client.UnifiedOrder(context.Background(), apiv2.OrderRequest{
		TradeType: apiv2.TradeJSAPI, OpenID: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", OutTradeNo: "20261120000001", Description: "分毫咖啡 - 拿铁",
		Total: 1999, PayerClientIP: "203.0.113.7", NotifyURL: "https://pay.example.com/notify?shop=1",
	})
	var mistake *apiv2.RequestError
	if errors.As(err, &mistake) {
		fmt.Println(mistake.Hint("zh"))
	}
	// Output: notify_url: 不能带查询参数和片段：请把参数放进路径
}

func ExampleClient_QueryOrder() {
	client, stop := exampleServer(func(request) m { return paid().with(m{"trade_state": "SUCCESS"}) })
	defer stop()
	t, err := client.QueryOrder(context.Background(), "ORDER-000001")
	switch {
	case errors.Is(err, apiv2.CodeOrderNotExist):
		fmt.Println("not placed, or not yet")
	case err != nil: // ErrUncertain, ErrNotSent, another refusal: nothing is known; ask again
		fmt.Println(err)
	case t.TradeState == apiv2.TradeSuccess:
		fmt.Println(t.OutTradeNo, t.Amount.Total, t.Amount.Currency)
	}
	// Output: ORDER-000001 19.99 CNY
}

func ExampleClient_CloseOrder() {
	client, stop := exampleServer(func(request) m {
		return answered(m{"result_code": "FAIL", "err_code": "ORDERPAID", "err_code_des": "该订单已支付"})
	})
	defer stop()
	err := client.CloseOrder(context.Background(), "ORDER-000001")
	fmt.Println(errors.Is(err, apiv2.CodeOrderPaid), errors.Is(err, apiv2.ErrUncertain))
	var refusal *apiv2.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Level, refusal.Code, refusal.Message)
		fmt.Println(refusal.Hint("zh"))
	}
	// Output:
	// true false
	// result_code ORDERPAID 该订单已支付
	// 订单已支付：请查询订单并按已支付处理，不要重复下单。
}

func ExampleClient_Refund() {
	client, stop := exampleServer(func(request) m { return answered(refundAnswer()) })
	defer stop()
	refund := apiv2.RefundRequest{OutTradeNo: "ORDER-000001", OutRefundNo: "REFUND-000001", Total: 1999, Amount: 999, Reason: "少了一杯"}
	for range 3 { // by and by, from a job that survives a restart
		accepted, err := client.Refund(context.Background(), refund) // the same number: the same refund
		if errors.Is(err, apiv2.ErrUncertain) {
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(accepted.OutRefundNo, accepted.Amount.Refund, accepted.State)
		return
	}
	// Output: REFUND-000001 9.99 PROCESSING
}

func ExampleClient_OrderRefunds() {
	client, stop := exampleServer(refundBook{n: 12, perPage: 10}.answer)
	defer stop()
	n := 0
	for refund, err := range client.OrderRefunds(context.Background(), "ORDER-000001", "") {
		if err != nil {
			fmt.Println(err)
			return
		}
		if refund.State == apiv2.RefundSuccess {
			n++
		}
	}
	fmt.Println(n, "refunds have arrived")
	// Output: 12 refunds have arrived
}

func ExampleClient_PaymentHandler() {
	client, stop := exampleServer(nil)
	defer stop()
	handler := client.PaymentHandler(func(_ context.Context, t *apiv2.Transaction) error {
		// In one transaction: compare merchant, app and total with the order, record the payment once, commit.
		fmt.Println(t.OutTradeNo, t.Amount.Total)
		return nil
	})

	genuine := paid().signed("HMAC-SHA256").xml()
	forged := strings.Replace(genuine, "1999", "1", 1)
	for _, body := range []string{genuine, forged} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/notify", strings.NewReader(body)))
		fmt.Println(w.Body)
	}
	// Output:
	// ORDER-000001 19.99
	// <xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>
	// <xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[the signature is not accepted]]></return_msg></xml>
}

func ExampleClient_RefundHintHandler() {
	client, stop := exampleServer(refundBook{n: 1, perPage: 10, change: func(page m) { page["out_refund_no_0"] = "REFUND-000001" }}.answer)
	defer stop()
	handler := client.RefundHintHandler(func(ctx context.Context, hint *apiv2.RefundHint) error {
		refund, err := client.QueryRefund(ctx, hint.OutRefundNo) // a hint is a reason to ask
		if err != nil {
			return err
		}
		fmt.Println(refund.OutRefundNo, refund.State, refund.UserReceivedAccount)
		return nil
	})
	body := refundNotification(keyText, refunded().root()).xml()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/notify", strings.NewReader(body)))
	fmt.Println(w.Code)
	// Output:
	// REFUND-000001 SUCCESS 支付用户零钱
	// 200
}

func ExampleClient_DownloadBill() {
	f := newFake()
	f.Start()
	defer f.Close()
	f.serve(nil, zipped(tradeBill))
	client, err := apiv2.NewClient(config(), apiv2.WithBaseURL(f.URL), apiv2.WithClock(func() time.Time { return start }))
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := client.DownloadBill(context.Background(), apiv2.TradeBillRequest{Date: "2026-11-19"})
	if errors.Is(err, apiv2.CodeNoBillExist) {
		return // nothing was traded
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer text.Close()
	for row, err := range bill.Trades(text, bill.Options{}).Rows() {
		if err != nil {
			fmt.Println(err) // and believe nothing of it
			return
		}
		fmt.Println(row.OutTradeNo, row.Total)
	}
	// Output: ORDER-000002 1.10
}

func ExampleClient_Micropay() {
	client, stop := exampleServer(func(r request) m {
		if r.path == "/pay/micropay" {
			return answered(m{"result_code": "FAIL", "err_code": "USERPAYING", "err_code_des": "需要用户输入支付密码"})
		}
		return paid().with(m{"trade_state": "SUCCESS", "trade_type": "MICROPAY"})
	})
	defer stop()
	ctx := context.Background()
	t, err := client.Micropay(ctx, apiv2.MicropayRequest{
		OutTradeNo: "ORDER-000001", Description: "分毫咖啡 - 拿铁", Total: 1999, AuthCode: "134523452345234523", PayerClientIP: "203.0.113.7",
	})
	if errors.Is(err, apiv2.ErrUncertain) { // the buyer is entering the password; ask every 5 seconds for up to 45, then Reverse
		t, err = client.QueryOrder(ctx, "ORDER-000001")
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.TradeType, t.TradeState)
	// Output: MICROPAY SUCCESS
}

func ExampleCredentials_Sign() {
	// What tools and tests need: what is signed, and the signature.
	fields := apiv2.Fields{
		{Name: "nonce_str", Value: "ibuaiVcKdpRxkhJA"}, {Name: "mch_id", Value: "10000100"}, {Name: "device_info", Value: "1000"},
		{Name: "body", Value: "test"}, {Name: "attach", Value: ""}, {Name: "appid", Value: "wxd930ea5d5a258f4f"},
	}
	fmt.Println(apiv2.Message(fields))
	sign, err := apiv2.Credentials{Key: mustKey("192006250b4c09247ec02edce69f6a2d"), SignType: apiv2.MD5}.Sign(fields)
	fmt.Println(sign, err)
	// Output:
	// appid=wxd930ea5d5a258f4f&body=test&device_info=1000&mch_id=10000100&nonce_str=ibuaiVcKdpRxkhJA
	// 9A0A8659F005D6984697E2CA0A9CF3B7 <nil>
}
