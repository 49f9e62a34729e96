package token

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/identity"
)

// ID names a token everywhere but in the requests that bear it: 26 letters and
// digits. Nobody can act by it.
type ID string

// IDSize is the number of an ID's characters.
const IDSize = 26

// Scope is one thing that a token may be used for.
type Scope string

// The scopes. None of them includes another.
const (
	// Read is to look: every GET of the API but those of logins and tokens, and
	// questions such as can-i.
	Read Scope = "read"
	// Exec is to open shells, and to end one's own.
	Exec Scope = "exec"
	// Admin is to act as the administrator of Periscope, or the reader of
	// everybody's audit events, that its owner is; without it the owner's own things
	// are seen and ended alone.
	Admin Scope = "admin"
)

// Scopes lists them all.
func Scopes() []Scope { return []Scope{Read, Exec, Admin} }

// Token is a token as a store keeps it. Times are kept to the microsecond.
type Token struct {
	ID              ID
	Hash            Hash
	Issuer, Subject string // of its owner
	Name            string
	Scopes          []Scope
	// Clusters are those that it may be used in; empty for all.
	Clusters []string
	Created  time.Time
	// Expires is zero for never.
	Expires time.Time
	// Used is when it was last used, to the minute; zero for never.
	Used time.Time
	// Revoked is zero as long as it is not.
	Revoked time.Time
}

// Has reports whether the token has the scope.
func (t Token) Has(s Scope) bool { return slices.Contains(t.Scopes, s) }

// Reaches reports whether the token may be used in the cluster.
func (t Token) Reaches(cluster string) bool {
	return len(t.Clusters) == 0 || slices.Contains(t.Clusters, cluster)
}

// Person is who somebody is, as their login provider last said.
type Person struct {
	Issuer, Subject string
	Email           string
	// Name is as in identity.Actor.
	Name   string
	Groups []string
	// Seen is when it said so: at a login or when one was renewed.
	Seen time.Time
}

// Held is a token with its owner.
type Held struct {
	Token Token
	Owner Person
}

// MostListed is how many tokens All and OfPerson return at most.
const MostListed = 1000

// Why Add does not.
var (
	ErrTaken    = errors.New("a token of that name is there already")
	ErrTooMany  = errors.New("as many tokens as may be are there already")
	ErrNoPerson = errors.New("the owner has never been seen")
)

// Store keeps people and their tokens. Several processes may share one. Its
// conformance suite is tokentest.
type Store interface {
	// See keeps who a person is, unless something later is known already; what is
	// later by identity.MaxAhead or more, a clock that was wrong has said.
	See(ctx context.Context, p Person) error
	// Add adds a token of a person who has been seen. It is ErrTaken where the
	// person has one of that name, and ErrTooMany where they have most already;
	// those that are revoked do not count. It holds for callers at the same time.
	Add(ctx context.Context, t Token, most int) error
	// ByHash finds a token, revoked ones too; false where there is none.
	ByHash(ctx context.Context, h Hash) (Held, bool, error)
	// ByID is ByHash by the id.
	ByID(ctx context.Context, id ID) (Held, bool, error)
	// OfPerson lists a person's tokens that are not revoked, the newest first.
	OfPerson(ctx context.Context, issuer, subject string) ([]Held, error)
	// All lists everybody's.
	All(ctx context.Context) ([]Held, error)
	// Use sets Used, unless it is later already.
	Use(ctx context.Context, id ID, at time.Time) error
	// Revoke is false where there is no such token, or it is revoked already.
	Revoke(ctx context.Context, id ID, at time.Time) (bool, error)
	// Sweep deletes tokens that were revoked or expired before ended, and people
	// last seen before unseen who have no token.
	Sweep(ctx context.Context, ended, unseen time.Time) error
}

type personKey struct{ issuer, subject string }

// Memory is a Store that a restart empties. When full, it forgets the person who
// was not seen for longest, and their tokens.
type Memory struct {
	most int

	mu     sync.Mutex // guards what follows
	people map[personKey]Person
	tokens map[ID]Token
}

// NewMemory holds at most so many people.
func NewMemory(most int) *Memory {
	return &Memory{most: max(most, 1), people: map[personKey]Person{}, tokens: map[ID]Token{}}
}

func (t Token) owner() personKey { return personKey{t.Issuer, t.Subject} }

// See implements Store.
func (m *Memory) See(_ context.Context, p Person) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := personKey{p.Issuer, p.Subject}
	before, known := m.people[key]
	if !known && len(m.people) >= m.most {
		m.forget(m.longestUnseen())
	}
	if ahead := before.Seen.Sub(p.Seen); !known || ahead <= 0 || ahead >= identity.MaxAhead {
		p.Groups = slices.Clone(p.Groups)
		m.people[key] = p
	}
	return nil
}

func (m *Memory) forget(key personKey) {
	delete(m.people, key)
	for id, t := range m.tokens {
		if t.owner() == key {
			delete(m.tokens, id)
		}
	}
}

func (m *Memory) longestUnseen() (key personKey) {
	var since time.Time
	for k, p := range m.people {
		if since.IsZero() || p.Seen.Before(since) {
			key, since = k, p.Seen
		}
	}
	return key
}

// Add implements Store.
func (m *Memory) Add(_ context.Context, t Token, most int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.people[t.owner()]; !known {
		return ErrNoPerson
	}
	held := m.list(func(other Token) bool { return other.owner() == t.owner() })
	if slices.ContainsFunc(held, func(h Held) bool { return h.Token.Name == t.Name }) {
		return ErrTaken
	}
	if len(held) >= most {
		return ErrTooMany
	}
	m.tokens[t.ID] = t
	return nil
}

// list has the tokens that are not revoked, the newest first.
func (m *Memory) list(wanted func(Token) bool) []Held {
	found := []Held{}
	for _, t := range m.tokens {
		if t.Revoked.IsZero() && wanted(t) {
			found = append(found, m.held(t))
		}
	}
	slices.SortFunc(found, func(a, b Held) int {
		return cmp.Or(b.Token.Created.Compare(a.Token.Created), cmp.Compare(a.Token.ID, b.Token.ID))
	})
	return found[:min(len(found), MostListed)]
}

func (m *Memory) held(t Token) Held { return Held{Token: t, Owner: m.people[t.owner()]} }

// ByHash implements Store.
func (m *Memory) ByHash(_ context.Context, h Hash) (Held, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tokens {
		if t.Hash == h {
			return m.held(t), true, nil
		}
	}
	return Held{}, false, nil
}

// ByID implements Store.
func (m *Memory) ByID(_ context.Context, id ID) (Held, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tokens[id]
	if !ok {
		return Held{}, false, nil
	}
	return m.held(t), true, nil
}

// OfPerson implements Store.
func (m *Memory) OfPerson(_ context.Context, issuer, subject string) ([]Held, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list(func(t Token) bool { return t.owner() == personKey{issuer, subject} }), nil
}

// All implements Store.
func (m *Memory) All(context.Context) ([]Held, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list(func(Token) bool { return true }), nil
}

// Use implements Store.
func (m *Memory) Use(_ context.Context, id ID, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t, ok := m.tokens[id]; ok && t.Used.Before(at) {
		t.Used = at
		m.tokens[id] = t
	}
	return nil
}

// Revoke implements Store.
func (m *Memory) Revoke(_ context.Context, id ID, at time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tokens[id]
	if !ok || !t.Revoked.IsZero() {
		return false, nil
	}
	t.Revoked = at
	m.tokens[id] = t
	return true, nil
}

// Sweep implements Store.
func (m *Memory) Sweep(_ context.Context, ended, unseen time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	owners := map[personKey]bool{}
	for id, t := range m.tokens {
		if past(t.Revoked, ended) || past(t.Expires, ended) {
			delete(m.tokens, id)
			continue
		}
		owners[t.owner()] = true
	}
	for key, p := range m.people {
		if p.Seen.Before(unseen) && !owners[key] {
			delete(m.people, key)
		}
	}
	return nil
}

// past is false for no time at all.
func past(at, limit time.Time) bool { return !at.IsZero() && at.Before(limit) }
