package kubefile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// What a file must hold is proved by clusters/kubeconfig, which adds the cluster's
// name to each sentence.
func TestUnreadable(t *testing.T) {
	err := unreadable("/k", os.ErrPermission)
	if !strings.Contains(err.Error(), "may not be read by this user; change its permissions") {
		t.Error(err)
	}
}

// TestOnlyTheFileIsAsked: client-go takes an empty file in a pod for the pod's own
// cluster.
func TestOnlyTheFileIsAsked(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg, err := Load(path, ""); err == nil || !strings.Contains(err.Error(), "has no current context") {
		t.Errorf("%+v, %v", cfg, err)
	}
}
