import { sql } from 'kysely'
import { expect, it, vi } from 'vitest'
import { z } from 'zod'
import type { Piko } from '../../src/app/piko.ts'
import {
  bytes,
  type CacheDefinition,
  type CacheSpec,
  defineCache,
  json,
  store as inStore,
} from '../../src/cache/index.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { CacheLevel } from '../../src/job/cached-value.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { CacheStore } from '../../src/store/cache/cache-store.ts'
import { eventually, Gate, recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected, thrown } from '../support/thrown.ts'

let spaces = 0
function aCache<V = string>(spec: Partial<CacheSpec<V>> = {}): CacheDefinition<V> {
  return defineCache<V>({ name: `cache-${++spaces}`, ttl: '1h', ...spec })
}

/** A loader that counts its calls, and ends when the gate opens. */
function aLoader(gate?: Gate) {
  const loader = {
    calls: 0,
    load: async (signal: AbortSignal): Promise<string> => {
      const call = ++loader.calls
      await gate?.pass(signal)
      return `value ${call}`
    },
  }
  return loader
}

/** A level that passes all calls on. */
function passing(level: CacheLevel): CacheLevel {
  return {
    read: (...args) => level.read(...args),
    versions: (...args) => level.versions(...args),
    write: (...args) => level.write(...args),
    touch: (...args) => level.touch(...args),
    claim: (...args) => level.claim(...args),
    release: (...args) => level.release(...args),
    clear: (...args) => level.clear(...args),
    close: () => level.close(),
  }
}

describeEachStore((store) => {
  const node = (jobs: Parameters<typeof startApp>[1] = []) => startApp(store.options, jobs)

  it('a thousand concurrent requests of a process share one load, and those of two nodes one load of the fleet', async () => {
    const [one, two] = [await node(), await node()]
    const all = (
      apps: readonly Piko[],
      cache: CacheDefinition<string>,
      load: (signal: AbortSignal) => Promise<string>,
    ) => Promise.all(apps.flatMap((app) => Array.from({ length: 1_000 }, () => app.cache(cache).fetch('key', load))))

    const here = aLoader()
    expect(new Set(await all([one], aCache({ l2: inStore() }), here.load))).toEqual(new Set(['value 1']))
    expect(here.calls).toBe(1)

    const gate = new Gate()
    const fleet = aLoader(gate)
    const answers = all([one, two], aCache({ l2: inStore(), flight: 'fleet' }), fleet.load)
    await eventually(() => expect(fleet.calls).toBe(1))
    gate.open()
    expect(new Set(await answers)).toEqual(new Set(['value 1']))
    expect(fleet.calls).toBe(1)
  })

  it('a value is read by other nodes, changed by version, kept for its time and counted', async () => {
    const [one, two] = [await node(), await node()]
    const rates = aCache<number>({ l2: inStore(), codec: json(z.number()) })
    const [here, there] = [one.cache(rates), two.cache(rates)]
    const first = await here.set('eur', 1)
    expect(await there.get('eur')).toBe(1)
    expect(await there.set('eur', 2, { ifAbsent: true })).toBeUndefined()
    expect(await there.set('eur', 2, { ifVersion: (first ?? 0) + 1 })).toBeUndefined()
    const second = await there.set('eur', 2, { ifVersion: first ?? 0 })
    expect(await there.entry('eur')).toMatchObject({ value: 2, version: second, isStale: false })
    expect(await here.set('usd', 3, { ifAbsent: true, ttl: '2h' })).toEqual(expect.any(Number))
    expect(await there.getMany(['usd', 'none', 'eur'])).toEqual(
      new Map([
        ['usd', 3],
        ['eur', 2],
      ]),
    )
    expect((await there.entry('usd'))?.leftMs).toBeGreaterThan(3_600_000)
    expect([await there.expire('usd', '1m'), await there.expire('none', '1m')]).toEqual([true, false])
    expect((await there.entry('usd'))?.leftMs).toBeLessThanOrEqual(60_000)

    await Promise.all([here, there].flatMap((cache) => Array.from({ length: 10 }, () => cache.increment('hits', 2))))
    expect(await here.increment('hits', 0)).toBe(40)

    for (const key of ['eu:1', 'eu:2', 'us:1']) await here.set(key, 1)
    expect(await here.clear({ prefix: 'eu:' })).toBe(2)
    expect([await here.get('eu:1'), await here.get('us:1')]).toEqual([undefined, 1])
    expect([await here.delete('eur'), await here.delete('eur'), await here.get('eur')]).toEqual([
      true,
      false,
      undefined,
    ])
    expect((await one.cache.list({ after: rates.name })).map(({ name }) => name)).not.toContain(rates.name)
    expect(await one.cache.list()).toContainEqual(
      expect.objectContaining({ name: rates.name, entries: 3, stale: 0, bytes: 4, other: 1 }),
    )
    expect(await one.cache.stats(rates.name)).toMatchObject({ stored: { entries: 3 }, here: { name: rates.name } })
    expect(await one.cache.clear(rates.name)).toBe(3)
    expect(await one.cache.list()).not.toContainEqual(expect.objectContaining({ name: rates.name }))
  })

  it('an expired value is answered while one load refreshes it, and clean-up deletes what is gone', async () => {
    const database = await store.open()
    const app = await node()
    const cache = app.cache(aCache({ l2: inStore(), ttl: '1h', stale: '1h', l1: { ttl: '1ms' } }))
    await cache.set('key', 'old')
    await sql`UPDATE piko_cache SET stale_at = ${database.dialect.nowPlus(-1)} WHERE space = ${cache.name}`.execute(
      database.db,
    )
    const gate = new Gate()
    const loader = aLoader(gate)
    await eventually(async () => expect((await cache.entry('key'))?.isStale).toBe(true))
    const answers = await Promise.all(Array.from({ length: 20 }, () => cache.fetch('key', loader.load)))
    expect(new Set(answers)).toEqual(new Set(['old']))
    gate.open()
    await eventually(async () => expect(await cache.fetch('key', loader.load)).toBe('value 1'))
    expect(loader.calls).toBe(1)

    await sql`UPDATE piko_cache SET expires_at = ${database.dialect.nowPlus(-1)} WHERE space = ${cache.name}`.execute(
      database.db,
    )
    await eventually(async () => expect(await cache.get('key')).toBeUndefined())
    expect(await new CacheStore(database).prune()).toBe(false)
    expect((await app.cache.stats(cache.name)).stored).toMatchObject({ entries: 0, other: 0 })
  })

  it('a value that has expired does not return while the fleet loads it again, and its row stays until then', async () => {
    const database = await store.open()
    const level = new CacheStore(database)
    const cache = (await node()).cache(aCache({ l2: inStore(), flight: 'fleet', l1: { ttl: '1ms' } }))
    await level.write(cache.name, 'key', { bytes: json().encode('old'), version: 1, freshMs: 1, leftMs: 1 })
    await eventually(async () => expect(await cache.get('key')).toBeUndefined())
    const gate = new Gate()
    const loader = aLoader(gate)
    const answer = cache.fetch('key', loader.load)
    await eventually(() => expect(loader.calls).toBe(1))
    expect(await cache.get('key')).toBeUndefined()
    await level.prune()
    expect((await level.versions(cache.name, ['key'])).has('key')).toBe(true)
    gate.open()
    expect([await answer, await cache.get('key')]).toEqual(['value 1', 'value 1'])
  })

  it('a deletion between the read of a value and its use here wins, in this process and in another', async () => {
    const level = new CacheStore(await store.open())
    const hook: { afterRead?: () => Promise<unknown> } = {}
    const faulty: CacheLevel = {
      ...passing(level),
      read: async (...args) => {
        const found = await level.read(...args)
        const { afterRead } = hook
        delete hook.afterRead
        await afterRead?.()
        return found
      },
    }
    const parts = { clock: new ManualClock(), degraded: () => {}, recovered: () => {} }
    const definition = aCache({ l2: inStore() })
    const [here, there] = [definition.open({ ...parts, store: faulty }), definition.open({ ...parts, store: level })]
    for (const other of [here, there]) {
      await there.set('key', 'old')
      hook.afterRead = () => other.delete('key')
      await here.get('key')
      expect(await here.get('key')).toBeUndefined()

      // A load that began before the deletion does not bring the old value back.
      const begun = new Gate()
      const gate = new Gate()
      const loading = here.fetch('key', async () => {
        begun.open()
        await gate.pass()
        return 'old'
      })
      await begun.pass()
      await other.delete('key')
      gate.open()
      expect(await loading).toBe('old')
      expect(await here.get('key')).toBeUndefined()
      expect((await level.read(definition.name, ['key'])).get('key')?.bytes).toBeUndefined()
    }
  })

  it('a write that was answered too late does not bring back what was deleted after it', async () => {
    const level = new CacheStore(await store.open())
    const gate = new Gate()
    const landed: boolean[] = []
    let isLate = true
    const slow: CacheLevel = {
      ...passing(level),
      write: async (...args) => {
        if (!isLate) return level.write(...args)
        isLate = false
        await gate.pass()
        landed.push(await level.write(...args))
        return true
      },
    }
    const parts = { clock: new ManualClock(), degraded: () => {}, recovered: () => {} }
    const definition = aCache({ l2: inStore() })
    const [here, there] = [definition.open({ ...parts, store: slow }), definition.open({ ...parts, store: level })]
    await there.set('key', 'first')
    expect((await rejected(here.set('key', 'late'))).code).toBe('CACHE_UNAVAILABLE')
    expect(await there.delete('key')).toBe(true)
    gate.open()
    await eventually(() => expect(landed).toEqual([false]))
    expect(await there.get('key')).toBeUndefined()
    expect(await there.set('key', 'new')).toEqual(expect.any(Number))
  })

  it('sets an absent key although its expired entry is cleaned up meanwhile', async () => {
    const database = await store.open()
    const level = new CacheStore(database)
    let hasCleanedUp = false
    const cleaned: CacheLevel = {
      ...passing(level),
      read: async (...args) => {
        const found = await level.read(...args)
        if (!hasCleanedUp) await level.prune()
        hasCleanedUp = true
        return found
      },
    }
    const parts = { clock: new ManualClock(), degraded: () => {}, recovered: () => {} }
    const cache = aCache({ l2: inStore() }).open({ ...parts, store: cleaned })
    await level.write(cache.name, 'key', { bytes: Buffer.from('x'), version: 5, freshMs: -10_000, leftMs: -10_000 })
    expect(await cache.set('key', 'new', { ifAbsent: true })).toEqual(expect.any(Number))
    expect(hasCleanedUp).toBe(true)
  })

  it('continues without its shared level, says so once, and refuses writes meanwhile', async () => {
    const app = await node()
    const cache = app.cache(aCache({ l2: inStore() }))
    const [degraded, recovered] = [recordEvents(app, 'cache.degraded'), recordEvents(app, 'cache.recovered')]
    const database = await store.open()
    await sql`ALTER TABLE piko_cache RENAME TO piko_cache_away`.execute(database.db)
    const loader = aLoader()
    expect(await cache.fetch('a', loader.load)).toBe('value 1')
    expect(await cache.fetch('a', loader.load)).toBe('value 1')
    expect(await cache.get('b')).toBeUndefined()
    expect(await rejected(cache.set('a', 'x'))).toMatchObject({ code: 'CACHE_UNAVAILABLE' })
    expect(await rejected(cache.delete('a'))).toMatchObject({ code: 'CACHE_UNAVAILABLE' })
    expect([degraded.length, cache.stats().isDegraded]).toEqual([1, true])
    await sql`ALTER TABLE piko_cache_away RENAME TO piko_cache`.execute(database.db)
    await eventually(async () => expect(await cache.set('a', 'back')).toEqual(expect.any(Number)))
    expect([degraded.length, recovered.length, cache.stats().isDegraded]).toEqual([1, 1, false])
  })

  it('a handler fetches, and its wait ends with the run', async () => {
    const cache = aCache({ l2: inStore() })
    const job = defineJob({ id: 'fetching', timeout: '300ms' }, async (ctx) => {
      const never = ctx.cache(cache).fetch('never', () => new Promise<string>(() => {}))
      return [await ctx.cache(cache).fetch('key', () => 'known'), await never]
    })
    const app = await node(job)
    expect((await rejected(app.run(job, { wait: true }))).message).toContain('took longer than its timeout')
    expect(await app.cache(cache).get('key')).toBe('known')
  })
})

it('a long call of many steps may take long, but none of its steps', async () => {
  vi.useFakeTimers()
  try {
    let steps = 0
    const level = (stepMs: number) =>
      ({
        clear: async (_space: string, _prefix: string, step: () => void = () => {}) => {
          for (let left = 5; left > 0; left--) {
            await vi.advanceTimersByTimeAsync(stepMs)
            step()
            steps += 1
          }
          return 5
        },
        close: async () => {},
      }) as unknown as CacheLevel
    const parts = { clock: new ManualClock(), degraded: () => {}, recovered: () => {} }
    const open = (stepMs: number) => aCache({ l2: inStore() }).open({ ...parts, store: level(stepMs) })
    expect(await open(4_000).clear()).toBe(5)
    expect(steps).toBe(5)
    expect((await rejected(open(6_000).clear())).code).toBe('CACHE_UNAVAILABLE')
    await vi.runAllTimersAsync()
    // The rest does not go on unseen.
    expect(steps).toBe(5)
  } finally {
    vi.useRealTimers()
  }
})

it('an error reaches everyone who waits, is kept only if asked, and the load ends when nobody waits', async () => {
  const failing = () => {
    let calls = 0
    return { load: () => Promise.reject(new Error(`broken ${++calls}`)), count: () => calls }
  }
  const { load, count } = failing()
  const cache = aCache().open()
  const errors = await Promise.all(
    Array.from({ length: 1_000 }, () => cache.fetch('key', load).catch((error: unknown) => (error as Error).message)),
  )
  expect([new Set(errors), count()]).toEqual([new Set(['broken 1']), 1])
  await expect(cache.fetch('key', load)).rejects.toThrow('broken 2')
  expect(await cache.fetch('key', () => 'fine')).toBe('fine')

  const clock = new ManualClock()
  const reach = { clock, store: undefined as never, degraded: () => {}, recovered: () => {} }
  const negative = aCache({ negative: '5s' }).open(reach)
  const again = failing()
  await expect(negative.fetch('key', again.load)).rejects.toThrow('broken 1')
  await expect(negative.fetch('key', again.load)).rejects.toThrow('broken 1')
  clock.advance(5_000)
  await expect(negative.fetch('key', again.load)).rejects.toThrow('broken 2')

  const left = new AbortController()
  const aborted = Promise.withResolvers<void>()
  const begun = new Gate()
  const slow = (own: AbortSignal) => {
    begun.open()
    return new Promise<string>(() => own.addEventListener('abort', () => aborted.resolve()))
  }
  const waits = [1, 2].map(() => cache.fetch('slow', slow, { signal: left.signal }))
  await begun.pass()
  left.abort(new Error('left'))
  for (const one of waits) await expect(one).rejects.toThrow('left')
  await aborted.promise
  expect(await cache.fetch('slow', () => 'next')).toBe('next')
})

it('without a shared level keeps the most used values for their time, and copies what it keeps', async () => {
  const clock = new ManualClock()
  const reach = { clock, store: undefined as never, degraded: () => {}, recovered: () => {} }
  const cache = aCache<{ n: number }>({ ttl: '10s', stale: '5s', l1: { max: 100 } }).open(reach)
  for (let n = 0; n < 1_000; n++) await cache.set(`key ${n}`, { n })
  expect(cache.stats()).toMatchObject({ l1Size: 100 })
  const own = { n: 7 }
  await cache.set('own', own)
  own.n = 8
  const kept = await cache.get('own')
  expect([kept, Object.isFrozen(kept)]).toEqual([{ n: 7 }, true])
  clock.advance(12_000)
  expect(await cache.entry('own')).toMatchObject({ isStale: true, leftMs: 3_000 })
  expect(await cache.fetch('own', () => ({ n: 9 }))).toEqual({ n: 7 })
  await eventually(async () => expect(await cache.get('own')).toEqual({ n: 9 }))
  clock.advance(15_000)
  expect(await cache.get('own')).toBeUndefined()
  expect(await cache.increment('n', 1)).toBe(1)
  expect([await cache.increment('n', 2), await cache.delete('n'), await cache.clear()]).toEqual([3, true, 0])
  const bodies = aCache<Uint8Array>({ codec: bytes() }).open()
  expect(await bodies.fetch('a', () => new TextEncoder().encode('body'))).toEqual(new TextEncoder().encode('body'))
})

it('names every problem of a definition, a key and a value', async () => {
  const wrong = thrown(() =>
    defineCache({ name: 'a b', ttl: '1x', flight: 'fleet', l1: { mx: 1 }, stael: '1s' } as never),
  )
  expect(wrong.code).toBe('CACHE_INVALID')
  for (const part of ['name is "a b"', 'ttl is "1x"', 'did you mean "max"', 'did you mean "stale"', 'needs l2'])
    expect(wrong.message).toContain(part)
  const cache = aCache<unknown>().open()
  expect(await rejected(cache.get(''))).toMatchObject({ code: 'CACHE_INVALID' })
  expect(await rejected(cache.set('x'.repeat(513), 1))).toMatchObject({ code: 'CACHE_INVALID' })
  expect((await rejected(cache.set('a', { n: NaN }))).message).toMatch(
    /the value of "a" can't be stored: TypeError: value\.n is NaN/,
  )
  expect((await rejected(cache.set('a', 'x'.repeat(1_000_001)))).message).toMatch(/at most 1000000 are kept/)
  expect((await rejected(cache.fetch('a', () => undefined))).message).toContain('value is undefined')
  expect(await cache.fetch('large', () => 'x'.repeat(1_000_001))).toHaveLength(1_000_001)
  expect([await cache.get('large'), cache.stats().refused]).toEqual([undefined, 1])
  await cache.set('text', 'x')
  expect((await rejected(cache.increment('text'))).message).toContain('only a number can be incremented')
  expect(await rejected(cache.fetch('a', 3 as never))).toMatchObject({ code: 'USAGE' })
  expect(await rejected(cache.set('a', 1, { tll: '1s' } as never))).toMatchObject({ code: 'USAGE' })
  await cache.close()
  expect(await rejected(cache.get('a'))).toMatchObject({ code: 'STOPPED' })
})
