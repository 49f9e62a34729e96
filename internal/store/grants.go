package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/periscope-console/periscope/internal/identity/grant"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

// Grants is a grant.Store.
type Grants struct{ db *DB }

// Grants keeps the logins of command lines that are under way.
func (db *DB) Grants() Grants { return Grants{db} }

// grantJSON is the body of a grant in the database; its names stay what they are.
type grantJSON struct {
	Challenge string    `json:"challenge,omitempty"`
	Echo      string    `json:"echo,omitempty"`
	Port      int       `json:"port,omitempty"`
	Secret    []byte    `json:"secret"`
	Address   string    `json:"address"` // empty where an older server wrote it, which counted by it
	Host      string    `json:"host"`
	Agent     string    `json:"agent"`
	Created   time.Time `json:"created"`
	State     string    `json:"state"`
	Finder    string    `json:"finder,omitempty"`
	Login     string    `json:"login,omitempty"`
	Polled    time.Time `json:"polled,omitzero"`
	Interval  int64     `json:"interval,omitempty"` // nanoseconds
}

func encodeGrant(g grant.Grant) (string, error) {
	b, err := json.Marshal(grantJSON{
		Challenge: g.Challenge, Echo: g.Echo, Port: g.Port, Secret: g.Secret[:], Address: g.Address, Host: g.Host, Agent: g.Agent, Created: g.Created,
		State: string(g.State), Finder: string(g.Finder), Login: string(g.Login), Polled: g.Polled, Interval: int64(g.Interval),
	})
	return string(b), err
}

func userCode(g grant.Grant) []byte {
	if !g.Device() {
		return []byte{}
	}
	return g.UserCode[:]
}

// Add implements grant.Store. Writers take turns, so that what one has counted
// holds until it has added: SQLite has one at a time anyway, PostgreSQL locks. The
// column address is what is counted by: the client.
func (s Grants) Add(ctx context.Context, g grant.Grant, now time.Time, most, mostOf int) error {
	body, err := encodeGrant(g)
	if err != nil {
		return failed(err, "store.Grants.Add")
	}
	tx, err := s.db.sql.BeginTx(ctx, nil)
	if err != nil {
		return failed(err, "store.Grants.Add")
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if s.db.numbered {
		if _, err := tx.ExecContext(ctx, "LOCK TABLE grants IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return failed(err, "store.Grants.Add")
		}
	}
	var all, of int
	err = tx.QueryRowContext(ctx, s.db.bind("SELECT COUNT(*), COUNT(CASE WHEN address = ? THEN 1 END) FROM grants WHERE expires > ?"), g.Client, micros(now)).Scan(&all, &of)
	if err != nil {
		return failed(err, "store.Grants.Add")
	}
	if all >= most || of >= mostOf {
		return grant.ErrTooMany
	}
	_, err = tx.ExecContext(ctx, s.db.bind("INSERT INTO grants (id, address, user_code, body, version, expires) VALUES (?, ?, ?, ?, ?, ?)"),
		g.ID, g.Client, userCode(g), body, g.Version, micros(g.Expires))
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return failed(err, "store.Grants.Add")
	}
	return nil
}

// Get implements grant.Store.
func (s Grants) Get(ctx context.Context, id string) (grant.Grant, bool, error) {
	return s.one(ctx, "store.Grants.Get", "id = ?", id)
}

// ByUserCode implements grant.Store.
func (s Grants) ByUserCode(ctx context.Context, code grant.Hash) (grant.Grant, bool, error) {
	return s.one(ctx, "store.Grants.ByUserCode", "user_code = ?", code[:])
}

func (s Grants) one(ctx context.Context, op, where string, arg any) (g grant.Grant, ok bool, err error) {
	var body string
	var code []byte
	var expires int64
	row := s.db.sql.QueryRowContext(ctx, s.db.bind("SELECT id, address, user_code, body, version, expires FROM grants WHERE "+where), arg)
	err = row.Scan(&g.ID, &g.Client, &code, &body, &g.Version, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return grant.Grant{}, false, nil
	}
	var b grantJSON
	if err == nil {
		err = json.Unmarshal([]byte(body), &b)
	}
	if err != nil {
		return grant.Grant{}, false, failed(err, op)
	}
	copy(g.UserCode[:], code)
	copy(g.Secret[:], b.Secret)
	g.Challenge, g.Echo, g.Port, g.Address, g.Host, g.Agent = b.Challenge, b.Echo, b.Port, cmp.Or(b.Address, g.Client), b.Host, b.Agent
	g.State, g.Interval = grant.State(b.State), time.Duration(b.Interval)
	g.Finder, g.Login = websession.ID(b.Finder), websession.ID(b.Login)
	g.Created, g.Polled, g.Expires = b.Created, b.Polled, timeOf(expires)
	return g, true, nil
}

// Put implements grant.Store.
func (s Grants) Put(ctx context.Context, g grant.Grant) (bool, error) {
	body, err := encodeGrant(g)
	if err != nil {
		return false, failed(err, "store.Grants.Put")
	}
	n, err := s.db.exec(ctx, "store.Grants.Put", "UPDATE grants SET body = ?, expires = ?, version = version + 1 WHERE id = ? AND version = ?",
		body, micros(g.Expires), g.ID, g.Version)
	return n == 1, err
}

// Take implements grant.Store.
func (s Grants) Take(ctx context.Context, g grant.Grant) (bool, error) {
	n, err := s.db.exec(ctx, "store.Grants.Take", "DELETE FROM grants WHERE id = ? AND version = ?", g.ID, g.Version)
	return n == 1, err
}

// Sweep implements grant.Store.
func (s Grants) Sweep(ctx context.Context, now time.Time) error {
	_, err := s.db.exec(ctx, "store.Grants.Sweep", "DELETE FROM grants WHERE expires < ?", micros(now))
	return err
}
