import { once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import type { CrawlError } from '../../../src/crawl/crawl-error.ts'
import type { DownloadScope } from '../../../src/crawl/downloader.ts'
import { socket, type SocketOptions } from '../../../src/crawl/socket/socket.ts'
import { rejected, thrown } from '../../support/thrown.ts'
import { requestFor, scopeWith } from './fetching.ts'

const text = (data: RawData): string => (data as Buffer).toString()

async function socketServer(
  serve: (client: WebSocket, headers: IncomingHttpHeaders) => unknown,
): Promise<{ readonly url: string; readonly open: () => number }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  await once(server, 'listening')
  onTestFinished(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  server.on('connection', (client, request) => {
    client.on('error', () => {})
    serve(client, request.headers)
  })
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/feed?key=secret`,
    open: () => server.clients.size,
  }
}

async function messagesOf(
  url: string,
  options: SocketOptions = {},
  from = 0,
  scope: DownloadScope = scopeWith(),
  most = Infinity,
): Promise<string[]> {
  const found: string[] = []
  for await (const { bytes, isBinary } of socket(options).stream(requestFor(url), scope, from)) {
    found.push(isBinary ? `<${bytes.join()}>` : Buffer.from(bytes).toString())
    if (found.length >= most) break
  }
  return found
}

describe('a socket', () => {
  it('sends its strings, yields each message in order, and continues after those that are stored', async () => {
    const heard: string[] = []
    const server = await socketServer((client, headers) => {
      client.on('message', (data) => {
        heard.push(`${headers['user-agent']?.slice(0, 8)} ${text(data)}`)
        for (let n = 1; n <= 10_000; n++) client.send(String(n))
      })
    })
    const options: SocketOptions = { send: ['{"sub":"px"}'], until: { messages: 10_000 } }
    const first = await messagesOf(server.url, options, 0, scopeWith(), 4_000)
    const rest = await messagesOf(server.url, options, 4_000)
    expect([...first, ...rest]).toEqual(Array.from({ length: 10_000 }, (_, index) => String(index + 1)))
    expect(heard).toEqual(['acme-bot {"sub":"px"}', 'acme-bot {"sub":"px"}'])
    expect(await messagesOf(server.url, options, 10_000)).toEqual([])
    await expect.poll(() => server.open()).toBe(0)
  })

  it('asks for what follows, and ends by a close, after a silence or after its time', async () => {
    const server = await socketServer((client) => {
      client.on('message', (data) => {
        const from = Number(text(data))
        client.send(Buffer.from([from + 1, from + 2]))
        if (from === 7) client.close(1000)
      })
    })
    expect(await messagesOf(server.url, { send: (from) => [String(from)] }, 7)).toEqual(['<8,9>'])
    expect(await messagesOf(server.url, { send: ['3'], until: { idle: '50ms' } })).toEqual(['<4,5>'])
    expect(await messagesOf(server.url, { send: ['3'], until: { time: '500ms' } })).toEqual(['<4,5>'])
  })

  it('makes a fast server wait for a slow step', async () => {
    let sent = 0
    const server = await socketServer((client) => {
      const more = (): void => {
        while (client.bufferedAmount < 1_000_000 && sent < 100_000 && client.readyState === client.OPEN)
          client.send(Buffer.alloc(10_000, ++sent))
        if (sent < 100_000 && client.readyState === client.OPEN) setTimeout(more, 1)
      }
      more()
    })
    let count = 0
    for await (const _message of socket().stream(requestFor(server.url), scopeWith(), 0)) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      if (++count === 100) break
    }
    expect(sent).toBeLessThan(5_000)
  })

  it('waits neither for a server that never opens it, nor after its signal', async () => {
    const sockets = new Set<Socket>()
    const mute = createServer((client) => void sockets.add(client)).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    onTestFinished(() => {
      for (const one of sockets) one.destroy()
      mute.close()
    })
    const url = `ws://127.0.0.1:${(mute.address() as AddressInfo).port}/`
    const late = (await rejected(messagesOf(url, { connectTimeout: '200ms' }))) as CrawlError
    expect([late.class, late.message]).toEqual(['network', expect.stringContaining('did not open within 200ms')])
    const stop = new AbortController()
    const opening = messagesOf(url, { connectTimeout: '1h' }, 0, scopeWith({ signal: stop.signal }))
    await expect.poll(() => sockets.size).toBe(2)
    stop.abort(new Error('stopped'))
    await expect(opening).rejects.toThrow('stopped')

    const server = await socketServer((client) => client.send('1'))
    const halt = new AbortController()
    const options: SocketOptions = { until: { idle: '1h' } }
    const messages = socket(options).stream(requestFor(server.url), scopeWith({ signal: halt.signal }), 0)
    const next = messages[Symbol.asyncIterator]()
    await next.next()
    // While the step has the message.
    halt.abort(new Error('halted'))
    await expect(next.next()).rejects.toThrow('halted')
  })

  it('fails by the network, a size, a private address or its signal, and shows no query', async () => {
    const server = await socketServer((client, headers) => {
      if (headers['x-do'] === 'large') client.send('x'.repeat(2_000))
      else {
        client.send('1')
        setTimeout(() => client.terminate(), 20)
      }
    })
    const broken = (await rejected(messagesOf(server.url))) as CrawlError
    expect(broken.class).toBe('network')
    expect(broken.message).not.toContain('secret')
    const stop = new AbortController()
    const silent = await socketServer(() => {})
    const waiting = messagesOf(silent.url, {}, 0, scopeWith({ signal: stop.signal }))
    await expect.poll(() => silent.open()).toBe(1)
    stop.abort(new Error('stopped'))
    await expect(waiting).rejects.toThrow('stopped')
    await expect.poll(() => silent.open()).toBe(0)
    const closed = scopeWith({ limits: { private: false } })
    for (const url of [server.url, server.url.replace('127.0.0.1', 'localhost')])
      expect(((await rejected(messagesOf(url, {}, 0, closed))) as CrawlError).class).toBe('address')
    expect(((await rejected(messagesOf('ws://127.0.0.1:9/'))) as CrawlError).class).toBe('network')
    const large = socket().stream(
      requestFor(server.url, { headers: { 'x-do': 'large' } }),
      scopeWith({ limits: { bytes: 1_000 } }),
      0,
    )
    expect(((await rejected(large[Symbol.asyncIterator]().next())) as CrawlError).class).toBe('size')
    expect(
      thrown(() => socket({ send: 1, until: { messages: 0 }, resume: 'x' } as never)).details['problems'],
    ).toHaveLength(3)
  })
})
