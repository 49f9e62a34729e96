package token

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

const (
	maxName     = 64 // characters
	maxClusters = 32
	minLifetime = time.Minute
	// revokeAllLimit is how long it may take to revoke all tokens of one person, and
	// revokeOneLimit for one of them: one that hangs leaves time for the others.
	revokeAllLimit = 15 * time.Second
	revokeOneLimit = 5 * time.Second
	// auditLimit is how long a record may take to become durable.
	auditLimit = 5 * time.Second
)

// Wish is what somebody wants a token for.
type Wish struct {
	Name   string
	Scopes []Scope
	// Clusters are known ones, or none for all.
	Clusters []string
	// Lifetime 0 is for ever.
	Lifetime time.Duration
}

// Create makes a token of the person's own. The secret is returned once and
// kept nowhere.
func (k *Keeper) Create(ctx context.Context, a identity.Actor, requestID string, w Wish) (Token, Secret, error) {
	if err := k.check(a, w); err != nil {
		return Token{}, Secret{}, err
	}
	secret, now := newSecret(), time.Now()
	t := Token{
		ID: newID(), Hash: secret.Hash(), Issuer: a.Issuer, Subject: a.Subject, Name: w.Name,
		Scopes: inOrder(w.Scopes), Clusters: slices.Compact(slices.Sorted(slices.Values(w.Clusters))), Created: now,
	}
	if w.Lifetime > 0 {
		t.Expires = now.Add(w.Lifetime)
	}
	act := k.act(ctx, audit.TokenCreate, a, requestID, Held{Token: t, Owner: Person{Subject: a.Subject, Email: a.Email}})
	err := k.audited(ctx, act, func(ctx context.Context) error {
		return k.cannotAdd(k.o.Store.Add(ctx, t, k.o.Limits.MaxPerPerson), w.Name)
	})
	if err != nil {
		return Token{}, Secret{}, err
	}
	return t, secret, nil
}

// inOrder has each scope once.
func inOrder(scopes []Scope) []Scope {
	return slices.DeleteFunc(Scopes(), func(s Scope) bool { return !slices.Contains(scopes, s) })
}

func (k *Keeper) check(a identity.Actor, w Wish) error {
	if err := k.byBrowser(a); err != nil {
		return err
	}
	if !k.o.Limits.Enabled {
		return fault.New(fault.Forbidden, "token.Create", "Access tokens are switched off on this server. Ask whoever runs it if you need one.")
	}
	if err := checkName(w.Name); err != nil {
		return err
	}
	if err := checkScopes(a, w.Scopes); err != nil {
		return err
	}
	if err := checkClusters(w.Clusters); err != nil {
		return err
	}
	return k.checkLifetime(w.Lifetime)
}

// byBrowser keeps a stolen token from making further ones, and from ending
// those that its owner needs.
func (k *Keeper) byBrowser(a identity.Actor) error {
	if a.Token != "" {
		return fault.New(fault.Forbidden, "token", "Tokens are made and revoked in the browser alone, never by a token.")
	}
	return nil
}

func checkName(name string) error {
	ok := name != "" && strings.TrimSpace(name) == name && utf8.ValidString(name) &&
		utf8.RuneCountInString(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
	if !ok {
		return fault.New(fault.Invalid, "token.Create", "The token's name must be one line of 1 to %d characters, without blanks at its ends.", maxName)
	}
	return nil
}

func checkScopes(a identity.Actor, scopes []Scope) error {
	if len(scopes) == 0 || slices.ContainsFunc(scopes, func(s Scope) bool { return !slices.Contains(Scopes(), s) }) {
		return fault.New(fault.Invalid, "token.Create", "Say what the token is for: one or more of the scopes read, exec and admin.")
	}
	if slices.Contains(scopes, Admin) && !a.Admin {
		return fault.New(fault.Forbidden, "token.Create", "You are no administrator of Periscope, so no token of yours can be one. Leave the scope admin out.")
	}
	return nil
}

// clusterName is a DNS-1123 label, as clusters are named.
var clusterName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func checkClusters(names []string) error {
	if len(names) > maxClusters || slices.ContainsFunc(names, func(n string) bool { return !clusterName.MatchString(n) }) {
		return fault.New(fault.Invalid, "token.Create", "A token is limited to at most %d clusters, each named as this server names it. Leave the list empty for all.", maxClusters)
	}
	return nil
}

func (k *Keeper) checkLifetime(d time.Duration) error {
	most := k.o.Limits.MaxLifetime
	switch {
	case d == 0 && k.o.Limits.NoExpiry, d >= minLifetime && d <= most:
		return nil
	case d == 0:
		return fault.New(fault.Invalid, "token.Create", "Every token expires on this server, after %s at the latest. Say when this one does.", span(most))
	}
	return fault.New(fault.Invalid, "token.Create", "A token's life on this server is from a minute to %s. Choose within that.", span(most))
}

// span is a time in the largest whole unit.
func span(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0:
		return plural(int64(d/(24*time.Hour)), "day")
	case d%time.Hour == 0:
		return plural(int64(d/time.Hour), "hour")
	}
	return d.String()
}

func (k *Keeper) cannotAdd(err error, name string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrTaken):
		return fault.New(fault.Conflict, "token.Create", "You have a token named “%s” already. Choose another name, or revoke that one first.", name)
	case errors.Is(err, ErrTooMany):
		return fault.New(fault.Conflict, "token.Create", "You have %s already, which is the limit. Revoke one that you no longer need.", plural(int64(k.o.Limits.MaxPerPerson), "token"))
	case errors.Is(err, ErrNoPerson):
		return fault.New(fault.Unauthenticated, "token.Create", "Your login is older than what this server keeps of people. Log in again, then make the token.")
	}
	return fault.Wrap(err, fault.Internal, "token.Create", "The token could not be kept, so there is none. Try again in a moment.")
}

// List is the person's own tokens, to an administrator who asks for it everybody's;
// the newest first.
func (k *Keeper) List(ctx context.Context, a identity.Actor, everybodys bool) ([]Held, error) {
	if err := k.byBrowser(a); err != nil {
		return nil, err
	}
	if !everybodys {
		return k.o.Store.OfPerson(ctx, a.Issuer, a.Subject)
	}
	if !a.Admin {
		return nil, fault.New(fault.Forbidden, "token.List", "Only administrators of Periscope see everybody's tokens. Ask for your own.")
	}
	return k.o.Store.All(ctx)
}

// Revoke ends one of the person's own tokens, or anybody's for an administrator.
// Somebody else's is answered like one that does not exist.
func (k *Keeper) Revoke(ctx context.Context, a identity.Actor, requestID string, id ID) error {
	if err := k.byBrowser(a); err != nil {
		return err
	}
	held, ok, err := k.o.Store.ByID(ctx, id)
	if err != nil {
		return err
	}
	t := held.Token
	own := t.Issuer == a.Issuer && t.Subject == a.Subject
	if !ok || !t.Revoked.IsZero() || !own && !a.Admin {
		return fault.New(fault.NotFound, "token.Revoke", "There is no such token, or it was revoked already. Load the list of tokens again.")
	}
	return k.revoke(context.WithoutCancel(ctx), a, requestID, held)
}

// RevokeItself ends the token by which the person acts, which is all that a token
// may do to tokens: whoever stole it can end no other.
func (k *Keeper) RevokeItself(ctx context.Context, a identity.Actor, requestID string, id ID) error {
	held, ok, err := k.o.Store.ByID(ctx, id)
	if err != nil {
		return err
	}
	if !ok || a.Token != string(id) || held.Token.Issuer != a.Issuer || held.Token.Subject != a.Subject {
		return fault.New(fault.NotFound, "token.RevokeItself", "There is no such token, or it was revoked already.")
	}
	return k.revoke(context.WithoutCancel(ctx), a, requestID, held)
}

// RevokeAll ends every token of the person's own and counts them. One that cannot be
// revoked keeps no other, and nor does it that whoever asked has gone.
func (k *Keeper) RevokeAll(ctx context.Context, a identity.Actor, requestID string) (int, error) {
	if err := k.byBrowser(a); err != nil {
		return 0, err
	}
	ctx, done := k.o.Acts.Begin(context.WithoutCancel(ctx))
	defer done()
	ctx, cancel := context.WithTimeout(ctx, revokeAllLimit)
	defer cancel()
	all, err := k.o.Store.OfPerson(ctx, a.Issuer, a.Subject)
	if err != nil {
		return 0, err
	}
	revoked := 0
	var why error // the first is enough for the log
	for _, held := range all {
		if no := k.revokeSoon(ctx, a, requestID, held); no != nil {
			why = cmp.Or(why, no)
			continue
		}
		revoked++
	}
	if why != nil {
		why = fault.Wrap(why, fault.KindOf(why), "token.RevokeAll",
			"%d of your tokens could not be revoked and may still hold. Try again in a moment; if it stays so, tell whoever runs this server.", len(all)-revoked)
	}
	return revoked, why
}

// revokeSoon is revoke that takes its part of the time for all.
func (k *Keeper) revokeSoon(ctx context.Context, a identity.Actor, requestID string, h Held) error {
	ctx, cancel := context.WithTimeout(ctx, revokeOneLimit)
	defer cancel()
	return k.revoke(ctx, a, requestID, h)
}

// revoke is of a ctx that outlives the request: what is recorded as begun is done.
func (k *Keeper) revoke(ctx context.Context, a identity.Actor, requestID string, h Held) error {
	return k.audited(ctx, k.act(ctx, audit.TokenRevoke, a, requestID, h), func(ctx context.Context) error {
		if _, err := k.o.Store.Revoke(ctx, h.Token.ID, time.Now()); err != nil {
			return fault.Wrap(err, fault.Internal, "token.Revoke", "The token could not be revoked, and still holds. Try again in a moment.")
		}
		k.tell(h.Token.ID)
		return nil
	})
}

// act is the first record of what is done to a token.
func (k *Keeper) act(ctx context.Context, verb string, a identity.Actor, requestID string, h Held) audit.Event {
	t, from := h.Token, audit.SourceOf(ctx)
	e := audit.Event{
		EventID: rand.Text(), Stage: audit.Requested, Timestamp: time.Now(), RequestID: cmp.Or(requestID, from.RequestID), Verb: verb, Actor: audit.ActorOf(a),
		Extra: map[string]any{
			"token_id": t.ID, "token_name": t.Name, "scopes": t.Scopes, "clusters": append([]string{}, t.Clusters...),
			"token_owner": map[string]any{"sub": t.Subject, "email": h.Owner.Email}, "expires": nil,
			"client_address": from.Address,
		},
	}
	if !t.Expires.IsZero() {
		e.Extra["expires"] = t.Expires.UTC()
	}
	return e
}

// audited does what e records, if it can be recorded, and records how it went.
func (k *Keeper) audited(ctx context.Context, e audit.Event, do func(context.Context) error) error {
	ctx, done := k.o.Acts.Begin(ctx)
	defer done()
	limited, cancel := context.WithTimeout(ctx, auditLimit)
	defer cancel()
	if err := k.o.Audit.Emit(limited, e); err != nil {
		return fault.Wrap(err, fault.AuditUnavailable, "token", "The audit record could not be written, so nothing was done. Tell whoever runs this server.")
	}
	err := do(ctx)
	e.Stage, e.Timestamp, e.Outcome, e.Extra = audit.Completed, time.Now(), audit.Success, maps.Clone(e.Extra)
	if err != nil {
		e.Outcome, e.Extra["error"] = audit.Failure, fault.KindOf(err).Code()
	}
	limited, cancel = context.WithTimeout(context.WithoutCancel(ctx), auditLimit)
	defer cancel()
	if err := k.o.Audit.Emit(limited, e); err != nil {
		k.o.Log.Error("audit.lost", "verb", e.Verb, "eventId", e.EventID, "error", err)
	}
	return err
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(n, 10) + " " + what + "s"
}
