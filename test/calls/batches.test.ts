import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batches } from '../../src/calls/batches.ts'
import { rowBytes } from '../../src/sink/row-bytes.ts'
import { Gate } from '../support/app.ts'
import { turns } from '../support/turns.ts'
import { thrown } from '../support/thrown.ts'

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

describe('batches', () => {
  it('gives every item once, in order, in batches that are as full as their bounds allow', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ maxLength: 30 }), { maxLength: 60 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 80 }),
        async (items, rows, bytes) => {
          const found = await all(batches(items, { rows, bytes, wait: '1h' }))
          expect(found.flat()).toEqual(items)
          const sizeOf = (batch: readonly string[]): number => batch.reduce((sum, item) => sum + rowBytes(item), 0)
          for (const [index, batch] of found.entries()) {
            expect(batch.length).toBeGreaterThan(0)
            expect(batch.length).toBeLessThanOrEqual(rows)
            if (batch.length > 1) expect(sizeOf(batch)).toBeLessThanOrEqual(bytes)
            const next = found[index + 1]?.[0]
            if (next !== undefined && batch.length < rows)
              expect(sizeOf([...batch, next])).toBeGreaterThanOrEqual(bytes)
          }
        },
      ),
    )
    expect((await all(batches(Array.from({ length: 2_500 })))).map(({ length }) => length)).toEqual([1_000, 1_000, 500])
    expect(await all(batches([]))).toEqual([])
  })

  it('gives what has waited long enough, and loses nothing of a source that is slow', async () => {
    const gate = new Gate()
    async function* source() {
      yield 1
      yield 2
      await gate.pass()
      yield 3
    }
    const found = batches(source(), { wait: '20ms' })
    expect(await found.next()).toEqual({ done: false, value: [1, 2] })
    gate.open()
    expect(await found.next()).toEqual({ done: false, value: [3] })
    expect((await found.next()).done).toBe(true)
  })

  it('draws at most one item ahead of the loop', async () => {
    let drawn = 0
    function* endless() {
      for (;;) yield ++drawn
    }
    const found = batches(endless(), { rows: 3 })
    await turns(5)
    expect(drawn).toBe(0)
    await found.next()
    await turns(5)
    expect(drawn).toBeLessThanOrEqual(4)
    await found.return()
  })

  it('gives what it has before the error of the source', async () => {
    async function* source() {
      yield 1
      yield 2
      throw new Error('gone')
    }
    const found = batches(source())
    expect((await found.next()).value).toEqual([1, 2])
    await expect(found.next()).rejects.toThrow('gone')
  })

  it('ends with its signal, and closes a source that it leaves', async () => {
    const controller = new AbortController()
    const silence = new Gate()
    async function* source() {
      yield 1
      await silence.pass()
    }
    const found = all(batches(source(), { signal: controller.signal }))
    await turns(3)
    controller.abort(new Error('stopped'))
    await expect(found).rejects.toThrow('stopped')
    let isClosed = false
    function* endless() {
      try {
        for (;;) yield 1
      } finally {
        isClosed = true
      }
    }
    for await (const batch of batches(endless(), { rows: 2 })) {
      expect(batch).toEqual([1, 1])
      break
    }
    expect(isClosed).toBe(true)
  })

  it('refuses wrong options immediately', () => {
    const error = thrown(() => batches(null as never, { rows: 0, bytes: -1, wait: 5, row: 1 } as never))
    for (const part of [
      'items is null',
      'rows is 0',
      'bytes is -1',
      'wait is 5',
      'unknown option "row", did you mean "rows"?',
    ])
      expect(error.message).toContain(part)
  })
})
