package provider

import (
	"io"
	"maps"
	"net/http"
	"sync"
)

// faults counts requests and makes endpoints fail or hang.
type faults struct {
	mu      sync.Mutex
	counts  map[string]int64
	planned map[string]fault
	closed  chan struct{} // ends everything that hangs
	once    sync.Once
}

type fault struct {
	mode string // fail, hang
	left int    // requests; below 0 until switched off
	off  chan struct{}
}

func newFaults() *faults {
	return &faults{counts: map[string]int64{}, planned: map[string]fault{}, closed: make(chan struct{})}
}

// plan replaces what was planned for an endpoint; whoever hangs there is let go.
func (f *faults) plan(endpoint, mode string, requests int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old, ok := f.planned[endpoint]; ok {
		close(old.off)
		delete(f.planned, endpoint)
	}
	if mode == "off" {
		return
	}
	if requests == 0 {
		requests = -1
	}
	f.planned[endpoint] = fault{mode: mode, left: requests, off: make(chan struct{})}
}

// take counts a request and answers what is to happen to it. A plan that is used
// up stays until it is replaced, since somebody may hang by it.
func (f *faults) take(endpoint string) (fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[endpoint]++
	p, ok := f.planned[endpoint]
	if !ok || p.left == 0 {
		return fault{}, false
	}
	if p.left > 0 {
		p.left--
		f.planned[endpoint] = p
	}
	return p, true
}

func (f *faults) requests() map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts)
}

func (f *faults) close() { f.once.Do(func() { close(f.closed) }) }

// wrap stands before an endpoint.
func (f *faults) wrap(endpoint string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := f.take(endpoint)
		if ok && p.mode == "hang" {
			// Only once the body is read does the server notice a client that goes.
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
				return
			case <-p.off:
			case <-f.closed:
			}
		}
		if ok {
			http.Error(w, "this endpoint was told to fail", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}
