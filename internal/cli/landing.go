package cli

import (
	"archive/tar"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// landing is where a file or a folder from a container arrives. A file is written
// beside its place and moved there once it is whole.
type landing struct {
	env        Env
	path, name string

	mu sync.Mutex
	to io.Writer // what is written; nil before begin, where that failed, and at the end

	file   *os.File // being written; nil for stdout and folders
	final  string
	pipe   *io.PipeWriter // to the unpacking
	packed chan struct{}  // closed at its end
	failed error          // of it; valid once packed is closed
	out    []string       // links that were left out; valid then, too
}

// begin prepares for what was found there.
func (l *landing) begin(folder bool) error {
	info, err := os.Stat(l.path)
	there := err == nil
	switch {
	case folder && l.path == "-":
		return wrongUse("A folder cannot be copied to stdout. Name a folder here.")
	case folder:
		return l.beginFolder(there && info.IsDir(), there)
	case l.path == "-":
		l.write(l.env.Stdout)
		return nil
	}
	l.final = l.path
	if there && info.IsDir() {
		if l.name == "" || l.name == "." || l.name == ".." {
			return wrongUse("Name the file that is to be written here.")
		}
		l.final = filepath.Join(l.path, l.name)
	}
	if there && !info.IsDir() && !info.Mode().IsRegular() {
		return wrongUse("%q is neither a file nor a folder.", l.path)
	}
	return l.beginFile()
}

// beginFile lets nobody read what comes who may not read what it replaces, or any
// new file.
func (l *landing) beginFile() error {
	mode := fs.FileMode(0o666) // the umask takes from it
	if was, err := os.Stat(l.final); err == nil {
		mode = was.Mode().Perm() & owners
	}
	beside := filepath.Join(filepath.Dir(l.final), ".periscope-"+rand.Text())
	file, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) //nolint:gosec // where the user has said
	if err != nil {
		return err
	}
	l.file = file
	l.write(file)
	return nil
}

// write has what comes written there; nil refuses it.
func (l *landing) write(to io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = to
}

// beginFolder unpacks below a folder of its name where the path is one already,
// as cp -r does.
func (l *landing) beginFolder(isFolder, there bool) error {
	if there && !isFolder {
		return wrongUse("%q is there and is no folder.", l.path)
	}
	if err := os.MkdirAll(l.path, 0o755); err != nil { //nolint:gosec // as cp does
		return err
	}
	root, err := os.OpenRoot(l.path)
	if err == nil && isFolder && l.name != "" && l.name != "." && l.name != ".." {
		root, err = below(root, l.name)
	}
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	l.pipe, l.packed = w, make(chan struct{})
	l.write(w)
	go func() {
		defer close(l.packed)
		l.out, l.failed = unpack(root, r)
		_ = r.CloseWithError(l.failed)
		_ = root.Close()
	}()
	return nil
}

// below is a folder of parent, which it closes. A link is not followed: the archive
// of an earlier copy may have put it there.
func below(parent *os.Root, name string) (*os.Root, error) {
	defer func() { _ = parent.Close() }()
	if err := parent.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	info, err := parent.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, wrongUse("%q is there and is no folder, or is a link. Remove it, or name another folder here.", filepath.Join(parent.Name(), name))
	}
	return parent.OpenRoot(name)
}

// Write fails with a localError, also where nothing is to be written. A session that
// was ended may call it later than abandon (execclient).
func (l *landing) Write(p []byte) (int, error) {
	l.mu.Lock()
	to := l.to
	l.mu.Unlock()
	if to == nil {
		return 0, local(errUnfinished)
	}
	n, err := to.Write(p)
	return n, local(err)
}

// finish has it there whole, or fails with a localError.
func (l *landing) finish() error { return local(l.place()) }

func (l *landing) place() error {
	l.write(nil)
	switch {
	case l.pipe != nil:
		_ = l.pipe.Close() // never fails
		l.pipe = nil
		<-l.packed
		l.tellOut()
		return l.failed
	case l.file == nil:
		return nil
	}
	tmp := l.file
	l.file = nil
	err := keepMode(tmp, l.final)
	if failed := tmp.Close(); err == nil {
		err = failed
	}
	if err == nil {
		err = os.Rename(tmp.Name(), l.final)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// tellOut names some of the links that were left out.
func (l *landing) tellOut() {
	const most = 5
	if len(l.out) == 0 {
		return
	}
	names := make([]string, 0, most)
	for _, name := range l.out[:min(len(l.out), most)] {
		names = append(names, strconv.Quote(name))
	}
	if len(l.out) > most {
		names = append(names, "…")
	}
	l.env.say("left out what leads out of the folder, %d of the links: %s", len(l.out), strings.Join(names, ", "))
}

// keepMode gives a file the mode of the one that it replaces. A new one has its own.
func keepMode(tmp *os.File, final string) error {
	was, err := os.Stat(final)
	if err != nil {
		return nil //nolint:nilerr // there is none
	}
	mode, err := rights(was, tmp)
	if err != nil {
		return err
	}
	return tmp.Chmod(mode)
}

// owners is what a file's owner may, and all that anybody may before it is known
// whose group a new file is.
const owners fs.FileMode = 0o700

// rights is the mode of what was there, for a file in its place. Where that is of
// another group, either group was among the others of the other one's files: both
// get no more than both had.
func rights(was fs.FileInfo, file *os.File) (fs.FileMode, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	mode := was.Mode().Perm()
	if groupOf(was) == groupOf(info) {
		return mode, nil
	}
	both := mode & (mode >> 3) & 0o7
	return mode&owners | both<<3 | both, nil
}

func groupOf(info fs.FileInfo) uint32 { return info.Sys().(*syscall.Stat_t).Gid }

// abandon throws away what is not whole. What a folder has got stays.
func (l *landing) abandon() {
	l.write(nil)
	if l.file != nil {
		_ = l.file.Close()
		_ = os.Remove(l.file.Name())
		l.file = nil
	}
	if l.pipe != nil {
		_ = l.pipe.CloseWithError(errUnfinished)
		<-l.packed
		l.pipe = nil
	}
}

var errUnfinished = errors.New("the copy was not finished")

// unpack writes what an archive holds below root, and nothing elsewhere: a name that
// leads out of it is an error, whatever the container says. So is a file that is
// longer than what has come for it: a few bytes may speak of a hole of terabytes. A
// link that leads out is left out: whoever copied the folder back, or wrote into it,
// would follow it. These are returned.
func unpack(root *os.Root, r io.Reader) (out []string, err error) {
	var links []string
	defer func() { out = prune(root, links) }()
	came := &wire{r: r}
	archive := tar.NewReader(came)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, r) // the padding behind the end
			return nil, err
		}
		if err != nil {
			return nil, unreadable(err)
		}
		if h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink { // which may be of the former
			links = append(links, clean(h.Name))
		}
		if err := unpackOne(root, h, &content{r: archive, of: came}); err != nil {
			return nil, err
		}
	}
}

// prune removes links that lead out of root, once all that they lead through is there.
func prune(root *os.Root, links []string) (out []string) {
	for _, name := range links {
		target, err := root.Readlink(name)
		if err != nil || stays(root, name, target) {
			continue // replaced meanwhile, by something else
		}
		if root.Remove(name) == nil {
			out = append(out, name)
		}
	}
	return out
}

// stays reports whether a link leads to a place below root, by its words and, through
// the links on its way, in fact.
func stays(root *os.Root, name, target string) bool {
	if filepath.IsAbs(target) || !filepath.IsLocal(filepath.Join(filepath.Dir(name), target)) {
		return false
	}
	_, err := root.Stat(name)
	return err == nil || errors.Is(err, fs.ErrNotExist)
}

// clean is an archive's name as this system writes it.
func clean(name string) string {
	return filepath.Clean(filepath.FromSlash(strings.TrimSuffix(name, "/")))
}

func unreadable(err error) error {
	return fmt.Errorf("the archive from the container cannot be read: %w", err)
}

// wire counts the bytes of an archive that have come and are not written.
type wire struct {
	r    io.Reader
	left int64
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.left += int64(n)
	return n, err
}

var errHoles = errors.New("the archive from the container unpacks to more than was sent. Copy files with holes one by one")

// content is a file in an archive, never of more bytes than have come.
type content struct {
	r  io.Reader
	of *wire
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.of.left -= int64(n); c.of.left < 0 {
		return 0, errHoles
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = unreadable(err)
	}
	return n, err
}

func unpackOne(root *os.Root, h *tar.Header, data io.Reader) error {
	name := clean(h.Name)
	if name == "." {
		return nil
	}
	if err := unpackParents(root, name); err != nil {
		return err
	}
	mode := fs.FileMode(h.Mode) & fs.ModePerm //nolint:gosec // twelve bits of it count
	switch h.Typeflag {
	case tar.TypeDir:
		return unpackFolder(root, name, mode|0o700)
	case tar.TypeReg:
		return unpackFile(root, name, mode, data)
	case tar.TypeSymlink:
		if err := vacate(root, name); err != nil {
			return err
		}
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return unpackLink(root, filepath.Clean(filepath.FromSlash(h.Linkname)), name)
	}
	return nil // devices, fifos: nothing that can be copied
}

// unpackParents makes the folders on the way to name where they are missing. None may be
// a link, so that each name of the archive is that of one place.
func unpackParents(root *os.Root, name string) error {
	for i, c := range name {
		if i == 0 || c != filepath.Separator {
			continue
		}
		if err := unpackFolder(root, name[:i], 0o755); err != nil {
			return err
		}
	}
	return nil
}

// vacate takes away what an earlier copy, or anybody, has left in a file's place.
func vacate(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unpackFolder takes a folder that is there for the one that comes, and nothing else:
// through a link that an earlier copy has left, another folder would be written.
func unpackFolder(root *os.Root, name string, mode fs.FileMode) error {
	err := root.Mkdir(name, mode)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := root.Lstat(name)
	if err != nil || info.IsDir() {
		return err
	}
	if err := vacate(root, name); err != nil {
		return err
	}
	return root.Mkdir(name, mode)
}

// unpackLink makes a second name of a file that has come.
func unpackLink(root *os.Root, file, name string) error {
	if file != name {
		if err := vacate(root, name); err != nil {
			return err
		}
	}
	return root.Link(file, name)
}

// unpackFile replaces what is there. Nobody may read the new file who may not read an
// old one.
func unpackFile(root *os.Root, name string, mode fs.FileMode, data io.Reader) error {
	was, err := root.Lstat(name)
	replaces := err == nil && was.Mode().IsRegular()
	if err := vacate(root, name); err != nil {
		return err
	}
	first := mode
	if replaces {
		first &= owners
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, first)
	if err != nil {
		return err
	}
	if replaces {
		err = narrow(file, was, mode)
	}
	if err == nil {
		_, err = io.Copy(file, data)
	}
	if failed := file.Close(); err == nil {
		err = failed
	}
	return err
}

// narrow gives a file of an archive its mode there, less what the one that was here
// did not allow. Who may read a script may run it.
func narrow(file *os.File, was fs.FileInfo, mode fs.FileMode) error {
	most, err := rights(was, file)
	if err != nil {
		return err
	}
	return file.Chmod(mode & (most | most&0o444>>2))
}

// packed is a folder of here as an archive, under its own name. A link to one is
// packed as what it leads to, under the link's name.
func packed(dir string) *source {
	r, w := io.Pipe()
	ended := make(chan error, 1)
	var failed error
	go func() {
		err := pack(dir, w)
		_ = w.CloseWithError(err)
		ended <- err
	}()
	return &source{
		op: "unpack", size: -1, bytes: r, failed: func() error { return failed },
		close: func() {
			_ = r.CloseWithError(errUnfinished)
			if err := <-ended; !errors.Is(err, errUnfinished) {
				failed = err
			}
		},
	}
}

func pack(dir string, w io.Writer) error {
	archive := tar.NewWriter(w)
	base := filepath.Base(dir)
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return packOne(archive, path, filepath.ToSlash(filepath.Join(base, rel)), d)
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

func packOne(archive *tar.Writer, path, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if kind := info.Mode().Type(); kind != 0 && kind != fs.ModeDir && kind != fs.ModeSymlink {
		return nil // devices, fifos, sockets: nothing that can be copied
	}
	target := ""
	if info.Mode().Type() == fs.ModeSymlink {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = name, 0, 0, "", ""
	if err := archive.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(path) //nolint:gosec // it is the user's own
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	_, err = io.Copy(archive, &exact{r: file, left: info.Size()})
	return err
}
