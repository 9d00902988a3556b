import { afterEach, describe, expect, test } from 'vitest'
import { offload } from '../../src/offload/offload.ts'
import { OffloadPool } from '../../src/offload/offload-pool.ts'
import type { OffloadOptions } from '../../src/offload/pool/pool-options.ts'
import { offloadPool, overridePools } from '../../src/offload/pools.ts'
import { withRunSignal } from '../../src/offload/signal.ts'
import { nextSize } from '../../src/offload/map/map-run.ts'
import { PATIENCE_MS } from '../support/patience.ts'

type Items = typeof import('./modules/items.ts')
type Hostile = typeof import('./modules/hostile.ts')

const opened: OffloadPool[] = []
afterEach(async () => {
  const now = AbortSignal.abort(new Error('the test is over'))
  await Promise.all(opened.splice(0).map((pool) => pool.close(now)))
})

function items(options: OffloadOptions = {}) {
  const pool = new OffloadPool({ size: 1, ...options })
  opened.push(pool)
  return { pool, functions: offload<Items>(new URL('./modules/items.ts', import.meta.url), { pool }) }
}

test('a time limit longer than the longest timer of Node does not end a call at once', async () => {
  expect(await items().functions.$with({ timeout: '60d' }).innocent(30)).toBe('innocent')
})

describe('$map and $mapReduce', () => {
  test('keep the order, settle each item, and blame only the item that took its thread with it', async () => {
    const { pool, functions } = items({ size: 2 })
    const bad = new Map([
      [40, 'throw'],
      [170, 'exit'],
      [300, 'loop'],
      [444, 'secret'],
    ] as const)
    const source = Array.from({ length: 600 }, (_, value) => ({ value, does: bad.get(value as 40) }))
    const given = source.map(({ value, does }) => (does ? { value, does } : { value }))
    const results = await functions.$map('square', given, { timeout: '300ms', batch: 50 })
    expect(results).toHaveLength(600)
    const failed = results.flatMap((result, index) =>
      result.status === 'rejected' ? [[index, (result.reason as { code?: string; name: string }).code] as const] : [],
    )
    expect(failed).toEqual([
      [40, undefined],
      [170, 'OFFLOAD_EXIT'],
      [300, 'OFFLOAD_TIMEOUT'],
      [444, 'OFFLOAD_COPY'],
    ])
    results.forEach((result, index) => {
      if (result.status === 'fulfilled') expect(result.value).toBe(index * index)
    })
    expect(pool.stats.running).toBe(0)
  })

  test('read their source as far as they need, combine in order, and end with a signal or their source', async () => {
    const { functions } = items()
    async function* numbers(count: number) {
      for (let value = 0; value < count; value++) yield value
      if (count === 7) throw new Error('the source failed')
    }
    const expected = Array.from({ length: 500 }, (_, value) => `${value},`).join('')
    expect(await functions.$mapReduce({ map: 'text', reduce: 'join' }, numbers(500))).toBe(expected)
    expect(await functions.$mapReduce({ map: 'text', reduce: 'join' }, [])).toBeUndefined()
    await expect(functions.$map('text', numbers(7))).rejects.toThrow('the source failed')
    const abort = new AbortController()
    async function* stopping() {
      for (let value = 0; ; value++) {
        if (value === 50) abort.abort(new Error('enough'))
        yield value
      }
    }
    await expect(functions.$map('text', stopping(), { signal: abort.signal })).rejects.toThrow('enough')
    const wrong = { inFlights: 3 } as never
    await expect(functions.$map('text', [1], wrong)).rejects.toThrow('did you mean "inFlight"?')
  })

  test('the size of a batch follows the time that it took', () => {
    expect([nextSize(1, 0.01), nextSize(100, 20), nextSize(100, 200), nextSize(1, 5_000), nextSize(900, 1)]).toEqual([
      4, 100, 10, 1, 1_000,
    ])
  })
})

describe('a call that does harm', () => {
  test.each(['exit', 'loop', 'throw', 'reject', 'devour'] as const)(
    'after its end (%s) does not hit the next one, and the pool has its full size',
    async (kind) => {
      const { pool, functions } = items({ memory: '64MB' })
      expect(await functions.harmLater(kind)).toBe('answered')
      expect(await functions.innocent(50)).toBe('innocent')
      expect(await functions.innocent(1)).toBe('innocent')
      expect(pool.stats).toMatchObject({ size: 1, running: 0, failures: {} })
    },
  )

  test('in the turn after its return is its own failure, and later, before another begins, that of no other', async () => {
    const { pool } = items({ memory: '64MB' })
    const hostile = offload<Hostile>(new URL('./modules/hostile.ts', import.meta.url), { pool })
    expect(await hostile.postNothing()).toBe('answered')
    await expect(hostile.$with({ timeout: '500ms' }).loopNextTick()).rejects.toMatchObject({ code: 'OFFLOAD_TIMEOUT' })
    const gate = new Int32Array(new SharedArrayBuffer(4))
    expect(await hostile.loopSoon(gate)).toBe('answered')
    await expect.poll(() => gate[0], { timeout: PATIENCE_MS, interval: 5 }).toBe(1)
    expect(await hostile.$with({ timeout: '500ms' }).length(new Uint8Array(3))).toBe(3)
    expect(await hostile.loopSoon(gate)).toBe('answered')
    await expect.poll(() => gate[0], { timeout: PATIENCE_MS, interval: 5 }).toBe(2)
    const moving = new Uint8Array(4)
    await expect(hostile.$with({ timeout: '500ms', transfer: [moving] }).length(moving)).rejects.toMatchObject({
      code: 'OFFLOAD_CRASHED',
      message: expect.stringMatching(
        /^length\(\) of hostile.ts did not begin, because work that loopSoon\(\)/,
      ) as string,
    })
    expect(await hostile.length(new Uint8Array(5))).toBe(5)
  })

  test('by one huge list, or without end, fails within its limits while others go on', async () => {
    const { pool, functions } = items({ size: 2, memory: '64MB', timeout: '2m' })
    const looping = functions.$map('text', [1])
    const quick = offload<Items>(new URL('./modules/items.ts', import.meta.url), { pool }).$with({ timeout: '200ms' })
    const results = await Promise.allSettled([functions.devourList(), quick.loop(), looping, functions.innocent(300)])
    expect(results).toMatchObject([
      { reason: { code: 'OFFLOAD_MEMORY' } },
      {
        reason: {
          code: 'OFFLOAD_TIMEOUT',
          message: expect.stringMatching(/^loop\(\) of items.ts ran longer than its timeout of 200ms/) as string,
        },
      },
      { value: [{ value: '1,' }] },
      { value: 'innocent' },
    ])
    await expect.poll(() => pool.stats.running, { timeout: PATIENCE_MS, interval: 5 }).toBe(0)
    expect(pool.stats).toMatchObject({ size: 2, waiting: 0, failures: { memory: 1, timeout: 1 } })
    expect(await Promise.all([functions.text(1), functions.text(2)])).toEqual(['1,', '2,'])
  })
})

describe('a pool', () => {
  test('serves by priority, in turns by job, and keeps a job within its share', async () => {
    const { pool, functions } = items({ size: 2, share: 0.5 })
    const order: string[] = []
    const as = (jobId: string, call: () => Promise<string>): Promise<unknown> =>
      withRunSignal({ signal: new AbortController().signal, jobId }, async () => {
        await call()
        order.push(jobId)
      })
    const slow = (jobId: string): Promise<unknown> => as(jobId, () => functions.innocent(500))
    // Both threads have started, so that neither is late.
    await Promise.all([functions.innocent(50), functions.innocent(50)])
    const calls = [slow('a'), slow('a'), slow('a'), slow('b')]
    await expect.poll(() => pool.stats.running, { timeout: PATIENCE_MS, interval: 5 }).toBe(2)
    expect(pool.stats.waiting).toBe(2)
    await Promise.all(calls)
    expect(order.indexOf('b')).toBeLessThan(3)
    const one = items()
    const first = one.functions.innocent(20)
    const done: number[] = []
    const later = [0, 5, -1].map(async (priority) => {
      await one.functions.$with({ priority }).innocent(1)
      done.push(priority)
    })
    await Promise.all([first, ...later])
    expect(done).toEqual([5, 0, -1])
  })

  test('replaces a thread after its calls or its memory', async () => {
    const { pool, functions } = items({ recycle: { calls: 2 } })
    for (let call = 0; call < 5; call++) await functions.text(call)
    expect(pool.stats.recycled).toBe(2)
    const small = items({ recycle: { memory: '8MB' } })
    const hostile = offload<Hostile>(new URL('./modules/hostile.ts', import.meta.url), { pool: small.pool })
    expect(await hostile.length(new Uint8Array(16 * 2 ** 20))).toBe(16 * 2 ** 20)
    expect(small.pool.stats.recycled).toBe(1)
  })

  test('has a name that settings know, and one declaration', async () => {
    const pool = offloadPool({ name: 'test-parsers', size: 2, memory: '64MB' })
    opened.push(pool)
    expect(offloadPool({ name: 'test-parsers', size: 2, memory: '64MB' })).toBe(pool)
    expect(() => offloadPool({ name: 'test-parsers', size: 3 })).toThrow('it is declared with other options')
    expect(() => offloadPool({ name: 'default' })).toThrow('it is the default pool')
    overridePools({ 'test-parsers': { size: 5 }, 'test-later': { size: 6 } })
    expect(pool.stats.size).toBe(5)
    expect(offloadPool({ name: 'test-later' }).stats.size).toBe(6)
    overridePools({})
    expect(pool.stats.size).toBe(2)
  })
})
