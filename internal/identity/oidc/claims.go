package oidc

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

// Bounds of what a login carries. A subject has at most 255 characters (OpenID
// Connect Core 1.0, section 2).
const (
	maxSubject    = 255
	maxEmail      = 320
	maxGroups     = 2000
	maxGroupBytes = 128 << 10
	maxPath       = 10
)

// claims are a verified token's, or those of userinfo.
type claims map[string]json.RawMessage

func parseClaims(raw []byte) (claims, error) {
	var c claims
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&c); err != nil || c == nil || dec.More() {
		return nil, refuse(err, "Your login provider sent a login that cannot be read. Tell whoever runs this server.")
	}
	return c, nil
}

// text is a claim that is a string; empty where there is none.
func (c claims) text(name string) (string, error) {
	raw, ok := c[name]
	if !ok || string(raw) == "null" {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", refuse(err, "Your login's %s is no text. Tell whoever runs your login provider.", name)
	}
	return s, nil
}

// isTrue takes a boolean, and the text that some providers send for one.
func (c claims) isTrue(name string) bool {
	s := string(c[name])
	return s == "true" || s == `"true"`
}

// person is who the claims are about. groupsClaim names the claim that lists
// the groups, by its name or by a path with dots (realm_access.roles), and
// userClaim that which names the user in clusters, alike.
func (c claims) person(issuer, groupsClaim, userClaim string) (identity.Actor, error) {
	subject, err := c.text("sub")
	if err != nil {
		return identity.Actor{}, err
	}
	if err := checkSubject(subject); err != nil {
		return identity.Actor{}, err
	}
	email, err := c.email()
	if err != nil {
		return identity.Actor{}, err
	}
	groups, err := c.groups(groupsClaim)
	if err != nil {
		return identity.Actor{}, err
	}
	name, err := c.name(userClaim)
	if err != nil {
		return identity.Actor{}, err
	}
	return identity.Actor{Issuer: issuer, Subject: subject, Email: email, Name: name, Groups: groups}, nil
}

// ownClaims are the user claims that an Actor holds in any case.
var ownClaims = []string{"", "sub", "email"}

// name is the claim that names the user, where that is one of its own. What is
// no name of a user, identity.Policy refuses.
func (c claims) name(claim string) (string, error) {
	if slices.Contains(ownClaims, claim) {
		return "", nil
	}
	raw, ok := c.find(claim)
	if !ok || string(raw) == "null" {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", refuse(err, "Your login's user name (%s) is no text. Ask whoever runs this server to check authorization.userClaim.", claim)
	}
	if !utf8.Valid(raw) || len(s) > maxSubject {
		return "", refuse(nil, "Your login's user name (%s) is longer than %d bytes or holds characters that do not belong there. Tell whoever runs your login provider.", claim, maxSubject)
	}
	return s, nil
}

func checkSubject(s string) error {
	switch {
	case s == "":
		return refuse(nil, "Your login does not say who you are (sub). Tell whoever runs your login provider.")
	case len(s) > maxSubject:
		return refuse(nil, "Your login's name (sub) is longer than %d bytes. Tell whoever runs your login provider.", maxSubject)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return refuse(nil, "Your login's name (sub) holds characters that do not belong there. Tell whoever runs your login provider.")
	}
	return nil
}

// email is empty where the provider has not verified it: anybody may write any
// address into most of them.
func (c claims) email() (string, error) {
	email, err := c.text("email")
	if err != nil || !c.isTrue("email_verified") {
		return "", err
	}
	if len(email) > maxEmail || !utf8.ValidString(email) || strings.ContainsFunc(email, unicode.IsControl) {
		return "", refuse(nil, "Your login's e-mail address is longer than %d bytes or holds characters that do not belong there. Tell whoever runs your login provider.", maxEmail)
	}
	return email, nil
}

// groups reads a list of texts, or one text for a list of one. A person with
// fewer groups than the provider knows would be somebody else, so what was left
// out for its size is an error.
func (c claims) groups(claim string) ([]string, error) {
	raw, found := c.find(claim)
	if !found {
		if c.overage(claim) {
			return nil, refuse(nil, "You are in so many groups that your login provider left them out of your login. Ask whoever runs it to send only the groups that are assigned to this application, or roles instead.")
		}
		return nil, nil
	}
	groups, err := texts(raw)
	if err != nil {
		return nil, refuse(err, "Your login's groups (%s) are no list of names. Ask whoever runs this server to check authorization.groupsClaim.", claim)
	}
	size := 0
	for _, g := range groups {
		size += len(g)
	}
	if len(groups) > maxGroups || size > maxGroupBytes {
		return nil, refuse(nil, "Your login names %d groups in %d KiB; at most %d in %d KiB can be taken. Ask whoever runs your login provider to send fewer.", len(groups), size>>10, maxGroups, maxGroupBytes>>10)
	}
	return groups, nil
}

func texts(raw json.RawMessage) ([]string, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, nil
	}
	var list []string
	err := json.Unmarshal(raw, &list)
	return list, err
}

// find looks for a claim of that very name first: names may be addresses, with
// dots in them.
func (c claims) find(claim string) (json.RawMessage, bool) {
	if raw, ok := c[claim]; ok {
		return raw, true
	}
	steps := strings.SplitN(claim, ".", maxPath)
	level := c
	for i, step := range steps {
		raw, ok := level[step]
		if !ok {
			return nil, false
		}
		if i == len(steps)-1 {
			return raw, true
		}
		level = nil
		if json.Unmarshal(raw, &level) != nil {
			return nil, false
		}
	}
	return nil, false
}

// overage is Entra ID's way to say that groups were left out: hasgroups, or a
// name of the claim among those to be fetched elsewhere.
func (c claims) overage(claim string) bool {
	if c.isTrue("hasgroups") {
		return true
	}
	var elsewhere map[string]json.RawMessage
	if raw, ok := c["_claim_names"]; ok && json.Unmarshal(raw, &elsewhere) == nil {
		_, ok = elsewhere[claim]
		return ok
	}
	return false
}

func refuse(cause error, format string, args ...any) error {
	return fault.Wrap(cause, fault.Forbidden, "oidc", format, args...)
}
