package endings

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// place is the pod that the shells are in.
type place struct {
	cluster         *kubetest.Cluster
	namespace, name string
}

// counts are the processes in a pod.
type counts struct {
	commands int // that a shell was told to run
	all      int // but the one that counts
}

// look counts with the shell's own words alone, so that it counts nothing that
// it started itself. read leaves out the zeros between the words.
const look = `n=0 all=0
for f in /proc/[0-9]*/cmdline; do
	[ "$f" != /proc/$$/cmdline ] || continue
	s=; { read -r s <$f; } 2>/dev/null
	[ -n "$s" ] || continue
	all=$((all+1)); [ "$s" != sleep4321 ] || n=$((n+1))
done
echo $n $all`

func (p place) count(t *testing.T) (now counts) {
	t.Helper()
	out := p.run(t, "sh", "-c", look)
	if _, err := fmt.Sscan(out, &now.commands, &now.all); err != nil {
		t.Fatalf("counting processes: %q: %v", out, err)
	}
	return now
}

// settled counts what a pod has of its own. Right after its start a node may still
// be at work in it, so two looks must agree.
func (p place) settled(t *testing.T) (now counts) {
	t.Helper()
	now = p.count(t)
	if !poll(func() bool { last := now; now = p.count(t); return now == last }) {
		t.Fatal("the pod's own processes come and go")
	}
	return now
}

func (p place) await(t *testing.T, what string, ok func(counts) bool) {
	t.Helper()
	var now counts
	if !poll(func() bool { now = p.count(t); return ok(now) }) {
		t.Fatalf("not in time: %s; %+v:\n%s", what, now, p.run(t, "ps", "-o", "pid,ppid,args"))
	}
}

// run runs a command in the pod, past Periscope.
func (p place) run(t *testing.T, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := transport.New(transport.WebSocket).Dial(ctx, p.cluster.Config, transport.Request{
		Namespace: p.namespace, Pod: p.name, Command: command,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out strings.Builder
	buf := make([]byte, 4096)
	for {
		n, _, err := s.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			return out.String()
		}
	}
}
