import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { type IncomingMessage, request as ask } from 'node:http'
import { Readable } from 'node:stream'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { fastify, type FastifyInstance } from 'fastify'
import { serveRoutes, sockets } from 'piko/http'
import { answer, defineRoutes, dial, type Link, listen } from 'piko/link'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { PATIENCE_MS } from '../support/patience.ts'

const ignore = (): void => {}

const users = defineRoutes({
  prefix: '/user',
  onError: (error) => ({ status: 422, body: { problem: (error as Error).message } }),
})
  .on('/list', { in: z.object({ page: z.coerce.number() }), method: 'GET' }, ({ body, via }) => ({
    page: body.page,
    via: via !== undefined,
  }))
  .on('/save', { in: z.object({ name: z.string() }) }, ({ body }) => answer(201, { saved: body.name }))
  .on('/fail', () => {
    throw new Error('no paper')
  })
  .on('/nothing', () => undefined)
  .on('/bytes', () => Buffer.from([1, 2, 3]))
  .stream('/many', async function* () {
    yield { n: 1 }
    yield { n: 2 }
  })
  .upload('/up', async ({ stream }) => {
    let bytes = 0
    for await (const chunk of stream) bytes += (chunk as Buffer).length
    return { bytes }
  })

it('answers a HEAD as a GET without its body, and closes a stream that nobody reads', async () => {
  let isClosed = false
  const routes = defineRoutes({ prefix: '/r' })
    .on('/list', { method: 'GET' }, () => answer(203, { a: 1 }, { etag: '"x"' }))
    .on('/save', () => 1)
    .on('/file', { method: 'GET' }, () => new Readable({ read: ignore }).once('close', () => (isClosed = true)))
  const server = fastify()
  await server.register(serveRoutes(routes))
  const url = await server.listen({ port: 0 })
  onTestFinished(() => server.close())
  const head = async (path: string) => {
    const { status, headers } = await fetch(`${url}/r/${path}`, { method: 'HEAD' })
    return [status, headers.get('etag'), headers.get('content-length'), headers.get('content-type')]
  }
  expect(await head('list')).toEqual([203, '"x"', '7', 'application/json; charset=utf-8'])
  expect(await head('file')).toEqual([200, null, null, 'application/octet-stream'])
  expect(isClosed).toBe(true)
  expect((await head('save'))[0]).toBe(404)
})

async function started(): Promise<{ server: FastifyInstance; url: string; link: Link }> {
  const server = fastify()
  server.get('/health', () => 'ok')
  await server.register(serveRoutes(users))
  const url = await server.listen({ port: 0 })
  onTestFinished(() => server.close())
  const listening = listen({ port: 0, routes: [users] })
  await listening.start()
  onTestFinished(() => listening.stop())
  const link = await dial({ url: listening.url ?? '' })
  onTestFinished(() => link.close())
  return { server, url, link }
}

async function post(url: string, body: unknown, type = 'application/json'): Promise<{ status: number; body: unknown }> {
  const sent = body instanceof Uint8Array ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body)
  const response = await fetch(url, { method: 'POST', body: sent ?? null, headers: { 'content-type': type } })
  const text = await response.text()
  return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) }
}

describe('routes over HTTP', () => {
  it('send headers as strings, and refuse those that can not be one', async () => {
    const server = fastify()
    const limited = defineRoutes({
      onError: () => ({ status: 429, headers: { 'retry-after': 5, 'x-none': undefined } }),
    }).on('/busy', () => {
      throw new Error('busy')
    })
    const wrong = defineRoutes({ prefix: '/wrong' })
      .on('/list', () => answer(200, 1, ['a'] as never))
      .on('/object', () => answer(200, 1, { a: {} } as never))
      .on('/lines', () => answer(200, 1, { 'x-a': 'one\ntwo' }))
      .on('/letters', () => answer(200, Readable.from(['x']), { 'x-a': '5 €' }))
      .on('/name', () => answer(200, 1, { 'x a': '1' }))
      .on('/framing', () => answer(200, 1, { 'transfer-encoding': 'chunked' }))
    const errors: unknown[] = []
    const note = (fields: unknown): void => void errors.push((fields as { err: unknown }).err)
    const log = { trace: note, debug: note, info: note, warn: note, error: note }
    await server.register(serveRoutes([limited, wrong], { log }))
    const url = await server.listen({ port: 0 })
    onTestFinished(() => server.close())
    const { status, headers } = await fetch(`${url}/busy`, { method: 'POST' })
    expect([status, headers.get('retry-after'), headers.get('x-none')]).toEqual([429, '5', null])
    const paths = ['list', 'object', 'lines', 'letters', 'name', 'framing']
    for (const path of paths)
      expect(await post(`${url}/wrong/${path}`, 1)).toMatchObject({ status: 500, body: { code: 'INTERNAL' } })
    expect(errors).toMatchObject(paths.map(() => ({ code: 'USAGE' })))
    expect(String(errors[2])).toContain('the header "x-a" of an answer can\'t be sent over HTTP')
  })

  it('hide why a file could not be read, and close what a client no longer reads', async () => {
    const closed = Promise.withResolvers<string>()
    const began = Promise.withResolvers<void>()
    const log = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }
    const routes = defineRoutes()
      .on('/missing', { method: 'GET' }, () => createReadStream('/no/such/file'))
      .stream('/waiting', async function* ({ signal }) {
        began.resolve()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        try {
          yield 1
        } finally {
          closed.resolve('closed')
        }
      })
    const server = fastify({ forceCloseConnections: true })
    await server.register(serveRoutes(routes, { log }))
    const url = await server.listen({ port: 0 })
    onTestFinished(() => server.close())
    const response = await fetch(`${url}/missing`)
    expect([response.status, await response.text()]).toEqual([
      500,
      '{"code":"INTERNAL","message":"the handler failed"}',
    ])
    const aborter = new AbortController()
    const reading = fetch(`${url}/waiting`, { method: 'POST', signal: aborter.signal })
    await began.promise
    aborter.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
    expect(await closed.promise).toBe('closed')
  })

  it('answer as they do over a link', async () => {
    const { url, link } = await started()
    expect(await (await fetch(`${url}/user/list?page=3`)).json()).toEqual(await link.call('/user/list', { page: '3' }))
    expect(await post(`${url}/user/save`, { name: 'Ada' })).toEqual({ status: 201, body: { saved: 'Ada' } })
    expect(await link.call('/user/save', { name: 'Ada' })).toEqual({ saved: 'Ada' })
    for (const [route, body] of [
      ['/user/fail', {}],
      ['/user/save', {}],
    ] as const) {
      const over = await post(url + route, body)
      expect(over.status).toBe(422)
      await expect(link.call(route, body)).rejects.toMatchObject({ details: over })
    }
    expect(await post(`${url}/user/nothing`, 1)).toEqual({ status: 200, body: undefined })
    const bytes = await fetch(`${url}/user/bytes`, { method: 'POST' })
    expect([bytes.headers.get('content-type'), Buffer.from(await bytes.arrayBuffer())]).toEqual([
      'application/octet-stream',
      await link.call('/user/bytes'),
    ])
    expect(await (await fetch(`${url}/user/many`, { method: 'POST' })).text()).toBe('{"n":1}\n{"n":2}\n')
    expect(await post(`${url}/user/up`, Buffer.alloc(300_000), 'application/octet-stream')).toEqual({
      status: 200,
      body: { bytes: 300_000 },
    })
    expect(await link.send('/user/up', Buffer.alloc(300_000))).toEqual({ bytes: 300_000 })
    expect(await post(`${url}/user/none`, 1)).toMatchObject({ status: 404, body: { code: 'LINK_NO_ROUTE' } })
    expect(await (await fetch(`${url}/health`)).text()).toBe('ok')
    users.on('/late', () => 'late')
    onTestFinished(() => void users.remove('/late'))
    expect(await post(`${url}/user/late`, 1)).toEqual({ status: 200, body: 'late' })
  })

  it('abort the handler when the client goes, and refuse bodies that are too large', async () => {
    const aborted = Promise.withResolvers<string>()
    const slow = defineRoutes()
      .on('/slow', async ({ signal }) => {
        signal.addEventListener('abort', () => aborted.resolve('aborted'))
        await new Promise(() => {})
      })
      .on('/echo', ({ body }) => body)
    const server = fastify({ forceCloseConnections: true })
    await server.register(serveRoutes(slow, { maxJsonBytes: 2_000 }))
    const url = await server.listen({ port: 0 })
    onTestFinished(() => server.close())
    const aborter = new AbortController()
    const request = fetch(`${url}/slow`, { method: 'POST', signal: aborter.signal })
    await vi.waitUntil(() => server.server.listening, { timeout: PATIENCE_MS })
    setTimeout(() => aborter.abort(), 200)
    await expect(request).rejects.toThrow()
    expect(await aborted.promise).toBe('aborted')
    expect(await post(`${url}/echo`, 'x'.repeat(3_000))).toMatchObject({
      status: 413,
      body: { code: 'LINK_TOO_LARGE' },
    })
  })
})

describe('WebSockets', () => {
  it('echo and broadcast, and a client that does not read is cut off while others get everything', async () => {
    const clients = sockets({ path: '/ws', onMessage: (message, client) => client.send(message) })
    const server = fastify()
    await server.register(clients.plugin)
    const url = await server.listen({ port: 0 })
    onTestFinished(() => server.close())
    const reader = new WebSocket(`${url.replace('http', 'ws')}/ws`)
    await once(reader, 'open')
    reader.send('hello')
    expect(String(((await once(reader, 'message')) as [Buffer])[0])).toBe('hello')

    const { port } = server.server.address() as AddressInfo
    const deaf = connect(port, '127.0.0.1')
    deaf.write(
      'GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n',
    )
    await vi.waitUntil(() => clients.size === 2, { timeout: PATIENCE_MS })
    deaf.pause()
    onTestFinished(() => void deaf.destroy())
    let received = 0
    reader.on('message', () => received++)
    let sent = 0
    // More than the buffers of the system hold.
    while (clients.size === 2 && sent < 1_000) {
      clients.broadcast({ price: 'x'.repeat(100_000), sent: ++sent })
      await vi.waitUntil(() => received === sent, { timeout: PATIENCE_MS })
    }
    expect(clients.size).toBe(1)
    expect(clients.broadcast('still here')).toBe(1)
    await vi.waitUntil(() => received === sent + 1, { timeout: PATIENCE_MS })

    const foreign = new WebSocket(`${url.replace('http', 'ws')}/ws`, { origin: 'https://evil.example' })
    const [refused] = (await once(foreign, 'error')) as [Error]
    expect(refused.message).toContain('403')
    reader.close()
  })

  it('leave other requests to the server, also those that offer another protocol', async () => {
    const server = fastify()
    for (const path of ['/one', '/two'])
      await server.register(sockets({ path, onMessage: (_message, client) => client.send(path) }).plugin)
    server.get('/page', () => 'a page')
    const url = await server.listen({ port: 0 })
    onTestFinished(() => server.close())
    const offering = async (path: string, upgrade: string): Promise<number | undefined> => {
      const headers = {
        connection: 'upgrade',
        upgrade,
        'sec-websocket-version': '13',
        'sec-websocket-key': 'MDEyMzQ1Njc4OWFiY2RlZg==',
      }
      const request = ask(`${url}${path}`, { headers })
      request.on('upgrade', (_response, socket: Socket) => socket.destroy()).end()
      const [response] = (await Promise.race([once(request, 'response'), once(request, 'upgrade')])) as [
        IncomingMessage,
      ]
      response.resume()
      return response.statusCode
    }
    expect(await Promise.all([offering('/page', 'h2c'), offering('/page', 'websocket')])).toEqual([200, 200])
    expect(await Promise.all([offering('/none', 'websocket'), offering('/two', 'h2c')])).toEqual([404, 404])
    expect(await Promise.all([offering('/one', 'websocket'), offering('/two', 'WebSocket')])).toEqual([101, 101])
    const twice = fastify()
    await twice.register(sockets({ path: '/one' }).plugin)
    await expect(twice.register(sockets({ path: '/one' }).plugin)).rejects.toMatchObject({ code: 'USAGE' })
  })
})
