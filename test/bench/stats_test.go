package main

import (
	"math"
	"slices"
	"testing"
)

func TestQuantile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, c := range []struct {
		values  []float64
		q, want float64
	}{
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
		{hundred, 0, 1},
		{[]float64{7}, 0.99, 7},
		{[]float64{3, 1, 2}, 0.5, 2},
	} {
		if got := quantile(c.values, c.q); got != c.want {
			t.Errorf("quantile %v of %d values: %v, want %v", c.q, len(c.values), got, c.want)
		}
	}
	if hundred[0] != 100 {
		t.Error("quantile sorted its argument")
	}
	if !math.IsNaN(quantile(nil, 0.5)) {
		t.Error("quantile of nothing is a number")
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{5}, 5},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: %v, want %v", c.values, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("median of nothing is a number")
	}
}

func TestSpread(t *testing.T) {
	if got, want := spreadOf([]float64{2, 8, 4}), (spread{4, 2, 8}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRatiosArePairwise(t *testing.T) {
	got := ratios([]float64{1, 10, 3}, []float64{2, 5})
	if want := []float64{0.5, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		name        string
		target      target
		ours, ratio float64
		met         bool
		text        string
	}{
		{"at the limit", target{kind: ratioAtMost, limit: 1.25}, 0, 1.25, true, "≤ 1.25×"},
		{"over it", target{kind: ratioAtMost, limit: 1.25}, 0, 1.26, false, "≤ 1.25×"},
		{"fast enough", target{kind: ratioAtLeast, limit: 1}, 0, 1.1, true, "≥ 1×"},
		{"too slow", target{kind: ratioAtLeast, limit: 1}, 0, 0.9, false, "≥ 1×"},
		{"absolute", target{kind: oursAtMost, limit: 200}, 200, 0, true, "≤ 200 ms"},
		{"absolute, over", target{kind: oursAtMost, limit: 200}, 201, 0, false, "≤ 200 ms"},
		{"no reference", target{kind: ratioAtMost, limit: 1}, 1, math.NaN(), false, "≤ 1×"},
	} {
		if got := c.target.met(c.ours, c.ratio); got != c.met {
			t.Errorf("%s: met %v", c.name, got)
		}
		if got := c.target.text("ms"); got != c.text {
			t.Errorf("%s: %q, want %q", c.name, got, c.text)
		}
	}
}

func TestChoose(t *testing.T) {
	if all, err := choose(""); err != nil || len(all) != len(rows) {
		t.Errorf("all rows: %d, %v", len(all), err)
	}
	if got, err := choose("5, 1"); err != nil || len(got) != 2 || got[0].number != 5 || got[1].number != 1 {
		t.Errorf("5, 1: %v, %v", got, err)
	}
	for _, wrong := range []string{"3", "x", "1,,5", "-1"} {
		if _, err := choose(wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}
