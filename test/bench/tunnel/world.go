package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// place is where the agent's process runs.
type place struct {
	listen string                     // the server's address, with port 0
	before []string                   // commands for the server's network
	agent  *syscall.SysProcAttr       // of the agent's process
	joined func(pid int) (cmd string) // commands once the agent's process runs
	after  []string                   // then, for the server's network
	setup  []string                   // for the agent's
}

func onLoopback() place {
	return place{listen: "127.0.0.1:0", agent: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
}

// behindUplink puts the agent into a network namespace of its own whose way to
// the server's is as narrow as a common uplink: 20 Mbit/s, with a queue of 100 ms
// before it drops. The caller is in a namespace of its own already.
func behindUplink() place {
	return place{
		listen: "192.0.2.1:0",
		before: []string{"ip link set lo up", "ip link add psb0 type veth peer name psb1"},
		agent:  &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL},
		joined: func(pid int) string { return fmt.Sprintf("ip link set psb1 netns %d", pid) },
		after:  []string{"ip addr add 192.0.2.1/30 dev psb0", "ip link set psb0 up"},
		setup: []string{
			"ip link set lo up", "ip addr add 192.0.2.2/30 dev psb1", "ip link set psb1 up",
			"tc qdisc add dev psb1 root tbf rate 20mbit burst 32kb latency 100ms",
		},
	}
}

// world is a server with one link of each system to one agent's process.
type world struct {
	http    *httptest.Server
	servers map[string]server
	agent   *exec.Cmd
	orders  io.WriteCloser
	target  string // where the agent's services listen
}

// linkLimit bounds how long the links take to be there.
const linkLimit = 20 * time.Second

func newWorld(ctx context.Context, names []string, p place) (*world, error) {
	ctx, cancel := context.WithTimeout(ctx, linkLimit)
	defer cancel()
	w := &world{servers: map[string]server{}}
	if err := w.start(ctx, names, p); err != nil {
		w.stop()
		return nil, err
	}
	for name, s := range w.servers {
		select {
		case <-s.linked():
		case <-ctx.Done():
			w.stop()
			return nil, fmt.Errorf("%s: no link in %v", name, linkLimit)
		}
	}
	return w, nil
}

func (w *world) start(ctx context.Context, names []string, p place) error {
	if err := setUp(ctx, p.before); err != nil {
		return err
	}
	out, err := w.startAgent(p)
	if err != nil {
		return err
	}
	if p.joined != nil {
		if err := setUp(ctx, append([]string{p.joined(w.agent.Process.Pid)}, p.after...)); err != nil {
			return err
		}
	}
	if err := w.serve(names, p.listen); err != nil {
		return err
	}
	o := orders{Setup: p.setup, Server: w.http.Listener.Addr().String(), Cert: w.http.Certificate().Raw, Systems: names}
	if err := json.NewEncoder(w.orders).Encode(o); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return errors.New("the agent's process ended, see above")
	}
	w.target = strings.TrimSpace(line)
	return nil
}

func (w *world) startAgent(p place) (out io.Reader, err error) {
	w.agent = exec.Command("/proc/self/exe", agentPart)
	w.agent.SysProcAttr, w.agent.Stderr = p.agent, os.Stderr
	if out, err = w.agent.StdoutPipe(); err != nil {
		return nil, err
	}
	if w.orders, err = w.agent.StdinPipe(); err != nil {
		return nil, err
	}
	return out, w.agent.Start()
}

func (w *world) serve(names []string, listen string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for _, name := range names {
		w.servers[name] = systems[name].server()
		mux.Handle("/"+name, w.servers[name])
	}
	w.http = httptest.NewUnstartedServer(mux)
	_ = w.http.Listener.Close()
	w.http.Listener = l
	w.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.http.StartTLS()
	return nil
}

func (w *world) end(name string) end { return end{w.servers[name], w.target} }

// stop ends the agent's process, and with it the links.
func (w *world) stop() {
	if w.orders != nil {
		_ = w.orders.Close()
	}
	if w.agent != nil && w.agent.Process != nil {
		_ = w.agent.Wait()
	}
	if w.http != nil {
		w.http.CloseClientConnections()
		w.http.Close()
	}
}
