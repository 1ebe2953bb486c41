package apiv2_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// An order without a network: signed, written, read, verified, and signed again for the phone.
func BenchmarkUnifiedOrder(b *testing.B) {
	body := prepaid(request{}).signed("HMAC-SHA256").xml()
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		_, err := io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}, err
	})
	client, err := apiv2.NewClient(config(), apiv2.WithHTTPClient(&http.Client{Transport: transport, Timeout: 15 * time.Second}), apiv2.WithClock(func() time.Time { return start }))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		placed, err := client.UnifiedOrder(b.Context(), order())
		if err == nil {
			_, err = client.PayParameters("", placed.PrepayID)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePayment(b *testing.B) {
	client := listening(b, config())
	body := []byte(paid().signed("HMAC-SHA256").xml())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.ParsePayment(body); err != nil {
			b.Fatal(err)
		}
	}
}
