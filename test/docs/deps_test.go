package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a PATH that holds these programs and what every machine has, without
// a way to install more.
func machine(t *testing.T, programs map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"grep", "head", "sed", "seq", "sort"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, says := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho "+says+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// deps runs build/deps.sh there.
func deps(t *testing.T, purpose string, programs map[string]string) (string, error) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	// Read here: go test would not know that bash does, and would repeat an old result.
	cmd := exec.Command(bash, "-c", read(t, "build/deps.sh"), "deps.sh", purpose)
	cmd.Env = []string{"PATH=" + machine(t, programs)}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestNeeded: a build and the demo need what README.md says, and are content with it.
func TestNeeded(t *testing.T) {
	for _, test := range []struct {
		name, purpose, goes, node, says string
		npm                             bool
	}{
		{"all of it", "build", "go1.26.0", "v20.19.0", "", true},
		{"newer ones", "build", "go1.27.1", "v24.1.0", "", true},
		{"the tests need more", "test", "go1.26.0", "v20.19.0", "this machine has no apt-get to install them: gcc libc6-dev chromium", true},
		{"an old Go", "build", "go1.25.9", "v20.19.0", "Go 1.26 or newer is needed; this machine has 1.25.9.", true},
		{"an old Node.js", "build", "go1.26.0", "v20.9.0", "Node.js 20.19, or 22.12 or newer, is needed; this machine has 20.9.0.", true},
		{"a Node.js between", "build", "go1.26.0", "v22.11.0", "Node.js 20.19, or 22.12 or newer, is needed; this machine has 22.11.0.", true},
		{"no npm", "build", "go1.26.0", "v20.19.0", "no apt-get to install them: nodejs npm.", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			programs := map[string]string{"go": test.goes, "git": "", "node": test.node}
			if test.npm {
				programs["npm"] = ""
			}
			out, err := deps(t, test.purpose, programs)
			if test.says == "" && (err != nil || len(out) > 0) || test.says != "" && err == nil {
				t.Errorf("%v: %s", err, out)
			}
			if !strings.Contains(out, test.says) || strings.Count(out, "\n") > 1 {
				t.Errorf("says\n%s", out)
			}
		})
	}
}

// TestFontsThatAreThere are found in a list longer than a pipe holds.
func TestFontsThatAreThere(t *testing.T) {
	list := "Noto Sans CJK JP,Noto Color Emoji; for i in $(seq 20000); do echo Another Font; done"
	out, err := deps(t, "test", map[string]string{"go": "go1.26.0", "git": "", "node": "v20.19.0", "npm": "", "fc-list": list})
	if err == nil || !strings.Contains(out, "gcc") || strings.Contains(out, "font") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestNothingTooOldIsInstalled: a distribution's Node.js is looked at before it is taken.
func TestNothingTooOldIsInstalled(t *testing.T) {
	for _, test := range []struct{ candidate, says string }{
		{"18.20.4+dfsg-1~deb12u3", "Installing nodejs npm with apt-get\nupdate -qq\nNode.js 20.19, or 22.12 or newer, is needed; this machine's apt-get has 18.20.4. Install a newer one from nodejs.org, then run this again.\n"},
		{"1:20.20.2-1nodesource1", "Installing nodejs npm with apt-get\nupdate -qq\nSetting up nodejs\n"},
		{"(none)", "Installing nodejs npm with apt-get\nupdate -qq\nSetting up nodejs\n"},
	} {
		out, err := deps(t, "build", map[string]string{
			"go": "go1.26.0", "git": "", "id": "0", "apt-cache": "nodejs:; echo '  Candidate: " + test.candidate + "'",
			"apt-get": `"$@"; [ "$1" = update ] || echo Setting up nodejs`,
		})
		if out != test.says || (err == nil) != strings.HasSuffix(out, "nodejs\n") {
			t.Errorf("%s: %v, %s", test.candidate, err, out)
		}
	}
}

// TestWhoInstalls: root, or sudo, and neither is asked anything.
func TestWhoInstalls(t *testing.T) {
	for _, test := range []struct {
		name, id, sudo, says string
	}{
		{"root", "0", "", "Installing git with apt-get\nnoninteractive update -qq\n"},
		{"sudo", "1000", `"$1 and $2 $3"`, "Installing git with apt-get\nDEBIAN_FRONTEND=noninteractive and apt-get update\n"},
		{"nobody", "1000", "", "These are needed, and installing them needs root or sudo: git. Run apt-get install git as root, then run this again.\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			programs := map[string]string{
				"go": "go1.26.0", "node": "v20.19.0", "npm": "", "id": test.id, "apt-get": `"$DEBIAN_FRONTEND $@"`,
			}
			if test.sudo != "" {
				programs["sudo"] = test.sudo
			}
			out, err := deps(t, "build", programs)
			if out != test.says || (err == nil) != strings.HasPrefix(out, "Installing") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
