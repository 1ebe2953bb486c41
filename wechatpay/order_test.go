package wechatpay_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/money"
	"github.com/fenhao-pay/fenhao/wechatpay"
)

func TestPrepaySendsTheOrderAsTheManualSpellsIt(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	var sent []string
	f.answer = func(r *http.Request, body string) (int, string) {
		sent = append(sent, r.Method+" "+r.RequestURI+"\n"+body)
		return 200, `{"prepay_id":"wx201410272009395522657a690389285100","new":null}`
	}
	client := newClient(t, f, config())

	small := order()
	large := order()
	large.ExpiresAt = time.Date(2026, 11, 20, 20, 0, 0, 999, time.UTC)
	large.Attach, large.GoodsTag, large.SupportFapiao = "a<b>", "WXG", true
	large.Detail = wechatpay.OrderDetail{CostPrice: 2000, InvoiceID: "I1", Goods: []wechatpay.Goods{{MerchantGoodsID: "g1", Name: "杯", Quantity: 2, UnitPrice: 1000}}}
	large.SceneInfo = wechatpay.SceneInfo{PayerClientIP: "14.23.150.211", DeviceID: "d", Store: wechatpay.StoreInfo{ID: "s", Address: "深圳"}}
	large.SettleInfo.ProfitSharing = true
	for _, r := range []wechatpay.PrepayRequest{small, large, large} {
		if id, err := client.Prepay(t.Context(), r); err != nil || id != "wx201410272009395522657a690389285100" {
			t.Fatalf("Prepay = %q, %v", id, err)
		}
	}
	const head = "POST /v3/pay/transactions/jsapi\n" + `{"appid":"wx8888888888888888","mchid":"1900007291","description":"咖啡 & <tea>","out_trade_no":"ORDER-000001",`
	want := []string{
		head + `"notify_url":"https://pay.example.com/notify/wechat/1900007291/v3","amount":{"total":1999,"currency":"CNY"},"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}`,
		head + `"time_expire":"2026-11-21T04:00:00+08:00","attach":"a<b>","notify_url":"https://pay.example.com/notify/wechat/1900007291/v3","goods_tag":"WXG","support_fapiao":true,` +
			`"amount":{"total":1999,"currency":"CNY"},"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},` +
			`"detail":{"cost_price":2000,"invoice_id":"I1","goods_detail":[{"merchant_goods_id":"g1","goods_name":"杯","quantity":2,"unit_price":1000}]},` +
			`"scene_info":{"payer_client_ip":"14.23.150.211","device_id":"d","store_info":{"id":"s","address":"深圳"}},"settle_info":{"profit_sharing":true}}`,
	}
	want = append(want, want[1]) // repeated, it is the same to the byte
	for i := range want {
		if sent[i] != want[i] {
			t.Errorf("sent\n%s\nwant\n%s", sent[i], want[i])
		}
	}
}

func TestPrepayRefusesWhatWeChatPayWould(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	client := newClient(t, f, config())
	for _, c := range []struct {
		name, field string
		change      func(*wechatpay.PrepayRequest)
	}{
		{"no appid", "appid", func(r *wechatpay.PrepayRequest) { r.AppID = "" }},
		{"appid with a line break", "appid", func(r *wechatpay.PrepayRequest) { r.AppID = "wx1\nwx2" }},
		{"no description", "description", func(r *wechatpay.PrepayRequest) { r.Description = "" }},
		{"description of 43 Chinese characters", "description", func(r *wechatpay.PrepayRequest) { r.Description = strings.Repeat("分", 43) }},
		{"description of 128 letters", "description", func(r *wechatpay.PrepayRequest) { r.Description = strings.Repeat("x", 128) }},
		{"emoji", "description", func(r *wechatpay.PrepayRequest) { r.Description = "☕ and 🍰" }},
		{"cut character", "description", func(r *wechatpay.PrepayRequest) { r.Description = "分毫"[:5] }},
		{"short number", "out_trade_no", func(r *wechatpay.PrepayRequest) { r.OutTradeNo = "12345" }},
		{"long number", "out_trade_no", func(r *wechatpay.PrepayRequest) { r.OutTradeNo = strings.Repeat("1", 33) }},
		{"number with a slash", "out_trade_no", func(r *wechatpay.PrepayRequest) { r.OutTradeNo = "2026/0001" }},
		{"number in Chinese", "out_trade_no", func(r *wechatpay.PrepayRequest) { r.OutTradeNo = "订单号一二" }},
		{"total 0", "amount.total", func(r *wechatpay.PrepayRequest) { r.Total = 0 }},
		{"negative total", "amount.total", func(r *wechatpay.PrepayRequest) { r.Total = -1 }},
		{"total of 11 digits", "amount.total", func(r *wechatpay.PrepayRequest) { r.Total = 10_000_000_000 }},
		{"dollars", "amount.currency", func(r *wechatpay.PrepayRequest) { r.Currency = "USD" }},
		{"no openid", "payer.openid", func(r *wechatpay.PrepayRequest) { r.OpenID = "" }},
		{"long openid", "payer.openid", func(r *wechatpay.PrepayRequest) { r.OpenID = strings.Repeat("o", 129) }},
		{"long attach", "attach", func(r *wechatpay.PrepayRequest) { r.Attach = strings.Repeat("x", 129) }},
		{"emoji in attach", "attach", func(r *wechatpay.PrepayRequest) { r.Attach = "🍰" }},
		{"long goods tag", "goods_tag", func(r *wechatpay.PrepayRequest) { r.GoodsTag = strings.Repeat("x", 33) }},
		{"no notify url", "notify_url", func(r *wechatpay.PrepayRequest) { r.NotifyURL = "" }},
		{"relative notify url", "notify_url", func(r *wechatpay.PrepayRequest) { r.NotifyURL = "/notify" }},
		{"http notify url", "notify_url", func(r *wechatpay.PrepayRequest) { r.NotifyURL = "http://pay.example.com/notify" }},
		{"notify url with a query", "notify_url", func(r *wechatpay.PrepayRequest) { r.NotifyURL += "?a=1" }},
		{"notify url with an empty query", "notify_url", func(r *wechatpay.PrepayRequest) { r.NotifyURL += "?" }},
		{"notify url with a fragment", "notify_url", func(r *wechatpay.PrepayRequest) { r.NotifyURL += "#a" }},
		{"notify url with a user", "notify_url", func(r *wechatpay.PrepayRequest) { r.NotifyURL = "https://a:b@pay.example.com/" }},
		{"notify url with a blank", "notify_url", func(r *wechatpay.PrepayRequest) { r.NotifyURL = " " + r.NotifyURL }},
		{"notify url without a host", "notify_url", func(r *wechatpay.PrepayRequest) { r.NotifyURL = "https://:443/notify" }},
		{"long notify url", "notify_url", func(r *wechatpay.PrepayRequest) { r.NotifyURL += strings.Repeat("x", 256) }},
		{"expired", "time_expire", func(r *wechatpay.PrepayRequest) { r.ExpiresAt = start }},
		{"buyer of a sub merchant", "payer.sub_openid", func(r *wechatpay.PrepayRequest) { r.OpenID, r.SubOpenID = "", "o1" }},
		{"H5 page", "scene_info.h5_info", func(r *wechatpay.PrepayRequest) {
			r.SceneInfo = wechatpay.SceneInfo{PayerClientIP: "::1", H5: wechatpay.H5Info{Type: "Wap"}}
		}},
		{"no goods id", "detail.goods_detail[0].merchant_goods_id", func(r *wechatpay.PrepayRequest) { r.Detail.Goods = []wechatpay.Goods{{Quantity: 1}} }},
		{"no quantity", "detail.goods_detail[0].quantity", func(r *wechatpay.PrepayRequest) { r.Detail.Goods = []wechatpay.Goods{{MerchantGoodsID: "g"}} }},
		{"negative price", "detail.goods_detail[0].unit_price", func(r *wechatpay.PrepayRequest) {
			r.Detail.Goods = []wechatpay.Goods{{MerchantGoodsID: "g", Quantity: 1, UnitPrice: -1}}
		}},
		{"too many goods", "detail", func(r *wechatpay.PrepayRequest) {
			for range 100 {
				r.Detail.Goods = append(r.Detail.Goods, wechatpay.Goods{MerchantGoodsID: "goods", Name: "name", Quantity: 1, UnitPrice: 1})
			}
		}},
		{"no address", "scene_info.payer_client_ip", func(r *wechatpay.PrepayRequest) { r.SceneInfo.DeviceID = "d" }},
		{"address with a zone", "scene_info.payer_client_ip", func(r *wechatpay.PrepayRequest) { r.SceneInfo.PayerClientIP = "fe80::1%eth0" }},
		{"store without id", "scene_info.store_info.id", func(r *wechatpay.PrepayRequest) {
			r.SceneInfo = wechatpay.SceneInfo{PayerClientIP: "::1", Store: wechatpay.StoreInfo{Name: "s"}}
		}},
	} {
		r := order()
		c.change(&r)
		_, err := client.Prepay(t.Context(), r)
		var bad *wechatpay.RequestError
		if !errors.As(err, &bad) || bad.Field != c.field || !errors.Is(err, wechatpay.ErrNotSent) || errors.Is(err, wechatpay.ErrUncertain) {
			t.Errorf("%s: %v, want an error about %s", c.name, err, c.field)
			continue
		}
		if zh, en := bad.Hint("zh-CN"), bad.Hint("en"); zh == en || !strings.HasPrefix(zh, c.field) || !strings.HasPrefix(en, c.field) {
			t.Errorf("%s: hints %q and %q", c.name, zh, en)
		}
		if strings.Contains(err.Error(), "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o") {
			t.Errorf("%s: the error names the openid: %v", c.name, err)
		}
	}
	if n := f.count(""); n != 0 {
		t.Errorf("%d requests were sent, want none", n)
	}
}

func TestPrepayTakesWhatIsJustAllowed(t *testing.T) {
	t.Parallel()
	client := listening(t, newClock())
	for name, change := range map[string]func(*wechatpay.PrepayRequest){
		"127 bytes":      func(r *wechatpay.PrepayRequest) { r.Description = strings.Repeat("分", 42) + "x" },
		"1 fen":          func(r *wechatpay.PrepayRequest) { r.Total = 1 },
		"10 digits":      func(r *wechatpay.PrepayRequest) { r.Total = 9_999_999_999 },
		"short number":   func(r *wechatpay.PrepayRequest) { r.OutTradeNo = "_-|*aZ" },
		"long number":    func(r *wechatpay.PrepayRequest) { r.OutTradeNo = strings.Repeat("Z", 32) },
		"loopback":       func(r *wechatpay.PrepayRequest) { r.NotifyURL = "http://127.0.0.1:8080/notify" },
		"loopback 6":     func(r *wechatpay.PrepayRequest) { r.NotifyURL = "http://[::1]:8080/notify" },
		"localhost":      func(r *wechatpay.PrepayRequest) { r.NotifyURL = "http://localhost:8080/notify" },
		"a year":         func(r *wechatpay.PrepayRequest) { r.ExpiresAt = start.AddDate(1, 0, 0) }, // WeChat Pay judges
		"no empty goods": func(r *wechatpay.PrepayRequest) { r.Detail.Goods = []wechatpay.Goods{} },
	} {
		r := order()
		change(&r)
		body, err := client.Encode(r)
		if err != nil || !json.Valid(body) || strings.Contains(string(body), `"detail"`) {
			t.Errorf("%s: %s, %v", name, body, err)
		}
	}
}

func TestPayParametersAreFreshAndSigned(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	client := newClient(t, f, config())
	first, err := client.PayParameters("wx8888888888888888", "wx20261120")
	if err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Hour)
	second, err := client.PayParameters("wx8888888888888888", "wx20261120")
	if err != nil {
		t.Fatal(err)
	}
	if first.NonceStr == second.NonceStr || first.TimeStamp == second.TimeStamp || len(first.NonceStr) > 32 {
		t.Errorf("parameters are not fresh: %+v, %+v", first, second)
	}
	message := "wx8888888888888888\n" + strconv.FormatInt(start.Unix()+3600, 10) + "\n" + second.NonceStr + "\nprepay_id=wx20261120\n"
	if err := wechatpay.VerifyMessage(&merchantKey().PublicKey, []byte(message), second.PaySign); err != nil {
		t.Errorf("paySign: %v", err)
	}
	var m map[string]string // every value is a string
	b, err := json.Marshal(second)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil || len(m) != 6 || m["appId"] == "" || m["timeStamp"] == "" || m["nonceStr"] == "" || m["package"] != "prepay_id=wx20261120" ||
		m["signType"] != "RSA" || m["paySign"] == "" {
		t.Errorf("JSON %s, %v", b, err)
	}
	for _, bad := range [][2]string{{"", "wx1"}, {"wx8888888888888888", ""}, {"wx8888888888888888", "wx1\nwx2"}} {
		if p, err := client.PayParameters(bad[0], bad[1]); !errors.Is(err, wechatpay.ErrNotSent) || p.PaySign != "" {
			t.Errorf("PayParameters(%q, %q) = %+v, %v", bad[0], bad[1], p, err)
		}
	}
}

func TestQueryOrder(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	f.answer = func(*http.Request, string) (int, string) { return 200, paidJSON }
	client := newClient(t, f, config())
	got, err := client.QueryOrder(t.Context(), "ORDER-000001")
	if err != nil {
		t.Fatal(err)
	}
	if got.TradeState != wechatpay.TradeSuccess || !got.TradeState.Paid() || got.Amount.Total != 1999 || got.Amount.PayerTotal != money.Fen(1899) ||
		got.AppID != "wx8888888888888888" || got.MerchantID != merchantID || got.TransactionID != "4200000001202611200000000001" ||
		!got.SuccessTime.Equal(start) || got.Attach != "a&b" || got.Amount.Currency != "CNY" {
		t.Errorf("QueryOrder = %+v", got)
	}
	if _, err := client.QueryTransaction(t.Context(), "4200000001202611200000000001"); err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		"GET /v3/pay/transactions/out-trade-no/ORDER-000001?mchid=1900007291",
		"GET /v3/pay/transactions/id/4200000001202611200000000001?mchid=1900007291",
	} {
		if f.count(want) != 1 {
			t.Errorf("no request %s among %q", want, f.requests)
		}
	}
	// Characters that need escaping are signed as they are sent.
	f.set(func(f *fake) {
		f.answer = func(*http.Request, string) (int, string) {
			return 200, strings.Replace(paidJSON, "ORDER-000001", "a|b*c_d-", 1)
		}
	})
	if _, err := client.QueryOrder(t.Context(), "a|b*c_d-"); err != nil || f.count("GET /v3/pay/transactions/out-trade-no/a%7Cb%2Ac_d-?mchid=1900007291") != 1 {
		t.Errorf("%v, %q", err, f.requests)
	}
}

func TestQueryTellsOneOrderFromAnother(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	client := newClient(t, f, config())
	for name, answer := range map[string]string{
		"another order":          strings.Replace(paidJSON, "ORDER-000001", "ORDER-000002", 1),
		"another merchant":       strings.Replace(paidJSON, `"1900007291"`, `"1900007292"`, 1),
		"no total":               strings.Replace(paidJSON, `"total":1999,`, ``, 1),
		"total as text":          strings.Replace(paidJSON, `"total":1999`, `"total":"1999"`, 1),
		"total with an exponent": strings.Replace(paidJSON, `"total":1999`, `"total":1999e0`, 1),
		"total null":             strings.Replace(paidJSON, `"total":1999`, `"total":null`, 1),
		"two totals":             strings.Replace(paidJSON, `"total":1999`, `"total":1,"total":1999`, 1),
		"two spellings of total": strings.Replace(paidJSON, `"total":1999`, `"total":1,"Total":1999`, 1),
		"two states":             strings.Replace(paidJSON, `"trade_state"`, `"trade_state":"NOTPAY","trade_state"`, 1),
		"no state":               strings.Replace(paidJSON, `"trade_state":"SUCCESS",`, ``, 1),
		"no transaction id":      strings.Replace(paidJSON, `"transaction_id"`, `"x"`, 1),
		"no time":                strings.Replace(paidJSON, `"success_time"`, `"x"`, 1),
		"strange time":           strings.Replace(paidJSON, "2026-11-20T16:00:00+08:00", "20261120160000", 1),
		"two documents":          paidJSON + paidJSON,
		"a list":                 "[" + paidJSON + "]",
		"nothing":                "",
		"half":                   paidJSON[:100],
		"not UTF-8":              strings.Replace(paidJSON, "a&b", "a\xff", 1),
		"not JSON":               "<html></html>",
	} {
		f.set(func(f *fake) { f.answer = func(*http.Request, string) (int, string) { return 200, answer } })
		if got, err := client.QueryOrder(t.Context(), "ORDER-000001"); !errors.Is(err, wechatpay.ErrUncertain) || got != nil {
			t.Errorf("%s: %+v, %v, want ErrUncertain", name, got, err)
		}
	}
	f.set(func(f *fake) { f.answer = func(*http.Request, string) (int, string) { return 200, paidJSON } })
	if got, err := client.QueryTransaction(t.Context(), "4200000001202611200000000002"); !errors.Is(err, wechatpay.ErrUncertain) || got != nil {
		t.Errorf("another transaction: %+v, %v", got, err)
	}
}

func TestTradeStates(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	client := newClient(t, f, config())
	for state, want := range map[wechatpay.TradeState]struct{ paid, dead bool }{
		wechatpay.TradeSuccess:    {true, false},
		wechatpay.TradeRefund:     {true, false},
		wechatpay.TradeNotPay:     {false, false},
		wechatpay.TradeClosed:     {false, true},
		wechatpay.TradeRevoked:    {false, true},
		wechatpay.TradeUserPaying: {false, false},
		wechatpay.TradePayError:   {false, false},
		wechatpay.TradeAccept:     {false, false},
		"SOMETHING_NEW":           {false, false},
		"success":                 {false, false},
	} {
		f.set(func(f *fake) {
			f.answer = func(*http.Request, string) (int, string) {
				return 200, strings.Replace(paidJSON, `"SUCCESS"`, `"`+string(state)+`"`, 1)
			}
		})
		got, err := client.QueryOrder(t.Context(), "ORDER-000001")
		if err != nil || got.TradeState != state || got.TradeState.Paid() != want.paid || got.TradeState.Dead() != want.dead {
			t.Errorf("%s: %+v, %v", state, got, err)
		}
	}
	f.set(func(f *fake) {
		f.answer = func(*http.Request, string) (int, string) {
			return 200, `{"mchid":"1900007291","out_trade_no":"ORDER-000001","trade_state":"NOTPAY","trade_state_desc":"订单未支付","amount":{"total":1999,"currency":"CNY"}}`
		}
	})
	if got, err := client.QueryOrder(t.Context(), "ORDER-000001"); err != nil || !got.SuccessTime.IsZero() || got.Amount.PayerTotal != 0 {
		t.Errorf("an unpaid order: %+v, %v", got, err)
	}
}

func TestCloseOrder(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	var sent string
	f.answer = func(_ *http.Request, body string) (int, string) { sent = body; return 204, "" }
	client := newClient(t, f, config())
	if err := client.CloseOrder(t.Context(), "ORDER-000001"); err != nil {
		t.Fatal(err)
	}
	if sent != `{"mchid":"1900007291"}` || f.count("POST /v3/pay/transactions/out-trade-no/ORDER-000001/close") != 1 {
		t.Errorf("sent %s to %q", sent, f.requests)
	}
	f.set(func(f *fake) { f.alter = func(h http.Header, _ *string) { h.Del("Wechatpay-Signature") } })
	if err := client.CloseOrder(t.Context(), "ORDER-000001"); !errors.Is(err, wechatpay.ErrUncertain) {
		t.Errorf("204 without a signature: %v, want ErrUncertain", err)
	}
	for _, number := range []string{"", "../../../etc", "a b c d e"} {
		if err := client.CloseOrder(context.Background(), number); !errors.Is(err, wechatpay.ErrNotSent) {
			t.Errorf("CloseOrder(%q): %v, want ErrNotSent", number, err)
		}
		if _, err := client.QueryOrder(context.Background(), number); !errors.Is(err, wechatpay.ErrNotSent) {
			t.Errorf("QueryOrder(%q): %v, want ErrNotSent", number, err)
		}
		if _, err := client.QueryTransaction(context.Background(), number); !errors.Is(err, wechatpay.ErrNotSent) {
			t.Errorf("QueryTransaction(%q): %v, want ErrNotSent", number, err)
		}
	}
}
