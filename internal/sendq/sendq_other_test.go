//go:build !linux

package sendq

import (
	"net"
	"testing"
)

func unsentOf(*testing.T, net.Conn) int { return Unsent }
