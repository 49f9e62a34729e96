package shim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// hostFolders are what a container without an image of its own sees of the
// host: the programs and what they need, but nobody's home.
var hostFolders = []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "opt"}

// skeleton are the folders every container has.
var skeleton = []struct {
	path string
	mode os.FileMode
}{
	{"proc", 0o555}, {"sys", 0o555}, {"dev", 0o755}, {"etc", 0o755}, {"run", 0o755}, {"tmp", os.ModeSticky | 0o777},
	{"root", 0o700}, {"home", 0o755}, {"srv", 0o755}, {"mnt", 0o755}, {"media", 0o755},
}

// varSkeleton completes a container that has no image.
var varSkeleton = []string{"var/cache", "var/lib", "var/log", "var/spool", "var/www"}

// enter makes the container's root file system and moves into it. All of it is
// mounted inside this process's own mount namespace and vanishes with it.
func (b *Boot) enter() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Sethostname([]byte(b.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	root, err := b.Root.build()
	if err != nil {
		return err
	}
	b.writeFiles(root)
	for _, step := range []func(string) error{mountKernel, b.bindVolumes, pivot} {
		if err := step(root); err != nil {
			return err
		}
	}
	return nil
}

// build assembles the tree that becomes the root.
func (r Root) build() (string, error) {
	options := fmt.Sprintf("mode=0755,size=%d", r.ScratchSize)
	if err := syscall.Mount("tmpfs", r.Scratch, "tmpfs", 0, options); err != nil {
		return "", fmt.Errorf("mount scratch: %w", err)
	}
	root := filepath.Join(r.Scratch, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return "", err
	}
	var err error
	switch {
	case r.Folder != "":
		err = r.overlay(r.Folder, root, "image")
	case r.Bare:
		err = r.bare(root)
	default:
		err = r.host(root)
	}
	if err != nil {
		return "", err
	}
	return root, makeSkeleton(root)
}

// overlay shows lower at target; what is written there goes to the scratch.
func (r Root) overlay(lower, target, name string) error {
	upper := filepath.Join(r.Scratch, "upper", name)
	work := filepath.Join(r.Scratch, "work", name)
	for _, dir := range []string{upper, work, target} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	options := "lowerdir=" + escape(lower) + ",upperdir=" + escape(upper) + ",workdir=" + escape(work)
	err := syscall.Mount("overlay", target, "overlay", 0, options)
	if err == nil {
		return nil
	}
	// A kernel without overlayfs here: readable at least.
	if bindErr := bind(lower, target, true); bindErr != nil {
		return fmt.Errorf("mount %s: %w", lower, errors.Join(err, bindErr))
	}
	return nil
}

// escape protects what separates overlay options.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, ",", `\,`, ":", `\:`).Replace(path)
}

func (r Root) host(root string) error {
	for _, name := range hostFolders {
		info, err := os.Lstat("/" + name)
		switch {
		case err != nil:
			continue
		case info.Mode()&os.ModeSymlink != 0:
			target, err := os.Readlink("/" + name)
			if err != nil {
				return err
			}
			if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
				return err
			}
		case name == "etc" && r.Foreign:
			if err := copyReadable("/etc", filepath.Join(root, "etc")); err != nil {
				return err
			}
		case info.IsDir():
			if err := r.overlay("/"+name, filepath.Join(root, name), name); err != nil {
				return err
			}
		}
	}
	for _, dir := range varSkeleton {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink("../run", filepath.Join(root, "var/run")); err != nil {
		return err
	}
	return bindHostMounts(root)
}

// maxCopied bounds a file worth copying, in bytes.
const maxCopied = 1 << 20

// copyReadable copies what this user may read, without owners.
func copyReadable(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir // not readable
		}
		target := to + strings.TrimPrefix(path, from)
		switch {
		case d.IsDir():
			return os.Mkdir(target, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			if link, err := os.Readlink(path); err == nil {
				return os.Symlink(link, target)
			}
		case d.Type().IsRegular():
			if info, err := d.Info(); err == nil && info.Size() <= maxCopied {
				if data, err := os.ReadFile(path); err == nil {
					return os.WriteFile(target, data, info.Mode().Perm()|0o200)
				}
			}
		}
		return nil
	})
}

// bindHostMounts shows file systems and files that are mounted below the
// host's folders, which an overlay leaves out.
func bindHostMounts(root string) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || !belowHostFolder(fields[4]) {
			continue
		}
		// Not essential: a mount that cannot be shown is left out.
		_ = bindInto(root, fields[4], fields[4], true)
	}
	return nil
}

func belowHostFolder(path string) bool {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return rest != "" && slices.Contains(hostFolders, first) && !strings.Contains(path, `\`)
}

// bare holds one static program, as an image built from scratch does.
func (r Root) bare(root string) error {
	passwd := "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(passwd), 0o644); err != nil {
		return err
	}
	return placeProgram(root)
}

// placeProgram binds this program's file, or the one that has replaced it since. A
// file that was deleted cannot be bound and is copied.
func placeProgram(root string) error {
	self, err := os.Executable()
	if err == nil && bindInto(root, self, ProgramPath, true) == nil {
		return nil
	}
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(root, ProgramPath), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := out.ReadFrom(in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

func makeSkeleton(root string) error {
	for _, s := range skeleton {
		path := filepath.Join(root, s.path)
		if err := os.Mkdir(path, s.mode.Perm()); err != nil {
			if errors.Is(err, os.ErrExist) {
				continue
			}
			return err
		}
		if err := os.Chmod(path, s.mode); err != nil {
			return err
		}
	}
	shared := filepath.Join(root, "var/tmp")
	if err := os.MkdirAll(shared, 0o777); err != nil {
		return err
	}
	return os.Chmod(shared, os.ModeSticky|0o777)
}

func (b *Boot) writeFiles(root string) {
	for _, f := range b.Files {
		path := filepath.Join(root, f.Path)
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink != 0 {
			os.Remove(path) // resolv.conf often leads to a folder that is not here
		}
		// A root that is read only keeps the host's file, which does as well.
		_ = os.WriteFile(path, []byte(f.Content), 0o644)
	}
}

// mountKernel mounts what the kernel offers: processes, devices, terminals.
func mountKernel(root string) error {
	at := func(name string) string { return filepath.Join(root, name) }
	if err := syscall.Mount("proc", at("proc"), "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// Not essential, and not allowed in every sandbox.
	_ = syscall.Mount("sysfs", at("sys"), "sysfs", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC|syscall.MS_RDONLY, "")
	if err := syscall.Mount("tmpfs", at("dev"), "tmpfs", syscall.MS_NOSUID, "mode=0755,size=65536"); err != nil {
		return fmt.Errorf("mount /dev: %w", err)
	}
	for _, dir := range []string{"dev/pts", "dev/shm"} {
		if err := os.Mkdir(at(dir), 0o755); err != nil {
			return err
		}
	}
	if err := mountTerminals(at("dev/pts")); err != nil {
		return fmt.Errorf("mount /dev/pts: %w", err)
	}
	if err := syscall.Mount("tmpfs", at("dev/shm"), "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=1777,size=67108864"); err != nil {
		return fmt.Errorf("mount /dev/shm: %w", err)
	}
	return makeDevices(at("dev"))
}

func mountTerminals(path string) error {
	err := syscall.Mount("devpts", path, "devpts", syscall.MS_NOSUID|syscall.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5")
	if err != nil { // group 5 may not exist in a user namespace
		err = syscall.Mount("devpts", path, "devpts", syscall.MS_NOSUID|syscall.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
	}
	return err
}

// makeDevices binds the harmless devices of the host, which works without the
// right to make device nodes too.
func makeDevices(dev string) error {
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		path := filepath.Join(dev, name)
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			return err
		}
		if err := syscall.Mount("/dev/"+name, path, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind /dev/%s: %w", name, err)
		}
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	return nil
}

// bindVolumes goes from the outside in, so that a volume inside another one
// stays visible.
func (b *Boot) bindVolumes(root string) error {
	slices.SortStableFunc(b.Mounts, func(a, b Mount) int { return len(filepath.Clean(a.Target)) - len(filepath.Clean(b.Target)) })
	for _, m := range b.Mounts {
		if err := bindInto(root, m.Source, m.Target, m.ReadOnly); err != nil {
			return fmt.Errorf("mount volume at %s: %w", m.Target, err)
		}
	}
	return nil
}

func bindInto(root, source, target string, readOnly bool) error {
	path, err := resolve(root, target)
	if err != nil {
		return err
	}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if err := makeMountPoint(path, info.IsDir()); err != nil {
		return err
	}
	return bind(source, path, readOnly)
}

func makeMountPoint(path string, dir bool) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	if dir {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o644)
}

func bind(source, target string, readOnly bool) error {
	if err := syscall.Mount(source, target, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return err
	}
	if !readOnly {
		return nil
	}
	// In a user namespace the restrictions a mount has must be repeated.
	var st syscall.Statfs_t
	if err := syscall.Statfs(target, &st); err != nil {
		return err
	}
	const restrictions = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC | syscall.MS_NOATIME | syscall.MS_NODIRATIME
	return syscall.Mount("", target, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY|uintptr(st.Flags)&restrictions, "")
}

// resolve follows the symbolic links of path as they will be seen from inside
// the root: an absolute link never leads out of it.
func resolve(root, path string) (string, error) {
	rest := strings.Split(filepath.Clean("/"+path), "/")
	at := "/"
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		next := filepath.Join(at, name)
		target, err := os.Readlink(root + next)
		if err != nil { // not a link, or not there yet
			at = next
			continue
		}
		if links++; links > 40 {
			return "", fmt.Errorf("%s: %w", path, syscall.ELOOP)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return root + at, nil
}

// pivot makes root the root, and lets go of the host's.
func pivot(root string) error {
	if err := syscall.Mount(root, root, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("bind root: %w", err)
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	// The old root comes to lie on top of the new one and is unmounted there.
	if err := syscall.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot root: %w", err)
	}
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount old root: %w", err)
	}
	return os.Chdir("/")
}
