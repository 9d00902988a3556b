CREATE TABLE piko_batch (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL,
  batch_key TEXT,
  digest TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('creating', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled')),
  total INTEGER NOT NULL,
  stored INTEGER NOT NULL DEFAULT 0,
  on_done TEXT,
  done_run_id INTEGER,
  created_at TEXT NOT NULL,
  finished_at TEXT
);

CREATE UNIQUE INDEX batch_key ON piko_batch (job_id, batch_key);

CREATE INDEX batch_open ON piko_batch (state) WHERE finished_at IS NULL;

-- The runs of a batch by ranges of their ids, so that the runs themselves need no column and no index.
CREATE TABLE piko_batch_slice (
  first_id INTEGER PRIMARY KEY,
  last_id INTEGER NOT NULL,
  id_step INTEGER NOT NULL,
  batch_id INTEGER NOT NULL,
  from_item INTEGER NOT NULL,
  size INTEGER NOT NULL,
  is_open INTEGER NOT NULL DEFAULT 1,
  succeeded INTEGER,
  failed INTEGER,
  cancelled INTEGER
);

CREATE INDEX slice_batch ON piko_batch_slice (batch_id, is_open, first_id);
