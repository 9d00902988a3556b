-- Changes of the fleet's state, in the order in which readers see them. `seq` is the number of a row's first event. It is null until a reader
-- gives it one.
CREATE TABLE piko_event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  seq INTEGER,
  size INTEGER NOT NULL,
  body TEXT NOT NULL,
  created_at TEXT NOT NULL
);

CREATE UNIQUE INDEX event_seq ON piko_event (seq);

-- One row: the last number given, and until when somebody listens.
CREATE TABLE piko_event_head (
  id INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL DEFAULT 0,
  start_seq INTEGER NOT NULL DEFAULT 0,
  complete_at TEXT,
  listened_until TEXT
);
