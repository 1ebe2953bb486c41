package bench

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/go-pay/gopay"
	gopayv2 "github.com/go-pay/gopay/wechat"
	"github.com/silenceper/wechat/v2/pay/config"
	"github.com/silenceper/wechat/v2/pay/notify"
	"github.com/silenceper/wechat/v2/pay/order"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

func newFenhaoV2(b *testing.B, w wire) *apiv2.Client {
	b.Helper()
	key, err := apiv2.NewKey(apiv2Key)
	if err != nil {
		b.Fatal(err)
	}
	client, err := apiv2.NewClient(apiv2.Config{MerchantID: merchantID, AppID: appID, Key: key, SignType: apiv2.MD5},
		apiv2.WithHTTPClient(&http.Client{Transport: w}))
	if err != nil {
		b.Fatal(err)
	}
	return client
}

func BenchmarkV2Order(b *testing.B) {
	w := wire{v2Answer()}
	client := newFenhaoV2(b, w)
	measure(b, "fenhao", prepayID, func() (string, error) {
		p, err := client.UnifiedOrder(context.Background(), apiv2.OrderRequest{TradeType: apiv2.TradeJSAPI, OpenID: openID, OutTradeNo: number,
			Description: description, Total: total, NotifyURL: notifyURL, PayerClientIP: clientIP})
		if err != nil {
			return "", err
		}
		return p.PrepayID, nil
	})
	pay := gopayv2.NewClient(appID, merchantID, apiv2Key, true)
	pay.GetHttpClient().SetTransport(w)
	measure(b, "gopay", prepayID, func() (string, error) {
		bm := make(gopay.BodyMap)
		bm.Set("nonce_str", rand.Text()).Set("body", description).Set("out_trade_no", number).Set("total_fee", total).Set("spbill_create_ip", clientIP).
			Set("notify_url", notifyURL).Set("trade_type", "JSAPI").Set("openid", openID).Set("sign_type", "MD5")
		r, err := pay.UnifiedOrder(context.Background(), bm)
		if err != nil {
			return "", err
		}
		if ok, err := gopayv2.VerifySign(apiv2Key, "MD5", r); err != nil || !ok {
			return "", fmt.Errorf("verified: %v, %w", ok, err)
		}
		return r.PrepayId, nil
	})
	// It has no client to configure: it uses the process's.
	before := http.DefaultTransport
	http.DefaultTransport = w
	defer func() { http.DefaultTransport = before }()
	o := order.NewOrder(&config.Config{AppID: appID, MchID: merchantID, Key: apiv2Key, NotifyURL: notifyURL})
	measure(b, "silenceper, answer unverified", prepayID, func() (string, error) {
		return o.PrePayID(&order.Params{TotalFee: strconv.Itoa(total), CreateIP: clientIP, Body: description, OutTradeNo: number, OpenID: openID,
			TradeType: "JSAPI", SignType: "MD5"})
	})
}

func BenchmarkV2Pay(b *testing.B) {
	const want = "prepay_id=" + prepayID
	client := newFenhaoV2(b, wire{})
	measure(b, "fenhao", want, func() (string, error) {
		p, err := client.PayParameters(appID, prepayID)
		return p.Package, err
	})
	measure(b, "gopay", want, func() (string, error) {
		if s := gopayv2.GetMiniPaySign(appID, rand.Text(), want, "MD5", strconv.FormatInt(time.Now().Unix(), 10), apiv2Key); len(s) != 32 {
			return "", errors.New("no signature")
		}
		return want, nil
	})
}

func BenchmarkV2Notification(b *testing.B) {
	m := v2Notification()
	client := newFenhaoV2(b, wire{})
	measure(b, "fenhao", transactionID, func() (string, error) {
		body, err := io.ReadAll(m.request().Body)
		if err != nil {
			return "", err
		}
		t, err := client.ParsePayment(body)
		if err != nil {
			return "", err
		}
		return t.TransactionID, nil
	})
	measure(b, "gopay", transactionID, func() (string, error) {
		n, err := gopayv2.ParseNotifyToBodyMap(m.request())
		if err != nil {
			return "", err
		}
		if ok, err := gopayv2.VerifySign(apiv2Key, "MD5", n); err != nil || !ok {
			return "", fmt.Errorf("verified: %v, %w", ok, err)
		}
		return n.GetString("transaction_id"), nil
	})
	reader := notify.NewNotify(&config.Config{AppID: appID, MchID: merchantID, Key: apiv2Key})
	measure(b, "silenceper", transactionID, func() (string, error) {
		body, err := io.ReadAll(m.request().Body)
		if err != nil {
			return "", err
		}
		var p notify.PaidResult
		if err := xml.Unmarshal(body, &p); err != nil {
			return "", err
		}
		if !reader.PaidVerifySign(p) {
			return "", errors.New("not verified")
		}
		return *p.TransactionID, nil
	})
}
