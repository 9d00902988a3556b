import type { Connection } from 'mysql2/promise'

const STEP = 50_000

/**
 * Inserts a lane with this many items that have ended. The rows are in the order of each index, because MariaDB inserts them faster then.
 */
export async function fillEnded(connection: Connection, count: number): Promise<void> {
  await connection.query(
    `INSERT INTO piko_lane (id, scope, name, next_at) VALUES (1, 'bench', 'bench', UTC_TIMESTAMP(3))`,
  )
  await fill(connection, count, `'done'`, 0)
}

export async function fillQueued(connection: Connection, count: number): Promise<void> {
  await fill(connection, count, `'queued'`, 1_000_000_000)
  await connection.query('ANALYZE TABLE piko_item')
}

async function fill(connection: Connection, count: number, state: string, first: number): Promise<void> {
  const digits =
    '(SELECT 0 AS n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)'
  await connection.query('CREATE TEMPORARY TABLE bench_number (n INT NOT NULL PRIMARY KEY)')
  await connection.query(
    `INSERT INTO bench_number SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n AS n
     FROM ${digits} a, ${digits} b, ${digits} c, ${digits} d, ${digits} e HAVING n < ${STEP}`,
  )
  await connection.query('SET unique_checks = 0')
  for (let from = 0; from < count; from += STEP) {
    await connection.query(
      `INSERT INTO piko_item (fence, job_id, kind, lane_id, state, priority, due_at, depth, scope, print, item_key, data,
         node_id, claims, created_at, started_at, finished_at)
       SELECT 1, 'bench', 'page', 1, ${state}, 0, '2026-01-01', 1, 1, LPAD(n + ${first + from}, 43, '0'),
         CONCAT('https://site.test/', n + ${from}), '{"url":"https://site.test/"}', NULL, 0, '2026-01-01', NULL, NULL
       FROM bench_number WHERE n < ${count - from} ORDER BY n`,
    )
  }
  await connection.query('DROP TEMPORARY TABLE bench_number')
}
