// Package bill reads the bills (账单) of WeChat Pay, which say a day later what really happened: the trade bill (交易账单)
// and the fund flow bill (资金账单). One physical format serves API v2 and v3, so this package knows neither; it reads
// the plain text, after gzip was taken off and the hash was compared.
//
//	trades := bill.Trades(file, bill.Options{MaxRows: 1_000_000})
//	for row, err := range trades.Rows() {
//		if err != nil {
//			return err // nothing of the bill may be believed
//		}
//		compare(row)
//	}
//	fmt.Println(trades.Summary().Count)
//
// # What it promises
//
// Rows are read one at a time, whatever the size of the bill. Columns are found by the names in the header and never by
// their position: bills of all trades, of payments and of refunds have different columns, and accounts of before 2018
// have others still. A column that this package does not know is kept in Other.
//
// Amounts are yuan in the file and exact here: [money.Fen], and [Fee] for handling fees, which have five decimals.
// Nothing is rounded. The last lines of a bill hold its totals; they are compared with the rows, count by count and fen
// by fen. So a bill is proven only when Rows has ended without an error: until then act upon nothing, or be able to take
// it back. Every error is an [*Error] that names the line and the column.
//
// # What it is not
//
// It does not fetch bills and does not reconcile them. It does not undo WeChat Pay's escapes in names and notes, which
// are not published in full: join bills on order and refund numbers.
package bill
