import { once } from 'node:events'
import { createServer as createRawServer, type AddressInfo, type Socket } from 'node:net'
import type { LookupFunction } from 'node:net'
import { brotliCompressSync, constants, createGzip, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { CrawlError } from '../../../src/crawl/crawl-error.ts'
import type { DownloadSession } from '../../../src/crawl/downloader.ts'
import { openLoader } from '../../../src/crawl/fetch/http-downloader.ts'
import { isPublicAddress } from '../../../src/http-client/public-address.ts'
import { rejected } from '../../support/thrown.ts'
import { downloader, requestFor, scopeWith, serve } from './fetching.ts'

const failureOf = async (promise: Promise<unknown>): Promise<CrawlError> => (await rejected(promise)) as CrawlError

describe('a download', () => {
  it('returns the bytes, the final URL and the headers, and sends the request whole', async () => {
    const site = await serve({
      '/old': { redirect: '/new?x=1', status: 303 },
      '/new': { body: 'hello', headers: { 'x-kind': 'test', 'set-cookie': 'a=b' } },
    })
    const request = requestFor(site.url('/old'), {
      method: 'POST',
      headers: { 'content-type': 'text/plain', 'x-own': 'yes', authorization: 'Bearer secret' },
      body: { text: 'ciao' },
    })
    const answer = await downloader().download(request, scopeWith())
    expect(answer).toMatchObject({ url: site.url('/new?x=1'), status: 200, isCached: false })
    expect(Buffer.from(answer.bytes).toString()).toBe('hello')
    expect(answer.bytes.buffer.byteLength).toBe(5)
    expect(answer.headers).toMatchObject({ 'x-kind': 'test' })
    expect(answer.headers).not.toHaveProperty('set-cookie')
    expect(site.requests.map(({ method, url, body }) => [method, url, body])).toEqual([
      ['POST', '/old', 'ciao'],
      ['GET', '/new?x=1', ''],
    ])
    expect(site.requests[1]?.headers).toMatchObject({
      'x-own': 'yes',
      authorization: 'Bearer secret',
      'user-agent': 'acme-bot (+https://acme.test/bot)',
    })
  })

  it('sends no header that may be secret to another origin', async () => {
    const other = await serve({ '/': 'other' })
    const site = await serve({ '/': { redirect: other.url('/') } })
    const headers = { authorization: 'Bearer secret', cookie: 'a=b', 'x-api-key': 'k', 'accept-language': 'it' }
    await downloader().download(requestFor(site.url('/'), { headers }), scopeWith())
    const [received] = other.requests
    expect(received?.headers).toMatchObject({ 'accept-language': 'it' })
    for (const name of ['authorization', 'cookie', 'x-api-key']) expect(received?.headers).not.toHaveProperty(name)
  })

  it('sends the headers of a session to their origin, also after a redirect through another one', async () => {
    const site = await serve({ '/': { redirect: '/login' }, '/login': 'logged in' })
    const other = await serve({ '/sso': { redirect: site.url('/login') } })
    const away = await serve({ '/': { redirect: other.url('/sso') } })
    const session: DownloadSession = {
      name: 's',
      headersFor: (url): Record<string, string> =>
        url.startsWith(other.origin) ? { 'x-token': 'other' } : { authorization: 'Bearer T', 'x-token': 'own' },
      cookiesFor: () => undefined,
      storeCookies: () => {},
    }
    const request = requestFor(away.url('/'), { headers: { 'x-token': 'request' } })
    await downloader().download(request, scopeWith({ session }))
    const sent = [away, other, site].map(({ requests: [first] }) => [
      first?.headers.authorization,
      first?.headers['x-token'],
    ])
    expect(sent).toEqual([
      ['Bearer T', 'request'],
      [undefined, 'other'],
      ['Bearer T', 'own'],
    ])
  })

  it('gives each status its class, and a wait of Retry-After in seconds or as a date', async () => {
    const inAMinute = new Date(Date.now() + 60_000).toUTCString()
    const site = await serve((request) => {
      const status = Number(request.path.slice(1))
      const wait = request.query.get('wait')
      return { status, body: `body of ${status}`, headers: wait === null ? {} : { 'retry-after': wait } }
    })
    const loader = downloader()
    const classes: Record<string, string> = {}
    for (const path of [
      '/429',
      '/503',
      '/503?wait=7',
      '/500',
      '/599',
      '/408',
      '/401',
      '/403',
      '/407',
      '/404',
      '/410',
      '/418',
    ])
      classes[path] = (await failureOf(loader.download(requestFor(site.url(path)), scopeWith()))).class
    expect(classes).toEqual({
      '/429': 'throttled',
      '/503': 'server',
      '/503?wait=7': 'throttled',
      '/500': 'server',
      '/599': 'server',
      '/408': 'server',
      '/401': 'blocked',
      '/403': 'blocked',
      '/407': 'blocked',
      '/404': 'client',
      '/410': 'client',
      '/418': 'client',
    })
    const seconds = await failureOf(loader.download(requestFor(site.url('/429?wait=7')), scopeWith()))
    expect(seconds).toMatchObject({ code: 'CRAWL_FAILED', status: 429, retryAfterMs: 7_000 })
    expect(Buffer.from(seconds.answer?.bytes ?? []).toString()).toBe('body of 429')
    const none = await failureOf(loader.download(requestFor(site.url('/503?wait=0')), scopeWith()))
    expect([none.class, none.retryAfterMs]).toEqual(['throttled', undefined])
    const date = await failureOf(
      loader.download(requestFor(site.url(`/503?wait=${encodeURIComponent(inAMinute)}`)), scopeWith()),
    )
    expect(date.class).toBe('throttled')
    expect(date.retryAfterMs).toBeGreaterThan(20_000)
    expect(date.retryAfterMs).toBeLessThanOrEqual(60_000)
    const accepted = await loader.download(requestFor(site.url('/404'), { accept: [404] }), scopeWith())
    expect([accepted.status, Buffer.from(accepted.bytes).toString()]).toEqual([404, 'body of 404'])
  })

  it('follows a number of redirects, and no loop unless a cookie makes the difference', async () => {
    const site = await serve((request) => {
      const step = Number(request.path.slice(1))
      if (request.path === '/loop') return { redirect: '/loop2' }
      if (request.path === '/loop2') return { redirect: '/loop' }
      if (request.path === '/nowhere') return { status: 302 }
      if (request.path === '/utf8' || request.path === '/latin1') {
        const name = Buffer.from('/caf\u00e9', request.path === '/utf8' ? 'utf8' : 'latin1')
        return { status: 302, headers: { location: name.toString('latin1') } }
      }
      return step > 0 ? { redirect: `/${step - 1}` } : 'end'
    })
    const loader = downloader()
    const load = (path: string, redirects = 10) =>
      loader.download(requestFor(site.url(path), { redirects }), scopeWith())
    expect((await load('/3', 3)).url).toBe(site.url('/0'))
    expect(await failureOf(load('/4', 3))).toMatchObject({ class: 'redirect' })
    expect((await load('/3', 0)).status).toBe(302)
    const before = site.requests.length
    expect(await failureOf(load('/loop'))).toMatchObject({ class: 'redirect' })
    expect(site.requests.length - before).toBe(2)
    expect(await failureOf(load('/nowhere'))).toMatchObject({ class: 'redirect' })
    for (const path of ['/utf8', '/latin1']) expect((await load(path)).url).toBe(site.url('/caf%C3%A9'))
    expect(site.mostConnections).toBeLessThan(4)
  })

  it('refuses every scheme but http and https, also of a redirect', async () => {
    const site = await serve({ '/file': { redirect: 'file:///etc/passwd' }, '/data': { redirect: 'data:text/html,x' } })
    const loader = downloader()
    for (const url of [
      'file:///etc/passwd',
      'ftp://example.com/',
      'javascript:1',
      site.url('/file'),
      site.url('/data'),
    ])
      expect(await failureOf(loader.download(requestFor(url), scopeWith()))).toMatchObject({ class: 'address' })
  })

  it('ends with the reason of its signal', async () => {
    const site = await serve({ '/': { delay: '1h' } })
    const stop = new AbortController()
    const download = downloader().download(requestFor(site.url('/')), scopeWith({ signal: stop.signal }))
    await expect.poll(() => site.open).toBe(1)
    stop.abort(new Error('stopped'))
    await expect(download).rejects.toThrow('stopped')
    await expect.poll(() => site.open).toBe(0)
  })

  it('calls what breaks a connection a failure of the network', async () => {
    const site = await serve({
      '/reset': { failures: { times: 9, status: 'reset' } },
      '/short': {
        respond: (_request, response) =>
          response.writeHead(200, { 'content-length': '9' }).end('12') && response.socket?.end(),
      },
      '/damaged': { body: Buffer.from('no gzip at all'), headers: { 'content-encoding': 'gzip' } },
      '/cut': { body: gzipSync('x'.repeat(1_000)).subarray(0, 20), headers: { 'content-encoding': 'gzip' } },
    })
    const loader = downloader()
    for (const path of ['/reset', '/short', '/damaged', '/cut'])
      expect(await failureOf(loader.download(requestFor(site.url(path)), scopeWith()))).toMatchObject({
        class: 'network',
      })
    const { origin } = site
    await site.close()
    expect(await failureOf(loader.download(requestFor(origin), scopeWith()))).toMatchObject({ class: 'network' })
  })
})

it('reads compressed bodies as browsers do, whatever follows their end', async () => {
  const text = `<p>${'hello '.repeat(50_000)}</p>`
  const after = ['', '\r\n', '<!-- debug -->', '\0'.repeat(600), '\x1f', '\x1f\x8b\x08']
  const encodings = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }
  const pieces = new Map<string, readonly Buffer[]>([['/two', [gzipSync(text), gzipSync(text)]]])
  for (const [name, encode] of Object.entries(encodings))
    for (const [index, rest] of after.entries()) {
      const end = Buffer.from(rest, 'latin1')
      pieces.set(`/${name}${index}`, [Buffer.concat([encode(text), end])])
      pieces.set(`/${name}${index}/split`, [encode(text), end])
    }
  const site = await serve(({ path }) => ({
    respond: async (_request, response) => {
      response.writeHead(200, { 'content-encoding': /^\/(gzip|deflate|br)/.exec(path)?.[1] ?? 'gzip' })
      for (const piece of pieces.get(path) ?? []) {
        response.write(piece)
        await new Promise(setImmediate)
      }
      response.end()
    },
  }))
  const loader = downloader()
  for (const path of pieces.keys()) {
    const { bytes } = await loader.download(requestFor(site.url(path)), scopeWith())
    expect([path, Buffer.from(bytes).toString() === (path === '/two' ? text + text : text)]).toEqual([path, true])
  }
})

describe('limits', () => {
  it('cut off a bomb of 10 GB while it is read, in memory of its limit', async () => {
    const block = Buffer.alloc(2 ** 20)
    const site = await serve({
      '/bomb': {
        respond: async (_request, response) => {
          response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'text/html' })
          const gzip = createGzip({ level: constants.Z_BEST_SPEED })
          gzip.pipe(response)
          response.once('close', () => gzip.destroy())
          for (let left = 10_240; left > 0 && !gzip.destroyed; left--)
            if (!gzip.write(block)) await Promise.race([once(gzip, 'drain'), once(response, 'close')])
          gzip.end()
        },
      },
    })
    const before = process.memoryUsage().rss
    const failure = await failureOf(
      downloader().download(requestFor(site.url('/bomb')), scopeWith({ limits: { bytes: 5_000_000 } })),
    )
    expect(failure).toMatchObject({ class: 'size' })
    expect(failure.message).toContain('more than 5000000 bytes')
    expect(process.memoryUsage().rss - before).toBeLessThan(50 * 2 ** 20)
    await expect.poll(() => site.open).toBe(0)
  })

  it('cut off a body that never ends, by its size or its time', async () => {
    const drip = (bytes: number): ((_request: unknown, response: import('node:http').ServerResponse) => void) => {
      return (_request, response) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write(Buffer.alloc(bytes)), 5)
        response.once('close', () => clearInterval(timer))
      }
    }
    const site = await serve({ '/large': { respond: drip(65_536) }, '/slow': { respond: drip(1) } })
    const loader = downloader()
    const large = loader.download(requestFor(site.url('/large')), scopeWith({ limits: { bytes: 1_000_000 } }))
    expect(await failureOf(large)).toMatchObject({ class: 'size' })
    const slow = loader.download(requestFor(site.url('/slow'), { timeoutMs: 300 }), scopeWith())
    const failure = await failureOf(slow)
    expect(failure).toMatchObject({ class: 'network' })
    expect(failure.message).toContain('did not end within 300ms')
    await expect.poll(() => site.open).toBe(0)
  })

  it('end headers that come one byte at a time, never, or too large', async () => {
    const answers: Record<string, (socket: Socket) => void> = {
      '/slow': (socket) => {
        const head = [
          ...'HTTP/1.1 200 OK\r\nx-long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
        ]
        const timer = setInterval(() => socket.write(head.shift() ?? 'a'), 20)
        socket.once('close', () => clearInterval(timer))
      },
      '/never': () => {},
      '/large': (socket) => socket.write(`HTTP/1.1 200 OK\r\n${`x-long: ${'a'.repeat(1_000)}\r\n`.repeat(100)}\r\n`),
    }
    const server = createRawServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', (data) => answers[String(data).split(' ')[1] ?? '']?.(socket))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const loader = downloader()
    const load = (path: string, timeoutMs: number, idleMs = 10_000) =>
      failureOf(loader.download(requestFor(`${origin}${path}`, { timeoutMs }), scopeWith({ limits: { idleMs } })))
    expect(await load('/slow', 400)).toMatchObject({ class: 'network' })
    expect(await load('/never', 30_000, 100)).toMatchObject({ class: 'network' })
    expect(await load('/large', 30_000)).toMatchObject({ class: 'size' })
  })
})

describe('private addresses', () => {
  it('are known in every notation', () => {
    const secret = [
      '0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.255.0.1', '169.254.169.254', '172.16.0.1', '172.31.255.255',
      '192.168.1.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1',
      '::127.0.0.1', '64:ff9b::10.0.0.1', '64:ff9b:1::1', '2002:7f00:1::', '2001::1', 'fe80::1%eth0', 'fc00::1', 'fd12::1',
      'ff02::1', '2001:db8::1', 'fec0::1', 'no address',
    ] // prettier-ignore
    expect(secret.filter((address) => isPublicAddress(address))).toEqual([])
    const open = [
      '1.1.1.1',
      '172.32.0.1',
      '8.8.8.8',
      '2606:4700::1111',
      '::ffff:8.8.8.8',
      '64:ff9b::8.8.8.8',
      '2002:808:808::',
    ]
    expect(open.filter((address) => !isPublicAddress(address))).toEqual([])
  })

  it('are refused by default, in a URL, a redirect and the answer of a name server', async () => {
    const site = await serve({ '/': 'secret' })
    const { port } = new URL(site.origin)
    const loader = downloader()
    const closed = scopeWith({ limits: { private: false } })
    const urls = [
      site.url('/'), `http://2130706433:${port}/`, `http://0x7f.1:${port}/`, `http://[::1]:${port}/`, `http://localhost:${port}/`,
      `http://[::ffff:127.0.0.1]:${port}/`, `http://0.0.0.0:${port}/`, `http://[64:ff9b::127.0.0.1]:${port}/`,
    ] // prettier-ignore
    for (const url of urls)
      expect(await failureOf(loader.download(requestFor(url), closed))).toMatchObject({ class: 'address' })
    expect(site.connections + site.requests.length).toBe(0)
  })

  it('are refused to a name whose second answer is another one', async () => {
    const site = await serve({ '/': 'secret' })
    const { port } = new URL(site.origin)
    const asked: string[] = []
    const answers = [['127.0.0.1'], ['192.0.2.1', '127.0.0.1']]
    const lookup = ((hostname, options, callback) => {
      asked.push(hostname)
      const found = (answers.shift() ?? []).map((address) => ({ address, family: 4 }))
      callback(null, options.all === true ? found : (found[0]?.address ?? ''), 4)
    }) as LookupFunction
    const loader = downloader({ lookup })
    const closed = scopeWith({ limits: { private: false } })
    for (let tries = 1; tries <= 2; tries++) {
      expect(await failureOf(loader.download(requestFor(`http://rebinding.test:${port}/`), closed))).toMatchObject({
        class: 'address',
      })
      expect(asked).toHaveLength(tries)
    }
    expect(site.requests).toEqual([])
  })

  it('are refused to a redirect of a public host', async () => {
    const site = await serve({ '/': { redirect: 'http://127.0.0.1:1/' } })
    const { port } = new URL(site.origin)
    // The first host stands for a public one: the connection goes to loopback by a port of this machine.
    const lookup = ((_hostname, _options, callback) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }])) as LookupFunction
    const loader = downloader({ lookup })
    const first = await failureOf(
      loader.download(requestFor(`http://public.test:${port}/`), scopeWith({ limits: { private: false } })),
    )
    expect(first).toMatchObject({ class: 'address' })
  })
})

describe('a body that is handed over while it arrives', () => {
  it('ends if it takes too long, however often a byte comes, and not for a slow reader', async () => {
    const site = await serve({
      '/drops': {
        respond: (_request, response) => {
          const timer = setInterval(() => response.write('x'), 5)
          response.once('close', () => clearInterval(timer))
        },
      },
      '/whole': 'whole',
    })
    const loader = openLoader()
    onTestFinished(() => loader.close())
    const read = async (path: string): Promise<number> => {
      let bytes = 0
      for await (const piece of loader.pieces(requestFor(site.url(path)), scopeWith(), 300)) {
        bytes += piece.byteLength
        // The reader of the whole one is slower than the limit.
        if (path === '/whole') await new Promise((resolve) => setTimeout(resolve, 400))
      }
      return bytes
    }
    expect(await failureOf(read('/drops'))).toMatchObject({ class: 'network' })
    await expect.poll(() => site.open).toBe(0)
    expect(await read('/whole')).toBe(5)
  })
})
