import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { aCacheSpec, type CacheSpec } from '../../../src/crawl/cache/cache-spec.ts'
import { FileStore } from '../../../src/crawl/cache/file-store.ts'
import { createFetcher, type FetchOptions } from '../../../src/crawl/fetch/create-fetcher.ts'
import type { ReadyRequest } from '../../../src/crawl/request/request.ts'
import { requestFor, serve } from './fetching.ts'
import { LocalFleet } from './fleet.ts'

/** Loads with the cache of a folder, each time as another process would. */
function loaderWith(
  cache: CacheSpec,
  options: Partial<FetchOptions> = {},
): (request: ReadyRequest) => Promise<readonly [body: string, isCached: boolean]> {
  return async (request) => {
    const fetcher = createFetcher({ crawl: 'shop', limits: { private: true }, cache, ...options })
    const fleet = new LocalFleet()
    try {
      const { answer } = await fetcher.fetch(request, fleet.scope(fleet.item().fleet))
      return [Buffer.from(answer.bytes).toString(), answer.isCached]
    } finally {
      await fetcher.close()
    }
  }
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'piko-http-cache-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

describe('the cache of a crawl', () => {
  it('that is forced answers a second run without any request, until its time is over', async () => {
    const site = await serve((request) => `page ${request.count} of ${request.url}`)
    const load = loaderWith({ mode: 'force', folder: folder() })
    expect(await load(requestFor(site.url('/a?x=1')))).toEqual(['page 1 of /a?x=1', false])
    const before = site.requests.length
    expect(await load(requestFor(site.url('/a?x=1')))).toEqual(['page 1 of /a?x=1', true])
    expect(site.requests).toHaveLength(before)
    expect(await load(requestFor(site.url('/a?x=2')))).toEqual(['page 1 of /a?x=2', false])
    expect(await load(requestFor(site.url('/a?x=1'), { cache: { mode: 'off' } }))).toEqual(['page 2 of /a?x=1', false])
    const short = requestFor(site.url('/short'), { cache: { mode: 'force', ttlMs: 1 } })
    await load(short)
    await expect.poll(() => load(short)).toEqual(['page 2 of /short', false])
  })

  it('of HTTP keeps what the server allows, asks again with its tag, and tells variants apart', async () => {
    const site = await serve((request) => {
      const tag = '"v1"'
      if (request.path === '/tagged') {
        const headers = {
          etag: tag,
          'cache-control': 'max-age=0, must-revalidate',
          'last-modified': new Date(0).toUTCString(),
        }
        return request.headers['if-none-match'] === tag ? { status: 304, headers } : { body: 'tagged', headers }
      }
      const kinds: Record<string, string> = {
        '/fresh': 'max-age=3600',
        '/never': 'no-store',
        '/varied': 'max-age=3600',
      }
      const vary = request.path === '/varied' ? { vary: 'accept-language' } : undefined
      return {
        body: `${request.path} ${request.count}`,
        headers: { 'cache-control': kinds[request.path] ?? '', ...vary },
      }
    })
    const load = loaderWith({ mode: 'http', folder: folder() })
    const get = (path: string, language = 'it') =>
      load(requestFor(site.url(path), { headers: { 'accept-language': language } }))
    expect([await get('/fresh'), await get('/fresh')]).toEqual([
      ['/fresh 1', false],
      ['/fresh 1', true],
    ])
    expect([await get('/never'), await get('/never')]).toEqual([
      ['/never 1', false],
      ['/never 2', false],
    ])
    expect([await get('/varied'), await get('/varied', 'de')]).toEqual([
      ['/varied 1', false],
      ['/varied 2', false],
    ])
    expect([(await get('/tagged'))[0], (await get('/tagged'))[0]]).toEqual(['tagged', 'tagged'])
    expect(site.requests.filter(({ path }) => path === '/tagged').map(({ status }) => status)).toEqual([200, 304])
  })

  it('that is forced gives no crawl what another one has seen, nor what it has seen with a session', async () => {
    const site = await serve((request) => `${String(request.headers['x-token'] ?? 'nobody')} ${request.count}`)
    const cache: CacheSpec = { mode: 'force', folder: folder() }
    const session: FetchOptions['session'] = {
      size: 1,
      login: (_http, made) => made.send({ 'x-token': 'me' }, site.origin),
    }
    const load = async (options: Partial<FetchOptions>, parts: Partial<ReadyRequest> = {}): Promise<string> => {
      const [body, isCached] = await loaderWith(cache, { robots: false, ...options })(
        requestFor(site.url('/account'), parts),
      )
      return `${body}${isCached ? ', kept' : ''}`
    }
    expect(await load({ session })).toBe('me 1')
    expect(await load({ session })).toBe('me 1, kept')
    expect(await load({ session }, { session: null })).toBe('nobody 2')
    expect(await load({})).toBe('nobody 2, kept')
    expect(await load({ crawl: 'other', session })).toBe('me 3')
    expect(await load({ crawl: 'other' })).toBe('nobody 4')
  })

  it('that is forced passes on the session that has loaded a page', async () => {
    const site = await serve({ '/': 'page' })
    const fleet = new LocalFleet()
    const fetcher = createFetcher({
      ...{ crawl: 'shop', robots: false, limits: { private: true }, session: { size: 1 } },
      cache: { mode: 'force', folder: folder() },
    })
    onTestFinished(() => fetcher.close())
    const load = async () => {
      const item = fleet.item()
      const fetched = await fetcher.fetch(requestFor(site.url('/')), fleet.scope(item.fleet))
      item.end()
      return [fetched.session, fetched.answer.isCached]
    }
    expect([await load(), await load()]).toEqual([
      ['session-1', false],
      ['session-1', true],
    ])
  })

  it('is checked', () => {
    expect(aCacheSpec({ mode: 'http' })).toBeUndefined()
    expect(aCacheSpec({ mode: 'always', ttl: 5, store: {} })).toMatch(/mode .*; ttl .*; store /)
  })
})

describe('a folder of answers', () => {
  const ttl = { ttl: '3600000ms' } as const
  const kept = async (store: FileStore, key: string) => (await store.get(key))?.length

  it('counts an answer once, however often it is written, and drops what a crash has left', async () => {
    const path = folder()
    const old = new Date(Date.now() - 7_200_000)
    writeFileSync(join(path, 'half.tmp'), 'x')
    writeFileSync(join(path, 'over.response'), 'x')
    utimesSync(join(path, 'over.response'), old, old)
    const store = new FileStore(path, 2)
    for (let times = 0; times < 5; times++) await store.set('a', new Uint8Array(times), ttl)
    await store.set('b', new Uint8Array(7), ttl)
    await store.set('c', new Uint8Array(8), ttl)
    expect([await kept(store, 'a'), await kept(store, 'b'), await kept(store, 'c')]).toEqual([4, 7, undefined])
    await store.delete('a')
    await store.set('c', new Uint8Array(8), ttl)
    expect([await kept(store, 'a'), await kept(store, 'c')]).toEqual([undefined, 8])
    // Another process may still write the file that is not whole.
    expect(readdirSync(path).filter((name) => !/^[\da-f]{64}\.response$/.test(name))).toEqual(['half.tmp'])
  })

  it('that can’t be used fails those who use it, and nothing else', async () => {
    const store = new FileStore('/dev/null/answers')
    await new Promise((resolve) => setImmediate(resolve))
    await expect(store.get('a')).rejects.toThrow('/dev/null')
  })
})
