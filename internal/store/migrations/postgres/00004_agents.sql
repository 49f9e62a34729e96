-- +goose Up
-- Times are microseconds since 1970; 0 is never. Names are compared byte by byte.
CREATE TABLE agent_tokens (
  hash    BYTEA PRIMARY KEY, -- SHA-256
  id      TEXT NOT NULL,
  cluster TEXT COLLATE "C" NOT NULL,
  issuer  TEXT NOT NULL, -- of who made it
  subject TEXT NOT NULL,
  email   TEXT NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  used    BIGINT NOT NULL
);
CREATE INDEX agent_tokens_by_end ON agent_tokens (expires);

CREATE TABLE agent_certificates (
  serial      TEXT COLLATE "C" PRIMARY KEY,
  fingerprint BYTEA NOT NULL, -- SHA-256 of the certificate
  cluster     TEXT COLLATE "C" NOT NULL,
  issued      BIGINT NOT NULL,
  expires     BIGINT NOT NULL,
  registered  BIGINT NOT NULL,
  issuer      TEXT NOT NULL, -- of who made the token
  subject     TEXT NOT NULL,
  email       TEXT NOT NULL,
  address     TEXT NOT NULL,
  renews      TEXT NOT NULL, -- a serial number; empty at a registration
  revoked     BIGINT NOT NULL
);
CREATE INDEX agent_certificates_that_hold ON agent_certificates (cluster, expires) WHERE revoked = 0;
CREATE INDEX agent_certificates_by_end ON agent_certificates (expires);

-- +goose Down
DROP TABLE agent_certificates;
DROP TABLE agent_tokens;
