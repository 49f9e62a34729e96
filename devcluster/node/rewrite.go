package node

import (
	"slices"
	"strings"

	"github.com/periscope-console/periscope/devcluster/shim"
)

// rewritten leads a process that has no file system of its own to its volumes:
// wherever a mount path stands in its command, environment or working folder,
// it becomes the folder on the host. A path that a program has built in is not
// found; that is the limit of running without namespaces.
func rewritten(p shim.Process, mounts []shim.Mount) shim.Process {
	if len(mounts) == 0 {
		return p
	}
	mounts = slices.Clone(mounts)
	// Longer paths first, so that a volume inside another one is found.
	slices.SortFunc(mounts, func(a, b shim.Mount) int { return len(b.Target) - len(a.Target) })
	p.Args = slices.Clone(p.Args)
	for i := range p.Args {
		p.Args[i] = rewrite(p.Args[i], mounts)
	}
	p.Env = slices.Clone(p.Env)
	for i := range p.Env {
		name, value, _ := strings.Cut(p.Env[i], "=")
		p.Env[i] = name + "=" + rewrite(value, mounts)
	}
	p.Dir = rewrite(p.Dir, mounts)
	return p
}

// rewrite replaces whole path elements only: /data, but not /database.
func rewrite(s string, mounts []shim.Mount) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		m, ok := mountAt(s, i, mounts)
		if !ok {
			out.WriteByte(s[i])
			i++
			continue
		}
		out.WriteString(m.Source)
		i += len(strings.TrimSuffix(m.Target, "/"))
	}
	return out.String()
}

func mountAt(s string, i int, mounts []shim.Mount) (shim.Mount, bool) {
	if i > 0 && isPathByte(s[i-1]) {
		return shim.Mount{}, false
	}
	for _, m := range mounts {
		target := strings.TrimSuffix(m.Target, "/")
		rest, ok := strings.CutPrefix(s[i:], target)
		if ok && target != "" && (rest == "" || rest[0] == '/' || !isPathByte(rest[0])) {
			return m, true
		}
	}
	return shim.Mount{}, false
}

// isPathByte: the byte may belong to the name of a file.
func isPathByte(b byte) bool {
	return b == '/' || b == '.' || b == '_' || b == '-' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
}
