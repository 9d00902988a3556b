import { expect, it } from 'vitest'
import { WaitingLine } from '../../../src/engine/execution/waiting-line.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

it.each([
  [[], Infinity],
  [[37, 40], 26],
  [[100], 10],
  [[5_000], 10],
  [[0.5], 2_000],
])('after handlers of %j ms, ten slots soon finish %d claims', (took, count) => {
  const line = new WaitingLine(new ManualClock(), () => {})
  for (const ms of took) line.took(ms)
  expect(line.soonOver(10)).toBe(count)
})

it('takes no more claims than slots after some waited in vain, and lets none wait before a handler was short', () => {
  const line = new WaitingLine<string>(new ManualClock(), () => {})
  expect(line.isWorthWhile).toBe(false)
  line.push('in vain')
  line.giveBackAll()
  expect([line.soonOver(10), line.isWorthWhile]).toEqual([10, false])
  line.took(1)
  expect([line.soonOver(10), line.isWorthWhile]).toEqual([1_000, true])
})
