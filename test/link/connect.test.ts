import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineRoutes, linkOf } from 'piko/link'
import { describe, expect, it, vi } from 'vitest'
import { Connection } from '../../src/link/carrier/connection.ts'
import { DEFAULT_LIMITS } from '../../src/link/carrier/limits.ts'
import { line } from './lines.ts'
import { dialled, linked, serving } from './support.ts'
import { PATIENCE_MS } from '../support/patience.ts'

const echo = (): ReturnType<typeof defineRoutes> => defineRoutes().on('/echo', ({ body }) => body)

/** One end that offers this version. @returns why it closed, or the version that both speak */
async function offering(version: number): Promise<{ version?: number | undefined; code?: string; other: string }> {
  const [one, other] = line()
  const link = linkOf(other, { role: 'listen', routes: [echo()] })
  const { promise, resolve } = Promise.withResolvers<{ version?: number | undefined; code?: string }>()
  const events = { message: () => {}, leaving: () => {}, opened: () => resolve({ version: connection.version }) }
  const connection = new Connection(
    { duplex: one, role: 'dial', limits: DEFAULT_LIMITS, secret: undefined, nodeId: randomBytes(16), version },
    { ...events, closed: ({ code }) => resolve({ code }) },
  )
  const result = await promise
  const said = result.version === undefined ? (await link.whenClosed()).code : 'open'
  link.destroy()
  return { ...result, other: said }
}

describe('the handshake', () => {
  it('speaks the lower of two versions, and refuses the version 0 at both ends', async () => {
    expect(await offering(2)).toEqual({ version: 1, other: 'open' })
    expect(await offering(0)).toMatchObject({ other: 'LINK_VERSION' })
  })

  it('needs the same secret at both ends, and one end of each role', async () => {
    const secret = 'a secret of sixteen characters'
    const server = await serving({ secret, routes: [echo()] })
    const url = server.url ?? ''
    const link = await dialled({ url, secret })
    expect(await link.call('/echo', 1)).toBe(1)
    await expect(dialled({ url, secret: 'another one with enough characters' })).rejects.toMatchObject({
      code: 'LINK_DENIED',
    })
    await expect(dialled({ url })).rejects.toMatchObject({ code: 'LINK_DENIED' })
    expect([...server.links]).toHaveLength(1)
    const [one, other] = line()
    const [a, b] = [linkOf(one, { role: 'dial' }), linkOf(other, { role: 'dial' })]
    expect((await a.whenClosed()).message).toContain('both ends of the link have the role "dial"')
    await b.whenClosed()
  })

  it('refuses to listen to other machines without TLS and secret, and names every wrong option', async () => {
    await expect(serving({ host: '0.0.0.0' })).rejects.toThrow(
      'host 0.0.0.0 can be reached from other machines; pass tls and secret too, or listen on 127.0.0.1',
    )
    await expect(serving({ port: 70_000, secret: 'short', window: 1 })).rejects.toMatchObject({
      code: 'USAGE',
      details: {
        problems: [
          expect.stringContaining('port'),
          expect.stringContaining('secret'),
          expect.stringContaining('window'),
        ],
      },
    })
    await expect(dialled({ url: 'http://x' })).rejects.toMatchObject({ code: 'USAGE' })
    await expect(dialled({ url: 'piko://127.0.0.1:1' })).rejects.toMatchObject({ code: 'LINK_UNREACHABLE' })
  })
})

describe('a connection', () => {
  it('that is lost is dialled again: new calls wait, idempotent ones are sent again, others fail', async () => {
    const server = await serving({ routes: [echo().on('/wait', async ({ body }) => sleep(50, body))] })
    const link = await dialled({ url: server.url ?? '' })
    const states: string[] = []
    link.events.on('link.down', () => states.push('down'))
    link.events.on('link.up', () => states.push('up'))
    expect(await link.call('/echo', 1)).toBe(1)
    const failing = link.call('/wait', 2)
    const repeated = link.call('/wait', 3, { idempotent: true })
    // Both have been sent when this is answered.
    await link.call('/echo')
    for (const one of server.links) one.destroy()
    await expect(failing).rejects.toMatchObject({ code: 'LINK_LOST', details: { sent: true } })
    const waiting = link.call('/echo', 4)
    expect(await repeated).toBe(3)
    expect(await waiting).toBe(4)
    expect(states).toEqual(['down', 'up'])
    await server.stop()
    await vi.waitUntil(() => link.state === 'down', { timeout: PATIENCE_MS })
    await expect(link.call('/echo', 5, { timeout: '20ms' })).rejects.toMatchObject({ code: 'LINK_TIMEOUT' })
    await server.start()
    expect(await link.call('/echo', 6)).toBe(6)
  })

  it('that closes lets open calls end', async () => {
    const server = await serving({ routes: [echo().on('/wait', async ({ body }) => sleep(100, body))] })
    const link = await dialled({ url: server.url ?? '' })
    const open = link.call('/wait', 'done')
    await link.call('/echo')
    await Promise.all([server.stop(), expect(open).resolves.toBe('done')])
    const other = await serving({ routes: [echo().on('/wait', async ({ body }) => sleep(100, body))] })
    const closing = await dialled({ url: other.url ?? '' })
    const last = closing.call('/wait', 'done')
    await closing.call('/echo')
    await Promise.all([closing.close(), expect(last).resolves.toBe('done')])
    await expect(closing.call('/echo')).rejects.toMatchObject({ code: 'LINK_LOST' })
  })

  it('that is lost fails messages that have not begun, too', async () => {
    const link = await linked(defineRoutes().upload('/never', () => new Promise(() => {})))
    const sent = Array.from({ length: 100 }, () => link.send('/never', Buffer.alloc(1)))
    const events = [link.emit('a', 1), link.emit('b', 2)]
    link.destroy()
    const ends = await Promise.allSettled([...sent, ...events])
    expect(ends.map((end) => end.status === 'rejected' && (end.reason as { code: string }).code)).toEqual(
      ends.map(() => 'LINK_LOST'),
    )
  })

  it('that is silent for three PINGs is lost', async () => {
    const [one, other] = line()
    const peer = linkOf(other, { role: 'listen' })
    const link = linkOf(one, { role: 'dial', ping: '20ms' })
    await Promise.all([link.ready(), peer.ready()])
    // The other process hangs: it neither reads nor closes.
    other.removeAllListeners('data').pause()
    expect((await link.whenClosed()).message).toContain('did not answer three PINGs')
    peer.destroy()
  })

  it('accepts as many open messages as it says, and refuses more immediately', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    const routes = defineRoutes().on('/wait', async () => gate)
    const link = await linked(routes, { maxOpen: 5 })
    const calls = Array.from({ length: 5 }, () => link.call('/wait'))
    await expect(link.call('/wait')).rejects.toMatchObject({ code: 'LINK_FULL' })
    open()
    await Promise.all(calls)
    expect(await link.call('/wait')).toBeUndefined()
  })
})

describe('a reader that stops', () => {
  it('stops its own message alone, and the sender reads no further', async () => {
    let produced = 0
    const routes = echo().stream('/endless', async function* () {
      for (;;) {
        produced += 65_536
        yield Buffer.alloc(65_536, produced % 251)
      }
    })
    const link = await linked(routes)
    const stalled = Array.from({ length: 3 }, () => link.stream('/endless', undefined, { level: 0 }))
    for (const stream of stalled) await stream.next()
    for (let index = 0; index < 200; index++) expect(await link.call('/echo', index, { level: 3 })).toBe(index)
    // The window of each, what is on its way, and the buffer of each sender.
    expect(produced).toBeLessThan(3 * 1_500_000)
    for (const stream of stalled) await stream.return()
    await vi.waitUntil(() => link.stats().open === 0, { timeout: PATIENCE_MS })
    expect(link.stats().unreadBytes).toBe(0)
  })

  it('does not stop the connection, even if many do', async () => {
    const routes = echo().stream('/much', async function* () {
      for (let index = 0; index < 64; index++) yield Buffer.alloc(65_536, index)
    })
    const link = await linked(routes)
    const stalled = Array.from({ length: 24 }, () => link.stream('/much'))
    for (const stream of stalled) await stream.next()
    for (let index = 0; index < 50; index++) expect(await link.call('/echo', index, { timeout: '60s' })).toBe(index)
    // What was put aside is still there, in order.
    let bytes = 65_536
    for await (const chunk of stalled[7] ?? []) bytes += (chunk as Buffer).length
    expect(bytes).toBeGreaterThan(64 * 65_536 - 65_536)
    for (const stream of stalled) await stream.return()
  })
})
