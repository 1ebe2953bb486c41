// Package interop lets other people's WeChat Pay SDKs judge this module: what we sign they verify, what they sign we
// verify, and they buy from our sandbox, unmodified but for the address.
//
//	wechatpay-go             WeChat Pay's own SDK for Go, API v3
//	gopay                    the most used third-party SDK for Go, API v3 and v2
//	wechatpay-axios-plugin   for Node.js; its tests are in node/, and ask our side through witness/
//
// It is a module of its own, so that none of them becomes a dependency of the product. Its tests build the program and
// start it on free ports; they need no network and no account. docs/interop.md says what is covered.
package interop
