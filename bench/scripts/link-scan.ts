// A link's port under garbage for a minute: 10,000 connections of random bytes, half-open ones and slow ones, beside an honest client.
// node bench/scripts/link-scan.ts [seconds]. Prints the level-0 latency before and during, and the memory of the serving process.
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { defineRoutes, dial, type Link, listen } from 'piko/link'

const CONNECTIONS = 10_000
const seconds = Number(process.argv[2] ?? 60)

if (process.send) {
  const routes = defineRoutes()
    .on('/echo', ({ body }) => body)
    .on('/memory', () => {
      globalThis.gc?.()
      return process.memoryUsage()
    })
  const server = listen({ port: 0, routes: [routes] })
  await server.start()
  process.send(server.url)
} else {
  const child = fork(fileURLToPath(import.meta.url), { execArgv: [...process.execArgv, '--expose-gc'] })
  const [url] = (await once(child, 'message')) as [string]
  const link = await dial({ url })
  const port = Number(new URL(url.replace('piko:', 'http:')).port)
  await latency(link, 2_000)
  const before = { p99: await latency(link, 5_000), ...(await memory(link)) }
  let opened = 0
  const until = performance.now() + seconds * 1_000
  const scanning = (async () => {
    while (performance.now() < until) {
      for (let index = 0; index < 17; index++) garbage(port, opened++)
      await sleep((seconds * 1_000 * 17) / CONNECTIONS)
    }
  })()
  const during = await latency(link, seconds * 1_000)
  await scanning
  await sleep(11_000)
  const after = await memory(link)
  console.log(JSON.stringify({ opened, before, during: { p99: during }, after }, undefined, 2))
  await link.close()
  child.kill()
}

function garbage(port: number, index: number): void {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  socket.resume()
  if (index % 3 === 0) socket.write(randomBytes(4_096))
  // Slow: one byte of a good preface each second, until the other end has had enough.
  if (index % 3 === 1) {
    const timer = setInterval(() => socket.write('P'), 1_000)
    socket.on('close', () => clearInterval(timer))
  }
}

/** The p99 of a small call, in milliseconds. */
async function latency(link: Link, ms: number): Promise<number> {
  const took: number[] = []
  const until = performance.now() + ms
  while (performance.now() < until) {
    const began = performance.now()
    await link.call('/echo', 1, { level: 0 })
    took.push(performance.now() - began)
    await sleep(2)
  }
  took.sort((a, b) => a - b)
  return Number((took[Math.floor(took.length * 0.99)] ?? 0).toFixed(2))
}

async function memory(link: Link): Promise<{ readonly rssMb: number; readonly heapMb: number }> {
  const { rss, heapUsed } = (await link.call('/memory')) as NodeJS.MemoryUsage
  return { rssMb: Math.round(rss / 2 ** 20), heapMb: Number((heapUsed / 2 ** 20).toFixed(1)) }
}
