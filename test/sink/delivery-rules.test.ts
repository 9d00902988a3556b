import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { BufferedSink } from '../../src/sink/buffered-sink.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import { isOutage } from '../../src/sink/delivery/outage.ts'
import { RefusedRowsError } from '../../src/sink/delivery/refused-rows.ts'
import type { Aside } from '../../src/sink/delivery/sift.ts'
import type { SinkBatch, SinkRules } from '../../src/sink/sink.ts'
import { eventually, Headcount } from '../support/app.ts'
import { hourOf, sinkScope, targetOf } from './sink-scope.ts'

const Row = z.object({ id: z.int(), customer: z.int().default(0) }).meta({ id: 'Row' })
type Row = z.infer<typeof Row>
const rowsFrom = (first: number, count: number): Row[] =>
  Array.from({ length: count }, (_, index) => ({ id: first + index, customer: (first + index) % 7 }))

/** A sink whose deliveries call `deliver`, and what it put aside. */
function bench(rules: SinkRules, deliver: (rows: Row[], batch: SinkBatch) => unknown, window = true) {
  const Target = defineSink({ name: 'target', on: [[Row, deliver]] })
  const aside: Aside[] = []
  const deadLetters = { add: async (_source: unknown, rows: readonly Aside[]) => void aside.push(...rows) }
  const target = targetOf(Target, rules, 'target', { deadLetters: rules.deadLetters ? deadLetters : undefined })
  return { aside, target, sink: new BufferedSink(target, sinkScope(window ? { window: hourOf(1) } : {})) }
}

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('linger', () => {
  it('delivers a batch that is not full once its oldest row has waited, and needs no further write', async () => {
    const delivered: number[][] = []
    const { sink } = bench({ linger: '20ms' }, (rows) => delivered.push(rows.map(({ id }) => id)))
    await sink.write(Row, { id: 1 })
    await sink.write(Row, { id: 2 })
    await eventually(() => expect(delivered).toEqual([[1, 2]]))
    await sink.write(Row, { id: 3 })
    await eventually(() => expect(delivered).toEqual([[1, 2], [3]]))
    await sink.write(Row, { id: 4 })
    await sink.flush()
    expect(delivered).toEqual([[1, 2], [3], [4]])
  })

  it('fails the run with the error of a delivery that nobody waited for', async () => {
    const { sink } = bench({ linger: '1ms' }, () => Promise.reject(new Error('full')))
    await sink.write(Row, { id: 1 })
    await eventually(async () => {
      await expect(sink.write(Row, { id: 2 })).rejects.toMatchObject({ code: 'SINK_FAILED' })
    })
    await expect(sink.flush()).rejects.toThrow('full')
  })
})

describe('timeout', () => {
  it('fails a delivery, or a clear, whose target never answers, as an outage, and aborts its signal', async () => {
    const signals: AbortSignal[] = []
    const never = (_rows: Row[], { signal }: SinkBatch): Promise<void> => (signals.push(signal), new Promise(() => {}))
    const { sink, target } = bench({ timeout: '20ms' }, never)
    await sink.write(Row, { id: 1 })
    const error: unknown = await sink.flush().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'SINK_FAILED', cause: { code: 'TIMEOUT' } })
    expect((error as Error).message).toContain('the target did not answer within 20ms')
    expect(isOutage(error)).toBe(true)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
    await sink.discard()

    target.sink.clear = () => new Promise(() => {})
    const empty = new BufferedSink(target, sinkScope({ window: hourOf(1) }))
    await expect(empty.flush()).rejects.toThrow('the target did not answer within 20ms')
  })

  it('lets the next try deliver', async () => {
    let tries = 0
    const { sink } = bench({ timeout: '20ms', guarantee: 'idempotent', retry: { limit: 1, base: '1ms' } }, () =>
      tries++ === 0 ? new Promise(() => {}) : undefined,
    )
    await sink.write(Row, { id: 1 })
    await sink.flush()
    expect(tries).toBe(2)
  })
})

describe('writers', () => {
  it('deliver at the same time, with the rows of one key in order and never in two deliveries', async () => {
    const busy = new Set<number>()
    const last = new Map<number, number>()
    const inside = new Headcount()
    const problems: string[] = []
    const { sink } = bench({ writers: 4, batchSize: 5, key: (row: Row) => row.customer }, async (rows) => {
      inside.enter()
      const customers = new Set(rows.map(({ customer }) => customer))
      for (const customer of customers) {
        if (busy.has(customer)) problems.push(`${customer} overlaps`)
        busy.add(customer)
      }
      for (let turns = (rows[0]?.id ?? 0) % 5; turns >= 0; turns--) await pause()
      for (const { id, customer } of rows) {
        if (id < (last.get(customer) ?? 0)) problems.push(`${customer} is out of order`)
        last.set(customer, id)
      }
      for (const customer of customers) busy.delete(customer)
      inside.leave()
    })
    await sink.write(Row, rowsFrom(1, 700))
    await sink.flush()
    expect(problems).toEqual([])
    expect(inside.most).toBeGreaterThan(1)
    expect(inside.most).toBeLessThanOrEqual(4)
    expect(last.size).toBe(7)
  })

  it('deliver the first batch of a window alone, because it replaces what earlier attempts left', async () => {
    const begun: string[] = []
    const { sink } = bench({ writers: 4, batchSize: 1 }, async (_rows, { index }) => {
      begun.push(`begin ${index}`)
      for (let turns = 0; turns < 5; turns++) await pause()
      begun.push(`end ${index}`)
    })
    await sink.write(Row, rowsFrom(1, 5))
    await sink.flush()
    expect(begun.slice(0, 2)).toEqual(['begin 0', 'end 0'])
    expect(begun.slice(2, 5)).toEqual(['begin 1', 'begin 2', 'begin 3'])
  })

  it('give batches the same keys in every attempt', async () => {
    const attempt = async (): Promise<string[]> => {
      const keys: string[] = []
      const rules = { writers: 3, batchSize: 4, key: (row: Row) => row.customer }
      const { sink } = bench(rules, async (rows, { key }) => {
        for (let turns = Math.random() * 4; turns > 0; turns--) await pause()
        keys.push(`${key}: ${rows.map(({ id }) => id).join(' ')}`)
      })
      await sink.write(Row, rowsFrom(1, 50))
      await sink.flush()
      return keys.sort()
    }
    expect(await attempt()).toEqual(await attempt())
  })

  it('refuse a row without a key, and name it', async () => {
    const { sink } = bench({ writers: 2, key: () => undefined as unknown as string }, () => {})
    await expect(sink.write(Row, rowsFrom(1, 2))).rejects.toMatchObject({
      code: 'SINK_ROW_INVALID',
      message: 'sink target: key of row 0 of Row is undefined; expected a string, a number or a date',
    })
  })
})

describe('retry', () => {
  const RETRY = { guarantee: 'idempotent', retry: { limit: 3, base: '1ms' } } as const

  it('delivers the same batch again, with the same key, before the next one', async () => {
    const seen: string[] = []
    const { sink, target } = bench({ ...RETRY, batchSize: 1 }, (_rows, { key, index }) => {
      seen.push(key)
      if (seen.length < 3) throw new Error(`try ${index}`)
    })
    await sink.write(Row, rowsFrom(1, 2))
    await sink.flush()
    const [first] = seen
    expect(seen).toEqual([first, first, first, first?.replace(/0$/, '1')])
    expect(target.counts).toMatchObject({ rows: 2, batches: 2, retries: 2 })
  })

  it('ends with the attempt: a failed handler does not wait for it', async () => {
    const { sink } = bench({ ...RETRY, retry: { limit: 9, base: '1h', max: '1h' } }, () =>
      Promise.reject(new Error('down')),
    )
    await sink.write(Row, { id: 1 })
    const flushed = sink.flush()
    await pause()
    await sink.discard()
    await expect(flushed).rejects.toThrow('down')
  })
})

describe('deadLetters', () => {
  const RULES = { guarantee: 'idempotent', deadLetters: { tolerate: 3 } } as const

  it('puts rows aside that are refused, found by halving, and delivers all others once', async () => {
    const stored: number[] = []
    const keys = new Set<string>()
    const indexes: number[] = []
    const { sink, aside } = bench({ ...RULES, batchSize: 40 }, (rows, { key, index }) => {
      if (rows.some(({ id }) => id === 1 || id === 13 || id === 57)) throw new Error('no such customer')
      expect(keys.has(key)).toBe(false)
      keys.add(key)
      indexes.push(index)
      stored.push(...rows.map(({ id }) => id))
    })
    await sink.write(Row, rowsFrom(1, 80))
    await sink.flush()
    expect(aside.map(({ row, reason }) => [(row as Row).id, reason])).toEqual(
      [1, 13, 57].map((id) => [id, 'Error: no such customer']),
    )
    expect(stored).toEqual(rowsFrom(1, 80).flatMap(({ id }) => (id === 1 || id === 13 || id === 57 ? [] : [id])))
    expect(indexes.filter((index) => index === 0)).toHaveLength(1)
  })

  it('takes the rows that an error names', async () => {
    const calls: number[][] = []
    const { sink, aside } = bench(RULES, (rows) => {
      calls.push(rows.map(({ id }) => id))
      const wrong = rows.flatMap(({ id }, index) => (id % 2 === 0 ? [{ index, reason: `${id} is even` }] : []))
      if (wrong.length > 0) throw new RefusedRowsError(wrong)
    })
    await sink.write(Row, rowsFrom(1, 5))
    await sink.flush()
    expect(calls).toEqual([
      [1, 2, 3, 4, 5],
      [1, 3, 5],
    ])
    expect(aside.map(({ place, reason }) => `${place} ${reason}`)).toEqual(['1 2 is even', '3 4 is even'])
  })

  it('fails the run beyond its limit, and stores none of that batch', async () => {
    const { sink, aside } = bench(RULES, () => Promise.reject(new Error('wrong schema')))
    await sink.write(Row, rowsFrom(1, 50))
    await expect(sink.flush()).rejects.toThrow(
      'the target refused more than 3 rows in this attempt; the last one, of Row, with: Error: wrong schema. Fix the rows or the target, or raise deadLetters.tolerate',
    )
    expect(aside).toEqual([])
  })

  it.each([
    ['an outage', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })],
    ['a busy server', Object.assign(new Error('busy'), { status: 503 })],
    ['a stale run', Object.assign(new Error('stale'), { newerFence: 8 })],
    ['a missing table', Object.assign(new Error('no such table'), { errno: 1146 })],
  ])('does not blame the rows for %s', async (_name, error) => {
    let calls = 0
    const { sink, aside } = bench(RULES, () => {
      calls++
      throw error
    })
    await sink.write(Row, rowsFrom(1, 9))
    await expect(sink.flush()).rejects.toMatchObject({ code: 'SINK_FAILED' })
    expect([calls, aside]).toEqual([1, []])
  })
})

describe('the rules of a sink', () => {
  const on = [[Row, () => {}]] as const

  it('need a guarantee where rows are delivered again', () => {
    const define = (): unknown => defineSink({ name: 'a', on, retry: { limit: 1 }, spill: true })
    expect(define).toThrow(
      "sink a: retry and spill deliver rows again, but the sink has no guarantee, so rows might be stored twice; expected guarantee: 'idempotent'",
    )
  })

  it('exclude a spill of transactional rows, and name all other problems', () => {
    const rules = {
      guarantee: 'transactional',
      spill: { maxBytes: 3, dir: 'x' },
      linger: 'soon',
      writers: 0,
      deadLetters: 7,
    }
    const define = (): unknown => defineSink({ name: 'a', on, ...rules } as never)
    expect(define).toThrow(/^sink a has 5 problems:/)
    expect(define).toThrow('spill has problems: unknown option "dir"')
    expect(define).toThrow(
      "spill delivers rows after the end of their run, which is impossible with guarantee: 'transactional'",
    )
  })
})

describe('a route by name', () => {
  class Note {
    readonly text = 'a'
  }
  const got: string[] = []
  const Both = defineSink({
    name: 'both',
    on: [[Note, (rows) => void got.push(`notes ${rows.length}`)]],
    routes: { rows: [Row, (rows) => void got.push(`rows ${rows.map(({ customer }) => customer).join(' ')}`)] },
  })

  it('takes rows in the input form of their schema, and suggests a name that is known', async () => {
    const sink = new BufferedSink(targetOf(Both), sinkScope())
    await sink.write('rows', [{ id: 1 }, { id: 2, customer: 5 }])
    await sink.write(Note, new Note())
    await expect(sink.write('row', [])).rejects.toMatchObject({
      code: 'SINK_MODEL_UNKNOWN',
      message: 'sink both has no route "row"; it takes Note, Row. Did you mean "rows"?',
    })
    await sink.flush().catch(() => {})
    expect(got.sort()).toEqual(['notes 1', 'rows 0 5'])
  })
})
