import { beforeEach, describe, expect, it } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { WindowsSpec } from '../../src/job/spec.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { storeOn } from '../../src/store/store.ts'
import type { LedgerWindow } from '../../src/store/windows/window-store.ts'
import type { Window } from '../../src/time/window.ts'
import { eventually, Gate, Headcount, nextEvent, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

const START = new Date('2025-01-01T00:00:00Z')
const minute = (count: number): Date => new Date(START.getTime() + count * 60_000)
const shortPause = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A job whose windows are a number of minutes in the distant past. */
function minutes(count: number, handler: (window: Window) => unknown, windows: Partial<WindowsSpec> = {}) {
  return defineJob({ id: 'sync', every: '1m', windows: { start: START, end: minute(count), ...windows } }, (ctx) =>
    handler(ctx.window),
  )
}

async function settledLedger(app: Piko, count: number): Promise<LedgerWindow[]> {
  return eventually(async () => {
    const windows = await app.windows.list('sync', { limit: 1_000 })
    expect(windows.filter(({ state }) => state !== 'queued' && state !== 'running')).toHaveLength(count)
    return windows
  })
}

function expectTiles(windows: readonly Window[], from: Date, count: number): void {
  expect(windows.map(({ start, end }) => ({ start, end }))).toEqual(
    Array.from({ length: count }, (_, index) => ({
      start: new Date(from.getTime() + index * 60_000),
      end: new Date(from.getTime() + (index + 1) * 60_000),
    })),
  )
}

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
  })

  const setBack = async (columns: { window_cursor: Date }): Promise<void> => {
    const instant = database.dialect.instant(columns.window_cursor)
    await database.db
      .updateTable('piko_job')
      .set({ window_cursor: instant, next_tick: instant, plan_at: instant })
      .execute()
  }

  describe('catch-up', () => {
    it('runs all windows within the limit, and continues after one that fails', async () => {
      const inside = new Headcount()
      let isMended = false
      const app = await startApp(
        store.options,
        minutes(
          60,
          async ({ start }) => {
            inside.enter()
            await shortPause()
            inside.leave()
            if (start.getTime() === minute(20).getTime() && !isMended) throw new Error('no data yet')
          },
          { parallel: 5 },
        ),
      )
      const windows = await settledLedger(app, 60)
      expectTiles(windows, START, 60)
      expect(inside.most).toBe(5)
      expect(windows.filter(({ state }) => state !== 'succeeded')).toMatchObject([
        { start: minute(20), state: 'failed', error: 'no data yet' },
      ])
      expect(await app.windows.summary('sync')).toMatchObject({
        counts: { succeeded: 59, failed: 1 },
        start: START,
        watermark: minute(20),
        end: minute(60),
      })

      isMended = true
      const run = await app.run('sync', { window: minute(20), wait: true })
      expect(run).toMatchObject({ kind: 'manual', window: { start: minute(20), end: minute(21) } })
      expect(await app.windows.summary('sync')).toMatchObject({ counts: { succeeded: 60 }, watermark: minute(60) })
      expect(await app.windows.list('sync', { state: 'failed' })).toEqual([])
    })

    it('runs the oldest windows first', async () => {
      const order: Date[] = []
      const app = await startApp(
        store.options,
        minutes(12, ({ start }) => void order.push(start)),
      )
      await settledLedger(app, 12)
      expect(order).toEqual(Array.from({ length: 12 }, (_, index) => minute(index)))
    })

    it('of the latest runs one window, and records windows missed later as skipped', async () => {
      const app = await startApp(
        store.options,
        minutes(10, () => {}, { catchUp: 'latest' }),
      )
      expectTiles(await settledLedger(app, 1), minute(9), 1)
      await setBack({ window_cursor: minute(4) })
      const windows = await settledLedger(app, 6)
      expectTiles(windows, minute(4), 6)
      expect(windows.map(({ state }) => state)).toEqual([...Array.from({ length: 5 }, () => 'skipped'), 'succeeded'])
      expect(await app.runs.list()).toHaveLength(1)
    })

    it('of none runs no past window, records windows missed later, and runs such a window on request', async () => {
      const app = await startApp(
        store.options,
        minutes(10, () => {}, { catchUp: 'none' }),
      )
      expect((await app.jobs.list())[0]).toMatchObject({ windowCursor: minute(10), planAt: undefined })
      await setBack({ window_cursor: minute(7) })
      const windows = await settledLedger(app, 3)
      expect(windows.map(({ state }) => state)).toEqual(['skipped', 'skipped', 'skipped'])
      expect(await app.runs.list()).toEqual([])
      await app.run('sync', { window: minute(7), wait: true })
      expect(await app.windows.summary('sync')).toMatchObject({
        counts: { succeeded: 1, skipped: 2 },
        watermark: minute(8),
      })
    })

    it('ends at the end of the windows; the last one may be shorter', async () => {
      const app = await startApp(
        store.options,
        minutes(0, () => {}, { end: '2025-01-01T00:02:30Z' }),
      )
      const windows = await settledLedger(app, 3)
      expect(windows.map(({ end }) => end.toISOString())).toEqual([
        '2025-01-01T00:01:00.000Z',
        '2025-01-01T00:02:00.000Z',
        '2025-01-01T00:02:30.000Z',
      ])
      expect((await app.jobs.list())[0]).toMatchObject({ planAt: undefined, nextTick: undefined })
    })

    it('continues with new windows, and runs each as soon as it is complete', async () => {
      const start = new Date(Math.floor(Date.now() / 200) * 200 - 600)
      const ends: number[] = []
      const app = await startApp(
        store.options,
        defineJob({ id: 'sync', every: '200ms', windows: { start } }, ({ window }) => {
          ends.push(Date.now() - window.end.getTime())
        }),
      )
      await eventually(() => expect(ends.length).toBeGreaterThanOrEqual(6))
      const windows = await app.windows.list('sync')
      expect(windows[0]?.start).toEqual(start)
      for (const [index, window] of windows.entries()) {
        expect(window.end.getTime() - window.start.getTime()).toBe(200)
        if (index > 0) expect(window.start).toEqual(windows[index - 1]?.end)
      }
      expect(Math.min(...ends)).toBeGreaterThanOrEqual(-2)
    })
  })

  describe('many windows', () => {
    it('each run once despite a restart in the middle, without gap or duplicate', async () => {
      const done: Date[] = []
      const gate = new Gate()
      const handler = async ({ start }: Window): Promise<void> => {
        await shortPause()
        if (start >= minute(15)) await gate.pass()
        done.push(start)
      }
      const job = minutes(40, handler, { parallel: 3 })
      const first = await startApp(store.options, job)
      await eventually(() => expect(done.length).toBeGreaterThanOrEqual(15))
      const stopping = first.stop()
      gate.open()
      await stopping
      const before = done.length
      expect(before).toBeLessThan(40)
      const second = await startApp(store.options, job)
      const windows = await settledLedger(second, 40)
      expectTiles(windows, START, 40)
      expect(windows.every(({ state, attempt }) => state === 'succeeded' && attempt === 1)).toBe(true)
      expect(done.map(Number).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 40 }, (_, index) => Number(minute(index))),
      )
    })

    it('are shared by two apps, within one limit for both', async () => {
      const inside = new Headcount()
      const done: Date[] = []
      const by = new Set<number>()
      const job = (app: number) =>
        minutes(
          40,
          async ({ start }) => {
            inside.enter()
            by.add(app)
            // The first runs continue until both apps have filled their slots, however slow the machine is.
            await eventually(() => expect(inside.most).toBeGreaterThanOrEqual(4))
            inside.leave()
            done.push(start)
          },
          { parallel: 4 },
        )
      const settings = { piko: { concurrency: 2 } }
      const apps = await Promise.all([1, 2].map((app) => startApp(store.options, job(app), { settings })))
      expectTiles(await settledLedger(apps[0]!, 40), START, 40)
      expect(done.map(Number).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 40 }, (_, index) => Number(minute(index))),
      )
      expect(inside.most).toBe(4)
      expect(by).toEqual(new Set([1, 2]))
    })

    it('that a cursor set back by hand reaches again do not run again, and other jobs continue', async () => {
      const ran: string[] = []
      const app = await startApp(store.options, [
        minutes(12, ({ start }) => void ran.push(start.toISOString())),
        defineJob({ id: 'other', every: '100ms' }, () => {}),
      ])
      await settledLedger(app, 12)
      const instant = database.dialect.instant(minute(3))
      await database.db
        .updateTable('piko_job')
        .set({ window_cursor: instant, next_tick: instant, plan_at: instant })
        .where('id', '=', 'sync')
        .execute()
      const others = (await app.runs.list({ jobId: 'other', state: 'succeeded' })).length
      await eventually(async () => {
        const sync = (await app.jobs.list()).find((job) => job.id === 'sync')
        expect(sync).toMatchObject({ windowCursor: minute(12), planAt: undefined })
        expect((await app.runs.list({ jobId: 'other', state: 'succeeded' })).length).toBeGreaterThan(others + 1)
      })
      expect(await app.windows.list('sync')).toHaveLength(12)
      expect(ran).toHaveLength(12)
    })

    it('of a job whose ticks had fired before it had windows still run', async () => {
      const start = new Date(Math.floor(Date.now() / 200) * 200)
      const plain = await startApp(
        store.options,
        defineJob({ id: 'sync', every: '200ms' }, () => {}),
      )
      await eventually(async () =>
        expect((await plain.runs.list({ jobId: 'sync', state: 'succeeded' })).length).toBeGreaterThanOrEqual(3),
      )
      await plain.stop()
      const end = new Date(start.getTime() + 600)
      const app = await startApp(
        store.options,
        defineJob({ id: 'sync', every: '200ms', windows: { start, end } }, () => {}),
      )
      await settledLedger(app, 3)
      expect(await app.windows.summary('sync')).toMatchObject({ counts: { succeeded: 3 }, watermark: end })
    })

    it('that are all planned leave the planner idle after a change of the job', async () => {
      const first = await startApp(
        store.options,
        minutes(5, () => {}, { catchUp: 'none' }),
      )
      await first.stop()
      const app = await startApp(
        store.options,
        minutes(5, () => {}, { catchUp: 'none', parallel: 2 }),
      )
      await eventually(async () => expect((await app.jobs.list())[0]).toMatchObject({ planAt: undefined }))
    })
  })

  describe('coverage', () => {
    const insert = async (from: number, to: number, state: 'succeeded' | 'failed' | 'stale') => {
      const { db, dialect } = database
      for (let at = from; at < to; at += 1_000) {
        const values = Array.from({ length: Math.min(1_000, to - at) }, (_, index) => ({
          ...{ job_id: 'sync', state, updated_at: dialect.now() },
          ...{ start_at: dialect.instant(minute(at + index)), end_at: dialect.instant(minute(at + index + 1)) },
        }))
        await db.insertInto('piko_window').values(values).execute()
      }
    }

    it('is reported in spans of windows in the same state, with the missing time between them', async () => {
      // More than one page of windows in one span.
      await insert(0, 7_000, 'succeeded')
      await insert(7_000, 7_002, 'failed')
      await insert(7_005, 7_010, 'succeeded')
      const windows = storeOn(database).windows
      const all = [
        { start: minute(0), end: minute(7_000), state: 'succeeded', windows: 7_000 },
        { start: minute(7_000), end: minute(7_002), state: 'failed', windows: 2 },
        { start: minute(7_002), end: minute(7_005), state: 'missing', windows: 0 },
        { start: minute(7_005), end: minute(7_010), state: 'succeeded', windows: 5 },
      ]
      expect(await windows.coverage('sync')).toEqual(all)
      expect(await windows.coverage('sync', { limit: 2 })).toEqual(all.slice(0, 2))
      expect(await windows.coverage('nobody')).toEqual([])
      // The window around the instant is shown completely. Windows that the ledger does not have yet are missing.
      const from = new Date(minute(7_001).getTime() + 30_000)
      expect(await windows.coverage('sync', { from, to: minute(7_012) })).toEqual([
        { ...all[1], start: minute(7_001), windows: 1 },
        ...all.slice(2),
        { start: minute(7_010), end: minute(7_012), state: 'missing', windows: 0 },
      ])
      expect(await windows.coverage('sync', { from: minute(8_000), to: minute(8_001) })).toEqual([
        { start: minute(8_000), end: minute(8_001), state: 'missing', windows: 0 },
      ])
      expect(await windows.coverage('sync', { from: minute(7_003), to: minute(7_006) })).toEqual([
        { start: minute(7_003), end: minute(7_005), state: 'missing', windows: 0 },
        { start: minute(7_005), end: minute(7_006), state: 'succeeded', windows: 1 },
      ])
    })
  })

  describe('a requested window', () => {
    it('is identified by its start, as a Date or as a string with its zone', async () => {
      const app = await startApp(
        store.options,
        minutes(3, ({ start }) => start.toISOString()),
      )
      await settledLedger(app, 3)
      for (const window of [minute(1), '2025-01-01T00:01:00Z', '2025-01-01T01:01:00+01:00']) {
        const run = await app.run('sync', { window, wait: true })
        expect(run.output).toBe('2025-01-01T00:01:00.000Z')
      }
    })

    it('is refused while a run of it is queued or running', async () => {
      const gate = new Gate()
      const app = await startApp(
        store.options,
        minutes(2, () => gate.pass()),
      )
      const { runId } = await nextEvent(app, 'run.started')
      const error = await rejected(app.run('sync', { window: START }))
      expect([error.code, error.message]).toEqual([
        'WINDOW_BUSY',
        `window 2025-01-01T00:00:00.000Z of job "sync" already has run ${runId}; wait until that run has ended`,
      ])
      gate.open()
      await settledLedger(app, 2)
      await app.run('sync', { window: START, wait: true })
    })

    it('is refused with the known windows if it does not exist', async () => {
      const app = await startApp(store.options, [
        minutes(3, () => {}),
        defineJob({ id: 'plain' }, () => {}),
        defineJob({ id: 'live', every: '1d', windows: { start: new Date(Date.now() - 36 * 3_600_000) } }, () => {}),
      ])
      await settledLedger(app, 3)
      const known = 'the ledger knows those from 2025-01-01T00:00:00.000Z to 2025-01-01T00:03:00.000Z'
      const message = async (jobId: string, window?: Date | string): Promise<string> => {
        const error = await rejected(app.run(jobId, window === undefined ? {} : { window }))
        expect(error.code).toBe('WINDOW_UNKNOWN')
        return error.message
      }
      const none = 'no ended window of job "sync" starts at'
      const name = (index: number): string => `2025-01-01T00:0${index}:00Z to 2025-01-01T00:0${index + 1}:00Z`
      expect(await message('sync', '2025-01-01T00:00:30Z')).toBe(
        `${none} "2025-01-01T00:00:30Z"; the nearest are ${name(0)} before it and ${name(1)} after it; ` +
          `type 2025-01-01 or 2025-01-01T00:01:00Z; ${known}`,
      )
      expect(await message('sync', minute(3))).toBe(
        `${none} "2025-01-01T00:03:00.000Z"; the nearest is ${name(2)} before it; type 2025-01-01T00:02:00Z; ${known}`,
      )
      expect(await message('sync', minute(-1))).toBe(
        `${none} "2024-12-31T23:59:00.000Z"; the nearest is ${name(0)} after it; type 2025-01-01; ${known}`,
      )
      const form =
        'expected an instant with its zone, such as "2026-01-01T00:00:00Z" or "2026-01-01T01:00:00+01:00", or a date of the ' +
        'job\'s time zone, such as "2026-01-01"'
      expect(await message('sync', 'yesterday')).toBe(`window of a run of job "sync" is "yesterday"; ${form}`)
      expect(await message('sync')).toBe(
        `job "sync" runs by window; name the window by its start, such as --window 2025-01-01T00:00:00.000Z (${known})`,
      )
      expect(await message('sync', '2025-01-01T00:01:00')).toBe(
        `window of a run of job "sync" is "2025-01-01T00:01:00"; ${form}`,
      )
      expect(await message('plain', minute(1))).toBe(
        'job "plain" has no windows; leave out the window "2025-01-01T00:01:00.000Z"',
      )
      const [notOver] = (await app.windows.list('live')).slice(-1)
      expect(await message('live', notOver!.end)).toContain('no ended window of job "live" starts at')
      expect(await app.runs.list({ jobId: 'plain' })).toEqual([])
    })
  })
})
