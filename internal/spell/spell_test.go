package spell

import "testing"

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"dev", "serve", "sandbox", "init", "version", "merchants", "apiv3_key"}
	for word, want := range map[string]string{
		"srve": "serve", "merchnats": "merchants", "apiv3key": "apiv3_key", "verison": "version", "sandbx": "sandbox",
		"dve": "dev", "colour": "", "x": "", "": "", "refunds": "",
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"商户号", "商号户", 1}, {"abc", "abc", 0}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
