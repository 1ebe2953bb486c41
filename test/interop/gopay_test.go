package interop

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-pay/gopay"
	gopayv3 "github.com/go-pay/gopay/wechat/v3"
)

// gopayShop is a shop written with gopay.
type gopayShop struct {
	client   *gopayv3.ClientV3
	apiv3Key string
}

// newGopay opens one that calls WeChat Pay at address, or where that is "" at its own address through transport.
func newGopay(t *testing.T, address string, transport http.RoundTripper, m merchant, publicKey bool) shop {
	t.Helper()
	client, err := gopayv3.NewClientV3(m.ID, m.Serial, m.APIv3Key, m.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	client.SetProxyHost(address)
	if transport != nil {
		client.GetHttpClient().SetTransport(transport)
	}
	if publicKey {
		err = client.AutoVerifySignByPublicKey([]byte(m.PublicKey), m.PublicKeyID)
	} else {
		err = client.AutoVerifySign(false) // downloads; renews when it meets an unknown serial
	}
	if err != nil {
		t.Fatalf("gopay: %v", err)
	}
	return &gopayShop{client, m.APIv3Key}
}

func (s *gopayShop) order(ctx context.Context, o order) (phone, error) {
	bm := make(gopay.BodyMap)
	bm.Set("appid", o.appID).Set("description", o.description).Set("out_trade_no", o.number).Set("notify_url", o.notifyURL).
		SetBodyMap("amount", func(bm gopay.BodyMap) { bm.Set("total", o.total) }).
		SetBodyMap("payer", func(bm gopay.BodyMap) { bm.Set("openid", o.openID) })
	if o.attach != "" {
		bm.Set("attach", o.attach)
	}
	r, err := s.client.V3TransactionJsapi(ctx, bm)
	if err != nil {
		return phone{}, err
	}
	if r.Code != gopayv3.Success {
		return phone{}, fmt.Errorf("%d %s", r.Code, r.Error)
	}
	p, err := s.client.PaySignOfApplet(o.appID, r.Response.PrepayId)
	if err != nil {
		return phone{}, err
	}
	return phone{AppID: p.AppId, TimeStamp: p.TimeStamp, NonceStr: p.NonceStr, Package: p.Package, SignType: p.SignType, PaySign: p.PaySign}, nil
}

func (s *gopayShop) query(ctx context.Context, number string) (payment, error) {
	r, err := s.client.V3TransactionQueryOrder(ctx, gopayv3.OutTradeNo, number)
	switch {
	case err != nil:
		return payment{}, err
	case r.ErrResponse.Code == "ORDER_NOT_EXIST":
		return payment{}, errNoOrder
	case r.Code != gopayv3.Success:
		return payment{}, fmt.Errorf("%d %s", r.Code, r.Error)
	}
	o := r.Response
	return gopayPayment(&gopayv3.V3DecryptPayResult{
		Appid: o.Appid, Mchid: o.Mchid, OutTradeNo: o.OutTradeNo, TransactionId: o.TransactionId, TradeType: o.TradeType,
		TradeState: o.TradeState, BankType: o.BankType, Attach: o.Attach, SuccessTime: o.SuccessTime, Payer: o.Payer, Amount: o.Amount,
	})
}

func (s *gopayShop) close(ctx context.Context, number string) error {
	r, err := s.client.V3TransactionCloseOrder(ctx, number)
	switch {
	case err != nil:
		return err
	case strings.ReplaceAll(r.ErrResponse.Code, "_", "") == "ORDERPAID":
		return errPaid
	case r.Code != gopayv3.Success:
		return fmt.Errorf("%d %s", r.Code, r.Error)
	}
	return nil
}

func (s *gopayShop) notification(r *http.Request) (payment, error) {
	n, err := gopayv3.V3ParseNotify(r)
	if err != nil {
		return payment{}, err
	}
	if err := n.VerifySignByPKMap(s.keys()); err != nil {
		return payment{}, err
	}
	if n.EventType != "TRANSACTION.SUCCESS" {
		return payment{}, fmt.Errorf("it is no payment: %s", n.EventType)
	}
	p, err := n.DecryptPayCipherText(s.apiv3Key)
	if err != nil {
		return payment{}, err
	}
	return gopayPayment(p)
}

func (s *gopayShop) keys() map[string]*rsa.PublicKey { return s.client.WxPublicKeyMap() }

func (s *gopayShop) certificates(context.Context) ([]string, error) {
	newest, list, err := s.client.GetAndSelectNewestCert()
	if err != nil {
		return nil, err
	}
	if list[newest] == "" {
		return nil, errors.New("the newest certificate is not in the list")
	}
	return slices.Sorted(maps.Keys(list)), nil
}

func gopayPayment(r *gopayv3.V3DecryptPayResult) (payment, error) {
	p := payment{
		appID: r.Appid, merchantID: r.Mchid, number: r.OutTradeNo, transactionID: r.TransactionId, tradeType: r.TradeType,
		state: r.TradeState, bank: r.BankType, attach: r.Attach,
	}
	if r.Payer != nil {
		p.openID = r.Payer.Openid
	}
	if r.Amount != nil {
		p.currency, p.total, p.payerTotal = r.Amount.Currency, int64(r.Amount.Total), int64(r.Amount.PayerTotal)
	}
	var err error
	p.at, err = readTime(r.SuccessTime)
	return p, err
}
