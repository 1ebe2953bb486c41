// Command witness lets tests in other languages ask this module's SDK. It reads questions from standard input, one JSON
// object a line, and answers each with a line: {"result":…} or {"error":"…"}.
//
//	{"do":"verify","message":{"kind":"pay",…},"signature":"…","public_key":"PEM"}
//
// It holds nothing between two questions: keys come with each.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// question has the fields of all questions; each uses some.
type question struct {
	Do string `json:"do"`

	MerchantID string `json:"merchant_id"`
	Serial     string `json:"serial"`
	PrivateKey string `json:"private_key"` // PEM
	PublicKey  string `json:"public_key"`  // PEM
	KeyID      string `json:"public_key_id"`
	APIv3Key   string `json:"apiv3_key"`
	APIv2Key   string `json:"apiv2_key"`
	SignType   string `json:"sign_type"`
	AppID      string `json:"app_id"`
	PrepayID   string `json:"prepay_id"`

	Message   message `json:"message"`
	Signature string  `json:"signature"`

	Header map[string]string `json:"header"`
	Body   string            `json:"body"`

	Fields    map[string]string `json:"fields"`
	Timestamp int64             `json:"timestamp"`

	Nonce          string `json:"nonce"`
	AssociatedData string `json:"associated_data"`
	Text           string `json:"text"` // sealed or plain
}

// message is what is signed, before it becomes lines.
type message struct {
	Kind      string `json:"kind"` // request, response or pay
	Method    string `json:"method"`
	Target    string `json:"target"`
	Body      string `json:"body"`
	Timestamp int64  `json:"timestamp"`
	Nonce     string `json:"nonce"`
	AppID     string `json:"app_id"`
	Package   string `json:"package"`
}

func (m message) text() ([]byte, error) {
	at := time.Unix(m.Timestamp, 0)
	switch m.Kind {
	case "request":
		return wechatpay.RequestMessage(m.Method, m.Target, []byte(m.Body), at, m.Nonce), nil
	case "response":
		return wechatpay.ResponseMessage(fmt.Sprint(m.Timestamp), m.Nonce, []byte(m.Body)), nil
	case "pay":
		return wechatpay.PayMessage(m.AppID, at, m.Nonce, m.Package), nil
	}
	return nil, fmt.Errorf("there is no message of kind %q", m.Kind)
}

var answers = map[string]func(question) (any, error){
	// authorization is the header of a request.
	"authorization": func(q question) (any, error) {
		key, err := wechatpay.ParsePrivateKey([]byte(q.PrivateKey))
		if err != nil {
			return nil, err
		}
		c := wechatpay.Credentials{MerchantID: q.MerchantID, CertificateSerial: q.Serial, PrivateKey: key}
		m := q.Message
		return c.Authorization(m.Method, m.Target, []byte(m.Body), time.Unix(m.Timestamp, 0), m.Nonce)
	},
	// sign is the signature of a message.
	"sign": func(q question) (any, error) {
		key, err := wechatpay.ParsePrivateKey([]byte(q.PrivateKey))
		if err != nil {
			return nil, err
		}
		text, err := q.Message.text()
		if err != nil {
			return nil, err
		}
		return wechatpay.SignMessage(key, text)
	},
	// verify is true where the signature is that of the message.
	"verify": func(q question) (any, error) {
		key, err := wechatpay.ParsePublicKey([]byte(q.PublicKey))
		if err != nil {
			return nil, err
		}
		text, err := q.Message.text()
		if err != nil {
			return nil, err
		}
		return wechatpay.VerifyMessage(key, text, q.Signature) == nil, nil
	},
	// notification is the payment that a notification tells of.
	"notification": func(q question) (any, error) {
		key, err := wechatpay.ParsePrivateKey([]byte(q.PrivateKey))
		if err != nil {
			return nil, err
		}
		public, err := wechatpay.ParsePublicKey([]byte(q.PublicKey))
		if err != nil {
			return nil, err
		}
		apiv3, err := wechatpay.NewAPIv3Key(q.APIv3Key)
		if err != nil {
			return nil, err
		}
		client, err := wechatpay.NewClient(wechatpay.Config{MerchantID: q.MerchantID, CertificateSerial: q.Serial, PrivateKey: key,
			APIv3Key: apiv3, PublicKeyID: q.KeyID, PublicKey: public}, wechatpay.WithHTTPClient(offline))
		if err != nil {
			return nil, err
		}
		header := http.Header{}
		for k, v := range q.Header {
			header.Set(k, v)
		}
		n, err := client.ParseNotification(context.Background(), header, []byte(q.Body))
		if err != nil {
			return nil, err
		}
		t := n.Transaction
		if t == nil {
			return nil, fmt.Errorf("%s is no payment", n.EventType)
		}
		return map[string]any{"out_trade_no": t.OutTradeNo, "transaction_id": t.TransactionID, "state": t.TradeState,
			"total": int64(t.Amount.Total), "attach": t.Attach, "openid": t.PayerOpenID, "success_time": t.SuccessTime}, nil
	},
	// decrypt opens a resource.
	"decrypt": func(q question) (any, error) {
		key, err := wechatpay.NewAPIv3Key(q.APIv3Key)
		if err != nil {
			return nil, err
		}
		plain, err := key.Decrypt(q.Nonce, q.AssociatedData, q.Text)
		return string(plain), err
	},
	// encrypt_field and decrypt_field are for sensitive fields.
	"encrypt_field": func(q question) (any, error) {
		key, err := wechatpay.ParsePublicKey([]byte(q.PublicKey))
		if err != nil {
			return nil, err
		}
		return wechatpay.EncryptField(key, q.Text)
	},
	"decrypt_field": func(q question) (any, error) {
		key, err := wechatpay.ParsePrivateKey([]byte(q.PrivateKey))
		if err != nil {
			return nil, err
		}
		return wechatpay.DecryptField(key, q.Text)
	},
	// v2_sign is the signature of fields.
	"v2_sign": func(q question) (any, error) {
		c, err := q.credentialsV2()
		if err != nil {
			return nil, err
		}
		return c.Sign(q.fieldsV2())
	},
	// v2_pay is what the phone is given.
	"v2_pay": func(q question) (any, error) {
		c, err := q.credentialsV2()
		if err != nil {
			return nil, err
		}
		return c.PayParameters(q.AppID, q.PrepayID, time.Unix(q.Timestamp, 0), q.Nonce)
	},
	// v2_exchange sends fields to a WeChat Pay that answers with body. The result is the XML that was sent, and the fields
	// of the answer or why it was refused.
	"v2_exchange": func(q question) (any, error) {
		c, err := q.credentialsV2()
		if err != nil {
			return nil, err
		}
		w := &replay{answer: q.Body}
		client, err := apiv2.NewClient(apiv2.Config{MerchantID: q.MerchantID, AppID: q.AppID, Key: c.Key, SignType: c.SignType},
			apiv2.WithHTTPClient(&http.Client{Transport: w}))
		if err != nil {
			return nil, err
		}
		r, err := client.Do(context.Background(), "/pay/orderquery", q.fieldsV2())
		if err != nil {
			return map[string]any{"sent": w.sent, "refused": err.Error()}, nil
		}
		read := map[string]string{}
		for _, f := range r.Fields {
			read[f.Name] = f.Value
		}
		return map[string]any{"sent": w.sent, "read": read}, nil
	},
}

func (q question) credentialsV2() (apiv2.Credentials, error) {
	key, err := apiv2.NewKey(q.APIv2Key)
	return apiv2.Credentials{MerchantID: q.MerchantID, Key: key, SignType: apiv2.SignType(q.SignType)}, err
}

func (q question) fieldsV2() apiv2.Fields {
	var fields apiv2.Fields
	for name, value := range q.Fields {
		fields = append(fields, apiv2.Field{Name: name, Value: value})
	}
	return fields
}

// replay keeps what is sent and answers with what it was given.
type replay struct{ answer, sent string }

func (w *replay) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	w.sent = string(body)
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"text/xml"}},
		Body: io.NopCloser(strings.NewReader(w.answer)), ContentLength: int64(len(w.answer)), Request: r}, err
}

// offline refuses every request: nothing that is asked here needs a server.
var offline = &http.Client{Transport: noWire{}}

type noWire struct{}

func (noWire) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the witness has no network")
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		if err := out.Encode(answer(in.Bytes())); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := in.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer(line []byte) map[string]any {
	var q question
	err := json.Unmarshal(line, &q)
	var result any
	if err == nil {
		ask, known := answers[q.Do]
		if !known {
			err = fmt.Errorf("there is no question %q", q.Do)
		} else {
			result, err = ask(q)
		}
	}
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	return map[string]any{"result": result}
}
