import { sql } from 'kysely'
import { expect, it } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { MAX_LEASE_MS } from '../../src/settings/max-lease.ts'
import { ROW_RULES, type TableName } from '../../src/store/values/row-rules.ts'
import { eventually, makeApp, recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { type Poison, poison, poisonsOf } from '../support/poison.ts'
import { rejected } from '../support/thrown.ts'

const DAY_MS = 86_400_000
const START = '2025-01-01T00:00:00Z'
const END = '2025-01-11T00:00:00Z'
const PAST = '2025-01-01 00:00:00.000'
const day = (index: number) => new Date(Date.parse(START) + index * DAY_MS)
const fine = defineJob({ id: 'fine' }, async () => {})

/** Sorts after every time. */
const isLast = (value: string | number) => value === 'tomorrow' || value === '99999999999'

/** The information that a person needs to correct a row. */
function expectNamed(error: unknown, table: TableName, { column }: Poison): void {
  expect(error).toMatchObject({ code: 'ROW_BROKEN', details: { table, columns: [column] } })
  expect((error as Error).message).toMatch(new RegExp(`UPDATE ${table} SET \`?${column}\`? = '?.+'? WHERE `))
}

describeEachStore((store) => {
  let database: Database

  async function fresh(): Promise<void> {
    database = await store.open()
    await store.empty()
  }

  const put = (table: TableName, where: string, one: Poison) => poison(store, database, table, where, one)

  /** Rows of a table, one for each poison in its order, after `before` good rows. */
  async function ids(table: 'piko_run' | 'piko_backfill' | 'piko_job_config' | 'piko_run_log'): Promise<number[]> {
    const rows = await database.db.selectFrom(table).select('id').orderBy('id').execute()
    return rows.map(({ id }) => id)
  }

  /** Each row is reported once and not again while everything is read again. */
  function toldOnce(app: Piko, table: TableName) {
    const told = recordEvents(app, 'row.broken')
    return async (expected: readonly Poison[]) => {
      const ofTable = () => told.filter((one) => one.table === table)
      await eventually(() => expect(ofTable().length).toBeGreaterThanOrEqual(expected.length))
      expect(
        ofTable()
          .map(({ key }) => key)
          .sort(),
      ).toEqual([...new Set(ofTable().map(({ key }) => key))].sort())
      expect(
        ofTable()
          .flatMap(({ columns }) => columns)
          .sort(),
      ).toEqual(expected.map(({ column }) => column).sort())
      for (const { error, columns } of ofTable()) expectNamed(error, table, { column: columns[0] ?? '', value: '' })
    }
  }

  it('runs: the others are claimed, listed, found and awaited, and a corrected one runs without a restart', async () => {
    await fresh()
    const poisons = poisonsOf('piko_run', store.name)
    const dialect = database.dialect
    const at = dialect.instant(new Date(PAST + 'Z'))
    // Columns that an attempt would overwrite are tested on runs that have ended.
    const state = (column: string) =>
      /^(?:started|finished|created|cancel_requested)_at$/.test(column) ? 'succeeded' : 'queued'
    const window = { window_start: at, window_end: at } as const
    const row = { job_id: 'fine', kind: 'manual', priority: -1, run_at: at, created_at: at, ...window } as const
    await database.db
      .insertInto('piko_run')
      .values(poisons.map(({ column }, index) => ({ ...row, state: state(column), tick: dialect.instant(day(index)) })))
      .execute()
    const bad = await ids('piko_run')
    for (const [index, one] of poisons.entries()) await put('piko_run', `id = ${bad[index]}`, one)
    const app = makeApp(store.options, [fine])
    const told = toldOnce(app, 'piko_run')
    await app.start()
    const good = await Promise.all([1, 2, 3].map(() => app.run('fine', { wait: true })))
    const waiting = Promise.allSettled(bad.map((id) => app.waitFor(id)))
    for (const [index, ended] of (await waiting).entries())
      expect([poisons[index], ended]).toMatchObject([{}, { reason: { code: 'ROW_BROKEN' } }])
    const listed = (await app.runs.list()).map(({ id }) => id)
    expect(listed).toEqual(good.map(({ id }) => id).sort((a, b) => b - a))
    const { recent, lateness, oldestDueMs } = await app.runs.summary()
    expect(recent.since?.getTime()).toBeLessThanOrEqual(good[0]?.createdAt.getTime() ?? 0)
    expect(lateness.runs).toBeGreaterThanOrEqual(good.length)
    expect(oldestDueMs === undefined || oldestDueMs > 0).toBe(true)
    const [overview] = (await app.jobs.overview()).jobs
    expect(overview?.lastRuns.map(({ id }) => id)).toEqual(expect.arrayContaining(listed))
    for (const [index, one] of poisons.entries()) {
      expectNamed(await rejected(app.runs.show(bad[index] ?? 0)), 'piko_run', one)
    }
    await told(poisons)

    const queued = poisons.findIndex(({ column }) => column === 'run_at')
    await put('piko_run', `id = ${bad[queued]}`, { column: 'run_at', value: PAST })
    expect(await app.waitFor(bad[queued] ?? 0)).toMatchObject({ state: 'succeeded' })
    await told(poisons)
  })

  it('items: the others are listed, and a bad one is named when it is shown', async () => {
    await fresh()
    const poisons = poisonsOf('piko_item', store.name, ['due_at', 'created_at', 'started_at', 'finished_at'])
    const many = defineJob({ id: 'many', items: { part: { run: () => {} } } }, async (ctx) => {
      await ctx.items.add('part', [...poisons.keys(), poisons.length], { key: String })
    })
    const app = await startApp(store.options, [many])
    const { id } = await app.run('many', { wait: true })
    const items = (await app.items.list(id)).items
    for (const [index, one] of poisons.entries()) await put('piko_item', `id = ${items[index]?.id}`, one)
    const told = toldOnce(app, 'piko_item')
    expect((await app.items.list(id)).items).toEqual(items.slice(poisons.length))
    for (const [index, one] of poisons.entries())
      expectNamed(await rejected(app.items.show(items[index]?.id ?? 0)), 'piko_item', one)
    await told(poisons)
  })

  it('ended runs: old runs after them are deleted, and they stay', async () => {
    await fresh()
    const poisons = poisonsOf('piko_run', store.name, ['created_at', 'finished_at'])
    const at = database.dialect.instant(new Date(PAST + 'Z'))
    const row = {
      job_id: 'fine',
      state: 'succeeded',
      kind: 'manual',
      priority: 0,
      run_at: at,
      created_at: at,
      finished_at: at,
    } as const
    await database.db
      .insertInto('piko_run')
      .values([...poisons, 1, 2, 3].map(() => row))
      .execute()
    const all = await ids('piko_run')
    for (const [index, one] of poisons.entries()) await put('piko_run', `id = ${all[index]}`, one)
    const app = makeApp(store.options, [fine])
    const told = toldOnce(app, 'piko_run')
    await app.start()
    await eventually(async () => expect(await ids('piko_run')).toEqual(all.slice(0, poisons.length)))
    expect(await app.runs.prune({ olderThan: '1d' })).toBe(0)
    await told(poisons)
  })

  it('jobs: the others are registered, planned and listed', async () => {
    await fresh()
    const windows = { start: START, catchUp: 'none' } as const
    const every = { old: '1h', new: '2h' } as const
    // The rows decide where the windows of a changed schedule continue. The other columns are rewritten.
    const moved = poisonsOf('piko_job', store.name, ['ledger_start', 'window_cursor'])
    const poisons = [...moved, ...poisonsOf('piko_job', store.name)]
    const bad = (of: 'old' | 'new') =>
      poisons.map((_, index) =>
        defineJob({ id: `bad-${index}`, every: every[index < moved.length ? of : 'old'], windows }, async () => {}),
      )
    const ticking = ['one', 'two'].map((id) => defineJob({ id, every: '100ms' }, async () => {}))
    const before = await startApp(store.options, [...bad('old'), fine])
    await before.stop()
    await database.db.updateTable('piko_job').set({ is_paused: 1 }).where('id', 'like', 'bad-%').execute()
    for (const [index, one] of poisons.entries()) await put('piko_job', `id = 'bad-${index}'`, one)
    // The code would rewrite its windows.
    const known = bad('new').filter((_, index) => poisons[index]?.column !== 'windows')
    const app = makeApp(store.options, [...known, ...ticking, fine])
    const told = toldOnce(app, 'piko_job')
    const planned = recordEvents(app, 'runs.planned')
    await app.start()
    await eventually(() => {
      for (const id of ['one', 'two']) expect(planned.filter(({ jobId }) => jobId === id).length).toBeGreaterThan(2)
    })
    expect((await app.jobs.list()).map(({ id }) => id)).toEqual(['fine', 'one', 'two'])
    expectNamed(await rejected(app.jobs.why('bad-0')), 'piko_job', moved[0] as Poison)
    await told(poisons)
  })

  it('due jobs: the planner does not change them, and says which column is invalid', async () => {
    await fresh()
    const poisons = poisonsOf('piko_job', store.name, ['next_tick', 'window_cursor'])
    const windows = { start: START, catchUp: 'none' } as const
    const jobs = [
      ...poisons.map((_, index) => defineJob({ id: `bad-${index}`, every: '100ms', windows }, async () => {})),
    ]
    const ticking = defineJob({ id: 'one', every: '100ms' }, async () => {})
    const app = await startApp(store.options, [...jobs, ticking])
    const failures = recordEvents(app, 'loop.failed')
    const planned = recordEvents(app, 'runs.planned')
    for (const [index, one] of poisons.entries()) await put('piko_job', `id = 'bad-${index}'`, one)
    await eventually(() => expect(failures.length).toBeGreaterThanOrEqual(poisons.length))
    planned.splice(0)
    await eventually(() => expect(planned.filter(({ jobId }) => jobId === 'one').length).toBeGreaterThan(2))
    expect(failures).toHaveLength(poisons.length)
    for (const [index, { column }] of poisons.entries()) {
      const { error } = failures.find((one) => one.error.message.includes(`"bad-${index}"`)) ?? {}
      expect(error).toMatchObject({ code: 'PLAN_REFUSED', details: { table: 'piko_job', columns: [column] } })
      expect(error?.message).toMatch(new RegExp(`${column} is .*UPDATE piko_job SET ${column} = '`))
      expect((await rejected(app.jobs.why(`bad-${index}`))).message).toContain(`UPDATE piko_job SET ${column} = '`)
    }
  })

  it('jobs whose plan_at sorts as due are planned as before, which rewrites it', async () => {
    await fresh()
    const poisons = poisonsOf('piko_job', store.name, ['plan_at']).filter(({ value }) => !isLast(value))
    const ids = [...poisons.map((_, index) => `bad-${index}`), 'good']
    const app = await startApp(
      store.options,
      ids.map((id) => defineJob({ id, every: '100ms' }, async () => {})),
    )
    const failures = recordEvents(app, 'loop.failed')
    for (const [index, one] of poisons.entries()) await put('piko_job', `id = 'bad-${index}'`, one)
    const planned = recordEvents(app, 'runs.planned')
    await eventually(() => {
      for (const id of ids) expect(planned.filter(({ jobId }) => jobId === id).length).toBeGreaterThan(2)
    })
    expect(failures).toEqual([])
  })

  it('windows: the others are listed, counted and covered; dependents of another job continue', async () => {
    await fresh()
    const poisons = poisonsOf('piko_window', store.name, ['start_at', 'end_at', 'state'])
    const windows = { start: START, end: END, parallel: 100 } as const
    const daily = (id: string, dependsOn?: string[]) =>
      defineJob({ id, cron: '0 0 * * *', windows, ...(dependsOn && { dependsOn }) }, async () => {})
    const ups = poisons.map((_, index) => daily(`up-${index}`))
    const first = await startApp(store.options, [...ups, daily('good')])
    await eventually(async () =>
      expect(await first.runs.list({ state: 'succeeded', limit: 1_000 })).toHaveLength(10 * (ups.length + 1)),
    )
    await first.stop()
    for (const [index, one] of poisons.entries()) {
      const { id } = await database.db
        .selectFrom('piko_window')
        .select('id')
        .where('job_id', '=', `up-${index}`)
        .orderBy('start_at')
        .offset(4)
        .limit(1)
        .executeTakeFirstOrThrow()
      await put('piko_window', `id = ${id}`, one)
    }
    const downs = ups.map((_, index) => daily(`down-${index}`, [`up-${index}`]))
    const app = makeApp(store.options, [...ups, ...downs, daily('good'), daily('after', ['good'])])
    const told = toldOnce(app, 'piko_window')
    await app.start()
    await eventually(async () => {
      expect((await app.windows.summary('after')).counts.succeeded).toBe(10)
      for (const { id } of downs)
        expect((await app.windows.summary(id)).counts).toMatchObject({ succeeded: 9, waiting: 1 })
    })
    for (const { id } of ups) {
      expect(await app.windows.list(id)).toHaveLength(9)
      expect((await app.windows.summary(id)).counts.succeeded).toBeGreaterThanOrEqual(9)
      const covered = (await app.windows.coverage(id)).filter(({ state }) => state === 'succeeded')
      expect(covered.reduce((sum, span) => sum + span.windows, 0)).toBe(9)
    }
    await told(poisons)
    // A backfill that would write around the row reports it.
    const again = await app.backfills.create('good', { from: START, to: END, only: 'all' })
    expect(await again.wait()).toMatchObject({ state: 'succeeded' })
  })

  it('waiting windows: the others get their runs', async () => {
    await fresh()
    const poisons = poisonsOf('piko_window', store.name, ['end_at'])
    const windows = { start: START, end: END, parallel: 100 } as const
    const up = defineJob({ id: 'up', cron: '0 0 * * *', windows }, async () => {
      if (isClosed) throw new Error('not yet')
    })
    let isClosed = true
    const down = defineJob({ id: 'down', cron: '0 0 * * *', windows, dependsOn: ['up'] }, async () => {})
    const app = await startApp(store.options, [up, down])
    const told = toldOnce(app, 'piko_window')
    await eventually(async () => {
      expect((await app.windows.summary('down')).counts.waiting).toBe(10)
      expect((await app.windows.summary('up')).counts.failed).toBe(10)
    })
    for (const [index, one] of poisons.entries()) {
      const start = database.dialect.instant(day(index))
      const { id } = await database.db
        .selectFrom('piko_window')
        .select('id')
        .where('job_id', '=', 'down')
        .where('start_at', '=', start)
        .executeTakeFirstOrThrow()
      await put('piko_window', `id = ${id}`, one)
    }
    isClosed = false
    await app.runs.replay({ jobId: 'up' })
    await eventually(async () => expect((await app.windows.summary('down')).counts.succeeded).toBe(10 - poisons.length))
    expect((await app.jobs.why('up')).sentence).toContain('succeeded')
    await told(poisons)
  })

  it('generations: the jobs of the others are planned, and the refusal names the column', async () => {
    await fresh()
    const poisons = poisonsOf('piko_generation', store.name)
    const windows = { start: START, catchUp: 'none' } as const
    const jobs = [...poisons.map((_, index) => `bad-${index}`), 'good'].map((id) =>
      defineJob({ id, every: '100ms', windows }, async () => {}),
    )
    const app = await startApp(store.options, jobs)
    const failures = recordEvents(app, 'loop.failed')
    for (const [index, one] of poisons.entries()) await put('piko_generation', `job_id = 'bad-${index}'`, one)
    await eventually(() => expect(failures.length).toBeGreaterThanOrEqual(poisons.length))
    const planned = recordEvents(app, 'runs.planned')
    await eventually(() => expect(planned.filter(({ jobId }) => jobId === 'good').length).toBeGreaterThan(2))
    for (const [index, { column }] of poisons.entries()) {
      const ofJob = failures.filter(({ error }) => error.message.includes(`"bad-${index}"`))
      expect(ofJob).toHaveLength(1)
      expect(ofJob[0]?.error).toMatchObject({
        code: 'PLAN_REFUSED',
        details: { table: 'piko_generation', columns: [column] },
      })
    }
  })

  it('backfills: the others are driven and listed', async () => {
    await fresh()
    const poisons = poisonsOf('piko_backfill', store.name)
    const windows = { start: START, end: END, catchUp: 'none' } as const
    const job = defineJob({ id: 'job', cron: '0 0 * * *', windows }, async () => {})
    const at = (date: Date) => database.dialect.instant(date)
    const row = {
      job_id: 'job',
      state: 'running',
      from_at: at(day(0)),
      to_at: at(day(10)),
      cursor_at: at(day(0)),
      window_order: 'oldest',
      only_windows: 'missing',
      parallel: 1,
      priority: 0,
      total: 10,
      active_since: at(day(20)),
      created_at: at(day(20)),
    } as const
    await database.db
      .insertInto('piko_backfill')
      .values(poisons.map(() => row))
      .execute()
    const bad = await ids('piko_backfill')
    for (const [index, one] of poisons.entries()) await put('piko_backfill', `id = ${bad[index]}`, one)
    const app = makeApp(store.options, [job])
    const told = toldOnce(app, 'piko_backfill')
    await app.start()
    const backfill = await app.backfills.create('job', { from: START, to: END })
    expect(await backfill.wait()).toMatchObject({ state: 'succeeded', succeeded: 10 })
    expect((await app.backfills.list()).map(({ id }) => id)).toEqual([backfill.id])
    for (const [index, one] of poisons.entries())
      expectNamed(await rejected(app.backfills.show(bad[index] ?? 0)), 'piko_backfill', one)
    await told(poisons)
  })

  it('attempts and log lines: the others of the run are shown', async () => {
    await fresh()
    const talker = defineJob({ id: 'talker' }, async (ctx) => {
      for (let line = 0; line < 10; line++) ctx.log.info(`line ${line}`)
      await Promise.resolve()
    })
    const app = await startApp(store.options, [talker])
    const told = [toldOnce(app, 'piko_attempt'), toldOnce(app, 'piko_run_log')] as const
    const { id } = await app.run('talker', { wait: true })
    await eventually(async () => expect(await app.runs.logs(id)).toHaveLength(10))
    const attempts = poisonsOf('piko_attempt', store.name)
    const at = database.dialect.instant(day(0))
    const row = { run_id: id, attempt: 1, node_id: null, started_at: at, finished_at: at, outcome: 'lost' } as const
    await database.db
      .insertInto('piko_attempt')
      .values([...attempts, 1].map((_, index) => ({ ...row, fence: index })))
      .execute()
    for (const [index, one] of attempts.entries()) await put('piko_attempt', `run_id = ${id} AND fence = ${index}`, one)
    const lines = await ids('piko_run_log')
    const logs = poisonsOf('piko_run_log', store.name)
    for (const [index, one] of logs.entries()) await put('piko_run_log', `id = ${lines[index]}`, one)
    for (let count = 0; count < 2; count++) {
      expect((await app.runs.show(id)).attempts.map(({ outcome }) => outcome)).toEqual(['lost', 'succeeded'])
      expect(await app.runs.logs(id)).toHaveLength(10 - logs.length)
    }
    await told[0](attempts)
    await told[1](logs)
  })

  it('configs: the previous version stays in force, and a corrected one takes effect without a restart', async () => {
    await fresh()
    const poisons = poisonsOf('piko_job_config', store.name)
    const jobs = poisons.map((_, index) => defineJob({ id: `job-${index}` }, ({ config }) => config))
    const first = await startApp(store.options, [...jobs, fine])
    for (const { id } of jobs) for (const version of [1, 2]) await first.configs.set(id, { version })
    await first.stop()
    for (const [index, one] of poisons.entries())
      await put('piko_job_config', `job_id = 'job-${index}' AND version = 2`, one)
    const app = makeApp(store.options, [...jobs, fine])
    const told = toldOnce(app, 'piko_job_config')
    await app.start()
    await expect(app.run('fine', { wait: true })).resolves.toMatchObject({ state: 'succeeded' })
    for (const { id } of jobs) {
      expect(await app.run(id, { wait: true })).toMatchObject({ output: { version: 1 } })
      expect((await app.configs.history(id)).map(({ version }) => version)).toEqual([1])
    }
    await told(poisons)
    for (const column of ['effective_from', 'created_at'])
      await put('piko_job_config', 'version = 2', { column, value: PAST })
    await put('piko_job_config', 'version = 2', { column: 'config', value: '{"version":2}' })
    await eventually(async () => {
      const shown = await Promise.all(jobs.map(({ id }) => app.configs.show(id)))
      expect(shown.map((config) => config?.version)).toEqual(jobs.map(() => 2))
    })
    await told(poisons)
  })

  it('nodes, locks, rates and dependencies: they are reported, and everything else continues', async () => {
    await fresh()
    const { db, dialect } = database
    // Within the longest lease, and after the end of this test.
    const at = dialect.instant(new Date(Date.now() + 0.9 * MAX_LEASE_MS))
    const tables = {
      piko_node: (name: string) =>
        db
          .insertInto('piko_node')
          .values({ id: name, host: 'h', pid: 1, started_at: at, heartbeat_at: at, expires_at: at })
          .execute(),
      piko_lock: (name: string) => db.insertInto('piko_lock').values({ name, owner: null, expires_at: at }).execute(),
      piko_rate: (name: string) =>
        db.insertInto('piko_rate').values({ job_id: name, rate_key: '', starts: '[]', expires_at: at }).execute(),
      piko_dependency: (name: string) =>
        db.insertInto('piko_dependency').values({ job_id: name, upstream_id: 'fine', on_change: 'ignore' }).execute(),
    } as const
    const app = makeApp(store.options, [fine])
    const checks: (() => Promise<void>)[] = []
    for (const [name, insert] of Object.entries(tables)) {
      const table = name as keyof typeof tables
      // A value that sorts before every time has expired, so the row is deleted.
      const lasting = poisonsOf(table, store.name).filter(
        ({ value, column }) => column !== 'starts' && (table !== 'piko_rate' || isLast(value)),
      )
      const kept = lasting.filter(
        ({ value, column }) => column !== 'expires_at' || table === 'piko_lock' || isLast(value),
      )
      const [key = ''] = ROW_RULES[table].key
      for (const [index, one] of kept.entries()) {
        await insert(`bad-${index}`)
        await put(table, `${key} = 'bad-${index}'`, one)
      }
      const told = toldOnce(app, table)
      checks.push(() => told(kept))
    }
    await app.start()
    await expect(app.run('fine', { wait: true })).resolves.toMatchObject({ state: 'succeeded' })
    for (const check of checks) await check()
    const lock = await app.locks.acquire('other')
    await lock.release()
  })

  it('every column with an instant or a word has a rule', async () => {
    if (store.name === 'sqlite') return
    await fresh()
    const { rows } = await sql<{ t: TableName; c: string }>`
      SELECT table_name AS t, column_name AS c FROM information_schema.columns
      WHERE table_schema = DATABASE() AND table_name LIKE 'piko\\_%' AND data_type IN ('datetime', 'enum')
    `.execute(database.db)
    const ruled = Object.entries(ROW_RULES).flatMap(([table, { columns }]) =>
      Object.keys(columns).map((column) => `${table}.${column}`),
    )
    const left = rows.map(({ t, c }) => `${t}.${c}`).filter((name) => !ruled.includes(name))
    // Columns that Piko only writes, for people to read; and the key of a window, by which its fence is found.
    expect(left.sort()).toEqual([
      'piko_fence.window_start',
      'piko_generation.created_at',
      'piko_job.created_at',
      'piko_job.updated_at',
      'piko_migration.applied_at',
      'piko_migration_lock.expires_at',
      'piko_node.connections_at',
      'piko_window.updated_at',
    ])
  })
})
