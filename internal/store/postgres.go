package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/periscope-console/periscope/internal/fault"
)

// postgresConns bounds a process's connections: PostgreSQL allows 100 in all
// where nobody has changed that.
const postgresConns = 10

func openPostgres(url string) (engine, error) {
	set, err := pgx.ParseConfig(url)
	if err != nil {
		return engine{}, fault.Wrap(err, fault.Invalid, "store.Open",
			"PERISCOPE_DATABASE_URL is no address of a PostgreSQL database. Write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE, special characters as %%XX.")
	}
	if set.ConnectTimeout == 0 {
		set.ConnectTimeout = 10 * time.Second
	}
	// The migrations of processes that start together take turns in the database.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(openLimit/time.Second)))
	if err != nil {
		return engine{}, err
	}
	db := stdlib.OpenDB(*set)
	db.SetMaxOpenConns(postgresConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return engine{
		name: "postgres", dialect: goose.DialectPostgres, numbered: true, db: db,
		options: []goose.ProviderOption{goose.WithSessionLocker(locker)},
		turn:    func(context.Context) (func(), error) { return func() {}, nil },
	}, nil
}
