import { beforeEach, expect, it } from 'vitest'
import type { Piko } from '../../../src/app/piko.ts'
import type { Item } from '../../../src/item/item.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { NoRetryError } from '../../../src/run/retry-errors.ts'
import type { Database } from '../../../src/store/connection/database.ts'
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
            run: async (_item: Item<number>) => {
              if (calls > 1) return
              began.open()
              // Goes on after the cancel of its run.
              await leave.pass()
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
})
