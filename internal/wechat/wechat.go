// Package wechat is pay's [pay.Gateway] on the SDK: the only room that knows both vocabularies. It translates, it does
// not remember: what is to be done, and what came of it, is pay's.
//
// It also makes the only [pay.Transaction] values there are, from messages whose signature the SDK has verified.
package wechat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/miniprogram"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// Merchant is one merchant number's way to WeChat.
type Merchant struct {
	Client *wechatpay.Client
	Apps   map[string]*miniprogram.Client // by app id
}

// Gateway speaks to WeChat for all merchants of this installation. It is safe for concurrent use.
type Gateway struct {
	merchants map[string]merchant
	apps      map[string]*miniprogram.Client
	now       func() time.Time
}

var _ pay.Gateway = (*Gateway)(nil)

type merchant struct {
	client  *wechatpay.Client
	queries *rate.Limiter
}

// queriesPerSecond bounds what we ask by ourselves, per merchant. WeChat publishes no limit for queries and 300 a second
// for those of refunds.
const queriesPerSecond = 200

// New returns a Gateway for merchants, by merchant number. now is business time, for the evidence; nil means time.Now.
func New(merchants map[string]Merchant, now func() time.Time) *Gateway {
	if now == nil {
		now = time.Now
	}
	g := &Gateway{merchants: map[string]merchant{}, apps: map[string]*miniprogram.Client{}, now: now}
	for id, m := range merchants {
		g.merchants[id] = merchant{m.Client, rate.NewLimiter(queriesPerSecond, queriesPerSecond)}
		for app, c := range m.Apps {
			g.apps[app] = c
		}
	}
	return g
}

func (g *Gateway) merchant(id string) (merchant, error) {
	m, ok := g.merchants[id]
	if !ok {
		return merchant{}, fmt.Errorf("merchant %s: %w: it may have been taken out of the settings while orders of it are open", id, pay.ErrUnknownMerchant)
	}
	return m, nil
}

// Login implements pay.Gateway.
func (g *Gateway) Login(ctx context.Context, appID, code string) (pay.Identity, error) {
	app, ok := g.apps[appID]
	if !ok {
		return pay.Identity{}, fmt.Errorf("app %s is not configured", appID)
	}
	s, err := app.Code2Session(ctx, code)
	if err == nil {
		return pay.Identity{OpenID: s.OpenID, UnionID: s.UnionID}, nil
	}
	var no *miniprogram.Error
	switch {
	case errors.Is(err, miniprogram.CodeInvalidCode), errors.Is(err, miniprogram.CodeUsed):
		return pay.Identity{}, &pay.Error{Code: pay.CodeLoginCode, Cause: err}
	case errors.Is(err, miniprogram.CodeBlocked):
		return pay.Identity{}, &pay.Error{Code: pay.CodeLoginBlocked, Cause: err}
	case errors.As(err, &no) && no.Temporary():
		return pay.Identity{}, fmt.Errorf("%w: %w", pay.ErrBusy, err)
	case errors.As(err, &no):
		return pay.Identity{}, &pay.Refusal{Status: http.StatusOK, Code: fmt.Sprint(int(no.Code)), Message: no.Message, RequestID: no.RID, Hint: no.Hint}
	}
	return pay.Identity{}, fmt.Errorf("%w: %w", pay.ErrUncertain, err)
}

// Prepay implements pay.Gateway.
func (g *Gateway) Prepay(ctx context.Context, o pay.Order, a pay.Attempt) (string, error) {
	m, err := g.merchant(o.MerchantID)
	if err != nil {
		return "", err
	}
	id, err := m.client.Prepay(ctx, wechatpay.PrepayRequest{AppID: o.AppID, OpenID: o.OpenID, OutTradeNo: a.OutTradeNo, Description: o.Description,
		Total: o.Total, Currency: o.Currency, NotifyURL: a.NotifyURL, ExpiresAt: o.ExpiresAt, Attach: o.Attach})
	if err != nil {
		return "", translate(err)
	}
	return id, nil
}

// Query implements pay.Gateway.
func (g *Gateway) Query(ctx context.Context, o pay.Order, a pay.Attempt) (pay.Transaction, error) {
	m, err := g.merchant(o.MerchantID)
	if err != nil {
		return pay.Transaction{}, err
	}
	if err := m.queries.Wait(ctx); err != nil {
		return pay.Transaction{}, fmt.Errorf("%w: %w", pay.ErrBusy, err)
	}
	t, err := m.client.QueryOrder(ctx, a.OutTradeNo)
	if err != nil {
		return pay.Transaction{}, translate(err)
	}
	return transaction(t, g.evidence("query", t.Serial, t.Raw)), nil
}

// Close implements pay.Gateway.
func (g *Gateway) Close(ctx context.Context, o pay.Order, a pay.Attempt) error {
	m, err := g.merchant(o.MerchantID)
	if err != nil {
		return err
	}
	return translate(m.client.CloseOrder(ctx, a.OutTradeNo))
}

// PayParameters implements pay.Gateway.
func (g *Gateway) PayParameters(o pay.Order, a pay.Attempt) (pay.Payment, error) {
	m, err := g.merchant(o.MerchantID)
	if err != nil {
		return pay.Payment{}, err
	}
	p, err := m.client.PayParameters(o.AppID, a.PrepayID)
	return pay.Payment{AppID: p.AppID, TimeStamp: p.TimeStamp, NonceStr: p.NonceStr, Package: p.Package, SignType: p.SignType, PaySign: p.PaySign}, err
}

// ParseNotification verifies, decrypts and reads what came to the address of a merchant. Its errors: pay.ErrUnknownMerchant,
// pay.ErrUnverified; anything else means that it is WeChat's but can't be read now.
func (g *Gateway) ParseNotification(ctx context.Context, merchantID string, header http.Header, body []byte) (pay.Notice, error) {
	m, err := g.merchant(merchantID)
	if err != nil {
		return pay.Notice{}, err
	}
	n, err := m.client.ParseNotification(ctx, header, body)
	switch {
	case errors.Is(err, wechatpay.ErrBadSignature):
		return pay.Notice{}, fmt.Errorf("%w: %w", pay.ErrUnverified, err)
	case err != nil:
		return pay.Notice{}, err
	}
	e := g.evidence("notification", n.Serial, body)
	notice := pay.Notice{MerchantID: merchantID, EventType: n.EventType, Evidence: e}
	if n.EventType == wechatpay.EventTransactionSuccess && n.Transaction != nil {
		t := transaction(n.Transaction, e)
		notice.Transaction = &t
	}
	return notice, nil
}

func (g *Gateway) evidence(source, serial string, raw []byte) pay.Evidence {
	sum := sha256.Sum256(raw)
	return pay.Evidence{Source: source, Serial: serial, Digest: hex.EncodeToString(sum[:]), At: g.now().UTC().Truncate(time.Millisecond)}
}

func transaction(t *wechatpay.Transaction, e pay.Evidence) pay.Transaction {
	return pay.Transaction{MerchantID: t.MerchantID, AppID: t.AppID, OutTradeNo: t.OutTradeNo, TransactionID: t.TransactionID, State: state(t.TradeState),
		Total: t.Amount.Total, Currency: t.Amount.Currency, OpenID: t.PayerOpenID, PaidAt: t.SuccessTime.UTC(), Evidence: e,
		Receipt: pay.Receipt{TradeType: t.TradeType, BankType: t.BankType, PayerTotal: t.Amount.PayerTotal}}
}

// state reduces WeChat's trade states to what matters to an order. What is new is not final.
func state(s wechatpay.TradeState) pay.TradeState {
	switch s {
	case wechatpay.TradeSuccess, wechatpay.TradeRefund:
		return pay.TradePaid
	case wechatpay.TradeClosed, wechatpay.TradeRevoked, wechatpay.TradePayError:
		return pay.TradeClosed
	}
	return pay.TradeOpen
}

// translate says in pay's words what an error of the SDK means. A code that says something about the state of the order
// is no refusal: it is settled, and a query tells how.
func translate(err error) error {
	var no *wechatpay.Error
	var mine *wechatpay.RequestError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wechatpay.ErrUncertain), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %w", pay.ErrUncertain, err)
	case errors.As(err, &mine): // WeChat would refuse it, and was not asked
		return &pay.Error{Code: pay.CodeInvalid, Args: map[string]string{"field": mine.Field, "why_zh": mine.Hint("zh"), "why_en": mine.Hint("en")}, Cause: err}
	case !errors.As(err, &no): // not sent: nothing happened, and asking again is right
		return fmt.Errorf("%w: %w", pay.ErrUncertain, err)
	case errors.Is(err, wechatpay.CodeOrderNotExist):
		return fmt.Errorf("%w: %w", pay.ErrNotExist, err)
	case no.Status == http.StatusTooManyRequests, errors.Is(err, wechatpay.CodeFrequencyLimited):
		return fmt.Errorf("%w: %w", pay.ErrBusy, err)
	case errors.Is(err, wechatpay.CodeOutTradeNoUsed), errors.Is(err, wechatpay.CodeOrderPaid), errors.Is(err, wechatpay.CodeOrderClosed),
		errors.Is(err, wechatpay.CodeOrderReversed), errors.Is(err, wechatpay.CodeTradeError):
		return fmt.Errorf("%w: %w", pay.ErrSettled, err)
	}
	return &pay.Refusal{Status: no.Status, Code: string(no.Code), Message: no.Error(), RequestID: no.RequestID, Hint: no.Hint}
}
