package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// slowToPatch is the kubeconfig of an apiserver that allows everything, and from a patch
// on answers when it is told to or nobody waits any more.
func slowToPatch(t *testing.T) (kubeconfig string, asked <-chan struct{}, answer chan<- struct{}) {
	t.Helper()
	began, goOn := make(chan struct{}, 1), make(chan struct{})
	var patched atomic.Bool
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
			_, _ = io.WriteString(w, `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","status":{"allowed":true}}`)
			return
		case r.Method == http.MethodPatch:
			_, _ = io.Copy(io.Discard, r.Body)
			patched.Store(true)
			began <- struct{}{}
		}
		if patched.Load() {
			select {
			case <-goOn:
			case <-r.Context().Done():
			}
		}
		_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"shop","resourceVersion":"1"},"spec":{"containers":[{"name":"app","image":"x"}]},"status":{"phase":"Running","containerStatuses":[{"name":"app","state":{"running":{}}}]}}`)
	}))
	t.Cleanup(api.Close)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	text := `{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a}}], clusters: [{name: a, cluster: {server: "` + api.URL + `"}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig, began, goOn
}

// TestAShutdownLeavesNoActHalfway: audit says what became of what had begun, also
// where the cluster is slow, or never answers.
func TestAShutdownLeavesNoActHalfway(t *testing.T) {
	for name, c := range map[string]struct {
		answer  time.Duration // after the beginning of the shutdown; 0: never
		outcome string
		created any // nil: nobody knows
	}{
		"slow":  {3 * time.Second, "success", true},
		"never": {0, "failure", nil},
	} {
		t.Run(name, func(t *testing.T) {
			kubeconfig, asked, answer := slowToPatch(t)
			p := startWith(t, []string{"--kubeconfig", kubeconfig}, debugImages)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
				p.url+"/api/clusters/"+p.clusterName()+"/pods/shop/web/debug", strings.NewReader(`{"container":"app"}`))
			if err != nil {
				t.Fatal(err)
			}
			request.AddCookie(p.cookie)
			request.Header.Set("Content-Type", "application/json")
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				if resp, err := http.DefaultClient.Do(request); err == nil {
					_ = resp.Body.Close()
				}
			}()
			select {
			case <-asked:
			case <-gone:
				t.Fatalf("nothing was asked of the cluster: %s", p.audit)
			}
			began := time.Now()
			p.stop()
			if c.answer != 0 {
				time.AfterFunc(c.answer, func() { close(answer) })
			}
			p.end()
			<-gone
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("the shutdown took %v", took)
			}
			done := p.events("pod.debug.create", "completed")
			if len(done) != 1 || done[0]["outcome"] != c.outcome || done[0]["extra"].(map[string]any)["created"] != c.created {
				t.Errorf("audit has %s", p.audit)
			}
		})
	}
}
