import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { retryDelayMs, type RetryPolicy } from '../../src/run/retry.ts'

const policy: RetryPolicy = { limit: 5, backoff: 'exponential', baseMs: 1_000, maxMs: 10_000, jitter: false }

describe('retryDelayMs', () => {
  it('doubles from the base up to the maximum', () => {
    expect([1, 2, 3, 4, 5].map((attempt) => retryDelayMs(policy, attempt, 0))).toEqual([
      1_000, 2_000, 4_000, 8_000, 10_000,
    ])
  })

  it('stays at the base with a fixed back-off', () => {
    const fixed: RetryPolicy = { ...policy, backoff: 'fixed' }
    expect([1, 2, 5].map((attempt) => retryDelayMs(fixed, attempt, 0))).toEqual([1_000, 1_000, 1_000])
  })

  it('gives up after limit retries', () => {
    expect(retryDelayMs(policy, 5, 0)).toBeDefined()
    expect(retryDelayMs(policy, 6, 0)).toBeUndefined()
    expect(retryDelayMs({ ...policy, limit: 0 }, 1, 0)).toBeUndefined()
  })

  it('is between half and all of the delay with jitter', () => {
    const jittered: RetryPolicy = { ...policy, jitter: true }
    expect([0, 0.5, 0.999_999].map((random) => retryDelayMs(jittered, 3, random))).toEqual([2_000, 3_000, 4_000])
  })

  it('is always a whole number of milliseconds in [half the base, maximum], for any number of attempts', () => {
    const policies = fc.record<RetryPolicy>({
      limit: fc.constant(Number.MAX_SAFE_INTEGER),
      backoff: fc.constantFrom('fixed', 'exponential'),
      baseMs: fc.integer({ min: 0, max: 1_000_000 }),
      maxMs: fc.integer({ min: 0, max: 1_000_000 }),
      jitter: fc.boolean(),
    })
    const attempts = fc.integer({ min: 1, max: 100_000 })
    const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(policies, attempts, randoms, (drawn, attempt, random) => {
        const delay = retryDelayMs(drawn, attempt, random)
        expect(delay).toSatisfy(Number.isSafeInteger)
        expect(delay).toBeLessThanOrEqual(drawn.maxMs)
        expect(delay).toBeGreaterThanOrEqual(Math.floor(Math.min(drawn.baseMs, drawn.maxMs) / 2))
      }),
    )
  })
})
