package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// busybox is Debian's busybox-static: one program that needs no library.
const busybox = "/bin/busybox"

// writeImage writes an image archive with busybox under all its names. Without a
// command it sleeps, as a sandbox does.
func writeImage(ctx context.Context, path, name string) error {
	layer, err := busyboxLayer(ctx)
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Env": []string{"PATH=/bin"}, "Entrypoint": []string{"/bin/sleep", "2147483647"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + sum(layer)}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{
		"Config": sum(config) + ".json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return err
	}
	var a archive
	a.file("layer.tar", 0o644, layer)
	a.file(sum(config)+".json", 0o644, config)
	a.file("manifest.json", 0o644, manifest)
	whole, err := a.bytes()
	if err != nil {
		return err
	}
	return os.WriteFile(path, whole, 0o600)
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func busyboxLayer(ctx context.Context) ([]byte, error) {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	names, err := exec.CommandContext(ctx, busybox, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --list: %w", busybox, err)
	}
	var a archive
	for _, folder := range []string{"bin/", "etc/", "proc/", "root/", "sys/", "tmp/"} {
		a.add(&tar.Header{Typeflag: tar.TypeDir, Name: folder, Mode: 0o755}, nil)
	}
	a.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\n"))
	a.file("bin/busybox", 0o755, program)
	for _, applet := range strings.Fields(string(names)) {
		if applet != "busybox" {
			a.add(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777}, nil)
		}
	}
	return a.bytes()
}

// archive is a tar file under way; its first error counts.
type archive struct {
	buf bytes.Buffer
	w   *tar.Writer
	err error
}

func (a *archive) file(name string, mode int64, body []byte) {
	a.add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(body))}, body)
}

func (a *archive) add(h *tar.Header, body []byte) {
	if a.w == nil {
		a.w = tar.NewWriter(&a.buf)
	}
	if a.err == nil {
		a.err = a.w.WriteHeader(h)
	}
	if a.err == nil {
		_, a.err = a.w.Write(body)
	}
}

func (a *archive) bytes() ([]byte, error) {
	if a.err != nil {
		return nil, a.err
	}
	err := a.w.Close()
	return a.buf.Bytes(), err
}
