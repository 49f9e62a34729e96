package enrol

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

// Person is an administrator who has made a token.
type Person struct{ Issuer, Subject, Email string }

// Token is a registration token as a store keeps it. Times are kept to the
// microsecond.
type Token struct {
	// ID names it in audit; nobody can act by it.
	ID      string
	Hash    Hash
	Cluster string
	By      Person
	Created time.Time
	Expires time.Time
	// Used is when it was redeemed or burnt; zero as long as it was not.
	Used time.Time
}

// waits reports whether an agent can still register by it.
func (t Token) waits(at time.Time) bool { return t.Used.IsZero() && !t.Expires.Before(at) }

// Certificate is what is kept of a client certificate. Times are kept to the
// microsecond.
type Certificate struct {
	// Serial and Fingerprint are as pki.Peer's.
	Serial      string
	Fingerprint pki.Fingerprint
	Cluster     string
	Issued      time.Time
	Expires     time.Time
	// Registered and By are of the registration that it goes back to, and the token
	// of that.
	Registered time.Time
	By         Person
	// Address is where it was asked for from.
	Address string
	// Renews is the serial number of the one before; empty at a registration.
	Renews string
	// Revoked is zero as long as it is not.
	Revoked time.Time
}

// Current is the certificate of a cluster that ends last, of those that are not
// revoked.
type Current struct {
	Certificate
	// Count is how many of the cluster's are not revoked.
	Count int
}

// MostListed is how many clusters List returns at most, and how many tokens Waiting.
const MostListed = 1000

// ErrTooMany is why a store does not add.
var ErrTooMany = errors.New("as many as may be are there already")

// Store keeps tokens and what is known of certificates. Several processes may
// share one. Its conformance suite is enroltest.
type Store interface {
	// AddToken is ErrTooMany where most tokens are there already that were not used
	// and do not end before t.Created. It holds for callers at the same time.
	AddToken(ctx context.Context, t Token, most int) error
	// Token finds a token, used and expired ones too; false where there is none.
	Token(ctx context.Context, h Hash) (Token, bool, error)
	// Waiting are the tokens that were not used and do not end before at, those that
	// end first before the others.
	Waiting(ctx context.Context, at time.Time) ([]Token, error)
	// Burn sets Used. It is false where there is no such token, or it was used.
	Burn(ctx context.Context, h Hash, at time.Time) (bool, error)
	// Redeem burns the token and adds c, both or neither. It is false where there is
	// no such token for c.Cluster, it was used, or it ended before c.Issued: of several
	// callers one redeems it. It is ErrTooMany where the cluster has most
	// certificates already that are not revoked.
	Redeem(ctx context.Context, h Hash, c Certificate, most int) (bool, error)
	// Renew adds c, which renews c.Renews. It is false where that is none of
	// c.Cluster's, was revoked, or ended before c.Issued; ErrTooMany as in Redeem.
	Renew(ctx context.Context, c Certificate, most int) (bool, error)
	// Certificate finds one by its serial number, revoked ones too.
	Certificate(ctx context.Context, serial string) (Certificate, bool, error)
	// List is each cluster's current certificate, in the order of their names.
	List(ctx context.Context) ([]Current, error)
	// Revoke revokes every certificate of the cluster and burns its tokens, and
	// counts what it has ended. Whatever Redeem or Renew adds at the same time is
	// revoked too, or not added.
	Revoke(ctx context.Context, cluster string, at time.Time) (certificates, tokens int, err error)
	// Sweep deletes tokens that expired before tokens, and certificates that expired
	// before certificates.
	Sweep(ctx context.Context, tokens, certificates time.Time) error
}

// Memory is a Store that a restart empties.
type Memory struct {
	mu           sync.Mutex // guards what follows
	tokens       map[Hash]Token
	certificates map[string]Certificate
}

// NewMemory is empty. What it holds is bounded by what its callers may add.
func NewMemory() *Memory {
	return &Memory{tokens: map[Hash]Token{}, certificates: map[string]Certificate{}}
}

// AddToken implements Store.
func (m *Memory) AddToken(_ context.Context, t Token, most int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	open := 0
	for _, other := range m.tokens {
		if other.waits(t.Created) {
			open++
		}
	}
	if open >= most {
		return ErrTooMany
	}
	m.tokens[t.Hash] = t
	return nil
}

// Token implements Store.
func (m *Memory) Token(_ context.Context, h Hash) (Token, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tokens[h]
	return t, ok, nil
}

// Waiting implements Store.
func (m *Memory) Waiting(_ context.Context, at time.Time) ([]Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting := []Token{}
	for _, t := range m.tokens {
		if t.waits(at) {
			waiting = append(waiting, t)
		}
	}
	slices.SortFunc(waiting, func(a, b Token) int { return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.ID, b.ID)) })
	return waiting[:min(len(waiting), MostListed)], nil
}

// Burn implements Store.
func (m *Memory) Burn(_ context.Context, h Hash, at time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tokens[h]
	if !ok || !t.Used.IsZero() {
		return false, nil
	}
	t.Used = at
	m.tokens[h] = t
	return true, nil
}

// Redeem implements Store.
func (m *Memory) Redeem(_ context.Context, h Hash, c Certificate, most int) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tokens[h]
	if !ok || !t.Used.IsZero() || t.Cluster != c.Cluster || t.Expires.Before(c.Issued) {
		return false, nil
	}
	if m.held(c.Cluster) >= most {
		return false, ErrTooMany
	}
	t.Used = c.Issued
	m.tokens[h], m.certificates[c.Serial] = t, c
	return true, nil
}

// held counts the cluster's certificates that are not revoked.
func (m *Memory) held(cluster string) (n int) {
	for _, c := range m.certificates {
		if c.Cluster == cluster && c.Revoked.IsZero() {
			n++
		}
	}
	return n
}

// Renew implements Store.
func (m *Memory) Renew(_ context.Context, c Certificate, most int) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, ok := m.certificates[c.Renews]
	if !ok || before.Cluster != c.Cluster || !before.Revoked.IsZero() || before.Expires.Before(c.Issued) {
		return false, nil
	}
	if m.held(c.Cluster) >= most {
		return false, ErrTooMany
	}
	m.certificates[c.Serial] = c
	return true, nil
}

// Certificate implements Store.
func (m *Memory) Certificate(_ context.Context, serial string) (Certificate, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.certificates[serial]
	return c, ok, nil
}

// List implements Store.
func (m *Memory) List(context.Context) ([]Current, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := map[string]Certificate{}
	for _, c := range m.certificates {
		if before, ok := last[c.Cluster]; c.Revoked.IsZero() && (!ok || endsAfter(c, before)) {
			last[c.Cluster] = c
		}
	}
	list := make([]Current, 0, len(last))
	for cluster, c := range last {
		list = append(list, Current{Certificate: c, Count: m.held(cluster)})
	}
	slices.SortFunc(list, func(a, b Current) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return list[:min(len(list), MostListed)], nil
}

func endsAfter(a, b Certificate) bool {
	return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.Serial, b.Serial)) > 0
}

// Revoke implements Store.
func (m *Memory) Revoke(_ context.Context, cluster string, at time.Time) (certificates, tokens int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for serial, c := range m.certificates {
		if c.Cluster == cluster && c.Revoked.IsZero() {
			c.Revoked = at
			m.certificates[serial] = c
			certificates++
		}
	}
	for h, t := range m.tokens {
		if t.Cluster == cluster && t.Used.IsZero() {
			t.Used = at
			m.tokens[h] = t
			tokens++
		}
	}
	return certificates, tokens, nil
}

// Sweep implements Store.
func (m *Memory) Sweep(_ context.Context, tokens, certificates time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for h, t := range m.tokens {
		if t.Expires.Before(tokens) {
			delete(m.tokens, h)
		}
	}
	for serial, c := range m.certificates {
		if c.Expires.Before(certificates) {
			delete(m.certificates, serial)
		}
	}
	return nil
}
