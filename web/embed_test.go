package web

import (
	"compress/gzip"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// maxScript is what may be loaded before anything shows, compressed, in bytes.
const maxScript = 250_000

var scripts = regexp.MustCompile(`<(?:script[^>]* src|link rel="modulepreload"[^>]* href)="/([^"]+\.js)"`)

// TestTheFirstScriptIsSmall: terminal and editors come when they are wanted.
func TestTheFirstScriptIsSmall(t *testing.T) {
	page, err := fs.ReadFile(Pages(), "index.html")
	if err != nil {
		t.Skip("the pages are not built: make build")
	}
	sum := 0
	for _, name := range scripts.FindAllStringSubmatch(string(page), -1) {
		sum += compressed(t, name[1])
	}
	if sum < maxScript/10 || sum > maxScript {
		t.Errorf("the page loads %d bytes of scripts first, want at most %d; what is not needed at once can be imported where it is", sum, maxScript)
	}
}

func compressed(t *testing.T, name string) int {
	t.Helper()
	text, err := fs.ReadFile(Pages(), name)
	if err != nil {
		t.Fatal(err)
	}
	var packed strings.Builder
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Len()
}
