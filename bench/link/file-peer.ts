// Receives 1 GB into a file: over a link, or by plain Node. `["piko"|"plain"]` prints `ready` and `port <number>`. Has no import of another
// TypeScript file, because what converts it stays in memory: 18 MB.
import { createWriteStream, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const peak = (): number => process.resourceUsage().maxRSS * 1_024

async function pikoPort(): Promise<number> {
  const { defineRoutes, listen } = await import('piko/link')
  const routes = defineRoutes()
    .on('/rss', () => {
      globalThis.gc?.()
      return process.memoryUsage.rss()
    })
    // The body is complete in its file when the handler is called.
    .upload('/file', { spool: 'file' }, async ({ stream }) => {
      const rss = peak()
      let bytes = 0
      for await (const chunk of stream) bytes += (chunk as Buffer).length
      return { bytes, rss }
    })
  const server = listen({ port: 0, routes: [routes] })
  await server.start()
  return Number(server.url?.split(':').at(-1))
}

function plainPort(): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const path = join(tmpdir(), `piko-link-plain-${process.pid}`)
    const before = process.memoryUsage.rss()
    socket.pipe(createWriteStream(path)).on('close', () => {
      rmSync(path)
      socket.end(JSON.stringify({ before, rss: peak() }))
    })
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

const [kind] = JSON.parse(process.argv.at(-1) ?? '') as [string]
console.log(`port ${await (kind === 'piko' ? pikoPort() : plainPort())}`)
console.log('ready')
process.stdin.resume().on('end', () => process.exit())
