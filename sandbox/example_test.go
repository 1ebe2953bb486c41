package sandbox_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/fenhao-pay/fenhao/sandbox"
)

// A test starts a sandbox, gives its merchant's keys and its address to the service under test, and asks for the weather
// that it wants. Here the service is one call.
func Example() {
	wx, err := sandbox.New(sandbox.Options{Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = wx.Close() }()
	server := httptest.NewServer(wx)
	defer server.Close()
	app := wx.Merchants()[0].Apps[0]

	login := func(code string) string {
		query := url.Values{"appid": {app.ID}, "secret": {app.Secret}, "js_code": {code}, "grant_type": {"authorization_code"}}
		answer, err := http.Get(server.URL + "/sns/jscode2session?" + query.Encode())
		if err != nil {
			log.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			log.Fatal(err)
		}
		text, _, _ := strings.Cut(string(body), ", rid")
		return text
	}

	code, err := wx.Login(app.ID, "alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(login(code), `"openid":"o`))
	fmt.Println(login(code))

	if _, err := wx.AddFault(sandbox.Fault{On: "login", Kind: "error", Code: "45011", Count: 1}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(login(code))
	// Output:
	// true
	// {"errcode":40163,"errmsg":"code been used
	// {"errcode":45011,"errmsg":"api minute-quota reach limit
}
