import type { JobPolicy } from '../../job/spec.ts'
import type { ResourceStatus } from '../../store/nodes/node-store.ts'

/** The limits of a job's runs, and the current number of runs. */
export interface JobLimits {
  readonly jobId: string
  /** The job's running runs, counted up to 10,000. */
  readonly running: number
  /** The job's queued runs, counted up to 10,000. */
  readonly queued: number
  /** The limits in this process's code; undefined if it has no code for the job. */
  readonly declared: DeclaredLimits | undefined
  /**
   * How many attempts count toward the job's rate limit now. If the limit has a key, this is the count of the key with the most attempts.
   * Undefined without a rate limit, or if this process has no code for the job.
   */
  readonly rateUse: { readonly taken: number; readonly key: string | undefined } | undefined
  /** The resources that the job's runs borrow, with their use on all nodes together. */
  readonly pools: readonly PoolUse[]
}

/** How much of a resource is in use, on all nodes together. */
export interface PoolUse {
  readonly name: string
  readonly borrowed: number
  /** How many runs are waiting for a slot. */
  readonly waiting: number
  /** The number of slots; null: no limit. */
  readonly size: number | null
}

/** Adds up the figures of the named resources. Pure. */
export function poolUse(names: readonly string[], resources: readonly ResourceStatus[]): PoolUse[] {
  return names.flatMap((name) => {
    const own = resources.filter((one) => one.name === name)
    const sum = (of: (one: ResourceStatus) => number): number => own.reduce((total, one) => total + of(one), 0)
    if (own.length === 0) return []
    return {
      ...{ name, borrowed: sum(({ borrowed }) => borrowed), waiting: sum(({ waiting }) => waiting) },
      size: own.some(({ size }) => size === null) ? null : sum(({ size }) => size ?? 0),
    }
  })
}

export interface DeclaredLimits {
  /** The maximum number of runs at the same time, across all nodes; undefined: no limit. */
  readonly concurrency: number | undefined
  /** The maximum number of windows that run at the same time, without those of backfills. */
  readonly parallel: number | undefined
  /** The maximum number of running runs with the same key. */
  readonly perKey: number | undefined
  readonly rate: { readonly limit: number; readonly perMs: number; readonly isKeyed: boolean } | undefined
  readonly overlap: string
  readonly timeoutMs: number | undefined
  /** The maximum number of attempts of a run; null: no limit. */
  readonly attempts: number | null
  readonly misfireGraceMs: number
  readonly priority: number
}

/** Returns the limits of a policy. Pure. */
export function declaredLimits({
  limits,
  overlap,
  timeoutMs,
  retry,
  misfireGraceMs,
  priority,
}: JobPolicy): DeclaredLimits {
  const { concurrency, parallel, perKey, rate } = limits ?? {}
  return {
    ...{ concurrency, parallel, perKey, rate, overlap, timeoutMs, misfireGraceMs, priority },
    attempts: Number.isFinite(retry.limit) ? retry.limit + 1 : null,
  }
}
