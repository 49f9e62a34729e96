package server_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/periscope-console/periscope/internal/kubetest"
)

// TestSixtyOpensAtOnce asks a real server for sixty shells at the same moment,
// under the cap of a user and under that of a cluster.
func TestSixtyOpensAtOnce(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	c.Bind(t, ns, "admin", "periscope:anybody")
	for which, exec := range map[string]string{
		"user":    "{maxSessionsPerUser: 5, maxSessionsTotal: 100}",
		"cluster": "{maxSessionsPerUser: 100, maxSessionsTotal: 5}",
	} {
		t.Run(which, func(t *testing.T) {
			p := withPolicy(t, c, exec)
			for round := range 2 { // the second has room only if every slot came back
				terms := p.sixty(execPath("real", ns, pod.Name))
				if len(terms) != 5 {
					t.Fatalf("%d of 60 opened, want 5", len(terms))
				}
				for _, term := range terms {
					if term.frame("hello") == nil {
						t.Errorf("no hello: %v", term.got)
					}
					term.control(map[string]any{"type": "close"})
					term.closed()
				}
				hits := p.lines("exec.cap.hit")
				if len(hits) != 55*(round+1) || hits[0]["cap"] != which {
					t.Errorf("%d refusals are logged, the first as %v", len(hits), hits[0])
				}
			}
			eventually(t, "nothing is left in the pod", func() bool { return processes(t, c, ns, pod.Name, "bash") == 0 })
		})
	}
}

// sixty opens shells at once and returns those that were let in.
func (p *product) sixty(path string) []*terminal {
	p.t.Helper()
	var mu sync.Mutex
	var terms []*terminal
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 60 {
		wg.Go(func() {
			<-start
			term, resp, err := p.tryDial(path, false)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				p.t.Error(err)
			case term != nil:
				terms = append(terms, term)
			case resp.StatusCode != http.StatusTooManyRequests:
				p.t.Errorf("refused with %d", resp.StatusCode)
			}
		})
	}
	close(start)
	wg.Wait()
	return terms
}
