import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { storeOn } from '../../src/store/store.ts'
import { eventually, nextEvent, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

const DAY_MS = 86_400_000

describeEachStore((fixture) => {
  let database: Database

  const start = async (jobs: ReturnType<typeof defineJob>[], history: object = {}) => {
    database = await fixture.open()
    await fixture.empty()
    return startApp(fixture.options, jobs, { settings: { history } })
  }

  /** Makes runs older. */
  const age = async (ids: readonly number[], days: number): Promise<void> => {
    const { db, dialect } = database
    const at = dialect.nowPlus(-days * DAY_MS)
    await db.updateTable('piko_run').set({ created_at: at, finished_at: at }).where('id', 'in', ids).execute()
  }

  const rows = async (table: 'piko_run' | 'piko_attempt' | 'piko_run_log' | 'piko_idempotency'): Promise<number> =>
    Number(
      (
        await database.db
          .selectFrom(table)
          .select((eb) => eb.fn.countAll().as('count'))
          .executeTakeFirstOrThrow()
      ).count,
    )

  it('keeps the log lines of a handler with level, message, fields and attempt, without secrets', async () => {
    const job = defineJob({ id: 'sync', retry: { limit: 1, base: '1ms' } }, (ctx) => {
      ctx.log.debug('not kept')
      ctx.log.info({ shop: 'eu', password: 'hunter2' }, 'fetching mysql://piko:hunter2@db/shop')
      ctx.log.warn('slow')
      if (ctx.attempt === 1) throw new Error('once more')
    })
    const app = await start([job])
    const { id } = await app.run('sync', { wait: true })
    const lines = await app.runs.logs(id)
    expect(lines.map(({ attempt, level, message }) => [attempt, level, message])).toEqual([
      [1, 'info', 'fetching mysql://piko:[redacted]@db/shop'],
      [1, 'warn', 'slow'],
      [2, 'info', 'fetching mysql://piko:[redacted]@db/shop'],
      [2, 'warn', 'slow'],
    ])
    expect(lines[0]?.fields).toEqual({ shop: 'eu', password: '[redacted]' })
    expect(await app.runs.logs(id, { level: 'warn', attempt: 2 })).toHaveLength(1)
    expect(await app.runs.logs(id, { after: lines[2]!.id })).toHaveLength(1)
    await expect(app.runs.logs(999)).rejects.toMatchObject({ code: 'RUN_UNKNOWN' })
  })

  it('hides a secret even at the cut of a long line', async () => {
    const job = defineJob({ id: 'long' }, (ctx) => ctx.log.info(`${'x'.repeat(3_980)} mysql://piko:hunter2@db/shop`))
    const app = await start([job])
    const [line] = await app.runs.logs((await app.run('long', { wait: true })).id)
    expect(line?.message).toHaveLength(4_000)
    expect(line?.message).not.toContain('hunter')
  })

  it('limits the lines of an attempt and says that there were more; keeps none if switched off', async () => {
    const job = defineJob({ id: 'chatty' }, (ctx) => {
      for (let line = 0; line < 50; line++) ctx.log.info({ big: 1n }, `line ${line}`)
    })
    const app = await start([job], { run_log_lines: 5 })
    const lines = await app.runs.logs((await app.run('chatty', { wait: true })).id)
    expect(lines.map((line) => line.message).slice(4)).toEqual([
      'line 4',
      'an attempt keeps at most 5 lines; later lines are left out',
    ])
    expect(lines[0]?.fields).toEqual({ '…': 'the fields could not be written as JSON' })
    // An app that keeps lines must not execute the run of the next one.
    await app.stop()
    const silent = await start([job], { run_logs: 'silent' })
    expect(await silent.runs.logs((await silent.run('chatty', { wait: true })).id)).toEqual([])
  })

  it('deletes old runs by state with all their rows, and never one that has not ended', async () => {
    const job = defineJob({ id: 'sync', retry: { limit: 0 } }, (ctx) => {
      ctx.log.info('here')
      if (ctx.input === 'fail') throw new Error('no')
    })
    const app = await start([job], { keep_succeeded: '0s', keep_failed: '0s' })
    const done = await app.run('sync', { wait: true, idempotencyKey: 'a' })
    const failed = await app.enqueue('sync', { input: 'fail' })
    await app.waitFor(failed)
    const recent = await app.run('sync', { wait: true })
    const waiting = await app.enqueue('sync', { runAt: new Date(Date.now() + DAY_MS) })
    await app.runs.logs(recent.id)
    await age([done.id, failed], 10)
    expect(await app.runs.prune({ olderThan: '5d', states: ['succeeded'], dryRun: true })).toBe(1)
    expect(await rows('piko_run')).toBe(4)
    const deleted = nextEvent(app, 'runs.deleted')
    expect(await app.runs.prune({ olderThan: '5d', states: ['succeeded'] })).toBe(1)
    expect(await deleted).toEqual({ count: 1 })
    await expect(app.runs.show(done.id)).rejects.toMatchObject({ code: 'RUN_UNKNOWN' })
    expect(await rows('piko_idempotency')).toBe(0)
    expect(await app.runs.prune({ olderThan: '5d' })).toBe(1)
    expect([await rows('piko_run'), await rows('piko_run_log'), await rows('piko_attempt')]).toEqual([2, 1, 0])
    expect(await app.runs.prune({ olderThan: '0s' })).toBe(1)
    expect((await app.runs.list()).map((run) => run.id)).toEqual([waiting])
  })

  it('deletes old runs on the leader by age and by count, and the ledger stays complete', async () => {
    const windowed = defineJob(
      {
        id: 'daily',
        every: '1d',
        windows: { start: '2026-01-01T00:00:00Z', end: '2026-01-04T00:00:00Z', parallel: 3 },
      },
      () => {},
    )
    const first = await start([windowed, defineJob({ id: 'sync' }, () => {})])
    await eventually(async () => expect((await first.windows.summary('daily')).counts.succeeded).toBe(3))
    const ids = []
    for (let count = 0; count < 5; count++) ids.push((await first.run('sync', { wait: true })).id)
    const before = await first.windows.summary('daily')
    await first.stop()
    await age(
      (await storeOn(database).runs.list({ jobId: 'daily' })).map((run) => run.id),
      40,
    )
    const again = await startApp(fixture.options, [windowed, defineJob({ id: 'sync' }, () => {})], {
      settings: { history: { keep_succeeded: '30d', keep_runs: 2 } },
    })
    await eventually(async () => expect(await rows('piko_run')).toBe(2))
    expect((await again.runs.list()).map((run) => run.id)).toEqual(ids.slice(-2).reverse())
    expect(await again.windows.summary('daily')).toEqual(before)
    // Its run is deleted, and the window does not run again.
    expect(await again.windows.list('daily')).toMatchObject([
      { state: 'succeeded' },
      { state: 'succeeded' },
      { state: 'succeeded' },
    ])
  })

  it('fails a run whose nodes die repeatedly while they run it', async () => {
    database = await fixture.open()
    await fixture.empty()
    const store = storeOn(database)
    const [id] = await store.runs.enqueue([{ jobId: 'deadly', kind: 'manual', priority: 0 }])
    let deaths = 0
    while ((await store.runs.find(id!))?.state === 'queued') {
      // The state that a killed node leaves: the run is running, and the node has no row.
      await store.runs.claim({ nodeId: crypto.randomUUID(), limit: 1, limits: new Map() })
      await store.runs.recover(3)
      deaths += 1
    }
    expect(deaths).toBe(3)
    const run = await store.runs.find(id!)
    expect(run).toMatchObject({ state: 'failed', error: { code: 'RUN_CRASHED' } })
    expect((await store.attempts.list(run!)).map((attempt) => attempt.outcome)).toEqual(['lost', 'lost', 'lost'])
  })
})
