package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

// TestLogLinesOfLogins: docs/oidc.md and docs/tokens.md have each line that logins and
// tokens write to the log, with its level and fields, and no other.
func TestLogLinesOfLogins(t *testing.T) {
	src := code(t)
	for _, c := range []struct {
		page, first string
		dirs        []string
	}{
		{"docs/oidc.md", "line", []string{"internal/identity/oidc", "internal/identity/websession"}},
		{"docs/tokens.md", "line in the log", []string{"internal/identity/token"}},
	} {
		written := map[string]*logLine{}
		for _, dir := range c.dirs {
			maps.Copy(written, src.logs(t, dir))
		}
		tb := readPage(t, c.page).table(t, c.first)
		same(t, c.page, tb.keys(t), slices.Collect(maps.Keys(written)))
		for _, row := range tb.rows {
			msg := plain(row[c.first])
			if line := written[msg]; line != nil {
				same(t, msg, append(spans(row["fields"]), row["level"]), append(line.fields, line.level))
			}
		}
	}
}

// TestARecordThatIsLostIsNamed, by whomever it was to be written.
func TestARecordThatIsLostIsNamed(t *testing.T) {
	src, found := code(t), 0
	for dir := range src.dirs {
		if line := src.logs(t, dir)["audit.lost"]; line != nil {
			found++
			same(t, "audit.lost of "+dir, []string{"verb", "eventId", "error"}, line.fields)
		}
	}
	if found == 0 {
		t.Error("nothing is said to be lost")
	}
}
