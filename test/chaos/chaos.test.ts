import { describe, expect, it } from 'vitest'
import { runChaos } from './chaos.ts'
import { reportText } from './report.ts'

describe('chaos', () => {
  it('two minutes of faults on four nodes: nothing lost, nothing twice', { timeout: 300_000 }, async () => {
    const seed = 20_261_124
    const told: string[] = []
    const report = await runChaos({ minutes: 2, seed, tell: (line) => told.push(line) })
    const broken = report.proofs.filter(({ ok }) => !ok)
    expect(broken, `${told.join('\n')}\n${reportText(report)}`).toEqual([])
    // A seed whose faults leave a kind out would prove less than it says.
    expect(Object.values(report.faults).every((count) => count > 0)).toBe(true)
  })
})
