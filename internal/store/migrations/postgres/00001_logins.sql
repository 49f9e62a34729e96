-- +goose Up
-- Times are microseconds since 1970. Names are compared byte by byte.
CREATE TABLE logins (
  id      TEXT COLLATE "C" PRIMARY KEY,
  issuer  TEXT COLLATE "C" NOT NULL,
  subject TEXT COLLATE "C" NOT NULL,
  actor   TEXT NOT NULL, -- JSON
  agent   TEXT NOT NULL,
  renewal BYTEA NOT NULL,
  due     BIGINT NOT NULL, -- when to renew; 0 is never
  version BIGINT NOT NULL,
  created BIGINT NOT NULL,
  active  BIGINT NOT NULL,
  claimed BIGINT NOT NULL -- until when
);
CREATE INDEX logins_of_person ON logins (issuer, subject, created);
CREATE INDEX logins_by_creation ON logins (created);
CREATE INDEX logins_by_activity ON logins (active);

-- +goose Down
DROP TABLE logins;
