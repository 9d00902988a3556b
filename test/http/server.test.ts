import { once } from 'node:events'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { PikoError } from '../../src/errors.ts'
import type { Health } from '../../src/app/health.ts'
import { buildServer, type HttpDeps, listen } from '../../src/http/server.ts'
import { createLogger } from '../../src/telemetry/log.ts'
import { defineService } from '../../src/service/define-service.ts'
import { serviceGraph } from '../../src/service/graph/graph.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'

const healthy: Health = { started: true, stopping: false, checks: { database: { ok: true } } }
const open: FastifyInstance[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()))
})

function build(change: Partial<HttpDeps> = {}): FastifyInstance {
  const metrics = new Metrics({
    host: 'h',
    sources: { active: () => 3, slots: () => 8, resources: () => [] },
  })
  const deps = {
    services: () => serviceGraph(defineService({ name: 'app' })),
    isStopping: () => false,
    health: () => healthy,
    metrics: () => metrics.render(),
    ...change,
  }
  const server = buildServer(deps)
  open.push(server)
  return server
}

async function serve(change: Partial<HttpDeps> = {}): Promise<string> {
  return listen(build(change), { host: '127.0.0.1', port: 0 })
}

async function answer(url: string, init?: RequestInit) {
  const response = await fetch(url, init)
  return { status: response.status, headers: response.headers, body: await response.json() }
}

describe('/healthz', () => {
  it('says ok while the process lives', async () => {
    const { status, body } = await answer(`${await serve()}/healthz`)
    expect({ status, body }).toEqual({ status: 200, body: { status: 'ok' } })
  })

  it('says shutting_down, still with 200, while the node stops', async () => {
    const { status, body } = await answer(`${await serve({ isStopping: () => true })}/healthz`)
    expect({ status, body }).toEqual({ status: 200, body: { status: 'shutting_down' } })
  })

  it('does not wait for hanging checks', async () => {
    const url = await serve({ health: () => new Promise<Health>(() => {}) })
    expect((await answer(`${url}/healthz`)).status).toBe(200)
  })
})

describe('/readyz', () => {
  it('is 200 with the checks when all pass', async () => {
    const { status, body } = await answer(`${await serve()}/readyz`)
    expect({ status, body }).toEqual({
      status: 200,
      body: { status: 'ready', ready: true, checks: { database: { ok: true }, process: { ok: true } } },
    })
  })

  it('is 200 on a follower', async () => {
    const checks = { leader: { ok: true, message: 'follower' } }
    const { status, body } = await answer(`${await serve({ health: () => ({ ...healthy, checks }) })}/readyz`)
    expect(status).toBe(200)
    expect(body).toMatchObject({ ready: true, checks })
  })

  it.each([
    [
      'a check fails',
      { checks: { database: { ok: false, message: 'gone' } } },
      { database: { ok: false, message: 'gone' } },
    ],
    ['the node starts', { started: false }, { process: { ok: false, message: 'starting' } }],
    [
      'the node stops',
      { stopping: true },
      { process: { ok: false, message: 'stopping: this node claims no new runs' } },
    ],
  ] as const)('is 503 and says why when %s', async (_when, change, checks) => {
    const { status, body } = await answer(`${await serve({ health: async () => ({ ...healthy, ...change }) })}/readyz`)
    expect(status).toBe(503)
    expect(body).toMatchObject({ status: 'not_ready', ready: false, checks })
  })

  it('is 503 when the checks themselves fail, and shows no password', async () => {
    const health = () => Promise.reject(new Error('no route to mysql://root:hunter2@db'))
    const { status, body } = await answer(`${await serve({ health })}/readyz`)
    expect(status).toBe(503)
    expect(body).toEqual({
      status: 'not_ready',
      ready: false,
      checks: { health: { ok: false, message: 'the checks failed: no route to mysql://root:[redacted]@db' } },
    })
  })
})

describe('/metrics', () => {
  it('answers in the text format of Prometheus', async () => {
    const response = await fetch(`${await serve()}/metrics`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(await response.text()).toContain('\npiko_runs_active 3\n')
  })
})

describe('errors', () => {
  it.each([
    ['GET', '/nothing?password=x', 404, 'NOT_FOUND', 'there is no GET /nothing'],
    ['POST', '/healthz', 404, 'NOT_FOUND', 'there is no POST /healthz'],
    ['GET', '/%zz', 400, 'FST_ERR_BAD_URL', "'/%zz' is not a valid url component"],
  ])('%s %s is %i, as JSON', async (method, path, status, code, message) => {
    const { headers, ...got } = await answer(`${await serve()}${path}`, { method })
    expect(got).toEqual({ status, body: { error: { code, message } } })
    expect(headers.get('cache-control')).toBe('no-store')
  })

  it('inside the server are logged but not shown', async () => {
    const stream = new PassThrough({ encoding: 'utf8' })
    const logger = createLogger({ level: 'info', json: true, name: 'piko', stream })
    const url = await serve({ logger, metrics: () => Promise.reject(new Error('secret detail')) })
    const { status, body } = await answer(`${url}/metrics`)
    expect({ status, body }).toEqual({
      status: 500,
      body: { error: { code: 'INTERNAL', message: "the server could not answer; see this node's log" } },
    })
    expect(JSON.parse(String(stream.read()))).toMatchObject({
      level: 'error',
      url: '/metrics',
      err: { message: 'secret detail' },
    })
  })

  it('of the protocol are answered in the same shape', async () => {
    const { port } = new URL(await serve())
    const socket = connect(Number(port), '127.0.0.1')
    socket.end('this is no request\r\n\r\n')
    const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
    expect(head).toMatch(/^HTTP\/1\.1 400 /)
    expect(JSON.parse(body)).toEqual({ error: { code: 'REQUEST_INVALID', message: 'this is not an HTTP request' } })
  })
})

describe('answers', () => {
  it.each(['/healthz', '/readyz', '/metrics', '/nothing'])('of %s are never cached', async (path) => {
    const response = await fetch(`${await serve()}${path}`)
    expect(response.headers.get('cache-control')).toBe('no-store')
    await response.text()
  })
})

describe('listen', () => {
  it('returns the address with the chosen port', async () => {
    expect(await serve()).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/)
  })

  it('names the used port and the setting to change', async () => {
    const { port } = new URL(await serve())
    await expect(listen(build(), { host: '127.0.0.1', port: Number(port) })).rejects.toMatchObject({
      constructor: PikoError,
      code: 'HTTP_LISTEN_FAILED',
      message: `cannot listen on 127.0.0.1:${port}: the port is in use; set [http] port (PIKO_HTTP__PORT) to a free one, or 0 for any`,
      details: { host: '127.0.0.1', port: Number(port), reason: 'EADDRINUSE' },
    })
  })

  it('says that a host is not an address of this machine', async () => {
    await expect(listen(build(), { host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
      code: 'HTTP_LISTEN_FAILED',
      message: expect.stringContaining('set [http] host (PIKO_HTTP__HOST)') as string,
    })
  })
})

describe('a connection', () => {
  it.each([
    ['sends nothing', ''],
    ['sends half a request', 'GET /healthz HTTP/1.1\r\nhost: x\r\n'],
  ])('that %s is closed after a while', async (_what, sent) => {
    const url = await serve()
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => {}).resume()
    socket.write(sent)
    await once(socket, 'close')
  })
})

describe('close', () => {
  it('ends idle connections immediately', async () => {
    const server = build()
    const url = await listen(server, { host: '127.0.0.1', port: 0 })
    server.server.keepAliveTimeout = 600_000
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
    const [head] = (await once(socket, 'data')) as [Buffer]
    expect(head.toString()).toMatch(/^HTTP\/1\.1 200 [^]*connection: keep-alive/i)
    const ended = once(socket.resume(), 'end')
    const started = performance.now()
    await server.close()
    await ended
    expect(performance.now() - started).toBeLessThan(60_000)
    socket.destroy()
  })

  it.each([
    ['nothing', ''],
    ['half a request line', 'GET /hea'],
    ['half of the headers', 'GET /healthz HTTP/1.1\r\nhost: x\r\n'],
    ['a body that does not come', 'POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc'],
    ['a request whose answer does not come', 'GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n'],
  ])('does not wait for a client that has sent %s', async (_what, sent) => {
    const server = build({ health: () => new Promise<Health>(() => {}) })
    const url = await listen(server, { host: '127.0.0.1', port: 0 })
    const sockets = Array.from({ length: 3 }, () => connect(Number(new URL(url).port), '127.0.0.1'))
    for (const socket of sockets) {
      socket.on('error', () => {}).resume()
      await once(socket, 'connect')
      socket.write(sent)
    }
    // Once the server answers this later request, it has received the others.
    await fetch(`${url}/healthz`)
    const gone = Promise.all(sockets.map((socket) => once(socket, 'close')))
    await server.close()
    await gone
  })

  it('waits for an answer under way and sends it', async () => {
    const asked = Promise.withResolvers<void>()
    const release = Promise.withResolvers<Health>()
    const server = build({
      health: () => {
        asked.resolve()
        return release.promise
      },
    })
    const url = await listen(server, { host: '127.0.0.1', port: 0 })
    const pending = answer(`${url}/readyz`)
    await asked.promise
    const closing = server.close()
    release.resolve(healthy)
    expect((await pending).status).toBe(200)
    await closing
    await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed')
  })

  it('leaves no listener on the process', async () => {
    const listeners = (): number => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
    const before = listeners()
    for (let round = 0; round < 12; round++) {
      const server = build()
      await listen(server, { host: '127.0.0.1', port: 0 })
      await server.close()
    }
    expect(listeners()).toBe(before)
  })
})
