// The other end of the measurements: `peer.ts {"kind":"piko"}` prints `ready` and `port <number>`.
import { createHash } from 'node:crypto'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { defineRoutes, listen } from 'piko/link'
import { bulk } from './measures.ts'

const { kind } = JSON.parse(process.argv[2] ?? '{}') as { kind: 'piko' | 'http2' | 'socket' }

const routes = defineRoutes()
  .on('/echo', ({ body }) => body)
  .on('/cpu', () => process.cpuUsage())
  .on('/rss', () => {
    globalThis.gc?.()
    return process.memoryUsage.rss()
  })
  // The link computes the SHA-256 at both ends, and throws at the end of the stream if they differ.
  .upload('/count', async ({ stream }) => {
    let bytes = 0
    for await (const chunk of stream) bytes += (chunk as Buffer).length
    return bytes
  })
  .upload('/file', { spool: 'file' }, async ({ stream }) => {
    let bytes = 0
    for await (const chunk of stream) bytes += (chunk as Buffer).length
    return bytes
  })
  .stream('/bulk', async function* ({ body }) {
    yield* bulk(Number(body))
  })

async function pikoPort(): Promise<string> {
  const server = listen({ port: 0, routes: [routes] })
  await server.start()
  return server.url?.split(':').at(-1) ?? ''
}

async function http2Server(): Promise<Server> {
  // Loaded by this one only: it costs 20 MB.
  const { createServer: createHttp2 } = await import('node:http2')
  const server = createHttp2()
  server.on('stream', (stream, headers) => {
    if (headers[':path'] === '/echo') {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const value: unknown = JSON.parse(Buffer.concat(chunks).toString())
        stream.respond({ ':status': 200, 'content-type': 'application/json' })
        stream.end(JSON.stringify(value))
      })
      return
    }
    const hash = createHash('sha256')
    stream.on('data', (chunk: Buffer) => hash.update(chunk))
    stream.on('end', () => {
      stream.respond({ ':status': 200 })
      stream.end(hash.digest('hex'))
    })
  })
  return server
}

function socketServer(): Server {
  return createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256')
    socket.on('data', (chunk) => hash.update(chunk))
    socket.on('end', () => socket.end(hash.digest('hex')))
  })
}

const SERVERS = { http2: http2Server, socket: socketServer }

if (kind === 'piko') console.log(`port ${await pikoPort()}`)
else {
  const server = await SERVERS[kind]()
  server.listen(0, '127.0.0.1', () => console.log(`port ${(server.address() as AddressInfo).port}`))
}
console.log('ready')
process.stdin.resume().on('end', () => process.exit())
