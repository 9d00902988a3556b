import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { browser } from '../../src/crawl/browser/browser.ts'
import type { BrowserOptions } from '../../src/crawl/browser/browser-options.ts'
import type { CrawlError } from '../../src/crawl/crawl-error.ts'
import type { Downloader, DownloadSession } from '../../src/crawl/downloader.ts'
import { createPage } from '../../src/crawl/page/create-page.ts'
import { requestFor, scopeWith, serve } from '../crawl/fetch/fetching.ts'
import { safely } from '../../src/errors-read.ts'
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

  it('refuses private addresses of a page, its redirects and its scripts behind a proxy too', async () => {
    const asked: string[] = []
    const pages: Record<string, string> = {
      '/script': `<script>location = 'http://169.254.169.254/latest/'</script>`,
      '/embeds': `<h1>fine</h1><iframe src="http://10.0.0.1/"></iframe><script src="http://[fd00::1]/x.js"></script>
        <script src="/moved.js"></script>`,
    }
    const server = createServer((request, response) => {
      asked.push(request.url ?? '')
      const { pathname } = new URL(request.url ?? '')
      if (pathname === '/out' || pathname === '/moved.js')
        return void response.writeHead(302, { location: 'http://127.0.0.1:9/admin' }).end()
      response.writeHead(200, { 'content-type': 'text/html' }).end(pages[pathname] ?? '<h1>private</h1>')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const label = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const scope = scopeWith({ limits: { private: false }, proxy: { url: `http://${label}`, label } })
    const chromium = opened({ wait: 'networkidle' })
    const load = (path: string) => chromium.download(requestFor(`http://shop.test${path}`), scope)
    for (const path of ['/out', '/script'])
      expect(((await rejected(load(path))) as CrawlError).class, path).toBe('address')
    const page = await load('/embeds')
    expect(Buffer.from(page.bytes).toString()).toContain('fine')
    const foreign = asked.filter((url) => !url.startsWith('http://shop.test/'))
    expect(foreign).toEqual([])
  })

  it('measures a page before this process receives it, and sends no datagrams past its proxy', async () => {
    const stun = createSocket('udp4')
    stun.bind(0, '127.0.0.1')
    await once(stun, 'listening')
    onTestFinished(() => void stun.close())
    let datagrams = 0
    stun.on('message', () => (datagrams += 1))
    // A comment needs no layout, which would take long.
    const grows = `<p></p><script>document.body.append(document.createComment('x'.repeat(2 ** 27)))</script>`
    const calls = `<h1>none</h1><script>
      const peer = new RTCPeerConnection({ iceServers: [{ urls: 'stun:127.0.0.1:${stun.address().port}' }] })
      peer.createDataChannel('x')
      peer.onicegatheringstatechange = () => { if (peer.iceGatheringState === 'complete') document.body.id = 'gathered' }
      peer.createOffer().then((offer) => peer.setLocalDescription(offer))
    </script>`
    const site = await serve({
      '/grows': grows,
      '/calls': calls,
      '/text': { body: 'x'.repeat(3_000_000), headers: { 'content-type': 'text/plain' } },
      '/fakes': `<h1>real</h1><script>Object.defineProperty(document.documentElement, 'outerHTML', { value: 'fake' })</script>`,
    })
    const chromium = opened()
    const scope = scopeWith({ limits: { bytes: 1_000_000 } })
    const before = process.memoryUsage().rss
    for (const path of ['/grows', '/text'])
      expect(((await rejected(chromium.download(requestFor(site.url(path)), scope))) as CrawlError).class, path).toBe(
        'size',
      )
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000)
    const real = await chromium.download(requestFor(site.url('/fakes')), scope)
    expect(Buffer.from(real.bytes).toString()).toContain('<h1>real</h1>')
    await opened({ wait: { selector: '#gathered' } }).download(requestFor(site.url('/calls')), scope)
    expect(datagrams).toBe(0)
  })

  it('gives its place back, and gets a new browser, if Chromium does not answer any more', async () => {
    const site = await serve({ '/': '<h1>page</h1>' })
    const chromium = opened({ size: 1 })
    const load = (timeoutMs: number) => chromium.download(requestFor(site.url('/'), { timeoutMs }), scopeWith())
    await load(30_000)
    const { stdout } = await promisify(execFile)('pgrep', ['-P', String(process.pid), '-f', 'chrom'])
    const pids = stdout.trim().split('\n').map(Number)
    for (const pid of pids) process.kill(pid, 'SIGSTOP')
    onTestFinished(() => {
      for (const pid of pids) safely(() => process.kill(pid, 'SIGKILL'), false)
    })
    expect(((await rejected(load(2_000))) as CrawlError).class).toBe('network')
    expect((await load(30_000)).status).toBe(200)
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
