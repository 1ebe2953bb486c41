package bill

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fenhao-pay/fenhao/money"
)

// Fee is a handling fee (手续费) in units of 0.00001 yuan: 1000 are one fen. It is negative where a fee was given back.
type Fee int64

// FeePerFen is one fen as a Fee.
const FeePerFen Fee = 1000

// String formats f in yuan with five decimals, as bills do: Fee(1000) is "0.01000".
func (f Fee) String() string { return formatDecimal(int64(f), 5) }

// Fen returns f in fen, and whether that is exact. WeChat Pay rounds the fee of each payment to fen, so it is, but in
// bills of products that are charged otherwise.
func (f Fee) Fen() (fen money.Fen, exact bool) {
	return money.Fen(f / FeePerFen), f%FeePerFen == 0
}

// Rate is a fee rate (费率) in millionths: 6000 is 0.60%.
type Rate int64

// String formats r in percent with at least two decimals, as bills do: Rate(6000) is "0.60%".
func (r Rate) String() string {
	s := formatDecimal(int64(r), 4)
	return strings.TrimSuffix(strings.TrimSuffix(s, "0"), "0") + "%"
}

func formatDecimal(n int64, places int) string {
	sign, u := "", uint64(n)
	if n < 0 {
		sign, u = "-", -u // two's complement: right for the least integer too
	}
	digits := fmt.Sprintf("%0*d", places+1, u)
	return sign + digits[:len(digits)-places] + "." + digits[len(digits)-places:]
}

// parseDecimal reads s exactly as a number of units of which 10^places make one. Bills print one number in several ways,
// 0, 0.0, 0.00 or 0.00000, so zeros beyond the last place are allowed; any other digit there is an error, and so is
// anything but digits, one point and one leading minus.
func parseDecimal(s string, places int) (int64, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, part, point := strings.Cut(digits, ".")
	if whole == "" || (point && part == "") {
		return 0, errors.New("it is not a number")
	}
	if len(part) > places {
		if strings.Trim(part[places:], "0") != "" {
			return 0, fmt.Errorf("it has more than %d decimals", places)
		}
		part = part[:places]
	}
	var n int64
	for _, c := range []byte(whole + part + strings.Repeat("0", places-len(part))) {
		if c < '0' || c > '9' {
			return 0, errors.New("it is not a number")
		}
		d := int64(c - '0')
		if n > (1<<63-1-d)/10 {
			return 0, errors.New("it is too large")
		}
		n = n*10 + d
	}
	if negative {
		n = -n
	}
	return n, nil
}

func parseRate(s string) (Rate, error) {
	number, ok := strings.CutSuffix(s, "%")
	if !ok {
		return 0, errors.New("it is not a percentage")
	}
	n, err := parseDecimal(number, 4)
	return Rate(n), err
}
