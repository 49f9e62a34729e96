package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/test/proc"
)

// login is how people log in to a demo with a provider.
type login struct {
	admin    bool   // the provider takes orders, for tests
	issuer   string // the provider's
	password string // everybody's
}

// user is somebody who can log in.
type user struct {
	Sub      string   `json:"sub"`
	Name     string   `json:"name"`
	Email    string   `json:"email"`
	Verified bool     `json:"emailVerified"`
	Groups   []string `json:"groups"`
	Password string   `json:"password"`
	may      string
}

// people has one of each tier, from the lowest to the highest, and one of none.
func people(password string) []user {
	all := []user{
		{Sub: "ines", Groups: []string{"viewers"}, may: "read: looks, opens no shell"},
		{Sub: "omar", Groups: []string{"on-call"}, may: "triage: opens shells, deletes pods, scales; edits nothing"},
		{Sub: "lena", Groups: []string{"developers"}, may: "write: edits what is in namespaces"},
		{Sub: "yuki", Groups: []string{"leads"}, may: "maintain: gives others rights, no more than these"},
		{Sub: "alex", Groups: []string{"platform"}, may: "admin: everything, everybody's shells too"},
		{Sub: "nora", Groups: []string{"newcomers"}, may: "no tier: is told so"},
	}
	for i := range all {
		u := &all[i]
		u.Name, u.Email, u.Verified, u.Password = strings.ToUpper(u.Sub[:1])+u.Sub[1:], u.Sub+"@demo.example", true, password
	}
	return all
}

// oidcYAML is auth.yaml.
const oidcYAML = `mode: oidc
oidc:
  issuer: %s
  clientID: periscope
  clientSecret: file://%s
  redirectURL: %s/api/auth/callback
  postLogoutRedirect: %[3]s/api/auth/loggedout
  providerName: the demo's provider
authorization:
  mode: tier
  groupTiers: {viewers: read, on-call: triage, developers: write, leads: maintain, platform: admin}
`

// startLogin gives the cluster its tiers and the server its identity there, and
// starts the provider.
func (d *demo) startLogin(ctx context.Context) error {
	say("Giving the cluster its tiers, and Periscope an identity that may only act as others")
	for _, name := range []string{"tiers.yaml", "impersonator-constrained.yaml"} {
		if err := d.kubectl(ctx, "apply", "-f", filepath.Join(d.rbac, name)); err != nil {
			return err
		}
	}
	bridge, err := bridgeKubeconfig(d.kubeconfig(), filepath.Join(d.cluster, "pki"))
	if err != nil {
		return err
	}
	if d.port == "0" {
		// The provider must know where Periscope is before that starts.
		if d.port, err = childtest.FreePort(); err != nil {
			return err
		}
	}
	if err := d.forgetLogins(); err != nil {
		return err
	}
	say("Starting the login provider")
	l, public, secret := d.login, "http://127.0.0.1:"+d.port, rand.Text()
	l.password = strings.ToLower(rand.Text()[:8])
	users, err := json.Marshal(people(l.password))
	if err != nil {
		return err
	}
	err = errors.Join(d.write("bridge.kubeconfig", bridge), d.write("clusters.yaml", clusters(d.path("bridge.kubeconfig"), d.more)),
		d.write("users.json", string(users)), d.write("client-secret", secret))
	if err != nil {
		return err
	}
	args := []string{"--users", d.path("users.json"), "--exit-with-parent", "--client", "periscope:" + secret + ":" + public + "/api/auth/callback"}
	if l.admin {
		args = append(args, "--admin")
	}
	line, err := d.run(ctx, proc.Spec{Name: "devidp", Path: filepath.Join(d.bin, "devidp"), Args: args, Ready: "ready: ", Log: d.log})
	if err != nil {
		return err
	}
	l.issuer = strings.TrimPrefix(line, "ready: ")
	return d.write("auth.yaml", fmt.Sprintf(oidcYAML, l.issuer, d.path("client-secret"), public))
}

// forgetLogins removes those of an earlier demo: its provider is gone, and nobody
// can be known by them.
func (d *demo) forgetLogins() error {
	files, err := filepath.Glob(d.path("periscope.db*"))
	if err != nil {
		return err
	}
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

// ready waits until Periscope has found the provider.
func (d *demo) ready(ctx context.Context) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(d.url, "/")+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(req)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("Periscope does not find the login provider; see %s", d.path("demo.log")) //nolint:staticcheck // a name
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// users is the table of who can log in.
func (l *login) users() string {
	var out strings.Builder
	fmt.Fprintf(&out, "Log in as one of these. This login is for trying Periscope out: it is reached from this machine alone.\nCtrl-C ends everything.\n\n")
	w := tabwriter.NewWriter(&out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "  user\tpassword\tgroup\ttier")
	for _, u := range people(l.password) {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", u.Sub, u.Password, strings.Join(u.Groups, ", "), u.may)
	}
	if err := w.Flush(); err != nil {
		panic(err) // a strings.Builder never fails
	}
	return out.String()
}
