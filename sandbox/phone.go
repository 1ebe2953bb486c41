package sandbox

import "net/http"

// newPhone is the page with the phone, under /phone.
func newPhone(*Sandbox) http.Handler { return http.NotFoundHandler() }
