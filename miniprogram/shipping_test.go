package miniprogram_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenhao-pay/fenhao/miniprogram"
)

const uploadPath = "/wxa/sec/order/upload_shipping_info"

// virtual is a valid upload for the payment 4200000001.
func virtual() miniprogram.ShippingInfo {
	return miniprogram.ShippingInfo{
		Order: miniprogram.OrderKey{TransactionID: "4200000001"}, Logistics: miniprogram.LogisticsVirtual, OpenID: openID,
		Items: []miniprogram.ShippingItem{{Description: "月卡 <1 & 2>"}},
	}
}

func express() miniprogram.ShippingInfo {
	s := virtual()
	s.Logistics = miniprogram.LogisticsExpress
	s.Items = []miniprogram.ShippingItem{{Description: "抱枕*1", TrackingNo: "SF1", Company: "SF", ReceiverContact: "189****1234"}}
	return s
}

func TestShippingOfAnOrder(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.pay(&fakePayment{transaction: "4200000001", merchant: "1900000001", outTradeNo: "no-1", openID: openID, knownAt: f.clock.now().Add(30 * time.Second)})
	c := f.client()
	upload := func(s miniprogram.ShippingInfo, want error, reaction miniprogram.Reaction) {
		t.Helper()
		err := c.UploadShippingInfo(t.Context(), s)
		if !errors.Is(err, want) || miniprogram.ReactionTo(err) != reaction {
			t.Errorf("UploadShippingInfo: %v (%s), want %v (%s)", err, miniprogram.ReactionTo(err), want, reaction)
		}
	}
	order := func(state miniprogram.OrderState, finishes int) miniprogram.ShippingOrder {
		t.Helper()
		o, err := c.GetOrder(t.Context(), miniprogram.OrderKey{MerchantID: "1900000001", OutTradeNo: "no-1"})
		if err != nil || o.State != state || o.Shipping.Finishes != finishes || o.Shipping.Finished != (finishes > 0) {
			t.Errorf("GetOrder = %+v, %v", o, err)
		}
		return o
	}

	upload(virtual(), miniprogram.CodeShippingOrderNotFound, miniprogram.ReactionWait)
	if _, err := c.GetOrder(t.Context(), virtual().Order); !errors.Is(err, miniprogram.CodeShippingOrderNotFound) {
		t.Error(err)
	}
	f.clock.advance(30 * time.Second)
	o := order(miniprogram.OrderToShip, 0)
	if o.TransactionID != "4200000001" || o.Paid != 998 || !o.PaidAt.Equal(start) || !o.CreatedAt.IsZero() || o.OpenID != openID || o.Shipping.Parcels != nil {
		t.Errorf("GetOrder = %+v", o)
	}
	stranger := virtual()
	stranger.OpenID = "oSomebodyElse"
	upload(stranger, miniprogram.CodeOrderOfAnotherUser, miniprogram.ReactionAlert)

	upload(express(), nil, miniprogram.ReactionNone)
	uploaded := f.clock.now()
	o = order(miniprogram.OrderShipped, 1)
	want := []miniprogram.Parcel{{TrackingNo: "SF1", Company: "SF", Description: "抱枕*1", UploadedAt: uploaded.UTC(), ReceiverContact: "189****1234"}}
	if !slices.Equal(o.Shipping.Parcels, want) || o.Shipping.Logistics != miniprogram.LogisticsExpress || o.Shipping.Delivery != miniprogram.DeliveryUnified {
		t.Errorf("shipping = %+v", o.Shipping)
	}
	upload(express(), miniprogram.CodeShippingUnchanged, miniprogram.ReactionDone) // the same again
	f.clock.advance(time.Hour)
	upload(virtual(), nil, miniprogram.ReactionNone) // shipped again, once
	order(miniprogram.OrderShipped, 2)
	f.clock.advance(time.Hour)
	upload(express(), miniprogram.CodeReshipUsed, miniprogram.ReactionTerminal)
	f.payments["4200000001"].state = 5
	upload(express(), miniprogram.CodeNotShippable, miniprogram.ReactionQuery)
	order(miniprogram.OrderRefunded, 2)
}

func TestShippingInParcels(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.pay(&fakePayment{transaction: "4200000001", merchant: "1900000001", outTradeNo: "no-1", openID: openID})
	c := f.client()
	s := express()
	s.Delivery = miniprogram.DeliverySplit
	for i, all := range []bool{false, true} {
		s.AllDelivered = all
		s.Items = append(s.Items, miniprogram.ShippingItem{Description: "灯", TrackingNo: fmt.Sprint("ZTO", i), Company: "ZTO"})
		if err := c.UploadShippingInfo(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		o, err := c.GetOrder(t.Context(), s.Order)
		if err != nil || o.Shipping.Finished != all || len(o.Shipping.Parcels) != i+2 || (o.State == miniprogram.OrderShipped) != all {
			t.Errorf("GetOrder = %+v, %v", o, err)
		}
		f.clock.advance(time.Second)
	}
	// The reminder, once.
	key := miniprogram.OrderKey{TransactionID: "4200000001"}
	for _, x := range []struct {
		at       time.Time
		want     error
		reaction miniprogram.Reaction
	}{
		{start.Add(-time.Hour), miniprogram.CodeInvalidReceivedTime, miniprogram.ReactionTerminal}, {f.clock.now(), nil, miniprogram.ReactionNone},
		{f.clock.now(), miniprogram.CodeConfirmReminderUsed, miniprogram.ReactionTerminal},
	} {
		if err := c.NotifyConfirmReceive(t.Context(), key, x.at); !errors.Is(err, x.want) || miniprogram.ReactionTo(err) != x.reaction {
			t.Errorf("NotifyConfirmReceive: %v, want %v", err, x.want)
		}
	}
}

func TestShippingOfACombinedOrder(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.client()
	s := miniprogram.CombinedShippingInfo{Order: miniprogram.OrderKey{MerchantID: "1900000001", OutTradeNo: "all"}, OpenID: openID, UploadTime: start}
	for _, no := range []string{"1", "2"} {
		f.pay(&fakePayment{transaction: "420000000" + no, merchant: "1900000001", outTradeNo: "no-" + no, openID: openID})
		s.SubOrders = append(s.SubOrders, miniprogram.SubOrder{
			Order:     miniprogram.OrderKey{MerchantID: "1800000001", SubMerchantID: "1900000001", OutTradeNo: "no-" + no},
			Logistics: miniprogram.LogisticsPickUp, Items: []miniprogram.ShippingItem{{Description: "灯"}},
		})
	}
	if err := c.UploadCombinedShippingInfo(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	want := `{"order_key":{"order_number_type":1,"mchid":"1900000001","out_trade_no":"all"},"sub_orders":[` +
		`{"order_key":{"order_number_type":1,"mchid":"1900000001","out_trade_no":"no-1"},"logistics_type":4,"delivery_mode":1,"shipping_list":[{"item_desc":"灯"}]},` +
		`{"order_key":{"order_number_type":1,"mchid":"1900000001","out_trade_no":"no-2"},"logistics_type":4,"delivery_mode":1,"shipping_list":[{"item_desc":"灯"}]}],` +
		`"upload_time":"2026-11-20T16:00:00.000+08:00","payer":{"openid":"` + openID + `"}}`
	if got := f.lastBody(); got != want {
		t.Errorf("the request is\n%s, want\n%s", got, want)
	}
	mixed := s
	mixed.SubOrders = slices.Clone(s.SubOrders)
	mixed.SubOrders[1].Order = miniprogram.OrderKey{TransactionID: "4200000002"}
	none := s
	none.SubOrders = nil
	broken := s
	broken.SubOrders = slices.Clone(s.SubOrders)
	broken.SubOrders[1].Items = []miniprogram.ShippingItem{{}}
	for field, bad := range map[string]miniprogram.CombinedShippingInfo{
		"sub_orders[1].order_key.order_number_type": mixed, "sub_orders": none, "sub_orders[1].shipping_list[0].item_desc": broken,
		"order_key.transaction_id": {}, "payer.openid": {Order: s.Order, SubOrders: s.SubOrders},
		"upload_time": {Order: s.Order, SubOrders: s.SubOrders, OpenID: openID, UploadTime: time.Unix(0, 0)},
	} {
		var mistake *miniprogram.RequestError
		if err := c.UploadCombinedShippingInfo(t.Context(), bad); !errors.As(err, &mistake) || mistake.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// What is absent is left out, and nothing is null or empty: WeChat answers such with 47001.
func TestUploadsOnTheWire(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.client()
	split := express()
	split.Delivery = miniprogram.DeliverySplit
	byNumber := virtual()
	byNumber.Order = miniprogram.OrderKey{MerchantID: "1900000001", OutTradeNo: "no|1*_-a"}
	byNumber.UploadTime = time.Date(2022, 12, 15, 5, 29, 35, 120e6, time.UTC)
	for name, x := range map[string]struct {
		s    miniprogram.ShippingInfo
		want string
	}{
		"virtual": {virtual(), `{"order_key":{"order_number_type":2,"transaction_id":"4200000001"},"logistics_type":3,"delivery_mode":1,` +
			`"shipping_list":[{"item_desc":"月卡 <1 & 2>"}],"upload_time":"2026-11-20T16:00:00.000+08:00","payer":{"openid":"` + openID + `"}}`},
		"by number": {byNumber, `{"order_key":{"order_number_type":1,"mchid":"1900000001","out_trade_no":"no|1*_-a"},"logistics_type":3,"delivery_mode":1,` +
			`"shipping_list":[{"item_desc":"月卡 <1 & 2>"}],"upload_time":"2022-12-15T13:29:35.120+08:00","payer":{"openid":"` + openID + `"}}`},
		"split": {split, `{"order_key":{"order_number_type":2,"transaction_id":"4200000001"},"logistics_type":1,"delivery_mode":2,"is_all_delivered":false,` +
			`"shipping_list":[{"tracking_no":"SF1","express_company":"SF","item_desc":"抱枕*1","contact":{"receiver_contact":"189****1234"}}],` +
			`"upload_time":"2026-11-20T16:00:00.000+08:00","payer":{"openid":"` + openID + `"}}`},
	} {
		if err := c.UploadShippingInfo(t.Context(), x.s); !errors.Is(err, miniprogram.CodeShippingOrderNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if got := f.lastBody(); got != x.want {
			t.Errorf("%s: the request is\n%s, want\n%s", name, got, x.want)
		}
	}
}

func TestShippingMistakesAreFoundBeforeARequest(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.client()
	item := func(change func(*miniprogram.ShippingItem)) func(*miniprogram.ShippingInfo) {
		return func(s *miniprogram.ShippingInfo) { change(&s.Items[0]) }
	}
	parcels := func(n int) func(*miniprogram.ShippingInfo) {
		return func(s *miniprogram.ShippingInfo) {
			s.Delivery = miniprogram.DeliverySplit
			s.Items = slices.Repeat(s.Items[:1], n)
		}
	}
	for _, x := range []struct {
		name, field string
		code        miniprogram.ErrCode // 0: it is accepted
		change      func(*miniprogram.ShippingInfo)
	}{
		{"nothing", "", 0, func(*miniprogram.ShippingInfo) {}},
		{"no order", "order_key.transaction_id", miniprogram.CodeInvalidTransactionID, func(s *miniprogram.ShippingInfo) { s.Order = miniprogram.OrderKey{} }},
		{"strange transaction", "order_key.transaction_id", miniprogram.CodeInvalidTransactionID, func(s *miniprogram.ShippingInfo) { s.Order.TransactionID = "4 2" }},
		{"no merchant", "order_key.mchid", miniprogram.CodeInvalidMerchantID, func(s *miniprogram.ShippingInfo) { s.Order = miniprogram.OrderKey{OutTradeNo: "1"} }},
		{"no number", "order_key.out_trade_no", miniprogram.CodeInvalidOutTradeNo, func(s *miniprogram.ShippingInfo) { s.Order = miniprogram.OrderKey{MerchantID: "1"} }},
		{"long number", "order_key.out_trade_no", miniprogram.CodeInvalidOutTradeNo, func(s *miniprogram.ShippingInfo) {
			s.Order = miniprogram.OrderKey{MerchantID: "1", OutTradeNo: strings.Repeat("1", 33)}
		}},
		{"strange sub-merchant", "order_key.sub_mchid", miniprogram.CodeInvalidMerchantID, func(s *miniprogram.ShippingInfo) {
			s.Order = miniprogram.OrderKey{MerchantID: "1", SubMerchantID: "x", OutTradeNo: "1"}
		}},
		{"no logistics", "logistics_type", miniprogram.CodeInvalidLogistics, func(s *miniprogram.ShippingInfo) { s.Logistics = 0 }},
		{"logistics 5", "logistics_type", miniprogram.CodeInvalidLogistics, func(s *miniprogram.ShippingInfo) { s.Logistics = 5 }},
		{"delivery 3", "delivery_mode", miniprogram.CodeInvalidDeliveryMode, func(s *miniprogram.ShippingInfo) { s.Delivery = 3 }},
		{"split pick-up", "delivery_mode", miniprogram.CodeSplitNotExpress, func(s *miniprogram.ShippingInfo) {
			s.Delivery, s.Logistics = miniprogram.DeliverySplit, miniprogram.LogisticsPickUp
		}},
		{"unified, no item", "shipping_list", miniprogram.CodeUnifiedNeedsOneItem, func(s *miniprogram.ShippingInfo) { s.Items = nil }},
		{"unified, two items", "shipping_list", miniprogram.CodeUnifiedNeedsOneItem, func(s *miniprogram.ShippingInfo) { s.Items = slices.Repeat(s.Items, 2) }},
		{"split, no item", "shipping_list", miniprogram.CodeInvalidShippingParameter, parcels(0)},
		{"split, 15 items", "", 0, parcels(15)},
		{"split, 16 items", "shipping_list", miniprogram.CodeShippingListTooLong, parcels(16)},
		{"no tracking number", "shipping_list[0].tracking_no", miniprogram.CodeTrackingNoMissing, item(func(i *miniprogram.ShippingItem) { i.TrackingNo = "" })},
		{"128 bytes", "", 0, item(func(i *miniprogram.ShippingItem) { i.TrackingNo = strings.Repeat("1", 128) })},
		{"129 bytes", "shipping_list[0].tracking_no", miniprogram.CodeTrackingNoTooLong, item(func(i *miniprogram.ShippingItem) { i.TrackingNo = strings.Repeat("1", 129) })},
		{"129 bytes of characters", "shipping_list[0].tracking_no", miniprogram.CodeTrackingNoTooLong, item(func(i *miniprogram.ShippingItem) { i.TrackingNo = strings.Repeat("单", 43) })},
		{"no company", "shipping_list[0].express_company", miniprogram.CodeExpressCompanyMissing, item(func(i *miniprogram.ShippingItem) { i.Company = "" })},
		{"long company", "shipping_list[0].express_company", miniprogram.CodeExpressCompanyTooLong, item(func(i *miniprogram.ShippingItem) { i.Company = strings.Repeat("S", 129) })},
		{"no description", "shipping_list[0].item_desc", miniprogram.CodeItemDescriptionEmpty, item(func(i *miniprogram.ShippingItem) { i.Description = "" })},
		{"blanks", "shipping_list[0].item_desc", miniprogram.CodeItemDescriptionEmpty, item(func(i *miniprogram.ShippingItem) { i.Description = " \n" })},
		{"120 characters", "", 0, item(func(i *miniprogram.ShippingItem) { i.Description = strings.Repeat("灯", 120) })},
		{"121 characters", "shipping_list[0].item_desc", miniprogram.CodeItemDescriptionTooLong, item(func(i *miniprogram.ShippingItem) { i.Description = strings.Repeat("灯", 121) })},
		{"no UTF-8", "shipping_list[0].item_desc", miniprogram.CodeDataFormat, item(func(i *miniprogram.ShippingItem) { i.Description = "\xff" })},
		{"SF without a contact", "shipping_list[0].contact", miniprogram.CodeInvalidShippingParameter, item(func(i *miniprogram.ShippingItem) { i.ReceiverContact = "" })},
		{"SF with the sender's", "", 0, item(func(i *miniprogram.ShippingItem) { i.ReceiverContact, i.ConsignorContact = "", "+86-177****1234" })},
		{"others without", "", 0, item(func(i *miniprogram.ShippingItem) { i.ReceiverContact, i.Company = "", "ZTO" })},
		{"not masked", "shipping_list[0].contact.receiver_contact", miniprogram.CodeInvalidShippingParameter, item(func(i *miniprogram.ShippingItem) { i.ReceiverContact = "18912341234" })},
		{"masked at the end", "shipping_list[0].contact.consignor_contact", miniprogram.CodeInvalidShippingParameter, item(func(i *miniprogram.ShippingItem) { i.ConsignorContact = "1891234****" })},
		{"a name", "shipping_list[0].contact.receiver_contact", miniprogram.CodeInvalidShippingParameter, item(func(i *miniprogram.ShippingItem) { i.ReceiverContact = "张*1234" })},
		{"no openid", "payer.openid", miniprogram.CodeInvalidOpenID, func(s *miniprogram.ShippingInfo) { s.OpenID = "" }},
		{"long openid", "payer.openid", miniprogram.CodeInvalidOpenID, func(s *miniprogram.ShippingInfo) { s.OpenID = strings.Repeat("o", 129) }},
		{"year 1970", "upload_time", miniprogram.CodeInvalidUploadTime, func(s *miniprogram.ShippingInfo) { s.UploadTime = time.Unix(0, 0) }},
		{"year 10000", "upload_time", miniprogram.CodeInvalidUploadTime, func(s *miniprogram.ShippingInfo) { s.UploadTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
	} {
		s := express()
		x.change(&s)
		before := f.count(uploadPath)
		err := c.UploadShippingInfo(t.Context(), s)
		sent := f.count(uploadPath) - before
		if x.code == 0 {
			if sent != 1 || !errors.Is(err, miniprogram.CodeShippingOrderNotFound) {
				t.Errorf("%s: %v, %d requests", x.name, err, sent)
			}
			continue
		}
		var mistake *miniprogram.RequestError
		if !errors.As(err, &mistake) || mistake.Field != x.field || !errors.Is(err, x.code) || errors.Is(err, miniprogram.CodeSystemBusy) || sent != 0 ||
			miniprogram.ReactionTo(err) != miniprogram.ReactionBug || mistake.Hint("zh") == mistake.Hint("en") {
			t.Errorf("%s: %v, %d requests; want %s, %v", x.name, err, sent, x.field, x.code)
		}
	}
}

func TestMaskPhone(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"18912341234": "189****1234", "+86-17712341234": "+86-177****1234", "12345678": "****5678", "1234567": "", "": "", "张12345678": "", "1891234****": "",
	} {
		if got := miniprogram.MaskPhone(number); got != want {
			t.Errorf("MaskPhone(%q) = %q, want %q", number, got, want)
		}
	}
}

func TestGetOrderList(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for i := range 7 {
		f.pay(&fakePayment{transaction: fmt.Sprint("420000000", i), merchant: "1900000001", outTradeNo: fmt.Sprint("no-", i), openID: openID})
	}
	f.payments["4200000003"].state = 2
	c := f.client()
	list := func(filter miniprogram.OrderFilter) (ids []string) {
		for o, err := range c.GetOrderList(t.Context(), filter) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, o.TransactionID[9:])
		}
		return ids
	}
	const path = "/wxa/sec/order/get_order_list"
	for _, x := range []struct {
		filter miniprogram.OrderFilter
		want   string
		pages  int
	}{
		{miniprogram.OrderFilter{}, "[0 1 2 3 4 5 6]", 1}, {miniprogram.OrderFilter{PageSize: 3}, "[0 1 2 3 4 5 6]", 3},
		{miniprogram.OrderFilter{State: miniprogram.OrderShipped}, "[3]", 1}, {miniprogram.OrderFilter{OpenID: "oNobody"}, "[]", 1},
	} {
		before := f.count(path)
		if got := fmt.Sprint(list(x.filter)); got != x.want || f.count(path)-before != x.pages {
			t.Errorf("%+v: %s in %d pages, want %s in %d", x.filter, got, f.count(path)-before, x.want, x.pages)
		}
	}
	before := f.count(path)
	for range c.GetOrderList(t.Context(), miniprogram.OrderFilter{PageSize: 2}) {
		break
	}
	if got := f.count(path) - before; got != 1 {
		t.Errorf("%d pages were asked for, and one order looked at", got)
	}
	list(miniprogram.OrderFilter{PaidFrom: start, PaidTo: start.Add(time.Hour), PageSize: 50})
	if want := fmt.Sprintf(`{"pay_time_range":{"begin_time":%d,"end_time":%d},"page_size":50}`, start.Unix(), start.Unix()+3600); f.lastBody() != want {
		t.Errorf("the request is %s, want %s", f.lastBody(), want)
	}
	list(miniprogram.OrderFilter{})
	if f.lastBody() != `{}` {
		t.Errorf("the request is %s, want {}", f.lastBody())
	}
	for name, x := range map[string]miniprogram.OrderFilter{
		"page_size": {PageSize: 101}, "page_size ": {PageSize: -1}, "pay_time_range": {PaidFrom: start, PaidTo: start.Add(-1 * time.Hour)}, "openid": {OpenID: "?"}, "order_state": {State: -1},
	} {
		n := 0
		for _, err := range c.GetOrderList(t.Context(), x) {
			var mistake *miniprogram.RequestError
			if n++; !errors.As(err, &mistake) || mistake.Field != strings.TrimSpace(name) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d times", name, n)
		}
	}
}

// A list that has more and doesn't say from where would be asked for without end.
func TestGetOrderListEnds(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"errcode":0,"order_list":[],"has_more":true}`, `{"errcode":0,"order_list":[],"last_index":"x","has_more":true}`} {
		n := 0
		var last error
		for _, err := range answeringAPI(t, body).GetOrderList(t.Context(), miniprogram.OrderFilter{}) {
			n++
			last = err
		}
		if n != 1 || !errors.Is(last, miniprogram.ErrNoAnswer) {
			t.Errorf("%s: %d orders, %v", body, n, last)
		}
	}
}

func TestOrdersThatAreNone(t *testing.T) {
	t.Parallel()
	const good = `{"transaction_id":"4200000001","merchant_trade_no":"no-1","paid_amount":998,"order_state":6,"pay_time":1671110975}`
	key := miniprogram.OrderKey{TransactionID: "4200000001"}
	if o, err := answeringAPI(t, `{"order":`+good+`}`).GetOrder(t.Context(), key); err != nil || o.State != miniprogram.OrderUnsettled || o.Paid != 998 {
		t.Errorf("%+v, %v", o, err)
	}
	for name, change := range map[string][2]string{
		"another":        {"4200000001", "4200000002"},
		"no amount":      {`"paid_amount":998,`, ``},
		"amount in yuan": {"998", "9.98"},
		"negative":       {"998", "-1"},
		"null amount":    {"998", "null"},
		"no state":       {`"order_state":6,`, ``},
		"state a text":   {`:6`, `:"6"`},
		"strange time":   {"1671110975", `"soon"`},
	} {
		body := `{"errcode":0,"order":` + strings.Replace(good, change[0], change[1], 1) + `}`
		if o, err := answeringAPI(t, body).GetOrder(t.Context(), key); !errors.Is(err, miniprogram.ErrNoAnswer) || o.TransactionID != "" {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	if _, err := answeringAPI(t, `{"order":`+good+`}`).GetOrder(t.Context(), miniprogram.OrderKey{MerchantID: "1", OutTradeNo: "no-2"}); !errors.Is(err, miniprogram.ErrNoAnswer) {
		t.Errorf("another number: %v", err)
	}
}

func TestTradeManagement(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.client()
	if got, err := c.IsTradeManaged(t.Context()); err != nil || !got || f.lastBody() != `{"appid":"`+appID+`"}` {
		t.Errorf("IsTradeManaged = %t, %v", got, err)
	}
	if got, err := c.IsTradeManagementConfirmationCompleted(t.Context()); err != nil || got || f.lastBody() != `{"appid":"`+appID+`"}` {
		t.Errorf("IsTradeManagementConfirmationCompleted = %t, %v", got, err)
	}
	for _, body := range []string{`{"errcode":0}`, `{"errcode":0,"is_trade_managed":1}`, `{"errcode":0,"is_trade_managed":null}`, `{"errcode":0,"is_trade_managed":"true"}`} {
		if got, err := answeringAPI(t, body).IsTradeManaged(t.Context()); !errors.Is(err, miniprogram.ErrNoAnswer) || got {
			t.Errorf("%s: %t, %v", body, got, err)
		}
	}
}

func TestPathsAndSpecialOrders(t *testing.T) {
	t.Parallel()
	var sent []string
	c := newClient(t, "http://wechat.invalid", miniprogram.WithHTTPClient(&http.Client{Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == tokenPath {
			_, _ = fmt.Fprint(w, `{"access_token":"`+accessToken+`","expires_in":7200}`)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sent = append(sent, strings.TrimPrefix(r.URL.Path, "/wxa/sec/order/")+" "+string(body))
		_, _ = fmt.Fprint(w, `{"errcode":0,"errmsg":"ok"}`)
	})}}))
	late := start.AddDate(0, 0, 330)
	report := func(s miniprogram.SpecialOrder) error { return c.ReportSpecialOrder(t.Context(), s) }
	for want, err := range map[string]error{
		`set_msg_jump_path {"path":"pages/order/order?a=1"}`:                                c.SetMsgJumpPath(t.Context(), "pages/order/order?a=1"),
		`update_order_detail_path {"path":"pages/o?no=${商品订单号}&a=1"}`:                       c.UpdateOrderDetailPath(t.Context(), "pages/o?no=${商品订单号}&a=1"),
		`opspecialorder {"order_id":"42","type":2}`:                                         report(miniprogram.SpecialOrder{OrderID: "42", Type: miniprogram.SpecialOrderTest, DelayTo: late}),
		fmt.Sprintf(`opspecialorder {"order_id":"42","type":1,"delay_to":%d}`, late.Unix()): report(miniprogram.SpecialOrder{OrderID: "42", Type: miniprogram.SpecialOrderPreSale, DelayTo: late}),
	} {
		if err != nil || !slices.Contains(sent, want) {
			t.Errorf("%s: %v, sent %q", want, err, sent)
		}
	}
	n := len(sent)
	for name, x := range map[string]struct {
		err  error
		want miniprogram.ErrCode
	}{
		"no path":         {c.SetMsgJumpPath(t.Context(), ""), miniprogram.CodeInvalidPath},
		"an address":      {c.SetMsgJumpPath(t.Context(), "https://example.com/pages"), miniprogram.CodeInvalidPath},
		"two lines":       {c.SetMsgJumpPath(t.Context(), "pages/a\nb"), miniprogram.CodeInvalidPath},
		"no number":       {c.UpdateOrderDetailPath(t.Context(), "pages/o?no=1"), miniprogram.CodeInvalidPath},
		"no order":        {report(miniprogram.SpecialOrder{Type: miniprogram.SpecialOrderTest}), miniprogram.CodeSpecialOrderNotFound},
		"no type":         {report(miniprogram.SpecialOrder{OrderID: "42"}), miniprogram.CodeInvalidSpecialOrderType},
		"no delay":        {report(miniprogram.SpecialOrder{OrderID: "42", Type: miniprogram.SpecialOrderPreSale}), miniprogram.CodeInvalidSpecialOrderDelay},
		"331 days":        {report(miniprogram.SpecialOrder{OrderID: "42", Type: miniprogram.SpecialOrderPreSale, DelayTo: late.Add(time.Second)}), miniprogram.CodeInvalidSpecialOrderDelay},
		"received before": {c.NotifyConfirmReceive(t.Context(), miniprogram.OrderKey{TransactionID: "42"}, time.Time{}), miniprogram.CodeInvalidReceivedTime},
	} {
		if !errors.Is(x.err, x.want) || miniprogram.ReactionTo(x.err) != miniprogram.ReactionBug {
			t.Errorf("%s: %v, want %v", name, x.err, x.want)
		}
	}
	if len(sent) != n {
		t.Errorf("sent %q", sent[n:])
	}
}

// Every code and what it calls for, written down a second time.
func TestReactions(t *testing.T) {
	t.Parallel()
	want := map[miniprogram.Reaction][]miniprogram.ErrCode{
		miniprogram.ReactionRetry:     {-1, 10060012, 10060019, 45009, 45011, 44990},
		miniprogram.ReactionWait:      {10060001},
		miniprogram.ReactionDone:      {10060002, 10060023},
		miniprogram.ReactionQuery:     {10060004},
		miniprogram.ReactionAlert:     {10060031},
		miniprogram.ReactionConfigure: {10060035, 48001, 61003, 61004, 61011, 40001, 40014, 42001, 40013, 40125, 40164, 89503, 89506, 89507, 89002},
		miniprogram.ReactionTerminal:  {10060003, 10060028, 10060029, 10060030, 10060032, 268486048, 40029, 40163, 40226, 50002, 1, 87007, 87009, 89300},
		miniprogram.ReactionBug: {10060005, 10060006, 10060007, 10060008, 10060009, 10060020, 10060011, 10060014, 10060024, 10060025, 10060026,
			268485194, 268485195, 268485196, 268485197, 268485216, 268485224, 268485226, 268485227, 268485228, 268546000, 268546001, 268546002,
			40097, 40003, 40066, 41001, 41002, 41004, 41008, 43002, 44002, 47001, 87008},
	}
	n := 0
	for reaction, codes := range want {
		n += len(codes)
		for _, c := range codes {
			err := fmt.Errorf("upload: %w", &miniprogram.Error{Code: c})
			if c.Reaction() != reaction || miniprogram.ReactionTo(err) != reaction {
				t.Errorf("%d: %s, want %s", c, c.Reaction(), reaction)
			}
		}
	}
	if n != len(miniprogram.Codes()) {
		t.Errorf("the table has %d codes, the package %d", n, len(miniprogram.Codes()))
	}
	if got := miniprogram.ErrCode(99999).Reaction(); got != miniprogram.ReactionTerminal {
		t.Errorf("an unknown code: %s", got)
	}
	if got := miniprogram.ReactionTo(errors.New("x")); got != miniprogram.ReactionTerminal {
		t.Errorf("a strange error: %s", got)
	}
	if got := miniprogram.ReactionTo(nil); got != miniprogram.ReactionNone {
		t.Errorf("nil: %s", got)
	}
}
