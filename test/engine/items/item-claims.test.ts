import { beforeEach, expect, it } from 'vitest'
import type { Item } from '../../../src/item/item.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { eventually, Gate, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { refuseRows } from '../../support/refusing.ts'

describeEachStore((fixture) => {
  let database: Database

  beforeEach(async () => {
    database ??= await fixture.open()
    await fixture.empty()
  })

  it('commits an item that has added items to lanes which are new, before and within the transaction', async () => {
    const seen: string[] = []
    const job = defineJob(
      {
        id: 'follow',
        items: {
          page: {
            run: async (item: Item<string>, ctx) => {
              seen.push(`${item.lane} ${item.data}`)
              if (item.data !== 'first') return
              await ctx.items.add('page', ['before'])
              await ctx.commit(async () => {
                await ctx.items.add('page', ['within', 'before'])
              })
            },
            lane: (name: string) => `lane of ${name}`,
            retry: { '*': 0 },
          },
        },
      },
      async (ctx) => ctx.items.add('page', ['first']),
    )
    const app = await startApp(fixture.options, [job], { settings: { piko: { lease: '4s' } } })
    const run = await app.run('follow', { wait: true })

    expect(run.state).toBe('succeeded')
    expect(seen.toSorted()).toEqual(['lane of before before', 'lane of first first', 'lane of within within'])
  })

  it('does not send items to the database again that it has stored for the same run, and counts them', async () => {
    const next = new Map([
      ['first', ['one', 'one', 'two']],
      ['two', ['one', 'first', 'three']],
    ])
    let allow: (() => Promise<void>) | undefined
    const job = defineJob(
      {
        id: 'known',
        items: {
          page: {
            run: async ({ key }: Item<string>, ctx) => {
              if (key === 'two') allow ??= await refuseRows(database, 'piko_item', 'INSERT', `NEW.item_key = 'one'`)
              await ctx.items.add('page', next.get(key) ?? [])
            },
            retry: { '*': 0 },
          },
        },
      },
      async (ctx) => ctx.items.add('page', ['first']),
    )
    const app = await startApp(fixture.options, [job])
    const run = await app.run('known', { wait: true })

    expect(await app.items.status(run.id)).toMatchObject({
      state: 'succeeded',
      total: 4,
      done: 4,
      dead: 0,
      duplicates: 3,
    })
    await expect(app.run('known', { wait: true })).rejects.toMatchObject({ code: 'RUN_FAILED' })
    await allow?.()
  })

  it('keeps the limit of a lane although it claims ahead', async () => {
    let [active, most] = [0, 0]
    const job = defineJob(
      {
        id: 'ahead',
        items: {
          page: {
            run: async () => {
              most = Math.max(most, (active += 1))
              await new Promise((resolve) => setTimeout(resolve, 1))
              active -= 1
            },
            lanes: { '*': { parallel: 4 } },
          },
        },
      },
      async (ctx) =>
        ctx.items.add(
          'page',
          Array.from({ length: 100 }, (_, n) => n),
        ),
    )
    const app = await startApp(fixture.options, [job], { settings: { items: { concurrency: 4 } } })
    expect(await app.run('ahead', { wait: true })).toMatchObject({ state: 'succeeded' })
    expect(most).toBe(4)
  })

  it('ends an item that it claimed again while its earlier attempt was ending', async () => {
    const [first, second, leave] = [new Gate(), new Gate(), new Gate()]
    const reasons: unknown[] = []
    let calls = 0
    const job = defineJob(
      {
        id: 'twice',
        items: {
          wait: {
            run: async (_item: Item<number>, ctx) => {
              calls += 1
              if (calls === 1) {
                first.open()
                return leave.pass()
              }
              second.open()
              await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }))
              reasons.push((ctx.signal.reason as { code?: unknown }).code)
            },
          },
        },
      },
      async (ctx) => ctx.items.add('wait', [1]),
    )
    const app = await startApp(fixture.options, [job])
    const id = await app.enqueue('twice')
    await first.pass()
    // The sweep does this for an item whose node has died.
    const at = database.dialect.now()
    await database.db.updateTable('piko_item').set({ state: 'queued', node_id: null, due_at: at }).execute()
    await database.db.updateTable('piko_lane').set({ next_at: at }).execute()
    await second.pass()
    leave.open()
    await app.runs.cancel(id)

    await eventually(async () => expect(await app.items.status(id)).toMatchObject({ state: 'cancelled', cancelled: 1 }))
    expect([calls, reasons]).toEqual([2, ['RUN_CANCELLED']])
  })
})
