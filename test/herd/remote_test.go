package herd

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/app/agent"
	"github.com/periscope-console/periscope/internal/config/agentconfig"
)

// remote is an agent in the test's process.
type remote struct {
	server string // host:port that it dials
	cancel context.CancelFunc
	ended  chan error
	links  *links
}

// start runs the whole of periscope-agent but its process.
func start(kubeconfig string, environ []string) (*remote, error) {
	cfg, _, err := agentconfig.Load([]string{"--kubeconfig", kubeconfig}, environ)
	if err != nil {
		return nil, err
	}
	r := &remote{server: cfg.Server.Host, ended: make(chan error, 1), links: &links{news: make(chan struct{})}}
	built, err := agent.New(cfg, agent.Options{Version: "test", Log: slog.New(r.links)})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.ended <- built.Run(ctx) }()
	return r, nil
}

// stop ends it, and returns how it ended.
func (r *remote) stop() error {
	r.cancel()
	return <-r.ended
}

// connected waits for a link that has begun after since, and returns when it did.
func (r *remote) connected(ctx context.Context, since time.Time) (time.Time, error) {
	for {
		at, up, news := r.links.last()
		if up && at.After(since) {
			return at, nil
		}
		select {
		case <-news:
		case err := <-r.ended:
			r.ended <- err
			return at, fmt.Errorf("the agent has ended: %w", err)
		case <-ctx.Done():
			return at, context.Cause(ctx)
		}
	}
}

// links reads an agent's log for what becomes of its link.
type links struct {
	mu   sync.Mutex
	at   time.Time
	up   bool
	news chan struct{} // closed and replaced at each change
}

func (l *links) last() (at time.Time, up bool, news <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, l.up, l.news
}

// Handle implements slog.Handler.
func (l *links) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "agent.link" {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "state" {
			return true
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.at, l.up = r.Time, a.Value.String() == "connected"
		close(l.news)
		l.news = make(chan struct{})
		return false
	})
	return nil
}

// Enabled, WithAttrs and WithGroup are the rest of slog.Handler; nothing here uses them.
func (l *links) Enabled(context.Context, slog.Level) bool { return true }
func (l *links) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *links) WithGroup(string) slog.Handler            { return l }
