import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import type { JobHandler } from '../../src/job/spec.ts'
import { isPikoError } from '../../src/errors.ts'
import { eventually, Gate, nextEvent, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

const START = '2025-01-01T00:00:00Z'
const END = '2025-01-03T00:00:00Z'
const HOUR_MS = 3_600_000

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

describeEachStore((fixture) => {
  type Handler = JobHandler<Record<never, never>, never, Record<never, never>, { start: string }, unknown>

  /** 48 hours that the planner does not plan. */
  const hours = (handler: (start: string, ctx: Parameters<Handler>[0]) => unknown, more: object = {}) =>
    defineJob(
      { id: 'hours', cron: '0 * * * *', windows: { start: START, end: END, catchUp: 'none', ...more } },
      (ctx) => handler(ctx.window.start.toISOString(), ctx as never),
    )

  const hour = (index: number) => new Date(Date.parse(START) + index * HOUR_MS).toISOString()
  const fresh = async () => {
    await fixture.open()
    await fixture.empty()
  }

  it('runs each window of its range once, oldest first, and reports its progress', async () => {
    await fresh()
    const seen: string[] = []
    const app = await startApp(
      fixture.options,
      hours((start) => void seen.push(start)),
    )
    const changed = nextEvent(app, 'backfill.changed', ({ state }) => state === 'succeeded')
    const backfill = await app.backfills.create('hours', { from: START, to: END })
    const status = await backfill.wait()
    expect(seen).toEqual(Array.from({ length: 48 }, (_, index) => hour(index)))
    expect(status).toMatchObject({ state: 'succeeded', total: 48, planned: 48, succeeded: 48, failed: 0, done: 48 })
    expect(status.ratePerSecond).toBeGreaterThan(0)
    expect(await changed).toMatchObject({ backfillId: backfill.id, jobId: 'hours' })
    // Its priority puts it after live work.
    expect((await app.runs.list({ limit: 1 }))[0]).toMatchObject({
      kind: 'backfill',
      priority: 10_000,
      backfillId: backfill.id,
    })
    expect((await app.backfills.list({ state: 'succeeded' })).map(({ id }) => id)).toEqual([backfill.id])
  })

  it('runs newest first, with its own parallelism instead of windows.parallel, and its own config', async () => {
    await fresh()
    const seen: string[] = []
    let active = 0
    let most = 0
    const app = await startApp(
      fixture.options,
      hours(async (start, ctx) => {
        most = Math.max(most, ++active)
        seen.push(start)
        expect(ctx.config).toEqual({ shop: 'us' })
        await new Promise((resolve) => setTimeout(resolve, 5))
        active--
      }),
    )
    const request = { from: START, to: hour(24), order: 'newest', parallel: 3, config: { shop: 'us' } } as const
    const status = await (await app.backfills.create('hours', request)).wait()
    expect(status).toMatchObject({ state: 'succeeded', total: 24, succeeded: 24 })
    expect(seen.slice(0, 3).toSorted()).toEqual([hour(21), hour(22), hour(23)])
    expect(most).toBe(3)
  })

  it.each(['oldest', 'newest'] as const)(
    'fills the time up to a window of another schedule, %s first',
    async (order) => {
      await fresh()
      const app = await startApp(
        fixture.options,
        hours(() => {}),
      )
      await (await app.backfills.create('hours', { from: hour(6), to: hour(8) })).wait()
      // As an earlier schedule has left it: the window begins within an hour.
      const begins = '2025-01-01T05:20:00Z'
      const { db, dialect } = await fixture.open()
      const instant = (text: string) => dialect.instant(new Date(text))
      await db
        .updateTable('piko_window')
        .set({ start_at: instant(begins) })
        .where('start_at', '=', instant(hour(6)))
        .execute()
      const backfill = await app.backfills.create('hours', { from: hour(4), to: begins, order })
      expect(await backfill.wait()).toMatchObject({ state: 'succeeded', total: 2, succeeded: 2 })
      const windows = await app.windows.list('hours')
      expect(
        windows.map(({ start, end }) => `${start.toISOString().slice(11, 16)}-${end.toISOString().slice(11, 16)}`),
      ).toEqual(['04:00-05:00', '05:00-05:20', '05:20-07:00', '07:00-08:00'])
    },
  )

  it('runs only missing windows, only failed ones, or all; a preview says which', async () => {
    await fresh()
    let failing = new Set([hour(1), hour(2)])
    const seen: string[] = []
    const app = await startApp(
      fixture.options,
      hours((start) => {
        seen.push(start)
        if (failing.has(start)) throw new Error('no')
      }),
    )
    const range = { from: START, to: hour(6), parallel: 10 }
    const previewed = async (only: 'missing' | 'failed' | 'all') =>
      (await collect(app.backfills.preview('hours', { ...range, only }))).map(
        ({ start, state }) => `${start.toISOString().slice(11, 13)} ${state ?? 'missing'}`,
      )
    expect(await (await app.backfills.create('hours', { ...range, to: hour(4) })).wait()).toMatchObject({
      state: 'failed',
      succeeded: 2,
      failed: 2,
    })
    expect(await previewed('missing')).toEqual(['04 missing', '05 missing'])
    expect(await previewed('failed')).toEqual(['01 failed', '02 failed'])
    expect(await previewed('all')).toHaveLength(6)
    failing = new Set()
    seen.length = 0
    expect(await (await app.backfills.create('hours', range)).wait()).toMatchObject({
      state: 'succeeded',
      passed: 4,
      succeeded: 2,
    })
    expect(seen.toSorted()).toEqual([hour(4), hour(5)])
    seen.length = 0
    expect(await (await app.backfills.create('hours', { ...range, only: 'failed' })).wait()).toMatchObject({
      succeeded: 2,
    })
    expect(seen.toSorted()).toEqual([hour(1), hour(2)])
    seen.length = 0
    expect(await (await app.backfills.create('hours', { ...range, only: 'all' })).wait()).toMatchObject({
      succeeded: 6,
      passed: 0,
    })
    expect(seen).toHaveLength(6)
    expect((await app.windows.summary('hours')).counts).toMatchObject({ succeeded: 6, failed: 0 })
  })

  it('starts nothing on any node while paused, not even a retry, and continues when resumed', async () => {
    await fresh()
    const gate = new Gate()
    const started: string[] = []
    const handler = async (start: string) => {
      started.push(start)
      await gate.pass()
      return undefined
    }
    const app = await startApp(fixture.options, hours(handler))
    const other = await startApp(fixture.options, hours(handler))
    const backfill = await app.backfills.create('hours', { from: START, to: END, parallel: 4 })
    await eventually(() => expect(started).toHaveLength(4))
    expect(await other.backfills.pause(backfill.id)).toMatchObject({ state: 'paused', running: 4 })
    gate.open()
    await eventually(async () =>
      expect(await backfill.status()).toMatchObject({ running: 0, succeeded: 4, etaMs: undefined }),
    )
    expect(started).toHaveLength(4)
    await backfill.resume()
    expect(await backfill.wait()).toMatchObject({ state: 'succeeded', succeeded: 48 })
    expect(new Set(started).size).toBe(48)
    expect(started).toHaveLength(48)
    await expect(backfill.pause()).rejects.toMatchObject({ code: 'USAGE' })
  })

  it('ends its queued runs immediately when cancelled, and requests the end of running ones', async () => {
    await fresh()
    const app = await startApp(
      fixture.options,
      hours(
        (_, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
          }),
      ),
    )
    const backfill = await app.backfills.create('hours', { from: START, to: END, parallel: 2 })
    await eventually(async () => expect(await backfill.status()).toMatchObject({ running: 2 }))
    await backfill.cancel()
    expect(await backfill.wait()).toMatchObject({ state: 'cancelled', cancelled: 48, running: 0, queued: 0 })
    // The windows that it did not run are missing, so the next backfill runs them.
    expect(await collect(app.backfills.preview('hours', { from: START, to: END }))).toHaveLength(48)
  })

  it('leaves a window with a running run to that run', async () => {
    await fresh()
    const gate = new Gate()
    const seen: string[] = []
    const app = await startApp(
      fixture.options,
      hours(async (start) => {
        seen.push(start)
        if (start === hour(0)) await gate.pass()
      }),
    )
    const first = await app.backfills.create('hours', { from: START, to: hour(1) })
    await eventually(() => expect(seen).toEqual([hour(0)]))
    const second = await app.backfills.create('hours', { from: START, to: hour(3), only: 'all' })
    expect(await second.wait()).toMatchObject({ state: 'succeeded', total: 3, passed: 1, succeeded: 2 })
    gate.open()
    expect(await first.wait()).toMatchObject({ state: 'succeeded', succeeded: 1 })
    expect(seen.toSorted()).toEqual([hour(0), hour(1), hour(2)])
  })

  it('runs a window once if catch-up plans it at the same time', async () => {
    await fresh()
    const seen: string[] = []
    const app = await startApp(
      fixture.options,
      hours((start) => void seen.push(start), { catchUp: 'all', parallel: 4 }),
    )
    const backfill = await app.backfills.create('hours', { from: START, to: END, parallel: 4 })
    expect(await backfill.wait()).toMatchObject({ state: 'succeeded' })
    await eventually(async () => expect((await app.windows.summary('hours')).counts.succeeded).toBe(48))
    expect(seen.toSorted()).toEqual(Array.from({ length: 48 }, (_, index) => hour(index)))
  })

  it('gives precedence to live work', async () => {
    await fresh()
    const gate = new Gate()
    const started: string[] = []
    const app = await startApp(
      fixture.options,
      [
        hours(async (start) => {
          started.push(start)
          await gate.pass()
        }),
        defineJob({ id: 'hand', priority: 500 }, () => void started.push('hand')),
      ],
      { settings: { piko: { concurrency: 1 } } },
    )
    const backfill = await app.backfills.create('hours', { from: START, to: END, parallel: 10 })
    expect(await backfill.status()).toMatchObject({ priority: 10_000 })
    await eventually(async () => expect(await backfill.status()).toMatchObject({ running: 1, queued: 47 }))
    const { id } = await app.run('hand')
    gate.open()
    await app.waitFor(id)
    expect(await backfill.wait()).toMatchObject({ succeeded: 48 })
    expect(started.indexOf('hand')).toBe(1)
  })

  it('does not delay live windows, however many of its own wait in the queue', async () => {
    await fresh()
    const gate = new Gate()
    const live: string[] = []
    const begin = Math.floor(Date.now() / 1_000) * 1_000
    const windows = { start: new Date(begin - 3_000_000), catchUp: 'none' } as const
    const app = await startApp(
      fixture.options,
      defineJob({ id: 'seconds', cron: '* * * * * *', windows }, async (ctx) => {
        if (ctx.window.start.getTime() < begin) await gate.pass(ctx.signal)
        else live.push(ctx.window.start.toISOString())
      }),
    )
    const backfill = await app.backfills.create('seconds', { from: windows.start, to: new Date(begin), parallel: 1 })
    await eventually(async () => expect((await backfill.status()).queued).toBeGreaterThan(1_500))
    const before = live.length
    await eventually(() => expect(live.length).toBeGreaterThan(before + 2))
    await backfill.cancel()
    gate.open()
  })

  it.each([
    ['a range without a window', { from: END, to: '2025-02-01T00:00:00Z' }, 'WINDOW_UNKNOWN', /begin at 2025-01-01/],
    ['a range backwards', { from: END, to: START }, 'USAGE', /an instant after from/],
    [
      'an instant without a zone',
      { from: '2025-01-01T00:00:00', to: END },
      'USAGE',
      /from of a backfill is "2025-01-01T00:00:00"/,
    ],
    ['an unknown order', { from: START, to: END, order: 'up' }, 'USAGE', /oldest or newest/],
    ['a part of nothing', { from: START, to: END, parallel: 0 }, 'USAGE', /parallel of a backfill is 0/],
  ])('refuses %s and stores nothing', async (_, request, code, message) => {
    await fresh()
    const app = await startApp(
      fixture.options,
      hours(() => {}),
    )
    const error: unknown = await app.backfills.create('hours', request as never).catch((thrown: unknown) => thrown)
    expect(isPikoError(error) && error.code).toBe(code)
    expect((error as Error).message).toMatch(message)
    expect(await app.backfills.list()).toEqual([])
    await expect(app.backfills.show(7)).rejects.toMatchObject({ code: 'BACKFILL_UNKNOWN' })
  })
})
