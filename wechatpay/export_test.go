package wechatpay

import "github.com/fenhao-pay/fenhao/wechatpay/internal/transport"

// For the published examples whose AES keys have 16 bytes, and for fuzzing what is not reached otherwise.
var (
	OpenCertificates  = openCertificates
	ReadNotification  = readNotification
	ReadSignature     = readSignature
	ParseErrorAnswer  = parseError
	StrictUnmarshal   = strictUnmarshal
	ParseTransaction  = parseTransaction
	NormalCode        = normalCode
	MaxAnswer         = maxAnswer
	NewTransport      = transport.New
	FormatTimeBeijing = formatTime

	ParseRefundNotification = parseRefundNotification
	ParseCombined           = parseCombined
)

// Encode is the body that Prepay would send.
func (c *Client) Encode(r PrepayRequest) ([]byte, error) { return c.encodeOrder(productJSAPI, r) }

// OpenGCM decrypts with a key of any length that AES knows.
func OpenGCM(key []byte, nonce, associatedData, ciphertext string) ([]byte, error) {
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	return openGCM(aead, nonce, associatedData, ciphertext)
}
