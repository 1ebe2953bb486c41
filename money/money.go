// Package money holds the one unit in which Fenhao counts: [Fen].
//
// WeChat Pay speaks of money as an integer number of fen (分, 1/100 yuan) in every API and notification; only its
// bills and the screens that people read use yuan. So does this module: Fen in every signature, column and JSON
// document, and text in yuan at the edges, made by [Fen.String] and read by [ParseYuan]. There is no float anywhere:
// 0.29 yuan times 100 is 28.999999999999996 in floating point, and that fen is somebody's.
//
// The package imports nothing of ours and does no I/O.
package money

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Fen is an amount of renminbi in fen: 100 fen are 1 yuan. The zero value is no money. JSON and SQL carry it as a plain
// integer. It may be negative where it is a difference; an order or a refund is at least 1.
type Fen int64

// CNY is the only currency that the mini-program APIs of WeChat Pay take.
const CNY = "CNY"

// ErrOverflow is the error of arithmetic whose result does not fit 64 bits.
var ErrOverflow = errors.New("the amount is too large")

// String formats f in yuan with two decimals: Fen(1999) is "19.99", Fen(-5) is "-0.05".
func (f Fen) String() string {
	sign, u := "", uint64(f)
	if f < 0 {
		sign, u = "-", -u // two's complement: right for math.MinInt64 too
	}
	return fmt.Sprintf("%s%d.%02d", sign, u/100, u%100)
}

// Plus returns f+g, or ErrOverflow.
func (f Fen) Plus(g Fen) (Fen, error) {
	if (g > 0 && f > math.MaxInt64-g) || (g < 0 && f < math.MinInt64-g) {
		return 0, ErrOverflow
	}
	return f + g, nil
}

// Times returns n times f, or ErrOverflow. n is a count, such as a quantity of goods.
func (f Fen) Times(n int64) (Fen, error) {
	if f == 0 || n == 0 {
		return 0, nil
	}
	p := int64(f) * n
	if p/n != int64(f) || (n == -1 && f == math.MinInt64) {
		return 0, ErrOverflow
	}
	return Fen(p), nil
}

// ParseYuan reads a decimal number of yuan, such as "19.99", "-0.5" or "100". It is exact: more than two decimals, an
// exponent, a sign other than one leading "-", blanks and separators are errors, and nothing is ever rounded.
func ParseYuan(s string) (Fen, error) {
	bad := func(why string) (Fen, error) {
		return 0, fmt.Errorf("%q is not an amount in yuan: %s", s, why)
	}
	digits, negative := strings.CutPrefix(s, "-")
	whole, part, point := strings.Cut(digits, ".")
	switch {
	case whole == "" || (point && part == ""):
		return bad("write digits on both sides of the point")
	case len(part) > 2:
		return bad("it has more than two decimals")
	}
	number := whole + (part + "00")[:2]
	for _, c := range []byte(number) {
		if c < '0' || c > '9' {
			return bad("only digits and one point are allowed")
		}
	}
	if negative {
		number = "-" + number
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return bad("it is too large")
	}
	return Fen(n), nil
}

// UnmarshalJSON takes a JSON integer and nothing else: null, strings, fractions and exponents are errors, so that a
// missing or mistyped amount can't pass for zero.
func (f *Fen) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || b[0] == '+' {
		return fmt.Errorf("an amount is an integer number of fen, not %s", b)
	}
	*f = Fen(n)
	return nil
}

// Value stores f as an integer.
func (f Fen) Value() (driver.Value, error) { return int64(f), nil }

// Scan takes an integer column and nothing else: a NULL, a float or a text there is a mistake of the schema.
func (f *Fen) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("an amount is an integer column, not %T", v)
	}
	*f = Fen(n)
	return nil
}
