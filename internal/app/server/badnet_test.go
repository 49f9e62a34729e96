package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/kubetest"
)

// mishap is what befalls one side's network in the middle of a phase.
type mishap struct {
	name   string
	faults badnet.Faults
	how    badnet.How
	cut    bool
}

var mishaps = []mishap{
	{name: "reset", cut: true, how: badnet.RST},
	{name: "hung up", cut: true, how: badnet.FIN},
	{name: "half-open", faults: badnet.Faults{Hold: true}}, // until the client has sent all it has to say
	{name: "delay", faults: badnet.Faults{Delay: 20 * time.Millisecond}},
	{name: "single bytes", faults: badnet.Faults{Slice: 1}},
	{name: "slow", faults: badnet.Faults{Rate: 128 << 10}},
}

// phase is a moment of a session's life. prepare leads to it; the fault strikes;
// send is what the client says then; a bearable fault ends in done, whose output
// is want (after the mark; nil where it is not looked at).
type phase struct {
	name     string
	program  string
	prepare  func(*subject)
	send     func(*subject)
	done     func(*subject) bool
	want     []byte
	cutFirst bool // a cut comes before send, not after it
}

const (
	mark     = "\x01"
	floodEnd = 12_000
)

func counted(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintln(&b, i+1)
	}
	return b.Bytes()
}

// badPhases: the shell's terminal is raw, so output is what the program wrote.
func badPhases() []phase {
	nothing := func(*subject) {}
	began := func(x *subject) bool { return x.hello() && x.marked() }
	flood := counted(floodEnd)
	paste := counted(floodEnd)[:60<<10] // under the window for stdin
	return []phase{
		{name: "handshake", program: "cat", prepare: nothing, send: (*subject).dialAndOpen, done: began, cutFirst: true},
		{name: "before open", program: "cat", prepare: (*subject).dial, send: (*subject).open, done: began, cutFirst: true},
		{name: "opening", program: "cat", prepare: func(x *subject) { x.dial(); x.open() }, send: nothing, done: began},
		{
			name: "prompt", program: "cat", prepare: (*subject).begin, want: []byte("k"),
			send: func(x *subject) { x.key("k") },
			done: func(x *subject) bool { return len(x.output()) >= 1 },
		},
		{
			name: "flood", program: fmt.Sprintf("seq %d; cat", floodEnd), want: flood, send: nothing,
			prepare: func(x *subject) { x.begin(); x.await(func() bool { return len(x.output()) > 1<<10 }) },
			done:    func(x *subject) bool { return len(x.output()) >= len(flood) },
		},
		{
			name: "paste", program: "cat", want: paste,
			prepare: func(x *subject) {
				x.begin()
				x.key(string(paste[:20<<10]))
				x.await(func() bool { return len(x.output()) > 0 })
			},
			send: func(x *subject) { x.key(string(paste[20<<10:])) },
			done: func(x *subject) bool { return len(x.output()) >= len(paste) },
		},
		{
			name: "resize", program: "while read -r x; do stty size; done",
			prepare: func(x *subject) { x.begin(); x.resize(100) },
			send:    func(x *subject) { x.resize(132) },
			done:    (*subject).sized,
		},
		{
			name: "ending", program: "cat", prepare: (*subject).begin,
			send: func(x *subject) { x.say(map[string]any{"type": "close"}) },
			done: (*subject).closedInOrder,
		},
	}
}

// subject is one session of a product whose networks are bad, seen by its client.
type subject struct {
	*product
	cluster, ns, pod string
	program          string
	front, back      *badnet.Proxy // towards the browser, towards the apiserver

	term *terminal
	gone bool // the connection has ended
}

func newSubject(t *testing.T, c *kubetest.Cluster, ns, pod, program string) *subject {
	x := &subject{ns: ns, pod: pod, program: program}
	to, err := url.Parse(c.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	x.back = badnet.Start(t, to.Host)
	x.product = start(t, &kubetest.Cluster{Kubeconfig: rerouted(t, c, to.Host, x.back.Addr())}, "PERISCOPE_EXEC_MAX_SESSIONS_PER_USER=1", "PERISCOPE_EXEC_RESUME_SECONDS=1")
	x.cluster = x.clusterName()
	x.front = badnet.Start(t, strings.TrimPrefix(x.url, "http://"))
	x.via = x.front.Addr()
	return x
}

// rerouted is the cluster's kubeconfig with another address in it.
func rerouted(t *testing.T, c *kubetest.Cluster, from, to string) string {
	t.Helper()
	b, err := os.ReadFile(c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(from)) {
		t.Fatalf("the kubeconfig does not lead to %s", from)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte(from), []byte(to)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dial leaves term nil where the network, or the server over it, refused.
func (x *subject) dial() {
	term, _, err := x.tryDial(execPath(x.cluster, x.ns, x.pod), true)
	if err != nil || term == nil {
		x.gone = true
		return
	}
	term.auto = false
	x.term = term
}

func (x *subject) open() {
	x.say(map[string]any{"type": "open", "tty": true, "cols": 80, "rows": 24})
	x.key("stty raw -echo; printf '\\001'; " + x.program + "\n")
}

func (x *subject) dialAndOpen() { x.dial(); x.open() }

// begin is all of a session up to its program's first output.
func (x *subject) begin() {
	x.dialAndOpen()
	if !x.await(func() bool { return x.hello() && x.marked() }) {
		x.t.Fatalf("no shell: %v", x.term)
	}
}

// say and key do not tell whether they got through: await does.
func (x *subject) say(frame map[string]any) {
	b, err := json.Marshal(frame)
	if err != nil {
		x.t.Error(err)
	}
	x.put(websocket.MessageText, b)
}

func (x *subject) key(p string) { x.put(websocket.MessageBinary, []byte(p)) }

func (x *subject) put(kind websocket.MessageType, b []byte) {
	if !x.gone {
		_ = x.term.write(kind, b)
	}
}

func (x *subject) resize(cols int) {
	for i := range 50 {
		x.say(map[string]any{"type": "resize", "cols": cols - 49 + i, "rows": 43})
	}
}

// sized asks until the program has seen the newest size; a size may be on its
// way still when the question is there. False at the connection's end.
func (x *subject) sized() bool {
	for {
		seen := bytes.Count(x.output(), []byte("\n"))
		x.key("\n")
		if !x.await(func() bool { return bytes.Count(x.output(), []byte("\n")) > seen }) {
			return false
		}
		if bytes.HasSuffix(x.output(), []byte("43 132\n")) {
			return true
		}
	}
}

// await reads and acknowledges until ok; false at the connection's end.
func (x *subject) await(ok func() bool) bool {
	for !ok() {
		if x.gone {
			return false
		}
		before := len(x.term.out)
		if _, err := x.term.next(); err != nil {
			x.gone = true
			return ok()
		}
		if len(x.term.out) > before {
			x.say(map[string]any{"type": "ack", "offset": len(x.term.out)})
		}
	}
	return true
}

func (x *subject) got(kind string) map[string]any {
	if x.term == nil {
		return nil
	}
	for _, f := range x.term.got {
		if f["type"] == kind {
			return f
		}
	}
	return nil
}

func (x *subject) hello() bool         { return x.got("hello") != nil }
func (x *subject) closedInOrder() bool { return x.got("closed") != nil }
func (x *subject) marked() bool        { return bytes.Contains(x.term.out, []byte(mark)) }

// output is what the program printed. What the shell echoed of its start holds no
// mark, since it was typed as an escape.
func (x *subject) output() []byte {
	_, after, _ := bytes.Cut(x.term.out, []byte(mark))
	return after
}

// suffer is one cell of the table.
func (x *subject) suffer(ph phase, f mishap, side *badnet.Proxy) {
	ph.prepare(x)
	if f.cut {
		x.cut(ph, f, side)
	} else {
		x.bear(ph, f, side)
	}
	if x.term != nil && x.marked() && ph.want != nil {
		if got := x.output(); !bytes.HasPrefix(ph.want, got) && !bytes.Equal(ph.want, got) {
			x.t.Errorf("%d bytes came, not as they were printed", len(got))
		}
	}
}

// cut has the session end; what its client sees of that depends on the side.
func (x *subject) cut(ph phase, f mishap, side *badnet.Proxy) {
	if !ph.cutFirst {
		ph.send(x)
	}
	if n := side.Cut(f.how); n == 0 && x.hello() && ph.name != "ending" {
		x.t.Error("there was nothing to cut")
	}
	if ph.cutFirst {
		ph.send(x)
	}
	if x.await(func() bool { return ph.done(x) }) && !x.closedInOrder() {
		x.leave() // the cut came before or after what it was to hit
	}
	x.await(func() bool { return false })
	if x.hello() && side == x.back && !x.closedInOrder() {
		x.t.Errorf("the cluster was lost, and the client was not told: %v", x.term.got)
	}
}

// bear has the session outlive the fault.
func (x *subject) bear(ph phase, f mishap, side *badnet.Proxy) {
	side.SetAll(f.faults)
	if f.faults.Hold {
		x.hold(ph, side)
	} else {
		ph.send(x)
	}
	if !x.await(func() bool { return ph.done(x) }) {
		x.t.Fatalf("the session did not outlive it: frames %v", x.frames())
	}
	if !x.closedInOrder() {
		x.leave()
	}
	if !x.await(x.closedInOrder) || x.got("closed")["reason"] != "client_close" {
		x.t.Errorf("ended by %v", x.frames())
	}
	x.await(func() bool { return false })
}

// hold lifts the hold when the client has said all, or waits for an answer to
// its handshake.
func (x *subject) hold(ph phase, side *badnet.Proxy) {
	before, said := side.Accepted(), make(chan struct{})
	go func() { defer close(said); ph.send(x) }()
	if ph.name == "handshake" {
		eventually(x.t, "the handshake is held", func() bool { return x.front.Accepted() > 0 && side.Accepted() >= before })
	} else {
		<-said
	}
	side.SetAll(badnet.Faults{})
	<-said
}

func (x *subject) leave() { x.say(map[string]any{"type": "close"}) }

func (x *subject) frames() []map[string]any {
	if x.term == nil {
		return nil
	}
	return x.term.got
}

// recovered asserts that nothing is left of the session, and that the next one
// gets the one slot there is.
func (x *subject) recovered() {
	x.front.SetAll(badnet.Faults{})
	x.back.SetAll(badnet.Faults{})
	eventually(x.t, "every start has its end", func() bool {
		list, _ := x.sessions()
		return len(list) == 0 && len(x.started()) == len(x.events("pod.exec.session_end", "completed"))
	})
	starts := len(x.started())
	if starts > 1 || x.hello() && starts == 0 {
		x.t.Errorf("%d starts in audit", starts)
	}
	next, resp := x.product.dial(execPath(x.cluster, x.ns, x.pod)+"?tty=false&command="+argv("echo", "alive"), false)
	if resp != nil {
		x.t.Fatalf("the next shell is refused: %d", resp.StatusCode)
	}
	next.expect("alive")
	next.closed()
	if x.term != nil {
		_ = x.term.ws.CloseNow()
	}
	eventually(x.t, "no connection is left at the browser's side", func() bool { return x.front.Conns() == 0 })
}

// started are the records of sessions that began.
func (x *product) started() (ok []map[string]any) {
	for _, e := range x.events("pod.exec.session_start", "completed") {
		if e["outcome"] == "success" {
			ok = append(ok, e)
		}
	}
	return ok
}

// TestBadNetworks has every fault strike in every phase of a session's life, on
// the browser's side and on the apiserver's.
func TestBadNetworks(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	before := commands(t, c, ns, pod.Name)
	t.Run("table", func(t *testing.T) {
		for _, ph := range badPhases() {
			for _, f := range mishaps {
				for _, side := range []string{"browser", "apiserver"} {
					t.Run(strings.Join([]string{ph.name, f.name, side}, "/"), func(t *testing.T) {
						t.Parallel()
						x := newSubject(t, c, ns, pod.Name, ph.program)
						proxy := x.front
						if side == "apiserver" {
							proxy = x.back
						}
						x.suffer(ph, f, proxy)
						x.recovered()
					})
				}
			}
		}
	})
	eventually(t, "no process is left in the pod", func() bool { return commands(t, c, ns, pod.Name) == before })
}

// commands lists what runs in the pod, but for the list's own.
func commands(t *testing.T, c *kubetest.Cluster, ns, pod string) string {
	t.Helper()
	const list = `for d in /proc/[0-9]*; do [ "${d#/proc/}" = $$ ] || { tr '\0' ' ' <$d/cmdline; echo; }; done 2>/dev/null`
	var rest []string
	for line := range strings.Lines(inside(t, c, ns, pod, "sh", "-c", list)) {
		if !strings.Contains(line, "cmdline") && strings.TrimSpace(line) != "" {
			rest = append(rest, line)
		}
	}
	return strings.Join(rest, "")
}
