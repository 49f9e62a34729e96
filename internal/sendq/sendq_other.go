//go:build !linux

package sendq

func (q *Queue) outq(uintptr) {}
