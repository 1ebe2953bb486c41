package interop

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/downloader"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/jsapi"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"
)

// official is a shop written with WeChat Pay's own SDK. WeChat Pay's address is built into it.
type official struct {
	merchantID string
	api        jsapi.JsapiApiService
	notices    *notify.Handler
	downloader *downloader.CertificateDownloader // nil in public-key mode
}

func newOfficial(t *testing.T, client *http.Client, m merchant, publicKey bool) shop {
	t.Helper()
	key, err := utils.LoadPrivateKey(m.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	s := &official{merchantID: m.ID}
	var verifier auth.Verifier
	var options []core.ClientOption
	if publicKey {
		var public *rsa.PublicKey
		if public, err = utils.LoadPublicKey(m.PublicKey); err != nil {
			t.Fatal(err)
		}
		verifier = verifiers.NewSHA256WithRSAPubkeyVerifier(m.PublicKeyID, *public)
		options = append(options, option.WithWechatPayPublicKeyAuthCipher(m.ID, m.Serial, key, m.PublicKeyID, public))
	} else {
		// As its README has it, except that its downloader gets an HTTP client. The first list can't be verified.
		unverified, err := core.NewClient(t.Context(), option.WithMerchantCredential(m.ID, m.Serial, key),
			option.WithoutValidator(), option.WithHTTPClient(client))
		if err != nil {
			t.Fatal(err)
		}
		if s.downloader, err = downloader.NewCertificateDownloaderWithClient(t.Context(), unverified, m.APIv3Key); err != nil {
			t.Fatalf("wechatpay-go downloads certificates: %v", err)
		}
		verifier = verifiers.NewSHA256WithRSAVerifier(s.downloader)
		options = append(options, option.WithMerchantCredential(m.ID, m.Serial, key), option.WithVerifier(verifier))
	}
	c, err := core.NewClient(t.Context(), append(options, option.WithHTTPClient(client))...)
	if err != nil {
		t.Fatal(err)
	}
	s.api = jsapi.JsapiApiService{Client: c}
	if s.notices, err = notify.NewRSANotifyHandler(m.APIv3Key, verifier); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *official) order(ctx context.Context, o order) (phone, error) {
	p, _, err := s.api.PrepayWithRequestPayment(ctx, jsapi.PrepayRequest{
		Appid: core.String(o.appID), Mchid: core.String(s.merchantID), Description: core.String(o.description),
		OutTradeNo: core.String(o.number), Attach: optional(o.attach), NotifyUrl: core.String(o.notifyURL),
		Amount: &jsapi.Amount{Total: core.Int64(o.total)}, Payer: &jsapi.Payer{Openid: core.String(o.openID)},
	})
	if err != nil {
		return phone{}, err
	}
	return phone{AppID: *p.Appid, TimeStamp: *p.TimeStamp, NonceStr: *p.NonceStr, Package: *p.Package, SignType: *p.SignType,
		PaySign: *p.PaySign}, nil
}

func (s *official) query(ctx context.Context, number string) (payment, error) {
	t, _, err := s.api.QueryOrderByOutTradeNo(ctx, jsapi.QueryOrderByOutTradeNoRequest{
		OutTradeNo: core.String(number), Mchid: core.String(s.merchantID)})
	if core.IsAPIError(err, "ORDER_NOT_EXIST") {
		return payment{}, errNoOrder
	}
	if err != nil {
		return payment{}, err
	}
	return officialPayment(t)
}

func (s *official) close(ctx context.Context, number string) error {
	_, err := s.api.CloseOrder(ctx, jsapi.CloseOrderRequest{OutTradeNo: core.String(number), Mchid: core.String(s.merchantID)})
	if core.IsAPIError(err, "ORDER_PAID") || core.IsAPIError(err, "ORDERPAID") {
		return errPaid
	}
	return err
}

func (s *official) notification(r *http.Request) (payment, error) {
	var t payments.Transaction
	n, err := s.notices.ParseNotifyRequest(r.Context(), r, &t)
	if err != nil {
		return payment{}, err
	}
	if n.EventType != "TRANSACTION.SUCCESS" || n.Resource.OriginalType != "transaction" {
		return payment{}, fmt.Errorf("it is no payment: %s about a %s", n.EventType, n.Resource.OriginalType)
	}
	return officialPayment(&t)
}

func (s *official) certificates(ctx context.Context) ([]string, error) {
	if s.downloader == nil {
		return nil, errors.New("it knows the public key alone")
	}
	if err := s.downloader.DownloadCertificates(ctx); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(s.downloader.GetAll(ctx))), nil
}

func officialPayment(t *payments.Transaction) (payment, error) {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	number := func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return *n
	}
	p := payment{
		appID: text(t.Appid), merchantID: text(t.Mchid), number: text(t.OutTradeNo), transactionID: text(t.TransactionId),
		tradeType: text(t.TradeType), state: text(t.TradeState), bank: text(t.BankType), attach: text(t.Attach),
	}
	if t.Payer != nil {
		p.openID = text(t.Payer.Openid)
	}
	if t.Amount != nil {
		p.currency, p.total, p.payerTotal = text(t.Amount.Currency), number(t.Amount.Total), number(t.Amount.PayerTotal)
	}
	var err error
	p.at, err = readTime(text(t.SuccessTime))
	return p, err
}

// readTime reads a success_time; none is the zero time.
func readTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, s)
	return at.UTC(), err
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
