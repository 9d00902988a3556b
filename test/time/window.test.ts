import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Schedule } from '../../src/time/schedule.ts'
import { Timeline, type Window } from '../../src/time/window.ts'
import { endlessCase } from './arbitrary.ts'

const HOUR_MS = 3_600_000

function text(window: Window | undefined): string | undefined {
  return window && `${window.start.toISOString()}/${window.end.toISOString()}`.replaceAll(':00.000Z', 'Z')
}

function timeline(cron: string, start: string, end?: string, timezone = 'UTC'): Timeline {
  const schedule = Schedule.of({ kind: 'cron', cron, timezone })
  return new Timeline(schedule, { start: new Date(start), end: end === undefined ? undefined : new Date(end) })
}

function take(windows: Iterable<Window>, count: number): Window[] {
  const taken: Window[] = []
  for (const window of windows) {
    if (taken.length === count) break
    taken.push(window)
  }
  return taken
}

describe('a timeline whose bounds are off the grid', () => {
  const hours = timeline('0 * * * *', '2026-01-01T00:20:00Z', '2026-01-01T03:10:00Z')

  it('starts at its start, continues at the ticks and ends at its end', () => {
    expect([...hours.windowsFrom(new Date('2026-01-01T00:20:00Z'))].map(text)).toEqual([
      '2026-01-01T00:20Z/2026-01-01T01:00Z',
      '2026-01-01T01:00Z/2026-01-01T02:00Z',
      '2026-01-01T02:00Z/2026-01-01T03:00Z',
      '2026-01-01T03:00Z/2026-01-01T03:10Z',
    ])
  })

  it('has no window at or after its end, nor before its start', () => {
    for (const instant of [
      '2026-01-01T03:10:00Z',
      '2026-01-01T04:00:00Z',
      '2026-01-01T00:19:59Z',
      '2026-01-01T00:00:00Z',
    ]) {
      expect(hours.windowFrom(new Date(instant))).toBeUndefined()
      expect(hours.containing(new Date(instant))).toBeUndefined()
      expect(hours.startingAt(new Date(instant))).toBeUndefined()
    }
  })

  it('finds the window of an instant; a boundary belongs to the window that it starts', () => {
    expect(text(hours.containing(new Date('2026-01-01T00:20:00Z')))).toBe('2026-01-01T00:20Z/2026-01-01T01:00Z')
    expect(text(hours.containing(new Date('2026-01-01T00:59:59.999Z')))).toBe('2026-01-01T00:20Z/2026-01-01T01:00Z')
    expect(text(hours.containing(new Date('2026-01-01T01:00:00Z')))).toBe('2026-01-01T01:00Z/2026-01-01T02:00Z')
    expect(text(hours.containing(new Date('2026-01-01T03:09:59.999Z')))).toBe('2026-01-01T03:00Z/2026-01-01T03:10Z')
  })

  it('distinguishes boundaries from other instants', () => {
    expect(text(hours.startingAt(new Date('2026-01-01T00:20:00Z')))).toBe('2026-01-01T00:20Z/2026-01-01T01:00Z')
    expect(text(hours.startingAt(new Date('2026-01-01T03:00:00Z')))).toBe('2026-01-01T03:00Z/2026-01-01T03:10Z')
    expect(hours.startingAt(new Date('2026-01-01T00:20:00.001Z'))).toBeUndefined()
    expect(hours.startingAt(new Date('2026-01-01T01:30:00Z'))).toBeUndefined()
  })

  it('knows the newest complete window at any time', () => {
    expect(hours.latestBefore(new Date('2025-12-31T00:00:00Z'))).toBeUndefined()
    expect(hours.latestBefore(new Date('2026-01-01T00:59:59.999Z'))).toBeUndefined()
    expect(text(hours.latestBefore(new Date('2026-01-01T01:00:00Z')))).toBe('2026-01-01T00:20Z/2026-01-01T01:00Z')
    expect(text(hours.latestBefore(new Date('2026-01-01T02:59:59.999Z')))).toBe('2026-01-01T01:00Z/2026-01-01T02:00Z')
    expect(text(hours.latestBefore(new Date('2026-01-01T03:09:59.999Z')))).toBe('2026-01-01T02:00Z/2026-01-01T03:00Z')
    expect(text(hours.latestBefore(new Date('2026-01-01T03:10:00Z')))).toBe('2026-01-01T03:00Z/2026-01-01T03:10Z')
    expect(text(hours.latestBefore(new Date('2036-01-01T00:00:00Z')))).toBe('2026-01-01T03:00Z/2026-01-01T03:10Z')
  })

  it('continues from a boundary of an earlier schedule', () => {
    const start = new Date('2026-01-01T01:30:00Z')
    expect(take(hours.windowsFrom(start), 2).map(text)).toEqual([
      '2026-01-01T01:30Z/2026-01-01T02:00Z',
      '2026-01-01T02:00Z/2026-01-01T03:00Z',
    ])
  })
})

describe('a timeline whose bounds are ticks', () => {
  const days = timeline('0 0 * * *', '2026-01-01T00:00:00Z', '2026-01-03T00:00:00Z')

  it('has no empty window at either end', () => {
    expect([...days.windowsFrom(new Date('2026-01-01T00:00:00Z'))].map(text)).toEqual([
      '2026-01-01T00:00Z/2026-01-02T00:00Z',
      '2026-01-02T00:00Z/2026-01-03T00:00Z',
    ])
    expect(days.latestBefore(new Date('2026-01-01T00:00:00Z'))).toBeUndefined()
    expect(text(days.latestBefore(new Date('2026-01-03T00:00:00Z')))).toBe('2026-01-02T00:00Z/2026-01-03T00:00Z')
    expect(text(days.latestBefore(new Date('2026-02-01T00:00:00Z')))).toBe('2026-01-02T00:00Z/2026-01-03T00:00Z')
  })
})

describe('a timeline without an end', () => {
  it('continues', () => {
    const days = timeline('0 0 * * *', '2020-01-01T00:00:00Z')
    expect(text(days.containing(new Date('2525-07-01T12:00:00Z')))).toBe('2525-07-01T00:00Z/2525-07-02T00:00Z')
    expect(text(days.latestBefore(new Date('2525-07-01T12:00:00Z')))).toBe('2525-06-30T00:00Z/2525-07-01T00:00Z')
  })

  it('has no window after the last tick, because it would have no end', () => {
    const once = Schedule.of({ kind: 'at', at: '2026-01-02T00:00:00Z' })
    const open = new Timeline(once, { start: new Date('2026-01-01T00:00:00Z') })
    expect([...open.windowsFrom(new Date('2026-01-01T00:00:00Z'))].map(text)).toEqual([
      '2026-01-01T00:00Z/2026-01-02T00:00Z',
    ])
    expect(open.windowFrom(new Date('2026-01-02T00:00:00Z'))).toBeUndefined()
    expect(open.containing(new Date('2026-01-02T00:00:00Z'))).toBeUndefined()
    expect(text(open.latestBefore(new Date('2030-01-01T00:00:00Z')))).toBe('2026-01-01T00:00Z/2026-01-02T00:00Z')
  })
})

describe('a timeline with an end after the last tick', () => {
  it('closes with a window up to its end', () => {
    const once = Schedule.of({ kind: 'at', at: '2026-01-02T00:00:00Z' })
    const bounds = { start: new Date('2026-01-01T00:00:00Z'), end: new Date('2026-01-05T00:00:00Z') }
    expect([...new Timeline(once, bounds).windowsFrom(bounds.start)].map(text)).toEqual([
      '2026-01-01T00:00Z/2026-01-02T00:00Z',
      '2026-01-02T00:00Z/2026-01-05T00:00Z',
    ])
  })

  it('is one window when no tick lies inside', () => {
    const yearly = timeline('0 0 1 1 *', '2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z')
    const whole = '2026-02-01T00:00Z/2026-03-01T00:00Z'
    expect([...yearly.windowsFrom(new Date('2026-02-01T00:00:00Z'))].map(text)).toEqual([whole])
    expect(text(yearly.containing(new Date('2026-02-10T00:00:00Z')))).toBe(whole)
    expect(text(yearly.latestBefore(new Date('2026-03-01T00:00:00Z')))).toBe(whole)
    expect(yearly.latestBefore(new Date('2026-02-28T00:00:00Z'))).toBeUndefined()
  })

  it('is empty when it ends where it starts', () => {
    const none = timeline('0 * * * *', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z')
    const start = new Date('2026-01-01T00:00:00Z')
    expect([...none.windowsFrom(start)]).toEqual([])
    expect(none.latestBefore(new Date('2030-01-01T00:00:00Z'))).toBeUndefined()
    expect(none.containing(start)).toBeUndefined()
    expect(none.startingAt(start)).toBeUndefined()
  })
})

describe('a timeline in local days', () => {
  it('has a day of 23 and a day of 25 hours', () => {
    const hoursOf = (cronDay: string): number | undefined => {
      const window = timeline('0 0 * * *', '2025-12-31T23:00:00Z', undefined, 'Europe/Berlin').containing(
        new Date(cronDay),
      )
      return window && (window.end.getTime() - window.start.getTime()) / HOUR_MS
    }
    expect(hoursOf('2026-03-28T12:00:00Z')).toBe(24)
    expect(hoursOf('2026-03-29T12:00:00Z')).toBe(23)
    expect(hoursOf('2026-10-25T12:00:00Z')).toBe(25)
  })
})

describe('a timeline at a fixed rate', () => {
  it('is aligned to the anchor, not to its start', () => {
    const schedule = Schedule.of({ kind: 'every', everyMs: 6 * HOUR_MS, anchor: '2026-01-01T01:00:00Z' })
    const windows = new Timeline(schedule, { start: new Date('2025-12-31T20:00:00Z') })
    expect(take(windows.windowsFrom(new Date('2025-12-31T20:00:00Z')), 2).map(text)).toEqual([
      '2025-12-31T20:00Z/2026-01-01T01:00Z',
      '2026-01-01T01:00Z/2026-01-01T07:00Z',
    ])
  })
})

describe('a window', () => {
  it('does not change with Dates that were passed in or returned earlier', () => {
    const bounds = { start: new Date('2026-01-01T00:00:00Z'), end: new Date('2026-01-02T00:00:00Z') }
    const hours = new Timeline(Schedule.of({ kind: 'cron', cron: '0 * * * *', timezone: 'UTC' }), bounds)
    const from = new Date(bounds.start)
    const first = hours.windowFrom(from)
    from.setTime(0)
    bounds.start.setTime(0)
    bounds.end.setTime(0)
    expect(text(first)).toBe('2026-01-01T00:00Z/2026-01-01T01:00Z')
    expect(text(hours.windowFrom(new Date('2026-01-01T23:00:00Z')))).toBe('2026-01-01T23:00Z/2026-01-02T00:00Z')
  })
})

describe('the windows of any timeline', () => {
  const ends = fc.option(fc.integer({ min: 1, max: 40 * HOUR_MS }), { nil: undefined })

  it('tile it without gap or overlap, even around clock changes, and every lookup agrees', () => {
    fc.assert(
      fc.property(endlessCase, ends, ({ spec, at }, length) => {
        const schedule = Schedule.of(spec)
        const end = length === undefined ? undefined : new Date(at + length)
        const tiled = new Timeline(schedule, { start: new Date(at), end })
        const windows = take(tiled.windowsFrom(new Date(at)), 8)

        let edge = at
        for (const window of windows) {
          const { start, end: windowEnd } = window
          expect(start.getTime()).toBe(edge)
          expect(windowEnd.getTime()).toBeGreaterThan(edge)
          edge = windowEnd.getTime()

          const middle = new Date(start.getTime() + Math.floor((edge - start.getTime()) / 2))
          for (const inside of [start, middle, new Date(edge - 1)]) expect(tiled.containing(inside)).toEqual(window)
          expect(tiled.startingAt(start)).toEqual(window)
          if (middle > start) expect(tiled.startingAt(middle)).toBeUndefined()
          expect(tiled.latestBefore(windowEnd)).toEqual(window)
        }
        for (const [index, { end: windowEnd }] of windows.entries()) {
          expect(tiled.latestBefore(new Date(windowEnd.getTime() - 1))).toEqual(windows[index - 1])
        }
        // Fewer windows than requested, so the whole timeline is covered.
        if (windows.length < 8) expect(edge).toBe(end?.getTime())
      }),
      { numRuns: 60 },
    )
  })

  it('have ticks as their inner boundaries, and no tick inside', () => {
    fc.assert(
      fc.property(endlessCase, ends, ({ spec, at }, length) => {
        const schedule = Schedule.of(spec)
        const end = at + (length ?? 40 * HOUR_MS)
        const tiled = new Timeline(schedule, { start: new Date(at), end: new Date(end) })
        const boundaries = take(tiled.windowsFrom(new Date(at)), 30).map((window) => window.end.getTime())
        const ticks = schedule.upcoming(new Date(at), 30).map((tick) => tick.getTime())
        expect(boundaries.filter((boundary) => boundary < end)).toEqual(ticks.filter((tick) => tick < end))
      }),
      { numRuns: 60 },
    )
  })
})
