import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { SqliteTurn } from '../../../../src/store/connection/sqlite/sqlite-turn.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

/** Holds the turn for a time, and returns how many callers held it in that time. */
async function hold(turn: SqliteTurn, ms: number, seen: { now: number; most: number; done: number }): Promise<void> {
  const giveBack = await turn.take()
  seen.most = Math.max(seen.most, ++seen.now)
  await new Promise((resolve) => setTimeout(resolve, ms))
  seen.now -= 1
  seen.done += 1
  giveBack()
}

it('has one holder at a time, however long the line is', async () => {
  const turn = SqliteTurn.of(':memory:')
  const seen = { now: 0, most: 0, done: 0 }
  const all = Array.from({ length: 30 }, () => hold(turn, 900, seen))
  await vi.advanceTimersByTimeAsync(30 * 900)
  await Promise.all(all)
  expect(seen).toEqual({ now: 0, most: 1, done: 30 })
})

it('is given in the order of the requests', async () => {
  const turn = SqliteTurn.of(':memory:')
  const order: number[] = []
  const first = await turn.take()
  const others = [1, 2, 3].map(async (each) => {
    const giveBack = await turn.take()
    order.push(each)
    giveBack()
  })
  first()
  const late = Promise.resolve(turn.take()).then((giveBack) => {
    order.push(4)
    giveBack()
  })
  await Promise.all([...others, late])
  expect(order).toEqual([1, 2, 3, 4])
})

it('is skipped by a caller whose predecessor never finishes, and stays with its holder', async () => {
  const turn = SqliteTurn.of(':memory:')
  const giveBack = await turn.take()
  const waiting = [Promise.resolve(turn.take()), Promise.resolve(turn.take())]
  await vi.advanceTimersByTimeAsync(5_000)
  for (const goOn of await Promise.all(waiting)) goOn()
  let isNext = false
  const next = Promise.resolve(turn.take()).then(() => (isNext = true))
  expect(isNext).toBe(false)
  giveBack()
  expect(await next).toBe(true)
})
