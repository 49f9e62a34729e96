package enrol_test

import (
	"testing"

	"github.com/periscope-console/periscope/internal/tunnel/enrol"
	"github.com/periscope-console/periscope/internal/tunnel/enrol/enroltest"
)

func TestMemoryConforms(t *testing.T) {
	enroltest.Conform(t, func(*testing.T) enrol.Store { return enrol.NewMemory() })
}
