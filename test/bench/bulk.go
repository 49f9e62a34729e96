package main

import "context"

// bulk measures how fast a large log comes, without a terminal, into a client
// that takes all.
func bulk(ctx context.Context, s side) ([]float64, error) {
	m := newMeter()
	t, err := s.open(ctx, command{Argv: zeros("256MiB", "64KiB"), out: m})
	if err != nil {
		return nil, err
	}
	err = t.finish(ctx, "")
	return []float64{m.rate()}, err
}

// serverCPU measures what carrying output costs, in CPU seconds per GiB.
func serverCPU(ctx context.Context, s side) ([]float64, error) {
	var costs []float64
	for _, c := range []command{
		{Argv: zeros("512MiB", "64KiB")},
		{Argv: zeros("128MiB", "64KiB"), TTY: true},
		{Argv: zeros("8MiB", "2"), TTY: true},
	} {
		got, err := s.read(ctx, c)
		if err != nil {
			return nil, err
		}
		costs = append(costs, got.CPU.Seconds()/float64(got.Bytes)*(1<<30))
	}
	return costs, nil
}
