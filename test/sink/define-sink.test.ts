import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/job/define-job.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import { SinkPool } from '../../src/sink/sink-pool.ts'
import { Sink, type SinkBatch, type SinkClass, type SinkWriter } from '../../src/sink/sink.ts'
import { hourOf, sinkScope } from './sink-scope.ts'

class Order {
  readonly id: number
  readonly total: number
  constructor(id: number, total: number) {
    this.id = id
    this.total = total
  }
}
const Refund = z.object({ order: z.number(), reason: z.string().default('none') }).meta({ id: 'Refund' })

describe('defineSink', () => {
  it('creates a Sink class with its name and batch size', () => {
    const Orders = defineSink({ name: 'orders', batchSize: 20, on: [[Order, () => {}]] })
    expect(Orders.name).toBe('orders')
    expect(Orders.batchSize).toBe(20)
    expect(new Orders()).toBeInstanceOf(Sink)
    expect(defineSink({ name: 'orders', on: [[Order, () => {}]] }).batchSize).toBe(1_000)
  })

  it('calls the given functions in the order of a run', async () => {
    const calls: unknown[] = []
    const Orders = defineSink({
      name: 'orders',
      on: [
        [Order, (rows, { key }) => void calls.push([key, rows.map(({ total }) => total)])],
        [Refund, (rows, { key }) => void calls.push([key, rows])],
      ],
      open: ({ log }) => log.info(`${calls.push('open')}`),
      clear: ({ window }, model) => calls.push(['clear', model, window?.start.toISOString()]),
      close: () => calls.push('close'),
    })
    const { sql, log } = sinkScope()
    const pool = new SinkPool({ env: { sql, log } })
    const run = await pool.forRun({ orders: Orders }, sinkScope())
    await run.writers['orders']?.write(Order, [new Order(1, 10), new Order(2, 20)])
    await run.writers['orders']?.write(Refund, { order: 1 })
    await run.flush()
    const empty = await pool.forRun({ orders: Orders }, sinkScope({ window: hourOf(3) }))
    await empty.flush()
    await pool.close()
    expect(calls).toEqual([
      'open',
      ['orders/run:12/Order/0', [10, 20]],
      ['orders/run:12/Refund/0', [{ order: 1, reason: 'none' }]],
      ['clear', Order, '2026-01-01T03:00:00.000Z'],
      ['clear', Refund, '2026-01-01T03:00:00.000Z'],
      'close',
    ])
  })

  it('lets two sinks share one handler', async () => {
    const keys: string[] = []
    const handler = (_rows: unknown[], { key }: SinkBatch): void => void keys.push(key)
    const A = defineSink({ name: 'a', on: [[Order, handler]] })
    const B = defineSink({ name: 'b', on: [[Refund, handler]] })
    const { sql, log } = sinkScope()
    const run = await new SinkPool({ env: { sql, log } }).forRun({ a: A, b: B }, sinkScope())
    await expect(run.writers['a']?.write(Refund, { order: 1 })).rejects.toMatchObject({ code: 'SINK_MODEL_UNKNOWN' })
    await run.writers['b']?.write(Refund, { order: 1 })
    await run.flush()
    expect(keys).toEqual(['orders/run:12/Refund/0'])
  })

  it.each([
    [{ name: '' }, 'sink : name is ""; expected a string'],
    [{ batchSize: 0 }, 'sink orders: batchSize is 0; expected a whole number from 1'],
    [{ batchSize: Infinity }, 'batchSize is Infinity'],
    [{ on: [] }, 'sink orders: it receives nothing; expected on: [[model, handler], …]'],
    [{ on: [['Order', () => {}]] }, 'on[0] is ["Order",null]; expected [zod schema or class, function]'],
    [{ on: [[Order]] }, 'on[0] is [null]'],
    [{ on: [Order] }, 'on[0] is function Order'],
    [
      {
        on: [
          [Order, () => {}],
          [Order, () => {}],
        ],
      },
      'sink orders: on[1] has the model of an earlier pair; expected each model once',
    ],
  ])('refuses %o', (wrong, message) => {
    const definition = { name: 'orders', on: [[Order, () => {}]], ...wrong } as unknown as Parameters<
      typeof defineSink
    >[0]
    expect(() => defineSink(definition)).toThrow(message)
  })

  it('infers the rows of every handler and of every write', () => {
    const Orders = defineSink({
      name: 'orders',
      on: [
        [
          Order,
          async (rows, batch) => {
            expectTypeOf(rows).toEqualTypeOf<Order[]>()
            expectTypeOf(batch).toEqualTypeOf<SinkBatch>()
          },
        ],
        [Refund, (rows) => expectTypeOf(rows).toEqualTypeOf<{ order: number; reason: string }[]>()],
      ],
    })
    expectTypeOf(Orders).toExtend<SinkClass>()
    defineJob({ id: 'j', sinks: { orders: Orders } }, async (ctx) => {
      expectTypeOf(ctx.sinks.orders).toExtend<SinkWriter>()
      await ctx.sinks.orders.write(Order, new Order(1, 2))
      // A field with a default may be missing: rows have the schema's input type.
      await ctx.sinks.orders.write(Refund, [{ order: 1 }, { order: 1, reason: 'broken' }])
      // @ts-expect-error a refund's order is a number
      await ctx.sinks.orders.write(Refund, { order: '1' })
      // @ts-expect-error no such sink was declared
      void ctx.sinks.refunds
    })
  })
})
