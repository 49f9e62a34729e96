package kubeconfig

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/clusters/clusterstest"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/kubetest"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

func TestSuite(t *testing.T) {
	data, err := os.ReadFile(kubetest.Shared(t).Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config")
	write(t, path, string(data))
	clusterstest.Run(t, clusterstest.Subject{
		Open: func(t *testing.T) clusters.Backend {
			b, err := Open(config.Cluster{Name: "subject", KubeconfigPath: path})
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
		Break: func(t *testing.T) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		Mend:   func(t *testing.T) { write(t, path, string(data)) },
		Hidden: []string{path},
	})
}
