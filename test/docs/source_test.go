package docs

import (
	"go/ast"
	"go/build"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// source is the product's Go code, tests left out.
type source struct {
	fset *token.FileSet
	dirs map[string][]*ast.File // by folder, such as internal/podexec
	time types.Importer

	checked map[string]*types.Package // by folder, those that were asked for
}

// product reads the code once for all tests.
var product = sync.OnceValues(func() (*source, error) {
	s := &source{fset: token.NewFileSet(), dirs: map[string][]*ast.File{}, checked: map[string]*types.Package{}}
	s.time = importer.ForCompiler(s.fset, "source", nil)
	for _, top := range []string{"internal", "cmd"} {
		if err := filepath.WalkDir(root+top, s.read); err != nil {
			return nil, err
		}
	}
	return s, nil
})

func (s *source) read(path string, d fs.DirEntry, err error) error {
	if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
		return err
	}
	dir, name := filepath.Split(path)
	if ours, err := build.Default.MatchFile(dir, name); err != nil || !ours {
		return err
	}
	f, err := parser.ParseFile(s.fset, path, nil, parser.SkipObjectResolution)
	if err == nil {
		dir = strings.Trim(strings.TrimPrefix(dir, root), "/")
		s.dirs[dir] = append(s.dirs[dir], f)
	}
	return err
}

func code(t *testing.T) *source {
	t.Helper()
	s, err := product()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Import knows the package time. All others are empty: what is made of them is
// no constant, and no test here asks for it.
func (s *source) Import(path string) (*types.Package, error) {
	if path == "time" {
		return s.time.Import(path)
	}
	p := types.NewPackage(path, path[strings.LastIndex(path, "/")+1:])
	p.MarkComplete()
	return p, nil
}

// constant is the value of a constant, as "internal/podexec.dialLimit".
func (s *source) constant(t *testing.T, name string) int64 {
	t.Helper()
	i := strings.LastIndex(name, ".")
	dir, ident := name[:i], name[i+1:]
	if len(s.dirs[dir]) == 0 {
		t.Fatalf("there is no folder %s", dir)
	}
	c, ok := s.declarations(dir).Scope().Lookup(ident).(*types.Const)
	if !ok {
		t.Fatalf("%s is no constant", name)
	}
	v, exact := constant.Int64Val(constant.ToInt(c.Val()))
	if !exact {
		t.Fatalf("%s is %s, no whole number", name, c.Val())
	}
	return v
}

// declarations are a folder's, without what its functions do.
func (s *source) declarations(dir string) *types.Package {
	if s.checked[dir] == nil {
		cfg := types.Config{Importer: s, IgnoreFuncBodies: true, Error: func(error) {}}
		s.checked[dir], _ = cfg.Check(dir, s.fset, s.dirs[dir], nil) // of what is imported it knows nothing
	}
	return s.checked[dir]
}

// seconds is a constant that is a time.Duration.
func (s *source) seconds(t *testing.T, name string) int64 {
	t.Helper()
	return s.constant(t, name) / int64(time.Second)
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// literals are the strings of the product that begin so, each once.
func (s *source) literals(prefix string) []string {
	var all []string
	for _, files := range s.dirs {
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				if e, ok := n.(*ast.BasicLit); ok {
					if text, ok := literal(e); ok && strings.HasPrefix(text, prefix) {
						all = append(all, text)
					}
				}
				return true
			})
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// logLine is a line of the log: its level and the fields of all calls that write
// it.
type logLine struct {
	level  string
	fields []string
}

// logs are the lines that the code of a folder writes, by their messages.
func (s *source) logs(t *testing.T, dir string) map[string]*logLine {
	t.Helper()
	lines := map[string]*logLine{}
	for _, f := range s.dirs[dir] {
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				s.logCall(t, call, lines)
			}
			return true
		})
	}
	return lines
}

var levels = map[string]string{"Debug": "debug", "Info": "info", "Warn": "warn", "Error": "error"}

func (s *source) logCall(t *testing.T, call *ast.CallExpr, lines map[string]*logLine) {
	t.Helper()
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || levels[method.Sel.Name] == "" || !isLog(method.X) || len(call.Args) == 0 {
		return
	}
	at := s.fset.Position(call.Pos())
	msg, ok := literal(call.Args[0])
	if !ok {
		t.Errorf("%s: a log line whose message is not written out cannot be in any guide", at)
		return
	}
	line := lines[msg]
	if line == nil {
		line = &logLine{level: levels[method.Sel.Name]}
		lines[msg] = line
	}
	if line.level != levels[method.Sel.Name] {
		t.Errorf("%s: %s is written with two levels", at, msg)
	}
	for i := 1; i < len(call.Args); i += 2 {
		field, ok := literal(call.Args[i])
		if !ok {
			t.Errorf("%s: a field of %s whose name is not written out cannot be in any guide", at, msg)
		}
		if !slices.Contains(line.fields, field) {
			line.fields = append(line.fields, field)
		}
	}
}

// isLog knows a logger by the name of the variable or field.
func isLog(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.Ident:
		return x.Name == "log"
	case *ast.SelectorExpr:
		return x.Sel.Name == "Log" || x.Sel.Name == "log"
	}
	return false
}

// extras are the fields of Event.Extra that each function of a folder writes.
func (s *source) extras(dir string) map[string][]string {
	found := map[string][]string{}
	for _, f := range s.dirs[dir] {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if keys := extraKeys(n); len(keys) > 0 {
					found[fn.Name.Name] = append(found[fn.Name.Name], keys...)
				}
				return true
			})
		}
	}
	return found
}

// extraKeys are those of e.Extra["key"] = … and of Extra: map[string]any{"key": …}.
func extraKeys(n ast.Node) (keys []string) {
	switch n := n.(type) {
	case *ast.AssignStmt:
		for _, left := range n.Lhs {
			index, ok := left.(*ast.IndexExpr)
			if !ok {
				continue
			}
			of, ok := index.X.(*ast.SelectorExpr)
			if key, written := literal(index.Index); ok && of.Sel.Name == "Extra" && written {
				keys = append(keys, key)
			}
		}
	case *ast.KeyValueExpr:
		name, ok := n.Key.(*ast.Ident)
		of, isMap := n.Value.(*ast.CompositeLit)
		if !ok || name.Name != "Extra" || !isMap {
			return nil
		}
		for _, e := range of.Elts {
			if key, written := literal(e.(*ast.KeyValueExpr).Key); written {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// read is a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(root + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
