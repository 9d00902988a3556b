import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { Deadlines } from '../../../src/engine/execution/deadlines.ts'

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }))
afterEach(() => void vi.useRealTimers())

it('fires each deadline once, never early and at most 50 ms late', () => {
  const deadlines = new Deadlines(systemClock)
  const fired: [number, number][] = []
  const delays = [0, 1, 49, 50, 51, 120, 1_000, 1_001]
  const offset = 17
  vi.advanceTimersByTime(offset)
  for (const ms of delays) deadlines.add(ms, () => fired.push([ms, Date.now() - 1_000_000 - offset]))
  vi.advanceTimersByTime(3_000)
  expect(fired.map(([ms]) => ms)).toEqual(delays)
  for (const [ms, at] of fired) {
    expect(at).toBeGreaterThanOrEqual(ms)
    // The timer starts with the first deadline; the buckets are aligned to the clock.
    expect(at - ms).toBeLessThanOrEqual(100)
  }
})

it('fires no removed deadline, and leaves no timer', () => {
  const deadlines = new Deadlines(systemClock)
  const fired: string[] = []
  const takeBack = deadlines.add(100, () => fired.push('taken back'))
  deadlines.add(100, () => fired.push('kept'))
  takeBack()
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(1_000)
  expect(fired).toEqual(['kept'])
  takeBack()
  expect(vi.getTimerCount()).toBe(0)
  deadlines.add(100, () => fired.push('later'))()
  expect(vi.getTimerCount()).toBe(0)
})

it('lets one deadline remove another of the same moment and add new ones', () => {
  const deadlines = new Deadlines(systemClock)
  const fired: string[] = []
  let takeBack = (): void => {}
  deadlines.add(100, () => {
    fired.push('first')
    takeBack()
    deadlines.add(100, () => fired.push('new'))
  })
  takeBack = deadlines.add(100, () => fired.push('second'))
  vi.advanceTimersByTime(1_000)
  expect(fired).toEqual(['first', 'new'])
  expect(vi.getTimerCount()).toBe(0)
})

it('keeps a deadline when an expired one with the same key is removed', () => {
  const deadlines = new Deadlines(systemClock)
  const fired: string[] = []
  const takeBack = deadlines.add(50, () => fired.push('over'))
  deadlines.add(1_000, () => fired.push('much later'))
  vi.advanceTimersByTime(50)
  deadlines.add(0, () => fired.push('at once'))
  takeBack()
  vi.advanceTimersByTime(1_000)
  expect(fired).toEqual(['over', 'at once', 'much later'])
})
