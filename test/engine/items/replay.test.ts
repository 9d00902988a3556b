import { once } from 'node:events'
import { beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import type { Piko } from '../../../src/app/piko.ts'
import type { Item } from '../../../src/item/item.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { NoRetryError } from '../../../src/run/retry-errors.ts'
import { defineSink } from '../../../src/sink/define-sink.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { FENCE_FACTOR } from '../../../src/store/runs/fence.ts'
import { storeOn } from '../../../src/store/store.ts'
import { eventually, Gate, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

const ONCE = { '*': 0 } as const

describeEachStore((fixture) => {
  let database: Database

  beforeEach(async () => {
    database ??= await fixture.open()
    await fixture.empty()
  })

  const ended = (app: Piko, runId: number): Promise<unknown> =>
    eventually(async () => expect((await app.runs.show(runId)).state).not.toMatch(/queued|running/))

  it('calls the handler again if it had not added all items before a replay', async () => {
    let calls = 0
    let isFixed = false
    const died = new Gate()
    const job = defineJob(
      {
        id: 'partly',
        items: {
          page: {
            run: async (item: Item<string>) => {
              if (item.data === 'bad' && !isFixed) throw new Error('bad')
            },
            retry: ONCE,
          },
        },
      },
      async (ctx) => {
        calls += 1
        await ctx.items.add('page', ['a', 'bad'])
        if (calls === 1) {
          await died.pass()
          throw new NoRetryError('the list ended early')
        }
        await ctx.items.add('page', ['c', 'd'])
      },
    )
    const app = await startApp(fixture.options, [job])
    app.events.on('item.dead', () => died.open())
    const id = await app.enqueue('partly')
    await ended(app, id)
    await eventually(async () => expect(await app.items.status(id)).toMatchObject({ done: 1, dead: 1 }))

    isFixed = true
    expect(await app.items.replay(id)).toEqual({ items: 1 })
    await ended(app, id)

    expect((await app.runs.show(id)).state).toBe('succeeded')
    expect(calls).toBe(2)
    expect(await app.items.status(id)).toMatchObject({ total: 4, done: 4, dead: 0, isSeeded: true })
  })

  it('begins a new generation when a run is replayed whose items have not ended yet', async () => {
    const [began, leave] = [new Gate(), new Gate()]
    let calls = 0
    const job = defineJob(
      {
        id: 'anew',
        items: {
          page: {
            run: async (_item: Item<number>, ctx) => {
              if (calls > 1) return
              began.open()
              // Goes on after the cancel of its run.
              await leave.pass()
              if (!ctx.signal.aborted) await once(ctx.signal, 'abort')
            },
            lanes: { '*': { parallel: 2 } },
          },
        },
      },
      async (ctx) => {
        calls += 1
        await ctx.items.add(
          'page',
          Array.from({ length: 20 }, (_, n) => n),
          { dedup: 'job' },
        )
      },
    )
    const app = await startApp(fixture.options, [job])
    const id = await app.enqueue('anew')
    await began.pass()
    await app.runs.cancel(id)
    await ended(app, id)
    expect(await app.runs.replay({ ids: [id] })).toMatchObject({ count: 1 })
    leave.open()
    await ended(app, id)

    expect((await app.runs.show(id)).state).toBe('succeeded')
    expect(calls).toBe(2)
    expect(await app.items.status(id)).toMatchObject({ total: 20, done: 20, cancelled: 0 })
  })

  it('does not succeed with items that were cancelled, and replays only those of the newest generation', async () => {
    const stalled = new Gate()
    let isFixed = false
    const job = defineJob(
      {
        id: 'rest',
        items: {
          page: {
            run: async (item: Item<string>, ctx) => {
              if (isFixed) return
              if (item.data === 'bad') throw new Error('bad')
              stalled.open()
              await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }))
            },
            lanes: { '*': { parallel: 1 } },
            retry: ONCE,
          },
        },
      },
      async (ctx) => ctx.items.add('page', ['bad', 'a', 'b', 'c'], { priority: (data) => (data === 'bad' ? 0 : 1) }),
    )
    const app = await startApp(fixture.options, [job])
    const id = await app.enqueue('rest')
    await stalled.pass()
    await app.runs.cancel(id)
    await eventually(async () => expect(await app.items.status(id)).toMatchObject({ dead: 1, cancelled: 3 }))

    isFixed = true
    expect(await app.items.replay(id)).toEqual({ items: 1 })
    await ended(app, id)
    expect(await app.runs.show(id)).toMatchObject({ state: 'failed', error: { code: 'ITEMS_CANCELLED' } })

    expect(await app.items.replay(id, { state: 'cancelled' })).toEqual({ items: 3 })
    await ended(app, id)
    expect((await app.runs.show(id)).state).toBe('succeeded')
    expect(await app.items.status(id)).toMatchObject({ total: 4, done: 4, cancelled: 0 })
  })

  it('replays only items of the newest generation', async () => {
    const job = defineJob(
      {
        id: 'bad',
        items: {
          page: {
            run: async () => {
              throw new Error('bad')
            },
            retry: ONCE,
          },
        },
      },
      async (ctx) => ctx.items.add('page', ['a', 'b']),
    )
    const app = await startApp(fixture.options, [job])
    const id = await app.enqueue('bad')
    await ended(app, id)
    await app.runs.replay({ ids: [id] })
    await ended(app, id)

    expect((await app.items.list(id, { state: 'dead' })).items).toHaveLength(4)
    expect(await app.items.replay(id)).toEqual({ items: 2 })
  })

  it('continues with a run whose items are replayed while it ends', async () => {
    const Row = z.object({ id: z.string() })
    const reopened = new Gate()
    let isFixed = false
    let clears = 0
    const Rows = defineSink({
      name: 'Rows',
      clear: async (scope) => {
        clears += 1
        if (clears > 1) return
        // All items have ended, and the run has found that one dead item is tolerated.
        isFixed = true
        expect(await app.items.replay(scope.runId)).toEqual({ items: 1 })
      },
      on: [[Row, async () => {}]],
    })
    const job = defineJob(
      {
        id: 'ending',
        windows: { start: '2026-01-01T00:00:00Z', end: '2026-01-02T00:00:00Z', grid: '0 0 * * *' },
        sinks: { rows: Rows },
        items: {
          page: {
            run: async (item: Item<string>) => {
              if (item.data !== 'bad') return
              if (!isFixed) throw new Error('bad')
              // Had it ended before the end of the run is stored, the run would have nothing to go on with.
              await reopened.pass()
            },
            retry: ONCE,
          },
        },
        tolerate: { dead: 1 },
      },
      async (ctx) => ctx.items.add('page', ['good', 'bad']),
    )
    const app = await startApp(fixture.options, [job])
    app.events.on('run.settled', ({ outcome }) => outcome === 'interrupted' && reopened.open())
    await eventually(async () => expect(await app.windows.list('ending')).toMatchObject([{ state: 'succeeded' }]))

    const [run] = await app.runs.list({ jobId: 'ending' })
    expect(await app.items.status(run?.id ?? 0)).toMatchObject({ done: 2, dead: 0, cancelled: 0 })
    expect(clears).toBe(2)
  })

  it('does items that are unique in their job in the next run, if they were cancelled with the one before', async () => {
    const began = new Gate()
    let runs = 0
    const job = defineJob(
      {
        id: 'once',
        items: {
          page: {
            run: async (_item: Item<number>, ctx) => {
              if (runs > 1) return
              began.open()
              await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }))
            },
            lanes: { '*': { parallel: 2 } },
            dedup: 'job',
          },
        },
      },
      async (ctx) => {
        runs += 1
        await ctx.items.add('page', [1, 2, 3, 4, 5])
      },
    )
    const app = await startApp(fixture.options, [job])
    const id = await app.enqueue('once')
    await began.pass()
    await app.runs.cancel(id)
    await eventually(async () => expect(await app.items.status(id)).toMatchObject({ cancelled: 5 }))

    const next = await app.run('once', { wait: true })
    expect(await app.items.status(next.id)).toMatchObject({ done: 5, duplicates: 0 })
  })

  it('ends an item whose nodes die one after another, and no others', async () => {
    const { items, runs } = storeOn(database)
    const [runId = 0] = await runs.enqueue([{ jobId: 'deadly', kind: 'manual', priority: 0 }])
    const fence = runId * FENCE_FACTOR + 1
    const now = database.dialect.now()
    const row = { fence, run_id: runId, job_id: 'deadly', created_at: now }
    await database.db.insertInto('piko_item_run').values(row).execute()
    const laneId = [
      ...(await items.ensureLanes([{ scope: 'deadly', name: 'page', rate: undefined, parallel: 1 }])).values(),
    ]
    const cells = {
      fence,
      job_id: 'deadly',
      kind: 'page',
      lane_id: laneId[0] ?? 0,
      priority: 0,
      depth: 0,
      scope: fence,
    }
    const running = { state: 'running', node_id: 'gone', due_at: now, created_at: now, started_at: now } as const
    for (const print of ['a', 'b'])
      await database.db
        .insertInto('piko_item')
        .values({ ...cells, ...running, print, item_key: print, data: null, parent_id: null, claims: 1 })
        .execute()
    const request = { nodeId: 'mine', held: () => new Set<number>(), unheldMs: 60_000, lostAttempts: 2 }
    const listed = () => items.list(runId, {})

    expect(await items.sweep(request)).toMatchObject({ recovered: 2 })
    expect(await listed()).toMatchObject([
      { state: 'queued', tries: { lost: 1 } },
      { state: 'queued', tries: { lost: 1 } },
    ])
    const change = { state: 'running', node_id: 'other', claims: 2 } as const
    await database.db.updateTable('piko_item').set(change).where('print', '=', 'a').execute()
    expect((await items.sweep(request)).dead).toEqual([
      { runId, jobId: expect.any(String) as string, itemId: expect.any(Number) as number, kind: 'page', key: 'a' },
    ])
    expect(await listed()).toMatchObject([
      { state: 'dead', reason: 'lost', error: { code: 'RUN_CRASHED' } },
      { state: 'queued' },
    ])
    expect(await items.counts(fence)).toEqual([{ kind: 'page', what: 'dead', amount: 1 }])
  })
})
