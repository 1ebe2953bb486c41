package wechatpay_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
)

type signVectors struct {
	MerchantID        string `json:"merchant_id"`
	CertificateSerial string `json:"certificate_serial"`
	Timestamp         int64
	Nonce             string
	Requests          []struct{ Name, Method, Target, Body, Signature string }
	Client            []struct {
		Name, Signature string
		AppID           string `json:"app_id"`
		LastLine        string `json:"last_line"`
	}
	OAEP struct{ Plaintext, Ciphertext string }
}

func TestSignsAsTheManualDoes(t *testing.T) {
	t.Parallel()
	var v signVectors
	readVector("v3-sign.json", &v)
	at := time.Unix(v.Timestamp, 0)
	credentials := wechatpay.Credentials{MerchantID: v.MerchantID, CertificateSerial: v.CertificateSerial, PrivateKey: merchantKey()}

	if len(v.Requests) != 5 || len(v.Client) != 2 {
		t.Fatalf("%d requests and %d client parameters, want 5 and 2", len(v.Requests), len(v.Client))
	}
	for _, r := range v.Requests {
		got, err := credentials.Authorization(r.Method, r.Target, []byte(r.Body), at, v.Nonce)
		want := `WECHATPAY2-SHA256-RSA2048 mchid="1900007291",nonce_str="593BEC0C930BF1AFEB40B4A08C8FB242",signature="` + r.Signature +
			`",timestamp="1554208460",serial_no="408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB"`
		if err != nil || got != want {
			t.Errorf("%s: Authorization = %s, %v; want %s", r.Name, got, err, want)
		}
	}
	for _, c := range v.Client {
		got, err := wechatpay.SignMessage(merchantKey(), wechatpay.PayMessage(c.AppID, at, v.Nonce, c.LastLine))
		if err != nil || got != c.Signature {
			t.Errorf("%s: signature = %s, %v; want %s", c.Name, got, err, c.Signature)
		}
		prepayID, mini := strings.CutPrefix(c.LastLine, "prepay_id=")
		if !mini {
			continue
		}
		p, err := credentials.PayParameters(c.AppID, prepayID, at, v.Nonce)
		want := wechatpay.PayParameters{AppID: c.AppID, TimeStamp: "1554208460", NonceStr: v.Nonce, Package: c.LastLine, SignType: "RSA", PaySign: c.Signature}
		if err != nil || p != want {
			t.Errorf("%s: PayParameters = %+v, %v; want %+v", c.Name, p, err, want)
		}
	}
	if got, err := wechatpay.DecryptField(merchantKey(), v.OAEP.Ciphertext); err != nil || got != v.OAEP.Plaintext || got == "" {
		t.Errorf("DecryptField = %q, %v; want %q", got, err, v.OAEP.Plaintext)
	}
}

func TestFieldsReturnFromEncryption(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{"", "张三", strings.Repeat("x", 214)} {
		sealed, err := wechatpay.EncryptField(&merchantKey().PublicKey, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := wechatpay.DecryptField(merchantKey(), sealed); err != nil || got != plain {
			t.Errorf("DecryptField = %q, %v; want %q", got, err, plain)
		}
		if got, err := wechatpay.DecryptField(platformKeyA(), sealed); err == nil {
			t.Errorf("another key decrypted it to %q", got)
		}
	}
	if _, err := wechatpay.EncryptField(&merchantKey().PublicKey, strings.Repeat("x", 215)); err == nil {
		t.Error("215 bytes were encrypted")
	}
}

func TestVerifiesWhatWeChatPaySigned(t *testing.T) {
	t.Parallel()
	var v struct {
		Vectors []struct {
			Name, Timestamp, Nonce, Body, Signature, Certificate, Serial string

			PublicKey string `json:"public_key"`
			WrongBody string `json:"wrong_body"`
		}
	}
	readVector("v3-verify.json", &v)
	if len(v.Vectors) != 2 {
		t.Fatalf("%d vectors, want 2", len(v.Vectors))
	}
	r1, r2 := v.Vectors[0], v.Vectors[1]

	key, err := wechatpay.ParsePublicKey([]byte(r1.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if err := wechatpay.VerifyMessage(key, wechatpay.ResponseMessage(r1.Timestamp, r1.Nonce, []byte(r1.Body)), r1.Signature); err != nil {
		t.Errorf("R-1: %v", err)
	}

	// R-2 through the whole verifier, at the time it was made.
	cert, err := wechatpay.ParseCertificate([]byte(r2.Certificate))
	if err != nil {
		t.Fatal(err)
	}
	if got := wechatpay.CertificateSerial(cert); got != r2.Serial {
		t.Errorf("R-2: serial %s, want %s", got, r2.Serial)
	}
	for _, c := range []struct {
		body string
		want error
	}{{r2.Body, wechatpay.ErrBadMessage}, {r2.WrongBody, wechatpay.ErrBadSignature}} {
		client, err := wechatpay.NewClient(config(), wechatpay.WithPlatformCertificates(cert),
			wechatpay.WithClock(func() time.Time { return time.Unix(1626444144, 0) }))
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{"Wechatpay-Timestamp": {r2.Timestamp}, "Wechatpay-Nonce": {r2.Nonce}, "Wechatpay-Serial": {r2.Serial}, "Wechatpay-Signature": {r2.Signature}}
		// It is the answer to an order: as a notification it is genuine and can't be read.
		if _, err := client.ParseNotification(context.Background(), header, []byte(c.body)); !errors.Is(err, c.want) {
			t.Errorf("R-2 with %s: %v, want %v", c.body, err, c.want)
		}
	}
}

func TestTheTestKeyOfWechatpayGo(t *testing.T) {
	t.Parallel()
	var v struct {
		Sign   []struct{ Message, Signature string }
		AESGCM []struct {
			Key, Nonce, Ciphertext, Plaintext string
			AssociatedData                    string `json:"associated_data"`
		} `json:"aes_gcm"`
		Authorization []struct {
			Method, Target, Nonce, Body string
			Timestamp                   int64
			MessageEnds                 string `json:"message_ends"`
		}
		Notification struct {
			Headers                    map[string]string
			Body, Key, Nonce, Plain    string
			AssociatedData, Ciphertext string
			Plaintext                  string
		}
	}
	readVector("v3-testkey.json", &v)
	if len(v.Sign) != 1 || len(v.AESGCM) != 1 || len(v.Authorization) != 1 || v.Notification.Body == "" {
		t.Fatal("v3-testkey.json lacks a vector")
	}
	if got, err := wechatpay.SignMessage(platformKeyA(), []byte(v.Sign[0].Message)); err != nil || got != v.Sign[0].Signature {
		t.Errorf("G-1: %s, %v", got, err)
	}
	g2 := v.AESGCM[0]
	if got, err := wechatpay.OpenGCM([]byte(g2.Key), g2.Nonce, g2.AssociatedData, g2.Ciphertext); err != nil || string(got) != g2.Plaintext {
		t.Errorf("G-2: %q, %v", got, err)
	}
	if _, err := wechatpay.NewAPIv3Key(g2.Key); err == nil {
		t.Error("G-2: a key of 16 bytes is taken for an APIv3 key")
	}
	g3 := v.Authorization[0]
	message := wechatpay.RequestMessage(g3.Method, g3.Target, []byte(g3.Body), time.Unix(g3.Timestamp, 0), g3.Nonce)
	if !strings.HasSuffix(string(message), g3.MessageEnds) || string(message) != "POST\n/v3/certificates\n1624523846\nA1B2C3D4E5F6G7\nHello World!\n\n" {
		t.Errorf("G-3: %q", message)
	}

	g4 := v.Notification
	header := http.Header{}
	for k, v := range g4.Headers {
		header.Set(k, v)
	}
	at := time.Unix(1624523846, 0)
	cert := certificate(platformKeyA(), header.Get("Wechatpay-Serial"), at.AddDate(-1, 0, 0), at.AddDate(1, 0, 0))
	client, err := wechatpay.NewClient(config(), wechatpay.WithPlatformCertificates(cert), wechatpay.WithClock(func() time.Time { return at }))
	if err != nil {
		t.Fatal(err)
	}
	// The signature is right, and the APIv3 key that we can configure is not the one of 16 bytes.
	if _, err := client.ParseNotification(context.Background(), header, []byte(g4.Body)); !errors.Is(err, wechatpay.ErrBadMessage) {
		t.Errorf("G-4: %v, want %v", err, wechatpay.ErrBadMessage)
	}
	var envelope struct {
		Resource struct {
			Ciphertext, Nonce string
			AssociatedData    string `json:"associated_data"`
		} `json:"resource"`
	}
	if err := json.Unmarshal([]byte(g4.Body), &envelope); err != nil {
		t.Fatal(err)
	}
	r := envelope.Resource
	if got, err := wechatpay.OpenGCM([]byte(g4.Key), r.Nonce, r.AssociatedData, r.Ciphertext); err != nil || string(got) != g4.Plaintext {
		t.Errorf("G-4: %q, %v; want %q", got, err, g4.Plaintext)
	}
}

func TestDecryptsPublishedResources(t *testing.T) {
	t.Parallel()
	var v struct {
		Vectors []struct {
			Name, Key, Nonce, Plaintext, Ciphertext string

			AssociatedData   string `json:"associated_data"`
			CiphertextSHA256 string `json:"ciphertext_sha256"`
		}
	}
	readVector("v3-aes-gcm.json", &v)
	if len(v.Vectors) != 3 {
		t.Fatalf("%d vectors, want 3", len(v.Vectors))
	}
	for _, a := range v.Vectors {
		if sum := sha256.Sum256([]byte(a.Ciphertext)); a.CiphertextSHA256 != "" && hex.EncodeToString(sum[:]) != a.CiphertextSHA256 {
			t.Errorf("%s: the file was altered", a.Name)
		}
		key, err := wechatpay.NewAPIv3Key(a.Key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := key.Decrypt(a.Nonce, a.AssociatedData, a.Ciphertext); err != nil || string(got) != a.Plaintext {
			t.Errorf("%s: %q, %v", a.Name, got, err)
		}
	}
	paid, err := wechatpay.ParseTransaction([]byte(v.Vectors[1].Plaintext))
	if err != nil {
		t.Fatal(err)
	}
	want := wechatpay.Amount{Total: 100, PayerTotal: 100, Currency: "CNY", PayerCurrency: "CNY"}
	if paid.Amount != want || paid.TradeState != wechatpay.TradeSuccess || paid.PayerOpenID != "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o" ||
		!paid.SuccessTime.Equal(time.Date(2018, 6, 8, 2, 34, 56, 0, time.UTC)) || paid.SuccessTime.Location() != time.UTC ||
		paid.DeviceID != "013467007045764" || len(paid.PromotionDetail) != 2 || paid.PromotionDetail[1].Goods[1].Remark != "商品备注信息" {
		t.Errorf("A-2 reads as %+v", paid)
	}
}
