import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { CrawlError } from '../../../src/crawl/crawl-error.ts'
import { isWithin } from '../../../src/crawl/sitemap/lastmod.ts'
import { sitemap, type SitemapOptions } from '../../../src/crawl/sitemap/sitemap.ts'
import { SitemapScanner } from '../../../src/crawl/sitemap/sitemap-scanner.ts'
import { rejected, thrown } from '../../support/thrown.ts'
import { serve } from './fetching.ts'

const entry = (loc: string, lastmod = ''): string =>
  `<url><loc>${loc}</loc>${lastmod && `<lastmod>${lastmod}</lastmod>`}<priority>0.5</priority></url>`
const urlset = (...entries: readonly string[]): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${entries.join('\n')}</urlset>`

async function pagesOf(url: string, options: SitemapOptions = {}): Promise<string[]> {
  const found: string[] = []
  for await (const page of sitemap(url, { private: true, ...options })) found.push(page.url)
  return found
}

describe('a sitemap', () => {
  it('yields the pages that may have changed since, of an index, gzip files and text, each file once', async () => {
    const old = '2026-01-01'
    const site = await serve((request) => {
      const index = (loc: string, lastmod: string): string =>
        `<sitemap><loc>${loc}</loc><lastmod>${lastmod}</lastmod></sitemap>`
      switch (request.path) {
        case '/robots.txt':
          return undefined
        case '/index.xml':
          return {
            headers: { 'content-type': 'application/xml' },
            body: `<sitemapindex>${index(`${site.origin}/a.xml.gz`, '2026-03-02')}${index(`${site.origin}/old.xml`, old)}
              ${index(`${site.origin}/b.txt`, '2026-04-01T10:00:00+02:00')}${index(`${site.origin}/index.xml`, '2026-05-01')}</sitemapindex>`,
          }
        case '/a.xml.gz':
          return {
            body: gzipSync(
              urlset(
                entry('https://shop.test/1', '2026-03-01'),
                entry('https://shop.test/2', old),
                entry('https://shop.test/3'),
              ),
            ),
          }
        case '/b.txt':
          return {
            headers: { 'content-type': 'text/plain' },
            body: 'https://shop.test/4\r\n\r\nmailto:x@y.z\nhttps://shop.test/5',
          }
        default:
          return undefined
      }
    })
    const since = { since: '2026-03-01T12:00:00Z' }
    expect(await pagesOf(site.url('/index.xml'), since)).toEqual([1, 3, 4, 5].map((n) => `https://shop.test/${n}`))
    expect(site.count('/old.xml')).toBe(0)
    expect(site.count('/index.xml')).toBe(1)
    const first: unknown[] = []
    for await (const page of sitemap(site.url('/a.xml.gz'), {
      private: true,
      step: 'detail',
      until: '2026-02-01T00:00:00Z',
    }))
      first.push(page)
    expect(first).toEqual([
      { url: 'https://shop.test/2', step: 'detail', data: { lastmod: old } },
      { url: 'https://shop.test/3', step: 'detail', data: { lastmod: null } },
    ])
  })

  it('is found by the lines of a robots.txt, and its paths are those of its host', async () => {
    const site = await serve(
      (request) => (request.path === '/s.xml' ? urlset(entry('https://shop.test/1'), entry('/2')) : undefined),
      {
        robots: {
          respond: (_request, response) => response.end(`User-agent: *\nSitemap: /s.xml\nSitemap: nonsense`),
        },
      },
    )
    expect(await pagesOf(site.url('/robots.txt'))).toEqual(['https://shop.test/1', site.url('/2')])
  })

  it('of an index may fail alone, if its caller wants to hear of it instead', async () => {
    const site = await serve({
      '/index.xml': `<sitemapindex>${['/gone.xml', '/b.xml'].map((path) => `<sitemap><loc>${path}</loc></sitemap>`).join('')}</sitemapindex>`,
      '/gone.xml': { status: 410 },
      '/b.xml': urlset(entry('https://shop.test/1')),
    })
    const failed: unknown[] = []
    const onError: SitemapOptions['onError'] = (error, url) => failed.push([error.class, url])
    expect(await pagesOf(site.url('/index.xml'), { onError })).toEqual(['https://shop.test/1'])
    expect(failed).toEqual([['client', site.url('/gone.xml')]])
    expect(await rejected(pagesOf(site.url('/index.xml')))).toMatchObject({ class: 'client' })
    expect(await rejected(pagesOf(site.url('/gone.xml'), { onError }))).toMatchObject({ class: 'client' })
  })

  it('streams: its first pages arrive before its last ones were sent, and it stops when nobody reads on', async () => {
    let sent = 0
    const site = await serve({
      '/s.xml': {
        respond: async (_request, response) => {
          response.write('<urlset>')
          while (!response.destroyed && sent < 1e7) {
            if (response.write(entry(`https://shop.test/${sent++}`, '2026-01-01').repeat(10))) continue
            await new Promise((resolve) => response.once('drain', resolve).once('close', resolve))
          }
        },
      },
    })
    for await (const page of sitemap(site.url('/s.xml'), { private: true })) if (page.url.endsWith('/100')) break
    await expect.poll(() => site.open).toBe(0)
    expect(sent).toBeLessThan(1e5)
  })

  it('of more than 50 MB, or that can’t be loaded, fails', async () => {
    const bomb = gzipSync(Buffer.alloc(60 * 2 ** 20, ' '))
    const site = await serve({
      '/bomb.gz': { body: bomb },
      '/bomb': { body: bomb, headers: { 'content-encoding': 'gzip' } },
      '/broken.gz': { body: gzipSync('x'.repeat(1_000)).subarray(0, 20) },
    })
    const classOf = async (path: string, options?: SitemapOptions) =>
      ((await rejected(pagesOf(site.url(path), options))) as CrawlError).class
    expect(await classOf('/bomb.gz')).toBe('size')
    expect(await classOf('/broken.gz')).toBe('client')
    expect(await classOf('/none.xml')).toBe('client')
    expect(await classOf('/bomb', { private: false })).toBe('address')
    expect(thrown(() => sitemap('/relative', { since: 'yesterday' })).details['problems']).toHaveLength(2)
  })
})

describe('the scanner of sitemaps', () => {
  const text = `<?xml version="1.0"?><!-- <url><loc>https://a.test/commented</loc></url> --><sm:urlset xmlns:sm="x">
    <sm:url><sm:loc> https://a.test/?a=1&amp;b=%20&#38;c </sm:loc><sm:lastmod>2026-01-01</sm:lastmod></sm:url>
    <url a="b"><loc><![CDATA[https://a.test/x?y&z]]></loc><image:image><image:loc>https://a.test/i.png</image:loc></image:image></url>
    <urlx><loc>https://a.test/no</loc></urlx><url><priority>1</priority></url><url></url></sm:urlset>`

  it.each([1, 2, 7, 100, 10_000])('finds the same entries in pieces of %i characters', (size) => {
    const scanner = new SitemapScanner()
    const found = []
    for (let at = 0; at < text.length; at += size) found.push(...scanner.write(text.slice(at, at + size)))
    expect(found).toEqual([
      { kind: 'url', loc: 'https://a.test/?a=1&b=%20&c', lastmod: '2026-01-01' },
      { kind: 'url', loc: 'https://a.test/x?y&z', lastmod: undefined },
    ])
  })
})

describe('a sitemap of an enemy', () => {
  it('holds the event loop for a short time alone', () => {
    const piece = 64 * 1_024
    const filled = (text: string): string => text.repeat(Math.ceil(piece / text.length)).slice(0, piece)
    const hostile = [
      '<url ',
      '<!--',
      '<url><loc>',
      '<url><loc><![CDATA[',
      '<url><loc>x</loc ',
      '<',
      '<url></url',
      '&amp',
    ]
    const begun = process.cpuUsage()
    let entries = 0
    for (const text of hostile) {
      const scanner = new SitemapScanner()
      for (let pieces = 0; pieces < 8; pieces++) for (const _entry of scanner.write(filled(text))) entries += 1
    }
    expect(entries).toBe(0)
    // Pieces of 64 KB that take 5 ms each, and a wide margin for a machine that is busy.
    expect(process.cpuUsage(begun).user / 1_000).toBeLessThan(3_000)
  })

  it('costs only its own pages: a URL that no request can have, or a long time', async () => {
    const site = await serve({
      '/s.xml': {
        headers: { 'content-type': 'application/xml' },
        body: urlset(
          entry(`https://shop.test/${'x'.repeat(9_000)}`),
          entry('https://shop.test/1', '2'.repeat(70_000)),
          entry('javascript:1'),
          entry('https://shop.test/2'),
        ),
      },
    })
    const found = []
    for await (const page of sitemap(site.url('/s.xml'), { private: true })) found.push(page)
    expect(found).toEqual([
      { url: 'https://shop.test/1', data: { lastmod: null } },
      { url: 'https://shop.test/2', data: { lastmod: null } },
    ])
  })
})

describe('lastmod', () => {
  it('without a time of day is any time of its day, month or year', () => {
    const at = (text: string): number => Date.parse(text)
    const within = (lastmod: string | undefined, since?: string, until?: string): boolean =>
      isWithin(lastmod, {
        sinceMs: since === undefined ? undefined : at(since),
        untilMs: until === undefined ? undefined : at(until),
      })
    expect(within('2026-03-05', '2026-03-05T18:00:00Z')).toBe(true)
    expect(within('2026-03', '2026-03-20T00:00:00Z')).toBe(true)
    expect(within('2026', '2026-12-01T00:00:00Z')).toBe(true)
    expect(within('2026-03-05T10:00:00+02:00', '2026-03-05T08:00:01Z')).toBe(false)
    expect(within('2026-03-04', '2026-03-05T18:00:00Z')).toBe(false)
    expect(within('2026-03-05', undefined, '2026-03-05T00:00:00Z')).toBe(false)
    expect([within(undefined, '2030-01-01'), within('nonsense', '2030-01-01')]).toEqual([true, true])
    // What only `Date` reads: as a day of 2001, in local time, or as a day of the next month.
    const since = '2030-01-01T00:00:00Z'
    const odd = ['1', '1.5', 'Jan 15 2026', '2026-02-30', '2026-02-30T10:00:00Z', '01/02/2026', '2026-3-5']
    expect(odd.filter((lastmod) => !within(lastmod, since))).toEqual([])
    expect(within('2026-03-05T10:00:00', '2026-03-05T10:00:00Z', '2026-03-05T10:00:01Z')).toBe(true)
    expect(within('2026-03-05 10:00:00', '2026-03-05T10:00:00Z', '2026-03-05T10:00:01Z')).toBe(true)
    expect(within('2026-03-05 10:00:00', '2026-03-05T10:00:01Z')).toBe(false)
  })
})
