import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Piko } from '../../src/app/piko.ts'
import type { BatchDone } from '../../src/engine/planning/batch-end.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { type Store, storeOn } from '../../src/store/store.ts'
import { eventually, Gate, recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { refuseRows } from '../support/refusing.ts'
import { rejected } from '../support/thrown.ts'

describeEachStore((fixture) => {
  let database: Database
  let store: Store

  beforeEach(async () => {
    database ??= await fixture.open()
    store ??= storeOn(database)
    await fixture.empty()
  })

  const items = (count: number): { input: number }[] => Array.from({ length: count }, (_, input) => ({ input }))

  /** A job that fails for every tenth item until it is repaired, and one that runs at the end. */
  function jobs() {
    const state = { isBroken: true, seen: 0, done: [] as BatchDone[] }
    const work = defineJob({ id: 'work', input: z.int() }, ({ input }) => {
      state.seen += 1
      if (state.isBroken && input % 10 === 3) throw new Error(`HTTP 500 for item ${input}`)
    })
    const report = defineJob(
      { id: 'report', input: z.object({ batchId: z.int(), failed: z.int() }).loose() },
      (ctx) => {
        state.done.push(ctx.input as unknown as BatchDone)
      },
    )
    return { state, work, report, all: [work, report] }
  }

  const countOf = async (jobId: string): Promise<number> => (await store.runs.list({ jobId, limit: 10_000 })).length

  const ended = (app: Piko, id: number): Promise<unknown> =>
    eventually(async () => expect((await app.batches.list()).find((one) => one.id === id)?.finishedAt).toBeDefined())

  describe('a batch', () => {
    it('has one report, runs its last job once, and replays its failures with one call', async () => {
      const { state, work, report, all } = jobs()
      const app = await startApp(fixture.options, all)
      const changed = recordEvents(app, 'batch.changed')
      const batch = await app.batch(work, items(200), { key: 'ship', onDone: report })
      expect(await batch.wait()).toMatchObject({ state: 'failed', total: 200, done: 200, succeeded: 180, failed: 20 })
      const { failures, durations, ...status } = await batch.show()
      expect(failures).toMatchObject([
        { error: 'Error: HTTP # for item #', count: 20, example: 'Error: HTTP 500 for item 3', code: undefined },
      ])
      expect(failures[0]?.items).toEqual(Array.from({ length: 20 }, (_, index) => 10 * index + 3))
      const [first] = failures[0]?.runIds ?? []
      expect(await app.runs.show(first!)).toMatchObject({ batchId: batch.id, input: 3, state: 'failed' })
      expect((await app.runs.show(status.doneRunId!)).batchId).toBeUndefined()
      expect(durations).toMatchObject({ count: 200 })
      expect(await app.waitFor(status.doneRunId!)).toMatchObject({ jobId: 'report', state: 'succeeded' })
      expect(state.done).toEqual([
        {
          batchId: batch.id,
          jobId: 'work',
          key: 'ship',
          state: 'failed',
          total: 200,
          succeeded: 180,
          failed: 20,
          cancelled: 0,
        },
      ])

      expect(await batch.replay({ dryRun: true })).toMatchObject({ count: 20 })
      state.isBroken = false
      expect(await batch.replay()).toMatchObject({ count: 20 })
      expect(await batch.wait()).toMatchObject({ state: 'succeeded', succeeded: 200, failed: 0 })
      expect(state.seen).toBe(220)
      expect(await batch.replay()).toMatchObject({ count: 0 })
      // A replay of single runs continues the batch too. Its last job has run.
      await database.db.updateTable('piko_run').set({ state: 'failed' }).where('id', '=', first!).execute()
      await app.runs.replay(first!)
      expect((await app.batches.show(batch.id)).finishedAt).toBeUndefined()
      expect(await batch.wait()).toMatchObject({ state: 'succeeded', doneRunId: status.doneRunId })
      expect(await countOf('report')).toBe(1)
      expect(changed.map((one) => one.state)).toEqual(
        expect.arrayContaining(['running', 'failed', 'running', 'succeeded', 'succeeded']),
      )
    })

    it('is the same for the same key, items and options, and a conflict otherwise', async () => {
      const { work, all } = jobs()
      const app = await startApp(fixture.options, all, { execute: false })
      const made = await Promise.all(Array.from({ length: 4 }, () => app.batch(work, items(1_200), { key: 'Key ' })))
      expect(new Set(made.map(({ id }) => id)).size).toBe(1)
      expect(await countOf('work')).toBe(1_200)
      expect(made[0]?.key).toBe('Key ')
      expect(await made[0]?.show()).toMatchObject({ state: 'running', total: 1_200, stored: 1_200, queued: 1_200 })
      for (const [others, options] of [
        [items(1_199), {}],
        [items(1_200).toReversed(), {}],
        [items(1_200), { priority: 1 }],
        [items(1_200), { onDone: 'report' }],
      ] as const) {
        const error = (await rejected(app.batch(work, others, { key: 'Key ', ...options }))) as Error
        expect(error).toMatchObject({ code: 'BATCH_CONFLICT', details: { batchId: made[0]?.id, key: 'Key ' } })
        expect(error.message).toMatch(
          /1200 items and the digest [0-9a-f]{12}…, and this request has \d+ items and the digest/,
        )
      }
      for (const key of ['Key', 'key ', undefined, undefined])
        expect((await app.batch(work, items(1), key === undefined ? {} : { key })).id).not.toBe(made[0]?.id)
      expect((await app.batches.list({ jobId: 'work', limit: 2 })).map(({ total }) => total)).toEqual([1, 1])
    })

    it('whose creation is interrupted never ends early, and the same call stores the rest', async () => {
      const { state, work, report, all } = jobs()
      state.isBroken = false
      const app = await startApp(fixture.options, all)
      const allow = await refuseRows(database, 'piko_batch_slice', 'INSERT', 'NEW.from_item >= 1000')
      const create = () => app.batch(work, items(1_500), { key: 'big', onDone: report })
      try {
        await expect(create()).rejects.toThrow('refused by a trigger')
        const [batch] = await app.batches.list()
        expect(batch).toMatchObject({ state: 'creating', stored: 1_000 })
        await eventually(() => expect(state.seen).toBe(1_000))
        expect(await store.batches.settle(batch!.id, () => undefined)).toMatchObject({ ended: undefined })
      } finally {
        await allow()
      }
      const batch = await create()
      expect(await batch.wait()).toMatchObject({ state: 'succeeded', succeeded: 1_500 })
      expect([state.seen, await countOf('work')]).toEqual([1_500, 1_500])
      await eventually(() => expect(state.done).toMatchObject([{ succeeded: 1_500 }]))
    })

    it('whose node dies between the last end and its last job is ended by the next leader, once', async () => {
      const { state, work, report, all } = jobs()
      const worker = await startApp(fixture.options, all, { plan: false })
      const batch = await worker.batch(work, items(30), { onDone: report })
      await eventually(async () => expect((await worker.batches.show(batch.id)).done).toBe(30))
      expect((await worker.batches.show(batch.id)).state).toBe('running')
      await worker.stop()
      // All leaders and waiters at the same time.
      const apps = await Promise.all([1, 2, 3].map(() => startApp(fixture.options, all)))
      const ends = await Promise.all(apps.map((app) => app.batches.wait(batch.id)))
      expect(new Set(ends.map(({ doneRunId }) => doneRunId)).size).toBe(1)
      await eventually(() => expect(state.done).toHaveLength(1))
      expect(await countOf('report')).toBe(1)
    })

    it('ends without a waiter, also an empty one', async () => {
      const { state, work, report, all } = jobs()
      const app = await startApp(fixture.options, all)
      const empty = await app.batch(work, [], { onDone: report })
      await ended(app, empty.id)
      await eventually(() => expect(state.done).toMatchObject([{ total: 0, state: 'succeeded' }]))
    })

    it('is cancelled on all nodes, and replays what was cancelled', async () => {
      const gate = new Gate()
      const work = defineJob({ id: 'work' }, (ctx) => gate.pass(ctx.signal))
      const app = await startApp(fixture.options, work, { settings: { piko: { concurrency: 5 } } })
      const batch = await app.batch(
        work,
        Array.from({ length: 300 }, () => ({})),
      )
      await eventually(async () => expect((await batch.show()).running).toBe(5))
      const other = await startApp(fixture.options, [], { execute: false })
      await other.batches.cancel(batch.id)
      expect(await batch.wait()).toMatchObject({ state: 'cancelled', cancelled: 300, queued: 0, running: 0 })
      expect(await other.batches.cancel(batch.id)).toMatchObject({ state: 'cancelled' })
      gate.open()
      expect(await batch.replay({ state: 'cancelled' })).toMatchObject({ count: 300 })
      expect(await batch.wait()).toMatchObject({ state: 'succeeded', succeeded: 300 })
    })

    it('says what is wrong with a request, and stores nothing then', async () => {
      const { work, all } = jobs()
      const hourly = defineJob(
        { id: 'hourly', cron: '0 * * * *', windows: { start: '2026-01-01T00:00:00Z' } },
        () => {},
      )
      const app = await startApp(fixture.options, [...all, hourly], { execute: false })
      const asked = async (...args: unknown[]): Promise<unknown[]> => {
        const create = app.batch.bind(app) as (...args: unknown[]) => Promise<unknown>
        const { code, message } = (await rejected(create(...args))) as { code: string; message: string }
        return [code, message]
      }
      expect(await asked('wrok', [])).toEqual(['JOB_UNKNOWN', expect.stringContaining('did you mean "work"?')])
      expect(await asked(work, 7)).toEqual(['USAGE', expect.stringContaining('items are 7; expected a list of items')])
      expect(await asked(work, [], { key: '', onDnoe: work })).toEqual([
        'USAGE',
        expect.stringContaining('unknown option "onDnoe", did you mean "onDone"?'),
      ])
      expect(await asked(work, [], { key: '' })).toEqual(['USAGE', expect.stringContaining('key is ""')])
      expect(await asked(work, [{ input: 1 }, { input: 'x' }, 7, { input: 1, idempotencyKey: 'a' }])).toEqual([
        'INPUT_INVALID',
        expect.stringMatching(/^item 1: [^]*\nitem 2: [^]*\nitem 3: [^]*unknown option "idempotencyKey"/),
      ])
      expect(await asked(work, [{ input: 1 }], { priority: 40_000 })).toEqual([
        'USAGE',
        expect.stringContaining('priority is 40000'),
      ])
      expect(await asked(work, [], { onDone: 'nobody' })).toEqual(['JOB_UNKNOWN', expect.any(String)])
      // The last job's schema does not accept what a batch tells it.
      expect(await asked(work, [], { onDone: work })).toEqual(['INPUT_INVALID', expect.any(String)])
      expect(await asked(hourly, [{}])).toEqual(['WINDOW_UNKNOWN', expect.any(String)])
      expect(await asked(work, [], { onDone: hourly })).toEqual(['WINDOW_UNKNOWN', expect.any(String)])
      const calls = [
        () => app.batches.show(99),
        () => app.batches.cancel(NaN),
        () => app.batches.wait(99),
        () => app.batches.replay(99),
      ]
      for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'BATCH_UNKNOWN' })
      expect(await app.batches.list()).toEqual([])
    })

    it('is forgotten some time after its runs', async () => {
      const { work, all } = jobs()
      const app = await startApp(fixture.options, all)
      const batch = await app.batch(work, items(4))
      await batch.wait()
      await app.runs.prune({ olderThan: '0s', states: ['succeeded'] })
      expect(await batch.show()).toMatchObject({ succeeded: 3, failed: 1, done: 4 })
      expect(await store.batches.forget(3_600_000)).toBe(0)
      expect(await store.batches.forget(-3_600_000)).toBe(1)
      await expect(batch.show()).rejects.toMatchObject({ code: 'BATCH_UNKNOWN' })
      expect(await database.db.selectFrom('piko_batch_slice').selectAll().execute()).toEqual([])
    })
  })
})
