// Package bench measures what this module's SDKs cost beside others', in one run: the same keys, the same payloads, an
// answer from memory. It has nothing but benchmarks; ./run.sh runs them and prints medians and ratios.
//
//	V3Order          encode and sign an order, exchange it in memory, verify and read the answer
//	V3Pay            sign what wx.requestPayment is given
//	V3Notification   verify, decrypt and read a payment notification
//	V2Order, V2Pay, V2Notification   likewise, with MD5
//
// It is a module of its own, so that the peers never become dependencies of the product. docs/benchmarks.md has results.
package bench
