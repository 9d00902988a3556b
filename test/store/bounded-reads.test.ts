import { beforeEach, expect, it } from 'vitest'
import type { Database } from '../../src/store/connection/database.ts'
import { type Store, storeOn } from '../../src/store/store.ts'
import { pendingWindows } from '../../src/store/windows/pending-windows.ts'
import { describeEachStore } from '../support/databases.ts'
import { sqliteStatementsDuring } from '../support/sqlite-statements.ts'

const COUNT = 12_000
/** The most rows that one statement returns or changes on SQLite, where it blocks the event loop. */
const MAX_ROWS = 1_000
const MAX_BYTES = 5_000_000

describeEachStore((fixture) => {
  let database: Database
  let store: Store

  beforeEach(async () => {
    database ??= await fixture.open()
    store ??= storeOn(database)
    await fixture.empty()
  })

  /** Returns the result of `work`. On SQLite, checks its statements. */
  async function bounded<T>(work: () => Promise<T>, atLeast: number): Promise<T> {
    let answer: T | undefined
    const sent = await sqliteStatementsDuring(async () => (answer = await work()))
    if (fixture.name === 'sqlite') {
      expect(sent.filter(({ rows }) => rows > MAX_ROWS)).toEqual([])
      expect(sent.length).toBeGreaterThanOrEqual(atLeast)
    }
    return answer as T
  }

  /** Windows of one minute, one every `step` minutes. */
  async function fillWindows(jobId: string, state: string, { step = 1, more = {} } = {}): Promise<void> {
    const at = (minute: number): Date | string =>
      database.dialect.instant(new Date(Date.UTC(2025, 0, 1) + minute * 60_000))
    const now = at(0)
    for (let from = 0; from < COUNT; from += 1_000) {
      await database.db
        .insertInto('piko_window')
        .values(
          Array.from({ length: 1_000 }, (_, index) => ({
            ...{ job_id: jobId, state: state as 'failed', updated_at: now },
            ...{ start_at: at((from + index) * step), end_at: at((from + index) * step + 1) },
            ...more,
          })),
        )
        .execute()
    }
  }

  async function fillJob(id: string): Promise<void> {
    await store.jobs.register([
      {
        id,
        description: undefined,
        schedule: null,
        windows: null,
        begin: { nextTick: undefined, windowCursor: undefined },
      },
    ])
  }

  it('lists and counts runs in bounded reads, newest first', async () => {
    const enqueue = (count: number, jobId: string): Promise<number[]> =>
      store.runs.enqueue(Array.from({ length: count }, () => ({ jobId, kind: 'manual', priority: 0 })))
    const rare = await enqueue(3, 'rare')
    const first = await enqueue(COUNT / 2, 'job')
    const other = await enqueue(COUNT / 2, 'other')
    const second = await enqueue(COUNT / 2, 'job')
    const ofJob = [...first, ...second].toReversed()
    const ended = second.slice(0, 2_500)
    await store.cancels.request({ ids: ended })
    const ids = async (filter: Parameters<Store['runs']['list']>[0], atLeast: number): Promise<number[]> =>
      (await bounded(() => store.runs.list(filter), atLeast)).map(({ id }) => id)

    expect(await ids({ limit: 4 * COUNT }, 36)).toEqual([...rare, ...first, ...other, ...second].toReversed())
    expect(await ids({ jobId: 'job', limit: 4 * COUNT }, 24)).toEqual(ofJob)
    expect(await ids({ jobId: 'job', limit: 1_001 }, 3)).toEqual(ofJob.slice(0, 1_001))
    expect(await ids({ jobId: 'job', state: 'cancelled', limit: 4 * COUNT }, 6)).toEqual(ended.toReversed())
    expect(await ids({ state: 'cancelled', limit: 2_499 }, 6)).toEqual(ended.toReversed().slice(0, 2_499))
    expect(await ids({ jobId: 'job', state: 'queued', limit: 2 }, 1)).toEqual(ofJob.slice(0, 2))
    expect(await ids({ jobId: 'rare' }, 2)).toEqual(rare.toReversed())
    expect(await ids({ jobId: 'none' }, 1)).toEqual([])
    expect(await ids({ state: 'skipped' }, 1)).toEqual([])
    expect(await ids({ limit: 0 }, 0)).toEqual([])
    expect(await bounded(() => store.runs.count(), 2)).toMatchObject({ queued: 1.5 * COUNT - 2_497, cancelled: 2_500 })
    expect(await bounded(() => store.runs.count('job'), 2)).toMatchObject({ queued: COUNT - 2_500, cancelled: 2_500 })
  })

  it('limits a read of runs by the bytes of their values', async () => {
    const input = 'x'.repeat(900_000)
    for (let index = 0; index < 12; index++)
      await store.runs.enqueue([{ jobId: 'job', kind: 'manual', priority: 0, input: `${index} ${input}` }])
    let read: readonly unknown[] = []
    const sent = await sqliteStatementsDuring(async () => {
      read = (await store.runs.list({ jobId: 'job' })).map((run) => Number.parseInt(String(run.input)))
    })
    expect(read).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    expect(sent.filter(({ bytes }) => bytes > MAX_BYTES)).toEqual([])
  })

  it('lists windows and reads a ledger in bounded reads', async () => {
    await fillWindows('whole', 'succeeded')
    await fillWindows('holes', 'failed', { step: 2 })
    const whole = await bounded(() => store.windows.list('whole', { limit: COUNT }), COUNT / MAX_ROWS)
    expect(whole).toHaveLength(COUNT)
    expect(whole.every(({ start }, index) => start.getTime() === Date.UTC(2025, 0, 1, 0, index))).toBe(true)
    const failed = await bounded(() => store.windows.list('holes', { state: 'failed', limit: 3_001 }), 4)
    expect(failed.map(({ start }) => start.getTime())).toEqual(
      Array.from({ length: 3_001 }, (_, index) => Date.UTC(2025, 0, 1, 0, 2 * index)),
    )
    const some = { from: '2025-01-01T01:00:00Z', to: '2025-01-03T00:00:00Z', limit: COUNT }
    expect(await bounded(() => store.windows.list('whole', some), 2)).toHaveLength(2 * 1_440 - 60)
    expect(await bounded(() => store.windows.summary('whole'), COUNT / 2_500)).toMatchObject({
      counts: { succeeded: COUNT, failed: 0 },
      unrun: [],
      end: new Date(Date.UTC(2025, 0, 1, 0, COUNT)),
    })
    const { counts, unrun } = await bounded(() => store.windows.summary('holes'), 3)
    expect(counts).toMatchObject({ failed: COUNT, succeeded: 0 })
    expect(unrun).toHaveLength(100)
    expect(unrun[99]).toEqual({
      start: new Date(Date.UTC(2025, 0, 1, 0, 199)),
      end: new Date(Date.UTC(2025, 0, 1, 0, 200)),
    })
  })

  it('finds a hole far after the first windows', async () => {
    await fillWindows('whole', 'succeeded')
    const at = new Date(Date.UTC(2025, 0, 1, 0, 9_000))
    await database.db
      .deleteFrom('piko_window')
      .where('job_id', '=', 'whole')
      .where('start_at', '=', database.dialect.instant(at))
      .execute()
    const { unrun } = await store.windows.summary('whole')
    expect(unrun).toEqual([{ start: at, end: new Date(at.getTime() + 60_000) }])
  })

  it('counts a large backfill and cancels its waiting windows in bounded steps', async () => {
    const run = { jobId: 'down', from: new Date(0), to: new Date(60_000), order: 'oldest', only: 'all' } as const
    const rest = { parallel: 1, priority: 0, config: undefined, total: COUNT }
    const id = await store.backfills.create({ ...run, ...rest })
    const other = await store.backfills.create({ ...run, ...rest })
    await fillWindows('down', 'waiting', { more: { backfill_id: id } })
    await fillWindows('other', 'waiting', { more: { backfill_id: other } })
    expect(await bounded(() => store.backfills.counts(id), 3)).toMatchObject({ waiting: COUNT, cancelled: 0 })
    await bounded(() => store.backfills.cancelWaiting(id), COUNT / MAX_ROWS)
    expect(await store.backfills.counts(id)).toMatchObject({ waiting: 0, cancelled: COUNT })
    expect(await store.backfills.counts(other)).toMatchObject({ waiting: COUNT, cancelled: 0 })
  })

  it('checks many waiting windows in bounded reads, and gives every job a turn', async () => {
    await fillJob('a')
    await fillJob('b')
    const wait = { wait_job: 'up', wait_at: database.dialect.instant(new Date(Date.UTC(2025, 0, 1))) }
    await fillWindows('a', 'waiting', { more: wait })
    const promotion = { upstreams: () => ['up'], runOf: () => undefined }
    const promote = () => bounded(() => store.dependencies.promote(['a', 'b'], promotion), 4)
    expect(await promote()).toMatchObject({ looked: 0, promoted: 0 })
    await fillWindows('b', 'waiting', { more: wait })
    const at = (minute: number) => database.dialect.instant(new Date(Date.UTC(2025, 0, 1, 0, minute)))
    await database.db
      .insertInto('piko_window')
      .values({ job_id: 'up', state: 'succeeded', start_at: at(0), end_at: at(1), updated_at: at(0) })
      .execute()
    expect(await store.dependencies.promote(['a', 'b'], promotion)).toMatchObject({ looked: 50, promoted: 0 })
    expect(await store.dependencies.promote(['a', 'b'], promotion)).toMatchObject({ looked: 50, promoted: 0 })
    // One window of each job; these now wait for the next minute.
    const rows = await database.db
      .selectFrom('piko_window')
      .select('job_id')
      .where('state', '=', 'waiting')
      .where('wait_at', '>', at(0))
      .execute()
    expect(new Set(rows.map((row) => row.job_id))).toEqual(new Set(['a', 'b']))
  })

  it('counts the windows that a job has yet to run up to the limit of the planner', async () => {
    await fillJob('many')
    await fillJob('few')
    await fillWindows('many', 'waiting')
    const start = (minute: number): Date | string => database.dialect.instant(new Date(Date.UTC(2025, 0, 1, 0, minute)))
    const few = (['pending', 'waiting', 'failed', 'waiting'] as const).map((state, index) => ({
      ...{ job_id: 'few', state, updated_at: start(0), backfill_id: index === 3 ? 7 : null },
      ...{ start_at: start(index), end_at: start(index + 1) },
    }))
    await database.db.insertInto('piko_window').values(few).execute()
    const counts = await database.transaction((trx) => pendingWindows(trx, database.dialect, ['few', 'many', 'none']))
    expect(counts.get('few')).toBe(2)
    expect(counts.get('many')).toBe(fixture.name === 'sqlite' ? 5_000 : COUNT)
    expect(counts.get('none') ?? 0).toBe(0)
  })

  it('marks many windows that depend on changed ones in bounded steps, in one transaction', async () => {
    await fillJob('year')
    await fillJob('minutes')
    await database.db
      .insertInto('piko_dependency')
      .values({ job_id: 'minutes', upstream_id: 'year', on_change: 'stale' })
      .execute()
    await fillWindows('minutes', 'succeeded')
    const minute = (number: number): Date => new Date(Date.UTC(2025, 0, 1, 0, number))
    // The changed range begins inside one window and ends inside another; both overlap it.
    const year = {
      start: new Date(minute(4).getTime() + 30_000),
      end: new Date(minute(COUNT - 5).getTime() + 30_000),
    }
    await database.db
      .insertInto('piko_window')
      .values({
        ...{ job_id: 'year', state: 'succeeded', updated_at: database.dialect.instant(year.start) },
        ...{ start_at: database.dialect.instant(year.start), end_at: database.dialect.instant(year.end) },
      })
      .execute()
    const runs = { jobId: 'year', kind: 'manual', priority: 0, window: year } as const
    await bounded(() => store.windows.enqueue(runs), 2 * (COUNT / MAX_ROWS))
    const { counts } = await store.windows.summary('minutes')
    expect(counts).toMatchObject({ succeeded: 4 + 4, stale: COUNT - 8 })
  })

  it('lists jobs, config versions and log lines in bounded reads', async () => {
    const ids = Array.from({ length: 2_500 }, (_, index) => `job${String(index).padStart(4, '0')}`)
    await store.jobs.register(
      ids.map((id) => ({
        ...{ id, description: undefined, schedule: null, windows: null },
        begin: { nextTick: undefined, windowCursor: undefined },
      })),
    )
    expect((await bounded(() => store.jobs.list(), 3)).map(({ id }) => id)).toEqual(ids)
    expect((await bounded(() => store.jobs.list(ids.slice(0, 1_500)), 2)).map(({ id }) => id)).toEqual(
      ids.slice(0, 1_500),
    )
    const at = database.dialect.instant(new Date(0))
    for (let from = 1; from <= 2_500; from += 500) {
      await database.db
        .insertInto('piko_job_config')
        .values(
          Array.from({ length: 500 }, (_, index) => ({
            ...{ job_id: 'job0000', version: from + index, config: '{}', effective_from: at, created_at: at },
          })),
        )
        .execute()
      await store.runLogs.add(
        Array.from({ length: 500 }, (_, index) => ({
          ...{
            runId: 7,
            fence: 1,
            attempt: 1,
            at: new Date(0),
            level: 'info',
            message: `${from + index}`,
            fields: null,
          },
        })),
        (_line, refusal) => {
          throw refusal
        },
      )
    }
    const versions = Array.from({ length: 2_500 }, (_, index) => 2_500 - index)
    const history = await bounded(() => store.configs.history('job0000', 5_000), 3)
    expect(history.map(({ version }) => version)).toEqual(versions)
    const lines = await bounded(() => store.runLogs.list(7, { limit: 2_400 }), 3)
    expect(lines.map(({ message }) => Number(message))).toEqual(versions.toReversed().slice(0, 2_400))
  })

  it('cancels the runs of every job', async () => {
    for (const jobId of ['b', 'A', 'c']) await store.runs.enqueue([{ jobId, kind: 'manual', priority: 0 }])
    await store.runs.enqueue([{ jobId: 'd', kind: 'manual', priority: 0, claimedBy: 'node' }])
    expect(await store.cancels.request({ state: 'queued' })).toEqual({ cancelled: 3, requested: 0 })
    expect(await store.cancels.request({ state: 'running' })).toEqual({ cancelled: 0, requested: 1 })
  })
})
