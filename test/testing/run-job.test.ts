import { defineJob, defineResource, defineSink } from 'piko'
import { runJob } from 'piko/testing'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { defineShared } from '../../src/sync/index.ts'

const Price = z.object({ product: z.string(), euros: z.number() }).meta({ id: 'TestedPrice' })
const Prices = defineSink({
  name: 'prices',
  routes: { prices: [Price, () => Promise.reject(new Error('a test must not write'))] },
})
const Rates = defineResource({
  name: 'rates',
  async *acquire(): AsyncGenerator<{ dollar: number }> {
    yield await Promise.reject<{ dollar: number }>(new Error('a test must not open this'))
  },
})
const Discount = defineShared({ topic: 'discount', schema: z.number(), initial: 0 })

const prices = defineJob(
  {
    id: 'prices',
    cron: '0 6 * * *',
    timezone: 'Europe/Berlin',
    windows: { start: '2026-01-01T05:00:00Z' },
    input: z.array(z.string()).default(['anvil']),
    config: z.object({ factor: z.number().default(2) }),
    output: z.object({ written: z.number() }),
    resources: { rates: Rates },
    sinks: { prices: Prices },
  },
  async (ctx, { rates }) => {
    await using lock = await ctx.lock('prices')
    await ctx.limit('api', '1/h').take()
    ctx.log.info({ window: ctx.window.start }, `fence ${lock.fence}`)
    for (const product of ctx.input) {
      const euros = await ctx.step(`price:${product}`, () => rates.dollar * ctx.config.factor)
      await ctx.sinks.prices.write(Price, { product, euros: euros - ctx.shared(Discount).value })
    }
    ctx.progress(ctx.input.length, 1)
    return { written: ctx.input.length }
  },
)
const window = '2026-01-01T05:00:00Z'
const resources = { rates: { dollar: 3 } }

it('a job runs without a store: its sinks record, and everything else is in memory', async () => {
  const steps = { 'price:rope': 1 }
  const result = await runJob(prices, { window, resources, steps, input: ['anvil', 'rope'], shared: { discount: 1 } })
  expect(result).toEqual({
    output: { written: 2 },
    rows: {
      prices: [
        { product: 'anvil', euros: 5 },
        { product: 'rope', euros: 0 },
      ],
    },
    logs: [{ level: 'info', message: 'fence 1', fields: { window: new Date(window) } }],
    progress: [{ done: 2, total: 1 }],
    steps: { 'price:anvil': 6, 'price:rope': 1 },
    items: [],
  })
  expect((await runJob(prices, { window, resources, config: { factor: 1 } })).rows).toEqual({
    prices: [{ product: 'anvil', euros: 3 }],
  })
})

it('a job without a store is checked as a run is', async () => {
  const refused: [Parameters<typeof runJob>[1], RegExp][] = [
    [{ window }, /resources has no "rates", which job "prices" borrows/],
    [{ window, resources: { rates: 1, rate: 1 } }, /resources has "rate", which job "prices" does not borrow/],
    [{ resources }, /window is missing, but job "prices" has windows/],
    [
      { resources, window: '2026-01-02' },
      /no window .* starts at 2026-01-01T23:00:00.000Z; the window around it starts at 2026-01-01T05/,
    ],
    [{ resources, window, clock: 3 } as never, /clock is 3, which lacks now, monotonic, sleep; expected a clock/],
    [{ resources, window, input: [7] }, /the input \[7\] of job "prices"/],
    [{ resources, window, config: { factor: 'x' } }, /the config .*of job "prices"/],
    [
      { resources, window, attempt: 0, inputs: [] } as never,
      /attempt is 0[^]*unknown option "inputs"|inputs[^]*attempt is 0/,
    ],
  ]
  for (const [options, message] of refused) await expect(runJob(prices, options)).rejects.toThrow(message)
  const wrong = defineJob({ id: 'wrong', output: z.number() }, () => 'text' as never)
  await expect(runJob(wrong)).rejects.toThrow(/the output .*of job "wrong"/)
  const rows = defineJob({ id: 'rows', sinks: { prices: Prices } }, (ctx) =>
    ctx.sinks.prices.write(Price, { product: 'a' } as never),
  )
  await expect(runJob(rows)).rejects.toThrow(/euros/)
})

it('a wait does not wait, a commit needs an executor, and an abort ends the handler', async () => {
  let looks = 0
  const waits = defineJob({ id: 'waits' }, async (ctx) => {
    const first = await ctx.step('first', () => ++looks)
    return [first, await ctx.until('file', () => looks++ >= 3 && 'ready', { every: '1h' })]
  })
  expect(await runJob(waits)).toMatchObject({ output: [1, 'ready'], steps: { first: 1, file: 'ready' } })
  const never = defineJob({ id: 'never' }, (ctx) => ctx.until('file', () => false, { every: '1h', for: '1d' }))
  await expect(runJob(never)).rejects.toThrow(/not ready after 25 calls/)
  const commits = defineJob({ id: 'commits' }, (ctx) => ctx.commit(async (trx) => trx.exec('DELETE FROM a', [])))
  await expect(runJob(commits)).rejects.toThrow(/ctx.commit needs a database.*startTestApp/)
  const trx = {
    dialect: 'mysql',
    query: () => Promise.resolve([]),
    exec: () => Promise.resolve({ changes: 4 }),
  } as const
  expect((await runJob(commits, { trx })).output).toEqual({ changes: 4 })
  const endless = defineJob({ id: 'endless' }, async (ctx) => {
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
  })
  await expect(runJob(endless, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  const control = new AbortController()
  const ended = runJob(endless, { signal: control.signal })
  control.abort(new Error('later'))
  await expect(ended).rejects.toThrow('later')
  const pages = defineJob({ id: 'pages', items: { page: { run: () => {} } } }, async (ctx) =>
    ctx.items.add('page', [1, 2, 1], { lane: (page) => `lane ${String(page)}` }),
  )
  expect(await runJob(pages)).toMatchObject({
    output: { added: 2, duplicates: 1 },
    items: [
      { kind: 'page', data: 1, lane: 'lane 1' },
      { kind: 'page', data: 2, lane: 'lane 2' },
    ],
  })
})
