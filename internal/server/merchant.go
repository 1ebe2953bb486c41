package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fenhao-pay/fenhao/internal/pay"
	"github.com/fenhao-pay/fenhao/money"
)

type keyKey struct{}

// keyOf is the API key that the request carries; only operations behind the key middleware call it.
func keyOf(ctx context.Context) pay.APIKey { return ctx.Value(keyKey{}).(pay.APIKey) }

type amountInput struct {
	Total    money.Fen `json:"total" minimum:"1" doc:"fen 分"`
	Currency string    `json:"currency" enum:"CNY"`
}

// merchant is what a holder of an API key may do.
func (s *Server) merchant(api huma.API) {
	operation := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{"merchant 商户"},
			Middlewares: huma.Middlewares{behind(s, api, keyKey{}, s.cashier.AuthenticateKey)}, Security: []map[string][]string{{"apiKey": {}}}}
	}

	register(api, operation("create-order", http.MethodPost, "/v1/orders", "Place an order at your own price 下单", 201),
		func(ctx context.Context, in *struct {
			IdempotencyKey string `header:"Idempotency-Key" maxLength:"257" doc:"required; a new random value for each order, the same one to repeat it"`
			Body           struct {
				AppID       string            `json:"app_id" maxLength:"32"`
				OpenID      string            `json:"openid,omitempty" maxLength:"128"`
				UserID      pay.UserID        `json:"user_id,omitempty" maxLength:"64"`
				Method      pay.Method        `json:"method,omitempty" enum:"mini_program,jsapi" default:"mini_program"`
				Amount      amountInput       `json:"amount"`
				Description string            `json:"description" doc:"what the buyer's bill says; at most 127 bytes"`
				OutTradeNo  string            `json:"out_trade_no,omitempty" doc:"6 to 32 letters, digits, _ or -; left out: made by us"`
				Reference   string            `json:"reference,omitempty" doc:"your own number"`
				ExpiresAt   time.Time         `json:"expires_at,omitempty" doc:"2 minutes to 2 hours ahead; left out: 30 minutes"`
				Attach      string            `json:"attach,omitempty" doc:"at most 128 bytes; WeChat gives it back as it is"`
				Metadata    map[string]string `json:"metadata,omitempty"`
			}
		}) (*placedOutput, error) {
			placed, err := s.cashier.Charge(ctx, keyOf(ctx), pay.Charge{AppID: in.Body.AppID, UserID: in.Body.UserID, OpenID: in.Body.OpenID,
				Method: in.Body.Method, Total: in.Body.Amount.Total, Currency: in.Body.Amount.Currency, Description: in.Body.Description,
				OutTradeNo: in.Body.OutTradeNo, Reference: in.Body.Reference, Attach: in.Body.Attach, ExpiresAt: in.Body.ExpiresAt,
				Metadata: in.Body.Metadata, IdempotencyKey: idempotencyKey(in.IdempotencyKey)})
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return placedOf(placed), nil
		})

	register(api, operation("orders", http.MethodGet, "/v1/orders", "Orders, newest first 订单列表", 200),
		func(ctx context.Context, in *struct {
			PageInput
			Status     pay.Status `query:"status" enum:"pending,paid,closed"`
			UserID     pay.UserID `query:"user_id" maxLength:"64"`
			OutTradeNo string     `query:"out_trade_no" maxLength:"32"`
			Reference  string     `query:"reference" maxLength:"400"`
		}) (*list[pay.OrderView], error) {
			all, next, err := s.cashier.Orders(ctx, pay.OrderFilter{Page: in.page(), UserID: in.UserID, Status: in.Status, OutTradeNo: in.OutTradeNo, Reference: in.Reference})
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return listOf(all, next, pay.Order.View), nil
		})

	// The calls on one order differ only in the use case.
	one := func(op huma.Operation, use func(context.Context, pay.OrderID) (pay.Order, error)) {
		register(api, op, func(ctx context.Context, in *OrderPath) (*body[pay.OrderView], error) {
			o, err := use(ctx, in.ID)
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return bodyOf(o.View()), nil
		})
	}
	one(operation("order", http.MethodGet, "/v1/orders/{id}", "One order 订单", 200), s.cashier.Order)
	one(operation("close-order", http.MethodPost, "/v1/orders/{id}/close", "Close an order, at WeChat first 关单", 200), s.cashier.Close)
	one(operation("sync-order", http.MethodPost, "/v1/orders/{id}/sync", "Ask WeChat Pay now 查单", 200), s.cashier.Sync)

	register(api, operation("create-product", http.MethodPost, "/v1/products", "Put a product into the catalogue 新增商品", 201),
		func(ctx context.Context, in *struct {
			Body struct {
				Name        string      `json:"name"`
				Description string      `json:"description,omitempty"`
				Price       amountInput `json:"price"`
				ImageURL    string      `json:"image_url,omitempty" format:"uri" maxLength:"1000"`
				Active      *bool       `json:"active,omitempty" doc:"left out: true"`
			}
		}) (*body[pay.ProductView], error) {
			p, err := s.cashier.AddProduct(ctx, pay.Product{Name: in.Body.Name, Description: in.Body.Description, Price: in.Body.Price.Total,
				ImageURL: in.Body.ImageURL, Active: in.Body.Active == nil || *in.Body.Active})
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return bodyOf(p.View()), nil
		})

	register(api, operation("all-products", http.MethodGet, "/v1/products", "The catalogue, newest first 商品列表", 200),
		func(ctx context.Context, in *struct{ PageInput }) (*list[pay.ProductView], error) {
			all, next, err := s.cashier.Products(ctx, pay.ProductFilter{Page: in.page()})
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return listOf(all, next, pay.Product.View), nil
		})

	register(api, operation("any-product", http.MethodGet, "/v1/products/{id}", "One product 商品", 200),
		func(ctx context.Context, in *struct {
			ID pay.ProductID `path:"id" maxLength:"64"`
		}) (*body[pay.ProductView], error) {
			p, err := s.cashier.Product(ctx, in.ID)
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return bodyOf(p.View()), nil
		})

	register(api, operation("change-product", http.MethodPatch, "/v1/products/{id}", "Change a product; orders keep what they were placed with 修改商品", 200),
		func(ctx context.Context, in *struct {
			ID   pay.ProductID `path:"id" maxLength:"64"`
			Body struct {
				Name        *string      `json:"name,omitempty"`
				Description *string      `json:"description,omitempty"`
				Price       *amountInput `json:"price,omitempty"`
				ImageURL    *string      `json:"image_url,omitempty" format:"uri" maxLength:"1000"`
				Active      *bool        `json:"active,omitempty"`
			}
		}) (*body[pay.ProductView], error) {
			change := pay.ProductChange{Name: in.Body.Name, Description: in.Body.Description, ImageURL: in.Body.ImageURL, Active: in.Body.Active}
			if in.Body.Price != nil {
				change.Price = &in.Body.Price.Total
			}
			p, err := s.cashier.ChangeProduct(ctx, in.ID, change)
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return bodyOf(p.View()), nil
		})

	register(api, operation("events", http.MethodGet, "/v1/events", "What happened, newest first 事件列表", 200),
		func(ctx context.Context, in *struct {
			PageInput
			Type    pay.EventType `query:"type" enum:"order.created,order.paid,order.closed,order.flagged"`
			OrderID pay.OrderID   `query:"order_id" maxLength:"64"`
		}) (*list[pay.EventView], error) {
			all, next, err := s.cashier.Events(ctx, pay.EventFilter{Page: in.page(), Type: in.Type, OrderID: in.OrderID})
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return listOf(all, next, pay.Event.View), nil
		})

	register(api, operation("event", http.MethodGet, "/v1/events/{id}", "One event 事件", 200),
		func(ctx context.Context, in *struct {
			ID pay.EventID `path:"id" maxLength:"64"`
		}) (*body[pay.EventView], error) {
			e, err := s.cashier.Event(ctx, in.ID)
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return bodyOf(e.View()), nil
		})
}
