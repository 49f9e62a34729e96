package node

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/periscope-console/periscope/devcluster/shim"
)

// image is what a name stands for. Nothing is ever pulled: a name is a label,
// unless the user mapped it to a folder, or it asks for something special.
type image struct {
	name    string
	folder  string   // root file system; empty: the host's programs
	bare    bool     // nothing but one static program
	command []string // when the pod names none
	env     []string
	user    uint32 // and its group, when the pod names none
}

// nonroot is the user of distroless images whose tag says so.
const nonroot = 65532

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// errPull is an image that does not exist: names of the domain .invalid.
type errPull struct{ name string }

func (e errPull) Error() string {
	return fmt.Sprintf("failed to pull and unpack image %q: failed to resolve reference %q: %s: not found", e.name, e.name, e.name)
}

// resolveImage finds an image; interactive says that the container keeps its
// standard input open, as one does for a shell.
func resolveImage(name string, folders map[string]string, interactive bool) (image, error) {
	im := image{name: name, env: []string{defaultPath}}
	host, _, _ := strings.Cut(name, "/")
	switch folder, ok := mapped(name, folders); {
	case ok:
		im.folder = folder
		if info, err := os.Stat(filepath.Join(folder, "entrypoint")); err == nil && !info.IsDir() {
			im.command = []string{"/entrypoint"}
		}
	case strings.HasSuffix(host, ".invalid"):
		return im, errPull{name}
	case strings.Contains(name, "distroless"):
		im.bare = true
		im.command = []string{shim.ProgramPath}
		if strings.HasSuffix(name, "nonroot") {
			im.user = nonroot
		}
	default:
		im.env = append(im.env, "LANG=C.UTF-8")
		im.command = []string{"sleep", "infinity"}
		if interactive {
			im.command = []string{"sh"}
		}
	}
	return im, nil
}

// mapped looks for the full name first, then for the name without its tag.
func mapped(name string, folders map[string]string) (string, bool) {
	if folder, ok := folders[name]; ok {
		return folder, true
	}
	bare, _, _ := strings.Cut(name, "@")
	if i := strings.LastIndexByte(bare, ':'); i > strings.LastIndexByte(bare, '/') {
		bare = bare[:i]
	}
	folder, ok := folders[bare]
	return folder, ok
}

// id looks like the digest a registry would answer.
func (im image) id() string {
	repository, _, _ := strings.Cut(im.name, "@")
	if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
		repository = repository[:i]
	}
	return fmt.Sprintf("%s@sha256:%x", repository, sha256.Sum256([]byte(im.name)))
}
