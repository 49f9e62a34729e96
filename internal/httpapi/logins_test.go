package httpapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/websession"
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
