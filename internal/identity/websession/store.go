package websession

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/identity"
)

// ID names a session everywhere but in its cookie: the hash of the cookie's
// secret. Who learns it (from a log, from the store) cannot log in with it.
type ID string

// Record is a session as a store keeps it. Times are kept to the microsecond.
type Record struct {
	ID    ID
	Actor identity.Actor
	// Agent is what the browser called itself at login, to know it by in a list.
	Agent   string
	Created time.Time
	// Active is when the person last did something.
	Active time.Time
	// Renewal is what the login provider gave to renew the login with, and Due when
	// that is to be done; zero for never. Version counts the renewals.
	Renewal []byte
	Due     time.Time
	Version int64
}

// MaxOfPerson is how many records OfPerson returns at most.
const MaxOfPerson = 1000

// Store keeps records. Several processes may share one. Its conformance suite is
// websessiontest.
type Store interface {
	// Put adds a new record.
	Put(ctx context.Context, r Record) error
	// Get finds a record, false where there is none.
	Get(ctx context.Context, id ID) (Record, bool, error)
	// Touch sets Active, unless it is later already; it does nothing where there
	// is no record.
	Touch(ctx context.Context, id ID, at time.Time) error
	// OfPerson lists a person's records, the newest first.
	OfPerson(ctx context.Context, issuer, subject string) ([]Record, error)
	// Claim is true for one caller until the time given, so that one alone renews
	// a login; false where another has it, or there is no record.
	Claim(ctx context.Context, id ID, now, until time.Time) (bool, error)
	// Renew replaces Actor, Renewal and Due of the record of that Version, adds one to
	// it and ends the claim. It is false where the record has gone or moved on (a
	// logout stays one), or is another person's.
	Renew(ctx context.Context, id ID, version int64, a identity.Actor, renewal []byte, due time.Time) (bool, error)
	// Rotate replaces Renewal alone of the record of that Version and adds one to it;
	// the claim stays. It is false where the record has gone or moved on.
	Rotate(ctx context.Context, id ID, version int64, renewal []byte) (bool, error)
	// Delete is no error where there is no record.
	Delete(ctx context.Context, id ID) error
	// Sweep deletes what was created or last active before these times.
	Sweep(ctx context.Context, created, active time.Time) error
}

// Memory is a Store that a restart empties. When full, it forgets the session
// that has been idle for longest, so that a flood of logins cannot keep
// anybody from logging in.
type Memory struct {
	most int

	mu      sync.Mutex // guards what follows
	records map[ID]Record
	claims  map[ID]time.Time // until when
}

// NewMemory holds at most so many records.
func NewMemory(most int) *Memory {
	return &Memory{most: max(most, 1), records: make(map[ID]Record), claims: make(map[ID]time.Time)}
}

// Put implements Store.
func (m *Memory) Put(_ context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.records) >= m.most {
		m.drop(m.idlest())
	}
	m.records[r.ID] = r
	return nil
}

func (m *Memory) drop(id ID) {
	delete(m.records, id)
	delete(m.claims, id)
}

func (m *Memory) idlest() (id ID) {
	var since time.Time
	for k, r := range m.records {
		if id == "" || r.Active.Before(since) {
			id, since = k, r.Active
		}
	}
	return id
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, id ID) (Record, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[id]
	return r, ok, nil
}

// Touch implements Store.
func (m *Memory) Touch(_ context.Context, id ID, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.records[id]; ok && r.Active.Before(at) {
		r.Active = at
		m.records[id] = r
	}
	return nil
}

// OfPerson implements Store.
func (m *Memory) OfPerson(_ context.Context, issuer, subject string) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := []Record{}
	for _, r := range m.records {
		if r.Actor.Issuer == issuer && r.Actor.Subject == subject {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b Record) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(len(found), MaxOfPerson)], nil
}

// Claim implements Store.
func (m *Memory) Claim(_ context.Context, id ID, now, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.records[id]; !ok || m.claims[id].After(now) {
		return false, nil
	}
	m.claims[id] = until
	return true, nil
}

// Renew implements Store.
func (m *Memory) Renew(_ context.Context, id ID, version int64, a identity.Actor, renewal []byte, due time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[id]
	if !ok || r.Version != version || !r.Actor.Same(a) {
		return false, nil
	}
	r.Actor, r.Renewal, r.Due, r.Version = a, slices.Clone(renewal), due, version+1
	m.records[id] = r
	delete(m.claims, id)
	return true, nil
}

// Rotate implements Store.
func (m *Memory) Rotate(_ context.Context, id ID, version int64, renewal []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[id]
	if !ok || r.Version != version {
		return false, nil
	}
	r.Renewal, r.Version = slices.Clone(renewal), version+1
	m.records[id] = r
	return true, nil
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, id ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(id)
	return nil
}

// Sweep implements Store.
func (m *Memory) Sweep(_ context.Context, created, active time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, r := range m.records {
		if r.Created.Before(created) || r.Active.Before(active) {
			m.drop(id)
		}
	}
	return nil
}
