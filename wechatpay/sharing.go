package wechatpay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/money"
)

// The types of receivers of a profit sharing.
const (
	ReceiverMerchant  = "MERCHANT_ID"         // Account is a merchant number
	ReceiverOpenID    = "PERSONAL_OPENID"     // Account is an openid under AppID
	ReceiverSubOpenID = "PERSONAL_SUB_OPENID" // Account is an openid under the sub merchant's app
)

// The states of a profit sharing, and of the parts and returns of one. Values that are not listed here are kept as they
// came; treat them as not final.
const (
	SharingProcessing = "PROCESSING" // of the whole, or of a return: not final
	SharingFinished   = "FINISHED"   // of the whole: each part has a result
	SharingPending    = "PENDING"    // of a part: not final
	SharingSuccess    = "SUCCESS"    // of a part or a return. Final
	SharingClosed     = "CLOSED"     // of a part: failed, the money went back, see FailReason. Final
	SharingFailed     = "FAILED"     // of a return: failed, see FailReason. Final
)

// ProfitSharingRequest divides the money of a payment (分账) that was ordered with SettleInfo.ProfitSharing.
type ProfitSharingRequest struct {
	AppID           string
	TransactionID   string // of the payment, a minute old at least
	OutOrderNo      string // the merchant's number of this sharing: 1 to 64 of 0-9 A-Z a-z _ - | * @
	Receivers       []Receiver
	UnfreezeUnsplit bool   // gives the rest to the merchant; else it stays frozen, for 30 days, for further sharings
	NotifyURL       string // "" means none
}

// Receiver is who gets a part.
type Receiver struct {
	Type        string    `json:"type"` // ReceiverMerchant, ReceiverOpenID or ReceiverSubOpenID
	Account     string    `json:"account"`
	Name        string    `json:"name,omitempty"` // in plain text, it is encrypted here; WeChat Pay compares it
	Amount      money.Fen `json:"amount"`
	Description string    `json:"description"` // at most 80 bytes; the receiver sees it
}

// ProfitSharing is what WeChat Pay says about a sharing.
type ProfitSharing struct {
	SubMerchantID string        `json:"sub_mchid"`
	TransactionID string        `json:"transaction_id"`
	OutOrderNo    string        `json:"out_order_no"`
	OrderID       string        `json:"order_id"` // WeChat Pay's number
	State         string        `json:"state"`    // SharingProcessing or SharingFinished
	Receivers     []SharingPart `json:"receivers"`
}

// SharingPart is what became of one part.
type SharingPart struct {
	Type        string    `json:"type"`
	Account     string    `json:"account"`
	Amount      money.Fen `json:"amount"`
	Description string    `json:"description"`
	Result      string    `json:"result"`      // SharingPending, SharingSuccess or SharingClosed
	FailReason  string    `json:"fail_reason"` // a code, such as NO_RELATION
	DetailID    string    `json:"detail_id"`
	CreateTime  time.Time `json:"create_time"`
	FinishTime  time.Time `json:"finish_time"`
}

const sharingPath = "/v3/profitsharing/"

// ShareProfit divides the money of a payment among receivers that were added with AddReceiver. The same request again,
// with the same OutOrderNo, is the same sharing. A nil error means accepted: query until the state is SharingFinished.
//
// Errors to tell apart: CodeNotEnough (more than is frozen, or not settled yet: later, the same), CodeRuleLimit,
// CodeResourceNotExists (no such payment), CodeNoAuth, CodeFrequencyLimited, ErrNotSent, ErrUncertain.
//
// Source: vendor manual, "请求分账".
func (c *Client) ShareProfit(ctx context.Context, r ProfitSharingRequest) (*ProfitSharing, error) {
	if err := cmp.Or(r.check(), c.checkSub()); err != nil {
		return nil, fmt.Errorf("share profit: %w", err)
	}
	w := struct {
		sharingPartiesJSON
		TransactionID   string     `json:"transaction_id"`
		OutOrderNo      string     `json:"out_order_no"`
		Receivers       []Receiver `json:"receivers,omitempty"`
		UnfreezeUnsplit bool       `json:"unfreeze_unsplit"`
		NotifyURL       string     `json:"notify_url,omitempty"`
	}{c.sharingParties(r.AppID), r.TransactionID, r.OutOrderNo, append([]Receiver(nil), r.Receivers...), r.UnfreezeUnsplit, r.NotifyURL}
	var names []*string
	for i := range w.Receivers {
		names = append(names, &w.Receivers[i].Name)
	}
	key, err := c.encryptAll(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("share profit %s: %w", r.OutOrderNo, err)
	}
	return c.sharing(ctx, "share profit", http.MethodPost, sharingPath+"orders", nil, key, w, r.OutOrderNo, r.TransactionID)
}

// QueryProfitSharing asks what became of a sharing. CodeResourceNotExists: it was not accepted.
//
// Source: vendor manual, "查询分账结果".
func (c *Client) QueryProfitSharing(ctx context.Context, outOrderNo, transactionID string) (*ProfitSharing, error) {
	if err := cmp.Or(checkSharingNo("out_order_no", outOrderNo), checkTransactionID(transactionID), c.checkSub()); err != nil {
		return nil, fmt.Errorf("query a profit sharing: %w", err)
	}
	q := c.subQuery(url.Values{"transaction_id": {transactionID}})
	path := sharingPath + "orders/" + url.PathEscape(outOrderNo)
	return c.sharing(ctx, "query profit sharing", http.MethodGet, path, q, FieldKey{}, nil, outOrderNo, transactionID)
}

// UnfreezeProfit gives what is left of a payment to the merchant, and so ends its sharing. outOrderNo is a number like
// that of a sharing, and new; the same call again is the same unfreezing. description is at most 80 bytes.
//
// Source: vendor manual, "解冻剩余资金".
func (c *Client) UnfreezeProfit(ctx context.Context, transactionID, outOrderNo, description string) (*ProfitSharing, error) {
	if err := cmp.Or(checkSharingNo("out_order_no", outOrderNo), checkTransactionID(transactionID),
		checkText("description", description, 1, 80), c.checkSub()); err != nil {
		return nil, fmt.Errorf("unfreeze profit: %w", err)
	}
	w := struct {
		sharingPartiesJSON
		TransactionID string `json:"transaction_id"`
		OutOrderNo    string `json:"out_order_no"`
		Description   string `json:"description"`
	}{c.sharingParties(""), transactionID, outOrderNo, description}
	return c.sharing(ctx, "unfreeze profit", http.MethodPost, sharingPath+"orders/unfreeze", nil, FieldKey{}, w, outOrderNo, transactionID)
}

// sharing sends a request whose answer is about the sharing of the given numbers.
func (c *Client) sharing(ctx context.Context, what, method, path string, q url.Values, key FieldKey, in any,
	outOrderNo, transactionID string,
) (*ProfitSharing, error) {
	s := new(ProfitSharing)
	_, err := c.exchange(ctx, method, path, q, key, in, s)
	switch {
	case err != nil:
	case s.OutOrderNo != outOrderNo || s.TransactionID != transactionID:
		err = unreadable(errors.New("the answer is about another sharing"))
	case s.State == "":
		err = unreadable(errors.New("it has no state"))
	default:
		err = c.checkSubOf(s.SubMerchantID)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, outOrderNo, err)
	}
	for i := range s.Receivers {
		r := &s.Receivers[i]
		r.CreateTime, r.FinishTime = r.CreateTime.UTC(), r.FinishTime.UTC()
	}
	return s, nil
}

// checkSubOf checks the sub merchant that an answer names, which not every answer does.
func (c *Client) checkSubOf(sub string) error {
	if sub == "" || (c.provides() && sub == c.sub.ID) {
		return nil
	}
	return unreadable(errors.New("the answer is about another merchant"))
}

// ProfitReturnRequest takes a part back from a merchant that received it, before the payment is refunded.
type ProfitReturnRequest struct {
	OrderID          string // WeChat Pay's number of the sharing; this
	OutOrderNo       string // or the merchant's, one of the two
	OutReturnNo      string // the merchant's number of this return: 1 to 64 of 0-9 A-Z a-z _ - | * @
	ReturnMerchantID string // that gives the money back
	Amount           money.Fen
	Description      string // at most 80 bytes
}

// ProfitReturn is what WeChat Pay says about a return.
type ProfitReturn struct {
	SubMerchantID    string    `json:"sub_mchid"`
	OrderID          string    `json:"order_id"`
	OutOrderNo       string    `json:"out_order_no"`
	OutReturnNo      string    `json:"out_return_no"`
	ReturnID         string    `json:"return_id"` // WeChat Pay's number
	ReturnMerchantID string    `json:"return_mchid"`
	Amount           money.Fen `json:"amount"`
	Description      string    `json:"description"`
	Result           string    `json:"result"`      // SharingProcessing, SharingSuccess or SharingFailed
	FailReason       string    `json:"fail_reason"` // a code, such as BALANCE_NOT_ENOUGH
	CreateTime       time.Time `json:"create_time"`
	FinishTime       time.Time `json:"finish_time"`
}

// ReturnProfit takes a part back. The same request again, with the same OutReturnNo, is the same return.
//
// Source: vendor manual, "请求分账回退".
func (c *Client) ReturnProfit(ctx context.Context, r ProfitReturnRequest) (*ProfitReturn, error) {
	if err := cmp.Or(r.check(), c.checkSub()); err != nil {
		return nil, fmt.Errorf("return profit: %w", err)
	}
	w := struct {
		sharingPartiesJSON
		OrderID          string    `json:"order_id,omitempty"`
		OutOrderNo       string    `json:"out_order_no,omitempty"`
		OutReturnNo      string    `json:"out_return_no"`
		ReturnMerchantID string    `json:"return_mchid"`
		Amount           money.Fen `json:"amount"`
		Description      string    `json:"description"`
	}{c.sharingParties(""), r.OrderID, r.OutOrderNo, r.OutReturnNo, r.ReturnMerchantID, r.Amount, r.Description}
	p, err := c.profitReturn(ctx, http.MethodPost, sharingPath+"return-orders", nil, w, r.OutReturnNo)
	if err == nil && p.Amount != r.Amount {
		err = unreadable(fmt.Errorf("the answer is about %s yuan", p.Amount))
	}
	if err != nil {
		return nil, fmt.Errorf("return profit %s: %w", r.OutReturnNo, err)
	}
	return p, nil
}

// QueryProfitReturn asks what became of a return of the sharing outOrderNo.
//
// Source: vendor manual, "查询分账回退结果".
func (c *Client) QueryProfitReturn(ctx context.Context, outReturnNo, outOrderNo string) (*ProfitReturn, error) {
	if err := cmp.Or(checkSharingNo("out_return_no", outReturnNo), checkSharingNo("out_order_no", outOrderNo), c.checkSub()); err != nil {
		return nil, fmt.Errorf("query a profit return: %w", err)
	}
	q := c.subQuery(url.Values{"out_order_no": {outOrderNo}})
	p, err := c.profitReturn(ctx, http.MethodGet, sharingPath+"return-orders/"+url.PathEscape(outReturnNo), q, nil, outReturnNo)
	if err != nil {
		return nil, fmt.Errorf("query profit return %s: %w", outReturnNo, err)
	}
	return p, nil
}

func (c *Client) profitReturn(ctx context.Context, method, path string, q url.Values, in any, outReturnNo string) (*ProfitReturn, error) {
	p := new(ProfitReturn)
	if _, err := c.exchange(ctx, method, path, q, FieldKey{}, in, p); err != nil {
		return nil, err
	}
	switch {
	case p.OutReturnNo != outReturnNo:
		return nil, unreadable(errors.New("the answer is about another return"))
	case p.Result == "":
		return nil, unreadable(errors.New("it has no result"))
	}
	p.CreateTime, p.FinishTime = p.CreateTime.UTC(), p.FinishTime.UTC()
	return p, c.checkSubOf(p.SubMerchantID)
}

// UnsplitAmount asks how much of a payment is left to be shared.
//
// Source: vendor manual, "查询剩余待分金额".
func (c *Client) UnsplitAmount(ctx context.Context, transactionID string) (money.Fen, error) {
	if err := checkTransactionID(transactionID); err != nil {
		return 0, fmt.Errorf("query the unsplit amount: %w", err)
	}
	var w struct {
		TransactionID string     `json:"transaction_id"`
		Unsplit       *money.Fen `json:"unsplit_amount"`
	}
	_, err := c.exchange(ctx, http.MethodGet, sharingPath+"transactions/"+transactionID+"/amounts", nil, FieldKey{}, nil, &w)
	switch {
	case err != nil:
	case w.TransactionID != transactionID:
		err = unreadable(errors.New("the answer is about another transaction"))
	case w.Unsplit == nil:
		err = unreadable(errors.New("it has no unsplit_amount"))
	default:
		return *w.Unsplit, nil
	}
	return 0, fmt.Errorf("query the unsplit amount of %s: %w", transactionID, err)
}

// ReceiverRequest adds or removes someone who may receive parts.
type ReceiverRequest struct {
	AppID          string
	Type           string // ReceiverMerchant, ReceiverOpenID or ReceiverSubOpenID
	Account        string
	Name           string // in plain text, it is encrypted here; required of merchants; not for DeleteReceiver
	RelationType   string // SERVICE_PROVIDER, STORE, STAFF, PARTNER, …, or CUSTOM; not for DeleteReceiver
	CustomRelation string // with CUSTOM: in a few words; not for DeleteReceiver
}

// AddReceiver lets someone receive parts. It may be repeated.
//
// Source: vendor manual, "添加分账接收方".
func (c *Client) AddReceiver(ctx context.Context, r ReceiverRequest) error {
	if err := cmp.Or(r.check(), checkToken("relation_type", r.RelationType, 1, 32), c.checkSub()); err != nil {
		return fmt.Errorf("add a receiver: %w", err)
	}
	w := struct {
		sharingPartiesJSON
		Type           string `json:"type"`
		Account        string `json:"account"`
		Name           string `json:"name,omitempty"`
		RelationType   string `json:"relation_type"`
		CustomRelation string `json:"custom_relation,omitempty"`
	}{c.sharingParties(r.AppID), r.Type, r.Account, r.Name, r.RelationType, r.CustomRelation}
	key, err := c.encryptAll(ctx, &w.Name)
	if err == nil {
		_, err = c.exchange(ctx, http.MethodPost, sharingPath+"receivers/add", nil, key, w, nil)
	}
	if err != nil {
		return fmt.Errorf("add a receiver: %w", err)
	}
	return nil
}

// DeleteReceiver ends that someone may receive parts. It may be repeated.
//
// Source: vendor manual, "删除分账接收方".
func (c *Client) DeleteReceiver(ctx context.Context, r ReceiverRequest) error {
	err := cmp.Or(r.check(), c.checkSub(), checkUnset("relation_type", r.Name+r.RelationType+r.CustomRelation == "",
		"who it is and why goes with AddReceiver", "姓名与关系仅用于添加接收方"))
	if err == nil {
		w := struct {
			sharingPartiesJSON
			Type    string `json:"type"`
			Account string `json:"account"`
		}{c.sharingParties(r.AppID), r.Type, r.Account}
		_, err = c.exchange(ctx, http.MethodPost, sharingPath+"receivers/delete", nil, FieldKey{}, w, nil)
	}
	if err != nil {
		return fmt.Errorf("delete a receiver: %w", err)
	}
	return nil
}

// ProfitSharingNotice is a notification to someone who received a part, or gave one back.
type ProfitSharingNotice struct {
	MerchantID    string // whose payment it was: the merchant, or the sub merchant of a service provider
	ProviderID    string // the service provider that acted for MerchantID; "" where there is none
	TransactionID string
	OrderID       string
	OutOrderNo    string
	Receiver      Receiver  // Name is ""
	SuccessTime   time.Time // UTC
}

func parseProfitSharingNotice(data []byte) (*ProfitSharingNotice, error) {
	var w struct {
		partiesJSON
		TransactionID string    `json:"transaction_id"`
		OrderID       string    `json:"order_id"`
		OutOrderNo    string    `json:"out_order_no"`
		Receiver      Receiver  `json:"receiver"`
		SuccessTime   time.Time `json:"success_time"`
	}
	if err := strictUnmarshal(data, &w); err != nil {
		return nil, err
	}
	n := &ProfitSharingNotice{
		TransactionID: w.TransactionID, OrderID: w.OrderID, OutOrderNo: w.OutOrderNo, Receiver: w.Receiver, SuccessTime: w.SuccessTime.UTC(),
	}
	n.MerchantID, n.ProviderID = w.merchant()
	if n.TransactionID == "" || n.OrderID == "" {
		return nil, errors.New("it has no transaction_id or no order_id")
	}
	return n, nil
}

// sharingPartiesJSON is who acts in a profit sharing, beside the merchant that signs.
type sharingPartiesJSON struct {
	SubMerchantID string `json:"sub_mchid,omitempty"`
	AppID         string `json:"appid,omitempty"`
	SubAppID      string `json:"sub_appid,omitempty"`
}

// sharingParties fills it in. appID is "" where only the sub merchant is named.
func (c *Client) sharingParties(appID string) sharingPartiesJSON {
	p := sharingPartiesJSON{AppID: appID}
	if c.provides() {
		p.SubMerchantID = c.sub.ID
		if appID != "" {
			p.SubAppID = c.sub.AppID
		}
	}
	return p
}

func checkSharingNo(field, s string) error { return checkNumber(field, s, "_-|*@", 1, 64) }

func (r ProfitSharingRequest) check() error {
	err := cmp.Or(checkAppID("appid", r.AppID), checkTransactionID(r.TransactionID), checkSharingNo("out_order_no", r.OutOrderNo))
	if err == nil && r.NotifyURL != "" {
		err = checkNotifyURL(r.NotifyURL)
	}
	for i, p := range r.Receivers {
		field := fmt.Sprintf("receivers[%d].", i)
		err = cmp.Or(err, checkReceiver(field, p.Type, p.Account, p.Name), checkAmount(field+"amount", p.Amount),
			checkText(field+"description", p.Description, 1, 80))
	}
	return err
}

func (r ReceiverRequest) check() error {
	return cmp.Or(checkAppID("appid", r.AppID), checkReceiver("", r.Type, r.Account, r.Name), checkText("custom_relation", r.CustomRelation, 0, 30))
}

func (r ProfitReturnRequest) check() error {
	if (r.OrderID == "") == (r.OutOrderNo == "") {
		return &RequestError{"order_id", phrase.Text{EN: "name the sharing by it or by out_order_no, and not by both", ZH: "请在 order_id 与 out_order_no 中二选一"}}
	}
	return cmp.Or(
		checkToken("order_id", r.OrderID, 0, 64),
		checkNumber("out_order_no", r.OutOrderNo, "_-|*@", 0, 64),
		checkSharingNo("out_return_no", r.OutReturnNo),
		checkMerchantID("return_mchid", r.ReturnMerchantID),
		checkAmount("amount", r.Amount),
		checkText("description", r.Description, 1, 80),
	)
}

func checkReceiver(field, kind, account, name string) error {
	if kind != ReceiverMerchant && kind != ReceiverOpenID && kind != ReceiverSubOpenID {
		return &RequestError{field + "type", phrase.Text{
			EN: "it is " + ReceiverMerchant + ", " + ReceiverOpenID + " or " + ReceiverSubOpenID,
			ZH: "取值 " + ReceiverMerchant + "、" + ReceiverOpenID + " 或 " + ReceiverSubOpenID,
		}}
	}
	return cmp.Or(checkToken(field+"account", account, 1, 64), checkText(field+"name", name, 0, 214))
}
