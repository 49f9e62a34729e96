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

// sandbox is the image that holds a pod's namespaces.
const sandbox = "dev.local/busybox:1"

// images are all that pods can be made of. Without a command each sleeps.
var images = []struct {
	names []string // as the kubelet completes them
	bare  bool     // with nothing but sleep in it
	user  string   // root where it is empty
}{
	{names: []string{sandbox, "docker.io/library/busybox:latest", "dev.local/tools:1"}},
	{names: []string{"docker.io/library/distroless:latest"}, bare: true},
	{names: []string{"docker.io/library/distroless:nonroot"}, bare: true, user: "65532"},
}

// manifest is an image in an archive's manifest.json.
type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// writeImages writes an archive of the images, and of more, as docker save does.
func writeImages(ctx context.Context, path string, more imageFlags) error {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	applets, err := exec.CommandContext(ctx, busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("%s --list: %w", busybox, err)
	}
	var a archive
	var all []manifest
	for _, im := range images {
		layer, err := bareLayer(program)
		if !im.bare {
			layer, err = wholeLayer(program, strings.Fields(string(applets)))
		}
		if err != nil {
			return err
		}
		m, err := a.image(im.names, layer, settings{Env: []string{"PATH=/bin"}, Entrypoint: []string{"/bin/sleep", "2147483647"}, User: im.user})
		if err != nil {
			return err
		}
		all = append(all, m)
	}
	for _, im := range more {
		layer, s, err := readDockerfile(im.dockerfile)
		if err != nil {
			return fmt.Errorf("%s: %w", im.dockerfile, err)
		}
		m, err := a.image([]string{im.name}, layer, s)
		if err != nil {
			return err
		}
		fmt.Printf("Image %s: %.1f MB\n", im.name, float64(len(layer))/1e6)
		all = append(all, m)
	}
	list, err := json.Marshal(all)
	if err != nil {
		return err
	}
	a.file("manifest.json", 0o644, list)
	whole, err := a.bytes()
	if err != nil {
		return err
	}
	return os.WriteFile(path, whole, 0o600)
}

// settings are those of a container, as an image's configuration has them.
type settings struct {
	Env, Entrypoint, Cmd []string
	User                 string
}

// image adds an image of one layer.
func (a *archive) image(names []string, layer []byte, s settings) (manifest, error) {
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": s,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + sum(layer)}},
	})
	m := manifest{Config: sum(config) + ".json", RepoTags: names, Layers: []string{sum(layer) + ".tar"}}
	a.file(m.Config, 0o644, config)
	a.file(m.Layers[0], 0o644, layer)
	return m, err
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// bareLayer has one program. Busybox is what it is called.
func bareLayer(program []byte) ([]byte, error) {
	var a archive
	a.folders("bin/", "proc/", "sys/")
	a.file("bin/sleep", 0o755, program)
	return a.bytes()
}

func wholeLayer(program []byte, applets []string) ([]byte, error) {
	var a archive
	a.folders("bin/", "etc/", "proc/", "root/", "sys/", "tmp/")
	a.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\n"))
	a.file("bin/busybox", 0o755, program)
	for _, applet := range applets {
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

func (a *archive) folders(names ...string) {
	for _, name := range names {
		a.add(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}, nil)
	}
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
