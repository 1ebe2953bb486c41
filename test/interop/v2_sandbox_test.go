package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-pay/gopay"
	gopayv2 "github.com/go-pay/gopay/wechat"

	"github.com/fenhao-pay/fenhao/money"
	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// shopV2 is a merchant's server on API v2.
type shopV2 interface {
	order(ctx context.Context, o order) (phone, error)
	query(ctx context.Context, number string) (payment, error)
	close(ctx context.Context, number string) error
	notification(r *http.Request) (payment, error)
	// refund pays everything back, with the merchant's certificate, and returns WeChat's number of the refund.
	refund(ctx context.Context, number, refund string, total int64, notifyURL string) (string, error)
	// refundNotification returns the refund's two numbers and how much was paid back.
	refundNotification(r *http.Request) (string, error)
}

// TestV2Purchase lets gopay and our SDK sell and refund at our sandbox, by both algorithms, by address and by proxy, where
// refunds show the merchant's certificate.
func TestV2Purchase(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	m := s.merchant(t)
	for _, signType := range signTypes {
		shops := map[string]shopV2{
			"gopay by address":  newGopayV2(t, s, m, signType, false),
			"gopay by proxy":    newGopayV2(t, s, m, signType, true),
			"fenhao by address": newOursAtSandboxV2(t, s, m, signType, false),
			"fenhao by proxy":   newOursAtSandboxV2(t, s, m, signType, true),
		}
		t.Run(string(signType), func(t *testing.T) {
			for name, shop := range shops {
				t.Run(name, func(t *testing.T) { buyV2(t, s, m, shop, shops) }) // one by one: they move the clock
			}
		})
	}
}

func buyV2(t *testing.T, s *sandbox, m merchant, shop shopV2, witnesses map[string]shopV2) {
	const user = "小明"
	box := newMailbox(t)
	o := order{appID: m.Apps[0].ID, openID: s.openID(t, m, user), number: orderNumber(), total: 1999,
		description: `咖啡 "大杯" & <冰>`, attach: "桌号=7&加糖=否", notifyURL: box.URL}
	ctx := t.Context()
	if _, err := shop.query(ctx, o.number); !errors.Is(err, errNoOrder) {
		t.Errorf("query of an order that isn't there: %v, want %v", err, errNoOrder)
	}
	params, err := shop.order(ctx, o)
	if err != nil {
		t.Fatalf("order: %v", err)
	}
	if open, err := shop.query(ctx, o.number); err != nil || open.state != "NOTPAY" {
		t.Errorf("query before the payment: %+v, %v", open, err)
	}
	params.User = user
	s.pay(t, params)
	got := box.next(t)
	told, err := shop.notification(got.request())
	if err != nil {
		t.Fatalf("notification: %v", err)
	}
	want := payment{appID: o.appID, merchantID: m.ID, number: o.number, tradeType: "JSAPI", state: "SUCCESS", attach: o.attach, openID: o.openID,
		currency: "CNY", total: o.total, payerTotal: o.total, transactionID: told.transactionID, bank: told.bank, at: told.at}
	if told != want || told.transactionID == "" || told.bank == "" || told.at.IsZero() {
		t.Errorf("notification\n got %+v\nwant %+v", told, want)
	}
	for name, witness := range witnesses {
		if heard, err := witness.notification(got.request()); err != nil || heard != want {
			t.Errorf("%s reads another notification (%v)\n got %+v\nwant %+v", name, err, heard, want)
		}
		if asked, err := witness.query(ctx, o.number); err != nil || asked != want {
			t.Errorf("%s reads another answer (%v)\n got %+v\nwant %+v", name, err, asked, want)
		}
	}
	if err := shop.close(ctx, o.number); !errors.Is(err, errPaid) {
		t.Errorf("close of a paid order: %v, want %v", err, errPaid)
	}

	number := "R-" + o.number
	refundID, err := shop.refund(ctx, o.number, number, o.total, box.URL)
	if err != nil || refundID == "" {
		t.Fatalf("refund %q: %v", refundID, err)
	}
	s.control(t, http.MethodPost, "clock", map[string]string{"advance": "1h"}, nil) // until the money is back
	hint := box.next(t)
	wantRefund := fmt.Sprint(number, " ", refundID, " ", o.total)
	for name, witness := range witnesses {
		if heard, err := witness.refundNotification(hint.request()); err != nil || heard != wantRefund {
			t.Errorf("%s reads another refund: %q, %v, want %q", name, heard, err, wantRefund)
		}
	}
	if refunded, err := shop.query(ctx, o.number); err != nil || refunded.state != "REFUND" {
		t.Errorf("query after the refund: %+v, %v", refunded, err)
	}

	o.number = orderNumber()
	if _, err := shop.order(ctx, o); err != nil {
		t.Fatalf("a second order: %v", err)
	}
	s.control(t, http.MethodPost, "clock", map[string]string{"advance": "6m"}, nil) // WeChat Pay closes orders after five minutes
	if err := shop.close(ctx, o.number); err != nil {
		t.Errorf("close: %v", err)
	}
	if closed, err := shop.query(ctx, o.number); err != nil || closed.state != "CLOSED" {
		t.Errorf("query after closing: %+v, %v", closed, err)
	}
}

// certificate is the merchant's, from the files that --export wrote.
func (s *sandbox) certificate(t *testing.T, m merchant) tls.Certificate {
	t.Helper()
	dir := filepath.Join(s.Export, m.ID)
	c, err := tls.LoadX509KeyPair(filepath.Join(dir, "apiclient_cert.pem"), filepath.Join(dir, "apiclient_key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type oursV2 struct{ client *apiv2.Client }

func newOursAtSandboxV2(t *testing.T, s *sandbox, m merchant, signType apiv2.SignType, proxy bool) shopV2 {
	t.Helper()
	key, err := apiv2.NewKey(m.APIv2Key)
	if err != nil {
		t.Fatal(err)
	}
	way := apiv2.WithBaseURL(s.Address)
	if proxy {
		way = apiv2.WithHTTPClient(s.throughProxy(t))
	}
	client, err := apiv2.NewClient(apiv2.Config{MerchantID: m.ID, AppID: m.Apps[0].ID, Key: key, SignType: signType, Certificate: s.certificate(t, m)}, way)
	if err != nil {
		t.Fatal(err)
	}
	return &oursV2{client}
}

func (s *oursV2) order(ctx context.Context, o order) (phone, error) {
	placed, err := s.client.UnifiedOrder(ctx, apiv2.OrderRequest{TradeType: apiv2.TradeJSAPI, AppID: o.appID, OpenID: o.openID, OutTradeNo: o.number,
		Description: o.description, Total: money.Fen(o.total), NotifyURL: o.notifyURL, PayerClientIP: "14.23.150.211", Attach: o.attach})
	if err != nil {
		return phone{}, err
	}
	p, err := s.client.PayParameters(o.appID, placed.PrepayID)
	return phone{AppID: p.AppID, TimeStamp: p.TimeStamp, NonceStr: p.NonceStr, Package: p.Package, SignType: p.SignType, PaySign: p.PaySign}, err
}

func (s *oursV2) query(ctx context.Context, number string) (payment, error) {
	t, err := s.client.QueryOrder(ctx, number)
	if errors.Is(err, apiv2.CodeOrderNotExist) {
		return payment{}, errNoOrder
	}
	if err != nil {
		return payment{}, err
	}
	return oursV2Payment(t), nil
}

func (s *oursV2) close(ctx context.Context, number string) error {
	err := s.client.CloseOrder(ctx, number)
	if errors.Is(err, apiv2.CodeOrderPaid) {
		return errPaid
	}
	return err
}

func (s *oursV2) notification(r *http.Request) (payment, error) {
	body, err := readBody(r)
	if err != nil {
		return payment{}, err
	}
	t, err := s.client.ParsePayment(body)
	if err != nil {
		return payment{}, err
	}
	return oursV2Payment(t), nil
}

func (s *oursV2) refund(ctx context.Context, number, refund string, total int64, notifyURL string) (string, error) {
	r, err := s.client.Refund(ctx, apiv2.RefundRequest{OutTradeNo: number, OutRefundNo: refund, Total: money.Fen(total), Amount: money.Fen(total),
		NotifyURL: notifyURL})
	if err != nil {
		return "", err
	}
	return r.RefundID, nil
}

func (s *oursV2) refundNotification(r *http.Request) (string, error) {
	body, err := readBody(r)
	if err != nil {
		return "", err
	}
	h, err := s.client.ParseRefundHint(body)
	if err != nil {
		return "", err
	}
	return fmt.Sprint(h.OutRefundNo, " ", h.RefundID, " ", int64(h.Amount.Refund)), nil
}

func oursV2Payment(t *apiv2.Transaction) payment {
	return payment{appID: t.AppID, merchantID: t.MerchantID, number: t.OutTradeNo, transactionID: t.TransactionID, tradeType: string(t.TradeType),
		state: string(t.TradeState), bank: t.BankType, attach: t.Attach, openID: t.PayerOpenID, currency: t.Amount.Currency,
		total: int64(t.Amount.Total), payerTotal: int64(t.Amount.PayerTotal), at: t.SuccessTime}
}

type gopayV2 struct {
	client   *gopayv2.Client
	key      string
	signType string
}

func newGopayV2(t *testing.T, s *sandbox, m merchant, signType apiv2.SignType, proxy bool) shopV2 {
	t.Helper()
	client := gopayv2.NewClient(m.Apps[0].ID, m.ID, m.APIv2Key, true)
	if proxy {
		plain := s.throughProxy(t)
		client.GetHttpClient().SetTransport(plain.Transport)
		certified := plain.Transport.(*http.Transport).Clone()
		certified.TLSClientConfig.Certificates = []tls.Certificate{s.certificate(t, m)}
		t.Cleanup(certified.CloseIdleConnections)
		client.GetTLSHttpClient().SetTransport(certified)
	} else {
		client.SetProxyUrl(s.Address)
	}
	return &gopayV2{client, m.APIv2Key, string(signType)}
}

// fields are those that every request has.
func (s *gopayV2) fields() gopay.BodyMap {
	bm := make(gopay.BodyMap)
	return bm.Set("nonce_str", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS").Set("sign_type", s.signType)
}

// verified is nil where an answer is one of success and genuine.
func (s *gopayV2) verified(answer any, result, code, message string) error {
	if ok, err := gopayv2.VerifySign(s.key, s.signType, answer); err != nil || !ok {
		return fmt.Errorf("not verified (%v): %s", err, message)
	}
	if result != "SUCCESS" {
		return errors.New(code)
	}
	return nil
}

func (s *gopayV2) order(ctx context.Context, o order) (phone, error) {
	r, err := s.client.UnifiedOrder(ctx, s.fields().Set("body", o.description).Set("out_trade_no", o.number).Set("total_fee", o.total).
		Set("spbill_create_ip", "14.23.150.211").Set("notify_url", o.notifyURL).Set("trade_type", "JSAPI").Set("openid", o.openID).Set("attach", o.attach))
	if err == nil {
		err = s.verified(r, r.ResultCode, r.ErrCode, r.ReturnMsg)
	}
	if err != nil {
		return phone{}, err
	}
	p := phone{AppID: o.appID, TimeStamp: strconv.FormatInt(time.Now().Unix(), 10), NonceStr: "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
		Package: "prepay_id=" + r.PrepayId, SignType: s.signType}
	p.PaySign = gopayv2.GetMiniPaySign(p.AppID, p.NonceStr, p.Package, p.SignType, p.TimeStamp, s.key)
	return p, nil
}

func (s *gopayV2) query(ctx context.Context, number string) (payment, error) {
	r, all, err := s.client.QueryOrder(ctx, s.fields().Set("out_trade_no", number))
	if err == nil {
		err = s.verified(all, r.ResultCode, r.ErrCode, r.ReturnMsg)
	}
	if err != nil {
		if err.Error() == "ORDERNOTEXIST" {
			err = errNoOrder
		}
		return payment{}, err
	}
	return gopayV2Payment(all, r.TradeState)
}

func (s *gopayV2) close(ctx context.Context, number string) error {
	r, err := s.client.CloseOrder(ctx, s.fields().Set("out_trade_no", number))
	switch {
	case err != nil:
		return err
	case r.ErrCode == "ORDERPAID":
		return errPaid
	case r.ReturnCode != "SUCCESS" || r.ResultCode != "SUCCESS":
		return fmt.Errorf("%s %s", r.ReturnMsg, r.ErrCode)
	}
	// gopay can't verify this answer: it drops result_msg, which is signed. The query that follows is verified.
	return nil
}

func (s *gopayV2) notification(r *http.Request) (payment, error) {
	n, err := gopayv2.ParseNotifyToBodyMap(r)
	if err == nil {
		err = s.verified(n, n.GetString("result_code"), n.GetString("err_code"), n.GetString("return_msg"))
	}
	if err != nil {
		return payment{}, err
	}
	return gopayV2Payment(n, n.GetString("result_code"))
}

func (s *gopayV2) refund(ctx context.Context, number, refund string, total int64, notifyURL string) (string, error) {
	r, all, err := s.client.Refund(ctx, s.fields().Set("out_trade_no", number).Set("out_refund_no", refund).Set("total_fee", total).
		Set("refund_fee", total).Set("notify_url", notifyURL))
	if err == nil {
		err = s.verified(all, r.ResultCode, r.ErrCode, r.ReturnMsg)
	}
	if err != nil {
		return "", err
	}
	return r.RefundId, nil
}

func (s *gopayV2) refundNotification(r *http.Request) (string, error) {
	n, err := gopayv2.ParseRefundNotify(r)
	if err != nil {
		return "", err
	}
	refund, err := gopayv2.DecryptRefundNotifyReqInfo(n.ReqInfo, s.key)
	if err != nil {
		return "", err
	}
	return fmt.Sprint(refund.OutRefundNo, " ", refund.RefundId, " ", refund.RefundFee), nil
}

func gopayV2Payment(bm gopay.BodyMap, state string) (payment, error) {
	p := payment{appID: bm.GetString("appid"), merchantID: bm.GetString("mch_id"), number: bm.GetString("out_trade_no"),
		transactionID: bm.GetString("transaction_id"), tradeType: bm.GetString("trade_type"), state: state, bank: bm.GetString("bank_type"),
		attach: bm.GetString("attach"), openID: bm.GetString("openid"), currency: bm.GetString("fee_type")}
	if state != "SUCCESS" {
		return p, nil
	}
	var err, errs error
	if p.total, err = strconv.ParseInt(bm.GetString("total_fee"), 10, 64); err != nil {
		errs = errors.Join(errs, err)
	}
	if p.payerTotal, err = strconv.ParseInt(bm.GetString("cash_fee"), 10, 64); err != nil {
		errs = errors.Join(errs, err)
	}
	at, err := time.ParseInLocation("20060102150405", bm.GetString("time_end"), time.FixedZone("Beijing", 8*60*60))
	p.at = at.UTC()
	return p, errors.Join(errs, err)
}
