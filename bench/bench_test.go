package bench

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The merchant of all benchmarks. Keys are made at the start and are nobody's.
const (
	appID      = "wx2421b1c4370ec43b"
	merchantID = "1554208460"
	serial     = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
	publicID   = "PUB_KEY_ID_0100000000000000000000000001"
	apiv3Key   = "0123456789abcdef0123456789abcdef"
	apiv2Key   = "192006250b4c09247ec02edce69f6a2d"
	openID     = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"

	number        = "1217752501201407033233368018"
	transactionID = "4200000001202611200000000001"
	description   = "咖啡 - 大杯"
	notifyURL     = "https://pay.example.com/notify/wechat/1"
	clientIP      = "14.23.150.211"
	prepayID      = "wx201410272009395522657a690389285100"
	total         = 1999
)

var (
	merchantKey = newKey()
	platformKey = newKey()

	merchantPEM = func() string {
		der, err := x509.MarshalPKCS8PrivateKey(merchantKey)
		if err != nil {
			panic(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}()
	platformPEM = func() []byte {
		der, err := x509.MarshalPKIXPublicKey(&platformKey.PublicKey)
		if err != nil {
			panic(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}()
)

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

// message is an answer or a notification, as it comes over the wire.
type message struct {
	header http.Header
	body   []byte
}

// signed signs a message of API v3 as WeChat Pay does. It is fresh for five minutes, which is more than a run takes.
func signed(body string) message {
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()
	digest := sha256.Sum256([]byte(timestamp + "\n" + nonce + "\n" + body + "\n"))
	signature, err := rsa.SignPKCS1v15(nil, platformKey, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	h := http.Header{}
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	h.Set("Request-Id", "08F78BB5AF0610D302")
	h.Set("Wechatpay-Timestamp", timestamp)
	h.Set("Wechatpay-Nonce", nonce)
	h.Set("Wechatpay-Serial", publicID)
	h.Set("Wechatpay-Signature", base64.StdEncoding.EncodeToString(signature))
	h.Set("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048")
	return message{h, []byte(body)}
}

// v3Notification is a payment notification of API v3.
func v3Notification() message {
	const plain = `{"mchid":"` + merchantID + `","appid":"` + appID + `","out_trade_no":"` + number + `","transaction_id":"` + transactionID + `",` +
		`"trade_type":"JSAPI","trade_state":"SUCCESS","trade_state_desc":"支付成功","bank_type":"CMB_DEBIT","attach":"table=7",` +
		`"success_time":"2026-11-20T16:00:00+08:00","payer":{"openid":"` + openID + `"},` +
		`"amount":{"total":1999,"payer_total":1999,"currency":"CNY","payer_currency":"CNY"}}`
	block, err := aes.NewCipher([]byte(apiv3Key))
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	const nonce = "fdasflkja484"
	sealed := base64.StdEncoding.EncodeToString(gcm.Seal(nil, []byte(nonce), []byte(plain), []byte("transaction")))
	return signed(`{"id":"3119dfba-e649-5eec-ab1e-3412bc4d2e17","create_time":"2026-11-20T16:00:01+08:00","resource_type":"encrypt-resource",` +
		`"event_type":"TRANSACTION.SUCCESS","summary":"支付成功","resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM",` +
		`"ciphertext":"` + sealed + `","associated_data":"transaction","nonce":"` + nonce + `"}}`)
}

// v2Message is XML of API v2, signed with MD5, every value in CDATA as WeChat Pay writes it.
func v2Message(fields ...string) []byte {
	var pairs []string
	var body strings.Builder
	body.WriteString("<xml>")
	for i := 0; i < len(fields); i += 2 {
		pairs = append(pairs, fields[i]+"="+fields[i+1])
		body.WriteString("<" + fields[i] + "><![CDATA[" + fields[i+1] + "]]></" + fields[i] + ">\n")
	}
	slices.Sort(pairs)
	sum := md5.Sum([]byte(strings.Join(pairs, "&") + "&key=" + apiv2Key))
	body.WriteString("<sign><![CDATA[" + strings.ToUpper(hex.EncodeToString(sum[:])) + "]]></sign></xml>")
	return []byte(body.String())
}

// v2Answer is the answer of /pay/unifiedorder.
func v2Answer() message {
	h := http.Header{}
	h.Set("Content-Type", "text/plain")
	return message{h, v2Message("return_code", "SUCCESS", "return_msg", "OK", "appid", appID, "mch_id", merchantID, "nonce_str", "IITRi8Iabbblz1Jc",
		"result_code", "SUCCESS", "prepay_id", prepayID, "trade_type", "JSAPI")}
}

// v2Notification is a payment notification of API v2.
func v2Notification() message {
	return message{http.Header{"Content-Type": {"text/xml"}}, v2Message("appid", appID, "attach", "table=7", "bank_type", "CMB_DEBIT", "cash_fee", "1999",
		"fee_type", "CNY", "is_subscribe", "N", "mch_id", merchantID, "nonce_str", "5d2b6c2a8db53831f7eda20af46e531c", "openid", openID,
		"out_trade_no", number, "result_code", "SUCCESS", "return_code", "SUCCESS", "time_end", "20261120160000", "total_fee", "1999",
		"trade_type", "JSAPI", "transaction_id", transactionID)}
}

// wire answers every request with the same message, without a network.
type wire struct{ answer message }

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.answer.header.Clone(), Body: io.NopCloser(bytes.NewReader(w.answer.body)), ContentLength: int64(len(w.answer.body)), Request: r}, nil
}

// request is a notification as a server's handler gets it.
func (m message) request() *http.Request {
	return &http.Request{Method: http.MethodPost, Header: m.header, ContentLength: int64(len(m.body)), Body: io.NopCloser(bytes.NewReader(m.body))}
}

// measure runs f, which returns what it read, and fails where that is not want: what is fast and wrong doesn't count.
func measure(b *testing.B, name, want string, f func() (string, error)) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		before := cpuTime()
		for b.Loop() {
			got, err := f()
			if err != nil {
				b.Fatal(err)
			}
			if got != want {
				b.Fatalf("read %q, want %q", got, want)
			}
		}
		b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	})
}
