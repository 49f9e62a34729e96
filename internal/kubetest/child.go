package kubetest

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

// child is a running devcluster. Its output goes to files, so that no goroutine
// has to carry it.
type child struct {
	cmd *exec.Cmd
	log string

	once sync.Once
	err  error
}

func startChild(dir string, args []string) (*child, error) {
	program, err := Program("devcluster")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "devcluster.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, append([]string{"--dir", dir, "--addr", "127.0.0.1:0", "--exit-with-parent"}, args...)...)
	cmd.Stdout, cmd.Stderr = in, log
	// A Ctrl-C is the test's to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		return nil, fmt.Errorf("%s does not start: %w", program, err)
	}
	c := &child{cmd: cmd, log: log.Name()}
	if err := awaitReady(out); err != nil {
		_ = c.stop()
		return nil, fmt.Errorf("the dev cluster did not come up: %w\n%s", err, c.tail())
	}
	return c, nil
}

// awaitReady reads until the line "ready". The pipe is closed after it: the
// child has nothing more to say there.
func awaitReady(out *os.File) error {
	if err := out.SetReadDeadline(time.Now().Add(startLimit)); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ready") {
			return nil
		}
	}
	return errors.Join(errors.New("it never said ready"), lines.Err())
}

func (c *child) tail() string {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4<<10):])
}

// stop asks the child to end, insists after a while, and waits.
func (c *child) stop() error {
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
		return "", fmt.Errorf("there is no %s to test with: run `make build` and `make devcluster` first (%w)", name, err)
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
