import { getEventListeners } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  batches,
  breaker,
  bulkhead,
  Channel,
  completed,
  first,
  limiter,
  pool,
  retry,
  single,
  timeout,
} from '../../src/async/index.ts'
import { mapItems } from '../../src/calls/map-items.ts'
import { runCalls } from '../../src/calls/run-calls.ts'
import { eventually } from '../support/app.ts'
import { turns } from '../support/turns.ts'

type Work = (signal: AbortSignal) => Promise<unknown>
type Use = (signal: AbortSignal, work: Work) => Promise<unknown>

async function drain(source: AsyncIterable<unknown>): Promise<void> {
  for await (const item of source) if (typeof item === 'object' && item && 'reason' in item) throw item.reason
}

async function* one(work: Work, signal: AbortSignal) {
  await work(signal)
  yield 1
}

const never = new AbortController().signal

/** Each helper with a signal, around work that ends well, fails, or ends with its signal. */
const USES: Readonly<Record<string, Use>> = {
  retry: (signal, work) => retry(work, { limit: 1, base: '1ms', signal }),
  timeout: (signal, work) => timeout(work, '1d', { signal }),
  first: (signal, work) =>
    first([work, work], { signal }).catch((error: unknown) => {
      throw error instanceof AggregateError ? error.errors[0] : error
    }),
  completed: (signal, work) => drain(completed([1, 2], (_item, _index, own) => work(own), { signal })),
  batches: (signal, work) => drain(batches(one(work, signal), { wait: '1h', signal })),
  'pool.add': (signal, work) => pool(1).add(work, { signal }),
  'bulkhead.run': (signal, work) => bulkhead(1).run(work, { signal }),
  'breaker.run': (signal, work) => breaker({ failures: 1, cooldown: '1s' }).run(work, { signal }),
  single: (signal, work) => single((_: void, own) => work(own))(undefined, { signal }),
  'ctx.map': async (signal, work) => {
    const [end] = await mapItems([1, 2], (_item, _index, own) => work(own), { timeout: '1d', rate: '9/s' }, signal)
    if (end?.status === 'rejected') throw end.reason
  },
  'ctx.async.retry': (signal, work) => runCalls(never).retry(work, { limit: 0, signal }),
  'ctx.async.first': (signal, work) =>
    runCalls(signal)
      .first([work])
      .catch((error: unknown) => {
        throw error instanceof AggregateError ? error.errors[0] : error
      }),
  'ctx.async.completed': (signal, work) =>
    drain(runCalls(signal).completed([1], (_item, _index, own) => work(own), { signal: new AbortController().signal })),
}

/** Waits, each with a signal, that only an abort ends. */
const WAITS: Readonly<Record<string, (signal: AbortSignal) => Promise<unknown>>> = {
  'a put': async (signal) => new Channel({ capacity: 0 }).put(1, { signal }),
  'a take': async (signal) => new Channel({ capacity: 1 }).take({ signal }),
  'the values of a channel': async (signal) => drain(new Channel({ capacity: 1 }).values({ signal })),
  'a limiter': async (signal) => {
    const daily = limiter('1/d')
    await daily.take()
    await daily.take(1, { signal })
  },
  'a back-off': (signal) => retry(() => Promise.reject(new Error('no')), { limit: 1, base: '1d', max: '1d', signal }),
  'a full pool': async (signal) => {
    const paused = pool(1)
    paused.pause()
    await paused.add(() => 1, { signal })
  },
  'a full bulkhead': async (signal) => {
    const full = bulkhead(1, { queue: 1 })
    void full.run(() => new Promise(() => {}))
    await full.run(() => 1, { signal })
  },
  'a silent source': (signal) => drain(batches(new Channel({ capacity: 1 }), { wait: '1d', signal })),
}

const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

/** Expects that this test leaves neither a timer nor a listener behind. */
function expectNothingLeft(signal: AbortSignal): void {
  const before = timers()
  onTestFinished(async () => {
    expect(listeners(signal)).toBe(0)
    await eventually(() => expect(timers()).toBeLessThanOrEqual(before))
  })
}

describe.each(Object.entries(USES))('%s', (_name, use) => {
  it('leaves neither a timer nor a listener behind after work that ends well', async () => {
    const { signal } = new AbortController()
    expectNothingLeft(signal)
    await use(signal, () => turns(1))
  })

  it('leaves nothing behind after work that fails, and rejects with its error', async () => {
    const { signal } = new AbortController()
    expectNothingLeft(signal)
    await expect(use(signal, () => turns(1).then(() => Promise.reject(new Error('failed'))))).rejects.toThrow('failed')
    const throwing: Work = () => {
      throw new Error('at once')
    }
    await expect(use(signal, throwing)).rejects.toThrow('at once')
  })

  it('ends with its signal, and leaves nothing behind', async () => {
    const reason = new Error('stopped')
    const controller = new AbortController()
    expectNothingLeft(controller.signal)
    const signals: AbortSignal[] = []
    const using = use(controller.signal, (signal) => {
      signals.push(signal)
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      })
    })
    const ended = expect(using).rejects.toThrow('stopped')
    await eventually(() => expect(signals.length).toBeGreaterThan(0))
    controller.abort(reason)
    await ended
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
    // And with one that has aborted before it begins nothing.
    signals.length = 0
    await expect(use(controller.signal, async (signal) => void signals.push(signal))).rejects.toThrow('stopped')
    expect(signals).toEqual([])
  })
})

describe.each(Object.entries(WAITS))('a wait for %s', (_name, wait) => {
  it('ends with its signal, and leaves nothing behind', async () => {
    const controller = new AbortController()
    expectNothingLeft(controller.signal)
    const waiting = expect(wait(controller.signal)).rejects.toThrow('stopped')
    await turns(4)
    expect(listeners(controller.signal)).toBeGreaterThan(0)
    controller.abort(new Error('stopped'))
    await waiting
  })
})

it('thousands of waits share one listener of their signal', async () => {
  const controller = new AbortController()
  const channel = new Channel<number>({ capacity: 0 })
  const waits = Array.from({ length: 5_000 }, () => channel.take({ signal: controller.signal }))
  const calls = Array.from({ length: 5_000 }, () =>
    timeout(() => new Promise(() => {}), '1d', { signal: controller.signal }),
  )
  const ends = Promise.allSettled([...waits, ...calls])
  expect(listeners(controller.signal)).toBe(1)
  await channel.put(1)
  controller.abort(new Error('stopped'))
  expect((await ends).filter(({ status }) => status === 'rejected')).toHaveLength(9_999)
  expect(listeners(controller.signal)).toBe(0)
})
