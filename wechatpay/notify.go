package wechatpay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

const (
	// algorithmGCM is the only encryption of resources with RSA keys.
	algorithmGCM = "AEAD_AES_256_GCM"

	// maxNotification is the largest notification that NotificationHandler reads. WeChat Pay's manual allows a
	// ciphertext of 1 MiB.
	maxNotification = 2 << 20
)

// The types of events. There are others; a notification of a type that is not listed has its Resource alone.
const (
	EventTransactionSuccess    = "TRANSACTION.SUCCESS" // a payment, single or combined; those that fail or are closed have no event
	EventRefundSuccess         = "REFUND.SUCCESS"
	EventRefundAbnormal        = "REFUND.ABNORMAL"
	EventRefundClosed          = "REFUND.CLOSED"
	EventTransferFinished      = "MCHTRANSFER.BILL.FINISHED"
	EventProfitSharingSuccess  = "PROFITSHARING.SUCCESS" // sent to the receiver
	EventProfitSharingReturn   = "PROFITSHARING.RETURN"  // likewise
	EventComplaintCreate       = "COMPLAINT.CREATE"
	EventComplaintStateChanged = "COMPLAINT.STATE_CHANGE"
)

// Notification is a verified and decrypted message of WeChat Pay's. The same one may come again, also at the same moment:
// what it causes must be keyed by the order or refund that it names, not by ID.
type Notification struct {
	ID         string
	CreateTime time.Time // UTC
	EventType  string    // such as EventTransactionSuccess
	Summary    string    // a few words of Chinese
	Resource   Resource
	Serial     string // of the key that verified it

	// What happened. One of these is set at most, the others are nil.
	Transaction   *Transaction         // with TRANSACTION.* of a single order
	Combined      *CombinedTransaction // with TRANSACTION.* of a combined order
	Refund        *Refund              // with REFUND.*
	Transfer      *Transfer            // with EventTransferFinished
	ProfitSharing *ProfitSharingNotice // with PROFITSHARING.*
	Complaint     *ComplaintNotice     // with COMPLAINT.*
}

// Resource is what a notification is about.
type Resource struct {
	OriginalType string // such as "transaction" or "refund"
	Plaintext    []byte // decrypted JSON
}

// envelopeJSON is a notification as WeChat Pay sends it.
type envelopeJSON struct {
	ID           string       `json:"id"`
	CreateTime   time.Time    `json:"create_time"`
	ResourceType string       `json:"resource_type"`
	EventType    string       `json:"event_type"`
	Summary      string       `json:"summary"`
	Resource     resourceJSON `json:"resource"`
}

type resourceJSON struct {
	OriginalType   string `json:"original_type"`
	Algorithm      string `json:"algorithm"`
	Ciphertext     string `json:"ciphertext"`
	AssociatedData string `json:"associated_data"`
	Nonce          string `json:"nonce"`
}

// ParseNotification verifies a notification, decrypts it and reads it. body is the request's body as received, byte for
// byte; header its header. Calling it again for the same message gives the same result while the message is fresh, which
// is five minutes.
//
// The error tells how to answer. [ErrBadSignature]: 4xx, WeChat Pay did not send this; also when its key can't be found
// now, since a genuine message comes again. [ErrBadMessage]: 5xx, it did, but the message can't be decrypted or read.
// An event of a type that this package does not know is no error; it has its Resource alone.
//
// A genuine signature says who sent it, not whose order it is: compare merchant, app, number and amount with your order.
//
// Source: vendor manual, "如何解密回调和平台证书", "支付通知".
func (c *Client) ParseNotification(ctx context.Context, header http.Header, body []byte) (*Notification, error) {
	serial, err := c.keys.verify(ctx, header, body)
	if err != nil {
		return nil, err
	}
	n, err := readNotification(body, c.keys.secrets)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadMessage, err)
	}
	n.Serial = serial
	switch {
	case n.Transaction != nil:
		n.Transaction.Serial = serial
	case n.Combined != nil:
		n.Combined.Serial = serial
	case n.Refund != nil:
		n.Refund.Serial = serial
	case n.Transfer != nil:
		n.Transfer.Serial = serial
	}
	return n, nil
}

// readNotification reads a notification whose signature is right.
func readNotification(body []byte, secrets []APIv3Key) (*Notification, error) {
	var e envelopeJSON
	if err := strictUnmarshal(body, &e); err != nil {
		return nil, err
	}
	for _, r := range []struct{ field, value string }{
		{"id", e.ID},
		{"event_type", e.EventType},
		{"resource_type", e.ResourceType},
		{"resource.ciphertext", e.Resource.Ciphertext},
	} {
		if r.value == "" {
			return nil, fmt.Errorf("it has no %s", r.field)
		}
	}
	if e.CreateTime.IsZero() {
		return nil, errors.New("it has no create_time")
	}
	if e.ResourceType != "encrypt-resource" {
		return nil, fmt.Errorf("resource_type %q is not known", phrase.Clip(e.ResourceType, 40))
	}
	if e.Resource.Algorithm != algorithmGCM {
		return nil, fmt.Errorf("algorithm %q is not supported, only %s", phrase.Clip(e.Resource.Algorithm, 40), algorithmGCM)
	}
	plain, err := decryptWithAny(secrets, e.Resource.Nonce, e.Resource.AssociatedData, e.Resource.Ciphertext)
	if err != nil {
		return nil, fmt.Errorf("decrypt the resource: %w", err)
	}
	n := &Notification{
		ID:         e.ID,
		CreateTime: e.CreateTime.UTC(),
		EventType:  e.EventType,
		Summary:    e.Summary,
		Resource:   Resource{OriginalType: e.Resource.OriginalType, Plaintext: plain},
	}
	if err := n.readResource(); err != nil {
		return nil, fmt.Errorf("read the %s: %w", phrase.Clip(cmp.Or(n.Resource.OriginalType, "resource"), 40), err)
	}
	return n, nil
}

// readResource types what the notification is about. The event and what it says it is about must agree; some events
// don't say.
func (n *Notification) readResource() (err error) {
	family, _, _ := strings.Cut(n.EventType, ".")
	kind := n.Resource.OriginalType
	plain := n.Resource.Plaintext
	switch {
	case family == "TRANSACTION" && kind == "transaction":
		var combined bool
		if combined, err = isCombined(plain); err != nil {
			return err
		}
		if combined {
			n.Combined, err = parseCombined(plain)
		} else {
			n.Transaction, err = parseTransaction(plain)
		}
	case family == "REFUND" && kind == "refund":
		n.Refund, err = parseRefundNotification(plain, n.EventType)
	case n.EventType == EventTransferFinished:
		n.Transfer, err = parseTransfer(plain)
	case family == "PROFITSHARING", family == "TRANSACTION" && kind == "profitsharing":
		n.ProfitSharing, err = parseProfitSharingNotice(plain)
	case family == "COMPLAINT":
		n.Complaint, err = parseComplaintNotice(plain)
	case family == "TRANSACTION" || family == "REFUND":
		err = fmt.Errorf("event %s is about a %q", phrase.Clip(n.EventType, 40), phrase.Clip(kind, 40))
	}
	return err
}

// NotificationHandler answers WeChat Pay's notifications: 204 once handle has returned nil, 401 for what WeChat Pay did
// not send, 5xx for what can't be read or was not handled, so that WeChat Pay sends it again (15 times within 24 hours).
//
// handle returns nil only when what it did is durable, and does so within 5 seconds; its context ends after 4. It is
// called again for the same event, also concurrently. Errors are logged by the client's logger.
func (c *Client) NotificationHandler(handle func(context.Context, *Notification) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			fail(w, http.StatusMethodNotAllowed, "POST it")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 4*time.Second)
		defer cancel()
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNotification))
		if err != nil {
			fail(w, http.StatusBadRequest, "the body can't be read")
			return
		}
		n, err := c.ParseNotification(ctx, r.Header, body)
		if errors.Is(err, ErrBadSignature) {
			var s *SignatureError
			c.log.InfoContext(ctx, "a notification was refused", "error", err, "probe", errors.As(err, &s) && s.Probe)
			fail(w, http.StatusUnauthorized, "the signature is not accepted")
			return
		}
		if err == nil {
			err = handle(ctx, n)
		}
		if err != nil {
			c.log.ErrorContext(ctx, "a notification was not handled", "error", err)
			fail(w, http.StatusInternalServerError, "not handled")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// fail answers in the form that WeChat Pay asks for.
func fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct { // the caller may be gone
		Code    string `json:"code"`
		Message string `json:"message"`
	}{"FAIL", message})
}
