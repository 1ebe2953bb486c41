package diagnose

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// Head is what stands before the body of an HTTP message.
type Head struct {
	Method, Target string // of a request line; "" without one
	Status         int    // of a status line; 0 without one
	Header         http.Header
}

// ParseHead reads headers as people keep them: raw, with CRLF or LF; with the request or status line or without; as
// curl -i prints them, body included, or curl -v; as a JSON object of a framework's log; in upper case with HTTP_ before
// them, as PHP has them. It returns what follows the empty line, which is the body where there is one.
func ParseHead(data []byte) (head Head, body []byte, err error) {
	data = bytes.TrimPrefix(data, []byte(bom))
	if t := bytes.TrimSpace(data); len(t) > 0 && t[0] == '{' {
		head.Header, err = headerOfJSON(t)
		return head, nil, err
	}
	for {
		head = Head{Header: http.Header{}}
		var any bool
		any, body = head.read(data)
		// Interim answers and those of a proxy stand before the one that counts.
		interim := head.Status/100 == 1 || head.Status == 200 && len(head.Header) == 0
		if !any || !interim || !bytes.HasPrefix(body, []byte("HTTP/")) {
			break
		}
		data = body
	}
	if len(head.Header) == 0 {
		return head, nil, phrase.Say("没有读到 HTTP 头。需要原始 HTTP 头（每行 名称: 值）或 curl -i 的输出",
			"there are no HTTP headers: give them raw (Name: value on each line) or the output of curl -i")
	}
	return head, body, nil
}

// read takes the lines up to the first empty one.
func (h *Head) read(data []byte) (any bool, rest []byte) {
	for len(data) > 0 {
		raw, after, _ := bytes.Cut(data, []byte("\n"))
		data = after
		line := strings.TrimRight(string(raw), "\r")
		switch {
		case strings.HasPrefix(line, "* "), strings.HasPrefix(line, "{ ["), strings.HasPrefix(line, "} ["):
			continue // curl -v speaks
		case strings.HasPrefix(line, "> "), strings.HasPrefix(line, "< "):
			line = line[2:]
		case line == ">", line == "<":
			line = ""
		}
		if line == "" {
			if any {
				return any, data
			}
			continue
		}
		any = true
		if strings.HasPrefix(line, "HTTP/") {
			_, rest, _ := strings.Cut(line, " ")
			h.Status, _ = strconv.Atoi(strings.TrimSpace(rest[:min(3, len(rest))])) // 0 where it is none
			continue
		}
		if words := strings.Fields(line); len(words) == 3 && strings.HasPrefix(words[2], "HTTP/") {
			h.Method, h.Target = words[0], words[1]
			continue
		}
		if name, value, found := strings.Cut(line, ":"); found {
			h.add(name, strings.TrimSpace(value))
		}
	}
	return any, nil
}

func (h *Head) add(name, value string) { h.Header.Add(headerName(name), value) }

// headerName is the usual spelling of a name: HTTP_WECHATPAY_NONCE becomes Wechatpay-Nonce.
func headerName(name string) string {
	name = strings.TrimSpace(name)
	if cgi, ok := strings.CutPrefix(strings.ToUpper(name), "HTTP_"); ok {
		name = cgi
	}
	return http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

func headerOfJSON(data []byte) (http.Header, error) {
	var members map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&members); err != nil {
		return nil, phrase.Say("HTTP 头文件既不是原始头，也不是合法的 JSON 对象（%v）",
			"the headers are neither raw ones nor a JSON object (%v)", err)
	}
	header := http.Header{}
	for name, value := range members {
		switch value := value.(type) {
		case string:
			header.Add(headerName(name), value)
		case json.Number:
			header.Add(headerName(name), value.String())
		case []any:
			for _, v := range value {
				if s, ok := v.(string); ok {
					header.Add(headerName(name), s)
				}
			}
		}
	}
	return header, nil
}
