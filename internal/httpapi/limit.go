package httpapi

import (
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
)

// bounded refuses what is over the quota, where the route is limited. A refusal
// is not in audit, or a flood would fill it.
func (s *server) bounded(limited bool, next http.HandlerFunc) http.HandlerFunc {
	if !limited || s.Quota == nil {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		wait := s.Quota.Take(s.Proxies.Address(r))
		if wait == 0 {
			next(w, r)
			return
		}
		refuseFor(w, r, s.flooded(w, r, wait))
	}
}

// tried counts a token that let nobody in, as another try to log in. It is nil as
// long as there are not too many. A good token is never counted, and so passes
// whatever others at its address do.
func (s *server) tried(w http.ResponseWriter, r *http.Request) error {
	if s.Quota == nil {
		return nil
	}
	if wait := s.Quota.Take(s.Proxies.Address(r)); wait > 0 {
		return s.flooded(w, r, wait)
	}
	return nil
}

// flooded is the refusal of what is over the quota; it says when to come again.
func (s *server) flooded(w http.ResponseWriter, r *http.Request, wait time.Duration) error {
	s.floods.Do(func() {
		s.Log.Warn("http.rate_limited", "requestId", w.Header().Get(requestIDHeader), "path", r.URL.Path, "address", audit.SourceOf(r.Context()).Address)
	})
	seconds := max(1, int((wait+time.Second-1)/time.Second))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return fault.New(fault.RateLimited, "httpapi.quota",
		"Too many logins or tokens were asked for from your network address. Wait %s and try again; if it stays so, tell whoever runs this server.", inWords(seconds))
}

// known keeps a flood of strangers from locking out whoever is logged in.
func (s *server) known(r *http.Request) {
	if s.Quota != nil {
		s.Quota.Know(s.Proxies.Address(r))
	}
}

// perFlood is how often a refusal is logged at most.
func perFlood() *rate.Sometimes { return &rate.Sometimes{Interval: 10 * time.Second} }

// refuseFor answers 429. A person whose browser was sent here gets a page: there
// is no other that could show the sentence.
func refuseFor(w http.ResponseWriter, r *http.Request, err error) {
	if r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		fail(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusTooManyRequests)
	// A client that is gone reads nothing.
	_ = waitPage.Execute(w, map[string]string{"Message": fault.PublicOf(err), "RequestID": h.Get(requestIDHeader)})
}

func inWords(seconds int) string {
	if seconds == 1 {
		return "a second"
	}
	return fmt.Sprintf("%d seconds", seconds)
}

var waitPage = template.Must(template.New("wait").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Periscope: wait a moment</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}small{opacity:.75}</style>
<main><h1>Wait a moment</h1><p role="alert">{{.Message}}</p>
<p><a href="/">Back to Periscope</a></p><p><small>Request {{.RequestID}}</small></p></main></html>
`))
