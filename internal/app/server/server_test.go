package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coder/websocket"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec"
)

func TestPlainClient(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	term, _ := p.dial(execPath(p.clusterName(), ns, pod.Name)+"?tty=true&cols=100&rows=40", false)
	hello := term.frame("hello")
	if hello["sessionId"] == "" || hello["container"] != "main" || hello["transport"] != "ws" || hello["window"] != nil {
		t.Errorf("hello %v", hello)
	}
	term.send("stty size; echo my''self\n")
	term.expect("40 100")
	term.expect("myself")
	term.control(map[string]any{"type": "resize", "cols": 90, "rows": 30})
	// The cluster carries sizes beside the input, not before it.
	term.send("until stty size | grep '^30 90'; do sleep 0.05; done\n")
	term.expect("30 90")
	term.expect("30 90") // the first is the line as it was typed
	term.send("exit 7\n")
	closed, code := term.closed()
	if closed["reason"] != "completed" || closed["exitCode"] != 7.0 || code != 1000 {
		t.Errorf("closed %v with %d", closed, code)
	}
	eventually(t, "the end is in audit", func() bool { return len(p.events("pod.exec.session_end", "completed")) == 1 })
	if starts := p.events("pod.exec.session_start", "completed"); len(starts) != 1 {
		t.Errorf("%d starts", len(starts))
	}
}

// TestPlainBinary sends bytes through cat both ways, the largest message that is
// taken included.
func TestPlainBinary(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	sent := make([]byte, 3*podexec.MaxFrame+12345)
	rand.NewChaCha8([32]byte{1}).Read(sent)
	path := execPath(p.clusterName(), ns, pod.Name) + "?tty=false&command=" + argv("head", "-c", strconv.Itoa(len(sent)))
	term, _ := p.dial(path, false)
	term.frame("hello")
	written := make(chan error, 1)
	go func() {
		for rest := sent; len(rest) > 0; rest = rest[min(len(rest), podexec.MaxFrame):] {
			if err := term.write(websocket.MessageBinary, rest[:min(len(rest), podexec.MaxFrame)]); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	closed, _ := term.closed()
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(term.out, sent) {
		t.Errorf("%d bytes came back, %d were sent", len(term.out), len(sent))
	}
	if closed["reason"] != "completed" || closed["exitCode"] != 0.0 {
		t.Errorf("closed %v", closed)
	}
}

func TestAMessageOverTheLimit(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	term, _ := p.dial(execPath(p.clusterName(), ns, pod.Name), false)
	term.frame("hello")
	_ = term.write(websocket.MessageBinary, make([]byte, podexec.MaxFrame+1)) // the server may hang up in the middle
	closed, code := term.closed()
	if e := term.frame("error"); e == nil || e["code"] != "E_PROTOCOL" || closed["reason"] != "protocol_error" || code != 1008 {
		t.Errorf("frames %v, code %d", term.got, code)
	}
}

func TestPlainRefusals(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	name := p.clusterName()
	cases := map[string]struct {
		path   string
		status int
		code   string
	}{
		"unknown cluster":   {execPath("nope", ns, pod.Name), 404, "E_NOT_FOUND"},
		"unknown pod":       {execPath(name, ns, "nope"), 404, "E_NOT_FOUND"},
		"unknown container": {execPath(name, ns, pod.Name) + "?container=nope", 404, "E_NOT_FOUND"},
		"a pod's bad name":  {execPath(name, ns, "UPPER"), 400, "E_INVALID_REQUEST"},
		"a bad command":     {execPath(name, ns, pod.Name) + "?command=%21", 400, "E_INVALID_REQUEST"},
	}
	for what, c := range cases {
		_, resp := p.dial(c.path, false)
		var body struct{ Error, Message, RequestID string }
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if resp.StatusCode != c.status || body.Error != c.code || body.Message == "" || body.RequestID == "" {
			t.Errorf("%s: %d %+v", what, resp.StatusCode, body)
		}
	}
}

func TestV2WindowHoldsToTheByte(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	term := p.open(p.clusterName(), ns, pod.Name, map[string]any{"command": []string{"yes"}})
	term.auto = false
	for len(term.out) < podexec.Window {
		if _, err := term.next(); err != nil {
			t.Fatal(err)
		}
	}
	// A pong comes after everything that was sent before it.
	for id := range 3 {
		term.control(map[string]any{"type": "ping", "id": id})
		for len(term.got) == 0 || term.got[len(term.got)-1]["id"] != float64(id) {
			if _, err := term.next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(term.out) != podexec.Window {
		t.Errorf("%d bytes are unacknowledged, want exactly %d", len(term.out), podexec.Window)
	}
	term.control(map[string]any{"type": "ack", "offset": 5000})
	for len(term.out) < podexec.Window+5000 {
		if _, err := term.next(); err != nil {
			t.Fatal(err)
		}
	}
	term.control(map[string]any{"type": "close"})
	if closed, code := term.closed(); closed["reason"] != "client_close" || closed["exitCode"] != 0.0 || code != 1000 {
		t.Errorf("closed %v with %d", closed, code)
	}
}

// TestInterruptStopsAFlood has a flood of which the server holds all that it keeps,
// for a client that acknowledges nothing.
func TestInterruptStopsAFlood(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	term := p.open(p.clusterName(), ns, pod.Name, nil)
	term.auto = false
	term.send("yes flood\n")
	for len(term.out) < podexec.Window {
		if _, err := term.next(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the server keeps what it may", func() bool {
		list, _ := p.sessions()
		return list[0].BytesOut == 256<<10
	})
	term.send("\x03")
	gap := term.frame("gap")
	if gap == nil || gap["why"] != "interrupt" {
		t.Fatalf("no gap after ^C: %v", term.got)
	}
	term.control(map[string]any{"type": "ack", "offset": gap["to"]})
	offset := int(gap["to"].(float64))
	seen := len(term.out)
	term.send("echo still''here\n")
	for !strings.Contains(string(term.out[seen:]), "stillhere") {
		if _, err := term.next(); err != nil {
			t.Fatal(err)
		}
		term.control(map[string]any{"type": "ack", "offset": offset + len(term.out) - seen})
	}
}

// TestAbruptDrops cuts 50 connections while a command runs in the foreground of
// each shell, and expects nothing of them to be left anywhere once nobody has come
// back in time.
func TestAbruptDrops(t *testing.T) {
	const drops = 50
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c, "PERISCOPE_EXEC_MAX_SESSIONS_PER_USER=50", "PERISCOPE_EXEC_MAX_SESSIONS_TOTAL=50", "PERISCOPE_EXEC_RESUME_SECONDS=1")
	name := p.clusterName()
	before := runtime.NumGoroutine()
	var terms []*terminal
	var reading sync.WaitGroup
	for range drops {
		term := p.open(name, ns, pod.Name, nil)
		term.send("sleep 98761\n")
		reading.Go(term.listen) // whoever does not answers no ping while the others open
		terms = append(terms, term)
	}
	eventually(t, "all commands run", func() bool { return processes(t, c, ns, pod.Name, "sleep 98761") == drops })
	if _, resp := p.dial(execPath(name, ns, pod.Name), false); resp == nil || resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a 51st shell was not refused: %v", resp)
	}
	var wg sync.WaitGroup
	for _, term := range terms {
		wg.Go(term.cut)
	}
	wg.Wait()
	reading.Wait()
	eventually(t, "nothing is left in the pod", func() bool { return processes(t, c, ns, pod.Name, "sleep 98761") == 0 })
	eventually(t, "every end is in audit", func() bool { return len(p.events("pod.exec.session_end", "completed")) == drops })
	for _, e := range p.events("pod.exec.session_end", "completed") {
		extra := e["extra"].(map[string]any)
		if extra["close_reason"] != "client_lost" || extra["ended"] != "verified" {
			t.Errorf("end event %v", extra)
		}
	}
	if left := processes(t, c, ns, pod.Name, "bash") + processes(t, c, ns, pod.Name, "periscope"); left != 0 {
		t.Errorf("%d shells are left in the pod", left)
	}
	eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= before+5 })
	again := p.open(name, ns, pod.Name, nil) // the slots are free
	again.control(map[string]any{"type": "close"})
	again.closed()
}

// TestShutdown stops the server with 20 shells open.
func TestShutdown(t *testing.T) {
	const shells = 20
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c, "PERISCOPE_EXEC_MAX_SESSIONS_PER_USER=50")
	name := p.clusterName()
	var terms []*terminal
	for range shells {
		term := p.open(name, ns, pod.Name, nil)
		term.send("sleep 98762\n")
		terms = append(terms, term)
	}
	eventually(t, "all commands run", func() bool { return processes(t, c, ns, pod.Name, "sleep 98762") == shells })
	begun := time.Now()
	p.stop()
	for _, term := range terms {
		closed, code := term.closed()
		if closed["reason"] != "shutdown" || closed["retryAfterSeconds"] == nil || code != 1012 {
			t.Errorf("closed %v with %d", closed, code)
		}
	}
	p.end()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
	if left := processes(t, c, ns, pod.Name, "sleep 98762") + processes(t, c, ns, pod.Name, "bash"); left != 0 {
		t.Errorf("%d processes are left in the pod", left)
	}
}

// TestNobodyIsSentToAServerThatStops: /readyz says no where new shells are refused.
func TestNobodyIsSentToAServerThatStops(t *testing.T) {
	p := startWith(t, []string{"--kubeconfig", bareKubeconfig(t)})
	if code := p.call("GET", "/readyz", "", nil); code != http.StatusOK {
		t.Errorf("while it runs: %d", code)
	}
	p.end()
	if err := p.server.Ready(t.Context()); fault.KindOf(err) != fault.ShuttingDown {
		t.Errorf("while it stops: %v", err)
	}
}

func TestNoShellInTheImage(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns, kubetest.Image("distroless"), kubetest.Command())
	p := start(t, c)
	term, _ := p.dial(execPath(p.clusterName(), ns, pod.Name), true)
	term.control(map[string]any{"type": "open", "tty": true})
	closed, code := term.closed()
	if e := term.frame("error"); e == nil || e["code"] != "E_NO_SHELL" {
		t.Errorf("frames %v", term.got)
	}
	if closed["reason"] != "no_shell" || code != 1011 {
		t.Errorf("closed %v with %d", closed, code)
	}
}

func TestCommandThatDoesNotExist(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	term, _ := p.dial(execPath(p.clusterName(), ns, pod.Name), true)
	term.control(map[string]any{"type": "open", "tty": false, "command": []string{"no-such-program"}})
	term.closed()
	if e := term.frame("error"); e == nil || e["code"] != "E_NOT_FOUND" || !strings.Contains(e["message"].(string), "no-such-program") {
		t.Errorf("frames %v", term.got)
	}
}

// TestRawMode acts as a user who may nothing, and then as one with a role.
func TestRawMode(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := startWith(t, authFiles(t, c, ns))
	if code := p.call("GET", "/api/clusters/real/pods?namespace="+ns, "", nil); code != http.StatusForbidden {
		t.Errorf("pods of a stranger: %d", code)
	}
	if _, resp := p.dial(execPath("real", ns, pod.Name), false); resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a stranger's shell: %v", resp)
	}
	c.Bind(t, ns, "view", "periscope:"+ns)
	var list struct{ Pods []struct{ Name string } }
	if code := p.call("GET", "/api/clusters/real/pods?namespace="+ns, "", &list); code != http.StatusOK || len(list.Pods) != 1 || list.Pods[0].Name != pod.Name {
		t.Errorf("pods %v", list)
	}
	term, _ := p.dial(execPath("real", ns, pod.Name), true)
	term.control(map[string]any{"type": "open"})
	closed, code := term.closed()
	if e := term.frame("error"); e["code"] != "E_FORBIDDEN" || closed["reason"] != "forbidden" || code != 1008 {
		t.Errorf("a viewer's shell: %v, %d", term.got, code)
	}
	denied := 0
	for _, e := range p.events("pod.exec.session_start", "completed") {
		if e["outcome"] == "denied" {
			denied++
		}
	}
	if denied != 2 {
		t.Errorf("%d denials in audit, want 2:\n%s", denied, p.audit)
	}
}

func TestAPI(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns, kubetest.Containers("app", "side"))
	p := start(t, c)
	base := "/api/clusters/" + p.clusterName()
	var detail struct {
		Name, Status string
		Containers   []struct{ Name, State string }
	}
	if code := p.call("GET", base+"/pods/"+ns+"/"+pod.Name, "", &detail); code != 200 || detail.Status != "Running" || len(detail.Containers) != 2 {
		t.Errorf("pod: %d %+v", code, detail)
	}
	var events struct{ Events []map[string]any }
	if code := p.call("GET", base+"/pods/"+ns+"/"+pod.Name+"/events", "", &events); code != 200 || len(events.Events) == 0 {
		t.Errorf("events: %d %+v", code, events)
	}
	var can struct{ Results []struct{ Allowed bool } }
	if code := p.call("POST", base+"/can-i", `{"verb":"create","resource":"pods/exec","namespace":"`+ns+`"}`, &can); code != 200 || len(can.Results) != 1 || !can.Results[0].Allowed {
		t.Errorf("can-i: %d %+v", code, can)
	}
	var who struct{ AuthzMode, Mode string }
	if code := p.call("GET", "/api/whoami", "", &who); code != 200 || who.AuthzMode != "shared" || who.Mode != "dev" {
		t.Errorf("whoami: %d %+v", code, who)
	}
}

// TestATakenPort and one of another machine: the sentence names the listener's own setting.
func TestATakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().String()
	_, port, _ := net.SplitHostPort(at)
	dir := t.TempDir()
	plain, agents := []string{"--kubeconfig", bareKubeconfig(t)}, agentFiles(t, dir)
	enrols := []string{"PORT=0", "PERISCOPE_AGENT_CA_FILE=" + filepath.Join(dir, "ca.pem"), "PERISCOPE_AGENT_TUNNEL_SANS=agents.example"}
	for _, c := range []struct {
		args, environ []string
		set, want     string
	}{
		{plain, nil, "PORT=" + port, "is taken by another process. Stop that one, or set another PORT or PERISCOPE_BIND_ADDRESS."},
		{plain, []string{"PORT=0"}, "PERISCOPE_METRICS_ADDRESS=" + at, "is taken by another process. Stop that one, or set another PERISCOPE_METRICS_ADDRESS."},
		{plain, []string{"PORT=0"}, "PERISCOPE_METRICS_ADDRESS=192.0.2.1:9090", "cannot be listened on. Set another PERISCOPE_METRICS_ADDRESS."},
		{agents, enrols, "PERISCOPE_AGENT_LISTEN_ADDR=" + at, "is taken by another process. Stop that one, or set another PERISCOPE_AGENT_LISTEN_ADDR."},
		{agents, enrols, "PERISCOPE_AGENT_LISTEN_ADDR=192.0.2.1:8443", "cannot be listened on. Set another PERISCOPE_AGENT_LISTEN_ADDR."},
	} {
		cfg, _, err := config.Load(config.Sources{Args: c.args, Environ: append(slices.Clone(c.environ), c.set), ReadFile: os.ReadFile})
		if err != nil {
			t.Fatal(err)
		}
		_, err = server.New(cfg, server.Options{Log: slog.New(slog.DiscardHandler), Audit: io.Discard, Pages: fstest.MapFS{}})
		if got := fault.PublicOf(err); !strings.HasPrefix(got, "The address ") || !strings.HasSuffix(got, " "+c.want) {
			t.Errorf("%s: the sentence is %q (%v)", c.set, got, err)
		}
	}
}

// TestAClusterThatIsDown stops the control plane under a running server.
func TestAClusterThatIsDown(t *testing.T) {
	t.Parallel()
	c := kubetest.Start(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	name := p.clusterName()
	term := p.open(name, ns, pod.Name, nil)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	// The dev cluster kills its pods when it stops, and may still say so.
	if closed, _ := term.closed(); closed["reason"] != "server_error" && closed["exitCode"] != 137.0 {
		t.Errorf("closed %v", closed)
	}
	var body struct{ Error, Message string }
	if code := p.call("GET", "/api/clusters/"+name+"/pods", "", &body); code != http.StatusServiceUnavailable || body.Error != "E_CLUSTER_UNREACHABLE" {
		t.Errorf("pods of a cluster that is down: %d %+v", code, body)
	}
	term, _ = p.dial(execPath(name, ns, pod.Name), true)
	term.control(map[string]any{"type": "open"})
	term.closed()
	if e := term.frame("error"); e == nil || e["code"] != "E_CLUSTER_UNREACHABLE" || e["retryable"] != true {
		t.Errorf("frames %v", term.got)
	}
}
