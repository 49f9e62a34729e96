package cli

import (
	"context"
	"crypto/subtle"
	"errors"
	"html/template"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// await serves the loopback until the browser has brought the answer for state,
// and take has done with its code. Whatever else comes there is turned away, and
// the right answer still waited for.
func await(ctx context.Context, listener net.Listener, state string, take func(code string) error) error {
	answered := make(chan error, 1)
	var come atomic.Bool // the right answer, which comes once
	srv := &http.Server{
		ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/" || r.Host != listener.Addr().String() || len(r.URL.RawQuery) > 1<<10 {
				http.NotFound(w, r)
				return
			}
			q := r.URL.Query()
			if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
				tell(w, http.StatusBadRequest, "This is another login's answer", "Look for the address that the command printed last.")
				return
			}
			if come.Swap(true) {
				tell(w, http.StatusBadRequest, "Answered already", "You can close this window.")
				return
			}
			err := errRefused
			if code := q.Get("code"); code != "" && q.Get("error") == "" {
				err = take(code)
			}
			answered <- err
			switch {
			case err == nil:
				tell(w, http.StatusOK, "Logged in", "The command has what it needs. You can close this window.")
			case errors.Is(err, errRefused):
				tell(w, http.StatusOK, "Refused", "The command was not logged in. You can close this window.")
			default:
				tell(w, http.StatusOK, "Not logged in", "The command says why. You can close this window.")
			}
		}),
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = srv.Serve(listener) // Shutdown ends it
	}()
	var err error
	select {
	case err = <-answered:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	// The page that says how it went is on its way.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if srv.Shutdown(limited) != nil {
		srv.Close()
	}
	<-over
	return err
}

// tell is the last page of a login. Nothing that came with the request is on it.
func tell(w http.ResponseWriter, status int, title, words string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = lastPage.Execute(w, map[string]string{"Title": title, "Words": words}) // a browser that is gone reads nothing
}

var lastPage = template.Must(template.New("last").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Periscope: {{.Title}}</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:28rem;margin:20vh auto;padding:0 1.5rem;
background:light-dark(#fff,#0f1115);color:light-dark(#17191d,#e8eaee)}h1{font-size:1.25rem;font-weight:600}p{opacity:.8}</style>
<main><h1>{{.Title}}</h1><p>{{.Words}}</p></main></html>
`))
