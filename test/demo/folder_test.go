package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneDemoPerFolder: a second one leaves the log and the files of the first alone.
func TestOneDemoPerFolder(t *testing.T) {
	first := &demo{dir: t.TempDir(), more: edgeYAML}
	if err := first.prepare(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(first.lock.Close(), first.log.(io.Closer).Close()) }()
	if _, err := io.WriteString(first.log, "what it said\n"); err != nil {
		t.Fatal(err)
	}
	err := (&demo{dir: first.dir}).prepare()
	if err == nil || !strings.Contains(err.Error(), "DEMO_DIR") {
		t.Errorf("the second one says %v", err)
	}
	for name, want := range map[string]string{"demo.log": "what it said", "clusters.yaml": "edge"} {
		if text, err := os.ReadFile(filepath.Join(first.dir, name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}
