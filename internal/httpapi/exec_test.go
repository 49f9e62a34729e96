package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/podexec"
)

// hole is a directory that whoever looks into falls into.
type hole struct{}

func (hole) Find(context.Context, string, identity.Actor) (podexec.Place, error) { panic("fell in") }

// TestAPanicBehindAnUpgrade is told to the client, which net/http no longer answers,
// and logged as any other.
func TestAPanicBehindAnUpgrade(t *testing.T) {
	var log bytes.Buffer
	srv, returned := httptest.NewUnstartedServer(nil), make(chan struct{})
	h := newHandlerWith(t, func(o *Options) {
		o.Guard = Guard{Hosts: []string{srv.Listener.Addr().String()}}
		o.Log = slog.New(slog.NewJSONHandler(&log, nil))
		o.Sessions = podexec.New(podexec.Options{
			Directory: hole{}, Audit: noAudit{}, Log: slog.New(slog.DiscardHandler), Metrics: podexec.NewMetrics(prometheus.NewRegistry()),
		})
	})
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(returned)
		h.ServeHTTP(w, r)
	})
	srv.Start()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, srv.URL+"/api/clusters/c/pods/n/p/exec", &websocket.DialOptions{
		HTTPHeader: http.Header{"Cookie": {"s=ada"}, requestIDHeader: {"req1"}}, Subprotocols: []string{podexec.Protocol},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if err := ws.Write(ctx, websocket.MessageText, []byte(`{"type":"open"}`)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []map[string]any{
		{"type": "error", "code": "E_INTERNAL", "requestId": "req1"},
		{"type": "closed", "reason": "server_error"},
	} {
		_, text, err := ws.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var frame map[string]any
		if err := json.Unmarshal(text, &frame); err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			if frame[name] != value {
				t.Errorf("%s is %v in %s, want %v", name, frame[name], text, value)
			}
		}
	}
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusInternalError {
		t.Errorf("closed with %v", err)
	}
	<-returned
	if said := log.String(); !strings.Contains(said, `"msg":"http.panic","requestId":"req1","panic":"fell in"`) || !strings.Contains(said, "hole.Find") {
		t.Errorf("logged: %s", said)
	}
}
