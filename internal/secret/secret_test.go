package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func environ(name string) (string, bool) {
	v, ok := map[string]string{"CLIENT_SECRET": "from the environment", "EMPTY": ""}[name]
	return v, ok
}

func TestParse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, "from a file\n")
	for setting, want := range map[string]string{
		"literal": "literal", "$literal}": "$literal}", "${CLIENT_SECRET}": "from the environment", "file://" + path: "from a file",
	} {
		source, err := Parse(setting, environ)
		if err != nil {
			t.Errorf("%s: %v", setting, err)
			continue
		}
		if got, err := source.Get(t.Context()); got != want || err != nil {
			t.Errorf("%s is %q, %v", setting, got, err)
		}
	}
}

func TestWrongSettings(t *testing.T) {
	empty, big := filepath.Join(t.TempDir(), "empty"), filepath.Join(t.TempDir(), "big")
	write(t, empty, "\n")
	write(t, big, strings.Repeat("x", maxSize+1))
	for setting, want := range map[string]string{
		"": "is empty", "${NONE}": "NONE", "${EMPTY}": "EMPTY", "file:///does/not/exist": "cannot be read", "file://" + empty: "is empty",
		"file://" + big: "at most", "file://" + filepath.Dir(big): "no regular file", "vault://a/b": "vault",
	} {
		_, err := Parse(setting, environ)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.PublicOf(err), want) {
			t.Errorf("%q: %v", setting, err)
		}
	}
}

func TestChangedFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, "old")
	source, err := Parse("file://"+path, environ)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "new")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	if got, err := source.Get(t.Context()); got != "new" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := source.Get(t.Context()); err == nil {
		t.Errorf("a secret that is gone is still %q", got)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
