package server_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kubetest"
)

// TestRulesOfTodayForLoginsOfYesterday: a login that was kept under other rules
// has no more than today's rules give its groups.
func TestRulesOfTodayForLoginsOfYesterday(t *testing.T) {
	args := authFiles(t, kubetest.Shared(t), "x")
	auth := filepath.Join(t.TempDir(), "auth.yaml")
	text := "mode: dev\nauthorization: {mode: tier, groupTiers: {ops: triage}}\ndev: {subject: ada, groups: [ops]}\n"
	if err := os.WriteFile(auth, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startWith(t, []string{"--auth", auth, args[2], args[3]})
	was := identity.Actor{
		Issuer: "https://login", Subject: "bob", Groups: []string{"ops"}, Tier: "admin", Admin: true, AuditAll: true,
		As: identity.Impersonation{User: "bob", Groups: []string{"periscope-tier:admin"}},
	}
	is, err := p.server.Readmit(was)
	if err != nil || is.Tier != "triage" || is.Admin || is.AuditAll || !slices.Equal(is.As.Groups, []string{"periscope-tier:triage"}) {
		t.Errorf("%+v, %v", is, err)
	}
	was.As, was.Groups = identity.Impersonation{None: true}, []string{"gone"}
	if is, err := p.server.Readmit(was); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("%+v, %v", is, err)
	}
}
