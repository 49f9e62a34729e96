// Package hub is the server's end of the agents' links: at most one a cluster.
//
// It owns which cluster has a link, since when, and the streams that the server opens
// over it; the records of links in audit; and the endpoint that agents dial. It does
// not own who may speak for a cluster (package enrol says so by the certificate), how a
// link survives its connections (package line), or what the streams carry. Run ends
// every link and waits for all that the package has started.
package hub

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/tunnel"
	"github.com/periscope-console/periscope/internal/tunnel/contract"
	"github.com/periscope-console/periscope/internal/tunnel/enrol"
	"github.com/periscope-console/periscope/internal/tunnel/line"
)

// auditLimit bounds the writing of one record.
const auditLimit = 5 * time.Second

var (
	// ErrAway says that the cluster has no link.
	ErrAway = errors.New("the agent has no link to this server")
	// ErrLost says that a stream ended with its link.
	ErrLost = errors.New("the agent's link has ended")
	// ErrStopping ends every link when the server stops.
	ErrStopping = errors.New("the server is restarting")
)

// Options of a Hub.
type Options struct {
	// Admit lets an agent in by its certificates, or is a fault (enrol.Keeper.Admit).
	Admit func(ctx context.Context, shown []*x509.Certificate) (*enrol.Pass, error)
	Audit audit.Emitter
	Log   *slog.Logger
	// Line are the links' times; the zero value is what package line says.
	Line line.Settings
	// Changed is told that a cluster's State is another; nil for nobody. It must not
	// block.
	Changed func(cluster string)
	// Now is time.Now where it is nil.
	Now func() time.Time
}

// State is how it stands with a cluster's link.
type State struct {
	// Line is line.Gone while the cluster has none.
	Line line.State
	// Since is when it became so; zero where the cluster has had no link yet.
	Since time.Time
	// Version is the agent's, and Shells whether it lets anybody into a container:
	// what the newest connection said.
	Version string
	Shells  bool
}

// Hub holds the links.
type Hub struct {
	o    Options
	host *line.Host

	parts sync.WaitGroup

	mu       sync.Mutex // guards what follows
	stopping bool
	agents   map[string]*agent    // by cluster
	gone     map[string]time.Time // when a cluster's last link ended
}

// agent is one link.
type agent struct {
	cluster string
	line    *line.Conn
	link    *tunnel.Link

	mu      sync.Mutex // guards what follows
	pass    *enrol.Pass
	about   about
	replace chan struct{} // closed when pass is another
}

// about is what an agent says of itself when it dials.
type about struct {
	version string
	shells  bool
	address string
}

// New makes a hub without links.
func New(o Options) *Hub {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func(string) {}
	}
	h := &Hub{o: o, agents: map[string]*agent{}, gone: map[string]time.Time{}}
	h.host = &line.Host{Settings: o.Line, Changed: o.Changed}
	return h
}

// Run ends every link once ctx is done, and returns when all have ended.
func (h *Hub) Run(ctx context.Context) error {
	<-ctx.Done()
	h.mu.Lock()
	h.stopping = true
	h.mu.Unlock()
	h.host.Close(ErrStopping)
	h.parts.Wait()
	return nil
}

// State is that of the cluster's link now.
func (h *Hub) State(cluster string) State {
	h.mu.Lock()
	a, gone := h.agents[cluster], h.gone[cluster]
	h.mu.Unlock()
	if a == nil {
		return State{Since: gone, Shells: true}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.line.Status()
	return State{Line: s.State, Since: s.Since, Version: a.about.version, Shells: a.about.shells}
}

// Dial opens a stream to the cluster's agent. It fails with ErrAway at once where there
// is no link, and waits for one that reconnects.
func (h *Hub) Dial(ctx context.Context, cluster string, class tunnel.Class) (net.Conn, error) {
	h.mu.Lock()
	a := h.agents[cluster]
	h.mu.Unlock()
	if a == nil || a.line.Err() != nil {
		return nil, ErrAway
	}
	s, err := a.link.Open(ctx, class, contract.APIServer)
	if err != nil {
		return nil, a.why(err)
	}
	return stream{s, a}, nil
}

// why tells a stream's own end from the link's.
func (a *agent) why(err error) error {
	select {
	case <-a.link.Done():
		return fmt.Errorf("%w: %w", ErrLost, err)
	default:
		return err
	}
}

// stream is a tunnel.Stream whose errors say where the link has ended.
type stream struct {
	*tunnel.Stream
	a *agent
}

func (s stream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if err != nil {
		err = s.a.why(err)
	}
	return n, err
}

func (s stream) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	if err != nil {
		err = s.a.why(err)
	}
	return n, err
}

// begin serves a new line until it has ended. It returns false where the server stops.
func (h *Hub) begin(c *line.Conn, pass *enrol.Pass, says about) bool {
	a := &agent{cluster: pass.Cluster(), line: c, link: tunnel.New(c, tunnel.Server), pass: pass, about: says, replace: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return false
	}
	h.parts.Go(func() { h.carry(a) })
	return true
}

// carry is the life of one link. A link that cannot be recorded is none.
func (h *Hub) carry(a *agent) {
	defer a.leave()
	record := h.event(a)
	if err := h.emit(record); err != nil {
		h.o.Log.Error("agent.connect_refused", "cluster", a.cluster, "error", err)
		_ = a.line.CloseWith(errors.New("the server cannot record the connection in audit, so it is refused"))
		return
	}
	var parts sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	parts.Go(func() { h.guard(ctx, a) })
	parts.Go(func() { h.renewals(a) })
	h.o.Log.Info("agent.connected", "cluster", a.cluster, "instance", a.line.Instance(), "address", a.about.address, "version", a.about.version)
	h.enter(a) // from here on another connection may change what a says of itself
	err := a.link.Run(ctx)
	h.exit(a)
	cancel()
	parts.Wait()
	h.ended(a, record, err)
}

// enter seats a, unless it has ended while it was being recorded: then another may sit
// there already.
func (h *Hub) enter(a *agent) {
	defer h.o.Changed(a.cluster)
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.line.Err() != nil {
		return
	}
	h.agents[a.cluster] = a
	delete(h.gone, a.cluster)
}

// exit leaves alone what has taken a's place.
func (h *Hub) exit(a *agent) {
	defer h.o.Changed(a.cluster)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.agents[a.cluster] == a {
		delete(h.agents, a.cluster)
		h.gone[a.cluster] = h.o.Now()
	}
}

// again is a line that goes on over another connection, with what that proved.
func (h *Hub) again(c *line.Conn, pass *enrol.Pass, says about) {
	h.mu.Lock()
	a := h.agents[pass.Cluster()]
	h.mu.Unlock()
	if a == nil || a.line != c {
		pass.Close() // it has ended meanwhile
		return
	}
	a.mu.Lock()
	a.pass.Close()
	a.pass, a.about = pass, says
	close(a.replace)
	a.replace = make(chan struct{})
	a.mu.Unlock()
	h.o.Log.Info("agent.reconnected", "cluster", a.cluster, "instance", c.Instance(), "address", says.address, "cuts", c.Status().Cuts)
}

// guard ends the link once its agent may no longer be there.
func (h *Hub) guard(ctx context.Context, a *agent) {
	for {
		pass, replaced := a.current()
		select {
		case <-ctx.Done():
			return
		case <-replaced:
			continue
		case <-pass.Done():
		}
		if now, _ := a.current(); now == pass {
			h.o.Log.Warn("agent.put_out", "cluster", a.cluster, "why", pass.Cause().Error())
			_ = a.line.CloseWith(pass.Cause())
			return
		}
	}
}

func (a *agent) current() (*enrol.Pass, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pass, a.replace
}

func (a *agent) leave() {
	pass, _ := a.current()
	pass.Close()
	_ = a.line.Close()
}

// event is the record of a link that begins.
func (h *Hub) event(a *agent) audit.Event {
	return audit.Event{
		EventID: rand.Text(), Stage: audit.Completed, Timestamp: h.o.Now(), Verb: audit.AgentConnect, Outcome: audit.Success,
		Actor: audit.Actor{Sub: "agent:" + a.cluster, Groups: []string{}}, Cluster: a.cluster,
		Extra: map[string]any{
			"instance": a.line.Instance(), "client_address": a.about.address, "version": a.about.version,
			"certificate": a.pass.Peer().Serial, "shells": a.about.shells,
		},
	}
}

// ended records the end of a link that record has begun.
func (h *Hub) ended(a *agent, record audit.Event, why error) {
	s := a.line.Status()
	began := record.Timestamp
	record.EventID, record.Timestamp, record.Verb = rand.Text(), h.o.Now(), audit.AgentDisconnect
	record.Reason = reasonOf(why)
	record.Extra = maps.Clone(record.Extra)
	maps.Copy(record.Extra, map[string]any{
		"connected_at": began.UTC(), "cuts": s.Cuts, "bytes_in": s.Received, "bytes_out": s.Sent,
	})
	h.o.Log.Info("agent.disconnected", "cluster", a.cluster, "instance", a.line.Instance(), "why", why.Error(), "cuts", s.Cuts)
	if err := h.emit(record); err != nil {
		h.o.Log.Error("audit.lost", "verb", record.Verb, "eventId", record.EventID, "error", err)
	}
}

// reasons are one word each, for audit.
var reasons = []struct {
	err  error
	word string
}{
	{ErrStopping, "shutdown"},
	{line.ErrSuperseded, "superseded"},
	{line.ErrGrace, "lost"},
	{line.ErrClosed, "closed_by_agent"},
	{io.EOF, "closed_by_agent"},
	{enrol.ErrRevoked, "revoked"},
	{line.ErrRule, "protocol_error"},
}

func reasonOf(err error) string {
	i := slices.IndexFunc(reasons, func(r struct {
		err  error
		word string
	}) bool {
		return errors.Is(err, r.err)
	})
	if i < 0 {
		return "ended"
	}
	return reasons[i].word
}

func (h *Hub) emit(e audit.Event) error {
	ctx, cancel := context.WithTimeout(context.Background(), auditLimit)
	defer cancel()
	return h.o.Audit.Emit(ctx, e)
}

// refuse is an answer to somebody who may not connect.
func refuse(kind fault.Kind, format string, args ...any) error {
	return fault.New(kind, "hub.Connect", format, args...)
}
