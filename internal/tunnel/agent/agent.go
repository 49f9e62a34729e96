package agent

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/periscope-console/periscope/internal/sendq"
	"github.com/periscope-console/periscope/internal/tunnel"
	"github.com/periscope-console/periscope/internal/tunnel/carrier"
	"github.com/periscope-console/periscope/internal/tunnel/contract"
	"github.com/periscope-console/periscope/internal/tunnel/line"
)

const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	// maxHeader has room for every group that the agent forwards.
	maxHeader = 1 << 20
	// stopTime is how long streams may take to end once the link has.
	stopTime = time.Second
	// loadTime is how long a connection waits for what is kept.
	loadTime = 5 * time.Second
)

// errStopping is what the server hears when the agent ends in order.
var errStopping = errors.New("the agent is stopping")

// ErrGaveUp is what Run returns after Options.GiveUp without a link.
var ErrGaveUp = errors.New("there has been no link to the server for too long")

// Options of an Agent. Registration.Token, GiveUp and Version may be empty.
type Options struct {
	Cluster string
	// Server is where the link is dialled to: wss://….
	Server       *url.URL
	Registration Registration
	Keeper       Keeper
	// Proxy answers the server's requests, and Shells says whether it lets anybody
	// into a container.
	Proxy   http.Handler
	Shells  bool
	Version string
	// GiveUp is how long Run goes on without a link; 0: for ever. It does not end a
	// standby, which the server answers.
	GiveUp time.Duration
	Log    *slog.Logger
}

// Agent keeps one link to the server. Run owns all of its goroutines.
type Agent struct {
	o         Options
	instance  string
	strangers rate.Sometimes // of refused streams, in the log
	unkept    *Credentials   // of a renewal, whose goroutine alone uses it; nil where all is kept

	mu        sync.Mutex // guards what follows
	cert      *tls.Certificate
	roots     *x509.CertPool
	line      *line.Conn // the newest, nil before the first
	connected bool
	since     time.Time // of connected; may lie ahead
	why       string    // it is not connected
}

// New makes an agent, which dials nothing before Run.
func New(o Options) *Agent {
	return &Agent{
		o: o, instance: rand.Text(), since: time.Now(), why: "The agent is starting.",
		strangers: rate.Sometimes{First: 10, Interval: time.Second},
	}
}

// Run keeps the link until ctx is done, which is no error; or until it has been
// without one for GiveUp.
func (a *Agent) Run(ctx context.Context) error {
	if err := a.enter(ctx); err != nil {
		return err
	}
	stopped := ctx
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(stopped, func() { cancel(errStopping) })()
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel(nil)
	parts.Go(func() { a.watch(ctx, cancel) })
	d := &line.Dialer{Dial: a.dial, Instance: a.instance, Changed: a.changed, Failed: a.failed}
	err := d.Keep(ctx, func(c *line.Conn) { a.serve(ctx, c) })
	if errors.Is(err, ErrGaveUp) {
		return err
	}
	return nil
}

// enter takes the credentials that are kept, or asks for some with the token.
func (a *Agent) enter(ctx context.Context) error {
	c, err := a.o.Keeper.Load(ctx)
	if err == nil {
		a.o.Log.Info("agent.credentials", "kept", a.o.Keeper.String())
		return a.adopt(c)
	}
	if !errors.Is(err, ErrNone) {
		return err
	}
	if a.o.Registration.Token == "" {
		return fmt.Errorf("%s holds no certificate, and there is no registration token: mint one on the page “Agents” and set PERISCOPE_REGISTRATION_TOKEN", a.o.Keeper)
	}
	if c, err = a.o.Registration.Register(ctx); err != nil {
		return err
	}
	if err := a.o.Keeper.Save(ctx, c); err != nil {
		return fmt.Errorf("the certificate was issued and cannot be kept: %w", err)
	}
	a.o.Log.Info("agent.registered", "cluster", a.o.Cluster, "kept", a.o.Keeper.String())
	return a.adopt(c)
}

// adopt uses c from the next connection on.
func (a *Agent) adopt(c Credentials) error {
	cert, roots, err := c.parse(a.o.Cluster)
	if err != nil {
		return fmt.Errorf("%s: %w", a.o.Keeper, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cert, a.roots = &cert, roots
	return nil
}

func (a *Agent) credentials() (*tls.Certificate, *x509.CertPool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cert, a.roots
}

// refresh takes what is kept where one's own certificate is due and that one ends later:
// a standby renews nothing, and whoever stands in its place does.
func (a *Agent) refresh(ctx context.Context) {
	if a.untilRenewal() > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	if err := a.reload(ctx); err != nil {
		a.o.Log.Warn("agent.credentials_unread", "kept", a.o.Keeper.String(), "error", err)
	}
}

func (a *Agent) reload(ctx context.Context) error {
	c, err := a.o.Keeper.Load(ctx)
	if err != nil {
		return err
	}
	kept, _, err := c.parse(a.o.Cluster)
	if _, ends := a.life(); err != nil || !kept.Leaf.NotAfter.After(ends) {
		return err
	}
	a.o.Log.Info("agent.credentials", "kept", a.o.Keeper.String())
	return a.adopt(c)
}

// dial makes one connection to the server.
func (a *Agent) dial(ctx context.Context) (net.Conn, error) {
	a.refresh(ctx)
	cert, roots := a.credentials()
	d := carrier.Dialer{
		URL: a.o.Server,
		TLS: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{*cert}},
		Header: http.Header{
			contract.VersionHeader: {a.o.Version}, contract.ShellsHeader: {strconv.FormatBool(a.o.Shells)}, "User-Agent": {"periscope-agent"},
		},
	}
	c, err := d.Open(ctx)
	if err != nil {
		return nil, err
	}
	_ = sendq.KeepShort(c.NetConn()) // without it only what is typed beside a flood is slower
	return c, nil
}

// changed and failed keep what health tells.
func (a *Agent) changed(c *line.Conn) {
	if s, why, ok := a.follow(c); ok {
		a.o.Log.Info("agent.link", "state", s.State.String(), "why", why, "cuts", s.Cuts, "resumes", s.Resumes)
	}
}

// follow keeps how it stands with c. It may be called late, and after what has changed
// since: so the status is read and kept under one lock, and of lines that have ended
// the newest alone counts.
func (a *Agent) follow(c *line.Conn) (s line.Status, why string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c != a.line && c.Err() != nil {
		return s, "", false
	}
	a.line, s = c, c.Status()
	if s.State != line.Connected {
		why = fmt.Sprintf("The link is %s: %v.", s.State, errors.Join(s.Cut, c.Err()))
	}
	a.set(s.State == line.Connected, why)
	return s, why, true
}

func (a *Agent) failed(err error, again time.Duration) {
	a.lack(err, again)
	a.o.Log.Warn("agent.no_link", "server", a.o.Server.Redacted(), "error", err, "again_in", again.Round(time.Millisecond).String())
}

// lack counts no time against a standby, which the server has answered, until it is to
// ask again: a new process would ask as one that takes over.
func (a *Agent) lack(err error, again time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set(false, fmt.Sprintf("The link to the server cannot be made: %v.", err))
	if errors.Is(err, line.ErrSuperseded) || errors.Is(err, line.ErrNotNeeded) {
		a.since = time.Now().Add(again)
	}
}

// set is for who holds mu.
func (a *Agent) set(connected bool, why string) {
	a.why = why
	if a.connected != connected {
		a.connected, a.since = connected, time.Now()
	}
}

// Ready is nil while the link stands. A standby is not ready, and need not be.
func (a *Agent) Ready() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.connected {
		return nil
	}
	return errors.New(a.why)
}

// watch ends Run after GiveUp without a link, unless it waits: a new process
// may have what this one lacks.
func (a *Agent) watch(ctx context.Context, stop context.CancelCauseFunc) {
	if a.o.GiveUp <= 0 {
		return
	}
	tick := time.NewTicker(max(a.o.GiveUp/20, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if a.lost() > a.o.GiveUp {
			stop(fmt.Errorf("%w: %w", ErrGaveUp, a.Ready()))
			return
		}
	}
}

// lost is for how long there has been no link.
func (a *Agent) lost() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.connected {
		return 0
	}
	return time.Since(a.since)
}

// serve carries one line until it has ended.
func (a *Agent) serve(ctx context.Context, c *line.Conn) {
	link := tunnel.New(c, tunnel.Agent)
	var parts sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	parts.Go(func() { a.streams(link) })
	parts.Go(func() { a.renewals(ctx, link) })
	err := link.Run(context.WithoutCancel(ctx)) // it ends with its line, which Keep ends
	cancel()
	parts.Wait()
	a.o.Log.Info("agent.link_ended", "why", err.Error())
}

// strange logs a stream that the agent does not take: it talks to its own apiserver
// alone.
func (a *Agent) strange(target string) {
	a.strangers.Do(func() { a.o.Log.Warn("agent.stream_refused", "target", fmt.Sprintf("%.100q", target)) })
}

// streams answers the requests that come over link.
func (a *Agent) streams(link *tunnel.Link) {
	srv := &http.Server{
		Handler: a.o.Proxy, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(a.o.Log.Handler(), slog.LevelDebug),
	}
	_ = srv.Serve(link.Listener(tunnel.Taking{Target: contract.APIServer, Strange: a.strange})) // ends with the link
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close()
	}
}
