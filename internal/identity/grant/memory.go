package grant

import (
	"context"
	"sync"
	"time"
)

// Memory is a Store that a restart empties.
type Memory struct {
	mu  sync.Mutex
	all map[string]Grant
}

// NewMemory is empty.
func NewMemory() *Memory { return &Memory{all: map[string]Grant{}} }

// Add implements Store.
func (m *Memory) Add(_ context.Context, g Grant, now time.Time, most, mostOf int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.all {
		if !now.Before(other.Expires) {
			continue
		}
		if most--; other.Client == g.Client {
			mostOf--
		}
	}
	if most < 1 || mostOf < 1 {
		return ErrTooMany
	}
	m.all[g.ID] = g
	return nil
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, id string) (Grant, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.all[id]
	return g, ok, nil
}

// ByUserCode implements Store.
func (m *Memory) ByUserCode(_ context.Context, code Hash) (Grant, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.all {
		if g.Device() && g.UserCode == code {
			return g, true, nil
		}
	}
	return Grant{}, false, nil
}

// Put implements Store.
func (m *Memory) Put(_ context.Context, g Grant) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if was, ok := m.all[g.ID]; !ok || was.Version != g.Version {
		return false, nil
	}
	g.Version++
	m.all[g.ID] = g
	return true, nil
}

// Take implements Store.
func (m *Memory) Take(_ context.Context, g Grant) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if was, ok := m.all[g.ID]; !ok || was.Version != g.Version {
		return false, nil
	}
	delete(m.all, g.ID)
	return true, nil
}

// Sweep implements Store.
func (m *Memory) Sweep(_ context.Context, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, g := range m.all {
		if g.Expires.Before(now) {
			delete(m.all, id)
		}
	}
	return nil
}
