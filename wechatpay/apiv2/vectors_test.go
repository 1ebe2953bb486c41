package apiv2_test

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

type signVector struct {
	Name, Key, Sign string
	Parameters      map[string]string
	SignType        apiv2.SignType `json:"sign_type"`
	WrongSign       string         `json:"wrong_sign"`
	MD5Of           string         `json:"md5_of"`
	MD5             string         `json:"md5"`
}

func signVectors(t *testing.T) map[string]signVector {
	t.Helper()
	var v struct{ Vectors []signVector }
	readVector("v2-sign.json", &v)
	all := map[string]signVector{}
	for _, x := range v.Vectors {
		all[x.Name] = x
	}
	if len(all) != 10 {
		t.Fatalf("%d vectors, want 10", len(all))
	}
	return all
}

func fieldsOf(parameters map[string]string) apiv2.Fields {
	var f apiv2.Fields
	for k, v := range parameters {
		f = append(f, apiv2.Field{Name: k, Value: v})
	}
	return f
}

func TestSignsAsTheManualDoes(t *testing.T) {
	t.Parallel()
	signs, refusals, digests := 0, 0, 0
	for name, v := range signVectors(t) {
		sorted := fieldsOf(v.Parameters)
		if err := apiv2.CheckFields(sorted); err != nil {
			t.Fatal(err)
		}
		switch {
		case v.MD5Of != "":
			digests++
			if sum := md5.Sum([]byte(v.MD5Of)); hex.EncodeToString(sum[:]) != v.MD5 {
				t.Errorf("%s: the file was altered", name)
			}
		case v.WrongSign != "":
			refusals++
			if got := apiv2.Signature(v.SignType, v.Key, sorted); got == v.WrongSign {
				t.Errorf("%s: the empty value was signed", name)
			}
		default:
			signs++
			if got := apiv2.Signature(v.SignType, v.Key, sorted); got != v.Sign {
				t.Errorf("%s: sign = %s, want %s", name, got, v.Sign)
			}
			if len(v.Key) != 32 {
				continue
			}
			c := apiv2.Credentials{Key: mustKey(v.Key), SignType: v.SignType}
			if got, err := c.Sign(fieldsOf(v.Parameters)); err != nil || got != v.Sign {
				t.Errorf("%s: Sign = %s, %v, want %s", name, got, err, v.Sign)
			}
		}
	}
	if signs != 7 || refusals != 1 || digests != 2 {
		t.Errorf("%d signs, %d refusals, %d digests", signs, refusals, digests)
	}
	// V2-9 and V2-10 of our own: the key of a refund notification, and the signature of nothing.
	if v := signVectors(t)["V2-9"]; string(apiv2.RefundKey(v.MD5Of)) != v.MD5 {
		t.Errorf("V2-9: %s, want %s", apiv2.RefundKey(v.MD5Of), v.MD5)
	}
	if got, want := apiv2.Signature(apiv2.MD5, "exposed_your_key_here_have_risks", nil), "B3D43C8390F26E2030D4D17BD580FBC8"; got != want {
		t.Errorf("V2-10: %s, want %s", got, want)
	}
}

func TestPayParametersAreThoseOfTheManual(t *testing.T) {
	t.Parallel()
	v := signVectors(t)["V2-3"]
	seconds, err := strconv.ParseInt(v.Parameters["timeStamp"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	c := apiv2.Credentials{MerchantID: merchantID, Key: mustKey(v.Key), SignType: v.SignType}
	got, err := c.PayParameters(v.Parameters["appId"], "wx2017033010242291fcfe0db70013231072", time.Unix(seconds, 0), v.Parameters["nonceStr"])
	want := apiv2.PayParameters{
		AppID: v.Parameters["appId"], TimeStamp: v.Parameters["timeStamp"], NonceStr: v.Parameters["nonceStr"],
		Package: v.Parameters["package"], SignType: "MD5", PaySign: v.Sign,
	}
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

// V2-7 is a genuine answer to a query. Its merchant and key go through the whole reader, and as a notification as well.
func TestReadsAGenuineAnswer(t *testing.T) {
	t.Parallel()
	v := signVectors(t)["V2-7"]
	client := listening(t, apiv2.Config{MerchantID: v.Parameters["mch_id"], AppID: v.Parameters["appid"], Key: mustKey(v.Key), SignType: apiv2.MD5})
	body := []byte(m(v.Parameters).with(m{"sign": v.Sign}).xml() + "\n")
	f, err := client.ReadAnswer(200, body)
	if err != nil || f.Get("out_trade_no") != "SyVcLyh_z" {
		t.Errorf("V2-7: %v, %v", f, err)
	}
	got, err := client.ParsePayment(body)
	if err != nil {
		t.Fatal(err)
	}
	if got.TransactionID != "4200000065201803063807324676" || got.TradeState != apiv2.TradeSuccess || got.Amount.Total != 1 ||
		!got.SuccessTime.Equal(time.Date(2018, 3, 6, 10, 0, 2, 0, time.UTC)) || got.SuccessTime.Location() != time.UTC {
		t.Errorf("V2-7 reads as %+v", got)
	}
	wrong := signVectors(t)["V2-8"].WrongSign
	if _, err := client.ParsePayment([]byte(m(v.Parameters).with(m{"sign": wrong}).xml())); !errors.Is(err, apiv2.ErrBadSignature) {
		t.Errorf("V2-8: %v", err)
	}
}

func TestDecryptsPublishedRefunds(t *testing.T) {
	t.Parallel()
	var v struct {
		Vectors []struct {
			Name, Ciphertext, Plaintext string
			APIKey                      string `json:"api_key"`
			AESKey                      string `json:"aes_key"`
			Fields                      map[string]string
		}
	}
	readVector("v2-req-info.json", &v)
	if len(v.Vectors) != 3 {
		t.Fatalf("%d vectors, want 3", len(v.Vectors))
	}
	for _, e := range v.Vectors {
		if got, err := apiv2.OpenECB([]byte(e.AESKey), e.Ciphertext); err != nil || string(got) != e.Plaintext {
			t.Errorf("%s: %q, %v", e.Name, got, err)
		}
		if e.APIKey == "" {
			continue
		}
		if got := string(apiv2.RefundKey(e.APIKey)); got != e.AESKey {
			t.Errorf("%s: the key is %s, want %s", e.Name, got, e.AESKey)
		}
		client := listening(t, apiv2.Config{MerchantID: merchantID, Key: mustKey(e.APIKey)})
		body := m{"return_code": "SUCCESS", "appid": appID, "mch_id": merchantID, "nonce_str": "x", "req_info": e.Ciphertext}.xml()
		got, err := client.ParseRefundHint([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		want := apiv2.RefundHint{
			AppID: appID, MerchantID: merchantID, TransactionID: e.Fields["transaction_id"], OutTradeNo: e.Fields["out_trade_no"],
			RefundID: e.Fields["refund_id"], OutRefundNo: "1234", State: apiv2.RefundSuccess, SuccessTime: time.Date(2020, 1, 4, 10, 34, 24, 0, time.UTC),
			UserReceivedAccount: "招商银行信用卡8915", FundsAccount: apiv2.RechargeFunds, RequestSource: "API",
			Amount: apiv2.RefundAmount{Total: 1, SettlementTotal: 1, Refund: 1, SettlementRefund: 1, Currency: "CNY"},
		}
		if *got != want {
			t.Errorf("%s reads as %+v, want %+v", e.Name, *got, want)
		}
	}
	// The keys of E-2 and E-3, of which no more is published.
	for key, want := range map[string]string{
		"ziR0QKsTUfMOuochC9RfCdmfHECorQAP": "a1fdc4d1da9fb443b1091d34bcee9493",
		"1234567890abcdef1234567890abcdef": "24cc2089ec57ab0b8fa883e360598865",
	} {
		if got := string(apiv2.RefundKey(key)); got != want {
			t.Errorf("the key for %s is %s, want %s", key, got, want)
		}
	}
}
