package wechatpay

// For the published examples whose AES keys have 16 bytes, and for fuzzing what is not reached otherwise.
var (
	OpenGCM           = openGCM
	OpenCertificates  = openCertificates
	ReadNotification  = readNotification
	ReadSignature     = readSignature
	ParseErrorAnswer  = parseError
	StrictUnmarshal   = strictUnmarshal
	ParseTransaction  = parseTransaction
	NormalCode        = normalCode
	MaxAnswer         = maxAnswer
	NewTransport      = newTransport
	FormatTimeBeijing = formatTime

	ParseRefundNotification = parseRefundNotification
	ParseCombined           = parseCombined
)

// Encode is the body that Prepay would send.
func (c *Client) Encode(r PrepayRequest) ([]byte, error) { return c.encodeOrder(productJSAPI, r) }
