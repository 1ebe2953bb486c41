package apiv2_test

import (
	"errors"
	"testing"

	"github.com/fenhao-pay/fenhao/wechatpay/apiv2"
)

// A service provider signs with its own key for all of its sub merchants, so that whose order it is must be looked at.
func TestServiceProvider(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	client := newClient(t, f, config()).For(apiv2.SubMerchant{ID: "1900000002", AppID: "wx0000000000000002"})
	theirs := paid().with(m{"sub_mch_id": "1900000002", "sub_appid": "wx0000000000000002", "sub_openid": "oSub", "trade_state": "SUCCESS"})
	f.set(func(request) m { return theirs })
	got, err := client.QueryOrder(t.Context(), "ORDER-000001")
	if err != nil || got.MerchantID != "1900000002" || got.ProviderID != merchantID || got.SubAppID != "wx0000000000000002" || got.PayerSubOpenID != "oSub" || got.AppID != appID {
		t.Errorf("%+v, %v", got, err)
	}
	if r := f.last(); r.fields["sub_mch_id"] != "1900000002" || r.fields["sub_appid"] != "wx0000000000000002" || r.fields["mch_id"] != merchantID {
		t.Errorf("sent %+v", r)
	}
	for name, change := range map[string]m{"another sub merchant": {"sub_mch_id": "1900000003"}, "none": {"sub_mch_id": ""}} {
		f.set(func(request) m { return theirs.with(change) })
		if got, err := client.QueryOrder(t.Context(), "ORDER-000001"); !errors.Is(err, apiv2.ErrUncertain) || got != nil {
			t.Errorf("%s: %+v, %v, want ErrUncertain", name, got, err)
		}
	}
	// Notifications of all sub merchants come to one address.
	n, err := client.ParsePayment([]byte(theirs.with(m{"sub_mch_id": "1900000003"}).signed("HMAC-SHA256").xml()))
	if err != nil || n.MerchantID != "1900000003" || n.ProviderID != merchantID {
		t.Errorf("%+v, %v", n, err)
	}
	hint, err := client.ParseRefundHint([]byte(refundNotification(keyText, refunded().root()).with(m{"sub_mch_id": "1900000003"}).xml()))
	if err != nil || hint.MerchantID != "1900000003" || hint.ProviderID != merchantID {
		t.Errorf("%+v, %v", hint, err)
	}
	// The client that it was made from acts for itself.
	f.set(prepaid)
	if _, err := newClient(t, f, config()).UnifiedOrder(t.Context(), order()); err != nil || f.last().fields["sub_mch_id"] != "" {
		t.Errorf("%v, sent %v", err, f.last())
	}
}
