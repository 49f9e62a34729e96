package config

import (
	"slices"
	"strings"
	"testing"
)

func TestDebugImages(t *testing.T) {
	digest := "registry.example.com:5000/tools/net-shoot@sha256:" + strings.Repeat("0a", 32)
	for v, want := range map[string][]string{
		"":                              nil,
		"busybox:1.37, " + digest + ",": {"busybox:1.37", digest},
		"localhost/a.b/c__d--e:" + strings.Repeat("x", 128):     {"localhost/a.b/c__d--e:" + strings.Repeat("x", 128)},
		"[::1]:5000/tools:v1@sha256:" + strings.Repeat("0", 64): {"[::1]:5000/tools:v1@sha256:" + strings.Repeat("0", 64)},
	} {
		cfg, _ := load(t, sources(goodAuth, goodClusters, "PERISCOPE_DEBUG_IMAGES="+v))
		if !slices.Equal(cfg.Exec.DebugImages, want) {
			t.Errorf("%s: %q", v, cfg.Exec.DebugImages)
		}
	}
}
