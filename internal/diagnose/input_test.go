package diagnose

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"crypto/x509"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

func TestParseHead(t *testing.T) {
	t.Parallel()
	want := http.Header{"Wechatpay-Nonce": {"n"}, "Wechatpay-Serial": {"S"}}
	for name, c := range map[string]struct {
		text, body, method, target string
		status                     int
	}{
		"raw":             {text: "Wechatpay-Nonce: n\nWechatpay-Serial: S\n"},
		"lower case":      {text: "wechatpay-nonce:n\nWECHATPAY-SERIAL:  S  "},
		"CRLF":            {text: "\r\nWechatpay-Nonce: n\r\nWechatpay-Serial: S\r\n\r\n"},
		"curl -i":         {text: "HTTP/1.1 200 OK\r\nWechatpay-Nonce: n\r\nWechatpay-Serial: S\r\n\r\n{\"a\":1}\r\n\n", body: "{\"a\":1}\r\n\n", status: 200},
		"HTTP/2":          {text: "HTTP/2 204 \nWechatpay-Nonce: n\nWechatpay-Serial: S\n\n", status: 204},
		"after continue":  {text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nWechatpay-Nonce: n\r\nWechatpay-Serial: S\r\n\r\nx", body: "x", status: 200},
		"through a proxy": {text: "HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK\r\nWechatpay-Nonce: n\r\nWechatpay-Serial: S\r\n\r\nx", body: "x", status: 200},
		"curl -v":         {text: "* Connected\n> GET /v3/x?a=b HTTP/1.1\n> Wechatpay-Nonce: n\n> Wechatpay-Serial: S\n>\n", method: "GET", target: "/v3/x?a=b"},
		"request":         {text: "POST /v3/x HTTP/1.1\r\nWechatpay-Nonce: n\r\nWechatpay-Serial: S\r\n\r\n{}", body: "{}", method: "POST", target: "/v3/x"},
		"PHP":             {text: "HTTP_WECHATPAY_NONCE: n\nHTTP_WECHATPAY_SERIAL: S\n"},
		"JSON":            {text: `{"wechatpay-nonce":"n","Wechatpay-Serial":["S"]}`},
	} {
		h, body, err := ParseHead([]byte(c.text))
		if err != nil || !reflect.DeepEqual(h.Header, want) || string(body) != c.body || h.Method != c.method || h.Target != c.target || h.Status != c.status {
			t.Errorf("%s: got %+v, %q, %v", name, h, body, err)
		}
	}
	for _, text := range []string{"", "\n\n", "hello", `{"a":`} {
		if h, _, err := ParseHead([]byte(text)); err == nil {
			t.Errorf("%q: got %+v", text, h)
		}
	}
	// A number of a log stays as it is written.
	if h, _, err := ParseHead([]byte(`{"Wechatpay-Timestamp":1722850421}`)); err != nil || h.Header.Get("Wechatpay-Timestamp") != "1722850421" {
		t.Errorf("got %v, %v", h, err)
	}
}

func TestParseFields(t *testing.T) {
	t.Parallel()
	want := apiv2.Fields{{Name: "no", Value: "007"}, {Name: "body", Value: " a&b "}, {Name: "attach"}}
	for name, text := range map[string]string{
		"XML":         "<?xml version=\"1.0\"?>\n<xml>\n <no>007</no>\n<body><![CDATA[ a&b ]]></body><attach></attach></xml>\n",
		"escaped XML": "<xml><no>007</no><body> a&amp;b </body><attach/></xml>",
		"JSON":        `{"no":"007","body":" a&b ","attach":null}`,
		"lines":       "no=007\r\nbody= a&b \nattach=\nkey=" + apiKey,
	} {
		got, err := ParseFields([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if got, err := ParseFields([]byte("a=1&b=2&key=" + apiKey)); err != nil || !reflect.DeepEqual(got, apiv2.Fields{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := ParseFields([]byte(`{"total":100,"detail":{"a":1}}`)); err != nil || !reflect.DeepEqual(got, apiv2.Fields{{Name: "total", Value: "100"}, {Name: "detail", Value: `{"a":1}`}}) {
		t.Errorf("got %q, %v", got, err)
	}
	for name, text := range map[string]string{
		"nothing":     " \n",
		"cut off":     "<xml><a>1</a>",
		"a doctype":   `<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml><a>&x;</a></xml>`,
		"two levels":  "<xml><a><b>1</b></a></xml>",
		"a name more": "<xml><a>1</a><a>2</a></xml>",
		"cut JSON":    `{"a":`,
		"no pair":     "a=1\nb",
	} {
		if got, err := ParseFields([]byte(text)); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	public, err := x509.MarshalPKIXPublicKey(&merchantKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(merchantKey())
	if err != nil {
		t.Fatal(err)
	}
	text := func(label string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}) }
	for name, c := range map[string]struct {
		text  []byte
		id    string
		owner owner
	}{
		"public key":         {text("PUBLIC KEY", public), "", anybody},
		"public key with id": {text("PUBLIC KEY", public), "PUB_KEY_ID_01", platform},
		"private key":        {text("PRIVATE KEY", private), "", merchant},
	} {
		k, err := ParseKey("k.pem", c.text, c.id)
		if err != nil || k.owner != c.owner || k.ID != c.id || !k.public.Equal(&merchantKey().PublicKey) {
			t.Errorf("%s: got %+v, %v", name, k, err)
		}
	}
	if k := merchantCert(); k.owner != merchant || k.mchid != mchid || len(k.ID) != 40 {
		t.Errorf("the merchant's certificate: %+v", k)
	}
	if k := platformCert(); k.owner != platform {
		t.Errorf("the platform's certificate: %+v", k)
	}
	if k, err := ParseKey("k.pem", []byte("hello"), ""); err == nil {
		t.Errorf("got %+v", k)
	}
}

func TestCompareAnswer(t *testing.T) {
	t.Parallel()
	ours := order("POST", post, "1554208460", orderBody)
	long := order("POST", post, "1554208460", strings.Repeat("x", 400))
	for name, c := range map[string]struct {
		message string
		answer  Answer
		same    bool
		offset  int // -1: what is shown agrees
		line    string
	}{
		"the same":              {ours, Answer{Length: len(ours), Text: ours}, true, -1, ""},
		"the same, cut":         {long, Answer{Length: len(long), Text: long[:100]}, true, -1, ""},
		"the same, with dots":   {long, Answer{Length: len(long), Text: long[:100] + "..."}, true, -1, ""},
		"the same, line feed":   {long, Answer{Length: len(long), Text: long[:100] + "\n"}, true, -1, ""},
		"a byte more at theirs": {long, Answer{Length: len(long) + 1, Text: long[:100]}, false, -1, ""},
		"another URL":           {ours, Answer{Length: len(ours) - 1, Text: strings.Replace(ours, "jsapi", "h5", 1)}, false, 5 + len("/v3/pay/transactions/"), "URL"},
		"another method":        {ours, Answer{Length: len(ours), Text: "PUT" + ours[4:]}, false, 1, "method"},
		"another nonce":         {ours, Answer{Length: len(ours), Text: strings.Replace(ours, "593BEC", "593BED", 1)}, false, strings.Index(ours, "593BEC") + 5, "nonce"},
		"another body":          {ours, Answer{Length: len(ours), Text: strings.Replace(ours, "100", "101", 1)}, false, strings.Index(ours, "100}") + 2, "body"},
	} {
		got := c.answer.Compare(c.message)
		offset, line := -1, ""
		if got.Difference != nil {
			offset, line = got.Difference.Offset, got.Difference.Line.EN
		}
		if got.Same != c.same || offset != c.offset || line != c.line || got.Text.ZH == "" || got.Remedy.EN == "" || strings.Contains(got.Text.EN+got.Text.ZH, "%!") {
			t.Errorf("%s: got %+v at %d in %q", name, got, offset, line)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	t.Parallel()
	const text = `{"code":"SIGN_ERROR","message":"签名错误","detail":{"detail":{"issue":"sign not match"},"field":"signature","location":"authorization",` +
		`"sign_information":{"method":"POST","sign_message_length":348,"truncated_sign_message":"POST\n/v3/x\n","url":"/v3/x"}}}`
	want := Answer{"POST", "/v3/x", 348, "POST\n/v3/x\n"}
	for _, data := range []string{text, "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n\r\n" + text} {
		if got, err := ParseAnswer([]byte(data)); err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	for _, data := range []string{"", "{}", `{"code":"SIGN_ERROR","message":"x"}`, `{"detail":"x"}`} {
		if got, err := ParseAnswer([]byte(data)); err == nil {
			t.Errorf("%q: got %+v", data, got)
		}
	}
}

func TestOpensPublishedResources(t *testing.T) {
	t.Parallel()
	var v struct {
		Vectors []struct {
			Name, Key, Nonce, Plaintext, Ciphertext string
			AssociatedData                          string `json:"associated_data"`
		}
	}
	readVector("v3-aes-gcm.json", &v)
	if len(v.Vectors) != 3 {
		t.Fatalf("%d vectors", len(v.Vectors))
	}
	for _, x := range v.Vectors {
		got, err := OpenResource(Resource{Nonce: x.Nonce, AssociatedData: x.AssociatedData, Ciphertext: x.Ciphertext}, secret(x.Key))
		if err != nil || string(got) != x.Plaintext {
			t.Errorf("%s: got %q, %v", x.Name, got, err)
		}
	}

	x := v.Vectors[1]
	good := Resource{Algorithm: "AEAD_AES_256_GCM", Nonce: x.Nonce, AssociatedData: x.AssociatedData, Ciphertext: x.Ciphertext}
	sealed, err := base64.StdEncoding.DecodeString(x.Ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	changed := append([]byte(nil), sealed...)
	changed[len(changed)/2] ^= 1
	for name, c := range map[string]struct {
		r    Resource
		key  string
		want string
	}{
		"a short key":       {good, x.Key[1:], "the APIv3 key has 31 characters"},
		"a key with blanks": {good, " " + x.Key[1:], "APIv3 key"},
		"another key":       {good, "0" + x.Key[1:], "another APIv3 key"},
		"a short nonce":     {with(good, func(r *Resource) { r.Nonce = r.Nonce[1:] }), x.Key, "the nonce has 11 characters"},
		"another nonce":     {with(good, func(r *Resource) { r.Nonce = "0" + r.Nonce[1:] }), x.Key, "nonce or ciphertext was changed"},
		"blanks for plus":   {with(good, func(r *Resource) { r.Ciphertext = strings.ReplaceAll(r.Ciphertext, "+", " ") }), x.Key, "each + became a blank"},
		"line breaks":       {with(good, func(r *Resource) { r.Ciphertext = r.Ciphertext[:76] + "\n" + r.Ciphertext[76:] }), x.Key, "line breaks"},
		"URL-safe":          {with(good, func(r *Resource) { r.Ciphertext = strings.NewReplacer("+", "-", "/", "_").Replace(r.Ciphertext) }), x.Key, "URL-safe"},
		"no Base64":         {with(good, func(r *Resource) { r.Ciphertext = "abc%def" }), x.Key, "character 3 is %"},
		"half a group":      {with(good, func(r *Resource) { r.Ciphertext = r.Ciphertext[:401] }), x.Key, "cut off"},
		"cut off":           {with(good, func(r *Resource) { r.Ciphertext = r.Ciphertext[:400] }), x.Key, "ciphertext or associated_data was changed"},
		"less than a tag":   {with(good, func(r *Resource) { r.Ciphertext = r.Ciphertext[:16] }), x.Key, "less than its tag"},
		"a bit":             {with(good, func(r *Resource) { r.Ciphertext = base64.StdEncoding.EncodeToString(changed) }), x.Key, "ciphertext or associated_data was changed"},
		"no data":           {with(good, func(r *Resource) { r.AssociatedData = "" }), x.Key, `associated_data was "transaction"`},
		"SM4":               {with(good, func(r *Resource) { r.Algorithm = "AEAD_SM4_GCM" }), x.Key, "only AEAD_AES_256_GCM"},
	} {
		got, err := OpenResource(c.r, secret(c.key))
		if err == nil || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), c.key) || strings.Contains(err.Error(), "total")) {
			t.Errorf("%s: the error tells too much: %v", name, err)
		}
	}
}

func with(r Resource, change func(*Resource)) Resource {
	change(&r)
	return r
}

func TestParseResources(t *testing.T) {
	t.Parallel()
	r := Resource{Algorithm: "AEAD_AES_256_GCM", Nonce: "n", AssociatedData: "a", Ciphertext: "c"}
	inner, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	certificate := r
	certificate.Serial = "S"
	for text, want := range map[string][]Resource{
		string(inner): {r},
		`{"id":"x","resource":` + string(inner) + `}`:                                             {r},
		"POST /notify HTTP/1.1\r\nHost: x\r\n\r\n" + `{"resource":` + string(inner) + `}`:         {r},
		`{"data":[{"serial_no":"S","encrypt_certificate":` + string(inner) + `}]}`:                {certificate},
		bom + `{"data":[{"serial_no":"S","encrypt_certificate":` + string(inner) + `}]}` + "\r\n": {certificate},
	} {
		if got, err := ParseResources([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "{}", "<xml/>", `{"resource":1}`} {
		if got, err := ParseResources([]byte(text)); err == nil {
			t.Errorf("%q: got %+v", text, got)
		}
	}
}

func TestOpensPublishedRefund(t *testing.T) {
	t.Parallel()
	var v struct {
		Vectors []struct {
			Name, Ciphertext, Plaintext string
			APIKey                      string `json:"api_key"`
		}
	}
	readVector("v2-req-info.json", &v)
	x := v.Vectors[0]
	got, err := OpenRefund("\n"+x.Ciphertext+"\n", secret(x.APIKey))
	if err != nil || string(got) != x.Plaintext || x.Plaintext == "" {
		t.Errorf("got %q, %v", got, err)
	}
	for name, c := range map[string]struct{ text, key, want string }{
		"a short key":     {x.Ciphertext, x.APIKey[1:], "31 characters"},
		"another key":     {x.Ciphertext, "0" + x.APIKey[1:], "another APIv2 key"},
		"blanks for plus": {strings.ReplaceAll(x.Ciphertext, "+", " "), x.APIKey, "each + became a blank"},
		"cut off":         {x.Ciphertext[:400], x.APIKey, "not a multiple of 16"},
		"nothing":         {"", x.APIKey, "cut off"},
	} {
		if got, err := OpenRefund(c.text, secret(c.key)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"GET\n/v3\n\n": "GET\\n\n/v3\\n\n\\n",
		"a\r\n":        `a\r\n`,
		bom + "支付\t":   `\ufeff支付\t`,
		"\xff\x00":     `\xff\x00`,
		`\/"`:          `\/"`,
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// Any JSON can be taken apart and put together, and its shapes all mean the same.
func FuzzJSONChanges(f *testing.F) {
	f.Add(notification)
	f.Add(prepay)
	f.Add(`{"a":[1,{},[],"\ud83d\ude00\\/\u0026"],"b":null}`)
	f.Add(`["\ud800","\\u0026"]`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 300 || !json.Valid([]byte(text)) {
			t.Skip()
		}
		if got := join(lex(text)); got != text {
			t.Fatalf("%q became %q", text, got)
		}
		var want any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Skip() // a number too large for encoding/json
		}
		for _, v := range jsonChanges(variant{text: text}, 2) {
			var got any
			if err := json.Unmarshal([]byte(v.text), &got); err != nil {
				t.Fatalf("%q became %q: %v", text, v.text, err)
			}
			meaning := true
			for _, e := range v.edits {
				meaning = meaning && e.code != JSONNull && e.code != JSONKeyOrder // a name twice has an order
			}
			if meaning && !reflect.DeepEqual(got, want) {
				t.Fatalf("%q became %q (%v)", text, v.text, v.edits)
			}
		}
	})
}
