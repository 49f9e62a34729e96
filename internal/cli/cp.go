package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/periscope-console/periscope/internal/execclient"
)

const cpUsage = `Usage: periscope cp CLUSTER FROM TO [-c CONTAINER] [flags]

Copies a file or a folder to or from a container. One of FROM and TO is NAMESPACE/POD:PATH,
the other a path here, or - for stdin or stdout. A path here with a colon begins with ./ or /.
A lost connection is sought again, and the copy goes on where it was.

  -c, --container C   the container; else the pod's default
  -q, --quiet         no progress
      --reason TEXT   why, in one line, where the server asks for it
` + whereUsage + `
A file is there whole or not at all, and its sum is compared. Folders need tar in the image.
Exit codes: 0 copied; 1 not copied; 2 wrong use; 255 no session, or it was lost.
`

// cpArgs are what cp was asked for.
type cpArgs struct {
	where
	cluster, namespace, pod, container, reason string
	there, here                                string // paths
	out                                        bool   // from there to here
	quiet, help                                bool
}

func parseCp(args []string) (a cpArgs, err error) {
	f := flags{
		switches: map[string]*bool{"-q": &a.quiet, "--quiet": &a.quiet, "-h": &a.help, "--help": &a.help},
		texts:    map[string]*string{"-c": &a.container, "--container": &a.container, "--reason": &a.reason},
	}
	a.flags(&f)
	words, rest, err := f.parse(args)
	if err != nil || a.help {
		return a, err
	}
	if words = append(words, rest...); len(words) != 3 {
		return a, wrongUse("Say what and where to: periscope cp CLUSTER FROM TO. Try --help.")
	}
	a.cluster = words[0]
	from, isFrom := a.remote(words[1])
	to, isTo := a.remote(words[2])
	switch {
	case isFrom == isTo:
		return a, wrongUse("One of %q and %q must be in a pod, written as NAMESPACE/POD:PATH, and the other here.", words[1], words[2])
	case isFrom:
		a.out, a.there, a.here = true, from, words[2]
	default:
		a.there, a.here = to, words[1]
	}
	return a, nil
}

// remote reads NAMESPACE/POD:PATH.
func (a *cpArgs) remote(word string) (path string, ok bool) {
	pod, path, colon := strings.Cut(word, ":")
	namespace, name, slash := strings.Cut(pod, "/")
	if !colon || !slash || path == "" || name == "" || namespace == "" || namespace == "." || namespace == ".." || strings.Contains(name, "/") {
		return "", false
	}
	a.namespace, a.pod = namespace, name
	return path, true
}

func (e Env) cp(ctx context.Context, args []string) error {
	a, err := parseCp(args)
	if err != nil {
		return err
	}
	if a.help {
		fmt.Fprint(e.Stdout, cpUsage)
		return nil
	}
	client, err := e.reach(a.where)
	if err != nil {
		return err
	}
	ctx, stop := signals(ctx, &terminal{})
	defer stop()
	if a.out {
		return e.fetch(ctx, client, a)
	}
	return e.deliver(ctx, client, a)
}

// copying is one transfer.
type copying struct {
	env    Env
	args   cpArgs
	client *execclient.Client
	bar    *progress
}

func (e Env) copying(client *execclient.Client, a cpArgs) *copying {
	return &copying{env: e, args: a, client: client, bar: e.progress(a.quiet)}
}

// run carries one file. Nothing is copied where it returns an error.
func (c *copying) run(ctx context.Context, req execclient.Request) (execclient.File, error) {
	a := c.args
	req.Cluster, req.Namespace, req.Pod, req.Container, req.Reason = a.cluster, a.namespace, a.pod, a.container, a.reason
	hello := req.Events.Hello
	req.Events = execclient.Events{
		Hello: hello,
		Lost:  func(error) { c.bar.end(); c.env.say("connection lost; coming back…") },
		Back:  func(bool) { c.bar.end(); c.env.say("the copy goes on") },
	}
	end, err := execclient.New(c.client, req).Run(ctx)
	c.bar.end()
	if err != nil || end.Reason != "completed" {
		err = c.env.outcome(ctx, end, err, c.client)
		var code exitCode
		if errors.As(err, &code) && code == exitOK {
			return execclient.File{}, exitCode(exitFailed)
		}
		return execclient.File{}, err
	}
	if end.File == nil {
		return execclient.File{}, errors.New("the server says nothing of the file: it may be too old to copy files")
	}
	if end.ExitCode == nil || *end.ExitCode != 0 {
		c.env.say("%s", end.Message)
		return execclient.File{}, exitCode(exitCopy)
	}
	return *end.File, nil
}

// sums counts and adds up what goes through.
type sums struct {
	sum   hash.Hash
	bytes int64
	bar   *progress
}

func newSums(bar *progress) *sums { return &sums{sum: sha256.New(), bar: bar} }

func (s *sums) Write(p []byte) (int, error) {
	_, _ = s.sum.Write(p) // hash.Hash: never returns an error
	s.bytes += int64(len(p))
	s.bar.add(int64(len(p)))
	return len(p), nil
}

// same is an error where the server has counted something else.
func (s *sums) same(there execclient.File) error {
	if here := hex.EncodeToString(s.sum.Sum(nil)); there.Bytes != s.bytes || there.SHA256 != here {
		return fmt.Errorf("the copy is not what was read: %d bytes with the sum %s here, %d with %s there. Copy it again", s.bytes, here, there.Bytes, there.SHA256)
	}
	return nil
}

// fetch copies from there to here.
func (e Env) fetch(ctx context.Context, client *execclient.Client, a cpArgs) error {
	c := e.copying(client, a)
	to := &landing{env: e, path: a.here, name: lastOf(a.there)}
	defer to.abandon()
	counted := newSums(c.bar)
	req := execclient.Request{Stdout: io.MultiWriter(to, counted), File: &execclient.Transfer{Op: "get", Path: a.there}}
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	req.Events.Hello = func(h execclient.Hello) {
		c.bar.begin(h.FileSize)
		if err := to.begin(h.Directory); err != nil {
			give(err)
		}
	}
	done, err := c.run(ctx, req)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.As(cause, new(caught)) {
		err = cause
	}
	if err == nil {
		err = counted.same(done)
	}
	if err == nil {
		err = to.finish()
	}
	if err != nil {
		return notCopied(err)
	}
	c.bar.done(counted.bytes)
	return nil
}

// exitCopy is for a copy that was not made.
const exitCopy = 1

// notCopied leaves errors of the session as they are, and gives those of files here
// their exit code.
func notCopied(err error) error {
	var path *os.PathError
	var link *os.LinkError
	if errors.As(err, &path) || errors.As(err, &link) {
		return &localError{err}
	}
	return err
}

// localError is trouble with a file here.
type localError struct{ error }

// local is nil for nil.
func local(err error) error {
	if err == nil {
		return nil
	}
	return &localError{err}
}

func (l *localError) Unwrap() error { return l.error }

// lastOf is the name of a file there: paths there have slashes.
func lastOf(path string) string {
	path = strings.TrimRight(path, "/")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// deliver copies from here to there.
func (e Env) deliver(ctx context.Context, client *execclient.Client, a cpArgs) error {
	c := e.copying(client, a)
	src, err := e.open(a.here)
	if err != nil {
		return notCopied(err)
	}
	counted := newSums(c.bar)
	c.bar.begin(src.size)
	done, err := c.run(ctx, execclient.Request{
		Stdin: io.TeeReader(src.bytes, counted), Stdout: io.Discard,
		File: &execclient.Transfer{Op: src.op, Path: a.there, Name: src.name, Size: src.size},
	})
	src.close()
	if failed := src.failed(); failed != nil {
		return notCopied(failed)
	}
	if err == nil {
		err = counted.same(done)
	}
	if err != nil {
		return notCopied(err)
	}
	c.bar.done(counted.bytes)
	return nil
}

// source is what is copied from here.
type source struct {
	op, name string
	size     int64 // -1 where nobody knows it before
	bytes    io.Reader
	failed   func() error // of the reading
	close    func()
}

func (e Env) open(path string) (*source, error) {
	if path == "-" {
		return e.openStdin()
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return packed(abs), nil
	}
	file, err := os.Open(path) //nolint:gosec // it is the user's own
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		file.Close() //nolint:errcheck,gosec // nothing was read
		return nil, wrongUse("%q is neither a file nor a folder.", path)
	}
	r := &exact{r: file, left: info.Size()}
	return &source{op: "put", name: filepath.Base(abs), size: info.Size(), bytes: r, failed: r.failed, close: func() { _ = file.Close() }}, nil
}

// openStdin keeps all of it beside, since its size must be known: what is put is
// there whole or not at all.
func (e Env) openStdin() (*source, error) {
	file, err := os.CreateTemp("", "periscope-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, err
	}
	size, err := io.Copy(file, e.Stdin)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	r := &exact{r: file, left: size}
	return &source{op: "put", size: size, bytes: r, failed: r.failed, close: func() { _ = file.Close() }}, nil
}

// exact reads as many bytes as there were at the beginning: a log that grows is
// copied as it was.
type exact struct {
	r    io.Reader
	left int64
	err  error // read after the session
}

func (x *exact) Read(p []byte) (int, error) {
	if x.left == 0 {
		return 0, io.EOF
	}
	n, err := x.r.Read(p[:min(int64(len(p)), x.left)])
	x.left -= int64(n)
	if errors.Is(err, io.EOF) && x.left > 0 {
		err = &os.PathError{Op: "read", Path: "the file", Err: errors.New("it became shorter while it was copied")}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		x.err = err
	}
	return n, err
}

func (x *exact) failed() error { return x.err }
