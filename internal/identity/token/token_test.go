package token

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/quota"
)

const day = 24 * time.Hour

var alice = identity.Actor{Issuer: "https://login.example", Subject: "alice", Email: "alice@example.com", Name: "al", Groups: []string{"sre"}}

// rig is a keeper whose policy lets nobody of the group "gone" in, and makes
// those of "root" administrators.
type rig struct {
	*Keeper
	t     *testing.T
	store *Memory
	audit *trail
	log   strings.Builder
}

type trail struct {
	mu     sync.Mutex
	events []audit.Event
	broken error
}

func (tr *trail) Emit(_ context.Context, e audit.Event) error {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.broken == nil {
		tr.events = append(tr.events, e)
	}
	return tr.broken
}

func newRig(t *testing.T, change ...func(*Limits)) *rig {
	t.Helper()
	r := &rig{t: t, store: NewMemory(100), audit: &trail{}}
	l := Limits{Enabled: true, MaxLifetime: 90 * day, OwnerSeen: 30 * day, MaxPerPerson: 3}
	for _, c := range change {
		c(&l)
	}
	r.Keeper = New(Options{Store: r.store, Limits: l, Admit: admit, Audit: r.audit, Log: slog.New(slog.NewTextHandler(&r.log, nil))})
	r.see(alice)
	return r
}

func admit(a identity.Actor) (identity.Actor, error) {
	if slices.Contains(a.Groups, "gone") {
		return identity.Actor{}, fault.New(fault.Forbidden, "t", "You are in none of the groups.")
	}
	a.Admin = slices.Contains(a.Groups, "root")
	a.AuditAll = a.Admin
	a.As = identity.Impersonation{User: a.Name, Groups: a.Groups}
	return a, nil
}

func (r *rig) see(a identity.Actor) {
	r.t.Helper()
	if err := r.See(r.t.Context(), a); err != nil {
		r.t.Fatal(err)
	}
}

func wish(name string, scopes ...Scope) Wish {
	if len(scopes) == 0 {
		scopes = []Scope{Read}
	}
	return Wish{Name: name, Scopes: scopes, Lifetime: 30 * day}
}

func (r *rig) make(a identity.Actor, w Wish) (Token, Secret) {
	r.t.Helper()
	t, s, err := r.Create(r.t.Context(), a, "req1", w)
	if err != nil {
		r.t.Fatal(err)
	}
	return t, s
}

func bearing(s Secret) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+s.Reveal())
	return r
}

// refused wants a refusal of that kind and returns its sentence.
func (r *rig) notIn(s Secret, kind fault.Kind) string {
	r.t.Helper()
	a, _, err := r.FromRequest(bearing(s), "req9")
	if err == nil || fault.KindOf(err) != kind {
		r.t.Fatalf("let in as %+v, or refused otherwise: %v", a, err)
	}
	return fault.PublicOf(err)
}

func TestATokenActsAsItsOwner(t *testing.T) {
	r := newRig(t)
	made, secret := r.make(alice, Wish{Name: "ci", Scopes: []Scope{Exec, Read, Exec}, Clusters: []string{"test", "prod", "test"}, Lifetime: 30 * day})
	a, got, err := r.FromRequest(bearing(secret), "req2")
	if err != nil {
		t.Fatal(err)
	}
	if !a.Same(alice) || a.Email != alice.Email || a.Token != string(made.ID) || a.As.User != "al" || !a.Expires.Equal(made.Expires) {
		t.Errorf("acts as %+v", a)
	}
	if !got.Has(Read) || !got.Has(Exec) || got.Has(Admin) || len(got.Scopes) != 2 || !got.Reaches("test") || got.Reaches("dev") || len(got.Clusters) != 2 {
		t.Errorf("may %+v", got)
	}
	if strings.Contains(r.log.String(), secret.Reveal()) {
		t.Error("the log has the secret")
	}
	held, err := r.List(t.Context(), alice, false)
	if err != nil || len(held) != 1 || held[0].Token.Used.IsZero() || len(made.ID) != IDSize {
		t.Errorf("listed %+v, %v", held, err)
	}
}

// TestGroupsAreTheNewest: a token has no more rights than its owner has now, and
// none where the login provider has said that they are gone.
func TestGroupsAreTheNewest(t *testing.T) {
	r := newRig(t)
	_, secret := r.make(alice, wish("ci"))
	moved := alice
	moved.Groups = []string{"payments"}
	r.see(moved)
	if a, _, err := r.FromRequest(bearing(secret), ""); err != nil || !slices.Equal(a.As.Groups, []string{"payments"}) {
		t.Errorf("acts as %+v, %v", a, err)
	}
	moved.Groups = []string{"gone"}
	r.see(moved)
	if said := r.notIn(secret, fault.Forbidden); said != "You are in none of the groups." {
		t.Errorf("said %q", said)
	}
}

func TestAdminIsTheScopeAndThePerson(t *testing.T) {
	r := newRig(t)
	root := alice
	root.Groups, root.Admin = []string{"root"}, true
	r.see(root)
	_, plain := r.make(root, wish("plain", Read, Exec))
	_, admin := r.make(root, wish("admin", Admin))
	for s, want := range map[Secret]bool{plain: false, admin: true} {
		if a, _, err := r.FromRequest(bearing(s), ""); err != nil || a.Admin != want || a.AuditAll != want {
			t.Errorf("admin %v, of audit %v, want %v (%v)", a.Admin, a.AuditAll, want, err)
		}
	}
	r.see(alice) // in that group no more
	if a, _, err := r.FromRequest(bearing(admin), ""); err != nil || a.Admin {
		t.Errorf("still an administrator: %v", err)
	}
	if _, _, err := r.Create(t.Context(), alice, "", wish("more", Admin)); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("a token with more than its owner has: %v", err)
	}
}

// TestBadTokensAreAnsweredAlike gives each wrong token the same answer, and the
// log the reason.
func TestBadTokensAreAnsweredAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		gone, revoked := r.make(alice, wish("revoked"))
		_, expired := r.make(alice, Wish{Name: "short", Scopes: []Scope{Read}, Lifetime: time.Minute})
		if err := r.Revoke(t.Context(), alice, "", gone.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		said := map[string]bool{}
		for why, s := range map[error]Secret{
			errRevoked: revoked, errExpired: expired, errUnknown: newSecret(), errPrefix: {"x"}, errLength: {Prefix + "x"},
		} {
			r.log.Reset()
			said[r.notIn(s, fault.Unauthenticated)] = true
			if line := r.log.String(); !strings.Contains(line, why.Error()) || !strings.Contains(line, "requestId=req9") {
				t.Errorf("the log says %q, want %v", line, why)
			}
		}
		if len(said) != 1 {
			t.Errorf("the answers differ: %v", said)
		}
	})
}

// TestAFloodOfBadTokens leaves the log readable, and a token of somebody's in it, with
// how often it was tried and from where.
func TestAFloodOfBadTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		made, secret := r.make(alice, wish("ci"))
		if err := r.Revoke(t.Context(), alice, "", made.ID); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			r.notIn(newSecret(), fault.Unauthenticated)
		}
		for range 1000 {
			r.notIn(secret, fault.Unauthenticated)
		}
		thief := bearing(secret)
		thief = thief.WithContext(audit.WithSource(thief.Context(), audit.Source{Address: "203.0.113.66"}))
		if _, _, err := r.FromRequest(thief, "req9"); fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Minute)
		r.notIn(secret, fault.Unauthenticated)
		if n := strings.Count(r.log.String(), "it is unknown"); n < 1 || n > 30 {
			t.Errorf("%d lines of strangers", n)
		}
		if n := strings.Count(r.log.String(), string(made.ID)); n != quota.First+2 || !strings.Contains(r.log.String(), "unlogged=990") || !strings.Contains(r.log.String(), "203.0.113.66") {
			t.Errorf("%d lines of a token that was revoked: %s", n, r.log.String())
		}
	})
}

// TestAnOwnerMustHaveBeenSeen: nobody can tell whether somebody who never comes
// still may.
func TestAnOwnerMustHaveBeenSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		_, secret := r.make(alice, Wish{Name: "ci", Scopes: []Scope{Read}, Lifetime: 60 * day})
		time.Sleep(30*day - time.Second)
		if _, _, err := r.FromRequest(bearing(secret), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if said := r.notIn(secret, fault.Unauthenticated); !strings.Contains(said, "Log in to this server in a browser once") {
			t.Errorf("said %q", said)
		}
		r.see(alice)
		if _, _, err := r.FromRequest(bearing(secret), ""); err != nil {
			t.Errorf("seen again: %v", err)
		}
	})
}

// TestAnOwnerSeenAYearAhead was seen by a clock that was wrong, which tells nothing
// of when; what is said of them now counts at once.
func TestAnOwnerSeenAYearAhead(t *testing.T) {
	r := newRig(t)
	_, secret := r.make(alice, wish("ci"))
	at := func(ahead time.Duration, groups ...string) {
		t.Helper()
		p := Person{Issuer: alice.Issuer, Subject: alice.Subject, Name: alice.Name, Groups: groups, Seen: time.Now().Add(ahead)}
		if err := r.store.See(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	at(time.Minute, "sre")
	if _, _, err := r.FromRequest(bearing(secret), ""); err != nil {
		t.Errorf("another process is a minute ahead: %v", err)
	}
	at(365*day, "sre")
	if said := r.notIn(secret, fault.Unauthenticated); !strings.Contains(said, "Log in to this server in a browser once") {
		t.Errorf("said %q", said)
	}
	without := alice
	without.Groups = nil
	r.see(without)
	if a, _, err := r.FromRequest(bearing(secret), ""); err != nil || len(a.Groups) != 0 {
		t.Errorf("seen again: in %v, %v", a.Groups, err)
	}
}

// TestStricterLimitsHoldForOldTokens: what was made under other settings is bound
// by those of now.
func TestStricterLimitsHoldForOldTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(l *Limits) { l.NoExpiry, l.OwnerSeen = true, 1000*day })
		forever, one := r.make(alice, Wish{Name: "forever", Scopes: []Scope{Read}})
		_, two := r.make(alice, Wish{Name: "long", Scopes: []Scope{Read}, Lifetime: 80 * day})
		if !forever.Expires.IsZero() || !r.Expires(forever).IsZero() {
			t.Errorf("expires %v", forever.Expires)
		}
		r.o.Limits.NoExpiry, r.o.Limits.MaxLifetime = false, 10*day
		if !r.Expires(forever).Equal(forever.Created.Add(10 * day)) {
			t.Errorf("expires %v", r.Expires(forever))
		}
		time.Sleep(10 * day)
		r.notIn(one, fault.Unauthenticated)
		r.notIn(two, fault.Unauthenticated)
		r.o.Limits.NoExpiry, r.o.Limits.Enabled = true, false
		r.notIn(one, fault.Unauthenticated)
	})
}

func TestWishes(t *testing.T) {
	r := newRig(t)
	many := make([]string, maxClusters+1)
	for i := range many {
		many[i] = "c"
	}
	for name, w := range map[string]Wish{
		"no name":          wish(""),
		"a blank":          wish(" ci"),
		"a line end":       wish("a\nb"),
		"too long":         wish(strings.Repeat("é", maxName+1)),
		"no text":          wish("\xff"),
		"direction marks":  wish("a\u202eb"),
		"no scope":         {Name: "a", Lifetime: day},
		"another scope":    wish("a", "write"),
		"for ever":         {Name: "a", Scopes: []Scope{Read}},
		"too long a life":  {Name: "a", Scopes: []Scope{Read}, Lifetime: 90*day + 1},
		"no life":          {Name: "a", Scopes: []Scope{Read}, Lifetime: -1},
		"too many cluster": {Name: "a", Scopes: []Scope{Read}, Lifetime: day, Clusters: many},
		"no cluster":       {Name: "a", Scopes: []Scope{Read}, Lifetime: day, Clusters: []string{"../x"}},
	} {
		if _, _, err := r.Create(t.Context(), alice, "", w); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(r.audit.events) != 0 {
		t.Errorf("recorded %+v", r.audit.events)
	}
	r.make(alice, wish(strings.Repeat("é", maxName)))
	r.make(alice, wish("two"))
	if _, _, err := r.Create(t.Context(), alice, "", wish("two")); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.PublicOf(err), "“two”") {
		t.Errorf("two of a name: %v", err)
	}
	r.make(alice, wish("three"))
	if _, _, err := r.Create(t.Context(), alice, "", wish("four")); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.PublicOf(err), "3 tokens") {
		t.Errorf("too many: %v", err)
	}
	if _, _, err := r.Create(t.Context(), identity.Actor{Issuer: "i", Subject: "new"}, "", wish("a")); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("of nobody: %v", err)
	}
	r.o.Limits.Enabled = false
	if _, _, err := r.Create(t.Context(), alice, "", wish("a")); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("switched off: %v", err)
	}
}

// TestATokenMakesNoToken: nor does it list or end any.
func TestATokenMakesNoToken(t *testing.T) {
	r := newRig(t)
	made, secret := r.make(alice, wish("ci", Read, Exec))
	a, _, err := r.FromRequest(bearing(secret), "")
	if err != nil {
		t.Fatal(err)
	}
	_, _, create := r.Create(t.Context(), a, "", wish("more"))
	_, list := r.List(t.Context(), a, false)
	_, all := r.RevokeAll(t.Context(), a, "")
	for what, err := range map[string]error{"create": create, "list": list, "all": all, "one": r.Revoke(t.Context(), a, "", made.ID)} {
		if fault.KindOf(err) != fault.Forbidden || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestATokenEndsItselfAlone: that is how a command line logs out.
func TestATokenEndsItselfAlone(t *testing.T) {
	r := newRig(t)
	other, kept := r.make(alice, wish("other"))
	made, secret := r.make(alice, wish("cli", Read, Exec))
	a, _, err := r.FromRequest(bearing(secret), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []ID{other.ID, "", "unknown"} {
		if err := r.RevokeItself(t.Context(), a, "", id); fault.KindOf(err) != fault.NotFound {
			t.Errorf("it ends %q: %v", id, err)
		}
	}
	if err := r.RevokeItself(t.Context(), alice, "", made.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a browser by this way: %v", err)
	}
	if err := r.RevokeItself(t.Context(), a, "", made.ID); err != nil {
		t.Fatal(err)
	}
	r.notIn(secret, fault.Unauthenticated)
	if _, _, err := r.FromRequest(bearing(kept), ""); err != nil {
		t.Errorf("the other: %v", err)
	}
}

func TestWhoRevokesWhat(t *testing.T) {
	r := newRig(t)
	bob, root := alice, alice
	bob.Subject, root.Subject, root.Admin = "bob", "root", true
	one, _ := r.make(alice, wish("one"))
	two, secret := r.make(alice, wish("two"))
	if err := r.Revoke(t.Context(), bob, "", one.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("bob revokes alice's: %v", err)
	}
	if _, err := r.List(t.Context(), bob, true); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("bob sees all: %v", err)
	}
	if held, err := r.List(t.Context(), root, true); len(held) != 2 || err != nil {
		t.Errorf("an administrator sees %v, %v", held, err)
	}
	if err := r.Revoke(t.Context(), root, "", one.ID); err != nil {
		t.Errorf("an administrator: %v", err)
	}
	done := r.Done(two.ID)
	if n, err := r.RevokeAll(t.Context(), alice, ""); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	select {
	case <-done:
	default:
		t.Error("nobody was told")
	}
	r.notIn(secret, fault.Unauthenticated)
	if err := r.Revoke(t.Context(), alice, "", two.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("revoked twice: %v", err)
	}
}

// stubborn keeps one token, and asks nobody who has gone.
type stubborn struct {
	*Memory
	keeps ID
}

func (s *stubborn) OfPerson(ctx context.Context, issuer, subject string) ([]Held, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Memory.OfPerson(ctx, issuer, subject)
}

func (s *stubborn) Revoke(ctx context.Context, id ID, at time.Time) (bool, error) {
	if id == s.keeps {
		<-ctx.Done()
		return false, ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return s.Memory.Revoke(ctx, id, at)
}

// TestATokenThatStaysKeepsNoOther, also where whoever asked for all has hung up, and
// not for ever.
func TestATokenThatStaysKeepsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		kept := &stubborn{Memory: r.store}
		r.o.Store = kept
		_, first := r.make(alice, wish("first"))
		time.Sleep(time.Second)
		stays, held := r.make(alice, wish("stays"))
		time.Sleep(time.Second)
		_, last := r.make(alice, wish("last"))
		kept.keeps = stays.ID
		gone, hangUp := context.WithCancel(t.Context())
		hangUp()
		begun := time.Now()
		n, err := r.RevokeAll(gone, alice, "")
		if n != 2 || fault.KindOf(err) != fault.Internal || !strings.Contains(fault.PublicOf(err), "1 of your tokens could not be revoked") {
			t.Errorf("revoked %d: %v", n, err)
		}
		if took := time.Since(begun); took > revokeAllLimit {
			t.Errorf("took %v", took)
		}
		r.notIn(first, fault.Unauthenticated)
		r.notIn(last, fault.Unauthenticated)
		if _, _, err := r.FromRequest(bearing(held), ""); err != nil {
			t.Errorf("the one that stays: %v", err)
		}
	})
}

// TestNoRecordNoAct: what cannot be recorded does not happen.
func TestNoRecordNoAct(t *testing.T) {
	r := newRig(t)
	made, secret := r.make(alice, wish("ci", Read, Exec))
	r.audit.broken = errors.New("disk full")
	_, _, err := r.Create(t.Context(), alice, "", wish("more"))
	for what, err := range map[string]error{"create": err, "revoke": r.Revoke(t.Context(), alice, "", made.ID)} {
		if fault.KindOf(err) != fault.AuditUnavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	if held, _ := r.List(t.Context(), alice, false); len(held) != 1 {
		t.Errorf("there are %v", held)
	}
	if _, _, err := r.FromRequest(bearing(secret), ""); err != nil {
		t.Errorf("was revoked: %v", err)
	}
	r.audit.broken = nil
	if err := r.Revoke(t.Context(), alice, "req7", made.ID); err != nil {
		t.Fatal(err)
	}
	if len(r.audit.events) != 4 {
		t.Fatalf("recorded %+v", r.audit.events)
	}
	for i, want := range []struct {
		verb    string
		stage   audit.Stage
		outcome audit.Outcome
		request string
	}{
		{audit.TokenCreate, audit.Requested, "", "req1"}, {audit.TokenCreate, audit.Completed, audit.Success, "req1"},
		{audit.TokenRevoke, audit.Requested, "", "req7"}, {audit.TokenRevoke, audit.Completed, audit.Success, "req7"},
	} {
		e := r.audit.events[i]
		if e.Verb != want.verb || e.Stage != want.stage || e.Outcome != want.outcome || e.RequestID != want.request || e.Extra["token_id"] != made.ID ||
			e.EventID != r.audit.events[i/2*2].EventID || e.Actor.Sub != "alice" || e.Extra["token_name"] != "ci" {
			t.Errorf("event %d is %+v", i, e)
		}
	}
}

// TestShellsHearOfTheEnd: by time, and of what another process or the login
// provider has ended.
func TestShellsHearOfTheEnd(t *testing.T) {
	for name, end := range map[string]func(*rig, Token){
		"ran out":          func(*rig, Token) { time.Sleep(30 * day) },
		"revoked":          func(r *rig, one Token) { _ = r.Revoke(r.t.Context(), alice, "", one.ID) },
		"in another place": func(r *rig, one Token) { _, _ = r.store.Revoke(r.t.Context(), one.ID, time.Now()) },
		"let in no more": func(r *rig, _ Token) {
			gone := alice
			gone.Groups = []string{"gone"}
			r.see(gone)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(l *Limits) { l.OwnerSeen = 1000 * day })
				one, _ := r.make(alice, wish("one"))
				bob := alice
				bob.Subject = "bob"
				r.see(bob)
				two, _ := r.make(bob, Wish{Name: "two", Scopes: []Scope{Read}, Lifetime: 90 * day})
				ctx, cancel := context.WithCancel(t.Context())
				ran := make(chan error, 1)
				go func() { ran <- r.Run(ctx) }()
				ended, held := r.Done(one.ID), r.Done(two.ID)
				time.Sleep(2 * sweepEvery)
				select {
				case <-ended:
					t.Fatal("ended at once")
				default:
				}
				end(r, one)
				time.Sleep(sweepEvery)
				synctest.Wait()
				select {
				case <-ended:
				default:
					t.Error("not told")
				}
				select {
				case <-held:
					t.Error("another's was told too")
				default:
				}
				cancel()
				if err := <-ran; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestUseIsWrittenOnceAMinute: a script that asks a thousand times costs one write.
func TestUseIsWrittenOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		made, secret := r.make(alice, wish("ci"))
		used := func() time.Time {
			held, _, _ := r.store.ByID(t.Context(), made.ID)
			return held.Token.Used
		}
		first := time.Now()
		for range 59 {
			if _, _, err := r.FromRequest(bearing(secret), ""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if !used().Equal(first) {
			t.Errorf("used %v, want %v", used(), first)
		}
		time.Sleep(time.Second)
		if _, _, err := r.FromRequest(bearing(secret), ""); err != nil || !used().Equal(first.Add(time.Minute)) {
			t.Errorf("used %v, want a minute later (%v)", used(), err)
		}
	})
}

// TestMemoryIsBounded forgets whom nobody saw for longest.
func TestMemoryIsBounded(t *testing.T) {
	m := NewMemory(2)
	for i, name := range []string{"a", "b", "c"} {
		if err := m.See(t.Context(), Person{Subject: name, Seen: time.Unix(int64(i+1), 0)}); err != nil {
			t.Fatal(err)
		}
		if err := m.Add(t.Context(), Token{ID: ID(name), Subject: name}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if all, _ := m.All(t.Context()); len(all) != 2 || len(m.people) != 2 {
		t.Errorf("holds %v", all)
	}
}
