package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	stalledWanted = 50
	stalledLimit  = 5 * time.Minute
	// restFor is how long nothing may move before all buffers count as full.
	restFor = 500 * time.Millisecond
	// stalledScript prints more than a server may hold and falls silent: one that
	// prints on would keep the cluster's own buffers filling for a minute.
	stalledScript = `head -c 1048576 /dev/zero; exec sleep 3600`
)

// stalledBrowsers measures what a browser costs that takes no more output while
// its program has more to say, and what others feel of fifty of them. Two servers run:
// ours has the stalled ones, the reference has none; somebody types on each in
// turns.
func stalledBrowsers(ctx context.Context, r *rig, pairs int) (f figures, note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, stalledLimit)
	defer cancel()
	crowded, err := r.startServer(ctx, capsOf(2*stalledWanted)...)
	if err != nil {
		return f, "", err
	}
	defer crowded.process.Stop()
	quiet, err := r.startServer(ctx)
	if err != nil {
		return f, "", err
	}
	defer quiet.process.Stop()
	for _, p := range []*periscope{crowded, quiet} {
		if _, err := opening(ctx, ours{p, direct}); err != nil { // what is made once belongs to no session
			return f, "", err
		}
	}
	memory, err := crowded.costOfStalled(ctx)
	if err != nil {
		return f, "", err
	}
	typed, reference, err := inTurns(ctx, ours{crowded, direct}, ours{quiet, direct}, pairs)
	if err != nil {
		return f, "", err
	}
	if n, err := crowded.shells(ctx); err != nil || len(n) != stalledWanted {
		return f, "", errors.Join(fmt.Errorf("%d of %d stalled shells still stand", len(n), stalledWanted), err)
	}
	f = alone(memory...)
	f.ours, f.reference = append(f.ours, typed), append(f.reference, reference)
	return f, fmt.Sprintf(" (%d at once)", stalledWanted), nil
}

// costOfStalled opens the stalled browsers and returns resident memory, heap and
// output held for each, in KiB. They stay until ctx ends.
func (p *periscope) costOfStalled(ctx context.Context) ([]float64, error) {
	before, err := p.settled(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.openStalled(ctx); err != nil {
		return nil, err
	}
	held, err := p.atRest(ctx)
	if err != nil {
		return nil, err
	}
	after, err := p.settled(ctx)
	if err != nil {
		return nil, err
	}
	const each = stalledWanted * 1024
	return []float64{
		(after.resident - before.resident) / each, (after.heap - before.heap) / each, float64(held) / each,
	}, nil
}

// openStalled opens browsers that answer pings, as browsers do whatever their
// page is busy with, and acknowledge nothing.
func (p *periscope) openStalled(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make(chan error, stalledWanted)
	free := make(chan struct{}, openers)
	for range stalledWanted {
		wg.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			m := newMeter()
			s, _, err := p.dial(ctx, direct, command{Argv: []string{"sh", "-c", stalledScript}, TTY: true, Stalled: true, out: m})
			if err == nil {
				err = s.await(ctx, m.first)
			}
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// atRest waits until no shell prints any more, since all are held back, and says
// how much all have printed.
func (p *periscope) atRest(ctx context.Context) (bytes int64, err error) {
	for last := int64(-1); last != bytes; {
		last, bytes = bytes, 0
		select {
		case <-time.After(restFor):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		shells, err := p.shells(ctx)
		if err != nil {
			return 0, err
		}
		for _, s := range shells {
			bytes += s.BytesOut
		}
	}
	return bytes, nil
}

// shell is an open shell as the server lists it.
type shell struct {
	BytesOut int64  `json:"bytesOut"`
	State    string `json:"state"`
}

func (p *periscope) shells(ctx context.Context) ([]shell, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/api/exec/sessions", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Cookie", p.cookie)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var list struct {
		Sessions []shell `json:"sessions"`
	}
	err = json.NewDecoder(resp.Body).Decode(&list)
	return list.Sessions, err
}

// inTurns types on one side, then on the other, and so on, and returns the p50
// of each turn.
func inTurns(ctx context.Context, a, b side, pairs int) (ofA, ofB []float64, err error) {
	for range pairs {
		inA, err := typing(ctx, a)
		if err != nil {
			return nil, nil, err
		}
		inB, err := typing(ctx, b)
		if err != nil {
			return nil, nil, err
		}
		ofA, ofB = append(ofA, inA[0]), append(ofB, inB[0])
		fmt.Print(".")
	}
	return ofA, ofB, nil
}

// capsOf are the settings of a server that many shells are opened on.
func capsOf(n int) []string {
	most := strconv.Itoa(n)
	return []string{"PERISCOPE_EXEC_MAX_SESSIONS_PER_USER=" + most, "PERISCOPE_EXEC_MAX_SESSIONS_TOTAL=" + most}
}
