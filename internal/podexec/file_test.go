package podexec

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// local is a transport.Stream to a program of this machine: the scripts meet real
// shells and real files.
type local struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  chan spoken
	rest  spoken
	ended chan struct{}
	once  sync.Once
}

type spoken struct {
	ch transport.Channel
	p  []byte
}

func startLocal(dir string, req transport.Request) (transport.Stream, error) {
	if req.Stdin && slices.Contains(req.Command, getFile) {
		return nil, errors.New("a file that comes out takes nothing in")
	}
	l := &local{cmd: exec.Command(req.Command[0], req.Command[1:]...), said: make(chan spoken), ended: make(chan struct{})}
	l.cmd.Dir, l.cmd.SysProcAttr = dir, &syscall.SysProcAttr{Setsid: true}
	stdin, err := l.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	l.stdin = stdin
	stdout, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := l.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	// Under nohup HUP is ignored here, and a shell cannot trap what it was born to ignore.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	var reading sync.WaitGroup
	reading.Go(func() { l.listen(transport.Stdout, stdout) })
	reading.Go(func() { l.listen(transport.Stderr, stderr) })
	go func() {
		reading.Wait()
		_ = l.cmd.Wait()
		close(l.ended)
	}()
	return l, nil
}

func (l *local) listen(ch transport.Channel, r io.Reader) {
	for {
		p := make([]byte, 8<<10)
		n, err := r.Read(p)
		if n > 0 {
			l.said <- spoken{ch, p[:n]}
		}
		if err != nil {
			return
		}
	}
}

func (l *local) Read(p []byte) (int, transport.Channel, error) {
	if len(l.rest.p) == 0 {
		select {
		case l.rest = <-l.said:
		case <-l.ended:
			return 0, transport.Stdout, io.EOF
		}
	}
	n := copy(p, l.rest.p)
	l.rest.p = l.rest.p[n:]
	return n, l.rest.ch, nil
}

func (l *local) Write(p []byte) (int, error)   { return l.stdin.Write(p) }
func (l *local) TryWrite([]byte) bool          { return false }
func (l *local) CloseWrite() error             { return l.stdin.Close() }
func (l *local) Resize(transport.Size, func()) {}
func (l *local) Kind() transport.Kind          { return transport.SPDY }

func (l *local) Result() transport.Result {
	<-l.ended
	code := l.cmd.ProcessState.ExitCode()
	return transport.Result{ExitCode: &code}
}

func (l *local) Close() error {
	l.once.Do(func() {
		_ = l.stdin.Close()
		_ = syscall.Kill(-l.cmd.Process.Pid, syscall.SIGKILL)
		go func() {
			for {
				select {
				case <-l.said:
				case <-l.ended:
					return
				}
			}
		}()
	})
	return nil
}

// copier carries files to and from a folder of this machine.
type copier struct {
	*rig
	dir string
}

func newCopier(t *testing.T) *copier {
	c := &copier{rig: newRig(t), dir: t.TempDir()}
	c.set.MaxFile, c.set.Resume = 64<<20, grace
	c.up.dial = func(req transport.Request) (transport.Stream, error) { return startLocal(c.dir, req) }
	return c
}

// outcome is what a client has of a copy.
type outcome struct {
	data   []byte
	hello  map[string]any
	closed map[string]any
	err    map[string]any
}

func (o outcome) file() map[string]any {
	f, _ := o.closed["file"].(map[string]any)
	return f
}

// carry copies one file, sending data where it goes in. Its connection is cut some
// times on the way.
func (c *copier) carry(f File, data []byte, cuts int) outcome {
	c.t.Helper()
	req := c.request()
	req.Command, req.TTY, req.File = nil, false, &f
	ticket, err := c.ss.Admit(c.t.Context(), req)
	if err != nil {
		return outcome{err: map[string]any{"code": fault.KindOf(err).Code(), "message": fault.PublicOf(err)}}
	}
	conn := newPipeConn()
	conn.toClient = make(chan message)
	c.ss.Serve(ticket, conn, true)
	var o outcome
	var token, id string
	sent, window, acked, eof := int64(0), int64(0), int64(0), f.Op == Get
	deadline := time.After(30 * time.Second)
	for o.closed == nil {
		var out chan<- message
		var next message
		n := min(int64(len(data))-sent, 50_000, window-(sent-acked))
		switch {
		case window == 0:
		case n > 0:
			out, next = conn.toServer, message{true, data[sent : sent+n]}
		case sent == int64(len(data)) && !eof:
			out, next = conn.toServer, message{false, []byte(`{"type":"eof"}`)}
		}
		select {
		case out <- next:
			if sent += n; !next.binary {
				eof = true
			}
		case m := <-conn.toClient:
			if m.binary {
				o.data = append(o.data, m.data...)
				conn.control(c.t, map[string]any{"type": "ack", "offset": len(o.data)})
				break
			}
			switch m := m.frame(); m["type"] {
			case "hello":
				o.hello, window = m, int64(m["stdinWindow"].(float64))
				if issued, yes := m["resumeToken"].(string); yes {
					token, id = issued, m["sessionId"].(string)
				}
				sent = int64(m["stdinOffset"].(float64))
				conn.control(c.t, map[string]any{"type": "ping", "id": 1})
			case "stdin_ack":
				acked = int64(m["offset"].(float64))
			case "error":
				o.err = m
			case "closed":
				o.closed = m
			}
		case <-conn.gone:
			c.t.Fatal("the connection broke")
		case <-deadline:
			c.t.Fatalf("no end: %+v", o)
		}
		if cuts > 0 && (len(o.data) > 1<<20 || sent > 1<<20) && o.closed == nil && rand.IntN(8) == 0 {
			cuts--
			conn.Abort()
			conn = newPipeConn()
			conn.toClient = make(chan message)
			offset := int64(len(o.data))
			if err := c.ss.Attach(c.t.Context(), c.request(), Attach{SessionID: id, Token: token, Offset: &offset}, conn); err != nil {
				c.t.Fatal(err)
			}
			window = 0
		}
	}
	return o
}

func sumOf(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

func (c *copier) write(name string, data []byte) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), data, 0o640); err != nil {
		c.t.Fatal(err)
	}
}

func (c *copier) done() {
	c.t.Helper()
	c.ss.mu.Lock()
	for _, s := range c.ss.live {
		s.resume.told = true
	}
	c.ss.mu.Unlock()
	deadline := time.Now().Add(20 * time.Second)
	for c.known() > 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	c.free()
	left, err := filepath.Glob(filepath.Join(c.dir, ".periscope-*"))
	if err != nil || len(left) > 0 {
		c.t.Errorf("left behind: %v %v", left, err)
	}
}

var awkward = "a name\nof two lines; rm -rf $HOME 'and' \"quotes\" -n"

func TestAFileGoesOut(t *testing.T) {
	c := newCopier(t)
	data := randomBytes(rand.New(rand.NewPCG(1, 1)), 5<<20)
	data[7], data[8] = 0x03, 0xff // nothing is a key here
	for name, content := range map[string][]byte{"plain": data, awkward: data[:1000], "-n": data[:1], "empty": nil} {
		c.write(name, content)
		for _, path := range []string{name, filepath.Join(c.dir, name)} {
			o := c.carry(File{Op: Get, Path: path}, nil, 10)
			if !bytes.Equal(o.data, content) || o.closed["reason"] != "completed" || o.closed["exitCode"] != 0.0 {
				t.Errorf("%q: %d of %d bytes came; %v %v", path, len(o.data), len(content), o.closed, o.err)
			}
			if f := o.file(); f["sha256"] != sumOf(content) || f["bytes"] != float64(len(content)) {
				t.Errorf("%q: %v", path, f)
			}
			if f := o.hello["file"].(map[string]any); f["directory"] != false || f["size"] != float64(len(content)) {
				t.Errorf("%q: found %v", path, f)
			}
		}
	}
	c.done()
	ends := c.audit.of(audit.ExecEnd, audit.Completed)
	found := false
	for _, e := range ends {
		found = found || e.Extra["file_path"] == audit.OneLine(awkward, maxPath) && e.Extra["file_sha256"] == sumOf(data[:1000]) && e.Extra["file_op"] == string(Get)
	}
	if !found {
		t.Errorf("audit %+v", ends)
	}
}

func TestAFileGoesIn(t *testing.T) {
	c := newCopier(t)
	data := randomBytes(rand.New(rand.NewPCG(2, 1)), 5<<20)
	data[7], data[8] = 0x03, 0xff
	if err := os.Mkdir(filepath.Join(c.dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.write("there", []byte("old"))
	if err := os.Chmod(filepath.Join(c.dir, "there"), 0o751); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		file File
		at   string
		data []byte
	}{
		{File{Op: Put, Path: "new"}, "new", data},
		{File{Op: Put, Path: "there", Name: "other"}, "there", data[:100]},
		{File{Op: Put, Path: "folder", Name: awkward}, "folder/" + awkward, data[:1<<20]},
		{File{Op: Put, Path: "folder/", Name: "empty"}, "folder/empty", nil},
	} {
		f.file.Size = int64(len(f.data))
		o := c.carry(f.file, f.data, 10)
		if o.closed["reason"] != "completed" || o.closed["exitCode"] != 0.0 || len(o.data) > 0 {
			t.Errorf("%v: %v %v, %d bytes back", f.file, o.closed, o.err, len(o.data))
		}
		if done := o.file(); done["sha256"] != sumOf(f.data) || done["verified"] != true {
			t.Errorf("%v: %v", f.file, done)
		}
		got, err := os.ReadFile(filepath.Join(c.dir, f.at))
		if err != nil || !bytes.Equal(got, f.data) {
			t.Errorf("%v: %d of %d bytes are there (%v)", f.file, len(got), len(f.data), err)
		}
	}
	if info, err := os.Stat(filepath.Join(c.dir, "there")); err != nil || info.Mode().Perm() != 0o751 {
		t.Errorf("the mode of what was there: %v %v", info.Mode(), err)
	}
	c.done()
}

func TestFoldersGoAsArchives(t *testing.T) {
	c := newCopier(t)
	if err := os.MkdirAll(filepath.Join(c.dir, "from/deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.write("from/deep/a", []byte("content"))
	o := c.carry(File{Op: Get, Path: "from"}, nil, 0)
	if o.hello["file"].(map[string]any)["directory"] != true || o.closed["exitCode"] != 0.0 {
		t.Fatalf("%v %v", o.hello, o.closed)
	}
	found := ""
	for r := tar.NewReader(bytes.NewReader(o.data)); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		if strings.HasSuffix(h.Name, "deep/a") {
			p, _ := io.ReadAll(r)
			found = string(p)
		}
	}
	if found != "content" {
		t.Errorf("the archive of %d bytes has %q", len(o.data), found)
	}
	if err := os.Mkdir(filepath.Join(c.dir, "to"), 0o755); err != nil {
		t.Fatal(err)
	}
	if o := c.carry(File{Op: Unpack, Path: "to", Size: int64(len(o.data))}, o.data, 0); o.closed["exitCode"] != 0.0 {
		t.Errorf("%v %v", o.closed, o.err)
	}
	if got, err := os.ReadFile(filepath.Join(c.dir, "to/deep/a")); err != nil || string(got) != "content" {
		t.Errorf("unpacked %q (%v)", got, err)
	}
	c.done()
}

// TestFilesThatDoNotGo: each gets a sentence of its own, and changes nothing.
func TestFilesThatDoNotGo(t *testing.T) {
	c := newCopier(t)
	c.set.MaxFile = 1 << 20
	c.write("big", make([]byte, 1<<20+1))
	c.write("small", []byte("small"))
	if err := os.Mkdir(filepath.Join(c.dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(c.dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		file File
		code string
		says string
	}{
		"nothing there":   {File{Op: Get, Path: "nowhere"}, "E_NOT_FOUND", `There is no "nowhere" in container app.`},
		"a fifo":          {File{Op: Get, Path: "pipe"}, "E_INVALID_REQUEST", "neither a file nor a folder"},
		"a device":        {File{Op: Get, Path: "/dev/zero"}, "E_INVALID_REQUEST", "neither a file nor a folder"},
		"over the limit":  {File{Op: Get, Path: "big"}, "E_TOO_LARGE", "at most 1.0 MiB are copied here"},
		"announced big":   {File{Op: Put, Path: "x", Size: 2 << 30}, "E_TOO_LARGE", "The file has 2048.0 MiB"},
		"no folder":       {File{Op: Put, Path: "no/x", Size: 1}, "E_NOT_FOUND", "There is no folder"},
		"a folder's name": {File{Op: Put, Path: "folder", Size: 1}, "E_CONFLICT", "is a folder"},
		"over a fifo":     {File{Op: Put, Path: "pipe", Size: 1}, "E_INVALID_REQUEST", "neither a file nor a folder"},
		"no op":           {File{Op: "mv", Path: "x"}, "E_INVALID_REQUEST", "its op must be"},
		"no path":         {File{Op: Get}, "E_INVALID_REQUEST", "its path"},
		"a NUL":           {File{Op: Get, Path: "a\x00b"}, "E_INVALID_REQUEST", "its path"},
		"a long path":     {File{Op: Get, Path: strings.Repeat("a", 4097)}, "E_INVALID_REQUEST", "its path"},
		"a crooked name":  {File{Op: Put, Path: "folder", Name: "../x", Size: 1}, "E_INVALID_REQUEST", "its name"},
		"dots":            {File{Op: Put, Path: "folder", Name: "..", Size: 1}, "E_INVALID_REQUEST", "its name"},
		"a negative size": {File{Op: Put, Path: "x", Size: -1}, "E_INVALID_REQUEST", "its size"},
		"no archive":      {File{Op: Unpack, Path: "nowhere", Size: 1}, "E_NOT_FOUND", "There is no folder"},
	} {
		o := c.carry(want.file, []byte("x"), 0)
		said, _ := o.err["message"].(string)
		if o.err["code"] != want.code || !strings.Contains(said, want.says) {
			t.Errorf("%s: %v", name, o.err)
		}
	}
	c.set.MaxFile = 0
	if o := c.carry(File{Op: Get, Path: "small"}, nil, 0); o.err["code"] != "E_EXEC_DISABLED" {
		t.Errorf("switched off: %v", o.err)
	}
	c.done()
}

// TestAFullDisk says what the container's program said, and leaves what was there.
func TestAFullDisk(t *testing.T) {
	c := newCopier(t)
	c.write("there", []byte("old"))
	c.up.dial = func(req transport.Request) (transport.Stream, error) {
		if len(req.Command) > 4 && req.Command[2] == putFile {
			req.Command = append([]string{"sh", "-c", "ulimit -f 64; trap '' XFSZ; exec \"$@\"", "limited"}, req.Command...)
		}
		return startLocal(c.dir, req)
	}
	o := c.carry(File{Op: Put, Path: "there", Size: 1 << 20}, make([]byte, 1<<20), 0)
	if said, _ := o.closed["message"].(string); o.closed["exitCode"] == 0.0 || !strings.HasPrefix(said, "The copy failed: ") || !strings.Contains(said, "File too large") {
		t.Errorf("%v %v", o.closed, o.err)
	}
	if got, err := os.ReadFile(filepath.Join(c.dir, "there")); err != nil || string(got) != "old" {
		t.Errorf("what was there is now %q (%v)", got, err)
	}
	c.done()
}

// TestALimitOnTheWay: a file that grows, or whose size nobody knew, ends at the
// limit.
func TestALimitOnTheWay(t *testing.T) {
	tr := newTransfer(File{Op: Get}, 10)
	if err := tr.ready("file=", "app"); err != nil {
		t.Fatal(err)
	}
	if tr.carries(transport.Stdout, make([]byte, 10)); tr.over() {
		t.Error("at the limit is not over it")
	}
	if tr.carries(transport.Stdout, []byte{1}); !tr.over() {
		t.Error("one byte over the limit was taken")
	}
	if h := tr.hello(); h.Size != nil {
		t.Errorf("a size that nobody knows: %d", *h.Size)
	}
}

// TestACopyThatIsLeft ends with the session, and takes its half file along.
func TestACopyThatIsLeft(t *testing.T) {
	c := newCopier(t)
	c.set.Resume = 0
	req := c.request()
	req.Command, req.TTY, req.File = nil, false, &File{Op: Put, Path: "new", Size: 100}
	ticket, err := c.ss.Admit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	conn := newPipeConn()
	c.ss.Serve(ticket, conn, true)
	for m := range conn.toClient {
		if !m.binary && m.frame()["type"] == "hello" {
			break
		}
	}
	conn.send(true, "half")
	conn.Abort()
	c.done()
	if _, err := os.Stat(filepath.Join(c.dir, "new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a file is there: %v", err)
	}
}

func FuzzTransferReports(f *testing.F) {
	for _, found := range []string{"file=12", "file=", "directory", "ready", "none", "file=-1", "file=99999999999999999999"} {
		f.Add(string(Get), found)
		f.Add(string(Put), found)
	}
	f.Fuzz(func(t *testing.T, op, found string) {
		tr := newTransfer(File{Op: FileOp(op), Path: "x", Size: 5}, 100)
		if err := tr.ready(found, "app"); err == nil && (tr.size > 100 || tr.size < -1) {
			t.Errorf("%s %q: a size of %d", op, found, tr.size)
		}
	})
}
