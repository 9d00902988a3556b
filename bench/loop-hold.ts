/**
 * The longest time that each operation holds the event loop on SQLite, with 100,000 runs, 100,000 windows and 10,000 jobs. Run it with
 * `node --conditions=piko-source --import tsx bench/loop-hold.ts [rounds] [only]`. Prints a table for people.
 *
 * A hold is the time between two turns of the loop. The result is the smallest value of a few rounds, as CPU time of the main thread,
 * because other work on the machine must not count. The statement shown is the one that took the longest itself.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { StatementSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Piko } from '../src/app/piko.ts'
import { defineJob } from '../src/job/define-job.ts'
import type { JobDefinition } from '../src/job/spec.ts'
import { openDatabase } from '../src/store/connection/database.ts'
import { migrate } from '../src/store/migration/migrate.ts'

const RUNS = 100_000
const JOBS = 10_000
const rounds = Number(process.argv[2] ?? 3)
const only = process.argv[3] ?? ''

interface Hold {
  cpuMs: number
  wallMs: number
  statementMs: number
  statement: string
  rows: number
}

let longest = { ms: 0, text: '', rows: 0 }
type Method = (this: StatementSync, ...args: unknown[]) => unknown

for (const method of ['all', 'run'] as const) {
  const { value: own } = Object.getOwnPropertyDescriptor(StatementSync.prototype, method) as { value: Method }
  Object.assign(StatementSync.prototype, {
    [method](this: StatementSync, ...args: unknown[]) {
      const began = cpuMs()
      const answer = own.call(this, ...args)
      const ms = cpuMs() - began
      if (ms > longest.ms) longest = { ms, text: this.sourceSQL, rows: Array.isArray(answer) ? answer.length : 0 }
      return answer
    },
  })
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

const least = new Map<string, Hold>()

async function measure(name: string, work: () => Promise<unknown>): Promise<void> {
  if (!name.includes(only)) return void (await work())
  const hold: Hold = { cpuMs: 0, wallMs: 0, statementMs: 0, statement: '', rows: 0 }
  longest = { ms: 0, text: '', rows: 0 }
  let isOver = false
  let cpu = cpuMs()
  let wall = performance.now()
  const look = (): void => {
    const now = { cpu: cpuMs(), wall: performance.now() }
    hold.cpuMs = Math.max(hold.cpuMs, now.cpu - cpu)
    hold.wallMs = Math.max(hold.wallMs, now.wall - wall)
    ;({ cpu, wall } = now)
    if (!isOver) setImmediate(look)
  }
  setImmediate(look)
  await work()
  await new Promise((resolve) => setImmediate(resolve))
  isOver = true
  await new Promise((resolve) => setImmediate(resolve))
  const full = { ...hold, statementMs: longest.ms, statement: longest.text, rows: longest.rows }
  const before = least.get(name)
  if (!before || full.cpuMs < before.cpuMs) least.set(name, full)
}

const MINUTE_MS = 60_000
const START = new Date('2025-01-01T00:00:00Z')
const YEAR = { from: '2024-01-01T00:00:00Z', to: '2025-01-01T00:00:00Z' }
const none = (): void => {}
const windows = { start: '2024-01-01T00:00:00Z', catchUp: 'none' } as const
const JOBS_OF_ALL: JobDefinition[] = [
  defineJob({ id: 'big', retry: { limit: 0 } }, none),
  defineJob({ id: 'mid' }, none),
  defineJob({ id: 'ledger', every: '1m', windows }, none),
  defineJob({ id: 'holes', every: '1m', windows }, none),
  defineJob({ id: 'minutes', every: '1m', windows }, none),
  defineJob({ id: 'hours', every: '1h', windows }, none),
  defineJob({ id: 'year', every: '365d', windows }, none),
  defineJob({ id: 'after_year', every: '1m', windows, dependsOn: ['year'], onUpstreamChange: 'stale' }, none),
  defineJob({ id: 'up', every: '1m', windows }, none),
  defineJob({ id: 'down', every: '1m', windows, dependsOn: ['up'], onUpstreamChange: 'rerun' }, none),
]

async function fill(path: string): Promise<void> {
  const database = await openDatabase({ sqlitePath: path })
  await migrate(database, { direction: 'up' })
  const run = (text: string): Promise<unknown> => database.sql.exec(text)
  const at = `strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 days')`
  const series = (count: number): string =>
    `WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < ${count})`
  for (const [job, count] of [
    ['big', RUNS],
    ['mid', RUNS / 10],
  ] as const) {
    await run(`INSERT INTO piko_run (job_id, state, kind, run_at, input, output, error, created_at, started_at, finished_at, attempt, claims, node_id)
      ${series(count)} SELECT '${job}', CASE n % 4 WHEN 0 THEN 'cancelled' WHEN 1 THEN 'failed' ELSE 'succeeded' END, 'manual', ${at},
      '{"page":' || n || ',"shop":"eu","text":"' || hex(randomblob(50)) || '"}', '{"rows":' || n || '}',
      CASE n % 4 WHEN 1 THEN '{"name":"Error","message":"no answer"}' END, ${at}, ${at}, ${at}, 1, 1, 'node' FROM s`)
  }
  const minute = (first: string, n: string): string =>
    `strftime('%Y-%m-%dT%H:%M:%fZ', '${first}', '+' || (${n}) || ' minutes')`
  for (const [job, first, state] of [
    ['ledger', START.toISOString(), `'succeeded'`],
    ['holes', START.toISOString(), `CASE n % 2 WHEN 0 THEN 'succeeded' ELSE 'failed' END`],
    ['after_year', YEAR.from, `'succeeded'`],
    ['up', START.toISOString(), `'succeeded'`],
    ['down', START.toISOString(), `'succeeded'`],
    ['minutes', YEAR.to, `'failed'`],
  ] as const) {
    const step = job === 'holes' ? `n * 2` : `n`
    await run(`INSERT INTO piko_window (job_id, start_at, end_at, state, run_id, updated_at)
      ${series(RUNS)} SELECT '${job}', ${minute(first, step)}, ${minute(first, `${step} + 1`)}, ${state}, n + 1, ${at} FROM s`)
  }
  await run(`INSERT INTO piko_window (job_id, start_at, end_at, state, run_id, updated_at)
    VALUES ('year', '2024-01-01T00:00:00.000Z', '2024-12-31T00:00:00.000Z', 'succeeded', 1, ${at})`)
  await run(`INSERT INTO piko_job (id, schedule, code_schedule, planned_schedule, created_at, updated_at)
    ${series(JOBS)} SELECT 'stored' || n, NULL, NULL, NULL, ${at}, ${at} FROM s`)
  await run(`INSERT INTO piko_job_config (job_id, version, config, effective_from, created_at)
    ${series(RUNS / 10)} SELECT 'big', n + 1, '{"shop":"' || n || '"}', ${at}, ${at} FROM s`)
  await run(`INSERT INTO piko_run_log (run_id, fence, attempt, logged_at, level, message)
    ${series(RUNS / 10)} SELECT 1, 65537, 1, ${at}, 'info', 'line ' || n FROM s`)
  await database.close()
}

const settings = (path: string, more = {}) => ({
  sqlite: { path },
  piko: { log_level: 'silent' as const, block_threshold: '0s', concurrency: 100, ...more },
})

async function look(app: Piko): Promise<void> {
  await measure('runs, limit 100', () => app.runs.list({ limit: 100 }))
  await measure('runs, limit 10,000', () => app.runs.list({ limit: 10_000 }))
  await measure('runs, limit 100,000', () => app.runs.list({ limit: 100_000 }))
  await measure('runs of a job, limit 100', () => app.runs.list({ jobId: 'mid', limit: 100 }))
  await measure('runs of a large job, limit 100', () => app.runs.list({ jobId: 'big', limit: 100 }))
  await measure('runs of a job without any', () => app.runs.list({ jobId: 'hours', limit: 100 }))
  await measure('runs in a state, limit 100', () => app.runs.list({ state: 'failed', limit: 100 }))
  await measure('runs in a state, none', () => app.runs.list({ state: 'skipped', limit: 100 }))
  await measure('runs of a job in a state', () => app.runs.list({ jobId: 'big', state: 'failed', limit: 100_000 }))
  await measure('windows, limit 100', () => app.windows.list('ledger'))
  await measure('windows, limit 100,000', () => app.windows.list('ledger', { limit: 100_000 }))
  await measure('windows in a state, limit 100,000', () =>
    app.windows.list('holes', { state: 'failed', limit: 100_000 }),
  )
  await measure('ledger without a hole', () => app.windows.summary('ledger'))
  await measure('ledger of holes', () => app.windows.summary('holes'))
  await measure('coverage without a hole', () => app.windows.coverage('ledger'))
  await measure('coverage of holes, limit 100,000', () => app.windows.coverage('holes', { limit: 100_000 }))
  await measure('jobs', () => app.jobs.list())
  await measure('configs.history, limit 10,000', () => app.configs.history('big', 10_000))
  await measure('logs, limit 10,000', () => app.runs.logs(1, { limit: 10_000 }))
  await measure('why of a tick', () => app.jobs.why('ledger', '2025-02-01T00:00:00Z'))
  await measure('preview of a replay', () => app.runs.replay({ state: 'failed', dryRun: true }))
  await measure('health, metrics', async () => {
    await app.health()
    await app.metrics()
  })
}

async function change(app: Piko): Promise<void> {
  const input = { page: 1, shop: 'eu' }
  const items = Array.from({ length: RUNS }, () => ({ input }))
  await measure('enqueueMany of 100,000', () => app.enqueueMany('big', items))
  await measure('cancelAll of 100,000', () => app.runs.cancel({ jobId: 'big' }))
  await measure('replay of 100,000', () => app.runs.replay({ state: 'cancelled' }))
  await measure('cancelAll of 100,000 in a state', () => app.runs.cancel({ state: 'queued' }))
  const keyed = Array.from({ length: RUNS }, (_, index) => ({ input, idempotencyKey: `key ${index}` }))
  await measure('enqueueMany of 100,000 keys', () => app.enqueueMany('big', keyed))
  await measure('enqueueMany of 100,000 known keys', () => app.enqueueMany('big', keyed))
  await measure('prune of a rare job, dry', () => app.runs.prune({ olderThan: '1d', jobId: 'hours', dryRun: true }))
  await measure('prune, dry', () => app.runs.prune({ olderThan: '1d', dryRun: true }))
  await measure('prune', () => app.runs.prune({ olderThan: '1d' }))
}

async function backfills(app: Piko): Promise<void> {
  for (const jobId of ['hours', 'minutes']) {
    await measure(`preview of a year of ${jobId}`, async () => {
      for await (const _ of app.backfills.preview(jobId, YEAR));
    })
    await measure(`backfill of a year of ${jobId}, its first seconds`, async () => {
      await app.backfills.create(jobId, YEAR)
      await sleep(2_000)
    })
    await measure(`its status and the list`, () => app.backfills.list())
    await measure(`its cancel`, async () => {
      const [newest] = await app.backfills.list({ limit: 1 })
      await app.backfills.cancel(newest?.id ?? 0)
    })
  }
  const ofAll = { from: START, to: new Date(START.getTime() + RUNS * MINUTE_MS) }
  await measure('backfill of 100,000 failed windows, its first seconds', async () => {
    await app.backfills.create('minutes', { ...ofAll, only: 'failed' })
    await sleep(2_000)
  })
  await measure('100,000 dependents become stale', async () => {
    await app.backfills.create('year', { from: '2024-01-01T00:00:00Z', to: '2024-12-31T00:00:00Z', only: 'all' })
    for (;;) {
      const { counts } = await app.windows.summary('after_year')
      if (counts.stale === RUNS) break
      await sleep(100)
    }
  })
  await measure('100,000 windows wait for others', async () => {
    await app.backfills.create('up', { ...ofAll, only: 'all' })
    await sleep(5_000)
  })
  await app.sql.exec(`UPDATE piko_window SET backfill_id = 1 WHERE job_id = 'ledger'`)
  await measure('backfill with 100,000 windows, its status', () => app.backfills.show(1))
}

async function oneRound(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'piko-hold-'))
  try {
    const path = join(folder, 'piko.db')
    await fill(path)
    const first = new Piko({ jobs: JOBS_OF_ALL, settings: settings(path) })
    await first.start()
    await first.stop()
    const looking = new Piko({ jobs: JOBS_OF_ALL, settings: settings(path), execute: false, plan: false })
    await looking.start()
    await look(looking)
    await change(looking)
    await looking.stop()
    const planning = new Piko({ jobs: JOBS_OF_ALL, settings: settings(path) })
    await planning.start()
    await backfills(planning)
    await planning.stop()
    await recover(path)
    await waits(path)
    await keeps(path)
    await manyJobs(join(folder, 'jobs.db'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function emptied(path: string): Promise<Piko> {
  const app = new Piko({ jobs: JOBS_OF_ALL, settings: settings(path), execute: false, plan: false })
  await app.start()
  await app.sql.exec(`UPDATE piko_backfill SET state = 'cancelled'`)
  await app.sql.exec(`UPDATE piko_run SET state = 'cancelled' WHERE state IN ('queued', 'running')`)
  await app.sql.exec(`UPDATE piko_window SET state = 'succeeded' WHERE state IN ('pending', 'waiting')`)
  return app
}

async function recover(path: string): Promise<void> {
  const app = await emptied(path)
  const ids = await app.enqueueMany(
    'mid',
    Array.from({ length: 20_000 }, () => ({})),
  )
  await app.sql.exec(
    `UPDATE piko_run SET state = 'running', node_id = 'gone', started_at = run_at, claims = 1, attempt = 1 WHERE id >= ?`,
    [ids[0] ?? 0],
  )
  await app.stop()
  const node = new Piko({ jobs: JOBS_OF_ALL, settings: settings(path) })
  await measure('recovery and execution of 20,000 runs', async () => {
    await node.start()
    for (;;) {
      const open = await node.runs.list({ jobId: 'mid', state: 'running', limit: 1 })
      const queued = await node.runs.list({ jobId: 'mid', state: 'queued', limit: 1 })
      if (open.length + queued.length === 0) break
      await sleep(100)
    }
  })
  await node.stop()
}

async function waits(path: string): Promise<void> {
  const app = await emptied(path)
  await app.sql.exec(`UPDATE piko_window SET state = 'failed' WHERE job_id = 'up'`)
  await app.sql.exec(`UPDATE piko_window SET state = 'waiting', run_id = NULL WHERE job_id = 'down'`)
  await app.stop()
  const node = new Piko({ jobs: JOBS_OF_ALL, settings: settings(path) })
  await measure('100,000 waiting windows are looked at', async () => {
    await node.start()
    await sleep(4_000)
    await node.sql.exec(`UPDATE piko_window SET wait_job = 'up', wait_at = start_at WHERE state = 'waiting'`)
  })
  await measure('100,000 waiting windows wait on', () => sleep(2_000))
  await node.sql.exec(`UPDATE piko_window SET state = 'succeeded' WHERE job_id = 'up'`)
  await measure('100,000 waiting windows get their runs', () => sleep(5_000))
  await node.stop()
}

async function keeps(path: string): Promise<void> {
  await (await emptied(path)).stop()
  const node = new Piko({
    jobs: JOBS_OF_ALL,
    settings: { ...settings(path), history: { keep_runs: 1_000 } },
  })
  await measure('keep_runs', async () => {
    await node.start()
    await sleep(8_000)
  })
  await node.stop()
}

async function manyJobs(path: string): Promise<void> {
  const jobs = Array.from({ length: JOBS }, (_, index) =>
    defineJob({ id: `job${index}`, description: 'Loads a part of the orders', cron: '0 0 1 1 *' }, none),
  )
  const start = async (): Promise<Piko> => {
    const app = new Piko({ jobs, settings: settings(path) })
    await app.start()
    return app
  }
  let app: Piko | undefined
  await measure('start with 10,000 new jobs', async () => (app = await start()))
  await app?.stop()
  await measure('start with 10,000 known jobs', async () => (app = await start()))
  await measure('a tick of 10,000 jobs at once', async () => {
    await app?.sql.exec(
      `UPDATE piko_job SET next_tick = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), plan_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`,
    )
    for (;;) {
      const done = await app?.sql.query<{ n: number }>(`SELECT count(*) AS n FROM piko_run WHERE state = 'succeeded'`)
      if ((done?.[0]?.n ?? 0) >= JOBS) break
      await sleep(100)
    }
  })
  await measure('metrics of 10,000 jobs', async () => void (await app?.metrics()))
  await measure('jobs, 10,000', async () => void (await app?.jobs.list()))
  await app?.stop()
}

for (let round = 0; round < rounds; round++) await oneRound()
const rows = [...least].map(([name, hold]) => ({
  name,
  'CPU ms': Math.round(hold.cpuMs * 10) / 10,
  'wall ms': Math.round(hold.wallMs * 10) / 10,
  'statement ms': Math.round(hold.statementMs * 10) / 10,
  rows: hold.rows,
  statement: hold.statement.replaceAll(/\s+/g, ' ').slice(0, 160),
}))
for (const row of rows) console.log(Object.values(row).join(' | '))
