package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/idptest"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/pgtest"
)

// soon is how long a login's end may take to reach its shells, in the same
// process or in another one: the sweep of websession, and the way.
const soon = 25 * time.Second

// house is what servers in mode oidc have in common: a provider, a cluster, a
// store and the groups' tiers.
type house struct {
	t       *testing.T
	idp     *idptest.Provider
	cluster *kubetest.Cluster
	ns, pod string
	dir     string
	store   string // PERISCOPE_DATABASE_URL
	secret  string // oidc.clientSecret
	tiers   string // of the groups
	more    string // further lines of auth.yaml
}

// newHouse has ada, who may open shells in ns, bob, who may look, and eve, who is
// in no group of ours.
func newHouse(t *testing.T, args ...string) *house {
	t.Helper()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	h := &house{t: t, cluster: c, ns: ns, pod: c.Pod(t, ns).Name, dir: t.TempDir(), tiers: "sre: triage, guests: read"}
	h.store = "sqlite:" + filepath.Join(h.dir, "periscope.db")
	h.idp = idptest.StartWith(t, args,
		idptest.User{Sub: "ada", Email: "ada@example.com", EmailVerified: true, Groups: []string{"sre"}},
		idptest.User{Sub: "bob", Groups: []string{"guests"}}, idptest.User{Sub: "eve", Groups: []string{"others"}})
	h.secret = h.idp.ClientSecret
	c.Bind(t, ns, "edit", "periscope-tier:triage")
	c.Bind(t, ns, "view", "periscope-tier:read")
	return h
}

// freePort is one for a server: the provider must know where that is before it
// starts.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := childtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (h *house) write(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// serve starts a server on that port; nobody is logged in.
func (h *house) serve(port string) *product {
	h.t.Helper()
	base := "http://127.0.0.1:" + port
	h.idp.AllowRedirect(base + "/api/auth/callback")
	auth := h.write("auth"+port+".yaml", fmt.Sprintf(`mode: oidc
oidc:
  issuer: %s
  clientID: %s
  clientSecret: %q
  redirectURL: %s/api/auth/callback
  postLogoutRedirect: %[4]s/api/auth/loggedout
authorization: {mode: tier, groupTiers: {%s}}
%s`, h.idp.Issuer, h.idp.ClientID, h.secret, base, h.tiers, h.more))
	list := h.write("clusters.yaml", "clusters:\n  - {name: real, backend: kubeconfig, kubeconfigPath: "+strconv.Quote(h.cluster.Kubeconfig)+"}\n")
	p := run(h.t, server.Options{RightsEvery: oftenAsked, Renew: time.Second}, []string{"--auth", auth, "--clusters", list},
		"PORT="+port, "PERISCOPE_BIND_ADDRESS=127.0.0.1", "PERISCOPE_DATABASE_URL="+h.store)
	p.url = base
	return p
}

// ready waits until the server can let people in.
func (p *product) ready() *product {
	p.t.Helper()
	eventually(p.t, "the server is ready", func() bool {
		resp, err := http.Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// browser keeps cookies, which know hosts but no ports: all servers of a house and
// their provider are one site to it.
type browser struct {
	t *testing.T
	h *house
	*http.Client
}

func (h *house) browser() *browser {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &browser{t: h.t, h: h, Client: &http.Client{
		Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, Timeout: wait,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// get answers the status, where it sends the browser, and the body.
func (b *browser) get(address string) (int, string, string) {
	b.t.Helper()
	resp, err := b.Get(address)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(raw)
}

// begin goes to where p sends people who log in.
func (b *browser) begin(p *product) string {
	b.t.Helper()
	status, to, _ := b.get(p.url + "/api/auth/login?next=%2Fclusters%2Freal")
	if status != http.StatusSeeOther || !strings.HasPrefix(to, b.h.idp.Issuer+"/") {
		b.t.Fatalf("login: %d to %q: %s", status, to, b.failure(p))
	}
	return to
}

// try logs in as that person; what the login page says then is "" where it went
// well.
func (b *browser) try(p *product, sub string) string {
	b.t.Helper()
	callback := b.h.idp.Login(b.t, b.Client, b.begin(p), sub)
	status, to, _ := b.get(callback)
	if failure := b.failure(p); failure != "" || to != "/clusters/real" {
		if status != http.StatusSeeOther || to != "/" {
			b.t.Errorf("a failure sends people to %q with %d", to, status)
		}
		return failure
	}
	p.cookie = b.cookie(p)
	return ""
}

// in logs in.
func (b *browser) in(p *product, sub string) {
	b.t.Helper()
	if failure := b.try(p, sub); failure != "" {
		b.t.Fatalf("login as %s: %s", sub, failure)
	}
}

func (b *browser) cookie(p *product) *http.Cookie {
	b.t.Helper()
	u, err := url.Parse(p.url)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == "periscope_session" {
			return c
		}
	}
	b.t.Fatal("no cookie of a login")
	return nil
}

// failure is what the login page says of the last try, told once.
func (b *browser) failure(p *product) string {
	b.t.Helper()
	_, _, body := b.get(p.url + "/api/auth/config")
	var c struct {
		Failure *struct{ Message, RequestID string }
	}
	if err := json.Unmarshal([]byte(body), &c); err != nil {
		b.t.Fatal(err)
	}
	if c.Failure == nil {
		return ""
	}
	if len(c.Failure.RequestID) != 24 {
		b.t.Errorf("request id %q", c.Failure.RequestID)
	}
	return c.Failure.Message
}

// post answers where the server sends the browser next.
func (b *browser) post(p *product, path string) string {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, p.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Origin", p.url)
	resp, err := b.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Redirect string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("POST %s: %d %v", path, resp.StatusCode, err)
	}
	return answer.Redirect
}

// with is p to whoever has that cookie.
func (p *product) with(c *http.Cookie) *product {
	q := *p
	q.cookie = c
	return &q
}

// ended is that a shell of a login that is no more ends in time, as it should.
func (term *terminal) unauthorized(since time.Time) {
	term.t.Helper()
	closed, code := term.closed()
	if took := time.Since(since); closed["reason"] != "unauthorized" || code != 1008 || took > soon {
		term.t.Errorf("closed %v with %d after %v", closed, code, took)
	}
}

// TestLoginShellLogout is a person's way through it all.
func TestLoginShellLogout(t *testing.T) {
	h := newHouse(t)
	p := h.serve(freePort(t)).ready()
	b := h.browser()
	if code := p.with(&http.Cookie{Name: "periscope_session", Value: "x"}).call("GET", "/api/whoami", "", nil); code != http.StatusUnauthorized {
		t.Errorf("before the login: %d", code)
	}
	b.in(p, "ada")
	var who struct {
		Subject, Email, Mode, Tier, AuthzMode string
		Groups                                []string
	}
	if p.call("GET", "/api/whoami", "", &who); who.Subject != "ada" || who.Email != "ada@example.com" || who.Mode != "oidc" || who.Tier != "triage" || len(who.Groups) != 1 {
		t.Errorf("%+v", who)
	}
	var pods struct{ Pods []struct{ Name string } }
	if code := p.call("GET", "/api/clusters/real/pods?namespace="+h.ns, "", &pods); code != http.StatusOK || len(pods.Pods) != 1 {
		t.Fatalf("pods: %d %+v", code, pods)
	}
	term := p.open("real", h.ns, h.pod, nil)
	term.send("echo he''re\n")
	term.expect("here")

	left := time.Now()
	next := b.post(p, "/api/auth/logout")
	term.unauthorized(left)
	if took := time.Since(left); took > 5*time.Second {
		t.Errorf("a logout in the same process took %v", took)
	}
	if code := p.call("GET", "/api/whoami", "", nil); code != http.StatusUnauthorized {
		t.Errorf("after the logout: %d", code)
	}
	if end := p.ending(); end["close_reason"] != "unauthorized" || end["ended"] != "verified" {
		t.Errorf("the end: %v", end)
	}

	// The provider still knows this browser, until it has been where we send it.
	if status, to, _ := b.get(b.begin(p)); status != http.StatusSeeOther || !strings.HasPrefix(to, p.url) {
		t.Fatalf("the provider asks although nobody has told it: %d to %q", status, to)
	}
	if !strings.HasPrefix(next, h.idp.Issuer+"/logout?") {
		t.Fatalf("sent to %q", next)
	}
	if status, to, body := b.get(next); status != http.StatusSeeOther || to != p.url+"/api/auth/loggedout" {
		t.Fatalf("%d to %q: %s", status, to, body)
	}
	if status, to, _ := b.get(p.url + "/api/auth/loggedout"); status != http.StatusSeeOther || to != "/" {
		t.Errorf("%d to %q", status, to)
	}
	if status, to, body := b.get(b.begin(p)); status != http.StatusOK || !strings.Contains(body, "ada") {
		t.Errorf("logged straight in again: %d to %q", status, to)
	}
	in, out := p.events("auth.login", "completed"), p.events("auth.logout", "completed")
	if len(in) != 1 || len(out) != 1 || in[0]["actor"].(map[string]any)["sub"] != "ada" || in[0]["requestId"] == "" ||
		in[0]["extra"].(map[string]any)["client_address"] != "127.0.0.1" {
		t.Errorf("audit: %v %v", in, out)
	}
}

// TestARestartKeepsTheLogin ends a server and starts another one on its store.
func TestARestartKeepsTheLogin(t *testing.T) {
	h := newHouse(t)
	port := freePort(t)
	first := h.serve(port).ready()
	h.browser().in(first, "ada")
	first.end()
	second := h.serve(port).with(first.cookie)
	if code := second.call("GET", "/api/whoami", "", nil); code != http.StatusOK {
		t.Errorf("a restart logged her out: %d", code)
	}
	second.open("real", h.ns, h.pod, nil)
}

// TestALoginByAnotherProvider: the store outlives the setting, and ada of one
// provider is not ada of another.
func TestALoginByAnotherProvider(t *testing.T) {
	h := newHouse(t)
	port := freePort(t)
	first := h.serve(port).ready()
	h.browser().in(first, "ada")
	first.end()
	h.idp = idptest.Start(t, idptest.User{Sub: "ada", Groups: []string{"sre"}})
	h.secret = h.idp.ClientSecret
	second := h.serve(port).ready()
	if code := second.with(first.cookie).call("GET", "/api/whoami", "", nil); code != http.StatusUnauthorized {
		t.Errorf("a login by another provider holds: %d", code)
	}
	h.browser().in(second, "ada")
	second.end()
	dev := run(t, server.Options{}, authFiles(t, h.cluster, h.ns), "PERISCOPE_DATABASE_URL="+h.store)
	dev.url = strings.TrimSuffix(dev.server.URL(), "/")
	if code := dev.with(second.cookie).call("GET", "/api/whoami", "", nil); code != http.StatusUnauthorized {
		t.Errorf("a login by a provider holds in dev mode: %d", code)
	}
}

// TestTwoServersShareLogins: on one store, what one server does to a login is so
// at the other, shells included.
func TestTwoServersShareLogins(t *testing.T) {
	pg := pgtest.Start(t)
	for name, store := range map[string]func() string{
		"sqlite":   func() string { return "" },
		"postgres": func() string { return pg.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			if address := store(); address != "" {
				h.store = address
			}
			one, two := h.serve(freePort(t)).ready(), h.serve(freePort(t)).ready()
			b := h.browser()
			b.in(one, "ada")
			here, there := one, two.with(one.cookie)
			mine, theirs := here.open("real", h.ns, h.pod, nil), there.open("real", h.ns, h.pod, nil)
			left := time.Now()
			b.post(here, "/api/auth/logout")
			mine.unauthorized(left)
			theirs.unauthorized(left)
			if code := there.call("GET", "/api/whoami", "", nil); code != http.StatusUnauthorized {
				t.Errorf("logged out at one alone: %d", code)
			}

			// Everywhere: two browsers of hers, and one of bob's, who is not meant.
			office, home, bobs := h.browser(), h.browser(), h.browser()
			bobs.in(two, "bob")
			bob := two.cookie
			home.in(two, "ada")
			atHome := two.with(two.cookie)
			office.in(one, "ada")
			shells := []*terminal{one.open("real", h.ns, h.pod, nil), atHome.open("real", h.ns, h.pod, nil)}
			left = time.Now()
			office.post(one, "/api/auth/logout/everywhere")
			for _, shell := range shells {
				shell.unauthorized(left)
			}
			for _, p := range []*product{one, atHome, two.with(one.cookie)} {
				if code := p.call("GET", "/api/whoami", "", nil); code != http.StatusUnauthorized {
					t.Errorf("a login is left: %d", code)
				}
			}
			if code := one.with(bob).call("GET", "/api/whoami", "", nil); code != http.StatusOK {
				t.Errorf("bob was logged out too: %d", code)
			}
		})
	}
}

// TestAProviderThatIsDownAtStart: not ready, says why, and comes up by itself.
func TestAProviderThatIsDownAtStart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.idp.Fail("discovery", 0)
	p := h.serve(freePort(t))
	b := h.browser()
	status, _, body := b.get(p.url + "/readyz")
	if status != http.StatusGatewayTimeout || !strings.Contains(body, h.idp.Issuer) || !strings.Contains(body, "cannot be used yet") {
		t.Errorf("ready: %d %s", status, body)
	}
	if status, _, _ := b.get(p.url + "/healthz"); status != http.StatusOK {
		t.Errorf("health: %d", status)
	}
	eventually(t, "the reason is known", func() bool { _, _, body = b.get(p.url + "/readyz"); return strings.Contains(body, "503") })
	if _, to, _ := b.get(p.url + "/api/auth/login"); to != "/" {
		t.Errorf("sent to %q", to)
	}
	if said := b.failure(p); !strings.Contains(said, "cannot be used yet") || !strings.Contains(said, "503") {
		t.Errorf("said %q", said)
	}
	h.idp.Mend("discovery")
	p.ready()
	b.in(p, "ada")
}

// TestAProviderThatFails takes an endpoint away in the middle of a login.
func TestAProviderThatFails(t *testing.T) {
	h := newHouse(t)
	p := h.serve(freePort(t)).ready()
	h.idp.Fail("token", 1)
	b := h.browser()
	if said := b.try(p, "ada"); !strings.Contains(said, "did not complete the login") {
		t.Errorf("said %q", said)
	}
	b.in(p, "ada")
	if denied := p.events("auth.denied", "completed"); len(denied) != 1 || denied[0]["outcome"] != "failure" || denied[0]["requestId"] == "" {
		t.Errorf("audit %v", denied)
	}
}

// TestWhoIsNotLetIn is people whose login the server has no place for.
func TestWhoIsNotLetIn(t *testing.T) {
	h := newHouse(t)
	p := h.serve(freePort(t)).ready()
	crowd := make([]string, 5000)
	for i := range crowd {
		crowd[i] = "group-" + strconv.Itoa(i)
	}
	n := 0
	for name, c := range map[string]struct {
		change idptest.Change
		want   string
	}{
		"in no tier":       {idptest.Change{}, "None of your groups has a tier"},
		"5,000 groups":     {idptest.Change{Groups: &crowd}, "names 5000 groups"},
		"a group of 1 MB":  {idptest.Change{Groups: &[]string{strings.Repeat("x", 1<<20)}}, "cannot be read"},
		"groups of 200 KB": {idptest.Change{Groups: &[]string{strings.Repeat("x", 200<<10)}}, "in 200 KiB"},
		"a subject of 4 KiB": {idptest.Change{Groups: &[]string{"sre"}, Claims: &map[string]any{"sub": strings.Repeat("s", 4096)}},
			"longer than 255"},
		"a subject of lines": {idptest.Change{Claims: &map[string]any{"sub": "ada\nImpersonate-Group: system:masters"}}, "do not belong"},
		"system:masters":     {idptest.Change{Groups: &[]string{"sre"}, Claims: &map[string]any{"sub": "system:masters"}}, "Kubernetes' own"},
		"another audience":   {idptest.Change{Claims: &map[string]any{"aud": []string{"other"}}}, "could not be verified"},
		"of last year":       {idptest.Change{Claims: &map[string]any{"sub": "eve", "exp": time.Now().AddDate(-1, 0, 0).Unix()}}, "ran out"},
		"of next year":       {idptest.Change{Claims: &map[string]any{"iat": time.Now().AddDate(1, 0, 0).Unix()}}, "in the future"},
	} {
		h.idp.Change("eve", c.change)
		b := h.browser()
		said := b.try(p, "eve")
		if !strings.Contains(said, c.want) {
			t.Errorf("%s: said %.300q, want %q", name, said, c.want)
		}
		n++
		denied := p.events("auth.denied", "completed")
		if len(denied) != n || len(fmt.Sprint(denied[len(denied)-1])) > 4<<10 {
			t.Errorf("%s: %d events in audit", name, len(denied))
		}
		h.idp.Change("eve", idptest.Change{Claims: &map[string]any{}, Groups: &[]string{"others"}})
	}
	h.browser().in(p, "bob") // and nobody else is hurt
}

// TestADisabledUserIsOut: the provider renews the login no more.
func TestADisabledUserIsOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "--access-ttl", "2s")
	p := h.serve(freePort(t)).ready()
	b := h.browser()
	b.in(p, "ada")
	term := p.open("real", h.ns, h.pod, nil)
	eventually(t, "the login is renewed", func() bool {
		return p.call("GET", "/api/whoami", "", nil) == http.StatusOK && h.idp.Requests("token") >= 3
	})
	h.idp.Disable("ada")
	term.unauthorized(time.Now())
	if code := p.call("GET", "/api/whoami", "", nil); code != http.StatusUnauthorized {
		t.Errorf("still in: %d", code)
	}
	eventually(t, "the end is recorded", func() bool { return len(p.events("auth.logout", "completed")) > 0 })
	out := p.events("auth.logout", "completed")
	if len(out) != 1 || out[0]["actor"].(map[string]any)["sub"] != "ada" || !strings.HasPrefix(out[0]["reason"].(string), "the login provider does not renew it: ") {
		t.Errorf("audit: %v", out)
	}
}

// TestNewGroupsReachALiveShell moves a person to groups that may not open one.
func TestNewGroupsReachALiveShell(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "--access-ttl", "2s")
	p := h.serve(freePort(t)).ready()
	h.browser().in(p, "ada")
	allowed := func() bool {
		var answer struct{ Results []struct{ Allowed bool } }
		body := `{"verb":"create","resource":"pods/exec","namespace":"` + h.ns + `"}`
		if code := p.call("POST", "/api/clusters/real/can-i", body, &answer); code != http.StatusOK || len(answer.Results) != 1 {
			t.Fatalf("can-i: %d %+v", code, answer)
		}
		return answer.Results[0].Allowed
	}
	if !allowed() {
		t.Fatal("ada may not open a shell")
	}
	term := p.open("real", h.ns, h.pod, nil)
	moved := time.Now()
	h.idp.SetGroups("ada", "guests")
	closed, code := term.closed()
	if closed["reason"] != "forbidden" || code != 1008 || !strings.Contains(closed["message"].(string), "taken away") {
		t.Errorf("closed %v with %d", closed, code)
	}
	if took := time.Since(moved); took > soon+oftenAsked {
		t.Errorf("ended after %v", took)
	}
	// Who opened it may end it, so nothing is left in the pod.
	if end := p.ending(); end["ended"] != "verified" {
		t.Errorf("the end: %v", end)
	}
	if allowed() {
		t.Error("can-i still says yes")
	}
	var who struct{ Tier string }
	if p.call("GET", "/api/whoami", "", &who); who.Tier != "read" {
		t.Errorf("tier %q", who.Tier)
	}
	h.idp.SetGroups("ada", "sre")
	eventually(t, "she is back", allowed)
	p.open("real", h.ns, h.pod, nil)
	h.idp.SetGroups("ada", "others")
	eventually(t, "without a tier she is out", func() bool { return p.call("GET", "/api/whoami", "", nil) == http.StatusUnauthorized })
}

// TestTheClientSecretIsRotated changes the file while the server runs.
func TestTheClientSecretIsRotated(t *testing.T) {
	h := newHouse(t)
	file := h.write("secret", h.idp.ClientSecret+"\n")
	h.secret = "file://" + file
	p := h.serve(freePort(t)).ready()
	h.browser().in(p, "ada")
	h.idp.ClientSecret = "the-next-one"
	h.idp.AllowRedirect(p.url + "/api/auth/callback")
	if said := h.browser().try(p, "ada"); !strings.Contains(said, "does not accept this server") {
		t.Errorf("with the old one: %q", said)
	}
	h.write("secret", "the-next-one\n")
	h.browser().in(p, "ada")
}

// TestCookiesOfNobody: no cookie but a login's own is one.
func TestCookiesOfNobody(t *testing.T) {
	h := newHouse(t)
	p := h.serve(freePort(t)).ready()
	h.browser().in(p, "ada")
	good := p.cookie.Value
	for what, c := range map[string]struct {
		value string
		want  int
	}{
		"truncated":      {good[:len(good)-1], http.StatusUnauthorized},
		"one letter":     {good[:1], http.StatusUnauthorized},
		"longer":         {good + "A", http.StatusUnauthorized},
		"another letter": {strings.Map(func(r rune) rune { return r ^ 1 }, good[:1]) + good[1:], http.StatusUnauthorized},
		"of 30 KB":       {strings.Repeat(good, 700), http.StatusUnauthorized},
		"of 64 KB":       {strings.Repeat(good, 1600)[:64<<10], http.StatusUnauthorized},
		"of 80 KB":       {strings.Repeat(good, 2000), http.StatusRequestHeaderFieldsTooLarge},
		"ada's":          {good, http.StatusOK},
	} {
		if code := p.with(&http.Cookie{Name: "periscope_session", Value: c.value}).call("GET", "/api/whoami", "", nil); code != c.want {
			t.Errorf("a cookie %s: %d, want %d", what, code, c.want)
		}
	}
	adas := p.open("real", h.ns, h.pod, nil)
	h.browser().in(p, "bob")
	for _, path := range []string{"/api/exec/sessions/" + adas.frame("hello")["sessionId"].(string), "/api/auth/logins/" + strings.Repeat("0", 64)} {
		if code := p.call("DELETE", path, "", nil); code != http.StatusNotFound {
			t.Errorf("with bob's cookie, DELETE %s: %d", path, code)
		}
	}
	adas.send("echo still''here\n")
	adas.expect("stillhere")
}

// TestHeadersOfAClientAreNoIdentity sends what proxies and apiservers know
// identities by, as somebody who may only look.
func TestHeadersOfAClientAreNoIdentity(t *testing.T) {
	h := newHouse(t)
	p := h.serve(freePort(t)).ready()
	h.browser().in(p, "bob")
	const check = `{"checks":[{"verb":"create","resource":"pods","subresource":"exec"},{"verb":"list","resource":"secrets"},{"verb":"*","resource":"*","group":"*"}]}`
	before := len(p.events("auth.denied", "completed"))
	for _, header := range []http.Header{
		{"Impersonate-User": {"system:admin"}, "Impersonate-Group": {"system:masters"}, "Impersonate-Uid": {"0"}, "Impersonate-Extra-Scopes": {"x"}},
		{"Connection": {"Impersonate-User, Impersonate-Group"}},
		{"Connection": {"close, Impersonate-User"}, "Te": {"trailers"}},
		{"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}, "X-Remote-Extra-Scopes": {"x"}},
	} {
		if status, _ := p.send("/api/clusters/real/can-i", check, header); status != http.StatusForbidden {
			t.Errorf("%v: %d", header, status)
		}
	}
	if denied := p.events("auth.denied", "completed")[before:]; len(denied) != 4 || denied[0]["actor"].(map[string]any)["sub"] != "bob" {
		t.Errorf("audit %v", denied)
	}
	if status, _ := p.send("/api/clusters/real/can-i", check, http.Header{"Authorization": {"Bearer x"}}); status != http.StatusUnauthorized {
		t.Errorf("a bad token beside a good cookie: %d", status)
	}
	for _, header := range []http.Header{
		{"X-Forwarded-User": {"ada"}, "X-Forwarded-Email": {"ada@example.com"}, "Audit-Id": {"x"}},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/api/clusters/real/can-i", strings.NewReader(check))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header.Clone()
		req.Header.Set("Content-Type", "application/json")
		req.AddCookie(p.cookie)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Results []struct{ Allowed bool } }
		err = json.NewDecoder(resp.Body).Decode(&answer)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(answer.Results) != 3 {
			t.Fatalf("%v: %d %v", header, resp.StatusCode, err)
		}
		for i, r := range answer.Results {
			if r.Allowed {
				t.Errorf("%v: check %d is allowed", header, i)
			}
		}
	}
}

// TestPathsThatLeadElsewhere: dots and slashes in a path act on nothing.
func TestPathsThatLeadElsewhere(t *testing.T) {
	h := newHouse(t)
	p := h.serve(freePort(t)).ready()
	h.browser().in(p, "ada")
	for path, want := range map[string]int{
		"/api/clusters/real/pods/../../../whoami": http.StatusBadRequest,
		"/api//whoami": http.StatusBadRequest,
		"//api/whoami": http.StatusBadRequest,
		"/api/clusters/real/pods/%2e%2e/" + h.pod:              http.StatusBadRequest,
		"/api/clusters/real/pods/" + h.ns + "/%2e%2e":          http.StatusBadRequest,
		"/api/clusters/real/pods/" + h.ns + "/..%2f..%2fnodes": http.StatusBadRequest,
		"/api/clusters/%2e%2e/pods/a/b":                        http.StatusBadRequest,
		"/api/clusters/real/pods/" + h.ns + "/%00":             http.StatusBadRequest,
		"/api/clusters/real/pods/" + h.ns + "/x%2Fexec":        http.StatusBadRequest,
		"/api/auth/logins/..%2f..%2fwhoami":                    http.StatusBadRequest,
	} {
		status := p.raw(t, path)
		if status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

// raw sends a path as it is written, which no client of the library does.
func (p *product) raw(t *testing.T, path string) int {
	t.Helper()
	var d net.Dialer
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nCookie: %s=%s\r\nConnection: close\r\n\r\n", path, strings.TrimPrefix(p.url, "http://"), p.cookie.Name, p.cookie.Value)
	raw, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	var status int
	if _, err := fmt.Sscanf(string(raw), "HTTP/1.1 %d", &status); err != nil {
		t.Fatalf("%q", raw)
	}
	return status
}
