import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { defineJob, Piko } from 'piko'
import { percentile } from '../harness/percentile.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'

/** After this time the node has registered its jobs and leads. */
const WARM_UP_MS = 5_000

const MINUTE_MS = 60_000

/** Jobs on schedules on one node. Measures how late each tick's handler begins, and what the node uses when none is due. */
export default async function cron(config: SystemConfig): Promise<Found> {
  const { shape, jobs, ...asked } = config as SystemConfig & { shape: string; jobs: number; seconds: number }
  // A burst comes once a minute.
  const seconds = shape === 'burst' ? Math.ceil(asked.seconds / 60) * 60 : asked.seconds
  const lateMs: number[] = []
  let isMeasuring = false
  const all = Array.from({ length: jobs }, (_, index) =>
    defineJob({ id: `job_${index}`, cron: expression(shape, index) }, ({ scheduledTime }) => {
      if (isMeasuring) lateMs.push(Date.now() - scheduledTime.getTime())
    }),
  )
  const app = new Piko({
    jobs: all,
    settings: { piko: { log_level: 'silent', concurrency: 2_000 }, ...storeSettings(config) },
  })
  const starting = performance.now()
  await app.start()
  const startMs = performance.now() - starting
  // Measures a burst as a whole, from the middle of one minute to the middle of another.
  const toHalf = (1.5 * MINUTE_MS - (Date.now() % MINUTE_MS)) % MINUTE_MS
  await sleep(shape === 'burst' ? toHalf + (toHalf < WARM_UP_MS ? MINUTE_MS : 0) : WARM_UP_MS)
  const before = await questions(config)
  isMeasuring = true
  const cpu = process.cpuUsage()
  const began = performance.now()
  await sleep(seconds * 1_000)
  isMeasuring = false
  const { user, system } = process.cpuUsage(cpu)
  const tookMs = performance.now() - began
  const asking = ((await questions(config)) - before) / (tookMs / 1_000)
  const about = await aboutPiko(app, config)
  await app.stop()
  return {
    about,
    values: {
      ...(lateMs.length > 0
        ? {
            'lateness p50': { value: percentile(lateMs, 50), unit: 'ms' },
            'lateness p99': { value: percentile(lateMs, 99), unit: 'ms' },
            'lateness, maximum': { value: percentile(lateMs, 100), unit: 'ms' },
            ticks: { value: lateMs.length, unit: 'ticks' },
          }
        : {}),
      CPU: { value: ((user + system) / 1_000 / tookMs) * 100, unit: '% of a core' },
      start: { value: startMs, unit: 'ms' },
      ...(Number.isNaN(asking) ? {} : { queries: { value: asking, unit: 'queries/s' } }),
    },
    settings: { jobs, shape, seconds },
  }
}

/** `spread`: each once a minute, over its seconds. `burst`: all at second 0. `idle`: hourly, half an hour from now. */
function expression(shape: string, index: number): string {
  switch (shape) {
    case 'spread':
      return `${index % 60} * * * * *`
    case 'burst':
      return '* * * * *'
    case 'idle':
      return `${(new Date().getUTCMinutes() + 30) % 60} * * * *`
    default:
      throw new Error(`the shape is "${shape}"; expected spread, burst or idle`)
  }
}

async function questions({ store, dsn }: SystemConfig): Promise<number> {
  if (store === 'sqlite') return NaN
  const watch = await createConnection(dsn)
  const [rows] = await watch.query<RowDataPacket[]>(`SHOW GLOBAL STATUS LIKE 'Questions'`)
  await watch.end()
  return Number(rows[0]?.['Value'])
}
