package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestExitCodesAndSentences(t *testing.T) {
	cases := map[string]struct {
		args []string
		code int
		says string
	}{
		"version":            {[]string{"version"}, 0, "dev"},
		"help":               {[]string{"--help"}, 0, "Usage: periscope"},
		"help of serve":      {[]string{"serve", "--help"}, 0, "--kubeconfig"},
		"nothing":            {nil, exitUsage, "is no command"},
		"an unknown command": {[]string{"sreve"}, exitUsage, "is no command"},
		"an unknown flag":    {[]string{"serve", "--kubecfg", "x"}, exitUsage, "--help"},
		"no login":           {[]string{"serve"}, exitUsage, "log in"},
		"no kubeconfig":      {[]string{"serve", "--kubeconfig", "/does/not/exist"}, exitUsage, "does not exist"},
	}
	for name, c := range cases {
		var stdout, stderr bytes.Buffer
		code := run(c.args, &stdout, &stderr)
		said := stdout.String() + stderr.String()
		if code != c.code || !strings.Contains(strings.ReplaceAll(said, "  -", "  --"), c.says) {
			t.Errorf("%s: exit %d, said %q", name, code, said)
		}
	}
}
