package wechatpay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
)

// TransferState is the state of a transfer at WeChat Pay. Values that are not listed here are kept as they came; treat
// them as not final, and query on.
//
// Source: vendor manual, "商家转账", state.
type TransferState string

const (
	// TransferAccepted means accepted.
	TransferAccepted TransferState = "ACCEPTED"
	// TransferProcessing means on its way; if it stays so, look at the balance.
	TransferProcessing TransferState = "PROCESSING"
	// TransferWaitUserConfirm means that the user has to confirm, with [TransferParameters].
	TransferWaitUserConfirm TransferState = "WAIT_USER_CONFIRM"
	// TransferTransferring means that the user confirmed; the result is open. The spelling is WeChat Pay's.
	TransferTransferring TransferState = "TRANSFERING"
	// TransferSuccess means that the user has the money. Final.
	TransferSuccess TransferState = "SUCCESS"
	// TransferFail means that it came to nothing, see FailReason. Final.
	TransferFail TransferState = "FAIL"
	// TransferCanceling means that it is being cancelled. It becomes TransferCancelled.
	TransferCanceling TransferState = "CANCELING"
	// TransferCancelled means cancelled. Final.
	TransferCancelled TransferState = "CANCELLED"
)

// Final reports whether the state never changes any more.
func (s TransferState) Final() bool {
	return s == TransferSuccess || s == TransferFail || s == TransferCancelled
}

// TransferRequest is a transfer to a user (商家转账). What is left empty is not sent.
type TransferRequest struct {
	AppID      string    // bound to the merchant
	OpenID     string    // of the user, under AppID
	OutBillNo  string    // the merchant's number: 1 to 32 of 0-9 A-Z a-z; see Client.Transfer
	SceneID    string    // what for (转账场景): such as 1000, 现金营销; applied for on the merchant platform
	Amount     money.Fen // at least 1 fen
	Remark     string    // the user sees it; at most 32 characters
	UserName   string    // in plain text, it is encrypted here; WeChat Pay compares it, and needs it for larger amounts
	NotifyURL  string    // https, at most 256 bytes, no query
	Perception string    // what the user is told the money is for, one of those of SceneID (user_recv_perception)
	Reports    []TransferReport
}

// TransferReport is what the scene asks to be told, such as 活动名称 and the campaign's name.
type TransferReport struct {
	Type    string `json:"info_type"`
	Content string `json:"info_content"`
}

// Transfer is what WeChat Pay says about a transfer, in a verified answer or notification. What an answer does not have
// is zero.
type Transfer struct {
	MerchantID     string // not in every answer
	AppID          string // in the answer of a query
	OutBillNo      string
	TransferBillNo string // WeChat Pay's number
	State          TransferState
	FailReason     string    // with TransferFail: a code
	PackageInfo    string    // in the answer of Transfer, with TransferWaitUserConfirm; see TransferParameters
	Amount         money.Fen // not in the answers of Transfer and CancelTransfer
	Remark         string
	OpenID         string
	CreateTime     time.Time // UTC
	UpdateTime     time.Time // UTC

	Raw    []byte // the verified JSON that it was read from, to be kept as evidence
	Serial string // of the key that verified it
}

// TransferParameters are the arguments of wx.requestMerchantTransfer, with which the user confirms a transfer. They are
// not signed.
type TransferParameters struct {
	MerchantID string `json:"mchId"`
	AppID      string `json:"appId"`
	Package    string `json:"package"` // PackageInfo of the Transfer
}

// TransferParameters returns what the mini program gives to wx.requestMerchantTransfer.
func (c *Client) TransferParameters(appID string, t *Transfer) TransferParameters {
	return TransferParameters{c.credentials.MerchantID, appID, t.PackageInfo}
}

const transfersPath = "/v3/fund-app/mch-transfer/transfer-bills"

// Transfer sends money to a user, who confirms it in WeChat. A nil error means accepted: in TransferWaitUserConfirm hand
// TransferParameters to the phone, and learn the end from EventTransferFinished or a query.
//
// OutBillNo is the merchant's: choose it once, keep it, and use it for ever. The same request again is the same transfer,
// so after ErrUncertain ask again or query; a new number would be a second one.
//
// Errors to tell apart: *RequestError, CodeNotEnough (top up, then the same number), CodeAlreadyExists (query it),
// CodeInvalidRequest, CodeNoAuth (the scene is not granted), CodeFrequencyLimited, ErrNotSent, ErrUncertain.
//
// Source: vendor manual, "发起转账".
func (c *Client) Transfer(ctx context.Context, r TransferRequest) (*Transfer, error) {
	if err := cmp.Or(r.check(), c.checkNoSub()); err != nil {
		return nil, fmt.Errorf("transfer: %w", err)
	}
	w := struct {
		AppID      string           `json:"appid"`
		OutBillNo  string           `json:"out_bill_no"`
		SceneID    string           `json:"transfer_scene_id"`
		OpenID     string           `json:"openid"`
		UserName   string           `json:"user_name,omitempty"`
		Amount     money.Fen        `json:"transfer_amount"`
		Remark     string           `json:"transfer_remark"`
		NotifyURL  string           `json:"notify_url,omitempty"`
		Perception string           `json:"user_recv_perception,omitempty"`
		Reports    []TransferReport `json:"transfer_scene_report_infos"`
	}{r.AppID, r.OutBillNo, r.SceneID, r.OpenID, r.UserName, r.Amount, r.Remark, r.NotifyURL, r.Perception, r.Reports}
	key, err := c.encryptAll(ctx, &w.UserName)
	if err != nil {
		return nil, fmt.Errorf("transfer %s: %w", r.OutBillNo, err)
	}
	return c.transfer(ctx, "transfer", http.MethodPost, transfersPath, key, w, r.OutBillNo, "")
}

// QueryTransfer asks for a transfer by the merchant's number. CodeNotFound: it was not accepted, or long ago.
//
// Source: vendor manual, "商户单号查询转账单".
func (c *Client) QueryTransfer(ctx context.Context, outBillNo string) (*Transfer, error) {
	if err := cmp.Or(checkOutBillNo(outBillNo), c.checkNoSub()); err != nil {
		return nil, fmt.Errorf("query a transfer: %w", err)
	}
	return c.transfer(ctx, "query transfer", http.MethodGet, transfersPath+"/out-bill-no/"+outBillNo, FieldKey{}, nil, outBillNo, "")
}

// QueryTransferBill asks for a transfer by WeChat Pay's number. See QueryTransfer.
//
// Source: vendor manual, "微信单号查询转账单".
func (c *Client) QueryTransferBill(ctx context.Context, transferBillNo string) (*Transfer, error) {
	if err := cmp.Or(checkNumber("transfer_bill_no", transferBillNo, "", 1, 64), c.checkNoSub()); err != nil {
		return nil, fmt.Errorf("query a transfer: %w", err)
	}
	path := transfersPath + "/transfer-bill-no/" + transferBillNo
	return c.transfer(ctx, "query transfer", http.MethodGet, path, FieldKey{}, nil, "", transferBillNo)
}

// CancelTransfer takes back a transfer that the user has not confirmed. It may be repeated. A nil error means that it is
// being cancelled; query it, as the user may have been first.
//
// Source: vendor manual, "撤销转账".
func (c *Client) CancelTransfer(ctx context.Context, outBillNo string) (*Transfer, error) {
	if err := cmp.Or(checkOutBillNo(outBillNo), c.checkNoSub()); err != nil {
		return nil, fmt.Errorf("cancel a transfer: %w", err)
	}
	path := transfersPath + "/out-bill-no/" + outBillNo + "/cancel"
	return c.transfer(ctx, "cancel transfer", http.MethodPost, path, FieldKey{}, nil, outBillNo, "")
}

// transfer sends a request whose answer is about the transfer of the given numbers, of which one may be "".
func (c *Client) transfer(ctx context.Context, what, method, path string, key FieldKey, in any, outBillNo, billNo string) (*Transfer, error) {
	number := outBillNo + billNo
	resp, err := c.exchange(ctx, method, path, nil, key, in, nil)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, number, err)
	}
	t, err := parseTransfer(resp.Body)
	switch {
	case err != nil:
	case outBillNo != "" && t.OutBillNo != outBillNo, billNo != "" && t.TransferBillNo != billNo:
		err = errors.New("the answer is about another transfer")
	case t.MerchantID != "" && t.MerchantID != c.credentials.MerchantID:
		err = errors.New("the answer is about another merchant")
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, number, unreadable(err))
	}
	t.Serial = resp.Serial
	return t, nil
}

func checkOutBillNo(s string) error { return checkNumber("out_bill_no", s, "", 1, 32) }

// checkNoSub refuses what a client of For does not have.
func (c *Client) checkNoSub() error {
	return checkUnset("sub_mchid", !c.provides(), "a merchant does this for itself alone, not with Client.For", "仅限商户自身使用，不能通过 Client.For 调用")
}

func (r TransferRequest) check() error {
	err := cmp.Or(
		checkAppID("appid", r.AppID),
		checkOutBillNo(r.OutBillNo),
		checkNumber("transfer_scene_id", r.SceneID, "", 1, 36),
		checkToken("openid", r.OpenID, 1, 64),
		checkText("user_name", r.UserName, 0, 214),
		checkAmount("transfer_amount", r.Amount),
		checkText("transfer_remark", r.Remark, 1, 3*32),
		checkText("user_recv_perception", r.Perception, 0, 3*64),
	)
	if n := len([]rune(r.Remark)); err == nil && n > 32 {
		err = &RequestError{"transfer_remark", phrase.Text{
			EN: fmt.Sprintf("it has %d characters, at most 32 are allowed", n), ZH: fmt.Sprintf("有 %d 个字，最多 32 个", n),
		}}
	}
	if err == nil && r.NotifyURL != "" {
		err = checkNotifyURL(r.NotifyURL)
	}
	if err == nil && len(r.Reports) == 0 {
		err = &RequestError{"transfer_scene_report_infos", phrase.Text{EN: "it is missing: the scene says what is to be reported", ZH: "不能为空：按转账场景要求填写"}}
	}
	for i, p := range r.Reports {
		field := fmt.Sprintf("transfer_scene_report_infos[%d].", i)
		err = cmp.Or(err, checkText(field+"info_type", p.Type, 1, 3*32), checkText(field+"info_content", p.Content, 1, 3*128))
	}
	return err
}

// parseTransfer reads an answer or the plaintext of a notification.
func parseTransfer(data []byte) (*Transfer, error) {
	var w struct {
		MerchantID     string    `json:"mch_id"`
		MerchantID2    string    `json:"mchid"` // as notifications spell it, or not: both are seen
		AppID          string    `json:"appid"`
		OutBillNo      string    `json:"out_bill_no"`
		TransferBillNo string    `json:"transfer_bill_no"`
		State          string    `json:"state"`
		FailReason     string    `json:"fail_reason"`
		PackageInfo    string    `json:"package_info"`
		Amount         money.Fen `json:"transfer_amount"`
		Remark         string    `json:"transfer_remark"`
		OpenID         string    `json:"openid"`
		CreateTime     time.Time `json:"create_time"`
		UpdateTime     time.Time `json:"update_time"`
	}
	if err := strictUnmarshal(data, &w); err != nil {
		return nil, err
	}
	switch {
	case w.OutBillNo == "":
		return nil, errors.New("it has no out_bill_no")
	case w.TransferBillNo == "":
		return nil, errors.New("it has no transfer_bill_no")
	case w.State == "":
		return nil, errors.New("it has no state")
	case w.MerchantID != "" && w.MerchantID2 != "" && w.MerchantID != w.MerchantID2:
		return nil, errors.New("it names two merchants")
	}
	return &Transfer{
		MerchantID: cmp.Or(w.MerchantID, w.MerchantID2), AppID: w.AppID,
		OutBillNo: w.OutBillNo, TransferBillNo: w.TransferBillNo, State: TransferState(w.State), FailReason: w.FailReason,
		PackageInfo: w.PackageInfo, Amount: w.Amount, Remark: w.Remark, OpenID: w.OpenID,
		CreateTime: w.CreateTime.UTC(), UpdateTime: w.UpdateTime.UTC(), Raw: data,
	}, nil
}
