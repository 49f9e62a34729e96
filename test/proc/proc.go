// Package proc runs the parts of a whole system as child processes, for the
// demo, the benchmarks and the tests from outside.
//
// It owns starting, waiting until a part says that it is ready, and stopping
// without a trace. Each child has a process group of its own, so that a Ctrl-C
// on the terminal reaches the parent alone, which then stops them in order.
package proc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopLimit is how long a child may take to end after SIGTERM.
const stopLimit = 20 * time.Second

// Process is one running child.
type Process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // valid once done is closed

	mu   sync.Mutex
	tail []string // the last lines it wrote
}

// Spec says what to start.
type Spec struct {
	Name string
	Path string
	Args []string
	Env  []string // added to the parent's
	// Files are open in the child as 3, 4 and so on.
	Files []*os.File
	// Ready begins the line that says the child is up, and Holds is in it.
	Ready, Holds string
	// Log gets all that the child writes; nil throws it away.
	Log io.Writer
}

// Start runs the child and returns the line that said it is ready.
func Start(ctx context.Context, s Spec) (*Process, string, error) {
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env, cmd.ExtraFiles = append(os.Environ(), s.Env...), s.Files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", s.Name, err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		r.Close()
		w.Close()
		return nil, "", fmt.Errorf("%s did not start: %w", s.Name, err)
	}
	w.Close()
	p := &Process{name: s.Name, cmd: cmd, done: make(chan struct{})}
	ready := make(chan string, 1)
	go p.follow(r, s, ready)
	select {
	case line := <-ready:
		return p, line, nil
	case <-p.done:
		return nil, "", fmt.Errorf("%s ended before it was ready: %w\n%s", s.Name, p.err, p.last())
	case <-ctx.Done():
		p.Stop()
		return nil, "", fmt.Errorf("%s was not ready in time: %w\n%s", s.Name, context.Cause(ctx), p.last())
	}
}

// follow reads what the child writes until it has ended.
func (p *Process) follow(r *os.File, s Spec, ready chan<- string) {
	defer close(p.done)
	defer r.Close()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.keep(lines.Text())
		if s.Log != nil {
			fmt.Fprintln(s.Log, lines.Text())
		}
		if strings.HasPrefix(lines.Text(), s.Ready) && strings.Contains(lines.Text(), s.Holds) {
			select {
			case ready <- lines.Text():
			default:
			}
		}
	}
	p.err = p.cmd.Wait()
}

func (p *Process) keep(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tail = append(p.tail, line)
	if len(p.tail) > 20 {
		p.tail = p.tail[1:]
	}
}

func (p *Process) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.tail, "\n")
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends the child a signal.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how the child ended; valid once Done is closed.
func (p *Process) Err() error { return p.err }

// Stop asks the child to end, insists after a while, and waits.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(stopLimit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}
