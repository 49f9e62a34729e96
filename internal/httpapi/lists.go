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
	// listWait is the longest of either wait; both are part of callTime.
	listWait = 20 * time.Second
)

// lists bounds how many calls read lists of clusters. Who asks takes one of their own
// turns at that cluster to ask, and one of everybody's once the answer comes: a cluster
// that does not answer costs no memory, and must keep nobody from the others.
type lists struct {
	all *semaphore.Weighted

	mu sync.Mutex // guards what follows
	of map[asker]*turns
}

// asker is whoever is the Same as an actor, by whichever login or token, at a cluster.
type asker struct{ issuer, subject, cluster string }

// turns are one asker's, kept for as long as there are takers.
type turns struct {
	*semaphore.Weighted
	takers int
}

func newLists() *lists {
	return &lists{all: semaphore.NewWeighted(listsOfAll), of: map[asker]*turns{}}
}

// enter waits for a turn of a's own at the cluster. Answers that are read within the context that it
// returns wait for one of everybody's. leave gives both back.
func (l *lists) enter(ctx context.Context, a identity.Actor, cluster string) (inside context.Context, leave func(), err error) {
	who := asker{a.Issuer, a.Subject, cluster}
	own := l.join(who)
	if !took(ctx, own.Weighted) {
		l.part(who)
		return nil, nil, fault.New(fault.RateLimited, "httpapi.lists",
			"You are asking this cluster for more than %d lists at once, and those before this one are not done. Wait a moment, then try again.", listsOfOne)
	}
	reads := false
	inside = kube.WithTurn(ctx, func(ctx context.Context) error {
		if reads = reads || took(ctx, l.all); !reads {
			return fault.New(fault.RateLimited, "httpapi.lists",
				"This server is reading as many lists of clusters as it has room for. Wait a moment, then try again.")
		}
		return nil
	})
	return inside, func() {
		if reads {
			l.all.Release(1)
		}
		own.Release(1)
		l.part(who)
	}, nil
}

func (l *lists) join(who asker) *turns {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.of[who]
	if own == nil {
		own = &turns{Weighted: semaphore.NewWeighted(listsOfOne)}
		l.of[who] = own
	}
	own.takers++
	return own
}

func (l *lists) part(who asker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[who].takers--; l.of[who].takers == 0 {
		delete(l.of, who)
	}
}

// took waits for a turn, those who came first before others.
func took(ctx context.Context, of *semaphore.Weighted) bool {
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	return of.Acquire(ctx, 1) == nil
}
