package wechatpay_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

const complaintJSON = `{"complaint_id":"200201820200101080076610000","complaint_time":"2026-11-20T16:00:00.120+08:00","complaint_detail":"重复扣费","complaint_state":"PENDING",` +
	`"complainted_mchid":"1900007291","payer_phone":"sGdN","payer_openid":"o1","complaint_media_list":[{"media_type":"USER_COMPLAINT_IMAGE","media_url":["https://api.mch.weixin.qq.com/v3/merchant-service/images/x"]}],` +
	`"complaint_order_info":[{"transaction_id":"42","out_trade_no":"ORDER-000001","amount":1999}],"complaint_full_refunded":false,"incoming_user_response":true,"problem_description":"p",` +
	`"problem_type":"REFUND","user_complaint_times":1,"apply_refund_amount":10,"user_tag_list":["TRUSTED"]}`

func TestComplaints(t *testing.T) {
	t.Parallel()
	c := newClock()
	f := startFake(t, c)
	const id, path = "200201820200101080076610000", "/v3/merchant-service/complaints-v2"
	const address, urls = "https://pay.example.com/complaints", "/v3/merchant-service/complaint-notifications"
	s := play(f, map[string]string{
		"GET " + path: `{"data":[` + complaintJSON + `],"limit":50,"offset":0,"total_count":1}`, "GET " + path + "/" + id: complaintJSON,
		"GET " + path + "/" + id + "/negotiation-historys": `{"data":[{"log_id":"1","operator":"投诉人","operate_time":"2026-11-20T16:00:00+08:00","operate_type":"USER_CREATE_COMPLAINT","operate_details":"d",` +
			`"complaint_media_list":{"media_type":"OPERATION_IMAGE","media_url":["u"]}},{"log_id":"2","operate_time":"2026-11-20T16:00:00+08:00","complaint_media_list":[{"media_type":"x"},{"media_type":"y"}]}],"total_count":2}`,
		"POST " + path + "/" + id + "/response": "", "POST " + path + "/" + id + "/complete": "", "POST " + path + "/" + id + "/update-refund-progress": "",
		"GET " + urls: `{"mchid":"1900007291","url":"` + address + `"}`, "POST " + urls: `{"mchid":"1900007291","url":"` + address + `"}`,
		"PUT " + urls: `{"mchid":"1900007291","url":"` + address + `"}`, "DELETE " + urls: "",
	})
	client := newClient(t, f, config())
	ctx := t.Context()
	page, total, err := client.Complaints(ctx, wechatpay.ComplaintsRequest{BeginDate: "2026-11-01", EndDate: "2026-11-19", Limit: 10, Offset: 20})
	if err != nil || total != 1 || len(page) != 1 || page[0].Orders[0].Amount != 1999 || page[0].State != wechatpay.ComplaintPending {
		t.Errorf("%+v, %d, %v", page, total, err)
	}
	one, err := client.Complaint(ctx, id)
	if err != nil || one.ApplyRefundAmount != 10 || one.Media[0].URLs[0] == "" || !one.IncomingUserResponse || one.UserTags[0] != "TRUSTED" || one.Time.Second() != 0 || one.Time.Hour() != 8 {
		t.Errorf("%+v, %v", one, err)
	}
	steps, total, err := client.ComplaintHistory(ctx, id, 0, 0)
	if err != nil || total != 2 || len(steps) != 2 || steps[0].Media[0].URLs[0] != "u" || len(steps[1].Media) != 2 || !steps[0].Time.Equal(start) {
		t.Errorf("%+v, %v", steps, err)
	}
	for _, err := range []error{
		client.RespondComplaint(ctx, id, wechatpay.ComplaintResponse{Content: "已沟通", Images: []string{"m1"}, JumpURL: "https://a.example.com", JumpURLText: "详情"}),
		client.CompleteComplaint(ctx, id),
		client.UpdateComplaintRefund(ctx, id, wechatpay.ComplaintRefund{Approve: true}),
		client.UpdateComplaintRefund(ctx, id, wechatpay.ComplaintRefund{Approve: true, WithinDays: 3, Remark: "r"}),
		client.UpdateComplaintRefund(ctx, id, wechatpay.ComplaintRefund{RejectReason: "已退", RejectImages: []string{"m"}}),
		client.CreateComplaintURL(ctx, address), client.UpdateComplaintURL(ctx, address), client.DeleteComplaintURL(ctx),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if got, err := client.ComplaintURL(ctx); err != nil || got != address {
		t.Errorf("%q, %v", got, err)
	}
	s.expect(t, "GET "+path+"?begin_date=2026-11-01&end_date=2026-11-19&limit=10&offset=20", "GET "+path+"/"+id, "GET "+path+"/"+id+"/negotiation-historys?limit=50&offset=0",
		"POST "+path+"/"+id+`/response {"complainted_mchid":"1900007291","response_content":"已沟通","response_images":["m1"],"jump_url":"https://a.example.com","jump_url_text":"详情"}`,
		"POST "+path+"/"+id+`/complete {"complainted_mchid":"1900007291"}`,
		"POST "+path+"/"+id+`/update-refund-progress {"action":"APPROVE","launch_refund_day":0}`,
		"POST "+path+"/"+id+`/update-refund-progress {"action":"APPROVE","launch_refund_day":3,"remark":"r"}`,
		"POST "+path+"/"+id+`/update-refund-progress {"action":"REJECT","reject_reason":"已退","reject_media_list":["m"]}`,
		"POST "+urls+` {"url":"`+address+`"}`, "PUT "+urls+` {"url":"`+address+`"}`, "DELETE "+urls, "GET "+urls)

	_, _, err = client.Complaints(ctx, wechatpay.ComplaintsRequest{BeginDate: "x", EndDate: "2026-11-19"})
	refused(t, "begin", err, "begin_date")
	_, _, err = client.Complaints(ctx, wechatpay.ComplaintsRequest{BeginDate: "2026-11-19", EndDate: "2026-11-19", Limit: 51})
	refused(t, "limit", err, "limit")
	_, _, err = client.ComplaintHistory(ctx, id, 0, -1)
	refused(t, "offset", err, "limit")
	_, err = client.Complaint(ctx, "../1")
	refused(t, "id", err, "complaint_id")
	refused(t, "no answer", client.RespondComplaint(ctx, id, wechatpay.ComplaintResponse{}), "response_content")
	refused(t, "five images", client.RespondComplaint(ctx, id, wechatpay.ComplaintResponse{Content: "x", Images: make([]string, 5)}), "response_images")
	refused(t, "no reason", client.UpdateComplaintRefund(ctx, id, wechatpay.ComplaintRefund{}), "reject_reason")
	refused(t, "both", client.UpdateComplaintRefund(ctx, id, wechatpay.ComplaintRefund{Approve: true, RejectReason: "x"}), "reject_reason")
	refused(t, "days of nothing", client.UpdateComplaintRefund(ctx, id, wechatpay.ComplaintRefund{RejectReason: "x", WithinDays: 1}), "launch_refund_day")
	refused(t, "url", client.CreateComplaintURL(ctx, "http://a.example.com"), "notify_url")

	s.set("PUT "+urls, `{"url":"https://other.example.com"}`)
	if err := client.UpdateComplaintURL(ctx, address); !errors.Is(err, wechatpay.ErrUncertain) {
		t.Errorf("another address: %v", err)
	}
	s.set("GET "+path+"/"+id, strings.Replace(complaintJSON, id, "1", 1))
	if _, err := client.Complaint(ctx, id); !errors.Is(err, wechatpay.ErrUncertain) {
		t.Errorf("another complaint: %v", err)
	}
	s.set("DELETE "+urls, "404 NOT_FOUND")
	if err := client.DeleteComplaintURL(ctx); !errors.Is(err, wechatpay.CodeNotFound) {
		t.Error(err)
	}
	for _, p := range []string{"GET " + path, "GET " + path + "/" + id + "/negotiation-historys", "GET " + urls} {
		s.set(p, "500 SYSTEM_ERROR")
	}
	if _, _, err := client.Complaints(ctx, wechatpay.ComplaintsRequest{BeginDate: "2026-11-19", EndDate: "2026-11-19"}); !errors.Is(err, wechatpay.ErrUncertain) {
		t.Error(err)
	}
	if _, _, err := client.ComplaintHistory(ctx, id, 1, 0); !errors.Is(err, wechatpay.ErrUncertain) {
		t.Error(err)
	}
	if _, err := client.ComplaintURL(ctx); !errors.Is(err, wechatpay.ErrUncertain) {
		t.Error(err)
	}

	for _, event := range []string{wechatpay.EventComplaintCreate, wechatpay.EventComplaintStateChanged} {
		text := notification(event, "", `{"complaint_id":"42","action_type":"CONTINUE_COMPLAINT"}`)
		n, err := client.ParseNotification(ctx, signerA().header(c.Now(), text), []byte(text))
		if err != nil || n.Complaint == nil || n.Complaint.ComplaintID != "42" || n.Complaint.ActionType != "CONTINUE_COMPLAINT" {
			t.Errorf("%+v, %v", n, err)
		}
	}
	text := notification("COMPLAINT.CREATE", "complaint", `{"action_type":"x"}`)
	if _, err := client.ParseNotification(ctx, signerA().header(c.Now(), text), []byte(text)); !errors.Is(err, wechatpay.ErrBadMessage) {
		t.Error(err)
	}
}

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	f := startFake(t, newClock())
	s := play(f, map[string]string{
		"POST /v3/merchant/media/upload": `{"media_id":"m1"}`, "POST /v3/merchant/media/video_upload": `{"media_id":"m2"}`, "POST /v3/merchant-service/images/upload": `{"media_id":"m3"}`,
		"GET /v3/merchant-service/images/x": "picture",
	})
	client := newClient(t, f, config())
	ctx := t.Context()
	for _, c := range []struct {
		kind     wechatpay.MediaKind
		name, id string
	}{{wechatpay.MediaImage, "图.PNG", "m1"}, {wechatpay.MediaVideo, "a.mp4", "m2"}, {wechatpay.MediaComplaintImage, "a.jpg", "m3"}} {
		if id, err := client.UploadMedia(ctx, c.kind, c.name, []byte("\x89PNG\r\n")); err != nil || id != c.id {
			t.Errorf("%s: %q, %v", c.name, id, err)
		}
	}
	// The fake has checked the signature over meta, and the hash in it.
	for name, want := range map[string]string{"POST /v3/merchant/media/upload": "Content-Type: application/json", "POST /v3/merchant/media/video_upload": "Content-Type: video/mp4"} {
		if !strings.Contains(strings.Join(s.sent, "\n"), want) || f.count(name) != 1 {
			t.Errorf("%s was not sent with %q", name, want)
		}
	}
	for field, c := range map[string]struct {
		kind wechatpay.MediaKind
		name string
		data string
	}{"kind": {"/v3/x", "a.png", "x"}, "filename": {wechatpay.MediaVideo, "a.png", "x"}, "file": {wechatpay.MediaImage, "a.png", ""}} {
		_, err := client.UploadMedia(ctx, c.kind, c.name, []byte(c.data))
		refused(t, field, err, field)
	}
	for _, name := range []string{"a", "a.exe", "../a.png", "a\"b.png", "a\nb.png", strings.Repeat("a", 130) + ".png", "🍰.png"} {
		_, err := client.UploadMedia(ctx, wechatpay.MediaImage, name, []byte("x"))
		refused(t, name, err, "filename")
	}
	s.set("POST /v3/merchant/media/upload", `{}`)
	if _, err := client.UploadMedia(ctx, wechatpay.MediaImage, "a.png", []byte("x")); !errors.Is(err, wechatpay.ErrUncertain) {
		t.Error(err)
	}
	s.set("POST /v3/merchant/media/upload", "400 PARAM_ERROR")
	if _, err := client.UploadMedia(ctx, wechatpay.MediaImage, "a.png", []byte("x")); !errors.Is(err, wechatpay.CodeParamError) {
		t.Error(err)
	}

	var out bytes.Buffer
	if n, err := client.DownloadImage(ctx, "https://api.mch.weixin.qq.com/v3/merchant-service/images/x", &out); err != nil || n != 7 || out.String() != "picture" {
		t.Errorf("%q, %v", out.String(), err)
	}
	_, err := client.DownloadImage(ctx, "https://evil.example.com/v3/merchant-service/images/x", &out)
	refused(t, "elsewhere", err, "media_url")
	if _, err := client.DownloadImage(ctx, f.URL+"/v3/merchant-service/images/y", &out); !errors.Is(err, wechatpay.CodeNotFound) {
		t.Error(err)
	}
	s.set("GET /v3/merchant-service/images/x", "x"+strings.Repeat("y", 10<<20))
	if _, err := client.DownloadImage(ctx, f.URL+"/v3/merchant-service/images/x", &out); err == nil {
		t.Error("11 MiB were taken")
	}
}
