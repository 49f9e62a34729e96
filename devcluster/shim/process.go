package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// start runs a process; the first descriptor holds the Process, and the
// streams follow. It owns the descriptors.
func (s *shim) start(id uint64, fds []int) {
	defer func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	}()
	master := -1
	pid, err := func() (int, error) {
		p, err := readProcess(fds)
		if err != nil {
			return 0, err
		}
		if p.MakeDir {
			os.MkdirAll(p.Dir, 0o755) // a failure shows when the process starts there
		}
		path, err := s.boot.lookPath(p.Args[0], p.Env, p.Dir)
		if err != nil {
			return 0, err
		}
		streams := fds[1:]
		if p.TTY {
			var slave int
			if master, slave, err = openTerminal(p); err != nil {
				return 0, err
			}
			defer syscall.Close(slave)
			streams = []int{slave, slave, slave}
		}
		return s.fork(id, path, p, streams)
	}()
	if err != nil {
		s.send(Reply{ID: id, Kind: Failed, Error: err.Error()}, -1)
	} else {
		s.send(Reply{ID: id, Kind: Started, PID: pid}, master)
		s.release(id)
	}
	if master >= 0 {
		syscall.Close(master)
	}
}

func readProcess(fds []int) (Process, error) {
	var p Process
	if len(fds) == 0 {
		return p, errors.New("the request has no description of the process")
	}
	data, err := io.ReadAll(io.NewSectionReader(fdReader(fds[0]), 0, 16<<20))
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, err
	}
	if len(p.Args) == 0 || p.Args[0] == "" {
		return p, errors.New("no command specified")
	}
	if !p.TTY && len(fds) != 4 {
		return p, fmt.Errorf("a process needs three streams, got %d", len(fds)-1)
	}
	return p, nil
}

// fdReader reads a descriptor that somebody else owns.
type fdReader int

func (fd fdReader) ReadAt(b []byte, off int64) (int, error) {
	n, err := syscall.Pread(int(fd), b, off)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return max(n, 0), err
}

// fork holds the table locked, also past the fork: release lets the reaper go
// on, so that "exited" never overtakes "started".
func (s *shim) fork(id uint64, path string, p Process, streams []int) (int, error) {
	attr := &syscall.ProcAttr{
		Dir:   p.Dir,
		Env:   p.Env,
		Files: []uintptr{uintptr(streams[0]), uintptr(streams[1]), uintptr(streams[2])},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: p.TTY, Ctty: 0},
	}
	if p.UID != 0 || p.GID != 0 {
		attr.Sys.Credential = &syscall.Credential{Uid: p.UID, Gid: p.GID}
	}
	s.mu.Lock()
	pid, err := syscall.ForkExec(path, p.Args, attr)
	if err != nil {
		s.mu.Unlock()
		return 0, startError(p, err)
	}
	s.children[pid] = id
	return pid, nil
}

func (s *shim) release(uint64) { s.mu.Unlock() }

func startError(p Process, err error) error {
	if p.Dir != "" {
		if info, statErr := os.Stat(p.Dir); statErr != nil || !info.IsDir() {
			return fmt.Errorf("chdir to cwd (%q) set in config.json failed: %w", p.Dir, err)
		}
	}
	return fmt.Errorf("exec %s: %w", p.Args[0], err)
}

// lookPath pretends, for a bare container without a root of its own, that
// there is nothing but its one program.
func (b *Boot) lookPath(name string, env []string, dir string) (string, error) {
	if b.Isolated || !b.Root.Bare {
		return lookPath(name, env, dir)
	}
	if name == ProgramPath {
		return "/proc/self/exe", nil
	}
	if strings.Contains(name, "/") {
		return "", executable(name, "/nonexistent"+name)
	}
	return lookPath(name, nil, dir)
}

// lookPath finds the program as runc does, and complains in its words.
func lookPath(name string, env []string, dir string) (string, error) {
	if strings.Contains(name, "/") {
		path := name
		if !strings.HasPrefix(path, "/") {
			path = strings.TrimSuffix(dir, "/") + "/" + path
		}
		return path, executable(name, path)
	}
	for _, folder := range strings.Split(pathOf(env), ":") {
		if folder == "" {
			folder = "."
		}
		if executable(name, folder+"/"+name) == nil {
			return folder + "/" + name, nil
		}
	}
	return "", fmt.Errorf("exec: %q: executable file not found in $PATH", name)
}

func pathOf(env []string) string {
	path := ""
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			path = value
		}
	}
	return path
}

func executable(name, path string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return fmt.Errorf("exec: %q: stat %s: %w", name, path, err)
	}
	switch {
	case st.Mode&syscall.S_IFMT == syscall.S_IFDIR:
		return fmt.Errorf("exec: %q: is a directory", name)
	case st.Mode&0o111 == 0:
		return fmt.Errorf("exec: %q: permission denied", name)
	}
	return nil
}

// reap waits for children, its own and adopted ones, and hands on the signals
// that somebody in the container sends to process 1.
func (s *shim) reap(ended, others <-chan os.Signal) {
	for {
		select {
		case <-ended:
			s.collect()
		case sig := <-others:
			switch sig {
			case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH:
				s.signal(MainID, sig.(syscall.Signal), false)
			}
		}
	}
}

func (s *shim) collect() {
	for {
		var status syscall.WaitStatus
		s.mu.Lock()
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		id, known := s.children[pid]
		delete(s.children, pid)
		s.mu.Unlock()
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if known {
			s.exited(id, status)
		}
	}
}

func (s *shim) exited(id uint64, status syscall.WaitStatus) {
	code := status.ExitStatus()
	if status.Signaled() {
		code = 128 + int(status.Signal())
	}
	s.send(Reply{ID: id, Kind: Exited, Code: code}, -1)
	if id == MainID {
		s.end()
		os.Exit(0)
	}
}
