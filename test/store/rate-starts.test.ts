import fc from 'fast-check'
import { expect, it } from 'vitest'
import { startsSince, type Starts, untilFree, withStarts } from '../../src/store/rate-starts.ts'

const minute = { limit: 3, perMs: 60_000 }

it('lets the limit begin at once, and the next when the first of them no longer counts', () => {
  expect(untilFree([], 2, 0, minute)).toBe(0)
  const starts = withStarts([], 3, 0, minute)
  expect(untilFree(startsSince(starts, 30_000, minute), 0, 30_000, minute)).toBe(30_000)
  expect(startsSince(starts, 60_000, minute)).toEqual([])
})

it('does not let a clock that was set back hold up the rate for longer than its window', () => {
  const starts = withStarts([], 3, 10_000_000, minute)
  const waitMs = untilFree(startsSince(starts, 0, minute), 0, 0, minute)
  expect(waitMs).toBeLessThanOrEqual(61_000)
})

it('never has more than the limit in any window, and keeps few entries', () => {
  const limits = fc.record({ limit: fc.integer({ min: 1, max: 1_000 }), perMs: fc.integer({ min: 1, max: 100_000 }) })
  const asks = fc.array(fc.tuple(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 1, max: 400 })), {
    maxLength: 200,
  })
  fc.assert(
    fc.property(limits, asks, (limit, steps) => {
      let starts: Starts = []
      let nowMs = 1_700_000_000_000
      const begun: number[] = []
      for (const [pauseMs, wanted] of steps) {
        nowMs += pauseMs
        starts = startsSince(starts, nowMs, limit)
        let added = 0
        while (added < wanted && untilFree(starts, added, nowMs, limit) === 0) added++
        if (added > 0) starts = withStarts(starts, added, nowMs, limit)
        begun.push(...Array.from({ length: added }, () => nowMs))
        expect(starts.length).toBeLessThanOrEqual(66)
      }
      begun.forEach((at, index) => {
        const inWindow = begun.slice(index).filter((other) => other - at < limit.perMs)
        expect(inWindow.length).toBeLessThanOrEqual(limit.limit)
      })
    }),
    { numRuns: 60 },
  )
})

it('loses no more than a sixty-fourth of the rate', () => {
  const limit = { limit: 10, perMs: 6_400 }
  let starts: Starts = []
  let begun = 0
  for (let nowMs = 0; nowMs < 64_000; nowMs += 10) {
    starts = startsSince(starts, nowMs, limit)
    if (untilFree(starts, 0, nowMs, limit) > 0) continue
    starts = withStarts(starts, 1, nowMs, limit)
    begun++
  }
  expect(begun).toBeGreaterThanOrEqual(98)
  expect(begun).toBeLessThanOrEqual(100)
})
