// Package store keeps what must outlive the process: logins, people and their
// tokens, agents' registrations, in SQLite or in PostgreSQL, which are equals
// behind the same contracts.
//
// It owns the schema and its migrations, and every SQL statement. It does not
// own what records mean; the packages that declare the contracts do. The pool
// of connections is its only background work, and ends with Close. It
// guarantees that what it has confirmed is on disk, and that several processes
// may share one database and start at the same time.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/periscope-console/periscope/internal/fault"
)

//go:embed migrations
var migrations embed.FS

// openLimit bounds reaching the database and bringing its schema up to date.
const openLimit = 60 * time.Second

// DB is an open database, its schema that of this program.
type DB struct {
	sql *sql.DB
	// numbered is true where parameters are $1, $2 and so on rather than ?.
	numbered bool
}

// engine is what the databases do not have in common.
type engine struct {
	name     string // of the folder of migrations
	dialect  goose.Dialect
	numbered bool
	db       *sql.DB
	options  []goose.ProviderOption
	// turn waits until no other process migrates, and keeps others waiting until
	// done is called.
	turn func(context.Context) (done func(), err error)
}

// Open opens the database that url names, sqlite:PATH or postgres://…, and
// brings its schema up to date. An error's public sentence is for the log of
// whoever starts the server; it holds no password.
func Open(ctx context.Context, url string) (*DB, error) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	e, err := openEngine(url)
	if err != nil {
		return nil, err
	}
	if err := e.migrate(ctx); err != nil {
		return nil, errors.Join(fault.Wrap(err, fault.Internal, "store.Open",
			"The %s database cannot be used: %s. Check PERISCOPE_DATABASE_URL, and that the database is up and may be written to.", e.name, cause(err)), e.db.Close())
	}
	return &DB{sql: e.db, numbered: e.numbered}, nil
}

func openEngine(url string) (engine, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return openSQLite(path)
	}
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return openPostgres(url)
	}
	return engine{}, fault.New(fault.Invalid, "store.Open",
		"PERISCOPE_DATABASE_URL names no database. Give sqlite:PATH or postgres://USER@HOST/DATABASE.")
}

// migrate applies what the schema lacks; processes that start together take
// turns. A schema newer than this program is refused: it might not understand
// what it reads.
func (e engine) migrate(ctx context.Context) error {
	done, err := e.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	files, err := fs.Sub(migrations, "migrations/"+e.name)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(e.dialect, e.db, files, append(e.options, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	has, knows, err := p.GetVersions(ctx)
	if err == nil && has > knows {
		err = errNewer
	}
	return err
}

var errNewer = errors.New("a newer version of Periscope has been using it")

// cause is one line of err for the person who starts the server.
func cause(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimRight(line, ". ")
}

// Ping is nil where the database answers.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.sql.PingContext(ctx); err != nil {
		return failed(err, "store.Ping")
	}
	return nil
}

// Close ends all connections.
func (db *DB) Close() error { return db.sql.Close() }

// exec runs a statement, its parameters written as ?, and counts the rows that
// it touched.
func (db *DB) exec(ctx context.Context, op, statement string, args ...any) (int64, error) {
	done, err := db.sql.ExecContext(ctx, db.bind(statement), args...)
	if err != nil {
		return 0, failed(err, op)
	}
	rows, err := done.RowsAffected()
	if err != nil {
		return 0, failed(err, op)
	}
	return rows, nil
}

func failed(err error, op string) error {
	return fault.Wrap(err, fault.Internal, op, "The server's database does not answer. Try again in a moment; if it stays so, tell whoever runs the server.")
}

// bind writes a statement's parameters as the database wants them. No statement
// holds a ? that is none.
func (db *DB) bind(statement string) string {
	if !db.numbered {
		return statement
	}
	var b strings.Builder
	for i, piece := range strings.Split(statement, "?") {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(piece)
	}
	return b.String()
}

// micros is 0 for no time at all.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
