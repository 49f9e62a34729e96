// Package shim is the first process of every container: it builds the
// container's file system, starts processes in it on the node's request, reaps
// them, and takes all of them along when it ends.
//
// The shim is this same program under another name. It takes over in an init
// function, before the packages of Kubernetes initialise themselves (Go
// initialises in the order of import paths as far as dependencies allow), and
// therefore imports nothing but small packages of the standard library: a
// container costs a few megabytes instead of fifty.
//
// It ends when the main process ends, or when the node's end of the control
// socket is closed, which the kernel does even for a node that was killed.
package shim

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
)

func init() {
	switch {
	case len(os.Args) == 0:
	case os.Args[0] == Arg0:
		os.Exit(run())
	case isProgram(os.Args[0]):
		os.Exit(program(os.Args[1:]))
	}
}

// shim is the state of this process.
type shim struct {
	boot Boot

	// mu is held while a process is forked and entered, so that the reaper
	// never sees a child that is not in the table yet.
	mu       sync.Mutex
	children map[int]uint64 // process id → request

	sendMu sync.Mutex // one packet at a time
}

func run() int {
	debug.SetGCPercent(20)
	syscall.CloseOnExec(controlFD)
	syscall.CloseOnExec(bootFD)
	syscall.Umask(0o022)
	s := &shim{children: map[int]uint64{}}
	ended, others := resetSignals()
	if err := s.setUp(); err != nil {
		s.send(Reply{Kind: Ready, Error: err.Error()}, -1)
		return 1
	}
	go s.reap(ended, others)
	s.send(Reply{Kind: Ready}, -1)
	s.serve()
	s.end()
	return 0
}

// resetSignals installs a handler for every signal. Go resets handled signals
// to their default in the processes it starts; one that was ignored when the
// cluster was started (under nohup: SIGHUP) would stay ignored in every pod.
//
// Ends of children have a queue of their own, where one entry stands for any
// number; when the other queue is full, a signal is lost.
func resetSignals() (ended, others chan os.Signal) {
	defaultThreadSignals()
	ended, others = make(chan os.Signal, 1), make(chan os.Signal, 16)
	signal.Notify(ended, syscall.SIGCHLD)
	for n := syscall.Signal(1); n <= lastSignal; n++ {
		switch n {
		case syscall.SIGCHLD, syscall.SIGKILL, syscall.SIGSTOP:
		case syscall.SIGURG: // Go's own; handled already
		default:
			signal.Notify(others, n)
		}
	}
	return ended, others
}

func (s *shim) setUp() error {
	data, err := io.ReadAll(os.NewFile(bootFD, "boot"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &s.boot); err != nil {
		return err
	}
	if !s.boot.Isolated || s.boot.Joined {
		if err := becomeSubreaper(); err != nil {
			return err
		}
	}
	if s.boot.Isolated {
		return s.boot.enter()
	}
	return nil
}

// serve answers requests until the node goes away.
func (s *shim) serve() {
	buf := make([]byte, MaxPacket)
	oob := make([]byte, syscall.CmsgSpace(4*4))
	for {
		n, oobn, _, _, err := syscall.Recvmsg(controlFD, buf, oob, syscall.MSG_CMSG_CLOEXEC)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		var r Request
		if json.Unmarshal(buf[:n], &r) != nil {
			return
		}
		s.handle(r, descriptors(oob[:oobn]))
	}
}

func descriptors(oob []byte) []int {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var fds []int
	for _, m := range messages {
		if got, err := syscall.ParseUnixRights(&m); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

func (s *shim) handle(r Request, fds []int) {
	switch r.Op {
	case OpStart:
		s.start(r.ID, fds)
	case OpSignal:
		s.signal(r.ID, syscall.Signal(r.Signal), r.Group)
	}
}

func (s *shim) send(r Reply, fd int) {
	data := r.packet()
	var rights []byte
	if fd >= 0 {
		rights = syscall.UnixRights(fd)
	}
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	for {
		// A node that is gone makes serve return; nothing to do here.
		err := syscall.Sendmsg(controlFD, data, rights, nil, syscall.MSG_NOSIGNAL)
		if !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// signal reaches one process, as a container runtime does, or its group.
func (s *shim) signal(id uint64, sig syscall.Signal, group bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for pid, owner := range s.children {
		if owner != id {
			continue
		}
		if group {
			pid = -pid
		}
		syscall.Kill(pid, sig)
	}
}

// end leaves no process behind. As process 1 of a namespace it need do
// nothing: the kernel kills the rest with it.
func (s *shim) end() {
	if s.boot.Isolated && !s.boot.Joined {
		return
	}
	s.mu.Lock() // starts nothing any more
	killDescendants()
}
