package wechatpay_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

const (
	sharingJSON = `{"sub_mchid":"1900000109","transaction_id":"4200000001202611200000000001","out_order_no":"P1","order_id":"3008450740201411110007820472","state":"FINISHED",` +
		`"receivers":[{"amount":100,"description":"分给门店","type":"MERCHANT_ID","account":"1900000110","result":"CLOSED","fail_reason":"NO_RELATION","detail_id":"36",` +
		`"create_time":"2026-11-20T16:00:00+08:00","finish_time":"1970-01-01T08:00:00+08:00"}]}`
	returnJSON = `{"sub_mchid":"1900000109","order_id":"30","out_order_no":"P1","out_return_no":"R1","return_id":"31","return_mchid":"1900000110","amount":10,"description":"用户退款",` +
		`"result":"SUCCESS","create_time":"2026-11-20T16:00:00+08:00","finish_time":"2026-11-20T16:00:00+08:00"}`
)

func TestProfitSharing(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	const path = "/v3/profitsharing/"
	direct := strings.Replace(sharingJSON, `"sub_mchid":"1900000109",`, "", 1)
	s := play(f, map[string]string{
		"POST " + path + "orders": direct, "GET " + path + "orders/P1": direct, "POST " + path + "orders/unfreeze": direct,
		"POST " + path + "return-orders":                                    strings.Replace(returnJSON, `"sub_mchid":"1900000109",`, "", 1),
		"GET " + path + "return-orders/R1":                                  strings.Replace(returnJSON, `"sub_mchid":"1900000109",`, "", 1),
		"GET " + path + "transactions/4200000001202611200000000001/amounts": `{"transaction_id":"4200000001202611200000000001","unsplit_amount":0}`,
		"POST " + path + "receivers/add":                                    `{"type":"MERCHANT_ID","account":"1900000110","relation_type":"STORE"}`,
		"POST " + path + "receivers/delete":                                 `{"type":"MERCHANT_ID","account":"1900000110"}`,
	})
	client := newClient(t, f, config())
	request := wechatpay.ProfitSharingRequest{AppID: "wx8888888888888888", TransactionID: "4200000001202611200000000001", OutOrderNo: "P1", NotifyURL: "https://pay.example.com/p",
		Receivers: []wechatpay.Receiver{{Type: wechatpay.ReceiverMerchant, Account: "1900000110", Name: "门店", Amount: 100, Description: "分给门店"},
			{Type: wechatpay.ReceiverOpenID, Account: "o1", Amount: 1, Description: "d"}}}
	got, err := client.ShareProfit(t.Context(), request)
	if err != nil || got.State != wechatpay.SharingFinished || got.OrderID != "3008450740201411110007820472" || got.Receivers[0].Result != wechatpay.SharingClosed ||
		!got.Receivers[0].CreateTime.Equal(start) || got.Receivers[0].CreateTime.Location() != time.UTC {
		t.Fatalf("%+v, %v", got, err)
	}
	if request.Receivers[0].Name != "门店" {
		t.Error("the caller's request was changed")
	}
	_, after, _ := strings.Cut(s.sent[0], `"name":"`)
	sealed, _, _ := strings.Cut(after, `"`)
	if unseal(t, signerA(), sealed) != "门店" || s.serials[0] != serialA {
		t.Errorf("sent %s", s.sent[0])
	}
	s.expect(t, "POST "+path+`orders {"appid":"wx8888888888888888","transaction_id":"4200000001202611200000000001","out_order_no":"P1","receivers":[{"type":"MERCHANT_ID","account":"1900000110",`+
		`"name":"`+sealed+`","amount":100,"description":"分给门店"},{"type":"PERSONAL_OPENID","account":"o1","amount":1,"description":"d"}],"unfreeze_unsplit":false,"notify_url":"https://pay.example.com/p"}`)
	if _, err := client.QueryProfitSharing(t.Context(), "P1", "4200000001202611200000000001"); err != nil {
		t.Error(err)
	}
	if _, err := client.UnfreezeProfit(t.Context(), "4200000001202611200000000001", "P1", "解冻"); err != nil {
		t.Error(err)
	}
	back := wechatpay.ProfitReturnRequest{OutOrderNo: "P1", OutReturnNo: "R1", ReturnMerchantID: "1900000110", Amount: 10, Description: "用户退款"}
	if p, err := client.ReturnProfit(t.Context(), back); err != nil || p.Result != wechatpay.SharingSuccess || p.ReturnID != "31" || !p.FinishTime.Equal(start) {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := client.QueryProfitReturn(t.Context(), "R1", "P1"); err != nil {
		t.Error(err)
	}
	if left, err := client.UnsplitAmount(t.Context(), "4200000001202611200000000001"); err != nil || left != 0 {
		t.Errorf("%v, %v", left, err)
	}
	receiver := wechatpay.ReceiverRequest{AppID: "wx8888888888888888", Type: wechatpay.ReceiverMerchant, Account: "1900000110", RelationType: "CUSTOM", CustomRelation: "代理商"}
	if err := client.AddReceiver(t.Context(), receiver); err != nil {
		t.Error(err)
	}
	gone := wechatpay.ReceiverRequest{AppID: "wx8888888888888888", Type: wechatpay.ReceiverMerchant, Account: "1900000110"}
	if err := client.DeleteReceiver(t.Context(), gone); err != nil {
		t.Error(err)
	}
	s.expect(t, "GET "+path+"orders/P1?transaction_id=4200000001202611200000000001",
		"POST "+path+`orders/unfreeze {"transaction_id":"4200000001202611200000000001","out_order_no":"P1","description":"解冻"}`,
		"POST "+path+`return-orders {"out_order_no":"P1","out_return_no":"R1","return_mchid":"1900000110","amount":10,"description":"用户退款"}`,
		"GET "+path+"return-orders/R1?out_order_no=P1", "GET "+path+"transactions/4200000001202611200000000001/amounts",
		"POST "+path+`receivers/add {"appid":"wx8888888888888888","type":"MERCHANT_ID","account":"1900000110","relation_type":"CUSTOM","custom_relation":"代理商"}`,
		"POST "+path+`receivers/delete {"appid":"wx8888888888888888","type":"MERCHANT_ID","account":"1900000110"}`)

	for field, change := range map[string]func(*wechatpay.ProfitSharingRequest){
		"appid": func(r *wechatpay.ProfitSharingRequest) { r.AppID = "" }, "transaction_id": func(r *wechatpay.ProfitSharingRequest) { r.TransactionID = "" },
		"out_order_no": func(r *wechatpay.ProfitSharingRequest) { r.OutOrderNo = "" }, "notify_url": func(r *wechatpay.ProfitSharingRequest) { r.NotifyURL = "x" },
		"receivers[0].type":    func(r *wechatpay.ProfitSharingRequest) { r.Receivers = []wechatpay.Receiver{{}} },
		"receivers[0].account": func(r *wechatpay.ProfitSharingRequest) { r.Receivers = []wechatpay.Receiver{{Type: "MERCHANT_ID"}} },
		"receivers[0].amount": func(r *wechatpay.ProfitSharingRequest) {
			r.Receivers = []wechatpay.Receiver{{Type: "MERCHANT_ID", Account: "1"}}
		},
		"receivers[0].description": func(r *wechatpay.ProfitSharingRequest) {
			r.Receivers = []wechatpay.Receiver{{Type: "MERCHANT_ID", Account: "1", Amount: 1}}
		},
	} {
		r := request
		change(&r)
		_, err := client.ShareProfit(t.Context(), r)
		refused(t, field, err, field)
	}
	for field, change := range map[string]func(*wechatpay.ProfitReturnRequest){
		"order_id": func(r *wechatpay.ProfitReturnRequest) { r.OrderID = "30" }, "out_return_no": func(r *wechatpay.ProfitReturnRequest) { r.OutReturnNo = "" },
		"return_mchid": func(r *wechatpay.ProfitReturnRequest) { r.ReturnMerchantID = "x" }, "amount": func(r *wechatpay.ProfitReturnRequest) { r.Amount = 0 },
		"description": func(r *wechatpay.ProfitReturnRequest) { r.Description = "" },
	} {
		r := back
		change(&r)
		_, err := client.ReturnProfit(t.Context(), r)
		refused(t, field, err, field)
	}
	_, err = client.QueryProfitSharing(t.Context(), "", "1")
	refused(t, "query", err, "out_order_no")
	_, err = client.UnfreezeProfit(t.Context(), "1", "P1", "")
	refused(t, "unfreeze", err, "description")
	_, err = client.QueryProfitReturn(t.Context(), "", "P1")
	refused(t, "query a return", err, "out_return_no")
	_, err = client.UnsplitAmount(t.Context(), "")
	refused(t, "unsplit", err, "transaction_id")
	refused(t, "add", client.AddReceiver(t.Context(), gone), "relation_type")
	refused(t, "delete", client.DeleteReceiver(t.Context(), receiver), "relation_type")

	for name, answer := range map[string]string{
		"another": strings.Replace(direct, "P1", "P2", 1), "no state": strings.Replace(direct, `"state"`, `"x"`, 1), "a sub merchant's": sharingJSON, "not JSON": "[]",
	} {
		s.set("GET "+path+"orders/P1", answer)
		if _, err := client.QueryProfitSharing(t.Context(), "P1", "4200000001202611200000000001"); !errors.Is(err, wechatpay.ErrUncertain) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, pair := range map[string][2]string{"another": {"R1", "R2"}, "another amount": {`"amount":10`, `"amount":11`}, "no result": {`"result"`, `"x"`}, "nothing": {"", ""}} {
		s.set("POST "+path+"return-orders", strings.Replace(returnJSON, pair[0], pair[1], 1)) // of a sub merchant besides
		if _, err := client.ReturnProfit(t.Context(), back); !errors.Is(err, wechatpay.ErrUncertain) {
			t.Errorf("a return, %s: %v", name, err)
		}
	}
	for name, answer := range map[string]string{"another": `{"transaction_id":"1","unsplit_amount":0}`, "nothing": `{"transaction_id":"4200000001202611200000000001"}`} {
		s.set("GET "+path+"transactions/4200000001202611200000000001/amounts", answer)
		if _, err := client.UnsplitAmount(t.Context(), "4200000001202611200000000001"); !errors.Is(err, wechatpay.ErrUncertain) {
			t.Errorf("unsplit, %s: %v", name, err)
		}
	}
	s.set("POST "+path+"receivers/add", "403 NO_AUTH")
	if err := client.AddReceiver(t.Context(), receiver); !errors.Is(err, wechatpay.CodeNoAuth) {
		t.Error(err)
	}

	const notice = `{"sp_mchid":"1900007291","sub_mchid":"1900000109","transaction_id":"42","order_id":"30","out_order_no":"P1",` +
		`"receiver":{"type":"MERCHANT_ID","account":"1900000110","amount":888,"description":"运费"},"success_time":"2026-11-20T16:00:00+08:00"}`
	for event, kind := range map[string]string{"PROFITSHARING.SUCCESS": "", "PROFITSHARING.RETURN": "profitsharing", "TRANSACTION.SUCCESS": "profitsharing"} {
		text := notification(event, kind, notice)
		n, err := client.ParseNotification(t.Context(), signerA().header(c.Now(), text), []byte(text))
		if err != nil || n.ProfitSharing == nil || n.Transaction != nil || n.ProfitSharing.Receiver.Amount != 888 || n.ProfitSharing.MerchantID != "1900000109" ||
			n.ProfitSharing.ProviderID != merchantID || !n.ProfitSharing.SuccessTime.Equal(start) {
			t.Errorf("%s: %+v, %v", event, n, err)
		}
	}
	for _, plain := range []string{"x", "{}"} {
		text := notification("PROFITSHARING.SUCCESS", "profitsharing", plain)
		if _, err := client.ParseNotification(t.Context(), signerA().header(c.Now(), text), []byte(text)); !errors.Is(err, wechatpay.ErrBadMessage) {
			t.Error(err)
		}
	}
}
