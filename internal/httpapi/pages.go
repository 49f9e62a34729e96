package httpapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/periscope-console/periscope/internal/fault"
)

// pages serves the built UI: hashed assets for ever, the page itself fresh, and
// the page for every path that a reload may bring back.
type pages struct {
	files fs.FS

	mu    sync.Mutex
	cache map[string]*asset // built files are few and never change
}

// asset is one file, plain and compressed.
type asset struct {
	kind        string
	plain, gzip []byte
}

const index = "index.html"

// leastGzip is the size below which compression saves nothing.
const leastGzip = 1 << 10

func newPages(files fs.FS) *pages { return &pages{files: files, cache: map[string]*asset{}} }

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		fail(w, fault.New(fault.NotFound, "httpapi.pages", "Nothing can be sent to this address. The API is under /api/."))
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	a, err := p.load(name)
	if errors.Is(err, fs.ErrNotExist) && !strings.HasPrefix(name, "assets/") {
		name = index
		a, err = p.load(name)
	}
	if err != nil {
		fail(w, missingPage(err, name))
		return
	}
	a.serve(w, r, strings.HasPrefix(name, "assets/"))
}

func missingPage(err error, name string) error {
	if name == index {
		return fault.Wrap(err, fault.NotFound, "httpapi.pages", "This server was built without its pages. Build them with: make build")
	}
	return fault.Wrap(err, fault.NotFound, "httpapi.pages", "There is no such file. Reload the page: it may be from an older version.")
}

func (p *pages) load(name string) (*asset, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.cache[name]; a != nil {
		return a, nil
	}
	if name == "" || strings.HasPrefix(path.Base(name), ".") {
		return nil, fs.ErrNotExist
	}
	data, err := fs.ReadFile(p.files, name)
	if err != nil {
		return nil, fs.ErrNotExist // a folder is no page either
	}
	a := &asset{kind: kindOf(name), plain: data, gzip: squeeze(data)}
	p.cache[name] = a
	return a, nil
}

func kindOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".woff2":
		return "font/woff2"
	}
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		return kind
	}
	return "application/octet-stream"
}

// squeeze is nil where compression does not pay.
func squeeze(data []byte) []byte {
	if len(data) < leastGzip {
		return nil
	}
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is valid
	_, _ = z.Write(data)                                    // a bytes.Buffer never fails
	_ = z.Close()
	if out.Len() > len(data)*9/10 {
		return nil
	}
	return out.Bytes()
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request, hashed bool) {
	h, body := w.Header(), a.plain
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "no-cache")
	if hashed {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if a.gzip != nil {
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body = a.gzip
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
}
