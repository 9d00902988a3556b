import { beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import type { Piko } from '../../../src/app/piko.ts'
import { ItemError, type ItemErrorOptions } from '../../../src/item/item-error.ts'
import type { Item } from '../../../src/item/item.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { defineSink } from '../../../src/sink/define-sink.ts'
import { sqlTable } from '../../../src/sink/sql/sql-table.ts'
import { storeOn } from '../../../src/store/store.ts'
import { NODES, walkJob } from '../../fixtures/engine/items-job.ts'
import { eventually, Gate, Headcount, startApp, testSettings } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { rejected } from '../../support/thrown.ts'
import { WorkerProcess } from '../../support/worker-process.ts'

describeEachStore((fixture) => {
  let database: Database

  beforeEach(async () => {
    database ??= await fixture.open()
    await fixture.empty()
  })

  const ended = (app: Piko, runId: number): Promise<unknown> =>
    eventually(async () => expect((await app.runs.show(runId)).state).not.toMatch(/queued|running/))

  it('ends a run when its items and what they added have ended, each once, after its node was killed', async () => {
    await database.sql.exec('DROP TABLE IF EXISTS walked')
    await database.sql.exec('CREATE TABLE walked (n INTEGER NOT NULL)')
    const settings = testSettings(fixture.options, { piko: { lease: '2s' } })
    const [runId = 0] = await storeOn(database).runs.enqueue([{ jobId: 'walk', kind: 'manual', priority: 0 }])
    const child = new WorkerProcess({ settings }, 'engine/items')
    await child.told('walked', 100)
    await child.kill()

    const app = await startApp(fixture.options, [walkJob()], { settings: { piko: { lease: '2s' } } })
    await ended(app, runId)

    const run = await app.runs.show(runId)
    expect(run).toMatchObject({ state: 'succeeded', output: { added: 1, duplicates: 0 } })
    const rows = await database.sql.query<{ n: number }>('SELECT n FROM walked ORDER BY n')
    expect(rows.map(({ n }) => Number(n))).toEqual(Array.from({ length: NODES }, (_, n) => n))
    const status = await app.items.status(runId)
    expect(status).toMatchObject({ total: NODES, done: NODES, dead: 0, queued: 0, running: 0, isSeeded: true })
    expect(status.kinds).toMatchObject({ node: { total: NODES, done: NODES, open: 0 } })
  })

  it('a process that executes only its own runs leaves the items of other runs alone', async () => {
    const started: string[] = []
    const job = defineJob(
      { id: 'two', items: { page: { run: (item: Item<string>) => void started.push(item.data) } } },
      async (ctx) => {
        await ctx.items.add('page', [`run ${ctx.runId}`])
      },
    )
    const first = await startApp(fixture.options, [job])
    const foreign = await first.run('two', { wait: true })
    await first.stop()
    await database.sql.exec("UPDATE piko_item SET state = 'queued', finished_at = NULL")
    await database.sql.exec('UPDATE piko_item_run SET ended_at = NULL')
    await database.sql.exec(
      "UPDATE piko_run SET state = 'queued', finished_at = NULL, run_at = '2100-01-01 00:00:00.000'",
    )
    await database.sql.exec('UPDATE piko_lane SET next_at = used_at')
    started.length = 0
    const own = await startApp(fixture.options, [job], { onlyOwn: true, plan: false })
    const run = await own.run('two', { wait: true })
    expect(started).toEqual([`run ${run.id}`])
    expect((await own.items.list(foreign.id)).items).toMatchObject([{ state: 'queued' }])
  })

  it('charges each class its own budget, keeps bytes of dead items, and replays them into a succeeded run', async () => {
    let isFixed = false
    const tries: string[] = []
    const job = defineJob(
      {
        id: 'pages',
        items: {
          page: {
            run: async (item: Item<string>, ctx) => {
              tries.push(`${item.data}#${item.attempt}`)
              if (item.data === 'gone') ctx.skip('robots: not allowed')
              if (item.data === 'later' && item.position === undefined) {
                await ctx.checkpoint('once')
                ctx.retryLater('1ms')
              }
              if (isFixed || item.data === 'fine' || item.data === 'later') return
              const kept = item.kept && Buffer.from(item.kept).toString()
              ctx.keep(Buffer.from(`body of ${item.data}`))
              throw failing(item.data, kept)
            },
            retry: { network: { limit: 2, base: '1ms' }, parse: { limit: 1, base: '1ms' }, '*': 0 },
          },
        },
        tolerate: { dead: 0 },
      },
      async (ctx) => ctx.items.add('page', ['fine', 'fine', 'network', 'parse', 'plain', 'gone', 'later']),
    )
    const app = await startApp(fixture.options, [job])
    const id = await app.enqueue('pages')
    await ended(app, id)

    const failed = await app.runs.show(id)
    expect(failed).toMatchObject({ state: 'failed', error: { code: 'ITEMS_DEAD' }, attempt: 1 })
    expect(tries.filter((text) => text.startsWith('network'))).toHaveLength(3)
    expect(tries.filter((text) => text.startsWith('parse'))).toHaveLength(2)
    expect(tries.filter((text) => text.startsWith('plain'))).toHaveLength(1)
    expect(tries.filter((text) => text.startsWith('later'))).toEqual(['later#1', 'later#1'])
    expect(await app.items.status(id)).toMatchObject({
      ...{ total: 6, done: 2, dead: 3, skipped: 1, duplicates: 1 },
      reasons: { robots: 1 },
    })
    const { items, next } = await app.items.list(id, { state: 'dead', limit: 2 })
    expect([items.length, next]).toEqual([2, items[1]?.id])
    expect((await app.items.list(id, { state: 'dead', after: next ?? 0 })).items).toHaveLength(1)
    const dead = (await app.items.list(id, { state: 'dead' })).items
    const network = dead.find(({ key }) => key === 'network')
    expect(network).toMatchObject({ reason: 'network', tries: { network: 3 }, hasKept: true })
    expect(network?.error?.message).toBe('network failed with body of network')
    expect(await app.items.show(network?.id ?? 0)).toMatchObject({ data: 'network' })

    isFixed = true
    tries.length = 0
    expect(await app.items.replay(id)).toEqual({ items: 3 })
    await ended(app, id)

    expect((await app.runs.show(id)).state).toBe('succeeded')
    expect(tries.toSorted()).toEqual(['network#1', 'parse#1', 'plain#1'])
    expect(await app.items.status(id)).toMatchObject({ total: 6, done: 5, dead: 0, skipped: 1 })
    expect(await rejected(app.items.replay(id, { state: 'skipped' }))).toMatchObject({ code: 'USAGE' })
  })

  it('keeps the limits of a lane, and opens its breaker for all items', async () => {
    const heads = new Headcount()
    let isDown = true
    let calls = 0
    const job = defineJob(
      {
        id: 'lanes',
        items: {
          call: {
            run: async (item: Item<string>) => {
              if (item.lane === 'down') {
                calls += 1
                if (isDown) throw new ItemError('down', { class: 'server' })
                return
              }
              heads.enter()
              await new Promise((resolve) => setTimeout(resolve, 5))
              heads.leave()
            },
            lane: (name: string) => name.slice(0, 4),
            lanes: { some: { parallel: 3 }, down: { parallel: 2 } },
            retry: { server: { limit: 20, base: '1ms', max: '1ms', breaker: true } },
          },
        },
        limits: { items: 60 },
      },
      async (ctx) => {
        await ctx.items.add(
          'call',
          Array.from({ length: 30 }, (_, index) => `down${index}`),
        )
        return ctx.items.add(
          'call',
          Array.from({ length: 90 }, (_, index) => `some${index}`),
        )
      },
    )
    const app = await startApp(fixture.options, [job])
    const id = await app.enqueue('lanes')
    await eventually(async () =>
      expect(await app.items.lanes({ scope: 'lanes' })).toMatchObject([{ state: 'broken' }, {}]),
    )
    await eventually(async () => expect(await app.items.status(id)).toMatchObject({ done: 30, left: 60 }))

    expect(heads.most).toBeLessThanOrEqual(3)
    expect(calls).toBeGreaterThanOrEqual(10)
    expect(calls).toBeLessThanOrEqual(12)
    expect((await app.runs.show(id)).state).toBe('running')

    isDown = false
    calls = 0
    const now = database.dialect.now()
    await database.db
      .updateTable('piko_lane')
      .set({ open_until: now, next_at: now })
      .where('name', '=', 'down')
      .execute()
    await ended(app, id)
    expect((await app.runs.show(id)).state).toBe('succeeded')
    expect(calls).toBe(30)
  })

  it('writes a window from many items, and clears the older generation when the run has succeeded', async () => {
    await database.sql.exec('DROP TABLE IF EXISTS priced')
    const Price = z.object({ id: z.string(), amount: z.number() })
    const prices = sqlTable({ name: 'priced', model: Price, key: ['id'], fenceColumn: 'fence' })
    const Prices = defineSink({
      name: 'Prices',
      open: (env) => prices.open(env, { create: true }),
      clear: (scope) => prices.clear(scope),
      on: [[Price, (rows, batch) => prices.merge(batch, rows)]],
    })
    let amount = 1
    const counts: number[] = []
    const job = defineJob(
      {
        id: 'daily',
        windows: { start: '2026-01-01T00:00:00Z', end: '2026-01-02T00:00:00Z', grid: '0 0 * * *' },
        sinks: { prices: Prices },
        items: {
          page: {
            run: async (item: Item<number>, ctx) => {
              await ctx.sinks.prices.write(Price, { id: `p${item.data}`, amount })
              if (item.data === 5) counts.push(ctx.fence)
            },
          },
        },
      },
      async (ctx) => ctx.items.add('page', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    )
    const app = await startApp(fixture.options, [job])
    const rows = () =>
      database.sql.query<{ amount: number; fence: number }>('SELECT amount, fence FROM priced ORDER BY id')
    await eventually(async () => expect(await app.windows.list('daily')).toMatchObject([{ state: 'succeeded' }]))
    expect((await rows()).map((row) => Number(row.amount))).toEqual(Array(10).fill(1))

    amount = 2
    const again = await app.run('daily', { window: '2026-01-01T00:00:00Z', wait: true })

    expect(again.state).toBe('succeeded')
    expect((await rows()).map((row) => Number(row.amount))).toEqual(Array(10).fill(2))
    expect(new Set((await rows()).map((row) => Number(row.fence)))).toEqual(new Set([again.fence]))
    expect(counts[1]).toBeGreaterThan(counts[0] ?? Infinity)
  })

  it('cancels the queued items of a cancelled run, and ends those under way', async () => {
    const reasons: unknown[] = []
    const began = new Gate()
    const job = defineJob(
      {
        id: 'long',
        items: {
          wait: {
            run: async (_item: Item<number>, ctx) => {
              began.open()
              await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }))
              reasons.push((ctx.signal.reason as { code?: unknown }).code)
            },
            lanes: { '*': { parallel: 2 } },
          },
        },
      },
      async (ctx) =>
        ctx.items.add(
          'wait',
          Array.from({ length: 20 }, (_, index) => index),
        ),
    )
    const app = await startApp(fixture.options, [job])
    const id = await app.enqueue('long')
    await began.pass()
    await app.runs.cancel(id)

    await eventually(async () =>
      expect(await app.items.status(id)).toMatchObject({ state: 'cancelled', cancelled: 20 }),
    )
    expect(reasons.length).toBeGreaterThan(0)
    expect(new Set(reasons)).toEqual(new Set(['RUN_CANCELLED']))
  })

  it('shares notes, states and scores between items', async () => {
    let loads = 0
    let logins = 0
    const heads = new Headcount()
    const holders = new Map<string, number>()
    const job = defineJob(
      {
        id: 'shared',
        items: {
          call: {
            run: async (item: Item<number>, ctx) => {
              expect(await ctx.lane.note('robots', async () => ({ text: `load ${(loads += 1)}`, ttl: '1h' }))).toBe(
                'load 1',
              )
              const session = await ctx.state<{ visits: number }>('session', {
                size: 2,
                create: async () => {
                  logins += 1
                  return { visits: 0 }
                },
              })
              heads.enter()
              holders.set(session.name, session.value.visits + 1)
              session.save({ visits: session.value.visits + 1 })
              ctx.score('proxy', 'a', { ok: item.data % 4 !== 0, ms: 10 })
              await new Promise((resolve) => setTimeout(resolve, 2))
              heads.leave()
            },
          },
        },
      },
      async (ctx) =>
        ctx.items.add(
          'call',
          Array.from({ length: 24 }, (_, index) => index),
        ),
    )
    const app = await startApp(fixture.options, [job])
    const run = await app.run('shared', { wait: true })

    expect([run.state, loads, logins]).toEqual(['succeeded', 1, 2])
    expect(heads.most).toBeLessThanOrEqual(2)
    expect([...holders.values()].reduce((sum, visits) => sum + visits, 0)).toBe(24)
    const scores = () => storeOn(database).items.scores('shared', 'proxy')
    await eventually(async () => expect(await scores()).toMatchObject([{ name: 'a', ok: 18, failed: 6, ms: 10 }]))
  })

  it('refuses values that can not be items, and calls of jobs without items', async () => {
    const job = defineJob(
      { id: 'wrong', items: { page: { run: async () => {}, lane: (page: { host: string }) => page.host } } },
      async (ctx) => ctx.items.add('page', [{ host: 'a' }, { host: '' }]),
    )
    const none = defineJob({ id: 'none' }, async (ctx) => {
      await ctx.items.add('page' as never, [])
    })
    const lone = defineJob({ id: 'lone', items: { page: { run: async () => {} } } }, async (ctx) => {
      await ctx.items.add('page', ['a\ud800'])
    })
    const app = await startApp(fixture.options, [job, none, lone])
    const wrong = (await rejected(app.run('wrong', { wait: true }))) as { run?: { error?: unknown } }
    expect(wrong.run?.error).toMatchObject({
      code: 'ITEM_INVALID',
      message:
        'item 1 of kind "page" of job "wrong": its lane is ""; expected a string of 1 to 200 characters without lone surrogates',
    })
    const surrogate = (await rejected(app.run('lone', { wait: true }))) as { run?: { error?: unknown } }
    expect(surrogate.run?.error).toMatchObject({
      code: 'ITEM_INVALID',
      message:
        'item 0 of kind "page" of job "lone": its key is "a\\ud800"; expected a string of 1 to 2048 characters without lone surrogates, or a number',
    })
    const without = (await rejected(app.run('none', { wait: true }))) as { run?: { error?: unknown } }
    expect(without.run?.error).toMatchObject({ code: 'USAGE' })
  })
})

function failing(data: string, kept: string | undefined): Error {
  if (data === 'plain') return new Error('plain')
  const options: ItemErrorOptions = { class: data }
  return new ItemError(`${data} failed with ${kept}`, options)
}
