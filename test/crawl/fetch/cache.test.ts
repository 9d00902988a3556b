import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { aCacheSpec, type CacheSpec } from '../../../src/crawl/cache/cache-spec.ts'
import { createFetcher } from '../../../src/crawl/fetch/create-fetcher.ts'
import type { ReadyRequest } from '../../../src/crawl/request/request.ts'
import { requestFor, serve } from './fetching.ts'
import { LocalFleet } from './fleet.ts'

/** Loads with the cache of a folder, each time as another process would. */
function loaderWith(cache: CacheSpec): (request: ReadyRequest) => Promise<readonly [body: string, isCached: boolean]> {
  return async (request) => {
    const fetcher = createFetcher({ crawl: 'shop', limits: { private: true }, cache })
    onTestFinished(() => fetcher.close())
    const fleet = new LocalFleet()
    const { answer } = await fetcher.fetch(request, fleet.scope(fleet.item().fleet))
    return [Buffer.from(answer.bytes).toString(), answer.isCached]
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

  it('is checked', () => {
    expect(aCacheSpec({ mode: 'http' })).toBeUndefined()
    expect(aCacheSpec({ mode: 'always', ttl: 5, store: {} })).toMatch(/mode .*; ttl .*; store /)
  })
})
