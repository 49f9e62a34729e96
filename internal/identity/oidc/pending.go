package oidc

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

const (
	// pendingTime is how long a person may take at the provider.
	pendingTime = 10 * time.Minute
	// maxPending bounds the logins that one browser has under way, a tab each.
	maxPending = 4
	maxCookie  = 2 << 10
	maxNext    = 1 << 10
)

// pending is a login under way. It stands in a cookie of the browser that began
// it, and so any replica can finish it; it holds nothing that its person may not
// know.
type pending struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Next     string `json:"x"` // path to go on to
	Until    int64  `json:"u"` // Unix seconds
}

func newPending(next string) pending {
	return pending{
		State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), Next: next,
		Until: time.Now().Add(pendingTime).Unix(),
	}
}

// random has 256 bits.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: the process would have ended
	return base64.RawURLEncoding.EncodeToString(b)
}

// cookies are of one kind: a prefix for all, and for each what follows it.
type cookies struct {
	name   string
	secure bool
}

func (l *Login) pendings() cookies { return newCookies("periscope_login_", l.o.Secure) }
func (l *Login) failures() cookies { return newCookies("periscope_failure", l.o.Secure) }

// newCookies: with __Host- no other site of the same domain can plant one.
func newCookies(name string, secure bool) cookies {
	if secure {
		name = "__Host-" + name
	}
	return cookies{name, secure}
}

// set writes a cookie that comes back from the provider's site as well.
func (c cookies) set(w http.ResponseWriter, rest string, v any, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: c.name + rest, Value: encode(v), Path: "/", MaxAge: int(age.Seconds()),
		HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteLaxMode,
	})
}

// encode is what read decodes.
func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own plain structs
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func (c cookies) drop(w http.ResponseWriter, rest string) {
	http.SetCookie(w, &http.Cookie{Name: c.name + rest, Path: "/", MaxAge: -1, HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteLaxMode})
}

// read decodes the cookie; false where there is none that can be read.
func (c cookies) read(r *http.Request, rest string, into any) bool {
	for _, found := range r.CookiesNamed(c.name + rest) {
		if len(found.Value) > maxCookie {
			continue
		}
		data, err := base64.RawURLEncoding.DecodeString(found.Value)
		if err == nil && json.Unmarshal(data, into) == nil {
			return true
		}
	}
	return false
}

// tag tells the cookies of several tabs apart.
func tag(state string) string { return state[:min(len(state), 8)] }

// begin sets the cookie of a login, in place of those of too many others.
func (l *Login) begin(w http.ResponseWriter, r *http.Request, p pending) {
	kind, others := l.pendings(), 0
	for _, c := range r.Cookies() {
		if rest, ok := strings.CutPrefix(c.Name, kind.name); ok {
			if others++; others >= maxPending {
				kind.drop(w, rest)
			}
		}
	}
	kind.set(w, tag(p.State), p, pendingTime)
}

// finish takes the login of that state, once: its cookie goes.
func (l *Login) finish(w http.ResponseWriter, r *http.Request, state string) (pending, bool) {
	if len(state) != len(random()) {
		return pending{}, false
	}
	var p pending
	if !l.pendings().read(r, tag(state), &p) {
		return pending{}, false
	}
	l.pendings().drop(w, tag(state))
	same := subtle.ConstantTimeCompare([]byte(p.State), []byte(state)) == 1
	return p, same && time.Now().Unix() < p.Until
}

// safeNext is a path of ours to go on to after the login; anything else is the
// start page. A path that begins with two slashes, or with a slash and a
// backslash, is another site's address.
func safeNext(s string) string {
	if len(s) > maxNext || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\\r\n\t\x00") || strings.HasPrefix(s, "/api/") {
		return "/"
	}
	return s
}
