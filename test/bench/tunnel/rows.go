package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/tunnel"
	"github.com/periscope-console/periscope/test/bench/figure"
)

// measure is one figure of a row. The targets are for ours: the ratio to
// remotedialer, and an absolute one; 0 is none.
type measure struct {
	name, unit string
	most       float64 // ratio, at most
	least      float64 // ratio, at least
	absolute   float64 // at most, in the unit
}

type row struct {
	number   int
	title    string
	measures []measure
	run      func(context.Context, end) ([]float64, error)
}

var loopbackRows = []row{
	{
		number: 3, title: "typing beside a flood, loopback", run: typing(tunnel.Interactive),
		measures: []measure{
			{name: "beside a flood, loopback, p50", unit: "ms", most: 1. / 50},
			{name: "beside a flood, loopback, p99", unit: "ms", most: 1. / 20},
			{name: "the flood meanwhile, loopback", unit: "MB/s"},
		},
	},
	{
		number: 3, title: "typing beside a copy, loopback", run: typing(tunnel.Bulk),
		measures: []measure{
			{name: "beside a copy, loopback, p50", unit: "ms"},
			{name: "beside a copy, loopback, p99", unit: "ms"},
			{name: "the copy meanwhile, loopback", unit: "MB/s"},
		},
	},
	{
		number: 12, title: "bulk, 1 stream", run: bulk(1),
		measures: []measure{{name: "bulk, 1 stream", unit: "MB/s", least: 1}},
	},
	{
		number: 12, title: "bulk, 16 streams", run: bulk(16),
		measures: []measure{{name: "bulk, 16 streams", unit: "MB/s", least: 1.3}},
	},
}

var shapedRows = []row{
	{
		number: 3, title: "typing beside a flood, 20 Mbit/s up", run: typing(tunnel.Interactive),
		measures: []measure{
			{name: "beside a flood, 20 Mbit/s, p50", unit: "ms", most: 1. / 10, absolute: 40},
			{name: "beside a flood, 20 Mbit/s, p99", unit: "ms"},
			{name: "the flood meanwhile, 20 Mbit/s", unit: "MB/s"},
		},
	},
	{
		number: 3, title: "typing beside a copy, 20 Mbit/s up", run: typing(tunnel.Bulk),
		measures: []measure{
			{name: "beside a copy, 20 Mbit/s, p50", unit: "ms"},
			{name: "beside a copy, 20 Mbit/s, p99", unit: "ms"},
			{name: "the copy meanwhile, 20 Mbit/s", unit: "MB/s"},
		},
	},
}

const (
	keystrokes = 400
	// cadence is between two keystrokes, whether or not the first was echoed: who
	// waits for the echo types most where the flood pauses.
	cadence  = 5 * time.Millisecond
	flooded  = 2 << 20 // bytes of the flood that have come before anybody types
	bulkSize = 256 << 20
)

// end is the server's end of one system's link, and where the agent's services
// listen.
type end struct {
	server
	target string
}

// service opens a stream to one of the agent's services.
func (e end) service(ctx context.Context, class tunnel.Class, what ...byte) (net.Conn, error) {
	c, err := e.open(ctx, class, e.target)
	if err != nil {
		return nil, err
	}
	_, err = c.Write(what)
	return c, err
}

// typing is a keystroke and its echo, 1 byte, on an interactive stream, while
// another stream of the same link floods a reader that takes all: p50 and p99 in
// milliseconds, and the flood's MB/s meanwhile.
func typing(flooding tunnel.Class) func(context.Context, end) ([]float64, error) {
	return func(ctx context.Context, e end) ([]float64, error) {
		flood, err := e.service(ctx, flooding, serviceFlood)
		if err != nil {
			return nil, err
		}
		defer flood.Close()
		if _, err := io.CopyN(io.Discard, flood, flooded); err != nil {
			return nil, err
		}
		var draining sync.WaitGroup
		var came uint64
		draining.Go(func() { came, _ = drain(flood) })
		begun := time.Now()
		times, err := typeOn(ctx, e)
		took := time.Since(begun)
		_ = flood.Close()
		draining.Wait()
		if err != nil {
			return nil, err
		}
		p50, p99 := figure.Quantile(times, 0.5), figure.Quantile(times, 0.99)
		return []float64{p50, p99, float64(came) / 1e6 / took.Seconds()}, quiet(ctx, e)
	}
}

// typeOn types at the cadence and says how long each echo took, in milliseconds.
func typeOn(ctx context.Context, e end) ([]float64, error) {
	echo, err := e.service(ctx, tunnel.Interactive, serviceEcho)
	if err != nil {
		return nil, err
	}
	defer echo.Close()
	defer context.AfterFunc(ctx, func() { _ = echo.Close() })()
	from, typed := make(chan time.Time, keystrokes), make(chan error, 1)
	go func() { typed <- press(echo, from) }()
	times := make([]float64, 0, keystrokes)
	for i := range keystrokes {
		if _, err := io.ReadFull(echo, make([]byte, 1)); err != nil {
			return nil, fmt.Errorf("echo %d: %w", i, err)
		}
		times = append(times, float64(time.Since(<-from))/1e6)
	}
	return times, <-typed
}

// press types at the cadence and tells of each key from when its echo counts. That is
// when it was due, however long the Write before it took: a person would have typed
// then. Only where press itself was asleep and woke late is it when it woke, since no
// link can help the lateness of the machine's timer.
func press(echo io.Writer, from chan<- time.Time) error {
	begun := time.Now()
	woke := begun
	for i := range keystrokes {
		at := begun.Add(time.Duration(i) * cadence)
		if left := time.Until(at); left > 0 {
			time.Sleep(left)
			woke = time.Now()
		}
		if woke.After(at) {
			at = woke
		}
		from <- at
		if _, err := echo.Write([]byte{'k'}); err != nil {
			return err
		}
	}
	return nil
}

// quiet waits until the flood's rest has passed: an echo comes behind it.
func quiet(ctx context.Context, e end) error {
	c, err := e.service(ctx, tunnel.Interactive, serviceEcho)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte{'k'}); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}

// bulk is how fast bulkSize bytes come over some streams at once, in MB/s.
func bulk(streams int) func(context.Context, end) ([]float64, error) {
	return func(ctx context.Context, e end) ([]float64, error) {
		size := binary.BigEndian.AppendUint64([]byte{serviceSource}, uint64(bulkSize/streams))
		failed := make([]error, streams)
		var all sync.WaitGroup
		begun := time.Now()
		for i := range streams {
			all.Go(func() { failed[i] = fetch(ctx, e, size) })
		}
		all.Wait()
		return []float64{bulkSize / 1e6 / time.Since(begun).Seconds()}, errors.Join(failed...)
	}
}

func fetch(ctx context.Context, e end, size []byte) error {
	c, err := e.service(ctx, tunnel.Bulk, size...)
	if err != nil {
		return err
	}
	defer c.Close()
	n, err := drain(c)
	if want := binary.BigEndian.Uint64(size[1:]); n != want {
		return fmt.Errorf("%d of %d bytes: %w", n, want, err)
	}
	return nil
}

// drain reads all that comes.
func drain(c net.Conn) (n uint64, err error) {
	b := make([]byte, 64<<10)
	for err == nil {
		var got int
		got, err = c.Read(b)
		n += uint64(got)
	}
	return n, err
}
