package bill_test

import (
	"fmt"
	"strings"

	"github.com/fenhao-pay/fenhao/wechatpay/bill"
)

func ExampleTrades() {
	file := strings.NewReader("交易时间,商户号,微信订单号,商户订单号,交易状态,商品名称,手续费,费率,订单金额\r\n" +
		"`2026-11-19 10:00:00,`1900007291,`4200000001202611190000000001,`ORDER-000001,`SUCCESS,`拿铁, 大杯,`0.01000,`0.60%,`1.10\r\n" +
		"总交易单数,手续费总金额,订单总金额\r\n`1.0,`0.01,`1.1\r\n")
	trades := bill.Trades(file, bill.Options{})
	for row, err := range trades.Rows() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(row.OutTradeNo, row.Total, row.Fee, row.Rate, row.Description)
	}
	fmt.Println(trades.Summary().Count, trades.Summary().Total)
	// Output:
	// ORDER-000001 1.10 0.01000 0.60% 拿铁, 大杯
	// 1 1.10
}
