package fenhao_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// knownTraps is how many traps there are.
const knownTraps = 67

// partly are the traps that the code can't rule out as a whole, or does not yet, each with what is left, in the words of
// docs/traps.md. A trap leaves this list when that is done.
var partly = map[int]string{
	5:  "the clock is the machine's: drift is told, not mended",
	6:  "without the certificate, a well-formed serial of another certificate is noticed by WeChat alone",
	8:  "without the certificate there is nothing to compare, and WeChat's refusal tells it",
	22: "what a proxy has dropped or rewritten can't be restored here",
	46: "the payload of the JS-SDK's `chooseWXPay`, which spells `timestamp`, is not made here",
	48: "a prepay id does not show which API it came from, so one given to the other package is noticed by the phone",
	49: "the SDK of v3 signs for the app that it is given, and can't see which one runs",
	51: "the service makes no refunds yet, so the number of a refund is the caller's to keep",
	55: "an https address in a private network is taken, as sandboxes live there",
	57: "the service does not read them: it is refused until WeChat stops repeating",
	58: "the service does not compare itself with the bills yet",
	60: "a number does not show how its order is paid, so `CloseOrder` can't refuse a code payment",
	61: "the SDK does not hold callers to WeChat's rates",
	67: "receipts, the family in question, are not among the SDK's calls",
}

// Every trap stands in docs/traps.md once, with tests that exist, and says so where something is left.
func TestTrapsAreAnswered(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("docs/traps.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(file)
	rows, order := tableRows(t, text, regexp.MustCompile(`^[0-9]+$`))
	var want []string
	for i := range knownTraps {
		want = append(want, strconv.Itoa(i+1))
	}
	checkRows(t, rows, order, want)
	for i, id := range want {
		cells := rows[id]
		if cells == nil {
			continue // told above
		}
		if !isTestList(cells[3]) {
			t.Errorf("%s: %q is not a list of `package:Test`", id, cells[3])
		}
		begin := "**partly**: " + partly[i+1] + ". Else: "
		if partly[i+1] != "" && !strings.HasPrefix(cells[2], begin) {
			t.Errorf("%s begins with %q, want %q", id, cells[2], begin)
		}
		if partly[i+1] == "" && strings.Contains(cells[2], "partly") {
			t.Errorf("%s is answered in part, and is not in the list of those: %q", id, cells[2])
		}
	}
	for i, left := range partly {
		if left == "" || !slices.Contains(want, strconv.Itoa(i)) {
			t.Errorf("%d is in the list of those answered in part, with %q", i, left)
		}
	}
	if n := checkNamedTests(t, text); n < knownTraps {
		t.Errorf("only %d tests are named", n)
	}
}
