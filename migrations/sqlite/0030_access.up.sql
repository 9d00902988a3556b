-- Who may ask, and who changed what. A token is stored as its SHA-256. A name belongs to one token at a time: name_key is null once it is revoked.
CREATE TABLE piko_token (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  digest TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  name_key TEXT UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  jobs TEXT,
  created_at TEXT NOT NULL,
  expires_at TEXT,
  revoked_at TEXT,
  used_at TEXT
);

CREATE TABLE piko_session (
  digest TEXT NOT NULL PRIMARY KEY,
  token_digest TEXT NOT NULL,
  created_at TEXT NOT NULL,
  expires_at TEXT NOT NULL
);

CREATE INDEX session_expiry ON piko_session (expires_at);

CREATE TABLE piko_audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  began_at TEXT NOT NULL,
  ended_at TEXT,
  outcome TEXT NOT NULL CHECK (outcome IN ('started', 'done', 'unknown')),
  verb TEXT NOT NULL,
  actor_kind TEXT NOT NULL CHECK (actor_kind IN ('token', 'session', 'local', 'cli', 'code')),
  actor TEXT NOT NULL,
  job_id TEXT,
  target TEXT,
  reason TEXT,
  request TEXT,
  before_change TEXT,
  after_change TEXT,
  error_code TEXT
);

CREATE INDEX audit_began ON piko_audit (began_at, id);

CREATE INDEX audit_ended ON piko_audit (ended_at, id);

CREATE INDEX audit_job ON piko_audit (job_id, id);

CREATE INDEX audit_verb ON piko_audit (verb, id);

CREATE INDEX audit_actor ON piko_audit (actor, id);
