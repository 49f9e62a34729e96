package podexec

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// Time limits of a session's steps.
const (
	dialLimit    = 15 * time.Second
	endLimit     = 6 * time.Second // an ending exec takes a little over a second
	podLimit     = 3 * time.Second // of which a node may take two to say that a container ended
	podAgain     = 100 * time.Millisecond
	podRarely    = 500 * time.Millisecond
	nodeAgain    = time.Second      // between two tries to end a shell
	nodeLimit    = 15 * time.Second // for all of them; a kubelet restarts in less
	lastExitWait = time.Second
	lastFeedWait = 200 * time.Millisecond
)

// session is one command and whoever is at it. Its goroutines, beside those of its
// client (client.go):
//
//	run    begins, waits for the end, ends the command, writes audit
//	feed   input → container
//	pump   container → output
//
// A keystroke goes from its client's read to the container, and its echo from
// pump to the client, without feed and write where neither can block (direct,
// quickly). Sessions.watch looks at the timers (timers.go).
type session struct {
	Request // that opened it
	svc     *Sessions
	id      string
	place   Place
	entered entered
	system  corev1.OSName
	right   *right    // what it stands on; guarded by svc.mu
	unsure  time.Time // since when nobody can say who its login is; guarded by svc.mu
	v2      bool
	free    func()
	started time.Time

	seat    sync.Mutex             // held by whoever acts as the client, or changes who is
	at      atomic.Pointer[client] // nil: nobody is there
	login   atomic.Pointer[Login]  // of whoever came last
	relogin notice                 // rung when that is another one
	resume  resumption             // resume.go
	counted prometheus.Gauge       // that it is counted in by its state; guarded by seat

	out  *output
	in   *input
	said reports // of stdin; guarded by seat
	size sizer
	file *transfer // nil where none is carried

	stream   transport.Stream // set by begin before pump and feed start
	choice   transport.Choice // how the stream was dialled
	shell    string
	proc     process
	asked    bool // the container was asked whether the shell had ended; pump's, like fate
	fate     fate // its answer
	unheard  bool // the container was to end the shell, and gave no answer; run's
	pumpDone chan struct{}
	feedDone chan struct{}

	ctx     context.Context // done when the end is chosen
	cancel  context.CancelFunc
	stop    <-chan struct{} // ctx.Done()
	endOnce sync.Once
	end     ending // valid once stop is closed

	clock    clock
	carrying atomic.Bool // hello is said and stream may be written to; set under seat
	wg       sync.WaitGroup
	kind     atomic.Value // transport.Kind, once the stream stands; for the list
	echoes   prometheus.Observer

	interruption interruption
}

func newSession(ss *Sessions, t *Ticket, v2 bool) *session {
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{
		Request: t.req, svc: ss, id: t.id, place: t.place, entered: enteredOf(t.pod, t.req.Container), system: systemOf(t.pod),
		v2: v2, free: t.free, started: time.Now(), relogin: newNotice(), in: newInput(),
		pumpDone: make(chan struct{}), feedDone: make(chan struct{}),
		ctx: ctx, cancel: cancel, stop: ctx.Done(), echoes: ss.Metrics.echo.WithLabelValues(t.req.Cluster),
	}
	s.login.Store(&s.Login)
	if t.req.File != nil {
		s.file = newTransfer(*t.req.File, t.place.Settings.MaxFile)
	}
	window, _ := s.windows()
	s.out = newOutput(max(t.place.Settings.Replay, window), window, s.resumes())
	s.clock.start()
	return s
}

// windows are how much a client may leave unacknowledged, of output and of stdin;
// 0 of both in plain mode, where nothing is acknowledged.
func (s *session) windows() (output, stdin int64) {
	switch {
	case !s.v2:
		return 0, 0
	case s.file != nil:
		return fileWindow, fileWindow
	}
	return Window, StdinWindow
}

// finish chooses the end; the first one counts. The slot is free at once: what
// is left to do locks nobody out.
func (s *session) finish(e ending) {
	s.endOnce.Do(func() {
		if s.file != nil {
			e.file = s.file.result()
		}
		s.end = e
		s.free()
		s.cancel()
	})
}

// run is the life of the session, which first opens.
func (s *session) run(first *client) {
	defer s.svc.settle(s)
	if err := s.begin(first); err != nil {
		s.finish(refusal(err))
		s.recordNoStart(err, s.abandon())
	} else {
		s.carry(first)
	}
	s.quiet()
	s.wg.Wait()
}

// quiet returns when the client that acted at the end has done so: none does after
// it.
func (s *session) quiet() {
	s.seat.Lock()
	defer s.seat.Unlock()
}

// carry runs the session from hello to the end of the command.
func (s *session) carry(first *client) {
	defer s.svc.Metrics.begun(s.Cluster, string(s.stream.Kind()))()
	s.goes(s.feed)
	s.goes(s.pump)
	s.logStart()
	s.awaitEnd()
	s.uncount()
	s.record(s.endCommand())
}

// awaitEnd returns when the end is chosen. That of the login is one.
func (s *session) awaitEnd() {
	for {
		login := s.login.Load()
		select {
		case <-s.stop:
			return
		case <-s.relogin.c:
		case <-login.Done:
			if s.login.Load() == login {
				s.finish(s.loginEnded())
			}
		}
	}
}

// loginEnded says to the owner what the shell stood on.
func (s *session) loginEnded() ending {
	e := endOf(Unauthorized)
	if s.login.Load().Token {
		e.message = "The access token that opened this shell has expired or was revoked, or its owner may no longer come in, so the shell was ended. Make a new token."
	}
	return e
}

func (s *session) goes(f func()) { s.wg.Go(f) }

// begin opens the stream, learns about our shell, records the start and says
// hello, in this order. The opening is not cut short when the client leaves, but
// when a shutdown waits no longer: only a shell that is known can be ended. After
// an error nothing is carried.
func (s *session) begin(first *client) error {
	ctx, cancel := context.WithTimeout(s.svc.ending, dialLimit)
	defer cancel()
	if err := s.auditStart(ctx, audit.Event{Stage: audit.Requested}); err != nil {
		return err
	}
	rest, err := s.open(ctx)
	if err == nil || s.svc.ending.Err() != nil {
		err = cmp.Or(s.stillWanted(), err)
	}
	if err != nil {
		return s.whyNotOpen(err)
	}
	if err := s.auditStart(ctx, audit.Event{Stage: audit.Completed, Outcome: audit.Success}); err != nil {
		return err
	}
	s.svc.Metrics.open.WithLabelValues(s.Cluster).Observe(time.Since(s.started).Seconds())
	s.kind.Store(s.stream.Kind())
	s.size.attach(s.stream)
	s.sayHello(first)
	s.feedBack(rest)
	return nil
}

// stillWanted is an error when the end was chosen while the stream opened.
func (s *session) stillWanted() error {
	select {
	case <-s.stop:
	default:
		return nil
	}
	switch {
	case s.end.fault != nil:
		return s.end.fault
	case s.end.reason == Shutdown:
		return fault.New(fault.ShuttingDown, "podexec.open", "%s", s.end.message)
	}
	return fault.New(fault.Gone, "podexec.open", "The session ended before the shell had opened: %s", s.end.message)
}

// open dials and, for our own shell, reads its report. rest is output that came
// with it.
func (s *session) open(ctx context.Context) (rest []byte, err error) {
	req := transport.Request{
		Namespace: s.Namespace, Pod: s.Pod, Container: s.Container,
		Command: s.Command, Stdin: true, TTY: s.TTY, Size: s.Size,
	}
	nonce := newNonce()
	switch {
	case s.file != nil:
		req.Command = s.file.command(nonce)
		// What comes out takes nothing in: who closes a connection with bytes unread
		// resets it, and the file's end would go with them.
		req.Stdin = s.file.Op != Get
	case len(s.Command) == 0 && s.system == corev1.Windows:
		req.Command = windowsShellCommand()
	case len(s.Command) == 0:
		req.Command = shellCommand(nonce)
	default:
		s.shell = s.Command[0]
	}
	if s.stream, s.choice, err = s.dial(ctx, req); err != nil {
		return nil, err
	}
	s.svc.Log.Info("exec.transport.choice", "transport", s.choice.Kind, "circuit_breaker", s.choice.Breaker, "sessionId", s.id, "cluster", s.Cluster)
	if !s.reports() {
		return nil, nil
	}
	rest, err = s.awaitReport(ctx, nonce)
	if err == nil && s.file != nil {
		found := s.shell
		s.shell = "sh"
		err = s.file.ready(found, s.Container)
	}
	return rest, err
}

// reports says whether the command is a script of ours, which reports its process.
func (s *session) reports() bool {
	return s.file != nil || len(s.Command) == 0 && s.system != corev1.Windows
}

// awaitReport reads until our shell's report is whole, or cannot come.
func (s *session) awaitReport(ctx context.Context, nonce string) ([]byte, error) {
	stop := context.AfterFunc(ctx, s.leave)
	defer stop()
	var got []byte
	buf := make([]byte, smallChunk)
	for {
		n, _, err := s.stream.Read(buf)
		got = append(got, buf[:n]...)
		proc, rest, done := parseReport(got, nonce)
		if done && len(got) > 0 {
			s.proc, s.shell = proc, proc.shell
			return rest, nil
		}
		if err != nil {
			return nil, s.noReport(ctx, err)
		}
	}
}

// noReport says why a shell ended before it had begun.
func (s *session) noReport(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fault.Wrap(err, fault.Timeout, "podexec.open",
			"The shell in container %s did not start within %d seconds. Try again; if it goes on, ask whoever runs the cluster to look at the pod's node.",
			s.Container, int(dialLimit/time.Second))
	case !errors.Is(err, io.EOF):
		return err
	}
	if res := s.stream.Result(); res.Err != nil {
		return res.Err
	}
	return fault.New(fault.NoShell, "podexec.open", "The shell in container %s ended at once. The image may lack a working sh.", s.Container)
}

// whyNotOpen gives a failed opening its kind: no shell in the image, or the
// fault as it is.
func (s *session) whyNotOpen(err error) error {
	if fault.KindOf(err) != fault.NoShell {
		return err
	}
	if len(s.Command) == 0 {
		return fault.Wrap(err, fault.NoShell, "podexec.open",
			"Container %s has no shell in its image. Use a debug container to look inside.", s.Container)
	}
	return s.noProgram(err)
}

func (s *session) noProgram(err error) error {
	return fault.Wrap(err, fault.NotFound, "podexec.open",
		"There is no program %q in container %s. Check its name and path.", audit.OneLine(s.Command[0], 128), s.Container)
}

func (s *session) hello() hello {
	h := hello{
		Type: "hello", SessionID: s.id, Cluster: s.Cluster, Namespace: s.Namespace, Pod: s.Pod,
		Container: s.Container, Shell: s.shell, TTY: s.TTY, Transport: string(s.stream.Kind()),
		User:              nameOf(s.Actor),
		ServerIdleSeconds: int(s.place.Settings.ServerIdle / time.Second),
		IdleWarnSeconds:   int(s.place.Settings.IdleWarn / time.Second),
		CircuitBreaker:    string(s.choice.Breaker), WebSocketRetryAt: utc(s.choice.RetryAt),
	}
	if s.v2 {
		h.helloV2 = &helloV2{ResumeSeconds: int(s.place.Settings.Resume / time.Second)}
		h.Window, h.StdinWindow = s.windows()
		if s.file != nil {
			h.File = s.file.hello()
		}
	}
	return h
}

// sayHello gives the client hello, with the resume token where there is anything to
// resume. From then on the session is carried: a client that has hello may be lost
// and come back before anything else happens here.
func (s *session) sayHello(first *client) {
	h := s.hello()
	s.seat.Lock()
	defer s.seat.Unlock()
	if s.resumes() {
		token := s.issueToken()
		h.ResumeToken = &token
	}
	s.clock.touch(&first.pinged)
	s.countAs(s.state())
	s.carrying.Store(true)
	first.ctrl.push(encode(h))
	first.greeted.Store(true)
}

// feedBack puts output that was read with the report at the head of the queue.
func (s *session) feedBack(rest []byte) {
	if s.file != nil && len(rest) > 0 && !s.carries(transport.Stdout, rest) {
		return
	}
	for len(rest) > 0 {
		p := s.out.reserve(s.stop)
		if p == nil {
			return
		}
		n := copy(p, rest)
		s.out.commit(n, len(p))
		s.out.ready.ring()
		rest = rest[n:]
	}
}

// pump reads the container's output into the queue until it ends.
func (s *session) pump() {
	for {
		p := s.out.reserve(nil)
		n, ch, err := s.stream.Read(p)
		if n > 0 {
			s.clock.output(ch, n)
			s.printed(ch, p, n)
		}
		if err != nil {
			e := s.whyEnded(err)
			if s.file != nil {
				e = s.file.verdict(e)
			}
			close(s.pumpDone) // before finish: who sees the end sees this too
			s.finish(e)
			return
		}
	}
}

// printed takes n bytes of output that were read into p.
func (s *session) printed(ch transport.Channel, p []byte, n int) {
	if s.file != nil && !s.carries(ch, p[:n]) {
		return
	}
	s.out.commit(n, len(p))
	if c := s.at.Load(); c == nil || !c.quickly() {
		s.out.ready.ring()
	}
}

// whyEnded turns the end of the stream into the session's.
func (s *session) whyEnded(err error) ending {
	res := transport.Result{Err: err}
	if errors.Is(err, io.EOF) {
		res = s.stream.Result()
	}
	if s.doubtful(res) && s.ctx.Err() == nil {
		return s.exitedOrLost(res)
	}
	if res.Err == nil && res.ExitCode != nil && *res.ExitCode < 128 {
		return exited(*res.ExitCode)
	}
	if e, gone := s.podEnd(res); gone {
		return e
	}
	if res.Err == nil && res.ExitCode != nil {
		return exited(*res.ExitCode)
	}
	if res.Err == nil {
		return endOf(Exited)
	}
	if len(s.Command) > 0 && fault.KindOf(res.Err) == fault.NoShell {
		return refusal(s.noProgram(res.Err))
	}
	if s.ctx.Err() == nil { // else it was closed here
		s.svc.Log.Warn("exec.stream.lost", "sessionId", s.id, "cluster", s.Cluster, "namespace", s.Namespace,
			"pod", s.Pod, "transport", s.stream.Kind(), "error", res.Err)
	}
	return refusal(res.Err)
}

// doubtful reports whether a command that ended well may not have ended at all: an
// apiserver that translates WebSockets for its nodes says exit code 0 when it has
// lost the node (kubernetes/kubectl#1726). A command of the user's own cannot be
// asked about.
func (s *session) doubtful(res transport.Result) bool {
	return res.Err == nil && res.ExitCode != nil && *res.ExitCode == 0 &&
		s.stream.Kind() == transport.WebSocket && s.proc.known()
}

// exitedOrLost asks the container whether the shell had ended.
func (s *session) exitedOrLost(res transport.Result) ending {
	s.asked, s.fate = true, s.controlExec()
	if s.fate == fateAbsent {
		return exited(*res.ExitCode)
	}
	if e, gone := s.podEnd(transport.Result{}); gone {
		return e
	}
	if s.fate == fateUnknown {
		return exited(*res.ExitCode)
	}
	return refusal(fault.New(fault.ClusterUnreachable, "podexec.run",
		"The connection to the container was lost. The shell may still be running: look at the pod, then open a new shell."))
}

// podEnd asks whether the pod or the container ended under the command. A
// command killed by a signal or a broken stream may have been either's victim.
// What a container takes along ends by KILL, and only some time later its status
// says so: then the question is asked again and again.
func (s *session) podEnd(res transport.Result) (ending, bool) {
	ctx, cancel := context.WithTimeout(s.ctx, podLimit) // done when the end is chosen
	defer cancel()
	for wait := podAgain; ; wait = min(2*wait, podRarely) {
		reason, gone := s.lookAtPod(ctx)
		if gone {
			e := endOf(reason)
			e.exitCode = res.ExitCode
			return e, true
		}
		if !killed(res) || !pause(ctx, wait) {
			return ending{}, false
		}
	}
}

func (s *session) lookAtPod(ctx context.Context) (Reason, bool) {
	pod, err := s.place.Upstream.Pod(ctx, s.Namespace, s.Pod)
	reason, gone := s.entered.gone(s.Container, pod, err)
	if !gone && err == nil && pod.DeletionTimestamp != nil {
		return PodDeleted, true
	}
	return reason, gone
}

// killed reports whether the command ended by SIGKILL.
func killed(res transport.Result) bool {
	return res.Err == nil && res.ExitCode != nil && *res.ExitCode == 128+int(syscall.SIGKILL)
}

// pause is false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// entered is what a session must find again to be in the same container.
type entered struct {
	pod       types.UID
	container string // as containerID
}

func enteredOf(pod *corev1.Pod, container string) entered {
	return entered{pod.UID, containerID(pod, container)}
}

// gone says whether pod, or err where it could not be read, shows that what was
// entered is no more. A pod that is being deleted is still there.
func (e entered) gone(container string, pod *corev1.Pod, err error) (Reason, bool) {
	switch {
	case err != nil:
		return PodDeleted, fault.KindOf(err) == fault.NotFound
	case pod.UID != e.pod:
		return PodDeleted, true
	case e.container == "" || containerID(pod, container) == e.container:
		return "", false
	case pod.DeletionTimestamp != nil:
		return PodDeleted, true
	}
	return ContainerExit, true
}

// containerID is the id of a container while it runs, else empty.
func containerID(pod *corev1.Pod, name string) string {
	for _, list := range [][]corev1.ContainerStatus{
		pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses,
	} {
		for _, c := range list {
			if c.Name == name && c.State.Running != nil {
				return c.ContainerID
			}
		}
	}
	return ""
}

// feed hands stdin to the container.
func (s *session) feed() {
	defer close(s.feedDone)
	var buf []byte
	for {
		if s.in.waiting() > 0 && len(buf) == 0 {
			buf = make([]byte, smallChunk)
		}
		n, eof := s.in.take(buf)
		switch {
		case n > 0:
			if !s.hand(buf[:n]) {
				return
			}
			buf = fit(buf, n)
		case eof:
			if s.stream.CloseWrite() != nil {
				return
			}
		default:
			buf = nil // an idle session holds no memory for stdin
			if !s.await(s.in.ready) {
				return
			}
		}
	}
}

// fit grows the buffer of a paste and drops it after.
func fit(buf []byte, n int) []byte {
	if n == len(buf) && n < maxStdinWrite {
		return make([]byte, maxStdinWrite)
	}
	return buf
}

func (s *session) hand(p []byte) bool {
	if _, err := s.stream.Write(p); err != nil {
		return false // the reader of the same stream learns why
	}
	s.countStdin(p)
	s.handed(p, s.in.handed(len(p)))
	return true
}

// handed does what follows from stdin, up to offset, being with the container.
func (s *session) handed(p []byte, offset int64) {
	if !s.v2 {
		return
	}
	if c := s.at.Load(); c != nil {
		c.ctrl.stdinAck(offset)
	}
	if s.TTY && interrupts(p) {
		s.interrupt()
	}
}

// await waits for a bell; false when the session ends first.
func (s *session) await(n notice) bool {
	select {
	case <-n.c:
		return true
	case <-s.stop:
		return false
	}
}
