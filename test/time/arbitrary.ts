import fc from 'fast-check'
import type { ScheduleSpec } from '../../src/time/schedule.ts'
import { clockChanges, type Zone, ZONES } from './zones.ts'

const HOUR_MS = 3_600_000

const CRONS = [
  '* * * * *',
  '*/7 * * * *',
  '*/20 * * * * *',
  '0 * * * *',
  '30 * * * *',
  '0 */6 * * *',
  '15,45 0-3 * * *',
  '30 2,14 * * *',
  '30 2 * * *',
  '30 1 * * *',
  '0 2 * * *',
  '0 0 * * *',
  '30 59 23 * * *',
  '0 9 * * 1-5',
  '0 0 * * SUN',
  '30 1 * * SUN#1',
  '0 0 1 * *',
  '0 0 L * *',
  '0 12 15W * *',
  '0 0 13 * +FRI',
  '0 0 29 2 *',
] as const

/** A time zone and an instant around a change of its clocks, to the millisecond: hours, days or weeks off. */
const place = fc.constantFrom(...ZONES).chain((timezone) =>
  fc.record({
    timezone: fc.constant(timezone),
    at: fc
      .tuple(
        fc.constantFrom(...changesOf(timezone)),
        fc.constantFrom(2, 26, 1_000),
        fc.double({ min: -1, max: 1, noNaN: true }),
      )
      .map(([change, hours, part]) => change + Math.round(part * hours * HOUR_MS)),
  }),
)

interface Case {
  readonly spec: ScheduleSpec
  readonly at: number
}

const cronCase = fc
  .record({ cron: fc.constantFrom(...CRONS), place })
  .map(({ cron, place: { timezone, at } }): Case => ({ spec: { kind: 'cron', cron, timezone }, at }))

const everyCase = fc
  .record({
    everyMs: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constantFrom(1_000, 90_000, HOUR_MS, 25 * HOUR_MS)),
    anchor: fc.integer({ min: -2e12, max: 4e12 }).map((ms) => new Date(ms).toISOString()),
    at: fc.integer({ min: -2e12, max: 4e12 }),
  })
  .map(({ everyMs, anchor, at }): Case => ({ spec: { kind: 'every', everyMs, anchor }, at }))

/** A schedule that always fires again, and an instant (epoch ms) that may be on a tick. */
export const endlessCase = fc.oneof({ weight: 4, arbitrary: cronCase }, { weight: 1, arbitrary: everyCase })

const known = new Map<Zone, readonly number[]>()

export function changesOf(zone: Zone): readonly number[] {
  const changes = known.get(zone) ?? clockChanges(zone)
  known.set(zone, changes)
  return changes
}
