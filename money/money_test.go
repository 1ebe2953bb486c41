package money_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/fenhao-pay/fenhao/money"
)

func ExampleFen_String() {
	fmt.Println(money.Fen(1999), money.Fen(5), money.Fen(-1), money.Fen(math.MinInt64))
	// Output: 19.99 0.05 -0.01 -92233720368547758.08
}

func ExampleParseYuan() {
	f, _ := money.ParseYuan("0.29")
	_, err := money.ParseYuan("0.291")
	fmt.Println(int64(f), err)
	// Output: 29 "0.291" is not an amount in yuan: it has more than two decimals
}

// Every amount from 0.00 to 1000.00 yuan reads as its fen: 4.35 is 435 and never the 434 of int(4.35*100).
func TestParseYuanIsExact(t *testing.T) {
	for fen := range int64(100_001) {
		text := fmt.Sprintf("%d.%02d", fen/100, fen%100)
		got, err := money.ParseYuan(text)
		if err != nil || got != money.Fen(fen) || got.String() != text {
			t.Fatalf("ParseYuan(%q) = %d, %v; it prints %q", text, int64(got), err, got)
		}
	}
}

func TestParseYuanRefuses(t *testing.T) {
	for _, s := range []string{"", "-", ".", "1.", ".5", "+1", "--1", "1,000.00", "1e2", " 1", "1 ", "1.234", "0x1", "１", "1.-5", "99999999999999999999"} {
		if got, err := money.ParseYuan(s); err == nil {
			t.Errorf("ParseYuan(%q) = %s, want an error", s, got)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := money.Fen(rapid.Int64().Draw(t, "fen"))
		if got, err := money.ParseYuan(want.String()); err != nil || got != want {
			t.Fatalf("yuan: %d reads back as %d, %v", int64(want), int64(got), err)
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got money.Fen
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Fatalf("JSON: %d reads back as %d, %v", int64(want), int64(got), err)
		}
	})
}

func TestJSONIsAnIntegerOrAnError(t *testing.T) {
	for _, s := range []string{`null`, `"100"`, `1.0`, `1e2`, `0.01`, `true`, `{}`, `9223372036854775808`} {
		f := money.Fen(7)
		if err := json.Unmarshal([]byte(s), &f); err == nil {
			t.Errorf("%s was taken as %d", s, int64(f))
		}
		if f != 7 {
			t.Errorf("%s changed the amount to %d", s, int64(f))
		}
	}
}

func TestArithmeticNeverWraps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		sum, err := money.Fen(a).Plus(money.Fen(b))
		exact := a+b-b == a && (b >= 0) == (a+b >= a)
		if exact != (err == nil) || (exact && int64(sum) != a+b) {
			t.Fatalf("%d + %d = %d, %v", a, b, sum, err)
		}
		product, err := money.Fen(a).Times(b)
		if err == nil && b != 0 && int64(product)/b != a {
			t.Fatalf("%d × %d = %d", a, b, product)
		}
	})
	if _, err := money.Fen(math.MaxInt64).Plus(1); !errors.Is(err, money.ErrOverflow) {
		t.Error("the largest amount plus one is", err)
	}
	for _, c := range [][2]int64{{math.MaxInt64, 2}, {math.MinInt64, -1}, {1 << 32, 1 << 32}} {
		if _, err := money.Fen(c[0]).Times(c[1]); !errors.Is(err, money.ErrOverflow) {
			t.Errorf("%d × %d gives %v", c[0], c[1], err)
		}
	}
}

func TestScan(t *testing.T) {
	var f money.Fen
	if err := f.Scan(int64(998)); err != nil || f != 998 {
		t.Errorf("Scan(998) = %d, %v", f, err)
	}
	for _, v := range []any{nil, 9.98, "998", []byte("998")} {
		if err := f.Scan(v); err == nil {
			t.Errorf("Scan(%v) was taken", v)
		}
	}
}
