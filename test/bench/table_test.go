package main

import (
	"math"
	"testing"
)

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
	if got, err := choose("6, 1"); err != nil || len(got) != 3 || got[0].number != 6 || got[1].number != 1 || got[2].number != 1 || !got[2].agent {
		t.Errorf("6, 1: %v, %v", got, err)
	}
	for _, wrong := range []string{"3", "x", "1,,5", "-1"} {
		if _, err := choose(wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}
