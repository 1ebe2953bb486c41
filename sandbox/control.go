package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenhao-pay/fenhao/money"
)

// This file is the control API under /sandbox/v1/: a thin layer over the Go methods. Errors are
// {"code","message"}, the message saying what to do.

const controlPath = "/sandbox/v1/"

// problem is an error of the control API.
type problem struct {
	status  int
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (p *problem) Error() string { return p.Message }

func badRequest(err error) error {
	return &problem{http.StatusBadRequest, "bad_request", err.Error()}
}

func notFound(format string, a ...any) error {
	return &problem{http.StatusNotFound, "not_found", fmt.Sprintf(format, a...)}
}

// listOf is how the control API shows a list.
func listOf[T any](items []T) any {
	return struct {
		Data []T `json:"data"`
	}{items}
}

// newControl is the control API's routes.
func (s *Sandbox) newControl() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(*http.Request) (int, any, error)) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+controlPath+path, func(w http.ResponseWriter, r *http.Request) {
			status, v, err := do(r)
			if settled := s.settled(); err == nil && settled != nil {
				err = settled
			}
			respond(w, status, v, err)
		})
	}
	handle("GET merchants", func(*http.Request) (int, any, error) {
		all := s.Merchants()
		for i := range all {
			all[i] = all[i].shown()
		}
		return http.StatusOK, listOf(all), nil
	})
	handle("POST merchants", func(r *http.Request) (int, any, error) {
		var m Merchant
		if err := readBody(r, &m); err != nil {
			return 0, nil, err
		}
		m, err := s.AddMerchant(m)
		if err != nil {
			return 0, nil, badRequest(err)
		}
		return http.StatusCreated, m.shown(), nil
	})
	handle("POST merchants/{id}/balance", func(r *http.Request) (int, any, error) {
		var in struct {
			Amount *money.Fen `json:"amount"`
		}
		if err := readBody(r, &in); err != nil {
			return 0, nil, err
		}
		if in.Amount == nil {
			return 0, nil, badRequest(errors.New("amount is missing: the balance in fen"))
		}
		if err := s.SetBalance(r.PathValue("id"), *in.Amount); err != nil {
			return 0, nil, err
		}
		for _, a := range s.Books() {
			if a.MerchantID == r.PathValue("id") {
				return http.StatusOK, a, nil
			}
		}
		return 0, nil, notFound("there is no merchant %q", r.PathValue("id"))
	})
	handle("POST login", func(r *http.Request) (int, any, error) {
		var in struct {
			AppID string `json:"app_id"`
			User  string `json:"user"`
		}
		if err := readBody(r, &in); err != nil {
			return 0, nil, err
		}
		code, err := s.Login(in.AppID, in.User)
		if err != nil {
			return 0, nil, badRequest(err)
		}
		return http.StatusOK, map[string]string{"code": code}, nil
	})
	handle("POST request-payment", s.controlRequestPayment)
	handle("POST scan", func(r *http.Request) (int, any, error) {
		var in struct {
			User   string `json:"user"`
			Link   string `json:"code_url"`
			Action string `json:"action"`
		}
		if err := readBody(r, &in); err != nil {
			return 0, nil, err
		}
		return acted(s.Scan(in.User, in.Link, in.Action))
	})
	handle("POST open-h5", func(r *http.Request) (int, any, error) {
		var in struct {
			User   string `json:"user"`
			Link   string `json:"h5_url"`
			Action string `json:"action"`
		}
		if err := readBody(r, &in); err != nil {
			return 0, nil, err
		}
		return acted(s.OpenH5(in.User, in.Link, in.Action))
	})
	handle("POST app-payment", func(r *http.Request) (int, any, error) {
		var in AppPayment
		if err := readBody(r, &in); err != nil {
			return 0, nil, err
		}
		return acted(s.PayInApp(in))
	})
	handle("POST payment-code", func(r *http.Request) (int, any, error) {
		var in struct {
			User   string `json:"user"`
			Action string `json:"action"`
		}
		if err := readBody(r, &in); err != nil {
			return 0, nil, err
		}
		code, err := s.ShowPaymentCode(in.User, in.Action)
		if err != nil {
			return 0, nil, badRequest(err)
		}
		return http.StatusOK, map[string]string{"auth_code": code}, nil
	})
	handle("POST payments/{out_trade_no}/password", func(r *http.Request) (int, any, error) {
		var in struct {
			Action string `json:"action"`
		}
		if err := readBody(r, &in); err != nil {
			return 0, nil, err
		}
		p, err := s.EnterPassword(r.PathValue("out_trade_no"), in.Action)
		return http.StatusOK, p, err
	})
	handle("GET payments", func(*http.Request) (int, any, error) { return http.StatusOK, listOf(s.Payments()), nil })
	handle("GET payments/{out_trade_no}", func(r *http.Request) (int, any, error) {
		p, ok := s.Payment(r.PathValue("out_trade_no"))
		if !ok {
			return 0, nil, notFound("there is no order %q: GET /sandbox/v1/payments lists them",
				r.PathValue("out_trade_no"))
		}
		return http.StatusOK, p, nil
	})
	handle("POST payments/{out_trade_no}/refunds", func(r *http.Request) (int, any, error) {
		var in struct {
			Amount money.Fen `json:"amount"`
			Reason string    `json:"reason"`
		}
		if err := readBody(r, &in); err != nil {
			return 0, nil, err
		}
		made, err := s.RefundByHand(r.PathValue("out_trade_no"), in.Amount, in.Reason)
		return http.StatusCreated, made, err
	})
	handle("GET refunds", func(*http.Request) (int, any, error) { return http.StatusOK, listOf(s.Refunds()), nil })
	handle("GET refunds/{out_refund_no}", func(r *http.Request) (int, any, error) {
		one, ok := s.Refund(r.PathValue("out_refund_no"))
		if !ok {
			return 0, nil, notFound("there is no refund %q: GET /sandbox/v1/refunds lists them",
				r.PathValue("out_refund_no"))
		}
		return http.StatusOK, one, nil
	})
	handle("POST refunds/{out_refund_no}", func(r *http.Request) (int, any, error) {
		var in struct {
			Status RefundStatus `json:"status"`
			After  string       `json:"after"`
		}
		if err := readBody(r, &in); err != nil {
			return 0, nil, err
		}
		after, err := time.ParseDuration(cmp.Or(in.After, "0s"))
		if err != nil {
			return 0, nil, badRequest(fmt.Errorf(`after %q is no duration: write it like "15s" or "72h"`, in.After))
		}
		one, err := s.SetRefund(r.PathValue("out_refund_no"), in.Status, after)
		return http.StatusOK, one, err
	})
	handle("GET settings", func(*http.Request) (int, any, error) { return http.StatusOK, s.Settings(), nil })
	handle("POST settings", func(r *http.Request) (int, any, error) {
		to := s.Settings()
		if err := readBody(r, &to); err != nil {
			return 0, nil, err
		}
		if err := s.SetSettings(to); err != nil {
			return 0, nil, badRequest(err)
		}
		return http.StatusOK, s.Settings(), nil
	})
	handle("GET notifications", func(r *http.Request) (int, any, error) {
		all := s.Notifications()
		if number := r.URL.Query().Get("out_trade_no"); number != "" {
			all = slices.DeleteFunc(all, func(n Notification) bool { return n.OutTradeNo != number })
		}
		return http.StatusOK, listOf(all), nil
	})
	handle("POST notifications/{id}/resend", func(r *http.Request) (int, any, error) {
		if _, ok := s.Notification(r.PathValue("id")); !ok {
			return 0, nil, notFound("there is no notification %q: GET /sandbox/v1/notifications lists them",
				r.PathValue("id"))
		}
		n, err := s.Resend(r.PathValue("id"))
		return http.StatusOK, n, err
	})
	handle("GET faults", func(*http.Request) (int, any, error) { return http.StatusOK, listOf(s.Faults()), nil })
	handle("POST faults", func(r *http.Request) (int, any, error) {
		var f Fault
		if err := readBody(r, &f); err != nil {
			return 0, nil, err
		}
		f, err := s.AddFault(f)
		if err != nil {
			return 0, nil, badRequest(err)
		}
		return http.StatusCreated, f, nil
	})
	handle("DELETE faults", func(*http.Request) (int, any, error) { return http.StatusNoContent, nil, s.ClearFaults() })
	handle("DELETE faults/{id}", func(r *http.Request) (int, any, error) {
		if !s.RemoveFault(r.PathValue("id")) {
			return 0, nil, notFound("there is no fault %q: it may be used up; GET /sandbox/v1/faults lists those left",
				r.PathValue("id"))
		}
		return http.StatusNoContent, nil, nil
	})
	handle("GET clock", func(*http.Request) (int, any, error) { return http.StatusOK, s.clockView(), nil })
	handle("POST clock", func(r *http.Request) (int, any, error) {
		var in struct {
			Advance string `json:"advance"`
		}
		if err := readBody(r, &in); err != nil {
			return 0, nil, err
		}
		d, err := time.ParseDuration(in.Advance)
		if err != nil || d < 0 {
			return 0, nil, badRequest(fmt.Errorf(
				`advance %q is no duration forward: write it like "15s" or "2h"`, in.Advance))
		}
		s.Advance(d)
		return http.StatusOK, s.clockView(), nil
	})
	handle("POST certificates/rotate", func(r *http.Request) (int, any, error) {
		var in struct {
			Mode       string `json:"mode"`
			MerchantID string `json:"merchant_id"`
		}
		if err := readBody(r, &in); err != nil {
			return 0, nil, err
		}
		if err := s.RotateCertificates(in.MerchantID, in.Mode); err != nil {
			return 0, nil, badRequest(err)
		}
		all := s.Merchants()
		for i := range all {
			all[i] = all[i].shown()
		}
		return http.StatusOK, listOf(all), nil
	})
	handle("GET books", func(*http.Request) (int, any, error) { return http.StatusOK, listOf(s.Books()), nil })
	handle("POST reset", func(*http.Request) (int, any, error) { return http.StatusNoContent, nil, s.Reset() })
	handle("GET journal", func(r *http.Request) (int, any, error) {
		after, limit, err := journalRange(r)
		if err != nil {
			return 0, nil, badRequest(err)
		}
		return http.StatusOK, listOf(s.Journal(after, r.URL.Query().Get("out_trade_no"), limit)), nil
	})
	mux.HandleFunc("GET "+controlPath+"journal/stream", func(w http.ResponseWriter, r *http.Request) {
		after, _, err := journalRange(r)
		if err != nil {
			respond(w, 0, nil, badRequest(err))
			return
		}
		s.stream(w, r, after, r.URL.Query().Get("out_trade_no"))
	})
	mux.HandleFunc(controlPath, func(w http.ResponseWriter, r *http.Request) {
		respond(w, 0, nil, notFound("there is no %s %s in the control API", r.Method, r.URL.Path))
	})
	return mux
}

// controlRequestPayment takes the five parameters as they are, numbers too: the phone is who complains about them.
func (s *Sandbox) controlRequestPayment(r *http.Request) (int, any, error) {
	given := map[string]json.RawMessage{}
	if err := readBody(r, &given); err != nil {
		return 0, nil, err
	}
	texts := map[string]string{}
	for _, name := range []string{"app_id", "user", "action", "detail"} {
		var t string
		if raw, ok := given[name]; ok && json.Unmarshal(raw, &t) != nil {
			return 0, nil, badRequest(fmt.Errorf("%s must be a string", name))
		}
		texts[name] = t
		delete(given, name)
	}
	delete(given, "appId") // pay parameters come with it from some servers; wx.requestPayment ignores it
	for name := range given {
		if !slices.Contains(paymentParameters[:], name) {
			return 0, nil, badRequest(fmt.Errorf("%q is no parameter of wx.requestPayment: it takes %s",
				name, strings.Join(paymentParameters[:], ", ")))
		}
	}
	result, err := s.requestPayment(texts["app_id"], texts["user"], texts["action"], texts["detail"], given)
	if err != nil {
		return 0, nil, badRequest(err)
	}
	return http.StatusOK, result, nil
}

// acted answers what came of a user's act.
func acted[T any](result T, err error) (int, any, error) {
	if err != nil {
		return 0, nil, badRequest(err)
	}
	return http.StatusOK, result, nil
}

func (s *Sandbox) clockView() any { return map[string]time.Time{"now": s.Now()} }

// journalRange reads after, or the header Last-Event-ID of a stream that was cut, and limit.
func journalRange(r *http.Request) (after int64, limit int, err error) {
	q := r.URL.Query()
	text := q.Get("after")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		text = last
	}
	if text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return 0, 0, fmt.Errorf("after %q is no number of an entry", text)
		}
	}
	if t := q.Get("limit"); t != "" {
		if limit, err = strconv.Atoi(t); err != nil || limit < 1 {
			return 0, 0, fmt.Errorf("limit %q is no positive number", t)
		}
	}
	return after, limit, nil
}

// readBody reads a JSON body without unknown names. An empty body is an empty object.
func readBody(r *http.Request, v any) error {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return badRequest(fmt.Errorf("the body can't be read: %w", err))
	case len(b) > maxBody:
		return badRequest(errors.New("the body is larger than 1 MiB"))
	case len(b) == 0:
		return nil
	}
	if err := decodeStrictly(b, v); err != nil {
		return badRequest(fmt.Errorf("the body isn't what this call takes: %w", err))
	}
	return nil
}

// respond writes an answer of the control API.
func respond(w http.ResponseWriter, status int, v any, err error) {
	if err != nil {
		var p *problem
		if !errors.As(err, &p) {
			p = &problem{http.StatusInternalServerError, "internal", err.Error()}
		}
		status, v = p.status, p
	}
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(encode(v)) // a client that left doesn't matter
}

// guard keeps web pages from elsewhere away from what hands out keys: it refuses names that such a page could make point
// here, and, where acting is meant, requests that a browser says come from another site.
func (s *Sandbox) guard(w http.ResponseWriter, r *http.Request, acting bool) bool {
	base, service := s.BaseURL(), s.Service()
	if !s.allowedHost(r.Host, base) {
		respond(w, 0, nil, &problem{http.StatusForbidden, "foreign_host", fmt.Sprintf(
			"the control API doesn't answer under the name %q: use 127.0.0.1, or add the name to the sandbox's hosts",
			r.Host)})
		return false
	}
	origin := r.Header.Get("Origin")
	own := origin == "" || sameHost(origin, "//"+r.Host) || sameHost(origin, base) || sameHost(origin, service)
	if acting && (!own || r.Header.Get("Sec-Fetch-Site") == "cross-site" && origin == "") {
		respond(w, 0, nil, &problem{http.StatusForbidden, "foreign_origin", fmt.Sprintf(
			"the control API doesn't take requests from pages of %q: call it from the sandbox's own pages or from a program",
			origin)})
		return false
	}
	return true
}

func (s *Sandbox) allowedHost(host, base string) bool {
	name := hostOf("//" + host)
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.IsValid() // an address can't be made to point elsewhere
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") ||
		name != "" && (name == hostOf(base) || slices.ContainsFunc(s.hosts, func(h string) bool { return strings.EqualFold(h, name) }))
}

// sameHost tells whether two URLs have the same host and port.
func sameHost(a, b string) bool {
	x, err := url.Parse(a)
	y, err2 := url.Parse(b)
	return err == nil && err2 == nil && x.Host != "" && strings.EqualFold(x.Host, y.Host)
}
