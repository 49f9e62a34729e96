// Package layers proves the table in layers.txt: a statement of policy, never
// widened to get a build through.
package layers

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const prefix = "github.com/periscope-console/periscope/internal/"

type row struct {
	layer string
	peers []string
}

type pkg struct {
	ImportPath string
	Imports    []string
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

func listPackages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "../../internal/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestLayers(t *testing.T) {
	table, seen := readTable(t), map[string]bool{}
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, prefix)
		seen[name] = true
		from, ok := table[name]
		if !ok {
			t.Errorf("%s is not in layers.txt: say which layer it belongs to", name)
			continue
		}
		for _, imp := range p.Imports {
			if to, ours := strings.CutPrefix(imp, prefix); ours && !allowed(from, to, table[to]) {
				t.Errorf("%s (layer %s) imports %s (layer %s)", name, from.layer, to, table[to].layer)
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
