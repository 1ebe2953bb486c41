package wechatpay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
)

// The states of a complaint. Values that are not listed here are kept as they came.
const (
	ComplaintPending    = "PENDING"    // waits for the merchant's first answer, for a day at most
	ComplaintProcessing = "PROCESSING" // was answered
	ComplaintProcessed  = "PROCESSED"  // is settled; the buyer may complain again
)

// Complaint is what a buyer complains of (消费者投诉).
type Complaint struct {
	ComplaintID          string           `json:"complaint_id"`
	Time                 time.Time        `json:"complaint_time"`
	Detail               string           `json:"complaint_detail"` // the buyer's words
	State                string           `json:"complaint_state"`
	MerchantID           string           `json:"complainted_mchid"` // whose buyer it is
	PayerPhone           string           `json:"payer_phone"`       // encrypted: Client.DecryptField reads it
	PayerOpenID          string           `json:"payer_openid"`
	Media                []ComplaintMedia `json:"complaint_media_list"`
	Orders               []ComplaintOrder `json:"complaint_order_info"`
	FullRefunded         bool             `json:"complaint_full_refunded"`
	IncomingUserResponse bool             `json:"incoming_user_response"` // the buyer waits for an answer
	ProblemDescription   string           `json:"problem_description"`
	ProblemType          string           `json:"problem_type"` // such as REFUND
	UserComplaintTimes   int64            `json:"user_complaint_times"`
	ApplyRefundAmount    money.Fen        `json:"apply_refund_amount"` // with REFUND
	UserTags             []string         `json:"user_tag_list"`
}

// ComplaintOrder is a payment that a complaint is about.
type ComplaintOrder struct {
	TransactionID string    `json:"transaction_id"`
	OutTradeNo    string    `json:"out_trade_no"`
	Amount        money.Fen `json:"amount"`
}

// ComplaintMedia are pictures that came with a complaint, see Client.DownloadImage.
type ComplaintMedia struct {
	Type string   `json:"media_type"`
	URLs []string `json:"media_url"`
}

// ComplaintStep is one step of what was said and done.
type ComplaintStep struct {
	LogID    string           `json:"log_id"`
	Operator string           `json:"operator"`
	Time     time.Time        `json:"operate_time"`
	Type     string           `json:"operate_type"` // such as USER_CREATE_COMPLAINT
	Details  string           `json:"operate_details"`
	Images   []string         `json:"image_list"`
	Media    []ComplaintMedia `json:"-"`
}

// ComplaintNotice says that a complaint changed; ask Complaint for it. The same may come again, and late.
type ComplaintNotice struct {
	ComplaintID string `json:"complaint_id"`
	ActionType  string `json:"action_type"` // such as CREATE_COMPLAINT, CONTINUE_COMPLAINT, USER_RESPONSE
}

func parseComplaintNotice(data []byte) (*ComplaintNotice, error) {
	n := new(ComplaintNotice)
	if err := strictUnmarshal(data, n); err != nil {
		return nil, err
	}
	if n.ComplaintID == "" {
		return nil, errors.New("it has no complaint_id")
	}
	return n, nil
}

const complaintsPath = "/v3/merchant-service/complaints-v2"

// ComplaintsRequest asks for a page of the complaints of some days.
type ComplaintsRequest struct {
	BeginDate string // of Beijing time, 2026-11-19
	EndDate   string // the last day; some 30 days from BeginDate at most
	Limit     int    // 1 to 50; 0 means 50
	Offset    int    // of the first one, from 0
}

// Complaints returns a page of complaints and how many there are in all. In the client of [Client.For] they are those of
// the sub merchant.
//
// Source: vendor manual, "查询投诉单列表".
func (c *Client) Complaints(ctx context.Context, r ComplaintsRequest) (page []Complaint, total int64, err error) {
	if err := cmp.Or(checkDate("begin_date", r.BeginDate), checkDate("end_date", r.EndDate), c.checkSub()); err != nil {
		return nil, 0, fmt.Errorf("list complaints: %w", err)
	}
	q, err := pageQuery(r.Limit, r.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("list complaints: %w", err)
	}
	q.Set("begin_date", r.BeginDate)
	q.Set("end_date", r.EndDate)
	if c.provides() {
		q.Set("complainted_mchid", c.sub.ID)
	}
	var w struct {
		Data  []Complaint `json:"data"`
		Total int64       `json:"total_count"`
	}
	if _, err := c.exchange(ctx, http.MethodGet, complaintsPath, q, FieldKey{}, nil, &w); err != nil {
		return nil, 0, fmt.Errorf("list complaints: %w", err)
	}
	for i := range w.Data {
		w.Data[i].Time = w.Data[i].Time.UTC()
	}
	return w.Data, w.Total, nil
}

func pageQuery(limit, offset int) (url.Values, error) {
	if limit == 0 {
		limit = 50
	}
	if limit < 1 || limit > 50 || offset < 0 {
		return nil, &RequestError{"limit", phrase.Text{EN: "it is 1 to 50, and offset is 0 or more", ZH: "limit 为 1 到 50，offset 不小于 0"}}
	}
	return url.Values{"limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset)}}, nil
}

// Complaint asks for one complaint.
//
// Source: vendor manual, "查询投诉单详情".
func (c *Client) Complaint(ctx context.Context, complaintID string) (*Complaint, error) {
	v := new(Complaint)
	if err := c.complaint(ctx, "complaint", http.MethodGet, complaintID, "", nil, nil, v); err != nil {
		return nil, err
	}
	if v.ComplaintID != complaintID {
		return nil, fmt.Errorf("complaint %s: %w", complaintID, unreadable(errors.New("the answer is about another complaint")))
	}
	v.Time = v.Time.UTC()
	return v, nil
}

// ComplaintHistory returns a page of what was said and done about a complaint, newest first, and how many steps there
// are in all. limit is 1 to 50, 0 means 50.
//
// Source: vendor manual, "查询投诉单协商历史".
func (c *Client) ComplaintHistory(ctx context.Context, complaintID string, limit, offset int) (page []ComplaintStep, total int64, err error) {
	q, err := pageQuery(limit, offset)
	if err != nil {
		return nil, 0, fmt.Errorf("history of a complaint: %w", err)
	}
	var w struct {
		Data []struct {
			ComplaintStep
			Media mediaJSON `json:"complaint_media_list"`
		} `json:"data"`
		Total int64 `json:"total_count"`
	}
	if err := c.complaint(ctx, "history of complaint", http.MethodGet, complaintID, "/negotiation-historys", q, nil, &w); err != nil {
		return nil, 0, err
	}
	for _, d := range w.Data {
		d.ComplaintStep.Media = d.Media
		d.Time = d.Time.UTC()
		page = append(page, d.ComplaintStep)
	}
	return page, w.Total, nil
}

// mediaJSON is a list, for which the history of a complaint has its one element.
type mediaJSON []ComplaintMedia

func (m *mediaJSON) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		*m = make(mediaJSON, 1)
		return json.Unmarshal(b, &(*m)[0])
	}
	return json.Unmarshal(b, (*[]ComplaintMedia)(m))
}

// ComplaintResponse is an answer to the buyer.
type ComplaintResponse struct {
	Content     string   // the buyer reads it; at most 200 characters
	Images      []string // media ids of UploadMedia with MediaComplaintImage; at most 4
	JumpURL     string   // a page that the answer leads to
	JumpURLText string   // the text of the link
}

// RespondComplaint answers the buyer. Twice is two answers: after ErrUncertain look at the history first.
//
// Source: vendor manual, "回复用户".
func (c *Client) RespondComplaint(ctx context.Context, complaintID string, r ComplaintResponse) error {
	err := cmp.Or(checkText("response_content", r.Content, 1, 3*200), checkCount("response_images", len(r.Images), 0, 4),
		checkToken("jump_url", r.JumpURL, 0, 512), checkText("jump_url_text", r.JumpURLText, 0, 3*10), c.checkSub())
	if err != nil {
		return fmt.Errorf("answer a complaint: %w", err)
	}
	w := struct {
		MerchantID  string   `json:"complainted_mchid"`
		Content     string   `json:"response_content"`
		Images      []string `json:"response_images,omitempty"`
		JumpURL     string   `json:"jump_url,omitempty"`
		JumpURLText string   `json:"jump_url_text,omitempty"`
	}{"", r.Content, r.Images, r.JumpURL, r.JumpURLText}
	w.MerchantID, _ = c.merchant()
	return c.complaint(ctx, "answer complaint", http.MethodPost, complaintID, "/response", nil, w, nil)
}

// CompleteComplaint says that the complaint is settled. It may be repeated.
//
// Source: vendor manual, "反馈处理完成".
func (c *Client) CompleteComplaint(ctx context.Context, complaintID string) error {
	if err := c.checkSub(); err != nil {
		return fmt.Errorf("complete a complaint: %w", err)
	}
	var w struct {
		MerchantID string `json:"complainted_mchid"`
	}
	w.MerchantID, _ = c.merchant()
	return c.complaint(ctx, "complete complaint", http.MethodPost, complaintID, "/complete", nil, w, nil)
}

// ComplaintRefund says whether a refund that the buyer asks for is granted.
type ComplaintRefund struct {
	Approve      bool     // and then the refund itself is the merchant's to make, with Client.Refund
	WithinDays   int      // with Approve: in how many days it will be made; 0 means at once
	RejectReason string   // without Approve: required
	RejectImages []string // without Approve: media ids of UploadMedia with MediaComplaintImage; at most 4
	Remark       string   // not shown to the buyer
}

// UpdateComplaintRefund tells the buyer whether the refund is granted. It moves no money. It may be repeated.
//
// Source: vendor manual, "更新退款审批结果".
func (c *Client) UpdateComplaintRefund(ctx context.Context, complaintID string, r ComplaintRefund) error {
	w := struct {
		Action       string   `json:"action"`
		WithinDays   *int     `json:"launch_refund_day,omitempty"`
		RejectReason string   `json:"reject_reason,omitempty"`
		RejectImages []string `json:"reject_media_list,omitempty"`
		Remark       string   `json:"remark,omitempty"`
	}{"REJECT", nil, r.RejectReason, r.RejectImages, r.Remark}
	err := cmp.Or(checkText("remark", r.Remark, 0, 3*200), checkCount("reject_media_list", len(r.RejectImages), 0, 4))
	if r.Approve {
		w.Action, w.WithinDays = "APPROVE", &r.WithinDays
		err = cmp.Or(err, checkUnset("reject_reason", r.RejectReason == "" && len(r.RejectImages) == 0, "the refund is granted", "已同意退款"))
	} else {
		err = cmp.Or(err, checkText("reject_reason", r.RejectReason, 1, 3*200))
	}
	if r.WithinDays < 0 || (!r.Approve && r.WithinDays != 0) {
		err = &RequestError{"launch_refund_day", phrase.Text{EN: "it is 0 or more, and goes with a refund that is granted", ZH: "不小于 0，且仅在同意退款时填写"}}
	}
	if err != nil {
		return fmt.Errorf("decide the refund of a complaint: %w", err)
	}
	return c.complaint(ctx, "decide the refund of complaint", http.MethodPost, complaintID, "/update-refund-progress", nil, w, nil)
}

func (c *Client) complaint(ctx context.Context, what, method, complaintID, action string, q url.Values, in, out any) error {
	err := cmp.Or(checkNumber("complaint_id", complaintID, "_-", 1, 64), c.checkSub())
	if err == nil {
		_, err = c.exchange(ctx, method, complaintsPath+"/"+complaintID+action, q, FieldKey{}, in, out)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, phrase.Clip(complaintID, 64), err)
	}
	return nil
}

const complaintURLPath = "/v3/merchant-service/complaint-notifications"

// ComplaintURL returns the address that COMPLAINT.* notifications go to. CodeNotFound or CodeResourceNotExists: there is
// none.
//
// Source: vendor manual, "查询投诉通知回调地址".
func (c *Client) ComplaintURL(ctx context.Context) (string, error) {
	return c.complaintURL(ctx, "ask for", http.MethodGet, nil)
}

// CreateComplaintURL sets the address that COMPLAINT.* notifications go to, where there is none: https, no query.
//
// Source: vendor manual, "创建投诉通知回调地址".
func (c *Client) CreateComplaintURL(ctx context.Context, address string) error {
	return c.setComplaintURL(ctx, "create", http.MethodPost, address)
}

// UpdateComplaintURL changes the address that COMPLAINT.* notifications go to. It may be repeated.
//
// Source: vendor manual, "更新投诉通知回调地址".
func (c *Client) UpdateComplaintURL(ctx context.Context, address string) error {
	return c.setComplaintURL(ctx, "update", http.MethodPut, address)
}

// DeleteComplaintURL ends COMPLAINT.* notifications.
//
// Source: vendor manual, "删除投诉通知回调地址".
func (c *Client) DeleteComplaintURL(ctx context.Context) error {
	if _, err := c.exchange(ctx, http.MethodDelete, complaintURLPath, nil, FieldKey{}, nil, nil); err != nil {
		return fmt.Errorf("delete the complaint URL: %w", err)
	}
	return nil
}

func (c *Client) setComplaintURL(ctx context.Context, what, method, address string) error {
	if err := checkNotifyURL(address); err != nil {
		return fmt.Errorf("%s the complaint URL: %w", what, err)
	}
	got, err := c.complaintURL(ctx, what, method, struct {
		URL string `json:"url"`
	}{address})
	if err == nil && got != address {
		err = fmt.Errorf("%s the complaint URL: %w", what, unreadable(errors.New("the answer is about another address")))
	}
	return err
}

func (c *Client) complaintURL(ctx context.Context, what, method string, in any) (string, error) {
	var w struct {
		URL string `json:"url"`
	}
	if _, err := c.exchange(ctx, method, complaintURLPath, nil, FieldKey{}, in, &w); err != nil {
		return "", fmt.Errorf("%s the complaint URL: %w", what, err)
	}
	return w.URL, nil
}

// DownloadImage writes a picture of a complaint to w; address is one of ComplaintMedia.URLs. WeChat Pay neither signs nor
// hashes pictures, so this one is only as good as the connection. It may be up to 10 MiB.
//
// Source: vendor manual, "图片下载".
func (c *Client) DownloadImage(ctx context.Context, address string, w io.Writer) (n int64, err error) {
	const most = 10 << 20
	file, err := c.fileAt(address)
	if err != nil {
		return 0, fmt.Errorf("download an image: %w", &RequestError{"media_url", phrase.Text{EN: err.Error(), ZH: "不是微信支付的图片地址"}})
	}
	body, err := c.openFile(ctx, file)
	if err != nil {
		return 0, fmt.Errorf("download an image: %w", err)
	}
	defer body.Close()
	n, err = io.Copy(w, io.LimitReader(body, most+1))
	if err == nil && n > most {
		err = errors.New("it is larger than 10 MiB")
	}
	if err != nil {
		return n, fmt.Errorf("download an image: %w", err)
	}
	return n, nil
}
