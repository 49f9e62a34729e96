package node

import "time"

// The kubelet's figures.
const (
	backoffFirst = 10 * time.Second
	backoffMost  = 5 * time.Minute
	// A container that ran this long has recovered.
	backoffReset = 10 * time.Minute
)

// backoff is one container's restart delay.
type backoff struct{ failures int }

// next is the delay before the next start, given how long the container ran.
// The first restart is immediate.
func (b *backoff) next(ran time.Duration) time.Duration {
	if ran >= backoffReset {
		b.failures = 0
	}
	b.failures++
	if b.failures == 1 {
		return 0
	}
	delay := backoffFirst
	for range b.failures - 2 {
		if delay *= 2; delay >= backoffMost {
			return backoffMost
		}
	}
	return delay
}
