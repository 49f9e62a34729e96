package httpapi

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
)

// recordAudit notes what AuditLogin hears; a token's id stands behind its owner.
func recordAudit(into *[]string) func(*Options) {
	return func(o *Options) {
		o.AuditLogin = func(_ context.Context, verb string, outcome audit.Outcome, actor identity.Actor, reason string) {
			*into = append(*into, verb+" "+string(outcome)+" "+strings.TrimSuffix(actor.Subject+"/"+actor.Token, "/")+": "+reason)
		}
	}
}

func TestCrookedRequests(t *testing.T) {
	const pod = "/api/clusters/c/pods/ns/p"
	for name, c := range map[string]struct {
		ask
		status int
		code   string
	}{
		"two dots":            {ask{path: "/api/clusters/c/pods/ns/../../../x"}, 400, "E_INVALID_REQUEST"},
		"two dots escaped":    {ask{path: "/api/clusters/c/pods/%2e%2e/p"}, 400, "E_INVALID_REQUEST"},
		"half escaped":        {ask{path: "/api/clusters/c/pods/.%2E/p"}, 400, "E_INVALID_REQUEST"},
		"a dot":               {ask{path: "/api/clusters/./pods"}, 400, "E_INVALID_REQUEST"},
		"two slashes":         {ask{path: "/api/clusters//pods"}, 400, "E_INVALID_REQUEST"},
		"a slash escaped":     {ask{path: "/api/clusters/c/pods/ns/p%2fexec"}, 400, "E_INVALID_REQUEST"},
		"a backslash":         {ask{path: "/api/clusters/c/pods/ns/..%5cp"}, 400, "E_INVALID_REQUEST"},
		"NUL":                 {ask{path: "/api/clusters/c%00"}, 400, "E_INVALID_REQUEST"},
		"a newline":           {ask{path: "/api/clusters/c%0aX-A:b"}, 400, "E_INVALID_REQUEST"},
		"into the API":        {ask{path: "/assets/../api/whoami"}, 400, "E_INVALID_REQUEST"},
		"into the API twice":  {ask{path: "//api/whoami"}, 400, "E_INVALID_REQUEST"},
		"out of the API":      {ask{path: "/api/../assets/a-123.js"}, 400, "E_INVALID_REQUEST"},
		"of a login":          {ask{path: "/api/auth/%2e%2e/clusters"}, 400, "E_INVALID_REQUEST"},
		"a delete":            {ask{method: "DELETE", path: "/api/exec/sessions/x/../y"}, 400, "E_INVALID_REQUEST"},
		"half a query":        {ask{path: "/api/clusters/c/pods?namespace=a;b"}, 400, "E_INVALID_REQUEST"},
		"a query of no bytes": {ask{path: "/api/clusters/c/pods?namespace=%zz"}, 400, "E_INVALID_REQUEST"},
		"two namespaces":      {ask{path: "/api/clusters/c/pods?namespace=&namespace=shop"}, 400, "E_INVALID_REQUEST"},
		"one namespace twice": {ask{path: "/api/clusters/c/pods?namespace=shop&limit=1&namespace=shop"}, 400, "E_INVALID_REQUEST"},
		"twice by an escape":  {ask{path: "/api/clusters/c/pods?namespace=shop&n%61mespace="}, 400, "E_INVALID_REQUEST"},
		"two commands":        {ask{path: pod + "/exec?command=WyJscyJd&command=WyJybSJd"}, 400, "E_INVALID_REQUEST"},
		"two of no meaning":   {ask{path: pod + "?x&x"}, 400, "E_INVALID_REQUEST"},
		"a user":              {ask{path: pod, header: map[string]string{"Impersonate-User": "system:admin"}}, 403, "E_FORBIDDEN"},
		"a group":             {ask{path: pod, header: map[string]string{"Impersonate-Group": "system:masters"}}, 403, "E_FORBIDDEN"},
		"a uid":               {ask{path: pod, header: map[string]string{"Impersonate-Uid": "1"}}, 403, "E_FORBIDDEN"},
		"an extra":            {ask{path: pod, header: map[string]string{"Impersonate-Extra-Scopes": "all"}}, 403, "E_FORBIDDEN"},
		"a front proxy":       {ask{path: pod, header: map[string]string{"X-Remote-User": "admin"}}, 403, "E_FORBIDDEN"},
		"a hop":               {ask{path: pod, header: map[string]string{"Connection": "keep-alive, Impersonate-User"}}, 403, "E_FORBIDDEN"},
		"a hop of a terminal": {ask{path: pod + "/exec", header: map[string]string{"Connection": "Upgrade,impersonate-group", "Upgrade": "websocket"}}, 403, "E_FORBIDDEN"},
		"before a login":      {ask{path: "/api/auth/login", header: map[string]string{"Impersonate-User": "x"}}, 403, "E_FORBIDDEN"},
	} {
		t.Run(name, func(t *testing.T) {
			var records []string
			d := &door{t: t, keeper: newKeeper(t)}
			h := newHandlerWith(t, func(o *Options) {
				recordAudit(&records)(o)
				o.Tokens = d.keeper
			})
			refused := func(who map[string]string, want string) {
				t.Helper()
				records = nil
				a := c.ask
				a.header = maps.Clone(who)
				maps.Copy(a.header, c.header)
				resp := do(t, h, a)
				var body ErrorBody
				if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != c.status || body.Error != c.code || body.Message == "" {
					t.Fatalf("%d %+v, %v", resp.StatusCode, body, err)
				}
				if want == "" && len(records) != 0 || want != "" && (len(records) != 1 || !strings.HasPrefix(records[0], "auth.denied denied "+want+": ")) {
					t.Errorf("audit %q, want %q", records, want)
				}
			}
			refused(map[string]string{}, "") // a stranger does not fill the audit log
			refused(map[string]string{"Cookie": "s=ada"}, "ada")
			for _, owner := range []identity.Actor{ada, bob, eve} {
				tok, header := d.tokenOf(owner, []token.Scope{token.Read})
				refused(header, owner.Subject+"/"+string(tok.ID))
				header["Cookie"] = "s=ada"
				refused(header, owner.Subject+"/"+string(tok.ID))
			}
			refused(map[string]string{"Authorization": "Bearer psc_nobodys", "Cookie": "s=ada"}, "")
		})
	}
}

// TestStraightRequests are not mistaken for crooked ones.
func TestStraightRequests(t *testing.T) {
	var records []string
	h := newHandlerWith(t, recordAudit(&records))
	for path, status := range map[string]int{
		"/api/whoami":         200,
		"/api/whoami/":        404,
		"/api/clusters":       200,
		"/a/../assets/a-1.js": 301, // the router's to tidy: it is no part of the API
		"/api/clusters/x/pods?labelSelector=a%2Fb%3D..": 404,
		"/api/clusters/x/pods?limit=1&Limit=1":          404,
	} {
		got := do(t, h, ask{path: path, header: map[string]string{"Cookie": "s=ada", "Connection": "keep-alive, Upgrade", "X-Forwarded-User": "ada"}})
		if got.StatusCode != status && (status != 301 || got.StatusCode/100 != 3) {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
	if len(records) != 0 {
		t.Errorf("audit %q", records)
	}
}

// FuzzStraight holds the judgement against what a path means once cleaned.
func FuzzStraight(f *testing.F) {
	for _, s := range []string{"/api/a/../b", "/api/%2e%2e/b", "/api//b", "/api/a%2f..%2fb", "/api/.%2e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil || !ofAPI(u) || crooked(&http.Request{URL: u}) != nil {
			return
		}
		if !strings.HasPrefix(u.Path, "/api") || strings.Contains(u.Path, "//") || strings.Contains(u.Path+"/", "/../") || strings.Contains(u.Path+"/", "/./") {
			t.Errorf("%q is straight, but reads %q", raw, u.Path)
		}
	})
}
