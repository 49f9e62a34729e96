//go:build !linux

package transport

import "syscall"

// socketOf knows no way to ask here, so that every write goes the long way.
func socketOf(*conn) syscall.RawConn { return nil }

func (l *link) askQueued(uintptr) {}
