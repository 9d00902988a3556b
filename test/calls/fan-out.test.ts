import { expect, it } from 'vitest'
import { fanOut } from '../../src/calls/fan-out.ts'
import { Gate, Headcount } from '../support/app.ts'
import { rejected } from '../support/thrown.ts'

const never = new AbortController().signal
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

it('returns the result of every item, in the order of the items', async () => {
  const results = await fanOut(
    [30, 1, 10],
    async (ms, index) => {
      await new Promise((resolve) => setTimeout(resolve, ms))
      if (index === 1) throw new Error(`item ${index}`)
      return ms * 2
    },
    3,
    never,
  )
  expect(results).toEqual([
    { status: 'fulfilled', value: 60 },
    { status: 'rejected', reason: new Error('item 1') },
    { status: 'fulfilled', value: 20 },
  ])
  expect(await fanOut([], () => 1, 1, never)).toEqual([])
})

it('returns the error of a synchronous function', async () => {
  const results = await fanOut(
    [1],
    () => {
      throw new Error('at once')
    },
    1,
    never,
  )
  expect(results).toMatchObject([{ status: 'rejected', reason: { message: 'at once' } }])
})

it('runs as many calls as allowed at the same time, and no more', async () => {
  const inside = new Headcount()
  await fanOut(
    Array.from({ length: 50 }),
    async () => {
      inside.enter()
      await turn()
      inside.leave()
    },
    4,
    never,
  )
  expect(inside.most).toBe(4)
})

it('takes from an endless source only as many items as there are places', async () => {
  let drawn = 0
  function* endless() {
    for (;;) yield ++drawn
  }
  const controller = new AbortController()
  const gate = new Gate()
  const mapping = rejected(
    fanOut(endless(), () => gate.pass(), 3, controller.signal).catch((error: unknown) => {
      expect(error).toBe('enough')
      throw Object.assign(new Error('enough'), { name: 'PikoError', code: 'STOPPED' })
    }),
  )
  for (let turns = 0; turns < 20; turns++) await turn()
  expect(drawn).toBe(3)
  controller.abort('enough')
  gate.open()
  await mapping
  expect(drawn).toBe(3)
})

it('takes no item if the signal has already aborted', async () => {
  let calls = 0
  const aborted = fanOut([1, 2], () => calls++, 1, AbortSignal.abort(new Error('stopped')))
  await expect(aborted).rejects.toThrow('stopped')
  expect(calls).toBe(0)
})

it('waits for the running calls when it is aborted', async () => {
  const controller = new AbortController()
  const gate = new Gate()
  let ended = 0
  const calls = async (): Promise<void> => {
    await gate.pass()
    ended++
  }
  const mapping = fanOut([1, 2, 3, 4, 5], calls, 2, controller.signal).catch(() => ended)
  await turn()
  controller.abort(new Error('stopped'))
  await turn()
  expect(ended).toBe(0)
  gate.open()
  expect(await mapping).toBe(2)
})

it('waits for the running calls when the source fails, and throws the error of the source', async () => {
  const gate = new Gate()
  let ended = 0
  async function* failing() {
    yield 1
    yield 2
    await turn()
    throw new Error('next page is gone')
  }
  const mapping = fanOut(
    failing(),
    async () => {
      await gate.pass()
      ended++
    },
    5,
    never,
  ).catch((error: Error) => `${error.message} after ${ended}`)
  for (let turns = 0; turns < 5; turns++) await turn()
  gate.open()
  expect(await mapping).toBe('next page is gone after 2')
})

it('does not wait for a source that never answers when it is aborted, and closes it', async () => {
  const controller = new AbortController()
  let isClosed = false
  const silent: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: () => {
        isClosed = true
        return new Promise(() => {})
      },
    }),
  }
  const mapping = fanOut(silent, () => 1, 2, controller.signal)
  await turn()
  controller.abort(new Error('stopped'))
  await expect(mapping).rejects.toThrow('stopped')
  expect(isClosed).toBe(true)
})

it('closes a generator that it leaves, and awaits promises in a list', async () => {
  let isClosed = false
  function* endless() {
    try {
      for (;;) yield 1
    } finally {
      isClosed = true
    }
  }
  const controller = new AbortController()
  const mapping = fanOut(endless(), () => controller.abort(new Error('stopped')), 1, controller.signal)
  await expect(mapping).rejects.toThrow('stopped')
  expect(isClosed).toBe(true)
  expect(await fanOut([Promise.resolve(2)], (item) => item, 1, never)).toEqual([{ status: 'fulfilled', value: 2 }])
})
