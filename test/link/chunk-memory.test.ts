import { createHash } from 'node:crypto'
import { connect, createServer } from 'node:net'
import { Readable } from 'node:stream'
import { defineRoutes, linkOf } from 'piko/link'
import { expect, it, onTestFinished } from 'vitest'
import { ChunkMemory } from '../../src/link/carrier/chunk-memory.ts'
import { linkOver } from '../../src/link/connect/link-of.ts'

const BYTES = 8_388_608

function* pieces(): Generator<Buffer> {
  for (let at = 0; at < BYTES; at += 65_536) yield Buffer.alloc(65_536, at / 65_536)
}

function hashOf(chunks: Iterable<Buffer>): string {
  const hash = createHash('sha256')
  for (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

it('frees a chunk when each of its bytes was used, and no other', () => {
  const memory = new ChunkMemory()
  const [own, foreign] = [Buffer.alloc(20_000), Buffer.alloc(20_000)]
  memory.own(own)
  memory.used(own.subarray(0, 16))
  memory.used(own.subarray(30, 20_000))
  expect(own.length).toBe(20_000)
  memory.used(own.subarray(16, 30))
  expect(own.length).toBe(0)
  memory.used(foreign)
  expect(foreign.length).toBe(20_000)
  // Only a part of it belongs to the chunk.
  const part = Buffer.from(new ArrayBuffer(40_000), 0, 20_000)
  memory.own(part)
  memory.used(part)
  expect(part.length).toBe(20_000)
})

it('frees what was written to a file while other messages of the same chunks stay whole', async () => {
  const arrived: Buffer[] = []
  const kept: Buffer[] = []
  const routes = defineRoutes()
    .upload('/file', { spool: 'file' }, async ({ stream }) => hashOf((await stream.toArray()) as Buffer[]))
    .on('/keep', ({ body }) => kept.push(body as Buffer))
  const server = createServer((socket) => {
    socket.on('data', (chunk) => arrived.push(chunk))
    const link = linkOver(socket, { role: 'listen', routes: [routes] }, { ownsChunks: true })
    onTestFinished(() => link.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number }
  const link = linkOf(connect(port, '127.0.0.1'), { role: 'dial' })
  onTestFinished(() => link.destroy())

  const upload = link.send('/file', Readable.from(pieces(), { objectMode: false }), { level: 2 })
  const small = Array.from({ length: 20 }, (_, at) => link.call('/keep', Buffer.alloc(10_000, at)))
  await Promise.all(small)
  expect(await upload).toBe(hashOf(pieces()))

  const freed = arrived.filter(({ length }) => length === 0).length
  expect(freed / arrived.filter(({ length }) => length === 0 || length >= 16_384).length).toBeGreaterThan(0.7)
  expect(kept.length).toBe(20)
  for (const body of kept) expect(body.equals(Buffer.alloc(10_000, body[0]))).toBe(true)
})
