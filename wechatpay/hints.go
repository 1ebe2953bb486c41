package wechatpay

import "github.com/fenhao-pay/fenhao/internal/phrase"

// hints say what to do about each code. A code without a hint is not listed.
var hints = map[Code]phrase.Text{
	CodeParamError: {
		EN: "A field is missing, too long or of the wrong type: message and detail name it. Mend it; repeating the request as it is can't succeed.",
		ZH: "参数错误：按 message 和 detail 指出的字段修改，原样重试不会成功。",
	},
	CodeInvalidRequest: {
		EN: "The request breaks a rule, often because this order number was used before with another amount or description. Repeat with exactly the first content, or close the old order and use a new number.",
		ZH: "请求不符合业务规则，常见原因是同一商户订单号用了不同的金额或描述：请用首次下单的原参数重试，或先关单再换新单号。",
	},
	CodeSignError: {
		EN: "WeChat Pay refused the signature: check that certificate_serial belongs to this private key and merchant, that the certificate is not expired or replaced, and that the clock is right within 5 minutes. Don't retry before.",
		ZH: "签名错误：检查商户API证书序列号与私钥、商户号是否匹配，证书是否过期或已更换，本机时钟误差是否在 5 分钟内。修正前不要重试。",
	},
	CodeSystemError: {
		EN: "WeChat Pay had an internal error and the outcome is unknown: query first, then repeat with the same number and parameters.",
		ZH: "微信支付系统异常，结果未知：请先查询，再用原单号、原参数重试。",
	},
	CodeServiceUnavailable: {
		EN: "WeChat Pay is not available and the outcome is unknown: query, then repeat with the same number and parameters.",
		ZH: "微信支付服务暂不可用，结果未知：请先查询，再用原单号、原参数重试。",
	},
	CodeAppIDMchIDNotMatch: {
		EN: "This appid is not bound to this merchant: bind it at 商户平台 › 产品中心 › APPID授权管理, confirm it in the mini program's console, then repeat the same call.",
		ZH: "APPID 与商户号未绑定：在「商户平台 › 产品中心 › APPID授权管理」关联，并在小程序后台确认后，原样重试。",
	},
	CodeMchNotExists: {
		EN: "WeChat Pay does not know this merchant id: check merchant_id.",
		ZH: "商户号不存在：请检查配置的商户号。",
	},
	CodeNoAuth: {
		EN: "The merchant may not use this product, or its account is restricted: look at 商户平台 › 产品中心 and at its messages.",
		ZH: "商户无此产品权限或账户受限：请在商户平台查看产品开通状态与站内信。",
	},
	CodeOutTradeNoUsed: {
		EN: "This order number was used with other content, or is already paid or closed: query it; a new order needs a new number.",
		ZH: "商户订单号重复（内容不同，或已支付、已关闭）：请先查询该单，新的订单须换新单号。",
	},
	CodeOrderClosed: {
		EN: "The order is closed for ever: make a new one with a new number.",
		ZH: "订单已关闭：请换新单号重新下单。",
	},
	CodeOrderPaid: {
		EN: "The order is already paid: query it and treat it as paid. Don't order again.",
		ZH: "订单已支付：请查询订单并按已支付处理，不要重复下单。",
	},
	CodeOrderReversed: {
		EN: "The order was reversed: make a new one with a new number.",
		ZH: "订单已撤销：请换新单号重新下单。",
	},
	CodeRuleLimit: {
		EN: "A business or risk rule of WeChat Pay stops this: the reason is in message and on the merchant platform. Don't repeat.",
		ZH: "触发业务规则或风控限制：原因见 message 与商户平台，请勿重试。",
	},
	CodeTradeError: {
		EN: "WeChat Pay refused for a business reason: query the order, then decide; a new payment needs a new number.",
		ZH: "交易错误：请先查询订单再处理，重新收款须换新单号。",
	},
	CodeOrderNotExist: {
		EN: "WeChat Pay does not know this order: it was never placed, or under another merchant id. After an uncertain order, ask again for ten minutes before you believe it.",
		ZH: "订单不存在：尚未下单，或商户号不对。若下单结果未知，请在 10 分钟内继续查询，再作结论。",
	},
	CodeUserAccountAbnormal: {
		EN: "The buyer's account is closed or restricted: refund in another way, agreed with the buyer.",
		ZH: "用户账户异常或已注销：请与用户约定其他方式退款。",
	},
	CodeNotEnough: {
		EN: "The merchant's balance is too low and no money moved: top up, then repeat with the same number. With a new number it may happen twice, such as a second refund.",
		ZH: "商户可用余额不足，资金未变动：充值后用同一单号重试，换新单号会造成重复（如重复退款）。",
	},
	CodeResourceNotExists: {
		EN: "WeChat Pay does not have what was asked for. A refund that was sent with an unknown outcome was not accepted: send the same request again. Platform certificates: this merchant has none, configure the WeChat Pay public key.",
		ZH: "资源不存在。退款结果未知后查询到此码：说明未受理，请原样重发。平台证书：该商户没有，请配置微信支付公钥。",
	},
	CodeRefundNotExists: {
		EN: "WeChat Pay does not know this refund: it was not accepted. Send the same request again, with the same number.",
		ZH: "退款单不存在：说明未受理，请用同一退款单号原样重发。",
	},
	CodeFrequencyLimited: {
		EN: "Too many requests, or the buyer is paying right now: wait, then repeat with the same parameters. After closing an order: query it first.",
		ZH: "请求过于频繁，或用户正在支付：稍后用原参数重试；关单遇到此码请先查询订单。",
	},
	CodeRequestBlocked: {
		EN: "WeChat Pay's risk control stopped this request: don't repeat it; ask WeChat Pay's support.",
		ZH: "请求被风控拦截：请勿重试，联系微信支付客服。",
	},
	CodeBizErrNeedRetry: {
		EN: "WeChat Pay is busy with the same refund: wait a minute, then repeat with the same number and parameters.",
		ZH: "退款并发处理中：请等待 1 分钟后用同一单号、原参数重试。",
	},
	CodeOpenIDMismatch: {
		EN: "The openid does not belong to this appid: an openid holds in one app only. Log the user in under the appid of the order.",
		ZH: "openid 与 appid 不匹配：openid 只在同一 appid 下有效，请用下单的 appid 登录取得。",
	},
	CodeInvalidTransactionID: {
		EN: "This is no transaction id of WeChat Pay's: check the number.",
		ZH: "微信支付订单号不合法：请检查单号。",
	},
	CodeBankError: {
		EN: "The buyer's bank has trouble and the outcome is unknown: query the order before anything else.",
		ZH: "银行系统异常，结果未知：请先查询订单。",
	},
	CodeUserPaying: {
		EN: "The buyer is entering the password: query the order every few seconds.",
		ZH: "用户支付中：请每隔几秒查询订单。",
	},
	CodeAuthCodeExpire: {
		EN: "The payment code is stale: scan a fresh one.",
		ZH: "付款码已过期：请用户刷新后重新扫码。",
	},
	CodeAuthCodeInvalid: {
		EN: "This is no valid payment code: scan again.",
		ZH: "付款码无效：请重新扫码。",
	},
	CodeUserNotExist: {
		EN: "WeChat Pay does not know this user: check the openid and its appid.",
		ZH: "用户不存在：请检查 openid 与 appid。",
	},
	CodeNoStatementExist: {
		EN: "There is no bill of that day: nothing was traded.",
		ZH: "该日无账单：当天没有交易。",
	},
	CodeStatementCreating: {
		EN: "The bill is being made: ask again after 10:00 Beijing time, every half hour.",
		ZH: "账单生成中：请在北京时间 10:00 后每半小时重试。",
	},
	CodeAlreadyExists: {
		EN: "The number was used before: query it.",
		ZH: "单号已存在：请查询原单。",
	},
	CodeResourceAlreadyExists: {
		EN: "The number was used before: query it.",
		ZH: "资源已存在：请查询原单。",
	},
	CodeNotFound: {
		EN: "WeChat Pay does not have what was asked for: check the number and the merchant id.",
		ZH: "记录不存在：请检查单号与商户号。",
	},
	CodeTradeOverdue: {
		EN: "The payment is older than a year and can't be refunded any more: pay the buyer back in another way.",
		ZH: "交易已超过一年，无法退款：请与用户约定其他方式退款。",
	},
	CodeRefundFeeMismatch: {
		EN: "The refund differs from the earlier request with the same number, or total is not the total of the order: repeat with the first content.",
		ZH: "退款金额与此前同一单号的请求不一致，或订单总金额有误：请用首次的参数重试。",
	},
}
