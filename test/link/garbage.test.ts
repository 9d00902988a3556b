import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { defineRoutes } from 'piko/link'
import { expect, it, onTestFinished } from 'vitest'
import type { Logger } from '../../src/logger.ts'
import { dialled, serving } from './support.ts'

/** What a port scanner sends: random bytes, nothing at all, another protocol, a preface that never ends. */
const KINDS: readonly ((socket: Socket) => void)[] = [
  (socket) => socket.write(randomBytes(4_096)),
  () => {},
  (socket) => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'),
  (socket) => socket.write('PIKOLINK'),
  (socket) => socket.end(randomBytes(3)),
]

it('a port scan ends at the handshake, leaves nothing behind and one line in the log; an honest link continues', async () => {
  const lines: string[] = []
  const note = (_fields: object | string, message = ''): void => void lines.push(message)
  const log: Logger = { trace: () => {}, debug: () => {}, info: note, warn: note, error: note }
  const routes = defineRoutes().on('/echo', ({ body }) => body)
  const server = await serving({ routes: [routes], log, handshake: '300ms' })
  const link = await dialled({ url: server.url ?? '' })
  const port = Number(new URL(server.url!.replace('piko:', 'http:')).port)
  const closed: Promise<unknown>[] = []
  for (let index = 0; index < 300; index++) {
    const socket = connect({ port, host: '127.0.0.1' })
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    closed.push(new Promise((resolve) => socket.resume().on('close', resolve)))
    socket.on('connect', () => KINDS[index % KINDS.length]?.(socket))
    if (index % 50 === 0) expect(await link.call('/echo', index)).toBe(index)
  }
  await Promise.all(closed)
  expect(await link.call('/echo', 'still here')).toBe('still here')
  expect(server.links.size).toBe(1)
  expect(lines).toEqual(['[^link]: refused connections that did not complete the handshake of a link'])
})
