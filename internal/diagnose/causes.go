package diagnose

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// Code names a mistake. Codes are stable: scripts read them with --json.
type Code string

// The mistakes that a report can name. docs/signatures.md explains each.
const (
	// of the body
	NewlineAdded   Code = "newline_added"
	NewlineRemoved Code = "newline_removed"
	LineEnds       Code = "line_ends"
	ByteOrderMark  Code = "byte_order_mark"
	BlanksAround   Code = "blanks_around"
	EmptyBody      Code = "empty_body"
	BodyLeftOut    Code = "body_left_out"
	MultipartBody  Code = "multipart_body"
	JSONWhitespace Code = "json_whitespace"
	JSONKeyOrder   Code = "json_key_order"
	JSONSlash      Code = "json_slash"
	JSONUnicode    Code = "json_unicode"
	JSONHTML       Code = "json_html"
	JSONNull       Code = "json_null"
	JSONNumber     Code = "json_number"
	JSONString     Code = "json_string"
	HTMLEntities   Code = "html_entities"
	UTF8Twice      Code = "utf8_twice"
	PlusInBody     Code = "plus_in_body"

	// of the signature's value
	PlusInSignature  Code = "plus_in_signature"
	Base64Alphabet   Code = "base64_alphabet"
	Base64Breaks     Code = "base64_line_breaks"
	Base64Padding    Code = "base64_padding"
	Base64Escaped    Code = "base64_escaped"
	DigestAlgorithm  Code = "digest_algorithm"
	Probe            Code = "probe"
	SignatureMissing Code = "signature_missing"

	// of keys
	MerchantKeyUsed Code = "merchant_key_used"
	PlatformKeyUsed Code = "platform_key_used"
	OtherKey        Code = "other_key"
	WrongSerial     Code = "wrong_serial"
	SerialFormat    Code = "serial_format"
	PlatformSerial  Code = "platform_serial"
	MchIDDiffers    Code = "mchid_differs"

	// of time and nonce
	ClockSkew        Code = "clock_skew"
	Milliseconds     Code = "milliseconds"
	TimestampDiffers Code = "timestamp_differs"
	NonceDiffers     Code = "nonce_differs"

	// of method, URL and the lines
	AuthorizationFormat Code = "authorization_format"
	QueryLeftOut        Code = "query_left_out"
	URLDecoded          Code = "url_decoded"
	URLEncoding         Code = "url_encoding"
	HostInURL           Code = "host_in_url"
	PathCase            Code = "path_case"
	MethodDiffers       Code = "method_differs"
	FinalNewline        Code = "final_newline_missing"
	MessageCRLF         Code = "crlf_between_lines"
	LiteralNewline      Code = "literal_backslash_n"
	LinesSwapped        Code = "lines_swapped"

	// of API v2
	SignTypeMixed   Code = "sign_type_mixed"
	PlainSHA256     Code = "plain_sha256"
	EmptyValues     Code = "empty_values"
	SignTypeRemoved Code = "sign_type_removed"
	ZeroDropped     Code = "zero_dropped"
	LeadingZeros    Code = "leading_zeros"
	URLEncodedValue Code = "url_encoded_values"
	XMLEscapedValue Code = "xml_escaped_values"
	ValueBlanks     Code = "value_blanks"
	FieldsLeftOut   Code = "fields_left_out"
	NameCase        Code = "name_case"
	Unsorted        Code = "unsorted"
	KeyCase         Code = "key_case"
	KeyBlanks       Code = "key_blanks"
	KeyLeftOut      Code = "key_left_out"
	UnsignedByKind  Code = "unsigned_by_design"
)

// Sentences that several remedies share.
var (
	rawBytes = phrase.Say("用收到的原始字节验签；常见原因：框架先解析再重新序列化了 Body，中间件改写，或经编辑器另存",
		"verify the raw bytes as received: usually a framework parsed the body and wrote it anew, a middleware changed it, or an editor saved it")
	marshalOnce = phrase.Say("请求：只序列化一次，签名和发送用同一段字节。通知和应答：用收到的原始字节验签",
		"requests: encode once, sign and send the same bytes; notifications and answers: verify the raw bytes as received")
	sameVariable = phrase.Say("时间戳和随机串各只生成一次，签名和 Authorization 用同一个变量；每次重试重新签名",
		"make timestamp and nonce once and use the same variables to sign and to send; sign every retry anew")
	asSent = phrase.Say("URL 用实际发送的路径加查询串（含 ?，保持百分号编码），不含协议和域名；Go 里是 req.URL.RequestURI()",
		"sign path and query exactly as sent (with ?, percent-encoded as on the wire), without scheme and host; in Go req.URL.RequestURI()")
	fiveLines = phrase.Say("五行，每行以一个 LF（0x0A）结束，最后一行也是", "five lines, each ended by one LF (0x0A), the last one too")
	transport = phrase.Say("签名值原样传递，不要放进 URL 查询串或表单里，不要转义",
		"pass the signature on as it is: not through a URL query or a form, and without escapes")
	rawValues = phrase.Say("签名用参数的原始值：不做 URL 编码、XML 转义、去空格或数值转换",
		"sign the raw values: no URL encoding, XML escapes, trimming or conversion to numbers")
	allFields = phrase.Say("对收到的全部非空参数签名（sign 除外），包括 sign_type 和不认识的参数",
		"sign every parameter received that is not empty, sign aside: sign_type and unknown ones too")
	apiKeyPage = phrase.Say("核对 商户平台 › 账户中心 › API 安全 里设置的 APIv2 密钥，原样 32 位",
		"compare it with the APIv2 key set at 商户平台 › 账户中心 › API 安全: 32 characters, as they are")
)

// remedies say what to do, for every code.
var remedies = map[Code]phrase.Text{
	NewlineAdded: rawBytes, NewlineRemoved: rawBytes, LineEnds: rawBytes, ByteOrderMark: rawBytes, BlanksAround: rawBytes,
	EmptyBody: {ZH: "没有正文就是空：签名和发送都不要用 {}、null 或 \"\" 代替",
		EN: "no body is an empty text: neither sign nor send {}, null or \"\" in its place"},
	BodyLeftOut: {ZH: "POST、PUT、PATCH 的正文要参与签名；没有正文的 GET 也不要发送正文",
		EN: "the body of a POST, PUT or PATCH is part of the text; a GET has none, so send none"},
	MultipartBody: {ZH: "文件上传只对 meta 部分的 JSON 签名，不是整个 multipart 正文",
		EN: "an upload signs the JSON of its part meta alone, not the multipart body"},
	JSONWhitespace: marshalOnce, JSONKeyOrder: marshalOnce, JSONSlash: marshalOnce, JSONUnicode: marshalOnce, JSONHTML: marshalOnce,
	JSONNull: marshalOnce, JSONNumber: marshalOnce, JSONString: marshalOnce,
	HTMLEntities: rawBytes, UTF8Twice: {ZH: "全程用 UTF-8，不要按 Latin-1 解码再编码",
		EN: "stay in UTF-8: something decoded the bytes as Latin-1 and encoded them again"},
	PlusInBody: rawBytes,

	PlusInSignature: transport, Base64Alphabet: {ZH: "用标准 Base64（+ 和 /），不是 URL 安全的 - 和 _",
		EN: "use standard Base64 with + and /, not the URL-safe alphabet"},
	Base64Breaks: {ZH: "Base64 不换行：openssl base64 -A，Java 用 getEncoder 而非 getMimeEncoder",
		EN: "Base64 without line breaks: openssl base64 -A; in Java getEncoder, not getMimeEncoder"},
	Base64Padding: {ZH: "保留末尾的 =", EN: "keep the = at the end"}, Base64Escaped: transport,
	DigestAlgorithm: {ZH: "摘要算法用 SHA-256（SHA256withRSA）", EN: "use SHA-256 (SHA256withRSA)"},
	Probe: {ZH: "这是微信支付的签名探测：按验签失败处理（通知应答 4xx/5xx，应答视为结果未知后重试），真实消息会再来",
		EN: "this is a probe of WeChat Pay's: treat it as any wrong signature (answer a notification with 4xx or 5xx, repeat a request); the genuine message follows"},
	SignatureMissing: {ZH: "检查代理、WAF 或框架是否丢弃了 Wechatpay-* 请求头；微信支付的 4xx/5xx 应答、账单和图片下载本来就没有签名",
		EN: "see whether a proxy, WAF or framework drops Wechatpay-* headers; 4xx and 5xx answers, bills and images are not signed at all"},

	MerchantKeyUsed: {ZH: "验证微信支付的签名用微信支付公钥（pub_key.pem）或平台证书，不是商户证书 apiclient_cert.pem",
		EN: "WeChat Pay's signatures are verified with its public key (pub_key.pem) or platform certificate, not with the merchant's apiclient_cert.pem"},
	PlatformKeyUsed: {ZH: "请求由商户私钥签名，用商户证书 apiclient_cert.pem 检查",
		EN: "requests are signed with the merchant's key: check them with apiclient_cert.pem"},
	OtherKey: {ZH: "按 Wechatpay-Serial 选择密钥；请求的 serial_no 要与签名私钥配对",
		EN: "choose the key by Wechatpay-Serial; the serial_no of a request belongs to the key that signs"},
	WrongSerial: {ZH: "公钥模式：在 商户平台 › 账户中心 › API 安全 下载该 ID 的微信支付公钥；证书模式：用 GET /v3/certificates 下载该序列号的平台证书。新旧并存时都保留，按序列号选",
		EN: "public-key mode: download the public key of that id at 商户平台 › 账户中心 › API 安全; certificate mode: GET /v3/certificates. Keep old and new, choose by serial"},
	SerialFormat: {ZH: "serial_no 是 40 位大写十六进制，不带冒号：openssl x509 -in apiclient_cert.pem -noout -serial",
		EN: "serial_no has 40 upper-case hex digits without colons: openssl x509 -in apiclient_cert.pem -noout -serial"},
	PlatformSerial: {ZH: "Authorization 里填商户 API 证书的序列号，不是平台证书序列号或公钥 ID",
		EN: "Authorization takes the serial of the merchant API certificate, not of a platform certificate or public key"},
	MchIDDiffers: {ZH: "Authorization 的 mchid、正文的 mchid（服务商：sp_mchid）和商户证书要是同一个商户",
		EN: "the mchid of Authorization, that of the body (sp_mchid of a service provider) and the certificate belong to one merchant"},

	ClockSkew: {ZH: "校准本机时钟（NTP）；每次重试重新签名。若是保存下来的旧消息，用 --at 给出收到的时间",
		EN: "set the clock (NTP); sign every retry anew. For a message that was saved earlier, say with --at when it arrived"},
	Milliseconds:     {ZH: "时间戳是秒：毫秒要除以 1000", EN: "the timestamp is in seconds: divide milliseconds by 1000"},
	TimestampDiffers: sameVariable, NonceDiffers: sameVariable,

	AuthorizationFormat: {ZH: `格式：WECHATPAY2-SHA256-RSA2048 mchid="…",nonce_str="…",signature="…",timestamp="…",serial_no="…"`,
		EN: `it reads WECHATPAY2-SHA256-RSA2048 mchid="…",nonce_str="…",signature="…",timestamp="…",serial_no="…"`},
	QueryLeftOut: asSent, URLDecoded: asSent, URLEncoding: asSent, HostInURL: asSent,
	PathCase:      {ZH: "路径区分大小写，不要转换", EN: "paths are case-sensitive: don't convert them"},
	MethodDiffers: {ZH: "签名里的方法是实际发送的方法，大写", EN: "sign the method that is sent, in upper case"},
	FinalNewline:  fiveLines, MessageCRLF: fiveLines, LinesSwapped: {ZH: "请求：方法、URL、时间戳、随机串、正文；应答和通知：时间戳、随机串、正文",
		EN: "requests: method, URL, timestamp, nonce, body; answers and notifications: timestamp, nonce, body"},
	LiteralNewline: {ZH: `换行是一个字节 0x0A，不是反斜杠和 n；注意单引号字符串里的 \n 不会转义`,
		EN: `a line end is the byte 0x0A, not a backslash and an n; \n within single quotes often stays as it is`},

	SignTypeMixed: {ZH: "sign_type 缺省为 MD5；用 HMAC-SHA256 时下单、调起支付和验签都要用它",
		EN: "sign_type is MD5 where left out; with HMAC-SHA256 use it for the order, for the phone and to verify"},
	PlainSHA256: {ZH: "HMAC-SHA256 以 API 密钥为 HMAC 的 key，不是普通 SHA-256",
		EN: "HMAC-SHA256 takes the API key as the HMAC's key; it is not plain SHA-256"},
	EmptyValues:     {ZH: "值为空的参数不参与签名", EN: "parameters with an empty value are not signed"},
	SignTypeRemoved: allFields, FieldsLeftOut: allFields,
	ZeroDropped:  {ZH: `"0" 不是空值，要参与签名`, EN: `"0" is not empty: it is signed`},
	LeadingZeros: rawValues, URLEncodedValue: rawValues, XMLEscapedValue: rawValues, ValueBlanks: rawValues,
	NameCase: {ZH: "参数名区分大小写：调起支付用 appId、timeStamp，服务端接口用 appid",
		EN: "names are case-sensitive: appId and timeStamp on the phone, appid in the server API"},
	Unsorted: {ZH: "按参数名的 ASCII 字节序排序（大写在小写前）", EN: "sort by name, byte by byte: upper case comes before lower case"},
	KeyCase:  apiKeyPage, KeyBlanks: apiKeyPage, KeyLeftOut: {ZH: "末尾拼接 &key=API密钥 再计算",
		EN: "append &key= and the API key before hashing"},
	UnsignedByKind: {ZH: "这类消息本来没有签名：return_code 为 FAIL 的应答；退款通知用 fenhao decrypt 解密 req_info，再用查询接口核实",
		EN: "such a message has no sign: an answer with return_code FAIL; a refund notification, whose req_info is read with fenhao decrypt and confirmed by a query"},
}

// Codes returns every code, sorted.
func Codes() []Code {
	var codes []Code
	for c := range remedies {
		codes = append(codes, c)
	}
	slices.SortFunc(codes, func(a, b Code) int { return strings.Compare(string(a), string(b)) })
	return codes
}

func decodeRune(s string) (rune, int) { return utf8.DecodeRuneInString(s) }
