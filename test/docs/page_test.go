// Package docs walks docs/pod-exec.md against the code, so that the operators'
// guide cannot say what is not so, nor keep quiet about what is: its figures are
// the constants, its lists are the code's lists, in both directions, and what it
// promises names tests that exist.
package docs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root  = "../../"
	guide = "docs/pod-exec.md"
)

// page is a Markdown file, read as far as these tests need it.
type page struct {
	text     string
	headings []string
	tables   []table
	code     []string // code spans outside of blocks, each once
	blocks   []block
}

// table is one table. Its rows are cells by the words of the header.
type table struct {
	heading string // the nearest one above it
	header  []string
	rows    []map[string]string
}

// block is a fenced block and the language that its fence names.
type block struct{ language, text string }

var (
	heading  = regexp.MustCompile(`^#+ (.*)$`)
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	link     = regexp.MustCompile(`\]\(([^)]+)\)`)
)

func readPage(t *testing.T, name string) page {
	t.Helper()
	b, err := os.ReadFile(root + name)
	if err != nil {
		t.Fatal(err)
	}
	p := page{}
	var prose []string
	var fence *block
	under, inTable := "", false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		if language, ok := strings.CutPrefix(line, "```"); ok {
			if fence == nil {
				fence = &block{language: language}
			} else {
				p.blocks = append(p.blocks, *fence)
				fence = nil
			}
			continue
		}
		if fence != nil {
			fence.text += line + "\n"
			continue
		}
		prose = append(prose, line)
		if m := heading.FindStringSubmatch(line); m != nil {
			under = m[1]
			p.headings = append(p.headings, under)
		}
		isRow := strings.HasPrefix(line, "|")
		if isRow && !inTable {
			p.tables = append(p.tables, table{heading: under, header: cells(line)})
		} else if isRow && !strings.HasPrefix(line, "|---") {
			p.tables[len(p.tables)-1].add(t, line)
		}
		inTable = isRow
	}
	p.text = strings.Join(prose, "\n")
	for _, m := range codeSpan.FindAllStringSubmatch(p.text, -1) {
		p.code = append(p.code, m[1])
	}
	slices.Sort(p.code)
	p.code = slices.Compact(p.code)
	return p
}

// cells are split at each bar but an escaped one, which is text.
func cells(line string) []string {
	const bar = "\x00"
	all := strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, bar), "|"), "|")
	for i := range all {
		all[i] = strings.ReplaceAll(strings.TrimSpace(all[i]), bar, "|")
	}
	return all
}

func (tb *table) add(t *testing.T, line string) {
	t.Helper()
	values := cells(line)
	if len(values) != len(tb.header) {
		t.Errorf("%d cells under %q: %s", len(values), tb.header, line)
		return
	}
	row := map[string]string{}
	for i, h := range tb.header {
		row[h] = values[i]
	}
	tb.rows = append(tb.rows, row)
}

// table is the one whose first column has this name.
func (p page) table(t *testing.T, first string) table {
	t.Helper()
	var found []table
	for _, tb := range p.tables {
		if tb.header[0] == first {
			found = append(found, tb)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d tables of %s, want one", len(found), first)
	}
	return found[0]
}

// keys are the first cells of a table, each of them once.
func (tb table) keys(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, row := range tb.rows {
		key := plain(row[tb.header[0]])
		if key == "" || slices.Contains(all, key) {
			t.Errorf("%q is empty or there twice in the table of %s", key, tb.header[0])
		}
		all = append(all, key)
	}
	return all
}

func plain(cell string) string { return strings.ReplaceAll(cell, "`", "") }

// spans are the code spans of a cell.
func spans(cell string) []string {
	var all []string
	for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	return all
}

// same asserts that the page and the code list the same, in any order.
func same(t *testing.T, what string, page, code []string) {
	t.Helper()
	for _, w := range page {
		if !slices.Contains(code, w) {
			t.Errorf("%s: the page names %q, which the code does not have", what, w)
		}
	}
	for _, w := range code {
		if !slices.Contains(page, w) {
			t.Errorf("%s: the code has %q, which the page does not name", what, w)
		}
	}
}

// anchor is what a heading is linked by.
func anchor(heading string) string {
	return "#" + strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}
