package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/test/console"
)

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func random(n int) []byte {
	p := make([]byte, n)
	rand.Read(p) // never fails: crypto/rand
	return p
}

func (r *rig) cp(words ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	return r.run(nil, append([]string{"cp", console.Default}, words...)...)
}

// TestFilesAreCopied both ways, under the names that cp gives them.
func TestFilesAreCopied(t *testing.T) {
	r := newRig(t, console.Options{})
	dir := t.TempDir()
	data := random(3 << 20)
	from := write(t, filepath.Join(dir, "a file"), data)
	for _, c := range []struct{ put, get, at, to string }{
		{"/tmp", "/tmp/a file", "here", "here"},
		{"/tmp/other name", "/tmp/other name", ".", "other name"},
	} {
		if code, out, said := r.cp(from, r.target()+":"+c.put); code != 0 || out != "" || said != "" {
			t.Fatalf("put %s: %d %q %q", c.put, code, out, said)
		}
		if code, _, said := r.cp(r.target()+":"+c.get, filepath.Join(dir, c.at)); code != 0 || said != "" {
			t.Fatalf("get %s: %d %q", c.get, code, said)
		}
		if got := read(t, filepath.Join(dir, c.to)); !bytes.Equal(got, data) {
			t.Errorf("%s: %d of %d bytes", c.to, len(got), len(data))
		}
	}
	if code, out, said := r.cp(r.target()+":/tmp/a file", "-"); code != 0 || out != string(data) {
		t.Errorf("to stdout: %d, %d bytes, %q", code, len(out), said)
	}
	if code, _, said := r.run(bytes.NewReader(data[:1000]), "cp", console.Default, "-", r.target()+":/tmp/from stdin"); code != 0 {
		t.Errorf("from stdin: %d %q", code, said)
	}
	if code, out, _ := r.cp(r.target()+":/tmp/from stdin", "-"); code != 0 || out != string(data[:1000]) {
		t.Errorf("from stdin and back: %d, %d bytes", code, len(out))
	}
}

// TestFoldersAreCopied there and back.
func TestFoldersAreCopied(t *testing.T) {
	r := newRig(t, console.Options{})
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	if err := os.MkdirAll(filepath.Join(src, "deep", "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	data := random(1 << 20)
	write(t, filepath.Join(src, "deep", "big"), data)
	write(t, filepath.Join(src, "small\nname"), []byte("small"))
	if err := os.Symlink("deep/big", filepath.Join(src, "link")); err != nil {
		t.Fatal(err)
	}
	if code, _, said := r.cp(src, r.target()+":/tmp"); code != 0 {
		t.Fatalf("put: %d %q", code, said)
	}
	if err := os.Symlink(src, filepath.Join(dir, "alias")); err != nil {
		t.Fatal(err)
	}
	if code, _, said := r.cp(filepath.Join(dir, "alias"), r.target()+":/tmp"); code != 0 {
		t.Fatalf("put by a link: %d %q", code, said)
	}
	to := filepath.Join(dir, "to")
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"src", "alias"} {
		if code, _, said := r.cp(r.target()+":/tmp/"+name+"/", to); code != 0 {
			t.Fatalf("get %s: %d %q", name, code, said)
		}
		wantCopied(t, filepath.Join(to, name), data)
	}
}

// wantCopied: back is as TestFoldersAreCopied has made it.
func wantCopied(t *testing.T, back string, data []byte) {
	t.Helper()
	if !bytes.Equal(read(t, filepath.Join(back, "link")), data) || string(read(t, filepath.Join(back, "small\nname"))) != "small" {
		t.Errorf("%s: what came back is not what went", back)
	}
	if info, err := os.Stat(filepath.Join(back, "deep", "empty")); err != nil || !info.IsDir() {
		t.Errorf("the empty folder: %v", err)
	}
}

// TestCopiesThroughCuts goes on after each, in both directions.
func TestCopiesThroughCuts(t *testing.T) {
	r, proxy := behind(t)
	dir := t.TempDir()
	data := random(*mib << 22)
	from, to := write(t, filepath.Join(dir, "from"), data), filepath.Join(dir, "to")
	for _, words := range [][]string{{from, r.target() + ":/tmp/x"}, {r.target() + ":/tmp/x", to}} {
		ctx, cancel := context.WithTimeout(t.Context(), transferLimit)
		ended := make(chan struct{})
		var said string
		var code int
		go func() {
			defer close(ended)
			code, _, said = r.finish(r.command(ctx, append([]string{"cp", console.Default}, words...)...), nil)
		}()
		// Of less the client may have seen nothing, not even hello: lost then, it has
		// nothing to come back to.
		met, before := 0, int64(2<<20)
		tick := time.NewTicker(10 * time.Millisecond)
		for over := false; !over; {
			select {
			case <-tick.C: // cuts only what has carried something since the last time
				if n, err := r.login.Carried(ctx); err == nil && n > before && met < *cuts {
					before = n
					met += proxy.Cut(badnet.RST)
				}
			case <-ended:
				over = true
			}
		}
		tick.Stop()
		cancel()
		if lost := strings.Count(said, "connection lost"); code != 0 || lost == 0 || strings.Count(said, "the copy goes on") != lost {
			t.Errorf("%v: %d after %d cuts: %q", words, code, met, said)
		}
		t.Logf("%d MiB through %d cuts", len(data)>>20, strings.Count(said, "connection lost"))
	}
	if got := read(t, to); !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes, or not the same", len(got), len(data))
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".periscope-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestCopiesThatFail leave nothing, and say why.
func TestCopiesThatFail(t *testing.T) {
	r := newRig(t, console.Options{Environ: []string{"PERISCOPE_EXEC_MAX_FILE_MIB=1"}})
	dir := t.TempDir()
	big := write(t, filepath.Join(dir, "big"), make([]byte, 2<<20))
	small := write(t, filepath.Join(dir, "small"), []byte("small"))
	pod := r.target() + ":"
	folder, taken := filepath.Join(t.TempDir(), "folder"), t.TempDir()
	for _, dir := range []string{folder, filepath.Join(taken, "folder", "file", "by")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(folder, "file"), make([]byte, 900<<10))
	if code, _, said := r.cp(folder, pod+"/tmp"); code != 0 {
		t.Fatalf("put: %d %q", code, said)
	}
	for name, c := range map[string]struct {
		words []string
		code  int
		says  string
	}{
		"nothing there":  {[]string{pod + "/nowhere", dir}, 255, `There is no "/nowhere"`},
		"nothing here":   {[]string{filepath.Join(dir, "nowhere"), pod + "/tmp"}, 1, "no such file"},
		"no folder here": {[]string{pod + "/tmp/folder/file", filepath.Join(dir, "no", "x")}, 1, "no such file"},
		"a place taken":  {[]string{pod + "/tmp/folder", taken}, 1, "directory not empty"},
		"to stdout":      {[]string{pod + "/tmp/folder", "-"}, 2, "cannot be copied to stdout"},
		"to a device":    {[]string{pod + "/tmp/folder/file", "/dev/null"}, 2, "neither a file nor a folder"},
		"too big":        {[]string{big, pod + "/tmp"}, 255, "at most 1.0 MiB are copied"},
		"two pods":       {[]string{pod + "/a", pod + "/b"}, 2, "must be in a pod"},
		"no pod":         {[]string{small, filepath.Join(dir, "x")}, 2, "must be in a pod"},
		"one word":       {[]string{small}, 2, "Say what and where to"},
		"a device":       {[]string{"/dev/null", pod + "/tmp/x"}, 2, "neither a file nor a folder"},
		"to a folder":    {[]string{small, pod + "/no/where"}, 255, "There is no folder"},
	} {
		code, out, said := r.cp(c.words...)
		if code != c.code || out != "" || !strings.Contains(said, c.says) {
			t.Errorf("%s: %d, %d bytes on stdout, %q", name, code, len(out), said)
		}
	}
	names, err := os.ReadDir(dir)
	if err != nil || fmt.Sprint(names) != "[- big - small]" {
		t.Errorf("the folder has %v (%v)", names, err)
	}
}
