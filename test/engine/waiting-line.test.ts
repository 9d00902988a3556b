import { expect, it } from 'vitest'
import { WaitingLine } from '../../src/engine/waiting-line.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

it.each([
  [[], 10],
  [[37, 40], 26],
  [[100], 10],
  [[5_000], 10],
  [[0.5], 2_000],
])('after handlers of %j ms, ten slots are soon done with %i claims', (took, count) => {
  const line = new WaitingLine(new ManualClock(), () => {})
  for (const ms of took) line.took(ms)
  expect(line.soonOver(10)).toBe(count)
})
