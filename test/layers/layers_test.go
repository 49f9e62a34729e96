// Package layers proves the table in layers.txt: a statement of policy, never
// widened to get a build through.
package layers

import (
	"bufio"
	"errors"
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	prefix = "github.com/periscope-console/periscope/internal/"
	root   = "../../internal/"
)

type row struct {
	layer string
	peers []string
}

type pkg struct {
	name    string // under internal
	imports []string
}

func readTable(t *testing.T) map[string]row {
	t.Helper()
	f, err := os.Open("../../layers.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := map[string]row{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		left, right, _ := strings.Cut(line, ":")
		words := strings.Fields(left)
		if len(words) == 0 {
			continue
		}
		if len(words) != 2 {
			t.Fatalf("layers.txt: %q is not a layer and a package", line)
		}
		table[words[1]] = row{words[0], strings.Fields(right)}
	}
	return table
}

// listPackages reads them here, as go list would: what another program reads, go
// test does not know of, and it would repeat an old result.
func listPackages(t *testing.T) []pkg {
	t.Helper()
	var all []pkg
	err := filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if d.Name() == "testdata" || strings.HasPrefix(d.Name(), "_") || strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		p, err := build.ImportDir(dir, 0)
		if none := (*build.NoGoError)(nil); errors.As(err, &none) {
			return nil
		}
		all = append(all, pkg{filepath.ToSlash(strings.TrimPrefix(dir, root)), p.Imports})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLayers(t *testing.T) {
	table, seen := readTable(t), map[string]bool{}
	for _, p := range listPackages(t) {
		seen[p.name] = true
		from, ok := table[p.name]
		if !ok {
			t.Errorf("%s is not in layers.txt: say which layer it belongs to", p.name)
			continue
		}
		for _, imp := range p.imports {
			if to, ours := strings.CutPrefix(imp, prefix); ours && !allowed(from, to, table[to]) {
				t.Errorf("%s (layer %s) imports %s (layer %s)", p.name, from.layer, to, table[to].layer)
			}
		}
	}
	for name := range table {
		if !seen[name] {
			t.Errorf("layers.txt names %s, which does not exist", name)
		}
	}
}

// allowed holds for an import of to by a package of row from.
func allowed(from row, name string, to row) bool {
	switch {
	case to.layer == "test":
		return from.layer == "test"
	case from.layer == "test":
		return to.layer < "5"
	case to.layer == from.layer:
		return slices.Contains(from.peers, name)
	}
	return to.layer < from.layer
}
