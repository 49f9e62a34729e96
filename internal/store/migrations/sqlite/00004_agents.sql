-- +goose Up
-- Times are microseconds since 1970; 0 is never.
CREATE TABLE agent_tokens (
  hash    BLOB PRIMARY KEY, -- SHA-256
  id      TEXT NOT NULL,
  cluster TEXT NOT NULL,
  issuer  TEXT NOT NULL, -- of who made it
  subject TEXT NOT NULL,
  email   TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  used    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_tokens_by_end ON agent_tokens (expires);

CREATE TABLE agent_certificates (
  serial      TEXT PRIMARY KEY,
  fingerprint BLOB NOT NULL, -- SHA-256 of the certificate
  cluster     TEXT NOT NULL,
  issued      INTEGER NOT NULL,
  expires     INTEGER NOT NULL,
  registered  INTEGER NOT NULL,
  issuer      TEXT NOT NULL, -- of who made the token
  subject     TEXT NOT NULL,
  email       TEXT NOT NULL,
  address     TEXT NOT NULL,
  renews      TEXT NOT NULL, -- a serial number; empty at a registration
  revoked     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_certificates_that_hold ON agent_certificates (cluster, expires) WHERE revoked = 0;
CREATE INDEX agent_certificates_by_end ON agent_certificates (expires);

-- +goose Down
DROP TABLE agent_certificates;
DROP TABLE agent_tokens;
