package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/periscope-console/periscope/test/bench/figure"
)

// table has a line for each measure and each system that the first is compared
// with.
type table struct {
	systems []string
	lines   [][]string
}

func (t *table) add(rows []row, got samples) {
	for _, r := range rows {
		for _, m := range r.measures {
			if len(got[m.name]) == 0 {
				continue
			}
			for _, other := range t.systems[1:] {
				if len(got[m.name][other]) == 0 {
					continue // it cannot be asked this
				}
				t.line(r.number, m, got[m.name][t.systems[0]], other, got[m.name][other])
			}
		}
	}
}

func (t *table) line(number int, m measure, ours []float64, other string, theirs []float64) {
	a, b, ratio := figure.Median(ours), figure.Median(theirs), figure.SpreadOf(figure.Ratios(ours, theirs))
	wanted, met := "–", ""
	if other == "remotedialer" {
		wanted, met = m.judge(a, ratio.Median)
	}
	t.lines = append(t.lines, []string{
		strconv.Itoa(number), m.name, figure.Text(a) + " " + m.unit, other, figure.Text(b) + " " + m.unit,
		fmt.Sprintf("%s (%s–%s)", figure.Text(ratio.Median), figure.Text(ratio.Least), figure.Text(ratio.Most)),
		wanted, met,
	})
}

// judge names the targets of a measure and says whether all are met.
func (m measure) judge(ours, ratio float64) (wanted, met string) {
	var words []string
	ok := true
	if m.most > 0 {
		words, ok = append(words, "≤ "+figure.Text(m.most)+"×"), ok && ratio <= m.most
	}
	if m.least > 0 {
		words, ok = append(words, "≥ "+figure.Text(m.least)+"×"), ok && ratio >= m.least
	}
	if m.absolute > 0 {
		words, ok = append(words, "≤ "+figure.Text(m.absolute)+" "+m.unit), ok && ours <= m.absolute
	}
	switch {
	case len(words) == 0:
		return "–", ""
	case ok:
		return strings.Join(words, ", "), "yes"
	}
	return strings.Join(words, ", "), "no"
}

func (t *table) print(w io.Writer) error {
	head := []string{"row", "measure", t.systems[0], "against", "", "ratio: median (min–max)", "target", "met?"}
	return figure.Print(w, append([][]string{head}, t.lines...))
}
