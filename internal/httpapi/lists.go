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
	// listsOfOne are enough for a palette that asks every cluster at once: it gets them
	// in turn, most within a second.
	listsOfOne = 4
	// listsOfAll have 640 MiB, and one person an eighth of them.
	listsOfAll = 32
	// listWait leaves a third of callTime to what was waited for.
	listWait = 20 * time.Second
)

// lists bounds how many calls read lists of clusters. Who asks takes one of their own
// turns to ask, and one of everybody's once the answer comes: a cluster that does not
// answer costs no memory, and must not keep others from theirs.
type lists struct {
	all *semaphore.Weighted

	mu sync.Mutex // guards what follows
	of map[person]*turns
}

// person is whoever is the Same as an actor, by whichever login or token.
type person struct{ issuer, subject string }

// turns are one person's, kept for as long as there are takers.
type turns struct {
	*semaphore.Weighted
	takers int
}

func newLists() *lists {
	return &lists{all: semaphore.NewWeighted(listsOfAll), of: map[person]*turns{}}
}

// enter waits for a turn of a's own. Answers that are read within the context that it
// returns wait for one of everybody's. leave gives both back.
func (l *lists) enter(ctx context.Context, a identity.Actor) (inside context.Context, leave func(), err error) {
	who := person{a.Issuer, a.Subject}
	own := l.join(who)
	if !took(ctx, own.Weighted) {
		l.part(who)
		return nil, nil, fault.New(fault.RateLimited, "httpapi.lists",
			"You are asking for more than %d lists at once, and those before this one are not done. Wait a moment, then try again.", listsOfOne)
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

func (l *lists) join(who person) *turns {
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

func (l *lists) part(who person) {
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
