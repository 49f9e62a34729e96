package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// whileParentLives ends the context when the process that started this one
// ends. A descriptor of the process tells; nothing is polled in between.
func whileParentLives(ctx context.Context) (context.Context, error) {
	parent := os.Getppid()
	fd, err := unix.PidfdOpen(parent, 0)
	if err != nil {
		return nil, fmt.Errorf("--exit-with-parent: the parent process cannot be watched: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	if os.Getppid() != parent { // it ended in between
		_ = unix.Close(fd)
		cancel()
		return ctx, nil
	}
	go func() {
		defer func() { _ = unix.Close(fd) }()
		defer cancel()
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
				return
			}
		}
	}()
	return ctx, nil
}
