package httpapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/podexec"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// site is a directory of one cluster with one pod, and what may be wrong there.
type site struct {
	noCluster, noPod, noRight bool
	set                       podexec.Settings
}

func (s *site) Find(context.Context, string, identity.Actor) (podexec.Place, error) {
	if s.noCluster {
		return podexec.Place{}, fault.New(fault.NotFound, "t", "There is no such cluster.")
	}
	return podexec.Place{Cluster: "c", Settings: s.set, Upstream: s}, nil
}

func (s *site) Pod(context.Context, string, string) (*corev1.Pod, error) {
	if s.noPod {
		return nil, fault.New(fault.NotFound, "t", "There is no such pod.")
	}
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}, nil
}

func (s *site) CheckExec(context.Context, string, string) error {
	if s.noRight {
		return fault.New(fault.Forbidden, "t", "You may not open a shell.")
	}
	return nil
}

func (s *site) Dial(context.Context, string, transport.Request) (transport.Stream, transport.Choice, error) {
	return nil, transport.Choice{}, fault.New(fault.ClusterUnreachable, "t", "Nothing listens.")
}

// TestTheOrderOfRefusals asks for a shell with each two of the things wrong that keep
// it from opening: the answer is that of the first, as api/terminal.md orders them.
func TestTheOrderOfRefusals(t *testing.T) {
	order := []struct {
		what   string
		cause  func(*ask, *site)
		status int
		code   string
	}{
		{"another Host", func(a *ask, _ *site) { a.host = "evil.example" }, 421, "E_MISDIRECTED"},
		{"another Origin", func(a *ask, _ *site) { a.header["Origin"] = "https://evil.example" }, 403, "E_FORBIDDEN"},
		{"no login", func(a *ask, _ *site) { delete(a.header, "Cookie") }, 401, "E_UNAUTHENTICATED"},
		{"no command", func(a *ask, _ *site) { a.path += "&command=!" }, 400, "E_INVALID_REQUEST"},
		{"a reason of two lines", func(a *ask, _ *site) { a.path += "&reason=why%0Anot" }, 400, "E_INVALID_REQUEST"},
		{"no cluster", func(_ *ask, s *site) { s.noCluster = true }, 404, "E_NOT_FOUND"},
		{"shells switched off", func(_ *ask, s *site) { s.set.Enabled = false }, 403, "E_EXEC_DISABLED"},
		{"no reason", func(_ *ask, s *site) { s.set.RequireReason = true }, 400, "E_INVALID_REQUEST"},
		{"no pod", func(_ *ask, s *site) { s.noPod = true }, 404, "E_NOT_FOUND"},
		{"no container", func(a *ask, _ *site) { a.path += "&container=nope" }, 404, "E_NOT_FOUND"},
		{"no right", func(_ *ask, s *site) { s.noRight = true }, 403, "E_FORBIDDEN"},
		{"the cap of a user", func(_ *ask, s *site) { s.set.MaxSessionsPerUser = 0 }, 429, "E_CAP_USER"},
		{"the cap of a cluster", func(_ *ask, s *site) { s.set.MaxSessionsTotal = 0 }, 429, "E_CAP_CLUSTER"},
	}
	answers := map[string]string{}
	for i, first := range order {
		said := refusedFor(t, first.cause)
		if said.status != first.status || said.Error != first.code || answers[said.Message] != "" {
			t.Errorf("%s: %+v, as for %q", first.what, said, answers[said.Message])
		}
		answers[said.Message] = first.what
		for _, second := range order[i+1:] {
			if got := refusedFor(t, second.cause, first.cause); got != said {
				t.Errorf("%s and %s: %+v", first.what, second.what, got)
			}
		}
	}
}

// refused is how the wish for a shell was answered.
type refused struct {
	status         int
	Error, Message string
}

// refusedFor asks for a shell for which nothing is wrong but that.
func refusedFor(t *testing.T, wrong ...func(*ask, *site)) (r refused) {
	t.Helper()
	s := &site{set: podexec.Settings{Enabled: true, MaxSessionsPerUser: 1, MaxSessionsTotal: 1}}
	a := ask{path: "/api/clusters/c/pods/n/p/exec?tty=true", header: map[string]string{
		"Cookie": "s=ada", "Origin": "https://console.example", "Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
	}}
	for _, cause := range wrong {
		cause(&a, s)
	}
	h := newHandlerWith(t, func(o *Options) {
		o.Sessions = podexec.New(podexec.Options{
			Directory: s, Audit: noAudit{}, Log: slog.New(slog.DiscardHandler), Metrics: podexec.NewMetrics(prometheus.NewRegistry()),
		})
	})
	got := do(t, h, a)
	if err := json.NewDecoder(got.Body).Decode(&r); err != nil {
		t.Error(err)
	}
	r.status = got.StatusCode
	return r
}
