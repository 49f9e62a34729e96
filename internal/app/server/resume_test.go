package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/periscope-console/periscope/internal/kubetest"
)

// attach comes back to a session with what has arrived.
func (p *product) attach(cluster, ns, pod string, hello map[string]any, offset int) *terminal {
	p.t.Helper()
	term, resp := p.dial(execPath(cluster, ns, pod), true)
	if resp != nil {
		p.t.Fatalf("dial: %d", resp.StatusCode)
	}
	term.auto = false // what it counts is not all there was
	term.control(map[string]any{"type": "attach", "sessionId": hello["sessionId"], "resumeToken": hello["resumeToken"], "takeOver": false, "offset": offset})
	again := term.frame("hello")
	if again == nil || again["resumed"] != true || again["offset"] != float64(offset) {
		p.t.Fatalf("not the same shell: %v", term.got)
	}
	return term
}

var said = regexp.MustCompile(`pid=([0-9]+)\.\r\n`)

// TestTheSameShellAfterEachCut counts in a real shell, cuts the connection again and
// again, and finds the same process, with every line once.
func TestTheSameShellAfterEachCut(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	for _, transport := range []string{"ws", "spdy"} {
		t.Run(transport, func(t *testing.T) {
			ns := c.Namespace(t)
			pod := c.Pod(t, ns).Name
			p := start(t, c, "PERISCOPE_EXEC_TRANSPORT="+transport)
			name := p.clusterName()
			term := p.open(name, ns, pod, nil)
			hello := term.frame("hello")
			const count = "stty -echo; echo pid=$$. ; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; [ $((i % 100)) -gt 0 ] || read x; done; stty echo; echo e''nd; cat\n"
			term.send(count)
			term.expect("line 1\r\n")
			var all []byte
			for i := range 20 {
				all = append(all, term.out...)
				term.cut()
				term = p.attach(name, ns, pod, hello, len(all))
				term.send("\n") // for the next hundred; a cut may not lose it
				term.stdinAck(len(count) + i)
			}
			all = append(all, term.out...)
			for !bytes.Contains(all, []byte("end\r\n")) {
				seen := len(term.out)
				if _, err := term.next(); err != nil {
					t.Fatal(err)
				}
				all = append(all, term.out[seen:]...)
				term.control(map[string]any{"type": "ack", "offset": len(all)})
			}
			at := said.FindSubmatchIndex(all) // what was typed has no digits there
			if at == nil {
				t.Fatalf("no pid came: %.500q", all)
			}
			var want strings.Builder
			for i := range 2000 {
				fmt.Fprintf(&want, "line %d\r\n", i+1)
			}
			pid := string(all[at[2]:at[3]])
			if lines, _, _ := strings.Cut(string(all[at[1]:]), "end\r\n"); lines != want.String() {
				t.Errorf("%d bytes of lines came, want %d", len(lines), want.Len())
			}
			term.send("\x04echo now=$$.\n")
			term.expect("now=" + pid + ".")
			term.control(map[string]any{"type": "close"})
			if closed, code := term.closed(); closed["reason"] != "client_close" || code != 1000 {
				t.Errorf("closed %v with %d", closed, code)
			}
			eventually(t, "the end is in audit", func() bool { return len(p.events("pod.exec.session_end", "completed")) == 1 })
			if e := p.events("pod.exec.session_end", "completed")[0]["extra"].(map[string]any); e["attaches"] != 20.0 || e["ended"] != "verified" {
				t.Errorf("end %v", e)
			}
			if n := len(p.events("pod.exec.session_attach", "completed")); n != 20 {
				t.Errorf("%d returns in audit, want 20", n)
			}
		})
	}
}

// TestThePageIsToldOfComingBack, and that there is none where it is switched off.
func TestThePageIsToldOfComingBack(t *testing.T) {
	c := kubetest.Shared(t)
	for seconds, want := range map[string]bool{"600": true, "0": false} {
		var features struct{ Exec struct{ Resume bool } }
		p := start(t, c, "PERISCOPE_EXEC_RESUME_SECONDS="+seconds)
		if p.call("GET", "/api/features", "", &features); features.Exec.Resume != want {
			t.Errorf("with %s seconds the page is told %t", seconds, features.Exec.Resume)
		}
	}
}

// TestThePageIsToldOfTheLargestFile, so that it begins nothing that is larger.
func TestThePageIsToldOfTheLargestFile(t *testing.T) {
	c := kubetest.Shared(t)
	for mebibytes, want := range map[string]int64{"3": 3 << 20, "0": 0} {
		features := struct{ Exec struct{ MaxFileBytes int64 } }{}
		features.Exec.MaxFileBytes = -1
		p := start(t, c, "PERISCOPE_EXEC_MAX_FILE_MIB="+mebibytes)
		if p.call("GET", "/api/features", "", &features); features.Exec.MaxFileBytes != want {
			t.Errorf("with %s MiB the page is told %d bytes", mebibytes, features.Exec.MaxFileBytes)
		}
	}
}

// TestFilesBothWays writes a file into a real container through cuts, and reads it
// back through others.
func TestFilesBothWays(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	data := make([]byte, 3<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	sum := sha256.Sum256(data)
	for _, transport := range []string{"ws", "spdy"} {
		t.Run(transport, func(t *testing.T) {
			ns := c.Namespace(t)
			pod := c.Pod(t, ns).Name
			p := start(t, c, "PERISCOPE_EXEC_TRANSPORT="+transport)
			name := p.clusterName()
			put := map[string]any{"tty": false, "file": map[string]any{"op": "put", "path": "/tmp", "name": "a file", "size": len(data)}}
			term := p.open(name, ns, pod, put)
			hello := term.frame("hello")
			window, acked, sent := int(hello["stdinWindow"].(float64)), 0, 0
			for cuts := 0; sent < len(data); {
				for sent < len(data) && sent-acked < window {
					n := min(32<<10, len(data)-sent, window-(sent-acked))
					if err := term.write(websocket.MessageBinary, data[sent:sent+n]); err != nil {
						t.Fatal(err)
					}
					sent += n
				}
				if cuts < 3 && sent > (cuts+1)<<19 {
					cuts++
					term.cut()
					term = p.attach(name, ns, pod, hello, 0)
					sent = int(term.frame("hello")["stdinOffset"].(float64))
					continue // the server may have got nothing, and would have nothing to acknowledge
				}
				acked = term.stdinAck(acked)
			}
			term.control(map[string]any{"type": "eof"})
			closed, _ := term.closed()
			if closed["exitCode"] != 0.0 || closed["file"].(map[string]any)["verified"] != true {
				t.Fatalf("closed %v", closed)
			}
			get := map[string]any{"tty": false, "file": map[string]any{"op": "get", "path": "/tmp/a file"}}
			term = p.open(name, ns, pod, get)
			if closed, _ := term.closed(); closed["exitCode"] != 0.0 || !bytes.Equal(term.out, data) {
				t.Errorf("%d of %d bytes came back: %v", len(term.out), len(data), closed)
			}
			eventually(t, "both ends are in audit", func() bool { return len(p.events("pod.exec.session_end", "completed")) == 2 })
			for _, e := range p.events("pod.exec.session_end", "completed") {
				if extra := e["extra"].(map[string]any); extra["file_sha256"] != hex.EncodeToString(sum[:]) || extra["file_bytes"] != float64(len(data)) {
					t.Errorf("audit %v", extra)
				}
			}
		})
	}
}

// stdinAck reads until stdin was acknowledged beyond an offset.
func (term *terminal) stdinAck(beyond int) int {
	term.t.Helper()
	for {
		if n := len(term.got); n > 0 && term.got[n-1]["type"] == "stdin_ack" {
			if at := int(term.got[n-1]["offset"].(float64)); at > beyond {
				return at
			}
		}
		if _, err := term.next(); err != nil {
			term.t.Fatalf("no stdin_ack beyond %d: %v; %v", beyond, err, term.got)
		}
	}
}
