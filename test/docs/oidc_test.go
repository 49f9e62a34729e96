package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestSentencesOfTheLogin: docs/oidc.md explains each sentence that can come of a
// login, and none that cannot.
func TestSentencesOfTheLogin(t *testing.T) {
	said := map[string]bool{} // by the sentence: whether the page explains it
	for _, s := range sentences(t, "internal/identity", "internal/identity/oidc", "internal/httpapi/limit.go") {
		said[s] = false
	}
	// A login can also fail in these, most of whose sentences are not about logins.
	beside := strings.Join(sentences(t, "internal/identity/websession", "internal/identity/token"), "\n")
	if len(said) < 30 {
		t.Fatalf("%d sentences", len(said))
	}
	for _, row := range readPage(t, "docs/oidc.md").table(t, "the page says").keys(t) {
		row := plain(row)
		found := strings.Contains(beside, row)
		for s := range said {
			if strings.Contains(s, row) {
				said[s], found = true, true
			}
		}
		if !found {
			t.Errorf("nothing says %q", row)
		}
	}
	for s, explained := range said {
		if !explained {
			t.Errorf("the page does not explain %q", s)
		}
	}
}

// sentences are the strings that read like one to a person.
func sentences(t *testing.T, places ...string) []string {
	t.Helper()
	var all []string
	for _, place := range places {
		files := []string{root + place}
		if !strings.HasSuffix(place, ".go") {
			var err error
			if files, err = filepath.Glob(root + place + "/*.go"); err != nil || len(files) == 0 {
				t.Fatalf("%s: %v", place, err)
			}
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				all = append(all, sentencesOf(t, file)...)
			}
		}
	}
	return all
}

func sentencesOf(t *testing.T, file string) (all []string) {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		s, err := strconv.Unquote(lit.Value)
		if err == nil && len(s) > 20 && s[0] >= 'A' && s[0] <= 'Z' && strings.HasSuffix(s, ".") {
			all = append(all, s)
		}
		return true
	})
	return all
}
