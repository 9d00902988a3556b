import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FAULT_KINDS, planFaults } from './faults.ts'

const PLAN = { nodes: 4, lengthMs: 600_000, leaseMs: 2_000 }

describe('planFaults', () => {
  it('returns the same faults for the same seed, and others for another seed', () => {
    expect(planFaults({ ...PLAN, seed: 7 })).toEqual(planFaults({ ...PLAN, seed: 7 }))
    expect(planFaults({ ...PLAN, seed: 7 })).not.toEqual(planFaults({ ...PLAN, seed: 8 }))
  })

  it('has every kind in ten minutes, one at a time for each node, none past the end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
        const faults = planFaults({ ...PLAN, seed })
        expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS))
        for (const [node, own] of Map.groupBy(faults, (fault) => fault.node)) {
          for (const [index, fault] of own.entries()) {
            expect(fault.atMs + fault.durationMs).toBeLessThanOrEqual(PLAN.lengthMs)
            expect(fault.node).toBe(node)
            const next = own[index + 1]
            if (next) expect(next.atMs).toBeGreaterThanOrEqual(fault.atMs + fault.durationMs)
          }
        }
      }),
      { numRuns: 50 },
    )
  })

  it('freezes nodes for more than two leases', () => {
    const freezes = planFaults({ ...PLAN, seed: 1 }).filter(({ kind }) => kind === 'freeze')
    expect(freezes.length).toBeGreaterThan(0)
    for (const { durationMs } of freezes) expect(durationMs).toBeGreaterThanOrEqual(2 * PLAN.leaseMs)
  })
})
