package podexec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// A file goes in or out as a v2 session without a terminal, whose command is a
// script of ours: so it comes back after a lost connection, counts for the caps,
// stands on the same right and is in audit as any shell is. What the container
// prints is the file; what it complains of is the reason of the end.

// FileOp says which way a file goes.
type FileOp string

const (
	// Get reads a file, or a directory as a tar archive.
	Get FileOp = "get"
	// Put writes a file whole, or not at all.
	Put FileOp = "put"
	// Unpack writes what a tar archive holds into a directory.
	Unpack FileOp = "unpack"
)

// File is one file to carry, or one directory as a tar archive.
type File struct {
	Op FileOp
	// Path is where it is in the container; relative to the working directory of
	// its image where it does not begin with a slash.
	Path string
	// Name is the name that it gets where Path is a directory (Put).
	Name string
	// Size is how many bytes will come (Put, Unpack); -1 for an archive of which
	// nobody knows it.
	Size int64
}

const (
	maxPath = 4096
	maxName = 255
	// fileWindow is what a transfer may leave unacknowledged, each way: 20 MB/s over
	// a round trip of 50 ms.
	fileWindow = 1 << 20
	// maxComplaint bounds what is kept of the script's stderr, and of its stdout
	// where that is no file.
	maxComplaint = 1 << 10
)

// check bounds what came from outside.
func (f *File) check(limit int64) error {
	switch {
	case f.Op != Get && f.Op != Put && f.Op != Unpack:
		return badFile("its op must be get, put or unpack")
	case f.Path == "" || len(f.Path) > maxPath || strings.ContainsRune(f.Path, 0):
		return badFile(fmt.Sprintf("its path must have 1 to %d bytes and no NUL", maxPath))
	case f.Name == "." || f.Name == ".." || len(f.Name) > maxName || strings.ContainsAny(f.Name, "/\x00"):
		return badFile(fmt.Sprintf("its name must have at most %d bytes and no slash", maxName))
	case f.Size < 0 && (f.Op != Unpack || f.Size < -1):
		return badFile("its size cannot be negative")
	case f.Size > limit:
		return tooBig(f.Size, limit)
	}
	return nil
}

func badFile(why string) error {
	return fault.New(fault.Invalid, "podexec.File", "The file cannot be copied: %s.", why)
}

func tooBig(size, limit int64) error {
	return fault.New(fault.TooLarge, "podexec.File",
		"The file has %s, and at most %s are copied here. Copy less at a time, or ask whoever runs this server to raise PERISCOPE_EXEC_MAX_FILE_MIB.",
		mebibytes(size), mebibytes(limit))
}

func mebibytes(n int64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB" }

// The scripts say first what they found, in the report of startShell, in the
// place of the shell's name. $1 is the nonce, $2 the path.
const (
	foundFile  = "file="     // and its size, where that is known
	foundDir   = "directory" // to be packed by tar
	foundReady = "ready"     // to be written
)

const startFile = `n=$1 p=$2 s= t=
z=$3 name=$4
{ read -r s </proc/$$/stat; } 2>/dev/null && { s=${s##*) }; set -- $s; t=${20}; }
report() { printf '\001periscope:%s:%s:%s:%s\002' "$n" "$$" "$t" "$1"; }
have() { command -v "$1" >/dev/null 2>&1; }
case $p in -*) p=./$p;; esac
`

const getFile = startFile + `
if [ -d "$p" ]; then
	have tar || { report notar; exit 0; }
	cd "$p" 2>/dev/null || { report denied; exit 0; }
	report directory
	exec tar cf - .
fi
[ -e "$p" ] || { report none; exit 0; }
[ -f "$p" ] || { report special; exit 0; }
[ -r "$p" ] || { report denied; exit 0; }
have cat || { report nocat; exit 0; }
z=
have wc && z=$(wc -c <"$p")
report "file=${z##* }"
exec cat "$p"`

// putFile opens what it writes itself: a child that did might do so only after the
// trap of its parent had removed it.
const putFile = startFile + `
[ -d "$p" ] && { [ "$name" ] || { report isdir; exit 0; }; p=${p%/}/$name; }
[ -d "$p" ] && { report isdir; exit 0; }
d=.
case $p in */*) d=${p%/*}; [ "$d" ] || d=/;; esac
[ -d "$d" ] || { report none; exit 0; }
[ -w "$d" ] || { report denied; exit 0; }
[ ! -e "$p" ] || [ -f "$p" ] || { report special; exit 0; }
have cat && have wc && have mv && have rm || { report nocat; exit 0; }
new=$d/.periscope-$n
trap 'rm -f "$new"' 0
trap '[ -z "$!" ] || kill "$!" 2>/dev/null; exit 1' 1 2 13 15
true 2>/dev/null >"$new" || { report denied; exit 0; }
exec 3<&0 4>"$new"
if [ -f "$p" ] && have stat && have chmod; then m=$(stat -c %a "$p" 2>/dev/null) && chmod "$m" "$new"; fi
report ready
cat <&3 >&4 &
exec 4>&-
wait "$!" || exit 1
trap 'exit 1' 1 2 13 15
got=$(wc -c <"$new")
[ "${got##* }" = "$z" ] || { echo "only ${got##* } of $z bytes came" >&2; exit 1; }
sum=
have sha256sum && sum=$(sha256sum <"$new")
mv -f "$new" "$p" || exit 1
echo "${sum%% *}"`

const unpackFiles = startFile + `
[ -d "$p" ] || { report none; exit 0; }
[ -w "$p" ] || { report denied; exit 0; }
have tar || { report notar; exit 0; }
cd "$p" 2>/dev/null || { report denied; exit 0; }
report ready
tar xf - || exit 1`

var fileScripts = map[FileOp]string{Get: getFile, Put: putFile, Unpack: unpackFiles}

func (f *File) command(nonce string) []string {
	return []string{"sh", "-c", fileScripts[f.Op], "periscope", nonce, f.Path, strconv.FormatInt(f.Size, 10), f.Name}
}

// transfer is a file on its way.
type transfer struct {
	File
	limit int64
	found string // what the script reported
	size  int64  // as the container or the client says; -1 where nobody knows

	mu     sync.Mutex
	sum    hash.Hash // of what was carried
	bytes  int64
	said   bytes.Buffer // the script's stdout, where that is no file
	groans bytes.Buffer // its stderr
}

func newTransfer(f File, limit int64) *transfer {
	return &transfer{File: f, limit: limit, size: -1, sum: sha256.New()}
}

// ready takes what the script has found. An error is why nothing will be carried.
func (t *transfer) ready(found, container string) error {
	t.found = found
	size, isFile := strings.CutPrefix(found, foundFile)
	switch {
	case t.Op == Get && isFile:
		if n, err := strconv.ParseInt(size, 10, 64); err == nil && n >= 0 {
			t.size = n
		}
		if t.size > t.limit {
			return tooBig(t.size, t.limit)
		}
		return nil
	case t.Op == Get && found == foundDir:
		return nil
	case t.Op != Get && found == foundReady:
		t.size = t.Size
		return nil
	}
	return t.unready(container)
}

func (t *transfer) unready(container string) error {
	path := audit.OneLine(t.Path, 256)
	say := func(kind fault.Kind, format string, args ...any) error {
		return fault.New(kind, "podexec.File", format, args...)
	}
	switch t.found {
	case "none":
		if t.Op == Get {
			return say(fault.NotFound, "There is no %q in container %s. Check the path.", path, container)
		}
		return say(fault.NotFound, "There is no folder for %q in container %s. Make it first, or check the path.", path, container)
	case "denied":
		return say(fault.Forbidden, "The user that container %s runs as has no access to %q. Choose another path, such as one below /tmp.", container, path)
	case "isdir":
		return say(fault.Conflict, "In container %s %q is a folder. Name the file that is to be written.", container, path)
	case "special":
		return say(fault.Invalid, "In container %s %q is neither a file nor a folder, and cannot be copied.", container, path)
	case "notar":
		return say(fault.Unprocessable, "The image of container %s has no tar, so whole folders cannot be copied. Copy single files.", container)
	case "nocat":
		return say(fault.Unprocessable, "The image of container %s lacks the programs that copying needs (cat, wc, mv, rm). Use a debug container.", container)
	}
	return say(fault.Internal, "The container did not say what is at %q. Try again.", path)
}

// carries takes what the container printed. It is false where that is not for the
// client.
func (t *transfer) carries(ch transport.Channel, p []byte) bool {
	if t.Op == Get && ch == transport.Stdout {
		t.count(p)
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	note := &t.groans
	if ch == transport.Stdout {
		note = &t.said
	}
	note.Write(p[:min(len(p), maxComplaint-note.Len())])
	return false
}

func (t *transfer) count(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Write(p)
	t.bytes += int64(len(p))
}

// over reports whether more has come than may.
func (t *transfer) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Op == Get || t.Size < 0 {
		return t.bytes > t.limit
	}
	return t.bytes > t.Size
}

// carries takes what the container printed in the place of a shell's output. It is
// false where that is not for the client.
func (s *session) carries(ch transport.Channel, p []byte) bool {
	mine := s.file.carries(ch, p)
	if s.file.over() {
		s.finish(refusal(tooBig(s.file.result().Bytes, s.file.limit)))
	}
	return mine
}

// countStdin takes what was handed to the container, in its order.
func (s *session) countStdin(p []byte) {
	if s.file == nil || s.file.Op == Get {
		return
	}
	s.file.count(p)
	switch {
	case !s.file.over():
	case s.file.Size < 0:
		s.finish(refusal(tooBig(s.file.result().Bytes, s.file.limit)))
	default:
		s.finish(refusal(fault.New(fault.Protocol, "podexec.File", "More came than the %d bytes that were announced. Copy the file again.", s.file.Size)))
	}
}

// hello says what was found.
func (t *transfer) hello() *fileHello {
	h := &fileHello{Directory: t.found == foundDir}
	if t.size >= 0 {
		h.Size = &t.size
	}
	return h
}

// carried is what audit and the client are told.
type carried struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Verified says that the container has the same sum.
	Verified bool `json:"verified"`
}

func (t *transfer) result() *carried {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := hex.EncodeToString(t.sum.Sum(nil))
	return &carried{Bytes: t.bytes, SHA256: sum, Verified: strings.TrimSpace(t.said.String()) == sum}
}

// verdict is how the copy ended, where its script did by itself.
func (t *transfer) verdict(e ending) ending {
	if e.reason != Exited || e.exitCode == nil {
		return e
	}
	done := t.result()
	there := strings.TrimSpace(t.said.String())
	switch {
	case *e.exitCode != 0:
		e.message = "The copy failed: " + t.complaint(*e.exitCode)
	case t.Op == Put && there != "" && !done.Verified:
		one := 1
		e.exitCode = &one
		e.message = "The copy in the container is not what was sent: its sums differ. Copy it again."
	default:
		e.message = fmt.Sprintf("Copied %d bytes.", done.Bytes)
	}
	return e
}

// complaint is the last line of the script's stderr.
func (t *transfer) complaint(code int) string {
	lines := strings.Split(strings.TrimSpace(t.groans.String()), "\n")
	if last := audit.OneLine(lines[len(lines)-1], 256); last != "" {
		return strings.TrimSuffix(last, ".") + "."
	}
	return fmt.Sprintf("its program ended with exit code %d.", code)
}
