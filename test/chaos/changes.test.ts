import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CHANGE_KINDS, PAST_MS, planChanges } from './changes.ts'

describe('planChanges', () => {
  it('returns the same changes for the same seed, and others for another seed', () => {
    expect(planChanges({ seed: 7, lengthMs: 120_000 })).toEqual(planChanges({ seed: 7, lengthMs: 120_000 }))
    expect(planChanges({ seed: 7, lengthMs: 120_000 })).not.toEqual(planChanges({ seed: 8, lengthMs: 120_000 }))
  })

  it('has every kind in ten minutes, none past the end, and backfills only of past time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
        const changes = planChanges({ seed, lengthMs: 600_000 })
        expect(new Set(changes.map(({ kind }) => kind))).toEqual(new Set(CHANGE_KINDS))
        for (const { atMs, fromMs, toMs } of changes) {
          expect(atMs).toBeLessThan(600_000)
          expect(fromMs).toBeGreaterThanOrEqual(-PAST_MS)
          expect(fromMs).toBeLessThanOrEqual(atMs)
          expect(toMs).toBeGreaterThan(fromMs)
        }
      }),
      { numRuns: 50 },
    )
  })
})
