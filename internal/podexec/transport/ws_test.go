package transport

import (
	"context"
	"encoding/pem"
	"io"
	"testing"

	"github.com/periscope-console/periscope/internal/leak"
	"github.com/periscope-console/periscope/internal/podexec/transport/wsframe"
	"k8s.io/client-go/rest"
)

func TestMain(m *testing.M) { leak.Main(m) }

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

var shell = Request{Namespace: "ns", Pod: "pod", Container: "c", Command: []string{"sh"}, Stdin: true, TTY: true, Size: Size{Cols: 80, Rows: 24}}

func open(t *testing.T, cfg *rest.Config, req Request) Stream {
	t.Helper()
	s, err := New(WebSocket).Dial(context.Background(), cfg, req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func readAll(t *testing.T, s Stream) (out, errs string) {
	t.Helper()
	p := make([]byte, 8<<10)
	for {
		n, ch, err := s.Read(p)
		if ch == Stderr {
			errs += string(p[:n])
		} else {
			out += string(p[:n])
		}
		if err == io.EOF {
			return out, errs
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestEcho(t *testing.T) {
	cfg := scripted(t, func(p *peer) {
		op, size := p.hear()
		if op != wsframe.Binary || string(size) != "\x04"+`{"Width":80,"Height":24}` {
			t.Errorf("first message %d %q is not the size", op, size)
		}
		_, in := p.hear()
		p.say(1, string(in[1:]))
		p.status(`{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}`)
		p.bye(1000)
		for {
			if op, _ := p.hear(); op == 0 {
				return
			}
		}
	})
	s := open(t, cfg, shell)
	if _, err := io.WriteString(s, "hello"); err != nil {
		t.Fatal(err)
	}
	if out, _ := readAll(t, s); out != "hello" {
		t.Errorf("out %q", out)
	}
	r := s.Result()
	if r.Err != nil || r.ExitCode == nil || *r.ExitCode != 7 {
		t.Errorf("result %+v", r)
	}
}
