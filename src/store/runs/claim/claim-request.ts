import type { AdmissionLimits } from '../../../run/limits.ts'
import type { Claim } from '../../../run/run.ts'
import type { BrokenRow } from '../../values/broken-row.ts'
import type { Share } from './claim-spread.ts'
import type { RefusedRate } from '../../admission/rate-windows.ts'
import type { Blocked } from '../../admission/blocked.ts'

/**
 * A request for runs that are not due yet. They start when they are due. Jobs with limits are excluded, because these runs would already
 * count as running against the limits.
 */
export interface EarlyRequest {
  /** Only runs that are due within this many milliseconds. */
  readonly aheadMs: number
  /** Leaves out runs with a greater priority number. Default: leaves out none. */
  readonly maxPriority?: number | undefined
}

export interface ClaimRequest {
  readonly nodeId: string
  readonly limit: number
  /** Claims only runs of these jobs. Default: all jobs. */
  readonly only?: readonly string[]
  /** Claims only these runs. Default: all runs. */
  readonly ids?: readonly number[]
  /** Does not claim these runs. */
  readonly except?: readonly Blocked[]
  readonly early?: EarlyRequest
  /** Claims only runs of this share of the queue; see `ClaimSpread`. */
  readonly share?: Share | undefined
  /** Ids of runs that must not be claimed. */
  readonly without?: ReadonlySet<number> | undefined
  /** The limits across all nodes, for the jobs that have limits. */
  readonly limits: ReadonlyMap<string, AdmissionLimits>
  /** The node's clock in milliseconds. It decides whether the places in a rate are still valid. Default: the process's monotonic clock. */
  readonly monotonic?: (() => number) | undefined
}

export interface ClaimResult {
  readonly claims: readonly Claim[]
  /**
   * Runs that stayed in the queue because of a limit, because another transaction has locked the row of their job or backfill, or because
   * the database refused their rate.
   */
  readonly blocked: readonly Blocked[]
  /**
   * The priority of the first run of a job with limits that an early claim left in the queue. The claim took no run with a greater priority
   * number.
   */
  readonly leftPriority?: number | undefined
  /** Due runs with unreadable rows that this claim found and reported. The next claim leaves them out. */
  readonly broken?: readonly BrokenRow[] | undefined
  /** Rates whose rows the database refuses. */
  readonly refused?: readonly RefusedRate[] | undefined
}
