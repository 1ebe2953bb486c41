// Package pay holds the rules of money: what an order is, which states it can be in, what moves it from one to the
// next, and the use cases that the rest of Fenhao offers over HTTP and does by itself.
//
// Start with [Order]: its methods are the steps. A step is pure: old order in, new order and [Effect] values out, no
// clock, no database, no network. [Order.Confirm] is the only door into [Paid]; a verified notification and a verified
// query answer become the same [Transaction] and both go through it.
//
// [Cashier] carries the steps out. What it needs from outside it declares itself: [Store] keeps orders and makes a step
// and its effects durable in one transaction, [Gateway] speaks to WeChat. Three rules give it its shape:
//
//   - Intent before call: what is about to be asked of WeChat is durable before the request leaves, and the network is
//     never called inside a transaction.
//   - An unknown outcome ([ErrUncertain]) is neither success nor failure. It is asked about until it is known.
//   - What must happen next is data: [Order.Due] is stored with the order by the step that makes it necessary.
//
// The states are drawn in docs/states.md; a test holds the drawing and this package together.
package pay
