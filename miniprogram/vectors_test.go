package miniprogram_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/miniprogram"
)

type openDataVectors struct {
	RawData []struct {
		RawData    string                 `json:"raw_data"`
		SessionKey miniprogram.SessionKey `json:"session_key"`
		Signature  string
	} `json:"raw_data"`
	EncryptedData []struct {
		AppID         string                 `json:"app_id"`
		SessionKey    miniprogram.SessionKey `json:"session_key"`
		IV            string
		EncryptedData string `json:"encrypted_data"`
		Plaintext     string
		Timestamp     int64
	} `json:"encrypted_data"`
	SessionSignature []struct {
		Message    string
		SessionKey miniprogram.SessionKey `json:"session_key"`
		Signature  string
	} `json:"session_signature"`
	CheckedData []struct {
		EncryptedData string `json:"encrypted_data"`
		SHA256        string
	} `json:"checked_data"`
}

type pushVectors struct {
	URLCheck []struct {
		Token                       miniprogram.Secret
		Timestamp, Nonce, Signature string
	} `json:"url_check"`
	Secure []pushVector
	Reply  []pushVector
}

type pushVector struct {
	Token                               miniprogram.Secret
	EncodingAESKey                      miniprogram.Secret `json:"encoding_aes_key"`
	AppID                               string             `json:"app_id"`
	Timestamp, Nonce, Signature, Random string
	MsgSignature                        string `json:"msg_signature"`
	Encrypt, Message                    string
}

func (v pushVector) config() miniprogram.ReceiverConfig {
	return miniprogram.ReceiverConfig{
		AppID: v.AppID, Token: v.Token, EncodingAESKey: v.EncodingAESKey, Clock: func() time.Time { return seconds(v.Timestamp) },
	}
}

// query is that of the request which the example is about.
func (v pushVector) query() url.Values {
	return url.Values{
		"signature": {v.Signature}, "timestamp": {v.Timestamp}, "nonce": {v.Nonce}, "openid": {"o9AgO5Kd5ggOC-bXrbNODIiE3bGY"},
		"encrypt_type": {"aes"}, "msg_signature": {v.MsgSignature},
	}
}

func seconds(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return time.Unix(n, 0)
}

func readVectors(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func TestOpenDataOfTheManual(t *testing.T) {
	t.Parallel()
	var v openDataVectors
	readVectors(t, "miniprogram_opendata.json", &v)
	if len(v.RawData) == 0 || len(v.EncryptedData) == 0 || len(v.SessionSignature) == 0 || len(v.CheckedData) == 0 {
		t.Fatal("the file lacks examples")
	}
	for _, x := range v.RawData {
		if !miniprogram.CheckSignature(x.RawData, x.SessionKey, x.Signature) {
			t.Errorf("the signature %s is not accepted", x.Signature)
		}
		for name, wrong := range map[string]bool{
			"other data":  miniprogram.CheckSignature(x.RawData+" ", x.SessionKey, x.Signature),
			"other key":   miniprogram.CheckSignature(x.RawData, x.SessionKey[1:], x.Signature),
			"no key":      miniprogram.CheckSignature(x.RawData+string(x.SessionKey), "", x.Signature),
			"upper case":  miniprogram.CheckSignature(x.RawData, x.SessionKey, strings.ToUpper(x.Signature)),
			"a part":      miniprogram.CheckSignature(x.RawData, x.SessionKey, x.Signature[:39]),
			"none at all": miniprogram.CheckSignature(x.RawData, x.SessionKey, ""),
		} {
			if wrong {
				t.Errorf("%s: the signature is accepted", name)
			}
		}
	}
	for _, x := range v.EncryptedData {
		at := time.Unix(x.Timestamp, 0).UTC()
		c, err := miniprogram.NewClient(miniprogram.Config{AppID: x.AppID, Secret: secret}, miniprogram.WithClock(func() time.Time { return at }))
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.DecryptData(x.SessionKey, miniprogram.EncryptedData{Data: x.EncryptedData, IV: x.IV})
		if err != nil || string(got.JSON) != x.Plaintext || !got.At.Equal(at) {
			t.Errorf("DecryptData = %s, %v, %v; want %s", got.JSON, got.At, err, x.Plaintext)
		}
	}
	for _, x := range v.SessionSignature {
		if got := miniprogram.SessionSignature(x.SessionKey, []byte(x.Message)); got != x.Signature {
			t.Errorf("the signature of %s is %s, want %s", x.Message, got, x.Signature)
		}
	}
	for _, x := range v.CheckedData {
		if got := miniprogram.DataHash(x.EncryptedData); got != x.SHA256 {
			t.Errorf("the hash is %s, want %s", got, x.SHA256)
		}
	}
}

func TestPushesOfTheManual(t *testing.T) {
	t.Parallel()
	var v pushVectors
	readVectors(t, "miniprogram_push.json", &v)
	if len(v.URLCheck) != 2 || len(v.Secure) == 0 || len(v.Reply) == 0 {
		t.Fatal("the file lacks examples")
	}
	for _, x := range v.URLCheck {
		r := newReceiver(t, miniprogram.ReceiverConfig{AppID: appID, Token: x.Token, Clock: func() time.Time { return seconds(x.Timestamp) }}, nil)
		query := url.Values{"signature": {x.Signature}, "timestamp": {x.Timestamp}, "nonce": {x.Nonce}, "echostr": {"4375120948345356249"}}
		if got, err := r.CheckURL(query); err != nil || got != "4375120948345356249" {
			t.Errorf("CheckURL = %q, %v", got, err)
		}
		query.Set("nonce", x.Nonce+"0")
		if got, err := r.CheckURL(query); !errors.Is(err, miniprogram.ErrBadSignature) || got != "" {
			t.Errorf("with another nonce: CheckURL = %q, %v", got, err)
		}
	}
	for _, x := range v.Secure {
		r := newReceiver(t, x.config(), nil)
		body := `{"ToUserName":"gh_97417a04a28d","Encrypt":"` + x.Encrypt + `"}`
		p, err := r.Parse(x.query(), []byte(body))
		if err != nil || string(p.Raw) != x.Message || p.EventName != "debug_demo" || p.MsgType != "event" || p.Event != nil ||
			p.Fields["debug_str"] != "hello world" || p.FromUserName != "o9AgO5Kd5ggOC-bXrbNODIiE3bGY" || !p.CreatedAt.Equal(seconds(x.Timestamp)) {
			t.Errorf("Parse = %+v, %v", p, err)
		}
		if got := r.Seal([]byte(x.Message), []byte(x.Random)); got != x.Encrypt {
			t.Errorf("the message encrypted again is %s, want %s", got, x.Encrypt)
		}
		if got := miniprogram.Sign(x.Token, x.Timestamp, x.Nonce); got != x.Signature {
			t.Errorf("signature %s, want %s", got, x.Signature)
		}
	}
	for _, x := range v.Reply {
		r := newReceiver(t, x.config(), nil)
		for _, asJSON := range []bool{true, false} {
			got, err := r.ReplyTo([]byte(x.Message), []byte(x.Random), seconds(x.Timestamp), x.Nonce, asJSON)
			want := `{"Encrypt":"` + x.Encrypt + `","MsgSignature":"` + x.MsgSignature + `","TimeStamp":` + x.Timestamp + `,"Nonce":"` + x.Nonce + `"}`
			if !asJSON {
				want = "<xml><Encrypt>" + x.Encrypt + "</Encrypt><MsgSignature>" + x.MsgSignature + "</MsgSignature><TimeStamp>" + x.Timestamp +
					"</TimeStamp><Nonce>" + x.Nonce + "</Nonce></xml>"
			}
			if err != nil || string(got) != want {
				t.Errorf("the reply is %s, %v; want %s", got, err, want)
			}
		}
		if got, err := r.Open(x.Encrypt); err != nil || string(got) != x.Message {
			t.Errorf("Open = %s, %v; want %s", got, err, x.Message)
		}
	}
}
