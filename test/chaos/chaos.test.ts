import { expect, it } from 'vitest'
import { runChaos } from './chaos.ts'
import { reportText } from './report.ts'

const MINUTES = 1.5

it('keeps its promises under faults of every kind', { timeout: 10 * 60_000 }, async () => {
  const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  const report = await runChaos({ minutes: MINUTES, seed, nodes: 4 })
  const text = reportText(report)
  process.stdout.write(`${text}\n`)
  expect(
    report.proofs.filter(({ ok }) => !ok),
    text,
  ).toEqual([])
  expect(
    Object.entries(report.faults).filter(([, count]) => count === 0),
    text,
  ).toEqual([])
})
