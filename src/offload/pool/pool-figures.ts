/** The upper bounds of the histogram's buckets, in seconds. */
export const POOL_BUCKETS_S = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300] as const

/** A histogram of durations. It does not need the metrics library, so code that offloads does not load it. */
export class Durations {
  /** How many durations are in each bucket of `POOL_BUCKETS_S`, and in a last bucket for longer ones. */
  readonly counts: number[] = new Array<number>(POOL_BUCKETS_S.length + 1).fill(0)
  sumS = 0

  add(ms: number): void {
    const seconds = ms / 1_000
    const index = POOL_BUCKETS_S.findIndex((bound) => seconds <= bound)
    const at = index === -1 ? POOL_BUCKETS_S.length : index
    this.counts[at] = (this.counts[at] ?? 0) + 1
    this.sumS += seconds
  }
}

/** All reasons for which a call can fail. */
export const FAILURE_REASONS = ['error', 'cancelled', 'timeout', 'memory', 'exit', 'crashed', 'copy'] as const

/** Why a call failed. */
export type FailureReason = (typeof FAILURE_REASONS)[number]

/** The figures of a pool since the process started. */
export class PoolFigures {
  /** The time from each call until a thread begins to execute it. */
  readonly waits = new Durations()
  /** The time from when a thread begins a call until the call ends. */
  readonly runs = new Durations()
  readonly failures = new Map<FailureReason, number>()
  /** How many threads were replaced because of the option `recycle`. */
  recycled = 0

  failed(reason: FailureReason): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1)
  }
}
