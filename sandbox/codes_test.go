package sandbox

import (
	"cmp"
	"strings"
	"testing"
	"time"
)

// Every error code that the manual lists for a call can be had from it: by breaking a rule, or where no rule of a sandbox
// leads there, by a fault.
func TestEveryCode(t *testing.T) {
	t.Parallel()
	const day = "/v3/bill/tradebill?bill_date=2026-11-19"
	const fundFlow = "/v3/bill/fundflowbill?bill_date=2026-11-19"
	// what breaks a rule; nil is a fault
	type breaks = func(w *world) reply
	unsigned := func(method, target, body string) breaks {
		return func(w *world) reply {
			q := w.request(method, target, body)
			q.nonce = "x"
			q.authorization = func(a string) string { return strings.Replace(a, `"x"`, `"y"`, 1) }
			return q.send(w)
		}
	}
	order := func(product string, changes map[string]any) breaks {
		return func(w *world) reply {
			all := map[string]any{"payer": nil}
			if product == "jsapi" {
				all = map[string]any{}
			}
			if product == "h5" {
				all["scene_info"] = map[string]any{"payer_client_ip": "::1", "h5_info": map[string]any{"type": "Wap"}}
			}
			for name, v := range changes {
				all[name] = v
			}
			return w.call("POST", "/v3/pay/transactions/"+product, w.orderBody("order-new", all))
		}
	}
	limited := func(name string, target func(w *world) reply) breaks {
		return func(w *world) reply {
			w.set(map[string]any{"rate_limits": map[string]int{name: 1}})
			target(w)
			return target(w)
		}
	}
	query := func(number string) breaks {
		return func(w *world) reply {
			return w.call("GET", "/v3/pay/transactions/out-trade-no/"+number+"?mchid="+w.merchant.ID, "")
		}
	}
	get := func(target string) breaks { return func(w *world) reply { return w.call("GET", target, "") } }
	refund := func(number string, amount int, changes map[string]any) breaks {
		return func(w *world) reply { return w.askRefund(number, "refund-new", amount, changes) }
	}
	abnormal := func(number string) breaks {
		return func(w *world) reply {
			r, _ := w.Refund("refund-1")
			return w.call("POST", refunds+"/"+r.RefundID+"/apply-abnormal-refund", `{"out_refund_no":"`+number+`","type":"MERCHANT_BANK_CARD"}`)
		}
	}
	type wrong struct {
		status int
		breaks breaks
	}
	type api struct {
		on    string // the operation
		right breaks // the call where nothing is wrong
		codes map[string]wrong
	}
	codes := map[string]api{
		"JSAPI order": {"v3.prepay", order("jsapi", nil), map[string]wrong{
			"PARAM_ERROR":           {400, order("jsapi", map[string]any{"amount": map[string]any{"total": 0}})},
			"INVALID_REQUEST":       {400, order("jsapi", map[string]any{"out_trade_no": "order-unpaid", "attach": "x"})},
			"SIGN_ERROR":            {401, unsigned("POST", "/v3/pay/transactions/jsapi", "{}")},
			"SYSTEM_ERROR":          {500, nil},
			"APPID_MCHID_NOT_MATCH": {400, order("jsapi", map[string]any{"appid": "wx0"})},
			"MCH_NOT_EXISTS":        {400, nil},
			"NO_AUTH":               {403, nil},
			"OUT_TRADE_NO_USED":     {403, order("jsapi", map[string]any{"out_trade_no": "order-paid"})},
			"FREQUENCY_LIMITED":     {429, limited("v3.prepay", order("jsapi", nil))},
		}},
		"Native order": {"v3.prepay", order("native", nil), map[string]wrong{
			"ORDER_CLOSED":      {400, order("native", map[string]any{"out_trade_no": "order-closed"})},
			"OUT_TRADE_NO_USED": {403, order("native", map[string]any{"out_trade_no": "order-paid"})},
			"INVALID_REQUEST":   {400, order("native", map[string]any{"out_trade_no": "order-unpaid"})},
		}},
		"H5 order": {"v3.prepay", order("h5", nil), map[string]wrong{
			"PARAM_ERROR": {400, order("h5", map[string]any{"scene_info": nil})},
			"RULE_LIMIT":  {403, nil},
		}},
		"App order": {"v3.prepay", order("app", nil), map[string]wrong{
			"PARAM_ERROR":       {400, order("app", map[string]any{"payer": map[string]any{"openid": "o"}})},
			"OUT_TRADE_NO_USED": {403, order("app", map[string]any{"out_trade_no": "order-closed"})},
		}},
		"order query": {"v3.query", query("order-paid"), map[string]wrong{
			"PARAM_ERROR":       {400, query("abc")},
			"INVALID_REQUEST":   {400, nil},
			"SIGN_ERROR":        {401, unsigned("GET", "/v3/pay/transactions/id/1?mchid=1", "")},
			"SYSTEM_ERROR":      {500, nil},
			"MCH_NOT_EXISTS":    {400, nil},
			"RULE_LIMIT":        {403, nil},
			"TRADE_ERROR":       {403, nil},
			"ORDER_NOT_EXIST":   {404, query("order-never")},
			"FREQUENCY_LIMITED": {429, limited("v3.query", query("order-paid"))},
		}},
		"close": {"v3.close", func(w *world) reply { return w.closeOrder("order-unpaid") }, map[string]wrong{
			"PARAM_ERROR":     {400, func(w *world) reply { return w.closeOrder("abc") }},
			"SIGN_ERROR":      {401, unsigned("POST", "/v3/pay/transactions/out-trade-no/order-unpaid/close", "{}")},
			"SYSTEM_ERROR":    {500, nil},
			"MCH_NOT_EXISTS":  {400, nil},
			"RULE_LIMIT":      {403, nil},
			"TRADE_ERROR":     {403, nil},
			"INVALID_REQUEST": {400, nil},
			"ORDER_PAID":      {400, func(w *world) reply { return w.closeOrder("order-paid") }},
			"ORDER_NOT_EXIST": {404, func(w *world) reply { return w.closeOrder("order-never") }},
			"FREQUENCY_LIMITED": {429, func(w *world) reply {
				w.set(map[string]any{"busy_close": "1m"})
				p := w.payment(w.place("order-unpaid", nil))
				p.Action = "cancel"
				if _, err := w.RequestPayment(p); err != nil {
					w.t.Error(err)
				}
				return w.closeOrder("order-unpaid")
			}},
		}},
		"refund": {"v3.refund", refund("order-paid", 1, nil), map[string]wrong{
			"PARAM_ERROR":     {400, refund("order-paid", 0, nil)},
			"INVALID_REQUEST": {400, refund("order-paid", 999, nil)},
			"SIGN_ERROR":      {401, unsigned("POST", refunds, "{}")},
			"SYSTEM_ERROR":    {500, nil},
			"NOT_ENOUGH": {403, func(w *world) reply {
				if err := w.SetBalance(w.merchant.ID, 0); err != nil {
					w.t.Error(err)
				}
				return w.askRefund("order-paid", "refund-new", 1, nil)
			}},
			"USER_ACCOUNT_ABNORMAL": {403, nil},
			"MCH_NOT_EXISTS":        {404, nil},
			"RESOURCE_NOT_EXISTS":   {404, refund("order-unpaid", 1, nil)},
			"FREQUENCY_LIMITED":     {429, limited("v3.refund", refund("order-paid", 1, nil))},
			"NO_AUTH":               {403, nil},
			"TRADE_OVERDUE": {403, func(w *world) reply {
				w.Advance(366 * 24 * time.Hour)
				return w.askRefund("order-paid", "refund-new", 1, nil)
			}},
			"REQUEST_BLOCKED":     {403, nil},
			"BIZ_ERR_NEED_RETRY":  {500, nil},
			"REFUND_FEE_MISMATCH": {400, nil},
		}},
		"refund query": {"v3.refund_query", get(refunds + "/refund-1"), map[string]wrong{
			"PARAM_ERROR":         {400, get(refunds + "/refund%20one")},
			"SIGN_ERROR":          {401, unsigned("GET", refunds+"/refund-1", "")},
			"SYSTEM_ERROR":        {500, nil},
			"MCH_NOT_EXISTS":      {404, nil},
			"RESOURCE_NOT_EXISTS": {404, get(refunds + "/refund-never")},
			"REFUND_NOT_EXISTS":   {404, nil},
			"FREQUENCY_LIMITED":   {429, limited("v3.refund_query", get(refunds+"/refund-1"))},
		}},
		"abnormal refund": {"v3.abnormal_refund", abnormal("refund-1"), map[string]wrong{
			"PARAM_ERROR":         {400, abnormal("refund one")},
			"SIGN_ERROR":          {401, unsigned("POST", refunds+"/1/apply-abnormal-refund", "{}")},
			"INVALID_REQUEST":     {400, func(w *world) reply { abnormal("refund-1")(w); return abnormal("refund-1")(w) }},
			"SYSTEM_ERROR":        {500, nil},
			"RESOURCE_NOT_EXISTS": {404, abnormal("refund-never")},
			"FREQUENCY_LIMITED":   {429, limited("v3.abnormal_refund", abnormal("refund-never"))},
		}},
		"trade bill": {"bill", get(day), map[string]wrong{
			"PARAM_ERROR":        {400, get("/v3/bill/tradebill?bill_date=2026-11-20")},
			"INVALID_REQUEST":    {400, get("/v3/bill/tradebill?bill_date=2025-11-20")},
			"SIGN_ERROR":         {401, unsigned("GET", day, "")},
			"SYSTEM_ERROR":       {500, nil},
			"NO_AUTH":            {403, nil},
			"NO_STATEMENT_EXIST": {400, get("/v3/bill/tradebill?bill_date=2026-11-18")},
			"STATEMENT_CREATING": {400, func(w *world) reply {
				w.Advance(20 * time.Hour)
				return w.call("GET", "/v3/bill/tradebill?bill_date=2026-11-20", "")
			}},
			"FREQUENCY_LIMITED": {429, limited("bill.tradebill", get(day))},
		}},
		"fund flow bill": {"bill", get(fundFlow), map[string]wrong{
			"PARAM_ERROR":        {400, get(fundFlow + "&account_type=ALL")},
			"NO_STATEMENT_EXIST": {400, get(fundFlow + "&account_type=FEES")},
			"NO_AUTH":            {403, nil},
			"FREQUENCY_LIMITED":  {429, limited("bill.fundflowbill", get(fundFlow))},
		}},
		"download": {"bill_download", func(w *world) reply { return w.download(w.applyBill(day)) }, map[string]wrong{
			"PARAM_ERROR":     {400, get("/v3/billdownload/file")},
			"INVALID_REQUEST": {400, get("/v3/billdownload/file?token=x")},
			"SIGN_ERROR":      {401, unsigned("GET", "/v3/billdownload/file?token=x", "")},
			"SYSTEM_ERROR":    {500, nil},
			"NO_AUTH":         {403, nil},
		}},
	}
	for name, api := range codes {
		api.codes[""] = wrong{200, api.right}
		for code, c := range api.codes {
			t.Run(strings.ReplaceAll(name, " ", "_")+"/"+cmp.Or(code, "right"), func(t *testing.T) {
				t.Parallel()
				w := billWorld(t)
				w.pay("order-paid")
				w.place("order-unpaid", nil)
				w.place("order-closed", nil)
				w.closeOrder("order-closed")
				w.fault(Fault{On: "v3.refund", Kind: "abnormal", Count: 1})
				w.refund("order-paid", "refund-1", 1, nil)
				w.Advance(24 * time.Hour)
				provoke := c.breaks
				if provoke == nil {
					w.fault(Fault{On: api.on, Kind: "error", Code: code})
					provoke = api.right
				}
				r := provoke(w)
				if code == "" && r.status < 300 {
					return
				}
				if r.status != c.status || r.code() != code || r.message() == "" {
					t.Errorf("%d %s, want %d %s", r.status, r.body, c.status, code)
				}
			})
		}
	}
}
