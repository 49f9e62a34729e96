package hub_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/leak"
	"github.com/periscope-console/periscope/internal/tunnel"
	"github.com/periscope-console/periscope/internal/tunnel/agent"
	"github.com/periscope-console/periscope/internal/tunnel/hub"
	"github.com/periscope-console/periscope/internal/tunnel/line"
	"github.com/periscope-console/periscope/internal/tunnel/tunneltest"
)

func TestMain(m *testing.M) { leak.Main(m) }

// says is a cluster that answers every request with who it is, and holds those for
// /hold until they are given up.
func says(who string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, who)
		if r.URL.Path == "/hold" {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	})
}

// served runs an agent whose cluster is h, and waits for its link.
func served(t *testing.T, r *tunneltest.Rig, cluster string, h http.Handler) *tunneltest.Agent {
	t.Helper()
	o := r.Enrolled(t, cluster)
	o.Proxy = h
	return r.Linked(t, o)
}

// through is an HTTP client whose connections are streams to the cluster.
func through(t *testing.T, r *tunneltest.Rig, cluster string) *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return r.Hub.Dial(ctx, cluster, tunnel.Interactive)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func get(c *http.Client, path string) (string, error) {
	resp, err := c.Get("http://cluster.invalid" + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func TestClustersAreReachedThroughTheirAgents(t *testing.T) {
	r := tunneltest.Start(t, []string{"east", "west"})
	if _, err := get(through(t, r, "east"), "/"); !errors.Is(err, hub.ErrAway) {
		t.Errorf("before its agent: %v", err)
	}
	east, _ := served(t, r, "east", says("east")), served(t, r, "west", says("west"))
	for _, cluster := range []string{"east", "west"} {
		if got, err := get(through(t, r, cluster), "/"); got != cluster || err != nil {
			t.Errorf("%s answers %q, %v", cluster, got, err)
		}
	}
	if s := r.Hub.State("east"); s.Version != "test" || !s.Shells || s.Since.IsZero() || east.Ready() != nil {
		t.Errorf("state %+v, ready %v", s, east.Ready())
	}
	if err := east.Stop(t); err != nil {
		t.Errorf("the agent ended with %v", err)
	}
	s := r.Await(t, "east", tunneltest.Is(line.Gone))
	if _, err := get(through(t, r, "east"), "/"); !errors.Is(err, hub.ErrAway) || s.Since.IsZero() {
		t.Errorf("after its agent: %v, %+v", err, s)
	}
}

// TestAStreamSaysThatItsLinkHasEnded, and not that its own peer has.
func TestAStreamSaysThatItsLinkHasEnded(t *testing.T) {
	r := tunneltest.Start(t, []string{"east"})
	a := served(t, r, "east", says("east"))
	resp, err := through(t, r, "east").Get("http://cluster.invalid/hold")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_ = a.Stop(t)
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, hub.ErrLost) {
		t.Errorf("the body ended with %v", err)
	}
}

func TestConnectsAndDisconnectsAreRecorded(t *testing.T) {
	r := tunneltest.Start(t, []string{"east"})
	_ = served(t, r, "east", says("east")).Stop(t)
	r.Await(t, "east", func(s hub.State) bool { return s.Line == line.Gone && len(r.Events(audit.AgentDisconnect)) > 0 })
	on, off := r.Events(audit.AgentConnect), r.Events(audit.AgentDisconnect)
	if len(on) != 1 || len(off) != 1 {
		t.Fatalf("%d connects, %d disconnects", len(on), len(off))
	}
	if on[0].Cluster != "east" || on[0].Actor.Sub != "agent:east" || on[0].Outcome != audit.Success || on[0].Extra["certificate"] == "" {
		t.Errorf("connect %+v", on[0])
	}
	if off[0].Reason != "closed_by_agent" || off[0].Extra["instance"] != on[0].Extra["instance"] || off[0].Extra["certificate"] != on[0].Extra["certificate"] {
		t.Errorf("disconnect %+v", off[0])
	}
}

// TestANewInstanceTakesOver: a rolling update starts the new agent before the old one
// ends, and neither throws the other out again.
func TestANewInstanceTakesOver(t *testing.T) {
	r := tunneltest.Start(t, []string{"east"})
	served(t, r, "east", says("old"))
	o := r.Enrolled(t, "east")
	o.Proxy = says("new")
	second := r.Run(t, o)
	r.Await(t, "east", func(hub.State) bool {
		return len(r.Events(audit.AgentConnect)) == 2 && r.Hub.State("east").Line == line.Connected
	})
	if got, err := get(through(t, r, "east"), "/"); got != "new" || err != nil {
		t.Errorf("answered by %q, %v", got, err)
	}
	r.Await(t, "east", func(hub.State) bool { return len(r.Events(audit.AgentDisconnect)) == 1 })
	if off := r.Events(audit.AgentDisconnect)[0]; off.Reason != "superseded" || second.Ready() != nil {
		t.Errorf("the old one left for %q, the new one is ready: %v", off.Reason, second.Ready())
	}
}

// slow records the first event only once it is let go.
type slow struct {
	audit.Emitter
	begun atomic.Bool
	began chan struct{}
	hold  chan struct{}
}

func (s *slow) Emit(ctx context.Context, e audit.Event) error {
	if !s.begun.Swap(true) {
		close(s.began)
		<-s.hold
	}
	return s.Emitter.Emit(ctx, e)
}

// TestAnAgentThatIsRecordedLate was replaced meanwhile, and leaves the other's seat
// alone.
func TestAnAgentThatIsRecordedLate(t *testing.T) {
	s := &slow{Emitter: audit.NewLines(io.Discard), began: make(chan struct{}), hold: make(chan struct{})}
	r := tunneltest.Start(t, []string{"east"}, tunneltest.Audit(s))
	o := r.Enrolled(t, "east")
	o.Proxy = says("late")
	r.Run(t, o)
	<-s.began
	served(t, r, "east", says("new"))
	close(s.hold)
	r.Await(t, "east", func(hub.State) bool { return strings.Count(r.Log.String(), `"agent.disconnected"`) == 1 })
	if got, err := get(through(t, r, "east"), "/"); got != "new" || err != nil {
		t.Errorf("answered by %q, %v", got, err)
	}
}

func TestRevokingPutsTheAgentOutAtOnce(t *testing.T) {
	r := tunneltest.Start(t, []string{"east", "west"})
	east := served(t, r, "east", says("east"))
	served(t, r, "west", says("west"))
	if err := r.Enrol.Revoke(t.Context(), tunneltest.Admin, "", "east"); err != nil {
		t.Fatal(err)
	}
	r.Await(t, "east", tunneltest.Is(line.Gone))
	r.Await(t, "east", func(hub.State) bool { return strings.Contains(r.Log.String(), "agent.certificate_refused") })
	if east.Ready() == nil || r.Hub.State("west").Line != line.Connected {
		t.Errorf("east is ready: %v, west is %v", east.Ready(), r.Hub.State("west").Line)
	}
	if off := r.Events(audit.AgentDisconnect); len(off) != 1 || off[0].Reason != "revoked" {
		t.Errorf("recorded %+v", off)
	}
}

// TestALinkThatCannotBeRecordedIsNone: what happens over it would be on nobody's list.
func TestALinkThatCannotBeRecordedIsNone(t *testing.T) {
	r := tunneltest.Start(t, []string{"east"}, tunneltest.Audit(broken{}))
	o := r.Enrolled(t, "east")
	o.Proxy = says("east")
	r.Run(t, o)
	r.Await(t, "east", func(s hub.State) bool { return strings.Contains(r.Log.String(), "agent.connect_refused") })
	if s := r.Hub.State("east"); s.Line != line.Gone {
		t.Errorf("the link is %v", s.Line)
	}
}

type broken struct{}

func (broken) Emit(context.Context, audit.Event) error { return errors.New("the disk is full") }

func TestTheAgentSaysWhyItHasNoLink(t *testing.T) {
	r := tunneltest.Start(t, []string{"east"})
	good := r.Enrolled(t, "east")
	for name, c := range map[string]struct {
		change func(*testing.T) (wrong error)
		says   string
	}{
		"a token used twice": {func(t *testing.T) error {
			o := good
			o.Proxy, o.Log = says("east"), slog.New(slog.DiscardHandler)
			if _, err := o.Registration.Register(t.Context()); err != nil {
				return err
			}
			return r.Run(t, o).Wait(t)
		}, "mint a new one"},
		"another cluster's token": {func(t *testing.T) error {
			o := r.Enrolled(t, "east")
			o.Registration.Cluster = "west"
			return r.Run(t, o).Wait(t)
		}, "mint a new one"},
		"another pin": {func(t *testing.T) error {
			o := r.Enrolled(t, "east")
			o.Registration.Pin = "sha256:" + strings.Repeat("0", 64)
			return r.Run(t, o).Wait(t)
		}, "no certificate of the server has the pinned key"},
		"no token": {func(t *testing.T) error {
			o := r.Enrolled(t, "east")
			o.Registration.Token = ""
			return r.Run(t, o).Wait(t)
		}, "PERISCOPE_REGISTRATION_TOKEN"},
		"too long without a link": {func(t *testing.T) error {
			o := r.Enrolled(t, "east")
			o.GiveUp, o.Server = 50*time.Millisecond, nowhere(t, o.Server.Path)
			return r.Run(t, o).Wait(t)
		}, "for too long: The link to the server cannot be made"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.change(t); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// TestCopiedCredentialsAreNotUsed: an agent that was set up from another cluster's
// Secret would be that cluster's, and throw its own agent out.
func TestCopiedCredentialsAreNotUsed(t *testing.T) {
	r := tunneltest.Start(t, []string{"east", "west"})
	o := r.Enrolled(t, "west")
	kept, err := o.Registration.Register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Keeper.Save(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	copied := r.Enrolled(t, "east")
	copied.Keeper, copied.Proxy = o.Keeper, says("east")
	err = r.Run(t, copied).Wait(t)
	if err == nil || !strings.Contains(err.Error(), "cluster west, and this is the agent of cluster east") || !strings.Contains(err.Error(), "token of its own") {
		t.Errorf("it ended with %v", err)
	}
	if on := r.Events(audit.AgentConnect); len(on) > 0 {
		t.Errorf("recorded %+v", on)
	}
	o.Proxy = says("west")
	r.Linked(t, o) // its own agent takes them
}

// nowhere is an address that nobody listens at.
func nowhere(t *testing.T, path string) *url.URL {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return &url.URL{Scheme: "wss", Host: ln.Addr().String(), Path: path}
}

// TestTheAgentRenewsOverItsLink: a certificate of six seconds is due at once, refused
// for three, and then renewed. It ends with a whole second, so there is less time than
// that where it has hardly any.
func TestTheAgentRenewsOverItsLink(t *testing.T) {
	r := tunneltest.Start(t, []string{"east"}, tunneltest.Life(6*time.Second))
	o := r.Enrolled(t, "east")
	o.Proxy = says("east")
	a := r.Linked(t, o)
	before, err := o.Keeper.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Await(t, "east", func(hub.State) bool { return strings.Contains(a.Log.String(), `"msg":"agent.renewed"`) })
	after, err := o.Keeper.Load(t.Context())
	if err != nil || string(after.Certificate) == string(before.Certificate) || string(after.Key) == string(before.Key) {
		t.Errorf("after the renewal the same is kept (%v)", err)
	}
	if renewed := r.Events(audit.AgentRenew); len(renewed) == 0 || renewed[len(renewed)-1].Outcome != audit.Success {
		t.Errorf("recorded %+v", renewed)
	}
}

// forgetful is a keeper that fails where something is to replace what it has, as often
// as it has room.
type forgetful struct {
	agent.Keeper
	failed chan agent.Credentials
}

func (f *forgetful) Save(ctx context.Context, c agent.Credentials) error {
	if _, err := f.Load(ctx); err != nil {
		return f.Keeper.Save(ctx, c) // the registration's
	}
	select {
	case f.failed <- c:
		return errors.New("the disk is full")
	default:
		return f.Keeper.Save(ctx, c)
	}
}

// TestACertificateThatCouldNotBeKept is kept later, and not asked for again, which the
// server would refuse for half of its life.
func TestACertificateThatCouldNotBeKept(t *testing.T) {
	r := tunneltest.Start(t, []string{"east"}, tunneltest.Life(6*time.Second))
	o := r.Enrolled(t, "east")
	keeper := &forgetful{Keeper: o.Keeper, failed: make(chan agent.Credentials, 1)}
	o.Keeper, o.Proxy = keeper, says("east")
	a := r.Linked(t, o)
	r.Await(t, "east", func(hub.State) bool { return strings.Contains(a.Log.String(), `"msg":"agent.renewed"`) })
	if !strings.Contains(a.Log.String(), "cannot be kept: the disk is full") {
		t.Error("the agent does not say that it could not be kept")
	}
	kept, err := keeper.Load(t.Context())
	if failed := <-keeper.failed; err != nil || string(failed.Certificate) != string(kept.Certificate) || string(failed.Key) != string(kept.Key) {
		t.Errorf("another certificate was asked for (%v)", err)
	}
}

// TestACertificateThatIsNeverKept is what the agent shows from the next connection on
// all the same, and in its place it gets the next.
func TestACertificateThatIsNeverKept(t *testing.T) {
	r := tunneltest.Start(t, []string{"east"}, tunneltest.Life(6*time.Second))
	o := r.Enrolled(t, "east")
	network := badnet.Start(t, r.Address)
	o.Server = &url.URL{Scheme: r.URL.Scheme, Host: network.Addr(), Path: r.URL.Path}
	o.Keeper, o.Proxy = &forgetful{Keeper: o.Keeper, failed: make(chan agent.Credentials, 1000)}, says("east")
	a := r.Linked(t, o)
	renewed := func(n int) (found audit.Event) {
		r.Await(t, "east", func(hub.State) bool {
			done := slices.DeleteFunc(r.Events(audit.AgentRenew), func(e audit.Event) bool { return e.Outcome != audit.Success })
			if len(done) >= n {
				found = done[n-1]
			}
			return len(done) >= n
		})
		return found
	}
	first := renewed(1)
	r.Await(t, "east", func(hub.State) bool { return strings.Contains(a.Log.String(), "cannot be kept") })
	network.Cut(badnet.RST)
	r.Await(t, "east", func(hub.State) bool { return strings.Contains(r.Log.String(), `"msg":"agent.reconnected"`) })
	if second := renewed(2); second.Extra["renews"] != first.Extra["certificate"] {
		t.Errorf("after the cut the agent showed another certificate than its newest: %v, then %v", first.Extra, second.Extra)
	}
}
