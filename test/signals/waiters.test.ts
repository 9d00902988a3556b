import { expect, it } from 'vitest'
import { Waiters } from '../../src/signals/waiters.ts'

it('those who wait are told, end with their signals, and are forgotten then', async () => {
  const waiters = new Waiters<number>()
  const stop = new AbortController()
  const [told, stopped] = [waiters.next(), waiters.next(stop.signal)]
  stop.abort(new Error('no longer'))
  await expect(stopped).rejects.toThrow('no longer')
  expect(waiters.size).toBe(1)
  waiters.tell(7)
  expect(await told).toBe(7)
  for (let n = 0; n < 1_000; n++) {
    const late = new AbortController()
    const waiting = waiters.next(late.signal)
    late.abort()
    await expect(waiting).rejects.toThrow()
  }
  expect(waiters.size).toBe(0)
  await expect(waiters.next(stop.signal)).rejects.toThrow('no longer')
})

it('an end reaches those who wait, and later ones until something happens again', async () => {
  const waiters = new Waiters<number>()
  const waiting = waiters.next()
  waiters.end(new Error('crashed'), false)
  await expect(waiting).rejects.toThrow('crashed')
  const again = waiters.next()
  waiters.end(new Error('stopped'), true)
  await expect(again).rejects.toThrow('stopped')
  await expect(waiters.next()).rejects.toThrow('stopped')
  waiters.tell(1)
  expect(waiters.size).toBe(0)
  const fresh = waiters.next()
  waiters.tell(2)
  expect(await fresh).toBe(2)
})
