import { type RawBuilder, sql } from 'kysely'
import type { Claim } from '../../run/run.ts'
import type { Dialect } from '../connection/dialect.ts'
import { FENCE_FACTOR } from '../runs/fence.ts'
import { exactKey } from '../values/exact-key.ts'

/** The claim that stores a step, and its node. */
export interface StepOwner {
  readonly nodeId: string
  readonly claim: Pick<Claim, 'runId' | 'jobId' | 'fence' | 'attempt'>
}

export interface NewStep extends StepOwner {
  readonly name: string
  /** The position of the step among the steps that this claim stored. */
  readonly seq: number
  /** The result as JSON; null for undefined. */
  readonly result: string | null
  readonly ms: number
  readonly tries: number
  /** When the wait of `ctx.until` began. `'now'`: when this row is stored. Undefined if there was no wait. */
  readonly waitingSince?: Date | 'now' | undefined
  /** False while `ctx.until` is waiting; then there is no result yet. */
  readonly isFinished: boolean
}

export const STEP_COLUMNS = [
  'run_id',
  'name',
  'fence',
  'seq',
  'attempt',
  'result',
  'ms',
  'tries',
  'waiting_since',
  'finished_at',
] as const

/**
 * Builds a query that returns the run's id while its claim is valid, otherwise no row. A process that takes the run away waits until this
 * statement or transaction ends.
 */
export function heldRun(dialect: Dialect, { nodeId, claim: { runId, fence } }: StepOwner): RawBuilder<number> {
  return sql<number>`SELECT id FROM piko_run WHERE id = ${sql.lit(runId)} AND claims = ${sql.lit(
    fence - runId * FENCE_FACTOR,
  )} AND node_id = ${nodeId} AND ${dialect.checkedState} = 'running'${dialect.forShare}`
}

/** Returns the values of a row, in the order of `STEP_COLUMNS`. */
export function stepValues(dialect: Dialect, step: NewStep, runId: RawBuilder<unknown>): RawBuilder<unknown> {
  const { claim, name, seq, result, ms, tries, waitingSince, isFinished } = step
  const since = waitingSince === 'now' ? dialect.now() : waitingSince && dialect.instant(waitingSince)
  return sql`(${sql.join([
    runId,
    exactKey(name),
    sql.lit(claim.fence),
    sql.lit(seq),
    sql.lit(claim.attempt),
    result,
    sql.lit(ms),
    sql.lit(tries),
    since ?? sql`NULL`,
    isFinished ? dialect.now() : sql`NULL`,
  ])})`
}
