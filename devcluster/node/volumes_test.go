package node

import (
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestVolumesKeepTheirRights: what a pod made of its emptyDir lasts.
func TestVolumesKeepTheirRights(t *testing.T) {
	v := &volumes{dir: t.TempDir()}
	pod := testPod()
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	for _, want := range []os.FileMode{0o777, 0o700} {
		if err := v.sync(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(v.path("data"))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode %o, want %o", got, want)
		}
		if err := os.Chmod(v.path("data"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}
