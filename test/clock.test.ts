import { getEventListeners } from 'node:events'
import { expect, it } from 'vitest'
import { systemClock } from '../src/clock.ts'

it('sleeps until its time, or until its signal aborts, and leaves no listener', async () => {
  const { signal } = new AbortController()
  const since = performance.now()
  await systemClock.sleep(20, signal)
  expect(performance.now() - since).toBeGreaterThanOrEqual(19)
  expect(getEventListeners(signal, 'abort')).toEqual([])

  const woken = new AbortController()
  const sleeps = [systemClock.sleep(Infinity, woken.signal), systemClock.sleep(2 ** 40, woken.signal)]
  const first = await Promise.race([...sleeps, new Promise((resolve) => setImmediate(() => resolve('asleep')))])
  expect(first).toBe('asleep')
  woken.abort(new Error('woken'))
  await Promise.all(sleeps)
  expect(getEventListeners(woken.signal, 'abort')).toEqual([])
  await systemClock.sleep(Infinity, woken.signal)
})
