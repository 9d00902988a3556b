import type { Connection, RowDataPacket } from 'mysql2/promise'
import { fullestSpan } from '../support/counting-server.ts'
import { EVERY_MS } from './changes.ts'
import { ITEMS_A_WINDOW, LIMIT, PAGES_A_CRAWL, RATE_LIMIT } from './tables.ts'

/** One claim that must hold, with the findings. */
export interface Proof {
  readonly claim: string
  readonly ok: boolean
  /** How much was checked, or the first offenders. */
  readonly found: string
}

/** Must equal the store's factor. The checker shares no code with the code under test. */
const FENCE_FACTOR = 65_536

/**
 * A backfill runs windows that lie wholly within its range. If the schedule changes before they are planned, a part of a window may be
 * left at each end. A longer stretch of the range without windows is a fault.
 */
const EDGES_MS = 2 * Math.max(...EVERY_MS)

const WITH_PREVIOUS_END = `
  SELECT job_id, start_at, LAG(end_at) OVER (PARTITION BY job_id ORDER BY start_at) AS previous_end FROM piko_window`

/**
 * Checks only the database and the target tables.
 *
 * @param lastRunId runs up to this one must have ended; later ones may be under way
 */
export async function check(database: Connection, lastRunId: number): Promise<Proof[]> {
  const rows = async (sql: string, params: readonly (number | string)[] = []): Promise<RowDataPacket[]> =>
    (await database.query<RowDataPacket[]>(sql, [...params]))[0]
  const none = async (claim: string, total: string, sql: string, params: readonly (number | string)[] = []) => {
    const offenders = await rows(`${sql} LIMIT 5`, params)
    const [counted] = await rows(total)
    const count = Number(Object.values(counted ?? {})[0])
    return {
      claim,
      // A rule without data proves nothing.
      ok: offenders.length === 0 && count > 0,
      found: offenders.length > 0 ? JSON.stringify(offenders) : `${count} looked at`,
    }
  }
  const windowsOf = (jobId: string): string => `SELECT COUNT(*) FROM piko_window WHERE job_id = '${jobId}'`

  return [
    await none(
      'every accepted run has succeeded',
      'SELECT COUNT(*) FROM chaos_accepted',
      `SELECT a.run_id, r.state FROM chaos_accepted a LEFT JOIN piko_run r ON r.id = a.run_id
       WHERE r.state IS NULL OR r.state <> 'succeeded'`,
    ),
    await none(
      'every succeeded plain run has had its effect',
      `SELECT COUNT(*) FROM piko_run WHERE job_id = 'plain' AND state = 'succeeded'`,
      `SELECT r.id FROM piko_run r LEFT JOIN chaos_plain p ON p.run_id = r.id
       WHERE r.job_id = 'plain' AND r.state = 'succeeded' AND p.run_id IS NULL`,
    ),
    await none(
      'no run failed or was cancelled',
      'SELECT COUNT(*) FROM piko_run',
      `SELECT id, job_id, state, LEFT(error, 300) AS error FROM piko_run WHERE state IN ('failed', 'cancelled')`,
    ),
    await none(
      'no run is stuck',
      'SELECT COUNT(*) FROM piko_run',
      `SELECT id, job_id, state, node_id FROM piko_run WHERE id <= ? AND state IN ('queued', 'running')`,
      [lastRunId],
    ),
    await none(
      'a committed window has exactly one effect, written by the claim that finished it',
      windowsOf('committed'),
      `SELECT w.start_at, COUNT(c.run_id) AS effects, MIN(c.fence) AS fence, MAX(w.fence) AS expected
       FROM piko_window w LEFT JOIN chaos_committed c ON c.window_start = w.start_at
       WHERE w.job_id = 'committed' AND w.state = 'succeeded'
       GROUP BY w.start_at HAVING effects <> 1 OR fence <> expected`,
    ),
    await none(
      'a window that has not succeeded has no committed effect',
      'SELECT COUNT(*) FROM chaos_committed',
      `SELECT c.window_start, w.state FROM chaos_committed c
       LEFT JOIN piko_window w ON w.job_id = 'committed' AND w.start_at = c.window_start
       WHERE w.state IS NULL OR w.state <> 'succeeded'`,
    ),
    await none(
      'a sunk window holds the rows of one claim, the one that finished it, each once',
      windowsOf('sunk'),
      `SELECT w.start_at, COUNT(s.item) AS items, COUNT(DISTINCT s.item) AS kinds, MIN(s.fence) AS lowest,
         MAX(s.fence) AS highest, MAX(w.fence) AS expected
       FROM piko_window w LEFT JOIN chaos_sunk s ON s.window_start = w.start_at
       WHERE w.job_id = 'sunk' AND w.state = 'succeeded'
       GROUP BY w.start_at
       HAVING items <> ${ITEMS_A_WINDOW} OR kinds <> ${ITEMS_A_WINDOW} OR lowest <> expected OR highest <> expected`,
    ),
    await none(
      'windows tile: each begins where the one before it ends',
      `SELECT COUNT(*) FROM piko_window WHERE job_id <> 'changing'`,
      `SELECT * FROM (${WITH_PREVIOUS_END}) w
       WHERE job_id <> 'changing' AND previous_end IS NOT NULL AND previous_end <> start_at`,
    ),
    await none(
      'windows of a job never overlap, however its schedule changes',
      // Shows nothing if one schedule bounded all windows.
      `SELECT COUNT(*) > 1 FROM piko_generation WHERE job_id = 'changing'`,
      `SELECT * FROM (${WITH_PREVIOUS_END}) w WHERE previous_end > start_at`,
    ),
    await none(
      'windows of the changing job tile from its first start on, and wherever a backfill was',
      windowsOf('changing'),
      `SELECT w.start_at, w.previous_end FROM (${WITH_PREVIOUS_END}) w JOIN piko_job j ON j.id = w.job_id
       WHERE w.job_id = 'changing' AND (w.previous_end IS NULL OR w.previous_end < w.start_at)
         AND (w.start_at > j.ledger_start OR EXISTS (
           SELECT 1 FROM piko_backfill b WHERE b.job_id = w.job_id AND TIMESTAMPDIFF(MICROSECOND,
             GREATEST(b.from_at, COALESCE(w.previous_end, b.from_at)), LEAST(b.to_at, w.start_at)) > ${1_000 * EDGES_MS}))`,
    ),
    await none(
      'a window keeps the bounds that its effects had',
      'SELECT COUNT(*) FROM chaos_changing',
      `SELECT c.window_start, c.window_end, w.end_at FROM chaos_changing c
       LEFT JOIN piko_window w ON w.job_id = 'changing' AND w.start_at = c.window_start
       WHERE w.end_at IS NULL OR w.end_at <> c.window_end`,
    ),
    await none(
      'a window of the changing job has exactly one effect of the claim that finished it',
      windowsOf('changing'),
      `SELECT w.start_at, COUNT(c.fence) AS effects FROM piko_window w
       LEFT JOIN chaos_changing c ON c.window_start = w.start_at AND c.fence = w.fence
       WHERE w.job_id = 'changing' AND w.state = 'succeeded' GROUP BY w.start_at HAVING effects <> 1`,
    ),
    await none(
      'every backfill has succeeded',
      'SELECT COUNT(*) FROM piko_backfill',
      `SELECT id, state, from_at, to_at, total, planned, passed FROM piko_backfill WHERE state <> 'succeeded'`,
    ),
    await none(
      'every planned window whose run had its time has succeeded',
      'SELECT COUNT(*) FROM piko_window',
      `SELECT job_id, start_at, state FROM piko_window WHERE run_id <= ? AND state <> 'succeeded'`,
      [lastRunId],
    ),
    await none(
      'ticks are unique',
      'SELECT COUNT(*) FROM piko_run WHERE tick IS NOT NULL',
      `SELECT job_id, tick, COUNT(*) AS runs FROM piko_run WHERE tick IS NOT NULL GROUP BY job_id, tick HAVING runs > 1`,
    ),
    await none(
      'no tick is missing between the first and the last',
      `SELECT COUNT(*) FROM piko_run WHERE job_id = 'ticking'`,
      `SELECT * FROM (
         SELECT tick, LAG(tick) OVER (ORDER BY tick) AS previous FROM piko_run WHERE job_id = 'ticking') t
       WHERE TIMESTAMPDIFF(MICROSECOND, previous, tick) > 500000`,
    ),
    await none(
      'fences of finished runs are those of their last claims',
      'SELECT COUNT(*) FROM piko_window WHERE fence IS NOT NULL',
      `SELECT w.job_id, w.start_at, w.fence, r.claims FROM piko_window w JOIN piko_run r ON r.id = w.run_id
       WHERE w.state = 'succeeded' AND w.fence <> r.id * ${FENCE_FACTOR} + r.claims`,
    ),
    concurrency(
      await rows(
        'SELECT run_id, started_at, ended_at FROM chaos_limited WHERE ended_at IS NOT NULL ORDER BY started_at',
      ),
    ),
    await none(
      'no claim of a limited run was begun twice',
      'SELECT COUNT(*) FROM chaos_limited',
      'SELECT run_id, fence, COUNT(*) AS beginnings FROM chaos_limited GROUP BY run_id, fence HAVING beginnings > 1',
    ),
    await none(
      'a limited run has exactly one end',
      'SELECT COUNT(*) FROM chaos_limited',
      `SELECT r.id, COUNT(l.ended_at) AS ends FROM piko_run r LEFT JOIN chaos_limited l ON l.run_id = r.id
       WHERE r.job_id = 'limited' AND r.state = 'succeeded' GROUP BY r.id HAVING ends <> 1`,
    ),
    await none(
      'a succeeded crawl has each page once, and all are done',
      windowsOf('crawled'),
      `SELECT w.start_at, COUNT(i.id) AS pages, COUNT(DISTINCT i.item_key) AS kinds, SUM(i.state <> 'done') AS open
       FROM piko_window w LEFT JOIN piko_item_run g ON g.run_id = w.run_id LEFT JOIN piko_item i ON i.fence = g.fence
       WHERE w.job_id = 'crawled' AND w.state = 'succeeded' GROUP BY w.start_at
       HAVING pages <> ${PAGES_A_CRAWL} OR kinds <> ${PAGES_A_CRAWL} OR open <> 0`,
    ),
    await none(
      'a done page that commits has exactly one effect',
      `SELECT COUNT(*) FROM piko_item WHERE job_id = 'crawled' AND state = 'done'`,
      `SELECT i.id, COUNT(c.item_id) AS effects FROM piko_item i LEFT JOIN chaos_crawled c ON c.item_id = i.id
       WHERE i.job_id = 'crawled' AND i.state = 'done' AND SUBSTRING_INDEX(i.item_key, '/', -1) % 2 = 0
       GROUP BY i.id HAVING effects <> 1`,
    ),
    await none(
      'a page that is not done has no committed effect',
      'SELECT COUNT(*) FROM chaos_crawled',
      `SELECT c.item_id, c.page, i.state FROM chaos_crawled c LEFT JOIN piko_item i ON i.id = c.item_id
       WHERE i.state IS NULL OR i.state <> 'done' OR i.fence <> c.fence`,
    ),
    await none(
      'a crawled window holds the row of each page, of the crawl that finished it',
      windowsOf('crawled'),
      `SELECT w.start_at, COUNT(s.page) AS pages, MIN(s.fence) AS lowest, MAX(s.fence) AS highest, MAX(g.fence) AS expected
       FROM piko_window w LEFT JOIN piko_item_run g ON g.run_id = w.run_id
       LEFT JOIN chaos_crawl_sunk s ON s.window_start = w.start_at
       WHERE w.job_id = 'crawled' AND w.state = 'succeeded'
       GROUP BY w.start_at HAVING pages <> ${PAGES_A_CRAWL} OR lowest <> expected OR highest <> expected`,
    ),
    await none(
      'every succeeded rated run has called the server',
      `SELECT COUNT(*) FROM piko_run WHERE job_id = 'rated' AND state = 'succeeded'`,
      `SELECT r.id FROM piko_run r LEFT JOIN chaos_called c ON c.run_id = r.id
       WHERE r.job_id = 'rated' AND r.state = 'succeeded' AND c.run_id IS NULL`,
    ),
    rate(await rows('SELECT since_ms, at_ms FROM chaos_called')),
  ]
}

/** Uses the server's own times. Counts only calls that certainly came within one second. */
function rate(rows: readonly RowDataPacket[]): Proof {
  const hits = rows.map((row) => ({ since: Number(row['since_ms']), at: Number(row['at_ms']) }))
  const most = fullestSpan(hits, 1_000)
  return {
    claim: `in no second the server had more than ${RATE_LIMIT} calls of the rated job`,
    ok: hits.length > 0 && most <= RATE_LIMIT,
    found: `${hits.length} looked at, ${most} at most`,
  }
}

/** Uses the target table's own times: how many runs were between begin and end at the same time. */
function concurrency(rows: readonly RowDataPacket[]): Proof {
  const edges = rows.flatMap((row) => [
    { at: (row['started_at'] as Date).getTime(), change: 1 },
    { at: (row['ended_at'] as Date).getTime(), change: -1 },
  ])
  // In the same millisecond an end comes first, because the times are truncated, not rounded.
  edges.sort((a, b) => a.at - b.at || a.change - b.change)
  let now = 0
  let most = 0
  for (const { change } of edges) {
    now += change
    most = Math.max(most, now)
  }
  return {
    claim: `at most ${LIMIT} runs of the limited job were under way at once`,
    ok: rows.length > 0 && most <= LIMIT,
    found: `${rows.length} looked at, ${most} at most`,
  }
}
