import { type Connection, createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/store/connection/database.ts'
import { migrate } from '../../src/store/migration/migrate.ts'
import { createMysqlDatabase } from '../support/databases.ts'
import { check } from './checker.ts'
import { PAGES_A_CRAWL, RATE_LIMIT, TARGET_TABLES } from './tables.ts'

const FENCE = 65_536

const PAGES = Array.from({ length: PAGES_A_CRAWL }, (_, page) => page)
/** The fence of the crawl's items. */
const CRAWL = 10 * FENCE + 1

/** The data of a healthy cluster: run 1 plain, 2 limited, 3 and 4 windows, 5 and 6 ticks, 7 and 8 changing, 9 rated, 10 crawled. */
const HEALTHY = [
  ...[
    [1, 'plain', 'NULL'],
    [2, 'limited', 'NULL'],
    [3, 'committed', 'NULL'],
    [4, 'sunk', 'NULL'],
    [5, 'ticking', `'2026-01-01 00:00:00.000'`],
    [6, 'ticking', `'2026-01-01 00:00:00.500'`],
    [7, 'changing', 'NULL'],
    [8, 'changing', 'NULL'],
    [9, 'rated', 'NULL'],
    [10, 'crawled', 'NULL'],
  ].map(
    ([id, job, tick]) =>
      `INSERT INTO piko_run (id, job_id, state, kind, run_at, tick, claims, created_at)
       VALUES (${id}, '${job}', 'succeeded', 'manual', NOW(3), ${tick}, 1, NOW(3))`,
  ),
  ...[
    [3, 'committed'],
    [4, 'sunk'],
    [10, 'crawled'],
  ].map(
    ([id, job]) =>
      `INSERT INTO piko_window (job_id, start_at, end_at, state, run_id, fence, updated_at)
       VALUES ('${job}', '2026-01-01', '2026-01-02', 'succeeded', ${id}, ${Number(id) * FENCE + 1}, NOW(3))`,
  ),
  'INSERT INTO chaos_accepted VALUES (1), (2)',
  'INSERT INTO chaos_plain VALUES (1, 1)',
  `INSERT INTO chaos_committed VALUES ('2026-01-01', 3, ${3 * FENCE + 1})`,
  `INSERT INTO chaos_sunk VALUES ${[0, 1, 2].map((item) => `('2026-01-01', ${4 * FENCE + 1}, ${item})`).join()}`,
  `INSERT INTO piko_job (id, ledger_start, created_at) VALUES ('changing', '2026-01-03', NOW(3))`,
  `INSERT INTO piko_generation VALUES
   ('changing', '2026-01-01', '{}', NOW(3)), ('changing', '2026-01-05', '{}', NOW(3))`,
  `INSERT INTO piko_window (job_id, start_at, end_at, state, run_id, fence, updated_at) VALUES
   ('changing', '2026-01-01', '2026-01-02', 'succeeded', 7, ${7 * FENCE + 1}, NOW(3)),
   ('changing', '2026-01-03', '2026-01-04', 'succeeded', 8, ${8 * FENCE + 1}, NOW(3))`,
  `INSERT INTO chaos_changing VALUES
   ('2026-01-01', '2026-01-02', ${7 * FENCE + 1}), ('2026-01-03', '2026-01-04', ${8 * FENCE + 1})`,
  `INSERT INTO piko_backfill (job_id, state, from_at, to_at, window_order, only_windows, parallel, priority, total, created_at)
   VALUES ('changing', 'succeeded', '2026-01-01', '2026-01-02', 'oldest', 'all', 1, 0, 1, NOW(3))`,
  // The maximum in a second, twice.
  `INSERT INTO chaos_called VALUES ${[0, 1_001].flatMap((at) => Array<string>(RATE_LIMIT).fill(`(9, ${at}, ${at})`)).join()}`,
  `INSERT INTO piko_item_run (fence, run_id, job_id, created_at) VALUES (${CRAWL}, 10, 'crawled', NOW(3))`,
  `INSERT INTO piko_item (id, fence, job_id, kind, lane_id, state, priority, due_at, depth, scope, print, item_key, created_at)
   VALUES ${PAGES.map(
     (page) =>
       `(${page + 1}, ${CRAWL}, 'crawled', 'page', 1, 'done', 0, NOW(3), 0, ${CRAWL}, '${page}', 'GET https://chaos.test/page/${page}', NOW(3))`,
   ).join()}`,
  `INSERT INTO chaos_crawled VALUES ${PAGES.filter((page) => page % 2 === 0)
    .map((page) => `('2026-01-01', ${page + 1}, ${page}, ${CRAWL})`)
    .join()}`,
  `INSERT INTO chaos_crawl_sunk VALUES ${PAGES.map((page) => `('2026-01-01', ${CRAWL}, ${page})`).join()}`,
  `INSERT INTO chaos_limited VALUES (2, ${2 * FENCE + 1}, '2026-01-01 00:00:00', '2026-01-01 00:00:01')`,
]

/** A fault, and the claim of the checker that it must break. */
const WRONGS: readonly (readonly [what: string, sql: string, claim: RegExp])[] = [
  [
    'a claim was begun by two nodes',
    'INSERT INTO chaos_limited (run_id, fence, started_at) SELECT run_id, fence, started_at FROM chaos_limited',
    /no claim of a limited run was begun twice/,
  ],
  ['an accepted run is gone', 'INSERT INTO chaos_accepted VALUES (999)', /accepted run has succeeded/],
  ['a run has had no effect', 'DELETE FROM chaos_plain', /plain run has had its effect/],
  ['a run failed', `UPDATE piko_run SET state = 'failed' WHERE id = 1`, /no run failed/],
  ['a run is running still', `UPDATE piko_run SET state = 'running' WHERE id = 6`, /no run is stuck/],
  ['an effect is doubled', 'INSERT INTO chaos_committed SELECT * FROM chaos_committed', /exactly one effect/],
  ['an effect is missing', 'DELETE FROM chaos_committed', /exactly one effect/],
  ['an effect is of another claim', 'UPDATE chaos_committed SET fence = fence + 1', /exactly one effect/],
  [
    'an effect without its window',
    `UPDATE piko_window SET state = 'pending' WHERE job_id = 'committed'`,
    /that has not succeeded has no/,
  ],
  ['a sunk row is doubled', 'INSERT INTO chaos_sunk SELECT * FROM chaos_sunk LIMIT 1', /rows of one claim/],
  ['a sunk row is of a zombie', 'UPDATE chaos_sunk SET fence = fence - 1 WHERE item = 1', /rows of one claim/],
  [
    'a gap between windows',
    `INSERT INTO piko_window (job_id, start_at, end_at, state, updated_at)
     VALUES ('sunk', '2026-01-03', '2026-01-04', 'pending', NOW(3))`,
    /windows tile/,
  ],
  ['a window is left', `UPDATE piko_window SET state = 'pending' WHERE job_id = 'sunk'`, /planned window/],
  ['a tick is missing', `UPDATE piko_run SET tick = '2026-01-01 00:00:05' WHERE id = 6`, /no tick is missing/],
  ['a window was finished by an old claim', 'UPDATE piko_run SET claims = 2 WHERE id IN (3, 4)', /those of their last/],
  [
    'too many at once',
    `INSERT INTO chaos_limited SELECT run_id, l.fence + item + 1, started_at, ended_at FROM chaos_limited l, chaos_sunk`,
    /were under way at once/,
  ],
  [
    'windows overlap after a change of the schedule',
    `INSERT INTO piko_window (job_id, start_at, end_at, state, updated_at)
     VALUES ('changing', '2026-01-01 12:00:00', '2026-01-03', 'skipped', NOW(3))`,
    /never overlap/,
  ],
  ['no schedule changed', 'DELETE FROM piko_generation LIMIT 1', /never overlap/],
  ['a live window is missing', `UPDATE piko_job SET ledger_start = '2026-01-02 12:00:00'`, /changing job tile/],
  ['a backfill left a gap', `UPDATE piko_backfill SET to_at = '2026-01-02 00:00:06'`, /changing job tile/],
  ['a backfill left out its first window', `UPDATE piko_backfill SET from_at = '2025-12-31'`, /changing job tile/],
  [
    'a window got other bounds',
    `UPDATE chaos_changing SET window_end = '2026-01-01 23:00:00' LIMIT 1`,
    /keeps the bounds/,
  ],
  [
    'a window got another beginning',
    `UPDATE chaos_changing SET window_start = '2025-12-31' LIMIT 1`,
    /keeps the bounds/,
  ],
  ['the last effect of a window is missing', 'UPDATE chaos_changing SET fence = fence - 1', /one effect of the claim/],
  ['a claim had two effects', 'INSERT INTO chaos_changing SELECT * FROM chaos_changing', /one effect of the claim/],
  ['a backfill goes on for ever', `UPDATE piko_backfill SET state = 'running'`, /every backfill/],
  ['a rated run did not call', 'UPDATE chaos_called SET run_id = 999', /has called the server/],
  [
    'a second had one call more than the rate',
    'UPDATE chaos_called SET since_ms = 999, at_ms = 999 WHERE at_ms > 0 LIMIT 1',
    /in no second/,
  ],
  ['a page is lost', 'DELETE FROM piko_item WHERE id = 2', /each page once/],
  [
    'a page is twice in a crawl',
    `UPDATE piko_item SET item_key = 'GET https://chaos.test/page/3' WHERE id = 2`,
    /each page once/,
  ],
  ['a page is dead', `UPDATE piko_item SET state = 'dead' WHERE id = 2`, /all are done/],
  ['the items of a crawl are gone', 'DELETE FROM piko_item_run', /each page once/],
  [
    'a page committed twice',
    'INSERT INTO chaos_crawled SELECT * FROM chaos_crawled LIMIT 1',
    /commits has exactly one effect/,
  ],
  ['the effect of a page is missing', 'DELETE FROM chaos_crawled LIMIT 1', /commits has exactly one effect/],
  [
    'a page committed and did not end',
    `UPDATE piko_item SET state = 'queued' WHERE id = 1`,
    /not done has no committed/,
  ],
  ['the sunk row of a page is missing', 'DELETE FROM chaos_crawl_sunk LIMIT 1', /row of each page/],
  ['a sunk page is of another crawl', 'UPDATE chaos_crawl_sunk SET fence = fence - 1 LIMIT 1', /row of each page/],
  ['a limited run ended twice', 'INSERT INTO chaos_limited SELECT * FROM chaos_limited', /exactly one end/],
]

describe('the checker of the chaos suite', () => {
  let database: Awaited<ReturnType<typeof createMysqlDatabase>>
  let connection: Connection

  beforeAll(async () => {
    database = await createMysqlDatabase()
    const opened = await openDatabase({ mysql: database.options })
    await migrate(opened, { direction: 'up' })
    await opened.close()
    connection = await createConnection({ uri: database.dsn, timezone: 'Z' })
    for (const table of TARGET_TABLES) await connection.query(table)
  })
  afterAll(async () => {
    await connection.end()
    await database.drop()
  })
  beforeEach(async () => {
    const ours = ['job', 'run', 'window', 'generation', 'backfill', 'item', 'item_run'].map((table) => `piko_${table}`)
    const theirs = [
      ...['accepted', 'plain', 'committed', 'sunk', 'limited', 'changing', 'called', 'crawled', 'crawl_sunk'],
    ].map((table) => `chaos_${table}`)
    for (const table of [...ours, ...theirs]) await connection.query(`DELETE FROM ${table}`)
    for (const statement of HEALTHY) await connection.query(statement)
  })

  it('finds no fault in correct data', async () => {
    expect((await check(connection, 10)).filter(({ ok }) => !ok)).toEqual([])
  })

  it('fails when it has no data to check', async () => {
    await connection.query('DELETE FROM chaos_accepted')
    expect((await check(connection, 10)).find(({ claim }) => claim.startsWith('every accepted'))).toMatchObject({
      ok: false,
    })
  })

  it.each(WRONGS)('finds the fault: %s', async (_, statement, claim) => {
    await connection.query(statement)
    const broken = (await check(connection, 10)).filter(({ ok }) => !ok)
    expect(broken.map((proof) => proof.claim).join('\n')).toMatch(claim)
  })

  // The last test, because the table does not get its key back.
  it('finds a tick that ran twice', async () => {
    await connection.query('ALTER TABLE piko_run DROP INDEX run_tick')
    await connection.query(`UPDATE piko_run SET tick = '2026-01-01' WHERE job_id = 'ticking'`)
    const proof = (await check(connection, 10)).find(({ claim }) => claim === 'ticks are unique')
    expect(proof).toMatchObject({ ok: false })
  })
})
