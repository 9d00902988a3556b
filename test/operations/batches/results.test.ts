import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import type { BatchDone } from '../../../src/engine/planning/batch-end.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { BatchStore } from '../../../src/store/batches/batch-store.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { eventually, Gate, recordEvents, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { refuseRows } from '../../support/refusing.ts'
import { rejected } from '../../support/thrown.ts'

describeEachStore((fixture) => {
  let database: Database
  let store: Store

  beforeEach(async () => {
    database ??= await fixture.open()
    store ??= storeOn(database)
    await fixture.empty()
  })

  /** A job that fails for `fail` until it is repaired, and waits at a gate for `wait`. */
  function jobs() {
    const state = { isBroken: true, done: [] as BatchDone[], gate: new Gate() }
    const work = defineJob({ id: 'work', input: z.string(), retry: { limit: 0 } }, async ({ input, signal }) => {
      if (input === 'fail' && state.isBroken) throw new Error('HTTP 500')
      if (input === 'wait') await state.gate.pass(signal)
    })
    const report = defineJob({ id: 'report' }, ({ input }) => void state.done.push(input as BatchDone))
    return { state, work, report, all: [work, report] }
  }

  const of = (...inputs: string[]) => inputs.map((input) => ({ input }))

  it('runs of a batch that has not ended are not deleted, so it does not succeed with a failed run', async () => {
    const { state, work, report, all } = jobs()
    const app = await startApp(fixture.options, all)
    const batch = await app.batch(work, of('ok', 'fail', 'ok', 'wait'), { onDone: report })
    await eventually(async () => expect(await batch.show()).toMatchObject({ done: 3, running: 1 }))
    const old = await app.enqueue(work, { input: 'ok' })
    await app.waitFor(old)
    const prune = { olderThan: '0s', jobId: 'work' } as const
    expect(await app.runs.prune({ ...prune, dryRun: true })).toBe(1)
    expect(await app.runs.prune(prune)).toBe(1)
    expect(await store.retention.beyond(0)).toMatchObject({ count: 0 })
    expect(await batch.show()).toMatchObject({ succeeded: 2, failed: 1, deleted: 0, failures: [{ count: 1 }] })
    state.gate.open()
    expect(await batch.wait()).toMatchObject({ state: 'failed', succeeded: 3, failed: 1, deleted: 0 })
    await eventually(() => expect(state.done).toMatchObject([{ state: 'failed', succeeded: 3, failed: 1 }]))
    // After its end they may go.
    expect(await app.runs.prune(prune)).toBe(4)
    expect(await batch.show()).toMatchObject({ state: 'failed', succeeded: 3, failed: 1, deleted: 0 })
  })

  it('a batch with a missing run does not claim success', async () => {
    const { state, work, all } = jobs()
    const app = await startApp(fixture.options, all)
    const batch = await app.batch(work, of('fail', 'ok', 'wait'))
    await eventually(async () => expect((await batch.show()).done).toBe(2))
    await database.sql.exec(`DELETE FROM piko_run WHERE state = 'failed'`)
    state.gate.open()
    expect(await batch.wait()).toMatchObject({ state: 'failed', succeeded: 2, failed: 0, deleted: 1 })
  })

  it('a replay finds all failed runs, also while one that was replayed before has not ended', async () => {
    const { state, work, all } = jobs()
    const app = await startApp(fixture.options, all, { execute: false })
    const executing = await startApp(fixture.options, all)
    const batch = await app.batch(work, of('ok', 'fail', 'fail', 'ok', 'fail'))
    expect(await batch.wait()).toMatchObject({ state: 'failed', failed: 3 })
    await executing.stop()
    expect(await app.runs.prune({ olderThan: '0s', states: ['succeeded'] })).toBe(2)
    const [one] = await app.runs.list({ state: 'failed' })
    await app.runs.replay(one!.id)
    expect(await batch.replay({ dryRun: true })).toMatchObject({ count: 2 })
    expect(await batch.replay()).toMatchObject({ count: 2 })
    state.isBroken = false
    await startApp(fixture.options, all)
    expect(await batch.wait()).toMatchObject({ state: 'succeeded', succeeded: 5, failed: 0, deleted: 0 })
  })

  it('a replay keeps the counts of runs that were deleted after the end', async () => {
    const { state, work, all } = jobs()
    const app = await startApp(fixture.options, all)
    const batch = await app.batch(work, of('ok', 'fail', 'ok', 'fail', 'ok'))
    expect(await batch.wait()).toMatchObject({ state: 'failed', succeeded: 3, failed: 2 })
    expect(await app.runs.prune({ olderThan: '0s', states: ['succeeded'] })).toBe(3)
    // Twice, because the second replay opens a slice that has counts of deleted runs.
    for (const [isBroken, failed] of [
      [true, 2],
      [false, 0],
    ] as const) {
      state.isBroken = isBroken
      expect(await batch.replay()).toMatchObject({ count: 2 })
      expect(await batch.show()).toMatchObject({ deleted: 0 })
      expect(await batch.wait()).toMatchObject({ succeeded: 5 - failed, failed, deleted: 0, done: 5 })
    }
    expect((await batch.show()).state).toBe('succeeded')
  })

  it('a batch whose creation was cancelled never succeeds, and a call with its key says so', async () => {
    const { work, report, all } = jobs()
    const app = await startApp(fixture.options, all)
    const many = of(...Array.from({ length: 1_200 }, () => 'ok'))
    const create = () => app.batch(work, many, { key: 'big', onDone: report })
    const allow = await refuseRows(database, 'piko_batch_slice', 'INSERT', 'NEW.from_item >= 1000')
    try {
      await expect(create()).rejects.toThrow('refused by a trigger')
    } finally {
      await allow()
    }
    const [{ id } = { id: 0 }] = await app.batches.list()
    await database.sql.exec(`UPDATE piko_run SET state = 'cancelled' WHERE job_id = 'work'`)
    await app.batches.cancel(id)
    expect(await app.batches.wait(id)).toMatchObject({ state: 'cancelled', stored: 1_000, total: 1_200 })
    const expected = { code: 'BATCH_CANCELLED', details: { batchId: id, key: 'big', stored: 1_000, total: 1_200 } }
    expect(await rejected(create())).toMatchObject(expected)
    expect(await app.batches.replay(id, { state: 'cancelled' })).toMatchObject({ count: 1_000 })
    expect(await rejected(create())).toMatchObject(expected)
    expect(await app.batches.wait(id)).toMatchObject({ state: 'cancelled', stored: 1_000, succeeded: 1_000 })
    expect(await rejected(create())).toMatchObject(expected)
  })

  it('a call whose batch is cancelled in the middle fails', async () => {
    const { work, all } = jobs()
    const app = await startApp(fixture.options, all, { execute: false })
    const created = app.batch(work, of(...Array.from({ length: 20_000 }, () => 'ok')))
    let isOver = false
    const failure = created.catch((thrown: unknown) => thrown).finally(() => (isOver = true))
    let id: number | undefined
    while (id === undefined && !isOver) {
      await sleep(1)
      id = (await app.batches.list({ state: 'creating' }))[0]?.id
    }
    await app.batches.cancel(id as number)
    const { stored, total } = await app.batches.wait(id as number)
    expect(stored).toBeLessThan(total)
    expect(await failure).toMatchObject({ code: 'BATCH_CANCELLED', details: { batchId: id, stored, total } })
  })

  it('a batch that is being cancelled refuses every replay until it has ended', async () => {
    const held = new Gate()
    // Ignores the cancel for a while.
    const work = defineJob({ id: 'work', input: z.string() }, async ({ input }) => {
      if (input === 'wait') await held.pass()
    })
    const app = await startApp(fixture.options, work, { settings: { piko: { concurrency: 2 } } })
    const later = { input: 'ok', runAt: new Date(Date.now() + 3_600_000) } as const
    const batch = await app.batch(work, [{ input: 'wait' }, later, later])
    await eventually(async () => expect((await batch.show()).running).toBe(1))
    expect(await batch.cancel()).toMatchObject({ state: 'cancelling', cancelled: 2 })
    const expected = {
      code: 'BATCH_CANCELLED',
      message: expect.stringContaining(`piko batches wait ${batch.id}`) as string,
      details: { batchId: batch.id },
    }
    expect(await rejected(batch.replay({ state: 'cancelled' }))).toMatchObject(expected)
    const [run] = await app.runs.list({ jobId: 'work', state: 'cancelled' })
    expect(await rejected(app.runs.replay(run!.id))).toMatchObject(expected)
    const own = await app.enqueue('work', later)
    await app.runs.cancel(own)
    expect(await rejected(app.runs.replay({ jobId: 'work', state: 'cancelled' }))).toMatchObject(expected)
    // The run that belongs to no batch is queued all the same, and may begin at once.
    expect((await app.runs.show(own)).state).not.toBe('cancelled')
    expect(await batch.show()).toMatchObject({ state: 'cancelling', cancelled: 2, queued: 0 })
    held.open()
    expect((await batch.wait()).state).toBe('cancelled')
    expect((await batch.replay({ state: 'cancelled' })).count).toBeGreaterThanOrEqual(2)
    expect((await batch.show()).state).toBe('running')
  })

  it('events name each new state, and the onDone run of every end', async () => {
    const { state, work, report, all } = jobs()
    const app = await startApp(fixture.options, all)
    const events = recordEvents(app, 'batch.changed')
    const batch = await app.batch(work, of('ok', 'fail'), { onDone: report })
    // The leader ends the batch: nobody waits for it.
    await eventually(async () => expect((await batch.show()).state).toBe('failed'))
    const { doneRunId, failures } = await batch.show()
    state.isBroken = false
    await app.runs.replay(failures[0]?.runIds[0] as number)
    await eventually(async () => expect((await batch.show()).state).toBe('succeeded'))
    await eventually(() => expect(events).toHaveLength(4))
    expect(events).toMatchObject([
      { state: 'running' },
      { state: 'failed', doneRunId },
      { state: 'running', doneRunId },
      { state: 'succeeded', doneRunId },
    ])
    expect(doneRunId).toBeDefined()
  })

  it('a slice that closes while a batch is counted is counted once', async () => {
    const { work, all } = jobs()
    const app = await startApp(fixture.options, all, { plan: false })
    const { id } = await app.batch(work, of('ok', 'fail', 'ok'))
    await eventually(async () => expect((await app.batches.show(id)).done).toBe(3))
    const settled = async (): Promise<unknown> => store.batches.settle(id, () => undefined)
    let closing: Promise<unknown> | undefined
    const db = database.db.withPlugin({
      transformQuery: ({ node }) => node,
      transformResult: async ({ result }) => {
        await (closing ??= settled())
        return result
      },
    })
    const { dialect, broken } = database
    const batches = new BatchStore({ db, dialect, broken } as unknown as Database)
    expect(await batches.counts(id)).toMatchObject({ succeeded: 2, failed: 1, queued: 0, running: 0, deleted: 0 })
    expect(await store.batches.find(id)).toMatchObject({ state: 'failed' })
  })

  it('a report counts the runs whose durations it has read', async () => {
    const { work, all } = jobs()
    const app = await startApp(fixture.options, all)
    const batch = await app.batch(work, of(...Array.from({ length: 1_000 }, () => 'ok')))
    for (let isOver = false; !isOver;) {
      const { durations, succeeded, failed, queued, running, finishedAt } = await batch.show()
      expect(durations?.count ?? 0).toBe(succeeded + failed)
      expect(succeeded + failed + queued + running).toBe(1_000)
      isOver = finishedAt !== undefined
    }
  })

  it('a request says what to do for jobs with windows, and checks the config of the onDone job', async () => {
    const { work, all } = jobs()
    const hourly = defineJob({ id: 'hourly', cron: '0 * * * *', windows: { start: '2026-01-01T00:00:00Z' } }, () => {})
    const needy = defineJob({ id: 'needy', config: z.object({ table: z.string() }) }, () => {})
    const app = await startApp(fixture.options, [...all, hourly, needy], { execute: false })
    const create = app.batch.bind(app) as (...args: unknown[]) => Promise<unknown>
    const windows = { code: 'WINDOW_UNKNOWN', message: expect.stringContaining('app.backfills.create') as string }
    for (const asked of [create(hourly, [{}]), create(work, of('ok'), { onDone: hourly })]) {
      const error = await rejected(asked)
      expect(error).toMatchObject(windows)
      expect((error as Error).message).not.toContain('--window')
    }
    expect(await rejected(create(work, of('ok'), { onDone: needy }))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('job "needy"') as string,
    })
    expect(await app.batches.list()).toEqual([])
  })
})
