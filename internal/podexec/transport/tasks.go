package transport

import (
	"sync"
	"time"
)

// tasks are the short-lived goroutines of one stream, so that Close can wait for
// them and none begins afterwards.
type tasks struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
	timer  *time.Timer // the next beat; nil before the first and after close
	later  *time.Timer // of once
}

// enter says whether a task may begin; if so, leave must follow.
func (t *tasks) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.wg.Add(1)
	}
	return !t.closed
}

func (t *tasks) leave() { t.wg.Done() }

// every calls f after each beat until close. It holds no goroutine meanwhile.
func (t *tasks) every(beat time.Duration, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.timer = time.AfterFunc(beat, func() {
		if !t.enter() {
			return
		}
		defer t.leave()
		f()
		t.every(beat, f)
	})
}

// once calls f after d, unless close comes first. Only one such call may wait.
func (t *tasks) once(d time.Duration, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.later = time.AfterFunc(d, func() {
		if t.enter() {
			defer t.leave()
			f()
		}
	})
}

// close lets no task begin any more and says whether it was the first to.
func (t *tasks) close() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.closed
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if t.later != nil {
		t.later.Stop()
	}
	return first
}

func (t *tasks) wait() { t.wg.Wait() }
