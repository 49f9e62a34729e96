package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCheckoutOfAnotherUser: what builds asks git nothing, which tells nothing of a
// folder of another user, and a caller's flags are kept.
func TestCheckoutOfAnotherUser(t *testing.T) {
	for _, test := range []struct {
		name, script string
		argv, env    []string
	}{
		{"make", "Makefile", []string{"make", "-f", "Makefile", "-f", "built.mk", "built"}, nil},
		{"make with flags", "Makefile", []string{"make", "-f", "Makefile", "-f", "built.mk", "built"}, []string{"GOFLAGS=-tags=wanted"}},
		{"make with Go's own flags", "Makefile", []string{"make", "-f", "Makefile", "-f", "built.mk", "built"}, []string{"GOENV=go.env"}},
		{"make and flags", "Makefile", []string{"make", "-f", "Makefile", "-f", "built.mk", "built", "GOFLAGS=-tags=wanted"}, nil},
		{"the provider", "devidp/build.sh", []string{"./build.sh", "."}, nil},
		{"the webhook", "ekswebhook/build.sh", []string{"./build.sh", "."}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			script, err := os.ReadFile("../../" + test.script)
			if err != nil {
				t.Fatal(err)
			}
			dir, git := t.TempDir(), t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, ".git"), 0o755); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{
				filepath.Join(dir, filepath.Base(test.script)): string(script),
				filepath.Join(dir, "built.mk"):                 "built:\n\t@go build -o built .\n\t@go list -f '{{.GoFiles}}' .\n",
				filepath.Join(dir, "go.env"):                   "GOFLAGS=-tags=wanted\n",
				filepath.Join(dir, "go.mod"):                   "module example.com/program\n\ngo 1.26\n",
				filepath.Join(dir, "main.go"):                  "package main\n\nfunc main() {}\n",
				filepath.Join(dir, "wanted.go"):                "//go:build wanted\n\npackage main\n",
				filepath.Join(git, "git"):                      "#!/bin/sh\necho fatal: detected dubious ownership >&2\nexit 128\n",
			} {
				if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(test.argv[0], test.argv[1:]...)
			cmd.Dir = dir
			cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOFLAGS=") })
			cmd.Env = append(cmd.Env, "GOENV=off", "MAKEFLAGS=", "PATH="+git+":"+os.Getenv("PATH"))
			cmd.Env = append(cmd.Env, test.env...)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if flags := strings.HasPrefix(test.name, "make "); strings.Contains(string(out), "wanted.go") != flags {
				t.Errorf("built from %s", out)
			}
		})
	}
}
