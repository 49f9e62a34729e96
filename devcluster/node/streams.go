package node

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

const (
	copySize = 64 << 10
	pipeSize = 256 << 10
)

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copySize); return &b }}

// pipe is a pipe roomy enough that bulk output does not switch between
// processes every few kilobytes.
func pipe() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err != nil {
		return nil, nil, err
	}
	if raw, err := w.SyscallConn(); err == nil {
		// A user's allowance may be spent; the standard size works too.
		raw.Control(func(fd uintptr) { unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
	return r, w, nil
}

// pump copies until either end fails, without the detours of io.Copy through
// interfaces that cannot help here.
func pump(dst io.Writer, src io.Reader) error {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	for {
		n, err := src.Read(*buf)
		if n > 0 {
			if _, err := dst.Write((*buf)[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return nil // a terminal ends with EIO, a pipe with EOF
		}
	}
}

// resizeFrom applies sizes until the client is gone.
func resizeFrom(sizes <-chan remotecommand.TerminalSize, terminal *os.File, done <-chan struct{}) {
	for {
		select {
		case size, ok := <-sizes:
			if !ok {
				return
			}
			setSize(terminal, size)
		case <-done:
			return
		}
	}
}

func setSize(terminal *os.File, size remotecommand.TerminalSize) {
	if size.Width == 0 || size.Height == 0 {
		return
	}
	raw, err := terminal.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
	})
}

// untilQuiet reads a terminal. Once its command has ended it is read until
// nothing comes any more: a process in the background may hold it open.
type untilQuiet struct {
	terminal *os.File
	ended    <-chan struct{}
}

func (r untilQuiet) Read(p []byte) (int, error) {
	select {
	case <-r.ended:
		r.terminal.SetReadDeadline(time.Now().Add(drainPatience))
	default:
	}
	return r.terminal.Read(p)
}

// fanOut writes to all who are attached. As with containerd, a slow one slows
// the container; one that fails is dropped.
type fanOut struct {
	mu      sync.Mutex // guards what follows, not the writing
	writers map[*attached]struct{}
	closed  bool
}

type attached struct {
	w      io.Writer
	failed chan struct{} // closed at the first failure
	once   sync.Once
}

var errGivenUp = errors.New("the client takes nothing any more")

func (a *attached) fail() { a.once.Do(func() { close(a.failed) }) }

// write returns when the client has taken p, or was given up.
func (a *attached) write(p []byte) error {
	mine := bytes.Clone(p) // a client that was given up may still take from it
	written := make(chan error, 1)
	go func() {
		_, err := a.w.Write(mine)
		written <- err
	}()
	select {
	case err := <-written:
		return err
	case <-a.failed:
		return errGivenUp
	}
}

func (f *fanOut) add(w io.Writer) *attached {
	a := &attached{w: w, failed: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		a.fail()
		return a
	}
	if f.writers == nil {
		f.writers = map[*attached]struct{}{}
	}
	f.writers[a] = struct{}{}
	return a
}

func (f *fanOut) remove(a *attached) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.writers, a)
}

// close gives up all who are attached, also those that a Write waits for.
func (f *fanOut) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for a := range f.writers {
		a.fail()
	}
}

func (f *fanOut) snapshot() []*attached {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.writers) == 0 {
		return nil
	}
	all := make([]*attached, 0, len(f.writers))
	for a := range f.writers {
		all = append(all, a)
	}
	return all
}

func (f *fanOut) Write(p []byte) (int, error) {
	for _, a := range f.snapshot() {
		if a.write(p) != nil {
			f.remove(a)
			a.fail()
		}
	}
	return len(p), nil
}
