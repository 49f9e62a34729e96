package identity

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/fault"
)

func TestImpersonate(t *testing.T) {
	raw := Policy{Mode: Raw, GroupPrefix: "periscope:"}
	bare := Policy{Mode: Raw}
	tier := Policy{Mode: Tier, UserPrefix: "p:"}
	cases := []struct {
		name   string
		policy Policy
		user   string
		groups []string
		tier   string
		want   Impersonation
		refuse string // part of the sentence; empty: accepted
	}{
		{"shared is said", Policy{Mode: Shared}, "", nil, "", Impersonation{None: true}, ""},
		{"the demo", raw, "dev@local", []string{"dev"}, "", Impersonation{User: "dev@local", Groups: []string{"periscope:dev"}}, ""},
		{"no groups", raw, "alice", nil, "", Impersonation{User: "alice", Groups: []string{}}, ""},
		{"same group twice", raw, "alice", []string{"a", "a", "b"}, "", Impersonation{User: "alice", Groups: []string{"periscope:a", "periscope:b"}}, ""},
		{"prefix tames system:", raw, "alice", []string{"system:masters"}, "", Impersonation{User: "alice", Groups: []string{"periscope:system:masters"}}, ""},
		{"tier", tier, "alice", []string{"system:masters"}, "triage", Impersonation{User: "p:alice", Groups: []string{"periscope-tier:triage"}}, ""},
		{"look-alikes are other names", bare, "ѕystem:admin", []string{"ſystem:masters", "syѕtem:masters", "sуstem:nodes"}, "", Impersonation{User: "ѕystem:admin", Groups: []string{"ſystem:masters", "syѕtem:masters", "sуstem:nodes"}}, ""},
		{"other scripts", raw, "ålice", []string{"運用"}, "", Impersonation{User: "ålice", Groups: []string{"periscope:運用"}}, ""},

		{"zero mode", Policy{}, "alice", nil, "", Impersonation{}, "authorization mode is unknown"},
		{"misspelt mode", Policy{Mode: "shard"}, "alice", nil, "", Impersonation{}, "authorization mode is unknown"},
		{"no tier", tier, "alice", nil, "", Impersonation{}, "None of your groups has a tier"},
		{"unknown tier", tier, "alice", nil, "root", Impersonation{}, "None of your groups has a tier"},
		{"empty user", raw, "", nil, "", Impersonation{}, "no user name"},
		{"empty user behind prefix", tier, "", nil, "read", Impersonation{}, "no user name"},
		{"system user", raw, "system:admin", nil, "", Impersonation{}, "one of Kubernetes' own"},
		{"service account behind no prefix of tier", Policy{Mode: Tier}, "system:serviceaccount:default:default", nil, "admin", Impersonation{}, "one of Kubernetes' own"},
		{"user behind a no-break space", raw, "\u00a0system:admin", nil, "", Impersonation{}, "blank"},
		{"user before a line separator", raw, "system:admin\u2028", nil, "", Impersonation{}, "blank"},
		{"user of a byte order mark", raw, "\ufeffsystem:admin", nil, "", Impersonation{User: "\ufeffsystem:admin", Groups: []string{}}, ""},
		{"no UTF-8 before system:", bare, "alice", []string{"\xc0system:masters"}, "", Impersonation{}, "characters"},
		{"prefix ends in a blank", Policy{Mode: Raw, GroupPrefix: " "}, "alice", []string{"system:masters"}, "", Impersonation{}, "blank"},
		{"service account", bare, "system:serviceaccount:kube-system:x", nil, "", Impersonation{}, "one of Kubernetes' own"},
		{"system user in tier", Policy{Mode: Tier}, "system:kube-scheduler", nil, "read", Impersonation{}, "one of Kubernetes' own"},
		{"prefix makes system:", Policy{Mode: Raw, UserPrefix: "sys"}, "tem:admin", nil, "", Impersonation{}, "one of Kubernetes' own"},
		{"group prefix is system:", Policy{Mode: Raw, GroupPrefix: "system:"}, "alice", []string{"masters"}, "", Impersonation{}, "one of Kubernetes' own"},
		{"system group", bare, "alice", []string{"ok", "system:masters"}, "", Impersonation{}, "one of Kubernetes' own"},
		{"system group in capitals", bare, "alice", []string{"System:Masters"}, "", Impersonation{}, "one of Kubernetes' own"},
		{"system group behind a blank", bare, "alice", []string{" system:masters"}, "", Impersonation{}, "blank"},
		{"system group behind a tab", bare, "alice", []string{"\tsystem:masters"}, "", Impersonation{}, "characters"},
		{"user before a blank", raw, "alice ", nil, "", Impersonation{}, "blank"},
		{"tier group", bare, "alice", []string{"periscope-tier:admin"}, "", Impersonation{}, "Periscope's own"},
		{"tier group by prefix", Policy{Mode: Raw, GroupPrefix: "periscope-"}, "alice", []string{"tier:admin"}, "", Impersonation{}, "Periscope's own"},
		{"bridge group", bare, "alice", []string{"periscope-bridge"}, "", Impersonation{}, "Periscope's own"},
		{"newline in user", raw, "alice\nImpersonate-Group: system:masters", nil, "", Impersonation{}, "characters"},
		{"NUL in group", raw, "alice", []string{"a\x00b"}, "", Impersonation{}, "characters"},
		{"C1 control in group", raw, "alice", []string{"a\u0085b"}, "", Impersonation{}, "characters"},
		{"no UTF-8", raw, "al\xffice", nil, "", Impersonation{}, "characters"},
		{"empty group", raw, "alice", []string{""}, "", Impersonation{}, "without a name"},
		{"4 KiB user", raw, strings.Repeat("a", 4096), nil, "", Impersonation{}, "longer than 1024"},
		{"5,000 groups", raw, "alice", make([]string, 5000), "", Impersonation{}, "5000 groups"},
		{"1 MB of groups", raw, "alice", slices.Repeat([]string{strings.Repeat("g", 1000)}, 999), "", Impersonation{}, "128 KiB"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.policy.Impersonate(c.user, c.groups, c.tier)
			if c.refuse == "" {
				if err != nil || !reflect.DeepEqual(got, c.want) {
					t.Fatalf("got %+v, %v; want %+v", got, err, c.want)
				}
				return
			}
			if fault.KindOf(err) != fault.Forbidden || !strings.Contains(fault.PublicOf(err), c.refuse) {
				t.Fatalf("got %v, want a refusal with %q", err, c.refuse)
			}
			if !reflect.DeepEqual(got, Impersonation{}) {
				t.Fatalf("a refusal still carries %+v", got)
			}
		})
	}
}

func TestAdmit(t *testing.T) {
	tiers := Policy{Mode: Tier, GroupTiers: map[string]string{"dev": "triage", "sre": "admin", "all": "read"}}
	cases := []struct {
		name   string
		policy Policy
		actor  Actor
		tier   string
		admin  bool
		user   string
		refuse string
	}{
		{"shared knows whose request it is", Policy{Mode: Shared}, Actor{Subject: "a"}, "", false, "", ""},
		{"highest tier wins", tiers, Actor{Subject: "a", Groups: []string{"all", "dev"}}, "triage", false, "a", ""},
		{"tier admin is admin", tiers, Actor{Subject: "a", Groups: []string{"sre", "all"}}, "admin", true, "a", ""},
		{"default tier", Policy{Mode: Tier, DefaultTier: "read"}, Actor{Subject: "a"}, "read", false, "a", ""},
		{"no tier", tiers, Actor{Subject: "a", Groups: []string{"hr"}}, "", false, "", "has a tier"},
		{"admin group", Policy{Mode: Raw, AdminGroups: []string{"ops"}}, Actor{Subject: "a", Groups: []string{"ops"}}, "", true, "a", ""},
		{"dev admin stays", Policy{Mode: Raw}, Actor{Subject: "a", Admin: true}, "", true, "a", ""},
		{"email names the user", Policy{Mode: Raw, UserClaim: "email"}, Actor{Subject: "a", Email: "a@x"}, "", false, "a@x", ""},
		{"a claim of its own names the user", Policy{Mode: Raw, UserClaim: "upn"}, Actor{Subject: "a", Email: "a@x", Name: "al"}, "", false, "al", ""},
		{"that claim is missing", Policy{Mode: Raw, UserClaim: "upn"}, Actor{Subject: "a", Email: "a@x"}, "", false, "", "no user name"},
		{"that claim is system:", Policy{Mode: Tier, UserClaim: "upn", DefaultTier: "read"}, Actor{Subject: "a", Name: "system:admin"}, "", false, "", "one of Kubernetes' own"},
		{"a name that nobody asked for", Policy{Mode: Raw}, Actor{Subject: "a", Name: "root"}, "", false, "a", ""},
		{"email not verified", Policy{Mode: Raw, UserClaim: "email"}, Actor{Subject: "a"}, "", false, "", "not verified"},
		{"email missing", Policy{Mode: Raw, UserClaim: "email"}, Actor{Subject: "a"}, "", false, "", "no user name"},
		{"not allowed", Policy{Mode: Raw, AllowedGroups: []string{"in"}}, Actor{Subject: "a", Groups: []string{"out"}}, "", false, "", "none of the groups"},
		{"allowed", Policy{Mode: Raw, AllowedGroups: []string{"in"}}, Actor{Subject: "a", Groups: []string{"in"}}, "", false, "a", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.policy.Admit(c.actor)
			if c.refuse != "" {
				if fault.KindOf(err) != fault.Forbidden || !strings.Contains(fault.PublicOf(err), c.refuse) {
					t.Fatalf("got %v, want a refusal with %q", err, c.refuse)
				}
				return
			}
			if err != nil || got.Tier != c.tier || got.Admin != c.admin || got.As.User != c.user || got.As.Subject != c.actor.Subject {
				t.Fatalf("got %+v, %v", got, err)
			}
		})
	}
}

// FuzzImpersonate sends what the policy lets through over a real connection
// and holds what arrives against what was meant.
func FuzzImpersonate(f *testing.F) {
	f.Add("alice", "dev", "")
	f.Add("alice", " system:masters", "")
	f.Add("system:admin", "x", "sys")
	f.Add("a\r\nb", "tem:masters", "sys")
	f.Add("é", "periscope-bridge", "")
	var got http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	f.Cleanup(srv.Close)
	f.Fuzz(func(t *testing.T, user, group, prefix string) {
		imp, err := Policy{Mode: Raw, GroupPrefix: prefix, UserPrefix: prefix}.Impersonate(user, []string{group}, "")
		if err != nil {
			return
		}
		req, _ := http.NewRequest(http.MethodGet, srv.URL, nil)
		req.Header.Set("Impersonate-User", imp.User)
		req.Header.Set("Impersonate-Group", imp.Groups[0])
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatalf("%+v cannot be sent: %v", imp, err)
		}
		_ = resp.Body.Close()
		for key, want := range map[string]string{"Impersonate-User": prefix + user, "Impersonate-Group": prefix + group} {
			arrived := got.Values(key)
			if len(arrived) != 1 || arrived[0] != want || strings.HasPrefix(strings.ToLower(arrived[0]), "system:") {
				t.Fatalf("%s: sent %q, arrived %q", key, want, arrived)
			}
		}
	})
}

// TestWhoReadsAudit: administrators, and the groups named for it; what somebody
// was before counts for nothing.
func TestWhoReadsAudit(t *testing.T) {
	p := Policy{Mode: Tier, DefaultTier: "read", GroupTiers: map[string]string{"sre": "admin"}, AdminGroups: []string{"ops"}, AuditAdminGroups: []string{"sec"}}
	for group, want := range map[string][2]bool{"sec": {true, false}, "ops": {true, true}, "sre": {true, true}, "dev": {false, false}, "Sec": {false, false}} {
		a, err := p.Admit(Actor{Subject: "a", Groups: []string{group}, AuditAll: true})
		if err != nil || a.AuditAll != want[0] || a.Admin != want[1] {
			t.Errorf("%s: audit %v, admin %v, %v", group, a.AuditAll, a.Admin, err)
		}
	}
}
