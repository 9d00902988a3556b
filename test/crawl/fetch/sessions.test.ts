import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { CrawlError } from '../../../src/crawl/crawl-error.ts'
import { createFetcher, type FetchOptions } from '../../../src/crawl/fetch/create-fetcher.ts'
import { fetchProblems } from '../../../src/crawl/fetch/fetch-spec.ts'
import type { Fetcher } from '../../../src/crawl/fetcher.ts'
import { chosen, NEW_SCORE, type ProxyScore, scored } from '../../../src/crawl/proxies/proxy-score.ts'
import { PikoError } from '../../../src/errors.ts'
import { Gate } from '../../support/app.ts'
import { rejected } from '../../support/thrown.ts'
import { requestFor, serve } from './fetching.ts'
import { LocalFleet } from './fleet.ts'

function fetcherWith(options: Partial<FetchOptions>): Fetcher {
  const made = createFetcher({ crawl: 'shop', robots: false, limits: { private: true }, ...options })
  onTestFinished(() => made.close())
  return made
}

/** Loads a page as an item does; resolves to its status or the class of its failure. */
async function load(
  fetcher: Fetcher,
  fleet: LocalFleet,
  url: string,
  session?: string | null,
): Promise<number | string> {
  const item = fleet.item()
  try {
    const request = requestFor(url, session === undefined ? {} : { session })
    const fetched = await fetcher.fetch(request, fleet.scope(item.fleet))
    await fetched.release('done')
    return fetched.answer.status
  } catch (error) {
    return (error as CrawlError).class
  } finally {
    item.end()
  }
}

describe('sessions', () => {
  it('log in once each, keep their cookies and headers, and retire after a 403', async () => {
    const site = await serve((request) => {
      if (request.path === '/token') return { body: { token: 't1' }, login: true }
      if (request.path === '/count') {
        const seen = Number(/seen=(\d+)/.exec(request.headers.cookie ?? '')?.[1] ?? 0)
        return { body: `${seen}`, login: true, headers: { 'set-cookie': `seen=${seen + 1}; Path=/` } }
      }
      return { body: request.headers.authorization ?? 'none', login: true }
    })
    const fleet = new LocalFleet()
    const session: FetchOptions['session'] = {
      size: 2,
      login: async (http, made) => {
        await http.post(site.url('/login'), { form: { user: 'a', password: 'secret' } })
        const { token } = (await http.get(site.url('/token'))).json() as { token: string }
        made.send({ Authorization: `Bearer ${token}` })
      },
    }
    const nodes = [fetcherWith({ session }), fetcherWith({ session })] as const
    const ends = await Promise.all(nodes.map((node) => load(node, fleet, site.url('/count'))))
    expect(ends).toEqual([200, 200])
    for (let count = 0; count < 10; count++) await load(nodes[count % 2 === 0 ? 0 : 1], fleet, site.url('/count'))
    expect(site.logins).toBe(2)
    expect(site.requests.filter(({ path }) => path === '/count').map(({ headers }) => headers.authorization)).toEqual(
      Array.from({ length: 12 }, () => 'Bearer t1'),
    )
    // A jar counts on, whichever node uses it.
    const seen = site.requests
      .filter(({ path }) => path === '/count')
      .map(({ headers }) => /seen=(\d+)/.exec(headers.cookie ?? '')?.[1])
    expect(seen.at(-1)).toBe('10')
    site.endSessions()
    expect(await load(nodes[0], fleet, site.url('/count'))).toBe('blocked')
    expect(await load(nodes[0], fleet, site.url('/count'))).toBe('blocked')
    expect(await load(nodes[0], fleet, site.url('/count'))).toBe(200)
    expect(site.logins).toBe(3)
    expect([...fleet.states.values()].map(({ isRetired }) => isRetired)).toEqual([true, true, false])
  })

  it('retire when a site has given them more cookies than it accepts', async () => {
    const cookies = Array.from({ length: 5 }, (_, n) => `c${n}=${'x'.repeat(4_000)}`)
    const site = await serve({
      '/': { respond: (_request, response) => void response.writeHead(200, { 'set-cookie': cookies }).end() },
    })
    const fleet = new LocalFleet()
    const fetcher = fetcherWith({ session: { size: 1 } })
    const ends: unknown[] = []
    for (let count = 0; count < 3; count++) ends.push(await load(fetcher, fleet, site.url('/')))
    expect([ends, fleet.created]).toEqual([[200, 'blocked', 200], 2])
    expect(await load(fetcher, fleet, site.url('/'), null)).toBe(200)
  })

  it('send their cookies and headers to no other host, and none without a session', async () => {
    const other = await serve({ '/': 'other' })
    const site = await serve({
      '/': { body: 'x', headers: { 'set-cookie': 'a=b' } },
      '/away': { redirect: other.url('/') },
    })
    const fleet = new LocalFleet()
    const fetcher = fetcherWith({
      session: { size: 1, login: (_http, made) => made.send({ 'x-token': 't' }, site.origin) },
    })
    const otherHost = other.url('/').replace('127.0.0.1', 'localhost')
    await load(fetcher, fleet, site.url('/'))
    await load(fetcher, fleet, site.url('/away'))
    await load(fetcher, fleet, otherHost)
    await load(fetcher, fleet, site.url('/'), null)
    expect(site.requests.map(({ headers }) => [headers.cookie, headers['x-token']])).toEqual([
      [undefined, 't'],
      ['a=b', 't'],
      [undefined, undefined],
    ])
    expect(other.requests.map(({ headers }) => headers['x-token'])).toEqual([undefined, undefined])
    expect(other.requests[1]?.headers.cookie).toBeUndefined()
  })

  it('retire after their uses and errors, and a failed login fails the item alone', async () => {
    const site = await serve((request) => (request.path === '/500' ? { status: 500 } : 'page'))
    const fleet = new LocalFleet()
    const used = fetcherWith({ session: { size: 1, retireAfter: { uses: 3, errors: 2 } } })
    for (let count = 0; count < 7; count++) expect(await load(used, fleet, site.url('/'))).toBe(200)
    expect(fleet.created).toBe(3)
    for (let count = 0; count < 2; count++) expect(await load(used, fleet, site.url('/500'))).toBe('server')
    await load(used, fleet, site.url('/'))
    expect(fleet.created).toBe(4)
    const failing = fetcherWith({
      session: {
        login: () => {
          throw new Error('no account')
        },
      },
    })
    const failure = await rejected(failing.fetch(requestFor(site.url('/')), fleet.scope(new LocalFleet().item().fleet)))
    expect([failure.message, (failure as CrawlError).class]).toEqual([
      'the login of session "session-1" failed: Error: no account',
      'blocked',
    ])
  })
})

/** A forwarding proxy that fails, or answers with a status of its own, as often as it is told to. */
async function proxyServer(
  fails: () => boolean | number,
): Promise<{ readonly url: string; readonly count: () => number; readonly authorized: Set<string | undefined> }> {
  let count = 0
  const authorized = new Set<string | undefined>()
  const server = createServer((request, response) => {
    count += 1
    authorized.add(request.headers['proxy-authorization'])
    const failure = fails()
    if (typeof failure === 'number') return void response.writeHead(failure).end()
    if (failure) return void response.socket?.destroy()
    const { 'proxy-authorization': _own, ...headers } = request.headers
    const onward = httpRequest(request.url ?? '', { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://user:geheim@127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: () => count,
    authorized,
  }
}

describe('proxies', () => {
  it('that work get the requests, and no error, score or row shows a password', async () => {
    const site = await serve(() => 'page')
    const dead = 'http://user:geheim@127.0.0.1:9'
    const good = await proxyServer(() => false)
    let turn = 0
    const flaky = await proxyServer(() => turn++ % 10 < 3)
    const fleet = new LocalFleet()
    const fetcher = fetcherWith({ proxies: { urls: [dead, flaky.url, good.url] } })
    const shown: string[] = []
    let before = 0
    for (let count = 0; count < 400; count++) {
      if (count === 200) before = good.count()
      for (let tries = 0; tries < 8; tries++) {
        const item = fleet.item()
        const end = await fetcher
          .fetch(requestFor(site.url(`/${count}`)), fleet.scope(item.fleet))
          .catch((error: unknown) => error as CrawlError)
        item.end()
        if (end instanceof Error) shown.push(JSON.stringify([end.message, end.stack, end.details, String(end.cause)]))
        else {
          await end.release('done')
          break
        }
        // The two bad proxies are banned after three failures each.
        expect(tries).toBeLessThan(6)
      }
    }
    expect((good.count() - before) / 200).toBeGreaterThan(0.85)
    expect(new Set(site.requests.map(({ path }) => path)).size).toBe(400)
    expect(good.authorized).toEqual(new Set([`Basic ${Buffer.from('user:geheim').toString('base64')}`]))
    expect(site.requests.some(({ headers }) => 'proxy-authorization' in headers)).toBe(false)
    expect(shown.length).toBeGreaterThan(0)
    expect(JSON.stringify([shown, fleet.scored, fleet.notes])).not.toContain('geheim')
  })

  it('of a provider are asked for again, and a higher tier serves a host that blocks', async () => {
    const site = await serve((request) => ({ status: request.headers['via-good'] === undefined ? 200 : 200 }))
    const cheap = await proxyServer(() => false)
    const dear = await proxyServer(() => false)
    const provided = fetcherWith({ proxies: { provider: async () => [cheap.url, 'nonsense'] } })
    const fleet = new LocalFleet()
    expect(await load(provided, fleet, site.url('/'))).toBe(200)
    expect(cheap.count()).toBe(1)
    const none = fetcherWith({
      proxies: {
        provider: () => {
          throw new Error('http://user:geheim@x')
        },
      },
    })
    const failure = await rejected(none.fetch(requestFor(site.url('/')), fleet.scope(fleet.item().fleet)))
    expect([(failure as CrawlError).class, failure.message.includes('geheim')]).toEqual(['network', false])
    const blocking = await serve(() => ({ status: 403 }))
    const tiered = fetcherWith({ proxies: { tiers: [[cheap.url], [dear.url]] } })
    for (let count = 0; count < 4; count++) await load(tiered, fleet, blocking.url('/'))
    expect([cheap.count(), dear.count()]).toEqual([4, 1])
  })

  it('that a host has blocked are not used for a retry, with a new session or with the same one', async () => {
    const site = await serve({ '/': 'page' })
    const good = await proxyServer(() => false)
    const blocked = await proxyServer(() => 403)
    const pool = { urls: [blocked.url, good.url], ban: { errors: 100 } }
    const endsOf = async (options: Partial<FetchOptions>, pages = 12) => {
      const fetcher = fetcherWith({ proxies: pool, ...options })
      const fleet = new LocalFleet()
      const ends: unknown[] = []
      for (let page = 0; page < pages; page++) {
        for (const failures of [{}, { blocked: 1 }]) {
          const item = fleet.item()
          const request = requestFor(site.url('/'), { session: 'session-1' })
          const end = await fetcher.fetch(request, fleet.scope(item.fleet, { failures })).then(
            async (fetched) => (await fetched.release('done'), 'done'),
            (error: CrawlError) => error.class,
          )
          item.end()
          ends.push(end)
          if (end === 'done') break
        }
      }
      return { ends, created: fleet.created }
    }
    const twice = /blocked blocked/
    expect((await endsOf({})).ends.join(' ')).not.toMatch(twice)
    const same = await endsOf({ session: { size: 1, retireAfter: { errors: 100 } }, fresh: new Set(['proxy']) })
    expect([same.created, twice.test(same.ends.join(' '))]).toEqual([1, false])
    const other = await endsOf({ session: { size: 1 }, fresh: new Set(['session', 'proxy']) })
    expect(twice.test(other.ends.join(' '))).toBe(false)
    // The session and its proxy stay, so the host blocks each page again.
    const kept = await endsOf({
      session: { size: 1, retireAfter: { errors: 100 } },
      proxies: { urls: [blocked.url] },
      fresh: new Set(),
    })
    expect([kept.created, new Set(kept.ends)]).toEqual([1, new Set(['blocked'])])
  })

  it('are asked of a provider once for all who wait, whoever of them leaves, and not again at once after a failure', async () => {
    const site = await serve({ '/': 'page' })
    const good = await proxyServer(() => false)
    const gate = new Gate()
    let calls = 0
    const slow = fetcherWith({
      proxies: {
        provider: async (signal) => {
          calls += 1
          await gate.pass(signal)
          return [good.url]
        },
      },
    })
    const fleet = new LocalFleet()
    const fetched = (signal: AbortSignal) =>
      slow.fetch(requestFor(site.url('/')), fleet.scope(fleet.item().fleet, { signal }))
    const first = new AbortController()
    const leaving = fetched(first.signal)
    const staying = fetched(new AbortController().signal)
    await expect.poll(() => calls).toBe(1)
    first.abort(new Error('the item was cancelled'))
    await expect(leaving).rejects.toThrow('the item was cancelled')
    gate.open()
    expect((await staying).answer.status).toBe(200)
    expect(calls).toBe(1)

    let failed = 0
    const failing = fetcherWith({
      proxies: {
        provider: () => {
          failed += 1
          throw new Error('no proxies today')
        },
      },
    })
    for (let tries = 0; tries < 3; tries++) {
      const failure = await rejected(failing.fetch(requestFor(site.url('/')), fleet.scope(fleet.item().fleet)))
      expect([(failure as CrawlError).class, failure.message]).toEqual([
        'network',
        expect.stringContaining('no proxies today'),
      ])
    }
    expect(failed).toBe(1)
  })

  it('that fail are not taken for a host that fails, unless others fail there too, and its robots.txt is read by another', async () => {
    const site = await serve({ '/': 'page' })
    const good = await proxyServer(() => false)
    const dead = ['http://127.0.0.1:9', 'http://127.0.0.1:11']
    const failures = async (options: Partial<FetchOptions>): Promise<readonly (readonly [CrawlError, boolean])[]> => {
      const fetcher = fetcherWith(options)
      const fleet = new LocalFleet()
      const errors: [CrawlError, boolean][] = []
      for (let count = 0; count < 8; count++)
        await fetcher
          .fetch(requestFor(site.url('/')), fleet.scope(fleet.item().fleet))
          .then((fetched) => fetched.release('done'))
          .catch((error: unknown) => errors.push([error as CrawlError, fleet.isOfLane]))
      return errors
    }
    const ofHost = async (urls: string[]): Promise<boolean[]> =>
      (await failures({ proxies: { urls } })).map(([, isOfLane]) => isOfLane)
    expect(new Set(await ofHost([dead[0]!, good.url]))).not.toContain(true)
    expect((await ofHost(dead)).at(-1)).toBe(true)
    expect(new Set(await ofHost([dead[0]!]))).toEqual(new Set([true]))
    for (let count = 0; count < 6; count++) {
      const messages = (await failures({ robots: true, proxies: { urls: [...dead, good.url] } })).map(([error]) =>
        String(error),
      )
      expect(messages.filter((message) => message.includes('robots.txt'))).toEqual([])
    }
  })

  it('that a robots.txt has banned for its host, which has a port, load no page of it', async () => {
    const site = await serve({ '/': 'page' })
    const good = await proxyServer(() => false)
    const asked: string[] = []
    const bad = createServer(({ url, socket }) => {
      asked.push(url ?? '')
      socket.destroy()
    }).listen(0, '127.0.0.1')
    await once(bad, 'listening')
    onTestFinished(() => void bad.close())
    const urls = [`http://127.0.0.1:${(bad.address() as AddressInfo).port}`, good.url]
    let banned = 0
    for (let round = 0; round < 40 && banned < 10; round++) {
      const fetcher = fetcherWith({ robots: true, proxies: { urls, ban: { errors: 1 } } })
      const fleet = new LocalFleet()
      asked.length = 0
      for (let count = 0; count < 4; count++) {
        const loading = fetcher.fetch(requestFor(site.url('/')), fleet.scope(fleet.item().fleet))
        await loading.then((fetched) => fetched.release('done')).catch(() => {})
        // The other proxy was chosen for robots.txt.
        if (!asked[0]?.endsWith('/robots.txt')) break
      }
      if (asked[0]?.endsWith('/robots.txt')) banned += 1
      expect(asked.slice(1).filter((url) => url.endsWith('/'))).toEqual([])
    }
    expect(banned).toBe(10)
  })

  it('that never answer fail, and say nothing if the item was stopped', async () => {
    const hole = createTcpServer((client) => void client.on('error', () => {})).listen(0, '127.0.0.1')
    await once(hole, 'listening')
    onTestFinished(() => void hole.close())
    let open = 0
    hole.on('connection', () => (open += 1))
    const { port } = hole.address() as AddressInfo
    const fetcher = fetcherWith({ proxies: { urls: [`http://user:geheim@127.0.0.1:${port}`] } })
    const fleet = new LocalFleet()
    const ended = async (reason: Error, by: Fetcher): Promise<void> => {
      const before = open
      const stop = new AbortController()
      const fetching = by.fetch(
        requestFor('http://shop.test/'),
        fleet.scope(fleet.item().fleet, { signal: stop.signal }),
      )
      await expect.poll(() => open).toBeGreaterThan(before)
      stop.abort(reason)
      await expect(fetching).rejects.toBe(reason)
    }
    await ended(new PikoError('STOPPED', 'the node stops'), fetcher)
    expect(fleet.scored).toEqual([])
    await ended(new PikoError('RUN_TIMEOUT', 'the step took too long'), fetcher)
    expect([fleet.scored.map(({ ok }) => ok), fleet.isOfLane]).toEqual([[false], true])
    const two = fetcherWith({ proxies: { urls: [`http://127.0.0.1:${port}`, `http://user:geheim@127.0.0.1:${port}`] } })
    await ended(new PikoError('RUN_TIMEOUT', 'the step took too long'), two)
    expect(fleet.isOfLane).toBe(false)
  })

  it('are chosen by their success first, and share the work by their speed', () => {
    const after = (isOk: (n: number) => boolean, ms: number): ProxyScore =>
      Array.from({ length: 100 }, (_, n) => n).reduce((score, n) => scored(score, isOk(n), ms), NEW_SCORE)
    const scores = { good: after(() => true, 40), flaky: after((n) => n % 10 > 2, 20), slow: after(() => true, 2_000) }
    const share = (name: string, of: readonly (keyof typeof scores)[]): number =>
      Array.from({ length: 1_000 }, (_, n) => chosen(of, (one) => scores[one], n / 1_000)).filter((one) => one === name)
        .length / 1_000
    expect(share('good', ['good', 'flaky'])).toBeGreaterThan(0.85)
    expect(share('good', ['good', 'slow'])).toBeGreaterThan(0.9)
    expect(share('good', ['good', 'good'])).toBe(1)
    expect(chosen([], () => NEW_SCORE, 0.5)).toBeUndefined()
  })
})

describe('the parts of a spec', () => {
  it('are checked all at once, without showing a password', () => {
    const problems = fetchProblems({
      userAgent: '',
      robots: 'yes',
      session: { sise: 3, login: 1, retireAfter: { uses: 0 } },
      proxies: { urls: ['geheim'], tiers: [['http://user:geheim@a.test'], ['ftp://geheim']], ban: { errors: 0 } },
    })
    expect(problems).toHaveLength(8)
    expect(problems.join()).not.toContain('geheim')
    expect(
      fetchProblems({ userAgent: 'a', robots: true, session: {}, proxies: { urls: ['socks5://a.test:1080'] } }),
    ).toEqual([])
  })
})
