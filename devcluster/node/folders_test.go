package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// TestFoldersOfDeletedPods go, also where a program has taken its own right to write
// away; root has it all the same.
func TestFoldersOfDeletedPods(t *testing.T) {
	n := &Node{o: Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}}
	pods := filepath.Join(n.o.Dir, "pods")
	for _, uid := range []string{"alive", "deleted"} {
		inner := filepath.Join(pods, uid, "volumes", "cache", "inner")
		if err := os.MkdirAll(inner, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{inner, filepath.Dir(inner)} {
			if err := os.Chmod(dir, 0o555); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() { n.dropFolders(cache.NewStore(cache.MetaNamespaceKeyFunc)) })
	store := cache.NewStore(cache.MetaNamespaceKeyFunc)
	if err := store.Add(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "alive"}}); err != nil {
		t.Fatal(err)
	}
	n.dropFolders(store)
	left, err := os.ReadDir(pods)
	if err != nil || len(left) != 1 || left[0].Name() != "alive" {
		t.Errorf("left: %v, %v", left, err)
	}
}
