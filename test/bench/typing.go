package main

import (
	"context"
	"time"

	"github.com/periscope-console/periscope/test/bench/figure"
)

const (
	// keystrokes in one run, and how many before them do not count.
	keystrokes      = 400
	floodKeystrokes = 2000 // a flood takes a moment to fill the buffers on its way
	firstKeystrokes = 40
	// typingLimit ends a run early where each keystroke takes long.
	typingLimit = 6 * time.Second
)

// echoScript is a terminal that sends back each byte as it comes; its first byte
// says that it does. ^C ends it.
const echoScript = `stty raw -echo isig; printf R; exec cat`

// echo rings once for each byte.
type echo chan struct{}

func (e echo) Write(p []byte) (int, error) {
	for range p {
		e <- struct{}{}
	}
	return len(p), nil
}

// typing measures keystroke → echo.
func typing(ctx context.Context, s side) ([]float64, error) {
	times, err := typeInto(ctx, s, keystrokes)
	return []float64{figure.Quantile(times, 0.5), figure.Quantile(times, 0.99)}, err
}

func typeInto(ctx context.Context, s side, keystrokes int) (times []float64, err error) {
	e := make(echo, 1)
	t, err := s.open(ctx, command{Argv: []string{"sh", "-c", echoScript}, TTY: true, out: e})
	if err != nil {
		return nil, err
	}
	if err := t.await(ctx, e); err != nil {
		return nil, err
	}
	begun := time.Now()
	for i := 0; i < firstKeystrokes+keystrokes && time.Since(begun) < typingLimit; i++ {
		sent := time.Now()
		if err := t.send([]byte("x")); err != nil {
			return nil, err
		}
		if err := t.await(ctx, e); err != nil {
			return nil, err
		}
		if i >= firstKeystrokes {
			times = append(times, milliseconds(time.Since(sent)))
		}
	}
	return times, t.finish(ctx, "\x03")
}

// typingBesideFlood is typing while another session of the same side streams
// `yes` to a client that takes all of it.
func typingBesideFlood(ctx context.Context, s side) ([]float64, error) {
	m := newMeter()
	flood, err := s.open(ctx, command{Argv: []string{"yes"}, TTY: true, out: m})
	if err != nil {
		return nil, err
	}
	if err := flood.await(ctx, m.first); err != nil {
		return nil, err
	}
	times, err := typeInto(ctx, s, floodKeystrokes)
	if err != nil {
		return nil, err
	}
	if err := flood.finish(ctx, "\x03"); err != nil {
		return nil, err
	}
	return []float64{figure.Quantile(times, 0.5), figure.Quantile(times, 0.99), m.rate()}, nil
}
