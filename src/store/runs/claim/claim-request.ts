import { type AdmissionLimits } from '../../../run/limits.ts'
import { type Claim } from '../../../run/run.ts'
import { type BrokenRow } from '../../values/broken-row.ts'
import { type Share } from './claim-spread.ts'
import { type RefusedRate } from '../../admission/rate-windows.ts'
import { type Blocked } from '../../admission/blocked.ts'

/** For a claim of what is not due yet, and starts at its time. Of jobs with limits, which would count it as running, nothing is taken. */
export interface EarlyRequest {
  /** What is due within so many milliseconds. */
  readonly aheadMs: number
  /** Nothing with a greater priority number. Default: all. */
  readonly maxPriority?: number | undefined
}

export interface ClaimRequest {
  readonly nodeId: string
  readonly limit: number
  /** Claim only these jobs. Default: all. */
  readonly only?: readonly string[]
  /** Leave these aside: a whole job, or the runs of a job with a key. */
  readonly except?: readonly Blocked[]
  readonly early?: EarlyRequest
  /** Take this share alone of what is due; see `ClaimSpread`. */
  readonly share?: Share | undefined
  /** Runs that are left aside by their ids. */
  readonly without?: ReadonlySet<number> | undefined
  /** Over all nodes, for the jobs that have such limits. */
  readonly limits: ReadonlyMap<string, AdmissionLimits>
  /** The node's clock, by which places within a rate are valid. Default: the process's. */
  readonly monotonic?: (() => number) | undefined
}

export interface ClaimResult {
  readonly claims: readonly Claim[]
  /** Whose due runs were left in the queue because of a limit. */
  readonly blocked: readonly Blocked[]
  /** The priority of the first run of a job with limits that an early claim has left; what has a greater number was left with it. */
  readonly leftPriority?: number | undefined
  /** Rows of due runs that can't be read, found and reported by this claim; the next one leaves them out. */
  readonly broken?: readonly BrokenRow[] | undefined
  /** Rates whose rows the database refuses. */
  readonly refused?: readonly RefusedRate[] | undefined
}
