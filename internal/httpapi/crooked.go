package httpapi

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
)

// refuseCrooked stops requests to the API that nobody sends by accident: a path
// that two readers would read differently, or a header by which Kubernetes is
// told to act as somebody else. Neither would get anywhere, since requests to
// clusters are built from nothing; but who tries is told so, and recorded where
// it is somebody who has logged in or presents a token.
func (s *server) refuseCrooked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := crooked(r)
		if err == nil {
			next.ServeHTTP(w, r)
			return
		}
		actor, known, over := s.sender(w, r)
		if over != nil {
			fail(w, over)
			return
		}
		if known {
			s.denied(r, actor, err)
		}
		fail(w, err)
	})
}

// sender is who sent a request that is refused in any case, false where that is
// nobody. As everywhere a token counts alone, also one whose owner is let in no
// more; a bad one counts as a try, and the error is for too many of them.
func (s *server) sender(w http.ResponseWriter, r *http.Request) (actor identity.Actor, known bool, over error) {
	if !token.Presented(r) {
		actor, _, err := s.Logins.FromRequest(r)
		return actor, err == nil, nil
	}
	actor, _, err := s.Tokens.FromRequest(r, w.Header().Get(requestIDHeader))
	switch fault.KindOf(err) {
	case fault.Unauthenticated:
		return identity.Actor{}, false, s.tried(w, r)
	case fault.Forbidden:
		return actor, true, nil
	}
	return actor, err == nil, nil
}

func crooked(r *http.Request) error {
	if !ofAPI(r.URL) {
		return nil
	}
	if !straight(r.URL) {
		return fault.New(fault.Invalid, "httpapi.path",
			"The path %s is not one that this API has: no part of it may be empty, a dot, two dots, or hold a slash. Write the names out.", clip(r.URL.EscapedPath(), 256))
	}
	// What cannot be read whole is not read in part: a namespace that got lost would
	// widen a list to all of them.
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "httpapi.query", "The part of the address after the question mark cannot be read. Escape what is special in it, such as a semicolon.")
	}
	for name, values := range query {
		if len(values) > 1 {
			return fault.New(fault.Invalid, "httpapi.query", "The parameter %s stands in the address more than once. Give it once.", audit.OneLine(name, maxNamed))
		}
	}
	if name := borrowed(r.Header); name != "" {
		return fault.New(fault.Forbidden, "httpapi.headers",
			"The request bears the header %s, by which it would act as somebody else. Here one acts as oneself alone; remove the header, or have your proxy do so.", clip(name, 64))
	}
	return nil
}

// ofAPI is true of whatever some reader would take for a path of the API.
func ofAPI(u *url.URL) bool {
	return strings.HasPrefix(path.Clean("/"+u.Path)+"/", "/api/") || strings.HasPrefix(u.Path, "/api/")
}

// straight paths have one reading: their parts, once unescaped, are not empty
// and go neither up nor down. A slash at the end is the router's to judge.
func straight(u *url.URL) bool {
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, part := range parts {
		name, err := url.PathUnescape(part)
		switch {
		case err != nil, name == ".", name == "..", strings.ContainsAny(name, `/\`), strings.ContainsFunc(name, unicode.IsControl):
			return false
		case name == "" && i < len(parts)-1:
			return false
		}
	}
	return true
}

// borrowed is the first header by which an apiserver is told who is asking, also
// where it is only named as one for a proxy to drop (Connection: Impersonate-User,
// CVE-2021-31999).
func borrowed(h http.Header) string {
	for name := range h {
		if isBorrowed(name) {
			return name
		}
	}
	for _, line := range h.Values("Connection") {
		for option := range strings.SplitSeq(line, ",") {
			if option = strings.TrimSpace(option); isBorrowed(option) {
				return "Connection: " + option
			}
		}
	}
	return ""
}

func isBorrowed(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "impersonate-") || strings.HasPrefix(name, "x-remote-")
}
