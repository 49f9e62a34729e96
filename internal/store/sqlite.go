package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver

	"github.com/periscope-console/periscope/internal/fault"
)

const (
	// sqliteConns is how many statements run at once: one writes, the others read.
	sqliteConns = 8
	// lockPoll is how often a process asks whether another is done migrating.
	lockPoll = 50 * time.Millisecond
)

// openSQLite opens a file that its owner alone may read: it holds logins.
// Writers wait for each other; a confirmed write is on disk.
func openSQLite(path string) (engine, error) {
	if path == "" {
		return engine{}, fault.New(fault.Invalid, "store.Open", "PERISCOPE_DATABASE_URL is sqlite: without a path. Give one, such as sqlite:/var/lib/periscope/periscope.db.")
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return engine{}, fault.Wrap(err, fault.Invalid, "store.Open",
			"The database file %s cannot be opened. Give PERISCOPE_DATABASE_URL a path in a folder that exists and that the server may write to.", path)
	}
	if err := file.Close(); err != nil {
		return engine{}, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return engine{}, err
	}
	set := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)", "foreign_keys(on)",
	}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: absolute, RawQuery: set.Encode()}).String())
	if err != nil {
		return engine{}, err
	}
	db.SetMaxOpenConns(sqliteConns)
	db.SetMaxIdleConns(sqliteConns)
	return engine{
		name: "sqlite", dialect: goose.DialectSQLite3, db: db,
		turn: func(ctx context.Context) (func(), error) { return lockFile(ctx, absolute+".lock") },
	}, nil
}

// lockFile waits until it alone holds path. The kernel frees it when its holder
// dies.
func lockFile(ctx context.Context, path string) (free func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(err, file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(errBusy, file.Close())
		case <-tick.C:
		}
	}
}

var errBusy = errors.New("another process has been preparing it for too long")
