package server_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/periscope-console/periscope/internal/kubetest"
)

// sent is one message of a client.
type sent struct {
	name string
	kind websocket.MessageType
	data string
}

func text(s string) sent { return sent{s, websocket.MessageText, s} }

// everyFrame is a frame of every kind, right and wrong.
func everyFrame() []sent {
	return []sent{
		text(`{"type":"open","tty":false,"command":["cat"]}`), text(`{"type":"attach"}`), text(`{"type":"ack","offset":0}`),
		text(`{"type":"ack","offset":-1}`), text(`{"type":"ack","offset":9223372036854775807}`), text(`{"type":"ack"}`),
		text(`{"type":"resize","cols":80,"rows":24}`), text(`{"type":"resize","cols":-1,"rows":99999}`), text(`{"type":"resize"}`),
		text(`{"type":"ping","id":7}`), text(`{"type":"ping","id":{}}`), text(`{"type":"stay"}`), text(`{"type":"detach"}`),
		text(`{"type":"hello"}`), text(`[]`), text(``), text(`null`), text(`{"type":"ping","id":1}{"type":"ping","id":2}`),
		{"long text", websocket.MessageText, `{"type":"close","x":"` + strings.Repeat("x", 64<<10) + `"}`},
		{"deep text", websocket.MessageText, strings.Repeat("[", 60<<10)},
		{"over the limit", websocket.MessageBinary, strings.Repeat("x", 1<<20+1)},
		{"over the window", websocket.MessageBinary, strings.Repeat("x", 64<<10+1)},
		{"nothing typed", websocket.MessageBinary, ""},
		{"typed", websocket.MessageBinary, "typed\n"},
		text(`{"type":"eof"}`), text(`{"type":"close"}`),
	}
}

// TestEveryFrameInEveryPhase: it is borne or refused in words, and the session
// ends in order.
func TestEveryFrameInEveryPhase(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c, "PERISCOPE_EXEC_MAX_SESSIONS_PER_USER=50", "PERISCOPE_EXEC_RESUME_SECONDS=1")
	path := execPath(p.clusterName(), ns, pod.Name)
	open, leave := text(`{"type":"open","tty":false,"command":["cat"]}`), text(`{"type":"close"}`)
	phases := map[string]func(*subject){
		"first":   func(*subject) {},
		"opening": func(x *subject) { x.put(open.kind, []byte(open.data)) },
		"open": func(x *subject) {
			x.put(open.kind, []byte(open.data))
			x.await(x.hello)
		},
		"ending": func(x *subject) {
			x.put(open.kind, []byte(open.data))
			x.await(x.hello)
			x.put(leave.kind, []byte(leave.data))
		},
	}
	ends := []any{"client_close", "protocol_error", "refused", "completed"}
	t.Run("table", func(t *testing.T) {
		for phase, reach := range phases {
			for _, f := range everyFrame() {
				t.Run(phase+"/"+f.name[:min(len(f.name), 40)], func(t *testing.T) {
					t.Parallel()
					term, resp, err := p.tryDial(path, true)
					if err != nil || resp != nil {
						t.Fatal(resp, err)
					}
					term.auto = false
					x := &subject{product: p, term: term}
					reach(x)
					x.put(f.kind, []byte(f.data))
					x.put(leave.kind, []byte(leave.data))
					x.await(func() bool { return false })
					if phase != "first" && strings.Contains(f.data, `"detach"`) && x.got("closed") == nil {
						return // the session goes on, for a second
					}
					if closed := x.got("closed"); closed == nil || !slices.Contains(ends, closed["reason"]) {
						t.Errorf("frames %v", x.frames())
					}
				})
			}
		}
	})
	eventually(t, "every start has its end", func() bool {
		list, _ := p.sessions()
		return len(list) == 0 && len(p.started()) == len(p.events("pod.exec.session_end", "completed"))
	})
}

// TestFloodsOfFrames sends ten thousand of a kind as fast as the server takes
// them, while somebody else works.
func TestFloodsOfFrames(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	name := p.clusterName()
	other := p.open(name, ns, pod.Name, map[string]any{"tty": false, "command": []string{"cat"}})
	for _, f := range []sent{
		text(`{"type":"ping","id":7}`), text(`{"type":"ack","offset":0}`), text(`{"type":"stay"}`),
		text(`{"type":"resize","cols":80,"rows":24}`), text(`{"type":"resize","cols":0,"rows":0}`),
		{"nothing typed", websocket.MessageBinary, ""}, {"ping of the protocol", 0, ""},
	} {
		t.Run(f.name, func(t *testing.T) {
			term := p.open(name, ns, pod.Name, map[string]any{"command": []string{"cat"}})
			term.auto = false
			x := &subject{product: p, term: term}
			flooded := make(chan error, 1)
			before := heap()
			go func() { flooded <- flood(term, f, 10_000) }()
			answered := make(chan struct{})
			go func() { defer close(answered); x.await(x.closedInOrder) }()
			for works := 0; ; works++ {
				text := fmt.Sprintf("echo %s %d;\n", f.name, works)
				other.send(text)
				other.expect(text)
				select {
				case err := <-flooded:
					if err != nil {
						t.Errorf("the flood was not borne: %v", err)
					}
				default:
					continue
				}
				break
			}
			if grown := heap() - before; grown > 32<<20 {
				t.Errorf("%d MiB more are in use", grown>>20)
			}
			if err := term.write(websocket.MessageText, []byte(`{"type":"close"}`)); err != nil {
				t.Error(err)
			}
			<-answered
			if closed := x.got("closed"); closed == nil || closed["reason"] != "client_close" {
				t.Errorf("closed %v", closed)
			}
		})
	}
}

func flood(term *terminal, f sent, n int) error {
	for range n {
		if f.kind != 0 {
			if err := term.write(f.kind, []byte(f.data)); err != nil {
				return err
			}
			continue
		}
		if err := rawPing(term); err != nil {
			return err
		}
	}
	return nil
}

// rawPing writes a ping without waiting for its pong, masked with zeros. Nobody
// else writes meanwhile.
func rawPing(term *terminal) error {
	_, err := term.raw.Write([]byte{0x89, 0x80, 0, 0, 0, 0})
	return err
}

// heap is what is in use once the garbage is gone.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// TestAReaderThatStops reads nothing while output floods, and never will: neither
// the server's memory nor anybody else notices.
func TestAReaderThatStops(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	name := p.clusterName()
	other := p.open(name, ns, pod.Name, map[string]any{"tty": false, "command": []string{"cat"}})
	plain, resp := p.dial(execPath(name, ns, pod.Name)+"?tty=false&command="+argv("yes"), false)
	if resp != nil {
		t.Fatal(resp.StatusCode)
	}
	plain.frame("hello")
	acks := p.open(name, ns, pod.Name, map[string]any{"tty": false, "command": []string{"yes"}})
	before := heap()
	bytesOut := func() (sum int64) {
		list, _ := p.sessions()
		for _, s := range list {
			sum += s.BytesOut
		}
		return sum
	}
	last := int64(-1)
	eventually(t, "both programs are held back", func() bool {
		now := bytesOut()
		still := now == last
		last = now
		return still && now > 0
	})
	for i := range 200 {
		text := fmt.Sprintf("still here %d;\n", i)
		other.send(text)
		other.expect(text)
	}
	if grown := heap() - before; grown > 16<<20 {
		t.Errorf("%d MiB more are in use", grown>>20)
	}
	// They come back, and what was held comes on.
	for _, term := range []*terminal{plain, acks} {
		for len(term.out) < 8<<20 {
			if _, err := term.next(); err != nil {
				t.Fatalf("after %d bytes: %v", len(term.out), err)
			}
		}
		if want := bytes.Repeat([]byte("y\n"), len(term.out)/2+1)[:len(term.out)]; !bytes.Equal(term.out, want) {
			t.Error("not what was printed")
		}
		term.control(map[string]any{"type": "close"})
		term.closed()
	}
}
