import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { RateLimit } from '../../../src/run/limits.ts'
import {
  aheadMs,
  answerMs,
  countedAt,
  slackMs,
  startsSince,
  type Starts,
  untilFree,
  validMs,
  withoutStart,
  withStarts,
} from '../../../src/store/admission/rate-starts.ts'

const minute = { limit: 3, perMs: 60_000 }

function taken(starts: Starts, count: number, nowMs: number, limit: RateLimit, lateTries = 0): Starts {
  const slack = slackMs(limit, lateTries)
  return withStarts(starts, count, countedAt(nowMs, limit, slack), limit, slack)
}

it('lets as many runs as the limit begin immediately, and the next one when the first has left the span', () => {
  expect(untilFree([], 2, 0, minute)).toBe(0)
  const starts = taken([], 3, 0, minute)
  const [[at]] = starts as [[number, number]]
  expect(at).toBeGreaterThanOrEqual(slackMs(minute))
  expect(untilFree(startsSince(starts, 30_000, minute), 0, 30_000, minute)).toBe(30_000 + at)
  expect(startsSince(starts, 60_000 + at, minute)).toEqual([])
})

it.each([0, 3])('delays a rate by at most its span when the clock was set back (late %i times)', (lateTries) => {
  const starts = taken([], 3, 10_000_000, minute, lateTries)
  const waitMs = untilFree(startsSince(starts, 0, minute), 0, 0, minute)
  expect(waitMs).toBeLessThanOrEqual(61_000 + slackMs(minute, lateTries))
})

it.each([
  [{ limit: 5, perMs: 1_000 }, 40],
  [{ limit: 1, perMs: 1_000 }, 40],
  [{ limit: 100, perMs: 100 }, 40],
  [{ limit: 100, perMs: 10_000 }, 400],
  [{ limit: 100, perMs: 60_000 }, 1_000],
  [{ limit: 10, perMs: 3_600_000 }, 1_000],
])('leaves time between a place and its handler: %j', (limit, expected) => {
  expect(slackMs(limit)).toBe(expected)
  expect(slackMs(limit, 1)).toBe(2 * expected)
  expect(slackMs(limit, 1_000)).toBe(60_000)
})

it('never exceeds the limit in any span, however late handlers begin in places taken early, and keeps few entries', () => {
  const limits = fc.record({ limit: fc.integer({ min: 1, max: 1_000 }), perMs: fc.integer({ min: 1, max: 100_000 }) })
  const step = fc.record({
    pauseMs: fc.integer({ min: 0, max: 5_000 }),
    wanted: fc.integer({ min: 1, max: 400 }),
    lateTries: fc.integer({ min: 0, max: 3 }),
    /** The share of a place's valid time that a handler waits. */
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
        const slack = slackMs(limit, lateTries)
        const givenAt: number[] = []
        for (let added = 0; added < wanted; added++) {
          const freeMs = untilFree(starts, 0, nowMs, limit)
          if (freeMs > aheadMs(limit)) break
          const usedMs = nowMs + Math.max(freeMs, answerMs(limit))
          const at = countedAt(usedMs, limit, slack)
          starts = withStarts(starts, 1, at, limit, slack)
          givenAt.push(at)
          begun.push(nowMs + freeMs + late * (usedMs + validMs(slack) - nowMs - freeMs))
        }
        for (const at of givenAt.slice(0, givenBack)) {
          starts = withoutStart(starts, at)
          begun.splice(begun.length - givenAt.length + givenAt.indexOf(at), 1)
          givenAt.splice(givenAt.indexOf(at), 1)
        }
        expect(starts.map(([when]) => when)).toEqual(starts.map(([when]) => when).toSorted((a, b) => a - b))
      }
      begun.sort((a, b) => a - b)
      for (const [index, at] of begun.entries())
        expect((begun[index + limit.limit] ?? Infinity) - at).toBeGreaterThanOrEqual(limit.perMs)
    }),
    { numRuns: 60 },
  )
})

it('keeps at most one entry per part of a span, and a few for the slack', () => {
  const limit = { limit: 100_000, perMs: 1_000 }
  let starts: Starts = []
  for (let nowMs = 0; nowMs < 5_000; nowMs += 1) starts = taken(startsSince(starts, nowMs, limit), 1, nowMs, limit)
  expect(starts.length).toBeLessThanOrEqual(136)
})

it('returns one place of an instant, and nothing if the instant has none', () => {
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
  [{ limit: 1_000, perMs: 60_000 }],
])('loses less than a twentieth of the rate: %j', (limit) => {
  let starts: Starts = []
  let begun = 0
  const spans = 50
  for (let nowMs = 0; nowMs < spans * limit.perMs; nowMs += 5) {
    starts = startsSince(starts, nowMs, limit)
    for (;;) {
      const freeMs = untilFree(starts, 0, nowMs, limit)
      if (freeMs > aheadMs(limit)) break
      const slack = slackMs(limit)
      starts = withStarts(starts, 1, countedAt(nowMs + Math.max(freeMs, answerMs(limit)), limit, slack), limit, slack)
      begun += 1
    }
  }
  expect(begun).toBeGreaterThanOrEqual(spans * limit.limit * 0.95)
  expect(begun).toBeLessThanOrEqual(spans * limit.limit)
})
