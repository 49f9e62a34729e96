package shim

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"run", "var", "real/deep"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"var/run": "/run", "up": "../../../etc", "loop": "loop", "rel": "real/deep"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"/var/run/secrets": "/run/secrets", "/up/passwd": "/etc/passwd", "../../x": "/x", "/rel/a/b": "/real/deep/a/b", "/": "/", "/new/dir": "/new/dir",
	} {
		got, err := resolve(root, path)
		if err != nil || got != root+want {
			t.Errorf("%s: %s, %v, want %s", path, got, err, root+want)
		}
	}
	if _, err := resolve(root, "/loop/x"); err == nil {
		t.Error("a loop of links resolves")
	}
}

func TestLookPath(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tool"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=/nonexistent:" + dir}
	for _, test := range []struct{ name, path, says string }{
		{"tool", dir + "/tool", ""},
		{dir + "/tool", dir + "/tool", ""},
		{"./tool", dir + "/./tool", ""},
		{"none", "", `exec: "none": executable file not found in $PATH`},
		{"data", "", `exec: "data": executable file not found in $PATH`},
		{dir + "/data", "", `exec: "` + dir + `/data": permission denied`},
		{dir, "", `exec: "` + dir + `": is a directory`},
		{"/no/such", "", `exec: "/no/such": stat /no/such: no such file or directory`},
	} {
		path, err := lookPath(test.name, env, dir)
		switch {
		case test.says == "" && (err != nil || path != test.path):
			t.Errorf("%s: %s, %v", test.name, path, err)
		case test.says != "" && (err == nil || err.Error() != test.says):
			t.Errorf("%s: %v, want %s", test.name, err, test.says)
		}
	}
}

// TestAnErrorFitsIntoAPacket: a node that gets half a reply ends the container.
func TestAnErrorFitsIntoAPacket(t *testing.T) {
	for _, name := range []string{"x", "\x01/", "\xff", "字"} {
		_, err := lookPath(strings.Repeat(name, 100_000/len(name)), []string{"PATH=/usr/bin"}, "/")
		if err == nil {
			t.Fatalf("%q is found", name)
		}
		data := Reply{ID: 1<<64 - 1, Kind: Failed, PID: 1 << 30, Code: 255, Error: err.Error()}.packet()
		if len(data) >= MaxPacket {
			t.Errorf("%q: a packet of %d bytes", name, len(data))
		}
		var back Reply
		if err := json.Unmarshal(data, &back); err != nil || !strings.HasPrefix(back.Error, "exec: ") {
			t.Errorf("%q: %.20q, %v", name, back.Error, err)
		}
	}
}

func TestDescendants(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 100 & sleep 100 & echo; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Read(make([]byte, 1))
	if n := len(Descendants(cmd.Process.Pid)); n != 2 {
		t.Errorf("%d processes below the shell", n)
	}
	all := Descendants(os.Getpid())
	if !slices.Contains(all, cmd.Process.Pid) {
		t.Error("the shell is not below the test")
	}
	for _, pid := range all {
		if p, err := os.FindProcess(pid); err == nil {
			p.Kill()
		}
	}
	cmd.Wait()
}
