// Package console gives tests a Periscope as its users meet it: the built
// program in a process of its own, logins over HTTP, terminals over WebSockets.
//
// It owns the processes and sockets that it opens and ends them with the test.
// A Server's process is read by one goroutine, a Terminal's socket by another;
// both end with what they read.
package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/test/proc"
)

const (
	startLimit = 30 * time.Second
	callLimit  = 30 * time.Second
	readyPoll  = 50 * time.Millisecond
)

// Server is one Periscope over one control plane. Who logs in may do anything
// in one namespace and is an admin of Periscope.
type Server struct {
	t       testing.TB
	process *proc.Process
	log     *record
	url     string
}

// Options say how a server differs from one with the defaults.
type Options struct {
	// Auth is the whole of auth.yaml; empty: dev mode, a login in the group named
	// like the namespace.
	Auth string
	// Clusters are the names that the one control plane is served under, each
	// with its exec settings as YAML; empty: Default alone, with the defaults.
	Clusters map[string]string
	// Far are the names of clusters that are reached through agents.
	Far     []string
	Environ []string
}

// Default is the cluster of a server whose Options name none.
const Default = "real"

// Start runs `periscope serve` until the test ends. The login's group gets the
// rights of an administrator in namespace ns.
func Start(t testing.TB, c *kubetest.Cluster, ns string, o Options) *Server {
	t.Helper()
	program, err := childtest.Program("periscope")
	if err != nil {
		t.Fatal(err)
	}
	c.Bind(t, ns, "cluster-admin", "periscope:"+ns)
	if len(o.Clusters) == 0 {
		o.Clusters = map[string]string{Default: "{}"}
	}
	s := &Server{t: t, log: &record{}}
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	process, line, err := proc.Start(ctx, proc.Spec{
		Name: "periscope", Path: program, Args: []string{"serve"}, Ready: "Open http", Log: s.log,
		Env: append(files(t, c, ns, o), o.Environ...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Stop()
		if t.Failed() {
			t.Logf("the server's log ends with:\n%s", s.log.tail())
		}
	})
	_, address, _ := strings.Cut(line, "Open ")
	s.process, s.url = process, strings.TrimSuffix(address, "/")
	return s
}

// files writes auth.yaml and clusters.yaml, and returns the variables that name
// them and take any free port.
func files(t testing.TB, c *kubetest.Cluster, group string, o Options) []string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list := "clusters:\n"
	for name, settings := range o.Clusters {
		list += fmt.Sprintf("  - {name: %s, backend: kubeconfig, kubeconfigPath: %s, exec: %s}\n",
			name, strconv.Quote(c.Kubeconfig), settings)
	}
	for _, name := range o.Far {
		list += "  - {name: " + name + ", backend: agent}\n"
	}
	auth := cmp.Or(o.Auth, "mode: dev\nauthorization: {mode: raw}\ndev: {subject: ada, email: ada@example.com, groups: ["+group+"], admin: true}\n")
	return []string{
		"PORT=0", "PERISCOPE_BIND_ADDRESS=127.0.0.1",
		"PERISCOPE_CLUSTERS_FILE=" + write("clusters.yaml", list), "PERISCOPE_AUTH_FILE=" + write("auth.yaml", auth),
	}
}

// AwaitReady waits until the server can let people in.
func (s *Server) AwaitReady() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), startLimit)
	defer cancel()
	nobody := &Login{server: s}
	if err := until(ctx, func() error {
		_, err := nobody.call(ctx, http.MethodGet, "/readyz", "")
		return err
	}); err != nil {
		s.t.Fatalf("the server is not ready: %v", err)
	}
}

// until asks again and again until there is no error, and returns the last one when
// ctx is done first.
func until(ctx context.Context, ok func() error) error {
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(readyPoll):
		}
	}
}

// URL is where the server answers, without a path.
func (s *Server) URL() string { return s.url }

// Signal sends the process a signal.
func (s *Server) Signal(sig os.Signal) error { return s.process.Signal(sig) }

// Exit waits for the process to end by itself; nil is exit code 0.
func (s *Server) Exit(ctx context.Context) error {
	select {
	case <-s.process.Done():
		return s.process.Err()
	case <-ctx.Done():
		return fmt.Errorf("the server has not ended: %w", context.Cause(ctx))
	}
}

// Event is one line of audit.
type Event struct {
	EventID string         `json:"eventId"`
	Stage   string         `json:"stage"`
	Verb    string         `json:"verb"`
	Outcome string         `json:"outcome"`
	Actor   Actor          `json:"actor"`
	Extra   map[string]any `json:"extra"`
}

// Lines are those of the server's log of a level, such as ERROR, so far.
func (s *Server) Lines(level string) (all []string) {
	for line := range bytes.Lines(s.log.bytes()) {
		var said struct{ Level string }
		if json.Unmarshal(line, &said) == nil && said.Level == level {
			all = append(all, string(line))
		}
	}
	return all
}

// Actor is who acted, and by which token.
type Actor struct {
	Sub   string `json:"sub"`
	Token string `json:"token"`
}

// Events are the completed events of a verb so far, in their order.
func (s *Server) Events(verb string) []Event {
	var all []Event
	for line := range bytes.Lines(s.log.bytes()) {
		var e Event
		if json.Unmarshal(line, &e) == nil && e.Verb == verb && e.Stage == "completed" {
			all = append(all, e)
		}
	}
	return all
}

// record keeps what a server has written: its log and its audit trail.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// maxRecord bounds a record; no test comes near it.
const maxRecord = 64 << 20

var errRecordFull = errors.New("the server has written too much")

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buf.Len() > maxRecord {
		return 0, errRecordFull
	}
	return r.buf.Write(p)
}

func (r *record) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.buf.Bytes())
}

func (r *record) tail() string {
	b := r.bytes()
	return string(b[max(0, len(b)-8<<10):])
}
