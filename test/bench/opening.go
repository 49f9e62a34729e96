package main

import (
	"context"
	"time"

	"github.com/periscope-console/periscope/test/bench/figure"
)

// openings in one run, whose median counts.
const openings = 15

// opening measures request → first byte of the prompt.
func opening(ctx context.Context, s side) ([]float64, error) {
	var times []float64
	for range openings {
		took, err := openOnce(ctx, s)
		if err != nil {
			return nil, err
		}
		times = append(times, milliseconds(took))
	}
	return []float64{figure.Median(times)}, nil
}

func openOnce(ctx context.Context, s side) (time.Duration, error) {
	m := newMeter()
	begun := time.Now()
	t, err := s.open(ctx, command{TTY: true, out: m})
	if err != nil {
		return 0, err
	}
	if err := t.await(ctx, m.first); err != nil {
		return 0, err
	}
	return m.begun.Sub(begun), t.finish(ctx, "exit\n")
}
