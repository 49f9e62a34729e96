package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/periscope-console/periscope/test/bench/figure"
)

type targetKind uint8

const (
	ratioAtMost targetKind = iota
	ratioAtLeast
	oursAtMost // an absolute limit, in the measure's unit
)

type target struct {
	kind  targetKind
	limit float64
}

// met judges medians. A target on a ratio is not met where there is none.
func (t target) met(ours, ratio float64) bool {
	switch t.kind {
	case ratioAtMost:
		return ratio <= t.limit
	case ratioAtLeast:
		return ratio >= t.limit
	}
	return ours <= t.limit
}

func (t target) text(unit string) string {
	limit := strconv.FormatFloat(t.limit, 'g', -1, 64)
	switch t.kind {
	case ratioAtMost:
		return "≤ " + limit + "×"
	case ratioAtLeast:
		return "≥ " + limit + "×"
	}
	return "≤ " + strings.TrimSpace(limit+" "+unit)
}

// measure is one figure of a row.
type measure struct {
	name, unit string
	targets    []target
}

// row is one row of the table in docs/performance.md. A run gives one value for
// each measure.
type row struct {
	number   int
	title    string
	pairs    int // how many, unless the command line says so
	measures []measure
	run      func(ctx context.Context, s side) ([]float64, error)
	agent    bool // ours goes through the cluster's agent
	// alone stands instead of run where the two sides are not client-go and
	// Periscope, or there is but one. The note says under which circumstances it
	// measured.
	alone func(ctx context.Context, r *rig, pairs int) (f figures, note string, err error)
}

// figures are the values of each measure, of both sides; of the reference there
// may be none.
type figures struct{ ours, reference [][]float64 }

// alone are figures of one run without a reference.
func alone(values ...float64) (f figures) {
	for _, v := range values {
		f.ours, f.reference = append(f.ours, []float64{v}), append(f.reference, nil)
	}
	return f
}

// table collects the lines to print.
type table struct{ lines [][]string }

func (t *table) measure(ctx context.Context, r *rig, w row, pairs int) error {
	fmt.Printf("row %2d  %s ", w.number, w.title)
	begun := time.Now()
	var err error
	if w.alone != nil {
		err = t.single(ctx, r, w, pairs)
	} else {
		err = t.interleaved(ctx, r, w, pairs)
	}
	if err == nil {
		fmt.Printf(" %.0f s\n", time.Since(begun).Seconds())
	}
	return err
}

func (t *table) single(ctx context.Context, r *rig, w row, pairs int) error {
	if pairs == 0 {
		pairs = w.pairs
	}
	f, note, err := w.alone(ctx, r, pairs)
	if err != nil {
		return err
	}
	for i, m := range w.measures {
		m.name += note
		t.add(w.number, m, f.ours[i], f.reference[i])
	}
	return nil
}

// interleaved runs ours, reference, ours, reference, and so on.
func (t *table) interleaved(ctx context.Context, r *rig, w row, pairs int) error {
	if pairs == 0 {
		pairs = w.pairs
	}
	us, err := r.ourSide(ctx, w)
	if err != nil {
		return err
	}
	ours := make([][]float64, len(w.measures))
	reference := make([][]float64, len(w.measures))
	for range pairs {
		if err := once(ctx, w, us, ours); err != nil {
			return fmt.Errorf("ours: %w", err)
		}
		if err := once(ctx, w, r.reference, reference); err != nil {
			return fmt.Errorf("reference: %w", err)
		}
		fmt.Print(".")
	}
	for i, m := range w.measures {
		t.add(w.number, m, ours[i], reference[i])
	}
	return nil
}

func (r *rig) ourSide(ctx context.Context, w row) (side, error) {
	if w.agent {
		return r.throughAgent(ctx)
	}
	return r.ours, nil
}

// runLimit bounds one run of one side.
const runLimit = 2 * time.Minute

func once(ctx context.Context, w row, s side, into [][]float64) error {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	values, err := w.run(ctx, s)
	if err != nil {
		return err
	}
	for i, v := range values {
		into[i] = append(into[i], v)
	}
	return nil
}

func (t *table) add(number int, m measure, ours, reference []float64) {
	o, ratio := figure.Median(ours), figure.SpreadOf(figure.Ratios(ours, reference))
	ref, rel := "–", "–"
	if len(reference) > 0 {
		ref = figure.Text(figure.Median(reference)) + " " + m.unit
		rel = fmt.Sprintf("%s (%s–%s)", figure.Text(ratio.Median), figure.Text(ratio.Least), figure.Text(ratio.Most))
	}
	wanted, met := judge(m, o, ratio.Median)
	t.lines = append(t.lines, []string{
		strconv.Itoa(number), m.name, strings.TrimSpace(figure.Text(o) + " " + m.unit), ref, rel, wanted, met,
	})
}

// judge names the targets of a measure and says whether all are met.
func judge(m measure, ours, ratio float64) (wanted, met string) {
	if len(m.targets) == 0 {
		return "–", ""
	}
	met = "yes"
	var words []string
	for _, t := range m.targets {
		words = append(words, t.text(m.unit))
		if !t.met(ours, ratio) {
			met = "no"
		}
	}
	return strings.Join(words, ", "), met
}

// print writes the table, columns aligned.
func (t *table) print(w io.Writer) error {
	head := []string{"row", "measure", "ours", "reference", "ratio: median (min–max)", "target", "met?"}
	return figure.Print(w, append([][]string{head}, t.lines...))
}
