package podexec

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

const (
	capRounds = 200
	capOpens  = 60
	capLimit  = 5
)

// TestSixtyOpensAgainstACapOfFive has whole sessions opened at the same moment,
// by one person and by sixty, and counts those that came to say hello.
func TestSixtyOpensAgainstACapOfFive(t *testing.T) {
	cases := map[string]struct {
		label        string
		hit          fault.Kind
		user, total  int
		differentWho bool
	}{
		"of a user":    {"user", fault.CapUser, capLimit, 1000, false},
		"of a cluster": {"cluster", fault.CapCluster, 1000, capLimit, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.set.MaxSessionsPerUser, r.set.MaxSessionsTotal = c.user, c.total
				r.up.dial = func(transport.Request) (transport.Stream, error) { return newScript(), nil }
				for round := range capRounds {
					conns, refused := r.openAtOnce(capOpens, c.differentWho)
					if len(conns) != capLimit || refused[c.hit] != capOpens-capLimit {
						t.Fatalf("round %d: %d opened, refused %v", round, len(conns), refused)
					}
					for _, conn := range conns {
						if _, frames := conn.drain(); find(frames, "hello") == nil {
							t.Fatalf("round %d: no hello in %v", round, frames)
						}
						conn.control(t, map[string]any{"type": "close"})
					}
					r.free()
				}
				if hits := r.figure("periscope_exec_cap_hits_total", c.label); hits != capRounds*(capOpens-capLimit) {
					t.Errorf("%v refusals were counted", hits)
				}
			})
		})
	}
}

// openAtOnce starts n sessions at the same moment and returns when each stands
// or is refused.
func (r *rig) openAtOnce(n int, different bool) (conns []*pipeConn, refused map[fault.Kind]int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	refused = map[fault.Kind]int{}
	for i := range n {
		req := r.request()
		if different {
			req.Actor = identity.Actor{Issuer: "dev", Subject: fmt.Sprint("user-", i)}
		}
		wg.Go(func() {
			<-start
			conn, err := r.tryOpen(req)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused[fault.KindOf(err)]++
				return
			}
			conns = append(conns, conn)
		})
	}
	synctest.Wait() // all stand at the line
	close(start)
	wg.Wait()
	synctest.Wait()
	return conns, refused
}

func (r *rig) tryOpen(req Request) (*pipeConn, error) {
	ticket, err := r.ss.Admit(r.t.Context(), req)
	if err != nil {
		return nil, err
	}
	conn := newPipeConn()
	r.ss.Serve(ticket, conn, true)
	return conn, nil
}

// TestASlotIsFreeAfterEveryWayOut opens sessions that do not come to be.
func TestASlotIsFreeAfterEveryWayOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.up.dial = func(transport.Request) (transport.Stream, error) {
			return nil, fault.Wrap(errors.New("refused"), fault.ClusterUnreachable, "t", "The cluster cannot be reached.")
		}
		for range 2 * capLimit {
			if _, err := r.tryOpen(r.request()); err != nil {
				t.Fatalf("Admit: %v", err)
			}
			r.free()
		}
		ticket, err := r.ss.Admit(t.Context(), r.request())
		if err != nil {
			t.Fatal(err)
		}
		ticket.Discard()
		r.free()
	})
}
