// Package websessiontest is the suite that every websession.Store passes.
//
// It owns the contract's meaning in tests. Stores run it on themselves.
package websessiontest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 123456000, time.UTC)

// Conform runs the suite; open gives an empty store each time.
func Conform(t *testing.T, open func(*testing.T) websession.Store) {
	for name, test := range map[string]func(*testing.T, websession.Store){
		"whole":         whole,
		"absent":        absent,
		"touch":         touch,
		"of person":     ofPerson,
		"many":          many,
		"claim":         claim,
		"one claims":    oneClaims,
		"renew":         renew,
		"rotate":        rotate,
		"delete":        remove,
		"sweep":         sweep,
		"strange names": strange,
		"cancelled":     cancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// record has no field without a value.
func record(id string) websession.Record {
	return websession.Record{
		ID: websession.ID(id), Agent: "Firefox", Created: epoch, Active: epoch.Add(time.Minute),
		Renewal: []byte("r\x00\xff"), Due: epoch.Add(5 * time.Minute), Version: 3,
		Actor: identity.Actor{
			Issuer: "https://login.example", Subject: "alice", Email: "alice@example.com", Name: "al", AuditAll: true, Groups: []string{"sre", "prod"},
			Tier: "triage", Admin: true, Token: "none", Expires: epoch.Add(time.Hour),
			As: identity.Impersonation{None: true, User: "oidc:alice", Groups: []string{"periscope:sre", "periscope:prod"}, Subject: "alice"},
		},
	}
}

func put(t *testing.T, s websession.Store, records ...websession.Record) {
	t.Helper()
	for _, r := range records {
		must(t, s.Put(t.Context(), r))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s websession.Store, id websession.ID) (websession.Record, bool) {
	t.Helper()
	r, ok, err := s.Get(t.Context(), id)
	must(t, err)
	return r, ok
}

func whole(t *testing.T, s websession.Store) {
	want := record("one")
	for _, v := range []reflect.Value{reflect.ValueOf(want), reflect.ValueOf(want.Actor), reflect.ValueOf(want.Actor.As)} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Fatalf("the suite's record has no %s", v.Type().Field(i).Name)
			}
		}
	}
	put(t, s, want)
	got, ok := get(t, s, "one")
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("kept  %+v\nfound %+v (%v)", want, got, ok)
	}
}

func absent(t *testing.T, s websession.Store) {
	if r, ok := get(t, s, "none"); ok {
		t.Errorf("found %+v", r)
	}
	must(t, s.Touch(t.Context(), "none", epoch))
	must(t, s.Delete(t.Context(), "none"))
	must(t, s.Sweep(t.Context(), epoch, epoch))
	if _, ok := get(t, s, "none"); ok {
		t.Error("touching made a record")
	}
}

func touch(t *testing.T, s websession.Store) {
	put(t, s, record("one"), record("two"))
	later := epoch.Add(time.Hour)
	must(t, s.Touch(t.Context(), "one", later))
	must(t, s.Touch(t.Context(), "one", epoch)) // a slower process
	one, _ := get(t, s, "one")
	two, _ := get(t, s, "two")
	if !one.Active.Equal(later) || !two.Active.Equal(record("two").Active) {
		t.Errorf("active %v and %v", one.Active, two.Active)
	}
}

func ofPerson(t *testing.T, s websession.Store) {
	first, second, other, elsewhere := record("first"), record("second"), record("other"), record("elsewhere")
	second.Created = epoch.Add(time.Second)
	other.Actor.Subject = "bob"
	elsewhere.Actor.Issuer = "https://login.example/"
	put(t, s, first, second, other, elsewhere)
	if got := ids(t, s, first.Actor); got != "second first" {
		t.Errorf("alice has %q", got)
	}
	if got := ids(t, s, identity.Actor{Subject: "alice"}); got != "" {
		t.Errorf("an alice of no issuer has %q", got)
	}
}

func ids(t *testing.T, s websession.Store, a identity.Actor) string {
	t.Helper()
	records, err := s.OfPerson(t.Context(), a.Issuer, a.Subject)
	must(t, err)
	var names []string
	for _, r := range records {
		names = append(names, string(r.ID))
	}
	return strings.Join(names, " ")
}

func many(t *testing.T, s websession.Store) {
	for i := range websession.MaxOfPerson + 1 {
		r := record(fmt.Sprint(i))
		r.Created = epoch.Add(time.Duration(i) * time.Second)
		put(t, s, r)
	}
	records, err := s.OfPerson(t.Context(), "https://login.example", "alice")
	must(t, err)
	if len(records) != websession.MaxOfPerson || records[0].ID != websession.ID(fmt.Sprint(websession.MaxOfPerson)) {
		t.Errorf("%d records, the first %s", len(records), records[0].ID)
	}
}

func claim(t *testing.T, s websession.Store) {
	put(t, s, record("one"))
	claims := func(id websession.ID, now time.Time) bool {
		t.Helper()
		ok, err := s.Claim(t.Context(), id, now, now.Add(time.Minute))
		must(t, err)
		return ok
	}
	if claims("none", epoch) {
		t.Error("claimed what is not there")
	}
	if !claims("one", epoch) || claims("one", epoch.Add(59*time.Second)) {
		t.Error("not one claim, or two")
	}
	if !claims("one", epoch.Add(time.Minute)) {
		t.Error("a claim outlasts its time")
	}
	if ok, err := s.Renew(t.Context(), "one", 3, record("one").Actor, nil, time.Time{}); !ok || err != nil {
		t.Errorf("not renewed: %v", err)
	}
	if !claims("one", epoch.Add(61*time.Second)) {
		t.Error("a claim outlasts the renewal")
	}
}

func oneClaims(t *testing.T, s websession.Store) {
	put(t, s, record("one"))
	var wg sync.WaitGroup
	won := make(chan bool, 20)
	for range cap(won) {
		wg.Go(func() {
			ok, err := s.Claim(t.Context(), "one", epoch, epoch.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			won <- ok
		})
	}
	wg.Wait()
	close(won)
	winners := 0
	for ok := range won {
		if ok {
			winners++
		}
	}
	if winners != 1 {
		t.Errorf("%d claimed it", winners)
	}
}

func renew(t *testing.T, s websession.Store) {
	put(t, s, record("one"))
	a := identity.Actor{Issuer: "https://login.example", Subject: "alice", Groups: []string{"new"}}
	ok, err := s.Renew(t.Context(), "one", 3, a, []byte("next"), epoch.Add(time.Hour))
	if must(t, err); !ok {
		t.Fatal("not renewed")
	}
	got, _ := get(t, s, "one")
	if !reflect.DeepEqual(got.Actor, a) || string(got.Renewal) != "next" || !got.Due.Equal(epoch.Add(time.Hour)) || got.Version != 4 || !got.Created.Equal(epoch) {
		t.Errorf("renewed %+v", got)
	}
	if ok, err := s.Renew(t.Context(), "one", 3, a, nil, time.Time{}); ok || err != nil {
		t.Errorf("renewed an old version: %v", err)
	}
	if ok, err := s.Renew(t.Context(), "one", 4, identity.Actor{Issuer: a.Issuer, Subject: "bob"}, nil, time.Time{}); ok || err != nil {
		t.Errorf("renewed as somebody else: %v", err)
	}
	must(t, s.Delete(t.Context(), "one"))
	if ok, err := s.Renew(t.Context(), "one", 4, a, nil, time.Time{}); ok || err != nil {
		t.Errorf("renewed what was logged out: %v", err)
	}
	if _, ok := get(t, s, "one"); ok {
		t.Error("renewing undid a logout")
	}
}

func rotate(t *testing.T, s websession.Store) {
	want := record("one")
	put(t, s, want)
	if ok, err := s.Claim(t.Context(), "one", epoch, epoch.Add(time.Minute)); !ok || err != nil {
		t.Fatalf("not claimed: %v", err)
	}
	if ok, err := s.Rotate(t.Context(), "one", 3, []byte("next")); !ok || err != nil {
		t.Fatalf("not rotated: %v", err)
	}
	want.Renewal, want.Version = []byte("next"), 4
	if got, _ := get(t, s, "one"); !reflect.DeepEqual(got, want) {
		t.Errorf("rotated %+v\nwant    %+v", got, want)
	}
	if ok, err := s.Claim(t.Context(), "one", epoch.Add(time.Second), epoch.Add(time.Minute)); ok || err != nil {
		t.Errorf("rotating ended the claim: %v", err)
	}
	for what, version := range map[string]int64{"an old version": 3, "one to come": 5} {
		if ok, err := s.Rotate(t.Context(), "one", version, nil); ok || err != nil {
			t.Errorf("rotated %s: %v", what, err)
		}
	}
	must(t, s.Delete(t.Context(), "one"))
	if ok, err := s.Rotate(t.Context(), "one", 4, nil); ok || err != nil {
		t.Errorf("rotated what was logged out: %v", err)
	}
}

func remove(t *testing.T, s websession.Store) {
	put(t, s, record("one"), record("two"))
	must(t, s.Delete(t.Context(), "one"))
	if got := ids(t, s, record("").Actor); got != "two" {
		t.Errorf("left: %q", got)
	}
}

func sweep(t *testing.T, s websession.Store) {
	old, idle, good := record("old"), record("idle"), record("good")
	old.Created = epoch.Add(-time.Hour)
	idle.Active = epoch.Add(-time.Minute)
	put(t, s, old, idle, good)
	must(t, s.Sweep(t.Context(), epoch, epoch))
	if got := ids(t, s, good.Actor); got != "good" {
		t.Errorf("left: %q", got)
	}
}

func strange(t *testing.T, s websession.Store) {
	for i, subject := range []string{"", "a'; DROP TABLE logins; --", "line\nbreak", "日本 🚀", strings.Repeat("x", 4096), "%", "Alice"} {
		r := record(fmt.Sprint(i))
		r.Actor.Subject = subject
		put(t, s, r)
		if got := ids(t, s, r.Actor); got != fmt.Sprint(i) {
			t.Errorf("%q has %q", subject, got)
		}
	}
}

// cancelled: an answer that nobody waits for is an error, where there is waiting.
func cancelled(t *testing.T, s websession.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, memory := s.(*websession.Memory); memory {
		return
	}
	if _, _, err := s.Get(ctx, "one"); err == nil {
		t.Error("an answer after the caller has gone")
	}
}
