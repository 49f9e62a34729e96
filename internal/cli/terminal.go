package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/periscope-console/periscope/internal/execclient"
)

// terminal is the person's; raw from raw to restore. The zero value is none.
type terminal struct {
	file *os.File

	mu  sync.Mutex
	was *term.State // nil while it is not raw
}

// raw switches a terminal to raw mode.
func (t *terminal) raw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == nil || t.was != nil {
		return nil
	}
	was, err := term.MakeRaw(int(t.file.Fd()))
	if err != nil {
		return fmt.Errorf("the terminal cannot be switched to raw mode: %w", err)
	}
	t.was = was
	return nil
}

// restore may be called by anybody, any number of times.
func (t *terminal) restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.was != nil {
		_ = term.Restore(int(t.file.Fd()), t.was) // there is no other way
		t.was = nil
	}
}

func isTerminal(v any) bool {
	file, ok := v.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// sizeOf is zero where the terminal does not know.
func sizeOf(file *os.File) execclient.Size {
	cols, rows, err := term.GetSize(int(file.Fd()))
	if err != nil || cols < 1 || rows < 1 {
		return execclient.Size{}
	}
	return execclient.Size{Cols: min(cols, 65535), Rows: min(rows, 65535)}
}

// follow tells of new sizes until done.
func follow(file *os.File, done <-chan struct{}, tell func(execclient.Size)) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	defer signal.Stop(changed)
	for {
		if size := sizeOf(file); size != (execclient.Size{}) {
			tell(size)
		}
		select {
		case <-changed:
		case <-done:
			return
		}
	}
}

// caught is the signal that ended a command.
type caught struct{ signal syscall.Signal }

func (c caught) Error() string { return "ended by the signal " + c.signal.String() }

// outliveReaders has a write to a pipe that nobody reads any more fail, from now on:
// it would end the program at once, its session and its terminal left as they are.
// To ignore the signal would be handed down to children.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// signals ends ctx with caught at the first signal, and at the second the
// program at once, its terminal in order.
func signals(ctx context.Context, t *terminal) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	came := make(chan os.Signal, 2)
	signal.Notify(came, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for first := true; ; first = false {
			select {
			case s := <-came:
				number := s.(syscall.Signal) //nolint:errcheck // the four above are
				cancel(caught{number})
				if !first {
					t.restore()
					os.Exit(exitSignal + int(number))
				}
			case <-done:
				return
			}
		}
	})
	return ctx, func() {
		signal.Stop(came)
		close(done)
		watcher.Wait()
		cancel(nil)
	}
}
