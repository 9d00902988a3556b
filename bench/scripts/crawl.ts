import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, Piko } from 'piko'
import type { Found } from '../harness/rounds.ts'
import { payload, type SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'

/**
 * Items with some milliseconds of I/O each, and parallel workers. Every item is a durable run. Measures the time from the request until the
 * last outcome is stored.
 */
export default async function crawl(config: SystemConfig): Promise<Found> {
  const { items, workers, ioMs } = config as SystemConfig & { items: number; workers: number; ioMs: number }
  const fetchItem = defineJob({ id: 'fetch' }, () => sleep(ioMs))
  const app = new Piko({
    jobs: fetchItem,
    settings: { piko: { log_level: 'silent', concurrency: workers }, ...storeSettings(config) },
  })
  await app.start()
  const crawled = async (count: number): Promise<number> => {
    const done = Promise.withResolvers<void>()
    let left = count
    const off = app.events.on('run.settled', () => --left === 0 && done.resolve())
    const began = performance.now()
    await app.enqueueMany(
      'fetch',
      Array.from({ length: count }, (_, id) => ({ input: payload(id) })),
    )
    await done.promise
    off()
    return performance.now() - began
  }
  await crawled(items) // Warms up: opens connections, compiles code and wakes both processes.
  const ms = await crawled(items)
  const about = await aboutPiko(app, config)
  await app.stop()
  const rate = (items / ms) * 1_000
  return {
    about,
    values: {
      items: { value: rate, unit: 'items/s' },
      'share of the maximum': { value: (rate / ((workers / ioMs) * 1_000)) * 100, unit: '%' },
    },
    settings: { items, workers, ioMs },
  }
}
