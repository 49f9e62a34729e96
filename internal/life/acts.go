package life

import (
	"context"
	"sync"
	"time"
)

// ActsLimit is how long acts may go on in a shutdown before they are cut, so that how
// they ended is recorded in time.
const ActsLimit = 7 * time.Second

// Acts are those that are recorded before and after: what was begun is brought to
// its end, and a shutdown waits for that.
type Acts struct {
	cut    context.Context // done once none may go on
	cancel context.CancelFunc

	mu      sync.Mutex
	running int
	idle    chan struct{} // closed once Run waits and none is running; nil before it waits
}

// NewActs has none.
func NewActs() *Acts {
	a := &Acts{}
	a.cut, a.cancel = context.WithCancel(context.Background())
	return a
}

// Begin is the beginning of an act, and done its end. ctx also ends when the act
// may not go on, which is at once where the shutdown is over.
func (a *Acts) Begin(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	apart := context.AfterFunc(a.cut, cancel)
	if a.cut.Err() != nil {
		cancel() // AfterFunc does so a little later
	}
	a.mu.Lock()
	a.running++
	a.mu.Unlock()
	return ctx, func() {
		apart()
		cancel()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.running--
		a.tell()
	}
}

// Cut ends what still goes on, and what would begin: there is time to record that,
// and no more.
func (a *Acts) Cut() { a.cancel() }

// Run blocks until ctx is done and none goes on; none begins after it. What goes on for
// ActsLimit more is cut, if it was not before.
func (a *Acts) Run(ctx context.Context) error {
	defer a.Cut()
	<-ctx.Done()
	defer time.AfterFunc(ActsLimit, a.Cut).Stop()
	idle := make(chan struct{})
	a.mu.Lock()
	a.idle = idle
	a.tell()
	a.mu.Unlock()
	<-idle
	return nil
}

// tell is under mu.
func (a *Acts) tell() {
	if a.running == 0 && a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}
