// Package podexec owns exec sessions: who may open one, how its bytes flow, and
// how it ends.
//
// A session is one command in a container (a transport.Stream) and whoever is at
// it: one client (a Conn, in plain mode or v2.exec.periscope, see
// api/terminal.md), or for a while none. A file that is copied is a session too,
// whose command is a script of ours. Sessions belong to the process and not to the
// request that opened them. The package guarantees, for every session that starts:
// one reason for its end, one start and one end event in audit, its cap slot freed
// once, its shell in the container ended or said to be left, and that who comes
// back gets each byte once or is told how many are missing.
//
// It does not own the wire protocols (transport), clusters (clusters), logins,
// or HTTP. Its goroutines are run by Sessions.Run, which waits for all of them.
package podexec

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// Settings are the limits and timers of sessions in one cluster.
type Settings struct {
	Enabled            bool
	ServerIdle         time.Duration
	IdleWarn           time.Duration
	Heartbeat          time.Duration
	MaxSessionsPerUser int
	MaxSessionsTotal   int
	RequireReason      bool
	// Replay bounds the output held for one session, in bytes; at least Window.
	Replay int64
	// Resume is how long a v2 session waits for a client that was lost; 0: it ends
	// with it.
	Resume time.Duration
	// MaxFile bounds a file that is copied, in bytes; 0: none are.
	MaxFile int64
}

// Upstream is one cluster as one actor sees it.
type Upstream interface {
	// Pod reads the pod under the actor's identity.
	Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	// CheckExec is nil when the actor may create pods/exec for the pod.
	CheckExec(ctx context.Context, namespace, name string) error
	// Dial opens an exec stream; auditID goes upstream with it. The Choice is
	// told in any case; its Kind is empty where nothing was dialled.
	Dial(ctx context.Context, auditID string, req transport.Request) (transport.Stream, transport.Choice, error)
}

// Place is where a session goes.
type Place struct {
	Cluster  string
	Settings Settings
	Upstream Upstream
}

// Directory finds clusters by name. An unknown one is a NotFound fault.
type Directory interface {
	Find(ctx context.Context, cluster string, actor identity.Actor) (Place, error)
}

// Login is what a session stands on: the login of whoever came last.
type Login struct {
	// Token says whether it is a personal access token.
	Token bool
	// Done is closed when it ends, and the session with it. Nil for a login that
	// lasts as long as the process.
	Done <-chan struct{}
	// Present is who it is now; nil where that never changes. An Unauthenticated
	// fault ends the session.
	Present func(context.Context) (identity.Actor, error)
	// Active is called when stdin arrives that is more than reports of the terminal:
	// it counts as activity of the login. It does not block.
	Active func()
}

// Request is one wish for a shell or a command.
type Request struct {
	Actor     identity.Actor
	Login     Login
	RequestID string
	// Client is the address that it came from.
	Client    string
	Cluster   string
	Namespace string
	Pod       string
	Container string   // empty: the pod's default
	Command   []string // empty: a shell
	File      *File    // to be carried instead; nil: none
	TTY       bool
	Size      transport.Size
	Reason    string
}

// Options are what Sessions need from outside.
type Options struct {
	Directory Directory
	Audit     audit.Emitter
	Log       *slog.Logger
	Metrics   *Metrics
	// RightsEvery is how often at least a live session's right is checked again;
	// a minute where it is 0.
	RightsEvery time.Duration
	// Patience is how long a node that does not answer is asked again to end a
	// shell; 15 seconds where it is 0.
	Patience time.Duration
}

// Sessions holds every live session of the process.
type Sessions struct {
	Options
	caps   *caps
	enders *enders
	// ending is done when shells are no longer ended, but left.
	ending context.Context
	leave  context.CancelFunc

	mu       sync.Mutex
	live     map[string]*session // and those that wait to tell of their end
	rights   *rights
	unwatch  chan struct{} // closed when live becomes empty; ends watch
	draining bool
	wg       sync.WaitGroup
}

// New makes an empty set of sessions. It starts nothing.
func New(o Options) *Sessions {
	o.Patience = cmp.Or(o.Patience, nodeLimit)
	ss := &Sessions{Options: o, caps: newCaps(), enders: newEnders(), live: map[string]*session{}, rights: newRights(o.RightsEvery)}
	ss.ending, ss.leave = context.WithCancel(context.Background())
	return ss
}

// drainLimit is how long a shutdown waits for shells to be ended. What cannot be
// ended until then is recorded as such: nobody would hear of it later.
const drainLimit = 7 * time.Second

// Run waits for ctx to end, then refuses new sessions, tells every client that
// the server is shutting down, ends the shells and waits for all of it.
func (ss *Sessions) Run(ctx context.Context) error {
	<-ctx.Done()
	ss.mu.Lock()
	ss.draining = true
	for _, s := range ss.live {
		s.finish(endOf(Shutdown))
		ss.tidy(s)
	}
	ss.mu.Unlock()
	defer ss.leave()
	defer time.AfterFunc(drainLimit, ss.leave).Stop()
	ss.wg.Wait()
	return nil
}

// Draining reports whether new sessions are refused because of a shutdown.
func (ss *Sessions) Draining() bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.draining
}

// Ticket is the right to start one session; it holds a cap slot. Either Serve or
// Discard must be called.
type Ticket struct {
	req   Request
	place Place
	pod   *corev1.Pod
	free  func()
	id    string
}

// Discard gives the slot back without starting.
func (t *Ticket) Discard() { t.free() }

// Admit makes every check that comes before the dial, in this order: the
// request's own shape, the cluster, exec enabled, a reason where one is needed, pod
// and container, the right to exec, the caps. A refusal is audited and is a
// *fault.Error.
func (ss *Sessions) Admit(ctx context.Context, req Request) (*Ticket, error) {
	t, err := ss.admit(ctx, req)
	if err != nil {
		ss.auditRefusal(ctx, req, err)
		return nil, err
	}
	return t, nil
}

func (ss *Sessions) admit(ctx context.Context, req Request) (*Ticket, error) {
	if ss.Draining() {
		return nil, fault.New(fault.ShuttingDown, "podexec.Admit", "This server is restarting. Try again in a few seconds.")
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	place, err := ss.Directory.Find(ctx, req.Cluster, req.Actor)
	if err != nil {
		return nil, err
	}
	if !place.Settings.Enabled {
		return nil, fault.New(fault.ExecDisabled, "podexec.Admit",
			"Shells are switched off for cluster %s. Ask whoever runs this server if you need one.", req.Cluster)
	}
	if place.Settings.RequireReason && req.Reason == "" {
		return nil, fault.New(fault.Invalid, "podexec.Admit", "This cluster asks why you open a shell. Give a reason in one line.")
	}
	if err := checkFile(req.File, place.Settings.MaxFile); err != nil {
		return nil, err
	}
	pod, err := lookup(ctx, place.Upstream, &req)
	if err != nil {
		return nil, err
	}
	free, err := ss.reserve(req, place.Settings)
	if err != nil {
		return nil, err
	}
	return &Ticket{req: req, place: place, pod: pod, free: free, id: newID()}, nil
}

// lookup finds the pod and the container to enter, and asks whether the actor
// may. Both questions are under way at once; what is wrong with the pod or the
// container is told first.
func lookup(ctx context.Context, up Upstream, req *Request) (*corev1.Pod, error) {
	may := make(chan error, 1)
	go func() { may <- up.CheckExec(ctx, req.Namespace, req.Pod) }()
	pod, err := up.Pod(ctx, req.Namespace, req.Pod)
	if err == nil {
		req.Container, err = pickContainer(pod, req.Container)
	}
	if denied := <-may; err == nil {
		err = denied
	}
	return pod, err
}

// check bounds what came from outside before anything is asked with it.
func (r Request) check() error {
	if err := kube.CheckNamespace(r.Namespace); err != nil {
		return err
	}
	if err := kube.CheckPod(r.Pod); err != nil {
		return err
	}
	if r.Container != "" {
		if err := kube.CheckContainer(r.Container); err != nil {
			return err
		}
	}
	if err := CheckCommand(r.Command); err != nil {
		return fault.Wrap(err, fault.Invalid, "podexec.Admit", "The command cannot be run: %v.", err)
	}
	return checkReason(r.Reason)
}

func checkReason(reason string) error {
	if len(reason) > maxReason || audit.OneLine(reason, maxReason) != reason {
		return fault.New(fault.Invalid, "podexec.Admit", "The reason must be one line of at most %d bytes, without control characters.", maxReason)
	}
	return nil
}

func checkFile(f *File, limit int64) error {
	switch {
	case f == nil:
		return nil
	case limit == 0:
		return fault.New(fault.ExecDisabled, "podexec.Admit", "Copying files is switched off here. Ask whoever runs this server to set PERISCOPE_EXEC_MAX_FILE_MIB if you need it.")
	}
	return f.check(limit)
}

func (ss *Sessions) reserve(req Request, set Settings) (func(), error) {
	who := owner{req.Actor.Issuer, req.Actor.Subject}
	free, hit := ss.caps.reserve(who, req.Cluster, set.MaxSessionsPerUser, set.MaxSessionsTotal)
	if hit.which == "" {
		return free, nil
	}
	own := ss.of(req.Actor)
	if hit.which == capUser {
		ss.capHit(req, hit, set.MaxSessionsPerUser)
		f := fault.New(fault.CapUser, "podexec.Admit",
			"You already have %d shells open, which is the limit. Close one and try again.", set.MaxSessionsPerUser)
		f.Detail = map[string]any{"activeSessions": own}
		return nil, f
	}
	ss.capHit(req, hit, set.MaxSessionsTotal)
	f := fault.New(fault.CapCluster, "podexec.Admit",
		"Cluster %s has %d shells open, which is its limit. Try again when one has been closed.", req.Cluster, set.MaxSessionsTotal)
	f.Detail = map[string]any{"activeSessions": own, "count": hit.ofWhole}
	return nil, f
}

func (ss *Sessions) capHit(req Request, hit capHit, limit int) {
	ss.Metrics.capHits.WithLabelValues(hit.which).Inc()
	ss.Log.Warn("exec.cap.hit", "cap", hit.which, "limit", limit, "user_sessions", hit.ofUser, "cluster_sessions", hit.ofWhole,
		"cluster", req.Cluster, "actor", req.Actor.Subject, "requestId", req.RequestID)
}

const defaultContainer = "kubectl.kubernetes.io/default-container"

var errNoContainers = errors.New("the pod has no containers, which no apiserver lets be")

// pickContainer finds the container to enter: the one named, else the one the
// pod's annotation names, else the first. Init and ephemeral ones are valid.
func pickContainer(pod *corev1.Pod, name string) (string, error) {
	if len(pod.Spec.Containers) == 0 {
		return "", kube.Fault(errNoContainers, "podexec.pickContainer", "find a container in the pod")
	}
	names := containerNames(pod)
	if name == "" {
		name = pod.Annotations[defaultContainer]
		if !slices.Contains(names, name) {
			name = pod.Spec.Containers[0].Name
		}
	}
	if !slices.Contains(names, name) {
		return "", fault.New(fault.NotFound, "podexec.pickContainer",
			"Pod %s has no container %q. It has: %s.", pod.Name, audit.OneLine(name, 64), strings.Join(names, ", "))
	}
	return name, nil
}

func containerNames(pod *corev1.Pod) []string {
	var names []string
	for _, c := range pod.Spec.Containers {
		names = append(names, c.Name)
	}
	for _, c := range pod.Spec.InitContainers {
		names = append(names, c.Name)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		names = append(names, c.Name)
	}
	return names
}

// Serve starts a session over conn, which is the session's from now on.
func (ss *Sessions) Serve(t *Ticket, conn Conn, v2 bool) {
	s := newSession(ss, t, v2)
	first := newClient(s, conn, t.req.RequestID)
	ss.mu.Lock()
	if ss.draining {
		ss.mu.Unlock()
		t.Discard()
		Refuse(conn, fault.New(fault.ShuttingDown, "podexec.Serve", "This server is restarting. Try again in a few seconds."), t.req.RequestID)
		return
	}
	defer ss.mu.Unlock()
	ss.live[s.id] = s
	ss.rights.join(s, keyOf(s.Request), s.place.Upstream)
	if len(ss.live) == 1 {
		ss.unwatch = make(chan struct{})
		ss.wg.Go(ss.watch(ss.unwatch))
	}
	s.at.Store(first)
	ss.wg.Go(first.run)
	ss.wg.Go(func() { s.run(first) })
}

// watch looks at every session's timers and rights, until there is none: an idle
// session costs no goroutine for them.
func (ss *Sessions) watch(stop <-chan struct{}) func() {
	return func() {
		tick := time.NewTicker(keepTick)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				ss.checkAll()
			}
		}
	}
}

func (ss *Sessions) checkAll() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.live {
		s.check()
		ss.tidy(s)
	}
	ss.checkRights()
}

// newID is a session's id: 128 random bits. It is also the event's id in audit
// and goes upstream as Audit-ID.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand
	h := hex.EncodeToString(b[:])
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}
