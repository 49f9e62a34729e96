package server_test

import (
	"testing"

	"github.com/periscope-console/periscope/internal/kubetest"
)

// mortal starts a pod whose container ends when die is called.
func mortal(t *testing.T, c *kubetest.Cluster, ns string) (pod string, die string) {
	t.Helper()
	stop := "/tmp/stop-" + ns
	script := "while [ ! -e " + stop + " ]; do sleep 0.05; done; rm " + stop + "; exit 3"
	return c.Pod(t, ns, kubetest.Command("sh", "-c", script)).Name, "touch " + stop + "\n"
}

// TestContainerRestartedUnderTheShell ends the main process beside a shell.
func TestContainerRestartedUnderTheShell(t *testing.T) {
	c := kubetest.Shared(t)
	for _, kind := range []string{"ws", "spdy"} {
		t.Run(kind, func(t *testing.T) {
			ns := c.Namespace(t)
			pod, die := mortal(t, c, ns)
			p := start(t, c, "PERISCOPE_EXEC_TRANSPORT="+kind)
			term := p.open(p.clusterName(), ns, pod, nil)
			term.send(die)
			closed, code := term.closed()
			if closed["reason"] != "container_exit" || code != 1000 || closed["message"] != "The container ended, and the shell with it." {
				t.Errorf("closed %v with %d", closed, code)
			}
			if extra := p.ending(); extra["close_reason"] != "container_exit" || extra["ended"] != "verified" {
				t.Errorf("end event %v", extra)
			}
		})
	}
}
