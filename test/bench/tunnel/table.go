package main

import (
	"fmt"
	"io"
	"strconv"

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
	var ok bool
	switch {
	case m.most > 0:
		wanted, ok = "≤ "+figure.Text(m.most)+"×", ratio <= m.most
	case m.least > 0:
		wanted, ok = "≥ "+figure.Text(m.least)+"×", ratio >= m.least
	default:
		return "–", ""
	}
	if m.absolute > 0 {
		wanted += ", ≤ " + figure.Text(m.absolute) + " " + m.unit
		ok = ok && ours <= m.absolute
	}
	if ok {
		return wanted, "yes"
	}
	return wanted, "no"
}

func (t *table) print(w io.Writer) error {
	head := []string{"row", "measure", t.systems[0], "against", "", "ratio: median (min–max)", "target", "met?"}
	return figure.Print(w, append([][]string{head}, t.lines...))
}
