package wechatpay_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

const transferJSON = `{"mch_id":"1900007291","out_bill_no":"T1","transfer_bill_no":"1330000071100999991182020050700019480001","appid":"wx8888888888888888","state":"WAIT_USER_CONFIRM",` +
	`"transfer_amount":400000,"transfer_remark":"报销","openid":"o1","create_time":"2026-11-20T16:00:00.120+08:00","update_time":"2026-11-20T16:00:00+08:00","package_info":"affffddafdfafddffda=="}`

func transferRequest() wechatpay.TransferRequest {
	return wechatpay.TransferRequest{AppID: "wx8888888888888888", OpenID: "o1", OutBillNo: "T1", SceneID: "1000", Amount: 400000, Remark: "报销", UserName: "张三",
		Reports: []wechatpay.TransferReport{{Type: "活动名称", Content: "新会员有礼"}}}
}

func TestTransfers(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	const path = "/v3/fund-app/mch-transfer/transfer-bills"
	s := play(f, map[string]string{
		"POST " + path: transferJSON, "GET " + path + "/out-bill-no/T1": transferJSON, "POST " + path + "/out-bill-no/T1/cancel": transferJSON,
		"GET " + path + "/transfer-bill-no/1330000071100999991182020050700019480001": transferJSON,
	})
	client := newClient(t, f, config())
	got, err := client.Transfer(t.Context(), transferRequest())
	if err != nil || got.State != wechatpay.TransferWaitUserConfirm || got.State.Final() || got.Amount != 400000 || !got.CreateTime.Equal(start.Add(120*time.Millisecond)) ||
		got.MerchantID != merchantID || got.Serial != serialA || string(got.Raw) != transferJSON {
		t.Fatalf("%+v, %v", got, err)
	}
	if p := client.TransferParameters("wx8888888888888888", got); p.Package != "affffddafdfafddffda==" || p.MerchantID != merchantID || p.AppID != "wx8888888888888888" {
		t.Errorf("%+v", p)
	}
	if name := unsealed(t, signerA(), s.sent[0], "user_name"); name[0] != "张三" || s.serials[0] != serialA {
		t.Errorf("%q under %q", name, s.serials)
	}
	s.expect(t, s.sent...)
	plain := transferRequest()
	plain.UserName, plain.NotifyURL, plain.Perception = "", "https://pay.example.com/t", "现金奖励"
	for _, call := range []func() error{
		func() error { _, err := client.Transfer(t.Context(), plain); return err },
		func() error { _, err := client.QueryTransfer(t.Context(), "T1"); return err },
		func() error {
			_, err := client.QueryTransferBill(t.Context(), "1330000071100999991182020050700019480001")
			return err
		},
		func() error { _, err := client.CancelTransfer(t.Context(), "T1"); return err },
	} {
		if err := call(); err != nil {
			t.Error(err)
		}
	}
	s.expect(t, "POST "+path+` {"appid":"wx8888888888888888","out_bill_no":"T1","transfer_scene_id":"1000","openid":"o1","transfer_amount":400000,"transfer_remark":"报销",`+
		`"notify_url":"https://pay.example.com/t","user_recv_perception":"现金奖励","transfer_scene_report_infos":[{"info_type":"活动名称","info_content":"新会员有礼"}]}`,
		"GET "+path+"/out-bill-no/T1", "GET "+path+"/transfer-bill-no/1330000071100999991182020050700019480001", "POST "+path+"/out-bill-no/T1/cancel")

	for field, change := range map[string]func(*wechatpay.TransferRequest){
		"appid": func(r *wechatpay.TransferRequest) { r.AppID = "" }, "out_bill_no": func(r *wechatpay.TransferRequest) { r.OutBillNo = "T-1" },
		"transfer_scene_id": func(r *wechatpay.TransferRequest) { r.SceneID = "" }, "openid": func(r *wechatpay.TransferRequest) { r.OpenID = "" },
		"transfer_amount": func(r *wechatpay.TransferRequest) { r.Amount = 0 }, "transfer_remark": func(r *wechatpay.TransferRequest) { r.Remark = strings.Repeat("x", 33) },
		"user_name": func(r *wechatpay.TransferRequest) { r.UserName = strings.Repeat("x", 215) }, "notify_url": func(r *wechatpay.TransferRequest) { r.NotifyURL = "x" },
		"transfer_scene_report_infos":                 func(r *wechatpay.TransferRequest) { r.Reports = nil },
		"transfer_scene_report_infos[0].info_content": func(r *wechatpay.TransferRequest) { r.Reports = []wechatpay.TransferReport{{Type: "x"}} },
	} {
		r := transferRequest()
		change(&r)
		_, err := client.Transfer(t.Context(), r)
		refused(t, field, err, field)
	}
	_, err = client.QueryTransfer(t.Context(), "")
	refused(t, "query", err, "out_bill_no")
	_, err = client.QueryTransferBill(t.Context(), "a/b")
	refused(t, "query", err, "transfer_bill_no")
	_, err = client.CancelTransfer(t.Context(), "..")
	refused(t, "cancel", err, "out_bill_no")

	for name, pair := range map[string][2]string{
		"another": {`"T1"`, `"T2"`}, "another merchant": {"1900007291", "1900007292"}, "no state": {`"state"`, `"x"`}, "no number": {`"out_bill_no"`, `"x"`},
		"no WeChat number": {`"transfer_bill_no"`, `"x"`}, "two merchants": {`{`, `{"mchid":"1900007292",`},
	} {
		s.set("GET "+path+"/out-bill-no/T1", strings.Replace(transferJSON, pair[0], pair[1], 1))
		if got, err := client.QueryTransfer(t.Context(), "T1"); !errors.Is(err, wechatpay.ErrUncertain) || got != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	s.set("POST "+path, "400 ALREADY_EXISTS")
	if _, err := client.Transfer(t.Context(), plain); !errors.Is(err, wechatpay.CodeAlreadyExists) {
		t.Error(err)
	}
	for state, final := range map[wechatpay.TransferState]bool{wechatpay.TransferSuccess: true, wechatpay.TransferFail: true, wechatpay.TransferCancelled: true,
		wechatpay.TransferAccepted: false, wechatpay.TransferProcessing: false, wechatpay.TransferTransferring: false, wechatpay.TransferCanceling: false} {
		if state.Final() != final {
			t.Errorf("%s: final is %t", state, !final)
		}
	}

	text := notification("MCHTRANSFER.BILL.FINISHED", "mch_payment", strings.Replace(transferJSON, `"mch_id"`, `"mchid"`, 1))
	n, err := client.ParseNotification(t.Context(), signerA().header(c.Now(), text), []byte(text))
	if err != nil || n.Transfer == nil || n.Transfer.OutBillNo != "T1" || n.Transfer.MerchantID != merchantID || n.Transfer.Serial != serialA {
		t.Errorf("%+v, %v", n, err)
	}
	text = notification("MCHTRANSFER.BILL.FINISHED", "mch_payment", `{}`)
	if _, err := client.ParseNotification(t.Context(), signerA().header(c.Now(), text), []byte(text)); !errors.Is(err, wechatpay.ErrBadMessage) {
		t.Error(err)
	}
}
