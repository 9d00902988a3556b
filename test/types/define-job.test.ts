import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import {
  defineJob,
  jobSpec,
  type ContextOf,
  type JobContext,
  type JobDefinition,
  type Window,
} from '../../src/index.ts'
import { Order, OrdersSink, Price, Token, Warehouse, type Connection } from './support.ts'

const config = z.object({ shop: z.string().default('eu'), days: z.coerce.number().optional() })

describe('defineJob infers', () => {
  it('each borrowed value from the resources, in ctx and in the second argument', () => {
    const made = defineJob({ id: 'a', resources: { db: Warehouse, token: Token } }, async (ctx, resources) => {
      expectTypeOf(ctx.resources.db).toEqualTypeOf<Connection>()
      expectTypeOf(ctx.resources.token).toEqualTypeOf<string>()
      expectTypeOf(resources).toEqualTypeOf<{ readonly db: Connection; readonly token: string }>()
      // @ts-expect-error no such resource
      void ctx.resources.nope
      // @ts-expect-error no such resource
      void resources.nope
    })
    expectTypeOf(made).toExtend<JobDefinition>()
  })

  it('the output of the config schema', () => {
    defineJob({ id: 'a', config }, (ctx) => {
      expectTypeOf(ctx.config).toEqualTypeOf<{ shop: string; days?: number | undefined }>()
      // @ts-expect-error the schema has no such field
      void ctx.config.region
    })
  })

  it('an open record without a schema', () => {
    defineJob({ id: 'a' }, (ctx) => expectTypeOf(ctx.config).toEqualTypeOf<Record<string, unknown>>())
  })

  it('a window exactly for jobs with windows', () => {
    defineJob({ id: 'a', every: '1h', windows: { start: '2026-01-01T00:00:00Z' } }, (ctx) => {
      expectTypeOf(ctx.window).toEqualTypeOf<Window>()
    })
    defineJob({ id: 'a', every: '1h' }, (ctx) => {
      expectTypeOf(ctx.window).toEqualTypeOf<undefined>()
    })
  })

  it('the row of a sink from the written model', () => {
    defineJob({ id: 'a', sinks: { orders: OrdersSink } }, async ({ sinks }) => {
      await sinks.orders.write(Order, new Order())
      await sinks.orders.write(Order, [{ id: 1, shop: 'eu' }])
      await sinks.orders.write(Price, { symbol: 'A', price: 1, at: new Date(0) })
      // @ts-expect-error a field is missing
      await sinks.orders.write(Order, { id: 1 })
      // @ts-expect-error price is a number
      await sinks.orders.write(Price, [{ symbol: 'A', price: '1', at: new Date(0) }])
      // @ts-expect-error a text is no model
      await sinks.orders.write('orders', [])
      // @ts-expect-error no such sink
      void sinks.prices
    })
  })

  it('no resources and no sinks when none are declared', () => {
    defineJob({ id: 'a' }, (ctx, resources) => {
      // @ts-expect-error nothing is declared
      void ctx.resources.db
      // @ts-expect-error nothing is declared
      void resources.db
      // @ts-expect-error nothing is declared
      void ctx.sinks.orders
    })
  })

  it('the results of ctx.map', () => {
    defineJob({ id: 'a' }, async (ctx) => {
      const settled = await ctx.map(['a', 'b'], async (item, index) => {
        expectTypeOf(item).toEqualTypeOf<string>()
        return index
      })
      expectTypeOf(settled).toEqualTypeOf<PromiseSettledResult<number>[]>()
    })
  })
})

describe('defineJob accepts', () => {
  it('a handler with fewer arguments, and one that is not async', () => {
    defineJob({ id: 'a' }, () => undefined)
    defineJob({ id: 'a' }, async () => ({ rows: 1 }))
    defineJob({ id: 'a' }, (ctx: JobContext) => ctx.log.info('hello'))
  })

  it('a handler written elsewhere for its spec', () => {
    const spec = jobSpec({ id: 'a', resources: { db: Warehouse }, config })
    const handler = async (ctx: ContextOf<typeof spec>) => ctx.resources.db.query(ctx.config.shop)
    defineJob(spec, handler)
  })
})

describe('defineJob refuses', () => {
  it('a handler that needs a resource outside the spec', () => {
    const _spec = jobSpec({ id: 'a', resources: { db: Warehouse } })
    const handler = async (ctx: ContextOf<typeof _spec>) => ctx.resources.db.query('select 1')
    // @ts-expect-error the spec has no resource db
    defineJob({ id: 'b', resources: { token: Token } }, handler)
  })

  it('a handler with another signature', () => {
    // @ts-expect-error a context is passed, no text
    defineJob({ id: 'a' }, (name: string) => name)
    // @ts-expect-error two arguments are passed, not three
    defineJob({ id: 'a' }, (_ctx: JobContext, _resources: object, _third: number) => undefined)
  })

  it('a mistyped option, unit or value', () => {
    const check = (..._specs: Parameters<typeof jobSpec>[0][]): void => undefined
    // @ts-expect-error no such option
    check({ id: 'a', corn: '* * * * *' })
    // @ts-expect-error a number has no unit
    check({ id: 'a', every: 10 })
    // @ts-expect-error the text has no unit
    check({ id: 'a', timeout: '10' })
    // @ts-expect-error no such policy
    check({ id: 'a', overlap: 'queue' })
    // @ts-expect-error windows need a start
    check({ id: 'a', every: '1h', windows: {} })
    // @ts-expect-error an instance is no resource class
    check({ id: 'a', resources: { db: new Warehouse() } })
    // @ts-expect-error an id is needed
    check({ every: '1h' })
  })
})

describe('ContextOf', () => {
  it('recovers everything from a spec', () => {
    const _spec = jobSpec({
      id: 'a',
      every: '1h',
      windows: { start: '2026-01-01T00:00:00Z', catchUp: 'latest' },
      config,
      resources: { db: Warehouse },
      sinks: { orders: OrdersSink },
    })
    type Context = ContextOf<typeof _spec>
    expectTypeOf<Context['resources']>().toEqualTypeOf<{ readonly db: Connection }>()
    expectTypeOf<Context['config']>().toEqualTypeOf<{ shop: string; days?: number | undefined }>()
    expectTypeOf<Context['window']>().toEqualTypeOf<Window>()
    expectTypeOf<keyof Context['sinks']>().toEqualTypeOf<'orders'>()
  })

  it('has no window when the spec has none', () => {
    const _spec = jobSpec({ id: 'a', every: '1h' })
    expectTypeOf<ContextOf<typeof _spec>['window']>().toEqualTypeOf<undefined>()
  })

  it('is assignable to the plain JobContext', () => {
    const _spec = jobSpec({
      id: 'a',
      every: '1h',
      config,
      resources: { db: Warehouse },
      windows: { start: new Date(0) },
    })
    expectTypeOf<ContextOf<typeof _spec>>().toExtend<JobContext>()
  })
})
