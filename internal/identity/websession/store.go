package websession

import (
	"context"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/identity"
)

// ID names a session everywhere but in its cookie: the hash of the cookie's
// secret. Who learns it (from a log, from the store) cannot log in with it.
type ID string

// Record is a session as a store keeps it.
type Record struct {
	ID      ID
	Actor   identity.Actor
	Created time.Time
	// Active is when the person last did something.
	Active time.Time
}

// Store keeps records. Memory is one; a database is to be another.
type Store interface {
	// Put adds a new record.
	Put(ctx context.Context, r Record) error
	// Get finds a record, false where there is none.
	Get(ctx context.Context, id ID) (Record, bool, error)
	// Touch sets Active; it does nothing where there is no record.
	Touch(ctx context.Context, id ID, at time.Time) error
	// Delete is no error where there is no record.
	Delete(ctx context.Context, id ID) error
}

// Memory is a Store that a restart empties. When full, it forgets the session
// that has been idle for longest, so that a flood of logins cannot keep
// anybody from logging in.
type Memory struct {
	most int

	mu      sync.Mutex // guards records
	records map[ID]Record
}

// NewMemory holds at most so many records.
func NewMemory(most int) *Memory {
	return &Memory{most: max(most, 1), records: make(map[ID]Record)}
}

// Put implements Store.
func (m *Memory) Put(_ context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.records) >= m.most {
		delete(m.records, m.idlest())
	}
	m.records[r.ID] = r
	return nil
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
	if r, ok := m.records[id]; ok {
		r.Active = at
		m.records[id] = r
	}
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, id ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, id)
	return nil
}
