package miniprogram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// request is one request to WeChat.
type request struct {
	method, path string
	query        url.Values
	body         any      // sent as JSON, or nil
	hide         []string // names and values, in turn, that no error may show: "js_code", "0e3Y…"
}

// call sends r with an access token and reads the answer into v, which is nil where success has nothing to say. It is the
// only way to an API that takes a token. A token that WeChat refuses is replaced once and r sent once more: a refusal of
// the token says that r was not looked at.
func (c *Client) call(ctx context.Context, r request, v any) error {
	token, err := c.tokens.get(ctx, "")
	if err != nil {
		return err
	}
	err = c.callWith(ctx, token, r, v)
	if !tokenRefused(err) {
		return err
	}
	if token, err = c.tokens.get(ctx, token); err != nil {
		return err
	}
	return c.callWith(ctx, token, r, v)
}

func (c *Client) callWith(ctx context.Context, token AccessToken, r request, v any) error {
	query := url.Values{"access_token": {string(token)}}
	for name, values := range r.query {
		query[name] = values
	}
	r.query = query
	r.hide = append([]string{"access_token", string(token)}, r.hide...)
	return c.send(ctx, r, v)
}

func tokenRefused(err error) bool {
	return errors.Is(err, CodeInvalidCredential) || errors.Is(err, CodeInvalidToken) || errors.Is(err, CodeTokenExpired)
}

// post is call with a JSON body.
func (c *Client) post(ctx context.Context, path string, body, v any, hide ...string) error {
	return c.call(ctx, request{method: http.MethodPost, path: path, body: body, hide: hide}, v)
}

// hiding replaces the values that nobody may read, plain and escaped.
func (c *Client) hiding(r request) *strings.Replacer {
	var pairs []string
	for hide := append([]string{"secret", string(*c.secret)}, r.hide...); len(hide) >= 2; hide = hide[2:] {
		if name, v := hide[0], hide[1]; v != "" {
			pairs = append(pairs, v, "["+name+"]", url.QueryEscape(v), "["+name+"]")
		}
	}
	return strings.NewReplacer(pairs...)
}

// send sends one request and reads the answer into v, or returns WeChat's error. The address holds secrets, so no error
// of net/http is passed on with it.
func (c *Client) send(ctx context.Context, r request, v any) error {
	hide := c.hiding(r)
	var content io.Reader
	if r.body != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false) // texts are for people to read, here and in WeChat's own diagnosis
		if err := e.Encode(r.body); err != nil {
			return fmt.Errorf("%w: the request can't be made", ErrNoAnswer)
		}
		content = bytes.NewReader(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	}
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, content)
	if err != nil {
		return fmt.Errorf("%w: the request can't be made", ErrNoAnswer)
	}
	req.Header.Set("Accept", "application/json")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // url.Error prints the address, and the secret in it
		}
		if text := err.Error(); hide.Replace(text) != text {
			err = errors.New("the transport's error repeats the address, so it is not shown")
		}
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("%w: read the answer (status %d): %w", ErrNoAnswer, resp.StatusCode, err)
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("%w: the answer is longer than %d bytes", ErrNoAnswer, maxAnswer)
	}
	// Nearly all failures come with status 200; one that has an errcode is WeChat's word whatever the status.
	if e := parseError(body, hide); e != nil {
		return e
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: status %d", ErrNoAnswer, resp.StatusCode)
	}
	var d done // the type is historically text/plain, so it is not asked for
	if json.Unmarshal(body, &d) != nil || v != nil && json.Unmarshal(body, v) != nil {
		return fmt.Errorf("%w: the answer is not the JSON that was expected", ErrNoAnswer)
	}
	if v == nil && !d.said() {
		return fmt.Errorf("%w: the answer doesn't say that it was done", ErrNoAnswer)
	}
	return nil
}

// done is the answer of a call that has nothing else to say. The errcode of success may be missing, but an answer that says
// nothing at all is none.
type done struct {
	Code    *int   `json:"errcode"`
	Message string `json:"errmsg"`
}

func (d *done) said() bool {
	return d.Code != nil && *d.Code == 0 || d.Code == nil && d.Message == "ok"
}
