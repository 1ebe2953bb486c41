package sandbox

import (
	"cmp"
	"net/http"
)

// What answers of API v2 say. They have one language. The texts are WeChat Pay's where such an answer was ever published.

// failuresV2 are the reasons for which return_code is FAIL, by the names that the manual has for them. No answer of this
// kind says its name.
var failuresV2 = map[string]string{
	"REQUIRE_POST_METHOD": "请使用post方法",
	"POST_DATA_EMPTY":     "post数据为空",
	"NOT_UTF8":            "编码格式错误",
	"XML_FORMAT_ERROR":    "XML格式错误",
	"SIGNERROR":           "签名错误",
	"LACK_PARAMS":         "缺少参数",
	"APPID_NOT_EXIST":     "appid不存在",
	"MCHID_NOT_EXIST":     "mch_id不存在",
	"RATELIMIT_EXCEEDED":  "频率限制",
}

const (
	saysSignType        = "sign_type参数错误"
	saysNoCertificateV2 = "证书验证失败"
	saysNoNumberV2      = "缺少参数transaction_id或out_trade_no"
)

// textsV2 are the texts (err_code_des) of the codes with which result_code is FAIL.
var textsV2 = map[string]string{
	"APPID_MCHID_NOT_MATCH": "appid和mch_id不匹配",
	"INVALID_REQUEST":       "参数错误",
	"NOAUTH":                "商户无此接口权限",
	"NOTENOUGH":             "余额不足",
	"ORDERCLOSED":           "该订单已关闭",
	"ORDERNOTEXIST":         "订单不存在",
	"ORDERPAID":             "该订单已支付",
	"OUT_TRADE_NO_USED":     "商户订单号重复",
	"PARAM_ERROR":           "参数错误",
	"SYSTEMERROR":           "系统异常，请用相同参数重新调用",
	"TRADE_STATE_ERROR":     "订单状态错误",
	"FREQUENCY_LIMITED":     "你的操作过于频繁，请稍后再试。",
	"CERT_ERROR":            "证书校验错误",
	"AUTHCODEEXPIRE":        "二维码已过期，请用户在微信上刷新后再试",
	"AUTH_CODE_ERROR":       "支付授权码错误",
	"AUTH_CODE_INVALID":     "请扫描微信支付被扫条码/二维码",
	"BANKERROR":             "银行系统异常",
	"BUYER_MISMATCH":        "支付帐号错误",
	"NOTSUPORTCARD":         "不支持卡类型",
	"ORDERREVERSED":         "订单已撤销",
	"REVERSE_EXPIRE":        "订单无法撤销",
	"TRADE_ERROR":           "交易错误",
	"USERPAYING":            "用户支付中，需要输入密码",
	"BILL_CREATING":         "账单生成中",
	"NO_BILL_EXIST":         "账单不存在",
	"BIZERR_NEED_RETRY":     "退款业务流程错误，需要商户触发重试来解决",
	"ERROR":                 "业务错误",
	"INVALID_REQ_TOO_MUCH":  "无效请求过多",
	"INVALID_TRANSACTIONID": "无效transaction_id",
	"ORDER_NOT_READY":       "订单处理中，暂时无法退款，请稍后再试",
	"REFUNDNOTEXIST":        "退款单不存在",
	"REFUND_FEE_MISMATCH":   "订单金额或退款金额与之前请求不一致，请核实后再试",
	"TRADE_OVERDUE":         "订单已经超过退款期限",
	"USER_ACCOUNT_ABNORMAL": "退款请求失败，用户帐号注销",
}

// spelledV2 are the codes of v3 that v2 spells otherwise.
var spelledV2 = map[string]string{
	"SYSTEM_ERROR": "SYSTEMERROR", "SIGN_ERROR": "SIGNERROR", "NO_AUTH": "NOAUTH", "NOT_ENOUGH": "NOTENOUGH",
	"ORDER_PAID": "ORDERPAID", "ORDER_CLOSED": "ORDERCLOSED", "ORDER_NOT_EXIST": "ORDERNOTEXIST",
	"RESOURCE_NOT_EXISTS": "REFUNDNOTEXIST",
	"NO_STATEMENT_EXIST":  "NO_BILL_EXIST", "STATEMENT_CREATING": "BILL_CREATING",
	"MCH_NOT_EXISTS": "MCHID_NOT_EXIST", "BANK_ERROR": "BANKERROR",
}

// spellV2 makes of an error what v2 answers. Whatever v2 has to say it says with the status 200, so a code counts more
// than the status that v3 would give it; another status is that of a web server in between, which knows no codes.
func (f *Fault) spellV2() {
	if spelled, ok := spelledV2[f.Code]; ok {
		f.Code = spelled
	}
	switch between := f.Status > http.StatusInternalServerError; {
	case between, f.Status != 0 && f.Status != http.StatusOK && f.Code == "":
		f.Code = ""
	default:
		f.Status, f.Code = http.StatusOK, cmp.Or(f.Code, "SYSTEMERROR")
	}
}
