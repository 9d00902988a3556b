import { type RawBuilder, sql } from 'kysely'
import type { Claim, Transition } from '../../run/run.ts'

export interface FinishResult {
  /** Claims that were no longer valid. Nothing was written for them. */
  readonly lost: readonly Claim[]
  /** Claims whose runs were cancelled instead of queued again, because of a cancel request. */
  readonly cancelled: readonly Claim[]
  /** Claims whose runs were queued again instead of ended, because some of their items are queued again. */
  readonly reopened?: readonly Claim[]
}

/** How a claim ends, as `settle` decided. */
export interface Finish {
  readonly claim: Claim
  readonly transition: Transition
  /** The version of the job's config that the attempt used. */
  readonly configVersion?: number | undefined
  /** When the parts of the attempt ended; see `marksText`. */
  readonly phases?: string | undefined
  /** The generation of the run's items. Set if the run ends because none of them is queued or running. */
  readonly idleItems?: number | undefined
}

/**
 * Returns the column `phases` to update for many runs; nothing if no finish has phases. An attempt that has only a handler may have no
 * phases.
 */
export function phasesOfMany(finishes: readonly Finish[]): { phases?: RawBuilder<string | null> } {
  const arms = finishes.flatMap(({ claim, phases }) =>
    phases === undefined ? [] : sql`WHEN ${sql.lit(claim.runId)} THEN ${sql.lit(phases)}`,
  )
  return arms.length === 0 ? {} : { phases: sql<string | null>`CASE id ${sql.join(arms, sql` `)} ELSE phases END` }
}

/** Returns the column `phases` to update for one run; nothing if the finish has no phases. */
export function phasesOfOne({ phases }: Finish): { phases?: string } {
  return phases === undefined ? {} : { phases }
}
