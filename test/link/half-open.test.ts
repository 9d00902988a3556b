import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { defineRoutes, type ListenOptions } from 'piko/link'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { Certificates } from '../support/certificates.ts'
import { HalfOpen } from '../../src/link/connect/half-open.ts'
import { dialled, serving } from './support.ts'
import { PATIENCE_MS } from '../support/patience.ts'

const nothing = (): void => {}
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }
const routes = [defineRoutes().on('/echo', ({ body }) => body)]

let tls: { readonly cert: Buffer; readonly key: Buffer }
let ca: Buffer

beforeAll(async () => {
  const certificates = await Certificates.create()
  certificates.sign('DNS:localhost')
  const [authority, cert, key] = ['authority.pem', 'server.pem', 'server.key'].map((name) =>
    readFileSync(certificates.file(name)),
  ) as [Buffer, Buffer, Buffer]
  certificates.remove()
  tls = { cert, key }
  ca = authority
})

/** Opens connections that send nothing. @returns which of them are still open */
async function silent(url: string, count: number): Promise<Set<Socket>> {
  const port = Number(new URL(url.replace(/^[\w+]+:/, 'http:')).port)
  const open = new Set<Socket>()
  await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(port, '127.0.0.1')
      onTestFinished(() => void socket.destroy())
      open.add(socket)
      socket.on('error', nothing).resume()
      socket.once('close', () => open.delete(socket))
      await once(socket, 'connect')
    }),
  )
  return open
}

describe.each(['TCP', 'TLS', 'WebSocket', 'WebSocket over TLS'])('connections over %s', (over) => {
  const options = (): Partial<ListenOptions> => ({
    log: SILENT,
    routes,
    ...(over.startsWith('WebSocket') && { websocket: true, path: '/link' }),
    ...(over.endsWith('TLS') && { tls }),
  })

  it('that stay half open are limited in number, and closed after the time of the handshake', async () => {
    const server = await serving({ ...options(), handshake: '2s' })
    const url = (server.url ?? '').replace('127.0.0.1', 'localhost')
    const link = await dialled({ url, tls: { ca } })
    const open = await silent(url, 150)
    // There are 100 places, so the oldest are closed immediately.
    await vi.waitUntil(() => open.size <= 100, { timeout: PATIENCE_MS })
    await vi.waitUntil(() => open.size === 0, { timeout: PATIENCE_MS })
    // A link that was open before is not affected, and new ones are accepted again.
    expect(await link.call('/echo', 1)).toBe(1)
    expect(await (await dialled({ url, tls: { ca } })).call('/echo', 2)).toBe(2)
    expect(server.links.size).toBe(2)
  })

  it('that stay half open keep no new client out, however many they are', async () => {
    const server = await serving({ ...options(), handshake: '1h' })
    const url = (server.url ?? '').replace('127.0.0.1', 'localhost')
    const open = await silent(url, 150)
    await vi.waitUntil(() => open.size <= 100, { timeout: PATIENCE_MS })
    const [link] = await Promise.all([dialled({ url, tls: { ca } }), silent(url, 50)])
    expect(await link.call('/echo', 1)).toBe(1)
    expect(server.links.size).toBe(1)
  })
})

it('the address with the most half open connections loses its oldest', () => {
  const closed: string[] = []
  const halfOpen = new HalfOpen(4)
  const arrive = (name: string, address: string | undefined) => {
    const connection = { address, close: () => void closed.push(name) }
    halfOpen.add(connection)
    return connection
  }
  const first = arrive('honest', '10.0.0.1')
  for (const name of ['a', 'b', 'c', 'd']) arrive(name, '10.0.0.2')
  expect(closed).toEqual(['a'])
  // All addresses of one /64 count as one.
  for (const [name, address] of [
    ['e', '2001:db8:0:1::5'],
    ['f', '2001:db8::1:2:3:4:5'],
    ['g', '2001:db8:0:1:ffff::'],
  ] as const)
    arrive(name, address)
  expect(closed).toEqual(['a', 'b', 'c', 'e'])
  expect([halfOpen.delete(first), halfOpen.delete(first)]).toEqual([true, false])
  arrive('h', undefined)
  expect(closed).toEqual(['a', 'b', 'c', 'e'])
  halfOpen.closeAll()
  expect(closed.slice(4).toSorted()).toEqual(['d', 'f', 'g', 'h'])
})

describe('a half open connection', () => {
  it('does not delay the stop of its server, even if its TLS handshake is finished', async () => {
    const server = await serving({ tls, websocket: true, log: SILENT, handshake: '1h' })
    const open = await silent(server.url ?? '', 2)
    const port = Number(new URL(server.url ?? '').port)
    const socket = connectTls({ port, ca, servername: 'localhost' })
    socket.on('error', nothing).resume()
    await once(socket, 'secureConnect')
    const closed = once(socket, 'close')
    await server.stop()
    await closed
    await vi.waitUntil(() => open.size === 0, { timeout: PATIENCE_MS })
  })
})
