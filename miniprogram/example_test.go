package miniprogram_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/miniprogram"
)

// standIn is a client of a stand-in for WeChat that answers each path with one text.
func standIn(answers map[string]string, opts ...miniprogram.Option) *miniprogram.Client {
	answers["/cgi-bin/stable_token"] = `{"access_token":"74_Qg4aPchVi","expires_in":7200}`
	transport := inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, answers[r.URL.Path]) })}
	client, err := miniprogram.NewClient(miniprogram.Config{AppID: "wx8888888888888888", Secret: "0123456789abcdef0123456789abcdef"},
		append(opts, miniprogram.WithBaseURL("http://wechat.invalid"), miniprogram.WithHTTPClient(&http.Client{Transport: transport}))...)
	if err != nil {
		panic(err)
	}
	return client
}

func ExampleClient_CheckSession() {
	client := standIn(map[string]string{"/wxa/checksession": `{"errcode":87009,"errmsg":"invalid signature rid: 6552e3da-6397437b-3f0d4f01"}`})
	err := client.CheckSession(context.Background(), "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "tiihtNczf5v6AKRyjwEUhQ==")
	switch {
	case err == nil:
		fmt.Println("the key is valid")
	case errors.Is(err, miniprogram.CodeInvalidSessionSignature):
		fmt.Println("the phone calls wx.login again")
	default:
		fmt.Println("nothing is known of the key:", err)
	}
	// Output: the phone calls wx.login again
}

func ExampleClient_PhoneNumber() {
	client := standIn(map[string]string{"/wxa/business/getuserphonenumber": `{"errcode":0,"errmsg":"ok","phone_info":{"phoneNumber":"13580006666",
		"purePhoneNumber":"13580006666","countryCode":86,"watermark":{"timestamp":1637744274,"appid":"wx8888888888888888"}}}`})
	phone, err := client.PhoneNumber(context.Background(), "e31968a7f94cc5ee25fafc2aef2773f0bb8c3937b22520eb8ee345274d00c144", "")
	fmt.Println(phone.CountryCode, miniprogram.MaskPhone(phone.PureNumber), err)
	// Output: 86 135****6666 <nil>
}

func ExampleCheckSignature() {
	// What wx.getUserInfo gave the phone, and the session key that the server kept.
	const rawData = `{"nickName":"Band","gender":1,"language":"zh_CN","city":"Guangzhou","province":"Guangdong","country":"CN","avatarUrl":` +
		`"http://wx.qlogo.cn/mmopen/vi_32/1vZvI39NWFQ9XM4LtQpFrQJ1xlgZxx3w7bQxKARol6503Iuswjjn6nIGBiaycAjAtpujxyzYsrztuuICqIM5ibXQ/0"}`
	fmt.Println(miniprogram.CheckSignature(rawData, "HyVFkGl5F5OQWJZZaNzBBg==", "75e81ceda165f4ffa64f4068af58c64b8f54b88c"))
	// Output: true
}

func ExampleClient_DecryptData() {
	client := standIn(map[string]string{})
	_, err := client.DecryptData("tiihtNczf5v6AKRyjwEUhQ==", miniprogram.EncryptedData{Data: "CiyLU1Aw2KjvrjMdj8YKli==", IV: "r7BXXKkLb8qrSNn05n0qiA=="})
	if errors.Is(err, miniprogram.ErrBadData) {
		fmt.Println("the phone logs in again, sends its code, and then asks for the data")
	}
	// Output: the phone logs in again, sends its code, and then asks for the data
}

func ExampleClient_UploadShippingInfo() {
	client := standIn(map[string]string{"/wxa/sec/order/upload_shipping_info": `{"errcode":10060001,"errmsg":"支付单不存在 rid: 6552e3da-6397437b-3f0d4f01"}`})
	err := client.UploadShippingInfo(context.Background(), miniprogram.ShippingInfo{
		Order:     miniprogram.OrderKey{TransactionID: "4200000001202611201234567890"},
		OpenID:    "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
		Logistics: miniprogram.LogisticsExpress,
		Items: []miniprogram.ShippingItem{{
			Description: "抱枕*1", Company: "SF", TrackingNo: "SF1234567890", ReceiverContact: miniprogram.MaskPhone("18912341234"),
		}},
		UploadTime: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC),
	})
	switch miniprogram.ReactionTo(err) {
	case miniprogram.ReactionNone, miniprogram.ReactionDone:
		fmt.Println("WeChat knows")
	case miniprogram.ReactionRetry, miniprogram.ReactionWait:
		fmt.Println("the same again, later")
	case miniprogram.ReactionQuery:
		fmt.Println("GetOrder, and decide anew")
	default:
		fmt.Println("stop, and tell somebody:", err)
	}
	// Output: the same again, later
}

func ExampleClient_GetOrderList() {
	client := standIn(map[string]string{"/wxa/sec/order/get_order_list": `{"errcode":0,"errmsg":"ok","last_index":"x","has_more":false,"order_list":[
		{"transaction_id":"4200000001","merchant_id":"1900000001","merchant_trade_no":"no-1","paid_amount":998,"order_state":1,"pay_time":1671110975,"shipping":{}}]}`})
	for o, err := range client.GetOrderList(context.Background(), miniprogram.OrderFilter{State: miniprogram.OrderToShip}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(o.OutTradeNo, o.Paid, o.PaidAt)
	}
	// Output: no-1 9.98 2022-12-15 13:29:35 +0000 UTC
}

func ExampleReceiver() {
	receiver, err := miniprogram.NewReceiver(miniprogram.ReceiverConfig{
		AppID: "wxba5fad812f8e6fb9", Token: "AAAAA", EncodingAESKey: miniprogram.Secret(strings.Repeat("A", 43)),
		Clock: func() time.Time { return time.Unix(1714112445, 0) }, // the time of this example; leave it out
	}, func(_ context.Context, p *miniprogram.Push) error {
		switch e := p.Event.(type) { // store it here; what follows is done later
		case miniprogram.OrderSettlement:
			fmt.Println("settled:", e.Order.TransactionID, !e.SettledAt.IsZero())
		case miniprogram.TradeControlled:
			fmt.Println("WeChat may refuse payments:", e.Message)
		default:
			fmt.Println(p.EventName, p.Fields["debug_str"])
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(receiver)
	defer server.Close()

	// What WeChat sends in the secure mode.
	query := url.Values{"timestamp": {"1714112445"}, "nonce": {"415670741"}, "msg_signature": {"046e02f8204d34f8ba5fa3b1db94908f3df2e9b3"}}
	response, err := http.Post(server.URL+"/push?"+query.Encode(), "application/json", strings.NewReader(`{"ToUserName":"gh_97417a04a28d","Encrypt":`+
		`"+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+`+
		`tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04="}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(answer), err)
	// Output:
	// debug_demo hello world
	// 200 success <nil>
}

// A cache that several processes share keeps texts. This one is a map; a database does the same.
type sharedCache map[string]string

func (s sharedCache) Get(_ context.Context, appID string) (miniprogram.Token, error) {
	text, until, _ := strings.Cut(s[appID], " ")
	at, _ := time.Parse(time.RFC3339, until) // nothing there: the zero time, and so no token
	return miniprogram.Token{Value: miniprogram.AccessToken(text), Until: at}, nil
}

func (s sharedCache) Put(_ context.Context, appID string, t miniprogram.Token) error {
	s[appID] = string(t.Value) + " " + t.Until.Format(time.RFC3339) // string(…): else it would be [secret]
	return nil
}

func ExampleWithTokenCache() {
	shared := sharedCache{}
	client := standIn(map[string]string{"/wxa/sec/order/is_trade_managed": `{"errcode":0,"is_trade_managed":true}`}, miniprogram.WithTokenCache(shared))
	managed, err := client.IsTradeManaged(context.Background())
	fmt.Println(managed, err, len(shared))
	// Output: true <nil> 1
}
