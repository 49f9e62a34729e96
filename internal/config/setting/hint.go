package setting

import (
	"slices"
	"strings"
)

// Prefix begins every variable of ours but PORT.
const Prefix = "PERISCOPE_"

// Hint suggests the name that was meant, or says nothing where none is near.
func Hint(got string, known []string) string {
	best, at := len(strings.TrimPrefix(got, Prefix))/3+1, -1
	for i, name := range known {
		if d := distance(got, name); d <= best {
			best, at = d-1, i
		}
	}
	if at < 0 {
		return ""
	}
	return "; did you mean " + known[at] + "?"
}

// distance counts the letters to put in, take out, change or swap with their
// neighbour (optimal string alignment).
func distance(a, b string) int {
	const most = 64 // nobody misspells more, and the cost is the product
	if len(a) > most || len(b) > most {
		return most
	}
	var before, row []int
	next := make([]int, len(b)+1)
	for j := range next {
		next[j] = j
	}
	for i := range len(a) {
		before, row, next = row, next, make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			change := row[j]
			if a[i] != b[j] {
				change++
			}
			next[j+1] = slices.Min([]int{change, row[j+1] + 1, next[j] + 1})
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
	}
	return next[len(b)]
}
