import { describe, expect, it } from 'vitest'
import { completed } from '../../src/calls/completed.ts'
import { Gate, Headcount } from '../support/app.ts'
import { turns } from '../support/turns.ts'
import { thrown } from '../support/thrown.ts'

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

describe('completed', () => {
  it('gives the ends in their order, errors too', async () => {
    const gates = [new Gate(), new Gate(), new Gate()]
    const ends: unknown[] = []
    const loop = (async () => {
      for await (const end of completed(['a', 'b', 'c'], async (item, index) => {
        await gates[index]?.pass()
        if (item === 'c') throw new Error('no c')
        return item.toUpperCase()
      }))
        ends.push(end)
    })()
    for (const index of [2, 0, 1]) {
      await turns(3)
      gates[index]?.open()
    }
    await loop
    expect(ends).toEqual([
      { index: 2, item: 'c', status: 'rejected', reason: new Error('no c') },
      { index: 0, item: 'a', status: 'fulfilled', value: 'A' },
      { index: 1, item: 'b', status: 'fulfilled', value: 'B' },
    ])
  })

  it('gives an end while the source is still silent', async () => {
    const silence = new Gate()
    async function* source() {
      yield 1
      await silence.pass()
    }
    const ends = completed(source(), (item) => item)
    expect(await ends.next()).toMatchObject({ value: { item: 1, status: 'fulfilled' } })
    silence.open()
    expect((await ends.next()).done).toBe(true)
  })

  it('starts nothing before the loop, and runs no further ahead of it than the concurrency', async () => {
    const inside = new Headcount()
    let drawn = 0
    function* endless() {
      for (;;) yield ++drawn
    }
    const ends = completed(
      endless(),
      async () => {
        inside.enter()
        await turns(1)
        inside.leave()
      },
      { concurrency: 3 },
    )
    await turns(3)
    expect(drawn).toBe(0)
    await ends.next()
    await turns(10)
    expect([drawn, inside.most]).toEqual([3, 3])
    await ends.next()
    await turns(10)
    expect(drawn).toBe(4)
    await ends.return()
  })

  it('aborts the running calls when the loop is left, waits for them and closes the source', async () => {
    const ended: string[] = []
    function* source() {
      try {
        for (;;) yield 'item'
      } finally {
        ended.push('source')
      }
    }
    let winner: AbortSignal | undefined
    for await (const { index } of completed(
      source(),
      async (_item, index, signal) => {
        if (index === 1) {
          winner = signal
          return
        }
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        await turns(2)
        ended.push('call')
      },
      { concurrency: 3 },
    )) {
      expect(index).toBe(1)
      break
    }
    expect(ended.sort()).toEqual(['call', 'call', 'source'])
    // Its result may still be read, such as a body.
    expect(winner?.aborted).toBe(false)
  })

  it('throws the reason of its signal once the running calls have ended', async () => {
    const controller = new AbortController()
    let ended = 0
    const loop = all(
      completed(
        [1, 2],
        async (_item, _index, signal) => {
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          await turns(2)
          ended++
        },
        { signal: controller.signal },
      ),
    )
    await turns(2)
    controller.abort(new Error('stopped'))
    await expect(loop).rejects.toThrow('stopped')
    expect(ended).toBe(2)
  })

  it('throws the error of the source after the ends of its items', async () => {
    async function* source() {
      yield 1
      yield 2
      throw new Error('next page is gone')
    }
    const ends: number[] = []
    const loop = (async () => {
      for await (const { item } of completed(source(), () => turns(3))) ends.push(item)
    })()
    await expect(loop).rejects.toThrow('next page is gone')
    expect(ends).toEqual([1, 2])
  })

  it('refuses wrong arguments immediately', () => {
    const error = thrown(() => completed(5 as never, 'no' as never, { concurrency: 0, limit: 3 } as never))
    expect(error.code).toBe('USAGE')
    for (const part of ['items is 5; expected an iterable', 'fn is "no"', 'concurrency is 0', 'unknown option "limit"'])
      expect(error.message).toContain(part)
  })
})
