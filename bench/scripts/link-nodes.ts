// What links between nodes are worth: node bench/scripts/link-nodes.ts. Two processes on the MySQL of PIKO_MYSQL__DSN, or on one SQLite file.
// Measures, with links and without: a cancel until the handler's signal aborts; a line of the log until it is followed; new work until it begins.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineJob, Piko } from 'piko'

const ROUNDS = 40
const now = (): number => performance.timeOrigin + performance.now()

interface Order {
  readonly path: string
  readonly listen: string
  readonly doorbell: string
}

function settingsOf({ path, listen, doorbell }: Order) {
  const dsn = process.env['PIKO_MYSQL__DSN']
  const store = dsn === undefined ? { sqlite: { path } } : { mysql: { dsn } }
  return { ...store, link: { listen }, piko: { log_level: 'silent', doorbell, poll_interval: '1s' } } as const
}

const jobs = [
  defineJob({ id: 'bench_hold' }, async ({ signal, log }) => {
    const timer = setInterval(() => log.info(String(now())), 100)
    signal.addEventListener('abort', () => clearInterval(timer), { once: true })
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    process.send?.(now())
  }),
  defineJob({ id: 'bench_work' }, () => now()),
]

if (process.send) {
  const app = new Piko({ jobs, settings: settingsOf(JSON.parse(process.argv[2] ?? '') as Order) })
  await app.start()
  process.send('ready')
} else {
  const folder = mkdtempSync(join(tmpdir(), 'piko-nodes-'))
  const rows: object[] = []
  for (const [name, listen, doorbell] of [
    ['link', 'auto', 'off'],
    ['datagram', 'off', 'auto'],
    ['both', 'auto', 'auto'],
    ['poll', 'off', 'off'],
  ] as const) {
    const order = { path: join(folder, `${name}.db`), listen, doorbell }
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(order)])
    await once(child, 'message')
    const app = new Piko({ jobs, settings: settingsOf(order), execute: false })
    await app.start()
    const cancels: number[] = []
    const lines: number[] = []
    const starts: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const work = await app.enqueue('bench_work')
      const enqueuedAt = now()
      starts.push(Number((await app.waitFor(work)).output) - enqueuedAt)
      const id = await app.enqueue('bench_hold')
      let heard = 0
      for await (const news of app.runs.follow(id)) {
        // The first lines may be older than the follower.
        if (news.kind !== 'line' || ++heard < 10) continue
        lines.push(now() - Number(news.line.message))
        break
      }
      const aborted = once(child, 'message')
      const cancelledAt = now()
      await app.runs.cancel(id)
      cancels.push(Number(((await aborted) as [number])[0]) - cancelledAt)
    }
    rows.push({ name, cancel: spread(cancels), line: spread(lines), start: spread(starts) })
    await app.stop()
    child.kill()
    await once(child, 'exit')
  }
  console.table(rows)
  rmSync(folder, { recursive: true })
}

/** The median and the 95th percentile, in milliseconds. */
function spread(values: number[]): string {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1)
  return `${at(0.5)} / ${at(0.95)}`
}
