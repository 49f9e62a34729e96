package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// provedBy is the column of the page's last tables: what a table promises, and
// the tests that prove it.
const provedBy = "proved by"

// promises are the names of what each table of proof must speak of, one by one.
func (p page) promises(t *testing.T) map[string][]string {
	t.Helper()
	promised := map[string][]string{"error codes": nil, "symptoms": nil}
	for _, tb := range p.tables {
		if tb.heading == "Error codes" {
			promised["error codes"] = tb.keys(t)
		}
	}
	for kind, first := range map[string]string{
		"variables": "variable", "keys of clusters.yaml": "key", "timers": "timer", "bounds": "bound", "reasons": "reason",
		"audit events": "event", "audit fields": "field", "fields of extra": "field of `extra`", "lines": "line", "metrics": "metric",
	} {
		promised[kind] = p.table(t, first).keys(t)
	}
	for _, c := range p.table(t, "what you hear").rows {
		promised["symptoms"] = append(promised["symptoms"], link.ReplaceAllString(strings.TrimPrefix(c["go to"], "["), ""))
	}
	return promised
}

// TestEverySymptomHasASection: what one hears leads to each section of the
// troubleshooting, and to nothing else.
func TestEverySymptomHasASection(t *testing.T) {
	p := readPage(t, guide)
	from := slices.Index(p.headings, "Troubleshooting") + 1
	to := slices.Index(p.headings, "What is on by default")
	if from == 0 || to < from {
		t.Fatalf("headings %q", p.headings)
	}
	same(t, "symptoms", p.promises(t)["symptoms"], p.headings[from:to])
}

// TestEveryPromiseIsProved: each row of the page's tables stands in a table of
// proof, once, and the tests named there exist and are not switched off.
func TestEveryPromiseIsProved(t *testing.T) {
	p := readPage(t, guide)
	promised := p.promises(t)
	seen := map[string]bool{}
	for _, tb := range p.tables {
		if len(tb.header) != 2 || tb.header[1] != provedBy {
			continue
		}
		kind := tb.header[0]
		seen[kind] = true
		if promised[kind] == nil {
			t.Errorf("there is a table of proof for %q, of which the page has no list", kind)
		}
		var proved []string
		for _, row := range tb.rows {
			for what := range strings.SplitSeq(plain(row[kind]), "; ") {
				if slices.Contains(proved, what) {
					t.Errorf("%s: %s is proved twice", kind, what)
				}
				proved = append(proved, what)
			}
			tests := spans(row[provedBy])
			if len(tests) == 0 {
				t.Errorf("%s: nothing proves %s", kind, row[kind])
			}
			for _, name := range tests {
				checkTest(t, name)
			}
		}
		same(t, kind, proved, promised[kind])
	}
	for kind := range maps.Keys(promised) {
		if !seen[kind] {
			t.Errorf("there is no table of proof for %s", kind)
		}
	}
}

// checkTest looks for "FOLDER TestName" or "FILE.test.ts the title of a test".
func checkTest(t *testing.T, name string) {
	t.Helper()
	place, title, ok := strings.Cut(name, " ")
	switch {
	case !ok:
		t.Errorf("%q names no place and no test", name)
	case strings.HasSuffix(place, ".ts") || strings.HasSuffix(place, ".tsx"):
		checkScript(t, place, title)
	default:
		checkGo(t, place, title)
	}
}

func checkGo(t *testing.T, dir, name string) {
	t.Helper()
	tests, err := testsOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	switch fn := tests[name]; {
	case len(tests) == 0:
		t.Errorf("%s has no tests", dir)
	case fn == nil:
		t.Errorf("%s has no test %s", dir, name)
	case skips(fn):
		t.Errorf("%s %s may be skipped: it proves nothing then", dir, name)
	}
}

// folders are the tests of those folders that were looked into: each is named by
// dozens of rows.
var folders = map[string]map[string]*ast.FuncDecl{}

// testsOf reads a folder's tests, by name.
func testsOf(dir string) (map[string]*ast.FuncDecl, error) {
	if known, ok := folders[dir]; ok {
		return known, nil
	}
	files, err := filepath.Glob(root + dir + "/*_test.go")
	if err != nil {
		return nil, err
	}
	tests := map[string]*ast.FuncDecl{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && isTest(fn) {
				tests[fn.Name.Name] = fn
			}
		}
	}
	folders[dir] = tests
	return tests, nil
}

// isTest knows what `go test` runs by itself.
func isTest(fn *ast.FuncDecl) bool {
	runs := strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")
	return fn.Recv == nil && runs && fn.Type.Params.NumFields() == 1
}

func skips(fn *ast.FuncDecl) (found bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if method, ok := call.Fun.(*ast.SelectorExpr); ok && strings.HasPrefix(method.Sel.Name, "Skip") {
				found = true
			}
		}
		return true
	})
	return found
}

// checkScript finds it("title", …, test("title", … and it.each(…)("title", ….
func checkScript(t *testing.T, file, title string) {
	t.Helper()
	b, err := os.ReadFile(root + file)
	if err != nil {
		t.Errorf("%s: %v", title, err)
		return
	}
	at := regexp.MustCompile(`(?m)^\s*(?:(?:it|test)((?:\.\w+)*).*)?\("` + regexp.QuoteMeta(title) + `",\s*(?:async\s*)?\(`).FindSubmatch(b)
	switch {
	case at == nil:
		t.Errorf("%s has no test %q", file, title)
	case strings.Contains(string(at[1]), "skip") || strings.Contains(string(at[1]), "todo"):
		t.Errorf("%s: %q is skipped: it proves nothing then", file, title)
	}
}
