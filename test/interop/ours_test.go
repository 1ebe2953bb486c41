package interop

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/money"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// ours is a shop written with this module's SDK.
type ours struct {
	client *wechatpay.Client
	clock  *clock
}

// clock is the machine's time and what a test adds to it.
type clock struct{ ahead atomic.Int64 }

func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }
func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }

func newOurs(t *testing.T, m merchant, publicKey bool, opts ...wechatpay.Option) shop {
	t.Helper()
	c := &clock{}
	client, err := wechatpay.NewClient(ourConfig(t, m, publicKey), append(opts, wechatpay.WithClock(c.now))...)
	if err != nil {
		t.Fatal(err)
	}
	return &ours{client, c}
}

func ourConfig(t *testing.T, m merchant, publicKey bool) wechatpay.Config {
	t.Helper()
	key, err := wechatpay.ParsePrivateKey([]byte(m.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	apiv3, err := wechatpay.NewAPIv3Key(m.APIv3Key)
	if err != nil {
		t.Fatal(err)
	}
	c := wechatpay.Config{MerchantID: m.ID, CertificateSerial: m.Serial, PrivateKey: key, APIv3Key: apiv3}
	if publicKey {
		c.PublicKeyID = m.PublicKeyID
		if c.PublicKey, err = wechatpay.ParsePublicKey([]byte(m.PublicKey)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (s *ours) order(ctx context.Context, o order) (phone, error) {
	prepayID, err := s.client.Prepay(ctx, wechatpay.PrepayRequest{AppID: o.appID, OpenID: o.openID, OutTradeNo: o.number,
		Description: o.description, Total: money.Fen(o.total), NotifyURL: o.notifyURL, Attach: o.attach})
	if err != nil {
		return phone{}, err
	}
	p, err := s.client.PayParameters(o.appID, prepayID)
	return phone{AppID: p.AppID, TimeStamp: p.TimeStamp, NonceStr: p.NonceStr, Package: p.Package, SignType: p.SignType, PaySign: p.PaySign}, err
}

func (s *ours) query(ctx context.Context, number string) (payment, error) {
	t, err := s.client.QueryOrder(ctx, number)
	if errors.Is(err, wechatpay.CodeOrderNotExist) {
		return payment{}, errNoOrder
	}
	if err != nil {
		return payment{}, err
	}
	return ourPayment(t), nil
}

func (s *ours) close(ctx context.Context, number string) error {
	err := s.client.CloseOrder(ctx, number)
	if errors.Is(err, wechatpay.CodeOrderPaid) {
		return errPaid
	}
	return err
}

func (s *ours) notification(r *http.Request) (payment, error) {
	body, err := readBody(r)
	if err != nil {
		return payment{}, err
	}
	n, err := s.client.ParseNotification(r.Context(), r.Header, body)
	if err != nil {
		return payment{}, err
	}
	if n.EventType != wechatpay.EventTransactionSuccess || n.Transaction == nil {
		return payment{}, errors.New("it is no payment")
	}
	return ourPayment(n.Transaction), nil
}

func readBody(r *http.Request) ([]byte, error) {
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

func (s *ours) certificates(ctx context.Context) ([]string, error) {
	// It downloads by itself, before the first request.
	if _, err := s.query(ctx, "NEVER-ORDERED"); !errors.Is(err, errNoOrder) {
		return nil, err
	}
	var serials []string
	for _, k := range s.client.PlatformKeys() {
		serials = append(serials, k.Serial)
	}
	return serials, nil
}

func ourPayment(t *wechatpay.Transaction) payment {
	return payment{
		appID: t.AppID, merchantID: t.MerchantID, number: t.OutTradeNo, transactionID: t.TransactionID, tradeType: t.TradeType,
		state: string(t.TradeState), bank: t.BankType, attach: t.Attach, openID: t.PayerOpenID, currency: t.Amount.Currency,
		total: int64(t.Amount.Total), payerTotal: int64(t.Amount.PayerTotal), at: t.SuccessTime,
	}
}
