package rbac

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/identity"
)

// TestDebugContainersAreGivenByAFile of their own: without it admin alone adds one,
// with it every tier that opens shells does, and read still does not.
func TestDebugContainersAreGivenByAFile(t *testing.T) {
	eachForm(t, func(t *testing.T, w *world) {
		set := w.set(t)
		scenes := w.scenes(t, set)
		t.Cleanup(func() { w.takeAway(t, scenes) })
		if got := whoDebugs(t.Context(), scenes); !slices.Equal(got, []string{"admin"}) {
			t.Errorf("without the file: %v", got)
		}
		apply(t, w.cluster, "debug-containers.yaml")
		want := slices.DeleteFunc(identity.Tiers(), func(tier string) bool { return tier == "read" })
		var got []string
		eventually(t, "the tiers that open shells add debug containers", func(ctx context.Context) bool {
			got = whoDebugs(ctx, scenes)
			return slices.Equal(got, want)
		})
	})
}

// whoDebugs are the tiers that may add a debug container, as Periscope adds it.
func whoDebugs(ctx context.Context, scenes []scene) (tiers []string) {
	patch := `{"spec":{"ephemeralContainers":[{"name":"debug","image":"busybox","targetContainerName":"main"}]}}`
	for _, s := range scenes {
		_, err := s.as.CoreV1().Pods(s.ns).Patch(ctx, s.pod, types.StrategicMergePatchType, []byte(patch), dryPatch, "ephemeralcontainers")
		if err == nil {
			tiers = append(tiers, s.tier)
		}
	}
	return tiers
}

// takeAway deletes what the file made and waits until it counts no more: the other
// tests are about the tiers without it.
func (w *world) takeAway(t *testing.T, scenes []scene) {
	kubectl, err := childtest.Program("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	out, err := exec.CommandContext(ctx, kubectl, "--kubeconfig", w.cluster.Kubeconfig, "delete", "-f", filepath.Join(manifests, "debug-containers.yaml")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for !slices.Equal(whoDebugs(ctx, scenes), []string{"admin"}) {
		if ctx.Err() != nil {
			t.Fatal("the rights are still there")
		}
	}
}
