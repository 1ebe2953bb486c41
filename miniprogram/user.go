package miniprogram

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// PhoneNumber is a phone number that WeChat has verified. It is personal data: don't log it.
type PhoneNumber struct {
	Number      string    // with the country's code where it is not a Chinese one: "13580006666", "+1 2025550143"
	PureNumber  string    // without it
	CountryCode string    // "86"
	At          time.Time // when WeChat said so, UTC
}

// PhoneNumber exchanges the code that a button with open-type="getPhoneNumber" yields, which is not the code of wx.login.
// It can be exchanged once, within five minutes after the button was tapped; each success costs the merchant money. openID
// is whose code it must be, or "" where that does not matter.
//
// Errors to tell apart: CodeInvalidCode (the user taps again), CodeUnauthorized (the app may not ask), those whose Temporary
// is true.
//
// Source: WeChat's manual for mini programs, "手机号快速验证组件" (getPhoneNumber).
func (c *Client) PhoneNumber(ctx context.Context, code, openID string) (PhoneNumber, error) {
	p, err := c.phoneNumber(ctx, code, openID)
	if err != nil {
		return PhoneNumber{}, fmt.Errorf("exchange a phone number's code: %w", err)
	}
	return p, nil
}

func (c *Client) phoneNumber(ctx context.Context, code, openID string) (PhoneNumber, error) {
	if code == "" || len(code) > 512 {
		return PhoneNumber{}, mistake("code", "it is what the phone-number button yields",
			"应为手机号按钮返回的 code", CodeInvalidCode)
	}
	if openID != "" {
		if err := checkOpenID("openid", openID); err != nil {
			return PhoneNumber{}, err
		}
	}
	var v struct {
		Phone struct {
			Number      string    `json:"phoneNumber"`
			PureNumber  string    `json:"purePhoneNumber"`
			CountryCode loose     `json:"countryCode"` // a text in the manual's table, a number in its example
			Watermark   watermark `json:"watermark"`
		} `json:"phone_info"`
	}
	err := c.post(ctx, "/wxa/business/getuserphonenumber", struct {
		Code   string `json:"code"`
		OpenID string `json:"openid,omitempty"`
	}{code, openID}, &v, "code", code, "openid", openID)
	if err != nil {
		return PhoneNumber{}, err
	}
	p := v.Phone
	if p.Number == "" || p.PureNumber == "" {
		return PhoneNumber{}, fmt.Errorf("%w: the answer holds no phone number", ErrNoAnswer)
	}
	if p.Watermark.AppID != c.appID {
		return PhoneNumber{}, fmt.Errorf("%w: the answer is about another app", ErrNoAnswer)
	}
	at, err := p.Watermark.at()
	if err != nil {
		return PhoneNumber{}, fmt.Errorf("%w: the answer holds no time", ErrNoAnswer)
	}
	return PhoneNumber{Number: p.Number, PureNumber: p.PureNumber, CountryCode: string(p.CountryCode), At: at}, nil
}

// watermark says which app data was made for, and when.
type watermark struct {
	AppID     string `json:"appid"`
	Timestamp loose  `json:"timestamp"` // seconds
}

func (w watermark) at() (time.Time, error) {
	at, err := w.Timestamp.time()
	if err == nil && at.IsZero() {
		err = errors.New("it is 0")
	}
	return at, err
}

// loose is a JSON text or number, as its text. WeChat writes some fields one way and some the other.
type loose string

func (l *loose) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(l))
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	*l = loose(n)
	return nil
}

// time reads Unix seconds, in UTC. Zero and nothing are the zero time.
func (l loose) time() (time.Time, error) {
	if l == "" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(string(l), 10, 64)
	if err != nil || n < 0 || n >= 1<<37 {
		return time.Time{}, errors.New("it is no time in seconds")
	}
	if n == 0 {
		return time.Time{}, nil
	}
	return time.Unix(n, 0).UTC(), nil
}

// PaidUnionID returns the union id of the user who paid an order, within five minutes after the payment and without asking
// the user. It may be repeated.
//
// Errors to tell apart: CodeNoOpenPlatform, CodeInvalidTrade.
//
// Source: WeChat's manual for mini programs, "支付后获取Unionid" (getPaidUnionid).
func (c *Client) PaidUnionID(ctx context.Context, openID string, o OrderKey) (string, error) {
	id, err := c.paidUnionID(ctx, openID, o)
	if err != nil {
		return "", fmt.Errorf("ask for a payer's union id: %w", err)
	}
	return id, nil
}

func (c *Client) paidUnionID(ctx context.Context, openID string, o OrderKey) (string, error) {
	if err := checkOpenID("openid", openID); err != nil {
		return "", err
	}
	if err := o.check("mch_id", "out_trade_no", ""); err != nil {
		return "", err
	}
	query := url.Values{"openid": {openID}}
	if o.TransactionID != "" {
		query.Set("transaction_id", o.TransactionID)
	} else {
		query.Set("mch_id", o.MerchantID)
		query.Set("out_trade_no", o.OutTradeNo)
	}
	var v struct {
		UnionID string `json:"unionid"`
	}
	err := c.call(ctx, request{
		method: http.MethodGet, path: "/wxa/getpaidunionid", query: query, hide: []string{"openid", openID},
	}, &v)
	if err == nil && v.UnionID == "" {
		err = fmt.Errorf("%w: the answer holds no union id", ErrNoAnswer)
	}
	return v.UnionID, err
}

// CheckEncryptedData asks whether WeChat made the encrypted data of a phone number, as the phone handed it over, within the
// last three days, and returns when it did. CodeEncryptedDataUnknown says that it did not. It may be repeated.
//
// Source: WeChat's manual for mini programs, "检查加密信息" (checkEncryptedData).
func (c *Client) CheckEncryptedData(ctx context.Context, encryptedData string) (time.Time, error) {
	at, err := c.checkEncryptedData(ctx, encryptedData)
	if err != nil {
		return time.Time{}, fmt.Errorf("check encrypted data: %w", err)
	}
	return at, nil
}

func (c *Client) checkEncryptedData(ctx context.Context, encryptedData string) (time.Time, error) {
	if encryptedData == "" {
		return time.Time{}, mistake("encrypted_msg_hash", "there is no data", "没有加密数据", CodeEmptyBody)
	}
	var v struct {
		Valid   *bool `json:"vaild"` // WeChat's spelling
		Created loose `json:"create_time"`
	}
	err := c.post(ctx, "/wxa/business/checkencryptedmsg", struct {
		Hash string `json:"encrypted_msg_hash"`
	}{dataHash(encryptedData)}, &v)
	if err != nil {
		return time.Time{}, err
	}
	if v.Valid == nil {
		return time.Time{}, fmt.Errorf("%w: the answer doesn't say whether the data is valid", ErrNoAnswer)
	}
	if !*v.Valid {
		return time.Time{}, &Error{Code: CodeEncryptedDataUnknown, Message: "the answer says that the data is not valid"}
	}
	at, err := v.Created.time()
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: the answer's time: %w", ErrNoAnswer, err)
	}
	return at, nil
}

// dataHash is over the Base64 text.
func dataHash(encryptedData string) string {
	sum := sha256.Sum256([]byte(encryptedData))
	return hex.EncodeToString(sum[:])
}

// Quota is how many calls of one API a day allows, and how many are left today.
type Quota struct {
	DailyLimit, Used, Remaining int64
}

// Quota asks how often the API at path, such as "/wxa/business/getuserphonenumber", may still be called today. It may be
// repeated.
//
// Source: WeChat's manual for mini programs, "查询API调用额度" (getApiQuota).
func (c *Client) Quota(ctx context.Context, path string) (Quota, error) {
	if !strings.HasPrefix(path, "/") || len(path) > 256 {
		return Quota{}, fmt.Errorf("ask for a quota: %w",
			mistake("cgi_path", "it is the path of an API and begins with /", "应为以 / 开头的接口路径", CodeInvalidURL))
	}
	var v struct {
		Quota *struct {
			DailyLimit int64 `json:"daily_limit"`
			Used       int64 `json:"used"`
			Remain     int64 `json:"remain"`
		} `json:"quota"`
	}
	err := c.post(ctx, "/cgi-bin/openapi/quota/get", struct {
		Path string `json:"cgi_path"`
	}{path}, &v)
	if err == nil && v.Quota == nil {
		err = fmt.Errorf("%w: the answer holds no quota", ErrNoAnswer)
	}
	if err != nil {
		return Quota{}, fmt.Errorf("ask for a quota: %w", err)
	}
	return Quota{DailyLimit: v.Quota.DailyLimit, Used: v.Quota.Used, Remaining: v.Quota.Remain}, nil
}
