/** Upper bounds in seconds. */
export const POOL_BUCKETS_S = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300] as const

/** Durations, counted by bucket. Reading and writing needs no library. */
export class Durations {
  /** Durations up to each bound of `POOL_BUCKETS_S`; the last is for longer ones. */
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

/** Why a call failed. */
export type FailureReason = 'error' | 'cancelled' | 'timeout' | 'memory' | 'exit' | 'crashed' | 'copy'

/** What a pool has done since the start of the process. */
export class PoolFigures {
  /** From the call to the moment a thread begins with it. */
  readonly waits = new Durations()
  /** From then to the end of the call. */
  readonly runs = new Durations()
  readonly failures = new Map<FailureReason, number>()
  /** Threads that were replaced after their share of calls or memory. */
  recycled = 0

  failed(reason: FailureReason): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1)
  }
}
