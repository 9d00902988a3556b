import type { Database } from '../../../src/store/connection/database.ts'
import { ScaleSql } from './scale-sql.ts'

export interface ScaleSize {
  readonly runs: number
  readonly windows: number
}

/** What a generated store contains. */
export interface ScaleStore extends ScaleSize {
  /** Has a quarter of the runs, and half of the windows. */
  readonly busyJob: string
  /** Has few runs. */
  readonly rareJob: string
  readonly jobs: number
  /** A run with many log lines and items. */
  readonly fullRun: number
  /** The first instant of all rows. */
  readonly begin: Date
  readonly end: Date
}

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const SPAN_MS = 30 * DAY_MS
const JOBS = 500
const WINDOW_JOBS = 21
const NODES = 40
const HASH = 'a'.repeat(64)
const SCHEDULE = JSON.stringify({ kind: 'cron', cron: '0 * * * *', timezone: 'UTC' })
const WINDOWS = JSON.stringify({ start: '1970-01-01T00:00:00.000Z' })

/** The names of the tables that a scale store fills. */
const TABLES = [
  ...['job', 'job_config', 'run', 'window', 'attempt', 'run_log', 'node', 'lock', 'rate', 'backfill', 'batch'],
  ...['batch_slice', 'audit', 'event', 'dead_row', 'item_run', 'item', 'lane', 'shared', 'cache', 'token'],
].map((name) => `piko_${name}`)

/**
 * Fills an empty, migrated database with many runs and windows, and with many rows of every other table that people list. Works inside the
 * database: two million runs take minutes. Shares: 2 % of the runs have failed, 0.5 % are queued, a quarter belongs to one job.
 */
export async function fillStore(database: Database, size: ScaleSize): Promise<ScaleStore> {
  const sql = new ScaleSql(database)
  const { runs, windows } = size
  const endMs = Math.floor(Date.now() / 1_000) * 1_000
  const beginMs = endMs - SPAN_MS
  const at = (share: string): string => sql.at(beginMs, share)
  const later = (ms: string): string => sql.at(endMs, ms)
  /** The moment of row `i` of `count` rows. */
  const spread = (count: number, extraMs = 0): string => at(`i * ${SPAN_MS / count} + ${extraMs}`)
  const chance = sql.chance('i')
  const node = (number: string): string => sql.named('00000000-0000-7000-8000-00000', number)
  const jobOf = `CASE WHEN i % 4 = 0 THEN ${sql.named('job-', '0')} WHEN i % 5000 = 7 THEN 'rare' ELSE ${sql.named('job-', `1 + ${chance} % ${JOBS - 1}`)} END`
  const many = Math.max(1_000, Math.floor(runs / 40))

  await sql.fill('piko_job', JOBS, {
    id: sql.named('job-', 'i'),
    ...{ schedule: `'${SCHEDULE}'`, code_schedule: `'${SCHEDULE}'`, planned_schedule: `'${SCHEDULE}'` },
    windows: `CASE WHEN i < ${WINDOW_JOBS} THEN '${WINDOWS}' END`,
    is_paused: 'CASE WHEN i % 50 = 49 THEN 1 ELSE 0 END',
    ...{ next_tick: later('i * 60000'), plan_at: later('i * 60000') },
    ledger_start: sql.at(0, '0'),
    window_cursor: later('0'),
    ...{ created_at: at('0'), updated_at: at('0') },
  })
  await sql.fill('piko_job', 1, { id: `'rare'`, created_at: at('0'), updated_at: at('0') })
  await sql.fill('piko_job_config', 1_000, {
    job_id: sql.named('job-', '0'),
    version: 'i + 1',
    config: `'{"page":1}'`,
    ...{ effective_from: spread(1_000), created_at: spread(1_000) },
  })
  const newest = runs - Math.max(100, Math.floor(runs / 200))
  await sql.fill('piko_run', runs, {
    job_id: jobOf,
    state: `CASE WHEN i >= ${newest} THEN CASE WHEN i % 50 = 3 THEN 'running' ELSE 'queued' END
      ELSE ${sql.oneOf(chance, { failed: 20, cancelled: 5, skipped: 5 }, 'succeeded')} END`,
    kind: sql.oneOf(chance, { manual: 480, backfill: 10, dependency: 10 }, 'scheduled'),
    priority: `${chance} % 3`,
    ...{ run_at: spread(runs), created_at: spread(runs) },
    tick: `CASE WHEN ${chance} % 1000 >= 500 THEN ${spread(runs)} END`,
    attempt: '1',
    claims: '1',
    node_id: `CASE WHEN i >= ${newest} AND i % 50 = 3 THEN ${node(`i % ${NODES}`)} END`,
    error: `CASE WHEN i < ${newest} AND ${chance} % 1000 < 20 THEN
      CASE WHEN i % 3 = 0 THEN '{"name":"Error","message":"connect ETIMEDOUT 10.0.0.1:443"}' ELSE '{"name":"TypeError","message":"price is undefined"}' END END`,
    input: `'{"page":1}'`,
    started_at: `CASE WHEN i < ${newest} OR i % 50 = 3 THEN ${spread(runs, 40)} END`,
    finished_at: `CASE WHEN i < ${newest} THEN ${spread(runs, 1_500)} END`,
  })
  await fillWindows(sql, windows, endMs)
  const fullRun = 1
  await sql.fill('piko_run_log', many * 2, {
    ...{ run_id: String(fullRun), fence: '65537', attempt: '1', logged_at: spread(many * 2) },
    level: sql.oneOf(chance, { warn: 10, error: 5 }, 'info'),
    message: `'wrote a page'`,
  })
  await sql.fill('piko_attempt', many, {
    ...{ run_id: 'i + 1', fence: '(i + 1) * 65536 + 1', attempt: '1', outcome: `'failed'` },
    ...{ started_at: spread(many), finished_at: spread(many, 100) },
  })
  await sql.fill('piko_node', NODES, {
    ...{ id: node('i'), host: sql.named('worker-', 'i'), pid: '4000 + i' },
    ...{ started_at: spread(NODES), heartbeat_at: later('0'), expires_at: later(String(DAY_MS)) },
  })
  await sql.fill('piko_lock', many, {
    name: sql.named('user:lock-', 'i'),
    owner: node('1'),
    fence: '1',
    expires_at: later(String(DAY_MS)),
  })
  await sql.fill('piko_rate', many, {
    job_id: `'limit'`,
    rate_key: sql.named('limit-', 'i'),
    starts: `'[]'`,
    expires_at: later(String(DAY_MS)),
  })
  await sql.fill('piko_backfill', many, {
    job_id: sql.named('job-', `i % ${WINDOW_JOBS}`),
    state: sql.oneOf(chance, { failed: 50, cancelled: 10 }, 'succeeded'),
    ...{ from_at: spread(many), to_at: spread(many, DAY_MS), window_order: `'oldest'`, only_windows: `'missing'` },
    ...{ parallel: '4', priority: '10', total: '24', planned: '24' },
    ...{ created_at: spread(many), finished_at: spread(many, 1_000) },
  })
  await sql.fill('piko_batch', many, {
    job_id: jobOf,
    ...{ digest: `'${HASH}'`, state: `'succeeded'`, total: '1', stored: '1' },
    ...{ created_at: spread(many), finished_at: spread(many, 1_000) },
  })
  await sql.fill('piko_batch_slice', many, {
    ...{
      first_id: 'i + 1',
      last_id: 'i + 1',
      id_step: '1',
      batch_id: 'i + 1',
      from_item: '0',
      size: '1',
      is_open: '0',
    },
    ...{ succeeded: '1', failed: '0', cancelled: '0' },
  })
  await sql.fill('piko_audit', many * 2, {
    ...{ began_at: spread(many * 2), ended_at: spread(many * 2, 5), outcome: `'done'` },
    verb: sql.oneOf(chance, { 'jobs.pause': 100, 'runs.cancel': 200 }, 'runs.start'),
    ...{ actor_kind: `'cli'`, actor: sql.named('person-', 'i % 30'), job_id: jobOf },
  })
  await sql.fill('piko_event', many, {
    ...{ seq: 'i + 1', size: '1', created_at: spread(many) },
    body: `'[{"kind":"node","nodeId":"00000000-0000-7000-8000-000000000000","state":"started","host":"a"}]'`,
  })
  await sql.fill('piko_dead_row', many, {
    row_key: `CONCAT('${'b'.repeat(57)}', ${sql.named('', 'i')})`,
    ...{
      sink: sql.named('sink-', 'i % 5'),
      route: `'orders'`,
      job_id: jobOf,
      run_id: `1 + i % 1000`,
      attempt: '1',
      fence: '65537',
    },
    ...{
      batch_key: `'b'`,
      place: 'i',
      reason: `'too long'`,
      is_whole: '1',
      content: `'{"id":1}'`,
      died_at: spread(many),
    },
  })
  await fillItems(sql, { many, fullRun, spread: (extraMs) => spread(many, extraMs), chance })
  await sql.fill('piko_shared', many, {
    topic: sql.named('topic-', sql.div('i', 5)),
    ...{ version: '1 + i % 5', value: `'{"a":1}'`, created_at: spread(many) },
  })
  await sql.fill('piko_token', many, {
    digest: `CONCAT('${'c'.repeat(57)}', ${sql.named('', 'i')})`,
    ...{
      name: sql.named('token-', 'i'),
      name_key: sql.named('token-', 'i'),
      role: `'viewer'`,
      created_at: spread(many),
    },
  })
  await sql.analyze(TABLES)
  return {
    ...size,
    ...{ busyJob: 'job-0000000', rareJob: 'rare', jobs: JOBS + 1, fullRun },
    ...{ begin: new Date(beginMs), end: new Date(endMs) },
  }
}

/** Hourly windows up to now. Half of them belong to the first job; its ledger is far longer than a month. */
async function fillWindows(sql: ScaleSql, windows: number, endMs: number): Promise<void> {
  const half = Math.floor(windows / 2)
  const others = Math.floor(half / (WINDOW_JOBS - 1))
  const end = Math.floor(endMs / HOUR_MS) * HOUR_MS
  const stepMs = 600_000
  const window = (count: number, job: string, place: string): Record<string, string> => ({
    job_id: job,
    start_at: sql.at(end - count * stepMs, `(${place}) * ${stepMs}`),
    end_at: sql.at(end - count * stepMs, `(${place} + 1) * ${stepMs}`),
    state: `CASE WHEN ${place} < ${Math.floor(count * 0.9)} AND ${place} % 500 <> 77 THEN 'succeeded'
      ELSE ${sql.oneOf(sql.chance('i'), { failed: 30, stale: 20, cancelled: 5, waiting: 5 }, 'succeeded')} END`,
    ...{ run_id: 'i + 1', fence: '(i + 1) * 65536 + 1', updated_at: sql.at(endMs, '0') },
  })
  await sql.fill('piko_window', half, window(half, sql.named('job-', '0'), 'i'))
  const place = sql.div('i', WINDOW_JOBS - 1)
  const rest = others * (WINDOW_JOBS - 1)
  await sql.fill('piko_window', rest, window(others, sql.named('job-', `1 + i % ${WINDOW_JOBS - 1}`), place))
}

interface ItemFill {
  readonly many: number
  readonly fullRun: number
  readonly spread: (extraMs?: number) => string
  readonly chance: string
}

async function fillItems(sql: ScaleSql, { many, fullRun, spread, chance }: ItemFill): Promise<void> {
  await sql.fill('piko_item_run', 1, {
    ...{ fence: '65537', run_id: String(fullRun), job_id: `'job-0000000'`, stored: '1' },
    ...{ seeded_at: spread(), created_at: spread() },
  })
  await sql.fill('piko_lane', many, { scope: `'crawl'`, name: sql.named('host-', 'i') })
  await sql.fill('piko_item', many * 4, {
    ...{ fence: '65537', job_id: `'job-0000000'`, kind: `'page'`, lane_id: `1 + i % ${many}` },
    state: sql.oneOf(chance, { dead: 20, queued: 100, skipped: 5 }, 'done'),
    ...{ priority: '0', depth: '1', scope: '65537', item_key: sql.named('https://shop.example/', 'i') },
    print: `CONCAT('${'d'.repeat(36)}', ${sql.named('', 'i')})`,
    ...{ due_at: spread(), created_at: spread(), started_at: spread(5), finished_at: spread(50) },
  })
}
