package apiv2

import "github.com/fenhao-pay/fenhao/internal/phrase"

// hints say what to do about each code. A code without a hint is not listed.
var hints = map[Code]phrase.Text{
	CodeSystemError: {
		EN: "WeChat Pay had an internal error and the outcome is unknown: query first, then repeat with the same number and parameters.",
		ZH: "微信支付系统异常，结果未知：请先查询，再用原单号、原参数重试。",
	},
	CodeBankError: {
		EN: "The buyer's bank has trouble and the outcome is unknown: wait 5 seconds and query the order before anything else.",
		ZH: "银行系统异常，结果未知：请等待 5 秒后查询订单。",
	},
	CodeUserPaying: {
		EN: "The buyer is entering the password: query the order every 5 seconds for up to 45; if it is still not paid, reverse it.",
		ZH: "用户支付中：请每隔 5 秒查询订单，最多 45 秒；仍未支付则撤销。",
	},
	CodeParamError: {
		EN: "A field is missing, too long or of the wrong type: the message names it. Mend it; repeating the request as it is can't succeed.",
		ZH: "参数错误：按返回的错误描述修改，原样重试不会成功。",
	},
	CodeInvalidRequest: {
		EN: "The request breaks a rule, often because this order number was used before with another amount or description. Repeat with exactly the first content, or close the old order and use a new number.",
		ZH: "请求不符合业务规则，常见原因是同一商户订单号用了不同的金额或描述：请用首次下单的原参数重试，或先关单再换新单号。",
	},
	CodeLackParams: {
		EN: "A required field is missing: the message names it.",
		ZH: "缺少必填参数：请按返回的错误描述补齐。",
	},
	CodeXMLFormatError: {
		EN: "WeChat Pay could not read the XML: does something between here and there change the body?",
		ZH: "XML 格式错误：请检查请求正文是否被中间设备改动。",
	},
	CodePostDataEmpty: {
		EN: "The request arrived without a body: does a proxy drop it or follow a redirect?",
		ZH: "POST 数据为空：请检查代理是否丢弃了请求正文。",
	},
	CodeNotUTF8: {
		EN: "The request is not UTF-8: does something between here and there re-encode the body?",
		ZH: "编码不是 UTF-8：请检查请求正文是否被转码。",
	},
	CodeRequirePostMethod: {
		EN: "The request did not arrive as a POST: does a proxy follow a redirect?",
		ZH: "请求方法须为 POST：请检查代理是否跟随了重定向。",
	},
	CodeSignError: {
		EN: "WeChat Pay refused the signature: check that the API key is the one of this merchant (APIv2密钥, not the APIv3 key; a service provider uses its own) and that no other system has just replaced it. Don't retry before.",
		ZH: "签名错误：检查 API 密钥是否属于该商户（是 APIv2密钥 而非 APIv3密钥；服务商用自己的密钥），是否刚被更换。修正前不要重试。",
	},
	CodeCertError: {
		EN: "The client certificate is missing, expired or of another merchant: give apiclient_cert.pem and apiclient_key.pem as Certificate.",
		ZH: "商户API证书缺失、过期或不属于该商户：请在 Certificate 中提供 apiclient_cert.pem 与 apiclient_key.pem。",
	},
	CodeAppIDNotExist: {
		EN: "WeChat Pay does not know this appid: check it.",
		ZH: "APPID 不存在：请检查。",
	},
	CodeMchIDNotExist: {
		EN: "WeChat Pay does not know this merchant id: check it.",
		ZH: "商户号不存在：请检查配置的商户号。",
	},
	CodeAppIDMchIDNotMatch: {
		EN: "This appid is not bound to this merchant: bind it at 商户平台 › 产品中心 › APPID授权管理, confirm it in the app's console, then repeat the same call.",
		ZH: "APPID 与商户号未绑定：在「商户平台 › 产品中心 › APPID授权管理」关联，并在应用后台确认后，原样重试。",
	},
	CodeNoAuth: {
		EN: "The merchant may not use this product, or its account is restricted: look at 商户平台 › 产品中心 and at its messages.",
		ZH: "商户无此产品权限或账户受限：请在商户平台查看产品开通状态与站内信。",
	},
	CodeOutTradeNoUsed: {
		EN: "This order number was used before: query it; a new order needs a new number.",
		ZH: "商户订单号重复：请先查询该单，新的订单须换新单号。",
	},
	CodeOrderPaid: {
		EN: "The order is already paid: query it and treat it as paid. Don't order again.",
		ZH: "订单已支付：请查询订单并按已支付处理，不要重复下单。",
	},
	CodeOrderClosed: {
		EN: "The order is closed for ever: make a new one with a new number.",
		ZH: "订单已关闭：请换新单号重新下单。",
	},
	CodeOrderReversed: {
		EN: "The order was reversed: make a new one with a new number.",
		ZH: "订单已撤销：请换新单号重新下单。",
	},
	CodeOrderNotExist: {
		EN: "WeChat Pay does not know this order: it was never placed, or under another merchant id or role. After an uncertain order, ask again for ten minutes before you believe it.",
		ZH: "订单不存在：尚未下单，或商户号、服务商身份不对。若下单结果未知，请在 10 分钟内继续查询，再作结论。",
	},
	CodeOrderNotReady: {
		EN: "The order is still being processed: wait, then repeat with the same refund number.",
		ZH: "订单处理中，暂不可退款：请稍后用同一退款单号重试。",
	},
	CodeTradeError: {
		EN: "WeChat Pay refused for a business reason: query the order, then decide; a new payment needs a new number.",
		ZH: "交易错误：请先查询订单再处理，重新收款须换新单号。",
	},
	CodeTradeStateError: {
		EN: "The order is in a state that does not allow this: query it first.",
		ZH: "订单状态不允许此操作：请先查询订单。",
	},
	CodeTradeOverdue: {
		EN: "The payment is older than a year and can't be refunded any more: pay the buyer back in another way.",
		ZH: "交易已超过一年，无法退款：请与用户约定其他方式退款。",
	},
	CodeNotEnough: {
		EN: "There is not enough money. A payment: the buyer chooses another way to pay. A refund: top up the merchant's balance, then repeat with the same refund number; a new number would refund twice.",
		ZH: "余额不足。支付：请用户更换支付方式。退款：充值后用同一退款单号重试，换新单号会造成重复退款。",
	},
	CodeInvalidTransactionID: {
		EN: "This is no transaction id of WeChat Pay's: check the number.",
		ZH: "微信支付订单号不合法：请检查单号。",
	},
	CodeRefundNotExist: {
		EN: "WeChat Pay does not know this refund: it was not accepted. Send the same request again, with the same number.",
		ZH: "退款单不存在：说明未受理，请用同一退款单号原样重发。",
	},
	CodeRefundFeeMismatch: {
		EN: "The refund differs from the earlier request with the same number, or total_fee is not the total of the order: repeat with the first content.",
		ZH: "退款金额与此前同一单号的请求不一致，或订单总金额有误：请用首次的参数重试。",
	},
	CodeBizErrNeedRetry: {
		EN: "WeChat Pay is busy with the same refund: wait a minute, then repeat with the same number and parameters.",
		ZH: "退款并发处理中：请等待 1 分钟后用同一单号、原参数重试。",
	},
	CodeUserAccountAbnormal: {
		EN: "The buyer's account is closed or restricted: refund in another way, agreed with the buyer.",
		ZH: "用户账户异常或已注销：请与用户约定其他方式退款。",
	},
	CodeInvalidReqTooMuch: {
		EN: "Too many wrong requests: mend the cause, wait a minute, then repeat with the same number.",
		ZH: "无效请求过多：请修正后等待 1 分钟，再用同一单号重试。",
	},
	CodeFrequencyLimited: {
		EN: "Too many requests, an old order, or the buyer is paying right now: wait, then repeat with the same parameters. After closing an order: query it first.",
		ZH: "请求过于频繁、订单较早，或用户正在支付：稍后用原参数重试；关单遇到此码请先查询订单。",
	},
	CodeGeneralError: {
		EN: "WeChat Pay refused for the business reason that the message names.",
		ZH: "业务错误：原因见返回的错误描述。",
	},
	CodeAuthCodeExpire: {
		EN: "The payment code is stale: scan a fresh one.",
		ZH: "付款码已过期：请用户刷新后重新扫码。",
	},
	CodeAuthCodeError: {
		EN: "The payment code can't be read: scan a fresh one.",
		ZH: "付款码有误：请用户刷新后重新扫码。",
	},
	CodeAuthCodeInvalid: {
		EN: "This is no payment code of WeChat Pay's: scan again, and check that the buyer shows WeChat and not another wallet.",
		ZH: "付款码无效：请重新扫码，并确认用户出示的是微信付款码。",
	},
	CodeNotSupportCard: {
		EN: "The buyer's card can't pay this: the buyer chooses another one.",
		ZH: "不支持该银行卡：请用户更换支付方式。",
	},
	CodeBuyerMismatch: {
		EN: "This order number was begun by another buyer: use a new number.",
		ZH: "该订单号已由其他用户支付：请换新单号。",
	},
	CodeNoBillExist: {
		EN: "There is no bill of that day: nothing was traded.",
		ZH: "该日无账单：当天没有交易。",
	},
	CodeBillCreating: {
		EN: "The bill is being made: ask again after 10:00 Beijing time, every half hour.",
		ZH: "账单生成中：请在北京时间 10:00 后每半小时重试。",
	},
	CodeGzipError: {
		EN: "WeChat Pay could not compress the bill: ask again later.",
		ZH: "账单压缩失败：请稍后重试。",
	},
	CodeUngzipError: {
		EN: "WeChat Pay could not read its stored bill: ask again later.",
		ZH: "账单解压失败：请稍后重试。",
	},
	CodeReturnFail: {
		EN: "WeChat Pay refused the request without a code: read its message, mend the cause, and don't repeat the request as it is.",
		ZH: "微信支付拒绝了该请求且未返回错误码：请查看错误描述，排除原因后再试，不要原样重试。",
	},
}
