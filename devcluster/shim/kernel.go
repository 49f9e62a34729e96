package shim

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// What package syscall lacks. golang.org/x/sys is not used here, because its
// place in the order of initialisation is too late; see the package comment.
const (
	prSetChildSubreaper = 36
	tiocgptn            = 0x80045430
	tiocsptlck          = 0x40045431
	tiocswinsz          = 0x5414
	lastSignal          = syscall.Signal(64)
)

func becomeSubreaper() error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("become a subreaper: %w", errno)
	}
	return nil
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}

// openTerminal makes a terminal of the container's own devpts, in the size the
// client asked for, so that a program sees it from its first line on.
func openTerminal(p Process) (master, slave int, err error) {
	master, err = syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	slave, err = openSlave(master, p)
	if err != nil {
		syscall.Close(master)
		return -1, -1, err
	}
	return master, slave, nil
}

func openSlave(master int, p Process) (int, error) {
	var unlock, number int32
	if err := ioctl(master, tiocsptlck, unsafe.Pointer(&unlock)); err != nil {
		return -1, fmt.Errorf("unlock terminal: %w", err)
	}
	if err := ioctl(master, tiocgptn, unsafe.Pointer(&number)); err != nil {
		return -1, fmt.Errorf("number of terminal: %w", err)
	}
	if p.Rows > 0 && p.Cols > 0 {
		size := [4]uint16{p.Rows, p.Cols}
		if err := ioctl(master, tiocswinsz, unsafe.Pointer(&size)); err != nil {
			return -1, fmt.Errorf("size of terminal: %w", err)
		}
	}
	slave, err := syscall.Open("/dev/pts/"+strconv.Itoa(int(number)), syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open terminal: %w", err)
	}
	if p.UID != 0 {
		syscall.Fchown(slave, int(p.UID), -1)
	}
	return slave, nil
}

// killDescendants kills every process below this one until none is left.
// A killed process may have forked in the same moment, hence the rounds; a
// stopped fork bomb is the node's business, so the rounds are bounded.
func killDescendants() {
	for range 1000 {
		pids := Descendants(os.Getpid())
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		var status syscall.WaitStatus
		syscall.Wait4(-1, &status, 0, nil) // at least one of them is ours to wait for
	}
}

// Descendants are the processes below root, as far as /proc shows them.
func Descendants(root int) []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent, ok := parentOf(pid); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	var all []int
	for queue := children[root]; len(queue) > 0; {
		pid := queue[0]
		all = append(all, pid)
		queue = append(queue[1:], children[pid]...)
	}
	return all
}

func parentOf(pid int) (int, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	// The name in parentheses may hold anything, also parentheses.
	_, rest, ok := cutLast(string(data), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, err == nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// The signals that C libraries keep for their threads (signal(7)). Go neither
// handles nor resets them.
const (
	firstThreadSignal = 32
	lastThreadSignal  = 34
)

// defaultThreadSignals sets those signals to their default, which a process may
// have inherited as ignored. It cannot fail for a valid signal.
func defaultThreadSignals() {
	// All zeros is SIG_DFL without flags on every architecture; the kernel's
	// sigaction is at most four words.
	var action [4]uintptr
	const maskSize = 8
	for n := uintptr(firstThreadSignal); n <= lastThreadSignal; n++ {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, n, uintptr(unsafe.Pointer(&action)), 0, maskSize, 0, 0)
	}
}
