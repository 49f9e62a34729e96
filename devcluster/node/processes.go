package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/periscope-console/periscope/devcluster/shim"
)

// Processes is the record, on disk, of the first processes of all containers.
// A process is known by its id together with the time it started and the boot
// of the machine, so that no other process is ever taken for it.
type Processes struct {
	dir  string
	boot string
}

// endPatience bounds the wait for a killed process to be gone.
const endPatience = 5 * time.Second

// OpenProcesses ends all processes that an earlier run recorded in dir and did
// not end itself, and begins an empty record.
func OpenProcesses(dir string) (*Processes, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	p := &Processes{dir: dir, boot: strings.TrimSpace(string(boot))}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := p.endRecorded(e.Name()); err != nil {
			return nil, fmt.Errorf("process %s of the earlier run does not end: %w", e.Name(), err)
		}
	}
	return p, nil
}

func (p *Processes) endRecorded(name string) error {
	file := filepath.Join(p.dir, name)
	recorded, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if pid, err := strconv.Atoi(name); err == nil {
		if err := p.endProcess(pid, string(recorded)); err != nil {
			return err
		}
	}
	return os.Remove(file)
}

// endProcess holds the process by a descriptor before it compares, so that the
// id cannot change hands in between.
func (p *Processes) endProcess(pid int, recorded string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if identity, err := p.identity(pid); err != nil || identity != recorded {
		return nil
	}
	below := shim.Descendants(pid)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	for _, child := range below {
		unix.Kill(child, unix.SIGKILL)
	}
	return awaitEnd(fd)
}

func awaitEnd(pidfd int) error {
	deadline := time.Now().Add(endPatience)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return errors.New("it was killed, but is still there")
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// identity is the boot and, in clock ticks since then, the start.
func (p *Processes) identity(pid int) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The name in parentheses may hold anything; the start is field 22.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 20 {
		return "", errors.New("unknown format of /proc/PID/stat")
	}
	return p.boot + " " + fields[19], nil
}

func (p *Processes) add(pid int) error {
	identity, err := p.identity(pid)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, strconv.Itoa(pid)), []byte(identity), 0o600)
}

func (p *Processes) remove(pid int) {
	err := os.Remove(filepath.Join(p.dir, strconv.Itoa(pid)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// The record names a process that is gone; the next start sees that.
		return
	}
}
