package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"github.com/periscope-console/periscope/devcluster/shim"
)

// drainPatience bounds the wait for clients to take output after the whole
// container is gone.
const drainPatience = 2 * time.Second

// instance is one run of a pod's container, from its start to its end.
type instance struct {
	id      string // as a container runtime would name it
	c       *container
	main    *process
	env     []string
	dir     string
	uid     uint32
	gid     uint32
	tty     bool
	rewrite []shim.Mount // see rewritten
	log     *containerLog
	started time.Time

	stdin     *os.File // nil: the container takes no input
	stdinOnce bool
	out, err  fanOut

	stopOnce sync.Once
	stopping chan struct{} // closed when somebody has begun to stop it
	done     chan struct{} // closed when all is over; then code and finished hold
	code     int
	finished time.Time
}

// run describes an instance to be started.
type run struct {
	processes *Processes
	where     placement
	boot      shim.Boot
	process   shim.Process
	rewrite   []shim.Mount
	stdin     bool
	stdinOnce bool
	log       *containerLog
}

// errStart says that the command itself could not be run.
type errStart struct{ error }

func newContainerID() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// startInstance runs the main process of a container.
func startInstance(r run) (*instance, error) {
	c, err := createContainer(r.processes, r.where, r.boot)
	if err != nil {
		return nil, err
	}
	in := &instance{
		id: newContainerID(), c: c, env: r.process.Env, dir: r.process.Dir, uid: r.process.UID, gid: r.process.GID,
		tty: r.process.TTY, rewrite: r.rewrite, log: r.log, stdinOnce: r.stdinOnce,
		stopping: make(chan struct{}), done: make(chan struct{}),
	}
	outputs, err := in.start(r)
	if err != nil {
		c.kill()
		<-c.gone
		return nil, err
	}
	in.started = time.Now()
	go in.wait(in.pumpAll(outputs))
	return in, nil
}

// start runs the command and answers the node's ends of its output.
func (in *instance) start(r run) (outputs []*os.File, err error) {
	if in.tty {
		if in.main, err = in.c.start(r.process, stdio{}); err != nil {
			return nil, errStart{err}
		}
		in.stdin = in.main.master
		return []*os.File{in.main.master}, nil
	}
	var theirs stdio
	outputs, err = in.pipes(&theirs, r.stdin)
	if err == nil {
		if in.main, err = in.c.start(r.process, theirs); err == nil {
			return outputs, nil
		}
		err = errStart{err}
	} else {
		theirs.close()
	}
	for _, f := range append(outputs, in.stdin) {
		if f != nil {
			f.Close()
		}
	}
	return nil, err
}

func (in *instance) pipes(theirs *stdio, withInput bool) (outputs []*os.File, err error) {
	if withInput {
		theirs[0], in.stdin, err = pipe()
	} else {
		theirs[0], err = os.Open(os.DevNull)
	}
	if err != nil {
		return nil, err
	}
	for i := 1; i <= 2; i++ {
		r, w, err := pipe()
		if err != nil {
			return outputs, err
		}
		theirs[i] = w
		outputs = append(outputs, r)
	}
	return outputs, nil
}

// pumpAll feeds log and clients; the channel is closed when all output is read.
func (in *instance) pumpAll(outputs []*os.File) <-chan struct{} {
	var all sync.WaitGroup
	for i, f := range outputs {
		stream, clients := "stdout", &in.out
		if i == 1 {
			stream, clients = "stderr", &in.err
		}
		all.Go(func() {
			w := &lineWriter{log: in.log, stream: stream}
			pump(io.MultiWriter(w, clients), f)
			w.finish()
			if !in.tty { // a terminal is shared with the input, see wait
				f.Close()
			}
		})
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		all.Wait()
	}()
	return drained
}

// wait sees the instance to its end: the main process, then whatever it left
// behind, then the output.
func (in *instance) wait(drained <-chan struct{}) {
	<-in.main.done
	in.c.kill()
	<-in.c.gone
	// The log gets all that was printed, whatever a client does.
	late := time.AfterFunc(drainPatience, func() {
		in.out.close()
		in.err.close()
	})
	defer late.Stop()
	select {
	case <-drained:
	case <-time.After(2 * drainPatience): // a process that has got away holds the output
	}
	in.closeStdin()
	in.log.close()
	in.code = in.main.code
	in.finished = time.Now()
	close(in.done)
}

func (in *instance) closeStdin() {
	if in.stdin != nil {
		in.stdin.Close()
	}
}

func (in *instance) running() bool {
	select {
	case <-in.done:
		return false
	default:
		return true
	}
}

// stop asks the main process to end and kills the container after the grace
// period. It returns at once; preStop runs first, inside the grace period.
func (in *instance) stop(grace time.Duration, preStop func(context.Context)) {
	in.stopOnce.Do(func() {
		close(in.stopping)
		go in.stopNow(grace, preStop)
	})
}

func (in *instance) stopNow(grace time.Duration, preStop func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if preStop != nil {
		preStop(ctx)
	}
	in.main.signal(syscall.SIGTERM)
	select {
	case <-in.done:
	case <-ctx.Done():
		in.c.kill()
	}
}

// attach connects a client to the main process until either is gone.
func (in *instance) attach(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, resize <-chan remotecommand.TerminalSize) {
	var lost []<-chan struct{}
	for _, s := range []struct {
		w io.Writer
		f *fanOut
	}{{stdout, &in.out}, {stderr, &in.err}} {
		if s.w != nil {
			a := s.f.add(s.w)
			defer s.f.remove(a)
			lost = append(lost, a.failed)
		}
	}
	if in.tty && resize != nil {
		go resizeFrom(resize, in.stdin, in.done)
	}
	inputEnd := make(chan struct{})
	if stdin != nil && in.stdin != nil {
		go in.feed(stdin, inputEnd)
	}
	if len(lost) == 0 {
		lost = append(lost, inputEnd)
	}
	select {
	case <-in.done:
	case <-lost[0]:
	case <-ctx.Done():
	}
}

// feed copies a client's input; with stdinOnce its end is the container's.
func (in *instance) feed(stdin io.Reader, end chan<- struct{}) {
	defer close(end)
	if pump(in.stdin, stdin) == nil && in.stdinOnce && !in.tty {
		in.closeStdin()
	}
}

// exec runs a further command and answers its exit code. In and outputs may be
// nil. A client that goes away does not end the command, as with a real node.
func (in *instance) exec(command []string, stdin io.Reader, stdout, stderr io.Writer, tty bool, resize <-chan remotecommand.TerminalSize) (int, error) {
	spec := rewritten(shim.Process{Args: command, Env: in.env, Dir: in.dir, TTY: tty, UID: in.uid, GID: in.gid}, in.rewrite)
	if !tty {
		return in.execPipes(spec, stdin, stdout, stderr)
	}
	spec.Env = withTerm(spec.Env)
	spec.Rows, spec.Cols = firstSize(resize)
	return in.execTerminal(spec, stdin, stdout, resize)
}

func withTerm(env []string) []string {
	return assemble(env, []string{"TERM"}, map[string]string{"TERM": "xterm"})
}

// firstSize gives a size that the client sent along with its request the
// chance to be there before the command starts.
func firstSize(resize <-chan remotecommand.TerminalSize) (rows, cols uint16) {
	if resize == nil {
		return 0, 0
	}
	select {
	case size := <-resize:
		return size.Height, size.Width
	case <-time.After(20 * time.Millisecond):
		return 0, 0
	}
}

func (in *instance) execTerminal(spec shim.Process, stdin io.Reader, stdout io.Writer, resize <-chan remotecommand.TerminalSize) (int, error) {
	p, err := in.c.start(spec, stdio{})
	if err != nil {
		return 0, err
	}
	return in.terminal(p, stdin, stdout, resize), nil
}

// terminal connects a client to a process that has one, until both are done.
func (in *instance) terminal(p *process, stdin io.Reader, stdout io.Writer, resize <-chan remotecommand.TerminalSize) (code int) {
	defer p.master.Close()
	if resize != nil {
		go resizeFrom(resize, p.master, p.done)
	}
	if stdin != nil {
		// The end of the input means nothing to a terminal.
		go pump(p.master, stdin)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		if stdout != nil {
			pump(stdout, untilQuiet{p.master, p.done})
		}
	}()
	<-p.done
	p.master.SetReadDeadline(time.Now().Add(drainPatience)) // for a read under way
	in.awaitOutput(drained)
	return p.code
}

// awaitOutput waits until a client has taken all output of a command. One that
// pauses keeps the exec open, unless the container ends.
func (in *instance) awaitOutput(drained <-chan struct{}) {
	select {
	case <-drained:
	case <-in.c.gone:
		select {
		case <-drained:
		case <-time.After(drainPatience):
		}
	}
}

func (in *instance) execPipes(spec shim.Process, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	s, err := newExecStreams(stdin != nil)
	if err != nil {
		return 0, err
	}
	defer s.close()
	p, err := in.c.start(spec, s.theirs)
	if err != nil {
		return 0, err
	}
	if stdin != nil {
		go func() {
			pump(s.in, stdin)
			s.in.Close()
		}()
	}
	drained := s.pump(stdout, stderr)
	<-p.done
	// As with containerd, a process left in the background that holds the
	// output keeps the exec open too.
	in.awaitOutput(drained)
	return p.code, nil
}

// check runs a command that must end with ctx, and answers its exit code.
func (in *instance) check(ctx context.Context, command []string, output io.Writer) (int, error) {
	s, err := newExecStreams(false)
	if err != nil {
		return 0, err
	}
	defer s.close()
	spec := rewritten(shim.Process{Args: command, Env: in.env, Dir: in.dir, UID: in.uid, GID: in.gid}, in.rewrite)
	p, err := in.c.start(spec, s.theirs)
	if err != nil {
		return 0, err
	}
	drained := s.pump(output, output)
	select {
	case <-p.done:
	case <-ctx.Done():
		p.killGroup()
		<-p.done
		return 0, errors.New("command timed out")
	}
	select {
	case <-drained:
	case <-ctx.Done(): // a process in the background holds the output
	}
	return p.code, nil
}

// execStreams are both ends of an exec's pipes.
type execStreams struct {
	in, out, err *os.File
	theirs       stdio
}

func newExecStreams(withInput bool) (*execStreams, error) {
	s := &execStreams{}
	var err error
	if withInput {
		s.theirs[0], s.in, err = pipe()
	} else {
		s.theirs[0], err = os.Open(os.DevNull)
	}
	if err == nil {
		s.out, s.theirs[1], err = pipe()
	}
	if err == nil {
		s.err, s.theirs[2], err = pipe()
	}
	if err != nil {
		s.theirs.close()
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *execStreams) close() { stdio{s.in, s.out, s.err}.close() }

// pump copies both outputs. One whose client is gone is not read any further:
// its command then waits, instead of filling nobody's memory.
func (s *execStreams) pump(stdout, stderr io.Writer) <-chan struct{} {
	var all sync.WaitGroup
	for _, o := range []struct {
		w io.Writer
		r *os.File
	}{{stdout, s.out}, {stderr, s.err}} {
		w := o.w
		if w == nil {
			w = io.Discard
		}
		all.Go(func() { pump(w, o.r) })
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		all.Wait()
	}()
	return drained
}
