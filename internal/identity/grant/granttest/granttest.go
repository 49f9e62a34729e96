// Package granttest is the suite that every grant.Store passes.
//
// It owns the contract's meaning in tests. Stores run it on themselves.
package granttest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/identity/grant"
)

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 123456000, time.UTC)

const most, mostOf = 6, 3

// Conform runs the suite; open gives an empty store each time.
func Conform(t *testing.T, open func(*testing.T) grant.Store) {
	for name, test := range map[string]func(*testing.T, grant.Store){
		"whole": whole, "changes": changes, "bounds": bounds, "many at once": atOnce, "sweep": sweep,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// full has no field without a value.
func full(id, client string) grant.Grant {
	return grant.Grant{
		ID: id, Challenge: "challenge", Echo: "echo", Port: 4711, UserCode: grant.Hash{1, 2, id[0]}, Secret: grant.Hash{9, 8},
		Host: "lap\"top ü", Agent: "periscope/1", Address: "address of " + id, Client: client, Created: epoch, Expires: epoch.Add(time.Minute),
		State: grant.Allowed, Finder: "finder", Login: "login", Polled: epoch.Add(time.Second), Interval: 5 * time.Second, Version: 3,
	}
}

func add(t *testing.T, s grant.Store, g grant.Grant) {
	t.Helper()
	if err := s.Add(t.Context(), g, epoch, most, mostOf); err != nil {
		t.Fatal(err)
	}
}

func whole(t *testing.T, s grant.Store) {
	g := full("a", "1")
	add(t, s, g)
	other := full("b", "1")
	other.UserCode = grant.Hash{}
	add(t, s, other)
	for name, find := range map[string]func() (grant.Grant, bool, error){
		"by id":        func() (grant.Grant, bool, error) { return s.Get(t.Context(), "a") },
		"by user code": func() (grant.Grant, bool, error) { return s.ByUserCode(t.Context(), g.UserCode) },
	} {
		got, ok, err := find()
		if got.Created, got.Expires, got.Polled = got.Created.UTC(), got.Expires.UTC(), got.Polled.UTC(); !ok || err != nil || !reflect.DeepEqual(got, g) {
			t.Errorf("%s: %+v, %v, %v, want %+v", name, got, ok, err, g)
		}
	}
	for name, find := range map[string]func() (grant.Grant, bool, error){
		"an unknown id":   func() (grant.Grant, bool, error) { return s.Get(t.Context(), "c") },
		"an unknown code": func() (grant.Grant, bool, error) { return s.ByUserCode(t.Context(), grant.Hash{7}) },
		"no code":         func() (grant.Grant, bool, error) { return s.ByUserCode(t.Context(), grant.Hash{}) },
	} {
		if got, ok, err := find(); ok || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func changes(t *testing.T, s grant.Store) {
	g := full("a", "1")
	add(t, s, g)
	g.State, g.Login = grant.Refused, "another"
	if ok, err := s.Put(t.Context(), g); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := s.Put(t.Context(), g); ok || err != nil {
		t.Errorf("an old version was put: %v", err)
	}
	if ok, err := s.Take(t.Context(), g); ok || err != nil {
		t.Errorf("an old version was taken: %v", err)
	}
	got, _, err := s.Get(t.Context(), "a")
	if err != nil || got.State != grant.Refused || got.Login != "another" || got.Version != g.Version+1 {
		t.Errorf("%+v, %v", got, err)
	}
	if ok, err := s.Take(t.Context(), got); !ok || err != nil {
		t.Error(ok, err)
	}
	if ok, err := s.Take(t.Context(), got); ok || err != nil {
		t.Errorf("taken twice: %v", err)
	}
}

func bounds(t *testing.T, s grant.Store) {
	old := full("o", "1")
	old.Expires = epoch
	add(t, s, old)
	for i := range mostOf {
		add(t, s, full(fmt.Sprint(i), "1"))
	}
	if err := s.Add(t.Context(), full("x", "1"), epoch, most, mostOf); !errors.Is(err, grant.ErrTooMany) {
		t.Errorf("more than a client may: %v", err)
	}
	for i := mostOf; i < most; i++ {
		add(t, s, full(fmt.Sprint(i), fmt.Sprint(i)))
	}
	if err := s.Add(t.Context(), full("y", "new"), epoch, most, mostOf); !errors.Is(err, grant.ErrTooMany) {
		t.Errorf("more than all may: %v", err)
	}
}

func atOnce(t *testing.T, s grant.Store) {
	var added, taken atomic.Int32
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			switch err := s.Add(context.Background(), full(string(rune('a'+i)), "1"), epoch, most, mostOf); {
			case err == nil:
				added.Add(1)
			case !errors.Is(err, grant.ErrTooMany):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if added.Load() != mostOf {
		t.Errorf("%d of %d were added", added.Load(), mostOf)
	}
	for i := range 12 {
		g, ok, err := s.Get(t.Context(), string(rune('a'+i)))
		if err != nil || !ok {
			continue
		}
		taken.Store(0)
		for range 8 {
			wg.Go(func() {
				if ok, err := s.Take(context.Background(), g); err != nil {
					t.Error(err)
				} else if ok {
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 1 {
			t.Errorf("taken %d times", taken.Load())
		}
	}
}

func sweep(t *testing.T, s grant.Store) {
	add(t, s, full("a", "1"))
	later := full("b", "1")
	later.Expires = epoch.Add(time.Hour)
	add(t, s, later)
	if err := s.Sweep(t.Context(), epoch.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := s.Get(t.Context(), "a"); ok {
		t.Error("an expired one is there")
	}
	if _, ok, _ := s.Get(t.Context(), "b"); !ok {
		t.Error("one that holds is gone")
	}
}
