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
	f.answer = func(*http.Request, string) (int, string) {
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
