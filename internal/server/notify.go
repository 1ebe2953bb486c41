package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/fenhao-pay/fenhao/internal/pay"
)

const (
	maxNotification = 64 << 10        // bytes; a payment has about 2 KiB
	notifyTimeout   = 4 * time.Second // WeChat gives up after 5
)

// notifyV3 takes a notification of API v3. The answer follows WeChat's contract: 204 when what it says is durable here;
// 401 when it can't be shown to be WeChat's; 5xx when it should come again. Never 2xx before the commit.
func (s *Server) notifyV3(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), notifyTimeout)
	defer cancel()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNotification))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			s.fail(w, http.StatusRequestEntityTooLarge, "the notification is too large")
			return
		}
		s.fail(w, http.StatusBadRequest, "the notification could not be read whole")
		return
	}
	merchant := r.PathValue("merchant_id")
	n, err := s.notifications.ParseNotification(ctx, merchant, r.Header, body)
	switch {
	case errors.Is(err, pay.ErrUnknownMerchant):
		s.fail(w, http.StatusNotFound, "no such merchant")
		return
	case errors.Is(err, pay.ErrUnverified):
		s.log.WarnContext(ctx, "a notification was refused", "merchant", merchant, "request", aboutOf(ctx).id, "err", err)
		s.fail(w, http.StatusUnauthorized, "the signature could not be verified")
		return
	case err != nil:
		s.log.ErrorContext(ctx, "a notification of WeChat's can't be read; it will come again", "merchant", merchant, "request", aboutOf(ctx).id, "err", err)
		s.fail(w, http.StatusInternalServerError, "the notification could not be read")
		return
	}
	if err := s.cashier.Hear(ctx, n); err != nil {
		s.log.ErrorContext(ctx, "a notification could not be recorded; it will come again", "merchant", merchant, "request", aboutOf(ctx).id, "err", err)
		s.fail(w, http.StatusInternalServerError, "the notification could not be recorded")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// fail answers WeChat in the form that its contract gives; it judges by the status alone.
func (s *Server) fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": "FAIL", "message": message}) // WeChat is gone; it asks again
}
