import { describe, expect, it, onTestFinished } from 'vitest'
import type { Piko } from '../../../src/app/piko.ts'
import { Channel } from '../../../src/async/channel.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { JobContext } from '../../../src/job/context.ts'
import { closeOffload } from '../../../src/offload/pools.ts'
import { offload } from '../../../src/offload/offload.ts'
import { startTestApp } from '../../../src/testing/test-app.ts'
import type * as hostile from '../../offload/modules/hostile.ts'
import { eventually } from '../../support/app.ts'

/** Aborts with its signal alone. */
const silent = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })

type Handler = (ctx: JobContext) => Promise<unknown>

async function drain(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source);
}

const fails = (): never => {
  throw new Error('failed')
}

/** Each waits without end. */
const WAITS: Readonly<Record<string, Handler>> = {
  retry: ({ async }) => async.retry(silent, { limit: 3 }),
  'back-off': (ctx) => ctx.async.retry(fails, { limit: 3, base: '1d', max: '1d' }),
  timeout: ({ async: { timeout } }) => timeout(() => new Promise(() => {}), '1d'),
  first: (ctx) => ctx.async.first([silent, silent]),
  completed: (ctx) => drain(ctx.async.completed([1, 2], (_item, _index, signal) => silent(signal))),
  batches: (ctx) => drain(ctx.async.batches(new Channel({ capacity: 1 }))),
  map: (ctx) => ctx.map([1], (_item, _index, signal) => silent(signal), { timeout: '1d', retry: { limit: 3 } }),
  rate: (ctx) => ctx.map([1, 2], () => 1, { rate: '1/d' }),
  source: (ctx) => ctx.map(new Channel({ capacity: 1 }), () => 1),
}

async function appOf(handlers: Readonly<Record<string, Handler>>): Promise<Piko> {
  const jobs = Object.entries(handlers).map(([id, handler]) => defineJob({ id }, handler))
  const app = await startTestApp({ jobs })
  onTestFinished(() => app.stop())
  return app
}

describe('a cancelled run', () => {
  it('ends every wait of ctx.async and ctx.map', async () => {
    const begun: string[] = []
    const handlers = Object.entries(WAITS).map(([id, handler]): [string, Handler] => [
      id,
      async (ctx) => {
        begun.push(id)
        await handler(ctx)
      },
    ])
    const app = await appOf(Object.fromEntries(handlers))
    const ids = await Promise.all(Object.keys(WAITS).map(async (id) => (await app.run(id)).id))
    await eventually(() => expect(begun).toHaveLength(ids.length))
    await app.runs.cancel({ ids })
    const ends = await Promise.all(ids.map((id) => app.waitFor(id)))
    expect(ends.map(({ state, error }) => [state, error?.code])).toEqual(ids.map(() => ['cancelled', 'RUN_CANCELLED']))
  })
})

describe('ctx.async', () => {
  it('gives results, and its errors fail the run with their codes', async () => {
    const app = await appOf({
      results: async (ctx) => {
        const calls: number[] = []
        const tried = await ctx.async.retry((_signal, attempt) => (attempt < 3 ? fails() : attempt), {
          limit: 2,
          base: '1ms',
        })
        for await (const batch of ctx.async.batches([1, 2, 3], { rows: 2 })) calls.push(batch.length)
        for await (const { index } of ctx.async.completed(['a'], (item) => item)) calls.push(index)
        const both = await ctx.async.first([() => 'a', () => 'b'], { count: 2 })
        return [tried, calls, both, await ctx.async.first([() => 'c']), await ctx.async.timeout(() => 'd', '1m')]
      },
      late: (ctx) => ctx.async.timeout(() => new Promise(() => {}), '1ms'),
      wrong: (ctx) => ctx.async.retry(fails, { limt: 1 } as never),
      stopped: (ctx) => ctx.async.timeout(silent, '1d', { signal: AbortSignal.abort(new Error('my own')) }),
    })
    expect((await app.run('results', { wait: true })).output).toEqual([3, [2, 1, 0], ['a', 'b'], 'c', 'd'])
    const errorOf = async (id: string) => (await app.waitFor((await app.run(id)).id)).error
    expect(await errorOf('late')).toMatchObject({ code: 'TIMEOUT' })
    expect(await errorOf('wrong')).toMatchObject({ code: 'USAGE', message: expect.stringContaining('limit') as string })
    expect(await errorOf('stopped')).toMatchObject({ message: 'my own' })
  })

  it('ends an offloaded call with the signal of the call around it, not with the run', async () => {
    const threads = offload<typeof hostile>(new URL('../../offload/modules/hostile.ts', import.meta.url))
    onTestFinished(() => closeOffload())
    const counter = new Int32Array(new SharedArrayBuffer(4))
    const app = await appOf({
      spins: async (ctx) => {
        const spinning = ctx.async.timeout(() => threads.spin(counter), '500ms')
        const error = await spinning.catch((thrown: unknown) => thrown as Error & { code: string })
        return [error instanceof Error && 'code' in error && error.code, await threads.length(new Uint8Array(3))]
      },
    })
    expect((await app.run('spins', { wait: true })).output).toEqual(['TIMEOUT', 3])
    const count = counter[0]
    await threads.length(new Uint8Array(1))
    expect(counter[0]).toBe(count)
  })
})
