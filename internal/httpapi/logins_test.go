package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/podexec"
)

// oneLogin is ada's; stuck keeps it from ending.
type oneLogin struct {
	logins
	stuck error
}

var held = strings.Repeat("a", 64)

func (oneLogin) Of(context.Context, identity.Actor) ([]websession.Record, error) {
	return []websession.Record{{ID: websession.ID(held), Actor: ada}}, nil
}

func (l oneLogin) EndOne(context.Context, identity.Actor, websession.ID) error { return l.stuck }

// TestEndingALoginIsRecorded as it went, and only where it is one of the caller's.
func TestEndingALoginIsRecorded(t *testing.T) {
	gone := fault.New(fault.NotFound, "t", "It has ended.")
	const success = "auth.logout success ada: one login, by its owner"
	for name, c := range map[string]struct {
		id    string
		stuck error
		want  int
		audit []string
	}{
		"one's own":          {held, nil, 204, []string{success}},
		"nobody's":           {strings.Repeat("0", 64), gone, 404, nil},
		"no id at all":       {"x", gone, 404, nil},
		"it stays":           {held, fault.Wrap(errors.New("disk full"), fault.Internal, "t", "It stays."), 500, []string{success, "auth.logout failure ada: It stays."}},
		"it ended meanwhile": {held, gone, 404, []string{success, "auth.logout failure ada: It has ended."}},
	} {
		var records []string
		h := newHandlerWith(t, func(o *Options) {
			recordAudit(&records)(o)
			o.Logins = oneLogin{stuck: c.stuck}
		})
		resp := do(t, h, ask{method: "DELETE", path: "/api/auth/logins/" + c.id, header: map[string]string{"Cookie": "s=ada"}})
		if resp.StatusCode != c.want || !slices.Equal(records, c.audit) {
			t.Errorf("%s: %d, audit %q", name, resp.StatusCode, records)
		}
	}
}

// idleLogins counts what is activity of its login.
type idleLogins struct {
	logins
	touched *int
}

func (l idleLogins) Touch(websession.ID) { *l.touched++ }

// TestWhatIsActivity: what a page asks by itself is none, or a page that is merely
// open would keep its login for ever. A new route says here which of the two it is.
func TestWhatIsActivity(t *testing.T) {
	touched := 0
	d := newDoor(t, func(o *Options) { o.Logins = idleLogins{touched: &touched} })
	for _, c := range []struct {
		method, path, body string
		status, want       int
	}{
		{"POST", "/api/clusters/prod/can-i", `{"verb":"get","resource":"pods"}`, 503, 0},
		{"GET", "/api/clusters/prod/pods", "", 503, 0},
		{"GET", "/api/whoami", "", 200, 0},
		{"POST", "/api/auth/active", "", 204, 1},
	} {
		touched = 0
		a := ask{method: c.method, path: c.path, body: c.body, header: map[string]string{"Cookie": "s=ada", "Content-Type": "application/json"}}
		if got := do(t, d, a); got.StatusCode != c.status || touched != c.want {
			t.Errorf("%s %s: %d, activity %d times, want %d", c.method, c.path, got.StatusCode, touched, c.want)
		}
	}
	want := []string{
		"active", "answerLoginAsk", "createToken", "debugPod", "endExecSession", "endLogin", "findLoginAsk", "getLoginAsk",
		"mintAgentToken", "revokeAgent", "revokeThisToken", "revokeToken", "revokeTokens", "withdrawAgentToken",
	}
	var got []string
	for _, r := range (&server{}).routes() {
		if !r.public && !r.background {
			got = append(got, r.id)
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("activity is  %q\nwant         %q", got, want)
	}
}

// firstFrame is a client that has sent one.
type firstFrame struct {
	podexec.Conn
	frame string
}

func (c firstFrame) Read() (bool, []byte, error) { return false, []byte(c.frame), nil }

// noCluster is a directory that knows none.
type noCluster struct{}

func (noCluster) Find(context.Context, string, identity.Actor) (podexec.Place, error) {
	return podexec.Place{}, fault.New(fault.NotFound, "t", "There is no such cluster.")
}

// TestWhichShellIsActivity: one that is asked for is, though it be refused. One that
// is come back to is none, since a page does that by itself.
func TestWhichShellIsActivity(t *testing.T) {
	touched := 0
	s := &server{Options: Options{Logins: idleLogins{touched: &touched}, Tokens: newKeeper(t), Sessions: podexec.New(podexec.Options{
		Directory: noCluster{}, Audit: noAudit{}, Log: slog.New(slog.DiscardHandler), Metrics: podexec.NewMetrics(prometheus.NewRegistry()),
	})}}
	v2 := func(frame string) func(*call, podexec.Request) error {
		return func(_ *call, req podexec.Request) error { return s.startV2(firstFrame{frame: frame}, req) }
	}
	for name, c := range map[string]struct {
		by   call
		asks func(*call, podexec.Request) error
		want int
	}{
		"opened":              {call{login: "x"}, v2(`{"type":"open"}`), 1},
		"come back to":        {call{login: "x"}, v2(`{"type":"attach","sessionId":"x","resumeToken":"y"}`), 0},
		"taken over":          {call{login: "x"}, v2(`{"type":"attach","sessionId":"x","resumeToken":null,"takeOver":true}`), 0},
		"opened plainly":      {call{login: "x"}, s.execPlain, 1},
		"opened by a token":   {call{token: token.Token{ID: "x"}}, v2(`{"type":"open"}`), 0},
		"plainly, by a token": {call{token: token.Token{ID: "x"}}, s.execPlain, 0},
	} {
		touched = 0
		by := c.by
		by.r = httptest.NewRequest(http.MethodGet, "/x", nil)
		req := podexec.Request{Cluster: "c", Namespace: "n", Pod: "p"}
		s.stands(&by, &req)
		if err := c.asks(&by, req); fault.KindOf(err) != fault.NotFound || touched != c.want {
			t.Errorf("%s: %v, activity %d times, want %d", name, err, touched, c.want)
		}
	}
}
