// Package childtest runs the repository's own programs as children of a test.
//
// It owns where a program is, which port it may be told, the wait for its line
// "ready", the file with its output and its end. It starts no goroutines.
package childtest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit = 90 * time.Second
	stopLimit  = 30 * time.Second
)

// Child is a running program. Its output goes to a file, so that no goroutine
// has to carry it.
type Child struct {
	// Ready is the line by which it said so.
	Ready string

	cmd *exec.Cmd
	log string

	once sync.Once
	err  error
}

// Start runs bin/NAME until Stop or the end of the test process, with its log in
// dir. It returns when the program has said that it is ready.
func Start(name, dir string, args ...string) (*Child, error) {
	program, err := Program(name)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, append(args, "--exit-with-parent")...)
	cmd.Stdout, cmd.Stderr = in, log
	// A Ctrl-C is the test's to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		return nil, fmt.Errorf("%s does not start: %w", program, err)
	}
	c := &Child{cmd: cmd, log: log.Name()}
	if c.Ready, err = awaitReady(out); err != nil {
		_ = c.Stop()
		return nil, fmt.Errorf("%s did not come up: %w\n%s", name, err, c.tail())
	}
	return c, nil
}

// awaitReady reads until a line that begins with "ready". The pipe is closed after it: the
// child has nothing more to say there.
func awaitReady(out *os.File) (string, error) {
	if err := out.SetReadDeadline(time.Now().Add(startLimit)); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ready") {
			return lines.Text(), nil
		}
	}
	return "", errors.Join(errors.New("it never said ready"), lines.Err())
}

func (c *Child) tail() string {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4<<10):])
}

// Stop asks the child to end, insists after a while, and waits.
func (c *Child) Stop() error {
	if c == nil {
		return nil
	}
	c.once.Do(func() {
		insist := time.AfterFunc(stopLimit, func() { _ = c.cmd.Process.Kill() })
		defer insist.Stop()
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		if c.err = c.cmd.Wait(); c.err != nil {
			c.err = fmt.Errorf("%w\n%s", c.err, c.tail())
		}
	})
	return c.err
}

// Program is the path of a built program: NAME_BIN of the environment, else
// bin/NAME.
func Program(name string) (string, error) {
	variable := strings.ToUpper(name) + "_BIN"
	path := os.Getenv(variable)
	if path == "" {
		root, err := repository()
		if err != nil {
			return "", fmt.Errorf("%w: set %s", err, variable)
		}
		path = filepath.Join(root, "bin", name)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("there is no %s to test with: run `make build`, `make devcluster` and `make devidp` first (%w)", name, err)
	}
	return path, nil
}

// repository is the folder above this test that has the product's go.mod.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if b, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil &&
			strings.HasPrefix(string(b), "module github.com/periscope-console/periscope\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("this test does not run inside the repository")
		}
		dir = filepath.Dir(dir)
	}
}
