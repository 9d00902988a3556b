CREATE TABLE IF NOT EXISTS piko_fence (
  table_name TEXT NOT NULL,
  window_start TEXT NOT NULL,
  fence INTEGER NOT NULL,
  batches TEXT NOT NULL,
  row_count INTEGER,
  PRIMARY KEY (table_name, window_start)
);
