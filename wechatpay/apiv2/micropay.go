package apiv2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/fenhao-pay/fenhao/money"
)

// MicropayRequest is a payment by the code on the buyer's phone. What is left empty is not sent.
type MicropayRequest struct {
	AppID         string    // bound to the merchant; "" means that of the client
	OutTradeNo    string    // the merchant's number: 6 to 32 of 0-9 A-Z a-z _ - | *, never used before for another order
	Description   string    // the buyer sees it (body); at most 127 bytes, no emoji
	Total         money.Fen // at least 1 fen
	Currency      string    // "" means CNY; there is no other
	AuthCode      string    // what was scanned: 18 digits that begin with 10 to 15; good for a minute, and once
	PayerClientIP string    // the address of the till, IPv4 or IPv6
	Attach        string    // comes back in queries, notifications and bills; at most 127 bytes

	GoodsTag      string // of a coupon campaign
	DeviceInfo    string // of the till, at most 32 characters
	NoCredit      bool   // refuses credit cards
	SupportFapiao bool   // offers an electronic invoice
	ProfitSharing bool   // keeps the money frozen for profit sharing (分账)
	Detail        OrderDetail
	SceneInfo     SceneInfo
}

// Micropay takes a payment by the buyer's code (付款码支付). A nil error means paid.
//
// After ErrUncertain, which CodeUserPaying, CodeSystemError and CodeBankError match too, query every five seconds for up
// to 45, and if it is still open, call Reverse. Don't charge another code under another number before that. There is no
// notification.
//
// Errors to tell apart: *RequestError (nothing was sent: mend the field), CodeAuthCodeExpire, CodeAuthCodeError and
// CodeAuthCodeInvalid (scan again), CodeNotEnough, CodeNotSupportCard (the buyer pays otherwise), CodeOrderPaid,
// CodeOutTradeNoUsed, ErrNotSent, ErrUncertain.
//
// Source: v2 manual, "提交付款码支付" (chapter 9_10).
func (c *Client) Micropay(ctx context.Context, r MicropayRequest) (*Transaction, error) {
	fields, err := r.fields()
	if err != nil {
		return nil, fmt.Errorf("take a payment: %w", err)
	}
	resp, err := c.do(ctx, "/pay/micropay", r.AppID, fields)
	if err != nil {
		return nil, fmt.Errorf("take payment %s: %w", r.OutTradeNo, err)
	}
	t, err := c.readAnswered(resp, TradeSuccess)
	if err == nil && (t.OutTradeNo != r.OutTradeNo || t.Amount.Total != r.Total) {
		err = errors.New("it is about another order or another amount")
	}
	if err != nil {
		return nil, fmt.Errorf("take payment %s: %w", r.OutTradeNo, uncertain(fmt.Errorf("read the answer: %w", err)))
	}
	return t, nil
}

// fields checks r and spells it for WeChat Pay.
func (r MicropayRequest) fields() (Fields, error) {
	if err := cmp.Or(
		checkFen("total_fee", r.Total),
		checkCurrency("fee_type", r.Currency),
		checkText("body", r.Description, 1, 127),
		checkNewOutTradeNo(r.OutTradeNo),
		checkAuthCode(r.AuthCode),
		checkIP("spbill_create_ip", r.PayerClientIP),
		checkAttach(r.Attach),
		checkText("goods_tag", r.GoodsTag, 0, 32),
		checkText("device_info", r.DeviceInfo, 0, 32),
	); err != nil {
		return nil, err
	}
	f := make(Fields, 0, 24)
	f = f.add("attach", r.Attach)
	f = f.add("auth_code", r.AuthCode)
	f = f.add("body", r.Description)
	detail, err := r.Detail.encode()
	if err != nil {
		return nil, err
	}
	if detail != "" {
		f = f.add("detail", detail)
		f = f.add("version", "1.0")
	}
	f = f.add("device_info", r.DeviceInfo)
	f = f.add("fee_type", r.Currency)
	f = f.add("goods_tag", r.GoodsTag)
	if r.NoCredit {
		f = f.add("limit_pay", "no_credit")
	}
	f = f.add("out_trade_no", r.OutTradeNo)
	if r.ProfitSharing {
		f = f.add("profit_sharing", "Y")
	}
	if r.SupportFapiao {
		f = f.add("receipt", "Y")
	}
	scene, err := r.SceneInfo.encode()
	if err != nil {
		return nil, err
	}
	f = f.add("scene_info", scene)
	f = f.add("spbill_create_ip", r.PayerClientIP)
	f = f.add("total_fee", strconv.FormatInt(int64(r.Total), 10))
	return f, nil
}

func checkAuthCode(s string) error { return checkAmong("auth_code", s, "", 1, 128) }

// Reverse takes a code payment back (撤销订单), by one of its two numbers: paid, the money goes back; unpaid, the order is
// closed. Call it 15 seconds after Micropay at the earliest and within seven days, and never for other payments. It
// presents the client certificate.
//
// again means that WeChat Pay asks to be called once more. After ErrUncertain, call it again.
//
// Source: v2 manual, "撤销订单" (chapter 9_11).
func (c *Client) Reverse(ctx context.Context, outTradeNo, transactionID string) (again bool, err error) {
	if err := checkOrderNumbers(outTradeNo, transactionID); err != nil {
		return false, fmt.Errorf("reverse an order: %w", err)
	}
	fields := Fields{}.add("out_trade_no", outTradeNo).add("transaction_id", transactionID)
	resp, err := c.do(ctx, "/secapi/pay/reverse", "", fields)
	if err == nil {
		switch resp.Fields.find("recall") {
		case "Y":
			return true, nil
		case "N":
			return false, nil
		}
		err = uncertain(errors.New("read the answer: its recall is neither Y nor N"))
	}
	return false, fmt.Errorf("reverse order %s%s: %w", outTradeNo, transactionID, err)
}

// Payer is a buyer, as AuthCodeToOpenID finds one.
type Payer struct {
	OpenID    string
	SubOpenID string // with service providers that have a SubAppID
}

// AuthCodeToOpenID asks whose payment code this is (付款码查询openid), without charging it. It reads, and can be repeated.
//
// Errors to tell apart: CodeAuthCodeExpire, CodeAuthCodeError and CodeAuthCodeInvalid (scan again), ErrNotSent,
// ErrUncertain (ask again).
//
// Source: v2 manual, "付款码查询openid" (chapter 9_13).
func (c *Client) AuthCodeToOpenID(ctx context.Context, authCode string) (Payer, error) {
	if err := checkAuthCode(authCode); err != nil {
		return Payer{}, fmt.Errorf("find the owner of a payment code: %w", err)
	}
	resp, err := c.do(ctx, "/tools/authcodetoopenid", "", Fields{{"auth_code", authCode}})
	if err == nil && resp.Fields.find("openid") == "" {
		err = uncertain(errors.New("read the answer: it has no openid"))
	}
	if err != nil {
		return Payer{}, fmt.Errorf("find the owner of a payment code: %w", err)
	}
	return Payer{OpenID: resp.Fields.find("openid"), SubOpenID: resp.Fields.find("sub_openid")}, nil
}
