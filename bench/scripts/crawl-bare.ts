import { setTimeout as sleep } from 'node:timers/promises'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'

/**
 * The work of `crawl.ts` without anything durable: parallel loops over one list. The result is the maximum that this machine's timers
 * allow.
 */
export default async function crawlBare(config: SystemConfig): Promise<Found> {
  const { items, workers, ioMs } = config as SystemConfig & { items: number; workers: number; ioMs: number }
  let left = items
  const began = performance.now()
  await Promise.all(
    Array.from({ length: workers }, async () => {
      while (left-- > 0) await sleep(ioMs)
    }),
  )
  const rate = (items / (performance.now() - began)) * 1_000
  return {
    about: { versions: {}, settings: {} },
    values: {
      items: { value: rate, unit: 'items/s' },
      'share of the maximum': { value: (rate / ((workers / ioMs) * 1_000)) * 100, unit: '%' },
    },
    settings: { items, workers, ioMs },
  }
}
