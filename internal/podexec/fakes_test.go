package podexec

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/leak"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

func TestMain(m *testing.M) { leak.Main(m) }

// script is a transport.Stream whose output a test writes. The real streams are
// proved by transporttest and the tests of app/server; here time is synctest's.
type script struct {
	out    *io.PipeReader
	feed   *io.PipeWriter
	result transport.Result

	mu     sync.Mutex
	stdin  bytes.Buffer
	eof    bool // stdin was half-closed
	heeds  bool // the program goes by ^D, or by the end of its stdin
	sizes  []transport.Size
	stuck  bool          // sizes stay on their way: nobody is told that one was sent
	unsent func()        // who is to be told of the newest
	block  chan struct{} // when set, Write waits for it
	closed chan struct{}
	once   sync.Once
	onIn   func([]byte)
	kind   transport.Kind // WebSocket where it is empty
	slow   atomic.Int64   // how many of the next questions about the kind take a second
}

func newScript() *script {
	r, w := io.Pipe()
	return &script{out: r, feed: w, closed: make(chan struct{})}
}

func (s *script) Read(p []byte) (int, transport.Channel, error) {
	n, err := s.out.Read(p)
	if errors.Is(err, io.ErrClosedPipe) {
		err = errors.New("stream closed")
	}
	return n, transport.Stdout, err
}

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	block := s.block
	s.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-s.closed:
			return 0, errors.New("stream closed")
		}
	}
	s.mu.Lock()
	s.stdin.Write(p)
	onIn, goes := s.onIn, s.heeds && bytes.HasSuffix(p, []byte{4})
	s.mu.Unlock()
	if goes {
		s.exit(0)
	}
	if onIn != nil {
		onIn(p)
	}
	return len(p), nil
}

// TryWrite takes what Write would take at once.
func (s *script) TryWrite(p []byte) bool {
	s.mu.Lock()
	blocked := s.block != nil
	s.mu.Unlock()
	if blocked || len(p) > 128 {
		return false
	}
	_, _ = s.Write(p)
	return true
}

func (s *script) CloseWrite() error {
	s.mu.Lock()
	s.eof = true
	goes := s.heeds
	s.mu.Unlock()
	if goes {
		s.exit(0)
	}
	return nil
}

// goodbye is what the program was told at the end.
func (s *script) goodbye() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.eof {
		return s.stdin.String() + "EOF"
	}
	return s.stdin.String()
}

func (s *script) Resize(z transport.Size, sent func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes = append(s.sizes, z)
	switch {
	case sent == nil:
	case s.stuck:
		s.unsent = sent
	default:
		go sent()
	}
}

func (s *script) Result() transport.Result { return s.result }

func (s *script) Kind() transport.Kind {
	if s.slow.Add(-1) >= 0 {
		time.Sleep(time.Second)
	}
	return cmp.Or(s.kind, transport.WebSocket)
}

func (s *script) Close() error {
	s.once.Do(func() { close(s.closed); s.out.Close() })
	return nil
}

// fail ends the stream without a word on the command.
func (s *script) fail(err error) {
	s.result = transport.Result{Err: err}
	s.feed.Close()
}

// exit ends the command.
func (s *script) exit(code int) {
	s.result = transport.Result{ExitCode: &code}
	s.feed.Close()
}

// cluster is an Upstream with one pod; every dial is answered by dial.
type cluster struct {
	dial   func(transport.Request) (transport.Stream, error)
	silent bool // no dial is answered
	deny   error

	mu    sync.Mutex
	dials []transport.Request
	pod   *corev1.Pod
}

func (c *cluster) Pod(context.Context, string, string) (*corev1.Pod, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pod, nil
}

func (c *cluster) CheckExec(context.Context, string, string) error { return c.deny }

func (c *cluster) Dial(ctx context.Context, _ string, req transport.Request) (transport.Stream, transport.Choice, error) {
	c.mu.Lock()
	c.dials = append(c.dials, req)
	c.mu.Unlock()
	if c.silent {
		<-ctx.Done()
		return nil, transport.Choice{}, fault.Wrap(ctx.Err(), fault.Timeout, "fake", "No answer.")
	}
	s, err := c.dial(req)
	return s, transport.Choice{Kind: transport.WebSocket, Breaker: transport.Closed}, err
}

func (c *cluster) dialled() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.dials)
}

// lines is an audit.Emitter that keeps what it is given.
type lines struct {
	mu     sync.Mutex
	events []audit.Event
	fail   error
	after  int               // how many are kept before it fails
	seen   func(audit.Event) // when set, called before an event is kept
}

func (l *lines) Emit(_ context.Context, e audit.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil && len(l.events) >= l.after {
		return l.fail
	}
	if l.seen != nil {
		l.seen(e)
	}
	l.events = append(l.events, e)
	return nil
}

func (l *lines) of(verb string, stage audit.Stage) []audit.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var got []audit.Event
	for _, e := range l.events {
		if e.Verb == verb && e.Stage == stage {
			got = append(got, e)
		}
	}
	return got
}

// message is one WebSocket message.
type message struct {
	binary bool
	data   []byte
}

// frame is the control frame that it holds.
func (m message) frame() (f map[string]any) {
	if err := json.Unmarshal(m.data, &f); err != nil {
		panic(err)
	}
	return f
}

// pipeConn is a Conn whose far end a test holds.
type pipeConn struct {
	toServer chan message
	toClient chan message
	gone     chan struct{}
	once     sync.Once
	mute     atomic.Bool // answers no ping and no close
	pings    atomic.Int64
	base     time.Time
	heard    atomic.Int64 // since base

	mu   sync.Mutex
	code int
}

func newPipeConn() *pipeConn {
	return &pipeConn{toServer: make(chan message), toClient: make(chan message, 1024), gone: make(chan struct{}), base: time.Now()}
}

func (c *pipeConn) Read() (bool, []byte, error) {
	select {
	case m := <-c.toServer:
		c.hear()
		return m.binary, m.data, nil
	case <-c.gone:
		return false, nil, io.EOF
	}
}

func (c *pipeConn) Write(binary bool, p []byte) error {
	select {
	case c.toClient <- message{binary, bytes.Clone(p)}:
		return nil
	case <-c.gone:
		return io.ErrClosedPipe
	}
}

func (c *pipeConn) HasRoom() bool { return len(c.toClient) < cap(c.toClient) }

func (c *pipeConn) Ping() error {
	c.pings.Add(1)
	if !c.mute.Load() {
		c.hear()
	}
	return nil
}

func (c *pipeConn) hear() { c.heard.Store(int64(time.Since(c.base))) }

func (c *pipeConn) Silence() time.Duration {
	return time.Since(c.base) - time.Duration(c.heard.Load())
}

func (c *pipeConn) Close(code int, _ string) (answered bool) {
	defer c.Abort()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.code == 0 {
		c.code = code
	}
	select {
	case <-c.gone:
		return false
	default:
		return !c.mute.Load()
	}
}

func (c *pipeConn) Abort() { c.once.Do(func() { close(c.gone) }) }

func (c *pipeConn) closeCode() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code
}

// send gives the server one message; false when the server has hung up.
func (c *pipeConn) send(binary bool, data string) bool {
	select {
	case c.toServer <- message{binary, []byte(data)}:
		return true
	case <-c.gone:
		return false
	}
}

func (c *pipeConn) control(t *testing.T, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	c.send(false, string(b))
}

// drain takes what has been sent so far: output bytes and control frames.
func (c *pipeConn) drain() (output []byte, frames []map[string]any) {
	for {
		select {
		case m := <-c.toClient:
			if m.binary {
				output = append(output, m.data...)
				continue
			}
			frames = append(frames, m.frame())
		default:
			return output, frames
		}
	}
}

func find(frames []map[string]any, kind string) map[string]any {
	for _, f := range frames {
		if f["type"] == kind {
			return f
		}
	}
	return nil
}

// rig is Sessions with everything around it scripted.
type rig struct {
	t        *testing.T
	ss       *Sessions
	up       *cluster
	upstream Upstream // what sessions meet; up where a test does not say
	audit    *lines
	set      Settings
	streams  chan *script
	figures  *prometheus.Registry
	held     int // blocks of output in use before it
}

// figure is a counter or gauge, or how often a histogram was told, summed over
// the series that have this label value; every series for the empty one.
func (r *rig) figure(name, label string) (sum float64) {
	r.t.Helper()
	families, err := r.figures.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			matches := label == ""
			for _, l := range m.GetLabel() {
				matches = matches || l.GetValue() == label
			}
			if matches {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func (r *rig) Find(context.Context, string, identity.Actor) (Place, error) {
	return Place{Cluster: "c", Settings: r.set, Upstream: cmp.Or(r.upstream, Upstream(r.up))}, nil
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, audit: &lines{}, streams: make(chan *script, 64), figures: prometheus.NewRegistry(), held: bigMem.Held()}
	r.set = Settings{
		Enabled: true, ServerIdle: 600 * time.Second, IdleWarn: 30 * time.Second, Heartbeat: 20 * time.Second,
		MaxSessionsPerUser: 5, MaxSessionsTotal: 50, Replay: 256 << 10,
	}
	r.up = &cluster{pod: &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "u1"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}, {Name: "side"}}},
	}}
	r.up.dial = func(transport.Request) (transport.Stream, error) {
		s := newScript()
		r.streams <- s
		return s, nil
	}
	r.ss = New(Options{Directory: r, Audit: r.audit, Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(r.figures)})
	return r
}

func (r *rig) request() Request {
	return Request{
		Actor:     identity.Actor{Issuer: "dev", Subject: "ada", As: identity.Impersonation{User: "ada"}},
		RequestID: "req1", Client: "203.0.113.9", Cluster: "c", Namespace: "shop", Pod: "web", Command: []string{"cat"}, TTY: true,
	}
}

// open starts a session with a user's own command and waits for hello.
func (r *rig) open(v2 bool) (*pipeConn, *script) {
	r.t.Helper()
	ticket, err := r.ss.Admit(r.t.Context(), r.request())
	if err != nil {
		r.t.Fatalf("Admit: %v", err)
	}
	conn := newPipeConn()
	r.ss.Serve(ticket, conn, v2)
	synctest.Wait()
	if _, frames := conn.drain(); find(frames, "hello") == nil {
		r.t.Fatalf("no hello in %v", frames)
	}
	return conn, <-r.streams
}

// free asserts that nothing is left of any session.
func (r *rig) free() {
	r.t.Helper()
	r.ss.wg.Wait()
	if len(r.ss.live) != 0 || len(r.ss.caps.byOwner) != 0 || len(r.ss.caps.byCluster) != 0 {
		r.t.Errorf("left behind: %d sessions, caps %v %v", len(r.ss.live), r.ss.caps.byOwner, r.ss.caps.byCluster)
	}
	if n := bigMem.Held() - r.held; n != 0 {
		r.t.Errorf("%d blocks of output were not given back", n)
	}
	if n := r.figure("periscope_exec_sessions_by_state", ""); n != 0 {
		r.t.Errorf("%v sessions are still counted by their state", n)
	}
	starts := 0
	for _, e := range r.audit.of(audit.ExecStart, audit.Completed) {
		if e.Outcome == audit.Success {
			starts++
		}
	}
	ends := len(r.audit.of(audit.ExecEnd, audit.Completed))
	if starts != ends {
		r.t.Errorf("%d start events, %d end events", starts, ends)
	}
}

func (r *rig) endReason() string {
	r.t.Helper()
	ends := r.audit.of(audit.ExecEnd, audit.Completed)
	if len(ends) != 1 {
		r.t.Fatalf("%d end events, want 1", len(ends))
	}
	return string(ends[0].Extra["close_reason"].(Reason))
}
