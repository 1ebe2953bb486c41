package sandbox

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// params is a message of API v2 as a merchant's program has it.
type params map[string]string

// with is p with changes: an "" takes a parameter out.
func (p params) with(changes params) params {
	p = maps.Clone(p)
	for name, v := range changes {
		if v == "" {
			delete(p, name)
		} else {
			p[name] = v
		}
	}
	return p
}

// signature signs as the manual says, without any code of the package.
func (p params) signature(key, signType string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if name != "sign" && p[name] != "" {
			b.WriteString(name + "=" + p[name] + "&")
		}
	}
	b.WriteString("key=" + key)
	if signType == "HMAC-SHA256" {
		h := hmac.New(sha256.New, []byte(key))
		_, _ = io.WriteString(h, b.String()) // a hash takes everything
		return fmt.Sprintf("%X", h.Sum(nil))
	}
	return fmt.Sprintf("%X", md5.Sum([]byte(b.String())))
}

// xml writes the message with escapes where CDATA would do as well.
func (p params) xml() string {
	var b strings.Builder
	b.WriteString("<xml>\n")
	for _, name := range slices.Sorted(maps.Keys(p)) {
		b.WriteString("<" + name + ">")
		_ = xml.EscapeText(&b, []byte(p[name])) // a Builder takes everything
		b.WriteString("</" + name + ">\n")
	}
	b.WriteString("</xml>\n")
	return b.String()
}

// replyV2 is what a call of v2 was answered.
type replyV2 struct {
	reply
	params params // nil where the body is no XML
}

// readV2 reads a flat message.
func readV2(body []byte) params {
	var d struct {
		XMLName xml.Name
		Items   []struct {
			XMLName xml.Name
			Value   string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal(body, &d); err != nil {
		return nil
	}
	p := params{}
	for _, i := range d.Items {
		p[i.XMLName.Local] = i.Value
	}
	return p
}

// postV2 sends a body as it is.
func (w *world) postV2(path, body string) replyV2 {
	w.t.Helper()
	r, err := http.NewRequest("POST", w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/xml; charset=utf-8")
	answer := w.do(r)
	return replyV2{answer, readV2(answer.body)}
}

// callV2 sends a rightly signed call.
func (w *world) callV2(path string, p params) replyV2 {
	w.t.Helper()
	p = maps.Clone(p)
	p["sign"] = p.signature(w.merchant.APIv2Key, p["sign_type"])
	return w.postV2(path, p.xml())
}

// common are the parameters of every call.
func (w *world) common(signType string) params {
	return params{"appid": w.app.ID, "mch_id": w.merchant.ID, "nonce_str": rand.Text()}.with(params{"sign_type": signType})
}

// orderV2 is a right order.
func (w *world) orderV2(number, signType string) params {
	w.t.Helper()
	openID, err := w.OpenID(w.app.ID, "alice")
	if err != nil {
		w.t.Fatal(err)
	}
	return w.common(signType).with(params{
		"body": "一杯<咖啡>&蛋糕", "out_trade_no": number, "total_fee": "998", "spbill_create_ip": "203.0.113.7",
		"notify_url": w.shop.url, "trade_type": "JSAPI", "openid": openID,
	})
}

// genuineV2 tells whether WeChat Pay signed this with that algorithm.
func (w *world) genuineV2(p params, signType string) bool {
	return p["sign"] != "" && p["sign"] == p.signature(w.merchant.APIv2Key, signType)
}

// placeV2 orders and returns the answer's parameters.
func (w *world) placeV2(p params) params {
	w.t.Helper()
	r := w.callV2("/pay/unifiedorder", p)
	if r.params["result_code"] != "SUCCESS" || !w.genuineV2(r.params, p["sign_type"]) {
		w.t.Fatalf("unifiedorder: %d %s %v", r.status, r.body, r.err)
	}
	return r.params
}

// paymentV2 is what a mini program passes to wx.requestPayment for alice.
func (w *world) paymentV2(prepayID, signType string) PaymentRequest {
	p := PaymentRequest{AppID: w.app.ID, User: "alice", TimeStamp: fmt.Sprint(time.Now().Unix()), NonceStr: rand.Text(),
		Package: "prepay_id=" + prepayID, SignType: signType}
	p.PaySign = params{"appId": p.AppID, "timeStamp": p.TimeStamp, "nonceStr": p.NonceStr, "package": p.Package,
		"signType": p.SignType}.signature(w.merchant.APIv2Key, signType)
	return p
}

// buyV2 orders by v2 and lets alice pay.
func (w *world) buyV2(number, signType string) {
	w.t.Helper()
	id := w.placeV2(w.orderV2(number, signType))["prepay_id"]
	if signType == "" {
		signType = "MD5"
	}
	w.payV2(w.paymentV2(id, signType))
}

func (w *world) payV2(p PaymentRequest) {
	w.t.Helper()
	if result, err := w.RequestPayment(p); err != nil || !result.OK() {
		w.t.Fatalf("pay: %+v, %v", result, err)
	}
}

// failsV2 wants return_code FAIL with the text, and nothing else.
func (w *world) failsV2(what string, r replyV2, text string) {
	w.t.Helper()
	want := params{"return_code": "FAIL", "return_msg": text}
	if r.status != 200 || !maps.Equal(r.params, want) {
		w.t.Errorf("%s: %d %s\nwant %v", what, r.status, r.body, want)
	}
}

// refusesV2 wants result_code FAIL with the code, signed.
func (w *world) refusesV2(what string, r replyV2, signType, code string) {
	w.t.Helper()
	if r.status != 200 || r.params["return_code"] != "SUCCESS" || r.params["result_code"] != "FAIL" ||
		r.params["err_code"] != code || r.params["err_code_des"] == "" || !w.genuineV2(r.params, signType) {
		w.t.Errorf("%s: %d %s, genuine: %v\nwant %s", what, r.status, r.body, w.genuineV2(r.params, signType), code)
	}
}

// acceptV2 makes the shop answer every notification as v2 wants it, which v3 doesn't mind.
func (s *shop) acceptV2() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(int) int { return http.StatusOK }
	s.reply = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
}
