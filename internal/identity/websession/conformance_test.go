package websession_test

import (
	"testing"

	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/identity/websession/websessiontest"
)

func TestMemoryConforms(t *testing.T) {
	websessiontest.Conform(t, func(*testing.T) websession.Store { return websession.NewMemory(10_000) })
}
