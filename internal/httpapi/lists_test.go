package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

// crowd lets everybody in by their name.
type crowd struct{ logins }

func (crowd) FromRequest(r *http.Request) (identity.Actor, websession.ID, error) {
	name := r.Header.Get("X-Name")
	return identity.Actor{Issuer: "t", Subject: name, As: identity.Impersonation{User: name}}, "id", nil
}

// slow is a cluster that begins its answers when answers is closed, and ends them when
// ends is. It counts what it was asked, and what is read of it.
type slow struct {
	answers, ends chan struct{}
	cfg           *rest.Config
	asked, read   atomic.Int64
}

func newSlow() *slow {
	s := &slow{answers: make(chan struct{}), ends: make(chan struct{})}
	s.cfg = &rest.Config{Host: "http://slow", Transport: s}
	return s
}

func (s *slow) Config(context.Context) (*rest.Config, error) { return s.cfg, nil }

func (s *slow) Close() error { return nil }

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked.Add(1)
	if err := until(r.Context(), s.answers); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(&slowBody{r.Context(), s, strings.NewReader(`{"kind":"PodList","apiVersion":"v1"}`), sync.Once{}}),
	}, nil
}

type slowBody struct {
	ctx  context.Context
	from *slow
	rest *strings.Reader
	once sync.Once
}

func (b *slowBody) Read(p []byte) (int, error) {
	b.once.Do(func() { b.from.read.Add(1) })
	if err := until(b.ctx, b.from.ends); err != nil {
		return 0, err
	}
	return b.rest.Read(p)
}

func until(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hall is a server of clusters, with everybody who asks it for lists.
type hall struct {
	http.Handler
	t        *testing.T
	one, two *slow
	others   map[string]*slow // that do not answer
}

func newHall(t *testing.T) *hall {
	h := &hall{t: t, one: newSlow(), two: newSlow(), others: map[string]*slow{}}
	rows := []config.Cluster{{Name: "one", Backend: "slow"}, {Name: "two", Backend: "slow"}}
	all := map[string]*slow{"one": h.one, "two": h.two}
	for i := range listsOfAll / listsShare {
		name := fmt.Sprint("other-", i)
		rows = append(rows, config.Cluster{Name: name, Backend: "slow"})
		h.others[name] = newSlow()
		all[name] = h.others[name]
	}
	every, err := clusters.New(rows, map[config.BackendKind]clusters.Opener{"slow": func(c config.Cluster) (clusters.Backend, error) {
		return all[c.Name], nil
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h.Handler = newHandlerWith(t, func(o *Options) { o.Clusters, o.Logins = every, crowd{} })
	return h
}

// listed is how a list was answered.
type listed struct {
	status         int
	Error, Message string
	after          time.Duration
}

func (h *hall) list(who, cluster string) <-chan listed {
	answer := make(chan listed, 1)
	begun := time.Now()
	go func() {
		resp := do(h.t, h, ask{path: "/api/clusters/" + cluster + "/pods?limit=1000", header: map[string]string{"X-Name": who}})
		var l listed
		if err := json.NewDecoder(resp.Body).Decode(&l); err != nil {
			h.t.Error(err)
		}
		l.status, l.after = resp.StatusCode, time.Since(begun)
		answer <- l
	}()
	return answer
}

// TestListsOfOneWaitTheirTurn: a token asks for a hundred at once, and gets them all
// where they come soon, a few at a time; nobody else waits for that.
func TestListsOfOneWaitTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		var hers []<-chan listed
		for range 100 {
			hers = append(hers, h.list("ada", "one"))
		}
		synctest.Wait()
		if n := h.one.asked.Load(); n != listsOfOne {
			t.Errorf("%d lists were asked for at once", n)
		}
		close(h.two.answers)
		close(h.two.ends)
		if l := <-h.list("bob", "two"); l.status != http.StatusOK || l.after != 0 {
			t.Errorf("somebody else: %+v", l)
		}
		close(h.one.answers)
		close(h.one.ends)
		for _, answer := range hers {
			if l := <-answer; l.status != http.StatusOK {
				t.Errorf("%+v", l)
			}
		}
	})
}

// TestListsThatDoNotEndRefuseMore, in time and in words.
func TestListsThatDoNotEndRefuseMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		for range listsOfOne {
			h.list("ada", "one")
		}
		synctest.Wait()
		close(h.two.answers)
		close(h.two.ends)
		if l := <-h.list("ada", "two"); l.status != http.StatusOK || l.after != 0 {
			t.Errorf("of another cluster: %+v", l)
		}
		l := <-h.list("ada", "one")
		if l.status != http.StatusTooManyRequests || l.Error != "E_RATE_LIMITED" || l.after != listWait || !strings.Contains(l.Message, "more than 8 lists at once") {
			t.Errorf("%+v", l)
		}
		time.Sleep(callTime)
	})
}

// TestListsOfAllAreBounded where they are read: a cluster that does not answer keeps
// nobody from the lists of another.
func TestListsOfAllAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		for i := range 2 * listsOfAll {
			h.list(fmt.Sprint("waits", i), "two")
		}
		close(h.one.answers)
		close(h.one.ends)
		for name, other := range h.others {
			close(other.answers)
			for i := range listsShare {
				h.list(fmt.Sprint("reads", name, i), name)
			}
		}
		synctest.Wait()
		late := h.list("ada", "one")
		synctest.Wait()
		if asked, read := h.one.asked.Load(), h.one.read.Load(); asked != 1 || read != 0 {
			t.Errorf("%d lists were asked for, %d are read beside all", asked, read)
		}
		if l := <-late; l.status != http.StatusTooManyRequests || l.after != listWait || !strings.Contains(l.Message, "as many lists as it has room for") {
			t.Errorf("%+v", l)
		}
		for _, other := range h.others {
			close(other.ends)
		}
		synctest.Wait()
		if l := <-h.list("ada", "one"); l.status != http.StatusOK || l.after != 0 {
			t.Errorf("once there is room: %+v", l)
		}
		time.Sleep(callTime)
	})
}

// TestNoClusterHasAllLists: one that stops in the middle of its answers keeps nobody
// from those of another.
func TestNoClusterHasAllLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		close(h.two.answers)
		for i := range 2 * listsOfAll {
			h.list(fmt.Sprint("reads", i), "two")
		}
		synctest.Wait()
		if n := h.two.read.Load(); n != listsShare {
			t.Errorf("%d lists of one cluster are read at once", n)
		}
		close(h.one.answers)
		close(h.one.ends)
		if l := <-h.list("ada", "one"); l.status != http.StatusOK || l.after != 0 {
			t.Errorf("of another cluster: %+v", l)
		}
		time.Sleep(callTime)
	})
}

// TestNobodyHasAllLists: a person who asks all clusters keeps nobody from theirs.
func TestNobodyHasAllLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		for name, other := range h.others {
			close(other.answers)
			for range listsOfOne {
				h.list("ada", name)
			}
		}
		synctest.Wait()
		var read int64
		for _, other := range h.others {
			read += other.read.Load()
		}
		if read != listsShare {
			t.Errorf("%d lists are read for one person at once", read)
		}
		close(h.one.answers)
		close(h.one.ends)
		if l := <-h.list("bob", "one"); l.status != http.StatusOK || l.after != 0 {
			t.Errorf("somebody else: %+v", l)
		}
		time.Sleep(callTime)
	})
}

// TestTurnsAreForgotten with whoever took them.
func TestTurnsAreForgotten(t *testing.T) {
	l := newLists()
	given, cancel := context.WithCancel(t.Context())
	cancel()
	for range listsOfOne + 1 {
		_, leave, err := l.enter(t.Context(), ada, "one")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.enter(given, bob, "one"); err == nil {
			t.Error("whoever is gone has a turn")
		}
		leave()
	}
	if len(l.of) != 0 {
		t.Errorf("%v", l.of)
	}
}
