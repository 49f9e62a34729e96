package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/periscope-console/periscope/internal/tunnel/enrol"
)

// Agents is an enrol.Store.
type Agents struct{ db *DB }

// Agents keeps agents' registration tokens and what is known of their certificates.
func (db *DB) Agents() Agents { return Agents{db} }

// inTurn runs do in a transaction. Its callers take turns, so that what one has
// seen holds until it has written: SQLite has one writer at a time anyway,
// PostgreSQL locks. Nothing is kept where do does not say so.
func (s Agents) inTurn(ctx context.Context, op string, do func(*sql.Tx) (keep bool, err error)) error {
	tx, err := s.db.sql.BeginTx(ctx, nil)
	if err != nil {
		return failed(err, op)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if s.db.numbered {
		if _, err := tx.ExecContext(ctx, "LOCK TABLE agent_tokens, agent_certificates IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return failed(err, op)
		}
	}
	keep, err := do(tx)
	if err == nil && keep {
		err = tx.Commit()
	}
	if err != nil && !errors.Is(err, enrol.ErrTooMany) {
		return failed(err, op)
	}
	return err
}

// touched runs a statement and counts the rows that it touched.
func (s Agents) touched(ctx context.Context, tx *sql.Tx, statement string, args ...any) (int, error) {
	done, err := tx.ExecContext(ctx, s.db.bind(statement), args...)
	if err != nil {
		return 0, err
	}
	n, err := done.RowsAffected()
	return int(n), err
}

// AddToken implements enrol.Store.
func (s Agents) AddToken(ctx context.Context, t enrol.Token, most int) error {
	return s.inTurn(ctx, "store.Agents.AddToken", func(tx *sql.Tx) (bool, error) {
		var open int
		err := tx.QueryRowContext(ctx, s.db.bind("SELECT COUNT(*) FROM agent_tokens WHERE used = 0 AND expires >= ?"), micros(t.Created)).Scan(&open)
		if err == nil && open >= most {
			err = enrol.ErrTooMany
		}
		if err != nil {
			return false, err
		}
		_, err = s.touched(ctx, tx, "INSERT INTO agent_tokens ("+agentTokenColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			t.Hash[:], t.ID, t.Cluster, t.By.Issuer, t.By.Subject, t.By.Email, micros(t.Created), micros(t.Expires), micros(t.Used))
		return true, err
	})
}

const agentTokenColumns = "hash, id, cluster, issuer, subject, email, created, expires, used"

func scanAgentToken(scan func(...any) error) (t enrol.Token, err error) {
	var hash []byte
	var created, expires, used int64
	err = scan(&hash, &t.ID, &t.Cluster, &t.By.Issuer, &t.By.Subject, &t.By.Email, &created, &expires, &used)
	if err == nil && copy(t.Hash[:], hash) != len(t.Hash) {
		err = errHash
	}
	t.Created, t.Expires, t.Used = timeOf(created), timeOf(expires), timeOf(used)
	return t, err
}

// Token implements enrol.Store.
func (s Agents) Token(ctx context.Context, h enrol.Hash) (enrol.Token, bool, error) {
	row := s.db.sql.QueryRowContext(ctx, s.db.bind("SELECT "+agentTokenColumns+" FROM agent_tokens WHERE hash = ?"), h[:])
	t, err := scanAgentToken(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return enrol.Token{}, false, nil
	}
	if err != nil {
		return enrol.Token{}, false, failed(err, "store.Agents.Token")
	}
	return t, true, nil
}

// Waiting implements enrol.Store.
func (s Agents) Waiting(ctx context.Context, at time.Time) ([]enrol.Token, error) {
	const op = "store.Agents.Waiting"
	rows, err := s.db.sql.QueryContext(ctx, s.db.bind("SELECT "+agentTokenColumns+" FROM agent_tokens WHERE used = 0 AND expires >= ? ORDER BY expires, id LIMIT ?"),
		micros(at), enrol.MostListed)
	if err != nil {
		return nil, failed(err, op)
	}
	defer func() { _ = rows.Close() }() // rows.Err has told
	waiting := []enrol.Token{}
	for rows.Next() {
		t, err := scanAgentToken(rows.Scan)
		if err != nil {
			return nil, failed(err, op)
		}
		waiting = append(waiting, t)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err, op)
	}
	return waiting, nil
}

// Burn implements enrol.Store.
func (s Agents) Burn(ctx context.Context, h enrol.Hash, at time.Time) (bool, error) {
	n, err := s.db.exec(ctx, "store.Agents.Burn", "UPDATE agent_tokens SET used = ? WHERE hash = ? AND used = 0", micros(at), h[:])
	return n == 1, err
}

// Redeem implements enrol.Store.
func (s Agents) Redeem(ctx context.Context, h enrol.Hash, c enrol.Certificate, most int) (ok bool, err error) {
	err = s.inTurn(ctx, "store.Agents.Redeem", func(tx *sql.Tx) (bool, error) {
		n, err := s.touched(ctx, tx, "UPDATE agent_tokens SET used = ? WHERE hash = ? AND used = 0 AND cluster = ? AND expires >= ?",
			micros(c.Issued), h[:], c.Cluster, micros(c.Issued))
		if ok = n == 1; err != nil || !ok {
			return false, err
		}
		return true, s.add(ctx, tx, c, most)
	})
	return ok && err == nil, err
}

// Renew implements enrol.Store.
func (s Agents) Renew(ctx context.Context, c enrol.Certificate, most int) (ok bool, err error) {
	err = s.inTurn(ctx, "store.Agents.Renew", func(tx *sql.Tx) (bool, error) {
		var n int
		err := tx.QueryRowContext(ctx, s.db.bind("SELECT COUNT(*) FROM agent_certificates WHERE serial = ? AND cluster = ? AND revoked = 0 AND expires >= ?"),
			c.Renews, c.Cluster, micros(c.Issued)).Scan(&n)
		if ok = n == 1; err != nil || !ok {
			return false, err
		}
		return true, s.add(ctx, tx, c, most)
	})
	return ok && err == nil, err
}

func (s Agents) add(ctx context.Context, tx *sql.Tx, c enrol.Certificate, most int) error {
	var held int
	err := tx.QueryRowContext(ctx, s.db.bind("SELECT COUNT(*) FROM agent_certificates WHERE cluster = ? AND revoked = 0"), c.Cluster).Scan(&held)
	if err == nil && held >= most {
		err = enrol.ErrTooMany
	}
	if err != nil {
		return err
	}
	_, err = s.touched(ctx, tx, "INSERT INTO agent_certificates ("+certificateColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		c.Serial, c.Fingerprint[:], c.Cluster, micros(c.Issued), micros(c.Expires), micros(c.Registered), c.By.Issuer, c.By.Subject, c.By.Email, c.Address, c.Renews, micros(c.Revoked))
	return err
}

const certificateColumns = "serial, fingerprint, cluster, issued, expires, registered, issuer, subject, email, address, renews, revoked"

func scanCertificate(scan func(...any) error, more ...any) (c enrol.Certificate, err error) {
	var fingerprint []byte
	var issued, expires, registered, revoked int64
	err = scan(append([]any{
		&c.Serial, &fingerprint, &c.Cluster, &issued, &expires, &registered, &c.By.Issuer, &c.By.Subject, &c.By.Email, &c.Address, &c.Renews, &revoked,
	}, more...)...)
	if err == nil && copy(c.Fingerprint[:], fingerprint) != len(c.Fingerprint) {
		err = errHash
	}
	c.Issued, c.Expires, c.Registered, c.Revoked = timeOf(issued), timeOf(expires), timeOf(registered), timeOf(revoked)
	return c, err
}

// Certificate implements enrol.Store.
func (s Agents) Certificate(ctx context.Context, serial string) (enrol.Certificate, bool, error) {
	row := s.db.sql.QueryRowContext(ctx, s.db.bind("SELECT "+certificateColumns+" FROM agent_certificates WHERE serial = ?"), serial)
	c, err := scanCertificate(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return enrol.Certificate{}, false, nil
	}
	if err != nil {
		return enrol.Certificate{}, false, failed(err, "store.Agents.Certificate")
	}
	return c, true, nil
}

// listQuery ranks each cluster's certificates by their end, and counts them.
const listQuery = "SELECT " + certificateColumns + ", held FROM (SELECT " + certificateColumns + ", " +
	"ROW_NUMBER() OVER (PARTITION BY cluster ORDER BY expires DESC, serial DESC) AS place, COUNT(*) OVER (PARTITION BY cluster) AS held " +
	"FROM agent_certificates WHERE revoked = 0) AS ranked WHERE place = 1 ORDER BY cluster LIMIT ?"

// List implements enrol.Store.
func (s Agents) List(ctx context.Context) ([]enrol.Current, error) {
	rows, err := s.db.sql.QueryContext(ctx, s.db.bind(listQuery), enrol.MostListed)
	if err != nil {
		return nil, failed(err, "store.Agents.List")
	}
	defer func() { _ = rows.Close() }() // rows.Err has told
	found := []enrol.Current{}
	for rows.Next() {
		var c enrol.Current
		if c.Certificate, err = scanCertificate(rows.Scan, &c.Count); err != nil {
			return nil, failed(err, "store.Agents.List")
		}
		found = append(found, c)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err, "store.Agents.List")
	}
	return found, nil
}

// Revoke implements enrol.Store.
func (s Agents) Revoke(ctx context.Context, cluster string, at time.Time) (certificates, tokens int, err error) {
	err = s.inTurn(ctx, "store.Agents.Revoke", func(tx *sql.Tx) (_ bool, err error) {
		if certificates, err = s.touched(ctx, tx, "UPDATE agent_certificates SET revoked = ? WHERE cluster = ? AND revoked = 0", micros(at), cluster); err != nil {
			return false, err
		}
		tokens, err = s.touched(ctx, tx, "UPDATE agent_tokens SET used = ? WHERE cluster = ? AND used = 0", micros(at), cluster)
		return true, err
	})
	return certificates, tokens, err
}

// Sweep implements enrol.Store.
func (s Agents) Sweep(ctx context.Context, tokens, certificates time.Time) error {
	_, err := s.db.exec(ctx, "store.Agents.Sweep", "DELETE FROM agent_tokens WHERE expires < ?", micros(tokens))
	if err != nil {
		return err
	}
	_, err = s.db.exec(ctx, "store.Agents.Sweep", "DELETE FROM agent_certificates WHERE expires < ?", micros(certificates))
	return err
}
