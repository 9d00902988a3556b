import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Schedule } from '../../src/time/schedule.ts'
import { Timeline, type Window } from '../../src/time/window.ts'

const t = (text: string): Date => new Date(text)
const cron = (expression: string): Schedule => Schedule.of({ kind: 'cron', cron: expression, timezone: 'UTC' })
const texts = (windows: Iterable<Window>): string[] =>
  [...windows].map(({ start, end }) => `${start.toISOString().slice(5, 16)}/${end.toISOString().slice(5, 16)}`)

describe('windows whose schedule has changed', () => {
  const timeline = new Timeline(
    Schedule.across([
      { start: t('2026-01-01T00:00:00Z'), schedule: cron('0 * * * *') },
      { start: t('2026-01-01T03:00:00Z'), schedule: cron('30 */2 * * *') },
      { start: t('2026-01-01T06:30:00Z'), schedule: cron('0 0 * * *') },
    ]),
    { start: t('2026-01-01T00:00:00Z'), end: t('2026-01-03T00:00:00Z') },
  )

  it('continue where the old ones end', () => {
    expect(texts(timeline.windowsFrom(t('2026-01-01T00:00:00Z')))).toEqual([
      '01-01T00:00/01-01T01:00',
      '01-01T01:00/01-01T02:00',
      '01-01T02:00/01-01T03:00',
      '01-01T03:00/01-01T04:30',
      '01-01T04:30/01-01T06:30',
      '01-01T06:30/01-02T00:00',
      '01-02T00:00/01-03T00:00',
    ])
  })

  it('are found by their starts and by instants in them, each with the schedule of its time', () => {
    expect(timeline.startingAt(t('2026-01-01T03:00:00Z'))?.end).toEqual(t('2026-01-01T04:30:00Z'))
    expect(timeline.startingAt(t('2026-01-01T04:00:00Z'))).toBeUndefined()
    expect(timeline.containing(t('2026-01-01T12:00:00Z'))?.start).toEqual(t('2026-01-01T06:30:00Z'))
    expect(timeline.latestBefore(t('2026-01-01T04:00:00Z'))?.start).toEqual(t('2026-01-01T02:00:00Z'))
  })
})

it('tile for any schedules and instants of change, in both directions', () => {
  const spec = fc.constantFrom('* * * * *', '0 * * * *', '15,45 */3 * * *', '0 0 * * *', '0 12 1 * *')
  const change = fc.record({ hours: fc.integer({ min: 1, max: 60 }), cron: spec })
  fc.assert(
    fc.property(spec, fc.array(change, { maxLength: 4 }), (first, changes) => {
      const start = t('2026-02-01T00:00:00Z')
      const end = t('2026-03-03T00:00:00Z')
      const generations = [{ start, schedule: cron(first) }]
      for (const { hours, cron: next } of changes) {
        // A change comes at the end of a window of the previous generation.
        const { start: from } = generations.at(-1) as (typeof generations)[0]
        const known = new Timeline(Schedule.across(generations), { start })
        const at = known.containing(new Date(from.getTime() + hours * 3_600_000))
        if (at && at.end < end) generations.push({ start: at.end, schedule: cron(next) })
      }
      const timeline = new Timeline(Schedule.across(generations), { start, end })
      const windows = [...timeline.windowsFrom(start)]
      expect(windows[0]?.start).toEqual(start)
      expect(windows.at(-1)?.end).toEqual(end)
      const starts = new Set(windows.map((window) => window.start.getTime()))
      for (const generation of generations) expect(starts).toContain(generation.start.getTime())
      let before: Window | undefined
      for (const window of windows) {
        if (before) expect(window.start).toEqual(before.end)
        expect(timeline.latestBefore(window.end)).toEqual(window)
        before = window
      }
    }),
    { numRuns: 60 },
  )
})
