package diagnose

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay"
	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// readVector fills v from a file of published examples.
func readVector(name string, v any) {
	data, err := os.ReadFile("../../testdata/vectors/" + name)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		panic(err)
	}
}

func publishedKey(file string) *rsa.PrivateKey {
	var v struct {
		PrivateKey string `json:"private_key"`
	}
	readVector(file, &v)
	key, err := wechatpay.ParsePrivateKey([]byte(strings.ReplaceAll(v.PrivateKey, "TESTING KEY", "PRIVATE KEY")))
	if err != nil {
		panic(err)
	}
	return key
}

var (
	merchantKey = sync.OnceValue(func() *rsa.PrivateKey { return publishedKey("v3-sign.json") })
	platformKey = sync.OnceValue(func() *rsa.PrivateKey { return publishedKey("v3-testkey.json") })
	anotherKey  = sync.OnceValue(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return key
	})
)

// certificate returns the Key of a certificate of that name.
func certificate(name, commonName string, key *rsa.PrivateKey, serial int64) Key {
	// 40 digits, the first of which is not 0
	number := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(0x5F), 152), big.NewInt(serial))
	template := x509.Certificate{SerialNumber: number, Subject: pkix.Name{CommonName: commonName},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	k, err := ParseKey(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "")
	if err != nil {
		panic(err)
	}
	return k
}

const (
	mchid = "1900007291"
	nonce = "593BEC0C930BF1AFEB40B4A08C8FB242"
	at    = 1554208460
)

var (
	platformCert = sync.OnceValue(func() Key { return certificate("wechatpay.pem", "Tenpay.com sign", platformKey(), 1) })
	anotherCert  = sync.OnceValue(func() Key { return certificate("wechatpay_old.pem", "Tenpay.com sign", anotherKey(), 2) })
	merchantCert = sync.OnceValue(func() Key { return certificate("apiclient_cert.pem", mchid, merchantKey(), 3) })
)

func sign(key *rsa.PrivateKey, message string) string {
	s, err := wechatpay.SignMessage(key, []byte(message))
	if err != nil {
		panic(err)
	}
	return s
}

// notification is a body as WeChat Pay sends it, with all that encoders treat differently.
const notification = `{"id":"EV-2018022511223320873","create_time":"2015-05-20T13:29:35+08:00","resource_type":"encrypt-resource",` +
	`"event_type":"TRANSACTION.SUCCESS","summary":"支付成功","resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM",` +
	`"ciphertext":"fSBb/aQ+0Y7vzk3+rb2d2Zz9v9i+Ng==","associated_data":"","nonce":"fdasflkja484"}}`

const prepay = `{"url":"https://wx.tenpay.com/a?prepay_id=1&package=2","name":"Image形象店","empty":"","total":1}`

// genuine is a message that verifies, with body signed by WeChat Pay.
func genuine(body string) Message {
	t := fmt.Sprint(at)
	h := http.Header{}
	h.Set("Wechatpay-Timestamp", t)
	h.Set("Wechatpay-Nonce", nonce)
	h.Set("Wechatpay-Serial", platformCert().ID)
	h.Set("Wechatpay-Signature", sign(platformKey(), lines([]string{t, nonce, body})))
	return Message{Header: h, Body: []byte(body), Keys: []Key{platformCert()}, At: time.Unix(at+12, 0)}
}

// received is genuine where the receiver made body of signed.
func received(signed, body string) Message {
	m := genuine(signed)
	m.Body = []byte(body)
	return m
}

func (m Message) with(name, value string) Message {
	m.Header.Set("Wechatpay-"+name, value)
	return m
}

func (m Message) keys(k ...Key) Message {
	m.Keys = k
	return m
}

func (m Message) signature() string { return m.Header.Get("Wechatpay-Signature") }

const (
	post   = "/v3/pay/transactions/jsapi"
	query  = "/v3/pay/transactions/out-trade-no/A1?mchid=1900007291&note=a%20b%7Cc"
	upload = "--x\r\nContent-Disposition: form-data; name=\"meta\"\r\nContent-Type: application/json\r\n\r\n" +
		`{"filename":"a.png"}` + "\r\n--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nPNG\r\n--x--\r\n"
)

func authorization(message, timestamp, serial string) string {
	return fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="%s",nonce_str="%s",signature="%s",timestamp="%s",serial_no="%s"`,
		mchid, nonce, sign(merchantKey(), message), timestamp, serial)
}

// sent is a request whose signature is of message.
func sent(method, target, body, message string) Request {
	return Request{Method: method, Target: target, Body: []byte(body), Keys: []Key{merchantCert()}, At: time.Unix(at, 0),
		Authorization: authorization(message, fmt.Sprint(at), merchantCert().ID)}
}

// order is a request whose text has the given parts instead of those sent: method, target, timestamp, nonce, body.
func order(method, target, timestamp, body string) string {
	return lines([]string{method, target, timestamp, nonce, body})
}

const orderBody = `{"mchid":"1900007291","description":"Image形象店","notify_url":"https://a.cn/n","amount":{"total":100}}`

func (q Request) authorized(value string) Request {
	q.Authorization = value
	return q
}

type secret string

func (s secret) Reveal() string { return string(s) }

const apiKey = "8934e7d15453e97507ef794cf7b0519d"

// v2 is a form whose signature is of signed, which is complete with its &key=.
func v2(signed string, fields ...string) Form { return form(signed, apiv2.MD5, fields...) }

func form(signed string, t apiv2.SignType, fields ...string) Form {
	f := Form{Key: secret(apiKey)}
	for _, p := range fields {
		name, value, _ := strings.Cut(p, "=")
		f.Fields = append(f.Fields, apiv2.Field{Name: name, Value: value})
	}
	f.Fields = append(f.Fields, apiv2.Field{Name: "sign", Value: hash(t, signed, apiKey)})
	return f
}

func (f Form) expecting(t apiv2.SignType) Form {
	f.SignType = t
	return f
}

func (f Form) signedAs(value string) Form {
	f.Fields[len(f.Fields)-1].Value = value
	return f
}

// pythonic is the text of Python's json.dumps.
var pythonic = strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(prepay)

// mistakes are all that a report can name: each is made here, on a signature that would verify without it.
var mistakes = []struct {
	name   string
	report func() Report
	want   []Code
}{
	// The body of an answer or a notification.
	{"a line feed at the end", func() Report { return received(prepay, prepay+"\n").Diagnose() }, []Code{NewlineAdded}},
	{"CRLF at the end", func() Report { return received(prepay, prepay+"\r\n").Diagnose() }, []Code{NewlineAdded}},
	{"a line feed lost", func() Report { return received(prepay+"\n", prepay).Diagnose() }, []Code{NewlineRemoved}},
	{"LF became CRLF", func() Report { return received("{\n\"a\":1\n}", "{\r\n\"a\":1\r\n}").Diagnose() }, []Code{LineEnds}},
	{"CRLF became LF", func() Report { return received("a\r\nb", "a\nb").Diagnose() }, []Code{LineEnds}},
	{"a byte order mark", func() Report { return received(prepay, bom+prepay).Diagnose() }, []Code{ByteOrderMark}},
	{"a byte order mark lost", func() Report { return received(bom+prepay, prepay).Diagnose() }, []Code{ByteOrderMark}},
	{"blanks around", func() Report { return received(prepay, "  "+prepay+" ").Diagnose() }, []Code{BlanksAround}},
	{"Python's white space", func() Report { return received(prepay, pythonic).Diagnose() }, []Code{JSONWhitespace}},
	{"indented", func() Report { return received(prepay, indented(prepay, "  ")).Diagnose() }, []Code{JSONWhitespace}},
	{"indented with tabs, signed so", func() Report { return received(indented(prepay, "\t"), prepay).Diagnose() }, []Code{JSONWhitespace}},
	{"sorted keys", func() Report { return received(notification, resorted(notification)).Diagnose() }, []Code{JSONKeyOrder}},
	{"keys were sorted", func() Report { return received(resorted(notification), notification).Diagnose() }, []Code{JSONKeyOrder}},
	{"slashes escaped", func() Report {
		return received(prepay, strings.ReplaceAll(prepay, "/", `\/`)).Diagnose()
	}, []Code{JSONSlash}},
	{"slashes were escaped", func() Report {
		return received(strings.ReplaceAll(prepay, "/", `\/`), prepay).Diagnose()
	}, []Code{JSONSlash}},
	{"Chinese escaped", func() Report { return received(prepay, escapeUnicode("0123456789abcdef")(prepay)).Diagnose() }, []Code{JSONUnicode}},
	{"Chinese was escaped, upper case", func() Report { return received(escapeUnicode("0123456789ABCDEF")(prepay), prepay).Diagnose() }, []Code{JSONUnicode}},
	{"Go's HTML escapes", func() Report { return received(prepay, strings.ReplaceAll(prepay, "&", `\u0026`)).Diagnose() }, []Code{JSONHTML}},
	{"Gson's HTML escapes", func() Report {
		return received(prepay, strings.NewReplacer("&", `\u0026`, "=", `\u003d`).Replace(prepay)).Diagnose()
	}, []Code{JSONHTML}},
	{"empty strings became null", func() Report { return received(prepay, strings.Replace(prepay, `""`, "null", 1)).Diagnose() }, []Code{JSONNull}},
	{"integers became decimals", func() Report { return received(prepay, strings.Replace(prepay, `:1}`, ":1.0}", 1)).Diagnose() }, []Code{JSONNumber}},
	{"a string of JSON", func() Report {
		b, _ := json.Marshal(`{"a":"b"}`)
		return received(`{"a":"b"}`, string(b)).Diagnose()
	}, []Code{JSONString}},
	{"what PHP and a text editor do together", func() Report {
		php := escapeUnicode("0123456789abcdef")(strings.ReplaceAll(prepay, "/", `\/`))
		return received(prepay, bom+php+"\n").Diagnose()
	}, []Code{ByteOrderMark, JSONSlash, JSONUnicode, JSONWhitespace}},
	{"HTML entities", func() Report { return received(prepay, strings.ReplaceAll(prepay, "&", "&amp;")).Diagnose() }, []Code{HTMLEntities}},
	{"UTF-8 twice", func() Report {
		var b strings.Builder
		for i := range len(prepay) {
			b.WriteRune(rune(prepay[i]))
		}
		return received(prepay, b.String()).Diagnose()
	}, []Code{UTF8Twice}},
	{"plus became blank in the body", func() Report {
		cipher := regexp.MustCompile(`"fSBb[^"]*"`).ReplaceAllStringFunc(notification, func(s string) string { return strings.ReplaceAll(s, "+", " ") })
		return received(notification, cipher).Diagnose()
	}, []Code{PlusInBody}},
	{"{} for nothing", func() Report { return received("", "{}").Diagnose() }, []Code{EmptyBody}},
	{"nothing for {}", func() Report { return received("{}", "").Diagnose() }, []Code{EmptyBody}},

	// Its headers and keys.
	{"plus became blank", func() Report {
		m := genuine(prepay)
		if !strings.Contains(m.signature(), "+") {
			panic("the signature has no plus to lose")
		}
		return m.with("Signature", strings.ReplaceAll(m.signature(), "+", " ")).Diagnose()
	}, []Code{PlusInSignature}},
	{"URL-safe Base64", func() Report {
		m := genuine(prepay)
		return m.with("Signature", strings.NewReplacer("+", "-", "/", "_").Replace(m.signature())).Diagnose()
	}, []Code{Base64Alphabet}},
	{"folded Base64", func() Report {
		m := genuine(prepay)
		return m.with("Signature", m.signature()[:76]+"\n"+m.signature()[76:]).Diagnose()
	}, []Code{Base64Breaks}},
	{"Base64 without padding", func() Report {
		m := genuine(prepay)
		return m.with("Signature", strings.TrimRight(m.signature(), "=")).Diagnose()
	}, []Code{Base64Padding}},
	{"percent-encoded Base64", func() Report {
		m := genuine(prepay)
		return m.with("Signature", url.QueryEscape(m.signature())).Diagnose()
	}, []Code{Base64Escaped}},
	{"a probe", func() Report {
		m := genuine(prepay)
		return m.with("Signature", "WECHATPAY/SIGNTEST/"+m.signature()[19:]).Diagnose()
	}, []Code{Probe}},
	{"no headers", func() Report { return Message{Header: http.Header{}, Keys: []Key{platformCert()}}.Diagnose() }, []Code{SignatureMissing}},
	{"the merchant's certificate", func() Report { return genuine(prepay).keys(merchantCert()).Diagnose() }, []Code{MerchantKeyUsed}},
	{"another platform certificate", func() Report { return genuine(prepay).keys(anotherCert()).Diagnose() }, []Code{WrongSerial}},
	{"a public key instead of the certificate", func() Report {
		return genuine(prepay).keys(PlatformKey("wxp_pub.pem", &anotherKey().PublicKey, "PUB_KEY_ID_0119")).Diagnose()
	}, []Code{WrongSerial}},
	{"the serial of another", func() Report { return genuine(prepay).with("Serial", anotherCert().ID).Diagnose() }, []Code{WrongSerial}},
	{"several keys, signed with one that is not named", func() Report {
		return genuine(prepay).with("Serial", anotherCert().ID).keys(anotherCert(), platformCert()).Diagnose()
	}, []Code{OtherKey}},
	{"five minutes late", func() Report {
		m := genuine(prepay)
		m.At = m.At.Add(5 * time.Minute)
		return m.Diagnose()
	}, []Code{ClockSkew}},
	{"milliseconds in the header", func() Report { return genuine(prepay).with("Timestamp", fmt.Sprint(at)+"123").Diagnose() }, []Code{Milliseconds}},
	{"the nonce in another case", func() Report { return genuine(prepay).with("Nonce", strings.ToLower(nonce)).Diagnose() }, []Code{NonceDiffers}},

	// A request.
	{"signed without the query", func() Report {
		return sent("GET", query, "", order("GET", strings.Split(query, "?")[0], fmt.Sprint(at), "")).Diagnose()
	}, []Code{QueryLeftOut}},
	{"signed the decoded URL", func() Report {
		decoded, _ := url.PathUnescape(query)
		return sent("GET", query, "", order("GET", decoded, fmt.Sprint(at), "")).Diagnose()
	}, []Code{URLDecoded}},
	{"signed a plus for the blank", func() Report {
		return sent("GET", query, "", order("GET", strings.ReplaceAll(query, "%20", "+"), fmt.Sprint(at), "")).Diagnose()
	}, []Code{URLEncoding}},
	{"signed the host too", func() Report {
		return sent("GET", query, "", order("GET", "https://api.mch.weixin.qq.com"+query, fmt.Sprint(at), "")).Diagnose()
	}, []Code{HostInURL}},
	{"path in lower case", func() Report {
		return sent("GET", query, "", order("GET", strings.Replace(query, "/A1?", "/a1?", 1), fmt.Sprint(at), "")).Diagnose()
	}, []Code{PathCase}},
	{"method in lower case", func() Report {
		return sent("POST", post, orderBody, order("post", post, fmt.Sprint(at), orderBody)).Diagnose()
	}, []Code{MethodDiffers}},
	{"another method", func() Report {
		return sent("POST", post, orderBody, order("GET", post, fmt.Sprint(at), orderBody)).Diagnose()
	}, []Code{MethodDiffers}},
	{"no last line feed", func() Report {
		return sent("POST", post, orderBody, strings.TrimSuffix(order("POST", post, fmt.Sprint(at), orderBody), "\n")).Diagnose()
	}, []Code{FinalNewline}},
	{"CRLF between the lines", func() Report {
		return sent("POST", post, orderBody, strings.ReplaceAll(order("POST", post, fmt.Sprint(at), orderBody), "\n", "\r\n")).Diagnose()
	}, []Code{MessageCRLF}},
	{"a backslash and an n", func() Report {
		return sent("POST", post, orderBody, strings.ReplaceAll(order("POST", post, fmt.Sprint(at), orderBody), "\n", `\n`)).Diagnose()
	}, []Code{LiteralNewline}},
	{"nonce before timestamp", func() Report {
		return sent("POST", post, orderBody, lines([]string{"POST", post, nonce, fmt.Sprint(at), orderBody})).Diagnose()
	}, []Code{LinesSwapped}},
	{"signed without the body", func() Report {
		return sent("POST", post, orderBody, order("POST", post, fmt.Sprint(at), "")).Diagnose()
	}, []Code{BodyLeftOut}},
	{"{} sent, nothing signed", func() Report { return sent("POST", post, "{}", order("POST", post, fmt.Sprint(at), "")).Diagnose() }, []Code{EmptyBody}},
	{"nothing sent, null signed", func() Report { return sent("GET", query, "", order("GET", query, fmt.Sprint(at), "null")).Diagnose() }, []Code{EmptyBody}},
	{"the whole upload", func() Report {
		return sent("POST", post, upload, order("POST", post, fmt.Sprint(at), upload)).Diagnose()
	}, []Code{MultipartBody}},
	{"encoded twice", func() Report {
		return sent("POST", post, orderBody, order("POST", post, fmt.Sprint(at), resorted(orderBody))).Diagnose()
	}, []Code{JSONKeyOrder}},
	{"body and query", func() Report {
		return sent("POST", query, orderBody, order("POST", strings.Split(query, "?")[0], fmt.Sprint(at), strings.ReplaceAll(orderBody, "/", `\/`))).Diagnose()
	}, []Code{QueryLeftOut, JSONSlash}},
	{"milliseconds signed", func() Report { return sent("GET", query, "", order("GET", query, fmt.Sprint(at)+"789", "")).Diagnose() }, []Code{Milliseconds}},
	{"milliseconds sent and signed", func() Report {
		q := sent("GET", query, "", "")
		return q.authorized(authorization(order("GET", query, fmt.Sprint(at)+"789", ""), fmt.Sprint(at)+"789", merchantCert().ID)).Diagnose()
	}, []Code{Milliseconds}},
	{"the time taken twice", func() Report { return sent("GET", query, "", order("GET", query, fmt.Sprint(at-1), "")).Diagnose() }, []Code{TimestampDiffers}},
	{"a retry with the old timestamp", func() Report {
		q := sent("GET", query, "", order("GET", query, fmt.Sprint(at), ""))
		q.At = q.At.Add(6 * time.Minute)
		return q.Diagnose()
	}, []Code{ClockSkew}},
	{"SHA-1", func() Report {
		q := sent("GET", query, "", "")
		d := sha1.Sum([]byte(order("GET", query, fmt.Sprint(at), "")))
		raw, err := rsa.SignPKCS1v15(nil, merchantKey(), crypto.SHA1, d[:])
		if err != nil {
			panic(err)
		}
		a := regexp.MustCompile(`signature="[^"]*"`).ReplaceAllLiteralString(q.Authorization, `signature="`+base64.StdEncoding.EncodeToString(raw)+`"`)
		return q.authorized(a).Diagnose()
	}, []Code{DigestAlgorithm}},
	{"a serial with colons", serialInstead(func(s string) string { return regexp.MustCompile("..").ReplaceAllString(s, "$0:")[:59] }), []Code{SerialFormat}},
	{"a serial in lower case", serialInstead(strings.ToLower), []Code{SerialFormat}},
	{"a decimal serial", serialInstead(func(s string) string {
		n, _ := new(big.Int).SetString(s, 16)
		return n.String()
	}), []Code{SerialFormat}},
	{"the id of the public key as serial", serialInstead(func(string) string { return "PUB_KEY_ID_0119" }), []Code{PlatformSerial}},
	{"the serial of an older certificate", serialInstead(func(string) string { return anotherCert().ID }), []Code{WrongSerial}},
	{"the platform's certificate for a request", func() Report {
		q := sent("GET", query, "", order("GET", query, fmt.Sprint(at), ""))
		q.Keys = []Key{PlatformKey("wxp_pub.pem", &platformKey().PublicKey, "")}
		return q.Diagnose()
	}, []Code{PlatformKeyUsed}},
	{"another merchant in the body", func() Report {
		body := strings.Replace(orderBody, mchid, "1230000109", 1)
		return sent("POST", post, body, order("POST", post, fmt.Sprint(at), body)).Diagnose()
	}, []Code{MchIDDiffers}},
	{"the certificate of another merchant", func() Report {
		q := sent("GET", query, "", order("GET", query, fmt.Sprint(at), ""))
		q.Keys = []Key{certificate("apiclient_cert.pem", "1230000109", merchantKey(), 3)}
		return q.Diagnose()
	}, []Code{MchIDDiffers}},
	{"values without quotes", func() Report {
		q := sent("GET", query, "", order("GET", query, fmt.Sprint(at), ""))
		return q.authorized(strings.Replace(q.Authorization, `"`+mchid+`"`, mchid, 1)).Diagnose()
	}, []Code{AuthorizationFormat, MchIDDiffers}},
	{"another scheme", func() Report {
		q := sent("GET", query, "", order("GET", query, fmt.Sprint(at), ""))
		return q.authorized(strings.Replace(q.Authorization, wechatpay.Scheme, "WECHATPAY-SHA256-RSA2048", 1)).Diagnose()
	}, []Code{AuthorizationFormat}},

	// API v2.
	{"MD5 where HMAC is named", func() Report {
		return v2("a=1&sign_type=HMAC-SHA256&key=", "a=1", "sign_type=HMAC-SHA256").Diagnose()
	}, []Code{SignTypeMixed}},
	{"HMAC where MD5 is expected", func() Report {
		return form("a=1&b=2&key=", apiv2.HMACSHA256, "a=1", "b=2").expecting(apiv2.MD5).Diagnose()
	}, []Code{SignTypeMixed}},
	{"SHA-256 for HMAC", func() Report {
		return form("a=1&key=", "", "a=1").expecting(apiv2.HMACSHA256).Diagnose()
	}, []Code{PlainSHA256}},
	{"empty values signed", func() Report { return v2("a=1&attach=&b=2&key=", "a=1", "attach=", "b=2").Diagnose() }, []Code{EmptyValues}},
	{"one of two empty values signed", func() Report { return v2("a=1&b=&key=", "a=1", "b=", "c=").Diagnose() }, []Code{EmptyValues}},
	{"sign_type left out", func() Report { return v2("a=1&key=", "a=1", "sign_type=MD5").Diagnose() }, []Code{SignTypeRemoved}},
	{"sign_type signed, not sent", func() Report { return v2("a=1&sign_type=MD5&key=", "a=1").Diagnose() }, []Code{SignTypeRemoved}},
	{"zero taken for empty", func() Report { return v2("a=1&key=", "a=1", "coupon=0").Diagnose() }, []Code{ZeroDropped}},
	{"leading zeros lost when signing", func() Report { return v2("a=1&no=123&key=", "a=1", "no=00123").Diagnose() }, []Code{LeadingZeros}},
	{"leading zeros lost here", func() Report { return v2("a=1&no=00123&key=", "a=1", "no=123").Diagnose() }, []Code{LeadingZeros}},
	{"URL-encoded values signed", func() Report {
		return v2("body=%E5%BD%A2+x&url=https%3A%2F%2Fa&key=", "body=形 x", "url=https://a").Diagnose()
	}, []Code{URLEncodedValue}},
	{"URL-encoded values here", func() Report { return v2("url=https://a&key=", "url=https%3a%2f%2fa").Diagnose() }, []Code{URLEncodedValue}},
	{"XML escapes signed", func() Report { return v2("body=a&amp;b&key=", "body=a&b").Diagnose() }, []Code{XMLEscapedValue}},
	{"escaped twice", func() Report { return v2("body=a&b&key=", "body=a&amp;b").Diagnose() }, []Code{XMLEscapedValue}},
	{"CDATA signed", func() Report { return v2("body=<![CDATA[x]]>&n=1&key=", "body=x", "n=1").Diagnose() }, []Code{XMLEscapedValue}},
	{"values trimmed", func() Report { return v2("body=x&key=", "body= x ").Diagnose() }, []Code{ValueBlanks}},
	{"return_code left out", func() Report {
		return v2("a=1&key=", "a=1", "return_code=SUCCESS", "return_msg=OK").Diagnose()
	}, []Code{FieldsLeftOut}},
	{"an unknown field left out", func() Report { return v2("a=1&key=", "a=1", "new=x").Diagnose() }, []Code{FieldsLeftOut}},
	{"a name of the server API on the phone", func() Report {
		return v2("appid=wx1&signType=MD5&timeStamp=1&key=", "appId=wx1", "signType=MD5", "timeStamp=1").Diagnose()
	}, []Code{NameCase}},
	{"a name of the phone in the server API", func() Report { return v2("appId=wx1&b=1&key=", "appid=wx1", "b=1").Diagnose() }, []Code{NameCase}},
	{"lower-case names", func() Report { return v2("appid=wx1&noncestr=1&key=", "appId=wx1", "nonceStr=1").Diagnose() }, []Code{NameCase}},
	{"not sorted", func() Report { return v2("b=2&a=1&key=", "b=2", "a=1").Diagnose() }, []Code{Unsorted}},
	{"sorted without case", func() Report { return v2("a=1&B=2&key=", "B=2", "a=1").Diagnose() }, []Code{Unsorted}},
	{"key in upper case", func() Report {
		return v2("", "a=1").signedAs(hash(apiv2.MD5, "a=1&key=", strings.ToUpper(apiKey))).Diagnose()
	}, []Code{KeyCase}},
	{"key with a line feed", func() Report {
		return v2("", "a=1").signedAs(hash(apiv2.HMACSHA256, "a=1&key=", apiKey+"\n")).Diagnose()
	}, []Code{KeyBlanks}},
	{"no key appended", func() Report { return v2("", "a=1").signedAs(hash(apiv2.MD5, "a=1", "")).Diagnose() }, []Code{KeyLeftOut}},
	{"a refund notification", func() Report {
		return Form{Key: secret(apiKey), Fields: apiv2.Fields{{Name: "req_info", Value: "x"}}}.Diagnose()
	}, []Code{UnsignedByKind}},
	{"an answer that failed", func() Report {
		return Form{Key: secret(apiKey), Fields: apiv2.Fields{{Name: "return_code", Value: "FAIL"}}}.Diagnose()
	}, []Code{UnsignedByKind}},
	{"no sign", func() Report {
		return Form{Key: secret(apiKey), Fields: apiv2.Fields{{Name: "return_code", Value: "SUCCESS"}}}.Diagnose()
	}, []Code{SignatureMissing}},
	{"two mistakes at once", func() Report { return v2("a=1&b=x%2Fy&c=&key=", "a=1", "b=x/y", "c=").Diagnose() }, []Code{EmptyValues, URLEncodedValue}},
}

func serialInstead(f func(string) string) func() Report {
	return func() Report {
		q := sent("GET", query, "", "")
		return q.authorized(authorization(order("GET", query, fmt.Sprint(at), ""), fmt.Sprint(at), f(merchantCert().ID))).Diagnose()
	}
}

func indented(text, by string) string {
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(text), "", by); err != nil {
		panic(err)
	}
	return b.String()
}

// resorted is what a map makes of a JSON object: sorted keys, nothing else.
func resorted(text string) string {
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func codes(r Report) []Code {
	var all []Code
	for _, c := range r.Causes {
		all = append(all, c.Code)
	}
	slices.Sort(all)
	return all
}

func show(r Report) string {
	var b strings.Builder
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "\n  %s %s: %s", c.State, c.Name, c.Text.EN)
	}
	for _, c := range r.Causes {
		fmt.Fprintf(&b, "\n  [%s] %s", c.Code, c.Text.EN)
	}
	return b.String()
}

func TestNamesEveryMistake(t *testing.T) {
	t.Parallel()
	named := map[Code]bool{}
	for _, m := range mistakes {
		for _, c := range m.want {
			named[c] = true
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			r := m.report()
			want := slices.Sorted(slices.Values(m.want))
			if got := codes(r); !slices.Equal(got, want) || r.Verified {
				t.Errorf("verified: %t, named %v, want %v:%s", r.Verified, got, want, show(r))
			}
			if !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.State == Wrong }) {
				t.Errorf("no check is wrong:%s", show(r))
			}
			for _, c := range r.Checks {
				if c.Title.ZH == "" || c.Text.ZH == "" || c.Text.EN == "" || strings.Contains(c.Text.ZH+c.Text.EN, "%!") {
					t.Errorf("check %s: %q %q", c.Name, c.Title, c.Text)
				}
			}
			for _, c := range r.Causes {
				if c.Text.ZH == "" || c.Text.EN == "" || c.Remedy.ZH == "" || c.Remedy.EN == "" || strings.Contains(c.Text.ZH+c.Text.EN, "%!") {
					t.Errorf("cause %s: %q %q", c.Code, c.Text, c.Remedy)
				}
			}
		})
	}
	for _, c := range Codes() {
		if !named[c] {
			t.Errorf("no test makes the mistake %s", c)
		}
	}
}

func TestVerifies(t *testing.T) {
	t.Parallel()
	bare := PlatformKey("wxp_pub.pem", &platformKey().PublicKey, "PUB_KEY_ID_0119")
	for name, r := range map[string]Report{
		"answer":        genuine(prepay).Diagnose(),
		"notification":  genuine(notification).Diagnose(),
		"no content":    genuine("").Diagnose(),
		"public key":    genuine(prepay).with("Serial", "PUB_KEY_ID_0119").keys(bare).Diagnose(),
		"key by serial": genuine(prepay).keys(anotherCert(), platformCert()).Diagnose(),
		"order":         sent("POST", post, orderBody, order("POST", post, fmt.Sprint(at), orderBody)).Diagnose(),
		"query":         sent("GET", query, "", order("GET", query, fmt.Sprint(at), "")).Diagnose(),
		"upload":        sent("POST", post, upload, order("POST", post, fmt.Sprint(at), `{"filename":"a.png"}`)).Diagnose(),
		"MD5":           v2("a=1&b=2&key=", "b=2", "a=1", "c=").Diagnose(),
		"HMAC":          form("a=1&sign_type=HMAC-SHA256&key=", apiv2.HMACSHA256, "sign_type=HMAC-SHA256", "a=1").Diagnose(),
	} {
		if !r.Verified || len(r.Causes) > 0 || r.Difference != nil {
			t.Errorf("%s: not verified:%s", name, show(r))
		}
	}
}

// A change that is none of the known ones is not called by another's name.
func TestUnknownMistakesHaveNoName(t *testing.T) {
	t.Parallel()
	changed := strings.Replace(prepay, "Image", "image", 1)
	m := genuine(prepay)
	flipped := []byte(m.signature())
	flipped[100] ^= 1 // a letter for another: still Base64
	for name, r := range map[string]Report{
		"another body":            received(prepay, changed).Diagnose(),
		"another body, reordered": received(prepay, resorted(changed)).Diagnose(),
		"another nonce":           genuine(prepay).with("Nonce", "x").Diagnose(),
		"a damaged signature":     m.with("Signature", string(flipped)).Diagnose(),
		"another order":           sent("POST", post, orderBody, order("POST", post, fmt.Sprint(at), changed)).Diagnose(),
		"another path":            sent("GET", query, "", order("GET", post, fmt.Sprint(at), "")).Diagnose(),
		"another value":           v2("a=2&b=1&key=", "a=1", "b=1").Diagnose(),
		"another key":             v2("", "a=1").signedAs(hash(apiv2.MD5, "a=1&key=", "0123456789abcdef0123456789abcdef")).Diagnose(),
	} {
		if r.Verified || len(r.Causes) > 0 || r.Difference != nil {
			t.Errorf("%s: verified: %t, named:%s", name, r.Verified, show(r))
		}
		if !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.State != Right }) {
			t.Errorf("%s: every check is right:%s", name, show(r))
		}
	}
}

// It says where the texts part.
func TestDifference(t *testing.T) {
	t.Parallel()
	r := received(prepay, strings.ReplaceAll(prepay, "/", `\/`)).Diagnose()
	want := Difference{Offset: 11 + 33 + 14, Line: titles["body"], Here: `…2\n{"url":"https:\/\/wx.tenpay.com\/a?pre…`, Signed: `…2\n{"url":"https://wx.tenpay.com/a?prepay…`}
	if r.Difference == nil || *r.Difference != want {
		t.Errorf("got %+v, want %+v", r.Difference, want)
	}
	r = sent("GET", query, "", order("GET", strings.Split(query, "?")[0], fmt.Sprint(at), "")).Diagnose()
	if d := r.Difference; d == nil || d.Line != titles["url"] || d.Offset != 4+strings.Index(query, "?") {
		t.Errorf("got %+v", d)
	}
}

func TestPublishedSignatures(t *testing.T) {
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
		t.Fatalf("%d vectors", len(v.Vectors))
	}
	for _, x := range v.Vectors {
		key, err := ParseKey("key.pem", []byte(x.PublicKey+x.Certificate), "")
		if err != nil {
			t.Fatal(err)
		}
		if x.Serial == "" {
			x.Serial = "PUB_KEY_ID_0114232134912410000000000000"
		}
		h := http.Header{"Wechatpay-Timestamp": {x.Timestamp}, "Wechatpay-Nonce": {x.Nonce}, "Wechatpay-Signature": {x.Signature}, "Wechatpay-Serial": {x.Serial}}
		n, _ := new(big.Int).SetString(x.Timestamp, 10)
		m := Message{Header: h, Body: []byte(x.Body), Keys: []Key{key}, At: time.Unix(n.Int64(), 0)}
		if r := m.Diagnose(); !r.Verified {
			t.Errorf("%s:%s", x.Name, show(r))
		}
		if x.WrongBody == "" {
			continue
		}
		m.Body = []byte(x.WrongBody)
		if r := m.Diagnose(); !slices.Equal(codes(r), []Code{JSONSlash}) {
			t.Errorf("%s, the wrong body:%s", x.Name, show(r))
		}
	}
}

func TestPublishedForms(t *testing.T) {
	t.Parallel()
	var v struct {
		Vectors []struct {
			Name, Key, Sign string
			Parameters      map[string]string
			SignType        apiv2.SignType `json:"sign_type"`
			WrongSign       string         `json:"wrong_sign"`
		}
	}
	readVector("v2-sign.json", &v)
	seen := 0
	for _, x := range v.Vectors {
		f := Form{Key: secret(x.Key), SignType: x.SignType}
		for name, value := range x.Parameters {
			f.Fields = append(f.Fields, apiv2.Field{Name: name, Value: value})
		}
		if len(f.Fields) == 0 {
			continue // a digest alone
		}
		seen++
		r := Form{Fields: append(f.Fields, apiv2.Field{Name: "sign", Value: x.Sign + x.WrongSign}), Key: f.Key, SignType: f.SignType}.Diagnose()
		switch {
		case x.WrongSign != "":
			if !slices.Equal(codes(r), []Code{EmptyValues}) {
				t.Errorf("%s:%s", x.Name, show(r))
			}
		case len(x.Key) != 32: // some published examples have such keys, WeChat Pay has not
			if r.Verified || r.Checks[len(r.Checks)-1].State != Right || len(r.Causes) > 0 {
				t.Errorf("%s:%s", x.Name, show(r))
			}
		case !r.Verified:
			t.Errorf("%s:%s", x.Name, show(r))
		}
	}
	if seen != 8 {
		t.Errorf("%d forms, want 8", seen)
	}
}

// A report holds no key.
func TestReportsHoldNoKey(t *testing.T) {
	t.Parallel()
	for _, m := range mistakes {
		if text := fmt.Sprintf("%+v", m.report()); strings.Contains(strings.ToLower(text), apiKey) {
			t.Errorf("%s: the report has the key", m.name)
		}
	}
}

// What frameworks do to a body has an end in time, whatever the body.
func TestLongBodies(t *testing.T) {
	t.Parallel()
	long := `{"list":[` + strings.Repeat(`{"name":"形象店","url":"https://a/b?c&d"},`, 4000) + `{}]}`
	if r := received(long, long+"\n").Diagnose(); !slices.Equal(codes(r), []Code{NewlineAdded}) {
		t.Errorf("a line feed:%s", show(r))
	}
	if r := received(long, strings.ReplaceAll(long, "/", `\/`)).Diagnose(); !slices.Equal(codes(r), []Code{JSONSlash}) {
		t.Errorf("slashes:%s", show(r))
	}
	if r := received(long, strings.Replace(long, "a", "b", 1)).Diagnose(); len(r.Causes) > 0 {
		t.Errorf("another body:%s", show(r))
	}
}
