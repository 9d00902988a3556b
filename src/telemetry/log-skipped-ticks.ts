import { counted } from '../counted.ts'
import type { Events } from '../events.ts'
import type { Logger } from '../logger.ts'

/** The skipped ticks of one job, for one reason, that follow the first one. */
interface Further {
  readonly jobId: string
  readonly reason: string
  count: number
  last: Date
}

const BURST_MS = 1_000

/**
 * Logs skipped ticks. For each job and reason, the first one gets its own line, and all others of the same second share a line. After an
 * hour in which nothing ran, a job with a tick each second has 3,600 of them. Returns the function that stops the logging.
 */
export function logSkippedTicks(events: Events, log: Logger): () => void {
  const bursts = new Map<string, Further>()
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    timer = undefined
    for (const { jobId, reason, count, last } of bursts.values()) {
      if (count === 0) continue
      const fields = { piko_event: 'tick.skipped', job_id: jobId, count, last: last.toISOString(), reason }
      log.info(fields, `${counted(count, 'more tick')} skipped`)
    }
    bursts.clear()
  }
  const off = events.on('tick.skipped', ({ jobId, tick, reason }) => {
    const key = `${reason} ${jobId}`
    const burst = bursts.get(key)
    if (burst) {
      burst.count += 1
      burst.last = tick
      return
    }
    bursts.set(key, { jobId, reason, count: 0, last: tick })
    log.info({ piko_event: 'tick.skipped', job_id: jobId, tick: tick.toISOString(), reason }, 'tick skipped')
    timer ??= setTimeout(flush, BURST_MS).unref()
  })
  return () => {
    off()
    clearTimeout(timer)
    flush()
  }
}
