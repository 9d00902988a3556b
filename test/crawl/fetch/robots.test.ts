import { describe, expect, it, onTestFinished } from 'vitest'
import type { CrawlError } from '../../../src/crawl/crawl-error.ts'
import { createFetcher, type FetchOptions } from '../../../src/crawl/fetch/create-fetcher.ts'
import type { Fetcher } from '../../../src/crawl/fetcher.ts'
import { OutOfTurn } from '../../../src/crawl/robots/robots.ts'
import { productToken, RobotsRules } from '../../../src/crawl/robots/robots-rules.ts'
import { rejected } from '../../support/thrown.ts'
import { requestFor, serve } from './fetching.ts'
import { LocalFleet } from './fleet.ts'

const BOT = 'acme-bot/2.1 (+https://acme.test/bot)'

function fetcherWith(options: Partial<FetchOptions> = {}): Fetcher {
  const made = createFetcher({ crawl: 'shop', userAgent: BOT, limits: { private: true }, ...options })
  onTestFinished(() => made.close())
  return made
}

/** Fetches again if the page has to take a new place: on a slow machine it may have waited for robots.txt. */
async function inTurn<T>(fetch: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await fetch()
    } catch (thrown) {
      if (!(thrown instanceof OutOfTurn) || tries > 20) throw thrown
    }
  }
}

describe('the rules of a robots.txt', () => {
  it('are those for the crawler by its name, without regard to case and version', () => {
    for (const userAgent of [
      'acme-bot (+https://a.test/)',
      'acme-bot/1.0',
      'acme-bot',
      'Mozilla/5.0 (compatible; acme-bot/1.0; +https://a.test/)',
      'Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; acme-bot/1.0) Chrome/140',
    ])
      expect(productToken(userAgent)).toBe('acme-bot')
    const text =
      'User-agent: *\nDisallow: /\n\nUser-agent: ACME-Bot/1.0\nDisallow: /private\nAllow: /private/open\nDisallow: /*.pdf$\nCrawl-delay: 2.5'
    const rules = new RobotsRules('https://shop.test', text, BOT)
    const allowed = (path: string): boolean => rules.isAllowed(`https://shop.test${path}`)
    expect(['/', '/private/open/1', '/a.pdf?x'].map(allowed)).toEqual([true, true, true])
    expect(['/private', '/private/1', '/privately', '/a/b.pdf'].map(allowed)).toEqual([false, false, false, false])
    expect(rules.delayMs).toBe(2_500)
    const others = new RobotsRules('https://shop.test', text, 'other-bot')
    expect([others.isAllowed('https://shop.test/a'), others.isAllowed('https://shop.test/robots.txt')]).toEqual([
      false,
      true,
    ])
    const long = new RobotsRules(
      'https://shop.test',
      `User-agent: *\nDisallow: /${'*a'.repeat(100_000)}\nDisallow: /b`,
      BOT,
    )
    expect([long.isAllowed('https://shop.test/a'), long.isAllowed('https://shop.test/b')]).toEqual([true, false])
  })
})

describe('a robots.txt', () => {
  it('disallows what it disallows, however a URL is escaped', () => {
    const rules = new RobotsRules(
      'https://shop.test',
      'User-agent: *\nDisallow: /private\nDisallow: /%7Euser/\nDisallow: /caf\u00e9\nDisallow: /a%2fb',
      BOT,
    )
    const paths = ['/%70rivate/x', '/priv%61te', '/~user/1', '/%7euser/', '/caf%c3%a9', '/a%2Fb']
    expect(paths.filter((path) => rules.isAllowed(`https://shop.test${path}`))).toEqual([])
    expect(['/a/b', '/%2570rivate', '/public'].filter((path) => !rules.isAllowed(`https://shop.test${path}`))).toEqual(
      [],
    )
  })

  it('that is hostile holds the event loop for a short time alone', () => {
    const origin = 'https://shop.test'
    const group = (line: string): string => `User-agent: *\n${`${line}\n`.repeat(Math.floor(500_000 / line.length))}`
    const long = `${origin}/${'a'.repeat(8_000)}`
    const hostile = [
      group(`Disallow: /${'*a'.repeat(950)}b`),
      group(`Disallow: /${'*a'.repeat(19)}b`),
      group('Disallow: /a'),
      group('Disallow: *b'),
      group('User-agent: x'),
      group(':'),
      '*'.repeat(500_000),
      `User-agent: *\nDisallow: /${'*'.repeat(1_900)}b`,
    ]
    const begun = process.cpuUsage()
    for (const text of hostile) {
      const rules = new RobotsRules(origin, text, BOT)
      for (let pages = 0; pages < 2; pages++) rules.isAllowed(long)
    }
    // About 0.5 s, and a wide margin for a machine that is busy.
    expect(process.cpuUsage(begun).user / 1_000).toBeLessThan(4_000)
  })
})

describe('a crawl', () => {
  it('asks robots.txt once for the fleet, and keeps its delay with the lane', async () => {
    const robots = 'User-agent: *\nDisallow: /private\nCrawl-delay: 2'
    const site = await serve((request) => (request.path === '/to-private' ? { redirect: '/private/x' } : 'page'), {
      robots,
    })
    const fleet = new LocalFleet()
    const [one, other] = [fetcherWith(), fetcherWith()]
    // Both got their places before the delay of the host was known.
    const early = [fleet.item(), fleet.item()]
    for (const { fleet: place } of early)
      await expect(one.fetch(requestFor(site.url('/a')), fleet.scope(place))).rejects.toBeInstanceOf(OutOfTurn)
    expect(site.count('/a')).toBe(0)
    for (const fetcher of [one, other, one]) {
      const fetched = await inTurn(() => fetcher.fetch(requestFor(site.url('/a')), fleet.scope(fleet.item().fleet)))
      expect(fetched.answer.status).toBe(200)
    }
    for (const path of ['/private', '/private/deep', '/to-private']) {
      const failure = await rejected(one.fetch(requestFor(site.url(path)), fleet.scope(fleet.item().fleet)))
      expect((failure as CrawlError).class).toBe('robots')
    }
    expect(site.count('/robots.txt')).toBe(1)
    expect(site.requests.filter(({ path }) => path.startsWith('/private'))).toEqual([])
    expect(fleet.notes.map(({ note }) => note.spacing)).toEqual(['2000ms'])
    expect(site.requests[0]?.headers['user-agent']).toBe(BOT)
  })

  it('ends a delay that a robots.txt no longer asks for, and keeps the longest one of several crawlers', async () => {
    let robots =
      'User-agent: *\nCrawl-delay: 60\n\nUser-agent: slow-bot\nCrawl-delay: 90\n\nUser-agent: fast-bot\nCrawl-delay: 1'
    const site = await serve((request) => (request.path === '/robots.txt' ? undefined : 'page'), {
      robots: { respond: (_request, response) => response.end(robots) },
    })
    const fleet = new LocalFleet()
    const load = async (userAgent: string): Promise<void> => {
      await inTurn(() => fetcherWith({ userAgent }).fetch(requestFor(site.url('/')), fleet.scope(fleet.item().fleet)))
    }
    for (const userAgent of [BOT, 'slow-bot', 'fast-bot', 'slow-bot']) await load(userAgent)
    expect(fleet.notes.map(({ note }) => note.spacing)).toEqual(['60000ms', '90000ms'])
    expect(site.count('/robots.txt')).toBe(1)
    robots = 'User-agent: *\nAllow: /'
    fleet.notes.length = 0
    await load(BOT)
    expect(fleet.notes.map(({ note }) => note.spacing)).toEqual(['0ms'])
  })

  it('keeps a robots.txt of any characters in a note that is not much longer', async () => {
    const lines = `User-agent: *\nDisallow: /first\n${'"\u0000\\\t'.repeat(120_000)}\nDisallow: /last`
    const site = await serve({ '/a': 'page' }, { robots: { body: Buffer.from(lines) } })
    const fleet = new LocalFleet()
    const load = (path: string) => fetcherWith().fetch(requestFor(site.url(path)), fleet.scope(fleet.item().fleet))
    expect((await load('/a')).answer.status).toBe(200)
    expect(fleet.notes.map(({ note }) => note.text.length)).toEqual([expect.toSatisfy((size) => size < 600_000)])
    for (const path of ['/first', '/last']) expect(((await rejected(load(path))) as CrawlError).class).toBe('robots')
  })

  it.each([
    { robots: 404, class: undefined },
    { robots: 403, class: undefined },
    { robots: 503, class: 'robots' },
    { robots: 500, class: 'robots' },
  ])(
    'may load everything without a robots.txt, and nothing as long as it can’t be read: $robots',
    async ({ robots, class: failed }) => {
      const site = await serve({ '/': 'page' }, { robots })
      const fleet = new LocalFleet()
      const fetcher = fetcherWith()
      for (let tries = 0; tries < 2; tries++) {
        const end = await fetcher.fetch(requestFor(site.url('/')), fleet.scope(fleet.item().fleet)).then(
          () => undefined,
          (error: unknown) => error as CrawlError,
        )
        expect(end?.class).toBe(failed)
        // Not disallowed: it is asked again.
        if (end) expect(end.retryAfterMs).toBeGreaterThan(0)
      }
      expect(site.count('/')).toBe(failed === undefined ? 2 : 0)
      expect(site.count('/robots.txt')).toBe(1)
    },
  )

  it('follows five redirects of a robots.txt, reads 500 KB of it, and loads without asking if it is so declared', async () => {
    const large = `User-agent: *\nDisallow: /first\n${'# filler\n'.repeat(60_000)}Disallow: /last`
    const target = await serve((request) => {
      const step = Number(request.path.slice(2))
      if (step >= 1 && step < 5) return { redirect: `/r${step + 1}` }
      return step === 5 ? { body: large } : 'page'
    })
    const redirecting = await serve({ '/first': 'page', '/last': 'page' }, { robots: { redirect: target.url('/r1') } })
    const fleet = new LocalFleet()
    const fetcher = fetcherWith()
    const load = (path: string) => fetcher.fetch(requestFor(redirecting.url(path)), fleet.scope(fleet.item().fleet))
    expect(((await rejected(load('/first'))) as CrawlError).class).toBe('robots')
    expect((await load('/last')).answer.status).toBe(200)
    const bold = fetcherWith({ robots: false })
    expect(
      (await bold.fetch(requestFor(redirecting.url('/first')), fleet.scope(fleet.item().fleet))).answer.status,
    ).toBe(200)
  })
})
