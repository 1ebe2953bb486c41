package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// What the APIs say, as far as it is looked at. The types are this package's own: what is tested does not test itself.

type amount struct {
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
}

type order struct {
	ID            string            `json:"id"`
	OutTradeNo    string            `json:"out_trade_no"`
	Status        string            `json:"status"`
	MerchantID    string            `json:"merchant_id"`
	AppID         string            `json:"app_id"`
	OpenID        string            `json:"openid"`
	Amount        amount            `json:"amount"`
	Metadata      map[string]string `json:"metadata"`
	TransactionID string            `json:"transaction_id"` // null reads as ""
	Late          bool              `json:"late"`
	Flagged       bool              `json:"flagged"`
	Attempts      []struct {
		OutTradeNo    string `json:"out_trade_no"`
		Status        string `json:"status"`
		TransactionID string `json:"transaction_id"`
	} `json:"attempts"`
}

type event struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data order  `json:"data"`
}

type payment struct {
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	MerchantID    string `json:"merchant_id"`
	AppID         string `json:"app_id"`
	OpenID        string `json:"openid"`
	Amount        int64  `json:"amount"`
	State         string `json:"state"`
}

type notification struct {
	OutTradeNo string `json:"out_trade_no"`
	Attempts   []struct {
		Status int    `json:"status"`
		Error  string `json:"error"`
		Fault  string `json:"fault"`
	} `json:"attempts"`
}

// acknowledged tells whether the service ever answered WeChat that it has the payment. That the sandbox then lost the
// answer on purpose does not matter here: it was given.
func (n notification) acknowledged() bool {
	for _, a := range n.Attempts {
		if a.Status == 200 || a.Status == 204 {
			return true
		}
	}
	return false
}

type product struct {
	ID    string `json:"id"`
	Price amount `json:"price"`
}

// web sends requests, each for at most ten seconds.
var web = &http.Client{
	Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second},
	Timeout:   10 * time.Second,
}

// answer is a status and, for a problem, its code.
type answer struct {
	status int
	code   string
	body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// call sends in as JSON, if it isn't nil, and reads a 2xx answer into out, if that isn't nil. An error means that no
// whole answer came: the request may have been carried out or not.
func call(ctx context.Context, method, url, token string, in, out any, header ...string) (answer, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return answer{}, err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return answer{}, err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := web.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, body: strings.TrimSpace(string(b))}
	if a.status >= 300 {
		var problem struct {
			Code string `json:"code"`
		}
		_ = json.Unmarshal(b, &problem) // whoever expects a code sees that there is none
		a.code = problem.Code
		return a, nil
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			return a, fmt.Errorf("%s %s answered %d with what is not its JSON: %w", method, url, a.status, err)
		}
	}
	return a, nil
}

// get reads what must be there.
func get[T any](ctx context.Context, url, token string) (T, error) {
	var v T
	a, err := call(ctx, "GET", url, token, nil, &v)
	if err == nil && a.status != 200 {
		err = fmt.Errorf("GET %s: %s", url, a)
	}
	return v, err
}

// all reads a list of the merchant API to its end; query is such as "status=pending".
func all[T any](ctx context.Context, url, token, query string) ([]T, error) {
	var every []T
	for cursor := ""; ; {
		page, err := get[struct {
			Data []T     `json:"data"`
			Next *string `json:"next_cursor"`
		}](ctx, url+"?limit=100&"+query+"&cursor="+cursor, token)
		if err != nil {
			return nil, err
		}
		every = append(every, page.Data...)
		if page.Next == nil {
			return every, nil
		}
		cursor = *page.Next
	}
}

// listed reads a list of the sandbox's, which has one page.
func listed[T any](ctx context.Context, url string) ([]T, error) {
	page, err := get[struct {
		Data []T `json:"data"`
	}](ctx, url, "")
	return page.Data, err
}

// pause waits d, and reports false where ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
