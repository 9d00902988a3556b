import { type ExpressionBuilder, sql } from 'kysely'
import type { RunKind, RunState } from '../../run/run.ts'
import { type InstantInput, instantOf } from '../../time/instant.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import { exactId } from '../values/exact-key.ts'

/** Which runs to list. */
export interface RunFilter {
  readonly jobId?: string
  readonly state?: RunState
  readonly kind?: RunKind
  /** Only runs that were created at this time or later. */
  readonly from?: InstantInput
  /** Only runs that were created before this time. */
  readonly to?: InstantInput
  /** Only runs whose last error contains this text. */
  readonly error?: string
  /** Only runs with smaller ids, which are older. */
  readonly before?: number
  /** The maximum number of runs to list, newest first. Default: 100. */
  readonly limit?: number
}

/** Whether an index lists the runs in this state. */
export function isIndexed(state: RunState | undefined): boolean {
  return state === 'queued' || state === 'running' || state === 'failed'
}

/** Returns the condition of a filter, without its limit. */
export function fits(
  eb: ExpressionBuilder<Pick<Tables, 'piko_run'>, 'piko_run'>,
  dialect: Dialect,
  { jobId, state, kind, from, to, error, before }: RunFilter,
) {
  return eb.and([
    ...(jobId === undefined ? [] : [eb('piko_run.job_id', '=', exactId(jobId))]),
    // The state is a literal, because SQLite does not use the index on that state for a bound value.
    ...(state === undefined ? [] : [eb('piko_run.state', '=', isIndexed(state) ? sql.lit(state) : state)]),
    ...(kind === undefined ? [] : [eb('piko_run.kind', '=', kind)]),
    ...(from === undefined ? [] : [eb('piko_run.created_at', '>=', dialect.instant(instantOf('from', from)))]),
    ...(to === undefined ? [] : [eb('piko_run.created_at', '<', dialect.instant(instantOf('to', to)))]),
    ...(error === undefined ? [] : [errorContains(error)]),
    ...(before === undefined ? [] : [eb('piko_run.id', '<', before)]),
  ])
}

/** Whether the stored error, which is JSON, contains the text. */
export function errorContains(text: string) {
  const inJson = JSON.stringify(text).slice(1, -1)
  const pattern = `%${inJson.replaceAll(/[!%_]/g, '!$&')}%`
  return sql<boolean>`piko_run.error LIKE ${pattern} ESCAPE '!'`
}

/** The size of a row's large columns, in bytes. */
export const BYTES = sql<number>`
  COALESCE(octet_length(config), 0) + COALESCE(octet_length(input), 0) + COALESCE(octet_length(output), 0) + COALESCE(octet_length(error), 0)
`.as('bytes')
