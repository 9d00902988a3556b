// A link's port under garbage, minute after minute: 10,000 connections each of random bytes, half-open ones and slow ones, beside an honest
// client. Then the same garbage at a bare `node:net` server with the same limits in such a process, because Node's own sockets need memory too.
// node bench/scripts/link-scan.ts [seconds of a round] [rounds]. Prints the p99 of the honest client, and memory after each round.
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { getHeapSpaceStatistics } from 'node:v8'
import { defineRoutes, dial, type Link, listen } from 'piko/link'

const CONNECTIONS = 10_000
/** A link closes connections after this time, and refuses those beyond this many. */
const HANDSHAKE_MS = 10_000
const MAX_HANDSHAKES = 100
const V8_PAGE = 262_144
const [seconds, rounds] = [Number(process.argv[2] ?? 60), Number(process.argv[3] ?? 3)]

interface Memory {
  readonly rssMb: number
  readonly heapMb: number
  /** The memory of V8's young generation. It grows in steps while objects survive its collections, to twice 16 MB, and stays so. */
  readonly youngMb: number
  /** Resident pages of V8's heap on Linux, including free ones that V8 keeps for its young generation: up to 48 MB. */
  readonly pagesMb: number
}

if (process.send) await serve()
else for (const kind of ['link', 'bare'] as const) await scan(kind)

async function serve(): Promise<void> {
  process.on('message', () => {
    globalThis.gc?.()
    const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')
    process.send?.({ ...process.memoryUsage(), young: young?.physical_space_size, pages: pageBytes() })
  })
  process.on('disconnect', () => process.exit())
  process.send?.({ link: await linkUrl(), bare: await barePort() })
}

/** The resident bytes of the mappings that V8's heap uses: anonymous, and of whole pages of 256 KB. */
function pageBytes(): number {
  let bytes = 0
  let isPage = false
  for (const line of existsSync('/proc/self/smaps') ? readFileSync('/proc/self/smaps', 'utf8').split('\n') : []) {
    const [, from, to, path] = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+\s*(.*)$/.exec(line) ?? []
    if (from !== undefined && to !== undefined)
      isPage = path === '' && [from, to].every((end) => Number(`0x${end}`) % V8_PAGE === 0)
    if (isPage) bytes += Number(/^Rss:\s+(\d+) kB/.exec(line)?.[1] ?? 0) * 1_024
  }
  return bytes
}

async function linkUrl(): Promise<string> {
  const server = listen({ port: 0, routes: [defineRoutes().on('/echo', ({ body }) => body)] })
  await server.start()
  return server.url ?? ''
}

async function barePort(): Promise<number> {
  let open = 0
  const server = createServer((socket) => {
    socket.on('error', () => {})
    if (open >= MAX_HANDSHAKES) return void socket.destroy()
    open++
    const timer = setTimeout(() => socket.destroy(), HANDSHAKE_MS)
    socket.on('data', (bytes) => void (bytes[0] === 0x50 || socket.destroy()))
    socket.on('close', () => {
      open--
      clearTimeout(timer)
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

async function scan(kind: 'link' | 'bare'): Promise<void> {
  const file = fileURLToPath(import.meta.url)
  const child = fork(file, { execArgv: [...process.execArgv, '--expose-gc'] })
  const [{ link: url, bare }] = (await once(child, 'message')) as [{ link: string; bare: number }]
  const link = await dial({ url })
  const port = kind === 'bare' ? bare : Number(url.split(':').at(-1))
  await latency(link, 2_000)
  const rows = [{ kind, round: 0, opened: 0, p99: await latency(link, 5_000), ...(await memory(child)) }]
  for (let round = 1; round <= rounds; round++) {
    const scanning = garbageFor(port, seconds)
    const p99 = await latency(link, seconds * 1_000)
    const opened = await scanning
    await sleep(HANDSHAKE_MS + 1_000)
    rows.push({ kind, round, opened, p99, ...(await memory(child)) })
  }
  console.table(rows)
  await link.close()
  child.kill()
  await once(child, 'exit')
}

/** Opens connections evenly over this time. @returns how many */
async function garbageFor(port: number, lastsSeconds: number): Promise<number> {
  let opened = 0
  const until = performance.now() + lastsSeconds * 1_000
  while (performance.now() < until) {
    for (let index = 0; index < 17; index++) garbage(port, opened++)
    await sleep((lastsSeconds * 1_000 * 17) / CONNECTIONS)
  }
  return opened
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

async function memory(child: ChildProcess): Promise<Memory> {
  child.send('memory')
  const [{ rss, heapUsed, young, pages }] = (await once(child, 'message')) as [
    NodeJS.MemoryUsage & { young: number; pages: number },
  ]
  return {
    rssMb: Math.round(rss / 1e6),
    heapMb: Number((heapUsed / 1e6).toFixed(1)),
    youngMb: Number((young / 1e6).toFixed(1)),
    pagesMb: Math.round(pages / 1e6),
  }
}
