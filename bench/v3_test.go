package bench

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/go-pay/gopay"
	gopayv3 "github.com/go-pay/gopay/wechat/v3"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/jsapi"

	"github.com/fenhao-pay/fenhao/internal/libcrypto"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// newFenhao is our client; key is the merchant's, in whatever hands.
func newFenhao(b *testing.B, key crypto.Signer, w wire) *wechatpay.Client {
	b.Helper()
	apiv3, err := wechatpay.NewAPIv3Key(apiv3Key)
	if err != nil {
		b.Fatal(err)
	}
	client, err := wechatpay.NewClient(wechatpay.Config{MerchantID: merchantID, CertificateSerial: serial, PrivateKey: key, APIv3Key: apiv3,
		PublicKeyID: publicID, PublicKey: &platformKey.PublicKey}, wechatpay.WithHTTPClient(&http.Client{Transport: w}))
	if err != nil {
		b.Fatal(err)
	}
	return client
}

func newOfficial(b *testing.B, w wire) *core.Client {
	b.Helper()
	c, err := core.NewClient(b.Context(), option.WithWechatPayPublicKeyAuthCipher(merchantID, serial, merchantKey, publicID, &platformKey.PublicKey),
		option.WithHTTPClient(&http.Client{Transport: w}))
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func newGopay(b *testing.B, w wire) *gopayv3.ClientV3 {
	b.Helper()
	c, err := gopayv3.NewClientV3(merchantID, serial, apiv3Key, merchantPEM)
	if err == nil {
		err = c.AutoVerifySignByPublicKey(platformPEM, publicID)
	}
	if err != nil {
		b.Fatal(err)
	}
	c.GetHttpClient().SetTransport(w)
	return c
}

// hand is a way in which our SDK signs.
type hand struct {
	name string
	key  crypto.Signer
}

// hands are Go and, built with the tag libcrypto, OpenSSL.
func hands() []hand {
	all := []hand{{"fenhao", merchantKey}}
	if key, name := libcrypto.Signer(merchantKey); name != "Go" {
		all = append(all, hand{"fenhao with " + name, key})
	}
	return all
}

func BenchmarkV3Order(b *testing.B) {
	w := wire{signed(`{"prepay_id":"` + prepayID + `"}`)}
	for _, h := range hands() {
		client := newFenhao(b, h.key, w)
		measure(b, h.name, prepayID, func() (string, error) {
			return client.Prepay(context.Background(), wechatpay.PrepayRequest{AppID: appID, OpenID: openID, OutTradeNo: number,
				Description: description, Total: total, NotifyURL: notifyURL})
		})
	}
	official := jsapi.JsapiApiService{Client: newOfficial(b, w)}
	measure(b, "wechatpay-go", prepayID, func() (string, error) {
		r, _, err := official.Prepay(context.Background(), jsapi.PrepayRequest{Appid: core.String(appID), Mchid: core.String(merchantID),
			Description: core.String(description), OutTradeNo: core.String(number), NotifyUrl: core.String(notifyURL),
			Amount: &jsapi.Amount{Total: core.Int64(total), Currency: core.String("CNY")}, Payer: &jsapi.Payer{Openid: core.String(openID)}})
		if err != nil {
			return "", err
		}
		return *r.PrepayId, nil
	})
	pay := newGopay(b, w)
	measure(b, "gopay", prepayID, func() (string, error) {
		bm := make(gopay.BodyMap)
		bm.Set("appid", appID).Set("mchid", merchantID).Set("description", description).Set("out_trade_no", number).Set("notify_url", notifyURL).
			SetBodyMap("amount", func(bm gopay.BodyMap) { bm.Set("total", total).Set("currency", "CNY") }).
			SetBodyMap("payer", func(bm gopay.BodyMap) { bm.Set("openid", openID) })
		r, err := pay.V3TransactionJsapi(context.Background(), bm)
		if err != nil {
			return "", err
		}
		if r.Code != gopayv3.Success {
			return "", fmt.Errorf("%d %s", r.Code, r.Error)
		}
		return r.Response.PrepayId, nil
	})
}

func BenchmarkV3Pay(b *testing.B) {
	const want = "prepay_id=" + prepayID
	for _, h := range hands() {
		client := newFenhao(b, h.key, wire{})
		measure(b, h.name, want, func() (string, error) {
			p, err := client.PayParameters(appID, prepayID)
			return p.Package, err
		})
	}
	pay := newGopay(b, wire{}) // wechatpay-go signs them with the order alone
	measure(b, "gopay", want, func() (string, error) {
		p, err := pay.PaySignOfApplet(appID, prepayID)
		if err != nil {
			return "", err
		}
		return p.Package, nil
	})
}

func BenchmarkV3Notification(b *testing.B) {
	m := v3Notification()
	client := newFenhao(b, merchantKey, wire{})
	measure(b, "fenhao", transactionID, func() (string, error) {
		r := m.request()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return "", err
		}
		n, err := client.ParseNotification(context.Background(), r.Header, body)
		if err != nil {
			return "", err
		}
		return n.Transaction.TransactionID, nil
	})
	handler, err := notify.NewRSANotifyHandler(apiv3Key, verifiers.NewSHA256WithRSAPubkeyVerifier(publicID, platformKey.PublicKey))
	if err != nil {
		b.Fatal(err)
	}
	measure(b, "wechatpay-go", transactionID, func() (string, error) {
		var t payments.Transaction
		if _, err := handler.ParseNotifyRequest(context.Background(), m.request(), &t); err != nil {
			return "", err
		}
		return *t.TransactionId, nil
	})
	measure(b, "gopay", transactionID, func() (string, error) {
		n, err := gopayv3.V3ParseNotify(m.request())
		if err != nil {
			return "", err
		}
		if err := n.VerifySignByPK(&platformKey.PublicKey); err != nil {
			return "", err
		}
		if n.EventType != "TRANSACTION.SUCCESS" {
			return "", errors.New("no payment")
		}
		t, err := n.DecryptPayCipherText(apiv3Key)
		if err != nil {
			return "", err
		}
		return t.TransactionId, nil
	})
}
