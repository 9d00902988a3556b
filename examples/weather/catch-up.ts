import { setTimeout as sleep } from 'node:timers/promises'
import type { Piko } from 'piko'

const POLL_MS = 150
/** After this long without progress, the demo says what it is waiting for. */
const PATIENCE_MS = 1_000

export interface WindowCounts {
  readonly succeeded: number
  readonly failed: number
}

/**
 * Resolves when every window of the job has settled.
 *
 * @param options.own ids of runs that this process has begun
 * @param options.onStalled called once when nothing progresses and runs of other processes are under way
 * @throws the signal's reason when it aborts
 */
export async function catchUp(
  app: Piko,
  jobId: string,
  total: number,
  options: {
    own: ReadonlySet<number>
    signal: AbortSignal
    onProgress: (done: number) => void
    onStalled: (count: number) => void
  },
): Promise<WindowCounts> {
  let last = -1
  let movedAt = performance.now()
  let hasReported = false
  for (;;) {
    const { counts } = await app.windows.summary(jobId)
    const { succeeded, failed, cancelled, skipped } = counts
    const done = succeeded + failed + cancelled + skipped
    options.onProgress(done)
    if (done >= total) return { succeeded, failed }
    if (done !== last) [last, movedAt] = [done, performance.now()]
    if (!hasReported && performance.now() - movedAt > PATIENCE_MS) {
      const foreign = await runningElsewhere(app, jobId, total, options.own)
      if (foreign > 0) options.onStalled(foreign)
      hasReported = foreign > 0
    }
    await sleep(POLL_MS, undefined, { signal: options.signal })
  }
}

async function runningElsewhere(app: Piko, jobId: string, limit: number, own: ReadonlySet<number>): Promise<number> {
  const pending = await app.windows.list(jobId, { state: 'pending', limit })
  return pending.filter(({ state, runId }) => state === 'running' && runId !== undefined && !own.has(runId)).length
}
