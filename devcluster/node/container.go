package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/periscope-console/periscope/devcluster/shim"
)

const (
	setUpTimeout = 20 * time.Second
	// killedCode is the exit code of a process that went with its container.
	killedCode = 128 + int(syscall.SIGKILL)
)

// container is a shim with the processes it runs. A container that was created
// must be killed; gone is closed when nothing of it is left.
type container struct {
	cmd       *exec.Cmd
	control   *net.UnixConn
	processes *Processes
	gone      chan struct{}
	patience  time.Duration // how long the shim may take to end

	mu     sync.Mutex // guards what follows
	next   uint64
	table  map[uint64]*process
	closed bool
}

// process is one command in a container.
type process struct {
	c       *container
	id      uint64
	started chan shim.Reply // one reply: started or failed
	master  *os.File        // the terminal, valid after started
	done    chan struct{}
	code    int // valid once done is closed
}

// stdio are the streams of a process without terminal; start closes them.
type stdio [3]*os.File

func (s stdio) close() {
	for _, f := range s {
		if f != nil {
			f.Close()
		}
	}
}

// placement says how a shim is started.
type placement struct {
	flags uintptr // namespaces of its own
	join  int     // process whose PID namespace it enters, or 0
}

// createContainer starts a shim and waits until it has set up its root.
func createContainer(processes *Processes, where placement, boot shim.Boot) (*container, error) {
	spec, err := memoryFile("boot", boot)
	if err != nil {
		return nil, err
	}
	defer spec.Close()
	ours, theirs, err := controlPair()
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path:        program,
		Args:        []string{shim.Arg0},
		Env:         []string{"GOMAXPROCS=2"},
		Dir:         "/",
		ExtraFiles:  []*os.File{theirs, spec},
		SysProcAttr: where.attributes(),
	}
	err = startIn(cmd, where.join)
	theirs.Close()
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("start the first process of the container: %w", err)
	}
	c := &container{
		cmd: cmd, control: ours, processes: processes, gone: make(chan struct{}), patience: where.patience(),
		next: shim.MainID, table: map[uint64]*process{},
	}
	if err := processes.add(cmd.Process.Pid); err != nil {
		c.abandon()
		return nil, err
	}
	if err := c.awaitSetUp(); err != nil {
		c.abandon()
		return nil, err
	}
	go c.read()
	return c, nil
}

func (c *container) awaitSetUp() error {
	c.control.SetReadDeadline(time.Now().Add(setUpTimeout))
	defer c.control.SetReadDeadline(time.Time{})
	r, _, err := c.receive()
	switch {
	case err != nil:
		return fmt.Errorf("the container was not set up: %w", err)
	case r.Error != "":
		return errors.New(r.Error)
	}
	return nil
}

// abandon ends a container nobody has seen yet.
func (c *container) abandon() {
	c.control.Close()
	c.cmd.Process.Kill()
	c.reap()
}

func (c *container) reap() {
	c.cmd.Wait() // how a shim ends says nothing
	c.processes.remove(c.cmd.Process.Pid)
	close(c.gone)
}

// read hands replies to the processes they are for, until the shim is gone.
func (c *container) read() {
	for {
		r, fds, err := c.receive()
		if err != nil {
			break
		}
		c.deliver(r, fds)
	}
	c.kill()
	// A shim that shares a PID namespace first kills what is below it.
	overdue := time.AfterFunc(c.patience, func() { c.cmd.Process.Kill() })
	defer overdue.Stop()
	c.reap()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for id, p := range c.table {
		delete(c.table, id)
		p.end(killedCode)
	}
}

func (c *container) deliver(r shim.Reply, fds []int) {
	c.mu.Lock()
	p := c.table[r.ID]
	if r.Kind == shim.Failed || r.Kind == shim.Exited {
		delete(c.table, r.ID)
	}
	c.mu.Unlock()
	if p == nil {
		closeAll(fds)
		return
	}
	switch r.Kind {
	case shim.Started:
		if len(fds) > 0 {
			p.master = terminalFile(fds[0])
			closeAll(fds[1:])
		}
		p.started <- r
	case shim.Failed:
		closeAll(fds)
		p.started <- r
	case shim.Exited:
		p.end(r.Code)
	}
}

// end is called once: by whoever took the process out of the table.
func (p *process) end(code int) {
	p.code = code
	close(p.done)
}

func (c *container) receive() (shim.Reply, []int, error) {
	var r shim.Reply
	buf := make([]byte, shim.MaxPacket)
	oob := make([]byte, unix.CmsgSpace(4*4))
	n, oobn, _, _, err := c.control.ReadMsgUnix(buf, oob)
	if err != nil {
		return r, nil, err
	}
	if n == 0 {
		return r, nil, errors.New("its first process has ended")
	}
	if err := json.Unmarshal(buf[:n], &r); err != nil {
		return r, nil, err
	}
	return r, parseRights(oob[:oobn]), nil
}

func parseRights(oob []byte) []int {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var fds []int
	for _, m := range messages {
		if got, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

// start runs a command; the first one is the container's main process. The
// error of a command that cannot run is in runc's words.
func (c *container) start(spec shim.Process, streams stdio) (*process, error) {
	defer streams.close()
	file, err := memoryFile("process", spec)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	p := &process{c: c, started: make(chan shim.Reply, 1), done: make(chan struct{})}
	if err := c.enter(p); err != nil {
		return nil, err
	}
	fds := []int{int(file.Fd())}
	if !spec.TTY {
		for _, f := range streams {
			fds = append(fds, int(f.Fd()))
		}
	}
	if err := c.request(shim.Request{ID: p.id, Op: shim.OpStart}, fds); err != nil {
		return nil, fmt.Errorf("the container has ended: %w", err)
	}
	select {
	case r := <-p.started:
		if r.Kind == shim.Failed {
			return nil, errors.New(r.Error)
		}
		return p, nil
	case <-p.done:
		select {
		case r := <-p.started: // started and ended in one go
			if r.Kind == shim.Started {
				return p, nil
			}
		default:
		}
		return nil, errors.New("the container has ended")
	}
}

func (c *container) enter(p *process) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errors.New("the container has ended")
	}
	p.id = c.next
	c.next++
	c.table[p.id] = p
	return nil
}

func (c *container) request(r shim.Request, fds []int) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err = c.control.WriteMsgUnix(data, rights, nil)
	return err
}

// signal reaches the process, if it still runs.
func (p *process) signal(sig syscall.Signal) {
	// A shim that is gone has no process to signal.
	_ = p.c.request(shim.Request{ID: p.id, Op: shim.OpSignal, Signal: int(sig)}, nil)
}

// killGroup ends the process and what it started, unless that left its group.
func (p *process) killGroup() {
	_ = p.c.request(shim.Request{ID: p.id, Op: shim.OpSignal, Signal: int(syscall.SIGKILL), Group: true}, nil)
}

// kill ends the container with everything in it: the shim sees that the
// socket is closed. It does not wait; see gone.
func (c *container) kill() { c.control.Close() }

func (c *container) pid() int { return c.cmd.Process.Pid }

// controlPair answers the node's end and the shim's end of the socket.
func controlPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours := os.NewFile(uintptr(fds[0]), "control")
	theirs := os.NewFile(uintptr(fds[1]), "control")
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), theirs, nil
}

// memoryFile holds v as JSON, to be read from its beginning.
func memoryFile(name string, v any) (*os.File, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.WriteAt(data, 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// terminalFile makes reads of a terminal end when it is closed.
func terminalFile(fd int) *os.File {
	unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), "terminal")
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
