-- +goose Up
-- Times are microseconds since 1970; 0 is never. Names are compared byte by byte.
CREATE TABLE people (
  issuer  TEXT COLLATE "C" NOT NULL,
  subject TEXT COLLATE "C" NOT NULL,
  email   TEXT NOT NULL,
  name    TEXT NOT NULL,
  member  TEXT NOT NULL, -- JSON
  seen    BIGINT NOT NULL,
  PRIMARY KEY (issuer, subject)
);

CREATE TABLE tokens (
  id       TEXT COLLATE "C" PRIMARY KEY,
  hash     BYTEA NOT NULL UNIQUE,
  issuer   TEXT COLLATE "C" NOT NULL,
  subject  TEXT COLLATE "C" NOT NULL,
  name     TEXT COLLATE "C" NOT NULL,
  scopes   TEXT NOT NULL, -- JSON
  clusters TEXT NOT NULL, -- JSON
  created  BIGINT NOT NULL,
  expires  BIGINT NOT NULL,
  used     BIGINT NOT NULL,
  revoked  BIGINT NOT NULL,
  FOREIGN KEY (issuer, subject) REFERENCES people (issuer, subject)
);
CREATE UNIQUE INDEX tokens_by_name ON tokens (issuer, subject, name) WHERE revoked = 0;
CREATE INDEX tokens_by_creation ON tokens (created);

-- +goose Down
DROP TABLE tokens;
DROP TABLE people;
