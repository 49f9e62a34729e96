package oidc

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func person(raw, groupsClaim string) (identity.Actor, error) {
	c, err := parseClaims([]byte(raw))
	if err != nil {
		return identity.Actor{}, err
	}
	return c.person("https://login.example", groupsClaim, "preferred_username")
}

// TestProviders has a login as each provider sends it.
func TestProviders(t *testing.T) {
	for name, c := range map[string]struct {
		claims, groupsClaim string
		subject, email      string
		groups              []string
	}{
		"Auth0": {
			`{"iss":"https://t.us.auth0.com/","sub":"auth0|65f","email":"a@example.com","email_verified":true,"https://periscope/groups":["sre","dev"]}`,
			"https://periscope/groups", "auth0|65f", "a@example.com", []string{"sre", "dev"},
		},
		"Okta": {
			`{"sub":"00u1","email":"a@example.com","email_verified":true,"groups":["Everyone","sre"],"ver":1}`,
			"groups", "00u1", "a@example.com", []string{"Everyone", "sre"},
		},
		"Entra ID": {
			`{"sub":"AAAA","oid":"1111","tid":"2222","preferred_username":"a@example.com","email":"a@example.com","groups":["6a6a-1","6a6a-2"],"ver":"2.0"}`,
			"groups", "AAAA", "", []string{"6a6a-1", "6a6a-2"},
		},
		"Entra ID with roles": {`{"sub":"AAAA","roles":["Sre"]}`, "roles", "AAAA", "", []string{"Sre"}},
		"Keycloak": {
			`{"sub":"f3b1","email_verified":true,"email":"a@example.com","realm_access":{"roles":["sre","offline_access"]},"resource_access":{"account":{"roles":["x"]}}}`,
			"realm_access.roles", "f3b1", "a@example.com", []string{"sre", "offline_access"},
		},
		"Google":               {`{"sub":"1098","email":"a@example.com","email_verified":true,"hd":"example.com"}`, "hd", "1098", "a@example.com", []string{"example.com"}},
		"a text for true":      {`{"sub":"1","email":"a@example.com","email_verified":"true","groups":"sre"}`, "groups", "1", "a@example.com", []string{"sre"}},
		"an unverified e-mail": {`{"sub":"1","email":"root@example.com","email_verified":false}`, "groups", "1", "", nil},
		"no groups at all":     {`{"sub":"1"}`, "groups", "1", "", nil},
		"groups null":          {`{"sub":"1","groups":null}`, "groups", "1", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := person(c.claims, c.groupsClaim)
			if err != nil || a.Subject != c.subject || a.Email != c.email || !slices.Equal(a.Groups, c.groups) || a.Issuer != "https://login.example" {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
}

// TestUserClaim is about whatever names the user beside sub and email.
func TestUserClaim(t *testing.T) {
	for name, c := range map[string]struct{ claims, userClaim, want, refusal string }{
		"by name":         {`{"sub":"1","upn":"al"}`, "upn", "al", ""},
		"by a path":       {`{"sub":"1","ext":{"login":"al"}}`, "ext.login", "al", ""},
		"an address":      {`{"sub":"1","https://x.y/login":"al"}`, "https://x.y/login", "al", ""},
		"missing":         {`{"sub":"1"}`, "upn", "", ""},
		"null":            {`{"sub":"1","upn":null}`, "upn", "", ""},
		"sub is no name":  {`{"sub":"1","upn":"al"}`, "sub", "", ""},
		"nor is an email": {`{"sub":"1","email":"al@x"}`, "email", "", ""},
		"a number":        {`{"sub":"1","upn":7}`, "upn", "", "is no text"},
		"a list":          {`{"sub":"1","upn":["al"]}`, "upn", "", "is no text"},
		"4 KiB":           {`{"sub":"1","upn":"` + strings.Repeat("x", 4096) + `"}`, "upn", "", "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := parseClaims([]byte(c.claims))
			if err != nil {
				t.Fatal(err)
			}
			a, err := all.person("https://login.example", "groups", c.userClaim)
			if c.refusal == "" && (err != nil || a.Name != c.want) {
				t.Errorf("%+v, %v", a, err)
			}
			if c.refusal != "" && !strings.Contains(fault.PublicOf(err), c.refusal) {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
}

func TestLoginsThatAreRefused(t *testing.T) {
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprintf("group-%d", i)
	}
	crowd, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ claims, want string }{
		"nothing":                 {``, "cannot be read"},
		"null":                    {`null`, "cannot be read"},
		"two":                     {`{"sub":"1"} {"sub":"2"}`, "cannot be read"},
		"no subject":              {`{"email":"a@example.com"}`, "does not say who you are"},
		"a number as subject":     {`{"sub":1}`, "is no text"},
		"a subject of two lines":  {`{"sub":"a\nb"}`, "do not belong"},
		"a subject with NUL":      {`{"sub":"a\u0000b"}`, "do not belong"},
		"a subject of 4 KiB":      {`{"sub":"` + strings.Repeat("x", 4096) + `"}`, "longer than"},
		"an e-mail of two lines":  {`{"sub":"1","email":"a\r\nb","email_verified":true}`, "do not belong"},
		"an e-mail of 4 KiB":      {`{"sub":"1","email":"` + strings.Repeat("x", 4096) + `","email_verified":true}`, "longer than"},
		"groups as a number":      {`{"sub":"1","groups":7}`, "no list of names"},
		"groups of numbers":       {`{"sub":"1","groups":[1]}`, "no list of names"},
		"groups as an object":     {`{"sub":"1","groups":{}}`, "no list of names"},
		"5,000 groups":            {`{"sub":"1","groups":` + string(crowd) + `}`, "names 5000 groups"},
		"a group of 1 MB":         {`{"sub":"1","groups":["` + strings.Repeat("x", 1<<20) + `"]}`, "in 1024 KiB"},
		"Entra's overage":         {`{"sub":"1","_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph"}}}`, "left them out"},
		"Entra's older overage":   {`{"sub":"1","hasgroups":true}`, "left them out"},
		"Entra's overage as text": {`{"sub":"1","hasgroups":"true"}`, "left them out"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := person(c.claims, "groups")
			if fault.KindOf(err) != fault.Forbidden || err == nil || !strings.Contains(fault.PublicOf(err), c.want) {
				t.Errorf("%+v, %v: want a sentence with %q", a, err, c.want)
			}
		})
	}
}

func FuzzClaims(f *testing.F) {
	f.Add(`{"sub":"1","groups":["a"],"realm_access":{"roles":"x"}}`, "realm_access.roles")
	f.Add(`{"sub":"1","_claim_names":{"groups":"src1"}}`, "groups")
	f.Add(`{"sub":"1","a":{"b":{"c":{"d":[]}}}}`, "a.b.c.d.e.f.g.h.i.j.k.l")
	f.Fuzz(func(t *testing.T, raw, claim string) {
		a, err := person(raw, claim)
		if err != nil {
			if fault.PublicOf(err) == "" {
				t.Errorf("%v has no sentence", err)
			}
			return
		}
		if a.Subject == "" || len(a.Subject) > maxSubject || len(a.Groups) > maxGroups || len(a.Email) > maxEmail || len(a.Name) > maxSubject {
			t.Errorf("%+v", a)
		}
	})
}
