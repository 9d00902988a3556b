import { expect, it } from 'vitest'
import { nextShare } from '../../src/engine/items/measures/loop-pressure.ts'
import { judgedLatency, LATENCY_FLOOR, type Latency, percentile, slowedByLatency } from '../../src/item/latency.ts'

it('a lane is slow once half of its items take twice as long as usual, until that is usual', () => {
  let latency: Latency = { usualMs: undefined }
  const judge = (ms: number): boolean => {
    const { isSlow, usualMs } = judgedLatency(latency, ms)
    latency = { usualMs }
    return isSlow
  }
  expect([300, 320, 600, 599, 900].map(judge)).toEqual([false, false, false, false, true])
  let rounds = 0
  while (judge(900)) rounds += 1
  expect(rounds).toBeGreaterThan(2)
  expect(rounds).toBeLessThan(30)
  // A fast lane may take much longer before it matters.
  latency = { usualMs: 0 }
  expect([200, 251].map(judge)).toEqual([false, false])
  latency = { usualMs: 0 }
  expect(judge(300)).toBe(true)

  let factor = 1
  for (let n = 0; n < 100; n++) factor = slowedByLatency(factor)
  expect(factor).toBe(LATENCY_FLOOR)
  // What was refused so often that it is slower stays so.
  expect(slowedByLatency(1 / 32)).toBe(1 / 32)
  expect([percentile([], 0.5), percentile([1, 2, 3, 4], 0.5), percentile([1, 2, 3], 0.95)]).toEqual([undefined, 2, 3])
})

it('fewer items run at the same time while the event loop is late, and slowly more again', () => {
  const shares = (share: number, delays: readonly number[]): number => delays.reduce(nextShare, share)
  expect(shares(1, [100, 99, 51])).toBe(1)
  expect(shares(1, [101])).toBe(0.7)
  expect(
    shares(
      1,
      Array.from({ length: 20 }, () => 500),
    ),
  ).toBe(1 / 8)
  expect(shares(1 / 8, [60])).toBe(1 / 8)
  expect(
    shares(
      1 / 8,
      Array.from({ length: 18 }, () => 0),
    ),
  ).toBe(1)
})
