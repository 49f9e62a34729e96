package token_test

import (
	"testing"

	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/identity/token/tokentest"
)

func TestMemoryConforms(t *testing.T) {
	tokentest.Conform(t, func(*testing.T) token.Store { return token.NewMemory(10_000) })
}
