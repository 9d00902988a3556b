import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { browser } from '../../src/crawl/browser/browser.ts'
import type { BrowserOptions } from '../../src/crawl/browser/browser-options.ts'
import type { CrawlError } from '../../src/crawl/crawl-error.ts'
import type { Downloader, DownloadSession } from '../../src/crawl/downloader.ts'
import { createPage } from '../../src/crawl/page/create-page.ts'
import { requestFor, scopeWith, serve } from '../crawl/fetch/fetching.ts'
import { rejected, thrown } from '../support/thrown.ts'

function opened(options: BrowserOptions = {}): Downloader {
  const made = browser(options)
  onTestFinished(() => made.close?.())
  return made
}

const script = `<h1>empty</h1><img src="/image.png"><script>
  fetch('/data').then((answer) => answer.json()).then(({ title }) => { document.querySelector('h1').textContent = title })
</script>`

describe('a browser', () => {
  it('runs the page, loads no images, and keeps the cookies of its session', async () => {
    const site = await serve({
      '/': { body: script, headers: { 'set-cookie': 'seen=1; Path=/' } },
      '/data': { body: { title: 'Rendered' } },
      '/away': { redirect: '/' },
    })
    const stored: string[] = []
    const session: DownloadSession = {
      name: 's',
      headersFor: () => ({ 'x-token': 't' }),
      cookiesFor: () => 'a=b',
      storeCookies: (_url, cookies) => void stored.push(...cookies),
    }
    const chromium = opened({ wait: 'networkidle', size: 2, recycle: 2 })
    const request = requestFor(site.url('/away'))
    const pages = await Promise.all(Array.from({ length: 5 }, () => chromium.download(request, scopeWith({ session }))))
    for (const answer of pages) {
      expect(createPage(request, answer, 1).html('h1').text()).toBe('Rendered')
      expect(answer.url).toBe(site.url('/'))
    }
    expect(site.count('/image.png')).toBe(0)
    const [first] = site.requests
    expect(first?.headers).toMatchObject({
      'x-token': 't',
      cookie: 'a=b',
      'user-agent': 'acme-bot (+https://acme.test/bot)',
    })
    expect(stored.some((cookie) => cookie.startsWith('seen=1; Path=/'))).toBe(true)
  })

  it('sends headers to their own origin alone, whatever a redirect leads to', async () => {
    const foreign = await serve({
      '/': '<h1>foreign</h1>',
      '/data': { body: {}, headers: { 'access-control-allow-origin': '*' } },
    })
    const site = await serve({
      '/out': { redirect: foreign.url('/') },
      '/page': `<script>fetch('/moved').catch(() => {})</script>`,
      '/moved': { redirect: foreign.url('/data') },
      '/form': { redirect: '/', status: 303 },
      '/': 'home',
    })
    const session: DownloadSession = {
      name: 's',
      headersFor: (url): Record<string, string> => (url.startsWith(site.origin) ? { authorization: 'Bearer T' } : {}),
      cookiesFor: () => undefined,
      storeCookies: () => {},
    }
    const chromium = opened({ wait: 'networkidle' })
    const headers = { 'x-api-key': 'K', 'accept-language': 'de' }
    for (const path of ['/out', '/page'])
      await chromium.download(requestFor(site.url(path), { headers }), scopeWith({ session }))
    expect(foreign.count('/')).toBe(1)
    const seen = foreign.requests.map((request) => request.headers)
    expect(seen.filter((one) => 'authorization' in one || 'x-api-key' in one)).toEqual([])
    expect(seen[0]?.['accept-language']).toBe('de')
    expect(foreign.count('/data')).toBe(1)
    expect(
      site.requests.filter(({ path }) => path !== '/favicon.ico').map((one) => one.headers['authorization']),
    ).toEqual(Array.from({ length: 3 }, () => 'Bearer T'))
    const form = {
      method: 'POST',
      body: { text: 'a=b' },
      headers: { ...headers, 'content-type': 'text/plain' },
    } as const
    await chromium.download(requestFor(site.url('/form'), form), scopeWith({ session }))
    const [posted, home] = site.requests.filter(({ path }) => path === '/form' || path === '/')
    expect(posted).toMatchObject({ method: 'POST', body: 'a=b', headers: { 'x-api-key': 'K' } })
    expect(home).toMatchObject({ method: 'GET', headers: { 'x-api-key': 'K', authorization: 'Bearer T' } })
  })

  it('fails as a download does, with a picture', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'piko-browser-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const site = await serve({
      '/403': { status: 403, body: 'no' },
      '/slow': { delay: '1h' },
      '/big': 'x'.repeat(100_000),
      '/private': 'x',
      '/embeds': { body: `<script src="data:text/javascript,fetch('file:///etc/passwd')"></script>` },
    })
    const chromium = opened({ screenshots: folder })
    const failureOf = async (
      path: string,
      timeoutMs = 30_000,
      scope = scopeWith({ limits: { bytes: 50_000 } }),
    ): Promise<CrawlError> =>
      (await rejected(chromium.download(requestFor(site.url(path), { timeoutMs }), scope))) as CrawlError
    expect(await failureOf('/403')).toMatchObject({ class: 'blocked', status: 403 })
    expect(readdirSync(folder)).toHaveLength(1)
    expect(await failureOf('/slow', 1_000)).toMatchObject({ class: 'network' })
    expect(await failureOf('/big')).toMatchObject({ class: 'size' })
    const closed = scopeWith({ limits: { private: false } })
    expect(await failureOf('/private', 30_000, closed)).toMatchObject({ class: 'address' })
    const before = site.requests.length
    const named = await rejected(
      chromium.download(requestFor(site.url('/private').replace('127.0.0.1', 'localhost')), closed),
    )
    expect((named as CrawlError).class).toMatch(/address|network/)
    expect(site.requests).toHaveLength(before)
    expect(thrown(() => browser({ size: 0, wait: 'soon', block: ['x'] } as never)).details['problems']).toHaveLength(3)
  })
})
