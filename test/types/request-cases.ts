import { expectTypeOf } from 'vitest'
import { z } from 'zod'
import {
  defineJob,
  defineSink,
  job,
  jobSpec,
  on,
  type ContextOf,
  type Piko,
  type Run,
  type RunId,
  Sink,
} from '../../src/index.ts'

// Nothing here is run: `npm run check:types` checks it.
declare const app: Piko

const plain = defineJob({ id: 'plain' }, () => {})
const sync = defineJob(
  {
    id: 'sync',
    config: z.object({ shop: z.string().default('eu'), pages: z.number() }),
    input: z.object({ order: z.number(), express: z.boolean().default(false) }),
  },
  async (ctx) => {
    expectTypeOf(ctx.input).toEqualTypeOf<{ order: number; express: boolean }>()
    return { at: new Date(), rows: 1, note: undefined as string | undefined }
  },
)
const daily = defineJob(
  { id: 'daily', every: '1d', windows: { start: '2026-01-01T00:00:00Z' }, config: z.object({ shop: z.string() }) },
  async () => 'done',
)
const spec = jobSpec({ id: 'spec', input: z.string(), output: z.object({ rows: z.number() }) })

/** A run is typed by its definition. */
export async function definition() {
  await app.run(plain)
  await app.run(sync, { input: { order: 1 } })
  await app.run(sync, { input: { order: 1, express: true }, config: { pages: 2 }, priority: 1 })
  // @ts-expect-error an input is required
  await app.run(sync)
  // @ts-expect-error an input is required
  await app.run(sync, { config: { pages: 2 } })
  // @ts-expect-error order is a number
  await app.run(sync, { input: { order: '1' } })
  // @ts-expect-error misspelt key of the config
  await app.run(sync, { input: { order: 1 }, config: { page: 2 } })
  // @ts-expect-error pages is a number
  await app.run(sync, { input: { order: 1 }, config: { pages: '2' } })
  // @ts-expect-error the job has no windows
  await app.run(sync, { input: { order: 1 }, window: '2026-01-01T00:00:00Z' })
  // @ts-expect-error no such option
  await app.run(plain, { wiat: true })
}

/** A job with windows needs one, and is not enqueued. */
export async function windows() {
  await app.run(daily, { window: '2026-01-01T00:00:00Z' })
  // @ts-expect-error which window?
  await app.run(daily)
  // @ts-expect-error which window?
  await app.run(daily, { config: { shop: 'eu' } })
  // @ts-expect-error a window is asked for by app.run
  await app.enqueue(daily, {})
  // @ts-expect-error a window is asked for by app.run
  await app.enqueueMany(daily, [{}])
  const range = { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' }
  await app.backfills.create(daily, { ...range, config: { shop: 'us' } })
  app.backfills.preview(daily, range)
  // @ts-expect-error misspelt key of the config
  await app.backfills.create(daily, { ...range, config: { shp: 'us' } })
  // @ts-expect-error nothing to backfill
  await app.backfills.create(plain, range)
}

/** Every call about a job takes its definition or spec, and a saved config is typed. */
export async function definitions() {
  await app.jobs.show(sync)
  await app.jobs.pause(spec)
  await app.schedules.preview(daily)
  await app.windows.coverage(daily, { limit: 1 })
  await app.configs.show('anything')
  await app.configs.set(sync, { pages: 2 })
  await app.configs.set('anything', { any: 1 })
  // @ts-expect-error pages is missing
  await app.configs.set(sync, { shop: 'us' })
  // @ts-expect-error misspelt key of the config
  await app.configs.set(sync, { pages: 2, shp: 'us' })
  // @ts-expect-error a number is no job
  await app.windows.summary(5)
}

/** Many runs are typed item by item. */
export async function items() {
  await app.enqueueMany(sync, [{ input: { order: 1 } }, { input: { order: 2 }, idempotencyKey: 'b' }])
  // @ts-expect-error order is missing
  await app.enqueueMany(sync, [{ input: { order: 1 } }, { input: {} }])
}

/** The output is what the database returns. */
export async function output() {
  const queued = await app.run(sync, { input: { order: 1 } })
  expectTypeOf(queued.output).toEqualTypeOf<{ at: string; rows: number; note: string | undefined } | undefined>()
  const ended = await app.run(sync, { input: { order: 1 }, wait: true })
  expectTypeOf(ended.output).toEqualTypeOf<{ at: string; rows: number; note: string | undefined }>()
  const id = await app.enqueue(sync, { input: { order: 1 } })
  expectTypeOf(id).toExtend<number>()
  expectTypeOf((await app.waitFor(id)).output).toEqualTypeOf<typeof queued.output>()
  expectTypeOf((await app.waitFor(sync, 7)).output).toEqualTypeOf<typeof queued.output>()
  const [first] = await app.enqueueMany(spec, [{ input: 'a' }])
  expectTypeOf(first).toEqualTypeOf<RunId<{ rows: number }> | undefined>()
  expectTypeOf(await app.waitFor(7)).toEqualTypeOf<Run>()
  // @ts-expect-error a run id, not a text
  await app.waitFor('7')
}

/** A spec types as a definition does, and a text as little as before. */
export async function specAndText() {
  await app.run(spec, { input: 'a' })
  // @ts-expect-error the input is a text
  await app.run(spec, { input: 1 })
  await app.run('anything', { input: 1, config: { any: 1 }, window: '2026-01-01T00:00:00Z' })
  expectTypeOf(await app.run('anything', { wait: true })).toEqualTypeOf<Run>()
  await app.run({ id: 'literal' }, { input: 1 })
  // @ts-expect-error a number is no job
  await app.run(5)
}

/** The output schema types what the handler returns. */
export function outputSchema() {
  defineJob(spec, () => ({ rows: 1 }))
  defineJob(spec, async () => ({ rows: 1 }))
  // @ts-expect-error rows is a number
  defineJob(spec, () => ({ rows: '1' }))
  // @ts-expect-error something is expected
  defineJob(spec, () => {})
  class Jobs {
    @job(spec)
    async right(ctx: ContextOf<typeof spec>) {
      expectTypeOf(ctx.input).toEqualTypeOf<string>()
      return { rows: 1 }
    }

    // @ts-expect-error rows is a number
    @job(spec)
    async wrong() {
      return { rows: '1' }
    }
  }
  void Jobs
}

/** A sink takes the models that it has. */
export function sinkModels() {
  class Order {
    readonly order = 1
  }
  class Refund {
    readonly refund = 1
  }
  const Price = z.object({ price: z.number() })
  class Orders extends Sink {
    @on(Order)
    async orders(rows: Order[]) {
      void rows
    }

    @on(Price)
    async prices(rows: z.output<typeof Price>[]) {
      void rows
    }
  }
  const Defined = defineSink({ name: 'd', on: [[Order, (rows) => void rows]] })
  class Unseen extends Sink {}
  defineJob({ id: 'j', sinks: { orders: Orders, defined: Defined, unseen: Unseen } }, async ({ sinks }) => {
    await sinks.orders.write(Order, new Order())
    await sinks.orders.write(Price, [{ price: 1 }])
    // @ts-expect-error the sink has no such model
    await sinks.orders.write(Refund, new Refund())
    await sinks.defined.write(Order, [new Order()])
    // @ts-expect-error the sink has no such model
    await sinks.defined.write(Price, { price: 1 })
    await sinks.unseen.write(Refund, new Refund())
  })
}

const Price = z.object({ price: z.number(), shop: z.string().default('eu') })
class Item {
  readonly sku: string = 'a'
}
const Prices = defineSink({
  name: 'prices',
  on: [[Item, (rows) => void rows[0]?.sku]],
  routes: { prices: [Price, (rows) => void rows[0]?.shop.length] },
  key: (row) => ('sku' in row ? row.sku : row.shop),
})
class Items extends Sink {
  @on(Item) items(_rows: Item[]): void {}
}

/** A sink takes rows by the name of a route: an entry of `routes` in its input form, or a method of a class. */
export const routes = defineJob({ id: 'routes', sinks: { prices: Prices, items: Items } }, async ({ sinks }) => {
  await sinks.prices.write('prices', [{ price: 1 }, { price: 2, shop: 'us' }])
  await sinks.prices.write(Price, { price: 1 })
  await sinks.prices.write(Item, new Item())
  await sinks.items.write('items', new Item())
  // @ts-expect-error no such route
  await sinks.prices.write('price', [])
  // @ts-expect-error price is a number
  await sinks.prices.write('prices', { price: '1' })
  // @ts-expect-error no such method
  await sinks.items.write('item', new Item())
})

// @ts-expect-error a misspelt guarantee
defineSink({ name: 'a', on: [[Item, () => {}]], guarantee: 'idempotant' })
