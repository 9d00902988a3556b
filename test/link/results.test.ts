import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { createGzip, gunzipSync } from 'node:zlib'
import { fastify } from 'fastify'
import { serveRoutes } from 'piko/http'
import { defineRoutes, dial, linkOf, listen, type Routes } from 'piko/link'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { linked, serving } from './support.ts'
import { PATIENCE_MS } from '../support/patience.ts'

const nothing = (): void => {}
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }
const FAILED = { code: 'LINK_FAILED', details: { status: 500, body: { code: 'INTERNAL' } } }

/** Middleware that answers later than the handler, so that a stream may fail in between. */
const late = async (_request: unknown, next: () => Promise<unknown>): Promise<unknown> => {
  const result = await next()
  await new Promise((resolve) => setTimeout(resolve, 20))
  return result
}

async function all(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const seen: unknown[] = []
  for await (const item of items) seen.push(item)
  return seen
}

describe('a stream that fails', () => {
  it('before its first byte or later fails the call that reads it, however it is read', async () => {
    const missing = (): Readable => createReadStream('/no/such/file')
    const half = (): Readable =>
      Readable.from(
        (async function* () {
          yield Buffer.alloc(100_000)
          await turn()
          throw new Error('the disk is gone')
        })(),
      )
    const routes = defineRoutes()
      .on('/missing', missing)
      .on('/half', half)
      .mount(defineRoutes({ prefix: '/late', use: [late] }).on('/missing', missing))
    const link = await linked(routes, { log: SILENT })
    for (const route of ['/missing', '/late/missing', '/half']) {
      await expect(link.call(route)).rejects.toMatchObject(FAILED)
      await expect((await link.open(route)).bytes()).rejects.toMatchObject(FAILED)
      await expect((await link.open(route)).file()).rejects.toMatchObject(FAILED)
      await expect(all((await link.open(route)).stream())).rejects.toMatchObject(FAILED)
      await expect(all(link.stream(route))).rejects.toMatchObject(FAILED)
    }
    expect([link.state, link.stats().open]).toEqual(['up', 0])
  })

  it('with an answer that JSON can not represent fails alone', async () => {
    const routes = defineRoutes({ onError: () => ({ status: 422, body: { n: 1n } }) }).stream(
      '/values',
      async function* () {
        yield 1
        await turn()
        throw new Error('no more')
      },
    )
    const link = await linked(routes, { log: SILENT })
    await expect(all(link.stream('/values'))).rejects.toMatchObject(FAILED)
    await expect(link.call('/values', 0, { timeout: '5s' })).rejects.toMatchObject(FAILED)
    expect(link.state).toBe('up')
  })
})

describe('what a handler has opened', () => {
  it('is closed if its middleware fails or answers something else, or its caller has gone', async () => {
    const closed: string[] = []
    const files: Readable[] = []
    const started = Promise.withResolvers<void>()
    const items = (name: string) =>
      async function* (): AsyncGenerator<number> {
        try {
          yield 1
          yield 2
        } finally {
          closed.push(name)
        }
      }
    const file = (): Readable => {
      const opened = Readable.from(['x'])
      files.push(opened)
      return opened
    }
    const failing = defineRoutes({
      prefix: '/failing',
      use: [
        async (_request, next) => {
          await next()
          throw new Error('cannot count it')
        },
      ],
    })
      .stream('/items', items('failing'))
      .on('/file', file)
    const other = defineRoutes({ prefix: '/other', after: [() => 'something else'] }).stream('/items', items('other'))
    const waiting = defineRoutes().stream('/waiting', async function* ({ signal }) {
      started.resolve()
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      yield* items('waiting')()
    })
    const link = await linked(defineRoutes().mount(failing).mount(other).mount(waiting), { log: SILENT })
    await expect(all(link.stream('/failing/items'))).rejects.toMatchObject(FAILED)
    await expect(link.call('/failing/file')).rejects.toMatchObject(FAILED)
    expect(await link.call('/other/items')).toBe('something else')
    const aborter = new AbortController()
    const reading = all(link.stream('/waiting', 0, { signal: aborter.signal }))
    await started.promise
    aborter.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
    await vi.waitFor(() => expect(closed).toEqual(['failing', 'other', 'waiting']), { timeout: PATIENCE_MS })
    expect(files.map(({ destroyed }) => destroyed)).toEqual([true])
  })

  it('is not read twice: a second next() of a middleware fails', async () => {
    const errors: unknown[] = []
    const log = { ...SILENT, error: (fields: unknown) => void errors.push((fields as { err: Error }).err.message) }
    const twice = defineRoutes({
      use: [
        async (_request, next) => {
          await next()
          return next()
        },
      ],
    }).on('/echo', ({ body }) => body)
    const link = await linked(twice, { log })
    await expect(link.call('/echo', 5)).rejects.toMatchObject(FAILED)
    expect(errors).toEqual([expect.stringContaining('called next() twice')])
  })
})

describe('an upload', () => {
  const lines = async function* (): AsyncGenerator<Buffer> {
    for (let line = 0; line < 200; line++) yield Buffer.alloc(20_000, `${line}\n`)
  }
  const routes = defineRoutes({ onError: (error) => ({ status: 422, body: { why: (error as Error).message } }) })
    .upload('/import', async ({ stream }) => {
      for await (const chunk of stream) throw new Error(`line ${String(chunk).slice(0, 1)} is wrong`)
    })
    .upload('/compress', ({ stream }) => stream.pipe(createGzip()))
    .upload('/compress-file', { spool: 'file' }, ({ stream }) => stream.pipe(createGzip()))

  it('whose handler fails in the middle is answered, over a link and over HTTP', async () => {
    const link = await linked(routes)
    await expect(link.send('/import', lines())).rejects.toMatchObject({
      code: 'LINK_FAILED',
      details: { status: 422, body: { why: 'line 0 is wrong' } },
    })
    expect(link.stats().open).toBe(0)
    const server = fastify({ forceCloseConnections: true })
    await server.register(serveRoutes(routes))
    const url = await server.listen({ port: 0 })
    onTestFinished(() => server.close())
    const response = await fetch(`${url}/import`, { method: 'POST', body: Buffer.alloc(50_000, '0\n') })
    expect([response.status, await response.json()]).toEqual([422, { why: 'line 0 is wrong' }])
  })

  it('or a stream of values that its handler does not read to the end is answered, and its source closed', async () => {
    const first = defineRoutes().on('/first', async ({ body }) => {
      for await (const value of body as AsyncIterable<unknown>) return value
      return undefined
    })
    const link = await linked(first)
    let isClosed = false
    const values = async function* (): AsyncGenerator<string> {
      try {
        for (let value = 0; value < 1_000; value++) yield `${value} ${'x'.repeat(10_000)}`
      } finally {
        isClosed = true
      }
    }
    expect(await link.call('/first', values())).toMatch(/^0 x/)
    await vi.waitUntil(() => isClosed && link.stats().open === 0, { timeout: PATIENCE_MS })
  })

  it('can be the source of its own answer', async () => {
    const link = await linked(routes)
    const whole = Buffer.concat((await all(lines())) as Buffer[])
    for (const route of ['/compress', '/compress-file'])
      expect(gunzipSync((await link.send(route, lines())) as Buffer).equals(whole)).toBe(true)
    await vi.waitUntil(() => link.stats().open === 0, { timeout: PATIENCE_MS })
  })

  it('may be any kind of bytes, and what JSON would lose is refused', async () => {
    const link = await linked(defineRoutes().on('/bytes', ({ body }) => body))
    const numbers = Uint16Array.of(1, 258)
    for (const bytes of [numbers, numbers.buffer, new DataView(numbers.buffer)])
      expect(await link.call('/bytes', bytes)).toEqual(Buffer.from([1, 0, 2, 1]))
    await expect(link.call('/bytes', new Map([['a', 1]]))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('body is a Map') as string,
    })
  })
})

describe('routes that change while links are open', () => {
  it('and contradict each other stay as they were, and the log says why', async () => {
    const errors: string[] = []
    const log = {
      ...SILENT,
      error: (fields: unknown) => void errors.push((fields as { err: Error }).err.message),
      child: () => log,
    }
    const routes = defineRoutes().on('/echo', ({ body }) => body)
    const link = await linked(routes, { log })
    const again = defineRoutes()
      .on('/echo', () => 'again')
      .on('/new', () => 'new')
    routes.mount(again)
    expect([await link.call('/echo', 1), await link.call('/echo', 2)]).toEqual([1, 2])
    expect(errors).toEqual([expect.stringContaining('two routes have the path "/echo"')])
    again.remove('/echo')
    expect(await link.call('/new')).toBe('new')
    expect(link.state).toBe('up')
  })

  it('name a path that can not be parsed where it is added', async () => {
    expect(() => defineRoutes().on('/a*b', nothing)).toThrow('Wildcard must be the last character')
    expect(() => listen({ port: 0, routes: [defineRoutes({ prefix: '/a*' }).on('/b', nothing)] })).toThrow(
      'the path "/a*/b" can\'t be used: Wildcard must be the last character',
    )
  })
})

describe('an event', () => {
  it('can not be a stream, and an attempt to send one uses no place', async () => {
    const server = await serving({ routes: [] as Routes[], maxOpen: 2 })
    await using link = await dial({ url: server.url ?? '' })
    for (const payload of [Readable.from(['x']), (async function* () {})(), Readable.from([])])
      await expect(link.emit('price', payload)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('payload must be a JSON value or bytes, not a stream') as string,
      })
    await link.emit('price', 1)
    expect(link.stats().open).toBe(0)
  })

  it('reaches all links but those that do not read, of which at most 8 MB wait', async () => {
    const server = await serving({ routes: [] as Routes[] })
    const seen: unknown[] = []
    await using reader = await dial({ url: server.url ?? '' })
    reader.events.on('news', (bytes) => void seen.push((bytes as Buffer).length))
    const socket = connect(Number(new URL((server.url ?? '').replace('piko', 'http')).port), '127.0.0.1')
    await using deaf = linkOf(socket, { role: 'dial' })
    await deaf.ready()
    await vi.waitUntil(() => server.links.size === 2, { timeout: PATIENCE_MS })
    socket.pause()
    const news = Buffer.alloc(9_000_000)
    const counts: number[] = []
    // More than the buffers of the system hold, and more than may wait.
    for (let sent = 0; sent < 2; sent++) counts.push(await server.broadcast('news', news))
    await vi.waitUntil(() => seen.length === 2, { timeout: PATIENCE_MS })
    expect(seen).toEqual(Array.from({ length: 2 }, () => news.length))
    expect(counts.at(-1)).toBe(1)
    const [, stuck] = server.links
    await expect(stuck?.emit('news', news)).rejects.toMatchObject({ code: 'LINK_FULL' })
    socket.resume()
  })
})
