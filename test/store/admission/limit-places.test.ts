import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type LimitPlace, LimitPlaces, type LimitRule } from '../../../src/store/admission/limit-places.ts'

/** What one node does next: wait, then ask for places and use each some part into its time, or give it back unused. */
const step = fc.record({
  waitMs: fc.integer({ min: 0, max: 700 }),
  counts: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }),
  more: fc.integer({ min: 0, max: 3 }),
  answerMs: fc.integer({ min: 0, max: 15 }),
  lateTries: fc.integer({ min: 0, max: 2 }),
  part: fc.double({ min: 0, max: 1, noNaN: true }),
  isUnused: fc.boolean(),
})

function most(uses: readonly { at: number; count: number }[], perMs: number): number {
  const sorted = uses.toSorted((one, other) => one.at - other.at)
  return Math.max(
    0,
    ...sorted.map(({ at }) =>
      sorted.filter((use) => use.at >= at && use.at < at + perMs).reduce((sum, { count }) => sum + count, 0),
    ),
  )
}

it.each<LimitRule>([
  { limit: 5, perMs: 1_000, burst: 5 },
  { limit: 6, perMs: 1_000, burst: 3 },
  { limit: 4, perMs: 500, burst: 8 },
])('never allows more in any span, however the nodes use their places: %j', (rule) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let [text, nowMs] = ['[]', 1_000_000]
      const uses: { at: number; count: number }[] = []
      let unused: LimitPlace[] = []
      for (const { waitMs, counts, more, answerMs, lateTries, part, isUnused } of steps) {
        nowMs += waitMs
        // The database reads its clock somewhere between the question and the answer.
        const clock = { nowMs, askedAt: nowMs - answerMs * part, answeredAt: nowMs + answerMs }
        const places = new LimitPlaces(text, rule, clock)
        for (const place of unused) places.giveBack(place)
        unused = []
        const taken = [
          ...counts.flatMap((count) => (places.freeInMs(count) <= 25 ? [places.take(count, lateTries, 0)] : [])),
          ...Array.from({ length: more }, () =>
            places.freeInMs(1) === 0 ? [places.take(1, lateTries, 25)] : [],
          ).flat(),
        ]
        text = places.text
        for (const place of taken) {
          if (isUnused || place.closesAt < place.opensAt) unused.push(place)
          else uses.push({ at: place.opensAt + part * (place.closesAt - place.opensAt), count: place.count })
        }
      }
      expect(most(uses, rule.perMs)).toBeLessThanOrEqual(Math.max(rule.limit, rule.burst))
    }),
    { numRuns: 300 },
  )
})

it('spreads takes evenly with a small burst, and lets an idle limit catch up with a large one', () => {
  const frees = (rule: LimitRule, takes: number): number[] => {
    const places = new LimitPlaces('[]', rule, { nowMs: 0, askedAt: 0, answeredAt: 0 })
    return Array.from({ length: takes }, () => {
      const freeInMs = places.freeInMs(1)
      places.take(1, 0, 0)
      return Math.round(freeInMs)
    })
  }
  expect(frees({ limit: 10, perMs: 1_000, burst: 1 }, 5)).toEqual([0, 100, 200, 300, 400])
  expect(frees({ limit: 1, perMs: 1_000, burst: 4 }, 4)).toEqual([0, 0, 0, 0])
  expect(frees({ limit: 1, perMs: 1_000, burst: 4 }, 5)[4]).toBeGreaterThanOrEqual(1_000)
})

it('forgets what an edited row does not say, and what a clock that was set back has in the future', () => {
  const rule = { limit: 2, perMs: 1_000, burst: 1 }
  const clock = { nowMs: 5_000, askedAt: 0, answeredAt: 0 }
  expect(new LimitPlaces('no list', rule, clock).freeInMs(1)).toBe(0)
  const future = new LimitPlaces('[[9000000,2],[9999999,0]]', rule, clock)
  expect(future.freeInMs(1)).toBeLessThan(1_300)
})
