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
	"net/http"
	"os"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
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

	Message   message `json:"message"`
	Signature string  `json:"signature"`

	Header map[string]string `json:"header"`
	Body   string            `json:"body"`

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
