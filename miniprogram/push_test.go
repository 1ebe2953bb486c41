package miniprogram_test

import (
	"context"
	"testing"

	"github.com/fenhao-pay/fenhao/miniprogram"
)

func newReceiver(t testing.TB, c miniprogram.ReceiverConfig, handle func(context.Context, *miniprogram.Push) error) *miniprogram.Receiver {
	t.Helper()
	if handle == nil {
		handle = func(context.Context, *miniprogram.Push) error { return nil }
	}
	r, err := miniprogram.NewReceiver(c, handle)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
