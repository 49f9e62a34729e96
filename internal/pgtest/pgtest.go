// Package pgtest starts a PostgreSQL of a test's own.
//
// It owns the program's place, its folder and its end. Debian's own cluster is
// never touched; a machine without PostgreSQL fails the test.
package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

const (
	startLimit = 60 * time.Second
	stopLimit  = 30 * time.Second
	startPoll  = 50 * time.Millisecond
)

// Server is a running PostgreSQL. It listens on a socket in its folder alone.
type Server struct {
	dir       string
	cmd       *exec.Cmd
	out       *bytes.Buffer
	ended     chan struct{}
	databases atomic.Int64
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{out: &bytes.Buffer{}, ended: make(chan struct{})}
	s.folder(t)
	s.run(t, "initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	s.start(t)
	t.Cleanup(func() { s.stop(t) })
	s.await(t)
	return s
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// folder is short, as a socket's path must be, and belongs to who runs the server.
func (s *Server) folder(t testing.TB) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s.dir = dir
	if id := credential(t); id != nil {
		if err := os.Chown(dir, int(id.Uid), int(id.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// credential is that of user postgres where this process is root, whom
// PostgreSQL refuses; else nil.
func credential(t testing.TB) *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("PostgreSQL does not run as root, and there is no user postgres: %v", err)
	}
	return &syscall.Credential{Uid: number(t, u.Uid), Gid: number(t, u.Gid)}
}

func number(t testing.TB, s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// program is the newest installed one.
func program(t testing.TB, name string) string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		t.Fatalf("there is no PostgreSQL to test with; `make test` installs it (Debian's package postgresql)")
	}
	slices.Sort(found)
	return found[len(found)-1]
}

func (s *Server) command(t testing.TB, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(program(t, name), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, s.out, s.out
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential(t)}
	return cmd
}

func (s *Server) run(t testing.TB, name string, args ...string) {
	t.Helper()
	if err := s.command(t, name, args...).Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, s.out)
	}
}

func (s *Server) start(t testing.TB) {
	s.cmd = s.command(t, "postgres", "-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off")
	s.cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
}

// await waits until the server answers.
func (s *Server) await(t testing.TB) {
	t.Helper()
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return
		}
		select {
		case <-s.ended:
			t.Fatalf("PostgreSQL ended: %s", s.out)
		case <-ctx.Done():
			t.Fatalf("PostgreSQL does not answer: %v", err)
		case <-time.After(startPoll):
		}
	}
}

// stop ends the server at once; whoever is still connected is not waited for.
func (s *Server) stop(t testing.TB) {
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	insist := time.AfterFunc(stopLimit, func() { _ = s.cmd.Process.Kill() })
	defer insist.Stop()
	<-s.ended
	if !s.cmd.ProcessState.Success() {
		t.Errorf("PostgreSQL ended with %v:\n%s", s.cmd.ProcessState, s.out)
	}
}

// Database makes an empty database and returns its address.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return s.url(name)
}

func (s *Server) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database, RawQuery: url.Values{"host": {s.dir}}.Encode()}
	return u.String()
}
