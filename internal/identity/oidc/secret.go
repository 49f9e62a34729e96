package oidc

import (
	"context"
	"errors"
	"time"
)

// errSecret is why nobody can log in yet; its cause is in the log, since people
// who have not logged in read this.
var errSecret = errors.New("the server's own secret for it, oidc.clientSecret, cannot be read")

// awaitSecret asks for the secret until it is there: better now, by a server that
// is not ready, than at the first login. It is false where ctx ended first.
func (l *Login) awaitSecret(ctx context.Context) bool {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		_, err := l.o.Secret.Get(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		l.dir.unusable(errSecret)
		l.o.Log.Error("login.secret.unreadable", "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}

// unusable says why the provider cannot be used yet.
func (d *directory) unusable(why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.why = why
}
