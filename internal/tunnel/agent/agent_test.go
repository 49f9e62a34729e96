package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/tunnel/line"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

// seats is a server's end that takes lines in memory, and reads what comes.
type seats struct {
	host    line.Host
	parts   sync.WaitGroup
	refuses bool
}

func (s *seats) dial(context.Context) (net.Conn, error) {
	if s.refuses {
		return nil, errors.New("no route to host")
	}
	near, far := net.Pipe()
	s.parts.Go(func() {
		if c, resumed, err := s.host.Accept("east", far); err == nil && !resumed {
			read(c)
		}
	})
	return near, nil
}

func (s *seats) close() {
	s.host.Close(nil)
	s.parts.Wait()
}

func read(c *line.Conn) { _, _ = io.Copy(io.Discard, struct{ io.Reader }{c}) }

// newQuiet is an agent that logs nothing.
func newQuiet(giveUp time.Duration) *Agent {
	return New(Options{Cluster: "east", Server: &url.URL{Scheme: "wss", Host: "server"}, GiveUp: giveUp, Log: slog.New(slog.DiscardHandler)})
}

// keep is Run over lines in memory, until stop is called. It gives why it ended.
func (a *Agent) keep(s *seats) (why <-chan error, stop context.CancelCauseFunc) {
	ctx, stop := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() {
		var parts sync.WaitGroup
		parts.Go(func() { a.watch(ctx, stop) })
		d := &line.Dialer{Dial: s.dial, Instance: a.instance, Changed: a.changed, Failed: a.failed}
		err := d.Keep(ctx, read)
		parts.Wait()
		ended <- err
	}()
	return ended, stop
}

// TestAStandbyDoesNotGiveUp: it would come back as a new instance, and throw out the
// one that works.
func TestAStandbyDoesNotGiveUp(t *testing.T) {
	for _, giveUp := range []time.Duration{15 * time.Minute, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := &seats{}
			first, second := newQuiet(giveUp), newQuiet(giveUp)
			one, stopOne := first.keep(s)
			time.Sleep(time.Second)
			two, stopTwo := second.keep(s)
			time.Sleep(3 * time.Hour)
			select {
			case err := <-one:
				t.Errorf("the standby ended with %v", err)
			default:
			}
			if c := s.host.Line("east"); c == nil || c.Instance() != second.instance || first.Ready() == nil || second.Ready() != nil {
				t.Errorf("the line is %+v; ready: %v, %v", c, first.Ready(), second.Ready())
			}
			stopTwo(nil)
			<-two
			time.Sleep(2 * time.Minute)
			if first.Ready() != nil {
				t.Errorf("the standby is not taken: %v", first.Ready())
			}
			stopOne(nil)
			s.close()
		})
	}
}

// TestAnAgentThatIsAloneGivesUp once nobody has answered for so long.
func TestAnAgentThatIsAloneGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		why, stop := newQuiet(15 * time.Minute).keep(&seats{refuses: true})
		defer stop(nil)
		if err := <-why; !errors.Is(err, ErrGaveUp) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(began); took < 15*time.Minute || took > 16*time.Minute {
			t.Errorf("gave up after %v", took)
		}
	})
}

// TestALateWordOfAnotherLine: what is told of a line that has ended, after the next one
// stands, makes that one no less connected.
func TestALateWordOfAnotherLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &seats{}
		defer s.close()
		a := newQuiet(15 * time.Minute)
		d := &line.Dialer{Dial: s.dial, Instance: a.instance}
		var lines []*line.Conn
		for range 2 {
			c, err := d.Begin(t.Context(), false)
			must(t, err)
			a.changed(c)
			if lines = append(lines, c); len(lines) == 1 {
				_ = c.Close()
			}
		}
		a.changed(lines[0])
		if err := a.Ready(); err != nil || a.lost() > 0 {
			t.Errorf("with the second line: %v, lost for %v", err, a.lost())
		}
		_ = lines[1].Close()
		a.changed(lines[1])
		if a.Ready() == nil {
			t.Error("ready without a line")
		}
		a.changed(lines[0])
		if err := a.Ready(); err == nil || a.line != lines[1] {
			t.Errorf("an older line counts: %v", err)
		}
	})
}

// TestAStandbyTakesTheRenewedCertificate that the agent in its place has kept, as long
// as its own still holds.
func TestAStandbyTakesTheRenewedCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, err := pki.Open(t.Context(), pki.File(filepath.Join(t.TempDir(), "ca.pem")))
		must(t, err)
		kept := File(filepath.Join(t.TempDir(), "agent.json"))
		a := New(Options{Cluster: "east", Keeper: kept, Server: &url.URL{Scheme: "wss", Host: "127.0.0.1:0"}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nobody is dialled
		shows := func(want Credentials, when string) {
			t.Helper()
			_, _ = a.dial(ctx)
			pair, _, err := want.parse("east")
			must(t, err)
			if got, _ := a.credentials(); !got.Leaf.Equal(pair.Leaf) {
				t.Errorf("%s: the certificate until %v is shown, want that until %v", when, got.Leaf.NotAfter, pair.Leaf.NotAfter)
			}
		}
		first := issued(t, ca, "east")
		must(t, kept.Save(t.Context(), first))
		must(t, a.enter(t.Context()))
		time.Sleep(10 * time.Minute)
		second := issued(t, ca, "east")
		must(t, kept.Save(t.Context(), second))
		shows(first, "before it is due")
		time.Sleep(15 * time.Minute)
		shows(second, "once it is due")
		must(t, kept.Save(t.Context(), first))
		time.Sleep(30 * time.Minute)
		shows(second, "where an older one is kept")
		must(t, kept.Save(t.Context(), issued(t, ca, "west")))
		shows(second, "where another cluster's is kept")
	})
}

// hanging is a Keeper that gives no answer.
type hanging struct{ Keeper }

func (hanging) Save(ctx context.Context, _ Credentials) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestAKeeperThatHangs leaves most of the time for a renewal.
func TestAKeeperThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(Options{Keeper: hanging{}, Log: slog.New(slog.DiscardHandler)})
		a.unkept = &Credentials{}
		ctx, cancel := context.WithTimeout(t.Context(), renewTime)
		defer cancel()
		if err := a.save(ctx); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil || a.unkept == nil {
			t.Errorf("%v, with %v for the rest", err, ctx.Err())
		}
	})
}
