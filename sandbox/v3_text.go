package sandbox

// Error numbers that WeChat Pay puts behind the dash of Request-ID. Source: vendor manual, list of the most frequent.
const (
	numberIllegal        = 268435461
	numberUndefined      = 270924358
	numberSignature      = 268443699
	numberOrderMissing   = 268512771
	numberOrderPaid      = 268449538
	numberOrderOverdue   = 268447914
	numberOrderDiffers   = 268498688
	numberOrderForeign   = 268447843
	numberAppUnbound     = 268445527
	numberSystem         = 268435456
	numberOrderIsClosed  = 268498689
	numberCloseForbidden = 268449641
	numberFrequency      = 268447840
)

// What answers say. The Chinese is WeChat Pay's where such an answer was ever published, which is all of the signature;
// the English is ours.
var (
	saysMalformedSignature = phrase{"签名信息错误，验签失败",
		"The signature information is wrong: verification failed"}
	saysMalformedAuthorization = phrase{"Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》",
		"The HTTP header Authorization is malformed: see the signature rules of the REST API"}
	saysWrongScheme = phrase{"HTTP头Authorization认证类型不正确",
		"The type of authentication in the HTTP header Authorization is wrong"}
	saysLate = phrase{"Http头Authorization中的timestamp与发起请求的时间不得超过5分钟",
		"The timestamp in the HTTP header Authorization is more than 5 minutes away from the time of the request"}
	saysNoMerchant = phrase{"商户未申请过证书",
		"The merchant never applied for a certificate"}
	saysWrongSerial = phrase{"商户证书序列号有误。请使用签名私钥匹配的证书序列号",
		"The serial number of the merchant's certificate is wrong: use that of the certificate of the signing key"}
	saysWrongSignature = phrase{"签名错误",
		"The signature is wrong"}
	saysNoSuchKey = phrase{"平台证书序列号Wechatpay-Serial错误",
		"The serial number Wechatpay-Serial is wrong"}
	saysOtherMerchant = phrase{"http header中的mchid与post payload中的mchid不匹配",
		"The mchid in the HTTP header and that in the payload differ"}
	saysNoAgent = phrase{"Http头缺少Accept或User-Agent",
		"The HTTP header Accept or User-Agent is missing"}
	saysNotJSON = phrase{"Http头Content-Type必须为application/json",
		"The HTTP header Content-Type must be application/json"}
	saysTooLarge = phrase{"请求报文过大",
		"The body is too large"}
	saysNoObject = phrase{"请求报文不是合法的JSON对象",
		"The body is no JSON object"}
	saysNoQuery = phrase{"请求参数不是合法的查询字符串",
		"The query can't be parsed"}
	saysSystem = phrase{"系统异常，请用相同参数重新调用",
		"System error: call again with the same parameters"}

	saysUnbound = phrase{"商户号mchid与appid不匹配",
		"The appid isn't bound to the mchid"}
	saysNoOpenID = phrase{"无效的openid",
		"The openid is invalid"}
	saysOtherOpenID = phrase{"appid和openid不匹配",
		"The openid is one of another appid"}
	saysPast = phrase{"time_expire时间已过期",
		"The time_expire is in the past"}
	saysTooFar = phrase{"time_expire距下单时间不能超过15天",
		"The time_expire is more than 15 days after the order"}
	saysTooFarNative = phrase{"time_expire距下单时间不能超过7天",
		"The time_expire is more than 7 days after the order"}
	saysReverse = phrase{"付款码支付的订单不能关闭，请撤销",
		"A code payment can't be closed: reverse it"}
	saysPaying = phrase{"用户支付中，请稍后重试",
		"The user is paying: try again later"}
	saysTooFrequent = phrase{"频率超限",
		"Too many requests"}
	saysDiffers = phrase{"请求重入时，参数与首次请求时不一致",
		"The order was placed before with other parameters"}
	saysOverdue = phrase{"订单已过期",
		"The order has expired"}
	saysPaid = phrase{"该订单已支付",
		"The order is paid"}
	saysClosed = phrase{"该订单已关闭",
		"The order is closed"}
	saysForeign = phrase{"商户号与订单不匹配",
		"The order is another merchant's"}
	saysNoOrder = phrase{"订单不存在",
		"The order doesn't exist"}
	saysNoRefundableOrder = phrase{"订单不存在或未支付",
		"The order doesn't exist or isn't paid"}
	saysNoRefund = phrase{"退款单不存在",
		"The refund doesn't exist"}
	saysRefundDiffers = phrase{"订单金额或退款金额与之前请求不一致，请核实后再试",
		"The refund was asked for before with other parameters"}
	saysTotalDiffers = phrase{"原订单金额与订单不一致，请核实后再试",
		"The total isn't the order's"}
	saysFromDiffers = phrase{"退款出资账户金额之和与退款金额不一致",
		"The amounts of the accounts don't add up to the refund"}
	saysExcess = phrase{"申请退款金额大于订单可退金额",
		"The refund is more than what is left of the payment"}
	saysTooMany = phrase{"订单部分退款次数超过50次",
		"The order has 50 refunds, which is the most"}
	saysTooOld = phrase{"订单支付时间超过一年，不能退款",
		"The payment is more than a year old and can't be refunded"}
	saysTooSoon = phrase{"同一订单的两次退款间隔过短，请一分钟后重试",
		"The order's last refund was just now: try again in a minute"}
	saysNotEnough = phrase{"基本账户余额不足，请充值后重新发起",
		"The balance is too low: top it up and send the same request again"}
	saysNotAbnormal = phrase{"退款单状态不是退款异常，无法发起异常退款",
		"The refund isn't ABNORMAL"}
	saysNoSealer = phrase{"请求中含有加密字段，Http头Wechatpay-Serial缺失或错误",
		"The body has encrypted fields, and the HTTP header Wechatpay-Serial is missing or wrong"}
	saysUnreadable = phrase{"敏感信息解密失败",
		"An encrypted field can't be decrypted"}
	saysDayNotOver = phrase{"账单日期不合法，只能申请昨天及以前的账单",
		"The bill_date is today or in the future"}
	saysDayTooOld = phrase{"账单日期不合法，只能申请三个月以内的账单",
		"The bill_date is more than three months ago"}
	saysCreating = phrase{"账单生成中，请稍后再试",
		"The bill is being made: try again later"}
	saysNoStatement = phrase{"账单文件不存在",
		"There is no bill for that day: nothing was traded"}
	saysNoLink = phrase{"下载链接无效或已过期，请重新申请账单",
		"The download link is wrong or has expired: apply for the bill again"}
	saysNoCertificate = phrase{"无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。" +
		"可查看指引https://pay.weixin.qq.com/doc/v3/merchant/4012153196",
		"There is no platform certificate: apply for the WeChat Pay public key on the merchant platform, API security"}
)

func saysTwice(name string) phrase {
	return phrase{"字段“" + name + "”重复", "The field “" + name + "” comes twice"}
}
