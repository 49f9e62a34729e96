package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the CPU time that a process has used, to the nanosecond: the clock
// of clock_getcpuclockid(3), since /proc/PID/stat counts in steps of 10 ms.
func cpuTime(pid int) (time.Duration, error) {
	const schedulersClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulersClock), &ts); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// footprint is what a server process holds.
type footprint struct {
	resident, heap, stacks float64 // bytes
	goroutines             float64
	collections            float64 // garbage collections so far
}

// settled is the footprint after two garbage collections: what is not in use is
// gone then. Asking makes the garbage that brings them about.
func (p *periscope) settled(ctx context.Context) (footprint, error) {
	first, err := p.footprint(ctx)
	for err == nil {
		var now footprint
		if now, err = p.footprint(ctx); err == nil && now.collections >= first.collections+2 {
			return now, nil
		}
	}
	return footprint{}, err
}

func (p *periscope) footprint(ctx context.Context) (f footprint, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.metrics, nil)
	if err != nil {
		return f, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return f, err
	}
	defer resp.Body.Close()
	values, err := gauges(resp.Body)
	return footprint{
		resident:    values["process_resident_memory_bytes"],
		heap:        values["go_memstats_heap_inuse_bytes"],
		stacks:      values["go_memstats_stack_inuse_bytes"],
		goroutines:  values["go_goroutines"],
		collections: values["go_gc_duration_seconds_count"],
	}, err
}

// gauges reads the metrics without labels from Prometheus's text format.
func gauges(r io.Reader) (map[string]float64, error) {
	values := map[string]float64{}
	text := bufio.NewScanner(r)
	for text.Scan() {
		name, value, ok := strings.Cut(text.Text(), " ")
		if !ok || strings.ContainsAny(name, "#{") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
		values[name] = v
	}
	return values, text.Err()
}
