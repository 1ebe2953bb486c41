package wechat

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

// What an error of WeChat's means for an order, code by code. Refused is what proves that nothing was done.
func TestTranslate(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	answer := func(status int, code wechatpay.Code) error {
		return fmt.Errorf("place order x: %w", &wechatpay.Error{Status: status, Code: code, RequestID: "08F7"})
	}
	for _, c := range []struct {
		err  error
		want error
	}{
		{nil, nil},
		{wechatpay.ErrUncertain, pay.ErrUncertain},
		{wechatpay.ErrNotSent, pay.ErrUncertain}, // nothing happened, and asking again is right
		{context.DeadlineExceeded, pay.ErrUncertain},
		{context.Canceled, pay.ErrUncertain},
		{errors.New("anything else"), pay.ErrUncertain},
		{answer(500, wechatpay.CodeSystemError), pay.ErrUncertain},
		{answer(503, wechatpay.CodeServiceUnavailable), pay.ErrUncertain},
		{answer(202, wechatpay.CodeUserPaying), pay.ErrUncertain},
		{answer(302, "HTTP_302"), pay.ErrUncertain},
		{answer(404, wechatpay.CodeOrderNotExist), pay.ErrNotExist},
		{answer(429, wechatpay.CodeFrequencyLimited), pay.ErrBusy},
		{answer(429, "HTTP_429"), pay.ErrBusy},
		{answer(403, wechatpay.CodeFrequencyLimited), pay.ErrBusy},
		{answer(403, wechatpay.CodeOutTradeNoUsed), pay.ErrSettled},
		{answer(400, wechatpay.CodeOrderPaid), pay.ErrSettled},
		{answer(400, wechatpay.CodeOrderClosed), pay.ErrSettled},
		{answer(400, wechatpay.CodeOrderReversed), pay.ErrSettled},
		{answer(403, wechatpay.CodeTradeError), pay.ErrSettled},
		{answer(400, wechatpay.CodeParamError), refused},
		{answer(400, wechatpay.CodeInvalidRequest), refused},
		{answer(400, wechatpay.CodeAppIDMchIDNotMatch), refused},
		{answer(401, wechatpay.CodeSignError), refused},
		{answer(403, wechatpay.CodeNoAuth), refused},
		{answer(404, wechatpay.CodeResourceNotExists), refused}, // not the order: something else is missing
		{answer(418, "TEAPOT"), refused},
	} {
		got := translate(c.err)
		var refusal *pay.Refusal
		isRefusal := errors.As(got, &refusal)
		if c.want == refused && (!isRefusal || refusal.RequestID != "08F7" || refusal.Hint("zh") == "" || refusal.Hint("en") == "") {
			t.Errorf("%v became %v, want a refusal with a hint", c.err, got)
		}
		if c.want != refused && (isRefusal || !errors.Is(got, c.want) || (c.err != nil && !errors.Is(got, c.err))) {
			t.Errorf("%v became %v, want %v", c.err, got, c.want)
		}
	}
}

// Every trade state there is, and one that there is not yet.
func TestStates(t *testing.T) {
	t.Parallel()
	for from, want := range map[wechatpay.TradeState]pay.TradeState{
		wechatpay.TradeSuccess: pay.TradePaid, wechatpay.TradeRefund: pay.TradePaid, // the money came, whatever was sent back since
		wechatpay.TradeNotPay: pay.TradeOpen, wechatpay.TradeUserPaying: pay.TradeOpen, wechatpay.TradeAccept: pay.TradeOpen,
		wechatpay.TradeClosed: pay.TradeClosed, wechatpay.TradeRevoked: pay.TradeClosed, wechatpay.TradePayError: pay.TradeClosed,
		"SHINY": pay.TradeOpen, "": pay.TradeOpen,
	} {
		if got := state(from); got != want {
			t.Errorf("%q is %s, want %s", from, got, want)
		}
	}
}

// An order of a merchant that is no longer configured is not guessed at.
func TestUnknownMerchant(t *testing.T) {
	t.Parallel()
	g := New(nil, nil)
	o, a := pay.Order{MerchantID: "1900000001"}, pay.Attempt{OutTradeNo: "x"}
	_, prepay := g.Prepay(t.Context(), o, a)
	_, query := g.Query(t.Context(), o, a)
	_, parameters := g.PayParameters(o, a)
	_, notice := g.ParseNotification(t.Context(), "1900000001", nil, nil)
	for _, err := range []error{prepay, query, parameters, notice, g.Close(t.Context(), o, a)} {
		if !errors.Is(err, pay.ErrUnknownMerchant) {
			t.Error(err)
		}
	}
}
