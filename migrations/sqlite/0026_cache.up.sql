-- Entries of caches that all nodes share. A row without a value says that the key was deleted, or that a node is loading its value.
CREATE TABLE piko_cache (
  space TEXT NOT NULL,
  print BLOB NOT NULL,
  cache_key TEXT NOT NULL,
  value BLOB,
  version INTEGER NOT NULL,
  stale_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  loader TEXT,
  loading_until TEXT,
  PRIMARY KEY (space, print)
);

CREATE INDEX cache_expiry ON piko_cache (expires_at);
