CREATE TABLE piko_item_run (
  fence INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  job_id TEXT NOT NULL,
  stored INTEGER NOT NULL DEFAULT 0,
  output TEXT,
  seeded_at TEXT,
  ended_at TEXT,
  created_at TEXT NOT NULL,
  PRIMARY KEY (fence)
);

CREATE INDEX item_run_run ON piko_item_run (run_id, fence);

CREATE INDEX item_run_open ON piko_item_run (ended_at, fence);

CREATE TABLE piko_item (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  fence INTEGER NOT NULL,
  job_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  lane_id INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'dead', 'skipped', 'cancelled')),
  priority INTEGER NOT NULL,
  due_at TEXT NOT NULL,
  depth INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  print TEXT NOT NULL,
  item_key TEXT NOT NULL,
  data TEXT,
  parent_id INTEGER,
  node_id TEXT,
  claims INTEGER NOT NULL DEFAULT 0,
  tries TEXT,
  reason TEXT,
  error TEXT,
  kept TEXT,
  position TEXT,
  created_at TEXT NOT NULL,
  started_at TEXT,
  finished_at TEXT
);

CREATE UNIQUE INDEX item_print ON piko_item (job_id, scope, print);

CREATE INDEX item_lane ON piko_item (lane_id, state, priority, due_at, id);

CREATE INDEX item_run ON piko_item (fence, state, id);

CREATE TABLE piko_item_body (
  item_id INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (item_id)
);

CREATE TABLE piko_item_count (
  fence INTEGER NOT NULL,
  kind TEXT NOT NULL,
  what TEXT NOT NULL,
  node_id TEXT NOT NULL,
  amount INTEGER NOT NULL,
  PRIMARY KEY (fence, kind, what, node_id)
);

CREATE TABLE piko_lane (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  scope TEXT NOT NULL,
  name TEXT NOT NULL,
  next_at TEXT,
  free_at TEXT,
  rate_limit INTEGER,
  rate_ms INTEGER,
  parallel INTEGER,
  delay_ms INTEGER,
  factor REAL NOT NULL DEFAULT 1,
  successes INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  recent INTEGER NOT NULL DEFAULT 1,
  opens INTEGER NOT NULL DEFAULT 0,
  open_until TEXT,
  paused_at TEXT
);

CREATE UNIQUE INDEX lane_name ON piko_lane (scope, name);

CREATE INDEX lane_next ON piko_lane (next_at, id);

CREATE TABLE piko_lane_note (
  lane_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  note TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  PRIMARY KEY (lane_id, name)
);

CREATE TABLE piko_item_state (
  job_id TEXT NOT NULL,
  pool TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT,
  uses INTEGER NOT NULL DEFAULT 0,
  errors INTEGER NOT NULL DEFAULT 0,
  item_id INTEGER,
  claims INTEGER,
  used_at TEXT NOT NULL,
  retired_at TEXT,
  PRIMARY KEY (job_id, pool, name)
);

CREATE INDEX item_state_item ON piko_item_state (item_id);

CREATE TABLE piko_item_score (
  job_id TEXT NOT NULL,
  score_group TEXT NOT NULL,
  name TEXT NOT NULL,
  ok INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  success_share REAL NOT NULL,
  ms REAL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (job_id, score_group, name)
);
