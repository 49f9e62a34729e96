package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestEveryKindHasACodeOfItsOwn(t *testing.T) {
	seen := map[string]fault.Kind{}
	for _, k := range fault.Kinds() {
		if !strings.HasPrefix(k.Code(), "E_") {
			t.Errorf("kind %d has the code %q", k, k.Code())
		}
		if other, twice := seen[k.Code()]; twice {
			t.Errorf("kinds %d and %d share the code %s", k, other, k.Code())
		}
		seen[k.Code()] = k
	}
	if got := fault.Kind(200).Code(); got != "E_INTERNAL" {
		t.Errorf("an unknown kind has the code %s", got)
	}
}

func TestAForeignErrorTellsTheUserNothingOfItself(t *testing.T) {
	err := fmt.Errorf("dial 10.0.0.1: %w", errors.New("token=secret"))
	if got := fault.PublicOf(err); strings.Contains(got, "secret") || strings.Contains(got, "10.0.0.1") {
		t.Errorf("public sentence %q", got)
	}
	if fault.KindOf(err) != fault.Internal {
		t.Errorf("kind %s", fault.KindOf(err))
	}
}

func TestKindSurvivesWrapping(t *testing.T) {
	cause := errors.New("no route to host")
	err := fmt.Errorf("later: %w", fault.Wrap(cause, fault.ClusterUnreachable, "op", "Cluster %s does not answer.", "prod"))
	if fault.KindOf(err) != fault.ClusterUnreachable || fault.PublicOf(err) != "Cluster prod does not answer." || !errors.Is(err, cause) {
		t.Errorf("kind %s, sentence %q", fault.KindOf(err), fault.PublicOf(err))
	}
}
