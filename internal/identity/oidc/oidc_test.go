package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

func TestLogin(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Audience = "https://api" }).found()
	q := r.begin("/clusters/prod?x=1")
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "periscope", "redirect_uri": "http://127.0.0.1/api/auth/callback", "scope": "openid email",
		"code_challenge_method": "S256", "audience": "https://api",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	w := r.back(q)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/clusters/prod?x=1" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if challenge(r.provider.verifier) != q.Get("code_challenge") || r.provider.secret != testSecret {
		t.Errorf("verifier %q, secret %q", r.provider.verifier, r.provider.secret)
	}
	a, err := r.who()
	if err != nil || a.Issuer != r.provider.srv.URL || a.Subject != "alice" || a.Email != "alice@example.com" || !slices.Equal(a.As.Groups, []string{"periscope:sre"}) {
		t.Errorf("%+v, %v", a, err)
	}
	if len(r.jar) != 1 {
		t.Errorf("cookies are left: %v", r.jar)
	}
	if !slices.Equal(r.audit, []string{"auth.login success alice"}) {
		t.Errorf("audit %q", r.audit)
	}
}

// TestAnotherAccount: a provider that knows the browser would send it straight back
// as whom it was refused.
func TestAnotherAccount(t *testing.T) {
	for want, document := range map[string]map[string]any{
		"login":          {},
		"select_account": {"prompt_values_supported": []string{"none", "login", "select_account"}},
	} {
		r := newRig(t)
		r.provider.lie(func(l *liar) { l.document = document })
		r.found()
		if q := r.begin("/"); q.Has("prompt") {
			t.Errorf("asked for nothing, and yet %q", q.Get("prompt"))
		}
		to, err := url.Parse(r.do("GET", "/api/auth/login?account=other").Header().Get("Location"))
		if err != nil || to.Query().Get("prompt") != want {
			t.Errorf("sent to %v, want %s", to, want)
		}
	}
	if p := (&found{issuer: google}).otherAccount(); p != "select_account" {
		t.Errorf("Google: %s", p)
	}
}

// TestScopeThatAProviderLacks is left out where it would refuse it.
func TestScopeThatAProviderLacks(t *testing.T) {
	for want, document := range map[string]map[string]any{
		"openid offline_access email":  {"scopes_supported": []string{"openid", "offline_access"}},
		"openid offline_access email ": {},
		"openid email":                 {"scopes_supported": []string{"openid", "email", "profile"}},
	} {
		r := newRig(t, func(o *Options) { o.Scopes = []string{"openid", "offline_access", "email"} })
		r.provider.lie(func(l *liar) { l.document = document })
		r.found()
		if got := r.begin("/").Get("scope"); got != strings.TrimSpace(want) {
			t.Errorf("scope %q, want %q", got, want)
		}
	}
}

// TestAddressesInTheOpen: a secret goes to none, and no key is fetched from one.
func TestAddressesInTheOpen(t *testing.T) {
	good := metadata{AuthorizeURL: "https://a/1", TokenEndpoint: "https://a/2", Keys: "https://a/3"}
	if open := good.inTheOpen("https://a"); open != "" {
		t.Error(open)
	}
	for _, spoil := range []func(*metadata){
		func(m *metadata) { m.TokenEndpoint = "http://a/2" }, func(m *metadata) { m.Keys = "http://a/3" }, func(m *metadata) { m.EndSession = "javascript:x" },
		func(m *metadata) { m.UserinfoTarget = "HTTP://a" }, func(m *metadata) { m.AuthorizeURL = "//a" },
	} {
		bad := good
		if spoil(&bad); bad.inTheOpen("https://a") == "" || bad.inTheOpen("http://127.0.0.1:1") != "" {
			t.Errorf("%+v", bad)
		}
	}
}

// TestSomebodyElseInTheSameBrowser: whoever was in before is out, with their shells;
// the same person again is not.
func TestSomebodyElseInTheSameBrowser(t *testing.T) {
	r := newRig(t).found()
	r.back(r.begin("/"))
	first := r.kept()
	done := r.sessions.Done(first.ID)
	r.back(r.begin("/"))
	select {
	case <-done:
		t.Error("a second login of the same person ended the first")
	default:
	}
	second := r.kept()
	r.provider.lie(func(l *liar) { l.claims = map[string]any{"sub": "bob"} })
	done = r.sessions.Done(second.ID)
	r.back(r.begin("/"))
	if a, err := r.who(); err != nil || a.Subject != "bob" {
		t.Fatalf("%+v, %v", a, err)
	}
	select {
	case <-done:
	default:
		t.Error("alice's shells live on before bob's eyes")
	}
	want := []string{"auth.login success alice", "auth.login success alice", "auth.logout success alice", "auth.login success bob"}
	if !slices.Equal(r.audit, want) {
		t.Errorf("audit %q", r.audit)
	}
}

// TestNoRecordNoLogin: nobody comes in where it cannot be recorded; whoever was in
// before is out all the same, as somebody else sits there now.
func TestNoRecordNoLogin(t *testing.T) {
	r := newRig(t).found()
	r.back(r.begin("/"))
	done := r.sessions.Done(r.kept().ID)
	r.deaf = fault.New(fault.AuditUnavailable, "test", "Your login could not be recorded.")
	r.provider.lie(func(l *liar) { l.claims = map[string]any{"sub": "bob"} })
	r.back(r.begin("/"))
	if a, err := r.who(); err == nil {
		t.Errorf("%s is in", a.Subject)
	}
	if said := r.failure(); said != "Your login could not be recorded." {
		t.Errorf("said %q", said)
	}
	select {
	case <-done:
	default:
		t.Error("alice's shells live on before bob's eyes")
	}
	r.deaf = nil
	r.back(r.begin("/"))
	if a, err := r.who(); err != nil || a.Subject != "bob" {
		t.Errorf("recorded: %+v, %v", a, err)
	}
}

// TestALongReasonIsCut: the login page must get it, in a cookie.
func TestALongReasonIsCut(t *testing.T) {
	r := newRig(t)
	r.login.dir.why = errors.New(strings.Repeat("<", 1000))
	r.do("GET", "/api/auth/login")
	if said := r.failure(); !strings.Contains(said, "cannot be used yet") || !strings.HasSuffix(said, "…") {
		t.Errorf("said %q", said)
	}
}

// TestAPersonWhoCannotBeKept is named in audit all the same.
func TestAPersonWhoCannotBeKept(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.See = func(context.Context, identity.Actor) error {
			return fault.Wrap(errDisk, fault.Internal, "t", "Who you are could not be kept.")
		}
	}).found()
	r.back(r.begin("/"))
	if said := r.failure(); !strings.Contains(said, "could not be kept") || !slices.Equal(r.audit, []string{"auth.denied failure alice"}) {
		t.Errorf("said %q, audit %q", said, r.audit)
	}
}

// TestOneShot: a login is finished once, in the browser that began it.
func TestOneShot(t *testing.T) {
	r := newRig(t).found()
	q := r.begin("/")
	kept := map[string]*http.Cookie{}
	for k, v := range r.jar {
		kept[k] = v
	}
	r.back(q)
	if _, err := r.who(); err != nil {
		t.Fatal(err)
	}
	other := newRig(t).found()
	for name, state := range map[string]string{"again": q.Get("state"), "of nobody": strings.Repeat("x", 43), "short": "x", "none": ""} {
		other.jar = map[string]*http.Cookie{}
		q.Set("state", state)
		other.back(q)
		if _, err := other.who(); err == nil || !strings.Contains(other.failure(), "begun in another browser") {
			t.Errorf("%s: let in, %v", name, err)
		}
	}
}

func TestTabsDoNotDisturbEachOther(t *testing.T) {
	r := newRig(t).found()
	first := r.begin("/first")
	nonce := first.Get("nonce")
	second := r.begin("/second")
	r.provider.lie(func(l *liar) { l.nonce = nonce })
	if w := r.back(first); w.Header().Get("Location") != "/first" {
		t.Errorf("the first tab: %v, %s", w.Header(), r.failure())
	}
	r.provider.lie(func(l *liar) { l.nonce = second.Get("nonce") })
	if w := r.back(second); w.Header().Get("Location") != "/second" {
		t.Errorf("the second tab: %v, %s", w.Header(), r.failure())
	}
	for range 20 {
		r.begin("/")
	}
	if len(r.jar) > maxPending+1 {
		t.Errorf("%d cookies pile up", len(r.jar))
	}
}

// TestLies: each is told on the login page, in audit, and lets nobody in.
func TestLies(t *testing.T) {
	year := 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		lie  func(*liar)
		want string
	}{
		"alg none":    {func(l *liar) { l.sign = unsigned }, "could not be verified"},
		"another key": {func(l *liar) { l.sign = func(p []byte) string { return signed(l.t, keys()[1], p) } }, "could not be verified"},
		"our own secret": {func(l *liar) {
			l.sign = func(p []byte) string { return signed(l.t, []byte(strings.Repeat(testSecret, 6)), p) }
		}, "could not be verified"},
		"no token at all":   {func(l *liar) { l.sign = func([]byte) string { return "" } }, "sent no ID token"},
		"keys out of reach": {func(l *liar) { l.jwks = unavailable }, "does not hand out the keys"},
		"nonsense":          {func(l *liar) { l.sign = func([]byte) string { return "a.b.c" } }, "could not be verified"},
		"another issuer":    {func(l *liar) { l.claims = map[string]any{"iss": "https://evil.example"} }, "could not be verified"},
		"another audience":  {func(l *liar) { l.claims = map[string]any{"aud": "other"} }, "could not be verified"},
		"another party":     {func(l *liar) { l.claims = map[string]any{"azp": "other"} }, "another application"},
		"several audiences": {func(l *liar) { l.claims = map[string]any{"aud": []string{"periscope", "other"}} }, "another application"},
		"expired":           {func(l *liar) { l.claims = map[string]any{"exp": time.Now().Add(-year).Unix()} }, "ran out 8760h"},
		"from the future":   {func(l *liar) { l.claims = map[string]any{"iat": time.Now().Add(year).Unix()} }, "in the future"},
		"not yet":           {func(l *liar) { l.claims = map[string]any{"nbf": time.Now().Add(year).Unix()} }, "could not be verified"},
		"another nonce":     {func(l *liar) { l.claims = map[string]any{"nonce": "x"} }, "another login than this one"},
		"no nonce":          {func(l *liar) { l.claims = map[string]any{"nonce": nil} }, "another login than this one"},
		"another access token": {func(l *liar) {
			l.claims = map[string]any{"at_hash": base64.RawURLEncoding.EncodeToString(make([]byte, 16))}
		}, "could not be verified"},
		"system:masters":      {func(l *liar) { l.claims = map[string]any{"sub": "system:masters"} }, "Kubernetes' own"},
		"a subject of lines":  {func(l *liar) { l.claims = map[string]any{"sub": "a\nImpersonate-Group: system:masters"} }, "do not belong"},
		"a subject of 4 KiB":  {func(l *liar) { l.claims = map[string]any{"sub": strings.Repeat("x", 4096)} }, "longer than 255"},
		"a code used already": {func(l *liar) { l.token = answerError(400, "invalid_grant") }, "used already"},
		"another secret":      {func(l *liar) { l.token = answerError(401, "invalid_client") }, "does not accept this server"},
		"out of order":        {func(l *liar) { l.token = answerError(503, "") }, "did not complete"},
		"endless": {func(l *liar) {
			l.token = func(w http.ResponseWriter, _ map[string]any) { _, _ = w.Write(make([]byte, maxAnswer+1)) }
		}, "cannot be read"},
		"elsewhere": {func(l *liar) {
			l.token = func(w http.ResponseWriter, _ map[string]any) {
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(http.StatusTemporaryRedirect)
			}
		}, "did not complete"},
		"userinfo of somebody else": {func(l *liar) {
			l.claims = map[string]any{"groups": nil}
			l.userinfo = func(w http.ResponseWriter) { writeJSON(w, map[string]any{"sub": "bob", "groups": []string{"admins"}}) }
		}, "somebody else"},
		"userinfo in ruins": {func(l *liar) { l.claims = map[string]any{"groups": nil} }, "which groups you are in"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).found()
			q := r.begin("/")
			r.provider.lie(c.lie)
			w := r.back(q)
			if _, err := r.who(); err == nil {
				t.Fatal("let in")
			}
			if said := r.failure(); w.Header().Get("Location") != "/" || !strings.Contains(said, c.want) {
				t.Errorf("said %q, want %q", said, c.want)
			}
			if r.failure() != "" {
				t.Error("said twice")
			}
			if len(r.audit) != 1 || !strings.HasPrefix(r.audit[0], "auth.denied ") {
				t.Errorf("audit %q", r.audit)
			}
		})
	}
}

func answerError(status int, code string) func(http.ResponseWriter, map[string]any) {
	return func(w http.ResponseWriter, _ map[string]any) {
		w.WriteHeader(status)
		writeJSON(w, map[string]any{"error": code, "error_description": "<script>alert(1)</script>"})
	}
}

// TestAnswersOfTheProvider has what an address may say that anybody can write.
func TestAnswersOfTheProvider(t *testing.T) {
	for query, want := range map[string]string{
		"error=access_denied&error_description=Call+0900-PHISH": "did not let you in (access_denied)",
		"error=%3Cscript%3E":                     "did not let you in (unknown)",
		"iss=https%3A%2F%2Fevil.example&code=c":  "another login provider",
		"":                                       "no usable code",
		"code=" + strings.Repeat("x", maxCode+1): "no usable code",
	} {
		r := newRig(t).found()
		q := r.begin("/")
		r.do("GET", "/api/auth/callback?state="+q.Get("state")+"&"+query)
		said := r.failure()
		if _, err := r.who(); err == nil || !strings.Contains(said, want) || strings.Contains(said, "PHISH") {
			t.Errorf("%.40s: said %q, want %q", query, said, want)
		}
	}
	r := newRig(t)
	r.provider.lie(func(l *liar) { l.document = map[string]any{"authorization_response_iss_parameter_supported": true} })
	r.found()
	if r.back(r.begin("/")); !strings.Contains(r.failure(), "another login provider") {
		t.Error("an answer without an issuer, of a provider that always names it")
	}
}

func TestGroupsFromUserinfo(t *testing.T) {
	r := newRig(t).found()
	r.provider.lie(func(l *liar) {
		l.claims = map[string]any{"groups": nil}
		l.userinfo = func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			writeJSON(w, map[string]any{"sub": "alice", "groups": []string{"dev"}, "email": "root@example.com"})
		}
	})
	r.back(r.begin("/"))
	a, err := r.who()
	if err != nil || !slices.Equal(a.Groups, []string{"dev"}) || a.Email != "alice@example.com" {
		t.Errorf("%+v, %v: %s", a, err, r.failure())
	}
}

func TestPersonWithoutAPlace(t *testing.T) {
	var seen []string
	r := newRig(t, func(o *Options) {
		o.Admit = identity.Policy{Mode: identity.Raw, AllowedGroups: []string{"ops"}}.Admit
		o.See = func(_ context.Context, a identity.Actor) error { seen = append(seen, a.Subject); return nil }
	}).found()
	r.back(r.begin("/"))
	if !slices.Equal(seen, []string{"alice"}) { // or her tokens would keep the rights that she has lost
		t.Errorf("seen %q", seen)
	}
	if said := r.failure(); !strings.Contains(said, "none of the groups") {
		t.Errorf("said %q", said)
	}
	if !slices.Equal(r.audit, []string{"auth.denied denied alice"}) {
		t.Errorf("audit %q", r.audit)
	}
}

// TestWhoCannotBeKept is let in by nothing that would act for somebody unknown.
func TestWhoCannotBeKept(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.See = func(context.Context, identity.Actor) error {
			return fault.New(fault.Internal, "t", "Who you are could not be kept.")
		}
	}).found()
	r.back(r.begin("/"))
	if said := r.failure(); !strings.Contains(said, "could not be kept") {
		t.Errorf("said %q", said)
	}
	if a, err := r.who(); err == nil {
		t.Errorf("is let in: %+v", a)
	}
}

func TestNext(t *testing.T) {
	for next, want := range map[string]string{
		"/clusters/a?b=c#d": "/clusters/a?b=c#d", "": "/", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example": "/",
		"javascript:alert(1)": "/", "/a\r\nSet-Cookie: x": "/", "/" + strings.Repeat("x", maxNext): "/", "/api/auth/login": "/", "/\t/evil.example": "/",
	} {
		if got := safeNext(next); got != want {
			t.Errorf("%q goes on to %q, want %q", next, got, want)
		}
	}
}

// TestDiscovery: what cannot be a provider lets nobody in, and says why.
func TestDiscovery(t *testing.T) {
	for name, c := range map[string]struct {
		document map[string]any
		want     string
	}{
		"another issuer":  {map[string]any{"issuer": "https://evil.example"}, "did not match"},
		"none but none":   {map[string]any{"id_token_signing_alg_values_supported": []string{"none", "HS256"}}, "none can be accepted"},
		"PKCE by plain":   {map[string]any{"code_challenge_methods_supported": []string{"plain"}}, "not by S256"},
		"nonsense within": {map[string]any{"scopes_supported": 7}, "scopes_supported"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.provider.lie(func(l *liar) { l.document = c.document })
			_, err := r.login.dir.discover(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			r.login.dir.why = err
			if ready := r.login.Ready(); fault.KindOf(ready) != fault.Timeout || !strings.Contains(fault.PublicOf(ready), c.want) {
				t.Errorf("ready: %v", ready)
			}
			if w := r.do("GET", "/api/auth/login"); w.Header().Get("Location") != "/" || !strings.Contains(r.failure(), "cannot be used yet") {
				t.Errorf("%v", w.Header())
			}
		})
	}
}

// TestProviderThatComesUpLate is found without a restart.
func TestProviderThatComesUpLate(t *testing.T) {
	r := newRig(t)
	r.provider.lie(func(l *liar) { l.document = map[string]any{"issuer": "https://not.yet"} })
	tried := make(chan error)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.login.dir.find(t.Context(), func(err error) { tried <- err })
	}()
	if err := <-tried; err == nil || r.login.Ready() == nil {
		t.Errorf("ready without a provider: %v", err)
	}
	r.provider.lie(func(l *liar) { l.document = nil })
	<-ended
	if err := r.login.Ready(); err != nil {
		t.Error(err)
	}
}

func TestRenew(t *testing.T) {
	for name, c := range map[string]struct {
		lie   func(*liar)
		kind  fault.Kind // of the error; no error where it is empty
		is    bool
		group string
	}{
		"other groups": {lie: func(l *liar) { l.claims = map[string]any{"groups": []string{"new"}, "nonce": nil} }, group: "new"},
		"without an ID token": {lie: func(l *liar) {
			l.token = func(w http.ResponseWriter, answer map[string]any) {
				delete(answer, "id_token")
				writeJSON(w, answer)
			}
			l.userinfo = func(w http.ResponseWriter) { writeJSON(w, map[string]any{"sub": "alice", "groups": "told"}) }
		}, group: "told"},
		"ended":                {lie: func(l *liar) { l.token = answerError(400, "invalid_grant") }, kind: fault.Unauthenticated, is: true},
		"out of order":         {lie: func(l *liar) { l.token = answerError(503, "") }, kind: fault.Internal, is: true},
		"wrong client":         {lie: func(l *liar) { l.token = answerError(401, "invalid_client") }, kind: fault.Internal, is: true},
		"somebody else":        {lie: func(l *liar) { l.claims = map[string]any{"sub": "bob"} }, kind: fault.Unauthenticated, is: true},
		"a name of Kubernetes": {lie: func(l *liar) { l.claims = map[string]any{"groups": []string{"system:masters"}} }, group: "system:masters"},
		"alg none":             {lie: func(l *liar) { l.sign = unsigned }, kind: fault.Unauthenticated, is: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).found()
			r.back(r.begin("/"))
			a, err := r.who()
			if err != nil {
				t.Fatal(err)
			}
			all, err := r.sessions.Of(t.Context(), a)
			if err != nil || len(all) != 1 || all[0].Due.Before(time.Now().Add(4*time.Minute)) {
				t.Fatalf("%+v, %v", all, err)
			}
			r.provider.lie(c.lie)
			g, err := r.login.Renew(t.Context(), all[0])
			if c.is {
				if err == nil || fault.KindOf(err) != c.kind {
					t.Fatalf("%+v, %v", g, err)
				}
				return
			}
			if err != nil || !slices.Equal(g.Actor.Groups, []string{c.group}) || !strings.Contains(string(g.Renewal), "refresh-2") {
				t.Fatalf("%+v, %s, %v", g.Actor, g.Renewal, err)
			}
			if r.provider.grants[1] != "refresh_token" {
				t.Errorf("asked by %v", r.provider.grants)
			}
		})
	}
}

// TestARefreshTokenThatHoldsOnce is handed out by a renewal that then gets no answer.
func TestARefreshTokenThatHoldsOnce(t *testing.T) {
	bare := func(w http.ResponseWriter, answer map[string]any) {
		delete(answer, "id_token")
		writeJSON(w, answer)
	}
	told := func(w http.ResponseWriter) { writeJSON(w, map[string]any{"sub": "alice", "groups": "told"}) }
	for name, c := range map[string]struct {
		lie, mend func(*liar)
		see       error
	}{
		"userinfo is out of order":  {lie: func(l *liar) { l.token, l.userinfo = bare, unavailable }, mend: func(l *liar) { l.userinfo = told }},
		"keys are out of order":     {lie: func(l *liar) { l.jwks = unavailable }, mend: func(l *liar) { l.jwks = nil }},
		"the store is out of order": {lie: func(*liar) {}, mend: func(*liar) {}, see: errDisk},
	} {
		t.Run(name, func(t *testing.T) {
			var see error
			r := newRig(t, func(o *Options) { o.See = func(context.Context, identity.Actor) error { return see } }).found()
			r.back(r.begin("/"))
			rec := r.found().kept() // no key is known any more
			see = c.see
			r.provider.lie(func(l *liar) { l.once = true })
			r.provider.lie(c.lie)
			g, err := r.login.Renew(t.Context(), rec)
			if err == nil || fault.KindOf(err) == fault.Unauthenticated || !strings.Contains(string(g.Renewal), "refresh-2") {
				t.Fatalf("without an answer: %s, %v", g.Renewal, err)
			}
			see, rec.Renewal = nil, g.Renewal
			r.provider.lie(c.mend)
			if g, err = r.login.Renew(t.Context(), rec); err != nil || !strings.Contains(string(g.Renewal), "refresh-3") || !strings.Contains(string(g.Renewal), "hint") {
				t.Errorf("the next time: %s, %v", g.Renewal, err)
			}
		})
	}
}

// TestAnAccessTokenOfSeconds is not refreshed beside the renewal, which would use up
// the refresh token that is kept.
func TestAnAccessTokenOfSeconds(t *testing.T) {
	r := newRig(t).found()
	r.back(r.begin("/"))
	rec := r.kept()
	r.provider.lie(func(l *liar) {
		l.once = true
		l.token = func(w http.ResponseWriter, answer map[string]any) {
			delete(answer, "id_token")
			answer["expires_in"] = 5
			writeJSON(w, answer)
		}
		l.userinfo = func(w http.ResponseWriter) { writeJSON(w, map[string]any{"sub": "alice", "groups": "told"}) }
	})
	for range 3 {
		g, err := r.login.Renew(t.Context(), rec)
		if err != nil {
			t.Fatal(err)
		}
		rec.Renewal = g.Renewal
	}
}

// TestKeysThatCannotBeFetched say nothing about who is logged in; keys that were
// fetched and do not fit do.
func TestKeysThatCannotBeFetched(t *testing.T) {
	rotated := func(l *liar) { l.sign = func(p []byte) string { return signed(l.t, keys()[1], p) } }
	for name, c := range map[string]struct {
		lie     func(*liar)
		restart bool // no key is known any more
		kind    fault.Kind
	}{
		"out of order": {func(l *liar) { l.jwks = unavailable }, true, fault.Timeout},
		"nonsense":     {func(l *liar) { l.jwks = func(w http.ResponseWriter) { writeJSON(w, "<html>") } }, true, fault.Timeout},
		"cut off":      {func(l *liar) { l.jwks = func(http.ResponseWriter) { panic(http.ErrAbortHandler) } }, true, fault.Timeout},
		"out of order after a rotation": {func(l *liar) {
			rotated(l)
			l.jwks = unavailable
		}, false, fault.Timeout},
		"another signature":                 {rotated, false, fault.Unauthenticated},
		"another signature after a restart": {rotated, true, fault.Unauthenticated},
		"alg none": {func(l *liar) {
			l.sign = unsigned
			l.jwks = unavailable
		}, true, fault.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).found()
			r.back(r.begin("/"))
			rec := r.kept()
			if c.restart {
				r.found()
			}
			r.provider.lie(c.lie)
			if g, err := r.login.Renew(t.Context(), rec); err == nil || fault.KindOf(err) != c.kind {
				t.Errorf("%+v, %v", g.Actor, err)
			}
		})
	}
}

func TestLogout(t *testing.T) {
	r := newRig(t).found()
	r.back(r.begin("/"))
	w := r.do("POST", "/api/auth/logout")
	where := w.Body.String()
	if w.Code != http.StatusOK || !strings.Contains(where, r.provider.srv.URL+"/end?") {
		t.Fatalf("%d %s", w.Code, where)
	}
	for _, want := range []string{"id_token_hint=", "client_id=periscope", "post_logout_redirect_uri=http", "x=y"} {
		if !strings.Contains(where, want) {
			t.Errorf("no %s in %s", want, where)
		}
	}
	if _, err := r.who(); err == nil {
		t.Error("still logged in")
	}
	if again := r.do("POST", "/api/auth/logout"); again.Code != http.StatusOK {
		t.Errorf("a second logout: %d", again.Code)
	}
	if w := r.do("GET", "/api/auth/loggedout"); w.Header().Get("Location") != "/" {
		t.Errorf("goes on to %v", w.Header())
	}
	if !slices.Equal(r.audit, []string{"auth.login success alice", "auth.logout success alice"}) {
		t.Errorf("audit %q", r.audit)
	}
}

func TestLogoutEverywhere(t *testing.T) {
	r := newRig(t).found()
	r.back(r.begin("/"))
	other := r.jar
	r.jar = map[string]*http.Cookie{}
	r.back(r.begin("/"))
	if w := r.do("POST", "/api/auth/logout/everywhere"); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	r.jar = other
	if _, err := r.who(); err == nil {
		t.Error("the other browser is still logged in")
	}
	if w := r.do("POST", "/api/auth/logout/everywhere"); w.Code != http.StatusUnauthorized {
		t.Errorf("by nobody: %d", w.Code)
	}
}

// TestALogoutThatFails is recorded as one: whoever reads audit must not take the
// login for ended.
func TestALogoutThatFails(t *testing.T) {
	for name, leave := range map[string]func(*rig) int{
		"one browser": func(r *rig) int { return r.do("POST", "/api/auth/logout").Code },
		"everywhere":  func(r *rig) int { return r.do("POST", "/api/auth/logout/everywhere").Code },
		"somebody else logs in": func(r *rig) int {
			r.provider.lie(func(l *liar) { l.claims = map[string]any{"sub": "bob"} })
			if r.back(r.begin("/")); !strings.Contains(r.failure(), "could not be ended") {
				r.t.Error("bob is not told")
			}
			r.audit = slices.DeleteFunc(r.audit, func(e string) bool { return e == "auth.denied failure bob" })
			return http.StatusInternalServerError
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).found()
			r.back(r.begin("/"))
			held := r.kept().ID
			r.store.stuck = errDisk
			if code := leave(r); code != http.StatusInternalServerError {
				t.Errorf("%d", code)
			}
			if _, ok, _ := r.store.Get(t.Context(), held); !ok {
				t.Error("it has ended all the same")
			}
			if want := []string{"auth.login success alice", "auth.logout success alice", "auth.logout failure alice"}; !slices.Equal(r.audit, want) {
				t.Errorf("audit %q", r.audit)
			}
		})
	}
}

func TestBrokenCookies(t *testing.T) {
	r := newRig(t).found()
	q := r.begin("/")
	name := "periscope_login_" + tag(q.Get("state"))
	for _, value := range []string{"", "x", strings.Repeat("A", 64<<10), base64.RawURLEncoding.EncodeToString([]byte(`{"s":"x"}`)), base64.RawURLEncoding.EncodeToString([]byte(`null`))} {
		r.jar = map[string]*http.Cookie{name: {Name: name, Value: value}}
		r.back(q)
		if _, err := r.who(); err == nil || r.failure() == "" {
			t.Errorf("%.20q: let in", value)
		}
	}
	r.jar = map[string]*http.Cookie{"periscope_failure": {Name: "periscope_failure", Value: "x"}}
	if said := r.failure(); said != "" {
		t.Errorf("said %q", said)
	}
}

func TestSlowLoginIsRefused(t *testing.T) {
	p := newPending("/")
	p.Until = time.Now().Add(-time.Second).Unix()
	r := newRig(t).found()
	r.jar = jarWith(r, p)
	if r.do("GET", "/api/auth/callback?code=c&state="+p.State); !strings.Contains(r.failure(), "took longer than 10 minutes") {
		t.Error("a login of yesterday is finished")
	}
}

func jarWith(r *rig, p pending) map[string]*http.Cookie {
	rec := httptest.NewRecorder()
	r.login.pendings().set(rec, tag(p.State), p, pendingTime)
	jar := map[string]*http.Cookie{}
	for _, c := range rec.Result().Cookies() {
		jar[c.Name] = c
	}
	return jar
}

func TestSecureCookies(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Secure = true }).found()
	r.begin("/")
	for name, c := range r.jar {
		if !strings.HasPrefix(name, "__Host-periscope_login_") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("%s", c)
		}
	}
}

type broken struct{}

func (broken) Get(context.Context) (string, error) { return "", errDisk }

func TestUnreadableSecret(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Secret = broken{} }).found()
	r.do("GET", "/api/auth/login")
	if said := r.failure(); !strings.Contains(said, "secret for the login provider cannot be read") || strings.Contains(said, "disk") {
		t.Errorf("said %q", said)
	}
}

var errDisk = errors.New("disk is gone")

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{"a.\nb": "a", strings.Repeat("x", 400): strings.Repeat("x", 300) + "…"} {
		if got := oneLine(fmt.Errorf("%s", in)); got != want {
			t.Errorf("%q", got)
		}
	}
	if oneLine(nil) == "" {
		t.Error("nothing said")
	}
}
