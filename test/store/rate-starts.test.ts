import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type RateLimit } from '../../src/job/admission.ts'
import {
  countedAt,
  slackMs,
  startsSince,
  type Starts,
  untilFree,
  validMs,
  withoutStart,
  withStarts,
} from '../../src/store/rate-starts.ts'

const minute = { limit: 3, perMs: 60_000 }

function taken(starts: Starts, count: number, nowMs: number, limit: RateLimit, lateTries = 0): Starts {
  const slack = slackMs(limit, lateTries)
  return withStarts(starts, count, countedAt(nowMs, limit, slack), limit, slack)
}

it('lets the limit begin at once, and the next when the first of them no longer counts', () => {
  expect(untilFree([], 2, 0, minute)).toBe(0)
  const starts = taken([], 3, 0, minute)
  const [[at]] = starts as [[number, number]]
  expect(at).toBeGreaterThanOrEqual(slackMs(minute))
  expect(untilFree(startsSince(starts, 30_000, minute), 0, 30_000, minute)).toBe(30_000 + at)
  expect(startsSince(starts, 60_000 + at, minute)).toEqual([])
})

it.each([0, 3])(
  'does not let a clock that was set back hold up the rate for longer than its span (late %i times)',
  (lateTries) => {
    const starts = taken([], 3, 10_000_000, minute, lateTries)
    const waitMs = untilFree(startsSince(starts, 0, minute), 0, 0, minute)
    expect(waitMs).toBeLessThanOrEqual(61_000 + slackMs(minute, lateTries))
  },
)

it.each([
  [{ limit: 5, perMs: 1_000 }, 80],
  [{ limit: 1, perMs: 1_000 }, 80],
  [{ limit: 100, perMs: 100 }, 50],
  [{ limit: 100, perMs: 60_000 }, 2_000],
  [{ limit: 10, perMs: 3_600_000 }, 2_000],
])('leaves time between a place and its handler: %j', (limit, expected) => {
  expect(slackMs(limit)).toBe(expected)
  expect(slackMs(limit, 1)).toBe(2 * expected)
  expect(slackMs(limit, 1_000)).toBe(60_000)
})

it('never has more than the limit in any span, however late handlers begin, and keeps few entries', () => {
  const limits = fc.record({ limit: fc.integer({ min: 1, max: 1_000 }), perMs: fc.integer({ min: 1, max: 100_000 }) })
  const step = fc.record({
    pauseMs: fc.integer({ min: 0, max: 5_000 }),
    wanted: fc.integer({ min: 1, max: 400 }),
    lateTries: fc.integer({ min: 0, max: 3 }),
    /** How much of the time that it is valid a handler waits. */
    late: fc.double({ min: 0, max: 1, noNaN: true }),
    givenBack: fc.integer({ min: 0, max: 10 }),
  })
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 200 }), (limit, steps) => {
      let starts: Starts = []
      let nowMs = 1_700_000_000_000
      const begun: number[] = []
      for (const { pauseMs, wanted, lateTries, late, givenBack } of steps) {
        nowMs += pauseMs
        starts = startsSince(starts, nowMs, limit)
        let added = 0
        while (added < wanted && untilFree(starts, added, nowMs, limit) === 0) added++
        if (added === 0) continue
        const slack = slackMs(limit, lateTries)
        const at = countedAt(nowMs, limit, slack)
        starts = withStarts(starts, added, at, limit, slack)
        const unused = Math.min(added, givenBack)
        for (let count = 0; count < unused; count++) starts = withoutStart(starts, at)
        begun.push(...Array.from({ length: added - unused }, () => nowMs + late * validMs(slack)))
        expect(starts.map(([when]) => when)).toEqual(starts.map(([when]) => when).toSorted((a, b) => a - b))
      }
      begun.sort((a, b) => a - b)
      for (const [index, at] of begun.entries())
        expect((begun[index + limit.limit] ?? Infinity) - at).toBeGreaterThanOrEqual(limit.perMs)
    }),
    { numRuns: 60 },
  )
})

it('keeps at most as many entries as a span has parts, and some for the slack', () => {
  const limit = { limit: 100_000, perMs: 1_000 }
  let starts: Starts = []
  for (let nowMs = 0; nowMs < 5_000; nowMs += 1) starts = taken(startsSince(starts, nowMs, limit), 1, nowMs, limit)
  expect(starts.length).toBeLessThanOrEqual(72)
})

it('gives back one place of an instant, and nothing where none is', () => {
  const starts: Starts = [
    [100, 2],
    [200, 1, 500],
  ]
  expect(withoutStart(starts, 100)).toEqual([
    [100, 1],
    [200, 1, 500],
  ])
  expect(withoutStart(starts, 200)).toEqual([[100, 2]])
  expect(withoutStart(starts, 150)).toBe(starts)
})

it.each([
  [{ limit: 10, perMs: 6_400 }],
  [{ limit: 5, perMs: 1_000 }],
  [{ limit: 50, perMs: 1_000 }],
  [{ limit: 100, perMs: 60_000 }],
])('loses less than a tenth of the rate: %j', (limit) => {
  let starts: Starts = []
  let begun = 0
  const spans = 50
  for (let nowMs = 0; nowMs < spans * limit.perMs; nowMs += 5) {
    starts = startsSince(starts, nowMs, limit)
    let added = 0
    while (untilFree(starts, added, nowMs, limit) === 0) added++
    if (added > 0) starts = taken(starts, added, nowMs, limit)
    begun += added
  }
  expect(begun).toBeGreaterThanOrEqual(spans * limit.limit * 0.91)
  expect(begun).toBeLessThanOrEqual(spans * limit.limit)
})
