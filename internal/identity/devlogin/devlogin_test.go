package devlogin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/entry"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

type rig struct {
	login    *Login
	sessions *websession.Manager
	store    *store
	audit    []string
	shown    int    // fresh codes
	deaf     error  // of the audit
	recorded func() // is called with each record; nil for nothing
}

// store fails to delete where stuck says so.
type store struct {
	*websession.Memory
	stuck  error
	looked func() // is called when logins have been listed; nil for nothing
}

func (s *store) OfPerson(ctx context.Context, issuer, subject string) ([]websession.Record, error) {
	all, err := s.Memory.OfPerson(ctx, issuer, subject)
	if s.looked != nil {
		s.looked()
	}
	return all, err
}

func (s *store) Delete(ctx context.Context, id websession.ID) error {
	if s.stuck != nil {
		return s.stuck
	}
	return s.Memory.Delete(ctx, id)
}

func newRig(codeRequired bool) *rig {
	r := &rig{store: &store{Memory: websession.NewMemory(10)}}
	r.sessions = websession.New(websession.Options{
		Store: r.store, CookieName: "periscope_session", SameSite: http.SameSiteStrictMode,
		Idle: time.Hour, Absolute: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	r.login = New(Options{
		Actor:        identity.Actor{Issuer: Issuer, Subject: "dev@local"},
		CodeRequired: codeRequired, Sessions: r.sessions,
		Whoami: func(a identity.Actor) any {
			return map[string]any{"subject": a.Subject, "expires": !a.Expires.IsZero()}
		},
		Audit: func(_ context.Context, verb string, outcome audit.Outcome, a identity.Actor, _ string) error {
			r.audit = append(r.audit, verb+" "+string(outcome)+" "+a.Subject)
			if r.recorded != nil {
				r.recorded()
			}
			return r.deaf
		},
		Renewed: func() { r.shown++ },
	})
	return r
}

func (r *rig) post(path, contentType, body string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	for _, c := range cookies {
		req.AddCookie(c)
	}
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "r1")
	entry.Handler(r.login.Routes()).ServeHTTP(w, req)
	return w
}

func (r *rig) enter(code string) *httptest.ResponseRecorder {
	return r.post("/api/auth/dev", "application/json", fmt.Sprintf(`{"code":%q}`, code))
}

// TestNoRecordNoLogin takes the audit away, and gives it back: the code is good for
// the login that it did not become.
func TestNoRecordNoLogin(t *testing.T) {
	r := newRig(true)
	code := r.login.Code()
	r.deaf = fault.New(fault.AuditUnavailable, "test", "It could not be recorded.")
	w := r.enter(code)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "E_AUDIT_UNAVAILABLE") || len(w.Result().Cookies()) != 0 {
		t.Errorf("unrecorded: %d %s %v", w.Code, w.Body, w.Result().Cookies())
	}
	r.deaf = nil
	w = r.enter(code)
	if w.Code != http.StatusOK || len(w.Result().Cookies()) != 1 {
		t.Fatalf("recorded: %d %s", w.Code, w.Body)
	}
	r.deaf = fault.New(fault.AuditUnavailable, "test", "It could not be recorded.")
	if w = r.post("/api/auth/logout", "application/json", "", w.Result().Cookies()...); w.Code != http.StatusOK {
		t.Errorf("an unrecorded logout: %d %s", w.Code, w.Body)
	}
}

func TestCodeLetsInOnce(t *testing.T) {
	r := newRig(true)
	code := r.login.Code()
	if len(code) != 43 {
		t.Fatalf("the code has %d characters, want 43 (256 bits)", len(code))
	}
	if w := r.enter("wrong"); w.Code != http.StatusUnauthorized || len(w.Result().Cookies()) != 0 {
		t.Fatalf("wrong code: %d %s", w.Code, w.Body)
	}
	w := r.enter(code)
	if w.Code != http.StatusOK || len(w.Result().Cookies()) != 1 || strings.TrimSpace(w.Body.String()) != `{"expires":true,"subject":"dev@local"}` {
		t.Fatalf("right code: %d %s", w.Code, w.Body)
	}
	again := r.enter(code)
	var e struct{ Error, Message, RequestID string }
	if err := json.Unmarshal(again.Body.Bytes(), &e); err != nil || again.Code != http.StatusUnauthorized || e.Error != "E_UNAUTHENTICATED" || e.RequestID != "r1" || !strings.Contains(e.Message, "has been used") || !strings.Contains(e.Message, "is gone, start periscope again") {
		t.Fatalf("used code: %d %s", again.Code, again.Body)
	}
	if r.login.Code() != "" {
		t.Fatal("a used code is still shown")
	}
	if out := r.post("/api/auth/logout", "", "", w.Result().Cookies()...); out.Code != http.StatusOK || strings.TrimSpace(out.Body.String()) != `{"redirect":""}` {
		t.Fatalf("logout: %d", out.Code)
	}
	want := []string{"auth.denied denied ", "auth.login success dev@local", "auth.denied denied ", "auth.logout success dev@local"}
	if !reflect.DeepEqual(r.audit, want) {
		t.Fatalf("audit: %q", r.audit)
	}
}

// TestAFreshCodeWhereNobodyIsLeft is made when somebody asks how to log in, shown
// once, and told to nobody.
func TestAFreshCodeWhereNobodyIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(true)
		asks := func(when string, shown int) {
			t.Helper()
			for range 2 {
				w := httptest.NewRecorder()
				entry.Handler(r.login.Routes()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/auth/config", nil))
				if code := r.login.Code(); w.Code != http.StatusOK || code != "" && strings.Contains(w.Body.String(), code) {
					t.Fatalf("%s: %d %s", when, w.Code, w.Body)
				}
			}
			if r.shown != shown {
				t.Errorf("%s: %d fresh codes were shown, want %d", when, r.shown, shown)
			}
		}
		first := r.login.Code()
		if asks("before the first login", 0); r.login.Code() != first {
			t.Fatal("the first code was replaced")
		}
		r.enter(first)
		if asks("while somebody is logged in", 0); r.login.Code() != "" {
			t.Fatal("a second one may come in")
		}
		time.Sleep(time.Hour)
		asks("after the login ran out", 1)
		if w := r.enter(first); w.Code != http.StatusUnauthorized {
			t.Fatalf("the used code: %d", w.Code)
		}
		w := r.enter(r.login.Code())
		if asks("after the second login", 1); w.Code != http.StatusOK {
			t.Fatalf("the fresh code: %d %s", w.Code, w.Body)
		}
		r.post("/api/auth/logout", "", "", w.Result().Cookies()...)
		asks("after a logout", 2)
	})
}

// TestNoSecondCodeWhileOneLetsIn: somebody asks how to log in between the code and the
// login that it becomes.
func TestNoSecondCodeWhileOneLetsIn(t *testing.T) {
	r := newRig(true)
	r.recorded = func() { r.login.renew(t.Context()) }
	code := r.login.Code()
	r.deaf = fault.New(fault.AuditUnavailable, "test", "It could not be recorded.")
	if r.enter(code); r.login.Code() != code || r.shown != 0 {
		t.Errorf("%d fresh codes beside the one that came back", r.shown)
	}
	r.deaf = nil
	if w := r.enter(code); w.Code != http.StatusOK || r.login.Code() != "" || r.shown != 0 {
		t.Errorf("%d %s, and %d fresh codes beside the login", w.Code, w.Body, r.shown)
	}
}

// TestOneFreshCodeOfTwoWhoAsk: while one looks for logins the other has a code made, and
// it is used.
func TestOneFreshCodeOfTwoWhoAsk(t *testing.T) {
	r := newRig(true)
	_, _ = r.login.Exchange(r.login.Code())
	r.login.entered()
	r.store.looked = func() {
		r.store.looked = nil
		r.login.renew(t.Context())
		if w := r.enter(r.login.Code()); w.Code != http.StatusOK {
			t.Errorf("the fresh code: %d %s", w.Code, w.Body)
		}
	}
	if r.login.renew(t.Context()); r.login.Code() != "" || r.shown != 1 {
		t.Errorf("%d fresh codes, and a second one may come in", r.shown)
	}
}

func TestEmptyCodeIsWrong(t *testing.T) {
	r := newRig(true)
	_, _ = r.login.Exchange(r.login.Code())
	if _, err := r.login.Exchange(""); fault.KindOf(err) != fault.Unauthenticated {
		t.Fatalf("an empty code after the code was used: %v", err)
	}
}

func TestGuessesAreBoundedAndLockNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(true)
		for range maxWrong {
			if _, err := r.login.Exchange("x"); fault.KindOf(err) != fault.Unauthenticated {
				t.Fatal(err)
			}
		}
		if w := r.enter("x"); w.Code != http.StatusTooManyRequests || len(r.audit) != 0 {
			t.Fatalf("beyond the bound: %d, audit %q", w.Code, r.audit)
		}
		time.Sleep(wrongWindow)
		if _, err := r.login.Exchange("x"); fault.KindOf(err) != fault.Unauthenticated {
			t.Fatal(err)
		}
		for range 2 * maxWrong {
			_, _ = r.login.Exchange("x")
		}
		if _, err := r.login.Exchange(r.login.Code()); err != nil {
			t.Fatalf("guesses locked the owner out: %v", err)
		}
	})
}

func TestOpenMode(t *testing.T) {
	r := newRig(false)
	if r.login.Code() != "" {
		t.Fatal("open mode shows a code")
	}
	for range 2 {
		if w := r.enter(""); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if w := r.post("/api/auth/dev", "application/json", ""); w.Code != http.StatusOK {
		t.Fatalf("without a body: %d %s", w.Code, w.Body)
	}
}

func TestConfig(t *testing.T) {
	for _, required := range []bool{true, false} {
		w := httptest.NewRecorder()
		entry.Handler(newRig(required).login.Routes()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/auth/config", nil))
		want := fmt.Sprintf(`{"mode":"dev","codeRequired":%v,"providerName":"","failure":null}`, required)
		if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

func TestBadBodies(t *testing.T) {
	for _, c := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"a form", "application/x-www-form-urlencoded", "code=x", http.StatusUnsupportedMediaType},
		{"text, as a form can send it", "text/plain", `{"code":"x"}`, http.StatusUnsupportedMediaType},
		{"no type", "", `{"code":"x"}`, http.StatusUnsupportedMediaType},
		{"garbage", "application/json", `{"code":`, http.StatusBadRequest},
		{"a number", "application/json", `{"code":7}`, http.StatusBadRequest},
		{"two values", "application/json", `{} {}`, http.StatusBadRequest},
		{"a brace too many", "application/json", `{}}`, http.StatusBadRequest},
		{"too long", "application/json", `{"code":"` + strings.Repeat("x", 1<<20) + `"}`, http.StatusRequestEntityTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			if w := newRig(true).post("/api/auth/dev", c.contentType, c.body); w.Code != c.status {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestLogoutEverywhere(t *testing.T) {
	r := newRig(false)
	one, two := r.enter(""), r.enter("")
	if out := r.post("/api/auth/logout/everywhere", "", ""); out.Code != http.StatusUnauthorized {
		t.Fatalf("by nobody: %d", out.Code)
	}
	if out := r.post("/api/auth/logout/everywhere", "", "", one.Result().Cookies()...); out.Code != http.StatusOK {
		t.Fatalf("%d %s", out.Code, out.Body)
	}
	again := httptest.NewRequest(http.MethodGet, "/", nil)
	again.AddCookie(two.Result().Cookies()[0])
	if _, _, err := r.sessions.FromRequest(again); fault.KindOf(err) != fault.Unauthenticated {
		t.Fatalf("the other login holds: %v", err)
	}
	if last := r.audit[len(r.audit)-1]; last != "auth.logout success dev@local" {
		t.Fatalf("audit: %q", r.audit)
	}
}

// TestALogoutThatFails is recorded as one: whoever reads audit must not take the
// login for ended.
func TestALogoutThatFails(t *testing.T) {
	for _, path := range []string{"/api/auth/logout", "/api/auth/logout/everywhere"} {
		r := newRig(false)
		in := r.enter("")
		r.store.stuck = errors.New("disk full")
		if out := r.post(path, "", "", in.Result().Cookies()...); out.Code != http.StatusInternalServerError {
			t.Errorf("%s: %d %s", path, out.Code, out.Body)
		}
		if want := []string{"auth.login success dev@local", "auth.logout success dev@local", "auth.logout failure dev@local"}; !reflect.DeepEqual(r.audit, want) {
			t.Errorf("%s: audit %q", path, r.audit)
		}
	}
}
