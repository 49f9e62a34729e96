package poddebug

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/clusters"
)

// TestNoRefusalWritesALongLine, nor an image that is not on the list.
func TestNoRefusalWritesALongLine(t *testing.T) {
	none, err := clusters.New(nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("<", 60<<10)
	for name, c := range map[string]struct {
		req   Request
		image string
	}{
		"all of it":          {Request{Cluster: long, Namespace: long, Pod: long, Target: long, Image: long, Reason: long}, ""},
		"a cluster":          {Request{Cluster: long, Namespace: "shop", Pod: "web", Target: "app", Image: "busybox"}, "busybox"},
		"an image":           {Request{Cluster: "c", Namespace: "shop", Pod: "web", Target: "app", Image: long}, ""},
		"an image, of a pod": {Request{Cluster: "c", Namespace: "shop", Pod: "", Target: "app", Image: "evil"}, ""},
		"the default":        {Request{Cluster: "c", Namespace: "shop", Pod: "web", Target: "app"}, "busybox"},
	} {
		var line bytes.Buffer
		m := New(Options{Clusters: none, Images: []string{"busybox"}, Audit: audit.NewLines(&line), Log: slog.New(slog.DiscardHandler)})
		if _, err := m.Ensure(t.Context(), c.req); err == nil {
			t.Errorf("%s was let in", name)
		}
		var e audit.Event
		if err := json.Unmarshal(line.Bytes(), &e); err != nil || line.Len() > 16<<10 || e.Extra["image"] != c.image {
			t.Errorf("%s: %v, a record of %d bytes: %.300s", name, err, line.Len(), line.Bytes())
		}
	}
}
