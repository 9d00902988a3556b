/** The tables that the handlers of the chaos suite write. No table has a unique key, so a doubled effect shows. */
export const TARGET_TABLES = [
  `CREATE TABLE chaos_accepted (run_id BIGINT NOT NULL, KEY (run_id)) ENGINE=InnoDB`,
  `CREATE TABLE chaos_plain (run_id BIGINT NOT NULL, attempt INT NOT NULL, KEY (run_id)) ENGINE=InnoDB`,
  `CREATE TABLE chaos_committed (
     window_start DATETIME(3) NOT NULL, run_id BIGINT NOT NULL, fence BIGINT NOT NULL, KEY (window_start)
   ) ENGINE=InnoDB`,
  `CREATE TABLE chaos_sunk (
     window_start DATETIME(3) NOT NULL, fence BIGINT NOT NULL, item INT NOT NULL, KEY (window_start, fence)
   ) ENGINE=InnoDB`,
  `CREATE TABLE chaos_limited (
     run_id BIGINT NOT NULL, fence BIGINT NOT NULL, started_at DATETIME(3) NOT NULL, ended_at DATETIME(3) NULL,
     KEY (run_id, fence)
   ) ENGINE=InnoDB`,
  `CREATE TABLE chaos_changing (
     window_start DATETIME(3) NOT NULL, window_end DATETIME(3) NOT NULL, fence BIGINT NOT NULL, KEY (window_start, fence)
   ) ENGINE=InnoDB`,
  `CREATE TABLE chaos_crawled (
     window_start DATETIME(3) NOT NULL, item_id BIGINT NOT NULL, page INT NOT NULL, fence BIGINT NOT NULL, KEY (item_id)
   ) ENGINE=InnoDB`,
  // Rows of a crawl may be sent again until their item ends, so this one has a key. A row of another crawl of the window still shows.
  `CREATE TABLE chaos_crawl_sunk (
     window_start DATETIME(3) NOT NULL, fence BIGINT NOT NULL, page INT NOT NULL, PRIMARY KEY (window_start, fence, page)
   ) ENGINE=InnoDB`,
  // The calls that the server of the job `rated` received, in milliseconds since the epoch; see its `Hit`.
  `CREATE TABLE chaos_called (run_id BIGINT NOT NULL, since_ms DOUBLE NOT NULL, at_ms DOUBLE NOT NULL, KEY (run_id)) ENGINE=InnoDB`,
]

/** Number of rows that a run of the job `sunk` writes for its window. */
export const ITEMS_A_WINDOW = 3
/** Number of pages that a run of the job `crawled` has. */
export const PAGES_A_CRAWL = 15
/** Maximum runs of the job `limited` at the same time. */
export const LIMIT = 3
/** Maximum runs of the job `rated` that may begin in a second. */
export const RATE_LIMIT = 10
/** How long a run of the job `long` takes: one and a half leases of the nodes. */
export const LONG_MS = 3_000
