package podexec

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

// TestALoginThatEndsTakesItsShells opens shells of two logins of one person and
// ends one login, by time or by logout.
func TestALoginThatEndsTakesItsShells(t *testing.T) {
	for name, end := range map[string]func(m *websession.Manager, cookie *http.Cookie){
		"ran out": func(*websession.Manager, *http.Cookie) { time.Sleep(20 * time.Minute) },
		"logout": func(m *websession.Manager, cookie *http.Cookie) {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.AddCookie(cookie)
			m.End(httptest.NewRecorder(), r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.set.ServerIdle = 24 * time.Hour
				logins := websession.New(websession.Options{
					Store: websession.NewMemory(10), CookieName: "s", Idle: 12 * time.Hour, Absolute: time.Hour, Log: slog.New(slog.DiscardHandler),
				})
				ctx, cancel := context.WithCancel(t.Context())
				swept := make(chan error, 1)
				go func() { swept <- logins.Run(ctx) }()

				first, cookie := r.openLogin(logins)
				time.Sleep(40 * time.Minute)
				second, _ := r.openLogin(logins)
				end(logins, cookie)
				time.Sleep(rightsEvery)
				if _, frames := second.drain(); find(frames, "closed") != nil {
					t.Errorf("another login's shell was ended: %v", frames)
				}
				closed, _ := lastWords(t, first)
				if closed["reason"] != "unauthorized" || first.closeCode() != 1008 {
					t.Errorf("closed %v with %d", closed, first.closeCode())
				}
				if r.endReason() != "unauthorized" || r.audit.of(audit.ExecEnd, audit.Completed)[0].Outcome != audit.Denied {
					t.Errorf("audit %+v", r.audit.events)
				}
				r.leave(second)
				cancel()
				<-swept
			})
		})
	}
}

// openLogin logs ada in and opens a shell of hers.
func (r *rig) openLogin(logins *websession.Manager) (*pipeConn, *http.Cookie) {
	r.t.Helper()
	w := httptest.NewRecorder()
	if _, err := logins.Start(w, httptest.NewRequest(http.MethodGet, "/", nil), websession.Grant{Actor: ada}); err != nil {
		r.t.Fatal(err)
	}
	cookie := w.Result().Cookies()[0]
	known := httptest.NewRequest(http.MethodGet, "/", nil)
	known.AddCookie(cookie)
	_, id, err := logins.FromRequest(known)
	if err != nil {
		r.t.Fatal(err)
	}
	req := r.request()
	req.Login.Done = logins.Done(id)
	ticket, err := r.ss.Admit(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	conn := newPipeConn()
	r.ss.Serve(ticket, conn, true)
	synctest.Wait()
	conn.drain()
	return conn, cookie
}
