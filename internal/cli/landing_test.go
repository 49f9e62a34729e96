package cli

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/periscope-console/periscope/internal/execclient"
)

// archive holds these, in order.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		data := []byte("evil")
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(data))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpackInto(t testing.TB, dir string, data []byte) error {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = unpack(root, bytes.NewReader(data))
	return err
}

// TestUnpackStaysBelow has a container whose tar lies in each way that is known.
func TestUnpackStaysBelow(t *testing.T) {
	for name, headers := range map[string][]tar.Header{
		"dots":              {{Name: "../out", Typeflag: tar.TypeReg}},
		"dots within":       {{Name: "a/../../out", Typeflag: tar.TypeReg}},
		"a root":            {{Name: "/out", Typeflag: tar.TypeReg}},
		"through a link":    {{Name: "l", Linkname: "..", Typeflag: tar.TypeSymlink}, {Name: "l/out", Typeflag: tar.TypeReg}},
		"through two links": {{Name: "a", Linkname: "b", Typeflag: tar.TypeSymlink}, {Name: "b", Linkname: "..", Typeflag: tar.TypeSymlink}, {Name: "a/out", Typeflag: tar.TypeReg}},
		"over a link":       {{Name: "l", Linkname: "../out", Typeflag: tar.TypeSymlink}, {Name: "l", Typeflag: tar.TypeReg}},
		"a hard link":       {{Name: "l", Linkname: "../there", Typeflag: tar.TypeLink}, {Name: "l", Typeflag: tar.TypeReg}},
		"a folder's place":  {{Name: "l", Linkname: "..", Typeflag: tar.TypeSymlink}, {Name: "l", Typeflag: tar.TypeDir}, {Name: "l/out", Typeflag: tar.TypeReg}},
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			dir := filepath.Join(outside, "below")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			there := filepath.Join(outside, "there")
			if err := os.WriteFile(there, []byte("good"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := unpackInto(t, dir, archive(t, headers...))
			names, readErr := os.ReadDir(outside)
			if readErr != nil || len(names) != 2 {
				t.Errorf("outside there is %v (%v); unpacking said %v", names, readErr, err)
			}
			if data, readErr := os.ReadFile(there); readErr != nil || string(data) != "good" {
				t.Errorf("what was outside is now %q (%v)", data, readErr)
			}
			if _, statErr := os.Lstat("/out"); statErr == nil {
				t.Error("/out was written")
			}
		})
	}
}

// hole is an archive of one file that has this size and no content (PAX, GNU.sparse).
func hole(t *testing.T, size int64) []byte {
	t.Helper()
	records := paxRecord("GNU.sparse.size", fmt.Sprint(size)) + paxRecord("GNU.sparse.numblocks", "1") + paxRecord("GNU.sparse.map", fmt.Sprint(size, ",0"))
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg, Size: int64(len(records)), Format: tar.FormatUSTAR})
	_, writeErr := w.Write([]byte(records))
	err = errors.Join(err, writeErr, w.WriteHeader(&tar.Header{Name: "hole", Typeflag: tar.TypeReg, Mode: 0o644, Format: tar.FormatUSTAR}), w.Close())
	if err != nil {
		t.Fatal(err)
	}
	// The writer makes no such archives: the first file becomes what is said of the second.
	const kind, sum = 156, 148
	data := b.Bytes()
	was, err := strconv.ParseInt(string(data[sum:sum+6]), 8, 64)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[sum:], fmt.Sprintf("%06o", was+tar.TypeXHeader-tar.TypeReg))
	data[kind] = tar.TypeXHeader
	return data
}

// paxRecord begins with its own length.
func paxRecord(key, value string) string {
	rest := " " + key + "=" + value + "\n"
	n := len(rest)
	for len(strconv.Itoa(n))+len(rest) != n {
		n = len(strconv.Itoa(n)) + len(rest)
	}
	return strconv.Itoa(n) + rest
}

// TestHolesDoNotFillTheDisk: what a few bytes say of a file's size is not believed.
// A hole that the rest of the archive outweighs does no harm.
func TestHolesDoNotFillTheDisk(t *testing.T) {
	for size, want := range map[int64]error{100: nil, 64 << 20: errHoles} {
		data := hole(t, size)
		dir := t.TempDir()
		if err := unpackInto(t, dir, data); !errors.Is(err, want) {
			t.Errorf("a hole of %d bytes: %v", size, err)
		}
		info, err := os.Stat(filepath.Join(dir, "hole"))
		if err != nil || info.Size() > int64(len(data)) || want == nil && info.Size() != size {
			t.Errorf("a hole of %d bytes: %d written from %d (%v)", size, info.Size(), len(data), err)
		}
	}
}

// TestAFolderIsCopiedAgain over what it has left the last time.
func TestAFolderIsCopiedAgain(t *testing.T) {
	dir := t.TempDir()
	data := archive(t, tar.Header{Name: "d/a", Typeflag: tar.TypeReg}, tar.Header{Name: "d/b", Linkname: "d/a", Typeflag: tar.TypeLink},
		tar.Header{Name: "l", Linkname: "d", Typeflag: tar.TypeSymlink})
	for range 2 {
		if err := unpackInto(t, dir, data); err != nil {
			t.Fatal(err)
		}
		a, errA := os.Stat(filepath.Join(dir, "d", "a"))
		b, errB := os.Stat(filepath.Join(dir, "l", "b"))
		if errA != nil || errB != nil || !os.SameFile(a, b) {
			t.Errorf("not one file: %v, %v", errA, errB)
		}
	}
	if err := unpackInto(t, dir, archive(t, tar.Header{Name: "d/a", Linkname: "./d/a", Typeflag: tar.TypeLink})); err == nil {
		t.Error("a file was linked to itself")
	}
	if got, err := os.ReadFile(filepath.Join(dir, "d", "a")); err != nil || string(got) != "evil" {
		t.Errorf("after a link to itself it has %q (%v)", got, err)
	}
}

// TestAFolderComesWhereALinkWas: what comes in it is not written where an earlier
// copy's link leads. Nor does anything else stand in for a folder.
func TestAFolderComesWhereALinkWas(t *testing.T) {
	for name, before := range map[string][]tar.Header{
		"a link to a folder": {{Name: "releases/1/app", Typeflag: tar.TypeReg}, {Name: "current", Linkname: "releases/1", Typeflag: tar.TypeSymlink}},
		"a link to nothing":  {{Name: "current", Linkname: "gone", Typeflag: tar.TypeSymlink}},
		"a file":             {{Name: "current", Typeflag: tar.TypeReg}},
		"a folder":           {{Name: "current", Typeflag: tar.TypeDir}, {Name: "current/old", Typeflag: tar.TypeReg}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := errors.Join(unpackInto(t, dir, archive(t, before...)), unpackInto(t, dir, archive(t,
				tar.Header{Name: "current", Typeflag: tar.TypeDir}, tar.Header{Name: "current/new", Typeflag: tar.TypeReg})))
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Lstat(filepath.Join(dir, "current")); err != nil || !info.IsDir() {
				t.Errorf("current is %v (%v)", info, err)
			}
			for _, h := range append(before, tar.Header{Name: "current/new", Typeflag: tar.TypeReg}) {
				if _, err := os.Stat(filepath.Join(dir, h.Name)); err != nil {
					t.Error(err)
				}
			}
			if names, err := os.ReadDir(filepath.Join(dir, "releases", "1")); err == nil && len(names) != 1 {
				t.Errorf("where the link led there is %v", names)
			}
		})
	}
}

// TestLinksThatLeadOut are left out, whichever way they go, and named; those within
// stay.
func TestLinksThatLeadOut(t *testing.T) {
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	top := t.TempDir()
	here, key := filepath.Join(top, "here"), filepath.Join(top, "key")
	if err := errors.Join(os.WriteFile(key, []byte("secret"), 0o600), os.Mkdir(here, 0o755)); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	l := &landing{path: here, env: Env{Stderr: &said}}
	defer l.abandon()
	err := l.begin(true)
	if err == nil {
		_, err = l.Write(archive(t,
			tar.Header{Name: "d/e/f", Typeflag: tar.TypeReg},
			link("within", "d/e/f"), link("d/up", "../within"), link("nothing", "not/yet"),
			link("root", key), link("up", "../key"), link("d/dots", "../../key"), link("not/../climbs", "x/../../key"),
			link("self", "."), link("around", "self/../key"), link("self2", "d/../.."),
			tar.Header{Name: "twice", Linkname: "root", Typeflag: tar.TypeLink},
			link("turned", "d"), link("turned/away", key),
		))
	}
	if err := errors.Join(err, l.finish()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"within", "d/up", "nothing", "self"} {
		if _, err := os.Lstat(filepath.Join(here, name)); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Lstat(filepath.Join(here, "turned")); err != nil || !info.IsDir() {
		t.Errorf("what was under a link is not in a folder of its own: %v, %v", info, err)
	}
	for _, name := range []string{"root", "up", "d/dots", "climbs", "around", "self2", "twice", "d/away", "turned/away"} {
		if _, err := os.Lstat(filepath.Join(here, name)); err == nil {
			t.Errorf("%s was made", name)
		}
	}
	if !strings.Contains(said.String(), `left out what leads out of the folder, 8 of the links: "root", "up", "d/dots", "climbs", "around", …`) {
		t.Errorf("said %q", said.String())
	}
}

// TestALinkIsNotCopiedThrough: there may be a link where the copy has its folder.
func TestALinkIsNotCopiedThrough(t *testing.T) {
	for name, target := range map[string]string{"out": "../out", "from the root": "", "within": "other"} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			out, here := filepath.Join(top, "out"), filepath.Join(top, "here")
			for _, dir := range []string{out, filepath.Join(here, "other")} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if target == "" {
				target = out
			}
			copied := func(h tar.Header) error {
				l := &landing{path: here, name: "srv"}
				defer l.abandon()
				err := l.begin(true)
				if err == nil {
					_, err = l.Write(archive(t, h))
				}
				return errors.Join(err, l.finish())
			}
			if err := os.Symlink(target, filepath.Join(here, "srv")); err != nil {
				t.Fatal(err)
			}
			var wrong usageError
			if err := copied(tar.Header{Name: "keys", Typeflag: tar.TypeReg}); !errors.As(err, &wrong) || !strings.Contains(string(wrong), filepath.Join(here, "srv")) {
				t.Errorf("copied, or said %v", err)
			}
			for _, dir := range []string{out, filepath.Join(here, "other")} {
				if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
					t.Errorf("%s has %v (%v)", dir, names, err)
				}
			}
			if err := os.Remove(filepath.Join(here, "srv")); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := copied(tar.Header{Name: "keys", Typeflag: tar.TypeReg}); err != nil {
					t.Errorf("without the link: %v", err)
				}
			}
			if data, err := os.ReadFile(filepath.Join(here, "srv", "keys")); err != nil || string(data) != "evil" {
				t.Errorf("without the link there is %q (%v)", data, err)
			}
		})
	}
}

// TestWhatIsRefusedHereIsNotShown: bytes of a container steer the terminal that they
// are written to, so they go there only where stdout is the target.
func TestWhatIsRefusedHereIsNotShown(t *testing.T) {
	here := t.TempDir()
	for _, c := range []struct {
		path, name string
		folder     bool
		says       string
	}{
		{"-", "x", true, "cannot be copied to stdout"},
		{filepath.Join(here, "no", "x"), "x", false, "no such file"},
		{os.DevNull, "x", false, "neither a file nor a folder"},
		{os.DevNull, "x", true, "no folder"},
		{here, "..", false, "Name the file"},
	} {
		var shown bytes.Buffer
		l := &landing{env: Env{Stdout: &shown}, path: c.path, name: c.name}
		if _, err := l.Write([]byte("early")); err == nil {
			t.Errorf("%s: written before it has begun", c.path)
		}
		if err := l.begin(c.folder); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.path, err)
		}
		if n, err := l.Write([]byte("\x1b[2J")); n != 0 || err == nil {
			t.Errorf("%s: %d bytes taken, %v", c.path, n, err)
		}
		l.abandon()
		if shown.Len() > 0 {
			t.Errorf("%s: stdout has %q", c.path, shown.String())
		}
	}
	var shown bytes.Buffer
	l := &landing{env: Env{Stdout: &shown}, path: "-"}
	if err := l.begin(false); err != nil {
		t.Fatal(err)
	}
	_, first := l.Write([]byte("wanted"))
	l.abandon()
	if _, err := l.Write([]byte("late")); first != nil || err == nil || shown.String() != "wanted" {
		t.Errorf("stdout has %q, %v, %v", shown.String(), first, err)
	}
}

// TestAFolderThatCannotBeWritten is trouble here, whether it shows while the archive
// comes or at its end.
func TestAFolderThatCannotBeWritten(t *testing.T) {
	for name, data := range map[string][]byte{
		"a folder in a file's place": archive(t, tar.Header{Name: "taken", Typeflag: tar.TypeReg}),
		"half an archive":            archive(t, tar.Header{Name: "file", Typeflag: tar.TypeReg})[:512],
		"no archive":                 bytes.Repeat([]byte("x"), 512),
	} {
		here := t.TempDir()
		if err := os.MkdirAll(filepath.Join(here, "taken", "by"), 0o755); err != nil {
			t.Fatal(err)
		}
		l := &landing{path: here, name: "."}
		if err := l.begin(true); err != nil {
			t.Fatal(err)
		}
		_, err := l.Write(data)
		if err == nil {
			err = l.finish()
		}
		l.abandon()
		var said bytes.Buffer
		if code := (Env{Stderr: &said}).ended(fmt.Errorf("%w: %w", execclient.ErrOutput, err)); code != exitCopy || said.Len() < 20 {
			t.Errorf("%s: %v: exit code %d, %q", name, err, code, said.String())
		}
	}
}

// TestALinkToAFolderIsPackedAsTheFolder under the link's name. Links within stay links.
func TestALinkToAFolderIsPackedAsTheFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "real", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": "real", filepath.Join("real", "within"): "sub"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := pack(filepath.Join(dir, "link"), &b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		got = append(got, h.Name+" "+string(h.Typeflag))
	}
	if want := []string{"link 5", "link/sub 5", "link/within 2"}; !slices.Equal(got, want) {
		t.Errorf("packed %q, want %q", got, want)
	}
}

// TestACopyHasTheModeOfWhatItReplaces, and a new one what the umask leaves; nobody
// else may read it while it comes.
func TestACopyHasTheModeOfWhatItReplaces(t *testing.T) {
	was := syscall.Umask(0)
	t.Cleanup(func() { syscall.Umask(was) })
	for _, c := range []struct {
		umask        int
		before, want fs.FileMode // before is 0 for none
	}{{0o077, 0, 0o600}, {0o022, 0, 0o644}, {0o002, 0, 0o664}, {0o077, 0o640, 0o640}, {0o022, 0o600, 0o600}, {0o022, 0o444, 0o444}} {
		dir := t.TempDir()
		final := filepath.Join(dir, "x")
		if c.before != 0 {
			if err := errors.Join(os.WriteFile(final, []byte("old"), 0o600), os.Chmod(final, c.before)); err != nil {
				t.Fatal(err)
			}
		}
		syscall.Umask(c.umask)
		l := &landing{path: dir, name: "x"}
		err := l.begin(false)
		beside, _ := filepath.Glob(filepath.Join(dir, ".periscope-*"))
		if err != nil || len(beside) != 1 {
			t.Fatal(beside, err)
		}
		info, statErr := os.Stat(beside[0])
		_, err = l.Write([]byte("new"))
		err = errors.Join(err, statErr, l.finish())
		if err != nil || info.Mode()&^c.want != 0 {
			t.Errorf("%+v: %v while it came, %v", c, info.Mode(), err)
		}
		info, err = os.Stat(final)
		if data, _ := os.ReadFile(final); err != nil || info.Mode() != c.want || string(data) != "new" {
			t.Errorf("%+v: %v, %q, %v", c, info.Mode(), data, err)
		}
	}
}

// TestACopiedFolderOpensNoFile that was closed here: nobody may read a file of it who
// may not read the one that it replaces, whatever its mode in the container.
func TestACopiedFolderOpensNoFile(t *testing.T) {
	was := syscall.Umask(0o022)
	t.Cleanup(func() { syscall.Umask(was) })
	for _, c := range []struct{ before, there, want fs.FileMode }{ // before is 0 for none
		{0, 0o640, 0o640}, {0, 0o666, 0o644},
		{0o600, 0o644, 0o600}, {0o644, 0o600, 0o600}, {0o640, 0o664, 0o640}, {0o444, 0o644, 0o444},
		{0o600, 0o755, 0o700}, {0o644, 0o755, 0o755}, {0o755, 0o644, 0o644},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "x")
		if c.before != 0 {
			if err := errors.Join(os.WriteFile(file, []byte("old"), 0o600), os.Chmod(file, c.before)); err != nil {
				t.Fatal(err)
			}
		}
		err := unpackInto(t, dir, archive(t, tar.Header{Name: "x", Typeflag: tar.TypeReg, Mode: int64(c.there)}))
		info, statErr := os.Stat(file)
		if err := errors.Join(err, statErr); err != nil || info.Mode() != c.want {
			t.Errorf("%o over %o is %v, want %o (%v)", c.there, c.before, info.Mode(), c.want, err)
		}
	}
}

// TestACopyOpensNoFileToAnotherGroup: the rights of one group are not those of the
// group that a new file has.
func TestACopyOpensNoFileToAnotherGroup(t *testing.T) {
	for _, c := range []struct{ before, want fs.FileMode }{{0o640, 0o600}, {0o664, 0o644}, {0o604, 0o600}, {0o644, 0o644}} {
		dir := t.TempDir()
		file, within := filepath.Join(dir, "x"), filepath.Join(dir, "within", "x")
		if err := os.Mkdir(filepath.Dir(within), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, within} {
			if err := errors.Join(os.WriteFile(path, []byte("old"), 0o600), os.Chmod(path, c.before)); err != nil {
				t.Fatal(err)
			}
			toAnotherGroup(t, path)
		}
		l := &landing{path: dir, name: "x"}
		err := l.begin(false)
		beside, _ := filepath.Glob(filepath.Join(dir, ".periscope-*"))
		if err != nil || len(beside) != 1 {
			t.Fatal(beside, err)
		}
		if info, err := os.Stat(beside[0]); err != nil || info.Mode()&0o077 != 0 {
			t.Errorf("%o: %v while it came (%v)", c.before, info.Mode(), err)
		}
		err = errors.Join(l.finish(), unpackInto(t, dir, archive(t, tar.Header{Name: "within/x", Typeflag: tar.TypeReg, Mode: 0o666})))
		for _, path := range []string{file, within} {
			if info, statErr := os.Stat(path); err != nil || statErr != nil || info.Mode() != c.want {
				t.Errorf("%s over %o is %v, want %o (%v)", path, c.before, info.Mode(), c.want, err)
			}
		}
	}
}

// toAnotherGroup gives a file to a group that new files here are not of.
func toAnotherGroup(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		groups = append(groups, int(groupOf(info))+1)
	}
	for _, id := range groups {
		if id != int(groupOf(info)) {
			if err := os.Chown(path, -1, id); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Skip("there is no other group that a file could be given to")
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, tar.Header{Name: "a/b", Typeflag: tar.TypeReg}, tar.Header{Name: "l", Linkname: "..", Typeflag: tar.TypeSymlink}))
	f.Add(archive(f, tar.Header{Name: "../x", Typeflag: tar.TypeReg}))
	f.Fuzz(func(t *testing.T, data []byte) {
		outside := t.TempDir()
		dir := filepath.Join(outside, "below")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = unpackInto(t, dir, data) // that it stays below is what counts
		if names, err := os.ReadDir(outside); err != nil || len(names) != 1 {
			t.Errorf("outside there is %v (%v)", names, err)
		}
	})
}

func FuzzParseCp(f *testing.F) {
	f.Add("c", "ns/pod:/x", "here")
	f.Add("c", "./a:b", "ns/pod:")
	f.Add("c", "a/b:c", "d/e:f")
	f.Fuzz(func(t *testing.T, cluster, from, to string) {
		a, err := parseCp([]string{"--", cluster, from, to})
		if err == nil && (a.namespace == "" || a.pod == "" || a.there == "") {
			t.Errorf("%q %q: %+v", from, to, a)
		}
	})
}
