import { describe, expect, it } from 'vitest'
import { PikoError } from '../../src/errors.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import { on } from '../../src/sink/on.ts'
import { Sink, type SinkBatch, type SinkClass, type SinkEnv, type SinkMap } from '../../src/sink/sink.ts'
import { SinkPool } from '../../src/sink/sink-pool.ts'
import { sinkScope } from './sink-scope.ts'

class Order {
  readonly id: number
  constructor(id: number) {
    this.id = id
  }
}

const { sql, log } = sinkScope()
const newPool = (): SinkPool => new SinkPool({ env: { sql, log } })

describe('SinkPool.forRun', () => {
  it('creates and opens one instance per class, with a separate buffer for every run', async () => {
    const events: string[] = []
    class Orders extends Sink {
      static override readonly batchSize = 2
      constructor() {
        super()
        events.push('made')
      }
      override async open(env: SinkEnv): Promise<void> {
        events.push(env.sql === sql && env.log === log ? 'opened' : 'opened with something else')
      }
      @on(Order)
      async orders(rows: Order[], { key }: SinkBatch): Promise<void> {
        events.push(`${key}: ${rows.map(({ id }) => id).join(' ')}`)
      }
    }
    const pool = newPool()
    expect(events).toEqual([])
    const [one, two] = await Promise.all([1, 2].map((runId) => pool.forRun({ out: Orders }, sinkScope({ runId }))))
    await one?.writers['out']?.write(Order, new Order(10))
    await two?.writers['out']?.write(Order, [new Order(20), new Order(21), new Order(22)])
    await one?.flush()
    await two?.flush()
    expect(events).toEqual([
      'made',
      'opened',
      'orders/run:2/Order/0: 20 21',
      'orders/run:1/Order/0: 10',
      'orders/run:2/Order/1: 22',
    ])
  })

  it('shares a failed open with the waiting runs, and lets the next run try again', async () => {
    let tries = 0
    const failing = [
      (): never => {
        throw new Error('refused')
      },
      async (): Promise<never> => Promise.reject(new Error('refused')),
    ]
    const Orders = defineSink({ name: 'orders', on: [[Order, () => {}]], open: () => failing[tries++]?.() })
    const pool = newPool()
    const failure = { code: 'SINK_FAILED', message: 'sink orders could not be opened: refused' }
    const both = [1, 2].map((runId) => pool.forRun({ orders: Orders }, sinkScope({ runId })))
    for (const run of both) await expect(run).rejects.toMatchObject(failure)
    expect(tries).toBe(1)
    await expect(pool.forRun({ orders: Orders }, sinkScope())).rejects.toMatchObject(failure)
    await pool.forRun({ orders: Orders }, sinkScope())
    await pool.forRun({ orders: Orders }, sinkScope())
    expect(tries).toBe(3)
  })

  it('waits for an open only until the run’s signal aborts', async () => {
    const Orders = defineSink({ name: 'orders', on: [[Order, () => {}]], open: () => new Promise(() => {}) })
    const controller = new AbortController()
    const reason = new PikoError('RUN_TIMEOUT', 'too slow')
    const run = newPool().forRun({ orders: Orders }, sinkScope({ signal: controller.signal }))
    controller.abort(reason)
    await expect(run).rejects.toBe(reason)
  })

  it('gives two names of one class the same buffer, so batches are counted once', async () => {
    const keys: string[] = []
    const Orders = defineSink({ name: 'orders', batchSize: 1, on: [[Order, (_rows, { key }) => void keys.push(key)]] })
    const { writers, flush } = await newPool().forRun({ a: Orders, b: Orders }, sinkScope())
    await writers['a']?.write(Order, new Order(1))
    await writers['b']?.write(Order, new Order(2))
    await flush()
    expect(keys).toEqual(['orders/run:12/Order/0', 'orders/run:12/Order/1'])
  })

  it('flushes in the map’s order until one fails; discard then drops the others', async () => {
    const events: string[] = []
    const named = (name: string, error?: Error): SinkClass =>
      defineSink({
        name,
        on: [
          [
            Order,
            async () => {
              events.push(name)
              if (error) throw error
            },
          ],
        ],
      })
    const map = { a: named('a'), b: named('b', new Error('full')), c: named('c') }
    const run = await newPool().forRun(map, sinkScope())
    for (const key of ['c', 'b', 'a']) await run.writers[key]?.write(Order, new Order(1))
    await expect(run.flush()).rejects.toThrow('sink b failed to deliver batch 0 of Order (1 row): full')
    await run.discard()
    expect(events).toEqual(['a', 'b'])
    await expect(run.writers['c']?.write(Order, new Order(2))).rejects.toMatchObject({ code: 'STOPPED' })
  })

  it('refuses a value that is not a sink class, a wrong batch size, and a constructor that throws', async () => {
    class Sized extends Sink {
      static override readonly batchSize = 0.5
    }
    class Thrower extends Sink {
      constructor() {
        super()
        throw new Error('no bucket')
      }
    }
    const refused = (sink: unknown): Promise<unknown> => newPool().forRun({ out: sink } as SinkMap, sinkScope())
    await expect(refused(undefined)).rejects.toThrow('sink out is undefined; expected a subclass of Sink')
    await expect(refused(Sized)).rejects.toThrow('sink Sized: batchSize is 0.5; expected a whole number from 1')
    await expect(refused(Thrower)).rejects.toThrow('sink Thrower could not be created: no bucket')
  })
})

describe('SinkPool.close', () => {
  it('closes once, the newest first, including sinks that failed to open, even if some fail', async () => {
    const closed: string[] = []
    const named = (name: string, { open, close }: { open?: string; close?: string } = {}): SinkClass =>
      defineSink({
        name,
        on: [[Order, () => {}]],
        open: async () => {
          if (open) throw new Error(open)
        },
        close: async () => {
          closed.push(name)
          if (close) throw new Error(close)
        },
      })
    const pool = newPool()
    await pool.forRun({ a: named('a', { close: 'one' }), b: named('b') }, sinkScope())
    await expect(pool.forRun({ c: named('c', { open: 'refused', close: 'two' }) }, sinkScope())).rejects.toThrow(
      'refused',
    )
    const closing = pool.close()
    expect(pool.close()).toBe(closing)
    await expect(closing).rejects.toMatchObject({
      code: 'SINK_FAILED',
      message: 'sink c failed to close: two; sink a failed to close: one',
    })
    expect(closed).toEqual(['c', 'b', 'a'])
    await expect(pool.forRun({}, sinkScope())).rejects.toMatchObject({ code: 'STOPPED' })
  })
})
