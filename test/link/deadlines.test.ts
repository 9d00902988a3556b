import { expect, it, onTestFinished, vi } from 'vitest'
import { Deadlines } from '../../src/link/deadlines.ts'

it('deadlines of many calls share one timer for each duration, expire in order, and let the process end', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const deadlines = new Deadlines()
  const expired: string[] = []
  const add = (name: string, ms: number): ReturnType<Deadlines['add']> => deadlines.add(ms, () => expired.push(name))
  const [first] = [add('a', 100), add('b', 100), add('z', 1_000)]
  vi.advanceTimersByTime(50)
  add('c', 100)
  expect(vi.getTimerCount()).toBe(2)
  deadlines.cancel(first)
  deadlines.cancel(first)
  vi.advanceTimersByTime(50)
  expect(expired).toEqual(['b'])
  vi.advanceTimersByTime(49)
  expect(expired).toEqual(['b'])
  vi.advanceTimersByTime(1)
  expect(expired).toEqual(['b', 'c'])
  // An expired one cancels others, and begins new ones of the same duration.
  const other = add('never', 10)
  deadlines.add(5, () => {
    deadlines.cancel(other)
    add('again', 5)
  })
  vi.advanceTimersByTime(20)
  expect(expired).toEqual(['b', 'c', 'again'])
  for (let ms = 2_000; ms < 2_100; ms++) deadlines.cancel(add('idle', ms))
  expect(vi.getTimerCount()).toBeLessThan(20)
  vi.advanceTimersByTime(2_100)
  expect(expired).toEqual(['b', 'c', 'again', 'z'])
  expect(vi.getTimerCount()).toBe(0)
})
