package eks

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// TestShells opens one by each protocol in a pod of a real cluster that knows the
// server by its token alone. The cluster's audit log has the user twice: as whom
// the server acted, and in the name of the role session in which it did.
func TestShells(t *testing.T) {
	r := newRig(t).byRole()
	log := filepath.Join(t.TempDir(), "audit.log")
	c := realCluster(t, r, "--audit-log", log)
	ns := c.Namespace(t)
	allow(t, c, ns, "alice@example.com")
	pod := c.Pod(t, ns)
	way := base(t, r.open(t))
	for _, kind := range []transport.Kind{transport.WebSocket, transport.SPDY} {
		audit := "shell-" + string(kind)
		cfg, err := way.Config(identity.Impersonation{User: "alice@example.com", Subject: "auth0|4711"}, audit)
		if err != nil {
			t.Fatal(err)
		}
		s, err := transport.New(kind).Dial(t.Context(), cfg, transport.Request{
			Namespace: ns, Pod: pod.Name, Container: "main", Command: []string{"sh", "-c", "echo hello"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if out := output(t, s); out != "hello\n" {
			t.Errorf("%s: %q", kind, out)
		}
		_ = s.Close()
		e := audited(t, log, audit)
		if e.ImpersonatedUser.Username != "alice@example.com" || e.User.Username != "periscope-role" || e.User.Extra["sessionName"][0] != sessionName("auth0|4711") {
			t.Errorf("%s: the cluster's audit log has %+v", kind, e)
		}
	}
}

func allow(t *testing.T, c *kubetest.Cluster, ns, user string) {
	t.Helper()
	if _, err := c.Client.RbacV1().RoleBindings(ns).Create(t.Context(), &rbac.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "shells"},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbac.Subject{{Kind: "User", APIGroup: rbac.GroupName, Name: user}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func output(t *testing.T, s transport.Stream) string {
	t.Helper()
	var out strings.Builder
	for p := make([]byte, 1024); ; {
		n, _, err := s.Read(p)
		out.Write(p[:n])
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// event is what is looked at of a line of the apiserver's audit log.
type event struct {
	AuditID string
	User    struct {
		Username string
		Extra    map[string][]string
	}
	ImpersonatedUser struct{ Username string }
}

// audited finds an event by its id. The log is written before the answer.
func audited(t *testing.T, log, id string) event {
	t.Helper()
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err == nil && e.AuditID == id {
			return e
		}
	}
	t.Fatalf("the cluster's audit log has no %s: %v", id, lines.Err())
	return event{}
}
