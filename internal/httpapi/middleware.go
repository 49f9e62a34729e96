package httpapi

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
)

const (
	requestIDHeader = "X-Request-Id"
	// maxStray bounds a header of a stranger's in the log, in bytes.
	maxStray = 128
)

var requestIDs = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// requestID keeps a client's id only if it cannot harm a log.
func requestID(r *http.Request) string {
	if id := r.Header.Get(requestIDHeader); requestIDs.MatchString(id) {
		return id
	}
	return newID()
}

func newID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return hex.EncodeToString(b[:])
}

// guarded sets the security headers and makes the checks that come before the
// login.
func (s *server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Guard.headers(w.Header())
		if err := s.Guard.check(r); err != nil {
			s.stray(w, r, err)
			fail(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// stray logs who came under a name, or from a page, that is not this server's: behind a
// proxy that is mostly everybody, and a setting.
func (s *server) stray(w http.ResponseWriter, r *http.Request, err error) {
	if kind := fault.KindOf(err); kind != fault.Misdirected && kind != fault.Forbidden {
		return
	}
	s.strays.Do(func() {
		s.Log.Warn("http.stray", "requestId", w.Header().Get(requestIDHeader),
			"host", audit.OneLine(r.Host, maxStray), "origin", audit.OneLine(strings.Join(r.Header.Values("Origin"), ", "), maxStray),
			"site", audit.OneLine(r.Header.Get("Sec-Fetch-Site"), maxStray), "expected", s.Guard.address(),
			"hint", "check PERISCOPE_PUBLIC_URL and what the proxy passes on")
	})
}

// Hurried bounds how long a body may take to come, also where nobody reads it: before
// net/http sends an answer it waits for what is left of a body. The bound ends with the
// body, so a call may take longer, and so may whatever the connection brings later.
func Hurried(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// Where there is no connection there is nothing to wait for.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
		}
		next.ServeHTTP(w, r)
	})
}

// observed gives each request its id, logs it, and turns a panic into a 500.
func (s *server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID(r)
		w.Header().Set(requestIDHeader, id)
		r = r.WithContext(audit.WithSource(r.Context(), audit.Source{RequestID: id, Address: s.Proxies.Address(r).String()}))
		sw := &statusWriter{ResponseWriter: w}
		begun := time.Now()
		defer func() {
			if p := recover(); p != nil {
				s.Log.Error("http.panic", "requestId", id, "panic", p, "stack", string(debug.Stack()))
				if sw.status == 0 {
					fail(sw, fault.New(fault.Internal, "httpapi", ""))
				}
			}
			s.Log.Debug("http.request", "requestId", id, "method", r.Method, "path", clip(r.URL.Path, 256),
				"status", sw.status, "duration_ms", time.Since(begun).Milliseconds())
		}()
		next.ServeHTTP(sw, r)
	})
}

// statusWriter remembers the status. Unwrap keeps Hijack and Flush reachable
// through http.ResponseController.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
