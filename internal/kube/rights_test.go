package kube

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

// judge answers reviews and counts them.
type judge struct {
	asked  atomic.Int64
	answer atomic.Pointer[func() (int, any)]
}

func (j *judge) say(status int, body any) {
	f := func() (int, any) { return status, body }
	j.answer.Store(&f)
}

// judged is a client of one cluster, as imp.
func judged(t *testing.T, j *judge, cluster string) func(identity.Impersonation) *Client {
	t.Helper()
	c := review(t, func(map[string]string) (int, any) {
		j.asked.Add(1)
		return (*j.answer.Load())()
	})
	return func(imp identity.Impersonation) *Client {
		as := *c
		as.cluster, as.as = cluster, imp
		return &as
	}
}

var (
	yes       = allowed(true, "")
	no        = allowed(false, "no rule")
	mayExec   = []Check{{Verb: "create", Resource: "pods/exec", Namespace: "shop"}}
	ada       = identity.Actor{Issuer: "https://login", Subject: "ada"}
	breakdown = metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: 503}
)

func one(t *testing.T, r *Rights, c *Client, who identity.Actor) bool {
	t.Helper()
	got, err := r.CanI(t.Context(), c, who, mayExec)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	return got[0].Allowed
}

// TestRightsAreOnesOwn: whoever differs in one part of an identity, however the
// parts may read when joined, is never told another's answer.
func TestRightsAreOnesOwn(t *testing.T) {
	type somebody struct {
		cluster string
		who     identity.Actor
		as      identity.Impersonation
	}
	of := func(change func(*somebody)) somebody {
		s := somebody{"prod", ada, identity.Impersonation{User: "ada", Groups: []string{"a", "b"}}}
		change(&s)
		return s
	}
	groups := func(g ...string) func(*somebody) { return func(s *somebody) { s.as.Groups = g } }
	all := []somebody{
		of(func(*somebody) {}),
		of(func(s *somebody) { s.cluster = "test" }),
		of(func(s *somebody) { s.who.Issuer = "https://other" }),
		of(func(s *somebody) { s.who.Issuer, s.who.Subject = "https://logina", "da" }),
		of(func(s *somebody) { s.who.Subject = "bob" }),
		of(func(s *somebody) { s.who.Tier = "admin" }),
		of(func(s *somebody) { s.as.User = "bob" }),
		of(func(s *somebody) { s.as.User = "" }),
		of(func(s *somebody) { s.as = identity.Impersonation{None: true} }),
		of(func(s *somebody) { s.as.Subject = "ada" }),
		of(func(s *somebody) { s.as = identity.Impersonation{None: true, Subject: "bob"} }),
		of(groups()), of(groups("a")), of(groups("b", "a")), of(groups("ab")), of(groups("a,b")), of(groups("a", "b", "")),
		of(groups("", "a", "b")), of(groups("a\x00b")), of(groups("a b")), of(groups(`a","b`)), of(groups("a\xff", "b")), of(groups("a\xfe", "b")),
	}
	j := &judge{}
	r := NewRights(time.Now)
	for i, s := range all {
		want := i%2 == 0
		j.say(http.StatusCreated, map[bool]any{true: yes, false: no}[want])
		if got := one(t, r, judged(t, j, s.cluster)(s.as), s.who); got != want || j.asked.Load() != int64(i+1) {
			t.Errorf("%+v was told %v after %d questions", s, got, j.asked.Load())
		}
	}
	j.say(http.StatusServiceUnavailable, breakdown)
	for i, s := range all {
		if got := one(t, r, judged(t, j, s.cluster)(s.as), s.who); got != (i%2 == 0) {
			t.Errorf("%+v is told %v from memory", s, got)
		}
	}
}

func TestRightsAskOnceAndForget(t *testing.T) {
	j := &judge{}
	now := time.Now()
	r := NewRights(func() time.Time { return now })
	c := judged(t, j, "prod")(alice)
	j.say(http.StatusCreated, yes)
	for range 5 {
		if !one(t, r, c, ada) {
			t.Error("not allowed")
		}
	}
	if n := j.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	j.say(http.StatusCreated, no)
	now = now.Add(rightsFresh)
	if one(t, r, c, ada) || j.asked.Load() != 2 {
		t.Errorf("a right that was taken away is told after %v", rightsFresh)
	}
	if got, err := CanI(t.Context(), c, mayExec); err != nil || got[0].Allowed || j.asked.Load() != 3 {
		t.Error("CanI asks nobody")
	}
}

func TestRightsRememberNoError(t *testing.T) {
	j := &judge{}
	r := NewRights(time.Now)
	c := judged(t, j, "prod")(alice)
	for name, trouble := range map[string]any{
		"down":      breakdown,
		"undecided": map[string]any{"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": map[string]any{"evaluationError": "webhook"}},
	} {
		status := http.StatusCreated
		if name == "down" {
			status = http.StatusServiceUnavailable
		}
		j.say(status, trouble)
		if got, err := r.CanI(t.Context(), c, ada, mayExec); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	j.say(http.StatusCreated, yes)
	if !one(t, r, c, ada) {
		t.Error("an error was remembered")
	}
}

// TestRightsOfOneFlight has many ask at the same time; and then the one who asks
// go away while others wait.
func TestRightsOfOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRights(time.Now)
		q := question{subject: "ada", check: mayExec[0]}
		var asked atomic.Int64
		answers := make(chan Decision)
		ask := func(ctx context.Context) (Decision, error) {
			asked.Add(1)
			select {
			case d := <-answers:
				return d, nil
			case <-ctx.Done():
				return Decision{}, ctx.Err()
			}
		}
		first, leave := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := r.decide(first, q, ask)
			gone <- err
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if d, err := r.decide(t.Context(), q, ask); err != nil || !d.Allowed {
					t.Errorf("%+v, %v", d, err)
				}
			})
		}
		impatient, stop := context.WithCancel(t.Context())
		stop()
		if _, err := r.decide(impatient, q, ask); fault.KindOf(err) != fault.Timeout {
			t.Errorf("who waits no longer hears %v", err)
		}
		synctest.Wait()
		if asked.Load() != 1 {
			t.Errorf("%d asked at the same time", asked.Load())
		}
		leave()
		if err := <-gone; err == nil {
			t.Error("the one who left was answered")
		}
		synctest.Wait()
		answers <- Decision{Allowed: true}
		wg.Wait()
		if asked.Load() != 2 || len(r.flights) != 0 {
			t.Errorf("%d asked, %d still ask", asked.Load(), len(r.flights))
		}
	})
}

// TestRightsAreBounded asks about more than is held.
func TestRightsAreBounded(t *testing.T) {
	r := NewRights(time.Now)
	r.held = 100
	yes := func(context.Context) (Decision, error) { return Decision{Allowed: true}, nil }
	for i := range 10_000 {
		q := question{subject: "ada", check: Check{Name: fmt.Sprint(i)}}
		if _, err := r.decide(t.Context(), q, yes); err != nil {
			t.Fatal(err)
		}
		if n := len(r.young) + len(r.old); n > 2*r.held {
			t.Fatalf("%d answers are held", n)
		}
	}
	last := question{subject: "ada", check: Check{Name: "9999"}}
	if known, _, _ := r.join(last); known == nil {
		t.Error("the newest answer was forgotten")
	}
}

// TestRightsOfManyAtOnce is for the race detector.
func TestRightsOfManyAtOnce(t *testing.T) {
	r := NewRights(time.Now)
	r.held = 10
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for i := range 500 {
				allowed := slices.Contains([]int{1, 2, 3}, i%7)
				q := question{subject: fmt.Sprint(worker % 4), check: Check{Name: fmt.Sprint(i % 7)}}
				d, err := r.decide(t.Context(), q, func(context.Context) (Decision, error) { return Decision{Allowed: allowed}, nil })
				if err != nil || d.Allowed != allowed {
					t.Errorf("%+v: %+v, %v", q, d, err)
				}
			}
		})
	}
	wg.Wait()
}
