package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fenhao-pay/fenhao/internal/pay"
)

type userKey struct{}

// userOf is the user whose session the request carries; only operations behind the session middleware call it.
func userOf(ctx context.Context) pay.User { return ctx.Value(userKey{}).(pay.User) }

// bearer returns the token of an Authorization header, or "".
func bearer(ctx huma.Context) string {
	scheme, token, _ := strings.Cut(ctx.Header("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// behind makes a middleware that lets a request pass with what check makes of its bearer token.
func behind[T any](s *Server, api huma.API, key any, check func(context.Context, string) (T, error)) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		token := bearer(ctx)
		var who T
		err := error(&pay.Error{Code: codeAuthorization})
		if token != "" {
			who, err = check(ctx.Context(), token)
		}
		if err != nil {
			p := s.problemOf(ctx.Context(), err)
			if p.Status == http.StatusUnauthorized {
				ctx.SetHeader("WWW-Authenticate", "Bearer")
			}
			ctx.SetHeader("Content-Type", p.ContentType(""))
			ctx.SetStatus(p.Status)
			_ = api.Marshal(ctx.BodyWriter(), "application/json", p) // the caller is gone; nothing to tell
			return
		}
		next(huma.WithValue(ctx, key, who))
	}
}

// list is a page of a list.
type list[T any] struct {
	Body struct {
		Data       []T     `json:"data"`
		NextCursor *string `json:"next_cursor" doc:"null at the end"`
	}
}

func listOf[T, V any](all []T, next string, view func(T) V) *list[V] {
	l := &list[V]{}
	l.Body.Data = make([]V, 0, len(all))
	for _, v := range all {
		l.Body.Data = append(l.Body.Data, view(v))
	}
	if next != "" {
		l.Body.NextCursor = &next
	}
	return l
}

// PageInput is what every list takes.
type PageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
	Cursor string `query:"cursor" maxLength:"64" doc:"next_cursor of the page before"`
}

func (p PageInput) page() pay.Page { return pay.Page{Limit: p.Limit, Cursor: p.Cursor} }

type body[T any] struct{ Body T }

func bodyOf[T any](v T) *body[T] { return &body[T]{v} }

type sessionView struct {
	Token     string    `json:"token,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	User      userView  `json:"user"`
}

type userView struct {
	ID pay.UserID `json:"id"`
}

// placedView is an order with how to pay it.
type placedView struct {
	Order   pay.OrderView `json:"order"`
	Payment pay.Payment   `json:"payment" doc:"what wx.requestPayment takes, as it is"`
}

type placedOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when the key had been used for the same request: nothing was made anew"`
	Body     placedView
}

func placedOf(p pay.Placed) *placedOutput {
	o := &placedOutput{Body: placedView{p.Order.View(), p.Payment}}
	if p.Replayed {
		o.Replayed = "true"
	}
	return o
}

type lineInput struct {
	ProductID pay.ProductID `json:"product_id" maxLength:"64"`
	Quantity  int64         `json:"quantity" minimum:"1" maximum:"999"`
}

type paymentView struct {
	Payment pay.Payment `json:"payment"`
}

// idempotencyKey takes the header as a structured string ("…") or bare.
func idempotencyKey(header string) string {
	if len(header) >= 2 && header[0] == '"' && header[len(header)-1] == '"' {
		return header[1 : len(header)-1]
	}
	return header
}

type OrderPath struct {
	ID pay.OrderID `path:"id" maxLength:"64"`
}

// miniProgram is what a client may do: it names no amount, no openid and nobody else's order.
func (s *Server) miniProgram(api huma.API) {
	session := huma.Middlewares{behind(s, api, userKey{}, s.cashier.Authenticate)}
	operation := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{"mini program 小程序"},
			Middlewares: session, Security: []map[string][]string{{"session": {}}}}
	}

	login := operation("login", http.MethodPost, "/mp/v1/login", "Exchange a code of wx.login for a session 登录", 200)
	login.Middlewares, login.Security = nil, nil
	register(api, login, func(ctx context.Context, in *struct {
		Body struct {
			AppID string `json:"app_id" maxLength:"32"`
			Code  string `json:"code" maxLength:"128" doc:"from wx.login; works once, for five minutes"`
		}
	}) (*body[sessionView], error) {
		got, err := s.cashier.Login(ctx, in.Body.AppID, in.Body.Code)
		if err != nil {
			return nil, s.problemOf(ctx, err)
		}
		return bodyOf(sessionView{Token: got.Token, ExpiresAt: got.ExpiresAt, User: userView{got.User.ID}}), nil
	})

	register(api, operation("session", http.MethodGet, "/mp/v1/session", "Is the session alive? 会话是否有效", 200),
		func(ctx context.Context, _ *struct{}) (*body[sessionView], error) {
			return bodyOf(sessionView{User: userView{userOf(ctx).ID}}), nil
		})

	register(api, operation("products", http.MethodGet, "/mp/v1/products", "What is for sale 商品列表", 200),
		func(ctx context.Context, in *struct{ PageInput }) (*list[pay.ProductView], error) {
			all, next, err := s.cashier.Products(ctx, pay.ProductFilter{Page: in.page(), ActiveOnly: true})
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return listOf(all, next, pay.Product.View), nil
		})

	register(api, operation("product", http.MethodGet, "/mp/v1/products/{id}", "One product 商品", 200),
		func(ctx context.Context, in *struct {
			ID pay.ProductID `path:"id" maxLength:"64"`
		}) (*body[pay.ProductView], error) {
			p, err := s.cashier.Product(ctx, in.ID)
			if err == nil && !p.Active {
				err = &pay.Error{Code: pay.CodeProductNotFound, Args: map[string]string{"product_id": string(in.ID)}}
			}
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return bodyOf(p.View()), nil
		})

	register(api, operation("buy", http.MethodPost, "/mp/v1/orders", "Place an order at the catalogue's prices 下单", 201),
		func(ctx context.Context, in *struct {
			IdempotencyKey string `header:"Idempotency-Key" maxLength:"257" doc:"required; a new random value for each purchase, the same one to repeat it"`
			Body           struct {
				Items    []lineInput       `json:"items" minItems:"1" maxItems:"50"`
				Metadata map[string]string `json:"metadata,omitempty"`
			}
		}) (*placedOutput, error) {
			purchase := pay.Purchase{Metadata: in.Body.Metadata, IdempotencyKey: idempotencyKey(in.IdempotencyKey)}
			for _, i := range in.Body.Items {
				purchase.Lines = append(purchase.Lines, pay.Line{ProductID: i.ProductID, Quantity: i.Quantity})
			}
			placed, err := s.cashier.Buy(ctx, userOf(ctx), purchase)
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return placedOf(placed), nil
		})

	register(api, operation("my-orders", http.MethodGet, "/mp/v1/orders", "The user's own orders 我的订单", 200),
		func(ctx context.Context, in *struct {
			PageInput
			Status pay.Status `query:"status" enum:"pending,paid,closed"`
		}) (*list[pay.OrderView], error) {
			all, next, err := s.cashier.Orders(ctx, pay.OrderFilter{Page: in.page(), UserID: userOf(ctx).ID, Status: in.Status})
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return listOf(all, next, pay.Order.View), nil
		})

	register(api, operation("my-order", http.MethodGet, "/mp/v1/orders/{id}", "One order; with wait, as soon as it leaves pending 订单（可等待支付结果）", 200),
		func(ctx context.Context, in *struct {
			OrderPath
			Wait string `query:"wait" doc:"such as 20s, at most 30s; WeChat Pay is asked when the notification is late" example:"20s"`
		}) (*body[pay.OrderView], error) {
			o, err := s.mine(ctx, in.ID)
			if err == nil && in.Wait != "" {
				var d time.Duration
				if d, err = waitFor(in.Wait); err == nil {
					o, err = s.cashier.Wait(ctx, o.ID, d)
				}
			}
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return bodyOf(o.View()), nil
		})

	register(api, operation("pay", http.MethodPost, "/mp/v1/orders/{id}/payment", "Payment parameters, signed afresh 重新取得支付参数", 200),
		func(ctx context.Context, in *OrderPath) (*body[paymentView], error) {
			o, err := s.mine(ctx, in.ID)
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			p, err := s.cashier.Payment(ctx, o.ID)
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return bodyOf(paymentView{p}), nil
		})

	register(api, operation("close-my-order", http.MethodPost, "/mp/v1/orders/{id}/close", "Give up an order 取消订单", 200),
		func(ctx context.Context, in *OrderPath) (*body[pay.OrderView], error) {
			o, err := s.mine(ctx, in.ID)
			if err == nil {
				o, err = s.cashier.Close(ctx, o.ID)
			}
			if err != nil {
				return nil, s.problemOf(ctx, err)
			}
			return bodyOf(o.View()), nil
		})
}

// mine returns an order of the session's user. Somebody else's and none at all look alike.
func (s *Server) mine(ctx context.Context, id pay.OrderID) (pay.Order, error) {
	o, err := s.cashier.Order(ctx, id)
	if err == nil && o.UserID != userOf(ctx).ID {
		return pay.Order{}, &pay.Error{Code: pay.CodeOrderNotFound}
	}
	return o, err
}

func waitFor(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, &pay.Error{Code: pay.CodeInvalid, Args: map[string]string{"field": "wait",
			"why_zh": "wait 是一段时间，例如 20s，最长 30s", "why_en": "wait is a duration, such as 20s, at most 30s"}}
	}
	return d, nil
}
