import type { JobPolicy } from '../../job/spec.ts'

/** The limits of a job's runs, and the current number of runs. */
export interface JobLimits {
  readonly jobId: string
  /** The job's running runs, counted up to 10,000. */
  readonly running: number
  /** The job's queued runs, counted up to 10,000. */
  readonly queued: number
  /** The limits in this process's code; undefined if it has no code for the job. */
  readonly declared: DeclaredLimits | undefined
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
