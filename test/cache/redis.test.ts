import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CacheDefinition, defineCache, json, redis } from '../../src/cache/index.ts'
import { z } from 'zod'
import { eventually, Gate, recordEvents, startApp } from '../support/app.ts'
import { createSqliteFile } from '../support/databases.ts'
import { RedisServer } from '../support/redis-server.ts'
import { thrown } from '../support/thrown.ts'

describe('a cache in Redis', () => {
  let server: RedisServer
  let store: ReturnType<typeof createSqliteFile>
  let spaces = 0

  beforeAll(async () => {
    server = await RedisServer.start()
    store = createSqliteFile()
  })

  afterAll(async () => {
    await server.stop()
    store.remove()
  })

  const aCache = (flight: 'process' | 'fleet' = 'process', stale: '0s' | '1h' = '0s'): CacheDefinition<number> =>
    defineCache({ name: `redis-${++spaces}`, ttl: '1h', stale, l2: redis(server.url), flight, codec: json(z.number()) })

  it('is shared, changed by version, cleared by prefix and loaded once by all', async () => {
    const definition = aCache('fleet')
    const [here, there] = [definition.open(), definition.open()]
    const first = await here.set('a', 1)
    expect(await there.entry('a')).toMatchObject({ value: 1, version: first, isStale: false })
    expect(await there.set('a', 2, { ifAbsent: true })).toBeUndefined()
    expect(await there.set('a', 2, { ifVersion: first ?? 0 })).toEqual(expect.any(Number))
    await Promise.all([here, there].flatMap((cache) => Array.from({ length: 5 }, () => cache.increment('n'))))
    expect([await here.increment('n', 0), await there.expire('n', '1m'), await there.expire('none', '1m')]).toEqual([
      ...[10, true, false],
    ])
    expect((await there.entry('n'))?.leftMs).toBeLessThanOrEqual(60_000)
    for (const key of ['x*1', 'x*2', 'xy']) await here.set(key, 1)
    expect(await here.clear({ prefix: 'x*' })).toBe(2)
    expect(await there.getMany(['x*1', 'xy', 'a'])).toEqual(
      new Map([
        ['xy', 1],
        ['a', 2],
      ]),
    )
    expect([await here.delete('a'), await here.delete('a'), await here.get('a')]).toEqual([true, false, undefined])

    const names = [undefined, 'eu', 'us'].map((namespace) =>
      redis(server.url, namespace === undefined ? {} : { namespace }),
    )
    const apart = names.map((l2) => defineCache<string>({ name: 'apart', ttl: '1h', l1: false, l2 }).open())
    for (const [index, cache] of apart.entries()) await cache.set('eu|key', `of ${index}`)
    expect(await apart[1]?.clear({ prefix: 'eu' })).toBe(1)
    expect(await Promise.all(apart.map((cache) => cache.get('eu|key')))).toEqual(['of 0', undefined, 'of 2'])
    await Promise.all(apart.map((cache) => cache.close()))
    expect(thrown(() => redis(server.url, { namespace: 'a:b' })).message).toContain('namespace is "a:b"')

    const gate = new Gate()
    let loads = 0
    const load = async () => {
      loads += 1
      await gate.pass()
      return 7
    }
    const answers = Promise.all(
      [here, there].flatMap((cache) => [cache.fetch('load', load), cache.fetch('load', load)]),
    )
    await eventually(() => expect(loads).toBe(1))
    gate.open()
    expect([await answers, loads]).toEqual([[7, 7, 7, 7], 1])
    await Promise.all([here.close(), there.close()])
  })

  it('shares no key with a cache whose name begins with its name', async () => {
    const named = (name: string) =>
      defineCache({ name, ttl: '1h', l2: redis(server.url), codec: json(z.number()) }).open()
    const [outer, inner] = [named('rates'), named('rates:eur')]
    await inner.set('usd', 1)
    expect([await outer.get('eur:usd'), await outer.clear(), await inner.get('usd')]).toEqual([undefined, 0, 1])
    await Promise.all([outer.close(), inner.close()])
  })

  it('continues when the server is killed, and uses it again after its restart', async () => {
    const app = await startApp({ sqlitePath: store.path }, [])
    const [degraded, recovered] = [recordEvents(app, 'cache.degraded'), recordEvents(app, 'cache.recovered')]
    const cache = app.cache(aCache())
    expect(await cache.fetch('before', () => 1)).toBe(1)
    await server.kill()
    expect(await cache.fetch('before', () => 2)).toBe(1)
    for (const key of ['a', 'b', 'c']) expect(await cache.fetch(key, () => 3)).toBe(3)
    expect(await cache.fetch('a', () => 4)).toBe(3)
    expect([degraded.length, cache.stats().isDegraded]).toEqual([1, true])
    await server.launch()
    await eventually(async () => expect(await cache.set('after', 5)).toEqual(expect.any(Number)))
    expect(recovered).toHaveLength(1)
    await app.stop()
  })

  it('a deletion wins over a load of another process', async () => {
    const definition = aCache()
    const [here, there] = [definition.open(), definition.open()]
    const [begun, gate] = [new Gate(), new Gate()]
    const loading = here.fetch('key', async () => {
      begun.open()
      await gate.pass()
      return 1
    })
    await begun.pass()
    await there.delete('key')
    gate.open()
    expect([await loading, await here.get('key'), await there.get('key')]).toEqual([1, undefined, undefined])
    await Promise.all([here.close(), there.close()])
  })

  it('names a wrong server without its secret', () => {
    const wrong = thrown(() => redis('mysql://u:s3cret@h'))
    expect(wrong.message).toContain('expected redis://')
    expect(wrong.message).not.toContain('s3cret')
  })
})
