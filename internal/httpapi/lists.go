package httpapi

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
)

// Bounds of the lists that are in memory at once. One of a thousand pods takes some
// 20 MiB from the cluster's answer to ours.
const (
	// listsOfOne is how many a person may ask of one cluster at once: more than the pages
	// of a few tabs do, while it does not answer. A palette asks each cluster for one.
	listsOfOne = 8
	// listsOfAll have 640 MiB.
	listsOfAll = 32
	// listsShare is how many of those may be of one cluster, which may stop in the middle
	// of its answers, and for one person, who may not read them.
	listsShare = 8
	// listWait is the longest of each wait; all are part of callTime.
	listWait = 20 * time.Second
)

// lists bounds how many calls read lists of clusters. Who asks takes one of their own
// turns at that cluster to ask, and once the answer comes one of the person's, of the
// cluster's and of everybody's: a cluster that does not answer costs no memory, and
// must keep nobody from the others.
type lists struct {
	mu sync.Mutex // guards what follows
	of map[queue]*turns
}

// queue is where turns are waited for: a person's at a cluster; one's of the two at all;
// everybody's, which has neither. A person is whoever is the Same as an actor, by
// whichever login or token.
type queue struct{ issuer, subject, cluster string }

func (q queue) places() int64 {
	switch {
	case q == queue{}:
		return listsOfAll
	case q.subject != "" && q.cluster != "":
		return listsOfOne
	}
	return listsShare
}

// turns are those of one queue, kept for as long as there are takers.
type turns struct {
	*semaphore.Weighted
	takers int
}

func newLists() *lists { return &lists{of: map[queue]*turns{}} }

// enter waits for a turn of a's own at the cluster. Answers that are read within the context that it
// returns wait for the other turns. leave gives all of them back.
func (l *lists) enter(ctx context.Context, a identity.Actor, cluster string) (inside context.Context, leave func(), err error) {
	has := &holder{lists: l}
	if !has.take(ctx, queue{a.Issuer, a.Subject, cluster}) {
		return nil, nil, fault.New(fault.RateLimited, "httpapi.lists",
			"You are asking this cluster for more than %d lists at once, and those before this one are not done. Wait a moment, then try again.", listsOfOne)
	}
	reads := false
	inside = kube.WithTurn(ctx, func(ctx context.Context) error {
		reads = reads || has.take(ctx, queue{issuer: a.Issuer, subject: a.Subject}) && has.take(ctx, queue{cluster: cluster}) && has.take(ctx, queue{})
		if !reads {
			return fault.New(fault.RateLimited, "httpapi.lists",
				"This server is reading as many lists as it has room for: for you, of this cluster, or of all clusters. Wait a moment, then try again.")
		}
		return nil
	})
	return inside, has.leave, nil
}

// holder has turns in several queues, taken in the same order by everybody.
type holder struct {
	lists *lists
	of    []queue
}

func (h *holder) take(ctx context.Context, q queue) bool {
	if !took(ctx, h.lists.join(q).Weighted) {
		h.lists.part(q, 0)
		return false
	}
	h.of = append(h.of, q)
	return true
}

func (h *holder) leave() {
	for _, q := range h.of {
		h.lists.part(q, 1)
	}
}

func (l *lists) join(q queue) *turns {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.of[q]
	if t == nil {
		t = &turns{Weighted: semaphore.NewWeighted(q.places())}
		l.of[q] = t
	}
	t.takers++
	return t
}

// part gives back as many turns as were taken.
func (l *lists) part(q queue, taken int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.of[q]
	t.Release(taken)
	if t.takers--; t.takers == 0 {
		delete(l.of, q)
	}
}

// took waits for a turn, those who came first before others.
func took(ctx context.Context, of *semaphore.Weighted) bool {
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	return of.Acquire(ctx, 1) == nil
}
