// Package spell finds out what a misspelt name was meant to be, so that an error can say "did you mean …?". It serves the
// command line, the settings and the API alike.
package spell

// Nearest returns the one of names that word was most likely meant to be, or "" when none is near: about a third of
// the letters may be wrong, and one at least.
func Nearest(word string, names []string) string {
	best, nearest := len(word)/3+2, ""
	for _, name := range names {
		if d := distance(word, name); d < best {
			best, nearest = d, name
		}
	}
	return nearest
}

// distance counts the letters to insert, delete, change or swap with their neighbour (Damerau's distance, each place
// edited once): typing "merchnats" is one slip, not two.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
