package pki

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/periscope-console/periscope/internal/fault"
)

// Pair is a certificate and its private key, both PEM.
type Pair struct{ Cert, Key []byte }

// ErrNone is what Load says where nothing is kept yet.
var ErrNone = errors.New("no CA is kept there yet")

// Keeper keeps one CA for good. Several processes may share one. It prints as
// its place.
type Keeper interface {
	// Load is what is kept, or ErrNone.
	Load(ctx context.Context) (Pair, error)
	// Create keeps p where nothing is kept yet, wholly or not at all, and returns
	// what is kept then: of several callers at once the first one's.
	Create(ctx context.Context, p Pair) (Pair, error)
}

// maxKept bounds what is read, in bytes.
const maxKept = 64 << 10

// File is a Keeper: one file with certificate and key, which its owner alone may
// read. It is the path.
type File string

func (f File) String() string { return "the file " + string(f) }

// Load implements Keeper. A file that others may read is refused: whoever has
// the key can pose as the server.
func (f File) Load(context.Context) (Pair, error) {
	file, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return Pair{}, ErrNone
	}
	if err != nil {
		return Pair{}, f.failed(err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return Pair{}, f.failed(err)
	case !info.Mode().IsRegular():
		return Pair{}, f.failed(errors.New("it is no regular file"))
	case info.Mode().Perm()&0o077 != 0:
		return Pair{}, fault.New(fault.Invalid, "pki.File.Load",
			"The agents' CA in %v may be read or written by others than its owner (%v), and whoever has its key can pose as this server to agents. Run chmod 600 on it; if others had access, remove it and enrol every agent anew.", f, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKept+1))
	if err != nil {
		return Pair{}, f.failed(err)
	}
	p, err := split(text)
	if err != nil {
		return Pair{}, f.failed(err)
	}
	return p, nil
}

func (f File) failed(err error) error {
	return fault.Wrap(err, fault.Invalid, "pki.File",
		"The agents' CA cannot be kept in %v: %v. Give PERISCOPE_AGENT_CA_FILE a path in a folder that exists and that the server may write to.", f, err)
}

// split takes the certificate and the key apart.
func split(text []byte) (Pair, error) {
	if len(text) > maxKept {
		return Pair{}, fmt.Errorf("it is larger than %d KiB", maxKept>>10)
	}
	var p Pair
	for rest := text; len(trimSpace(rest)) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return Pair{}, errors.New("it holds something that is no PEM")
		}
		switch part := pem.EncodeToMemory(block); block.Type {
		case blockCert:
			p.Cert = append(p.Cert, part...)
		case blockKey:
			p.Key = append(p.Key, part...)
		default:
			return Pair{}, fmt.Errorf("it holds a PEM block %.40q", block.Type)
		}
	}
	return p, nil
}

func trimSpace(b []byte) []byte { return bytes.TrimSpace(b) }

// Create implements Keeper. The file appears under its name when all of it is on
// the disk, and never in the place of another.
func (f File) Create(ctx context.Context, p Pair) (Pair, error) {
	folder := filepath.Dir(string(f))
	temp, err := os.CreateTemp(folder, ".periscope-ca-*") // 0600
	if err != nil {
		return Pair{}, f.failed(err)
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // what is left of it is ours alone to read
	_, err = temp.Write(append(append([]byte(nil), p.Cert...), p.Key...))
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return Pair{}, f.failed(err)
	}
	err = os.Link(temp.Name(), string(f)) // fails where there is one already
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return Pair{}, f.failed(err)
	}
	if err := syncFolder(folder); err != nil {
		return Pair{}, f.failed(err)
	}
	return f.Load(ctx)
}

// syncFolder makes a new name in the folder outlive a crash.
func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
